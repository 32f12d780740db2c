//! What came too late for what Agora was told, and waits.

use crate::billing::amount::Amount;
use crate::billing::id::PlanId;
use crate::billing::period::{Grain, Period};
use crate::billing::statement::{ListingKind, Statement};
use crate::store::bill::Pricing;
use crate::store::survey::usage::Recording;
use crate::store::{ReadTx, Result, balance, late, statement};
use std::collections::{BTreeMap, BTreeSet};

/// How many of the ledger's last entries are read at most. What is older was to be seen long ago;
/// `statement late` adds up all.
const ENTRIES: i64 = 200_000;

/// What was recorded of a month too late for the usage that Agora was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LateUsage {
    /// The month, by its first second.
    pub month_s: i64,
    /// How many projects it is of.
    pub projects: usize,
    /// The sum, in whatever units; voids are below zero.
    pub amount: Amount,
    /// The number of records less voids.
    pub records: i64,
}

/// What a month that was billed costs by now and no bill told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LateMoney {
    /// The month, by its first second.
    pub month_s: i64,
    /// How many projects it is of.
    pub projects: usize,
    /// What was told too little, in the currency agreed with Agora.
    pub too_little: Amount,
    /// What was told too much; zero or above.
    pub too_much: Amount,
    /// How many projects cost nobody knows what, for want of a price.
    pub unpriced: usize,
    /// The plans that would price these.
    pub plans: BTreeSet<PlanId>,
}

/// Of this month and the one before: usage statements of older time are hardly told again.
pub(super) fn usage(tx: &ReadTx<'_>, recording: &Recording, now_s: i64) -> Result<Vec<LateUsage>> {
    let first_s = Grain::Month.floor((Grain::Month.floor(now_s) - 1).max(0));
    let Some(recent) = Period::new(first_s, now_s) else {
        return Ok(Vec::new());
    };
    let after_seq = recording.entries - ENTRIES;
    let mut months: BTreeMap<i64, LateUsage> = BTreeMap::new();
    let found = late::by_month_after(tx, ListingKind::Usage, recent, after_seq)?;
    for ((month_s, _), sum) in found {
        let month = months.entry(month_s).or_default();
        month.month_s = month_s;
        month.projects += 1;
        month.amount += &sum.amount;
        month.records += sum.records;
    }
    Ok(months.into_values().collect())
}

/// Of all months that have a kept bill: their balances and marks say where to look. Nothing is late
/// of a month that is not over and was billed before its last day: its own bill is still to come.
pub(super) fn money(tx: &ReadTx<'_>, now_s: i64) -> Result<Vec<LateMoney>> {
    let mut months = balance::unsettled(tx)?;
    if months.is_empty() {
        return Ok(Vec::new());
    }
    let bills = statement::month_bills(tx)?;
    let is_final = |bill: &Statement| !bill.provisional;
    months.retain(|month_s| {
        Grain::Month.after(*month_s) <= now_s || bills.get(month_s).is_none_or(is_final)
    });
    let pricing = Pricing::read(tx, None)?;
    let mut found = Vec::new();
    for month_s in months {
        let mut late = LateMoney { month_s, ..LateMoney::default() };
        for (project_id, balance) in balance::now(tx, &pricing, month_s, None)? {
            match &balance.due {
                None => {
                    late.unpriced += 1;
                    late.plans.extend(pricing.plan_missing(&project_id, month_s));
                }
                Some(due) if due.is_positive() => late.too_little += due,
                Some(due) if due.is_negative() => late.too_much -= due,
                Some(_) => continue,
            }
            late.projects += 1;
        }
        if late.projects > 0 {
            found.push(late);
        }
    }
    Ok(found)
}
