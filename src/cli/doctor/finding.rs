//! What one check found, and how it is said.

use crate::billing::escape::escape;
use crate::cli::database::{Database, shell_quoted};
use crate::cli::setup::extension::Extension;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::io::IsTerminal;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::cli) enum Verdict {
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
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::cli) struct Finding {
    pub(in crate::cli) name: Cow<'static, str>,
    pub(in crate::cli) state: Verdict,
    pub(super) says: String,
    /// A command that mends it, or shows more.
    pub(super) remedy: Option<String>,
}

impl Finding {
    pub(super) fn ok(name: &'static str, says: impl Into<String>) -> Self {
        Self { name: name.into(), state: Verdict::Ok, says: says.into(), remedy: None }
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

    /// The same with a command of ours.
    pub(super) fn ours(self, ours: &Ours<'_>, command: &str) -> Self {
        self.remedy(ours.typed(command))
    }
}

/// What was found, one line a check.
pub(in crate::cli) fn lines(findings: &[Finding]) -> impl Iterator<Item = String> {
    let width = findings.iter().map(|found| found.name.len()).max().unwrap_or_default();
    findings.iter().map(move |Finding { name, state, says, remedy }| {
        let remedy = remedy.as_ref().map(|remedy| format!(" → {remedy}")).unwrap_or_default();
        format!("{} {name:width$}  {}", state.sign(), escape(&(says.clone() + &remedy)))
    })
}

/// How commands of ours are typed by whoever reads what was found.
pub(super) struct Ours<'a> {
    pub(super) database: &'a Database,
    /// The user as whom they are to be run; `None` where that is who reads.
    user: Option<String>,
    /// Whose books they are, where systemd serves them.
    extension: Option<Extension>,
    /// Whether a service of systemd looks at them.
    is_service: bool,
}

impl<'a> Ours<'a> {
    /// `owner` is the database's. Under sudo, and in the journal of a service, somebody else reads.
    pub(super) fn new(database: &'a Database, owner: Option<&str>) -> Self {
        let is_set = |name| std::env::var_os(name).is_some();
        let is_service = is_set("INVOCATION_ID") && !std::io::stdout().is_terminal();
        let reads_another = is_set("SUDO_USER") || is_service;
        let is_reader = |owner: &str| std::env::var("SUDO_USER").is_ok_and(|user| user == owner);
        let user = owner.filter(|owner| reads_another && !is_reader(owner));
        let extension = Extension::of_books(database.path());
        Self { database, user: user.map(shell_quoted), extension, is_service }
    }

    /// The server's unit of systemd, for a shell.
    pub(super) fn server(&self) -> String {
        let unit = self.extension.as_ref().map(Extension::server);
        shell_quoted(unit.as_deref().unwrap_or("agora-vendor"))
    }

    /// Tells whether systemd serves these books, as far as can be seen.
    pub(super) fn has_unit(&self) -> bool {
        self.extension.is_some() || self.is_service
    }

    /// Where copies of the books are put.
    pub(super) fn backup_folder(&self) -> String {
        self.extension.as_ref().map_or_else(|| "FOLDER".to_owned(), Extension::backup_folder)
    }

    /// A command as it is typed.
    pub(super) fn typed(&self, command: &str) -> String {
        match &self.user {
            Some(user) => format!("sudo -u {user} {}", self.database.command_elsewhere(command)),
            None => self.database.command(command).trim_matches('`').to_owned(),
        }
    }
}
