//! The provisioning calls over a real socket: what they change, that they may be repeated, and what
//! they refuse.

use crate::vendor::{
    API_KEY, API_SECRET, Answer, Server, Vendor, long, read_answer, second, signed_body, with_body,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufReader, Write};
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};

const SUCCESS: &str = r#"{"status":"success","statusReason":""}"#;

fn create_customer(server: &Server, id: &str) -> Answer {
    server.call("POST", "/customers/new", &format!(r#""planId":"gold","customerId":"{id}""#))
}

fn create_project(server: &Server, customer: &str, id: &str) -> Answer {
    server.call(
        "POST",
        &format!("/customers/{customer}/projects/new"),
        &format!(r#""projectId":{id}"#),
    )
}

fn keys(answer: &Answer) -> (String, String) {
    assert_eq!(answer.status, 200, "{answer:?}");
    let data = answer.json()["data"].clone();
    let text = |name: &str| data[name].as_str().expect("a text").to_owned();
    (text("appKey"), text("appSecret"))
}

/// What was changed of a customer or a project: the change, by whom, and the fields' names.
fn events(shown: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let fields = |event: &Value| {
        event["fields"].as_array().expect("names").iter().map(&text).collect::<Vec<_>>().join(",")
    };
    let events = shown["events"].as_array().expect("events");
    events.iter().map(|event| (text(&event["change"]), text(&event["by"]), fields(event))).collect()
}

#[test]
fn agoras_post_vector_creates_the_project_over_the_socket() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    create_customer(&server, "123456");
    let body = format!(
        r#"{{"projectId":430892,"apiKey":"{API_KEY}","signature":"QRJDBm3gGmlFb5ZF9XBqm7u4EkI="}}"#
    );
    let send = |body: &str| {
        server.send(with_body("POST", "/customers/123456/projects/new", body).as_bytes())
    };
    let answer = send(&body).expect("an answer");
    let (app_key, app_secret) = keys(&answer);
    assert_eq!(
        answer.body,
        format!(
            r#"{{"status":"success","statusReason":"","data":{{"appKey":"{app_key}","appSecret":"{app_secret}"}}}}"#
        )
    );
    assert_eq!((app_key.len(), app_secret.len()), (32, 44));
    // A text in the place of the number is signed alike, and so is the signature URL-encoded.
    let text = body.replace("430892", r#""430892""#);
    assert_eq!(send(&text).map(|again| again.body), Some(answer.body.clone()));
    assert_eq!(send(&body.replace("EkI=", "EkI%3D")).map(|again| again.body), Some(answer.body));
    assert_eq!(send(&body.replace("430892", "430893")).map(|other| other.status), Some(401));
    assert_eq!(send(&body.replace("430892", "430892.0")).map(|other| other.status), Some(401));
}

#[test]
fn every_documented_call_is_answered_as_documented() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let account = concat!(
        r#""planId":"gold","customerId":"123456","customerName":"Ann","#,
        r#""customerEmail":"a@b.c","customerPhone":"+86 1""#
    );
    assert_eq!(server.call("POST", "/customers/new", account).body, SUCCESS);
    let customer = vendor.json(["customer", "show", "123456"]);
    assert_eq!(
        [&customer["planId"], &customer["name"], &customer["email"], &customer["phone"]],
        [&json!("gold"), &json!("Ann"), &json!("a@b.c"), &json!("+86 1")]
    );
    assert!(server.log().contains("the plan gold, which is not set up"), "{}", server.log());

    let created = create_project(&server, "123456", "430892").json();
    assert_eq!((&created["status"], &created["statusReason"]), (&json!("success"), &json!("")));
    let project = vendor.json(["project", "show", "430892"]);
    assert_eq!((&project["customerId"], &project["enabled"]), (&json!("123456"), &json!(true)));

    let activation = r#""platform":"ios|android","expire":"1735689600-4102444799","type":"pro""#;
    assert_eq!(server.call("PUT", "/license/customers/123456/activate", activation).body, SUCCESS);
    let told = server.ask("/customers/123456/license", &[]).json();
    assert_eq!(told["data"], json!({"expireDate": "2099-12-31", "residueCount": "-1"}));

    // As Agora prints it, and as it ought to be.
    for slash in ["/", ""] {
        let path = format!("{slash}/customers/123456/projects/430892/deactivate");
        assert_eq!(server.call("PUT", &path, "").body, SUCCESS, "{path}");
        let path = format!("{slash}/customers/123456/deactivate");
        assert_eq!(server.call("PUT", &path, "").body, SUCCESS, "{path}");
    }
    assert_eq!(vendor.json(["project", "show", "430892"])["enabled"], false);
    assert_ne!(vendor.json(["customer", "show", "123456"])["deactivatedAt"], json!(null));
    // The envelope is of listings and licenses alone.
    let flat = vendor.serve_with(["--envelope", "flat"]);
    assert!(create_project(&flat, "123456", "430892").json()["data"]["appKey"].is_string());
}

#[test]
fn a_repeated_call_changes_nothing_and_one_with_other_values_is_an_update() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let account = |fields: &str| {
        let fields = format!(r#""planId":"gold","customerId":"c"{fields}"#);
        assert_eq!(server.call("POST", "/customers/new", &fields).body, SUCCESS);
    };
    account("");
    let first = create_project(&server, "c", "1");
    let holder = vendor.sql();
    let activation = r#""platform":"ios","expire":"1735689600-4102444799""#;
    let quiet = [
        ("/license/customers/c/activate", activation),
        ("/customers/gone/deactivate", ""),
        ("/customers/c/projects/2/deactivate", ""),
    ];
    create_customer(&server, "gone");
    create_project(&server, "c", "2");
    for (path, fields) in quiet {
        assert_eq!(server.call("PUT", path, fields).body, SUCCESS, "{path}");
    }
    // A lock that is never given back: what only repeats does not ask for it.
    holder.execute_batch("begin immediate").expect("the lock");
    for (path, fields) in quiet {
        assert_eq!(server.call("PUT", path, fields).body, SUCCESS, "{path}");
    }
    account("");
    account(r#","customerName":"""#);
    assert_eq!(
        create_project(&server, "c", "1"),
        Answer { head: create_project(&server, "c", "1").head, ..first.clone() }
    );
    let busy = server.call(
        "POST",
        "/customers/new",
        r#""planId":"gold","customerId":"c","customerName":"Ann""#,
    );
    assert_eq!(busy.status, 503);
    assert!(busy.head.contains("retry-after: 1\r\n"), "{}", busy.head);
    holder.execute_batch("rollback").expect("given back");
    assert_eq!(vendor.json(["customer", "show", "c"])["name"], json!(null));

    account(r#","customerName":"Ann","customerEmail":"a@b.c""#);
    account(r#","customerName":"Bea","customerEmail":"a@b.c""#);
    assert_eq!(
        server.call("POST", "/customers/new", r#""planId":"new plan","customerId":"c""#).body,
        SUCCESS
    );
    let shown = vendor.json(["customer", "show", "c"]);
    assert_eq!((&shown["name"], &shown["planId"]), (&json!("Bea"), &json!("new plan")));
    let by_agora =
        |change: &str, fields: &str| (change.to_owned(), "agora".to_owned(), fields.to_owned());
    assert_eq!(
        events(&shown),
        [
            by_agora("announced", "planId"),
            by_agora("enabled", ""),
            by_agora("keyed", "appKey,appSecret"),
            by_agora("enabled", ""),
            by_agora("keyed", "appKey,appSecret"),
            by_agora("disabled", ""),
            by_agora("changed", "customerName,customerEmail"),
            by_agora("changed", "customerName"),
            by_agora("changed", "planId"),
        ]
    );
}

#[test]
fn a_change_waits_a_quarter_of_a_second_for_the_lock_and_then_says_so() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let holder = vendor.sql();
    holder.execute_batch("begin immediate").expect("the lock");
    let began = Instant::now();
    assert_eq!(create_customer(&server, "c").status, 503);
    let waited = began.elapsed();
    assert!((Duration::from_millis(240)..Duration::from_secs(2)).contains(&waited), "{waited:?}");
    holder.execute_batch("rollback").expect("given back");
    vendor.fails(3, ["customer", "show", "c"]);
    assert_eq!(create_customer(&server, "c").status, 200);
}

#[test]
fn who_was_deactivated_is_active_again_with_the_same_keys_when_created_again() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    create_customer(&server, "c");
    let first =
        [keys(&create_project(&server, "c", "1")), keys(&create_project(&server, "c", "2"))];
    assert_ne!(first[0], first[1]);
    assert_eq!(server.call("PUT", "/customers/c/deactivate", "").body, SUCCESS);
    let enabled = |project: &str| vendor.json(["project", "show", project])["enabled"].clone();
    assert_eq!((enabled("1"), enabled("2")), (json!(false), json!(false)));
    create_customer(&server, "c");
    assert_eq!(vendor.json(["customer", "show", "c"])["deactivatedAt"], json!(null));
    // One by one.
    assert_eq!((enabled("1"), enabled("2")), (json!(false), json!(false)));
    assert_eq!(keys(&create_project(&server, "c", "2")), first[1]);
    assert_eq!((enabled("1"), enabled("2")), (json!(false), json!(true)));
    // A project that is created has an active account, whichever call comes first.
    server.call("PUT", "/customers/c/deactivate", "");
    assert_eq!(keys(&create_project(&server, "c", "1")), first[0]);
    assert_eq!(vendor.json(["customer", "show", "c"])["deactivatedAt"], json!(null));
    let changes: Vec<String> =
        events(&vendor.json(["customer", "show", "c"])).into_iter().map(|event| event.0).collect();
    assert_eq!(
        changes.join(" "),
        "announced enabled keyed enabled keyed deactivated disabled disabled reactivated enabled \
         deactivated disabled reactivated enabled"
    );
    vendor.ok(["check"]);
}

#[test]
fn whose_a_project_is_decides_who_may_create_it() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    vendor.ok(["record", "1", "1.5", "--id", "r"]);
    vendor.ok(["record", "2", "3", "--customer", "recorded"]);
    create_customer(&server, "c");
    create_customer(&server, "d");
    // It was only recorded so far, and is adopted with what was.
    assert_eq!(create_project(&server, "c", "1").status, 200);
    assert_eq!(vendor.json(["totals", "--customer", "c"])["total"], "1.5");
    let other = create_project(&server, "d", "1");
    assert_eq!((other.status, &other.json()["status"]), (409, &json!("failed")));
    assert_eq!(vendor.json(["project", "show", "1"])["customerId"], "c");

    // So is one whose customer only a record has named, and nobody's else.
    assert_eq!(create_project(&server, "d", "2").status, 200);
    let moved = ["registered", "left", "moved", "enabled", "keyed"];
    let changes =
        |shown: &Value| events(shown).into_iter().map(|event| event.0).collect::<Vec<_>>();
    assert_eq!(changes(&vendor.json(["project", "show", "2"])), moved);
    assert_eq!(
        changes(&vendor.json(["customer", "show", "recorded"])),
        ["registered", "registered", "left"]
    );
    assert_eq!(create_project(&server, "c", "2").status, 409);
    assert!(server.log().contains(
        "refused POST /customers/c/projects/new: the project belongs to another customer"
    ));

    for customer in ["d", "nobody"] {
        let path = format!("/customers/{customer}/projects/1/deactivate");
        assert_eq!(server.call("PUT", &path, "").status, 409, "{path}");
    }
    assert_eq!(vendor.json(["project", "show", "1"])["enabled"], true);
}

#[test]
fn what_is_refused_has_its_status_and_its_sentence_and_changes_nothing() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    create_customer(&server, "c");
    let whole = vendor.json(["customer", "list"]);
    let post = |body: &str| {
        let request = with_body("POST", "/customers/new", body);
        server.send(request.as_bytes()).unwrap_or_else(|| panic!("no answer to {body}"))
    };
    for (body, word) in [
        ("", "body is empty"),
        ("{", "broken JSON at line 1, column 1"),
        ("[]", "not a JSON object"),
        (&format!("{:?}", "x".repeat(12_000)), "not a JSON object"),
        (r#"{"planId":"p"} x"#, "broken JSON"),
        (r#"{"planId":{"a":1},"customerId":"d"}"#, r#""planId" holds an object"#),
        (r#"{"planId":["a"],"customerId":"d"}"#, r#""planId" holds an object"#),
        (r#"{"planId":"p","customerId":"d","planId":"p"}"#, "given more than once"),
        (r#"{"planId":"p","customerId":"d","plan\u0049d":"p"}"#, "given more than once"),
        ("{\"planId\":\"\u{1}\"}", "broken JSON"),
    ] {
        let answer = post(body);
        assert_eq!((answer.status, &answer.json()["status"]), (400, &json!("failed")), "{body}");
        assert!(
            answer.reason().contains(word) && answer.body.len() < 300,
            "{body}: {}",
            answer.reason()
        );
    }
    assert_eq!(post(r#"{"planId":"p","customerId":"d"}"#).status, 401);
    assert_eq!(
        post(&format!(r#"{{"planId":"p","customerId":"d","apiKey":"{API_KEY}"}}"#)).status,
        401
    );
    for (fields, word) in [
        (r#""planId":"p""#.to_owned(), "customerId is missing"),
        (r#""customerId":"d""#.to_owned(), "planId is missing"),
        (r#""planId":"p","customerId":true"#.to_owned(), "customerId is \"true\""),
        (r#""planId":"12345678901234567","customerId":"d""#.to_owned(), "planId"),
        (
            format!(r#""planId":"p","customerId":"d","customerName":"{}""#, "x".repeat(256)),
            "customerName",
        ),
    ] {
        let answer = server.call("POST", "/customers/new", &fields);
        assert_eq!(answer.status, 400, "{fields}");
        assert!(
            answer.reason().contains(word) && answer.reason().contains("must"),
            "{}",
            answer.reason()
        );
    }
    for path in ["/customers/%zz/deactivate", "/customers/c/projects/%ff/deactivate"] {
        assert_eq!(server.call("PUT", path, "").status, 400, "{path}");
    }
    assert_eq!(server.call("PUT", "/customers/a%20b/deactivate", "").status, 400);
    let wrong_method = server.call("PUT", "/customers/new", "");
    assert_eq!(wrong_method.status, 405);
    assert!(wrong_method.head.contains("allow: POST\r\n"), "{}", wrong_method.head);
    assert_eq!(vendor.json(["customer", "list"]), whole);
}

#[test]
fn a_body_that_is_too_large_is_refused_and_its_sender_gets_to_read_so() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let text = "x".repeat(1_700);
    let fields: Vec<String> = (0..10).map(|n| format!(r#""n{n}":"{text}""#)).collect();
    let too_large = signed_body(API_KEY, API_SECRET, "POST", "/customers/new", &fields.join(","));
    let answer =
        server.send(with_body("POST", "/customers/new", &too_large).as_bytes()).expect("an answer");
    assert_eq!(answer.status, 413);
    assert!(answer.reason().contains("at most 16 KiB"), "{}", answer.reason());
    // Of a chunked one the length is not told before.
    let chunk = format!("{:x}\r\n{too_large}\r\n0\r\n\r\n", too_large.len());
    let head = "POST /customers/new HTTP/1.1\r\nHost: vendor\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(
        server.send(format!("{head}{chunk}").as_bytes()).map(|answer| answer.status),
        Some(413)
    );

    let fits = signed_body(
        API_KEY,
        API_SECRET,
        "POST",
        "/customers/new",
        r#""customerId":"c","planId":"p""#,
    );
    let (first, second) = fits.split_at(9);
    let chunks =
        format!("{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n", first.len(), second.len());
    assert_eq!(
        server.send(format!("{head}{chunks}").as_bytes()).map(|answer| answer.body).as_deref(),
        Some(SUCCESS)
    );
    // A peer that closes its side when it has said all is answered; one that has not is told so.
    let hung_up = |request: &[u8]| {
        let stream = server.connect();
        (&stream).write_all(request).expect("sent");
        stream.shutdown(std::net::Shutdown::Write).expect("a half-close");
        read_answer(&mut BufReader::new(stream)).expect("an answer")
    };
    let whole = with_body("POST", "/customers/new", &fits);
    let chunked = format!("{head}{chunks}");
    for request in [&whole, &chunked] {
        assert_eq!(hung_up(request.as_bytes()).body, SUCCESS);
        let cut = hung_up(&request.as_bytes()[..request.len() - 8]);
        assert_eq!(cut.status, 400);
        assert!(cut.reason().contains("broken or ends too early"), "{}", cut.reason());
    }
    let not_chunks = hung_up(format!("{head}nonsense\r\n{fits}\r\n0\r\n\r\n").as_bytes());
    assert_eq!(not_chunks.status, 400);
}

#[test]
fn a_call_whose_sender_has_closed_its_side_is_seen_through() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let holder = vendor.sql();
    holder.execute_batch("begin immediate").expect("the lock");
    let body = signed_body(
        API_KEY,
        API_SECRET,
        "POST",
        "/customers/new",
        r#""customerId":"c","planId":"p""#,
    );
    let head = "POST /customers/new HTTP/1.1\r\nHost: vendor\r\nTransfer-Encoding: chunked\r\n\r\n";
    let stream = server.connect();
    (&stream)
        .write_all(format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).as_bytes())
        .expect("sent");
    std::thread::sleep(Duration::from_millis(80));
    stream.shutdown(std::net::Shutdown::Write).expect("a half-close");
    std::thread::sleep(Duration::from_millis(20));
    holder.execute_batch("rollback").expect("given back");
    assert_eq!(
        read_answer(&mut BufReader::new(stream)).map(|answer| answer.body).as_deref(),
        Some(SUCCESS)
    );
    vendor.ok(["customer", "show", "c"]);
}

#[test]
fn several_calls_come_over_one_connection() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let mut stream = BufReader::new(server.connect());
    let calls = ["1", "2", "3"].map(|id| {
        let fields = format!(r#""planId":"p","customerId":"{id}""#);
        with_body(
            "POST",
            "/customers/new",
            &signed_body(API_KEY, API_SECRET, "POST", "/customers/new", &fields),
        )
    });
    stream.get_mut().write_all(calls.concat().as_bytes()).expect("sent");
    for _ in &calls {
        assert_eq!(read_answer(&mut stream).map(|answer| answer.body).as_deref(), Some(SUCCESS));
    }
    assert_eq!(vendor.json(["customer", "list"]).as_array().map(Vec::len), Some(3));
}

#[test]
fn calls_come_in_any_order_and_a_customer_who_is_not_in_the_books_is_registered() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let activation = r#""platform":"ios","expire":"1735689600-4102444799","type":"pro""#;
    for method in ["POST", "PUT", "POST"] {
        let sold = server.call(method, "/license/customers/c/activate", activation);
        assert_eq!(sold.body, SUCCESS, "{method}");
    }
    assert_eq!(vendor.json(["license", "list", "c"]).as_array().map(Vec::len), Some(1));
    let created = create_project(&server, "d", "1");
    assert_eq!(keys(&created), keys(&create_project(&server, "d", "1")));
    let by_agora =
        |change: &str, fields: &str| (change.to_owned(), "agora".to_owned(), fields.to_owned());
    let registered = by_agora("registered", "");
    let of_c = vendor.json(["customer", "show", "c"]);
    assert_eq!((events(&of_c), &of_c["announcedAt"]), (vec![registered.clone()], &json!(null)));
    let of_d = vendor.json(["customer", "show", "d"]);
    let keyed = by_agora("keyed", "appKey,appSecret");
    assert_eq!(events(&of_d), [registered, by_agora("enabled", ""), keyed]);
    assert_eq!([&of_d["announcedAt"], &of_d["planId"]], [&json!(null); 2]);
    let log = server.log();
    for said in [
        "Agora sold a license to customer c, who was not in the books and is registered",
        "customer c was sold a license of the type pro, which is not set up: it is unlimited",
        "Agora created project 1 for customer d, who was not in the books and is registered",
    ] {
        assert_eq!(log.matches(said).count(), 1, "{said}: {log}");
    }
    // What was never announced is seen in the lists; it is a customer like others.
    vendor.ok(["record", "only-recorded", "7"]);
    let never = |list: &str, id: &str| {
        let table = vendor.ok([list, "list"]).out;
        let line = table.lines().find(|line| line.split(' ').next() == Some(id));
        line.unwrap_or_else(|| panic!("{table}")).contains(" never ")
    };
    assert!(never("customer", "c") && never("customer", "d"));
    assert!(never("project", "only-recorded") && !never("project", "1"));
    let projects = vendor.json(["project", "list"]);
    assert_eq!(projects[0]["announcedAt"], projects[0]["enabledSince"]);
    assert_eq!(projects[1]["announcedAt"], json!(null));
    assert_eq!(create_project(&server, "c", "1").status, 409);
    assert_eq!(create_customer(&server, "d").body, SUCCESS);
    assert!(!never("customer", "d"));
    // One who is in the books and was never announced is pointed out too.
    assert_eq!(create_project(&server, "c", "2").status, 200);
    assert!(
        server.log().contains("project 2 for customer c, whose account was never announced"),
        "{}",
        server.log()
    );
    vendor.ok(["check"]);
}

#[test]
fn deactivating_what_is_not_there_is_done_and_logged_once_a_day() {
    let vendor = Vendor::new();
    vendor.at("2026-11-01T10:00:00Z").ok(["record", "of-nobody", "7"]);
    let server = vendor.serve();
    let paths = [
        "/customers/gone/deactivate",
        "//customers/gone/projects/1/deactivate",
        "/customers/gone/projects/2/deactivate",
        "/customers/c/projects/of-nobody/deactivate",
    ];
    for (day, lines) in [("2026-11-01", 1), ("2026-11-02", 2)] {
        vendor.at(&format!("{day}T23:00:00Z"));
        for path in paths.iter().chain(&paths) {
            assert_eq!(server.call("PUT", path, "").body, SUCCESS, "{path}");
        }
        for what in [
            "customer gone",
            "project 1 of customer gone",
            "project 2 of customer gone",
            "project of-nobody of customer c",
        ] {
            let said = format!("Agora deactivated {what}, which is not in the books");
            assert_eq!(server.log().matches(&said).count(), lines, "{what}: {}", server.log());
        }
    }
    assert_eq!(vendor.json(["customer", "list"]), json!([]));
    assert_eq!(events(&vendor.json(["project", "show", "of-nobody"])).len(), 1);
}

#[test]
fn deactivating_what_only_the_shell_enabled_ends_its_fees() {
    let vendor = Vendor::new();
    vendor.at("2026-01-10T10:00:00Z");
    vendor.ok(["plan", "set", "default", "--name", "S", "--unit", "Minute", "--flat", "10"]);
    vendor.ok(["project", "add", "p", "--customer", "c"]);
    vendor.ok(["project", "add", "q", "--customer", "d"]);
    let server = vendor.serve();
    vendor.at("2026-01-20T10:00:00Z");
    // Agora has announced neither of the accounts.
    assert_eq!(server.call("PUT", "/customers/c/projects/p/deactivate", "").body, SUCCESS);
    assert_eq!(server.call("PUT", "/customers/d/deactivate", "").body, SUCCESS);
    vendor.at("2026-03-01T10:00:00Z");
    let billed = |first: &str, last: &str| {
        let (first, last) = (second(first), second(last));
        server.listing("/bill", first, last, 1).entries()
    };
    let due = |project: &str| (project.to_owned(), "10".to_owned());
    assert_eq!(billed("2026-01-01T00:00:00Z", "2026-01-31T23:59:59Z"), [due("p"), due("q")]);
    assert_eq!(billed("2026-02-01T00:00:00Z", "2026-02-28T23:59:59Z"), []);
    let disabled = |project: &str| vendor.json(["project", "show", project])["disabledAt"].clone();
    assert_eq!((disabled("p"), disabled("q")), ("2026-01-20T10:00:00Z".into(), disabled("p")));
    assert_eq!(vendor.json(["customer", "show", "d"])["deactivatedAt"], "2026-01-20T10:00:00Z");
    assert_eq!(vendor.json(["customer", "show", "c"])["deactivatedAt"], json!(null));
    vendor.ok(["check"]);
}

/// Sends a call signed with the test pair.
fn rehearse(vendor: &Vendor, server: &Server, method: &str, path: &str, fields: &str) -> Answer {
    std::fs::write(vendor.path("body"), format!("{{{fields}}}")).expect("a file");
    let url = format!("{}{path}", server.origin());
    let body = vendor.ok(["sign", "--method", method, "--data", "body", &url]).out;
    server.send(with_body(method, path, body.trim()).as_bytes()).expect("an answer")
}

#[test]
fn a_call_signed_with_the_test_pair_is_answered_as_a_live_one_and_nothing_of_it_is_kept() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    create_customer(&server, "c");
    let created = create_project(&server, "c", "1");
    vendor.ok(["project", "add", "shells", "--customer", "c"]);
    let books = || {
        ["customer list", "project list", "license list", "customer show c", "project show 1"]
            .map(|verb| vendor.json(verb.split(' ')))
    };
    let before = books();
    let ask =
        |method: &str, path: &str, fields: &str| rehearse(&vendor, &server, method, path, fields);
    // A lock that is never given back: nothing here asks for it.
    let holder = vendor.sql();
    holder.execute_batch("begin immediate").expect("the lock");
    let activation = r#""platform":"ios","expire":"1735689600-4102444799","type":"pro""#;
    for (method, path, fields) in [
        ("POST", "/customers/new", r#""planId":"p","customerId":"d""#),
        ("POST", "/customers/new", r#""planId":"p","customerId":"c","customerName":"Ann""#),
        ("PUT", "/license/customers/c/activate", activation),
        ("POST", "/license/customers/d/activate", activation),
        ("PUT", "/customers/c/projects/1/deactivate", ""),
        ("PUT", "/customers/c/deactivate", ""),
        ("PUT", "/customers/nobody/deactivate", ""),
    ] {
        assert_eq!(ask(method, path, fields).body, SUCCESS, "{method} {path}");
    }
    let create = |customer: &str, project: &str| {
        let path = format!("/customers/{customer}/projects/new");
        ask("POST", &path, &format!(r#""projectId":"{project}""#))
    };
    assert_eq!(create("c", "1").body, created.body);
    let made_up = [create("d", "2"), create("d", "3"), create("e", "2"), create("c", "shells")];
    for (answer, (customer, project)) in
        made_up.iter().zip([("d", "2"), ("d", "3"), ("e", "2"), ("c", "shells")])
    {
        let (app_key, app_secret) = keys(answer);
        assert_eq!((app_key.len(), app_secret.len()), (32, 44));
        assert_eq!(create(customer, project).body, answer.body);
    }
    assert_eq!(made_up.iter().map(keys).collect::<BTreeSet<_>>().len(), 4);
    for (method, path, fields, status) in [
        ("POST", "/customers/d/projects/new", r#""projectId":"1""#, 409),
        ("PUT", "/customers/d/projects/1/deactivate", "", 409),
        ("POST", "/customers/new", r#""customerId":"d""#, 400),
        ("PUT", "/license/customers/c/activate", r#""platform":"ios","expire":"9-1""#, 400),
    ] {
        let live = server.call(method, path, fields);
        let test = ask(method, path, fields);
        assert_eq!((test.status, &test.body), (status, &live.body), "{method} {path}");
    }
    holder.execute_batch("rollback").expect("given back");
    assert_eq!(books(), before);
    assert!(!server.log().contains("Agora deactivated"), "{}", server.log());
    // The keys of another test pair are others.
    let pair = vendor.json(["key", "list"]);
    let old = pair.as_array().expect("pairs").iter().find(|pair| pair["purpose"] == "test");
    let old = old.expect("a test pair")["apiKey"].as_str().expect("a key").to_owned();
    vendor.ok(["key", "add", "--test"]);
    vendor.ok(["key", "revoke", &old]);
    assert_ne!(keys(&create("d", "2")), keys(&made_up[0]));
}

#[test]
fn usage_after_a_deactivation_is_reported_and_pointed_out() {
    let vendor = Vendor::new();
    vendor.ok(["plan", "set", "default", "--name", "S", "--unit", "Minute", "--price", "2"]);
    vendor.ok(["plan", "set", "gold", "--name", "S", "--unit", "Minute", "--price", "3"]);
    let server = vendor.serve();
    create_customer(&server, "c");
    create_project(&server, "c", "1");
    assert_eq!(vendor.ok(["record", "1", "1"]).err, "");
    assert_eq!(server.call("PUT", "/customers/c/projects/1/deactivate", "").status, 200);
    let disabled_at =
        vendor.json(["project", "show", "1"])["disabledAt"].as_str().expect("a time").to_owned();
    let later = (second(&disabled_at) + 60).to_string();
    let said = vendor.ok(["record", "1", "5", "--at", &later]).err;
    assert!(said.contains("project 1 was disabled at") && said.contains("billed"), "{said}");
    let shown = vendor.json(["project", "show", "1"]);
    assert_eq!(shown["usedWhileDisabled"], json!({"amount": "5", "records": 1}));
    assert_eq!(vendor.json(["totals"])["total"], "6");
    let now = jiff::Timestamp::now().as_second();
    assert_eq!(
        server.usage(now - 3_600, now + 3_600).entries(),
        [("1".to_owned(), "6".to_owned())]
    );
    // One that was never enabled, of an account that is not active.
    server.call("PUT", "/customers/c/deactivate", "");
    let said = vendor.ok(["record", "other", "1", "--customer", "c", "--at", &later, "--new"]).err;
    assert!(said.contains("project other was disabled at"), "{said}");
    assert_eq!(
        vendor.json(["project", "show", "other"])["usedWhileDisabled"],
        json!({"amount": "1", "records": 1})
    );
    assert_eq!(
        server.listing("/bill", now - 3_600, now + 3_600, 1).entries(),
        [("1".to_owned(), "18".to_owned()), ("other".to_owned(), "3".to_owned())]
    );
}

#[test]
fn the_vendors_backend_verifies_the_keys_of_a_call() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    create_customer(&server, "c");
    let (app_key, app_secret) = keys(&create_project(&server, "c", "1"));
    let verify = |project: &str, app_key: &str, app_secret: &str| {
        let arguments = ["project", "verify", project, "--app-key", app_key];
        let mut child = vendor
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("it runs");
        child.stdin.take().expect("piped").write_all(app_secret.as_bytes()).expect("written");
        child.wait().expect("an end").code()
    };
    assert_eq!(verify("1", &app_key, &app_secret), Some(0));
    assert_eq!(verify("1", &app_key, &format!("{app_secret}\n")), Some(0));
    assert_eq!(verify("1", &app_key, &app_secret[1..]), Some(1));
    assert_eq!(verify("1", &app_secret, &app_secret), Some(1));
    assert_eq!(verify("2", &app_key, &app_secret), Some(1));
    vendor.ok(["record", "3", "2"]);
    assert_eq!(verify("3", "", ""), Some(1));
    // That it cannot be looked up is no wrong secret.
    let nowhere = ["--db", "nowhere", "project", "verify", "1", "--app-key", "x"];
    assert_eq!(vendor.run(nowhere).code, 75);
    std::fs::write(vendor.path("secret"), &app_secret).expect("a file");
    vendor.ok(["project", "verify", "1", "--app-key", &app_key, "--app-secret-file", "secret"]);
    let shown = vendor.ok(["project", "show", "1"]).out;
    assert!(shown.contains(&app_key) && !shown.contains(&app_secret), "{shown}");
    assert!(vendor.ok(["project", "show", "1", "--secret"]).out.contains(&app_secret));
    server.call("PUT", "/customers/c/deactivate", "");
    assert_eq!(verify("1", &app_key, &app_secret), Some(1));
    assert!(!server.log().contains(&app_secret));
}

#[test]
fn a_forgotten_customer_keeps_ids_and_amounts_and_its_contacts_are_nowhere_in_the_file() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let account = concat!(
        r#""planId":"p","customerId":"c","customerName":"Zaphod Beeblebrox","#,
        r#""customerEmail":"zaphod@heart.gold""#
    );
    server.call("POST", "/customers/new", account);
    server.call("POST", "/customers/new", &account.replace("Zaphod Beeb", "Zarniwoop Beeb"));
    create_project(&server, "c", "1");
    vendor.ok(["record", "1", "2.5"]);
    server.call("PUT", "/customers/c/deactivate", "");
    vendor.ok(["customer", "forget", "c"]);
    assert!(vendor.ok(["customer", "forget", "c"]).err.contains("no contacts to forget"));
    vendor.fails(3, ["customer", "forget", "nobody"]);
    let shown = vendor.json(["customer", "show", "c"]);
    assert_eq!([&shown["name"], &shown["email"], &shown["phone"]], [&json!(null); 3]);
    assert_eq!(shown["projects"], json!(["1"]));
    let forgotten = events(&shown).pop().expect("an event");
    assert_eq!(
        (forgotten.0.as_str(), forgotten.2.as_str()),
        ("forgotten", "customerName,customerEmail")
    );
    assert!(forgotten.1.starts_with("shell:"), "{}", forgotten.1);
    assert_eq!(vendor.total(), "2.5");
    // The server is at work on it all the while.
    assert_eq!(server.get("/healthz").status, 200);
    let file = std::fs::read(vendor.db()).expect("a file");
    for contact in ["Zaphod", "Zarniwoop", "zaphod@heart.gold"] {
        assert!(
            !file.windows(contact.len()).any(|window| window == contact.as_bytes()),
            "{contact}"
        );
    }
}

#[test]
fn events_are_only_added_and_tell_which_shell_user() {
    let vendor = Vendor::new();
    let run = |arguments: &[&str], sudo_uid: Option<&str>| {
        let mut command = vendor.command(arguments);
        // A name that nobody vouches for is not believed.
        command
            .env("LOGNAME", "mallory")
            .env("USER", "mallory")
            .env("SUDO_USER", "alice")
            .env_remove("SUDO_UID");
        command.envs(sudo_uid.map(|uid| ("SUDO_UID", uid)));
        assert!(command.output().expect("it runs").status.success());
    };
    run(&["customer", "add", "c", "--email", "a@b.c"], None);
    run(&["project", "add", "p", "--customer", "c"], None);
    run(&["project", "add", "p", "--customer", "d"], Some("4242"));
    run(&["project", "add", "p", "--customer", "d"], Some("4242"));
    let of_customer = events(&vendor.json(["customer", "show", "c"]));
    let by = of_customer[0].1.clone();
    assert!(by.starts_with("shell:") && !by.contains("mallory") && !by.contains("alice"), "{by}");
    let by_sudo = by.replace("shell:", "shell:alice as ");
    let event = |change: &str, by: &str, fields: &str| {
        (change.to_owned(), by.to_owned(), fields.to_owned())
    };
    let enabled = event("enabled", &by, "");
    let left = event("left", &by_sudo, "customerId");
    assert_eq!(
        of_customer,
        [event("announced", &by, "customerEmail"), enabled.clone(), left.clone()]
    );
    let moved = event("moved", &by_sudo, "customerId");
    assert_eq!(events(&vendor.json(["project", "show", "p"])), [enabled, left, moved]);
    for tampering in ["update event set actor = 'agora'", "delete from event"] {
        let refused = vendor.sql().execute(tampering, []).expect_err(tampering).to_string();
        assert!(refused.contains("events are only added"), "{refused}");
    }
}

/// Sends a call on an open connection as often as Agora does until there is an answer other than
/// that the server is busy.
fn insist(stream: &mut BufReader<std::net::TcpStream>, request: &str) -> Answer {
    for _ in 0..3 {
        stream.get_mut().write_all(request.as_bytes()).expect("sent");
        let answer = read_answer(stream).expect("an answer");
        if answer.status != 503 {
            return answer;
        }
    }
    panic!("always busy");
}

#[test]
fn sixty_four_connections_that_create_the_same_at_once_make_one() {
    const CONNECTIONS: usize = 64;
    let rounds = 100;
    let vendor = Vendor::new();
    let server = vendor.serve();
    let call = |path: &str, fields: &str| {
        with_body("POST", path, &signed_body(API_KEY, API_SECRET, "POST", path, fields))
    };
    let accounts: Vec<String> = (0..rounds)
        .map(|n| call("/customers/new", &format!(r#""planId":"p","customerId":{n}"#)))
        .collect();
    let projects: Vec<String> = (0..rounds)
        .map(|n| call(&format!("/customers/{n}/projects/new"), &format!(r#""projectId":{n}"#)))
        .collect();
    let barrier = Barrier::new(CONNECTIONS);
    let answers: Mutex<Vec<BTreeSet<String>>> = Mutex::new(vec![BTreeSet::new(); rounds]);
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut stream = BufReader::new(server.connect());
                for n in 0..rounds {
                    barrier.wait();
                    assert_eq!(insist(&mut stream, &accounts[n]).body, SUCCESS);
                    let answer = insist(&mut stream, &projects[n]);
                    assert_eq!(answer.status, 200, "{answer:?}");
                    answers.lock().expect("no thread panics with it")[n].insert(answer.body);
                }
            });
        }
    });
    let answers = answers.into_inner().expect("no thread panics with it");
    assert!(answers.iter().all(|told| told.len() == 1), "{answers:?}");
    assert_eq!(answers.iter().flatten().collect::<BTreeSet<_>>().len(), rounds);
    let count = |select: &str| -> usize {
        let count: i64 = vendor.sql().query_row(select, [], |row| row.get(0)).expect("a count");
        count.try_into().expect("a count")
    };
    assert_eq!(count("select count(*) from customer"), rounds);
    assert_eq!(count("select count(distinct app_secret) from project"), rounds);
    assert_eq!(count("select count(*) from project_enablement"), rounds);
    assert_eq!(count("select count(*) from event"), 3 * rounds);
    vendor.ok(["check"]);
}

/// Announces an account and its project, each of this id, as Agora does: the keys that are
/// answered, or `None` where the server is gone. Inside, `None` where Agora is asked to try again
/// (503): an account comes before its project.
fn provision(server: SocketAddr, id: &str) -> Option<Option<String>> {
    let calls = [
        ("/customers/new".to_owned(), format!(r#""planId":"p","customerId":"{id}""#)),
        (format!("/customers/{id}/projects/new"), format!(r#""projectId":"{id}""#)),
    ];
    let mut keys = None;
    for (path, fields) in calls {
        let body = signed_body(API_KEY, API_SECRET, "POST", &path, &fields);
        let mut stream = std::net::TcpStream::connect(server).ok()?;
        let _sent = stream.write_all(with_body("POST", &path, &body).as_bytes());
        let mut reader = BufReader::new(stream);
        let read = std::panic::AssertUnwindSafe(|| read_answer(&mut reader));
        let answer = std::panic::catch_unwind(read).unwrap_or_default()?;
        if answer.status != 200 {
            return Some(None);
        }
        keys = Some(answer.body);
    }
    Some(keys)
}

/// Checks that each account has its one event, and each project its keys, its stretch and its
/// event, or none of them.
fn check_whole_or_undone(vendor: &Vendor) {
    let sql = vendor.sql();
    let broken: i64 = sql
        .query_row(
            "select count(*) from project p
             where app_key is null
               or 1 <> (select count(*) from project_enablement e where e.project_id = p.project_id)
               or 2 <> (select count(*) from event e where e.project_id = p.project_id)",
            [],
            |row| row.get(0),
        )
        .expect("a count");
    assert_eq!(broken, 0);
    let (customers, events): (i64, i64) = sql
        .query_row(
            "select (select count(*) from customer), \
             (select count(*) from event where project_id is null)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .expect("counts");
    assert_eq!(customers, events);
}

#[test]
fn a_server_killed_while_it_provisions_leaves_each_call_whole_or_undone() {
    let vendor = Vendor::new();
    let rounds = if long() { 100 } else { 8 };
    let mut told: Vec<(String, String)> = Vec::new();
    for round in 0..rounds {
        let mut server = vendor.serve();
        let stop = AtomicBool::new(false);
        let answered: Mutex<Vec<(String, String)>> = Mutex::default();
        let sent: Mutex<Vec<String>> = Mutex::default();
        let port = server.connect().peer_addr().expect("an address");
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (stop, answered, sent) = (&stop, &answered, &sent);
                scope.spawn(move || {
                    for n in 0.. {
                        let id = format!("{round}-{thread}-{n}");
                        sent.lock().expect("no panic").push(id.clone());
                        let Some(keys) = provision(port, &id) else {
                            return;
                        };
                        if let Some(keys) = keys {
                            answered.lock().expect("no panic").push((id, keys));
                        }
                        if stop.load(Ordering::Relaxed) {
                            return;
                        }
                    }
                });
            }
            // On a slow disk an answer takes longer than the time in which the server is killed
            // after it.
            let until = Instant::now() + Duration::from_secs(10);
            while answered.lock().expect("no panic").len() < 2 && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_millis((round * 17) % 60));
            server.kill();
            stop.store(true, Ordering::Relaxed);
        });
        told.extend(answered.into_inner().expect("no panic"));
        vendor.ok(["check"]);

        check_whole_or_undone(&vendor);

        // Agora sends again what was not answered, and gets what was.
        let server = vendor.serve();
        for id in sent.into_inner().expect("no panic") {
            assert_eq!(
                server
                    .call("POST", "/customers/new", &format!(r#""planId":"p","customerId":"{id}""#))
                    .status,
                200
            );
            let answer = create_project(&server, &id, &format!(r#""{id}""#));
            assert_eq!(answer.status, 200, "{answer:?}");
            if let Some((_, before)) = told.iter().find(|(told, _)| *told == id) {
                assert_eq!(*before, answer.body, "{id}");
            }
        }
    }
    assert!(told.len() > usize::try_from(rounds).expect("a few"), "{}", told.len());
    vendor.ok(["check"]);
}

#[test]
fn a_call_that_is_signed_rightly_and_refused_is_in_the_log() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let long = r#""planId":"a-plan-whose-id-is-too-long","customerId":"c""#;
    assert_eq!(server.call("POST", "/customers/new", long).status, 400);
    assert!(server.log().contains("refused POST /customers/new: "), "{}", server.log());
    let bad = r#""platform":"ios","expire":"bad""#;
    assert_eq!(server.call("PUT", "/license/customers/c/activate", bad).status, 400);
    assert!(server.log().contains("refused PUT /license/customers/c/activate: "));
    let id = "x".repeat(300);
    assert_eq!(server.call("PUT", &format!("/customers/{id}/deactivate"), "").status, 400);
    assert!(server.log().contains("refused PUT /customers/xxx"), "{}", server.log());
    assert_eq!(server.ask("/usage", &[("fromTs", "0"), ("toTs", "1")]).status, 400);
    assert!(server.log().contains("refused GET /usage: "), "{}", server.log());
}

#[test]
fn a_project_that_a_record_gave_to_another_customer_is_adopted_and_the_log_says_until_when() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    vendor.at("2026-11-10T10:00:00Z").ok(["record", "z", "2", "--customer", "zz"]);
    server.call("POST", "/customers/new", r#""planId":"p","customerId":"c""#);
    let answer = server.call("POST", "/customers/c/projects/new", r#""projectId":"z""#);
    assert_eq!(answer.status, 200);
    let words = "a record had named customer zz, who is billed for it until 2026-11-30";
    assert!(server.log().contains(words), "{}", server.log());
}
