//! The look at what was set up: `doctor`, once the certificate is there that the server gets
//! itself.

use crate::cli::command::Shell;
use crate::cli::doctor::finding::{Finding, Verdict};
use crate::cli::failure::{Exit, Failure};
use crate::cli::setup::child::doctor;
use crate::cli::setup::configuration::{Connections, Way};
use crate::http::acme::kept_certificates;
use crate::http::inquiry::{Unheard, inquire};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

/// How long a first certificate is waited for; it takes some seconds.
const CERTIFICATE: Duration = Duration::from_secs(30);
/// What the books and Agora did, or did not yet, which no setup mends: at a first one, or after a
/// move, nobody can have done it.
const LATER: [&str; 8] =
    ["backup", "plans", "license-types", "prices", "usage", "bills", "silence", "late"];

/// What was found.
pub(super) struct Checkup {
    findings: Vec<Finding>,
    /// Whether a certificate is still on its way.
    awaits_certificate: bool,
}

impl Checkup {
    pub(super) fn make(
        books: &Path,
        connections: &Connections,
        is_changed: bool,
        stop: &AtomicBool,
        shell: &mut Shell<'_>,
    ) -> Result<Self, Failure> {
        // One that was kept before may be of another host.
        let since = if is_changed { SystemTime::now() } else { SystemTime::UNIX_EPOCH };
        let awaits_certificate =
            connections.way == Way::Acme && !comes(books, since, connections, stop, shell);
        Ok(Self { findings: doctor(books, shell)?, awaits_certificate })
    }

    pub(super) fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// How `setup` ends: what is to be done later is no failure of it.
    pub(super) fn end(&self, shell: &mut Shell<'_>) -> Exit {
        let is_later = |found: &Finding| {
            LATER.contains(&&*found.name) || (self.awaits_certificate && found.name == "request")
        };
        let ill = |found: &&Finding| found.state == Verdict::Failed;
        if self.awaits_certificate {
            shell.note(
                "the certificate is not there yet: `journalctl -u agora-vendor -f` says when it \
                 comes, or why it does not; then run `agora-vendor doctor`",
            );
        }
        if self.findings.iter().any(|found| ill(&found)) {
            shell.note("everything is set up; what `doctor` marks with ✗ is left to do");
        }
        match self.findings.iter().filter(ill).all(is_later) {
            true => Exit::Done,
            false => Exit::Failed,
        }
    }
}

/// Waits for a certificate that is used, or was kept since then; tells whether it is there.
fn comes(
    books: &Path,
    since: SystemTime,
    connections: &Connections,
    stop: &AtomicBool,
    shell: &mut Shell<'_>,
) -> bool {
    let host = connections.host.as_deref().and_then(|hosts| hosts.split(',').next());
    let url = format!("https://{}/healthz", host.unwrap_or_default());
    let until = Instant::now() + CERTIFICATE;
    let mut is_told = false;
    loop {
        let kept = kept_certificates(books).unwrap_or_default();
        let made = |file: &PathBuf| file.metadata().and_then(|metadata| metadata.modified());
        if kept.iter().any(|file| made(file).is_ok_and(|made| made >= since)) {
            return true;
        }
        // Where no way leads to it, none comes soon.
        let is_over = stop.load(Ordering::Relaxed) || Instant::now() > until;
        match inquire(&url, None) {
            Ok(_) => return true,
            Err(Unheard::NoWay(_)) => return false,
            Err(Unheard::NoAnswer(_)) if is_over => return false,
            Err(Unheard::NoAnswer(_)) => {}
        }
        if !is_told {
            shell.note("waiting for the certificate");
            is_told = true;
        }
        sleep(Duration::from_millis(200));
    }
}
