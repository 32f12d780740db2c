//! `GET /bill`: what every project's usage in a window costs.

use crate::agora::reply::{Listing, ListingKind};
use crate::billing::bill::bill;
use crate::billing::period::Period;
use crate::http::listing::{LeftOut, Listed};
use crate::store::{self, ReadTx};

/// Lists the window's charges.
pub(super) fn list(tx: &ReadTx<'_>, period: Period) -> store::Result<Listed> {
    let basis = store::bill::basis(tx, period, None)?;
    let total_size = basis.projects.len();

    let bill = bill(basis);

    let mut listing = Listing::new(ListingKind::Bill, total_size);
    for entry in &bill.entries {
        listing.push(&entry.usage.project_id, &entry.amount, &entry.description);
    }
    Ok(Listed { listing, unpriced: LeftOut::new(&bill.unpriced) })
}
