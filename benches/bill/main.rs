//! How long a month's bill of 10,000 projects takes, page by page, and what it costs to carry what
//! earlier months were not told. See `benches/README.md`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark tells what it measured"
)]
#![expect(clippy::float_arithmetic, reason = "times are measured, not accounted")]

mod carry;
mod pages;

#[expect(dead_code, reason = "no licenses and days here")]
#[path = "../common/books.rs"]
mod books;
#[path = "../common/client.rs"]
mod client;
#[path = "../common/entry.rs"]
mod entry;
#[path = "../common/machine.rs"]
mod machine;
#[expect(dead_code, reason = "no processor time here")]
#[path = "../common/process.rs"]
mod process;
#[expect(dead_code, reason = "no medians here, and every bar is an upper one")]
#[path = "../common/report.rs"]
mod report;
#[expect(dead_code, reason = "no bare loop here, and rows of its own")]
#[path = "../common/row.rs"]
mod row;
#[expect(dead_code, reason = "no licenses and days here")]
#[path = "../common/target.rs"]
mod target;
#[path = "../common/variable.rs"]
mod variable;

use agora_vendor::billing::period::Period;
use agora_vendor::billing::record::{NewRecord, UsedAt};
use agora_vendor::store::{Store, usage};
use books::Keys;
use hdrhistogram::Histogram;
use report::{Report, microseconds};
use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;
use variable::variable;

/// A result with whatever went wrong.
type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// How much is seeded and asked.
#[derive(Debug, PartialEq, Eq)]
struct Length {
    /// Projects on the bill.
    projects: usize,
    /// Records of the month whose pages are followed.
    records: usize,
    /// How often the pages are followed.
    bills: usize,
    /// Months that were billed before the one that carries.
    months: usize,
    /// How often each bill that carries is asked for.
    carries: usize,
}

/// What is kept is measured at this length.
const FULL: Length =
    Length { projects: 10_000, records: 1_000_000, bills: 100, months: 24, carries: 20 };
/// Entries on a page.
const LIMIT: usize = 1_000;

fn main() -> ExitCode {
    entry::measured("bill", measure)
}

fn measure() -> Outcome<bool> {
    let length = Length {
        projects: variable("BENCH_PROJECTS", FULL.projects)?,
        records: variable("BENCH_RECORDS", FULL.records)?,
        bills: variable("BENCH_BILLS", FULL.bills)?,
        months: variable("BENCH_MONTHS", FULL.months)?,
        carries: variable("BENCH_CARRIES", FULL.carries)?,
    };
    let folder = tempfile::tempdir()?;
    let keys = Keys::make();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut report = Report::start("bill", &length)?;
    runtime.block_on(pages::measure(
        &folder.path().join("pages.db"),
        &keys,
        &length,
        &mut report,
    ))?;
    runtime.block_on(carry::measure(
        &folder.path().join("carry.db"),
        &keys,
        &length,
        &mut report,
    ))?;
    report.finish(length == FULL)
}

impl Length {
    /// The requests for all pages of a month's bill, as Agora signs them, so that what is told is
    /// kept.
    fn requests(&self, keys: &Keys, month: Period) -> Vec<Vec<u8>> {
        let pages = 1..=self.projects.div_ceil(LIMIT);
        pages
            .map(|page| target::get(&target::page(&keys.live, "/bill", month, page, LIMIT)))
            .collect()
    }
}

/// Commits one record, as another process does. No two have the same `id`.
fn record(store: &mut Store, id: String, project: usize, at_s: i64) -> Outcome {
    let record = NewRecord {
        id: id.parse()?,
        project_id: row::project_id(project).parse()?,
        amount: row::amount(project).parse()?,
        at: UsedAt::Second(at_s),
        customer_id: None,
        note: None,
    };
    match store.write(|tx| usage::record(tx, &record, &books::stamp()))? {
        Ok(_) => Ok(()),
        Err(refusal) => Err(format!("a record was not written: {refusal:?}").into()),
    }
}

/// Milliseconds of a histogram: the median, the 99th percentile and the most.
fn milliseconds(latencies: &Histogram<u64>) -> [f64; 3] {
    [0.5, 0.99, 1.0].map(|quantile| microseconds(latencies.value_at_quantile(quantile)) / 1e3)
}

/// Runs the executable on books; tells the most memory that it had, in KiB, looked at as it ran.
fn run(database: &Path, words: &[&str]) -> Outcome<u64> {
    let mut command = Command::new(report::EXECUTABLE);
    command.arg("--db").arg(database).args(words);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut most = 0;
    while child.try_wait()?.is_none() {
        // Once it has ended there is none to tell.
        most = process::memory_kib(child.id()).map_or(most, |(_, now)| most.max(now));
        std::thread::sleep(Duration::from_millis(2));
    }
    let done = child.wait_with_output()?;
    if done.status.success() {
        Ok(most)
    } else {
        Err(format!("{words:?}: {}", String::from_utf8_lossy(&done.stderr)).into())
    }
}
