//! Laws of statements, in process: whatever is recorded, taken back and told in whatever order,
//! what is late and what became of a month's usage is what following the ledger by hand gives,
//! entry by entry.

use crate::vendor::long;
use agora_vendor::billing::adjustment::month_of;
use agora_vendor::billing::amount::Amount;
use agora_vendor::billing::event::{Actor, Stamp};
use agora_vendor::billing::id::{CustomerId, ProjectId};
use agora_vendor::billing::license::{NewLicense, Operation};
use agora_vendor::billing::period::{Grain, Period};
use agora_vendor::billing::plan::Plan;
use agora_vendor::billing::record::{NewRecord, UsedAt};
use agora_vendor::billing::statement::{Figure, ListingKind, Origin, StatementEntry};
use agora_vendor::store::customer::Announcement;
use agora_vendor::store::late::{self, Reconciliation};
use agora_vendor::store::snapshot::ListingOrigin;
use agora_vendor::store::statement::Count;
use agora_vendor::store::statement_draft::StatementDraft;
use agora_vendor::store::usage::{RecordOutcome, UsageSum};
use agora_vendor::store::{self, Store, WriteTx, check, license, statement, usage};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// 2026-09-28: what happens reaches into three months.
const START_S: i64 = 1_790_553_600;
/// Windows and records are dated on the edges of quarters of days, so that they meet.
const QUARTER_S: i64 = 6 * 3_600;
const QUARTERS: i64 = 160;
const NOW_S: i64 = START_S + 200 * QUARTER_S;

#[derive(Clone, Debug)]
enum Step {
    Record { project: usize, quarter: i64, units: i64 },
    Void { record: usize },
    Tell { kind: ListingKind, quarter: i64, quarters: i64, provisional: bool },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kind = prop_oneof![Just(ListingKind::Usage), Just(ListingKind::Bill)];
    // Mostly of a few windows, so that the same is asked for again.
    let windows = prop_oneof![
        2 => prop_oneof![Just((0, 60)), Just((12, 124)), Just((40, 4))],
        1 => (0..QUARTERS, prop_oneof![1_i64..8, 40_i64..140]),
    ];
    let step = prop_oneof![
        4 => (0_usize..3, 0..QUARTERS, 1_i64..9)
            .prop_map(|(project, quarter, units)| Step::Record { project, quarter, units }),
        1 => (0_usize..12).prop_map(|record| Step::Void { record }),
        4 => (kind, windows, prop::bool::weighted(0.2))
            .prop_map(|(kind, (quarter, quarters), provisional)| {
                Step::Tell { kind, quarter, quarters, provisional }
            }),
    ];
    prop::collection::vec(step, 1..30)
}

/// An entry of the ledger, as the model holds it; its place is its number.
#[derive(Clone)]
struct Used {
    project: usize,
    at_s: i64,
    amount: Amount,
    covered: Amount,
}

/// What was told in the end: a window, and how many entries of the ledger were known.
struct TellingModel {
    kind: ListingKind,
    period: Period,
    knew: usize,
}

#[derive(Default)]
struct Model {
    ledger: Vec<Used>,
    told: Vec<TellingModel>,
    records: Vec<Option<usize>>,
}

/// What became of an entry.
#[derive(PartialEq)]
enum Fate {
    Told,
    Late,
    NotAsked,
}

impl Model {
    fn fate(&self, kind: ListingKind, place: usize) -> Fate {
        let at_s = self.ledger[place].at_s;
        let holds = |told: &&TellingModel| {
            told.kind == kind && (told.period.first_s()..=told.period.last_s()).contains(&at_s)
        };
        match self.told.iter().filter(holds).map(|told| told.knew).max() {
            None => Fate::NotAsked,
            Some(knew) if place < knew => Fate::Told,
            Some(_) => Fate::Late,
        }
    }

    fn reconciled(&self, kind: ListingKind, month: Period) -> BTreeMap<ProjectId, Reconciliation> {
        let mut rows: BTreeMap<ProjectId, Reconciliation> = BTreeMap::new();
        for (place, used) in self.ledger.iter().enumerate() {
            if !(month.first_s()..=month.last_s()).contains(&used.at_s) {
                continue;
            }
            let row = rows.entry(project(used.project)).or_default();
            row.recorded += &used.amount;
            match (self.fate(kind, place), kind) {
                (Fate::NotAsked, _) => row.not_asked += &used.amount,
                (Fate::Late, _) => row.late += &used.amount,
                (Fate::Told, ListingKind::Usage) => row.stated += &used.amount,
                (Fate::Told, ListingKind::Bill) => {
                    row.covered += &used.covered;
                    let uncovered = &used.amount - &used.covered;
                    if used.project == 2 {
                        row.unpriced += &uncovered
                    } else {
                        row.stated += &uncovered
                    }
                }
            }
        }
        rows.retain(|_, row| *row != Reconciliation::default());
        rows
    }

    fn late(&self, kind: ListingKind) -> BTreeMap<(i64, ProjectId), UsageSum> {
        let mut late: BTreeMap<(i64, ProjectId), UsageSum> = BTreeMap::new();
        for (place, used) in self
            .ledger
            .iter()
            .enumerate()
            .filter(|(place, _)| self.fate(kind, *place) == Fate::Late)
        {
            let records = if self.records.contains(&Some(place)) { 1 } else { -1 };
            let key = (Grain::Month.floor(self.ledger[place].at_s), project(used.project));
            let sum =
                UsageSum { amount: used.amount.clone(), covered: used.covered.clone(), records };
            late.entry(key).or_default().add(&sum);
        }
        late.retain(|_, sum| *sum != UsageSum::default());
        late
    }
}

fn project(number: usize) -> ProjectId {
    format!("p{number}").parse().expect("an id")
}

fn customer() -> CustomerId {
    "c".parse().expect("an id")
}

fn stamp() -> Stamp {
    Stamp { at_s: NOW_S, actor: Actor::Agora }
}

fn act(tx: &WriteTx<'_>, model: &mut Model, step: &Step) -> store::Result<()> {
    match *step {
        Step::Record { project: number, quarter, units } => {
            let at_s = START_S + quarter * QUARTER_S;
            let amount: Amount = units.to_string().parse().expect("an amount");
            let new = NewRecord {
                id: format!("r{}", model.records.len()).parse().expect("an id"),
                project_id: project(number),
                amount: amount.clone(),
                at: UsedAt::Second(at_s),
                // Whose license covers some of it.
                customer_id: (number == 0).then(customer),
                note: None,
            };
            let recorded = usage::record(tx, &new, &stamp())?.expect("it is new");
            let RecordOutcome::Written { record, .. } = recorded else {
                unreachable!("its id is new");
            };
            model.records.push(Some(model.ledger.len()));
            model.ledger.push(Used { project: number, at_s, amount, covered: record.covered });
        }
        Step::Void { record } => {
            let id = format!("r{record}").parse().expect("an id");
            let voided = usage::void(tx, &id, &"a test".parse().expect("words"), &stamp())?;
            if let (Some(usage::VoidOutcome::Done(_)), Some(Some(place))) =
                (voided, model.records.get(record))
            {
                let used = model.ledger[*place].clone();
                model.ledger.push(Used { amount: -&used.amount, covered: -&used.covered, ..used });
            }
        }
        Step::Tell { kind, quarter, quarters, provisional } => {
            let first_s = START_S + quarter * QUARTER_S;
            let period =
                Period::new(first_s, first_s + quarters * QUARTER_S - 1).expect("a window");
            // A month's bill counts whenever it is asked for, so that by it nothing is late that
            // others do not know.
            let is_months = kind == ListingKind::Bill && month_of(period).is_some();
            let provisional = provisional && !is_months;
            tell(tx, kind, period, provisional)?;
            if !provisional {
                model.told.push(TellingModel { kind, period, knew: model.ledger.len() });
            }
        }
    }
    Ok(())
}

/// Keeps what the books say of a window; of a bill the last project has no price.
fn tell(
    tx: &WriteTx<'_>,
    kind: ListingKind,
    period: Period,
    provisional: bool,
) -> store::Result<()> {
    let mut entries = Vec::new();
    for (project_id, sum) in usage::by_project(tx, period, None)? {
        let uncovered = &sum.amount - &sum.covered;
        let unpriced = project_id == project(2) && !uncovered.is_zero();
        let figure = |amount: Amount| {
            (!amount.is_zero()).then(|| Figure { amount, description: String::new() })
        };
        entries.push(match kind {
            ListingKind::Usage => {
                StatementEntry { project_id, figure: figure(sum.amount), origin: None }
            }
            ListingKind::Bill => {
                let figure = if unpriced { None } else { figure(uncovered) };
                let (usage, covered) = (sum.amount, sum.covered);
                let origin = Some(Origin { usage, covered, unpriced, ..Origin::default() });
                StatementEntry { project_id, figure, origin }
            }
        });
    }
    let asked_at_s = if provisional { period.first_s() } else { period.last_s() + 1 };
    let knew_seq = statement::last_known_seq(tx)?;
    let told = Count { asked: 1, last_asked_at_s: asked_at_s, knew_seq };
    let (terms_seq, statement_seq) = (statement::terms_seq(tx)?, statement::newest(tx)?);
    let made_of = ListingOrigin { total_size: 3, knew_seq, terms_seq, statement_seq };
    let answer = StatementDraft::of(kind, period, made_of, &entries)?;
    answer.keep(tx, asked_at_s, told)?.expect("nothing knew more");
    Ok(())
}

fn compare(tx: &WriteTx<'_>, model: &Model) -> Result<(), TestCaseError> {
    let all_time = Period::new(0, NOW_S).expect("a window");
    for kind in ListingKind::ALL {
        prop_assert_eq!(
            late::by_month(tx, kind, all_time).expect("a read"),
            model.late(kind),
            "late for {}",
            kind
        );
        for month_s in [START_S, START_S + 20 * 86_400, START_S + 36 * 86_400] {
            let month = Period::around(Grain::Month, month_s);
            let found = late::reconcile(tx, kind, month).expect("a read");
            prop_assert_eq!(&found, &model.reconciled(kind, month), "{} in {:?}", kind, month);
            prop_assert!(found.values().all(|row| row.difference().is_zero()));
        }
    }
    let differences = check::check(tx).expect("a report").differences;
    prop_assert_eq!(differences, vec![]);
    Ok(())
}

/// Why a transaction is taken back: it always is, so that each history finds the same books.
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
fn whatever_is_recorded_and_told_what_is_late_follows_from_the_ledger_entry_by_entry() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("books");
    Store::create(&path, |tx| {
        store::customer::announce(tx, &customer(), &Default::default(), &stamp())?;
        let plan_id = Some("missing".parse().expect("an id"));
        let unpriced = Announcement { plan_id, plan_from_s: Some(0), ..Announcement::default() };
        store::customer::announce(tx, &"unpriced".parse().expect("an id"), &unpriced, &stamp())?;
        // Before all that happens, and for a second.
        let before = Stamp { at_s: START_S - 10 * 86_400, ..stamp() };
        let unpriced = "unpriced".parse().expect("an id");
        let announced = store::project::announce(tx, &project(2), &unpriced, Some(0), &before)?;
        store::project::disable(tx, &announced, &before)?;
        let plan = Plan {
            id: "default".parse().expect("an id"),
            name: "Standard".parse().expect("a name"),
            unit: "Call".parse().expect("a unit"),
            price: "per-unit 1".parse().expect("a price"),
        };
        store::plan::set(tx, &plan, 0, &stamp())?;
        let granted = Some("20".parse().expect("an amount"));
        let (starts_at_s, expires_at_s) = (Some(START_S), NOW_S + 1);
        let (id, kind, platforms) = (None, None, None);
        let new = NewLicense {
            id,
            customer_id: customer(),
            kind,
            platforms,
            starts_at_s,
            expires_at_s,
            granted,
            unlimited: false,
        };
        license::operate(tx, &Operation::Issue(new), None, &stamp())?.expect("it is new");
        Ok::<_, store::Error>(())
    })
    .expect("new books");
    let store = RefCell::new(Store::open(&path).expect("the books"));
    let mut runner = TestRunner::new(ProptestConfig {
        cases: if long() { 5_000 } else { 300 },
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let through = runner.run(&steps(), |steps| {
        let mut model = Model::default();
        let undone = store.borrow_mut().write(|tx| {
            for step in &steps {
                act(tx, &mut model, step)?;
            }
            compare(tx, &model).map_err(Undone::Failed)?;
            Err::<(), _>(Undone::Through)
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
