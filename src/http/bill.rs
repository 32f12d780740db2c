//! `GET /bill`: what every project's usage in a window costs.

use crate::agora::reply::Listing;
use crate::billing::bill::{Bill, ProjectUsage, bill};
use crate::billing::id::ProjectId;
use crate::billing::period::Period;
use crate::billing::statement::{Billed, ListingKind};
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
    Ok(Listed::new(listing, LeftOut::new(&bill.unpriced), made_from(&bill)))
}

/// What the charges were made from, and what was left out.
fn made_from(bill: &Bill) -> Vec<(ProjectId, Billed)> {
    let charged = bill.entries.iter().map(|entry| (&entry.usage, false));
    let uncharged = bill.uncharged.iter().map(|usage| (usage, false));
    let unpriced = bill.unpriced.iter().map(|unpriced| (&unpriced.usage, true));
    let billed = |(usage, unpriced): (&ProjectUsage, bool)| {
        let billed = Billed { usage: usage.amount.clone(), covered: usage.covered.clone(), unpriced };
        (usage.project_id.clone(), billed)
    };
    charged.chain(uncharged).chain(unpriced).map(billed).collect()
}
