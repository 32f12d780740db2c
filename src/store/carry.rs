//! What the bill of a month carries of earlier ones, read of the statements that were kept and of the books as they are.

use crate::billing::amount::Amount;
use crate::billing::bill::bill;
use crate::billing::carry::{Carried, Carry, Due, month_of};
use crate::billing::id::ProjectId;
use crate::billing::period::{LAST_SECOND, Period};
use crate::billing::setting::Late;
use crate::billing::statement::{Entry, ListingKind, Statement, is_provisional};
use crate::store::{ReadTx, Result, bill as books, setting, statement};
use rusqlite::{OptionalExtension, named_params};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::RangeInclusive;

/// What the bill of a window has to say beside what the window costs, as it is asked for at `asked_at_s` (Unix seconds);
/// of one project alone where told. `None` where nothing is carried: unless the setting `late` says so, of a window that
/// is no month's, and of one that is not over.
///
/// Months of which nothing can have changed since they were told are not priced again: its cost grows with those that
/// have.
///
/// # Errors
/// When SQLite fails.
pub fn carried(
    tx: &ReadTx<'_>,
    window: Period,
    project_id: Option<&ProjectId>,
    asked_at_s: i64,
) -> Result<Option<Carried>> {
    let Some(month_s) = month_of(window).filter(|_| !is_provisional(window, asked_at_s)) else {
        return Ok(None);
    };
    if setting::read(tx)?.late() != Late::Carry {
        return Ok(None);
    }
    let bills = MonthBills::read(tx)?;
    let mut carried = Carried::default();
    if let Some(told) = bills.newest.get(&month_s) {
        let closed = bills.closed(month_s);
        let entries = statement::entries(tx, told.seq)?.into_iter();
        let mut entries: HashMap<ProjectId, Entry> = entries.map(|entry| (entry.project_id.clone(), entry)).collect();
        let carries = entries.iter().filter(|(_, entry)| !entry.carries().is_empty());
        carried.repeated = Some(carries.map(|(id, entry)| (id.clone(), entry.carries().to_vec())).collect());
        for id in closed {
            let entry =
                entries.remove(id).unwrap_or_else(|| Entry { project_id: id.clone(), told: None, billed: None });
            carried.closed.insert(id.clone(), entry);
        }
    } else {
        for told in bills.newest.range(..month_s).map(|(_, told)| told) {
            if bills.may_have_changed(tx, told)? {
                for (id, due) in bills.due(tx, told, project_id)? {
                    carried.due.entry(id).or_default().push(due);
                }
            }
        }
    }
    if let Some(only) = project_id {
        carried.repeated.iter_mut().for_each(|repeated| repeated.retain(|id, _| id == only));
        carried.closed.retain(|id, _| id == only);
    }
    Ok(Some(carried))
}

/// The bills of months that were kept, those that were not over left aside, and what they carried.
pub(super) struct MonthBills {
    /// All of them, in the order in which they were kept, each with its month's first second.
    all: Vec<(i64, Statement)>,
    /// Of each month the one that was kept last.
    newest: BTreeMap<i64, Statement>,
    /// What was carried, by the earlier month and project: the statements that did, in the order in which they were kept.
    carries: HashMap<(i64, ProjectId), Vec<(i64, Carry)>>,
    /// What was carried and is not any more, by the same: from the first statement that did to the last that was told again
    /// without it, while bills did not carry.
    dropped: HashMap<(i64, ProjectId), RangeInclusive<i64>>,
}

impl MonthBills {
    pub(super) fn read(tx: &ReadTx<'_>) -> Result<Self> {
        let all_time = Period::new(0, LAST_SECOND).expect("all time is a window");
        let bills = statement::list(tx, all_time, Some(ListingKind::Bill))?.into_iter();
        let over = bills.filter(|bill| !bill.provisional);
        let all: Vec<(i64, Statement)> = over.filter_map(|bill| Some((month_of(bill.period)?, bill))).collect();
        let newest: BTreeMap<i64, Statement> = all.iter().cloned().collect();
        let mut carries: HashMap<(i64, ProjectId), Vec<(i64, Carry)>> = HashMap::new();
        let newest_of: HashMap<i64, i64> = all.iter().map(|(month, bill)| (bill.seq, newest[month].seq)).collect();
        for (seq, project_id, carry) in statement::all_carries(tx)? {
            if newest_of.contains_key(&seq) {
                carries.entry((carry.month_s, project_id)).or_default().push((seq, carry));
            }
        }
        let mut dropped = HashMap::new();
        carries.retain(|key, carries| {
            let told: BTreeSet<i64> = carries.iter().map(|(seq, _)| *seq).collect();
            let without = told.iter().map(|seq| newest_of[seq]).filter(|newest| !told.contains(newest)).max();
            if let (Some(first), Some(last)) = (told.first(), without) {
                dropped.insert(key.clone(), *first..=last);
            }
            carries.retain(|(seq, _)| told.contains(&newest_of[seq]));
            !carries.is_empty()
        });
        Ok(Self { all, newest, carries, dropped })
    }

    /// Tells whether any bill has looked whether it had to carry something.
    pub(super) fn any_carried(&self) -> bool {
        self.all.iter().any(|(_, bill)| bill.carried)
    }

    /// The bills that looked at what a month that was told before was not told, in the order in which they were kept.
    fn carriers(&self, month_s: i64) -> impl DoubleEndedIterator<Item = &(i64, Statement)> {
        let first_told = self.all.iter().find(|(month, _)| *month == month_s).map_or(i64::MAX, |(_, told)| told.seq);
        self.all.iter().filter(move |(month, bill)| *month > month_s && bill.carried && bill.seq > first_told)
    }

    /// The projects of whose month a later bill has carried something.
    fn closed(&self, month_s: i64) -> BTreeSet<&ProjectId> {
        let of_month = self.carries.iter().filter(|((month, _), _)| *month == month_s);
        let closed = of_month.filter(|(_, carries)| carries.iter().any(|(_, carry)| !carry.amount.is_zero()));
        closed.map(|((_, project_id), _)| project_id).collect()
    }

    /// Tells whether a later bill has carried something of a month of a project.
    pub(super) fn has_carried(&self, month_s: i64, project_id: &ProjectId) -> bool {
        let carries = self.carries.get(&(month_s, project_id.clone()));
        carries.is_some_and(|carries| carries.iter().any(|(_, carry)| !carry.amount.is_zero()))
    }

    /// What bills have carried of a month of a project; of a bill that was told anew the last that it told.
    fn told_by_carries(&self, month_s: i64, project_id: &ProjectId) -> Amount {
        let is_newest: HashSet<i64> = self.newest.values().map(|bill| bill.seq).collect();
        let carries = self.carries.get(&(month_s, project_id.clone())).map_or(&[][..], Vec::as_slice);
        carries.iter().filter(|(seq, _)| is_newest.contains(seq)).map(|(_, carry)| &carry.amount).sum()
    }

    /// Tells whether a month may cost something else by now than was told of it.
    fn may_have_changed(&self, tx: &ReadTx<'_>, told: &Statement) -> Result<bool> {
        let month_s = month_of(told.period).expect("it is a month's bill");
        // Of projects that are closed the month's own bill says no news, however often it is told.
        let looked = self.carriers(month_s).next_back().map(|(_, bill)| bill);
        let dropped =
            self.dropped.iter().filter(|((month, _), _)| *month == month_s).map(|(_, span)| *span.end()).max();
        let is_or_was_closed = dropped.is_some() || !self.closed(month_s).is_empty();
        let looked = looked.filter(|looked| looked.seq > told.seq || is_or_was_closed);
        let (knew_seq, at_s) = match looked {
            Some(looked) => (looked.knew_seq, looked.first_asked_at_s),
            None => (told.last_knew_seq, told.first_asked_at_s),
        };
        // Told again after that, it may have told what was carried of it; or the other what it had carried no more.
        let last_told = told.seq.max(dropped.unwrap_or_default());
        let is_told_anew = looked.is_some_and(|looked| looked.seq < last_told);
        let newest: HashSet<i64> = self.newest.values().map(|bill| bill.seq).collect();
        let waits = self.carries.iter().any(|((month, _), carries)| {
            let is_last = |seq: &i64| newest.contains(seq) || looked.is_some_and(|looked| looked.seq == *seq);
            *month == month_s && carries.iter().any(|(seq, carry)| is_last(seq) && !carry.whole)
        });
        let is_written_late = written_late(tx, month_s)?.is_some_and(|seq| seq > knew_seq);
        Ok(waits || is_told_anew || is_written_late || is_priced_anew(tx, month_s, at_s)?)
    }

    /// What each project costs by now of a month less what was told of it, of those where that is something.
    fn due(&self, tx: &ReadTx<'_>, told: &Statement, project_id: Option<&ProjectId>) -> Result<Vec<(ProjectId, Due)>> {
        let month_s = month_of(told.period).expect("it is a month's bill");
        let priced = bill(books::basis(tx, told.period, project_id)?);
        let unpriced: HashSet<&ProjectId> = priced.unpriced.iter().map(|unpriced| &unpriced.usage.project_id).collect();
        let now = priced.entries.iter().map(|entry| (entry.usage.project_id.clone(), entry.amount.clone()));
        // Less what was told.
        let mut differences: BTreeMap<ProjectId, Amount> = now.collect();
        let mut never_priced: HashSet<ProjectId> = HashSet::new();
        let entries = statement::entries(tx, told.seq)?.into_iter();
        for entry in entries.filter(|entry| project_id.is_none_or(|only| *only == entry.project_id)) {
            let own = entry.own();
            if entry.billed.is_some_and(|billed| billed.unpriced) && unpriced.contains(&entry.project_id) {
                never_priced.insert(entry.project_id.clone());
            }
            *differences.entry(entry.project_id).or_default() -= &own;
        }
        for (_, id) in self.carries.keys().filter(|(month, _)| *month == month_s) {
            if project_id.is_none_or(|only| only == id) {
                *differences.entry(id.clone()).or_default() -= &self.told_by_carries(month_s, id);
            }
        }
        let mut due = Vec::new();
        for (id, amount) in differences {
            match unpriced.contains(&id) {
                true if never_priced.contains(&id) => {}
                true => due.push((id, Due { month_s, amount: None })),
                false if amount.is_zero() => {}
                false => due.push((id, Due { month_s, amount: Some(amount) })),
            }
        }
        Ok(due)
    }

    /// The last ledger entry of which a project's bills told what it made of a month, by the bills that later ones carried
    /// of it; of the month's own bills those are left aside that were kept once it was closed. `own` is the
    /// last that any of them knew.
    pub(super) fn told_seq(&self, month_s: i64, project_id: &ProjectId, at_s: i64, own: i64) -> i64 {
        let carries = self.carries.get(&(month_s, project_id.clone())).map_or(&[][..], Vec::as_slice);
        let closed_by = carries.iter().find(|(_, carry)| !carry.amount.is_zero()).map(|(seq, _)| *seq);
        let dropped = self.dropped.get(&(month_s, project_id.clone()));
        let own = match closed_by.is_none() && dropped.is_none() {
            true => own,
            false => {
                let was_open = |bill: &&Statement| {
                    closed_by.is_none_or(|closed_by| bill.seq < closed_by)
                        && dropped.is_none_or(|dropped| !dropped.contains(&bill.seq))
                };
                let open = self.all.iter().map(|(_, bill)| bill).filter(was_open);
                let holding = open.filter(|bill| (bill.period.first_s()..=bill.period.last_s()).contains(&at_s));
                holding.map(|bill| bill.last_knew_seq).max().unwrap_or_default()
            }
        };
        let waits: HashSet<i64> = carries.iter().filter(|(_, carry)| !carry.whole).map(|(seq, _)| *seq).collect();
        let carriers = self
            .carriers(month_s)
            .filter(|(_, bill)| dropped.is_none_or(|dropped| bill.seq > *dropped.end()))
            .filter(|(month, bill)| ![bill.seq, self.newest[month].seq].iter().any(|seq| waits.contains(seq)));
        carriers.map(|(_, bill)| bill.knew_seq).max().unwrap_or_default().max(own)
    }
}

/// The last ledger entry that was written after its month, where there is one.
fn written_late(tx: &ReadTx<'_>, month_s: i64) -> Result<Option<i64>> {
    const SELECT: &str = "
        select last_seq
        from late_month
        where month_s = :month_s";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    Ok(select.query_row(named_params! { ":month_s": month_s }, |row| row.get(0)).optional()?)
}

/// Tells whether anything was said since a second of what prices a month: a plan, a customer's plan, a project's customer.
fn is_priced_anew(tx: &ReadTx<'_>, month_s: i64, since_s: i64) -> Result<bool> {
    const SELECT: &str = "
        select exists (select 1 from plan_version where at_s >= :since_s and from_s <= :month_s)
          or exists (select 1 from customer_plan where at_s >= :since_s and from_s <= :month_s)
          or exists (select 1 from project_customer where at_s >= :since_s and from_s <= :month_s)";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    Ok(select.query_row(named_params! { ":since_s": since_s, ":month_s": month_s }, |row| row.get(0))?)
}
