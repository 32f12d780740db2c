//! Requests byte by byte as no honest client sends them: each has one answer, and nothing of it is
//! taken for a second request.

use crate::vendor::{API_KEY, API_SECRET, Vendor, signed};
use std::io::{Read, Write};
use std::net::Shutdown;

/// How the reason of each request starts that is no HTTP.
const NOT_HTTP: &str = "the request is not well-formed HTTP/1.1: ";
const UNSIGNED: &str = "401 the apiKey is unknown, or the signature is missing or wrong: sign the \
                        request with a valid key pair";

/// The answers in what a server said, each as its status and its reason without [`NOT_HTTP`].
fn answers(said: &[u8]) -> Vec<String> {
    let mut rest = str::from_utf8(said).expect("UTF-8");
    let mut answers = Vec::new();
    while let Some((head, behind)) = rest.split_once("\r\n\r\n") {
        let status = head.strip_prefix("HTTP/1.1 ").and_then(|head| head.get(..3));
        let status = status.unwrap_or_else(|| panic!("no answer: {rest}"));
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(0, |length| length.parse().expect("a number"));
        let body: serde_json::Value = serde_json::from_str(&behind[..length]).unwrap_or_default();
        let reason = body["statusReason"].as_str().unwrap_or_default();
        answers.push(format!("{status} {}", reason.strip_prefix(NOT_HTTP).unwrap_or(reason)));
        rest = &behind[length..];
    }
    assert_eq!(rest, "", "nothing is said but answers");
    answers
}

/// A request that must not be answered where it is a part of another.
const HIDDEN: &str = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n";

/// Requests by their names, each with its answers: their statuses and their reasons.
const REQUESTS: [(&str, &str, &[&str]); 23] = [
    (
        "a length beside chunks (CL.TE)",
        "POST /customers/new HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\
         Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}",
        &["400 it has both Content-Length and Transfer-Encoding"],
    ),
    (
        "chunks beside a length (TE.CL)",
        "POST /customers/new HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\
         Content-Length: 3\r\n\r\n8\r\n{hidden}\r\n0\r\n\r\n",
        &["400 it has both Content-Length and Transfer-Encoding"],
    ),
    (
        "a coding in disguise (TE.TE)",
        "POST /customers/new HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n{hidden}",
        &["400 its Transfer-Encoding is not chunked alone, in HTTP/1.1"],
    ),
    (
        "two codings",
        "POST /customers/new HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\
         Transfer-Encoding: identity\r\n\r\n{hidden}",
        &["400 its Transfer-Encoding is not chunked alone, in HTTP/1.1"],
    ),
    (
        "two lengths",
        "POST /customers/new HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\
         Content-Length: 36\r\n\r\n{hidden}",
        &["400 its Content-Length is not one number"],
    ),
    (
        "a list of lengths",
        "POST /customers/new HTTP/1.1\r\nHost: h\r\nContent-Length: 0, 0\r\n\r\n{hidden}",
        &["400 its Content-Length is not one number"],
    ),
    (
        "a length with a sign",
        "POST /customers/new HTTP/1.1\r\nHost: h\r\nContent-Length: +0\r\n\r\n{hidden}",
        &["400 its Content-Length is not one number"],
    ),
    (
        "chunks in HTTP/1.0",
        "POST /customers/new HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}",
        &["400 its Transfer-Encoding is not chunked alone, in HTTP/1.1"],
    ),
    (
        "a chunk size that is none",
        "POST /customers/new HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\
         {hidden}",
        &["400 its body is broken or ends too early"],
    ),
    (
        "a space before the colon",
        "POST /customers/new HTTP/1.1\r\nHost: h\r\nContent-Length : 36\r\n\r\n{hidden}",
        &["400 a header is broken"],
    ),
    (
        "a folded header (obs-fold)",
        "GET /healthz HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n",
        &["400 a header is broken"],
    ),
    (
        "a NUL in a header",
        "GET /healthz HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n",
        &["400 a header is broken"],
    ),
    (
        "a NUL in the target",
        "GET /health\0z HTTP/1.1\r\nHost: h\r\n\r\n",
        &["400 its first line is not METHOD TARGET HTTP/1.1 in ASCII"],
    ),
    (
        "a bare CR in a header",
        "GET /healthz HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n",
        &["400 a header is broken"],
    ),
    (
        "bare line feeds, as RFC 9112 (2.2) lets a server read them",
        "GET /healthz HTTP/1.1\nHost: h\n\n",
        &["200 "],
    ),
    (
        "the preface of HTTP/2",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &["400 use HTTP/1.1 or HTTP/1.0"],
    ),
    (
        "a hello of TLS",
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\u{fc}\u{3}\u{3}\r\n\r\n",
        &["400 its first line is not METHOD TARGET HTTP/1.1 in ASCII"],
    ),
    (
        "an upgrade that nobody offers",
        "GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        &["200 "],
    ),
    ("no request", "", &[]),
    ("half a request", "GET /healthz HTTP/1.1\r\nHo", &["400 it ends before its headers do"]),
    (
        "half a body",
        "POST /customers/new HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\n{",
        &["400 its body is broken or ends too early"],
    ),
    ("two in a row", "{hidden}{hidden}", &["200 ", "200 "]),
    (
        "an expectation",
        "POST /customers/new HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\
         Content-Length: 2\r\n\r\n{}",
        &["100 ", UNSIGNED],
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
        assert_eq!(answers(&said), wanted, "{name}");
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
    assert_eq!(answers(&said), ["200 Success getting usage data"]);
}
