//! How fast an import is, as it is installed: the real executable on a file of JSON lines, beside a bare loop that
//! inserts the same rows, in the same run and in turn. See `benches/README.md`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark tells what it measured")]
#![expect(clippy::float_arithmetic, reason = "times and ratios are measured, not accounted")]

#[path = "../serving/machine.rs"]
mod machine;

use machine::machine;
use rusqlite::{Connection, TransactionBehavior};
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// A result with whatever went wrong.
type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// The executable that is measured.
const EXECUTABLE: &str = env!("CARGO_BIN_EXE_agora-vendor");
/// Rows of the file, unless `BENCH_ROWS` says another number.
const ROWS: usize = 1_000_000;
const ROUNDS: usize = 3;
/// Rows in one transaction of the bare loop.
const BARE_SLICE: usize = 10_000;
/// The import's rows a second, at least, in the bare loop's.
const BAR: f64 = 0.7;
/// 2026-10-01T00:00:00Z.
const OCTOBER_S: usize = 1_790_812_800;
const MONTH_S: usize = 31 * 86_400;

fn main() -> ExitCode {
    if !std::env::args().any(|argument| argument == "--bench") {
        // `cargo test --all-targets` comes by here, unoptimised.
        println!("not measured: `cargo bench --bench import` does");
        return ExitCode::SUCCESS;
    }
    match measure() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A row as the bare loop inserts it.
struct Row {
    id: String,
    project: String,
    amount: String,
    at_s: i64,
}

/// Rows as a log has them: in the order of time over a month, of 1,000 projects in turn.
fn rows(count: usize) -> Outcome<Vec<Row>> {
    let row = |n: usize| {
        Ok(Row {
            id: format!("{n:08}"),
            project: (430_000 + n * 7_919 % 1_000).to_string(),
            amount: format!("{}.{:03}", 1 + n * 7_919 % 60, 1 + n * 104_729 % 999),
            at_s: i64::try_from(OCTOBER_S + n * MONTH_S / count)?,
        })
    };
    (0..count).map(row).collect()
}

fn measure() -> Outcome<bool> {
    let count = std::env::var("BENCH_ROWS").ok().map_or(Ok(ROWS), |rows| rows.parse())?;
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    let rows = rows(count)?;
    let mut file = String::new();
    for Row { id, project, amount, at_s } in &rows {
        writeln!(file, r#"{{"id":"{id}","projectId":"{project}","amount":"{amount}","at":{at_s}}}"#)?;
    }
    fs::write(path("rows.jsonl"), file)?;

    let mut kept = format!(
        "command:    cargo bench --bench import\ndate:       {:.0}\nmachine:    {}\nrows:       {count}, in the order of time, 8-byte ids, 1,000 projects over a month\n\n",
        jiff::Timestamp::now(),
        machine()?
    );
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        let (bare_db, our_db) = (path(&format!("bare-{round}.db")), path(&format!("ours-{round}.db")));
        let bare = bare(&bare_db, &rows)?;
        let (ours, peak_kib) = import(&our_db, &path("rows.jsonl"))?;
        let ratio = bare.as_secs_f64() / ours.as_secs_f64();
        let bytes = |path: &Path| Ok::<_, std::io::Error>(path.metadata()?.len() as f64 / count as f64);
        let line = format!(
            "round {round}: bare {:.2} s and {:.0} bytes a row, import {:.2} s and {:.0} bytes a row, {peak_kib} KiB resident at most, ratio {ratio:.3}\n",
            bare.as_secs_f64(),
            bytes(&bare_db)?,
            ours.as_secs_f64(),
            bytes(&our_db)?
        );
        print!("{line}");
        kept.push_str(&line);
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios[ratios.len() / 2];
    let word = if median >= BAR { "pass" } else { "FAIL" };
    let verdict =
        format!("\n{word}  {median:.3}  (at least {BAR})  rows a second, import / bare loop, median of the rounds\n");
    print!("{verdict}");
    kept.push_str(&verdict);
    if count == ROWS {
        let run = format!("benches/runs/{:.10}-{}", jiff::Timestamp::now().to_string(), machine()?);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(&run);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("import.txt"), kept)?;
        println!("kept in {run}/import.txt");
    }
    Ok(median >= BAR)
}

/// A loop that does nothing but insert, as durably.
fn bare(path: &Path, rows: &[Row]) -> Outcome<Duration> {
    let mut connection = Connection::open(path)?;
    connection.execute_batch(
        "pragma journal_mode = wal;
         pragma synchronous = full;
         create table record (seq integer primary key, id text not null unique, project text not null, amount text not null, at_s integer not null) strict;
         create index record_by_project on record (project, at_s);",
    )?;
    let start = Instant::now();
    for slice in rows.chunks(BARE_SLICE) {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut insert = tx.prepare_cached("insert into record (id, project, amount, at_s) values (?, ?, ?, ?)")?;
            for Row { id, project, amount, at_s } in slice {
                insert.execute((id, project, amount, at_s))?;
            }
        }
        tx.commit()?;
    }
    Ok(start.elapsed())
}

/// The import as a whole process, from its start to its end, and the most memory that it had.
fn import(path: &Path, file: &Path) -> Outcome<(Duration, u64)> {
    let quiet = |command: &mut Command| command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !quiet(Command::new(EXECUTABLE).arg("--db").arg(path).arg("init"))?.success() {
        return Err("no database".into());
    }
    let start = Instant::now();
    let mut command = Command::new(EXECUTABLE);
    command.arg("--db").arg(path).arg("import").arg(file).arg("--quiet").stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let mut peak_kib = 0;
    let status = loop {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak_kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok()).unwrap_or(peak_kib);
        match child.try_wait()? {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    let took = start.elapsed();
    match status.success() {
        true => Ok((took, peak_kib)),
        false => Err("the import failed".into()),
    }
}
