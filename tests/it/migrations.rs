//! Books of earlier versions.

use crate::vendor::{Server, Vendor, days_from_now, second, signed};
use rusqlite::Connection;
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;

/// Books as version 1 wrote them: a key pair, a plan, usage with a void and a crowd, and licenses.
pub fn of_version_1() -> Vendor {
    let vendor = Vendor::without_books();
    let sql = Connection::open(vendor.db()).expect("a file");
    sql.execute_batch(&format!(
        "pragma journal_mode = wal;
        {}
        pragma application_id = 1097291374;
        pragma user_version = 1;
        insert into setting values ('unit', 'Call');
        insert into api_key values
          ('key', 'secret', 'live', 1760000000, null),
          ('test', 'secret', 'test', 1760000000, null);
        insert into plan values ('default', 'Standard', 'Minute', '0.01');
        insert into customer values ('c', 'default', 'Ann', null, null, 1760000000, 1760000000);
        insert into project values ('p', 'c', 1760000000), ('q', null, 1760000000);
        insert into project_enablement values ('p', 1760000000, null);
        insert into usage_ledger values
          (1, 'r1', 'p', 1760054400, '1.5', 1760054500, null, 0, 'a note'),
          (2, 'r2', 'p', 1760054400, '2', 1760054500, null, 1, null),
          (3, null, 'p', 1760054400, '-2', 1760054600, 2, 1, 'a reason');
        insert into usage_rollup values
          ('second', 1760054400, 'p', '0', 0),
          ('hour', 1760054400, 'p', '1.5', 1),
          ('day', 1760054400, 'p', '1.5', 1),
          ('month', 1759276800, 'p', '1.5', 1);
        insert into license values
          ('late', 'c', 1760054500, 4102444799, '7.5', null, null),
          ('early', 'c', 1760054400, 4102444799, null, 1760054600, 'a refund');",
        include_str!("schema-1.sql")
    ))
    .expect("books of version 1");
    vendor
}

/// Books as version 2 wrote them: the same, and usage that a license covered in part.
pub fn of_version_2() -> Vendor {
    let vendor = Vendor::without_books();
    let sql = Connection::open(vendor.db()).expect("a file");
    sql.execute_batch(&format!(
        "pragma journal_mode = wal;
        {}
        pragma application_id = 1097291374;
        pragma user_version = 2;
        insert into setting values ('unit', 'Call');
        insert into api_key values
          ('key', 'secret', 'live', 1760000000, null),
          ('test', 'secret', 'test', 1760000000, null);
        insert into plan values ('default', 'Standard', 'Minute', '0.01');
        insert into customer values
          ('c', 'default', 'Ann', null, null, 1760000000, 1760000000, null);
        insert into project values
          ('q', null, 1760000000, null, null),
          ('p', 'c', 1760000000, 'an-app-key', 'an-app-secret');
        insert into project_enablement values ('p', 1760000000, null);
        insert into event values (1, 1760000000, 'agora', 'c', 'p', 'enabled', '');
        insert into usage_ledger values
          (1, 'r1', 'p', 1760054400, '1.5', '1', 1760054500, null, 0, 'a note'),
          (2, 'r2', 'p', 1760054400, '2', '0', 1760054500, null, 1, null),
          (3, null, 'p', 1760054400, '-2', '0', 1760054600, 2, 1, 'a reason');
        insert into usage_rollup values
          ('second', 1760054400, 'p', '0', '0', 0),
          ('hour', 1760054400, 'p', '1.5', '1', 1),
          ('day', 1760054400, 'p', '1.5', '1', 1),
          ('month', 1759276800, 'p', '1.5', '1', 1);
        insert into license values
          (1, 'order-1', 'c', 'video', 'ios', 1760054400, 'issue c',
           1760054400, 4102444799, '1', '0', null);
        insert into license_ledger values
          (1, 1, 1760054400, 'issued', '1', 4102444799, null, 'shell:ann', null, 'op-1'),
          (2, 1, 1760054500, 'drawn', '-1', null, 1, null, null, null);
        insert into license_operation values ('op-1', 1760054400, 'issue c');
        insert into license_type values ('video', 'Video', '10');",
        include_str!("schema-2.sql")
    ))
    .expect("books of version 2");
    vendor
}

/// Books as version 3 wrote them: months that were billed, with carries and what waits.
pub fn of_version_3() -> Vendor {
    written_by(3, include_str!("schema-3.sql"), include_str!("books-3.sql"))
}

/// Books as version 4 wrote them: the same, with months told again, one of them without what it had
/// carried.
pub fn of_version_4() -> Vendor {
    written_by(4, include_str!("schema-4.sql"), include_str!("books-4.sql"))
}

/// Books as version 5 wrote them: the same, and what was recorded and taken back since.
fn of_version_5() -> Vendor {
    written_by(5, include_str!("schema-5.sql"), include_str!("books-5.sql"))
}

/// Books as version 6 wrote them: the same, and what was recorded and taken back since, with who
/// did it.
fn of_version_6() -> Vendor {
    written_by(6, include_str!("schema-6.sql"), include_str!("books-6.sql"))
}

/// Books as version 7 wrote them: the same, and late records and another plan since.
fn of_version_7() -> Vendor {
    written_by(7, include_str!("schema-7.sql"), include_str!("books-7.sql"))
}

/// Books of an earlier version, by its schema and its rows.
fn written_by(version: u32, schema: &str, rows: &str) -> Vendor {
    let vendor = Vendor::without_books();
    let sql = Connection::open(vendor.db()).expect("a file");
    sql.execute_batch(&format!(
        "pragma journal_mode = wal;
        {schema}
        pragma application_id = 1097291374;
        pragma user_version = {version};
        {rows}"
    ))
    .unwrap_or_else(|error| panic!("books of version {version}: {error}"));
    vendor
}

fn schema(vendor: &Vendor) -> BTreeSet<(String, String)> {
    let sql = vendor.sql();
    let mut select =
        sql.prepare("select name, coalesce(sql, '') from sqlite_schema").expect("a statement");
    let parts = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("a schema");
    parts.collect::<Result<_, _>>().expect("a schema")
}

#[test]
fn a_verb_does_not_touch_books_of_an_earlier_version_and_says_what_does() {
    let vendor = of_version_1();
    let whole = fs::read(vendor.db()).expect("a file");
    for arguments in [&["record", "p", "1"][..], &["totals"], &["check"], &["backup", "copy.db"]] {
        let said = vendor.fails(1, arguments);
        assert!(
            said.contains("schema version 1") && said.contains("agora-vendor migrate"),
            "{said}"
        );
    }
    assert_eq!(fs::read(vendor.db()).expect("a file"), whole);
}

#[test]
fn migrated_books_have_the_schema_of_fresh_ones_and_what_the_old_ones_held() {
    let vendor = of_version_1();
    let told = vendor.json(["migrate"]);
    assert_eq!((&told["from"], &told["to"]), (&json!(1), &json!(8)));
    assert_eq!(schema(&vendor), schema(&Vendor::new()));
    vendor.ok(["check"]);
    assert_eq!(vendor.json(["migrate"]), json!(null));

    let copy = Connection::open(told["copy"].as_str().expect("a path")).expect("the copy");
    let version: i64 =
        copy.pragma_query_value(None, "user_version", |row| row.get(0)).expect("a version");
    assert_eq!(version, 1);

    assert_eq!(vendor.total(), "1.5");
    assert_eq!(vendor.json(["bill", "--month", "2025-10"])["total"], "0.015");
    assert_eq!(vendor.json(["customer", "show", "c"])["name"], "Ann");
    let license = vendor.json(["license", "show", "late"]);
    assert_eq!(
        (&license["count"], &license["residue"], &license["state"], &license["starts"]),
        (&json!("7.5"), &json!("7.5"), &json!("live"), &json!("2025-10-10"))
    );
    let revoked = vendor.json(["license", "show", "early"]);
    assert_eq!((&revoked["state"], &revoked["reason"]), (&json!("revoked"), &json!("a refund")));
    vendor.ok(["license", "reinstate", "early"]);
    vendor.ok(["license", "extend", "late", "--to", "2100-01-31"]);
    vendor.ok(["record", "p", "3"]);
    assert_eq!(
        vendor.run(["void", "r2", "--reason", "again"]).out.split(':').next(),
        Some("already voided")
    );
    vendor.ok(["check"]);
}

#[test]
fn books_of_version_2_keep_what_they_held() {
    let vendor = of_version_2();
    let told = vendor.json(["migrate"]);
    assert_eq!((&told["from"], &told["to"]), (&json!(2), &json!(8)));
    assert_eq!(schema(&vendor), schema(&Vendor::new()));
    vendor.ok(["check"]);
    assert_eq!(vendor.total(), "1.5");
    let bill = vendor.json(["bill", "--month", "2025-10"]);
    assert_eq!((&bill["total"], &bill["rows"][0]["covered"]), (&json!("0.005"), &json!("1")));
    let project = vendor.json(["project", "show", "p"]);
    assert_eq!((&project["customerId"], &project["appKey"]), (&json!("c"), &json!("an-app-key")));
    assert_eq!(project["events"][0]["change"], "enabled");
    assert_eq!(vendor.json(["setting", "list"])[0]["value"], "Call");
    let history = vendor.json(["license", "history", "order-1"]);
    assert!(history.to_string().contains("\"recordId\":\"r1\""), "{history}");
    vendor.ok(["void", "r1", "--reason", "again"]);
    assert_eq!(vendor.json(["license", "show", "order-1"])["residue"], "1");
    vendor.ok(["check"]);
}

#[test]
fn books_of_version_3_keep_what_they_told() {
    let vendor = of_version_3();
    let told = vendor.json(["migrate"]);
    assert_eq!((&told["from"], &told["to"]), (&json!(3), &json!(8)));
    assert_eq!(schema(&vendor), schema(&Vendor::new()));
    vendor.ok(["check"]);
    let totals: Vec<_> = vendor.json(["statement", "list"])["statements"]
        .as_array()
        .expect("an array")
        .iter()
        .map(|statement| statement["total"].clone())
        .collect();
    assert_eq!(totals, ["18", "18", "11.25", "13", "18"]);
    // Under version 3 usage drew from the licenses that were live as it was written.
    let august = vendor.json(["bill", "--month", "2026-08"]);
    assert_eq!(august["rows"][1]["covered"], "0");
}

/// What a month's bill tells of each project.
fn bill(server: &Server, month: &str, next: &str) -> Vec<String> {
    let second = |month: &str| second(&format!("{month}-01T00:00:00Z"));
    let (from, to) = (second(month).to_string(), (second(next) - 1).to_string());
    let fields = [("fromTs", &*from), ("toTs", &to), ("pageNum", "1")];
    let answer = server.get(&signed("key-live", "secret-live", "/bill", &fields));
    answer.entries().into_iter().map(|(project, amount)| format!("{project} {amount}")).collect()
}

/// What is due of a month, by project.
fn due(vendor: &Vendor, month: &str) -> Vec<String> {
    let reconciled = vendor.json(["totals", "--reconcile", "--month", month]);
    assert_eq!(reconciled["ok"], true, "{reconciled}");
    let rows = reconciled["money"].as_array().expect("rows").iter();
    let due = rows.map(|row| format!("{} {}", row["projectId"], row["due"]).replace('"', ""));
    due.filter(|due| !due.ends_with(" 0")).collect()
}

#[test]
fn no_bill_after_a_migration_tells_anything_twice_or_loses_what_waits() {
    let vendor = of_version_4();
    vendor.ok(["migrate"]);
    vendor.ok(["check"]);
    // Of June 0.2 of a and the 5 of d were told by a bill that was told again without them; of July
    // 3 units of c were recorded late, in September 5 units of a taken back.
    let dues = ["2026-06", "2026-07", "2026-08", "2026-09"].map(|month| due(&vendor, month));
    let june = ["a 0.2", "b -0.6", "d 5"].map(str::to_owned).to_vec();
    assert_eq!(dues, [june, vec!["c 0.03".into()], vec![], vec!["a -0.05".into()]]);
    vendor.at("2026-12-02T00:00:00Z");
    let server = vendor.serve();
    for _ in 0..2 {
        assert_eq!(bill(&server, "2026-11", "2026-12"), ["a 0.15", "c 0.03", "d 5"]);
        // What they told they tell, and what October told of none.
        assert_eq!(bill(&server, "2026-06", "2026-07"), ["a 1", "b 0.4", "c 1.3"]);
        assert_eq!(bill(&server, "2026-07", "2026-08"), ["a 0.6", "c 0.2"]);
        assert_eq!(bill(&server, "2026-08", "2026-09"), ["c 0.07"]);
        assert_eq!(bill(&server, "2026-09", "2026-10"), ["a 0.05"]);
        assert_eq!(bill(&server, "2026-10", "2026-11"), Vec::<String>::new());
    }
    let months = ["2026-06", "2026-07", "2026-08", "2026-09"];
    assert_eq!(months.map(|month| due(&vendor, month)), [const { Vec::<String>::new() }; 4]);
    vendor.ok(["check"]);
}

#[test]
fn no_bill_after_a_migration_from_version_3_tells_anything_twice_or_loses_what_waits() {
    let vendor = of_version_3();
    vendor.ok(["migrate"]);
    vendor.ok(["check"]);
    // In September 3 units of p1 were recorded late, in October all of its usage taken back, and
    // with it a flat fee.
    let months = ["2026-08", "2026-09", "2026-10"];
    let dues = months.map(|month| due(&vendor, month));
    assert_eq!(dues, [vec![], vec!["p1 0.75".to_owned()], vec!["p1 -10.5".to_owned()]]);
    vendor.at("2026-12-02T00:00:00Z");
    let server = vendor.serve();
    for _ in 0..2 {
        // The fee of 10 and 0.75 less 10.5.
        assert_eq!(bill(&server, "2026-11", "2026-12"), ["p1 0.25"]);
        assert_eq!(bill(&server, "2026-10", "2026-11"), ["p1 10.5", "p2 1", "p3 1.5"]);
    }
    assert_eq!(months.map(|month| due(&vendor, month)), [const { Vec::<String>::new() }; 3]);
    vendor.ok(["check"]);
}

#[test]
fn operations_that_books_of_version_3_name_are_done_once() {
    let vendor = of_version_3();
    vendor.ok(["migrate"]);
    let issue = |more: &str| {
        let all = format!("license issue bob {more}");
        vendor.run(all.split(' '))
    };
    let adjust = |by: &str| {
        vendor.run([
            "license",
            "adjust",
            "lic-2",
            by,
            "--reason",
            "sold by mistake",
            "--op-id",
            "op-2",
        ])
    };
    let first = "--expires 2026-08-31 --starts 2026-08-01 --id lic-1";
    let second = "--expires 2030-12-31 --id lic-2";
    for (again, said) in [
        (issue(&format!("{first} --count 3 --op-id op-1")), "op-1 was done already"),
        (issue(&format!("{first} --count 3.0")), "already issued"),
        (issue(&format!("{second} --count 100")), "already issued"),
        (adjust("-20"), "op-2 was done already"),
    ] {
        assert!(again.code == 0 && again.err.contains(said), "{}", again.err);
    }
    for (other, said) in [
        (issue(&format!("{first} --count 4 --op-id op-1")), "`issue bob --expires 2026-08-31"),
        (issue(&format!("{second} --count 10")), "`issue bob --expires 2030-12-31 --count 100`"),
        (adjust("-21"), r#"`adjust lic-2 -20 --reason "sold by mistake"`"#),
    ] {
        assert!(other.code == 4 && other.err.contains(said), "{}", other.err);
    }
    assert_eq!(vendor.json(["license", "show", "lic-2"])["residue"], "80");
    vendor.ok(["check"]);
}

/// The rows of every table of version 5, as text.
fn rows_of_version_5(vendor: &Vendor) -> Vec<String> {
    const COLUMNS: [&str; 3] = [
        "seq, record_id, project_no, at_s, amount, covered, recorded_at_s, reverses_seq, in_crowd, \
         note from usage_ledger",
        "seq, api_key, api_secret, purpose, created_at_s, revoked_at_s from api_key",
        "seq, at_s, actor, customer_id, project_id, change, fields from event",
    ];
    const WHOLE: [&str; 16] = [
        "setting",
        "plan_version",
        "customer",
        "project",
        "customer_plan",
        "project_customer",
        "project_enablement",
        "usage_rollup",
        "license",
        "license_ledger",
        "license_operation",
        "license_type",
        "statement",
        "statement_entries",
        "snapshot",
        "usage_month",
    ];
    let selects = COLUMNS.map(str::to_owned).into_iter();
    let selects = selects.chain(WHOLE.map(|table| format!("* from {table}")));
    selects.flat_map(|select| rows_of(vendor, &select)).collect()
}

/// What `select` and these words give, a line a row.
fn rows_of(vendor: &Vendor, select: &str) -> Vec<String> {
    let sql = vendor.sql();
    let mut statement = sql.prepare(&format!("select {select}")).expect("a statement");
    let columns = statement.column_count();
    let mut rows = statement.query([]).expect("rows");
    let mut all = Vec::new();
    while let Some(row) = rows.next().expect("a row") {
        let values = (0..columns).map(|n| format!("{:?}", row.get_ref(n).expect("a value")));
        all.push(format!("{select}: {}", values.collect::<Vec<_>>().join(" ")));
    }
    all
}

#[test]
fn books_of_version_5_are_grown_in_place_and_keep_every_row() {
    let vendor = of_version_5();
    let before = rows_of_version_5(&vendor);
    assert!(before.len() > 100, "{}", before.len());
    let told = vendor.json(["migrate"]);
    assert_eq!((&told["from"], &told["to"]), (&json!(5), &json!(8)));
    assert_eq!(schema(&vendor), schema(&Vendor::new()));
    assert_eq!(rows_of_version_5(&vendor), before);
    vendor.ok(["check"]);
    // Entries of before have nobody who wrote them; those of now do.
    let by = "select count(*) from usage_ledger where actor_no is not null";
    assert_eq!(vendor.sql().query_row(by, [], |row| row.get(0)), Ok(0));
    vendor.ok(["record", "a", "1", "--at", "2026-11-10", "--id", "of-now"]);
    vendor.ok(["void", "n3", "--reason", "again"]);
    assert_eq!(vendor.sql().query_row(by, [], |row| row.get(0)), Ok(2));
    vendor.ok(["check"]);
}

#[test]
fn books_of_versions_6_and_7_keep_every_row_and_what_is_due() {
    const MORE: [&str; 4] =
        ["* from usage_ledger", "* from api_key", "* from setting_change", "* from actor"];
    let rows = |vendor: &Vendor| {
        let mut rows = rows_of_version_5(vendor);
        rows.extend(MORE.iter().flat_map(|select| rows_of(vendor, select)));
        rows
    };
    // As those versions told it of these books.
    let due_of_6 =
        "06 a 0.2, 06 b -0.6, 06 d 5, 07 c 0.03, 08 b 0.03, 09 a -0.05, 11 a 0.025, 11 d 1.5";
    let due_of_7 = "06 a 0.23, 06 b -0.6, 06 d 5, 07 c 0.03, 08 b 0.03, 09 a -0.05, 09 c 0.02, \
                    11 a 0.025, 11 d 0.03";
    for (from, vendor, due_before) in [(6, of_version_6(), due_of_6), (7, of_version_7(), due_of_7)]
    {
        let before = rows(&vendor);
        let told = vendor.json(["migrate"]);
        assert_eq!((&told["from"], &told["to"]), (&json!(from), &json!(8)));
        assert_eq!(schema(&vendor), schema(&Vendor::new()));
        assert_eq!(rows(&vendor), before);
        vendor.ok(["check"]);
        let due = ["06", "07", "08", "09", "11"].into_iter().flat_map(|month| {
            let due = due(&vendor, &format!("2026-{month}")).into_iter();
            due.map(move |due| format!("{month} {due}"))
        });
        assert_eq!(due.collect::<Vec<_>>().join(", "), due_before);
        // No bill whose pages were begun before goes on past another one's.
        let kept = "select min(kept_seq) = (select max(seq) from statement) from balance";
        assert_eq!(vendor.sql().query_row(kept, [], |row| row.get(0)), Ok(true));
        // A record of a month that was billed leaves a mark.
        let marks = "select count(*) from mark where month_s = 1785542400";
        let count = || vendor.sql().query_row(marks, [], |row| row.get::<_, i64>(0));
        assert_eq!(count(), Ok(0));
        vendor.ok(["record", "a", "1", "--at", "2026-08-13", "--id", "late-of-8"]);
        assert_eq!(count(), Ok(1));
        vendor.ok(["check"]);
    }
}

#[test]
fn a_migration_of_version_5_that_meets_another_schema_changes_nothing() {
    let vendor = of_version_5();
    vendor.sql().execute_batch("alter table license add column more text").expect("a column");
    let before = schema(&vendor);
    let said = vendor.fails(1, ["migrate"]);
    assert!(said.contains("table license"), "{said}");
    assert_eq!(schema(&vendor), before);
    let version = "select user_version from pragma_user_version";
    assert_eq!(vendor.sql().query_row(version, [], |row| row.get(0)), Ok(5));
}

#[test]
fn a_migration_leaves_the_tables_of_litestream_where_they_are() {
    let vendor = of_version_2();
    vendor.sql().execute_batch("create table _litestream_lock (id integer)").expect("a table");
    vendor.ok(["migrate"]);
    let count = "select count(*) from _litestream_lock";
    assert_eq!(vendor.sql().query_row(count, [], |row| row.get(0)), Ok(0));
    vendor.ok(["check"]);
}

#[test]
fn prices_plans_and_customers_hold_for_all_time_in_migrated_books() {
    for (vendor, total) in [(of_version_1(), "0.015"), (of_version_2(), "0.005")] {
        vendor.ok(["migrate"]);
        let plan = vendor.json(["plan", "show", "default"]);
        assert_eq!((&plan["price"], &plan["from"]), (&json!("0.01"), &json!(null)));
        assert_eq!(plan["versions"].as_array().map(Vec::len), Some(1));
        assert_eq!(plan["versions"][0]["at"], json!(null));
        let plans = vendor.json(["customer", "show", "c"])["plans"].clone();
        let first = json!([
            {"from": null, "planId": "default", "at": "2025-10-09T08:53:20Z", "by": "shell:unknown"}
        ]);
        assert_eq!(plans, first);
        let customers = vendor.json(["project", "show", "p"])["customers"].clone();
        let first = json!([
            {"from": null, "customerId": "c", "at": "2025-10-09T08:53:20Z", "by": "shell:unknown"}
        ]);
        assert_eq!(customers, first);
        assert_eq!(vendor.json(["project", "show", "q"])["customers"], json!([]));
        assert_eq!(vendor.json(["bill", "--month", "2025-10"])["total"], total);
        // What is said now is a later version, and the first of what nobody had said before.
        vendor.ok(["plan", "set", "default", "--price", "5"]);
        vendor.ok(["project", "add", "q", "--customer", "c"]);
        assert_eq!(vendor.json(["project", "show", "q"])["customers"][0]["from"], json!(null));
        assert_eq!(vendor.json(["bill", "--month", "2025-10"])["total"], total);
        vendor.ok(["check"]);
    }
}

#[test]
fn the_server_migrates_when_it_starts() {
    let vendor = of_version_1();
    let server = vendor.serve();
    assert!(server.log().contains("from schema version 1 to 8"), "{}", server.log());
    assert_eq!(server.get("/healthz").status, 200);
    vendor.ok(["license", "issue", "--new", "--unlimited", "c", "--expires", &days_from_now(3)]);
    vendor.ok(["check"]);
}

/// The copies that migrations have left.
fn copies(vendor: &Vendor) -> usize {
    let files = fs::read_dir(vendor.path("."))
        .expect("a folder")
        .map(|file| file.expect("a file").file_name());
    files.filter(|name| name.to_string_lossy().ends_with(".version-1")).count()
}

#[test]
fn migrations_at_the_same_time_are_one() {
    let vendor = of_version_1();
    let several: Vec<_> = (0..4)
        .map(|_| {
            let quiet = std::process::Stdio::null;
            vendor.command(["migrate"]).stdout(quiet()).stderr(quiet()).spawn().expect("it runs")
        })
        .collect();
    for mut one in several {
        assert_eq!(one.wait().expect("an end").code(), Some(0));
    }
    assert_eq!(copies(&vendor), 1);
    vendor.ok(["check"]);
}

#[test]
fn a_migration_that_cannot_leave_a_copy_changes_nothing() {
    let vendor = of_version_1();
    // A file may grow to 8 KiB, and the copy is larger.
    let limited = std::process::Command::new("sh")
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f 16; exec \"$0\" migrate",
            env!("CARGO_BIN_EXE_agora-vendor"),
        ])
        .env("AGORA_VENDOR_DB", vendor.db())
        .output()
        .expect("a shell");
    assert_eq!(limited.status.code(), Some(1), "{}", String::from_utf8_lossy(&limited.stderr));
    assert!(vendor.fails(1, ["totals"]).contains("schema version 1"));
    assert_eq!(copies(&vendor), 0);
    vendor.ok(["migrate"]);
    vendor.ok(["check"]);
}
