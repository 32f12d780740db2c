//! Events of customers and projects: what a plan or a customer was, and what it became.

use crate::vendor::Vendor;
use serde_json::Value;

/// The events of a document, each as what changed, from what, to what.
fn changes(shown: &Value) -> Vec<[String; 3]> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let events = shown["events"].as_array().expect("events").iter();
    let change = |event: &Value| {
        assert!(event.get("from").is_some() && event.get("to").is_some(), "{event}");
        [text(&event["change"]), text(&event["from"]), text(&event["to"])]
    };
    events.map(change).collect()
}

fn owned(changes: &[[&str; 3]]) -> Vec<[String; 3]> {
    changes.iter().map(|change| change.map(str::to_owned)).collect()
}

#[test]
fn a_plan_that_changes_is_told_from_and_to() {
    let vendor = Vendor::new();
    vendor.at("2026-11-20T09:00:00Z");
    for plan in ["gold", "silver"] {
        vendor.ok(["plan", "set", plan, "--name", "N", "--unit", "U", "--price", "1"]);
    }
    let add = ["customer", "add", "c"];
    let more = |more: &[&'static str]| vendor.ok(add.iter().chain(more));
    more(&["--name", "Ann", "--email", "ann@example.com", "--phone", "555"]);
    more(&["--plan", "silver", "--name", "Bea"]);
    more(&["--plan", "gold", "--from", "2026-12"]);
    more(&["--email", "bea@example.com"]);
    vendor.ok(["customer", "forget", "c"]);
    let shown = vendor.json(["customer", "show", "c"]);
    let wanted = owned(&[
        ["announced", "-", "-"],
        ["changed", "-", "silver"],
        ["changed", "silver", "gold"],
        ["changed", "-", "-"],
        ["forgotten", "-", "-"],
    ]);
    assert_eq!(changes(&shown), wanted);
    let said = vendor.ok(["customer", "show", "c"]).out;
    assert!(said.contains("planId - → silver, customerName"), "{said}");
    assert!(said.contains("planId silver → gold"), "{said}");
    // Contacts are nowhere, once they are forgotten.
    for contact in ["Ann", "Bea", "example.com", "555"] {
        assert!(!shown.to_string().contains(contact), "{contact}: {shown}");
    }
}

#[test]
fn a_customer_that_changes_is_told_from_and_to() {
    let vendor = Vendor::new();
    vendor.at("2026-11-20T09:00:00Z");
    vendor.ok(["customer", "add", "a"]);
    vendor.ok(["customer", "add", "b"]);
    vendor.ok(["record", "p", "1", "--at", "2026-11-19"]);
    vendor.ok(["record", "q", "1", "--at", "2026-11-19", "--customer", "a"]);
    vendor.ok(["project", "add", "p", "--customer", "a"]);
    vendor.ok(["project", "add", "p", "--customer", "b"]);
    let wanted = owned(&[
        ["registered", "-", "-"],
        ["bound", "-", "a"],
        ["enabled", "-", "-"],
        ["left", "a", "b"],
        ["moved", "a", "b"],
    ]);
    assert_eq!(changes(&vendor.json(["project", "show", "p"])), wanted);
    let of_q = changes(&vendor.json(["project", "show", "q"]));
    assert_eq!(of_q, owned(&[["registered", "-", "a"]]));
    let said = vendor.ok(["project", "show", "p"]).out;
    assert!(said.contains("customerId a → b"), "{said}");
    // From an earlier month on: who had that one is told.
    let back = ["--customer", "b", "--from", "2026-11", "--rewrite"];
    vendor.ok(["project", "add", "p"].into_iter().chain(back));
    let last = changes(&vendor.json(["project", "show", "p"])).pop();
    assert_eq!(last, owned(&[["moved", "a", "b"]]).pop());
    // An import moves a project that it named itself.
    let rows = "id,projectId,amount,at,customerId\nx,z,1,2026-10-19,a\ny,z,1,2026-11-19,b\n";
    std::fs::write(vendor.path("rows.csv"), rows).expect("a file");
    vendor.ok(["import", "rows.csv"]);
    let of_z = changes(&vendor.json(["project", "show", "z"]));
    let wanted = [["registered", "-", "a"], ["left", "a", "b"], ["moved", "a", "b"]];
    assert_eq!(of_z, owned(&wanted));
    vendor.ok(["check"]);
}

#[test]
fn whoever_changes_a_project_sees_its_customers_as_show_does() {
    let vendor = Vendor::new();
    vendor.at("2026-11-20T09:00:00Z");
    vendor.ok(["customer", "add", "a"]);
    vendor.ok(["customer", "add", "b"]);
    vendor.ok(["project", "add", "p", "--customer", "a"]);
    let shown = || vendor.json(["project", "show", "p"])["customers"].clone();
    let added = vendor.json(["project", "add", "p", "--customer", "b"]);
    assert_eq!(added["customers"], shown());
    assert_eq!(added["customers"].as_array().map(Vec::len), Some(2));
    for verb in ["disable", "enable"] {
        let changed = vendor.json(["project", verb, "p"]);
        assert_eq!(changed["customers"], shown(), "{verb}");
        assert_eq!(changed.get("events"), None);
    }
    let said = vendor.ok(["project", "disable", "p"]).out;
    assert!(said.contains("customer       a; from 2026-12 b\n"), "{said}");
    assert_eq!(vendor.json(["project", "list"])[0].get("customers"), None);
}
