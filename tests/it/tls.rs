//! HTTPS by a pair of files, and the files changed while the server runs.

use crate::admin::{self, value};
use crate::vendor::{API_KEY, API_SECRET, Server, Vendor, day, second, signed, skipped};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
};

pub type Stream = StreamOwned<ClientConnection, TcpStream>;

/// Puts a new pair into the vendor's folder, and gives its certificate.
fn new_pair(vendor: &Vendor) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a pair");
    std::fs::write(vendor.path("cert.pem"), made.cert.pem()).expect("a file");
    std::fs::write(vendor.path("key.pem"), made.signing_key.serialize_pem()).expect("a file");
    made.cert.der().clone()
}

fn serve(vendor: &Vendor) -> Server {
    vendor.serve_with(["--tls-cert", "cert.pem", "--tls-key", "key.pem"])
}

fn connect(
    server: &Server,
    trusted: &CertificateDer<'static>,
    version: &'static SupportedProtocolVersion,
) -> std::io::Result<Stream> {
    connect_to(server.connect(), "localhost", trusted, version, &[b"h2", b"http/1.1"])
}

/// Shakes hands with a host, offering to speak what is `spoken`.
pub fn connect_to(
    stream: TcpStream,
    host: &'static str,
    trusted: &CertificateDer<'static>,
    version: &'static SupportedProtocolVersion,
    spoken: &[&[u8]],
) -> std::io::Result<Stream> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a certificate");
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = spoken.iter().map(|one| one.to_vec()).collect();
    let name = host.try_into().expect("a name");
    let client = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut stream = StreamOwned::new(client, stream);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

/// Asks for usage, signed, and gives the status line.
pub fn ask(stream: &mut Stream) -> String {
    let parameters = [("fromTs", "1619913600"), ("toTs", "1619917199"), ("pageNum", "1")];
    let target = signed(API_KEY, API_SECRET, "/usage", &parameters);
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = vec![0; 4096];
    let read = stream.read(&mut answer).expect("an answer");
    let answer = String::from_utf8_lossy(&answer[..read]);
    answer.lines().next().unwrap_or_default().to_owned()
}

/// Waits until the server does what a test is about; without an end that would be a failure.
pub fn until(mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not come about");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn agora_is_answered_over_tls_1_2_and_1_3() {
    let vendor = Vendor::new();
    let certificate = new_pair(&vendor);
    let server = serve(&vendor);
    for (version, agreed) in
        [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)]
    {
        let mut stream = connect(&server, &certificate, version).expect("a handshake");
        assert_eq!(stream.conn.protocol_version(), Some(agreed));
        assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        for _ in 0..2 {
            assert_eq!(ask(&mut stream), "HTTP/1.1 200 OK");
        }
    }
    assert!(server.log().contains("TLS certificate: cert.pem is good until"), "{}", server.log());
    // Who speaks HTTP in clear is not answered, and holds nobody up.
    let mut clear = server.connect();
    clear.write_all(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n").expect("sent");
    let mut said = Vec::new();
    let _end = clear.read_to_end(&mut said);
    assert!(!said.starts_with(b"HTTP"), "{said:?}");
}

#[test]
fn without_flags_it_speaks_plain_http_at_loopback() {
    let vendor = Vendor::new();
    // A network of its own, in which the port is free.
    let in_network = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--net", "sh", "-c"]).arg(script);
        command.arg(env!("CARGO_BIN_EXE_agora-vendor")).env("AGORA_VENDOR_DB", vendor.db());
        command.env_remove("AGORA_VENDOR_LISTEN").stdin(Stdio::null()).stderr(Stdio::null());
        command
    };
    if !in_network("ip link set lo up").status().is_ok_and(|ended| ended.success()) {
        return skipped("no network of its own can be had here");
    }
    let mut server = in_network("ip link set lo up && exec \"$0\" serve");
    let mut server = server.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut line = String::new();
    let said = BufReader::new(server.stdout.take().expect("piped")).read_line(&mut line);
    server.kill().expect("it runs");
    server.wait().expect("an end");
    assert_eq!((said.is_ok(), line.as_str()), (true, "listening on http://127.0.0.1:8080\n"));
}

#[test]
fn a_new_pair_is_taken_while_connections_stand_and_a_broken_one_is_not() {
    let vendor = Vendor::new();
    let old = new_pair(&vendor);
    let mut server = serve(&vendor);
    let mut standing = connect(&server, &old, &TLS13).expect("a handshake");
    assert_eq!(ask(&mut standing), "HTTP/1.1 200 OK");

    let new = new_pair(&vendor);
    until(|| connect(&server, &new, &TLS13).is_ok());
    assert!(connect(&server, &old, &TLS13).is_err());
    assert_eq!(ask(&mut standing), "HTTP/1.1 200 OK");

    // The key of another pair: as it is between the two writes of whoever renews.
    let other = rcgen::KeyPair::generate().expect("a key").serialize_pem();
    std::fs::write(vendor.path("key.pem"), other).expect("a file");
    server.signal("HUP");
    until(|| server.log().contains("the TLS certificate in use stays"));
    assert!(connect(&server, &new, &TLS13).is_ok());
    assert!(server.is_running());

    let newest = new_pair(&vendor);
    server.signal("HUP");
    until(|| connect(&server, &newest, &TLS13).is_ok());
    assert_eq!(ask(&mut standing), "HTTP/1.1 200 OK");
}

#[test]
fn a_hangup_has_the_files_read_again_also_where_they_look_the_same() {
    let vendor = Vendor::new();
    let certificate = new_pair(&vendor);
    let server = serve(&vendor);
    server.signal("HUP");
    server.log_with("TLS certificate read again: cert.pem is good until");
    assert!(connect(&server, &certificate, &TLS13).is_ok());
}

#[test]
fn whoever_takes_no_answer_over_tls_is_let_go() {
    let vendor = Vendor::new();
    let certificate = new_pair(&vendor);
    let rows: String = (0..1_000).map(|n| format!("r{n},project-{n},1,2021-10-05\n")).collect();
    let rows = format!("id,projectId,amount,at\n{rows}");
    std::fs::write(vendor.path("usage.csv"), rows).expect("a file");
    vendor.ok(["import", "usage.csv", "--quiet", "--new"]);
    let pair = ["--tls-cert", "cert.pem", "--tls-key", "key.pem"];
    let watched = admin::serve(&vendor, &pair);
    let mut deaf = connect(&watched.server, &certificate, &TLS13).expect("a handshake");
    // Far more than what the system and TLS hold of answers that nobody takes.
    let (from, to) = day("2021-10-05");
    let (from, to) = (from.to_string(), to.to_string());
    let page = [("fromTs", &*from), ("toTs", &to), ("pageNum", "1"), ("limit", "1000")];
    let target = signed(API_KEY, API_SECRET, "/usage", &page);
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    deaf.write_all(request.repeat(200).as_bytes()).expect("sent");
    deaf.flush().expect("sent");
    assert_eq!(value(&watched.metrics(), "connections"), Some(1.0));
    until(|| value(&watched.metrics(), "connections") == Some(0.0));
}

#[test]
fn the_end_of_a_certificate_is_told_each_day_once_it_is_near() {
    let vendor = Vendor::new();
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("a name");
    params.not_after = rcgen::date_time_ymd(2026, 12, 20);
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    std::fs::write(vendor.path("cert.pem"), certificate.pem()).expect("a file");
    std::fs::write(vendor.path("key.pem"), key.serialize_pem()).expect("a file");
    let end_s = agora_vendor::http::tls::expires_at_s(&vendor.path("cert.pem")).expect("an end");
    assert_eq!(end_s, second("2026-12-20T00:00:00Z"));
    assert!(agora_vendor::http::tls::expires_at_s(&vendor.path("key.pem")).is_err());

    vendor.at("2026-12-01T00:00:00Z");
    let server = serve(&vendor);
    server.log_with("TLS certificate: cert.pem is good until 2026-12-20, for 19 days");
    vendor.at("2026-12-10T00:00:00Z");
    server.log_with("cert.pem expires on 2026-12-20, in 10 days: renew it");
    vendor.at("2026-12-11T00:00:00Z");
    server.log_with("in 9 days: renew it");
    vendor.at("2026-12-21T00:00:00Z");
    server.log_with("cert.pem expired on 2026-12-20: clients refuse it");
    assert_eq!(server.log().matches("renew it").count(), 2, "{}", server.log());
}

#[test]
fn a_pair_that_cannot_be_used_ends_the_server_at_its_start_with_one_sentence() {
    let vendor = Vendor::new();
    new_pair(&vendor);
    let start = ["serve", "--listen", "127.0.0.1:0", "--tls-cert", "cert.pem", "--tls-key"];
    let fails = |key: &str, word: &str| {
        let said = vendor.fails(1, start.into_iter().chain([key]));
        assert!(said.contains("cannot serve over TLS") && said.contains(word), "{said}");
    };
    fails("nowhere.pem", "nowhere.pem");
    fails("cert.pem", "holds no key");
    let other = rcgen::KeyPair::generate().expect("a key").serialize_pem();
    std::fs::write(vendor.path("other.pem"), other).expect("a file");
    fails("other.pem", "cannot be used together");
    std::fs::write(vendor.path("cert.pem"), "-----BEGIN NOTHING-----").expect("a file");
    fails("key.pem", "cert.pem");
    vendor.fails(2, ["serve", "--tls-cert", "cert.pem"]);
}
