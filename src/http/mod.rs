//! The server's answers: which endpoint answers which call, and what they share. No sockets in
//! here: those are [`server`]'s.

pub mod acme;
mod admin;
mod answer;
mod bill;
mod books;
mod client;
mod door;
mod error;
mod exposition;
mod health;
pub mod inquiry;
mod intake;
mod journal;
mod keeper;
#[cfg(any(test, fuzzing))]
pub mod law;
mod license;
pub mod listener;
mod listing;
mod metrics;
mod pages;
mod provisioning;
mod route;
pub mod security;
mod sequence;
pub mod server;
pub mod supervisor;
pub mod threads;
pub mod tls;
mod uncovered;
mod usage;
mod verify;
mod watch;

use crate::agora::reply::{Envelope, Reply};
use crate::store::{Readers, Writer};
use answer::{Answer, Outcome};
use bill::Bills;
use books::Books;
use license::Licenses;
use metrics::Metrics;
use pages::Pages;
use provisioning::Provisioner;
use route::{Call, Route, Unrouted};
use std::sync::Arc;
use std::time::Instant;
use usage::Usage;
use verify::Verifier;

pub use answer::{Clock, Request};
pub use journal::count_lost_line;
pub use route::{BasePath, signed_endpoints};

/// What is only about this process's answers, never about figures.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Which of Agora's two printed forms usage, bill and license answers have.
    pub envelope: Envelope,
    /// The path that the server is mounted under.
    pub base_path: BasePath,
}

/// Answers requests out of the books, and changes them where that is asked for.
pub struct Service {
    base_path: BasePath,
    books: Arc<Books>,
    pages: Arc<Pages>,
    verifier: Arc<Verifier>,
    usage: Usage,
    bills: Bills,
    licenses: Licenses,
    provisioner: Provisioner,
    metrics: Arc<Metrics>,
}

impl Service {
    /// A service that answers out of `readers` and changes the books by `writer`.
    pub fn new(readers: Readers, writer: Writer, options: Options) -> Self {
        let Options { envelope, base_path } = options;
        let books = Arc::new(Books::new(readers, writer));
        let verifier = Arc::new(Verifier::new(Arc::clone(&books)));
        let pages = Arc::new(Pages::new(Arc::clone(&books), envelope));
        Self {
            usage: Usage::new(Arc::clone(&verifier), Arc::clone(&pages)),
            bills: Bills::new(Arc::clone(&verifier), Arc::clone(&pages)),
            licenses: Licenses::new(Arc::clone(&books), Arc::clone(&verifier), envelope),
            provisioner: Provisioner::new(Arc::clone(&books), Arc::clone(&verifier)),
            base_path,
            books,
            pages,
            verifier,
            metrics: Arc::default(),
        }
    }

    /// Answers a request that is whole with the books as they were when it arrived, or later. Takes
    /// microseconds and does not wait: what takes longer is returned as a job.
    fn answer(&self, route: &Route<'_>, request: &Request<'_>, clock: Clock) -> Outcome {
        match route.call {
            Call::Usage => self.usage.answer(request, clock),
            Call::Bill => self.bills.answer(request, clock),
            Call::License => self.licenses.answer(request, route, clock),
            Call::Provisioning(call) => self.provisioner.answer(call, request, route, clock),
            Call::Health => health::answer(&self.books),
        }
    }

    /// Answers a request on this thread, whatever that takes. What cannot be read by `read_until`
    /// is refused as busy, and so is a change for which the lock is not to be had by `lock_until`:
    /// then nothing is changed.
    pub fn answer_in_place(
        &self,
        request: &Request<'_>,
        clock: Clock,
        read_until: Instant,
        lock_until: Instant,
    ) -> Reply {
        let route = match self.base_path.find(request.method, request.path) {
            Ok(route) => route,
            Err(unrouted) => return self.refuse(&unrouted, request),
        };
        let mut outcome = self.answer(&route, request, clock);
        loop {
            outcome = match outcome {
                Ok(Answer::Done(reply)) => return reply,
                Ok(Answer::Read(job)) => job(read_until),
                Ok(Answer::Write(job)) => job(lock_until).map(Answer::Done),
                Err(error) => return error.reply(route.form(), request.method, request.path),
            };
        }
    }

    /// Refuses what is no call.
    fn refuse(&self, unrouted: &Unrouted, request: &Request<'_>) -> Reply {
        self.verifier.point_out(request, &unrouted.refusal);
        unrouted.reply()
    }

    /// Writes down what has been told and is not kept yet; takes a second at most. Nothing may be
    /// asked for afterwards.
    pub fn finish(&self) {
        self.pages.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agora::signature::{Encoding, Fields, sign, source_string};
    use crate::billing::event::{Actor, Stamp};
    use crate::billing::key::{KeyPair, Purpose};
    use crate::billing::plan::Plan;
    use crate::billing::record::{NewRecord, UsedAt};
    use crate::store::{Store, key, plan, usage};
    use std::time::Duration;

    /// 2026-01-01 and a day in the next month: January is over.
    const JANUARY_S: [i64; 2] = [1_767_225_600, 1_769_904_000];
    const NOW_S: i64 = 1_770_000_000;

    struct House {
        service: Service,
        pair: KeyPair,
        _folder: tempfile::TempDir,
    }

    impl House {
        /// A service on books with usage of three projects in January, and a price.
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("books.db");
            let pair = key::make(Purpose::Live, 0);
            Store::create(&path, |tx| key::add(tx, &pair).map(drop)).expect("books");
            let mut store = Store::open(&path).expect("books");
            let stamp = Stamp { at_s: JANUARY_S[0] + 10, actor: Actor::Agora };
            for project in ["p1", "p2", "p3"] {
                let record = NewRecord {
                    id: format!("of-{project}").parse().expect("an id"),
                    project_id: project.parse().expect("an id"),
                    amount: "5".parse().expect("an amount"),
                    at: UsedAt::Second(JANUARY_S[0] + 5),
                    customer_id: None,
                    note: None,
                };
                let recorded = store.write(|tx| usage::record(tx, &record, &stamp));
                assert!(recorded.expect("a write").is_ok());
            }
            let plan = Plan {
                id: "default".parse().expect("an id"),
                name: "Standard".parse().expect("a name"),
                unit: "Call".parse().expect("a unit"),
                price: "flat 1".parse().expect("a price"),
            };
            store.write(|tx| plan::set(tx, &plan, 0, &stamp)).expect("a plan");
            let readers = Readers::open(&path, 2).expect("readers");
            let writer = Writer::open(&path).expect("a writer");
            let service = Service::new(readers, writer, Options::default());
            Self { service, pair, _folder: folder }
        }

        /// What a request takes, a word for each job, and the status that it ends with.
        fn steps(&self, request: &Request<'_>) -> (String, u16) {
            let route = self.service.base_path.find(request.method, request.path);
            let route = route.unwrap_or_else(|_| panic!("{} is a path", request.path));
            let until = Instant::now() + Duration::from_secs(60);
            let mut steps = Vec::new();
            let mut outcome = self.service.answer(&route, request, || NOW_S);
            loop {
                outcome = match outcome {
                    Ok(Answer::Done(reply)) => return (steps.join(" "), reply.status),
                    Ok(Answer::Read(job)) => {
                        steps.push("read");
                        job(until)
                    }
                    Ok(Answer::Write(job)) => {
                        steps.push("write");
                        job(until).map(Answer::Done)
                    }
                    Err(error) => {
                        let reply = error.reply(route.form(), request.method, request.path);
                        return (steps.join(" "), reply.status);
                    }
                };
            }
        }

        fn signature(&self, method: &str, path: &str, fields: &Fields) -> String {
            let source = source_string(method, path, fields, Encoding::Form);
            sign(&self.pair.api_secret, &source)
        }

        fn fields(&self, fields: &[(&str, &str)]) -> Fields {
            let key = [("apiKey", self.pair.api_key.as_str())];
            let fields = fields.iter().chain(&key);
            fields.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        }

        fn get(&self, path: &str, fields: &[(&str, &str)]) -> (String, u16) {
            let fields = self.fields(fields);
            let signature = self.signature("GET", path, &fields).replace('+', "%2B");
            let pairs = fields.iter().map(|(name, value)| format!("{name}={value}"));
            let query = pairs.collect::<Vec<_>>().join("&") + "&signature=" + &signature;
            let arrived = Instant::now();
            self.steps(&Request { method: "GET", path, query: &query, body: &[], arrived })
        }

        /// A page of January, two entries at a time.
        fn page(&self, path: &str, page_num: &str) -> (String, u16) {
            let [from, to] = JANUARY_S.map(|at_s| at_s.to_string());
            let window = [("fromTs", from.as_str()), ("toTs", to.as_str())];
            self.get(path, &[&window[..], &[("pageNum", page_num), ("limit", "2")]].concat())
        }

        fn create_project(&self) -> (String, u16) {
            let path = "/customers/c/projects/new";
            let fields = self.fields(&[("projectId", "p4")]);
            let signature = self.signature("POST", path, &fields);
            let key = self.pair.api_key.as_str();
            let body =
                format!(r#"{{"projectId":"p4","apiKey":"{key}","signature":"{signature}"}}"#);
            let (query, arrived) = ("", Instant::now());
            self.steps(&Request { method: "POST", path, query, body: body.as_bytes(), arrived })
        }
    }

    fn took(steps: &str, status: u16) -> (String, u16) {
        (steps.to_owned(), status)
    }

    #[test]
    fn a_page_is_read_once_and_later_ones_are_answered_at_once() {
        let house = House::new();
        assert_eq!(house.page("/usage", "1"), took("read", 200));
        assert_eq!(house.page("/usage", "1"), took("", 200));
        // Of the last one it is made out what is to be kept, once: here, or by the keeper's thread.
        let (steps, status) = house.page("/usage", "2");
        assert!(status == 200 && matches!(steps.as_str(), "read" | ""), "{steps}");
        assert_eq!(house.page("/usage", "2"), took("", 200));
        assert_eq!(house.page("/usage", "x"), took("", 400));
    }

    #[test]
    fn a_bills_last_page_is_written_and_nothing_else_is() {
        let house = House::new();
        assert_eq!(house.page("/bill", "1"), took("read", 200));
        assert_eq!(house.page("/bill", "1"), took("", 200));
        assert_eq!(house.page("/bill", "2"), took("write", 200));
        assert_eq!(house.page("/bill", "2"), took("", 200));
        // The statement is new in the books, so that page 1 is listed anew; what ends it is kept.
        assert_eq!(house.page("/bill", "1"), took("read", 200));
        assert_eq!(house.page("/bill", "2"), took("", 200));
    }

    #[test]
    fn a_call_that_changes_something_reads_and_writes_and_its_repetition_reads() {
        let house = House::new();
        assert_eq!(house.create_project(), took("read write", 200));
        assert_eq!(house.create_project(), took("read", 200));
    }

    #[test]
    fn a_few_rows_are_read_at_once() {
        let house = House::new();
        assert_eq!(house.get("/customers/c/license", &[]), took("", 404));
        assert_eq!(house.get("/healthz", &[]), took("", 200));
    }
}
