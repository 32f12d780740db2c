//! The books that are asked, seeded through the crate's own store.

use crate::Outcome;
use agora_vendor::billing::amount::Amount;
use agora_vendor::billing::event::{Actor, Stamp};
use agora_vendor::billing::id::{CustomerId, ProjectId};
use agora_vendor::billing::key::{KeyPair, Purpose};
use agora_vendor::billing::period::Period;
use agora_vendor::billing::plan::Plan;
use agora_vendor::billing::price::Price;
use agora_vendor::billing::record::NewRecord;
use agora_vendor::store::usage::{self, Recorded, Slice};
use agora_vendor::store::{Store, WriteTx, key, plan, project};
use std::path::Path;

/// Projects in the books of a month.
const PROJECTS: usize = 1_000;
/// Projects of one customer.
const PROJECTS_PER_CUSTOMER: usize = 4;
/// Records in the small books of a month.
pub const SMALL_RECORDS: usize = 10 * PROJECTS;
/// With fewer, a project has a day without usage.
pub const FEWEST_RECORDS: usize = PROJECTS * DAYS * 2;
/// Records in one transaction.
const SLICE: usize = 10_000;

const DAY_S: i64 = 86_400;
/// Days in October.
const DAYS: usize = 31;
/// 2026-09-01T00:00:00Z: the projects are announced, and the later commits are dated.
const SEPTEMBER_S: i64 = 1_788_220_800;
/// 2026-10-01T00:00:00Z: the usage starts.
const OCTOBER_S: i64 = 1_790_812_800;
/// 2026-11-01T00:00:00Z: the clock by which all of it is written.
const NOVEMBER_S: i64 = 1_793_491_200;
/// 2026-10-15T00:00:00Z: the day that is asked.
const ASKED_DAY_S: i64 = OCTOBER_S + 14 * DAY_S;

/// The day that is asked.
pub fn day() -> Period {
    window(0, DAY_S - 1)
}

/// A window from one second to another of the day that is asked, both inside.
pub fn window(from_s: i64, to_s: i64) -> Period {
    Period::new(ASKED_DAY_S + from_s, ASKED_DAY_S + to_s).expect("seconds of one day, in order")
}

/// The key pairs of all the books, so that one signature is good everywhere.
pub struct Keys {
    /// Signs the load.
    pub live: KeyPair,
    test: KeyPair,
}

impl Keys {
    /// Makes new ones.
    pub fn make() -> Self {
        Self { live: key::make(Purpose::Live, SEPTEMBER_S), test: key::make(Purpose::Test, SEPTEMBER_S) }
    }
}

/// A month of 1,000 projects with `records` in all, spread evenly: every project has usage on every day.
pub fn large(path: &Path, keys: &Keys, records: usize) -> Outcome {
    let mut store = create(path, keys)?;
    let month_s = NOVEMBER_S - OCTOBER_S;
    let records = (0..records / PROJECTS * PROJECTS).map(|n| {
        let (turn, project) = (n / PROJECTS, n % PROJECTS);
        let turns = count(records / PROJECTS);
        // In each turn, every project at a moment of its own.
        let within_s = count(project) * 7_919 % (month_s / turns);
        new_record(n, project, amount(n), OCTOBER_S + count(turn) * month_s / turns + within_s)
    });
    record_all(&mut store, records)
}

/// The same projects with ten records each, one of them on the asked day with all that `large` has on it:
/// the very same page, with fewer records behind it.
pub fn small(path: &Path, keys: &Keys, large: &Path) -> Outcome {
    let asked = Store::open(large)?.read(|tx| usage::by_project(tx, day(), None))?;
    let mut store = create(path, keys)?;
    let records = (0..SMALL_RECORDS).map(|n| {
        let (turn, project) = (n / PROJECTS, n % PROJECTS);
        match turn {
            0 => new_record(n, project, asked[&project_id(project)].amount.clone(), ASKED_DAY_S + DAY_S / 2),
            _ => new_record(n, project, amount(n), OCTOBER_S + count(turn) * DAY_S + count(project)),
        }
    });
    record_all(&mut store, records)
}

/// One project with all of its `records` on the asked day: half of them spread evenly, half dated noon, as
/// records are that were told only their day.
pub fn crowded(path: &Path, keys: &Keys, records: usize) -> Outcome {
    let mut store = create(path, keys)?;
    let at_s = |n| match n % 2 {
        0 => ASKED_DAY_S + count(n) * DAY_S / count(records),
        _ => ASKED_DAY_S + DAY_S / 2,
    };
    record_all(&mut store, (0..records).map(|n| new_record(n, 0, amount(n), at_s(n))))
}

/// Commits one record of a month that is not asked about: the server must make its next answer anew.
/// No two calls with the same store have the same `n`.
pub fn commit_elsewhere(store: &mut Store, n: usize) -> Outcome {
    let record = NewRecord { id: format!("elsewhere-{n}").parse()?, ..new_record(n, 0, amount(n), SEPTEMBER_S) };
    record_all(store, std::iter::once(record))
}

fn create(path: &Path, keys: &Keys) -> Outcome<Store> {
    Store::create(path, |tx| -> Outcome {
        key::add(tx, &keys.live)?;
        key::add(tx, &keys.test)?;
        plan::set(tx, &default_plan())?;
        for n in 0..PROJECTS {
            project::announce(tx, &project_id(n), &customer_id(n / PROJECTS_PER_CUSTOMER), &stamp(SEPTEMBER_S))?;
        }
        Ok(())
    })?;
    Ok(Store::open(path)?)
}

/// Prices everybody, so that descriptions have their long form.
fn default_plan() -> Plan {
    Plan {
        id: "default".parse().expect("a plan's id"),
        name: "Standard".parse().expect("a plan's name"),
        unit: "Minute".parse().expect("a unit"),
        price: Price::PerUnit("0.0099".parse().expect("a price")),
    }
}

fn record_all(store: &mut Store, records: impl Iterator<Item = NewRecord>) -> Outcome {
    let mut records = records.peekable();
    while records.peek().is_some() {
        store.write(|tx| record_slice(tx, records.by_ref().take(SLICE)))?;
    }
    Ok(())
}

fn record_slice(tx: &WriteTx<'_>, records: impl Iterator<Item = NewRecord>) -> Outcome {
    let stamp = stamp(NOVEMBER_S);
    let mut slice = Slice::new(tx, &stamp);
    for record in records {
        match slice.record(&record)? {
            Ok(Recorded::Written { .. }) => {}
            other => return Err(format!("a record was not written: {other:?}").into()),
        }
    }
    Ok(slice.finish()?)
}

fn stamp(at_s: i64) -> Stamp {
    Stamp { at_s, actor: Actor::Agora }
}

fn new_record(n: usize, project: usize, amount: Amount, at_s: i64) -> NewRecord {
    NewRecord {
        id: format!("record-{n}").parse().expect("an id"),
        project_id: project_id(project),
        amount,
        at_s: Some(at_s),
        customer_id: None,
        note: None,
    }
}

/// Up to an hour in minutes, with a fraction that is never zero.
fn amount(n: usize) -> Amount {
    let (whole, thousandths) = (n * 7_919 % 60, 1 + n * 104_729 % 999);
    format!("{whole}.{thousandths:03}").parse().expect("a decimal")
}

/// As Agora's look.
fn project_id(n: usize) -> ProjectId {
    (430_000 + n).to_string().parse().expect("an id")
}

fn customer_id(n: usize) -> CustomerId {
    (120_000 + n).to_string().parse().expect("an id")
}

fn count(n: usize) -> i64 {
    i64::try_from(n).expect("counts of records are far below")
}
