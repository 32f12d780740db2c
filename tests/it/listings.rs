//! `/usage` and `/bill` over the socket: windows, pages, both envelopes, and what others change
//! meanwhile.

use crate::vendor::{Server, Vendor, day, second};
use serde_json::json;

fn amounts(server: &Server, from: &str, to: &str) -> Vec<(String, String)> {
    server.usage(second(from), second(to)).entries()
}

#[test]
fn a_days_first_and_last_second_are_in_its_window_and_the_next_days_is_not() {
    let vendor = Vendor::new();
    for (amount, at) in [
        ("1", "2026-10-09T23:59:59Z"),
        ("2", "2026-10-10T00:00:00Z"),
        ("4", "2026-10-10T23:59:59Z"),
        ("8", "2026-10-11T00:00:00Z"),
    ] {
        vendor.ok(["record", "p", amount, "--at", at]);
    }
    let server = vendor.serve();
    for (from, to, amount) in [
        ("2026-10-10T00:00:00Z", "2026-10-10T23:59:59Z", "6"),
        ("2026-10-10T00:00:00Z", "2026-10-10T00:00:00Z", "2"),
        ("2026-10-10T23:59:59Z", "2026-10-10T23:59:59Z", "4"),
        ("2026-10-09T23:59:59Z", "2026-10-10T00:00:01Z", "3"),
        ("2026-01-01T00:00:00Z", "2026-12-31T23:59:59Z", "15"),
        ("2025-10-10T00:00:01Z", "2026-10-10T23:59:58Z", "3"),
    ] {
        assert_eq!(
            amounts(&server, from, to),
            [("p".to_owned(), amount.to_owned())],
            "{from} to {to}"
        );
    }
    assert_eq!(amounts(&server, "2026-10-10T00:00:01Z", "2026-10-10T23:59:58Z"), []);
    assert_eq!(amounts(&server, "2026-10-10T12:00:00Z", "2026-10-10T12:00:00Z"), []);
    assert_eq!(server.usage(1_000_000_000, 9_999_999_999).entries()[0].1, "15");
}

#[test]
fn records_of_the_same_second_are_added_up_once_each() {
    let vendor = Vendor::new();
    for (project, amount, id) in
        [("p", "1", "a"), ("p", "2", "b"), ("p", "4", "c"), ("q", "8", "d"), ("p", "16", "e")]
    {
        vendor.ok(["record", project, amount, "--id", id, "--at", "2026-10-10"]);
    }
    vendor.ok(["void", "a", "--reason", "the first of its second"]);
    vendor.ok(["void", "c", "--reason", "one of the crowd"]);
    vendor.ok(["record", "p", "32", "--at", "2026-10-10"]);
    vendor.ok(["check"]);
    let server = vendor.serve();
    let wanted = [("p".to_owned(), "50".to_owned()), ("q".to_owned(), "8".to_owned())];
    for (from, to) in [
        ("2026-10-10T12:00:00Z", "2026-10-10T12:00:00Z"),
        ("2026-10-10T00:00:00Z", "2026-10-10T12:00:01Z"),
        ("2026-10-10T12:00:00Z", "2026-10-10T23:59:59Z"),
        ("2026-10-10T11:59:59Z", "2026-10-10T12:00:01Z"),
        ("2026-10-10T00:00:01Z", "2026-10-10T23:59:58Z"),
    ] {
        assert_eq!(amounts(&server, from, to), wanted, "{from} to {to}");
    }
    assert_eq!(amounts(&server, "2026-10-10T12:00:01Z", "2026-10-10T23:59:59Z"), []);
    assert_eq!(amounts(&server, "2026-10-10T00:00:00Z", "2026-10-10T11:59:59Z"), []);
    assert_eq!(amounts(&server, "2026-10-10T00:00:00Z", "2026-10-10T12:00:00Z"), []);
}

#[test]
fn two_thousand_five_hundred_projects_come_once_each_in_25_full_pages() {
    let vendor = Vendor::new();
    let projects = (0..2_500).map(|n| n.to_string()).chain(["1000-voided".to_owned()]);
    let rows: String =
        projects.map(|project| format!("{project},{project},1,2026-10-10\n")).collect();
    std::fs::write(vendor.path("usage.csv"), format!("id,projectId,amount,at\n{rows}"))
        .expect("a file");
    vendor.ok(["import", "usage.csv"]);
    vendor.ok(["void", "1000-voided", "--reason", "mistake"]);
    let server = vendor.serve();
    let (from, to) = day("2026-10-10");
    let mut seen = Vec::new();
    for page_num in 1..=25 {
        let page = server.listing("/usage", from, to, page_num);
        assert_eq!(page.entries().len(), 100, "a page that is not the last is full");
        assert_eq!(page.json()["data"]["pageNum"], page_num);
        assert_eq!(page.json()["data"]["hasNext"], page_num < 25);
        assert_eq!(page.json()["data"]["totalSize"], 2_500);
        seen.extend(page.entries().into_iter().map(|(project, _)| project));
    }
    let mut wanted: Vec<String> = (0..2_500).map(|n| n.to_string()).collect();
    wanted.sort();
    assert_eq!(seen, wanted, "each project once, in the order of bytes");
    let past = server.listing("/usage", from, to, 26);
    assert_eq!((past.entries(), &past.json()["data"]["hasNext"]), (vec![], &json!(false)));
}

#[test]
fn limit_changes_the_pages_and_not_the_total() {
    let vendor = Vendor::new();
    for project in ["a", "b", "c"] {
        vendor.ok(["record", project, "1", "--at", "2026-10-10"]);
    }
    let server = vendor.serve();
    let (from, to) = day("2026-10-10");
    let (from, to) = (from.to_string(), to.to_string());
    let page = |page_num: &str, limit: &str| {
        let parameters =
            [("fromTs", from.as_str()), ("toTs", &to), ("pageNum", page_num), ("limit", limit)];
        let answer = server.ask("/usage", &parameters);
        let data = answer.json()["data"].clone();
        let projects: Vec<String> =
            answer.entries().into_iter().map(|(project, _)| project).collect();
        (
            projects.concat(),
            data["hasNext"].as_bool().expect("a flag"),
            data["totalSize"].as_u64().expect("a number"),
        )
    };
    assert_eq!(page("1", "2"), ("ab".into(), true, 3));
    assert_eq!(page("2", "2"), ("c".into(), false, 3));
    assert_eq!(page("3", "1"), ("c".into(), false, 3));
    assert_eq!(page("4", "1"), (String::new(), false, 3));
    assert_eq!(page("1", "99999999999999999999"), ("abc".into(), false, 3));
    assert_eq!(page("2147483647", "1000"), (String::new(), false, 3));
}

#[test]
fn total_size_counts_enabled_projects_and_those_with_usage_in_the_window() {
    let vendor = Vendor::new();
    vendor.ok(["project", "add", "enabled-now", "--customer", "c"]);
    vendor.ok(["record", "used", "1", "--at", "2026-10-10"]);
    vendor.ok(["record", "used-elsewhere", "1", "--at", "2026-09-10"]);
    let server = vendor.serve();
    let total_size = |(from, to)| server.usage(from, to).json()["data"]["totalSize"].clone();
    assert_eq!(total_size(day("2026-10-10")), 1);
    let now = jiff::Timestamp::now().as_second();
    assert_eq!(total_size((second("2026-10-10T00:00:00Z"), now + 60)), 2);
    assert_eq!(total_size((now + 60, now + 120)), 1);
    vendor.ok(["record", "enabled-now", "1"]);
    assert_eq!(total_size((now - 60, now + 60)), 1);
}

#[test]
fn the_next_request_sees_what_another_process_committed() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let (from, to) = day("2026-10-10");
    assert_eq!(server.usage(from, to).entries(), []);
    for n in 1..=20 {
        vendor.ok(["record", "p", "1", "--at", "2026-10-10"]);
        assert_eq!(server.usage(from, to).entries(), [("p".to_owned(), n.to_string())]);
        assert_eq!(server.usage(from, to).entries(), [("p".to_owned(), n.to_string())]);
    }
}

#[test]
fn the_answers_are_agoras_printed_ones_in_either_form() {
    let vendor = Vendor::new();
    vendor.ok(["plan", "set", "default", "--name", "Standard", "--unit", "Minute", "--price", "2"]);
    vendor.ok(["record", "430892", "1.5", "--at", "2026-10-10"]);
    let (from, to) = day("2026-10-10");
    let entry = r#"{"projectId":"430892","amount":1.5,"description":"1.5 Minute × Standard"}"#;
    let bill_entry =
        r#"{"projectId":"430892","amount":3,"description":"1.5 Minute × Standard (2 each)"}"#;
    let server = vendor.serve();
    assert_eq!(
        server.usage(from, to).body,
        format!(
            r#"{{"status":0,"statusReason":"Success getting usage data","data":{{"totalSize":1,"pageNum":1,"hasNext":false,"data":[{entry}]}}}}"#
        )
    );
    let flat = vendor.serve_with(["--envelope", "flat"]);
    assert_eq!(
        flat.usage(from, to).body,
        format!(
            r#"{{"status":0,"statusReason":"Success getting usage data","totalSize":1,"pageNum":1,"hasNext":false,"data":[{entry}]}}"#
        )
    );
    assert_eq!(
        flat.listing("/bill", from, to, 1).body,
        format!(
            r#"{{"status":0,"statusReason":"Success getting billing data","totalSize":1,"pageNum":1,"hasNext":false,"data":[{bill_entry}]}}"#
        )
    );
}

#[test]
fn a_server_under_a_path_answers_under_it_and_the_path_is_signed() {
    let vendor = Vendor::new();
    vendor.ok(["record", "p", "1", "--at", "2026-10-10"]);
    let server = vendor.serve_with(["--base-path", "/agora"]);
    let (from, to) = day("2026-10-10");
    assert_eq!(server.listing("/agora/usage", from, to, 1).entries().len(), 1);
    assert_eq!(server.listing("/usage", from, to, 1).status, 404);
    assert_eq!(server.get("/agora/healthz").status, 200);
    let target =
        crate::vendor::signed(crate::vendor::API_KEY, crate::vendor::API_SECRET, "/usage", &[]);
    assert_eq!(server.get(&format!("/agora{target}")).status, 401);
}

#[test]
fn the_health_of_a_server_is_told_unsigned() {
    let vendor = Vendor::new();
    let answer = vendor.serve().get("/healthz");
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, r#"{"status":"success","statusReason":""}"#)
    );
}
