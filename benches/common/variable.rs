//! Lengths that the environment may shorten.

use crate::Outcome;

/// The value of a variable, a number above zero; `full` where it is not set.
pub fn variable(name: &str, full: usize) -> Outcome<usize> {
    let Some(text) = std::env::var_os(name) else {
        return Ok(full);
    };
    let number = text.to_str().and_then(|text| text.parse().ok()).filter(|number| *number > 0);
    number.ok_or_else(|| format!("{name} must be a whole number above zero").into())
}
