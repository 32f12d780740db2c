//! What `/readyz` of the admin listener says: whether requests may be sent, and if not, why not.

use crate::agora::reply::Reply;
use serde::Serialize;

/// Something that has to be so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Requirement {
    /// Its name.
    pub name: &'static str,
    /// Why it is not so; `None` where it is.
    pub problem: Option<String>,
}

/// The answer: 200 where all is so that has to be, else 503 with the reason.
pub fn readiness(requirements: &[Requirement]) -> Reply {
    #[derive(Serialize)]
    struct Readiness<'a> {
        status: &'static str,
        /// Null where it is ready.
        reason: Option<String>,
        checks: &'a [Requirement],
    }
    let problem =
        |one: &Requirement| one.problem.as_ref().map(|problem| format!("{}: {problem}", one.name));
    let reasons: Vec<String> = requirements.iter().filter_map(problem).collect();
    let is_ready = reasons.is_empty();
    let said = Readiness {
        status: if is_ready { "ready" } else { "not ready" },
        reason: (!is_ready).then(|| reasons.join("; ")),
        checks: requirements,
    };
    let body = serde_json::to_vec(&said).expect("plain structs of strings have a JSON form");
    Reply { status: if is_ready { 200 } else { 503 }, headers: Vec::new(), body }
}

/// That a path of the admin listener is none, or does not have a method.
pub fn no_admin_path(has_path: bool) -> Reply {
    let (status, body) = if has_path {
        (405, r#"{"status":"failed","statusReason":"use GET"}"#)
    } else {
        (404, r#"{"status":"failed","statusReason":"use /healthz, /readyz or /metrics"}"#)
    };
    Reply { status, headers: Vec::new(), body: body.into() }
}
