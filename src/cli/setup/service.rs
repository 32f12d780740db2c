//! The service that systemd runs: started anew where its configuration was changed.

use crate::cli::command::Shell;
use crate::cli::failure::Failure;
use crate::cli::setup::configuration::Configuration;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const SERVICE: &str = "agora-vendor.service";
const SOCKET: &str = "agora-vendor.socket";

/// What systemd hides from the service, below the root: ProtectHome= and PrivateTmp= of its unit.
const HIDDEN: [&str; 5] = ["home", "root", "run/user", "tmp", "var/tmp"];

/// Refuses files that the service could not see, whatever their rights are.
pub(super) fn check_seen(root: &Path, files: [&PathBuf; 2]) -> Result<(), Failure> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let root = &real(root);
    let is_hidden = |file: &Path| HIDDEN.iter().any(|hidden| file.starts_with(root.join(hidden)));
    match files.into_iter().find(|file| is_hidden(file) || is_hidden(&real(file))) {
        None => Ok(()),
        Some(file) => Err(Failure::failed(format!(
            "the service cannot use {}: systemd hides /home, /root, /run/user, /tmp and /var/tmp \
             from it; copy both files to a folder such as /etc/agora-vendor; nothing was changed",
            file.display()
        ))),
    }
}

/// The units that there are, the socket first.
fn units(configuration: &Configuration) -> Vec<&'static str> {
    [SOCKET, SERVICE].into_iter().filter(|unit| configuration.has_unit(unit)).collect()
}

/// Starts the service, now and whenever the machine starts; says the command where that cannot be
/// done here. Tells whether it was started.
pub(super) fn start(configuration: &Configuration, shell: &mut Shell<'_>) -> Result<bool, Failure> {
    let units = units(configuration);
    if !units.contains(&SERVICE) {
        shell.note(
            "not started: agora-vendor.service is not installed; packaging/ has it, and \
             `agora-vendor serve` serves until it is stopped",
        );
        return Ok(false);
    }
    let enable = [&["enable", "--now"], units.as_slice()].concat();
    if !configuration.is_booted() {
        shell.note(&format!(
            "not started: systemd does not run here; where it does: `systemctl {}`",
            enable.join(" ")
        ));
        return Ok(false);
    }
    systemctl(&["daemon-reload"])?;
    // A socket cannot change below a service that has it open.
    systemctl(&[&["stop", SERVICE], units.as_slice()].concat())?;
    systemctl(&enable)?;
    Ok(true)
}

/// Tells whether the service runs.
pub(super) fn is_running(configuration: &Configuration) -> bool {
    let asked = || Command::new("systemctl").args(["is-active", "--quiet", SERVICE]).status();
    let is_there = configuration.is_booted() && configuration.has_unit(SERVICE);
    is_there && asked().is_ok_and(|status| status.success())
}

/// Says of a service that does not run, and is left so, what starts it. It does not run.
pub(super) fn point_out_stopped(configuration: &Configuration, shell: &mut Shell<'_>) -> bool {
    if configuration.is_booted() && configuration.has_unit(SERVICE) {
        shell.note(&format!(
            "the service does not run: `systemctl enable --now {}` starts it",
            units(configuration).join(" ")
        ));
    }
    false
}

fn systemctl(words: &[&str]) -> Result<(), Failure> {
    let mut command = Command::new("systemctl");
    let line = format!("systemctl {}", words.join(" "));
    // What it says is not data.
    let run = command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).output();
    let run = run.map_err(|error| {
        Failure::failed(format!("`{line}` cannot be run: {error}; all else is set up"))
    })?;
    if run.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&run.stderr);
    let first = said.lines().next().unwrap_or_default();
    Err(Failure::failed(format!(
        "`{line}` failed ({first}); all else is set up: `journalctl -n 20 -u agora-vendor.socket \
         -u agora-vendor` says why"
    )))
}
