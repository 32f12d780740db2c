//! What holds by date: read of the rows in which it was said, and from when something new holds.

use crate::billing::history::History;
use crate::store::{ReadTx, Result, statement};
use std::collections::HashMap;
use std::hash::Hash;

/// From when something new holds beside what was said so far: [`History::start`], in the books.
/// `first_seen_at_s` is the second in which the books first had the project or customer of which it
/// is said; `None` for a plan, which bills can have gone by before anybody set it up.
///
/// # Errors
/// When SQLite fails.
pub fn start<T>(
    tx: &ReadTx<'_>,
    history: &History<T>,
    asked_s: Option<i64>,
    first_seen_at_s: Option<i64>,
    now_s: i64,
) -> Result<i64> {
    let open_s = match first_seen_at_s {
        Some(seen_at_s) if history.is_empty() => statement::open_to_s(tx, seen_at_s, now_s)?,
        Some(_) | None => statement::open_s(tx)?,
    };
    Ok(history.start(asked_s, open_s, now_s))
}

/// What was and is to be in force of a list of `(of whom, from when, what)`, which is in the order
/// in which it was said.
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
