//! How long `ledger list` takes with many records behind it, beside the same list with few. See
//! `benches/README.md`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark tells what it measured"
)]
#![expect(clippy::float_arithmetic, reason = "times and ratios are measured, not accounted")]

#[path = "../common/entry.rs"]
mod entry;
#[path = "../common/machine.rs"]
mod machine;
#[expect(dead_code, reason = "no times of requests here")]
#[path = "../common/report.rs"]
mod report;
#[expect(dead_code, reason = "one way to make rows and one to import them is enough")]
#[path = "../common/row.rs"]
mod row;
#[path = "../common/variable.rs"]
mod variable;

use report::{Bar, EXECUTABLE, Report, median};
use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

/// A result with whatever went wrong.
type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// How many records lie behind the lists, and how often each is made.
#[derive(Debug, PartialEq, Eq)]
struct Length {
    few: usize,
    many: usize,
    rounds: usize,
}

/// What is kept is measured at this length.
const FULL: Length = Length { few: 100_000, many: 10_000_000, rounds: 50 };
/// The time of the first 50 records of any list, at most, as a whole process.
const TIME_BAR_MS: Bar = Bar::AtMost(250.0);
/// 2026-10-01T00:00:00Z.
const OCTOBER_S: i64 = 1_790_812_800;
const MONTH_S: i64 = 31 * 86_400;

fn main() -> ExitCode {
    entry::measured("ledger", measure)
}

fn measure() -> Outcome<bool> {
    let length = Length {
        few: variable::variable("BENCH_FEW", FULL.few)?,
        many: variable::variable("BENCH_ROWS", FULL.many)?,
        rounds: variable::variable("BENCH_ROUNDS", FULL.rounds)?,
    };
    let folder = tempfile::tempdir()?;
    let (few, many) = (folder.path().join("few.db"), folder.path().join("many.db"));
    seed(&few, length.few)?;
    seed(&many, length.many)?;
    let mut report = Report::start("ledger", &length)?;
    report.say("rows:       of 1,000 projects in turn over a month; the first 50 of each list\n");
    let project = row::project_id(7);
    let lists: [(&str, Vec<&str>); 5] = [
        ("all", vec![]),
        ("a day", vec!["--day", "2026-10-20"]),
        ("a project", vec!["--project", &project]),
        ("a project's day", vec!["--project", &project, "--day", "2026-10-20"]),
        ("voided", vec!["--voided"]),
    ];
    for (name, filter) in lists {
        let (mut of_few, mut of_many) = (Vec::new(), Vec::new());
        // In turn, so that whatever else the machine does meets both.
        for _ in 0..length.rounds {
            of_few.push(list(&few, &filter)?);
            of_many.push(list(&many, &filter)?);
        }
        let (of_few, of_many) = (median(&of_few), median(&of_many));
        report.say(&format!("{name}: {of_few:.2} ms with few records, {of_many:.2} ms with many"));
        report.judge(&format!("{name}, median with many"), of_many, " ms", TIME_BAR_MS);
    }
    report.finish(length == FULL)
}

/// Makes books with so many records, a few of them voided.
fn seed(path: &Path, rows: usize) -> Outcome {
    run(path, &["init"])?;
    row::import(path, row::spread(0..rows, OCTOBER_S, MONTH_S))?;
    for n in (0..rows).step_by(rows.div_ceil(100)) {
        run(path, &["void", &format!("{n:08}"), "--reason", "a mistake"])?;
    }
    Ok(())
}

fn run(path: &Path, arguments: &[&str]) -> Outcome {
    let mut command = Command::new(EXECUTABLE);
    command.arg("--db").arg(path).args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    if command.status()?.success() { Ok(()) } else { Err(format!("{arguments:?} failed").into()) }
}

/// The milliseconds of a list, from the start of its process to its end.
fn list(path: &Path, filter: &[&str]) -> Outcome<f64> {
    let start = Instant::now();
    run(path, &[&["ledger", "list"], filter].concat())?;
    Ok(start.elapsed().as_secs_f64() * 1e3)
}
