//! Says what is wrong with a disk that the executable finds after a power cut or a failure.

use crate::stage::{History, SERVE, Stage, ask, words};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The rows of all tables, as text.
type Books = BTreeMap<String, Vec<String>>;

/// What a disk holds: the books, and a copy of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub books: Option<Books>,
    pub copy: Option<Books>,
}

impl State {
    /// What lies in a folder; the files may be changed by looking.
    pub fn of(folder: &Path) -> Self {
        let books = |name: &str| {
            let file = folder.join(name);
            file.exists().then(|| read(&file).unwrap_or_else(|error| unreadable(&error)))
        };
        Self { books: books("agora-vendor.db"), copy: books("copy.db") }
    }

    /// What lies in a folder, whose files are left alone.
    pub fn of_copy(folder: &Path) -> Self {
        let copy = tempfile::tempdir().expect("a folder");
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name");
            if !name.as_encoded_bytes().ends_with(b"-shm") {
                fs::copy(&path, copy.path().join(name)).expect("a copy");
            }
        }
        Self::of(copy.path())
    }

    /// Tells whether this holds a beginning of what `whole` holds in its ledger.
    fn is_part_of(&self, whole: &Self) -> bool {
        let (Some(part), Some(whole)) = (&self.books, &whole.books) else {
            return false;
        };
        let (part, whole) = (&part["usage_ledger"], &whole["usage_ledger"]);
        whole.starts_with(part)
    }

    /// In which tables two states differ, with a row of each.
    fn differs(&self, other: &Self) -> String {
        let mut words = Vec::new();
        for (name, here, there) in
            [("books", &self.books, &other.books), ("copy", &self.copy, &other.copy)]
        {
            match (here, there) {
                (Some(here), Some(there)) => {
                    for (table, rows) in here {
                        let others = there.get(table).map_or(&[][..], |rows| rows);
                        if rows != others {
                            let row = rows.iter().find(|row| !others.contains(row));
                            let missing = others.iter().find(|row| !rows.contains(row));
                            words.push(format!("{name}, {table}: {row:?} for {missing:?}"));
                        }
                    }
                }
                (None, None) => {}
                (here, _) => words.push(format!("{name} there: {}", here.is_some())),
            }
        }
        words.join(", ")
    }
}

fn unreadable(error: &rusqlite::Error) -> Books {
    BTreeMap::from([("unreadable".to_owned(), vec![error.to_string()])])
}

fn read(file: &Path) -> rusqlite::Result<Books> {
    let sql = Connection::open(file)?;
    let mut names = sql.prepare("select name from sqlite_schema where type = 'table'")?;
    let names = names.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    let mut books = Books::new();
    // Which backups were made is noted after they are, for `doctor`: a copy is as good without.
    for name in names.into_iter().filter(|name| name != "backup_made") {
        // New books have a test pair that is new.
        let columns = match name.as_str() {
            "api_key" => "purpose, created_at_s, revoked_at_s",
            _ => "*",
        };
        let mut select = sql.prepare(&format!("select {columns} from \"{name}\""))?;
        let columns = select.column_count();
        let mut rows = select.query([])?;
        let mut texts = Vec::new();
        while let Some(row) = rows.next()? {
            let values = (0..columns).map(|column| {
                let value = row.get_ref(column)?;
                let text = value.as_str().map(str::to_owned);
                Ok(text.unwrap_or_else(|_| format!("{value:?}")))
            });
            texts.push(values.collect::<rusqlite::Result<Vec<_>>>()?.join("|"));
        }
        books.insert(name, texts);
    }
    Ok(books)
}

/// What must be found after a step of a history was cut off or failed.
pub struct Judge<'a> {
    pub history: &'a History,
    pub step: usize,
    /// Whether whoever asked was told that it is done.
    pub answered: bool,
}

impl Judge<'_> {
    /// What is wrong with the disk of `stage`.
    pub fn verdict(&self, stage: &Stage) -> Result<(), String> {
        let is_old = self.history.case.old_books.is_some();
        // Books of an earlier version have no check.
        if !is_old && stage.db().exists() {
            sound(stage, "check")?;
        }
        if stage.root().join("copy.db").exists() {
            sound(stage, "--db DISK/copy.db check")?;
        }
        let found = State::of(&stage.root());
        self.allowed(&found)?;
        self.again(stage, &found)?;
        sound(stage, "check")
    }

    /// Whether this is what was there before, or is there after; after an answer the latter alone.
    fn allowed(&self, found: &State) -> Result<(), String> {
        let before = self.history.before(self.step);
        let after = &self.history.steps[self.step].after;
        let is_part =
            || self.history.case.in_parts && before.is_part_of(found) && found.is_part_of(after);
        if found == after || (!self.answered && (found == before || is_part())) {
            return Ok(());
        }
        let than = if self.answered { "what was told" } else { "what was begun" };
        Err(format!("the disk holds something else than {than}: {}", found.differs(after)))
    }

    /// The same command again does what is left of it.
    fn again(&self, stage: &Stage, found: &State) -> Result<(), String> {
        let step = &self.history.steps[self.step];
        let stands = self.history.case.refuses_again && found == &step.after;
        for (name, text) in &self.history.case.inputs {
            fs::write(stage.vendor.path(name), text).expect("a file");
        }
        if ["POST", "DELETE", "BILL"].contains(&step.command[0].as_str()) {
            let mut server = stage.vendor.serve_by(stage.command(&words(SERVE)));
            let answer = ask(&server, &step.command).expect("a request");
            // It answers before it keeps what it told.
            server.kill();
            return match answer.status {
                200 => Ok(()),
                _ => Err(format!("asked again it answers {answer:?}")),
            };
        }
        let ended = stage.run(&step.command);
        if ended.code != i32::from(stands) {
            return Err(format!("again it ends with {}: {}", ended.code, ended.err));
        }
        let now = State::of(&stage.root());
        if now != step.after {
            return Err(format!("again it leaves something else: {}", now.differs(&step.after)));
        }
        Ok(())
    }
}

/// Whether `check` is content with the books.
fn sound(stage: &Stage, check: &str) -> Result<(), String> {
    let ended = stage.run(&words(check));
    match ended.code {
        0 => Ok(()),
        code => Err(format!("{check} ends with {code}: {}{}", ended.out, ended.err)),
    }
}
