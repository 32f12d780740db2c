//! Who asks: finds the key that a request was signed with. Each request is verified once.

use crate::agora::reply::Refusal;
use crate::agora::request::{Body, Query, field, quoted};
use crate::agora::signature::{self, API_KEY, Fields};
use crate::billing::key::Purpose;
use crate::http::answer::{Answer, Head, Outcome, Request};
use crate::http::books::{AcceptedKey, Books, Fresh};
use crate::http::error::Error;
use crate::http::journal::{self, Kind};
use crate::store;
use std::sync::Arc;

/// Verifies signatures.
pub(super) struct Verifier {
    books: Arc<Books>,
    /// Signs nothing. It stands in for the secret of an unknown key, so that refusing that takes
    /// the same time.
    decoy: signature::Key,
}

/// A request whose signature is right.
pub(super) struct Verified<'v> {
    pub head: &'v Head,
    /// The pair that it was signed with.
    pub pair: &'v AcceptedKey,
    /// What was known of the books as it was verified.
    pub fresh: &'v Fresh,
}

impl Verified<'_> {
    /// Whether Agora itself asks, and for more than the headers.
    pub(super) fn is_by_agora(&self) -> bool {
        self.head.method == "GET" && self.pair.purpose == Purpose::Live
    }
}

impl Verifier {
    pub(super) fn new(books: Arc<Books>) -> Self {
        let decoy = (&store::key::make(Purpose::Test, 0).api_secret).into();
        Self { books, decoy }
    }

    /// Goes on with the reading of a query's parameters that was signed with one of the keys.
    pub(super) fn query(
        self: &Arc<Self>,
        head: Head,
        query: Query,
        then: impl FnOnce(&Verified<'_>, &Fields) -> Outcome + Send + 'static,
    ) -> Outcome {
        let verifier = Arc::clone(self);
        self.books.known(move |fresh| {
            let keys = &fresh.known.keys;
            let (fields, pair) =
                verifier.check(keys, &head, query.readings(), query.signature())?;
            let outcome = then(&Verified { head: &head, pair, fresh: &fresh }, fields);
            tell(head, outcome)
        })
    }

    /// Goes on with a body that was signed with one of the keys.
    pub(super) fn body(
        self: &Arc<Self>,
        head: Head,
        body: Body,
        then: impl FnOnce(&Verified<'_>, &Body) -> Outcome + Send + 'static,
    ) -> Outcome {
        let verifier = Arc::clone(self);
        self.books.known(move |fresh| {
            let (keys, signature) = (&fresh.known.keys, body.signature());
            let readings = std::iter::once(body.fields());
            let (_, pair) = verifier.check(keys, &head, readings, signature.as_deref())?;
            let outcome = then(&Verified { head: &head, pair, fresh: &fresh }, &body);
            tell(head, outcome)
        })
    }

    /// Logs a request that is no call's, where it is signed: whoever is to be answered asks at a
    /// wrong address. Takes microseconds and does not wait: where the keys are not to be had at
    /// once, nothing is logged.
    pub(super) fn point_out(&self, request: &Request<'_>, refusal: &Refusal) {
        let (method, path) = (request.method, request.path);
        let query = Query::parse(request.query).ok().filter(|query| query.signature().is_some());
        let body = Body::parse(request.body).ok().filter(|body| body.signature().is_some());
        if query.is_none() && body.is_none() {
            return;
        }
        let Ok(fresh) = self.books.known_at_once() else { return };
        let keys = &fresh.known.keys;
        let signer = match (&query, &body) {
            (Some(query), _) => {
                self.signer(keys, method, path, query.readings(), query.signature()).err()
            }
            (None, Some(body)) => {
                let (readings, signature) = (std::iter::once(body.fields()), body.signature());
                self.signer(keys, method, path, readings, signature.as_deref()).err()
            }
            (None, None) => None,
        };
        let (status, reason) = (refusal.status(), refusal.sentence());
        match signer {
            None => journal::refused(Kind::Signed, method, path, status, &reason),
            Some((kind, why)) => {
                journal::refused(kind, method, path, status, &format!("{reason}, and {why}"));
            }
        }
    }

    fn check<'q>(
        &self,
        keys: &'q [AcceptedKey],
        head: &Head,
        readings: impl Iterator<Item = &'q Fields>,
        signature: Option<&str>,
    ) -> Result<(&'q Fields, &'q AcceptedKey), Error> {
        let signer = self.signer(keys, &head.method, &head.path, readings, signature);
        signer.map_err(|(kind, reason)| {
            journal::refused(kind, &head.method, &head.path, 401, &reason);
            Error::Told(Refusal::Signature)
        })
    }

    /// The key that a request was signed with, and the reading of its parameters that it signs; or
    /// why there is none.
    fn signer<'q>(
        &self,
        keys: &'q [AcceptedKey],
        method: &str,
        path: &str,
        readings: impl Iterator<Item = &'q Fields>,
        signature: Option<&str>,
    ) -> Result<(&'q Fields, &'q AcceptedKey), (Kind, String)> {
        let given = signature.unwrap_or_default();
        let mut signed = None;
        let mut known = None;
        let mut named = None;
        for fields in readings {
            let api_key = field(fields, API_KEY);
            let pair = keys.iter().find(|pair| Some(pair.api_key.as_str()) == api_key);
            let secret = pair.map_or(&self.decoy, |pair| &pair.secret);
            if signature::verify(secret, method, path, fields, given)
                && let Some(pair) = pair
            {
                signed = Some((fields, pair));
            }
            known = known.or(pair);
            named = named.or(api_key);
        }
        signed.ok_or_else(|| match (named, signature, known) {
            (None, _, _) => (Kind::Unsigned, "no apiKey".to_owned()),
            (Some(key), _, None) => {
                let unknown = format!("the apiKey {} is unknown or revoked", quoted(key));
                (Kind::Unsigned, unknown)
            }
            (_, None, _) => (Kind::Unsigned, "no signature".to_owned()),
            (Some(key), Some(_), Some(_)) => {
                (Kind::WrongSecret, format!("the signature is not one by {key}"))
            }
        })
    }
}

/// Logs where somebody with a right signature is refused, at once or by a job: the operator has to
/// know.
fn tell(head: Head, outcome: Outcome) -> Outcome {
    match outcome {
        Ok(Answer::Read(job)) => {
            Ok(Answer::Read(Box::new(move |until| job(until).map_err(|error| told(&head, error)))))
        }
        Ok(Answer::Write(job)) => {
            Ok(Answer::Write(Box::new(move |until| job(until).map_err(|error| told(&head, error)))))
        }
        outcome => outcome.map_err(|error| told(&head, error)),
    }
}

fn told(head: &Head, error: Error) -> Error {
    match error {
        // What has no answer now is told as that.
        Error::Refused(refusal) if refusal.status() != 503 => {
            let Head { method, path, .. } = head;
            let reason = refusal.sentence();
            journal::refused(Kind::Signed, method, path, refusal.status(), &reason);
            Error::Told(refusal)
        }
        error @ (Error::Refused(_) | Error::Told(_) | Error::Store(_)) => error,
    }
}
