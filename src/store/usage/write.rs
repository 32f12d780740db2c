//! Writing records, and taking them back.

use crate::billing::amount::Amount;
use crate::billing::event::Stamp;
use crate::billing::history::History;
use crate::billing::id::{CustomerId, ProjectId, RecordId, Words};
use crate::billing::license::{Draw, Drawable, draw};
use crate::billing::period::Grain;
use crate::billing::record::{MAX_AHEAD_S, NewRecord, Record, Void};
use crate::billing::setting::UnknownProjects;
use crate::store::column::covered;
use crate::store::project::{self, FoundProject, Registration};
use crate::store::rollup::{self, UsageSum};
use crate::store::usage::find::find;
use crate::store::{Result, WriteTx, actor, customer, license, setting};
use rusqlite::{ToSql, named_params};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// What came of writing a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordOutcome {
    /// It is in the ledger now.
    Written {
        /// As it stands.
        record: Record,
        /// What was not known before and had to be registered for it.
        registered: Registration,
    },
    /// It was there already, with the same content; nothing was changed.
    Already(Record),
}

impl RecordOutcome {
    /// The record as it stands.
    pub fn record(&self) -> &Record {
        match self {
            Self::Written { record, .. } | Self::Already(record) => record,
        }
    }
}

/// Why a record was not written; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordRefusal {
    /// Its amount is zero or below.
    NotPositive,
    /// It is dated too far ahead of the clock.
    Ahead {
        /// The second for which it is meant, in Unix seconds.
        at_s: i64,
    },
    /// Its id stands with other content.
    OtherContent(Box<Record>),
    /// Its project was another customer's at its time.
    OtherCustomer {
        /// Whose it was.
        owner: CustomerId,
        /// The record's time, in Unix seconds.
        at_s: i64,
    },
    /// Its project is not in the books, and is not to be registered.
    UnknownProject,
    /// The same of the customer whose project it is said to be.
    UnknownCustomer,
}

/// Writes a usage record, with its sums and with what it draws from licenses, unless it is there
/// already.
///
/// # Errors
/// When SQLite fails; a [`RecordRefusal`] inside when the record may not be written.
pub fn record(
    tx: &WriteTx<'_>,
    new: &NewRecord,
    stamp: &Stamp,
) -> Result<Result<RecordOutcome, RecordRefusal>> {
    Slice::write(tx, stamp, |slice| slice.record(new))
}

/// Takes a record back by a reversing entry dated as the record is, so that every window that held
/// it loses it, and gives back to licenses what it drew; `None` where there is no such record.
///
/// # Errors
/// When SQLite fails.
pub fn void(
    tx: &WriteTx<'_>,
    id: &RecordId,
    reason: &Words,
    stamp: &Stamp,
) -> Result<Option<VoidOutcome>> {
    Slice::write(tx, stamp, |slice| slice.void(id, reason))
}

/// Records that are written, and taken back, in one transaction. What they have in common is read
/// once, and the sums are written once, when all of them are.
pub struct Slice<'t, 'c> {
    tx: &'t WriteTx<'c>,
    stamp: &'t Stamp,
    /// The number of whose stamp it is; `None` until something is written.
    actor_no: Option<i64>,
    /// The projects that records were written for so far.
    projects: HashMap<ProjectId, OpenProject>,
    /// What is left to draw from, of the customers of those projects.
    drawable: HashMap<CustomerId, DrawableFrom>,
    /// Whether a record moves a project that only records have named to the customer that it tells.
    follows_moves: bool,
    /// The months that entries were written of, by their first seconds, with the last one of each.
    months: BTreeMap<i64, i64>,
    /// The one of them that an entry was last written of.
    month: Range<i64>,
    /// What becomes of a project or customer that is not in the books; `None` until that is asked.
    unknown_projects: Option<UnknownProjects>,
}

/// What was found for a record that is to be written.
enum Opening {
    /// Its project, which is in the books now; what was registered for that.
    Project(Registration),
    /// A record of its id.
    Stands(Box<Record>),
}

/// A project that is in the books, and what is to be added to its sums.
struct OpenProject {
    no: i64,
    customers: History<CustomerId>,
    sums: BTreeMap<(Grain, i64), UsageSum>,
}

/// What is left of a customer's licenses to draw from.
struct DrawableFrom {
    /// The first second whose usage may draw: licenses that ended before it are not among them.
    from_s: i64,
    licenses: Vec<Drawable>,
}

impl OpenProject {
    fn new(FoundProject { no, customers }: FoundProject) -> Self {
        Self { no, customers, sums: BTreeMap::new() }
    }

    /// Tells whether a record names nobody, or whose the project was at its time.
    fn agrees_with(&self, new: &NewRecord, at_s: i64) -> bool {
        is_owned(&self.customers, new, at_s)
    }

    fn add(&mut self, at_s: i64, in_crowd: bool, entry: &UsageSum) {
        for grain in Grain::WHOLE.into_iter().chain(in_crowd.then_some(Grain::Second)) {
            self.sums.entry((grain, grain.floor(at_s))).or_default().add(entry);
        }
    }
}

impl<'t, 'c> Slice<'t, 'c> {
    /// Lets `f` write, and writes the sums of what it wrote; `stamp` is that of all of it.
    ///
    /// # Errors
    /// When SQLite fails; whatever `f` fails with: then the transaction must not be committed.
    pub fn write<T, E: From<crate::store::Error>>(
        tx: &'t WriteTx<'c>,
        stamp: &'t Stamp,
        f: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut slice = Self {
            tx,
            stamp,
            actor_no: None,
            projects: HashMap::new(),
            drawable: HashMap::new(),
            follows_moves: false,
            months: BTreeMap::new(),
            month: 0..0,
            unknown_projects: None,
        };
        let done = f(&mut slice)?;
        slice.write_sums()?;
        Ok(done)
    }

    /// Says whether the next records move projects that nobody announced: one that names another
    /// customer in a month without usage moves its project from that month on. So the file that
    /// `export` writes is taken by books that do not know of the moves.
    pub fn set_follows_moves(&mut self, follows: bool) {
        self.follows_moves = follows;
    }

    /// Says what becomes of a project or customer that is not in the books; without this, the
    /// setting decides.
    pub fn set_unknown_projects(&mut self, becomes: UnknownProjects) {
        self.unknown_projects = Some(becomes);
    }

    /// Why a record is refused whose project or customer would have to be registered.
    fn unknown(
        &mut self,
        found: Option<&FoundProject>,
        new: &NewRecord,
        at_s: i64,
    ) -> Result<Option<RecordRefusal>> {
        let refusal = match (found, &new.customer_id) {
            (None, _) => RecordRefusal::UnknownProject,
            (Some(FoundProject { customers, .. }), Some(given))
                if (customers.is_empty() || self.follows_moves)
                    && FoundProject::nameable(customers, at_s) != Some(given)
                    && customer::find(self.tx, given)?.is_none() =>
            {
                RecordRefusal::UnknownCustomer
            }
            (Some(_), _) => return Ok(None),
        };
        let becomes = match self.unknown_projects {
            Some(becomes) => becomes,
            None => setting::read(self.tx)?.unknown_projects(),
        };
        self.unknown_projects = Some(becomes);
        Ok((becomes == UnknownProjects::Refuse).then_some(refusal))
    }

    /// The number of who writes.
    fn actor_no(&mut self) -> Result<i64> {
        let number = match self.actor_no {
            Some(number) => number,
            None => actor::number(self.tx, &self.stamp.actor)?,
        };
        self.actor_no = Some(number);
        Ok(number)
    }

    /// Takes note of an entry for its month.
    fn note(&mut self, at_s: i64, seq: i64) {
        if !self.month.contains(&at_s) {
            let month_s = Grain::Month.floor(at_s);
            self.month = month_s..Grain::Month.after(month_s);
        }
        self.months.insert(self.month.start, seq);
    }

    /// Writes a usage record unless it is there already.
    ///
    /// # Errors
    /// When SQLite fails; a [`RecordRefusal`] inside when the record may not be written.
    pub fn record(&mut self, new: &NewRecord) -> Result<Result<RecordOutcome, RecordRefusal>> {
        if !new.amount.is_positive() {
            return Ok(Err(RecordRefusal::NotPositive));
        }
        let at_s = new.at.second(self.stamp.at_s);
        let opened = match self.open(new, at_s)? {
            Ok(opened) => opened,
            Err(refusal) => return Ok(Err(refusal)),
        };
        match opened {
            Opening::Stands(stands) => Ok(stands_or_refused(*stands, new)),
            Opening::Project(registered) => self.enter(new, at_s, registered),
        }
    }

    /// Opens a record's project, so that it can be written for. A record that stands already is
    /// found before anything is registered for it.
    fn open(&mut self, new: &NewRecord, at_s: i64) -> Result<Result<Opening, RecordRefusal>> {
        let is_ahead = at_s > self.stamp.at_s + MAX_AHEAD_S;
        let is_open =
            self.projects.get(&new.project_id).is_some_and(|open| open.agrees_with(new, at_s));
        if is_open && !is_ahead {
            return Ok(Ok(Opening::Project(Registration::default())));
        }
        let found = project::look_up(self.tx, &new.project_id)?;
        let is_as_told = found.as_ref().is_some_and(|found| is_owned(&found.customers, new, at_s));
        if (is_ahead || !is_as_told)
            && let Some(stands) = find(self.tx, &new.id)?
        {
            return Ok(Ok(Opening::Stands(Box::new(stands))));
        }
        if is_ahead {
            return Ok(Err(RecordRefusal::Ahead { at_s }));
        }
        if let Some(refusal) = self.unknown(found.as_ref(), new, at_s)? {
            return Ok(Err(refusal));
        }
        let registered = self.register(new, found, at_s)?;
        Ok(registered
            .map(Opening::Project)
            .map_err(|owner| RecordRefusal::OtherCustomer { owner, at_s }))
    }

    /// Enters a record of a project that is open into the ledger and the sums, with what it draws
    /// from licenses.
    fn enter(
        &mut self,
        new: &NewRecord,
        at_s: i64,
        registered: Registration,
    ) -> Result<Result<RecordOutcome, RecordRefusal>> {
        let (now_s, actor_no) = (self.stamp.at_s, self.actor_no()?);
        let draws = self.draws(new, at_s)?;
        let open = self.projects.get_mut(&new.project_id).expect("it has just been made sure of");
        let covered: Amount = draws.iter().map(|draw| &draw.amount).sum();
        let written = EntryPlace { project_no: open.no, at_s, now_s, actor_no };
        let Some((seq, in_crowd)) = insert(self.tx, new, &written, &covered)? else {
            let stands = find(self.tx, &new.id)?.expect("its id is taken");
            return Ok(stands_or_refused(stands, new));
        };
        license::write_draws(self.tx, &draws, seq, now_s)?;
        let owner = open.customers.at(at_s).cloned();
        if let Some(left) = owner.as_ref().and_then(|owner| self.drawable.get_mut(owner)) {
            take(&mut left.licenses, &draws);
        }
        let entry = UsageSum { amount: new.amount.clone(), covered: covered.clone(), records: 1 };
        open.add(at_s, in_crowd, &entry);
        let record = Record {
            id: new.id.clone(),
            project_id: new.project_id.clone(),
            amount: new.amount.clone(),
            covered,
            at_s,
            customer_then: owner.clone(),
            customer_id: owner,
            void: None,
        };
        self.note(at_s, seq);
        Ok(Ok(RecordOutcome::Written { record, registered }))
    }

    /// Makes sure that a record's project is in the books, and is whose the record says; inside,
    /// the customer who has it at the record's time, where that is another.
    fn register(
        &mut self,
        new: &NewRecord,
        found: Option<FoundProject>,
        at_s: i64,
    ) -> Result<Result<Registration, CustomerId>> {
        let (tx, id, given) = (self.tx, &new.project_id, new.customer_id.as_ref());
        let (news, found) = match project::register(tx, id, found, given, at_s, self.stamp)? {
            Ok(registered) => registered,
            Err(owner) => match self.follow(new, at_s)? {
                Some(followed) => followed,
                None => return Ok(Err(owner)),
            },
        };
        match self.projects.get_mut(id) {
            Some(open) => open.customers = found.customers,
            None => drop(self.projects.insert(id.clone(), OpenProject::new(found))),
        }
        Ok(Ok(news))
    }

    /// Moves a record's project to the customer that it tells, from its month on; `None` where
    /// records do not, where the project was announced, and where there is usage of that month,
    /// which is another customer's.
    fn follow(&self, new: &NewRecord, at_s: i64) -> Result<Option<(Registration, FoundProject)>> {
        let (tx, id, month_s) = (self.tx, &new.project_id, Grain::Month.floor(at_s));
        let (true, Some(given)) = (self.follows_moves, &new.customer_id) else {
            return Ok(None);
        };
        let Some(found) = project::look_up(tx, id)?.filter(|found| !found.customers.is_empty())
        else {
            return Ok(None);
        };
        // What this slice has written is not in the books' sums yet.
        let sums = self.projects.get(id).map(|open| &open.sums);
        let months = sums.into_iter().flat_map(BTreeMap::keys);
        let months =
            months.filter(|(grain, _)| *grain == Grain::Month).map(|(_, start_s)| *start_s);
        let (used, next_s) = rollup::used_months(tx, found.no, month_s)?;
        let next_s = months.clone().filter(|start_s| *start_s > month_s).chain(next_s).min();
        if used
            || months.clone().any(|start_s| start_s == month_s)
            || !project::is_only_recorded(tx, id)?
        {
            return Ok(None);
        }
        project::follow(tx, id, found, given, month_s, next_s, self.stamp).map(Some)
    }

    /// What a record of a project that is open draws from the licenses of whose it was at its time.
    fn draws(&mut self, new: &NewRecord, at_s: i64) -> Result<Vec<Draw>> {
        let open = self.projects.get(&new.project_id);
        let Some(owner) = open.and_then(|open| open.customers.at(at_s)) else {
            return Ok(Vec::new());
        };
        if self.drawable.get(owner).is_none_or(|left| left.from_s > at_s) {
            // From the month's start: rows of a file are dated this way and that.
            let from_s = Grain::Month.floor(at_s);
            let licenses = license::drawable(self.tx, owner, from_s)?;
            self.drawable.insert(owner.clone(), DrawableFrom { from_s, licenses });
        }
        Ok(draw(&self.drawable[owner].licenses, at_s, &new.amount))
    }

    /// Takes a record back; `None` where there is no such record.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn void(&mut self, id: &RecordId, reason: &Words) -> Result<Option<VoidOutcome>> {
        let Some(record) = find(self.tx, id)? else {
            return Ok(None);
        };
        if record.void.is_some() {
            return Ok(Some(VoidOutcome::Already(record)));
        }
        let (now_s, actor_no) = (self.stamp.at_s, self.actor_no()?);
        // Never the first of its second: the record is there.
        let reversal = UsageSum { amount: -&record.amount, covered: -&record.covered, records: -1 };
        const INSERT: &str = "
            insert into usage_ledger
              (project_no, at_s, amount, covered, recorded_at_s, reverses_seq, in_crowd, note,
              actor_no)
            select project_no, at_s, :amount, :covered, :recorded_at_s, seq, 1, :reason, :actor_no
            from usage_ledger
            where record_id = :record_id
            returning seq";
        let params = named_params! {
            ":amount": reversal.amount,
            ":covered": covered(&reversal.covered),
            ":recorded_at_s": now_s,
            ":reason": reason,
            ":actor_no": actor_no,
            ":record_id": id,
        };
        let seq = self.tx.sql().prepare_cached(INSERT)?.query_row(params, |row| row.get(0))?;
        license::give_back(self.tx, id, seq, now_s)?;
        // What can be drawn from has changed.
        self.drawable.clear();
        if !self.projects.contains_key(&record.project_id) {
            let found = project::look_up(self.tx, &record.project_id)?;
            let open = OpenProject::new(found.expect("a record's project is in the books"));
            self.projects.insert(record.project_id.clone(), open);
        }
        let open =
            self.projects.get_mut(&record.project_id).expect("it has just been made sure of");
        open.add(record.at_s, true, &reversal);
        self.note(record.at_s, seq);
        let void = Some(Void { at_s: now_s, reason: reason.clone() });
        Ok(Some(VoidOutcome::Done(Record { void, ..record })))
    }

    /// Writes the sums, and up to where the months are written.
    fn write_sums(self) -> Result<()> {
        let mut sums: Vec<(Grain, i64, i64, &UsageSum)> = Vec::new();
        for open in self.projects.values() {
            sums.extend(
                open.sums.iter().map(|((grain, start_s), sum)| (*grain, *start_s, open.no, sum)),
            );
        }
        const MONTH: &str = "
            insert into usage_month (month_s, last_seq)
            values (:month_s, :last_seq)
            on conflict (month_s) do update
            set last_seq = excluded.last_seq";
        for (month_s, last_seq) in &self.months {
            let params = named_params! { ":month_s": month_s, ":last_seq": last_seq };
            self.tx.sql().prepare_cached(MONTH)?.execute(params)?;
        }
        // Grain by grain in the order in which they are kept, so that neighbours are written
        // together.
        sums.sort_unstable_by_key(|(grain, start_s, project_no, _)| {
            (*grain, *start_s, *project_no)
        });
        for (grain, start_s, project_no, sum) in sums {
            rollup::add(self.tx, grain, start_s, project_no, sum)?;
        }
        Ok(())
    }
}

/// What comes of a record whose id stands already.
fn stands_or_refused(stands: Record, new: &NewRecord) -> Result<RecordOutcome, RecordRefusal> {
    if stands.agrees_with(new) {
        Ok(RecordOutcome::Already(stands))
    } else {
        Err(RecordRefusal::OtherContent(Box::new(stands)))
    }
}

/// Tells whether a project of these customers is as a record says: whose it was at its time, where
/// that is given.
fn is_owned(customers: &History<CustomerId>, new: &NewRecord, at_s: i64) -> bool {
    new.customer_id.is_none() || FoundProject::nameable(customers, at_s) == new.customer_id.as_ref()
}

/// Takes what was drawn off what is left to draw from.
fn take(licenses: &mut [Drawable], draws: &[Draw]) {
    for draw in draws {
        let license = licenses.iter_mut().find(|license| license.seq == draw.license_seq);
        if let Some(balance) = license.and_then(|license| license.balance.as_mut()) {
            *balance -= &draw.amount;
        }
    }
}

/// Where and when a record is written.
struct EntryPlace {
    project_no: i64,
    /// When it was used.
    at_s: i64,
    /// When it is recorded.
    now_s: i64,
    actor_no: i64,
}

/// Puts a record into the ledger; tells its place and whether its project has an entry in that
/// second already, or `None` where its id is taken.
fn insert(
    tx: &WriteTx<'_>,
    new: &NewRecord,
    written: &EntryPlace,
    by_licenses: &Amount,
) -> Result<Option<(i64, bool)>> {
    // The first of its second unless there is one; asked of the index that has to be written
    // anyway.
    const FIRST: &str = "
        insert into usage_ledger
          (record_id, project_no, at_s, amount, covered, recorded_at_s, in_crowd, note, actor_no)
        values
          (:record_id, :project_no, :at_s, :amount, :covered, :recorded_at_s, 0, :note, :actor_no)
        on conflict (at_s, project_no) where in_crowd = 0 do nothing";
    const FURTHER: &str = "
        insert into usage_ledger
          (record_id, project_no, at_s, amount, covered, recorded_at_s, in_crowd, note, actor_no)
        values
          (:record_id, :project_no, :at_s, :amount, :covered, :recorded_at_s, 1, :note, :actor_no)";
    let params: &[(&str, &dyn ToSql)] = named_params! {
        ":record_id": new.id,
        ":project_no": written.project_no,
        ":at_s": written.at_s,
        ":amount": new.amount,
        ":covered": covered(by_licenses),
        ":recorded_at_s": written.now_s,
        ":note": new.note,
        ":actor_no": written.actor_no,
    };
    for (insert, in_crowd) in [(FIRST, false), (FURTHER, true)] {
        match tx.sql().prepare_cached(insert)?.execute(params) {
            Ok(0) => {}
            Ok(_) => return Ok(Some((tx.sql().last_insert_rowid(), in_crowd))),
            Err(error) if is_taken(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
    unreachable!("without a conflict clause an insert inserts or fails")
}

/// Tells whether an insert failed because the record's id is there.
fn is_taken(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    code == Some(rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE)
}

/// What came of taking a record back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VoidOutcome {
    /// It counts no more.
    Done(Record),
    /// It had been taken back before; nothing was changed.
    Already(Record),
}
