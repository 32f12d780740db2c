//! Plays Agora over keep-alive connections, as cheaply as it can: what the client takes, the
//! servers lack.

use crate::Outcome;
use hdrhistogram::Histogram;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

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

/// A connection that is kept alive.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(64 << 10) })
    }

    /// Asks once; the answer's body, of an answer with status 200.
    pub async fn ask(&mut self, request: &[u8]) -> Outcome<&[u8]> {
        self.stream.write_all(request).await?;
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
    let length =
        response.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|field| str::from_utf8(field.value).ok()?.parse().ok());
    Ok(Some((head, length.ok_or("an answer without a length")?)))
}
