//! Parameters that are missing, broken or repeated, and what is asked of the wrong place.

use crate::agora::outgoing::Outgoing;
use crate::agora::reply::StatusForm;
use crate::probe::check::{Asker, Demand};
use crate::probe::refusal::{self, Forbidden, Shape};
use crate::probe::session::Session;

const MISSING: Demand = Demand {
    name: "missing parameters",
    wanted: "a status that is not 0, best 400: fromTs, toTs and pageNum are required",
    asker: Asker::Usage,
};
const BROKEN: Demand = Demand {
    name: "broken parameters",
    wanted: "a status that is not 0, best 400: times are Unix seconds, pages count from 1",
    asker: Asker::Usage,
};
const UNUSUAL: Demand = Demand {
    name: "unusual parameters",
    wanted: "a status that is not 0, best 400: times have 10 digits, fromTs is no later than toTs, \
             limit is at least 1",
    asker: Asker::Reading,
};
const REPEATED: Demand = Demand {
    name: "repeated parameter",
    wanted: "a refusal, best 400: two values are never merged silently",
    asker: Asker::Reading,
};
const METHOD: Demand = Demand {
    name: "other methods",
    wanted: "a refusal, best 405 with Allow",
    asker: Asker::Reading,
};
const PATH: Demand =
    Demand { name: "unknown path", wanted: "a refusal, best 404", asker: Asker::Reading };

/// A parameter that is not right is refused so; whoever checks the signature first says 401.
const BAD: Shape = Shape { codes: &[400, 401, 403, 422], form: Some(StatusForm::Listing) };

/// Checks the parameters of a usage or a bill. `asked` is a request that is right.
pub(super) async fn check(session: &mut Session, of: &str, asked: &Outgoing) {
    let variants = |all: &[(&str, &str)]| {
        let variant = |(name, value): &(&str, &str)| asked.clone().but(name, value);
        all.iter().map(variant).collect::<Vec<_>>()
    };
    let missing = ["fromTs", "toTs", "pageNum"].map(|name| asked.clone().without(name)).to_vec();
    let broken = variants(&[
        ("fromTs", "yesterday"),
        ("toTs", ""),
        ("pageNum", "0"),
        ("pageNum", "-1"),
        ("pageNum", "one"),
    ]);
    let from_ts = asked.fields.iter().find(|(name, _)| name == "fromTs");
    let millis = from_ts.map_or_else(String::new, |(_, value)| format!("{value}000"));
    let unusual = variants(&[
        ("fromTs", millis.as_str()),
        ("toTs", "1000000000"),
        ("limit", "0"),
        ("limit", "two"),
    ]);
    let repeated = vec![asked.clone().with("pageNum", "2")];
    for (demand, requests) in
        [(&MISSING, missing), (&BROKEN, broken), (&UNUSUAL, unusual), (&REPEATED, repeated)]
    {
        let signer = session.signer.clone();
        let forbidden = |one: Outgoing| Forbidden { sent: one.words(), wire: one.signed(&signer) };
        let forbidden = requests.into_iter().map(forbidden).collect();
        refusal::check(session, (demand, of), forbidden, BAD).await;
    }
}

/// Checks what is asked by another method, and at a path that no call has.
pub(super) async fn check_places(session: &mut Session, base: &str, asked: &Outgoing) {
    let signer = session.signer.clone();
    let posted = Outgoing { method: "POST", ..asked.clone() };
    let posted = Forbidden { sent: posted.words(), wire: posted.signed(&signer) };
    let shape = Shape { codes: &[404, 405], form: None };
    refusal::check(session, (&METHOD, ""), vec![posted], shape).await;

    let elsewhere = Outgoing { path: format!("{base}/no-such-call"), ..asked.clone() };
    let elsewhere = Forbidden { sent: elsewhere.words(), wire: elsewhere.signed(&signer) };
    let shape = Shape { codes: &[404], form: None };
    refusal::check(session, (&PATH, ""), vec![elsewhere], shape).await;
}
