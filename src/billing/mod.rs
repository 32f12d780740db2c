//! The decisions, as pure functions: values in, values out.
//!
//! Nothing here knows SQL, HTTP, JSON, files, the environment or the clock; nothing here is a
//! float, and nothing is rounded.

pub mod adjustment;
pub mod amount;
pub mod asked;
pub mod bill;
pub mod escape;
pub mod event;
pub mod history;
pub mod id;
pub mod key;
#[cfg(any(test, fuzzing))]
pub mod law;
pub mod license;
pub mod month_elsewhere;
pub mod period;
pub mod plan;
pub mod price;
pub mod record;
pub mod setting;
pub mod statement;
