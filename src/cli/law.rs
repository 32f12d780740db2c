//! Laws of files that the shell reads: plans, and rows of an import.

use crate::billing::price::Price;
use crate::cli::plan_file::{PlanFile, Terms};

pub use crate::cli::import::law::{csv_rows, json_rows};

/// A price of a file is the same once it is printed, as `plan show --json` does and as the books
/// hold it.
pub fn plan_file(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Ok(PlanFile { price, .. }) = PlanFile::read(text) else { return };
    let printed = serde_json::to_string(&Terms::new(&price)).expect("terms have a JSON form");
    let again = PlanFile::read(&printed).unwrap_or_else(|e| panic!("{printed}: {e}"));
    assert_eq!(again.price, price, "{printed}");
    let kept: Price = price.to_string().parse().unwrap_or_else(|e| panic!("{price}: {e}"));
    assert_eq!(kept, price);
}
