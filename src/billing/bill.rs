//! A bill: every project's usage in a window, priced.

use crate::billing::amount::Amount;
use crate::billing::id::{CustomerId, PlanId, ProjectId};
use crate::billing::plan::{self, PlanBook};
use crate::billing::price::{self, Line};

/// What a project used in a window, and who answers for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectUsage {
    /// The project.
    pub project_id: ProjectId,
    /// Whose project it is, where anybody has said.
    pub customer_id: Option<CustomerId>,
    /// The plan named for that customer, if any.
    pub plan_id: Option<PlanId>,
    /// Usage, in the plan's unit.
    pub amount: Amount,
    /// The part of it that licenses covered, which is not charged.
    pub covered: Amount,
}

impl ProjectUsage {
    /// The usage that no license covered.
    pub fn uncovered(&self) -> Amount {
        &self.amount - &self.covered
    }
}

/// A project's part of a bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The project and its usage.
    pub usage: ProjectUsage,
    /// The charge, in the currency agreed with Agora; the sum of the lines.
    pub amount: Amount,
    /// How it came about, in the words Agora shows.
    pub description: String,
    /// How it came about, line by line.
    pub lines: Vec<Line>,
}

/// A project that has usage, not all of it covered, and no price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpriced {
    /// The project and its usage.
    pub usage: ProjectUsage,
    /// The plan that would price it and is not set up.
    pub missing_plan: PlanId,
}

/// A window's usage, priced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    /// The charges that are not zero, in the order of the usage they came from.
    pub entries: Vec<Entry>,
    /// The projects whose usage costs nothing: covered by licenses, or free.
    pub uncharged: Vec<ProjectUsage>,
    /// The projects that could not be priced.
    pub unpriced: Vec<Unpriced>,
}

impl Bill {
    /// The sum of all charges.
    pub fn total(&self) -> Amount {
        self.entries.iter().map(|entry| &entry.amount).sum()
    }
}

/// Prices what no license covered of a window's usage. A project whose plan is not set up is set apart, never
/// priced by another plan; one whose charge is zero has no entry, since Agora takes none that is zero.
pub fn bill(usage: impl IntoIterator<Item = ProjectUsage>, plans: &PlanBook) -> Bill {
    let mut bill = Bill::default();
    for usage in usage {
        let uncovered = usage.uncovered();
        if uncovered.is_zero() {
            bill.uncharged.push(usage);
            continue;
        }
        match plans.applicable(usage.plan_id.as_ref()) {
            Err(missing_plan) => bill.unpriced.push(Unpriced { usage, missing_plan }),
            Ok(plan) => {
                let lines = price::charge(&plan.price, &uncovered);
                let amount: Amount = lines.iter().map(|line| &line.amount).sum();
                if amount.is_zero() {
                    bill.uncharged.push(usage);
                } else {
                    let description = plan::describe_charge(&uncovered, plan);
                    bill.entries.push(Entry { usage, amount, description, lines });
                }
            }
        }
    }
    bill
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::plan::Plan;
    use crate::billing::price::Price;

    fn usage(project: &str, plan: Option<&str>, amount: &str) -> ProjectUsage {
        ProjectUsage {
            project_id: project.parse().expect("an id"),
            customer_id: None,
            plan_id: plan.map(|id| id.parse().expect("an id")),
            amount: amount.parse().expect("an amount"),
            covered: Amount::default(),
        }
    }

    fn covered(usage: ProjectUsage, covered: &str) -> ProjectUsage {
        ProjectUsage { covered: covered.parse().expect("an amount"), ..usage }
    }

    #[test]
    fn each_project_is_priced_by_its_plan_and_set_apart_without_one() {
        let plans: PlanBook = [("default", "0.01"), ("free", "0")]
            .map(|(id, each)| Plan {
                id: id.parse().expect("an id"),
                name: "Standard".parse().expect("a name"),
                unit: "Minute".parse().expect("a unit"),
                price: Price::PerUnit(each.parse().expect("a price")),
            })
            .into_iter()
            .collect();
        let bill = bill(
            [
                usage("a", None, "100"),
                usage("b", Some("gold"), "7"),
                usage("c", Some("free"), "9"),
                usage("d", None, "0.5"),
                covered(usage("e", None, "10"), "4"),
                covered(usage("f", Some("gold"), "10"), "10"),
            ],
            &plans,
        );
        let said: Vec<_> = bill
            .entries
            .iter()
            .map(|e| (e.usage.project_id.as_str(), e.amount.to_string(), e.description.as_str()))
            .collect();
        assert_eq!(
            said,
            [
                ("a", "1".to_owned(), "100 Minute × Standard (0.01 each)"),
                ("d", "0.005".to_owned(), "0.5 Minute × Standard (0.01 each)"),
                ("e", "0.06".to_owned(), "6 Minute × Standard (0.01 each)"),
            ]
        );
        let uncharged: Vec<_> = bill.uncharged.iter().map(|usage| usage.project_id.as_str()).collect();
        assert_eq!(uncharged, ["c", "f"]);
        assert_eq!(bill.unpriced.len(), 1);
        assert_eq!(bill.unpriced[0].missing_plan.as_str(), "gold");
        assert_eq!(bill.total().to_string(), "1.065");
    }
}
