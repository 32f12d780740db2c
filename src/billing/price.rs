//! Price models, and what an amount of usage costs under one.

use crate::billing::amount::Amount;

/// How usage is priced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Price {
    /// So much for each unit; zero is free.
    PerUnit(Amount),
}

/// One line of a bill: a quantity at a price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Units of usage.
    pub quantity: Amount,
    /// Price of each unit.
    pub price: Amount,
    /// Quantity times price, exact.
    pub amount: Amount,
}

/// Charges a quantity of usage: the lines add up to the charge. Exact, never rounded.
pub fn charge(price: &Price, quantity: &Amount) -> Vec<Line> {
    match price {
        Price::PerUnit(each) => vec![Line { quantity: quantity.clone(), price: each.clone(), amount: quantity * each }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_per_unit_is_multiplied_to_the_last_digit() {
        let quantity = Amount::from_canonical("12345678901234567890.123456789").expect("a decimal");
        let each = Amount::from_canonical("0.000000000000000001").expect("a decimal");
        let lines = charge(&Price::PerUnit(each), &quantity);
        assert_eq!(lines[0].amount.to_string(), "12.345678901234567890123456789");
    }
}
