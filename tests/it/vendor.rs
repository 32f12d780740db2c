//! The fixture: a vendor with books of its own, its server, and Agora's part.

use agora_vendor::agora::request::Body;
use agora_vendor::agora::signature::{self, Encoding, source_string};
use agora_vendor::billing::key::{ApiSecret, KeyPair, Purpose};
use agora_vendor::billing::period::{Grain, Period};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The key pair of the examples on Agora's page "Encrypted signature".
pub const API_KEY: &str = "pzD5XinRSlmA64tZx81fL92YcBsJK0gd";
pub const API_SECRET: &str = "U1SXE6k57vxVRjTomgquwC2F3tH8ziOB";

/// Tells whether the long form of a test is wanted.
pub fn long() -> bool {
    std::env::var_os("AGORA_VENDOR_LONG_TESTS").is_some()
}

/// Says that a test shows nothing on this machine, past the capture of what tests print.
pub fn skipped(why: &str) {
    writeln!(std::io::stderr(), "SKIPPED: {why}").expect("a standard error");
}

/// A vendor with fresh books, whose live key pair is that of Agora's examples.
pub struct Vendor {
    folder: TempDir,
}

/// What a command printed, and how it ended.
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Vendor {
    /// A folder without books.
    pub fn without_books() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    pub fn new() -> Self {
        let vendor = Self::without_books();
        std::fs::write(vendor.path("secret"), format!("{API_SECRET}\n")).expect("a file");
        vendor.ok(["init", "--api-key", API_KEY, "--api-secret-file", "secret"]);
        vendor
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn db(&self) -> PathBuf {
        self.path("agora-vendor.db")
    }

    /// The executable, at work in this vendor's folder.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_agora-vendor"));
        command.args(arguments).current_dir(self.folder.path()).env("AGORA_VENDOR_DB", self.db());
        command.env_remove("AGORA_VENDOR_LOG").env_remove("JOURNAL_STREAM").stdin(Stdio::null());
        command.env_remove("AGORA_VENDOR_LISTEN");
        self.set_clock(&mut command);
        command
    }

    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ended {
        self.command(arguments).output().expect("the executable runs").into()
    }

    /// Runs a command that must succeed.
    pub fn ok<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ended {
        let ended = self.run(arguments);
        assert_eq!(ended.code, 0, "{}", ended.err);
        ended
    }

    /// Runs a command that must end with `code`, and gives what it said on stderr.
    pub fn fails<S: AsRef<OsStr>>(
        &self,
        code: i32,
        arguments: impl IntoIterator<Item = S>,
    ) -> String {
        let ended = self.run(arguments);
        assert_eq!(ended.code, code, "{}{}", ended.out, ended.err);
        ended.err
    }

    /// Runs a command that must succeed, with `--json`.
    pub fn json<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Value {
        let mut command = self.command(arguments);
        let ended: Ended = command.arg("--json").output().expect("the executable runs").into();
        assert_eq!(ended.code, 0, "{}", ended.err);
        serde_json::from_str(&ended.out).unwrap_or_else(|e| panic!("{e}: {}", ended.out))
    }

    /// The sum of all usage there is.
    pub fn total(&self) -> String {
        let totals = self.json(["totals", "--from", "2001-09-09", "--to", "2100-01-01"]);
        totals["total"].as_str().expect("a string").to_owned()
    }

    /// A connection to the books, past the executable's own doors.
    pub fn sql(&self) -> rusqlite::Connection {
        let connection = rusqlite::Connection::open(self.db()).expect("the books");
        connection.busy_timeout(Duration::from_secs(10)).expect("a timeout");
        connection
    }

    pub fn serve(&self) -> Server {
        self.serve_with::<&str>([])
    }

    pub fn serve_with<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Server {
        self.serve_logging("debug", arguments)
    }

    /// A server that logs from this level on.
    pub fn serve_logging<S: AsRef<OsStr>>(
        &self,
        level: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> Server {
        let mut command = self.command(["serve", "--listen", "127.0.0.1:0", "--log", level]);
        command.args(arguments);
        self.serve_by(command)
    }

    /// Starts a server by a command of a test's own.
    pub fn serve_by(&self, command: Command) -> Server {
        let log = File::options().create(true).append(true).open(self.path("server.log"));
        self.serve_by_into(command, log.expect("a log").into())
    }

    /// The same, which logs into a stream.
    pub fn serve_by_into(&self, mut command: Command, log: Stdio) -> Server {
        let child = command.stdout(Stdio::piped()).stderr(log).spawn().expect("it starts");
        Server::ready(child, self.path("server.log"))
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self {
            code: output.status.code().unwrap_or(-1),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

/// A server at work; killed when it goes out of scope.
pub struct Server {
    child: Child,
    port: u16,
    log: PathBuf,
}

/// What came back over the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The sentence that says why.
    pub fn reason(&self) -> String {
        self.json()["statusReason"].as_str().expect("a reason").to_owned()
    }

    /// The entries of a page as project and amount, the amount as it stands in the text.
    pub fn entries(&self) -> Vec<(String, String)> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Entry {
            project_id: String,
            amount: Box<serde_json::value::RawValue>,
        }
        #[derive(serde::Deserialize)]
        struct Page {
            data: Vec<Entry>,
        }
        #[derive(serde::Deserialize)]
        struct Whole {
            data: Page,
        }
        assert_eq!(self.status, 200, "{self:?}");
        let whole: Whole = serde_json::from_str(&self.body).expect("a page");
        whole
            .data
            .data
            .into_iter()
            .map(|entry| (entry.project_id, entry.amount.get().to_owned()))
            .collect()
    }
}

impl Server {
    fn ready(mut child: Child, log: PathBuf) -> Self {
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let port = line.trim().rsplit(':').next().and_then(|port| port.parse().ok());
        let port = port.unwrap_or_else(|| panic!("{line:?}: {:?}", std::fs::read_to_string(&log)));
        assert!(
            ["http", "https"]
                .map(|scheme| format!("listening on {scheme}://127.0.0.1:{port}\n"))
                .contains(&line)
        );
        Self { child, port, log }
    }

    pub fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("a log")
    }

    /// The log, once it holds these words.
    pub fn log_with(&self, words: &str) -> String {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let log = self.log();
            if log.contains(words) {
                return log;
            }
            assert!(Instant::now() < end, "{words}: {log}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        stream
    }

    /// Sends bytes as they are, and gives the first answer; none where the server hangs up without
    /// one.
    pub fn send(&self, bytes: &[u8]) -> Option<Answer> {
        let mut stream = self.connect();
        // The server may answer and hang up before it has all of them.
        let _sent = stream.write_all(bytes);
        read_answer(&mut BufReader::new(stream))
    }

    /// Sends bytes as they are, and gives all that is said until the server ends the connection.
    pub fn say(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        // The server may answer and hang up before it has all of them.
        let _sent = stream.write_all(bytes);
        String::from_utf8(read_rest(stream)).expect("UTF-8")
    }

    /// Asks for a target without signing it.
    pub fn get(&self, target: &str) -> Answer {
        let request = format!("GET {target} HTTP/1.1\r\nHost: vendor\r\n\r\n");
        self.send(request.as_bytes()).unwrap_or_else(|| panic!("no answer to {request}"))
    }

    /// The same of a server that may be gone, or go: `None` where there is no whole answer.
    pub fn try_get(&self, target: &str) -> Option<Answer> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream
            .write_all(
                format!("GET {target} HTTP/1.1\r\nHost: vendor\r\nConnection: close\r\n\r\n")
                    .as_bytes(),
            )
            .ok()?;
        let mut told = String::new();
        stream.read_to_string(&mut told).ok()?;
        let (head, body) = told.split_once("\r\n\r\n")?;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok())?;
        let is_whole = length.parse() == Ok(body.len());
        is_whole.then(|| Answer { status, head: head.to_owned(), body: body.to_owned() })
    }

    /// Asks as Agora does, signed with the live pair.
    pub fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Answer {
        self.get(&signed(API_KEY, API_SECRET, path, parameters))
    }

    /// Sends a JSON object as Agora does, signed with the live pair, on a connection of its own.
    pub fn call(&self, method: &str, path: &str, fields: &str) -> Answer {
        let request =
            with_body(method, path, &signed_body(API_KEY, API_SECRET, method, path, fields));
        self.send(request.as_bytes()).unwrap_or_else(|| panic!("no answer to {request}"))
    }

    /// Asks for page 1 of the usage of a window.
    pub fn usage(&self, from_ts: i64, to_ts: i64) -> Answer {
        self.listing("/usage", from_ts, to_ts, 1)
    }

    pub fn listing(&self, path: &str, from_ts: i64, to_ts: i64, page_num: usize) -> Answer {
        let (from_ts, to_ts, page_num) =
            (from_ts.to_string(), to_ts.to_string(), page_num.to_string());
        self.ask(path, &[("fromTs", &from_ts), ("toTs", &to_ts), ("pageNum", &page_num)])
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        signal(name, &self.child.id().to_string());
    }

    /// Waits for its end, and gives its exit code.
    pub fn wait(mut self) -> Option<i32> {
        self.child.wait().expect("it ends").code()
    }

    /// Ends it at once, in the midst of whatever it does.
    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("an end");
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a state").is_none()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, as it should in some tests.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Sends a signal to a process, or to a group of them where the number is negative.
pub fn signal(name: &str, process: &str) {
    let sent = Command::new("sh").args(["-c", "kill -s \"$0\" -- \"$1\"", name, process]).status();
    assert!(sent.expect("a shell").success());
}

/// Reads one answer, keeping the connection for the next.
pub fn read_answer(stream: &mut BufReader<TcpStream>) -> Option<Answer> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).unwrap_or(0) == 0 {
            assert_eq!(head, "", "the answer breaks off");
            return None;
        }
    }
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    // A proxy writes the names of fields in its own way.
    let lower = head.to_ascii_lowercase();
    let length =
        lower.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    let mut body = vec![0; length.parse().expect("a number")];
    stream.read_exact(&mut body).expect("a whole body");
    Some(Answer { status, head, body: String::from_utf8(body).expect("UTF-8") })
}

/// Reads what is left on a connection until the server ends it.
pub fn read_rest(mut stream: TcpStream) -> Vec<u8> {
    stream.shutdown(Shutdown::Write).expect("a half-close");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("an end");
    rest
}

/// A target with its parameters, key and signature.
pub fn signed(api_key: &str, api_secret: &str, path: &str, parameters: &[(&str, &str)]) -> String {
    let mut fields: Vec<(String, String)> =
        parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    fields.push(("apiKey".to_owned(), api_key.to_owned()));
    let secret: ApiSecret = api_secret.parse().expect("a secret");
    let signature = signature::sign(&secret, &source_string("GET", path, &fields, Encoding::Form));
    fields.push(("signature".to_owned(), signature));
    let encode = |text: &str| Encoding::Rfc3986.encode(text);
    let pairs: Vec<String> =
        fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    format!("{path}?{}", pairs.join("&"))
}

/// A JSON object with key and signature added to its fields.
pub fn signed_body(
    api_key: &str,
    api_secret: &str,
    method: &str,
    path: &str,
    fields: &str,
) -> String {
    let comma = if fields.is_empty() { "" } else { "," };
    let unsigned = format!(r#"{{{fields}{comma}"apiKey":"{api_key}"}}"#);
    let body = Body::parse(unsigned.as_bytes()).unwrap_or_else(|e| panic!("{e}: {unsigned}"));
    let secret: ApiSecret = api_secret.parse().expect("a secret");
    let signature =
        signature::sign(&secret, &source_string(method, path, body.fields(), Encoding::Form));
    format!(r#"{},"signature":"{signature}"}}"#, &unsigned[..unsigned.len() - 1])
}

/// A request with a body, as it is sent.
pub fn with_body(method: &str, path: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: vendor\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The first second of a month, counted from January of 2026.
pub fn month_s(number: usize) -> i64 {
    second(&format!("{}-{:02}-01T00:00:00Z", 2026 + number / 12, number % 12 + 1))
}

/// The live pair of the tests' books.
pub fn live_pair() -> KeyPair {
    KeyPair {
        api_key: API_KEY.parse().expect("a key"),
        api_secret: API_SECRET.parse().expect("a secret"),
        purpose: Purpose::Live,
        created_at_s: 0,
        revoked_at_s: None,
    }
}

/// A second, from RFC 3339.
pub fn second(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap_or_else(|e| panic!("{text}: {e}")).as_second()
}

/// A day's first and last second.
pub fn day(text: &str) -> (i64, i64) {
    (second(&format!("{text}T00:00:00Z")), second(&format!("{text}T23:59:59Z")))
}

/// The day that is so many days from today, in UTC.
pub fn days_from_now(days: i64) -> String {
    let now = jiff::Timestamp::now().as_second();
    agora_vendor::billing::period::date(now + days * 86_400).to_string()
}

/// This month, in UTC.
pub fn this_month() -> String {
    days_from_now(0)[..7].to_owned()
}

/// The month after this one, in UTC.
pub fn next_month() -> String {
    let last_s = Period::around(Grain::Month, jiff::Timestamp::now().as_second()).last_s();
    agora_vendor::billing::period::date(last_s + 1).strftime("%Y-%m").to_string()
}
