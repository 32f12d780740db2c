//! What the log is told of refused requests: the first ones of a kind in full, and how many more
//! there were once a minute. Anybody can send requests that are refused, so that each may cost the
//! log a bounded amount only.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many refusals of a kind are told in full within a minute.
const IN_FULL: u32 = 10;
const MINUTE: Duration = Duration::from_secs(60);
/// How many bytes of a path the log holds.
const PATH_BYTES: usize = 200;

/// Why a request was refused, as far as the log tells refusals apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// No signature, or one that is not right.
    Signature,
    /// Signed rightly, and not what can be answered.
    Signed,
    /// Not HTTP, too long, or too slow.
    Malformed,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Signature, Self::Signed, Self::Malformed];

    fn words(self) -> &'static str {
        match self {
            Self::Signature => "for want of a right signature",
            Self::Signed => "though signed rightly",
            Self::Malformed => "as malformed, too long or too slow",
        }
    }
}

/// The refusals of the last minute.
#[derive(Default)]
pub(super) struct RefusalLog(Mutex<[Minute; Kind::ALL.len()]>);

/// The refusals of one kind since a moment.
#[derive(Clone, Copy, Default)]
struct Minute {
    since: Option<Instant>,
    count: u32,
}

impl Minute {
    /// Begins anew where the minute is over; returns how many refusals were not told in full.
    fn roll(&mut self, now: Instant) -> u32 {
        if self.since.is_some_and(|since| now.duration_since(since) < MINUTE) {
            return 0;
        }
        let untold = self.count.saturating_sub(IN_FULL);
        *self = Self { since: Some(now), count: 0 };
        untold
    }
}

impl RefusalLog {
    /// Logs a refusal, or counts it where there have been many.
    pub(super) fn tell(&self, kind: Kind, line: impl FnOnce() -> String) {
        let now = Instant::now();
        let (untold, is_told) = {
            let mut minutes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let minute = &mut minutes[kind as usize];
            let untold = minute.roll(now);
            minute.count = minute.count.saturating_add(1);
            (untold, minute.count <= IN_FULL)
        };
        warn_of(untold, kind);
        if is_told {
            log::warn!("{}", line());
        }
    }

    /// Tells how many more there were in a minute that is over.
    pub(super) fn sum_up(&self) {
        for kind in Kind::ALL {
            let mut minutes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let minute = &mut minutes[kind as usize];
            let untold = if minute.count == 0 { 0 } else { minute.roll(Instant::now()) };
            drop(minutes);
            warn_of(untold, kind);
        }
    }
}

fn warn_of(untold: u32, kind: Kind) {
    if untold > 0 {
        log::warn!("{untold} more requests refused {} in a minute", kind.words());
    }
}

/// A path as the log holds it: its first bytes.
pub(super) fn cut(path: &str) -> &str {
    let mut end = path.len().min(PATH_BYTES);
    while !path.is_char_boundary(end) {
        end -= 1;
    }
    &path[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_refusals_of_a_minute_are_told_in_full_and_the_others_counted() {
        let mut minute = Minute::default();
        let now = Instant::now();
        for at in 0..1_000 {
            assert_eq!(minute.roll(now + Duration::from_millis(at)), 0);
            minute.count += 1;
        }
        assert_eq!(minute.roll(now + MINUTE), 1_000 - IN_FULL);
        assert_eq!((minute.count, minute.roll(now + MINUTE * 3)), (0, 0));
    }

    #[test]
    fn a_path_is_cut_between_characters() {
        assert_eq!(cut("/usage"), "/usage");
        let long = "é".repeat(150);
        assert_eq!(cut(&long).len(), 200);
        let odd = format!("/{long}");
        assert_eq!(cut(&odd).len(), 199);
    }
}
