//! A server as a process of its own, and what the system says of it.

use crate::Outcome;
use crate::report::EXECUTABLE;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The unit of times in `/proc`; the same on every Linux that Rust runs on (`getconf CLK_TCK`).
const TICK: Duration = Duration::from_millis(10);

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts the server that is measured, as a service would.
    pub fn agora_vendor(database: &Path) -> Outcome<Self> {
        let mut command = Command::new(EXECUTABLE);
        command.arg("--db").arg(database).args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--log",
            "warn",
        ]);
        // As the units of packaging/ set it.
        command.env("MALLOC_ARENA_MAX", "2");
        Self::start(command)
    }

    /// Starts one that says on its standard output where it listens.
    pub fn start(mut command: Command) -> Outcome<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let address = line
            .trim()
            .strip_prefix("listening on http://")
            .and_then(|address| address.parse().ok());
        let Some(address) = address else {
            child.kill()?;
            child.wait()?;
            return Err(format!("the server did not say where it listens, but {line:?}").into());
        };
        Ok(Self { child, address })
    }

    /// Its memory: in use now, and the most that it had; in KiB.
    pub fn memory_kib(&self) -> Outcome<(u64, u64)> {
        memory_kib(self.child.id())
    }

    /// The processors' time that it has taken so far, its own and the system's for it.
    pub fn processor_time(&self) -> Outcome<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // Behind the name in brackets, which may hold anything: utime and stime are fields 14 and
        // 15 (proc(5)).
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks: Vec<u32> =
            fields.split_whitespace().skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
        Ok(TICK * ticks.iter().sum())
    }
}

/// A process's memory: in use now, and the most that it had; in KiB.
pub fn memory_kib(process: u32) -> Outcome<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let value = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
        kib.ok_or_else(|| format!("/proc tells no {name}"))
    };
    Ok((value("VmRSS:")?, value("VmHWM:")?))
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended already cannot be killed; either way it is gone once waited for.
        let _killed = self.child.kill();
        let _status = self.child.wait();
    }
}
