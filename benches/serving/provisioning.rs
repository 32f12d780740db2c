//! Sixth: provisioning calls at a constant rate while many processes record.

use crate::Outcome;
use crate::client::{Connection, histogram, nanoseconds};
use crate::length::Length;
use crate::process::Server;
use crate::report::{Bar, EXECUTABLE, Report, microseconds};
use agora_vendor::agora::signature::{self, API_KEY, Encoding, SIGNATURE};
use agora_vendor::billing::key::KeyPair;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::{Instant as TokioInstant, sleep_until};

/// Calls a second.
const RATE: u32 = 20;
/// Processes that record, each again as soon as it is done.
const RECORDERS: usize = 50;
/// Milliseconds, at most, for 99 of 100 calls; Agora waits 500.
const BAR: Bar = Bar::AtMost(250.0);
const NONE: Bar = Bar::AtMost(0.0);

/// Measures accounts and projects being created: each call is sent at its time, whether or not
/// those before it have been answered, and counted from that time.
pub async fn measure(
    database: &Path,
    pair: &KeyPair,
    length: &Length,
    report: &mut Report,
) -> Outcome {
    let server = Server::agora_vendor(database)?;
    report.say(&format!(
        "\n6. accounts and projects created, {} calls at {RATE} a second, while {RECORDERS} \
         processes record",
        length.calls
    ));
    let recorders = Recorders::start(database);
    let start = Instant::now();
    let called = call(&server, pair, length.calls).await;
    let lasted = start.elapsed();
    let (recorded, lost) = recorders.stop()?;

    let mut latencies = histogram();
    let mut failed = 0_u32;
    for call in called? {
        match call {
            Ok(took) => latencies.record(nanoseconds(took))?,
            Err(problem) => {
                report.say(&format!("   failed: {problem}"));
                failed += 1;
            }
        }
    }
    let milliseconds = |quantile| microseconds(latencies.value_at_quantile(quantile)) / 1e3;
    report.say(&format!(
        "   p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, max {:.1} ms, while {:.0} records were \
         written a second",
        milliseconds(0.5),
        milliseconds(0.9),
        milliseconds(0.99),
        milliseconds(1.0),
        f64::from(recorded) / lasted.as_secs_f64()
    ));
    report.judge("p99 of provisioning calls beside 50 recorders", milliseconds(0.99), " ms", BAR);
    report.judge("provisioning calls that failed", f64::from(failed), "", NONE);
    report.judge("records that failed", f64::from(lost), "", NONE);
    Ok(())
}

/// Processes that record, again and again.
struct Recorders {
    told_to_stop: Arc<AtomicBool>,
    /// Each with the number of records that were written, and that were not.
    threads: Vec<JoinHandle<(u32, u32)>>,
}

impl Recorders {
    fn start(database: &Path) -> Self {
        let told_to_stop = Arc::new(AtomicBool::new(false));
        let recorder = |number: usize| {
            let (told_to_stop, database): (_, PathBuf) =
                (Arc::clone(&told_to_stop), database.to_owned());
            thread::spawn(move || {
                let (mut written, mut lost) = (0, 0);
                while !told_to_stop.load(Ordering::Relaxed) {
                    let done = record(&database, number).is_ok_and(|done| done);
                    *if done { &mut written } else { &mut lost } += 1;
                }
                (written, lost)
            })
        };
        let threads = (0..RECORDERS).map(recorder).collect();
        Self { told_to_stop, threads }
    }

    fn stop(self) -> Outcome<(u32, u32)> {
        self.told_to_stop.store(true, Ordering::Relaxed);
        let mut sums = (0, 0);
        for thread in self.threads {
            let (written, lost) = thread.join().map_err(|_| "a recorder panicked")?;
            sums = (sums.0 + written, sums.1 + lost);
        }
        Ok(sums)
    }
}

/// One record by a process of its own; tells whether it was written.
fn record(database: &Path, recorder: usize) -> Outcome<bool> {
    let mut command = Command::new(EXECUTABLE);
    command.arg("--db").arg(database).args(["record", &format!("recorder-{recorder}"), "0.01"]);
    Ok(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?.success())
}

/// Makes the calls, each on a connection of its own: in turn an account and, half a second later,
/// its project. Gives how long each took, or why it failed.
async fn call(
    server: &Server,
    pair: &KeyPair,
    calls: usize,
) -> Outcome<Vec<Result<Duration, String>>> {
    let (address, start) = (server.address, TokioInstant::now());
    let interval = Duration::from_secs(1) / RATE;
    let mut calling = JoinSet::new();
    for n in 0..calls {
        // The first project is created when ten accounts have been.
        let (path, fields) = match (n / 10 % 2, n / 20 * 10 + n % 10) {
            (0, customer) => {
                let customer_id = format!("new-{customer}");
                (
                    "/customers/new".to_owned(),
                    vec![("planId", "default".to_owned()), ("customerId", customer_id)],
                )
            }
            (_, customer) => {
                let path = format!("/customers/new-{customer}/projects/new");
                (path, vec![("projectId", format!("new-{customer}"))])
            }
        };
        let request = signed_post(pair, &path, &fields);
        let due = start + interval * u32::try_from(n)?;
        calling.spawn(async move {
            sleep_until(due).await;
            let answered =
                async { Connection::open(address).await?.ask(&request).await.map(|_| ()) };
            answered.await.map(|()| due.elapsed()).map_err(|error| error.to_string())
        });
    }
    Ok(calling.join_all().await)
}

/// A signed POST of a JSON object with these fields.
fn signed_post(pair: &KeyPair, path: &str, fields: &[(&str, String)]) -> Vec<u8> {
    let mut fields: Vec<(String, String)> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    fields.push((API_KEY.to_owned(), pair.api_key.to_string()));
    let source = signature::source_string("POST", path, &fields, Encoding::Form);
    fields.push((SIGNATURE.to_owned(), signature::sign(&pair.api_secret, &source)));
    let body = serde_json::Value::Object(
        fields.into_iter().map(|(name, value)| (name, value.into())).collect(),
    );
    let body = body.to_string();
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}
