//! The clock.

/// The clock, in Unix seconds.
pub(super) fn now_s() -> i64 {
    jiff::Timestamp::now().as_second()
}
