//! Text as it may be shown on a terminal and in a log: characters that a terminal obeys, or that
//! mislead the eye, stand as visible escapes.

use std::borrow::Cow;

/// Tells whether a character is escaped where text is printed. A terminal obeys control characters
/// (C0, DEL and C1). The others cannot be seen, break the line, or turn the direction of the text
/// around them. The joiners U+200C and U+200D are none of these: some scripts cannot be read
/// without them.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A text for people, on one line: hidden characters stand as `\n`, `\r`, `\t` or `\u{…}`. Escaping
/// an escaped text changes nothing.
pub fn escape(text: &str) -> Cow<'_, str> {
    escape_but(text, |_| false)
}

/// The same, but line feeds and tabs stay: for text that has several lines of our own making.
pub fn escape_lines(text: &str) -> Cow<'_, str> {
    escape_but(text, |c| matches!(c, '\n' | '\t'))
}

fn escape_but(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_escaped = |c: char| is_hidden(c) && !stays(c);
    if !text.contains(is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_escaped(c) {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_terminal_obeys_and_what_misleads_the_eye_is_seen() {
        for (text, seen) in [
            ("a\u{1b}[31mb", "a\\u{1b}[31mb"),
            ("\u{7f}\u{9b}2J", "\\u{7f}\\u{9b}2J"),
            ("a\tb\r\nc\0", "a\\tb\\r\\nc\\u{0}"),
            ("\u{202e}gnp\u{2066}\u{200e}", "\\u{202e}gnp\\u{2066}\\u{200e}"),
            ("a\u{2028}b\u{feff}c", "a\\u{2028}b\\u{feff}c"),
        ] {
            assert_eq!(escape(text), seen);
        }
        let plain = "é 😀 \u{1f469}\u{200d}\u{1f467} ×…\\";
        assert!(matches!(escape(plain), Cow::Borrowed(same) if same == plain));
        assert_eq!(escape_lines("a\nb\t\r"), "a\nb\t\\r");
    }

    proptest! {
        #[test]
        fn escaping_leaves_nothing_hidden_and_nothing_to_escape(text in any::<String>()) {
            let once = escape(&text).into_owned();
            prop_assert!(!once.contains(is_hidden));
            prop_assert_eq!(escape(&once), once.as_str());
        }
    }
}
