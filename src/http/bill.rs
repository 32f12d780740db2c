//! `GET /bill`: what every project's usage in a window costs.

use crate::agora::reply::Listing;
use crate::billing::bill::{Bill, Carried, ProjectUsage, bill_carrying};
use crate::billing::carry::Carry;
use crate::billing::id::ProjectId;
use crate::billing::period::Period;
use crate::billing::statement::{Billed, ListingKind};
use crate::http::listed::{LeftOut, Listed};
use crate::store::bill::Pricing;
use crate::store::carry::{Dues, carried};
use crate::store::{self, ReadTx};

/// Lists the window's charges, as they are asked for at `asked_at_s` (Unix seconds); what is due of earlier months is
/// looked up in `dues` first.
pub(super) fn list(
    tx: &ReadTx<'_>,
    period: Period,
    asked_at_s: i64,
    dues: &Dues,
) -> store::Result<Listed> {
    let pricing = Pricing::read(tx, None)?;
    let basis = pricing.basis(tx, period, None)?;
    let carried = carried(tx, period, None, asked_at_s, &pricing, dues)?;
    let total_size = basis.projects.len();

    let bill = bill_carrying(basis, carried.as_ref());

    let mut listing = Listing::new(ListingKind::Bill, total_size);
    // Agora takes none that is zero.
    for entry in bill.entries.iter().filter(|entry| !entry.amount.is_zero()) {
        listing.push(&entry.usage.project_id, &entry.amount, &entry.description);
    }
    let is_so = |tell: fn(&Carried) -> bool| carried.as_ref().is_some_and(tell);
    let (looked, closed) =
        (is_so(|carried| carried.repeated.is_none()), is_so(|carried| !carried.closed.is_empty()));
    let listed = Listed::new(listing, LeftOut::new(&bill.unpriced), made_from(&bill));
    Ok(Listed { carried: looked, closed, ..listed })
}

/// What the charges were made from, and what was left out, in the order of project ids.
fn made_from(bill: &Bill) -> Vec<(ProjectId, Billed)> {
    let charged = bill.entries.iter().map(|entry| (&entry.usage, &entry.carries[..], false));
    let uncharged = bill.uncharged.iter().map(|entry| (&entry.usage, &[][..], false));
    let unpriced =
        bill.unpriced.iter().map(|unpriced| (&unpriced.usage, &unpriced.carries[..], true));
    let billed = |(usage, carries, unpriced): (&ProjectUsage, &[Carry], bool)| {
        let (amount, covered) = (usage.amount.clone(), usage.covered.clone());
        let billed = Billed { usage: amount, covered, unpriced, carries: carries.to_vec() };
        (usage.project_id.clone(), billed)
    };
    let mut all: Vec<_> = charged.chain(uncharged).chain(unpriced).map(billed).collect();
    all.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    all
}
