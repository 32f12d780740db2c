//! Many processes at once, and processes that are killed.

use crate::vendor::{Vendor, day, long, signal};
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn two_hundred_recorders_at_once_lose_nothing_while_the_server_answers() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let (from, to) = day("2026-10-10");
    let mut recorders: Vec<_> = (0..200)
        .map(|n| {
            let (project, id) = (format!("p{}", n % 7), format!("r{n}"));
            let arguments = ["record", &project, "0.1", "--id", &id, "--at", "2026-10-10"];
            vendor
                .command(arguments)
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .expect("it runs")
        })
        .collect();
    let mut answered = 0;
    while recorders.iter_mut().any(|recorder| recorder.try_wait().expect("a state").is_none()) {
        assert_eq!(server.usage(from, to).status, 200);
        answered += 1;
    }
    assert!(answered > 0);
    for recorder in recorders {
        let ended = recorder.wait_with_output().expect("an end");
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    }
    assert_eq!(vendor.total(), "20");
    assert_eq!(server.usage(from, to).entries().len(), 7);
    vendor.ok(["check"]);
}

#[test]
fn the_same_record_from_many_processes_counts_once() {
    let vendor = Vendor::new();
    let recorders: Vec<_> = (0..20)
        .map(|_| {
            vendor
                .command(["record", "p", "1.5", "--id", "r"])
                .stdout(Stdio::piped())
                .spawn()
                .expect("it runs")
        })
        .collect();
    let mut written = 0;
    for recorder in recorders {
        let ended = recorder.wait_with_output().expect("an end");
        assert!(ended.status.success());
        written += usize::from(ended.stdout.starts_with(b"recorded"));
    }
    assert_eq!((written, vendor.total().as_str()), (1, "1.5"));
}

/// Records in a loop until it is killed with all its children, and gives the ids that were
/// acknowledged. The time to the kill begins once so many of them are.
fn killed_recorder(vendor: &Vendor, round: usize, first: usize, after: Duration) -> Vec<String> {
    let told = vendor.path(&format!("acknowledged-{round}"));
    // Each id is written down only after the command for it has ended with 0.
    let script = r#"
        n=0
        while :; do
          "$0" record p 0.1 --id "$1-$n" --at 2026-10-10 >/dev/null 2>&1 && echo "$1-$n"
          n=$((n+1))
        done"#;
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_agora-vendor"), &format!("round{round}")]);
    shell
        .env("AGORA_VENDOR_DB", vendor.db())
        .stdout(File::create(&told).expect("a file"))
        .process_group(0);
    let mut child = shell.spawn().expect("a shell");
    let acknowledged = || -> Vec<String> {
        let told = std::fs::read_to_string(&told).expect("a list");
        told.lines().map(str::to_owned).collect()
    };
    let started = Instant::now();
    while acknowledged().len() < first && started.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(after);
    signal("KILL", &format!("-{}", child.id()));
    child.wait().expect("an end");
    acknowledged()
}

#[test]
fn a_recorder_killed_at_any_moment_loses_nothing_acknowledged_and_doubles_nothing() {
    let vendor = Vendor::new();
    let (rounds, mut acknowledged) = (if long() { 300 } else { 25 }, Vec::new());
    for round in 0..rounds {
        // Half of the rounds beside a server, whose connections keep the write-ahead log alive.
        let _server = (round % 2 == 0).then(|| vendor.serve());
        let after = Duration::from_micros(20_000 + (round as u64 * 7_919) % 60_000);
        // Half of them at whatever moment, from the start on; half once three are acknowledged: a
        // busy machine comes to none in the time.
        let first = if round % 4 > 1 { 3 } else { 0 };
        acknowledged.extend(killed_recorder(&vendor, round, first, after));
        vendor.ok(["check"]);
    }
    assert!(acknowledged.len() > rounds, "{}", acknowledged.len());
    let sql = vendor.sql();
    for id in &acknowledged {
        let count: i64 = sql
            .query_row("select count(*) from usage_ledger where record_id = ?", [id], |row| {
                row.get(0)
            })
            .expect("a count");
        assert_eq!(count, 1, "{id}");
    }
    // What was written and not acknowledged is at most the one of each round that was under way.
    let written: i64 =
        sql.query_row("select count(*) from usage_ledger", [], |row| row.get(0)).expect("a count");
    let surplus = usize::try_from(written).expect("a count") - acknowledged.len();
    assert!(surplus <= rounds, "{surplus}");
    let tenths = format!("{}.{}", written / 10, written % 10);
    assert_eq!(vendor.total(), tenths.trim_end_matches(".0"));
}

#[test]
fn a_writer_waits_for_another_and_gives_up_with_75() {
    let vendor = Vendor::new();
    let mut sql = vendor.sql();
    let lock =
        sql.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).expect("the lock");
    let began = Instant::now();
    let waiting =
        vendor.command(["record", "p", "1"]).stderr(Stdio::piped()).spawn().expect("it runs");
    // A reader does not wait.
    let server = vendor.serve();
    let (from, to) = day("2026-10-10");
    assert_eq!(server.usage(from, to).status, 200);
    vendor.ok(["totals"]);
    assert!(began.elapsed() < Duration::from_secs(20));
    let ended = waiting.wait_with_output().expect("an end");
    assert_eq!(ended.status.code(), Some(75));
    assert!(began.elapsed() >= Duration::from_secs(30), "{:?}", began.elapsed());
    let said = String::from_utf8(ended.stderr).expect("UTF-8");
    assert!(said.contains("busy") && said.contains("try again"), "{said}");
    drop(lock);
    vendor.ok(["record", "p", "1"]);
    assert_eq!(vendor.total(), "1");
}

#[test]
fn a_write_that_fails_half_way_changes_nothing() {
    let vendor = Vendor::new();
    vendor.ok(["record", "p", "1", "--id", "r"]);
    // A file may grow to 8 KiB: less than one record's pages in the write-ahead log.
    let limited = std::process::Command::new("sh")
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f 16; exec \"$0\" record p 2 --id s",
            env!("CARGO_BIN_EXE_agora-vendor"),
        ])
        .env("AGORA_VENDOR_DB", vendor.db())
        .output()
        .expect("a shell");
    assert_eq!(limited.status.code(), Some(1), "{}", String::from_utf8_lossy(&limited.stderr));
    vendor.ok(["check"]);
    assert_eq!(vendor.total(), "1");
    vendor.ok(["record", "p", "2", "--id", "s"]);
    assert_eq!(vendor.total(), "3");
}
