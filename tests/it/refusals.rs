//! Bad input over the socket: each with its status and its sentence, and the server none the worse
//! for it.

use crate::vendor::{API_KEY, API_SECRET, Answer, Server, Vendor, read_answer, read_rest, signed};
use std::io::{BufReader, Read, Write};
use std::time::{Duration, Instant};

const GOOD: [(&str, &str); 3] =
    [("fromTs", "1619913600"), ("toTs", "1619917200"), ("pageNum", "1")];

/// The good parameters, with one in the place of the one of its name, or none.
fn with<'a>(name: &'a str, value: Option<&'a str>) -> Vec<(&'a str, &'a str)> {
    let mut parameters: Vec<(&str, &str)> = GOOD.into_iter().filter(|(n, _)| *n != name).collect();
    parameters.extend(value.map(|value| (name, value)));
    parameters
}

#[test]
fn a_parameter_that_is_not_as_wanted_is_named() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    assert_eq!(server.ask("/usage", &GOOD).status, 200);
    let mut bad: Vec<(&str, Option<&str>)> = Vec::new();
    for name in ["fromTs", "toTs"] {
        let values = [
            "",
            "abc",
            "-619913600",
            "161991360",
            "16199136000",
            "1619913600.0",
            "0x16199136",
            " 161991360",
        ];
        bad.push((name, None));
        bad.extend(values.map(|value| (name, Some(value))));
    }
    bad.push(("pageNum", None));
    bad.extend(
        ["", "0", "-1", "x", "1.5", "2147483648", "99999999999999999999"]
            .map(|value| ("pageNum", Some(value))),
    );
    bad.extend(["", "0", "-1", "x", "1e3"].map(|value| ("limit", Some(value))));
    for path in ["/usage", "/bill"] {
        for (name, value) in &bad {
            let answer = server.ask(path, &with(name, *value));
            assert_eq!(
                (answer.status, &answer.json()["status"]),
                (400, &400.into()),
                "{name} {value:?}"
            );
            assert!(
                answer.reason().contains(name) && answer.reason().contains(": "),
                "{}",
                answer.reason()
            );
        }
        let backwards =
            server.ask(path, &[("fromTs", "1619917200"), ("toTs", "1619913600"), ("pageNum", "1")]);
        assert_eq!(backwards.status, 400);
        assert!(
            backwards.reason().contains("fromTs is 1619917200, later than toTs"),
            "{}",
            backwards.reason()
        );
    }
}

#[test]
fn what_is_wrong_is_told_in_the_order_path_method_size_parameters_signature_values() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let long = "x".repeat(100_000);
    let signed_badly = signed(API_KEY, "wrong", "/usage", &with("pageNum", Some("0")));
    let told = |method: &str, target: &str| {
        let answer = server
            .send(format!("{method} {target} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes())
            .expect("an answer");
        (answer.status, answer.reason())
    };
    for (method, target, status) in [
        ("POST", format!("/nowhere?{long}"), 404),
        ("POST", format!("/usage?{long}"), 405),
        ("GET", format!("/usage?{long}"), 414),
        ("GET", "/usage?pageNum=0&pageNum=0".to_owned(), 400),
        ("GET", "/usage?pageNum=%zz".to_owned(), 400),
        ("GET", "/usage?pageNum=%FF".to_owned(), 400),
        ("GET", "/usage?pageNum=0&".to_owned(), 400),
        ("GET", "/customers/%zz/license".to_owned(), 400),
        ("GET", signed_badly, 401),
        ("GET", signed("unknown", API_SECRET, "/usage", &with("pageNum", Some("0"))), 401),
        ("GET", "/usage?pageNum=0".to_owned(), 401),
        ("GET", "/customers/nobody/license".to_owned(), 401),
        ("GET", signed(API_KEY, API_SECRET, "/usage", &with("pageNum", Some("0"))), 400),
    ] {
        let (told, reason) = told(method, &target);
        assert_eq!(told, status, "{method} {target:.40}: {reason}");
        assert!(!reason.is_empty() && !reason.contains("xxxx"), "{reason}");
    }
    let (_, repeated) = told("GET", "/usage?pageNum=1&pageNum=1");
    assert!(repeated.contains("\"pageNum\" is given more than once"), "{repeated}");
    let answer = server.send(b"DELETE /usage HTTP/1.1\r\nHost: h\r\n\r\n").expect("an answer");
    assert!(answer.head.contains("allow: GET, HEAD\r\n"), "{}", answer.head);
}

#[test]
fn what_is_not_http_is_told_so() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let many_fields = format!("GET /usage HTTP/1.1\r\nHost: h\r\n{}\r\n", "a: b\r\n".repeat(200));
    let long_field = format!("GET /usage HTTP/1.1\r\nHost: h\r\na: {}\r\n\r\n", "x".repeat(20_000));
    for (bytes, status) in [
        ("nonsense\r\n\r\n", 400),
        ("GET /usage\r\n\r\n", 400),
        ("GET /usage HTTP/2.0\r\nHost: h\r\n\r\n", 400),
        ("GET /usage HTTP/1.1\r\n\r\n", 400),
        ("GET /usage HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", 400),
        ("GET /usage HTTP/1.1\r\nHost: h\r\nbad header\r\n\r\n", 400),
        ("GET /usage#x HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        ("GET /usage HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n", 400),
        (
            "GET /usage HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\
             Transfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        ("GET /usage HTTP/1.1\r\nHost: h\r\nContent-Length: 16385\r\n\r\n", 413),
        ("GET /usage HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n", 413),
        (&many_fields, 431),
        (&long_field, 431),
    ] {
        let answer = server.send(bytes.as_bytes()).unwrap_or_else(|| panic!("{bytes:.60}"));
        assert_eq!(answer.status, status, "{bytes:.60}");
        assert!(
            answer.reason().contains(": ") || answer.reason().contains("well-formed"),
            "{}",
            answer.reason()
        );
        assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
    }
    let cut_off = server.connect();
    (&cut_off).write_all(b"GET /usage HTTP/1.1\r\nHo").expect("sent");
    let rest = String::from_utf8(read_rest(cut_off)).expect("UTF-8");
    assert!(
        rest.starts_with("HTTP/1.1 400 Bad Request\r\n") && rest.contains("ends before"),
        "{rest}"
    );
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn requests_behind_one_another_are_answered_in_order() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let one = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut stream = server.connect();
    let head = "HEAD /healthz HTTP/1.1\r\nHost: h\r\n\r\n";
    let nowhere = "GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n";
    let pipelined = [one, "\r\n\r\n", one, nowhere, "nonsense\r\n\r\n", one, head].concat();
    // In pieces that break the requests anywhere.
    for piece in pipelined.as_bytes().chunks(7) {
        // The server may hang up behind the nonsense.
        let _sent = stream.write_all(piece);
    }
    let mut stream = BufReader::new(stream);
    let mut statuses = Vec::new();
    while let Some(Answer { status, .. }) = read_answer(&mut stream) {
        statuses.push(status);
    }
    assert_eq!(statuses, [200, 200, 404, 400]);
}

#[test]
fn a_body_that_nobody_wants_ends_the_connection_with_a_word() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    for request in [
        "GET /healthz HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
        "GET /healthz HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: h\r\n\
         Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ] {
        let mut stream = server.connect();
        stream.write_all(request.as_bytes()).expect("sent");
        let said = String::from_utf8(read_rest(stream)).expect("UTF-8");
        assert!(
            said.starts_with("HTTP/1.1 200 OK\r\n") && said.contains("connection: close\r\n"),
            "{said}"
        );
    }
    let answer = server
        .send(b"GET /usage HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n")
        .expect("an answer");
    assert!(answer.status == 400 && answer.reason().contains("Transfer-Encoding"), "{answer:?}");
}

#[test]
fn a_head_is_answered_without_the_body() {
    let vendor = Vendor::new();
    let stream = vendor.serve_with::<&str>([]);
    let connection = stream.connect();
    (&connection).write_all(b"HEAD /healthz HTTP/1.1\r\nHost: h\r\n\r\n").expect("sent");
    let said = String::from_utf8(read_rest(connection)).expect("UTF-8");
    assert!(said.starts_with("HTTP/1.1 200 OK\r\n") && said.ends_with("\r\n\r\n"), "{said}");
}

#[test]
fn what_is_refused_early_has_the_form_of_its_call() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let long = "x".repeat(20_000);
    for (bytes, status) in [
        (b"GET /usage?a=\xff HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(), 400),
        (format!("GET http://h/usage HTTP/1.1\r\nHost: h\r\na: {long}\r\n\r\n").into_bytes(), 431),
        (b"\r\nGET /usage HTTP/1.1\r\nHost: h\r\nContent-Length: 17000\r\n\r\n".to_vec(), 413),
    ] {
        let answer = server.send(&bytes).expect("an answer");
        assert_eq!((answer.status, &answer.json()["status"]), (status, &status.into()));
    }
    // What stands behind a :// inside a path is no path.
    let inside = format!("GET /x://h/usage HTTP/1.1\r\nHost: h\r\na: {long}\r\n\r\n");
    let answer = server.send(inside.as_bytes()).expect("an answer");
    assert_eq!((answer.status, &answer.json()["status"]), (404, &"failed".into()));
}

#[test]
fn line_feeds_before_a_request_cost_nothing() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let blank =
        ["\n".repeat(100_000), "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n".to_owned()].concat();
    let began = Instant::now();
    for _ in 0..10 {
        assert_eq!(server.send(blank.as_bytes()).expect("an answer").status, 200);
    }
    // Looked at once each they take milliseconds; looked at again with each other one, minutes.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn a_request_that_never_ends_is_told_so_and_holds_nobody_up() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let began = Instant::now();
    let mut halves: Vec<_> = (0..50).map(|_| server.connect()).collect();
    for half in &mut halves {
        half.write_all(b"GET /usage?fromTs=1619913600 HTTP/1.1\r\nHost:").expect("sent");
    }
    for _ in 0..100 {
        assert_eq!(server.ask("/usage", &GOOD).status, 200);
    }
    assert!(began.elapsed() < Duration::from_secs(8), "the others are held up");
    for half in halves {
        let answer = read_answer(&mut BufReader::new(half)).expect("an answer");
        assert_eq!(answer.status, 408);
        assert!(answer.reason().contains("did not arrive within"), "{}", answer.reason());
    }
}

#[test]
fn a_flood_of_nonsense_leaves_the_server_up() {
    let vendor = Vendor::new();
    let mut server = vendor.serve();
    let mut noise = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..300 {
        let bytes: Vec<u8> = (0..200)
            .map(|_| {
                noise ^= noise << 13;
                noise ^= noise >> 7;
                noise ^= noise << 17;
                noise.to_le_bytes()[0]
            })
            .collect();
        let mut stream = server.connect();
        // The server may refuse before it has read all of it.
        let _sent =
            stream.write_all(&bytes).and_then(|()| stream.shutdown(std::net::Shutdown::Write));
        let _said = stream.read_to_end(&mut Vec::new());
    }
    assert!(server.is_running());
    assert_eq!(server.ask("/usage", &GOOD).status, 200);
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

/// The books with so many projects at work in each second of one half hour that adding them up
/// takes longer than an answer may.
fn overfull(records: u32) -> Vendor {
    let vendor = Vendor::new();
    vendor
        .sql()
        .execute_batch(&format!(
            "begin;
         with recursive n (n) as (select 0 union all select n + 1 from n where n < {records} / 1800)
         insert into project (project_id, first_seen_at_s) select 'p' || n, 1 from n;
         with recursive n (n) as (select 0 union all select n + 1 from n where n + 1 < {records})
         insert into usage_ledger (record_id, project_no, at_s, amount, recorded_at_s, in_crowd)
         select 'r' || n, 1 + n / 1800, 1760000400 + n % 1800, '1', 1, 0 from n;
         commit;"
        ))
        .expect("records");
    vendor
}

#[test]
fn what_cannot_be_answered_in_time_is_503_and_others_are_answered() {
    let vendor = overfull(1_500_000);
    let server = vendor.serve();
    // From the second second of an hour to its middle: no kept sum helps.
    let slow: Vec<(&str, &str)> =
        vec![("fromTs", "1760000401"), ("toTs", "1760002198"), ("pageNum", "1")];
    let answers = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let began = Instant::now();
                    (server.ask("/usage", &slow), began.elapsed())
                })
            })
            .collect();
        let quick = server.ask("/usage", &GOOD);
        assert_eq!(quick.status, 200);
        asked.into_iter().map(|asked| asked.join().expect("an answer")).collect::<Vec<_>>()
    });
    for (answer, took) in answers {
        assert_eq!((answer.status, &answer.json()["status"]), (503, &503.into()), "after {took:?}");
        assert!(answer.head.contains("retry-after: 1\r\n"), "{}", answer.head);
    }
    assert!(server.log().contains("no answer now for /usage"));
}

#[test]
fn a_fault_of_ours_has_a_reference_that_the_log_explains() {
    let vendor = Vendor::new();
    vendor.ok(["record", "p", "1", "--at", "2021-05-02"]);
    vendor
        .sql()
        .execute_batch("update usage_rollup set amount = 'garbage'")
        .expect("tampered with");
    let server = vendor.serve();
    let (from, to) = crate::vendor::day("2021-05-02");
    let answer = server.usage(from, to);
    assert_eq!((answer.status, &answer.json()["status"]), (500, &500.into()));
    let reason = answer.reason();
    let reference = reason
        .strip_prefix("internal error: the log tells more under reference ")
        .expect("a reference");
    let log = server.log();
    let line = log.lines().find(|line| line.contains(reference)).expect("a line");
    assert!(line.contains("ERROR") && line.contains("/usage failed"), "{line}");
    assert!(!reason.contains("garbage") && !reason.contains("decimal"), "{reason}");
    assert_eq!(server.ask("/usage", &GOOD).status, 200);
}

#[test]
fn requests_in_flight_are_answered_when_the_server_is_told_to_stop() {
    let vendor = overfull(300_000);
    let server: Server = vendor.serve();
    let slow: Vec<(&str, &str)> =
        vec![("fromTs", "1760000401"), ("toTs", "1760002198"), ("pageNum", "1")];
    let target = signed(API_KEY, API_SECRET, "/usage", &slow);
    let mut streams: Vec<_> = (0..4).map(|_| server.connect()).collect();
    for stream in &mut streams {
        stream
            .write_all(format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes())
            .expect("sent");
    }
    // Once one is answered, the others have been let in.
    let mut streams: Vec<_> = streams.into_iter().map(BufReader::new).collect();
    let first = read_answer(&mut streams.remove(0)).expect("an answer");
    assert!([200, 503].contains(&first.status));
    server.signal("TERM");
    for mut stream in streams {
        let answer = read_answer(&mut stream).expect("an answer");
        assert!([200, 503].contains(&answer.status));
    }
    assert_eq!(server.wait(), Some(0));
}

#[test]
fn what_was_sent_before_the_server_is_told_to_stop_is_answered() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let target = signed(API_KEY, API_SECRET, "/usage", &GOOD);
    let request = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
    // Half of them have been answered once, half are new: none is known to be busy when the signal
    // comes.
    let mut streams: Vec<_> = (0..100).map(|_| BufReader::new(server.connect())).collect();
    for stream in &mut streams[..50] {
        stream.get_mut().write_all(request.as_bytes()).expect("sent");
        assert_eq!(read_answer(stream).expect("an answer").status, 200);
    }
    for stream in &mut streams {
        stream.get_mut().write_all(request.as_bytes()).expect("sent");
    }
    server.signal("TERM");
    for stream in &mut streams {
        let answer = read_answer(stream).expect("an answer");
        assert_eq!(answer.status, 200);
    }
    assert_eq!(server.wait(), Some(0));
}

#[test]
fn what_waits_to_be_accepted_is_answered_when_the_server_is_told_to_stop() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let two = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n".repeat(2);
    // The server sleeps, so that all of them wait when the signal comes.
    server.signal("STOP");
    let streams: Vec<_> = (0..60).map(|_| server.connect()).collect();
    for stream in &streams {
        (&*stream).write_all(two.as_bytes()).expect("sent");
    }
    let half = server.connect();
    (&half).write_all(b"GET /healthz HTT").expect("sent");
    server.signal("TERM");
    server.signal("CONT");
    for stream in streams {
        let mut stream = BufReader::new(stream);
        for _ in 0..2 {
            assert_eq!(read_answer(&mut stream).expect("an answer").status, 200);
        }
    }
    assert_eq!(read_answer(&mut BufReader::new(half)).expect("an answer").status, 408);
    assert_eq!(server.wait(), Some(0));
}

#[test]
fn blank_lines_do_not_keep_a_connection() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let stream = server.connect();
    let began = Instant::now();
    // As long as the server takes them.
    while (&stream).write_all(b"\r\n").is_ok() && began.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(began.elapsed() < Duration::from_secs(14), "{:?}", began.elapsed());
}
