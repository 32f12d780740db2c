//! `GET /usage`: what every project used in a window.

use crate::agora::reply::Listing;
use crate::agora::request::{ListingRequest, Query};
use crate::billing::id::ProjectId;
use crate::billing::period::{Grain, Period};
use crate::billing::plan::describe_usage;
use crate::billing::statement::ListingKind;
use crate::http::answer::{Clock, Head, Outcome, Request};
use crate::http::listing::PreparedListing;
use crate::http::pages::{Lister, Pages};
use crate::http::verify::Verifier;
use crate::store::snapshot::ListingOrigin;
use crate::store::{self, ReadTx, project, setting};
use std::sync::Arc;

/// The endpoint.
pub(super) struct Usage {
    verifier: Arc<Verifier>,
    pages: Arc<Pages>,
}

/// What a request asks for.
struct UsageOf {
    period: Period,
}

impl Usage {
    pub(super) fn new(verifier: Arc<Verifier>, pages: Arc<Pages>) -> Self {
        Self { verifier, pages }
    }

    /// Answers with a page of a window's usage.
    pub(super) fn answer(&self, request: &Request<'_>, clock: Clock) -> Outcome {
        let query = Query::parse(request.query)?;
        let pages = Arc::clone(&self.pages);

        self.verifier.query(Head::new(request, clock), query, move |verified, fields| {
            let asked = ListingRequest::from_fields(fields)?;
            let lister = UsageOf { period: asked.period };
            pages.answer(verified, ListingKind::Usage, asked, lister)
        })
    }
}

impl Lister for UsageOf {
    fn parameters(&self) -> String {
        String::new()
    }

    fn list(&self, tx: &ReadTx<'_>, made_of: ListingOrigin) -> store::Result<PreparedListing> {
        let terms = store::bill::terms(tx)?;
        let usage = store::usage::to_price(tx, self.period, None, &terms)?;
        let settings = setting::read(tx)?;
        let total_size = total_size(tx, self.period, usage.iter().map(|usage| &usage.project_id))?;

        let mut listing = Listing::new(ListingKind::Usage, total_size);
        let month_s = Grain::Month.floor(self.period.last_s());
        for usage in &usage {
            let plan = terms.plans.applicable(usage.plan_id.as_ref(), month_s).ok();
            let plan = plan.map(AsRef::as_ref);
            let description = describe_usage(&usage.amount, plan, settings.unit());
            listing.push(&usage.project_id, &usage.amount, &description);
        }
        Ok(PreparedListing::of_usage(listing, self.period, ListingOrigin { total_size, ..made_of }))
    }
}

/// The number of Agora projects in which the extension is added: those enabled at any moment of the
/// window, and those that have usage in it.
fn total_size<'a>(
    tx: &ReadTx<'_>,
    period: Period,
    used: impl Iterator<Item = &'a ProjectId>,
) -> store::Result<usize> {
    let enabled = project::enabled_in(tx, period)?;
    Ok(enabled.len() + used.filter(|id| !enabled.contains(*id)).count())
}
