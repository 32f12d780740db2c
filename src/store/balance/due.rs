//! What a bill goes by beside the usage and the prices of its own window: what bills of other
//! months tell of its own month, and what is due of earlier ones.

use crate::billing::adjustment::{Due, month_of};
use crate::billing::amount::Amount;
use crate::billing::bill::{Standing, Standings};
use crate::billing::id::ProjectId;
use crate::billing::period::Period;
use crate::billing::setting::LatePolicy;
use crate::billing::statement::StatementEntry;
use crate::store::balance::lines::{Balance, BilledMonth, each_waiting, read};
use crate::store::balance::price::now;
use crate::store::bill::Pricing;
use crate::store::{ReadTx, Result, column, setting, statement};
use std::collections::{BTreeMap, btree_map};
use std::iter::Peekable;

/// Reads how each project stands in the bill of a window, of which anything is told by other bills
/// or due: of all projects, or of `only` one. In a window that is no month's none stands so.
///
/// # Errors
/// When SQLite fails, or what is kept cannot be read.
pub fn dues(
    tx: &ReadTx<'_>,
    window: Period,
    only: Option<&ProjectId>,
    pricing: &Pricing,
) -> Result<Standings> {
    let Some(own_s) = month_of(window) else {
        return Ok(Standings::new());
    };
    let is_asked = |id: &ProjectId| only.is_none_or(|only| only == id);
    let mut elsewhere = read(tx, own_s, only)?;
    elsewhere.retain(|_, balance| !balance.adjusted.is_zero());
    let before = match statement::month_bill(tx, own_s)? {
        Some(bill) if !elsewhere.is_empty() => statement::entries(tx, bill.seq)?,
        Some(bill) if bill.adjusts => statement::open_entries(tx, bill.seq)?,
        Some(_) | None => Vec::new(),
    };
    let standing = |(id, balance): (ProjectId, Balance)| {
        let place = before.binary_search_by(|entry: &StatementEntry| entry.project_id.cmp(&id));
        let before = place.ok().map(|place| before[place].clone());
        (id, Standing { elsewhere: balance.adjusted, before, due: Vec::new() })
    };
    let mut standings: Standings = elsewhere.into_iter().map(standing).collect();
    if setting::read(tx)?.late() != LatePolicy::Carry {
        return Ok(standings);
    }
    let mut ours: BTreeMap<i64, Vec<(&ProjectId, &Amount)>> = BTreeMap::new();
    for (id, told) in before.iter().flat_map(StatementEntry::by_project) {
        ours.entry(told.month_s).or_default().push((id, &told.amount));
    }
    for BilledMonth { month_s, waiting, marked, .. } in BilledMonth::before(tx, own_s)? {
        let ours = ours.remove(&month_s).unwrap_or_default();
        let mut month = MonthDues::new(month_s, &mut standings);
        if marked || !ours.is_empty() {
            let mut balances = now(tx, pricing, month_s, only)?;
            // What the bill told before is due again: what it tells now takes its place.
            for (id, told) in ours.into_iter().filter(|(id, _)| is_asked(id)) {
                balances.entry(id.clone()).or_default().due.iter_mut().for_each(|due| *due += told);
            }
            for (id, balance) in balances.into_iter().filter(|(_, balance)| balance.waits()) {
                month.add(id.as_str(), balance.due)?;
            }
        } else if waiting {
            each_waiting(tx, month_s, only, |id, due| month.add(id, due))?;
        }
        let news = month.news;
        for (id, due) in news {
            standings.entry(id).or_default().due.push(due);
        }
    }
    Ok(standings)
}

/// What is due of an earlier month, as it is added to the standings in the order of project ids:
/// much may wait, and looking up each project would take longer.
struct MonthDues<'s> {
    month_s: i64,
    known: Peekable<btree_map::IterMut<'s, ProjectId, Standing>>,
    /// Of projects that have no standing yet.
    news: Vec<(ProjectId, Due)>,
}

impl<'s> MonthDues<'s> {
    fn new(month_s: i64, standings: &'s mut Standings) -> Self {
        Self { month_s, known: standings.iter_mut().peekable(), news: Vec::new() }
    }

    fn add(&mut self, id: &str, amount: Option<Amount>) -> Result<()> {
        let due = Due { month_s: self.month_s, amount };
        while self.known.next_if(|(known, _)| known.as_str() < id).is_some() {}
        match self.known.peek_mut() {
            Some((known, standing)) if known.as_str() == id => standing.due.push(due),
            Some(_) | None => self.news.push((column::parse(id)?, due)),
        }
        Ok(())
    }
}
