//! Laws of what Agora sends: a query, a body, and what is signed.

use crate::agora::provisioning::{NewCustomer, activation, project_id};
use crate::agora::request::{Body, ListingRequest, MAX_PARAMETERS, MAX_VALUE_BYTES, Query};
use crate::agora::signature::{Encoding, Fields, Key, SIGNATURE, sign, source_string, verify};
use crate::billing::key::ApiSecret;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Checks that no name comes twice, and that there are no more parameters than may be.
fn check_names(fields: &Fields) {
    let names: BTreeSet<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.len() == fields.len() && fields.len() <= MAX_PARAMETERS, "{fields:?}");
}

/// A query is read as others read it, and what was read of it is read again when it is written.
pub fn query(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Ok(query) = Query::parse(text) else { return };
    let encode = |text: &str| Encoding::Rfc3986.encode(text);
    for (place, fields) in query.readings().enumerate() {
        check_names(fields);
        let pair = |(name, value): &(String, String)| format!("{}={}", encode(name), encode(value));
        let pairs: Vec<String> = fields.iter().map(pair).collect();
        if pairs.iter().all(|pair| pair.len() <= MAX_VALUE_BYTES) {
            let again = Query::parse(&pairs.join("&")).expect("what was read is written well");
            let readings: Vec<&Fields> = again.readings().collect();
            assert_eq!(readings, [fields], "{pairs:?}");
        }
        let others = form_urlencoded::parse(text.as_bytes());
        let is_alike = |((name, value), (_, other)): (&(String, String), (_, _))| {
            let other: std::borrow::Cow<'_, str> = other;
            name == SIGNATURE || place == 1 || *value == other
        };
        assert!(fields.iter().zip(others).all(is_alike), "{fields:?}");
        if let Ok(ListingRequest { period, page }) = ListingRequest::from_fields(fields) {
            assert!(period.first_s() <= period.last_s());
            assert!(page.page_num >= 1 && (1..=1000).contains(&page.limit), "{page:?}");
        }
    }
}

/// A body is read as others read it, and means the same where its numbers are written as texts.
pub fn body(bytes: &[u8]) {
    let Ok(body) = Body::parse(bytes) else { return };
    let fields = body.fields();
    check_names(fields);
    // A number that is too large for others is none of theirs.
    if let Ok(others) = serde_json::from_slice::<serde_json::Map<String, Value>>(bytes) {
        assert_eq!(others.len(), fields.len());
        for (name, value) in fields {
            match &others[name] {
                Value::String(text) => assert_eq!(text, value),
                Value::Number(_) => {
                    assert!(value.starts_with(|c: char| c == '-' || c.is_ascii_digit()), "{value}");
                }
                other @ (Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
                    assert_eq!(&other.to_string(), value);
                }
            }
        }
    }
    let text = |text: &str| serde_json::to_string(text).expect("a text has a JSON form");
    let members: Vec<String> =
        fields.iter().map(|(name, value)| format!("{}:{}", text(name), text(value))).collect();
    if members.iter().all(|member| member.len() <= MAX_VALUE_BYTES) {
        let again = format!("{{{}}}", members.join(","));
        let again = Body::parse(again.as_bytes()).expect("what was read is written well");
        assert_eq!(again.fields(), fields);
        let signed = |body: &Body| body.signature().map(std::borrow::Cow::into_owned);
        assert_eq!(signed(&again), signed(&body));
    }
    if let Ok(new) = NewCustomer::read(&body) {
        assert_eq!(new.customer_id.as_str().parse(), Ok(new.customer_id));
    }
    if let Ok(id) = project_id(&body)
        && let Ok(new) = activation(&body, "c".parse().expect("an id"))
    {
        assert!(!id.as_str().is_empty() && new.starts_at_s <= Some(new.expires_at_s));
    }
}

/// What is signed does not depend on the order of the parameters, and on all else of them: the
/// first line is the path, and each further one a pair.
pub fn source(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let mut lines = text.split('\n');
    let path = lines.next().unwrap_or_default();
    let pairs: BTreeMap<&str, &str> = lines.filter_map(|line| line.split_once('=')).collect();
    let ordered: Fields = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let secret: ApiSecret = "secret".parse().expect("a secret");
    let key = Key::from(&secret);
    for encoding in Encoding::ALL {
        let wanted = source_string("GET", path, &ordered, encoding);
        let parts: Vec<&str> = wanted.split('&').collect();
        assert!(matches!(parts[..], ["GET", _, _]), "{wanted}");
        let decoded = parts[2].replace('+', "%20");
        let decoded = percent_encoding::percent_decode_str(&decoded).decode_utf8();
        let joined: Vec<String> = ordered
            .iter()
            .filter(|(name, _)| name != SIGNATURE)
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(decoded.expect("UTF-8"), joined.join("&"));
        let signature = sign(&secret, &wanted);
        let mut turned = ordered.clone();
        turned.reverse();
        for _ in 0..ordered.len().clamp(1, 8) {
            assert_eq!(source_string("GET", path, &turned, encoding), wanted);
            assert!(verify(&key, "GET", path, &turned, &signature));
            turned.rotate_left(ordered.len().min(1));
        }
        for changed in 0..ordered.len().min(8) {
            let mut other = ordered.clone();
            other[changed].1.push('x');
            let is_signed = other[changed].0 != SIGNATURE;
            assert_ne!(verify(&key, "GET", path, &other, &signature), is_signed, "{other:?}");
        }
        assert!(!verify(&key, "PUT", path, &ordered, &signature));
    }
}
