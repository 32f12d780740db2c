//! Operations on licenses as commands: the words that ask for them.

use crate::billing::license::{Act, Extension, KeptOperation, NewLicense, Operation};
use crate::billing::period::{self, Grain, Period};
use std::fmt::Display;

/// What was asked for before, as a command.
pub(super) fn asked_words(asked: &KeptOperation) -> String {
    match asked {
        KeptOperation::Operation(operation) => command(operation),
        KeptOperation::Words(words) => words.clone(),
    }
}

/// The command that asks for an operation.
fn command(operation: &Operation) -> String {
    match operation {
        Operation::Issue(new) => issue(new),
        Operation::Consume { customer_id, amount, reason } => {
            format!("consume {customer_id} {amount}{}", quoted("reason", reason.as_ref()))
        }
        Operation::Change(id, Act::Extend(Extension::To(expires_at_s))) => {
            format!("extend {id} --to {}", time(*expires_at_s))
        }
        Operation::Change(id, Act::Extend(Extension::Days(days))) => {
            format!("extend {id} --days {days}")
        }
        Operation::Change(id, Act::Adjust { by, reason }) => {
            format!("adjust {id} {by}{}", quoted("reason", Some(reason)))
        }
        Operation::Change(id, Act::Revoke { reason }) => {
            format!("revoke {id}{}", quoted("reason", reason.as_ref()))
        }
        Operation::Change(id, Act::Reinstate { reason }) => {
            format!("reinstate {id}{}", quoted("reason", reason.as_ref()))
        }
    }
}

fn issue(new: &NewLicense) -> String {
    let kind = new.kind.as_ref();
    [
        format!("issue {} --expires {}", new.customer_id, time(new.expires_at_s)),
        flag("count", new.granted.as_ref()),
        quoted("platform", new.platforms.as_ref()),
        quoted("type", kind),
        if new.unlimited && kind.is_some() { " --unlimited".to_owned() } else { String::new() },
        flag("starts", new.starts_at_s.map(time)),
        flag("id", new.id.as_ref()),
    ]
    .concat()
}

/// A flag and its value; nothing where there is none.
fn flag(name: &str, value: Option<impl Display>) -> String {
    value.map_or_else(String::new, |value| format!(" --{name} {value}"))
}

/// The same in quotes, so that no word of the value looks like another flag.
fn quoted(name: &str, value: Option<&impl ToString>) -> String {
    let escaped = |text: String| text.replace('\\', "\\\\").replace('"', "\\\"");
    flag(name, value.map(|value| format!("\"{}\"", escaped(value.to_string()))))
}

/// A day where it is a day's first or last second, else the second.
fn time(second: i64) -> String {
    let day = Period::around(Grain::Day, second);
    if second == day.first_s() || second == day.last_s() {
        period::date(second).to_string()
    } else {
        second.to_string()
    }
}
