//! `check` and `backup`: are the books sound, and a copy of them.

use crate::billing::period::Grain;
use crate::cli::failure::{Exit, Failure};
use crate::cli::moment::rfc3339;
use crate::cli::shell::Shell;
use crate::store::check::Difference;
use crate::store::usage::Sum;
use crate::store::{self, backup};
use serde::Serialize;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Recompute every sum from the ledger, and print what differs
///
/// Ends with 1 where anything does. Safe while serving.
#[derive(clap::Args)]
pub(super) struct CheckArgs {}

/// Write a consistent copy of the database to a new file
///
/// Safe while serving. The copy is a database of its own: --db FILE works on it.
#[derive(clap::Args)]
pub(super) struct BackupArgs {
    /// The new file
    file: PathBuf,
}

#[derive(Serialize)]
struct Report {
    ok: bool,
    entries: i64,
    differences: Vec<Value>,
}

fn grain_word(grain: Grain) -> &'static str {
    match grain {
        Grain::Hour => "hour",
        Grain::Day => "day",
        Grain::Month => "month",
    }
}

fn document(difference: &Difference) -> Value {
    let sum = |sum: &Sum| json!({ "amount": sum.amount.to_string(), "records": sum.records });
    match difference {
        Difference::Rollup { grain, start_s, project_id, kept, ledger } => json!({
            "kind": "rollup",
            "grain": grain_word(*grain),
            "start": rfc3339(*start_s),
            "projectId": project_id.as_str(),
            "kept": sum(kept),
            "ledger": sum(ledger),
        }),
        Difference::Reversal { seq } => json!({ "kind": "reversal", "seq": seq }),
        Difference::Record { seq } => json!({ "kind": "record", "seq": seq }),
        Difference::File { problem } => json!({ "kind": "file", "problem": problem }),
    }
}

fn words(difference: &Difference) -> String {
    match difference {
        Difference::Rollup { grain, start_s, project_id, kept, ledger } => format!(
            "project {project_id}, {} from {}: kept {} in {} records, the ledger says {} in {}",
            grain_word(*grain),
            rfc3339(*start_s),
            kept.amount,
            kept.records,
            ledger.amount,
            ledger.records
        ),
        Difference::Reversal { seq } => format!("ledger entry {seq} does not take back what it names"),
        Difference::Record { seq } => format!("ledger entry {seq} is a record whose amount is not above zero"),
        Difference::File { problem } => format!("the file: {problem}"),
    }
}

pub(super) fn check(_: &CheckArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let found = shell.open()?.read(store::check::check)?;
    let report = Report {
        ok: found.differences.is_empty(),
        entries: found.entries,
        differences: found.differences.iter().map(document).collect(),
    };
    shell.print(&report, |out| {
        for difference in &found.differences {
            writeln!(out, "{}", words(difference))?;
        }
        match found.differences.len() {
            0 => writeln!(out, "no differences; {} ledger entries", found.entries),
            count => writeln!(out, "{count} differences; {} ledger entries", found.entries),
        }
    })?;
    Ok(if report.ok { Exit::Done } else { Exit::Failed })
}

pub(super) fn backup(args: &BackupArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let file = args.file.display().to_string();
    backup::write(&mut shell.open()?, &args.file)?;
    shell.print(&json!({ "file": file }), |out| writeln!(out, "copied to {file}"))?;
    Ok(Exit::Done)
}
