//! The server's answers, as a function from request to reply. No sockets in here: those are [`server`]'s.

mod bill;
mod intake;
mod license;
mod listing;
mod route;
pub mod server;
mod usage;

use crate::agora::reply::{self, Envelope, Form, ListingKind, Refusal, Reply};
use crate::agora::request::{ListingRequest, Query, field, quoted};
use crate::agora::signature::{self, API_KEY, Fields};
use crate::billing::key::{KeyPair, Purpose};
use crate::store::{self, ReadTx, Readers, Version};
use listing::Listings;
use route::{Call, Route};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

pub use route::BasePath;

/// What is only about this process's answers, never about figures.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Which of Agora's two printed forms usage, bill and license answers have.
    pub envelope: Envelope,
    /// The path that the server is mounted under.
    pub base_path: BasePath,
}

/// A request as it was sent, as far as answers depend on it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a str,
    /// What stands between host and `?`, untouched.
    pub path: &'a str,
    /// What stands behind `?`, untouched; empty where there is none.
    pub query: &'a str,
}

/// Answers requests out of the books.
pub struct Service {
    readers: Readers,
    options: Options,
    /// Signs nothing: stands in for the secret of an unknown key, so that refusing it takes the same time.
    decoy: KeyPair,
    known: Mutex<Option<Arc<Known>>>,
}

/// What was read of the books since their last change.
struct Known {
    version: Version,
    keys: Vec<KeyPair>,
    listings: Listings,
}

/// How long there is to read the books.
#[derive(Clone, Copy)]
enum Patience {
    Until(Instant),
    None,
}

/// Why there is no answer as asked.
enum Failure {
    Refused(Refusal),
    Store(store::Error),
    /// The books have to be read, and there was no time to.
    WouldRead,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl Service {
    /// A service that answers out of `readers`.
    pub fn new(readers: Readers, options: Options) -> Self {
        Self { readers, options, decoy: store::key::make(Purpose::Test, 0), known: Mutex::new(None) }
    }

    /// Answers a request with the state of the books at or after its arrival. `now_s` is the clock; what
    /// cannot be read by `deadline` is refused as busy.
    pub fn answer(&self, request: &Request<'_>, now_s: i64, deadline: Instant) -> Reply {
        let answered = self.try_answer(request, now_s, Patience::Until(deadline));
        answered.expect("there is an answer wherever there is time to read")
    }

    /// The same, where the answer can be given without reading the books: out of what was read since their last
    /// change, or because the request is refused. Takes microseconds, and does not wait.
    pub fn answer_at_once(&self, request: &Request<'_>, now_s: i64) -> Option<Reply> {
        self.try_answer(request, now_s, Patience::None)
    }

    fn try_answer(&self, request: &Request<'_>, now_s: i64, patience: Patience) -> Option<Reply> {
        let route = match self.options.base_path.find(request.method, request.path) {
            Ok(route) => route,
            Err(unrouted) => return Some(unrouted.reply()),
        };
        let refusal = match self.call(&route, request, now_s, patience) {
            Ok(reply) => return Some(reply),
            Err(Failure::WouldRead) => return None,
            Err(Failure::Refused(refusal)) => refusal,
            Err(Failure::Store(error)) => refusal_for(&error, request.path),
        };
        Some(refusal.reply(route.form()))
    }

    fn call(&self, route: &Route<'_>, request: &Request<'_>, now_s: i64, patience: Patience) -> Result<Reply, Failure> {
        let envelope = self.options.envelope;
        match route.call {
            Call::Health => {
                self.version(patience)?;
                Ok(reply::success())
            }
            Call::Listing(kind) => {
                let query = Query::parse(request.query).map_err(Refusal::from)?;
                let known = self.known(patience)?;
                let fields = self.check_signature(&known.keys, request, &query)?;
                let asked = ListingRequest::from_fields(fields).map_err(Refusal::from)?;
                let listed = known.listings.get_or_list((kind, asked.period), || {
                    self.read(patience, |tx| match kind {
                        ListingKind::Usage => usage::list(tx, asked.period),
                        ListingKind::Bill => bill::list(tx, asked.period),
                    })
                })?;
                if asked.page.page_num == 1 {
                    listed.point_out();
                }
                Ok(listed.listing.page(asked.page, envelope))
            }
            Call::License => {
                let query = Query::parse(request.query).map_err(Refusal::from)?;
                let customer_id = route.customer_id().map_err(Refusal::from)?;
                let known = self.known(patience)?;
                self.check_signature(&known.keys, request, &query)?;
                let customer_id = license::parse(&customer_id)?;
                let held = self.read(patience, |tx| license::read(tx, &customer_id))?;
                license::answer(&held, now_s, envelope)
            }
        }
    }

    /// Reads one state of the books, if there is time to.
    fn read<T>(&self, patience: Patience, f: impl FnOnce(&ReadTx<'_>) -> store::Result<T>) -> Result<T, Failure> {
        match patience {
            Patience::Until(deadline) => Ok(self.readers.read(deadline, f)?),
            Patience::None => Err(Failure::WouldRead),
        }
    }

    /// The state of the books now.
    fn version(&self, patience: Patience) -> Result<Version, Failure> {
        match patience {
            Patience::Until(_) => Ok(self.readers.version()?),
            Patience::None => match self.readers.version_at_once() {
                Err(store::Error::Busy) => Err(Failure::WouldRead),
                version => Ok(version?),
            },
        }
    }

    /// What is known of the books as they are now; read anew when anybody has committed since.
    fn known(&self, patience: Patience) -> Result<Arc<Known>, Failure> {
        // Asked before anything is read: what is read later can only be newer than this version says.
        let version = self.version(patience)?;
        let held = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = held.filter(|known| known.version == version) {
            return Ok(known);
        }
        let keys = self.read(patience, store::key::accepted)?;
        let known = Arc::new(Known { version, keys, listings: Listings::default() });
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&known));
        Ok(known)
    }

    /// Finds the reading of the parameters that was signed with one of the keys.
    fn check_signature<'q>(
        &self,
        keys: &[KeyPair],
        request: &Request<'_>,
        query: &'q Query,
    ) -> Result<&'q Fields, Refusal> {
        let given = query.signature().unwrap_or_default();
        let mut signed = None;
        let mut known = None;
        for fields in query.readings() {
            let api_key = field(fields, API_KEY).unwrap_or_default();
            let pair = keys.iter().find(|pair| pair.api_key.as_str() == api_key);
            let secret = &pair.unwrap_or(&self.decoy).api_secret;
            if signature::verify(secret, request.method, request.path, fields, given) && pair.is_some() {
                signed = Some(fields);
            }
            known = known.or(pair);
        }
        match signed {
            Some(fields) => Ok(fields),
            None => {
                let reason = match (query.api_key(), query.signature(), known) {
                    (None, _, _) => "no apiKey".to_owned(),
                    (Some(key), _, None) => format!("the apiKey {} is unknown or revoked", quoted(key)),
                    (_, None, _) => "no signature".to_owned(),
                    (Some(key), Some(_), Some(_)) => format!("the signature is not one by {key}"),
                };
                log::warn!("refused {} {}: {reason}", request.method, request.path);
                Err(Refusal::Signature)
            }
        }
    }
}

/// What the caller is told of a failed read, and the log in more words.
fn refusal_for(error: &store::Error, path: &str) -> Refusal {
    if error.is_passing() {
        log::warn!("no answer in time for {path}: {error}");
        return Refusal::Busy;
    }
    fault(path, error)
}

/// Logs a fault of ours under a new reference, which is all that the caller is told.
fn fault(path: &str, cause: &dyn std::fmt::Display) -> Refusal {
    let reference = uuid::Uuid::now_v7().simple().to_string();
    log::error!("{reference}: {path} failed: {cause}");
    Refusal::Fault { reference }
}

/// Logs a panic of ours in the same way.
fn panicked(form: Form, path: &str) -> Reply {
    fault(path, &"the handler panicked; the lines above tell where").reply(form)
}
