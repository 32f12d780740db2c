//! Fifth: half a day of a project whose records are all on that day.

use crate::Outcome;
use crate::books;
use crate::client::{Connection, histogram, nanoseconds};
use crate::length::Length;
use crate::process::Server;
use crate::report::{Bar, Report, microseconds};
use crate::seeding::{self, ASKED_DAY_S};
use crate::target;
use agora_vendor::billing::key::KeyPair;
use agora_vendor::store::Store;
use std::path::Path;
use std::time::Instant;

/// Milliseconds, at most, even for the slowest answer.
const BAR: Bar = Bar::AtMost(250.0);
const HALF_HOUR_S: i64 = 1_800;
const HALF_DAY_S: i64 = 43_200;

/// Measures windows of half a day, each answer made anew.
pub async fn measure(
    database: &Path,
    pair: &KeyPair,
    length: &Length,
    report: &mut Report,
) -> Outcome {
    let server = Server::agora_vendor(database)?;
    let mut store = Store::open(database)?;
    let mut commits = 0..;
    report.say(&format!(
        "\n5. half a day of one project with {} records on that day, {} times, a commit before \
         each request",
        length.records, length.half_days
    ));
    // The second window's ends are as far from whole hours as can be: an hour of ledger is read.
    // The third ends in the very second in which half of all records lie.
    for (title, from_s) in [
        ("00:00:00 to 11:59:59", 0),
        ("00:30:00 to 12:29:59", HALF_HOUR_S),
        ("00:00:01 to 12:00:00", 1),
    ] {
        let window = books::window(ASKED_DAY_S + from_s, HALF_DAY_S);
        let request = target::get(&target::page(pair, "/usage", window, 1, 100));
        let mut connection = Connection::open(server.address).await?;
        let mut latencies = histogram();
        let mut each = Vec::new();
        for commit in commits.by_ref().take(length.half_days) {
            seeding::commit_elsewhere(&mut store, commit)?;
            let asked = Instant::now();
            connection.ask(&request).await?;
            let took = nanoseconds(asked.elapsed());
            latencies.record(took)?;
            each.push(format!("{:.2}", microseconds(took) / 1e3));
        }
        let milliseconds = |quantile| microseconds(latencies.value_at_quantile(quantile)) / 1e3;
        report.say(&format!(
            "   {title}: p50 {:.2} ms, max {:.2} ms",
            milliseconds(0.5),
            milliseconds(1.0)
        ));
        report.keep(&format!("   each, in ms: {}", each.join(" ")));
        report.judge(&format!("slowest answer, {title}"), milliseconds(1.0), " ms", BAR);
    }
    Ok(())
}
