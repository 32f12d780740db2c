//! `ledger list` and `ledger show`: the records themselves.

use crate::vendor::{Ended, Vendor};
use serde_json::{Value, json};
use std::process::Stdio;

/// Books with four records of two projects and customers, one of them voided.
fn books() -> Vendor {
    let vendor = Vendor::new();
    vendor.at("2026-11-20T09:00:00Z");
    vendor.ok(["record", "p1", "1.5", "--id", "a", "--customer", "c1", "--at", "2026-11-01"]);
    vendor.ok([
        "record",
        "p1",
        "2",
        "--id",
        "b",
        "--at",
        "2026-11-01",
        "--note",
        "say \"hi\", once",
    ]);
    vendor.ok(["record", "p2", "2", "--id", "c", "--customer", "c2", "--at", "2026-11-01"]);
    vendor.ok(["record", "p1", "10.25", "--id", "d", "--at", "2026-10-31T23:59:59Z"]);
    vendor.at("2026-11-21T10:30:00Z");
    vendor.ok(["void", "b", "--reason", "counted twice"]);
    vendor
}

/// The ids of the rows of a list, and whether there are more.
fn ids<const N: usize>(vendor: &Vendor, more: [&str; N]) -> (Vec<String>, bool) {
    let listed = vendor.json(["ledger", "list"].into_iter().chain(more));
    let rows = listed["rows"].as_array().expect("rows").iter();
    let ids = rows.map(|row| row["id"].as_str().expect("an id").to_owned()).collect();
    (ids, listed["more"].as_bool().expect("a boolean"))
}

fn list<const N: usize>(vendor: &Vendor, more: [&str; N]) -> String {
    ids(vendor, more).0.join(" ")
}

/// Who runs these tests, as the books have it.
fn me() -> String {
    let said = std::process::Command::new("id").arg("-un").output().expect("it runs");
    format!("shell:{}", String::from_utf8(said.stdout).expect("a name").trim())
}

#[test]
fn a_record_is_listed_with_all_that_the_books_keep_of_it() {
    let vendor = books();
    let listed = vendor.json(["ledger", "list", "--voided"]);
    let wanted = json!({
        "rows": [{
            "id": "b", "projectId": "p1", "customerId": "c1", "amount": "2", "covered": "0",
            "at": "2026-11-01T12:00:00Z", "recordedAt": "2026-11-20T09:00:00Z",
            "recordedBy": me(),
            "voided": {"at": "2026-11-21T10:30:00Z", "by": me(), "reason": "counted twice"},
            "note": "say \"hi\", once",
        }],
        "more": false,
    });
    assert_eq!(listed, wanted);
    assert_eq!(vendor.json(["ledger", "show", "b"]), wanted["rows"][0]);
    let shown = vendor.json(["ledger", "show", "c"]);
    assert_eq!((&shown["voided"], &shown["note"]), (&Value::Null, &Value::Null));
    let said = vendor.ok(["ledger", "show", "b"]).out;
    let words = format!("voided    2026-11-21T10:30:00Z by {}: counted twice\n", me());
    assert!(said.contains(&words), "{said}");
}

#[test]
fn records_are_listed_in_the_order_of_their_time_whatever_the_filter() {
    let vendor = books();
    assert_eq!(list(&vendor, []), "d a b c");
    assert_eq!(list(&vendor, ["--project", "p1"]), "d a b");
    assert_eq!(list(&vendor, ["--customer", "c2"]), "c");
    assert_eq!(list(&vendor, ["--customer", "c2", "--project", "p1"]), "");
    assert_eq!(list(&vendor, ["--day", "2026-10-31"]), "d");
    assert_eq!(list(&vendor, ["--month", "2026-11"]), "a b c");
    let last = ["--from", "2026-10-31T23:59:59Z", "--to", "2026-11-01T11:59:59Z"];
    assert_eq!(list(&vendor, last), "d");
    assert_eq!(list(&vendor, ["--voided"]), "b");
    assert_eq!(list(&vendor, ["--voided", "--project", "p2"]), "");
    assert!(vendor.fails(3, ["ledger", "list", "--project", "p3"]).contains("no project p3"));
    assert!(vendor.fails(3, ["ledger", "list", "--customer", "c3"]).contains("no customer c3"));
    for command in [&["ledger", "show", "z"][..], &["void", "z", "--reason", "a mistake"]] {
        let said = vendor.fails(3, command);
        assert!(said.contains("there is no record z; `agora-vendor ledger list` shows"), "{said}");
    }
}

#[test]
fn a_customers_records_are_those_of_the_months_in_which_the_project_was_theirs() {
    let vendor = books();
    let moved = ["project", "add", "p1", "--customer", "c2", "--from", "2026-11", "--rewrite"];
    vendor.ok(moved);
    assert_eq!(list(&vendor, ["--customer", "c1"]), "d");
    assert_eq!(list(&vendor, ["--customer", "c2"]), "a b c");
    let totals = vendor.json(["totals", "--month", "2026-11", "--customer", "c2"]);
    assert_eq!(totals["total"], "3.5");
    assert_eq!(vendor.json(["ledger", "show", "a"])["customerId"], "c2");
    assert_eq!(vendor.json(["ledger", "show", "d"])["customerId"], "c1");
}

#[test]
fn the_first_fifty_are_listed_unless_a_limit_says_otherwise() {
    let vendor = Vendor::new();
    let rows: String = (0..5_003)
        .map(|number| format!("r{number:04},p{},1,2026-11-{:02}\n", number % 3, 1 + number / 500))
        .collect();
    let file = vendor.path("rows.csv");
    std::fs::write(&file, format!("id,projectId,amount,at\n{rows}")).expect("a file");
    vendor.ok(["import", "rows.csv"]);
    let (first, more) = ids(&vendor, []);
    assert_eq!((first.len(), more), (50, true));
    let (all, more) = ids(&vendor, ["--limit", "0"]);
    assert_eq!((all.len(), more), (5_003, false));
    assert_eq!(all[..50], first);
    assert_eq!(ids(&vendor, ["--limit", "5003"]), (all.clone(), false));
    assert_eq!(ids(&vendor, ["--limit", "5002"]), (all[..5_002].to_vec(), true));
    let said = vendor.ok(["ledger", "list", "--limit", "7"]);
    assert_eq!(said.out.lines().count(), 8);
    assert!(said.err.contains("more than 7 records; --limit 0 lists them all"), "{}", said.err);
    vendor.fails(2, ["ledger", "list", "--limit", "-1"]);
}

#[test]
fn csv_has_the_keys_of_json_above_a_row_a_line() {
    let vendor = books();
    let said = vendor.ok(["ledger", "list", "--csv"]).out;
    let header = "id,projectId,customerId,amount,covered,at,recordedAt,recordedBy,\
                  voided.at,voided.by,voided.reason,note";
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!((lines.len(), lines[0]), (5, header));
    let voided = format!(
        "b,p1,c1,2,0,2026-11-01T12:00:00Z,2026-11-20T09:00:00Z,{me},2026-11-21T10:30:00Z,{me},\
         counted twice,\"say \"\"hi\"\", once\"",
        me = me()
    );
    assert_eq!(lines[3], voided);
    let fails = vendor.fails(2, ["ledger", "list", "--csv", "--json"]);
    assert!(fails.contains("exclude each other"), "{fails}");
}

#[test]
fn a_reader_that_stops_reading_a_list_is_no_failure() {
    let vendor = books();
    for way in ["--json", "--csv"] {
        let mut command = vendor.command(["ledger", "list", way]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let child = child.as_mut().expect("it runs");
        drop(child.stdout.take());
        assert_eq!(child.wait().expect("an end").code(), Some(0), "{way}");
    }
}

#[test]
fn what_a_list_does_not_know_of_earlier_versions_is_null() {
    let vendor = books();
    let sql = vendor.sql();
    // As version 5 left its entries: nobody is named.
    sql.execute_batch(
        "drop trigger usage_ledger_is_not_changed;
         update usage_ledger set actor_no = null;",
    )
    .expect("a change");
    drop(sql);
    let shown = vendor.json(["ledger", "show", "b"]);
    assert_eq!((&shown["recordedBy"], &shown["voided"]["by"]), (&Value::Null, &Value::Null));
    let Ended { out, .. } = vendor.ok(["ledger", "show", "b"]);
    assert!(out.contains("voided    2026-11-21T10:30:00Z: counted twice\n"), "{out}");
}
