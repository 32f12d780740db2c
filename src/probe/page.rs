//! One page of a usage or a bill: what its answer must hold. What is wrong is noted by demand, over
//! all pages of a kind.

use crate::agora::received::{Received, Scalar, Scalars};
use crate::agora::reply::Envelope;
use crate::probe::check::{Asker, CheckFinding, Demand, Grade, Worst};
use crate::probe::decimal;
use crate::probe::session::Exchanged;
use std::collections::BTreeMap;

pub(super) const ANSWER: Demand = Demand {
    name: "answer",
    wanted: "HTTP 200 and a JSON object whose status is the number 0",
    asker: Asker::Usage,
};
const WITHOUT_LIMIT: Demand = Demand {
    name: "without limit",
    wanted: "an answer without limit as well as with it: Agora may leave it out",
    asker: Asker::Usage,
};
const CONTENT_TYPE: Demand =
    Demand { name: "content type", wanted: "Content-Type: application/json", asker: Asker::Usage };
const ENVELOPE: Demand = Demand {
    name: "envelope",
    wanted: "totalSize, pageNum, hasNext and data in an object data (nested, as in Agora's \
             example), or beside status (flat, as in its table), always the same",
    asker: Asker::Usage,
};
const FIELDS: Demand = Demand {
    name: "fields",
    wanted: "statusReason, totalSize (a number), hasNext (true or false) and the array data, \
             whose entries have projectId, amount and description",
    asker: Asker::Usage,
};
const PAGE_NUM: Demand = Demand {
    name: "pageNum",
    wanted: "pageNum as the number that was asked for",
    asker: Asker::Usage,
};
const AMOUNT: Demand = Demand {
    name: "amount",
    wanted: "each amount a JSON number with its exact decimal digits",
    asker: Asker::Usage,
};
const ZERO: Demand =
    Demand { name: "zero entries", wanted: "no entry whose amount is zero", asker: Asker::Usage };
const IDS: Demand = Demand {
    name: "project ids",
    wanted: "each projectId a string that is not empty",
    asker: Asker::Usage,
};
/// What is looked at on every page, and whether entries are needed for it.
const DEMANDS: [(&Demand, bool); 9] = [
    (&ANSWER, false),
    (&WITHOUT_LIMIT, false),
    (&CONTENT_TYPE, false),
    (&ENVELOPE, false),
    (&FIELDS, false),
    (&PAGE_NUM, false),
    (&AMOUNT, true),
    (&ZERO, true),
    (&IDS, true),
];

/// A page that could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    /// Project ids and amounts, as they stand there.
    pub(super) entries: Vec<(String, String)>,
    pub(super) has_next: bool,
    pub(super) total_size: Option<u64>,
}

/// What is wrong with the pages of a kind.
#[derive(Default)]
pub(super) struct Faults {
    worst: BTreeMap<&'static str, Worst>,
    envelope: Option<Envelope>,
    pages: usize,
    entries: usize,
}

impl Faults {
    pub(super) fn note(&mut self, demand: &Demand, result: Grade, sent: &str, got: String) {
        self.worst.entry(demand.name).or_default().note(result, sent, got);
    }

    /// Looks at the answer to a page; `None` where no page can be read in it.
    pub(super) fn look(
        &mut self,
        (page_num, limit): (u32, Option<usize>),
        answer: &Exchanged,
    ) -> Option<Leaf> {
        self.pages += 1;
        let sent = answer.sent.as_str();
        // Where only one of both is answered, `limit` is the reason.
        let demand = if limit.is_some() { &ANSWER } else { &WITHOUT_LIMIT };
        let body = self.look_at_answer(demand, answer)?;
        if body.top("statusReason").and_then(Scalar::text).is_none() {
            self.note(&FIELDS, Grade::Warn, sent, "no statusReason that is a string".to_owned());
        }
        let total_size = body.member("totalSize").and_then(Scalar::number);
        let total_size = total_size.and_then(|digits| digits.parse().ok());
        if total_size.is_none() {
            self.miss(&FIELDS, sent, "totalSize", body);
        }
        self.look_at_page_num(page_num, sent, body);
        let has_next = match body.member("hasNext") {
            Some(Scalar::Truth(truth)) => *truth,
            Some(_) | None => {
                self.miss(&FIELDS, sent, "hasNext", body);
                false
            }
        };
        let Some(entries) = body.entries() else {
            self.miss(&FIELDS, sent, "data", body);
            return None;
        };
        // An error of a listing may have no page in it, so its form says nothing.
        let envelope = body.envelope();
        if *self.envelope.get_or_insert(envelope) != envelope {
            let got = format!("{} here, and the other form before", name_of(envelope));
            self.note(&ENVELOPE, Grade::Warn, sent, got);
        }
        self.entries += entries.len();
        let entries = entries.iter().map(|entry| self.look_at_entry(sent, entry)).collect();
        Some(Leaf { entries, has_next, total_size })
    }

    fn look_at_answer<'a>(
        &mut self,
        demand: &Demand,
        answer: &'a Exchanged,
    ) -> Option<&'a Received> {
        let sent = answer.sent.as_str();
        if !answer.is_2xx() {
            self.note(demand, Grade::Fail, sent, answer.got());
            return None;
        }
        if answer.reaction.status != 200 {
            self.note(demand, Grade::Warn, sent, format!("HTTP {}", answer.reaction.status));
        }
        if let Err(got) = answer.is_json() {
            self.note(&CONTENT_TYPE, Grade::Fail, sent, got);
        }
        let Some(body) = &answer.body else {
            self.note(demand, Grade::Fail, sent, answer.got());
            return None;
        };
        let status = body.top("status");
        if status.and_then(Scalar::number) != Some("0") {
            self.note(demand, Grade::Fail, sent, shown("status", status));
        }
        Some(body)
    }

    fn look_at_page_num(&mut self, page_num: u32, sent: &str, body: &Received) {
        let given = body.member("pageNum");
        let number = page_num.to_string();
        if given.and_then(Scalar::number) == Some(&number) {
            return;
        }
        let is_same = given.and_then(Scalar::text) == Some(&number);
        let result = if is_same { Grade::Warn } else { Grade::Fail };
        self.note(&PAGE_NUM, result, sent, shown("pageNum", given));
    }

    fn look_at_entry(&mut self, sent: &str, entry: &Scalars) -> (String, String) {
        let id = match entry.get("projectId") {
            Some(Scalar::Text(text)) if !text.trim().is_empty() => text.clone(),
            Some(Scalar::Number(digits)) => {
                let got = format!("projectId is the number {digits}");
                self.note(&IDS, Grade::Warn, sent, got);
                digits.clone()
            }
            other => {
                self.note(&IDS, Grade::Fail, sent, shown("projectId", other));
                String::new()
            }
        };
        let amount = entry.get("amount");
        match amount {
            Some(Scalar::Number(digits)) => self.look_at_amount(sent, &id, digits),
            other => {
                let got = format!("{} for project {id}", shown("amount", other));
                self.note(&AMOUNT, Grade::Fail, sent, got);
            }
        }
        if entry.get("description").and_then(Scalar::text).is_none() {
            let got = format!("no description that is a string for project {id}");
            self.note(&FIELDS, Grade::Warn, sent, got);
        }
        (id, amount.map_or_else(String::new, ToString::to_string))
    }

    fn look_at_amount(&mut self, sent: &str, id: &str, digits: &str) {
        if decimal::is_zero(digits) {
            let got = format!("amount is {digits} for project {id}");
            return self.note(&ZERO, Grade::Fail, sent, got);
        }
        if let Some((is_fail, words)) = decimal::fault(digits) {
            let result = if is_fail { Grade::Fail } else { Grade::Warn };
            let got = format!("amount is {digits} for project {id}: {words}");
            self.note(&AMOUNT, result, sent, got);
        }
    }

    /// Notes that a field is not there, or not what it has to be.
    fn miss(&mut self, demand: &Demand, sent: &str, name: &str, body: &Received) {
        self.note(demand, Grade::Fail, sent, shown(name, body.member(name)));
    }

    pub(super) fn has_entries(&self) -> bool {
        self.entries > 0
    }

    /// What all pages together show.
    pub(super) fn findings(mut self, of: &str, sent: &str) -> Vec<CheckFinding> {
        let counted = format!("{} pages, {} entries", self.pages, self.entries);
        let is_failed = |demand: &Demand| self.worst.get(demand.name).is_some_and(Worst::is_failed);
        let neither = is_failed(&ANSWER) && is_failed(&WITHOUT_LIMIT);
        let mut findings = Vec::new();
        for (demand, needs_entries) in DEMANDS {
            let worst = self.worst.remove(demand.name).unwrap_or_default();
            let envelope = self.envelope.map(name_of);
            let is_answer = demand.name == ANSWER.name && self.pages > 0;
            let nothing = match (needs_entries, envelope) {
                _ if neither && demand.name == WITHOUT_LIMIT.name => Some("not with it either"),
                _ if worst.is_some() || is_answer => None,
                (_, None) => Some("no page could be read"),
                (true, Some(_)) if self.entries == 0 => {
                    Some("no entries in these windows: record usage first")
                }
                (_, Some(_)) => None,
            };
            if let Some(nothing) = nothing {
                findings.push(demand.found(of, Grade::Skip, sent, nothing));
                continue;
            }
            let is_envelope = demand.name == ENVELOPE.name;
            let good = envelope.filter(|_| is_envelope).unwrap_or(&counted);
            findings.push(worst.finding(demand, of, sent, good));
        }
        findings
    }
}

fn name_of(envelope: Envelope) -> &'static str {
    match envelope {
        Envelope::Nested => "nested",
        Envelope::Flat => "flat",
    }
}

/// A member of an answer, for people.
pub(super) fn shown(name: &str, value: Option<&Scalar>) -> String {
    match value {
        Some(value) => {
            let value: String = value.to_string().chars().take(60).collect();
            format!("{name} is {value}")
        }
        None => format!("no {name}"),
    }
}
