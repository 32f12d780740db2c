//! Who set a setting, and who added and revoked a key.

use crate::vendor::{API_KEY, Vendor};
use serde_json::{Value, json};

/// Who runs these tests, as the books have it.
fn me() -> String {
    let said = std::process::Command::new("id").arg("-un").output().expect("it runs");
    format!("shell:{}", String::from_utf8(said.stdout).expect("a name").trim())
}

#[test]
fn a_setting_tells_who_set_it_when_and_what_it_was() {
    let vendor = Vendor::new();
    assert_eq!(vendor.json(["setting", "history"]), json!([]));
    vendor.at("2026-11-20T09:00:00Z");
    vendor.ok(["setting", "set", "late", "carry"]);
    vendor.ok(["setting", "set", "unit", "Call"]);
    vendor.at("2026-11-21T09:00:00Z");
    // What it is already is no change.
    vendor.ok(["setting", "set", "late", "carry"]);
    vendor.ok(["setting", "set", "late", "report"]);
    vendor.fails(2, ["setting", "set", "late", "never"]);
    let change = |at: &str, name: &str, from: &str, to: &str| {
        json!({
            "at": at, "by": me(), "name": name, "from": from, "to": to,
        })
    };
    let late = [
        change("2026-11-20T09:00:00Z", "late", "report", "carry"),
        change("2026-11-21T09:00:00Z", "late", "carry", "report"),
    ];
    let unit = change("2026-11-20T09:00:00Z", "unit", "Minute", "Call");
    assert_eq!(vendor.json(["setting", "history", "late"]), json!(late));
    assert_eq!(vendor.json(["setting", "history"]), json!([&late[0], &unit, &late[1]]));
    let said = vendor.ok(["setting", "history", "unit"]).out;
    assert!(said.contains("unit  Minute  Call"), "{said}");
    vendor.fails(2, ["setting", "history", "lat"]);
    for change in ["update setting_change set actor = 'agora'", "delete from setting_change"] {
        let refused = vendor.sql().execute_batch(change).expect_err("it is refused");
        assert!(refused.to_string().contains("only added"), "{refused}");
    }
    vendor.ok(["check"]);
}

#[test]
fn a_key_tells_who_added_and_who_revoked_it() {
    let vendor = Vendor::new();
    let added = vendor.json(["key", "add"]);
    assert_eq!((&added["createdBy"], &added["revokedBy"]), (&json!(me()), &Value::Null));
    vendor.ok(["key", "revoke", API_KEY]);
    let first = vendor.json(["key", "list"])[0].clone();
    let by = (&first["apiKey"], &first["createdBy"], &first["revokedBy"]);
    assert_eq!(by, (&json!(API_KEY), &json!(me()), &json!(me())));
    assert_eq!(vendor.json(["key", "show", API_KEY])["revokedBy"], me());
    let said = vendor.ok(["key", "list"]).out;
    assert_eq!(said.matches(&me()).count(), 4, "{said}");
    // What an earlier version left says nothing of them.
    vendor
        .sql()
        .execute_batch("update api_key set created_by = null, revoked_by = null")
        .expect("a change");
    assert_eq!(vendor.json(["key", "list"])[0]["createdBy"], Value::Null);
}
