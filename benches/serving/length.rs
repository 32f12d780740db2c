//! How long the benchmark runs: in full, or shorter as the environment says.

use crate::Outcome;
use crate::row::PROJECTS;
use crate::variable::variable;
use std::time::Duration;

/// With fewer in a month, a project has a day without usage.
const FEWEST_RECORDS: usize = PROJECTS * 31 * 2;

/// How much is seeded and asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Length {
    /// Records of a month of the large books, and in the crowded ones.
    pub records: usize,
    /// Records in the books with many of them.
    pub many: usize,
    /// Customers with licenses.
    pub customers: usize,
    /// Different pages.
    pub pages: usize,
    /// Rounds of load, of each server.
    pub rounds: usize,
    /// How long a round of load lasts, in milliseconds.
    pub round_ms: usize,
    /// Pairs of servers where a page is compared with few records behind it and with many.
    pub pairs: usize,
    /// Requests to each server of a pair.
    pub requests: usize,
    /// How often the server is started.
    pub starts: usize,
    /// How often each window of half a day is asked.
    pub half_days: usize,
    /// Provisioning calls.
    pub calls: usize,
}

impl Length {
    /// What is kept is measured at this length.
    const FULL: Self = Self {
        records: 1_000_000,
        many: 10_000_000,
        customers: 100_000,
        pages: 50_000,
        rounds: 5,
        round_ms: 3_000,
        pairs: 20,
        requests: 100,
        starts: 20,
        half_days: 50,
        calls: 1_200,
    };

    /// The full length, shortened by the variables `BENCH_…` that are set.
    pub fn from_environment() -> Outcome<Self> {
        let full = Self::FULL;
        let length = Self {
            records: variable("BENCH_RECORDS", full.records)?,
            many: variable("BENCH_MANY", full.many)?,
            customers: variable("BENCH_CUSTOMERS", full.customers)?,
            pages: variable("BENCH_PAGES", full.pages)?,
            rounds: variable("BENCH_ROUNDS", full.rounds)?,
            round_ms: variable("BENCH_ROUND_MS", full.round_ms)?,
            pairs: variable("BENCH_PAIRS", full.pairs)?,
            requests: variable("BENCH_REQUESTS", full.requests)?,
            starts: variable("BENCH_STARTS", full.starts)?,
            half_days: variable("BENCH_HALF_DAYS", full.half_days)?,
            calls: variable("BENCH_CALLS", full.calls)?,
        };
        if length.records.min(length.many) >= FEWEST_RECORDS {
            Ok(length)
        } else {
            Err(format!("BENCH_RECORDS and BENCH_MANY must be at least {FEWEST_RECORDS}").into())
        }
    }

    /// How long a round of load lasts.
    pub fn round(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.round_ms).unwrap_or(u64::MAX))
    }

    /// Tells whether it is the full length.
    pub fn is_full(&self) -> bool {
        *self == Self::FULL
    }
}
