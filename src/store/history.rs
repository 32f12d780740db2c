//! What holds by date, read of the rows in which it was said.

use crate::billing::history::History;
use crate::store::Result;
use std::collections::HashMap;
use std::hash::Hash;

/// What was and is to be in force of a list of `(of whom, from when, what)`, which is in the order in which it was said.
pub(super) fn histories<K: Eq + Hash, T>(
    said: impl Iterator<Item = rusqlite::Result<(K, i64, T)>>,
) -> Result<HashMap<K, History<T>>> {
    let mut histories = HashMap::new();
    for said in said {
        let (of, from_s, value) = said?;
        histories.entry(of).or_insert_with(History::default).add(from_s, value);
    }
    Ok(histories)
}
