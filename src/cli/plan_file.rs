//! A plan as a JSON document: what `plan set --file` reads, and what `plan show --json` prints of a
//! price.
//!
//! Read strictly: a member that is not known is refused. A number is taken by its text, never as a
//! float.

use crate::billing::amount::Amount;
use crate::billing::id::Label;
use crate::billing::price::{self, Part, Price, Tier, Tiers};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// An example, for the help.
pub(super) const EXAMPLE: &str = r#"{
  "name": "Standard",
  "unit": "Minute",
  "parts": [
    {"flat": "10"},
    {"graduated": [
      {"upTo": "1000", "price": "0.01"},
      {"upTo": "10000", "price": "0.008"},
      {"price": "0.005"}
    ]}
  ],
  "free": "100",
  "minimum": "20"
}"#;

/// A plan as it is told in a file.
pub(super) struct PlanFile {
    pub(super) name: Option<Label>,
    pub(super) unit: Option<Label>,
    pub(super) price: Price,
}

impl PlanFile {
    /// Reads a document.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        // A byte order mark says nothing about UTF-8.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let document: PlanMembers =
            serde_json::from_str(text).map_err(|error| error.to_string())?;
        let label = |name: &str, text: Option<String>| {
            text.map(|text| text.parse().map_err(|error| format!("{name} is {text:?}: {error}")))
                .transpose()
        };
        let part = |(place, part): (usize, PartTerms)| {
            part.read().map_err(|error| format!("part {}: {error}", place + 1))
        };
        let parts = document.parts.into_iter().enumerate().map(part).collect::<Result<_, _>>()?;
        let amount =
            |told: Option<Decimal>| told.map_or_else(Amount::default, |Decimal(amount)| amount);
        let price = Price::new(parts, amount(document.free), amount(document.minimum));
        Ok(Self {
            name: label("name", document.name)?,
            unit: label("unit", document.unit)?,
            price: price.map_err(|error| error.to_string())?,
        })
    }
}

/// A plan as a document that [`PlanFile::read`] reads.
pub(super) fn document(name: &Label, unit: &Label, price: &Price) -> String {
    #[derive(Serialize)]
    struct PlanDocument<'a> {
        name: &'a str,
        unit: &'a str,
        #[serde(flatten)]
        terms: PriceTerms,
    }
    let written =
        PlanDocument { name: name.as_str(), unit: unit.as_str(), terms: PriceTerms::new(price) };
    serde_json::to_string(&written).expect("texts are JSON")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanMembers {
    name: Option<String>,
    unit: Option<String>,
    parts: Vec<PartTerms>,
    free: Option<Decimal>,
    minimum: Option<Decimal>,
}

/// A price, as it is told in the document.
#[derive(Serialize)]
pub(super) struct PriceTerms {
    parts: Vec<PartTerms>,
    free: Decimal,
    minimum: Decimal,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "PartMembers")]
enum PartTerms {
    Flat(Decimal),
    PerUnit(Decimal),
    Graduated(Vec<TierTerms>),
    Volume(Vec<TierTerms>),
    Package(PackageTerms),
}

/// A part as it is read: one of its members is told.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PartMembers {
    flat: Option<Decimal>,
    per_unit: Option<Decimal>,
    graduated: Option<Vec<TierTerms>>,
    volume: Option<Vec<TierTerms>>,
    package: Option<PackageTerms>,
}

impl TryFrom<PartMembers> for PartTerms {
    type Error = String;

    fn try_from(members: PartMembers) -> Result<Self, String> {
        let PartMembers { flat, per_unit, graduated, volume, package } = members;
        let told = [
            flat.map(Self::Flat),
            per_unit.map(Self::PerUnit),
            graduated.map(Self::Graduated),
            volume.map(Self::Volume),
            package.map(Self::Package),
        ];
        let mut told = told.into_iter().flatten();
        match (told.next(), told.next()) {
            (Some(part), None) => Ok(part),
            _ => Err("a part is one of flat, perUnit, graduated, volume and package: each in an \
                    object of its own"
                .into()),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TierTerms {
    #[serde(skip_serializing_if = "Option::is_none")]
    up_to: Option<Decimal>,
    price: Decimal,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PackageTerms {
    size: Decimal,
    price: Decimal,
}

impl PartTerms {
    fn read(self) -> Result<Part, price::Error> {
        let tiers = |tiers: Vec<TierTerms>| {
            let tier = |tier: TierTerms| Tier {
                up_to: tier.up_to.map(|Decimal(up_to)| up_to),
                price: tier.price.0,
            };
            Tiers::new(tiers.into_iter().map(tier).collect())
        };
        Ok(match self {
            Self::Flat(Decimal(fee)) => Part::Flat(fee),
            Self::PerUnit(Decimal(each)) => Part::PerUnit(each),
            Self::Graduated(terms) => Part::Graduated(tiers(terms)?),
            Self::Volume(terms) => Part::Volume(tiers(terms)?),
            Self::Package(PackageTerms { size: Decimal(size), price: Decimal(price) }) => {
                Part::Package { size, price }
            }
        })
    }
}

impl PriceTerms {
    pub(super) fn new(price: &Price) -> Self {
        let decimal = |amount: &Amount| Decimal(amount.clone());
        let tiers = |tiers: &Tiers| {
            let tier = |tier: &Tier| TierTerms {
                up_to: tier.up_to.as_ref().map(decimal),
                price: decimal(&tier.price),
            };
            tiers.tiers().iter().map(tier).collect()
        };
        let part = |part: &Part| match part {
            Part::Flat(fee) => PartTerms::Flat(decimal(fee)),
            Part::PerUnit(each) => PartTerms::PerUnit(decimal(each)),
            Part::Graduated(terms) => PartTerms::Graduated(tiers(terms)),
            Part::Volume(terms) => PartTerms::Volume(tiers(terms)),
            Part::Package { size, price } => {
                PartTerms::Package(PackageTerms { size: decimal(size), price: decimal(price) })
            }
        };
        Self {
            parts: price.parts().iter().map(part).collect(),
            free: decimal(price.free()),
            minimum: decimal(price.minimum()),
        }
    }
}

/// An amount, told as a number or as a text.
struct Decimal(Amount);

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let raw = raw.get();
        let text = match raw.as_bytes() {
            [b'"', ..] => {
                Cow::Owned(serde_json::from_str::<String>(raw).map_err(D::Error::custom)?)
            }
            _ => Cow::Borrowed(raw),
        };
        let shown: String = text.chars().take(40).collect();
        text.parse()
            .map(Self)
            .map_err(|error| D::Error::custom(format!("{shown:?} is not an amount: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        PlanFile::read(text).map(|file| file.price.to_string())
    }

    #[test]
    fn every_model_is_read_and_printed_as_it_is_read() {
        let text = r#"{"name":"Pro","parts":[{"flat":"10"},{"perUnit":0.5},
            {"graduated":[{"upTo":1000,"price":"0.01"},{"price":0.005}]},
            {"volume":[{"upTo":null,"price":1}]},{"package":{"size":"100","price":2.50}}],
            "free":50,"minimum":"20"}"#;
        let file = PlanFile::read(text).expect("a plan");
        assert_eq!(
            file.price.to_string(),
            "flat 10 + per-unit 0.5 + graduated 1000:0.01,rest:0.005 + volume rest:1 + package \
             100:2.5 free 50 minimum 20"
        );
        assert_eq!((file.name.as_ref().map(Label::as_str), file.unit), (Some("Pro"), None));
        let printed = serde_json::to_string(&PriceTerms::new(&file.price)).expect("JSON");
        assert_eq!(read(&printed), Ok(file.price.to_string()));
        assert!(PlanFile::read(EXAMPLE).is_ok());
        assert!(PlanFile::read(&format!("\u{feff}{EXAMPLE}")).is_ok());
    }

    #[test]
    fn a_number_is_taken_by_its_text() {
        let each = |number: &str| read(&format!(r#"{{"parts":[{{"perUnit":{number}}}]}}"#));
        assert_eq!(each("0.100000000000000005"), Ok("per-unit 0.100000000000000005".into()));
        assert_eq!(each("12345678901234567890.10"), Ok("per-unit 12345678901234567890.1".into()));
        assert_eq!(each("\"0.5\""), Ok("per-unit 0.5".into()));
        for (number, said) in [
            ("1e3", "\"1e3\" is not an amount: it must be a plain decimal"),
            ("-1", "\"-1\" is not an amount: it must not be negative"),
            ("0.0000000000000000001", "more than 18 digits after the point"),
            ("null", "a part is one of flat, perUnit"),
            ("\"\"", "\"\" is not an amount"),
            ("[1]", "\"[1]\" is not an amount"),
        ] {
            let error = each(number).expect_err(number);
            assert!(error.contains(said), "{number}: {error}");
        }
    }

    #[test]
    fn what_is_not_a_plan_is_refused_with_its_place() {
        for (text, said) in [
            ("", "EOF"),
            ("[]", "invalid length 0"),
            (r#"{"parts":[]}"#, "it has no parts"),
            (r#"{"price":"1"}"#, "unknown field `price`"),
            (r#"{"parts":[{"flat":1}],"Free":1}"#, "unknown field `Free`"),
            (r#"{"parts":[{"flat":1}],"free":1,"free":2}"#, "duplicate field `free`"),
            (
                r#"{"parts":[{"each":1}]}"#,
                "unknown field `each`, expected one of `flat`, `perUnit`",
            ),
            (
                r#"{"parts":[{"flat":1},{"volume":[
                    {"upTo":10,"price":1},{"upTo":5,"price":1},{"price":1}]}]}"#,
                "part 2: tier 2 goes up to 5, which is not above 10",
            ),
            (
                r#"{"parts":[{"graduated":[{"upTo":10,"price":1}]}]}"#,
                "part 1: tier 1 is the last and ends at 10",
            ),
            (
                r#"{"parts":[{"graduated":[{"price":1},{"upTo":10,"price":1}]}]}"#,
                "part 1: tier 1 has no end",
            ),
            (r#"{"parts":[{"graduated":[]}]}"#, "part 1: it has no tiers"),
            (
                r#"{"parts":[{"graduated":[{"upto":10,"price":1},{"price":1}]}]}"#,
                "unknown field `upto`",
            ),
            (r#"{"parts":[{"package":{"size":0,"price":1}}]}"#, "a package holds 0 units"),
            (r#"{"parts":[{"flat":1,"perUnit":2}]}"#, "each in an object of its own at line 1"),
            (r#"{"parts":[{}]}"#, "each in an object of its own"),
            (r#"{"parts":[1]}"#, "invalid type: integer"),
            (r#"{"parts":[{"flat":1}]} x"#, "trailing characters"),
            (r#"{"name":"a\nb","parts":[{"flat":1}]}"#, "name is"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
