//! Price models, and what a month's usage costs under them. Exact, never rounded.

use crate::billing::amount::{self, Amount};
use std::fmt;
use std::str::FromStr;

/// What a month of a project costs: a sum of parts over what the allowance leaves of its usage, and
/// at least the minimum.
///
/// Prints in the one form in which the books hold it, and reads it back:
/// `flat 10 + graduated 1000:0.01,10000:0.008,rest:0.005 free 100 minimum 20`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    parts: Vec<Part>,
    free: Amount,
    minimum: Amount,
}

/// A part of a price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// So much a month, whatever is used.
    Flat(Amount),
    /// So much for each unit; zero is free.
    PerUnit(Amount),
    /// What falls into each tier at that tier's price.
    Graduated(Tiers),
    /// All of it at the price of the tier that it reaches.
    Volume(Tiers),
    /// So much for each started package; the first unit starts one.
    Package {
        /// Units that a package holds; above zero.
        size: Amount,
        /// The price of a package.
        price: Amount,
    },
}

/// Tiers, each from where the one before ends (not itself inside) up to its own end (inside); the
/// first starts at zero, the last has no end.
///
/// Prints as `1000:0.01,10000:0.008,rest:0.005`, and reads it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiers(Vec<Tier>);

/// One of the tiers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    /// The last amount inside; `None`: it has no end.
    pub up_to: Option<Amount>,
    /// The price of each unit.
    pub price: Amount,
}

/// Why something is not a price. Tiers are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There are no parts.
    #[error(
        "it has no parts: it needs at least one of flat, perUnit, graduated, volume and package"
    )]
    NoParts,
    /// More parts than [`Price::MAX_PARTS`].
    #[error("it has more than {} parts", Price::MAX_PARTS)]
    TooManyParts,
    /// There are no tiers.
    #[error("it has no tiers: it needs at least one")]
    NoTiers,
    /// More tiers than [`Tiers::MAX`].
    #[error("it has more than {} tiers", Tiers::MAX)]
    TooManyTiers,
    /// A tier that ends where it starts, or before.
    #[error(
        "tier {tier} goes up to {up_to}, which is not above {from}, where it starts: tiers ascend"
    )]
    NotAscending {
        /// The tier.
        tier: usize,
        /// Its end.
        up_to: Amount,
        /// The end of the one before.
        from: Amount,
    },
    /// A tier without an end before the last.
    #[error("tier {tier} has no end and is not the last: say up to where it goes")]
    OpenTooSoon {
        /// The tier.
        tier: usize,
    },
    /// A last tier with an end.
    #[error(
        "tier {tier} is the last and ends at {up_to}, so that what is above has no price: leave \
         its end away"
    )]
    NotOpen {
        /// The tier.
        tier: usize,
        /// Its end.
        up_to: Amount,
    },
    /// A price, an allowance or a minimum below zero.
    #[error("{0} is below zero")]
    Negative(Amount),
    /// A package that holds nothing.
    #[error("a package holds {0} units: it must hold more than zero")]
    EmptyPackage(Amount),
    /// An amount that is none.
    #[error("{0:?} is not an amount: {1}")]
    Amount(String, amount::Error),
    /// A word that is none of the grammar.
    #[error(
        "{0:?} is no part of a price: a part is flat, per-unit, graduated, volume or package with \
         its figures"
    )]
    NotAPart(String),
    /// What is wrong with a figure of a tier.
    #[error("tier {tier}: {error}")]
    Tier {
        /// The tier.
        tier: usize,
        /// What is wrong.
        error: Box<Self>,
    },
    /// A text in another form than `1000:0.01,rest:0.005`.
    #[error(
        "{0:?} is not a tier: write its end and its price, such as 1000:0.01, and rest:0.005 for \
         the last"
    )]
    NotATier(String),
    /// A text in another form than `1000:5`.
    #[error("{0:?} is not a package: write its size and its price, such as 1000:5")]
    NotAPackage(String),
}

/// A package as it is written at the shell: `1000:5`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Units that it holds.
    pub size: Amount,
    /// Its price.
    pub price: Amount,
}

/// One line of a charge: a quantity at a price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeLine {
    /// What is charged.
    pub of: ChargeKind,
    /// How much of it: units of usage, packages, or months.
    pub quantity: Amount,
    /// Price of each.
    pub price: Amount,
    /// Quantity times price, exact.
    pub amount: Amount,
}

/// What a line charges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChargeKind {
    /// Units within the allowance, at nothing.
    Free,
    /// Months, at the flat fee.
    Flat,
    /// Units at one price.
    Unit,
    /// Units in a tier, counted from 1.
    Tier(usize),
    /// Started packages of so many units.
    Package(Amount),
    /// What is missing up to this minimum.
    Minimum(Amount),
}

/// Where a bill falls as usage grows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cliff {
    /// The last usage before it falls, the allowance included.
    pub usage: Amount,
    /// What that costs.
    pub charge: Amount,
    /// What the least bit more costs: it is never below this.
    pub charge_above: Amount,
}

impl Price {
    /// The most parts of a price.
    pub const MAX_PARTS: usize = 16;

    /// A price of these parts: over the usage that is left once `free` units are taken off, and
    /// `minimum` at least.
    ///
    /// # Errors
    /// When there are no parts or too many; when anything is below zero, or a package holds
    /// nothing.
    pub fn new(parts: Vec<Part>, free: Amount, minimum: Amount) -> Result<Self, Error> {
        if parts.is_empty() {
            return Err(Error::NoParts);
        }
        if parts.len() > Self::MAX_PARTS {
            return Err(Error::TooManyParts);
        }
        for part in &parts {
            match part {
                Part::Flat(price) | Part::PerUnit(price) => not_negative(price)?,
                Part::Graduated(_) | Part::Volume(_) => {}
                Part::Package { size, price } => {
                    not_negative(price)?;
                    if !size.is_positive() {
                        return Err(Error::EmptyPackage(size.clone()));
                    }
                }
            }
        }
        not_negative(&free)?;
        not_negative(&minimum)?;
        Ok(Self { parts, free, minimum })
    }

    /// The parts.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The units of a month that cost nothing, and that tiers and packages do not count.
    pub fn free(&self) -> &Amount {
        &self.free
    }

    /// What a month costs at least.
    pub fn minimum(&self) -> &Amount {
        &self.minimum
    }

    /// The price of a unit, of a price that is nothing else.
    pub fn per_unit_alone(&self) -> Option<&Amount> {
        match self.parts.as_slice() {
            [Part::PerUnit(each)] if self.free.is_zero() && self.minimum.is_zero() => Some(each),
            _ => None,
        }
    }

    /// Where a bill falls as usage grows, ascending: only at the end of a tier by volume that the
    /// next one undercuts.
    pub fn cliffs(&self) -> Vec<Cliff> {
        let volumes = self.parts.iter().filter_map(|part| match part {
            Part::Volume(tiers) => Some(tiers),
            Part::Flat(_) | Part::PerUnit(_) | Part::Graduated(_) | Part::Package { .. } => None,
        });
        let mut ends: Vec<&Amount> =
            volumes.flat_map(|tiers| &tiers.0).filter_map(|tier| tier.up_to.as_ref()).collect();
        ends.sort();
        ends.dedup();
        let cliffs = ends.into_iter().map(|counted| {
            let usage = counted + &self.free;
            let charge = total(&charge(self, &usage));
            let parts: Amount = self
                .parts
                .iter()
                .map(|part| part.just_above(counted))
                .collect::<Vec<_>>()
                .iter()
                .sum();
            Cliff { usage, charge, charge_above: parts.max(self.minimum.clone()) }
        });
        cliffs.filter(|cliff| cliff.charge_above < cliff.charge).collect()
    }
}

impl Part {
    /// What the least bit more than `counted` units costs, as a limit.
    fn just_above(&self, counted: &Amount) -> Amount {
        match self {
            Self::Flat(_) | Self::PerUnit(_) | Self::Graduated(_) => {
                let mut lines = Vec::new();
                self.charge(counted, &mut lines);
                total(&lines)
            }
            Self::Volume(tiers) => counted * &tiers.0[tiers.above(counted)].price,
            Self::Package { size, price } => {
                let blocks = counted.blocks_of(size);
                if &blocks * size == *counted {
                    &(&blocks + &Amount::from(1)) * price
                } else {
                    &blocks * price
                }
            }
        }
    }

    /// Adds the lines of `counted` units.
    fn charge(&self, counted: &Amount, lines: &mut Vec<ChargeLine>) {
        let nothing = counted.is_zero();
        match self {
            Self::Flat(fee) => lines.push(ChargeLine::new(ChargeKind::Flat, Amount::from(1), fee)),
            Self::PerUnit(_) | Self::Graduated(_) | Self::Volume(_) | Self::Package { .. }
                if nothing => {}
            Self::PerUnit(each) => {
                lines.push(ChargeLine::new(ChargeKind::Unit, counted.clone(), each))
            }
            Self::Graduated(tiers) => {
                let mut from = Amount::default();
                for (place, tier) in tiers.0.iter().enumerate() {
                    let to = tier.up_to.as_ref().filter(|up_to| *up_to < counted);
                    let inside = to.unwrap_or(counted) - &from;
                    lines.push(ChargeLine::new(ChargeKind::Tier(place + 1), inside, &tier.price));
                    match to {
                        Some(to) => from = to.clone(),
                        None => break,
                    }
                }
            }
            Self::Volume(tiers) => {
                let place = tiers.reached(counted);
                lines.push(ChargeLine::new(
                    ChargeKind::Tier(place + 1),
                    counted.clone(),
                    &tiers.0[place].price,
                ));
            }
            Self::Package { size, price } => {
                lines.push(ChargeLine::new(
                    ChargeKind::Package(size.clone()),
                    counted.blocks_of(size),
                    price,
                ));
            }
        }
    }
}

impl Tiers {
    /// The most tiers of a part.
    pub const MAX: usize = 100;

    /// Tiers that follow one another without a gap.
    ///
    /// # Errors
    /// When there are none or too many, when they do not ascend, when one before the last has no
    /// end or the last has one, and when a price is below zero; naming the tier.
    pub fn new(tiers: Vec<Tier>) -> Result<Self, Error> {
        if tiers.len() > Self::MAX {
            return Err(Error::TooManyTiers);
        }
        let mut from = Amount::default();
        for (place, tier) in tiers.iter().enumerate() {
            let (number, is_last) = (place + 1, place + 1 == tiers.len());
            not_negative(&tier.price).map_err(|error| error.in_tier(place))?;
            match &tier.up_to {
                None if is_last => {}
                None => return Err(Error::OpenTooSoon { tier: number }),
                Some(up_to) if *up_to <= from => {
                    return Err(Error::NotAscending { tier: number, up_to: up_to.clone(), from });
                }
                Some(up_to) if is_last => {
                    return Err(Error::NotOpen { tier: number, up_to: up_to.clone() });
                }
                Some(up_to) => from = up_to.clone(),
            }
        }
        if tiers.is_empty() { Err(Error::NoTiers) } else { Ok(Self(tiers)) }
    }

    /// The tiers, ascending.
    pub fn tiers(&self) -> &[Tier] {
        &self.0
    }

    /// The place of the tier in which an amount is; exactly at an end it is in the tier that ends
    /// there.
    fn reached(&self, amount: &Amount) -> usize {
        self.0.partition_point(|tier| tier.up_to.as_ref().is_some_and(|up_to| up_to < amount))
    }

    /// The place of the tier in which the least bit more is.
    fn above(&self, amount: &Amount) -> usize {
        self.0.partition_point(|tier| tier.up_to.as_ref().is_some_and(|up_to| up_to <= amount))
    }
}

impl Error {
    /// The same, of the tier at a place that is counted from 0.
    fn in_tier(self, place: usize) -> Self {
        Self::Tier { tier: place + 1, error: Box::new(self) }
    }
}

fn not_negative(amount: &Amount) -> Result<(), Error> {
    if amount.is_negative() { Err(Error::Negative(amount.clone())) } else { Ok(()) }
}

impl ChargeLine {
    fn new(of: ChargeKind, quantity: Amount, price: &Amount) -> Self {
        Self { of, amount: &quantity * price, quantity, price: price.clone() }
    }

    /// The same line so many times.
    pub fn times(self, count: u32) -> Self {
        match count {
            1 => self,
            _ => Self::new(self.of, &self.quantity * &Amount::from(count), &self.price),
        }
    }

    /// Adds another line to this one, where it charges the same at the same price; tells whether it
    /// did.
    pub fn join(&mut self, other: &Self) -> bool {
        let alike = self.of == other.of && self.price == other.price;
        if alike {
            self.quantity += &other.quantity;
            self.amount += &other.amount;
        }
        alike
    }
}

/// What lines add up to.
pub fn total<'l>(lines: impl IntoIterator<Item = &'l ChargeLine>) -> Amount {
    lines.into_iter().map(|line| &line.amount).sum()
}

/// Charges a month of a project: `usage` units, zero or more, that no license covered. The lines
/// add up to the charge; there are none where nothing is due.
pub fn charge(price: &Price, usage: &Amount) -> Vec<ChargeLine> {
    let mut lines = Vec::with_capacity(price.parts.len());
    let free = usage.min(&price.free);
    if free.is_positive() {
        lines.push(ChargeLine::new(ChargeKind::Free, free.clone(), &Amount::default()));
    }
    let counted = usage - free;
    for part in &price.parts {
        part.charge(&counted, &mut lines);
    }
    if price.minimum.is_positive() {
        let missing = &price.minimum - &total(&lines);
        if missing.is_positive() {
            lines.push(ChargeLine::new(
                ChargeKind::Minimum(price.minimum.clone()),
                Amount::from(1),
                &missing,
            ));
        }
    }
    lines
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, part) in self.parts.iter().enumerate() {
            let plus = if place == 0 { "" } else { " + " };
            write!(f, "{plus}{part}")?;
        }
        for (word, amount) in [("free", &self.free), ("minimum", &self.minimum)] {
            if !amount.is_zero() {
                write!(f, " {word} {amount}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flat(fee) => write!(f, "flat {fee}"),
            Self::PerUnit(each) => write!(f, "per-unit {each}"),
            Self::Graduated(tiers) => write!(f, "graduated {tiers}"),
            Self::Volume(tiers) => write!(f, "volume {tiers}"),
            Self::Package { size, price } => write!(f, "package {size}:{price}"),
        }
    }
}

impl fmt::Display for Tiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, tier) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            match &tier.up_to {
                Some(up_to) => write!(f, "{comma}{up_to}:{}", tier.price)?,
                None => write!(f, "{comma}rest:{}", tier.price)?,
            }
        }
        Ok(())
    }
}

fn read_amount(text: &str) -> Result<Amount, Error> {
    text.parse().map_err(|error| Error::Amount(text.to_owned(), error))
}

impl FromStr for Price {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (text, minimum) = split_end(text, " minimum ")?;
        let (text, free) = split_end(text, " free ")?;
        let parts = text.split(" + ").map(Part::from_str).collect::<Result<_, _>>()?;
        Self::new(parts, free, minimum)
    }
}

/// Takes an amount behind a word off the end of a text; zero where the word is not there.
fn split_end<'t>(text: &'t str, word: &str) -> Result<(&'t str, Amount), Error> {
    match text.rsplit_once(word) {
        Some((before, amount)) => Ok((before, read_amount(amount)?)),
        None => Ok((text, Amount::default())),
    }
}

impl FromStr for Part {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (word, figures) = text.split_once(' ').unwrap_or((text, ""));
        match word {
            "flat" => Ok(Self::Flat(read_amount(figures)?)),
            "per-unit" => Ok(Self::PerUnit(read_amount(figures)?)),
            "graduated" => Ok(Self::Graduated(figures.parse()?)),
            "volume" => Ok(Self::Volume(figures.parse()?)),
            "package" => {
                let Package { size, price } = figures.parse()?;
                Ok(Self::Package { size, price })
            }
            _ => Err(Error::NotAPart(text.to_owned())),
        }
    }
}

impl FromStr for Tiers {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let tier = |text: &str| {
            let (end, price) =
                text.split_once(':').ok_or_else(|| Error::NotATier(text.to_owned()))?;
            let up_to = match end {
                "rest" => None,
                end => Some(read_amount(end)?),
            };
            Ok(Tier { up_to, price: read_amount(price)? })
        };
        let in_place = |(place, text)| tier(text).map_err(|error: Error| error.in_tier(place));
        Self::new(text.split(',').enumerate().map(in_place).collect::<Result<_, _>>()?)
    }
}

impl FromStr for Package {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (size, price) =
            text.split_once(':').ok_or_else(|| Error::NotAPackage(text.to_owned()))?;
        Ok(Self { size: read_amount(size)?, price: read_amount(price)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn amount(text: &str) -> Amount {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    fn price(text: &str) -> Price {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    /// The lines as `quantity at price of what`, and what they add up to.
    fn charged(text: &str, usage: &str) -> (Vec<String>, String) {
        let lines = charge(&price(text), &amount(usage));
        let words = |line: &ChargeLine| {
            let of = match &line.of {
                ChargeKind::Free => "free".to_owned(),
                ChargeKind::Flat => "flat".to_owned(),
                ChargeKind::Unit => "units".to_owned(),
                ChargeKind::Tier(number) => format!("tier {number}"),
                ChargeKind::Package(size) => format!("packages of {size}"),
                ChargeKind::Minimum(minimum) => format!("minimum {minimum}"),
            };
            format!("{} at {}: {of}", line.quantity, line.price)
        };
        (lines.iter().map(words).collect(), total(&lines).to_string())
    }

    fn total_of(text: &str, usage: &str) -> String {
        charged(text, usage).1
    }

    #[test]
    fn a_price_per_unit_is_multiplied_to_the_last_digit() {
        let quantity = "12345678901234567890.123456789";
        assert_eq!(
            total_of("per-unit 0.000000000000000001", quantity),
            "12.345678901234567890123456789"
        );
        assert_eq!(
            total_of("per-unit 99999999999999999999.999999999999999999", quantity).len(),
            41 + 27
        );
        assert_eq!(charged("per-unit 0.01", "0"), (vec![], "0".into()));
        assert_eq!(charged("per-unit 0", "5"), (vec!["5 at 0: units".into()], "0".into()));
    }

    #[test]
    fn a_flat_fee_is_due_whatever_is_used() {
        for usage in ["0", "0.5", "1000"] {
            assert_eq!(charged("flat 9.90", usage), (vec!["1 at 9.9: flat".into()], "9.9".into()));
        }
    }

    /// 1,000 at 0.01, the next 9,000 at 0.008, the rest at 0.005.
    const TIERS: &str = "1000:0.01,10000:0.008,rest:0.005";

    #[test]
    fn each_graduated_tier_is_charged_at_its_own_price() {
        let graduated = format!("graduated {TIERS}");
        // 1,000 × 0.01 = 10; 250 × 0.008 = 2.
        let lines = vec!["1000 at 0.01: tier 1".into(), "250 at 0.008: tier 2".into()];
        assert_eq!(charged(&graduated, "1250"), (lines, "12".into()));
        for (usage, total) in [
            ("0", "0"),
            ("0.1", "0.001"),
            ("999.999", "9.99999"),
            ("1000", "10"),
            // 10 + 0.001 × 0.008
            ("1000.001", "10.000008"),
            // 10 + 9,000 × 0.008
            ("10000", "82"),
            // 82 + 2,500 × 0.005
            ("12500", "94.5"),
        ] {
            assert_eq!(total_of(&graduated, usage), total, "{usage}");
        }
        // Exactly at a bound belongs to the lower tier: there is no line of nothing in the next.
        assert_eq!(charged(&graduated, "1000").0, ["1000 at 0.01: tier 1"]);
        assert_eq!(charged(&graduated, "10000").0.len(), 2);
    }

    #[test]
    fn all_of_a_volume_is_charged_at_the_price_of_the_tier_it_reaches() {
        let volume = format!("volume {TIERS}");
        for (usage, line, total) in [
            ("999.5", "999.5 at 0.01: tier 1", "9.995"),
            ("1000", "1000 at 0.01: tier 1", "10"),
            (
                "1000.000000000000000001",
                "1000.000000000000000001 at 0.008: tier 2",
                "8.000000000000000000008",
            ),
            ("10000", "10000 at 0.008: tier 2", "80"),
            ("12500", "12500 at 0.005: tier 3", "62.5"),
        ] {
            assert_eq!(charged(&volume, usage), (vec![line.into()], total.into()));
        }
        assert_eq!(charged(&volume, "0"), (vec![], "0".into()));
    }

    #[test]
    fn a_package_is_charged_when_its_first_unit_starts_it() {
        for (usage, packages, total) in [
            ("0.000000000000000001", "1", "5"),
            ("1", "1", "5"),
            ("1000", "1", "5"),
            ("1000.5", "2", "10"),
            ("2000", "2", "10"),
            ("12500", "13", "65"),
        ] {
            let line = format!("{packages} at 5: packages of 1000");
            assert_eq!(charged("package 1000:5", usage), (vec![line], total.into()));
        }
        assert_eq!(charged("package 1000:5", "0"), (vec![], "0".into()));
        // A size that is no whole number: 1 / 0.3 is more than 3.
        assert_eq!(total_of("package 0.3:1", "1"), "4");
        assert_eq!(total_of("package 0.3:1", "0.9"), "3");
    }

    #[test]
    fn the_allowance_comes_off_first_and_tiers_count_what_remains() {
        let lines = |usage| charged("graduated 1000:0.01,rest:0.008 free 100", usage);
        assert_eq!(lines("100"), (vec!["100 at 0: free".into()], "0".into()));
        assert_eq!(lines("99.5").0, ["99.5 at 0: free"]);
        assert_eq!(
            lines("1100"),
            (vec!["100 at 0: free".into(), "1000 at 0.01: tier 1".into()], "10".into())
        );
        assert_eq!(lines("1100.5").1, "10.004");
        // The 101st unit starts the first package.
        assert_eq!(total_of("package 100:1 free 100", "100"), "0");
        assert_eq!(total_of("package 100:1 free 100", "101"), "1");
        assert_eq!(total_of("package 100:1 free 100", "200"), "1");
    }

    #[test]
    fn the_minimum_is_topped_up_to_by_a_line_of_its_own() {
        let lines = |usage| charged("per-unit 0.01 minimum 5", usage);
        assert_eq!(lines("0"), (vec!["1 at 5: minimum 5".into()], "5".into()));
        assert_eq!(
            lines("120"),
            (vec!["120 at 0.01: units".into(), "1 at 3.8: minimum 5".into()], "5".into())
        );
        assert_eq!(lines("500"), (vec!["500 at 0.01: units".into()], "5".into()));
        assert_eq!(lines("500.5").1, "5.005");
    }

    #[test]
    fn a_price_is_the_sum_of_its_parts() {
        // 10 + (1,000 × 0.01 + 100 × 0.008) + 2 × 3 over the 1,100 that the allowance leaves.
        let (lines, total) = charged(
            "flat 10 + graduated 1000:0.01,rest:0.008 + package 1000:3 free 150 minimum 20",
            "1250",
        );
        assert_eq!(total, "26.8");
        assert_eq!(
            lines,
            [
                "150 at 0: free",
                "1 at 10: flat",
                "1000 at 0.01: tier 1",
                "100 at 0.008: tier 2",
                "2 at 3: packages of 1000"
            ]
        );
    }

    #[test]
    fn what_is_no_price_is_refused_and_the_tier_named() {
        for (text, said) in [
            ("", "\"\" is no part of a price"),
            ("flat", "\"\" is not an amount"),
            ("flat -1", "\"-1\" is not an amount: it must not be negative"),
            ("per-unit 1e3", "\"1e3\" is not an amount"),
            ("each 1", "\"each 1\" is no part"),
            ("flat 1 +", "\"1 +\" is not an amount"),
            ("flat 1  + flat 1", "is not an amount"),
            ("graduated", "tier 1: \"\" is not a tier"),
            ("graduated 10:1,1000", "tier 2: \"1000\" is not a tier"),
            (
                "volume 10:1,20:-2,rest:1",
                "tier 2: \"-2\" is not an amount: it must not be negative",
            ),
            ("graduated 1000:1", "tier 1 is the last and ends at 1000"),
            ("graduated 0:1,rest:1", "tier 1 goes up to 0, which is not above 0, where it starts"),
            ("graduated 10:1,10:2,rest:1", "tier 2 goes up to 10, which is not above 10"),
            ("volume 10:1,20:2,15:1,rest:1", "tier 3 goes up to 15, which is not above 20"),
            ("volume 10:1,rest:2,20:1", "tier 2 has no end and is not the last"),
            ("volume 10:1,20:2", "tier 2 is the last and ends at 20"),
            ("package 0:1", "a package holds 0 units"),
            ("package 10", "\"10\" is not a package"),
            ("flat 1 minimum -1", "is not an amount"),
            ("flat 1 free", "is not an amount"),
            ("flat 0.0000000000000000001", "more than 18 digits after the point"),
        ] {
            let error = text.parse::<Price>().expect_err(text).to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
        assert_eq!(Tiers::new(vec![]), Err(Error::NoTiers));
        assert_eq!(Price::new(vec![], amount("1"), amount("1")), Err(Error::NoParts));
        let negative = || -&amount("1");
        assert_eq!(
            Price::new(vec![Part::Flat(negative())], amount("0"), amount("0")),
            Err(Error::Negative(negative()))
        );
        assert_eq!(
            Price::new(vec![Part::Flat(amount("0"))], negative(), amount("0")),
            Err(Error::Negative(negative()))
        );
        let below_zero = Tiers::new(vec![Tier { up_to: None, price: negative() }])
            .expect_err("below zero")
            .to_string();
        assert_eq!(below_zero, "tier 1: -1 is below zero");
        let many = vec![Part::Flat(amount("1")); 17];
        assert_eq!(Price::new(many, amount("0"), amount("0")), Err(Error::TooManyParts));
        let tier = |number: u32| Tier {
            up_to: (number < 101).then(|| Amount::from(number)),
            price: amount("1"),
        };
        assert_eq!(Tiers::new((1..=101).map(tier).collect()), Err(Error::TooManyTiers));
    }

    #[test]
    fn a_cliff_is_where_the_next_tier_undercuts_the_whole_bill() {
        let cliffs = |text: &str| {
            let cliffs = price(text).cliffs();
            let words = |cliff: &Cliff| {
                format!("{}: {} then {}", cliff.usage, cliff.charge, cliff.charge_above)
            };
            cliffs.iter().map(words).collect::<Vec<_>>()
        };
        assert_eq!(cliffs(&format!("volume {TIERS}")), ["1000: 10 then 8", "10000: 80 then 50"]);
        assert_eq!(cliffs(&format!("graduated {TIERS}")), [""; 0]);
        assert_eq!(cliffs("volume 1000:0.01,rest:0.01"), [""; 0]);
        assert_eq!(cliffs("volume 1000:0.01,rest:0.02"), [""; 0]);
        assert_eq!(cliffs("volume 1000:0.01,rest:0.008 free 100"), ["1100: 10 then 8"]);
        // Below the minimum nobody falls, and on to it only that far.
        assert_eq!(cliffs(&format!("volume {TIERS} minimum 10")), ["10000: 80 then 50"]);
        assert_eq!(
            cliffs(&format!("volume {TIERS} minimum 9")),
            ["1000: 10 then 9", "10000: 80 then 50"]
        );
        // A package that starts where the tier falls makes up for it.
        assert_eq!(cliffs("volume 1000:0.01,rest:0.008 + package 1000:2"), [""; 0]);
        assert_eq!(
            cliffs("volume 1000:0.01,rest:0.008 + package 1000:1.5"),
            ["1000: 11.5 then 11"]
        );
    }

    /// Tenths of a unit, and thousandths of money: small enough to be walked through one by one.
    const TENTHS: i64 = 10;

    fn tenths(tenths: i64) -> Amount {
        amount(&format!("{}.{}", tenths / TENTHS, tenths % TENTHS))
    }

    fn thousandths(thousandths: i64) -> Amount {
        amount(&format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000))
    }

    /// A price as plain numbers: amounts of usage in tenths, money in thousandths.
    #[derive(Clone, Debug)]
    struct Plain {
        parts: Vec<PlainPart>,
        free: i64,
        minimum: i64,
    }

    #[derive(Clone, Debug)]
    enum PlainPart {
        Flat(i64),
        PerUnit(i64),
        Graduated(Vec<(i64, i64)>),
        Volume(Vec<(i64, i64)>),
        Package(i64, i64),
    }

    impl Plain {
        fn price(&self) -> Price {
            let tiers = |tiers: &[(i64, i64)]| {
                let last = tiers.len() - 1;
                let tier = |(place, (up_to, price)): (usize, &(i64, i64))| Tier {
                    up_to: (place < last).then(|| tenths(*up_to)),
                    price: thousandths(*price),
                };
                Tiers::new(tiers.iter().enumerate().map(tier).collect()).expect("tiers that ascend")
            };
            let part = |part: &PlainPart| match part {
                PlainPart::Flat(fee) => Part::Flat(thousandths(*fee)),
                PlainPart::PerUnit(each) => Part::PerUnit(thousandths(*each)),
                PlainPart::Graduated(plain) => Part::Graduated(tiers(plain)),
                PlainPart::Volume(plain) => Part::Volume(tiers(plain)),
                PlainPart::Package(size, price) => {
                    Part::Package { size: tenths(*size), price: thousandths(*price) }
                }
            };
            let parts = self.parts.iter().map(part).collect();
            Price::new(parts, tenths(self.free), thousandths(self.minimum)).expect("a price")
        }

        /// What so many tenths of a unit cost, in thousandths and tenths of those, by walking
        /// through them one by one.
        fn charge(&self, usage: i64) -> i64 {
            let counted = 1..=(usage - self.free).max(0);
            // The tier of a tenth: the first that does not end before it. The last has no end.
            let of_tier = |tiers: &[(i64, i64)], tenth: i64| {
                let (last, ended) = tiers.split_last().expect("tiers");
                ended.iter().find(|(up_to, _)| tenth <= *up_to).unwrap_or(last).1
            };
            let mut sum = 0;
            for part in &self.parts {
                if let PlainPart::Flat(fee) = part {
                    sum += fee * TENTHS;
                }
                for tenth in counted.clone() {
                    sum += match part {
                        PlainPart::Flat(_) => 0,
                        PlainPart::PerUnit(each) => *each,
                        PlainPart::Graduated(tiers) => of_tier(tiers, tenth),
                        PlainPart::Volume(tiers) => of_tier(tiers, *counted.end()),
                        PlainPart::Package(size, price) => match (tenth - 1) % size {
                            0 => price * TENTHS,
                            _ => 0,
                        },
                    };
                }
            }
            sum.max(self.minimum * TENTHS)
        }
    }

    fn plain_tiers() -> impl Strategy<Value = Vec<(i64, i64)>> {
        prop::collection::vec((1_i64..60, 0_i64..40), 1..5).prop_map(|widths| {
            let mut end = 0;
            widths
                .into_iter()
                .map(|(width, price)| {
                    end += width;
                    (end, price)
                })
                .collect()
        })
    }

    fn plain() -> impl Strategy<Value = Plain> {
        let part = prop_oneof![
            (0_i64..3_000).prop_map(PlainPart::Flat),
            (0_i64..40).prop_map(PlainPart::PerUnit),
            plain_tiers().prop_map(PlainPart::Graduated),
            plain_tiers().prop_map(PlainPart::Volume),
            (1_i64..70, 0_i64..500).prop_map(|(size, price)| PlainPart::Package(size, price)),
        ];
        let free = prop_oneof![2 => Just(0_i64), 1 => 0_i64..80];
        let minimum = prop_oneof![2 => Just(0_i64), 1 => 0_i64..5_000];
        (prop::collection::vec(part, 1..4), free, minimum)
            .prop_map(|(parts, free, minimum)| Plain { parts, free, minimum })
    }

    proptest! {
        #[test]
        fn lines_add_up_to_what_walking_through_the_usage_bit_by_bit_gives(
            plain in plain(),
            usage in 0_i64..300,
        ) {
            let lines = charge(&plain.price(), &tenths(usage));
            let walked = plain.charge(usage);
            let walked = format!("{}.{:04}", walked / 10_000, walked % 10_000);
            prop_assert_eq!(total(&lines), amount(&walked));
            for line in &lines {
                prop_assert_eq!(&line.amount, &(&line.quantity * &line.price));
                prop_assert!(line.quantity.is_positive(), "{:?}", line);
                prop_assert!(!line.price.is_negative(), "{:?}", line);
            }
            let units = lines.iter().filter(|line| matches!(line.of, ChargeKind::Free));
            prop_assert!(units.map(|line| &line.quantity).sum::<Amount>() <= tenths(usage));
        }

        #[test]
        fn a_bill_never_falls_as_usage_grows_but_at_the_cliffs_that_the_price_tells(
            plain in plain(),
        ) {
            let price = plain.price();
            let cliffs: Vec<Amount> = price.cliffs().into_iter().map(|cliff| cliff.usage).collect();
            for usage in 0..300 {
                let falls = plain.charge(usage + 1) < plain.charge(usage);
                let is_cliff = cliffs.contains(&tenths(usage));
                prop_assert!(is_cliff || !falls, "{} falls after {}", price, usage);
                // A tenth further it may have risen above what it was; the least bit further it has
                // not.
                let bit = &tenths(usage) + &amount("0.000000000000000001");
                if is_cliff {
                    let cost = |usage: &Amount| total(&charge(&price, usage));
                    prop_assert!(cost(&bit) < cost(&tenths(usage)), "{}", price);
                }
            }
        }

        #[test]
        fn graduated_and_volume_with_one_tier_are_per_unit(
            each in "[0-9]{1,6}(\\.[0-9]{1,18})?",
            usage in "[0-9]{1,12}(\\.[0-9]{1,18})?",
        ) {
            let wanted = total_of(&format!("per-unit {each}"), &usage);
            prop_assert_eq!(&total_of(&format!("graduated rest:{each}"), &usage), &wanted);
            prop_assert_eq!(&total_of(&format!("volume rest:{each}"), &usage), &wanted);
        }

        #[test]
        fn what_is_printed_reads_back_as_the_same_price(plain in plain()) {
            let price = plain.price();
            let printed = price.to_string();
            prop_assert_eq!(printed.parse::<Price>(), Ok(price));
        }
    }

    #[test]
    fn the_printed_form_is_what_the_books_hold() {
        let text = "flat 10 + per-unit 0.01 + graduated 1000:0.01,rest:0.005 + volume rest:1 + \
            package 0.5:2 free 100 minimum 20";
        assert_eq!(price(text).to_string(), text);
        assert_eq!(price("flat 1.50 free 0 minimum 00").to_string(), "flat 1.5");
    }

    #[test]
    fn lines_that_charge_the_same_at_the_same_price_join() {
        let mut lines = charge(&price("flat 2"), &amount("0"));
        let three = lines[0].clone().times(3);
        assert_eq!(
            (three.quantity.to_string(), three.amount.to_string()),
            ("3".into(), "6".into())
        );
        assert!(lines[0].join(&three));
        assert_eq!(
            (lines[0].quantity.to_string(), lines[0].amount.to_string()),
            ("4".into(), "8".into())
        );
        assert!(!lines[0].join(&charge(&price("flat 3"), &amount("0"))[0]));
        assert!(!lines[0].join(&charge(&price("per-unit 2"), &amount("1"))[0]));
    }
}
