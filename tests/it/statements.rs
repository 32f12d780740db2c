//! What Agora is told: pages that cannot shift, the ledger of statements, and what came too late for them.

use crate::vendor::{Server, Vendor, day};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Asks for a page with a limit.
fn page(server: &Server, path: &str, (from, to): (i64, i64), page_num: usize, limit: usize) -> crate::vendor::Answer {
    let (from, to) = (from.to_string(), to.to_string());
    let (page_num, limit) = (page_num.to_string(), limit.to_string());
    server.ask(path, &[("fromTs", &from), ("toTs", &to), ("pageNum", &page_num), ("limit", &limit)])
}

fn has_next(answer: &crate::vendor::Answer) -> bool {
    answer.json()["data"]["hasNext"].as_bool().expect("a flag")
}

/// Follows a listing from page 1 until there is no next page; calls `between` before each.
fn follow(
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
        format!("{{\"id\":\"{id}\",\"projectId\":\"{project}\",\"amount\":1,\"at\":\"2026-10-10\"}}\n")
    };
    let first: String = (0..500).map(|n| line(&format!("first-{n}"), &format!("m{n:03}"))).collect();
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
            let before = page(&server, "/usage", day("2026-10-10"), 1, 1).json()["data"]["totalSize"].as_u64();
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
            "select project_id, cast(amount as integer) from usage_ledger join project using (project_no) order by seq",
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
        assert!(is_one_instants_truth(&ledger, &told), "walk {n} of {} is no instant's truth", told.len());
    }
}
