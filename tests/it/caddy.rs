//! The server behind `packaging/Caddyfile`, by each Caddy that is here: the one in PATH, which is
//! Debian's where apt installed it, and the current one, which `.ci/run` gets from PyPI.

use crate::docs::free_port;
use crate::door::{CROWD, let_many_files_be_open};
use crate::tls::until;
use crate::vendor::{
    API_KEY, API_SECRET, Answer, Server, Vendor, read_answer, signed, signed_body, skipped,
    with_body,
};
use std::fs::{self, File};
use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const SHIPPED: &str = include_str!("../../packaging/Caddyfile");

/// The programs that are here; says so where there is none.
fn caddies() -> Vec<PathBuf> {
    let current = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/caddy-venv/bin/caddy");
    let answers = |program: &PathBuf| {
        let version = Command::new(program).arg("version").output();
        version.is_ok_and(|version| version.status.success())
    };
    let found: Vec<PathBuf> =
        [PathBuf::from("caddy"), current].into_iter().filter(answers).collect();
    if found.is_empty() {
        skipped("caddy is not installed, so packaging/Caddyfile is not loaded");
    }
    found
}

/// A Caddy at work on a file of the vendor's folder; killed when it goes out of scope.
struct Caddy {
    child: Child,
    port: u16,
    log: PathBuf,
}

impl Caddy {
    /// The shipped file before a server, without TLS and for any host name.
    fn before(server: &Server, program: &Path, vendor: &Vendor) -> Self {
        let port = free_port();
        let site = format!("\nhttp://:{port} {{\n\tbind 127.0.0.1\n");
        let upstream = server.origin().replace("http://", "");
        let file = SHIPPED
            .replacen("\nextension.example.com {\n", &site, 1)
            .replacen("127.0.0.1:8080", &upstream, 1)
            .replacen("\n{\n", "\n{\n\tadmin off\n", 1);
        assert!(file.contains(&site) && file.contains(&upstream) && file.contains("admin off"));
        fs::write(vendor.path("Caddyfile"), file).expect("a file");
        let log = vendor.path("caddy.log");
        let child = caddy(program, vendor, &["run", "--config", "Caddyfile"])
            .stderr(File::create(&log).expect("a log"))
            .spawn()
            .expect("caddy starts");
        let caddy = Self { child, port, log };
        until(|| TcpStream::connect(("127.0.0.1", port)).is_ok());
        caddy
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        stream
    }

    fn ask(&self, request: &str) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("sent");
        let answer = read_answer(&mut BufReader::new(stream)).expect("an answer");
        // Caddy's own 200 is empty.
        assert!(answer.status != 200 || answer.body.contains("statusReason"), "{answer:?}");
        answer
    }
}

impl Drop for Caddy {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A command of Caddy, which keeps what it keeps in the vendor's folder.
fn caddy(program: &Path, vendor: &Vendor, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).args(["--adapter", "caddyfile"]).current_dir(vendor.path("."));
    command.env("HOME", vendor.path(".")).stdin(Stdio::null()).stdout(Stdio::null());
    command.env_remove("XDG_DATA_HOME").env_remove("XDG_CONFIG_HOME");
    command
}

fn usage() -> String {
    let parameters = [("fromTs", "1619913600"), ("toTs", "1619917199"), ("pageNum", "1")];
    let target = signed(API_KEY, API_SECRET, "/usage", &parameters);
    format!("GET {target} HTTP/1.1\r\nHost: extension.example.com\r\n\r\n")
}

/// The sites that the file offers in a comment, from a line of it on, as they are once they are
/// taken out of the comment.
fn offered(first: &str) -> String {
    let lines = SHIPPED.lines().skip_while(|line| *line != format!("# {first} {{"));
    let lines = lines.take_while(|line| line.starts_with('#'));
    let lines: Vec<&str> =
        lines.map(|line| line.strip_prefix("# ").unwrap_or(&line[1..])).collect();
    assert_eq!(lines.last(), Some(&"}"), "{lines:?}");
    lines.join("\n") + "\n"
}

#[test]
fn the_shipped_caddyfile_loads_in_each_caddy_with_the_sites_of_its_comments() {
    let second = offered("second.example.com");
    let by_path = offered("extension.example.com");
    let (head, _) = SHIPPED.split_once("\nextension.example.com {").expect("a site");
    let vendor = Vendor::without_books();
    for program in caddies() {
        for file in [SHIPPED, &format!("{SHIPPED}\n{second}"), &format!("{head}\n{by_path}")] {
            fs::write(vendor.path("Caddyfile"), file).expect("a file");
            let ended = caddy(&program, &vendor, &["validate", "--config", "Caddyfile"]).output();
            let ended = ended.expect("caddy runs");
            let said = String::from_utf8_lossy(&ended.stderr);
            assert!(ended.status.success(), "{}: {said}", program.display());
        }
    }
}

#[test]
fn each_caddy_passes_requests_on_as_they_were_signed_and_logs_no_query() {
    for program in caddies() {
        let vendor = Vendor::new();
        let mut server = vendor.serve();
        let caddy = Caddy::before(&server, &program, &vendor);
        assert_eq!(caddy.ask(&usage()).status, 200, "{}", program.display());
        for path in ["/customers/new", "//customers/c/deactivate"] {
            let (method, fields) = if path.ends_with("new") {
                ("POST", r#""customerId":"c","planId":"gold""#)
            } else {
                ("PUT", "")
            };
            let body = signed_body(API_KEY, API_SECRET, method, path, fields);
            let answer = caddy.ask(&with_body(method, path, &body));
            assert_eq!(answer.status, 200, "{}: {answer:?}", program.display());
        }
        server.kill();
        let mut stream = caddy.connect();
        stream.write_all(usage().as_bytes()).expect("sent");
        let answer = read_answer(&mut BufReader::new(stream)).expect("an answer");
        assert_eq!(answer.status, 502, "{}", program.display());
        until(|| fs::read_to_string(&caddy.log).expect("a log").contains("502"));
        let log = fs::read_to_string(&caddy.log).expect("a log");
        assert!(log.contains("/usage") && !log.contains("signature"), "{log}");
    }
}

#[test]
fn a_crowd_of_slow_senders_behind_each_caddy_keeps_nobody_out() {
    let_many_files_be_open();
    for program in caddies() {
        let vendor = Vendor::new();
        let server = vendor.serve_logging::<&str>("info", []);
        let caddy = Caddy::before(&server, &program, &vendor);
        let mut standing = BufReader::new(caddy.connect());
        let slow = "POST /customers/new HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n{";
        let crowd: Vec<TcpStream> = (0..CROWD)
            .map(|_| {
                let mut one = caddy.connect();
                one.write_all(slow.as_bytes()).expect("sent");
                one
            })
            .collect();
        // Caddy says 502 or 504 where the server is not there within half a second.
        let mut answered = 0;
        for _ in 0..20 {
            answered += usize::from(caddy.ask(&usage()).status == 200);
            standing.get_mut().write_all(usage().as_bytes()).expect("sent");
            let answer = read_answer(&mut standing).expect("an answer");
            answered += usize::from(answer.status == 200);
        }
        // A machine that is busy with other tests may be late for one or two.
        assert!(answered >= 36, "{answered} of 40 by {}", program.display());
        drop(crowd);
    }
}
