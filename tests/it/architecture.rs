//! The arrows between the folders, and what stands in which: broken by a change, told by a test.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Which folders a folder may use.
const ARROWS: [(&str, &[&str]); 5] = [
    ("billing", &[]),
    ("agora", &["billing"]),
    ("store", &["billing"]),
    ("http", &["billing", "agora", "store"]),
    ("cli", &["billing", "agora", "store", "http"]),
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every Rust file below a folder with its text; what stands behind `#[cfg(test)]` left out.
fn files(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a text");
            let code =
                text.split("#[cfg(test)]\nmod tests").next().expect("a first part").to_owned();
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
    let special: [(&[&str], &str); 5] = [
        (&["hyper::", "hyper_util::", "tokio::", "http_body_util::", "httparse::"], "http"),
        (&["rusqlite::", "r2d2::", "r2d2_sqlite::"], "store"),
        (&["clap::", "comfy_table::", "csv::", "csv_core::", "flate2::", "indicatif::"], "cli"),
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
fn every_file_says_first_what_it_is() {
    for (path, text) in files(&source()) {
        assert!(text.starts_with("//! ") || path.ends_with("lib.rs"), "{}", path.display());
    }
}
