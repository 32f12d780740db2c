//! A usage record, and when a second one under its id is the same.

use crate::billing::amount::Amount;
use crate::billing::id::{CustomerId, ProjectId, RecordId, Words};
use crate::billing::period::{Grain, LAST_SECOND, date, first_second};
use jiff::civil::Date;
use std::ops::RangeInclusive;

/// How far ahead of the clock a record may be dated, in seconds: clocks differ, but usage that has
/// not happened is a mistake.
pub const MAX_AHEAD_S: i64 = 300;

/// A record dated more days back than that is pointed out: a month and its bill are over by then.
pub const USUAL_DAYS: i64 = 62;

/// The seconds at which usage is mostly dated where `now_s` is the clock: at most [`USUAL_DAYS`]
/// back, and in this year or in the last. A record dated otherwise may be right, but is worth a
/// look.
pub fn usual_dates(now_s: i64) -> RangeInclusive<i64> {
    let this_year = date(now_s).year();
    let first_of = |year| Date::new(year, 1, 1).map_or(0, first_second);
    let last_year_s = first_of(this_year - 1);
    let next_year_s = Date::new(this_year + 1, 1, 1).map_or(LAST_SECOND + 1, first_second);
    last_year_s.max(now_s - USUAL_DAYS * 86_400)..=next_year_s - 1
}

/// Noon's distance from midnight, in seconds.
const NOON_S: i64 = 12 * 3_600;

/// When usage was, as it is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsedAt {
    /// As it is written.
    Now,
    /// At a second, in Unix seconds.
    Second(i64),
    /// On a day, which is given by its first second.
    Day(i64),
}

impl UsedAt {
    /// The second that a record is dated where the clock says `now_s`: of a day its noon, safely
    /// inside whatever window is asked for; of today before noon, now.
    pub fn second(self, now_s: i64) -> i64 {
        match self {
            Self::Now => now_s,
            Self::Second(second) => second,
            Self::Day(start_s) if Grain::Day.floor(now_s) == start_s => now_s.min(start_s + NOON_S),
            Self::Day(start_s) => start_s + NOON_S,
        }
    }

    /// Tells whether a record that is dated `at_s` says the same: repeated in the afternoon, a day
    /// still means the record of its morning.
    fn agrees_with(self, at_s: i64) -> bool {
        match self {
            Self::Now => true,
            Self::Second(second) => second == at_s,
            Self::Day(start_s) => Grain::Day.floor(at_s) == start_s,
        }
    }
}

/// A usage record as somebody wants it written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// Its idempotency key.
    pub id: RecordId,
    /// Whose usage it is.
    pub project_id: ProjectId,
    /// Usage, in the plan's unit; above zero.
    pub amount: Amount,
    /// When it was used.
    pub at: UsedAt,
    /// The customer whose project it was at that time, if given.
    pub customer_id: Option<CustomerId>,
    /// The operator's words.
    pub note: Option<Words>,
}

/// A usage record as it stands in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its idempotency key.
    pub id: RecordId,
    /// Whose usage it is.
    pub project_id: ProjectId,
    /// Usage, in the plan's unit; above zero.
    pub amount: Amount,
    /// The part of it that licenses covered as it was written; what is left is billed.
    pub covered: Amount,
    /// When it was used, in Unix seconds.
    pub at_s: i64,
    /// Whose the project was at that time, as the books stand now; `None` where nobody has said.
    pub customer_id: Option<CustomerId>,
    /// The same as the books stood when it was written.
    pub customer_then: Option<CustomerId>,
    /// How it was taken back, if it was.
    pub void: Option<Void>,
}

/// How a record was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Void {
    /// When, in Unix seconds.
    pub at_s: i64,
    /// The operator's words.
    pub reason: Words,
}

impl Record {
    /// Tells whether writing `new` again would say nothing else: project and amount (by value)
    /// agree, and so do time and customer where they are given. The customer may be the one of the
    /// record's time as the books stand now, or as they stood then: a move that is said later makes
    /// no conflict of an honest repetition.
    pub fn agrees_with(&self, new: &NewRecord) -> bool {
        self.id == new.id
            && self.project_id == new.project_id
            && self.amount == new.amount
            && new.at.agrees_with(self.at_s)
            && (new.customer_id.is_none()
                || new.customer_id == self.customer_id
                || new.customer_id == self.customer_then)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dated_far_back_or_in_another_year_is_unusual() {
        let second = |text: &str| text.parse::<jiff::Timestamp>().expect("a time").as_second();
        let now_s = second("2026-02-10T10:00:00Z");
        for (at, is_usual) in [
            ("2026-02-10T10:05:00Z", true),
            ("2025-12-10T10:00:00Z", true),
            ("2025-12-10T09:59:59Z", false),
            ("2016-02-10T10:00:00Z", false),
            ("2026-12-31T23:59:59Z", true),
            ("2027-01-01T00:00:00Z", false),
        ] {
            assert_eq!(usual_dates(now_s).contains(&second(at)), is_usual, "{at}");
        }
    }

    #[test]
    fn a_day_is_its_noon_and_today_before_noon_is_now() {
        let day_s = 20 * 86_400;
        for (now_s, second) in [
            (day_s - 1, day_s + NOON_S),
            (day_s, day_s),
            (day_s + 7, day_s + 7),
            (day_s + NOON_S + 1, day_s + NOON_S),
            (day_s + 86_400, day_s + NOON_S),
        ] {
            assert_eq!(UsedAt::Day(day_s).second(now_s), second, "{now_s}");
        }
    }

    #[test]
    fn a_repeat_agrees_by_value_and_by_what_it_tells() {
        let stands = Record {
            id: "r".parse().expect("an id"),
            project_id: "p".parse().expect("an id"),
            amount: "1.5".parse().expect("an amount"),
            covered: Amount::default(),
            at_s: 7,
            customer_id: None,
            customer_then: None,
            void: None,
        };
        let again = NewRecord {
            id: stands.id.clone(),
            project_id: stands.project_id.clone(),
            amount: "1.50".parse().expect("an amount"),
            at: UsedAt::Now,
            customer_id: None,
            note: None,
        };
        assert!(stands.agrees_with(&again));
        assert!(stands.agrees_with(&NewRecord { at: UsedAt::Second(7), ..again.clone() }));
        assert!(!stands.agrees_with(&NewRecord { at: UsedAt::Second(8), ..again.clone() }));
        assert!(stands.agrees_with(&NewRecord { at: UsedAt::Day(0), ..again.clone() }));
        assert!(!stands.agrees_with(&NewRecord { at: UsedAt::Day(86_400), ..again.clone() }));
        assert!(!stands.agrees_with(&NewRecord { customer_id: "c".parse().ok(), ..again.clone() }));
        let said =
            |customer: &str| NewRecord { customer_id: customer.parse().ok(), ..again.clone() };
        let moved = Record {
            customer_id: "b".parse().ok(),
            customer_then: "a".parse().ok(),
            ..stands.clone()
        };
        assert_eq!(["a", "b", "c"].map(|id| moved.agrees_with(&said(id))), [true, true, false]);
        assert!(
            !stands.agrees_with(&NewRecord { amount: "1.51".parse().expect("an amount"), ..again })
        );
    }
}
