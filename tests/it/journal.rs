//! What `serve` logs: a line for each thing that was told, changed or refused, in both forms,
//! without secrets, and a bounded amount whatever comes in.

use crate::vendor::{
    API_KEY, API_SECRET, Server, Vendor, day, second, signed, signed_body, with_body,
};
use serde_json::Value;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

/// A server that logs JSON, from this level on.
fn serve_json(vendor: &Vendor, level: &str) -> Server {
    let mut command = vendor.command(["serve", "--listen", "127.0.0.1:0", "--log", level]);
    command.env("AGORA_VENDOR_LOG_FORMAT", "json");
    vendor.serve_by(command)
}

/// The events of a log, each of which has a time, a level and a message.
fn events(log: &str) -> Vec<Value> {
    let event = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        second(event["time"].as_str().expect("a time"));
        assert!(matches!(event["level"].as_str(), Some("error" | "warn" | "info" | "debug")));
        assert!(event["message"].is_string(), "{event}");
        event
    };
    log.lines().map(event).collect()
}

/// The events whose message has these words in it.
fn having(log: &str, words: &str) -> Vec<Value> {
    let has = |event: &Value| event["message"].as_str().is_some_and(|said| said.contains(words));
    events(log).into_iter().filter(has).collect()
}

#[test]
fn each_statement_that_is_told_has_a_line() {
    let vendor = Vendor::new();
    vendor.ok(["plan", "set", "default", "--name", "Standard", "--price", "2", "--unit", "Call"]);
    for project in ["p1", "p2", "p3"] {
        vendor.ok(["record", project, "1.5", "--at", "2021-10-05"]);
    }
    let server = serve_json(&vendor, "info");
    let (from, to) = day("2021-10-05");
    assert_eq!(server.usage(from, to).status, 200);
    let told = having(&server.log(), "told usage");
    let [usage] = &told[..] else { panic!("{told:?}") };
    assert_eq!(usage["level"], "info");
    assert_eq!((&usage["kind"], &usage["from"]), (&"usage".into(), &"2021-10-05T00:00:00Z".into()));
    assert_eq!(usage["to"], "2021-10-05T23:59:59Z");
    assert_eq!((&usage["entries"], &usage["total"]), (&3.into(), &"4.5".into()));
    assert_eq!((&usage["pages"], &usage["again"]), (&1.into(), &false.into()));
    assert!(usage["tookMicros"].is_u64() && usage["listedMicros"].is_u64(), "{usage}");

    let month = [("fromTs", "1633046400"), ("toTs", "1635724799"), ("limit", "2")];
    let page = |page: &'static str| {
        server.ask("/bill", &[&month[..], &[("pageNum", page)]].concat()).status
    };
    assert_eq!(page("1"), 200);
    assert!(having(&server.log(), "told bill").is_empty(), "page 1 is not the last");
    assert_eq!([page("2"), page("2")], [200, 200]);
    let told = having(&server.log(), "told bill");
    let [bill, again] = &told[..] else { panic!("{told:?}") };
    assert_eq!((&bill["entries"], &bill["total"]), (&3.into(), &"9".into()));
    assert_eq!((&bill["pages"], &bill["again"]), (&2.into(), &false.into()));
    assert_eq!(again["again"], true);

    // One's own requests tell nobody anything.
    let test = vendor.json(["key", "list"]);
    let test = test.as_array().expect("keys").iter().find(|key| key["purpose"] == "test");
    let key = test.expect("a test pair")["apiKey"].as_str().expect("a key").to_owned();
    let secret = vendor.ok(["key", "show", &key, "--secret"]).out;
    let window = [("fromTs", "1633046400"), ("toTs", "1635724799"), ("pageNum", "1")];
    assert_eq!(server.get(&signed(&key, secret.trim(), "/usage", &window)).status, 200);
    assert_eq!(having(&server.log(), "told ").len(), 3);
}

#[test]
fn a_provisioning_call_has_a_line_where_it_changes_something() {
    let vendor = Vendor::new();
    let server = serve_json(&vendor, "info");
    for _ in 0..2 {
        for (method, path, fields) in [
            ("POST", "/customers/new", r#""customerId":"c","planId":"gold""#),
            ("POST", "/customers/c/projects/new", r#""projectId":"p""#),
            ("PUT", "/customers/c/projects/p/deactivate", ""),
            ("PUT", "/customers/c/deactivate", ""),
        ] {
            assert_eq!(server.call(method, path, fields).status, 200, "{path}");
        }
    }
    let log = server.log();
    // The second time the account is announced, and its project enabled, anew.
    for (words, count) in [
        ("Agora announced customer c, with the plan gold", 2),
        ("Agora enabled project p of customer c", 2),
        ("Agora disabled project p of customer c", 2),
        ("Agora deactivated customer c", 2),
    ] {
        let said = having(&log, words);
        assert_eq!(said.len(), count, "{words}: {log}");
        assert!(said.iter().all(|said| said["level"] == "info" && said["customer"] == "c"));
        assert!(said.iter().all(|said| said["tookMicros"].is_u64()));
    }
    assert_eq!(server.call("PUT", "/customers/c/deactivate", "").status, 200);
    assert_eq!(having(&server.log(), "Agora deactivated customer c").len(), 2, "it was so already");
}

#[test]
fn a_signed_request_that_is_refused_has_a_line_that_says_why() {
    let vendor = Vendor::new();
    let server = serve_json(&vendor, "info");
    let window = [("fromTs", "1633046400"), ("toTs", "1635724799")];
    let page = [&window[..], &[("pageNum", "1")]].concat();
    let to_no_call = signed_body(API_KEY, API_SECRET, "POST", "/customer/new", "");
    let statuses = [
        server.get(&signed(API_KEY, "wrong", "/usage", &page)).status,
        server.ask("/usage", &window).status,
        server.ask("/usages", &page).status,
        server.get(&signed(API_KEY, "wrong", "/bills", &page)).status,
        server.ask("/customers/c/license", &[]).status,
        server
            .send(with_body("POST", "/customer/new", &to_no_call).as_bytes())
            .map_or(0, |a| a.status),
        server.send(with_body("POST", "/usage", &to_no_call).as_bytes()).map_or(0, |a| a.status),
        server.get("/usage?limit=%zz&signature=x").status,
    ];
    assert_eq!(statuses, [401, 400, 404, 404, 404, 404, 405, 400]);
    let log = server.log();
    let refused: Vec<_> = having(&log, "refused ");
    let said: Vec<(&str, &Value)> = refused
        .iter()
        .map(|event| (event["reason"].as_str().expect("a reason"), &event["status"]))
        .collect();
    let wrong = format!("the signature is not one by {API_KEY}");
    assert_eq!(said[0], (wrong.as_str(), &401.into()));
    assert!(said[1].0.contains("pageNum"), "{said:?}");
    assert!(said[2].0.starts_with("no call has this path") && !said[2].0.contains("signature"));
    assert!(said[3].0.starts_with("no call has this path") && said[3].0.ends_with(&wrong));
    assert_eq!(said[4].1, 404);
    assert!(said[5].0.starts_with("no call has this path"), "{said:?}");
    assert!(said[6].0.starts_with("this path does not have that method"), "{said:?}");
    assert!(said[6].0.ends_with(&wrong), "it was signed for another path: {said:?}");
    assert_eq!(said.len(), 8, "{log}");
    assert!(refused.iter().all(|event| event["level"] == "warn" && event["method"].is_string()));

    // Whoever only looks around, as half the world does, is no news.
    for target in ["/.env", "/wp-login.php?a=b", "/"] {
        assert_eq!(server.get(target).status, 404);
    }
    server.send(with_body("POST", "/api", "{\"a\":\"b\"}").as_bytes()).expect("an answer");
    assert_eq!(having(&server.log(), "refused ").len(), 8);
}

#[test]
fn what_has_no_price_and_what_is_told_503_has_a_line() {
    let vendor = Vendor::new();
    vendor.ok(["record", "p", "3", "--at", "2021-10-05"]);
    let server = serve_json(&vendor, "info");
    let month = [("fromTs", "1633046400"), ("toTs", "1635724799"), ("pageNum", "1")];
    assert_eq!(server.ask("/bill", &month).status, 200);
    let left_out = having(&server.log(), "left out of the bill for want of a price");
    let [left_out] = &left_out[..] else { panic!("{left_out:?}") };
    assert_eq!((&left_out["level"], &left_out["unpriced"]), (&"warn".into(), &1.into()));

    let gone = [("fromTs", "1633046400"), ("toTs", "1633046401"), ("pageNum", "2")];
    assert_eq!(server.ask("/usage", &gone).status, 503);
    let busy = having(&server.log(), "no answer now for /usage");
    let [busy] = &busy[..] else { panic!("{busy:?}") };
    assert_eq!((&busy["level"], &busy["status"]), (&"warn".into(), &503.into()));
    assert!(busy["reason"].as_str().is_some_and(|reason| reason.contains("page 1")), "{busy}");
}

#[test]
fn every_line_is_json_whatever_callers_send_and_holds_no_secret_and_no_query() {
    let vendor = Vendor::new();
    let server = serve_json(&vendor, "debug");
    let odd = "\u{1b}[31m\"\\\u{9b}\u{202e}\n{\"level\":\"error\"}\u{0}é😀";
    for (key, secret) in [(odd, "x"), (API_KEY, "wrong"), (API_KEY, API_SECRET)] {
        for path in ["/usage", "/nowhere"] {
            server.get(&signed(key, secret, path, &[("fromTs", odd), ("limit", odd)]));
        }
    }
    let raw: [&[u8]; 6] = [
        b"GET /\xff\xfe\x80\" HTTP/1.1\r\nHost: h\r\n\r\n",
        b"\x00\x01\x02\r\n\r\n",
        b"GET /a\\\"b{}%22%0a HTTP/1.1\r\nHost: h\r\n\r\n",
        b"G\"T /usage\" HTTP/1.1\r\nHost: h\r\n\r\n",
        b"POST /customers/new HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n\xff\xfe\"",
        b"GET /usage?a=%00%ff%22 HTTP/9.9\r\n\r\n",
    ];
    for bytes in raw {
        server.send(bytes);
    }
    let body = r#""planId":"\u001b\u009b\u202e\"\\x","customerId":"c\"\u2028""#;
    server.call("POST", "/customers/new", body);
    server.signal("TERM");
    server.log_with("stopped");
    let log = server.log();
    assert!(events(&log).len() > 15, "{log}");
    for secret in [API_SECRET, "signature=", "fromTs=", "\u{1b}", "\u{9b}", "\u{202e}"] {
        assert!(!log.contains(secret), "{secret:?} in {log}");
    }
}

#[test]
fn what_is_not_http_is_called_that_and_its_first_bytes_are_shown() {
    let vendor = Vendor::new();
    let server = serve_json(&vendor, "info");
    let long = [&b"A".repeat(5_000)[..], b"\r\n\r\n"].concat();
    for (bytes, start) in [
        (&b"GARBAGE\r\n\r\n"[..], "GARBAGE"),
        (b"/usage?apiKey=k&signature=s\r\nHost: h\r\n\r\n", "/usage"),
        // How TLS begins.
        (b"\x16\x03\x01\x02\x00 \xff\"\n\n", "\\x16\\x03\\x01\\x02\\x00 \\xff\\\""),
        (&long, &"A".repeat(40)),
        (b"G\"T /usage HTTP/1.1\r\n\r\n", "G\\\"T /usage HTTP/1.1"),
    ] {
        assert_eq!(server.send(bytes).expect("an answer").status, 400);
        let log = server.log();
        let said = having(&log, "refused ").pop().unwrap_or_else(|| panic!("{log}"));
        let message = said["message"].as_str().expect("a message");
        let words = format!("refused a request that is not HTTP, \"{start}\": the request is not ");
        assert!(message.starts_with(&words) && message.ends_with("; told 400"), "{message}");
        assert_eq!((&said["start"], &said["path"]), (&start.into(), &Value::Null));
        assert_eq!((&said["status"], &said["level"]), (&400.into(), &"warn".into()));
    }
    // One that names a path is known by it, whatever else is wrong.
    server.send(b"GET /usage?a=b HTTP/1.1\r\n\r\n").expect("an answer");
    let said = having(&server.log(), "refused GET /usage: the request is not ");
    assert_eq!((said.len(), &said[0]["path"]), (1, &"/usage".into()));
    let broken =
        b"POST /customers/new HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
    assert_eq!(server.send(broken).expect("an answer").status, 400);
    let said = having(&server.log(), "refused the body of a request: the request is not ");
    assert_eq!(said.len(), 1, "{}", server.log());
    // One without a path that is something else than broken.
    let endless = "A".repeat(70_000);
    assert_eq!(server.send(endless.as_bytes()).expect("an answer").status, 404);
    let words = format!("refused a request without a path, \"{}\": no call", "A".repeat(40));
    assert_eq!(having(&server.log(), &words).len(), 1, "{}", server.log());
}

#[test]
fn what_callers_send_is_escaped_and_cut_in_a_log_for_people_too() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let odd = "\u{1b}[31m\u{9b}\u{202e}";
    server.send(format!("GET /usage{odd} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
    server.get(&signed(odd, "x", "/usage", &[("fromTs", odd)]));
    server.get(&format!("/usage{}", "x".repeat(1_000)));
    let log = server.log_with("refused GET /usage\\u{1b}[31m\\u{9b}\\u{202e}: ");
    assert!(log.contains("the apiKey \"\\u{1b}[31m"), "{log}");
    for hidden in ["\u{1b}", "\u{9b}", "\u{202e}"] {
        assert!(!log.contains(hidden), "{hidden:?} in {log}");
    }
    let xs = log.split(|c| c != 'x').map(str::len).max();
    assert_eq!(xs, Some(200 - "/usage".len()), "{log}");
}

#[test]
fn a_flood_costs_the_log_a_bounded_amount() {
    let vendor = Vendor::new();
    vendor.ok(["record", "p", "1", "--at", "2021-10-05"]);
    let server = vendor.serve_logging::<&str>("info", []);
    let (from, to) = day("2021-10-05");
    let gone = [("fromTs", "1633046400"), ("toTs", "1633046401"), ("pageNum", "2")];
    for _ in 0..150 {
        assert_eq!(server.usage(from, to).status, 200);
        assert_eq!(server.get("/usages?apiKey=k&signature=s").status, 404);
        assert_eq!(server.ask("/usages", &[]).status, 404);
        assert_eq!(server.ask("/usage", &gone).status, 503);
    }
    // Whoever has no key hides nothing of what whoever has one is told.
    server.get(&signed(API_KEY, "wrong", "/usage", &gone));
    let log = server.log();
    let count = |words: &str| log.matches(words).count();
    assert_eq!((count("told usage"), count("no answer now")), (60, 10), "{log}");
    assert_eq!(count("refused GET /usages: no call has this path"), 20, "{log}");
    assert_eq!(count("the signature is not one by"), 1, "{log}");
}

#[test]
fn a_fault_that_anybody_can_meet_costs_the_log_a_bounded_amount() {
    let vendor = Vendor::new();
    let server = vendor.serve_logging::<&str>("info", []);
    std::fs::rename(vendor.db(), vendor.path("elsewhere.db")).expect("renamed");
    for _ in 0..100 {
        assert_eq!(server.get("/healthz").status, 500);
    }
    assert_eq!(server.log().matches("/healthz failed").count(), 10, "{}", server.log());
}

#[test]
fn journald_reads_the_priority_before_the_object() {
    let vendor = Vendor::new();
    let log = vendor.path("journal");
    let file = File::create(&log).expect("a log");
    let metadata = file.metadata().expect("an identity");
    let stream = format!("{}:{}", metadata.dev(), metadata.ino());
    let mut child = vendor
        .command(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"])
        .env("JOURNAL_STREAM", &stream)
        .stdout(Stdio::piped())
        .stderr(file.try_clone().expect("a log"))
        .spawn()
        .expect("the server starts");
    let mut ready = [0; 9];
    child.stdout.as_mut().expect("piped").read_exact(&mut ready).expect("a line");
    crate::vendor::signal("TERM", &child.id().to_string());
    assert!(child.wait().expect("an end").success());
    // What ends it has its priority as well.
    let failing = vendor
        .command(["serve", "--listen", "192.0.2.1:1", "--log-format", "json"])
        .env("JOURNAL_STREAM", &stream)
        .stderr(file)
        .status();
    assert_eq!(failing.expect("it runs").code(), Some(1));
    let log = std::fs::read_to_string(log).expect("a log");
    let objects: Vec<&str> = log
        .lines()
        .map(|line| {
            let rest = line.strip_prefix("<6>").or_else(|| line.strip_prefix("<3>"));
            rest.unwrap_or_else(|| panic!("{line}"))
        })
        .collect();
    let objects = objects.join("\n");
    assert_eq!(events(&objects).last().expect("a line")["level"], "error");
    assert_eq!(having(&objects, "serves ").len(), 1);
    assert_eq!(having(&objects, "stopped").len(), 1);
}

#[test]
fn what_ends_the_server_is_an_object_too() {
    let vendor = Vendor::without_books();
    let mut command = vendor.command(["serve", "--listen", "127.0.0.1:0"]);
    let ended = command.env("AGORA_VENDOR_LOG_FORMAT", "json").output().expect("it runs");
    assert_eq!(ended.status.code(), Some(1));
    let log = String::from_utf8(ended.stderr).expect("UTF-8");
    let last = events(&log).pop().expect("a line");
    assert_eq!(last["level"], "error");
    assert!(last["message"].as_str().is_some_and(|said| said.contains(" init")), "{last}");
    // Otherwise it is a sentence, as of other verbs.
    let said = vendor.fails(1, ["serve", "--listen", "127.0.0.1:0"]);
    assert!(said.lines().last().is_some_and(|last| last.starts_with("error: ")), "{said}");
}

#[test]
fn a_log_that_nobody_reads_keeps_no_answer_back() {
    let vendor = Vendor::new();
    for format in ["text", "json"] {
        let mut serve = vendor.command(["serve", "--listen", "127.0.0.1:0", "--log", "debug"]);
        serve.args(["--log-format", format]);
        let (mut read, written) = std::io::pipe().expect("a pipe");
        let server = vendor.serve_by_into(serve, written.into());
        // Each is a line of 40 bytes at least, and the pipe has room for 64 KiB at most.
        for _ in 0..2_000 {
            assert_eq!(server.get("/healthz").status, 200);
        }
        let mut room = vec![0; 1 << 20];
        let filled = read.read(&mut room).expect("what there was room for");
        assert!(filled > 1 << 15, "{filled}");
        assert_eq!(server.get("/healthz").status, 200);
        server.signal("TERM");
        assert_eq!(server.wait(), Some(0));
        let mut rest = String::new();
        read.read_to_string(&mut rest).expect("UTF-8");
        let lost = rest.lines().find(|line| line.contains("lines are lost: there was no room"));
        let lost = lost.unwrap_or_else(|| panic!("{rest}"));
        assert_eq!(lost.starts_with('{'), format == "json", "{lost}");
        assert!(rest.contains("stopped"), "{rest}");
    }
}
