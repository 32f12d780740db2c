//! Balances: what Agora has been told of each month by the newest kept bills of all months, and
//! what the month costs.
//!
//! A month has one document, with a line for each project. The transaction that keeps a bill
//! rewrites it: what the bill tells takes the place of what its month's bill before told. So
//! nothing has to be looked for in statements. What a project costs of a month is what its line
//! says, unless there is a mark. The transaction that changes what the month costs writes the mark
//! (`store/mark`). So a bill prices its own month, and of earlier months the marked projects alone.
//!
//! `lines` reads and writes the documents, `mark` knows what may cost something else by now,
//! `due` adds up what a bill can tell of earlier months, `draft` keeps what it told,
//! `settle` prices marked months ahead of the bills that tell it, `anew` makes all of it again from
//! the statements, and `stated_month` reads what was told of one month, and by which bills.

mod anew;
mod draft;
mod due;
mod lines;
mod mark;
mod settle;
mod stated_month;

pub use anew::{Problem, told};
pub(super) use anew::{problems, write_anew};
pub use draft::BalanceDraft;
pub(super) use draft::{drafts, is_outdone, keep};
pub use due::{Costs, Dues, dues};
pub use lines::{Balance, Balances, billed_from, unsettled};
pub use mark::last_mark;
pub(super) use settle::open;
pub use settle::{now, settle};
pub use stated_month::{StatedMonth, StatedProject};
