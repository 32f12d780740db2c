//! Why a request has no answer as asked: what the caller reads of it, and what the log holds.

use crate::agora::reply::{Form, Refusal, Reply};
use crate::agora::request;
use crate::store;

/// Why there is no answer as asked.
pub(super) enum Error {
    /// The caller is refused, with a sentence that says why.
    Refused(Refusal),
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
    /// The error as an answer to a call of this form and path; what went wrong is logged.
    pub(super) fn reply(&self, form: Form, path: &str) -> Reply {
        match self {
            Self::Refused(refusal) => refusal.reply(form),
            Self::Store(error) => refusal_for(error, path).reply(form),
        }
    }
}

/// Returns what the caller reads of a failed read, and logs more of it.
fn refusal_for(error: &store::Error, path: &str) -> Refusal {
    if error.is_passing() {
        log::warn!("no answer in time for {path}: {error}");
        return Refusal::Busy;
    }
    fault(path, error)
}

/// Logs a fault of ours under a new reference, which is all that the caller reads.
fn fault(path: &str, cause: &dyn std::fmt::Display) -> Refusal {
    let reference: String = store::made_id();
    log::error!("{reference}: {path} failed: {cause}");
    Refusal::Fault { reference }
}

/// Logs a panic of ours in the same way.
pub(super) fn panicked(form: Form, path: &str) -> Reply {
    fault(path, &"the handler panicked; the lines above tell where").reply(form)
}
