//! Records, voids and totals at the shell.

use crate::vendor::{Vendor, day, days_from_now};
use serde_json::json;

#[test]
fn a_tenth_and_two_tenths_are_three_tenths_everywhere() {
    let vendor = Vendor::new();
    vendor.ok(["plan", "set", "default", "--name", "Standard", "--unit", "Minute", "--price", "1"]);
    vendor.ok(["record", "p", "0.1", "--at", "2026-10-10"]);
    vendor.ok(["record", "p", "0.2", "--at", "2026-10-10"]);
    assert_eq!(vendor.total(), "0.3");
    let (from, to) = day("2026-10-10");
    let server = vendor.serve();
    for path in ["/usage", "/bill"] {
        assert_eq!(
            server.listing(path, from, to, 1).entries(),
            [("p".to_owned(), "0.3".to_owned())]
        );
    }
    assert_eq!(vendor.json(["bill", "--month", "2026-10"])["total"], "0.3");
}

#[test]
fn a_long_amount_comes_back_whole() {
    let whole = "12345678901234567890.123456789";
    let vendor = Vendor::new();
    vendor.ok(["plan", "set", "default", "--name", "Standard", "--unit", "Minute", "--price", "1"]);
    let recorded = vendor.json(["record", "p", whole, "--at", "2026-10-10"]);
    assert_eq!(recorded["amount"], whole);
    let totals = vendor.json(["totals", "--month", "2026-10"]);
    assert_eq!((&totals["rows"][0]["amount"], &totals["total"]), (&json!(whole), &json!(whole)));
    let bill = vendor.json(["bill", "--month", "2026-10"]);
    assert_eq!(bill["rows"][0]["lines"][0]["quantity"], whole);
    let (from, to) = day("2026-10-10");
    let server = vendor.serve();
    for path in ["/usage", "/bill"] {
        let answer = server.listing(path, from, to, 1);
        assert_eq!(answer.entries(), [("p".to_owned(), whole.to_owned())]);
        assert!(answer.body.contains(&format!("{whole} Minute × Standard")), "{}", answer.body);
    }
}

#[test]
fn a_record_is_shown_as_it_stands() {
    let vendor = Vendor::new();
    let recorded =
        vendor.json(["record", "p", "1.50", "--at", "2026-10-10T12:00:00+02:00", "--id", "r"]);
    assert_eq!(
        recorded,
        json!({
            "id": "r", "projectId": "p", "amount": "1.5", "at": "2026-10-10T10:00:00Z",
            "duplicate": false
        })
    );
    let noon = vendor.json(["record", "p", "1", "--at", "2026-10-10"]);
    assert_eq!(noon["at"], "2026-10-10T12:00:00Z");
    assert_ne!(noon["id"], vendor.json(["record", "p", "1", "--at", "2026-10-10"])["id"]);
    assert_eq!(
        vendor.json(["record", "p", "1", "--at", "1791626400"])["at"],
        "2026-10-10T10:00:00Z"
    );
}

#[test]
fn today_before_noon_is_now_and_in_the_afternoon_the_same_record() {
    let vendor = Vendor::new();
    let record = ["record", "p", "1", "--id", "r", "--at", "2026-11-26"];
    let rows = vendor.path("rows.csv");
    let text = "id,projectId,amount,at\nr,p,1,2026-11-26\ns,p,1,2026-11-26\n";
    std::fs::write(&rows, text).expect("written");
    let import = ["import", rows.to_str().expect("a path")];

    let first = vendor.at("2026-11-26T08:00:00Z").json(record);
    assert_eq!(first["at"], "2026-11-26T08:00:00Z");
    assert_eq!(vendor.json(import)["recorded"], 1);
    for later in ["2026-11-26T15:00:00Z", "2026-11-27T09:00:00Z"] {
        let again = vendor.at(later).json(record);
        assert_eq!((&again["duplicate"], &again["at"]), (&json!(true), &first["at"]));
        assert_eq!(vendor.json(import)["recorded"], 0);
        let other = ["record", "p", "1", "--id", "r", "--at", "2026-11-25"];
        let said = vendor.fails(4, other);
        assert!(said.contains("stands for another record"), "{said}");
    }
    assert_eq!(vendor.total(), "2");
}

#[test]
fn the_same_id_twice_counts_once() {
    let vendor = Vendor::new();
    let first = vendor.json(["record", "p", "1.5", "--id", "r"]);
    // As if the second came later: what is recorded now was recorded a day ago.
    let earlier = first["at"].clone();
    let again = vendor.json(["record", "p", "1.50", "--id", "r"]);
    assert_eq!((&again["duplicate"], &again["at"]), (&json!(true), &earlier));
    assert_eq!(vendor.total(), "1.5");

    vendor.ok(["record", "p", "2", "--id", "dated", "--at", "2026-10-10"]);
    let undated = vendor.json(["record", "p", "2", "--id", "dated"]);
    assert_eq!(
        (&undated["duplicate"], &undated["at"]),
        (&json!(true), &json!("2026-10-10T12:00:00Z"))
    );
    assert_eq!(vendor.total(), "3.5");
}

#[test]
fn the_same_id_with_other_content_is_a_conflict_that_shows_what_stands() {
    let vendor = Vendor::new();
    vendor.ok(["record", "p", "1.5", "--id", "r", "--at", "2026-10-10", "--customer", "c"]);
    for other in [
        ["record", "p", "1.6", "--id", "r", "--at", "2026-10-10"],
        ["record", "q", "1.5", "--id", "r", "--at", "2026-10-10"],
        ["record", "p", "1.5", "--id", "r", "--at", "2026-10-11"],
        ["record", "p", "1.5", "--id", "r", "--customer", "d"],
    ] {
        let said = vendor.fails(4, other);
        assert!(
            said.contains("1.5 for project p at 2026-10-10T12:00:00Z")
                && said.contains("customer c"),
            "{said}"
        );
    }
    assert_eq!(vendor.total(), "1.5");
    assert_eq!(vendor.fails(3, ["project", "show", "q"]).lines().count(), 1);
    assert_eq!(vendor.fails(3, ["customer", "show", "d"]).lines().count(), 1);
}

#[test]
fn a_project_is_bound_to_the_first_customer_told_and_no_other() {
    let vendor = Vendor::new();
    let said = vendor.ok(["record", "p", "1"]).err;
    assert!(said.contains("project p was not known and is registered"), "{said}");
    let said = vendor.ok(["record", "p", "1", "--customer", "c"]).err;
    assert!(
        said.contains("customer c was not known") && said.contains("project p had no customer"),
        "{said}"
    );
    assert_eq!(vendor.ok(["record", "p", "1", "--customer", "c"]).err, "");
    let said = vendor.fails(4, ["record", "p", "1", "--customer", "d"]);
    assert!(said.contains("customer c's"), "{said}");
    assert_eq!(vendor.total(), "3");
}

#[test]
fn a_void_takes_a_record_out_of_every_window_and_spends_its_id() {
    let vendor = Vendor::new();
    vendor.ok(["record", "p", "1.5", "--id", "r", "--at", "2026-10-10"]);
    vendor.ok(["record", "p", "2", "--id", "s", "--at", "2026-10-10"]);
    assert_eq!(vendor.fails(3, ["void", "nope", "--reason", "x"]).lines().count(), 1);
    let voided = vendor.json(["void", "r", "--reason", "typo"]);
    assert_eq!(
        (&voided["amount"], &voided["duplicate"], &voided["reason"]),
        (&json!("1.5"), &json!(false), &json!("typo"))
    );
    let again = vendor.json(["void", "r", "--reason", "other"]);
    assert_eq!((&again["duplicate"], &again["reason"]), (&json!(true), &json!("typo")));
    let said = vendor.ok(["record", "p", "1.5", "--id", "r", "--at", "2026-10-10"]);
    assert!(
        said.out.contains("already recorded") && said.err.contains("stays spent"),
        "{}{}",
        said.out,
        said.err
    );
    vendor.fails(4, ["record", "p", "1.6", "--id", "r", "--at", "2026-10-10"]);
    for window in [["--day", "2026-10-10"], ["--month", "2026-10"]] {
        let totals = vendor.json([&["totals"], &window[..]].concat());
        assert_eq!((&totals["total"], &totals["rows"][0]["records"]), (&json!("2"), &json!(1)));
    }
    vendor.ok(["check"]);
}

#[test]
fn what_is_not_an_amount_above_zero_is_refused() {
    let vendor = Vendor::new();
    for (amount, reason) in [
        ("0", "above zero"),
        ("0.000", "above zero"),
        ("-1", "must not be negative"),
        ("-0.5", "must not be negative"),
        ("-.5", "plain decimal"),
        ("-1,5", "plain decimal"),
        ("-x", "plain decimal"),
        ("1e3", "plain decimal"),
        ("NaN", "plain decimal"),
        ("+1", "plain decimal"),
        ("1,5", "plain decimal"),
        ("", "plain decimal"),
        ("1.0000000000000000001", "18 digits after the point"),
        ("123456789012345678901234567890123456789", "38 significant digits"),
    ] {
        let said = vendor.fails(2, ["record", "p", amount]);
        assert!(said.contains(reason) && said.lines().count() == 1, "{amount}: {said}");
        assert!(said.contains(amount.trim_end_matches(".000")), "{amount}: {said}");
    }
    assert_eq!(vendor.json(["project", "list"]), json!([]));
    assert_eq!(vendor.total(), "0");
}

#[test]
fn usage_that_has_not_happened_is_refused() {
    let vendor = Vendor::new();
    let in_seconds = |ahead: i64| (jiff::Timestamp::now().as_second() + ahead).to_string();
    let said = vendor.fails(1, ["record", "p", "1", "--at", &in_seconds(330)]);
    assert!(said.contains("5 minutes ahead"), "{said}");
    vendor.fails(1, ["record", "p", "1", "--at", &days_from_now(2)]);
    assert_eq!(vendor.json(["project", "list"]), json!([]));
    vendor.ok(["record", "p", "1", "--at", &in_seconds(270)]);
}

#[test]
fn totals_are_told_by_project_customer_day_and_month() {
    let vendor = Vendor::new();
    for (project, amount, at, customer) in [
        ("a", "1", "2026-09-30T23:59:59Z", Some("x")),
        ("a", "2", "2026-10-01T00:00:00Z", Some("x")),
        ("b", "4", "2026-10-31T23:59:59Z", Some("x")),
        ("c", "8", "2026-10-31T12:00:00Z", None),
    ] {
        let mut arguments = vec!["record", project, amount, "--at", at];
        arguments.extend(customer.into_iter().flat_map(|customer| ["--customer", customer]));
        vendor.ok(arguments);
    }
    let rows = |arguments: &[&str]| vendor.json([&["totals"], arguments].concat())["rows"].clone();
    let october = ["--month", "2026-10"];
    assert_eq!(
        rows(&october),
        json!([
            {"projectId": "a", "amount": "2", "records": 1},
            {"projectId": "b", "amount": "4", "records": 1},
            {"projectId": "c", "amount": "8", "records": 1},
        ])
    );
    assert_eq!(
        rows(&[&october[..], &["--by", "customer"]].concat()),
        json!([
            {"customerId": null, "amount": "8", "records": 1},
            {"customerId": "x", "amount": "6", "records": 2}
        ])
    );
    let all = ["--from", "2026-09-30T12:00:00Z", "--to", "2026-10-31"];
    assert_eq!(
        rows(&[&all[..], &["--by", "day"]].concat()),
        json!([
            {"day": "2026-09-30", "amount": "1", "records": 1},
            {"day": "2026-10-01", "amount": "2", "records": 1},
            {"day": "2026-10-31", "amount": "12", "records": 2},
        ])
    );
    assert_eq!(
        rows(&[&all[..], &["--by", "month", "--customer", "x"]].concat()),
        json!([
            {"month": "2026-09", "amount": "1", "records": 1},
            {"month": "2026-10", "amount": "6", "records": 2}
        ])
    );
    assert_eq!(
        rows(&["--day", "2026-10-31", "--project", "b"]),
        json!([{"projectId": "b", "amount": "4", "records": 1}])
    );
    vendor.fails(3, ["totals", "--project", "nope"]);
    vendor.fails(3, ["totals", "--customer", "nope"]);
    vendor.fails(2, ["totals", "--from", "2026-10-02", "--to", "2026-10-01"]);
    vendor.fails(2, ["totals", "--from", "2026-10-02"]);
    let people = vendor.ok(["totals", "--month", "2026-10"]).out;
    assert_eq!(
        people,
        "2026-10-01T00:00:00Z to 2026-10-31T23:59:59Z\n\
         PROJECT  AMOUNT  RECORDS\n\
         a             2        1\n\
         b             4        1\n\
         c             8        1\n\
         \n\
         total        14        3\n"
    );
}

#[test]
fn a_project_without_a_price_is_left_out_of_the_bill_and_pointed_out() {
    let vendor = Vendor::new();
    vendor.ok([
        "plan", "set", "default", "--name", "Standard", "--unit", "Minute", "--price", "0.01",
    ]);
    vendor.ok(["customer", "add", "rich", "--plan", "gold", "--new"]);
    vendor.ok(["record", "a", "100", "--at", "2026-10-10"]);
    vendor.ok(["record", "b", "7", "--at", "2026-10-10", "--customer", "rich"]);
    let ended = vendor.run(["bill", "--month", "2026-10", "--json"]);
    assert_eq!(ended.code, 1);
    let bill: serde_json::Value = serde_json::from_str(&ended.out).expect("JSON");
    assert_eq!(
        bill,
        json!({
            "month": "2026-10",
            "over": true,
            "rows": [{
                "projectId": "a",
                "customerId": null,
                "amount": "1",
                "description": "100 Minute × Standard (0.01 each)",
                "usage": "100",
                "covered": "0",
                "lines": [{
                    "quantity": "100",
                    "price": "0.01",
                    "amount": "1",
                    "description": "100 Minute × Standard (0.01 each)",
                }],
                "adjustments": [],
                "adjustedBy": [],
                "told": null,
                "due": null,
            }],
            "uncharged": [],
            "unpriced": [{
                "projectId": "b",
                "customerId": "rich",
                "amount": "7",
                "usage": "7",
                "covered": "0",
                "planId": "gold",
                "reason": "the plan gold is not set up",
                "adjustedBy": [],
                "told": null,
                "due": null,
            }],
            "total": "1",
            "adjustedBy": [],
            "told": null,
            "due": null,
        })
    );
    let (from, to) = day("2026-10-10");
    let server = vendor.serve();
    for asked in 1..=2 {
        let bill = server.listing("/bill", from, to, 1);
        assert_eq!(bill.entries(), [("a".to_owned(), "1".to_owned())]);
        assert_eq!(bill.json()["data"]["totalSize"], 2);
        let lines = server
            .log()
            .lines()
            .filter(|l| l.contains("WARN") && l.contains("project b with 7"))
            .count();
        assert_eq!(lines, asked, "a warning is logged at each bill");
    }
    let usage = server.usage(from, to);
    assert_eq!(usage.json()["data"]["data"][0]["description"], "100 Minute × Standard");
    assert_eq!(usage.json()["data"]["data"][1]["description"], "7 Minute");
    vendor.ok(["setting", "set", "unit", "Call"]);
    assert_eq!(server.usage(from, to).json()["data"]["data"][1]["description"], "7 Call");
    vendor.ok(["plan", "set", "gold", "--name", "Gold", "--unit", "Minute", "--price", "2"]);
    assert_eq!(vendor.json(["bill", "--month", "2026-10"])["total"], "15");
    assert_eq!(server.listing("/bill", from, to, 1).entries().len(), 2);
}

#[test]
fn a_time_may_have_a_space_and_never_a_sixtieth_second() {
    let vendor = Vendor::new();
    let at = |text: &str| vendor.json(["record", "p", "1", "--at", text])["at"].clone();
    for text in ["2026-11-23 10:00:00Z", "2026-11-23T11:00:00+01:00", "2026-11-23 11:00:00+01:00"] {
        assert_eq!(at(text), "2026-11-23T10:00:00Z", "{text}");
    }
    for text in ["2026-11-23T10:00:60Z", "2016-12-31 23:59:60Z", "2026-11-23T10:00:60+01:00"] {
        for arguments in [&["record", "p", "1", "--at"][..], &["totals", "--to"]] {
            let said = vendor.fails(2, [arguments, &[text]].concat());
            let reason = format!("is \"{text}\": a minute has the seconds 00 to 59");
            assert!(said.contains(&reason), "{said}");
        }
    }
    std::fs::write(
        vendor.path("rows.csv"),
        "id,projectId,amount,at\na,p,1,2026-11-23 10:00:00Z\nb,p,1,2026-11-23T10:00:60Z\n",
    )
    .expect("a file");
    assert!(vendor.fails(1, ["import", "rows.csv"]).contains("the seconds 00 to 59"));
    assert_eq!(vendor.total(), "4");
}
