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
    entries
        .map(|((project, amount), entry)| format!("{project} {amount}: {}", words(entry)))
        .collect()
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
    vendor
        .ok(["plan", "set", "default", "--name", "Standard", "--unit", "Call", "--price", "0.01"]);
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
    let september = [
        "a 0.6: 10 Call × Standard (0.01 each) + 0.5 carried from 2026-08",
        "c 0.2: 20 Call × Standard (0.01 each)",
    ];
    let previewed = vendor.json(["bill", "--month", "2026-09"]);
    assert_eq!(
        (&previewed["total"], &previewed["rows"][0]["lines"][1]["amount"]),
        (&json!("0.8"), &json!("0.5"))
    );
    assert_eq!(bill(&server, 9), september);
    let shown = vendor.ok(["statement", "show", "2"]).out;
    let lines: Vec<String> =
        shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for wanted in
        ["Carried from earlier months:", "a 2026-08 0.5", "b 2026-08 -0.4 more of it waits"]
    {
        assert!(lines.iter().any(|line| line == wanted), "{wanted}: {shown}");
    }
    // All of a is told, and of b not all that was taken back.
    assert_eq!(
        reconciled(&vendor, "2026-08"),
        ["a 150 150 0 0", "b 0 100 -100 0", "c 100 100 0 0"]
    );
    let late = vendor.json(["statement", "late", "--month", "2026-08"])["rows"].clone();
    let for_bills: Vec<_> =
        late.as_array().expect("rows").iter().filter(|row| !row["bill"].is_null()).collect();
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
    assert_eq!(
        bill(&server, 8),
        [&august[0], &august[1], "c 1.3: 130 Call × Standard (0.01 each)"]
    );

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
            assert_eq!(
                (&row["late"], &row["notAsked"]),
                (&json!("0"), &json!("0")),
                "{month}: {row}"
            );
        }
    }
    // After a restart the same.
    drop(server);
    let server = vendor.serve();
    assert_eq!(bill(&server, 10), october);
    assert_eq!(bill(&server, 9)[0], september[0]);
    assert_eq!(bill(&server, 8)[..2], august[..2]);
    let shown = vendor.json(["bill", "--month", "2026-08"]);
    assert_eq!(
        (&shown["rows"][0]["asTold"], &shown["rows"][0]["amount"]),
        (&json!(true), &json!("1"))
    );
    vendor.ok(["check"]);
}

#[test]
fn a_price_for_a_month_that_was_billed_is_carried_too() {
    let (vendor, server) = with_august();
    record(&vendor, "a", "10", "a9", "2026-09-10");
    let said = vendor
        .ok(["plan", "set", "default", "--price", "0.03", "--from", "2026-08", "--rewrite"])
        .err;
    assert!(
        said.contains(
            "2026-08 was billed already: the next month's bill carries what changes of it"
        ),
        "{said}"
    );
    let said = vendor
        .ok(["plan", "set", "default", "--price", "0.03", "--from", "2026-08", "--rewrite"])
        .err;
    assert!(!said.contains("billed already"), "nothing was changed: {said}");
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

#[test]
fn what_a_later_bill_has_carried_stays_told_where_the_project_has_no_price_any_more() {
    let (vendor, server) = with_august();
    let from_august = ["--from", "2026-08", "--rewrite"];
    vendor.ok(["project", "add", "a", "--customer", "c1"].into_iter().chain(from_august));
    record(&vendor, "a", "50", "a8-late", "2026-08-31");
    assert_eq!(bill(&server, 9), ["a 0.5: 0.5 carried from 2026-08"]);
    let said = vendor
        .ok(["customer", "add", "c1", "--plan", "none", "--new"].into_iter().chain(from_august))
        .err;
    assert!(said.contains("2 months from 2026-08 to 2026-09 were billed already"), "{said}");
    vendor.ok(["setting", "set", "late", "report"]);
    let said = vendor
        .ok(["project", "add", "a", "--customer", "c2", "--from", "2026-09", "--rewrite"])
        .err;
    assert!(
        said.contains("2026-09 was billed already") && said.contains("only where it asks again"),
        "{said}"
    );
    vendor.ok(["project", "add", "a", "--customer", "c1", "--from", "2026-09", "--rewrite"]);
    vendor.ok(["setting", "set", "late", "carry"]);
    let each = "1: 100 Call × Standard (0.01 each)";
    assert_eq!(bill(&server, 8), [format!("a {each}"), format!("b {each}"), format!("c {each}")]);
    vendor.ok(["check"]);
}

#[test]
fn what_had_no_price_is_carried_once_it_has_one_and_is_not_told_as_unpriced_then() {
    let vendor = Vendor::new();
    vendor.ok(["setting", "set", "late", "carry"]);
    vendor.ok(["record", "a", "100", "--id", "a8", "--at", "2026-08-10", "--customer", "c1"]);
    vendor.ok(["customer", "add", "c1", "--plan", "pro", "--new"]);
    let server = vendor.serve();
    let unpriced = || {
        vendor.json(["totals", "--reconcile", "--month", "2026-08"])["bill"][0]["unpriced"].clone()
    };
    assert_eq!((bill(&server, 8), unpriced()), (vec![], json!("100")));
    let pro = ["plan", "set", "pro", "--name", "Pro", "--unit", "Call", "--price", "0.02"];
    vendor.ok(pro.into_iter().chain(["--from", "2026-08", "--rewrite"]));
    assert_eq!(bill(&server, 9), ["a 2: 2 carried from 2026-08"]);
    assert_eq!(
        (reconciled(&vendor, "2026-08"), unpriced()),
        (vec!["a 100 100 0 0".to_owned()], json!("0"))
    );
}

#[test]
fn of_two_bills_that_are_followed_at_once_only_one_tells_what_is_late() {
    for first in [8, 9] {
        let (vendor, server) = with_august();
        for project in ["a", "b", "c"] {
            record(&vendor, project, "50", &format!("{project}8-late"), "2026-08-31");
        }
        let page = |number: i8, page_num: &str| {
            let (from, to) = (month(number).0.to_string(), month(number).1.to_string());
            let fields = [("fromTs", &*from), ("toTs", &to), ("pageNum", page_num), ("limit", "2")];
            let answer = server.ask("/bill", &fields);
            if answer.status == 503 {
                let reason =
                    "another month's bill was told since page 1 of this one: ask for page 1 again";
                assert_eq!(answer.reason(), reason);
            }
            (answer.status, if answer.status == 200 { answer.entries() } else { Vec::new() })
        };
        let second = 17 - first;
        page(8, "1");
        page(9, "1");
        assert_eq!(page(first, "2").0, 200);
        // It is refused until it begins anew, and never ends with another state of the books than it began with.
        for _ in 0..2 {
            assert_eq!(page(second, "2").0, 503);
        }
        page(second, "1");
        let last = page(second, "2");
        let wanted = if second == 8 { vec![("c".to_owned(), "1".to_owned())] } else { Vec::new() };
        assert_eq!(last, (200, wanted), "{first} before {second}");
        vendor.ok(["check"]);
    }
}

#[test]
fn what_was_told_again_while_bills_did_not_carry_is_carried_or_taken_off_after_that() {
    for again in [8, 9] {
        let (vendor, server) = with_august();
        record(&vendor, "a", "200", "a10", "2026-10-10");
        record(&vendor, "a", "50", "a8-late", "2026-08-31");
        assert_eq!(bill(&server, 9), ["a 0.5: 0.5 carried from 2026-08"]);
        vendor.ok(["setting", "set", "late", "report"]);
        let told = bill(&server, again);
        vendor.ok(["setting", "set", "late", "carry"]);
        let own = "200 Call × Standard (0.01 each)";
        let (told_again, reconciled_then, october) = match again {
            // It was told in both.
            8 => (
                "a 1.5: 150 Call × Standard (0.01 each)",
                "a 150 150 0 0",
                format!("a 1.5: {own} + -0.5"),
            ),
            // It was told in neither.
            _ => ("", "a 150 100 50 0", format!("a 2.5: {own} + 0.5")),
        };
        assert_eq!(told.first().map_or("", String::as_str), told_again);
        assert_eq!(reconciled(&vendor, "2026-08")[0], reconciled_then);
        assert_eq!(bill(&server, 10), [format!("{october} carried from 2026-08")]);
        assert_eq!(reconciled(&vendor, "2026-08")[0], "a 150 150 0 0");
        vendor.ok(["check"]);
    }
}

#[test]
fn check_finds_what_was_tampered_with_of_what_was_carried_and_of_what_is_late() {
    let (vendor, server) = with_august();
    record(&vendor, "a", "50", "a8-late", "2026-08-31");
    bill(&server, 9);
    drop(server);
    for refused in ["update statement_carry set waits = 1", "delete from statement_carry"] {
        vendor.sql().execute_batch(refused).expect_err(refused);
    }
    let whole = std::fs::read(vendor.db()).expect("the books");
    let free =
        "drop trigger statement_carry_is_not_changed; drop trigger statement_carry_is_not_deleted;";
    let (august, july) = (month(8).0, month(7).0);
    let differs = "statement 2: its entries are not those that were told";
    let written =
        |line: &str| zstd::encode_all(format!("{line}\n").as_bytes(), 1).expect("compressed");
    let kept = |lines: Vec<u8>| lines.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let set =
        |line: &str| format!("update statement_carry set carries = x'{}'", kept(written(line)));
    for (tampering, told) in [
        (set(r#"{"projectId":"a","amount":"9"}"#), differs),
        (set(r#"{"projectId":"a","amount":"50","waits":true}"#), differs),
        (set(r#"{"projectId":"z","amount":"50"}"#), "a value of what statement 2 said"),
        (set(r#"{"projectId":"a","amount":"50.0"}"#), differs),
        (set(r#"{"projectId":"a","amount":"x"}"#), "a value of what statement 2 said"),
        (
            "update statement_carry set carries = x'00'".to_owned(),
            "a value of what statement 2 said",
        ),
        ("update statement_carry set carried = 0".to_owned(), differs),
        ("update statement_carry set waits = 1".to_owned(), differs),
        ("delete from statement_carry".to_owned(), differs),
        (
            format!(
                "insert into statement_carry select 2, {july}, 0, 0, carries from statement_carry"
            ),
            differs,
        ),
        (
            format!("insert into statement_carry values (1, {august}, 0, 0, x'00')"),
            "what was told is not added to",
        ),
        ("update usage_month set last_seq = 1".to_owned(), "the last entry of 2026-08"),
        ("delete from usage_month".to_owned(), "the last entry of 2026-08"),
        (
            "insert into usage_month values (9223372036854775806, 1)".to_owned(),
            "the last entry of no month",
        ),
    ] {
        match vendor.sql().execute_batch(&format!("{free}{tampering}")) {
            Err(refused) => assert!(refused.to_string().contains(told), "{refused}"),
            Ok(()) => {
                let found = vendor.run(["check"]);
                assert!(found.code == 1 && found.out.contains(told), "{tampering}: {}", found.out);
            }
        }
        std::fs::write(vendor.db(), &whole).expect("restored");
    }
    vendor.ok(["check"]);
}

#[test]
fn a_bill_asked_for_on_the_months_last_day_counts_and_the_next_one_carries_what_came_after_it() {
    let vendor = Vendor::new();
    vendor.at("2026-08-10T00:00:00Z").ok(["setting", "set", "late", "carry"]);
    let price = ["--name", "Standard", "--unit", "Call", "--price", "0.01"];
    vendor.ok(["plan", "set", "default"].into_iter().chain(price));
    record(&vendor, "a", "100", "a8", "2026-08-09");
    let server = vendor.serve();
    // Agora asks for each month on its last day, and never again.
    vendor.at("2026-08-31T20:00:00Z");
    assert_eq!(bill(&server, 8), ["a 1: 100 Call × Standard (0.01 each)"]);
    vendor.at("2026-08-31T23:00:00Z");
    let said = vendor.ok(["record", "a", "50", "--id", "a8-late"]).err;
    assert!(said.contains("2026-08 was billed on 2026-08-31; this record is late"), "{said}");
    vendor.at("2026-09-30T20:00:00Z");
    record(&vendor, "a", "10", "a9", "2026-09-10");
    let september = ["a 0.6: 10 Call × Standard (0.01 each) + 0.5 carried from 2026-08"];
    assert_eq!(bill(&server, 9), september);
    assert_eq!(reconciled(&vendor, "2026-08"), ["a 150 150 0 0"]);
    record(&vendor, "a", "7", "a9-late", "2026-09-30T20:00:00Z");
    vendor.at("2026-10-31T20:00:00Z");
    assert_eq!(bill(&server, 10), ["a 0.07: 0.07 carried from 2026-09"]);
    // Asked again once it is over, it tells the same.
    vendor.at("2026-11-01T20:00:00Z");
    assert_eq!(bill(&server, 9), september);
    assert_eq!(bill(&server, 10), ["a 0.07: 0.07 carried from 2026-09"]);
    assert_eq!(bill(&server, 11), Vec::<String>::new());
    let listed = vendor.json(["statement", "list", "--kind", "bill"])["statements"].clone();
    let provisional: Vec<&Value> =
        listed.as_array().expect("rows").iter().map(|row| &row["provisional"]).collect();
    assert_eq!(provisional, [false, false, false, true], "{listed:?}");
    vendor.ok(["check"]);
}

#[test]
fn what_is_late_agrees_with_the_bills_where_one_carries_no_more_and_a_later_one_still_does() {
    let (vendor, server) = with_august();
    record(&vendor, "a", "50", "a8-late", "2026-08-31");
    assert_eq!(bill(&server, 9), ["a 0.5: 0.5 carried from 2026-08"]);
    record(&vendor, "a", "20", "a8-later", "2026-08-30");
    assert_eq!(bill(&server, 10), ["a 0.2: 0.2 carried from 2026-08"]);
    assert_eq!(reconciled(&vendor, "2026-08")[0], "a 170 170 0 0");
    // September's bill carries no more; October's still does.
    vendor.ok(["setting", "set", "late", "report"]);
    assert_eq!(bill(&server, 9), Vec::<String>::new());
    vendor.ok(["setting", "set", "late", "carry"]);
    assert_eq!(reconciled(&vendor, "2026-08")[0], "a 170 120 50 0");
    record(&vendor, "a", "1", "a11", "2026-11-01");
    drop(server);
    let server = vendor.at("2026-12-02T00:00:00Z").serve();
    let own = "1 Call × Standard (0.01 each)";
    assert_eq!(bill(&server, 11), [format!("a 0.51: {own} + 0.5 carried from 2026-08")]);
    assert_eq!(reconciled(&vendor, "2026-08")[0], "a 170 170 0 0");
    vendor.ok(["check"]);
}

#[test]
fn a_free_line_is_told_beside_what_is_carried() {
    let (vendor, server) = with_august();
    let free = ["plan", "set", "default", "--price", "0.01", "--free", "10", "--from", "2026-09"];
    vendor.ok(free.into_iter().chain(["--rewrite"]));
    record(&vendor, "a", "5", "a9", "2026-09-10");
    record(&vendor, "a", "50", "a8-late", "2026-08-31");
    record(&vendor, "b", "5", "b9", "2026-09-10");
    record(&vendor, "z", "5", "z9", "2026-09-10");
    vendor.ok(["void", "c8", "--reason", "a mistake"]);
    record(&vendor, "c", "5", "c9", "2026-09-10");
    let told = ["a 0.5: 5 Call × Standard (free) + 0.5 carried from 2026-08"];
    let shown = vendor.json(["bill", "--month", "2026-09"]);
    assert_eq!(shown["rows"][0]["lines"].as_array().map(Vec::len), Some(2), "{shown}");
    // Of c something waits, which stands between those who are charged nothing.
    let uncharged: Vec<&Value> =
        shown["uncharged"].as_array().expect("rows").iter().map(|row| &row["projectId"]).collect();
    assert_eq!(uncharged, ["b", "c", "z"]);
    assert_eq!(bill(&server, 9), told);
}

#[test]
fn a_price_of_a_plan_that_nobody_has_changes_no_bill() {
    let (vendor, _server) = with_august();
    let gold = ["plan", "set", "gold", "--name", "Gold", "--unit", "Call", "--price"];
    let from = ["--from", "2026-08", "--rewrite"];
    for price in ["1", "2"] {
        let said = vendor.ok(gold.into_iter().chain([price]).chain(from)).err;
        assert!(!said.contains("billed already:"), "{said}");
    }
    vendor.ok(["customer", "add", "c", "--plan", "gold", "--from", "2026-08", "--rewrite"]);
    vendor.ok(["project", "add", "a", "--customer", "c", "--from", "2026-08", "--rewrite"]);
    let said = vendor.ok(gold.into_iter().chain(["3"]).chain(from)).err;
    assert!(said.contains("2026-08 was billed already:"), "{said}");
}
