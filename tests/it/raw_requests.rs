//! Requests byte by byte as no honest client sends them: each has one answer, and nothing of it is
//! taken for a second request.

use crate::vendor::{API_KEY, API_SECRET, Vendor, signed};
use std::io::{Read, Write};
use std::net::Shutdown;

/// The statuses of the answers in what a server said.
fn statuses(said: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(said);
    let heads = text.split("HTTP/1.1 ").skip(1);
    heads.filter_map(|head| head.get(..3)?.parse().ok()).collect()
}

/// A request that must not be answered where it is a part of another.
const HIDDEN: &str = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n";

/// Requests by their names, each with the statuses of its answers.
const REQUESTS: [(&str, &str, &[u16]); 23] = [
    (
        "a length beside chunks (CL.TE)",
        "POST /customers/new HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}",
        &[400],
    ),
    (
        "chunks beside a length (TE.CL)",
        "POST /customers/new HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n8\r\n{hidden}\r\n0\r\n\r\n",
        &[400],
    ),
    (
        "a coding in disguise (TE.TE)",
        "POST /customers/new HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n{hidden}",
        &[400],
    ),
    (
        "two codings",
        "POST /customers/new HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n{hidden}",
        &[400],
    ),
    (
        "two lengths",
        "POST /customers/new HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nContent-Length: 36\r\n\r\n{hidden}",
        &[400],
    ),
    (
        "a list of lengths",
        "POST /customers/new HTTP/1.1\r\nHost: h\r\nContent-Length: 0, 0\r\n\r\n{hidden}",
        &[400],
    ),
    (
        "a length with a sign",
        "POST /customers/new HTTP/1.1\r\nHost: h\r\nContent-Length: +0\r\n\r\n{hidden}",
        &[400],
    ),
    (
        "chunks in HTTP/1.0",
        "POST /customers/new HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}",
        &[400],
    ),
    (
        "a chunk size that is none",
        "POST /customers/new HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{hidden}",
        &[400],
    ),
    (
        "a space before the colon",
        "POST /customers/new HTTP/1.1\r\nHost: h\r\nContent-Length : 36\r\n\r\n{hidden}",
        &[400],
    ),
    (
        "a folded header (obs-fold)",
        "GET /healthz HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n",
        &[400],
    ),
    ("a NUL in a header", "GET /healthz HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n", &[400]),
    ("a NUL in the target", "GET /health\0z HTTP/1.1\r\nHost: h\r\n\r\n", &[400]),
    ("a bare CR in a header", "GET /healthz HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n", &[400]),
    (
        "bare line feeds, as RFC 9112 (2.2) lets a server read them",
        "GET /healthz HTTP/1.1\nHost: h\n\n",
        &[200],
    ),
    ("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[400]),
    ("a hello of TLS", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\u{fc}\u{3}\u{3}\r\n\r\n", &[400]),
    (
        "an upgrade that nobody offers",
        "GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        &[200],
    ),
    ("no request", "", &[]),
    ("half a request", "GET /healthz HTTP/1.1\r\nHo", &[400]),
    (
        "half a body",
        "POST /customers/new HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\n{",
        &[400],
    ),
    ("two in a row", "{hidden}{hidden}", &[200, 200]),
    (
        "an expectation",
        "POST /customers/new HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
        &[100, 401],
    ),
];

#[test]
fn a_request_that_no_honest_client_sends_has_one_answer_and_hides_no_second_one() {
    let vendor = Vendor::new();
    let mut server = vendor.serve();
    for (name, request, wanted) in REQUESTS {
        let request = request.replace("{hidden}", HIDDEN);
        let mut stream = server.connect();
        // The server may refuse before it has read all of it.
        let _sent = stream.write_all(request.as_bytes());
        let _closed = stream.shutdown(Shutdown::Write);
        let mut said = Vec::new();
        let _end = stream.read_to_end(&mut said);
        assert_eq!(statuses(&said), wanted, "{name}: {}", String::from_utf8_lossy(&said));
    }
    assert!(server.is_running() && !server.log().contains("panicked"), "{}", server.log());
}

#[test]
fn who_closes_one_side_behind_a_signed_request_is_answered() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let parameters = [("fromTs", "1619913600"), ("toTs", "1619917199"), ("pageNum", "1")];
    let target = signed(API_KEY, API_SECRET, "/usage", &parameters);
    let mut stream = server.connect();
    stream.write_all(format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()).expect("sent");
    stream.shutdown(Shutdown::Write).expect("half of it closed");
    let mut said = Vec::new();
    stream.read_to_end(&mut said).expect("an answer and an end");
    assert_eq!(statuses(&said), [200]);
}
