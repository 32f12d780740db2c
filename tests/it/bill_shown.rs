//! `bill`: by project and by customer, beside what was told, and explained down to its records.

use crate::vendor::{Server, Vendor, month_s};
use agora_vendor::billing::amount::Amount;
use serde_json::{Value, json};

/// Asks for a month's bill as Agora does; months are counted from January of 2026.
fn ask(server: &Server, month: usize) {
    let answer = server.listing("/bill", month_s(month), month_s(month + 1) - 1, 1);
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// Books with tiers, a license, voids, two customers and a project of nobody; September is told.
fn books() -> Vendor {
    let vendor = Vendor::new();
    vendor.at("2026-09-01T08:00:00Z");
    vendor.ok(["setting", "set", "late", "carry"]);
    let tiers = ["--graduated", "10:1,rest:0.5", "--name", "Standard", "--unit", "Minute"];
    vendor.ok(["plan", "set", "default"].into_iter().chain(tiers));
    vendor.ok(["plan", "set", "gold", "--name", "Gold", "--unit", "Minute", "--price", "0.25"]);
    vendor.ok(["customer", "add", "acme", "--name", "Acme Ltd", "--email", "a@example.com"]);
    vendor.ok(["customer", "add", "rich", "--plan", "gold"]);
    for (project, customer) in [("a", "acme"), ("b", "acme"), ("r", "rich")] {
        vendor.ok(["project", "add", project, "--customer", customer]);
    }
    let issue = ["license", "issue", "acme", "--starts", "2026-09-01", "--expires", "2026-12-31"];
    vendor.ok(issue.into_iter().chain(["--count", "4", "--id", "small"]));
    vendor.ok(issue.into_iter().chain(["--count", "6", "--id", "other"]));
    for (project, amount, id, at) in [
        ("a", "8", "a1", "2026-09-02"),
        ("a", "20", "a2", "2026-09-03"),
        ("a", "3", "wrong", "2026-09-04"),
        ("b", "5", "b1", "2026-09-04"),
        ("r", "8", "r1", "2026-09-05"),
        ("n", "2", "n1", "2026-09-06"),
    ] {
        vendor.at(&format!("{at}T12:00:00Z"));
        vendor.ok(["record", project, amount, "--id", id, "--at", at]);
    }
    vendor.ok(["void", "wrong", "--reason", "a test call"]);
    vendor
}

/// The books after September's bill was told, with what changed of it since.
fn told() -> Vendor {
    let vendor = books();
    vendor.at("2026-10-01T00:05:00Z");
    ask(&vendor.serve(), 8);
    vendor.ok(["record", "a", "4", "--id", "late", "--at", "2026-09-30"]);
    vendor.ok(["void", "r1", "--reason", "it was a test"]);
    vendor.ok(["record", "b", "1", "--id", "b2", "--at", "2026-10-01"]);
    vendor.ok(["record", "r", "1", "--id", "r2", "--at", "2026-10-01"]);
    vendor
}

/// The same after October's bill.
fn told_twice() -> Vendor {
    let vendor = told();
    vendor.at("2026-11-01T00:05:00Z");
    ask(&vendor.serve(), 9);
    vendor
}

fn amount(value: &Value) -> Amount {
    let text = value.as_str().unwrap_or_else(|| panic!("{value}"));
    Amount::from_canonical(text).expect("an amount")
}

fn sum(rows: &Value, key: &str) -> Amount {
    let amounts: Vec<Amount> =
        rows.as_array().expect("rows").iter().map(|row| amount(&row[key])).collect();
    amounts.iter().sum()
}

/// A row of a project, wherever it stands.
fn row(bill: &Value, project: &str) -> Value {
    let rows = ["rows", "uncharged", "unpriced"].into_iter();
    let mut rows = rows.flat_map(|key| bill[key].as_array().expect("rows"));
    rows.find(|row| row["projectId"] == project).cloned().unwrap_or_default()
}

#[test]
fn a_month_that_is_not_over_says_so_and_names_customers() {
    let vendor = books();
    let bill = vendor.json(["bill", "--month", "2026-09"]);
    assert_eq!(
        (&bill["over"], &bill["told"], &bill["due"]),
        (&json!(false), &Value::Null, &Value::Null)
    );
    assert_eq!(bill["total"], "23");
    let wanted = json!({
        "projectId": "b", "customerId": "acme", "amount": "5",
        "description": "5 Minute × Standard (Tier 1 at 1)", "usage": "5", "covered": "0",
        "lines": [{
            "quantity": "5", "price": "1", "amount": "5",
            "description": "5 Minute × Standard (Tier 1 at 1)",
        }],
        "adjustments": [], "adjustedBy": [], "told": null, "due": null,
    });
    assert_eq!(row(&bill, "b"), wanted);
    assert_eq!(row(&bill, "n")["customerId"], Value::Null);
    let said = vendor.ok(["bill", "--month", "2026-09"]).out;
    assert!(
        said.starts_with("2026-09 is not over: the amounts are as of now\n\nPROJECT"),
        "{said}"
    );
    assert!(said.contains("a        acme"), "{said}");
    // Agora may ask early, and what comes after that is due.
    let early = books();
    early.at("2026-09-20T00:00:00Z");
    ask(&early.serve(), 8);
    early.ok(["record", "b", "1", "--id", "b2", "--at", "2026-09-19"]);
    let said = early.ok(["bill", "--month", "2026-09"]).out;
    let words = "2026-09 is not over: the amounts are as of now\n\
        told 23 on 2026-09-20, before the month was over, in statement 1; 1 is due: ";
    assert!(said.starts_with(words), "{said}");

    vendor.at("2026-10-01T00:00:00Z");
    assert_eq!(vendor.json(["bill", "--month", "2026-09"])["over"], true);
    let said = vendor.ok(["bill", "--month", "2026-09"]).out;
    assert!(said.starts_with("2026-09 is over, and no bill of it is kept\n\n"), "{said}");
}

#[test]
fn a_month_that_was_told_says_what_when_where_and_what_is_due() {
    let vendor = told();
    let bill = vendor.json(["bill", "--month", "2026-09"]);
    let telling =
        |amount: &str| json!({"statement": 1, "at": "2026-10-01T00:05:00Z", "amount": amount});
    assert_eq!((&bill["over"], &bill["told"]), (&json!(true), &telling("23")));
    assert_eq!((&bill["due"], &bill["adjustedBy"]), (&json!("0"), &json!([])));
    let a = row(&bill, "a");
    assert_eq!((&a["told"], &a["amount"], &a["due"]), (&telling("14"), &json!("16"), &json!("2")));
    // What was told and is nothing by now stands among what is not charged.
    assert_eq!(
        bill["uncharged"],
        json!([{
            "projectId": "r", "customerId": "rich", "usage": "0", "covered": "0",
            "lines": [], "adjustments": [], "adjustedBy": [], "told": telling("2"), "due": "-2",
        }])
    );
    let said = vendor.ok(["bill", "--month", "2026-09"]).out;
    let words = "told 23 on 2026-10-01 in statement 1; 2 is due, and 2 too much was told: \
        bills of later months carry it\n";
    assert!(said.starts_with(words), "{said}");
    vendor.ok(["setting", "set", "late", "report"]);
    let said = vendor.ok(["bill", "--month", "2026-09"]).out;
    assert!(said.contains("Agora is told only where it asks for the month again"), "{said}");
}

#[test]
fn what_later_bills_adjusted_stands_beside_what_was_told() {
    let vendor = told();
    // As of now, before October is over.
    let open = vendor.json(["bill", "--month", "2026-10"]);
    let carried = json!([{"month": "2026-09", "amount": "2"}]);
    assert_eq!((&open["over"], &row(&open, "a")["adjustments"]), (&json!(false), &carried));
    let vendor = told_twice();
    let bill = vendor.json(["bill", "--month", "2026-09"]);
    let by = |amount: &str| json!([{"month": "2026-10", "amount": amount}]);
    assert_eq!((&bill["adjustedBy"], &bill["due"]), (&by("1.75"), &json!("-1.75")));
    assert_eq!(row(&bill, "a")["adjustedBy"], by("2"));
    assert_eq!(row(&bill, "r")["adjustedBy"], by("-0.25"));
    assert_eq!(row(&bill, "r")["due"], "-1.75");
    let said = vendor.ok(["bill", "--month", "2026-09"]).out;
    let words = "told 23 on 2026-10-01 in statement 1; 1.75 more in 2026-10; 1.75 too much was \
        told: bills of later months carry it\n";
    assert!(said.starts_with(words), "{said}");
    let changed = "Changed since it was told:\n\
        PROJECT  TOLD  LATER BILLS    DUE\n\
        a          14         2      0\n\
        r           2        -0.25  -1.75\n";
    assert!(said.contains(changed), "{said}");
    let october = vendor.json(["bill", "--month", "2026-10"]);
    assert_eq!(row(&october, "a")["adjustments"], carried);
    assert_eq!((&october["told"]["amount"], &october["due"]), (&json!("3"), &json!("0")));
    vendor.ok(["check"]);
}

#[test]
fn a_bill_by_customer_is_the_same_bill() {
    let vendor = told_twice();
    let by = vendor.json(["bill", "--month", "2026-09", "--by", "customer"]);
    let row = |customer_id: Value, name: Value, projects: i64, amount: &str| {
        json!({
            "customerId": customer_id, "name": name, "projects": projects, "amount": amount,
        })
    };
    let wanted = json!([
        row(Value::Null, Value::Null, 1, "2"),
        row(json!("acme"), json!("Acme Ltd"), 2, "19"),
        row(json!("rich"), Value::Null, 1, "0.25"),
    ]);
    assert_eq!((&by["rows"], &by["total"]), (&wanted, &json!("21.25")));
    let said = vendor.ok(["bill", "--month", "2026-09", "--by", "customer"]).out;
    assert!(said.contains("acme      Acme Ltd         2   19\n"), "{said}");
    let csv = vendor.ok(["bill", "--month", "2026-09", "--by", "customer", "--csv"]).out;
    let wanted = "customerId,name,projects,amount,projectId,usage,covered,reason\n\
        ,,1,2,,,,\nacme,Acme Ltd,2,19,,,,\nrich,,1,0.25,,,,\n";
    assert_eq!(csv, wanted);

    let of = vendor.json(["bill", "--month", "2026-09", "--customer", "acme"]);
    assert_eq!((&of["total"], &of["told"]["amount"]), (&json!("19"), &json!("19")));
    assert_eq!(of["rows"].as_array().map(Vec::len), Some(2));
    let fails = vendor.fails(3, ["bill", "--month", "2026-09", "--customer", "acm"]);
    assert!(fails.contains("did you mean acme?"), "{fails}");
    // Whose a project is, is told of the month that is billed.
    vendor.ok(["project", "add", "b", "--customer", "rich", "--from", "2026-10", "--rewrite"]);
    let of = |month: &str| vendor.json(["bill", "--month", month, "--customer", "rich"]);
    assert_eq!(self::row(&of("2026-09"), "b"), Value::Null);
    assert_eq!(self::row(&of("2026-10"), "b")["customerId"], "rich");
}

#[test]
fn a_charge_that_adjustments_take_off_is_shown_with_them() {
    let vendor = told_twice();
    let bill = vendor.json(["bill", "--month", "2026-10"]);
    let r = row(&bill, "r");
    assert_eq!((&r["usage"], &r["amount"]), (&json!("1"), &Value::Null));
    assert_eq!(r["adjustments"], json!([{"month": "2026-09", "amount": "-0.25"}]));
    let said = vendor.ok(["bill", "--month", "2026-10"]).out;
    let (_, behind) = said.split_once("\n\nLeft out, since adjustments").expect("it says why");
    let lines: Vec<String> =
        behind.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let wanted = [
        "take the whole charge off:",
        "PROJECT CUSTOMER USAGE COVERED AMOUNT DESCRIPTION",
        "r rich 1 0 0",
        "0.25 1 Minute × Gold (0.25 each)",
        "-0.25 -0.25 carried from 2026-09",
    ];
    assert_eq!(lines, wanted);
    assert!(!said.contains("Without a charge"), "{said}");
    let page = vendor.ok(["report", "--month", "2026-10", "--out", "-"]).out;
    assert!(page.contains("free, covered by licenses, or taken off by adjustments"), "{page}");
}

#[test]
fn csv_of_a_bill_has_rows_for_what_is_left_out_of_it() {
    let vendor = told_twice();
    vendor.ok(["customer", "add", "u", "--plan", "missing", "--new"]);
    vendor.ok(["project", "add", "u", "--customer", "u"]);
    vendor.ok(["record", "u", "3", "--id", "u1", "--at", "2026-11-01"]);
    let rows = |month: &str, code: i32| -> Vec<[String; 5]> {
        let ended = vendor.run(["bill", "--month", month, "--csv"]);
        assert_eq!(ended.code, code, "{}", ended.err);
        let mut csv = csv::Reader::from_reader(ended.out.as_bytes());
        let names = csv.headers().expect("a header").clone();
        let place = |name: &str| names.iter().position(|one| one == name).expect("a column");
        let places = ["projectId", "amount", "usage", "adjustments", "reason"].map(place);
        csv.records()
            .map(|row| row.expect("a row"))
            .map(|row| places.map(|at| row[at].to_owned()))
            .collect()
    };
    let taken = r#"[{"amount":"-0.25","month":"2026-09"}]"#;
    let carried = r#"[{"amount":"2","month":"2026-09"}]"#;
    let wanted =
        [["a", "2", "0", carried, ""], ["b", "1", "1", "[]", ""], ["r", "0", "1", taken, ""]];
    assert_eq!(rows("2026-10", 0), wanted);
    // What has no price has no amount.
    let reason = "the plan missing is not set up";
    assert_eq!(rows("2026-11", 1), [["u", "", "3", "", reason]]);
}

#[test]
fn csv_of_a_bill_by_customer_has_rows_for_what_is_left_out_of_it() {
    let vendor = told_twice();
    vendor.ok(["customer", "add", "u", "--plan", "missing", "--new", "--name", "Unpriced"]);
    vendor.ok(["project", "add", "u", "--customer", "u"]);
    vendor.ok(["record", "u", "3", "--id", "u1", "--at", "2026-11-01"]);
    let csv = |month: &str| vendor.run(["bill", "--month", month, "--by", "customer", "--csv"]).out;
    let head = "customerId,name,projects,amount,projectId,usage,covered,reason\n";
    let wanted = "acme,Acme Ltd,2,3,,,,\nrich,,0,0,r,1,0,\n";
    assert_eq!(csv("2026-10"), format!("{head}{wanted}"));
    let wanted = "u,Unpriced,0,,u,3,0,the plan missing is not set up\n";
    assert_eq!(csv("2026-11"), format!("{head}{wanted}"));
}

#[test]
fn a_project_of_another_customer_is_refused() {
    let vendor = books();
    let bill = |project: &'static str, customer: &'static str| {
        ["bill", "--month", "2026-09", "--project", project, "--customer", customer]
    };
    let said = vendor.fails(3, bill("r", "acme"));
    let words = "project r is not customer acme's in 2026-09, but customer rich's: leave \
        --customer or --project out";
    assert!(said.contains(words), "{said}");
    let said = vendor.fails(3, bill("n", "acme"));
    assert!(said.contains("is not customer acme's in 2026-09, but nobody's"), "{said}");
    assert_eq!(vendor.json(bill("a", "acme"))["total"], "14");
    // By the month that is billed.
    vendor.ok(["project", "add", "r", "--customer", "acme", "--from", "2026-10"]);
    vendor.fails(3, bill("r", "acme"));
    vendor.ok(["bill", "--month", "2026-10", "--project", "r", "--customer", "acme"]);
}

/// Asks why a project's bill is what it is, and adds it up.
fn explained(vendor: &Vendor, month: &str, project: &str) -> Value {
    let command = ["bill", "--month", month, "--project", project, "--explain", "--json"];
    let bill: Value = serde_json::from_str(&vendor.run(command).out).expect("a document");
    let (explain, row) = (bill["explain"].clone(), row(&bill, project));
    if !row["lines"].is_null() {
        // What is left out is charged nothing.
        let nothing = json!("0");
        let charged = if row["amount"].is_null() { &nothing } else { &row["amount"] };
        assert_eq!((charged, amount(charged)), (&explain["amount"], sum(&row["lines"], "amount")));
    }
    assert_eq!(sum(&explain["parts"], "amount"), amount(&explain["amount"]), "{explain}");
    for part in explain["parts"].as_array().expect("parts") {
        let of = |key: &str| amount(&part[key]);
        match part["kind"].as_str() {
            Some("line") => assert_eq!(&of("quantity") * &of("price"), of("amount")),
            Some("earlierMonth") => {
                assert_eq!(&(&of("costs") - &of("told")) - &of("waits"), of("amount"));
            }
            Some("laterBill" | "waits") => {}
            kind => panic!("{kind:?}"),
        }
    }
    let usage = &explain["usage"];
    let of = |key: &str| amount(&usage[key]);
    assert_eq!(&of("recorded") - &of("voided"), of("amount"), "{usage}");
    assert_eq!(&of("covered") + &of("charged"), of("amount"), "{usage}");
    assert_eq!(sum(&explain["licenses"], "covered"), of("covered"), "{explain}");
    let list = vendor.json(["ledger", "list", "--project", project, "--month", month]);
    let records = list["rows"].as_array().expect("records");
    let voided = records.iter().filter(|record| !record["voided"].is_null());
    assert_eq!(usage["records"], records.len());
    assert_eq!(usage["voids"], voided.count());
    assert_eq!(sum(&list["rows"], "amount"), of("recorded"));
    for (end, record) in [("first", records.first()), ("last", records.last())] {
        for key in ["id", "at", "amount"] {
            assert_eq!(usage[end][key], record.map_or(&Value::Null, |record| &record[key]).clone());
        }
    }
    explain
}

#[test]
fn an_amount_is_explained_down_to_its_records() {
    let vendor = told_twice();
    // Several of one second, the last of them voided.
    vendor.ok(["record", "n", "7", "--id", "n2", "--at", "2026-09-06"]);
    vendor.ok(["record", "n", "1", "--id", "n3", "--at", "2026-09-06"]);
    vendor.ok(["void", "n3", "--reason", "twice"]);
    for month in ["2026-09", "2026-10", "2026-11"] {
        for project in ["a", "b", "n", "r"] {
            explained(&vendor, month, project);
        }
    }
    let a = explained(&vendor, "2026-09", "a");
    let tiers: Vec<&Value> =
        a["parts"].as_array().expect("parts").iter().map(|part| &part["tier"]).collect();
    assert_eq!(tiers, [&json!(1), &json!(2), &Value::Null]);
    assert_eq!(a["parts"][2]["month"], "2026-10");
    let covered = json!([
        {"licenseId": "other", "covered": "6"},
        {"licenseId": "small", "covered": "4"},
    ]);
    assert_eq!(a["licenses"], covered);
    assert_eq!(
        (&a["usage"]["first"]["id"], &a["usage"]["last"]["id"]),
        (&json!("a1"), &json!("late"))
    );
    assert_eq!(a["customer"]["customerId"], "acme");
    let r = explained(&vendor, "2026-10", "r");
    let carried = json!({
        "kind": "earlierMonth", "month": "2026-09", "costs": "0", "told": "2", "waits": "-1.75",
        "amount": "-0.25",
        "description":
            "carried from 2026-09: it costs 0 by now, and 2 was told; 1.75 is left for a later \
             bill",
    });
    assert_eq!(r["parts"][1], carried);
    assert_eq!(
        (&r["plan"]["planId"], &r["plan"]["named"]["planId"]),
        (&json!("gold"), &json!("gold"))
    );
    assert!(r["plan"]["named"]["by"].as_str().is_some_and(|by| by.starts_with("shell:")));

    let said = vendor.ok(["bill", "--month", "2026-09", "--project", "a", "--explain"]).out;
    for words in [
        "How 14 of a in 2026-09 comes about:",
        "    10  10 Minute × Standard (Tier 1 at 1)",
        "    -2  told by the bill of 2026-10",
        "recorded      35 in 4 records",
        "voided        3 in 1 record",
        "by license    small: 4",
        "last record   4 at 2026-09-30T12:00:00Z, id late",
        "Versions of the plan default:",
        "  2026-09   Standard",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let fails = vendor.fails(2, ["bill", "--month", "2026-09", "--explain"]);
    assert!(fails.contains("--project"), "{fails}");
}

#[test]
fn the_version_that_prices_a_month_is_named_with_who_set_it() {
    let vendor = told_twice();
    let price = ["plan", "set", "gold", "--price", "3", "--from", "2026-10", "--rewrite"];
    vendor.ok(price);
    let in_force = |month: &str| {
        let explain = explained(&vendor, month, "r");
        let versions = explain["plan"]["versions"].as_array().expect("versions").clone();
        assert_eq!(versions.len(), 2);
        let mut held = versions.into_iter().filter(|version| version["inForce"] == true);
        held.next().expect("a version")
    };
    assert_eq!(in_force("2026-09")["price"], "per-unit 0.25");
    let october = in_force("2026-10");
    assert_eq!((&october["price"], &october["from"]), (&json!("per-unit 3"), &json!("2026-10")));
    assert_eq!(october["at"], "2026-11-01T00:05:00Z");
    assert!(october["by"].as_str().is_some_and(|by| by.starts_with("shell:")), "{october}");
    // A plan that is not set up is named.
    vendor.ok(["customer", "add", "poor", "--plan", "missing", "--new"]);
    vendor.ok(["record", "q", "5", "--at", "2026-11-01", "--customer", "poor"]);
    let q = explained(&vendor, "2026-11", "q");
    assert_eq!((&q["plan"]["planId"], &q["amount"]), (&json!("missing"), &json!("0")));
    assert_eq!(q["plan"]["versions"], json!([]));
    let command = ["bill", "--month", "2026-11", "--project", "q", "--explain"];
    let said = vendor.run(command);
    assert!(said.code == 1 && said.out.contains("The plan missing is not set up."), "{}", said.out);
}

#[test]
fn lines_add_up_where_more_was_told_than_can_be_taken_off() {
    let vendor = Vendor::new();
    vendor.at("2026-08-01T08:00:00Z");
    vendor.ok(["setting", "set", "late", "carry"]);
    let price = ["--name", "Standard", "--unit", "Minute", "--price", "1"];
    vendor.ok(["plan", "set", "default"].into_iter().chain(price));
    vendor.at("2026-09-02T12:00:00Z");
    vendor.ok(["record", "p", "10", "--id", "p1", "--at", "2026-09-02"]);
    let server = vendor.serve();
    ask(&server, 7);
    vendor.at("2026-10-01T00:05:00Z");
    ask(&server, 8);
    vendor.ok(["record", "p", "5", "--id", "p2", "--at", "2026-09-03"]);
    vendor.at("2026-11-01T00:05:00Z");
    ask(&server, 9);
    vendor.ok(["void", "p1", "--reason", "wrong"]);
    vendor.ok(["void", "p2", "--reason", "wrong"]);
    // August has something to tell, and September's bill is the first to do so.
    vendor.ok(["record", "p", "3", "--id", "p3", "--at", "2026-08-03"]);
    let bill = vendor.json(["bill", "--month", "2026-09"]);
    assert_eq!(row(&bill, "p")["amount"], "3");
    let explain = explained(&vendor, "2026-09", "p");
    let kinds: Vec<&str> = explain["parts"]
        .as_array()
        .expect("parts")
        .iter()
        .map(|part| part["kind"].as_str().expect("a kind"))
        .collect();
    assert_eq!(kinds, ["laterBill", "waits", "earlierMonth"]);
    vendor.ok(["check"]);
}

/// What the statement of a month told of earlier months, of a project.
fn told_of_earlier(vendor: &Vendor, statement: &Value, project: &str) -> Amount {
    let shown = vendor.json(["statement", "show", &statement.to_string()]);
    let entries = shown["entries"].as_array().expect("entries");
    let entry = entries.iter().find(|entry| entry["projectId"] == project);
    let carries = entry.map(|entry| entry["carries"].clone()).unwrap_or_default();
    if carries.is_null() { Amount::default() } else { sum(&carries, "amount") }
}

/// Holds all that is shown of a project's month against the law: what was told of it by all bills,
/// and what is due, is what it costs. Tells whether later bills told some of it.
fn holds(vendor: &Vendor, month: &str, project: &str) -> bool {
    let explain = explained(vendor, month, project);
    let lines = explain["parts"].as_array().expect("parts").iter();
    let lines: Vec<Amount> =
        lines.filter(|part| part["kind"] == "line").map(|part| amount(&part["amount"])).collect();
    let costs: Amount = lines.iter().sum();
    let bill = vendor.json(["bill", "--month", month, "--project", project]);
    let row = row(&bill, project);
    if row.is_null() || row["due"].is_null() {
        return false;
    }
    let told = &row["told"];
    let own = if told.is_null() {
        Amount::default()
    } else {
        &amount(&told["amount"]) - &told_of_earlier(vendor, &told["statement"], project)
    };
    let all = &(&own + &sum(&row["adjustedBy"], "amount")) + &amount(&row["due"]);
    assert_eq!(all, costs, "{month} {project}: {row} {explain}");
    row["adjustedBy"] != json!([])
}

/// A history of months of two projects, at random.
struct History {
    vendor: Vendor,
    server: Server,
    state: u64,
    /// Records that are not voided.
    written: Vec<String>,
}

impl History {
    fn new(seed: u64) -> Self {
        let vendor = Vendor::new();
        vendor.at("2026-01-01T08:00:00Z");
        vendor.ok(["setting", "set", "late", "carry"]);
        let price = ["--flat", "2", "--graduated", "5:1,rest:0.25", "--free", "1"];
        let named = ["--name", "Standard", "--unit", "Minute"];
        vendor.ok(["plan", "set", "default"].into_iter().chain(named).chain(price));
        vendor.ok(["project", "add", "p", "--customer", "c"]);
        vendor.ok(["record", "q", "1", "--id", "first", "--at", "2026-01-01"]);
        vendor.ok(["license", "issue", "c", "--expires", "2026-12-31", "--count", "9"]);
        let server = vendor.serve();
        Self { vendor, server, state: seed, written: Vec::new() }
    }

    /// A number below another.
    fn random(&mut self, below: usize) -> usize {
        // A linear congruence: its upper bits are random enough.
        let next = self.state.wrapping_mul(6_364_136_223_846_793_005);
        self.state = next.wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.state >> 33).expect("31 bits") % below
    }

    /// Does something about one of the months up to this one, counted from January.
    fn step(&mut self, number: usize, now: usize) {
        self.vendor.at(&format!("2026-{:02}-02T00:05:00Z", now + 2));
        let month = self.random(now + 1);
        let name = format!("2026-{:02}", month + 1);
        match self.random(12) {
            0..=3 => {
                let (project, used) = (["p", "q"][self.random(2)], self.random(9));
                let (id, used) = (format!("r{number}"), format!("{used}.5"));
                let at = format!("{name}-10");
                self.vendor.ok(["record", project, &used, "--id", &id, "--at", &at]);
                self.written.push(id);
            }
            4 if !self.written.is_empty() => {
                let place = self.random(self.written.len());
                let id = self.written.swap_remove(place);
                self.vendor.ok(["void", &id, "--reason", "wrong"]);
            }
            5 => {
                let late = ["carry", "carry", "report"][self.random(3)];
                self.vendor.ok(["setting", "set", "late", late]);
            }
            6 => {
                let price = format!("0.{}", self.random(9) + 1);
                let set = ["plan", "set", "default", "--price", &price, "--rewrite", "--from"];
                self.vendor.ok(set.into_iter().chain([name.as_str()]));
            }
            _ => ask(&self.server, month),
        }
    }
}

#[test]
fn what_is_shown_holds_through_histories_of_all_kinds() {
    let mut adjusted = 0;
    for seed in [1, 7, 11, 23] {
        let mut history = History::new(seed);
        for number in 0..28 {
            let now = number / 7;
            history.step(number, now);
            if number % 7 == 6 {
                for month in 1..=now + 1 {
                    for project in ["p", "q"] {
                        let month = format!("2026-{month:02}");
                        adjusted += usize::from(holds(&history.vendor, &month, project));
                    }
                }
            }
        }
        history.vendor.ok(["check"]);
    }
    assert!(adjusted > 5, "only {adjusted} months were adjusted: the histories show too little");
}

#[test]
fn a_bill_of_a_month_that_was_not_over_is_told_as_such() {
    let vendor = books();
    vendor.at("2026-09-07T00:05:00Z");
    ask(&vendor.serve(), 8);
    vendor.ok(["record", "n", "1", "--at", "2026-09-06"]);
    vendor.at("2026-10-01T00:05:00Z");
    let bill = vendor.ok(["bill", "--month", "2026-09"]).out;
    assert!(bill.contains("on 2026-09-07, before the month was over, in statement 1"), "{bill}");
    let late = vendor.ok(["statement", "late"]).out;
    let words = "No bill is kept that was asked for after the end of 2026-09: ";
    assert!(late.contains(words), "{late}");
}

#[test]
fn a_project_of_which_all_waits_and_that_used_nothing_is_on_no_bill() {
    let vendor = books();
    vendor.at("2026-10-01T00:05:00Z");
    let server = vendor.serve();
    ask(&server, 8);
    // Of September 2 too much was told of r, which costs nothing in October.
    vendor.ok(["void", "r1", "--reason", "it was a test"]);
    vendor.ok(["record", "b", "1", "--id", "b2", "--at", "2026-10-01"]);
    let october = |key: &str| vendor.json(["bill", "--month", "2026-10"])[key].clone();
    assert_eq!((october("uncharged"), october("total")), (json!([]), json!("1")));
    let explained = vendor.ok(["bill", "--month", "2026-10", "--project", "r", "--explain"]).out;
    assert!(explained.contains("How 0 of r in 2026-10 comes about"), "{explained}");
    vendor.at("2026-11-01T00:05:00Z");
    ask(&server, 9);
    assert_eq!(october("uncharged"), json!([]));
    let kept = vendor.json(["statement", "show", "2"])["entries"].clone();
    let projects: Vec<&Value> =
        kept.as_array().expect("entries").iter().map(|entry| &entry["projectId"]).collect();
    assert_eq!(projects, ["b"]);
    // It waits all the same.
    vendor.ok(["record", "r", "9", "--id", "r2", "--at", "2026-11-01"]);
    let november = vendor.json(["bill", "--month", "2026-11"]);
    assert_eq!(
        row(&november, "r")["description"],
        "9 Minute × Gold (0.25 each) + -2 carried from 2026-09"
    );
    assert_eq!(vendor.json(["check"])["differences"], json!([]));
}
