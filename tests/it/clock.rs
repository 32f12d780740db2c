//! A wall clock that tests set, for the executable as it ships.

use crate::vendor::{Vendor, second};
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The library that stands before the system's clock.
pub static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| library("clock"));

/// The library of a disk that fails.
pub static DISK: LazyLock<PathBuf> = LazyLock::new(|| library("disk"));

/// The library of a machine that is short of threads.
pub static THREADS: LazyLock<PathBuf> = LazyLock::new(|| library("threads"));

/// A library that stands before the system's own, built by the C compiler that SQLite is built
/// with.
pub fn library(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    // Tests of one process may build the same one at once.
    static BUILT: AtomicU32 = AtomicU32::new(0);
    let number = BUILT.fetch_add(1, Ordering::Relaxed);
    let (draft, library) = (
        folder.join(format!("{name}-{}-{number}.so", std::process::id())),
        folder.join(format!("{name}.so")),
    );
    let source = format!("{}/tests/it/{name}.c", env!("CARGO_MANIFEST_DIR"));
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&draft).arg(source).status();
    assert!(built.expect("a C compiler").success());
    std::fs::rename(draft, &library).expect("a library");
    library
}

impl Vendor {
    /// Sets the clock that this vendor's executable goes by, also one that is running; it stands
    /// still. `time` is RFC 3339. Without a call the executable goes by the system's clock.
    pub fn at(&self, time: &str) -> &Self {
        // Renamed into place, so that no process reads half of it.
        let draft = self.path("clock.draft");
        std::fs::write(&draft, second(time).to_string()).expect("a file");
        std::fs::rename(draft, self.path("clock")).expect("a clock");
        self
    }

    /// Lets a command go by the clock that was set, if one was.
    pub fn set_clock(&self, command: &mut Command) {
        let clock = self.path("clock");
        if clock.exists() {
            command.env("LD_PRELOAD", &*LIBRARY).env("TEST_CLOCK", clock);
        }
    }
}

#[test]
fn the_executable_goes_by_the_clock_that_a_test_sets() {
    let vendor = Vendor::new();
    vendor.at("2024-02-29T12:00:00Z").ok(["record", "p", "1", "--id", "a"]);
    let server = vendor.serve();
    assert_eq!(
        server
            .usage(second("2024-02-29T12:00:00Z"), second("2024-02-29T12:00:00Z"))
            .entries()
            .len(),
        1
    );
    vendor.at("2024-03-01T00:00:00Z");
    let key = vendor.json(["key", "add", "--test"])["createdAt"].clone();
    assert_eq!(key, "2024-03-01T00:00:00Z");
}
