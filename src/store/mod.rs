//! The books: the only SQL.
//!
//! One transaction, one truth: what belongs together commits together. The ledger only grows, and
//! every sum kept beside it can be recomputed from it. A commit that returns is on disk.

mod actor;
pub mod backup;
pub mod balance;
pub mod bill;
mod books;
mod carried;
pub mod check;
mod column;
pub mod condition;
mod connection;
pub mod copies;
pub mod customer;
mod document;
mod draft;
pub mod durations;
mod error;
pub mod event;
mod file;
pub mod history;
pub mod key;
pub mod late;
#[cfg(any(test, fuzzing))]
pub mod law;
pub mod license;
mod made_id;
pub mod migration;
pub mod newest;
mod owner;
pub mod plan;
pub mod project;
mod readers;
pub mod readiness;
pub mod restore;
mod rollup;
mod schema;
pub mod scratch;
pub mod setting;
pub mod snapshot;
mod sound;
pub mod statement;
pub mod statement_draft;
pub mod surroundings;
pub mod survey;
mod transaction;
pub mod usage;
mod writer;

pub use books::Store;
pub use connection::{WRITER_WAITS, sqlite_version};
pub use error::{Error, Result, SecondName};
pub use made_id::made_id;
pub use readers::{BooksVersion, Readers};
pub use transaction::{ReadTx, WriteTx};
pub use writer::{LockWaits, Writer};

use error::readable;
