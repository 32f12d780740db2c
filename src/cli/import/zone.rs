//! `--zone`: times of rows that are written without a zone.

use crate::billing::period::LAST_SECOND;
use crate::billing::record::UsedAt;
use crate::cli::moment::{Moment, without_zone};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};
use std::str::FromStr;

/// A time zone by its name.
#[derive(Clone)]
pub(super) struct Zone(TimeZone);

impl FromStr for Zone {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        // The system's own zones are the newer ones; not every machine has them.
        let (system, bundled) = (jiff::tz::db(), TimeZoneDatabase::bundled());
        if let Ok(zone) = system.get(name).or_else(|_| bundled.get(name)) {
            return Ok(Self(zone));
        }
        let distance =
            |known: &str| strsim::osa_distance(&known.to_lowercase(), &name.to_lowercase());
        let nearest = bundled
            .available()
            .map(|known| (distance(known.as_str()), known.to_string()))
            .min()
            .filter(|(distance, _)| *distance <= (name.len() / 2).min(3));
        let example = nearest.map_or_else(
            || "name a time zone such as Europe/Berlin".to_owned(),
            |(_, known)| format!("did you mean {known}?"),
        );
        Err(format!("there is no such time zone: {example}"))
    }
}

impl Zone {
    /// The second of a time on this zone's clocks.
    ///
    /// # Errors
    /// When a clock change leaves the time out, or makes it twice.
    fn second(&self, time: DateTime) -> Result<i64, String> {
        let name = self.0.iana_name().unwrap_or_default();
        let zoned = self.0.to_ambiguous_timestamp(time);
        match zoned.offset() {
            AmbiguousOffset::Gap { before, after } => Err(format!(
                "{name} has no such time, since its clocks go forward there, from {} to {}: \
                 write the time with the offset that is meant, such as {time}{}",
                signed(before),
                signed(after),
                signed(before)
            )),
            AmbiguousOffset::Fold { before, after } => Err(format!(
                "{name} has this time twice, since its clocks go back there, from {} to {}: \
                 write the time with the offset that is meant, such as {time}{}",
                signed(before),
                signed(after),
                signed(before)
            )),
            AmbiguousOffset::Unambiguous { offset } => {
                let second = offset.to_timestamp(time).ok().map(|at| at.as_second());
                second
                    .filter(|second| (0..=LAST_SECOND).contains(second))
                    .ok_or_else(|| "a time from 1970 to 9999 is needed".to_owned())
            }
        }
    }
}

/// When a row says that its usage was; in `zone`, where its time has none of its own.
///
/// # Errors
/// When it is no time, or none that is known without a zone.
pub(super) fn used_at(text: &str, zone: Option<&Zone>) -> Result<UsedAt, String> {
    let error = match text.parse::<Moment>() {
        Ok(moment) => return Ok(moment.of_record()),
        Err(error) => error,
    };
    match (without_zone(text), zone) {
        (Some(time), Some(zone)) => zone.second(time).map(UsedAt::Second),
        (Some(_), None) => {
            Err(format!("{error}; --zone ZONE reads all such times of a file in one zone"))
        }
        (None, _) => Err(error.to_string()),
    }
}

/// An offset as it stands behind a time.
fn signed(offset: Offset) -> String {
    let seconds = offset.seconds();
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.abs() / 60;
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_a_zone_is_read_in_the_zone_that_is_named() {
        let berlin: Zone = "Europe/Berlin".parse().expect("a zone");
        for (text, wanted) in [
            ("2026-11-23T11:00:00", 1_795_428_000),
            ("2026-11-23 11:00:00.75", 1_795_428_000),
            ("2026-11-23 11:00", 1_795_428_000),
            ("2026-07-23T12:00:00", 1_784_800_800),
            // Those that have one, and days, are what they are without --zone.
            ("2026-11-23T10:00:00Z", 1_795_428_000),
            ("1795428000", 1_795_428_000),
        ] {
            assert_eq!(used_at(text, Some(&berlin)), Ok(UsedAt::Second(wanted)), "{text}");
        }
        assert_eq!(used_at("2026-11-23", Some(&berlin)), Ok(UsedAt::Day(1_795_392_000)));
        for (text, word) in [
            ("2026-03-29T02:30:00", "has no such time, since its clocks go forward there"),
            ("2026-10-25 02:30:00", "has this time twice, since its clocks go back there"),
            ("2026-11-23T10:00:60", "seconds 00 to 59"),
            ("2026-11-23T24:00:00", "must be"),
            ("2026-11-31T10:00:00", "no such day"),
            ("2026-11-23T10:00:00.", "must be"),
            ("2026-11-23T10", "must be"),
            ("20261123", "must be"),
            ("1969-11-23T10:00:00", "from 1970"),
        ] {
            let said = used_at(text, Some(&berlin)).expect_err(text);
            assert!(said.contains(word), "{text}: {said}");
        }
        let said = used_at("2026-11-23T11:00:00", None).expect_err("no zone");
        assert!(said.contains("--zone ZONE"), "{said}");
        let said = "Europe/Berln".parse::<Zone>().err().expect("no zone");
        assert!(said.contains("did you mean Europe/Berlin?"), "{said}");
    }
}
