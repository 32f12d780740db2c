//! Price plans at the shell and over the socket: every model, by date, month by month.

use crate::vendor::{Server, Vendor, days_from_now, next_month, second, this_month};
use agora_vendor::billing::event::{Actor, Stamp};
use agora_vendor::billing::plan::Plan;
use agora_vendor::store::customer::Announcement;
use agora_vendor::store::{self, Store};
use serde_json::{Value, json};

/// The entries of a page of bills: project, amount as it stands in the text, description.
fn bill(server: &Server, from: &str, to: &str) -> Vec<(String, String, String)> {
    let answer = server.listing("/bill", second(from), second(to), 1);
    let entries = answer.entries();
    let data = answer.json()["data"]["data"].clone();
    let described =
        data.as_array().expect("entries").iter().map(|entry| entry["description"].clone());
    let with_words = entries.into_iter().zip(described);
    with_words
        .map(|((project, amount), words)| {
            (project, amount, words.as_str().expect("a text").to_owned())
        })
        .collect()
}

fn october(server: &Server) -> Vec<(String, String, String)> {
    bill(server, "2026-10-01T00:00:00Z", "2026-10-31T23:59:59Z")
}

fn set(vendor: &Vendor, id: &str, price: &[&str]) {
    let named = ["plan", "set", id, "--name", "Standard", "--unit", "Minute"];
    vendor.ok(named.iter().chain(price));
}

const PRO: &str = r#"{
    "name": "Pro",
    "unit": "Minute",
    "parts": [
        {"flat": 10},
        {"graduated": [
            {"upTo": 1000, "price": 0.01}, {"upTo": "10000", "price": "0.008"}, {"price": "0.005"}
        ]}
    ],
    "free": 100,
    "minimum": "20"
}"#;

#[test]
fn a_plan_from_a_file_prices_the_bill_at_the_shell_and_over_the_socket_alike() {
    let vendor = Vendor::new();
    std::fs::write(vendor.path("pro.json"), PRO).expect("a file");
    vendor.ok(["plan", "set", "pro", "--file", "pro.json"]);
    vendor.ok(["customer", "add", "c", "--plan", "pro"]);
    vendor.ok(["record", "big", "12600.5", "--at", "2026-10-10", "--customer", "c"]);
    vendor.ok(["record", "small", "150", "--at", "2026-10-10", "--customer", "c"]);
    vendor.ok(["record", "free", "99.5", "--at", "2026-10-10", "--customer", "c"]);
    let told = october(&vendor.serve());
    assert_eq!(
        told.iter()
            .map(|(project, amount, words)| (project.as_str(), amount.as_str(), words.as_str()))
            .collect::<Vec<_>>(),
        [
            // 100 are free. 10 + 1,000 × 0.01 + 9,000 × 0.008 + 2,500.5 × 0.005
            (
                "big",
                "104.5025",
                "100 Minute × Pro (free) + Pro (flat fee 10) + 1000 Minute × Pro (Tier 1 at 0.01) \
                 + 9000 Minute × Pro (Tier 2 at 0.008) + 2500.5 Minute × Pro (Tier 3 at 0.005)"
            ),
            // Nothing but the fee, and 10 more up to the minimum.
            (
                "free",
                "20",
                "99.5 Minute × Pro (free) + Pro (flat fee 10) + Pro (10 up to the minimum of 20)"
            ),
            // 10 + 50 × 0.01, and 9.5 more.
            (
                "small",
                "20",
                "100 Minute × Pro (free) + Pro (flat fee 10) + 50 Minute × Pro (Tier 1 at 0.01) + \
                 Pro (9.5 up to the minimum of 20)"
            ),
        ]
    );
    let shown = vendor.json(["bill", "--month", "2026-10"]);
    assert_eq!(shown["total"], "144.5025");
    for ((project, amount, words), row) in told.iter().zip(shown["rows"].as_array().expect("rows"))
    {
        assert_eq!(
            (&row["projectId"], &row["amount"], &row["description"]),
            (&json!(project), &json!(amount), &json!(words))
        );
        let lines: Vec<&str> = row["lines"]
            .as_array()
            .expect("lines")
            .iter()
            .map(|line| line["description"].as_str().expect("words"))
            .collect();
        assert_eq!(&lines.join(" + "), words);
    }
    let tier = json!({
        "quantity": "2500.5", "price": "0.005", "amount": "12.5025",
        "description": "2500.5 Minute × Pro (Tier 3 at 0.005)"
    });
    assert_eq!(shown["rows"][0]["lines"][4], tier);
    let table = vendor.ok(["bill", "--month", "2026-10"]).out;
    for part in [
        "104.5025",
        "12.5025",
        "2500.5 Minute × Pro (Tier 3 at 0.005)",
        "Pro (9.5 up to the minimum of 20)",
    ] {
        assert!(table.contains(part), "{table}");
    }
    vendor.ok(["check"]);
}

#[test]
fn the_simple_models_are_set_by_flags() {
    let vendor = Vendor::new();
    for (price, amount, words) in [
        (&["--price", "0.02"][..], "30.01", "1500.5 Minute × Standard (0.02 each)"),
        (&["--flat", "9.90"], "9.9", "Standard (flat fee 9.9)"),
        (
            &["--flat", "5", "--price", "0.02", "--free", "500.5"],
            "25",
            "500.5 Minute × Standard (free) + Standard (flat fee 5) + 1000 Minute × Standard \
             (0.02 each)",
        ),
        (
            &["--volume", "1000:0.01,rest:0.008"],
            "12.004",
            "1500.5 Minute × Standard (Tier 2 at 0.008)",
        ),
        (
            &["--graduated", "1000:0.01,rest:0.008"],
            "14.004",
            "1000 Minute × Standard (Tier 1 at 0.01) + 500.5 Minute × Standard (Tier 2 at 0.008)",
        ),
        (&["--package", "500:1"], "4", "4 × 500 Minute × Standard (1 a package)"),
        (
            &["--price", "0.01", "--minimum", "16"],
            "16",
            "1500.5 Minute × Standard (0.01 each) + Standard (0.995 up to the minimum of 16)",
        ),
    ] {
        // Each for all time: --rewrite of what the one before said.
        let rewritten: Vec<&str> =
            price.iter().copied().chain(["--from", "1970-01", "--rewrite"]).collect();
        set(&vendor, "default", &rewritten);
        vendor.ok(["record", "p", "1500.5", "--at", "2026-10-10", "--id", "r"]);
        let row = &vendor.json(["bill", "--month", "2026-10"])["rows"][0];
        assert_eq!((&row["amount"], &row["description"]), (&json!(amount), &json!(words)));
    }
}

#[test]
fn splitting_usage_into_records_changes_nothing() {
    let vendor = Vendor::new();
    set(
        &vendor,
        "default",
        &[
            "--flat",
            "1",
            "--graduated",
            "100:0.7,200:0.5,rest:0.3",
            "--package",
            "7:0.01",
            "--free",
            "3",
        ],
    );
    vendor.ok(["record", "whole", "250.25", "--at", "2026-10-10"]);
    for (amount, at) in
        [("100", "2026-10-01T00:00:00Z"), ("0.25", "2026-10-31T23:59:59Z"), ("150", "2026-10-15")]
    {
        vendor.ok(["record", "split", amount, "--at", at]);
    }
    for amount in ["200", "50.125", "0.0625", "0.0625"] {
        vendor.ok(["record", "crowd", amount, "--at", "2026-10-10"]);
    }
    vendor.ok(["record", "voided", "250.25", "--at", "2026-10-10"]);
    vendor.ok(["record", "voided", "77", "--at", "2026-10-10", "--id", "mistake"]);
    vendor.ok(["void", "mistake", "--reason", "mistake"]);
    let shown = vendor.json(["bill", "--month", "2026-10"]);
    let rows = shown["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 4);
    for row in rows {
        // 3 free: 1 + 100 × 0.7 + 100 × 0.5 + 47.25 × 0.3 + 36 × 0.01
        assert_eq!(
            (&row["amount"], &row["lines"]),
            (&json!("135.535"), &rows[0]["lines"]),
            "{row}"
        );
    }
}

#[test]
fn a_window_is_the_sum_of_its_months_and_a_part_of_one_is_priced_as_what_was_used_in_it() {
    let vendor = Vendor::new();
    set(&vendor, "default", &["--flat", "10", "--graduated", "1000:1,rest:0.5"]);
    vendor.ok(["record", "p", "600", "--at", "2026-09-30T23:59:59Z"]);
    vendor.ok(["record", "p", "700", "--at", "2026-10-01T00:00:00Z"]);
    vendor.ok(["record", "p", "500", "--at", "2026-10-20"]);
    let server = vendor.serve();
    let amount = |from: &str, to: &str| {
        bill(&server, from, to).into_iter().map(|(_, amount, _)| amount).next()
    };
    let some = |amount: &str| Some(amount.to_owned());
    // 10 + 600; 10 + 1,000 + 200 × 0.5
    assert_eq!(amount("2026-09-01T00:00:00Z", "2026-09-30T23:59:59Z"), some("610"));
    assert_eq!(amount("2026-10-01T00:00:00Z", "2026-10-31T23:59:59Z"), some("1110"));
    assert_eq!(amount("2026-09-01T00:00:00Z", "2026-10-31T23:59:59Z"), some("1720"));
    assert_eq!(amount("2001-09-09T02:00:00Z", "2286-01-01T00:00:00Z"), some("1720"));
    // Three seconds of two months: each has its fee.
    assert_eq!(amount("2026-09-30T23:59:59Z", "2026-10-01T00:00:01Z"), some("1320"));
    // Parts of October: 10 + 700, and 10 + 500.
    assert_eq!(amount("2026-10-01T00:00:00Z", "2026-10-15T11:22:33Z"), some("710"));
    assert_eq!(amount("2026-10-15T11:22:34Z", "2026-10-31T23:59:59Z"), some("510"));
    assert_eq!(amount("2026-10-21T00:00:00Z", "2026-10-31T23:59:59Z"), None);
    let words = &bill(&server, "2026-09-01T00:00:00Z", "2026-10-31T23:59:59Z")[0].2;
    assert_eq!(
        words,
        "Standard (2 × flat fee 10) + 1600 Minute × Standard (Tier 1 at 1) + 200 Minute × \
         Standard (Tier 2 at 0.5)"
    );
}

#[test]
fn a_flat_fee_is_due_where_a_project_was_enabled_and_no_license_lifts_it() {
    let vendor = Vendor::new();
    set(&vendor, "default", &["--flat", "10", "--price", "1"]);
    vendor.ok(["customer", "add", "c"]);
    vendor.ok(["license", "issue", "--new", "--unlimited", "c", "--expires", &days_from_now(400)]);
    vendor.ok(["record", "covered", "5", "--customer", "c"]);
    vendor.ok(["project", "add", "idle", "--customer", "c"]);
    // Enabled for one second, the last of September.
    vendor
        .sql()
        .execute_batch(
            "insert into project (project_id, first_seen_at_s) values ('brief', 1);
            insert into project_enablement values ('brief', 1790812799, 1790812799);",
        )
        .expect("a project");
    let shown = vendor.json(["bill", "--month", &this_month()]);
    let rows: Vec<(&Value, &Value, &Value)> = shown["rows"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| (&row["projectId"], &row["amount"], &row["usage"]))
        .collect();
    assert_eq!(
        rows,
        [
            (&json!("covered"), &json!("10"), &json!("5")),
            (&json!("idle"), &json!("10"), &json!("0"))
        ]
    );
    assert_eq!((&shown["uncharged"], &shown["unpriced"]), (&json!([]), &json!([])));
    let server = vendor.serve();
    let told = |from: &str, to: &str| {
        let entries = bill(&server, from, to).into_iter();
        entries
            .map(|(project, amount, words)| format!("{project} {amount} {words}"))
            .collect::<Vec<_>>()
    };
    let brief = ["brief 10 Standard (flat fee 10)"];
    assert_eq!(told("2026-09-01T00:00:00Z", "2026-09-30T23:59:59Z"), brief);
    assert_eq!(told("2026-09-30T23:59:59Z", "2026-10-01T00:00:00Z"), brief);
    assert_eq!(told("2026-10-01T00:00:00Z", "2026-10-31T23:59:59Z"), [""; 0]);
    // Neither enabled nor used within the window, though in its month. One without the last second
    // is the month's.
    assert_eq!(told("2026-09-01T00:00:00Z", "2026-09-30T23:59:57Z"), [""; 0]);
    assert_eq!(told("2026-09-01T00:00:00Z", "2026-09-30T23:59:58Z"), brief);
    let page =
        server.listing("/bill", second("2026-09-30T23:59:59Z"), second("2026-10-01T00:00:00Z"), 1);
    assert_eq!(page.json()["data"]["totalSize"], 1);
}

/// Books with the plan `default` of price 1, and 7 units in September, in October and now.
fn with_usage_at_price_1() -> Vendor {
    let vendor = Vendor::new();
    set(&vendor, "default", &["--price", "1"]);
    vendor.ok(["record", "p", "7", "--at", "2026-09-10"]);
    vendor.ok(["record", "p", "7", "--at", "2026-10-10"]);
    vendor.ok(["record", "p", "7"]);
    vendor
}

#[test]
fn a_later_price_holds_from_next_month_and_an_earlier_month_must_be_meant() {
    let vendor = with_usage_at_price_1();
    let total = |month: &str| vendor.json(["bill", "--month", month])["total"].clone();
    let changed = vendor.ok(["plan", "set", "default", "--price", "2"]);
    assert!(
        changed.err.contains(&format!(
            "changes from {} on; without this it would be Standard: 1 per Minute",
            next_month()
        )),
        "{}",
        changed.err
    );
    assert_eq!([total("2026-09"), total("2026-10"), total(&this_month())], ["7", "7", "7"]);

    for month in [&this_month(), "2026-10", "1970-01"] {
        let said = vendor.fails(2, ["plan", "set", "default", "--price", "3", "--from", month]);
        assert!(
            said.contains(&format!("--from is {month}")) && said.contains("--rewrite"),
            "{said}"
        );
        assert!(
            said.contains(&format!("or name {} or a later month", next_month()))
                && said.lines().count() == 1,
            "{said}"
        );
    }
    assert!(
        vendor.fails(2, ["plan", "set", "default", "--price", "3", "--rewrite"]).contains("--from")
    );
    assert!(
        vendor
            .fails(2, ["plan", "set", "default", "--price", "3", "--from", "2026-10-01"])
            .contains("a month such as")
    );
    let rewritten =
        vendor.ok(["plan", "set", "default", "--price", "3", "--from", "2026-10", "--rewrite"]);
    assert!(
        rewritten
            .err
            .contains(&format!("from {} on another version of plan default holds", next_month())),
        "{}",
        rewritten.err
    );
    assert_eq!([total("2026-09"), total("2026-10"), total(&this_month())], ["7", "21", "21"]);
}

#[test]
fn of_two_prices_for_one_month_the_later_one_holds_and_the_same_again_is_none() {
    let vendor = with_usage_at_price_1();
    let total = |month: &str| vendor.json(["bill", "--month", month])["total"].clone();
    vendor.ok(["plan", "set", "default", "--price", "2"]);
    vendor.ok(["plan", "set", "default", "--price", "3", "--from", "2026-10", "--rewrite"]);
    // The same again is nothing new, whatever the month.
    let versions =
        || vendor.json(["plan", "show", "default"])["versions"].as_array().expect("versions").len();
    assert_eq!(versions(), 3);
    let again = vendor.ok(["plan", "set", "default", "--name", "Standard", "--price", "2.0"]);
    assert!(again.err.contains("nothing was changed"), "{}", again.err);
    vendor.ok(["plan", "set", "default", "--price", "3", "--from", "2026-10"]);
    vendor.ok(["plan", "set", "default", "--price", "1", "--from", "2001-01"]);
    assert_eq!(versions(), 3);

    // Of two for one month the later one holds; both are shown.
    let again =
        vendor.ok(["plan", "set", "default", "--price", "4", "--from", "2026-10", "--rewrite"]).err;
    assert!(
        again.contains("changes from 2026-10 on; without this it would be Standard: 3 per Minute"),
        "{again}"
    );
    assert_eq!([total("2026-09"), total("2026-10")], ["7", "28"]);
    let shown = vendor.json(["plan", "show", "default"]);
    assert_eq!((&shown["price"], &shown["from"]), (&json!("4"), &json!("2026-10")));
    let versions: Vec<_> = shown["versions"]
        .as_array()
        .expect("versions")
        .iter()
        .map(|v| (&v["from"], &v["price"], &v["replaced"]))
        .collect();
    assert_eq!(
        versions,
        [
            (&json!(null), &json!("1"), &json!(false)),
            (&json!("2026-10"), &json!("3"), &json!(true)),
            (&json!("2026-10"), &json!("4"), &json!(false)),
            (&json!(next_month()), &json!("2"), &json!(false)),
        ]
    );
    let told = vendor.ok(["plan", "show", "default"]).out;
    for part in ["always", "replaced", "4 per Minute", "shell:"] {
        assert!(told.contains(part), "{told}");
    }
    assert_eq!(vendor.json(["plan", "show", "default", "--month", "2026-09"])["price"], "1");
    vendor.ok(["check"]);
}

#[test]
fn the_first_version_of_a_plan_holds_for_all_time_whatever_it_is_told() {
    let vendor = Vendor::new();
    let first = vendor.ok([
        "plan", "set", "gold", "--name", "Gold", "--unit", "Call", "--flat", "1", "--from",
        "2030-01",
    ]);
    assert!(first.err.contains("holds for all time"), "{}", first.err);
    assert_eq!(vendor.json(["plan", "show", "gold"])["from"], json!(null));
}

/// Books with the plans `default`, `gold` and `silver`, and 10 units of customer c's project in
/// three months.
fn with_three_plans() -> Vendor {
    let vendor = Vendor::new();
    for (plan, price) in [("default", "1"), ("gold", "2"), ("silver", "3")] {
        set(&vendor, plan, &["--price", price]);
    }
    for month in ["2026-08", "2026-09", "2026-10"] {
        vendor.ok(["record", "p", "10", "--at", &format!("{month}-10"), "--customer", "c"]);
    }
    vendor
}

#[test]
fn a_customers_later_plan_holds_from_a_month_on() {
    let vendor = with_three_plans();
    let total = |month: &str| vendor.json(["bill", "--month", month])["total"].clone();
    assert_eq!(total("2026-08"), "10");
    // The first plan holds for all time before.
    let said = vendor.ok(["customer", "add", "c", "--plan", "gold"]).err;
    assert!(
        said.contains("had no plan so far: gold prices all its months, past ones too"),
        "{said}"
    );
    assert_eq!([total("2026-08"), total("2026-10")], ["20", "20"]);
    // A later one from next month on, or as told.
    let said = vendor.ok(["customer", "add", "c", "--plan", "silver"]).err;
    assert!(said.contains(&format!("gold; from {} silver", next_month())), "{said}");
    assert_eq!([total("2026-08"), total("2026-10")], ["20", "20"]);
    let refused = vendor.fails(
        2,
        ["customer", "add", "c", "--plan", "silver", "--from", "2026-10", "--name", "Ann"],
    );
    assert!(
        refused.contains("--from is 2026-10, a past month") && refused.contains("--rewrite"),
        "{refused}"
    );
    assert_eq!(vendor.json(["customer", "show", "c"])["name"], json!(null), "nothing was changed");
    vendor.ok(["customer", "add", "c", "--plan", "silver", "--from", "2026-10", "--rewrite"]);
    assert_eq!([total("2026-08"), total("2026-09"), total("2026-10")], ["20", "20", "30"]);
    let plans = || vendor.json(["customer", "show", "c"])["plans"].as_array().expect("plans").len();
    assert_eq!(plans(), 3);
    vendor.ok(["customer", "add", "c", "--plan", "silver"]);
    vendor.ok(["customer", "add", "c", "--plan", "silver", "--from", "2026-10"]);
    assert_eq!(plans(), 3, "what holds already is not said again");
    assert!(
        vendor.fails(2, ["customer", "add", "c", "--from", "2030-01"]).contains("without --plan")
    );
    let shown = vendor.ok(["customer", "show", "c"]).out;
    assert!(shown.contains("plan        gold; from 2026-10 silver\n"), "{shown}");
}

#[test]
fn a_projects_later_customer_holds_from_a_month_on() {
    let vendor = with_three_plans();
    let total = |month: &str| vendor.json(["bill", "--month", month])["total"].clone();
    vendor.ok(["customer", "add", "c", "--plan", "gold"]);
    vendor.ok(["customer", "add", "c", "--plan", "silver", "--from", "2026-10", "--rewrite"]);
    // A project's first customer holds for all time; its next from next month on, or as told.
    vendor.ok(["record", "unbound", "1", "--at", "2026-07-10"]);
    let bound = vendor.ok(["project", "add", "unbound", "--customer", "c"]).err;
    assert!(
        bound.contains("had no customer so far: c is billed for all its months, past ones too"),
        "{bound}"
    );
    assert_eq!(total("2026-07"), "2");
    let moved = vendor.ok(["project", "add", "p", "--customer", "d"]).err;
    assert!(
        moved.contains(&format!("billed to these customers: c; from {} d", next_month())),
        "{moved}"
    );
    assert_eq!(total("2026-10"), "30");
    assert!(
        vendor
            .fails(2, ["project", "add", "p", "--customer", "d", "--from", &this_month()])
            .contains("this month")
    );
    vendor.ok(["project", "add", "p", "--customer", "d", "--from", "2026-09", "--rewrite"]);
    vendor.ok(["project", "add", "p", "--customer", "d", "--from", "2026-10"]);
    vendor.ok(["project", "add", "p", "--customer", "d"]);
    // From September on it is d's, for whom no plan is named.
    assert_eq!([total("2026-08"), total("2026-09"), total("2026-10")], ["20", "10", "10"]);
    let customers = vendor.json(["project", "show", "p"])["customers"].clone();
    let customers: Vec<_> = customers
        .as_array()
        .expect("customers")
        .iter()
        .map(|said| (said["customerId"].clone(), said["from"].clone()))
        .collect();
    assert_eq!(
        customers,
        [
            (json!("c"), json!(null)),
            (json!("d"), json!(next_month())),
            (json!("d"), json!("2026-09"))
        ]
    );
    vendor.ok(["check"]);
}

#[test]
fn a_plan_that_agora_changes_takes_effect_next_month() {
    let vendor = Vendor::new();
    set(&vendor, "gold", &["--flat", "10"]);
    set(&vendor, "silver", &["--flat", "3"]);
    let server = vendor.serve();
    let create = |plan: &str, customer: &str| {
        let fields = format!(r#""planId":"{plan}","customerId":"{customer}""#);
        assert_eq!(server.call("POST", "/customers/new", &fields).status, 200);
    };
    create("gold", "c");
    assert_eq!(server.call("POST", "/customers/c/projects/new", r#""projectId":1"#).status, 200);
    let total = |month: &str| vendor.json(["bill", "--month", month])["total"].clone();
    assert_eq!([total(&this_month()), total(&next_month())], ["10", "10"]);
    for _ in 0..3 {
        create("silver", "c");
    }
    assert_eq!([total(&this_month()), total(&next_month())], ["10", "3"]);
    let shown = vendor.json(["customer", "show", "c"]);
    assert_eq!(
        (&shown["planId"], shown["plans"].as_array().map(Vec::len)),
        (&json!("silver"), Some(2))
    );
    // Back again within the month: it never was another.
    create("gold", "c");
    assert_eq!([total(&this_month()), total(&next_month())], ["10", "10"]);

    // What was said last may be about a month before: what counts is what would hold next month.
    create("silver", "c");
    vendor.ok(["customer", "add", "c", "--plan", "silver", "--from", &this_month(), "--rewrite"]);
    vendor.ok(["customer", "add", "c", "--plan", "gold", "--from", &this_month(), "--rewrite"]);
    assert_eq!([total(&this_month()), total(&next_month())], ["10", "3"]);
    let plans = || vendor.json(["customer", "show", "c"])["plans"].as_array().expect("plans").len();
    let said = plans();
    for _ in 0..2 {
        create("gold", "c");
        assert_eq!([total(&this_month()), total(&next_month())], ["10", "10"]);
        assert_eq!(plans(), said + 1);
    }

    // The first plan of a customer whose usage was priced by another changes past bills: the
    // operator is told.
    vendor.ok(["customer", "add", "unplanned"]);
    create("gold", "unplanned");
    assert!(
        server.log().contains(
            "customer unplanned had no plan so far: gold prices all its months, past ones too"
        ),
        "{}",
        server.log()
    );
    assert!(!server.log().contains("customer c had no plan"), "{}", server.log());

    // A project that was only recorded so far, for a customer of whom Agora has not heard, and that
    // it creates under another.
    vendor.ok(["record", "2", "1", "--customer", "recorded", "--new"]);
    set(&vendor, "default", &["--flat", "100"]);
    create("silver", "d");
    assert_eq!(server.call("POST", "/customers/d/projects/new", r#""projectId":2"#).status, 200);
    assert_eq!([total(&this_month()), total(&next_month())], ["110", "13"]);
    assert_eq!(vendor.json(["project", "show", "2"])["customerId"], "d");
    vendor.ok(["check"]);
}

#[test]
fn a_plan_is_shown_in_words_with_a_worked_example() {
    let vendor = Vendor::new();
    std::fs::write(vendor.path("pro.json"), PRO).expect("a file");
    vendor.ok(["plan", "set", "pro", "--file", "pro.json"]);
    assert_eq!(
        vendor.ok(["plan", "show", "pro", "--for", "12500"]).out,
        "plan   pro\n\
         name   Pro\n\
         unit   Minute\n\
         price  the first 100 Minute of a month are free, and what follows counts from there\n\
         \x20      10 a month, whatever is used\n\
         \x20      each Minute of a month at the price of its own tier: \
         up to 1000 Minute at 0.01 (Tier 1), above 1000 up to 10000 at 0.008 (Tier 2), \
         above 10000 at 0.005 (Tier 3)\n\
         \x20      20 a month at least\n\
         \n\
         12500 Minute of a project in a month cost 104:\n\
         AMOUNT  FOR\n     \
              0  100 Minute × Pro (free)\n    \
             10  Pro (flat fee 10)\n    \
             10  1000 Minute × Pro (Tier 1 at 0.01)\n    \
             72  9000 Minute × Pro (Tier 2 at 0.008)\n    \
             12  2400 Minute × Pro (Tier 3 at 0.005)\n"
    );
    let shown = vendor.json(["plan", "show", "pro", "--for", "0.5"]);
    assert_eq!(
        (&shown["example"]["usage"], &shown["example"]["total"]),
        (&json!("0.5"), &json!("20"))
    );
    // What is shown can be set again.
    let document = json!({
        "name": "Other", "unit": "Call", "parts": shown["parts"], "free": shown["free"],
        "minimum": shown["minimum"]
    });
    std::fs::write(vendor.path("other.json"), document.to_string()).expect("a file");
    vendor.ok(["plan", "set", "other", "--file", "other.json"]);
    assert_eq!(vendor.json(["plan", "show", "other"])["parts"], shown["parts"]);
    assert_eq!(vendor.json(["plan", "list"])[0]["planId"], "other");
    let listed = vendor.ok(["plan", "list"]).out;
    assert!(
        listed.contains("flat 10 + graduated 1000:0.01,10000:0.008,rest:0.005 free 100 minimum 20"),
        "{listed}"
    );
    assert!(
        vendor.fails(2, ["plan", "show", "pro", "--for", "-1"]).contains("must not be negative")
    );
}

#[test]
fn a_volume_tier_that_undercuts_the_whole_bill_is_pointed_out() {
    let vendor = Vendor::new();
    let named = ["plan", "set", "default", "--name", "Standard", "--unit", "Minute"];
    let said = vendor.ok(named.iter().chain(&["--volume", "1000:0.01,rest:0.008"])).err;
    assert!(
        said.contains(
            "warning: 1000 Minute cost 10, and a little more than that costs 8: the \
            bill falls there"
        ),
        "{said}"
    );
    let said = vendor.ok(["plan", "set", "default", "--graduated", "1000:0.01,rest:0.008"]).err;
    assert!(!said.contains("warning"), "{said}");
}

#[test]
fn what_is_no_plan_is_refused_in_a_sentence_that_names_the_place() {
    let vendor = Vendor::new();
    let named = ["plan", "set", "p", "--name", "N", "--unit", "U"];
    for (price, said) in [
        (&[][..], "not given"),
        (&["--minimum", "5"], "not given"),
        (&["--price", "-1"], "must not be negative"),
        (&["--flat", "1,5"], "plain decimal"),
        (&["--graduated", "1000:0.01"], "tier 1 is the last and ends at 1000"),
        (&["--graduated", "10:1,10:2,rest:3"], "tier 2 goes up to 10, which is not above 10"),
        (&["--volume", "rest:1,rest:2"], "tier 1 has no end and is not the last"),
        (&["--volume", "0:1,rest:2"], "tier 1 goes up to 0"),
        (&["--package", "0:1"], "a package holds 0 units"),
        (&["--package", "5"], "such as 1000:5"),
        (&["--file", "plan.json", "--price", "1"], "exclude each other"),
        (&["--file", "plan.json", "--free", "1"], "exclude each other"),
        (&["--file", "named.json"], "name is given by --name and in the file"),
        (
            &["--file", "wrong.json"],
            "wrong.json is not a plan: part 1: tier 2 goes up to 5, which is not above 10",
        ),
        (&["--file", "typo.json"], "unknown field `minimun`"),
        (&["--file", "text.json"], "text.json is not a plan: expected ident at line 1 column 2"),
    ] {
        let file =
            |name: &str, text: &str| std::fs::write(vendor.path(name), text).expect("a file");
        file("named.json", r#"{"name":"N","parts":[{"flat":1}]}"#);
        file(
            "wrong.json",
            r#"{"parts":[{"graduated":[{"upTo":10,"price":1},{"upTo":5,"price":1},{"price":1}]}]}"#,
        );
        file("typo.json", r#"{"parts":[{"flat":1}],"minimun":5}"#);
        file("text.json", "flat 1");
        let error = vendor.fails(2, named.iter().chain(price));
        assert!(error.contains(said), "{price:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    assert_eq!(vendor.fails(1, named.iter().chain(&["--file", "nowhere.json"])).lines().count(), 1);
    let unnamed = vendor.fails(2, ["plan", "set", "p", "--price", "1", "--unit", "U"]);
    assert!(unnamed.contains("plan p has no name yet"), "{unnamed}");
    assert_eq!(vendor.json(["plan", "list"]), json!([]));
}

#[test]
fn a_description_of_many_tiers_is_cut_and_its_lines_are_not() {
    let vendor = Vendor::new();
    let tiers: Vec<String> = (1..=60).map(|end| format!("{end}:0.{end:02}")).collect();
    set(&vendor, "default", &["--graduated", &format!("{},rest:1", tiers.join(","))]);
    vendor.ok(["record", "p", "70", "--at", "2026-10-10"]);
    let told = october(&vendor.serve());
    // 0.01 + 0.02 + … + 0.6, and 10 × 1.
    assert_eq!(told[0].1, "28.3");
    assert!(told[0].2.len() <= 512 && told[0].2.ends_with(" more"), "{}", told[0].2);
    let shown = vendor.json(["bill", "--month", "2026-10"]);
    assert_eq!(shown["rows"][0]["lines"].as_array().map(Vec::len), Some(61));
    assert_eq!(shown["rows"][0]["description"], json!(told[0].2));
}

#[test]
fn a_project_of_which_one_month_has_no_price_is_left_out_whole() {
    let vendor = Vendor::new();
    set(&vendor, "gold", &["--price", "1"]);
    vendor.ok(["customer", "add", "c", "--plan", "gold"]);
    vendor.ok([
        "customer",
        "add",
        "c",
        "--plan",
        "lost",
        "--new",
        "--from",
        "2026-10",
        "--rewrite",
    ]);
    vendor.ok(["record", "p", "7", "--at", "2026-09-10", "--customer", "c"]);
    vendor.ok(["record", "p", "8", "--at", "2026-10-10"]);
    let server = vendor.serve();
    assert_eq!(bill(&server, "2026-09-01T00:00:00Z", "2026-09-30T23:59:59Z").len(), 1);
    assert_eq!(bill(&server, "2026-09-01T00:00:00Z", "2026-10-31T23:59:59Z"), []);
    assert!(
        server.log().contains("project p with 15, whose plan lost is not set up"),
        "{}",
        server.log()
    );
    let ended = vendor.run(["bill", "--month", "2026-10", "--json"]);
    assert_eq!(ended.code, 1);
    let shown: Value = serde_json::from_str(&ended.out).expect("JSON");
    assert_eq!(shown["unpriced"][0]["reason"], "the plan lost is not set up");
}

#[test]
fn usage_is_told_in_the_words_of_the_plan_at_the_windows_end() {
    let vendor = Vendor::new();
    set(&vendor, "gold", &["--price", "1"]);
    vendor.ok([
        "plan",
        "set",
        "gold",
        "--name",
        "Gold",
        "--price",
        "1",
        "--from",
        "2026-10",
        "--rewrite",
    ]);
    set(&vendor, "silver", &["--price", "1"]);
    vendor.ok([
        "plan",
        "set",
        "silver",
        "--name",
        "Silver",
        "--price",
        "1",
        "--from",
        "1970-01",
        "--rewrite",
    ]);
    vendor.ok(["customer", "add", "c", "--plan", "silver"]);
    vendor.ok(["customer", "add", "c", "--plan", "gold", "--from", "2026-09", "--rewrite"]);
    for month in ["2026-08", "2026-09", "2026-10"] {
        vendor.ok(["record", "p", "1", "--at", &format!("{month}-10"), "--customer", "c"]);
    }
    let server = vendor.serve();
    for (from, to, words) in [
        ("2026-08-01T00:00:00Z", "2026-08-31T23:59:59Z", "1 Minute × Silver"),
        ("2026-09-01T00:00:00Z", "2026-09-30T23:59:59Z", "1 Minute × Standard"),
        ("2026-08-01T00:00:00Z", "2026-10-31T23:59:59Z", "3 Minute × Gold"),
    ] {
        let page = server.usage(second(from), second(to));
        assert_eq!(page.json()["data"]["data"][0]["description"], words);
    }
}

#[test]
fn the_first_of_each_holds_for_all_time_whoever_writes_it() {
    let vendor = Vendor::new();
    let mut store = Store::open(&vendor.db()).expect("the books");
    let stamp = Stamp { at_s: second("2026-10-10T00:00:00Z"), actor: Actor::Agora };
    let from_s = second("2026-12-01T00:00:00Z");
    let plan = Plan {
        id: "gold".parse().expect("an id"),
        name: "Gold".parse().expect("a name"),
        unit: "Call".parse().expect("a unit"),
        price: "flat 1".parse().expect("a price"),
    };
    store
        .write(|tx| {
            let (customer_id, project_id) =
                ("c".parse().expect("an id"), "p".parse().expect("an id"));
            let said = Announcement {
                plan_id: Some(plan.id.clone()),
                plan_from_s: Some(from_s),
                ..Announcement::default()
            };
            store::plan::set(tx, &plan, from_s, &stamp)?;
            store::customer::announce(tx, &customer_id, &said, &stamp)?;
            store::project::announce(tx, &project_id, &customer_id, Some(from_s), &stamp)
        })
        .expect("written");
    vendor.ok(["check"]);
    assert_eq!(vendor.json(["bill", "--month", "2026-10"])["total"], "1");
}

#[test]
fn histories_are_not_changed() {
    let vendor = Vendor::new();
    set(&vendor, "gold", &["--price", "1"]);
    vendor.ok(["customer", "add", "c", "--plan", "gold"]);
    vendor.ok(["project", "add", "p", "--customer", "c"]);
    for table in ["plan_version", "customer_plan", "project_customer"] {
        for statement in [format!("update {table} set from_s = 1"), format!("delete from {table}")]
        {
            let error = vendor.sql().execute_batch(&statement).expect_err(&statement).to_string();
            assert!(error.contains("are only added"), "{error}");
        }
    }
}
