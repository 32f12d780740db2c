//! The admin listener: what it says of a server that is well and of one that is not, and that it
//! costs the public one nothing.

use crate::vendor::{Answer, Server, Vendor, day, read_answer, second, skipped};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// A server with an admin listener on a free port.
pub struct Watched {
    pub server: Server,
    port: u16,
}

pub fn serve(vendor: &Vendor, arguments: &[&str]) -> Watched {
    // Whatever is logged, the port is said.
    let level = ["--log", "error", "--admin", "127.0.0.1:0"];
    let mut command = vendor.command(["serve", "--listen", "127.0.0.1:0"]);
    command.args(level).args(arguments);
    let server = vendor.serve_by(command);
    let log = server.log_with("/healthz, /readyz and /metrics are on http://127.0.0.1:");
    let port = log.lines().find_map(port).expect("it is said");
    Watched { server, port }
}

/// The port of the admin listener, where a line of the log says it.
fn port(line: &str) -> Option<u16> {
    let (_, port) = line.rsplit_once("are on http://127.0.0.1:")?;
    Some(port.trim_end().parse().expect("a port"))
}

impl Watched {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        stream
    }

    fn ask(&self, request: &str) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("sent");
        read_answer(&mut BufReader::new(stream)).expect("an answer")
    }

    fn get(&self, target: &str) -> Answer {
        self.ask(&format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"))
    }

    pub fn metrics(&self) -> String {
        let answer = self.get("/metrics");
        assert_eq!(answer.status, 200);
        assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
        answer.body
    }
}

/// The value of a line of the metrics; none where there is no such line.
pub fn value(page: &str, line: &str) -> Option<f64> {
    let of = |told: &str| {
        let (name, value) = told.rsplit_once(' ')?;
        (name == format!("agora_vendor_{line}")).then(|| value.parse().expect("a number"))
    };
    page.lines().find_map(of)
}

/// The names of metrics that a page explains.
fn names(page: &str) -> BTreeSet<&str> {
    let explained = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    explained.filter_map(|line| line.split(' ').next()).collect()
}

#[test]
fn it_is_off_unless_it_is_asked_for_and_the_public_listener_has_the_health_check_alone() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let statuses = ["/healthz", "/readyz", "/metrics"].map(|path| server.get(path).status);
    assert_eq!((statuses, server.log().contains("are on http")), ([200, 404, 404], false));
    drop(server);
    let watched = serve(&vendor, &[]);
    let statuses = ["/healthz", "/readyz", "/metrics"];
    assert_eq!(statuses.map(|path| watched.server.get(path).status), [200, 404, 404]);
    let answers = ["/healthz", "/readyz", "/metrics", "/usage", "/"].map(|path| watched.get(path));
    assert_eq!(answers.map(|answer| answer.status), [200, 200, 200, 404, 404]);
    assert_eq!(watched.ask("POST /metrics HTTP/1.1\r\nHost: h\r\n\r\n").status, 405);
}

#[test]
fn it_is_ready_as_long_as_the_books_can_be_read_and_written() {
    let vendor = Vendor::new();
    let watched = serve(&vendor, &[]);
    // What was seen is held for a second.
    let until = |wanted: u16| {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let answer = watched.get("/readyz");
            if answer.status == wanted {
                return answer.json();
            }
            assert!(Instant::now() < end, "{answer:?}");
        }
    };
    let ready = until(200);
    assert_eq!((&ready["status"], &ready["reason"]), (&"ready".into(), &serde_json::Value::Null));
    let checks = ready["checks"].as_array().expect("checks");
    let names: Vec<_> = checks.iter().filter_map(|check| check["name"].as_str()).collect();
    assert_eq!(names, ["read", "schema", "writeLock", "freeSpace"]);

    let lock = vendor.sql();
    lock.execute_batch("begin immediate").expect("the lock");
    let reason = until(503)["reason"].as_str().expect("a reason").to_owned();
    assert!(reason.starts_with("writeLock: "), "{reason}");
    lock.execute_batch("rollback").expect("the lock is let go");
    until(200);

    // As a newer executable leaves it that has migrated the books.
    let version: i64 =
        vendor.sql().query_row("pragma user_version", [], |row| row.get(0)).expect("a version");
    let set = |version: i64| {
        vendor.sql().execute_batch(&format!("pragma user_version = {version}")).expect("set");
    };
    set(version + 1);
    let reason = until(503)["reason"].as_str().expect("a reason").to_owned();
    assert!(reason.starts_with("schema: ") && reason.contains("version"), "{reason}");
    assert_eq!(watched.get("/healthz").status, 503);
    set(version);
    until(200);

    std::fs::rename(vendor.db(), vendor.path("elsewhere.db")).expect("renamed");
    let reason = until(503)["reason"].as_str().expect("a reason").to_owned();
    assert!(reason.starts_with("read: "), "{reason}");
}

/// A small disk of its own, until it is dropped.
struct SmallDisk<'a>(&'a Path);

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // Where it was mounted it can be unmounted, once nobody uses it.
        let _unmounted = Command::new("umount").args(["-l"]).arg(self.0).status();
    }
}

#[test]
fn it_is_not_ready_where_the_disk_is_nearly_full() {
    let vendor = Vendor::new();
    let folder = vendor.path("disk");
    std::fs::create_dir(&folder).expect("a folder");
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=32m,mode=0700", "tmpfs"]).arg(&folder);
    if !mount.output().is_ok_and(|mounted| mounted.status.success()) {
        return skipped("no disk can be mounted here");
    }
    let _disk = SmallDisk(&folder);
    vendor.ok(["backup", "disk/books.db"]);
    let watched = serve(&vendor, &["--db", "disk/books.db"]);
    let answer = watched.get("/readyz");
    assert_eq!(answer.status, 503, "{answer:?}");
    let reason = answer.json()["reason"].as_str().expect("a reason").to_owned();
    assert!(reason.starts_with("freeSpace: ") && reason.contains("make room"), "{reason}");
}

#[test]
fn requests_are_counted_by_route_and_status_and_so_is_the_time_they_take() {
    let vendor = Vendor::new();
    let watched = serve(&vendor, &[]);
    let (from, to) = day("2021-10-05");
    for _ in 0..3 {
        assert_eq!(watched.server.usage(from, to).status, 200);
    }
    watched.server.get("/usage");
    watched.server.get("/nowhere");
    watched.server.send(b"nonsense\r\n\r\n");
    let (path, fields) = ("/customers/new", r#""customerId":"c","planId":"gold""#);
    assert_eq!(watched.server.call("POST", path, fields).status, 200);
    let lock = vendor.sql();
    lock.execute_batch("begin immediate").expect("the lock");
    assert_eq!(watched.server.call("PUT", "/customers/c/deactivate", "").status, 503);
    drop(lock);
    let page = watched.metrics();
    for (line, wanted) in [
        (r#"requests_total{route="usage",status="200"}"#, 3.0),
        (r#"requests_total{route="usage",status="401"}"#, 1.0),
        (r#"requests_total{route="none",status="404"}"#, 1.0),
        (r#"requests_total{route="none",status="400"}"#, 1.0),
        (r#"requests_total{route="create_customer",status="200"}"#, 1.0),
        (r#"requests_total{route="deactivate_customer",status="503"}"#, 1.0),
        (r#"request_duration_seconds_count{route="usage"}"#, 4.0),
        (r#"request_duration_seconds_bucket{route="usage",le="+Inf"}"#, 4.0),
        ("lock_timeouts_total", 1.0),
    ] {
        assert_eq!(value(&page, line), Some(wanted), "{line}: {page}");
    }
    let sum = value(&page, r#"request_duration_seconds_sum{route="deactivate_customer"}"#);
    assert!(sum.is_some_and(|sum| (0.2..30.0).contains(&sum)), "it waited for the lock: {sum:?}");
    assert!(value(&page, "lock_wait_seconds_count").is_some_and(|waits| waits >= 1.0), "{page}");
    assert!(value(&page, "connections").is_some(), "{page}");
}

#[test]
fn a_failure_is_counted_from_zero_so_that_a_rate_sees_the_first_one() {
    let vendor = Vendor::new();
    let watched = serve(&vendor, &[]);
    let page = watched.metrics();
    for route in ["none", "usage", "bill", "license", "create_customer", "activate_license"] {
        for status in ["200", "401", "500", "503"] {
            let line = format!(r#"requests_total{{route="{route}",status="{status}"}}"#);
            assert_eq!(value(&page, &line), Some(0.0), "{line}: {page}");
        }
    }
    assert_eq!(value(&page, r#"requests_total{route="usage",status="404"}"#), None, "{page}");
}

#[test]
fn the_lines_that_the_log_has_lost_are_counted() {
    let vendor = Vendor::new();
    let mut command = vendor.command(["serve", "--listen", "127.0.0.1:0", "--log", "debug"]);
    command.args(["--admin", "127.0.0.1:0"]);
    let (read, written) = std::io::pipe().expect("a pipe");
    let server = vendor.serve_by_into(command, written.into());
    let mut log = BufReader::new(read);
    let port = loop {
        let mut line = String::new();
        log.read_line(&mut line).expect("a line");
        if let Some(port) = port(&line) {
            break port;
        }
    };
    let watched = Watched { server, port };
    let lost = |watched: &Watched| value(&watched.metrics(), "log_lines_lost_total");
    assert_eq!(lost(&watched), Some(0.0));
    // Each is a line of 40 bytes at least, and the pipe has room for 64 KiB at most.
    for _ in 0..2_000 {
        assert_eq!(watched.server.get("/healthz").status, 200);
    }
    let counted = lost(&watched).expect("a count");
    assert!(counted >= 100.0, "{counted}");
    // Once there is room again, the log says the same.
    let mut room = vec![0; 1 << 20];
    assert!(log.read(&mut room).expect("what there was room for") > 0);
    let Watched { server, .. } = watched;
    assert_eq!(server.get("/healthz").status, 200);
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
    let mut rest = String::new();
    log.read_to_string(&mut rest).expect("UTF-8");
    let said =
        rest.lines().find_map(|line| line.split_once(" lines are lost")?.0.rsplit(' ').next());
    let said: f64 = said.expect("it is said").parse().expect("a number");
    assert!(said >= counted, "{said} {counted}");
}

#[test]
fn the_books_are_surveyed() {
    let vendor = Vendor::new();
    vendor.at("2026-11-10T12:00:00Z");
    for (id, at) in [("a", "2026-11-09"), ("b", "2026-11-09"), ("c", "2026-11-08")] {
        vendor.ok(["record", "p", "1.5", "--id", id, "--at", at]);
    }
    vendor.ok(["void", "b", "--reason", "twice"]);
    vendor.ok(["customer", "add", "c", "--plan", "gold", "--new"]);
    vendor.ok(["license", "issue", "c", "--expires", "2026-11-20", "--unlimited"]);
    {
        let server = vendor.serve();
        let (from, to) = day("2026-11-09");
        assert_eq!(server.usage(from, to).status, 200);
        server.signal("TERM");
        assert_eq!(server.wait(), Some(0));
    }
    vendor.at("2026-11-15T11:00:00Z").ok(["backup", "--dir", ".", "--keep", "2"]);
    // Late for what was told.
    vendor.ok(["record", "p", "2.5", "--id", "late", "--at", "2026-11-09"]);
    vendor.at("2026-11-15T12:00:00Z");
    let page = serve(&vendor, &[]).metrics();
    let at = |time: &str| f64::from(u32::try_from(second(time)).expect("a second of these years"));
    for (line, wanted) in [
        ("books_read", 1.0),
        ("records", 3.0),
        ("ledger_entries", 5.0),
        ("last_record_timestamp_seconds", at("2026-11-15T11:00:00Z")),
        ("last_usage_timestamp_seconds", at("2026-11-09T12:00:00Z")),
        (r#"statements{kind="usage"}"#, 1.0),
        (r#"statements{kind="bill"}"#, 0.0),
        (r#"last_asked_timestamp_seconds{kind="usage"}"#, at("2026-11-10T12:00:00Z")),
        // The days since that one.
        (r#"never_asked{kind="usage"}"#, 5.0),
        (r#"never_asked{kind="bill"}"#, 0.0),
        ("late_usage", 2.5),
        ("late_records", 1.0),
        ("last_backup_timestamp_seconds", at("2026-11-15T11:00:00Z")),
        ("backup_age_seconds", 3_600.0),
        ("licenses_ending", 1.0),
        ("plans_missing", 1.0),
        ("unpriced_projects", 1.0),
        ("live_keys", 1.0),
        ("start_time_seconds", at("2026-11-15T12:00:00Z")),
    ] {
        assert_eq!(value(&page, line), Some(wanted), "{line}: {page}");
    }
    assert_eq!(value(&page, r#"last_asked_timestamp_seconds{kind="bill"}"#), None);
    assert!(value(&page, "log_bytes").is_some() && value(&page, "free_bytes").is_some(), "{page}");
}

#[test]
fn what_callers_make_up_is_no_label() {
    let vendor = Vendor::new();
    let watched = serve(&vendor, &[]);
    for n in 0..3 {
        watched.server.get(&format!("/customers/c{n}/license?apiKey=k{n}"));
        watched.server.get(&format!("/nowhere/{n}"));
    }
    let lines = watched.metrics().lines().count();
    for n in 3..150 {
        watched.server.get(&format!("/customers/c{n}/license?apiKey=k{n}"));
        watched.server.get(&format!("/nowhere/{n}"));
        watched.server.send(format!("M{n} /p{n} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
    }
    let page = watched.metrics();
    assert!(page.lines().count() <= lines + 1, "{page}");
    assert!(!page.contains("c149") && !page.contains("p149") && !page.contains("M149"), "{page}");
}

#[test]
fn a_survey_is_held_so_that_a_scrape_costs_little() {
    let vendor = Vendor::new();
    let watched = serve(&vendor, &[]);
    // On a machine at work on other things the two may lie too far apart: then once more.
    let is_held = |n: usize| {
        let began = Instant::now();
        let before = value(&watched.metrics(), "records").expect("a number");
        vendor.ok(["record", "p", "1", "--id", &n.to_string(), "--at", "2021-10-05"]);
        let after = value(&watched.metrics(), "records").expect("a number");
        // What is found is as old as ten seconds at most, the time of the first scrape included.
        (began.elapsed() < Duration::from_secs(4)).then_some(before == after)
    };
    assert!((0..20).filter_map(is_held).take(2).any(|held| held));
}

#[test]
fn a_health_check_waits_for_nobody_who_waits_for_the_lock() {
    let vendor = Vendor::new();
    let watched = serve(&vendor, &[]);
    let writer = vendor.sql();
    writer.execute_batch("begin immediate").expect("the lock");
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| watched.get("/readyz").status);
        let mut healthy = 0;
        while !waits.is_finished() {
            assert_eq!(watched.get("/healthz").status, 200);
            healthy += 1;
        }
        assert_eq!(waits.join().expect("an answer"), 503);
        // One after another, within the second that the lock is waited for.
        assert!(healthy > 5, "{healthy}");
    });
}

#[test]
fn many_connections_take_no_place_of_the_public_listener_and_none_for_long() {
    let vendor = Vendor::new();
    let watched = serve(&vendor, &[]);
    let mut idle: Vec<TcpStream> = (0..100).map(|_| watched.connect()).collect();
    for slow in &mut idle[50..] {
        // Those that had to make room may be gone.
        let _sent = slow.write_all(b"GET /metrics HTTP/1.1\r\nX: ");
    }
    assert_eq!(watched.get("/healthz").status, 200);
    let page = watched.metrics();
    assert_eq!(value(&page, "connections"), Some(0.0), "they are not the public listener's");
    assert_eq!(watched.server.get("/healthz").status, 200);
    // Whoever sends nothing is not waited for.
    let began = Instant::now();
    for mut idle in idle {
        let mut rest = Vec::new();
        // It may be reset.
        let _end = idle.read_to_end(&mut rest);
    }
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    // More of a request than anybody needs.
    let long = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    let mut stream = watched.connect();
    let _sent = stream.write_all(long.as_bytes());
    let mut said = String::new();
    let _end = stream.read_to_string(&mut said);
    assert!(!said.contains(" 200 "), "{said}");
}

#[test]
fn every_query_of_the_dashboard_names_metrics_that_there_are() {
    let vendor = Vendor::new();
    vendor.ok(["record", "p", "1.5", "--at", "2021-10-05"]);
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a pair");
    std::fs::write(vendor.path("cert.pem"), made.cert.pem()).expect("a file");
    std::fs::write(vendor.path("key.pem"), made.signing_key.serialize_pem()).expect("a file");
    {
        let server = vendor.serve();
        let (from, to) = day("2021-10-05");
        assert_eq!(server.usage(from, to).status, 200);
        server.signal("TERM");
        assert_eq!(server.wait(), Some(0));
    }
    vendor.ok(["backup", "--dir", ".", "--keep", "1"]);
    let watched = serve(&vendor, &["--tls-cert", "cert.pem", "--tls-key", "key.pem"]);
    let page = watched.metrics();
    let names = names(&page);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/agora-vendor-dashboard.json");
    let dashboard = std::fs::read_to_string(file).expect("a dashboard");
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).expect("JSON");
    let mut asked = BTreeSet::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().expect("a query");
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let of_query: Vec<&str> = query
                .split(|c: char| !is_name(c))
                .filter(|word| word.starts_with("agora_vendor_"))
                .collect();
            assert!(!of_query.is_empty(), "{query}");
            asked.extend(
                of_query
                    .into_iter()
                    .map(|name| name.strip_suffix("_bucket").unwrap_or(name).to_owned()),
            );
        }
    }
    for name in &asked {
        assert!(names.contains(name.as_str()), "{name} is none of {names:?}");
    }
    // And none is forgotten there, but for how long the survey itself took.
    let unasked: Vec<_> = names.iter().filter(|name| !asked.contains(**name)).collect();
    let aside = ["agora_vendor_books_read_seconds", "agora_vendor_last_backup_timestamp_seconds"];
    assert_eq!(unasked.into_iter().copied().collect::<Vec<_>>(), aside);
}
