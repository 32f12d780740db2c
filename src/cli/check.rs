//! `check`: are the books sound.

use crate::billing::amount::Amount;
use crate::billing::id::ProjectId;
use crate::cli::command::Shell;
use crate::cli::failure::{Exit, Failure};
use crate::cli::moment::{month, rfc3339};
use crate::store;
use crate::store::balance::Problem;
use crate::store::check::{Difference, LicenseFigures, StatementProblem};
use crate::store::late::Deviation;
use crate::store::usage::UsageSum;
use serde::Serialize;
use serde_json::{Value, json};

/// Recompute every sum, every license and every statement from the ledgers, and print what differs
///
/// Ends with 1 where anything does. Safe while serving.
#[derive(clap::Args)]
pub(super) struct Args {}

#[derive(Serialize)]
struct CheckView {
    ok: bool,
    entries: i64,
    differences: Vec<Value>,
}

fn document(difference: &Difference) -> Value {
    let sum = |UsageSum { amount, covered, records }: &UsageSum| {
        json!({
            "amount": amount.to_string(),
            "covered": covered.to_string(),
            "records": records,
        })
    };
    let license = |state: &LicenseFigures| {
        json!({
            "expiresAt": rfc3339(state.expires_at_s),
            "count": state.granted.as_ref().map(ToString::to_string),
            "balance": state.balance.as_ref().map(ToString::to_string),
            "revokedAt": state.revoked_at_s.map(rfc3339),
        })
    };
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
        Difference::License { id, kept, ledger } => json!({
            "kind": "license",
            "licenseId": id.as_str(),
            "kept": license(kept),
            "ledger": license(ledger),
        }),
        Difference::Overdrawn { id } => json!({ "kind": "overdrawn", "licenseId": id.as_str() }),
        Difference::Draw { seq } => json!({ "kind": "draw", "seq": seq }),
        Difference::GivenBack { seq } => json!({ "kind": "givenBack", "seq": seq }),
        Difference::Covered { seq } => json!({ "kind": "covered", "seq": seq }),
        Difference::History { place } => json!({ "kind": "history", "place": place }),
        Difference::Statement { seq, problem } => {
            json!({ "kind": "statement", "seq": seq, "problem": problem_words(*problem) })
        }
        Difference::Told(Deviation { seq, project_id, stated, ledger }) => json!({
            "kind": "told",
            "seq": seq,
            "projectId": project_id.as_str(),
            "told": json!({ "amount": stated.0.to_string(), "covered": stated.1.to_string() }),
            "ledger": json!({ "amount": ledger.0.to_string(), "covered": ledger.1.to_string() }),
        }),
        Difference::Balance { month_s, problem } => {
            let (project_id, words) = balance_words(problem);
            let project_id = project_id.map(ProjectId::as_str);
            json!({
                "kind": "balance",
                "month": month(*month_s),
                "projectId": project_id,
                "problem": words,
            })
        }
        Difference::Value { place } => json!({ "kind": "value", "place": place }),
        Difference::Schema { name } => json!({ "kind": "schema", "name": name }),
        Difference::File { problem } => json!({ "kind": "file", "problem": problem }),
    }
}

/// A difference, in words.
pub(super) fn words(difference: &Difference) -> String {
    match difference {
        Difference::Rollup { grain, start_s, project_id, kept, ledger } => format!(
            "project {project_id}, {} from {}: kept {}; the ledger says {}",
            grain.as_str(),
            rfc3339(*start_s),
            sum_words(kept),
            sum_words(ledger)
        ),
        Difference::Reversal { seq } => {
            format!("ledger entry {seq} does not take back what it names")
        }
        Difference::Record { seq } => {
            format!("ledger entry {seq} is a record whose amount is not above zero")
        }
        Difference::License { id, kept, ledger } => {
            format!(
                "license {id}: kept {}, its ledger says {}",
                license_words(kept),
                license_words(ledger)
            )
        }
        Difference::Overdrawn { id } => format!("license {id}: more was drawn than it granted"),
        Difference::Draw { seq } => {
            format!(
                "license ledger entry {seq} draws from a license that was not good then, or for \
                 usage of another time"
            )
        }
        Difference::GivenBack { seq } => {
            format!(
                "ledger entry {seq} does not give back to each license what its record drew from it"
            )
        }
        Difference::Covered { seq } => {
            format!(
                "ledger entry {seq}: what licenses covered of it is not what was drawn from them, \
                 or not within it"
            )
        }
        Difference::History { place } => format!(
            "{place} by date do not add up: each holds from a month's first second, and what was \
             said last is what stands"
        ),
        Difference::Statement { seq, problem } => {
            format!("statement {seq}: {}", problem_words(*problem))
        }
        Difference::Told(deviation) => deviation_words(deviation),
        Difference::Balance { month_s, problem } => {
            let (project_id, words) = balance_words(problem);
            let project = project_id.map(|id| format!(" of project {id}")).unwrap_or_default();
            format!("the balance of {}{project}: {words}", month(*month_s))
        }
        Difference::Value { place } => format!("{place} is not one that this program writes"),
        Difference::Schema { name } => format!("{name} in the file's schema is not as it was made"),
        Difference::File { problem } => format!("the file: {problem}"),
    }
}

fn problem_words(problem: StatementProblem) -> &'static str {
    match problem {
        StatementProblem::Total => "its entries do not add up to its total",
        StatementProblem::Order => "its entries are not in order",
        StatementProblem::Digest => "its entries are not those that were told",
        StatementProblem::Knew => "it knew ledger entries that are not there",
    }
}

/// The project that a problem is of, where it is one's, and what is wrong.
fn balance_words(problem: &Problem) -> (Option<&ProjectId>, &'static str) {
    match problem {
        Problem::Told(id) => (Some(id), "it is not what the newest bills tell"),
        Problem::Mark(id) => (Some(id), "the month costs something else, and a mark is missing"),
        Problem::Written => (None, "it is not one that this program writes"),
    }
}

fn deviation_words(Deviation { seq, project_id, stated, ledger }: &Deviation) -> String {
    let words = |(amount, covered): &(Amount, Amount)| {
        if covered.is_zero() { amount.to_string() } else { format!("{amount} ({covered} covered)") }
    };
    format!(
        "statement {seq} says that project {project_id} used {}; the ledger said {} then",
        words(stated),
        words(ledger)
    )
}

fn sum_words(sum: &UsageSum) -> String {
    if sum.covered.is_zero() {
        format!("{} in {} records", sum.amount, sum.records)
    } else {
        format!("{} ({} covered) in {} records", sum.amount, sum.covered, sum.records)
    }
}

fn license_words(state: &LicenseFigures) -> String {
    let amount = |amount: &Option<Amount>| {
        amount.as_ref().map_or("unlimited".to_owned(), ToString::to_string)
    };
    let revoked =
        state.revoked_at_s.map_or(String::new(), |at_s| format!(", revoked {}", rfc3339(at_s)));
    format!(
        "{} of {}, expires {}{revoked}",
        amount(&state.balance),
        amount(&state.granted),
        rfc3339(state.expires_at_s)
    )
}

/// A number of ledger entries.
pub(super) fn entries_words(entries: i64) -> String {
    match entries {
        1 => "1 ledger entry".to_owned(),
        entries => format!("{entries} ledger entries"),
    }
}

pub(super) fn run(_: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let found = shell.open()?.read(store::check::check)?;
    let report = CheckView {
        ok: found.differences.is_empty(),
        entries: found.entries,
        differences: found.differences.iter().map(document).collect(),
    };
    shell.print(&report, |out| {
        for difference in &found.differences {
            writeln!(out, "{}", words(difference))?;
        }
        let entries = entries_words(found.entries);
        match found.differences.len() {
            0 => writeln!(out, "no differences; {entries}"),
            1 => writeln!(out, "1 difference; {entries}"),
            count => writeln!(out, "{count} differences; {entries}"),
        }
    })?;
    Ok(if report.ok { Exit::Done } else { Exit::Failed })
}
