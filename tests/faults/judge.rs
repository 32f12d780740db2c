//! Says what is wrong with a disk that the executable finds after a power cut or a failure.

use crate::stage::{History, SERVE, Stage, ask, is_request, words};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The rows of all tables, as text.
type Books = BTreeMap<String, Vec<String>>;

/// What a disk holds: the books, a copy of them, and the first books that a restore replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub books: Option<Books>,
    pub copy: Option<Books>,
    pub replaced: Option<Books>,
}

impl State {
    /// What lies in a folder; the files may be changed by looking.
    pub fn of(folder: &Path) -> Self {
        let books = |name: &str| {
            let file = folder.join(name);
            file.exists().then(|| read(&file).unwrap_or_else(|error| unreadable(&error)))
        };
        let entries = fs::read_dir(folder).expect("a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let names = names.filter_map(|name| name.into_string().ok());
        // Of one second: the first is named without a number, and sorts last.
        let replaced = names.filter(|name| name.ends_with(".replaced")).max();
        Self {
            books: books("agora-vendor.db"),
            copy: books("copy.db"),
            replaced: replaced.and_then(|name| books(&name)),
        }
    }

    /// The same without what billed months cost, and what marks them to be priced anew.
    fn without_costs(mut self) -> Self {
        for table in ["balance", "mark", "sqlite_sequence"] {
            self.books.as_mut().map(|books| books.remove(table));
        }
        self
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

    /// The same without what is made by chance: the key and the secret of a project, and the id of
    /// a license that Agora had activated.
    fn without_chance(mut self) -> Self {
        let Some(books) = &mut self.books else { return self };
        for row in books.get_mut("project").into_iter().flatten() {
            *row = row.rsplitn(3, '|').last().unwrap_or_default().to_owned();
        }
        for row in books.get_mut("license").into_iter().flatten() {
            let is_short = |part: &&str| part.len() != 32;
            *row = row.split('|').filter(is_short).collect::<Vec<_>>().join("|");
        }
        self
    }

    /// In which tables two states differ, with a row of each.
    fn differs(&self, other: &Self) -> String {
        let mut words = Vec::new();
        for (name, here, there) in [
            ("books", &self.books, &other.books),
            ("copy", &self.copy, &other.copy),
            ("replaced", &self.replaced, &other.replaced),
        ] {
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
    // Which backups were made is noted after they are, for `doctor`: a copy is as good without. And
    // pages can be begun anew.
    let told = |name: &String| !["backup_made", "snapshot"].contains(&name.as_str());
    for name in names.into_iter().filter(told) {
        let mut select = sql.prepare(&format!("select {} from \"{name}\"", chosen(&name)))?;
        // How often a statement was asked for is no promise, and whoever asks again changes it.
        let counts = ["asked", "last_asked_at_s", "last_knew_seq"];
        let is_count = |column: usize| {
            let column = select.column_name(column).unwrap_or_default();
            name == "statement" && counts.contains(&column)
        };
        let columns: Vec<usize> = (0..select.column_count()).filter(|n| !is_count(*n)).collect();
        let mut rows = select.query([])?;
        let mut texts = Vec::new();
        while let Some(row) = rows.next()? {
            let values = columns.iter().map(|column| {
                let value = row.get_ref(*column)?;
                let text = value.as_str().map(str::to_owned);
                Ok(text.unwrap_or_else(|_| format!("{value:?}")))
            });
            texts.push(values.collect::<rusqlite::Result<Vec<_>>>()?.join("|"));
        }
        books.insert(name, texts);
    }
    Ok(books)
}

/// The columns of a table: keys that are made, which are long, are made by chance.
fn chosen(table: &str) -> &'static str {
    match table {
        "api_key" => {
            "iif(length(api_key) < 32, api_key, null), purpose, created_at_s, revoked_at_s"
        }
        _ => "*",
    }
}

/// What must be found after a step of a history was cut off or failed.
pub struct Judge<'a> {
    pub history: &'a History,
    pub step: usize,
    /// Whether whoever asked was told that it is done.
    pub answered: bool,
    /// Whether it was another run than the history's, which has made other secrets and ids.
    pub anew: bool,
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
        let is_done = if self.anew || self.history.case.settles {
            self.is_after(found)
        } else {
            found == after
        };
        let is_begun = || found == before || is_part() || self.is_after(found);
        if is_done || (!self.answered && is_begun()) {
            return Ok(());
        }
        let than = if self.answered { "what was told" } else { "what was begun" };
        Err(format!("the disk holds something else than {than}: {}", found.differs(after)))
    }

    /// Whether this is what is there after the command, but for secrets and made ids. What
    /// `settles` is not answered for: `check` works it out too.
    fn is_after(&self, found: &State) -> bool {
        let step = &self.history.steps[self.step];
        let [found, after] = [found, &step.after].map(|state| {
            let state = state.clone().without_chance();
            if self.history.case.settles { state.without_costs() } else { state }
        });
        found == after
    }

    /// The same command again does what is left of it.
    fn again(&self, stage: &Stage, found: &State) -> Result<(), String> {
        let step = &self.history.steps[self.step];
        let stands = self.history.case.refuses_again && found == &step.after;
        for (name, text) in &self.history.case.inputs {
            fs::write(stage.vendor.path(name), text).expect("a file");
        }
        if is_request(&step.command) {
            let mut server = stage.vendor.serve_by(stage.command(&words(SERVE)));
            let answer = ask(&server, &step.command);
            // It answers before it keeps what it told.
            server.kill();
            if answer.as_ref().is_none_or(|answer| answer.status != 200) {
                return Err(format!("asked again it answers {answer:?}"));
            }
        } else {
            let ended = stage.run(&step.command);
            if ended.code != i32::from(stands) {
                return Err(format!("again it ends with {}: {}", ended.code, ended.err));
            }
        }
        let now = State::of(&stage.root());
        let is_kept = self.history.case.settles || !self.is_after(found) || now == *found;
        if !self.is_after(&now) || !is_kept {
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
