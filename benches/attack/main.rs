//! How long signed answers take while somebody without a key abuses the port: requests at a
//! constant rate, on new and on standing connections, beside one kind of abuse after another. See
//! `benches/README.md`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark tells what it measured"
)]
#![expect(clippy::float_arithmetic, reason = "times and ratios are measured, not accounted")]

mod abuse;
#[expect(dead_code, reason = "few customers and windows here")]
#[path = "../common/books.rs"]
mod books;
mod caddy;
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
#[expect(dead_code, reason = "one page, again and again")]
#[path = "../common/target.rs"]
mod target;
#[path = "../common/variable.rs"]
mod variable;

use abuse::Abuse;
use books::{Keys, OCTOBER_S, SEPTEMBER_S};
use caddy::Caddy;
use client::{Connection, histogram, nanoseconds};
use hdrhistogram::Histogram;
use process::Server;
use report::{Bar, Report, microseconds};
use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use variable::variable;

/// A result with whatever went wrong.
type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// How long it is asked, beside how many.
#[derive(Debug, PartialEq, Eq)]
struct Length {
    /// Records beforehand.
    records: usize,
    /// Connections of an abuse.
    crowd: usize,
    /// How long requests are sent beside each abuse.
    seconds: usize,
}

/// What is kept is measured at this length.
const FULL: Length = Length { records: 100_000, crowd: 1_000, seconds: 14 };
/// Requests a second, every other one on a connection of its own.
const RATE: u32 = 100;
/// The standing connections that the others share.
const STANDING: usize = 20;
/// How long the abuse goes on before the first request.
const AHEAD: Duration = Duration::from_secs(2);
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Milliseconds, at most, for 99 of 100 answers beside connections that keep places; and beside
/// senders that never pause, with which the server shares the processors.
const P99_BAR: Bar = Bar::AtMost(50.0);
const P99_BAR_BESIDE_SENDERS: Bar = Bar::AtMost(250.0);
const SLOWEST_BAR: Bar = Bar::AtMost(500.0);
const NONE: Bar = Bar::AtMost(0.0);
/// MiB, the most that the server may have had.
const MEMORY_BAR: Bar = Bar::AtMost(24.0);

/// How requests of one kind of connection were answered.
struct Answers {
    /// How long each took.
    took: Histogram<u64>,
    /// Why any failed.
    failed: Vec<String>,
}

/// The kinds of connections, in the order in which requests take turns.
const CONNECTIONS: [&str; 2] = ["new", "standing"];

fn main() -> ExitCode {
    entry::measured("attack", measure)
}

fn measure() -> Outcome<bool> {
    let length = Length {
        records: variable("BENCH_RECORDS", FULL.records)?,
        crowd: variable("BENCH_CROWD", FULL.crowd)?,
        seconds: variable("BENCH_SECONDS", FULL.seconds)?,
    };
    abuse::let_many_files_be_open()?;
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("agora-vendor.db");
    let keys = Keys::make();
    books::create(&database, &keys, row::PROJECTS)?;
    row::import(&database, row::spread(0..length.records, SEPTEMBER_S, OCTOBER_S - SEPTEMBER_S))?;
    let day = books::window(SEPTEMBER_S, 86_400);
    let request: Arc<[u8]> = target::get(&target::page(&keys.test, "/usage", day, 1, 100)).into();

    let mut report = Report::start("attack", &length)?;
    report.say(&format!("\n{RATE} signed requests a second, half of them on new connections"));
    report.say(
        "through   beside                     on        answers  p50 ms  p99 ms  max ms  failed",
    );
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build()?;
    for through in ["none", "caddy"] {
        for abuse in Abuse::ALL {
            // A server of its own, so that none meets what another has left.
            let server = Server::agora_vendor(&database)?;
            let caddy = match through {
                "none" => None,
                _ => Caddy::start(folder.path(), server.address)?,
            };
            if through != "none" && caddy.is_none() {
                report.say("caddy is not in PATH (on Debian: apt install caddy): not measured");
                return report.finish(false);
            }
            let address = caddy.as_ref().map_or(server.address, |caddy| caddy.address);
            let answers = runtime.block_on(ask_beside(abuse, address, &request, &length))?;
            for (connections, answers) in CONNECTIONS.into_iter().zip(&answers) {
                say(&mut report, through, abuse, connections, answers);
            }
            let (_, most) = server.memory_kib()?;
            report.say(&format!("   server's memory: {most} KiB at most"));
            let what = format!("memory beside {}, through {through}", abuse.name());
            report.judge(&what, most as f64 / 1024.0, " MiB", MEMORY_BAR);
        }
    }
    report.finish(length == FULL)
}

fn say(report: &mut Report, through: &str, abuse: Abuse, connections: &str, answers: &Answers) {
    let Answers { took, failed } = answers;
    let [p50, p99, max] = [0.5, 0.99, 1.0].map(|at| microseconds(took.value_at_quantile(at)) / 1e3);
    let name = abuse.name();
    report.say(&format!(
        "{through:8}  {name:26} {connections:8} {:8} {p50:7.2} {p99:7.2} {max:7.2} {:7}",
        took.len(),
        failed.len()
    ));
    for problem in failed.iter().take(3) {
        report.say(&format!("   failed: {problem}"));
    }
    let what = |figure: &str| {
        format!("{figure} on {connections} connections beside {name}, through {through}")
    };
    match (abuse.never_pauses(), through) {
        (false, _) => report.judge(&what("p99"), p99, " ms", P99_BAR),
        (true, "none") => report.judge(&what("p99"), p99, " ms", P99_BAR_BESIDE_SENDERS),
        // Each waits in the proxy behind one request of every sender, which the server never sees.
        (true, _) => {}
    }
    report.judge(&what("slowest"), max, " ms", SLOWEST_BAR);
    report.judge(&what("failed"), failed.len() as f64, "", NONE);
}

/// Sends each request at its time, whether or not those before it have been answered, beside an
/// abuse; gives how long each took from then on, by [`CONNECTIONS`].
async fn ask_beside(
    abuse: Abuse,
    address: SocketAddr,
    request: &Arc<[u8]>,
    length: &Length,
) -> Outcome<[Answers; 2]> {
    let abusers = abuse.begin(address, length.crowd);
    tokio::time::sleep(AHEAD).await;
    let standing: Arc<[Mutex<Option<Connection>>]> =
        (0..STANDING).map(|_| Mutex::new(None)).collect();
    let mut asking = JoinSet::new();
    let start = Instant::now();
    for n in 0..length.seconds * RATE as usize {
        let due = start + Duration::from_secs(1) / RATE * u32::try_from(n)?;
        let (request, standing) = (Arc::clone(request), Arc::clone(&standing));
        asking.spawn(async move {
            sleep_until(due).await;
            let asked = async {
                if n % 2 == 0 {
                    ask_server(&mut Connection::open(address).await?, &request).await
                } else {
                    ask_standing(&standing[n / 2 % STANDING], address, &request).await
                }
            };
            let asked = timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err("no answer".into()));
            (n % 2, asked.map(|()| due.elapsed()).map_err(|error| error.to_string()))
        });
    }
    let mut answers = CONNECTIONS.map(|_| Answers { took: histogram(), failed: Vec::new() });
    for (place, answer) in asking.join_all().await {
        match answer {
            Ok(took) => answers[place].took.record(nanoseconds(took))?,
            Err(problem) => answers[place].failed.push(problem),
        }
    }
    drop(abusers);
    Ok(answers)
}

/// Asks once, and looks whether it is the server that answers: a proxy's own 200 is empty.
async fn ask_server(connection: &mut Connection, request: &[u8]) -> Outcome {
    match connection.ask(request).await? {
        b"" => Err("an empty answer, which is not the server's".into()),
        _ => Ok(()),
    }
}

/// Asks on a connection that stands; where that has been closed meanwhile, on another, as any
/// client of HTTP does.
async fn ask_standing(
    place: &Mutex<Option<Connection>>,
    address: SocketAddr,
    request: &[u8],
) -> Outcome {
    let mut place = place.lock().await;
    if let Some(connection) = place.as_mut()
        && ask_server(connection, request).await.is_ok()
    {
        return Ok(());
    }
    ask_server(place.insert(Connection::open(address).await?), request).await
}
