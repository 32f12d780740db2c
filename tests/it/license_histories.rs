//! Laws of licenses, in process: whatever happens in whatever order, what is left of each license,
//! what they cover and what is billed is what following the history by hand gives, unit by unit.

use crate::vendor::long;
use agora_vendor::billing::amount::Amount;
use agora_vendor::billing::bill::{Basis, Terms, bill};
use agora_vendor::billing::event::{Actor, Stamp};
use agora_vendor::billing::id::{CustomerId, LicenseId, OpId, ProjectId, RecordId, Words};
use agora_vendor::billing::license::{Act, Extension, NewLicense, Operation, Residue, fold};
use agora_vendor::billing::period::{self, Period};
use agora_vendor::billing::plan::Plan;
use agora_vendor::billing::record::{NewRecord, UsedAt};
use agora_vendor::store::bill::Pricing;
use agora_vendor::store::license::News;
use agora_vendor::store::{self, Store, WriteTx, check, license, usage};
use jiff::ToSpan;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};
use std::cell::RefCell;
use std::sync::Arc;

/// A midnight.
const START_S: i64 = 1_780_012_800;
const DAY_S: i64 = 86_400;

/// Something that happens. Licenses and records are told by their number, which may be of one that
/// there is not.
#[derive(Clone, Debug)]
enum Step {
    Issue {
        customer: usize,
        starts_in_days: i64,
        days: i64,
        units: Option<i64>,
    },
    Record {
        project: usize,
        seconds_ago: i64,
        units: i64,
    },
    Void {
        record: usize,
    },
    Consume {
        customer: usize,
        units: i64,
    },
    Extend {
        license: usize,
        days: u32,
    },
    ExtendTo {
        license: usize,
        in_days: i64,
    },
    Adjust {
        license: usize,
        units: i64,
    },
    Revoke {
        license: usize,
    },
    Reinstate {
        license: usize,
    },
    /// The operation before it once more, under the same id.
    Repeat,
    /// A record of this project dated at an edge of a license: its start or its expiry, or a second
    /// off.
    RecordAtEdge {
        project: usize,
        license: usize,
        at_start: bool,
        off_s: i64,
        units: i64,
    },
    /// The project goes to a customer, from so many months from now on.
    Move {
        project: usize,
        customer: usize,
        in_months: i64,
    },
    Wait {
        seconds: i64,
    },
    /// Until an edge of a license, or a second off, if that is to come.
    WaitForEdge {
        license: usize,
        at_start: bool,
        off_s: i64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let license = || 0_usize..6;
    let step = prop_oneof![
        4 => (0_usize..2, -3_i64..3, 0_i64..8, prop::option::weighted(0.85, 1_i64..40))
            .prop_map(|(customer, starts_in_days, days, units)| {
                Step::Issue { customer, starts_in_days, days, units }
            }),
        8 => (
            0_usize..4,
            prop_oneof![2 => Just(0), 3 => 0_i64..DAY_S, 1 => 0..10 * DAY_S],
            1_i64..30,
        )
            .prop_map(|(project, seconds_ago, units)| Step::Record { project, seconds_ago, units }),
        2 => (0_usize..10).prop_map(|record| Step::Void { record }),
        1 => (0_usize..2, 1_i64..20)
            .prop_map(|(customer, units)| Step::Consume { customer, units }),
        1 => (license(), 1_u32..4).prop_map(|(license, days)| Step::Extend { license, days }),
        1 => (license(), -2_i64..6)
            .prop_map(|(license, in_days)| Step::ExtendTo { license, in_days }),
        2 => (license(), -20_i64..20).prop_map(|(license, units)| Step::Adjust { license, units }),
        1 => license().prop_map(|license| Step::Revoke { license }),
        1 => license().prop_map(|license| Step::Reinstate { license }),
        1 => Just(Step::Repeat),
        3 => (0_usize..4, license(), any::<bool>(), -1_i64..=1, 1_i64..30).prop_map(
            |(project, license, at_start, off_s, units)| {
                Step::RecordAtEdge { project, license, at_start, off_s, units }
            }
        ),
        2 => (0_usize..4, 0_usize..2, -1_i64..2)
            .prop_map(|(project, customer, in_months)| Step::Move { project, customer, in_months }),
        3 => prop_oneof![0..3_600_i64, 0..3 * DAY_S].prop_map(|seconds| Step::Wait { seconds }),
        2 => (license(), any::<bool>(), -1_i64..=1)
            .prop_map(|(license, at_start, off_s)| Step::WaitForEdge { license, at_start, off_s }),
    ];
    prop::collection::vec(step, 1..25)
}

/// A license in the model: units are tenths.
#[derive(Clone, Debug)]
struct ModelLicense {
    customer: usize,
    starts_at_s: i64,
    expires_at_s: i64,
    /// `None`: unlimited.
    granted: Option<i64>,
    /// `None`: unlimited.
    left: Option<i64>,
    revoked_at_s: Option<i64>,
}

impl ModelLicense {
    /// The last second in which it is good.
    fn end_s(&self) -> i64 {
        self.expires_at_s.min(self.revoked_at_s.map_or(i64::MAX, |at_s| at_s - 1))
    }
}

/// A record in the model, and by which license each of its tenths is covered.
#[derive(Clone, Debug)]
struct ModelRecord {
    project: usize,
    at_s: i64,
    covered_by: Vec<Option<usize>>,
    voided: bool,
}

/// What is so, followed by hand.
#[derive(Clone, Debug, Default)]
struct Model {
    now_s: i64,
    licenses: Vec<ModelLicense>,
    records: Vec<ModelRecord>,
    /// Of each project, from which month on it was said to be whose, as it was said.
    said: [Vec<(i64, usize)>; 4],
}

/// Whose the projects are at the beginning.
const FIRST: [Option<usize>; 4] = [Some(0), Some(0), Some(1), None];

/// The first second of the month that is so many months from the one of a second.
fn month_s(second: i64, months: i64) -> i64 {
    let date = period::date(second).first_of_month();
    period::first_second(date.saturating_add(months.months()))
}

impl Model {
    fn new() -> Self {
        let said = FIRST.map(|first| first.map(|customer| (0, customer)).into_iter().collect());
        Self { now_s: START_S + DAY_S / 2, said, ..Self::default() }
    }

    /// Whose a project is at a second: of all that was said to hold by then, the latest start, said
    /// last.
    fn customer_at(&self, project: usize, at_s: i64) -> Option<usize> {
        let said = self.said[project].iter().filter(|(from_s, _)| *from_s <= at_s);
        said.max_by_key(|(from_s, _)| *from_s).map(|(_, customer)| *customer)
    }

    /// The customer that the next record of a project names: mostly none or the right one, now and
    /// then another.
    fn named(&self, project: usize, at_s: i64) -> Option<usize> {
        match self.records.len() % 5 {
            0 | 1 => None,
            2 | 3 => self.customer_at(project, at_s),
            _ => self.customer_at(project, at_s).map(|customer| 1 - customer).or(Some(1)),
        }
    }

    fn is_live(&self, license: &ModelLicense) -> bool {
        license.revoked_at_s.is_none()
            && license.starts_at_s <= self.now_s
            && self.now_s <= license.expires_at_s
    }

    /// The license that the next tenth comes from.
    fn next(&self, customer: usize, at_s: i64) -> Option<usize> {
        let mut best: Option<usize> = None;
        for (number, license) in self.licenses.iter().enumerate() {
            let covers = license.customer == customer
                && license.starts_at_s <= at_s
                && at_s <= license.end_s()
                && license.left != Some(0);
            if covers && best.is_none_or(|best| license.end_s() < self.licenses[best].end_s()) {
                best = Some(number);
            }
        }
        best
    }

    fn take(&mut self, customer: usize, at_s: i64) -> Option<usize> {
        let taken = self.next(customer, at_s)?;
        if let Some(left) = &mut self.licenses[taken].left {
            *left -= 1;
        }
        Some(taken)
    }

    fn end_of_day(second: i64) -> i64 {
        second - second.rem_euclid(DAY_S) + DAY_S - 1
    }

    /// Does a step; tells whether it is to be done, and not refused or without effect.
    fn act(&mut self, step: &Step) -> bool {
        match *step {
            Step::Issue { customer, starts_in_days, days, units } => {
                self.issue(customer, starts_in_days, days, units);
                true
            }
            Step::Record { project, seconds_ago, units } => {
                self.record(project, self.now_s - seconds_ago, units)
            }
            Step::RecordAtEdge { project, license, at_start, off_s, units } => {
                match self.edge(license, at_start).filter(|edge_s| edge_s + off_s <= self.now_s) {
                    Some(edge_s) => self.record(project, edge_s + off_s, units),
                    None => false,
                }
            }
            Step::Repeat => false,
            Step::Void { record } => self.void(record),
            Step::Consume { customer, units } => {
                let before = self.licenses.clone();
                let all = (0..units).all(|_| self.take(customer, self.now_s).is_some());
                if !all {
                    self.licenses = before;
                }
                all
            }
            Step::Extend { license, days } => self.extend(license, days),
            Step::ExtendTo { license, in_days } => {
                let to_s = Self::end_of_day(self.now_s + in_days * DAY_S);
                match self.licenses.get_mut(license).filter(|license| license.expires_at_s < to_s) {
                    Some(license) => license.expires_at_s = to_s,
                    None => return false,
                }
                true
            }
            Step::Adjust { license, units } => self.adjust(license, units),
            Step::Revoke { license } => self.set_revoked(license, true),
            Step::Reinstate { license } => self.set_revoked(license, false),
            Step::Move { project, customer, in_months } => {
                let first = self.said[project].is_empty();
                let from_s = if first { 0 } else { month_s(self.now_s, in_months) };
                let last = self.said[project].last().map(|(_, last)| *last);
                if last != Some(customer) || self.customer_at(project, from_s) != Some(customer) {
                    self.said[project].push((from_s, customer));
                }
                true
            }
            Step::Wait { seconds } => {
                self.now_s += seconds;
                true
            }
            Step::WaitForEdge { license, at_start, off_s } => {
                if let Some(edge_s) = self.edge(license, at_start) {
                    self.now_s = self.now_s.max(edge_s + off_s);
                }
                true
            }
        }
    }

    fn issue(&mut self, customer: usize, starts_in_days: i64, days: i64, units: Option<i64>) {
        let today = self.now_s - self.now_s.rem_euclid(DAY_S);
        let starts_at_s = today + starts_in_days * DAY_S;
        let expires_at_s = Self::end_of_day(starts_at_s + days * DAY_S);
        let (granted, left) = (units, units);
        self.licenses.push(ModelLicense {
            customer,
            starts_at_s,
            expires_at_s,
            granted,
            left,
            revoked_at_s: None,
        });
    }

    fn void(&mut self, record: usize) -> bool {
        let Some(record) = self.records.get_mut(record).filter(|record| !record.voided) else {
            return false;
        };
        record.voided = true;
        for license in record.covered_by.iter().flatten() {
            if let Some(left) = &mut self.licenses[*license].left {
                *left += 1;
            }
        }
        true
    }

    fn extend(&mut self, license: usize, days: u32) -> bool {
        let now_s = self.now_s;
        let Some(license) = self.licenses.get_mut(license) else {
            return false;
        };
        if now_s > license.expires_at_s {
            license.expires_at_s = Self::end_of_day(now_s);
        }
        license.expires_at_s += i64::from(days) * DAY_S;
        true
    }

    fn adjust(&mut self, license: usize, units: i64) -> bool {
        let Some(ModelLicense { granted: Some(granted), left: Some(left), .. }) =
            self.licenses.get_mut(license)
        else {
            return false;
        };
        if units == 0 || *left + units < 0 {
            return false;
        }
        *left += units;
        *granted += units;
        true
    }

    fn edge(&self, license: usize, at_start: bool) -> Option<i64> {
        let license = self.licenses.get(license)?;
        Some(if at_start { license.starts_at_s } else { license.expires_at_s })
    }

    fn record(&mut self, project: usize, at_s: i64, units: i64) -> bool {
        match (self.named(project, at_s), self.customer_at(project, at_s)) {
            (Some(named), Some(stands)) if named != stands => return false,
            (Some(named), None) => self.said[project].push((0, named)),
            (Some(_) | None, _) => {}
        }
        let covered_by =
            (0..units).map(|_| self.take(self.customer_at(project, at_s)?, at_s)).collect();
        self.records.push(ModelRecord { project, at_s, covered_by, voided: false });
        true
    }

    fn set_revoked(&mut self, license: usize, revoked: bool) -> bool {
        let revoked_at_s = revoked.then_some(self.now_s);
        let license = self.licenses.get_mut(license);
        let changed = license.filter(|license| license.revoked_at_s.is_some() != revoked);
        changed.map(|license| license.revoked_at_s = revoked_at_s).is_some()
    }

    /// The tenths of a customer's usage in the time of a license that no license covered.
    fn uncovered(&self, license: &ModelLicense) -> i64 {
        let records = self.records.iter().filter(|record| {
            !record.voided
                && (license.starts_at_s..=license.end_s()).contains(&record.at_s)
                && self.customer_at(record.project, record.at_s) == Some(license.customer)
        });
        records
            .map(|record| tenths(record.covered_by.iter().filter(|by| by.is_none()).count()))
            .sum()
    }

    /// The tenths that a project used within a window, and those of them that no license covered.
    fn used(&self, project: usize, from_s: i64, to_s: i64) -> (i64, i64) {
        let mut used = (0, 0);
        for record in &self.records {
            if record.project == project && !record.voided && (from_s..=to_s).contains(&record.at_s)
            {
                used.0 += tenths(record.covered_by.len());
                used.1 += tenths(record.covered_by.iter().filter(|by| by.is_none()).count());
            }
        }
        used
    }
}

fn tenths(count: usize) -> i64 {
    count.try_into().expect("a few")
}

fn amount(tenths: i64) -> Amount {
    let text = format!("{}.{}", tenths.abs() / 10, tenths.abs() % 10);
    let amount: Amount = text.parse().expect("an amount");
    if tenths < 0 { -&amount } else { amount }
}

fn customer(number: usize) -> CustomerId {
    format!("c{number}").parse().expect("an id")
}

fn project(number: usize) -> ProjectId {
    format!("p{number}").parse().expect("an id")
}

fn license_id(number: usize) -> LicenseId {
    format!("l{number}").parse().expect("an id")
}

fn record_id(number: usize) -> RecordId {
    format!("r{number}").parse().expect("an id")
}

fn reason() -> Words {
    "a reason".parse().expect("words")
}

/// Records in the books; tells whether it was done.
fn record(
    tx: &WriteTx<'_>,
    model: &Model,
    number: usize,
    at_s: i64,
    units: i64,
) -> store::Result<bool> {
    let new = NewRecord {
        id: record_id(model.records.len()),
        project_id: project(number),
        amount: amount(units),
        at: UsedAt::Second(at_s),
        customer_id: model.named(number, at_s).map(customer),
        note: None,
    };
    Ok(usage::record(tx, &new, &Stamp { at_s: model.now_s, actor: Actor::Agora })?.is_ok())
}

/// The operation that a step is, if it is one.
fn operation(model: &Model, step: &Step) -> Option<Operation> {
    let change = |license, act| Some(Operation::Change(license_id(license), act));
    match *step {
        Step::Issue { customer: number, starts_in_days, days, units } => {
            let today = model.now_s - model.now_s.rem_euclid(DAY_S);
            let starts_at_s = today + starts_in_days * DAY_S;
            Some(Operation::Issue(NewLicense {
                id: Some(license_id(model.licenses.len())),
                customer_id: customer(number),
                kind: None,
                platforms: None,
                starts_at_s: Some(starts_at_s),
                expires_at_s: starts_at_s + days * DAY_S + DAY_S - 1,
                granted: units.map(amount),
                unlimited: false,
            }))
        }
        Step::Consume { customer: number, units } => Some(Operation::Consume {
            customer_id: customer(number),
            amount: amount(units),
            reason: None,
        }),
        Step::Extend { license, days } => change(license, Act::Extend(Extension::Days(days))),
        Step::ExtendTo { license, in_days } => {
            let day_s = model.now_s + in_days * DAY_S;
            change(license, Act::Extend(Extension::To(day_s - day_s.rem_euclid(DAY_S) + DAY_S - 1)))
        }
        // The shell takes no change of zero.
        Step::Adjust { units: 0, .. } => None,
        Step::Adjust { license, units } => {
            change(license, Act::Adjust { by: amount(units), reason: reason() })
        }
        Step::Revoke { license } => change(license, Act::Revoke { reason: None }),
        Step::Reinstate { license } => change(license, Act::Reinstate { reason: None }),
        Step::Record { .. }
        | Step::RecordAtEdge { .. }
        | Step::Void { .. }
        | Step::Repeat
        | Step::Move { .. }
        | Step::Wait { .. }
        | Step::WaitForEdge { .. } => None,
    }
}

/// The books, and the last operation that was done in them.
struct Books<'t, 'c> {
    tx: &'t WriteTx<'c>,
    done: Vec<(OpId, Operation)>,
}

impl Books<'_, '_> {
    /// Does a step; tells whether it was done, and changed anything.
    fn act(&mut self, model: &Model, step: &Step) -> store::Result<bool> {
        let (tx, stamp) = (self.tx, Stamp { at_s: model.now_s, actor: Actor::Agora });
        match *step {
            Step::Record { project, seconds_ago, units } => {
                record(tx, model, project, model.now_s - seconds_ago, units)
            }
            Step::RecordAtEdge { project, license, at_start, off_s, units } => {
                match model.edge(license, at_start).filter(|edge_s| edge_s + off_s <= model.now_s) {
                    Some(edge_s) => record(tx, model, project, edge_s + off_s, units),
                    None => Ok(false),
                }
            }
            Step::Void { record } => {
                let voided = usage::void(tx, &record_id(record), &reason(), &stamp)?;
                Ok(matches!(voided, Some(usage::VoidOutcome::Done(_))))
            }
            Step::Repeat => match self.done.last() {
                Some((op_id, operation)) => {
                    let done = license::operate(tx, operation, Some(op_id), &stamp)?;
                    Ok(!done.is_ok_and(|done| done.news == News::Repeated))
                }
                None => Ok(false),
            },
            Step::Move { project: number, customer: to, in_months } => {
                let from_s = month_s(model.now_s, in_months);
                let (id, to) = (project(number), customer(to));
                store::project::announce(tx, &id, &to, Some(from_s), &stamp)?;
                Ok(true)
            }
            Step::Wait { .. } | Step::WaitForEdge { .. } => Ok(true),
            Step::Issue { .. }
            | Step::Consume { .. }
            | Step::Extend { .. }
            | Step::ExtendTo { .. }
            | Step::Adjust { .. }
            | Step::Revoke { .. }
            | Step::Reinstate { .. } => {
                let Some(operation) = operation(model, step) else {
                    return Ok(false);
                };
                let op_id: OpId = format!("o{}", self.done.len()).parse().expect("an id");
                let Ok(done) = license::operate(tx, &operation, Some(&op_id), &stamp)? else {
                    return Ok(false);
                };
                self.done.push((op_id, operation));
                Ok(done.news == News::Changed)
            }
        }
    }
}

/// Compares the books with the model.
fn compare(tx: &WriteTx<'_>, model: &Model) -> Result<(), TestCaseError> {
    let now_s = model.now_s;
    for (number, wanted) in model.licenses.iter().enumerate() {
        let found = license::find(tx, &license_id(number)).expect("a read").expect("a license");
        prop_assert_eq!(
            &found.granted,
            &wanted.granted.map(amount),
            "what license {} grants",
            number
        );
        prop_assert_eq!(
            &found.balance,
            &wanted.left.map(amount),
            "what is left of license {}",
            number
        );
        prop_assert_eq!(found.expires_at_s, wanted.expires_at_s);
        let uncovered = found.good().map_or(Ok(Amount::default()), |time| {
            license::uncovered(tx, &found.customer_id, time, now_s)
        });
        let uncovered = uncovered.expect("sums");
        prop_assert_eq!(uncovered, amount(model.uncovered(wanted)), "beside license {}", number);
    }
    for (number, wanted) in model.records.iter().enumerate() {
        let found = usage::find(tx, &record_id(number)).expect("a read").expect("a record");
        let owner = model.customer_at(wanted.project, wanted.at_s).map(customer);
        prop_assert_eq!(found.customer_id, owner, "whose record {} is", number);
    }
    compare_standings(tx, model)?;
    compare_usage(tx, model)
}

/// The same of what Agora is told of each customer's licenses.
fn compare_standings(tx: &WriteTx<'_>, model: &Model) -> Result<(), TestCaseError> {
    let now_s = model.now_s;
    for number in 0..2 {
        let live = || {
            model
                .licenses
                .iter()
                .filter(|license| license.customer == number && model.is_live(license))
        };
        let standing = fold(&license::of(tx, &customer(number)).expect("a read"), now_s);
        let expected = if live().any(|license| license.left.is_none()) {
            Residue::Unlimited
        } else {
            Residue::Count(amount(live().filter_map(|license| license.left).sum()))
        };
        if model.licenses.iter().any(|license| license.customer == number) {
            prop_assert_eq!(standing.map(|standing| standing.residue), Some(expected));
        } else {
            prop_assert_eq!(standing, None);
        }
    }
    Ok(())
}

/// The same of what is used, and billed, in some windows.
fn compare_usage(tx: &WriteTx<'_>, model: &Model) -> Result<(), TestCaseError> {
    let now_s = model.now_s;
    let plan = Plan {
        id: "default".parse().expect("an id"),
        name: "Standard".parse().expect("a name"),
        unit: "Minute".parse().expect("a unit"),
        price: "per-unit 3".parse().expect("a price"),
    };
    let terms = Terms { plans: [plan].into_iter().collect(), ..Terms::default() };
    // All of it, a part that starts and ends inside an hour, and whole days.
    for (from_s, to_s) in [
        (0, now_s),
        (now_s - 100_000, now_s - 1_000),
        (START_S - 2 * DAY_S, START_S + 3 * DAY_S - 1),
    ] {
        let period = Period::new(from_s, to_s.max(from_s)).expect("a window");
        let usage = usage::to_price(tx, period, None, &terms).expect("sums");
        for used in &usage {
            let number = used.project_id.as_str()[1..].parse().expect("a number");
            let (all, uncovered) = model.used(number, from_s, to_s);
            prop_assert_eq!(
                (&used.amount, used.uncovered()),
                (&amount(all), amount(uncovered)),
                "project {}",
                number
            );
        }
        let uncovered: i64 = (0..4).map(|number| model.used(number, from_s, to_s).1).sum();
        let basis = Pricing::read(tx, None)
            .and_then(|pricing| pricing.basis(tx, period, None))
            .expect("sums");
        let bill = bill(Basis { terms: Arc::new(terms.clone()), ..basis });
        prop_assert_eq!(bill.total(), &amount(uncovered) * &amount(30));
    }
    Ok(())
}

/// Why a transaction is taken back: it always is, so that each history finds empty books.
enum Undone {
    Failed(TestCaseError),
    Through,
}

impl From<store::Error> for Undone {
    fn from(error: store::Error) -> Self {
        Self::Failed(TestCaseError::fail(error.to_string()))
    }
}

#[test]
fn whatever_happens_licenses_cover_what_following_the_history_by_hand_gives() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("books");
    Store::create(&path, |tx| {
        for number in 0..2 {
            let stamp = Stamp { at_s: START_S, actor: Actor::Agora };
            store::customer::announce(tx, &customer(number), &Default::default(), &stamp)?;
        }
        for (number, first) in FIRST.into_iter().enumerate() {
            let stamp = Stamp { at_s: START_S, actor: Actor::Agora };
            if let Some(first) = first {
                store::project::announce(tx, &project(number), &customer(first), None, &stamp)?;
            }
        }
        Ok::<_, store::Error>(())
    })
    .expect("new books");
    let store = RefCell::new(Store::open(&path).expect("the books"));
    let mut runner = TestRunner::new(ProptestConfig {
        cases: if long() { 20_000 } else { 300 },
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let through = runner.run(&steps(), |steps| {
        let mut model = Model::new();
        let undone = store.borrow_mut().write(|tx| {
            let mut books = Books { tx, done: Vec::new() };
            for step in &steps {
                let done = books.act(&model, step)?;
                let wanted = model.act(step);
                if done != wanted {
                    let said = format!("{step:?} was done: {done}, and was to be: {wanted}");
                    return Err(Undone::Failed(TestCaseError::fail(said)));
                }
                compare(tx, &model).map_err(Undone::Failed)?;
            }
            let report = check::check(tx)?;
            match report.differences.as_slice() {
                [] => Err::<(), _>(Undone::Through),
                found => Err(Undone::Failed(TestCaseError::fail(format!("{found:?}")))),
            }
        });
        match undone {
            Err(Undone::Failed(error)) => Err(error),
            Ok(()) | Err(Undone::Through) => Ok(()),
        }
    });
    if let Err(failed) = through {
        panic!("{failed}");
    }
}
