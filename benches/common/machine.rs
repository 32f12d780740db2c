//! What a kept run says of the machine it was made on.

use crate::Outcome;
use std::fs;

/// A name that tells a machine's size and nothing else of it.
pub fn machine() -> Outcome<String> {
    let cores = std::thread::available_parallelism()?;
    let said = fs::read_to_string("/proc/meminfo")?;
    let total = said.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib: Option<u64> =
        total.and_then(|total| total.trim().strip_suffix("kB")?.trim().parse().ok());
    // What the kernel keeps for itself is not in the total: rounded up to what was paid for.
    let gib = kib.ok_or("/proc tells no MemTotal")?.div_ceil(1 << 20);
    Ok(format!("{cores}-cores-{gib}-gib"))
}
