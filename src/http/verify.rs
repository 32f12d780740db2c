//! Who asks: finds the key that a request was signed with. Each request is verified once.

use crate::agora::reply::Refusal;
use crate::agora::request::{Body, Query, field, quoted};
use crate::agora::signature::{self, API_KEY, Fields};
use crate::billing::key::Purpose;
use crate::http::answer::{Head, Outcome};
use crate::http::books::{AcceptedKey, Books, Fresh};
use crate::http::error::Error;
use crate::http::refusal_log::{Kind, RefusalLog, cut};
use crate::store;
use std::sync::Arc;

/// Verifies signatures.
pub(super) struct Verifier {
    books: Arc<Books>,
    /// Signs nothing. It stands in for the secret of an unknown key, so that refusing that takes
    /// the same time.
    decoy: signature::Key,
    refusals: Arc<RefusalLog>,
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
    pub(super) fn new(books: Arc<Books>, refusals: Arc<RefusalLog>) -> Self {
        let decoy = (&store::key::make(Purpose::Test, 0).api_secret).into();
        Self { books, decoy, refusals }
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
            verifier.tell(&head, outcome)
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
            verifier.tell(&head, outcome)
        })
    }

    /// Logs where somebody with a right signature is refused: the operator has to know.
    fn tell(&self, head: &Head, outcome: Outcome) -> Outcome {
        outcome.inspect_err(|error| {
            if let Error::Refused(refusal) = error {
                self.refusals.tell(Kind::Signed, || {
                    let reason = refusal.sentence();
                    format!("refused {} {}: {reason}", head.method, cut(&head.path))
                });
            }
        })
    }

    fn check<'q>(
        &self,
        keys: &'q [AcceptedKey],
        head: &Head,
        readings: impl Iterator<Item = &'q Fields>,
        signature: Option<&str>,
    ) -> Result<(&'q Fields, &'q AcceptedKey), Refusal> {
        let given = signature.unwrap_or_default();
        let mut signed = None;
        let mut known = None;
        let mut named = None;
        for fields in readings {
            let api_key = field(fields, API_KEY);
            let pair = keys.iter().find(|pair| Some(pair.api_key.as_str()) == api_key);
            let secret = pair.map_or(&self.decoy, |pair| &pair.secret);
            if signature::verify(secret, &head.method, &head.path, fields, given)
                && let Some(pair) = pair
            {
                signed = Some((fields, pair));
            }
            known = known.or(pair);
            named = named.or(api_key);
        }
        signed.ok_or_else(|| {
            let reason = match (named, signature, known) {
                (None, _, _) => "no apiKey".to_owned(),
                (Some(key), _, None) => format!("the apiKey {} is unknown or revoked", quoted(key)),
                (_, None, _) => "no signature".to_owned(),
                (Some(key), Some(_), Some(_)) => format!("the signature is not one by {key}"),
            };
            self.refusals.tell(Kind::Signature, || {
                format!("refused {} {}: {reason}", head.method, cut(&head.path))
            });
            Refusal::Signature
        })
    }
}
