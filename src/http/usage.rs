//! `GET /usage`: what every project used in a window.

use crate::agora::reply::Listing;
use crate::billing::id::ProjectId;
use crate::billing::period::{Grain, Period};
use crate::billing::plan::describe_usage;
use crate::billing::statement::ListingKind;
use crate::http::listed::{LeftOut, Listed};
use crate::store::{self, ReadTx, project, setting};

/// Lists the window's usage.
pub(super) fn list(tx: &ReadTx<'_>, period: Period) -> store::Result<Listed> {
    let terms = store::bill::terms(tx)?;
    let usage = store::usage::to_price(tx, period, None, &terms)?;
    let settings = setting::read(tx)?;
    let total_size = total_size(tx, period, usage.iter().map(|usage| &usage.project_id))?;

    let mut listing = Listing::new(ListingKind::Usage, total_size);
    let month_s = Grain::Month.floor(period.last_s());
    for usage in &usage {
        let plan = terms.plans.applicable(usage.plan_id.as_ref(), month_s).ok();
        let description = describe_usage(&usage.amount, plan.map(AsRef::as_ref), settings.unit());
        listing.push(&usage.project_id, &usage.amount, &description);
    }
    Ok(Listed::new(listing, LeftOut::default(), Vec::new()))
}

/// The number of Agora projects in which the extension is added: those enabled at any moment of the window,
/// and those that have usage in it.
fn total_size<'a>(
    tx: &ReadTx<'_>,
    period: Period,
    used: impl Iterator<Item = &'a ProjectId>,
) -> store::Result<usize> {
    let enabled = project::enabled_in(tx, period)?;
    Ok(enabled.len() + used.filter(|id| !enabled.contains(*id)).count())
}
