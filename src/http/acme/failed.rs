//! Why there is no new certificate, and what to do about it.

use crate::http::client::Unheard;
use instant_acme::{Error, Problem};

/// What makes a check of a host fail, mostly.
pub(super) const LEAD_HERE: &str = "the host's address must be this machine's, and its port 443 \
     must lead to this server (TLS-ALPN-01)";

/// A certificate that did not come. Prints as a sentence.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub(super) struct Failed {
    why: String,
    /// What to do, where it is known.
    pub(super) advice: Option<&'static str>,
}

impl Failed {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), advice: None }
    }

    /// The same with what to do.
    pub(super) fn advise(self, advice: &'static str) -> Self {
        Self { advice: Some(advice), ..self }
    }

    /// The same, found by the check of a host.
    pub(super) fn of(self, host: &str) -> Self {
        let advice = self.advice.or(Some(LEAD_HERE));
        Self { why: format!("{host}: {}", self.why), advice }
    }

    /// What an authority has against something.
    pub(super) fn refused(problem: &Problem) -> Self {
        let kind = problem.r#type.as_deref().and_then(|kind| kind.rsplit(':').next());
        let mut why = "the authority refuses".to_owned();
        for said in [problem.detail.as_deref(), kind].into_iter().flatten() {
            why = format!("{why}: {said}");
        }
        for part in &problem.subproblems {
            why = format!("{why}; {part}");
        }
        let failed = Self::new(why);
        match kind {
            Some("rateLimited") => {
                failed.advise("the authority limits how much is asked of it: wait")
            }
            Some("caa") => failed.advise("the CAA records of the host must allow this authority"),
            _ => failed,
        }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        if let Error::Api(problem) = &error {
            return Self::refused(problem);
        }
        if let Error::Timeout(_) = &error {
            return Self::new("the authority has not come to an end with the order");
        }
        let no_way = matches!(&error, Error::Other(cause)
            if matches!(cause.downcast_ref(), Some(Unheard::NoWay(_))));
        let failed = Self::new(error.to_string());
        if no_way {
            failed.advise(
                "this server must be let out to the authority (a unit of systemd may forbid it)",
            )
        } else {
            failed
        }
    }
}
