//! Times as they are written at the shell: a TIME, a DAY, a MONTH, all UTC unless an offset says
//! otherwise.

use crate::billing::period::{self, Grain, LAST_SECOND, Period};
use crate::billing::record::UsedAt;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use std::str::FromStr;

/// Why a text is not a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    #[error(
        "it must be a time such as 2026-11-23T10:00:00Z, Unix seconds such as 1795428000, or a day \
         such as 2026-11-23"
    )]
    Time,
    #[error("the time has no zone: add Z if it is UTC, else its offset such as +01:00")]
    NoZone,
    #[error("the calendar has no such day")]
    NoSuchDay,
    #[error("a minute has the seconds 00 to 59, and no second 60")]
    SixtiethSecond,
    #[error("it must be a day such as 2026-11-23")]
    Day,
    #[error("it must be a month such as 2026-11")]
    Month,
}

/// A DAY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Day(Period);

/// A MONTH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Month(Period);

/// A TIME.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// A second.
    Second(i64),
    /// A whole day, to be made a second by what it is for.
    Day(Day),
}

impl Day {
    pub(super) fn period(self) -> Period {
        self.0
    }
}

impl Month {
    pub(super) fn period(self) -> Period {
        self.0
    }

    /// The month around a second.
    pub(super) fn around(second: i64) -> Self {
        Self(Period::around(Grain::Month, second))
    }
}

impl std::fmt::Display for Month {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&month(self.0.first_s()))
    }
}

/// The month that starts at a second, as `2026-11`.
pub(super) fn month(start_s: i64) -> String {
    period::date(start_s).strftime("%Y-%m").to_string()
}

/// A second as RFC 3339 in UTC.
pub(super) fn rfc3339(second: i64) -> String {
    let date = period::date(second);
    let time = second.clamp(0, LAST_SECOND) - period::first_second(date);
    format!("{date}T{:02}:{:02}:{:02}Z", time / 3_600, time / 60 % 60, time % 60)
}

/// A window in words: a whole month or day as such, else from and to.
pub(super) fn window(period: Period) -> String {
    let is = |grain| Period::around(grain, period.first_s()) == period;
    if is(Grain::Month) {
        month(period.first_s())
    } else if is(Grain::Day) {
        period::date(period.first_s()).to_string()
    } else {
        format!("{} to {}", rfc3339(period.first_s()), rfc3339(period.last_s()))
    }
}

impl Moment {
    /// When a record says that usage was.
    pub(super) fn of_record(self) -> UsedAt {
        match self {
            Self::Second(second) => UsedAt::Second(second),
            Self::Day(day) => UsedAt::Day(day.0.first_s()),
        }
    }

    /// The first second of a window that starts so.
    pub(super) fn first_s(self) -> i64 {
        match self {
            Self::Second(second) => second,
            Self::Day(day) => day.0.first_s(),
        }
    }

    /// The last second of a window that ends so.
    pub(super) fn last_s(self) -> i64 {
        match self {
            Self::Second(second) => second,
            Self::Day(day) => day.0.last_s(),
        }
    }
}

/// Tells whether the time of day in a text, with colons or without, has 60 for its seconds.
fn has_sixtieth_second(text: &str) -> bool {
    let of_day = text.split_once(['T', 't', ' ']).map_or("", |(_, of_day)| of_day);
    let end = of_day.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(of_day.len());
    let digits: Vec<u8> = of_day[..end].bytes().filter(u8::is_ascii_digit).collect();
    digits.get(4..6) == Some(b"60")
}

/// A time of a day without a zone: `2026-11-23T10:00:00`, a space for the T, without seconds, or
/// with a fraction.
pub(super) fn without_zone(text: &str) -> Option<DateTime> {
    let form = b"0000-00-00T00:00:00";
    let is_so = text.len() == 16 || text.len() >= form.len();
    let is_so = is_so
        && text.bytes().zip(form).all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            b'T' => matches!(byte, b'T' | b' '),
            _ => byte == *form,
        });
    // jiff takes a 60th second for the 59th.
    let is_sixtieth = text.get(16..19) == Some(":60");
    let fraction = text.get(form.len()..).unwrap_or_default();
    let is_fraction = fraction.is_empty()
        || fraction.len() > 1
            && fraction.strip_prefix('.').is_some_and(|f| f.bytes().all(|b| b.is_ascii_digit()));
    (is_so && is_fraction && !is_sixtieth).then(|| text.parse().ok()).flatten()
}

/// Tells whether a text is written as a day is, and the calendar has none of that date.
fn names_no_day(text: &str) -> bool {
    let form = b"0000-00-00";
    let is_so = |(byte, form): (u8, &u8)| match form {
        b'0' => byte.is_ascii_digit(),
        _ => byte == *form,
    };
    text.len() == form.len() && text.bytes().zip(form).all(is_so) && text.parse::<Date>().is_err()
}

fn date(text: &str) -> Option<Date> {
    // The calendar's own form alone, not the many others of ISO 8601.
    let date: Date = text.parse().ok()?;
    (date.to_string() == text && date.year() >= 1970).then_some(date)
}

impl FromStr for Day {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let date =
            date(text).ok_or(if names_no_day(text) { Error::NoSuchDay } else { Error::Day })?;
        Ok(Self(Period::around(Grain::Day, period::first_second(date))))
    }
}

impl FromStr for Month {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let first = date(&format!("{text}-01")).ok_or(Error::Month)?;
        Ok(Self(Period::around(Grain::Month, period::first_second(first))))
    }
}

impl FromStr for Moment {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        // Fewer digits would be a second of the early 1970s, and are more likely a date without its
        // dashes.
        let is_seconds = text.len() >= 9 && text.bytes().all(|b| b.is_ascii_digit());
        let second = if is_seconds {
            text.parse().ok()
        } else {
            match text.parse::<Day>() {
                Ok(day) => return Ok(Self::Day(day)),
                // It would be read as the 59th.
                Err(_) if has_sixtieth_second(text) => return Err(Error::SixtiethSecond),
                Err(_) => text.parse::<Timestamp>().ok().map(Timestamp::as_second),
            }
        };
        let second = second.filter(|second| (0..=LAST_SECOND).contains(second));
        second.map(Self::Second).ok_or_else(|| {
            if without_zone(text).is_some() {
                Error::NoZone
            } else if text.get(..10).is_some_and(names_no_day) {
                Error::NoSuchDay
            } else {
                Error::Time
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> Moment {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn a_time_is_written_in_three_ways() {
        for text in [
            "2026-11-23T10:00:00Z",
            "2026-11-23 10:00:00Z",
            "2026-11-23T11:30:00+01:30",
            "2026-11-23 11:30:00+01:30",
            "1795428000",
        ] {
            assert_eq!(moment(text), Moment::Second(1_795_428_000), "{text}");
        }
        assert_eq!(moment("2026-11-23").first_s(), 1_795_392_000);
    }

    #[test]
    fn a_day_is_its_first_second_its_last_and_for_a_record_its_noon() {
        let day = moment("2026-11-23");
        assert_eq!(rfc3339(day.first_s()), "2026-11-23T00:00:00Z");
        assert_eq!(rfc3339(day.last_s()), "2026-11-23T23:59:59Z");
        assert_eq!(day.of_record(), UsedAt::Day(day.first_s()));
    }

    #[test]
    fn the_last_day_of_the_calendar_is_a_day_like_others() {
        let last: Day = "9999-12-31".parse().expect("a day");
        assert_eq!(rfc3339(last.period().last_s()), "9999-12-31T23:59:59Z");
        assert_eq!("9999-12".parse::<Month>().expect("a month").period().last_s(), LAST_SECOND);
    }

    #[test]
    fn a_window_is_told_as_shortly_as_it_can_be() {
        for (first, last, words) in [
            ("2026-11-01", "2026-11-30", "2026-11"),
            ("2026-11-30", "2026-11-30", "2026-11-30"),
            ("2026-11-01", "2026-11-29", "2026-11-01T00:00:00Z to 2026-11-29T23:59:59Z"),
        ] {
            let period =
                Period::new(moment(first).first_s(), moment(last).last_s()).expect("a window");
            assert_eq!(window(period), words);
        }
    }

    #[test]
    fn what_is_not_a_time_is_refused() {
        for text in ["", "now", "2026-11", "20261123", "-1", "1e9", "1795428000000", "1969-12-31"] {
            assert_eq!(text.parse::<Moment>(), Err(Error::Time), "{text}");
        }
        for text in [
            "2026-11-23T10:00:60Z",
            "2026-11-23 10:00:60Z",
            "2026-12-31T23:59:60Z",
            "2026-11-23T10:00:60.5+01:00",
            "20261123T100060Z",
        ] {
            assert_eq!(text.parse::<Moment>(), Err(Error::SixtiethSecond), "{text}");
        }
        for text in ["2026-13-01", "2026-02-30", "2026-02-30T10:00:00Z"] {
            assert_eq!(text.parse::<Moment>(), Err(Error::NoSuchDay), "{text}");
        }
        for text in ["2026-11-23T10:00:00", "2026-11-23 10:00"] {
            assert_eq!(text.parse::<Moment>(), Err(Error::NoZone), "{text}");
        }
        assert_eq!("2026-11-23T10:00:00Z".parse::<Day>(), Err(Error::Day));
        assert_eq!("2026-02-30".parse::<Day>(), Err(Error::NoSuchDay));
        for text in ["2026", "2026-1", "2026-13", "2026-11-01", "202611"] {
            assert_eq!(text.parse::<Month>(), Err(Error::Month), "{text}");
        }
        assert_eq!("2026-11".parse::<Month>().map(|m| m.to_string()), Ok("2026-11".to_owned()));
    }
}
