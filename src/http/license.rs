//! `GET /customers/{customerId}/license`: until when a customer's license is good, and what remains
//! of it.

use crate::agora::reply::{self, Envelope, Refusal};
use crate::agora::request::Query;
use crate::billing::license::fold;
use crate::http::answer::{Answer, Clock, Head, Outcome, Request};
use crate::http::books::Books;
use crate::http::route::Route;
use crate::http::verify::Verifier;
use crate::store::license;
use std::sync::Arc;

/// The endpoint.
pub(super) struct Licenses {
    books: Arc<Books>,
    verifier: Arc<Verifier>,
    envelope: Envelope,
}

impl Licenses {
    pub(super) fn new(books: Arc<Books>, verifier: Arc<Verifier>, envelope: Envelope) -> Self {
        Self { books, verifier, envelope }
    }

    /// Answers out of a customer's licenses.
    pub(super) fn answer(&self, request: &Request<'_>, route: &Route<'_>, clock: Clock) -> Outcome {
        let (query, ids) = (Query::parse(request.query)?, route.ids()?);
        let (books, envelope) = (Arc::clone(&self.books), self.envelope);

        self.verifier.query(Head::new(request, clock), query, move |verified, _| {
            let customer_id = ids.customer_id()?;
            let known = Arc::clone(&verified.fresh.known);

            books.read_a_little(
                move |tx| license::of(tx, &customer_id),
                move |licenses| {
                    let standing = fold(&licenses, clock()).ok_or(Refusal::NoLicense)?;
                    let residue_count = standing.residue_count(&known.state.settings);
                    let reply = reply::license(&standing.expire_date(), &residue_count, envelope);
                    Ok(Answer::Done(reply))
                },
            )
        })
    }
}
