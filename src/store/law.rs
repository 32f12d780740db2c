//! Laws of the documents of statements.

use crate::store::document::{CompressedLines, Text};

/// A text that is a document's says the same once it is kept and read back, and is kept in one
/// form. What is no document is said to be none.
pub fn document(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Ok(entries) = Text::of(1, text.to_owned()).entries() else { return };
    let kept = CompressedLines::of_entries(&entries).expect("it is short");
    let read = kept.text(1).and_then(|text| text.entries()).expect("what is kept is read");
    assert_eq!(read, entries);
    assert_eq!(CompressedLines::of_entries(&read).expect("it is short"), kept);
}
