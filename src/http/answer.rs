//! A request and its answer, as values: what came in, and the reply or the work that leads to it.
//!
//! An endpoint never waits. It replies at once, or it returns the work that it needs as a job, with
//! all that it knows by then inside, so that nothing is done twice. The server runs the job on a
//! thread that may wait: a read with the others, a write through the one door for changes.

use crate::agora::reply::Reply;
use crate::http::error::Error;
use std::time::Instant;

/// Returns the time in Unix seconds. It is asked when it matters: for a change, once the lock is
/// had.
pub type Clock = fn() -> i64;

/// A request as it was sent, as far as answers depend on it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a str,
    /// What stands between host and `?`, untouched.
    pub path: &'a str,
    /// What stands behind `?`, untouched; empty where there is none.
    pub query: &'a str,
    /// The body; empty where there is none, or the call has none.
    pub body: &'a [u8],
    /// When all of it had arrived. The answer gives the books as they were then, or later.
    pub arrived: Instant,
}

/// What a job still needs of a request whose parameters have been read.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub method: String,
    pub path: String,
    pub arrived: Instant,
    pub clock: Clock,
}

impl Head {
    pub(super) fn new(request: &Request<'_>, clock: Clock) -> Self {
        let (method, path) = (request.method.to_owned(), request.path.to_owned());
        Self { method, path, arrived: request.arrived, clock }
    }

    /// The time in Unix seconds.
    pub(super) fn now_s(&self) -> i64 {
        (self.clock)()
    }
}

/// A reply, or the work that leads to it.
pub(super) enum Answer {
    Done(Reply),
    Read(ReadJob),
    Write(WriteJob),
}

/// An answer, or why there is none.
pub(super) type Outcome = Result<Answer, Error>;

/// Reads the books until a moment. What comes of it is a reply or a write, never another read.
pub(super) type ReadJob = Box<dyn FnOnce(Instant) -> Outcome + Send>;

/// Writes the books, if the lock is to be had until a moment.
pub(super) type WriteJob = Box<dyn FnOnce(Instant) -> Result<Reply, Error> + Send>;

impl Answer {
    /// An answer that reads. Where what it returns reads once more, that is done on the same thread
    /// and by the same moment.
    pub(super) fn read(job: impl FnOnce(Instant) -> Outcome + Send + 'static) -> Self {
        Self::Read(Box::new(move |until| match job(until)? {
            Self::Read(more) => more(until),
            answer @ (Self::Done(_) | Self::Write(_)) => Ok(answer),
        }))
    }

    /// An answer that writes.
    pub(super) fn write(
        job: impl FnOnce(Instant) -> Result<Reply, Error> + Send + 'static,
    ) -> Self {
        Self::Write(Box::new(job))
    }
}
