//! Kinds of abuse by somebody without a key.

use crate::Outcome;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How long a dripping connection waits between two bytes.
const DRIP: Duration = Duration::from_secs(1);
/// How long one waits until it connects again once it was closed.
const AGAIN: Duration = Duration::from_millis(200);
/// Connections that send as fast as they are answered.
const SENDERS: usize = 600;

/// A kind of abuse.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Abuse {
    /// None: for comparison.
    Nothing,
    /// Connections that say nothing.
    Idle,
    /// Heads a byte at a time.
    DrippingHeads,
    /// Bodies a byte at a time.
    DrippingBodies,
    /// Blank lines.
    BlankLines,
    /// Connections that have asked for `/healthz` and say no more.
    FreshlyUsed,
    /// Bodies of 7,000 fields, without a signature.
    ManyFields,
    /// Bodies of as many fields as are looked at, with a wrong signature.
    WrongSignatures,
}

impl Abuse {
    pub const ALL: [Self; 8] = [
        Self::Nothing,
        Self::Idle,
        Self::DrippingHeads,
        Self::DrippingBodies,
        Self::BlankLines,
        Self::FreshlyUsed,
        Self::ManyFields,
        Self::WrongSignatures,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Idle => "idle connections",
            Self::DrippingHeads => "dripping heads",
            Self::DrippingBodies => "dripping bodies",
            Self::BlankLines => "blank lines",
            Self::FreshlyUsed => "freshly used connections",
            Self::ManyFields => "bodies of 7,000 fields",
            Self::WrongSignatures => "wrong signatures",
        }
    }

    /// Tells whether all is sent again as soon as it is answered.
    pub fn never_pauses(self) -> bool {
        self.sends().2
    }

    /// What is sent at first, what is sent drop by drop, and whether all is sent again and again.
    fn sends(self) -> (String, &'static [u8], bool) {
        let post = |body: &str| {
            let length = body.len();
            format!(
                "POST /customers/new HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n{body}"
            )
        };
        let fields = |count: usize| {
            let fields: Vec<String> = (0..count).map(|n| format!("\"n{n}\":1")).collect();
            format!("{{{},\"apiKey\":\"k\",\"signature\":\"s\"}}", fields.join(","))
        };
        match self {
            Self::Nothing | Self::Idle => (String::new(), b"", false),
            Self::DrippingHeads => ("GET /usage?fromTs=".to_owned(), b"1", false),
            Self::DrippingBodies => {
                (post(&" ".repeat(5_000)).trim_end_matches(' ').to_owned(), b" ", false)
            }
            Self::BlankLines => (String::new(), b"\r\n", false),
            Self::FreshlyUsed => {
                ("GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), b"", false)
            }
            Self::ManyFields => (post(&fields(7_000)), b"", true),
            Self::WrongSignatures => (post(&fields(62)), b"", true),
        }
    }

    /// Begins; it ends when what is returned is dropped.
    pub fn begin(self, address: SocketAddr, crowd: usize) -> JoinSet<()> {
        let mut abusers = JoinSet::new();
        let (first, drip, again) = self.sends();
        let count = if self == Self::Nothing {
            0
        } else if again {
            SENDERS.min(crowd)
        } else {
            crowd
        };
        for _ in 0..count {
            let first = first.clone();
            abusers.spawn(async move {
                loop {
                    // Whatever ends a connection, the next one follows.
                    let _ended = abuse(address, first.as_bytes(), drip, again).await;
                    sleep(AGAIN).await;
                }
            });
        }
        abusers
    }
}

async fn abuse(address: SocketAddr, first: &[u8], drip: &[u8], again: bool) -> Outcome {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(first).await?;
    let mut buffer = [0; 4 << 10];
    loop {
        match timeout(DRIP, stream.read(&mut buffer)).await {
            Ok(read) => match read? {
                0 => return Ok(()),
                _ if again => stream.write_all(first).await?,
                _ => {}
            },
            Err(_) => stream.write_all(drip).await?,
        }
    }
}

/// The connections of both sides are files of this process or its child.
pub fn let_many_files_be_open() -> Outcome {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let current = maximum.map(|maximum| maximum.min(16_384));
    Ok(setrlimit(Resource::Nofile, Rlimit { current, maximum })?)
}
