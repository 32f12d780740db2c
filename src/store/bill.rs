//! All that the bill of a window follows from, read of one state of the books.

use crate::billing::bill::{Basis, MonthUsage, Project, Terms};
use crate::billing::id::ProjectId;
use crate::billing::period::{Grain, Period};
use crate::store::{ReadTx, Result, customer, plan, project, usage};
use std::collections::BTreeMap;

/// Reads what the bill of a window follows from; of one project alone where told. Its cost grows with projects and
/// months, never with records.
///
/// # Errors
/// When SQLite fails.
pub fn basis(tx: &ReadTx<'_>, period: Period, project_id: Option<&ProjectId>) -> Result<Basis> {
    let mut projects: BTreeMap<ProjectId, Project> = BTreeMap::new();
    let mut customers = project::customers(tx, project_id)?;
    let mut fresh = |id: &ProjectId| Project {
        id: id.clone(),
        customers: customers.remove(id).unwrap_or_default(),
        usage: Vec::new(),
        enabled: Vec::new(),
    };
    // In the order of time, and so are the months of each project.
    for ((start_s, id), sum) in usage::by_stretch(tx, period, Grain::Month, project_id)? {
        let month = MonthUsage { month_s: Grain::Month.floor(start_s), amount: sum.amount, covered: sum.covered };
        match projects.get_mut(&id) {
            Some(project) => project.usage.push(month),
            None => {
                let project = Project { usage: vec![month], ..fresh(&id) };
                projects.insert(id, project);
            }
        }
    }
    for (id, enabled) in project::enabled_within(tx, period, project_id)? {
        match projects.get_mut(&id) {
            Some(project) => project.enabled.push(enabled),
            None => {
                let project = Project { enabled: vec![enabled], ..fresh(&id) };
                projects.insert(id, project);
            }
        }
    }
    Ok(Basis { period, projects: projects.into_values().collect(), terms: terms(tx)? })
}

/// Who is priced by which plan, by date.
///
/// # Errors
/// When SQLite fails.
pub fn terms(tx: &ReadTx<'_>) -> Result<Terms> {
    Ok(Terms { named: customer::plans(tx)?, plans: plan::book(tx)? })
}
