//! Licenses: what was issued, their ledger, what is done with them, what usage draws from them, and
//! what their types grant.

mod content;
mod cover;
mod grant;
mod issued;
mod ledger;
mod operation;
mod words_of_before;

pub use cover::{covered_by, uncovered, uncovered_before};
pub(super) use cover::{drawable, give_back, write_draws};
pub use grant::{find_type, set_type, types};
pub use issued::{find, find_alike, ids, list, of};
pub use ledger::{BalanceChange, changes_since, history};
pub use operation::{News, OperationOutcome, Unknowns, operate};
