//! What Agora is told: pages that cannot shift, the ledger of statements, and what came too late
//! for them.

use crate::vendor::{Answer, Server, Vendor, day, second};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Asks for a page with a limit.
pub fn page(
    server: &Server,
    path: &str,
    (from, to): (i64, i64),
    page_num: usize,
    limit: usize,
) -> Answer {
    let (from, to) = (from.to_string(), to.to_string());
    let (page_num, limit) = (page_num.to_string(), limit.to_string());
    server.ask(path, &[("fromTs", &from), ("toTs", &to), ("pageNum", &page_num), ("limit", &limit)])
}

/// The same where the server may be gone: `None` where there is no whole answer.
fn try_page(
    server: &Server,
    path: &str,
    (from, to): (i64, i64),
    page_num: usize,
    limit: usize,
) -> Option<Answer> {
    let (from, to) = (from.to_string(), to.to_string());
    let (page_num, limit) = (page_num.to_string(), limit.to_string());
    let parameters =
        [("fromTs", from.as_str()), ("toTs", &to), ("pageNum", &page_num), ("limit", &limit)];
    server.try_get(&crate::vendor::signed(
        crate::vendor::API_KEY,
        crate::vendor::API_SECRET,
        path,
        &parameters,
    ))
}

pub fn has_next(answer: &Answer) -> bool {
    answer.json()["data"]["hasNext"].as_bool().expect("a flag")
}

/// Follows a listing from page 1 until there is no next page; calls `between` before each.
pub fn follow(
    server: &Server,
    path: &str,
    window: (i64, i64),
    limit: usize,
    mut between: impl FnMut(),
) -> Vec<(String, String)> {
    let mut entries = Vec::new();
    for page_num in 1.. {
        between();
        let answer = page(server, path, window, page_num, limit);
        entries.extend(answer.entries());
        if !has_next(&answer) {
            break;
        }
    }
    entries
}

/// Whether a listing is what the ledger added up to after some entry of it.
fn is_one_instants_truth(ledger: &[(String, i64)], told: &BTreeMap<String, i64>) -> bool {
    let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
    let mut wrong = told.len();
    for (project, amount) in ledger {
        let sum = sums.entry(project).or_default();
        let wanted = told.get(project).copied().unwrap_or_default();
        wrong -= usize::from(*sum != wanted);
        *sum += amount;
        wrong += usize::from(*sum != wanted);
        if wrong == 0 {
            return true;
        }
    }
    wrong == 0
}

#[test]
fn fifty_pages_followed_while_others_record_list_each_project_once_and_tell_one_instants_truth() {
    let vendor = Vendor::new();
    let line = |id: &str, project: &str| {
        format!(
            "{{\"id\":\"{id}\",\"projectId\":\"{project}\",\"amount\":1,\"at\":\"2026-10-10\"}}\n"
        )
    };
    let first: String =
        (0..500).map(|n| line(&format!("first-{n}"), &format!("m{n:03}"))).collect();
    std::fs::write(vendor.path("first.jsonl"), first).expect("a file");
    vendor.ok(["import", "first.jsonl"]);
    let server = vendor.serve();
    // Projects that sort before, between and after those that are there, and more of what is there.
    let mut import = vendor
        .command(["import", "-", "--format", "jsonl", "--quiet"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs");
    let mut rows = import.stdin.take().expect("piped");
    let mut made = 0;
    let mut record_more = || {
        let row = |n: usize| {
            let project = match n % 24 {
                0 => format!("a{n}"),
                8 => format!("m{:03}-{n}", n % 500),
                16 => format!("z{n}"),
                _ => format!("m{:03}", n % 500),
            };
            line(&format!("more-{n}"), &project)
        };
        let several: String = (made..made + 32).map(row).collect();
        made += 32;
        rows.write_all(several.as_bytes()).expect("it reads");
    };
    let over = AtomicBool::new(false);
    let mut walks = Vec::new();
    thread::scope(|scope| {
        // And projects that go.
        scope.spawn(|| {
            for n in 0..500 {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                vendor.ok(["void", &format!("first-{n}"), "--reason", "a test"]);
            }
        });
        for _ in 0..if crate::vendor::long() { 60 } else { 6 } {
            let before =
                page(&server, "/usage", day("2026-10-10"), 1, 1).json()["data"]["totalSize"]
                    .as_u64();
            let limit = usize::try_from(before.expect("a number")).expect("few") / 50;
            walks.push(follow(&server, "/usage", day("2026-10-10"), limit, &mut record_more));
        }
        over.store(true, Ordering::Relaxed);
    });
    drop(rows);
    assert!(import.wait().expect("an end").success());
    let sql = vendor.sql();
    let mut select = sql
        .prepare(
            "select project_id, cast(amount as integer) from usage_ledger join project using \
             (project_no) order by seq",
        )
        .expect("a statement");
    let ledger = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("a ledger");
    let ledger: Vec<(String, i64)> = ledger.collect::<Result<_, _>>().expect("a ledger");
    assert!(ledger.len() > 700, "{}", ledger.len());
    for (n, walk) in walks.iter().enumerate() {
        let mut told = BTreeMap::new();
        for (project, amount) in walk {
            let again = told.insert(project.clone(), amount.parse().expect("a number"));
            assert_eq!(again, None, "walk {n} lists {project} twice");
        }
        assert!(
            is_one_instants_truth(&ledger, &told),
            "walk {n} of {} is no instant's truth",
            told.len()
        );
    }
}

/// Stops a server, which writes down what it has told.
pub fn stop(server: Server) {
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
}

pub fn statements(vendor: &Vendor) -> Vec<Value> {
    vendor.json(["statement", "list"])["statements"].as_array().expect("a list").clone()
}

/// Waits until so many statements are kept: those of usage are right after they were told.
pub fn until_kept(vendor: &Vendor, count: i64) {
    let sql = vendor.sql();
    let kept = || {
        sql.query_row("select count(*) from statement", [], |row| row.get::<_, i64>(0))
            .expect("a count")
    };
    let until = Instant::now() + Duration::from_secs(20);
    while kept() < count {
        assert!(Instant::now() < until, "{} of {count} are kept", kept());
        thread::yield_now();
    }
}

/// A vendor with a plan and records of three projects on 2026-10-10.
pub fn with_usage() -> Vendor {
    let vendor = Vendor::new();
    vendor.ok(["plan", "set", "default", "--name", "Standard", "--unit", "Minute", "--price", "2"]);
    for (project, amount) in [("b", "1"), ("d", "2"), ("f", "4")] {
        vendor.ok(["record", project, amount, "--id", project, "--at", "2026-10-10"]);
    }
    vendor
}

pub const OCTOBER: (&str, &str) = ("2026-10-01T00:00:00Z", "2026-10-31T23:59:59Z");

pub fn october() -> (i64, i64) {
    (second(OCTOBER.0), second(OCTOBER.1))
}

#[test]
fn later_pages_say_what_page_1_said_however_they_are_cut_and_page_1_anew_is_fresh() {
    let vendor = with_usage();
    let server = vendor.serve();
    let window = day("2026-10-10");
    for path in ["/usage", "/bill"] {
        let names = |page_num, limit| -> String {
            page(&server, path, window, page_num, limit)
                .entries()
                .into_iter()
                .map(|(project, _)| project)
                .collect()
        };
        assert_eq!(names(1, 1), "b");
        let second_page = page(&server, path, window, 2, 1).body;
        vendor.ok(["record", "a", "1", "--id", path, "--at", "2026-10-10"]);
        assert_eq!(page(&server, path, window, 2, 1).body, second_page, "byte for byte");
        assert_eq!(
            (names(3, 1), names(2, 2), names(4, 1)),
            ("f".to_owned(), "f".to_owned(), String::new())
        );
        let other = (window.0, window.1 + 2);
        assert_eq!(
            page(&server, path, other, 1, 9).entries().len(),
            4,
            "another window is another sequence"
        );
        assert_eq!(names(2, 1), "d");
        assert_eq!(names(1, 1), "a");
        assert_eq!(names(2, 1), "b");
        vendor.ok(["void", path, "--reason", "the next one starts anew"]);
    }
}

#[test]
fn a_revoked_key_gets_no_later_page() {
    let vendor = with_usage();
    let server = vendor.serve();
    assert_eq!(page(&server, "/usage", day("2026-10-10"), 1, 1).status, 200);
    vendor.ok(["key", "add"]);
    vendor.ok(["key", "revoke", crate::vendor::API_KEY]);
    assert_eq!(page(&server, "/usage", day("2026-10-10"), 2, 1).status, 401);
}

#[test]
fn a_bill_is_in_the_ledger_before_its_last_page_goes_out_and_the_same_one_again_is_counted() {
    let vendor = with_usage();
    let server = vendor.serve();
    for page_num in 1..=2 {
        page(&server, "/bill", october(), page_num, 1);
        assert_eq!(statements(&vendor), Vec::<Value>::new(), "it has not been told to its end");
    }
    assert!(!has_next(&page(&server, "/bill", october(), 3, 1)));
    let kept = statements(&vendor);
    assert_eq!(kept.len(), 1);
    for (field, value) in [
        ("seq", json!(1)),
        ("kind", json!("bill")),
        ("from", json!(OCTOBER.0)),
        ("to", json!(OCTOBER.1)),
        ("asked", json!(1)),
        ("provisional", json!(false)),
        ("total", json!("14")),
        ("totalSize", json!(3)),
        ("knewSeq", json!(3)),
    ] {
        assert_eq!(kept[0][field], value, "{field}");
    }
    let shown = vendor.json(["statement", "show", "1"]);
    assert_eq!(
        shown["entries"][0],
        json!({
            "projectId": "b", "amount": "2", "description": "1 Minute × Standard (2 each)",
            "usage": "1", "covered": "0", "unpriced": false
        })
    );
    vendor.fails(3, ["statement", "show", "2"]);
    // Of other days: the answer stays the same, and knows more.
    vendor.ok(["record", "b", "1", "--at", "2026-09-10"]);
    page(&server, "/bill", october(), 3, 1);
    for _ in 0..20 {
        page(&server, "/bill", october(), 1, 100);
    }
    stop(server);
    let kept = statements(&vendor);
    assert_eq!(
        (kept.len(), &kept[0]["asked"], &kept[0]["lastKnewSeq"]),
        (1, &json!(22), &json!(4))
    );
    let server = vendor.serve();
    vendor.ok(["record", "b", "1", "--at", "2026-10-10"]);
    page(&server, "/bill", october(), 1, 100);
    let kept = statements(&vendor);
    assert_eq!((kept.len(), &kept[1]["total"], &kept[1]["knewSeq"]), (2, &json!("16"), &json!(5)));
    vendor.ok(["check"]);
}

#[test]
fn a_usage_statement_is_kept_right_after_and_counted_when_it_is_told_again() {
    let vendor = with_usage();
    let server = vendor.serve();
    for _ in 0..5 {
        assert_eq!(follow(&server, "/usage", day("2026-10-10"), 2, || {}).len(), 3);
    }
    stop(server);
    let kept = statements(&vendor);
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(
        (&kept[0]["kind"], &kept[0]["asked"], &kept[0]["total"], &kept[0]["totalSize"]),
        (&json!("usage"), &json!(5), &json!("7"), &json!(3))
    );
    let entries = vendor.json(["statement", "show", "1"])["entries"].clone();
    assert_eq!(
        entries[2],
        json!({"projectId": "f", "amount": "4", "description": "4 Minute × Standard"})
    );
    vendor.ok(["check"]);
}

#[test]
fn what_is_not_told_to_agora_leaves_no_statement() {
    let vendor = with_usage();
    let keys = vendor.json(["key", "list"]);
    let test_pair =
        keys.as_array().expect("pairs").iter().find(|pair| pair["purpose"] == "test").expect("one");
    let api_key = test_pair["apiKey"].as_str().expect("a key");
    let shown = vendor.json(["key", "show", api_key, "--secret"]);
    let secret = shown["apiSecret"].as_str().expect("a secret");
    let server = vendor.serve();
    let (from, to) = (OCTOBER.0, OCTOBER.1);
    let (from, to) = (second(from).to_string(), second(to).to_string());
    for path in ["/usage", "/bill"] {
        let parameters = [("fromTs", from.as_str()), ("toTs", to.as_str()), ("pageNum", "1")];
        let answer = server.get(&crate::vendor::signed(api_key, secret, path, &parameters));
        assert_eq!((answer.entries().len(), has_next(&answer)), (3, false));
        // Not the end, and past it.
        assert!(has_next(&page(&server, path, october(), 1, 2)));
        assert!(!has_next(&page(&server, path, october(), 9, 2)));
    }
    stop(server);
    assert_eq!(statements(&vendor), Vec::<Value>::new());
}

#[test]
fn a_window_that_is_not_over_is_provisional_and_nothing_is_late_for_it() {
    let vendor = with_usage();
    let server = vendor.serve();
    let window = (second(OCTOBER.0), jiff::Timestamp::now().as_second() + 600);
    for path in ["/usage", "/bill"] {
        page(&server, path, window, 1, 100);
    }
    stop(server);
    let kept = statements(&vendor);
    assert_eq!(
        (kept.len(), &kept[0]["provisional"], &kept[1]["provisional"]),
        (2, &json!(true), &json!(true))
    );
    let recorded = vendor.ok(["record", "b", "1", "--at", "2026-10-10"]);
    assert_eq!(recorded.err, "");
    let nothing = json!({"rows": [], "unpriced": [], "unknown": ["2026-10"]});
    assert_eq!(vendor.json(["statement", "late"]), nothing);
    let listed = vendor.json(["statement", "list", "--month", "2026-10", "--kind", "usage"]);
    assert_eq!(
        listed["neverAsked"],
        json!([{"kind": "usage", "from": OCTOBER.0, "to": OCTOBER.1, "onlyProvisional": true}])
    );
}

#[test]
fn a_window_that_is_over_as_it_is_asked_for_again_is_another_statement() {
    let vendor = with_usage();
    let server = vendor.serve();
    let now_s = || jiff::Timestamp::now().as_second();
    let window = (second(OCTOBER.0), now_s() + 1);
    // Answered out of memory: nothing is committed, but for what is kept of these.
    while now_s() <= window.1 {
        for path in ["/usage", "/bill"] {
            assert_eq!(page(&server, path, window, 1, 100).status, 200);
        }
    }
    for path in ["/usage", "/bill"] {
        page(&server, path, window, 1, 100);
    }
    stop(server);
    let kept = statements(&vendor);
    for kind in ["usage", "bill"] {
        let provisional: Vec<_> = kept
            .iter()
            .filter(|kept| kept["kind"] == kind)
            .map(|kept| kept["provisional"].clone())
            .collect();
        assert_eq!(provisional, [true, false], "{kind}");
    }
    vendor.ok(["check"]);
}

#[test]
fn a_bill_that_cannot_be_kept_in_time_is_not_told_to_its_end() {
    let vendor = with_usage();
    let server = vendor.serve();
    let first = page(&server, "/bill", october(), 1, 2).body;
    let mut sql = vendor.sql();
    let lock =
        sql.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).expect("the lock");
    let began = Instant::now();
    let refused = page(&server, "/bill", october(), 2, 2);
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.head.contains("retry-after"), "{}", refused.head);
    assert!(began.elapsed() >= Duration::from_millis(140), "{:?}", began.elapsed());
    // Usage waits for nobody, and neither do a bill's pages before the last.
    assert_eq!(page(&server, "/usage", october(), 1, 100).entries().len(), 3);
    assert_eq!(page(&server, "/bill", october(), 1, 2).body, first);
    drop(lock);
    assert_eq!(page(&server, "/bill", october(), 2, 2).entries().len(), 1);
    stop(server);
    let kinds: Vec<_> = statements(&vendor).iter().map(|kept| kept["kind"].to_string()).collect();
    assert!(
        kinds.contains(&"\"bill\"".to_owned()) && kinds.contains(&"\"usage\"".to_owned()),
        "{kinds:?}"
    );
}

#[test]
fn what_comes_too_late_is_said_at_once_and_added_up() {
    let vendor = with_usage();
    vendor.ok([
        "license",
        "issue",
        "--new",
        "c",
        "--expires",
        "2030-12-31",
        "--starts",
        "2026-01-01",
        "--count",
        "3",
    ]);
    vendor.ok(["project", "add", "n", "--customer", "c"]);
    let server = vendor.serve();
    page(&server, "/usage", day("2026-10-10"), 1, 100);
    until_kept(&vendor, 1);
    page(&server, "/bill", october(), 1, 100);
    stop(server);
    let today = vendor.json(["statement", "show", "1"])["firstAskedAt"].as_str().expect("a time")
        [..10]
        .to_owned();
    // Whatever else is said of dates far back.
    let lateness = |said: &str| -> String {
        said.lines().filter(|line| line.ends_with("late")).map(|line| format!("{line}\n")).collect()
    };
    let late = vendor.ok(["record", "b", "10", "--id", "late", "--at", "2026-10-10"]);
    assert_eq!(
        lateness(&late.err),
        format!(
            "2026-10-10 was reported on {today}; this record is late\n2026-10 was billed on \
             {today}; this record is late\n"
        )
    );
    assert_eq!(
        vendor.ok(["record", "b", "10", "--id", "late", "--at", "2026-10-10"]).err,
        "",
        "it is there already"
    );
    let billed = vendor.ok(["record", "b", "20", "--at", "2026-10-11"]);
    assert_eq!(
        lateness(&billed.err),
        format!("2026-10 was billed on {today}; this record is late\n")
    );
    assert_eq!(lateness(&vendor.ok(["record", "b", "40", "--at", "2026-09-11"]).err), "");
    let void = vendor.ok(["void", "d", "--reason", "a test"]);
    assert_eq!(void.err.lines().count(), 2, "{}", void.err);
    let rows = [
        "id,projectId,amount,at,customerId",
        "i1,n,1,2026-10-10,c",
        "i2,n,5,2026-10-12,c",
        "i3,n,7,2026-08-12,c",
    ];
    std::fs::write(vendor.path("more.csv"), rows.join("\n")).expect("a file");
    let imported = vendor.ok(["import", "more.csv"]);
    for said in [
        format!("usage of 2026-10 was reported on {today}; records of it are late"),
        format!("usage of 2026-10 was billed on {today}; records of it are late"),
        "late records: 1 of 2026-10 for what was reported, 2 of 2026-10 for what was billed"
            .to_owned(),
    ] {
        assert!(imported.err.contains(&said), "{}", imported.err);
    }
    let late = vendor.json(["statement", "late", "--month", "2026-10"]);
    let row = |project: &str, usage: Value, bill: Value, due: &str| {
        json!({
            "month": "2026-10", "projectId": project, "usage": usage, "bill": bill, "due": due,
        })
    };
    let sum = |amount: &str, covered: &str, records: i64| {
        json!({
            "amount": amount, "covered": covered, "records": records,
        })
    };
    assert_eq!(
        late,
        json!({"rows": [
            row("b", sum("10", "0", 1), sum("30", "0", 2), "60"),
            row("d", sum("-2", "0", -1), sum("-2", "0", -1), "-4"),
            row("n", sum("1", "1", 1), sum("6", "3", 2), "6"),
        ], "unpriced": [], "unknown": []})
    );
    let all = vendor.json(["statement", "late"]);
    assert_eq!((&all["rows"], &all["unknown"]), (&late["rows"], &json!(["2026-08", "2026-09"])));
    vendor.ok(["statement", "late"]);
    vendor.ok(["check"]);
    // Told anew, nothing is late any more.
    let server = vendor.serve();
    page(&server, "/usage", october(), 1, 100);
    page(&server, "/bill", october(), 1, 100);
    // And what was told later than that knew more.
    vendor.ok(["record", "b", "1", "--at", "2026-09-20"]);
    page(&server, "/usage", day("2026-09-20"), 1, 100);
    stop(server);
    assert_eq!(vendor.json(["statement", "late"])["rows"], json!([]));
    vendor.ok(["record", "b", "1", "--at", "2026-09-20"]);
    let rows = vendor.json(["statement", "late"])["rows"].clone();
    assert_eq!(
        rows,
        json!([{
            "month": "2026-09", "projectId": "b", "usage": sum("1", "0", 1), "bill": null,
            "due": null
        }])
    );
}

#[test]
fn what_was_recorded_is_told_or_late_or_not_asked_for() {
    let vendor = with_usage();
    vendor.ok([
        "license",
        "issue",
        "--new",
        "c",
        "--expires",
        "2030-12-31",
        "--starts",
        "2026-01-01",
        "--count",
        "3",
    ]);
    vendor.ok(["customer", "add", "poor", "--plan", "gold", "--new"]);
    vendor.ok(["record", "n", "5", "--customer", "c", "--at", "2026-10-11"]);
    vendor.ok(["record", "u", "9", "--customer", "poor", "--at", "2026-10-11"]);
    let server = vendor.serve();
    page(&server, "/usage", day("2026-10-10"), 1, 100);
    until_kept(&vendor, 1);
    // A window that starts within the one before, and is told later.
    page(
        &server,
        "/usage",
        (second("2026-10-10T12:00:00Z"), second("2026-10-11T23:59:59Z")),
        1,
        100,
    );
    until_kept(&vendor, 2);
    page(
        &server,
        "/bill",
        (second("2026-10-01T00:00:00Z"), second("2026-10-20T23:59:59Z")),
        1,
        100,
    );
    stop(server);
    vendor.ok(["record", "b", "10", "--at", "2026-10-10"]);
    vendor.ok(["record", "b", "20", "--at", "2026-10-25"]);
    vendor.ok(["void", "f", "--reason", "a test"]);
    let month = vendor.json(["totals", "--reconcile", "--month", "2026-10"]);
    let usage = |project: &str, recorded: &str, told: &str, late: &str, not_asked: &str| {
        json!({
            "projectId": project, "recorded": recorded, "told": told, "late": late,
            "notAsked": not_asked, "difference": "0"
        })
    };
    assert_eq!(
        month["usage"],
        json!([
            usage("b", "31", "1", "10", "20"),
            usage("d", "2", "2", "0", "0"),
            usage("f", "0", "4", "-4", "0"),
            usage("n", "5", "5", "0", "0"),
            usage("u", "9", "9", "0", "0"),
        ])
    );
    let bill = |project: &str, sums: [&str; 6]| {
        let [recorded, told, covered, unpriced, late, not_asked] = sums;
        json!({
            "projectId": project, "recorded": recorded, "told": told, "covered": covered,
            "unpriced": unpriced, "late": late, "notAsked": not_asked, "difference": "0"
        })
    };
    assert_eq!(
        month["bill"],
        json!([
            bill("b", ["31", "1", "0", "0", "10", "20"]),
            bill("d", ["2", "2", "0", "0", "0", "0"]),
            bill("f", ["0", "4", "0", "0", "-4", "0"]),
            bill("n", ["5", "2", "3", "0", "0", "0"]),
            bill("u", ["9", "0", "0", "9", "0", "0"]),
        ])
    );
    assert_eq!(month["ok"], true);
    vendor.ok(["totals", "--reconcile", "--month", "2026-10"]);
    for wrong in [&["totals", "--reconcile"][..], &["totals", "--reconcile", "--day", "2026-10-10"]]
    {
        vendor.fails(2, wrong);
    }
    vendor.ok(["check"]);
    // What a statement says and the ledger never held does not add up.
    for seq in [1, 3] {
        rewrite_entries(&vendor, seq, |line| {
            if line.contains(r#""projectId":"d""#) {
                line.replace(r#":"2""#, r#":"3""#)
            } else {
                line.to_owned()
            }
        });
    }
    let ended = vendor.run(["totals", "--reconcile", "--month", "2026-10", "--json"]);
    assert_eq!(ended.code, 1);
    let month: Value = serde_json::from_str(&ended.out).expect("JSON");
    let d = |kind: &str| {
        month[kind].as_array().expect("rows").iter().find(|row| row["projectId"] == "d").cloned()
    };
    let (of_usage, of_bill) = (d("usage").expect("a row"), d("bill").expect("a row"));
    assert_eq!(
        (&of_usage["told"], &of_usage["difference"], &of_bill["difference"]),
        (&json!("3"), &json!("-1"), &json!("-1"))
    );
}

#[test]
fn overlapping_windows_and_seconds_that_were_never_asked_for_are_pointed_out() {
    let vendor = with_usage();
    let server = vendor.serve();
    for date in ["2026-10-10", "2026-10-11", "2026-10-14"] {
        page(&server, "/usage", day(date), 1, 100);
    }
    page(
        &server,
        "/usage",
        (second("2026-10-11T23:00:00Z"), second("2026-10-12T00:59:59Z")),
        1,
        100,
    );
    until_kept(&vendor, 4);
    page(&server, "/bill", october(), 1, 100);
    stop(server);
    let listed = vendor.json(["statement", "list"]);
    assert_eq!(
        listed["overlaps"],
        json!([{
            "kind": "usage", "from": "2026-10-11T23:00:00Z", "to": "2026-10-11T23:59:59Z",
            "statements": [2, 4]
        }])
    );
    assert_eq!(
        listed["neverAsked"],
        json!([{
            "kind": "usage", "from": "2026-10-12T01:00:00Z", "to": "2026-10-13T23:59:59Z",
            "onlyProvisional": false
        }])
    );
    let of_month = vendor.json(["statement", "list", "--month", "2026-10"])["neverAsked"].clone();
    assert_eq!(
        (&of_month[0]["to"], &of_month[2]["from"]),
        (&json!("2026-10-09T23:59:59Z"), &json!("2026-10-15T00:00:00Z"))
    );
    let words = vendor.ok(["statement", "list"]).out;
    assert!(words.contains("Never asked for:") && words.contains("2026-10-14"), "{words}");
}

#[test]
fn a_statement_stays_what_was_told_and_check_finds_what_was_tampered_with() {
    let vendor = with_usage();
    let server = vendor.serve();
    page(&server, "/usage", day("2026-10-10"), 1, 100);
    until_kept(&vendor, 1);
    page(&server, "/bill", october(), 1, 100);
    stop(server);
    vendor.ok(["check"]);
    for refused in [
        "update statement set total = '1'",
        "update statement set asked = 0",
        "update statement set last_knew_seq = last_knew_seq - 1",
        "delete from statement",
        "update statement_entries set entries = x'00'",
        "delete from statement_entries",
        "insert into statement_entries values (1, x'00')",
    ] {
        vendor.sql().execute_batch(refused).expect_err(refused);
    }
    let whole = std::fs::read(vendor.db()).expect("the books");
    let found = |tampering: &str, told: &str| {
        let ended = vendor.run(["check"]);
        assert_eq!(ended.code, 1, "{tampering}");
        assert!(ended.out.contains(told), "{tampering}: {}", ended.out);
        std::fs::write(vendor.db(), &whole).expect("restored");
        vendor.ok(["check"]);
    };
    for (tampering, told) in [
        (
            "update statement set last_knew_seq = 9",
            "statement 1: it knew ledger entries that are not there",
        ),
        (
            "update statement set adjusts = 1 where seq = 2",
            "statement 2: its entries are not those",
        ),
        ("update statement set total = '1.0'", "a value of statement 1 is not"),
        (
            "update statement_entries set entries = x'00' where statement_seq = 1",
            "a value of what statement 1 said",
        ),
        (
            "delete from statement_entries where statement_seq = 1",
            "a value of what statement 1 said",
        ),
    ] {
        let free = "drop trigger statement_entries_are_not_changed;
        drop trigger statement_entries_are_not_deleted;
            drop trigger statement_stays_what_was_told;";
        vendor.sql().execute_batch(&format!("{free}{tampering}")).expect(tampering);
        found(tampering, told);
    }
    let sql = vendor.sql();
    sql.execute_batch(
        "drop trigger statement_entries_are_not_changed; \
         update statement_entries set entries = x'00'",
    )
    .expect("tampering");
    let said = vendor.fails(1, ["statement", "show", "1"]);
    assert!(
        said.contains("what statement 1 said cannot be read: ")
            && said.contains("agora-vendor check"),
        "{said}"
    );
    drop(sql);
    std::fs::write(vendor.db(), &whole).expect("restored");
    let b = r#"{"projectId":"b","amount":"1","#;
    for (seq, from, to, told) in [
        (
            1,
            b,
            r#"{"projectId":"b","amount":"5","#,
            "statement 1: its entries do not add up to its total",
        ),
        (
            1,
            b,
            r#"{"projectId":"b","amount":"5","#,
            "statement 1 says that project b used 5; the ledger said 1 then",
        ),
        (2, r#""usage":"1""#, r#""usage":"5""#, "statement 2 says that project b used 5"),
        (1, "1 Minute", "one Minute", "statement 1: its entries are not those that were told"),
        (
            1,
            r#""projectId":"d""#,
            r#""projectId":"z""#,
            "statement 1: its entries are not in order",
        ),
        (1, b, r#"{"projectId":"b","amount":"x","#, "a value of what statement 1 said"),
        (1, b, r#"{"project":"b","amount":"1","#, "a value of what statement 1 said"),
        (
            1,
            b,
            r#"{"projectId":"b","usage":"1","amount":"1","#,
            "statement 1: its entries are not those that were told",
        ),
    ] {
        rewrite_entries(&vendor, seq, |line| line.replace(from, to));
        found(to, told);
    }
    rewrite_entries(&vendor, 1, |line| {
        if line.contains(r#""projectId":"d""#) { String::new() } else { line.to_owned() }
    });
    found("an entry less", "statement 1: its entries do not add up to its total");
}

/// Puts other lines in the place of what a statement said.
fn rewrite_entries(vendor: &Vendor, seq: i64, rewritten: impl Fn(&str) -> String) {
    const SELECT: &str = "select entries from statement_entries where statement_seq = ?1";
    const UPDATE: &str = "update statement_entries set entries = ?2 where statement_seq = ?1";
    let sql = vendor.sql();
    let kept: Vec<u8> =
        sql.query_row(SELECT, [seq], |row| row.get(0)).expect("a statement's entries");
    let text = String::from_utf8(zstd::decode_all(&kept[..]).expect("zstd")).expect("text");
    let other: String = text
        .lines()
        .map(rewritten)
        .filter(|line| !line.is_empty())
        .map(|line| line + "\n")
        .collect();
    assert_ne!(other, text, "nothing was rewritten of {text}");
    sql.execute_batch("drop trigger if exists statement_entries_are_not_changed")
        .expect("no trigger");
    let compressed = zstd::encode_all(other.as_bytes(), 1).expect("compressed");
    sql.execute(UPDATE, rusqlite::params![seq, compressed]).expect("rewritten");
}

#[test]
fn a_server_killed_at_any_moment_tells_no_wrong_page_and_has_kept_every_bill_that_went_out_whole() {
    let vendor = Vendor::new();
    vendor.ok(["plan", "set", "default", "--name", "Standard", "--unit", "Minute", "--price", "2"]);
    let names: Vec<String> = (10..40).map(|n| format!("p{n}")).collect();
    let rows: String = names.iter().map(|name| format!("{name},{name},1,2026-10-10\n")).collect();
    std::fs::write(vendor.path("rows.csv"), format!("id,projectId,amount,at\n{rows}"))
        .expect("a file");
    vendor.ok(["import", "rows.csv"]);
    let rounds = if crate::vendor::long() { 200 } else { 12 };
    for round in 0..rounds {
        let server = vendor.serve();
        // Each round has a month, so that its bill is new, and more of one project than the last.
        vendor.ok(["record", "p10", "1", "--at", "2026-10-10"]);
        let amount = (2 * (round + 2)).to_string();
        let window = (second("2026-10-01T00:00:00Z") - round, second("2026-10-31T23:59:59Z"));
        let (after, killed) = (
            Duration::from_micros(u64::try_from(round).expect("few") * 7_919 % 40_000),
            AtomicBool::new(false),
        );
        let whole = thread::scope(|scope| {
            let walk = scope.spawn(|| {
                let mut entries = Vec::new();
                for page_num in 1..=6 {
                    let Some(answer) = try_page(&server, "/bill", window, page_num, 5) else {
                        assert!(killed.load(Ordering::Acquire), "the server was not killed yet");
                        return false;
                    };
                    entries.extend(answer.entries());
                }
                let mut wanted: Vec<(String, String)> =
                    names.iter().map(|name| (name.clone(), "2".to_owned())).collect();
                wanted[0].1.clone_from(&amount);
                assert_eq!(entries, wanted, "round {round}");
                true
            });
            thread::sleep(after);
            killed.store(true, Ordering::Release);
            server.signal("KILL");
            walk.join().expect("no page is wrong")
        });
        server.wait();
        let kept = statements(&vendor)
            .iter()
            .filter(|kept| second(kept["from"].as_str().expect("a time")) == window.0)
            .count();
        assert!(
            kept <= 1 && (kept == 1 || !whole),
            "round {round}: told whole {whole}, kept {kept}"
        );
        // What is new is in no later page, whether the snapshot of page 1 got to the disk or not.
        if kept == 1 {
            vendor.ok(["record", "a", "1", "--id", &format!("new-{round}"), "--at", "2026-10-10"]);
            let server = vendor.serve();
            for (page_num, place, project) in [(6, 4, "p39"), (2, 0, "p15")] {
                let answer = page(&server, "/bill", window, page_num, 5);
                if answer.status != 503 {
                    assert_eq!(answer.entries()[place].0, project);
                }
            }
            vendor.ok(["void", &format!("new-{round}"), "--reason", "the next round"]);
        }
    }
    vendor.ok(["check"]);
}

/// The first and the last second of August, September or October.
fn month(number: i64) -> (i64, i64) {
    match number {
        8 => (second("2026-08-01T00:00:00Z"), second("2026-08-31T23:59:59Z")),
        9 => (second("2026-09-01T00:00:00Z"), second("2026-09-30T23:59:59Z")),
        _ => october(),
    }
}

/// Books of three months with three plans, a price that changes, a plan that changes and a license
/// that runs out.
fn three_months() -> Vendor {
    let vendor = Vendor::new();
    // Three plans. The first costs 0.01 a unit, and 0.02 from September on.
    let named = |id: &'static str, price: [&'static str; 2]| {
        ["plan", "set", id, "--name", id, "--unit", "Call"]
            .into_iter()
            .chain(price)
            .collect::<Vec<_>>()
    };
    vendor.ok(named("default", ["--price", "0.01"]));
    vendor.ok(named("default", ["--price", "0.02"]).into_iter().chain([
        "--from",
        "2026-09",
        "--rewrite",
    ]));
    vendor.ok(named("tiers", ["--graduated", "100:0.1,rest:0.05"]));
    vendor.ok(named("packs", ["--package", "50:2"]));
    // The customer of b has tiers, and packages from September on; that of c has tiers, and a
    // license of 30 units.
    vendor.ok(["customer", "add", "cb", "--plan", "tiers"]);
    vendor.ok(["customer", "add", "cb", "--plan", "packs", "--from", "2026-09", "--rewrite"]);
    vendor.ok(["customer", "add", "cc", "--plan", "tiers"]);
    vendor.ok([
        "license",
        "issue",
        "--new",
        "cc",
        "--expires",
        "2100-12-31",
        "--starts",
        "2026-01-01",
        "--count",
        "30",
    ]);
    for (project, customer, amount, id, at) in [
        ("a", None, "100", "a8", "2026-08-10"),
        ("b", Some("cb"), "120", "b8", "2026-08-10"),
        ("a", None, "100", "a9", "2026-09-05"),
        ("b", Some("cb"), "100", "b9", "2026-09-05"),
        ("b", Some("cb"), "20", "b9-more", "2026-09-06"),
        // The license covers 20, then 10 of 25, and then it has run out: 15 + 40 are left to be
        // billed.
        ("c", Some("cc"), "20", "c9-1", "2026-09-10"),
        ("c", Some("cc"), "25", "c9-2", "2026-09-14"),
        ("c", Some("cc"), "40", "c9-3", "2026-09-20"),
        ("a", None, "10", "a10", "2026-10-02"),
    ] {
        let customer = customer.iter().flat_map(|customer| ["--customer", customer]);
        vendor.ok(["record", project, amount, "--id", id, "--at", at].into_iter().chain(customer));
    }
    vendor
}

#[test]
fn one_month_worked_through_by_hand_from_its_records_to_its_second_bill() {
    let vendor = three_months();
    let server = vendor.serve();
    let bill = |number| {
        let answer = page(&server, "/bill", month(number), 1, 100);
        answer
            .entries()
            .into_iter()
            .map(|(project, amount)| format!("{project} {amount}"))
            .collect::<Vec<_>>()
    };
    // August: 100 × 0.01; 100 × 0.1 + 20 × 0.05.
    assert_eq!(bill(8), ["a 1", "b 11"]);
    // September: 100 × 0.02; 120 are three started packages of 50 at 2; 55 × 0.1.
    assert_eq!(bill(9), ["a 2", "b 6", "c 5.5"]);
    page(&server, "/usage", month(9), 1, 100);
    until_kept(&vendor, 3);

    // A late record, a late void, and the void of what the license had covered, which gets its 20
    // units back.
    assert_eq!(
        vendor.ok(["record", "a", "50", "--id", "late", "--at", "2026-09-30"]).err.lines().count(),
        2
    );
    for id in ["b9-more", "c9-1"] {
        assert_eq!(vendor.ok(["void", id, "--reason", "a mistake"]).err.lines().count(), 2);
    }
    let sum = |amount: &str, covered: &str, records: i64| {
        json!({
            "amount": amount, "covered": covered, "records": records,
        })
    };
    let late = vendor.json(["statement", "late", "--month", "2026-09"])["rows"].clone();
    for (place, (project, lateness, due)) in [
        ("a", sum("50", "0", 1), json!("1")),
        ("b", sum("-20", "0", -1), json!("-2")),
        ("c", sum("-20", "-20", -1), json!(null)),
    ]
    .into_iter()
    .enumerate()
    {
        let row = json!({
            "month": "2026-09", "projectId": project, "usage": lateness, "bill": lateness,
            "due": due,
        });
        assert_eq!(late[place], row);
    }
    let billed = || {
        let month = vendor.json(["totals", "--reconcile", "--month", "2026-09"]);
        let rows = month["bill"].as_array().expect("rows").clone();
        let field = |row: &Value, name: &str| row[name].as_str().expect("an amount").to_owned();
        let names = ["recorded", "told", "covered", "unpriced", "late", "notAsked"];
        rows.iter().map(|row| names.map(|name| field(row, name)).join(" ")).collect::<Vec<_>>()
    };
    // a: 150 = 100 + 50. b: 100 = 120 - 20. c: 65 = 55 + 30 - 20.
    assert_eq!(billed(), ["150 100 0 0 50 0", "100 120 0 0 -20 0", "65 55 30 0 -20 0"]);
    // Nothing of it is in another month's bill: October is 10 × 0.02.
    assert_eq!(bill(10), ["a 0.2"]);
    // September asked for again: 150 × 0.02; 100 are two packages; c owes what it owed.
    assert_eq!(bill(9), ["a 3", "b 4", "c 5.5"]);
    assert_eq!(billed(), ["150 150 0 0 0 0", "100 100 0 0 0 0", "65 55 10 0 0 0"]);
    // Usage has not been asked for again, and is still late.
    let late = vendor.json(["statement", "late", "--month", "2026-09"])["rows"].clone();
    assert_eq!((&late[0]["usage"], &late[0]["bill"]), (&sum("50", "0", 1), &json!(null)));
    stop(server);
    let kept =
        vendor.json(["statement", "list", "--month", "2026-09", "--kind", "bill"])["statements"]
            .clone();
    let totals: Vec<_> =
        kept.as_array().expect("a list").iter().map(|kept| kept["total"].clone()).collect();
    assert_eq!(totals, ["13.5", "12.5"]);
    vendor.ok(["check"]);
}

#[test]
fn the_same_month_worked_through_by_hand_where_the_next_bill_carries() {
    let vendor = three_months();
    vendor.ok(["setting", "set", "late", "carry"]);
    let server = vendor.serve();
    let bill = |number| {
        let answer = page(&server, "/bill", month(number), 1, 100);
        answer
            .entries()
            .into_iter()
            .map(|(project, amount)| format!("{project} {amount}"))
            .collect::<Vec<_>>()
    };
    // August: 100 × 0.01; 100 × 0.1 + 20 × 0.05.
    assert_eq!(bill(8), ["a 1", "b 11"]);
    // September: 100 × 0.02; 120 are three started packages of 50 at 2; 55 × 0.1, since the license
    // covered 30 of 85.
    let september = ["a 2", "b 6", "c 5.5"];
    assert_eq!(bill(9), september);

    // A late record of a: 50 × 0.02 = 1 more. A void of 20 of b: 100 are two packages, 2 less. A
    // void of 20 of c that the license had covered: 65 less 10 are the 55 that were billed, nothing
    // more or less.
    vendor.ok(["record", "a", "50", "--id", "late", "--at", "2026-09-30"]);
    for id in ["b9-more", "c9-1"] {
        vendor.ok(["void", id, "--reason", "a mistake"]);
    }
    // In October b uses 60, which are two packages: 4.
    vendor.ok(["record", "b", "60", "--id", "b10", "--at", "2026-10-03"]);
    // October: 10 × 0.02 + 1; 4 - 2.
    let october = ["a 1.2", "b 2"];
    assert_eq!(bill(10), october);
    // September asked for again after that is what it was, and October carries the same.
    assert_eq!(bill(9), september);
    assert_eq!(bill(10), october);
    // Told of all: a 1 + 2 + 1.2 and b 11 + 6 + 2, which is what the three months cost: 1 + 3 + 0.2
    // and 11 + 4 + 4.
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
    vendor.ok(["check"]);
}

#[test]
fn a_stop_does_not_wait_for_the_lock_for_long_and_says_what_is_lost() {
    let vendor = with_usage();
    let server = vendor.serve();
    let mut sql = vendor.sql();
    let lock =
        sql.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).expect("the lock");
    assert_eq!(page(&server, "/usage", october(), 1, 100).entries().len(), 3);
    let began = Instant::now();
    server.signal("TERM");
    let log = vendor.path("server.log");
    assert_eq!(server.wait(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    let (from, to) = october();
    let said = std::fs::read_to_string(log).expect("a log");
    assert!(
        said.contains(&format!("usage told from fromTs {from} to toTs {to} could not be kept")),
        "{said}"
    );
    drop(lock);
    assert_eq!(statements(&vendor), Vec::<Value>::new());
}
