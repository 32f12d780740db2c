//! The sockets: the only place that accepts connections, and where sync meets async.
//!
//! A request is answered at once, where it came in, or its answer is a job. A job that reads the
//! books is done on a blocking thread, as many at a time as there are readers. A job that changes
//! them goes through a door of its own, one at a time, so that nothing that only reads waits behind
//! it. A request that cannot have its turn, or its answer, in time is told so.

use crate::agora::reply::{Refusal, Reply};
use crate::agora::request::MAX_BODY_BYTES;
use crate::http::admin::{self, Admin};
use crate::http::answer::{Answer, Outcome, ReadJob, WriteJob};
use crate::http::books::Books;
use crate::http::door::{Door, Place};
use crate::http::error::{Error, panicked};
use crate::http::intake::{Exchange, Intake, RefusedRequest, Trace};
use crate::http::journal::{self, Kind, cut, ms};
use crate::http::listener::{Entrance, Listener};
use crate::http::metrics::Metrics;
use crate::http::route::{Route, Unrouted};
use crate::http::security::Security;
use crate::http::supervisor::{self, STATUS_EVERY};
use crate::http::threads;
use crate::http::tls::was_check;
use crate::http::watch::Watch;
use crate::http::{Request, Service};
use crate::store::{self, statement};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{timeout, timeout_at};
use tokio_rustls::TlsAcceptor;

/// Within this time a request is answered, or told that it will not be. Agora waits 500 ms, the way
/// there and back included. Source: Agora's page "Provide usage data to Agora".
const ANSWER_WITHIN: Duration = Duration::from_millis(400);
/// Within this time the books are read, so that the rest suffices to say that they could not be.
const READ_WITHIN: Duration = Duration::from_millis(360);
/// Within this time a change of the books has the lock, or is not made: what is left is for the
/// disk.
const LOCK_WITHIN: Duration = Duration::from_millis(250);
/// Within this time the books are read once, or the server does not start.
const FIRST_READ_WITHIN: Duration = Duration::from_secs(10);
/// How often the certificate's files are looked at.
const LOOK_AT_FILES: Duration = Duration::from_secs(2);
/// How long the handshake of TLS may take.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How long a stop waits for the requests in flight.
const STOP_WITHIN: Duration = Duration::from_millis(4_500);
/// How long a stop waits for what is still to be written, which takes a second at most unless the
/// disk hangs.
const FINISH_WITHIN: Duration = Duration::from_millis(1_500);
/// What is still read of a refused request, so that its sender gets to read the refusal.
const LINGER: Duration = Duration::from_secs(1);
/// The same, in bytes.
const LINGER_BYTES: u64 = 1 << 20;

/// How many readers of the books a server wants on this machine.
pub fn reader_count() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(cores * 2).unwrap_or(u32::MAX).clamp(4, 16)
}

/// Where a server is to be reached.
#[derive(Debug)]
pub struct Entrances {
    /// For Agora.
    pub public: Entrance,
    /// For those who run it.
    pub admin: Option<Entrance>,
}

/// Where a server is to be reached, the ports filled in.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// For Agora.
    pub public: Vec<SocketAddr>,
    /// For those who run it.
    pub admin: Vec<SocketAddr>,
}

/// Serves until SIGTERM or SIGINT, then answers the requests in flight and returns. `ready` is told
/// the addresses, once the books can be read.
///
/// # Errors
/// When an address cannot be listened on, or the books cannot be read.
pub fn serve(
    entrances: Entrances,
    service: Service,
    security: Security,
    ready: impl FnOnce(&Addresses),
) -> io::Result<()> {
    let readers = usize::try_from(reader_count()).unwrap_or(usize::MAX);
    let runtime = threads::start(readers)?;
    let served = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let listener = Listener::open(entrances.public)?;
        let admin = entrances.admin.map(Listener::open).transpose()?;
        let (turns, change) = (Arc::new(Semaphore::new(readers)), Arc::new(Semaphore::new(1)));
        let (security, door) = (Arc::new(security), Arc::default());
        let server = Arc::new(Server { service, security, turns, change, door });
        server.look(FIRST_READ_WITHIN, look_once).await.map_err(io::Error::other)?;
        let addresses = Addresses {
            public: listener.addresses()?,
            admin: admin.as_ref().map_or(Ok(Vec::new()), Listener::addresses)?,
        };
        let mut beside = JoinSet::new();
        if let Some(listener) = admin {
            beside.spawn(admin::serve(listener, Arc::new(server.admin())));
        }
        ready(&addresses);
        supervisor::ready();
        beside.spawn(report(Arc::clone(&server)));
        let security = Arc::clone(&server.security);
        beside.spawn(async move { security.work().await });
        accept(listener, Arc::clone(&server), &mut signals).await;
        beside.abort_all();
        // A panic of it has been told. A write that hangs on a broken disk must not keep the
        // process from ending.
        let finished = tokio::task::spawn_blocking(move || server.service.finish());
        if timeout(FINISH_WITHIN, finished).await.is_err() {
            log::error!("what was told last is not on the disk: the disk does not answer");
        }
        Ok(())
    });
    // A read that hangs on a broken disk must not keep the process from ending.
    runtime.shutdown_timeout(Duration::from_millis(100));
    served
}

/// Reads the books as answers do.
fn look_once(books: &Books, until: Instant) -> store::Result<()> {
    books.look(until)
}

/// Tells the service manager, where there is one, that the books are read, and when Agora last
/// asked; for as long as the server runs.
async fn report(server: Arc<Server>) {
    if !supervisor::is_there() {
        return;
    }
    let pulse = supervisor::pulse();
    let mut pulses = tokio::time::interval(pulse.unwrap_or(STATUS_EVERY));
    let mut looks = tokio::time::interval(STATUS_EVERY);
    let mut told = None;
    loop {
        tokio::select! {
            _ = pulses.tick(), if pulse.is_some() => {
                match server.look(pulse.unwrap_or(STATUS_EVERY), look_once).await {
                    Ok(()) => supervisor::alive(),
                    Err(why) => log::error!("the watchdog hears nothing: {why}"),
                }
            }
            _ = looks.tick() => {
                let asked = |books: &Books, until| {
                    books.look(until)?;
                    books.read(until, statement::asked)
                };
                let words = match server.look(STATUS_EVERY, asked).await {
                    Ok((statements, asked_at_s)) => {
                        supervisor::asked_words(statements, asked_at_s, now_s())
                    }
                    Err(why) => why,
                };
                if told.as_ref() != Some(&words) {
                    supervisor::status(&words);
                    told = Some(words);
                }
            }
        }
    }
}

/// The signals that a server hears: two that end it, and one that has its certificate read again.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Heard {
        tokio::select! {
            _ = self.terminate.recv() => Heard::Stop,
            _ = self.interrupt.recv() => Heard::Stop,
            _ = self.hangup.recv() => Heard::Reload,
        }
    }

    async fn stop(&mut self) {
        while self.next().await != Heard::Stop {}
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Heard {
    Stop,
    Reload,
}

struct Server {
    service: Service,
    security: Arc<Security>,
    /// Which connections are open.
    door: Arc<Door>,
    /// One for each reader of the books.
    turns: Arc<Semaphore>,
    /// For the one change of the books that is made at a time.
    change: Arc<Semaphore>,
}

async fn accept(mut listener: Listener, server: Arc<Server>, signals: &mut Signals) {
    let door = Arc::clone(&server.door);
    let (stopping, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut minutes = tokio::time::interval(Duration::from_secs(60));
    let mut looks = tokio::time::interval(LOOK_AT_FILES);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            heard = signals.next() => match heard {
                Heard::Stop => break,
                Heard::Reload => {
                    server.reload();
                    continue;
                }
            },
            _ = minutes.tick() => {
                journal::sum_up();
                continue;
            }
            _ = looks.tick() => {
                // Nobody waits for it.
                drop(server.security.look(false));
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok(stream) => {
                let stops = tokio::select! {
                    () = door.make_room() => false,
                    () = signals.stop() => true,
                };
                let place = door.enter();
                let number = place.number();
                let conversation = converse(stream, Arc::clone(&server), place, stopped.clone());
                door.entrust(number, connections.spawn(conversation));
                if stops {
                    break;
                }
            }
            Err(error) => {
                // Out of files, mostly: others have to end first.
                journal::tell(Kind::Unaccepted, || {
                    log::error!("cannot accept a connection: {error}");
                });
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    // Whoever has connected already has asked, or is about to; whoever comes later is turned away
    // at once, so that a proxy can try elsewhere; or waits for the next server.
    supervisor::stopping();
    for stream in listener.close() {
        let place = door.enter();
        connections.spawn(converse(stream, Arc::clone(&server), place, stopped.clone()));
    }
    let open = connections.len();
    log::info!("stopping: {open} connection{} open", if open == 1 { "" } else { "s" });
    stopping.send_replace(true);
    finish(connections, signals).await;
    journal::end();
    log::info!("stopped");
}

/// Waits for what is open to end, and cuts off what does not in time.
async fn finish(mut connections: JoinSet<()>, signals: &mut Signals) {
    let finished = async { while connections.join_next().await.is_some() {} };
    tokio::select! {
        done = timeout(STOP_WITHIN, finished) => {
            if done.is_err() {
                log::warn!("some connections did not end in time and are cut off");
            }
        }
        () = signals.stop() => log::warn!("told to stop once more: what is open is cut off"),
    }
}

/// Answers the requests of one connection until it ends.
async fn converse(
    stream: TcpStream,
    server: Arc<Server>,
    place: Place,
    stopped: watch::Receiver<bool>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        log::debug!("cannot set TCP_NODELAY: {error}");
    }
    match server.security.acceptor().cloned() {
        None => converse_in_clear(stream, server, place, stopped).await,
        // In a box, since it is several times as large, and each connection keeps room for it.
        Some(acceptor) => {
            Box::pin(converse_over_tls(acceptor, stream, server, place, stopped)).await;
        }
    }
}

async fn converse_over_tls(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    server: Arc<Server>,
    place: Place,
    stopped: watch::Receiver<bool>,
) {
    match timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) if was_check(stream.get_ref().1) => {
            log::debug!("a certificate authority has checked a host");
        }
        Ok(Ok(stream)) => converse_in_clear(stream, server, place, stopped).await,
        Ok(Err(error)) => log::debug!("a TLS handshake failed: {error}"),
        Err(_) => log::debug!("a TLS handshake took too long"),
    }
}

/// The same once the bytes that pass are those of HTTP.
async fn converse_in_clear<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    server: Arc<Server>,
    place: Place,
    mut stopped: watch::Receiver<bool>,
) {
    let mut intake = Intake::new(stream, server.service.base_path.clone(), place);
    let exchange = intake.exchange();
    let hear = |request| {
        let (server, exchange) = (Arc::clone(&server), Arc::clone(&exchange));
        async move {
            let Replied { reply, unread } =
                server.hear(request, &exchange).await.inspect_err(|_| exchange.break_off())?;
            // What is not read of a body is in the way of the next request.
            let last = exchange.is_last() || unread;
            Ok::<_, hyper::Error>(response(reply, last, exchange))
        }
    };
    let broke_off = |error: &dyn std::fmt::Display| log::debug!("a connection broke off: {error}");
    loop {
        match heeding(&mut stopped, &exchange, intake.wait_for_request()).await {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return broke_off(&error),
        }
        // A peer that has said all it has to say may close its side: it is answered all the same.
        let mut connection = http1::Builder::new()
            .half_close(true)
            .serve_connection(TokioIo::new(intake), service_fn(hear));
        let ended = heeding(&mut stopped, &exchange, &mut connection).await;
        intake = connection.into_parts().io.into_inner();
        match ended {
            Ok(()) if intake.take_rest() => {}
            Ok(()) => break,
            Err(error) => {
                broke_off(&error);
                break;
            }
        }
    }
    let (stream, refused, unread) = intake.into_parts();
    if let Err(error) = part(stream, refused, unread, &server.service.metrics).await {
        broke_off(&error);
    }
}

/// Waits for what a connection does, and tells the connection where the server stops meanwhile.
async fn heeding<T>(
    stopped: &mut watch::Receiver<bool>,
    exchange: &Exchange,
    doing: impl Future<Output = T>,
) -> T {
    let mut doing = pin!(doing);
    tokio::select! {
        done = &mut doing => done,
        _ = stopped.changed() => {
            exchange.stop();
            doing.await
        }
    }
}

/// Ends a connection: says the refusal that is still to be said, and hears the peer out for a
/// moment, since a socket closed on unread bytes takes the answer back.
async fn part<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    refused: Option<RefusedRequest>,
    unread: bool,
    metrics: &Metrics,
) -> io::Result<()> {
    if let Some(RefusedRequest { refusal, method, trace }) = refused {
        let reply = refusal.reply();
        metrics.refuse(None, reply.status);
        let reason = refusal.refusal.sentence();
        match &trace {
            Trace::Path(path) => {
                journal::refused(Kind::Malformed, &method, path, reply.status, &reason);
            }
            Trace::Start(start) => {
                let is_http = !matches!(refusal.refusal, Refusal::NotHttp { .. });
                let what =
                    if is_http { "a request without a path" } else { "a request that is not HTTP" };
                journal::refused_start(what, start, reply.status, &reason);
            }
            Trace::Body => journal::refused_body(reply.status, &reason),
        }
        let message = last_message(&reply, method == "HEAD");
        timeout(LINGER, stream.write_all(&message)).await??;
    }
    // Over TLS it waits for what is still to be taken.
    timeout(LINGER, stream.shutdown()).await??;
    if unread {
        let mut rest = stream.take(LINGER_BYTES);
        // Whatever comes of it, the connection is over.
        let _heard_out = timeout(LINGER, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
    }
    Ok(())
}

/// A reply as the last message on a connection that hyper is done with.
fn last_message(reply: &Reply, to_head: bool) -> Vec<u8> {
    let reason =
        StatusCode::from_u16(reply.status).ok().and_then(|status| status.canonical_reason());
    let mut head = format!("HTTP/1.1 {} {}\r\n", reply.status, reason.unwrap_or_default());
    let date = httpdate::fmt_http_date(SystemTime::now());
    let length = reply.body.len();
    let own = reply
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect::<String>();
    write!(
        head,
        "content-type: application/json\r\n\
         cache-control: no-store\r\n\
         {own}content-length: {length}\r\n\
         connection: close\r\n\
         date: {date}\r\n\r\n"
    )
    .expect("writing into a string does not fail");
    let body = if to_head { &[] } else { reply.body.as_slice() };
    [head.as_bytes(), body].concat()
}

/// An answer, and whether some of the request may be unread.
struct Replied {
    reply: Reply,
    unread: bool,
}

impl Server {
    /// Reads again what can be read again: the certificate.
    fn reload(&self) {
        supervisor::reloading();
        let reloaded = self.security.look(true);
        tokio::spawn(async move {
            if let Some(reloaded) = reloaded {
                // A panic of it has been told.
                let _reloaded = reloaded.await;
            }
            supervisor::ready();
        });
    }

    /// What the admin listener answers with.
    fn admin(&self) -> Admin {
        Admin {
            watch: Watch::new(Arc::clone(&self.service.books)),
            metrics: Arc::clone(&self.service.metrics),
            door: Arc::clone(&self.door),
            security: Arc::clone(&self.security),
            started_at_s: now_s(),
            looks: Semaphore::new(1),
            reads: Semaphore::new(1),
        }
    }

    /// Looks at the books by the way that answers take, or tells why that cannot be done in time.
    async fn look<T: Send + 'static>(
        &self,
        within: Duration,
        look: impl FnOnce(&Books, Instant) -> store::Result<T> + Send + 'static,
    ) -> Result<T, String> {
        let (books, until) = (Arc::clone(&self.service.books), Instant::now() + within);
        let turns = Arc::clone(&self.turns);
        let done = async move {
            let turn = turns.acquire_owned().await;
            let done = tokio::task::spawn_blocking(move || {
                let seen = look(&books, until);
                drop(turn);
                seen
            });
            done.await
        };
        let unread = |why: &dyn std::fmt::Display| format!("the books cannot be read: {why}");
        match timeout(within, done).await {
            Ok(Ok(Ok(seen))) => Ok(seen),
            Ok(Ok(Err(error))) => Err(unread(&error)),
            Ok(Err(error)) => Err(unread(&error)),
            Err(_) => Err(unread(&format!("not within {} ms", within.as_millis()))),
        }
    }

    /// Answers a request once all of it that matters has arrived.
    ///
    /// # Errors
    /// When its body breaks off: whatever is to be said of that, the intake says.
    async fn hear(
        &self,
        request: hyper::Request<Incoming>,
        exchange: &Exchange,
    ) -> hyper::Result<Replied> {
        let (head, body) = request.into_parts();
        let (method, path) = (head.method.as_str(), head.uri.path());
        let route = self.service.base_path.find(method, path);
        let mut unread = !body.is_end_stream();
        let mut content = Vec::new();
        // Of what is no call's it tells who signed it.
        let is_read = match &route {
            Ok(route) => route.has_body(),
            Err(_) => matches!(method, "POST" | "PUT"),
        };
        if is_read {
            // Of a chunked body only hyper knows the end, so that no request may follow it.
            unread = body.size_hint().exact().is_none();
            let Some(read) = read_whole(body).await? else {
                let too_large = |route: &Route<'_>| Refusal::BodyTooLarge.reply(route.form());
                let reply = route.as_ref().map_or_else(Unrouted::reply, too_large);
                return Ok(Replied { reply, unread: true });
            };
            content = read;
        }
        let query = head.uri.query().unwrap_or_default();
        let request = Request { method, path, query, body: &content, arrived: Instant::now() };
        // Whole as it is, its connection makes room for nobody until it is answered.
        exchange.place().keep();
        let reply = match &route {
            Ok(route) => self.answer(route, &request).await,
            Err(unrouted) => self.service.refuse(unrouted, &request),
        };
        if reply.status == 200 && route.as_ref().is_ok_and(Route::is_signed) {
            exchange.place().trust();
        }
        let call = route.ok().map(|route| route.call);
        self.service.metrics.count(call, reply.status, request.arrived.elapsed());
        log_answer(&request, &reply);
        Ok(Replied { reply, unread })
    }

    /// Answers a request that is whole, and has the work done that the answer needs.
    async fn answer(&self, route: &Route<'_>, request: &Request<'_>) -> Reply {
        // A panic must not take the connection with it. That of a job ends its thread's task alone.
        let answered =
            catch_unwind(AssertUnwindSafe(|| self.service.answer(route, request, now_s)));
        let mut outcome =
            answered.unwrap_or_else(|_| Ok(Answer::Done(panicked(route.form(), request.path))));
        loop {
            outcome = match outcome {
                Ok(Answer::Done(reply)) => return reply,
                Ok(Answer::Read(job)) => self.read(job, route, request).await,
                Ok(Answer::Write(job)) => self.write(job, route, request).await.map(Answer::Done),
                Err(error) => return error.reply(route.form(), request.method, request.path),
            };
        }
    }

    /// Does what reads the books, on a thread that may wait for them, when it is this request's
    /// turn.
    async fn read(&self, job: ReadJob, route: &Route<'_>, request: &Request<'_>) -> Outcome {
        let done = async {
            let turn = Arc::clone(&self.turns)
                .acquire_owned()
                .await
                .expect("the semaphore is never closed");
            let until = request.arrived + READ_WITHIN;
            let done = tokio::task::spawn_blocking(move || {
                let outcome = job(until);
                drop(turn);
                outcome
            });
            let panicked = |_| Ok(Answer::Done(panicked(route.form(), request.path)));
            done.await.unwrap_or_else(panicked)
        };
        let until = tokio::time::Instant::from_std(request.arrived + ANSWER_WITHIN);
        timeout_at(until, done).await.unwrap_or_else(|_| {
            let reason = "the readers are at work on others";
            Err(Error::busy(Refusal::Busy, request.path, reason))
        })
    }

    /// Does what changes the books, on a thread that may wait for them, when it is this request's
    /// turn. Once it is, it is seen through: nobody is told that nothing was changed where
    /// something may have been.
    async fn write(
        &self,
        job: WriteJob,
        route: &Route<'_>,
        request: &Request<'_>,
    ) -> Result<Reply, Error> {
        let lock_until = request.arrived + LOCK_WITHIN;
        let turn = Arc::clone(&self.change).acquire_owned();
        let Ok(turn) = timeout_at(tokio::time::Instant::from_std(lock_until), turn).await else {
            let reason = "other changes are being made";
            return Err(Error::busy(Refusal::Busy, request.path, reason));
        };
        let done = tokio::task::spawn_blocking(move || {
            let done = job(lock_until);
            drop(turn);
            done
        });
        done.await.unwrap_or_else(|_| Ok(panicked(route.form(), request.path)))
    }
}

/// Reads a body whole; `None` where it is too large. It is copied, since each piece that hyper
/// gives keeps the 8 KiB alive that it was read into, and a body may come byte by byte.
async fn read_whole(mut body: Incoming) -> hyper::Result<Option<Vec<u8>>> {
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        // What is no data are trailers, which mean nothing here.
        if let Ok(piece) = frame?.into_data() {
            if whole.len() + piece.len() > MAX_BODY_BYTES {
                return Ok(None);
            }
            whole.extend_from_slice(&piece);
        }
    }
    Ok(Some(whole))
}

fn log_answer(request: &Request<'_>, reply: &Reply) {
    let took = request.arrived.elapsed();
    log::debug!(
        method = cut(request.method),
        path = cut(request.path),
        status = reply.status,
        bytes = reply.body.len(),
        tookMicros = took.as_micros();
        "{} {} {} {} bytes {}",
        cut(request.method),
        cut(request.path),
        reply.status,
        reply.body.len(),
        ms(took)
    );
}

fn now_s() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn response(reply: Reply, last: bool, exchange: Arc<Exchange>) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody { bytes: Full::new(reply.body.into()), exchange });
    *response.status_mut() =
        StatusCode::from_u16(reply.status).expect("replies have statuses of HTTP");
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // An answer is for the one who signed for it.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if last {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    for (name, value) in reply.headers {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// An answer's body, which tells when hyper is done with it.
struct ReplyBody {
    bytes: Full<Bytes>,
    exchange: Arc<Exchange>,
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.bytes).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.bytes.size_hint()
    }
}

impl Drop for ReplyBody {
    fn drop(&mut self) {
        self.exchange.finish();
    }
}
