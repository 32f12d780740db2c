//! What is late for a month that was billed is carried by a later month's bill, where the setting
//! says so.

use crate::vendor::{Server, Vendor, second};
use agora_vendor::store::Store;
use agora_vendor::store::balance::SettledMonth;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

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

/// Books whose bills carry, at 0.01 a unit, with August billed: 100 units of each of the projects
/// a, b and c.
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
    // September of a is 0.1 + 0.5. Of b it is 0.4, against which 0.4 of the 1 goes: nothing is left
    // to be told.
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

    // August asked for again tells what it costs less what September told of it: of a what it told,
    // and of b the 1 that was taken back less the 0.4. September tells the same.
    let each = "1: 100 Call × Standard (0.01 each)";
    let b = "b 0.4: 0.4 taken off by later bills".to_owned();
    assert_eq!(bill(&server, 8), [format!("a {each}"), b.clone(), format!("c {each}")]);
    assert_eq!(bill(&server, 9), september);
    assert_eq!(reconciled(&vendor, "2026-08"), ["a 150 150 0 0", "c 100 100 0 0"]);
    // Whatever comes later is in whichever bill is asked for next, once.
    record(&vendor, "a", "20", "a8-later", "2026-08-31");
    record(&vendor, "c", "30", "c8-late", "2026-08-31");
    assert_eq!(reconciled(&vendor, "2026-08")[0], "a 170 150 20 0");
    let august = [
        "a 1.2: 170 Call × Standard (0.01 each) + -0.5 told by later bills".to_owned(),
        b,
        "c 1.3: 130 Call × Standard (0.01 each)".to_owned(),
    ];
    assert_eq!(bill(&server, 8), august);
    assert_eq!(bill(&server, 9), september);
    assert_eq!(reconciled(&vendor, "2026-08")[0], "a 170 170 0 0");

    // October: a has no usage and owes the 20 that came last; b owes 1; c owes 0.1 of September.
    record(&vendor, "a", "20", "a8-last", "2026-08-31");
    record(&vendor, "b", "100", "b10", "2026-10-10");
    record(&vendor, "c", "10", "c9-late", "2026-09-30");
    let october = [
        "a 0.2: 0.2 carried from 2026-08",
        "b 1: 100 Call × Standard (0.01 each)",
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
    assert_eq!(bill(&server, 8), august);
    let shown = vendor.json(["bill", "--month", "2026-08"]);
    assert_eq!(
        (&shown["rows"][0]["asTold"], &shown["rows"][0]["amount"]),
        (&json!(true), &json!("1.2"))
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
    assert!(said.contains("it must be report or carry"), "{said}");
    // Set again, the bill that was told stays what it was, and the next one carries.
    vendor.ok(["setting", "set", "late", "carry"]);
    assert_eq!(bill(&server, 10), ["a 0.5: 0.5 carried from 2026-08"]);
    vendor.ok(["check"]);
}

#[test]
fn a_project_that_has_no_price_any_more_is_told_nothing_of_the_month_until_it_has_one() {
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
    assert_eq!(bill(&server, 8), [format!("b {each}"), format!("c {each}")]);
    let none = ["plan", "set", "none", "--name", "None", "--unit", "Call", "--price", "0.02"];
    vendor.ok(none.into_iter().chain(from_august));
    // 150 × 0.02 less the 0.5 that September still tells.
    assert_eq!(bill(&server, 10), ["a 2.5: 2.5 carried from 2026-08"]);
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
        // It is refused until it begins anew, and never ends with another state of the books than
        // it began with.
        for _ in 0..2 {
            assert_eq!(page(second, "2").0, 503);
        }
        let log = server.log();
        assert!(log.contains("another month's bill was told since page 1"), "{log}");
        assert!(!log.contains("another process has been writing"), "{log}");
        page(second, "1");
        let last = page(second, "2");
        let wanted = if second == 8 { vec![("c".to_owned(), "1".to_owned())] } else { Vec::new() };
        assert_eq!(last, (200, wanted), "{first} before {second}");
        vendor.ok(["check"]);
    }
}

#[test]
fn a_month_told_again_while_bills_do_not_carry_tells_nothing_twice_and_what_it_drops_later() {
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
            // September tells the rest.
            8 => ("a 1: 100 Call × Standard (0.01 each)", "a 150 150 0 0", format!("a 2: {own}")),
            // It is told in neither.
            _ => ("", "a 150 100 50 0", format!("a 2.5: {own} + 0.5 carried from 2026-08")),
        };
        assert_eq!(told.first().map_or("", String::as_str), told_again);
        assert_eq!(reconciled(&vendor, "2026-08")[0], reconciled_then);
        assert_eq!(bill(&server, 10), [october]);
        assert_eq!(reconciled(&vendor, "2026-08")[0], "a 150 150 0 0");
        vendor.ok(["check"]);
    }
}

/// How many marks there are.
fn marks(vendor: &Vendor) -> i64 {
    let count = "select count(*) from mark";
    vendor.sql().query_row(count, [], |row| row.get(0)).expect("a count")
}

/// Waits until the server has priced all that has marks.
fn settled(vendor: &Vendor) {
    let until = Instant::now() + Duration::from_secs(20);
    while marks(vendor) > 0 {
        assert!(Instant::now() < until, "nobody prices the month anew");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_month_that_changes_while_it_is_priced_is_priced_again() {
    let (vendor, server) = with_august();
    settled(&vendor);
    let mut store = Store::open(&vendor.db()).expect("the books");
    let august = month(8).0;
    let mut priced = |after_s| store.read(|tx| SettledMonth::read(tx, after_s)).expect("a read");
    assert!(priced(-1).is_none());
    record(&vendor, "a", "50", "late", "2026-08-31");
    let august_then = priced(-1).expect("a month");
    // A record comes before that is written: its mark stays, and is not looked for again.
    record(&vendor, "a", "1", "later", "2026-08-31");
    let mut other = Store::open(&vendor.db()).expect("the books");
    assert_eq!(other.write(|tx| august_then.write(tx)).expect("a write"), august);
    assert_eq!(marks(&vendor), 1);
    assert!(priced(august).is_none());
    vendor.ok(["check"]);
    // Somebody else prices the month later, and writes it before.
    let august_then = priced(-1).expect("a month");
    record(&vendor, "a", "1", "latest", "2026-08-31");
    let august_now = priced(-1).expect("a month");
    other.write(|tx| august_now.write(tx)).expect("a write");
    other.write(|tx| august_then.write(tx)).expect("a write");
    vendor.ok(["check"]);
    record(&vendor, "a", "1", "last", "2026-08-31");
    // A bill comes before that is written: what was worked out holds no more.
    let august_then = priced(-1).expect("a month");
    assert_eq!(bill(&server, 9), ["a 0.53: 0.53 carried from 2026-08"]);
    other.write(|tx| august_then.write(tx)).expect("a write");
    vendor.ok(["check"]);
    assert_eq!(bill(&server, 10), Vec::<String>::new());
    settled(&vendor);
    vendor.ok(["check"]);
    assert_eq!(bill(&server, 10), Vec::<String>::new());
}

#[test]
fn check_finds_what_was_tampered_with_of_what_was_carried_and_of_what_is_late() {
    let (vendor, server) = with_august();
    record(&vendor, "a", "50", "a8-late", "2026-08-31");
    bill(&server, 9);
    settled(&vendor);
    drop(server);
    for refused in ["update statement set adjusts = 0", "delete from statement_entries"] {
        vendor.sql().execute_batch(refused).expect_err(refused);
    }
    let whole = std::fs::read(vendor.db()).expect("the books");
    let (august, september) = (month(8).0, month(9).0);
    let written =
        |line: &str| zstd::encode_all(format!("{line}\n").as_bytes(), 1).expect("compressed");
    let kept = |lines: Vec<u8>| lines.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let entries = |line: &str| {
        let kept = kept(written(line));
        format!(
            "drop trigger statement_entries_are_not_changed;
             update statement_entries set entries = x'{kept}' where statement_seq = 2"
        )
    };
    let balances = |line: &str| {
        let kept = kept(written(line));
        format!("update balance set balances = x'{kept}' where month_s = {august}")
    };
    let told =
        r#"{"projectId":"a","amount":"0.5","description":"0.5 carried from 2026-08","usage":"0""#;
    let differs = "statement 2: its entries are not those that were told";
    let not_told = "the balance of 2026-08 of project a: it is not what the newest bills tell";
    let unmarked = ": the month costs something else, and a mark is missing";
    let not_ours = "the balance of 2026-08: it is not one that this program writes";
    for (tampering, told) in [
        (entries(&format!(r#"{told},"adjustments":[[{august},"9","0"]]}}"#)), differs),
        (entries(&format!(r#"{told},"adjustments":[[{august},"0.5",null]]}}"#)), differs),
        (entries(&format!(r#"{told},"adjustments":[[{september},"0.5","0"]]}}"#)), differs),
        (entries(&format!("{told}}}")), differs),
        (
            entries(&format!(r#"{told},"adjustments":[[{august},"x","0"]]}}"#)),
            "a value of what statement 2",
        ),
        (balances("a 0.6 0"), not_told),
        (balances("b 0.5 0"), not_told),
        (balances("a 0.5 0.5"), unmarked),
        (balances("a 0.5 ?"), unmarked),
        (balances("a 0.5 0\nb 0 1"), unmarked),
        (balances("a 0.50 0"), not_ours),
        (balances("a 0.5 x"), not_ours),
        (balances("a 0.5"), not_ours),
        (balances("a 0.5 0 0"), not_ours),
        (balances("a 0.5 0\nb 0 0"), not_ours),
        ("update balance set balances = x'00'".to_owned(), not_ours),
        ("update balance set waiting = 1".to_owned(), not_ours),
        (format!("delete from balance where month_s = {august}"), not_ours),
        (
            format!("insert into balance values ({}, 1, 0, x'00')", month(7).0),
            "the balance of 2026-07: it is not one",
        ),
        // A record whose mark is lost.
        (
            "update usage_rollup set amount = '200' where grain = 2 and project_no = 1".to_owned(),
            unmarked,
        ),
        ("update usage_month set last_seq = 1".to_owned(), "the last entry of 2026-08"),
        ("delete from usage_month".to_owned(), "the last entry of 2026-08"),
        (
            "insert into usage_month values (9223372036854775806, 1)".to_owned(),
            "the last entry of no month",
        ),
    ] {
        vendor.sql().execute_batch(&tampering).expect(&tampering);
        let found = vendor.run(["check"]);
        assert!(found.code == 1 && found.out.contains(told), "{tampering}: {}", found.out);
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
    // Usage goes by what bills knew, and money by what they tell.
    assert_eq!(reconciled(&vendor, "2026-08")[0], "a 170 170 0 0");
    let money = |name: &str| {
        let reconciled = vendor.json(["totals", "--reconcile", "--month", "2026-08"]);
        (reconciled["money"][0][name].clone(), reconciled["verdict"].clone())
    };
    assert_eq!(
        money("due"),
        (json!("0.5"), json!("2026-08 adds up; some usage was not asked for, some money is due"))
    );
    record(&vendor, "a", "1", "a11", "2026-11-01");
    drop(server);
    let server = vendor.at("2026-12-02T00:00:00Z").serve();
    let own = "1 Call × Standard (0.01 each)";
    assert_eq!(bill(&server, 11), [format!("a 0.51: {own} + 0.5 carried from 2026-08")]);
    assert_eq!(
        money("adjusted"),
        (json!("0.7"), json!("2026-08 adds up; some usage was not asked for"))
    );
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

/// A page of a month's bill, two entries at a time: its status and its entries.
fn page(server: &Server, number: i8, page_num: &str) -> (u16, Vec<(String, String)>) {
    let (from, to) = (month(number).0.to_string(), month(number).1.to_string());
    let fields = [("fromTs", &*from), ("toTs", &to), ("pageNum", page_num), ("limit", "2")];
    let answer = server.ask("/bill", &fields);
    (answer.status, if answer.status == 200 { answer.entries() } else { Vec::new() })
}

fn entry(project: &str, amount: &str) -> (String, String) {
    (project.to_owned(), amount.to_owned())
}

#[test]
fn bills_that_speak_of_different_months_are_followed_at_once() {
    let (vendor, server) = with_august();
    for month in ["2026-09", "2026-10"] {
        for project in ["a", "b", "c"] {
            record(&vendor, project, "100", &format!("{project}{month}"), &format!("{month}-10"));
        }
    }
    for page_num in ["1", "2"] {
        for number in [10, 9, 8] {
            assert_eq!(page(&server, number, page_num).0, 200, "{number}");
        }
    }
    vendor.ok(["check"]);
}

#[test]
fn a_price_rewritten_between_two_pages_is_told_by_the_next_bill() {
    let (vendor, server) = with_august();
    for project in ["a", "b", "c"] {
        record(&vendor, project, "100", &format!("{project}9"), "2026-09-10");
        record(&vendor, project, "50", &format!("{project}8-late"), "2026-08-31");
    }
    let first = [entry("a", "1.5"), entry("b", "1.5")];
    assert_eq!(page(&server, 9, "1"), (200, first.to_vec()));
    // It is worked out for August, while the bill that has adjusted it is not kept yet.
    vendor.ok(["plan", "set", "default", "--price", "0.02", "--from", "2026-08", "--rewrite"]);
    assert_eq!(page(&server, 9, "2"), (200, vec![entry("c", "1.5")]));
    vendor.ok(["check"]);
    // August costs 3 and September 2, of which 1.5 and 1 were told.
    let told = ["a", "b", "c"]
        .map(|project| format!("{project} 2.5: 1.5 carried from 2026-08 + 1 carried from 2026-09"));
    assert_eq!(bill(&server, 10), told);
    assert_eq!(bill(&server, 11), Vec::<String>::new());
    vendor.ok(["check"]);
}

#[test]
fn a_server_prices_anew_at_its_start_what_nobody_has_yet() {
    let (vendor, server) = with_august();
    settled(&vendor);
    vendor.at("2026-10-02T10:00:00Z");
    record(&vendor, "b", "1", "b8-late", "2026-08-31");
    // As a rewrite that is killed before it has priced anything leaves it.
    vendor.sql().execute_batch("update mark set project_no = 0").expect("a mark");
    assert_eq!(marks(&vendor), 1);
    drop(server);
    let _server = vendor.serve();
    settled(&vendor);
    vendor.ok(["check"]);
}

#[test]
fn a_mark_is_written_by_usage_and_enablement_of_a_month_that_was_billed() {
    let (vendor, _server) = with_august();
    settled(&vendor);
    vendor.at("2026-08-20T10:00:00Z").ok(["project", "add", "a", "--customer", "c1"]);
    vendor.at("2026-10-02T10:00:00Z");
    let sql = vendor.sql();
    let marks = || -> Vec<(i64, i64)> {
        let mut select =
            sql.prepare("select month_s, project_no from mark order by 1, 2").expect("marks");
        let marks = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("marks");
        let marks = marks.collect::<Result<_, _>>().expect("marks");
        sql.execute_batch("delete from mark").expect("no marks");
        marks
    };
    let august = month(8).0;
    marks();
    record(&vendor, "b", "1", "b8-late", "2026-08-31");
    assert_eq!(marks(), [(august, 2)]);
    vendor.ok(["void", "b8-late", "--reason", "a mistake"]);
    assert_eq!(marks(), [(august, 2)]);
    record(&vendor, "b", "1", "b9", "2026-09-30");
    assert_eq!(marks(), [], "September has no bill");
    for change in ["disable", "enable"] {
        vendor.at("2026-08-20T10:00:00Z").ok(["project", change, "a"]);
        assert_eq!(marks(), [(august, 1)], "{change}");
    }
    // After the month that was billed nothing of it changes.
    vendor.at("2026-10-02T10:00:00Z").ok(["project", "disable", "a"]);
    assert_eq!(marks(), []);
}

#[test]
fn a_repeated_rewrite_prices_what_a_killed_one_left_marked() {
    let (vendor, _server) = with_august();
    settled(&vendor);
    let rewrite = ["--from", "2026-08", "--rewrite"];
    let plan = ["plan", "set", "default", "--price", "0.02"];
    let customer = ["customer", "add", "c", "--plan", "default"];
    let project = ["project", "add", "a", "--customer", "c"];
    for command in [&plan[..], &customer, &project] {
        vendor.ok(command.iter().chain(&rewrite));
        // A record of a billed month leaves the mark that a killed command would.
        let id = command.join("-");
        record(&vendor, "a", "1", &id, "2026-08-20");
        assert_eq!(marks(&vendor), 1, "{command:?}");
        let said = vendor.ok(command.iter().chain(&rewrite)).err;
        assert_eq!(marks(&vendor), 0, "{command:?}");
        assert!(!command.contains(&"project") || !said.contains("billed already"), "{said}");
    }
}

#[test]
fn csv_of_what_is_late_has_rows_for_what_has_no_price_and_for_months_without_a_bill() {
    let (vendor, _server) = with_august();
    let rewrite = ["--from", "2026-08", "--rewrite"];
    vendor.ok(["customer", "add", "u", "--plan", "gold", "--new"].into_iter().chain(rewrite));
    vendor.ok(["project", "add", "u", "--customer", "u"].into_iter().chain(rewrite));
    record(&vendor, "u", "3", "u8", "2026-08-10");
    record(&vendor, "a", "1", "a7", "2026-07-10");
    let late = vendor.ok(["statement", "late", "--csv"]).out;
    let wanted = "month,projectId,usage.amount,usage.covered,usage.records,bill.amount,\
        bill.covered,bill.records,due,planId,reason\n\
        2026-08,u,,,,3,0,1,,,\n\
        2026-08,u,,,,,,,,gold,the plan gold is not set up\n\
        2026-07,,,,,,,,,,no bill is kept that was asked for after the month's end\n";
    assert_eq!(late, wanted);
    // Nothing is due of what has no price.
    let verdict = vendor.json(["totals", "--reconcile", "--month", "2026-08"])["verdict"].clone();
    let wanted = "2026-08 adds up; some usage is late, some usage was not asked for, some projects \
        have no price";
    assert_eq!(verdict, wanted);
    let said = vendor.ok(["void", "a8", "--reason", "a mistake"]).err;
    assert!(said.contains("; this void is late\n"), "{said}");
}
