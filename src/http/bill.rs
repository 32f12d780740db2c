//! `GET /bill`: what every project's usage in a window costs.

use crate::agora::reply::{Listing, ListingKind};
use crate::billing::bill::bill;
use crate::billing::period::Period;
use crate::http::listing::{LeftOut, Listed, total_size};
use crate::store::{self, ReadTx, plan};

/// Lists the window's charges.
pub(super) fn list(tx: &ReadTx<'_>, period: Period) -> store::Result<Listed> {
    let usage = store::usage::to_price(tx, period, None)?;
    let plans = plan::book(tx)?;
    let total_size = total_size(tx, period, usage.iter().map(|usage| &usage.project_id))?;

    let bill = bill(usage, &plans);

    let mut listing = Listing::new(ListingKind::Bill, total_size);
    for entry in &bill.entries {
        listing.push(&entry.usage.project_id, &entry.amount, &entry.description);
    }
    Ok(Listed { listing, unpriced: LeftOut::new(&bill.unpriced) })
}
