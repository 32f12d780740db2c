//! The measure of speed: hyper with nothing behind it, answering the same bytes to whatever is asked.
//!
//! It runs in a process of its own, as the server beside it does: this executable, started again.

use crate::Outcome;
use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io::Read as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io, process, thread};
use tokio::net::{TcpListener, TcpStream};

/// The variable that makes this executable the bare server; its value is the file with the answer's body.
const BODY_FILE: &str = "BENCH_BARE_BODY";

/// The file with the body to answer, where this process is to be the bare server.
pub fn asked_for() -> Option<PathBuf> {
    std::env::var_os(BODY_FILE).map(PathBuf::from)
}

/// The command that starts it.
pub fn command(body: &Path) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.env(BODY_FILE, body);
    Ok(command)
}

/// Serves until standard input ends, as it does when the benchmark does.
pub fn serve(body: &Path) -> Outcome {
    let body = Bytes::from(fs::read(body)?);
    thread::spawn(end_with_input);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("listening on http://{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(converse(stream, body.clone()));
        }
    })
}

fn end_with_input() {
    let ended = io::stdin().read_to_end(&mut Vec::new());
    process::exit(i32::from(ended.is_err()));
}

async fn converse(stream: TcpStream, body: Bytes) {
    let answer = service_fn(|_| {
        let body = body.clone();
        async move { Ok::<_, Infallible>(response(body)) }
    });
    if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await {
        eprintln!("bare server: a connection broke off: {error}");
    }
}

/// With the headers of our own answers.
fn response(body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
