//! What Agora asks to be provisioned: the fields of the bodies, read once the signature is known to
//! be right.
//!
//! Source: the page "Provision your extension" of the Agora Extensions Marketplace, and the page
//! about configuring licenses, which exists in Chinese alone.

use crate::agora::request::{Body, Error};
use crate::billing::id::{self, CustomerId, LicenseType, PlanId, ProjectId, Words};
use crate::billing::license::{NewLicense, Platforms};
use crate::billing::period::Period;
use std::str::FromStr;

/// The longest contact that is taken, in bytes. Agora's page says 32, which names and addresses
/// outgrow.
const MAX_CONTACT_BYTES: usize = 255;

const AN_ID: &str = "it must be 1 to 64 bytes of printable ASCII without spaces";

/// An account as Agora announces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCustomer {
    /// The customer.
    pub customer_id: CustomerId,
    /// The plan that was chosen.
    pub plan_id: PlanId,
    /// Contact, where given.
    pub name: Option<Words>,
    /// Contact, where given.
    pub email: Option<Words>,
    /// Contact, where given.
    pub phone: Option<Words>,
}

impl NewCustomer {
    /// Reads the fields of a `POST /customers/new`.
    ///
    /// # Errors
    /// The first field that is missing or not as rule.
    pub fn read(body: &Body) -> Result<Self, Error> {
        Ok(Self {
            customer_id: required(body, "customerId", AN_ID)?,
            plan_id: required(body, "planId", "it must be 1 to 16 characters")?,
            name: contact(body, "customerName")?,
            email: contact(body, "customerEmail")?,
            phone: contact(body, "customerPhone")?,
        })
    }
}

/// Reads the field of a `POST /customers/{customerId}/projects/new`: a number or a text.
///
/// # Errors
/// When it is missing or no id.
pub fn project_id(body: &Body) -> Result<ProjectId, Error> {
    required(body, "projectId", AN_ID)
}

/// Reads the fields of a `PUT /license/customers/{customerId}/activate`.
///
/// # Errors
/// The first field that is missing or not as rule.
pub fn activation(body: &Body, customer_id: CustomerId) -> Result<NewLicense, Error> {
    let platforms: Platforms =
        required(body, "platform", "it must hold names such as android|ios")?;
    let WindowText(period) = required(
        body,
        "expire",
        "it must be a window in Unix seconds, such as 1735689600-1767225599",
    )?;
    let kind: Option<LicenseType> = optional(body, "type", "it must be 1 to 32 characters")?;
    Ok(NewLicense {
        id: None,
        customer_id,
        kind,
        platforms: Some(platforms),
        starts_at_s: Some(period.first_s()),
        expires_at_s: period.last_s(),
        granted: None,
        unlimited: false,
    })
}

/// A window as `<start>-<end>`, in Unix seconds.
struct WindowText(Period);

impl FromStr for WindowText {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (first, last) = text.split_once('-').ok_or(())?;
        let second = |digits: &str| {
            let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            digits.parse().ok().filter(|_: &i64| is_number)
        };
        let period = second(first)
            .zip(second(last))
            .and_then(|(first_s, last_s)| Period::new(first_s, last_s));
        period.map(Self).ok_or(())
    }
}

/// Reads an id that stands as one segment in a path.
///
/// # Errors
/// When it is no id.
pub fn path_id<T: FromStr>(text: &str, name: &'static str) -> Result<T, Error> {
    text.parse().map_err(|_| bad(name, text, AN_ID))
}

fn optional<T: FromStr>(
    body: &Body,
    name: &'static str,
    rule: &'static str,
) -> Result<Option<T>, Error> {
    let value = body.optional(name, rule)?.map(str::trim).filter(|value| !value.is_empty());
    value.map(|value| value.parse().map_err(|_| bad(name, value, rule))).transpose()
}

fn required<T: FromStr>(body: &Body, name: &'static str, rule: &'static str) -> Result<T, Error> {
    optional(body, name, rule)?.ok_or(Error::Missing { name, rule })
}

fn bad(name: &'static str, value: &str, rule: &'static str) -> Error {
    Error::Bad { name, value: value.to_owned(), rule }
}

/// A user must not be kept from activating the extension by what stands in a name: what would
/// mislead where it is shown, such as a line break or a change of direction, is taken as a space.
fn contact(body: &Body, name: &'static str) -> Result<Option<Words>, Error> {
    let rule = "it must be at most 255 bytes";
    let Some(value) = body.optional(name, rule)? else {
        return Ok(None);
    };
    if value.len() > MAX_CONTACT_BYTES {
        return Err(bad(name, value, rule));
    }
    let shown = value.replace(id::misleads, " ");
    Some(shown.trim())
        .filter(|shown| !shown.is_empty())
        .map(str::parse)
        .transpose()
        .map_err(|_| bad(name, value, rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> Body {
        Body::parse(text.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn an_account_is_read_with_what_is_told_of_it() {
        let read = NewCustomer::read(&body(concat!(
            r#"{"planId":"gold","customerId":123456,"#,
            r#""customerName":" Ann ","customerEmail":"","customerPhone":null}"#
        )));
        let read = read.expect("an account");
        assert_eq!((read.customer_id.as_str(), read.plan_id.as_str()), ("123456", "gold"));
        assert_eq!(read.name.as_ref().map(Words::as_str), Some("Ann"));
        assert_eq!((read.email, read.phone), (None, None));
    }

    #[test]
    fn what_is_missing_or_too_long_is_named() {
        let long = |bytes: usize| "x".repeat(bytes);
        for (fields, name) in [
            (r#""planId":"p""#.to_owned(), "customerId"),
            (r#""customerId":"c""#.to_owned(), "planId"),
            (r#""customerId":"c","planId":"""#.to_owned(), "planId"),
            (r#""customerId":null,"planId":"p""#.to_owned(), "customerId"),
            (r#""customerId":true,"planId":"p""#.to_owned(), "customerId"),
            (r#""customerId":"a b","planId":"p""#.to_owned(), "customerId"),
            (format!(r#""customerId":"{}","planId":"p""#, long(65)), "customerId"),
            (format!(r#""customerId":"c","planId":"{}""#, long(17)), "planId"),
            (
                format!(r#""customerId":"c","planId":"p","customerName":"{}""#, long(256)),
                "customerName",
            ),
            (
                format!(r#""customerId":"c","planId":"p","customerEmail":"{}""#, "é".repeat(128)),
                "customerEmail",
            ),
        ] {
            let sentence =
                NewCustomer::read(&body(&format!("{{{fields}}}"))).expect_err(&fields).to_string();
            assert!(sentence.contains(name) && sentence.contains("must"), "{sentence}");
        }
        let fits = format!(r#"{{"customerId":"c","planId":"p","customerName":"{}"}}"#, long(255));
        assert!(NewCustomer::read(&body(&fits)).is_ok());
    }

    #[test]
    fn what_would_mislead_in_a_contact_is_taken_as_a_space() {
        let read = NewCustomer::read(&body(concat!(
            r#"{"planId":" gold ","customerId":"c","#,
            r#""customerName":"A\tB","customerEmail":"\u2067a\u2069","customerPhone":"\n"}"#
        )));
        let read = read.expect("an account");
        assert_eq!(read.plan_id.as_str(), "gold");
        assert_eq!(
            (read.name.as_ref().map(Words::as_str), read.email.as_ref().map(Words::as_str)),
            (Some("A B"), Some("a"))
        );
        assert_eq!(read.phone, None);
    }

    #[test]
    fn a_project_id_is_a_number_or_a_text() {
        for text in [r#"{"projectId":430892}"#, r#"{"projectId":"430892"}"#] {
            assert_eq!(project_id(&body(text)).map(|id| id.to_string()), Ok("430892".into()));
        }
        assert!(project_id(&body(r#"{"projectId":""}"#)).is_err());
    }

    #[test]
    fn an_activation_has_its_window_to_the_second() {
        let read = |text: &str| activation(&body(text), "c".parse().expect("an id"));
        let new =
            read(r#"{"platform":"ios|android","expire":"1735689600-1767225599","type":"pro"}"#);
        let new = new.expect("an activation");
        assert_eq!((new.starts_at_s, new.expires_at_s), (Some(1_735_689_600), 1_767_225_599));
        assert_eq!(
            new.platforms.map(|platforms| platforms.to_string()),
            Some("android|ios".into())
        );
        assert_eq!(new.kind.map(|kind| kind.to_string()), Some("pro".into()));
        for (text, name) in [
            (r#"{"expire":"1-2"}"#, "platform"),
            (r#"{"platform":"ios"}"#, "expire"),
            (r#"{"platform":"ios","expire":"2-1"}"#, "expire"),
            (r#"{"platform":"ios","expire":"1735689600"}"#, "expire"),
            (r#"{"platform":"ios","expire":"-1-2"}"#, "expire"),
            (r#"{"platform":"ios","expire":"+1-2"}"#, "expire"),
            (r#"{"platform":"ios","expire":"1-99999999999999"}"#, "expire"),
            (r#"{"platform":"ios|","expire":"1-2"}"#, "platform"),
        ] {
            let sentence = read(text).expect_err(text).to_string();
            assert!(sentence.contains(name), "{sentence}");
        }
        let long = format!(r#"{{"platform":"ios","expire":"1-2","type":"{}"}}"#, "x".repeat(33));
        assert!(read(&long).expect_err("too long").to_string().contains("type"));
    }
}
