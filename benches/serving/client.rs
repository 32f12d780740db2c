//! Plays Agora over keep-alive connections, as cheaply as it can: what the client takes, the servers lack.

use crate::Outcome;
use agora_vendor::agora::signature::{self, API_KEY, Encoding, SIGNATURE};
use agora_vendor::billing::key::KeyPair;
use agora_vendor::billing::period::Period;
use hdrhistogram::Histogram;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// The longest time that is told apart; far above every deadline of the server.
const LONGEST_NS: u64 = 60_000_000_000;

/// An empty histogram of times in nanoseconds, to three digits.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("bounds that a histogram can have")
}

/// A time as a histogram counts it.
pub fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(LONGEST_NS).min(LONGEST_NS)
}

/// The signed target of a request for the first 100 entries of a window's usage.
pub fn usage_target(pair: &KeyPair, period: Period) -> String {
    let path = "/usage";
    let fields = [
        ("fromTs", period.first_s().to_string()),
        ("toTs", period.last_s().to_string()),
        ("pageNum", "1".to_owned()),
        ("limit", "100".to_owned()),
        (API_KEY, pair.api_key.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec();
    let source = signature::source_string("GET", path, &fields, Encoding::Form);
    let signed = Encoding::Form.encode(&signature::sign(&pair.api_secret, &source));
    let query: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{path}?{}&{SIGNATURE}={signed}", query.join("&"))
}

/// A signed POST of a JSON object with these fields.
pub fn signed_post(pair: &KeyPair, host: SocketAddr, path: &str, fields: &[(&str, String)]) -> Vec<u8> {
    let mut fields: Vec<(String, String)> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    fields.push((API_KEY.to_owned(), pair.api_key.to_string()));
    let source = signature::source_string("POST", path, &fields, Encoding::Form);
    fields.push((SIGNATURE.to_owned(), signature::sign(&pair.api_secret, &source)));
    let body = serde_json::Value::Object(fields.into_iter().map(|(name, value)| (name, value.into())).collect());
    let body = body.to_string();
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

/// A connection that asks the same again and again.
pub struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects, to ask for a target.
    pub async fn open(address: SocketAddr, target: &str) -> Outcome<Self> {
        Self::open_with(address, format!("GET {target} HTTP/1.1\r\nhost: {address}\r\n\r\n").into_bytes()).await
    }

    /// Connects, to send a request as it is.
    pub async fn open_with(address: SocketAddr, request: Vec<u8>) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, request, buffer: Vec::with_capacity(64 << 10) })
    }

    /// Asks once; the answer's body, of an answer with status 200.
    pub async fn ask(&mut self) -> Outcome<&[u8]> {
        self.stream.write_all(&self.request).await?;
        self.buffer.clear();
        let (head, body) = loop {
            self.read_more().await?;
            if let Some(lengths) = lengths(&self.buffer)? {
                break lengths;
            }
        };
        while self.buffer.len() < head + body {
            self.read_more().await?;
        }
        Ok(&self.buffer[head..])
    }

    async fn read_more(&mut self) -> Outcome {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err("the server hung up".into()),
            _ => Ok(()),
        }
    }
}

/// The lengths of an answer's head and body; `None` while the head is not whole.
fn lengths(answer: &[u8]) -> Outcome<Option<(usize, usize)>> {
    let mut fields = [httparse::EMPTY_HEADER; 16];
    let mut response = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(head) = response.parse(answer)? else {
        return Ok(None);
    };
    if response.code != Some(200) {
        return Err(format!("not answered: {}", String::from_utf8_lossy(answer)).into());
    }
    let length = response.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|field| str::from_utf8(field.value).ok()?.parse().ok());
    Ok(Some((head, length.ok_or("an answer without a length")?)))
}

/// What came of a load.
pub struct Load {
    /// How long it lasted.
    pub lasted: Duration,
    /// Each answer's time, in nanoseconds, from sending the request to having it whole.
    pub latencies: Histogram<u64>,
}

impl Load {
    /// Puts a load on a server: each of so many connections asks again as soon as it has its answer.
    pub async fn put(address: SocketAddr, target: &str, connections: usize, lasting: Duration) -> Outcome<Self> {
        let mut opened = Vec::new();
        for _ in 0..connections {
            opened.push(Connection::open(address, target).await?);
        }
        let start = Instant::now();
        let mut asking = JoinSet::new();
        for connection in opened {
            asking.spawn(ask_until(connection, start + lasting));
        }
        let mut latencies = histogram();
        while let Some(asked) = asking.join_next().await {
            latencies.add(asked??)?;
        }
        Ok(Self { lasted: start.elapsed(), latencies })
    }

    /// Answers a second.
    pub fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.lasted.as_secs_f64()
    }
}

async fn ask_until(mut connection: Connection, end: Instant) -> Outcome<Histogram<u64>> {
    let mut latencies = histogram();
    let mut asked = Instant::now();
    while asked < end {
        connection.ask().await?;
        let answered = Instant::now();
        latencies.record(nanoseconds(answered - asked))?;
        asked = answered;
    }
    Ok(latencies)
}
