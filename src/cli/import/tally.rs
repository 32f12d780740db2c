//! What came of the rows of an import, and how it is told at its end.

use crate::billing::id::ProjectId;
use crate::cli::failure::Failure;
use crate::cli::shell::Shell;
use crate::cli::start::first_months;
use crate::cli::statement::Late;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// How many names a note lists.
const NAMED: usize = 5;

/// What came of the rows so far.
#[derive(Default, Serialize)]
pub(super) struct Tally {
    pub(super) read: u64,
    pub(super) recorded: u64,
    pub(super) duplicates: u64,
    pub(super) rejected: u64,
    /// Records that were taken back, where any were.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) voided: u64,
    #[serde(skip)]
    pub(super) new_projects: Names,
    #[serde(skip)]
    pub(super) new_customers: Names,
    /// The projects that got their first customer and are not billed to it in all months, by the first second of
    /// those months in which they are.
    #[serde(skip)]
    pub(super) billed_from: BTreeMap<i64, Names>,
    /// Of those that the books had; counted once each.
    #[serde(skip)]
    pub(super) disabled: BTreeSet<ProjectId>,
    #[serde(skip)]
    pub(super) late: Late,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Tally {
    pub(super) fn join(&mut self, other: Self) {
        self.read += other.read;
        self.recorded += other.recorded;
        self.duplicates += other.duplicates;
        self.rejected += other.rejected;
        self.voided += other.voided;
        self.new_projects.join(other.new_projects);
        self.new_customers.join(other.new_customers);
        for (from_s, names) in other.billed_from {
            self.billed_from.entry(from_s).or_default().join(names);
        }
        self.disabled.extend(other.disabled);
        self.late.join(other.late);
    }

    /// Says whom the books did not know, and whose projects are disabled.
    pub(super) fn point_out_names(&self, dry_run: bool, shell: &mut Shell<'_>) {
        let registered = if dry_run {
            "are not known and would be registered"
        } else {
            "were not known and are registered"
        };
        let mut disabled = Names::default();
        self.disabled.iter().for_each(|name| disabled.add(name));
        for (names, kind, what) in [
            (&self.new_projects, "projects", registered),
            (&self.new_customers, "customers", registered),
            (
                &disabled,
                "projects",
                "are disabled since before some of their usage; it is reported and billed like any other",
            ),
        ] {
            if let Some(names) = names.words() {
                shell.note(&format!("{kind} that {what}: {names}"));
            }
        }
        for (from_s, names) in &self.billed_from {
            let (months, names) = (first_months(*from_s), names.words().unwrap_or_default());
            let words = format!("{names}: their first customer is billed for {months}");
            shell.note(&format!("projects that had no customer: {words}"));
        }
    }

    /// Prints how many rows there were of each kind.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub(super) fn print(&self, dry_run: bool, shell: &mut Shell<'_>) -> Result<(), Failure> {
        shell.print(self, |out| {
            let Self { read, duplicates, rejected, .. } = self;
            let recorded = if dry_run { "to record" } else { "recorded" };
            let voided = if self.voided > 0 { format!(", taken back {}", self.voided) } else { String::new() };
            writeln!(
                out,
                "rows {read}: {recorded} {}, there already {duplicates}, rejected {rejected}{voided}",
                self.recorded
            )
        })
    }
}

/// Names of which a note lists the first few.
#[derive(Default)]
pub(super) struct Names {
    count: u64,
    first: Vec<String>,
}

impl Names {
    pub(super) fn add(&mut self, name: &impl ToString) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(name.to_string());
        }
    }

    fn join(&mut self, other: Self) {
        self.count += other.count;
        self.first.extend(other.first);
        self.first.truncate(NAMED);
    }

    /// How many there are, and the first few; `None` where there are none.
    fn words(&self) -> Option<String> {
        let more = if self.count > u64::try_from(NAMED).unwrap_or_default() { ", …" } else { "" };
        (self.count > 0).then(|| format!("{} ({}{more})", self.count, self.first.join(", ")))
    }
}
