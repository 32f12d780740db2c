//! Licenses, and how a customer's several are folded into the one answer that Agora asks for.

use crate::billing::amount::Amount;
use crate::billing::id::{CustomerId, LicenseId, Words};

/// A license as the books hold it. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct License {
    /// The vendor's id.
    pub id: LicenseId,
    /// Whose license it is.
    pub customer_id: CustomerId,
    /// When it was issued.
    pub issued_at_s: i64,
    /// The last second in which it is good.
    pub expires_at_s: i64,
    /// Units of usage it grants; `None`: unlimited.
    pub granted: Option<Amount>,
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
pub enum State {
    /// Good.
    Live,
    /// Past its last second.
    Expired,
    /// Taken back before that.
    Revoked,
}

impl License {
    /// What the license is at `now_s`.
    pub fn state(&self, now_s: i64) -> State {
        match &self.revoked {
            Some(_) => State::Revoked,
            None if now_s > self.expires_at_s => State::Expired,
            None => State::Live,
        }
    }

    /// What can still be used of it at `now_s`: nothing unless it is live; `None` where it is unlimited.
    pub fn residue(&self, now_s: i64) -> Option<Amount> {
        let granted = self.granted.as_ref()?;
        Some(match self.state(now_s) {
            State::Live => granted.clone(),
            State::Expired | State::Revoked => Amount::default(),
        })
    }

    /// The last second in which it was or will be good, a revocation counted in.
    fn ends_at_s(&self) -> i64 {
        match &self.revoked {
            Some(revocation) => self.expires_at_s.min(revocation.at_s),
            None => self.expires_at_s,
        }
    }
}

/// What remains to a customer over all licenses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Residue {
    /// At least one live license is unlimited.
    Unlimited,
    /// So many units.
    Count(Amount),
}

/// A customer's licenses folded into one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Unix seconds; its UTC date is the expiry date.
    pub expires_at_s: i64,
    /// What remains.
    pub residue: Residue,
}

/// Folds a customer's licenses at `now_s`: the residue is the sum over the live ones, the expiry the
/// latest among them. Where none is live, the latest day on which one was, and nothing remains; a
/// revoked one ended on the day it was revoked. `None` for a customer who never had any.
pub fn fold(licenses: &[License], now_s: i64) -> Option<Standing> {
    let live = || licenses.iter().filter(|license| license.state(now_s) == State::Live);
    if let Some(expires_at_s) = live().map(|license| license.expires_at_s).max() {
        let counts: Option<Vec<&Amount>> = live().map(|license| license.granted.as_ref()).collect();
        let residue = match counts {
            None => Residue::Unlimited,
            Some(counts) => Residue::Count(counts.into_iter().sum()),
        };
        return Some(Standing { expires_at_s, residue });
    }
    let expires_at_s = licenses.iter().map(License::ends_at_s).max()?;
    Some(Standing { expires_at_s, residue: Residue::Count(Amount::default()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn license(expires_at_s: i64, granted: Option<&str>, revoked_at_s: Option<i64>) -> License {
        License {
            id: "l".parse().expect("an id"),
            customer_id: "c".parse().expect("an id"),
            issued_at_s: 0,
            expires_at_s,
            granted: granted.map(|text| text.parse().expect("an amount")),
            revoked: revoked_at_s.map(|at_s| Revocation { at_s, reason: None }),
        }
    }

    fn standing(expires_at_s: i64, count: &str) -> Option<Standing> {
        let count = count.parse().expect("an amount");
        Some(Standing { expires_at_s, residue: Residue::Count(count) })
    }

    #[test]
    fn live_licenses_add_up_and_the_latest_expiry_is_told() {
        let licenses = [license(100, Some("1.5"), None), license(200, Some("2"), None), license(49, Some("9"), None)];
        assert_eq!(fold(&licenses, 50), standing(200, "3.5"));
    }

    #[test]
    fn a_license_is_good_through_its_last_second() {
        let licenses = [license(100, Some("1"), None)];
        assert_eq!(fold(&licenses, 100), standing(100, "1"));
        assert_eq!(fold(&licenses, 101), standing(100, "0"));
    }

    #[test]
    fn one_live_unlimited_license_makes_the_residue_unlimited() {
        let licenses = [license(100, Some("1"), None), license(90, None, None)];
        assert_eq!(fold(&licenses, 50).map(|s| s.residue), Some(Residue::Unlimited));
        assert_eq!(fold(&licenses, 95), standing(100, "1"));
    }

    #[test]
    fn a_revoked_license_ended_when_it_was_revoked_unless_it_had_run_out_before() {
        assert_eq!(fold(&[license(100, Some("1"), Some(70))], 80), standing(70, "0"));
        assert_eq!(fold(&[license(60, Some("1"), Some(70))], 80), standing(60, "0"));
        assert_eq!(fold(&[license(60, None, None), license(100, Some("1"), Some(70))], 80), standing(70, "0"));
    }

    #[test]
    fn a_customer_who_never_had_a_license_has_no_standing() {
        assert_eq!(fold(&[], 0), None);
    }
}
