//! Fourth: the same page with few records behind it and with many.

use crate::client::{Connection, histogram, nanoseconds};
use crate::length::Length;
use crate::process::Server;
use crate::report::{Bar, Report, microseconds};
use crate::seeding::{self, FEW_RECORDS};
use crate::{Outcome, target};
use agora_vendor::billing::key::KeyPair;
use agora_vendor::billing::period::Period;
use agora_vendor::store::Store;
use hdrhistogram::Histogram;
use std::path::Path;
use std::time::Instant;

/// Of the time with few records, at most.
const BAR: Bar = Bar::AtMost(1.2);
/// Requests to a new server before anything counts.
const WARM_UP: usize = 10;
const NAMES: [&str; 2] = ["few", "many"];

/// What happens to the books before each request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Nothing: the server may use again what it made before.
    Nothing,
    /// A commit of another process: it must make its answer anew.
    Commit,
}

/// Books that are asked, and commits to them.
struct Side<'a> {
    database: &'a Path,
    store: Store,
    commits: usize,
}

/// A server on one side's books.
struct Asked {
    connection: Connection,
    _server: Server,
}

/// Measures the books with few records and those with many, by the pages of the windows told.
pub async fn measure(
    databases: [&Path; 2],
    pair: &KeyPair,
    windows: [(&str, Period); 2],
    length: &Length,
    report: &mut Report,
) -> Outcome {
    let [few, many] = databases;
    let mut sides = [Side::open(few)?, Side::open(many)?];
    report.say(&format!(
        "\n4. one connection asking in turn for the same page with {FEW_RECORDS} records behind \
         it and with {}",
        length.many
    ));
    report.say(
        "   page and books                                records    p50 us    p99 us    max us",
    );
    for (name, window) in windows {
        let request = target::get(&target::page(pair, "/usage", window, 1, 100));
        for (before, title) in [
            (Before::Nothing, "unchanged between requests"),
            (Before::Commit, "with a commit before each request"),
        ] {
            compare(&mut sides, &request, before, &format!("{name}, {title}"), length, report)
                .await?;
        }
    }
    Ok(())
}

/// Compares the sides by several pairs of servers, since where the system happens to put the
/// threads of one changes its times by a third for as long as it runs.
async fn compare(
    sides: &mut [Side<'_>; 2],
    request: &[u8],
    before: Before,
    title: &str,
    length: &Length,
    report: &mut Report,
) -> Outcome {
    let mut totals = NAMES.map(|_| histogram());
    for pair in 1..=length.pairs {
        // Nor may it matter which server is there first.
        let latencies =
            ask_in_turn(sides, request, before, [pair % 2, 1 - pair % 2], length.requests).await?;
        for ((name, latencies), total) in NAMES.iter().zip(&latencies).zip(&mut totals) {
            report.keep(&line(&format!("{title}, pair {pair}"), name, latencies));
            total.add(latencies)?;
        }
    }
    for (name, total) in NAMES.iter().zip(&totals) {
        report.say(&line(title, name, total));
    }
    let [few, many] = totals.map(|total| microseconds(total.value_at_quantile(0.5)));
    report.judge(&format!("median time, many / few records: {title}"), many / few, "", BAR);
    Ok(())
}

fn line(title: &str, name: &str, latencies: &Histogram<u64>) -> String {
    let [p50, p99] =
        [0.5, 0.99].map(|quantile| microseconds(latencies.value_at_quantile(quantile)));
    format!("   {title:44}  {name:7}  {p50:8.1}  {p99:8.1}  {:8.1}", microseconds(latencies.max()))
}

/// Asks a new pair of servers, started in the order told, so often; the one that is first second
/// the next time.
async fn ask_in_turn(
    sides: &mut [Side<'_>; 2],
    request: &[u8],
    before: Before,
    order: [usize; 2],
    requests: usize,
) -> Outcome<[Histogram<u64>; 2]> {
    let mut servers = Vec::new();
    for side in order {
        servers.push((side, Asked::start(sides[side].database).await?));
    }
    let body = servers[0].1.connection.ask(request).await?.to_vec();
    let mut latencies = NAMES.map(|_| histogram());
    for n in 0..WARM_UP + requests {
        servers.reverse();
        for (side, server) in &mut servers {
            sides[*side].prepare(before)?;
            let took_ns = server.ask(request, &body).await?;
            if n >= WARM_UP {
                latencies[*side].record(took_ns)?;
            }
        }
    }
    Ok(latencies)
}

impl<'a> Side<'a> {
    fn open(database: &'a Path) -> Outcome<Self> {
        Ok(Self { database, store: Store::open(database)?, commits: 0 })
    }

    fn prepare(&mut self, before: Before) -> Outcome {
        if before == Before::Commit {
            seeding::commit_elsewhere(&mut self.store, self.commits)?;
            self.commits += 1;
        }
        Ok(())
    }
}

impl Asked {
    async fn start(database: &Path) -> Outcome<Self> {
        let server = Server::agora_vendor(database)?;
        Ok(Self { connection: Connection::open(server.address).await?, _server: server })
    }

    /// Asks once; the time to the whole answer in nanoseconds.
    async fn ask(&mut self, request: &[u8], body: &[u8]) -> Outcome<u64> {
        let asked = Instant::now();
        let answer = self.connection.ask(request).await?;
        let took = asked.elapsed();
        assert_eq!(answer, body, "the page is the same on both sides and stays so");
        Ok(nanoseconds(took))
    }
}
