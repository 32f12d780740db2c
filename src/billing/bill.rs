//! A bill: what every project used in a window, month by month, priced by what was in force in
//! each.

use crate::billing::adjustment::{Adjustment, Due, split};
use crate::billing::amount::Amount;
use crate::billing::history::History;
use crate::billing::id::{CustomerId, PlanId, ProjectId};
use crate::billing::period::Period;
use crate::billing::plan::{self, Plan, PlanBook};
use crate::billing::{price, statement};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

/// What a project used in a window, and who answers for it at its end.
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

/// Who answers for a project, and by which plan: all by date.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// The plans named for customers.
    pub named: HashMap<CustomerId, History<PlanId>>,
    /// The plans that are set up.
    pub plans: PlanBook,
}

/// What is in force for a project at a second.
#[derive(Debug)]
pub struct InForce<'t> {
    /// Whose project it is, where anybody has said.
    pub customer_id: Option<&'t CustomerId>,
    /// The plan named for that customer, if any.
    pub plan_id: Option<&'t PlanId>,
    /// The plan that prices it; or the id of the one that would, and is not set up.
    pub plan: Result<&'t Arc<Plan>, PlanId>,
    /// The second from which something else is in force; `None`: never.
    pub until: Option<i64>,
}

impl Terms {
    /// What is in force at a second for a project whose customers are these.
    pub fn in_force<'t>(&'t self, customers: &'t History<CustomerId>, second: i64) -> InForce<'t> {
        let customer_id = customers.at(second);
        let named = customer_id.and_then(|customer_id| self.named.get(customer_id));
        let plan_id = named.and_then(|named| named.at(second));
        let versions = self.plans.versions(plan_id);
        let changes = [
            customers.until(second),
            named.and_then(|named| named.until(second)),
            versions.and_then(|versions| versions.until(second)),
        ];
        InForce {
            customer_id,
            plan_id,
            plan: self.plans.applicable(plan_id, second),
            until: changes.into_iter().flatten().min(),
        }
    }
}

/// A project that a window's bill is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BilledProject {
    /// The project.
    pub id: ProjectId,
    /// Whose project it was, and is to be.
    pub customers: Arc<History<CustomerId>>,
    /// What it used in the window, ascending; months without usage left out.
    pub usage: Vec<MonthUsage>,
    /// When it was enabled, as far as it is in the window.
    pub enabled: Vec<Period>,
}

/// What a project used in a month, as far as the month is in the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonthUsage {
    /// The month's first second.
    pub month_s: i64,
    /// Usage, in the plan's unit.
    pub amount: Amount,
    /// The part of it that licenses covered.
    pub covered: Amount,
}

/// All that a window's bill follows from.
#[derive(Clone, Debug)]
pub struct Basis {
    /// The window.
    pub period: Period,
    /// The projects that were enabled in it at any moment, or have usage in it, in the order of
    /// their ids.
    pub projects: Vec<BilledProject>,
    /// By what they are priced.
    pub terms: Arc<Terms>,
}

/// A line of a bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillLine {
    /// The plan that it follows from.
    pub plan: Arc<Plan>,
    /// What is charged.
    pub charge: price::ChargeLine,
}

impl BillLine {
    /// What it is for, in the words Agora shows.
    pub fn words(&self) -> String {
        plan::describe_line(&self.plan, &self.charge)
    }

    /// Adds another line to this one, where it says the same of another month; tells whether it
    /// did.
    fn join(&mut self, other: &Self) -> bool {
        let (plan, others) = (&self.plan, &other.plan);
        let alike =
            Arc::ptr_eq(plan, others) || (&plan.name, &plan.unit) == (&others.name, &others.unit);
        alike && self.charge.join(&other.charge)
    }
}

/// A project's part of a bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillEntry {
    /// The project and its usage.
    pub usage: ProjectUsage,
    /// The charge, in the currency agreed with Agora; the sum of the lines.
    pub amount: Amount,
    /// How it came about, in the words Agora shows.
    pub description: String,
    /// How it came about, line by line; what several months have alike is one line. Empty when it
    /// repeats an earlier bill.
    pub lines: Vec<BillLine>,
    /// What is taken off the charge, below zero, since later bills tell it.
    pub elsewhere: Amount,
    /// What of the month's own part cannot be told, zero or below.
    pub rest: Amount,
    /// What it tells of earlier months.
    pub adjustments: Vec<Adjustment>,
    /// Whether it repeats the bill before: later bills tell all that has changed since that one.
    as_told: bool,
}

/// A project that has no price in a month in which it needs one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnpricedProject {
    /// The project and its usage.
    pub usage: ProjectUsage,
    /// The plan that would price it and is not set up.
    pub missing_plan: PlanId,
}

/// A window, priced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    /// The charges, in the order of the projects' ids: none that is zero, but where adjustments
    /// made it so.
    pub entries: Vec<BillEntry>,
    /// The projects whose usage costs nothing, covered by licenses or free: in the order of their
    /// ids.
    pub uncharged: Vec<BillEntry>,
    /// The projects that could not be priced.
    pub unpriced: Vec<UnpricedProject>,
}

impl Bill {
    /// The sum of all charges.
    pub fn total(&self) -> Amount {
        self.entries.iter().map(|entry| &entry.amount).sum()
    }
}

/// What an entry of a month's bill goes by beside the charge of its month.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// What bills of later months tell of the bill's own month.
    pub elsewhere: Amount,
    /// The entry on the newest bill of the month, where later ones tell something of it.
    pub before: Option<statement::StatementEntry>,
    /// What earlier months are due, in the order of time.
    pub due: Vec<Due>,
}

/// The standing of each project that has one.
pub type Standings = BTreeMap<ProjectId, Standing>;

/// Prices the bill of a month whose projects stand like this.
pub fn bill_adjusted(basis: Basis, mut standings: Standings) -> Bill {
    let mut bill = bill(basis);
    if standings.is_empty() {
        return bill;
    }
    for unpriced in &bill.unpriced {
        // It has no entry that could tell anything.
        standings.remove(&unpriced.usage.project_id);
    }
    let mut entries: Vec<BillEntry> = bill.entries.into_iter().chain(bill.uncharged).collect();
    for entry in &mut entries {
        let standing = standings.remove(&entry.usage.project_id);
        standing.into_iter().for_each(|standing| entry.take(standing));
    }
    entries.extend(standings.into_iter().filter_map(|(project_id, standing)| {
        // All that is due may wait: of a project that used nothing that is no entry.
        let is_told_elsewhere = !standing.elsewhere.is_zero();
        let mut entry = BillEntry::new(ProjectUsage::nothing(&project_id), Vec::new());
        entry.take(standing);
        (is_told_elsewhere || !entry.is_silent()).then_some(entry)
    }));
    entries.sort_by(|a, b| a.usage.project_id.cmp(&b.usage.project_id));
    (bill.uncharged, bill.entries) = entries.into_iter().partition(BillEntry::is_silent);
    bill
}

impl ProjectUsage {
    /// A project that used nothing.
    fn nothing(project_id: &ProjectId) -> Self {
        let (amount, covered) = (Amount::default(), Amount::default());
        Self { project_id: project_id.clone(), customer_id: None, plan_id: None, amount, covered }
    }
}

impl BillEntry {
    /// What a project is charged by these lines.
    fn new(usage: ProjectUsage, lines: Vec<BillLine>) -> Self {
        let amount = price::total(lines.iter().map(|line| &line.charge));
        let description = plan::describe(lines.iter().map(BillLine::words));
        let (elsewhere, rest, adjustments) = (Amount::default(), Amount::default(), Vec::new());
        Self { usage, amount, description, lines, elsewhere, rest, adjustments, as_told: false }
    }

    /// Tells whether it repeats what the bill before stated.
    pub fn is_as_told(&self) -> bool {
        self.as_told
    }

    /// Whether it has nothing to say.
    fn is_silent(&self) -> bool {
        self.amount.is_zero() && self.adjustments.is_empty()
    }

    /// Takes off what is told elsewhere, and adds what is told of earlier months.
    fn take(&mut self, standing: Standing) {
        let due = &self.amount - &standing.elsewhere;
        let (own, adjustments) = split(&due, &standing.due);
        let amounts = |adjustments: &[Adjustment]| -> Vec<(i64, Amount)> {
            adjustments.iter().map(|one| (one.month_s, one.amount.clone())).collect()
        };
        let before = standing.before.filter(|before| {
            before.own() == own && amounts(before.adjustments()) == amounts(&adjustments)
        });
        self.rest = &due - &own;
        self.amount = &own + &adjustments.iter().map(|one| &one.amount).sum();
        self.elsewhere = -&standing.elsewhere;
        self.adjustments = adjustments;
        self.as_told = before.is_some();
        self.description = match before {
            Some(before) => before.figure.map(|figure| figure.description).unwrap_or_default(),
            None => plan::describe_adjusted(
                self.lines.iter().map(BillLine::words).collect(),
                &self.elsewhere,
                &self.adjustments,
            ),
        };
    }
}

/// Prices a window: for each project the sum, over the months that the window touches, of that
/// month's price for what no license covered of its usage there. A flat fee and a minimum are due,
/// whole, for each month in which the window holds usage of the project or a second in which it was
/// enabled.
///
/// A project one of whose months has no price is set apart whole, never priced by another plan; one
/// whose charge is zero has no entry, since Agora takes none that is zero.
pub fn bill(basis: Basis) -> Bill {
    let months = basis.period.months();
    let mut bill = Bill::default();
    for project in basis.projects {
        let charged = charge(&project, &months, &basis.terms);
        let has_usage = !project.usage.is_empty();
        let usage = usage_of(project, &basis.terms, months[months.len() - 1]);
        match charged {
            Err(missing_plan) => bill.unpriced.push(UnpricedProject { usage, missing_plan }),
            Ok(lines) => {
                let entry = BillEntry::new(usage, lines);
                if !entry.amount.is_zero() {
                    bill.entries.push(entry);
                } else if has_usage {
                    bill.uncharged.push(entry);
                }
            }
        }
    }
    bill
}

/// What a project's part of a window costs, without the words for it.
///
/// # Errors
/// The id of the plan that would price it and is not set up.
pub fn cost(project: &BilledProject, period: Period, terms: &Terms) -> Result<Amount, PlanId> {
    let lines = charge(project, &period.months(), terms)?;
    Ok(price::total(lines.iter().map(|line| &line.charge)))
}

/// Adds up a project's usage; who answers for it is named as of a second.
fn usage_of(project: BilledProject, terms: &Terms, second: i64) -> ProjectUsage {
    let in_force = terms.in_force(&project.customers, second);
    ProjectUsage {
        customer_id: in_force.customer_id.cloned(),
        plan_id: in_force.plan_id.cloned(),
        amount: project.usage.iter().map(|month| &month.amount).sum(),
        covered: project.usage.iter().map(|month| &month.covered).sum(),
        project_id: project.id,
    }
}

/// The lines of a project over the months of a window, named by their first seconds. Months in a
/// row in which it was enabled, used nothing and was priced alike are charged at once, however many
/// they are.
fn charge(project: &BilledProject, months: &[i64], terms: &Terms) -> Result<Vec<BillLine>, PlanId> {
    let place_of =
        |second: i64| months.partition_point(|month_s| *month_s <= second).saturating_sub(1);
    let mut usage = project.usage.iter().map(|month| (place_of(month.month_s), month)).peekable();
    let enabled: Vec<Range<usize>> = project
        .enabled
        .iter()
        .map(|enabled| place_of(enabled.first_s())..place_of(enabled.last_s()) + 1)
        .collect();
    let mut lines: Vec<BillLine> = Vec::new();
    let mut place = 0;
    while place < months.len() {
        let next_used = usage.peek().map_or(months.len(), |(used, _)| *used);
        let used = usage.next_if(|(used, _)| *used == place).map(|(_, month)| month);
        let enabled_to = enabled
            .iter()
            .filter(|enabled| enabled.contains(&place))
            .map(|enabled| enabled.end)
            .max();
        let end = match (used, enabled_to) {
            (Some(_), _) => place + 1,
            (None, Some(end)) => end.min(next_used),
            (None, None) => {
                let next_enabled = enabled
                    .iter()
                    .map(|enabled| enabled.start)
                    .filter(|start| *start > place)
                    .min();
                place = next_enabled.unwrap_or(months.len()).min(next_used);
                continue;
            }
        };
        let in_force = terms.in_force(&project.customers, months[place]);
        let end = in_force
            .until
            .map_or(end, |until| end.min(months.partition_point(|month_s| *month_s < until)));
        let uncovered = used.map_or_else(Amount::default, |month| &month.amount - &month.covered);
        match in_force.plan {
            Ok(plan) => {
                let count = u32::try_from(end - place).expect("the calendar has far fewer months");
                // Lines of one month never join each other: two parts alike charge the same units
                // twice.
                let mut earlier: Vec<usize> = (0..lines.len()).collect();
                for charge in price::charge(&plan.price, &uncovered) {
                    let line = BillLine { plan: Arc::clone(plan), charge: charge.times(count) };
                    match earlier.iter().position(|place| lines[*place].join(&line)) {
                        Some(joined) => {
                            earlier.remove(joined);
                        }
                        None => lines.push(line),
                    }
                }
            }
            // Where nobody has named a plan, none is missed until there is something to price.
            Err(missing) if in_force.plan_id.is_some() || !uncovered.is_zero() => {
                return Err(missing);
            }
            Err(_) => {}
        }
        place = end;
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::period::{Grain, first_second};
    use proptest::prelude::*;

    /// The first second of a month of 2026; 13 is January of 2027.
    fn month(number: i8) -> i64 {
        let (year, number) = if number > 12 { (2027, number - 12) } else { (2026, number) };
        first_second(jiff::civil::date(year, number, 1))
    }

    fn months(from: i8, to: i8) -> Period {
        Period::new(month(from), month(to + 1) - 1).expect("a window")
    }

    fn plan(id: &str, price: &str) -> Plan {
        Plan {
            id: id.parse().expect("an id"),
            name: "Standard".parse().expect("a name"),
            unit: "Minute".parse().expect("a unit"),
            price: price.parse().expect("a price"),
        }
    }

    fn amount(text: &str) -> Amount {
        text.parse().expect("an amount")
    }

    /// A project that was never enabled, with usage by month: amount and covered part.
    fn project(id: &str, customer: Option<&str>, usage: &[(i8, &str, &str)]) -> BilledProject {
        BilledProject {
            id: id.parse().expect("an id"),
            customers: Arc::new(
                customer.map(|id| (0, id.parse().expect("an id"))).into_iter().collect(),
            ),
            usage: usage
                .iter()
                .map(|(number, used, covered)| MonthUsage {
                    month_s: month(*number),
                    amount: amount(used),
                    covered: amount(covered),
                })
                .collect(),
            enabled: Vec::new(),
        }
    }

    /// The customers `rich` with the plan gold and `poor` with the plan free, from the start.
    fn terms(plans: impl IntoIterator<Item = (i64, Plan)>) -> Terms {
        let named = [("rich", "gold"), ("poor", "free")].map(|(customer, plan)| {
            let plan: PlanId = plan.parse().expect("an id");
            (customer.parse().expect("an id"), [(0, plan)].into_iter().collect())
        });
        Terms { named: named.into_iter().collect(), plans: plans.into_iter().collect() }
    }

    fn billed(period: Period, projects: Vec<BilledProject>, terms: &Terms) -> Bill {
        bill(Basis { period, projects, terms: Arc::new(terms.clone()) })
    }

    fn entries(bill: &Bill) -> Vec<(&str, String, &str)> {
        let entries = bill.entries.iter();
        entries
            .map(|e| (e.usage.project_id.as_str(), e.amount.to_string(), e.description.as_str()))
            .collect()
    }

    #[test]
    fn each_project_is_priced_by_its_plan_and_set_apart_without_one() {
        let terms = terms([(0, plan("default", "per-unit 0.01")), (0, plan("free", "per-unit 0"))]);
        let projects = vec![
            project("a", None, &[(10, "100", "0")]),
            project("b", Some("rich"), &[(10, "7", "0")]),
            project("c", Some("poor"), &[(10, "9", "0")]),
            project("d", Some("unknown"), &[(10, "0.5", "0")]),
            project("e", None, &[(10, "10", "4")]),
            project("f", None, &[(10, "10", "10")]),
        ];
        let bill = billed(months(10, 10), projects, &terms);
        assert_eq!(
            entries(&bill),
            [
                ("a", "1".to_owned(), "100 Minute × Standard (0.01 each)"),
                ("d", "0.005".to_owned(), "0.5 Minute × Standard (0.01 each)"),
                ("e", "0.06".to_owned(), "6 Minute × Standard (0.01 each)"),
            ]
        );
        let uncharged: Vec<_> =
            bill.uncharged.iter().map(|entry| entry.usage.project_id.as_str()).collect();
        assert_eq!(uncharged, ["c", "f"]);
        assert_eq!(bill.unpriced.len(), 1);
        assert_eq!(bill.unpriced[0].missing_plan.as_str(), "gold");
        assert_eq!(bill.total().to_string(), "1.065");
    }

    #[test]
    fn what_is_covered_whole_needs_no_price_unless_a_plan_is_named_that_is_not_there() {
        let nothing = terms([]);
        let covered = |customer| vec![project("p", customer, &[(10, "7", "7")])];
        let bill = billed(months(10, 10), covered(None), &nothing);
        assert_eq!((bill.uncharged.len(), bill.unpriced.len()), (1, 0));
        // It may have a flat fee, which no license lifts.
        let bill = billed(months(10, 10), covered(Some("rich")), &nothing);
        assert_eq!((bill.uncharged.len(), bill.unpriced.len()), (0, 1));
    }

    #[test]
    fn a_flat_fee_is_due_for_each_month_with_usage_or_a_second_enabled_and_no_license_lifts_it() {
        let terms = terms([(0, plan("default", "flat 10 + per-unit 1"))]);
        let enabled = |id: &str, stretches: &[(i64, i64)]| BilledProject {
            enabled: stretches
                .iter()
                .filter_map(|(first_s, last_s)| Period::new(*first_s, *last_s))
                .collect(),
            ..project(id, None, &[])
        };
        let projects = vec![
            enabled("for-a-second", &[(month(11) - 1, month(11) - 1)]),
            enabled("for-two-seconds", &[(month(11) - 1, month(11))]),
            enabled("not-at-all", &[]),
            enabled(
                "on-and-off",
                &[(month(9), month(9)), (month(9) + 9, month(10)), (month(12), month(13) - 1)],
            ),
            project("covered", None, &[(10, "5", "5")]),
        ];
        let bill = billed(months(9, 12), projects, &terms);
        assert_eq!(
            entries(&bill),
            [
                ("for-a-second", "10".to_owned(), "Standard (flat fee 10)"),
                ("for-two-seconds", "20".to_owned(), "Standard (2 × flat fee 10)"),
                ("on-and-off", "30".to_owned(), "Standard (3 × flat fee 10)"),
                ("covered", "10".to_owned(), "Standard (flat fee 10)"),
            ]
        );
        assert_eq!((bill.uncharged.len(), bill.unpriced.len()), (0, 0));
    }

    #[test]
    fn a_month_is_priced_by_what_is_in_force_on_its_first_day() {
        // Gold costs 1 until October and 2 from November on; rich leaves gold for free in December.
        let mut terms = terms([
            (0, plan("gold", "per-unit 1")),
            (month(11), plan("gold", "per-unit 2")),
            (0, plan("free", "per-unit 0")),
            (0, plan("default", "per-unit 5")),
        ]);
        let rich: CustomerId = "rich".parse().expect("an id");
        terms.named.get_mut(&rich).expect("rich").add(month(12), "free".parse().expect("an id"));
        let usage = [(9, "1", "0"), (10, "1", "0"), (11, "1", "0"), (12, "1", "0")];
        let stays = project("stays", Some("rich"), &usage);
        // Of a customer without a plan from November on.
        let mut moves = project("moves", Some("rich"), &usage);
        Arc::make_mut(&mut moves.customers).add(month(11), "other".parse().expect("an id"));
        let bill = billed(months(9, 12), vec![stays, moves], &terms);
        assert_eq!(
            entries(&bill),
            [
                // 2 × 1 + 1 × 2 + 1 × 0
                (
                    "stays",
                    "4".to_owned(),
                    "2 Minute × Standard (1 each) + 1 Minute × Standard (2 each) + 1 Minute × \
                     Standard (0 each)"
                ),
                // 2 × 1 + 2 × 5
                (
                    "moves",
                    "12".to_owned(),
                    "2 Minute × Standard (1 each) + 2 Minute × Standard (5 each)"
                ),
            ]
        );
        let payer = |n: usize| {
            (bill.entries[n].usage.customer_id.as_ref(), bill.entries[n].usage.plan_id.as_ref())
        };
        assert_eq!(payer(0), (Some(&rich), Some(&"free".parse().expect("an id"))));
        assert_eq!(payer(1), (Some(&"other".parse().expect("an id")), None));
    }

    #[test]
    fn tiers_allowance_and_minimum_count_anew_in_each_month() {
        let terms = terms([(0, plan("default", "graduated 100:1,rest:0.5 free 10 minimum 50"))]);
        let bill = billed(
            months(10, 11),
            vec![project("p", None, &[(10, "160", "0"), (11, "40", "0")])],
            &terms,
        );
        // October: 10 free, 100 × 1 + 50 × 0.5 = 125. November: 10 free, 30 × 1, 20 up to the
        // minimum.
        assert_eq!(
            entries(&bill),
            [(
                "p",
                "175".to_owned(),
                "20 Minute × Standard (free) + 130 Minute × Standard (Tier 1 at 1) + 50 Minute × \
                 Standard (Tier 2 at 0.5) + Standard (20 up to the minimum of 50)"
            )]
        );
    }

    #[test]
    fn parts_alike_keep_their_lines_and_join_only_those_of_other_months() {
        let terms = terms([(0, plan("default", "flat 5 + flat 5 + per-unit 1 + per-unit 1"))]);
        let bill = billed(
            months(10, 11),
            vec![project("p", None, &[(10, "100", "0"), (11, "40", "0")])],
            &terms,
        );
        let (fee, units) = ("Standard (2 × flat fee 5)", "140 Minute × Standard (1 each)");
        assert_eq!(
            entries(&bill),
            [("p", "300".to_owned(), [fee, fee, units, units].join(" + ").as_str())]
        );
    }

    #[test]
    fn a_project_of_which_one_month_has_no_price_is_left_out_whole() {
        let mut terms = terms([(0, plan("gold", "per-unit 1"))]);
        let rich: CustomerId = "rich".parse().expect("an id");
        terms.named.get_mut(&rich).expect("rich").add(month(11), "silver".parse().expect("an id"));
        let usage = [(10, "3", "0"), (11, "4", "1")];
        let bill = billed(months(10, 11), vec![project("p", Some("rich"), &usage)], &terms);
        assert_eq!(bill.entries, []);
        assert_eq!(bill.unpriced[0].missing_plan.as_str(), "silver");
        assert_eq!(bill.unpriced[0].usage.uncovered().to_string(), "6");
        assert_eq!(
            billed(months(10, 10), vec![project("p", Some("rich"), &usage[..1])], &terms).total(),
            amount("3")
        );
    }

    #[test]
    fn a_fee_for_hundreds_of_years_is_one_line() {
        let terms = terms([(0, plan("default", "flat 10 minimum 12"))]);
        let period = Period::new(1_000_000_000, 9_999_999_999).expect("a window");
        let project =
            BilledProject { enabled: vec![period], ..project("p", None, &[(10, "1", "0")]) };
        let bill = billed(period, vec![project], &terms);
        // September of 2001 to November of 2286.
        let count = 12 * (2286 - 2001) + 3;
        assert_eq!(bill.total(), Amount::from(12 * count));
        assert_eq!(bill.entries[0].lines.len(), 2);
        assert_eq!(
            bill.entries[0].description,
            format!(
                "Standard ({count} × flat fee 10) + Standard ({} up to the minimum of {count} × \
                 12)",
                2 * count
            )
        );
    }

    #[test]
    fn idle_months_in_a_row_are_cut_where_the_price_the_plan_or_the_customer_changes() {
        let mut terms = terms([
            (0, plan("gold", "flat 1")),
            (month(3), plan("gold", "flat 2")),
            (0, plan("free", "flat 4")),
            (0, plan("default", "flat 8")),
        ]);
        let rich: CustomerId = "rich".parse().expect("an id");
        terms.named.get_mut(&rich).expect("rich").add(month(5), "free".parse().expect("an id"));
        let mut idle =
            BilledProject { enabled: vec![months(1, 12)], ..project("idle", Some("rich"), &[]) };
        Arc::make_mut(&mut idle.customers).add(month(9), "other".parse().expect("an id"));
        let bill = billed(months(1, 12), vec![idle], &terms);
        let lines: Vec<String> = bill.entries[0].lines.iter().map(BillLine::words).collect();
        // January and February; March and April; May to August; September to December.
        assert_eq!(
            lines,
            [
                "Standard (2 × flat fee 1)",
                "Standard (2 × flat fee 2)",
                "Standard (4 × flat fee 4)",
                "Standard (4 × flat fee 8)",
            ]
        );
    }

    /// Customers, plans and prices said at random months; usage and stretches at random, too.
    fn random() -> impl Strategy<Value = Basis> {
        let price = prop_oneof![
            (0_u32..9).prop_map(|fee| format!("flat {fee}")),
            (0_u32..9).prop_map(|each| format!("per-unit 0.{each}")),
            (0_u32..9, 1_u32..9)
                .prop_map(|(each, size)| format!("flat 1 + package {size}:{each} minimum 4")),
            (1_u32..9, 0_u32..9)
                .prop_map(|(end, each)| format!("graduated {end}:1,rest:0.{each} free 2")),
            (1_u32..9, 0_u32..9)
                .prop_map(|(end, each)| format!("volume {end}:1,rest:0.{each} + flat 2")),
        ];
        let starts = || prop_oneof![Just(0_i64), (1_i8..14).prop_map(month)];
        let id = |ids: [&'static str; 3]| prop::sample::select(ids.to_vec());
        let versions =
            prop::collection::vec((starts(), id(["default", "gold", "free"]), price), 0..8);
        let named = prop::collection::vec(
            (id(["rich", "poor", "new"]), starts(), id(["gold", "free", "lost"])),
            0..6,
        );
        let customers = prop::collection::vec((starts(), id(["rich", "poor", "new"])), 0..4);
        let usage = prop::collection::btree_map(1_i8..13, (0_u32..30, 0_u32..30), 0..6);
        let enabled = prop::collection::vec((0_i64..400, 0_i64..90), 0..4);
        (versions, named, customers, usage, enabled).prop_map(
            |(versions, named, customers, usage, enabled)| {
                let mut terms = Terms {
                    plans: versions
                        .into_iter()
                        .map(|(from_s, id, price)| (from_s, plan(id, &price)))
                        .collect(),
                    ..Terms::default()
                };
                for (customer, from_s, plan) in named {
                    let history = terms.named.entry(customer.parse().expect("an id")).or_default();
                    history.add(from_s, plan.parse().expect("an id"));
                }
                let period = months(1, 12);
                let within = |from_day: i64, days: i64| {
                    let first_s = period.first_s() + from_day * 86_400;
                    Period::new(first_s, (first_s + days * 86_400).min(period.last_s()))
                };
                let project = BilledProject {
                    customers: Arc::new(
                        customers
                            .into_iter()
                            .map(|(from_s, id)| (from_s, id.parse().expect("an id")))
                            .collect(),
                    ),
                    usage: usage
                        .into_iter()
                        .map(|(number, (uncovered, covered))| MonthUsage {
                            month_s: month(number),
                            amount: Amount::from(uncovered + covered),
                            covered: Amount::from(covered),
                        })
                        .collect(),
                    enabled: enabled
                        .into_iter()
                        .filter_map(|(from_day, days)| within(from_day, days))
                        .collect(),
                    ..project("p", None, &[])
                };
                Basis { period, projects: vec![project], terms: Arc::new(terms) }
            },
        )
    }

    /// What a month costs, or `None` where it has no price: everything looked up anew, in the
    /// plainest way.
    fn of_month(basis: &Basis, month_s: i64) -> Option<Amount> {
        let project = &basis.projects[0];
        let end_s = Grain::Month.after(month_s);
        let used = project.usage.iter().find(|month| month.month_s == month_s);
        let enabled = (month_s..end_s).step_by(86_400).any(|day_s| {
            project
                .enabled
                .iter()
                .any(|enabled| (enabled.first_s()..=enabled.last_s()).contains(&day_s))
        });
        let uncovered = used.map(|month| &month.amount - &month.covered).unwrap_or_default();
        if used.is_none() && !enabled {
            return Some(Amount::default());
        }
        let named = project
            .customers
            .at(month_s)
            .and_then(|customer| basis.terms.named.get(customer)?.at(month_s));
        match basis.terms.plans.applicable(named, month_s) {
            Ok(plan) => Some(price::total(&price::charge(&plan.price, &uncovered))),
            Err(_) if named.is_none() && uncovered.is_zero() => Some(Amount::default()),
            Err(_) => None,
        }
    }

    proptest! {
        #[test]
        fn a_window_is_the_sum_of_its_months(basis in random()) {
            let charges = (1..=12).map(|number| of_month(&basis, month(number)));
            let wanted: Option<Vec<Amount>> = charges.collect();
            let bill = bill(basis);
            match wanted {
                None => prop_assert_eq!(bill.unpriced.len(), 1),
                Some(months) => {
                    let total: Amount = months.iter().sum();
                    prop_assert_eq!(bill.total(), total.clone(), "{:?}", bill.entries);
                    prop_assert_eq!(bill.entries.len(), usize::from(!total.is_zero()));
                }
            }
            for entry in &bill.entries {
                let total = price::total(entry.lines.iter().map(|line| &line.charge));
                prop_assert_eq!(&total, &entry.amount);
                for line in &entry.lines {
                    let price::ChargeLine { quantity, price, amount, .. } = &line.charge;
                    prop_assert_eq!(amount, &(quantity * price));
                }
            }
        }
    }
}
