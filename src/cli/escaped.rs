//! Text from a file, an argument or a request, as it is shown on a terminal.

use std::fmt::{self, Display, Write};

/// `text` with its control characters escaped (C0, DEL, C1), and those that change the direction of
/// text or begin a line: a file must not drive the terminal that names it.
pub(super) fn escaped(text: &str) -> impl Display {
    Escaped(text)
}

struct Escaped<'t>(&'t str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(drives_a_terminal) {
            let (plain, from) = rest.split_at(at);
            f.write_str(plain)?;
            let mut characters = from.chars();
            if let Some(character) = characters.next() {
                character.escape_default().try_for_each(|part| f.write_char(part))?;
            }
            rest = characters.as_str();
        }
        f.write_str(rest)
    }
}

fn drives_a_terminal(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_drive_a_terminal_is_escaped_and_all_else_stays() {
        for (text, shown) in [
            ("plain, ünïcode 漢字 🙂", "plain, ünïcode 漢字 🙂"),
            ("\u{1b}[2J\u{9b}2J\u{7f}", r"\u{1b}[2J\u{9b}2J\u{7f}"),
            ("a\nb\tc\r", r"a\nb\tc\r"),
            ("\u{202e}x\u{2066}\u{200f}\u{2028}", r"\u{202e}x\u{2066}\u{200f}\u{2028}"),
            ("", ""),
        ] {
            assert_eq!(escaped(text).to_string(), shown);
        }
    }
}
