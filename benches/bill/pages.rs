//! First: a bill followed page by page, once while its month goes on changing, and once as fast as
//! it can be asked.

use crate::books::{self, Keys, NOVEMBER_S, OCTOBER_S};
use crate::client::{Connection, histogram, nanoseconds};
use crate::process::Server;
use crate::report::{Bar, Report};
use crate::row::{self, Row, amount, whole};
use crate::{Length, Outcome, milliseconds, record, run};
use agora_vendor::store::Store;
use hdrhistogram::Histogram;
use std::path::Path;
use std::time::Instant;

/// Milliseconds, at most, at the 99th percentile.
const FIRST_BAR: Bar = Bar::AtMost(250.0);
const LATER_BAR: Bar = Bar::AtMost(5.0);

/// Measures the pages of a bill that is another one each time, and so is kept each time.
pub async fn measure(
    database: &Path,
    keys: &Keys,
    length: &Length,
    report: &mut Report,
) -> Outcome {
    books::create(database, keys, length.projects)?;
    let (records, month_s) = (length.records, NOVEMBER_S - OCTOBER_S);
    row::import(
        database,
        (0..records).map(|n| Row {
            n,
            project: n * 7_919 % length.projects,
            amount: amount(scattered(n)),
            at_s: OCTOBER_S + whole(n) * month_s / whole(records),
        }),
    )?;
    let bytes_before = bytes_of_copy(database, "before")?;
    let server = Server::agora_vendor(database)?;
    let mut store = Store::open(database)?;
    let requests = length.requests(keys, books::window(OCTOBER_S, month_s));
    report.say(&format!(
        "\n1. a month's bill of {} projects with {records} records, {} pages, {} times each way; \
         before each time a record of the month",
        length.projects,
        requests.len(),
        length.bills
    ));
    let mut connection = Connection::open(server.address).await?;
    let mut commits = 0..;
    for (title, is_spaced) in
        [("another before each later page", true), ("no pause between pages", false)]
    {
        report.say(&format!("   {title}"));
        let (mut first, mut later, mut last) = (histogram(), histogram(), histogram());
        for _ in 0..length.bills {
            for (page, request) in (1..).zip(&requests) {
                if let Some(n) = commits.next().filter(|_| is_spaced || page == 1) {
                    record(
                        &mut store,
                        format!("within-{n}"),
                        n % length.projects,
                        OCTOBER_S + whole(n),
                    )?;
                }
                let asked = Instant::now();
                connection.ask(request).await?;
                let took = nanoseconds(asked.elapsed());
                let pages = if page == 1 { &mut first } else { &mut later };
                pages.record(took)?;
                if page == requests.len() {
                    last.record(took)?;
                }
            }
        }
        judge(title, [first, later, last], report);
    }
    let kept = bytes_of_copy(database, "after")? - bytes_before;
    let entries = 2 * length.bills * length.projects;
    report.say(&format!(
        "   what was told takes {:.1} bytes a project and bill",
        kept as f64 / entries as f64
    ));
    Ok(())
}

/// Says how long page 1, later pages and the last ones took.
fn judge(title: &str, [first, later, last]: [Histogram<u64>; 3], report: &mut Report) {
    for (pages, latencies, bar) in [
        ("page 1", first, Some(FIRST_BAR)),
        ("later pages", later, Some(LATER_BAR)),
        ("of these the last, once the bill is kept", last, None),
    ] {
        let [p50, p99, max] = milliseconds(&latencies);
        report.say(&format!("     {pages}: p50 {p50:.2} ms, p99 {p99:.2} ms, max {max:.2} ms"));
        if let Some(bar) = bar {
            report.judge(&format!("a month's bill, {title}: {pages}, p99"), p99, " ms", bar);
        }
    }
}

/// A number like chance, the same in every run (Knuth's multiplicative hash).
fn scattered(n: usize) -> usize {
    n.wrapping_mul(11_400_714_819_323_198_485) >> 20
}

/// The size of a copy of the books.
fn bytes_of_copy(database: &Path, name: &str) -> Outcome<u64> {
    let copy = database.with_extension(name);
    run(database, &["backup", copy.to_str().ok_or("a path that is no text")?])?;
    Ok(copy.metadata()?.len())
}
