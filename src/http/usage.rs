//! `GET /usage`: what every project used in a window.

use crate::agora::reply::{Listing, ListingKind};
use crate::billing::period::Period;
use crate::billing::plan::describe_usage;
use crate::http::listing::{LeftOut, Listed, total_size};
use crate::store::{self, ReadTx, plan, setting};

/// Lists the window's usage.
pub(super) fn list(tx: &ReadTx<'_>, period: Period) -> store::Result<Listed> {
    let usage = store::usage::to_price(tx, period, None)?;
    let plans = plan::book(tx)?;
    let settings = setting::read(tx)?;
    let total_size = total_size(tx, period, usage.iter().map(|usage| &usage.project_id))?;

    let mut listing = Listing::new(ListingKind::Usage, total_size);
    for usage in &usage {
        let plan = plans.applicable(usage.plan_id.as_ref()).ok();
        listing.push(&usage.project_id, &usage.amount, &describe_usage(&usage.amount, plan, settings.unit()));
    }
    Ok(Listed { listing, unpriced: LeftOut::default() })
}
