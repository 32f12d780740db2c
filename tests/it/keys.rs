//! Key pairs: made, handed in, rotated, revoked; and `sign`, which plays Agora.

use crate::terminal::open_terminal;
use crate::vendor::{API_KEY, API_SECRET, Ended, Vendor, day, signal, signed, skipped};
use rustix::termios::{LocalModes, tcgetattr};
use serde_json::json;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

#[test]
fn a_made_secret_is_told_in_json_and_a_handed_in_one_never() {
    let made = Vendor::without_books();
    let created = made.json(["init"]);
    let text = |name: &str| created[name].as_str().expect("a string").to_owned();
    assert_eq!(
        (text("apiKey").len(), text("apiSecret").len(), text("testApiKey").len()),
        (32, 32, 32)
    );
    assert_eq!(made.ok(["key", "show", &text("apiKey"), "--secret"]).out.trim(), text("apiSecret"));
    let mode = std::fs::metadata(made.db()).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let quiet = Vendor::without_books();
    let said = quiet.ok(["init"]);
    let pair = quiet.json(["key", "list"])[0]["apiKey"].as_str().expect("a key").to_owned();
    let secret = quiet.ok(["key", "show", &pair, "--secret"]).out;
    assert!(
        !said.out.contains(secret.trim()) && !said.err.contains(secret.trim()),
        "not a terminal"
    );

    let given = Vendor::without_books();
    std::fs::write(given.path("secret"), format!("{API_SECRET}\r\n")).expect("a file");
    let said = given.ok(["init", "--api-key", API_KEY, "--api-secret-file", "secret", "--json"]);
    assert!(!said.out.contains(API_SECRET) && !said.err.contains(API_SECRET));
    assert_eq!(given.ok(["key", "show", API_KEY, "--secret"]).out, format!("{API_SECRET}\n"));
    for command in [vec!["key", "list"], vec!["key", "show", API_KEY], vec!["key", "add", "--test"]]
    {
        let said = given.ok(command);
        assert!(!said.out.contains(API_SECRET) && !said.err.contains(API_SECRET));
    }
}

#[test]
fn two_live_pairs_are_valid_while_rotating_and_the_last_is_not_revoked() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let status = |key: &str, secret: &str| {
        server.get(&signed(key, secret, "/customers/c/license", &[])).status
    };
    // 404: the signature is right, and the customer never had a license.
    assert_eq!(status(API_KEY, API_SECRET), 404);
    assert!(vendor.fails(1, ["key", "revoke", API_KEY]).contains("last live pair"));

    let new = vendor.json(["key", "add"])["apiKey"].as_str().expect("a key").to_owned();
    let new_secret = vendor.ok(["key", "show", &new, "--secret"]).out.trim().to_owned();
    assert_eq!((status(API_KEY, API_SECRET), status(&new, &new_secret)), (404, 404));
    assert!(vendor.fails(1, ["key", "add"]).contains("two live pairs"));

    vendor.ok(["key", "revoke", API_KEY]);
    assert_eq!((status(API_KEY, API_SECRET), status(&new, &new_secret)), (401, 404));
    vendor.fails(1, ["key", "revoke", &new]);
    assert!(vendor.ok(["key", "revoke", API_KEY]).err.contains("already revoked"));
    vendor.fails(3, ["key", "revoke", "nope"]);
    vendor.fails(3, ["key", "show", "nope"]);
    vendor.fails(4, ["key", "add", "--api-key", API_KEY, "--api-secret-file", "secret"]);
}

#[test]
fn of_pairs_that_were_made_in_one_second_the_later_one_signs() {
    let vendor = Vendor::without_books();
    vendor.at("2026-11-01T10:00:00Z");
    let mut live = vec![text(&vendor.json(["init"])["apiKey"])];
    for round in 1..=8 {
        if round == 8 {
            // A clock that is set back changes nothing.
            vendor.at("2026-10-01T10:00:00Z");
        }
        let new = text(&vendor.json(["key", "add"])["apiKey"]);
        live.push(new.clone());
        let signed = vendor.ok(["sign", "--live", "http://h/usage"]).out;
        assert!(signed.contains(&format!("apiKey={new}")), "{signed}");
        let listed = vendor.json(["key", "list"]);
        let listed = listed.as_array().expect("pairs").iter();
        let listed = listed.filter(|pair| pair["purpose"] == "live");
        assert_eq!(listed.map(|pair| text(&pair["apiKey"])).collect::<Vec<_>>(), live);
        vendor.ok(["key", "revoke", &live[live.len() - 2]]);
    }
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().expect("a string").to_owned()
}

#[test]
fn a_file_holds_the_secret_and_nothing_else() {
    let vendor = Vendor::without_books();
    for (content, reason) in [
        (format!("\u{feff}{API_SECRET}\n"), "it starts with a byte order mark"),
        (format!("\"{API_SECRET}\"\n"), "it is in quotes"),
        (format!("'{API_SECRET}'"), "it is in quotes"),
        (format!("API_SECRET={API_SECRET}\n"), "it has the form name=value"),
        (format!("export API_SECRET=\"{API_SECRET}\"\n"), "it is in quotes"),
        (format!("apiSecret = {API_SECRET}\n"), "it has the form name=value"),
        (format!("{API_SECRET}\n\n"), "it must be"),
        (format!("{API_SECRET} "), "it must be"),
        (String::new(), "it must be"),
    ] {
        std::fs::write(vendor.path("secret"), content).expect("a file");
        let said = vendor.fails(2, ["init", "--api-key", API_KEY, "--api-secret-file", "secret"]);
        assert!(
            said.contains("what secret holds is not a secret: ") && said.contains(reason),
            "{said}"
        );
        assert!(!said.contains(API_SECRET), "{said}");
    }
    for (number, content) in ["YWJjZA==\n", "YWJjZGU=\r\n", "a+b/c="].into_iter().enumerate() {
        std::fs::write(vendor.path("secret"), content).expect("a file");
        let (db, key) = (format!("{number}.db"), ["--api-key", "k", "--api-secret-file", "secret"]);
        vendor.ok([&["init", "--db", &db], &key[..]].concat());
        let secret = vendor.ok(["key", "show", "k", "--secret", "--db", &db]).out;
        assert_eq!(secret.trim_end(), content.trim_end());
    }
}

/// A command that reads a secret from a terminal, in a session of its own.
fn asks_at(terminal: &File, vendor: &Vendor) -> Child {
    let mut command = Command::new("setsid");
    command.args(["--ctty", env!("CARGO_BIN_EXE_agora-vendor"), "key", "add"]);
    command.args(["--api-key", "typed", "--api-secret-file", "-"]);
    command.current_dir(vendor.path(".")).env("AGORA_VENDOR_DB", vendor.db());
    command.stdin(terminal.try_clone().expect("a terminal"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs")
}

/// Reads what a command asks: that comes once the terminal shows nothing any more.
fn read_question(child: &mut Child) {
    let err = child.stderr.as_mut().expect("piped");
    let mut asked = Vec::new();
    while !asked.ends_with(b": ") {
        let mut byte = [0];
        err.read_exact(&mut byte).expect("a question");
        asked.push(byte[0]);
    }
}

fn shows_what_is_typed(terminal: &File) -> bool {
    tcgetattr(terminal).expect("a terminal").local_modes.contains(LocalModes::ECHO)
}

#[test]
fn a_terminal_shows_again_what_is_typed_whatever_ends_the_command_that_reads_a_secret() {
    const CTRL_C: &[u8] = b"\x03";
    const CTRL_BACKSLASH: &[u8] = b"\x1c";
    let vendor = Vendor::new();
    for (typed, name, number) in [
        (CTRL_C, "", 2),
        (CTRL_BACKSLASH, "", 3),
        (b"half of a secret\x03", "", 2),
        (b"", "INT", 2),
        (b"", "TERM", 15),
        (b"", "HUP", 1),
    ] {
        let (mut master, terminal) = open_terminal();
        let mut child = asks_at(&terminal, &vendor);
        read_question(&mut child);
        assert!(!shows_what_is_typed(&terminal), "{number}");
        master.write_all(typed).expect("typed");
        if typed.is_empty() {
            signal(name, &child.id().to_string());
        }
        assert_eq!(child.wait().expect("an end").signal(), Some(number));
        assert!(shows_what_is_typed(&terminal), "{number}");
    }
    assert!(!vendor.ok(["key", "list"]).out.contains("typed"));
}

#[test]
fn a_secret_is_asked_for_again_where_a_signal_does_not_end_the_command() {
    let vendor = Vendor::new();
    let (mut master, terminal) = open_terminal();
    let mut child = asks_at(&terminal, &vendor);
    read_question(&mut child);
    // Nobody could have the only process of a session go on again, so that it is not stopped.
    master.write_all(b"half of a secret\x1a").expect("typed");
    read_question(&mut child);
    assert!(!shows_what_is_typed(&terminal));
    master.write_all(b"aTypedSecret\n").expect("typed");
    assert!(child.wait().expect("an end").success());
    assert!(shows_what_is_typed(&terminal));
    assert_eq!(vendor.ok(["key", "show", "typed", "--secret"]).out, "aTypedSecret\n");
}

#[test]
fn a_secret_that_is_typed_is_not_shown() {
    let vendor = Vendor::new();
    let (mut master, terminal) = open_terminal();
    let mut child = asks_at(&terminal, &vendor);
    read_question(&mut child);
    master.write_all(b"aTypedSecret\n").expect("typed");
    assert!(child.wait().expect("an end").success());
    // What is typed later is shown again, and nothing before it was.
    master.write_all(b"shown\n").expect("typed");
    let mut shown = String::new();
    let mut byte = [0];
    while !shown.ends_with("shown") {
        master.read_exact(&mut byte).expect("an echo");
        shown.push(char::from(byte[0]));
    }
    assert_eq!(shown, "shown");
    drop(terminal);
    assert_eq!(vendor.ok(["key", "show", "typed", "--secret"]).out, "aTypedSecret\n");
}

#[test]
fn sign_makes_a_url_that_is_answered_and_explain_tells_why() {
    let vendor = Vendor::new();
    vendor.ok(["record", "p", "1", "--at", "2026-10-10"]);
    let server = vendor.serve();
    let (from, to) = day("2026-10-10");
    let url = format!("{}/usage?fromTs={from}&toTs={to}&pageNum=1", server.origin());
    for arguments in [vec!["sign", &url], vec!["sign", "--live", &url]] {
        let signed = vendor.ok(arguments).out;
        let target = signed.trim().strip_prefix(&server.origin()).expect("the same origin");
        assert_eq!(server.get(target).entries().len(), 1);
        assert!(
            vendor.ok(["sign", "--explain", signed.trim()]).out.contains("the signature is right")
        );
        vendor.fails(2, ["sign", signed.trim()]);
        let changed = signed.trim().replace("pageNum=1", "pageNum=2");
        let explained = vendor.run(["sign", "--explain", &changed]);
        assert_eq!(explained.code, 1);
        assert!(
            explained.out.contains("SourceString  GET&%2Fusage&apiKey%3D"),
            "{}",
            explained.out
        );
    }
    let explained = vendor.run(["sign", "--explain", "--json", &url]);
    let explained: serde_json::Value = serde_json::from_str(&explained.out).expect("JSON");
    assert_eq!(
        (&explained["valid"], &explained["reason"]),
        (&json!(false), &json!("the request has no apiKey"))
    );
    for bad in [
        &["sign", "http://h/usage?a=b c"][..],
        &["sign", "--method", "GETS", &url],
        &["sign", "--method", "PUT", &url],
    ] {
        vendor.fails(2, bad);
    }
    vendor.fails(2, ["sign", "nonsense"]);
    vendor.fails(2, ["sign", "http://h/usage?a=%zz"]);
}

#[test]
fn sign_adds_to_a_body_what_agora_adds() {
    let vendor = Vendor::new();
    std::fs::write(vendor.path("body"), "{ \"projectId\": 430892 }\n").expect("a file");
    let sign = [
        "sign",
        "--live",
        "--method",
        "POST",
        "--data",
        "body",
        "http://h/customers/123456/projects/new",
    ];
    let body: serde_json::Value = serde_json::from_str(&vendor.ok(sign).out).expect("JSON");
    assert_eq!(
        body,
        json!({"projectId": 430892, "apiKey": API_KEY, "signature": "QRJDBm3gGmlFb5ZF9XBqm7u4EkI="})
    );
    let put = vendor
        .ok(["sign", "--live", "--method", "PUT", "http://h/customers/123456/deactivate"])
        .out;
    std::fs::write(vendor.path("signed"), &put).expect("a file");
    vendor.ok([
        "sign",
        "--explain",
        "--method",
        "PUT",
        "--data",
        "signed",
        "http://h/customers/123456/deactivate",
    ]);
    vendor.run(["sign", "--explain", "--method", "PUT", "--data", "signed", "http://h/other"]);
    std::fs::write(vendor.path("body"), "{\"a\":{}}").expect("a file");
    vendor.fails(2, sign);
    vendor.fails(2, ["sign", "--data", "body", "http://h/usage"]);
}

#[test]
fn no_secret_and_no_signature_is_ever_logged() {
    let vendor = Vendor::new();
    let server = vendor.serve_with(["--init"]);
    let (from, to) = day("2026-10-10");
    let answers = [
        server.usage(from, to),
        server.get("/usage?signature=abcdefgh&apiKey=x"),
        server.get(&signed(API_KEY, "wrong", "/usage", &[])),
        server.get(&signed(API_KEY, API_SECRET, "/usage", &[])),
    ];
    assert_eq!(answers.map(|answer| answer.status), [200, 401, 401, 400]);
    let log = server.log();
    assert!(log.contains("DEBUG GET /usage 200"), "{log}");
    assert!(
        log.contains("the signature is not one by") && log.contains(r#"the apiKey "x" is unknown"#),
        "{log}"
    );
    for secret in [API_SECRET, "signature=", "abcdefgh", "fromTs="] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

#[test]
fn a_signed_request_goes_to_curl_through_a_pipe_and_stands_in_no_command_line() {
    let vendor = Vendor::new();
    let server = vendor.serve();
    let Ok(_) = Command::new("curl").arg("--version").output() else {
        skipped("there is no curl");
        return;
    };
    let ask = |arguments: &[&str]| {
        let mut sign = vendor.command([&["sign", "--live", "--curl"][..], arguments].concat());
        let mut sign = sign.stdout(Stdio::piped()).spawn().expect("it runs");
        let curl = Command::new("curl")
            .args(["-s", "-K", "-"])
            .stdin(sign.stdout.take().expect("piped"))
            .output();
        assert!(sign.wait().expect("an end").success());
        String::from_utf8(curl.expect("it runs").stdout).expect("UTF-8")
    };
    let origin = server.origin();
    let usage = format!("{origin}/usage?fromTs=1619913600&toTs=1619917199&pageNum=1&x[]={{a,b}}");
    let answer = ask(&[&usage]);
    assert!(answer.contains("Success getting usage data"), "{answer}");
    // What curl would take for something else arrives as it is.
    let name = r#"a \\ \" [1-9] {b,c} \n é"#;
    let ids = "\"customerId\":\"c\",\n\t\"planId\":\"p\"";
    let body = format!("{{{ids},\"customerName\":\"{name}\"}}\n");
    std::fs::write(vendor.path("body.json"), body).expect("a file");
    let url = format!("{origin}/customers/new");
    let answer = ask(&["--method", "POST", "--data", "body.json", &url]);
    assert!(answer.contains(r#""status":"success""#), "{answer}");
    let customer = vendor.json(["customer", "show", "c"]);
    assert_eq!(customer["name"], "a \\ \" [1-9] {b,c}   é");
    // A signed URL is explained from a pipe, too.
    let signed = vendor.ok(["sign", &usage]).out;
    std::fs::write(vendor.path("signed"), signed).expect("a file");
    let mut explain = vendor.command(["sign", "--explain", "-"]);
    let file = File::open(vendor.path("signed")).expect("a file");
    let explained: Ended = explain.stdin(file).output().expect("it runs").into();
    assert_eq!(explained.code, 0, "{}", explained.err);
    assert!(explained.out.contains("the signature is right"), "{}", explained.out);
    vendor.fails(2, ["sign", "--curl", "--json", &usage]);
    vendor.fails(2, ["sign", "--curl", "--explain", &usage]);
    vendor.fails(2, ["sign", "--method", "POST", "--data", "-", "-"]);
}
