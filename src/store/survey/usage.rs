//! How much was recorded, and when.

use crate::billing::period::DAY_S;
use crate::store::{ReadTx, Result};
use rusqlite::{OptionalExtension, named_params};

/// How many of the last days tell how much is recorded a day.
const LATELY_DAYS: i64 = 7;

/// What was recorded. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// How many entries the ledger has, voids among them; its last one has this number.
    pub entries: i64,
    /// How many records stand: those that were taken back are not among them.
    pub records: i64,
    /// When the first record was written.
    pub first_recorded_at_s: Option<i64>,
    /// When the last record was written.
    pub last_recorded_at_s: Option<i64>,
    /// When usage was last used, up to now.
    pub last_used_at_s: Option<i64>,
    /// How many entries were written a day in the last week, rounded up; where the first record is
    /// younger than that, since then.
    pub entries_a_day: i64,
}

impl Recording {
    pub(super) fn read(tx: &ReadTx<'_>, now_s: i64) -> Result<Self> {
        const ENTRIES: &str = "select coalesce(max(seq), 0) from usage_ledger";
        // An index of these alone.
        const VOIDS: &str = "select count(*) from usage_ledger where reverses_seq is not null";
        const FIRST: &str = "select recorded_at_s from usage_ledger order by seq limit 1";
        const LAST: &str = "
            select recorded_at_s
            from usage_ledger
            where reverses_seq is null
            order by seq desc
            limit 1";
        // Of each second with usage, one entry is in this index.
        const USED: &str = "
            select at_s
            from usage_ledger
            where in_crowd = 0 and at_s <= :now_s
            order by at_s desc
            limit 1";
        let number = |select: &str| -> Result<i64> {
            Ok(tx.sql().prepare_cached(select)?.query_row([], |row| row.get(0))?)
        };
        let (entries, voids) = (number(ENTRIES)?, number(VOIDS)?);
        let first = tx.sql().prepare_cached(FIRST)?.query_row([], |row| row.get(0)).optional()?;
        let mut used = tx.sql().prepare_cached(USED)?;
        let used = used.query_row(named_params! { ":now_s": now_s }, |row| row.get(0));
        let mut last = tx.sql().prepare_cached(LAST)?;
        Ok(Self {
            entries,
            records: entries - 2 * voids,
            first_recorded_at_s: first,
            last_recorded_at_s: last.query_row([], |row| row.get(0)).optional()?,
            last_used_at_s: used.optional()?,
            entries_a_day: entries_a_day(tx, entries, first, now_s)?,
        })
    }
}

/// Entries are numbered in the order of writing, so where the week begins is found by halving. A
/// clock that was set back makes it a little wrong, which does not matter here.
fn entries_a_day(tx: &ReadTx<'_>, entries: i64, first: Option<i64>, now_s: i64) -> Result<i64> {
    const AT: &str = "
        select recorded_at_s
        from usage_ledger
        where seq >= :seq
        order by seq
        limit 1";
    let mut at = tx.sql().prepare_cached(AT)?;
    let since_s = now_s - LATELY_DAYS * DAY_S;
    let (mut before, mut from) = (0, entries + 1);
    while before + 1 < from {
        let seq = before + (from - before) / 2;
        let recorded_at_s: i64 = at.query_row(named_params! { ":seq": seq }, |row| row.get(0))?;
        if recorded_at_s >= since_s { from = seq } else { before = seq }
    }
    let age_s = first.map_or(0, |first_s| now_s - first_s);
    let days = (age_s / DAY_S + 1).clamp(1, LATELY_DAYS);
    let lately = entries - before;
    Ok((lately + days - 1) / days)
}
