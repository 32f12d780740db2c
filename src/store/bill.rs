//! Usage and prices of a window, of which its bill is made, read of one state of the books.

use crate::billing::bill::{Basis, BilledProject, MonthUsage, Terms};
use crate::billing::history::History;
use crate::billing::id::{CustomerId, PlanId, ProjectId};
use crate::billing::period::{Grain, LAST_SECOND, Period};
use crate::store::{ReadTx, Result, customer, plan, project, usage};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// By what projects are priced in whatever window: all that a bill follows from but usage.
pub struct Pricing {
    /// Who is priced by which plan.
    pub terms: Arc<Terms>,
    /// Whose each project was and is to be, of those that have customers.
    pub(super) customers: HashMap<ProjectId, Arc<History<CustomerId>>>,
    /// When each was enabled, in the order of time.
    pub(super) enabled: BTreeMap<ProjectId, Vec<Period>>,
}

impl Pricing {
    /// Reads it; of one project alone where one is given.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn read(tx: &ReadTx<'_>, project_id: Option<&ProjectId>) -> Result<Self> {
        let all_time = Period::new(0, LAST_SECOND).expect("all time is a window");
        let customers = project::customers(tx, project_id)?;
        let mut enabled: BTreeMap<ProjectId, Vec<Period>> = BTreeMap::new();
        for (id, stretch) in project::enabled_within(tx, all_time, project_id)? {
            enabled.entry(id).or_default().push(stretch);
        }
        Ok(Self {
            terms: Arc::new(terms(tx)?),
            customers: customers.into_iter().map(|(id, history)| (id, Arc::new(history))).collect(),
            enabled,
        })
    }

    /// Whose a project is at a second, where anybody has said.
    pub fn customer_of(&self, id: &ProjectId, second: i64) -> Option<&CustomerId> {
        self.customers.get(id)?.at(second)
    }

    /// The plan that would price a project at a second, where it has no price then.
    pub fn plan_missing(&self, id: &ProjectId, second: i64) -> Option<PlanId> {
        let nobodys = History::default();
        let customers = self.customers.get(id).map_or(&nobodys, |customers| customers);
        self.terms.in_force(customers, second).plan.err()
    }

    /// A project with what it used in a window.
    pub(super) fn project(
        &self,
        id: &ProjectId,
        usage: Vec<MonthUsage>,
        period: Period,
    ) -> BilledProject {
        let within = |stretch: &Period| {
            Period::new(
                stretch.first_s().max(period.first_s()),
                stretch.last_s().min(period.last_s()),
            )
        };
        BilledProject {
            id: id.clone(),
            customers: self.customers.get(id).map(Arc::clone).unwrap_or_default(),
            usage,
            enabled: self.enabled.get(id).into_iter().flatten().filter_map(within).collect(),
        }
    }

    /// What the bill of a window follows from; of one project alone where one is given. Its cost
    /// grows with projects and months, never with records.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn basis(
        &self,
        tx: &ReadTx<'_>,
        period: Period,
        project_id: Option<&ProjectId>,
    ) -> Result<Basis> {
        // Those that were enabled, and those that used something.
        let mut usage: BTreeMap<&ProjectId, Vec<MonthUsage>> = BTreeMap::new();
        let touches = |stretch: &Period| {
            stretch.first_s() <= period.last_s() && stretch.last_s() >= period.first_s()
        };
        let among = match project_id {
            Some(id) => self.enabled.range::<ProjectId, _>(id..=id),
            None => self.enabled.range::<ProjectId, _>(..),
        };
        for (id, stretches) in among {
            if stretches.iter().any(touches) {
                usage.insert(id, Vec::new());
            }
        }
        let used = usage::by_stretch(tx, period, Grain::Month, project_id)?;
        // In the order of time, and so are the months of each project.
        for ((start_s, id), sum) in &used {
            let month_s = Grain::Month.floor(*start_s);
            let month =
                MonthUsage { month_s, amount: sum.amount.clone(), covered: sum.covered.clone() };
            usage.entry(id).or_default().push(month);
        }
        let projects =
            usage.into_iter().map(|(id, usage)| self.project(id, usage, period)).collect();
        Ok(Basis { period, projects, terms: Arc::clone(&self.terms) })
    }
}

/// The months, of those whose first seconds these are, in which a plan prices any project, or would
/// if it was set up.
///
/// # Errors
/// When SQLite fails.
pub fn months_priced_by(tx: &ReadTx<'_>, plan_id: &PlanId, months: &[i64]) -> Result<Vec<i64>> {
    if months.is_empty() {
        return Ok(Vec::new());
    }
    let pricing = Pricing::read(tx, None)?;
    let mut priced = Vec::new();
    for month_s in months {
        let basis = pricing.basis(tx, Period::around(Grain::Month, *month_s), None)?;
        let is_priced = |project: &BilledProject| {
            let plan = pricing.terms.in_force(&project.customers, *month_s).plan;
            plan.map_or_else(|missing| missing == *plan_id, |plan| plan.id == *plan_id)
        };
        if basis.projects.iter().any(is_priced) {
            priced.push(*month_s);
        }
    }
    Ok(priced)
}

/// Who is priced by which plan, by date.
///
/// # Errors
/// When SQLite fails.
pub fn terms(tx: &ReadTx<'_>) -> Result<Terms> {
    Ok(Terms { named: customer::plans(tx)?, plans: plan::book(tx)? })
}
