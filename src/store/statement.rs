//! The ledger of what Agora was told, and what was recorded too late for it.

use crate::billing::amount::Amount;
use crate::billing::carry::{Carry, month_of};
use crate::billing::id::ProjectId;
use crate::billing::period::{Grain, Period};
use crate::billing::statement::{Billed, Digest, Entry, ListingKind, Segment, Statement, Timeline, Told};
use crate::billing::statement::{is_provisional, total};
use crate::store::carry::MonthBills;
use crate::store::column::{self, Covered};
use crate::store::rollup::UsageSum;
use crate::store::{ReadTx, Result, WriteTx, usage};
use rusqlite::{OptionalExtension, Row, named_params};
use std::collections::{BTreeMap, HashMap, HashSet};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "
        select seq, kind, first_s, last_s, first_asked_at_s, last_asked_at_s, asked, knew_seq, last_knew_seq, provisional,
          total, total_size, digest, carried
        from statement
        ",
            $rest
        )
    };
}

/// An answer that is to be kept. Times are Unix seconds.
pub struct Answer<'a> {
    /// Which listing it is.
    pub kind: ListingKind,
    /// The window.
    pub period: Period,
    /// When page 1 was asked for.
    pub first_asked_at_s: i64,
    /// When and how often its last page went out.
    pub told: Count,
    /// `totalSize` as told.
    pub total_size: usize,
    /// What it says of each project, in the order of their ids.
    pub entries: &'a [Entry],
    /// Of the answer.
    pub digest: Digest,
    /// Whether it is a month's bill that looked at what earlier months had not been told: the first that was told of it.
    pub carried: bool,
    /// Whether it says of some projects what was told of them, and no news: then it is told again without knowing more.
    pub closed: bool,
    /// The newest statement that there was as it was made.
    pub after_seq: i64,
}

/// How often a statement was told, since that was last written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// How often its last page went out.
    pub asked: i64,
    /// When it last did, in Unix seconds.
    pub last_asked_at_s: i64,
    /// The last entry of the usage ledger with which it still was the answer.
    pub knew_seq: i64,
}

impl Count {
    /// The same without what it knew, where that is none of it.
    pub fn known_unless(self, closed: bool) -> Self {
        Self { knew_seq: if closed { 0 } else { self.knew_seq }, ..self }
    }

    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: Self) {
        self.asked += other.asked;
        self.last_asked_at_s = self.last_asked_at_s.max(other.last_asked_at_s);
        self.knew_seq = self.knew_seq.max(other.knew_seq);
    }
}

/// Keeps an answer, and tells its number: where it is the same as the last that was kept of its window, that one is
/// counted. `None` where it must not be told, since another bill has told something since it was made, perhaps the same: of
/// a month's bill one that carried, of one that carries any month's.
///
/// # Errors
/// When SQLite fails.
pub fn keep(tx: &WriteTx<'_>, answer: &Answer<'_>) -> Result<Option<i64>> {
    let provisional = is_provisional(answer.period, answer.first_asked_at_s);
    let same = last(tx, answer.kind, answer.period)?
        .filter(|last| last.digest == answer.digest && last.provisional == provisional);
    if let Some(same) = same {
        count(tx, same.seq, answer.told.known_unless(answer.closed))?;
        return Ok(Some(same.seq));
    }
    if is_months_bill(answer.kind, answer.period, provisional)
        && was_billed_after(tx, answer.after_seq, answer.carried)?
    {
        return Ok(None);
    }
    const INSERT: &str = "
        insert into statement
          (kind, first_s, last_s, first_asked_at_s, last_asked_at_s, asked, knew_seq, last_knew_seq, provisional,
          carried, total, total_size, digest)
        values
          (:kind, :first_s, :last_s, :first_asked_at_s, :last_asked_at_s, :asked, :knew_seq, :knew_seq, :provisional,
          :carried, :total, :total_size, :digest)";
    tx.sql().prepare_cached(INSERT)?.execute(named_params! {
        ":kind": answer.kind,
        ":first_s": answer.period.first_s(),
        ":last_s": answer.period.last_s(),
        ":first_asked_at_s": answer.first_asked_at_s,
        // The clock may have been set back.
        ":last_asked_at_s": answer.told.last_asked_at_s.max(answer.first_asked_at_s),
        ":asked": answer.told.asked,
        ":knew_seq": answer.told.knew_seq,
        ":provisional": provisional,
        ":carried": answer.carried,
        ":total": total(answer.entries),
        ":total_size": i64::try_from(answer.total_size).unwrap_or(i64::MAX),
        ":digest": answer.digest,
    })?;
    let seq = tx.sql().last_insert_rowid();
    const INSERT_ENTRY: &str = "
        insert into statement_entry (statement_seq, place, project_id, amount, description, usage, covered, unpriced)
        values (:seq, :place, :project_id, :amount, :description, :usage, :covered, :unpriced)";
    let mut insert = tx.sql().prepare_cached(INSERT_ENTRY)?;
    for (place, Entry { project_id, told, billed }) in (0_i64..).zip(answer.entries) {
        insert.execute(named_params! {
            ":seq": seq,
            ":place": place,
            ":project_id": project_id,
            ":amount": told.as_ref().map(|told| &told.amount),
            ":description": told.as_ref().map(|told| &told.description),
            ":usage": billed.as_ref().map(|billed| &billed.usage),
            ":covered": billed.as_ref().map(|billed| &billed.covered),
            ":unpriced": billed.as_ref().is_some_and(|billed| billed.unpriced),
        })?;
    }
    const INSERT_CARRY: &str = "
        insert into statement_carry (statement_seq, project_id, month_s, amount, whole)
        values (:seq, :project_id, :month_s, :amount, :whole)";
    let carries =
        answer.entries.iter().flat_map(|entry| entry.carries().iter().map(|carry| (&entry.project_id, carry)));
    for (project_id, Carry { month_s, amount, whole }) in carries {
        tx.sql().prepare_cached(INSERT_CARRY)?.execute(named_params! {
            ":seq": seq,
            ":project_id": project_id,
            ":month_s": month_s,
            ":amount": amount,
            ":whole": whole,
        })?;
    }
    Ok(Some(seq))
}

/// Tells whether a statement is a month's bill that was told when the month was over.
fn is_months_bill(kind: ListingKind, period: Period, provisional: bool) -> bool {
    kind == ListingKind::Bill && !provisional && month_of(period).is_some()
}

/// Tells whether a month's bill was kept after a statement, and unless it may be `any` one, whether one that carried was.
fn was_billed_after(tx: &ReadTx<'_>, seq: i64, any: bool) -> Result<bool> {
    const SELECT: &str = select!("where seq > :seq");
    let mut select = tx.sql().prepare_cached(SELECT)?;
    for kept in select.query_map(named_params! { ":seq": seq }, statement)? {
        let kept = kept?;
        if is_months_bill(kept.kind, kept.period, kept.provisional) && (any || kept.carried) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Counts that a statement was told again.
///
/// # Errors
/// When SQLite fails.
pub fn count(tx: &WriteTx<'_>, seq: i64, told: Count) -> Result<()> {
    const UPDATE: &str = "
        update statement
        set asked = asked + :asked,
            last_asked_at_s = max(last_asked_at_s, :last_asked_at_s),
            last_knew_seq = max(last_knew_seq, :knew_seq)
        where seq = :seq";
    tx.sql().prepare_cached(UPDATE)?.execute(named_params! {
        ":asked": told.asked,
        ":last_asked_at_s": told.last_asked_at_s,
        ":knew_seq": told.knew_seq,
        ":seq": seq,
    })?;
    Ok(())
}

fn statement(row: &Row<'_>) -> rusqlite::Result<Statement> {
    let period =
        Period::new(row.get(2)?, row.get(3)?).ok_or(rusqlite::Error::IntegralValueOutOfRange(3, row.get(3)?))?;
    Ok(Statement {
        seq: row.get(0)?,
        kind: row.get(1)?,
        period,
        first_asked_at_s: row.get(4)?,
        last_asked_at_s: row.get(5)?,
        asked: row.get(6)?,
        knew_seq: row.get(7)?,
        last_knew_seq: row.get(8)?,
        provisional: row.get(9)?,
        total: row.get(10)?,
        total_size: row.get(11)?,
        digest: row.get(12)?,
        carried: row.get(13)?,
    })
}

/// The last statement that was kept of a window.
///
/// # Errors
/// When SQLite fails.
pub fn last(tx: &ReadTx<'_>, kind: ListingKind, period: Period) -> Result<Option<Statement>> {
    const SELECT: &str = select!(
        "where kind = :kind
          and first_s = :first_s
          and last_s = :last_s
        order by seq desc
        limit 1"
    );
    let params = named_params! { ":kind": kind, ":first_s": period.first_s(), ":last_s": period.last_s() };
    Ok(tx.sql().prepare_cached(SELECT)?.query_row(params, statement).optional()?)
}

/// Finds a statement by its number.
///
/// # Errors
/// When SQLite fails.
pub fn find(tx: &ReadTx<'_>, seq: i64) -> Result<Option<Statement>> {
    const SELECT: &str = select!("where seq = :seq");
    Ok(tx.sql().prepare_cached(SELECT)?.query_row(named_params! { ":seq": seq }, statement).optional()?)
}

/// The statements whose window holds a second of `period`, in the order in which they were kept; of one kind alone
/// where told.
///
/// # Errors
/// When SQLite fails.
pub fn list(tx: &ReadTx<'_>, period: Period, kind: Option<ListingKind>) -> Result<Vec<Statement>> {
    const SELECT: &str = select!(
        "where first_s <= :last_s
          and last_s >= :first_s
          and (:kind is null or kind = :kind)
        order by seq"
    );
    let params = named_params! { ":kind": kind, ":first_s": period.first_s(), ":last_s": period.last_s() };
    Ok(tx.sql().prepare_cached(SELECT)?.query_map(params, statement)?.collect::<rusqlite::Result<_>>()?)
}

/// The statements of one kind that hold a second of `period`, as they cut time.
///
/// # Errors
/// When SQLite fails.
pub fn timeline(tx: &ReadTx<'_>, kind: ListingKind, period: Period) -> Result<Timeline> {
    Ok(Timeline::new(list(tx, period, Some(kind))?))
}

/// The number of the newest statement; 0 where there is none.
///
/// # Errors
/// When SQLite fails.
pub fn newest(tx: &ReadTx<'_>) -> Result<i64> {
    const SELECT: &str = "select coalesce(max(seq), 0) from statement";
    Ok(tx.sql().prepare_cached(SELECT)?.query_row([], |row| row.get(0))?)
}

/// The last entry of the usage ledger; 0 where there is none.
///
/// # Errors
/// When SQLite fails.
pub fn last_known_seq(tx: &ReadTx<'_>) -> Result<i64> {
    const SELECT: &str = "select coalesce(max(seq), 0) from usage_ledger";
    Ok(tx.sql().prepare_cached(SELECT)?.query_row([], |row| row.get(0))?)
}

/// What a statement says of each project, in the order of their ids.
///
/// # Errors
/// When SQLite fails.
pub fn entries(tx: &ReadTx<'_>, seq: i64) -> Result<Vec<Entry>> {
    const SELECT: &str = "
        select project_id, amount, description, usage, covered, unpriced
        from statement_entry
        where statement_seq = :seq
        order by place";
    let entry = |row: &Row<'_>| {
        let told = match row.get(1)? {
            Some(amount) => Some(Told { amount, description: row.get(2)? }),
            None => None,
        };
        let billed = match row.get(3)? {
            Some(usage) => Some(Billed { usage, covered: row.get(4)?, unpriced: row.get(5)?, carries: Vec::new() }),
            None => None,
        };
        Ok(Entry { project_id: row.get(0)?, told, billed })
    };
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let mut entries: Vec<Entry> =
        select.query_map(named_params! { ":seq": seq }, entry)?.collect::<rusqlite::Result<_>>()?;
    for (project_id, carry) in carries(tx, seq)? {
        let place = entries.binary_search_by(|entry| entry.project_id.cmp(&project_id));
        if let Some(billed) = place.ok().and_then(|place| entries[place].billed.as_mut()) {
            billed.carries.push(carry);
        }
    }
    Ok(entries)
}

/// What a bill carried, in the order of projects and months.
///
/// # Errors
/// When SQLite fails.
pub fn carries(tx: &ReadTx<'_>, seq: i64) -> Result<Vec<(ProjectId, Carry)>> {
    const SELECT: &str = "
        select project_id, month_s, amount, whole
        from statement_carry
        where statement_seq = :seq
        order by project_id, month_s";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    Ok(select.query_map(named_params! { ":seq": seq }, carry)?.collect::<rusqlite::Result<_>>()?)
}

/// What any bill carried, with its number, in the order of statements, projects and months.
///
/// # Errors
/// When SQLite fails.
pub(super) fn all_carries(tx: &ReadTx<'_>) -> Result<Vec<(i64, ProjectId, Carry)>> {
    const SELECT: &str = "
        select project_id, month_s, amount, whole, statement_seq
        from statement_carry
        order by statement_seq, project_id, month_s";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let of_statement = |row: &Row<'_>| {
        let (project_id, carry) = carry(row)?;
        Ok((row.get(4)?, project_id, carry))
    };
    Ok(select.query_map([], of_statement)?.collect::<rusqlite::Result<_>>()?)
}

fn carry(row: &Row<'_>) -> rusqlite::Result<(ProjectId, Carry)> {
    Ok((row.get(0)?, Carry { month_s: row.get(1)?, amount: row.get(2)?, whole: row.get(3)? }))
}

/// Tells whether the places of a statement's entries go on from 0 without a gap.
pub(super) fn is_gapless(tx: &ReadTx<'_>, seq: i64) -> Result<bool> {
    const SELECT: &str = "
        select count(*) = coalesce(max(place) + 1, 0) and coalesce(min(place), 0) = 0
        from statement_entry
        where statement_seq = :seq";
    Ok(tx.sql().prepare_cached(SELECT)?.query_row(named_params! { ":seq": seq }, |row| row.get(0))?)
}

/// An entry of the usage ledger, as far as lateness depends on it.
struct LedgerEntry<'a> {
    /// Its place in the ledger.
    seq: i64,
    /// The project, as its text: mostly it is known.
    project_id: &'a str,
    /// When it was used, in Unix seconds.
    at_s: i64,
    /// What it adds.
    sum: UsageSum,
}

/// Calls `each` with every entry of the usage ledger that was written after `seq` and is dated within a window, in the
/// order in which they were written.
fn written_after(
    tx: &ReadTx<'_>,
    seq: i64,
    period: Period,
    mut each: impl FnMut(&LedgerEntry<'_>) -> Result<()>,
) -> Result<()> {
    const SELECT: &str = "
        select l.seq, p.project_id, l.at_s, l.amount, l.covered, iif(l.reverses_seq is null, 1, -1)
        from usage_ledger l
        cross join project p on p.project_no = l.project_no
        where l.seq > :seq
          and l.at_s between :first_s and :last_s
        order by l.seq";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let params = named_params! { ":seq": seq, ":first_s": period.first_s(), ":last_s": period.last_s() };
    let mut rows = select.query(params)?;
    while let Some(row) = rows.next()? {
        each(&ledger_entry(row)?)?;
    }
    Ok(())
}

fn ledger_entry<'r>(row: &'r Row<'_>) -> rusqlite::Result<LedgerEntry<'r>> {
    let project_id = row.get_ref(1)?.as_str()?;
    let (amount, Covered(covered)): (Amount, _) = (row.get(3)?, row.get(4)?);
    let sum = UsageSum { amount, covered, records: row.get(5)? };
    Ok(LedgerEntry { seq: row.get(0)?, project_id, at_s: row.get(2)?, sum })
}

/// Sums by project.
type Sums = BTreeMap<ProjectId, UsageSum>;

/// Adds to a project's sum.
fn add(sums: &mut Sums, project_id: &str, sum: &UsageSum) -> Result<()> {
    if let Some(held) = sums.get_mut(project_id) {
        held.add(sum);
    } else {
        sums.insert(column::parse(project_id)?, sum.clone());
    }
    Ok(())
}

/// Calls `each` with every entry of the usage ledger that is dated within `period` and was written too late for what was told
/// of its time, and the segment that holds it.
fn each_late(
    tx: &ReadTx<'_>,
    timeline: &Timeline,
    period: Period,
    mut each: impl FnMut(&Segment, &LedgerEntry<'_>) -> Result<()>,
) -> Result<()> {
    let tellers = timeline.tellers(period);
    let Some(mut knew_seq) = tellers.iter().map(|teller| teller.last_knew_seq).min() else {
        return Ok(());
    };
    let is_bill = tellers.iter().any(|teller| teller.kind == ListingKind::Bill);
    let bills = if is_bill { Some(MonthBills::read(tx)?).filter(MonthBills::any_carried) } else { None };
    if bills.is_some() {
        // Of what was carried the month's bills may be told again without telling more.
        knew_seq = timeline.statements().iter().map(|told| told.knew_seq).min().unwrap_or_default();
    }
    written_after(tx, knew_seq, period, |entry| {
        let Some(segment) = timeline.at(entry.at_s) else {
            return Ok(());
        };
        let mut told_seq = timeline.teller(segment).last_knew_seq;
        if let Some(bills) = &bills {
            let project_id: ProjectId = column::parse(entry.project_id)?;
            told_seq = bills.told_seq(Grain::Month.floor(entry.at_s), &project_id, entry.at_s, told_seq);
        }
        if entry.seq > told_seq { each(segment, entry) } else { Ok(()) }
    })
}

/// What was recorded within `period` and too late for what Agora was told of its time, by the first second of a month and
/// project: what it was never told. A void counts below zero.
///
/// # Errors
/// When SQLite fails.
pub fn late(tx: &ReadTx<'_>, kind: ListingKind, period: Period) -> Result<BTreeMap<(i64, ProjectId), UsageSum>> {
    let mut late: BTreeMap<(i64, ProjectId), UsageSum> = BTreeMap::new();
    each_late(tx, &timeline(tx, kind, period)?, period, |_, entry| {
        let key = (Grain::Month.floor(entry.at_s), column::parse(entry.project_id)?);
        late.entry(key).or_default().add(&entry.sum);
        Ok(())
    })?;
    // What was recorded late and taken back is nothing that anybody has to be told.
    late.retain(|_, sum| *sum != UsageSum::default());
    Ok(late)
}

/// Of each kind the statement that told what is in a second, where one did: what is recorded of it now is late.
///
/// # Errors
/// When SQLite fails.
pub fn told_already(tx: &ReadTx<'_>, at_s: i64) -> Result<Vec<Statement>> {
    const SELECT: &str = select!(
        "where kind = :kind
          and last_s >= :at_s
          and first_s <= :at_s
          and provisional = 0
        order by last_knew_seq desc, seq desc
        limit 1"
    );
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let mut told = Vec::new();
    for kind in ListingKind::ALL {
        told.extend(select.query_row(named_params! { ":kind": kind, ":at_s": at_s }, statement).optional()?);
    }
    Ok(told)
}

/// The first seconds of the months within `period` in which anything was used, and of which no second is in the window of a
/// statement that is not provisional.
///
/// # Errors
/// When SQLite fails.
pub fn untold_months(tx: &ReadTx<'_>, kind: ListingKind, period: Period) -> Result<Vec<i64>> {
    const SELECT: &str = "
        select distinct start_s
        from usage_rollup
        where grain = :grain
          and start_s between :first_s and :last_s
          and records <> 0
        order by start_s";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let params = named_params! { ":grain": Grain::Month, ":first_s": period.first_s(), ":last_s": period.last_s() };
    let mut months: Vec<i64> = select.query_map(params, |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let timeline = timeline(tx, kind, period)?;
    months.retain(|start_s| timeline.tellers(Period::around(Grain::Month, *start_s)).is_empty());
    Ok(months)
}

/// What a statement says a project used, and what the ledger said of it up to the last entry that the statement knew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deviation {
    /// The statement.
    pub seq: i64,
    /// The project.
    pub project_id: ProjectId,
    /// Usage as the statement has it, and of a bill what of it was covered.
    pub told: (Amount, Amount),
    /// The same of the ledger.
    pub ledger: (Amount, Amount),
}

/// Compares the statements that tell what is in `period` with what the ledger held as they were made.
///
/// # Errors
/// When SQLite fails.
pub fn deviations(tx: &ReadTx<'_>, timeline: &Timeline, period: Period) -> Result<Vec<Deviation>> {
    let mut found = Vec::new();
    let tellers = timeline.tellers(period);
    let (Some(knew_seq), Some(span)) = (tellers.iter().map(|teller| teller.knew_seq).min(), timeline.span()) else {
        return Ok(found);
    };
    let is_teller: HashSet<i64> = tellers.iter().map(|teller| teller.seq).collect();
    // What was written after each of them.
    let mut after: HashMap<i64, Sums> = HashMap::new();
    written_after(tx, knew_seq, span, |entry| {
        let holders = timeline.at(entry.at_s).into_iter().flat_map(|segment| timeline.holders(segment));
        for holder in holders.filter(|holder| holder.knew_seq < entry.seq && is_teller.contains(&holder.seq)) {
            add(after.entry(holder.seq).or_default(), entry.project_id, &entry.sum)?;
        }
        Ok(())
    })?;
    for teller in tellers {
        let mut ledger: Sums = usage::by_project(tx, teller.period, None)?;
        for (project_id, sum) in after.remove(&teller.seq).unwrap_or_default() {
            ledger.entry(project_id).or_default().join(&sum, true);
        }
        let is_bill = teller.kind == ListingKind::Bill;
        let mut compare = |project_id: ProjectId, told: (Amount, Amount), ledger: UsageSum| {
            let covered = if is_bill { ledger.covered } else { Amount::default() };
            let ledger = (ledger.amount, covered);
            if told != ledger {
                found.push(Deviation { seq: teller.seq, project_id, told, ledger });
            }
        };
        for Entry { project_id, told, billed } in entries(tx, teller.seq)? {
            let said = match (is_bill, told, billed) {
                (true, _, Some(billed)) => (billed.usage, billed.covered),
                (false, Some(told), _) => (told.amount, Amount::default()),
                (true, _, None) | (false, None, _) => Default::default(),
            };
            let held = ledger.remove(&project_id).unwrap_or_default();
            compare(project_id, said, held);
        }
        ledger.into_iter().for_each(|(project_id, held)| compare(project_id, Default::default(), held));
    }
    Ok(found)
}

/// What became of a project's usage in a month.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// All that was recorded, net of voids.
    pub recorded: Amount,
    /// What Agora was told; of a bill the part that it charged, or found free.
    pub told: Amount,
    /// Of a bill, the part that licenses covered.
    pub covered: Amount,
    /// Of a bill, the part that had no price.
    pub unpriced: Amount,
    /// What was recorded too late for that.
    pub late: Amount,
    /// What is in no window that was asked for.
    pub not_asked: Amount,
}

impl Reconciled {
    /// What was recorded less all that became of it; zero where it adds up.
    pub fn difference(&self) -> Amount {
        let accounted: Amount =
            [&self.told, &self.covered, &self.unpriced, &self.late, &self.not_asked].into_iter().sum();
        &self.recorded - &accounted
    }
}

/// What became of every project's usage in a month, by what was told of it. What was told is what the statements say, and not
/// what the ledger says that they should.
///
/// # Errors
/// When SQLite fails.
pub fn reconcile(tx: &ReadTx<'_>, kind: ListingKind, month: Period) -> Result<BTreeMap<ProjectId, Reconciled>> {
    let timeline = timeline(tx, kind, month)?;
    let mut late: BTreeMap<i64, Sums> = BTreeMap::new();
    each_late(tx, &timeline, month, |segment, entry| {
        add(late.entry(segment.period.first_s()).or_default(), entry.project_id, &entry.sum)
    })?;
    let bills = if kind == ListingKind::Bill { Some(MonthBills::read(tx)?) } else { None };
    let mut unpriced: HashSet<(i64, ProjectId)> = HashSet::new();
    for teller in timeline.tellers(month) {
        // What had no price and was carried later had one then.
        let is_carried = |id: &ProjectId| bills.as_ref().is_some_and(|bills| bills.has_carried(month.first_s(), id));
        let left_out = |entry: &Entry| {
            entry.billed.as_ref().is_some_and(|billed| billed.unpriced) && !is_carried(&entry.project_id)
        };
        let entries = entries(tx, teller.seq)?.into_iter().filter(left_out);
        unpriced.extend(entries.map(|entry| (teller.seq, entry.project_id)));
    }
    let mut rows: BTreeMap<ProjectId, Reconciled> = BTreeMap::new();
    for (project_id, sum) in usage::by_project(tx, month, None)? {
        rows.entry(project_id).or_default().recorded = sum.amount;
    }
    for (part, segment) in timeline.cut(month) {
        let mut sums: Sums = usage::by_project(tx, part, None)?;
        let Some(segment) = segment else {
            for (project_id, sum) in sums {
                rows.entry(project_id).or_default().not_asked += &sum.amount;
            }
            continue;
        };
        for (project_id, sum) in late.remove(&segment.period.first_s()).unwrap_or_default() {
            rows.entry(project_id.clone()).or_default().late += &sum.amount;
            // What is left is what was known.
            sums.entry(project_id).or_default().join(&sum, true);
        }
        let teller = timeline.teller(segment).seq;
        for (project_id, known) in sums {
            let row = rows.entry(project_id.clone()).or_default();
            match kind {
                ListingKind::Usage => row.told += &known.amount,
                ListingKind::Bill => {
                    let uncovered = &known.amount - &known.covered;
                    row.covered += &known.covered;
                    match unpriced.contains(&(teller, project_id)) {
                        true => row.unpriced += &uncovered,
                        false => row.told += &uncovered,
                    }
                }
            }
        }
    }
    for Deviation { project_id, told, ledger, .. } in deviations(tx, &timeline, month)? {
        let row = rows.entry(project_id).or_default();
        let covered = &told.1 - &ledger.1;
        row.told += &(&(&told.0 - &ledger.0) - &covered);
        row.covered += &covered;
    }
    rows.retain(|_, row| *row != Reconciled::default());
    Ok(rows)
}
