//! What is late for a month that was billed is carried by a later month's bill, where the setting says so.

use crate::vendor::{Server, Vendor, second};
use serde_json::{Value, json};

/// A month of 2026, from its first to its last second.
fn month(number: i8) -> (i64, i64) {
    let first = |number: i8| second(&format!("2026-{number:02}-01T00:00:00Z"));
    (first(number), first(number + 1) - 1)
}

/// Page 1 of a month's bill, which is all of it: project, amount and description of each entry.
fn bill(server: &Server, number: i8) -> Vec<String> {
    let (from, to) = month(number);
    let answer = server.listing("/bill", from, to, 1);
    let described = answer.json()["data"]["data"].as_array().expect("entries").clone();
    let words = |entry: &Value| entry["description"].as_str().expect("a text").to_owned();
    let entries = answer.entries().into_iter().zip(&described);
    entries.map(|((project, amount), entry)| format!("{project} {amount}: {}", words(entry))).collect()
}

fn record(vendor: &Vendor, project: &str, amount: &str, id: &str, at: &str) {
    vendor.ok(["record", project, amount, "--id", id, "--at", at]);
}

/// Recorded, told, late and not asked for, by project, of a month's bill.
fn reconciled(vendor: &Vendor, month: &str) -> Vec<String> {
    let shown = vendor.json(["totals", "--reconcile", "--month", month]);
    let rows = shown["bill"].as_array().expect("rows").clone();
    let field = |row: &Value, name: &str| row[name].as_str().expect("an amount").to_owned();
    let names = ["projectId", "recorded", "told", "late", "notAsked"];
    rows.iter().map(|row| names.map(|name| field(row, name)).join(" ")).collect()
}

/// Books whose bills carry, at 0.01 a unit, with August billed: 100 units of each of the projects a, b and c.
fn with_august() -> (Vendor, Server) {
    let vendor = Vendor::new();
    vendor.ok(["setting", "set", "late", "carry"]);
    vendor.ok(["plan", "set", "default", "--name", "Standard", "--unit", "Call", "--price", "0.01"]);
    for project in ["a", "b", "c"] {
        record(&vendor, project, "100", &format!("{project}8"), "2026-08-10");
    }
    let server = vendor.serve();
    let each = "1: 100 Call × Standard (0.01 each)";
    assert_eq!(bill(&server, 8), [format!("a {each}"), format!("b {each}"), format!("c {each}")]);
    (vendor, server)
}

#[test]
fn the_next_bill_carries_what_was_late_and_the_rest_of_what_it_cannot_waits() {
    let (vendor, server) = with_august();
    for (project, amount) in [("a", "10"), ("b", "40"), ("c", "20")] {
        record(&vendor, project, amount, &format!("{project}9"), "2026-09-10");
    }
    // For August: 50 more of a, which are 0.5; and the 100 of b taken back, which are -1.
    record(&vendor, "a", "50", "a8-late", "2026-08-31");
    vendor.ok(["void", "b8", "--reason", "a mistake"]);
    // September of a is 0.1 + 0.5. Of b it is 0.4, against which 0.4 of the 1 goes: nothing is left to be told.
    let september =
        ["a 0.6: 10 Call × Standard (0.01 each) + 0.5 carried from 2026-08", "c 0.2: 20 Call × Standard (0.01 each)"];
    let previewed = vendor.json(["bill", "--month", "2026-09"]);
    assert_eq!((&previewed["total"], &previewed["rows"][0]["lines"][1]["amount"]), (&json!("0.8"), &json!("0.5")));
    assert_eq!(bill(&server, 9), september);
    // All of a is told, and of b not all that was taken back.
    assert_eq!(reconciled(&vendor, "2026-08"), ["a 150 150 0 0", "b 0 100 -100 0", "c 100 100 0 0"]);
    let late = vendor.json(["statement", "late", "--month", "2026-08"])["rows"].clone();
    let for_bills: Vec<_> = late.as_array().expect("rows").iter().filter(|row| !row["bill"].is_null()).collect();
    assert_eq!((for_bills.len(), &for_bills[0]["projectId"]), (1, &json!("b")));

    // August asked for again is what it was, and leaves no copy; September carries the same, whatever comes later.
    let each = "1: 100 Call × Standard (0.01 each)";
    let august = [format!("a {each}"), format!("b {each}"), format!("c {each}")];
    assert_eq!(bill(&server, 8), august);
    record(&vendor, "a", "20", "a8-later", "2026-08-31");
    assert_eq!(bill(&server, 8), august);
    assert_eq!(bill(&server, 9), september);
    assert_eq!(reconciled(&vendor, "2026-08")[0], "a 170 150 20 0");
    // A project of which nothing was carried is told what it is, as ever: 130 × 0.01.
    record(&vendor, "c", "30", "c8-late", "2026-08-31");
    assert_eq!(bill(&server, 8), [&august[0], &august[1], "c 1.3: 130 Call × Standard (0.01 each)"]);

    // October: a has no usage and owes the 20 that came later; b owes 1 less the 0.6 that waited; c owes 0.1 of September.
    record(&vendor, "b", "100", "b10", "2026-10-10");
    record(&vendor, "c", "10", "c9-late", "2026-09-30");
    let october = [
        "a 0.2: 0.2 carried from 2026-08",
        "b 0.4: 100 Call × Standard (0.01 each) + -0.6 carried from 2026-08",
        "c 0.1: 0.1 carried from 2026-09",
    ];
    assert_eq!(bill(&server, 10), october);
    for month in ["2026-08", "2026-09", "2026-10"] {
        let shown = vendor.json(["totals", "--reconcile", "--month", month]);
        for row in shown["bill"].as_array().expect("rows") {
            assert_eq!((&row["late"], &row["notAsked"]), (&json!("0"), &json!("0")), "{month}: {row}");
        }
    }
    // After a restart the same.
    drop(server);
    let server = vendor.serve();
    assert_eq!(bill(&server, 10), october);
    assert_eq!(bill(&server, 9)[0], september[0]);
    assert_eq!(bill(&server, 8)[..2], august[..2]);
    let shown = vendor.json(["bill", "--month", "2026-08"]);
    assert_eq!((&shown["rows"][0]["asTold"], &shown["rows"][0]["amount"]), (&json!(true), &json!("1")));
    vendor.ok(["check"]);
}

#[test]
fn a_price_for_a_month_that_was_billed_is_carried_too() {
    let (vendor, server) = with_august();
    record(&vendor, "a", "10", "a9", "2026-09-10");
    vendor.ok(["plan", "set", "default", "--price", "0.03", "--from", "2026-08", "--rewrite"]);
    let carried = "2 carried from 2026-08";
    let september = [
        format!("a 2.3: 10 Call × Standard (0.03 each) + {carried}"),
        format!("b 2: {carried}"),
        format!("c 2: {carried}"),
    ];
    assert_eq!(bill(&server, 9), september);
    assert_eq!(bill(&server, 10), Vec::<String>::new());
    vendor.ok(["check"]);
}

#[test]
fn nothing_is_carried_unless_it_is_set_nor_by_a_window_that_is_no_month_or_not_over() {
    let (vendor, server) = with_august();
    record(&vendor, "a", "50", "a8-late", "2026-08-31");
    let (from, to) = month(9);
    assert_eq!(server.listing("/bill", from, to - 86_400, 1).entries(), []);
    let now = jiff::Timestamp::now();
    let this_month = now.to_string()[..7].to_owned();
    let first = second(&format!("{this_month}-01T00:00:00Z"));
    assert_eq!(server.listing("/bill", first, now.as_second() + 86_400 * 40, 1).entries(), []);
    vendor.ok(["setting", "set", "late", "report"]);
    assert_eq!(bill(&server, 9), Vec::<String>::new());
    let said = vendor.fails(2, ["setting", "set", "late", "sometimes"]);
    assert!(said.contains("report or carry is wanted"), "{said}");
    // Set again, the bill that was told stays what it was, and the next one carries.
    vendor.ok(["setting", "set", "late", "carry"]);
    assert_eq!(bill(&server, 10), ["a 0.5: 0.5 carried from 2026-08"]);
    vendor.ok(["check"]);
}
