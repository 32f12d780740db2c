//! What the log is told of requests: the first events of a kind in full, and how many more there
//! were once a minute. Anybody can send requests, so that each may cost the log a bounded amount
//! only.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);
/// How many bytes of a path the log holds.
const PATH_BYTES: usize = 200;
/// How many bytes of a request without a path.
const START_BYTES: usize = 40;

/// How many lines of the log are lost: of the process, like the log.
static LOST_LINES: AtomicU64 = AtomicU64::new(0);

/// Counts a line of the log that there was no room for, or that could not be written.
pub fn count_lost_line() {
    LOST_LINES.fetch_add(1, Ordering::Relaxed);
}

/// How many lines of the log are lost since the process started.
pub(super) fn lost_lines() -> u64 {
    LOST_LINES.load(Ordering::Relaxed)
}

/// What happened, as far as the log tells events apart. Whoever has no key must not be able to hide
/// what whoever has one is told, so that the two are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A request without a signature, or with a key that is not known.
    Unsigned,
    /// A request with a key that is known, and not signed with its secret.
    WrongSecret,
    /// A request that is signed rightly, and not what can be answered.
    Signed,
    /// A request that is not HTTP, too long, or too slow, or whose parameters cannot be read.
    Malformed,
    /// A request that has no answer now.
    Busy,
    /// A request whose answer failed.
    Fault,
    /// A connection that could not be accepted.
    Unaccepted,
    /// A bill that leaves something out for want of a price.
    Unpriced,
    /// A statement that was told.
    Told,
    /// A provisioning call that changed something.
    Changed,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::Unsigned,
        Self::WrongSecret,
        Self::Signed,
        Self::Malformed,
        Self::Busy,
        Self::Fault,
        Self::Unaccepted,
        Self::Unpriced,
        Self::Told,
        Self::Changed,
    ];

    /// How many are told in full within a minute.
    fn in_full(self) -> u32 {
        match self {
            Self::Unsigned
            | Self::WrongSecret
            | Self::Signed
            | Self::Malformed
            | Self::Busy
            | Self::Fault
            | Self::Unaccepted
            | Self::Unpriced => 10,
            Self::Told => 60,
            Self::Changed => 300,
        }
    }

    /// The others of a minute, in words.
    fn words(self) -> &'static str {
        match self {
            Self::Unsigned => "requests refused for want of a right signature",
            Self::WrongSecret => "requests refused whose signature is not one by their key",
            Self::Signed => "requests refused though signed rightly",
            Self::Malformed => "requests refused as malformed, too long or too slow",
            Self::Busy => "requests told that there is no answer now",
            Self::Fault => "requests failed",
            Self::Unaccepted => "connections could not be accepted",
            Self::Unpriced => "bills left something out for want of a price",
            Self::Told => "statements were told",
            Self::Changed => "provisioning calls changed something",
        }
    }

    fn level(self) -> log::Level {
        match self {
            Self::Unsigned
            | Self::WrongSecret
            | Self::Signed
            | Self::Malformed
            | Self::Busy
            | Self::Unaccepted
            | Self::Unpriced => log::Level::Warn,
            Self::Fault => log::Level::Error,
            Self::Told | Self::Changed => log::Level::Info,
        }
    }
}

/// The events of the last minute, by their kinds: of the process, like the log.
static MINUTES: [Mutex<Minute>; Kind::ALL.len()] =
    [const { Mutex::new(Minute { since: None, count: 0 }) }; Kind::ALL.len()];

/// The events of one kind since a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Minute {
    since: Option<Instant>,
    count: u32,
}

impl Minute {
    /// Begins anew where the minute is over; returns how many events were not told in full.
    fn roll(&mut self, now: Instant, in_full: u32) -> u32 {
        if self.since.is_some_and(|since| now.duration_since(since) < MINUTE) {
            return 0;
        }
        let untold = self.end(in_full);
        self.since = Some(now);
        untold
    }

    /// Ends it; returns how many events were not told in full.
    fn end(&mut self, in_full: u32) -> u32 {
        let untold = self.count.saturating_sub(in_full);
        *self = Self { since: None, count: 0 };
        untold
    }
}

/// Lets an event be logged by `log`, or counts it where there have been many.
pub(super) fn tell(kind: Kind, log: impl FnOnce()) {
    // Where the level is not logged, nothing is counted.
    if kind.level() > log::max_level() {
        return;
    }
    let (untold, is_told) = {
        let mut minute = MINUTES[kind as usize].lock().unwrap_or_else(PoisonError::into_inner);
        let untold = minute.roll(Instant::now(), kind.in_full());
        minute.count = minute.count.saturating_add(1);
        (untold, minute.count <= kind.in_full())
    };
    count_up(untold, kind);
    if is_told {
        log();
    }
}

/// Tells how many more there were in a minute that is over.
pub(super) fn sum_up() {
    for kind in Kind::ALL {
        let mut minute = MINUTES[kind as usize].lock().unwrap_or_else(PoisonError::into_inner);
        let is_quiet = minute.count == 0;
        let untold = if is_quiet { 0 } else { minute.roll(Instant::now(), kind.in_full()) };
        drop(minute);
        count_up(untold, kind);
    }
}

/// Tells how many more there were since then, before the server ends.
pub(super) fn end() {
    for kind in Kind::ALL {
        let mut minute = MINUTES[kind as usize].lock().unwrap_or_else(PoisonError::into_inner);
        let untold = minute.end(kind.in_full());
        drop(minute);
        count_up(untold, kind);
    }
}

fn count_up(untold: u32, kind: Kind) {
    if untold > 0 {
        log::log!(kind.level(), count = untold; "{untold} more {} in a minute", kind.words());
    }
}

/// A request that is refused, and why.
pub(super) fn refused(kind: Kind, method: &str, path: &str, status: u16, reason: &str) {
    tell(kind, || {
        let (method, path) = (cut(method), cut(path));
        log::warn!(
            method, path, status, reason;
            "refused {method} {path}: {reason}; told {status}"
        );
    });
}

/// The same of a request that is named by what it is and by its first bytes.
pub(super) fn refused_start(what: &str, start: &[u8], status: u16, reason: &str) {
    tell(Kind::Malformed, || {
        let start = start[..start.len().min(START_BYTES)].escape_ascii().to_string();
        let start = start.as_str();
        log::warn!(start, status, reason; "refused {what}, \"{start}\": {reason}; told {status}");
    });
}

/// The same of a request whose head was in order, and is gone.
pub(super) fn refused_body(status: u16, reason: &str) {
    tell(Kind::Malformed, || {
        log::warn!(status, reason; "refused the body of a request: {reason}; told {status}");
    });
}

/// A request that has no answer now, and why: it is told 503.
pub(super) fn busy(path: &str, reason: &str) {
    tell(Kind::Busy, || {
        let (path, status) = (cut(path), 503);
        log::warn!(path, status, reason; "no answer now for {path}: {reason}; told {status}");
    });
}

/// A time in milliseconds as the log writes it.
pub(super) fn ms(took: Duration) -> String {
    format!("{}.{:03} ms", took.as_millis(), took.subsec_micros() % 1_000)
}

/// A moment as the log writes it.
pub(super) fn rfc3339(at_s: i64) -> String {
    jiff::Timestamp::from_second(at_s).map_or_else(|_| at_s.to_string(), |at| at.to_string())
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
    fn the_first_events_of_a_minute_are_told_in_full_and_the_others_counted() {
        let mut minute = Minute { since: None, count: 0 };
        let now = Instant::now();
        for at in 0..1_000 {
            assert_eq!(minute.roll(now + Duration::from_millis(at), 10), 0);
            minute.count += 1;
        }
        assert_eq!(minute.roll(now + MINUTE, 10), 990);
        assert_eq!((minute.count, minute.roll(now + MINUTE * 3, 10)), (0, 0));
    }

    #[test]
    fn each_kind_has_its_own_count() {
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
        }
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
