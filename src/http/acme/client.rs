//! The way to a certificate authority: HTTPS requests, a connection for each, since there are a
//! dozen in two months.

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
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
/// How long a request may take.
const ANSWER: Duration = Duration::from_secs(30);
/// Longer than any answer of an authority.
const MAX_BYTES: usize = 1 << 20;

/// An authority that was not heard, in words.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unheard {
    /// There is no way to it.
    #[error("{0}")]
    NoWay(String),
    /// It was spoken to.
    #[error("{0}")]
    NoAnswer(String),
}

impl Unheard {
    fn no_way(reason: &impl ToString) -> Self {
        Self::NoWay(reason.to_string())
    }

    fn no_answer(reason: &impl ToString) -> Self {
        Self::NoAnswer(reason.to_string())
    }

    /// The same of a host.
    fn of(self, host: &str) -> Self {
        let said = |reason| format!("{host} cannot be asked: {reason}");
        match self {
            Self::NoWay(reason) => Self::NoWay(said(reason)),
            Self::NoAnswer(reason) => Self::NoAnswer(said(reason)),
        }
    }
}

/// Whom the authority's own certificate has to be signed by.
#[derive(Clone, Debug)]
pub(super) enum Roots {
    /// Anyone that this system trusts.
    System,
    /// One in this PEM file.
    File(PathBuf),
}

impl Roots {
    /// Reads them.
    pub(super) fn read(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        match self {
            Self::System => {
                let found = rustls_native_certs::load_native_certs();
                let (added, _) = roots.add_parsable_certificates(found.certs);
                if added == 0 {
                    return Err(
                        "this system trusts no certificate authority: install the package \
                                ca-certificates, or name a file with --acme-ca"
                            .to_owned(),
                    );
                }
            }
            Self::File(path) => add_file(&mut roots, path)
                .map_err(|problem| format!("--acme-ca {}: {problem}", path.display()))?,
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

    async fn send(
        &self,
        place: &Destination,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Result<Response<Full<Bytes>>, Unheard> {
        let name = ServerName::try_from(place.host.clone()).map_err(|e| Unheard::no_answer(&e))?;
        let stream = connect(place).await?;
        let stream =
            self.connector.connect(name, stream).await.map_err(|e| Unheard::no_answer(&e))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|e| Unheard::no_answer(&e))?;
        // Ends with this request, however that ends.
        let mut work = JoinSet::new();
        work.spawn(connection);
        let answer = sender.send_request(request).await.map_err(|e| Unheard::no_answer(&e))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, MAX_BYTES).collect().await;
        let body = body.map_err(|e| Unheard::no_answer(&e))?.to_bytes();
        Ok(Response::from_parts(head, Full::new(body)))
    }
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

impl HttpClient for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let client = self.clone();
        Box::pin(async move {
            let unheard = |error: Unheard| instant_acme::Error::Other(Box::new(error));
            let (place, request) = placed(request).map_err(unheard)?;
            let sent = timeout(ANSWER, client.send(&place, request)).await;
            let late = |_| Err(Unheard::no_answer(&"it does not answer within 30 seconds"));
            let answer = sent.unwrap_or_else(late).and_then(understood);
            answer.map(BytesResponse::from).map_err(|error| unheard(error.of(&place.host)))
        })
    }
}

/// Where a request goes.
struct Destination {
    host: String,
    port: u16,
}

/// A request as it is sent, and where it goes.
fn placed(
    mut request: Request<BodyWrapper<Bytes>>,
) -> Result<(Destination, Request<BodyWrapper<Bytes>>), Unheard> {
    let address = request.uri().clone();
    let (Some("https"), Some(authority)) = (address.scheme_str(), address.authority()) else {
        return Err(Unheard::NoAnswer(format!("{address} is no https:// address")));
    };
    let header = HeaderValue::from_str(authority.as_str()).map_err(|e| Unheard::no_answer(&e))?;
    request.headers_mut().insert(HOST, header);
    let path = address.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse::<Uri>().map_err(|e| Unheard::no_answer(&e))?;
    let host = authority.host().trim_matches(['[', ']']).to_owned();
    Ok((Destination { host, port: authority.port_u16().unwrap_or(443) }, request))
}

/// An answer that is the authority's: whatever stands before it answers in other forms.
fn understood(answer: Response<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Unheard> {
    let status = answer.status();
    let form = answer.headers().get(CONTENT_TYPE).and_then(|form| form.to_str().ok());
    let is_problem = form.is_some_and(|form| form.starts_with("application/problem+json"));
    if status.is_success() || is_problem {
        Ok(answer)
    } else {
        Err(Unheard::NoAnswer(format!("it says {status}")))
    }
}
