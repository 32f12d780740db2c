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
    vendor.ok(["license", "issue", "c", "--expires", &near, "--count", "100"]);
    assert_eq!(told(&server, "c"), (near.clone(), "100".into()));
    vendor.ok(["license", "issue", "c", "--expires", &far, "--count", "0.5", "--id", "second"]);
    vendor.ok(["license", "issue", "c", "--expires", &past, "--count", "1000"]);
    assert_eq!(told(&server, "c"), (far.clone(), "100.5".into()));
    vendor.ok(["license", "revoke", "second"]);
    assert_eq!(told(&server, "c"), (near.clone(), "100".into()));
}

#[test]
fn a_license_is_good_through_the_last_second_of_its_day() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let (today, yesterday) = (days_from_now(0), days_from_now(-1));
    vendor.ok(["license", "issue", "today", "--expires", &today, "--count", "7"]);
    vendor.ok(["license", "issue", "yesterday", "--expires", &yesterday, "--count", "7"]);
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
    vendor.ok(["license", "issue", "c", "--expires", &days_from_now(5), "--count", "3"]);
    vendor.ok(["license", "issue", "c", "--expires", &far]);
    assert_eq!(told(&server, "c"), (far.clone(), "-1".into()));
    vendor.ok(["setting", "set", "unlimited-as", "999999999"]);
    assert_eq!(told(&server, "c"), (far, "999999999".into()));
}

#[test]
fn a_customer_whose_licenses_have_run_out_gets_the_latest_day_and_nothing() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let (today, far) = (days_from_now(0), days_from_now(20));
    vendor.ok(["license", "issue", "c", "--expires", &days_from_now(-9), "--count", "3"]);
    vendor.ok(["license", "issue", "c", "--expires", &days_from_now(-3)]);
    assert_eq!(told(&server, "c"), (days_from_now(-3), "0".into()));
    vendor.ok(["license", "issue", "c", "--expires", &far, "--id", "revoked"]);
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
    vendor.ok(["license", "issue", "a/b+c", "--expires", &days_from_now(9), "--count", "1"]);
    let server = vendor.serve();
    assert_eq!(told(&server, "a%2Fb+c").1, "1");
    assert_eq!(told(&server, "a%2fb%2Bc").1, "1");
    assert_eq!(server.ask("/customers/a/b+c/license", &[]).status, 404);
}

#[test]
fn the_flat_form_has_the_fields_beside_status() {
    let vendor = Vendor::new();
    let far = days_from_now(9);
    vendor.ok(["license", "issue", "c", "--expires", &far, "--count", "100"]);
    let body = vendor.serve().ask("/customers/c/license", &[]).body;
    assert_eq!(
        body,
        format!(r#"{{"status":"success","statusReason":"","data":{{"expireDate":"{far}","residueCount":"100"}}}}"#)
    );
    let body = vendor.serve_with(["--envelope", "flat"]).ask("/customers/c/license", &[]).body;
    assert_eq!(body, format!(r#"{{"status":"success","statusReason":"","expireDate":"{far}","residueCount":"100"}}"#));
}

#[test]
fn the_same_license_id_is_the_same_license() {
    let vendor = Vendor::new();
    let issue =
        |count: &str| vendor.run(["license", "issue", "c", "--expires", "2099-12-31", "--count", count, "--id", "l"]);
    assert_eq!(issue("5").code, 0);
    let again = issue("5.0");
    assert!(again.code == 0 && again.err.contains("already issued"), "{}", again.err);
    let other = issue("6");
    assert!(other.code == 4 && other.err.contains("expires 2099-12-31, count 5"), "{}", other.err);
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
    vendor.ok(["license", "issue", "d", "--expires", "2099-12-31", "--id", "m"]);
    let unlimited = vendor.json(["license", "show", "m"]);
    assert_eq!((&unlimited["count"], &unlimited["residue"]), (&json!(null), &json!(null)));
    vendor.fails(2, ["license", "issue", "d", "--expires", "2099-12-31", "--count", "0"]);
    vendor.fails(2, ["license", "issue", "d", "--expires", "2099-12-31", "--count", "-1"]);
    vendor.fails(2, ["license", "issue", "d", "--expires", "tomorrow"]);
    vendor.fails(3, ["license", "show", "nope"]);
    vendor.fails(3, ["license", "revoke", "nope"]);
    vendor.fails(3, ["license", "list", "nope"]);
    let revoked = vendor.json(["license", "revoke", "l", "--reason", "refund"]);
    assert_eq!(
        (&revoked["state"], &revoked["residue"], &revoked["reason"]),
        (&json!("revoked"), &json!("0"), &json!("refund"))
    );
    assert_eq!(vendor.json(["license", "revoke", "l", "--reason", "other"])["reason"], "refund");
}
