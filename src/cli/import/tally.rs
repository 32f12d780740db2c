//! What came of the rows of an import, and how it is told at its end.

use crate::billing::id::{CustomerId, ProjectId};
use crate::billing::record::USUAL_DAYS;
use crate::cli::command::Shell;
use crate::cli::failure::Failure;
use crate::cli::import::row::start;
use crate::cli::moment::rfc3339;
use crate::cli::start::first_months;
use crate::cli::statement::LateRecords;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// How many names a note lists.
pub(super) const NAMED: usize = 5;
/// How many members that say nothing here are counted, and how many of them are listed.
const COUNTED: usize = 100;
const LISTED: usize = 20;

/// What came of the rows so far.
#[derive(Default, Serialize)]
pub(super) struct Tally {
    /// Blank rows are none.
    pub(super) read: u64,
    pub(super) recorded: u64,
    pub(super) duplicates: u64,
    pub(super) rejected: u64,
    /// Records that were taken back, where any were.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) voided: u64,
    /// Rows without a value, where any were.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) blank: u64,
    /// The earliest and the latest second at which what was recorded is dated.
    #[serde(skip)]
    dates: Option<(i64, i64)>,
    /// How many records are dated far from now.
    #[serde(skip)]
    unusual: u64,
    #[serde(skip)]
    pub(super) others: OtherMembers,
    #[serde(skip)]
    pub(super) new_projects: Names,
    #[serde(skip)]
    pub(super) new_customers: Names,
    /// The projects that got their first customer and are not billed to it in all months, by the
    /// first second of those months in which they are.
    #[serde(skip)]
    pub(super) billed_from: BTreeMap<i64, Names>,
    /// Projects that this file moved, with the customer and the month.
    #[serde(skip)]
    pub(super) moved: Names,
    /// Projects that had no customer, with the one that they are bound to.
    #[serde(skip)]
    pub(super) bound: Vec<(ProjectId, CustomerId)>,
    /// Of those that the books had; counted once each.
    #[serde(skip)]
    pub(super) disabled: BTreeSet<ProjectId>,
    #[serde(skip)]
    pub(super) late: LateRecords,
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
        self.blank += other.blank;
        self.unusual += other.unusual;
        self.others.join(other.others);
        if let Some((from_s, to_s)) = other.dates {
            self.extend_dates(from_s, to_s);
        }
        self.new_projects.join(other.new_projects);
        self.new_customers.join(other.new_customers);
        for (from_s, names) in other.billed_from {
            self.billed_from.entry(from_s).or_default().join(names);
        }
        self.moved.join(other.moved);
        self.bound.extend(other.bound);
        self.disabled.extend(other.disabled);
        self.late.join(other.late);
    }

    /// Counts the date of a record.
    pub(super) fn date(&mut self, at_s: i64, usual: &RangeInclusive<i64>) {
        self.extend_dates(at_s, at_s);
        self.unusual += u64::from(!usual.contains(&at_s));
    }

    fn extend_dates(&mut self, from_s: i64, to_s: i64) {
        let (first_s, last_s) = self.dates.unwrap_or((from_s, to_s));
        self.dates = Some((first_s.min(from_s), last_s.max(to_s)));
    }

    /// Says which members of rows were passed over, and how many records are dated far from now.
    pub(super) fn point_out_rows(&self, shell: &mut Shell<'_>) {
        if let Some(words) = self.others.words() {
            shell.note(&format!("members that say nothing here are passed over: {words}"));
        }
        if self.unusual > 0 {
            shell.note(&format!(
                "{} of these records are dated more than {USUAL_DAYS} days back, or neither in \
                 this year nor in the last: check their dates",
                self.unusual
            ));
        }
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
                &self.moved,
                "projects",
                "nobody announced, and whose rows name another customer from a month on, are moved \
                 from then on",
            ),
            (
                &disabled,
                "projects",
                "are disabled since before some of their usage; it is reported and billed like \
                 any other",
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
        let span = self.dates.map(|(from_s, to_s)| (rfc3339(from_s), rfc3339(to_s)));
        let (from, to) = span.clone().unzip();
        shell.print(&TallyView { tally: self, from, to }, |out| {
            let Self { read, recorded, duplicates, rejected, voided, blank, .. } = self;
            let done = if dry_run { "to record" } else { "recorded" };
            write!(
                out,
                "rows {read}: {done} {recorded}, there already {duplicates}, rejected {rejected}"
            )?;
            for (count, what) in [(voided, "taken back"), (blank, "blank")] {
                if *count > 0 {
                    write!(out, ", {what} {count}")?;
                }
            }
            match span {
                Some((from, to)) => writeln!(out, "; dated {from} to {to}"),
                None => writeln!(out),
            }
        })
    }
}

/// What came of the rows, as a document.
#[derive(Serialize)]
struct TallyView<'t> {
    #[serde(flatten)]
    tally: &'t Tally,
    /// The date of the earliest record; null where nothing was recorded.
    from: Option<String>,
    /// The date of the latest.
    to: Option<String>,
}

/// Members of rows that say nothing here, each with the number of rows that have it.
#[derive(Default)]
pub(super) struct OtherMembers {
    rows_of: Vec<(String, u64)>,
    /// Whether there are others that have no place in it.
    are_more: bool,
}

impl OtherMembers {
    pub(super) fn add(&mut self, names: &[String]) {
        names.iter().for_each(|name| self.count(name, 1));
    }

    fn count(&mut self, name: &str, rows: u64) {
        if let Some((_, count)) = self.rows_of.iter_mut().find(|(known, _)| known == name) {
            *count += rows;
        } else if self.rows_of.len() < COUNTED {
            self.rows_of.push((name.to_owned(), rows));
        } else {
            self.are_more = true;
        }
    }

    fn join(&mut self, other: Self) {
        other.rows_of.iter().for_each(|(name, rows)| self.count(name, *rows));
        self.are_more |= other.are_more;
    }

    /// Which they are; `None` where there are none.
    fn words(&self) -> Option<String> {
        let shown = self.rows_of.iter().take(LISTED).map(|(name, rows)| {
            format!("{} (in {rows} {})", start(name), if *rows == 1 { "row" } else { "rows" })
        });
        let are_more = self.are_more || self.rows_of.len() > LISTED;
        let more = if are_more { ", …" } else { "" };
        let words = shown.collect::<Vec<_>>().join(", ");
        (!words.is_empty()).then(|| words + more)
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
