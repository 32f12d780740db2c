//! `check`: are the books sound.

use crate::cli::failure::{Exit, Failure};
use crate::cli::moment::rfc3339;
use crate::cli::shell::Shell;
use crate::store;
use crate::store::check::Difference;
use crate::store::usage::UsageSum;
use serde::Serialize;
use serde_json::{Value, json};

/// Recompute every sum from the ledger, and print what differs
///
/// Ends with 1 where anything does. Safe while serving.
#[derive(clap::Args)]
pub(super) struct Args {}

#[derive(Serialize)]
struct Report {
    ok: bool,
    entries: i64,
    differences: Vec<Value>,
}

fn document(difference: &Difference) -> Value {
    let sum = |sum: &UsageSum| json!({ "amount": sum.amount.to_string(), "records": sum.records });
    match difference {
        Difference::Rollup { grain, start_s, project_id, kept, ledger } => json!({
            "kind": "rollup",
            "grain": grain.as_str(),
            "start": rfc3339(*start_s),
            "projectId": project_id.as_str(),
            "kept": sum(kept),
            "ledger": sum(ledger),
        }),
        Difference::Reversal { seq } => json!({ "kind": "reversal", "seq": seq }),
        Difference::Record { seq } => json!({ "kind": "record", "seq": seq }),
        Difference::Value { place } => json!({ "kind": "value", "place": place }),
        Difference::Schema { name } => json!({ "kind": "schema", "name": name }),
        Difference::File { problem } => json!({ "kind": "file", "problem": problem }),
    }
}

fn words(difference: &Difference) -> String {
    match difference {
        Difference::Rollup { grain, start_s, project_id, kept, ledger } => format!(
            "project {project_id}, {} from {}: kept {} in {} records, the ledger says {} in {}",
            grain.as_str(),
            rfc3339(*start_s),
            kept.amount,
            kept.records,
            ledger.amount,
            ledger.records
        ),
        Difference::Reversal { seq } => format!("ledger entry {seq} does not take back what it names"),
        Difference::Record { seq } => format!("ledger entry {seq} is a record whose amount is not above zero"),
        Difference::Value { place } => format!("{place} is not one that this program writes"),
        Difference::Schema { name } => format!("{name} in the file's schema is not as it was made"),
        Difference::File { problem } => format!("the file: {problem}"),
    }
}

pub(super) fn run(_: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
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
