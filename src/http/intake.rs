//! What comes in on a connection, looked over before hyper sees it.
//!
//! hyper refuses what is not HTTP, or too long, or too slow, without a word or by hanging up. This layer
//! stands between it and the socket: it holds a request back until its head is whole, and where it
//! refuses one it ends hyper's input, so that the answers before it go out in order, and leaves the
//! refusal to be sent behind them. It also lets no second request in before the first is answered.

use crate::agora::reply::{Form, Refusal};
use crate::http::route::{BasePath, Unrouted};
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

/// The longest request line and headers together, in bytes.
const HEAD_MAX: usize = 16 << 10;
/// The longest method, target and version, in bytes.
const REQUEST_LINE_MAX: usize = 8 << 10;
/// The largest body, in bytes.
const BODY_MAX: u64 = 64 << 10;
/// The most header fields; hyper's own bound.
const FIELDS_MAX: usize = 100;
/// How long a connection may be idle between requests: longer than proxies keep theirs.
const IDLE: Duration = Duration::from_secs(150);
/// How long a request may take to arrive, from its first byte.
const ARRIVAL: Duration = Duration::from_secs(10);
/// How long an answer may take to be made and taken.
const DEPARTURE: Duration = Duration::from_secs(30);

/// Tells the intake that the answer to the request it let through has been made.
#[derive(Default)]
pub(super) struct Exchange {
    answered: AtomicBool,
    waiting: Mutex<Option<Waker>>,
}

impl Exchange {
    /// The answer has been made: the next request may come in.
    pub(super) fn finish(&self) {
        self.answered.store(true, Ordering::Release);
        if let Some(waker) = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take() {
            waker.wake();
        }
    }

    fn poll_answered(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if self.answered.swap(false, Ordering::Acquire) {
            return Poll::Ready(());
        }
        *waiting = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A request's head is not whole yet.
    Head,
    /// A request is handed on, so many bytes of it to go.
    Passing { left: u64 },
    /// A request whose end only hyper can tell is handed on; it is the connection's last.
    PassingLast,
    /// A request is whole, its answer not yet made.
    Answering,
    /// Nothing more is let in.
    Closed,
}

/// A socket whose requests are looked over.
pub(super) struct Intake {
    stream: TcpStream,
    base_path: BasePath,
    exchange: Arc<Exchange>,
    phase: Phase,
    /// Read from the socket and not yet handed on.
    buffer: Vec<u8>,
    /// How far the buffer has been searched for the end of a head.
    searched: usize,
    timer: Pin<Box<Sleep>>,
    refused: Option<Unrouted>,
}

impl Intake {
    /// Looks over what comes in on `stream`, to a server mounted under `base_path`.
    pub(super) fn new(stream: TcpStream, base_path: BasePath) -> Self {
        Self {
            stream,
            base_path,
            exchange: Arc::default(),
            phase: Phase::Head,
            buffer: Vec::new(),
            searched: 0,
            timer: Box::pin(sleep(IDLE)),
            refused: None,
        }
    }

    /// Where to tell that an answer has been made.
    pub(super) fn exchange(&self) -> Arc<Exchange> {
        Arc::clone(&self.exchange)
    }

    /// The socket; the refusal that is to be sent on it, if a request was refused here; and whether the
    /// peer may still be sending.
    pub(super) fn into_parts(self) -> (TcpStream, Option<Unrouted>, bool) {
        let unread = self.refused.is_some() || matches!(self.phase, Phase::Passing { .. } | Phase::PassingLast);
        (self.stream, self.refused, unread)
    }

    fn refuse(&mut self, refusal: Refusal) {
        // The path and the method come before anything else that may be wrong, as far as they are known.
        let line = self.buffer.split(|b| *b == b'\n').next().unwrap_or_default();
        let mut words = line.split(|b| *b == b' ').map(|word| str::from_utf8(word).unwrap_or_default());
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let path = target.split('?').next().unwrap_or_default();
        let refused = match self.base_path.find(method, path) {
            Ok(route) => Unrouted { refusal, form: route.form() },
            // Of what is not HTTP or has not arrived, path and method mean nothing.
            Err(_) if matches!(refusal, Refusal::NotHttp { .. } | Refusal::Slow) => {
                Unrouted { refusal, form: Form::Word }
            }
            Err(unrouted) => unrouted,
        };
        self.refused = Some(refused);
        self.phase = Phase::Closed;
    }

    fn set_timer(&mut self, allowed: Duration) {
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
            if self.has_blank_line() {
                match look_over(&self.buffer) {
                    Ok(Some(phase)) => self.phase = phase,
                    // Blank lines before the request, which RFC 9112 (2.2) says to skip.
                    Ok(None) => {}
                    Err(refusal) => self.refuse(refusal),
                }
                continue;
            }
            if self.buffer.len() > HEAD_MAX {
                let line = self.buffer.iter().position(|b| *b == b'\n').unwrap_or(self.buffer.len());
                let too_long = if line > REQUEST_LINE_MAX { Refusal::TargetTooLong } else { Refusal::HeadTooLong };
                self.refuse(too_long);
                continue;
            }
            if self.timer.as_mut().poll(cx).is_ready() {
                match self.buffer.is_empty() {
                    true => self.phase = Phase::Closed,
                    false => self.refuse(Refusal::Slow),
                }
                continue;
            }
            let first = self.buffer.is_empty();
            match ready!(self.poll_fill(cx))? {
                0 if first => self.phase = Phase::Closed,
                0 => self.refuse(Refusal::NotHttp { problem: "it ends before its headers do" }),
                _ if first => self.set_timer(ARRIVAL),
                _ => {}
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Tells whether there is a blank line in what has not been searched yet.
    fn has_blank_line(&mut self) -> bool {
        let from = self.searched.saturating_sub(3);
        let fresh = &self.buffer[from..];
        let end = fresh
            .windows(2)
            .enumerate()
            .find(|(at, two)| *two == b"\n\n" || (*two == b"\n\r" && fresh.get(at + 2) == Some(&b'\n')));
        match end {
            // One past the line feed that ends the line before: the next search starts behind this one.
            Some((at, _)) => self.searched = from + at + 4,
            None => self.searched = self.buffer.len(),
        }
        end.is_some()
    }
}

/// Looks over what holds a blank line: how the request goes on where it is a whole head, `None` where it
/// is not one yet.
fn look_over(buffer: &[u8]) -> Result<Option<Phase>, Refusal> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    let problem = |problem| Refusal::NotHttp { problem };
    let head = match request.parse(buffer) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::HeadTooLong),
        Err(httparse::Error::Version) => return Err(problem("HTTP/1.1 or HTTP/1.0 is wanted")),
        Err(httparse::Error::HeaderName | httparse::Error::HeaderValue) => return Err(problem("a header is broken")),
        Err(_) => return Err(problem("its first line is broken")),
    };
    let target = request.path.unwrap_or_default();
    if target.len() > REQUEST_LINE_MAX {
        return Err(Refusal::TargetTooLong);
    }
    if head > HEAD_MAX {
        return Err(Refusal::HeadTooLong);
    }
    // A fragment is never sent (RFC 9110, 7.1), and hyper would drop it: what was signed must be what was sent.
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
        return Err(problem("exactly one Host header is wanted"));
    }
    let lengths = values("content-length");
    if !values("transfer-encoding").is_empty() {
        return match lengths.is_empty() {
            true => Ok(Some(Phase::PassingLast)),
            false => Err(problem("it has both Content-Length and Transfer-Encoding")),
        };
    }
    let body = match lengths.as_slice() {
        [] => 0,
        [length] if !length.is_empty() && length.iter().all(u8::is_ascii_digit) => {
            // Digits too many for a number are too large as well.
            str::from_utf8(length).ok().and_then(|length| length.parse().ok()).unwrap_or(u64::MAX)
        }
        _ => return Err(problem("its Content-Length is not one number")),
    };
    if body > BODY_MAX {
        return Err(Refusal::BodyTooLarge);
    }
    Ok(Some(Phase::Passing { left: u64::try_from(head).unwrap_or(u64::MAX).saturating_add(body) }))
}

impl AsyncRead for Intake {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let left = match self.phase {
                Phase::Head => {
                    ready!(self.poll_head(cx))?;
                    continue;
                }
                Phase::Answering => {
                    if self.exchange.poll_answered(cx).is_pending() {
                        return self.poll_too_late(cx);
                    }
                    self.phase = Phase::Head;
                    let next = if self.buffer.is_empty() { IDLE } else { ARRIVAL };
                    self.set_timer(next);
                    continue;
                }
                Phase::Closed => return Poll::Ready(Ok(())),
                Phase::Passing { left: 0 } => {
                    self.phase = Phase::Answering;
                    self.set_timer(DEPARTURE);
                    continue;
                }
                Phase::Passing { left } => usize::try_from(left).unwrap_or(usize::MAX),
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
                *left -= u64::try_from(passed).unwrap_or(u64::MAX);
            }
            return Poll::Ready(Ok(()));
        }
    }
}

impl Intake {
    /// Pending until the time for the answer to be taken is over.
    fn poll_too_late<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        ready!(self.timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Intake {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(cx, bytes) {
            Poll::Pending => self.poll_too_late(cx),
            written => written,
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write_vectored(cx, parts) {
            Poll::Pending => self.poll_too_late(cx),
            written => written,
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Leaves the socket open: a refusal may still have to go out on it.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
