//! The database file: made once, never overwritten, checked, copied; and what is told when it is
//! not there.

use crate::vendor::{Vendor, day};
use serde_json::json;
use std::fs;
use std::process::Stdio;

#[test]
fn init_never_overwrites() {
    let vendor = Vendor::new();
    vendor.ok(["record", "p", "1"]);
    let before = vendor.json(["key", "list"]);
    let said = vendor.fails(1, ["init"]);
    assert!(said.contains("exists already") && said.lines().count() == 1, "{said}");
    assert_eq!(vendor.json(["key", "list"]), before);
    assert_eq!(vendor.total(), "1");
    let drafts = fs::read_dir(vendor.path(".")).expect("a folder").filter(|entry| {
        entry.as_ref().expect("an entry").file_name().to_string_lossy().contains("draft")
    });
    assert_eq!(drafts.count(), 0);
}

#[test]
fn many_that_create_at_once_make_one_database() {
    let vendor = Vendor::without_books();
    let children: Vec<_> = (0..8)
        .map(|_| {
            vendor
                .command(["init", "--json"])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("it runs")
        })
        .collect();
    let ended: Vec<_> =
        children.into_iter().map(|child| child.wait_with_output().expect("an end")).collect();
    let made: Vec<_> = ended.iter().filter(|output| output.status.success()).collect();
    assert_eq!(made.len(), 1);
    let told: serde_json::Value = serde_json::from_slice(&made[0].stdout).expect("JSON");
    let live = vendor.json(["key", "list"]);
    assert!(live.as_array().expect("pairs").iter().any(|pair| pair["apiKey"] == told["apiKey"]));
}

#[test]
fn a_missing_database_is_told_with_its_path_the_reason_and_the_command() {
    let vendor = Vendor::without_books();
    let path = vendor.db().display().to_string();
    for arguments in [
        vec!["totals"],
        vec!["record", "p", "1"],
        vec!["check"],
        vec!["serve"],
        vec!["key", "list"],
    ] {
        let said = vendor.fails(1, arguments);
        let error = said.lines().last().expect("a line");
        for part in [path.as_str(), "named by AGORA_VENDOR_DB", "init`"] {
            assert!(error.contains(part), "{error}");
        }
    }
    assert!(!vendor.db().exists());
    let said = vendor.fails(1, ["totals", "--db", "elsewhere.db"]);
    assert!(said.contains("elsewhere.db") && said.contains("named by --db"), "{said}");
    let unnamed =
        vendor.command(["totals"]).env_remove("AGORA_VENDOR_DB").output().expect("it runs");
    let said = String::from_utf8(unnamed.stderr).expect("UTF-8");
    assert!(said.contains("the default"), "{said}");
}

#[test]
fn what_is_not_one_of_ours_is_refused_and_left_alone() {
    let vendor = Vendor::without_books();
    for content in [
        &b""[..],
        b"not a database, but long enough to be looked at as one by its header",
        &[0; 4096],
    ] {
        fs::write(vendor.db(), content).expect("a file");
        for arguments in
            [vec!["totals"], vec!["record", "p", "1"], vec!["serve"], vec!["serve", "--init"]]
        {
            let said = vendor.fails(1, arguments);
            assert!(said.contains("is not an agora-vendor database"), "{said}");
        }
        assert_eq!(fs::read(vendor.db()).expect("a file"), content);
    }
    fs::remove_file(vendor.db()).expect("removed");
    rusqlite::Connection::open(vendor.db())
        .expect("a file")
        .execute_batch("create table t (a)")
        .expect("another's");
    assert!(vendor.fails(1, ["record", "p", "1"]).contains("is not an agora-vendor database"));
    fs::remove_file(vendor.db()).expect("removed");
    fs::create_dir(vendor.db()).expect("a folder");
    assert!(vendor.fails(1, ["totals"]).contains("is not an agora-vendor database"));
}

#[test]
fn a_database_is_not_made_beside_what_another_left() {
    let vendor = Vendor::new();
    vendor.ok(["record", "p", "1"]);
    let server = vendor.serve();
    server.usage(1_619_913_600, 1_619_917_200);
    vendor.ok(["record", "p", "1"]);
    server.signal("KILL");
    server.wait();
    fs::rename(vendor.db(), vendor.path("away.db")).expect("moved");
    assert!(vendor.path("agora-vendor.db-wal").exists(), "a killed server leaves its log");
    for arguments in [&["init"][..], &["backup", "agora-vendor.db", "--db", "away.db"]] {
        let said = vendor.fails(1, arguments);
        assert!(said.contains("agora-vendor.db-wal lies there without its database"), "{said}");
    }
    assert!(!vendor.db().exists());
    fs::rename(vendor.path("away.db"), vendor.db()).expect("moved back");
    assert_eq!(vendor.total(), "2");
}

#[test]
fn a_server_whose_file_was_replaced_says_so_instead_of_answering() {
    let vendor = Vendor::new();
    vendor.ok(["record", "p", "1", "--at", "2026-10-10"]);
    let server = vendor.serve();
    let (from, to) = day("2026-10-10");
    assert_eq!(server.usage(from, to).status, 200);
    vendor.ok(["backup", "copy.db"]);
    fs::rename(vendor.path("copy.db"), vendor.db()).expect("replaced");
    assert_eq!((server.usage(from, to).status, server.get("/healthz").status), (500, 500));
    assert!(
        server.log().contains("moved, removed or replaced; restart the server"),
        "{}",
        server.log()
    );
}

#[test]
fn a_damaged_file_is_told_so() {
    let vendor = Vendor::new();
    vendor.ok(["record", "p", "1"]);
    let mut bytes = fs::read(vendor.db()).expect("the books");
    for byte in &mut bytes[5_000..30_000] {
        *byte = 0x5a;
    }
    fs::write(vendor.db(), bytes).expect("damaged");
    let ended = vendor.run(["check"]);
    assert_eq!(ended.code, 1);
    let said = ended.out + &ended.err;
    assert!(
        said.contains("malformed") || said.contains("damaged") || said.contains("the file: "),
        "{said}"
    );
    assert!(!said.contains("not an agora-vendor database"), "{said}");
}

#[test]
fn the_last_day_of_the_calendar_is_kept_as_it_is() {
    let vendor = Vendor::new();
    let issued =
        vendor.json(["license", "issue", "--new", "--unlimited", "c", "--expires", "9999-12-31"]);
    assert_eq!(issued["expires"], "9999-12-31");
    assert_eq!(vendor.json(["totals", "--day", "9999-12-31"])["to"], "9999-12-31T23:59:59Z");
}

#[test]
fn a_newer_file_is_refused_before_anything_is_changed() {
    let vendor = Vendor::new();
    vendor.sql().execute_batch("pragma user_version = 99").expect("a version");
    for arguments in [vec!["totals"], vec!["record", "p", "1"], vec!["serve"]] {
        let said = vendor.fails(1, arguments);
        assert!(
            said.contains("schema version 99") && said.contains("newer agora-vendor"),
            "{said}"
        );
    }
}

#[test]
fn the_ledger_refuses_to_be_changed() {
    let vendor = Vendor::new();
    vendor.ok(["record", "p", "1", "--id", "r"]);
    let sql = vendor.sql();
    for statement in ["update usage_ledger set amount = '2'", "delete from usage_ledger"] {
        let error = sql.execute_batch(statement).expect_err(statement).to_string();
        assert!(error.contains("the usage ledger only grows"), "{error}");
    }
}

/// What may be done to the ledger and its sums, and what `check` says of it.
const TAMPERED_USAGE: [(&str, &str); 18] = [
    (
        "update usage_rollup set amount = '1.6' where grain = 1 and project_no = 1",
        "day from 2026-10-10T00:00:00Z: kept 1.6 in 1 records; the ledger says 1.5 in 1",
    ),
    (
        "update usage_rollup set records = 2 where grain = 2 and project_no = 1",
        "month from 2026-10-01",
    ),
    (
        "delete from usage_rollup where grain = 0 and project_no = 1",
        "hour from 2026-10-10T12:00:00Z: kept 0 in 0",
    ),
    ("insert into usage_rollup values (1, 1760054400, 1, '1', null, 1)", "the ledger says 0 in 0"),
    ("insert into usage_rollup values (2, 1700000000, 1, '1', null, 1)", "the ledger says 0 in 0"),
    (
        "insert into usage_rollup values (3, 1791633600, 1, '1', null, 1)",
        "second from 2026-10-10T12:00:00Z: kept 1",
    ),
    ("insert into usage_rollup values (1, 1900000000, 1, '1', null, 1)", "the ledger says 0 in 0"),
    (
        "insert into usage_rollup values (0, -3600, 1, '1', null, 1)",
        "the start of a sum of project p is not",
    ),
    (
        "drop trigger usage_ledger_is_not_changed; \
         update usage_ledger set amount = '-3' where seq = 3",
        "ledger entry 3 does not take back",
    ),
    (
        "drop trigger usage_ledger_is_not_changed; \
         update usage_ledger set amount = '0' where seq = 1",
        "ledger entry 1 is a record whose amount is not above zero",
    ),
    (
        "update usage_rollup set amount = 'x' where grain = 1 and project_no = 1",
        "the amount of the day from 2026-10-10 00:00:00 of project p is not",
    ),
    (
        "update usage_rollup set amount = '1.50' where grain = 1 and project_no = 1",
        "the amount of the day from",
    ),
    (
        "insert into usage_rollup values (1, 9223372036854775807, 1, '1', null, 1)",
        "the start of a sum of project p is not",
    ),
    (
        "insert into project (project_id, first_seen_at_s) values ('a b', 1)",
        "the project id a b is not",
    ),
    (
        "drop trigger usage_ledger_is_not_changed; \
         update usage_ledger set at_s = 9223372036854775806 where seq = 1",
        "the time of ledger entry 1 is not",
    ),
    (
        "drop trigger usage_ledger_is_not_changed; \
         update usage_ledger set in_crowd = 1 where seq = 1",
        "the mark of ledger entry 1 as one of a crowd is not",
    ),
    (
        "drop trigger usage_ledger_is_not_changed",
        "usage_ledger_is_not_changed in the file's schema",
    ),
    (
        "drop trigger usage_ledger_is_not_deleted; delete from usage_ledger where seq = 1",
        "the ledger says 0 in 0",
    ),
];

/// The same of prices, plans and customers.
const TAMPERED_TERMS: [(&str, &str); 7] = [
    (
        "insert into plan_version \
         values (9, 'gold', 0, 'Gold', 'Minute', 'per-unit 1.0', 1, 'test')",
        "the price of plan gold is not",
    ),
    (
        "insert into plan_version \
         values (9, 'gold', 0, 'Gold', 'Minute', 'volume 5:1,5:2,rest:1', 1, 'test')",
        "the price of plan gold is not",
    ),
    (
        "insert into plan_version values (9, 'gold', 0, 'Gold ', 'Minute', 'flat 1', 1, 'test')",
        "the name of plan gold is not",
    ),
    (
        "insert into plan_version \
         values (9, 'gold', 1790812801, 'Gold', 'Minute', 'flat 1', 1, 'test')",
        "the prices of plan gold by date do not add up",
    ),
    (
        "insert into customer values ('c', 'gold', null, null, null, 1, 1, null)",
        "the plans of customer c by date do not add up",
    ),
    (
        "insert into customer values ('c', 'gold', null, null, null, 1, 1, null);
        insert into customer_plan
        values (1, 'c', 'gold', 0, 1, 'test'), (2, 'c', 'silver', 1790812800, 1, 'test')",
        "the plans of customer c by date do not add up",
    ),
    (
        "insert into customer values ('c', null, null, null, null, 1, 1, null);
        update project set customer_id = 'c' where project_id = 'p';
        insert into project_customer
        values (1, 'p', 'c', 0, 1, 'test'), (2, 'p', 'c', 1790812801, 1, 'test')",
        "the customers of project p by date do not add up",
    ),
];

#[test]
fn check_finds_what_was_tampered_with() {
    let vendor = Vendor::new();
    vendor.ok(["record", "p", "1.5", "--id", "r", "--at", "2026-10-10"]);
    assert_eq!(vendor.ok(["check"]).out, "no differences; 1 ledger entry\n");
    vendor.ok(["record", "q", "2", "--id", "s", "--at", "2026-10-10"]);
    vendor.ok(["void", "s", "--reason", "x"]);
    let report = vendor.json(["check"]);
    assert_eq!(report, json!({"ok": true, "entries": 3, "differences": []}));
    let whole = fs::read(vendor.db()).expect("the books");
    for (tampering, told) in TAMPERED_USAGE.into_iter().chain(TAMPERED_TERMS) {
        vendor.sql().execute_batch(tampering).expect(tampering);
        let ended = vendor.run(["check"]);
        assert_eq!(ended.code, 1, "{tampering}");
        assert!(ended.out.contains(told), "{tampering}: {}", ended.out);
        fs::write(vendor.db(), &whole).expect("restored");
        vendor.ok(["check"]);
    }
}

/// Values that cannot be read, and what `check` says of them.
const BAD_VALUES: [(&str, &str); 9] = [
    (
        "update usage_rollup set amount = 'x' where grain = 1 and project_no = 1",
        "the amount of the day from 2026-10-10 00:00:00 of project p is not",
    ),
    (
        "drop trigger usage_ledger_is_not_changed;
        update usage_ledger set amount = 'x' where seq = 1",
        "the amount of ledger entry 1 is not",
    ),
    (
        "drop trigger usage_ledger_is_not_changed;
        update usage_ledger set at_s = 9223372036854775806 where seq = 1",
        "the time of ledger entry 1 is not",
    ),
    ("update license set balance = 'x' where license_id = 'l1'", "the count of license l1 is"),
    (
        "drop trigger license_ledger_is_not_changed;
        update license_ledger set amount = 'x' where seq = 1",
        "the amount of license ledger entry 1 is not",
    ),
    (
        "drop trigger statement_stays_what_was_told;
        update statement set total = 'x' where seq = 1",
        "a value of statement 1 is not",
    ),
    (
        "drop trigger statement_entries_are_not_changed;
        update statement_entries set entries = x'00' where statement_seq = 1",
        "a value of what statement 1 said is not",
    ),
    (
        "insert into plan_version values (9, 'g', 0, 'G', 'Minute', 'x', 1, 'test')",
        "the price of plan g is not",
    ),
    ("insert into setting values ('unit', '')", "a setting is not"),
];

#[test]
fn one_bad_value_hides_no_other_difference() {
    let vendor = Vendor::new();
    for (project, id) in [("p", "r"), ("q", "s")] {
        vendor.ok(["record", project, "2", "--id", id, "--at", "2026-10-10"]);
    }
    for id in ["l1", "l2"] {
        vendor.ok([
            "license",
            "issue",
            "c",
            "--new",
            "--id",
            id,
            "--expires",
            "2100-01-01",
            "--count",
            "5",
        ]);
    }
    let server = vendor.serve();
    for date in ["2026-10-10", "2026-10-11"] {
        let (from, to) = day(date);
        assert_eq!(server.usage(from, to).status, 200);
    }
    server.signal("TERM");
    server.wait();
    vendor.ok(["check"]);
    let whole = fs::read(vendor.db()).expect("the books");
    // What differs, beside each value that cannot be read.
    let other = "update usage_rollup set amount = '7' where grain = 1 and project_no = 2;
        update license set balance = '4' where license_id = 'l2';
        drop trigger if exists statement_stays_what_was_told;
        update statement set total = '9' where seq = 2;";
    let told = [
        "project q, day from 2026-10-10T00:00:00Z: kept 7 in 1 records; the ledger says 2 in 1",
        "license l2",
        "statement 2",
    ];
    for (bad, place) in BAD_VALUES {
        vendor.sql().execute_batch(&format!("{bad};{other}")).expect(bad);
        let ended = vendor.run(["check"]);
        assert_eq!(ended.code, 1, "{bad}: {}", ended.err);
        for told in told.iter().chain([&place]) {
            assert!(ended.out.contains(told), "{bad}: {told}: {}{}", ended.out, ended.err);
        }
        fs::write(vendor.db(), &whole).expect("restored");
    }
    vendor.ok(["check"]);
}

#[test]
fn a_backup_is_books_of_its_own() {
    let vendor = Vendor::new();
    vendor.ok(["record", "p", "1.5", "--at", "2026-10-10"]);
    let server = vendor.serve();
    vendor.ok(["backup", "copy.db"]);
    vendor.ok(["record", "p", "1", "--at", "2026-10-10"]);
    let said = vendor.fails(1, ["backup", "copy.db"]);
    assert!(said.contains("exists already and is never overwritten: name another file"), "{said}");
    let (from, to) = day("2026-10-10");
    assert_eq!(server.usage(from, to).entries()[0].1, "2.5");
    vendor.ok(["check", "--db", "copy.db"]);
    assert_eq!(vendor.json(["totals", "--month", "2026-10", "--db", "copy.db"])["total"], "1.5");
    vendor.ok(["record", "p", "2", "--at", "2026-10-10", "--db", "copy.db"]);
    assert_eq!(vendor.total(), "2.5");
    assert!(vendor.fails(1, ["backup", "no/such/folder/copy.db"]).contains("no/such/folder"));
}

#[test]
fn a_setting_is_kept_and_one_that_is_none_is_refused() {
    let vendor = Vendor::new();
    let value = |name: &str| {
        let settings = vendor.json(["setting", "list"]);
        let found =
            settings.as_array().expect("settings").iter().find(|setting| setting["name"] == name);
        found.map(|setting| (setting["value"].clone(), setting["default"].clone()))
    };
    assert_eq!(value("unit"), Some((json!("Minute"), json!(true))));
    vendor.ok(["setting", "set", "unit", "Call"]);
    assert_eq!(value("unit"), Some((json!("Call"), json!(false))));
    vendor.ok(["setting", "set", "unlimited-as", "-1"]);
    assert_eq!(value("unlimited-as"), Some((json!("-1"), json!(true))));
    assert!(vendor.fails(2, ["setting", "set", "nope", "x"]).contains("unit, unlimited-as"));
    vendor.fails(2, ["setting", "set", "unit", ""]);
    vendor.fails(2, ["setting", "set", "unit", "a\nb"]);
}

#[test]
fn customers_and_projects_are_added_and_changed() {
    let vendor = Vendor::new();
    vendor.ok([
        "customer",
        "add",
        "c",
        "--plan",
        "gold",
        "--new",
        "--name",
        "Ann",
        "--email",
        "a@example.com",
    ]);
    vendor.ok(["customer", "add", "c", "--phone", "+1 555"]);
    let shown = vendor.json(["customer", "show", "c"]);
    assert_eq!(
        [&shown["planId"], &shown["name"], &shown["email"], &shown["phone"], &shown["projects"]],
        [&json!("gold"), &json!("Ann"), &json!("a@example.com"), &json!("+1 555"), &json!([])]
    );
    vendor.ok(["project", "add", "p", "--customer", "c"]);
    let first = vendor.json(["project", "show", "p"]);
    assert_eq!((&first["customerId"], &first["enabled"]), (&json!("c"), &json!(true)));
    let moved = vendor.ok(["project", "add", "p", "--customer", "d"]);
    assert!(moved.err.contains("was customer c's and is d's now"), "{}", moved.err);
    assert_eq!(vendor.json(["project", "show", "p"])["enabledSince"], first["enabledSince"]);
    assert_eq!(vendor.json(["customer", "show", "d"])["projects"], json!(["p"]));
    vendor.fails(3, ["customer", "show", "nope"]);
    vendor.fails(3, ["project", "show", "nope"]);
    vendor.fails(2, ["customer", "add", "c", "--plan", "a plan id of more than 16"]);
}

#[test]
fn plans_are_set_and_shown() {
    let vendor = Vendor::new();
    let set = |price: &str| {
        vendor.run([
            "plan", "set", "default", "--name", "Standard", "--unit", "Minute", "--price", price,
        ])
    };
    assert_eq!(set("0.010").code, 0);
    let shown = json!({
        "planId": "default",
        "name": "Standard",
        "unit": "Minute",
        "price": "0.01",
        "parts": [{"perUnit": "0.01"}],
        "free": "0",
        "minimum": "0",
        "words": ["0.01 per Minute"],
    });
    let with = |shown: &serde_json::Value, more: &[(&str, serde_json::Value)]| {
        let mut shown = shown.clone();
        more.iter().for_each(|(name, value)| shown[name] = value.clone());
        shown
    };
    let mut told = vendor.json(["plan", "show", "default"]);
    let versions = told["versions"].take();
    assert_eq!(told, with(&shown, &[("from", json!(null)), ("versions", json!(null))]));
    let said = [
        ("from", json!(null)),
        ("replaced", json!(false)),
        ("at", versions[0]["at"].clone()),
        ("by", versions[0]["by"].clone()),
    ];
    assert_eq!(versions, json!([with(&shown, &said)]));
    assert_eq!(vendor.json(["plan", "list"]), json!([with(&shown, &[("changes", json!(null))])]));
    let set_again = set("0.02");
    assert!(
        set_again.err.contains("without this it would be Standard: 0.01 per Minute"),
        "{}",
        set_again.err
    );
    for bad in ["-1", "1e3", "0.0000000000000000001"] {
        assert_eq!(set(bad).code, 2);
    }
    // What is set later holds from the next month on.
    assert_eq!(vendor.json(["plan", "show", "default"])["price"], "0.01");
    let next = &crate::vendor::next_month();
    assert_eq!(vendor.json(["plan", "list"])[0]["changes"], json!(next));
    assert_eq!(vendor.json(["plan", "show", "default", "--month", next])["price"], "0.02");
    vendor.fails(3, ["plan", "show", "gold"]);
    vendor.fails(
        2,
        ["plan", "set", "seventeen letters", "--name", "S", "--unit", "U", "--price", "1"],
    );
}

#[test]
fn tables_that_litestream_keeps_in_the_file_are_left_alone() {
    let vendor = Vendor::new();
    vendor
        .sql()
        .execute_batch(
            "create table _litestream_seq (id integer primary key, seq integer); \
             insert into _litestream_seq values (1, 7)",
        )
        .expect("a table");
    vendor.ok(["check"]);
}
