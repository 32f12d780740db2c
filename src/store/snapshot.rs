//! Snapshots: what the pages of a sequence are cut from, left on disk by page 1, so that later
//! pages go on after a restart and from another server. There is one of each window, kind and key,
//! and none is older than a day.

use crate::billing::id::ApiKey;
use crate::billing::period::{DAY_S, Period};
use crate::billing::statement::{ListingKind, StatementEntry};
use crate::store::document::CompressedLines;
use crate::store::{Error, ReadTx, Result, WriteTx};
use rusqlite::{OptionalExtension, Row, named_params};
use serde::{Deserialize, Serialize};

/// What a snapshot is of: a listing, as it is asked for with one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotKey {
    /// Which listing it is.
    pub kind: ListingKind,
    /// The window.
    pub period: Period,
    /// The key that signs.
    pub api_key: ApiKey,
    /// What else the listing follows from, in a canonical form; empty where the window is all.
    /// Only such a listing is left on disk.
    pub parameters: String,
}

impl SnapshotKey {
    /// Whether both ask for the same, whoever signs.
    pub fn asks_the_same(&self, other: &Self) -> bool {
        (self.kind, self.period, &self.parameters) == (other.kind, other.period, &other.parameters)
    }
}

/// A snapshot as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// When page 1 was asked for, in Unix seconds.
    pub asked_at_s: i64,
    /// From which state of the books it was made.
    pub made_of: ListingOrigin,
    /// What it says of each project, in the order of their ids.
    pub entries: Vec<StatementEntry>,
}

/// From which state of the books a listing was made, by the last numbers that were written,
/// and what it says as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListingOrigin {
    /// `totalSize` as sent.
    pub total_size: usize,
    /// Of the usage ledger.
    pub knew_seq: i64,
    /// Of all else that prices months.
    pub terms_seq: i64,
    /// Of statements.
    pub statement_seq: i64,
}

/// Keeps a snapshot in the place of the one that there was.
///
/// # Errors
/// When SQLite fails.
pub(super) fn keep(
    tx: &WriteTx<'_>,
    key: &SnapshotKey,
    number: i64,
    asked_at_s: i64,
    made_of: &ListingOrigin,
    entries: &CompressedLines,
) -> Result<()> {
    const REPLACE: &str = "
        insert or replace into snapshot
          (kind, first_s, last_s, api_key, number, asked_at_s, made_of, entries)
        values (:kind, :first_s, :last_s, :api_key, :number, :asked_at_s, :made_of, :entries)";
    let made_of = serde_json::to_string(made_of).expect("numbers have a JSON form");
    tx.sql().prepare_cached(REPLACE)?.execute(named_params! {
        ":kind": key.kind,
        ":first_s": key.period.first_s(),
        ":last_s": key.period.last_s(),
        ":api_key": key.api_key,
        ":number": number,
        ":asked_at_s": asked_at_s,
        ":made_of": made_of,
        ":entries": entries,
    })?;
    Ok(())
}

/// The snapshot that has a number, unless it is a day old.
///
/// # Errors
/// When SQLite fails, or what is kept cannot be read.
pub fn find(
    tx: &ReadTx<'_>,
    key: &SnapshotKey,
    number: i64,
    now_s: i64,
) -> Result<Option<Snapshot>> {
    const SELECT: &str = "
        select asked_at_s, made_of, entries
        from snapshot
        where kind = :kind
          and first_s = :first_s
          and last_s = :last_s
          and api_key = :api_key
          and number = :number
          and asked_at_s > :dropped_s";
    let params = named_params! {
        ":kind": key.kind,
        ":first_s": key.period.first_s(),
        ":last_s": key.period.last_s(),
        ":api_key": key.api_key,
        ":number": number,
        ":dropped_s": now_s - DAY_S,
    };
    let kept = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let kept = tx.sql().prepare_cached(SELECT)?.query_row(params, kept).optional()?;
    let Some((asked_at_s, made_of, entries)) = kept else {
        return Ok(None);
    };
    let (made_of, entries): (String, CompressedLines) = (made_of, entries);
    let made_of = serde_json::from_str(&made_of)
        .map_err(|error| Error::Unreadable { seq: 0, reason: error.to_string() })?;
    Ok(Some(Snapshot { asked_at_s, made_of, entries: entries.text(0)?.entries()? }))
}

/// Drops the snapshots that are a day old.
///
/// # Errors
/// When SQLite fails.
pub fn drop_old(tx: &WriteTx<'_>, now_s: i64) -> Result<()> {
    const DELETE: &str = "delete from snapshot where asked_at_s <= :dropped_s";
    tx.sql().prepare_cached(DELETE)?.execute(named_params! { ":dropped_s": now_s - DAY_S })?;
    Ok(())
}
