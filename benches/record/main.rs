//! How long one `record` takes, as a whole process, beside `sqlite3` inserting the same row into a
//! plain table, as durably, in the same run and in turn. See `benches/README.md`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark tells what it measured"
)]
#![expect(clippy::float_arithmetic, reason = "times and ratios are measured, not accounted")]

#[expect(dead_code, reason = "nothing is asked here")]
#[path = "../common/books.rs"]
mod books;
#[path = "../common/entry.rs"]
mod entry;
#[path = "../common/machine.rs"]
mod machine;
#[path = "../common/plain.rs"]
mod plain;
#[expect(dead_code, reason = "no times of requests here")]
#[path = "../common/report.rs"]
mod report;
#[path = "../common/row.rs"]
mod row;
#[path = "../common/variable.rs"]
mod variable;

use books::{Keys, NOVEMBER_S, OCTOBER_S};
use report::{Bar, EXECUTABLE, Report, median};
use row::Row;
use rusqlite::Connection;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;
use variable::variable;

/// A result with whatever went wrong.
type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// How many rows there are beforehand, and how many are added by each.
#[derive(Debug, PartialEq, Eq)]
struct Length {
    rows: usize,
    pairs: usize,
}

/// What is kept is measured at this length.
const FULL: Length = Length { rows: 1_000_000, pairs: 300 };
/// Pairs before anything counts.
const WARM_UP: usize = 5;
/// The shell's time in ours, at least.
const BAR: Bar = Bar::AtLeast(1.0);
const SHELL: &str = "sqlite3";

fn main() -> ExitCode {
    entry::measured("record", || match Command::new(SHELL).arg("--version").output() {
        Ok(_) => measure(),
        Err(_) => {
            println!(
                "not measured: SQLite's own shell is needed beside ours (on Debian: apt install \
                 sqlite3)"
            );
            Ok(true)
        }
    })
}

fn measure() -> Outcome<bool> {
    let length = Length {
        rows: variable("BENCH_ROWS", FULL.rows)?,
        pairs: variable("BENCH_PAIRS", FULL.pairs)?,
    };
    let folder = tempfile::tempdir()?;
    let ours = folder.path().join("ours.db");
    books::create(&ours, &Keys::make(), row::PROJECTS)?;
    let month = |rows| row::spread(rows, OCTOBER_S, NOVEMBER_S - OCTOBER_S);
    println!("seeding two databases with {} records each", length.rows);
    row::import(&ours, month(0..length.rows))?;
    let plain = folder.path().join("plain.db");
    plain::insert(&plain, month(0..length.rows))?;
    let shell = Shell::find(plain, folder.path())?;

    let mut report = Report::start("record", &length)?;
    report.say(&format!(
        "shell:      {SHELL} {}, synchronous = full, journal_mode = wal",
        shell.version
    ));
    let added = 2 * (WARM_UP + length.pairs);
    let mut rows = month(length.rows..length.rows + added);
    compare("nobody else has the files open", &ours, &shell, &mut rows, length.pairs, &mut report)?;
    // As beside a server: whoever closes a file last moves the write-ahead log into it, and here
    // nobody is the last.
    let held = [hold(&ours)?, hold(&shell.database)?];
    compare(
        "another process has the files open",
        &ours,
        &shell,
        &mut rows,
        length.pairs,
        &mut report,
    )?;
    drop(held);
    report.finish(length == FULL)
}

/// A connection that has been used, and reads nothing now.
fn hold(database: &Path) -> Outcome<Connection> {
    let connection = Connection::open(database)?;
    connection.query_row("select count(*) from sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

/// Adds rows by both, each row by one after the other, the one that was first second the next time.
fn compare(
    title: &str,
    ours: &Path,
    shell: &Shell,
    rows: &mut impl Iterator<Item = Row>,
    pairs: usize,
    report: &mut Report,
) -> Outcome {
    let (mut our_times, mut shell_times, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for (pair, row) in rows.take(WARM_UP + pairs).enumerate() {
        let (mut record, mut insert) = (record(ours, &row), shell.insert(&row));
        let (our_ms, shell_ms) = match pair % 2 {
            0 => {
                let our_ms = run(&mut record)?;
                (our_ms, run(&mut insert)?)
            }
            _ => {
                let shell_ms = run(&mut insert)?;
                (run(&mut record)?, shell_ms)
            }
        };
        if pair >= WARM_UP {
            our_times.push(our_ms);
            shell_times.push(shell_ms);
            ratios.push(shell_ms / our_ms);
        }
    }
    report.say(&format!("\n{title}, {pairs} pairs"));
    for (name, times) in [("record", &our_times), (SHELL, &shell_times)] {
        let each: Vec<String> = times.iter().map(|ms| format!("{ms:.2}")).collect();
        report.say(&format!("   {name:8} median {:.2} ms", median(times)));
        report.keep(&format!("   each, in ms: {}", each.join(" ")));
    }
    report.judge(
        &format!("{SHELL}'s time / record's, median of the pairs: {title}"),
        median(&ratios),
        "",
        BAR,
    );
    Ok(())
}

/// Runs a command to its end, and gives the milliseconds that it took.
fn run(command: &mut Command) -> Outcome<f64> {
    let start = Instant::now();
    let status =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    let took_ms = start.elapsed().as_secs_f64() * 1e3;
    if status.success() { Ok(took_ms) } else { Err(format!("{command:?} failed").into()) }
}

fn record(database: &Path, row: &Row) -> Command {
    let mut command = Command::new(EXECUTABLE);
    command.arg("--db").arg(database).args([
        "record",
        &row.project_id(),
        &row.amount,
        "--id",
        &row.id(),
    ]);
    command.args(["--at", &row.at_s.to_string()]);
    command
}

/// SQLite's own shell on a plain table.
struct Shell {
    database: PathBuf,
    /// A home without a start file, which would be read first.
    home: PathBuf,
    version: String,
    /// What makes it as durable as ours, where it is not by itself.
    first: &'static str,
}

impl Shell {
    fn find(database: PathBuf, home: &Path) -> Outcome<Self> {
        let mut shell = Self { database, home: home.to_owned(), version: String::new(), first: "" };
        let said = |sql: &str| {
            Ok::<_, Box<dyn Error + Send + Sync>>(String::from_utf8(
                shell.command(sql).output()?.stdout,
            )?)
        };
        let version = said("select sqlite_version()")?.trim().to_owned();
        let durable = said("pragma journal_mode; pragma synchronous")?;
        let first = match durable.split_whitespace().collect::<Vec<_>>()[..] {
            ["wal", "2"] => "",
            ["wal", _] => "pragma synchronous = full; ",
            _ => {
                return Err(
                    format!("{SHELL} says of the journal and of synchronous {durable:?}").into()
                );
            }
        };
        (shell.version, shell.first) = (version, first);
        Ok(shell)
    }

    fn command(&self, sql: &str) -> Command {
        let mut command = Command::new(SHELL);
        command
            .env("HOME", &self.home)
            .env_remove("XDG_CONFIG_HOME")
            .arg("-batch")
            .arg(&self.database)
            .arg(sql);
        command
    }

    fn insert(&self, row: &Row) -> Command {
        let (first, id, project, amount, at_s) =
            (self.first, row.id(), row.project_id(), &row.amount, row.at_s);
        self.command(&format!(
            "{first}insert into record (id, project, amount, at_s) values ('{id}', '{project}', \
             '{amount}', {at_s})"
        ))
    }
}
