//! Price plans by date, which of them applies, and the words for them: those Agora shows the user,
//! and the operator's.

use crate::billing::adjustment::Adjustment;
use crate::billing::amount::Amount;
use crate::billing::history::History;
use crate::billing::id::{Label, PlanId};
use crate::billing::period;
use crate::billing::price::{ChargeKind, ChargeLine, Part, Price, Tiers};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most bytes of a description.
pub const MAX_DESCRIPTION_BYTES: usize = 512;

/// A price plan as it is from some month on: what is counted, what it is called, and what it costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Agora's `planId`.
    pub id: PlanId,
    /// As it stands in descriptions, e.g. `Standard`.
    pub name: Label,
    /// One unit of usage, in words, e.g. `Minute`.
    pub unit: Label,
    /// What usage costs.
    pub price: Price,
}

/// The plans that are set up, by id and date.
#[derive(Clone, Debug, Default)]
pub struct PlanBook(BTreeMap<PlanId, History<Arc<Plan>>>);

impl PlanBook {
    /// The plan, as it is at a second, for a customer for whom `named` was chosen; the plan
    /// `default` where none was.
    ///
    /// # Errors
    /// The id of a plan that is not set up; never the default in place of one that was named.
    pub fn applicable(&self, named: Option<&PlanId>, second: i64) -> Result<&Arc<Plan>, PlanId> {
        self.versions(named)
            .and_then(|history| history.at(second))
            .ok_or_else(|| named.cloned().unwrap_or_else(PlanId::fallback))
    }

    /// What the plan was and is to be, of the one that is named or else of the plan `default`;
    /// `None` where it is not set up.
    pub fn versions(&self, named: Option<&PlanId>) -> Option<&History<Arc<Plan>>> {
        self.0.get(named.map_or(PlanId::FALLBACK, PlanId::as_str))
    }

    /// The plans' ids, in their order.
    pub fn ids(&self) -> impl Iterator<Item = &PlanId> {
        self.0.keys()
    }

    /// The plans in the order of their ids.
    pub fn plans(&self) -> impl Iterator<Item = &History<Arc<Plan>>> {
        self.0.values()
    }
}

/// Each from a second on, in the order in which they were set.
impl FromIterator<(i64, Plan)> for PlanBook {
    fn from_iter<I: IntoIterator<Item = (i64, Plan)>>(versions: I) -> Self {
        let mut book = Self::default();
        for (from_s, plan) in versions {
            book.0.entry(plan.id.clone()).or_default().add(from_s, Arc::new(plan));
        }
        book
    }
}

/// Plans that never were other than they are.
impl FromIterator<Plan> for PlanBook {
    fn from_iter<I: IntoIterator<Item = Plan>>(plans: I) -> Self {
        plans.into_iter().map(|plan| (0, plan)).collect()
    }
}

/// Says what usage was counted: `1.5 Minute × Standard`, or `1.5 Minute` where there is no plan and
/// `unplanned_unit` is the word for a unit.
///
/// Source: the example answer on Agora's page "Provide usage data to Agora".
pub fn describe_usage(amount: &Amount, plan: Option<&Plan>, unplanned_unit: &Label) -> String {
    describe([match plan {
        Some(plan) => format!("{amount} {} × {}", plan.unit, plan.name),
        None => format!("{amount} {unplanned_unit}"),
    }])
}

/// Says what a line of a charge is for: `250 Minute × Standard (Tier 2 at 0.008)`.
///
/// Source: the example answer on Agora's page "Provide bill data to Agora".
pub fn describe_line(plan: &Plan, line: &ChargeLine) -> String {
    let ChargeLine { of, quantity, price, amount } = line;
    let Plan { unit, name, .. } = plan;
    match of {
        ChargeKind::Free => format!("{quantity} {unit} × {name} (free)"),
        ChargeKind::Unit => format!("{quantity} {unit} × {name} ({price} each)"),
        ChargeKind::Tier(number) => {
            format!("{quantity} {unit} × {name} (Tier {number} at {price})")
        }
        ChargeKind::Package(size) => {
            format!("{quantity} × {size} {unit} × {name} ({price} a package)")
        }
        ChargeKind::Flat => format!("{name} ({}flat fee {price})", months(quantity)),
        ChargeKind::Minimum(minimum) => {
            format!("{name} ({amount} up to the minimum of {}{minimum})", months(quantity))
        }
    }
}

/// Before what is due for each of several months.
fn months(count: &Amount) -> String {
    if *count == Amount::from(1) { String::new() } else { format!("{count} × ") }
}

/// Between what a description is made of.
const PLUS: &str = " + ";

/// Joins what a charge is for to the description that Agora shows: at most
/// [`MAX_DESCRIPTION_BYTES`]; what does not fit is counted at its end.
pub fn describe(lines: impl IntoIterator<Item = String>) -> String {
    let lines: Vec<String> = lines.into_iter().collect();
    // The longest end that says how many do not fit.
    let and_more = |left: usize| match left {
        0 => String::new(),
        left => format!("{PLUS}{left} more"),
    };
    let mut text = String::new();
    let mut kept = lines.is_empty().then(|| (0, String::new()));
    for (place, line) in lines.iter().enumerate() {
        if place > 0 {
            text.push_str(PLUS);
        }
        text.push_str(line);
        let end = and_more(lines.len() - place - 1);
        if text.len() + end.len() <= MAX_DESCRIPTION_BYTES {
            kept = Some((text.len(), end));
        } else if text.len() > MAX_DESCRIPTION_BYTES {
            break;
        }
    }
    let (length, end) = kept.unwrap_or_else(|| {
        let end = format!("…{}", and_more(lines.len().saturating_sub(1)));
        (text.floor_char_boundary(MAX_DESCRIPTION_BYTES.saturating_sub(end.len())), end)
    });
    text.truncate(length);
    text + &end
}

/// Says what an adjustment is of: `3.5 carried from 2026-10`.
pub fn describe_adjustment(adjustment: &Adjustment) -> String {
    let month = period::date(adjustment.month_s);
    format!("{} carried from {:04}-{:02}", adjustment.amount, month.year(), month.month())
}

/// Says what is taken off a month's charge, or put back: `-3.5 told by later bills`, `3.5 taken off
/// by later bills`.
pub fn describe_elsewhere(elsewhere: &Amount) -> String {
    let done = if elsewhere.is_negative() { "told" } else { "taken off" };
    format!("{elsewhere} {done} by later bills")
}

/// Joins what a charge is for, what later bills tell of it and what it tells of earlier months;
/// where not all of it fits, the earlier months come first.
pub fn describe_adjusted(
    mut lines: Vec<String>,
    elsewhere: &Amount,
    adjustments: &[Adjustment],
) -> String {
    lines.extend((!elsewhere.is_zero()).then(|| describe_elsewhere(elsewhere)));
    let adjusted: Vec<String> = adjustments.iter().map(describe_adjustment).collect();
    let texts: usize = lines.iter().chain(&adjusted).map(String::len).sum();
    let between = (lines.len() + adjusted.len()).saturating_sub(1) * PLUS.len();
    if texts + between <= MAX_DESCRIPTION_BYTES {
        describe(lines.into_iter().chain(adjusted))
    } else {
        describe(adjusted.into_iter().chain(lines))
    }
}

impl Plan {
    /// What the plan costs, a sentence for each of its terms.
    pub fn terms(&self) -> Vec<String> {
        let unit = &self.unit;
        let mut terms = Vec::new();
        if !self.price.free().is_zero() {
            terms.push(format!(
                "the first {} {unit} of a month are free, and what follows counts from there",
                self.price.free()
            ));
        }
        terms.extend(self.price.parts().iter().map(|part| match part {
            Part::Flat(fee) => format!("{fee} a month, whatever is used"),
            Part::PerUnit(each) => format!("{each} per {unit}"),
            Part::Graduated(tiers) => {
                format!(
                    "each {unit} of a month at the price of its own tier: {}",
                    tier_words(tiers, unit)
                )
            }
            Part::Volume(tiers) => {
                format!(
                    "every {unit} of a month at the price of the tier that all of them reach: {}",
                    tier_words(tiers, unit)
                )
            }
            Part::Package { size, price } => {
                format!("{price} for every package of {size} {unit} that is started in a month")
            }
        }));
        if !self.price.minimum().is_zero() {
            terms.push(format!("{} a month at least", self.price.minimum()));
        }
        terms
    }

    /// Where the bill falls as usage grows, a sentence for each cliff.
    pub fn warnings(&self) -> Vec<String> {
        let unit = &self.unit;
        let cliffs = self.price.cliffs().into_iter();
        cliffs
            .map(|cliff| {
                let (usage, charge, above) = (cliff.usage, cliff.charge, cliff.charge_above);
                format!(
                    "{usage} {unit} cost {charge}, and a little more than that costs {above}: \
                    the bill falls there"
                )
            })
            .collect()
    }
}

fn tier_words(tiers: &Tiers, unit: &Label) -> String {
    let mut from: Option<&Amount> = None;
    let words = tiers.tiers().iter().enumerate().map(|(place, tier)| {
        let range = match (from, &tier.up_to) {
            (None, Some(up_to)) => format!("up to {up_to} {unit}"),
            (Some(from), Some(up_to)) => format!("above {from} up to {up_to}"),
            (Some(from), None) => format!("above {from}"),
            (None, None) => "all".to_owned(),
        };
        from = tier.up_to.as_ref();
        format!("{range} at {} (Tier {})", tier.price, place + 1)
    });
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::price::charge;
    use proptest::prelude::*;

    fn plan(id: &str, price: &str) -> Plan {
        Plan {
            id: id.parse().expect("an id"),
            name: "Standard".parse().expect("a name"),
            unit: "Minute".parse().expect("a unit"),
            price: price.parse().expect("a price"),
        }
    }

    fn amount(text: &str) -> Amount {
        text.parse().expect("an amount")
    }

    fn described(price: &str, usage: &str) -> String {
        let plan = plan("default", price);
        describe(charge(&plan.price, &amount(usage)).iter().map(|line| describe_line(&plan, line)))
    }

    #[test]
    fn a_named_plan_that_is_not_set_up_is_never_replaced_by_the_default() {
        let book: PlanBook =
            [plan("default", "flat 1"), plan("gold", "flat 2")].into_iter().collect();
        let id = |text: &str| text.parse::<PlanId>().expect("an id");
        assert_eq!(book.applicable(None, 0).map(|plan| &plan.id), Ok(&id("default")));
        assert_eq!(book.applicable(Some(&id("gold")), 0).map(|plan| &plan.id), Ok(&id("gold")));
        assert_eq!(book.applicable(Some(&id("silver")), 0), Err(id("silver")));
        assert_eq!(PlanBook::default().applicable(None, 0), Err(id("default")));
    }

    #[test]
    fn a_plan_is_what_was_set_for_the_date() {
        let book: PlanBook =
            [(0, plan("p", "flat 1")), (100, plan("p", "flat 2")), (100, plan("p", "flat 3"))]
                .into_iter()
                .collect();
        let id = "p".parse().expect("an id");
        let price = |second| book.applicable(Some(&id), second).map(|plan| plan.price.to_string());
        assert_eq!(
            [0, 99, 100].map(price),
            ["flat 1", "flat 1", "flat 3"].map(|text| Ok(text.to_owned()))
        );
    }

    #[test]
    fn the_words_are_agoras() {
        let word = "Minute".parse().expect("a unit");
        let plan = plan("default", "per-unit 0.01");
        assert_eq!(describe_usage(&amount("1.50"), Some(&plan), &word), "1.5 Minute × Standard");
        assert_eq!(describe_usage(&amount("1.50"), None, &word), "1.5 Minute");
        assert_eq!(described("per-unit 0.010", "1.5"), "1.5 Minute × Standard (0.01 each)");
        assert_eq!(
            described("graduated 1000:0.01,rest:0.008", "1250"),
            "1000 Minute × Standard (Tier 1 at 0.01) + 250 Minute × Standard (Tier 2 at 0.008)"
        );
        assert_eq!(
            described("volume 1000:0.01,rest:0.008", "1250"),
            "1250 Minute × Standard (Tier 2 at 0.008)"
        );
        assert_eq!(
            described("flat 10 + package 1000:5 free 100 minimum 20", "1250"),
            "100 Minute × Standard (free) + Standard (flat fee 10) + 2 × 1000 Minute × Standard \
             (5 a package)"
        );
        assert_eq!(
            described("per-unit 0.01 minimum 20", "1250"),
            "1250 Minute × Standard (0.01 each) + Standard (7.5 up to the minimum of 20)"
        );
        let plan = Plan { price: "flat 10 minimum 12".parse().expect("a price"), ..plan };
        let three = charge(&plan.price, &amount("0"))
            .into_iter()
            .map(|line| describe_line(&plan, &line.times(3)));
        assert_eq!(
            describe(three),
            "Standard (3 × flat fee 10) + Standard (6 up to the minimum of 3 × 12)"
        );
    }

    #[test]
    fn a_description_that_is_too_long_ends_by_counting_what_is_left_out() {
        let tiers: Vec<String> = (1..=30).map(|end| format!("{end}:0.01")).collect();
        let text = described(&format!("graduated {},rest:0.005", tiers.join(",")), "100");
        assert!(
            text.len() <= 512 && text.ends_with("Minute × Standard (Tier 12 at 0.01) + 19 more"),
            "{text}"
        );
        // One that fits to the last byte is left whole, and one more byte is too much.
        assert_eq!(describe(["x".repeat(509), "y".repeat(0)]).len(), 512);
        assert_eq!(
            describe(["x".repeat(510), "y".repeat(10)]),
            format!("{}…{}", "x".repeat(500), " + 1 more")
        );
        assert_eq!(describe(["x".repeat(512)]), "x".repeat(512));
        assert_eq!(describe(["é".repeat(300)]), format!("{}…", "é".repeat(254)));
        assert_eq!(describe([]), "");
    }

    #[test]
    fn what_fits_to_the_last_byte_stays_in_its_order() {
        let amount: Amount = "3.5".parse().expect("an amount");
        // October of 2026.
        let adjustment = Adjustment { month_s: 1_790_812_800, amount, whole: true };
        let (none, told) = (Amount::default(), "3.5 carried from 2026-10");
        for bytes in 505..=515 {
            let line = "x".repeat(bytes - PLUS.len() - told.len());
            let text =
                describe_adjusted(vec![line.clone()], &none, std::slice::from_ref(&adjustment));
            if bytes <= MAX_DESCRIPTION_BYTES {
                assert_eq!(text, format!("{line}{PLUS}{told}"));
            } else {
                assert!(text.starts_with(told), "{text}");
            }
        }
        let alone = "y".repeat(MAX_DESCRIPTION_BYTES);
        assert_eq!(describe_adjusted(vec![alone.clone()], &none, &[]), alone);
    }

    proptest! {
        #[test]
        fn a_description_is_never_too_long_and_never_broken(
            lines in prop::collection::vec("[aé×€😀]{0,300}", 0..20),
        ) {
            let text = describe(lines.clone());
            prop_assert!(text.len() <= MAX_DESCRIPTION_BYTES);
            let whole = lines.join(" + ");
            let is_cut = text.ends_with(" more") || text.ends_with('…');
            prop_assert!(text == whole || is_cut, "{}", text);
            prop_assert!(text == whole || whole.len() > MAX_DESCRIPTION_BYTES);
        }
    }

    #[test]
    fn a_plan_is_said_as_a_person_would() {
        let terms = plan(
            "p",
            "flat 10 + per-unit 0.5 + graduated \
            1000:0.01,10000:0.008,rest:0.005 + volume rest:1 + package 100:2 free 50 minimum 20",
        )
        .terms();
        assert_eq!(
            terms,
            [
                "the first 50 Minute of a month are free, and what follows counts from there",
                "10 a month, whatever is used",
                "0.5 per Minute",
                "each Minute of a month at the price of its own tier: up to 1000 Minute at 0.01 \
                 (Tier 1), above 1000 up to 10000 at 0.008 (Tier 2), above 10000 at 0.005 (Tier 3)",
                "every Minute of a month at the price of the tier that all of them reach: all at \
                 1 (Tier 1)",
                "2 for every package of 100 Minute that is started in a month",
                "20 a month at least",
            ]
        );
        assert_eq!(
            plan("p", "volume 1000:0.01,rest:0.008").warnings(),
            ["1000 Minute cost 10, and a little more than that costs 8: the bill falls there"]
        );
    }
}
