//! `totals` by several things and beside another month, and `--csv` of the verbs that list.

use crate::vendor::{API_KEY, API_SECRET, Vendor, second, signed};
use serde_json::{Value, json};

/// Two months of three projects: `p` went from `a` to `b`, `q` is `a`'s, `n` nobody's.
fn books() -> Vendor {
    let vendor = Vendor::new();
    vendor.at("2026-11-20T09:00:00Z");
    let plan = ["--name", "Standard", "--unit", "Minute", "--price", "2"];
    vendor.ok(["plan", "set", "default"].into_iter().chain(plan));
    for (project, customer) in [("p", "a"), ("q", "a")] {
        vendor.ok(["project", "add", project, "--customer", customer]);
    }
    vendor.ok(["record", "p", "3", "--id", "p10", "--at", "2026-10-05"]);
    vendor.ok(["project", "add", "p", "--customer", "b", "--from", "2026-11", "--rewrite"]);
    for (project, amount, at) in [
        ("q", "10", "2026-10-06"),
        ("q", "7.5", "2026-11-05"),
        ("p", "4", "2026-11-05"),
        ("p", "1", "2026-11-07"),
        ("n", "0.25", "2026-11-07"),
    ] {
        vendor.ok(["record", project, amount, "--at", at]);
    }
    vendor
}

fn rows(totals: &Value) -> Vec<String> {
    let rows = totals["rows"].as_array().expect("rows").iter();
    rows.map(|row| row.to_string().replace(['"', '{', '}'], "")).collect()
}

#[test]
fn totals_are_told_by_several_things_at_once() {
    let vendor = books();
    let both = ["--from", "2026-10-01", "--to", "2026-11-30"];
    let totals = |by: &str| vendor.json(["totals", "--by", by].into_iter().chain(both));
    let by = totals("customer,month");
    assert_eq!((&by["by"], &by["total"]), (&json!("customer,month"), &json!("25.75")));
    let wanted = [
        "amount:0.25,customerId:null,month:2026-11,records:1",
        "amount:13,customerId:a,month:2026-10,records:2",
        "amount:7.5,customerId:a,month:2026-11,records:1",
        "amount:5,customerId:b,month:2026-11,records:2",
    ];
    assert_eq!(rows(&by), wanted);
    let by = totals("project,customer");
    let wanted = [
        "amount:0.25,customerId:null,projectId:n,records:1",
        "amount:3,customerId:a,projectId:p,records:1",
        "amount:5,customerId:b,projectId:p,records:2",
        "amount:17.5,customerId:a,projectId:q,records:2",
    ];
    assert_eq!(rows(&by), wanted);
    assert_eq!(rows(&totals("day,project")).len(), 6);
    // The keys stand in the order in which they were asked for.
    let said = vendor.ok(["totals", "--by", "month,customer", "--json"]).out;
    assert!(said.contains(r#"{"month":"2026-11","customerId":"b","amount":"5""#), "{said}");
    let fails = vendor.fails(2, ["totals", "--by", "day,day"]);
    assert!(fails.contains("the same twice"), "{fails}");
}

#[test]
fn a_month_is_compared_with_another() {
    let vendor = books();
    let compared = vendor.json(["totals", "--month", "2026-11", "--compare", "2026-10"]);
    let row = |project: &str, amount: &str, records: i64, more: [Value; 3]| {
        let [before, difference, percent] = more;
        json!({
            "projectId": project, "amount": amount, "records": records,
            "before": before, "difference": difference, "percent": percent,
        })
    };
    let wanted = json!([
        row("n", "0.25", 1, [json!("0"), json!("0.25"), json!(null)]),
        row("p", "5", 2, [json!("3"), json!("2"), json!("66.67")]),
        row("q", "7.5", 1, [json!("10"), json!("-2.5"), json!("-25")]),
    ]);
    assert_eq!(compared["rows"], wanted);
    assert_eq!(
        [&compared["compare"], &compared["before"], &compared["difference"], &compared["percent"]],
        [&json!("2026-10"), &json!("13"), &json!("-0.25"), &json!("-1.92")]
    );
    // What was used then alone is a row too.
    let back = vendor.json(["totals", "--month", "2026-10", "--compare", "2026-11"]);
    assert_eq!(back["rows"][0], row("n", "0", 0, [json!("0.25"), json!("-0.25"), json!("-100")]));
    let said = vendor.ok(["totals", "--month", "2026-11", "--compare", "2026-10"]).out;
    assert!(said.contains("compared with 2026-10") && said.contains("66.67"), "{said}");
    let by_day = ["totals", "--month", "2026-11", "--compare", "2026-10", "--by", "day"];
    assert!(vendor.fails(2, by_day).contains("no days in common"));
    vendor.fails(2, ["totals", "--day", "2026-11-05", "--compare", "2026-10"]);
}

/// Each row of CSV says what the row of JSON does, under the key that it has there.
fn agree(vendor: &Vendor, arguments: &[&str], rows: impl Fn(&Value) -> Value) -> usize {
    let csv = vendor.run(arguments.iter().chain(&["--csv"])).out;
    let json = vendor.run(arguments.iter().chain(&["--json"])).out;
    let json: Value = serde_json::from_str(&json).expect("a document");
    let json = rows(&json);
    let json = json.as_array().expect("rows");
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let keys = reader.headers().expect("a header").clone();
    let mut read = 0;
    for (row, json) in reader.records().zip(json) {
        let row = row.expect("a row");
        read += 1;
        for (key, cell) in keys.iter().zip(&row) {
            let value = key.split('.').fold(json, |value, part| &value[part]);
            let text = match value {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                    value.to_string()
                }
            };
            assert_eq!(cell, text, "{arguments:?}: {key}");
        }
        // Nothing of the row is left out.
        for (name, value) in json.as_object().expect("an object") {
            let is_told = keys.iter().any(|key| key.split('.').next() == Some(name.as_str()));
            assert!(is_told, "{arguments:?}: {name}: {value}");
        }
    }
    assert_eq!(read, json.len(), "{arguments:?}: {csv}");
    read
}

#[test]
fn csv_says_what_json_does_of_every_verb_that_lists() {
    let vendor = books();
    vendor.ok(["license", "issue", "a", "--expires", "2030-12-31", "--count", "5", "--id", "l1"]);
    vendor.ok(["license", "issue", "a", "--expires", "2026-12-31", "--unlimited", "--id", "l2"]);
    vendor.ok(["license", "revoke", "l1", "--reason", "an \"old\" one, sold twice"]);
    let rows = |document: &Value| document["rows"].clone();
    let totals = ["totals", "--month", "2026-11", "--by", "customer,day"];
    assert_eq!(agree(&vendor, &totals, rows), 4);
    let compared = ["totals", "--month", "2026-11", "--compare", "2026-10"];
    assert_eq!(agree(&vendor, &compared, rows), 3);
    assert_eq!(agree(&vendor, &["bill", "--month", "2026-11"], rows), 3);
    assert_eq!(agree(&vendor, &["bill", "--month", "2026-11", "--by", "customer"], rows), 3);
    assert_eq!(agree(&vendor, &["license", "list"], Value::clone), 2);
    assert_eq!(agree(&vendor, &["ledger", "list"], rows), 6);

    vendor.at("2026-12-02T00:00:00Z");
    let server = vendor.serve();
    let (from, to) = (second("2026-11-01T00:00:00Z"), second("2026-12-01T00:00:00Z") - 1);
    let (from, to) = (from.to_string(), to.to_string());
    let fields = [("fromTs", &*from), ("toTs", &to), ("pageNum", "1")];
    assert_eq!(server.get(&signed(API_KEY, API_SECRET, "/bill", &fields)).status, 200);
    drop(server);
    vendor.ok(["record", "n", "4", "--at", "2026-11-30"]);
    let statements = |document: &Value| document["statements"].clone();
    assert_eq!(agree(&vendor, &["statement", "list"], statements), 1);
    assert_eq!(agree(&vendor, &["statement", "late"], rows), 1);
    assert_eq!(agree(&vendor, &["bill", "--month", "2026-11"], rows), 3);
    let late = vendor.json(["statement", "late"]);
    assert_eq!(late["rows"][0]["due"], "8");
}

#[test]
fn a_price_that_is_rewritten_is_late_in_money_alone() {
    let vendor = books();
    vendor.at("2026-12-02T00:00:00Z");
    let server = vendor.serve();
    let (from, to) = (second("2026-11-01T00:00:00Z"), second("2026-12-01T00:00:00Z") - 1);
    let (from, to) = (from.to_string(), to.to_string());
    let fields = [("fromTs", &*from), ("toTs", &to), ("pageNum", "1")];
    assert_eq!(server.get(&signed(API_KEY, API_SECRET, "/bill", &fields)).status, 200);
    drop(server);
    assert_eq!(vendor.json(["statement", "late"])["rows"], json!([]));
    let price = ["plan", "set", "default", "--price", "3", "--from", "2026-11", "--rewrite"];
    vendor.ok(price);
    let late = vendor.json(["statement", "late"]);
    let row = |project: &str, due: &str| {
        json!({
            "month": "2026-11", "projectId": project, "usage": null, "bill": null, "due": due,
        })
    };
    assert_eq!(late["rows"], json!([row("n", "0.25"), row("p", "5"), row("q", "7.5")]));
    let said = vendor.ok(["statement", "late"]).out;
    assert!(said.contains("DUE") && said.contains("7.5"), "{said}");
}
