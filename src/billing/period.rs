//! Windows of time, closed at both ends, in Unix seconds (UTC), and how a window is put together
//! from whole months, days and hours.

use jiff::civil::{Date, date as civil_date};
use jiff::{SignedDuration, ToSpan};
use std::ops::Range;

const HOUR_S: i64 = 3_600;
/// Seconds of a day.
pub const DAY_S: i64 = 24 * HOUR_S;

/// The last second that the calendar here knows: 9999-12-31 23:59:59 UTC.
pub const LAST_SECOND: i64 = 253_402_300_799;

const EPOCH: Date = civil_date(1970, 1, 1);

/// A window from its first to its last second, both inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Period {
    first_s: i64,
    last_s: i64,
}

/// A length of the calendar for which sums are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Grain {
    /// A second: kept only for those in which a project has several records.
    Second,
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A calendar month.
    Month,
}

/// Where the sums of a piece are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SumSource {
    /// The kept sums of one grain.
    Rollup(Grain),
    /// The ledger's entries themselves.
    Ledger,
}

/// A part of a window's cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where its sums are read.
    pub source: SumSource,
    /// Its seconds; for a rollup, whole stretches of its grain.
    pub seconds: Range<i64>,
    /// Whether its sums are taken off rather than added.
    pub subtracted: bool,
}

impl Period {
    /// The window from `first_s` to `last_s`, both inside; `None` where it would be empty or
    /// outside the calendar (before 1970 or after [`LAST_SECOND`]).
    pub fn new(first_s: i64, last_s: i64) -> Option<Self> {
        let fits = 0 <= first_s && first_s <= last_s && last_s <= LAST_SECOND;
        fits.then_some(Self { first_s, last_s })
    }

    /// The whole hour, day or month around a second.
    pub fn around(grain: Grain, second: i64) -> Self {
        let first_s = grain.floor(second);
        Self { first_s, last_s: grain.after(first_s) - 1 }
    }

    /// Its first second.
    pub fn first_s(self) -> i64 {
        self.first_s
    }

    /// Its last second, which it holds.
    pub fn last_s(self) -> i64 {
        self.last_s
    }

    /// The first seconds of the months that it touches, ascending.
    pub fn months(self) -> Vec<i64> {
        let first_s = Grain::Month.floor(self.first_s);
        std::iter::successors(Some(first_s), |month_s| Some(Grain::Month.after(*month_s)))
            .take_while(|month_s| *month_s <= self.last_s)
            .collect()
    }

    /// The pieces whose sums, added and subtracted, are the window's. There are at most seven,
    /// whatever its length, and at most half an hour of ledger at each ragged end: past that, a
    /// whole hour less the rest is nearer; likewise for hours in a day and days in a month.
    pub fn cover(self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        cover(Some(Grain::Month), self.first_s..self.last_s + 1, false, &mut pieces);
        pieces
    }

    /// The seconds of windows that may overlap, in windows that do not, in the order of time.
    pub fn merged(mut windows: Vec<Self>) -> Vec<Self> {
        windows.sort_unstable_by_key(|window| window.first_s);
        let mut merged: Vec<Self> = Vec::new();
        for window in windows {
            match merged.last_mut() {
                Some(last) if window.first_s <= last.last_s => {
                    last.last_s = last.last_s.max(window.last_s);
                }
                Some(_) | None => merged.push(window),
            }
        }
        merged
    }

    /// The window cut at the edges of a grain: a part of a stretch at the start, whole stretches, a
    /// part at the end; each `None` where empty. A window inside one stretch is all start.
    pub fn cut(self, grain: Grain) -> (Option<Self>, Option<Self>, Option<Self>) {
        let end = self.last_s + 1;
        let whole_from = match grain.floor(self.first_s) {
            floor if floor == self.first_s => floor,
            floor => grain.after(floor),
        };
        let whole_to = grain.floor(end);
        if whole_from > whole_to {
            return (Some(self), None, None);
        }
        let part = |from: i64, to: i64| (from < to).then(|| Self { first_s: from, last_s: to - 1 });
        (part(self.first_s, whole_from), part(whole_from, whole_to), part(whole_to, end))
    }
}

/// Covers `seconds` with whole stretches of `grain` and, towards both ends, of what is finer.
fn cover(grain: Option<Grain>, seconds: Range<i64>, subtracted: bool, pieces: &mut Vec<Piece>) {
    if seconds.is_empty() {
        return;
    }
    let Some(grain) = grain else {
        pieces.push(Piece { source: SumSource::Ledger, seconds, subtracted });
        return;
    };
    let (from, to) = (grain.nearest(seconds.start), grain.nearest(seconds.end));
    if from == to {
        return cover(grain.finer(), seconds, subtracted, pieces);
    }
    // Between an edge of the window and the nearest edge of a stretch: missing from the whole
    // stretches where the window reaches further, and too much in them where it does not.
    let mut ragged = |edge: i64, nearest: i64, missing: bool| {
        let between = edge.min(nearest)..edge.max(nearest);
        cover(grain.finer(), between, subtracted == missing, pieces);
    };
    ragged(seconds.start, from, seconds.start < from);
    ragged(seconds.end, to, seconds.end > to);
    pieces.push(Piece { source: SumSource::Rollup(grain), seconds: from..to, subtracted });
}

impl Grain {
    /// The grains for which sums of all records are kept.
    pub const WHOLE: [Self; 3] = [Self::Hour, Self::Day, Self::Month];

    /// Its name in the books and at the shell.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    fn finer(self) -> Option<Self> {
        match self {
            Self::Month => Some(Self::Day),
            Self::Day => Some(Self::Hour),
            Self::Hour | Self::Second => None,
        }
    }

    /// The first second of the stretch that holds `second`.
    pub fn floor(self, second: i64) -> i64 {
        match self {
            Self::Second => second,
            Self::Hour => second - second.rem_euclid(HOUR_S),
            Self::Day => second - second.rem_euclid(DAY_S),
            Self::Month => first_second(date(second).first_of_month()),
        }
    }

    /// The first second of the stretch after the one that starts at `start_s`.
    pub fn after(self, start_s: i64) -> i64 {
        match self {
            Self::Second => start_s + 1,
            Self::Hour => start_s + HOUR_S,
            Self::Day => start_s + DAY_S,
            Self::Month => {
                date(start_s).checked_add(1.month()).map_or(LAST_SECOND + 1, first_second)
            }
        }
    }

    /// The edge of a stretch that is nearest to `second`.
    fn nearest(self, second: i64) -> i64 {
        let floor = self.floor(second);
        let after = self.after(floor);
        if second - floor <= after - second { floor } else { after }
    }
}

/// The UTC date of a second.
pub fn date(second: i64) -> Date {
    let since_epoch = SignedDuration::from_secs(second.clamp(0, LAST_SECOND));
    EPOCH.checked_add(since_epoch).expect("clamped into the calendar")
}

/// The first second of a UTC date.
pub fn first_second(date: Date) -> i64 {
    date.duration_since(EPOCH).as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn second(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().unwrap_or_else(|e| panic!("{text}: {e}")).as_second()
    }

    fn period(first: &str, last: &str) -> Period {
        Period::new(second(first), second(last)).expect("a window")
    }

    /// How often a cover counts a second: once where it is in the window, never where it is not.
    fn counted(pieces: &[Piece], second: i64) -> i32 {
        let sign = |piece: &Piece| if piece.subtracted { -1 } else { 1 };
        pieces.iter().filter(|piece| piece.seconds.contains(&second)).map(sign).sum()
    }

    proptest! {
        #[test]
        fn a_cover_counts_the_windows_seconds_once_and_no_others(
            first_s in 1_600_000_000_i64..1_700_000_000,
            length in prop_oneof![1_i64..10_000, 1_i64..200_000, 1_i64..40_000_000],
            probes in prop::collection::vec(-100_000_i64..40_100_000, 50),
        ) {
            let window = Period::new(first_s, first_s + length - 1).expect("not empty");
            let pieces = window.cover();
            let edges = pieces.iter().flat_map(|piece| {
                let Range { start, end } = piece.seconds;
                [start - 1, start, end - 1, end]
            });
            for second in edges.chain(probes.iter().map(|probe| first_s + probe)) {
                let inside = (window.first_s..=window.last_s).contains(&second);
                let counted = counted(&pieces, second);
                prop_assert_eq!(counted, i32::from(inside), "second {} of {:?}", second, pieces);
            }
        }

        #[test]
        fn a_cover_is_small_and_its_rollups_are_whole(
            first_s in 0_i64..4_000_000_000,
            length in 1_i64..4_000_000_000,
        ) {
            let pieces = Period::new(first_s, first_s + length - 1).expect("not empty").cover();
            prop_assert!(pieces.len() <= 7, "{:?}", pieces);
            for piece in &pieces {
                prop_assert!(!piece.seconds.is_empty());
                match piece.source {
                    SumSource::Ledger => {
                        let length_s = piece.seconds.end - piece.seconds.start;
                        prop_assert!(length_s <= HOUR_S, "{:?}", piece);
                    }
                    SumSource::Rollup(grain) => {
                        prop_assert_eq!(grain.floor(piece.seconds.start), piece.seconds.start);
                        prop_assert_eq!(grain.floor(piece.seconds.end), piece.seconds.end);
                    }
                }
            }
        }

        #[test]
        fn the_parts_of_a_cut_join_to_the_window(
            first_s in 0_i64..4_000_000_000,
            length in 1_i64..100_000_000,
        ) {
            let window = Period::new(first_s, first_s + length - 1).expect("not empty");
            for grain in Grain::WHOLE {
                let (start, whole, end) = window.cut(grain);
                let mut next = window.first_s;
                for part in [start, whole, end].into_iter().flatten() {
                    prop_assert_eq!(part.first_s, next);
                    next = part.last_s + 1;
                }
                prop_assert_eq!(next, window.last_s + 1);
                if let Some(whole) = whole {
                    prop_assert_eq!(grain.floor(whole.first_s), whole.first_s);
                    prop_assert_eq!(grain.floor(whole.last_s + 1), whole.last_s + 1);
                }
            }
        }
    }

    #[test]
    fn a_whole_day_or_month_is_one_range() {
        let day = period("2026-10-31T00:00:00Z", "2026-10-31T23:59:59Z").cover();
        assert_eq!(day.len(), 1);
        assert_eq!(day[0].source, SumSource::Rollup(Grain::Day));
        let months = period("2024-02-01T00:00:00Z", "2025-01-31T23:59:59Z").cover();
        assert_eq!(months.len(), 1);
        assert_eq!(months[0].source, SumSource::Rollup(Grain::Month));
    }

    #[test]
    fn a_day_less_its_first_and_last_second_is_the_day_with_two_seconds_taken_off() {
        let pieces = period("2026-11-10T00:00:01Z", "2026-11-10T23:59:58Z").cover();
        let (ledger, rollups): (Vec<_>, Vec<_>) =
            pieces.iter().partition(|p| p.source == SumSource::Ledger);
        assert!(
            ledger.iter().all(|p| p.subtracted && p.seconds.end - p.seconds.start == 1),
            "{pieces:?}"
        );
        assert_eq!((ledger.len(), rollups.len()), (2, 1));
        assert_eq!(rollups[0].source, SumSource::Rollup(Grain::Day));
    }

    #[test]
    fn months_have_their_lengths() {
        for (within, first, last) in [
            ("2024-02-10T12:00:00Z", "2024-02-01T00:00:00Z", "2024-02-29T23:59:59Z"),
            ("2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2026-12-31T23:59:59Z"),
        ] {
            assert_eq!(Period::around(Grain::Month, second(within)), period(first, last));
        }
    }

    #[test]
    fn a_window_touches_the_months_of_its_seconds() {
        let months = |first: &str, last: &str| {
            let months = period(first, last).months().into_iter();
            months.map(|month_s| date(month_s).to_string()).collect::<Vec<_>>()
        };
        assert_eq!(
            months("2026-10-31T23:59:59Z", "2026-12-01T00:00:00Z"),
            ["2026-10-01", "2026-11-01", "2026-12-01"]
        );
        assert_eq!(months("2026-10-01T00:00:00Z", "2026-10-31T23:59:59Z"), ["2026-10-01"]);
        assert_eq!(Period::new(LAST_SECOND, LAST_SECOND).expect("a second").months().len(), 1);
    }

    #[test]
    fn the_end_of_the_calendar_is_reached_without_a_panic() {
        assert_eq!(date(LAST_SECOND).to_string(), "9999-12-31");
        for grain in Grain::WHOLE {
            assert_eq!(Period::around(grain, LAST_SECOND).last_s(), LAST_SECOND);
        }
        assert!(Period::new(0, LAST_SECOND).expect("not empty").cover().len() <= 7);
        assert_eq!(Period::new(0, LAST_SECOND + 1), None);
    }
}
