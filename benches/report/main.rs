//! How long `report` takes over a month of many projects, and how large the page is. See
//! `benches/README.md`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark tells what it measured"
)]
#![expect(clippy::float_arithmetic, reason = "times are measured, not accounted")]

#[expect(dead_code, reason = "the books of other benchmarks have more")]
#[path = "../common/books.rs"]
mod books;
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

use agora_vendor::billing::license::{NewLicense, Operation};
use agora_vendor::billing::period::DAY_S;
use agora_vendor::store::{Store, license};
use books::{Keys, NOVEMBER_S, OCTOBER_S};
use report::{Bar, EXECUTABLE, Report, median};
use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

/// A result with whatever went wrong.
type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// How many records the month has, and how often it is reported.
#[derive(Debug, PartialEq, Eq)]
struct Length {
    rows: usize,
    rounds: usize,
}

/// What is kept is measured at this length.
const FULL: Length = Length { rows: 1_000_000, rounds: 20 };
/// Customers with a license: each has four projects.
const CUSTOMERS: usize = row::PROJECTS / 4;
/// The time of a report as a whole process, at most.
const TIME_BAR_MS: Bar = Bar::AtMost(1_000.0);
/// The size of the page, at most.
const SIZE_BAR_MB: Bar = Bar::AtMost(2.0);

fn main() -> ExitCode {
    entry::measured("report", measure)
}

fn measure() -> Outcome<bool> {
    let length = Length {
        rows: variable::variable("BENCH_ROWS", FULL.rows)?,
        rounds: variable::variable("BENCH_ROUNDS", FULL.rounds)?,
    };
    let folder = tempfile::tempdir()?;
    let (path, page) = (folder.path().join("books.db"), folder.path().join("2026-10.html"));
    books::create(&path, &Keys::make(), row::PROJECTS)?;
    issue_licenses(&path)?;
    row::import(&path, row::spread(0..length.rows, OCTOBER_S, NOVEMBER_S - OCTOBER_S))?;
    let mut report = Report::start("report", &length)?;
    report.say(&format!(
        "books:      {} projects, used on every day of a month; {CUSTOMERS} licenses\n",
        row::PROJECTS
    ));
    let mut times = Vec::new();
    for _ in 0..length.rounds {
        let start = Instant::now();
        run(&path, &page)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let slowest = times.iter().copied().fold(0.0, f64::max);
    let bytes = std::fs::metadata(&page)?.len();
    report.say(&format!("made in {:.1} ms, the slowest in {slowest:.1} ms", median(&times)));
    report.say(&format!("{bytes} bytes"));
    report.judge("a report, the slowest", slowest, " ms", TIME_BAR_MS);
    report.judge("its page", bytes as f64 / 1e6, " MB", SIZE_BAR_MB);
    report.finish(length == FULL)
}

/// A license for each customer, that covers a part of the month's usage.
fn issue_licenses(path: &Path) -> Outcome {
    let mut store = Store::open(path)?;
    store.write(|tx| -> Outcome {
        for n in 0..CUSTOMERS {
            let new = NewLicense {
                id: Some(format!("order-{n}").parse()?),
                customer_id: (120_000 + n).to_string().parse()?,
                kind: None,
                platforms: None,
                starts_at_s: Some(OCTOBER_S),
                expires_at_s: NOVEMBER_S + 365 * DAY_S - 1,
                granted: Some("1000.5".parse()?),
                unlimited: false,
            };
            license::operate(tx, &Operation::Issue(new), None, &books::stamp())?
                .map_err(|refusal| format!("{refusal:?}"))?;
        }
        Ok(())
    })
}

fn run(path: &Path, page: &Path) -> Outcome {
    let mut command = Command::new(EXECUTABLE);
    command.arg("--db").arg(path).args(["report", "--month", "2026-10", "--out"]).arg(page);
    if command.stdout(Stdio::null()).status()?.success() {
        Ok(())
    } else {
        Err("the report failed".into())
    }
}
