//! Licenses: what was issued, what is done with them, and what they cover.

mod cover;
mod issued;
mod ledger;
mod operation;
mod pace;

pub use cover::{Draw, Drawable, LicenseSummary, Residue, draw, fold};
pub use issued::{License, LicenseState, NotPlatforms, Platforms, Revocation, TypeGrant};
pub use ledger::{EntryKind, LicenseEntry};
pub use operation::{
    Act, Extension, KeptOperation, LicenseChange, LicenseRefusal, NewLicense, Operation,
};
pub use pace::runs_out_in;
