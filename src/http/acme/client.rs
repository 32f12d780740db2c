//! The way to a certificate authority: HTTPS requests, a dozen in two months.

use crate::http::client::{Client, Destination, Unheard};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Request, Response, Uri};
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};
use std::pin::Pin;
use std::time::Duration;
use tokio::time::timeout;
use tokio_rustls::rustls::RootCertStore;

/// How long a request may take.
const ANSWER: Duration = Duration::from_secs(30);

/// Speaks with an authority.
#[derive(Clone)]
pub(super) struct AuthorityClient(Client);

impl AuthorityClient {
    pub(super) fn new(roots: RootCertStore) -> Self {
        Self(Client::new(roots))
    }
}

impl HttpClient for AuthorityClient {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let client = self.0.clone();
        Box::pin(async move {
            let unheard = |error: Unheard| instant_acme::Error::Other(Box::new(error));
            let (place, request) = placed(request).map_err(unheard)?;
            let sent = timeout(ANSWER, client.send(&place, request)).await;
            let late = |_| Err(Unheard::no_answer(&"it does not answer within 30 seconds"));
            let answer = sent.unwrap_or_else(late).and_then(|(answer, _)| understood(answer));
            answer.map(BytesResponse::from).map_err(|error| unheard(error.of(&place.host)))
        })
    }
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
    let port = authority.port_u16().unwrap_or(443);
    Ok((Destination { host, port, is_secure: true }, request))
}

/// An answer that is the authority's: whatever stands before it answers in other forms.
fn understood(answer: Response<Bytes>) -> Result<Response<Full<Bytes>>, Unheard> {
    let status = answer.status();
    let form = answer.headers().get(CONTENT_TYPE).and_then(|form| form.to_str().ok());
    let is_problem = form.is_some_and(|form| form.starts_with("application/problem+json"));
    if status.is_success() || is_problem {
        Ok(answer.map(Full::new))
    } else {
        Err(Unheard::NoAnswer(format!("it says {status}")))
    }
}
