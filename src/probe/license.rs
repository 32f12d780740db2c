//! The license of a customer.

use crate::agora::outgoing::Outgoing;
use crate::agora::received::{Received, Scalar};
use crate::agora::reply::{Envelope, StatusForm};
use crate::billing::id::CustomerId;
use crate::probe::check::{Asker, Demand, Grade};
use crate::probe::client::Absence;
use crate::probe::refusal::Shape;
use crate::probe::session::{Exchanged, Session};
use crate::probe::signing;

const ANSWER: Demand = Demand {
    name: "answer",
    wanted: "HTTP 200, application/json and status \"success\" for a customer with a license, 404 \
             for one without",
    asker: Asker::Usage,
};
const STRINGS: Demand = Demand {
    name: "strings",
    wanted: "expireDate and residueCount as strings",
    asker: Asker::Usage,
};
const CONTENT: Demand = Demand {
    name: "content",
    wanted: "expireDate as 2025-10-01, residueCount as a number in its string",
    asker: Asker::Reading,
};
const ENVELOPE: Demand = Demand {
    name: "envelope",
    wanted: "expireDate and residueCount in an object data (nested), or beside status (flat)",
    asker: Asker::Usage,
};

/// Checks the license of a customer. `is_named`: the operator says that this one has a license.
pub(super) async fn check(
    session: &mut Session,
    base: &str,
    (customer, is_named): (&CustomerId, bool),
) {
    let asked = Outgoing::license(base, customer);
    let sent = asked.words();
    let mut shape = signing::shape(StatusForm::Word);
    match session.ask(&asked).await {
        Ok(answer) => {
            if answer.reaction.status == 404 {
                // Who has no licenses may have no such call, and so no signature is looked at.
                shape = Shape { codes: &[401, 403, 404], form: None };
            }
            judge(session, &answer, is_named);
        }
        Err(absence) => {
            let is_broken = matches!(absence, Absence::Broken(_));
            let result = if is_broken { Grade::Fail } else { Grade::Skip };
            session.add(ANSWER.found("license", result, &sent, &absence.to_string()));
            for demand in [&STRINGS, &CONTENT, &ENVELOPE] {
                session.skip(demand, "license", &sent, &absence);
            }
        }
    }
    signing::check_call(session, "license", &asked, shape).await;
}

fn judge(session: &mut Session, answer: &Exchanged, is_named: bool) {
    let found =
        |demand: &Demand, result, got: &str| demand.found("license", result, &answer.sent, got);
    let body = match answer.is_success() {
        Ok(body) => body,
        Err(got) => {
            let is_none = answer.reaction.status == 404;
            let (result, got) = match (is_none, is_named) {
                (true, false) => (Grade::Pass, "HTTP 404: no license".to_owned()),
                (true, true) => (Grade::Warn, got),
                (false, _) => (Grade::Fail, got),
            };
            session.add(found(&ANSWER, result, &got));
            let why = "no license to look at: name a customer who has one with --customer";
            for demand in [&STRINGS, &CONTENT, &ENVELOPE] {
                session.add(found(demand, Grade::Skip, why));
            }
            return;
        }
    };
    let answered = match answer.is_json() {
        Ok(()) if answer.reaction.status == 200 => found(&ANSWER, Grade::Pass, "success"),
        Ok(()) => found(&ANSWER, Grade::Warn, &format!("HTTP {}", answer.reaction.status)),
        Err(got) => found(&ANSWER, Grade::Fail, &got),
    };
    let values = ["expireDate", "residueCount"].map(|name| value(body, name));
    let [date, count] = &values;
    let got = format!("expireDate {}, residueCount {}", in_words(date), in_words(count));
    let text = |value: &Option<Scalar>| value.as_ref().and_then(Scalar::text).map(str::to_owned);
    let texts = (text(date), text(count));
    let is_strings = matches!(texts, (Some(_), Some(_)));
    let strings = if is_strings { Grade::Pass } else { Grade::Fail };
    let content = match &texts {
        (Some(date), Some(count)) if is_date(date) && is_count(count) => Grade::Pass,
        (Some(_), Some(_)) => Grade::Warn,
        _ => Grade::Skip,
    };
    let is_nested = body.envelope() == Envelope::Nested;
    let form = if is_nested { "nested" } else { "flat" };
    let envelope = if is_strings { Grade::Pass } else { Grade::Skip };
    for finding in [
        answered,
        found(&STRINGS, strings, &got),
        found(&CONTENT, content, &got),
        found(&ENVELOPE, envelope, form),
    ] {
        session.add(finding);
    }
}

fn value(body: &Received, name: &str) -> Option<Scalar> {
    body.member(name).or_else(|| body.top(name)).cloned()
}

fn in_words(value: &Option<Scalar>) -> String {
    value.as_ref().map_or_else(|| "is missing".to_owned(), ToString::to_string)
}

fn is_date(text: &str) -> bool {
    let form = b"0000-00-00";
    let fits = |(byte, form): (u8, &u8)| match form {
        b'0' => byte.is_ascii_digit(),
        sign => byte == *sign,
    };
    text.len() == form.len() && text.bytes().zip(form).all(fits)
}

fn is_count(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    plain && digits.bytes().any(|byte| byte.is_ascii_digit())
}
