//! Certificates by ACME, from pebble, Let's Encrypt's own authority for tests: Debian's package of
//! this name has it. Where it is not there, the tests that need it say so.

use crate::docs::free_port;
use crate::tls::{Stream, ask, connect_to, until};
use crate::vendor::{Server, Vendor, day, days_from_now, skipped};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

const HOST: &str = "extension.example.org";
const OTHER_HOST: &str = "second.example.org";
const DAY_S: i64 = 86_400;

/// An authority at work, and its name server, to which each host is this machine.
struct Pebble {
    folder: TempDir,
    port: u16,
    management: u16,
    processes: Vec<Child>,
}

impl Pebble {
    /// An authority that is not at work yet; none where pebble is not installed.
    fn find() -> Option<Self> {
        let is_there = |program: &str| {
            let paths = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&paths).any(|path| path.join(program).is_file())
        };
        if !["pebble", "pebble-challtestsrv"].iter().all(|program| is_there(program)) {
            skipped("pebble is not installed, so no certificate is got by ACME");
            return None;
        }
        let pebble = Self {
            folder: tempfile::tempdir().expect("a folder"),
            port: free_port(),
            management: free_port(),
            processes: Vec::new(),
        };
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a pair");
        std::fs::write(pebble.ca(), made.cert.pem()).expect("a file");
        let key = made.signing_key.serialize_pem();
        std::fs::write(pebble.folder.path().join("key.pem"), key).expect("a file");
        Some(pebble)
    }

    /// Who signs the authority's own certificate: itself.
    fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.port)
    }

    /// Begins to work; hosts are checked on this port.
    fn start(&mut self, tls_port: u16) {
        self.stop();
        let names = free_port();
        let file = self.folder.path().join("config.json");
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let config = serde_json::json!({"pebble": {
            "listenAddress": format!("127.0.0.1:{}", self.port),
            "managementListenAddress": format!("127.0.0.1:{}", self.management),
            "certificate": path("ca.pem"),
            "privateKey": path("key.pem"),
            "httpPort": 1,
            "tlsPort": tls_port,
            "certificateValidityPeriod": 90 * DAY_S,
        }});
        std::fs::write(&file, config.to_string()).expect("a file");
        let (names, hand) = (format!("127.0.0.1:{names}"), free_port());
        let management = format!("127.0.0.1:{hand}");
        let mut answers = Command::new("pebble-challtestsrv");
        answers.args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""]);
        // Newer versions have other flags.
        let help = Command::new("pebble-challtestsrv").arg("-h").output().expect("a help");
        if String::from_utf8_lossy(&help.stderr).contains("-dnsserver") {
            answers.args(["-dnsserver", &names, "-doh", ""]);
        } else {
            answers.args(["-dns01", &names]);
        }
        answers.args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-management", &management]);
        let mut authority = Command::new("pebble");
        authority.arg("-config").arg(file).args(["-dnsserver", &names]);
        authority.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_AUTHZREUSE", "0");
        // Some are refused at random elsewhere, which would count for orders of ours.
        authority.env("PEBBLE_WFE_NONCEREJECT", "0");
        for mut command in [answers, authority] {
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            self.processes.push(command.spawn().expect("pebble starts"));
        }
        for port in [self.port, self.management, hand] {
            until(|| TcpStream::connect(("127.0.0.1", port)).is_ok());
        }
    }

    /// Is gone at once, with all that it knew.
    fn stop(&mut self) {
        for mut process in self.processes.drain(..) {
            let _killed = process.kill();
            let _reaped = process.wait();
        }
    }

    /// By whom the certificates are signed in the end.
    fn root(&self) -> CertificateDer<'static> {
        let ca = CertificateDer::from_pem_file(self.ca()).expect("a certificate");
        let stream = TcpStream::connect(("127.0.0.1", self.management)).expect("a connection");
        let mut stream =
            connect_to(stream, "localhost", &ca, &TLS12, &[b"http/1.1"]).expect("a handshake");
        let request = "GET /roots/0 HTTP/1.0\r\nHost: localhost\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = Vec::new();
        let _unclean_end = stream.read_to_end(&mut answer);
        CertificateDer::from_pem_slice(&answer).expect("a certificate")
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A way to an authority that also advises when to renew (RFC 9773), which the pebble of Debian's
/// stable release does not.
struct Adviser {
    port: u16,
    /// The window that it advises, in Unix seconds, and whatever it was asked, in clear.
    state: Arc<Mutex<(i64, i64, Vec<String>)>>,
}

impl Adviser {
    fn before(pebble: &Pebble) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let key = PrivateKeyDer::from_pem_file(pebble.folder.path().join("key.pem"));
        let ca = CertificateDer::from_pem_file(pebble.ca()).expect("a certificate");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![ca.clone()], key.expect("a key"));
        let config = Arc::new(config.expect("a pair"));
        let adviser = Self { port, state: Arc::default() };
        let (state, behind) = (Arc::clone(&adviser.state), pebble.port);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let server = ServerConnection::new(Arc::clone(&config)).expect("a server");
                let stream = StreamOwned::new(server, stream.expect("a connection"));
                // Whoever hangs up is not answered.
                let _answered = advise(stream, port, behind, &ca, &state);
            }
        });
        adviser
    }

    fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.port)
    }

    fn set(&self, from_s: i64, until_s: i64) {
        let mut state = self.state.lock().expect("a state");
        (state.0, state.1) = (from_s, until_s);
    }

    fn asked(&self, words: &str) -> usize {
        let state = self.state.lock().expect("a state");
        state.2.iter().filter(|asked| asked.contains(words)).count()
    }
}

/// Answers one request: what is about advice itself, all else as the authority behind it does.
fn advise(
    mut client: StreamOwned<ServerConnection, TcpStream>,
    port: u16,
    behind: u16,
    ca: &CertificateDer<'static>,
    state: &Mutex<(i64, i64, Vec<String>)>,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        request.extend(byte);
    }
    let head = String::from_utf8_lossy(&request).to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
    let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a length"))];
    client.read_exact(&mut body)?;
    let signed: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let payload = URL_SAFE_NO_PAD.decode(signed["payload"].as_str().unwrap_or_default());
    let payload = payload.map(|payload| String::from_utf8_lossy(&payload).into_owned());
    let (from_s, until_s) = {
        let mut state = state.lock().expect("a state");
        let line = head.lines().next().expect("a line");
        state.2.push(format!("{line} {}", payload.unwrap_or_default()));
        (state.0, state.1)
    };
    if head.starts_with("get /ari/") {
        let moment = |at_s| jiff::Timestamp::from_second(at_s).expect("a time").to_string();
        let window = serde_json::json!({"start": moment(from_s), "end": moment(until_s)});
        let told = serde_json::json!({"suggestedWindow": window});
        let head = "HTTP/1.1 200 OK\r\nRetry-After: 600\r\nConnection: close\r\n\r\n";
        client.write_all(format!("{head}{told}").as_bytes())?;
    } else {
        let stream = TcpStream::connect(("127.0.0.1", behind))?;
        let mut server = connect_to(stream, "localhost", ca, &TLS12, &[b"http/1.1"])?;
        request.truncate(request.len() - 2);
        request.extend_from_slice(b"Connection: close\r\n\r\n");
        server.write_all(&[request, body].concat())?;
        let mut answer = Vec::new();
        let _unclean_end = server.read_to_end(&mut answer);
        if head.starts_with("get /dir ") {
            let answer = String::from_utf8_lossy(&answer).into_owned();
            let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
            let mut own: serde_json::Value = serde_json::from_str(body).expect("an object");
            own["renewalInfo"] = format!("https://localhost:{port}/ari").into();
            let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
            client.write_all(format!("{head}{own}").as_bytes())?;
        } else {
            client.write_all(&answer)?;
        }
    }
    client.conn.send_close_notify();
    client.flush()
}

/// A server on this port that gets its certificate from an authority.
fn serve(vendor: &Vendor, pebble: &Pebble, port: u16, hosts: &[&str]) -> Server {
    serve_by(vendor, pebble, &pebble.directory(), port, hosts)
}

/// The same, by a directory of its own.
fn serve_by(
    vendor: &Vendor,
    pebble: &Pebble,
    directory: &str,
    port: u16,
    hosts: &[&str],
) -> Server {
    let listen = format!("127.0.0.1:{port}");
    let mut command = vendor.command(["serve", "--log", "debug", "--listen", &listen]);
    command.args(["--acme-directory", directory]).arg("--acme-ca").arg(pebble.ca());
    hosts.iter().for_each(|host| {
        command.args(["--acme", host]);
    });
    vendor.serve_by(command)
}

fn connect(
    server: &Server,
    host: &'static str,
    root: &CertificateDer<'static>,
) -> std::io::Result<Stream> {
    connect_to(server.connect(), host, root, &TLS13, &[b"http/1.1"])
}

/// The certificate that a host is served with.
fn served(server: &Server, root: &CertificateDer<'static>) -> CertificateDer<'static> {
    let stream = connect(server, HOST, root).expect("a handshake");
    stream.conn.peer_certificates().expect("certificates")[0].clone().into_owned()
}

/// The folder in which a vendor keeps what is of ACME.
fn kept(vendor: &Vendor) -> PathBuf {
    let all = std::fs::read_dir(vendor.path("agora-vendor.db-acme")).expect("a folder");
    let all: Vec<PathBuf> = all.map(|entry| entry.expect("an entry").path()).collect();
    let [only] = all.as_slice() else { panic!("{all:?}") };
    only.clone()
}

/// How often a log says something.
fn count(log: &str, words: &str) -> usize {
    log.matches(words).count()
}

const GOT: &str = "there is a new TLS certificate";

#[test]
fn a_certificate_is_got_kept_for_its_owner_and_used_after_a_restart() {
    let Some(mut pebble) = Pebble::find() else { return };
    let (vendor, port) = (Vendor::new(), free_port());
    pebble.start(port);
    let server = serve(&vendor, &pebble, port, &[HOST, "SECOND.example.org"]);
    let log = server.log_with(GOT);
    assert!(log.contains("there is no TLS certificate for extension.example.org, second"), "{log}");
    let root = pebble.root();
    for host in [HOST, OTHER_HOST] {
        let mut stream = connect(&server, host, &root).expect("a handshake");
        assert!(stream.conn.peer_certificates().expect("a chain").len() >= 2);
        assert_eq!(ask(&mut stream), "HTTP/1.1 200 OK");
    }
    assert!(connect(&server, "third.example.org", &root).is_err());
    // Nothing is being checked any more.
    assert!(connect_to(server.connect(), HOST, &root, &TLS13, &[b"acme-tls/1"]).is_err());

    let mode = |path: PathBuf| path.metadata().expect("it is there").permissions().mode() & 0o777;
    let folder = kept(&vendor);
    assert_eq!(mode(folder.clone()), 0o700);
    for file in ["account.pem", "certificate.pem"] {
        assert_eq!(mode(folder.join(file)), 0o600, "{file}");
    }
    assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), 2);
    assert!(!server.log().contains("PRIVATE"), "{}", server.log());

    let found = agora_vendor::http::acme::kept_certificates(&vendor.db()).expect("a list");
    assert_eq!(found, [folder.join("certificate.pem")]);

    let before = served(&server, &root);
    drop(server);
    pebble.stop();
    let server = serve(&vendor, &pebble, port, &[HOST]);
    assert_eq!(served(&server, &root), before);
    let log = server.log();
    assert!(log.contains("certificate.pem is good until"), "{log}");
    assert_eq!(count(&log, "there is no TLS certificate"), 1, "{log}");
}

#[test]
fn a_kept_certificate_that_does_not_fit_is_followed_by_one_that_does() {
    let Some(mut pebble) = Pebble::find() else { return };
    let (vendor, port) = (Vendor::new(), free_port());
    pebble.start(port);
    let server = serve(&vendor, &pebble, port, &[HOST]);
    server.log_with(GOT);
    let root = pebble.root();
    drop(server);
    let account = std::fs::read(kept(&vendor).join("account.pem")).expect("a key");

    let server = serve(&vendor, &pebble, port, &[HOST, OTHER_HOST]);
    until(|| connect(&server, OTHER_HOST, &root).is_ok());
    assert!(server.log().contains("is not for all of"), "{}", server.log());
    drop(server);

    std::fs::write(kept(&vendor).join("certificate.pem"), "broken").expect("a file");
    let server = serve(&vendor, &pebble, port, &[HOST]);
    until(|| count(&server.log(), GOT) == 3);
    assert!(server.log().contains("the kept TLS certificate is no good"), "{}", server.log());
    assert!(connect(&server, HOST, &root).is_ok());
    assert_eq!(std::fs::read(kept(&vendor).join("account.pem")).expect("a key"), account);
    drop(server);

    std::fs::write(kept(&vendor).join("account.pem"), "broken").expect("a file");
    let server = serve(&vendor, &pebble, port, &[OTHER_HOST]);
    let log = server.log_with("account.pem is no good");
    assert!(log.contains("remove that file, and the server makes another account"), "{log}");
    std::fs::remove_file(kept(&vendor).join("account.pem")).expect("it is there");
    server.signal("HUP");
    until(|| connect(&server, OTHER_HOST, &root).is_ok());
}

#[test]
fn a_certificate_is_renewed_at_two_thirds_of_its_life_while_connections_stand() {
    let Some(mut pebble) = Pebble::find() else { return };
    let (vendor, port) = (Vendor::new(), free_port());
    let at = |days| format!("{}T12:00:00Z", days_from_now(days));
    vendor.at(&at(0));
    pebble.start(port);
    let server = serve(&vendor, &pebble, port, &[HOST]);
    let log = server.log_with("it is renewed from");
    let due = log.split("it is renewed from ").nth(1).expect("a day")[..10].to_owned();
    assert!([days_from_now(59), days_from_now(60), days_from_now(61)].contains(&due), "{due}");
    let root = pebble.root();
    let first = served(&server, &root);
    let mut standing = connect(&server, HOST, &root).expect("a handshake");
    assert_eq!(ask(&mut standing), "HTTP/1.1 200 OK");

    // It looks, and finds nothing to do.
    vendor.at(&at(58));
    let told = count(&server.log(), "it is renewed from");
    server.signal("HUP");
    until(|| count(&server.log(), "it is renewed from") > told);
    assert_eq!(served(&server, &root), first);

    vendor.at(&at(62));
    until(|| served(&server, &root) != first);
    assert_eq!(ask(&mut standing), "HTTP/1.1 200 OK");
    // The authority's clock is another one: by the server's the new one is old already, and is
    // not followed by a third at once.
    server.log_with("is the clock of this machine right?");
    assert_eq!(count(&server.log(), GOT), 2, "{}", server.log());
}

#[test]
fn a_certificate_is_renewed_when_the_authority_advises_it() {
    let Some(mut pebble) = Pebble::find() else { return };
    let (vendor, port) = (Vendor::new(), free_port());
    let adviser = Adviser::before(&pebble);
    vendor.at(&format!("{}T12:00:00Z", days_from_now(0)));
    pebble.start(port);
    let (from_s, until_s) = (day(&days_from_now(20)).0, day(&days_from_now(20)).1);
    adviser.set(from_s, until_s);
    let server = serve_by(&vendor, &pebble, &adviser.directory(), port, &[HOST]);
    server.log_with(&format!("it is renewed from {} on", days_from_now(20)));
    let root = pebble.root();
    let first = served(&server, &root);
    assert_eq!(adviser.asked("\"replaces\""), 0);

    vendor.at(&format!("{}T00:00:00Z", days_from_now(21)));
    until(|| served(&server, &root) != first);
    // That this authority does not know what is replaced is no reason to have no certificate.
    assert_eq!(adviser.asked("\"replaces\""), 1, "{}", server.log());
    // The window is over for the new certificate as well: it is used for an hour all the same.
    until(|| adviser.asked("get /ari/") == 2);
    vendor.at(&format!("{}T00:10:00Z", days_from_now(21)));
    until(|| adviser.asked("get /ari/") == 3);
    assert_eq!(count(&server.log(), GOT), 2, "{}", server.log());
    vendor.at(&format!("{}T01:00:00Z", days_from_now(21)));
    until(|| count(&server.log(), GOT) == 3);
}

#[test]
fn a_refused_order_leaves_the_old_certificate_in_use_and_says_what_to_do() {
    let Some(mut pebble) = Pebble::find() else { return };
    let (vendor, port) = (Vendor::new(), free_port());
    vendor.at(&format!("{}T12:00:00Z", days_from_now(0)));
    pebble.start(port);
    let server = serve(&vendor, &pebble, port, &[HOST]);
    server.log_with(GOT);
    let root = pebble.root();
    let first = served(&server, &root);
    drop(server);

    // Another one, to which the host's port is one where nobody listens.
    pebble.start(free_port());
    vendor.at(&format!("{}T12:00:00Z", days_from_now(70)));
    let mut server = serve(&vendor, &pebble, port, &[HOST]);
    let log = server.log_with("no new TLS certificate");
    let line = log.lines().find(|line| line.contains("no new TLS")).expect("a line");
    for words in [
        "extension.example.org: the authority refuses",
        "its port 443 must lead to this server",
        "the one in use is good until",
        "the next attempt is after 1 min, or at once on SIGHUP",
    ] {
        assert!(line.contains(words), "{words}: {line}");
    }
    assert_eq!(served(&server, &root), first);
    server.signal("HUP");
    server.log_with("the next attempt is after 2 min");
    assert_eq!(served(&server, &root), first);
    assert!(server.is_running());

    // Another server over the same books has renewed it: nothing has to be ordered.
    let made = rcgen::generate_simple_self_signed([HOST.to_owned()]).expect("a pair");
    let both = made.cert.pem() + &made.signing_key.serialize_pem();
    std::fs::write(kept(&vendor).join("certificate.pem"), both).expect("a file");
    server.signal("HUP");
    until(|| connect(&server, HOST, made.cert.der()).is_ok());
    assert!(server.log().contains("another server has got a TLS certificate"), "{}", server.log());
    assert_eq!(count(&server.log(), "no new TLS certificate"), 2, "{}", server.log());
}

#[test]
fn a_server_without_a_certificate_says_why_and_gets_one_once_that_can_be() {
    let Some(mut pebble) = Pebble::find() else { return };
    let vendor = Vendor::new();
    // The authority is not there yet.
    let server = serve(&vendor, &pebble, free_port(), &[HOST]);
    let log = server.log_with("no new TLS certificate");
    for words in ["localhost cannot be asked", "there is none, so no connection succeeds"] {
        assert!(log.contains(words), "{words}: {log}");
    }
    let ca = CertificateDer::from_pem_file(pebble.ca()).expect("a certificate");
    assert!(connect(&server, HOST, &ca).is_err());
    let port = server.connect().peer_addr().expect("an address").port();
    pebble.start(port);
    server.signal("HUP");
    server.log_with(GOT);
    let mut stream = connect(&server, HOST, &pebble.root()).expect("a handshake");
    assert_eq!(ask(&mut stream), "HTTP/1.1 200 OK");
}

#[test]
fn an_authority_that_nobody_vouches_for_is_not_spoken_to() {
    let Some(mut pebble) = Pebble::find() else { return };
    let (vendor, port) = (Vendor::new(), free_port());
    pebble.start(port);
    let listen = format!("127.0.0.1:{port}");
    let mut command = vendor.command(["serve", "--listen", &listen, "--acme", HOST]);
    command.args(["--acme-directory", &pebble.directory()]);
    let server = vendor.serve_by(command);
    let log = server.log_with("no new TLS certificate");
    let is_refused = log.contains("localhost cannot be asked: invalid peer certificate");
    assert!(is_refused || log.contains("this system trusts no certificate authority"), "{log}");
    assert!(!kept(&vendor).join("certificate.pem").exists());
}

#[test]
fn a_port_that_needs_a_capability_is_refused_with_its_name() {
    let vendor = Vendor::new();
    let first = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    if first.is_ok_and(|first| first.trim().parse::<u16>().is_ok_and(|first| first <= 443)) {
        return skipped("anybody may listen on port 443 here");
    }
    let mut command = vendor.command(["serve", "--listen", "127.0.0.1:443", "--acme", HOST]);
    if rustix::process::geteuid().is_root() {
        // Root without the capability, which nothing but this takes away.
        let mut bounded = Command::new("setpriv");
        bounded.args(["--bounding-set", "-net_bind_service"]).arg(command.get_program());
        bounded.args(command.get_args()).env("AGORA_VENDOR_DB", vendor.db());
        command = bounded;
    }
    let ended = command.stdin(Stdio::null()).output().expect("the executable runs");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("needs the capability CAP_NET_BIND_SERVICE"), "{said}");
}

#[test]
fn acme_is_refused_where_it_cannot_be_meant() {
    let vendor = Vendor::new();
    let fails = |code: i32, words: &str, rest: &[&str]| {
        let said = vendor.fails(code, [&["serve"], rest].concat());
        assert!(said.contains(words), "{said}");
    };
    let listen = ["--listen", "127.0.0.1:0"];
    let with = |rest: &[&'static str]| [&listen[..], rest].concat();
    fails(2, "--listen", &["--acme", HOST]);
    let pair = ["--acme", HOST, "--tls-cert", "c.pem", "--tls-key", "k.pem"];
    fails(2, "exclude each other", &with(&pair));
    fails(2, "wildcard", &with(&["--acme", "*.example.org"]));
    for host in ["192.0.2.1", "https://example.org", "example.org:443", "a..b", ""] {
        fails(2, "--acme", &with(&["--acme", host]));
    }
    fails(2, "an https:// address", &with(&["--acme", HOST, "--acme-directory", "http://a/dir"]));
    fails(2, "--acme", &with(&["--acme-ca", "ca.pem"]));
    fails(1, "ca.pem", &with(&["--acme", HOST, "--acme-ca", "ca.pem"]));
    std::fs::write(vendor.path("empty.pem"), "").expect("a file");
    fails(1, "holds no certificate", &with(&["--acme", HOST, "--acme-ca", "empty.pem"]));
}
