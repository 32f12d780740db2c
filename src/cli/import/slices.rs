//! Rows of an import written to the books: in slices that commit within some 50 ms and let others
//! have the lock in between; in a dry run to scratch books.

use crate::billing::amount::Amount;
use crate::billing::id::{CustomerId, ProjectId};
use crate::billing::period::Period;
use crate::billing::record::{NewRecord, usual_dates};
use crate::billing::setting::UnknownProjects;
use crate::cli::command::Shell;
use crate::cli::import::row::{BadRow, NoRow, Row};
use crate::cli::import::tally::{NAMED, Tally};
use crate::cli::statement::ToldAlready;
use crate::cli::{moment, record};
use crate::store::scratch::{self, Scratch};
use crate::store::usage::{RecordOutcome, RecordRefusal, Slice, VoidOutcome};
use crate::store::{self, ReadTx, Store, license, project, setting};
use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// How long a slice takes rows at most; its sums and its way to the disk come on top.
const SLICE: Duration = Duration::from_millis(35);
/// How long a slice may hold the lock in all: where it has been longer, the next one takes rows for
/// less time.
const HELD: Duration = Duration::from_millis(48);
/// How long the first slice takes rows, since nothing is known yet of what theirs cost.
const FIRST: Duration = Duration::from_millis(6);
/// How long others have the lock to themselves between two slices: those who wait for it ask every
/// few milliseconds.
pub(super) const PAUSE: Duration = Duration::from_millis(4);
/// For how many bad rows it is looked up what is near their ids.
const MAX_NEAR: usize = 20;
/// Of how many projects is kept when they were disabled: a file may have one a row.
const MAX_KNOWN: usize = 10_000;

/// The slices of an import, one after the other.
pub(super) struct Slices {
    /// What is written to where nothing is to be changed.
    scratch: Option<Scratch>,
    store: Store,
    /// How long the next slice takes rows.
    takes: Duration,
    known: Known,
    /// Whether projects and customers that are not in the books are meant.
    are_meant: bool,
}

/// What a slice took, and has committed.
pub(super) struct Taken {
    /// Why the import stops, where a row was bad and is not to be passed over.
    pub(super) stopped: Option<String>,
    /// The bad rows that were passed over.
    pub(super) bad: Vec<BadRow>,
    pub(super) news: Tally,
}

impl Slices {
    pub(super) fn new(store: Store, scratch: Option<Scratch>, now_s: i64, are_meant: bool) -> Self {
        let known = Known {
            looks_near: MAX_NEAR,
            named: HashSet::new(),
            disabled_in: HashMap::new(),
            told: ToldAlready::default(),
            usual: usual_dates(now_s),
        };
        Self { scratch, store, takes: FIRST, known, are_meant }
    }

    /// How much usage of projects that got a customer stays uncovered, though licenses of the
    /// customer are good for its time; the first few of those that have any.
    ///
    /// # Errors
    /// When SQLite fails.
    pub(super) fn uncovered<'t>(
        &mut self,
        bound: &'t [(ProjectId, CustomerId)],
        now_s: i64,
    ) -> store::Result<Vec<(&'t ProjectId, &'t CustomerId, Amount)>> {
        let mut uncovered = Vec::new();
        for (id, customer_id) in bound {
            let amount =
                self.store.read(|tx| license::uncovered_before(tx, id, customer_id, now_s))?;
            if !amount.is_zero() {
                uncovered.push((id, customer_id, amount));
            }
            if uncovered.len() == NAMED {
                break;
            }
        }
        Ok(uncovered)
    }

    /// Takes as many of `rows` as fit a slice, and commits them. Unless the import `goes_on`, a bad
    /// row ends it.
    ///
    /// # Errors
    /// When SQLite fails.
    pub(super) fn take(
        &mut self,
        rows: impl Iterator<Item = Result<Row, NoRow>>,
        goes_on: bool,
        shell: &Shell<'_>,
    ) -> store::Result<Taken> {
        let Self { scratch, store, takes, known, are_meant } = self;
        // Scratch books have no settings of their own.
        let unknown = |books: &ReadTx<'_>| {
            if *are_meant {
                Ok(UnknownProjects::Register)
            } else {
                setting::read(books).map(|settings| settings.unknown_projects())
            }
        };
        let mut began = Instant::now();
        let taken = match scratch {
            None => store.write(|tx| {
                // Only now is the lock had.
                began = Instant::now();
                known.told.refresh(tx)?;
                Slice::write(tx, &shell.stamp(), |slice| {
                    slice.set_unknown_projects(unknown(tx)?);
                    fill(tx, slice, rows, began + *takes, goes_on, known, |_| Ok(()))
                })
            }),
            Some(scratch) => scratch.write(store, |books, tx| {
                known.told.refresh(books)?;
                let stamp = shell.stamp();
                Slice::write(tx, &stamp, |slice| {
                    slice.set_unknown_projects(unknown(books)?);
                    let bring = |new: &NewRecord| scratch::bring(books, tx, new, &stamp);
                    fill(books, slice, rows, began + *takes, goes_on, known, bring)
                })
            }),
        }?;
        // Many different sums take longer to write than their rows to take. What the commit moves
        // into the file itself counts too, although others have the lock by then.
        *takes = if began.elapsed() > HELD {
            (*takes / 2).max(Duration::from_millis(2))
        } else {
            (*takes * 9 / 8).min(SLICE)
        };
        Ok(taken)
    }
}

/// Takes rows, those that are at hand until `until`, or until one is bad where the import does not
/// go on. What decides about a record is brought by `bring`.
fn fill(
    books: &ReadTx<'_>,
    slice: &mut Slice<'_, '_>,
    rows: impl Iterator<Item = Result<Row, NoRow>>,
    until: Instant,
    goes_on: bool,
    known: &mut Known,
    bring: impl Fn(&NewRecord) -> store::Result<()>,
) -> store::Result<Taken> {
    let mut taken = Taken { stopped: None, bad: Vec::new(), news: Tally::default() };
    for row in rows {
        let bad = match row {
            Err(NoRow::Blank) => {
                taken.news.blank += 1;
                None
            }
            Err(NoRow::Bad(bad)) => {
                taken.news.read += 1;
                Some(bad)
            }
            Ok(row) => {
                taken.news.read += 1;
                bring(&row.record)?;
                take_row(books, slice, row, &mut taken.news, known)?
            }
        };
        if let Some(bad) = bad {
            taken.news.rejected += 1;
            if !goes_on {
                taken.stopped = Some(format!("line {}: {}", bad.line, bad.reason));
                break;
            }
            taken.bad.push(bad);
        }
        if Instant::now() >= until {
            break;
        }
    }
    Ok(taken)
}

/// Records a row; gives it back with the reason where it cannot be.
fn take_row(
    books: &ReadTx<'_>,
    slice: &mut Slice<'_, '_>,
    row: Row,
    news: &mut Tally,
    known: &mut Known,
) -> store::Result<Option<BadRow>> {
    let Row { line, record: new, void, others, text } = row;
    // A first row that names another customer than the books is more likely mistyped.
    slice.set_follows_moves(known.named.contains(&new.project_id));
    match slice.record(&new)? {
        Err(refusal) => {
            let near = known.near_ids(books, &refusal, &new)?;
            let reason = record::refused(&refusal, &new, &near).to_string();
            return Ok(Some(BadRow { line, reason, text }));
        }
        Ok(RecordOutcome::Already(_)) => news.duplicates += 1,
        Ok(RecordOutcome::Written { record, registered }) => {
            news.recorded += 1;
            news.date(record.at_s, &known.usual);
            if registered.project {
                news.new_projects.add(&record.project_id);
            }
            if let (true, Some(customer_id)) = (registered.customer, &new.customer_id) {
                news.new_customers.add(customer_id);
            }
            if let Some(from_s) = registered.billed_from_s.filter(|from_s| *from_s > 0) {
                news.billed_from.entry(from_s).or_default().add(&record.project_id);
            }
            if let Some(customer_id) = &new.customer_id {
                let id = &record.project_id;
                if registered.moved {
                    let month = moment::month(record.at_s);
                    news.moved.add(&format!("{id} from {month} to {customer_id}"));
                }
                if registered.bound {
                    news.bound.push((id.clone(), customer_id.clone()));
                }
            }
            let is_disabled = known.is_disabled(books, &record.project_id, record.at_s)?;
            if is_disabled && !news.disabled.contains(&record.project_id) {
                news.disabled.insert(record.project_id);
            }
            known.told.tally(record.at_s, &mut news.late);
        }
    }
    if new.customer_id.is_some() && !known.named.contains(&new.project_id) {
        known.named.insert(new.project_id.clone());
    }
    if let Some(others) = others {
        news.others.add(&others);
    }
    if let Some(reason) = &void {
        let voided = slice.void(&new.id, reason)?;
        news.voided += u64::from(matches!(voided, Some(VoidOutcome::Done(_))));
    }
    Ok(None)
}

/// What is looked up of usage that is recorded.
struct Known {
    /// For how many bad rows it may still be looked up what is near their ids.
    looks_near: usize,
    /// The projects that rows so far named the right customer of.
    named: HashSet<ProjectId>,
    /// When projects were disabled, of those that rows were recorded for.
    disabled_in: HashMap<ProjectId, Vec<Period>>,
    /// What Agora has been told already.
    told: ToldAlready,
    /// When usage is mostly dated.
    usual: RangeInclusive<i64>,
}

impl Known {
    /// What is near an id that is not in the books; of the first bad rows alone, since all ids are
    /// read for it.
    fn near_ids(
        &mut self,
        books: &ReadTx<'_>,
        refusal: &RecordRefusal,
        new: &NewRecord,
    ) -> store::Result<String> {
        let is_unknown =
            matches!(refusal, RecordRefusal::UnknownProject | RecordRefusal::UnknownCustomer);
        if !is_unknown || self.looks_near == 0 {
            return Ok(String::new());
        }
        self.looks_near -= 1;
        record::near_ids(books, refusal, new)
    }

    /// Whether a project was disabled at a time, in Unix seconds.
    fn is_disabled(
        &mut self,
        books: &ReadTx<'_>,
        project_id: &ProjectId,
        at_s: i64,
    ) -> store::Result<bool> {
        if !self.disabled_in.contains_key(project_id) {
            if self.disabled_in.len() >= MAX_KNOWN {
                self.disabled_in.clear();
            }
            self.disabled_in.insert(project_id.clone(), project::disabled_in(books, project_id)?);
        }
        let windows = &self.disabled_in[project_id];
        Ok(windows.iter().any(|window| (window.first_s()..=window.last_s()).contains(&at_s)))
    }
}
