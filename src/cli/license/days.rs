//! A number of days, as it is typed.

use std::str::FromStr;

/// A number of days, from 1 to as many as the calendar has, as `30` or `30d`.
#[derive(Clone, Copy, Debug)]
pub(super) struct DayCount(pub(super) u32);

impl FromStr for DayCount {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const MOST: u32 = 3_000_000;
        let digits = text.strip_suffix('d').unwrap_or(text);
        let digits = Some(digits).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
        let days =
            digits.and_then(|digits| digits.parse().ok()).filter(|days| (1..=MOST).contains(days));
        days.map(Self).ok_or("it must be a number of days from 1 to 3000000, such as 30d")
    }
}
