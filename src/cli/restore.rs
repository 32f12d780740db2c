//! `restore`: a backup in the place of the database.

use crate::cli::check;
use crate::cli::command::Shell;
use crate::cli::database::shell_quoted;
use crate::cli::failure::{Exit, Failure};
use crate::cli::moment::{self, rfc3339};
use crate::cli::named::{self, NamedFile};
use crate::cli::table::{Columns, print_properties};
use crate::cli::visible::ForPeople;
use crate::store;
use crate::store::restore::{Candidate, LastRecord, Reach, Replaced, Restored, StatementHead};
use rustix::fs::{Access, access};
use rustix::io::Errno;
use serde::Serialize;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// How many differences of a bad backup are named.
const NAMED: usize = 10;

/// What lies beside a database that was not closed, and is part of it.
const LOGS: [&str; 2] = ["-wal", "-journal"];

/// Put a backup in the place of the database, and keep what was there beside it
///
/// Stop the server first: nothing is changed while anything has the database open. The backup is
/// checked as `check` does before anything is moved. FILE stays as it is; if it is of an earlier
/// schema version, its copy is migrated. Works where there is no database yet. If it is
/// interrupted, the old database or the new one is there, whole: run it again.
#[derive(clap::Args)]
#[command(after_help = "Example: agora-vendor restore \
                  /var/backups/agora-vendor/agora-vendor-20261123T020000Z.db")]
pub(super) struct Args {
    /// The backup
    file: PathBuf,
}

impl Args {
    /// The files that are named.
    pub(super) fn files(&self) -> Vec<NamedFile> {
        let logs = LOGS.map(|suffix| with_suffix(&self.file, suffix));
        [self.file.clone()].into_iter().chain(logs).map(NamedFile::Input).collect()
    }

    /// What root has opened of the backup, where the owner of the books may not read it.
    fn opened_by_root(&self) -> Result<Option<File>, Failure> {
        // Opening what is no file, such as a pipe, might wait for ever.
        if access(&self.file, Access::READ_OK) != Err(Errno::ACCESS) {
            return Ok(None);
        }
        let opened = match named::open(&self.file) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(store::Error::NoBackup(self.file.clone()).into());
            }
            // It is said with its reason where it is read.
            Err(_) => return Ok(None),
        };
        for log in LOGS.map(|suffix| with_suffix(&self.file, suffix)) {
            if named::metadata(&log).is_ok_and(|log| log.len() > 0) {
                return Err(Failure::failed(format!(
                    "{} lies beside {}, and belongs to it: copy both to where the owner of the \
                     books may read them, or name a copy that `backup` made",
                    log.display(),
                    self.file.display()
                )));
            }
        }
        Ok(Some(opened))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    db: String,
    from: String,
    /// Null where there was no database.
    kept: Option<String>,
    moved: Vec<String>,
    migrated_from: Option<i64>,
    last_record: Option<ShownRecord<'a>>,
    last_void: Option<ShownRecord<'a>>,
    last_statement: Option<ShownHead<'a>>,
    /// Null where there was no database, and where it cannot be read.
    replaced: Option<ShownReplaced<'a>>,
    /// Why the replaced database cannot be read.
    unreadable: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownReplaced<'a> {
    last_record: Option<ShownRecord<'a>>,
    last_void: Option<ShownRecord<'a>>,
    last_statement: Option<ShownHead<'a>>,
    untold: Vec<ShownHead<'a>>,
    differs: &'a [&'static str],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownRecord<'a> {
    id: &'a str,
    at: String,
    recorded_at: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownHead<'a> {
    seq: i64,
    kind: &'static str,
    from: String,
    to: String,
    first_asked_at: String,
    last_asked_at: String,
    total: &'a str,
}

fn shown_record(record: &LastRecord) -> ShownRecord<'_> {
    let LastRecord { id, at_s, recorded_at_s } = record;
    ShownRecord { id, at: rfc3339(*at_s), recorded_at: rfc3339(*recorded_at_s) }
}

fn shown_head(head: &StatementHead) -> ShownHead<'_> {
    ShownHead {
        seq: head.seq,
        kind: head.kind.as_str(),
        from: rfc3339(head.period.first_s()),
        to: rfc3339(head.period.last_s()),
        first_asked_at: rfc3339(head.first_asked_at_s),
        last_asked_at: rfc3339(head.last_asked_at_s),
        total: &head.total,
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn document<'a>(restored: &'a Restored, db: &Path, from: &Path) -> Document<'a> {
    let Restored { reach, replaced, .. } = restored;
    let readable = replaced.as_ref().and_then(|replaced| replaced.as_ref().ok());
    Document {
        db: text(db),
        from: text(from),
        kept: restored.kept.as_deref().map(text),
        moved: restored.moved.iter().map(|path| text(path)).collect(),
        migrated_from: restored.migrated_from,
        last_record: reach.last_record.as_ref().map(shown_record),
        last_void: reach.last_void.as_ref().map(shown_record),
        last_statement: reach.last_statement.as_ref().map(shown_head),
        replaced: readable.map(|Replaced { reach, untold, differs }| ShownReplaced {
            last_record: reach.last_record.as_ref().map(shown_record),
            last_void: reach.last_void.as_ref().map(shown_record),
            last_statement: reach.last_statement.as_ref().map(shown_head),
            untold: untold.iter().map(shown_head).collect(),
            differs,
        }),
        unreadable: replaced.as_ref().and_then(|replaced| Some(replaced.as_ref().err()?.as_str())),
    }
}

/// Until when books hold what happened, in words.
fn reach_words(reach: &Reach) -> [String; 3] {
    let words = |record: Option<&LastRecord>, done| {
        record.map_or_else(
            || "none".to_owned(),
            |LastRecord { id, at_s, recorded_at_s }| {
                format!("dated {}, {done} {} ({id})", rfc3339(*at_s), rfc3339(*recorded_at_s))
            },
        )
    };
    let record = words(reach.last_record.as_ref(), "recorded");
    let void = words(reach.last_void.as_ref(), "taken back");
    let statement = reach.last_statement.as_ref().map_or_else(
        || "none".to_owned(),
        |head| {
            let (kind, window) = (head.kind, moment::window(head.period));
            format!("{kind} of {window}, last asked {}", rfc3339(head.last_asked_at_s))
        },
    );
    [record, void, statement]
}

fn print(out: &mut ForPeople<'_>, restored: &Restored, db: &Path, from: &Path) -> io::Result<()> {
    let [record, void, statement] = reach_words(&restored.reach);
    let mut properties = vec![
        ("database", text(db)),
        ("restored from", text(from)),
        ("last record", record),
        ("last void", void),
        ("last statement", statement),
    ];
    if let Some(kept) = &restored.kept {
        properties.push(("kept", text(kept)));
    }
    let replaced = restored.replaced.as_ref().and_then(|replaced| replaced.as_ref().ok());
    if let Some(Replaced { reach, .. }) = replaced {
        let [record, void, statement] = reach_words(reach);
        properties.extend([
            ("its last record", record),
            ("its last void", void),
            ("its last statement", statement),
        ]);
    }
    print_properties(out, &properties)?;
    let Some(Replaced { untold, .. }) = replaced.filter(|replaced| !replaced.untold.is_empty())
    else {
        return Ok(());
    };
    writeln!(out, "\nAgora received these statements, and the restored books do not have them:")?;
    let names = ["number#", "kind", "window", "first asked", "last asked", "total#"];
    let mut columns = Columns::new(&names);
    for head in untold {
        columns.row([
            head.seq.to_string(),
            head.kind.to_string(),
            moment::window(head.period),
            rfc3339(head.first_asked_at_s),
            rfc3339(head.last_asked_at_s),
            head.total.clone(),
        ]);
    }
    columns.print(out)
}

/// Says what the operator has to do about what was replaced.
fn point_out(shell: &mut Shell<'_>, restored: &Restored) {
    if let Some(version) = restored.migrated_from {
        shell.note(&format!(
            "the backup has schema version {version}: its copy was migrated, and the backup stays \
             as it is"
        ));
    }
    match (&restored.replaced, &restored.kept) {
        (Some(Err(reason)), Some(kept)) => shell.note(&format!(
            "the replaced database cannot be read ({reason}): what Agora was told since the backup \
             is not known; {} is kept for somebody who can read it",
            kept.display()
        )),
        (Some(Ok(Replaced { reach, untold, differs })), Some(kept)) => {
            if !untold.is_empty() {
                shell.note(&format!(
                    "Agora received {} statements that the restored books do not have: see \
                     docs/operations.md before the next bill is asked for",
                    untold.len()
                ));
            }
            if !differs.is_empty() {
                shell.note(&format!(
                    "the replaced books differ in this as well: {}; do again what was done there \
                     since the backup, before you import (docs/operations.md)",
                    differs.join(", ")
                ));
            }
            let here = &restored.reach;
            let which = if reach.last_record == here.last_record {
                "took another record back"
            } else {
                "end with another record"
            };
            if (&reach.last_record, &reach.last_void) != (&here.last_record, &here.last_void) {
                shell.note(&format!(
                    "the replaced books {which}: `agora-vendor --db={} export` writes their \
                     records for `import`, which passes over those that are there, and takes back \
                     what they took back",
                    shell_quoted(&text(kept))
                ));
            }
        }
        (None, _) if !restored.moved.is_empty() => shell.note(&format!(
            "files lay there without their database, and are kept: {}",
            restored.moved.iter().map(|path| text(path)).collect::<Vec<_>>().join(", ")
        )),
        _ => {}
    }
}

pub(super) fn run(args: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let explain = |shell: &Shell<'_>, error| {
        if matches!(&error, store::Error::NotOurs(path) if *path == args.file) {
            return Failure::failed(format!(
                "{} is not an agora-vendor database: name a file that `agora-vendor backup` made",
                args.file.display()
            ));
        }
        shell.database.explain(error)
    };
    let opened = args.opened_by_root()?;
    let candidate = Candidate::prepare(shell.database.path(), &args.file, opened)
        .map_err(|error| explain(shell, error))?;
    let differences = &candidate.report().differences;
    if !differences.is_empty() {
        for difference in differences.iter().take(NAMED) {
            shell.note(&check::words(difference));
        }
        return Err(Failure::failed(format!(
            "the backup {} is not sound ({} differences): nothing was changed; restore another one",
            args.file.display(),
            differences.len()
        )));
    }
    let restored = candidate.put(shell.now_s).map_err(|error| explain(shell, error))?;
    let db = shell.database.path().to_owned();
    shell.print(&document(&restored, &db, &args.file), |out| {
        print(out, &restored, &db, &args.file)
    })?;
    point_out(shell, &restored);
    Ok(Exit::Done)
}
