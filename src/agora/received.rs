//! An answer as a client reads it: whatever a vendor's server sent, taken apart without trusting
//! it, in either of Agora's two printed forms. Numbers stay the text that they are.

use crate::agora::reply::Envelope;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;

/// A value of an answer, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// The content of a string.
    Text(String),
    /// The text of a number.
    Number(String),
    /// `true` or `false`.
    Truth(bool),
    /// `null`.
    Null,
    /// The text of an array or an object.
    Nested(String),
}

impl Scalar {
    fn read(raw: &str) -> Self {
        match raw.as_bytes().first() {
            // A lone surrogate is text in JSON, and none here: it is shown as it was written.
            Some(b'"') => Self::Text(serde_json::from_str(raw).unwrap_or_else(|_| raw.to_owned())),
            Some(b'{' | b'[') => Self::Nested(raw.to_owned()),
            Some(b'n') => Self::Null,
            Some(b't' | b'f') => Self::Truth(raw == "true"),
            Some(_) | None => Self::Number(raw.to_owned()),
        }
    }

    /// The content of a string; `None` of anything else.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(_) | Self::Truth(_) | Self::Null | Self::Nested(_) => None,
        }
    }

    /// The text of a number; `None` of anything else.
    pub fn number(&self) -> Option<&str> {
        match self {
            Self::Number(digits) => Some(digits),
            Self::Text(_) | Self::Truth(_) | Self::Null | Self::Nested(_) => None,
        }
    }
}

/// Shows a value as JSON does.
impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{}", serde_json::Value::from(text.as_str())),
            Self::Number(text) | Self::Nested(text) => f.write_str(text),
            Self::Truth(truth) => write!(f, "{truth}"),
            Self::Null => f.write_str("null"),
        }
    }
}

/// The members of an object.
pub type Scalars = BTreeMap<String, Scalar>;

/// A body taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The outermost members.
    top: Scalars,
    /// The members of the object `data`, where there is one.
    data: Option<Scalars>,
}

impl Received {
    /// Reads a body; `None` where it is not one JSON object.
    pub fn read(body: &[u8]) -> Option<Self> {
        let top = members(std::str::from_utf8(body).ok()?)?;
        let data = match top.get("data") {
            Some(Scalar::Nested(raw)) => members(raw),
            Some(_) | None => None,
        };
        Some(Self { top, data })
    }

    /// A member beside `status`, or `status` itself.
    pub fn top(&self, name: &str) -> Option<&Scalar> {
        self.top.get(name)
    }

    /// Which form it has: the nested one where there is an object `data`.
    pub fn envelope(&self) -> Envelope {
        if self.data.is_some() { Envelope::Nested } else { Envelope::Flat }
    }

    /// A member where the form has it: in the object `data`, or else beside `status`.
    pub fn member(&self, name: &str) -> Option<&Scalar> {
        self.data.as_ref().unwrap_or(&self.top).get(name)
    }

    /// The entries of a listing, each with its members; `None` where there is no array of objects.
    pub fn entries(&self) -> Option<Vec<Scalars>> {
        let Some(Scalar::Nested(raw)) = self.member("data") else { return None };
        let items: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
        items.into_iter().map(|item| members(item.get())).collect()
    }

    /// Whether `status` says that all is well; `None` where there is none.
    pub fn is_success(&self) -> Option<bool> {
        let is_good = |word: &str| word == "0" || word == "success";
        self.top.get("status").map(|status| match status {
            Scalar::Number(word) | Scalar::Text(word) => is_good(word),
            Scalar::Truth(truth) => *truth,
            Scalar::Null | Scalar::Nested(_) => false,
        })
    }

    /// Whether it gives anything away: entries, a license, or the keys of a project.
    pub fn tells(&self) -> bool {
        // What is wrong with a request may be an array of the same name.
        let is_usage =
            |entry: &Scalars| entry.contains_key("projectId") || entry.contains_key("amount");
        let has_entries = self.entries().is_some_and(|entries| entries.iter().any(is_usage));
        let mut names = ["residueCount", "expireDate", "appKey", "appSecret"].into_iter();
        has_entries || names.any(|name| self.member(name).is_some_and(|m| *m != Scalar::Null))
    }
}

/// The members of a JSON object; of a name given twice, the last.
fn members(text: &str) -> Option<Scalars> {
    let raw: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    Some(raw.into_iter().map(|(name, value)| (name, Scalar::read(value.get()))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agora::reply::Listing;
    use crate::billing::statement::ListingKind;
    use proptest::prelude::*;

    #[test]
    fn both_forms_are_read_alike_and_numbers_stay_text() {
        let fields = r#""totalSize":2,"pageNum":1,"hasNext":false,
            "data":[{"projectId":"p","amount":12345678901234567890.10}]"#;
        for (envelope, body) in [
            (Envelope::Nested, format!(r#"{{"status":0,"statusReason":"","data":{{{fields}}}}}"#)),
            (Envelope::Flat, format!(r#"{{"status":0,"statusReason":"",{fields}}}"#)),
        ] {
            let read = Received::read(body.as_bytes()).expect("an answer");
            assert_eq!((read.envelope(), read.is_success()), (envelope, Some(true)));
            assert_eq!(read.member("hasNext"), Some(&Scalar::Truth(false)));
            let entries = read.entries().expect("entries");
            assert_eq!(entries[0]["amount"].number(), Some("12345678901234567890.10"));
            assert_eq!(entries[0]["projectId"].text(), Some("p"));
        }
    }

    #[test]
    fn what_the_server_makes_is_read() {
        use crate::agora::request::PageSelection;
        let mut listing = Listing::new(ListingKind::Bill, 3);
        let amount = "0.5".parse().expect("an amount");
        listing.push(&"p".parse().expect("an id"), &amount, "words");
        for envelope in [Envelope::Nested, Envelope::Flat] {
            let page = PageSelection { page_num: 1, limit: 100 };
            let reply = listing.page(page, envelope);
            let read = Received::read(&reply.body).expect("an answer");
            assert_eq!(read.member("totalSize").and_then(Scalar::number), Some("3"));
            assert_eq!(read.entries().map(|entries| entries.len()), Some(1));
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_not_and_shown_as_json(
            body in "[\\[\\]{}:,\"data0-9.e\\\\ ]{0,60}",
        ) {
            if let Some(read) = Received::read(body.as_bytes()) {
                let (_, _) = (read.entries(), read.tells());
                for value in read.top.values() {
                    let shown = value.to_string();
                    prop_assert!(serde_json::from_str::<&RawValue>(&shown).is_ok(), "{}", shown);
                }
            }
        }
    }

    #[test]
    fn a_body_of_anything_else_is_no_answer_and_breaks_nothing() {
        for body in ["", "[]", "1", "{", "{\"data\":NaN}", "\u{0}", "null"] {
            assert_eq!(Received::read(body.as_bytes()), None, "{body}");
        }
        let read = Received::read(br#"{"status":400,"data":{"data":[1]}}"#).expect("an object");
        assert_eq!((read.entries(), read.is_success()), (None, Some(false)));
        for (body, tells) in [
            ("{}", false),
            (r#"{"status":401,"data":{"totalSize":0,"data":[]}}"#, false),
            (r#"{"status":401,"data":[{"projectId":"p"}]}"#, true),
            (r#"{"status":400,"data":[{"field":"fromTs","message":"is missing"}]}"#, false),
            (r#"{"data":{"appKey":"k"}}"#, true),
        ] {
            assert_eq!(Received::read(body.as_bytes()).map(|r| r.tells()), Some(tells), "{body}");
        }
    }
}
