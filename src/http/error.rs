//! Why a request has no answer as asked: what the caller reads of it, and what the log holds.

use crate::agora::reply::{Refusal, Reply, StatusForm};
use crate::agora::request;
use crate::http::journal::{self, Kind, cut};
use crate::store;

/// Why there is no answer as asked.
pub(super) enum Error {
    /// The caller is refused, with a sentence that says why.
    Refused(Refusal),
    /// The same, and the log has been told.
    Told(Refusal),
    /// The books could not be read or written.
    Store(store::Error),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<request::Error> for Error {
    fn from(error: request::Error) -> Self {
        Self::Refused(error.into())
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl Error {
    /// That there is no answer now, for a reason that the log is told.
    pub(super) fn busy(refusal: Refusal, path: &str, reason: &str) -> Self {
        journal::busy(path, reason);
        Self::Told(refusal)
    }

    /// The error as an answer to a call of this form, method and path; what went wrong is logged.
    pub(super) fn reply(&self, form: StatusForm, method: &str, path: &str) -> Reply {
        match self {
            Self::Refused(refusal) => {
                let (reply, reason) = (refusal.reply(form), refusal.sentence());
                match reply.status {
                    503 => journal::busy(path, &reason),
                    status => journal::refused(Kind::Malformed, method, path, status, &reason),
                }
                reply
            }
            Self::Told(refusal) => refusal.reply(form),
            Self::Store(error) => refusal_for(error, path).reply(form),
        }
    }
}

/// Returns what the caller reads of a failed read, and logs more of it.
fn refusal_for(error: &store::Error, path: &str) -> Refusal {
    if error.is_passing() {
        journal::busy(path, &error.to_string());
        return Refusal::Busy;
    }
    fault(path, error)
}

/// Logs a fault of ours under a new reference, which is all that the caller reads.
fn fault(path: &str, cause: &dyn std::fmt::Display) -> Refusal {
    let reference: String = store::made_id();
    journal::tell(Kind::Fault, || {
        let (path, reference) = (cut(path), reference.as_str());
        log::error!(reference, path, status = 500; "{reference}: {path} failed: {cause}");
    });
    Refusal::Fault { reference }
}

/// Logs a panic of ours in the same way.
pub(super) fn panicked(form: StatusForm, path: &str) -> Reply {
    fault(path, &"the handler panicked; the lines above tell where").reply(form)
}
