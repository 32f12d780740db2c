//! A vendor's server of a few lines, which answers as Agora's pages ask, and a twist that breaks
//! one thing in it.

use crate::vendor::{API_KEY, API_SECRET};
use agora_vendor::agora::request::{Body, ListingRequest, Query, field};
use agora_vendor::agora::signature::{Fields, Key, verify};
use agora_vendor::billing::key::ApiSecret;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub target: String,
    pub path: String,
    /// The ways to read its parameters; empty where they are broken or repeated.
    pub readings: Vec<Fields>,
    pub body: String,
}

/// An answer as it goes out.
#[derive(Clone, Debug)]
pub struct Told {
    pub status: u16,
    pub headers: String,
    pub content_type: &'static str,
    pub body: String,
}

/// What is not checked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lax {
    pub unsigned: bool,
    pub any_signature: bool,
    pub any_key: bool,
    pub any_path: bool,
    pub one_encoding: bool,
}

/// What is kept.
#[derive(Default)]
pub struct Vault {
    pub keys: Mutex<HashMap<String, (String, String)>>,
    pub count: Mutex<HashMap<String, usize>>,
}

impl Vault {
    /// How often this was counted before.
    pub fn seen(&self, name: &str) -> usize {
        let mut count = self.count.lock().expect("a count");
        let count = count.entry(name.to_owned()).or_default();
        *count += 1;
        *count - 1
    }
}

pub const ENTRIES: [(&str, &str); 5] = [
    ("100", "1.5"),
    ("101", "0.3"),
    ("102", "12345678901234567890.123456789"),
    ("103", "2"),
    ("104", "7.25"),
];

impl Told {
    pub fn json(status: u16, body: impl Into<String>) -> Self {
        let content_type = "application/json";
        Self { status, headers: String::new(), content_type, body: body.into() }
    }

    fn refused(asked: &Asked, status: u16) -> Self {
        let is_listing = asked.path == "/usage" || asked.path == "/bill";
        let word = if is_listing { status.to_string() } else { "\"failed\"".to_owned() };
        Self::json(status, format!(r#"{{"status":{word},"statusReason":"no"}}"#))
    }

    /// The same with a text in place of another.
    pub fn with(mut self, before: &str, after: &str) -> Self {
        self.body = self.body.replace(before, after);
        self
    }
}

impl Asked {
    pub fn is(&self, path: &str) -> bool {
        self.path == path
    }

    /// A parameter; nothing where it is not given.
    pub fn field(&self, name: &str) -> &str {
        self.readings.first().and_then(|fields| field(fields, name)).unwrap_or_default()
    }

    /// The right answer.
    pub fn right(&self, vault: &Vault) -> Told {
        self.answer(vault, Lax::default())
    }

    /// The right answer but for what is not checked.
    pub fn answer(&self, vault: &Vault, lax: Lax) -> Told {
        let path = self.path.replacen("//", "/", 1);
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let (methods, call): (&[&str], _) = match parts.as_slice() {
            ["usage" | "bill"] => (&["GET"], "listing"),
            ["customers", _, "license"] => (&["GET"], "license"),
            ["customers", "new"] => (&["POST"], "account"),
            ["customers", _, "projects", "new"] => (&["POST"], "project"),
            ["customers", _, "deactivate"] | ["customers", _, "projects", _, "deactivate"] => {
                (&["PUT"], "end")
            }
            ["license", "customers", _, "activate"] => (&["PUT", "POST"], "configure"),
            _ => return Told::refused(self, 404),
        };
        if !methods.contains(&self.method.as_str()) {
            return Told::refused(self, 405);
        }
        if self.readings.is_empty() {
            return Told::refused(self, 400);
        }
        if !self.is_signed(lax) {
            return Told::refused(self, 401);
        }
        match call {
            "listing" => self.listing(),
            "license" if parts[1] == "licensed" => {
                success(r#","data":{"expireDate":"2030-10-01","residueCount":"100"}"#)
            }
            "license" => Told::refused(self, 404),
            "account" if self.field("customerId").is_empty() => Told::refused(self, 400),
            "project" => self.project(vault),
            _ => success(""),
        }
    }

    fn project(&self, vault: &Vault) -> Told {
        let mut keys = vault.keys.lock().expect("keys");
        let made = || ("k".repeat(32), "s".repeat(44));
        let (key, secret) = keys.entry(self.field("projectId").to_owned()).or_insert_with(made);
        success(&format!(r#","data":{{"appKey":"{key}","appSecret":"{secret}"}}"#))
    }

    fn is_signed(&self, lax: Lax) -> bool {
        let secret: ApiSecret = API_SECRET.parse().expect("a secret");
        let key = Key::from(&secret);
        let body = Body::parse(self.body.as_bytes());
        let given = match &body {
            Ok(body) => body.signature().map(|signature| signature.into_owned()),
            Err(_) => Some(self.field("signature").to_owned()),
        };
        let given = given.unwrap_or_default();
        let is_known = self.field("apiKey") == API_KEY || lax.any_key;
        if given.is_empty() {
            return lax.unsigned;
        }
        let paths: &[&str] = if lax.any_path { &["/usage", "/bill"] } else { &[&self.path] };
        let is_right = |fields: &Fields| {
            paths.iter().any(|path| verify(&key, &self.method, path, fields, &given))
        };
        // Who knows one encoding alone turns the other away.
        let is_strange = lax.one_encoding && !self.field("probe").is_empty() && {
            use agora_vendor::agora::signature::{Encoding, sign, source_string};
            let fields = &self.readings[0];
            let source = source_string(&self.method, &self.path, fields, Encoding::Form);
            sign(&secret, &source) != given
        };
        let is_right = self.readings.iter().any(is_right) && !is_strange;
        is_known && (is_right || lax.any_signature)
    }

    fn listing(&self) -> Told {
        let Ok(asked) = ListingRequest::from_fields(&self.readings[0]) else {
            return Told::refused(self, 400);
        };
        let places = asked.page.places(ENTRIES.len());
        let has_next = places.end < ENTRIES.len();
        let entry = |(id, amount): &(&str, &str)| {
            format!(r#"{{"projectId":"{id}","amount":{amount},"description":"words"}}"#)
        };
        let entries: Vec<String> = ENTRIES[places].iter().map(entry).collect();
        let fields = format!(
            r#""totalSize":5,"pageNum":{},"hasNext":{has_next},"data":[{}]"#,
            asked.page.page_num,
            entries.join(",")
        );
        let head = r#""status":0,"statusReason":"Success""#;
        Told::json(200, format!(r#"{{{head},"data":{{{fields}}}}}"#))
    }

    fn read(stream: &mut BufReader<TcpStream>) -> Option<Self> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let mut words = head.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let length = head.to_ascii_lowercase();
        let length = length.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(Ok(0), str::parse).ok()?];
        stream.read_exact(&mut body).ok()?;
        let body = String::from_utf8(body).ok()?;
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let readings = match Body::parse(body.as_bytes()) {
            Ok(body) => vec![body.fields().clone()],
            Err(_) => Query::parse(query)
                .map(|query| query.readings().cloned().collect())
                .unwrap_or_default(),
        };
        let path = path.to_owned();
        Some(Self { method, path, target, readings, body })
    }
}

/// A success that is said by a word, with more members.
fn success(more: &str) -> Told {
    Told::json(200, format!(r#"{{"status":"success","statusReason":""{more}}}"#))
}

/// What answers a request; `None` hangs up.
pub type Twist = Box<dyn Fn(&Asked, &Vault) -> Option<Told> + Send + Sync>;

/// A server that runs until the process ends.
pub struct StandIn {
    pub port: u16,
}

impl StandIn {
    pub fn start(twist: Twist) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new((twist, Vault::default()));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    let (twist, vault) = &*shared;
                    serve(stream, twist, vault)
                });
            }
        });
        Self { port }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// Answers one connection; ends with it.
fn serve(stream: TcpStream, twist: &Twist, vault: &Vault) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut stream = BufReader::new(stream);
    loop {
        let asked = Asked::read(&mut stream)?;
        let Told { status, headers, content_type, body } = twist(&asked, vault)?;
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status} Status\r\n{headers}Content-Type: {content_type}\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        stream.get_mut().write_all(answer.as_bytes()).ok()?;
    }
}
