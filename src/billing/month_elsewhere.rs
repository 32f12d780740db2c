//! Windows that are months of another time zone, and so are no months of UTC, by which bills go.

use crate::billing::adjustment::month_of;
use crate::billing::period::{Period, date};
use crate::billing::statement::ListingKind;
use std::fmt;

/// By how many hours clocks are behind UTC at most, and ahead of it.
const BEHIND_H: i64 = 12;
const AHEAD_H: i64 = 14;
const HOUR_S: i64 = 3_600;

/// The month that a bill's window is where clocks are ahead of UTC by whole hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MonthElsewhere {
    /// By how many hours they are ahead as the month starts; below zero: behind.
    pub hours_ahead: i64,
    /// The same as it ends: an hour more or less where summer time began or ended in it.
    pub hours_ahead_at_end: i64,
    /// The first second of the month of UTC that has its name.
    pub month_s: i64,
}

impl MonthElsewhere {
    /// The month; `None` where the window is a month of UTC, or none at all, or it is not a bill's.
    pub fn of(kind: ListingKind, period: Period) -> Option<Self> {
        if kind != ListingKind::Bill || month_of(period).is_some() {
            return None;
        }
        let shifted = |(hours_ahead, hours_ahead_at_end): (i64, i64)| {
            let first_s = period.first_s() + hours_ahead * HOUR_S;
            let last_s = period.last_s() + hours_ahead_at_end * HOUR_S;
            let month_s = month_of(Period::new(first_s, last_s)?)?;
            Some(Self { hours_ahead, hours_ahead_at_end, month_s })
        };
        let zones = -BEHIND_H..=AHEAD_H;
        zones.flat_map(|hours| [0, 1, -1].map(|change| (hours, hours + change))).find_map(shifted)
    }
}

impl fmt::Display for MonthElsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in UTC{:+}", date(self.month_s).strftime("%Y-%m"), self.hours_ahead)?;
        if self.hours_ahead_at_end == self.hours_ahead {
            return Ok(());
        }
        write!(f, ", later UTC{:+}", self.hours_ahead_at_end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_of_another_time_zone_is_told_from_one_of_utc() {
        // September of 2026, from its first to its last second in UTC.
        let (first_s, last_s) = (1_788_220_800, 1_790_812_799);
        for (hours, first, last, words) in [
            (0, 0, 0, None),
            (0, 1, -1, None),
            (8, 0, 0, Some("2026-09 in UTC+8")),
            (8, 1, -1, Some("2026-09 in UTC+8")),
            (14, 0, 0, Some("2026-09 in UTC+14")),
            (-12, 0, 0, Some("2026-09 in UTC-12")),
            (8, 2, 0, None),
            (15, 0, 0, None),
            (8, 1_800, 1_800, None),
            // Summer time begins, and ends.
            (1, 0, -3_600, Some("2026-09 in UTC+1, later UTC+2")),
            (2, 0, 3_600, Some("2026-09 in UTC+2, later UTC+1")),
            (0, 0, -3_600, Some("2026-09 in UTC+0, later UTC+1")),
            (0, 1, 3_599, Some("2026-09 in UTC+0, later UTC-1")),
            (1, 0, -7_200, None),
        ] {
            let shift_s = hours * 3_600;
            let window = Period::new(first_s - shift_s + first, last_s - shift_s + last);
            let found = MonthElsewhere::of(ListingKind::Bill, window.expect("a window"));
            let found = found.map(|found| found.to_string());
            assert_eq!(found.as_deref(), words, "{hours} {first} {last}");
        }
    }
}
