//! The door under attack: whoever holds connections without a request keeps nobody out.

use crate::vendor::{
    API_KEY, API_SECRET, Vendor, read_answer, signed, signed_body, skipped, with_body,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// More than the server has places for.
pub const CROWD: usize = 1_000;

pub fn let_many_files_be_open() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let current = maximum.map(|maximum| maximum.min(8_192));
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).expect("a limit");
}

fn signed_request() -> String {
    let parameters = [("fromTs", "1619913600"), ("toTs", "1619917199"), ("pageNum", "1")];
    let target = signed(API_KEY, API_SECRET, "/usage", &parameters);
    format!("GET {target} HTTP/1.1\r\nHost: vendor\r\n\r\n")
}

fn ask(stream: &mut BufReader<TcpStream>, request: &str) -> (u16, Duration) {
    let began = Instant::now();
    stream.get_mut().write_all(request.as_bytes()).expect("sent");
    (read_answer(stream).expect("an answer").status, began.elapsed())
}

#[test]
fn a_crowd_without_requests_keeps_nobody_out() {
    let_many_files_be_open();
    let vendor = Vendor::new();
    let server = vendor.serve();
    let request = signed_request();
    let mut standing = BufReader::new(server.connect());
    assert_eq!(ask(&mut standing, &request).0, 200);
    let beginnings = [
        "",
        "GET /usage?fromTs=16199",
        "\r\n\r\n",
        "POST /customers/new HTTP/1.1\r\nHost: h\r\nContent-Length: 500\r\n\r\n{",
        "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n",
    ];
    for beginning in beginnings {
        let mut crowd: Vec<TcpStream> = (0..CROWD)
            .map(|_| {
                let mut one = server.connect();
                one.write_all(beginning.as_bytes()).expect("sent");
                one
            })
            .collect();
        for _ in 0..20 {
            let mut fresh = BufReader::new(server.connect());
            for stream in [&mut fresh, &mut standing] {
                let (status, took) = ask(stream, &request);
                assert_eq!(status, 200);
                assert!(took < Duration::from_millis(500), "{took:?} beside {beginning:?}");
            }
        }
        // Whoever came last is still there, and the first of the crowd is not.
        let mut last = crowd.pop().expect("a crowd");
        last.set_nonblocking(true).expect("a socket");
        let mut first = crowd.swap_remove(0);
        // What it had sent may be lost with it: then its end is a reset.
        let _end = first.read_to_end(&mut Vec::new());
        let there = loop {
            match last.read(&mut [0; 1024]) {
                Ok(0) => break false,
                Ok(_) => {}
                Err(error) => break error.kind() == ErrorKind::WouldBlock,
            }
        };
        assert!(there, "beside {beginning:?}");
    }
}

/// The most memory that a process has had, in KiB.
fn most_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a figure");
    line.trim().trim_end_matches("kB").trim().parse().expect("a number")
}

#[test]
fn what_comes_byte_by_byte_takes_no_more_memory_than_its_bytes() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let before = most_kib(server.id());
    for framing in [
        "Content-Length: 5000\r\n\r\n",
        "Content-Length: 5000\r\nExpect: 100-continue\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n1388\r\n",
    ] {
        let head = format!("POST /customers/new HTTP/1.1\r\nHost: h\r\n{framing}");
        let connect = |_| {
            let mut one = server.connect();
            one.set_nodelay(true).expect("a socket");
            one.write_all(head.as_bytes()).expect("sent");
            one
        };
        let mut crowd: Vec<TcpStream> = (0..40).map(connect).collect();
        for _ in 0..500 {
            crowd.iter_mut().for_each(|one| one.write_all(b" ").expect("sent"));
        }
    }
    let more = most_kib(server.id()) - before;
    assert!(more < 10 << 10, "{more} KiB for 60,000 bytes");
}

#[test]
fn whoever_has_asked_without_a_key_keeps_no_buffers() {
    const ASKED: u64 = 700;
    let_many_files_be_open();
    let vendor = Vendor::new();
    let server = vendor.serve();
    let before = most_kib(server.id());
    let asked: Vec<BufReader<TcpStream>> = (0..ASKED)
        .map(|_| {
            let mut one = BufReader::new(server.connect());
            // Of a large body nothing is kept, and what was let go is had again.
            let large = with_body("POST", "/customers/new", &" ".repeat(16_000));
            assert_eq!(ask(&mut one, &large).0, 400);
            // The beginning of a next request has nothing kept either.
            for request in [
                "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n",
                "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\nG",
            ] {
                assert_eq!(ask(&mut one, request).0, 200);
            }
            one
        })
        .collect();
    let more = most_kib(server.id()) - before;
    assert!(more < ASKED * 10, "{more} KiB for {} connections", asked.len());
}

#[test]
fn a_burst_of_connections_waits_to_be_accepted_and_none_is_dropped() {
    const BURST: u16 = 3_000;
    let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap_or_default();
    if most.trim().parse().is_ok_and(|most: u16| most < BURST) {
        return skipped("this system holds few connections until they are accepted");
    }
    let_many_files_be_open();
    let vendor = Vendor::new();
    let server = vendor.serve();
    let address = server.connect().peer_addr().expect("an address");
    server.signal("STOP");
    let connect = |address: &SocketAddr| {
        // A connection that there is no room for is tried again by the system after a second.
        TcpStream::connect_timeout(address, Duration::from_millis(900)).expect("a connection")
    };
    let burst: Vec<TcpStream> = (0..BURST).map(|_| connect(&address)).collect();
    server.signal("CONT");
    drop(burst);
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn more_parameters_than_any_call_has_are_refused_before_the_signature() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let many: Vec<String> = (0..64).map(|n| format!("n{n}=1")).collect();
    let answer = server.get(&format!("/usage?{}&last=1", many.join("&")));
    assert_eq!((answer.status, answer.reason().contains("more than 64")), (400, true));
    // As many as there may be are looked at, and not signed.
    assert_eq!(server.get(&format!("/usage?{}", many.join("&"))).status, 401);
    let long = "x".repeat(2_049);
    assert_eq!(server.get(&format!("/usage?a={long}")).status, 400);
    assert_eq!(server.get(&format!("/usage?{}=a", &long[..129])).status, 400);
    let fields: Vec<String> = (0..64).map(|n| format!("\"n{n}\":1")).collect();
    let body = |fields: &str| {
        let path = "/customers/new";
        let body = format!("{{{fields}}}");
        server.send(with_body("POST", path, &body).as_bytes()).expect("an answer")
    };
    let answer = body(&format!("{},\"last\":1", fields.join(",")));
    assert_eq!((answer.status, answer.reason().contains("more than 64")), (400, true));
    assert_eq!(body(&fields.join(",")).status, 401);
    assert_eq!(body(&format!("\"a\":\"{long}\"")).status, 400);
    // A name is measured in characters, as the document of the API measures it.
    for (characters, status) in [(128, 401), (129, 400)] {
        assert_eq!(body(&format!("\"{}\":1", "\u{fc}".repeat(characters))).status, status);
    }
    // Behind the last one that counts there must still be JSON.
    assert!(body(&format!("{},\"last\":", fields.join(","))).reason().contains("broken JSON"));
    let path = "/customers/new";
    let signed =
        signed_body(API_KEY, API_SECRET, "POST", path, "\"customerId\":\"c\",\"planId\":\"p\"");
    assert_eq!(server.send(with_body("POST", path, &signed).as_bytes()).expect("one").status, 200);
}

#[test]
fn refusals_cost_the_log_a_bounded_amount() {
    let vendor = Vendor::new();
    let server = vendor.serve_logging::<&str>("info", []);
    let path = "x".repeat(8_000);
    let mut stream = BufReader::new(server.connect());
    for n in 0..2_000 {
        let request =
            format!("GET /customers/{path}{n}/license?apiKey=k HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(ask(&mut stream, &request).0, 401);
        server.send(b"nonsense\r\n\r\n").expect("an answer");
    }
    let log = server.log();
    let refused = log.lines().filter(|line| line.contains("refused")).count();
    assert!(log.len() < 20_000 && refused <= 42, "{} bytes, {refused} lines", log.len());
    assert!(refused >= 2, "{log}");
    // What was only counted is told as a number, at the end if not before.
    server.signal("TERM");
    let log = server.log_with("stopped");
    let more = |words: &str| -> usize {
        let counts = log.lines().filter_map(|line| line.split_once(words)?.0.rsplit(' ').next());
        counts.map(|count| count.parse::<usize>().expect("a number")).sum()
    };
    let told = |words: &str| log.lines().filter(|line| line.contains(words)).count();
    assert_eq!(more(" more requests refused for want of a right") + told("; told 401"), 2_000);
    assert_eq!(more(" more requests refused as malformed") + told("; told 400"), 2_000);
}

#[test]
fn a_connection_that_never_signed_is_closed_soon_where_it_is_idle() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let mut unsigned = BufReader::new(server.connect());
    assert_eq!(ask(&mut unsigned, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n").0, 200);
    let mut signer = BufReader::new(server.connect());
    assert_eq!(ask(&mut signer, &signed_request()).0, 200);
    let began = Instant::now();
    assert!(read_answer(&mut unsigned).is_none());
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert_eq!(ask(&mut signer, &signed_request()).0, 200);
}

#[test]
fn a_stop_tells_how_many_connections_are_open() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let mut stream = BufReader::new(server.connect());
    assert_eq!(ask(&mut stream, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n").0, 200);
    server.signal("TERM");
    let log = server.log_with("stopped");
    assert!(log.contains("stopping: 1 connection open\n"), "{log}");
}
