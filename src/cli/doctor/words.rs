//! Numbers, sizes and lists in words.

use crate::billing::period::DAY_S;

/// How many of a list are named.
const NAMED: usize = 5;

/// A number of things: `1 day`, `2 days`.
pub(super) fn count(number: impl Into<i128>, thing: &str) -> String {
    match number.into() {
        1 => format!("1 {thing}"),
        number => format!("{number} {thing}s"),
    }
}

/// The first things of a list, and how many there are beside them.
pub(super) fn list(things: impl ExactSizeIterator<Item = String>) -> String {
    let more = things.len().saturating_sub(NAMED);
    let named = things.take(NAMED).collect::<Vec<_>>().join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}

/// So many bytes, in the greatest unit of which there are ten or more.
pub(super) fn bytes(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let found = units.into_iter().find(|(_, shift)| bytes >> shift >= 10);
    found.map_or_else(
        || format!("{bytes} bytes"),
        |(unit, shift)| format!("{} {unit}", bytes >> shift),
    )
}

/// So many seconds, in days from two days on, else in hours or minutes.
pub(super) fn span(seconds: i64) -> String {
    match seconds.max(0) {
        seconds if seconds >= 2 * DAY_S => count(seconds / DAY_S, "day"),
        seconds if seconds >= 3_600 => count(seconds / 3_600, "hour"),
        seconds => count(seconds / 60, "minute"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_spans_and_lists_are_short() {
        assert_eq!(bytes(9_999), "9999 bytes");
        assert_eq!(bytes(10 << 20), "10 MiB");
        assert_eq!(bytes(u64::MAX), "17179869183 GiB");
        assert_eq!([span(-5), span(119), span(3_600)], ["0 minutes", "1 minute", "1 hour"]);
        assert_eq!([span(2 * DAY_S - 1), span(2 * DAY_S)], ["47 hours", "2 days"]);
        let names = |number: usize| list((0..number).map(|n| n.to_string()));
        assert_eq!(names(5), "0, 1, 2, 3, 4");
        assert_eq!(names(7), "0, 1, 2, 3, 4 and 2 more");
    }
}
