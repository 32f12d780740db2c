//! The books of each measurement.

use crate::Outcome;
use crate::books::{self, Keys, NOVEMBER_S, OCTOBER_S, SEPTEMBER_S};
use crate::length::Length;
use crate::row::{self, PROJECTS, Row, amount, whole};
use agora_vendor::billing::amount::Amount;
use agora_vendor::billing::period::{DAY_S, Period};
use agora_vendor::billing::record::{NewRecord, UsedAt};
use agora_vendor::store::{Store, usage};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Records of each project in the books with few of them.
const FEW: usize = 100;
/// Records in the books with few of them.
pub const FEW_RECORDS: usize = FEW * PROJECTS;
/// 2026-10-15T00:00:00Z: the day that is asked.
pub const ASKED_DAY_S: i64 = OCTOBER_S + 14 * DAY_S;

/// The day that is asked.
pub fn day() -> Period {
    books::window(ASKED_DAY_S, DAY_S)
}

/// The month that is asked.
pub fn month() -> Period {
    books::window(OCTOBER_S, NOVEMBER_S - OCTOBER_S)
}

/// The databases, in a folder that goes when they do.
pub struct Books {
    /// Their folder.
    pub directory: TempDir,
    /// Two months, and customers with licenses.
    pub large: PathBuf,
    /// A month of few records.
    pub few: PathBuf,
    /// A month of many, with the same sums.
    pub many: PathBuf,
    /// A day of one project.
    pub crowded: PathBuf,
    seeded_in: Duration,
}

impl Books {
    /// Seeds them all.
    pub fn seed(keys: &Keys, length: &Length) -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        let path = |name: &str| directory.path().join(name);
        let (large, few, many, crowded) =
            (path("large.db"), path("few.db"), path("many.db"), path("crowded.db"));
        println!("seeding four databases, the largest with {} records", length.many);
        let start = Instant::now();
        thread::scope(|scope| -> Outcome {
            let beside = scope.spawn(|| -> Outcome {
                seed_large(&large, keys, length)?;
                seed_crowded(&crowded, keys, length.records)
            });
            seed_many(&many, keys, length.many)?;
            seed_few(&few, keys, &many)?;
            beside.join().map_err(|_| "seeding panicked")?
        })?;
        Ok(Self { directory, large, few, many, crowded, seeded_in: start.elapsed() })
    }

    /// Their sizes.
    pub fn description(&self) -> Outcome<String> {
        let mebibytes = |path: &Path| Ok::<_, std::io::Error>(path.metadata()?.len() >> 20);
        let [large, few, many, crowded] =
            [&self.large, &self.few, &self.many, &self.crowded].map(|path| mebibytes(path));
        Ok(format!(
            "two months {} MiB, few {} MiB, many {} MiB, a day {} MiB, seeded side by side in {} s",
            large?,
            few?,
            many?,
            crowded?,
            self.seeded_in.as_secs()
        ))
    }
}

/// September and October with so many records each, spread evenly: every project has usage on every
/// day.
fn seed_large(path: &Path, keys: &Keys, length: &Length) -> Outcome {
    books::create(path, keys, PROJECTS)?;
    books::issue_licenses(path, length.customers)?;
    let months = [(0, SEPTEMBER_S, OCTOBER_S), (1, OCTOBER_S, NOVEMBER_S)];
    let rows = months.into_iter().flat_map(|(month, first_s, end_s)| {
        row::spread(month * length.records..(month + 1) * length.records, first_s, end_s - first_s)
    });
    row::import(path, rows)
}

/// October alone.
fn seed_many(path: &Path, keys: &Keys, records: usize) -> Outcome {
    books::create(path, keys, PROJECTS)?;
    row::import(path, row::spread(0..records, OCTOBER_S, NOVEMBER_S - OCTOBER_S))
}

/// The same sums of the asked day and of the month, of each project: the very same pages. All of
/// the day is one record, most of the month another, and the others are small and on other days.
fn seed_few(path: &Path, keys: &Keys, many: &Path) -> Outcome {
    let asked = |period| Store::open(many)?.read(|tx| usage::by_project(tx, period, None));
    let (day, month) = (asked(day())?, asked(month())?);
    books::create(path, keys, PROJECTS)?;
    let small: Amount = "0.001".parse()?;
    let rows = (0..FEW_RECORDS).map(|n| {
        let (turn, project) = (n / PROJECTS, n % PROJECTS);
        let id = row::project_id(project);
        let (amount, at_s) = match turn {
            0 => (day[id.as_str()].amount.clone(), ASKED_DAY_S + DAY_S / 2),
            1 => {
                let small: Amount = std::iter::repeat_n(&small, FEW - 2).sum();
                (&(&month[id.as_str()].amount - &day[id.as_str()].amount) - &small, OCTOBER_S)
            }
            _ => (small.clone(), OCTOBER_S + whole(turn % 14) * DAY_S + whole(turn) * 60),
        };
        Row { n, project, amount: amount.to_string(), at_s }
    });
    row::import(path, rows)
}

/// One project with all of its `records` on the asked day: half of them spread evenly, half dated
/// noon, as records are that were told only their day.
fn seed_crowded(path: &Path, keys: &Keys, records: usize) -> Outcome {
    books::create(path, keys, PROJECTS)?;
    let rows = (0..records).map(|n| {
        let at_s = match n % 2 {
            0 => ASKED_DAY_S + whole(n) * DAY_S / whole(records),
            _ => ASKED_DAY_S + DAY_S / 2,
        };
        Row { n, project: 0, amount: amount(n), at_s }
    });
    row::import(path, rows)
}

/// Commits one record of a month that is not asked about: the server must make its next answer
/// anew. No two calls with the same store have the same `n`.
pub fn commit_elsewhere(store: &mut Store, n: usize) -> Outcome {
    let record = NewRecord {
        id: format!("elsewhere-{n}").parse()?,
        project_id: row::project_id(0).parse()?,
        amount: amount(n).parse()?,
        at: UsedAt::Second(SEPTEMBER_S),
        customer_id: None,
        note: None,
    };
    match store.write(|tx| usage::record(tx, &record, &books::stamp()))? {
        Ok(_) => Ok(()),
        Err(refusal) => Err(format!("a record was not written: {refusal:?}").into()),
    }
}
