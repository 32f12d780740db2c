//! One request and its answer, over a connection that is kept for the next. What is read is
//! bounded, and no redirect is followed.

use crate::agora::outgoing::Wire;
use crate::probe::address::Address;
use crate::probe::trust::Trust;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{
    ACCEPT, CONTENT_TYPE, HOST, HeaderMap, HeaderName, LOCATION, RETRY_AFTER, USER_AGENT,
};
use hyper_util::rt::TokioIo;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::rustls::pki_types::ServerName;

/// The longest answer that is read: a page of 1,000 entries has a twentieth of it.
const MAX_BYTES: usize = 4 << 20;
/// How long finding the host's addresses may take.
const LOOK_UP: Duration = Duration::from_secs(5);

/// An answer as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reaction {
    pub(super) status: u16,
    pub(super) content_type: Option<String>,
    pub(super) location: Option<String>,
    pub(super) has_retry_after: bool,
    pub(super) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Absence {
    /// Not within the time that there was.
    Late,
    /// No connection comes about: why.
    NoWay(String),
    /// The answer breaks off, is too long, or is no HTTP: what is wrong.
    Broken(String),
    /// Nothing was sent any more: why.
    NotAsked(String),
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late => f.write_str("no answer in time, sent three times"),
            Self::NoWay(reason) => write!(f, "no connection: {reason}"),
            Self::Broken(reason) | Self::NotAsked(reason) => f.write_str(reason),
        }
    }
}

/// Sends requests to one server.
pub(super) struct Caller {
    address: Address,
    trust: Option<Trust>,
    found: Vec<SocketAddr>,
    /// Connections that wait for a next request.
    idle: Arc<Mutex<Vec<SendRequest<Full<Bytes>>>>>,
}

impl Caller {
    /// Finds the server's addresses, and connects once.
    pub(super) async fn reach(address: Address, trust: Option<Trust>) -> Result<Self, String> {
        let host = (address.host.as_str(), address.port);
        let found = timeout(LOOK_UP, tokio::net::lookup_host(host)).await;
        let found = found.map_err(|_| "its name is not found within 5 seconds".to_owned())?;
        let found: Vec<SocketAddr> = found.map_err(|error| error.to_string())?.collect();
        let mut client = Self { address, trust, found: Vec::new(), idle: Arc::default() };
        let mut reason = "its name has no address".to_owned();
        for place in found {
            client.found = vec![place];
            match timeout(LOOK_UP, client.connect()).await {
                Ok(Ok(connection)) => {
                    client.keep(connection);
                    return Ok(client);
                }
                Ok(Err(problem)) => reason = problem,
                Err(_) => reason = format!("{place} does not answer within 5 seconds"),
            }
        }
        Err(reason)
    }

    /// Sends a request, and waits for the whole of its answer for as long as that.
    pub(super) async fn send(&self, wire: &Wire, patience: Duration) -> Result<Reaction, Absence> {
        let end = Instant::now() + patience;
        let sent = async {
            // The server may have ended a connection that it kept until now.
            if let Some(connection) = self.taken()
                && let Some(answered) = self.exchange(connection, wire, true).await
            {
                return answered;
            }
            let connection = self.connect().await.map_err(Absence::NoWay)?;
            let answered = self.exchange(connection, wire, false).await;
            answered.expect("a fresh connection always says how it went")
        };
        tokio::time::timeout_at(end, sent).await.unwrap_or(Err(Absence::Late))
    }

    /// Sends a request on a connection; `None` where it was used before and is gone.
    async fn exchange(
        &self,
        mut connection: SendRequest<Full<Bytes>>,
        wire: &Wire,
        is_used: bool,
    ) -> Option<Result<Reaction, Absence>> {
        let broken = |error: hyper::Error| Err(Absence::Broken(words(&error)));
        let request = match self.request(wire) {
            Ok(request) => request,
            Err(error) => return Some(Err(Absence::Broken(error))),
        };
        let answer = match connection.send_request(request).await {
            Ok(answer) => answer,
            Err(_) if is_used => return None,
            Err(error) => return Some(broken(error)),
        };
        let (head, body) = answer.into_parts();
        let text = |name: HeaderName| header(&head.headers, &name);
        let (content_type, location) = (text(CONTENT_TYPE), text(LOCATION));
        let has_retry_after = head.headers.contains_key(RETRY_AFTER);
        let body = match whole(body).await {
            Ok(body) => body,
            Err(problem) => return Some(Err(Absence::Broken(problem))),
        };
        // A connection that the server ends here is not kept.
        if connection.ready().await.is_ok() {
            self.keep(connection);
        }
        let status = head.status.as_u16();
        Some(Ok(Reaction { status, content_type, location, has_retry_after, body }))
    }

    fn request(&self, wire: &Wire) -> Result<Request<Full<Bytes>>, String> {
        let mut request = Request::builder()
            .method(wire.method)
            .uri(&wire.target)
            .header(HOST, &self.address.authority)
            .header(USER_AGENT, concat!("agora-vendor/", env!("CARGO_PKG_VERSION"), " probe"))
            .header(ACCEPT, "application/json");
        if wire.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = wire.body.clone().unwrap_or_default();
        request.body(Full::new(Bytes::from(body))).map_err(|error| error.to_string())
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        let stream = TcpStream::connect(self.found.as_slice()).await;
        let stream = stream.map_err(|error| error.to_string())?;
        // A request goes out at once, whatever is underway.
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let Some(Trust(connector)) = &self.trust else {
            return started(stream).await;
        };
        let name = ServerName::try_from(self.address.host.clone());
        let name = name.map_err(|error| error.to_string())?;
        let secured = connector.connect(name, stream).await;
        started(secured.map_err(|error| format!("TLS: {error}"))?).await
    }

    fn taken(&self) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| idle.pop()).find(SendRequest::is_ready)
    }

    fn keep(&self, connection: SendRequest<Full<Bytes>>) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}

/// Starts to speak HTTP; the work ends when nobody holds the other half.
async fn started<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (connection, work) =
        handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    tokio::spawn(work);
    Ok(connection)
}

/// A body as a whole, within its bound.
async fn whole(body: Incoming) -> Result<Vec<u8>, String> {
    match Limited::new(body, MAX_BYTES).collect().await {
        Ok(body) => Ok(body.to_bytes().to_vec()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(format!("the answer is longer than {} MiB", MAX_BYTES >> 20))
        }
        Err(error) => Err(format!("the answer breaks off: {error}")),
    }
}

fn header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// What went wrong, for people.
fn words(error: &hyper::Error) -> String {
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return "the server hangs up without an answer".to_owned();
    }
    if error.is_parse() {
        return format!("the answer is not HTTP/1.1: {error}");
    }
    format!("the connection breaks: {error}")
}
