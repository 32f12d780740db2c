//! How a benchmark begins and ends.

use crate::Outcome;
use std::process::ExitCode;

/// Measures where `cargo bench` asks for it: `cargo test --all-targets` comes by too, unoptimised.
pub fn measured(bench: &str, measure: impl FnOnce() -> Outcome<bool>) -> ExitCode {
    if std::env::args().any(|argument| argument == "--bench") {
        return ended(measure());
    }
    println!("not measured: `cargo bench --bench {bench}` does");
    ExitCode::SUCCESS
}

/// Succeeds where every bar was met.
pub fn ended(done: Outcome<bool>) -> ExitCode {
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
