//! What Agora asks: a query or a body taken apart, and the parameters of a usage or bill request.

use crate::agora::signature::{API_KEY, Fields, SIGNATURE};
use crate::billing::period::{Grain, Period};
use percent_encoding::percent_decode_str;
use serde::de::{self, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

/// The most entries on one page; a larger `limit` is served as this.
pub const MAX_LIMIT: usize = 1000;
/// Entries on a page where no `limit` is given.
pub const DEFAULT_LIMIT: usize = 100;
/// The highest `pageNum`.
pub const MAX_PAGE_NUM: u32 = 2_147_483_647;

/// The longest request line and headers together.
pub const MAX_HEAD_BYTES: usize = 16 << 10;
/// The longest method, target and version together.
pub const MAX_REQUEST_LINE_BYTES: usize = 8 << 10;
/// The largest body: many times what Agora's calls hold, and little enough for hundreds at a time.
pub const MAX_BODY_BYTES: usize = 16 << 10;
/// The most parameters in a query or a body: nothing that is not signed yet costs more than these.
pub const MAX_PARAMETERS: usize = 64;
/// The longest name of a parameter, in characters.
pub const MAX_NAME_CHARACTERS: usize = 128;
/// The longest value of a parameter, in bytes.
pub const MAX_VALUE_BYTES: usize = 2 << 10;
/// The most header fields.
pub const MAX_FIELDS: usize = 100;
/// How long a request may take to arrive, in seconds.
pub const MAX_ARRIVAL_S: u64 = 10;

/// What is wrong with a request's parameters. Prints as the sentence that Agora is sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Two `&` in a row, or one at the start or the end.
    #[error("the query holds an empty parameter: join name=value pairs by single &")]
    EmptyPair,
    /// A parameter without `=`, or without a name.
    #[error("the query parameter {} is not of the form name=value", quoted(.0))]
    NotAPair(String),
    /// A `%` that no two hexadecimal digits follow.
    #[error("the parameter {} holds a broken escape: write % and two hexadecimal \
        digits", quoted(.0))]
    BrokenEscape(String),
    /// Bytes that are no UTF-8 once decoded.
    #[error("the parameter {} is not UTF-8 once decoded", quoted(.0))]
    NotUtf8(String),
    /// More parameters than any call has.
    #[error("there are more than {MAX_PARAMETERS} parameters: send fewer")]
    TooMany,
    /// A name longer than any call's.
    #[error(
        "the parameter {} has a name of more than {MAX_NAME_CHARACTERS} characters",
        quoted(.0)
    )]
    LongName(String),
    /// A value longer than any call needs.
    #[error("the parameter {} is longer than {MAX_VALUE_BYTES} bytes", quoted(.0))]
    LongValue(String),
    /// The same name a second time.
    #[error("the parameter {} is given more than once: give it once", quoted(.0))]
    Repeated(String),
    /// A parameter that is needed and not there.
    #[error("the parameter {name} is missing: {rule}")]
    Missing {
        /// Its name.
        name: &'static str,
        /// What the value must be.
        rule: &'static str,
    },
    /// A parameter whose value is not of the kind that the call needs.
    #[error("the parameter {name} is {}: {rule}", quoted(.value))]
    Bad {
        /// Its name.
        name: &'static str,
        /// The value as given.
        value: String,
        /// What the value must be.
        rule: &'static str,
    },
    /// A window that ends before it starts.
    #[error(
        "the parameter fromTs is {from_ts}, later than toTs, which is {to_ts}: fromTs must be the \
         window's first second"
    )]
    EmptyWindow {
        /// Its first second as given.
        from_ts: i64,
        /// Its last second as given.
        to_ts: i64,
    },
    /// A body of nothing.
    #[error("the body is empty: send a JSON object")]
    EmptyBody,
    /// A body of something else.
    #[error("the body is not a JSON object: it must begin with {{ and end with }}")]
    NotAnObject,
    /// Broken JSON.
    #[error("the body is broken JSON at line {line}, column {column}: send a JSON object")]
    BrokenJson {
        /// The line, from 1.
        line: usize,
        /// The column, in bytes.
        column: usize,
    },
    /// A text whose escapes say nothing.
    #[error("the parameter {} is a text with a broken escape", quoted(.0))]
    BrokenText(String),
    /// An object or an array in the place of a plain value.
    #[error("the parameter {} holds an object or an array: it must be a plain value", quoted(.0))]
    Nested(String),
}

/// Shows a value from outside in a sentence: quoted, escaped, and cut to 40 characters.
pub fn quoted(value: &str) -> String {
    match value.char_indices().nth(40) {
        Some((cut, _)) => format!("{:?}…", &value[..cut]),
        None => format!("{value:?}"),
    }
}

/// A query taken apart into the ways it can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The parameters with a bare `+` in a value read as a space.
    spaced: Fields,
    /// The parameters with a bare `+` kept; `None` where there is none.
    plain: Option<Fields>,
}

impl Query {
    /// Takes a query string (without `?`) apart.
    ///
    /// # Errors
    /// A pair without name or `=`, a broken escape, bytes that are no UTF-8, a name given twice.
    pub fn parse(query: &str) -> Result<Self, Error> {
        let mut spaced = Fields::new();
        let mut names = HashSet::new();
        // A second reading from the first value on that can be read in two ways.
        let mut plain: Option<Fields> = None;
        for pair in query.split('&').filter(|_| !query.is_empty()) {
            if spaced.len() == MAX_PARAMETERS {
                return Err(Error::TooMany);
            }
            let (raw_name, raw_value) = match pair.split_once('=') {
                Some(("", _)) => return Err(Error::NotAPair(pair.to_owned())),
                Some(parts) => parts,
                None if pair.is_empty() => return Err(Error::EmptyPair),
                None => return Err(Error::NotAPair(pair.to_owned())),
            };
            let name = decode(raw_name, raw_name)?;
            check_lengths(&name, raw_value)?;
            if !names.insert(name.clone()) {
                return Err(Error::Repeated(name));
            }
            let kept = decode(raw_value, &name)?;
            // A signature is Base64: there a bare + can only be itself.
            if name != SIGNATURE && raw_value.contains('+') {
                let read = decode(&raw_value.replace('+', "%20"), &name)?;
                plain.get_or_insert_with(|| spaced.clone()).push((name.clone(), kept));
                spaced.push((name, read));
                continue;
            }
            if let Some(plain) = &mut plain {
                plain.push((name.clone(), kept.clone()));
            }
            spaced.push((name, kept));
        }
        Ok(Self { spaced, plain })
    }

    /// The ways to read the parameters, the likelier first.
    pub fn readings(&self) -> impl Iterator<Item = &Fields> {
        std::iter::once(&self.spaced).chain(&self.plain)
    }

    /// The value of the public key parameter, if there is one.
    pub fn api_key(&self) -> Option<&str> {
        field(&self.spaced, API_KEY)
    }

    /// The plain Base64 of the signature, if there is one.
    pub fn signature(&self) -> Option<&str> {
        field(&self.spaced, SIGNATURE)
    }
}

/// Checks that neither the name of a parameter nor its value is longer than any call's.
fn check_lengths(name: &str, value: &str) -> Result<(), Error> {
    if name.chars().nth(MAX_NAME_CHARACTERS).is_some() {
        return Err(Error::LongName(name.to_owned()));
    }
    if value.len() > MAX_VALUE_BYTES {
        return Err(Error::LongValue(name.to_owned()));
    }
    Ok(())
}

/// Decodes the escapes of a text that stands in a parameter called `name`.
fn decode(text: &str, name: &str) -> Result<String, Error> {
    let mut rest = text;
    while let Some((_, escape)) = rest.split_once('%') {
        let digits = escape.as_bytes().get(..2);
        if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            return Err(Error::BrokenEscape(name.to_owned()));
        }
        rest = &escape[2..];
    }
    match percent_decode_str(text).decode_utf8() {
        Ok(decoded) => Ok(decoded.into_owned()),
        Err(_) => Err(Error::NotUtf8(name.to_owned())),
    }
}

/// Decodes an id that stands as one segment in a path.
///
/// # Errors
/// A broken escape or bytes that are no UTF-8.
pub fn decode_segment(segment: &str, name: &str) -> Result<String, Error> {
    decode(segment, name)
}

/// The value of a parameter.
pub fn field<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

/// What a usage or bill request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListingRequest {
    /// The window, both ends inside.
    pub period: Period,
    /// The page, from 1.
    pub page: PageSelection,
}

/// Which entries of a listing are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSelection {
    /// From 1 to [`MAX_PAGE_NUM`].
    pub page_num: u32,
    /// Entries per page, from 1 to [`MAX_LIMIT`].
    pub limit: usize,
}

impl PageSelection {
    /// The places, from 0, of its entries in a listing of `len` entries; empty past the end.
    pub fn places(self, len: usize) -> Range<usize> {
        let before = usize::try_from(self.page_num - 1).unwrap_or(usize::MAX);
        let start = before.saturating_mul(self.limit).min(len);
        start..start.saturating_add(self.limit).min(len)
    }
}

impl ListingRequest {
    /// Reads the parameters of a usage or bill request.
    ///
    /// # Errors
    /// The first parameter, in the order `fromTs`, `toTs`, `pageNum`, `limit`, that is missing or
    /// not as wanted.
    pub fn from_fields(fields: &Fields) -> Result<Self, Error> {
        let from_ts = timestamp(fields, "fromTs")?;
        let to_ts = timestamp(fields, "toTs")?;
        let page_num = page_num(fields)?;
        let limit = limit(fields)?;
        let last_s = last_second(from_ts, to_ts);
        let period = Period::new(from_ts, last_s).ok_or(Error::EmptyWindow { from_ts, to_ts })?;
        Ok(Self { period, page: PageSelection { page_num, limit } })
    }
}

/// The last second of a window. A `toTs` on a whole hour is the first second of the next window, as
/// in Agora's own example (00:00:00 to 01:00:00); in a window of one second it is that second.
fn last_second(from_ts: i64, to_ts: i64) -> i64 {
    if to_ts > from_ts && Grain::Hour.floor(to_ts) == to_ts { to_ts - 1 } else { to_ts }
}

fn digits_only(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit())
}

fn timestamp(fields: &Fields, name: &'static str) -> Result<i64, Error> {
    let rule = "it must be a Unix time in seconds with 10 digits";
    let value = field(fields, name).ok_or(Error::Missing { name, rule })?;
    let bad = || Error::Bad { name, value: value.to_owned(), rule };
    if value.len() == 10 && digits_only(value) {
        value.parse().map_err(|_| bad())
    } else {
        Err(bad())
    }
}

fn page_num(fields: &Fields) -> Result<u32, Error> {
    let (name, rule) = ("pageNum", "it must be a page number from 1 to 2147483647");
    let value = field(fields, name).ok_or(Error::Missing { name, rule })?;
    let number = Some(value).filter(|v| digits_only(v)).and_then(|v| v.parse().ok());
    match number {
        Some(number) if (1..=MAX_PAGE_NUM).contains(&number) => Ok(number),
        _ => Err(Error::Bad { name, value: value.to_owned(), rule }),
    }
}

fn limit(fields: &Fields) -> Result<usize, Error> {
    let Some(value) = field(fields, "limit") else {
        return Ok(DEFAULT_LIMIT);
    };
    let significant = value.trim_start_matches('0');
    if !digits_only(value) || significant.is_empty() {
        let rule = "it must be a whole number, at least 1 (above 1000 it counts as 1000)";
        return Err(Error::Bad { name: "limit", value: value.to_owned(), rule });
    }
    // A number too long for the type is above the bound as well.
    Ok(significant.parse().map_or(MAX_LIMIT, |number: usize| number.min(MAX_LIMIT)))
}

/// A JSON body taken apart: its fields as they are signed, a string as its content, a number,
/// `true`, `false` and `null` as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    fields: Fields,
    /// Of each field, what kind of value it is.
    kinds: Vec<ValueKind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ValueKind {
    Text,
    Number,
    Truth,
    Null,
}

impl Body {
    /// Takes a body apart.
    ///
    /// # Errors
    /// Broken JSON, anything but one object, a value that is not plain, a name given twice.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        match body.iter().find(|b| !b.is_ascii_whitespace()) {
            None => return Err(Error::EmptyBody),
            Some(b'{') => {}
            Some(_) => return Err(Error::NotAnObject),
        }
        let broken = |error: serde_json::Error| Error::BrokenJson {
            line: error.line(),
            column: error.column(),
        };
        let Pairs(pairs) = serde_json::from_slice(body).map_err(broken)?;
        if pairs.len() > MAX_PARAMETERS {
            return Err(Error::TooMany);
        }
        let mut body = Self { fields: Fields::new(), kinds: Vec::new() };
        let mut names = HashSet::new();
        for (name, value) in pairs {
            check_lengths(&name, value.get())?;
            if !names.insert(name.clone()) {
                return Err(Error::Repeated(name));
            }
            let raw = value.get();
            let (kind, value) = match raw.as_bytes().first() {
                Some(b'"') => (
                    ValueKind::Text,
                    serde_json::from_str(raw).map_err(|_| Error::BrokenText(name.clone()))?,
                ),
                Some(b'{' | b'[') => return Err(Error::Nested(name)),
                Some(b't' | b'f') => (ValueKind::Truth, raw.to_owned()),
                Some(b'n') => (ValueKind::Null, raw.to_owned()),
                _ => (ValueKind::Number, raw.to_owned()),
            };
            body.fields.push((name, value));
            body.kinds.push(kind);
        }
        Ok(body)
    }

    /// The fields as they are signed.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The plain Base64 of the signature, if there is one; it may have been sent URL-encoded.
    pub fn signature(&self) -> Option<Cow<'_, str>> {
        let given = field(&self.fields, SIGNATURE)?;
        // Base64 has no %: what holds one was encoded, or is no signature at all.
        Some(if given.contains('%') {
            percent_decode_str(given).decode_utf8_lossy()
        } else {
            given.into()
        })
    }

    /// The text of a field, or the digits of a number; `None` where it is missing, null or empty.
    ///
    /// # Errors
    /// [`Error::Bad`] where it is `true` or `false`.
    pub fn optional(&self, name: &'static str, rule: &'static str) -> Result<Option<&str>, Error> {
        let Some(place) = self.fields.iter().position(|(n, _)| n == name) else {
            return Ok(None);
        };
        let value = self.fields[place].1.as_str();
        match self.kinds[place] {
            ValueKind::Null => Ok(None),
            ValueKind::Truth => Err(Error::Bad { name, value: value.to_owned(), rule }),
            ValueKind::Text | ValueKind::Number => {
                Ok(Some(value).filter(|value| !value.is_empty()))
            }
        }
    }

    /// The same of a field that must be there.
    ///
    /// # Errors
    /// [`Error::Missing`] where there is none, or it is null or empty; [`Error::Bad`].
    pub fn required(&self, name: &'static str, rule: &'static str) -> Result<&str, Error> {
        self.optional(name, rule)?.ok_or(Error::Missing { name, rule })
    }
}

/// The names and values of a JSON object in their order, of too many the first ones; the values as
/// raw text, since a number read as one would lose digits, and with them the signature.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de> de::Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Pairs<'de>, M::Error> {
        let mut pairs = Vec::new();
        while pairs.len() <= MAX_PARAMETERS
            && let Some(pair) = map.next_entry()?
        {
            pairs.push(pair);
        }
        // The rest has to be JSON, and no more.
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Pairs(pairs))
    }
}

/// A URL taken apart as a signature needs it, nothing normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Url<'a> {
    /// Scheme and authority, e.g. `http://127.0.0.1:8080`; empty where the URL is only path and
    /// query.
    pub origin: &'a str,
    /// What stands between host and `?`.
    pub path: &'a str,
    /// What stands behind `?`; empty where there is none.
    pub query: &'a str,
}

impl<'a> Url<'a> {
    /// Takes a URL apart; `None` where it has no path.
    pub fn split(url: &'a str) -> Option<Self> {
        let url = url.split_once('#').map_or(url, |(before, _)| before);
        let origin_len = match url.find("://") {
            Some(scheme) => scheme + 3 + url[scheme + 3..].find(['/', '?'])?,
            None => 0,
        };
        let (origin, target) = url.split_at(origin_len);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        path.starts_with('/').then_some(Self { origin, path, query })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_query_is_decoded_and_a_bare_plus_is_read_both_ways() {
        let query = Query::parse("a=x+y&b=%2B&signature=a+b%3D").expect("a query");
        let readings: Vec<&Fields> = query.readings().collect();
        assert_eq!(readings[0], &fields(&[("a", "x y"), ("b", "+"), ("signature", "a+b=")]));
        assert_eq!(readings[1], &fields(&[("a", "x+y"), ("b", "+"), ("signature", "a+b=")]));
        assert_eq!(Query::parse("a=%2B&signature=a+b").expect("a query").readings().count(), 1);
    }

    #[test]
    fn a_broken_query_is_refused_with_the_parameters_name() {
        for (query, error) in [
            ("a=1&&b=2", Error::EmptyPair),
            ("a=1&", Error::EmptyPair),
            ("a", Error::NotAPair("a".into())),
            ("=1", Error::NotAPair("=1".into())),
            ("a=%4", Error::BrokenEscape("a".into())),
            ("a=%zz", Error::BrokenEscape("a".into())),
            ("a=%4é", Error::BrokenEscape("a".into())),
            ("a=%", Error::BrokenEscape("a".into())),
            ("a=%FF", Error::NotUtf8("a".into())),
            ("a=1&%61=2", Error::Repeated("a".into())),
        ] {
            assert_eq!(Query::parse(query), Err(error), "{query}");
        }
        assert_eq!(Query::parse("").expect("empty").readings().next(), Some(&Fields::new()));
    }

    #[test]
    fn a_bodys_values_are_taken_as_written() {
        let body = concat!(
            r#"{"projectId":430892,"n":12345678901234567890.1234567890,"#,
            r#""e":1E2,"s":"a\u00e9\"","t":true,"z":null}"#
        )
        .as_bytes();
        assert_eq!(
            Body::parse(body).map(|body| body.fields),
            Ok(fields(&[
                ("projectId", "430892"),
                ("n", "12345678901234567890.1234567890"),
                ("e", "1E2"),
                ("s", "aé\""),
                ("t", "true"),
                ("z", "null"),
            ]))
        );
    }

    #[test]
    fn a_field_is_there_missing_or_not_a_text() {
        let body = Body::parse(
            br#"{"text":"a","number":12,"null":null,"nothing":"","truth":true,"word":"null"}"#,
        );
        let body = body.expect("a body");
        let value = |name| body.optional(name, "it must be a text");
        assert_eq!(value("text"), Ok(Some("a")));
        assert_eq!(value("number"), Ok(Some("12")));
        assert_eq!(value("word"), Ok(Some("null")));
        for name in ["null", "nothing", "other"] {
            assert_eq!(value(name), Ok(None), "{name}");
            assert!(matches!(body.required(name, ""), Err(Error::Missing { .. })), "{name}");
        }
        assert!(matches!(value("truth"), Err(Error::Bad { .. })));
    }

    #[test]
    fn a_bodys_signature_may_be_url_encoded() {
        for given in ["a+b/c=", "a%2Bb%2fc%3D"] {
            let body =
                Body::parse(format!(r#"{{"signature":"{given}"}}"#).as_bytes()).expect("a body");
            assert_eq!(body.signature().as_deref(), Some("a+b/c="));
        }
    }

    #[test]
    fn a_body_that_is_not_one_plain_object_is_refused() {
        let broken = |line, column| Error::BrokenJson { line, column };
        for (body, error) in [
            ("", Error::EmptyBody),
            (" \n", Error::EmptyBody),
            ("[]", Error::NotAnObject),
            ("1", Error::NotAnObject),
            ("{", broken(1, 1)),
            (r#"{"a":1}x"#, broken(1, 8)),
            ("{\"a\":\n\"\u{1}\"}", broken(2, 1)),
            (r#"{"a":{}}"#, Error::Nested("a".into())),
            (r#"{"a":[1]}"#, Error::Nested("a".into())),
            (r#"{"a":1,"\u0061":1}"#, Error::Repeated("a".into())),
            (r#"{"a":"\ud800"}"#, Error::BrokenText("a".into())),
        ] {
            assert_eq!(Body::parse(body.as_bytes()), Err(error), "{body}");
        }
    }

    #[test]
    fn parameters_that_are_not_as_wanted_are_named() {
        let good = [("fromTs", "1619913600"), ("toTs", "1619917200"), ("pageNum", "1")];
        for (name, value) in [
            ("fromTs", ""),
            ("fromTs", "161991360"),
            ("fromTs", "16199136000"),
            ("toTs", "-619917200"),
            ("toTs", "16199x7200"),
            ("toTs", "１６１９９１"),
            ("pageNum", "0"),
            ("pageNum", "2147483648"),
            ("pageNum", "1.0"),
            ("limit", "0"),
            ("limit", "000"),
            ("limit", "-1"),
            ("limit", ""),
        ] {
            let mut given = fields(&good);
            given.retain(|(n, _)| n != name);
            if name != "limit" {
                assert!(matches!(
                    ListingRequest::from_fields(&given),
                    Err(Error::Missing { name: n, .. }) if n == name
                ));
            }
            given.push((name.to_owned(), value.to_owned()));
            let sentence = ListingRequest::from_fields(&given).expect_err(value).to_string();
            assert!(sentence.contains(name) && sentence.contains("must"), "{sentence}");
        }
        let backwards =
            fields(&[("fromTs", "1619917200"), ("toTs", "1619913600"), ("pageNum", "1")]);
        assert!(matches!(ListingRequest::from_fields(&backwards), Err(Error::EmptyWindow { .. })));
    }

    #[test]
    fn a_window_to_a_whole_hour_ends_with_the_second_before_it() {
        const HOUR: i64 = 1_619_917_200;
        for (from_ts, to_ts, last_s) in [
            (HOUR - 3_600, HOUR, HOUR - 1),
            (HOUR - 1, HOUR, HOUR - 1),
            (HOUR, HOUR, HOUR),
            (HOUR, HOUR + 1, HOUR + 1),
            (HOUR - 3_600, HOUR - 1, HOUR - 1),
            (HOUR, HOUR + 1_800, HOUR + 1_800),
        ] {
            let (from, to) = (from_ts.to_string(), to_ts.to_string());
            let given = fields(&[("fromTs", &from), ("toTs", &to), ("pageNum", "1")]);
            let asked = ListingRequest::from_fields(&given).expect("a request");
            let read = (asked.period.first_s(), asked.period.last_s());
            assert_eq!(read, (from_ts, last_s), "{from} to {to}");
        }
    }

    #[test]
    fn a_limit_above_the_bound_is_served_as_the_bound() {
        for (given, served) in [
            ("1", 1),
            ("007", 7),
            ("1000", 1000),
            ("1001", 1000),
            ("99999999999999999999999", 1000),
        ] {
            assert_eq!(limit(&fields(&[("limit", given)])), Ok(served), "{given}");
        }
        assert_eq!(limit(&Fields::new()), Ok(DEFAULT_LIMIT));
    }

    #[test]
    fn a_url_is_taken_apart_untouched() {
        let split = |url| Url::split(url).map(|u| (u.origin, u.path, u.query));
        assert_eq!(
            split("https://h:1//a/../b?c=%20#d"),
            Some(("https://h:1", "//a/../b", "c=%20"))
        );
        assert_eq!(split("/usage"), Some(("", "/usage", "")));
        assert_eq!(split("https://h"), None);
        assert_eq!(split("https://h?a=/"), None);
        assert_eq!(split("usage"), None);
    }

    proptest! {
        #[test]
        fn pages_join_to_the_whole_listing(len in 0_usize..5000, limit in 1_usize..=MAX_LIMIT) {
            let mut next = 0;
            for page_num in 1.. {
                let places = PageSelection { page_num, limit }.places(len);
                prop_assert_eq!(places.start, next.min(len));
                next = places.end;
                prop_assert!(places.len() == limit || places.end == len);
                if places.is_empty() { break }
            }
            prop_assert_eq!(next, len);
            let last = PageSelection { page_num: MAX_PAGE_NUM, limit };
            prop_assert!(last.places(len).is_empty());
        }
    }
}
