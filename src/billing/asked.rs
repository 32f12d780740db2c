//! Which days and months Agora never asked for.

use crate::billing::period::{Grain, Period};
use crate::billing::statement::Statement;

/// How long after its end a day or a month may still be asked for: Agora asks some time in the
/// first hours.
const GRACE_S: i64 = 6 * 3_600;
/// The longest stretch between two windows that is no gap. Agora's text says that a window starts
/// later than the first second of a day, and ends earlier than its last.
const SEAM_S: i64 = 2;

/// The days, or months, of which no window holds all, by their first seconds: from the one around
/// `from_s` on, up to now. Of a window that was asked for before it was over, what was over then
/// counts.
pub fn never_asked(grain: Grain, statements: &[Statement], from_s: i64, now_s: i64) -> Vec<i64> {
    let windows = Period::merged(statements.iter().filter_map(stated).collect());
    let starts = std::iter::successors(Some(grain.floor(from_s)), |start_s| {
        Some(grain.after(*start_s)).filter(|after_s| after_s > start_s)
    });
    let over = starts.take_while(|start_s| grain.after(*start_s) + GRACE_S <= now_s);
    over.filter(|start_s| has_gap(&windows, Period::around(grain, *start_s))).collect()
}

/// From when on days, or months, can be missed, if Agora asked for any in time: from the first one
/// that it asked for no later than in the day, or month, after it. An operator may have tried a
/// window of long ago before.
pub fn missed_from(grain: Grain, statements: &[Statement]) -> Option<i64> {
    let in_time = |statement: &Statement| {
        let before_s = (grain.floor(statement.first_asked_at_s) - 1).max(0);
        let is_in_time = statement.period.last_s() >= grain.floor(before_s);
        is_in_time.then(|| grain.floor(before_s).max(statement.period.first_s()))
    };
    statements.iter().find_map(in_time)
}

/// Tells whether the day or month that starts at a second is the last one that should have been
/// asked for by now: where it was not, nobody asks any more.
pub fn is_last(grain: Grain, start_s: i64, now_s: i64) -> bool {
    grain.after(grain.after(start_s)) + GRACE_S > now_s
}

/// The part of its window that a statement states: what was over as it was asked for.
fn stated(statement: &Statement) -> Option<Period> {
    let period = statement.period;
    let last_s = if statement.provisional {
        period.last_s().min(statement.last_asked_at_s - 1)
    } else {
        period.last_s()
    };
    Period::new(period.first_s(), last_s)
}

/// Tells whether a part of a period is in none of the windows, which are in the order of time and
/// do not overlap.
fn has_gap(windows: &[Period], period: Period) -> bool {
    let mut from_s = period.first_s();
    let after = windows.partition_point(|window| window.last_s() < period.first_s());
    for window in windows[after..].iter().take_while(|window| window.first_s() <= period.last_s()) {
        if window.first_s() - from_s > SEAM_S {
            return true;
        }
        from_s = window.last_s() + 1;
    }
    period.last_s() + 1 - from_s > SEAM_S
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::amount::Amount;
    use crate::billing::period::DAY_S;
    use crate::billing::statement::{Digest, ListingKind, is_provisional};
    use proptest::prelude::*;

    /// 2026-11-01.
    const START_S: i64 = 1_793_491_200;

    fn statement(first_s: i64, last_s: i64, asked_at_s: i64) -> Statement {
        let period = Period::new(first_s, last_s).expect("a window");
        Statement {
            seq: 1,
            kind: ListingKind::Usage,
            period,
            first_asked_at_s: asked_at_s,
            last_asked_at_s: asked_at_s,
            asked: 1,
            knew_seq: 0,
            last_knew_seq: 0,
            provisional: is_provisional(ListingKind::Usage, period, asked_at_s),
            adjusts: false,
            total: Amount::default(),
            total_size: 0,
            digest: Digest::of(0, &[]),
        }
    }

    fn days(statements: &[Statement], now_s: i64) -> Vec<i64> {
        let missing = never_asked(Grain::Day, statements, START_S + 7, now_s);
        missing.into_iter().map(|start_s| (start_s - START_S) / DAY_S).collect()
    }

    #[test]
    fn a_day_is_asked_for_whatever_its_windows_leave_out_at_midnight() {
        let at = |day: i64, second: i64| START_S + day * DAY_S + second;
        let asked = [
            statement(at(0, 0), at(1, -1), at(1, 600)),
            statement(at(1, 1), at(2, -2), at(2, 600)),
            // Two halves, and the seam between them.
            statement(at(3, 0), at(3, 43_198), at(4, 600)),
            statement(at(3, 43_201), at(4, -1), at(4, 600)),
            // An hour is missing.
            statement(at(4, 0), at(4, 43_200), at(5, 600)),
            statement(at(4, 46_800), at(5, -1), at(5, 600)),
            // Asked for at noon.
            statement(at(5, 0), at(6, -1), at(5, 43_200)),
        ];
        assert_eq!(days(&asked, at(6, 43_200)), [2, 4, 5]);
    }

    #[test]
    fn today_is_not_missing_yet_nor_yesterday_in_the_first_hours() {
        assert_eq!(days(&[], START_S + DAY_S + GRACE_S - 1), [0; 0]);
        assert_eq!(days(&[], START_S + DAY_S + GRACE_S), [0]);
        let months = |now_s| never_asked(Grain::Month, &[], START_S + 5 * DAY_S, now_s);
        assert_eq!(months(START_S + 30 * DAY_S), [0; 0]);
        assert_eq!(months(START_S + 31 * DAY_S), [START_S]);
    }

    #[test]
    fn days_are_missed_from_the_first_one_that_was_asked_for_in_time() {
        let at = |day: i64, second: i64| START_S + day * DAY_S + second;
        let tried = statement(at(2, 0), at(3, -1), at(4, 0));
        let from = |statements: &[Statement]| missed_from(Grain::Day, statements);
        assert_eq!(from(&[]), None);
        assert_eq!(from(&[tried.clone(), tried.clone()]), None);
        // In the last second of the next day, for its own day, and of more days than one.
        for (first_s, last_s, asked_at_s, from_s) in [
            (at(2, 0), at(3, -1), at(4, -1), at(2, 0)),
            (at(3, 60), at(4, -1), at(3, 600), at(3, 60)),
            (at(0, 0), at(3, -1), at(3, 600), at(2, 0)),
        ] {
            let asked = [tried.clone(), statement(first_s, last_s, asked_at_s)];
            assert_eq!(from(&asked), Some(from_s));
        }
        assert_eq!(missed_from(Grain::Month, &[tried]), Some(at(2, 0)));
    }

    proptest! {
        #[test]
        fn a_day_is_missing_where_a_stretch_of_it_is_in_no_window(
            windows in prop::collection::vec((0_i64..400_000, 0_i64..200_000), 0..8),
        ) {
            let now_s = START_S + 10 * DAY_S;
            let asked: Vec<Statement> = windows
                .iter()
                .map(|(from, length)| statement(START_S + from, START_S + from + length, now_s))
                .collect();
            let is_in = |second: i64| {
                asked.iter().any(|s| (s.period.first_s()..=s.period.last_s()).contains(&second))
            };
            let gap = |day: &i64| {
                let start_s = START_S + day * DAY_S;
                let mut run = 0;
                (start_s..start_s + DAY_S).any(|second| {
                    run = if is_in(second) { 0 } else { run + 1 };
                    run > SEAM_S
                })
            };
            let wanted: Vec<i64> = (0..9).filter(gap).collect();
            prop_assert_eq!(days(&asked, now_s), wanted);
        }
    }
}
