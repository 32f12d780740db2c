//! Signatures: what is not signed rightly gets no answer, and both ways of encoding do.

use crate::agora::outgoing::{Outgoing, Signer};
use crate::agora::reply::StatusForm;
use crate::agora::signature::Encoding;
use crate::billing::statement::ListingKind;
use crate::probe::check::{Asker, Demand, Grade};
use crate::probe::client::Absence;
use crate::probe::refusal::{self, Forbidden, Shape};
use crate::probe::session::Session;

const UNSIGNED: Demand = Demand {
    name: "unsigned",
    wanted: "a refusal, best 401 with status and statusReason",
    asker: Asker::Signing,
};
const WRONG: Demand = Demand {
    name: "wrong signature",
    wanted: "a refusal, best 401 with status and statusReason",
    asker: Asker::Signing,
};
const WRONG_KEY: Demand = Demand {
    name: "wrong key",
    wanted: "a refusal, best 401 with status and statusReason",
    asker: Asker::Signing,
};
const ALTERED: Demand = Demand {
    name: "altered",
    wanted: "a refusal of whatever was changed after it was signed, best 401",
    asker: Asker::Signing,
};
const ADDED: Demand = Demand {
    name: "parameter added",
    wanted: "a refusal, best 401: all parameters but signature are signed",
    asker: Asker::Signing,
};
const FORM: Demand = Demand {
    name: "encoding as Java's",
    wanted: "an answer where a space is signed as +, * as *, and ~ as %7E (URLEncoder)",
    asker: Asker::Reading,
};
const RFC: Demand = Demand {
    name: "encoding as RFC 3986's",
    wanted: "an answer where a space is signed as %20, * as %2A, and ~ as ~",
    asker: Asker::Reading,
};

/// An unauthorized request is refused so.
const UNAUTHORIZED: &[u16] = &[401, 403];

/// The shape of a refusal for want of a signature. A parameter that is missing may come first.
pub(super) fn shape(form: StatusForm) -> Shape {
    let codes = if form == StatusForm::Listing { &[400, 401, 403] } else { UNAUTHORIZED };
    Shape { codes, form: Some(form) }
}

/// The three requests that are signed by nobody who may: without a signature, by another secret,
/// and with another key.
pub(super) async fn check_call(session: &mut Session, of: &str, asked: &Outgoing, shape: Shape) {
    let right = session.signer.clone();
    let (key, words) = (&right.api_key, asked.words());
    let one = |sent: String, wire| vec![Forbidden { sent, wire }];
    let unsigned = one(format!("{words} without signature"), asked.wire(Some(key), None));
    refusal::check(session, (&UNSIGNED, of), unsigned, shape).await;

    let other = Signer { api_secret: "x".repeat(32).parse().expect("a secret"), ..right.clone() };
    let signature = asked.signature(&other, Encoding::Form);
    let wire = asked.wire(Some(key), Some(&signature));
    let wrong = one(format!("{words} signed with another secret"), wire);
    refusal::check(session, (&WRONG, of), wrong, shape).await;

    let strange = Signer { api_key: "y".repeat(32).parse().expect("a key"), ..right };
    let signature = asked.signature(&strange, Encoding::Form);
    let with_strange = Forbidden {
        sent: format!("{words} with an apiKey that nobody has"),
        wire: asked.wire(Some(&strange.api_key), Some(&signature)),
    };
    let signature = asked.signature(&session.signer, Encoding::Form);
    let without = Forbidden {
        sent: format!("{words} without apiKey"),
        wire: asked.wire(None, Some(&signature)),
    };
    refusal::check(session, (&WRONG_KEY, of), vec![with_strange, without], shape).await;
}

/// A request that is not the one that was signed.
pub(super) async fn check_altered(
    session: &mut Session,
    base: &str,
    kind: ListingKind,
    asked: &Outgoing,
) {
    let key = session.signer.api_key.clone();
    let later = |name: &str| {
        let before = asked.fields.iter().find(|(other, _)| other == name);
        let number = before.and_then(|(_, value)| value.parse::<i64>().ok()).unwrap_or_default();
        asked.clone().but(name, &(number + 1).to_string())
    };
    let [usage, bill] = ListingKind::ALL.map(|kind| format!("{base}/{}", kind.as_str()));
    let elsewhere = match kind {
        ListingKind::Usage => bill,
        ListingKind::Bill => usage,
    };
    let elsewhere = Outgoing { path: elsewhere, ..asked.clone() };
    let mut forbidden = Vec::new();
    for (what, signed) in [
        ("another fromTs", later("fromTs")),
        ("another pageNum", later("pageNum")),
        ("another path", elsewhere),
    ] {
        let signature = signed.signature(&session.signer, Encoding::Form);
        let wire = asked.wire(Some(&key), Some(&signature));
        let sent = format!("{} with the signature of {what}", asked.words());
        forbidden.push(Forbidden { sent, wire });
    }
    refusal::check(session, (&ALTERED, kind.as_str()), forbidden, shape(StatusForm::Listing)).await;
}

/// A parameter that was added, and both ways of encoding.
pub(super) async fn check_encodings(session: &mut Session, asked: &Outgoing) {
    let of = ListingKind::Usage.as_str();
    let key = session.signer.api_key.clone();
    let signature = asked.signature(&session.signer, Encoding::Form);
    let added = asked.clone().with("probe", "1");
    let wire = added.wire(Some(&key), Some(&signature));
    let sent = format!("{} with the signature of it without probe", added.words());
    let added = vec![Forbidden { sent, wire }];
    refusal::check(session, (&ADDED, of), added, shape(StatusForm::Listing)).await;

    let told = asked.clone().with("probe", "a b*c~d");
    for (demand, encoding) in [(&FORM, Encoding::Form), (&RFC, Encoding::Rfc3986)] {
        let wire = told.signed_by(&session.signer, encoding);
        let sent = told.words();
        match session.send(&sent, &wire).await {
            Ok(answer) => {
                let result = if answer.is_answered() { Grade::Pass } else { Grade::Warn };
                session.add(demand.found(of, result, &sent, &answered(&answer.got(), result)));
            }
            Err(Absence::Broken(got)) => {
                session.add(demand.found(of, Grade::Warn, &sent, &got));
            }
            Err(absence) => session.skip(demand, of, &sent, &absence),
        }
    }
}

fn answered(got: &str, result: Grade) -> String {
    if result == Grade::Pass { "answered".to_owned() } else { got.to_owned() }
}
