//! Checks of what is around the database: which one it is, its files, its names, the room on its
//! disk, and certificates.

use crate::billing::period::DAY_S;
use crate::cli::database::shell_quoted;
use crate::cli::doctor::finding::{Finding, Ours};
use crate::cli::doctor::words::{bytes, count, list};
use crate::cli::moment::rfc3339;
use crate::cli::setup::extension::Extension;
use crate::http::{acme, tls};
use crate::store::surroundings::{FileRights, Surroundings};
use crate::store::survey::Survey;
use crate::store::{Error, SecondName};
use std::path::{Path, PathBuf};

/// With less than this, the next import or migration may find the disk full.
const LEAST_BYTES: u64 = 100 << 20;
/// How many days of growth there should be room for.
const ROOM_DAYS: u64 = 90;
/// What a record takes in books that are too young to tell: with its sums and its indexes.
const RECORD_BYTES: u64 = 400;
/// From so many entries on, the file tells what one takes.
const ENOUGH_ENTRIES: u64 = 10_000;

fn quoted(path: &Path) -> String {
    shell_quoted(&path.display().to_string())
}

/// Which database it is, and why that one.
pub(super) fn database(ours: &Ours<'_>, seen: &Result<Surroundings, Error>) -> Finding {
    const NAME: &str = "database";
    let choice = ours.database.choice();
    match seen {
        Ok(_) => Finding::ok(NAME, choice),
        Err(Error::Missing(_)) => {
            let missing = Finding::failed(NAME, format!("{choice}: there is no such file"));
            let extension = Extension::of_books(ours.database.path());
            if extension.is_some_and(|extension| extension.is_first()) {
                missing.remedy("sudo agora-vendor setup")
            } else {
                missing.ours(ours, "init")
            }
        }
        Err(error) => Finding::failed(NAME, format!("{choice}: {error}")),
    }
}

/// Whose the files are, and whether anybody else may read them.
pub(super) fn files(seen: &Surroundings) -> Finding {
    const NAME: &str = "files";
    let strangers = seen.strangers();
    if let Some((_, owner)) = strangers.first() {
        let says = |(file, owner): &(&FileRights, &FileRights)| {
            format!("{} belongs to {}, not to {}", file.path.display(), file.owner, owner.owner)
        };
        let files: Vec<String> = strangers.iter().map(|(file, _)| quoted(&file.path)).collect();
        return Finding::failed(NAME, list(strangers.iter().map(says))).remedy(format!(
            "sudo chown {}:{} {}",
            owner.owner,
            owner.group,
            files.join(" ")
        ));
    }
    let open: Vec<&FileRights> = seen.all().filter(|file| file.is_open_to_others()).collect();
    if !open.is_empty() {
        let says = |file: &&FileRights| format!("{} (mode {:04o})", file.path.display(), file.mode);
        let paths: Vec<String> = open.iter().map(|file| quoted(&file.path)).collect();
        let says = format!(
            "others than the owner may use {}, and the database holds the secrets",
            list(open.iter().map(says))
        );
        return Finding::failed(NAME, says)
            .remedy(format!("sudo chmod go-rwx {}", paths.join(" ")));
    }
    let files = match i128::try_from(seen.beside.len()).unwrap_or_default() {
        0 => "the database and its folder".to_owned(),
        beside => format!("the database, its folder and {} beside it", count(beside, "file")),
    };
    let owner = &seen.database.owner;
    Finding::ok(NAME, format!("{files} belong to {owner}, and nobody else may use them"))
}

/// Whether the database has one name.
pub(super) fn names(seen: &Surroundings) -> Finding {
    const NAME: &str = "names";
    let path = seen.database.path.display();
    match seen.second_name {
        None => Finding::ok(NAME, "the file has one name: no hard link, no mount of its own"),
        Some(SecondName::Links(links)) => {
            let says = format!(
                "{path} has {links} names (hard links), and SQLite would lose records, since it \
                 keeps a log for each name: delete the names without a log"
            );
            let find = format!("sudo find / -xdev -samefile {}", quoted(&seen.database.path));
            Finding::failed(NAME, says).remedy(find)
        }
        Some(SecondName::Mount) => {
            let says = format!(
                "{path} is mounted by itself, and SQLite would lose records, since each place has \
                 a log of its own: mount the folder that holds it (docker run -v FOLDER:FOLDER)"
            );
            Finding::failed(NAME, says).remedy(format!("findmnt {}", quoted(&seen.database.path)))
        }
    }
}

/// The room on the disk, against what the books grow by.
pub(super) fn space(seen: &Surroundings, survey: Option<&Survey>) -> Finding {
    const NAME: &str = "space";
    let free = bytes(seen.free_bytes);
    let look = |finding: Finding| {
        finding.remedy(format!("df -h {0}; sudo du -xhd1 {0}", quoted(&seen.folder.path)))
    };
    if seen.free_bytes < LEAST_BYTES {
        let says = format!("only {free} are free on the database's disk");
        return look(Finding::failed(NAME, says));
    }
    let Some(survey) = survey else {
        return Finding::ok(NAME, format!("{free} are free on the database's disk"));
    };
    let entries = u64::try_from(survey.recording.entries).unwrap_or_default();
    let a_record = match entries {
        entries if entries >= ENOUGH_ENTRIES => (survey.database_bytes / entries).max(1),
        _ => RECORD_BYTES,
    };
    let a_day = u64::try_from(survey.recording.entries_a_day).unwrap_or_default() * a_record;
    let grows = match a_day {
        0 => "nothing was recorded in the last week".to_owned(),
        a_day => format!("it grows by about {} a day", bytes(a_day)),
    };
    let says = format!(
        "{free} are free; the database has {}, its log {}; {grows}",
        bytes(survey.database_bytes),
        bytes(survey.log_bytes)
    );
    let days = seen.free_bytes.checked_div(a_day);
    if let Some(days) = days.filter(|days| *days < ROOM_DAYS) {
        let days = count(days, "day");
        return look(Finding::warning(NAME, format!("{says}: the disk is full in {days}")));
    }
    if seen.free_bytes < survey.database_bytes {
        let says = format!("{says}: a migration or a restore needs room for a copy");
        return look(Finding::warning(NAME, says));
    }
    Finding::ok(NAME, says)
}

/// Until when certificates are good: those that the server got itself, the one that was named, and
/// the one that the server showed.
pub(super) fn certificate(
    ours: &Ours<'_>,
    named: Option<&PathBuf>,
    shown_ends_at_s: Option<i64>,
    now_s: i64,
) -> Finding {
    const NAME: &str = "certificate";
    let kept = match acme::kept_certificates(ours.database.path()) {
        Ok(kept) => kept,
        // Of a database that is not there, another check tells.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            return Finding::failed(NAME, format!("certificates cannot be looked at: {error}"));
        }
    };
    let mut ends: Vec<(String, i64)> = Vec::new();
    for file in named.into_iter().chain(&kept) {
        match tls::expires_at_s(file) {
            Ok(at_s) => ends.push((file.display().to_string(), at_s)),
            Err(error) => return Finding::failed(NAME, error.to_string()),
        }
    }
    ends.extend(shown_ends_at_s.map(|at_s| ("what the server shows".to_owned(), at_s)));
    let Some((what, at_s)) = ends.into_iter().min_by_key(|(_, at_s)| *at_s) else {
        let says = "no certificate is kept here; `--url https://…` looks at the one of a proxy";
        return Finding::ok(NAME, says);
    };
    let (day, days) = (&rfc3339(at_s)[..10], (at_s - now_s).div_euclid(DAY_S));
    let renew = format!("journalctl -u {} --since -2d --grep certificate", ours.server());
    match days {
        ..0 => Finding::failed(NAME, format!("{what} expired on {day}: Agora refuses it"))
            .remedy(renew),
        days if days < tls::WARN_DAYS => {
            let days = count(days, "day");
            let says = format!("{what} expires on {day}, in {days}, and was not renewed");
            Finding::warning(NAME, says).remedy(renew)
        }
        days => Finding::ok(NAME, format!("{what} is good until {day}, for {days} days")),
    }
}
