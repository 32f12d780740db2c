//! Texts that a command reads.

use crate::cli::failure::Failure;
use crate::cli::named;
use std::io::Read;
use std::path::Path;

/// Reads a text from a file, or from standard input where the file is `-`.
pub(super) fn read_text(file: &Path, what: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text)
    } else {
        named::open(file).and_then(|mut opened| opened.read_to_string(&mut text))
    };
    read.map_err(|error| {
        Failure::failed(format!("{what} cannot be read from {}: {error}", file.display()))
    })?;
    Ok(text)
}
