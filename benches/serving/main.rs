//! How fast the server answers, as it is installed: the real executable, a real socket, full books.
//!
//! Requests per second beside a bare hyper server that answers the same bytes; the same page with
//! few records behind it and with many; half a day of a project whose records are all on that day;
//! provisioning calls while 50 processes record; and the server's memory, size and start. See
//! `benches/README.md`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark tells what it measured"
)]
#![expect(clippy::float_arithmetic, reason = "times and ratios are measured, not accounted")]

mod bare;
mod growth;
mod half_day;
mod length;
mod load;
mod provisioning;
mod seeding;
mod start;
mod throughput;

#[path = "../common/books.rs"]
mod books;
#[path = "../common/client.rs"]
mod client;
#[path = "../common/entry.rs"]
mod entry;
#[path = "../common/machine.rs"]
mod machine;
#[path = "../common/process.rs"]
mod process;
#[path = "../common/report.rs"]
mod report;
#[expect(dead_code, reason = "no bare loop here")]
#[path = "../common/row.rs"]
mod row;
#[path = "../common/target.rs"]
mod target;
#[path = "../common/variable.rs"]
mod variable;

use books::{Keys, NOVEMBER_S, SEPTEMBER_S};
use length::Length;
use process::Server;
use report::{Bar, Report};
use row::PROJECTS;
use seeding::Books;
use std::error::Error;
use std::process::ExitCode;
use throughput::Case;

/// A result with whatever went wrong.
type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// MiB of memory under load, and of the executable, at most.
const MEMORY_BAR: Bar = Bar::AtMost(24.0);
const EXECUTABLE_BAR: Bar = Bar::AtMost(12.0);

fn main() -> ExitCode {
    match bare::asked_for() {
        Some(answers) => entry::ended(bare::serve(&answers).map(|()| true)),
        None => entry::measured("serving", measure),
    }
}

/// Measures everything; tells whether every bar was met.
fn measure() -> Outcome<bool> {
    let length = Length::from_environment()?;
    let keys = Keys::make();
    let books = Books::seed(&keys, &length)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;

    let mut report = Report::start("serving", &length)?;
    report.say(&format!("books:      {}", books.description()?));
    let large = Server::agora_vendor(&books.large)?;
    for case in cases(&keys, &length) {
        runtime.block_on(throughput::measure(
            &large,
            &case,
            books.directory.path(),
            &length,
            &mut report,
        ))?;
    }
    judge_size(&large, &mut report)?;
    drop(large);
    start::measure(&books.many, &length, &mut report)?;
    let windows = [("a day", seeding::day()), ("the month", seeding::month())];
    runtime.block_on(growth::measure(
        [&books.few, &books.many],
        &keys.test,
        windows,
        &length,
        &mut report,
    ))?;
    runtime.block_on(half_day::measure(&books.crowded, &keys.test, &length, &mut report))?;
    runtime.block_on(provisioning::measure(&books.large, &keys.live, &length, &mut report))?;
    report.finish(length.is_full())
}

/// What is asked under load.
fn cases(keys: &Keys, length: &Length) -> [Case; 3] {
    let day = target::page(&keys.test, "/usage", seeding::day(), 1, 100);
    let days = books::days(SEPTEMBER_S..NOVEMBER_S);
    let mut customers: Vec<usize> = (0..length.customers).collect();
    target::shuffle(&mut customers);
    let licenses = customers.into_iter().map(|n| target::license(&keys.test, &books::licensed(n)));
    [
        Case {
            title: "1. one day's usage at limit 100".to_owned(),
            first: Vec::new(),
            targets: vec![day],
            bar: 0.5,
        },
        Case {
            title: "2. another day, page and limit each time".to_owned(),
            first: target::first_pages(&keys.test, &days),
            targets: target::pages(&keys.test, &days, PROJECTS, length.pages),
            bar: 0.25,
        },
        Case {
            title: "3. a random customer's license".to_owned(),
            first: Vec::new(),
            targets: licenses.collect(),
            bar: 0.4,
        },
    ]
}

/// Holds against their bars what the server takes: its memory is the most that it had since its
/// start.
fn judge_size(server: &Server, report: &mut Report) -> Outcome {
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let (_, most_kib) = server.memory_kib()?;
    report.judge(
        "memory of the server under load, the most it had",
        mebibytes(most_kib << 10),
        " MiB",
        MEMORY_BAR,
    );
    report.judge(
        "the executable, stripped",
        mebibytes(report::executable_bytes()?),
        " MiB",
        EXECUTABLE_BAR,
    );
    Ok(())
}
