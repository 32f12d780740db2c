//! The processes that `setup` runs: this executable, on the books.

use crate::cli::command::Shell;
use crate::cli::doctor::finding::Finding;
use crate::cli::failure::Failure;
use crate::cli::setup::books::{BooksState, Order};
use serde::Deserialize;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// This executable, on the books that are named.
fn executable(books: Option<&Path>) -> Result<Command, Failure> {
    let path = std::env::current_exe().map_err(|error| {
        Failure::failed(format!("the path of this executable cannot be found: {error}"))
    })?;
    let mut command = Command::new(path);
    if let Some(books) = books {
        command.arg("--db").arg(books);
    }
    Ok(command)
}

/// Has an order carried out by a process that becomes the owner of the books. The terminal's Ctrl-C
/// does not reach it: it is done at once, whole or not at all.
pub(super) fn command_books(
    books: &Path,
    order: &Order,
    shell: &mut Shell<'_>,
) -> Result<BooksState, Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::failed(format!(
            "the books cannot be set up by a process of their owner's: {error}"
        ))
    };
    let mut command = executable(Some(books))?;
    command.args(["setup", "--only-books"]).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(&error))?;
    let text = serde_json::to_string(order).expect("texts are JSON");
    // Where it has ended before, its end says why.
    let _read = child.stdin.take().map(|mut stdin| stdin.write_all(text.as_bytes()));
    let ended = child.wait_with_output().map_err(|error| failed(&error))?;
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    let mut last = None;
    for line in said.lines() {
        match line.strip_prefix("error: ") {
            Some(error) => last = Some(error.to_owned()),
            None => shell.note(line),
        }
    }
    if ended.status.success() {
        return serde_json::from_slice(&ended.stdout).map_err(|error| failed(&error));
    }
    let last = last.unwrap_or_else(|| format!("it ended with {}", ended.status));
    Err(match ended.status.code() {
        Some(2) => Failure::words(last),
        Some(4) => Failure::conflict(last),
        Some(75) => Failure::failed(last).into_passing(),
        _ => Failure::failed(last),
    })
}

/// What `doctor` finds, in its own words.
pub(super) fn doctor(books: &Path, shell: &Shell<'_>) -> Result<Vec<Finding>, Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::failed(format!("everything is set up; `doctor` cannot be run: {error}"))
    };
    let is_default = books == shell.database.path() && !shell.database.is_named();
    let mut command = executable((!is_default).then_some(books))?;
    let doctor = command.args(["doctor", "--json"]).stdin(Stdio::null()).stderr(Stdio::inherit());
    let said = doctor.output().map_err(|error| failed(&error))?.stdout;
    let found: CheckedBooks = serde_json::from_slice(&said).map_err(|error| failed(&error))?;
    Ok(found.checks)
}

#[derive(Deserialize)]
struct CheckedBooks {
    checks: Vec<Finding>,
}
