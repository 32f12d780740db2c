//! Listing records in the order of their time, part by part.
//!
//! A list costs what it shows. Of all projects it follows the index over time. Of some it first
//! looks into the kept sums, which month, day and hour have entries of them, and within an hour it
//! leaps from one to the next, so that what others used is passed over.

use crate::billing::event::Actor;
use crate::billing::history::History;
use crate::billing::id::{CustomerId, ProjectId, RecordId, Words};
use crate::billing::period::{Grain, Period};
use crate::billing::record::{Record, Void};
use crate::store::column::Covered;
use crate::store::project::{self, FoundProject};
use crate::store::{ReadTx, Result};
use rusqlite::{OptionalExtension, Row, named_params};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// A record with all that the books keep of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptRecord {
    /// The record.
    pub record: Record,
    /// The operator's words.
    pub note: Option<Words>,
    /// When it was recorded, in Unix seconds.
    pub recorded_at_s: i64,
    /// Who recorded it; `None` where an earlier version did not keep it.
    pub recorded_by: Option<Actor>,
    /// Who took it back; `None` where nobody did, or an earlier version did not keep it.
    pub voided_by: Option<Actor>,
}

/// Which records are listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordFilter {
    /// Those dated within this window.
    pub period: Period,
    /// Of this project alone.
    pub project_id: Option<ProjectId>,
    /// Of the months in which their project was this customer's.
    pub customer_id: Option<CustomerId>,
    /// Those alone that were taken back.
    pub voided: bool,
}

/// A place in a list: what comes behind this entry, ordered by time, project and entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ListPosition {
    at_s: i64,
    project_no: i64,
    seq: i64,
}

/// A project of a list that does not have all of them.
struct Member {
    no: i64,
    customers: History<CustomerId>,
}

/// A list of records, as they were at one moment. It is read part by part: no transaction is open
/// in between, however slowly the parts are taken.
pub struct RecordList {
    filter: RecordFilter,
    /// The projects, in the order of their numbers; `None`: all.
    members: Option<Vec<Member>>,
    /// The last entry of the ledger at that moment.
    last_seq: i64,
    next: ListPosition,
    /// Whose the projects were that were listed so far, as of when each was listed first.
    customers: HashMap<i64, History<CustomerId>>,
}

impl RecordList {
    /// Sees what is to be listed.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn start(tx: &ReadTx<'_>, filter: RecordFilter) -> Result<Self> {
        const LAST: &str = "
            select coalesce(max(seq), 0)
            from usage_ledger";
        let last_seq = tx.sql().query_row(LAST, [], |row| row.get(0))?;
        let next = ListPosition { at_s: filter.period.first_s(), project_no: 0, seq: 0 };
        let members = members(tx, &filter)?;
        Ok(Self { filter, members, last_seq, next, customers: HashMap::new() })
    }

    /// The next records, at most so many; where there are fewer, there are no more.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn part(&mut self, tx: &ReadTx<'_>, most: usize) -> Result<Vec<KeptRecord>> {
        let mut walk = Walk {
            tx,
            voided: self.filter.voided,
            last_seq: self.last_seq,
            most,
            next: self.next,
            found: Vec::new(),
        };
        match &self.members {
            None => walk.stretch(self.filter.period, None)?,
            Some(members) => {
                walk.months(self.filter.period, members, self.filter.customer_id.as_ref())?;
            }
        }
        let Walk { next, found, .. } = walk;
        self.next = next;
        found.into_iter().map(|seq| self.read(tx, seq)).collect()
    }

    /// Reads a record by its place in the ledger.
    fn read(&mut self, tx: &ReadTx<'_>, seq: i64) -> Result<KeptRecord> {
        let params = named_params! { ":seq": seq, ":last_seq": self.last_seq };
        let mut select = tx.sql().prepare_cached(RECORD)?;
        let (project_no, mut kept) = select.query_row(params, kept_record)?;
        let customers = match self.customers.entry(project_no) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let found = project::look_up(tx, &kept.record.project_id)?;
                unknown.insert(found.map(|found| found.customers).unwrap_or_default())
            }
        };
        kept.record.customer_id = customers.at(kept.record.at_s).cloned();
        Ok(kept)
    }
}

/// Reads a record as a list has it; `None` where no record has this id.
///
/// # Errors
/// When SQLite fails.
pub fn show(tx: &ReadTx<'_>, id: &RecordId) -> Result<Option<KeptRecord>> {
    const SELECT: &str = "
        select seq
        from usage_ledger
        where record_id = :record_id";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let params = named_params! { ":record_id": id };
    let Some(seq) = select.query_row(params, |row| row.get(0)).optional()? else {
        return Ok(None);
    };
    let period = Period::new(0, 0).expect("a second is a window");
    let filter = RecordFilter { period, project_id: None, customer_id: None, voided: false };
    RecordList::start(tx, filter)?.read(tx, seq).map(Some)
}

/// The projects that a filter names; `None`: all.
fn members(tx: &ReadTx<'_>, filter: &RecordFilter) -> Result<Option<Vec<Member>>> {
    let ids = match (&filter.project_id, &filter.customer_id) {
        (None, None) => return Ok(None),
        (Some(id), _) => vec![id.clone()],
        (None, Some(customer_id)) => project::ever_of(tx, customer_id)?,
    };
    let mut members = Vec::new();
    for id in ids {
        if let Some(FoundProject { no, customers }) = project::look_up(tx, &id)? {
            members.push(Member { no, customers });
        }
    }
    members.sort_unstable_by_key(|member| member.no);
    Ok(Some(members))
}

/// A record by its place, with who wrote it, and how it was taken back by then.
const RECORD: &str = "
    select r.project_no, r.record_id, p.project_id, r.amount, r.covered, r.at_s, r.recorded_at_s,
      a.actor, r.note, v.recorded_at_s, v.note, w.actor
    from usage_ledger r
    cross join project p on p.project_no = r.project_no
    left join actor a on a.actor_no = r.actor_no
    left join usage_ledger v on v.reverses_seq = r.seq and v.seq <= :last_seq
    left join actor w on w.actor_no = v.actor_no
    where r.seq = :seq";

fn kept_record(row: &Row<'_>) -> rusqlite::Result<(i64, KeptRecord)> {
    let voided_at_s: Option<i64> = row.get(9)?;
    let void = match voided_at_s {
        Some(at_s) => Some(Void { at_s, reason: row.get(10)? }),
        None => None,
    };
    let Covered(covered) = row.get(4)?;
    let record = Record {
        id: row.get(1)?,
        project_id: row.get(2)?,
        amount: row.get(3)?,
        covered,
        at_s: row.get(5)?,
        customer_id: None,
        customer_then: None,
        void,
    };
    let kept = KeptRecord {
        record,
        recorded_at_s: row.get(6)?,
        recorded_by: row.get(7)?,
        note: row.get(8)?,
        voided_by: row.get(11)?,
    };
    Ok((row.get(0)?, kept))
}

/// The months that have entries, of anybody.
const MONTHS: &str = "
    select month_s
    from usage_month
    where month_s between :first_s and :last_s
    order by month_s";

/// Whether a project has entries in a stretch.
const USED: &str = "
    select 1
    from usage_rollup
    where grain = :grain
      and start_s = :start_s
      and project_no = :project_no";

/// The first second and project from a place on that have records. Each has one entry that is the
/// first, and those are in the index over time.
const NEXT: &str = "
    select at_s, project_no
    from usage_ledger
    where (at_s, project_no) >= (:at_s, :project_no)
      and at_s <= :last_s
      and in_crowd = 0
    order by at_s, project_no
    limit 1";

/// The same of those that have records that were taken back.
const NEXT_VOID: &str = "
    select at_s, project_no
    from usage_ledger
    where (at_s, project_no) >= (:at_s, :project_no)
      and at_s <= :last_s
      and reverses_seq is not null
    order by at_s, project_no
    limit 1";

/// The first record of a second and project.
const FIRST: &str = "
    select seq, seq
    from usage_ledger
    where at_s = :at_s
      and project_no = :project_no
      and in_crowd = 0
      and seq > :seq
      and seq <= :last_seq
    limit :most";

/// The further ones, in the order in which they were written.
const CROWD: &str = "
    select seq, seq
    from usage_ledger
    where at_s = :at_s
      and project_no = :project_no
      and in_crowd = 1
      and record_id is not null
      and seq > :seq
      and seq <= :last_seq
    order by seq
    limit :most";

/// Those that were taken back, in the order in which they were.
const VOID: &str = "
    select seq, reverses_seq
    from usage_ledger
    where at_s = :at_s
      and project_no = :project_no
      and reverses_seq is not null
      and seq > :seq
      and seq <= :last_seq
    order by seq
    limit :most";

/// A walk along the order of a list, until so many records are found.
struct Walk<'t, 'c> {
    tx: &'t ReadTx<'c>,
    voided: bool,
    last_seq: i64,
    most: usize,
    next: ListPosition,
    /// The records, by their places in the ledger.
    found: Vec<i64>,
}

impl Walk<'_, '_> {
    fn is_done(&self) -> bool {
        self.found.len() >= self.most
    }

    /// Walks the months of a window that have entries of some projects; where a customer is given,
    /// of each month those that are the customer's in it.
    fn months(
        &mut self,
        period: Period,
        members: &[Member],
        customer_id: Option<&CustomerId>,
    ) -> Result<()> {
        let first_s = Grain::Month.floor(period.first_s().max(self.next.at_s));
        let params = named_params! { ":first_s": first_s, ":last_s": period.last_s() };
        let mut select = self.tx.sql().prepare_cached(MONTHS)?;
        let mut months = select.query(params)?;
        while let Some(row) = months.next()? {
            let month_s = row.get(0)?;
            // Whose a project is changes with a month.
            let is_theirs = |member: &&Member| {
                customer_id.is_none() || member.customers.at(month_s) == customer_id
            };
            let numbers: Vec<i64> =
                members.iter().filter(is_theirs).map(|member| member.no).collect();
            self.used(Grain::Month, month_s, period, &numbers)?;
            if self.is_done() {
                break;
            }
        }
        Ok(())
    }

    /// Walks a month, a day or an hour, as far as the window holds it, if some of the projects have
    /// entries in it.
    fn used(&mut self, grain: Grain, start_s: i64, period: Period, numbers: &[i64]) -> Result<()> {
        let after_s = grain.after(start_s);
        if after_s <= self.next.at_s.max(period.first_s()) || self.is_done() {
            return Ok(());
        }
        let mut used = Vec::new();
        let mut select = self.tx.sql().prepare_cached(USED)?;
        for number in numbers {
            let params = named_params! {
                ":grain": grain, ":start_s": start_s, ":project_no": number,
            };
            if select.exists(params)? {
                used.push(*number);
            }
        }
        if used.is_empty() {
            return Ok(());
        }
        let finer = match grain {
            Grain::Month => Grain::Day,
            Grain::Day => Grain::Hour,
            Grain::Hour | Grain::Second => {
                let first_s = start_s.max(period.first_s());
                let within = Period::new(first_s, period.last_s().min(after_s - 1));
                return within.map_or(Ok(()), |within| self.stretch(within, Some(&used)));
            }
        };
        let mut part_s = start_s;
        while part_s < after_s && part_s <= period.last_s() && !self.is_done() {
            self.used(finer, part_s, period, &used)?;
            part_s = finer.after(part_s);
        }
        Ok(())
    }

    /// Walks a stretch from one second and project that have records to the next; of some projects,
    /// by leaps over what lies between them.
    fn stretch(&mut self, period: Period, numbers: Option<&[i64]>) -> Result<()> {
        let start = ListPosition { at_s: period.first_s(), project_no: 0, seq: 0 };
        self.next = self.next.max(start);
        while !self.is_done() {
            let Some((at_s, project_no)) = self.group(period.last_s())? else {
                return Ok(());
            };
            let wanted = match numbers {
                None => Some(project_no),
                Some(numbers) => {
                    numbers.get(numbers.partition_point(|number| *number < project_no)).copied()
                }
            };
            match wanted {
                Some(wanted) if wanted == project_no => self.take(at_s, project_no)?,
                Some(wanted) => self.next = ListPosition { at_s, project_no: wanted, seq: 0 },
                None => {
                    let first = numbers.and_then(|numbers| numbers.first()).copied();
                    let project_no = first.unwrap_or_default();
                    self.next = ListPosition { at_s: at_s + 1, project_no, seq: 0 };
                }
            }
        }
        Ok(())
    }

    /// The second and project from the place on that have records.
    fn group(&self, last_s: i64) -> Result<Option<(i64, i64)>> {
        let select = if self.voided { NEXT_VOID } else { NEXT };
        let ListPosition { at_s, project_no, .. } = self.next;
        let params = named_params! {
            ":at_s": at_s, ":project_no": project_no, ":last_s": last_s,
        };
        let mut select = self.tx.sql().prepare_cached(select)?;
        Ok(select.query_row(params, |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
    }

    /// Takes the records of a second and project, and goes on behind what was taken.
    fn take(&mut self, at_s: i64, project_no: i64) -> Result<()> {
        let start = ListPosition { at_s, project_no, seq: 0 };
        self.next = self.next.max(start);
        let selects: &[&str] = if self.voided { &[VOID] } else { &[FIRST, CROWD] };
        for select in selects {
            let params = named_params! {
                ":at_s": at_s,
                ":project_no": project_no,
                ":seq": self.next.seq,
                ":last_seq": self.last_seq,
                ":most": i64::try_from(self.most - self.found.len()).unwrap_or(i64::MAX),
            };
            let mut select = self.tx.sql().prepare_cached(select)?;
            let mut rows = select.query(params)?;
            while let Some(row) = rows.next()? {
                self.next.seq = row.get(0)?;
                self.found.push(row.get(1)?);
            }
            if self.is_done() {
                return Ok(());
            }
        }
        self.next = ListPosition { at_s, project_no: project_no + 1, seq: 0 };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::event::Stamp;
    use crate::billing::period::LAST_SECOND;
    use crate::billing::record::{NewRecord, UsedAt};
    use crate::store::usage::Slice;
    use crate::store::{Error, Store};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// The first second of a month, long before the clock of the stamp.
    const MONTH_S: i64 = 1_761_955_200;

    fn books() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("books");
        Store::create(&path, |_| Ok::<_, Error>(())).expect("new books");
        let store = Store::open(&path).expect("the books");
        (folder, store)
    }

    /// Records usage of many projects, and voids every hundredth record. Of those below 100,000
    /// every five hundredth is of project 7.
    fn record(store: &mut Store, numbers: std::ops::Range<i64>, at_s: impl Fn(i64) -> i64) {
        let stamp = Stamp { at_s: MONTH_S + 90 * 86_400, actor: Actor::Test };
        let written = store.write(|tx| {
            Slice::write(tx, &stamp, |slice| {
                for number in numbers {
                    let is_seven = number < 100_000 && number % 500 == 7;
                    let project = if is_seven { 7 } else { 8 + number % 40 };
                    let id: RecordId = format!("r{number}").parse().expect("an id");
                    let new = NewRecord {
                        id: id.clone(),
                        project_id: format!("p{project}").parse().expect("an id"),
                        amount: 1.into(),
                        at: UsedAt::Second(at_s(number)),
                        customer_id: format!("c{project}").parse().ok(),
                        note: None,
                    };
                    slice.record(&new)?.expect("a good record");
                    if number % 100 == 7 {
                        slice.void(&id, &"a mistake".parse().expect("words"))?;
                    }
                }
                Ok::<_, Error>(())
            })
        });
        written.expect("written");
    }

    fn filters() -> [RecordFilter; 6] {
        let period = Period::new(0, LAST_SECOND).expect("a window");
        let all = RecordFilter { period, project_id: None, customer_id: None, voided: false };
        let day = Period::new(MONTH_S + 86_400, MONTH_S + 2 * 86_400 - 1).expect("a window");
        let (project_id, customer_id) = ("p7".parse().ok(), "c7".parse().ok());
        [
            all.clone(),
            RecordFilter { period: day, ..all.clone() },
            RecordFilter { voided: true, ..all.clone() },
            RecordFilter { project_id: project_id.clone(), ..all.clone() },
            RecordFilter { customer_id, ..all.clone() },
            RecordFilter { project_id, voided: true, ..all },
        ]
    }

    /// The steps of SQLite's machine that the first ten records of each list take.
    fn steps(store: &mut Store) -> Vec<u64> {
        let count = |filter: RecordFilter| {
            store.read(|tx| {
                let steps = Arc::new(AtomicU64::new(0));
                let counted = Arc::clone(&steps);
                let count = move || {
                    counted.fetch_add(1, Ordering::Relaxed);
                    false
                };
                tx.sql().progress_handler(1, Some(count))?;
                let found = RecordList::start(tx, filter)?.part(tx, 10)?;
                tx.sql().progress_handler(0, None::<fn() -> bool>)?;
                assert_eq!(found.len(), 10);
                Ok::<_, Error>(steps.load(Ordering::Relaxed))
            })
        };
        filters().map(count).map(|steps| steps.expect("a list")).into()
    }

    #[test]
    fn a_list_costs_what_it_shows_however_many_records_lie_behind_it() {
        let (_folder, mut store) = books();
        // In the hours of odd numbers; every other record is one of a crowd, dated a minute's first
        // second.
        let at_s = |number: i64| {
            let hour_s = MONTH_S + 3_600 * (number / 100 * 2 + 1);
            hour_s + if number % 2 == 0 { number % 100 * 36 } else { number % 10 * 60 }
        };
        record(&mut store, 0..12_000, at_s);
        let few = steps(&mut store);
        // Four times as many in the hours between, none of them of the project that is listed.
        let at_s = |number: i64| MONTH_S + 3_600 * (number / 400 % 120 * 2) + number % 400 * 9;
        record(&mut store, 100_000..148_000, at_s);
        let many = steps(&mut store);
        for (few, many) in few.iter().zip(&many) {
            // A record takes some 200 steps where it has a second of its own.
            assert!(*many <= 2_500.max(few + few / 10), "{few} steps became {many}");
        }
    }

    #[test]
    fn each_way_to_find_records_goes_by_an_index() {
        let (_folder, mut store) = books();
        let mut plan = |select: &str| {
            store.read(|tx| {
                let mut plan = tx.sql().prepare(&format!("explain query plan {select}"))?;
                let nothing = vec![0; plan.parameter_count()];
                let lines =
                    plan.query_map(rusqlite::params_from_iter(nothing), |row| row.get(3))?;
                Ok::<Vec<String>, Error>(lines.collect::<rusqlite::Result<_>>()?)
            })
        };
        let plans = [
            (MONTHS, vec!["usage_month USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"]),
            (USED, vec!["usage_rollup USING PRIMARY KEY (grain=? AND start_s=? AND project_no=?)"]),
            (
                NEXT,
                vec!["COVERING INDEX usage_ledger_by_time ((at_s,project_no)>(?,?) AND at_s<?)"],
            ),
            (NEXT_VOID, vec!["INDEX usage_ledger_void ((at_s,project_no)>(?,?) AND at_s<?)"]),
            (
                FIRST,
                vec!["COVERING INDEX usage_ledger_by_time (at_s=? AND project_no=? AND rowid>?"],
            ),
            (CROWD, vec!["INDEX usage_ledger_crowd (at_s=? AND project_no=? AND rowid>?"]),
            (VOID, vec!["INDEX usage_ledger_void (at_s=? AND project_no=? AND rowid>?"]),
            (
                RECORD,
                vec![
                    "SEARCH r USING INTEGER PRIMARY KEY (rowid=?)",
                    "SEARCH p USING INTEGER PRIMARY KEY (rowid=?)",
                    "SEARCH a USING INTEGER PRIMARY KEY (rowid=?)",
                    "SEARCH v USING INDEX usage_ledger_reversal (reverses_seq=?",
                    "SEARCH w USING INTEGER PRIMARY KEY (rowid=?)",
                ],
            ),
        ];
        for (select, wanted) in plans {
            let steps = plan(select);
            let steps = steps.expect("a plan");
            assert_eq!(steps.len(), wanted.len(), "{select}: {steps:?}");
            for (step, wanted) in steps.iter().zip(wanted) {
                assert!(step.starts_with("SEARCH") && step.contains(wanted), "{select}: {step}");
            }
        }
    }
}
