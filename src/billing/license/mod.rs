//! Licenses: what was issued, what is done with them, and what they cover.

mod cover;
mod issued;
mod ledger;
mod operation;
mod pace;

pub use cover::{Draw, Drawable, Residue, Standing, draw, fold};
pub use issued::{License, NotPlatforms, Platforms, Revocation, State, TypeGrant};
pub use ledger::{Entry, EntryKind};
pub use operation::{Act, Asked, Changed, Extension, NewLicense, Operation, Refusal};
pub use pace::runs_out_in;
