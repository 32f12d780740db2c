//! The server's answers: which endpoint answers which call, and what they share. No sockets in here:
//! those are [`server`]'s.

mod answer;
mod bill;
mod books;
mod door;
mod error;
mod health;
mod intake;
mod license;
mod listed;
mod listing;
mod pages;
mod provisioning;
mod refusal_log;
mod route;
pub mod server;
mod statement;
pub mod tls;
mod usage;
mod verify;

use crate::agora::reply::{Envelope, Reply};
use crate::store::{Readers, Writer};
use answer::{Answer, Outcome};
use bill::Bills;
use books::Books;
use license::Licenses;
use pages::Pages;
use provisioning::Provisioner;
use refusal_log::RefusalLog;
use route::{Call, Route};
use std::sync::Arc;
use std::time::Instant;
use usage::Usage;
use verify::Verifier;

pub use answer::{Clock, Request};
pub use route::BasePath;

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
    refusals: Arc<RefusalLog>,
    usage: Usage,
    bills: Bills,
    licenses: Licenses,
    provisioner: Provisioner,
}

impl Service {
    /// A service that answers out of `readers` and changes the books by `writer`.
    pub fn new(readers: Readers, writer: Writer, options: Options) -> Self {
        let Options { envelope, base_path } = options;
        let refusals = Arc::<RefusalLog>::default();
        let books = Arc::new(Books::new(readers, writer));
        let verifier = Arc::new(Verifier::new(Arc::clone(&books), Arc::clone(&refusals)));
        let pages = Arc::new(Pages::new(Arc::clone(&books), envelope));
        Self {
            usage: Usage::new(Arc::clone(&verifier), Arc::clone(&pages)),
            bills: Bills::new(Arc::clone(&verifier), Arc::clone(&pages)),
            licenses: Licenses::new(Arc::clone(&books), Arc::clone(&verifier), envelope),
            provisioner: Provisioner::new(Arc::clone(&books), verifier),
            base_path,
            books,
            pages,
            refusals,
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
            Err(unrouted) => return unrouted.reply(),
        };
        let mut outcome = self.answer(&route, request, clock);
        loop {
            outcome = match outcome {
                Ok(Answer::Done(reply)) => return reply,
                Ok(Answer::Read(job)) => job(read_until),
                Ok(Answer::Write(job)) => job(lock_until).map(Answer::Done),
                Err(error) => return error.reply(route.form(), request.path),
            };
        }
    }

    /// Writes down what has been told and is not kept yet; takes a second at most. Nothing may be
    /// asked for afterwards.
    pub fn finish(&self) {
        self.pages.finish();
    }
}
