//! Eighth: a month's bill of many projects, followed page by page while its month goes on changing.

use crate::Outcome;
use crate::books::{self, Keys, NOVEMBER_S, OCTOBER_S};
use crate::client::{Connection, histogram, nanoseconds};
use crate::length::Length;
use crate::process::Server;
use crate::report::{Bar, Report, microseconds};
use crate::row::{self, Row, amount, whole};
use crate::seeding;
use crate::target;
use agora_vendor::billing::record::NewRecord;
use agora_vendor::store::{Store, usage};
use std::path::Path;
use std::time::Instant;

/// Projects on the bill.
const WIDE: usize = 10_000;
/// Entries on a page, and so pages.
const LIMIT: usize = 1_000;
const PAGES: usize = WIDE / LIMIT;
/// Milliseconds, at most, at the 99th percentile.
const FIRST_BAR: Bar = Bar::AtMost(250.0);
const LATER_BAR: Bar = Bar::AtMost(5.0);

/// Measures the pages of a bill that is another one each time.
pub async fn measure(directory: &Path, keys: &Keys, length: &Length, report: &mut Report) -> Outcome {
    let database = directory.join("wide.db");
    books::create(&database, keys)?;
    let (records, month_s) = (length.records, NOVEMBER_S - OCTOBER_S);
    row::import(
        &database,
        (0..records).map(|n| Row {
            n,
            project: n * 7_919 % WIDE,
            amount: amount(n),
            at_s: OCTOBER_S + whole(n) * month_s / whole(records),
        }),
    )?;
    let server = Server::agora_vendor(&database)?;
    let mut store = Store::open(&database)?;
    report.say(&format!(
        "\n8. a month's bill of {WIDE} projects with {records} records, {PAGES} pages, {} times; before each a record of the month, and another before each later page",
        length.requests
    ));
    // As Agora asks, so that each bill is kept before its last page goes out.
    let requests: Vec<Vec<u8>> = (1..=PAGES)
        .map(|page| target::get(&target::page(&keys.live, "/bill", seeding::month(), page, LIMIT)))
        .collect();
    let mut connection = Connection::open(server.address).await?;
    let (mut first, mut later, mut last) = (histogram(), histogram(), histogram());
    let mut commits = 0..;
    for _ in 0..length.requests {
        for ((page, request), commit) in (1..).zip(&requests).zip(commits.by_ref()) {
            commit_within(&mut store, commit)?;
            let asked = Instant::now();
            connection.ask(request).await?;
            let took = nanoseconds(asked.elapsed());
            match page {
                1 => first.record(took)?,
                PAGES => last.record(took)?,
                _ => later.record(took)?,
            }
        }
    }
    for (title, latencies, bar) in [
        ("page 1", first, Some(FIRST_BAR)),
        ("later pages", later, Some(LATER_BAR)),
        ("the last, once it is kept", last, None),
    ] {
        let milliseconds = |quantile| microseconds(latencies.value_at_quantile(quantile)) / 1e3;
        let (p50, p99, max) = (milliseconds(0.5), milliseconds(0.99), milliseconds(1.0));
        report.say(&format!("   {title}: p50 {p50:.2} ms, p99 {p99:.2} ms, max {max:.2} ms"));
        if let Some(bar) = bar {
            report.judge(&format!("a month's bill, {title}, p99"), p99, " ms", bar);
        }
    }
    Ok(())
}

/// Commits one record of the month that is asked about. No two calls have the same `n`.
fn commit_within(store: &mut Store, n: usize) -> Outcome {
    let record = NewRecord {
        id: format!("within-{n}").parse()?,
        project_id: row::project_id(n % WIDE).parse()?,
        amount: amount(n).parse()?,
        at_s: Some(OCTOBER_S + whole(n)),
        customer_id: None,
        note: None,
    };
    match store.write(|tx| usage::record(tx, &record, &books::stamp()))? {
        Ok(_) => Ok(()),
        Err(refusal) => Err(format!("a record was not written: {refusal:?}").into()),
    }
}
