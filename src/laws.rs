//! What holds for whatever comes in, as functions of bytes that panic where it does not hold.
//!
//! `fuzz/` looks for bytes that break one, for as long as it is left to. `cargo test` tries what is
//! in `fuzz/corpus`, with every case that ever broke one, and some hundred changes of each.

use crate::{agora, billing, cli, http, store};

/// A law, by the name of its target and of its folder in `fuzz/corpus`.
pub type Law = (&'static str, fn(&[u8]));

/// All of them.
pub const ALL: [Law; 12] = [
    ("request_head", http::law::head),
    ("query", agora::law::query),
    ("body", agora::law::body),
    ("source_string", agora::law::source),
    ("decimal", billing::law::decimal),
    ("price", billing::law::price),
    ("ids", billing::law::ids),
    ("plan_file", cli::law::plan_file),
    ("csv_rows", cli::law::csv_rows),
    ("json_rows", cli::law::json_rows),
    ("import", cli::law::import),
    ("document", store::law::document),
];

/// Tries bytes on the law of a target.
///
/// # Panics
/// Where it does not hold, or there is no such target.
pub fn try_on(target: &str, bytes: &[u8]) {
    let (_, law) = ALL.iter().find(|(name, _)| *name == target).expect("a target");
    law(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    fn fuzz(folder: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(folder)
    }

    /// What is in a target's folder, in the order of its names.
    fn corpus(target: &str) -> Vec<Vec<u8>> {
        let entries = fs::read_dir(fuzz("corpus").join(target)).expect("a folder");
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        paths.into_iter().map(|path| fs::read(path).expect("a case")).collect()
    }

    /// Numbers that look random, the same ones each time.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, sides: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 >> 1).expect("63 bits") % sides.max(1)
        }
    }

    /// A case with a piece of another in the place of one of its own.
    fn changed(cases: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
        const BYTES: &[u8] = b"0 9.-+%&=\"\\,;:|{}[]\r\n\0\xff\xc3\xa9\xe2\x80\xae~*'/#?";
        let mut case = cases[dice.roll(cases.len())].clone();
        for _ in 0..=dice.roll(3) {
            let from = dice.roll(case.len() + 1);
            let to = (from + dice.roll(4)).min(case.len());
            let other = &cases[dice.roll(cases.len())];
            let start = dice.roll(other.len() + 1);
            let end = (start + dice.roll(12)).min(other.len());
            let byte = dice.roll(BYTES.len());
            let piece = if dice.roll(2) == 0 { &BYTES[byte..=byte] } else { &other[start..end] };
            case.splice(from..to, piece.iter().copied());
        }
        case
    }

    #[test]
    fn laws_hold_for_every_case_that_is_kept_and_for_changes_of_it() {
        // The long form has other changes each time.
        let long = std::env::var_os("AGORA_VENDOR_LONG_TESTS").is_some();
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(1, |since| since.as_secs());
        let seed = if long { now } else { 0x2545_f491_4f6c_dd1d };
        for (target, law) in ALL {
            let cases = corpus(target);
            cases.iter().for_each(|case| law(case));
            // An import is a thousand times slower than a query.
            let count = if target == "import" { 4 } else { 300 } * if long { 200 } else { 1 };
            let mut dice = Dice(seed);
            for _ in 0..count {
                let case = changed(&cases, &mut dice);
                let held = std::panic::catch_unwind(|| law(&case));
                assert!(held.is_ok(), "{target}: {:?}", String::from_utf8_lossy(&case));
            }
        }
    }

    #[test]
    fn each_law_has_a_target_and_a_folder_and_nothing_else_has() {
        let names = |folder: &str| -> BTreeSet<String> {
            let entries = fs::read_dir(fuzz(folder)).expect("a folder");
            let stem = |path: PathBuf| path.file_stem().expect("a name").display().to_string();
            entries.map(|entry| stem(entry.expect("an entry").path())).collect()
        };
        let laws: BTreeSet<String> = ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!((names("corpus"), names("fuzz_targets")), (laws.clone(), laws));
    }
}
