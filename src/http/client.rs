//! Requests of our own: to a certificate authority, or to a listener that is to be tried. A
//! connection for each, since they are few.

use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes};
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// How long one address may take to be connected to: there may be another.
const CONNECT: Duration = Duration::from_secs(10);
/// Longer than any answer that is asked for.
const MAX_BYTES: usize = 1 << 20;

/// A server that was not heard, in words.
#[derive(Debug, thiserror::Error)]
pub enum Unheard {
    /// There is no way to it.
    #[error("{0}")]
    NoWay(String),
    /// It was spoken to.
    #[error("{0}")]
    NoAnswer(String),
}

impl Unheard {
    pub(super) fn no_way(reason: &impl ToString) -> Self {
        Self::NoWay(reason.to_string())
    }

    pub(super) fn no_answer(reason: &impl ToString) -> Self {
        Self::NoAnswer(reason.to_string())
    }

    /// The same of a host.
    pub(super) fn of(self, host: &str) -> Self {
        let said = |reason| format!("{host} cannot be asked: {reason}");
        match self {
            Self::NoWay(reason) => Self::NoWay(said(reason)),
            Self::NoAnswer(reason) => Self::NoAnswer(said(reason)),
        }
    }
}

/// Whom the server's own certificate has to be signed by.
#[derive(Clone, Debug)]
pub(super) enum Roots {
    /// Anyone that this system trusts.
    System,
    /// One in this PEM file.
    File(PathBuf),
}

impl Roots {
    /// Reads them; `flag` is the one that names a file of them.
    pub(super) fn read(&self, flag: &str) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        match self {
            Self::System => {
                let found = rustls_native_certs::load_native_certs();
                let (added, _) = roots.add_parsable_certificates(found.certs);
                if added == 0 {
                    return Err(format!(
                        "this system trusts no certificate authority: install the package \
                         ca-certificates, or name a file with {flag}"
                    ));
                }
            }
            Self::File(path) => add_file(&mut roots, path)
                .map_err(|problem| format!("{flag} {}: {problem}", path.display()))?,
        }
        Ok(roots)
    }
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let all = CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())?;
    for one in all {
        let one = one.map_err(|error| error.to_string())?;
        roots.add(one).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() {
        return Err("it holds no certificate: a PEM file with CERTIFICATE is needed".to_owned());
    }
    Ok(())
}

/// Where a request goes.
pub(super) struct Destination {
    pub(super) host: String,
    pub(super) port: u16,
    /// Whether over TLS.
    pub(super) is_secure: bool,
}

/// Sends requests.
#[derive(Clone)]
pub(super) struct Client {
    connector: TlsConnector,
}

impl Client {
    pub(super) fn new(roots: RootCertStore) -> Self {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("the provider knows both versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { connector: TlsConnector::from(Arc::new(config)) }
    }

    /// Sends a request, and gives the answer with the server's certificate, if it showed one.
    pub(super) async fn send<B>(
        &self,
        place: &Destination,
        request: Request<B>,
    ) -> Result<(Response<Bytes>, Option<CertificateDer<'static>>), Unheard>
    where
        B: Body<Error: Into<Box<dyn Error + Send + Sync>>, Data: Send> + Send + 'static,
    {
        let stream = connect(place).await?;
        if !place.is_secure {
            return Ok((exchange(stream, request).await?, None));
        }
        let name = ServerName::try_from(place.host.clone()).map_err(|e| Unheard::no_answer(&e))?;
        let connected = self.connector.connect(name, stream).await;
        let stream = connected.map_err(|e| Unheard::no_answer(&e))?;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let shown = shown.map(|certificate| certificate.clone().into_owned());
        Ok((exchange(stream, request).await?, shown))
    }
}

/// Sends a request on a connection that stands.
async fn exchange<B>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<B>,
) -> Result<Response<Bytes>, Unheard>
where
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>, Data: Send> + Send + 'static,
{
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|e| Unheard::no_answer(&e))?;
    // Ends with this request, however that ends.
    let mut work = JoinSet::new();
    work.spawn(connection);
    let answer = sender.send_request(request).await.map_err(|e| Unheard::no_answer(&e))?;
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, MAX_BYTES).collect().await;
    let body = body.map_err(|e| Unheard::no_answer(&e))?.to_bytes();
    Ok(Response::from_parts(head, body))
}

/// Connects to the first address of a host that answers.
async fn connect(place: &Destination) -> Result<TcpStream, Unheard> {
    let found = tokio::net::lookup_host((place.host.as_str(), place.port)).await;
    let mut reason = "the name has no address".to_owned();
    for address in found.map_err(|error| Unheard::no_way(&error))? {
        reason = match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => format!("{address}: {error}"),
            Err(_) => format!("{address} does not answer"),
        };
    }
    Err(Unheard::NoWay(reason))
}
