//! The kept sums of the usage ledger: by hour, day and month, and by second where there is a crowd.

use crate::billing::amount::Amount;
use crate::billing::period::Grain;
use crate::store::column::{Covered, covered};
use crate::store::{ReadTx, Result, WriteTx};
use rusqlite::{Row, named_params};
use std::ops::Range;

/// What a project used in some stretch of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageSum {
    /// The sum of its records less the reversals.
    pub amount: Amount,
    /// The part of it that licenses covered.
    pub covered: Amount,
    /// The number of records less the reversals.
    pub records: i64,
}

impl UsageSum {
    /// Adds another sum to this one.
    pub fn add(&mut self, other: &Self) {
        self.join(other, false);
    }

    /// Adds another sum to this one, or takes it off.
    pub(super) fn join(&mut self, other: &Self, subtracted: bool) {
        if subtracted {
            self.amount -= &other.amount;
            self.covered -= &other.covered;
            self.records -= other.records;
        } else {
            self.amount += &other.amount;
            self.covered += &other.covered;
            self.records += other.records;
        }
    }
}

/// Adds to the sum of the stretch that starts at `start_s`.
pub(super) fn add(
    tx: &WriteTx<'_>,
    grain: Grain,
    start_s: i64,
    project_no: i64,
    sum: &UsageSum,
) -> Result<()> {
    const ADD: &str = "
        insert into usage_rollup (grain, start_s, project_no, amount, covered, records)
        values (:grain, :start_s, :project_no, :amount, :covered, :records)
        on conflict (grain, start_s, project_no) do update
        set amount = decimal_add(amount, excluded.amount),
            covered = case
              when excluded.covered is null then covered
              when covered is null then excluded.covered
              else nullif(decimal_add(covered, excluded.covered), '0')
            end,
            records = records + excluded.records";
    tx.sql().prepare_cached(ADD)?.execute(named_params! {
        ":grain": grain,
        ":start_s": start_s,
        ":project_no": project_no,
        ":amount": sum.amount,
        ":covered": covered(&sum.covered),
        ":records": sum.records,
    })?;
    Ok(())
}

/// Calls `each` with the sums of every project in every stretch that starts within `starts`, ordered by
/// start; of one project alone where its number is told. The project is told as its text: mostly it is known.
pub(super) fn each(
    tx: &ReadTx<'_>,
    grain: Grain,
    starts: &Range<i64>,
    project_no: Option<i64>,
    mut each: impl FnMut(i64, &str, UsageSum) -> Result<()>,
) -> Result<()> {
    each_readable(tx, grain, starts, project_no, |start_s, project_id, sum| {
        each(start_s, project_id, sum?)
    })
}

/// The same where a sum may be one that cannot be read.
pub(super) fn each_readable(
    tx: &ReadTx<'_>,
    grain: Grain,
    starts: &Range<i64>,
    project_no: Option<i64>,
    mut each: impl FnMut(i64, &str, Result<UsageSum>) -> Result<()>,
) -> Result<()> {
    // A cross join keeps the order of reading: one range of the sums, and a look at the project of each.
    const SELECT: &str = "
        select r.start_s, p.project_id, r.amount, r.covered, r.records
        from usage_rollup r
        cross join project p on p.project_no = r.project_no
        where r.grain = :grain
          and r.start_s >= :from
          and r.start_s < :to
          and (:project_no is null or r.project_no = :project_no)
        order by r.start_s";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let mut rows = select.query(named_params! {
        ":grain": grain,
        ":from": starts.start,
        ":to": starts.end,
        ":project_no": project_no,
    })?;
    while let Some(row) = rows.next()? {
        let project_id = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        each(row.get(0)?, project_id, read_sum(row))?;
    }
    Ok(())
}

fn read_sum(row: &Row<'_>) -> Result<UsageSum> {
    let Covered(covered) = row.get(3)?;
    Ok(UsageSum { amount: row.get(2)?, covered, records: row.get(4)? })
}
