//! How long the server takes from being started to listening.

use crate::Outcome;
use crate::length::Length;
use crate::process::Server;
use crate::report::{Bar, Report, median};
use std::path::Path;
use std::time::Instant;

/// Milliseconds, at most.
const BAR: Bar = Bar::AtMost(30.0);

/// Starts it again and again; the time is over when the line that says where it listens has been
/// read.
pub fn measure(database: &Path, length: &Length, report: &mut Report) -> Outcome {
    let mut times_ms = Vec::new();
    for _ in 0..length.starts {
        let start = Instant::now();
        let server = Server::agora_vendor(database)?;
        times_ms.push(start.elapsed().as_secs_f64() * 1e3);
        drop(server);
    }
    let each: Vec<String> = times_ms.iter().map(|ms| format!("{ms:.1}")).collect();
    report.say(&format!(
        "\nfrom exec to listening, {} records, each in ms: {}",
        length.many,
        each.join(" ")
    ));
    report.judge("from exec to listening, median", median(&times_ms), " ms", BAR);
    Ok(())
}
