//! What Agora was told of a month, as `bill` shows it.

use crate::billing::amount::Amount;
use crate::billing::id::ProjectId;
use crate::billing::period::date;
use crate::billing::setting::LatePolicy;
use crate::billing::statement::Statement;
use crate::cli::json::exact;
use crate::cli::moment::{month, rfc3339};
use crate::store::balance::{StatedMonth, StatedProject};
use serde::Serialize;
use std::collections::BTreeMap;

/// Money of a month.
#[derive(Serialize)]
pub(super) struct MonthAmount {
    pub(super) month: String,
    #[serde(serialize_with = "exact")]
    pub(super) amount: Amount,
}

impl MonthAmount {
    pub(super) fn new(month_s: i64, amount: &Amount) -> Self {
        Self { month: month(month_s), amount: amount.clone() }
    }
}

/// What a month's bill said, and when.
#[derive(Serialize)]
pub(super) struct StatedAmountView {
    /// The statement, by its number.
    statement: i64,
    at: String,
    #[serde(serialize_with = "exact")]
    pub(super) amount: Amount,
}

impl StatedAmountView {
    fn new(bill: &Statement, amount: Amount) -> Self {
        Self { statement: bill.seq, at: rfc3339(bill.first_asked_at_s), amount }
    }
}

/// What became of a month that was told: of a project, or of all that are shown.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BillingState {
    /// What bills of later months tell of this one.
    pub(super) adjusted_by: Vec<MonthAmount>,
    /// Null where no bill of the month is kept, or it does not name the project.
    pub(super) told: Option<StatedAmountView>,
    /// What the month costs and no bill tells; null where no bill of the month is kept, or without
    /// a price.
    pub(super) due: Option<String>,
}

impl BillingState {
    /// Of a project.
    pub(super) fn of(told: Option<&StatedMonth>, id: &ProjectId) -> Self {
        let Some(StatedMonth { bill, projects }) = told else {
            return Self::default();
        };
        let Some(told) = projects.get(id) else {
            return Self { due: Some(Amount::default().to_string()), ..Self::default() };
        };
        let StatedProject { amount, later, due, .. } = told;
        Self {
            adjusted_by: later
                .iter()
                .map(|(later_s, told)| MonthAmount::new(*later_s, told))
                .collect(),
            told: amount.as_ref().map(|amount| StatedAmountView::new(bill, amount.clone())),
            due: due.as_ref().map(ToString::to_string),
        }
    }

    /// Of all projects that are shown.
    pub(super) fn of_all(told: Option<&StatedMonth>) -> Self {
        let Some(StatedMonth { bill, projects }) = told else {
            return Self::default();
        };
        let amount = projects.values().filter_map(|told| told.amount.as_ref()).sum();
        let due: Amount = projects.values().filter_map(|told| told.due.as_ref()).sum();
        let mut later: BTreeMap<i64, Amount> = BTreeMap::new();
        for (later_s, amount) in projects.values().flat_map(|told| &told.later) {
            *later.entry(*later_s).or_default() += amount;
        }
        Self {
            adjusted_by: later
                .iter()
                .map(|(later_s, told)| MonthAmount::new(*later_s, told))
                .collect(),
            told: Some(StatedAmountView::new(bill, amount)),
            due: Some(due.to_string()),
        }
    }

    /// Tells whether the month is no longer what its bill told.
    pub(super) fn is_changed(&self) -> bool {
        let is_due = self.due.as_ref().is_some_and(|due| due != "0");
        is_due || !self.adjusted_by.is_empty()
    }
}

/// What was told, in a sentence: `told 117.38822 on 2026-11-01 in statement 31; 5.94068 more in
/// 2026-11`.
pub(super) fn words(
    told: &StatedMonth,
    telling: &BillingState,
    late: LatePolicy,
) -> Option<String> {
    let bill = &told.bill;
    let early = if bill.provisional { ", before the month was over," } else { "" };
    let amount = &telling.told.as_ref()?.amount;
    let on = date(bill.first_asked_at_s);
    let mut words = format!("told {amount} on {on}{early} in statement {}", bill.seq);
    for MonthAmount { month, amount } in &telling.adjusted_by {
        let adjusted = if amount.is_negative() {
            format!("; {} less in {month}", -amount)
        } else {
            format!("; {amount} more in {month}")
        };
        words += &adjusted;
    }
    words += &due_words(told, late);
    Some(words)
}

/// What is due of the projects, and what becomes of it.
fn due_words(told: &StatedMonth, late: LatePolicy) -> String {
    let dues = || told.projects.values().filter_map(|told| told.due.as_ref());
    let more: Amount = dues().filter(|due| due.is_positive()).sum();
    let less: Amount = dues().filter(|due| due.is_negative()).sum();
    let what = match (more.is_zero(), less.is_zero()) {
        (true, true) => return String::new(),
        (false, true) => format!("{more} is due"),
        (true, false) => format!("{} too much was told", -&less),
        (false, false) => format!("{more} is due, and {} too much was told", -&less),
    };
    let then = match late {
        LatePolicy::Carry => "bills of later months carry it",
        LatePolicy::Report => "Agora is told only where it asks for the month again",
    };
    format!("; {what}: {then}")
}
