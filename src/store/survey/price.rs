//! What is given away: plans and types of licenses that nobody set up, and usage without a price.

use crate::billing::amount::Amount;
use crate::billing::id::{LicenseType, PlanId};
use crate::billing::period::{Grain, Period};
use crate::store::{ReadTx, Result, balance, bill, project, usage};
use rusqlite::named_params;
use std::collections::BTreeSet;

/// What of a month's usage has no price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnpricedMonth {
    /// The month, by its first second.
    pub month_s: i64,
    /// How many projects it is of.
    pub projects: usize,
    /// The usage that no license covered, in whatever units.
    pub amount: Amount,
    /// The plans that would price it.
    pub plans: BTreeSet<PlanId>,
    /// Whether the month was billed: a price holds for it where that is said.
    pub billed: bool,
}

/// Plans that are named for active customers and not set up.
pub(super) fn plans_missing(tx: &ReadTx<'_>) -> Result<Vec<(PlanId, i64)>> {
    const SELECT: &str = "
        select c.plan_id, count(*)
        from customer c
        where c.plan_id is not null
          and c.deactivated_at_s is null
          and not exists (select 1 from plan_version v where v.plan_id = c.plan_id)
        group by c.plan_id
        order by c.plan_id";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let missing = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(missing.collect::<rusqlite::Result<_>>()?)
}

/// Types of licenses in force that are not set up.
pub(super) fn types_missing(tx: &ReadTx<'_>, now_s: i64) -> Result<Vec<(LicenseType, i64)>> {
    const SELECT: &str = "
        select l.type, count(*)
        from license l
        where l.type is not null
          and l.revoked_at_s is null
          and l.expires_at_s >= :now_s
          and not exists (select 1 from license_type t where t.type = l.type)
        group by l.type
        order by l.type";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let params = named_params! { ":now_s": now_s };
    let missing = select.query_map(params, |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(missing.collect::<rusqlite::Result<_>>()?)
}

/// Tells whether any plan is set up.
pub(super) fn has_plans(tx: &ReadTx<'_>) -> Result<bool> {
    const SELECT: &str = "select 1 from plan_version";
    Ok(tx.sql().prepare_cached(SELECT)?.exists([])?)
}

/// Usage of this month and the last one that no license covers and no plan prices.
pub(super) fn unpriced(tx: &ReadTx<'_>, now_s: i64) -> Result<Vec<UnpricedMonth>> {
    let this_s = Grain::Month.floor(now_s);
    let last_s = Grain::Month.floor((this_s - 1).max(0));
    let terms = bill::terms(tx)?;
    let named = terms.named.values().flat_map(|plans| plans.iter().map(|(_, plan)| Some(plan)));
    let is_set_up = |plan| terms.plans.applicable(plan, last_s).is_ok();
    if named.chain([None]).all(is_set_up) {
        // Whoever's usage it is, there is a price.
        return Ok(Vec::new());
    }
    let customers = project::customers(tx, None)?;
    let billed = balance::billed_from(tx, last_s)?;
    let nobodys = Default::default();
    let mut found = Vec::new();
    for month_s in [last_s, this_s] {
        let month = Period::around(Grain::Month, month_s);
        let (mut projects, mut amount, mut plans) = (0, Amount::default(), BTreeSet::new());
        for (project_id, sum) in usage::by_project(tx, month, None)? {
            let uncovered = &sum.amount - &sum.covered;
            let customers = customers.get(&project_id).unwrap_or(&nobodys);
            if let Err(plan_id) = terms.in_force(customers, month_s).plan
                && !uncovered.is_zero()
            {
                projects += 1;
                amount += &uncovered;
                plans.insert(plan_id);
            }
        }
        if projects > 0 {
            let billed = billed.contains(&month_s);
            found.push(UnpricedMonth { month_s, projects, amount, plans, billed });
        }
    }
    Ok(found)
}
