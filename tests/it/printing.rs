//! What is printed from files, arguments and requests: nothing that a terminal obeys, nothing
//! hidden.

use crate::vendor::{API_KEY, API_SECRET, Vendor, signed};
use serde_json::Value;
use std::process::Stdio;

/// A control of each kind, and characters that turn or break the text around them.
const HIDDEN: &str = "\u{1b}[31m\u{7f}\u{9b}2J\u{202e}x\u{2066}\u{200f}\u{2028}\u{feff}";

fn is_shown(text: &str) -> bool {
    !text.contains(|c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(c, '\u{2066}'..='\u{2069}' | '\u{feff}')
    })
}

/// Books whose names, notes and events hold what names may not hold any more.
fn disguised() -> Vendor {
    let vendor = Vendor::new();
    vendor.ok(["customer", "add", "c", "--name", "a\u{200f}b", "--plan", "g", "--new"]);
    vendor.ok(["plan", "set", "g", "--name", "S\u{200e}", "--unit", "U", "--price", "1"]);
    vendor.ok(["project", "add", "p", "--customer", "c"]);
    vendor.ok(["record", "p", "1", "--at", "2026-10-10", "--id", "r", "--note", "n\u{200f}"]);
    vendor
        .sql()
        .execute(
            "insert into event (at_s, actor, customer_id, project_id, change, fields)
             values (1, 'agora', 'c', 'p', 'changed', ?1)",
            [HIDDEN],
        )
        .expect("tampered with");
    vendor
}

#[test]
fn errors_and_notes_show_what_an_argument_hides() {
    let vendor = Vendor::new();
    let path = format!("no{HIDDEN}.db");
    for arguments in [
        &["totals", "--db", &path][..],
        &["record", HIDDEN, "1"],
        &["record", "p", HIDDEN],
        &["record", "p", "1", "--at", HIDDEN],
        &["record", "p", "1", "--note", HIDDEN],
        &["license", "show", HIDDEN],
        &["customer", "show", "nobody", HIDDEN],
        &["plan", "show", "a\u{200f}b"],
        &["setting", "set", "unit", HIDDEN],
        &["setting", "set", HIDDEN, "x"],
        &["import", HIDDEN],
        &["sign", HIDDEN],
        &["backup", &path, "--db", "missing\u{9b}.db"],
        &[HIDDEN],
        &["key", HIDDEN],
        &["totals", &format!("--{HIDDEN}")],
        &["serve", "--listen", HIDDEN],
        &["totals", "--by", HIDDEN],
    ] {
        let ended = vendor.run(arguments);
        assert!(ended.code != 0 && !ended.err.is_empty(), "{arguments:?}");
        assert!(is_shown(&ended.out) && is_shown(&ended.err), "{arguments:?}: {:?}", ended.err);
        assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    }
    let said = vendor.fails(1, ["totals", "--db", &path]);
    assert!(said.contains("no\\u{1b}[31m\\u{7f}\\u{9b}2J\\u{202e}x\\u{2066}"), "{said}");
}

#[test]
fn tables_and_json_show_what_the_books_hide() {
    let vendor = disguised();
    for arguments in [
        &["customer", "list"][..],
        &["customer", "show", "c"],
        &["project", "show", "p"],
        &["plan", "list"],
        &["plan", "show", "g"],
        &["bill", "--month", "2026-10"],
        &["export"],
    ] {
        let ended = vendor.ok(arguments);
        assert!(is_shown(&ended.out) && is_shown(&ended.err), "{arguments:?}: {:?}", ended.out);
        let mut command = vendor.command(arguments);
        if arguments != ["export"] {
            command.arg("--json");
        }
        let out = command.stderr(Stdio::null()).output().expect("it runs").stdout;
        let out = String::from_utf8(out).expect("UTF-8");
        assert!(is_shown(&out), "{arguments:?}: {out:?}");
    }
    let shown = vendor.ok(["customer", "show", "c"]).out;
    assert!(shown.contains("a\\u{200f}b") && shown.contains("\\u{1b}[31m\\u{7f}"), "{shown}");
    assert_eq!(vendor.json(["customer", "show", "c"])["name"], "a\u{200f}b");
    let row: Value = serde_json::from_str(&vendor.ok(["export"]).out).expect("a line");
    assert_eq!(row["note"], "n\u{200f}");
    // A body that is signed says the same as before.
    let body = "{\r\n\t\"customerName\": \"a\u{9b}\u{202e}b\"\r\n}\r\n";
    std::fs::write(vendor.path("body"), body).expect("a file");
    let url = "http://h/customers/1/projects/new";
    let signed = vendor.ok(["sign", "--live", "--method", "POST", "--data", "body", url]).out;
    assert!(signed.contains("a\\u009b\\u202eb") && !signed.contains('\r'), "{signed:?}");
    std::fs::write(vendor.path("signed"), signed).expect("a file");
    vendor.ok(["sign", "--explain", "--method", "POST", "--data", "signed", url]);
}

#[test]
fn the_log_shows_what_a_request_hides_and_has_a_line_for_each_event() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let raw = "\u{1b}[31m\u{9b}\u{202e}\nERROR forged";
    for (key, secret) in [(raw, "x"), (API_KEY, "wrong"), (API_KEY, API_SECRET)] {
        server.get(&signed(key, secret, "/usage", &[("fromTs", raw), ("limit", raw)]));
    }
    let (path, body) = ("/customers/new", format!(r#""planId":{raw:?},"customerId":"c""#));
    server.call("POST", path, &body.replace("\\u{", "\\u00").replace('}', ""));
    let log = server.log();
    assert!(is_shown(&log), "{log:?}");
    assert!(!log.lines().any(|line| line.starts_with("ERROR forged")), "{log}");
    drop(server);

    let name = format!("books{}.db", "\u{9b}\u{202e}");
    vendor.ok(["backup", &name]);
    let server = vendor.serve_with(["--db", &name]);
    let log = server.log();
    assert!(log.contains("books\\u{9b}\\u{202e}.db") && is_shown(&log), "{log:?}");
}
