//! What comes in on a connection, looked over before hyper sees it.
//!
//! hyper refuses what is not HTTP, or too long, or too slow, without a word or by hanging up. This
//! layer stands between it and the socket: it holds a request back until its head is whole, and of
//! Agora's calls the body too. Where it refuses one it ends hyper's input, so that the answers
//! before it go out in order, and leaves the refusal to be sent behind them. It lets no second
//! request in before the first is answered. It also ends hyper's input behind each answer to
//! whoever has signed nothing: the next request is for another connection of hyper's over the same
//! socket.

use crate::agora::reply::Refusal;
use crate::agora::request::{
    MAX_ARRIVAL_S, MAX_BODY_BYTES, MAX_FIELDS, MAX_HEAD_BYTES, MAX_REQUEST_LINE_BYTES,
};
use crate::http::door::Place;
use crate::http::route::{BasePath, Unrouted};
use std::borrow::Cow;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// How long a connection may be idle between requests: one that has signed a request, longer than
/// proxies keep theirs; any other is easily opened again.
const IDLE: Duration = Duration::from_secs(75);
const IDLE_UNSIGNED: Duration = Duration::from_secs(10);
/// How old a connection gets, and how many requests it may bring: its next answer is the last, so
/// that the load is spread anew and nothing of it is kept for ever.
const AGE: Duration = Duration::from_secs(600);
const REQUESTS: u32 = 100_000;
/// How long a request may take to arrive, from its first byte, or from the connection's start where
/// it is the first: whoever connects has something to ask.
const ARRIVAL: Duration = Duration::from_secs(MAX_ARRIVAL_S);
/// How long a stop waits for a request that may be on its way, for the first one of whoever has
/// just connected to ask something, and for the rest of one that has begun.
const STOP_IDLE: Duration = Duration::from_millis(100);
const STOP_FRESH: Duration = Duration::from_millis(1_000);
const STOP_ARRIVAL: Duration = Duration::from_secs(2);
/// How long the peer may leave an answer lying that it does not take.
const DEPARTURE: Duration = Duration::from_secs(10);

const BROKEN_BODY: &str = "its body is broken or ends too early";

/// What the server tells the intake while hyper owns it: the answer to the request is made, and the
/// connection takes no further request.
pub(super) struct Exchange {
    /// The connection's place at the door.
    place: Place,
    opened: Instant,
    /// How many requests have been answered.
    requests: AtomicU32,
    answered: AtomicBool,
    /// Whether another request has come in behind the one that is being answered.
    followed: AtomicBool,
    stopping: AtomicBool,
    /// Whether hyper had no use for the request, since its body broke off.
    broken: AtomicBool,
    waiting: Mutex<Option<Waker>>,
}

impl Exchange {
    fn new(place: Place) -> Self {
        Self {
            place,
            opened: Instant::now(),
            requests: AtomicU32::default(),
            answered: AtomicBool::default(),
            followed: AtomicBool::default(),
            stopping: AtomicBool::default(),
            broken: AtomicBool::default(),
            waiting: Mutex::default(),
        }
    }

    /// The connection's place at the door.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// The answer has been made: the next request may come in.
    pub(super) fn finish(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.place.wait();
        self.answered.store(true, Ordering::Release);
        self.wake();
    }

    /// Takes no more requests, but for those that have been sent already.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.wake();
    }

    /// The request's body broke off.
    pub(super) fn break_off(&self) {
        self.broken.store(true, Ordering::Release);
    }

    /// Tells whether nothing has been asked yet.
    fn is_fresh(&self) -> bool {
        self.requests.load(Ordering::Relaxed) == 0
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Tells whether the answer that is being made is the connection's last.
    pub(super) fn is_last(&self) -> bool {
        let is_stopping = self.is_stopping() && !self.followed.load(Ordering::Acquire);
        is_stopping || self.is_worn_out()
    }

    /// Tells whether the connection has grown too old, or has brought too many requests.
    fn is_worn_out(&self) -> bool {
        self.requests.load(Ordering::Relaxed) + 1 >= REQUESTS || self.opened.elapsed() >= AGE
    }

    fn wake(&self) {
        if let Some(waker) = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take() {
            waker.wake();
        }
    }

    /// Has the task woken when something is told.
    fn listen(&self, cx: &Context<'_>) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
    }

    fn poll_answered(&self, cx: &Context<'_>) -> Poll<()> {
        // Before looking, so that nothing told in between is missed.
        self.listen(cx);
        if self.answered.swap(false, Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// A request's head is not whole yet.
    Head,
    /// A request's head is whole. It is handed on once so many bytes, head included, are there.
    Body { length: usize },
    /// A request is handed on, so many bytes of it to go.
    Passing { left: usize },
    /// A request whose end only hyper can tell is handed on; it is the connection's last.
    PassingLast,
    /// A request is whole, its answer not yet made.
    Answering,
    /// Nothing more is let in.
    Closed,
}

/// A socket whose requests are looked over.
pub(super) struct Intake<S> {
    stream: S,
    base_path: BasePath,
    exchange: Arc<Exchange>,
    phase: Phase,
    /// Read from the socket and not yet handed on.
    buffer: Vec<u8>,
    /// How far the buffer has been searched for the end of a head.
    searched: usize,
    /// When the wait for the peer is over: for a request, or for its rest.
    timer: Pin<Box<Sleep>>,
    /// When the wait for the peer to take what is written is over; none where nothing waits.
    write_timer: Option<Pin<Box<Sleep>>>,
    /// Whether a request has begun to arrive.
    arriving: bool,
    /// Whether the timer has been shortened for a stop.
    stopping: bool,
    /// Whether a request was let in whose end only hyper can tell.
    endless: bool,
    /// Whether hyper was told that there is nothing more, so that its buffers are not kept for
    /// whoever has not signed anything.
    resting: bool,
    refused: Option<RefusedRequest>,
}

/// A request that was refused here.
pub(super) struct RefusedRequest {
    pub refusal: Unrouted,
    /// Its method, as far as it is known.
    pub method: String,
    pub trace: Trace,
}

/// What a request that was refused here is known by.
pub(super) enum Trace {
    Path(String),
    /// The first line as far as it arrived, which is none of HTTP or has no path. It is without a
    /// query, since that is signed.
    Start(Vec<u8>),
    /// Its head was in order, and has been handed on.
    Body,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Intake<S> {
    /// Looks over what comes in on `stream`, which has this place at the door, to a server mounted
    /// under `base_path`.
    pub(super) fn new(stream: S, base_path: BasePath, place: Place) -> Self {
        Self {
            stream,
            base_path,
            exchange: Arc::new(Exchange::new(place)),
            phase: Phase::Head,
            buffer: Vec::new(),
            searched: 0,
            timer: Box::pin(sleep(ARRIVAL)),
            write_timer: None,
            arriving: false,
            stopping: false,
            endless: false,
            resting: false,
            refused: None,
        }
    }

    /// Where to tell that an answer has been made.
    pub(super) fn exchange(&self) -> Arc<Exchange> {
        Arc::clone(&self.exchange)
    }

    /// Waits until a request is whole; false where there will be none. Whoever asks nothing needs
    /// none of hyper's buffers.
    pub(super) async fn wait_for_request(&mut self) -> io::Result<bool> {
        poll_fn(|cx| self.poll_request(cx)).await?;
        Ok(self.phase != Phase::Closed)
    }

    /// Tells whether hyper was told that there is nothing more, so that the next request needs
    /// another connection of hyper's.
    pub(super) fn take_rest(&mut self) -> bool {
        std::mem::take(&mut self.resting)
    }

    /// The socket; the request that was refused here and has not been told so yet, if one was; and
    /// whether the peer may still be sending.
    pub(super) fn into_parts(mut self) -> (S, Option<RefusedRequest>, bool) {
        // Only hyper can tell whether a body that ends with the connection is whole.
        if self.refused.is_none() && self.exchange.broken.load(Ordering::Acquire) {
            self.refuse(Refusal::NotHttp { problem: BROKEN_BODY });
        }
        let unread =
            self.refused.is_some() || self.endless || matches!(self.phase, Phase::Passing { .. });
        // What was sent behind the last answer is not read, and must not take that answer back.
        let unread = unread || !self.buffer.is_empty();
        (self.stream, self.refused, unread)
    }

    fn refuse(&mut self, refusal: Refusal) {
        let (method, path) = method_and_path(&self.buffer);
        // The path and the method come before anything else that may be wrong, as far as they are
        // known.
        let refusal = match self.base_path.find(&method, &path) {
            Ok(route) => Unrouted { refusal, form: route.form() },
            // Of what is not HTTP or has not arrived, path and method mean nothing.
            Err(unrouted) if matches!(refusal, Refusal::NotHttp { .. } | Refusal::Slow) => {
                Unrouted { refusal, form: unrouted.form }
            }
            Err(unrouted) => unrouted,
        };
        let trace = if !matches!(self.phase, Phase::Head | Phase::Body { .. }) {
            Trace::Body
        } else if path.is_empty() || hyper::Method::from_bytes(method.as_bytes()).is_err() {
            let line = self.buffer.split(|b| matches!(b, b'\r' | b'\n' | b'?')).next();
            Trace::Start(line.unwrap_or_default().to_owned())
        } else {
            Trace::Path(path.into_owned())
        };
        self.refused = Some(RefusedRequest { refusal, method: method.into_owned(), trace });
        self.phase = Phase::Closed;
    }

    fn set_timer(&mut self, allowed: Duration) {
        let allowed = if self.stopping { allowed.min(STOP_ARRIVAL) } else { allowed };
        self.timer.as_mut().reset(Instant::now() + allowed);
    }

    /// Reads more from the socket into the buffer; ready with the number of bytes, zero at the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut chunk = [MaybeUninit::uninit(); 4 << 10];
        let mut chunk = ReadBuf::uninit(&mut chunk);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut chunk))?;
        self.buffer.extend_from_slice(chunk.filled());
        Poll::Ready(Ok(chunk.filled().len()))
    }

    /// Gets on with a request's head until it is whole or refused.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.phase == Phase::Head {
            self.skip_blank_lines();
            if self.has_blank_line() {
                match look_over(&self.buffer) {
                    Ok(phase) => {
                        self.phase = phase;
                        self.endless = phase == Phase::PassingLast;
                        let is_due =
                            matches!(phase, Phase::Passing { left } if left > self.buffer.len());
                        if (is_due || self.endless) && !self.arriving {
                            self.arriving = true;
                            self.set_timer(ARRIVAL);
                        }
                    }
                    Err(refusal) => self.refuse(refusal),
                }
                continue;
            }
            if self.buffer.len() > MAX_HEAD_BYTES {
                let line =
                    self.buffer.iter().position(|b| *b == b'\n').unwrap_or(self.buffer.len());
                let too_long = if line > MAX_REQUEST_LINE_BYTES {
                    Refusal::TargetTooLong
                } else {
                    Refusal::HeadTooLong
                };
                self.refuse(too_long);
                continue;
            }
            ready!(self.poll_more(cx, "it ends before its headers do"))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads a request until it may be handed on, or is refused.
    fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match self.phase {
                Phase::Head => ready!(self.poll_head(cx))?,
                Phase::Body { length } if self.buffer.len() < length => {
                    ready!(self.poll_more(cx, BROKEN_BODY))?;
                }
                Phase::Body { length } => {
                    // Whole as it is, its connection makes room for nobody until it is answered.
                    self.exchange.place.keep();
                    self.phase = Phase::Passing { left: length };
                }
                Phase::Passing { .. } | Phase::PassingLast | Phase::Answering | Phase::Closed => {
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }

    /// Reads more of a request that is not whole. Where the peer is too slow it is refused, and
    /// where the peer ends, for this problem.
    fn poll_more(&mut self, cx: &mut Context<'_>, problem: &'static str) -> Poll<io::Result<()>> {
        let nothing_yet = self.buffer.is_empty();
        if !nothing_yet && !self.arriving {
            self.arriving = true;
            self.set_timer(ARRIVAL);
        }
        self.exchange.listen(cx);
        if self.exchange.is_stopping() && !self.stopping {
            self.stopping = true;
            let wait = if !nothing_yet {
                STOP_ARRIVAL
            } else if self.exchange.is_fresh() {
                STOP_FRESH
            } else {
                STOP_IDLE
            };
            self.set_timer(wait);
        }
        if self.timer.as_mut().poll(cx).is_ready() {
            if nothing_yet {
                self.phase = Phase::Closed;
            } else {
                self.refuse(Refusal::Slow);
            }
            return Poll::Ready(Ok(()));
        }
        match ready!(self.poll_fill(cx))? {
            0 if nothing_yet => self.phase = Phase::Closed,
            0 => self.refuse(Refusal::NotHttp { problem }),
            _ => {}
        }
        Poll::Ready(Ok(()))
    }

    /// Drops blank lines before a request, as RFC 9112 (2.2) says, so that they are looked at once.
    fn skip_blank_lines(&mut self) {
        if self.searched == 0 {
            let blank = self.buffer.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
            self.buffer.drain(..blank);
        }
    }

    /// Tells whether there is a blank line in what has not been searched yet.
    fn has_blank_line(&mut self) -> bool {
        let from = self.searched.saturating_sub(3);
        self.searched = self.buffer.len();
        let fresh = &self.buffer[from..];
        fresh.windows(2).any(|two| two == b"\n\n")
            || fresh.windows(3).any(|three| three == b"\n\r\n")
    }
}

/// The method and the path of a request that may be broken, or not all there.
pub(super) fn method_and_path(buffer: &[u8]) -> (Cow<'_, str>, Cow<'_, str>) {
    let line = buffer.split(|b| matches!(b, b'\r' | b'\n')).next().unwrap_or_default();
    let mut words = line.split(|b| *b == b' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split(|b| *b == b'?').next().unwrap_or_default();
    // Of a target in absolute form the path is what is behind the authority: it starts with a
    // scheme, any other with a slash.
    let is_absolute = !path.starts_with(b"/");
    let path = match path.windows(3).position(|three| three == b"://").filter(|_| is_absolute) {
        Some(scheme) => {
            let rest = &path[scheme + 3..];
            &rest[rest.iter().position(|b| *b == b'/').unwrap_or(rest.len())..]
        }
        None => path,
    };
    (String::from_utf8_lossy(method), String::from_utf8_lossy(path))
}

/// Looks over what starts with a whole head: how the request goes on.
pub(super) fn look_over(buffer: &[u8]) -> Result<Phase, Refusal> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let problem = |problem| Refusal::NotHttp { problem };
    let head = match request.parse(buffer) {
        Ok(httparse::Status::Complete(head)) => head,
        // It ended with a blank line, and httparse sees none where it should be.
        Ok(httparse::Status::Partial) => return Err(problem("a header is broken")),
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::HeadTooLong),
        Err(httparse::Error::Version) => return Err(problem("use HTTP/1.1 or HTTP/1.0")),
        Err(httparse::Error::HeaderName | httparse::Error::HeaderValue) => {
            return Err(problem("a header is broken"));
        }
        Err(_) => return Err(problem("its first line is not METHOD TARGET HTTP/1.1 in ASCII")),
    };
    let target = request.path.unwrap_or_default();
    if target.len() > MAX_REQUEST_LINE_BYTES {
        return Err(Refusal::TargetTooLong);
    }
    if head > MAX_HEAD_BYTES {
        return Err(Refusal::HeadTooLong);
    }
    // A fragment is never sent (RFC 9110, 7.1), and hyper would drop it: what was signed must be
    // what was sent.
    if target.contains('#') || target.parse::<hyper::Uri>().is_err() {
        return Err(problem("its target is broken"));
    }
    let values = |name: &str| {
        let named: Vec<&[u8]> = request
            .headers
            .iter()
            .filter(|field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value)
            .collect();
        named
    };
    if request.version == Some(1) && values("host").len() != 1 {
        return Err(problem("send exactly one Host header"));
    }
    let lengths = values("content-length");
    let codings = values("transfer-encoding");
    if !codings.is_empty() {
        let chunked = request.version == Some(1)
            && codings.len() == 1
            && codings[0].eq_ignore_ascii_case(b"chunked");
        return match (chunked, lengths.is_empty()) {
            (true, true) => Ok(Phase::PassingLast),
            (true, false) => Err(problem("it has both Content-Length and Transfer-Encoding")),
            (false, _) => Err(problem("its Transfer-Encoding is not chunked alone, in HTTP/1.1")),
        };
    }
    let body = match lengths.as_slice() {
        [] => 0,
        [length] if !length.is_empty() && length.iter().all(u8::is_ascii_digit) => {
            // Digits too many for a number are too large as well.
            str::from_utf8(length).ok().and_then(|length| length.parse().ok()).unwrap_or(usize::MAX)
        }
        _ => return Err(problem("its Content-Length is not one number")),
    };
    if body > MAX_BODY_BYTES {
        return Err(Refusal::BodyTooLarge);
    }
    // Of other requests nobody reads the body, and some senders wait for a word before they send
    // it.
    let is_waited_for =
        matches!(request.method, Some("POST" | "PUT")) && values("expect").is_empty();
    let length = head + body;
    Ok(if is_waited_for { Phase::Body { length } } else { Phase::Passing { left: length } })
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Intake<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let left = match self.phase {
                Phase::Head | Phase::Body { .. } => {
                    ready!(self.poll_request(cx))?;
                    continue;
                }
                Phase::Answering => {
                    ready!(self.exchange.poll_answered(cx));
                    self.phase = Phase::Head;
                    (self.arriving, self.stopping) = (false, false);
                    let is_trusted = self.exchange.place.is_trusted();
                    self.set_timer(if is_trusted { IDLE } else { IDLE_UNSIGNED });
                    if !is_trusted {
                        // What has come in behind stays here. It is mostly nothing, and then the
                        // room of what was there is let go too.
                        self.buffer.shrink_to_fit();
                        self.resting = true;
                        return Poll::Ready(Ok(()));
                    }
                    continue;
                }
                Phase::Closed => return Poll::Ready(Ok(())),
                Phase::Passing { left } => left,
                Phase::PassingLast if self.exchange.answered.load(Ordering::Acquire) => {
                    self.phase = Phase::Closed;
                    continue;
                }
                Phase::PassingLast => usize::MAX,
            };
            if self.buffer.is_empty() {
                if self.timer.as_mut().poll(cx).is_ready() {
                    self.refuse(Refusal::Slow);
                    continue;
                }
                if ready!(self.poll_fill(cx))? == 0 {
                    self.phase = Phase::Closed;
                }
                continue;
            }
            let passed = self.buffer.len().min(left).min(out.remaining());
            out.put_slice(&self.buffer[..passed]);
            self.buffer.drain(..passed);
            self.searched = 0;
            if let Phase::Passing { left } = &mut self.phase {
                *left -= passed;
                if *left == 0 {
                    // At once: hyper does not ask for more before it has answered.
                    self.phase = Phase::Answering;
                    self.exchange.followed.store(!self.buffer.is_empty(), Ordering::Release);
                }
            }
            return Poll::Ready(Ok(()));
        }
    }
}

impl<S> Intake<S> {
    /// Passes on how a write went; one that the peer has not taken for too long has failed.
    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.write_timer = None;
            return written;
        }
        // Whoever does not take its answers makes room like whoever asks nothing.
        self.exchange.place.wait();
        let timer = self.write_timer.get_or_insert_with(|| Box::pin(sleep(DEPARTURE)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Intake<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Over TLS an answer may lie here, in the clear nothing does.
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(cx, flushed)
    }

    /// Leaves the socket open: a refusal may still have to go out on it, or a request come in.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::door::Door;
    use std::pin::pin;
    use tokio::io::{AsyncWriteExt, BufStream, duplex};

    /// Whether something is done when it is looked at once.
    fn is_done(work: impl Future) -> bool {
        pin!(work).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test]
    async fn whoever_does_not_take_its_answer_makes_room() {
        let door = Arc::new(Door::of(1));
        // As TLS does, it takes more than what goes out at once.
        let (ours, _theirs) = duplex(64);
        let mut intake = Intake::new(BufStream::new(ours), BasePath::default(), door.enter());
        intake.exchange().place().keep();
        assert!(is_done(intake.write_all(&[0; 64])) && is_done(intake.flush()));
        assert!(!is_done(door.make_room()));
        assert!(is_done(intake.write_all(&[0; 64])) && !is_done(intake.flush()));
        assert!(is_done(door.make_room()));
    }

    #[test]
    fn a_connection_ends_with_so_many_answers_or_at_its_age() {
        let exchange = || Exchange::new(Arc::<Door>::default().enter());
        let busy = exchange();
        busy.requests.store(REQUESTS - 2, Ordering::Relaxed);
        assert!(!busy.is_last());
        busy.finish();
        assert!(busy.is_last());
        assert!(Exchange { opened: Instant::now() - AGE, ..exchange() }.is_last());
    }
}
