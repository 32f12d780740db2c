//! A probing: how Agora asks (500 ms of patience, two resends), what was found so far, and when it
//! makes no sense to go on.

use crate::agora::outgoing::{Outgoing, Signer, Wire};
use crate::agora::received::Received;
use crate::agora::signature::Encoding;
use crate::probe::check::{Asker, CheckFinding, Demand, Grade};
use crate::probe::client::{Absence, Caller, Reaction};
use crate::probe::secrets::Secrets;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long Agora waits for an answer.
pub(super) const PATIENCE: Duration = Duration::from_millis(500);
/// How often Agora sends a request: once, and twice again.
const TRIES: usize = 3;
/// How long to wait before a request is sent again that was answered by 503.
const PAUSE: Duration = Duration::from_millis(200);
/// So many requests in a row without an answer end the probing.
const MOST_LOST: u32 = 3;
/// So much time spent on answers that came too late ends it as well: it is over in a minute, also
/// where every first answer is late.
const MOST_LATE: Duration = Duration::from_secs(30);

const IN_TIME: Demand = Demand {
    name: "in time",
    wanted: "each answer within 500 ms; Agora sends a request again at most twice",
    asker: Asker::Usage,
};
const AT_WORK: Demand = Demand {
    name: "at work",
    wanted: "an answer, not 503: Agora's pages do not say that it would ask again",
    asker: Asker::Reading,
};

/// A request with its answer.
#[derive(Clone, Debug)]
pub(super) struct Exchanged {
    /// What was sent, for people.
    pub(super) sent: String,
    pub(super) reaction: Reaction,
    /// The body, where it is a JSON object.
    pub(super) body: Option<Received>,
}

/// One request with the times that it was sent.
struct Attempts {
    outcome: Result<Reaction, Absence>,
    late: u32,
    busy: u32,
    waited: Duration,
}

pub(super) struct Session {
    pub(super) client: Arc<Caller>,
    pub(super) signer: Signer,
    pub(super) findings: Vec<CheckFinding>,
    /// What must not be shown.
    pub(super) secrets: Secrets,
    requests: u32,
    late: u32,
    first_late: Option<String>,
    busy: u32,
    first_busy: Option<String>,
    lost_in_a_row: u32,
    waited_late: Duration,
    /// Why nothing is sent any more.
    over: Option<String>,
}

impl Session {
    pub(super) fn new(client: Caller, signer: Signer) -> Self {
        let secrets = Secrets::of(&signer);
        Self {
            client: Arc::new(client),
            signer,
            findings: Vec::new(),
            secrets,
            requests: 0,
            late: 0,
            first_late: None,
            busy: 0,
            first_busy: None,
            lost_in_a_row: 0,
            waited_late: Duration::ZERO,
            over: None,
        }
    }

    /// Whether nothing is sent any more.
    pub(super) fn is_over(&self) -> bool {
        self.over.is_some()
    }

    /// Sends a request as Agora does, signed rightly.
    pub(super) async fn ask(&mut self, asked: &Outgoing) -> Result<Exchanged, Absence> {
        self.ask_encoded(asked, false).await
    }

    /// The same, with the signature of a body URL-encoded where `is_encoded`, as one of Agora's
    /// pages has it.
    pub(super) async fn ask_encoded(
        &mut self,
        asked: &Outgoing,
        is_encoded: bool,
    ) -> Result<Exchanged, Absence> {
        let wire = self.wire(asked, is_encoded);
        self.send(&asked.words(), &wire).await
    }

    fn wire(&self, asked: &Outgoing, is_encoded: bool) -> Wire {
        let signature = asked.signature(&self.signer, Encoding::Form);
        let signature = if is_encoded { Encoding::Form.encode(&signature) } else { signature };
        asked.wire(Some(&self.signer.api_key), Some(&signature))
    }

    /// Sends a request as it is, and again where no answer comes in time. `sent` says it to people.
    pub(super) async fn send(&mut self, sent: &str, wire: &Wire) -> Result<Exchanged, Absence> {
        if let Some(reason) = &self.over {
            return Err(Absence::NotAsked(reason.clone()));
        }
        let attempts = attempts(&self.client, wire).await;
        self.note(sent, attempts)
    }

    /// Sends a request twice at the same moment.
    pub(super) async fn race(
        &mut self,
        asked: &Outgoing,
        is_encoded: bool,
    ) -> (Result<Exchanged, Absence>, Result<Exchanged, Absence>) {
        if let Some(reason) = &self.over {
            let absence = Absence::NotAsked(reason.clone());
            return (Err(absence.clone()), Err(absence));
        }
        let (wire, sent) = (self.wire(asked, is_encoded), asked.words());
        let (one, other) =
            tokio::join!(attempts(&self.client, &wire), attempts(&self.client, &wire));
        (self.note(&sent, one), self.note(&sent, other))
    }

    fn note(&mut self, sent: &str, attempts: Attempts) -> Result<Exchanged, Absence> {
        let Attempts { outcome, late, busy, waited } = attempts;
        self.requests += 1;
        if late > 0 {
            self.late += 1;
            self.first_late.get_or_insert_with(|| sent.to_owned());
            self.waited_late += waited;
        }
        if busy > 0 {
            self.busy += 1;
            self.first_busy.get_or_insert_with(|| sent.to_owned());
        }
        self.lost_in_a_row = match outcome {
            // Hanging up is a quick answer of a kind.
            Ok(_) | Err(Absence::Broken(_)) => 0,
            Err(Absence::Late | Absence::NoWay(_) | Absence::NotAsked(_)) => self.lost_in_a_row + 1,
        };
        if self.lost_in_a_row == MOST_LOST {
            self.over = Some(format!("not asked: {MOST_LOST} requests in a row had no answer"));
        } else if self.waited_late > MOST_LATE {
            self.over = Some("not asked: too many answers came too late".to_owned());
        }
        outcome.map(|reaction| {
            let body = Received::read(&reaction.body);
            Exchanged { sent: sent.to_owned(), reaction, body }
        })
    }

    /// Adds a finding.
    pub(super) fn add(&mut self, finding: CheckFinding) {
        self.findings.push(finding);
    }

    /// Adds that a check could not be made.
    pub(super) fn skip(&mut self, demand: &Demand, of: &str, sent: &str, absence: &Absence) {
        self.add(demand.found(of, Grade::Skip, sent, &absence.to_string()));
    }

    /// What is found of all requests together.
    pub(super) fn judge_times(&mut self) {
        let requests = self.requests;
        let all = format!("all {requests} requests");
        if requests == 0 {
            return self.add(IN_TIME.found("", Grade::Skip, "", "nothing was asked"));
        }
        let of = |count: u32| format!("{count} of {requests} requests");
        let finding = match &self.first_late {
            None => IN_TIME.found("", Grade::Pass, &all, "each answered within 500 ms"),
            Some(first) => {
                let got = format!("no answer within 500 ms to {}, this one first", of(self.late));
                IN_TIME.found("", Grade::Fail, first, &got)
            }
        };
        self.add(finding);
        if let Some(first) = &self.first_busy {
            let got = format!("503 to {}, this one first", of(self.busy));
            self.add(AT_WORK.found("", Grade::Warn, first, &got));
        }
    }
}

/// Sends a request up to three times, until an answer comes in time.
async fn attempts(client: &Caller, wire: &Wire) -> Attempts {
    let began = Instant::now();
    let mut attempts =
        Attempts { outcome: Err(Absence::Late), late: 0, busy: 0, waited: Duration::ZERO };
    for number in 1..=TRIES {
        attempts.outcome = client.send(wire, PATIENCE).await;
        match &attempts.outcome {
            Err(Absence::Late) => attempts.late += 1,
            Ok(reaction) if reaction.status == 503 && reaction.has_retry_after => {
                attempts.busy += 1;
                if number < TRIES {
                    sleep(PAUSE).await;
                }
            }
            Ok(_) | Err(Absence::NoWay(_) | Absence::Broken(_) | Absence::NotAsked(_)) => break,
        }
    }
    attempts.waited = began.elapsed();
    attempts
}
