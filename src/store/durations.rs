//! How long something took, each time: counted in steps, by atomics alone, so that counting costs
//! whoever is counted next to nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The steps, in microseconds: a duration counts for the first that is not below it, and beyond the
/// last one for none.
pub const STEPS_MICROS: [u64; 14] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 200_000, 300_000, 400_000,
    500_000, 1_000_000,
];

/// Durations by their steps.
#[derive(Debug, Default)]
pub struct Durations {
    /// Of each step, and of what is beyond the last one.
    counts: [AtomicU64; STEPS_MICROS.len() + 1],
    micros: AtomicU64,
}

impl Durations {
    /// Counts one.
    pub fn count(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let step = STEPS_MICROS.partition_point(|step| *step < micros);
        self.counts[step].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// How many there were of each step, and beyond the last.
    pub fn counts(&self) -> [u64; STEPS_MICROS.len() + 1] {
        std::array::from_fn(|step| self.counts[step].load(Ordering::Relaxed))
    }

    /// All of them together.
    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.micros.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_for_the_first_step_that_is_not_below_it() {
        let durations = Durations::default();
        for micros in [0, 250, 251, 1_000_000, 1_000_001] {
            durations.count(Duration::from_micros(micros));
        }
        let counts = durations.counts();
        assert_eq!((counts[0], counts[1], counts[13], counts[14]), (2, 1, 1, 1));
        assert_eq!(durations.sum(), Duration::from_micros(2_000_502));
    }
}
