//! Of which records a project's usage of a month is the sum: how many, the first and the last.

use crate::billing::amount::Amount;
use crate::billing::id::{ProjectId, RecordId};
use crate::billing::period::{Grain, Period};
use crate::store::rollup::UsageSum;
use crate::store::usage::list::{KeptRecord, show};
use crate::store::usage::sums::by_project;
use crate::store::{ReadTx, Result, project};
use rusqlite::{OptionalExtension, named_params};

/// The records of a project in a month.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// What they add up to, less what was voided.
    pub sum: UsageSum,
    /// How many of them were voided, and their amounts.
    pub voids: UsageSum,
    /// The first by its time, voided or not.
    pub first: Option<KeptRecord>,
    /// The last by its time, voided or not.
    pub last: Option<KeptRecord>,
}

impl Provenance {
    /// Reads it. Its cost grows with what was voided in the month, and never with other records.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn read(tx: &ReadTx<'_>, id: &ProjectId, month_s: i64) -> Result<Self> {
        let month = Period::around(Grain::Month, month_s);
        let Some(found) = project::look_up(tx, id)? else {
            return Ok(Self::default());
        };
        let sum = by_project(tx, month, Some(id))?.remove(id).unwrap_or_default();
        let voids = voids(tx, found.no, month)?;
        let end = |end| Self::record(tx, found.no, month, end);
        Ok(Self { sum, voids, first: end(End::First)?, last: end(End::Last)? })
    }

    /// The first or the last record of a month.
    fn record(
        tx: &ReadTx<'_>,
        project_no: i64,
        month: Period,
        end: End,
    ) -> Result<Option<KeptRecord>> {
        let mut stretch = month;
        for grain in [Grain::Day, Grain::Hour] {
            let Some(found) = used(tx, project_no, stretch, grain, end)? else {
                return Ok(None);
            };
            stretch = found;
        }
        match record_id(tx, project_no, stretch, end)? {
            Some(id) => show(tx, &id),
            None => Ok(None),
        }
    }
}

/// An end of a list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    First,
    Last,
}

/// What was voided of a project in a month; above zero.
fn voids(tx: &ReadTx<'_>, project_no: i64, month: Period) -> Result<UsageSum> {
    const SELECT: &str = "
        select amount
        from usage_ledger
        where at_s between :first_s and :last_s
          and project_no = :project_no
          and reverses_seq is not null";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let params = named_params! {
        ":first_s": month.first_s(),
        ":last_s": month.last_s(),
        ":project_no": project_no,
    };
    let mut voids = UsageSum::default();
    for amount in select.query_map(params, |row| row.get::<_, Amount>(0))? {
        voids.amount += &-&amount?;
        voids.records += 1;
    }
    Ok(voids)
}

/// The first or the last day, or hour, of a stretch that has entries of a project.
fn used(
    tx: &ReadTx<'_>,
    project_no: i64,
    within: Period,
    grain: Grain,
    end: End,
) -> Result<Option<Period>> {
    const USED: &str = "
        select 1
        from usage_rollup
        where grain = :grain
          and start_s = :start_s
          and project_no = :project_no";
    let next = |start_s: &i64| Some(grain.after(*start_s));
    let starts = std::iter::successors(Some(within.first_s()), next);
    let mut starts: Vec<i64> = starts.take_while(|start_s| *start_s <= within.last_s()).collect();
    if end == End::Last {
        starts.reverse();
    }
    let mut select = tx.sql().prepare_cached(USED)?;
    for start_s in starts {
        let params =
            named_params! { ":grain": grain, ":start_s": start_s, ":project_no": project_no };
        if select.exists(params)? {
            return Ok(Some(Period::around(grain, start_s)));
        }
    }
    Ok(None)
}

/// The first or the last record of a project in an hour, by its id. Of one second, by the order of
/// writing.
fn record_id(tx: &ReadTx<'_>, project_no: i64, hour: Period, end: End) -> Result<Option<RecordId>> {
    const FIRST: &str = "
        select record_id
        from usage_ledger
        where at_s between :first_s and :last_s
          and project_no = :project_no
          and in_crowd = 0
        order by at_s
        limit 1";
    // Further records of a second are dated as its first.
    const LAST: &str = "
        select l.record_id
        from usage_ledger l
        join (
          select at_s, project_no, seq
          from usage_ledger
          where at_s between :first_s and :last_s
            and project_no = :project_no
            and in_crowd = 0
          order by at_s desc
          limit 1
        ) f
        where l.seq = coalesce(
          (
            select max(seq)
            from usage_ledger c
            where c.at_s = f.at_s
              and c.project_no = f.project_no
              and c.in_crowd = 1
              and c.record_id is not null
          ),
          f.seq
        )";
    let select = if end == End::First { FIRST } else { LAST };
    let mut select = tx.sql().prepare_cached(select)?;
    let params = named_params! {
        ":first_s": hour.first_s(),
        ":last_s": hour.last_s(),
        ":project_no": project_no,
    };
    Ok(select.query_row(params, |row| row.get(0)).optional()?)
}
