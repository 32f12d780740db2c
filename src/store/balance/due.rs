//! What is due of earlier months, and what is told of a bill's own month by later ones.

use crate::billing::adjustment::{Adjustment, Due, month_of};
use crate::billing::amount::Amount;
use crate::billing::bill::{Standing, Standings};
use crate::billing::id::ProjectId;
use crate::billing::period::Period;
use crate::billing::setting::LatePolicy;
use crate::billing::statement::StatementEntry;
use crate::store::balance::lines::{Balance, Balances, BilledMonth, each_line, read};
use crate::store::balance::mark::{MarkedProjects, price};
use crate::store::bill::Pricing;
use crate::store::{ReadTx, Result, setting, statement};
use std::collections::BTreeMap;

/// What projects cost of earlier months by now, by month: of those whose balances say something
/// else.
pub type Costs = BTreeMap<i64, BTreeMap<ProjectId, Option<Amount>>>;

/// What a bill goes by beside the usage and the prices of its own window.
#[derive(Default)]
pub struct Dues {
    /// How each project stands of which later bills tell something, or that is due something.
    pub standings: Standings,
    /// Whether the bill tells of earlier months.
    pub adjusts: bool,
    /// What marked projects were found to cost.
    pub costs: Costs,
}

/// Reads what the bill of a window goes by: of all projects, or of `only` one. A window that is no
/// month's has nothing.
///
/// # Errors
/// When SQLite fails.
pub fn dues(
    tx: &ReadTx<'_>,
    window: Period,
    only: Option<&ProjectId>,
    pricing: &Pricing,
) -> Result<Dues> {
    let Some(own_s) = month_of(window) else {
        return Ok(Dues::default());
    };
    let adjusts = setting::read(tx)?.late() == LatePolicy::Carry;
    let mut dues = Dues { adjusts, ..Dues::default() };
    let before = statement::month_bill(tx, own_s)?;
    let months = BilledMonth::before(tx, own_s + 1)?;
    let own = months.last().filter(|month| month.month_s == own_s);
    let is_adjusted = own.is_some_and(|own| own.adjusted);
    let told_before = match before {
        Some(bill) if bill.adjusts || is_adjusted => statement::entries(tx, bill.seq)?,
        Some(_) | None => Vec::new(),
    };
    if is_adjusted {
        dues.standings = told_elsewhere(tx, own_s, &told_before)?;
        dues.standings.retain(|id, _| only.is_none_or(|only| only == id));
    }
    if adjusts {
        let mut ours: BTreeMap<i64, OwnAdjustments<'_>> = BTreeMap::new();
        for told in told_before.iter().flat_map(StatementEntry::by_project) {
            ours.entry(told.1.month_s).or_default().push(told);
        }
        for month in months.iter().filter(|month| month.month_s < own_s) {
            let ours = ours.get(&month.month_s).map_or(&[][..], Vec::as_slice);
            if month.waiting || month.marked || !ours.is_empty() {
                dues.add_month(tx, month.month_s, ours, only, pricing)?;
            }
        }
    }
    Ok(dues)
}

/// Reads how the projects of a month stand of which later bills tell something. `before` is what
/// the newest bill of the month said.
fn told_elsewhere(tx: &ReadTx<'_>, month_s: i64, before: &[StatementEntry]) -> Result<Standings> {
    let told = read(tx, month_s, |_| true)?.into_iter();
    let told = told.filter(|(_, balance)| !balance.adjusted.is_zero());
    let standing = |(id, balance): (ProjectId, Balance)| {
        let place = before.binary_search_by(|entry| entry.project_id.cmp(&id)).ok();
        let before = place.map(|place| before[place].clone());
        (id, Standing { elsewhere: balance.adjusted, before, due: Vec::new() })
    };
    Ok(told.map(standing).collect())
}

/// What the newest bill of the own month tells of an earlier one, in the order of project ids.
type OwnAdjustments<'e> = Vec<(&'e ProjectId, &'e Adjustment)>;

impl Dues {
    /// Adds what is due of an earlier month.
    fn add_month(
        &mut self,
        tx: &ReadTx<'_>,
        month_s: i64,
        ours: &[(&ProjectId, &Adjustment)],
        only: Option<&ProjectId>,
        pricing: &Pricing,
    ) -> Result<()> {
        let marked = MarkedProjects::read(tx, month_s)?;
        let is_asked = |id: &str| only.is_none_or(|only| only.as_str() == id);
        let is_ours = |id: &str| ours.binary_search_by(|(ours, _)| ours.as_str().cmp(id)).is_ok();
        let (mut looked_at, mut news) = (Balances::new(), Vec::new());
        // Both are in the order of ids: much may wait, and looking each up would take longer.
        let mut known = self.standings.iter_mut().peekable();
        each_line(tx, month_s, |line| {
            let id = line.project_id;
            if marked.has(id) || is_ours(id) {
                looked_at.insert(line.id()?, line.balance()?);
            } else if line.waits()
                && is_asked(id)
                && let Some(due) = due_of(month_s, &line.balance()?)
            {
                while known.next_if(|(known, _)| known.as_str() < id).is_some() {}
                match known.peek_mut() {
                    Some((known, standing)) if known.as_str() == id => standing.due.push(due),
                    Some(_) | None => news.push((line.id()?, due)),
                }
            }
            Ok(())
        })?;
        let before = looked_at.clone();
        price(tx, pricing, month_s, &marked, only, &mut looked_at)?;
        let costs = changed_costs(&before, &looked_at);
        if !costs.is_empty() {
            self.costs.insert(month_s, costs);
        }
        for (id, adjustment) in ours {
            // What other bills tell remains.
            looked_at.entry((*id).clone()).or_default().adjusted -= &adjustment.amount;
        }
        for (id, balance) in looked_at.into_iter().filter(|(id, _)| is_asked(id.as_str())) {
            news.extend(due_of(month_s, &balance).map(|due| (id, due)));
        }
        for (id, due) in news {
            self.standings.entry(id).or_default().due.push(due);
        }
        Ok(())
    }
}

/// What projects cost by balances, where others say something else.
fn changed_costs(before: &Balances, now: &Balances) -> BTreeMap<ProjectId, Option<Amount>> {
    let nothing = Balance::default();
    let is_changed =
        |id: &ProjectId, now: &Balance| before.get(id).unwrap_or(&nothing).cost != now.cost;
    let changed = now.iter().filter(|(id, now)| is_changed(id, now));
    changed.map(|(id, now)| (id.clone(), now.cost.clone())).collect()
}

/// What is due of a month by its balance; `None` where nothing is.
fn due_of(month_s: i64, balance: &Balance) -> Option<Due> {
    let amount = balance.due();
    (!amount.as_ref().is_some_and(Amount::is_zero)).then_some(Due { month_s, amount })
}
