//! Provisioning: accounts, projects and licenses of one customer, made and ended again, each call
//! sent two at once and then once more. This writes.

use crate::agora::outgoing::Outgoing;
use crate::agora::received::{Received, Scalar};
use crate::agora::reply::StatusForm;
use crate::billing::id::{CustomerId, ProjectId};
use crate::billing::period::Period;
use crate::probe::check::{Asker, Demand, Grade};
use crate::probe::client::Absence;
use crate::probe::refusal::{self, Forbidden, Shape};
use crate::probe::session::{Exchanged, Session};
use crate::probe::signing;
use std::ops::RangeInclusive;

const ANSWER: Demand = Demand {
    name: "answer",
    wanted: "HTTP 200, application/json and status \"success\"",
    asker: Asker::Provision,
};
const AGAIN: Demand = Demand {
    name: "again",
    wanted: "success and the same keys for the same call again: Agora sends it again",
    asker: Asker::Provision,
};
const AT_ONCE: Demand = Demand {
    name: "two at once",
    wanted: "success and the same keys for the same call twice at one moment",
    asker: Asker::Provision,
};
const KEYS: Demand = Demand {
    name: "keys",
    wanted: "appKey and appSecret, strings of 32 to 255 bytes",
    asker: Asker::Provision,
};
const AS_TEXT: Demand = Demand {
    name: "projectId as text",
    wanted: "the same answer: one of Agora's pages has a number, the other a string",
    asker: Asker::Reading,
};
const NO_CUSTOMER: Demand = Demand {
    name: "without customerId",
    wanted: "a refusal, best 400: customerId is required",
    asker: Asker::Provision,
};
const TWO_SLASHES: Demand = Demand {
    name: "double slash",
    wanted: "success: Agora's page prints //customers/…/deactivate",
    asker: Asker::Reading,
};
const POSTED: Demand = Demand {
    name: "by POST",
    wanted: "success: Agora's pages name both PUT and POST",
    asker: Asker::Reading,
};

/// The bytes of an appKey and an appSecret.
const KEY_BYTES: RangeInclusive<usize> = 32..=255;
/// How long the license is that a probe configures.
const LICENSE_S: i64 = 365 * 86_400;

/// In which order Agora calls, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The English pages: account, project.
    English,
    /// The Chinese pages: license, project; the signature in the body of a PUT is URL-encoded.
    Chinese,
}

/// What is made and ended again.
#[derive(Clone, Debug)]
pub struct Trial {
    /// An account that nobody uses.
    pub customer: CustomerId,
    /// A project of it.
    pub project: ProjectId,
    /// How Agora calls.
    pub dialect: Dialect,
}

/// The keys of a project, as they were answered.
type ProjectKeys = Option<[Option<Scalar>; 2]>;

/// What a call answered that was a success.
struct Success {
    keys: ProjectKeys,
}

/// Makes the account, or the license, and the project.
pub(super) async fn begin(session: &mut Session, base: &str, trial: &Trial, now_s: i64) {
    let Trial { customer, project, dialect } = trial;
    let shape = signing::shape(StatusForm::Word);
    match dialect {
        Dialect::English => {
            let contact = [
                ("customerName", "Probe ~ *"),
                ("customerEmail", "probe@example.com"),
                ("customerPhone", "+1 555 0100"),
            ];
            let account = Outgoing::new_account(base, customer, &contact);
            signing::check_call(session, "create account", &account, shape).await;
            refuse_without_customer(session, &account).await;
            call(session, "create account", &account, *dialect).await;
        }
        Dialect::Chinese => {
            let window = Period::new(now_s, now_s + LICENSE_S).expect("it ends later");
            let license = Outgoing::new_license(base, customer, window);
            signing::check_call(session, "configure license", &license, shape).await;
            call(session, "configure license", &license, *dialect).await;
            let posted = Outgoing { method: "POST", ..license };
            also(session, ("configure license", &POSTED), &posted).await;
        }
    }
    let made = Outgoing::new_project(base, customer, project);
    signing::check_call(session, "create project", &made, shape).await;
    let answered = call(session, "create project", &made, *dialect).await;
    let keys = answered.and_then(|success| success.keys);
    judge_keys(session, &made.words(), keys.as_ref());
    let as_text = Outgoing { has_number: false, ..made.clone() };
    if as_text.words() != made.words() {
        also(session, ("create project", &AS_TEXT), &as_text).await;
    }
}

/// Ends the project and the account.
pub(super) async fn end(session: &mut Session, base: &str, trial: &Trial) {
    let Trial { customer, project, dialect } = trial;
    let ended = Outgoing::end_project(base, customer, project);
    call(session, "deactivate project", &ended, *dialect).await;
    let slashes = Outgoing { path: slashed(base, &ended.path), ..ended };
    also(session, ("deactivate project", &TWO_SLASHES), &slashes).await;
    let ended = Outgoing::end_account(base, customer);
    call(session, "deactivate account", &ended, *dialect).await;
}

/// A path with a second slash in front of `customers`, behind what it is mounted under.
fn slashed(base: &str, path: &str) -> String {
    format!("{base}/{}", path.strip_prefix(base).unwrap_or(path))
}

async fn refuse_without_customer(session: &mut Session, account: &Outgoing) {
    let without = account.clone().without("customerId");
    let forbidden =
        vec![Forbidden { sent: without.words(), wire: without.signed(&session.signer) }];
    let shape = Shape { codes: &[400, 422], form: Some(StatusForm::Word) };
    refusal::check(session, (&NO_CUSTOMER, "create account"), forbidden, shape).await;
}

/// Sends a call two at once, which is when it is new, and then once more.
async fn call(
    session: &mut Session,
    of: &str,
    asked: &Outgoing,
    dialect: Dialect,
) -> Option<Success> {
    let encoded = dialect == Dialect::Chinese && asked.method == "PUT";
    let sent = asked.words();
    let (one, other) = session.race(asked, encoded).await;
    let both = [read(session, one), read(session, other)];
    let is_lost = |read: &Result<Success, Trouble>| matches!(read, Err(Trouble::Absent(_)));
    if both.iter().all(is_lost) {
        if let [Err(Trouble::Absent(absence)), _] = &both {
            for demand in [&ANSWER, &AGAIN, &AT_ONCE] {
                let is_broken = matches!(absence, Absence::Broken(_));
                let is_fail = is_broken && demand.name == ANSWER.name;
                let result = if is_fail { Grade::Fail } else { Grade::Skip };
                session.add(demand.found(of, result, &sent, &absence.to_string()));
            }
        }
        return None;
    }
    let again = session.ask_encoded(asked, encoded).await;
    let again = read(session, again);
    let [one, other] = both;
    // Two at once may be what one of them fails by: any success is an answer.
    let answers = [&one, &other, &again];
    let answer = answers.iter().find_map(|read| read.as_ref().ok());
    let first_trouble = || answers.iter().find_map(|read| read.as_ref().err());
    let answered = match (answer, first_trouble()) {
        (Some(_), _) | (None, None) => ANSWER.found(of, Grade::Pass, &sent, "success"),
        (None, Some(trouble)) => trouble.found(&ANSWER, of, &sent),
    };
    session.add(answered);
    if answer.is_none() {
        for demand in [&AGAIN, &AT_ONCE] {
            session.add(demand.found(of, Grade::Skip, &sent, "it never succeeds"));
        }
        return None;
    }
    let keys = |read: &Result<Success, Trouble>| {
        read.as_ref().ok().and_then(|success| success.keys.clone())
    };
    let is_same = |a: &Result<Success, Trouble>, b: &Result<Success, Trouble>| keys(a) == keys(b);
    let repeated = match &again {
        Err(trouble) => trouble.found(&AGAIN, of, &sent),
        Ok(_) if !is_same(&again, &one) && !is_same(&again, &other) => {
            AGAIN.found(of, Grade::Fail, &sent, "other keys than the first time")
        }
        Ok(_) => AGAIN.found(of, Grade::Pass, &sent, "the same"),
    };
    let is_repeatable = repeated.result == Grade::Pass;
    session.add(repeated);
    let raced = match [&one, &other].iter().find_map(|read| read.as_ref().err()) {
        _ if !is_repeatable => {
            AT_ONCE.found(of, Grade::Skip, &sent, "the same call again is not answered alike")
        }
        Some(trouble) => trouble.found(&AT_ONCE, of, &sent),
        None if !is_same(&one, &other) => {
            AT_ONCE.found(of, Grade::Fail, &sent, "each with keys of its own")
        }
        None => AT_ONCE.found(of, Grade::Pass, &sent, "the same"),
    };
    session.add(raced);
    [again, one, other].into_iter().find_map(Result::ok)
}

/// Why a call is no success.
enum Trouble {
    Absent(Absence),
    /// The answer, in short.
    Refused(String),
    /// It succeeds, and its type is not JSON.
    Typed(String),
}

impl Trouble {
    fn found(&self, demand: &Demand, of: &str, sent: &str) -> crate::probe::check::CheckFinding {
        match self {
            Self::Absent(absence @ Absence::Broken(_)) => {
                demand.found(of, Grade::Fail, sent, &absence.to_string())
            }
            Self::Absent(absence) => demand.found(of, Grade::Skip, sent, &absence.to_string()),
            Self::Refused(got) | Self::Typed(got) => demand.found(of, Grade::Fail, sent, got),
        }
    }
}

/// Reads the answer to a call. Keys in it are hidden from then on.
fn read(session: &mut Session, answer: Result<Exchanged, Absence>) -> Result<Success, Trouble> {
    let answer = answer.map_err(Trouble::Absent)?;
    let keys = answer.body.as_ref().and_then(keys_of);
    for key in keys.iter().flatten().flatten() {
        let shown = key.text().map_or_else(|| key.to_string(), str::to_owned);
        session.secrets.add(&shown);
    }
    answer.is_success().map_err(Trouble::Refused)?;
    answer.is_json().map_err(Trouble::Typed)?;
    Ok(Success { keys })
}

fn keys_of(body: &Received) -> ProjectKeys {
    let keys = ["appKey", "appSecret"].map(|name| body.member(name).cloned());
    keys.iter().any(Option::is_some).then_some(keys)
}

fn judge_keys(session: &mut Session, sent: &str, keys: Option<&[Option<Scalar>; 2]>) {
    let of = "create project";
    let Some(keys) = keys else {
        let made = session.findings.iter().rfind(|finding| finding.name == "create project answer");
        let is_made = made.is_some_and(|finding| finding.result == Grade::Pass);
        let result = if is_made { Grade::Fail } else { Grade::Skip };
        return session.add(KEYS.found(of, result, sent, "no appKey and no appSecret"));
    };
    let length = |key: &Option<Scalar>| key.as_ref().and_then(Scalar::text).map(str::len);
    let lengths: Vec<Option<usize>> = keys.iter().map(length).collect();
    let words = |length: &Option<usize>| {
        length.map_or_else(|| "no string".to_owned(), |length| length.to_string())
    };
    let got = format!("appKey {}, appSecret {} bytes", words(&lengths[0]), words(&lengths[1]));
    let fits = |length: &Option<usize>| length.is_some_and(|length| KEY_BYTES.contains(&length));
    let result = if lengths.iter().all(fits) { Grade::Pass } else { Grade::Fail };
    session.add(KEYS.found(of, result, sent, &got));
}

/// Sends a call in another form that Agora's pages print as well.
async fn also(session: &mut Session, (of, demand): (&str, &Demand), asked: &Outgoing) {
    let sent = asked.words();
    let again = format!("{of} {}", AGAIN.name);
    let usual = session.findings.iter().rfind(|finding| finding.name == again);
    if usual.is_none_or(|finding| finding.result != Grade::Pass) {
        let why = "the usual form is not answered alike either";
        return session.add(demand.found(of, Grade::Skip, &sent, why));
    }
    let answer = session.ask(asked).await;
    let finding = match read(session, answer) {
        Ok(_) => demand.found(of, Grade::Pass, &sent, "success"),
        Err(trouble) => trouble.found(demand, of, &sent),
    };
    session.add(finding);
}
