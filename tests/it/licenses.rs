//! Licenses at the shell and over the socket.

use crate::vendor::{Server, Vendor, days_from_now};
use serde_json::json;

fn told(server: &Server, customer: &str) -> (String, String) {
    let answer = server.ask(&format!("/customers/{customer}/license"), &[]);
    assert_eq!(answer.status, 200, "{answer:?}");
    let data = answer.json()["data"].clone();
    let text = |name: &str| data[name].as_str().expect("a string").to_owned();
    (text("expireDate"), text("residueCount"))
}

#[test]
fn several_licenses_are_folded_into_one_answer() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let (near, far, past) = (days_from_now(10), days_from_now(20), days_from_now(-5));
    vendor.ok(["license", "issue", "--new", "c", "--expires", &near, "--count", "100"]);
    assert_eq!(told(&server, "c"), (near.clone(), "100".into()));
    vendor.ok([
        "license",
        "issue",
        "--new",
        "c",
        "--expires",
        &far,
        "--count",
        "0.5",
        "--id",
        "second",
    ]);
    vendor.ok(["license", "issue", "--new", "c", "--expires", &past, "--count", "1000"]);
    assert_eq!(told(&server, "c"), (far.clone(), "100.5".into()));
    vendor.ok(["license", "revoke", "second"]);
    assert_eq!(told(&server, "c"), (near.clone(), "100".into()));
}

#[test]
fn a_license_is_good_through_the_last_second_of_its_day() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let (today, yesterday) = (days_from_now(0), days_from_now(-1));
    vendor.ok(["license", "issue", "--new", "today", "--expires", &today, "--count", "7"]);
    vendor.ok(["license", "issue", "--new", "yesterday", "--expires", &yesterday, "--count", "7"]);
    // Unless midnight has just passed.
    if days_from_now(0) == today {
        assert_eq!(told(&server, "today"), (today, "7".into()));
        assert_eq!(told(&server, "yesterday"), (yesterday, "0".into()));
    }
}

#[test]
fn an_unlimited_license_is_told_as_the_setting_says() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let far = days_from_now(20);
    vendor.ok(["license", "issue", "--new", "c", "--expires", &days_from_now(5), "--count", "3"]);
    vendor.ok(["license", "issue", "--new", "--unlimited", "c", "--expires", &far]);
    assert_eq!(told(&server, "c"), (far.clone(), "-1".into()));
    vendor.ok(["setting", "set", "unlimited-as", "999999999"]);
    assert_eq!(told(&server, "c"), (far, "999999999".into()));
}

#[test]
fn a_customer_whose_licenses_have_run_out_gets_the_latest_day_and_nothing() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let (today, far) = (days_from_now(0), days_from_now(20));
    vendor.ok(["license", "issue", "--new", "c", "--expires", &days_from_now(-9), "--count", "3"]);
    vendor.ok(["license", "issue", "--new", "--unlimited", "c", "--expires", &days_from_now(-3)]);
    assert_eq!(told(&server, "c"), (days_from_now(-3), "0".into()));
    vendor.ok([
        "license",
        "issue",
        "--new",
        "--unlimited",
        "c",
        "--expires",
        &far,
        "--id",
        "revoked",
    ]);
    vendor.ok(["license", "revoke", "revoked", "--reason", "refund"]);
    if days_from_now(0) == today {
        assert_eq!(told(&server, "c"), (today, "0".into()));
    }
}

#[test]
fn a_customer_who_never_had_a_license_is_not_found() {
    let vendor = Vendor::new();
    vendor.ok(["customer", "add", "c"]);
    let server = vendor.serve();
    for customer in ["c", "nobody"] {
        let answer = server.ask(&format!("/customers/{customer}/license"), &[]);
        assert_eq!((answer.status, &answer.json()["status"]), (404, &json!("failed")));
        assert!(answer.reason().contains("never had a license"), "{}", answer.reason());
    }
    let too_long = "x".repeat(65);
    let answer = server.ask(&format!("/customers/{too_long}/license"), &[]);
    assert_eq!(answer.status, 400);
    assert!(answer.reason().contains("customerId"), "{}", answer.reason());
}

#[test]
fn a_customer_id_in_a_path_is_decoded_and_signed_as_sent() {
    let vendor = Vendor::new();
    vendor.ok([
        "license",
        "issue",
        "--new",
        "a/b+c",
        "--expires",
        &days_from_now(9),
        "--count",
        "1",
    ]);
    let server = vendor.serve();
    assert_eq!(told(&server, "a%2Fb+c").1, "1");
    assert_eq!(told(&server, "a%2fb%2Bc").1, "1");
    assert_eq!(server.ask("/customers/a/b+c/license", &[]).status, 404);
}

#[test]
fn the_flat_form_has_the_fields_beside_status() {
    let vendor = Vendor::new();
    let far = days_from_now(9);
    vendor.ok(["license", "issue", "--new", "c", "--expires", &far, "--count", "100"]);
    let body = vendor.serve().ask("/customers/c/license", &[]).body;
    assert_eq!(
        body,
        format!(
            r#"{{"status":"success","statusReason":"","data":{{"expireDate":"{far}","residueCount":"100"}}}}"#
        )
    );
    let body = vendor.serve_with(["--envelope", "flat"]).ask("/customers/c/license", &[]).body;
    assert_eq!(
        body,
        format!(
            r#"{{"status":"success","statusReason":"","expireDate":"{far}","residueCount":"100"}}"#
        )
    );
}

#[test]
fn the_same_license_id_is_the_same_license() {
    let vendor = Vendor::new();
    let issue = |count: &str| {
        vendor.run([
            "license",
            "issue",
            "--new",
            "c",
            "--expires",
            "2099-12-31",
            "--count",
            count,
            "--id",
            "l",
        ])
    };
    assert_eq!(issue("5").code, 0);
    let again = issue("5.0");
    assert!(again.code == 0 && again.err.contains("already issued"), "{}", again.err);
    let other = issue("6");
    assert!(
        other.code == 4 && other.err.contains("issued by `issue c --expires 2099-12-31 --count 5`"),
        "{}",
        other.err
    );
    let shown = vendor.json(["license", "show", "l"]);
    let issued_at = shown["issuedAt"].as_str().expect("a time").to_owned();
    let starts = &issued_at[..10];
    assert_eq!(
        shown,
        json!({
            "id": "l", "customerId": "c", "type": null, "platforms": [], "issuedAt": issued_at,
            "starts": starts, "startsAt": format!("{starts}T00:00:00Z"),
            "expires": "2099-12-31", "expiresAt": "2099-12-31T23:59:59Z",
            "count": "5", "residue": "5", "state": "live",
        })
    );
    assert_eq!(vendor.json(["license", "list", "c"]), json!([shown]));
    vendor.ok([
        "license",
        "issue",
        "--new",
        "--unlimited",
        "d",
        "--expires",
        "2099-12-31",
        "--id",
        "m",
    ]);
    let unlimited = vendor.json(["license", "show", "m"]);
    assert_eq!((&unlimited["count"], &unlimited["residue"]), (&json!(null), &json!(null)));
    vendor.fails(2, ["license", "issue", "--new", "d", "--expires", "2099-12-31", "--count", "0"]);
    vendor.fails(2, ["license", "issue", "--new", "d", "--expires", "2099-12-31", "--count", "-1"]);
    vendor.fails(2, ["license", "issue", "--new", "--unlimited", "d", "--expires", "tomorrow"]);
    vendor.fails(3, ["license", "show", "nope"]);
    vendor.fails(3, ["license", "revoke", "nope"]);
    vendor.fails(3, ["license", "list", "nope"]);
    let revoked = vendor.json(["license", "revoke", "l", "--reason", "refund"]);
    assert_eq!(
        (&revoked["state"], &revoked["residue"], &revoked["reason"]),
        (&json!("revoked"), &json!("5"), &json!("refund"))
    );
    assert_eq!(vendor.json(["license", "revoke", "l", "--reason", "other"])["reason"], "refund");
}

#[test]
fn what_is_left_of_a_license_is_shown_whatever_its_state() {
    let vendor = Vendor::new();
    let vendor = vendor.at("2026-11-26T10:00:00Z");
    for (id, starts, expires, count) in [
        ("ended", "2026-10-01", "2026-10-31", Some("7")),
        ("to-come", "2027-01-01", "2027-12-31", Some("7")),
        ("revoked", "2026-11-01", "2027-12-31", Some("7")),
        ("unlimited", "2026-10-01", "2026-10-31", None),
    ] {
        let license = ["license", "issue", "--new", "c", "--id", id, "--starts", starts];
        let count = count.map_or(vec!["--unlimited"], |count| vec!["--count", count]);
        vendor.ok(license.into_iter().chain(["--expires", expires]).chain(count));
    }
    vendor.ok(["license", "revoke", "revoked"]);
    vendor.ok(["record", "p", "2", "--customer", "c", "--at", "2026-10-05"]);
    let shown = |id: &str| {
        let license = vendor.json(["license", "show", id]);
        (license["state"].clone(), license["residue"].clone())
    };
    for (id, state, residue) in [
        ("ended", "expired", json!("5")),
        ("to-come", "scheduled", json!("7")),
        ("revoked", "revoked", json!("7")),
        ("unlimited", "expired", json!(null)),
    ] {
        assert_eq!(shown(id), (json!(state), residue), "{id}");
    }
    vendor.ok(["record", "p", "2", "--at", "2026-11-05"]);
    assert_eq!(shown("revoked"), (json!("revoked"), json!("5")));
}

#[test]
fn usage_draws_from_licenses_and_only_the_rest_is_billed() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    vendor.ok(["plan", "set", "default", "--name", "Standard", "--unit", "Minute", "--price", "2"]);
    vendor.ok([
        "license",
        "issue",
        "--new",
        "c",
        "--expires",
        &days_from_now(20),
        "--count",
        "10",
        "--id",
        "later",
    ]);
    vendor.ok([
        "license",
        "issue",
        "--new",
        "c",
        "--expires",
        &days_from_now(10),
        "--count",
        "3",
        "--id",
        "sooner",
    ]);
    // Without a customer nothing is drawn, and what was recorded so far is not covered afterwards.
    vendor.ok(["record", "p", "5", "--id", "before"]);
    let first = vendor.ok(["record", "p", "4.5", "--id", "first", "--customer", "c"]).out;
    assert!(first.starts_with("recorded 4.5 (4.5 covered by licenses) for project p"), "{first}");
    assert_eq!(vendor.json(["record", "p", "10", "--id", "second"])["covered"], "8.5");
    assert_eq!(told(&server, "c").1, "0");
    let now = jiff::Timestamp::now().as_second();
    assert_eq!(server.usage(now - 60, now + 60).entries(), [("p".to_owned(), "19.5".to_owned())]);
    let bill = server.listing("/bill", now - 60, now + 60, 1);
    assert_eq!(bill.entries(), [("p".to_owned(), "13".to_owned())]);
    assert!(bill.body.contains("6.5 Minute × Standard (2 each)"), "{}", bill.body);
    let month = &days_from_now(0)[..7];
    let shown = vendor.json(["bill", "--month", month]);
    assert_eq!(
        (&shown["rows"][0]["usage"], &shown["rows"][0]["covered"]),
        (&json!("19.5"), &json!("13"))
    );
    assert_eq!((&shown["rows"][0]["amount"], &shown["total"]), (&json!("13"), &json!("13")));

    // A void gives back what was taken, to each license.
    vendor.ok(["void", "first", "--reason", "mistake"]);
    assert_eq!(told(&server, "c").1, "4.5");
    let residue = |id: &str| vendor.json(["license", "show", id])["residue"].clone();
    assert_eq!((residue("sooner"), residue("later")), (json!("3"), json!("1.5")));
    assert_eq!(vendor.json(["bill", "--month", month])["total"], "13");
    let history = vendor.json(["license", "history", "sooner"]);
    let entry =
        |n: usize| ["kind", "amount", "balance", "recordId"].map(|name| history[n][name].clone());
    assert_eq!(entry(0), [json!("issued"), json!("3"), json!("3"), json!(null)]);
    assert_eq!(entry(1), [json!("drawn"), json!("-3"), json!("0"), json!("first")]);
    assert_eq!(entry(2), [json!("given back"), json!("3"), json!("3"), json!("first")]);
    let last = vendor.json(["license", "history", "sooner", "--last", "2"]);
    assert_eq!(last, json!([history[1], history[2]]));
    vendor.ok(["check"]);
}

#[test]
fn usage_that_is_all_covered_is_not_charged_and_needs_no_price() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    vendor.ok(["license", "issue", "--new", "--unlimited", "c", "--expires", &days_from_now(10)]);
    vendor.ok(["record", "p", "7", "--customer", "c"]);
    let now = jiff::Timestamp::now().as_second();
    assert_eq!(server.usage(now - 60, now + 60).entries(), [("p".to_owned(), "7".to_owned())]);
    assert_eq!(server.listing("/bill", now - 60, now + 60, 1).entries(), []);
    let shown = vendor.json(["bill", "--month", &days_from_now(0)[..7]]);
    let uncharged = &shown["uncharged"][0];
    assert_eq!((&uncharged["projectId"], &uncharged["customerId"]), (&json!("p"), &json!("c")));
    assert_eq!((&uncharged["usage"], &uncharged["covered"]), (&json!("7"), &json!("7")));
    let people = vendor.ok(["bill", "--month", &days_from_now(0)[..7]]).out;
    assert!(people.contains("Without a charge"), "{people}");
}

#[test]
fn a_license_covers_what_is_dated_from_its_start_to_its_expiry() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let (tomorrow, far) = (days_from_now(1), days_from_now(9));
    let issue = [
        "license",
        "issue",
        "--new",
        "c",
        "--starts",
        &tomorrow,
        "--expires",
        &far,
        "--count",
        "9",
        "--id",
        "to-come",
    ];
    let to_come = vendor.json(issue);
    assert_eq!((&to_come["state"], &to_come["residue"]), (&json!("scheduled"), &json!("9")));
    assert_eq!(told(&server, "c"), (far.clone(), "0".into()));
    assert_eq!(vendor.json(["record", "p", "1", "--customer", "c"])["covered"], json!(null));
    vendor.ok(["license", "issue", "--new", "c", "--expires", &far, "--count", "5", "--id", "now"]);
    // Dated before the day of its issue, which is its start.
    assert_eq!(
        vendor.json(["record", "p", "1", "--at", &days_from_now(-2)])["covered"],
        json!(null)
    );
    assert_eq!(vendor.json(["record", "p", "1"])["covered"], "1");
    assert_eq!(told(&server, "c"), (far.clone(), "4".into()));
    let said = vendor.fails(
        2,
        ["license", "issue", "--new", "--unlimited", "c", "--starts", &far, "--expires", &tomorrow],
    );
    assert!(said.contains("expire before it starts"), "{said}");
    vendor.ok(["license", "revoke", "now", "--reason", "fraud"]);
    assert_eq!(vendor.json(["record", "p", "1"])["covered"], json!(null));
    vendor.ok(["license", "reinstate", "now"]);
    assert!(
        vendor.ok(["license", "reinstate", "now"]).err.contains("not revoked; nothing was changed")
    );
    assert_eq!(vendor.json(["record", "p", "1"])["covered"], "1");
}

#[test]
fn a_license_is_extended_from_its_expiry_or_from_today() {
    let vendor = Vendor::new();
    let expires = |arguments: &[&str]| {
        let shown = vendor.json(arguments);
        (
            shown["expires"].as_str().expect("a day").to_owned(),
            shown["state"].as_str().expect("a word").to_owned(),
        )
    };
    let issue = |id: &str, expires: &str, more: &[&str]| {
        let issue = ["license", "issue", "--new", "--unlimited", "c", "--id", id];
        vendor.ok([&issue[..], &["--expires", expires], more].concat())
    };
    issue("a", &days_from_now(10), &[]);
    issue("b", &days_from_now(-10), &["--starts", &days_from_now(-20)]);
    let today = days_from_now(0);
    let (of_a, of_b) = (
        expires(&["license", "extend", "a", "--days", "5"]),
        expires(&["license", "extend", "b", "--days", "5"]),
    );
    if today == days_from_now(0) {
        assert_eq!(of_a, (days_from_now(15), "live".into()));
        assert_eq!(of_b, (days_from_now(5), "live".into()));
    }
    let to = days_from_now(30);
    assert_eq!(expires(&["license", "extend", "a", "--to", &to]).0, to);
    assert!(vendor.ok(["license", "extend", "a", "--to", &to]).err.contains("nothing was changed"));
    let said = vendor.fails(1, ["license", "extend", "a", "--to", &days_from_now(20)]);
    assert!(said.contains("does not shorten"), "{said}");
    // Issued again as it was, it is still the same license.
    let again = issue("a", &days_from_now(10), &[]);
    assert!(again.err.contains("already issued") || today != days_from_now(0), "{}", again.err);
    vendor.fails(2, ["license", "extend", "a"]);
    vendor.fails(2, ["license", "extend", "a", "--days", "0"]);
    vendor.fails(2, ["license", "extend", "a", "--days", "1", "--to", &to]);
    vendor.fails(1, ["license", "extend", "a", "--days", "3000000"]);
    vendor.fails(3, ["license", "extend", "nope", "--days", "1"]);
    let expiring = |within: &str| {
        let list = vendor.json(["license", "list", "--expiring", within]);
        let ids = list
            .as_array()
            .expect("a list")
            .iter()
            .map(|license| license["id"].as_str().expect("an id").to_owned());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(expiring("3d"), [""; 0]);
    assert_eq!(expiring("7d"), ["b"]);
    assert_eq!(expiring("40d"), ["b", "a"]);
    vendor.fails(2, ["license", "list", "--expiring", "soon"]);
}

#[test]
fn a_grant_is_adjusted_and_never_below_what_is_left() {
    let vendor = Vendor::new();
    vendor.ok([
        "license",
        "issue",
        "--new",
        "c",
        "--expires",
        &days_from_now(9),
        "--count",
        "10",
        "--id",
        "a",
    ]);
    vendor.ok([
        "license",
        "issue",
        "--new",
        "--unlimited",
        "c",
        "--expires",
        &days_from_now(9),
        "--id",
        "unlimited",
    ]);
    vendor.ok(["record", "p", "4", "--customer", "c"]);
    let said = vendor.fails(1, ["license", "adjust", "a", "-6.5", "--reason", "too much"]);
    assert!(said.contains("has 6 left"), "{said}");
    let shown = vendor.json(["license", "adjust", "a", "-6", "--reason", "sold too much"]);
    assert_eq!((&shown["count"], &shown["residue"]), (&json!("4"), &json!("0")));
    let shown = vendor.json(["license", "adjust", "a", "+0.5", "--reason", "a gift"]);
    assert_eq!((&shown["count"], &shown["residue"]), (&json!("4.5"), &json!("0.5")));
    assert!(
        vendor
            .fails(1, ["license", "adjust", "unlimited", "1", "--reason", "x"])
            .contains("is unlimited")
    );
    vendor.fails(2, ["license", "adjust", "a", "1"]);
    vendor.fails(2, ["license", "adjust", "a", "0", "--reason", "x"]);
    vendor.fails(2, ["license", "adjust", "a", "--", "--1", "--reason", "x"]);
    vendor.fails(2, ["license", "adjust", "a", "1e3", "--reason", "x"]);
    vendor.fails(3, ["license", "adjust", "nope", "1", "--reason", "x"]);
    vendor.ok(["check"]);
}

#[test]
fn what_is_consumed_is_drawn_whole_or_not_at_all() {
    let vendor = Vendor::new();
    vendor.ok([
        "license",
        "issue",
        "--new",
        "c",
        "--expires",
        &days_from_now(9),
        "--count",
        "10",
        "--id",
        "later",
    ]);
    vendor.ok([
        "license",
        "issue",
        "--new",
        "c",
        "--expires",
        &days_from_now(5),
        "--count",
        "2",
        "--id",
        "sooner",
    ]);
    let consumed = vendor.json(["license", "consume", "c", "5", "--op-id", "seat-1"]);
    let drawn = json!([
        {"licenseId": "sooner", "amount": "2", "residue": "0"},
        {"licenseId": "later", "amount": "3", "residue": "7"},
    ]);
    assert_eq!(
        consumed,
        json!({"customerId": "c", "amount": "5", "drawn": drawn, "duplicate": false})
    );
    let again = vendor.json(["license", "consume", "c", "5.0", "--op-id", "seat-1"]);
    assert_eq!(again, json!({"customerId": "c", "amount": "5", "drawn": drawn, "duplicate": true}));
    let said = vendor.fails(1, ["license", "consume", "c", "7.1"]);
    assert!(said.contains("has 7 left") && said.contains("nothing was consumed"), "{said}");
    vendor.fails(4, ["license", "consume", "c", "6", "--op-id", "seat-1"]);
    vendor.fails(2, ["license", "consume", "c", "-1"]);
    vendor.fails(3, ["license", "consume", "nobody", "1"]);
    vendor.ok(["check"]);
}

#[test]
fn an_operation_with_an_id_is_done_once() {
    let vendor = Vendor::new();
    let far = days_from_now(9);
    let issue =
        ["license", "issue", "--new", "c", "--expires", &far, "--count", "5", "--op-id", "issue"];
    let id = vendor.json(issue)["id"].as_str().expect("an id").to_owned();
    let again = vendor.ok(issue);
    assert!(
        again.err.contains("operation issue was done already; nothing was changed"),
        "{}",
        again.err
    );
    assert_eq!(vendor.json(issue)["id"], *id);
    assert_eq!(vendor.json(["license", "list"]).as_array().map(Vec::len), Some(1));
    let operations: [&[&str]; 4] = [
        &["license", "extend", &id, "--days", "30", "--op-id", "extend"],
        &["license", "adjust", &id, "2", "--reason", "a gift", "--op-id", "adjust"],
        &["license", "revoke", &id, "--reason", "a mistake", "--op-id", "revoke"],
        &["license", "reinstate", &id, "--op-id", "reinstate"],
    ];
    for operation in operations {
        vendor.ok(operation);
    }
    let history = vendor.json(["license", "history", &id]);
    for operation in operations {
        let again = vendor.ok(operation);
        assert!(again.err.contains("was done already; nothing was changed"), "{}", again.err);
    }
    assert_eq!(vendor.json(["license", "history", &id]), history);
    assert_eq!(history[2]["opId"], "adjust");
    let other =
        vendor.fails(4, ["license", "adjust", &id, "3", "--reason", "a gift", "--op-id", "adjust"]);
    assert!(other.contains("was another") && other.contains("nothing was changed"), "{other}");
    vendor.fails(4, ["license", "reinstate", &id, "--op-id", "extend"]);
    // What was refused has not been done, and may be asked for again.
    vendor.fails(1, ["license", "adjust", &id, "-9", "--reason", "x", "--op-id", "late"]);
    vendor.ok(["license", "adjust", &id, "4", "--reason", "x"]);
    vendor.ok(["license", "adjust", &id, "-9", "--reason", "x", "--op-id", "late"]);
    vendor.ok(["check"]);
}

#[test]
fn a_type_says_what_is_granted_and_one_that_is_not_set_up_is_unlimited() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    vendor.ok(["license", "type", "set", "pro", "--count", "1000", "--name", "Professional"]);
    vendor.fails(2, ["license", "type", "set", "pro"]);
    vendor.fails(2, ["license", "type", "set", "pro", "--count", "0"]);
    let list = json!([{"type": "pro", "name": "Professional", "count": "1000"}]);
    assert_eq!(vendor.json(["license", "type", "list"]), list);
    let far = days_from_now(9);
    let issue = ["license", "issue", "--new", "c", "--expires", &far, "--type", "pro"];
    assert_eq!(vendor.json(issue)["count"], "1000");
    // At the shell, whoever sells it says what it grants.
    let other = ["license", "issue", "--new", "c", "--expires", &far, "--type", "other"];
    assert!(vendor.fails(2, other).contains("type other is not set up: add --count"));
    let other = vendor.json([&other[..], &["--unlimited"]].concat());
    assert_eq!(other["count"], json!(null));

    server.call("POST", "/customers/new", r#""planId":"p","customerId":"d""#);
    let from = second_of(&days_from_now(-3)) + 3_661;
    let to = second_of(&days_from_now(30)) + 7_322;
    let activate = |kind: &str| {
        let fields = format!(r#""platform":"android|ios","expire":"{from}-{to}"{kind}"#);
        assert_eq!(
            server.call("PUT", "/license/customers/d/activate", &fields).status,
            200,
            "{fields}"
        );
        told(&server, "d")
    };
    let day = days_from_now(30);
    for _ in 0..3 {
        assert_eq!(activate(r#","type":"pro""#), (day.clone(), "1000".into()));
    }
    let licenses = vendor.json(["license", "list", "d"]);
    assert_eq!(licenses.as_array().map(Vec::len), Some(1));
    let rfc3339 = |second: i64| jiff::Timestamp::from_second(second).expect("a time").to_string();
    assert_eq!(
        ["type", "startsAt", "expiresAt", "count"].map(|name| licenses[0][name].clone()),
        [json!("pro"), json!(rfc3339(from)), json!(rfc3339(to)), json!("1000")]
    );
    assert_eq!(licenses[0]["platforms"], json!(["android", "ios"]));
    let history = vendor.json(["license", "history", licenses[0]["id"].as_str().expect("an id")]);
    assert_eq!(history[0]["by"], "agora");
    // Extended, it is still the one that was sold.
    vendor.ok(["license", "extend", licenses[0]["id"].as_str().expect("an id"), "--days", "1"]);
    activate(r#","type":"pro""#);
    assert_eq!(vendor.json(["license", "list", "d"]).as_array().map(Vec::len), Some(1));
    assert_eq!(activate(r#","type":"gold""#).1, "-1");
    assert!(
        server.log().contains("type gold, which is not set up: it is unlimited"),
        "{}",
        server.log()
    );
    activate("");
    assert_eq!(vendor.json(["license", "list", "d"]).as_array().map(Vec::len), Some(3));
    vendor.ok(["check"]);
}

#[test]
fn a_license_issued_again_must_be_asked_for_in_the_same_words() {
    let vendor = Vendor::new();
    vendor.ok(["license", "type", "set", "pro", "--count", "1000"]);
    let issue = |more: &[&str]| {
        vendor
            .run(
                [&["license", "issue", "--new", "c", "--expires", "2099-12-31", "--id", "l"], more]
                    .concat(),
            )
            .code
    };
    assert_eq!(issue(&["--type", "pro"]), 0);
    assert_eq!(issue(&["--type", "pro"]), 0);
    for other in [
        &["--type", "pro", "--count", "1000"][..],
        &["--type", "pro", "--starts", "2026-01-01"],
        &["--count", "1000"],
        &[],
    ] {
        assert_eq!(issue(other), 4, "{other:?}");
    }
    // What a type grants may change in between, and what was asked for is the same.
    vendor.ok(["license", "type", "set", "pro", "--count", "2000", "--name", "Professional"]);
    let again = vendor.ok(["license", "type", "set", "pro", "--count", "2000"]);
    assert!(again.err.contains("nothing was changed"), "{}", again.err);
    assert_eq!(vendor.json(["license", "type", "list"])[0]["name"], "Professional");
    assert_eq!(issue(&["--type", "pro"]), 0);
    assert_eq!(vendor.json(["license", "show", "l"])["count"], "1000");
    // Words that would read like other arguments are told from them.
    let named = [
        "license",
        "issue",
        "--new",
        "--unlimited",
        "d",
        "--expires",
        "2099-12-31",
        "--op-id",
        "o",
    ];
    vendor.ok([&named[..], &["--type", "T", "--starts", "2027-01-01"]].concat());
    let other = vendor.fails(4, [&named[..], &["--type", "T --starts 2027-01-01"]].concat());
    let words = r#"`issue d --expires 2099-12-31 --type "T" --unlimited --starts 2027-01-01`"#;
    assert!(other.contains(words), "{other}");
    // What is kept holds no word of the command line.
    let kept: String = vendor
        .sql()
        .query_row("select asked from license_operation", [], |row| row.get(0))
        .expect("what is kept");
    let kept: serde_json::Value = serde_json::from_str(&kept).expect("JSON");
    assert_eq!(
        kept,
        json!({"operation": "issue", "customerId": "d", "type": "T", "granted": "unlimited",
            "startsAtS": 1_798_761_600, "expiresAtS": 4_102_444_799_i64})
    );
}

#[test]
fn the_clock_of_a_record_is_that_of_the_moment_at_which_it_has_the_lock() {
    let vendor = Vendor::new();
    let mut sql = vendor.sql();
    let lock =
        sql.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).expect("the lock");
    let waiting = vendor
        .command(["record", "p", "1"])
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("it runs");
    let began = jiff::Timestamp::now().as_second();
    while jiff::Timestamp::now().as_second() < began + 2 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    drop(lock);
    assert_eq!(waiting.wait_with_output().expect("an end").status.code(), Some(0));
    let recorded_at_s: i64 = vendor
        .sql()
        .query_row("select recorded_at_s from usage_ledger", [], |row| row.get(0))
        .expect("a time");
    assert!(recorded_at_s >= began + 2, "{recorded_at_s} {began}");
}

#[test]
fn a_license_is_shown_as_agora_is_told_of_its_customer() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    vendor.ok([
        "license",
        "issue",
        "--new",
        "c",
        "--expires",
        &days_from_now(3),
        "--count",
        "2",
        "--id",
        "a",
    ]);
    vendor.ok(["license", "issue", "--new", "c", "--expires", &days_from_now(9), "--count", "0.5"]);
    let answer = server.ask("/customers/c/license", &[]);
    assert_eq!(vendor.ok(["license", "show", "a", "--as-agora"]).out, format!("{}\n", answer.body));
    assert_eq!(vendor.json(["license", "show", "a", "--as-agora"]), answer.json());
}

#[test]
fn check_finds_a_license_that_does_not_follow_from_its_ledger() {
    let vendor = Vendor::new();
    for (customer, count, id) in [("c", "5", "a"), ("d", "4", "b")] {
        let issue = ["license", "issue", "--new", customer, "--count", count, "--id", id];
        vendor.ok([&issue[..], &["--expires", &days_from_now(9)]].concat());
    }
    vendor.ok(["record", "p", "2", "--customer", "c"]);
    vendor.ok(["record", "p", "1", "--id", "voided"]);
    vendor.ok(["void", "voided", "--reason", "mistake"]);
    for tampering in ["update license_ledger set amount = '9'", "delete from license_ledger"] {
        let refused = vendor.sql().execute(tampering, []).expect_err(tampering).to_string();
        assert!(refused.contains("the license ledger only grows"), "{refused}");
    }
    let whole = std::fs::read(vendor.db()).expect("a file");
    let changed = "drop trigger license_ledger_is_not_changed; update license_ledger";
    let license = "drop trigger license_stays_what_it_is; update license";
    for (tampering, told) in [
        ("update license set balance = '4'".to_owned(), "license a: kept 4 of 5"),
        ("update license set granted = '6' where seq = 1".to_owned(), "license a: kept 3 of 6"),
        ("update license set expires_at_s = 1".to_owned(), "expires 1970-01-01"),
        ("update license set revoked_at_s = 1".to_owned(), "revoked 1970-01-01"),
        ("update license set balance = 'x'".to_owned(), "the count of license a is not"),
        (
            format!("{changed} set amount = '-6' where kind = 'drawn'"),
            "license a: more was drawn than it granted",
        ),
        (
            format!("{changed} set at_s = 1 where kind = 'drawn'"),
            "draws from a license that was not good then",
        ),
        (
            format!("{license} set starts_at_s = 4000000000"),
            "draws from a license that was not good then",
        ),
        (format!("{license} set type = '' where seq = 1"), "the type of license a is not"),
        (format!("{license} set license_id = 'a b' where seq = 1"), "the id of license a b is not"),
        (
            format!(
                "{changed} set license_seq = 2 where kind = 'given back'; \
                 update license set balance = '5' where seq = 2; \
                 update license set balance = '3' where seq = 1"
            ),
            "ledger entry 3 does not give back to each license what its record drew",
        ),
        (
            "drop trigger license_ledger_is_not_deleted; \
             delete from license_ledger where kind = 'given back'; \
             update license set balance = '2' where seq = 1"
                .to_owned(),
            "ledger entry 3 does not give back",
        ),
        (
            format!("{changed} set amount = '-1' where kind = 'drawn'"),
            "what licenses covered of it is not",
        ),
        (format!("{changed} set amount = '1.0' where seq = 1"), "license ledger entry 1 is not"),
        (
            "drop trigger usage_ledger_is_not_changed; \
             update usage_ledger set covered = '1' where seq = 1"
                .to_owned(),
            "what licenses covered of it is not",
        ),
        ("update usage_rollup set covered = '1' where grain = 1".to_owned(), "(1 covered)"),
    ] {
        vendor.sql().execute_batch(&tampering).expect("tampered");
        let ended = vendor.run(["check"]);
        assert_eq!(ended.code, 1, "{tampering}");
        assert!(ended.out.contains(told), "{tampering}: {}", ended.out);
        std::fs::write(vendor.db(), &whole).expect("restored");
        vendor.ok(["check"]);
    }
}

fn second_of(day: &str) -> i64 {
    crate::vendor::second(&format!("{day}T00:00:00Z"))
}
