//! How long the benchmark runs: in full, or shorter as the environment says.

use crate::{Outcome, books};
use std::time::Duration;

/// How much is seeded and asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Length {
    /// Records in each of the two large databases.
    pub records: usize,
    /// Rounds of load, of each server.
    pub rounds: usize,
    /// How long a round of load lasts.
    pub round: Duration,
    /// Pairs of servers where a page is compared with few records behind it and with many.
    pub pairs: usize,
    /// Requests to each server of a pair.
    pub requests: usize,
    /// How often each window of half a day is asked.
    pub half_days: usize,
    /// Provisioning calls.
    pub calls: usize,
}

impl Length {
    /// What is kept is measured at this length.
    const FULL: Self = Self {
        records: 1_000_000,
        rounds: 5,
        round: Duration::from_secs(3),
        pairs: 20,
        requests: 100,
        half_days: 50,
        calls: 1_200,
    };

    /// The full length, shortened by the variables `BENCH_…` that are set.
    pub fn from_environment() -> Outcome<Self> {
        let full = Self::FULL;
        let length = Self {
            records: variable("BENCH_RECORDS")?.unwrap_or(full.records),
            rounds: variable("BENCH_ROUNDS")?.unwrap_or(full.rounds),
            round: variable("BENCH_ROUND_MS")?.map_or(full.round, Duration::from_millis),
            pairs: variable("BENCH_PAIRS")?.unwrap_or(full.pairs),
            requests: variable("BENCH_REQUESTS")?.unwrap_or(full.requests),
            half_days: variable("BENCH_HALF_DAYS")?.unwrap_or(full.half_days),
            calls: variable("BENCH_CALLS")?.unwrap_or(full.calls),
        };
        match length.records >= books::FEWEST_RECORDS {
            true => Ok(length),
            false => Err(format!("BENCH_RECORDS must be at least {}", books::FEWEST_RECORDS).into()),
        }
    }

    /// Tells whether it is the full length.
    pub fn is_full(&self) -> bool {
        *self == Self::FULL
    }
}

/// The value of a variable, a number above zero; `None` where it is not set.
fn variable<T: TryFrom<u64>>(name: &str) -> Outcome<Option<T>> {
    let Some(text) = std::env::var_os(name) else {
        return Ok(None);
    };
    let number = text.to_str().and_then(|text| text.parse::<u64>().ok()).filter(|number| *number > 0);
    match number.and_then(|number| T::try_from(number).ok()) {
        Some(number) => Ok(Some(number)),
        None => Err(format!("{name} must be a whole number above zero").into()),
    }
}
