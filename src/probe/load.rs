//! A hundred requests a second, each sent when its time has come, whether the one before was
//! answered or not: so a server that falls behind is seen to.

use crate::agora::outgoing::{Outgoing, Wire};
use crate::agora::received::Received;
use crate::probe::check::{Asker, Demand, Grade};
use crate::probe::client::{Absence, Caller};
use crate::probe::session::{PATIENCE, Session};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

const LOAD: Demand = Demand {
    name: "load",
    wanted: "100 requests a second, each answered within 500 ms",
    asker: Asker::Usage,
};

/// Requests a second.
const RATE: u32 = 100;
/// How long an answer is waited for that is late already, so that it is known how late.
const WAIT: Duration = Duration::from_secs(2);
/// So many requests are under way at most: as many as there can be within [`WAIT`].
const MOST_UNDERWAY: usize = 256;

/// How long answers took, in microseconds; what never came counts as the longest wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latencies {
    /// Half of the answers came within this time.
    pub p50_us: u64,
    /// 95 of 100.
    pub p95_us: u64,
    /// 99 of 100.
    pub p99_us: u64,
    /// All.
    pub max_us: u64,
}

impl Latencies {
    /// Of answers in any order; `None` of none.
    fn of(mut answers: Vec<u64>) -> Option<Self> {
        answers.sort_unstable();
        let at = |percent: usize| {
            // The least that so many per cent of the answers are within.
            let rank = (answers.len() * percent).div_ceil(100).max(1);
            answers.get(rank - 1).copied()
        };
        Some(Self { p50_us: at(50)?, p95_us: at(95)?, p99_us: at(99)?, max_us: at(100)? })
    }
}

/// One answer under load.
struct Timed {
    took: Duration,
    /// What is wrong with it.
    problem: Option<String>,
}

/// Asks for so many seconds, and tells how long answers took.
pub(super) async fn check(
    session: &mut Session,
    asked: &Outgoing,
    seconds: u32,
) -> Option<Latencies> {
    let sent = format!("{} a hundred times a second for {seconds} s", asked.words());
    let usage = session.findings.iter().find(|finding| finding.name == "usage answer");
    if session.is_over() || usage.is_none_or(|finding| finding.result == Grade::Fail) {
        session.add(LOAD.found("", Grade::Skip, &sent, "usage is not answered"));
        return None;
    }
    let wire = Arc::new(asked.signed(&session.signer));
    let timed = run(&session.client, &wire, seconds * RATE).await;
    let late = timed.iter().filter(|one| one.took > PATIENCE).count();
    let problem = timed.iter().find_map(|one| one.problem.clone());
    let failed = timed.iter().filter(|one| one.problem.is_some()).count();
    let micros = |one: &Timed| u64::try_from(one.took.as_micros()).unwrap_or(u64::MAX);
    let latencies = Latencies::of(timed.iter().map(micros).collect())?;
    let figures = format!(
        "{} requests: p50 {}, p95 {}, p99 {}, worst {} ms",
        timed.len(),
        milliseconds(latencies.p50_us),
        milliseconds(latencies.p95_us),
        milliseconds(latencies.p99_us),
        milliseconds(latencies.max_us)
    );
    let (result, got) = match problem {
        Some(problem) => (Grade::Fail, format!("{failed} not answered ({problem}); {figures}")),
        None if late > 0 => (Grade::Fail, format!("{late} answers too late; {figures}")),
        None => (Grade::Pass, figures),
    };
    session.add(LOAD.found("", result, &sent, &got));
    Some(latencies)
}

async fn run(client: &Arc<Caller>, wire: &Arc<Wire>, count: u32) -> Vec<Timed> {
    let began = Instant::now();
    let mut underway = JoinSet::new();
    let mut timed = Vec::new();
    for number in 0..count {
        let due = began + Duration::from_secs(1) * number / RATE;
        sleep_until(due).await;
        while let Some(done) = underway.try_join_next() {
            timed.extend(done.ok());
        }
        if underway.len() >= MOST_UNDERWAY {
            timed.extend(underway.join_next().await.and_then(Result::ok));
        }
        let (client, wire) = (Arc::clone(client), Arc::clone(wire));
        underway.spawn(async move { one(&client, &wire, due).await });
    }
    while let Some(done) = underway.join_next().await {
        timed.extend(done.ok());
    }
    timed
}

/// Sends one request, timed from when it was due.
async fn one(client: &Caller, wire: &Wire, due: Instant) -> Timed {
    let answer = client.send(wire, WAIT).await;
    let took = due.elapsed();
    let is_success =
        |body: &[u8]| Received::read(body).is_some_and(|read| read.is_success() == Some(true));
    let problem = match answer {
        Ok(reaction) if reaction.status != 200 => Some(format!("HTTP {}", reaction.status)),
        Ok(reaction) if is_success(&reaction.body) => None,
        Ok(_) => Some("HTTP 200 without status 0".to_owned()),
        Err(Absence::Late) => Some("no answer within 2 s".to_owned()),
        Err(absence) => Some(absence.to_string()),
    };
    Timed { took, problem }
}

/// Microseconds as milliseconds with three digits behind the point.
pub fn milliseconds(micros: u64) -> String {
    format!("{}.{:03}", micros / 1_000, micros % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let all = Latencies::of((1..=200).rev().collect()).expect("answers");
        assert_eq!((all.p50_us, all.p95_us, all.p99_us, all.max_us), (100, 190, 198, 200));
        let one = Latencies::of(vec![7]).expect("an answer");
        assert_eq!((one.p50_us, one.max_us), (7, 7));
        assert_eq!(Latencies::of(Vec::new()), None);
        assert_eq!(milliseconds(12_034), "12.034");
    }
}
