//! What was asked for, as it is kept under an operation's id and with a license: a JSON object of
//! the operation's content, which no word of the command line is part of. What is not given has no
//! key.

use crate::billing::amount::Amount;
use crate::billing::license::{Act, Extension, KeptOperation, NewLicense, Operation};
use crate::store::license::words_of_before::words_of_before;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// The grant of a license that is unlimited whatever its type grants.
const UNLIMITED: &str = "unlimited";

/// An operation's content. Amounts are decimals in canonical form; times are Unix seconds.
#[derive(Serialize, Deserialize, PartialEq, Eq)]
#[serde(
    tag = "operation",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
enum Content {
    Issue {
        #[serde(skip_serializing_if = "Option::is_none")]
        license_id: Option<String>,
        customer_id: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        r#type: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        platforms: Option<String>,
        /// An amount, or `unlimited`; without it, what the type grants.
        #[serde(skip_serializing_if = "Option::is_none")]
        granted: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        starts_at_s: Option<i64>,
        expires_at_s: i64,
    },
    ExtendTo {
        license_id: String,
        expires_at_s: i64,
    },
    ExtendBy {
        license_id: String,
        days: u32,
    },
    Adjust {
        license_id: String,
        amount: String,
        reason: String,
    },
    Consume {
        customer_id: String,
        amount: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    Revoke {
        license_id: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    Reinstate {
        license_id: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

/// An operation as it is kept.
pub(super) fn content(operation: &Operation) -> String {
    serde_json::to_string(&Content::of(operation)).expect("texts and numbers are JSON")
}

/// Tells whether what is kept is this operation. `is_unlimited` tells whether it issued a license
/// that is unlimited: the words of before did not always say so.
pub(super) fn agrees(kept: &str, operation: &Operation, is_unlimited: bool) -> bool {
    if let Ok(kept) = serde_json::from_str::<Content>(kept) {
        return kept == Content::of(operation);
    }
    if words_of_before(operation) == kept {
        return true;
    }
    match operation {
        Operation::Issue(new) if new.unlimited && is_unlimited => {
            let unworded = NewLicense { unlimited: false, ..new.clone() };
            words_of_before(&Operation::Issue(unworded)) == kept
        }
        Operation::Issue(_) | Operation::Change(..) | Operation::Consume { .. } => false,
    }
}

/// What is kept, as it is printed.
pub(super) fn asked(kept: String) -> KeptOperation {
    let content: Option<Content> = serde_json::from_str(&kept).ok();
    content
        .and_then(Content::into_operation)
        .map_or(KeptOperation::Words(kept), KeptOperation::Operation)
}

impl Content {
    fn of(operation: &Operation) -> Self {
        let text = |value: &dyn ToString| value.to_string();
        match operation {
            Operation::Issue(new) => {
                // Without a type there is nothing else to grant.
                let is_unlimited = new.unlimited || new.kind.is_none();
                let unlimited = is_unlimited.then(|| UNLIMITED.to_owned());
                Self::Issue {
                    license_id: new.id.as_ref().map(ToString::to_string),
                    customer_id: text(&new.customer_id),
                    r#type: new.kind.as_ref().map(ToString::to_string),
                    platforms: new.platforms.as_ref().map(ToString::to_string),
                    granted: new.granted.as_ref().map(ToString::to_string).or(unlimited),
                    starts_at_s: new.starts_at_s,
                    expires_at_s: new.expires_at_s,
                }
            }
            Operation::Consume { customer_id, amount, reason } => Self::Consume {
                customer_id: text(customer_id),
                amount: text(amount),
                reason: reason.as_ref().map(ToString::to_string),
            },
            Operation::Change(id, act) => {
                let license_id = text(id);
                match act {
                    Act::Extend(Extension::To(expires_at_s)) => {
                        Self::ExtendTo { license_id, expires_at_s: *expires_at_s }
                    }
                    Act::Extend(Extension::Days(days)) => {
                        Self::ExtendBy { license_id, days: *days }
                    }
                    Act::Adjust { by, reason } => {
                        Self::Adjust { license_id, amount: text(by), reason: text(reason) }
                    }
                    Act::Revoke { reason } => {
                        let reason = reason.as_ref().map(ToString::to_string);
                        Self::Revoke { license_id, reason }
                    }
                    Act::Reinstate { reason } => {
                        let reason = reason.as_ref().map(ToString::to_string);
                        Self::Reinstate { license_id, reason }
                    }
                }
            }
        }
    }

    /// The operation; `None` where a value is none that this program writes.
    fn into_operation(self) -> Option<Operation> {
        Some(match self {
            Self::Issue {
                license_id,
                customer_id,
                r#type,
                platforms,
                granted,
                starts_at_s,
                expires_at_s,
            } => {
                let unlimited = granted.as_deref() == Some(UNLIMITED);
                Operation::Issue(NewLicense {
                    id: parse_given(license_id)?,
                    customer_id: customer_id.parse().ok()?,
                    kind: parse_given(r#type)?,
                    platforms: parse_given(platforms)?,
                    starts_at_s,
                    expires_at_s,
                    granted: parse_given(granted.filter(|_| !unlimited))?,
                    unlimited,
                })
            }
            Self::Consume { customer_id, amount, reason } => Operation::Consume {
                customer_id: customer_id.parse().ok()?,
                amount: amount.parse().ok()?,
                reason: parse_given(reason)?,
            },
            Self::ExtendTo { license_id, expires_at_s } => {
                change(&license_id, Act::Extend(Extension::To(expires_at_s)))?
            }
            Self::ExtendBy { license_id, days } => {
                change(&license_id, Act::Extend(Extension::Days(days)))?
            }
            Self::Adjust { license_id, amount, reason } => {
                let by = match amount.strip_prefix('-') {
                    Some(amount) => -&amount.parse::<Amount>().ok()?,
                    None => amount.parse().ok()?,
                };
                change(&license_id, Act::Adjust { by, reason: reason.parse().ok()? })?
            }
            Self::Revoke { license_id, reason } => {
                change(&license_id, Act::Revoke { reason: parse_given(reason)? })?
            }
            Self::Reinstate { license_id, reason } => {
                change(&license_id, Act::Reinstate { reason: parse_given(reason)? })?
            }
        })
    }
}

fn change(license_id: &str, act: Act) -> Option<Operation> {
    Some(Operation::Change(license_id.parse().ok()?, act))
}

/// Parses a value where one is given.
fn parse_given<T: FromStr>(text: Option<String>) -> Option<Option<T>> {
    text.map(|text| text.parse()).transpose().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::id::Words;
    use crate::billing::period::DAY_S;

    fn amount(text: &str) -> Amount {
        text.parse().expect("an amount")
    }

    fn license(kind: Option<&str>, unlimited: bool) -> NewLicense {
        NewLicense {
            id: "l".parse().ok(),
            customer_id: "c".parse().expect("an id"),
            kind: kind.map(|kind| kind.parse().expect("a type")),
            platforms: None,
            starts_at_s: None,
            expires_at_s: DAY_S - 1,
            granted: None,
            unlimited,
        }
    }

    #[test]
    fn an_operations_content_is_this_since_it_is_kept() {
        let words = |text: &str| text.parse::<Words>().expect("words");
        let whole = NewLicense {
            platforms: "ios,android".parse().ok(),
            starts_at_s: Some(5),
            granted: Some(amount("1.50")),
            ..license(Some("T --starts \"x\\"), false)
        };
        let change = |act| Operation::Change("l".parse().expect("an id"), act);
        let consume = |reason| Operation::Consume {
            customer_id: "c".parse().expect("an id"),
            amount: amount("2"),
            reason,
        };
        for (operation, kept) in [
            (
                Operation::Issue(whole),
                concat!(
                    r#"{"operation":"issue","licenseId":"l","customerId":"c","#,
                    r#""type":"T --starts \"x\\","platforms":"android|ios","granted":"1.5","#,
                    r#""startsAtS":5,"expiresAtS":86399}"#
                ),
            ),
            (
                Operation::Issue(NewLicense { id: None, ..license(Some("T"), false) }),
                r#"{"operation":"issue","customerId":"c","type":"T","expiresAtS":86399}"#,
            ),
            (
                Operation::Issue(license(None, true)),
                concat!(
                    r#"{"operation":"issue","licenseId":"l","customerId":"c","#,
                    r#""granted":"unlimited","expiresAtS":86399}"#
                ),
            ),
            (
                change(Act::Extend(Extension::To(2 * DAY_S - 1))),
                r#"{"operation":"extendTo","licenseId":"l","expiresAtS":172799}"#,
            ),
            (
                change(Act::Extend(Extension::Days(30))),
                r#"{"operation":"extendBy","licenseId":"l","days":30}"#,
            ),
            (
                change(Act::Adjust { by: -&amount("2.0"), reason: words("é \"q\"") }),
                r#"{"operation":"adjust","licenseId":"l","amount":"-2","reason":"é \"q\""}"#,
            ),
            (consume(None), r#"{"operation":"consume","customerId":"c","amount":"2"}"#),
            (
                consume(Some(words("a b"))),
                r#"{"operation":"consume","customerId":"c","amount":"2","reason":"a b"}"#,
            ),
            (
                change(Act::Revoke { reason: Some(words("fraud")) }),
                r#"{"operation":"revoke","licenseId":"l","reason":"fraud"}"#,
            ),
            (
                change(Act::Reinstate { reason: None }),
                r#"{"operation":"reinstate","licenseId":"l"}"#,
            ),
        ] {
            assert_eq!(content(&operation), kept);
            assert!(agrees(kept, &operation, false));
            assert_eq!(asked(kept.to_owned()), KeptOperation::Operation(operation));
        }
    }

    #[test]
    fn without_a_type_a_license_is_unlimited_whether_or_not_that_is_said() {
        let [said, unsaid] =
            [true, false].map(|unlimited| Operation::Issue(license(None, unlimited)));
        assert_eq!(content(&said), content(&unsaid));
        let [said, unsaid] =
            [true, false].map(|unlimited| Operation::Issue(license(Some("T"), unlimited)));
        assert!(!agrees(&content(&said), &unsaid, true) && !agrees(&content(&unsaid), &said, true));
    }

    #[test]
    fn what_is_kept_in_the_words_of_before_is_compared_in_them() {
        let operation = |unlimited| Operation::Issue(license(Some("pro"), unlimited));
        let before = words_of_before(&operation(false));
        assert!(
            agrees(&before, &operation(true), true) && agrees(&before, &operation(false), true)
        );
        // Where the type granted so many, another license is asked for.
        assert!(!agrees(&before, &operation(true), false));
        assert!(agrees(&before, &operation(false), false));
        assert!(!agrees(&words_of_before(&operation(true)), &operation(false), true));
        assert_eq!(asked(before.clone()), KeptOperation::Words(before));
    }
}
