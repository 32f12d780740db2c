//! The usage ledger: writing records and taking them back, what a window adds up to and of which
//! records, listing and exporting.

mod export;
mod find;
mod list;
mod provenance;
mod sums;
mod write;

pub use crate::store::rollup::UsageSum;
pub use export::{Export, Exported};
pub use find::{find, has_ids_of};
pub use list::{KeptRecord, RecordFilter, RecordList, show};
pub use provenance::Provenance;
pub use sums::{by_project, by_stretch, to_price};
pub use write::{RecordOutcome, RecordRefusal, Slice, VoidOutcome, record, void};
