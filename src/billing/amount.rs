//! Exact decimals: parse, print, add, multiply. No float, no rounding.
//!
//! Sums are mostly of short decimals, by the hundred thousand: those are held as a whole number of
//! the fraction's last place, and only what does not fit becomes a `BigDecimal`.

use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, Signed, ToPrimitive, Zero};
use std::cmp::Ordering;
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul, Neg, Sub, SubAssign};
use std::str::FromStr;

/// An exact decimal: an amount of usage, a price, a sum of money.
///
/// Prints in canonical form: no exponent, no leading zeros, no zeros at the end of the fraction,
/// zero as `0`. Two amounts are equal when their values are, however they were written.
#[derive(Clone)]
pub struct Amount(Value);

#[derive(Clone)]
enum Value {
    /// `units` of the `places`-th place behind the point; `places` is at most [`SHORT_PLACES`].
    Short { units: i128, places: u8 },
    /// Boxed, since there are few: so an amount takes 32 bytes, and not 48.
    Long(Box<BigDecimal>),
}

/// The most places behind the point of a short amount: ten to this power fits its units.
const SHORT_PLACES: u8 = 36;

/// So many digits fit 64 bits.
const SMALL_DIGITS: usize = 18;

/// The longest text of a short amount: a sign, 39 digits and a point; or a zero, a point and the
/// places behind it.
const MAX_SHORT_TEXT: usize = 41;

/// Why a text is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Something other than digits with at most one point between them.
    #[error("it must be a plain decimal such as 12 or 0.5")]
    NotDecimal,
    /// A plain decimal behind a minus sign.
    #[error("it must not be negative")]
    Negative,
    /// More digits than [`Amount::MAX_DIGITS`].
    #[error("it has more than {} significant digits", Amount::MAX_DIGITS)]
    TooManyDigits,
    /// More digits behind the point than [`Amount::MAX_FRACTION_DIGITS`].
    #[error("it has more than {} digits after the point", Amount::MAX_FRACTION_DIGITS)]
    TooFine,
}

impl Amount {
    /// The most significant digits that a given amount may have. Sums may have more.
    pub const MAX_DIGITS: usize = 38;
    /// The most digits that a given amount may have behind the point.
    pub const MAX_FRACTION_DIGITS: usize = 18;

    /// Reads an amount that this program printed, of any sign and length.
    ///
    /// # Errors
    /// [`Error::NotDecimal`] unless it is a plain decimal.
    pub fn from_canonical(text: &str) -> Result<Self, Error> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = split_decimal(digits)?;
        Self::from_parts(digits.len() < text.len(), whole, fraction)
    }

    /// The amount whose digits are `whole` before and `fraction` behind the point.
    fn from_parts(negative: bool, whole: &str, fraction: &str) -> Result<Self, Error> {
        let digits = || whole.bytes().chain(fraction.bytes()).map(|digit| digit - b'0');
        let short = || {
            // Most fit 64 bits, which are multiplied many times faster than 128.
            let units = if whole.len() + fraction.len() <= SMALL_DIGITS {
                digits().fold(0_i64, |units, digit| units * 10 + i64::from(digit)).into()
            } else {
                let add =
                    |units: i128, digit| units.checked_mul(10)?.checked_add(i128::from(digit));
                digits().try_fold(0_i128, add)?
            };
            let places =
                u8::try_from(fraction.len()).ok().filter(|places| *places <= SHORT_PLACES)?;
            Some(Self(Value::Short { units: if negative { -units } else { units }, places }))
        };
        let long = || {
            let sign = if negative { "-" } else { "" };
            let value = format!("{sign}{whole}.{fraction}0").parse()?;
            Ok::<_, bigdecimal::ParseBigDecimalError>(Self(Value::Long(Box::new(value))))
        };
        short().map_or_else(long, Ok).map_err(|_| Error::NotDecimal)
    }

    /// Tells whether the amount is above zero.
    pub fn is_positive(&self) -> bool {
        match &self.0 {
            Value::Short { units, .. } => *units > 0,
            Value::Long(value) => value.is_positive(),
        }
    }

    /// Tells whether the amount is below zero.
    pub fn is_negative(&self) -> bool {
        !self.is_positive() && !self.is_zero()
    }

    /// Tells whether the amount is zero.
    pub fn is_zero(&self) -> bool {
        match &self.0 {
            Value::Short { units, .. } => *units == 0,
            Value::Long(value) => value.is_zero(),
        }
    }

    /// How many blocks of `size` it starts: the least whole number of them that holds it. Both are
    /// zero or above, and `size` is not zero.
    pub fn blocks_of(&self, size: &Self) -> Self {
        if let Some((a, b, _)) = self.aligned(size) {
            return Self(Value::Short { units: a / b + i128::from(a % b != 0), places: 0 });
        }
        let ((a, a_places), (b, b_places)) =
            (self.to_long().into_bigint_and_exponent(), size.to_long().into_bigint_and_exponent());
        let places = a_places.max(b_places);
        let widen = |digits: BigInt, from: i64| {
            let more = u32::try_from(places - from).expect("amounts have far fewer places");
            digits * BigInt::from(10).pow(more)
        };
        let (a, b) = (widen(a, a_places), widen(b, b_places));
        let whole = &a / &b;
        let started = BigInt::from(u8::from(&whole * &b != a));
        Self::from_long(BigDecimal::from(whole + started))
    }

    fn to_long(&self) -> BigDecimal {
        match &self.0 {
            Value::Short { units, places } => {
                BigDecimal::new(BigInt::from(*units), i64::from(*places))
            }
            Value::Long(value) => (**value).clone(),
        }
    }

    /// The same amount, short if it fits.
    fn from_long(value: BigDecimal) -> Self {
        let (digits, places) = value.normalized().into_bigint_and_exponent();
        let short = || {
            // Normalized, 100 is one unit of the place two before the point.
            let before_point = u32::try_from(-places.min(0)).ok()?;
            let units = digits.to_i128()?.checked_mul(10_i128.checked_pow(before_point)?)?;
            let places =
                u8::try_from(places.max(0)).ok().filter(|places| *places <= SHORT_PLACES)?;
            Some(Self(Value::Short { units, places }))
        };
        short().unwrap_or_else(|| Self(Value::Long(Box::new(value))))
    }

    /// Both amounts in units of the same place, where they are short and still fit.
    fn aligned(&self, other: &Self) -> Option<(i128, i128, u8)> {
        let (
            Value::Short { units: a, places: a_places },
            Value::Short { units: b, places: b_places },
        ) = (&self.0, &other.0)
        else {
            return None;
        };
        let places = (*a_places).max(*b_places);
        let widen = |units: i128, from: u8| match places - from {
            0 => Some(units),
            more => units.checked_mul(10_i128.pow(more.into())),
        };
        Some((widen(*a, *a_places)?, widen(*b, *b_places)?, places))
    }
}

/// Splits a plain decimal at its point; the fraction is empty where there is none.
fn split_decimal(text: &str) -> Result<(&str, &str), Error> {
    let (whole, fraction) = match text.split_once('.') {
        Some((_, "")) => return Err(Error::NotDecimal),
        Some(parts) => parts,
        None => (text, ""),
    };
    let digits_only = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits_only(whole) || !digits_only(fraction) {
        return Err(Error::NotDecimal);
    }
    Ok((whole, fraction))
}

/// Reads an amount as an operator or a pipeline gives it: a plain decimal, not negative, within the
/// limits of [`Amount::MAX_DIGITS`] and [`Amount::MAX_FRACTION_DIGITS`]; more is refused, never
/// rounded.
impl FromStr for Amount {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if let Some(rest) = text.strip_prefix('-') {
            return Err(split_decimal(rest).map_or(Error::NotDecimal, |_| Error::Negative));
        }
        let (whole, fraction) = split_decimal(text)?;
        if fraction.len() > Self::MAX_FRACTION_DIGITS {
            return Err(Error::TooFine);
        }
        let digits = whole.bytes().chain(fraction.bytes());
        if digits.skip_while(|b| *b == b'0').count() > Self::MAX_DIGITS {
            return Err(Error::TooManyDigits);
        }
        Self::from_parts(false, whole, fraction)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Value::Short { units, places } = &self.0 else {
            return f.pad(&self.to_long().normalized().to_plain_string());
        };
        // Built on the stack: bills print amounts by the hundred thousand.
        let mut text = [b'0'; MAX_SHORT_TEXT];
        let places = usize::from(*places);
        let mut start = text.len();
        let mut put = |byte: u8| {
            start -= 1;
            text[start] = byte;
        };
        let mut is_fraction_seen = false;
        // The digit of a place, from the last on. No zeros at the end of the fraction.
        let mut put_digit = |place: usize, digit: u8| {
            if place == places && is_fraction_seen {
                put(b'.');
            }
            is_fraction_seen |= place < places && digit != 0;
            if place >= places || is_fraction_seen {
                put(b'0' + digit);
            }
        };
        let mut place = 0;
        let mut large = units.unsigned_abs();
        // Most fit 64 bits, which are divided many times faster than 128.
        let mut small = loop {
            match u64::try_from(large) {
                Ok(small) => break small,
                Err(_) => put_digit(place, u8::try_from(large % 10).expect("one digit")),
            }
            (large, place) = (large / 10, place + 1);
        };
        // With a digit before the point, however small it is.
        while small > 0 || place <= places {
            put_digit(place, u8::try_from(small % 10).expect("one digit"));
            (small, place) = (small / 10, place + 1);
        }
        if *units < 0 {
            put(b'-');
        }
        f.pad(str::from_utf8(&text[start..]).expect("digits"))
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Amount({self})")
    }
}

impl Default for Amount {
    fn default() -> Self {
        Self(Value::Short { units: 0, places: 0 })
    }
}

impl Ord for Amount {
    fn cmp(&self, other: &Self) -> Ordering {
        match self.aligned(other) {
            Some((a, b, _)) => a.cmp(&b),
            None => self.to_long().cmp(&other.to_long()),
        }
    }
}

impl PartialOrd for Amount {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Amount {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Amount {}

impl AddAssign<&Amount> for Amount {
    fn add_assign(&mut self, other: &Amount) {
        let short =
            self.aligned(other).and_then(|(a, b, places)| Some((a.checked_add(b)?, places)));
        *self = match short {
            Some((units, places)) => Self(Value::Short { units, places }),
            None => Self::from_long(self.to_long() + other.to_long()),
        };
    }
}

impl SubAssign<&Amount> for Amount {
    fn sub_assign(&mut self, other: &Amount) {
        *self += &-other;
    }
}

impl Add for &Amount {
    type Output = Amount;

    fn add(self, other: &Amount) -> Amount {
        let mut sum = self.clone();
        sum += other;
        sum
    }
}

impl Sub for &Amount {
    type Output = Amount;

    fn sub(self, other: &Amount) -> Amount {
        self + &-other
    }
}

impl Neg for &Amount {
    type Output = Amount;

    fn neg(self) -> Amount {
        match &self.0 {
            Value::Short { units, places } if *units != i128::MIN => {
                Amount(Value::Short { units: -units, places: *places })
            }
            Value::Short { .. } | Value::Long(_) => Amount::from_long(-self.to_long()),
        }
    }
}

impl Mul for &Amount {
    type Output = Amount;

    fn mul(self, other: &Amount) -> Amount {
        let short = || {
            let (
                Value::Short { units: a, places: a_places },
                Value::Short { units: b, places: b_places },
            ) = (&self.0, &other.0)
            else {
                return None;
            };
            let places = a_places + b_places;
            (places <= SHORT_PLACES)
                .then_some(Amount(Value::Short { units: a.checked_mul(*b)?, places }))
        };
        short().unwrap_or_else(|| Amount::from_long(self.to_long() * other.to_long()))
    }
}

impl From<u32> for Amount {
    fn from(whole: u32) -> Self {
        Self(Value::Short { units: whole.into(), places: 0 })
    }
}

impl<'a> Sum<&'a Amount> for Amount {
    fn sum<I: Iterator<Item = &'a Amount>>(amounts: I) -> Amount {
        amounts.fold(Amount::default(), |mut sum, amount| {
            sum += amount;
            sum
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn amount(text: &str) -> Amount {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    /// A decimal within the limits, as its digits and how many of them stand behind the point.
    fn written() -> impl Strategy<Value = String> {
        ("[0-9]{1,20}", "[0-9]{0,18}").prop_map(|(whole, fraction)| match fraction.as_str() {
            "" => whole,
            _ => format!("{whole}.{fraction}"),
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back_as_the_same_amount(text in written()) {
            let read = amount(&text);
            prop_assert_eq!(amount(&read.to_string()), read.clone());
            prop_assert_eq!(Amount::from_canonical(&read.to_string()), Ok(read));
        }

        #[test]
        fn the_printed_form_is_canonical_and_has_the_value_bigdecimal_reads(text in written()) {
            let printed = amount(&text).to_string();
            prop_assert_eq!(printed.parse::<BigDecimal>(), text.parse::<BigDecimal>());
            prop_assert!(!printed.contains(['e', 'E', '+']));
            prop_assert!(printed == "0" || printed.starts_with("0.") || !printed.starts_with('0'));
            prop_assert!(!printed.contains('.') || !printed.ends_with('0'));
        }

        #[test]
        fn sums_products_and_negatives_are_those_of_bigdecimal_in_any_order(
            texts in prop::collection::vec(written(), 1..20),
        ) {
            let amounts: Vec<Amount> = texts.iter().map(|text| amount(text)).collect();
            let exact = |text: &String| text.parse::<BigDecimal>().expect("written as a decimal");
            let sum: Amount = amounts.iter().sum();
            let backwards: Amount = amounts.iter().rev().sum();
            prop_assert_eq!(&sum, &backwards);
            let exact_sum = texts.iter().map(exact).sum::<BigDecimal>();
            prop_assert_eq!(sum.to_string().parse::<BigDecimal>().ok(), Some(exact_sum.clone()));
            let product = &amounts[0] * &sum;
            prop_assert_eq!(product.to_long(), exact(&texts[0]) * exact_sum);
            let mut nothing = sum.clone();
            nothing += &-&sum;
            prop_assert_eq!(nothing.to_string(), "0");
        }
    }

    /// What bigdecimal makes of the same texts, for decimals of any length around the bounds of the
    /// short form.
    fn any_length() -> impl Strategy<Value = String> {
        ("-?[0-9]{1,45}", "[0-9]{1,45}").prop_map(|(whole, fraction)| format!("{whole}.{fraction}"))
    }

    proptest! {
        #[test]
        fn short_and_long_amounts_agree_with_bigdecimal(
            a in any_length(),
            b in any_length(),
            c in written(),
        ) {
            for (a, b) in [(&a, &b), (&a, &c), (&c, &b)] {
                let amount = |text: &str| Amount::from_canonical(text).expect("a decimal");
                let exact = |text: &str| text.parse::<BigDecimal>().expect("a decimal");
                prop_assert_eq!(amount(a).to_long(), exact(a));
                prop_assert_eq!(amount(a).cmp(&amount(b)), exact(a).cmp(&exact(b)));
                prop_assert_eq!(amount(a).to_string(), exact(a).normalized().to_plain_string());
                let mut sum = amount(a);
                sum += &amount(b);
                prop_assert_eq!(sum.to_long(), exact(a) + exact(b));
                sum -= &amount(a);
                prop_assert_eq!(&sum, &amount(b));
                prop_assert_eq!((&amount(a) * &amount(b)).to_long(), exact(a) * exact(b));
                prop_assert_eq!((-&amount(a)).to_long(), -exact(a));
            }
        }
    }

    proptest! {
        #[test]
        fn the_blocks_an_amount_starts_are_the_fewest_that_hold_it(
            text in any_length(),
            size in any_length(),
            c in written(),
        ) {
            let positive = |text: &str| {
                Amount::from_canonical(text.trim_start_matches('-')).expect("a decimal")
            };
            for (held, size) in [
                (positive(&text), positive(&size)),
                (amount(&c), positive(&size)),
                (positive(&text), amount(&c)),
            ] {
                prop_assume!(!size.is_zero());
                let blocks = held.blocks_of(&size);
                prop_assert!(!blocks.to_string().contains('.'));
                prop_assert!(&blocks * &size >= held);
                prop_assert!(held.is_zero() || &(&blocks - &Amount::from(1)) * &size < held);
            }
        }
    }

    #[test]
    fn the_bounds_of_the_short_form_are_crossed_without_a_loss() {
        let most = i128::MAX.to_string();
        let mut sum = Amount::from_canonical(&most).expect("a decimal");
        sum += &amount("1");
        assert_eq!(sum.to_string(), "170141183460469231731687303715884105728");
        sum -= &amount("1");
        assert_eq!(sum.to_string(), most);
        let least = format!("-{}", "170141183460469231731687303715884105728");
        assert_eq!((-&Amount::from_canonical(&least).expect("a decimal")).to_string(), &least[1..]);
        assert_eq!((-&amount("0")).to_string(), "0");
        assert_eq!(Amount::from_canonical("-0").expect("a decimal").to_string(), "0");
    }

    #[test]
    fn a_tenth_and_two_tenths_are_three_tenths() {
        let sum: Amount = [amount("0.1"), amount("0.2")].iter().sum();
        assert_eq!(sum.to_string(), "0.3");
    }

    #[test]
    fn zeros_that_say_nothing_are_not_printed() {
        for (given, printed) in
            [("1.50", "1.5"), ("007", "7"), ("0.000", "0"), ("100", "100"), ("1000.0", "1000")]
        {
            assert_eq!(amount(given).to_string(), printed);
        }
    }

    #[test]
    fn what_is_not_a_plain_decimal_is_refused_with_its_reason() {
        for text in [
            "", ".", "1.", ".5", "+1", "1e3", "1E3", "NaN", "inf", "1,5", "1_000", " 1", "1 ",
            "0x1", "--1", "-", "-.5", "１",
        ] {
            assert_eq!(text.parse::<Amount>(), Err(Error::NotDecimal), "{text:?}");
        }
        assert_eq!("-1".parse::<Amount>(), Err(Error::Negative));
        assert_eq!("1.0000000000000000000".parse::<Amount>(), Err(Error::TooFine));
        assert_eq!("1".repeat(39).parse::<Amount>(), Err(Error::TooManyDigits));
        assert_eq!(amount(&format!("00{}", "1".repeat(38))).to_string(), "1".repeat(38));
    }
}
