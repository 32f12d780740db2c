//! `doctor`: each check where all is well, and where it is not.

use crate::vendor::{Ended, Server, Vendor, day, second, signal, skipped};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

const NOW: &str = "2026-11-23T10:00:00Z";
/// A port that nobody listens on.
const NOBODY: &str = "http://127.0.0.1:1";
/// All checks, in their order.
const ALL: [&str; 21] = [
    "database",
    "files",
    "names",
    "space",
    "sqlite",
    "schema",
    "integrity",
    "sums",
    "clock",
    "certificate",
    "backup",
    "keys",
    "plans",
    "license-types",
    "prices",
    "usage",
    "bills",
    "silence",
    "late",
    "licenses",
    "request",
];

/// What doctor found, by the names of the checks.
struct Found {
    code: i32,
    names: Vec<String>,
    checks: BTreeMap<String, Value>,
}

impl Found {
    fn read(ended: Ended) -> Self {
        let document: Value = serde_json::from_str(&ended.out)
            .unwrap_or_else(|e| panic!("{e}: {}{}", ended.out, ended.err));
        let checks = document["checks"].as_array().expect("checks");
        let name = |check: &Value| check["name"].as_str().expect("a name").to_owned();
        Self {
            code: ended.code,
            names: checks.iter().map(name).collect(),
            checks: checks.iter().map(|check| (name(check), check.clone())).collect(),
        }
    }

    fn state(&self, name: &str) -> &str {
        self.checks[name]["state"].as_str().expect("a state")
    }

    fn says(&self, name: &str) -> &str {
        self.checks[name]["says"].as_str().expect("words")
    }

    fn remedy(&self, name: &str) -> &str {
        self.checks[name]["remedy"].as_str().unwrap_or_else(|| panic!("{}", self.checks[name]))
    }

    /// Sees that a check ended so, and says these words.
    fn is(&self, name: &str, state: &str, words: &str) -> &Self {
        let check = self.checks.get(name).unwrap_or_else(|| panic!("{name}: {:?}", self.names));
        assert_eq!(check["state"], state, "{check}");
        assert!(self.says(name).contains(words), "{words}: {check}");
        self
    }
}

impl Vendor {
    /// A command whose findings are read by whoever runs it.
    fn doctor_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(["doctor"].iter().chain(arguments));
        command.env_remove("SUDO_USER").env_remove("INVOCATION_ID");
        command
    }

    fn doctor(&self, arguments: &[&str]) -> Found {
        let mut command = self.doctor_command(&["--json"]);
        if !arguments.contains(&"--url") {
            command.args(["--url", NOBODY]);
        }
        Found::read(command.args(arguments).output().expect("it runs").into())
    }

    /// The same of one check, without the slow ones.
    fn check(&self, name: &str, state: &str, words: &str) -> Found {
        let found = self.doctor(&["--quick"]);
        found.is(name, state, words);
        if state == "failed" {
            assert_eq!(found.code, 1);
        }
        found
    }

    /// Runs a remedy by the shell, as it would be pasted.
    fn paste(&self, remedy: &str) {
        let (executable, program) = (env!("CARGO_BIN_EXE_agora-vendor"), "agora-vendor ");
        let typed = remedy.trim_start_matches("sudo ").replace(program, &format!("{executable} "));
        let mut command = Command::new("sh");
        command.args(["-c", &typed]).current_dir(self.path(".")).env("AGORA_VENDOR_DB", self.db());
        self.set_clock(&mut command);
        let ended: Ended = command.output().expect("a shell").into();
        assert_eq!(ended.code, 0, "{typed}: {}", ended.err);
    }

    fn at_now() -> Self {
        let vendor = Self::without_books();
        // As the folder of a service is.
        set_mode(&vendor.path("."), 0o700);
        vendor.at(NOW);
        vendor.ok(["init"]);
        vendor
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

/// A vendor whom Agora asked for the usage of each of these days, on the day after, and whose live
/// pair is that of Agora's examples.
fn asked_for(days: &[&str]) -> Vendor {
    let vendor = Vendor::without_books();
    vendor.at(&format!("{}T08:00:00Z", days[0]));
    fs::write(vendor.path("secret"), crate::vendor::API_SECRET).expect("a file");
    vendor.ok(["init", "--api-key", crate::vendor::API_KEY, "--api-secret-file", "secret"]);
    vendor.ok(["record", "p", "1", "--id", "first"]);
    let server = vendor.serve();
    for name in days {
        let (from_ts, to_ts) = day(name);
        let next = agora_vendor::billing::period::date(to_ts + 1);
        vendor.at(&format!("{next}T00:10:00Z"));
        assert_eq!(server.usage(from_ts, to_ts).status, 200);
    }
    stop(server);
    vendor
}

/// Asks for a month's bill.
fn ask_bill(server: &Server, month: usize) {
    let (from_ts, to_ts) = (crate::vendor::month_s(month), crate::vendor::month_s(month + 1) - 1);
    assert_eq!(server.listing("/bill", from_ts, to_ts, 1).status, 200);
}

fn stop(server: Server) {
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
}

#[test]
fn a_check_is_a_line_with_a_sign_a_sentence_and_a_remedy() {
    let vendor = Vendor::at_now();
    let found = vendor.doctor(&[]);
    assert_eq!(found.names, ALL);
    for (name, check) in &found.checks {
        let keys: Vec<&String> = check.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["name", "remedy", "says", "state"], "{name}");
        assert_eq!(check["remedy"].is_null(), check["state"] == "ok", "{check}");
    }
    let text = vendor.doctor_command(&["--url", NOBODY]).output().expect("it runs");
    let text = Ended::from(text);
    assert_eq!((text.code, text.out.lines().count()), (1, ALL.len()), "{}", text.out);
    for (line, name) in text.out.lines().zip(ALL) {
        let (sign, arrow) = match found.state(name) {
            "ok" => ("✓", String::new()),
            "warning" => ("!", format!(" → {}", found.remedy(name))),
            _ => ("✗", format!(" → {}", found.remedy(name))),
        };
        assert!(line.starts_with(&format!("{sign} {name} ")), "{line}");
        assert!(line.ends_with(&format!("{}{arrow}", found.says(name))), "{line}");
    }
}

#[test]
fn fresh_books_have_no_failure_and_what_is_not_done_yet_is_a_warning() {
    let vendor = Vendor::at_now();
    let server = vendor.serve();
    let found = vendor.doctor(&["--url", &server.origin()]);
    assert_eq!(found.code, 0, "{:?}", found.checks);
    let warnings: Vec<&str> =
        ALL.into_iter().filter(|name| found.state(name) == "warning").collect();
    assert_eq!(warnings, ["backup", "plans", "usage", "bills"]);
    let words = format!("{} (named by AGORA_VENDOR_DB)", vendor.db().display());
    found.is("database", "ok", &words);
    found.is("sqlite", "ok", "journal_mode wal, synchronous 2, foreign_keys 1");
    found.is("schema", "ok", "version 8, as it was made");
    found.is("usage", "warning", "Agora has not asked for usage yet");
    found.is("request", "ok", "answered a signed request with 200 in ");
}

#[test]
fn a_database_that_is_not_there_is_told_with_what_makes_one() {
    let vendor = Vendor::without_books();
    vendor.at(NOW);
    let found = vendor.check("database", "failed", "there is no such file");
    assert_eq!(found.names, ["database", "certificate"]);
    vendor.paste(found.remedy("database"));
    vendor.check("database", "ok", "named by AGORA_VENDOR_DB");
    // Where it is named by a flag, the remedy names it too.
    let elsewhere = vendor.doctor_command(&["--json", "--db", "a b.db"]).output();
    let found = Found::read(elsewhere.expect("it runs").into());
    assert_eq!(found.remedy("database"), "agora-vendor --db='a b.db' init");
}

#[test]
fn files_that_others_may_use_fail_and_the_remedy_closes_them() {
    let vendor = Vendor::at_now();
    vendor.ok(["record", "p", "1"]);
    let close = |name: &str, mode: u32| {
        let path = vendor.path(name);
        let is_mode = || path.metadata().expect("a file").permissions().mode() & 0o7777;
        let before = is_mode();
        set_mode(&path, mode);
        let found = vendor.check("files", "failed", &format!("(mode {mode:04o})"));
        vendor.paste(found.remedy("files"));
        vendor.check("files", "ok", "nobody else may use them");
        assert_eq!(is_mode(), before);
    };
    for (name, mode) in [(".", 0o755), (".", 0o710), ("agora-vendor.db", 0o644)] {
        close(name, mode);
    }
    // Log and index lie there as long as anybody has the database open.
    let open = vendor.sql();
    open.query_row("select count(*) from project", [], |_| Ok(())).expect("a read");
    close("agora-vendor.db-wal", 0o640);
    close("agora-vendor.db-shm", 0o604);
    // One in which anybody may write is refused, and told by what can still be looked at.
    set_mode(&vendor.path("."), 0o777);
    let found = vendor.check("open", "failed", "anybody may write in ");
    assert_eq!(found.state("files"), "failed");
    vendor.paste(found.remedy("open"));
    vendor.check("files", "ok", "");
}

#[test]
fn files_of_another_than_the_folders_owner_fail_and_the_remedy_gives_them_back() {
    if !rustix::process::getuid().is_root() {
        return skipped("only root can give files to others");
    }
    let vendor = Vendor::at_now();
    chown(vendor.path("."), Some(65_534), Some(65_534)).expect("an owner");
    let found = vendor.check("files", "failed", "agora-vendor.db belongs to root, not to nobody");
    assert!(found.remedy("files").starts_with("sudo chown nobody:nogroup "));
    vendor.paste(found.remedy("files"));
    vendor.check("files", "ok", "belong to nobody");
}

#[test]
fn a_second_name_fails_and_the_other_checks_go_on() {
    let vendor = Vendor::at_now();
    vendor.check("names", "ok", "one name");
    fs::hard_link(vendor.db(), vendor.path("second.db")).expect("a link");
    let found = vendor.check("names", "failed", "has 2 names (hard links)");
    found.is("open", "failed", "the file has a second name");
    assert_eq!(
        found.names,
        ["database", "files", "names", "space", "open", "certificate"],
        "what can be looked at is"
    );
    assert!(found.remedy("names").starts_with("sudo find / -xdev -samefile "));
    fs::remove_file(vendor.path("second.db")).expect("it was there");
    vendor.check("names", "ok", "one name");
}

#[test]
fn books_that_cannot_be_opened_are_told_and_the_other_checks_go_on() {
    let vendor = Vendor::at_now();
    let no_books = ["database", "files", "names", "space", "open", "certificate"];
    vendor.sql().execute_batch("pragma user_version = 5").expect("a version");
    let found = vendor.check("open", "failed", "has schema version 5");
    assert_eq!(
        (found.remedy("open"), &found.names[..]),
        ("agora-vendor migrate", &no_books.map(str::to_owned)[..])
    );
    vendor.sql().execute_batch("pragma user_version = 99").expect("a version");
    vendor.check("open", "failed", "use a newer agora-vendor");
    fs::write(vendor.db(), "no database").expect("a file");
    vendor.check("open", "failed", "is not an agora-vendor database").is("names", "ok", "");
}

#[test]
fn a_page_that_is_damaged_fails_and_the_other_checks_go_on() {
    let vendor = Vendor::at_now();
    vendor.ok(["record", "p", "1"]);
    let mut bytes = fs::read(vendor.db()).expect("a file");
    // The ledger's page.
    let root: i64 = vendor
        .sql()
        .query_row("select rootpage from sqlite_schema where name = 'usage_ledger'", [], |row| {
            row.get(0)
        })
        .expect("a page");
    let at = usize::try_from(root - 1).expect("a page") * 4_096;
    bytes[at..at + 64].fill(0xff);
    fs::write(vendor.db(), bytes).expect("a file");
    let found = vendor.doctor(&[]);
    assert_eq!(found.code, 1);
    found.is("open", "failed", "malformed").is("integrity", "failed", "").is("space", "ok", "");
    assert_eq!(found.remedy("open"), "agora-vendor restore FILE");
    assert_eq!(found.remedy("integrity"), "agora-vendor restore FILE");
}

#[test]
fn what_is_not_as_it_was_made_or_adds_up_to_something_else_fails() {
    let vendor = Vendor::at_now();
    vendor.ok(["record", "p", "1.5"]);
    let found = vendor.doctor(&[]);
    found.is("integrity", "ok", "are whole").is("sums", "ok", "agree with 1 ledger entry");
    vendor
        .sql()
        .execute_batch("update usage_rollup set amount = '1.6' where grain = 1")
        .expect("a change");
    let found = vendor.doctor(&[]);
    assert_eq!((found.code, found.remedy("sums")), (1, "agora-vendor check"));
    found.is("sums", "failed", "kept 1.6 in 1 records; the ledger says 1.5");
    // That takes long with many records.
    let quick = vendor.doctor(&["--quick"]);
    assert!(!quick.names.iter().any(|name| ["integrity", "sums"].contains(&name.as_str())));
    assert_eq!(quick.names.len(), ALL.len() - 2);
    vendor.sql().execute_batch("drop index project_by_customer").expect("a change");
    vendor.check("schema", "failed", "not as it was made: project_by_customer");
    vendor.doctor(&[]).is("integrity", "failed", "project_by_customer in the file's schema");
}

#[test]
fn a_clock_behind_what_was_written_fails() {
    let vendor = Vendor::at_now();
    vendor.ok(["record", "p", "1"]);
    assert_ne!(vendor.doctor(&["--quick"]).state("clock"), "failed");
    vendor.at("2026-11-23T09:50:00Z");
    let found = vendor.check("clock", "failed", "it says 2026-11-23T09:50:00Z, and something");
    assert_eq!(found.remedy("clock"), "sudo timedatectl set-ntp true");
}

/// What doctor finds of these books on a disk of their own, of so many bytes.
fn on_a_disk_of(vendor: &Vendor, bytes: u64) -> Option<Found> {
    let script = format!(
        "mount -t tmpfs -o size={bytes},mode=0700 disk \"$1\" || exit 99
        cp agora-vendor.db \"$1\" && exec \"$0\" doctor --quick --json --url {NOBODY} \
        --db \"$1/agora-vendor.db\""
    );
    fs::create_dir_all(vendor.path("disk")).expect("a folder");
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", &script]);
    command.arg(env!("CARGO_BIN_EXE_agora-vendor")).arg(vendor.path("disk"));
    vendor.set_clock(&mut command);
    let output = command.current_dir(vendor.path(".")).output().ok()?;
    let is_made = output.status.code().is_some_and(|code| code < 99) && !output.stdout.is_empty();
    is_made.then(|| Found::read(output.into()))
}

#[test]
fn a_disk_that_is_full_fails_and_one_that_soon_is_warns() {
    let vendor = Vendor::at_now();
    vendor.check("space", "ok", "nothing was recorded in the last week");
    let Some(found) = on_a_disk_of(&vendor, 64 << 20) else {
        return skipped("no disk can be mounted here");
    };
    found.is("space", "failed", "only 63 MiB are free on the database's disk");
    assert!(found.remedy("space").starts_with("df -h "));
    let fine = on_a_disk_of(&vendor, 256 << 20).expect("a disk");
    fine.is("space", "ok", "255 MiB are free");
    let mut rows = "id,projectId,amount,at\n".to_owned();
    (0..9_000).for_each(|number| rows += &format!("{number},p,1,2026-11-22T10:00:00Z\n"));
    fs::write(vendor.path("rows.csv"), rows).expect("a file");
    vendor.ok(["import", "rows.csv"]);
    let grown = on_a_disk_of(&vendor, 256 << 20).expect("a disk");
    grown.is("space", "warning", "the disk is full in 7");
    // A week without records later, they are no pace.
    vendor.at("2026-12-02T10:00:00Z");
    let still = on_a_disk_of(&vendor, 256 << 20).expect("a disk");
    still.is("space", "ok", "nothing was recorded in the last week");
}

/// Puts a certificate that ends on a day, with its key, into the vendor's folder.
fn certificate(vendor: &Vendor, year: i32, month: u8, day: u8) {
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("names");
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(year, month, day);
    let key = rcgen::KeyPair::generate().expect("a key");
    let made = params.self_signed(&key).expect("a certificate");
    fs::write(vendor.path("cert.pem"), made.pem()).expect("a file");
    fs::write(vendor.path("key.pem"), key.serialize_pem()).expect("a file");
}

#[test]
fn a_certificate_is_told_until_when_it_is_good() {
    let vendor = Vendor::at_now();
    vendor.check("certificate", "ok", "no certificate is kept here");
    let named = ["--quick", "--tls-cert", "cert.pem"];
    certificate(&vendor, 2027, 1, 22);
    vendor.doctor(&named).is("certificate", "ok", "cert.pem is good until 2027-01-22, for 59 days");
    certificate(&vendor, 2026, 12, 4);
    let found = vendor.doctor(&named);
    found.is("certificate", "warning", "expires on 2026-12-04, in 10 days, and was not renewed");
    assert!(found.remedy("certificate").starts_with("journalctl -u agora-vendor"));
    certificate(&vendor, 2026, 11, 20);
    let found = vendor.doctor(&named);
    found.is("certificate", "failed", "expired on 2026-11-20: Agora refuses it");
    assert_eq!(found.code, 1);
    // The one that the server got itself.
    let kept = vendor.path("agora-vendor.db-acme").join("authority");
    fs::create_dir_all(&kept).expect("a folder");
    set_mode(&vendor.path("agora-vendor.db-acme"), 0o700);
    fs::copy(vendor.path("cert.pem"), kept.join("certificate.pem")).expect("a copy");
    let found = vendor.check("certificate", "failed", "certificate.pem expired on 2026-11-20");
    assert_eq!(found.state("files"), "ok");
    fs::write(kept.join("certificate.pem"), "none").expect("a file");
    vendor.check("certificate", "failed", "certificate.pem");
}

#[test]
fn a_request_goes_over_tls_and_tells_the_end_of_the_certificate_that_is_shown() {
    let vendor = Vendor::at_now();
    certificate(&vendor, 2026, 12, 4);
    let server = vendor.serve_with(["--tls-cert", "cert.pem", "--tls-key", "key.pem"]);
    let url = server.origin().replace("http://127.0.0.1", "https://localhost");
    let found = vendor.doctor(&["--quick", "--url", &url, "--ca", "cert.pem"]);
    found.is("request", "ok", &format!("{url} answered a signed request with 200"));
    found.is("certificate", "warning", "what the server shows expires on 2026-12-04, in 10 days");
    let found = vendor.doctor(&["--quick", "--url", &url]);
    assert_eq!((found.code, found.state("request")), (1, "failed"), "{}", found.says("request"));
    assert!(!found.says("request").contains("signature="), "{}", found.says("request"));
}

#[test]
fn the_newest_backup_is_known_wherever_it_was_put() {
    let vendor = Vendor::at_now();
    let found = vendor.check("backup", "warning", "`backup` has made no copy of this database yet");
    assert_eq!(found.remedy("backup"), "agora-vendor backup --dir FOLDER --keep 30");
    fs::create_dir(vendor.path("copies")).expect("a folder");
    vendor.ok(["backup", "--dir", "copies", "--keep", "1"]);
    let copy = fs::read_dir(vendor.path("copies")).expect("it").next().expect("one").expect("it");
    let words = format!("the newest one is 0 minutes old: {}", copy.path().display());
    vendor.check("backup", "ok", &words);
    vendor.at("2026-11-25T09:00:00Z").check("backup", "ok", "is 47 hours old");
    let found = vendor.at("2026-11-26T10:00:00Z").check("backup", "warning", "is 3 days old");
    vendor.at("2026-12-01T11:00:00Z").check("backup", "failed", "is 8 days old");
    vendor.paste(found.remedy("backup"));
    vendor.check("backup", "ok", "is 0 minutes old");
    // A file of its own counts, too. One that is gone does not.
    vendor.ok(["backup", "one.db"]);
    vendor.check("backup", "ok", "one.db");
    fs::remove_file(vendor.path("one.db")).expect("it was there");
    vendor.check("backup", "warning", "one.db, which is not there any more");
    // What is put back knows of the backups before it.
    vendor.ok(["backup", "two.db"]);
    vendor.ok(["restore", "two.db"]);
    vendor.check("backup", "warning", "one.db, which is not there any more");
}

#[test]
fn live_pairs_are_told_and_one_that_is_being_rotated_warns() {
    let vendor = Vendor::at_now();
    vendor.check("keys", "ok", "one live pair (").is("keys", "ok", "of 2026-11-23), 1 test pair");
    vendor.ok(["key", "add"]);
    let found = vendor.check("keys", "warning", "2 live pairs are accepted (");
    vendor.paste(found.remedy("keys"));
    vendor.check("keys", "ok", "one live pair (");
    let test = vendor.json(["key", "list"]);
    let test = test.as_array().expect("pairs").iter().find(|pair| pair["purpose"] == "test");
    let test = test.expect("a test pair")["apiKey"].as_str().expect("a key").to_owned();
    vendor.ok(["key", "revoke", &test]);
    let found = vendor.check("keys", "warning", "no test pair to try it with");
    found.is("request", "warning", "no test pair to sign a request with");
    vendor.paste(found.remedy("keys"));
    vendor.check("keys", "ok", "");
    vendor
        .sql()
        .execute_batch("update api_key set revoked_at_s = 1 where purpose = 'live'")
        .expect("a change");
    let found = vendor.check("keys", "failed", "there is no live pair");
    assert_eq!(found.remedy("keys"), "agora-vendor key add");
}

#[test]
fn a_plan_that_is_named_and_not_set_up_fails_and_so_does_usage_without_a_price() {
    let vendor = Vendor::at_now();
    vendor.check("plans", "warning", "no plan is set up");
    vendor.ok(["record", "p", "2"]);
    // Who has no plans may have none on purpose.
    let words = "2 of 1 project in 2026-11 (plan default has no price then)";
    let found = vendor.check("prices", "warning", words);
    vendor.paste(&found.remedy("plans").replace("PRICE", "0.01"));
    vendor.check("plans", "ok", "").is("prices", "ok", "has a price");
    vendor.ok(["customer", "add", "c", "--plan", "gold", "--new"]);
    let found = vendor.check("plans", "failed", "what they use is free: gold (1 customer)");
    found.is("prices", "ok", "");
    vendor.ok(["record", "q", "3", "--customer", "c"]);
    let found = vendor.check("prices", "failed", "3 of 1 project in 2026-11 (plan gold has");
    assert_eq!(
        found.remedy("prices"),
        "agora-vendor plan set gold --name NAME --unit UNIT --price PRICE"
    );
    vendor.paste(&found.remedy("prices").replace("PRICE", "1"));
    let found = vendor.doctor(&["--quick"]);
    found.is("plans", "ok", "").is("prices", "ok", "");
}

#[test]
fn a_type_of_licenses_that_is_sold_and_not_set_up_fails() {
    let vendor = Vendor::new();
    vendor.check("license-types", "ok", "");
    let server = vendor.serve();
    let activation = r#""platform":"ios","expire":"1735689600-4102444799","type":"pro""#;
    assert_eq!(server.call("PUT", "/license/customers/c/activate", activation).status, 200);
    stop(server);
    let found = vendor.check("license-types", "failed", "have no limit: pro (1 license)");
    vendor.paste(&found.remedy("license-types").replace("COUNT", "10"));
    vendor.check("license-types", "ok", "");
}

#[test]
fn days_that_agora_never_asked_for_are_named_and_a_stop_fails() {
    let vendor = asked_for(&["2026-11-18", "2026-11-19", "2026-11-21", "2026-11-22"]);
    vendor.at("2026-11-23T10:00:00Z");
    let found = vendor.check("usage", "warning", "it never asked for 1 day in whole: 2026-11-20");
    found.is("usage", "warning", "Agora last asked 9 hours ago (2026-11-23T00:10:00Z), of ");
    found.is("usage", "warning", "of 2026-11-22; 4 statements");
    vendor.paste(found.remedy("usage"));
    // Of a whole night nothing is said before it is over by some hours.
    vendor.at("2026-11-24T05:59:59Z").check("usage", "warning", "1 day in whole: 2026-11-20");
    let words = "2 days in whole: 2026-11-23, 2026-11-20: it stopped asking";
    let found = vendor.at("2026-11-24T06:00:00Z").check("usage", "failed", words);
    assert!(found.remedy("usage").starts_with("journalctl -u agora-vendor"));
    // A window over both days mends it.
    let server = vendor.serve();
    let (from_ts, to_ts) = (day("2026-11-20").0, day("2026-11-23").1);
    assert_eq!(server.usage(from_ts, to_ts).status, 200);
    stop(server);
    vendor.check("usage", "ok", "5 statements; no day is missing");
}

#[test]
fn an_older_day_that_an_operator_tried_first_makes_no_day_missing() {
    let vendor = Vendor::new();
    vendor.at("2026-11-20T08:00:00Z").ok(["record", "p", "1"]);
    vendor.at("2026-11-22T10:00:00Z");
    // What was told is kept once the server has ended.
    let ask = |name: &str| {
        let (server, (from_ts, to_ts)) = (vendor.serve(), day(name));
        assert_eq!(server.usage(from_ts, to_ts).status, 200);
        stop(server);
    };
    ask("2026-11-19");
    let found = vendor.check("usage", "warning", "in time yet: the last request came 0 minutes");
    found.is(
        "usage",
        "warning",
        "of 2026-11-19; 1 statement; records were written from 2026-11-20",
    );
    assert_eq!(found.remedy("usage"), "agora-vendor key list");
    // Agora asks from now on: what it asked for in time is the first day that it can miss.
    vendor.at("2026-11-23T00:10:00Z");
    ask("2026-11-22");
    vendor.at(NOW).check("usage", "ok", "2 statements; no day is missing");
    ask("2026-11-20");
    vendor.at("2026-11-24T07:00:00Z");
    vendor.check("usage", "failed", "1 day in whole: 2026-11-23: it stopped asking");
}

#[test]
fn whoever_asked_since_the_last_day_ended_has_not_stopped_asking() {
    let vendor = asked_for(&["2026-11-20"]);
    vendor.at("2026-11-23T09:00:00Z");
    let words = "2 days in whole: 2026-11-22, 2026-11-21: it stopped asking";
    vendor.check("usage", "failed", words);
    let server = vendor.serve();
    let (from_ts, to_ts) = day("2026-11-21");
    assert_eq!(server.usage(from_ts, to_ts).status, 200);
    stop(server);
    let words = "1 day in whole: 2026-11-22: it asked since, and not for that";
    vendor.at("2026-11-23T10:00:00Z").check("usage", "failed", words);
}

#[test]
fn a_request_with_a_test_pair_is_none_of_agoras() {
    let vendor = asked_for(&["2026-11-21"]);
    vendor.at("2026-11-23T10:00:00Z");
    let server = vendor.serve();
    let found = vendor.doctor(&["--quick", "--url", &server.origin()]);
    found.is("request", "ok", "").is("usage", "failed", "1 statement; it never asked for 1 day");
    let found = vendor.doctor(&["--quick", "--url", &server.origin()]);
    found.is("usage", "failed", "1 statement; it never asked for 1 day in whole: 2026-11-22");
}

#[test]
fn days_are_missed_from_the_first_record_on_where_agora_never_asked() {
    let vendor = Vendor::at_now();
    vendor.ok(["record", "p", "1", "--at", "2026-01-01"]);
    vendor.check("usage", "warning", "Agora has not asked for usage yet");
    vendor.at("2026-11-25T07:00:00Z");
    let words = "Agora has not asked for usage yet; records were written from 2026-11-23 on";
    let found = vendor.check("usage", "warning", words);
    assert_eq!(found.remedy("usage"), "agora-vendor key list");
    found.is("bills", "warning", "Agora has not asked for bills yet");
    vendor.at("2026-12-01T07:00:00Z").check(
        "bills",
        "warning",
        "yet; records were written from 2026-11 on",
    );
}

#[test]
fn months_that_agora_never_asked_for_are_named_and_a_stop_fails() {
    let vendor = Vendor::new();
    vendor.ok(["plan", "set", "default", "--name", "N", "--unit", "U", "--price", "1"]);
    let server = vendor.at("2026-09-01T00:30:00Z").serve();
    ask_bill(&server, 7);
    vendor.at("2026-11-01T00:30:00Z");
    ask_bill(&server, 9);
    stop(server);
    vendor.at("2026-11-23T10:00:00Z");
    let found =
        vendor.check("bills", "warning", "2 statements; it never asked for 1 month in whole");
    assert_eq!(found.remedy("bills"), "agora-vendor totals --reconcile --month 2026-09");
    vendor.at("2026-12-01T05:00:00Z").check("bills", "warning", "in whole: 2026-09");
    vendor.at("2026-12-01T06:00:00Z").check(
        "bills",
        "failed",
        "2026-11, 2026-09: it stopped asking",
    );
    let server = vendor.serve();
    ask_bill(&server, 8);
    ask_bill(&server, 10);
    stop(server);
    vendor.check("bills", "ok", "of 2026-11; 4 statements; no month is missing");
}

#[test]
fn silence_fails_once_a_number_of_hours_is_set() {
    let vendor = Vendor::at_now();
    vendor.ok(["record", "p", "1"]);
    vendor.at("2026-12-23T10:00:00Z");
    vendor.check("silence", "ok", "the last record was written 30 days ago (2026-11-23T10:00:00Z)");
    for bad in ["0", "8785", "1.5", "-1", "+5", "never"] {
        let said = vendor.fails(2, ["setting", "set", "silence-hours", bad]);
        assert!(said.contains("a whole number of hours from 1 to 8784"), "{said}");
    }
    vendor.ok(["setting", "set", "silence-hours", "48"]);
    let found = vendor.check("silence", "failed", "and silence-hours is 48: silence is not zero");
    vendor.paste(found.remedy("silence"));
    // What is recorded counts, whenever it was used.
    vendor.ok(["record", "p", "1", "--at", "2026-11-01"]);
    vendor.check("silence", "ok", "written 0 minutes ago");
    vendor.at("2026-12-25T10:00:00Z").check("silence", "ok", "written 2 days ago");
    vendor.at("2026-12-25T10:00:01Z").check("silence", "failed", "written 2 days ago");
    vendor.ok(["setting", "set", "silence-hours", "off"]);
    vendor.check("silence", "ok", "written 2 days ago");
}

#[test]
fn late_money_is_forfeit_under_report_and_carried_once_that_is_set() {
    let vendor = Vendor::new();
    vendor
        .at("2026-10-10T10:00:00Z")
        .ok(["plan", "set", "default", "--name", "N", "--unit", "U", "--price", "0.5"]);
    vendor.ok(["record", "p", "1"]);
    let server = vendor.at("2026-11-01T00:30:00Z").serve();
    ask_bill(&server, 9);
    stop(server);
    vendor.check("late", "ok", "nothing came too late");
    vendor.ok(["record", "p", "5", "--at", "2026-10-11", "--id", "late"]);
    let found = vendor.check("late", "warning", "money of 2026-10 (2.5 too little)");
    found.is(
        "late",
        "warning",
        "forfeit once Agora has issued the month's invoice, on the first day of the next month",
    );
    assert_eq!(found.remedy("late"), "agora-vendor setting set late carry");
    vendor.paste(found.remedy("late"));
    vendor.check("late", "ok", "the next bill carries money of 2026-10 (2.5 too little)");
    vendor.ok(["void", "late", "--reason", "a test"]);
    vendor.check("late", "ok", "nothing came too late");
}

#[test]
fn of_a_month_whose_bill_is_still_to_come_no_money_is_late() {
    let vendor = Vendor::new();
    vendor
        .at("2026-11-10T10:00:00Z")
        .ok(["plan", "set", "default", "--name", "N", "--unit", "U", "--price", "0.5"]);
    vendor.ok(["record", "p", "1", "--id", "first"]);
    let server = vendor.serve();
    ask_bill(&server, 10);
    vendor.ok(["record", "p", "5"]);
    for late in ["report", "carry"] {
        vendor.ok(["setting", "set", "late", late]);
        vendor.check("late", "ok", "nothing came too late");
    }
    vendor.ok(["setting", "set", "late", "report"]);
    vendor.at("2026-11-30T23:59:59Z").check("late", "ok", "nothing came too late");
    // Once the month is over it is late, and so it is after a bill of the month's last day.
    let words = "money of 2026-11 (2.5 too little)";
    vendor.at("2026-12-01T00:00:00Z").check("late", "warning", words);
    vendor.at("2026-11-30T12:00:00Z");
    ask_bill(&server, 10);
    stop(server);
    vendor.check("late", "ok", "nothing came too late");
    vendor.ok(["record", "p", "2", "--id", "late"]);
    vendor.check("late", "warning", "money of 2026-11 (1 too little)");
    vendor.ok(["void", "late", "--reason", "a test"]);
    vendor.ok(["void", "first", "--reason", "a test"]);
    vendor.check("late", "warning", "(0.5 too much); `late` is report, so no later bill takes it");
}

#[test]
fn late_usage_without_a_price_fails_and_the_remedy_prices_it() {
    let vendor = Vendor::new();
    vendor.at("2026-10-10T10:00:00Z").ok(["record", "p", "1"]);
    let server = vendor.at("2026-11-01T00:30:00Z").serve();
    ask_bill(&server, 9);
    stop(server);
    let words = "money of 2026-10 (1 project without a price); no bill tells usage without a price";
    for late in ["report", "carry"] {
        vendor.ok(["setting", "set", "late", late]);
        vendor.check("late", "failed", words);
    }
    // For a month that was billed, a price holds only where that is said.
    let found = vendor.check("prices", "failed", "1 of 1 project in 2026-10");
    let set = "agora-vendor plan set default --name NAME --unit UNIT --price PRICE";
    let set = format!("{set} --from 2026-10 --rewrite");
    assert_eq!((found.remedy("prices"), found.remedy("late")), (&*set, &*set));
    // What is late is named by its own verb too, with the same remedy.
    let unpriced = || vendor.json(["statement", "late"])["unpriced"].clone();
    assert_eq!(unpriced(), json!([{"month": "2026-10", "projectId": "p", "planId": "default"}]));
    let said = vendor.ok(["statement", "late"]).out;
    assert!(
        said.starts_with(&format!(
            "Usage without a price, which no bill tells; set one with `{set}`:\n"
        )),
        "{said}"
    );
    assert!(said.ends_with("\n2026-10  p        default\n"), "{said}");
    vendor.paste(&set.replace("PRICE", "0.5"));
    assert_eq!(unpriced(), json!([]));
    vendor.check("prices", "ok", "").is("late", "ok", "carries money of 2026-10 (0.5 too little)");
}

#[test]
fn late_usage_that_waits_warns() {
    let vendor = asked_for(&["2026-11-20", "2026-11-21", "2026-11-22"]);
    vendor.at("2026-11-23T10:00:00Z").check("late", "ok", "");
    // Taken together they are nothing, and of each project they are something.
    vendor.ok(["void", "first", "--reason", "the wrong project"]);
    vendor.ok(["record", "q", "1", "--at", "2026-11-20"]);
    let found = vendor.check("late", "warning", "usage of 2 projects in 2026-11 (0)");
    found.is(
        "late",
        "warning",
        "Agora can ask for a day again until it issues the month's invoice",
    );
    assert!(!found.says("late").contains("forfeit"), "{}", found.says("late"));
    vendor.paste(found.remedy("late"));
    vendor.ok(["setting", "set", "late", "carry"]);
    vendor.check("late", "warning", "bills carry the money");
}

#[test]
fn licenses_that_end_or_run_out_within_a_month_are_named() {
    let vendor = Vendor::at_now();
    let run = |line: &str| vendor.ok(line.split(' '));
    run("project add p --customer c");
    run("license issue c --starts 2026-11-01 --expires 2027-12-31 --count 100");
    vendor.check("licenses", "ok", "no license ends or is used up within 30 days");
    run("license issue d --new --expires 2026-12-20 --unlimited --id near");
    run("license issue d --expires 2026-12-25 --unlimited --id later");
    let found = vendor.check("licenses", "warning", "near of d on 2026-12-20");
    assert!(!found.says("licenses").contains("later"), "{}", found.says("licenses"));
    vendor.paste(found.remedy("licenses"));
    run("license revoke near");
    vendor.check("licenses", "ok", "");
    // Two a day in the last week, and 86 left.
    (16..23).for_each(|day| drop(run(&format!("record p 2 --at 2026-11-{day} --id a{day}"))));
    vendor.check("licenses", "ok", "");
    // Four a day, and 72 left.
    (16..23).for_each(|day| drop(run(&format!("record p 2 --at 2026-11-{day} --id b{day}"))));
    vendor.check("licenses", "warning", "what c has left (72) in about 18 days");
    // One without limit lasts.
    run("license issue c --expires 2027-12-31 --unlimited");
    vendor.check("licenses", "ok", "");
}

#[test]
fn a_server_that_is_not_there_or_not_ours_fails() {
    let vendor = Vendor::at_now();
    let found = vendor.check("request", "failed", "http://127.0.0.1:1 did not answer: ");
    // These are no service's books.
    assert_eq!(found.remedy("request"), "agora-vendor serve");
    let other = Vendor::at_now();
    let server = other.serve();
    let found = vendor.doctor(&["--quick", "--url", &server.origin()]);
    found.is("request", "failed", "with 401 in").is("request", "failed", "another database");
    stop(server);
    // Mounted under a path, which is signed.
    let server = vendor.serve_with(["--base-path", "/agora"]);
    let url = format!("{}/agora/", server.origin());
    vendor.doctor(&["--quick", "--url", &url]).is("request", "ok", "with 200 in");
    let found = vendor.doctor(&["--quick", "--url", &server.origin()]);
    found.is("request", "failed", "with 404 in").is("request", "failed", "no call has this path");
    for bad in ["localhost:8080", "ftp://localhost", "http://", "http://localhost/?a=b"] {
        let said = vendor.fails(2, ["doctor", "--url", bad]);
        assert!(said.contains("write the address that Agora calls"), "{bad}: {said}");
    }
}

#[test]
fn another_server_on_the_port_is_told_apart() {
    let vendor = Vendor::at_now();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let answers = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut head = [0; 4_096];
        let read = stream.read(&mut head).expect("a request");
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        stream.write_all(answer.as_bytes()).expect("sent");
        String::from_utf8_lossy(&head[..read]).into_owned()
    });
    let found = vendor.doctor(&["--quick", "--url", &url]);
    found.is("request", "failed", "is not JSON: something else listens there");
    let asked = answers.join().expect("no panic");
    assert!(asked.starts_with("GET /usage?fromTs="), "{asked}");
    assert!(asked.contains("&limit=1&apiKey="), "{asked}");
}

#[test]
fn where_no_address_is_named_a_server_that_is_not_there_only_warns() {
    let vendor = Vendor::at_now();
    // A network of its own, in which nobody listens anywhere.
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", env!("CARGO_BIN_EXE_agora-vendor")]);
    command.args(["doctor", "--quick", "--json"]).env("AGORA_VENDOR_DB", vendor.db());
    vendor.set_clock(&mut command);
    let output = command.output();
    let Some(output) = output.ok().filter(|output| !output.stdout.is_empty()) else {
        return skipped("no network of its own can be had here");
    };
    let found = Found::read(output.into());
    found.is("request", "warning", "http://127.0.0.1:8080 did not answer: ");
    found.is("request", "warning", "name the server's address with --url");
    assert_eq!((found.code, found.remedy("request")), (0, "agora-vendor serve"));
    // The words by which the service is told where to listen.
    let server = vendor.serve_with(["--base-path", "/agora"]);
    let mut command = vendor.doctor_command(&["--quick", "--json"]);
    command.env("AGORA_VENDOR_LISTEN", server.origin().replace("http://127.0.0.1", "0.0.0.0"));
    command.env("AGORA_VENDOR_BASE_PATH", "/agora");
    Found::read(command.output().expect("it runs").into()).is("request", "ok", "with 200 in");
}

#[test]
fn books_of_a_further_extension_are_asked_for_by_its_configuration_and_units() {
    let vendor = Vendor::without_books();
    for folder in ["var/lib/agora-vendor/second", "etc/agora-vendor"] {
        fs::create_dir_all(vendor.path(folder)).expect("a folder");
    }
    set_mode(&vendor.path("var/lib/agora-vendor/second"), 0o700);
    let books = "var/lib/agora-vendor/second/agora-vendor.db";
    let doctor = || {
        let mut command = vendor.doctor_command(&["--quick", "--json", "--db", books]);
        Found::read(command.output().expect("it runs").into())
    };
    let init = format!("agora-vendor --db={books} init");
    assert_eq!(doctor().remedy("database"), init);
    vendor.ok(["--db", books, "init"]);
    let server = vendor.serve_with(["--db", books]);
    let listen = server.origin().replace("http://", "AGORA_VENDOR_LISTEN=");
    fs::write(vendor.path("etc/agora-vendor/second.env"), listen + "\n").expect("a file");
    let found = doctor();
    found.is("request", "ok", &format!("{} answered", server.origin()));
    let into = "backup --dir /var/backups/agora-vendor/second --keep 30";
    assert_eq!(found.remedy("backup"), format!("agora-vendor --db={books} {into}"));
    stop(server);
    let found = doctor();
    found.is("request", "failed", "did not answer");
    assert_eq!(found.remedy("request"), "systemctl status agora-vendor@second");
}

#[test]
fn it_works_beside_a_server_at_work_and_on_books_that_may_only_be_read() {
    let vendor = Vendor::at_now();
    let server = vendor.serve();
    vendor.ok(["record", "p", "1"]);
    let found = vendor.doctor(&["--url", &server.origin()]);
    assert_eq!(found.code, 0, "{:?}", found.checks);
    assert_eq!(server.get("/healthz").status, 200);
    stop(server);
    if !rustix::process::getuid().is_root() {
        return skipped("only root can give files to others");
    }
    // Of another user, and without rights to write.
    set_mode(&vendor.path("."), 0o755);
    set_mode(&vendor.db(), 0o644);
    let mut command = vendor.doctor_command(&["--json", "--url", NOBODY]);
    use std::os::unix::process::CommandExt;
    let found = Found::read(command.uid(65_534).gid(65_534).output().expect("it runs").into());
    found.is("sqlite", "warning", "this user may only read the books here").is("sums", "ok", "");
    found.is("files", "failed", "others than the owner may use");
}

#[test]
fn who_reads_another_users_findings_is_told_as_whom_to_run_what_mends_them() {
    let vendor = Vendor::at_now();
    let mut command = vendor.doctor_command(&["--quick", "--json", "--url", NOBODY]);
    let output = command.env("SUDO_USER", "ann").env("SUDO_UID", "1234").output();
    let found = Found::read(output.expect("it runs").into());
    let owner = Command::new("id").arg("-un").output().expect("a name").stdout;
    let owner = String::from_utf8(owner).expect("a name");
    let (owner, db) = (owner.trim(), vendor.db().display().to_string());
    let start = format!("sudo -u {owner} agora-vendor --db={db} plan set default --name ");
    assert!(found.remedy("plans").starts_with(&start), "{}", found.remedy("plans"));
}

#[test]
fn a_doctor_that_is_stopped_leaves_the_books_as_they_are() {
    let vendor = Vendor::at_now();
    vendor.ok(["record", "p", "1"]);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let mut command = vendor.doctor_command(&["--url", &url]);
    let mut doctor = command.spawn().expect("it starts");
    // It has looked at the books, and waits for an answer.
    let _waits = listener.accept().expect("a connection");
    signal("INT", &doctor.id().to_string());
    assert_eq!(doctor.wait().expect("an end").code(), None);
    assert_eq!(vendor.total(), "1");
    let second = second(NOW);
    assert_eq!(vendor.doctor(&["--quick"]).state("names"), "ok", "{second}");
}

#[test]
fn a_variable_without_a_value_counts_as_none() {
    let vendor = Vendor::at_now();
    let mut doctor = vendor.doctor_command(&["--quick", "--json"]);
    doctor.env("AGORA_VENDOR_URL", "").env("AGORA_VENDOR_TLS_CERT", "");
    let ended: Ended = doctor.output().expect("it runs").into();
    assert!(ended.err.is_empty(), "{}", ended.err);
    assert!(ended.out.contains("no certificate is kept here"), "{}", ended.out);
}

#[test]
fn the_timer_starts_the_doctor_that_is_there() {
    let unit = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name);
        fs::read_to_string(path).expect("a unit")
    };
    let (service, timer) = (unit("agora-vendor-doctor.service"), unit("agora-vendor-doctor.timer"));
    let start = service.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("a start");
    let arguments = start.strip_prefix("/usr/bin/agora-vendor ").expect("our executable");
    assert_eq!(arguments, "doctor $DOCTOR_FLAGS");
    assert!(service.contains("\nEnvironment=DOCTOR_FLAGS=\n"));
    // What a person is told by.
    assert!(service.contains("OnFailure="));
    assert!(timer.contains("\nOnCalendar=*-*-* 07:00:00 UTC\n"), "{timer}");
    // Hardened as the backup is.
    let backup = unit("agora-vendor-backup.service");
    let hardening = backup.split_once("# Hardening").expect("a part").1;
    let left_out = ["PrivateNetwork=yes", "RestrictAddressFamilies=AF_UNIX", "ReadWritePaths="];
    for line in hardening.lines().filter(|line| line.contains('=') && !line.starts_with('#')) {
        let is_other = left_out.iter().any(|other| line.starts_with(other));
        assert!(is_other || service.contains(&format!("\n{line}\n")), "{line}");
    }
}
