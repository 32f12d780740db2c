//! The admin listener: whether the server is well, for those who run it. It has room for a few
//! connections of its own, one request each, and takes none of the public listener's.

use crate::agora::readiness::{no_admin_path, readiness};
use crate::agora::reply::{self, Reply};
use crate::http::door::{Door, Place};
use crate::http::exposition::{CONTENT_TYPE, Exposition, WaitsSeen};
use crate::http::journal::{self, Kind};
use crate::http::listener::Listener;
use crate::http::metrics::Metrics;
use crate::http::security::Security;
use crate::http::watch::Watch;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE as CONTENT_TYPE_NAME, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;

/// How many connections are open at a time.
const CONNECTIONS: usize = 16;
/// How long a request's head may take to arrive.
const HEAD: Duration = Duration::from_secs(5);
/// How long a connection may last.
const CONVERSATION: Duration = Duration::from_secs(15);
/// How much is read of a request.
const READ_BYTES: usize = 8 << 10;

/// What the admin listener's answers are made of.
pub(super) struct Admin {
    pub watch: Watch,
    pub metrics: Arc<Metrics>,
    /// The public listener's.
    pub door: Arc<Door>,
    pub security: Arc<Security>,
    pub started_at_s: i64,
    /// For the one look at the books that is taken at a time, on a thread that may wait for their
    /// lock, or long for a survey.
    pub looks: Semaphore,
    /// The same for those that only try to read, which wait for none of the others.
    pub reads: Semaphore,
}

/// Answers on the admin listener until its task is aborted.
pub(super) async fn serve(mut listener: Listener, admin: Arc<Admin>) {
    let door = Arc::new(Door::of(CONNECTIONS));
    let mut conversations = JoinSet::new();
    loop {
        let accepted = listener.accept().await;
        while conversations.try_join_next().is_some() {}
        match accepted {
            Ok(stream) => {
                door.make_room().await;
                let place = door.enter();
                let number = place.number();
                let conversation = converse(stream, Arc::clone(&admin), place);
                door.entrust(number, conversations.spawn(conversation));
            }
            Err(error) => {
                journal::tell(Kind::Unaccepted, || {
                    log::error!("cannot accept a connection of the admin listener: {error}");
                });
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, admin: Arc<Admin>, place: Place) {
    let answer = service_fn(|request: Request<Incoming>| {
        // Whole as it is, its connection makes room for nobody until it is answered.
        place.keep();
        let admin = Arc::clone(&admin);
        async move { Ok::<_, Infallible>(admin.answer(&request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(READ_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer);
    match timeout(CONVERSATION, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => log::debug!("a connection of the admin listener broke off: {error}"),
        Err(_) => log::debug!("a connection of the admin listener took too long"),
    }
}

impl Admin {
    async fn answer(self: Arc<Self>, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        let has_path = matches!(path, "/healthz" | "/readyz" | "/metrics");
        if !has_path || !matches!(*request.method(), Method::GET | Method::HEAD) {
            return of_reply(no_admin_path(has_path));
        }
        let path = path.to_owned();
        let look = async {
            let turns = if path == "/healthz" { &self.reads } else { &self.looks };
            // The semaphores are never closed.
            let _turn = turns.acquire().await;
            let admin = Arc::clone(&self);
            spawn_blocking(move || admin.look(&path)).await
        };
        match look.await {
            Ok(response) => response,
            Err(error) => {
                log::error!("the admin listener has no answer: {error}");
                of_reply(Reply { status: 500, headers: Vec::new(), body: Vec::new() })
            }
        }
    }

    /// What a path says. Waits for the books.
    fn look(&self, path: &str) -> Response<Full<Bytes>> {
        match path {
            "/metrics" => {
                let exposition = Exposition {
                    metrics: Arc::clone(&self.metrics),
                    waits: WaitsSeen::of(self.watch.books().writer().waits()),
                    connections: self.door.count(),
                    lost_lines: journal::lost_lines(),
                    started_at_s: self.started_at_s,
                    certificate_ends_at_s: self.security.ends_at_s(),
                    sight: self.watch.sight(),
                    now_s: jiff::Timestamp::now().as_second(),
                };
                response(200, CONTENT_TYPE, exposition.page().into())
            }
            "/readyz" => of_reply(readiness(&self.watch.readiness())),
            _ => {
                let reading = self.watch.reading();
                let is_well = reading.iter().all(|one| one.problem.is_none());
                of_reply(if is_well { reply::success() } else { readiness(&reading) })
            }
        }
    }
}

fn of_reply(reply: Reply) -> Response<Full<Bytes>> {
    response(reply.status, "application/json", reply.body)
}

fn response(status: u16, content_type: &'static str, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status of HTTP");
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE_NAME, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
