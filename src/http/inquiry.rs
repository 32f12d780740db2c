//! One request of our own to a server, by the way that Agora's requests take: through the proxy and
//! TLS, if they stand before it.

use crate::http::client::{Client, Destination, Roots};
use crate::http::tls::last_second;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Uri};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::runtime::Builder;
use tokio::time::timeout;
use tokio_rustls::rustls::RootCertStore;

pub use crate::http::client::Unheard;

/// How long it may take: far longer than Agora waits, so that a slow server is told from a dead
/// one.
const ANSWER: Duration = Duration::from_secs(15);

/// What came back.
#[derive(Clone, Debug)]
pub struct Inquiry {
    /// The status of the answer.
    pub status: u16,
    /// Its body.
    pub body: Vec<u8>,
    /// How long it took, the way there included.
    pub took: Duration,
    /// The last second in which the certificate is good that the server showed; `None` over plain
    /// HTTP.
    pub certificate_ends_at_s: Option<i64>,
}

/// Sends GET to an `http://` or `https://` address. A server's certificate has to be signed by one
/// of the file `ca`, or else by anyone that this system trusts. No error holds the query.
///
/// # Errors
/// When there is no way to the server, or no answer from it.
pub fn inquire(url: &str, ca: Option<&Path>) -> Result<Inquiry, Unheard> {
    let (place, request) = placed(url)?;
    let roots = if place.is_secure {
        ca.map_or(Roots::System, |file| Roots::File(file.to_owned())).read("--ca")
    } else {
        Ok(RootCertStore::empty())
    };
    let client = Client::new(roots.map_err(Unheard::NoAnswer)?);
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Unheard::no_answer(&error))?;
    let began = Instant::now();
    let sent = runtime.block_on(async { timeout(ANSWER, client.send(&place, request)).await });
    // A name server that hangs keeps nobody waiting.
    runtime.shutdown_background();
    let late = |_| {
        let seconds = ANSWER.as_secs();
        Err(Unheard::NoAnswer(format!("it does not answer within {seconds} seconds")))
    };
    let (answer, shown) = sent.unwrap_or_else(late)?;
    Ok(Inquiry {
        status: answer.status().as_u16(),
        took: began.elapsed(),
        certificate_ends_at_s: shown.and_then(|shown| last_second(&shown).ok()),
        body: answer.into_body().to_vec(),
    })
}

/// A request as it is sent, and where it goes.
fn placed(url: &str) -> Result<(Destination, Request<Empty<Bytes>>), Unheard> {
    let uri: Uri = url.parse().map_err(|error| Unheard::no_answer(&error))?;
    let is_secure = uri.scheme_str() == Some("https");
    let no_address = || Unheard::NoAnswer("it is no http:// or https:// address".to_owned());
    let authority = uri.authority().ok_or_else(no_address)?;
    let host = authority.host().trim_matches(['[', ']']).to_owned();
    let port = authority.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
    let header = HeaderValue::from_str(authority.as_str()).map_err(|e| Unheard::no_answer(&e))?;
    let target = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(target).header(HOST, header).body(Empty::new());
    let request = request.map_err(|error| Unheard::no_answer(&error))?;
    Ok((Destination { host, port, is_secure }, request))
}
