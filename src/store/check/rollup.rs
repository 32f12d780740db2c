//! Checks the sums that are kept of the usage ledger: adds the ledger up anew.

use crate::billing::id::ProjectId;
use crate::billing::period::{Grain, LAST_SECOND};
use crate::store::check::report::{CheckReport, Difference};
use crate::store::column::{self, Covered};
use crate::store::rollup::{self, UsageSum};
use crate::store::{Error, ReadTx, Result, readable};
use rusqlite::{Row, named_params};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

pub(super) fn check(tx: &ReadTx<'_>, report: &mut CheckReport) -> Result<()> {
    const VALUES: &str = "
        select 'the start of a sum of project ' || p.project_id
        from usage_rollup r
        join project p on p.project_no = r.project_no
        where r.start_s not between 0 and :last_second
        union all
        select 'the amount of the '
          || case r.grain when 0 then 'hour' when 1 then 'day' when 2 then 'month' else 'second' end
          || ' from ' || datetime(r.start_s, 'unixepoch') || ' of project ' || p.project_id
        from usage_rollup r
        join project p on p.project_no = r.project_no
        where not is_amount(r.amount) or not is_amount(coalesce(r.covered, '0'))";
    report.add_values(tx, VALUES)?;
    check_sums(tx, report)
}

/// What the ledger says, by the first second of a stretch and project.
type StretchSums = BTreeMap<(i64, ProjectId), UsageSum>;

/// Adds up the ledger in the order of time, and compares a day's sums when the day is past, a
/// month's when the month is. What is kept for stretches without an entry is compared along the
/// way.
fn check_sums(tx: &ReadTx<'_>, report: &mut CheckReport) -> Result<()> {
    const SELECT: &str = "
        select l.at_s, p.project_id, l.amount, l.covered, iif(l.reverses_seq is null, 1, -1),
          l.in_crowd
        from usage_ledger l
        cross join project p on p.project_no = l.project_no
        where l.at_s between 0 and :last_second
        order by l.at_s";
    let mut select = tx.sql().prepare(SELECT)?;
    let mut entries = select.query(named_params! { ":last_second": LAST_SECOND })?;
    let mut days = RunningSums {
        tx,
        report,
        by: Default::default(),
        unreadable: BTreeSet::new(),
        day: 0..0,
        month: 0..0,
    };
    while let Some(entry) = entries.next()? {
        let at_s: i64 = entry.get(0)?;
        let in_crowd: bool = entry.get(5)?;
        days.reach(at_s)?;
        let Some(project_id) = readable(entry.get::<_, ProjectId>(1).map_err(Error::from))? else {
            continue;
        };
        let sum = readable(ledger_sum(entry))?;
        for grain in Grain::WHOLE.into_iter().chain(in_crowd.then_some(Grain::Second)) {
            let key = (grain.floor(at_s), project_id.clone());
            match &sum {
                Some(sum) => days.by.entry(grain).or_default().entry(key).or_default().add(sum),
                None => {
                    days.unreadable.insert((grain, key.0, key.1));
                }
            }
        }
    }
    days.reach(i64::MAX)
}

fn ledger_sum(entry: &Row<'_>) -> Result<UsageSum> {
    let Covered(covered) = entry.get(3)?;
    Ok(UsageSum { amount: entry.get(2)?, covered, records: entry.get(4)? })
}

/// The sums of the day and the month that the ledger has been added up to.
struct RunningSums<'t, 'c> {
    tx: &'t ReadTx<'c>,
    report: &'t mut CheckReport,
    by: BTreeMap<Grain, StretchSums>,
    /// Sums that cannot be added up, since an entry of theirs cannot be read.
    unreadable: BTreeSet<(Grain, i64, ProjectId)>,
    /// From the end of the day before that had an entry to this one's end.
    day: Range<i64>,
    /// The same for months.
    month: Range<i64>,
}

impl RunningSums<'_, '_> {
    /// Gets on to the day of an entry: what is past is compared with what is kept.
    fn reach(&mut self, at_s: i64) -> Result<()> {
        let end = |grain: Grain| match at_s {
            i64::MAX => i64::MAX,
            _ => grain.after(grain.floor(at_s)),
        };
        if at_s >= self.day.end {
            for grain in [Grain::Second, Grain::Hour, Grain::Day] {
                let sums = self.by.remove(&grain).unwrap_or_default();
                self.compare(grain, self.day.clone(), sums)?;
            }
            self.day = self.day.end..end(Grain::Day);
        }
        if at_s >= self.month.end {
            let sums = self.by.remove(&Grain::Month).unwrap_or_default();
            self.compare(Grain::Month, self.month.clone(), sums)?;
            self.month = self.month.end..end(Grain::Month);
        }
        if at_s == i64::MAX {
            // What is kept for stretches after the last entry.
            let rest = |stretch: &Range<i64>| stretch.start..LAST_SECOND + 1;
            let (days, months) = (rest(&self.day), rest(&self.month));
            for grain in [Grain::Second, Grain::Hour, Grain::Day] {
                self.compare(grain, days.clone(), StretchSums::new())?;
            }
            self.compare(Grain::Month, months, StretchSums::new())?;
        }
        Ok(())
    }

    /// Compares the kept sums that start within `starts` with what the ledger says of them. A sum
    /// that cannot be read, or that the ledger cannot be read for, is passed over.
    fn compare(&mut self, grain: Grain, starts: Range<i64>, mut sums: StretchSums) -> Result<()> {
        let Self { tx, report, unreadable, .. } = self;
        let mut differ = |start_s, project_id: ProjectId, kept: UsageSum, ledger: UsageSum| {
            let key = (grain, start_s, project_id);
            if kept != ledger && !unreadable.contains(&key) {
                report.differences.push(Difference::Rollup {
                    grain,
                    start_s,
                    project_id: key.2,
                    kept,
                    ledger,
                });
            }
        };
        rollup::each_readable(tx, grain, &starts, None, |start_s, project_id, kept| {
            let id = readable(column::parse::<ProjectId>(project_id).map_err(Error::from))?;
            if let Some(project_id) = id {
                let key = (start_s, project_id);
                let ledger = sums.remove(&key).unwrap_or_default();
                if let Some(kept) = readable(kept)? {
                    differ(start_s, key.1, kept, ledger);
                }
            }
            Ok(())
        })?;
        for ((start_s, project_id), ledger) in sums {
            differ(start_s, project_id, UsageSum::default(), ledger);
        }
        unreadable.retain(|(of, start_s, _)| *of != grain || !starts.contains(start_s));
        Ok(())
    }
}
