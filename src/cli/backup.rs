//! `backup`: a copy of the books.

use crate::cli::command::Shell;
use crate::cli::failure::{Exit, Failure};
use crate::store::backup;
use serde_json::json;
use std::path::PathBuf;

/// Write a consistent copy of the database to a new file
///
/// Safe while serving. The copy is a database of its own: --db FILE works on it. It holds the secrets, as the
/// database does. If it is interrupted, FILE is not there, and FILE.*.draft may be deleted.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The new file
    file: PathBuf,
}

pub(super) fn run(args: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let file = args.file.display().to_string();
    backup::write(&mut shell.open()?, &args.file)?;
    shell.print(&json!({ "file": file }), |out| writeln!(out, "copied to {file}"))?;
    Ok(Exit::Done)
}
