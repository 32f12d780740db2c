//! How SQLite has the books open, and whether they are laid out as they were made.

use crate::store::{ReadTx, Result, schema};

/// How SQLite has the books open: its settings as they are read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// `wal`: others read while one writes.
    pub journal_mode: String,
    /// 2: a commit is on the disk before it returns.
    pub synchronous: i64,
    /// Whether a row refers to one that is there.
    pub foreign_keys: bool,
    /// Whether what is blanked is overwritten.
    pub secure_delete: bool,
    /// The version of the schema.
    pub schema_version: i64,
    /// The names of tables, indexes and triggers that are not as they were made.
    pub changed: Vec<String>,
}

impl Condition {
    /// Reads it.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn read(tx: &ReadTx<'_>) -> Result<Self> {
        let number = |pragma| -> Result<i64> {
            Ok(tx.sql().pragma_query_value(None, pragma, |row| row.get(0))?)
        };
        Ok(Self {
            journal_mode: tx.sql().pragma_query_value(None, "journal_mode", |row| row.get(0))?,
            synchronous: number("synchronous")?,
            foreign_keys: number("foreign_keys")? == 1,
            secure_delete: number("secure_delete")? == 1,
            schema_version: number("user_version")?,
            changed: schema::changed(tx.sql())?,
        })
    }

    /// Tells whether the settings are those that no commit is lost under.
    pub fn is_durable(&self) -> bool {
        self.journal_mode == "wal" && self.synchronous == 2 && self.foreign_keys
    }
}
