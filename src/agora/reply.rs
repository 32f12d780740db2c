//! Answers to Agora: the bodies, and the one place that knows HTTP statuses.

use crate::agora::request::{
    self, MAX_ARRIVAL_S, MAX_BODY_BYTES, MAX_FIELDS, MAX_HEAD_BYTES, MAX_REQUEST_LINE_BYTES,
    PageSelection,
};
use crate::billing::amount::Amount;
use crate::billing::id::ProjectId;
use crate::billing::key::AppKeys;
use crate::billing::statement::{self, Figure, ListingKind};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Which of Agora's two printed forms a usage, bill or license answer has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Envelope {
    /// The fields in an object `data`, as in Agora's example answers.
    #[default]
    Nested,
    /// The fields beside `status`, as in Agora's field tables.
    Flat,
}

/// Whose answer it is, which decides the form of its `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusForm {
    /// Usage and bill: `status` is a number, 0 or the HTTP status.
    Listing,
    /// All others: `status` is `success` or `failed`.
    Word,
}

/// A finished answer, not yet on a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Header fields beside those that every answer has.
    pub headers: Vec<(&'static str, &'static str)>,
    /// The JSON body.
    pub body: Vec<u8>,
}

/// Why a request is not answered as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No call has this path.
    UnknownPath,
    /// The path has other methods.
    WrongMethod {
        /// The methods it has, as in the header `Allow`.
        allow: &'static str,
    },
    /// The request did not arrive in time.
    Slow,
    /// Method, target and headers together, or the headers alone, are too long.
    HeadTooLong,
    /// The target is too long.
    TargetTooLong,
    /// The body is too large.
    BodyTooLarge,
    /// The request is not HTTP/1.1 as RFC 9112 has it.
    NotHttp {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A parameter is broken, repeated, missing or not as wanted.
    Parameter(request::Error),
    /// The signature is missing or not right; the answer is alike in all cases.
    Signature,
    /// The customer never had a license.
    NoLicense,
    /// The project belongs to another customer.
    OtherCustomer,
    /// The answer cannot be had in time.
    Busy,
    /// Too many answers wait to be kept.
    TooManyWaiting,
    /// Since page 1 another month's bill was kept, which may state some of the same.
    OtherBill,
    /// Since page 1 an answer of the window was kept that knew more.
    NewerAnswer,
    /// The snapshot that page 1 was cut from is gone.
    SnapshotGone,
    /// Our own fault.
    Fault {
        /// What the log's line about it starts with.
        reference: String,
    },
}

impl Refusal {
    /// Its HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::NotHttp { .. } | Self::Parameter(_) => 400,
            Self::Signature => 401,
            Self::UnknownPath | Self::NoLicense => 404,
            Self::WrongMethod { .. } => 405,
            Self::Slow => 408,
            Self::OtherCustomer => 409,
            Self::BodyTooLarge => 413,
            Self::TargetTooLong => 414,
            Self::HeadTooLong => 431,
            Self::Fault { .. } => 500,
            Self::Busy
            | Self::TooManyWaiting
            | Self::OtherBill
            | Self::NewerAnswer
            | Self::SnapshotGone => 503,
        }
    }

    fn headers(&self) -> Vec<(&'static str, &'static str)> {
        match self {
            Self::WrongMethod { allow } => vec![("allow", allow)],
            Self::Signature => vec![("www-authenticate", "Agora-HMAC-SHA1")],
            Self::Busy
            | Self::TooManyWaiting
            | Self::OtherBill
            | Self::NewerAnswer
            | Self::SnapshotGone => vec![("retry-after", "1")],
            Self::UnknownPath
            | Self::Slow
            | Self::HeadTooLong
            | Self::TargetTooLong
            | Self::BodyTooLarge
            | Self::NotHttp { .. }
            | Self::Parameter(_)
            | Self::NoLicense
            | Self::OtherCustomer
            | Self::Fault { .. } => Vec::new(),
        }
    }

    /// The sentence for the caller: what is wrong, and what to do.
    pub fn sentence(&self) -> String {
        match self {
            Self::UnknownPath => {
                "no call has this path: use /usage, /bill, /customers/{customerId}/license or the \
                 path of a \
                 provisioning call"
                    .into()
            }
            Self::WrongMethod { allow } => format!(
                "this path does not have that method: use \
                {allow}"
            ),
            Self::Slow => {
                format!(
                    "the request did not arrive within {MAX_ARRIVAL_S} seconds: send it at \
                    once"
                )
            }
            Self::HeadTooLong => format!(
                "the request's headers are too long: send at most {} KiB and {MAX_FIELDS} fields",
                MAX_HEAD_BYTES >> 10
            ),
            Self::TargetTooLong => format!(
                "the request's path and query are too long: send at most {} KiB",
                MAX_REQUEST_LINE_BYTES >> 10
            ),
            Self::BodyTooLarge => {
                format!(
                    "the request's body is too large: send at most {} KiB",
                    MAX_BODY_BYTES >> 10
                )
            }
            Self::NotHttp { problem } => format!(
                "the request is not well-formed HTTP/1.1: \
                {problem}"
            ),
            Self::Parameter(error) => error.to_string(),
            Self::Signature => {
                "the apiKey is unknown, or the signature is missing or wrong: sign the request \
                 with a valid \
                 key pair"
                    .into()
            }
            Self::NoLicense => "the customer never had a license".into(),
            Self::OtherCustomer => {
                "the project belongs to another customer: nothing was changed".into()
            }
            Self::Busy => "the answer cannot be had in time: try again".into(),
            Self::TooManyWaiting => {
                "too many answers wait to be written to the database: try again".into()
            }
            Self::OtherBill => {
                "another month's bill was told since page 1 of this one: ask for page 1 again"
                    .into()
            }
            Self::NewerAnswer => {
                "a newer answer was told of this window since page 1: ask for page 1 again".into()
            }
            Self::SnapshotGone => {
                "the snapshot that page 1 was cut from is gone: ask for page 1 again".into()
            }
            Self::Fault { reference } => format!(
                "internal error: the log tells more under \
                reference {reference}"
            ),
        }
    }

    /// The refusal as an answer.
    pub fn reply(&self, form: StatusForm) -> Reply {
        let status_reason = self.sentence();
        let body = match form {
            StatusForm::Listing => {
                to_json(&Status { status: self.status(), status_reason: &status_reason })
            }
            StatusForm::Word => {
                to_json(&Status { status: "failed", status_reason: &status_reason })
            }
        };
        Reply { status: self.status(), headers: self.headers(), body }
    }
}

impl From<request::Error> for Refusal {
    fn from(error: request::Error) -> Self {
        Self::Parameter(error)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a, S> {
    status: S,
    status_reason: &'a str,
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain structs of strings and numbers have a JSON form")
}

fn ok(body: Vec<u8>) -> Reply {
    Reply { status: 200, headers: Vec::new(), body }
}

/// Says that all is well, with nothing more to say.
pub fn success() -> Reply {
    ok(to_json(&Status { status: "success", status_reason: "" }))
}

/// Says that a project is created, and by what the vendor's backend knows its calls.
pub fn project(keys: &AppKeys) -> Reply {
    #[derive(Serialize)]
    struct CreatedProject<'a> {
        #[serde(flatten)]
        status: Status<'a, &'static str>,
        data: Keys<'a>,
    }

    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Keys<'a> {
        app_key: &'a str,
        app_secret: &'a str,
    }

    let status = Status { status: "success", status_reason: "" };
    ok(to_json(&CreatedProject {
        status,
        data: Keys { app_key: keys.app_key.as_str(), app_secret: keys.app_secret.reveal() },
    }))
}

/// What `statusReason` says of a listing that could be had.
fn success_reason(kind: ListingKind) -> &'static str {
    match kind {
        ListingKind::Usage => "Success getting usage data",
        ListingKind::Bill => "Success getting billing data",
    }
}

/// All entries that a window's pages are cut from, in the form in which they are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    kind: ListingKind,
    total_size: usize,
    /// The entries' JSON, each followed by a comma: a page is one slice.
    json: Vec<u8>,
    /// Where each entry's comma stands.
    commas: Vec<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EntryFields<'a> {
    project_id: &'a str,
    amount: &'a RawValue,
    description: &'a str,
}

/// An entry read back.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SentEntry<'a> {
    #[serde(borrow)]
    project_id: Cow<'a, str>,
    #[serde(borrow)]
    amount: &'a RawValue,
    #[serde(borrow)]
    description: Cow<'a, str>,
}

impl Listing {
    /// A listing without entries; `total_size` is the number of projects in which the extension is
    /// added.
    pub fn new(kind: ListingKind, total_size: usize) -> Self {
        Self { kind, total_size, json: Vec::new(), commas: Vec::new() }
    }

    /// The listing of entries in the order of their project ids; those without a figure are left
    /// out.
    pub fn of(kind: ListingKind, total_size: usize, entries: &[statement::StatementEntry]) -> Self {
        let mut listing = Self::new(kind, total_size);
        for statement::StatementEntry { project_id, figure, .. } in entries {
            if let Some(Figure { amount, description }) = figure {
                listing.push(project_id, amount, description);
            }
        }
        listing
    }

    /// Adds an entry. They are added in the order of their project ids, bytewise; the amount is not
    /// zero.
    pub fn push(&mut self, project_id: &ProjectId, amount: &Amount, description: &str) {
        // As raw JSON, since a number of serde_json's own would be a float.
        let digits = amount.to_string();
        let amount = serde_json::from_str(&digits).expect("a canonical decimal is a JSON number");
        let entry = EntryFields { project_id: project_id.as_str(), amount, description };
        serde_json::to_writer(&mut self.json, &entry).expect("writing into memory does not fail");
        self.commas.push(self.json.len());
        self.json.push(b',');
    }

    /// Which listing it is.
    pub fn kind(&self) -> ListingKind {
        self.kind
    }

    /// The number of projects in which the extension is added, as every page says it.
    pub fn total_size(&self) -> usize {
        self.total_size
    }

    /// What all pages say, read back out of what is sent.
    pub fn figures(&self) -> Vec<(ProjectId, Figure)> {
        let starts = std::iter::once(0).chain(self.commas.iter().map(|comma| comma + 1));
        let figures = starts.zip(&self.commas).map(|(start, comma)| {
            let entry: SentEntry<'_> =
                serde_json::from_slice(&self.json[start..*comma]).expect("it was written here");
            let project_id = entry.project_id.parse().expect("it was an id");
            let amount = Amount::from_canonical(entry.amount.get()).expect("it was an amount");
            (project_id, Figure { amount, description: entry.description.into_owned() })
        });
        figures.collect()
    }

    /// Tells whether a page is the one that ends the listing: the last that says anything.
    pub fn ends_with(&self, page: PageSelection) -> bool {
        let places = page.places(self.len());
        places.end == self.len() && (!places.is_empty() || page.page_num == 1)
    }

    /// The number of entries on all pages.
    pub fn len(&self) -> usize {
        self.commas.len()
    }

    /// Tells whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.commas.is_empty()
    }

    /// About how many bytes of memory it takes.
    pub fn size_bytes(&self) -> usize {
        self.json.capacity() + self.commas.capacity() * size_of::<usize>()
    }

    /// Gives back the memory that grew ahead of the entries.
    pub fn shrink(&mut self) {
        self.json.shrink_to_fit();
        self.commas.shrink_to_fit();
    }

    /// Cuts one page out of it.
    pub fn page(&self, page: PageSelection, envelope: Envelope) -> Reply {
        let places = page.places(self.len());
        let entries = if places.is_empty() {
            &[][..]
        } else {
            let start = places.start.checked_sub(1).map_or(0, |before| self.commas[before] + 1);
            &self.json[start..self.commas[places.end - 1]]
        };
        let head = format!(r#"{{"status":0,"statusReason":"{}","#, success_reason(self.kind));
        let has_next = places.end < self.len();
        let fields = format!(
            r#""totalSize":{},"pageNum":{},"hasNext":{has_next},"data":["#,
            self.total_size, page.page_num
        );
        let (open, close) = match envelope {
            Envelope::Nested => (r#""data":{"#, "]}}"),
            Envelope::Flat => ("", "]}"),
        };
        ok([head.as_bytes(), open.as_bytes(), fields.as_bytes(), entries, close.as_bytes()]
            .concat())
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LicenseFields<'a> {
    expire_date: &'a str,
    residue_count: &'a str,
}

/// Says until when a customer's license is good (`YYYY-MM-DD`) and what remains of it.
pub fn license(expire_date: &str, residue_count: &str, envelope: Envelope) -> Reply {
    #[derive(Serialize)]
    struct Nested<'a> {
        #[serde(flatten)]
        status: Status<'a, &'static str>,
        data: LicenseFields<'a>,
    }

    #[derive(Serialize)]
    struct Flat<'a> {
        #[serde(flatten)]
        status: Status<'a, &'static str>,
        #[serde(flatten)]
        data: LicenseFields<'a>,
    }

    let status = Status { status: "success", status_reason: "" };
    let data = LicenseFields { expire_date, residue_count };
    ok(match envelope {
        Envelope::Nested => to_json(&Nested { status, data }),
        Envelope::Flat => to_json(&Flat { status, data }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(reply: &Reply) -> &str {
        std::str::from_utf8(&reply.body).expect("UTF-8")
    }

    fn listing(amounts: &[&str]) -> Listing {
        let mut listing = Listing::new(ListingKind::Usage, 7);
        for (n, amount) in amounts.iter().enumerate() {
            let project_id = format!("p{n}").parse().expect("an id");
            listing.push(
                &project_id,
                &amount.parse().expect("an amount"),
                &format!("{amount} Minute × \"S\""),
            );
        }
        listing
    }

    #[test]
    fn the_nested_answer_is_agoras_example() {
        let mut listing = Listing::new(ListingKind::Usage, 2);
        let amount = "1.5".parse().expect("an amount");
        listing.push(&"430892".parse().expect("an id"), &amount, "1.5 Minute × Standard");
        assert_eq!(
            text(&listing.page(PageSelection { page_num: 1, limit: 100 }, Envelope::Nested)),
            concat!(
                r#"{"status":0,"statusReason":"Success getting usage data","#,
                r#""data":{"totalSize":2,"pageNum":1,"hasNext":false,"data":"#,
                r#"[{"projectId":"430892","amount":1.5,"description":"1.5 Minute × Standard"}]}}"#
            )
        );
        assert_eq!(
            text(&listing.page(PageSelection { page_num: 1, limit: 100 }, Envelope::Flat)),
            concat!(
                r#"{"status":0,"statusReason":"Success getting usage data","#,
                r#""totalSize":2,"pageNum":1,"hasNext":false,"data":"#,
                r#"[{"projectId":"430892","amount":1.5,"description":"1.5 Minute × Standard"}]}"#
            )
        );
    }

    #[test]
    fn pages_are_full_and_only_the_last_has_no_next() {
        let listing = listing(&["1", "2", "3", "4", "5"]);
        for (page_num, amounts, has_next) in
            [(1, "12", true), (2, "34", true), (3, "5", false), (4, "", false)]
        {
            let page: serde_json::Value = serde_json::from_slice(
                &listing.page(PageSelection { page_num, limit: 2 }, Envelope::Nested).body,
            )
            .expect("JSON");
            let entries = page["data"]["data"].as_array().expect("an array");
            let sent: String = entries.iter().map(|entry| entry["amount"].to_string()).collect();
            assert_eq!(
                (sent.as_str(), page["data"]["hasNext"].as_bool()),
                (amounts, Some(has_next))
            );
            assert_eq!(page["data"]["totalSize"], 7);
        }
    }

    #[test]
    fn what_is_sent_can_be_read_back() {
        let figures = listing(&["1.5", "12345678901234567890.123456789"]).figures();
        let said: Vec<_> = figures
            .iter()
            .map(|(id, figure)| {
                (id.as_str(), figure.amount.to_string(), figure.description.as_str())
            })
            .collect();
        let long = "12345678901234567890.123456789";
        let words = format!("{long} Minute × \"S\"");
        assert_eq!(
            said,
            [
                ("p0", "1.5".to_owned(), "1.5 Minute × \"S\""),
                ("p1", long.to_owned(), words.as_str())
            ]
        );
    }

    #[test]
    fn the_page_that_says_the_last_entry_ends_a_listing_and_one_past_it_does_not() {
        let ends = |amounts: &[&str], page_num, limit| {
            listing(amounts).ends_with(PageSelection { page_num, limit })
        };
        assert_eq!(
            [1, 2, 3, 4].map(|page_num| ends(&["1", "2", "3"], page_num, 2)),
            [false, true, false, false]
        );
        assert_eq!([1, 2].map(|page_num| ends(&["1", "2"], page_num, 2)), [true, false]);
        assert_eq!([1, 2].map(|page_num| ends(&[], page_num, 2)), [true, false]);
    }

    #[test]
    fn an_amount_is_a_json_number_with_every_digit() {
        let whole = "12345678901234567890.123456789";
        let page =
            listing(&[whole]).page(PageSelection { page_num: 1, limit: 1 }, Envelope::Nested);
        assert!(text(&page).contains(&format!(r#""amount":{whole},"#)));
    }

    #[test]
    fn serde_json_rounds_a_number_and_keeps_a_raw_value() {
        let whole = "12345678901234567890.123456789";
        let number: serde_json::Value = serde_json::from_str(whole).expect("JSON");
        assert_ne!(number.to_string(), whole);
        let raw: &RawValue = serde_json::from_str(whole).expect("JSON");
        assert_eq!(serde_json::to_string(raw).expect("JSON"), whole);
    }

    #[test]
    fn a_license_is_told_in_strings() {
        assert_eq!(
            text(&license("2025-10-01", "100", Envelope::Nested)),
            concat!(
                r#"{"status":"success","statusReason":"","#,
                r#""data":{"expireDate":"2025-10-01","residueCount":"100"}}"#
            )
        );
        assert_eq!(
            text(&license("2025-10-01", "100", Envelope::Flat)),
            concat!(
                r#"{"status":"success","statusReason":"","#,
                r#""expireDate":"2025-10-01","residueCount":"100"}"#
            )
        );
    }

    #[test]
    fn a_created_project_is_told_with_its_keys() {
        let keys = AppKeys {
            app_key: "k".parse().expect("a key"),
            app_secret: "s".parse().expect("a secret"),
        };
        assert_eq!(
            text(&project(&keys)),
            r#"{"status":"success","statusReason":"","data":{"appKey":"k","appSecret":"s"}}"#
        );
        assert_eq!(text(&success()), r#"{"status":"success","statusReason":""}"#);
    }

    #[test]
    fn a_refusal_has_its_status_in_the_form_of_its_call() {
        let refusal = Refusal::WrongMethod { allow: "GET" };
        assert_eq!(refusal.reply(StatusForm::Listing).headers, [("allow", "GET")]);
        assert!(
            text(&refusal.reply(StatusForm::Listing))
                .starts_with(r#"{"status":405,"statusReason":""#)
        );
        assert!(
            text(&refusal.reply(StatusForm::Word))
                .starts_with(r#"{"status":"failed","statusReason":""#)
        );
    }
}
