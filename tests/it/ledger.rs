//! Laws of the ledger, in process: whatever is recorded and taken back, a window's kept sums are
//! what adding up the ledger gives, and a list is what filtering all records gives.

use agora_vendor::billing::amount::Amount;
use agora_vendor::billing::event::{Actor, Stamp};
use agora_vendor::billing::id::{CustomerId, ProjectId, RecordId};
use agora_vendor::billing::period::{Grain, Period, date};
use agora_vendor::billing::record::{NewRecord, UsedAt};
use agora_vendor::store::usage::{self, RecordFilter, RecordList, UsageSum};
use agora_vendor::store::{self, Store, check, project as projects};
use proptest::prelude::*;
use std::collections::BTreeMap;

const NOW: i64 = 1_790_000_000;

/// A record, and whether it is taken back.
#[derive(Clone, Debug)]
struct Event {
    project: u8,
    at_s: i64,
    amount: String,
    voided: bool,
}

/// Seconds around the edges of hours, days, months and years, where mistakes live.
fn second() -> impl Strategy<Value = i64> {
    let edge = prop::sample::select(vec![
        1_761_955_200,
        1_764_547_200,
        1_767_225_600,
        1_772_323_200,
        1_776_000_000,
        1_776_038_400,
    ]);
    prop_oneof![
        // A few seconds in which several records fall.
        1_776_000_100_i64..1_776_000_103,
        (edge, -3_i64..=3).prop_map(|(edge, off)| edge + off),
        1_760_000_000_i64..1_780_000_000,
        1_775_990_000_i64..1_776_040_000,
    ]
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = (0_u8..4, second(), "[0-9]{1,12}\\.[0-9]{0,8}[1-9]", prop::bool::weighted(0.2))
        .prop_map(|(project, at_s, amount, voided)| Event { project, at_s, amount, voided });
    prop::collection::vec(event, 1..60)
}

fn project(number: u8) -> ProjectId {
    format!("p{number}").parse().expect("an id")
}

fn amount(text: &str) -> Amount {
    text.parse().expect("an amount")
}

/// New books that hold what happened.
fn books(events: &[Event]) -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("books");
    Store::create(&path, |_| Ok::<_, store::Error>(())).expect("new books");
    let mut store = Store::open(&path).expect("the books");
    store
        .write(|tx| {
            for (number, event) in events.iter().enumerate() {
                let id: RecordId = format!("r{number}").parse().expect("an id");
                let new = NewRecord {
                    id: id.clone(),
                    project_id: project(event.project),
                    amount: amount(&event.amount),
                    at: UsedAt::Second(event.at_s),
                    customer_id: None,
                    note: None,
                };
                usage::record(tx, &new, &Stamp { at_s: NOW, actor: Actor::Agora })?
                    .expect("a good record");
                if event.voided {
                    usage::void(
                        tx,
                        &id,
                        &"mistake".parse().expect("words"),
                        &Stamp { at_s: NOW, actor: Actor::Agora },
                    )?
                    .expect("a record");
                }
            }
            Ok::<_, store::Error>(())
        })
        .expect("written");
    (folder, store)
}

/// What a window adds up to, the slow and obvious way.
fn naive(events: &[Event], period: Period) -> BTreeMap<ProjectId, UsageSum> {
    let mut sums: BTreeMap<ProjectId, UsageSum> = BTreeMap::new();
    for event in events.iter().filter(|event| !event.voided) {
        if (period.first_s()..=period.last_s()).contains(&event.at_s) {
            sums.entry(project(event.project)).or_default().add(&UsageSum {
                amount: amount(&event.amount),
                records: 1,
                ..UsageSum::default()
            });
        }
    }
    sums
}

/// What says of a project whose it is from a month on.
fn moves() -> impl Strategy<Value = Vec<(u8, u8, i64)>> {
    let month_s = prop::sample::select(vec![0, 1_761_955_200, 1_764_547_200, 1_772_323_200]);
    prop::collection::vec((0_u8..4, 0_u8..3, month_s), 0..8)
}

fn customer(number: u8) -> CustomerId {
    format!("c{number}").parse().expect("an id")
}

/// All records of a list, taken in parts of this size.
fn listed(store: &mut Store, filter: &RecordFilter, most: usize) -> Vec<String> {
    let list = store.read(|tx| RecordList::start(tx, filter.clone()));
    let mut list = list.expect("a list");
    let mut ids: Vec<String> = Vec::new();
    loop {
        let part = store.read(|tx| list.part(tx, most)).expect("a part");
        ids.extend(part.iter().map(|kept| kept.record.id.to_string()));
        if part.len() < most {
            return ids;
        }
    }
}

/// The same, by looking at every record.
fn filtered(store: &mut Store, events: &[Event], filter: &RecordFilter) -> Vec<String> {
    let owners = store.read(|tx| projects::customers(tx, None)).expect("customers");
    let is_listed = |event: &Event| {
        let id = project(event.project);
        let owner = owners.get(&id).and_then(|owners| owners.at(event.at_s));
        (filter.period.first_s()..=filter.period.last_s()).contains(&event.at_s)
            && filter.project_id.as_ref().is_none_or(|only| *only == id)
            && (filter.customer_id.is_none() || filter.customer_id.as_ref() == owner)
            && (!filter.voided || event.voided)
    };
    // Projects have their numbers in the order in which they came.
    let mut came: Vec<u8> = Vec::new();
    for event in events {
        if !came.contains(&event.project) {
            came.push(event.project);
        }
    }
    let place = |event: &Event| came.iter().position(|project| *project == event.project);
    let mut found: Vec<(usize, &Event)> =
        events.iter().enumerate().filter(|(_, event)| is_listed(event)).collect();
    found.sort_by_key(|(number, event)| (event.at_s, place(event), *number));
    found.into_iter().map(|(number, _)| format!("r{number}")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_list_is_what_filtering_all_records_gives(
        events in events(),
        moves in moves(),
        filters in prop::collection::vec((
            prop::option::of((second(), second())),
            prop::option::of(0_u8..4),
            prop::option::of(0_u8..3),
            any::<bool>(),
            1_usize..9,
        ), 20),
    ) {
        let (_folder, mut store) = books(&events);
        let stamp = Stamp { at_s: NOW, actor: Actor::Agora };
        for (number, owner, from_s) in moves.into_iter().filter(|(number, ..)| {
            events.iter().any(|event| event.project == *number)
        }) {
            store.write(|tx| {
                projects::announce(tx, &project(number), &customer(owner), Some(from_s), &stamp)
            }).expect("a move");
        }
        for (window, number, owner, voided, most) in filters {
            let (one, other) = window.unwrap_or((0, NOW));
            let filter = RecordFilter {
                period: Period::new(one.min(other), one.max(other)).expect("a window"),
                project_id: number.map(project),
                customer_id: owner.map(customer),
                voided,
            };
            let wanted = filtered(&mut store, &events, &filter);
            prop_assert_eq!(listed(&mut store, &filter, most), wanted, "{:?}", filter);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_windows_sums_are_what_adding_up_the_ledger_gives(
        events in events(),
        windows in prop::collection::vec((second(), second()), 30),
    ) {
        let (_folder, mut store) = books(&events);
        for (one, other) in windows {
            let period = Period::new(one.min(other), one.max(other)).expect("a window");
            let wanted = naive(&events, period);
            let found = store.read(|tx| usage::by_project(tx, period, None)).expect("sums");
            prop_assert_eq!(&found, &wanted);
            let only = project(0);
            let found = store.read(|tx| usage::by_project(tx, period, Some(&only))).expect("sums");
            prop_assert_eq!(found.get(&only), wanted.get(&only));
            prop_assert!(found.len() <= 1);
            for grain in [Grain::Day, Grain::Month] {
                let parts = store.read(|tx| usage::by_stretch(tx, period, grain, None));
                let parts = parts.expect("sums");
                let mut joined: BTreeMap<ProjectId, UsageSum> = BTreeMap::new();
                for ((start_s, project_id), sum) in &parts {
                    let stretch = Period::around(grain, *start_s);
                    let first_s = stretch.first_s().max(period.first_s());
                    let last_s = stretch.last_s().min(period.last_s());
                    let inside = Period::new(first_s, last_s);
                    let wanted = naive(&events, inside.expect("a part"));
                    prop_assert_eq!(wanted.get(project_id), Some(sum), "{}", date(*start_s));
                    joined.entry(project_id.clone()).or_default().add(sum);
                }
                prop_assert_eq!(&joined, &wanted);
            }
        }
        let report = store.read(check::check).expect("a report");
        prop_assert_eq!(report.differences, vec![]);
    }
}
