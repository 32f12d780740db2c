//! Operations in the words of the command line as it was: the form in which books of earlier
//! versions keep what was asked for. It never changes, whatever the command line becomes.

use crate::billing::id::Words;
use crate::billing::license::{Act, Extension, NewLicense, Operation};
use crate::billing::period::{self, Grain, Period};
use std::fmt;

/// An operation in those words.
pub(super) fn words_of_before(operation: &Operation) -> String {
    Before(operation).to_string()
}

struct Before<'o>(&'o Operation);

impl fmt::Display for Before<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let because = |f: &mut fmt::Formatter<'_>, reason: Option<&Words>| match reason {
            Some(reason) => write!(f, " --reason {}", Quoted(reason.as_str())),
            None => Ok(()),
        };
        match self.0 {
            Operation::Issue(new) => issue(f, new),
            Operation::Consume { customer_id, amount, reason } => {
                write!(f, "consume {customer_id} {amount}")?;
                because(f, reason.as_ref())
            }
            Operation::Change(id, act) => match act {
                Act::Extend(Extension::To(expires_at_s)) => {
                    write!(f, "extend {id} --to {}", Second(*expires_at_s))
                }
                Act::Extend(Extension::Days(days)) => write!(f, "extend {id} --days {days}"),
                Act::Adjust { by, reason } => {
                    write!(f, "adjust {id} {by}")?;
                    because(f, Some(reason))
                }
                Act::Revoke { reason } => {
                    write!(f, "revoke {id}")?;
                    because(f, reason.as_ref())
                }
                Act::Reinstate { reason } => {
                    write!(f, "reinstate {id}")?;
                    because(f, reason.as_ref())
                }
            },
        }
    }
}

fn issue(f: &mut fmt::Formatter<'_>, new: &NewLicense) -> fmt::Result {
    write!(f, "issue {} --expires {}", new.customer_id, Second(new.expires_at_s))?;
    if let Some(count) = &new.granted {
        write!(f, " --count {count}")?;
    }
    if let Some(platforms) = &new.platforms {
        write!(f, " --platform {}", Quoted(platforms.as_str()))?;
    }
    if let Some(kind) = &new.kind {
        write!(f, " --type {}", Quoted(kind.as_str()))?;
        // Without a type there is no other reading: books of before do not have the word.
        if new.unlimited {
            f.write_str(" --unlimited")?;
        }
    }
    if let Some(starts_at_s) = new.starts_at_s {
        write!(f, " --starts {}", Second(starts_at_s))?;
    }
    match &new.id {
        Some(id) => write!(f, " --id {id}"),
        None => Ok(()),
    }
}

/// A second as an operation's words have it: the day alone where it is a day's first or last
/// second.
struct Second(i64);

impl fmt::Display for Second {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = Period::around(Grain::Day, self.0);
        if self.0 == day.first_s() || self.0 == day.last_s() {
            write!(f, "{}", period::date(self.0))
        } else {
            write!(f, "{}", self.0)
        }
    }
}

/// Words as an operation's have them: in quotes, so that none of them can be taken for another
/// argument.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::amount::Amount;
    use crate::billing::period::DAY_S;

    fn amount(text: &str) -> Amount {
        text.parse().expect("an amount")
    }

    #[test]
    fn the_words_of_before_are_these_for_ever() {
        let words = |text: &str| text.parse::<Words>().expect("words");
        let new = NewLicense {
            id: "l".parse().ok(),
            customer_id: "c".parse().expect("an id"),
            kind: "T --starts \"x\\".parse().ok(),
            platforms: "ios,android".parse().ok(),
            starts_at_s: Some(DAY_S),
            expires_at_s: 3 * DAY_S - 1,
            granted: Some(amount("1.50")),
            unlimited: false,
        };
        let bare = NewLicense {
            id: None,
            kind: None,
            platforms: None,
            starts_at_s: None,
            granted: None,
            ..new.clone()
        };
        let to_the_second = NewLicense { starts_at_s: Some(5), expires_at_s: 7, ..bare.clone() };
        let unlimited = NewLicense { granted: None, unlimited: true, ..new.clone() };
        let change = |act| Operation::Change("l".parse().expect("an id"), act);
        let consume = |reason| Operation::Consume {
            customer_id: bare.customer_id.clone(),
            amount: amount("2"),
            reason,
        };
        for (operation, asked) in [
            (
                Operation::Issue(new.clone()),
                concat!(
                    r#"issue c --expires 1970-01-03 --count 1.5 --platform "android|ios""#,
                    r#" --type "T --starts \"x\\" --starts 1970-01-02 --id l"#
                ),
            ),
            (
                Operation::Issue(NewLicense { id: None, ..unlimited.clone() }),
                concat!(
                    r#"issue c --expires 1970-01-03 --platform "android|ios""#,
                    r#" --type "T --starts \"x\\" --unlimited --starts 1970-01-02"#
                ),
            ),
            (Operation::Issue(bare.clone()), "issue c --expires 1970-01-03"),
            (
                Operation::Issue(NewLicense { unlimited: true, ..bare.clone() }),
                "issue c --expires 1970-01-03",
            ),
            (Operation::Issue(to_the_second), "issue c --expires 7 --starts 5"),
            (change(Act::Extend(Extension::To(2 * DAY_S - 1))), "extend l --to 1970-01-02"),
            (change(Act::Extend(Extension::Days(30))), "extend l --days 30"),
            (
                change(Act::Adjust { by: -&amount("2.0"), reason: words("é \"q\"") }),
                r#"adjust l -2 --reason "é \"q\"""#,
            ),
            (consume(None), "consume c 2"),
            (consume(Some(words("a b"))), r#"consume c 2 --reason "a b""#),
            (change(Act::Revoke { reason: Some(words("fraud")) }), r#"revoke l --reason "fraud""#),
            (change(Act::Revoke { reason: None }), "revoke l"),
            (change(Act::Reinstate { reason: None }), "reinstate l"),
        ] {
            assert_eq!(words_of_before(&operation), asked);
        }
    }
}
