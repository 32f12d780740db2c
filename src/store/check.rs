//! Recomputes everything that is derived, and tells what differs.

use crate::billing::id::ProjectId;
use crate::billing::period::{Grain, LAST_SECOND};
use crate::store::rollup::{self, Sum};
use crate::store::usage;
use crate::store::{ReadTx, Result};
use rusqlite::named_params;
use std::collections::BTreeMap;
use std::ops::Range;

/// Something in the books that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// A kept sum is not what the ledger adds up to; a side is zero where it has no row.
    Rollup {
        /// The stretch's length.
        grain: Grain,
        /// The stretch's first second.
        start_s: i64,
        /// Whose usage it is.
        project_id: ProjectId,
        /// What is kept.
        kept: Sum,
        /// What the ledger says.
        ledger: Sum,
    },
    /// A reversing entry does not take back what it names.
    Reversal {
        /// The entry's place in the ledger.
        seq: i64,
    },
    /// A record whose amount is not above zero.
    Record {
        /// The entry's place in the ledger.
        seq: i64,
    },
    /// SQLite found the file itself unsound.
    File {
        /// SQLite's words.
        problem: String,
    },
}

/// What a check went through and found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Entries of the usage ledger, reversals included.
    pub entries: i64,
    /// What is not as it must be.
    pub differences: Vec<Difference>,
}

/// What the ledger says, by the first second of a stretch and project.
type Sums = BTreeMap<(i64, ProjectId), Sum>;

/// Checks one state of the books: the file, the ledger's reversals, and every kept sum against the ledger.
/// Holds one day's sums in memory at a time.
///
/// # Errors
/// When SQLite fails.
pub fn check(tx: &ReadTx<'_>) -> Result<Report> {
    let mut report = Report {
        entries: tx.sql().query_row("select count(*) from usage_ledger", [], |row| row.get(0))?,
        differences: Vec::new(),
    };
    check_file(tx, &mut report)?;
    check_entries(tx, &mut report)?;
    check_rollups(tx, &mut report)?;
    Ok(report)
}

fn check_file(tx: &ReadTx<'_>, report: &mut Report) -> Result<()> {
    let mut problems = tx.sql().prepare("pragma integrity_check")?;
    for problem in problems.query_map([], |row| row.get::<_, String>(0))? {
        match problem? {
            fine if fine == "ok" => {}
            problem => report.differences.push(Difference::File { problem }),
        }
    }
    let mut dangling = tx.sql().prepare("pragma foreign_key_check")?;
    for table in dangling.query_map([], |row| row.get::<_, String>(0))? {
        report
            .differences
            .push(Difference::File { problem: format!("a row of {} refers to one that is not there", table?) });
    }
    Ok(())
}

fn check_entries(tx: &ReadTx<'_>, report: &mut Report) -> Result<()> {
    const REVERSALS: &str = "
        select v.seq
        from usage_ledger v
        left join usage_ledger r on r.seq = v.reverses_seq
        where v.reverses_seq is not null
          and (r.record_id is null
            or r.project_id <> v.project_id
            or r.at_s <> v.at_s
            or v.amount <> '-' || r.amount)";
    const RECORDS: &str = "
        select seq
        from usage_ledger
        where record_id is not null
          and (amount = '0' or amount like '-%')";
    for (select, found) in [
        (REVERSALS, (|seq| Difference::Reversal { seq }) as fn(i64) -> Difference),
        (RECORDS, |seq| Difference::Record { seq }),
    ] {
        let mut select = tx.sql().prepare(select)?;
        for seq in select.query_map([], |row| row.get(0))? {
            report.differences.push(found(seq?));
        }
    }
    Ok(())
}

/// Goes through the days that have an entry or a kept sum. A month is compared when its last day is past.
fn check_rollups(tx: &ReadTx<'_>, report: &mut Report) -> Result<()> {
    let calendar = 0..LAST_SECOND + 1;
    for outside in [i64::MIN..calendar.start, calendar.end..i64::MAX] {
        for grain in Grain::ALL {
            compare(tx, grain, &outside, Sums::new(), report)?;
        }
    }
    let mut month = calendar.start;
    let mut by_month = Sums::new();
    let mut from = calendar.start;
    while let Some(second) = next_second(tx, &(from..calendar.end))? {
        if Grain::Month.floor(second) != month {
            compare(tx, Grain::Month, &(month..Grain::Month.after(month)), std::mem::take(&mut by_month), report)?;
            month = Grain::Month.floor(second);
        }
        let day = Grain::Day.floor(second);
        let day = day..Grain::Day.after(day);
        let mut by_day = Sums::new();
        let mut by_hour = Sums::new();
        usage::each_entry(tx, &day, None, |at_s, project_id, sum| {
            by_hour.entry((Grain::Hour.floor(at_s), project_id.clone())).or_default().join(&sum, false);
            by_day.entry((day.start, project_id.clone())).or_default().join(&sum, false);
            by_month.entry((month, project_id)).or_default().join(&sum, false);
        })?;
        compare(tx, Grain::Hour, &day, by_hour, report)?;
        compare(tx, Grain::Day, &day, by_day, report)?;
        from = day.end;
    }
    compare(tx, Grain::Month, &(month..Grain::Month.after(month)), by_month, report)
}

/// The first second within `seconds` at which there is an entry or at which a kept sum starts.
fn next_second(tx: &ReadTx<'_>, seconds: &Range<i64>) -> Result<Option<i64>> {
    const ENTRY: &str = "
        select min(at_s)
        from usage_ledger
        where at_s >= :from
          and at_s < :to";
    const KEPT: &str = "
        select min(start_s)
        from usage_rollup
        where grain = :grain
          and start_s >= :from
          and start_s < :to";
    let (from, to) = (seconds.start, seconds.end);
    let mut first: Option<i64> =
        tx.sql().prepare_cached(ENTRY)?.query_row(named_params! { ":from": from, ":to": to }, |row| row.get(0))?;
    for grain in Grain::ALL {
        let params = named_params! { ":grain": grain, ":from": from, ":to": to };
        let kept: Option<i64> = tx.sql().prepare_cached(KEPT)?.query_row(params, |row| row.get(0))?;
        first = first.into_iter().chain(kept).min();
    }
    Ok(first)
}

/// Compares the kept sums that start within `starts` with what the ledger says of them.
fn compare(tx: &ReadTx<'_>, grain: Grain, starts: &Range<i64>, mut sums: Sums, report: &mut Report) -> Result<()> {
    let mut differ = |start_s, project_id, kept: Sum, ledger: Sum| {
        if kept != ledger {
            report.differences.push(Difference::Rollup { grain, start_s, project_id, kept, ledger });
        }
    };
    rollup::each(tx, grain, starts, None, |start_s, project_id, kept| {
        let ledger = sums.remove(&(start_s, project_id.clone())).unwrap_or_default();
        differ(start_s, project_id, kept, ledger);
    })?;
    for ((start_s, project_id), ledger) in sums {
        differ(start_s, project_id, Sum::default(), ledger);
    }
    Ok(())
}
