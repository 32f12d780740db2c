//! Pages of one sequence are cut from the snapshot of its page 1, also after a restart and by
//! another server.

use crate::clock::DISK;
use crate::statements::{
    follow, has_next, october, page, statements, stop, until_kept, with_usage,
};
use crate::vendor::{Answer, Server, Vendor, day, second, signed};
use serde_json::{Value, json};
use std::thread;
use std::time::{Duration, Instant};

const PATHS: [&str; 2] = ["/usage", "/bill"];
const GONE: &str = "the snapshot that page 1 was cut from is gone: ask for page 1 again";
const TOO_MANY: &str = "too many answers wait to be written to the database: try again";

/// How many snapshots are on the disk.
fn left(vendor: &Vendor) -> i64 {
    let count = "select count(*) from snapshot";
    vendor.sql().query_row(count, [], |row| row.get(0)).expect("a count")
}

/// Waits until the last snapshot that was begun is on the disk; `before` is the one that was there.
fn until_left(vendor: &Vendor, path: &str, before: i64) -> i64 {
    let sql = vendor.sql();
    let select = "select coalesce(min(number), 0) from snapshot where kind = ?1 and number <> ?2";
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let number = sql.query_row(select, (&path[1..], before), |row| row.get(0));
        match number.expect("a number") {
            0 => assert!(Instant::now() < until, "no snapshot of {path} is left"),
            number => return number,
        }
        thread::yield_now();
    }
}

/// The number of the snapshot that is on the disk; 0 where there is none.
fn newest_left(vendor: &Vendor, path: &str) -> i64 {
    let select = "select coalesce(max(number), 0) from snapshot where kind = ?1";
    vendor.sql().query_row(select, [&path[1..]], |row| row.get(0)).expect("a number")
}

fn restart(vendor: &Vendor, server: Server, signal: &str) -> Server {
    server.signal(signal);
    server.wait();
    vendor.serve()
}

fn assert_gone(answer: &Answer) {
    assert_eq!((answer.status, answer.reason().as_str()), (503, GONE), "{answer:?}");
    assert!(answer.head.contains("retry-after: 1"), "{}", answer.head);
}

fn names(answer: &Answer) -> String {
    answer.entries().into_iter().map(|(project, _)| project).collect()
}

#[test]
fn a_restart_or_a_kill_between_every_two_pages_with_records_between_changes_no_page() {
    for (signal, path, kind) in [
        ("TERM", "/usage", "usage"),
        ("TERM", "/bill", "bill"),
        ("KILL", "/usage", "usage"),
        ("KILL", "/bill", "bill"),
    ] {
        let vendor = with_usage();
        let mut server = vendor.serve();
        let mut entries = Vec::new();
        for page_num in 1..=3 {
            let answer = page(&server, path, october(), page_num, 1);
            assert_eq!(has_next(&answer), page_num < 3);
            entries.extend(answer.entries());
            if page_num == 1 && signal == "KILL" {
                until_left(&vendor, path, 0);
            }
            if page_num == 3 && kind == "usage" {
                until_kept(&vendor, 1);
            }
            server = restart(&vendor, server, signal);
            // Of each project, of one before all of them, and of one between them.
            for project in ["a", "b", "c", "d", "f"] {
                vendor.ok(["record", project, "100", "--at", "2026-10-10"]);
            }
        }
        let times = if kind == "bill" { 2 } else { 1 };
        let told =
            [("b", 1), ("d", 2), ("f", 4)].map(|(p, n)| (p.to_owned(), (n * times).to_string()));
        assert_eq!(entries, told, "{signal} {path}");
        // The last page again is the same statement told again, and what came meanwhile is late for
        // it.
        assert_eq!(names(&page(&server, path, october(), 3, 1)), "f");
        stop(server);
        let kept = statements(&vendor);
        let total = json!((7 * times).to_string());
        assert_eq!(
            (kept.len(), &kept[0]["asked"], &kept[0]["total"], &kept[0]["knewSeq"]),
            (1, &json!(2), &total, &json!(3)),
            "{signal} {path}: {kept:?}"
        );
        let late = vendor.json(["statement", "late"])["rows"].clone();
        let late: Vec<_> = late.as_array().expect("rows").iter().collect();
        assert_eq!(late.len(), 5);
        assert!(late.iter().all(|row| row[kind]["amount"] == "300"), "{late:?}");
        vendor.ok(["totals", "--reconcile", "--month", "2026-10"]);
        vendor.ok(["check"]);
    }
}

#[test]
fn what_is_recorded_between_two_pages_and_a_restart_is_carried_by_the_next_bill() {
    let vendor = Vendor::new();
    vendor.at("2024-01-31T12:00:00Z");
    vendor.ok(["plan", "set", "default", "--name", "S", "--unit", "Minute", "--price", "1"]);
    vendor.ok(["setting", "set", "late", "carry"]);
    vendor.ok(["record", "p1", "5", "--at", "2024-01-10"]);
    vendor.ok(["record", "p2", "7", "--at", "2024-01-10"]);
    vendor.at("2024-02-03T00:00:00Z");
    let january = (second("2024-01-01T00:00:00Z"), second("2024-02-01T00:00:00Z"));
    let february = (january.1, second("2024-03-01T00:00:00Z"));
    let server = vendor.serve();
    let entry = |project: &str, amount: &str| vec![(project.to_owned(), amount.to_owned())];
    assert_eq!(page(&server, "/bill", january, 1, 1).entries(), entry("p1", "5"));
    let server = restart(&vendor, server, "TERM");
    vendor.ok(["record", "p1", "3", "--at", "2024-01-15"]);
    assert_eq!(page(&server, "/bill", january, 2, 1).entries(), entry("p2", "7"));
    let late = vendor.json(["statement", "late"])["rows"].clone();
    assert_eq!((&late[0]["projectId"], &late[0]["bill"]["amount"]), (&json!("p1"), &json!("3")));
    // What a bill carried goes on after a restart too.
    vendor.at("2024-03-02T00:00:00Z").ok(["record", "p2", "1", "--at", "2024-02-10"]);
    assert_eq!(page(&server, "/bill", february, 1, 1).entries(), entry("p1", "3"));
    let server = restart(&vendor, server, "TERM");
    assert_eq!(page(&server, "/bill", february, 2, 1).entries(), entry("p2", "1"));
    // What the bill found January to cost is not in its snapshot, and is not told twice for that.
    vendor.at("2024-04-02T00:00:00Z").ok(["record", "p2", "2", "--at", "2024-03-10"]);
    let march = (february.1, second("2024-04-01T00:00:00Z"));
    assert_eq!(page(&server, "/bill", march, 1, 2).entries(), entry("p2", "2"));
    stop(server);
    let shown = vendor.json(["statement", "show", "2"]);
    let carries = json!([{"month": "2024-01", "amount": "3", "whole": true}]);
    assert_eq!(shown["entries"][0]["carries"], carries, "{shown}");
    assert_eq!(vendor.json(["statement", "late"])["rows"], json!([]));
    vendor.ok(["check"]);
}

#[test]
fn a_later_page_whose_snapshot_did_not_reach_the_disk_is_refused_and_nothing_is_kept() {
    for path in PATHS {
        let vendor = with_usage();
        let server = vendor.serve();
        assert_gone(&page(&server, path, october(), 2, 1));
        // An older snapshot is on the disk; page 1 asked anew goes out while nobody can write.
        assert_eq!(names(&page(&server, path, october(), 1, 1)), "b");
        until_left(&vendor, path, 0);
        vendor.ok(["record", "a", "1", "--at", "2026-10-10"]);
        let mut sql = vendor.sql();
        let immediate = rusqlite::TransactionBehavior::Immediate;
        let lock = sql.transaction_with_behavior(immediate).expect("the lock");
        assert_eq!(names(&page(&server, path, october(), 1, 1)), "a");
        assert_eq!(names(&page(&server, path, october(), 2, 1)), "b", "it is in memory");
        let server = restart(&vendor, server, "KILL");
        drop(lock);
        for page_num in 2..=4 {
            assert_gone(&page(&server, path, october(), page_num, 1));
        }
        assert_eq!(statements(&vendor), Vec::<Value>::new());
        assert_eq!(follow(&server, path, october(), 1, || {}).len(), 4);
        stop(server);
        assert_eq!(statements(&vendor).len(), 1);
    }
}

#[test]
fn a_server_killed_after_any_page_tells_one_sequences_pages_or_none() {
    let vendor = with_usage();
    let mut server = vendor.serve();
    for round in 0..if crate::vendor::long() { 200 } else { 20 } {
        let path = PATHS[round % 2];
        vendor.ok(["record", "b", "1", "--at", "2026-10-10"]);
        // Begun anew each time that a page is refused, and killed after each.
        let mut told = Vec::new();
        let (mut page_num, mut tries) = (1, 0);
        while page_num <= 3 {
            let before = newest_left(&vendor, path);
            let answer = page(&server, path, october(), page_num, 1);
            // The first time as soon as page 1 has gone out.
            if page_num == 1 && tries > 0 {
                until_left(&vendor, path, before);
            }
            server = restart(&vendor, server, "KILL");
            if answer.status == 503 {
                assert_eq!(answer.reason(), GONE);
                vendor.ok(["record", "d", "1", "--at", "2026-10-10"]);
                (page_num, tries) = (1, tries + 1);
                told.clear();
                continue;
            }
            told.extend(answer.entries());
            page_num += 1;
        }
        let amounts: Vec<i64> =
            told.iter().map(|(_, amount)| amount.parse().expect("a number")).collect();
        let sql = vendor.sql();
        // A bill is kept; of usage the statement may be lost with the server, and is not another.
        let select = "
            select cast(total as integer) from statement where kind = ?1 order by seq desc limit 1";
        let total: Result<i64, _> = sql.query_row(select, [&path[1..]], |row| row.get(0));
        if path == "/bill" {
            assert_eq!(total.expect("it is kept"), amounts.iter().sum::<i64>(), "{told:?}");
        }
    }
    stop(server);
    vendor.ok(["check"]);
}

#[test]
fn two_servers_in_turn_tell_the_pages_of_the_newest_page_1() {
    for path in PATHS {
        let vendor = with_usage();
        let servers = [vendor.serve(), vendor.serve()];
        let times = if path == "/bill" { 2 } else { 1 };
        // Each of them has older sequences in memory by and by, and page 1 is asked of either.
        let mut d = 2;
        for round in 0..12 {
            let mut entries = Vec::new();
            for page_num in 1..=3 {
                let turn = (round / 2 + page_num * (1 + round % 2)) % 2;
                entries.extend(page(&servers[turn], path, october(), page_num, 1).entries());
                if page_num == 1 {
                    vendor.ok(["record", "d", "10", "--at", "2026-10-10"]);
                    vendor.ok(["record", "b", "0.5", "--at", "2026-09-10"]);
                }
            }
            let told = [("b", 1), ("d", d), ("f", 4)];
            let told = told.map(|(p, n)| (p.to_owned(), (n * times).to_string()));
            assert_eq!(entries, told, "round {round} of {path}");
            d += 10;
        }
        for server in servers {
            stop(server);
        }
        let kept = statements(&vendor);
        let totals: Vec<_> = kept.iter().map(|kept| kept["total"].clone()).collect();
        let mut wanted: Vec<_> =
            (0..12).map(|n| json!(((7 + 10 * n) * times).to_string())).collect();
        if path == "/usage" {
            // Two servers keep them in whatever order.
            wanted.sort_by_key(|total| total.to_string());
            let mut totals = totals.clone();
            totals.sort_by_key(|total| total.to_string());
            assert_eq!(totals, wanted);
        } else {
            assert_eq!(totals, wanted);
        }
        vendor.ok(["totals", "--reconcile", "--month", "2026-10"]);
        vendor.ok(["check"]);
    }
}

#[test]
fn a_page_1_by_another_server_ends_the_older_sequence_before_its_snapshot_is_on_the_disk() {
    for path in PATHS {
        let vendor = with_usage();
        let (one, other) = (vendor.serve(), vendor.serve());
        assert_eq!(names(&page(&one, path, october(), 1, 1)), "b");
        until_left(&vendor, path, 0);
        vendor.ok(["record", "a", "1", "--at", "2026-10-10"]);
        let mut sql = vendor.sql();
        let immediate = rusqlite::TransactionBehavior::Immediate;
        let lock = sql.transaction_with_behavior(immediate).expect("the lock");
        assert_eq!(names(&page(&other, path, october(), 1, 1)), "a");
        assert_gone(&page(&one, path, october(), 2, 1));
        assert_eq!(names(&page(&other, path, october(), 2, 1)), "b");
        drop(lock);
        until_left(&vendor, path, 0);
        let until = Instant::now() + Duration::from_secs(20);
        while page(&one, path, october(), 2, 1).status == 503 {
            assert!(Instant::now() < until);
        }
        assert_eq!(names(&page(&one, path, october(), 3, 1)), "d");
    }
}

#[test]
fn a_sequence_goes_on_after_more_windows_than_memory_holds() {
    let vendor = with_usage();
    let server = vendor.serve();
    for path in PATHS {
        assert_eq!(names(&page(&server, path, october(), 1, 1)), "b");
    }
    for n in 0..140 {
        // A disk that is too slow for more than 128 of them would be another test.
        let until = Instant::now() + Duration::from_secs(20);
        while n % 32 == 31 && left(&vendor) < n {
            assert!(Instant::now() < until, "{} of {n} are left", left(&vendor));
            thread::yield_now();
        }
        assert!(has_next(&page(&server, "/usage", (october().0 - n, october().1), 1, 1)) || n == 0);
    }
    vendor.ok(["record", "a", "1", "--at", "2026-10-10"]);
    for path in PATHS {
        let pages = [2, 3].map(|page_num| names(&page(&server, path, october(), page_num, 1)));
        assert_eq!(pages, ["d", "f"], "{path}");
    }
    stop(server);
    // One of each window, kind and key.
    assert_eq!(left(&vendor), 141);
    vendor.ok(["check"]);
}

#[test]
fn a_snapshot_is_one_of_its_window_kind_and_key_and_is_dropped_after_a_day() {
    let vendor = with_usage();
    vendor.at("2026-11-01T10:00:00Z");
    let server = vendor.serve();
    for n in 0..3 {
        vendor.ok(["record", "b", "1", "--id", &format!("r{n}"), "--at", "2026-10-10"]);
        for path in PATHS {
            page(&server, path, october(), 1, 1);
        }
    }
    vendor.at("2026-11-02T09:59:00Z");
    let server = restart(&vendor, server, "TERM");
    assert_eq!(left(&vendor), 2);
    assert_eq!(names(&page(&server, "/bill", october(), 2, 1)), "d");
    vendor.at("2026-11-02T10:00:01Z");
    let server = restart(&vendor, server, "TERM");
    for path in PATHS {
        assert_gone(&page(&server, path, october(), 2, 1));
    }
    stop(server);
    assert_eq!(left(&vendor), 0);
}

#[test]
fn a_test_pairs_pages_leave_nothing() {
    let vendor = with_usage();
    let keys = vendor.json(["key", "list"]);
    let test = keys.as_array().expect("pairs").iter().find(|pair| pair["purpose"] == "test");
    let api_key = test.expect("one")["apiKey"].as_str().expect("a key").to_owned();
    let shown = vendor.json(["key", "show", &api_key, "--secret"]);
    let secret = shown["apiSecret"].as_str().expect("a secret");
    let server = vendor.serve();
    let (from, to) = (october().0.to_string(), october().1.to_string());
    let ask = |path: &str, page_num: &str| {
        let window = [("fromTs", from.as_str()), ("toTs", &to), ("limit", "1")];
        let parameters: Vec<_> = window.into_iter().chain([("pageNum", page_num)]).collect();
        server.get(&signed(&api_key, secret, path, &parameters))
    };
    for path in PATHS {
        let pages = ["1", "2", "3"].map(|page_num| names(&ask(path, page_num)));
        assert_eq!(pages, ["b", "d", "f"]);
    }
    stop(server);
    assert_eq!((left(&vendor), statements(&vendor)), (0, Vec::new()));
}

/// A second live pair beside that of the examples.
fn second_pair(vendor: &Vendor) -> (String, String) {
    let added = vendor.json(["key", "add"]);
    let api_key = added["apiKey"].as_str().expect("a key").to_owned();
    let shown = vendor.json(["key", "show", &api_key, "--secret"]);
    (api_key, shown["apiSecret"].as_str().expect("a secret").to_owned())
}

#[test]
fn an_older_answer_whose_last_page_goes_out_last_counts_as_no_other_and_not_as_the_newest() {
    for path in PATHS {
        let vendor = with_usage();
        let (api_key, secret) = second_pair(&vendor);
        let (one, other) = (vendor.serve(), vendor.serve());
        let (from, to) = (october().0.to_string(), october().1.to_string());
        let whole = |server: &Server| {
            let parameters = [("fromTs", from.as_str()), ("toTs", &to), ("pageNum", "1")];
            server.get(&signed(&api_key, &secret, path, &parameters)).entries().len()
        };
        let seqs = || -> Vec<(i64, i64)> {
            let number = |kept: &Value, name: &str| kept[name].as_i64().expect("a number");
            let of = |kept: &Value| (number(kept, "asked"), number(kept, "lastKnewSeq"));
            statements(&vendor).iter().map(of).collect()
        };
        // The window is told whole by another key and another server, which know more, while the
        // first is at page 2.
        page(&one, path, october(), 1, 2);
        until_left(&vendor, path, 0);
        vendor.ok(["record", "b", "1", "--id", "more", "--at", "2026-10-10"]);
        assert_eq!(whole(&other), 3);
        until_kept(&vendor, 1);
        let refused = page(&one, path, october(), 2, 2);
        assert_eq!(
            (refused.status, refused.reason().as_str()),
            (503, "a newer answer was told of this window since page 1: ask for page 1 again")
        );
        assert_eq!(seqs(), [(1, 4)]);
        // Begun anew it is the same answer again.
        assert_eq!(follow(&one, path, october(), 2, || {}).len(), 3);
        let one = restart(&vendor, one, "TERM");
        assert_eq!(seqs(), [(2, 4)]);
        // Told again as an older snapshot, once a newer statement is kept, it is counted to its
        // own.
        vendor.ok(["void", "more", "--reason", "a test"]);
        assert_eq!(whole(&other), 3);
        until_kept(&vendor, 2);
        assert_eq!(page(&one, path, october(), 2, 2).status, 200);
        stop(one);
        stop(other);
        assert_eq!(seqs(), [(3, 4), (1, 5)], "{path}");
        vendor.ok(["check"]);
    }
}

#[test]
fn both_spellings_of_a_window_that_ends_on_a_whole_hour_are_one_window() {
    for path in PATHS {
        let vendor = with_usage();
        let server = vendor.serve();
        let (from, last) = october();
        assert_eq!(names(&page(&server, path, (from, last), 1, 1)), "b");
        vendor.ok(["record", "a", "1", "--at", "2026-10-31T23:59:59Z"]);
        vendor.ok(["record", "z", "1", "--at", "2026-11-01T00:00:00Z"]);
        let pages =
            [2, 3].map(|page_num| names(&page(&server, path, (from, last + 1), page_num, 1)));
        assert_eq!(pages, ["d", "f"]);
        assert_eq!(names(&page(&server, path, (from, last + 1), 1, 100)), "abdf");
        stop(server);
        for kept in statements(&vendor) {
            assert_eq!(kept["to"], "2026-10-31T23:59:59Z");
        }
        assert_eq!(vendor.json(["statement", "list"])["overlaps"], json!([]));
        // What is dated in the next window's first second is not late.
        let said = vendor.ok(["record", "z", "1", "--at", "2026-11-01T00:00:00Z"]).err;
        assert!(!said.contains("late"), "{said}");
    }
}

#[test]
fn two_months_of_a_flat_fee_asked_from_first_to_first_are_told_once_each() {
    let vendor = Vendor::new();
    let named = ["plan", "set", "default", "--name", "S", "--unit", "Minute"];
    vendor.ok(named.into_iter().chain(["--flat", "10", "--price", "1"]));
    for (amount, at) in [("5", "2026-08-31T23:59:59Z"), ("8", "2026-09-01T00:00:00Z")] {
        vendor.ok(["record", "p", amount, "--at", at]);
    }
    let server = vendor.serve();
    let firsts = ["2026-08-01", "2026-09-01", "2026-10-01"].map(|first| day(first).0);
    let bill = |from, to| page(&server, "/bill", (from, to), 1, 100).entries()[0].1.clone();
    assert_eq!(
        (bill(firsts[0], firsts[1]), bill(firsts[1], firsts[2])),
        ("15".into(), "18".into())
    );
    let usage = |from, to| server.usage(from, to).entries();
    // A window of one second stays that second.
    assert_eq!(usage(firsts[1], firsts[1])[0].1, "8");
    assert_eq!(usage(firsts[1] - 1, firsts[1])[0].1, "5");
    assert_eq!(usage(firsts[1] - 3_600, firsts[1] + 1)[0].1, "13");
}

#[test]
fn a_stop_ends_although_the_disk_does_not_answer() {
    let vendor = with_usage();
    let hangs = vendor.path("hangs");
    let mut command = vendor.command(["serve", "--listen", "127.0.0.1:0"]);
    command.env("LD_PRELOAD", &*DISK).env("TEST_DISK_HANGS", &hangs);
    let mut server = vendor.serve_by(command);
    std::fs::write(&hangs, "").expect("a file");
    assert_eq!(page(&server, "/usage", october(), 1, 100).entries().len(), 3);
    server.signal("TERM");
    let until = Instant::now() + Duration::from_secs(15);
    while server.is_running() {
        assert!(Instant::now() < until, "it does not end");
        thread::yield_now();
    }
    let log = server.log();
    assert!(log.contains("the disk does not answer"), "{log}");
}

#[test]
fn a_snapshot_that_finds_no_room_is_said_once_and_later_pages_come_from_memory() {
    let vendor = with_usage();
    let full = vendor.path("full");
    let mut command = vendor.command(["serve", "--listen", "127.0.0.1:0"]);
    command.env("LD_PRELOAD", &*DISK).env("TEST_DISK_FULL", &full);
    let server = vendor.serve_by(command);
    std::fs::write(&full, "").expect("a file");
    let said = || server.log().matches("come from memory alone: the disk is full").count();
    for last_s in [october().1, october().1 - 1] {
        for path in PATHS {
            let window = (october().0, last_s);
            assert_eq!(names(&page(&server, path, window, 1, 1)), "b");
            let until = Instant::now() + Duration::from_secs(20);
            while said() == 0 {
                assert!(Instant::now() < until, "{}", server.log());
                thread::yield_now();
            }
            assert_eq!(names(&page(&server, path, window, 2, 1)), "d");
        }
    }
    assert_eq!((said(), left(&vendor)), (1, 0));
    // Once there is room, snapshots are left again.
    std::fs::remove_file(&full).expect("it was there");
    vendor.ok(["record", "a", "1", "--at", "2026-10-10"]);
    assert_eq!(names(&page(&server, "/bill", october(), 1, 1)), "a");
    until_left(&vendor, "/bill", 0);
    vendor.ok(["check"]);
}

#[test]
fn a_page_1_that_cannot_be_shown_to_other_servers_goes_out_and_is_followed_in_memory() {
    let vendor = with_usage();
    stop(vendor.serve());
    // It keeps SQLite's files beside the books.
    let open = vendor.sql();
    open.query_row("select count(*) from project", [], |row| row.get::<_, i64>(0)).expect("a read");
    // A file may be written up to 8 KiB.
    let mut command = std::process::Command::new("sh");
    let script = "trap '' XFSZ; ulimit -f 16; exec \"$0\" serve --listen 127.0.0.1:0";
    command.args(["-c", script, env!("CARGO_BIN_EXE_agora-vendor")]);
    command.env("AGORA_VENDOR_DB", vendor.db());
    let mut server = vendor.serve_by(command);
    for path in PATHS {
        assert_eq!(names(&page(&server, path, october(), 1, 1)), "b");
        vendor.ok(["record", "f", "1", "--at", "2026-10-10"]);
        assert_eq!(names(&page(&server, path, october(), 2, 1)), "d");
    }
    assert!(server.log().contains("end with this process"), "{}", server.log());
    server.kill();
    assert_eq!(left(&vendor), 0);
    vendor.ok(["check"]);
}

#[test]
fn a_last_page_for_which_there_is_no_room_in_the_queue_is_told_so_in_words_of_its_own() {
    let vendor = with_usage();
    let server = vendor.serve();
    let mut sql = vendor.sql();
    let immediate = rusqlite::TransactionBehavior::Immediate;
    let lock = sql.transaction_with_behavior(immediate).expect("the lock");
    let whole = |n: i64| page(&server, "/usage", (october().0 - n, october().1), 1, 100);
    for n in 0..256 {
        assert_eq!(whole(n).status, 200, "{n}");
    }
    let refused = whole(256);
    assert_eq!((refused.status, refused.reason().as_str()), (503, TOO_MANY));
    assert!(refused.head.contains("retry-after: 1"), "{}", refused.head);
    drop(lock);
    until_kept(&vendor, 256);
    let log = server.log();
    assert!(!log.contains("another process has been writing"), "{log}");
    assert!(log.contains("too many answers wait to be kept"), "{log}");
    assert_eq!(whole(256).status, 200);
}

#[test]
fn overlapping_windows_are_named_and_one_gap_is_one_line() {
    let vendor = with_usage();
    let server = vendor.serve();
    let window = |from: &str, to: &str| (second(from), second(to));
    let october = october();
    page(&server, "/bill", october, 1, 100);
    page(&server, "/bill", (october.1 - 5, october.1 + 2), 1, 100);
    page(&server, "/bill", window("2026-08-01T00:00:00Z", "2026-08-31T23:59:59Z"), 1, 100);
    stop(server);
    // Windows that touch, each asked for before it was over alone.
    vendor.at("2026-09-01T10:00:00Z");
    let server = vendor.serve();
    for date in ["2026-09-02", "2026-09-03", "2026-09-04"] {
        page(&server, "/bill", day(date), 1, 100);
    }
    stop(server);
    let listed = vendor.json(["statement", "list", "--kind", "bill"]);
    assert_eq!(
        listed["overlaps"],
        json!([{
            "kind": "bill",
            "from": "2026-10-31T23:59:54Z",
            "to": "2026-10-31T23:59:59Z",
            "statements": [1, 2]
        }])
    );
    let gap = |from: &str, to: &str, only: bool| {
        json!({
            "kind": "bill", "from": from, "to": to, "onlyProvisional": only,
        })
    };
    assert_eq!(
        listed["neverAsked"],
        json!([
            gap("2026-09-01T00:00:00Z", "2026-09-01T23:59:59Z", false),
            gap("2026-09-02T00:00:00Z", "2026-09-04T23:59:59Z", true),
            gap("2026-09-05T00:00:00Z", "2026-09-30T23:59:59Z", false),
        ])
    );
    let words = vendor.ok(["statement", "list"]).out;
    assert!(words.contains("statements 1, 2"), "{words}");
}

#[test]
fn a_month_of_another_time_zone_is_named_in_the_log_and_by_statement_list() {
    let vendor = with_usage();
    let server = vendor.serve();
    let (from, to) = (second("2026-09-30T16:00:00Z"), second("2026-10-31T16:00:00Z"));
    page(&server, "/bill", (from, to), 1, 100);
    page(&server, "/usage", (from, to), 1, 100);
    page(&server, "/bill", october(), 1, 100);
    let log = server.log();
    assert_eq!(log.matches("2026-10 in UTC+8, which is no month of UTC").count(), 1, "{log}");
    stop(server);
    let kept = statements(&vendor);
    let named: Vec<_> = kept.iter().filter(|kept| !kept["monthElsewhere"].is_null()).collect();
    assert_eq!(named.len(), 1);
    assert_eq!(named[0]["monthElsewhere"], json!({"month": "2026-10", "hoursAhead": 8}));
    let words = vendor.ok(["statement", "list"]).out;
    assert!(words.contains("Months of another time zone"), "{words}");
    assert!(words.contains("2026-10 in UTC+8"), "{words}");
}

#[test]
fn a_statement_of_before_keeps_its_window_and_is_named_where_it_overlaps() {
    let vendor = with_usage();
    let server = vendor.serve();
    let (from, to) = october();
    page(&server, "/bill", (from, to + 1), 1, 100);
    stop(server);
    // As it was read once: with the second that it shares with the next window.
    let sql = vendor.sql();
    sql.execute_batch(
        "drop trigger statement_stays_what_was_told; update statement set last_s = last_s + 1",
    )
    .expect("an older statement");
    let server = vendor.serve();
    page(&server, "/bill", (to + 1, second("2026-11-20T00:00:00Z")), 1, 100);
    page(&server, "/bill", (from, to + 1), 1, 100);
    stop(server);
    let listed = vendor.json(["statement", "list"]);
    let windows: Vec<_> = listed["statements"].as_array().expect("a list").iter().collect();
    let ends: Vec<_> = windows.iter().map(|kept| kept["to"].as_str().expect("a time")).collect();
    assert_eq!(ends, ["2026-11-01T00:00:00Z", "2026-11-19T23:59:59Z", "2026-10-31T23:59:59Z"]);
    let overlap = &listed["overlaps"][0];
    assert_eq!(
        (&overlap["from"], &overlap["to"], &overlap["statements"]),
        (&json!("2026-10-01T00:00:00Z"), &json!("2026-11-01T00:00:00Z"), &json!([1, 2, 3]))
    );
}

#[test]
fn a_page_after_a_restart_is_the_same_byte_for_byte_and_none_comes_from_a_damaged_snapshot() {
    for path in PATHS {
        let vendor = with_usage();
        let server = vendor.serve();
        page(&server, path, october(), 1, 1);
        let second_page = page(&server, path, october(), 2, 1).body;
        vendor.ok(["record", "d", "1", "--at", "2026-10-10"]);
        let server = restart(&vendor, server, "TERM");
        assert_eq!(page(&server, path, october(), 2, 1).body, second_page);
        let damage = "update snapshot set entries = x'00'";
        vendor.sql().execute_batch(damage).expect("damage");
        let server = restart(&vendor, server, "TERM");
        assert_gone(&page(&server, path, october(), 2, 1));
        assert!(server.log().contains("the snapshot of page 1 cannot be read: "));
    }
}

/// Page 1 of the usage of October and so many seconds before it; tried again while the disk is too
/// slow for it.
fn begin(server: &Server, seconds_before: i64) -> Answer {
    let window = (october().0 - seconds_before, october().1);
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = page(server, "/usage", window, 1, 1);
        if answer.status == 200 {
            return answer;
        }
        assert_eq!(answer.reason(), TOO_MANY);
        assert!(Instant::now() < until, "{answer:?}");
        thread::yield_now();
    }
}

#[test]
fn of_hundreds_of_listings_none_costs_another_its_later_pages() {
    let vendor = with_usage();
    let server = vendor.serve();
    let seconds = 0..200;
    for before in seconds.clone() {
        assert_eq!(names(&begin(&server, before)), "b");
    }
    for before in seconds {
        let window = (october().0 - before, october().1);
        assert_eq!(names(&page(&server, "/usage", window, 2, 1)), "d", "{before}");
    }
    stop(server);
}

#[test]
fn page_1_goes_out_if_its_later_pages_will_be_there_however_slow_the_disk_is() {
    let vendor = with_usage();
    let server = vendor.serve();
    let mut sql = vendor.sql();
    let immediate = rusqlite::TransactionBehavior::Immediate;
    let lock = sql.transaction_with_behavior(immediate).expect("the lock");
    let ask = |before: i64, page_num| {
        page(&server, "/usage", (october().0 - before, october().1), page_num, 1)
    };
    // More than memory holds wait for the disk.
    let refused = (0..400).map(|before| (before, ask(before, 1))).find(|(_, it)| it.status != 200);
    let (begun, refused) = refused.expect("a refusal");
    assert!(begun > 128, "{begun}");
    assert_eq!((refused.status, refused.reason().as_str()), (503, TOO_MANY));
    assert!(refused.head.contains("retry-after: 1"), "{}", refused.head);
    for before in 0..begun {
        assert_eq!(names(&ask(before, 2)), "d", "{before}");
    }
    assert!(server.log().contains("too many snapshots wait to be left on the disk"));
    drop(lock);
    assert_eq!(names(&begin(&server, begun)), "b");
    for before in 0..=begun {
        assert_eq!(names(&ask(before, 2)), "d", "{before}");
    }
    stop(server);
    assert_eq!(left(&vendor), begun + 1);
}
