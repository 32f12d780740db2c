//! What a report is about: a month, and what all of its sections go by.

use crate::billing::history::History;
use crate::billing::id::{CustomerId, ProjectId};
use crate::billing::period::{self, Grain, Period};
use crate::billing::plan::Plan;
use crate::cli::moment::Month;
use crate::store::bill::Pricing;
use crate::store::{self, ReadTx, customer, project};
use std::collections::HashMap;
use std::sync::Arc;

/// The month, who is who in it, and by what it is priced.
pub(super) struct ReportMonth {
    pub(super) month: Month,
    pub(super) period: Period,
    pub(super) now_s: i64,
    pub(super) pricing: Pricing,
    owners: HashMap<ProjectId, History<CustomerId>>,
    names: HashMap<CustomerId, String>,
}

impl ReportMonth {
    pub(super) fn read(tx: &ReadTx<'_>, month: Month, now_s: i64) -> store::Result<Self> {
        // Of what is known of customers the name alone.
        let named = customer::list(tx)?.into_iter();
        let named = named.filter_map(|one| Some((one.id, one.name?.to_string())));
        Ok(Self {
            month,
            period: month.period(),
            now_s,
            pricing: Pricing::read(tx, None)?,
            owners: project::customers(tx, None)?,
            names: named.collect(),
        })
    }

    /// The first second of the month.
    pub(super) fn first_s(&self) -> i64 {
        self.period.first_s()
    }

    /// Tells whether the month's last second is past.
    pub(super) fn is_over(&self) -> bool {
        self.period.last_s() < self.now_s
    }

    /// The first seconds of its days.
    pub(super) fn days(&self) -> Vec<i64> {
        let days = std::iter::successors(Some(self.first_s()), |day| Some(Grain::Day.after(*day)));
        days.take_while(|day| *day <= self.period.last_s()).collect()
    }

    /// The same of those that have begun.
    pub(super) fn days_so_far(&self) -> Vec<i64> {
        let mut days = self.days();
        days.retain(|day| *day <= self.now_s);
        days
    }

    /// The month in words, as `October 2026`.
    pub(super) fn words(&self) -> String {
        period::date(self.first_s()).strftime("%B %Y").to_string()
    }

    /// Whom the month of a project is billed to.
    pub(super) fn owner(&self, project_id: &ProjectId) -> Option<&CustomerId> {
        self.owners.get(project_id).and_then(|owners| owners.at(self.first_s()))
    }

    /// The plan that prices the month of a project, where it is set up.
    pub(super) fn plan(&self, project_id: &ProjectId) -> Option<Arc<Plan>> {
        let nobody = History::default();
        let owners = self.owners.get(project_id).unwrap_or(&nobody);
        self.pricing.terms.in_force(owners, self.first_s()).plan.ok().map(Arc::clone)
    }

    /// A customer's id with the name, where there is one.
    pub(super) fn customer(&self, id: Option<&CustomerId>) -> String {
        match id.map(|id| (id, self.names.get(id))) {
            Some((id, Some(name))) => format!("{id} {name}"),
            Some((id, None)) => id.to_string(),
            None => "no customer".to_owned(),
        }
    }
}
