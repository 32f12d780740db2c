//! Recomputes everything that is derived, and tells what differs.

use crate::billing::id::ProjectId;
use crate::billing::period::{Grain, LAST_SECOND};
use crate::store::rollup::{self, UsageSum};
use crate::store::{ReadTx, Result, column, schema, setting, usage};
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
        kept: UsageSum,
        /// What the ledger says.
        ledger: UsageSum,
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
    /// A value that is not of the kind that its column holds.
    Value {
        /// Where it stands.
        place: String,
    },
    /// A table, an index or a trigger is not as it was made.
    Schema {
        /// Its name.
        name: String,
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
type Sums = BTreeMap<(i64, ProjectId), UsageSum>;

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
    for name in schema::changed(tx.sql())? {
        report.differences.push(Difference::Schema { name });
    }
    check_values(tx, &mut report)?;
    check_entries(tx, &mut report)?;
    // Where a value cannot be read, nothing can be added up.
    if !report.differences.iter().any(|difference| matches!(difference, Difference::Value { .. })) {
        check_rollups(tx, &mut report)?;
    }
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

fn check_values(tx: &ReadTx<'_>, report: &mut Report) -> Result<()> {
    const AMOUNTS: &str = "
        select 'the amount of ledger entry ' || seq
        from usage_ledger
        where not is_amount(amount)
        union all
        select 'the amount of the ' || grain || ' from ' || datetime(start_s, 'unixepoch') || ' of project ' || project_id
        from usage_rollup
        where not is_amount(amount)
        union all
        select 'the price of plan ' || plan_id
        from plan
        where not is_amount(price) or price like '-%'
        union all
        select 'the count of license ' || license_id
        from license
        where granted is not null and (not is_amount(granted) or granted like '-%')";
    let mut select = tx.sql().prepare(AMOUNTS)?;
    for place in select.query_map([], |row| row.get(0))? {
        report.differences.push(Difference::Value { place: place? });
    }
    if setting::read(tx).is_err() {
        report.differences.push(Difference::Value { place: "a setting".to_owned() });
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
            let project_id: ProjectId = column::parse(project_id)?;
            by_hour.entry((Grain::Hour.floor(at_s), project_id.clone())).or_default().add(&sum);
            by_day.entry((day.start, project_id.clone())).or_default().add(&sum);
            by_month.entry((month, project_id)).or_default().add(&sum);
            Ok(())
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
    let mut differ = |start_s, project_id, kept: UsageSum, ledger: UsageSum| {
        if kept != ledger {
            report.differences.push(Difference::Rollup { grain, start_s, project_id, kept, ledger });
        }
    };
    rollup::each(tx, grain, starts, None, |start_s, project_id, kept| {
        let key = (start_s, column::parse(project_id)?);
        let ledger = sums.remove(&key).unwrap_or_default();
        differ(start_s, key.1, kept, ledger);
        Ok(())
    })?;
    for ((start_s, project_id), ledger) in sums {
        differ(start_s, project_id, UsageSum::default(), ledger);
    }
    Ok(())
}
