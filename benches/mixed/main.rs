//! How long answers take while an import runs at full speed, and while backups do: requests at a
//! constant rate that does not wait for answers, each counted from the moment at which it was due.
//! See `benches/README.md`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark tells what it measured"
)]
#![expect(clippy::float_arithmetic, reason = "times and ratios are measured, not accounted")]

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
#[expect(dead_code, reason = "no bare loop here")]
#[path = "../common/row.rs"]
mod row;
#[path = "../common/target.rs"]
mod target;
#[path = "../common/variable.rs"]
mod variable;

use books::{Keys, NOVEMBER_S, OCTOBER_S, SEPTEMBER_S};
use client::{Connection, histogram, nanoseconds};
use hdrhistogram::Histogram;
use process::Server;
use report::{Bar, Report, microseconds};
use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::{Instant as TokioInstant, sleep_until};
use variable::variable;

/// A result with whatever went wrong.
type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// How much is seeded, and how long it is asked.
#[derive(Debug, PartialEq, Eq)]
struct Length {
    /// Records of each of two months beforehand.
    records: usize,
    /// Customers with licenses.
    customers: usize,
    /// Rows of each import.
    rows: usize,
    /// How long requests are sent.
    seconds: usize,
}

/// What is kept is measured at this length.
const FULL: Length =
    Length { records: 1_000_000, customers: 100_000, rows: 1_000_000, seconds: 60 };
/// Requests a second.
const RATE: u32 = 100;
/// How long the import runs before the first request.
const AHEAD: Duration = Duration::from_secs(1);
/// How long after a record the next one is recorded, beside backups.
const BETWEEN_RECORDS: Duration = Duration::from_millis(50);
/// Milliseconds, at most, for 999 of 1,000 answers, and for each.
const P999_BAR: Bar = Bar::AtMost(50.0);
const SLOWEST_BAR: Bar = Bar::AtMost(500.0);
const NONE: Bar = Bar::AtMost(0.0);

fn main() -> ExitCode {
    entry::measured("mixed", measure)
}

fn measure() -> Outcome<bool> {
    let length = Length {
        records: variable("BENCH_RECORDS", FULL.records)?,
        customers: variable("BENCH_CUSTOMERS", FULL.customers)?,
        rows: variable("BENCH_ROWS", FULL.rows)?,
        seconds: variable("BENCH_SECONDS", FULL.seconds)?,
    };
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("agora-vendor.db");
    let keys = Keys::make();
    println!("seeding two months of {} records each", length.records);
    books::create(&database, &keys, row::PROJECTS)?;
    books::issue_licenses(&database, length.customers)?;
    let september = row::spread(0..length.records, SEPTEMBER_S, OCTOBER_S - SEPTEMBER_S);
    row::import(&database, september.chain(october(length.records..2 * length.records)))?;

    let mut report = Report::start("mixed", &length)?;
    let imports =
        ask_during(&database, &keys, &length, |is_over| import_until(is_over, &database, &length))?;
    say(&imports, &mut report);
    let backups =
        ask_during(&database, &keys, &length, |is_over| back_up_until(is_over, &database))?;
    say(&backups, &mut report);
    let records = ask_during(&database, &keys, &length, |is_over| {
        Ok(format!("beside {}", words(&record_until(is_over, &database)?)))
    })?;
    say(&records, &mut report);
    for (during, asked) in [("imports", &imports), ("backups", &backups)] {
        let judged = |what: &str| format!("{what}, during {during}");
        let (p999, slowest) = (milliseconds(&asked.all, 0.999), milliseconds(&asked.all, 1.0));
        report.judge(&judged("p99.9 of answers"), p999, " ms", P999_BAR);
        report.judge(&judged("slowest answer"), slowest, " ms", SLOWEST_BAR);
        let problems = asked.problems.len() as f64;
        report.judge(&judged("requests refused or broken off"), problems, "", NONE);
    }
    report.finish(length == FULL)
}

/// What comes in meanwhile: usage of a month that is asked about.
fn october(rows: std::ops::Range<usize>) -> impl Iterator<Item = row::Row> {
    row::spread(rows, OCTOBER_S, NOVEMBER_S - OCTOBER_S)
}

/// What is asked.
#[derive(Clone, Copy)]
enum Kind {
    Usage,
    License,
    Bill,
}

/// Their names.
const KINDS: [&str; 3] = ["usage", "license", "bill"];

/// As many requests, in no order: usage pages of varied days and limits, licenses of varied
/// customers, and pages of a month's bill.
fn requests(keys: &Keys, customers: usize, count: usize) -> Vec<(Kind, Vec<u8>)> {
    let pages =
        target::pages(&keys.test, &books::days(SEPTEMBER_S..NOVEMBER_S), row::PROJECTS, count);
    let october = books::window(OCTOBER_S, NOVEMBER_S - OCTOBER_S);
    let request = |n: usize| {
        // Of every 100, so many of each kind.
        match n % 100 {
            rest if rest < 70 => (Kind::Usage, pages[n % pages.len()].clone()),
            rest if rest < 97 => (
                Kind::License,
                target::license(&keys.test, &books::licensed(n * 7_919 % customers)),
            ),
            rest => (
                Kind::Bill,
                target::page(&keys.test, "/bill", october, 1 + (n / 100 + rest) % 10, 100),
            ),
        }
    };
    let mut requests: Vec<_> =
        (0..count).map(request).map(|(kind, target)| (kind, target::get(&target))).collect();
    target::shuffle(&mut requests);
    requests
}

/// What came of it.
struct Asked {
    /// Each answer's time from when its request was due, of all kinds together.
    all: Histogram<u64>,
    /// The same of each kind.
    by_kind: [Histogram<u64>; KINDS.len()],
    /// Why requests were refused or broke off.
    problems: Vec<String>,
    /// What was done meanwhile.
    meanwhile: String,
    memory_kib: (u64, u64),
    log_bytes: u64,
}

/// Asks while `work` is done, until it is told that it is over; it says what it did.
fn ask_during(
    database: &Path,
    keys: &Keys,
    length: &Length,
    work: impl FnOnce(&AtomicBool) -> Outcome<String> + Send,
) -> Outcome<Asked> {
    let server = Server::agora_vendor(database)?;
    let requests = requests(keys, length.customers, length.seconds * RATE as usize);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(begin(server.address, keys))?;
    let is_over = AtomicBool::new(false);
    let (answers, meanwhile) = thread::scope(|scope| -> Outcome<_> {
        let working = scope.spawn(|| work(&is_over));
        thread::sleep(AHEAD);
        let answers = runtime.block_on(ask(server.address, requests));
        is_over.store(true, Ordering::Relaxed);
        let meanwhile = working.join().map_err(|_| "what was done meanwhile panicked")??;
        Ok((answers, meanwhile))
    })?;

    let mut asked = Asked {
        all: histogram(),
        by_kind: KINDS.map(|_| histogram()),
        problems: Vec::new(),
        meanwhile,
        memory_kib: server.memory_kib()?,
        log_bytes: database.with_extension("db-wal").metadata()?.len(),
    };
    for (kind, answer) in answers {
        match answer {
            Ok(took) => {
                asked.all.record(nanoseconds(took))?;
                asked.by_kind[kind as usize].record(nanoseconds(took))?;
            }
            Err(problem) => asked.problems.push(problem),
        }
    }
    Ok(asked)
}

/// Asks for page 1 of all that is asked for: before that there are no later pages.
async fn begin(address: SocketAddr, keys: &Keys) -> Outcome {
    let mut connection = Connection::open(address).await?;
    let october = books::window(OCTOBER_S, NOVEMBER_S - OCTOBER_S);
    let mut first = target::first_pages(&keys.test, &books::days(SEPTEMBER_S..NOVEMBER_S));
    first.push(target::page(&keys.test, "/bill", october, 1, 100));
    for target in first {
        connection.ask(&target::get(&target)).await?;
    }
    Ok(())
}

/// Imports one set of rows after another, of ids that none had before, until it is over; the last
/// one is cut short.
fn import_until(is_over: &AtomicBool, database: &Path, length: &Length) -> Outcome<String> {
    let (mut imports, imported, start) = (0, AtomicUsize::new(0), Instant::now());
    while !is_over.load(Ordering::Relaxed) {
        let first = 2 * length.records + imports * length.rows;
        let rows =
            october(first..first + length.rows).take_while(|_| !is_over.load(Ordering::Relaxed));
        row::import(database, rows.inspect(|_| _ = imported.fetch_add(1, Ordering::Relaxed)))?;
        imports += 1;
    }
    let imported = imported.into_inner();
    let a_second = imported as f64 / start.elapsed().as_secs_f64();
    Ok(format!("{imports} imports took {imported} rows, {a_second:.0} a second"))
}

/// Runs a command of the executable, and gives how long it took.
fn run(database: &Path, arguments: &[&str]) -> Outcome<Duration> {
    let start = Instant::now();
    let mut command = Command::new(report::EXECUTABLE);
    command.arg("--db").arg(database).args(arguments).stdout(Stdio::null());
    let status = command.stderr(Stdio::null()).status()?;
    if !status.success() {
        return Err(format!("{arguments:?} ends with {status}").into());
    }
    Ok(start.elapsed())
}

/// Records some ten times a second, until it is over, and gives how long each took.
fn record_until(is_over: &AtomicBool, database: &Path) -> Outcome<Histogram<u64>> {
    let mut times = histogram();
    while !is_over.load(Ordering::Relaxed) {
        times.record(nanoseconds(run(database, &["record", "recorded-beside", "1"])?))?;
        thread::sleep(BETWEEN_RECORDS);
    }
    Ok(times)
}

fn words(records: &Histogram<u64>) -> String {
    let [p50, p99, max] = [0.5, 0.99, 1.0].map(|quantile| milliseconds(records, quantile));
    format!("{} records, each in p50 {p50:.1} ms, p99 {p99:.1} ms, max {max:.1} ms", records.len())
}

/// Backs the books up one time after another, and records beside it, until it is over.
fn back_up_until(is_over: &AtomicBool, database: &Path) -> Outcome<String> {
    let copy = database.with_extension("copy");
    thread::scope(|scope| -> Outcome<_> {
        let recording = scope.spawn(|| record_until(is_over, database));
        let (mut backups, mut bytes, start) = (0, 0, Instant::now());
        while !is_over.load(Ordering::Relaxed) {
            run(database, &["backup", &copy.to_string_lossy()])?;
            bytes = copy.metadata()?.len();
            fs::remove_file(&copy)?;
            backups += 1;
        }
        let each_s = start.elapsed().as_secs_f64() / f64::from(backups);
        let records = recording.join().map_err(|_| "recording panicked")??;
        let mib = bytes >> 20;
        let beside = words(&records);
        Ok(format!("{backups} backups of {mib} MiB were made, {each_s:.1} s each, beside {beside}"))
    })
}

/// Sends each request at its time, on a connection of its own, whether or not those before it have
/// been answered; gives how long each took from then on, or why it failed.
async fn ask(
    address: SocketAddr,
    requests: Vec<(Kind, Vec<u8>)>,
) -> Vec<(Kind, Result<Duration, String>)> {
    let mut due = TokioInstant::now();
    let mut asking = JoinSet::new();
    for (kind, request) in requests {
        due += Duration::from_secs(1) / RATE;
        asking.spawn(async move {
            sleep_until(due).await;
            let answered =
                async { Connection::open(address).await?.ask(&request).await.map(|_| ()) };
            let answered: Outcome = answered.await;
            (kind, answered.map(|()| due.elapsed()).map_err(|error| error.to_string()))
        });
    }
    asking.join_all().await
}

fn say(asked: &Asked, report: &mut Report) {
    report.say(&format!("\n{RATE} requests a second while {}", asked.meanwhile));
    report.say("   of       answers    p50 ms    p99 ms  p99.9 ms    max ms");
    let all = std::iter::once(("all", &asked.all));
    for (name, times) in KINDS.into_iter().zip(&asked.by_kind).chain(all) {
        let [p50, p99, p999, max] =
            [0.5, 0.99, 0.999, 1.0].map(|quantile| milliseconds(times, quantile));
        report.say(&format!(
            "   {name:8} {:7}  {p50:8.2}  {p99:8.2}  {p999:8.2}  {max:8.2}",
            times.len()
        ));
    }
    for problem in asked.problems.iter().take(10) {
        report.say(&format!("   failed: {problem}"));
    }
    let (now, most) = asked.memory_kib;
    report.say(&format!("   server's memory: {now} KiB resident, {most} KiB at most"));
    report.say(&format!(
        "   write-ahead log: {} KiB at the end, which is the most that it had",
        asked.log_bytes >> 10
    ));
}

fn milliseconds(times: &Histogram<u64>, quantile: f64) -> f64 {
    microseconds(times.value_at_quantile(quantile)) / 1e3
}
