//! A customer's first plan, a project's first customer, a plan's first version: what was billed
//! before stays as it was.

use crate::vendor::{Server, Vendor, second};
use serde_json::json;

/// A month of 2026, from its first to its last second.
fn month(number: i8) -> (i64, i64) {
    let first = |number: i8| second(&format!("2026-{number:02}-01T00:00:00Z"));
    (first(number), first(number + 1) - 1)
}

/// What the bill of a month tells, whole.
fn bill(server: &Server, number: i8) -> Vec<(String, String)> {
    let (from, to) = month(number);
    server.listing("/bill", from, to, 1).entries()
}

fn entry(project: &str, amount: &str) -> (String, String) {
    (project.to_owned(), amount.to_owned())
}

/// Books whose bills carry, with a price of 1 by default and of 2 by the plan gold; 40 units of the
/// project 1 in January, which was billed on 3 February.
fn with_january() -> (Vendor, Server) {
    let vendor = Vendor::new();
    vendor.at("2026-01-10T00:00:00Z").ok(["setting", "set", "late", "carry"]);
    for (plan, price) in [("default", "1"), ("gold", "2")] {
        vendor.ok(["plan", "set", plan, "--name", "S", "--unit", "Call", "--price", price]);
    }
    vendor.ok(["record", "1", "40", "--at", "2026-01-05", "--id", "r1"]);
    let server = vendor.serve();
    vendor.at("2026-02-03T00:00:00Z");
    assert_eq!(bill(&server, 1), [entry("1", "40")]);
    (vendor, server)
}

/// Records 5 units in February and asks for its bill; then January's again.
fn bills_after(vendor: &Vendor, server: &Server) -> [Vec<(String, String)>; 2] {
    vendor.ok(["record", "1", "5", "--at", "2026-02-02", "--id", "r2"]);
    vendor.at("2026-03-03T00:00:00Z");
    let bills = [bill(server, 2), bill(server, 1)];
    vendor.ok(["check"]);
    bills
}

#[test]
fn what_agora_announces_first_holds_from_the_month_after_the_last_billed_one() {
    let (vendor, server) = with_january();
    let answer = server.call("POST", "/customers/new", r#""planId":"gold","customerId":"c""#);
    assert_eq!(answer.status, 200);
    let answer = server.call("POST", "/customers/c/projects/new", r#""projectId":"1""#);
    assert_eq!(answer.status, 200);
    let log = server.log();
    let since = "its months from 2026-02 on; bills of earlier months stay as they are";
    for said in [format!("c is new: gold prices {since}"), format!("c is billed for {since}")] {
        assert!(log.contains(&said), "{said}: {log}");
    }
    // The same again changes nothing.
    server.call("POST", "/customers/new", r#""planId":"gold","customerId":"c""#);
    assert_eq!(vendor.json(["customer", "show", "c"])["plans"].as_array().map(Vec::len), Some(1));
    assert_eq!(bills_after(&vendor, &server), [[entry("1", "10")], [entry("1", "40")]]);
}

#[test]
fn a_plan_that_agora_names_first_for_a_customer_of_old_usage_leaves_what_was_billed() {
    let (vendor, server) = with_january();
    vendor.ok(["project", "add", "1", "--customer", "c", "--from", "2026-01", "--rewrite"]);
    server.call("POST", "/customers/new", r#""planId":"gold","customerId":"c""#);
    let log = server.log();
    assert!(log.contains("WARN  customer c had no plan so far: gold prices its months"), "{log}");
    assert_eq!(bills_after(&vendor, &server), [[entry("1", "10")], [entry("1", "40")]]);
}

#[test]
fn what_the_shell_says_first_leaves_what_was_billed_unless_it_says_rewrite() {
    let since = "from 2026-02 on; bills of earlier months";
    let first = |arguments: &[&str], from: &[&str]| {
        let (vendor, server) = with_january();
        vendor.ok(["customer", "add", "c", "--plan", "gold", "--from", "2026-01", "--rewrite"]);
        let said = vendor.ok(arguments.iter().chain(from)).err;
        (bills_after(&vendor, &server), said)
    };
    let rewrite = ["--from", "2026-01", "--rewrite"];
    for (arguments, may_rewrite) in [
        (&["project", "add", "1", "--customer", "c"][..], true),
        (&["record", "1", "1", "--at", "2026-02-01", "--customer", "c"], false),
    ] {
        let ([february, january], said) = first(arguments, &[]);
        assert!(said.contains(since), "{said}");
        let told = if may_rewrite { "10" } else { "12" };
        assert_eq!((february, january), (vec![entry("1", told)], vec![entry("1", "40")]));
        if may_rewrite {
            let ([february, january], said) = first(arguments, &rewrite);
            assert!(said.contains("2026-01 was billed already"), "{said}");
            // 5 at 2, and what the 40 of January cost more.
            assert_eq!((february, january), (vec![entry("1", "50")], vec![entry("1", "40")]));
        }
    }
    // A past month that is named without --rewrite is no reason to go further back.
    let (bills, said) = first(&["project", "add", "1", "--customer", "c"], &rewrite[..2]);
    assert!(said.contains(since), "{said}");
    assert_eq!(bills, [[entry("1", "10")], [entry("1", "40")]]);
}

#[test]
fn a_customers_first_plan_and_a_plans_first_version_leave_what_was_billed() {
    for rewritten in [false, true] {
        let (vendor, server) = with_january();
        vendor.ok(["project", "add", "1", "--customer", "c", "--from", "2026-01", "--rewrite"]);
        let mut add = vec!["customer", "add", "c", "--plan", "tin", "--new"];
        let mut set = vec!["plan", "set", "tin", "--name", "Tin", "--unit", "Call", "--price", "3"];
        if rewritten {
            add.extend(["--from", "2026-01", "--rewrite"]);
            set.extend(["--from", "2026-01", "--rewrite"]);
        }
        let said = vendor.ok(add).err + &vendor.ok(set).err;
        let first = vendor.json(["plan", "show", "tin"])["versions"][0]["from"].clone();
        let told = if rewritten {
            assert_eq!(first, json!("2026-01"));
            // January costs 120 by now, of which 40 were told.
            "95"
        } else {
            assert!(said.contains("it holds from 2026-02 on"), "{said}");
            assert_eq!(first, json!("2026-02"));
            "15"
        };
        assert_eq!(bills_after(&vendor, &server), [[entry("1", told)], [entry("1", "40")]]);
    }
}

#[test]
fn what_is_new_after_this_months_bill_holds_from_this_month() {
    let vendor = Vendor::new();
    vendor.at("2026-01-10T00:00:00Z").ok(["setting", "set", "late", "carry"]);
    for (plan, price) in [("default", "1"), ("gold", "5")] {
        vendor.ok(["plan", "set", plan, "--name", "S", "--unit", "Call", "--price", price]);
    }
    vendor.ok(["record", "old", "4", "--at", "2026-01-05"]);
    let server = vendor.serve();
    vendor.at("2026-01-31T10:00:00Z");
    assert_eq!(bill(&server, 1), [entry("old", "4")]);

    vendor.at("2026-01-31T12:00:00Z");
    server.call("POST", "/customers/new", r#""planId":"gold","customerId":"c""#);
    for project in ["new", "old"] {
        let field = format!(r#""projectId":"{project}""#);
        assert_eq!(server.call("POST", "/customers/c/projects/new", &field).status, 200);
    }
    vendor.ok(["record", "new", "10", "--id", "r"]);
    // The bill told nothing of the new project, and stands for the old one.
    let totals = vendor.json(["totals", "--month", "2026-01", "--by", "customer"]);
    let rows: Vec<_> = totals["rows"].as_array().expect("rows").iter().collect();
    let rows: Vec<_> = rows.iter().map(|row| (&row["customerId"], &row["amount"])).collect();
    assert_eq!(rows, [(&json!(null), &json!("4")), (&json!("c"), &json!("10"))]);
    vendor.at("2026-02-28T10:00:00Z");
    assert_eq!(bill(&server, 2), [entry("new", "50")]);
    vendor.ok(["check"]);
}

#[test]
fn an_import_that_names_a_projects_first_customer_leaves_what_was_billed_and_says_so() {
    let (vendor, server) = with_january();
    vendor.ok(["customer", "add", "c", "--plan", "gold", "--from", "2026-01", "--rewrite"]);
    std::fs::write(
        vendor.path("rows.csv"),
        "id,projectId,amount,at,customerId\na,1,1,2026-02-01,c\nb,2,3,2026-01-02,c\n",
    )
    .expect("a file");
    let said = vendor.ok(["import", vendor.path("rows.csv").to_str().expect("a path")]).err;
    let wanted = "projects that had no customer: 2 (1, 2): their first customer is billed for its \
                  months from 2026-02 on";
    assert!(said.contains(wanted), "{said}");
    // The three units of January are late, and nobody's there.
    assert_eq!(
        bills_after(&vendor, &server),
        [vec![entry("1", "12"), entry("2", "3")], vec![entry("1", "40")]]
    );
}

#[test]
fn a_month_that_was_left_out_between_billed_ones_is_not_reached() {
    let (vendor, server) = with_january();
    vendor.ok(["record", "1", "7", "--at", "2026-02-02", "--id", "r2"]);
    vendor.at("2026-04-03T00:00:00Z").ok(["record", "1", "9", "--at", "2026-03-02", "--id", "r3"]);
    assert_eq!(bill(&server, 3), [entry("1", "9")]);
    // February has no bill: what holds in it would hold in March too, which has one.
    let said = vendor.ok(["customer", "add", "c", "--plan", "gold"]).err;
    assert!(said.contains("from 2026-04 on"), "{said}");
    vendor.ok(["project", "add", "1", "--customer", "c"]);
    assert_eq!(bill(&server, 2), [entry("1", "7")]);
    vendor.ok(["record", "1", "1", "--at", "2026-04-02", "--id", "r4"]);
    vendor.at("2026-05-03T00:00:00Z");
    assert_eq!(bill(&server, 4), [entry("1", "2")]);
    vendor.ok(["check"]);
}

#[test]
fn a_bill_of_another_window_or_for_a_test_key_holds_nothing_back() {
    let vendor = Vendor::new();
    vendor.at("2026-02-03T00:00:00Z");
    vendor.ok(["plan", "set", "default", "--name", "S", "--unit", "Call", "--price", "1"]);
    vendor.ok(["record", "1", "40", "--at", "2026-01-05"]);
    let server = vendor.serve();
    let (from, to) = month(1);
    server.listing("/bill", from, to - 86_400, 1);
    server.listing("/usage", from, to, 1);
    // February's, weeks before it ends.
    server.listing("/bill", month(2).0, month(2).1, 1);
    vendor.ok(["customer", "add", "c", "--plan", "default"]);
    assert_eq!(vendor.json(["customer", "show", "c"])["plans"][0]["from"], json!(null));
}

#[test]
fn a_month_before_the_first_customer_is_nobodys_to_licenses_too() {
    let (vendor, _server) = with_january();
    vendor.ok(["customer", "add", "c", "--plan", "gold"]);
    let license = ["license", "issue", "c", "--starts", "2026-01-01", "--expires", "2026-12-31"];
    vendor.ok(license.into_iter().chain(["--count", "100", "--id", "l"]));
    vendor.ok(["project", "add", "1", "--customer", "c"]);
    let late = ["record", "1", "3", "--at", "2026-01-06", "--customer", "c"];
    assert_eq!(vendor.json(late)["covered"], json!(null));
    let february = ["record", "1", "3", "--at", "2026-02-02", "--customer", "c"];
    assert_eq!(vendor.json(february)["covered"], "3");
    let totals = vendor.json(["totals", "--month", "2026-01", "--by", "customer"]);
    assert_eq!(totals["rows"], json!([{"customerId": null, "amount": "43", "records": 2}]));
}
