//! Random histories of all that prices months: flat fees, minimums, free allowances, plans that are
//! not set up yet, licenses, projects that move, are new or disabled, windows that leave out a
//! second. What a bill finds due of earlier months by looking at those alone who may cost something
//! else is what it finds by looking at everybody: builds with debug assertions compare the two each
//! time it is worked out, and panic where they differ.

use crate::vendor::{API_KEY, API_SECRET, live_pair, long, month_s, signed};
use agora_vendor::agora::reply::Reply;
use agora_vendor::billing::event::{Actor, Stamp};
use agora_vendor::billing::license::{NewLicense, Operation};
use agora_vendor::billing::plan::Plan;
use agora_vendor::billing::record::{NewRecord, UsedAt};
use agora_vendor::billing::setting::{SettingName, Settings};
use agora_vendor::http::{Options, Request, Service};
use agora_vendor::store::customer::{self, Announcement};
use agora_vendor::store::{
    self, Readers, Store, Writer, check, key, license, plan, project, setting, usage,
};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};
use std::cell::Cell;
use std::path::Path;
use std::time::{Duration, Instant};

const PLANS: [&str; 4] = ["default", "gold", "tin", "lead"];
const PRICES: [&str; 6] = [
    "per-unit 1",
    "per-unit 2",
    "flat 3",
    "flat 2 + package 10:5 minimum 7",
    "package 10:5 free 10",
    "per-unit 1 free 20",
];
const PROJECTS: usize = 6;
const CUSTOMERS: usize = 4;

thread_local! {
    static NOW_S: Cell<i64> = const { Cell::new(0) };
}

/// Something that happens; months are told by how far they are back.
#[derive(Clone, Debug)]
enum Step {
    /// Usage at one of the ends of a month or within it.
    Record {
        project: usize,
        customer: Option<usize>,
        back: usize,
        amount: i64,
        place: usize,
    },
    /// One of the last records is taken back.
    Void {
        before_last: usize,
    },
    /// Page 1 alone of the last month's bill.
    Look,
    /// A month's bill is asked for, with or without its first and last second, in pages of two
    /// entries or all at once.
    Ask {
        back: usize,
        without_first: bool,
        without_last: bool,
        paged: bool,
    },
    Price {
        plan: usize,
        back: usize,
        price: usize,
    },
    Plan {
        customer: usize,
        back: usize,
        plan: usize,
    },
    Move {
        project: usize,
        back: usize,
        customer: usize,
    },
    Disable {
        project: usize,
    },
    License {
        customer: usize,
        granted: i64,
    },
    Switch {
        carry: bool,
    },
    /// It is the next month; the one before is asked for in its last second, now, both, or not at
    /// all.
    NextMonth {
        in_last_second: bool,
        is_asked: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let back = || 0_usize..4;
    let (project, customer, plan) = (|| 0..PROJECTS, || 0..CUSTOMERS, || 0..PLANS.len());
    let window = || (any::<bool>(), any::<bool>(), any::<bool>());
    prop_oneof![
        6 => (project(), prop::option::weighted(0.3, customer()), back(), 1_i64..25, 0_usize..4)
            .prop_map(|(project, customer, back, amount, place)| {
                Step::Record { project, customer, back, amount, place }
            }),
        3 => (0_usize..6).prop_map(|before_last| Step::Void { before_last }),
        4 => (1_usize..5, window())
            .prop_map(|(back, (without_first, without_last, paged))| {
                Step::Ask { back, without_first, without_last, paged }
            }),
        2 => Just(Step::Look),
        1 => (plan(), back(), 0..PRICES.len())
            .prop_map(|(plan, back, price)| Step::Price { plan, back, price }),
        1 => (customer(), back(), plan())
            .prop_map(|(customer, back, plan)| Step::Plan { customer, back, plan }),
        2 => (project(), back(), customer())
            .prop_map(|(project, back, customer)| Step::Move { project, back, customer }),
        1 => project().prop_map(|project| Step::Disable { project }),
        1 => (customer(), 1_i64..30)
            .prop_map(|(customer, granted)| Step::License { customer, granted }),
        1 => prop::bool::weighted(0.7).prop_map(|carry| Step::Switch { carry }),
        3 => (any::<bool>(), prop::bool::weighted(0.6))
            .prop_map(|(in_last_second, is_asked)| Step::NextMonth { in_last_second, is_asked }),
    ]
}

struct Books {
    service: Service,
    store: Store,
    month: usize,
    records: usize,
    licenses: usize,
}

fn id<T: std::str::FromStr>(kind: &str, number: usize) -> T
where
    T::Err: std::fmt::Debug,
{
    format!("{kind}{number}").parse().expect("an id")
}

impl Books {
    fn begin(path: &Path) -> Self {
        NOW_S.set(month_s(0) + 100);
        let pair = live_pair();
        Store::create(path, |tx| key::add(tx, &pair).map(drop)).expect("books");
        let service = Self::service(path);
        let mut books = Self {
            service,
            store: Store::open(path).expect("books"),
            month: 0,
            records: 0,
            licenses: 0,
        };
        books.take(&Step::Switch { carry: true });
        books
    }

    fn service(path: &Path) -> Service {
        let readers = Readers::open(path, 2).expect("readers");
        Service::new(readers, Writer::open(path).expect("a writer"), Options::default())
    }

    fn back(&self, months: usize) -> usize {
        self.month.saturating_sub(months)
    }

    fn take(&mut self, step: &Step) {
        NOW_S.set(NOW_S.get() + 60);
        let stamp = Stamp { at_s: NOW_S.get(), actor: Actor::Agora };
        match step {
            Step::Record { project, customer, back, amount, place } => {
                let (first_s, end_s) = (month_s(self.back(*back)), month_s(self.back(*back) + 1));
                let record = NewRecord {
                    id: id("r", self.records),
                    project_id: id("p", *project),
                    amount: amount.to_string().parse().expect("an amount"),
                    at: UsedAt::Second(
                        [first_s, first_s + 1, first_s + 7, end_s - 1][*place].min(NOW_S.get()),
                    ),
                    customer_id: customer.map(|customer| id("c", customer)),
                    note: None,
                };
                // One of another customer's project is refused.
                let recorded =
                    self.store.write(|tx| usage::record(tx, &record, &stamp)).expect("a write");
                self.records += usize::from(recorded.is_ok());
            }
            Step::Void { before_last } if self.records > *before_last => {
                let (which, reason) =
                    (id("r", self.records - 1 - before_last), "a mistake".parse().expect("words"));
                self.store.write(|tx| usage::void(tx, &which, &reason, &stamp)).expect("a void");
            }
            Step::Void { .. } => {}
            Step::Ask { back, without_first, without_last, paged } => {
                if let Some(month) = self.month.checked_sub(*back) {
                    self.ask(month, (*without_first, *without_last), *paged);
                }
            }
            Step::Look => {
                if let Some(month) = self.month.checked_sub(1) {
                    self.page(month, (false, false), 1, 1);
                }
            }
            Step::Price { plan, back, price } => {
                let set = Plan {
                    id: PLANS[*plan].parse().expect("an id"),
                    name: "Standard".parse().expect("a name"),
                    unit: "Call".parse().expect("a unit"),
                    price: PRICES[*price].parse().expect("a price"),
                };
                let from_s = month_s(self.back(*back));
                self.store.write(|tx| plan::set(tx, &set, from_s, &stamp)).expect("it is set");
            }
            Step::Plan { customer, back, plan } => {
                let said = Announcement {
                    plan_id: Some(PLANS[*plan].parse().expect("an id")),
                    plan_from_s: Some(month_s(self.back(*back))),
                    ..Announcement::default()
                };
                let announced = self
                    .store
                    .write(|tx| customer::announce(tx, &id("c", *customer), &said, &stamp));
                announced.expect("it is announced");
            }
            Step::Move { project, back, customer } => {
                let from_s = Some(month_s(self.back(*back)));
                let (project, customer) = (id("p", *project), id("c", *customer));
                let moved = self
                    .store
                    .write(|tx| project::announce(tx, &project, &customer, from_s, &stamp));
                moved.expect("it is announced");
            }
            Step::Disable { project } => {
                let disabled =
                    self.store.write(|tx| match project::find(tx, &id("p", *project))? {
                        Some(project) => project::disable(tx, &project, &stamp),
                        None => Ok::<_, store::Error>(()),
                    });
                disabled.expect("it is disabled");
            }
            Step::License { customer, granted } => {
                self.licenses += 1;
                let new = NewLicense {
                    id: Some(id("l", self.licenses)),
                    customer_id: id("c", *customer),
                    kind: None,
                    platforms: None,
                    starts_at_s: Some(0),
                    expires_at_s: NOW_S.get() + 90 * 86_400,
                    granted: Some(granted.to_string().parse().expect("an amount")),
                    unlimited: false,
                };
                let issued = self
                    .store
                    .write(|tx| license::operate(tx, &Operation::Issue(new), None, &stamp));
                issued.expect("a write").expect("it is issued");
            }
            Step::Switch { carry } => {
                let mut settings = Settings::default();
                settings
                    .set(SettingName::Late, if *carry { "carry" } else { "report" })
                    .expect("a setting");
                self.store
                    .write(|tx| setting::write(tx, SettingName::Late, &settings))
                    .expect("it is set");
            }
            Step::NextMonth { in_last_second, is_asked } => {
                self.month += 1;
                if *in_last_second {
                    NOW_S.set(month_s(self.month) - 1);
                    self.ask(self.month - 1, (false, true), false);
                }
                NOW_S.set(month_s(self.month) + 100);
                if *is_asked {
                    self.ask(self.month - 1, (false, false), false);
                }
            }
        }
    }

    /// Asks for a month's bill to its end, unless it is refused on the way.
    fn ask(&self, month: usize, without: (bool, bool), paged: bool) {
        let limit = if paged { 2 } else { 100 };
        let mut pages = 1..;
        while pages.next().and_then(|page_num| self.page(month, without, page_num, limit))
            == Some(true)
        {}
    }

    /// Asks for a page; tells whether there is a next one, where it is not refused for now.
    fn page(
        &self,
        month: usize,
        without: (bool, bool),
        page_num: usize,
        limit: usize,
    ) -> Option<bool> {
        let reply = self.reply(month, without, page_num, limit);
        if reply.status == 503 {
            return None;
        }
        assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
        let body: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
        Some(body["data"]["hasNext"] == true)
    }

    fn reply(
        &self,
        month: usize,
        (without_first, without_last): (bool, bool),
        page_num: usize,
        limit: usize,
    ) -> Reply {
        let from = (month_s(month) + i64::from(without_first)).to_string();
        let to = (month_s(month + 1) - 1 - i64::from(without_last)).to_string();
        let (page_num, limit) = (page_num.to_string(), limit.to_string());
        let fields = [("fromTs", &*from), ("toTs", &to), ("pageNum", &page_num), ("limit", &limit)];
        let target = signed(API_KEY, API_SECRET, "/bill", &fields);
        let (path, query) = target.split_once('?').expect("a query");
        let arrived = Instant::now();
        let request = Request { method: "GET", path, query, body: &[], arrived };
        let until = arrived + Duration::from_secs(20);
        self.service.answer_in_place(&request, || NOW_S.get(), until, until)
    }
}

#[test]
fn whoever_costs_something_else_by_now_is_found_without_looking_at_everybody() {
    let cases = if long() { 3_000 } else { 80 };
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..ProptestConfig::default()
    };
    let done = TestRunner::new(config).run(&prop::collection::vec(step(), 5..60), |steps| {
        let folder = tempfile::tempdir().expect("a folder");
        let mut books = Books::begin(&folder.path().join("books.db"));
        steps.iter().for_each(|step| books.take(step));
        let next = Step::NextMonth { in_last_second: false, is_asked: true };
        [&Step::Switch { carry: true }, &next, &next].into_iter().for_each(|step| books.take(step));
        let report = books
            .store
            .read(check::check)
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(report.differences, []);
        Ok(())
    });
    done.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn what_was_found_due_is_not_gone_by_where_something_came_since() {
    let record =
        |project, back| Step::Record { project, customer: None, back, amount: 5, place: 2 };
    let price = |back, price| Step::Price { plan: 0, back, price };
    let ask = |back| Step::Ask { back, without_first: false, without_last: false, paged: false };
    let (next, pause) = (
        Step::NextMonth { in_last_second: false, is_asked: true },
        Step::NextMonth { in_last_second: false, is_asked: false },
    );
    let mut begun = vec![price(0, 0), Step::Price { plan: 1, back: 0, price: 1 }];
    begun.push(Step::Plan { customer: 0, back: 0, plan: 1 });
    begun.push(Step::Move { project: 1, back: 0, customer: 1 });
    begun.extend([record(0, 0), record(1, 0), record(2, 0), next.clone()]);
    begun.extend([record(0, 0), record(1, 0), record(2, 0), record(0, 1), pause]);
    for since in [
        record(0, 2),
        record(1, 2),
        Step::Void { before_last: 0 },
        price(2, 1),
        Step::Plan { customer: 1, back: 2, plan: 1 },
        Step::Move { project: 0, back: 2, customer: 0 },
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut books = Books::begin(&folder.path().join("books.db"));
        begun.iter().chain([&Step::Look, &since]).for_each(|step| books.take(step));
        // A server that has looked before and one that has not say the same, of all but the last.
        let pages =
            |books: &Books| [1, 2].map(|page_num| books.reply(1, (false, false), page_num, 1).body);
        let fresh = Books::service(&folder.path().join("books.db"));
        let looked = std::mem::replace(&mut books.service, fresh);
        let anew = pages(&books);
        books.service = looked;
        assert_eq!(pages(&books), anew, "{since:?}");
        [&ask(1), &next].into_iter().for_each(|step| books.take(step));
    }
    // What made up for a late record that was taken back after that is taken off again.
    let folder = tempfile::tempdir().expect("a folder");
    let mut books = Books::begin(&folder.path().join("books.db"));
    let taken_back = [ask(1), Step::Void { before_last: 0 }, record(1, 0), next];
    begun.iter().chain(&taken_back).for_each(|step| books.take(step));
}

#[test]
fn what_came_to_the_same_when_it_was_looked_at_is_due_when_it_does_not_any_more() {
    let record = |back, amount| Step::Record { project: 0, customer: None, back, amount, place: 2 };
    let (price, void) =
        (|back, price| Step::Price { plan: 0, back, price }, Step::Void { before_last: 0 });
    let next = Step::NextMonth { in_last_second: false, is_asked: true };
    // Half of the usage at twice the price; and nothing at a price, where there was none for
    // anything.
    let half = vec![
        price(0, 0),
        record(0, 5),
        record(0, 5),
        next.clone(),
        void.clone(),
        price(1, 1),
        next.clone(),
        record(2, 5),
    ];
    let nothing = vec![record(0, 10), next.clone(), void, price(1, 0), next.clone(), record(2, 10)];
    for steps in [half, nothing] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut books = Books::begin(&folder.path().join("books.db"));
        steps.iter().chain([&next]).for_each(|step| books.take(step));
        let told = books.reply(2, (false, false), 1, 100).body;
        let told = String::from_utf8(told).expect("text");
        assert!(told.contains("10 carried from 2026-01"), "{steps:?}: {told}");
    }
}

#[test]
fn a_project_that_was_enabled_in_time_and_told_too_late_is_carried_its_fee() {
    for is_old in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut books = Books::begin(&folder.path().join("books.db"));
        books.take(&Step::Price { plan: 0, back: 0, price: 2 });
        let (id, customer) = (id("p", 5), id("c", 0));
        let at = |books: &mut Books, at_s, enabled| {
            let stamp = Stamp { at_s, actor: Actor::Agora };
            let done = books.store.write(|tx| {
                let project = project::announce(tx, &id, &customer, None, &stamp)?;
                if enabled { Ok(()) } else { project::disable(tx, &project, &stamp) }
            });
            done.expect("a write");
        };
        if is_old {
            at(&mut books, month_s(0) - 100, false);
        }
        let next = Step::NextMonth { in_last_second: false, is_asked: true };
        books.take(&next);
        // Its stamp is of the month; it is on disk after the month's bill was read.
        at(&mut books, month_s(1) - 1, true);
        books.take(&next);
        let told = String::from_utf8(books.reply(1, (false, false), 1, 100).body).expect("text");
        assert!(told.contains("3 carried from 2026-01"), "{is_old}: {told}");
    }
}
