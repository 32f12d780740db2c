//! How the executable is linked. `record` is a process for each record, so what is done before
//! `main` is done for each of them.

use std::env::var;
use std::path::Path;
use std::process::Command;

/// The first glibc that reads packed relocations. Source: its release notes.
const READS_PACKED: (u32, u32) = (2, 36);

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is_built_here = var("HOST").ok() == var("TARGET").ok();
    let is_glibc = var("CARGO_CFG_TARGET_ENV").is_ok_and(|environment| environment == "gnu");
    if !is_built_here || !is_glibc {
        return;
    }
    // The relocations of a position-independent executable are read by each process.
    if glibc().is_some_and(|version| version >= READS_PACKED) {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    // What unwinds a panic is built in: the shared library would be loaded by each process, and
    // asks the processor what it can do, which a virtual machine answers slowly.
    if let Some(folder) = folder_of("libgcc_eh.a") {
        println!("cargo:rustc-link-search=native={folder}");
        println!("cargo:rustc-link-lib=static:-bundle=gcc_eh");
    }
}

/// The version of this machine's C library.
fn glibc() -> Option<(u32, u32)> {
    let said = answer("getconf", "GNU_LIBC_VERSION")?;
    let (major, minor) = said.strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Where the C compiler finds a library; it repeats the name of one that it does not find.
fn folder_of(library: &str) -> Option<String> {
    let path = answer("cc", &format!("-print-file-name={library}"))?;
    let folder = Path::new(&path).parent()?.to_str()?;
    (!folder.is_empty()).then(|| folder.to_owned())
}

fn answer(program: &str, argument: &str) -> Option<String> {
    let asked = Command::new(program).arg(argument).output().ok()?;
    let said = String::from_utf8(asked.stdout).ok()?;
    Some(said.trim().to_owned())
}
