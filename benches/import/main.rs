//! How fast an import is, as it is installed: the real executable on a file of JSON lines, beside a
//! bare loop that inserts the same rows, in the same run and in turn; and what a record takes on
//! disk. See `benches/README.md`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark tells what it measured"
)]
#![expect(clippy::float_arithmetic, reason = "times and ratios are measured, not accounted")]

#[path = "../common/entry.rs"]
mod entry;
#[path = "../common/machine.rs"]
mod machine;
#[path = "../common/plain.rs"]
mod plain;
#[expect(dead_code, reason = "no times of requests here")]
#[path = "../common/report.rs"]
mod report;
#[expect(dead_code, reason = "the import reads a file here, not a pipe")]
#[path = "../common/row.rs"]
mod row;
#[path = "../common/variable.rs"]
mod variable;

use report::{Bar, EXECUTABLE, Report, median};
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// A result with whatever went wrong.
type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// How much is imported, and how often.
#[derive(Debug, PartialEq, Eq)]
struct Length {
    rows: usize,
    rounds: usize,
}

/// What is kept is measured at this length.
const FULL: Length = Length { rows: 1_000_000, rounds: 3 };
/// The import's rows a second, at least, in the bare loop's.
const SPEED_BAR: Bar = Bar::AtLeast(0.7);
/// Bytes on disk for a record, at most.
const SIZE_BAR: Bar = Bar::AtMost(100.0);
/// 2026-10-01T00:00:00Z.
const OCTOBER_S: i64 = 1_790_812_800;
const MONTH_S: i64 = 31 * 86_400;

fn main() -> ExitCode {
    entry::measured("import", measure)
}

fn measure() -> Outcome<bool> {
    let length = Length {
        rows: variable::variable("BENCH_ROWS", FULL.rows)?,
        rounds: variable::variable("BENCH_ROUNDS", FULL.rounds)?,
    };
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    // As a log has them: in the order of time over a month, of 1,000 projects in turn.
    let rows = || row::spread(0..length.rows, OCTOBER_S, MONTH_S);
    let mut file = BufWriter::new(File::create(path("rows.jsonl"))?);
    for row in rows() {
        writeln!(file, "{row}")?;
    }
    file.flush()?;
    // On the disk before the clock runs, so that no commit waits for it.
    file.get_ref().sync_all()?;

    let mut report = Report::start("import", &length)?;
    report.say("rows:       in the order of time, 8-byte ids, 1,000 projects over a month\n");
    let (mut ratios, mut sizes) = (Vec::new(), Vec::new());
    for round in 1..=length.rounds {
        let (bare_db, our_db) =
            (path(&format!("bare-{round}.db")), path(&format!("ours-{round}.db")));
        let bare = plain::insert(&bare_db, rows())?;
        let (ours, peak_kib) = import(&our_db, &path("rows.jsonl"))?;
        let size = |path: &Path| {
            Ok::<_, Box<dyn Error + Send + Sync>>(settled_bytes(path)? as f64 / length.rows as f64)
        };
        let (bare_size, our_size) = (size(&bare_db)?, size(&our_db)?);
        let ratio = bare.as_secs_f64() / ours.as_secs_f64();
        report.say(&format!(
            "round {round}: bare {:.2} s and {bare_size:.1} bytes a row, import {:.2} s and \
             {our_size:.1} bytes a row, {peak_kib} KiB resident at most, ratio {ratio:.3}",
            bare.as_secs_f64(),
            ours.as_secs_f64(),
        ));
        ratios.push(ratio);
        sizes.push(our_size);
    }
    report.judge(
        "rows a second, import / bare loop, median of the rounds",
        median(&ratios),
        "",
        SPEED_BAR,
    );
    report.judge(
        "bytes on disk a record, sums and indexes included, median of the rounds",
        median(&sizes),
        "",
        SIZE_BAR,
    );
    report.finish(length == FULL)
}

/// The size of a database whose write-ahead log has gone into it: whoever closes it last sees to
/// that.
fn settled_bytes(path: &Path) -> Outcome<u64> {
    if path.with_extension("db-wal").exists() {
        Err(format!("{} has a write-ahead log left", path.display()).into())
    } else {
        Ok(path.metadata()?.len())
    }
}

/// The import as a whole process, from its start to its end, and the most memory that it had.
fn import(path: &Path, file: &Path) -> Outcome<(Duration, u64)> {
    let quiet =
        |command: &mut Command| command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !quiet(Command::new(EXECUTABLE).arg("--db").arg(path).arg("init"))?.success() {
        return Err("no database".into());
    }
    let start = Instant::now();
    let mut command = Command::new(EXECUTABLE);
    command
        .arg("--db")
        .arg(path)
        .arg("import")
        .arg(file)
        .arg("--quiet")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn()?;
    let mut peak_kib = 0;
    let status = loop {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak_kib = line
            .and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok())
            .unwrap_or(peak_kib);
        match child.try_wait()? {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    let took = start.elapsed();
    if status.success() { Ok((took, peak_kib)) } else { Err("the import failed".into()) }
}
