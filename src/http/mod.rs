//! The server's answers, as a function from request to reply. No sockets in here: those are [`server`]'s.

mod bill;
mod door;
mod error;
mod intake;
mod license;
mod listed;
mod listing;
mod provisioning;
mod refusal_log;
mod route;
pub mod server;
mod statement;
pub mod tls;
mod usage;

use crate::agora::provisioning::path_id;
use crate::agora::reply::{self, Envelope, Refusal, Reply};
use crate::agora::request::{Body, ListingRequest, Query, field, quoted};
use crate::agora::signature::{self, API_KEY, Fields};
use crate::billing::event::{Actor, Stamp};
use crate::billing::id::ApiKey;
use crate::billing::key::{ApiSecret, KeyPair, Purpose};
use crate::billing::month_elsewhere::MonthElsewhere;
use crate::billing::statement::{ListingKind, is_provisional};
use crate::store::carry::Dues;
use crate::store::newest::Newest;
use crate::store::snapshot::{self, SnapshotKey};
use crate::store::statement::Outdone;
use crate::store::{self, ReadTx, Readers, Version, WriteTx, Writer};
use error::{Error, refusal_for};
use listing::{Listings, Sequence, Sequences, State};
use provisioning::{Absences, Asked};
use refusal_log::{Kind, RefusalLog, cut};
use route::{Call, Route};
use statement::{Keeper, Need, Worker};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use route::BasePath;

/// How long a bill's last page waits for the lock, under which it is kept before it goes out.
const KEEP_WITHIN: Duration = Duration::from_millis(150);
/// How soon a bill's page has to be made for it to see to what its last page keeps.
const READY_WITHIN: Duration = Duration::from_millis(150);
/// How long a later page waits for the snapshot of page 1, which another server may be about to
/// leave on the disk; and how often it looks.
const SNAPSHOT_WITHIN: Duration = Duration::from_millis(200);
const SNAPSHOT_POLL: Duration = Duration::from_millis(4);

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
    /// The body; empty where there is none, or the call has none.
    pub body: &'a [u8],
    /// When all of it had arrived: the answer says the books as they were then, or later.
    pub arrived: Instant,
}

/// Tells the time, in Unix seconds: asked when it matters, which for a change is once the lock is had.
pub type Clock = fn() -> i64;

/// Answers requests out of the books, and changes them where that is asked for.
pub struct Service {
    readers: Readers,
    writer: Arc<Writer>,
    options: Options,
    /// Signs nothing: stands in for the secret of an unknown key, so that refusing it takes the same time.
    decoy: signature::Key,
    known: Mutex<Option<Arc<Known>>>,
    listings: Listings,
    sequences: Sequences,
    /// Which sequences are the newest, of all servers; `None` where the file for that cannot be
    /// had: then later pages come from what this server holds in memory alone.
    newest: Option<Arc<Newest>>,
    /// What is due of earlier months.
    dues: Dues,
    keeper: Keeper,
    refusals: RefusalLog,
    absences: Absences,
}

/// What was read of the books since their last change.
struct Known {
    version: Version,
    keys: Vec<AcceptedKey>,
    state: State,
}

/// A key pair whose signatures are accepted.
struct AcceptedKey {
    api_key: ApiKey,
    purpose: Purpose,
    /// What a test pair's answers are derived from.
    api_secret: ApiSecret,
    /// The same, made ready to verify with.
    secret: signature::Key,
}

impl From<KeyPair> for AcceptedKey {
    fn from(pair: KeyPair) -> Self {
        let KeyPair { api_key, api_secret, purpose, .. } = pair;
        Self { secret: (&api_secret).into(), api_key, purpose, api_secret }
    }
}

/// What an answer may take.
#[derive(Clone, Copy)]
enum Patience {
    /// Nothing of the books but what is known already.
    None,
    /// Reads of the books until then.
    Reading(Instant),
    /// The same, and to ask for the lock and write.
    Writing { read_until: Instant, lock_until: Instant },
}

impl Service {
    /// A service that answers out of `readers` and changes the books by `writer`.
    pub fn new(readers: Readers, writer: Writer, options: Options) -> Self {
        let decoy = (&store::key::make(Purpose::Test, 0).api_secret).into();
        let writer = Arc::new(writer);
        let newest = Newest::open(readers.path()).inspect_err(|error| {
            log::error!("later pages end with this process: {error}");
        });
        let newest = newest.ok().map(Arc::new);
        let keeper = Keeper::start(Worker { writer: Arc::clone(&writer), newest: newest.clone() });
        let (known, listings) = (Mutex::default(), Listings::default());
        let (sequences, dues) = (Sequences::default(), Dues::default());
        Self {
            readers,
            writer,
            options,
            decoy,
            known,
            listings,
            sequences,
            newest,
            dues,
            keeper,
            refusals: RefusalLog::default(),
            absences: Absences::default(),
        }
    }

    /// Writes down what has been told and is not kept yet; takes a second at most. Nothing may be asked for afterwards.
    pub fn finish(&self) {
        self.keeper.finish();
    }

    /// Answers a request with the state of the books at or after its arrival, where that needs no read: out of
    /// what was read since their last change, or because the request is refused. Takes microseconds, and
    /// does not wait. `clock` tells Unix seconds.
    pub fn answer_at_once(&self, request: &Request<'_>, clock: Clock) -> Option<Reply> {
        self.try_answer(request, clock, Patience::None)
    }

    /// The same, where the answer can be given without changing the books. What cannot be read by `deadline` is
    /// refused as busy.
    pub fn answer_by_reading(
        &self,
        request: &Request<'_>,
        clock: Clock,
        deadline: Instant,
    ) -> Option<Reply> {
        self.try_answer(request, clock, Patience::Reading(deadline))
    }

    /// The same in all cases. Where the lock is not to be had by `lock_until`, it is refused as busy, and nothing
    /// is changed; once it is had, the change is seen through.
    pub fn answer_by_writing(
        &self,
        request: &Request<'_>,
        clock: Clock,
        read_until: Instant,
        lock_until: Instant,
    ) -> Reply {
        let answered =
            self.try_answer(request, clock, Patience::Writing { read_until, lock_until });
        answered.expect("there is an answer wherever the books may be read and written")
    }

    fn try_answer(&self, request: &Request<'_>, clock: Clock, patience: Patience) -> Option<Reply> {
        let route = match self.options.base_path.find(request.method, request.path) {
            Ok(route) => route,
            Err(unrouted) => return Some(unrouted.reply()),
        };
        let refusal = match self.call(&route, request, clock, patience) {
            Ok(reply) => return Some(reply),
            Err(Error::Impatient) => return None,
            Err(Error::Refused(refusal)) => refusal,
            Err(Error::Store(error)) => refusal_for(&error, request.path),
        };
        Some(refusal.reply(route.form()))
    }

    fn call(
        &self,
        route: &Route<'_>,
        request: &Request<'_>,
        clock: Clock,
        patience: Patience,
    ) -> Result<Reply, Error> {
        let envelope = self.options.envelope;
        match route.call {
            Call::Health => {
                self.version(patience)?;
                Ok(reply::success())
            }
            Call::Listing(kind) => self.page(kind, request, clock, patience),
            Call::License => {
                let query = Query::parse(request.query)?;
                let customer_id = route.customer_id()?;
                let known = self.known(patience)?;
                self.check_query(&known.keys, request, &query)?;
                let customer_id = path_id(&customer_id, "customerId")?;
                let licenses =
                    self.read_a_little(patience, |tx| store::license::of(tx, &customer_id))?;
                Ok(license::answer(&licenses, &known.state.settings, clock(), envelope)?)
            }
            Call::Provisioning(call) => {
                let body = Body::parse(request.body)?;
                route.check_ids()?;
                let known = self.known(patience)?;
                let pair = self.check_body(&known.keys, request, &body)?;
                let asked = Asked::read(call, route, &body)?;
                let done = match pair.purpose {
                    Purpose::Test => {
                        let stamp = Stamp { at_s: clock(), actor: Actor::Test };
                        self.read(patience, |tx| asked.rehearse(tx, &stamp, &pair.api_secret))
                    }
                    Purpose::Live => self.provision(&asked, clock, patience),
                };
                // Somebody was told no, with a signature that is right: the operator has to know.
                done.inspect_err(|failure| {
                    if let Error::Refused(refusal) = failure {
                        log::warn!(
                            "refused {} {}: {}",
                            request.method,
                            request.path,
                            refusal.sentence()
                        );
                    }
                })
            }
        }
    }

    /// Does what Agora asks for, unless it is so already.
    fn provision(&self, asked: &Asked, clock: Clock, patience: Patience) -> Result<Reply, Error> {
        let stamp = || Stamp { at_s: clock(), actor: Actor::Agora };
        match self.read(patience, |tx| asked.look(tx, &stamp(), &self.absences))? {
            Some(reply) => Ok(reply),
            None => self.write(patience, |tx| asked.perform(tx, &stamp(), &self.absences)),
        }
    }

    /// A page of a listing.
    fn page(
        &self,
        kind: ListingKind,
        request: &Request<'_>,
        clock: Clock,
        patience: Patience,
    ) -> Result<Reply, Error> {
        let query = Query::parse(request.query)?;
        // Before the books are looked at: what is known of them can only be newer.
        let as_of = Instant::now();
        let known = self.known(patience)?;
        let (fields, pair) = self.check_query(&known.keys, request, &query)?;
        let asked = ListingRequest::from_fields(fields)?;
        let key = SnapshotKey { kind, period: asked.period, api_key: pair.api_key.clone() };
        let sequence = match asked.page.page_num {
            1 => self.begin((&known, as_of), key, request, clock, patience)?,
            _ => self.go_on(&key, request, clock, patience)?,
        };
        let listed = &sequence.listed;
        // A request for the headers alone is told nothing, and Agora's own are what is kept.
        let is_told = request.method == "GET" && pair.purpose == Purpose::Live;
        if is_told && listed.listing.ends_with(asked.page) {
            self.keep(&sequence, &known, clock(), patience)?;
        } else if is_told {
            if asked.page.page_num == 1 {
                self.keeper.leave(&sequence);
            }
            // What its last page would wait for is made ready as it is listed, unless that has
            // taken long.
            let is_patient = !matches!(patience, Patience::None);
            let is_early = request.arrived.elapsed() < READY_WITHIN;
            if kind == ListingKind::Bill && is_patient && is_early {
                listed.content()?;
            }
        }
        if asked.page.page_num == 1 {
            listed.point_out();
            if let Some(month) = MonthElsewhere::of(kind, asked.period) {
                log::warn!(
                    "the bill that was asked for is of {month}, which is no month of UTC: \
                     it does not count as a month's bill"
                );
            }
        }
        Ok(listed.listing.page(asked.page, self.options.envelope))
    }

    /// What page 1 is cut from: the books as they are.
    fn begin(
        &self,
        (known, as_of): (&Known, Instant),
        key: SnapshotKey,
        request: &Request<'_>,
        clock: Clock,
        patience: Patience,
    ) -> Result<Arc<Sequence>, Error> {
        // One that began after this request arrived is this request's own, looked at with less patience, or as good.
        let begun = self.sequences.find(&key).filter(|begun| begun.is_fresh(request.arrived));
        if let Some(begun) = begun {
            return Ok(begun);
        }
        let (asked_at_s, listed_of) = (clock(), (key.kind, key.period));
        let made_for = (listed_of, !is_provisional(key.kind, key.period, asked_at_s));
        let listed = self.listings.get_or_list(made_for, &known.state, || {
            self.read(patience, |tx| listing::list(tx, listed_of, asked_at_s, &self.dues))
        })?;
        let sequence = Sequence::new(key, Some(as_of), asked_at_s, listed);
        match request.method {
            "GET" => Ok(self.sequences.begin(sequence, self.newest.as_deref())),
            _ => Ok(Arc::new(sequence)),
        }
    }

    /// What a later page is cut from: what the newest page 1 was, whichever server answered that.
    /// It is in memory, or else on the disk.
    fn go_on(
        &self,
        key: &SnapshotKey,
        request: &Request<'_>,
        clock: Clock,
        patience: Patience,
    ) -> Result<Arc<Sequence>, Error> {
        let newest = self.newest.as_deref();
        let until = request.arrived + SNAPSHOT_WITHIN;
        loop {
            if let Some(begun) = self.sequences.find(key)
                && listing::is_newest(&begun, newest)?
            {
                return Ok(begun);
            }
            let number = newest.map_or(Ok(0), |newest| newest.number(key))?;
            if number != 0 {
                let find = |tx: &ReadTx<'_>| snapshot::find(tx, key, number, clock());
                match self.read(patience, find) {
                    Ok(Some(snapshot)) => {
                        let sequence = Sequence::of_snapshot(key.clone(), number, snapshot);
                        return Ok(self.sequences.hold(sequence, newest)?);
                    }
                    Ok(None) => {}
                    Err(Error::Store(store::Error::Unreadable { reason, .. })) => {
                        log::error!("the snapshot of page 1 cannot be read: {reason}");
                        return Err(Refusal::SnapshotGone.into());
                    }
                    Err(failure) => return Err(failure),
                }
            }
            if number == 0 || Instant::now() >= until {
                log::warn!(
                    "no later page for {}: the snapshot of page 1 is gone, \
                     and page 1 has to be asked anew",
                    request.path
                );
                return Err(Refusal::SnapshotGone.into());
            }
            std::thread::sleep(SNAPSHOT_POLL);
        }
    }

    /// Sees to it that what a last page ends is kept, before it goes out where it is a bill.
    fn keep(
        &self,
        sequence: &Arc<Sequence>,
        known: &Known,
        now_s: i64,
        patience: Patience,
    ) -> Result<(), Error> {
        let listed = &sequence.listed;
        if sequence.is_untold() {
            if !matches!(patience, Patience::None) {
                listed.content()?;
            }
            if listed.content_if_made().is_none() {
                return Err(Error::Impatient);
            }
            if known.state.newest_statement != listed.after_seq {
                let is_outdone = self.read_a_little(patience, |tx| {
                    store::statement::is_outdone(tx, &sequence.answer(now_s)?)
                })?;
                if is_outdone {
                    return Err(outdone(Outdone::ByNewerAnswer));
                }
            }
        }
        match self.keeper.tell(sequence, known.state.newest_statement, now_s) {
            Need::Nothing => Ok(()),
            Need::Full => {
                log::warn!("too many answers wait to be kept: a last page is refused");
                Err(Refusal::TooManyWaiting.into())
            }
            Need::Keeping => {
                let Patience::Writing { read_until, lock_until } = patience else {
                    return Err(Error::Impatient);
                };
                let lock_until = lock_until.min(Instant::now() + KEEP_WITHIN);
                let patience = Patience::Writing { read_until, lock_until };
                match self.write(patience, |tx| sequence.keep(tx, now_s))? {
                    Ok(seq) => {
                        sequence.was_kept(seq);
                        if listed.carried {
                            // What was due has been told.
                            self.dues.forget();
                        }
                        Ok(())
                    }
                    // Nor is it forgotten: its end must not come from another state of the books
                    // than its beginning.
                    Err(by) => Err(outdone(by)),
                }
            }
        }
    }

    /// Reads one state of the books, if there is patience for that.
    fn read<T, E>(
        &self,
        patience: Patience,
        f: impl FnOnce(&ReadTx<'_>) -> Result<T, E>,
    ) -> Result<T, Error>
    where
        E: From<store::Error>,
        Error: From<E>,
    {
        match patience {
            Patience::None => Err(Error::Impatient),
            Patience::Reading(until) | Patience::Writing { read_until: until, .. } => {
                Ok(self.readers.read(until, f)?)
            }
        }
    }

    /// Reads a few rows: at once, or else if there is patience for that.
    fn read_a_little<T>(
        &self,
        patience: Patience,
        f: impl FnOnce(&ReadTx<'_>) -> store::Result<T>,
    ) -> Result<T, Error> {
        match patience {
            Patience::Reading(_) | Patience::Writing { .. } => self.read(patience, f),
            Patience::None => match self.readers.read_at_once(f) {
                Err(error) if error.is_passing() => Err(Error::Impatient),
                read => Ok(read?),
            },
        }
    }

    /// Changes the books, if there is patience for that.
    fn write<T>(
        &self,
        patience: Patience,
        f: impl FnOnce(&WriteTx<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match patience {
            Patience::None | Patience::Reading(_) => Err(Error::Impatient),
            Patience::Writing { lock_until, .. } => self.writer.write(lock_until, f),
        }
    }

    /// The state of the books now.
    fn version(&self, patience: Patience) -> Result<Version, Error> {
        match patience {
            Patience::Reading(_) | Patience::Writing { .. } => Ok(self.readers.version()?),
            Patience::None => match self.readers.version_at_once() {
                Err(store::Error::Busy) => Err(Error::Impatient),
                version => Ok(version?),
            },
        }
    }

    /// What is known of the books as they are now; read anew when anybody has committed since.
    fn known(&self, patience: Patience) -> Result<Arc<Known>, Error> {
        // Asked before anything is read: what is read later can only be newer than this version says.
        let version = self.version(patience)?;
        let held = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = held.filter(|known| known.version == version) {
            return Ok(known);
        }
        let (keys, state) =
            self.read_a_little(patience, |tx| Ok((store::key::accepted(tx)?, State::read(tx)?)))?;
        let keys = keys.into_iter().map(AcceptedKey::from).collect();
        let known = Arc::new(Known { version, keys, state });
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&known));
        Ok(known)
    }

    /// Finds the reading of a query's parameters that was signed with one of the keys.
    fn check_query<'q>(
        &self,
        keys: &'q [AcceptedKey],
        request: &Request<'_>,
        query: &'q Query,
    ) -> Result<(&'q Fields, &'q AcceptedKey), Refusal> {
        self.check_signature(keys, request, query.readings(), query.signature())
    }

    /// Checks that a body was signed with one of the keys, and tells whose that is.
    fn check_body<'k>(
        &self,
        keys: &'k [AcceptedKey],
        request: &Request<'_>,
        body: &'k Body,
    ) -> Result<&'k AcceptedKey, Refusal> {
        let signature = body.signature();
        let readings = std::iter::once(body.fields());
        self.check_signature(keys, request, readings, signature.as_deref()).map(|(_, pair)| pair)
    }

    fn check_signature<'q>(
        &self,
        keys: &'q [AcceptedKey],
        request: &Request<'_>,
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
            if signature::verify(secret, request.method, request.path, fields, given)
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
                format!("refused {} {}: {reason}", request.method, cut(request.path))
            });
            Refusal::Signature
        })
    }
}

/// Why an answer is not told to its end, in the caller's words and in the log's.
fn outdone(by: Outdone) -> Error {
    let refusal = match by {
        Outdone::ByOtherBill => Refusal::OtherBill,
        Outdone::ByNewerAnswer => Refusal::NewerAnswer,
    };
    log::warn!("a last page is refused: {}", refusal.sentence());
    refusal.into()
}
