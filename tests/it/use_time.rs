//! The date of use decides: what usage is covered by, whose it is and what a record is compared
//! with, whenever it is written.

use crate::vendor::{Vendor, day, second};
use serde_json::json;

/// A vendor in November of 2026, when a unit costs 1.
fn november() -> Vendor {
    let vendor = Vendor::new();
    vendor.at("2026-11-01T10:00:00Z");
    vendor.ok(["plan", "set", "default", "--name", "N", "--unit", "Minute", "--price", "1"]);
    for customer in ["c", "alice", "bob"] {
        vendor.ok(["customer", "add", customer]);
    }
    vendor
}

/// What the bill of a month comes to.
fn billed(vendor: &Vendor, month: &str) -> String {
    vendor.json(["bill", "--month", month])["total"].as_str().expect("a total").to_owned()
}

fn covered(vendor: &Vendor, arguments: &[&str]) -> String {
    vendor.json(arguments)["covered"].as_str().unwrap_or("0").to_owned()
}

/// What is left of a license, whatever its state.
fn left(vendor: &Vendor, id: &str) -> String {
    let history = vendor.json(["license", "history", id, "--last", "1"]);
    history[0]["balance"].as_str().expect("a balance").to_owned()
}

fn by_customer(vendor: &Vendor, month: &str) -> Vec<(Option<String>, String)> {
    let totals = vendor.json(["totals", "--month", month, "--by", "customer"]);
    let rows = totals["rows"].as_array().expect("rows").iter().map(|row| {
        let amount = row["amount"].as_str().expect("an amount").to_owned();
        (row["customerId"].as_str().map(str::to_owned), amount)
    });
    rows.collect()
}

fn of(customer: &str, amount: &str) -> (Option<String>, String) {
    (Some(customer.to_owned()), amount.to_owned())
}

fn import(vendor: &Vendor, rows: &str) -> crate::vendor::Ended {
    std::fs::write(vendor.path("rows.csv"), format!("id,projectId,amount,at,customerId\n{rows}"))
        .expect("a file");
    vendor.run(["import", "rows.csv", "--quiet"])
}

#[test]
fn a_licenses_last_day_is_covered_also_where_it_is_recorded_the_next_morning() {
    let vendor = november();
    vendor.ok(["license", "issue", "c", "--expires", "2026-11-25", "--count", "100", "--id", "L"]);
    vendor.at("2026-11-26T00:05:00Z");
    let late = ["record", "p", "10", "--customer", "c", "--at", "2026-11-25T23:49:00Z"];
    assert_eq!(covered(&vendor, &late), "10");
    assert_eq!(billed(&vendor, "2026-11"), "0");
    // The same by an import, and of the last second; the second after it is not covered.
    let rows = "a,p,10,2026-11-25T23:49:00Z,c\nb,p,1,2026-11-25T23:59:59Z,\nc,p,2,2026-11-26,\n";
    vendor.at("2026-11-27T00:00:00Z");
    assert_eq!(import(&vendor, rows).code, 0);
    assert_eq!((billed(&vendor, "2026-11"), left(&vendor, "L")), ("2".into(), "79".into()));
    // The other way round: a license covers nothing of the time before it starts.
    vendor.ok(["license", "issue", "c", "--expires", "2027-11-25", "--count", "100", "--id", "M"]);
    assert_eq!(covered(&vendor, &["record", "p", "10", "--at", "2026-11-26T20:00:00Z"]), "0");
    assert_eq!(left(&vendor, "M"), "100");
    vendor.ok(["check"]);
}

#[test]
fn a_covered_record_is_corrected_after_its_license_has_ended() {
    let vendor = november();
    vendor.ok(["project", "add", "p", "--customer", "c"]);
    vendor.ok(["license", "issue", "c", "--id", "L", "--expires", "2026-11-25", "--count", "100"]);
    vendor.at("2026-11-20T10:00:00Z");
    vendor.ok(["record", "p", "10", "--id", "a", "--at", "2026-11-20T09:00:00Z"]);
    vendor.at("2026-11-26T09:00:00Z");
    assert_eq!(billed(&vendor, "2026-11"), "0");
    vendor.ok(["void", "a", "--reason", "was 9, not 10"]);
    vendor.ok(["record", "p", "9", "--id", "a2", "--at", "2026-11-20T09:00:00Z"]);
    assert_eq!((billed(&vendor, "2026-11"), left(&vendor, "L")), ("0".into(), "91".into()));
    vendor.ok(["check"]);
}

#[test]
fn a_restored_backup_that_is_fed_its_last_day_again_bills_what_it_billed() {
    let vendor = november();
    vendor.ok(["project", "add", "p", "--customer", "c"]);
    vendor.ok(["license", "issue", "c", "--id", "L", "--expires", "2026-11-25", "--count", "100"]);
    vendor.at("2026-11-24T23:00:00Z");
    vendor.ok(["backup", "backup.db"]);
    let rows = "a,p,10,2026-11-25T12:00:00Z,\nb,p,95,2026-11-25T13:00:00Z,\n";
    vendor.at("2026-11-25T23:00:00Z");
    assert_eq!(import(&vendor, rows).code, 0);
    let before = (billed(&vendor, "2026-11"), left(&vendor, "L"));
    assert_eq!(before, ("5".into(), "0".into()));
    vendor.at("2026-12-10T08:00:00Z");
    vendor.ok(["restore", "backup.db"]);
    assert_eq!(import(&vendor, rows).code, 0);
    assert_eq!((billed(&vendor, "2026-11"), left(&vendor, "L")), before);
}

#[test]
fn usage_of_a_month_that_was_billed_before_its_project_had_a_customer_is_nobodys() {
    let vendor = november();
    let licensed = ["license", "issue", "c", "--id", "L", "--count", "100"];
    vendor.ok([&licensed[..], &["--expires", "2026-12-31"]].concat());
    let server = vendor.serve();
    vendor.at("2026-12-01T00:01:00Z");
    let month = (second("2026-11-01T00:00:00Z"), second("2026-11-30T23:59:59Z"));
    assert_eq!(server.listing("/bill", month.0, month.1, 1).status, 200);
    vendor.ok(["statement", "show", "1"]);
    vendor.at("2026-12-02T00:05:00Z");
    // It may name the customer all the same, again and again.
    let late = |customer: &str| {
        let record = ["record", "p", "10", "--at", "2026-11-30T23:49:00Z", "--id", "x"];
        vendor.run([&record[..], &["--customer", customer]].concat())
    };
    assert!(!late("c").out.contains("covered by licenses"));
    assert_eq!((late("c").code, late("d").code), (0, 4));
    assert_eq!(covered(&vendor, &["record", "p", "1", "--customer", "c"]), "1");
    vendor.fails(4, ["record", "p", "1", "--customer", "d", "--at", "2026-11-29"]);
    assert_eq!(by_customer(&vendor, "2026-11"), [(None, "10".into())]);
    assert_eq!(by_customer(&vendor, "2026-12"), [of("c", "1")]);
    vendor.ok(["check"]);
}

#[test]
fn rows_of_whatever_order_each_draw_from_what_was_good_at_their_time() {
    let vendor = november();
    vendor.ok(["project", "add", "p", "--customer", "c"]);
    // A license a month, for months that are over.
    for (id, month, last) in
        [("S", "2026-09", "30"), ("O", "2026-10", "31"), ("N", "2026-11", "30")]
    {
        let (starts, expires) = (format!("{month}-01"), format!("{month}-{last}"));
        let issue = ["license", "issue", "c", "--id", id, "--count", "10"];
        vendor.ok([&issue[..], &["--starts", &starts, "--expires", &expires]].concat());
    }
    vendor.at("2026-12-05T10:00:00Z");
    let rows = "1,p,4,2026-11-30T23:59:59Z,\n2,p,3,2026-10-01T00:00:00Z,\n3,p,5,2026-09-10,\n\
                4,p,7,2026-11-02,\n5,p,2,2026-10-20,\n6,p,1,2026-08-31T23:59:59Z,\n\
                7,p,1,2026-12-01,\n";
    assert_eq!(import(&vendor, rows).code, 0);
    assert_eq!(["S", "O", "N"].map(|id| left(&vendor, id)), ["5", "5", "0"]);
    let bills = ["2026-08", "2026-09", "2026-10", "2026-11", "2026-12"];
    assert_eq!(bills.map(|month| billed(&vendor, month)), ["1", "0", "0", "1", "1"]);
    vendor.ok(["check"]);
}

#[test]
fn a_revoked_license_covers_the_time_before_and_one_that_is_reinstated_all_of_it() {
    let vendor = november();
    vendor.ok(["project", "add", "p", "--customer", "c"]);
    vendor.ok(["license", "issue", "c", "--id", "L", "--expires", "2026-11-30", "--count", "100"]);
    vendor.at("2026-11-10T12:00:00Z");
    vendor.ok(["license", "revoke", "L"]);
    vendor.at("2026-11-20T10:00:00Z");
    let record = |at: &str| covered(&vendor, &["record", "p", "1", "--at", at]);
    assert_eq!(record("2026-11-10T11:59:59Z"), "1");
    assert_eq!(record("2026-11-10T12:00:00Z"), "0");
    vendor.fails(1, ["license", "consume", "c", "1"]);
    vendor.ok(["license", "reinstate", "L"]);
    assert_eq!(record("2026-11-10T12:00:00Z"), "1");
    // One that has ended can still be issued, for usage that is recorded from then on.
    vendor.at("2026-12-20T10:00:00Z");
    assert_eq!(record("2026-10-05"), "0");
    let past = ["license", "issue", "c", "--starts", "2026-10-01", "--expires", "2026-10-31"];
    vendor.ok([&past[..], &["--count", "5"]].concat());
    assert_eq!((record("2026-10-05"), billed(&vendor, "2026-10")), ("1".into(), "1".into()));
    vendor.ok(["check"]);
}

#[test]
fn usage_draws_from_whose_the_project_was_and_totals_go_by_the_same() {
    let vendor = november();
    vendor.ok(["project", "add", "p", "--customer", "alice"]);
    let issue = ["license", "issue", "alice", "--expires", "2027-11-01", "--count", "100"];
    vendor.ok([&issue[..], &["--id", "LA"]].concat());
    let issue = ["license", "issue", "bob", "--expires", "2027-11-01", "--count", "100"];
    vendor.ok([&issue[..], &["--id", "LB"]].concat());
    vendor.at("2026-11-25T10:00:00Z").ok(["project", "add", "p", "--customer", "bob"]);
    vendor.at("2026-11-26T00:05:00Z");
    let late = ["record", "p", "10", "--id", "a", "--at", "2026-11-20T09:00:00Z"];
    assert_eq!(covered(&vendor, &late), "10");
    // November's bill goes to alice, and so does its last day.
    vendor.at("2026-12-01T00:05:00Z");
    vendor.ok(["record", "p", "1", "--at", "2026-11-30T23:59:59Z"]);
    vendor.ok(["record", "p", "5", "--at", "2026-12-01T00:00:00Z"]);
    assert_eq!([left(&vendor, "LA"), left(&vendor, "LB")], ["89", "95"]);
    assert_eq!(by_customer(&vendor, "2026-11"), [of("alice", "11")]);
    assert_eq!(by_customer(&vendor, "2026-12"), [of("bob", "5")]);
    let both = ["totals", "--from", "2026-11-20", "--to", "2026-12-01"];
    let totals = |more: &[&str]| vendor.json([&both[..], more].concat());
    let rows = totals(&["--by", "customer"])["rows"].clone();
    assert_eq!(
        rows,
        json!([
            {"customerId": "alice", "amount": "11", "records": 2},
            {"customerId": "bob", "amount": "5", "records": 1},
        ])
    );
    for by in ["project", "day", "month"] {
        let totals = totals(&["--customer", "alice", "--by", by]);
        assert_eq!(totals["total"], "11", "{by}");
    }
    let bill = vendor.json(["bill", "--month", "2026-11"]);
    assert_eq!(bill["uncharged"][0]["covered"], "11");
    vendor.ok(["check"]);
}

#[test]
fn the_customer_of_a_record_is_compared_with_that_of_its_time() {
    let vendor = november();
    vendor.ok(["record", "p", "1", "--customer", "alice"]);
    vendor.at("2026-11-25T10:00:00Z").ok(["project", "add", "p", "--customer", "bob"]);
    vendor.at("2026-12-02T10:00:00Z");
    let record = |id: &str, customer: &str, at: &str| {
        vendor.run(["record", "p", "1", "--id", id, "--customer", customer, "--at", at])
    };
    assert_eq!(record("a", "alice", "2026-11-20").code, 0);
    assert_eq!(record("b", "bob", "2026-12-01").code, 0);
    let refused = record("c", "bob", "2026-11-20");
    assert_eq!(refused.code, 4);
    assert!(
        refused.err.contains("in 2026-11 the project p is customer alice's, not bob's")
            && refused.err.contains("--from 2026-11 --rewrite"),
        "{}",
        refused.err
    );
    assert_eq!(record("d", "alice", "2026-12-01").code, 4);
    assert_eq!(import(&vendor, "e,p,1,2026-11-21,alice\nf,p,1,2026-12-01,bob\n").code, 0);
    assert_eq!(import(&vendor, "g,p,1,2026-11-21,bob\n").code, 1);
    assert_eq!(by_customer(&vendor, "2026-11"), [of("alice", "3")]);
    assert_eq!(by_customer(&vendor, "2026-12"), [of("bob", "2")]);
}

#[test]
fn a_repetition_after_a_move_is_the_same_record() {
    let vendor = november();
    let first = ["record", "p1", "1", "--id", "a", "--at", "2026-01-05"];
    let named = |customer: &str| vendor.run([&first[..], &["--customer", customer]].concat());
    let rows = "a,p1,1,2026-01-05,c1\nb,p1,2,2026-11-01T09:00:00Z,c1\n";
    assert_eq!(named("c1").code, 0);
    assert_eq!(import(&vendor, rows).code, 0);
    vendor.ok(["project", "add", "p1", "--customer", "c2"]);
    for at in ["2026-11-02T10:00:00Z", "2026-12-02T10:00:00Z"] {
        vendor.at(at);
        assert!(named("c1").out.starts_with("already recorded"), "{at}");
        assert_eq!(import(&vendor, rows).code, 0);
        assert_eq!(named("c2").code, 4, "never said for it");
        assert_eq!(named("c3").code, 4);
    }
    // A move that is rewritten makes no conflict of an honest repetition, and now both are right.
    let moved = ["project", "add", "p1", "--customer", "c2", "--from", "2026-01", "--rewrite"];
    vendor.ok(moved);
    assert_eq!(["c1", "c2", "c3"].map(|customer| named(customer).code), [0, 0, 4]);
    assert_eq!(import(&vendor, rows).code, 0);
    assert_eq!(vendor.total(), "3");
    // So with one that had no customer as it was recorded.
    vendor.ok(["record", "q", "1", "--id", "q", "--at", "2026-11-05"]);
    vendor.ok(["project", "add", "q", "--customer", "c1"]);
    let again = ["record", "q", "1", "--id", "q", "--at", "2026-11-05", "--customer"];
    vendor.ok([&again[..], &["c1"]].concat());
    vendor.fails(4, [&again[..], &["c2"]].concat());
}

/// Books in which projects were moved, with rows dated before and after, in an order of their own.
fn moved() -> Vendor {
    let vendor = november();
    vendor.at("2026-08-10T10:00:00Z");
    vendor.ok(["record", "p", "1", "--id", "1", "--customer", "alice"]);
    vendor.ok(["record", "nobody's", "1", "--id", "2"]);
    vendor.ok(["project", "add", "p", "--customer", "bob", "--from", "2026-09"]);
    vendor.at("2026-10-10T10:00:00Z");
    vendor.ok(["record", "p", "2", "--id", "3"]);
    vendor.ok(["record", "p", "4", "--id", "4", "--at", "2026-08-20"]);
    vendor.ok(["project", "add", "p", "--customer", "carol"]);
    vendor.ok(["project", "add", "q", "--customer", "dora"]);
    vendor.at("2026-12-10T10:00:00Z");
    vendor.ok(["record", "p", "8", "--id", "5"]);
    vendor.ok(["record", "q", "1", "--id", "6"]);
    // Of months before those that were recorded so far.
    vendor.ok(["record", "p", "16", "--id", "7", "--at", "2026-09-30"]);
    vendor.ok(["record", "p", "32", "--id", "8", "--at", "2026-07-01"]);
    vendor.ok(["void", "4", "--reason", "a mistake"]);
    vendor.ok(["project", "add", "p", "--customer", "alice"]);
    vendor
}

#[test]
fn an_export_tells_the_customer_of_the_time_and_is_taken_by_fresh_and_by_the_same_books() {
    let vendor = moved();
    let customers = ["2026-07", "2026-08", "2026-09", "2026-10", "2026-12"];
    let whose = customers.map(|month| by_customer(&vendor, month));
    for format in ["csv", "jsonl"] {
        let file = format!("all.{format}");
        let export = vendor.ok(["export", "--format", format]).out;
        std::fs::write(vendor.path(&file), &export).expect("a file");
        let same = vendor.ok(["import", &file, "--quiet"]);
        assert!(same.out.contains("recorded 0, there already 8"), "{}", same.out);

        let fresh = november();
        fresh.at("2026-12-10T12:00:00Z");
        std::fs::write(fresh.path(&file), &export).expect("a file");
        let dry = fresh.run(["import", &file, "--quiet", "--dry-run"]);
        assert!(dry.code == 0 && dry.out.contains("to record 8"), "{}{}", dry.out, dry.err);
        // One that was cut short, and run again.
        let head: Vec<&str> = export.lines().take(4).collect();
        let cut = format!("cut.{format}");
        std::fs::write(fresh.path(&cut), head.join("\n") + "\n").expect("a file");
        fresh.ok(["import", &cut, "--quiet"]);
        let dry = fresh.run(["import", &file, "--quiet", "--dry-run"]);
        assert_eq!(dry.code, 0, "{}", dry.err);
        let said = fresh.ok(["import", &file, "--quiet"]).err;
        assert!(said.contains("are moved from then on") && said.contains("p from 2026-"), "{said}");
        assert_eq!(customers.map(|month| by_customer(&fresh, month)), whose);
        let again = fresh.ok(["export", "--format", format]).out;
        assert_eq!(again, export);
        fresh.ok(["check"]);
    }
}

#[test]
fn a_row_moves_no_project_that_was_announced_and_none_in_a_month_that_has_usage() {
    let vendor = november();
    vendor.ok(["project", "add", "announced", "--customer", "a"]);
    vendor.ok(["record", "recorded", "1", "--customer", "a"]);
    vendor.at("2026-12-02T10:00:00Z");
    for (dry_run, rows) in [
        (false, "1,announced,1,2026-12-01,b\n"),
        (false, "1,recorded,1,2026-11-01T09:00:00Z,b\n"),
        (false, "1,recorded,1,2026-12-01,b\n"),
        (false, "3,new,1,2026-12-01,a\n4,new,1,2026-12-01,b\n"),
        (true, "1,announced,1,2026-12-01,b\n"),
        (true, "1,recorded,1,2026-11-01T09:00:00Z,b\n"),
    ] {
        let ended = import(&vendor, rows);
        let ended = if dry_run { vendor.run(["import", "rows.csv", "--dry-run"]) } else { ended };
        assert!(ended.code == 1 && ended.err.contains("is customer a's, not b's"), "{}", ended.err);
    }
    // `record` moves none.
    vendor.fails(4, ["record", "recorded", "1", "--at", "2026-12-01", "--customer", "b"]);
    let moved = import(&vendor, "2,recorded,1,2026-11-20,a\n5,recorded,1,2026-12-01,b\n");
    assert!(moved.code == 0 && moved.err.contains("recorded from 2026-12 to b"), "{}", moved.err);
    assert_eq!(by_customer(&vendor, "2026-11"), [of("a", "2")]);
    assert_eq!(by_customer(&vendor, "2026-12"), [of("a", "1"), of("b", "1")]);
    // Nor to a customer whom nobody knows, where those are refused.
    vendor.ok(["setting", "set", "unknown-projects", "refuse"]);
    let rows = "2,recorded,1,2026-11-20,a\n6,recorded,1,2026-10-05,zed\n";
    let unknown = import(&vendor, rows);
    assert!(unknown.code == 1 && unknown.err.contains("customer zed"), "{}", unknown.err);
    vendor.fails(3, ["customer", "show", "zed"]);
    vendor.ok(["check"]);
}

#[test]
fn what_comes_over_days_with_uncovered_usage_says_how_much_and_covers_none_of_it() {
    let vendor = november();
    vendor.ok(["project", "add", "p", "--customer", "c"]);
    let issue = ["license", "issue", "c", "--id", "L", "--expires", "2026-11-03", "--count", "2"];
    assert!(!vendor.ok(issue).err.contains("uncovered"), "there is nothing yet");
    vendor.at("2026-11-10T10:00:00Z");
    vendor.ok(["record", "p", "5", "--at", "2026-11-02T09:00:00Z"]);
    vendor.ok(["record", "p", "4", "--at", "2026-11-05T23:59:59Z"]);
    vendor.ok(["record", "p", "16", "--at", "2026-10-31"]);
    vendor.ok(["record", "p", "32", "--id", "voided"]);
    vendor.ok(["void", "voided", "--reason", "a mistake"]);
    let bill = billed(&vendor, "2026-11");
    assert_eq!(bill, "7");
    let says = |arguments: &[&str], uncovered: Option<&str>| {
        let said = vendor.ok(arguments).err;
        match uncovered {
            Some(amount) => assert!(
                said.contains(&format!("{amount} of customer c's usage from "))
                    && said.contains("stays uncovered"),
                "{arguments:?}: {said}"
            ),
            None => assert!(!said.contains("uncovered"), "{arguments:?}: {said}"),
        }
        assert_eq!(billed(&vendor, "2026-11"), bill);
    };
    says(&["license", "adjust", "L", "10", "--reason", "a gift"], Some("3"));
    says(&["license", "adjust", "L", "-1", "--reason", "too many"], None);
    says(&["license", "extend", "L", "--to", "2026-11-05"], Some("4"));
    says(&["license", "revoke", "L"], None);
    // It covers no day more as long as it is revoked, and from then on those after that.
    says(&["license", "extend", "L", "--to", "2026-11-20"], None);
    vendor.at("2026-11-12T10:00:00Z");
    vendor.ok(["record", "p", "64", "--at", "2026-11-11", "--id", "while-revoked"]);
    let said = vendor.ok(["license", "reinstate", "L"]).err;
    assert!(said.contains("64 of customer c's usage from 2026-11-10T10:00:00Z to "), "{said}");
    vendor.ok(["void", "while-revoked", "--reason", "a test"]);
    says(&["license", "reinstate", "L"], None);
    let past = ["license", "issue", "c", "--starts", "2026-10-31", "--expires", "2026-11-04"];
    let past = [&past[..], &["--unlimited", "--op-id", "o"]].concat();
    says(&past, Some("19"));
    says(&past, None);
    says(&["license", "issue", "c", "--expires", "2026-12-31", "--unlimited"], None);
    vendor.ok(["check"]);
}

#[test]
fn a_project_that_comes_to_a_customer_brings_uncovered_usage_and_the_verb_says_how_much() {
    let vendor = november();
    for project in ["a", "b", "d"] {
        vendor.ok(["record", project, "3", "--at", "2026-11-01T09:00:00Z"]);
        vendor.ok(["record", project, "4", "--at", "2026-10-15"]);
    }
    vendor.ok(["project", "add", "moved", "--customer", "other"]);
    vendor.ok(["record", "moved", "5", "--at", "2026-11-01T09:00:00Z"]);
    let starts = ["--starts", "2026-10-20", "--expires", "2027-12-31"];
    vendor.ok([&["license", "issue", "c", "--unlimited"][..], &starts].concat());
    // Several licenses of one time count once.
    vendor.ok([&["license", "issue", "c", "--count", "9"][..], &starts].concat());
    let words = |project: &str, amount: &str| {
        format!(
            "{amount} of project {project}'s usage lies in the time of customer c's licenses and \
             stays uncovered"
        )
    };
    let said = vendor.ok(["record", "a", "1", "--customer", "c"]).err;
    assert!(said.contains(&words("a", "3")), "{said}");
    let said = vendor.ok(["project", "add", "b", "--customer", "c"]).err;
    assert!(said.contains(&words("b", "3")), "{said}");
    let said = import(&vendor, "x,d,1,2026-10-25,c\n").err;
    assert!(said.contains(&words("d", "3")), "{said}");
    let rewrite = ["project", "add", "moved", "--customer", "c", "--from", "2026-11", "--rewrite"];
    let said = vendor.ok(rewrite).err;
    assert!(said.contains(&words("moved", "5")), "{said}");
    // From the next month on there is none.
    vendor.ok(["project", "add", "later", "--customer", "other"]);
    vendor.ok(["record", "later", "5", "--at", "2026-11-01T09:00:00Z"]);
    let said = vendor.ok(["project", "add", "later", "--customer", "c"]).err;
    assert!(!said.contains("uncovered"), "{said}");
    assert_eq!(billed(&vendor, "2026-11"), "19");
    vendor.ok(["check"]);
}

#[test]
fn what_agora_brings_over_days_with_uncovered_usage_is_logged() {
    let vendor = november();
    let server = vendor.serve();
    vendor.ok(["customer", "add", "c"]);
    vendor.ok(["record", "p", "3", "--at", "2026-11-01T09:00:00Z"]);
    vendor.ok(["record", "p", "4", "--at", "2026-11-01T08:00:00Z"]);
    let (from, to) = (second("2026-11-01T08:30:00Z"), second("2026-12-31T00:00:00Z"));
    let activate = format!(r#""platform":"ios","expire":"{from}-{to}""#);
    let answer = server.call("PUT", "/license/customers/c/activate", &activate);
    assert_eq!(answer.status, 200);
    assert!(!server.log().contains("uncovered"), "{}", server.log());
    server.call("POST", "/customers/c/projects/new", r#""projectId":"p""#);
    let words = "3 of project p's usage lies in the time of customer c's licenses";
    server.log_with(words);
    let activate = format!(r#""platform":"ios","type":"x","expire":"{}-{to}""#, from - 86_400);
    server.call("PUT", "/license/customers/c/activate", &activate);
    server.log_with("7 of customer c's usage lies in the time of the license that it was sold");
    assert_eq!(billed(&vendor, "2026-11"), "7");
}

#[test]
fn a_license_that_was_revoked_before_it_began_ended_on_the_day_it_was_revoked() {
    let vendor = november();
    let issue = ["license", "issue", "c", "--starts", "2027-01-01", "--expires", "2027-12-31"];
    vendor.ok([&issue[..], &["--id", "L", "--unlimited"]].concat());
    let server = vendor.serve();
    let told = || server.ask("/customers/c/license", &[]).json()["data"].clone();
    assert_eq!(told(), json!({"expireDate": "2027-12-31", "residueCount": "0"}));
    vendor.at("2026-11-05T10:00:00Z").ok(["license", "revoke", "L"]);
    assert_eq!(told(), json!({"expireDate": "2026-11-05", "residueCount": "0"}));
    vendor.at("2027-05-05T10:00:00Z");
    assert_eq!(told(), json!({"expireDate": "2026-11-05", "residueCount": "0"}));
    let late = ["record", "p", "1", "--customer", "c", "--at", "2027-01-05"];
    assert_eq!(covered(&vendor, &late), "0");
}

#[test]
fn several_live_licenses_tell_the_latest_expiry_and_the_sum_of_what_is_left() {
    let vendor = november();
    vendor.ok(["license", "issue", "c", "--expires", "2026-11-20", "--count", "7"]);
    vendor.ok(["license", "issue", "c", "--expires", "2026-12-20", "--count", "0.5"]);
    let told = vendor.serve().ask("/customers/c/license", &[]).json()["data"].clone();
    assert_eq!(told, json!({"expireDate": "2026-12-20", "residueCount": "7.5"}));
}

#[test]
fn a_clock_that_is_set_back_changes_nothing_of_past_enablement() {
    let vendor = november();
    let server = vendor.serve();
    let create = || server.call("POST", "/customers/c/projects/new", r#""projectId":"p""#).status;
    let disable = || server.call("PUT", "/customers/c/projects/p/deactivate", "").status;
    server.call("POST", "/customers/new", r#""planId":"default","customerId":"c""#);
    vendor.at("2026-11-02T10:00:00Z");
    assert_eq!(create(), 200);
    vendor.at("2026-11-20T10:00:00Z");
    assert_eq!(disable(), 200);
    assert!(!server.log().contains("the clock is"), "{}", server.log());
    // The clock goes back to before all of it for a moment, and Agora enables and disables the
    // project meanwhile.
    vendor.at("2026-11-01T11:00:00Z");
    assert_eq!((create(), disable()), (200, 200));
    vendor.at("2026-11-21T10:00:00Z");
    let shown = vendor.json(["project", "show", "p"]);
    assert_eq!(shown["disabledAt"], "2026-11-20T10:00:00Z");
    let words = "before the last enabling or disabling of project p: it is written as enabled at";
    assert!(server.log().contains(words), "{}", server.log());
    assert!(server.log().contains("written as disabled at"), "{}", server.log());
    let times = |shown: &serde_json::Value| {
        let events = shown["events"].as_array().expect("events").iter();
        let changes =
            events.filter(|event| event["change"] == "enabled" || event["change"] == "disabled");
        changes.map(|event| event["at"].as_str().expect("a time").to_owned()).collect::<Vec<_>>()
    };
    let last = "2026-11-20T10:00:00Z";
    assert_eq!(times(&shown), ["2026-11-02T10:00:00Z", last, last, last]);
    // It was enabled on each of these days, and on none after.
    let total_size = |date: &str| {
        let (from, to) = day(date);
        server.usage(from, to).json()["data"]["totalSize"].clone()
    };
    let days = ["2026-11-01", "2026-11-02", "2026-11-10", "2026-11-20", "2026-11-21"];
    assert_eq!(days.map(total_size), [0, 1, 1, 1, 0].map(|size| json!(size)));
    // Enabled at the shell with a clock that is behind: it says so.
    vendor.at("2026-11-19T10:00:00Z");
    let said = vendor.ok(["project", "add", "p", "--customer", "c"]).err;
    assert!(said.contains("the clock is 86400 seconds before"), "{said}");
    vendor.ok(["project", "disable", "p"]);
    vendor.at("2026-11-18T10:00:00Z");
    let said = vendor.ok(["project", "enable", "p"]).err;
    assert!(said.contains("the clock is 172800 seconds before"), "{said}");
    vendor.ok(["check"]);
}

#[test]
fn usage_after_a_deactivation_is_told_by_the_account_of_its_time() {
    let vendor = november();
    let server = vendor.serve();
    for customer in ["alice", "bob"] {
        let account = format!(r#""planId":"default","customerId":"{customer}""#);
        server.call("POST", "/customers/new", &account);
    }
    let rows = "1,p,1,2026-11-01T09:00:00Z,alice\n";
    assert_eq!(import(&vendor, rows).code, 0);
    vendor.at("2026-12-03T10:00:00Z");
    let rows = "1,p,1,2026-11-01T09:00:00Z,alice\n2,p,1,2026-12-01,bob\n";
    assert_eq!(import(&vendor, rows).code, 0);
    server.call("PUT", "/customers/bob/deactivate", "");
    vendor.at("2026-12-05T10:00:00Z");
    let said = |at: &str| vendor.ok(["record", "p", "1", "--at", at]).err;
    assert!(said("2026-12-04").contains("was disabled at 2026-12-03T10:00:00Z"));
    server.call("PUT", "/customers/alice/deactivate", "");
    assert!(!said("2026-11-30").contains("disabled"), "it was alice's, whose account was active");
}
