//! What covers what: which licenses usage draws from, and how a customer's several are folded into
//! the one answer that Agora asks for.

use crate::billing::amount::Amount;
use crate::billing::license::issued::{License, LicenseState, end_s};
use crate::billing::period;
use crate::billing::setting::Settings;

/// A license as far as drawing from it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawable {
    /// The order of issue.
    pub seq: i64,
    /// The first second in which it is good.
    pub starts_at_s: i64,
    /// Its expiry.
    pub expires_at_s: i64,
    /// When it was revoked, if it was.
    pub revoked_at_s: Option<i64>,
    /// What is left of it, above zero; `None`: without limit.
    pub balance: Option<Amount>,
}

impl Drawable {
    /// The last second in which it is good.
    fn end_s(&self) -> i64 {
        end_s(self.expires_at_s, self.revoked_at_s)
    }
}

/// What usage, or a consumption, draws from a license.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw {
    /// The license's order of issue.
    pub license_seq: i64,
    /// How much, above zero.
    pub amount: Amount,
}

/// Splits `wanted`, dated `at_s`, over those of a customer's licenses that are good at that second,
/// whenever it is written: the earliest end first, then the oldest. What they do not cover is not
/// drawn.
pub fn draw(drawable: &[Drawable], at_s: i64, wanted: &Amount) -> Vec<Draw> {
    let is_good = |license: &&Drawable| (license.starts_at_s..=license.end_s()).contains(&at_s);
    let mut good: Vec<&Drawable> = drawable.iter().filter(is_good).collect();
    good.sort_by_key(|license| (license.end_s(), license.seq));
    let mut left = wanted.clone();
    let mut draws = Vec::new();
    for license in good {
        let amount = license.balance.as_ref().map_or(&left, |balance| balance.min(&left)).clone();
        if amount.is_positive() {
            left -= &amount;
            draws.push(Draw { license_seq: license.seq, amount });
        }
    }
    draws
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
pub struct LicenseSummary {
    /// Unix seconds; its UTC date is the expiry date.
    pub expires_at_s: i64,
    /// What remains.
    pub residue: Residue,
}

impl LicenseSummary {
    /// The expiry date, as it is sent to Agora: `YYYY-MM-DD`.
    pub fn expire_date(&self) -> String {
        period::date(self.expires_at_s).to_string()
    }

    /// What remains, as it is sent to Agora.
    pub fn residue_count(&self, settings: &Settings) -> String {
        match &self.residue {
            Residue::Unlimited => settings.unlimited_as().to_string(),
            Residue::Count(count) => count.to_string(),
        }
    }
}

/// Folds a customer's licenses at `now_s`: the residue is the sum over the live ones, the expiry
/// the latest among them. Where none is live, nothing remains, and the expiry is the latest day on
/// which one was, a revoked one having ended on the day it was revoked, also where it had not
/// begun; or, where there is none of these, the latest of those that have not started. `None` for a
/// customer who never had any.
pub fn fold(licenses: &[License], now_s: i64) -> Option<LicenseSummary> {
    let live = || licenses.iter().filter(|license| license.state(now_s) == LicenseState::Live);
    if let Some(expires_at_s) = live().map(|license| license.expires_at_s).max() {
        let counts: Option<Vec<&Amount>> = live().map(|license| license.balance.as_ref()).collect();
        let residue = match counts {
            None => Residue::Unlimited,
            Some(counts) => Residue::Count(counts.into_iter().sum()),
        };
        return Some(LicenseSummary { expires_at_s, residue });
    }
    let ended = licenses.iter().filter_map(|license| license.ended_at_s(now_s)).max();
    let never_good = || licenses.iter().map(|license| license.expires_at_s).max();
    let expires_at_s = ended.or_else(never_good)?;
    Some(LicenseSummary { expires_at_s, residue: Residue::Count(Amount::default()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::license::issued::Revocation;
    use crate::billing::license::issued::tests::license;

    fn amount(text: &str) -> Amount {
        text.parse().expect("an amount")
    }

    fn drawable(seq: i64, expires_at_s: i64, balance: Option<&str>) -> Drawable {
        let balance = balance.map(amount);
        Drawable { seq, starts_at_s: 0, expires_at_s, revoked_at_s: None, balance }
    }

    fn drawn(licenses: &[Drawable], at_s: i64, wanted: &str) -> Vec<(i64, String)> {
        let draws = draw(licenses, at_s, &amount(wanted));
        draws.iter().map(|draw| (draw.license_seq, draw.amount.to_string())).collect()
    }

    fn standing(expires_at_s: i64, count: &str) -> Option<LicenseSummary> {
        let count = count.parse().expect("an amount");
        Some(LicenseSummary { expires_at_s, residue: Residue::Count(count) })
    }

    #[test]
    fn usage_draws_from_the_earliest_expiry_first_then_from_the_oldest() {
        let licenses = [
            drawable(1, 200, Some("5")),
            drawable(3, 100, Some("2")),
            drawable(2, 100, Some("1.5")),
        ];
        assert_eq!(drawn(&licenses, 50, "1"), [(2, "1".into())]);
        assert_eq!(
            drawn(&licenses, 50, "4.25"),
            [(2, "1.5".into()), (3, "2".into()), (1, "0.75".into())]
        );
        let all: Amount = draw(&licenses, 50, &amount("100")).iter().map(|draw| &draw.amount).sum();
        assert_eq!(all, amount("8.5"));
    }

    #[test]
    fn a_license_covers_from_its_first_second_to_its_expiry_or_to_the_one_before_it_was_revoked() {
        let license = Drawable { starts_at_s: 10, ..drawable(1, 100, Some("1")) };
        let revoked = |at_s| Drawable { revoked_at_s: Some(at_s), ..license.clone() };
        for (license, at_s, covered) in [
            (license.clone(), 9, false),
            (license.clone(), 10, true),
            (license.clone(), 100, true),
            (license.clone(), 101, false),
            (revoked(50), 49, true),
            (revoked(50), 50, false),
            (revoked(200), 100, true),
            (revoked(200), 101, false),
            (revoked(10), 10, false),
            (revoked(5), 4, false),
        ] {
            assert_eq!(!drawn(&[license], at_s, "1").is_empty(), covered, "{at_s}");
        }
        // The one that ended first is drawn from first, a revocation counted in.
        let licenses = [drawable(2, 90, Some("3")), Drawable { seq: 1, ..revoked(80) }];
        assert_eq!(drawn(&licenses, 50, "2"), [(1, "1".into()), (2, "1".into())]);
        assert_eq!(drawn(&[drawable(1, 100, None)], 50, "7"), [(1, "7".into())]);
    }

    #[test]
    fn a_license_to_come_is_no_residue_and_does_not_move_the_expiry() {
        let to_come = License { starts_at_s: 300, ..license(400, Some("7"), None) };
        assert_eq!(fold(std::slice::from_ref(&to_come), 50), standing(400, "0"));
        assert_eq!(fold(&[to_come.clone(), license(100, Some("1"), None)], 50), standing(100, "1"));
        assert_eq!(
            fold(&[to_come.clone(), license(100, Some("1"), None)], 150),
            standing(100, "0")
        );
        // Revoked before it began, it ended on the day it was revoked.
        let never =
            License { revoked: Some(Revocation { at_s: 140, reason: None }), ..to_come.clone() };
        assert_eq!(fold(&[never.clone(), license(100, Some("1"), None)], 150), standing(140, "0"));
        assert_eq!(fold(&[never.clone(), license(145, Some("1"), None)], 350), standing(145, "0"));
        assert_eq!(fold(&[never.clone(), to_come], 150), standing(140, "0"));
        assert_eq!(fold(std::slice::from_ref(&never), 350), standing(140, "0"));
        assert_eq!(never.good(), None);
    }

    #[test]
    fn live_licenses_add_up_and_the_latest_expiry_is_told() {
        let licenses = [
            license(100, Some("1.5"), None),
            license(200, Some("2"), None),
            license(49, Some("9"), None),
        ];
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
        assert_eq!(
            fold(&[license(60, None, None), license(100, Some("1"), Some(70))], 80),
            standing(70, "0")
        );
    }

    #[test]
    fn a_customer_who_never_had_a_license_has_no_standing() {
        assert_eq!(fold(&[], 0), None);
    }
}
