//! What Agora was told of a month, by project: by its newest kept bill, and by those of later
//! months.

use crate::billing::adjustment::Adjustment;
use crate::billing::amount::Amount;
use crate::billing::id::ProjectId;
use crate::billing::statement::Statement;
use crate::store::balance::price::now;
use crate::store::bill::Pricing;
use crate::store::{ReadTx, Result, statement};
use std::collections::BTreeMap;

/// A month that has a kept bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatedMonth {
    /// The newest kept bill of the month.
    pub bill: Statement,
    /// Of each project that a bill speaks of or that the month costs something.
    pub projects: BTreeMap<ProjectId, StatedProject>,
}

/// What Agora was told of a project's month.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatedProject {
    /// What the month's bill says of the project, with what it adjusts; `None`: it does not name
    /// it. Zero where the bill left it out.
    pub amount: Option<Amount>,
    /// What of that is told of earlier months.
    pub adjustments: Vec<Adjustment>,
    /// What the bills of later months tell of this one, by the first second of theirs.
    pub later: BTreeMap<i64, Amount>,
    /// What the month costs by now and no bill tells, below zero where too much is told; `None`
    /// without a price.
    pub due: Option<Amount>,
}

impl StatedMonth {
    /// Reads it: of all projects, or of `only` one; `None` where no bill of the month is kept.
    ///
    /// # Errors
    /// When SQLite fails, or what is kept cannot be read.
    pub fn read(
        tx: &ReadTx<'_>,
        month_s: i64,
        only: Option<&ProjectId>,
        pricing: &Pricing,
    ) -> Result<Option<Self>> {
        let Some(bill) = statement::month_bill(tx, month_s)? else {
            return Ok(None);
        };
        let is_asked = |id: &ProjectId| only.is_none_or(|only| only == id);
        let mut projects: BTreeMap<ProjectId, StatedProject> = BTreeMap::new();
        for entry in statement::entries(tx, bill.seq)? {
            if is_asked(&entry.project_id) {
                let adjustments = entry.adjustments().to_vec();
                let amount = entry.figure.map_or_else(Amount::default, |figure| figure.amount);
                let told = projects.entry(entry.project_id).or_default();
                (told.amount, told.adjustments) = (Some(amount), adjustments);
            }
        }
        statement::each_adjustment(tx, |_, later_s, id, told| {
            if told.month_s == month_s && is_asked(id) && !told.amount.is_zero() {
                let later = &mut projects.entry(id.clone()).or_default().later;
                later.insert(later_s, told.amount.clone());
            }
        })?;
        let mut balances = now(tx, pricing, month_s, only)?;
        for id in projects.keys() {
            // Of one that the balances do not name, the month's own bill tells all.
            balances.entry(id.clone()).or_default();
        }
        for (id, balance) in balances {
            projects.entry(id).or_default().due = balance.due;
        }
        Ok(Some(Self { bill, projects }))
    }
}
