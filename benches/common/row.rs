//! Usage as a log has it, and the import that takes it.

use crate::Outcome;
use crate::report::EXECUTABLE;
use std::fmt;
use std::io::{BufWriter, Write as _};
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};

/// Projects that the usage is of.
pub const PROJECTS: usize = 1_000;

/// A record of usage; prints as a line of JSON.
pub struct Row {
    /// Makes its id, which has 8 bytes up to 99,999,999.
    pub n: usize,
    /// Which project, from 0.
    pub project: usize,
    /// A decimal above zero.
    pub amount: String,
    /// When, in Unix seconds.
    pub at_s: i64,
}

impl Row {
    /// Its id.
    pub fn id(&self) -> String {
        format!("{:08}", self.n)
    }

    /// The project's id.
    pub fn project_id(&self) -> String {
        project_id(self.project)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { n, project, amount, at_s } = self;
        let project = project_number(*project);
        write!(f, r#"{{"id":"{n:08}","projectId":"{project}","amount":"{amount}","at":{at_s}}}"#)
    }
}

/// A project's id, as Agora's look.
pub fn project_id(n: usize) -> String {
    project_number(n).to_string()
}

fn project_number(n: usize) -> usize {
    430_000 + n
}

/// Rows in the order of time, spread evenly over a stretch: of all projects in turn, each as often
/// as the others.
pub fn spread(rows: Range<usize>, first_s: i64, length_s: i64) -> impl Iterator<Item = Row> {
    let (first, count) = (rows.start, whole(rows.len()));
    rows.map(move |n| Row {
        n,
        project: n * 7_919 % PROJECTS,
        amount: amount(n),
        at_s: first_s + whole(n - first) * length_s / count,
    })
}

/// Up to an hour in minutes, with a fraction that is never zero.
pub fn amount(n: usize) -> String {
    format!("{}.{:03}", n * 7_919 % 60, 1 + n * 104_729 % 999)
}

/// A count as the whole numbers of times are.
pub fn whole(n: usize) -> i64 {
    i64::try_from(n).expect("counts of records are far below")
}

/// Imports rows into books that there are, by the real executable, through a pipe.
pub fn import(database: &Path, rows: impl Iterator<Item = Row>) -> Outcome {
    let mut command = Command::new(EXECUTABLE);
    command.arg("--db").arg(database).args(["import", "-", "--format", "jsonl", "--quiet"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    if let Some(pipe) = child.stdin.take() {
        let mut pipe = BufWriter::with_capacity(64 << 10, pipe);
        for row in rows {
            writeln!(pipe, "{row}")?;
        }
        pipe.flush()?;
    }
    if child.wait()?.success() { Ok(()) } else { Err("the import failed".into()) }
}
