//! Late usage: what was recorded after the statement of its time, and whether all that
//! was recorded is accounted for.

use crate::billing::amount::Amount;
use crate::billing::id::ProjectId;
use crate::billing::period::{Grain, Period};
use crate::billing::statement::{ListingKind, Segment, Statement, StatementEntry, Timeline};
use crate::store::balance;
use crate::store::column::{self, Covered};
use crate::store::rollup::UsageSum;
use crate::store::{ReadTx, Result, readable, statement, usage};
use rusqlite::{Row, named_params};
use std::collections::{BTreeMap, HashMap, HashSet};

/// An entry of the usage ledger, as far as lateness depends on it.
struct UsageEntry<'a> {
    /// Its place in the ledger.
    seq: i64,
    /// The project, as its text: mostly it is known.
    project_id: &'a str,
    /// When it was used, in Unix seconds.
    at_s: i64,
    /// What it adds.
    sum: UsageSum,
}

/// Calls `each` with every entry of the usage ledger that was written after `seq` and is dated
/// within a window, in the order in which they were written.
fn written_after(
    tx: &ReadTx<'_>,
    seq: i64,
    period: Period,
    mut each: impl FnMut(&UsageEntry<'_>) -> Result<()>,
) -> Result<()> {
    const SELECT: &str = "
        select l.seq, p.project_id, l.at_s, l.amount, l.covered, iif(l.reverses_seq is null, 1, -1)
        from usage_ledger l
        cross join project p on p.project_no = l.project_no
        where l.seq > :seq
          and l.at_s between :first_s and :last_s
        order by l.seq";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let params =
        named_params! { ":seq": seq, ":first_s": period.first_s(), ":last_s": period.last_s() };
    let mut rows = select.query(params)?;
    while let Some(row) = rows.next()? {
        each(&ledger_entry(row)?)?;
    }
    Ok(())
}

fn ledger_entry<'r>(row: &'r Row<'_>) -> rusqlite::Result<UsageEntry<'r>> {
    let project_id = row.get_ref(1)?.as_str()?;
    let (amount, Covered(covered)): (Amount, _) = (row.get(3)?, row.get(4)?);
    let sum = UsageSum { amount, covered, records: row.get(5)? };
    Ok(UsageEntry { seq: row.get(0)?, project_id, at_s: row.get(2)?, sum })
}

/// Sums by project.
type ProjectSums = BTreeMap<ProjectId, UsageSum>;

/// Adds to a project's sum.
fn add(sums: &mut ProjectSums, project_id: &str, sum: &UsageSum) -> Result<()> {
    if let Some(held) = sums.get_mut(project_id) {
        held.add(sum);
    } else {
        sums.insert(column::parse(project_id)?, sum.clone());
    }
    Ok(())
}

/// Calls `each` with every entry of the usage ledger that is dated within `period` and was written
/// too late for the statement of its time, and the segment that holds it; of those entries that
/// were written after `after_seq`.
fn each_late(
    tx: &ReadTx<'_>,
    timeline: &Timeline,
    period: Period,
    after_seq: i64,
    mut each: impl FnMut(&Segment, &UsageEntry<'_>) -> Result<()>,
) -> Result<()> {
    let tellers = timeline.tellers(period);
    let Some(knew_seq) = tellers.iter().map(|teller| teller.last_knew_seq).min() else {
        return Ok(());
    };
    let knew_seq = knew_seq.max(after_seq);
    let is_bill = tellers.iter().any(|teller| teller.kind == ListingKind::Bill);
    let settled = if is_bill { Some(Settlement::read(tx)?) } else { None };
    written_after(tx, knew_seq, period, |entry| {
        let Some(segment) = timeline.at(entry.at_s) else {
            return Ok(());
        };
        let is_told = entry.seq <= timeline.teller(segment).last_knew_seq
            || settled.as_ref().is_some_and(|settled| settled.has(entry));
        if is_told { Ok(()) } else { each(segment, entry) }
    })
}

/// What bills state of months beside what the months' own bills knew.
struct Settlement {
    /// Of each month that has a kept bill those projects whose cost is not what is stated, or may
    /// not be; `None`: all.
    open: HashMap<i64, Option<HashSet<ProjectId>>>,
    /// Of months and projects the last ledger entry that a bill states in whole by an adjustment.
    adjusted: HashMap<(i64, ProjectId), i64>,
}

impl Settlement {
    fn read(tx: &ReadTx<'_>) -> Result<Self> {
        let mut adjusted: HashMap<(i64, ProjectId), i64> = HashMap::new();
        statement::each_adjustment(tx, |bill, _, id, told| {
            if told.whole {
                let seq = adjusted.entry((told.month_s, id.clone())).or_default();
                *seq = bill.knew_seq.max(*seq);
            }
        })?;
        Ok(Self { open: balance::open(tx)?, adjusted })
    }

    fn has(&self, entry: &UsageEntry<'_>) -> bool {
        let month_s = Grain::Month.floor(entry.at_s);
        let is_settled = self
            .open
            .get(&month_s)
            .is_some_and(|open| open.as_ref().is_some_and(|open| !open.contains(entry.project_id)));
        is_settled || self.is_adjusted(month_s, entry.project_id, entry.seq)
    }

    fn is_adjusted(&self, month_s: i64, project_id: &str, seq: i64) -> bool {
        let project_id = column::parse(project_id).ok();
        let adjusted = project_id.and_then(|id| self.adjusted.get(&(month_s, id)));
        adjusted.is_some_and(|adjusted| seq <= *adjusted)
    }
}

/// What was recorded within `period` and too late for the statement of its time, by the first
/// second of a month and project: what was never stated. A void counts below zero.
///
/// # Errors
/// When SQLite fails.
pub fn by_month(
    tx: &ReadTx<'_>,
    kind: ListingKind,
    period: Period,
) -> Result<BTreeMap<(i64, ProjectId), UsageSum>> {
    by_month_after(tx, kind, period, 0)
}

/// The same of what was written after an entry of the ledger: what is read is not more than that.
///
/// # Errors
/// When SQLite fails.
pub fn by_month_after(
    tx: &ReadTx<'_>,
    kind: ListingKind,
    period: Period,
    after_seq: i64,
) -> Result<BTreeMap<(i64, ProjectId), UsageSum>> {
    let mut late: BTreeMap<(i64, ProjectId), UsageSum> = BTreeMap::new();
    each_late(tx, &statement::timeline(tx, kind, period)?, period, after_seq, |_, entry| {
        let key = (Grain::Month.floor(entry.at_s), column::parse(entry.project_id)?);
        late.entry(key).or_default().add(&entry.sum);
        Ok(())
    })?;
    // What was recorded late and taken back is nothing that anybody has to know.
    late.retain(|_, sum| *sum != UsageSum::default());
    Ok(late)
}

/// The first seconds of the months within `period` in which anything was used, and of which no
/// second is in the window of a statement that is not provisional.
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
    let (first_s, last_s) = (period.first_s(), period.last_s());
    let params = named_params! { ":grain": Grain::Month, ":first_s": first_s, ":last_s": last_s };
    let mut months: Vec<i64> =
        select.query_map(params, |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let timeline = statement::timeline(tx, kind, period)?;
    months.retain(|start_s| timeline.tellers(Period::around(Grain::Month, *start_s)).is_empty());
    Ok(months)
}

/// What a statement says a project used, and what the ledger said of it up to the last entry that
/// the statement knew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deviation {
    /// The statement.
    pub seq: i64,
    /// The project.
    pub project_id: ProjectId,
    /// Usage as the statement has it, and of a bill what of it was covered.
    pub stated: (Amount, Amount),
    /// The same of the ledger.
    pub ledger: (Amount, Amount),
}

/// Compares the statements that tell what is in `period` with what the ledger held as they were
/// made.
///
/// # Errors
/// When SQLite fails.
pub fn deviations(tx: &ReadTx<'_>, timeline: &Timeline, period: Period) -> Result<Vec<Deviation>> {
    let by_statement = by_statement(tx, timeline, period)?;
    let found: Result<Vec<_>> = by_statement.into_iter().collect();
    Ok(found?.into_iter().flatten().collect())
}

/// The same for `check`: what cannot be read, which it tells by itself, is passed over with its
/// statement alone.
pub(super) fn readable_deviations(
    tx: &ReadTx<'_>,
    timeline: &Timeline,
    period: Period,
) -> Result<Vec<Deviation>> {
    let mut found = Vec::new();
    for deviations in readable(by_statement(tx, timeline, period))?.unwrap_or_default() {
        found.extend(readable(deviations)?.unwrap_or_default());
    }
    Ok(found)
}

fn by_statement(
    tx: &ReadTx<'_>,
    timeline: &Timeline,
    period: Period,
) -> Result<Vec<Result<Vec<Deviation>>>> {
    let tellers = timeline.tellers(period);
    let (Some(knew_seq), Some(span)) =
        (tellers.iter().map(|teller| teller.knew_seq).min(), timeline.span())
    else {
        return Ok(Vec::new());
    };
    let is_teller: HashSet<i64> = tellers.iter().map(|teller| teller.seq).collect();
    // What was written after each of them.
    let mut after: HashMap<i64, ProjectSums> = HashMap::new();
    written_after(tx, knew_seq, span, |entry| {
        let holders =
            timeline.at(entry.at_s).into_iter().flat_map(|segment| timeline.holders(segment));
        for holder in
            holders.filter(|holder| holder.knew_seq < entry.seq && is_teller.contains(&holder.seq))
        {
            add(after.entry(holder.seq).or_default(), entry.project_id, &entry.sum)?;
        }
        Ok(())
    })?;
    let deviations = tellers.into_iter().map(|teller| {
        let after = after.remove(&teller.seq).unwrap_or_default();
        deviations_of(tx, teller, after)
    });
    Ok(deviations.collect())
}

/// Compares one statement with the ledger less what was written after it.
fn deviations_of(
    tx: &ReadTx<'_>,
    teller: &Statement,
    after: ProjectSums,
) -> Result<Vec<Deviation>> {
    let mut found = Vec::new();
    let mut ledger: ProjectSums = usage::by_project(tx, teller.period, None)?;
    for (project_id, sum) in after {
        ledger.entry(project_id).or_default().join(&sum, true);
    }
    let is_bill = teller.kind == ListingKind::Bill;
    let mut compare = |project_id: ProjectId, stated: (Amount, Amount), ledger: UsageSum| {
        let covered = if is_bill { ledger.covered } else { Amount::default() };
        let ledger = (ledger.amount, covered);
        if stated != ledger {
            found.push(Deviation { seq: teller.seq, project_id, stated, ledger });
        }
    };
    for StatementEntry { project_id, figure, origin } in statement::entries(tx, teller.seq)? {
        let said = match (is_bill, figure, origin) {
            (true, _, Some(origin)) => (origin.usage, origin.covered),
            (false, Some(figure), _) => (figure.amount, Amount::default()),
            (true, _, None) | (false, None, _) => Default::default(),
        };
        let held = ledger.remove(&project_id).unwrap_or_default();
        compare(project_id, said, held);
    }
    ledger.into_iter().for_each(|(project_id, held)| compare(project_id, Default::default(), held));
    Ok(found)
}

/// What became of a project's usage in a month.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reconciliation {
    /// All that was recorded, net of voids.
    pub recorded: Amount,
    /// What was stated to Agora; of a bill the part that it charged, or found free.
    pub stated: Amount,
    /// Of a bill, the part that licenses covered.
    pub covered: Amount,
    /// Of a bill, the part that had no price.
    pub unpriced: Amount,
    /// What was recorded too late for that.
    pub late: Amount,
    /// What is in no window that was asked for.
    pub not_asked: Amount,
}

impl Reconciliation {
    /// What was recorded less all that became of it; zero where it adds up.
    pub fn difference(&self) -> Amount {
        let accounted: Amount =
            [&self.stated, &self.covered, &self.unpriced, &self.late, &self.not_asked]
                .into_iter()
                .sum();
        &self.recorded - &accounted
    }
}

/// What became of every project's usage in a month, by what was stated of it. What was stated is
/// what the statements say, and not what the ledger says that they should.
///
/// # Errors
/// When SQLite fails.
pub fn reconcile(
    tx: &ReadTx<'_>,
    kind: ListingKind,
    month: Period,
) -> Result<BTreeMap<ProjectId, Reconciliation>> {
    let timeline = statement::timeline(tx, kind, month)?;
    let mut late: BTreeMap<i64, ProjectSums> = BTreeMap::new();
    each_late(tx, &timeline, month, 0, |segment, entry| {
        add(late.entry(segment.period.first_s()).or_default(), entry.project_id, &entry.sum)
    })?;
    let settled = if kind == ListingKind::Bill { Some(Settlement::read(tx)?) } else { None };
    let mut unpriced: HashSet<(i64, ProjectId)> = HashSet::new();
    for teller in timeline.tellers(month) {
        for entry in statement::entries(tx, teller.seq)? {
            // What had no price and is stated by a later bill had one then.
            let is_adjusted = settled.as_ref().is_some_and(|settled| {
                settled.is_adjusted(month.first_s(), entry.project_id.as_str(), 0)
            });
            if !is_adjusted && entry.origin.as_ref().is_some_and(|origin| origin.unpriced) {
                unpriced.insert((teller.seq, entry.project_id));
            }
        }
    }
    let mut rows: BTreeMap<ProjectId, Reconciliation> = BTreeMap::new();
    for (project_id, sum) in usage::by_project(tx, month, None)? {
        rows.entry(project_id).or_default().recorded = sum.amount;
    }
    for (part, segment) in timeline.cut(month) {
        let mut sums: ProjectSums = usage::by_project(tx, part, None)?;
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
                ListingKind::Usage => row.stated += &known.amount,
                ListingKind::Bill => {
                    let uncovered = &known.amount - &known.covered;
                    row.covered += &known.covered;
                    let is_unpriced = unpriced.contains(&(teller, project_id));
                    *(if is_unpriced { &mut row.unpriced } else { &mut row.stated }) += &uncovered;
                }
            }
        }
    }
    for Deviation { project_id, stated, ledger, .. } in deviations(tx, &timeline, month)? {
        let row = rows.entry(project_id).or_default();
        let covered = &stated.1 - &ledger.1;
        row.stated += &(&(&stated.0 - &ledger.0) - &covered);
        row.covered += &covered;
    }
    rows.retain(|_, row| *row != Reconciliation::default());
    Ok(rows)
}
