//! `migrate`: brings the database to the version of this executable.

use crate::cli::command::Shell;
use crate::cli::failure::{Exit, Failure};
use crate::store::migration::{self, Migrated};
use serde_json::json;

/// Bring the database to the version of this executable, leaving a copy of it beside it first
///
/// `serve` does so by itself when it starts; no other verb does. Stop a server of an earlier
/// version before.
#[derive(clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let migrated = migrate(shell)?;
    let document = migrated
        .as_ref()
        .map(|Migrated { from, to, copy }| json!({ "from": from, "to": to, "copy": copy }));
    let words =
        migrated.as_ref().map_or_else(|| "the database has the present version".to_owned(), words);
    shell.print(&document, |out| writeln!(out, "{words}"))?;
    Ok(Exit::Done)
}

/// Migrates where that is needed.
pub(super) fn migrate(shell: &Shell<'_>) -> Result<Option<Migrated>, Failure> {
    migration::migrate(shell.database.path()).map_err(|error| shell.database.explain(error))
}

/// What a migration did, in words.
pub(super) fn words(migrated: &Migrated) -> String {
    let Migrated { from, to, copy } = migrated;
    format!(
        "migrated the database from schema version {from} to {to}; what it was is in {}",
        copy.display()
    )
}
