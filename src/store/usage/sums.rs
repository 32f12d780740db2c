//! What a window adds up to.

use crate::billing::bill::{ProjectUsage, Terms};
use crate::billing::id::ProjectId;
use crate::billing::period::{Grain, Period, SumSource};
use crate::store::column::{self, Covered};
use crate::store::rollup::{self, UsageSum};
use crate::store::{ReadTx, Result, project};
use rusqlite::named_params;
use std::collections::BTreeMap;
use std::ops::Range;

/// What each project used in a window, of those that used anything; of one project alone where
/// given. Reads the window's cover: its cost grows with projects, never with the records behind the
/// sums.
///
/// # Errors
/// When SQLite fails.
pub fn by_project(
    tx: &ReadTx<'_>,
    period: Period,
    project_id: Option<&ProjectId>,
) -> Result<BTreeMap<ProjectId, UsageSum>> {
    let mut sums: BTreeMap<ProjectId, UsageSum> = BTreeMap::new();
    let Some(only) = ProjectScope::find(tx, project_id)? else {
        return Ok(sums);
    };
    for piece in period.cover() {
        let mut join = |_, project_id: &str, sum: UsageSum| {
            if let Some(joined) = sums.get_mut(project_id) {
                joined.join(&sum, piece.subtracted);
            } else {
                let mut joined = UsageSum::default();
                joined.join(&sum, piece.subtracted);
                sums.insert(column::parse(project_id)?, joined);
            }
            Ok(())
        };
        match piece.source {
            SumSource::Rollup(grain) => rollup::each(tx, grain, &piece.seconds, only.0, join)?,
            SumSource::Ledger => {
                each_first(tx, &piece.seconds, only.0, &mut join)?;
                rollup::each(tx, Grain::Second, &piece.seconds, only.0, join)?;
            }
        }
    }
    sums.retain(|_, sum| sum.records != 0);
    Ok(sums)
}

/// What each project used in a window, of those that used anything, by the stretches of a grain; a
/// stretch that the window holds in part is named by the second at which that part starts.
///
/// # Errors
/// When SQLite fails.
pub fn by_stretch(
    tx: &ReadTx<'_>,
    period: Period,
    grain: Grain,
    project_id: Option<&ProjectId>,
) -> Result<BTreeMap<(i64, ProjectId), UsageSum>> {
    let mut sums = BTreeMap::new();
    let Some(only) = ProjectScope::find(tx, project_id)? else {
        return Ok(sums);
    };
    let (start, whole, end) = period.cut(grain);
    for part in [start, end].into_iter().flatten() {
        let part_sums = by_project(tx, part, project_id)?;
        sums.extend(part_sums.into_iter().map(|(project, sum)| ((part.first_s(), project), sum)));
    }
    if let Some(whole) = whole {
        let starts = whole.first_s()..whole.last_s() + 1;
        rollup::each(tx, grain, &starts, only.0, |start_s, project, sum| {
            if sum.records != 0 {
                sums.insert((start_s, column::parse(project)?), sum);
            }
            Ok(())
        })?;
    }
    Ok(sums)
}

/// What each project used in a window, with the customer and the plan that price it at the window's
/// end, out of `terms`.
///
/// # Errors
/// When SQLite fails.
pub fn to_price(
    tx: &ReadTx<'_>,
    period: Period,
    project_id: Option<&ProjectId>,
    terms: &Terms,
) -> Result<Vec<ProjectUsage>> {
    let mut customers = project::customers(tx, project_id)?;
    let month_s = Grain::Month.floor(period.last_s());
    let priced = by_project(tx, period, project_id)?.into_iter().map(|(project_id, sum)| {
        let customers = customers.remove(&project_id).unwrap_or_default();
        let in_force = terms.in_force(&customers, month_s);
        ProjectUsage {
            customer_id: in_force.customer_id.cloned(),
            plan_id: in_force.plan_id.cloned(),
            amount: sum.amount,
            covered: sum.covered,
            project_id,
        }
    });
    Ok(priced.collect())
}

/// The number of the one project that is asked about; none where all are.
struct ProjectScope(Option<i64>);

impl ProjectScope {
    /// `None` where one is given and is not in the books.
    fn find(tx: &ReadTx<'_>, project_id: Option<&ProjectId>) -> Result<Option<Self>> {
        match project_id {
            None => Ok(Some(Self(None))),
            Some(id) => Ok(project::look_up(tx, id)?.map(|found| Self(Some(found.no)))),
        }
    }
}

/// Calls `each` with every entry of the ledger dated within `seconds` that is the first of its
/// project and second; of one project alone where one is given.
fn each_first(
    tx: &ReadTx<'_>,
    seconds: &Range<i64>,
    project_no: Option<i64>,
    mut each: impl FnMut(i64, &str, UsageSum) -> Result<()>,
) -> Result<()> {
    const SELECT: &str = "
        select l.at_s, p.project_id, l.amount, l.covered
        from usage_ledger l
        cross join project p on p.project_no = l.project_no
        where l.at_s >= :from
          and l.at_s < :to
          and l.in_crowd = 0
          and (:project_no is null or l.project_no = :project_no)";
    let mut select = tx.sql().prepare_cached(SELECT)?;
    let mut rows = select.query(
        named_params! { ":from": seconds.start, ":to": seconds.end, ":project_no": project_no },
    )?;
    while let Some(row) = rows.next()? {
        let project_id = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        let Covered(covered) = row.get(3)?;
        // A reversal is never the first.
        each(row.get(0)?, project_id, UsageSum { amount: row.get(2)?, covered, records: 1 })?;
    }
    Ok(())
}
