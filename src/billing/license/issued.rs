//! A license as it was issued, and what it is at a moment.

use crate::billing::amount::Amount;
use crate::billing::id::{CustomerId, Label, LicenseId, LicenseType, Words};
use crate::billing::period::Period;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// A license as the books hold it. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct License {
    /// The order of issue, from 1.
    pub seq: i64,
    /// The vendor's id.
    pub id: LicenseId,
    /// Whose license it is.
    pub customer_id: CustomerId,
    /// Which of the vendor's licenses, where given.
    pub kind: Option<LicenseType>,
    /// What it is good for, where given.
    pub platforms: Option<Platforms>,
    /// When it was issued.
    pub issued_at_s: i64,
    /// The first second in which it is good.
    pub starts_at_s: i64,
    /// The last second in which it is good.
    pub expires_at_s: i64,
    /// Units of usage it grants, adjustments included; `None`: unlimited.
    pub granted: Option<Amount>,
    /// What is left of them, whatever its state; zero or above. `None`: unlimited.
    pub balance: Option<Amount>,
    /// When and why it was revoked.
    pub revoked: Option<Revocation>,
}

/// When and why a license was revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// When, in Unix seconds; it is not good from this second on.
    pub at_s: i64,
    /// The operator's words, if any.
    pub reason: Option<Words>,
}

/// What a license is at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LicenseState {
    /// Before its first second.
    Scheduled,
    /// Good.
    Live,
    /// Past its last second.
    Expired,
    /// Taken back.
    Revoked,
}

impl LicenseState {
    /// Its name at the shell.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Live => "live",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// What a license is good for, such as `android` and `ios`: each 1 to 32 bytes of printable ASCII,
/// 255 bytes in all. Prints as Agora joins them: `android|ios`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platforms(String);

/// Why a text names no platforms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it must be names such as android,ios: each of 1 to 32 printable ASCII characters, 255 in all"
)]
pub struct NotPlatforms;

impl Platforms {
    /// The names, joined by `|`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Platforms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Reads names joined by `,` or `|`; their order and repetitions mean nothing.
impl FromStr for Platforms {
    type Err = NotPlatforms;

    fn from_str(text: &str) -> Result<Self, NotPlatforms> {
        let names: BTreeSet<&str> = text.split([',', '|']).map(str::trim).collect();
        let good = |name: &&str| {
            (1..=32).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic())
        };
        let joined = names.iter().copied().collect::<Vec<_>>().join("|");
        if names.iter().all(good) && joined.len() <= 255 {
            Ok(Self(joined))
        } else {
            Err(NotPlatforms)
        }
    }
}

impl License {
    /// What the license is at `now_s`.
    pub fn state(&self, now_s: i64) -> LicenseState {
        match &self.revoked {
            Some(_) => LicenseState::Revoked,
            None if now_s > self.expires_at_s => LicenseState::Expired,
            None if now_s < self.starts_at_s => LicenseState::Scheduled,
            None => LicenseState::Live,
        }
    }

    /// When it is good: from its first second to its expiry, or to the second before it was
    /// revoked. `None` where it was revoked before it began.
    pub fn good(&self) -> Option<Period> {
        let revoked_at_s = self.revoked.as_ref().map(|revocation| revocation.at_s);
        Period::new(self.starts_at_s, end_s(self.expires_at_s, revoked_at_s))
    }

    /// The time in which it covers more than it did `before`: all of it where it was granted more,
    /// else what was added to its end.
    pub fn covers_more_than(&self, before: &Self) -> Option<Period> {
        let good = self.good()?;
        if self.granted > before.granted {
            return Some(good);
        }
        match before.good() {
            Some(was) => Period::new(was.last_s() + 1, good.last_s()),
            None => Some(good),
        }
    }

    /// When it ended or will end, where it has begun or was revoked: a revoked one ended as it was
    /// revoked, also before it began.
    pub(super) fn ended_at_s(&self, now_s: i64) -> Option<i64> {
        match &self.revoked {
            Some(revocation) => Some(self.expires_at_s.min(revocation.at_s)),
            None => (self.starts_at_s <= self.expires_at_s.min(now_s)).then_some(self.expires_at_s),
        }
    }
}

/// What one of the vendor's types of licenses grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeGrant {
    /// Agora's name of the type.
    pub kind: LicenseType,
    /// The operator's words for it, if any.
    pub name: Option<Label>,
    /// Units of usage; `None`: unlimited.
    pub granted: Option<Amount>,
}

/// The last second in which a license is good that expires and was revoked at these seconds.
pub(super) fn end_s(expires_at_s: i64, revoked_at_s: Option<i64>) -> i64 {
    revoked_at_s.map_or(expires_at_s, |at_s| expires_at_s.min(at_s - 1))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::billing::license) fn license(
        expires_at_s: i64,
        granted: Option<&str>,
        revoked_at_s: Option<i64>,
    ) -> License {
        let granted: Option<Amount> = granted.map(|text| text.parse().expect("an amount"));
        License {
            seq: 1,
            id: "l".parse().expect("an id"),
            customer_id: "c".parse().expect("an id"),
            kind: None,
            platforms: None,
            issued_at_s: 0,
            starts_at_s: 0,
            expires_at_s,
            balance: granted.clone(),
            granted,
            revoked: revoked_at_s.map(|at_s| Revocation { at_s, reason: None }),
        }
    }

    #[test]
    fn platforms_are_a_set_however_they_are_joined() {
        let platforms =
            |text: &str| text.parse::<Platforms>().map(|platforms| platforms.to_string());
        assert_eq!(platforms("ios,android"), Ok("android|ios".into()));
        assert_eq!(platforms("android|ios|android"), Ok("android|ios".into()));
        for bad in ["", ",", "android,", "a b", "é", "x".repeat(33).as_str()] {
            assert_eq!(platforms(bad), Err(NotPlatforms), "{bad:?}");
        }
    }
}
