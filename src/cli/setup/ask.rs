//! Questions on a terminal: each says what it means, and Enter takes what stands in brackets.

use crate::billing::escape::escape;
use crate::cli::failure::Failure;
use std::io::{self, Write};

/// Says something before a question.
pub(super) fn explain(text: &str) {
    tell(&format!("\n{text}\n"));
}

/// Asks until the answer can be read; an empty one is the default, where there is one.
pub(super) fn ask<T>(
    what: &str,
    default: Option<&str>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<T, Failure> {
    loop {
        let shown = default.map(|default| format!(" [{default}]")).unwrap_or_default();
        tell(&format!("{what}{shown}: "));
        let line = line()?;
        let answer = match (line.trim(), default) {
            ("", Some(default)) => default,
            (typed, _) => typed,
        };
        match read(answer) {
            Ok(read) => return Ok(read),
            Err(reason) => tell(&format!("{answer:?}: {reason}\n")),
        }
    }
}

/// Asks for leave.
pub(super) fn is_agreed(what: &str) -> Result<bool, Failure> {
    ask(what, Some("yes"), |answer| match answer.to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(true),
        "n" | "no" => Ok(false),
        _ => Err("answer yes or no".to_owned()),
    })
}

/// The end of a dialog before its last question.
pub(super) fn stopped() -> Failure {
    Failure::failed("stopped: nothing was changed")
}

fn line() -> Result<String, Failure> {
    let mut line = String::new();
    match io::stdin().read_line(&mut line) {
        Ok(0) => Err(stopped()),
        Ok(_) => Ok(line),
        Err(error) => {
            Err(Failure::failed(format!("the answer cannot be read from the terminal: {error}")))
        }
    }
}

fn tell(text: &str) {
    let lines: Vec<String> = text.split('\n').map(|line| escape(line).into_owned()).collect();
    // Where stderr is gone there is nobody to ask, and what is typed is read all the same.
    let mut err = io::stderr();
    let _told = write!(err, "{}", lines.join("\n")).and_then(|()| err.flush());
}
