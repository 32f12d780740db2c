//! What a month's bill carries of earlier months: what was recorded, taken back or priced anew after they were billed.
//!
//! A month was told in its own bill and, later, in what other bills carried of it. What it costs by now less what was told
//! of it is due to be carried, and whatever of that cannot be waits for the next bill.

use crate::billing::amount::Amount;
use crate::billing::period::{Grain, Period};

/// How many seconds of a month a window may leave out at either end and still be that month's: Agora's text says
/// later than its first second and earlier than its last.
const LEFT_OUT_S: i64 = 1;

/// The month, by its first second, whose bill a window asks for; `None` where it is another window.
pub fn month_of(window: Period) -> Option<i64> {
    let month = Period::around(Grain::Month, window.first_s());
    let is_whole = window.first_s() - month.first_s() <= LEFT_OUT_S
        && (0..=LEFT_OUT_S).contains(&(month.last_s() - window.last_s()));
    is_whole.then_some(month.first_s())
}

/// What a month of a project costs by now less what was told of it; never zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The month, by its first second.
    pub month_s: i64,
    /// In the currency agreed with Agora; below zero where too much was told. `None` where it cannot be priced any more.
    pub amount: Option<Amount>,
}

/// What a bill carries of an earlier month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carry {
    /// The earlier month, by its first second.
    pub month_s: i64,
    /// What is carried; zero where all of it waits.
    pub amount: Amount,
    /// Whether nothing of it waits for a later bill.
    pub whole: bool,
}

/// What of what is due can be carried by a bill that is `own` by itself: all that is above zero, and below zero, from the
/// earliest month on, so much that the bill does not fall below zero. What is due is in the order of months.
pub fn carry(own: &Amount, due: &[Due]) -> Vec<Carry> {
    let above =
        due.iter().filter_map(|due| due.amount.as_ref()).filter(|amount| amount.is_positive());
    let mut room = own + &above.sum::<Amount>();
    due.iter()
        .map(|Due { month_s, amount }| {
            let carried = match amount {
                None => Amount::default(),
                Some(amount) if amount.is_positive() => amount.clone(),
                Some(amount) => {
                    let carried = amount.clone().max(-&room);
                    room += &carried;
                    carried
                }
            };
            let whole = amount.as_ref() == Some(&carried);
            Carry { month_s: *month_s, amount: carried, whole }
        })
        .collect()
}

/// What of what a bill carried before it can carry again, where it is `own` by itself by now: all of it, unless it would fall
/// below zero.
pub fn repeat(own: &Amount, before: &[Carry]) -> Vec<Carry> {
    let due: Vec<Due> = before
        .iter()
        .map(|carry| Due { month_s: carry.month_s, amount: Some(carry.amount.clone()) })
        .collect();
    let again = carry(own, &due).into_iter().zip(before);
    again.map(|(again, before)| Carry { whole: again.whole && before.whole, ..again }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn amount(text: &str) -> Amount {
        Amount::from_canonical(text).expect("a decimal")
    }

    fn carried(own: &str, due: &[&str]) -> Vec<(String, bool)> {
        let due: Vec<Due> = (0..)
            .zip(due)
            .map(|(month_s, text)| Due { month_s, amount: Some(amount(text)) })
            .collect();
        carry(&amount(own), &due)
            .into_iter()
            .map(|carry| (carry.amount.to_string(), carry.whole))
            .collect()
    }

    #[test]
    fn a_bill_is_never_below_zero_and_the_rest_waits() {
        let (all, part) = (true, false);
        assert_eq!(carried("1", &["2.5"]), [("2.5".into(), all)]);
        assert_eq!(carried("5", &["-2"]), [("-2".into(), all)]);
        assert_eq!(carried("5", &["-7"]), [("-5".into(), part)]);
        assert_eq!(carried("0", &["-7"]), [("0".into(), part)]);
        // What an earlier month was told too much goes against what a later one was told too little.
        assert_eq!(
            carried("1", &["-3", "4", "-3"]),
            [("-3".into(), all), ("4".into(), all), ("-2".into(), part)]
        );
    }

    #[test]
    fn what_has_no_price_any_more_waits() {
        let due = [Due { month_s: 0, amount: None }];
        assert_eq!(
            carry(&amount("1"), &due),
            [Carry { month_s: 0, amount: amount("0"), whole: false }]
        );
    }

    proptest! {
        #[test]
        fn what_is_carried_and_what_waits_are_what_is_due(own in 0_i64..50, due in prop::collection::vec(-40_i64..40, 0..6)) {
            let text = |number: &i64| number.to_string();
            let due: Vec<Due> = (0..).zip(&due).map(|(month_s, due)| Due { month_s, amount: Some(amount(&text(due))) }).collect();
            let own = amount(&text(&own));
            let carried = carry(&own, &due);
            let total = &own + &carried.iter().map(|carry| &carry.amount).sum();
            prop_assert!(!total.is_negative());
            let waits = |(due, carry): (&Due, &Carry)| due.amount.as_ref().expect("a price") - &carry.amount;
            for (due, carry) in due.iter().zip(&carried) {
                let waits = waits((due, carry));
                prop_assert_eq!(carry.whole, waits.is_zero());
                // Only what is below zero waits, and only where the bill is at zero.
                prop_assert!(!waits.is_positive() && (waits.is_zero() || total.is_zero()));
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
