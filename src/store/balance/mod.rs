//! Balances: what is told of each month beside the month's own bill, and what is due of it.
//!
//! What a month's bill says stands in its statement. Its balances say the rest, for those projects
//! that have any: what bills of later months tell of it, and what it costs less all that is told.
//! Where its own bill tells all, a project has no line. So a bill that is asked for looks for
//! nothing in the statements of other bills.
//!
//! Whatever changes what a month costs, or what its own bill tells, writes a **mark** in its own
//! transaction. What is due of a marked project is not known until it is priced, and a mark is
//! removed by nothing but the transaction that writes down what is due by then. So a mark that
//! stands too long costs time, and never money.
//!
//! `lines` reads and writes the rows, `mark` the marks; `price` knows what is due by now, and
//! settles marked months; `due` gathers what a bill can tell; `told_change` keeps what it told;
//! `anew` makes all of it again from the statements; `stated_month` reads what was told of one
//! month.

mod anew;
mod due;
mod lines;
pub(super) mod mark;
mod price;
mod stated_month;
mod told_change;

pub use anew::{Problem, anew};
pub(super) use anew::{problems, write_anew};
pub use due::dues;
pub use lines::{Balance, Balances, billed_from, unsettled};
pub(super) use price::open;
pub use price::{SettledMonth, now, own};
pub use stated_month::{StatedMonth, StatedProject};
pub(super) use told_change::ToldChange;
