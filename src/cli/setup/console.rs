//! What was set up, and what Agora's console is to be told of it.

use crate::cli::command::Shell;
use crate::cli::doctor::finding::{Finding, lines};
use crate::cli::failure::Failure;
use crate::cli::key::show_secret;
use crate::cli::setup::books::BooksState;
use crate::cli::setup::checkup::Checkup;
use crate::cli::setup::configuration::Connections;
use crate::cli::setup::machine::command_for;
use crate::cli::table::print_properties;
use crate::http::signed_endpoints;
use serde::Serialize;
use std::io::IsTerminal;
use std::path::Path;

/// What is printed at the end.
pub(super) struct Console<'a> {
    pub(super) books: &'a Path,
    pub(super) standing: BooksState,
    pub(super) connections: Connections,
    /// The path that the server is mounted under.
    pub(super) base_path: Option<String>,
    pub(super) done: Vec<String>,
    pub(super) is_running: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SetUp<'a> {
    db: String,
    created: bool,
    api_key: &'a str,
    /// Null where it was handed in, or made before.
    api_secret: Option<&'a str>,
    test_api_key: &'a str,
    /// Null where it is not known yet.
    host: Option<&'a str>,
    tls: &'static str,
    listen: &'a str,
    late: &'a str,
    /// Null where there is none.
    plan: Option<&'a [String]>,
    done: &'a [String],
    running: bool,
    /// What `doctor` found; null where the service does not run.
    checks: Option<&'a [Finding]>,
    endpoints: Vec<Endpoint>,
}

/// What Agora calls.
#[derive(Serialize)]
struct Endpoint {
    method: &'static str,
    path: &'static str,
}

impl Console<'_> {
    fn document<'a>(&'a self, checkup: Option<&'a Checkup>, api_secret: bool) -> SetUp<'a> {
        let BooksState { api_key, test_api_key, late, plan, created, .. } = &self.standing;
        let endpoints = signed_endpoints().map(|(method, path)| Endpoint { method, path });
        SetUp {
            db: self.books.display().to_string(),
            created: *created,
            api_key,
            api_secret: self.standing.api_secret.as_deref().filter(|_| api_secret),
            test_api_key,
            host: self.connections.host.as_deref(),
            tls: self.connections.way.as_str(),
            listen: &self.connections.listen,
            late,
            plan: plan.as_deref(),
            done: &self.done,
            running: self.is_running,
            checks: checkup.map(Checkup::findings),
            endpoints: endpoints.collect(),
        }
    }

    /// Prints what stands now. A secret is shown where it was made just now, to a terminal or as
    /// JSON.
    pub(super) fn print(
        &self,
        configures: bool,
        checkup: Option<&Checkup>,
        shell: &mut Shell<'_>,
    ) -> Result<(), Failure> {
        let shows_secret = shell.wants_json() || std::io::stdout().is_terminal();
        let document = self.document(checkup, shows_secret);
        let address = self.connections.address(self.base_path.as_deref().unwrap_or_default());
        let parse = document.api_key.parse();
        let show = parse.map_or_else(|_| "key list".to_owned(), |key| show_secret(&key));
        let show = command_for(self.books, shell, &show);
        shell.print(&document, |out| {
            for done in &self.done {
                writeln!(out, "{done}")?;
            }
            let plan = document.plan.map_or_else(|| "none".to_owned(), |plan| plan.join("; "));
            let mut properties = vec![("database", document.db.clone())];
            if configures {
                properties.push(("listens on", document.listen.to_owned()));
                properties.push(("TLS by", document.tls.to_owned()));
            }
            properties.push(("late usage", document.late.to_owned()));
            properties.push(("plan", plan));
            properties.push(("testApiKey", document.test_api_key.to_owned()));
            print_properties(out, &properties)?;
            if let Some(checks) = document.checks {
                writeln!(out, "\nWhat `doctor` found:")?;
                lines(checks).try_for_each(|line| writeln!(out, "{line}"))?;
            }
            writeln!(out, "\nFor Agora's console:")?;
            let secret = match document.api_secret {
                Some(secret) => secret.to_owned(),
                None => format!("{show} shows it"),
            };
            let mut properties = vec![
                ("address", address),
                ("apiKey", document.api_key.to_owned()),
                ("apiSecret", secret),
            ];
            let labels = std::iter::once("endpoints").chain(std::iter::repeat(""));
            let calls = document.endpoints.iter();
            let calls = calls.map(|Endpoint { method, path }| format!("{method} {path}"));
            properties.extend(labels.zip(calls));
            print_properties(out, &properties)
        })
    }
}
