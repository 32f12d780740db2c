//! Adjustments: what a month's bill tells of earlier months. All of it follows from one law.
//!
//! The newest kept bill of a month is what counts. A bill tells, of each month that it speaks of,
//! what that month costs by now less what the newest bills of other months tell of it. Of its own
//! month that is its own part, of each earlier month an adjustment; what cannot be told, since no
//! entry falls below zero, is due again next time.

use crate::billing::amount::Amount;
use crate::billing::period::{Grain, Period};

/// How many seconds of a month a window may leave out at either end and still be that month's:
/// Agora's text says later than its first second and earlier than its last.
const LEFT_OUT_S: i64 = 1;

/// The month, by its first second, whose bill a window asks for; `None` where it is another window.
pub fn month_of(window: Period) -> Option<i64> {
    let month = Period::around(Grain::Month, window.first_s());
    let is_whole = window.first_s() - month.first_s() <= LEFT_OUT_S
        && (0..=LEFT_OUT_S).contains(&(month.last_s() - window.last_s()));
    is_whole.then_some(month.first_s())
}

/// What an earlier month of a project costs by now less what the bills of other months tell of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The month, by its first second.
    pub month_s: i64,
    /// In the currency agreed with Agora; below zero where bills tell too much. `None` without a
    /// price.
    pub amount: Option<Amount>,
}

/// What a bill tells of an earlier month of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjustment {
    /// The month, by its first second.
    pub month_s: i64,
    /// In the currency agreed with Agora. Never zero, but in statements of earlier versions.
    pub amount: Amount,
    /// Whether it is all that is due of the month. Else the rest, below zero, waits for a later
    /// bill.
    pub whole: bool,
}

/// Splits an entry of a month's bill into its parts: the own one out of what is due of the month
/// itself, at least zero, and an adjustment for each earlier month. What is above zero is told in
/// whole; what is below zero, the earliest month first, as far as the entry stays at zero or above.
/// A month of which nothing can be told has no adjustment.
pub fn split(own_due: &Amount, due: &[Due]) -> (Amount, Vec<Adjustment>) {
    let own = own_due.clone().max(Amount::default());
    let amounts = || due.iter().filter_map(|due| due.amount.as_ref());
    let mut room = &own + &amounts().filter(|amount| amount.is_positive()).sum();
    let adjustment = |due: &Due| {
        let due_amount = due.amount.as_ref()?;
        let amount = due_amount.clone().max(-&room);
        if !amount.is_positive() {
            room += &amount;
        }
        let whole = amount == *due_amount;
        (!amount.is_zero()).then_some(Adjustment { month_s: due.month_s, amount, whole })
    };
    let adjustments = due.iter().filter_map(adjustment).collect();
    (own, adjustments)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn amount(text: &str) -> Amount {
        Amount::from_canonical(text).expect("a decimal")
    }

    fn dues<'a>(amounts: impl IntoIterator<Item = &'a str>) -> Vec<Due> {
        let due = |(month_s, text)| Due { month_s, amount: Some(amount(text)) };
        (0..).zip(amounts).map(due).collect()
    }

    #[test]
    fn an_entry_is_never_below_zero_and_the_rest_waits() {
        let split = |own: &str, due: &[&str]| {
            let (own, adjustments) = split(&amount(own), &dues(due.iter().copied()));
            let told = adjustments.iter().map(|one| (one.amount.to_string(), one.whole));
            (own.to_string(), told.collect::<Vec<_>>())
        };
        let told = |own: &str, adjustments: &[(&str, bool)]| {
            let told = adjustments.iter().map(|(amount, whole)| ((*amount).to_owned(), *whole));
            (own.to_owned(), told.collect::<Vec<_>>())
        };
        assert_eq!(split("1", &["2.5"]), told("1", &[("2.5", true)]));
        assert_eq!(split("5", &["-7"]), told("5", &[("-5", false)]));
        assert_eq!(split("-5", &["7", "-9"]), told("0", &[("7", true), ("-7", false)]));
        // What bills told too much of an earlier month goes against what they told too little of a
        // later one.
        let three = told("1", &[("-3", true), ("4", true), ("-2", false)]);
        assert_eq!(split("1", &["-3", "4", "-3"]), three);
        let unpriced = [Due { month_s: 0, amount: None }];
        assert_eq!(super::split(&amount("1"), &unpriced), (amount("1"), Vec::new()));
        // Nothing can be told of what is beyond the entry.
        assert_eq!(split("5", &["-7", "-1"]), told("5", &[("-5", false)]));
    }

    proptest! {
        #[test]
        fn parts_and_rests_are_what_is_due(
            own in -50_i64..50,
            due in prop::collection::vec(-40_i64..40, 0..6),
        ) {
            let texts: Vec<String> = due.iter().map(ToString::to_string).collect();
            let dues = dues(texts.iter().map(String::as_str));
            let (told, adjustments) = split(&amount(&own.to_string()), &dues);
            let total = &told + &adjustments.iter().map(|one| &one.amount).sum();
            prop_assert!(!told.is_negative() && !total.is_negative());
            for due in &dues {
                let due_amount = due.amount.clone().expect("a price");
                let adjustment = adjustments.iter().find(|one| one.month_s == due.month_s);
                let told = adjustment.map(|one| one.amount.clone()).unwrap_or_default();
                let rest = &due_amount - &told;
                prop_assert!(adjustment.is_none_or(|one| one.whole == rest.is_zero()));
                prop_assert!(adjustment.is_none_or(|one| !one.amount.is_zero()));
                // Only what is below zero waits, and only where the entry is at zero.
                prop_assert!(!rest.is_positive() && (rest.is_zero() || total.is_zero()));
            }
        }
    }

    #[test]
    fn a_window_is_a_months_where_it_holds_all_of_it_but_its_ends() {
        let september = (1_788_220_800, 1_790_812_799);
        for (first, last, is_month) in [
            (0, 0, true),
            (1, 0, true),
            (1, -1, true),
            (2, 0, false),
            (0, -2, false),
            (-1, 0, false),
            (0, 1, false),
        ] {
            let window = Period::new(september.0 + first, september.1 + last).expect("a window");
            assert_eq!(month_of(window), is_month.then_some(september.0), "{first} {last}");
        }
    }
}
