//! `bill --explain`: where a project's amount comes from, down to its records.

use crate::billing::adjustment::Adjustment;
use crate::billing::amount::Amount;
use crate::billing::bill::{Bill, BillEntry, BillLine};
use crate::billing::history::HistoryEntry;
use crate::billing::id::{CustomerId, PlanId, ProjectId};
use crate::billing::period::{Grain, Period};
use crate::billing::plan::Plan;
use crate::billing::price::ChargeKind;
use crate::cli::json::exact;
use crate::cli::moment::{month, rfc3339};
use crate::cli::start::HistoryEntryView;
use crate::cli::table::{Columns, or_dash, print_properties, print_prose};
use crate::cli::visible::ForPeople;
use crate::store::balance::{self, StatedMonth, StatedProject};
use crate::store::bill::Pricing;
use crate::store::usage::{KeptRecord, Provenance};
use crate::store::{self, ReadTx, license, plan, project};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;

/// Where the amount of a project's month comes from.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BillExplanation {
    #[serde(skip)]
    month: String,
    project_id: String,
    #[serde(serialize_with = "exact")]
    amount: Amount,
    /// They add up to the amount.
    parts: Vec<PartView>,
    usage: UsageView,
    /// They add up to what is covered.
    licenses: Vec<CoverView>,
    /// Who answers for the month, and who said so; null where nobody has.
    customer: Option<HistoryEntryView<OfCustomer>>,
    plan: PricingView,
}

/// A part of an amount.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PartView {
    /// `line`, `laterBill`, `waits` or `earlierMonth`.
    kind: &'static str,
    #[serde(serialize_with = "exact")]
    amount: Amount,
    description: String,
    #[serde(flatten)]
    of: PartOf,
}

/// What a part follows from.
#[derive(Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum PartOf {
    /// A line of the price: the amount is quantity times price.
    Line { quantity: String, price: String, tier: Option<usize> },
    /// What a bill of a later month tells, taken off.
    LaterBill { month: String },
    /// What cannot be taken off, since no entry falls below zero.
    Waits {},
    /// What an earlier month costs, less what other bills told of it, and what of that waits.
    EarlierMonth { month: String, costs: String, told: String, waits: String },
}

/// What was used, and what of it is charged.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UsageView {
    #[serde(serialize_with = "exact")]
    amount: Amount,
    #[serde(serialize_with = "exact")]
    covered: Amount,
    /// The amount less what is covered.
    #[serde(serialize_with = "exact")]
    charged: Amount,
    records: i64,
    /// What all records add up to, voided ones too.
    #[serde(serialize_with = "exact")]
    recorded: Amount,
    voids: i64,
    #[serde(serialize_with = "exact")]
    voided: Amount,
    first: Option<UsageRecordView>,
    last: Option<UsageRecordView>,
}

#[derive(Serialize)]
struct UsageRecordView {
    id: String,
    at: String,
    #[serde(serialize_with = "exact")]
    amount: Amount,
}

/// What a license covered.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CoverView {
    license_id: String,
    #[serde(serialize_with = "exact")]
    covered: Amount,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OfCustomer {
    customer_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NamedPlan {
    plan_id: String,
}

/// The plan that prices the month.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PricingView {
    plan_id: String,
    /// Who named it for the customer; null where nobody did, and the plan `default` holds.
    named: Option<HistoryEntryView<NamedPlan>>,
    /// What the month costs by it, a sentence for each term.
    terms: Vec<String>,
    versions: Vec<HistoryEntryView<PriceVersionView>>,
}

/// A version of the plan.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PriceVersionView {
    name: String,
    unit: String,
    price: String,
    /// Whether it prices the month.
    in_force: bool,
}

impl BillExplanation {
    /// Explains what a bill says of a project.
    pub(super) fn read(
        tx: &ReadTx<'_>,
        id: &ProjectId,
        month_s: i64,
        bill: &Bill,
        told: Option<&StatedMonth>,
        pricing: &Pricing,
    ) -> store::Result<Self> {
        let entries = bill.entries.iter().chain(&bill.uncharged);
        let entry = entries.into_iter().find(|entry| entry.usage.project_id == *id);
        let told = told.and_then(|told| told.projects.get(id));
        let provenance = Provenance::read(tx, id, month_s)?;
        // All that the licenses drew is read for it.
        let covered = if provenance.sum.covered.is_zero() {
            BTreeMap::new()
        } else {
            license::covered_by(tx, id, Period::around(Grain::Month, month_s))?
        };
        let said = project::customers_of(tx, id)?;
        let owner = HistoryEntry::at(&said, month_s);
        let of_customer = |id: &CustomerId| OfCustomer { customer_id: id.to_string() };
        let named = match owner {
            Some(owner) => store::customer::plans_of(tx, &owner.value)?,
            None => Vec::new(),
        };
        Ok(Self {
            month: month(month_s),
            project_id: id.to_string(),
            amount: entry.map(|entry| entry.amount.clone()).unwrap_or_default(),
            parts: match entry {
                Some(entry) => parts(tx, entry, told, pricing)?,
                None => Vec::new(),
            },
            usage: UsageView::new(provenance),
            licenses: covered
                .into_iter()
                .map(|(id, covered)| CoverView { license_id: id.to_string(), covered })
                .collect(),
            customer: owner.map(|owner| HistoryEntryView::new(owner, of_customer)),
            plan: PricingView::read(tx, HistoryEntry::at(&named, month_s), month_s)?,
        })
    }

    pub(super) fn print(&self, out: &mut ForPeople<'_>) -> io::Result<()> {
        let Self { month, project_id, amount, parts, .. } = self;
        writeln!(out, "\nHow {amount} of {project_id} in {month} comes about:")?;
        let mut columns = Columns::of_prose(&["amount#", "from"]);
        for part in parts {
            columns.row([part.amount.to_string(), part.description.clone()]);
        }
        columns.row([String::new()]);
        columns.row([amount.to_string(), "in all".to_owned()]);
        columns.print(out)?;
        writeln!(out)?;
        print_properties(out, &self.properties())?;
        self.plan.print(out, month)
    }

    fn properties(&self) -> Vec<(&'static str, String)> {
        let UsageView { amount, covered, charged, records, recorded, voids, voided, .. } =
            &self.usage;
        let mut properties = vec![
            ("recorded", format!("{recorded} in {}", counted(*records))),
            ("voided", format!("{voided} in {}", counted(*voids))),
            ("usage", amount.to_string()),
            ("covered", covered.to_string()),
        ];
        for CoverView { license_id, covered } in &self.licenses {
            properties.push(("by license", format!("{license_id}: {covered}")));
        }
        properties.push(("charged", charged.to_string()));
        let ends = [("first record", &self.usage.first), ("last record", &self.usage.last)];
        for (name, record) in ends {
            properties.extend(record.as_ref().map(|record| (name, record.words())));
        }
        let customer = self.customer.as_ref();
        properties.push((
            "customer",
            customer.map_or_else(
                || "nobody has said".to_owned(),
                |said| said_words(&said.value.customer_id, said),
            ),
        ));
        let PricingView { plan_id, named, .. } = &self.plan;
        properties.push((
            "plan",
            named.as_ref().map_or_else(
                || format!("{plan_id}, since none was named"),
                |said| said_words(plan_id, said),
            ),
        ));
        properties
    }
}

fn counted(records: i64) -> String {
    if records == 1 { "1 record".to_owned() } else { format!("{records} records") }
}

/// What was said to hold, from when, when and by whom.
fn said_words<T>(what: &str, said: &HistoryEntryView<T>) -> String {
    let from = said
        .from
        .as_ref()
        .map_or_else(|| ", always".to_owned(), |from| format!(", from {from} on"));
    let at = said.at.as_ref().map_or_else(String::new, |at| format!(" at {at}"));
    format!("{what}{from}; said by {}{at}", said.by)
}

impl UsageView {
    fn new(provenance: Provenance) -> Self {
        let Provenance { sum, voids, first, last } = provenance;
        Self {
            charged: &sum.amount - &sum.covered,
            records: sum.records + voids.records,
            recorded: &sum.amount + &voids.amount,
            amount: sum.amount,
            covered: sum.covered,
            voids: voids.records,
            voided: voids.amount,
            first: first.map(UsageRecordView::new),
            last: last.map(UsageRecordView::new),
        }
    }
}

impl UsageRecordView {
    fn new(kept: KeptRecord) -> Self {
        let record = kept.record;
        Self { id: record.id.to_string(), at: rfc3339(record.at_s), amount: record.amount }
    }

    fn words(&self) -> String {
        format!("{} at {}, id {}", self.amount, self.at, self.id)
    }
}

/// All that an entry's amount is the sum of.
fn parts(
    tx: &ReadTx<'_>,
    entry: &BillEntry,
    told: Option<&StatedProject>,
    pricing: &Pricing,
) -> store::Result<Vec<PartView>> {
    let mut parts: Vec<PartView> = entry.lines.iter().map(PartView::line).collect();
    let later = told.iter().flat_map(|told| &told.later);
    parts.extend(later.map(|(later_s, told)| PartView {
        kind: "laterBill",
        amount: -told,
        description: format!("told by the bill of {}", month(*later_s)),
        of: PartOf::LaterBill { month: month(*later_s) },
    }));
    if !entry.rest.is_zero() {
        parts.push(PartView {
            kind: "waits",
            amount: -&entry.rest,
            description: "more than there is, to be taken off by a later bill".to_owned(),
            of: PartOf::Waits {},
        });
    }
    for adjustment in &entry.adjustments {
        let before = told.iter().flat_map(|told| &told.adjustments);
        let before = before.filter(|before| before.month_s == adjustment.month_s);
        // What this month's bill told of it before is told anew.
        let before: Amount = before.map(|before| &before.amount).sum();
        parts.push(PartView::earlier(tx, entry, adjustment, &before, pricing)?);
    }
    Ok(parts)
}

impl PartView {
    fn line(line: &BillLine) -> Self {
        let charge = &line.charge;
        let tier = if let ChargeKind::Tier(number) = charge.of { Some(number) } else { None };
        let (quantity, price) = (charge.quantity.to_string(), charge.price.to_string());
        Self {
            kind: "line",
            amount: charge.amount.clone(),
            description: line.words(),
            of: PartOf::Line { quantity, price, tier },
        }
    }

    /// What is told of an earlier month.
    fn earlier(
        tx: &ReadTx<'_>,
        entry: &BillEntry,
        adjustment: &Adjustment,
        before: &Amount,
        pricing: &Pricing,
    ) -> store::Result<Self> {
        let id = &entry.usage.project_id;
        let month_s = adjustment.month_s;
        let own = balance::own(tx, month_s, |own| own == id.as_str())?.remove(id);
        let balance = balance::now(tx, pricing, month_s, Some(id))?.remove(id).unwrap_or_default();
        let told = &(&own.unwrap_or_default() + &balance.adjusted) - before;
        // Without a price there is no adjustment.
        let due = &balance.due.unwrap_or_default() + before;
        let (costs, waits) = (&told + &due, &due - &adjustment.amount);
        let name = month(adjustment.month_s);
        let mut description =
            format!("carried from {name}: it costs {costs} by now, and {told} was told");
        if !waits.is_zero() {
            description += &format!("; {} is left for a later bill", -&waits);
        }
        Ok(Self {
            kind: "earlierMonth",
            amount: adjustment.amount.clone(),
            description,
            of: PartOf::EarlierMonth {
                month: name,
                costs: costs.to_string(),
                told: told.to_string(),
                waits: waits.to_string(),
            },
        })
    }
}

impl PricingView {
    fn read(
        tx: &ReadTx<'_>,
        named: Option<&HistoryEntry<PlanId>>,
        month_s: i64,
    ) -> store::Result<Self> {
        let plan_id = named.map_or_else(PlanId::fallback, |named| named.value.clone());
        let versions = plan::versions(tx, &plan_id)?;
        let in_force = HistoryEntry::at(&versions, month_s);
        let version = |version: &HistoryEntry<Plan>| {
            let is_in_force = in_force.is_some_and(|in_force| std::ptr::eq(in_force, version));
            HistoryEntryView::new(version, |plan| PriceVersionView {
                name: plan.name.to_string(),
                unit: plan.unit.to_string(),
                price: plan.price.to_string(),
                in_force: is_in_force,
            })
        };
        Ok(Self {
            named: named.map(|said| {
                HistoryEntryView::new(said, |id| NamedPlan { plan_id: id.to_string() })
            }),
            plan_id: plan_id.to_string(),
            terms: in_force.map(|version| version.value.terms()).unwrap_or_default(),
            versions: versions.iter().map(version).collect(),
        })
    }

    fn print(&self, out: &mut ForPeople<'_>, month: &str) -> io::Result<()> {
        let Self { plan_id, terms, versions, .. } = self;
        if versions.is_empty() {
            return writeln!(out, "\nThe plan {plan_id} is not set up.");
        }
        writeln!(out, "\nVersions of the plan {plan_id}:")?;
        let mut columns =
            Columns::new(&["from", "set at", "by", "in force", "name", "unit", "price"]);
        for said in versions {
            let PriceVersionView { name, unit, price, in_force } = &said.value;
            columns.row([
                said.from.clone().unwrap_or_else(|| "always".to_owned()),
                or_dash(said.at.as_ref()),
                said.by.clone(),
                (if *in_force { month } else { "-" }).to_owned(),
                name.clone(),
                unit.clone(),
                price.clone(),
            ]);
        }
        columns.print(out)?;
        if !terms.is_empty() {
            writeln!(out, "\n{month} costs:")?;
        }
        terms.iter().try_for_each(|term| print_prose(out, "  ", term))
    }
}
