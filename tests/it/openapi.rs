//! docs/openapi.yaml and the server name the same paths, methods and statuses. That the answers are
//! as the document says is for `.ci/openapi`, which needs Python.

use crate::vendor::{Server, Vendor};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Of each path and method the statuses.
type Calls = BTreeMap<(String, String), BTreeSet<u16>>;

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// The calls of the document, by how far its lines are set in.
fn documented() -> Calls {
    let text = read("docs/openapi.yaml");
    let (_, paths) = text.split_once("\npaths:\n").expect("paths");
    let (mut path, mut method) = (String::new(), String::new());
    let mut calls = Calls::new();
    for line in paths.lines().take_while(|line| line.starts_with(' ')) {
        let word = line.trim_start();
        let key = word.split(": ").next().expect("a first part").trim_end_matches(':');
        match line.len() - word.len() {
            2 => key.clone_into(&mut path),
            4 if key != "parameters" => {
                method = key.to_uppercase();
                calls.insert((path.clone(), method.clone()), BTreeSet::new());
            }
            8 if key.starts_with('"') => {
                let status = key.trim_matches('"').parse().expect("a status");
                let call = calls.get_mut(&(path.clone(), method.clone())).expect("its method");
                assert!(call.insert(status), "{line} stands twice");
            }
            _ => {}
        }
    }
    assert!(!calls.is_empty());
    calls
}

fn paths(calls: &Calls) -> BTreeSet<&str> {
    calls.keys().map(|(path, _)| path.as_str()).collect()
}

/// What a server says to a request without a body.
fn told(server: &Server, method: &str, path: &str) -> (u16, Option<String>) {
    let path = path.replace("{customerId}", "c").replace("{projectId}", "p");
    let request = format!("{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    let said = server.say(request.as_bytes());
    let status = said.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let allow = said.lines().find_map(|line| line.strip_prefix("allow: ")).map(str::to_owned);
    (status, allow)
}

#[test]
fn the_document_has_the_paths_of_the_server_and_no_other() {
    let route = read("src/http/route.rs");
    let (_, table) = route.split_once("const PATHS: ").expect("the table");
    let (table, _) = table.split_once("];").expect("its end");
    let served: BTreeSet<&str> = table.split('"').filter(|text| text.starts_with('/')).collect();
    let calls = documented();
    assert_eq!(paths(&calls), served);
}

#[test]
fn each_path_has_the_methods_of_the_document_and_no_other() {
    let (vendor, calls) = (Vendor::new(), documented());
    let server = vendor.serve();
    for path in paths(&calls) {
        let of_path = calls.keys().filter(|(other, _)| other == path);
        let methods: Vec<&str> = of_path.map(|(_, method)| method.as_str()).collect();
        assert_eq!(told(&server, "DELETE", path), (405, Some(methods.join(", "))), "{path}");
        for method in methods {
            let (status, allow) = told(&server, method, path);
            assert!(allow.is_none() && ![404, 405].contains(&status), "{method} {path}: {status}");
        }
    }
}

#[test]
fn each_call_has_the_statuses_that_it_may_have() {
    let reply = read("src/agora/reply.rs");
    let (_, known) = reply.split_once("pub fn status(&self) -> u16 {").expect("the statuses");
    let (known, _) = known.split_once("\n    }\n").expect("their end");
    let known = known.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok());
    let known: BTreeSet<u16> = known.chain([200]).collect();
    for ((path, method), statuses) in documented() {
        let mut wanted = known.clone();
        // A path without an id is the call's or another's.
        if !path.contains('{') {
            wanted.remove(&404);
        }
        if path == "/healthz" {
            wanted.remove(&401);
        }
        if !path.contains("/projects/") {
            wanted.remove(&409);
        }
        assert_eq!(statuses, wanted, "{method} {path}");
    }
}
