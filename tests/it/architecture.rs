//! The arrows between the folders and between the files, and what stands in which: broken by a
//! change, told by a test.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Which folders a folder may use.
const ARROWS: [(&str, &[&str]); 6] = [
    ("billing", &[]),
    ("agora", &["billing"]),
    ("store", &["billing"]),
    ("http", &["billing", "agora", "store"]),
    ("probe", &["billing", "agora"]),
    ("cli", &["billing", "agora", "store", "http", "probe"]),
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every Rust file below a folder with its code: without comments of its own lines, and without its
/// tests.
fn files(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a text");
            let is_tests =
                |rest: &str| rest.lines().next().is_some_and(|l| l.ends_with("mod tests {"));
            let mut parts = text.split_inclusive("#[cfg(test)]\n");
            let mut code = parts.next().expect("a first part").to_owned();
            code.extend(parts.take_while(|part| !is_tests(part)));
            found.push((path, code));
        }
    }
    assert!(!found.is_empty());
    found
}

/// The folders that a text names behind `crate::`.
fn used(text: &str) -> BTreeSet<String> {
    let folder = |rest: &str| {
        rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().map(str::to_owned)
    };
    text.split("crate::").skip(1).filter_map(folder).collect()
}

#[test]
fn the_arrows_between_folders_point_down() {
    for (folder, allowed) in ARROWS {
        for (path, text) in files(&source().join(folder)) {
            for used in used(&text) {
                assert!(
                    used == folder || allowed.contains(&used.as_str()),
                    "{} uses {used}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn every_folder_has_its_arrows() {
    let folders: BTreeSet<String> = fs::read_dir(source())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned())
        .collect();
    assert_eq!(folders, ARROWS.iter().map(|(folder, _)| (*folder).to_owned()).collect());
}

#[test]
fn what_is_special_stands_in_its_folder_alone() {
    let special: [(&[&str], &str); 7] = [
        (&["hyper::", "hyper_util::", "tokio::", "http_body_util::"], "http probe"),
        (&["httparse::"], "http"),
        (&["rusqlite::", "r2d2::", "r2d2_sqlite::"], "store"),
        (
            &[
                "clap::",
                "comfy_table::",
                "csv::",
                "csv_core::",
                "flate2::",
                "indicatif::",
                "maud::",
            ],
            "cli",
        ),
        (&["clap_complete::", "clap_mangen::"], "cli"),
        (&["zstd::"], "cli store"),
        (&["serde_json::", "serde::"], "agora cli store"),
    ];
    for (path, text) in files(&source()) {
        let folder = path
            .strip_prefix(source())
            .expect("below")
            .iter()
            .next()
            .expect("a part")
            .to_string_lossy();
        for (words, home) in special {
            for word in words {
                let at_home = home.split(' ').any(|home| home == folder);
                assert!(at_home || !text.contains(word), "{} holds {word}", path.display());
            }
        }
    }
}

#[test]
fn billing_has_no_float_no_rounding_and_no_clock() {
    for (path, text) in files(&source().join("billing")) {
        for word in
            ["f64", "f32", ".round(", "with_scale", "with_prec", "::now(", "std::env", "std::fs"]
        {
            assert!(!text.contains(word), "{} holds {word}", path.display());
        }
    }
}

#[test]
fn no_line_is_too_long_to_read_beside_another() {
    for (path, _) in files(&source()) {
        let text = fs::read_to_string(&path).expect("a text");
        let long = text.lines().find(|line| line.chars().count() > 100);
        assert_eq!(long, None, "{}", path.display());
    }
}

#[test]
fn every_file_says_first_what_it_is() {
    for (path, text) in files(&source()) {
        assert!(text.starts_with("//! ") || path.ends_with("lib.rs"), "{}", path.display());
    }
}

/// The paths that a tree of `use` names: `a::{b, c::D}` names `a::b` and `a::c::D`.
fn expanded(tree: &str) -> Vec<String> {
    let Some((head, rest)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().expect("a first part").trim();
        return vec![path.trim_end_matches("::self").to_owned()];
    };
    let (inside, _) = rest.rsplit_once('}').expect("braces are closed");
    let (mut branches, mut depth) = (vec![String::new()], 0);
    for c in inside.chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        match c {
            ',' if depth == 0 => branches.push(String::new()),
            c => branches.last_mut().expect("there is one").push(c),
        }
    }
    branches.retain(|branch| !branch.trim().is_empty());
    let whole = |branch: String| format!("{}{}", head.trim(), branch.trim());
    branches.into_iter().flat_map(|branch| expanded(&whole(branch))).collect()
}

/// What a file names of this crate.
struct Names {
    /// What it imports, or names in the middle of its code.
    imported: Vec<String>,
    /// What it gives its own name to for others: by the name, where it stands.
    given: Vec<(String, String)>,
}

impl Names {
    /// Reads the code of a module; paths of its children are made whole.
    fn read(module: &str, code: &str, children: &[&str]) -> Self {
        let (mut imported, mut given) = (Vec::new(), Vec::new());
        let mut rest = String::new();
        let mut lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        while let Some(line) = lines.next() {
            let (before, tree) = match line.split_once("use ") {
                Some((before, tree))
                    if ["", "pub ", "pub(super) "].contains(&before.trim_start()) =>
                {
                    (before.trim(), tree.to_owned())
                }
                _ => {
                    rest += line;
                    rest.push('\n');
                    continue;
                }
            };
            let mut tree = tree;
            while !tree.contains(';') {
                tree += lines.next().expect("a use ends");
            }
            for path in expanded(tree.trim_end().trim_end_matches(';')) {
                let first = path.split("::").next().expect("a first part");
                let path = match path.strip_prefix("crate::") {
                    Some(path) => path.to_owned(),
                    None if children.contains(&first) => format!("{module}::{path}"),
                    None => continue,
                };
                match (before, path.rsplit_once("::")) {
                    _ if before.is_empty() || children.is_empty() => imported.push(path),
                    (_, None) => imported.push(path),
                    (_, Some((_, name))) => given.push((name.to_owned(), path.clone())),
                }
            }
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let starts = rest.match_indices("crate::").map(|(at, start)| (at, at + start.len(), ""));
        let of_child = children.iter().flat_map(|child| {
            let named = rest.match_indices(child).map(move |(at, _)| (at, at, module));
            named.filter(|(at, ..)| rest[*at + child.len()..].starts_with("::"))
        });
        for (at, start, of) in starts.chain(of_child) {
            let before = &rest[..at];
            if !before.ends_with(is_name) && !before.ends_with("(in ") {
                let path = rest[start..].split(|c: char| !is_name(c)).next().expect("a first part");
                let path = path.trim_end_matches(':');
                imported.push(if of.is_empty() {
                    path.to_owned()
                } else {
                    format!("{of}::{path}")
                });
            }
        }
        Self { imported, given }
    }
}

/// The module of a file: `store::license` for `store/license/mod.rs`.
fn module(path: &Path) -> String {
    let path = path.strip_prefix(source()).expect("below").with_extension("");
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    parts.join("::").trim_end_matches("::mod").to_owned()
}

/// The files that each file needs, by their modules. A name that a folder's `mod.rs` gives for
/// another file's leads to that file, and giving it is no import.
fn imports(files: &[(PathBuf, String)]) -> BTreeMap<String, BTreeSet<String>> {
    let modules: BTreeSet<String> = files.iter().map(|(path, _)| module(path)).collect();
    let names: BTreeMap<String, Names> = files
        .iter()
        .map(|(path, code)| {
            assert!(!code.contains("super::"), "{}: a path starts at crate", path.display());
            let of = module(path);
            let prefix = format!("{of}::");
            let children: Vec<&str> =
                modules.iter().filter_map(|other| other.strip_prefix(&prefix)).collect();
            let names = Names::read(&of, code, &children);
            (of, names)
        })
        .collect();
    let home = |path: &str| {
        let mut path = path.to_owned();
        loop {
            let mut of = path.as_str();
            while !modules.contains(of) {
                of = of.rsplit_once("::")?.0;
            }
            let name = path[of.len()..].trim_start_matches("::").split("::").next();
            let given = names[of].given.iter().find(|(given, _)| Some(given.as_str()) == name);
            match given {
                Some((_, stands)) => path = stands.clone(),
                None => return Some(of.to_owned()),
            }
        }
    };
    let needs = |of: &String, names: &Names| {
        let homes = names.imported.iter().filter_map(|path| home(path));
        homes.filter(|home| home != of).collect()
    };
    names.iter().map(|(of, names)| (of.clone(), needs(of, names))).collect()
}

/// The imports that close a circle, each with a way back.
fn circles(imports: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let way = |from: &String, to: &String| {
        let mut ways = vec![vec![from.clone()]];
        let mut seen = BTreeSet::from([from.clone()]);
        let mut at = 0;
        while at < ways.len() {
            let last = ways[at].last().expect("a way starts somewhere").clone();
            if last == *to {
                return Some(ways[at].join(" → "));
            }
            for next in imports.get(&last).into_iter().flatten() {
                if seen.insert(next.clone()) {
                    ways.push([&ways[at][..], std::slice::from_ref(next)].concat());
                }
            }
            at += 1;
        }
        None
    };
    let edges = imports.iter().flat_map(|(of, needs)| needs.iter().map(move |need| (of, need)));
    edges.filter_map(|(of, need)| way(need, of).map(|back| format!("{of} → {back}"))).collect()
}

#[test]
fn no_two_files_need_each_other() {
    let circles = circles(&imports(&files(&source())));
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

#[test]
fn circles_are_found_whatever_the_imports_look_like() {
    let file = |path: &str, code: &str| (source().join(path), code.to_owned());
    let files = [
        file(
            "store/mod.rs",
            "mod error;\nmod books;\npub use books::Store;\npub use error::{Error, Result};",
        ),
        file("store/error.rs", "use std::fmt;"),
        file("store/books.rs", "use crate::store::{\n    Error, file::{self, Frozen},\n};"),
        file("store/file.rs", "fn f() -> crate::store::Result<crate::store::late::Late> {}"),
        file(
            "store/late.rs",
            "// crate::store::error\npub(in crate::store) use crate::store::Store as S;",
        ),
        file("cli/mod.rs", "use crate::store;\nfn f() { plan::run(); store::Error }"),
        file("cli/plan.rs", "use crate::cli::Shell;"),
    ];
    let imports = imports(&files);
    let needs = |of: &str| imports[of].iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(needs("store"), [""; 0]);
    assert_eq!(needs("store::books"), ["store::error", "store::file"]);
    assert_eq!(needs("store::file"), ["store::error", "store::late"]);
    assert_eq!(needs("cli"), ["cli::plan", "store"]);
    let closed: Vec<String> = circles(&imports);
    assert!(closed.contains(&"cli → cli::plan → cli".to_owned()), "{closed:?}");
}
