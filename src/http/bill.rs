//! `GET /bill`: what every project's usage in a window costs, and what a month's bill tells of
//! earlier months.

use crate::agora::request::{ListingRequest, Query};
use crate::billing::adjustment::month_of;
use crate::billing::bill::{Bill, ProjectUsage, UnpricedProject, bill_adjusted};
use crate::billing::month_elsewhere::MonthElsewhere;
use crate::billing::period::{Grain, Period};
use crate::billing::statement::{Figure, ListingKind, Origin, StatementEntry};
use crate::http::answer::{Clock, Head, Outcome, Request};
use crate::http::listing::{LeftOut, PreparedListing};
use crate::http::pages::{Lister, Pages};
use crate::http::verify::Verifier;
use crate::store::balance;
use crate::store::bill::Pricing;
use crate::store::snapshot::ListingOrigin;
use crate::store::{self, ReadTx};
use std::sync::Arc;

/// The endpoint.
pub(super) struct Bills {
    verifier: Arc<Verifier>,
    pages: Arc<Pages>,
}

/// What a request asks for.
struct BillOf {
    period: Period,
}

impl Bills {
    pub(super) fn new(verifier: Arc<Verifier>, pages: Arc<Pages>) -> Self {
        Self { verifier, pages }
    }

    /// Answers with a page of a window's charges.
    pub(super) fn answer(&self, request: &Request<'_>, clock: Clock) -> Outcome {
        let query = Query::parse(request.query)?;
        let pages = Arc::clone(&self.pages);

        self.verifier.query(Head::new(request, clock), query, move |verified, fields| {
            let mut asked = ListingRequest::from_fields(fields)?;
            // One that leaves out at most the first and the last second of a month is the month's.
            if let Some(month_s) = month_of(asked.period) {
                asked.period = Period::around(Grain::Month, month_s);
            }
            let lister = BillOf { period: asked.period };
            pages.answer(verified, ListingKind::Bill, asked, lister)
        })
    }
}

impl Lister for BillOf {
    fn parameters(&self) -> String {
        String::new()
    }

    fn list(&self, tx: &ReadTx<'_>, made_of: ListingOrigin) -> store::Result<PreparedListing> {
        let pricing = Pricing::read(tx, None)?;
        let basis = pricing.basis(tx, self.period, None)?;
        let standings = balance::dues(tx, self.period, None, &pricing)?;
        let made_of = ListingOrigin { total_size: basis.projects.len(), ..made_of };

        let bill = bill_adjusted(basis, standings);

        let left_out = LeftOut::new(&bill.unpriced);
        PreparedListing::of_bill(&entries(bill), left_out, self.period, made_of)
    }

    fn begins(&self, listed: &PreparedListing) {
        listed.point_out();
        if let Some(month) = MonthElsewhere::of(ListingKind::Bill, self.period) {
            log::warn!(
                "the bill that was asked for is of {month}, which is no month of UTC: \
                 it does not count as a month's bill"
            );
        }
    }
}

/// What is kept of a bill, in the order of project ids.
fn entries(bill: Bill) -> Vec<StatementEntry> {
    let origin = |usage: &ProjectUsage| Origin {
        usage: usage.amount.clone(),
        covered: usage.covered.clone(),
        ..Origin::default()
    };
    let charged = bill.entries.into_iter().chain(bill.uncharged).map(|entry| {
        let (rest, adjustments) = (entry.rest, entry.adjustments);
        let origin = Origin { rest, adjustments, ..origin(&entry.usage) };
        // Agora takes none that is zero.
        let figure = (!entry.amount.is_zero())
            .then_some(Figure { amount: entry.amount, description: entry.description });
        StatementEntry { project_id: entry.usage.project_id, figure, origin: Some(origin) }
    });
    let unpriced = bill.unpriced.into_iter().map(|UnpricedProject { usage, .. }| {
        let origin = Origin { unpriced: true, ..origin(&usage) };
        StatementEntry { project_id: usage.project_id, figure: None, origin: Some(origin) }
    });
    let mut entries: Vec<StatementEntry> = charged.chain(unpriced).collect();
    entries.sort_unstable_by(|a, b| a.project_id.cmp(&b.project_id));
    entries
}
