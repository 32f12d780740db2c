//! What was told of months: by their own bills, and by what later bills carried of them.

use crate::billing::amount::Amount;
use crate::billing::carry::{Carry, month_of};
use crate::billing::id::ProjectId;
use crate::billing::period::{Grain, LAST_SECOND, Period};
use crate::billing::statement::{ListingKind, Statement, TermsKnown};
use crate::store::statement::CarriedSomething;
use crate::store::{ReadTx, Result, statement};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::RangeInclusive;
use std::rc::Rc;

/// The bills of months that were kept, those that are provisional left aside, and what they carried.
pub(super) struct MonthBills<'t> {
    tx: &'t ReadTx<'t>,
    /// All of them, in the order in which they were kept, each with its month's first second.
    all: Vec<(i64, Statement)>,
    /// Of each month the one that was kept last.
    newest: BTreeMap<i64, Statement>,
    /// Of each bill the newest of its month, by their numbers.
    newest_of: HashMap<i64, i64>,
    /// By the earlier month: the bills that carried something of it, in the order in which they were kept.
    carrying: HashMap<i64, Vec<CarriedSomething>>,
    /// The same by project, of those months of which that was asked for.
    carried: RefCell<HashMap<i64, Rc<CarriedOf>>>,
}

/// What later bills carried of a month, by project.
#[derive(Default)]
struct CarriedOf {
    /// The statements that did, in the order in which they were kept.
    carries: HashMap<ProjectId, Vec<(i64, Carry)>>,
    /// What was carried and is not any more: of each month whose bill had carried something, from the first statement
    /// that did to the last that was told again without it, while bills did not carry.
    dropped: HashMap<ProjectId, Vec<RangeInclusive<i64>>>,
}

/// The months from a second on that were billed, by their first seconds in the order of time.
///
/// # Errors
/// When SQLite fails.
pub fn billed_from(tx: &ReadTx<'_>, from_s: i64) -> Result<Vec<i64>> {
    let all_time = Period::new(from_s.max(0), LAST_SECOND).expect("there is time left");
    let bills = statement::list(tx, all_time, Some(ListingKind::Bill))?
        .into_iter()
        .filter(|bill| !bill.provisional);
    let months: BTreeSet<i64> = bills.filter_map(|bill| month_of(bill.period)).collect();
    Ok(months.into_iter().filter(|month_s| *month_s >= from_s).collect())
}

/// From where on something new may hold that nothing says is to change what was billed: the first second after the last
/// month that was billed; 0 where none was.
///
/// A month before that one may not have been billed; what holds in it holds in the billed one after it, too.
///
/// # Errors
/// When SQLite fails.
pub fn open_s(tx: &ReadTx<'_>) -> Result<i64> {
    const SELECT: &str = "
        select first_s, last_s
        from statement
        where kind = 'bill'
          and provisional = 0
        order by last_s desc";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let mut windows = select.query([])?;
    while let Some(window) = windows.next()? {
        if let Some(month_s) = Period::new(window.get(0)?, window.get(1)?).and_then(month_of) {
            return Ok(Grain::Month.after(month_s));
        }
    }
    Ok(0)
}

/// The same for a project or a customer that the books first had at `seen_at_s`. Where this month's
/// bill is kept already and was asked for before that, it has told nothing of it: then this month
/// is open to it.
///
/// # Errors
/// When SQLite fails.
pub fn open_to_s(tx: &ReadTx<'_>, seen_at_s: i64, now_s: i64) -> Result<i64> {
    let open_s = open_s(tx)?;
    let month = Period::around(Grain::Month, now_s);
    if open_s != Grain::Month.after(month.first_s()) {
        return Ok(open_s);
    }
    let has_it = statement::list(tx, month, Some(ListingKind::Bill))?.into_iter().any(|bill| {
        month_of(bill.period) == Some(month.first_s()) && bill.last_asked_at_s >= seen_at_s
    });
    Ok(if has_it { open_s } else { month.first_s() })
}

/// What a bill knew that looked last whether a month costs something else than was told of it, and what it left.
pub(super) struct LastLook {
    /// The last ledger entry that it knew.
    pub knew_seq: i64,
    /// The terms that it knew.
    pub knew_terms: TermsKnown,
    /// Whether what it went by was told anew since.
    pub is_told_anew: bool,
    /// The projects of which something waits since.
    pub waits: Vec<ProjectId>,
}

impl<'t> MonthBills<'t> {
    pub(super) fn read(tx: &'t ReadTx<'t>) -> Result<Self> {
        let all_time = Period::new(0, LAST_SECOND).expect("all time is a window");
        let bills = statement::list(tx, all_time, Some(ListingKind::Bill))?.into_iter();
        let over = bills.filter(|bill| !bill.provisional);
        let all: Vec<(i64, Statement)> =
            over.filter_map(|bill| Some((month_of(bill.period)?, bill))).collect();
        let newest: BTreeMap<i64, Statement> = all.iter().cloned().collect();
        let newest_of: HashMap<i64, i64> =
            all.iter().map(|(month, bill)| (bill.seq, newest[month].seq)).collect();
        let mut carrying: HashMap<i64, Vec<CarriedSomething>> = HashMap::new();
        for something in
            statement::all_carried(tx)?.into_iter().filter(|one| newest_of.contains_key(&one.seq))
        {
            carrying.entry(something.month_s).or_default().push(something);
        }
        Ok(Self { tx, all, newest, newest_of, carrying, carried: RefCell::default() })
    }

    fn is_newest(&self, seq: i64) -> bool {
        self.newest_of.get(&seq) == Some(&seq)
    }

    /// The bills that carried something of a month.
    fn carrying(&self, month_s: i64) -> &[CarriedSomething] {
        self.carrying.get(&month_s).map_or(&[], Vec::as_slice)
    }

    /// What was carried of a month by project, read when it is first asked for.
    fn carried_of(&self, month_s: i64) -> Result<Rc<CarriedOf>> {
        if let Some(known) = self.carried.borrow().get(&month_s) {
            return Ok(Rc::clone(known));
        }
        let mut carried = CarriedOf::default();
        for CarriedSomething { seq, .. } in self.carrying(month_s) {
            for (project_id, carry) in statement::carries(self.tx, *seq, month_s)? {
                carried.carries.entry(project_id).or_default().push((*seq, carry));
            }
        }
        carried.set_dropped_apart(&self.newest_of);
        let carried = Rc::new(carried);
        self.carried.borrow_mut().insert(month_s, Rc::clone(&carried));
        Ok(carried)
    }

    /// The bill of a month that was told last.
    pub(super) fn newest(&self, month_s: i64) -> Option<&Statement> {
        self.newest.get(&month_s)
    }

    /// Those of the months before one, in the order of time.
    pub(super) fn newest_before(&self, month_s: i64) -> impl Iterator<Item = (i64, &Statement)> {
        self.newest.range(..month_s).map(|(month_s, told)| (*month_s, told))
    }

    /// The number of the one that was kept last; 0 where there is none.
    pub(super) fn last_seq(&self) -> i64 {
        self.all.last().map_or(0, |(_, bill)| bill.seq)
    }

    /// Tells whether any bill has looked whether it had to carry something.
    pub(super) fn any_carried(&self) -> bool {
        self.all.iter().any(|(_, bill)| bill.carried)
    }

    /// The bills that looked at what a month that was told before was not told, in the order in which they were kept.
    fn carriers(&self, month_s: i64) -> impl DoubleEndedIterator<Item = &(i64, Statement)> {
        let first_told = self
            .all
            .iter()
            .find(|(month, _)| *month == month_s)
            .map_or(i64::MAX, |(_, told)| told.seq);
        self.all
            .iter()
            .filter(move |(month, bill)| *month > month_s && bill.carried && bill.seq > first_told)
    }

    /// The projects of which bills carried something of a month, even where they took it back.
    pub(super) fn ever_carried(&self, month_s: i64) -> Result<Vec<ProjectId>> {
        let carried = self.carried_of(month_s)?;
        Ok(carried.carries.keys().chain(carried.dropped.keys()).cloned().collect())
    }

    /// The projects of whose month a later bill has carried something.
    pub(super) fn closed(&self, month_s: i64) -> Result<BTreeSet<ProjectId>> {
        let carried = self.carried_of(month_s)?;
        let closed = carried.carries.iter().filter(|(_, carries)| is_carried(carries));
        Ok(closed.map(|(project_id, _)| project_id.clone()).collect())
    }

    /// Tells whether a later bill has carried something of a month of a project.
    pub(super) fn has_carried(&self, month_s: i64, project_id: &ProjectId) -> Result<bool> {
        Ok(self
            .carried_of(month_s)?
            .carries
            .get(project_id)
            .is_some_and(|carries| is_carried(carries)))
    }

    /// What bills have carried of a month of a project; of a bill that was told anew the last that it told.
    pub(super) fn told_by_carries(&self, month_s: i64, project_id: &ProjectId) -> Result<Amount> {
        let carried = self.carried_of(month_s)?;
        let carries = carried.carries.get(project_id).into_iter().flatten();
        Ok(carries.filter(|(seq, _)| self.is_newest(*seq)).map(|(_, carry)| &carry.amount).sum())
    }

    /// What the bill knew that looked last at a month that was told as this statement says, and what it left.
    pub(super) fn last_look(&self, month_s: i64, told: &Statement) -> Result<LastLook> {
        // Of projects that are closed the month's own bill says no news, however often it is told.
        let looked = self.carriers(month_s).next_back().map(|(_, bill)| bill);
        let carrying = self.carrying(month_s);
        // Where no bill was told again that had carried something, none can have dropped it.
        let dropped = match carrying.iter().all(|carrying| self.is_newest(carrying.seq)) {
            true => None,
            false => {
                let carried = self.carried_of(month_s)?;
                carried.dropped.values().flatten().map(|span| *span.end()).max()
            }
        };
        let is_or_was_closed =
            dropped.is_some() || carrying.iter().any(|carrying| carrying.carried);
        let looked = looked.filter(|looked| looked.seq > told.seq || is_or_was_closed);
        // As it was made: where it held good for longer than that, looking once more finds nothing.
        let Statement { knew_seq, knew_terms, .. } = *looked.unwrap_or(told);
        // Told again after that, it may have told what was carried of it; or the other what it had carried no more.
        let last_told = told.seq.max(dropped.unwrap_or_default());
        let is_told_anew = looked.is_some_and(|looked| looked.seq < last_told);
        let is_last =
            |seq: i64| self.is_newest(seq) || looked.is_some_and(|looked| looked.seq == seq);
        let mut waits = Vec::new();
        if carrying.iter().any(|carrying| carrying.waits && is_last(carrying.seq)) {
            let carried = self.carried_of(month_s)?;
            let waiting = |carries: &[(i64, Carry)]| {
                carries.iter().any(|(seq, carry)| is_last(*seq) && !carry.whole)
            };
            let waiting = carried.carries.iter().filter(|(_, carries)| waiting(carries));
            waits.extend(waiting.map(|(project_id, _)| project_id.clone()));
        }
        Ok(LastLook { knew_seq, knew_terms, is_told_anew, waits })
    }

    /// Tells whether a project's bills told a ledger entry that is dated at `at_s` in a month, where later bills looked at
    /// that month; of the month's own bills those are left aside that were kept once it was closed. `own` is the
    /// last entry that any of them knew.
    pub(super) fn is_told(
        &self,
        month_s: i64,
        project_id: &ProjectId,
        at_s: i64,
        seq: i64,
        own: i64,
    ) -> Result<bool> {
        let carried = self.carried_of(month_s)?;
        let carries = carried.carries.get(project_id).map_or(&[][..], Vec::as_slice);
        let closed_by =
            carries.iter().find(|(_, carry)| !carry.amount.is_zero()).map(|(seq, _)| *seq);
        let dropped = carried.dropped.get(project_id).map_or(&[][..], Vec::as_slice);
        let own = if closed_by.is_none() && dropped.is_empty() {
            own
        } else {
            let was_open = |bill: &&Statement| {
                closed_by.is_none_or(|closed_by| bill.seq < closed_by)
                    && !dropped.iter().any(|span| span.contains(&bill.seq))
            };
            let open = self.all.iter().map(|(_, bill)| bill).filter(was_open);
            let holding =
                open.filter(|bill| (bill.period.first_s()..=bill.period.last_s()).contains(&at_s));
            holding.map(|bill| bill.last_knew_seq).max().unwrap_or_default()
        };
        if seq <= own {
            return Ok(true);
        }
        let waits: HashSet<i64> =
            carries.iter().filter(|(_, carry)| !carry.whole).map(|(seq, _)| *seq).collect();
        // The bills that looked, in the order in which they were kept: the first that knew of the entry told it.
        let mut lost = false;
        for (month, bill) in self.carriers(month_s).filter(|(_, bill)| bill.knew_seq >= seq) {
            let newest = self.newest[month].seq;
            // A bill that went out while another one still carried the entry did not tell it.
            let dropped_since = |span: &&RangeInclusive<i64>| lost && span.contains(&bill.seq);
            if let Some(own_span) = dropped.iter().find(|span| *span.start() == bill.seq) {
                lost |= *own_span.end() > bill.seq;
            } else if dropped.iter().find(dropped_since).is_none()
                && ![bill.seq, newest].iter().any(|seq| waits.contains(seq))
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn is_carried(carries: &[(i64, Carry)]) -> bool {
    carries.iter().any(|(_, carry)| !carry.amount.is_zero())
}

impl CarriedOf {
    /// Sets apart what is carried no more by the newest bill of the month that had carried it; `newest_of` tells that bill
    /// for each.
    fn set_dropped_apart(&mut self, newest_of: &HashMap<i64, i64>) {
        self.carries.retain(|project_id, carries| {
            let told: BTreeSet<i64> = carries.iter().map(|(seq, _)| *seq).collect();
            let mut dropped: Vec<RangeInclusive<i64>> = Vec::new();
            for (seq, newest) in told.iter().map(|seq| (*seq, newest_of[seq])) {
                let is_known = dropped.iter().any(|span| *span.end() == newest);
                if !told.contains(&newest) && !is_known {
                    dropped.push(seq..=newest);
                }
            }
            if !dropped.is_empty() {
                self.dropped.insert(project_id.clone(), dropped);
            }
            carries.retain(|(seq, _)| told.contains(&newest_of[seq]));
            !carries.is_empty()
        });
    }
}
