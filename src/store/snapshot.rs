//! Snapshots: what the pages of a sequence are cut from, left on disk by page 1, so that later
//! pages go on after a restart and from another server. There is one of each window, kind and key,
//! and none is older than a day.

use crate::billing::id::ApiKey;
use crate::billing::period::{DAY_S, Period};
use crate::billing::statement::{Entry, ListingKind, TermsKnown};
use crate::store::document::{Document, Text};
use crate::store::{ReadTx, Result, WriteTx};
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

/// All that a sequence says and that is kept of it once its last page goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// When page 1 was asked for, in Unix seconds.
    pub asked_at_s: i64,
    /// From which state of the books it was made.
    pub made_of: MadeOf,
    /// What it says of each project, in the order of their ids.
    pub entries: Vec<Entry>,
}

/// What has to be known of a snapshot as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MadeOf {
    /// `totalSize` as told.
    pub total_size: usize,
    /// The last entry of the usage ledger that it was made from.
    pub knew_seq: i64,
    /// The terms that it was made by.
    #[serde(with = "Terms")]
    pub knew_terms: TermsKnown,
    /// The newest statement that there was.
    pub after_seq: i64,
    /// Whether it is a bill that looked at what earlier months were not told.
    pub carried: bool,
    /// Whether of some projects it says what was told before.
    pub closed: bool,
}

/// How [`TermsKnown`] is written.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", remote = "TermsKnown")]
struct Terms {
    plan_seq: i64,
    customer_plan_seq: i64,
    project_customer_seq: i64,
    project_no: i64,
    event_seq: i64,
}

/// A snapshot as it is kept.
#[derive(Debug)]
pub struct Packed {
    asked_at_s: i64,
    document: Document,
}

impl Snapshot {
    /// Makes it ready to be kept.
    ///
    /// # Errors
    /// When it is too long.
    pub fn pack(&self) -> Result<Packed> {
        let document = Document::of_snapshot(&self.made_of, &self.entries)?;
        Ok(Packed { asked_at_s: self.asked_at_s, document })
    }
}

/// Keeps a snapshot in the place of the one that there was.
///
/// # Errors
/// When SQLite fails.
pub fn keep(tx: &WriteTx<'_>, key: &SnapshotKey, number: i64, snapshot: &Packed) -> Result<()> {
    const REPLACE: &str = "
        insert or replace into snapshot
          (kind, first_s, last_s, api_key, number, asked_at_s, content)
        values (:kind, :first_s, :last_s, :api_key, :number, :asked_at_s, :content)";
    tx.sql().prepare_cached(REPLACE)?.execute(named_params! {
        ":kind": key.kind,
        ":first_s": key.period.first_s(),
        ":last_s": key.period.last_s(),
        ":api_key": key.api_key,
        ":number": number,
        ":asked_at_s": snapshot.asked_at_s,
        ":content": snapshot.document,
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
        select asked_at_s, content
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
    let kept = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let kept = tx.sql().prepare_cached(SELECT)?.query_row(params, kept).optional()?;
    let Some((asked_at_s, content)) = kept else {
        return Ok(None);
    };
    let content: Vec<u8> = content;
    let (made_of, entries) = Text::read(0, &content)?.snapshot()?;
    Ok(Some(Snapshot { asked_at_s, made_of, entries }))
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
