//! First to third: requests per second beside a bare server, both under the same load in turn.

use crate::Outcome;
use crate::bare::{self, AnswersFile};
use crate::client::Connection;
use crate::length::Length;
use crate::load::Load;
use crate::process::Server;
use crate::report::{Bar, Report, median, microseconds};
use crate::target;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Keep-alive connections of the load.
const CONNECTIONS: usize = 64;
/// Each server is under load for this long before anything counts.
const WARM_UP: Duration = Duration::from_secs(1);

/// What is asked, and how fast it must be.
pub struct Case {
    /// In words.
    pub title: String,
    /// What is asked for once, before anything is measured.
    pub first: Vec<String>,
    /// The targets, signed.
    pub targets: Vec<String>,
    /// Of the bare server's requests per second, at least.
    pub bar: f64,
}

/// Measures `ours`; the bare server's answers go through a file in `directory`.
pub async fn measure(
    ours: &Server,
    case: &Case,
    directory: &Path,
    length: &Length,
    report: &mut Report,
) -> Outcome {
    for target in &case.first {
        answer(ours, &target::get(target)).await?;
    }
    let file = directory.join("answers.txt");
    let bytes = keep_answers(ours, &case.targets, &file).await?;
    let bare = bare::start(&file)?;
    let requests: Arc<[Vec<u8>]> = case.targets.iter().map(|target| target::get(target)).collect();
    let (first, last) = (&requests[0], &requests[requests.len() - 1]);
    for request in [first, last] {
        assert_eq!(
            answer(&bare, request).await?,
            answer(ours, request).await?,
            "both answer the same bytes"
        );
    }

    report.say(&format!(
        "\n{}: {CONNECTIONS} connections, {} different requests, {} bytes an answer",
        case.title,
        requests.len(),
        bytes / requests.len()
    ));
    for server in [&bare, ours] {
        Load::put(server.address, &requests, CONNECTIONS, WARM_UP.min(length.round())).await?;
    }
    report.say("   round  server  requests/s    p50 us    p99 us  processor us/request");
    let (mut speeds, mut processor) = (Vec::new(), Vec::new());
    for round in 1..=length.rounds {
        let bare = load(&bare, "bare", &requests, round, length, report).await?;
        let ours = load(ours, "ours", &requests, round, length, report).await?;
        speeds.push(ours.per_second / bare.per_second);
        processor.push(bare.processor_us / ours.processor_us);
    }
    report.say(&format!(
        "   processor time a request, bare / ours, median of the rounds: {:.3}",
        median(&processor)
    ));
    let (now, most) = ours.memory_kib()?;
    report.say(&format!("   memory at the end: {now} KiB resident, {most} KiB at most so far"));
    report.judge(
        &format!("requests per second, ours / bare: {}", case.title),
        median(&speeds),
        "",
        Bar::AtLeast(case.bar),
    );
    Ok(())
}

/// Asks for each target once and keeps the answers for the bare server; the bytes of all bodies.
async fn keep_answers(ours: &Server, targets: &[String], file: &Path) -> Outcome<usize> {
    let mut connection = Connection::open(ours.address).await?;
    let mut answers = AnswersFile::create(file)?;
    let mut bytes = 0;
    for target in targets {
        let body = connection.ask(&target::get(target)).await?;
        bytes += body.len();
        answers.add(target, body)?;
    }
    answers.finish()?;
    Ok(bytes)
}

async fn answer(server: &Server, request: &[u8]) -> Outcome<Vec<u8>> {
    Ok(Connection::open(server.address).await?.ask(request).await?.to_vec())
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
    requests: &Arc<[Vec<u8>]>,
    round: usize,
    length: &Length,
    report: &mut Report,
) -> Outcome<Round> {
    let taken = server.processor_time()?;
    let load = Load::put(server.address, requests, CONNECTIONS, length.round()).await?;
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
