//! How fast the server answers, as it is installed: the real executable, a real socket, a full month's books.
//!
//! Four measurements, each against a bar: requests per second beside a bare hyper server that answers the
//! same bytes; the same page with 10,000 and with 1,000,000 records behind it; half a day of a project with
//! 1,000,000 records on that day; and provisioning calls while 50 processes record. See `benches/README.md`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark tells what it measured")]
#![expect(clippy::float_arithmetic, reason = "times and ratios are measured, not accounted")]

mod bare;
mod books;
mod client;
mod growth;
mod half_day;
mod length;
mod machine;
mod process;
mod provisioning;
mod report;
mod throughput;

use books::Keys;
use length::Length;
use process::Server;
use report::Report;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A result with whatever went wrong.
type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let done = match bare::asked_for() {
        Some(body) => bare::serve(&body).map(|()| true),
        None if std::env::args().any(|argument| argument == "--bench") => measure(),
        None => {
            // `cargo test --all-targets` comes by here, unoptimised.
            println!("not measured: `cargo bench --bench serving` does");
            Ok(true)
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures everything; tells whether every bar was met.
fn measure() -> Outcome<bool> {
    let length = Length::from_environment()?;
    let keys = Keys::make();
    let books = Books::seed(&keys, &length)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;

    let mut report = Report::start(&length)?;
    report.say(&format!("books:      {}", books.description()?));
    let target = client::usage_target(&keys.live, books::day());
    let large = Server::agora_vendor(&books.large)?;
    runtime.block_on(throughput::measure(&large, &target, books.directory.path(), &length, &mut report))?;
    report.say(&format!("memory after the load: {} KiB resident", large.resident_kib()?));
    runtime.block_on(growth::measure([&books.small, &books.large], &target, &length, &mut report))?;
    runtime.block_on(half_day::measure(&books.crowded, &keys.live, &length, &mut report))?;
    drop(large);
    runtime.block_on(provisioning::measure(&books.large, &keys.live, &length, &mut report))?;
    report.finish(&length)
}

/// The databases, in a folder that goes when they do.
struct Books {
    directory: TempDir,
    small: PathBuf,
    large: PathBuf,
    crowded: PathBuf,
    seeded_in: Duration,
}

impl Books {
    fn seed(keys: &Keys, length: &Length) -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        let path = |name: &str| directory.path().join(name);
        let (small, large, crowded) = (path("small.db"), path("large.db"), path("crowded.db"));
        println!("seeding two databases with {} records each, and a small one", length.records);
        let start = Instant::now();
        thread::scope(|scope| -> Outcome {
            let crowding = scope.spawn(|| books::crowded(&crowded, keys, length.records));
            seed_month(&small, &large, keys, length)?;
            crowding.join().map_err(|_| "seeding panicked")?
        })?;
        Ok(Self { directory, small, large, crowded, seeded_in: start.elapsed() })
    }

    fn description(&self) -> Outcome<String> {
        let mebibytes = |path: &Path| Ok::<_, std::io::Error>(path.metadata()?.len() >> 20);
        let (large, crowded) = (mebibytes(&self.large)?, mebibytes(&self.crowded)?);
        let seeded_in_s = self.seeded_in.as_secs();
        Ok(format!("{large} MiB of a month, {crowded} MiB of a day, seeded side by side in {seeded_in_s} s"))
    }
}

fn seed_month(small: &Path, large: &Path, keys: &Keys, length: &Length) -> Outcome {
    books::large(large, keys, length.records)?;
    books::small(small, keys, large)
}
