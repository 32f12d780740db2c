//! Who changed what of a customer or a project, and when. Names of fields; of their values those of
//! `planId` and `customerId` alone, never contacts or secrets.

use crate::billing::id::{CustomerId, Label, ProjectId};
use std::fmt;
use std::str::FromStr;

/// Who asked for a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Agora: a request signed with a live pair.
    Agora,
    /// Whoever signed a request with a test pair.
    Test,
    /// The user of a shell.
    Shell(User),
}

/// The user of a shell.
#[derive(Clone, Debug)]
pub enum User {
    /// By name.
    Named(Label),
    /// By the system's number. The name is looked up where it is needed: that takes as long as a
    /// tenth of a `record`, which mostly needs none.
    Numbered {
        /// The number of the user; under sudo, that of the one who called it before it.
        number: String,
        /// Looks the name up.
        name: fn() -> Label,
    },
}

impl User {
    fn name(&self) -> Label {
        match self {
            Self::Named(name) => name.clone(),
            Self::Numbered { name, .. } => name(),
        }
    }
}

impl PartialEq for User {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for User {}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agora => f.pad("agora"),
            Self::Test => f.pad("test"),
            Self::Shell(user) => write!(f, "shell:{}", user.name()),
        }
    }
}

impl FromStr for Actor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("{text:?} is nobody who changes the books");
        match text {
            "agora" => Ok(Self::Agora),
            "test" => Ok(Self::Test),
            _ => {
                let user = text.strip_prefix("shell:").and_then(|user| user.parse().ok());
                user.map(|name| Self::Shell(User::Named(name))).ok_or_else(unknown)
            }
        }
    }
}

/// When something is written, and at whose request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The clock, in Unix seconds.
    pub at_s: i64,
    /// At whose request.
    pub actor: Actor,
}

/// A kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Came into the books because a record or a license named it.
    Registered,
    /// The account was announced for the first time.
    Announced,
    /// What was announced of the account got another value.
    Changed,
    /// The account was deactivated.
    Deactivated,
    /// The account was announced again after that.
    Reactivated,
    /// The account's contacts were blanked.
    Forgotten,
    /// The extension was enabled for the project.
    Enabled,
    /// The extension was disabled for the project.
    Disabled,
    /// The project got its first customer.
    Bound,
    /// The project got another customer.
    Moved,
    /// The project went to another customer: the event of the one it left.
    Left,
    /// The project got its `appKey` and `appSecret`.
    Keyed,
}

impl EventKind {
    const ALL: [Self; 12] = [
        Self::Registered,
        Self::Announced,
        Self::Changed,
        Self::Deactivated,
        Self::Reactivated,
        Self::Forgotten,
        Self::Enabled,
        Self::Disabled,
        Self::Bound,
        Self::Moved,
        Self::Left,
        Self::Keyed,
    ];

    /// Its name in the books and at the shell.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Announced => "announced",
            Self::Changed => "changed",
            Self::Deactivated => "deactivated",
            Self::Reactivated => "reactivated",
            Self::Forgotten => "forgotten",
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Bound => "bound",
            Self::Moved => "moved",
            Self::Left => "left",
            Self::Keyed => "keyed",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for EventKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|change| change.as_str() == text);
        found.ok_or_else(|| format!("{text:?} is no kind of change"))
    }
}

/// What a plan or a customer was before a change, and what it is from then on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValueChange {
    /// The id before; `None` where there was none, or of fields whose values are not kept.
    pub from: Option<String>,
    /// The id from then on.
    pub to: Option<String>,
}

impl ValueChange {
    /// From one id, if there was any, to another.
    pub fn new(from: Option<&impl ToString>, to: &impl ToString) -> Self {
        Self { from: from.map(ToString::to_string), to: Some(to.to_string()) }
    }
}

/// A change as the books hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, and at whose request.
    pub stamp: Stamp,
    /// Whose account or project it is, where anybody has said.
    pub customer_id: Option<CustomerId>,
    /// The project; `None` where it is about the account.
    pub project_id: Option<ProjectId>,
    /// What kind of change.
    pub change: EventKind,
    /// The names of the fields that got another value, as Agora calls them.
    pub fields: Vec<String>,
    /// The values of `planId` or `customerId`, where that is among the fields.
    pub values: ValueChange,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_is_read_back_as_it_was_written() {
        for text in ["agora", "test", "shell:root", "shell:a b"] {
            assert_eq!(text.parse::<Actor>().map(|actor| actor.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "Agora", "shell:", "shell", "root"] {
            assert!(text.parse::<Actor>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_change_has_a_name_of_its_own() {
        for change in EventKind::ALL {
            assert_eq!(change.as_str().parse(), Ok(change));
        }
    }
}
