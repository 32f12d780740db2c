//! What one check found, and how it is said.

use crate::cli::database::Database;
use serde::Serialize;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// All is well.
    Ok,
    /// A person should look at it some time.
    Warning,
    /// Money, records or answers may be lost: `doctor` ends with 1.
    Failed,
}

impl Verdict {
    /// The sign that stands before the line.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Ok => "✓",
            Self::Warning => "!",
            Self::Failed => "✗",
        }
    }
}

/// What one check found.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    pub(super) name: &'static str,
    pub(super) state: Verdict,
    pub(super) says: String,
    /// A command that mends it, or shows more.
    pub(super) remedy: Option<String>,
}

impl Finding {
    pub(super) fn ok(name: &'static str, says: impl Into<String>) -> Self {
        Self { name, state: Verdict::Ok, says: says.into(), remedy: None }
    }

    pub(super) fn warning(name: &'static str, says: impl Into<String>) -> Self {
        Self { state: Verdict::Warning, ..Self::ok(name, says) }
    }

    pub(super) fn failed(name: &'static str, says: impl Into<String>) -> Self {
        Self { state: Verdict::Failed, ..Self::ok(name, says) }
    }

    /// The same with a command of the system.
    pub(super) fn remedy(self, command: impl Into<String>) -> Self {
        Self { remedy: Some(command.into()), ..self }
    }

    /// The same with a command of ours; it names the database where it has to be named.
    pub(super) fn ours(self, database: &Database, command: &str) -> Self {
        let quoted = database.command(command);
        self.remedy(quoted.trim_matches('`'))
    }
}
