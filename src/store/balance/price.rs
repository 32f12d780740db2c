//! What is due of a month by now: what it costs less what is told of it.

use crate::billing::amount::Amount;
use crate::billing::bill::cost;
use crate::billing::id::ProjectId;
use crate::billing::period::{Grain, Period};
use crate::store::balance::lines::{Balances, BilledMonth, read, write};
use crate::store::balance::mark::Marks;
use crate::store::bill::Pricing;
use crate::store::{ReadTx, Result, WriteTx, statement};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The balances of a month by now: of all projects, or of `only` one.
///
/// # Errors
/// When SQLite fails, or what is kept cannot be read.
pub fn now(
    tx: &ReadTx<'_>,
    pricing: &Pricing,
    month_s: i64,
    only: Option<&ProjectId>,
) -> Result<Balances> {
    let mut balances = read(tx, month_s, only)?;
    price(tx, pricing, month_s, &Marks::read(tx, month_s)?, only, &mut balances)?;
    Ok(balances)
}

/// What the month's own newest bill tells of it: of those projects that `is_asked` accepts.
///
/// # Errors
/// When SQLite fails, or what is kept cannot be read.
pub fn own(
    tx: &ReadTx<'_>,
    month_s: i64,
    is_asked: impl Fn(&str) -> bool,
) -> Result<BTreeMap<ProjectId, Amount>> {
    let Some(bill) = statement::month_bill(tx, month_s)? else {
        return Ok(BTreeMap::new());
    };
    let text = statement::text(tx, bill.seq)?;
    let own = text.entries_of(is_asked).map(|entry| {
        let entry = entry?;
        let own = entry.own();
        Ok((entry.project_id, own))
    });
    own.collect()
}

/// Writes into the balances of a month what is due of marked projects: of all, or of `only` one.
pub(super) fn price(
    tx: &ReadTx<'_>,
    pricing: &Pricing,
    month_s: i64,
    marks: &Marks,
    only: Option<&ProjectId>,
    balances: &mut Balances,
) -> Result<()> {
    if marks.is_empty() || only.is_some_and(|only| !marks.has(only.as_str())) {
        return Ok(());
    }
    let is_priced = |id: &str| marks.has(id) && only.is_none_or(|only| only.as_str() == id);
    // Who is not among those who used something, or were enabled, costs nothing.
    for (_, balance) in balances.iter_mut().filter(|(id, _)| is_priced(id.as_str())) {
        balance.due = Some(-&balance.adjusted);
    }
    for (id, own) in own(tx, month_s, is_priced)? {
        balances.entry(id).or_default().due.iter_mut().for_each(|due| *due -= &own);
    }
    // Looked up one by one where they are few.
    const FEW: usize = 50;
    let each: Vec<Option<&ProjectId>> = match &marks.projects {
        Some(projects) if only.is_none() && projects.len() <= FEW => {
            projects.iter().map(Some).collect()
        }
        Some(_) | None => vec![only],
    };
    let month = Period::around(Grain::Month, month_s);
    for asked in each {
        let projects = pricing.basis(tx, month, asked)?.projects.into_iter();
        for project in projects.filter(|project| is_priced(project.id.as_str())) {
            let cost = cost(&project, month, &pricing.terms).ok();
            let due = &mut balances.entry(project.id).or_default().due;
            *due = due.take().zip(cost).map(|(due, cost)| &due + &cost);
        }
    }
    Ok(())
}

/// Reads by month of which projects something is due, or it is not known what; `None`: of all.
pub(in crate::store) fn open(tx: &ReadTx<'_>) -> Result<HashMap<i64, Option<HashSet<ProjectId>>>> {
    let open = |BilledMonth { month_s, .. }| {
        let waiting = read(tx, month_s, None)?.into_iter().filter(|(_, one)| one.waits());
        let marked = Marks::read(tx, month_s)?.projects;
        let projects = marked.map(|marked| waiting.map(|(id, _)| id).chain(marked).collect());
        Ok((month_s, projects))
    };
    BilledMonth::before(tx, i64::MAX)?.into_iter().map(open).collect()
}

/// A month of which all marked projects were priced. It takes the place of their marks once it is
/// written, so that no bill has to price them.
pub struct SettledMonth {
    month_s: i64,
    kept_seq: i64,
    mark_seq: i64,
    balances: Balances,
}

impl SettledMonth {
    /// Prices the first month after a second that has a mark; `None` where none has. Whoever goes
    /// on after that month comes to an end, however many marks are written meanwhile.
    ///
    /// # Errors
    /// When SQLite fails, or what is kept cannot be read.
    pub fn read(tx: &ReadTx<'_>, after_s: i64) -> Result<Option<Self>> {
        let mut months = BilledMonth::before(tx, i64::MAX)?.into_iter();
        let first = months.find(|month| month.month_s > after_s && month.marked);
        let Some(BilledMonth { month_s, kept_seq, .. }) = first else {
            return Ok(None);
        };
        let (pricing, marks) = (Pricing::read(tx, None)?, Marks::read(tx, month_s)?);
        let mut balances = read(tx, month_s, None)?;
        price(tx, &pricing, month_s, &marks, None, &mut balances)?;
        Ok(Some(Self { month_s, kept_seq, mark_seq: marks.seq, balances }))
    }

    /// Writes what is due, and removes the marks that were known. Where a bill has changed what is
    /// told since, or the newest of these marks is gone, all stays as it is. Tells which month it
    /// is, by its first second.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn write(&self, tx: &WriteTx<'_>) -> Result<i64> {
        let Self { month_s, kept_seq, mark_seq, balances } = self;
        // Whoever priced the month later than this removed it; so did whoever renewed it.
        if BilledMonth::kept_seq(tx, *month_s)? == *kept_seq && Marks::stands(tx, *mark_seq)? {
            write(tx, *month_s, *kept_seq, balances)?;
            Marks::remove(tx, *month_s, *mark_seq)?;
        }
        Ok(*month_s)
    }
}
