//! Laws of amounts, prices and ids.

use crate::billing::amount::Amount;
use crate::billing::escape::escape;
use crate::billing::id::{CustomerId, Label, LicenseType, PlanId, ProjectId, RecordId, Words};
use crate::billing::license::Platforms;
use crate::billing::price::{Package, Part, Price, Tiers, charge, total};
use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, Zero};
use std::fmt::{Debug, Display};
use std::str::FromStr;

/// The longest text that is tried: longer ones only take longer.
const MAX_BYTES: usize = 2_000;

fn text(bytes: &[u8]) -> Option<&str> {
    str::from_utf8(bytes).ok().filter(|text| text.len() <= MAX_BYTES)
}

/// What is read of a text is what is read of its print.
fn check_printing<T: FromStr<Err: Debug> + Display + PartialEq + Debug>(text: &str) -> Option<T> {
    let read: T = text.parse().ok()?;
    let again: T = read.to_string().parse().unwrap_or_else(|e| panic!("{read}: {e:?}"));
    assert_eq!((again.to_string(), again), (read.to_string(), read), "{text:?}");
    text.parse().ok()
}

/// The same amount as a `BigDecimal`, to which all is compared.
fn exact(amount: &Amount) -> BigDecimal {
    amount.to_string().parse().expect("an amount is a decimal")
}

/// Two lines, an amount each: what is read and reckoned is what `BigDecimal` reads and reckons.
pub fn decimal(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let (a, b) = text.split_once('\n').unwrap_or((text, "1"));
    for given in [a, b] {
        if let Some(read) = check_printing::<Amount>(given) {
            assert_eq!(Amount::from_canonical(given).as_ref(), Ok(&read));
            assert!(!read.is_negative());
            let digits = given.trim_start_matches(['0', '.']).bytes();
            assert!(digits.filter(u8::is_ascii_digit).count() <= Amount::MAX_DIGITS, "{given}");
        }
    }
    let (Ok(a_read), Ok(b_read)) = (Amount::from_canonical(a), Amount::from_canonical(b)) else {
        return;
    };
    let read = |text: &str| -> BigDecimal { text.parse().expect("a plain decimal is a decimal") };
    let (a_exact, b_exact) = (read(a), read(b));
    for (amount, wanted) in [
        (a_read.clone(), a_exact.clone()),
        (&a_read + &b_read, &a_exact + &b_exact),
        (&a_read - &b_read, &a_exact - &b_exact),
        (&a_read * &b_read, &a_exact * &b_exact),
        (-&a_read, -&a_exact),
    ] {
        assert_eq!(exact(&amount), wanted);
        assert_eq!(amount.to_string(), wanted.normalized().to_plain_string());
        assert_eq!(Amount::from_canonical(&amount.to_string()), Ok(amount));
    }
    assert_eq!(a_read.cmp(&b_read), a_exact.cmp(&b_exact));
    assert_eq!(a_read.is_positive(), a_exact > BigDecimal::zero());
    if !a_read.is_negative() && b_read.is_positive() {
        let blocks = a_read.blocks_of(&b_read);
        let whole = exact(&blocks);
        assert!(&whole * &b_exact >= a_exact, "{blocks}");
        assert!(whole.is_zero() || (whole - BigDecimal::from(1)) * &b_exact < a_exact, "{blocks}");
    }
}

/// Two lines, a price and a usage: the price prints as it is read, and charges what is reckoned
/// here in another way.
pub fn price(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let (price, usage) = text.split_once('\n').unwrap_or((text, "1"));
    check_printing::<Tiers>(price);
    if let Ok(package) = price.parse::<Package>() {
        assert!(!package.size.is_negative() && !package.price.is_negative());
    }
    let Some(price) = check_printing::<Price>(price) else { return };
    let usage: Amount = usage.parse().unwrap_or_else(|_| 1.into());
    let charged = total(&charge(&price, &usage));
    assert_eq!(exact(&charged), reckoned(&price, &exact(&usage)), "{price} of {usage}");
    for cliff in price.cliffs() {
        assert_eq!(total(&charge(&price, &cliff.usage)), cliff.charge, "{price}");
        assert!(cliff.charge_above < cliff.charge, "{price}");
    }
}

/// What a price charges for usage, part by part.
fn reckoned(price: &Price, usage: &BigDecimal) -> BigDecimal {
    let zero = BigDecimal::zero();
    let counted = (usage - exact(price.free())).max(zero.clone());
    let parts = price.parts().iter().map(|part| match part {
        Part::Flat(fee) => exact(fee),
        Part::PerUnit(each) => &counted * exact(each),
        Part::Graduated(tiers) => {
            // Of each tier: what is below its end less what is below its start.
            let mut below = zero.clone();
            let charge = tiers.tiers().iter().map(|tier| {
                let end = tier.up_to.as_ref().map_or_else(|| counted.clone(), exact);
                let inside = (end.min(counted.clone()) - &below).max(zero.clone());
                below += &inside;
                inside * exact(&tier.price)
            });
            charge.sum()
        }
        Part::Volume(tiers) => {
            let reached = tiers
                .tiers()
                .iter()
                .find(|tier| tier.up_to.as_ref().is_none_or(|up_to| counted <= exact(up_to)));
            &counted * exact(&reached.expect("the last has no end").price)
        }
        Part::Package { size, price } => {
            // In whole numbers of the finest place that an amount may have.
            let finest = BigDecimal::new(1.into(), -18);
            let whole = |amount: &BigDecimal| {
                let (digits, places) = (amount * &finest).normalized().into_bigint_and_exponent();
                let zeros = u32::try_from(-places).expect("none is finer");
                digits * BigInt::from(10).pow(zeros)
            };
            let (counted, size) = (whole(&counted), whole(&exact(size)));
            let started = (&counted + &size - 1_u8) / &size;
            BigDecimal::from(started) * exact(price)
        }
    });
    parts.sum::<BigDecimal>().max(exact(price.minimum()))
}

/// An id is what its kind says, and prints as it was read; platforms print in one form.
pub fn ids(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let is_id = |max_bytes: usize| {
        (1..=max_bytes).contains(&text.len()) && text.bytes().all(|b| (b'!'..=b'~').contains(&b))
    };
    assert_eq!(check_printing::<ProjectId>(text).is_some(), is_id(64), "{text:?}");
    assert_eq!(check_printing::<CustomerId>(text).is_some(), is_id(64), "{text:?}");
    assert_eq!(check_printing::<RecordId>(text).is_some(), is_id(128), "{text:?}");
    let characters = text.chars().count();
    for (is_read, max_characters) in [
        (check_printing::<PlanId>(text).is_some(), 16),
        (check_printing::<LicenseType>(text).is_some(), 32),
        (check_printing::<Label>(text).is_some(), 64),
        (check_printing::<Words>(text).is_some(), 255),
    ] {
        assert!(!is_read || (1..=max_characters).contains(&characters), "{text:?}");
        assert!(!is_read || (!text.contains(char::is_control) && text.trim() == text), "{text:?}");
    }
    check_printing::<Platforms>(text);
    assert!(!escape(text).contains(char::is_control), "{text:?}");
}
