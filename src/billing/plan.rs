//! Price plans, which of them applies, and the words Agora shows the user.

use crate::billing::amount::Amount;
use crate::billing::id::{Label, PlanId};
use crate::billing::price::Price;
use std::collections::BTreeMap;

/// A price plan: what is counted, what it is called, and what it costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Agora's `planId`.
    pub id: PlanId,
    /// As it stands in descriptions, e.g. `Standard`.
    pub name: Label,
    /// One unit of usage, in words, e.g. `Minute`.
    pub unit: Label,
    /// What usage costs.
    pub price: Price,
}

/// The plans that are set up, by id.
#[derive(Clone, Debug, Default)]
pub struct PlanBook(BTreeMap<PlanId, Plan>);

impl PlanBook {
    /// The plan for a customer for whom `named` was chosen, or the plan `default` where none was.
    ///
    /// # Errors
    /// The id of a plan that is not set up; never the default in place of one that was named.
    pub fn applicable(&self, named: Option<&PlanId>) -> Result<&Plan, PlanId> {
        let id = named.cloned().unwrap_or_else(PlanId::fallback);
        self.0.get(&id).ok_or(id)
    }

    /// The plans in the order of their ids.
    pub fn plans(&self) -> impl Iterator<Item = &Plan> {
        self.0.values()
    }
}

impl FromIterator<Plan> for PlanBook {
    fn from_iter<I: IntoIterator<Item = Plan>>(plans: I) -> Self {
        Self(plans.into_iter().map(|plan| (plan.id.clone(), plan)).collect())
    }
}

/// Says what usage was counted: `1.5 Minute × Standard`, or `1.5 Minute` where there is no plan and
/// `unplanned_unit` is the word for a unit.
///
/// Source: the example answer on Agora's page "Provide usage data to Agora".
pub fn describe_usage(amount: &Amount, plan: Option<&Plan>, unplanned_unit: &Label) -> String {
    match plan {
        Some(plan) => format!("{amount} {} × {}", plan.unit, plan.name),
        None => format!("{amount} {unplanned_unit}"),
    }
}

/// Says how a charge came about: `100 Minute × Standard (0.01 each)`.
pub fn describe_charge(amount: &Amount, plan: &Plan) -> String {
    let Price::PerUnit(each) = &plan.price;
    format!("{amount} {} × {} ({each} each)", plan.unit, plan.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(id: &str, each: &str) -> Plan {
        Plan {
            id: id.parse().expect("an id"),
            name: "Standard".parse().expect("a name"),
            unit: "Minute".parse().expect("a unit"),
            price: Price::PerUnit(each.parse().expect("a price")),
        }
    }

    #[test]
    fn a_named_plan_that_is_not_set_up_is_never_replaced_by_the_default() {
        let book: PlanBook = [plan("default", "1"), plan("gold", "2")].into_iter().collect();
        let id = |text: &str| text.parse::<PlanId>().expect("an id");
        assert_eq!(book.applicable(None).map(|plan| &plan.id), Ok(&id("default")));
        assert_eq!(book.applicable(Some(&id("gold"))).map(|plan| &plan.id), Ok(&id("gold")));
        assert_eq!(book.applicable(Some(&id("silver"))), Err(id("silver")));
        assert_eq!(PlanBook::default().applicable(None), Err(id("default")));
    }

    #[test]
    fn the_words_are_agoras() {
        let amount = "1.50".parse().expect("an amount");
        let word = "Minute".parse().expect("a unit");
        assert_eq!(describe_usage(&amount, Some(&plan("default", "0.01")), &word), "1.5 Minute × Standard");
        assert_eq!(describe_usage(&amount, None, &word), "1.5 Minute");
        assert_eq!(describe_charge(&amount, &plan("default", "0.010")), "1.5 Minute × Standard (0.01 each)");
    }
}
