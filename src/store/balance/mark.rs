//! Marks: which projects may cost something else of a month than its balances say.

use crate::billing::amount::Amount;
use crate::billing::bill::cost;
use crate::billing::id::ProjectId;
use crate::billing::period::{Grain, Period};
use crate::store::balance::lines::Balances;
use crate::store::bill::Pricing;
use crate::store::{ReadTx, Result};
use rusqlite::{OptionalExtension, named_params};
use std::collections::BTreeSet;

/// Whose cost of a month may be another than its balance says.
pub(super) enum MarkedProjects {
    Everybody,
    These(BTreeSet<ProjectId>),
}

impl MarkedProjects {
    pub fn read(tx: &ReadTx<'_>, month_s: i64) -> Result<Self> {
        const SELECT: &str = "
            select p.project_id
            from mark m
            left join project p on p.project_no = m.project_no
            where m.month_s = :month_s";
        let mut select = tx.sql().prepare_cached(SELECT)?;
        let marks = select.query_map(named_params! { ":month_s": month_s }, |row| row.get(0))?;
        let marks: Option<BTreeSet<ProjectId>> = marks.collect::<rusqlite::Result<_>>()?;
        Ok(marks.map_or(Self::Everybody, Self::These))
    }

    pub fn has(&self, project_id: &str) -> bool {
        match self {
            Self::Everybody => true,
            Self::These(projects) => projects.contains(project_id),
        }
    }
}

/// Writes what marked projects cost of a month by now into its balances: all of them, or `only`
/// one.
pub(super) fn price(
    tx: &ReadTx<'_>,
    pricing: &Pricing,
    month_s: i64,
    marked: &MarkedProjects,
    only: Option<&ProjectId>,
    balances: &mut Balances,
) -> Result<()> {
    let month = Period::around(Grain::Month, month_s);
    // Who is not among those who used something, or were enabled, costs nothing.
    let is_priced = |id: &ProjectId| marked.has(id.as_str()) && only.is_none_or(|only| only == id);
    for (_, balance) in balances.iter_mut().filter(|(id, _)| is_priced(id)) {
        balance.cost = Some(Amount::default());
    }
    // Looked up one by one where they are few.
    const FEW: usize = 50;
    let each: Vec<Option<&ProjectId>> = match marked {
        MarkedProjects::These(projects) if projects.len() <= FEW => {
            projects.iter().map(Some).collect()
        }
        MarkedProjects::These(_) | MarkedProjects::Everybody => vec![only],
    };
    for asked in each {
        let basis = pricing.basis(tx, month, asked)?;
        let is_asked = |id: &ProjectId| asked.is_none_or(|asked| asked == id) && is_priced(id);
        for project in basis.projects.into_iter().filter(|project| is_asked(&project.id)) {
            let cost = cost(&project, month, &pricing.terms).ok();
            balances.entry(project.id).or_default().cost = cost;
        }
    }
    Ok(())
}

/// The last mark that was ever written; 0 where none was.
///
/// # Errors
/// When SQLite fails.
pub fn last_mark(tx: &ReadTx<'_>) -> Result<i64> {
    const SELECT: &str = "select seq from sqlite_sequence where name = 'mark'";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    Ok(select.query_row([], |row| row.get(0)).optional()?.unwrap_or_default())
}
