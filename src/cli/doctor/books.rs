//! Checks of the books themselves: how SQLite has them open, whether they are sound, the clock,
//! backups and keys.

use crate::billing::period::DAY_S;
use crate::cli::check::{entries_words, words as difference_words};
use crate::cli::database::shell_quoted;
use crate::cli::doctor::finding::{Finding, Ours};
use crate::cli::doctor::words::{count, list, span};
use crate::cli::moment::rfc3339;
use crate::cli::rights;
use crate::store::check::{CheckReport, Difference};
use crate::store::condition::Condition;
use crate::store::survey::Survey;
use crate::store::{self, Error};
use std::io::ErrorKind;
use std::path::Path;

/// How far ahead of the clock a time in the books may be.
const AHEAD_S: i64 = 300;
/// From when on a backup is old, and too old.
const OLD_S: i64 = 2 * DAY_S;
const TOO_OLD_S: i64 = 7 * DAY_S;
/// Where systemd's own time service says whether it has heard a server.
const TIME_SERVICE: &str = "/run/systemd/timesync";

/// Why the books cannot be read, and what to do.
pub(super) fn unopened(ours: &Ours<'_>, error: Error) -> Finding {
    let quoted = |path: &Path| shell_quoted(&path.display().to_string());
    let remedy = if let Error::AnothersFile { owner, .. } = &error {
        let user = shell_quoted(owner);
        Some(format!("sudo -u {user} {}", ours.database.command_elsewhere("doctor")))
    } else if matches!(error, Error::NoAccess { .. }) {
        let sudo = rights::sudo(&ours.database.folder());
        sudo.map(|(_, sudo)| format!("{sudo} {}", ours.database.command_elsewhere("doctor")))
    } else if let Error::AnybodysFolder(folder) = &error {
        Some(format!("sudo chmod go-rwx {}", quoted(folder)))
    } else if let Error::SecondName { path, .. } = &error {
        Some(format!("sudo find / -xdev -samefile {}", quoted(path)))
    } else if matches!(error, Error::Older { .. }) {
        Some(ours.typed("migrate"))
    } else if error.is_damage() {
        Some(ours.typed("restore FILE"))
    } else {
        error.is_passing().then(|| ours.typed("doctor"))
    };
    let says = match matches!(error, Error::SecondName { .. }) {
        // What is wrong is said by its own check.
        true => "the file has a second name".to_owned(),
        false => ours.database.explain(error).sentence().text().to_owned(),
    };
    let says = format!("what is in the database was not looked at: {says}");
    Finding { remedy, ..Finding::failed("open", says) }
}

/// How SQLite has them open.
pub(super) fn sqlite(ours: &Ours<'_>, condition: &Condition, is_read_alone: bool) -> Finding {
    const NAME: &str = "sqlite";
    let version = store::sqlite_version();
    let Condition { journal_mode, synchronous, foreign_keys, .. } = condition;
    if is_read_alone {
        // A copy that is looked at is so on purpose, and a disk that failed is not.
        let says = format!(
            "SQLite {version}; this user may only read the books here: whoever records or serves \
             has to write them"
        );
        let path = shell_quoted(&ours.database.path().display().to_string());
        return Finding::warning(NAME, says).remedy(format!("findmnt -T {path}; ls -ld {path}"));
    }
    let says = format!(
        "SQLite {version}; journal_mode {journal_mode}, synchronous {synchronous}, foreign_keys {}",
        i64::from(*foreign_keys)
    );
    match condition.is_durable() {
        true => Finding::ok(NAME, says),
        false => Finding::failed(NAME, format!("{says}, where wal, 2 and 1 are needed")),
    }
}

/// Whether they are laid out as they were made.
pub(super) fn schema(ours: &Ours<'_>, condition: &Condition) -> Finding {
    const NAME: &str = "schema";
    let version = condition.schema_version;
    if condition.changed.is_empty() {
        return Finding::ok(NAME, format!("version {version}, as it was made"));
    }
    let says = format!(
        "version {version}, and not as it was made: {}",
        list(condition.changed.iter().cloned())
    );
    Finding::failed(NAME, says).ours(ours, "restore FILE")
}

/// The file's pages and layout, and the ledgers against all that is derived from them.
pub(super) fn soundness(ours: &Ours<'_>, report: store::Result<CheckReport>) -> Vec<Finding> {
    const INTEGRITY: &str = "integrity";
    const SUMS: &str = "sums";
    let report = match report {
        Ok(report) => report,
        Err(error) => {
            let remedy = if error.is_damage() { "restore FILE" } else { "check" };
            let says = format!("the check broke off: {}", error.of_read());
            return vec![Finding::failed(INTEGRITY, says).ours(ours, remedy)];
        }
    };
    let (of_file, of_sums): (Vec<&Difference>, Vec<&Difference>) = report
        .differences
        .iter()
        .partition(|one| matches!(one, Difference::File { .. } | Difference::Schema { .. }));
    let words = |differences: &[&Difference]| {
        list(differences.iter().map(|difference| difference_words(difference)))
    };
    let integrity = match of_file.is_empty() {
        true => Finding::ok(INTEGRITY, "the file's pages, its log and its layout are whole"),
        false => Finding::failed(INTEGRITY, words(&of_file)).ours(ours, "restore FILE"),
    };
    let entries = entries_words(report.entries);
    let sums = match of_sums.is_empty() {
        true => Finding::ok(SUMS, format!("sums, licenses and statements agree with {entries}")),
        false => Finding::failed(SUMS, words(&of_sums)).ours(ours, "check"),
    };
    vec![integrity, sums]
}

/// Whether the clock is behind what was written, or nobody sets it.
pub(super) fn clock(survey: &Survey, now_s: i64) -> Finding {
    const NAME: &str = "clock";
    let set = "sudo timedatectl set-ntp true";
    let times = [
        survey.recording.last_recorded_at_s,
        survey.usage.last_asked_at_s,
        survey.bill.last_asked_at_s,
        survey.backup.as_ref().map(|made| made.at_s),
        survey.live_keys.iter().map(|key| key.created_at_s).max(),
    ];
    let newest_s = times.into_iter().flatten().max().unwrap_or(0);
    let now = rfc3339(now_s);
    if newest_s > now_s + AHEAD_S {
        let says = format!(
            "it says {now}, and something in the books was written at {}: one of the two is wrong",
            rfc3339(newest_s)
        );
        return Finding::failed(NAME, says).remedy(set);
    }
    let service = Path::new(TIME_SERVICE);
    if service.is_dir() && !service.join("synchronized").exists() {
        let says = format!("it says {now}, and the time service has not heard a server yet");
        return Finding::warning(NAME, says).remedy("timedatectl timesync-status");
    }
    Finding::ok(NAME, format!("it says {now}, and nothing in the books is later"))
}

/// How old the newest backup is, and whether it is still there.
pub(super) fn backup(ours: &Ours<'_>, survey: &Survey, now_s: i64) -> Finding {
    const NAME: &str = "backup";
    let into = |folder: &str| format!("backup --dir {} --keep 30", shell_quoted(folder));
    let Some(made) = &survey.backup else {
        return Finding::warning(NAME, "`backup` has made no copy of this database yet")
            .ours(ours, &into(&ours.backup_folder()));
    };
    let folder = made.path.parent().map(|folder| folder.display().to_string());
    let again = into(&folder.unwrap_or_else(|| ours.backup_folder()));
    let age_s = now_s - made.at_s;
    let says = format!("the newest one is {} old: {}", span(age_s), made.path.display());
    if age_s > TOO_OLD_S {
        return Finding::failed(NAME, says).ours(ours, &again);
    }
    if age_s > OLD_S {
        return Finding::warning(NAME, says).ours(ours, &again);
    }
    // Elsewhere it may be hidden from this user.
    match made.path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let says = format!("{says}, which is not there any more");
            Finding::warning(NAME, says).ours(ours, &again)
        }
        Ok(_) | Err(_) => Finding::ok(NAME, says),
    }
}

/// Who may sign.
pub(super) fn keys(ours: &Ours<'_>, survey: &Survey) -> Finding {
    const NAME: &str = "keys";
    let live = |place: usize| {
        let key = &survey.live_keys[place];
        format!("{} of {}", key.api_key, &rfc3339(key.created_at_s)[..10])
    };
    let tests = count(i128::try_from(survey.test_keys).unwrap_or_default(), "test pair");
    match survey.live_keys.as_slice() {
        [] => Finding::failed(NAME, "there is no live pair: every request of Agora is refused")
            .ours(ours, "key add"),
        [_] if survey.test_keys == 0 => {
            let says = format!("one live pair ({}), and no test pair to try it with", live(0));
            Finding::warning(NAME, says).ours(ours, "key add --test")
        }
        [_] => Finding::ok(NAME, format!("one live pair ({}), {tests}", live(0))),
        [old, ..] => {
            let says = format!(
                "{} live pairs are accepted ({}), {tests}: once Agora signs with the newer one, \
                 revoke the older",
                survey.live_keys.len(),
                list((0..survey.live_keys.len()).map(live))
            );
            let revoke = format!("key revoke {}", shell_quoted(old.api_key.as_str()));
            Finding::warning(NAME, says).ours(ours, &revoke)
        }
    }
}
