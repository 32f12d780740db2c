//! How long licenses last at the pace of the last days.

use crate::billing::amount::Amount;

/// In how many days, at most `within`, `left` is used up where `used` was in the last `days` days;
/// `None` where it lasts longer.
pub fn runs_out_in(left: &Amount, used: &Amount, days: u32, within: u32) -> Option<u32> {
    let wanted = left * &Amount::from(days);
    (1..=within).find(|day| used * &Amount::from(*day) >= wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_lasts_as_long_as_the_pace_of_the_last_days_says() {
        let amount = |text: &str| text.parse::<Amount>().expect("an amount");
        let in_days = |left, used| runs_out_in(&amount(left), &amount(used), 7, 30);
        assert_eq!(in_days("10", "7"), Some(10));
        assert_eq!(in_days("10.1", "7"), Some(11));
        assert_eq!(in_days("30", "7"), Some(30));
        assert_eq!(in_days("30.000000000000000001", "7"), None);
        assert_eq!(runs_out_in(&amount("1"), &Amount::default(), 7, 30), None);
    }
}
