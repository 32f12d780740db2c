//! Whether the books can be read and grow: what is asked of a server that is to be sent requests.

use crate::store::{ReadTx, Result, schema};
use std::io;
use std::path::Path;

/// Reads a row of the ledger's kind, and whether the schema is still the one that this executable
/// knows: a newer one may have migrated the books.
///
/// # Errors
/// When the schema is another one; when SQLite fails.
pub fn check(tx: &ReadTx<'_>, path: &Path) -> Result<()> {
    const SELECT: &str = "select coalesce(max(seq), 0) from usage_ledger";
    let _last: i64 = tx.sql().prepare_cached(SELECT)?.query_row([], |row| row.get(0))?;
    schema::verify(tx.sql(), path)
}

/// How many bytes more may be written where the books lie.
///
/// # Errors
/// When the system does not say.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let disk = rustix::fs::statvfs(folder.unwrap_or(Path::new(".")))?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}
