//! Exact decimals: parse, print, add, multiply. No float, no rounding.

use bigdecimal::{BigDecimal, Signed, Zero};
use std::fmt;
use std::iter::Sum;
use std::ops::{AddAssign, Mul, Neg, SubAssign};
use std::str::FromStr;

/// An exact decimal: an amount of usage, a price, a sum of money.
///
/// Prints in canonical form: no exponent, no leading zeros, no zeros at the end of the fraction, zero as
/// `0`. Two amounts are equal when their values are, however they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(BigDecimal);

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
        split_decimal(digits)?;
        text.parse().map(Self).map_err(|_| Error::NotDecimal)
    }

    /// Tells whether the amount is above zero.
    pub fn is_positive(&self) -> bool {
        self.0.is_positive()
    }

    /// Tells whether the amount is zero.
    pub fn is_zero(&self) -> bool {
        self.0.is_zero()
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
/// limits of [`Amount::MAX_DIGITS`] and [`Amount::MAX_FRACTION_DIGITS`]; more is refused, never rounded.
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
        text.parse().map(Self).map_err(|_| Error::NotDecimal)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.normalized().to_plain_string())
    }
}

impl AddAssign<&Amount> for Amount {
    fn add_assign(&mut self, other: &Amount) {
        self.0 += &other.0;
    }
}

impl SubAssign<&Amount> for Amount {
    fn sub_assign(&mut self, other: &Amount) {
        self.0 -= &other.0;
    }
}

impl Neg for &Amount {
    type Output = Amount;

    fn neg(self) -> Amount {
        Amount(-&self.0)
    }
}

impl Mul for &Amount {
    type Output = Amount;

    fn mul(self, other: &Amount) -> Amount {
        Amount(&self.0 * &other.0)
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
        fn sums_products_and_negatives_are_those_of_bigdecimal_in_any_order(texts in prop::collection::vec(written(), 1..20)) {
            let amounts: Vec<Amount> = texts.iter().map(|text| amount(text)).collect();
            let exact = |text: &String| text.parse::<BigDecimal>().expect("written as a decimal");
            let sum: Amount = amounts.iter().sum();
            let backwards: Amount = amounts.iter().rev().sum();
            prop_assert_eq!(&sum, &backwards);
            prop_assert_eq!(sum.to_string().parse::<BigDecimal>().ok(), Some(texts.iter().map(exact).sum()));
            let product = &amounts[0] * &sum;
            prop_assert_eq!(product.0, exact(&texts[0]) * texts.iter().map(exact).sum::<BigDecimal>());
            let mut nothing = sum.clone();
            nothing += &-&sum;
            prop_assert_eq!(nothing.to_string(), "0");
        }
    }

    #[test]
    fn a_tenth_and_two_tenths_are_three_tenths() {
        let sum: Amount = [amount("0.1"), amount("0.2")].iter().sum();
        assert_eq!(sum.to_string(), "0.3");
    }

    #[test]
    fn zeros_that_say_nothing_are_not_printed() {
        for (given, printed) in [("1.50", "1.5"), ("007", "7"), ("0.000", "0"), ("100", "100"), ("1000.0", "1000")] {
            assert_eq!(amount(given).to_string(), printed);
        }
    }

    #[test]
    fn what_is_not_a_plain_decimal_is_refused_with_its_reason() {
        for text in [
            "", ".", "1.", ".5", "+1", "1e3", "1E3", "NaN", "inf", "1,5", "1_000", " 1", "1 ", "0x1", "--1", "-",
            "-.5", "１",
        ] {
            assert_eq!(text.parse::<Amount>(), Err(Error::NotDecimal), "{text:?}");
        }
        assert_eq!("-1".parse::<Amount>(), Err(Error::Negative));
        assert_eq!("1.0000000000000000000".parse::<Amount>(), Err(Error::TooFine));
        assert_eq!("1".repeat(39).parse::<Amount>(), Err(Error::TooManyDigits));
        assert_eq!(amount(&format!("00{}", "1".repeat(38))).to_string(), "1".repeat(38));
    }
}
