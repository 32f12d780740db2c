//! The measure of speed: hyper with nothing behind it, answering the same bytes.
//!
//! It runs in a process of its own, as the server beside it does: this executable, started again.
//! With one answer it gives it to whatever it is asked; with several it looks the target up in a
//! table.

use crate::Outcome;
use crate::process::Server;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, Uri};
use hyper_util::rt::TokioIo;
use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{BufWriter, Read as _, Write as _};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::{fs, io, process, thread};
use tokio::net::{TcpListener, TcpStream};

/// The variable that makes this executable the bare server; its value is the file with the answers.
const ANSWERS_FILE: &str = "BENCH_BARE_ANSWERS";

/// The file with the answers, where this process is to be the bare server.
pub fn asked_for() -> Option<PathBuf> {
    std::env::var_os(ANSWERS_FILE).map(PathBuf::from)
}

/// Starts it with the answers of a file.
pub fn start(file: &Path) -> Outcome<Server> {
    let mut command = Command::new(std::env::current_exe()?);
    command.env(ANSWERS_FILE, file);
    Server::start(command)
}

/// The file of answers as it is written: in turn a line with a target and a line with its body.
pub struct AnswersFile(BufWriter<fs::File>);

impl AnswersFile {
    /// Makes the file.
    pub fn create(path: &Path) -> Outcome<Self> {
        Ok(Self(BufWriter::new(fs::File::create(path)?)))
    }

    /// Adds an answer, whose body is one line.
    pub fn add(&mut self, target: &str, body: &[u8]) -> Outcome {
        assert!(!body.contains(&b'\n'), "JSON in one line");
        for line in [target.as_bytes(), b"\n", body, b"\n"] {
            self.0.write_all(line)?;
        }
        Ok(())
    }

    /// Ends it.
    pub fn finish(mut self) -> Outcome {
        Ok(self.0.flush()?)
    }
}

/// What is answered.
enum Answers {
    One(Bytes),
    Many(HashMap<Bytes, Bytes>),
}

impl Answers {
    fn read(file: &Path) -> Outcome<Self> {
        let all = Bytes::from(fs::read(file)?);
        let lines: Vec<Bytes> =
            all.split(|byte| *byte == b'\n').map(|line| all.slice_ref(line)).collect();
        let mut answers: HashMap<Bytes, Bytes> =
            lines.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
        match answers.len() {
            1 => Ok(Self::One(answers.drain().next().map(|(_, body)| body).ok_or("no answer")?)),
            _ => Ok(Self::Many(answers)),
        }
    }

    /// The body for a target; nothing where there is none, which the client of a benchmark sees.
    fn body(&self, target: &Uri) -> Bytes {
        match self {
            Self::One(body) => body.clone(),
            Self::Many(bodies) => {
                let target = target.path_and_query().map_or("", |target| target.as_str());
                bodies.get(target.as_bytes()).cloned().unwrap_or_default()
            }
        }
    }
}

/// Serves until standard input ends, as it does when the benchmark does.
pub fn serve(file: &Path) -> Outcome {
    let answers = Arc::new(Answers::read(file)?);
    thread::spawn(end_with_input);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("listening on http://{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(converse(stream, Arc::clone(&answers)));
        }
    })
}

fn end_with_input() {
    let ended = io::stdin().read_to_end(&mut Vec::new());
    process::exit(i32::from(ended.is_err()));
}

async fn converse(stream: TcpStream, answers: Arc<Answers>) {
    let answer = service_fn(|request: hyper::Request<_>| {
        let body = answers.body(request.uri());
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
