//! The kept sums of the usage ledger: by hour, day and month, and by second where there is a crowd.

use crate::billing::amount::Amount;
use crate::billing::period::Grain;
use crate::store::balance::mark;
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
    if grain == Grain::Month { mark::usage(tx, start_s, project_no) } else { Ok(()) }
}

/// Calls `each` with the sums of every project in every stretch that starts within `starts`,
/// ordered by start; of one project alone where its number is given. The project is given as its
/// text: mostly it is known.
pub(super) fn each(
    tx: &ReadTx<'_>,
    grain: Grain,
    starts: &Range<i64>,
    project_no: Option<i64>,
    mut each: impl FnMut(i64, &str, UsageSum) -> Result<()>,
) -> Result<()> {
    if let Some(project_no) = project_no
        && each_of(tx, grain, starts, project_no, &mut each)?
    {
        return Ok(());
    }
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
    // A cross join keeps the order of reading: one range of the sums, and a look at the project of
    // each.
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

/// The same of one project, looked up stretch by stretch, so that what others used costs nothing.
/// Tells whether it did: where there are many stretches, reading through them is as well.
fn each_of(
    tx: &ReadTx<'_>,
    grain: Grain,
    starts: &Range<i64>,
    project_no: i64,
    mut each: impl FnMut(i64, &str, UsageSum) -> Result<()>,
) -> Result<bool> {
    const MONTHS: &str = "
        select r.start_s, p.project_id, r.amount, r.covered, r.records
        from usage_month m
        cross join usage_rollup r
          on r.grain = :grain
          and r.start_s = m.month_s
          and r.project_no = :project_no
        cross join project p on p.project_no = r.project_no
        where m.month_s >= :from
          and m.month_s < :to
        order by m.month_s";
    const SHORTER: &str = "
        with recursive stretch (start_s) as (
          select :from
          union all
          select start_s + :length_s from stretch where start_s + :length_s < :to
        )
        select r.start_s, p.project_id, r.amount, r.covered, r.records
        from stretch s
        cross join usage_rollup r
          on r.grain = :grain
          and r.start_s = s.start_s
          and r.project_no = :project_no
        cross join project p on p.project_no = r.project_no";
    const MANY: i64 = 1_000;
    let (from, to) = (starts.start, starts.end);
    let length_s = grain.after(grain.floor(from)) - grain.floor(from);
    let params = named_params! {
        ":grain": grain, ":project_no": project_no, ":from": from, ":to": to, ":length_s": length_s,
    };
    let (select, params) = match grain {
        Grain::Month => (MONTHS, &params[..4]),
        Grain::Hour | Grain::Day if grain.floor(from) == from && (to - from) / length_s <= MANY => {
            (SHORTER, params)
        }
        Grain::Hour | Grain::Day | Grain::Second => return Ok(false),
    };
    let mut select = tx.sql().prepare_cached(select)?;
    let mut rows = select.query(params)?;
    while let Some(row) = rows.next()? {
        read(row, &mut each)?;
    }
    Ok(true)
}

fn read(row: &Row<'_>, mut each: impl FnMut(i64, &str, UsageSum) -> Result<()>) -> Result<()> {
    let project_id = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
    each(row.get(0)?, project_id, read_sum(row)?)
}

/// Takes note, in books that are no more than scratch, that there is usage of a project in a month.
pub(super) fn mark_month(tx: &WriteTx<'_>, project_no: i64, month_s: i64) -> Result<()> {
    const MONTH: &str = "
        insert into usage_month (month_s, last_seq)
        values (:month_s, 0)
        on conflict (month_s) do nothing";
    tx.sql().prepare_cached(MONTH)?.execute(named_params! { ":month_s": month_s })?;
    add(tx, Grain::Month, month_s, project_no, &UsageSum::default())
}

/// Whether there are sums of a project for the month that starts at `month_s`, and the next month
/// of which there are.
pub(super) fn used_months(
    tx: &ReadTx<'_>,
    project_no: i64,
    month_s: i64,
) -> Result<(bool, Option<i64>)> {
    const SELECT: &str = "
        select m.month_s
        from usage_month m
        cross join usage_rollup r
          on r.grain = :grain
          and r.start_s = m.month_s
          and r.project_no = :project_no
        where m.month_s >= :month_s
        order by m.month_s
        limit 2";
    let params =
        named_params! { ":grain": Grain::Month, ":project_no": project_no, ":month_s": month_s };
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let months: Vec<i64> =
        select.query_map(params, |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let next = months.iter().copied().find(|used_s| *used_s > month_s);
    Ok((months.contains(&month_s), next))
}
