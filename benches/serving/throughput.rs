//! First: requests per second beside a bare server, both under the same load in turn.

use crate::Outcome;
use crate::client::{Connection, Load};
use crate::length::Length;
use crate::process::Server;
use crate::report::{Bar, Report, median, microseconds};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Keep-alive connections of the load.
const CONNECTIONS: usize = 64;
/// Each server is under load for this long before anything counts.
const WARM_UP: Duration = Duration::from_secs(1);
/// Of the bare server's requests per second, at least.
const BAR: Bar = Bar::AtLeast(0.15);

/// Measures `ours`; the bare server's body goes through a file in `directory`.
pub async fn measure(ours: &Server, target: &str, directory: &Path, length: &Length, report: &mut Report) -> Outcome {
    let body = answer(ours, target).await?;
    let body_file = directory.join("body.json");
    fs::write(&body_file, &body)?;
    let bare = Server::bare(&body_file)?;
    assert_eq!(answer(&bare, target).await?, body, "both servers answer the same bytes");

    report.say(&format!(
        "\n1. {CONNECTIONS} connections asking for one day at limit 100, {} records in the month, {} bytes an answer",
        length.records,
        body.len()
    ));
    for server in [&bare, ours] {
        Load::put(server.address, target, CONNECTIONS, WARM_UP.min(length.round)).await?;
    }
    report.say("   round  server  requests/s    p50 us    p99 us  processor us/request");
    let (mut requests, mut processor) = (Vec::new(), Vec::new());
    for round in 1..=length.rounds {
        let bare = load(&bare, "bare", target, round, length, report).await?;
        let ours = load(ours, "ours", target, round, length, report).await?;
        requests.push(ours.per_second / bare.per_second);
        processor.push(bare.processor_us / ours.processor_us);
    }
    report.say(&format!("   processor time a request, bare / ours, median of the rounds: {:.3}", median(&processor)));
    report.judge("requests per second, ours / bare, median of the rounds", median(&requests), "", BAR);
    Ok(())
}

async fn answer(server: &Server, target: &str) -> Outcome<Vec<u8>> {
    Ok(Connection::open(server.address, target).await?.ask().await?.to_vec())
}

/// What a round of load came to.
struct Round {
    /// Answers a second.
    per_second: f64,
    /// The server's processor time for each answer, in microseconds.
    processor_us: f64,
}

/// Puts one round of load on a server and reports it.
async fn load(
    server: &Server,
    name: &str,
    target: &str,
    round: usize,
    length: &Length,
    report: &mut Report,
) -> Outcome<Round> {
    let taken = server.processor_time()?;
    let load = Load::put(server.address, target, CONNECTIONS, length.round).await?;
    let taken = server.processor_time()? - taken;
    let processor_us = taken.as_secs_f64() * 1e6 / load.latencies.len() as f64;
    report.say(&format!(
        "   {round:5}  {name:6}  {:10.0}  {:8.0}  {:8.0}  {processor_us:20.1}",
        load.per_second(),
        microseconds(load.latencies.value_at_quantile(0.5)),
        microseconds(load.latencies.value_at_quantile(0.99)),
    ));
    Ok(Round { per_second: load.per_second(), processor_us })
}
