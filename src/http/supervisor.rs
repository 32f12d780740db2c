//! What the service manager is told (sd_notify(3)): that the server is ready, that it still reads
//! the books, that it stops, and in a line how it is. Where nobody listens, nothing is told.

use crate::billing::period::DAY_S;
use sd_notify::NotifyState;
use std::fmt::Display;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// How often the status is looked at.
pub(super) const STATUS_EVERY: Duration = Duration::from_secs(2);

/// How much more time is asked for at once.
const MORE_TIME: Duration = Duration::from_secs(60);

/// Whether anybody listens.
pub(super) fn is_there() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// How often a sign of life is due: twice in the time after which the service manager ends a server
/// that gives none.
pub(super) fn pulse() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|within| within / 2).filter(|pulse| !pulse.is_zero())
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!("the service manager cannot be told how the server is: {error}");
    }
}

/// Does what a start needs, and asks for more time as long as it lasts: a migration of many records
/// takes longer than a service manager waits.
pub fn starting<T>(work: impl FnOnce() -> T) -> T {
    if !is_there() {
        return work();
    }
    let (end, ended) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            let more = u32::try_from(MORE_TIME.as_micros()).unwrap_or(u32::MAX);
            loop {
                tell(&[NotifyState::ExtendTimeoutUsec(more), NotifyState::Status("starting")]);
                // Its sender is dropped once the work is done.
                if ended.recv_timeout(MORE_TIME / 4) == Err(RecvTimeoutError::Disconnected) {
                    return;
                }
            }
        });
        let done = work();
        drop(end);
        done
    })
}

/// The server answers, or does so again after a reload.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// What can be read again is read again; [`ready`] ends it.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => log::warn!("the service manager cannot be told of a reload: {error}"),
    }
}

/// The books have just been read.
pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// The server answers what is in flight, and takes no more requests.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

/// How the server is.
pub(super) fn status(words: &str) {
    tell(&[NotifyState::Status(words)]);
}

/// When Agora last asked, and how many statements are kept, in words.
pub(super) fn asked_words(statements: i64, last_asked_at_s: Option<i64>, now_s: i64) -> String {
    let asked: Box<dyn Display> = match last_asked_at_s.map(jiff::Timestamp::from_second) {
        Some(Ok(at)) if at.as_second().div_euclid(DAY_S) == now_s.div_euclid(DAY_S) => {
            Box::new(at.strftime("last asked %H:%M"))
        }
        Some(Ok(at)) => Box::new(at.strftime("last asked %Y-%m-%d %H:%M")),
        Some(Err(_)) | None => Box::new("not asked yet"),
    };
    let plural = if statements == 1 { "" } else { "s" };
    format!("{asked}, {statements} statement{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_tells_the_hour_of_today_and_the_day_of_another() {
        // 2026-11-23T00:10:30Z.
        let asked_at_s = 1_795_392_630;
        let words = |statements, asked, now| asked_words(statements, asked, now);
        assert_eq!(words(31, Some(asked_at_s), asked_at_s + 60), "last asked 00:10, 31 statements");
        assert_eq!(
            words(1, Some(asked_at_s), asked_at_s + DAY_S),
            "last asked 2026-11-23 00:10, 1 statement"
        );
        assert_eq!(words(0, None, asked_at_s), "not asked yet, 0 statements");
    }
}
