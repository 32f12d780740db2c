//! `probe`: our own server passes, and each of many broken ones is named by what is broken in it.

use crate::stand_in::{Asked, Lax, StandIn, Told, Twist, Vault};
use crate::terminal::on_terminal;
use crate::vendor::{API_KEY, API_SECRET, Ended, Vendor, days_from_now};
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What is about time shows nothing on a machine that is busy with other tests.
const OF_TIME: [&str; 3] = ["in time", "at work", "load"];

/// The checks that warn or fail, by result and name.
fn named(probed: &Value) -> BTreeSet<(String, String)> {
    let text = |check: &Value, key: &str| check[key].as_str().expect("a text").to_owned();
    let checks = probed["checks"].as_array().expect("checks");
    let pairs = checks.iter().map(|check| (text(check, "result"), text(check, "name")));
    pairs.filter(|(result, _)| result == "warn" || result == "fail").collect()
}

fn got<'a>(probed: &'a Value, name: &str) -> &'a str {
    let checks = probed["checks"].as_array().expect("checks");
    let check = checks.iter().find(|check| check["name"] == name);
    check.unwrap_or_else(|| panic!("no check {name}"))["got"].as_str().expect("a text")
}

/// Somebody with a key pair and no books.
fn prober() -> Vendor {
    let vendor = Vendor::without_books();
    std::fs::write(vendor.path("secret"), format!("{API_SECRET}\n")).expect("a file");
    vendor
}

fn probe(prober: &Vendor, url: &str, more: &[&str]) -> (Ended, Value) {
    let start = ["probe", url, "--api-key", API_KEY, "--api-secret-file", "secret", "--json"];
    let ended = prober.run(start.iter().chain(more));
    let probed = serde_json::from_str(&ended.out)
        .unwrap_or_else(|error| panic!("{error}: {}{}", ended.out, ended.err));
    assert!(!ended.out.contains(API_SECRET) && !ended.err.contains(API_SECRET), "the secret");
    assert!(!prober.db().exists(), "a probe needs no books");
    (ended, probed)
}

const CHINESE: [&str; 2] = ["--dialect", "cn"];
const PROVISION: [&str; 5] = ["--provision", "fresh", "430892", "--customer", "licensed"];

/// What a probe of a server with this twist names, but for times.
fn named_of(twist: Twist) -> BTreeSet<(String, String)> {
    let (ended, probed) = probe(&prober(), &StandIn::start(twist).url(), &PROVISION);
    let mut named = named(&probed);
    named.retain(|(_, name)| !OF_TIME.contains(&name.as_str()));
    if named.iter().any(|(result, _)| result == "fail") {
        assert_eq!(ended.code, 1);
    }
    named
}

fn set(all: &[(&str, &str)]) -> BTreeSet<(String, String)> {
    all.iter().map(|(result, name)| ((*result).to_owned(), (*name).to_owned())).collect()
}

/// Asserts that exactly these checks name the twist.
fn names(all: &[(&str, &str)], twist: impl Fn(&Asked, &Vault) -> Told + Send + Sync + 'static) {
    assert_eq!(named_of(Box::new(move |asked, vault| Some(twist(asked, vault)))), set(all));
}

/// The same of a twist in the answers to one path.
fn names_at(
    path: &'static str,
    all: &[(&str, &str)],
    twist: impl Fn(Told) -> Told + Send + Sync + 'static,
) {
    names(all, move |asked, vault| {
        let right = asked.right(vault);
        if asked.path.ends_with(path) { twist(right) } else { right }
    });
}

#[test]
fn the_right_stand_in_passes_every_check() {
    names(&[], |asked, vault| asked.right(vault));
}

#[test]
fn a_wrong_type_of_content_is_named() {
    names_at("/usage", &[("fail", "usage content type")], |told| Told {
        content_type: "text/html; charset=utf-8",
        ..told
    });
    names_at("/projects/new", &[("fail", "create project answer")], |told| Told {
        content_type: "text/plain",
        ..told
    });
}

#[test]
fn amounts_that_are_no_exact_numbers_are_named() {
    let fails = [("fail", "usage amount")];
    names_at("/usage", &fails, |told| told.with(r#":0.3,"#, ":0.30000000000000004,"));
    names_at("/usage", &fails, |told| told.with(r#":0.3,"#, r#":"0.3","#));
    names_at("/usage", &fails, |told| told.with(r#":1.5,"#, ":15E-1,"));
    names_at("/bill", &[("fail", "bill amount")], |told| told.with(":7.25,", ":null,"));
    names_at("/bill", &[("warn", "bill amount")], |told| {
        told.with(":7.25,", ":7.2512345678901234567890,")
    });
}

#[test]
fn entries_of_nothing_and_of_nobody_are_named() {
    names_at("/usage", &[("fail", "usage zero entries")], |told| told.with(":0.3,", ":0.00,"));
    names_at("/bill", &[("fail", "bill project ids")], |told| told.with(r#""103""#, r#""""#));
    names_at("/usage", &[("warn", "usage project ids")], |told| told.with(r#""104""#, "104"));
}

#[test]
fn a_page_num_that_is_not_the_requests_is_named() {
    names_at("/usage", &[("fail", "usage pageNum")], |mut told| {
        for page_num in 2..9 {
            told = told.with(&format!(r#""pageNum":{page_num}"#), r#""pageNum":1"#);
        }
        told
    });
}

#[test]
fn a_field_that_is_not_there_is_named() {
    names_at("/bill", &[("fail", "bill fields")], |told| told.with(r#""totalSize":5,"#, ""));
    names_at("/usage", &[("fail", "usage answer")], |told| {
        told.with(r#""status":0"#, r#""status":"0""#)
    });
}

#[test]
fn pages_without_an_end_are_named() {
    names_at("/usage", &[("fail", "usage pages end")], |told| {
        told.with(r#""hasNext":false"#, r#""hasNext":true"#)
    });
    names(&[("fail", "bill pages end")], |asked, vault| {
        let right = asked.right(vault);
        if !asked.is("/bill") || right.status != 200 {
            return right;
        }
        let page_num = asked.field("pageNum");
        let entry = |name: &str| {
            let id = format!("{page_num:0>9}{name}{}", "x".repeat(1000));
            format!(r#"{{"projectId":"{id}","amount":1,"description":""}}"#)
        };
        let (head, entries) = (r#""status":0,"statusReason":"""#, [entry("a"), entry("b")]);
        let fields = format!(r#""totalSize":5,"pageNum":{page_num},"hasNext":true"#);
        let data = format!(r#"{{{fields},"data":[{}]}}"#, entries.join(","));
        Told::json(200, format!(r#"{{{head},"data":{data}}}"#))
    });
}

/// The answer to another page.
fn turned(asked: &Asked, vault: &Vault, turn: impl Fn(usize) -> Option<usize>) -> Told {
    let right = asked.right(vault);
    let is_page = asked.is("/usage") && right.status == 200 && asked.field("limit") == "2";
    let mut told = right;
    if is_page {
        for (place, (id, amount)) in crate::stand_in::ENTRIES.iter().enumerate() {
            if let Some(other) = turn(place) {
                let (other_id, other_amount) = crate::stand_in::ENTRIES[other];
                let entry = |id, amount| format!(r#""projectId":"{id}","amount":{amount},"#);
                told = told.with(&entry(*id, *amount), &entry(other_id, other_amount));
            }
        }
    }
    told
}

#[test]
fn pages_that_shift_are_named_by_the_project_that_comes_twice() {
    names(&[("fail", "usage projects once")], |asked, vault| {
        // As if a record had put a new project before all others after page 1.
        let is_later = asked.field("pageNum") != "1";
        turned(asked, vault, |place| is_later.then(|| place.saturating_sub(1)))
    });
}

#[test]
fn pages_that_lose_an_entry_are_named() {
    names(&[("fail", "usage pages complete")], |asked, vault| {
        let right = asked.right(vault);
        let is_small = asked.is("/usage") && asked.field("limit") == "2";
        let last = r#"{"projectId":"104","amount":7.25,"description":"words"}"#;
        if is_small { right.with(last, "") } else { right }
    });
}

#[test]
fn a_page_that_changes_when_it_is_asked_for_again_is_named() {
    names(&[("warn", "usage same page again")], |asked, vault| {
        let right = asked.right(vault);
        let is_second = asked.is("/usage") && right.status == 200 && asked.field("pageNum") == "2";
        if is_second && vault.seen(&asked.target) == 1 {
            return right.with(r#""amount":2,"#, r#""amount":3,"#);
        }
        right
    });
}

#[test]
fn our_own_reading_is_never_more_than_a_warning() {
    names(&[("warn", "usage past the end")], |asked, vault| {
        let right = asked.right(vault);
        let is_past = asked.is("/usage") && right.body.contains(r#""data":[]"#);
        if is_past { Told::json(404, r#"{"status":404,"statusReason":"no"}"#) } else { right }
    });
    names_at("/usage", &[("warn", "usage order")], |told| {
        told.with(r#""103","amount":2,"#, r#""-","amount":0.3,"#)
            .with(r#""102","amount":12345678901234567890.123456789,"#, r#""103","amount":2,"#)
            .with(r#""-","amount":0.3,"#, r#""102","amount":12345678901234567890.123456789,"#)
    });
    names(&[("warn", "other methods")], |asked, vault| {
        let is_posted = asked.is("/usage") && asked.method == "POST";
        if !is_posted {
            return asked.right(vault);
        }
        let as_get = Asked { method: "GET".to_owned(), ..asked.clone() };
        as_get.answer(vault, Lax { any_signature: true, ..Lax::default() })
    });
    names(&[("warn", "usage encoding as RFC 3986's")], |asked, vault| {
        asked.answer(vault, Lax { one_encoding: true, ..Lax::default() })
    });
    names(&[("warn", "usage envelope")], |asked, vault| {
        let right = asked.right(vault);
        let is_second = asked.is("/usage") && asked.field("pageNum") == "2";
        if is_second && right.status == 200 {
            right.with(r#""data":{"#, "").with("]}}", "]}")
        } else {
            right
        }
    });
}

#[test]
fn a_server_that_needs_a_limit_is_named() {
    names(&[("fail", "usage without limit")], |asked, vault| {
        let right = asked.right(vault);
        let has_none = asked.field("limit").is_empty() && asked.field("probe").is_empty();
        if asked.is("/usage") && has_none && right.status == 200 {
            Told::json(400, r#"{"status":400,"statusReason":"limit is missing"}"#)
        } else {
            right
        }
    });
}

#[test]
fn answers_to_missing_and_broken_parameters_are_named() {
    let with = |asked: &Asked, name: &str, value: &str| {
        let mut asked = asked.clone();
        for fields in &mut asked.readings {
            fields.retain(|(other, _)| other != name);
            fields.push((name.to_owned(), value.to_owned()));
        }
        asked
    };
    names(&[("fail", "usage missing parameters")], move |asked, vault| {
        let right = asked.right(vault);
        let is_missing = asked.is("/usage") && asked.field("pageNum").is_empty();
        if is_missing && right.status == 400 && !asked.readings.is_empty() {
            with(asked, "pageNum", "1").answer(vault, Lax { any_signature: true, ..Lax::default() })
        } else {
            right
        }
    });
    names(&[("fail", "bill broken parameters")], move |asked, vault| {
        let right = asked.right(vault);
        if asked.is("/bill") && asked.field("pageNum") == "0" && right.status == 400 {
            with(asked, "pageNum", "1").answer(vault, Lax { any_signature: true, ..Lax::default() })
        } else {
            right
        }
    });
}

#[test]
fn a_refusal_whose_status_says_success_is_named() {
    let refusals = [
        ("fail", "usage missing parameters"),
        ("fail", "usage broken parameters"),
        ("warn", "usage unusual parameters"),
        ("warn", "usage repeated parameter"),
    ];
    names_at("/usage", &refusals, |told| told.with(r#""status":400"#, r#""status":0"#));
}

#[test]
fn whoever_answers_what_nobody_signed_is_named() {
    let lax = |path: &'static str, lax: Lax| {
        move |asked: &Asked, vault: &Vault| {
            if asked.path.ends_with(path) { asked.answer(vault, lax) } else { asked.right(vault) }
        }
    };
    let unsigned = Lax { unsigned: true, ..Lax::default() };
    names(&[("fail", "usage unsigned")], lax("/usage", unsigned));
    names(&[("fail", "license unsigned")], lax("/license", unsigned));
    names(&[("fail", "create project unsigned")], lax("/projects/new", unsigned));
    let any_key = Lax { any_key: true, ..Lax::default() };
    names(&[("fail", "bill wrong key")], lax("/bill", any_key));
    let any_signature = Lax { any_signature: true, ..Lax::default() };
    names(
        &[("fail", "bill altered"), ("fail", "bill wrong signature")],
        lax("/bill", any_signature),
    );
    names(
        &[
            ("fail", "usage altered"),
            ("fail", "usage wrong signature"),
            ("fail", "usage parameter added"),
        ],
        lax("/usage", any_signature),
    );
    let any_path = Lax { any_path: true, ..Lax::default() };
    names(&[("fail", "bill altered")], lax("/bill", any_path));
}

#[test]
fn whoever_refuses_and_tells_usage_all_the_same_is_named() {
    let all = ["unsigned", "wrong signature", "wrong key", "altered", "parameter added"];
    let all = all.map(|name| format!("usage {name}"));
    let all: Vec<(&str, &str)> = all.iter().map(|name| ("fail", name.as_str())).collect();
    names_at("/usage", &all, |told| match told.status {
        401 => told.with("\"no\"}", r#""no","data":[{"projectId":"100","amount":1.5}]}"#),
        _ => told,
    });
}

#[test]
fn a_license_whose_values_are_no_strings_is_named() {
    for (before, after) in [(r#""100""#, "100"), (r#""2030-10-01""#, "1917043200")] {
        names_at("/license", &[("fail", "license strings")], move |told| told.with(before, after));
    }
}

#[test]
fn keys_that_are_too_short_or_change_are_named() {
    names_at("/projects/new", &[("fail", "create project keys")], |told| {
        told.with(&"k".repeat(32), &"k".repeat(31))
    });
    names(&[("fail", "create project again")], |asked, vault| {
        let right = asked.right(vault);
        let is_created = asked.path.ends_with("/projects/new") && right.status == 200;
        if is_created && vault.seen("project") > 0 {
            Told::json(409, r#"{"status":"failed","statusReason":"it exists"}"#)
        } else {
            right
        }
    });
    names(&[("fail", "create project again")], |asked, vault| {
        let right = asked.right(vault);
        let count = vault.seen("all");
        right.with(&"k".repeat(32), &format!("{count:k>32}"))
    });
}

#[test]
fn a_project_that_two_calls_at_once_make_twice_is_named() {
    let meeting = (Mutex::new(0_usize), Condvar::new());
    names(&[("fail", "create project two at once")], move |asked, vault| {
        let right = asked.right(vault);
        if !asked.path.ends_with("/projects/new") || right.status != 200 {
            return right;
        }
        // The first call waits for the second, so that both find nothing in the books.
        let (count, other) = &meeting;
        let mut count = count.lock().expect("a count");
        *count += 1;
        let place = *count;
        other.notify_all();
        if place == 1 {
            let wait = Duration::from_millis(300);
            let _both = other.wait_timeout_while(count, wait, |count| *count < 2);
        }
        if place == 1 { right.with(&"k".repeat(32), &"x".repeat(32)) } else { right }
    });
}

#[test]
fn a_redirect_is_told_and_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").expect("a port");
    elsewhere.set_nonblocking(true).expect("a mode");
    let place = format!("http://{}", elsewhere.local_addr().expect("an address"));
    let redirect = place.clone();
    let twist = move |asked: &Asked, vault: &Vault| {
        if asked.is("/usage") {
            Some(Told {
                headers: format!("Location: {redirect}{}\r\n", asked.target),
                ..Told::json(302, "")
            })
        } else {
            Some(asked.right(vault))
        }
    };
    let stand_in = StandIn::start(Box::new(twist));
    let (ended, probed) = probe(&prober(), &stand_in.url(), &[]);
    assert_eq!(ended.code, 1);
    let failed: BTreeSet<_> = named(&probed).into_iter().filter(|(r, _)| r == "fail").collect();
    assert_eq!(failed, set(&[("fail", "usage answer")]));
    assert!(got(&probed, "usage answer").contains(&format!("HTTP 302 to {place}")));
    assert!(elsewhere.accept().is_err(), "it was followed");
    // Nor is a signed request shown, which would work for whoever reads it.
    assert!(ended.out.contains("signature=…") && !ended.out.contains("signature=%"));
}

#[test]
fn a_secret_that_the_server_sends_back_is_not_shown() {
    let twist = |_: &Asked, _: &Vault| Some(Told::json(500, format!("secret {API_SECRET}")));
    let stand_in = StandIn::start(Box::new(twist));
    let (_, probed) = probe(&prober(), &stand_in.url(), &[]);
    assert_eq!(got(&probed, "usage answer"), "HTTP 500: secret …");
    // Nor are the keys of a project.
    let twist = |asked: &Asked, vault: &Vault| {
        let right = asked.right(vault);
        Some(right.with(r#""success""#, r#""done""#))
    };
    let stand_in = StandIn::start(Box::new(twist));
    let (ended, probed) = probe(&prober(), &stand_in.url(), &PROVISION);
    assert!(named(&probed).contains(&("fail".to_owned(), "create project answer".to_owned())));
    assert!(!ended.out.contains(&"s".repeat(44)), "{}", ended.out);
}

#[test]
fn what_is_too_long_or_breaks_off_is_bounded_and_named() {
    let long = format!("101{}", "0".repeat(1 << 20));
    names_at("/usage", &[("fail", "usage projects once")], move |told| {
        told.with(r#""101""#, &format!(r#""{long}""#)).with(r#""102""#, &format!(r#""{long}""#))
    });
    names_at("/bill", &[("fail", "bill answer")], |told| {
        let is_page = told.status == 200;
        if is_page { Told { body: " ".repeat(5 << 20), ..told } } else { told }
    });
    let hang_up = |asked: &Asked, vault: &Vault| {
        let right = asked.right(vault);
        (!asked.is("/bill") || right.status != 200).then_some(right)
    };
    assert_eq!(named_of(Box::new(hang_up)), set(&[("fail", "bill answer")]));
}

#[test]
fn a_server_that_is_always_late_is_named_within_a_minute() {
    for (first, delay) in [(true, Duration::from_millis(700)), (false, Duration::from_secs(90))] {
        let twist = move |asked: &Asked, vault: &Vault| {
            sleep(delay);
            Some(asked.right(vault))
        };
        let stand_in = StandIn::start(Box::new(twist));
        let began = Instant::now();
        let more: &[&str] = if first { &PROVISION } else { &["--load", "5"] };
        let (ended, probed) = probe(&prober(), &stand_in.url(), more);
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
        assert_eq!((ended.code, named(&probed)), (1, set(&[("fail", "in time")])));
        assert!(got(&probed, "usage answer").contains("no page could be read"));
        assert_eq!(got(&probed, "bill unsigned"), "not asked: 3 requests in a row had no answer");
    }
}

#[test]
fn a_first_answer_that_is_late_is_named_and_the_next_is_looked_at() {
    let twist = |asked: &Asked, vault: &Vault| {
        if asked.is("/customers/licensed/license") && vault.seen("license") == 0 {
            sleep(Duration::from_millis(700));
        }
        Some(asked.right(vault))
    };
    let (ended, probed) = probe(&prober(), &StandIn::start(Box::new(twist)).url(), &PROVISION);
    assert_eq!(ended.code, 1);
    assert!(named(&probed).contains(&("fail".to_owned(), "in time".to_owned())));
    assert!(got(&probed, "license strings").contains("residueCount \"100\""));
}

#[test]
fn a_server_that_nobody_reaches_is_named() {
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", gone.local_addr().expect("an address"));
    drop(gone);
    let (ended, probed) = probe(&prober(), &url, &[]);
    assert_eq!((ended.code, named(&probed)), (1, set(&[("fail", "reached")])));
}

/// Books with usage of two days and two months, and a customer with a license.
fn books() -> Vendor {
    let vendor = Vendor::new();
    vendor
        .ok(["plan", "set", "default", "--name", "Standard", "--unit", "Call", "--price", "0.01"]);
    vendor.ok(["customer", "add", "licensed"]);
    vendor.ok(["license", "issue", "licensed", "--expires", "2099-12-31", "--count", "100"]);
    for days in [0, -1, -31] {
        for project in ["a", "b", "c", "d", "e"] {
            let at = days_from_now(days);
            vendor.ok(["record", project, "0.1", "--at", &at]);
            vendor.ok(["record", project, "0.2", "--at", &at]);
        }
    }
    vendor
}

/// A folder with the test pair of these books, and its apiKey.
fn tester(vendor: &Vendor) -> (Vendor, String) {
    let keys = vendor.json(["key", "list"]);
    let test = keys.as_array().expect("keys").iter().find(|key| key["purpose"] == "test");
    let key = test.expect("a test pair")["apiKey"].as_str().expect("a key").to_owned();
    let secret = vendor.ok(["key", "show", &key, "--secret"]).out;
    let tester = Vendor::without_books();
    std::fs::write(tester.path("secret"), secret).expect("a file");
    (tester, key)
}

fn probe_with(tester: &(Vendor, String), url: &str, more: &[&str]) -> Value {
    let (folder, key) = tester;
    let start = ["probe", url, "--api-key", key, "--api-secret-file", "secret", "--json"];
    let ended = folder.run(start.iter().chain(more));
    serde_json::from_str(&ended.out).unwrap_or_else(|e| panic!("{e}: {}{}", ended.out, ended.err))
}

/// Asserts that nothing is named, and that all was looked at.
fn assert_all_pass(probed: &Value) {
    let mut named = named(probed);
    named.retain(|(_, name)| !OF_TIME.contains(&name.as_str()));
    assert_eq!(named, set(&[]), "{probed}");
    let checks = probed["checks"].as_array().expect("checks");
    let skipped: Vec<_> = checks.iter().filter(|check| check["result"] == "skip").collect();
    assert!(skipped.is_empty(), "{skipped:?}");
    assert!(checks.len() > 60, "{}", checks.len());
}

#[test]
fn our_server_passes_in_both_envelopes_and_both_dialects() {
    let vendor = books();
    let tester = tester(&vendor);
    for (envelope, dialect, base) in [("nested", "en", ""), ("flat", "cn", "/agora")] {
        let server = vendor.serve_with(["--envelope", envelope, "--base-path", base]);
        let url = format!("{}{base}", server.origin());
        let more: Vec<&str> = PROVISION.into_iter().chain(["--dialect", dialect]).collect();
        let probed = probe_with(&tester, &url, &more);
        assert_all_pass(&probed);
        assert_eq!(got(&probed, "usage envelope"), envelope);
        assert_eq!(got(&probed, "license envelope"), envelope);
    }
    // The test pair leaves nothing.
    assert_eq!(vendor.json(["statement", "list"])["statements"], serde_json::json!([]));
    assert_eq!(vendor.run(["customer", "show", "fresh"]).code, 3);
}

#[test]
fn our_server_passes_with_the_live_pair_which_makes_what_it_asks_for() {
    let vendor = books();
    let server = vendor.serve();
    let live = prober();
    let more: Vec<&str> = PROVISION.into_iter().take(3).chain(CHINESE).collect();
    let (_, probed) = probe(&live, &server.origin(), &more);
    assert_all_pass(&probed);
    assert_eq!(vendor.run(["customer", "show", "fresh"]).code, 0);
}

#[test]
fn usage_that_is_recorded_meanwhile_shifts_no_page_of_ours() {
    let vendor = books();
    let tester = tester(&vendor);
    let server = vendor.serve();
    let done = AtomicBool::new(false);
    let probed = std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                vendor.ok(["record", &format!("aa{number}"), "1", "--new"]);
            }
        });
        let probed = probe_with(&tester, &server.origin(), &[]);
        done.store(true, Ordering::Relaxed);
        probed
    });
    let mut named = named(&probed);
    named.retain(|(_, name)| !OF_TIME.contains(&name.as_str()));
    assert_eq!(named, set(&[]), "{probed}");
}

#[test]
fn a_vendor_without_licenses_passes_where_no_customer_is_named() {
    let twist = |asked: &Asked, vault: &Vault| {
        let not_found = Told { content_type: "text/html", ..Told::json(404, "<h1>Not found</h1>") };
        Some(if asked.path.ends_with("/license") { not_found } else { asked.right(vault) })
    };
    let url = StandIn::start(Box::new(twist)).url();
    let without_times = |more: &[&str]| {
        let mut named = named(&probe(&prober(), &url, more).1);
        named.retain(|(_, name)| !OF_TIME.contains(&name.as_str()));
        named
    };
    assert_eq!(without_times(&[]), set(&[]));
    assert_eq!(without_times(&PROVISION[..3]), set(&[]));
    assert_eq!(without_times(&["--customer", "licensed"]), set(&[("warn", "license answer")]));
}

#[test]
fn the_chinese_dialect_has_no_account_and_encodes_signatures_of_put() {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&calls);
    let twist = move |asked: &Asked, vault: &Vault| {
        let right = asked.right(vault);
        if asked.method != "GET" && right.status == 200 {
            let is_encoded = asked.body.contains("%3D\"");
            let call = format!("{} {} {is_encoded}", asked.method, asked.path);
            heard.lock().expect("calls").push(call);
        }
        Some(right)
    };
    let stand_in = StandIn::start(Box::new(twist));
    let (_, probed) = probe(&prober(), &stand_in.url(), &[&PROVISION[..], &CHINESE].concat());
    let mut calls = std::mem::take(&mut *calls.lock().expect("calls"));
    calls.dedup();
    assert_eq!(
        calls,
        [
            "PUT /license/customers/fresh/activate true",
            "POST /license/customers/fresh/activate false",
            "POST /customers/fresh/projects/new false",
            "PUT /customers/fresh/projects/430892/deactivate true",
            "PUT //customers/fresh/projects/430892/deactivate false",
            "PUT /customers/fresh/deactivate true",
        ],
        "{probed}"
    );
}

#[test]
fn our_server_passes_over_https_and_a_stranger_is_not_trusted() {
    let vendor = books();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a pair");
    std::fs::write(vendor.path("cert.pem"), made.cert.pem()).expect("a file");
    std::fs::write(vendor.path("key.pem"), made.signing_key.serialize_pem()).expect("a file");
    let server = vendor.serve_with(["--tls-cert", "cert.pem", "--tls-key", "key.pem"]);
    let url = server.origin().replace("http://", "https://");
    let tester = tester(&vendor);
    let ca = vendor.path("cert.pem").display().to_string();
    let more: Vec<&str> = PROVISION.into_iter().chain(["--ca", &ca]).collect();
    assert_all_pass(&probe_with(&tester, &url, &more));

    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a pair");
    std::fs::write(tester.0.path("other.pem"), other.cert.pem()).expect("a file");
    let probed = probe_with(&tester, &url, &["--ca", "other.pem"]);
    assert_eq!(named(&probed), set(&[("fail", "reached")]));
    assert!(got(&probed, "reached").starts_with("TLS: "), "{probed}");
}

#[test]
fn load_is_told_in_milliseconds_and_all_of_it_in_markdown() {
    let vendor = books();
    let server = vendor.serve();
    let tester = tester(&vendor);
    let before = format!("# Probe of {}", "x".repeat(100_000));
    std::fs::write(tester.0.path("review.md"), before).expect("a file");
    let more = ["--load", "1", "--markdown", "review.md"];
    let probed = probe_with(&tester, &server.origin(), &more);
    let at = |name: &str| probed["latencyMs"][name].as_f64().expect("a number");
    let figures = ["p50", "p95", "p99", "max"].map(at);
    assert!(figures.is_sorted() && figures[0] > 0.0, "{figures:?}");
    assert!(got(&probed, "load").contains("100 requests"), "{probed}");
    let page = std::fs::read_to_string(tester.0.path("review.md")).expect("a page");
    let rows = page.lines().filter(|line| line.starts_with("| pass | ")).count();
    assert!(rows > 50 && page.contains("| allowed ms |"), "{page}");
    assert!(page.ends_with(" |\n"), "{page}");
    let without = probe_with(&tester, &server.origin(), &[]);
    assert_eq!(without["latencyMs"], Value::Null);
}

#[test]
fn a_success_of_http_alone_is_none_under_load() {
    let stand_in = StandIn::start(Box::new(|asked, vault| {
        let right = asked.right(vault);
        // The license is what is asked for last before the load.
        let is_load = asked.path == "/usage" && !vault.count.lock().expect("a count").is_empty();
        if asked.path.ends_with("/license") {
            vault.seen("license");
        }
        let busy = r#"{"status":500,"statusReason":"busy"}"#;
        Some(if is_load { Told::json(200, busy) } else { right })
    }));
    let (ended, probed) = probe(&prober(), &stand_in.url(), &["--load", "1"]);
    assert_eq!(ended.code, 1, "{probed}");
    assert!(got(&probed, "load").starts_with("100 not answered (HTTP 200 without"), "{probed}");
}

#[test]
fn a_page_takes_the_place_of_a_page_alone() {
    let stand_in = StandIn::start(Box::new(|_, _| panic!("nothing is asked")));
    let prober = prober();
    let url = stand_in.url();
    for (name, content) in [("secret", format!("{API_SECRET}\n")), ("books.db", "SQLite".into())] {
        std::fs::write(prober.path(name), &content).expect("a file");
        let words = ["probe", &url, "--api-key", API_KEY, "--api-secret-file", "secret"];
        let said = prober.fails(1, words.iter().chain(&["--markdown", name]));
        assert!(said.contains(&format!("{name} is there and is no page of probe")), "{said}");
        assert_eq!(std::fs::read_to_string(prober.path(name)).expect("a file"), content);
    }
}

#[test]
fn a_terminal_of_80_columns_shows_what_is_wrong_in_full() {
    let twist = |asked: &Asked, vault: &Vault| {
        Some(asked.answer(vault, Lax { one_encoding: true, ..Lax::default() }))
    };
    let stand_in = StandIn::start(Box::new(twist));
    let url = stand_in.url();
    let words = ["probe", &url, "--api-key", API_KEY, "--api-secret-file", "secret"];
    let shown = on_terminal(&prober(), &words, (80, 500), &[("NO_COLOR", "1")]);
    for line in shown.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let joined = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(joined.contains("warn: usage encoding as RFC 3986's sent GET /usage?"), "{shown}");
    assert!(joined.contains("(our reading, Agora's pages are silent)"), "{shown}");
    assert!(shown.lines().last().is_some_and(|line| line.starts_with("verdict: ")), "{shown}");
}

#[test]
fn wrong_words_are_refused_before_anything_is_asked() {
    let prober = prober();
    let words = |url: &str, more: &[&str]| {
        let start = ["probe", url, "--api-key", API_KEY, "--api-secret-file", "secret"];
        prober.fails(2, start.iter().chain(more))
    };
    assert!(words("localhost:8080", &[]).contains("it must begin with http:// or https://"));
    assert!(words("http://h/usage?a=1", &[]).contains("leave out ? and #"));
    assert!(words("https://h/agora/usage", &[]).contains("leave out the call"));
    assert!(words("http://h", &["--ca", "secret"]).contains("--ca is about HTTPS"));
    assert!(words("http://h", &["--dialect", "cn"]).contains("--provision"));
    assert!(words("http://h", &["--provision", "a b", "c"]).contains("the customer \"a b\""));
    assert!(words("http://h", &["--load", "0"]).contains("0"));
    let ended = prober.run([
        "probe",
        "http://127.0.0.1:1",
        "--api-key",
        API_KEY,
        "--api-secret-file",
        "secret",
        "--markdown",
        "no/such/folder.md",
    ]);
    assert!(ended.code == 1 && ended.err.contains("no/such/folder.md"), "{}", ended.err);
}
