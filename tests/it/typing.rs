//! What a person typed is checked: what is not there names what is near, and `--new` means it.

use crate::vendor::{Ended, Vendor};
use serde_json::json;

#[test]
fn what_is_not_there_names_what_is_near() {
    let vendor = Vendor::new();
    vendor.ok(["plan", "set", "flat", "--name", "F", "--unit", "Minute", "--flat", "10"]);
    vendor.ok(["license", "type", "set", "pro", "--count", "1000"]);
    vendor.ok(["customer", "add", "123456", "--plan", "flat"]);
    vendor.ok(["project", "add", "430892", "--customer", "123456"]);
    let issued = ["license", "issue", "123456", "--expires", "2099-12-31", "--type", "pro"];
    vendor.ok([&issued[..], &["--id", "order-17"]].concat());
    let fails = |words: &str, near: &str| {
        let said = vendor.fails(3, words.split(' '));
        assert!(said.contains(&format!("(did you mean {near}?)")), "{words}: {said}");
    };
    for verb in ["customer show 123465", "customer forget 123465", "customer deactivate 123465"] {
        fails(verb, "123456");
    }
    fails("totals --customer 12345", "123456");
    fails("license list 12345", "123456");
    fails("license consume 12345 1", "123456");
    for verb in ["project show 430829", "project disable 430829", "project enable 430829"] {
        fails(verb, "430892");
    }
    fails("totals --project 430829", "430892");
    fails("bill --month 2026-11 --project 430829", "430892");
    for verb in ["show order-71", "extend order-71 --days 3", "revoke order-71", "history ORDER-7"]
    {
        fails(&format!("license {verb}"), "order-17");
    }
    fails("plan show flatpak", "flat");
    let said = vendor.fails(2, ["setting", "set", "unlimited", "0"]);
    assert!(said.contains("(did you mean unlimited-as"), "{said}");
    let said = vendor.fails(3, ["customer", "show", "zebra"]);
    assert!(said.contains("there is no customer zebra; `agora-vendor customer list`"), "{said}");
    // A customer who is named to have a project may be new.
    let said = vendor.ok(["project", "add", "p", "--customer", "123457"]).err;
    assert!(said.contains("not known and is registered (did you mean 123456?)"), "{said}");
}

#[test]
fn a_plan_that_is_not_set_up_is_named_for_a_customer_only_where_it_is_meant() {
    let vendor = Vendor::new();
    vendor.ok(["plan", "set", "flat", "--name", "F", "--unit", "Minute", "--flat", "10"]);
    let said = vendor.fails(3, ["customer", "add", "c", "--plan", "flatpak"]);
    assert!(said.contains("there is no plan flatpak (did you mean flat?)"), "{said}");
    assert!(said.contains("--new"), "{said}");
    vendor.fails(3, ["customer", "show", "c"]);
    let said = vendor.ok(["customer", "add", "c", "--plan", "flatpak", "--new"]).err;
    assert!(said.contains("the plan flatpak is not set up"), "{said}");
    // Said again, it changes nothing.
    vendor.ok(["customer", "add", "c", "--plan", "flatpak"]);
    vendor.ok(["customer", "add", "d", "--plan", "flat"]);
}

#[test]
fn a_license_says_what_it_grants_and_to_whom() {
    let vendor = Vendor::new();
    vendor.ok(["customer", "add", "c"]);
    vendor.ok(["license", "type", "set", "pro", "--count", "1000"]);
    let issue = |more: &str| -> Ended {
        let all = format!("license issue {more} --expires 2099-12-31");
        vendor.run(all.split(' '))
    };
    for (more, code, words) in [
        ("c", 2, "--count AMOUNT, --unlimited, or --type T"),
        ("c --new", 2, "--count AMOUNT, --unlimited, or --type T"),
        ("c --type pr0", 3, "there is no license type pr0 (did you mean pro?)"),
        ("c --type pr0 --count 5", 3, "--new says that it is meant"),
        ("c --type pr0 --unlimited", 3, "did you mean pro?"),
        ("c --type pr0 --new", 2, "type pr0 is not set up: add --count AMOUNT or --unlimited"),
        ("d --count 5", 3, "there is no customer d"),
        ("d --type pro", 3, "--new says that the customer is meant"),
        ("c --count 5 --unlimited", 2, "exclude each other"),
        ("c --count 0", 2, "--unlimited"),
    ] {
        let ended = issue(more);
        assert_eq!((ended.code, ended.err.contains(words)), (code, true), "{more}: {}", ended.err);
    }
    assert_eq!(vendor.json(["license", "list"]), json!([]));
    vendor.fails(3, ["customer", "show", "d"]);
    for more in [
        "c --count 5",
        "c --unlimited",
        "c --type pro",
        "c --type pro --unlimited",
        "c --type pr0 --unlimited --new",
        "d --count 5 --new",
    ] {
        let ended = issue(more);
        assert_eq!(ended.code, 0, "{more}: {}", ended.err);
    }
    let counts: Vec<_> = vendor.json(["license", "list"]).as_array().expect("licenses").clone();
    let counts: Vec<_> = counts.iter().map(|license| license["count"].clone()).collect();
    assert_eq!(
        counts,
        [json!("5"), json!(null), json!("1000"), json!(null), json!(null), json!("5")]
    );
}

#[test]
fn a_license_that_was_issued_before_unlimited_was_a_word_is_the_same_license() {
    let vendor = Vendor::new();
    let issue = |more: &str| {
        let all = format!("license issue c --expires 2099-12-31 {more}");
        vendor.run(all.split(' '))
    };
    vendor.ok(["customer", "add", "c"]);
    for more in
        ["--unlimited --id a --op-id of-a", "--type x --unlimited --new --id b --op-id of-b"]
    {
        assert_eq!(issue(more).code, 0, "{more}");
    }
    // As an executable of before wrote them.
    vendor
        .sql()
        .execute_batch(
            r#"drop trigger license_stays_what_it_is;
             update license
             set asked = 'issue c --expires 2099-12-31' || iif(license_id = 'b', ' --type "x"', '');
             update license_operation
             set asked = 'issue c --expires 2099-12-31'
               || iif(op_id = 'of-b', ' --type "x" --id b', ' --id a');"#,
        )
        .expect("tampered with");
    for (more, code) in [
        ("--unlimited --id a", 0),
        ("--id a", 0),
        ("--unlimited --id a --op-id of-a", 0),
        ("--id a --op-id of-a", 0),
        ("--type x --unlimited --id b", 0),
        ("--type x --id b", 0),
        ("--type x --unlimited --id b --op-id of-b", 0),
        ("--type x --id b --op-id of-b", 0),
        ("--count 5 --id a", 4),
        ("--type x --id a", 4),
        ("--type x --unlimited --id a", 4),
        ("--type x --count 5 --id b", 4),
        ("--unlimited --id b", 4),
        ("--unlimited --id b --op-id of-b", 4),
    ] {
        let ended = issue(more);
        assert_eq!(ended.code, code, "{more}: {}", ended.err);
    }
    // What a type that is set up granted is not without limit.
    vendor.ok(["license", "type", "set", "pro", "--count", "1000"]);
    assert_eq!(issue("--type pro --id p --op-id of-p").code, 0);
    assert_eq!(issue("--type pro --unlimited --id p").code, 4);
    assert_eq!(issue("--type pro --unlimited --id p --op-id of-p").code, 4);
    assert_eq!(vendor.json(["license", "list"]).as_array().map(Vec::len), Some(3));
}

#[test]
fn unknown_projects_are_registered_or_refused_as_the_setting_says() {
    let vendor = Vendor::new();
    let said = vendor.ok(["record", "room1", "2", "--id", "a", "--customer", "cust1"]).err;
    assert!(said.contains("project room1 was not known and is registered"), "{said}");
    assert!(said.contains("customer cust1 was not known and is registered"), "{said}");
    vendor.ok(["record", "room0", "2"]);
    assert!(
        vendor
            .fails(2, ["setting", "set", "unknown-projects", "maybe"])
            .contains("register or refuse")
    );
    vendor.ok(["setting", "set", "unknown-projects", "refuse"]);
    let said = vendor.fails(3, ["record", "room2", "2", "--id", "b"]);
    assert!(said.contains("project room2 is not in the books (did you mean"), "{said}");
    assert!(said.contains("--new"), "{said}");
    let said = vendor.fails(3, ["record", "room0", "2", "--customer", "cust2"]);
    assert!(said.contains("customer cust2 is not in the books (did you mean cust1?)"), "{said}");
    assert!(vendor.json(["project", "show", "room0"])["customerId"].is_null());
    vendor.fails(3, ["project", "show", "room2"]);
    // What is there is taken, and what is there already is repeated.
    vendor.ok(["record", "room1", "2", "--customer", "cust1"]);
    vendor.ok(["record", "room0", "2", "--customer", "cust1"]);
    assert!(vendor.json(["record", "room1", "2", "--id", "a"])["duplicate"] == true);
    let said = vendor.ok(["record", "room2", "2", "--id", "b", "--new"]).err;
    assert!(said.contains("project room2 was not known and is registered"), "{said}");

    let rows = "id,projectId,amount,at,customerId\n\
        i1,room1,1,2026-11-10,\n\
        i2,room3,1,2026-11-10,\n\
        i3,room2,1,2026-11-10,cust3\n";
    std::fs::write(vendor.path("rows.csv"), rows).expect("a file");
    let dry = vendor.run(["import", "rows.csv", "--dry-run", "--json"]);
    assert_eq!(dry.code, 1);
    assert!(dry.err.contains("line 3: the project room3 is not in the books"), "{}", dry.err);
    assert!(dry.err.contains("line 4: the customer cust3 is not in the books"), "{}", dry.err);
    let stopped = vendor.fails(1, ["import", "rows.csv"]);
    let near = "line 3: the project room3 is not in the books (did you mean room";
    assert!(stopped.contains(near), "{stopped}");
    let passed = vendor.run(["import", "rows.csv", "--rejects", "bad.csv", "--json"]);
    let counts: serde_json::Value = serde_json::from_str(&passed.out).expect("counts");
    assert_eq!((&counts["duplicates"], &counts["rejected"]), (&json!(1), &json!(2)));
    vendor.fails(3, ["project", "show", "room3"]);
    assert_eq!(vendor.json(["import", "rows.csv", "--new", "--dry-run"])["recorded"], 2);
    assert_eq!(vendor.json(["import", "rows.csv", "--new"])["recorded"], 2);
    assert_eq!(vendor.json(["project", "show", "room2"])["customerId"], "cust3");
    // Agora's word is taken whatever the setting.
    let server = vendor.serve();
    let created = server.call("POST", "/customers/c/projects/new", r#""projectId":"new""#);
    assert_eq!(created.status, 200);
    vendor.ok(["check"]);
}

#[test]
fn a_project_and_an_amount_the_wrong_way_round_are_seen() {
    let vendor = Vendor::new();
    vendor.ok(["record", "430892", "1"]);
    for setting in ["register", "refuse"] {
        vendor.ok(["setting", "set", "unknown-projects", setting]);
        let said = vendor.fails(2, ["record", "1.5", "430892"]);
        assert!(said.contains("there is no project 1.5, and 430892 is one"), "{said}");
        assert!(said.contains("`agora-vendor record 430892 1.5`"), "{said}");
        assert!(said.contains("--new"), "{said}");
    }
    assert_eq!(vendor.total(), "1");
    vendor.ok(["record", "1.5", "430892", "--new", "--id", "x"]);
    // Known by now, and repeated.
    vendor.ok(["record", "1.5", "430892", "--id", "x"]);
    vendor.ok(["record", "1.5", "430892"]);
    vendor.ok(["setting", "set", "unknown-projects", "register"]);
    vendor.ok(["record", "7", "7"]);
}

#[test]
fn a_record_that_is_dated_far_back_is_taken_and_pointed_out() {
    let vendor = Vendor::new();
    vendor.at("2026-01-31T12:00:00Z").ok(["record", "p", "1"]);
    let said = |at: &str| vendor.ok(["record", "p", "1", "--at", at, "--id", at]).err;
    // 62 days back, and a second more.
    assert_eq!(said("2025-11-30T12:00:00Z"), "");
    let far = said("2025-11-30T11:59:59Z");
    assert!(
        far.contains("is dated 2025-11-30T11:59:59Z, 62 days back; `agora-vendor void"),
        "{far}"
    );
    assert!(far.contains("`agora-vendor void 2025-11-30T11:59:59Z --reason TEXT`"), "{far}");
    assert!(said("2024-12-31").contains("396 days back, in the year 2024"), "{far}");
    assert_eq!(said("2024-12-31"), "", "it is there already");
    vendor.at("2026-12-31T23:58:00Z");
    assert!(said("2027-01-01T00:01:00Z").contains("2027-01-01T00:01:00Z, in the year 2027"));
    assert_eq!(vendor.total(), "5");
}

#[test]
fn by_hand_a_project_is_disabled_and_enabled_and_an_account_deactivated_as_agora_does_it() {
    let vendor = Vendor::new();
    vendor.at("2026-01-10T10:00:00Z");
    vendor.ok(["plan", "set", "default", "--name", "S", "--unit", "Minute", "--flat", "10"]);
    for project in ["p", "q"] {
        vendor.ok(["project", "add", project, "--customer", "c"]);
    }
    vendor.at("2026-01-20T10:00:00Z");
    let shown = vendor.json(["project", "disable", "p"]);
    assert_eq!(shown["disabledAt"], "2026-01-20T10:00:00Z");
    assert_eq!((&shown["projectId"], &shown["enabled"]), (&json!("p"), &json!(false)));
    let again = vendor.ok(["project", "disable", "p"]);
    assert!(again.err.contains("it is not enabled; nothing was changed"), "{}", again.err);
    let billed = |month: &str| -> Vec<String> {
        let bill = vendor.json(["bill", "--month", month]);
        let rows = bill["rows"].as_array().expect("rows").iter();
        rows.map(|row| row["projectId"].as_str().expect("an id").to_owned()).collect()
    };
    vendor.at("2026-02-20T10:00:00Z");
    assert_eq!(
        (billed("2026-01"), billed("2026-02")),
        (vec!["p".into(), "q".into()], vec!["q".into()])
    );

    let shown = vendor.json(["project", "enable", "p"]);
    assert_eq!(shown["enabledSince"], "2026-02-20T10:00:00Z");
    assert!(
        vendor.ok(["project", "enable", "p"]).err.contains("enabled already; nothing was changed")
    );
    vendor.at("2026-02-21T10:00:00Z");
    let ended = vendor.ok(["customer", "deactivate", "c"]);
    assert!(ended.err.contains("these projects are disabled now: p, q"), "{}", ended.err);
    assert_eq!(vendor.json(["customer", "show", "c"])["deactivatedAt"], "2026-02-21T10:00:00Z");
    assert_eq!(vendor.json(["project", "show", "q"])["disabledAt"], "2026-02-21T10:00:00Z");
    let again = vendor.ok(["customer", "deactivate", "c"]);
    assert!(again.err.contains("deactivated already; nothing was changed"), "{}", again.err);
    vendor.at("2026-03-01T10:00:00Z");
    assert_eq!(billed("2026-03"), Vec::<String>::new());
    let again = vendor.ok(["project", "enable", "q"]);
    assert!(again.err.contains("customer c was deactivated, and is active again"), "{}", again.err);
    assert_eq!(vendor.json(["customer", "show", "c"])["deactivatedAt"], json!(null));

    let events = vendor.json(["customer", "show", "c"])["events"].clone();
    let events: Vec<&str> = events
        .as_array()
        .expect("events")
        .iter()
        .map(|event| {
            assert!(event["by"].as_str().expect("who").starts_with("shell:"));
            event["change"].as_str().expect("a change")
        })
        .collect();
    assert_eq!(
        events.join(" "),
        "registered enabled enabled disabled enabled deactivated disabled disabled reactivated \
         enabled"
    );
    vendor.ok(["record", "of-nobody", "7"]);
    let said = vendor.fails(1, ["project", "enable", "of-nobody"]);
    assert!(said.contains("`agora-vendor project add of-nobody --customer C`"), "{said}");
    vendor.ok(["check"]);
}
