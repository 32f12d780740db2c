//! `GET /bill`: what every project's usage in a window costs.

use crate::agora::reply::Listing;
use crate::agora::request::{ListingRequest, Query};
use crate::billing::bill::{Bill, ProjectUsage, bill_carrying};
use crate::billing::carry::Carry;
use crate::billing::id::ProjectId;
use crate::billing::month_elsewhere::MonthElsewhere;
use crate::billing::period::Period;
use crate::billing::statement::{Billed, ListingKind};
use crate::http::answer::{Clock, Head, Outcome, Request};
use crate::http::listed::{LeftOut, Listed};
use crate::http::pages::{Lister, Pages};
use crate::http::verify::Verifier;
use crate::store::bill::Pricing;
use crate::store::carry::{Dues, carried};
use crate::store::{self, ReadTx};
use std::sync::Arc;

/// The endpoint.
pub(super) struct Bills {
    verifier: Arc<Verifier>,
    pages: Arc<Pages>,
    /// What is due of earlier months.
    dues: Arc<Dues>,
}

/// What a request asks for.
struct BillOf {
    period: Period,
    dues: Arc<Dues>,
}

impl Bills {
    pub(super) fn new(verifier: Arc<Verifier>, pages: Arc<Pages>) -> Self {
        Self { verifier, pages, dues: Arc::default() }
    }

    /// Answers with a page of a window's charges.
    pub(super) fn answer(&self, request: &Request<'_>, clock: Clock) -> Outcome {
        let query = Query::parse(request.query)?;
        let (pages, dues) = (Arc::clone(&self.pages), Arc::clone(&self.dues));

        self.verifier.query(Head::new(request, clock), query, move |verified, fields| {
            let asked = ListingRequest::from_fields(fields)?;
            let lister = BillOf { period: asked.period, dues };
            pages.answer(verified, ListingKind::Bill, asked, lister)
        })
    }
}

impl Lister for BillOf {
    fn parameters(&self) -> String {
        String::new()
    }

    fn list(&self, tx: &ReadTx<'_>, asked_at_s: i64) -> store::Result<Listed> {
        let pricing = Pricing::read(tx, None)?;
        let basis = pricing.basis(tx, self.period, None)?;
        let carried = carried(tx, self.period, None, asked_at_s, &pricing, &self.dues)?;
        let total_size = basis.projects.len();

        let bill = bill_carrying(basis, carried.as_ref());

        let mut listing = Listing::new(ListingKind::Bill, total_size);
        // Agora takes none that is zero.
        for entry in bill.entries.iter().filter(|entry| !entry.amount.is_zero()) {
            listing.push(&entry.usage.project_id, &entry.amount, &entry.description);
        }
        let looked = carried.as_ref().is_some_and(|carried| carried.repeated.is_none());
        let closed = carried.as_ref().is_some_and(|carried| !carried.closed.is_empty());
        let listed = Listed::new(listing, LeftOut::new(&bill.unpriced), made_from(&bill));
        Ok(Listed { carried: looked, closed, ..listed })
    }

    fn begins(&self, listed: &Listed) {
        listed.point_out();
        if let Some(month) = MonthElsewhere::of(ListingKind::Bill, self.period) {
            log::warn!(
                "the bill that was asked for is of {month}, which is no month of UTC: \
                 it does not count as a month's bill"
            );
        }
    }

    fn was_kept(&self, listed: &Listed) {
        if listed.carried {
            // What was due has been told.
            self.dues.forget();
        }
    }
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
