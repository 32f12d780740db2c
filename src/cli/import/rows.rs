//! The rows of a file, one after the other, whatever they are written in.
//!
//! A row is taken by its text, exactly: no number goes through a float. A row that is bad says
//! which field, and what is needed.

use crate::cli::import::container::Broken;
use crate::cli::import::csv_rows::{CsvRows, Header};
use crate::cli::import::json_rows::JsonRows;
use crate::cli::import::lines::TextLines;
use crate::cli::import::row::{BadRow, Format, NoRow, ReadAs, Row, RowPlace};
use std::io::Read;

/// The rows of a file, one after the other.
pub(super) struct Rows<'f> {
    lines: TextLines<'f>,
    form: RowsForm,
    read_as: ReadAs,
    /// How many blank lines before the first row are still to be told.
    blanks: u64,
}

enum RowsForm {
    Csv(CsvRows),
    Jsonl(JsonRows),
}

impl<'f> Rows<'f> {
    /// Starts to read the rows of a file.
    ///
    /// # Errors
    /// When it cannot be read, or is CSV without the columns that are needed.
    pub(super) fn read(file: impl Read + 'f, read_as: ReadAs) -> Result<Self, Broken> {
        Self::of(TextLines::read(file)?, read_as)
    }

    /// Starts to read the rows of the lines of a file.
    ///
    /// # Errors
    /// When they cannot be read, or are CSV without the columns that are needed.
    pub(super) fn of(mut lines: TextLines<'f>, read_as: ReadAs) -> Result<Self, Broken> {
        let (form, blanks) = match read_as.format {
            Format::Jsonl => (RowsForm::Jsonl(JsonRows::default()), 0),
            Format::Csv => {
                let (rows, blanks) = CsvRows::start(&mut lines, read_as.makes_ids())?;
                (RowsForm::Csv(rows), blanks)
            }
        };
        Ok(Self { lines, form, read_as, blanks })
    }

    /// The columns that say nothing here.
    pub(super) fn other_columns(&self) -> &[String] {
        match &self.form {
            RowsForm::Csv(rows) => rows.others(),
            RowsForm::Jsonl(_) => &[],
        }
    }

    /// What the first line says, where it names columns.
    pub(super) fn header(&self) -> Option<&Header> {
        match &self.form {
            RowsForm::Csv(rows) => Some(rows.header()),
            RowsForm::Jsonl(_) => None,
        }
    }

    /// Whether a row that is whole may yet have been cut short, in its last field: of CSV whose
    /// last line has no end. An object has one.
    pub(super) fn may_be_cut(&self) -> bool {
        matches!(self.form, RowsForm::Csv(_)) && self.lines.is_open()
    }

    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// When the file cannot be read any further.
    pub(super) fn next(&mut self) -> Result<Option<Result<Row, NoRow>>, Broken> {
        let Self { lines, form, read_as, blanks } = self;
        if *blanks > 0 {
            *blanks -= 1;
            return Ok(Some(Err(NoRow::Blank)));
        }
        let mut text = Vec::new();
        let found = match form {
            RowsForm::Csv(rows) => rows.find(lines, &mut text)?,
            RowsForm::Jsonl(_) => JsonRows::find(lines, &mut text)?,
        };
        let (line, whole) = match found {
            RowPlace::End => return Ok(None),
            RowPlace::Blank => return Ok(Some(Err(NoRow::Blank))),
            RowPlace::Row(line, whole) => (line, whole),
        };
        let said = whole.and_then(|()| match form {
            RowsForm::Csv(rows) => Ok(rows.read(&text, line, read_as)?.map(|said| (said, None))),
            RowsForm::Jsonl(rows) => rows.read(&text, line, read_as).map(Some),
        });
        Ok(Some(match said {
            Ok(Some(((record, void), others))) => Ok(Row { line, record, void, others, text }),
            Ok(None) => Err(NoRow::Blank),
            Err(reason) => Err(NoRow::Bad(BadRow { line, reason, text })),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEHIND_A_QUOTE: &str = "a quoted field goes on behind its closing quote: is a quote not \
                                  closed, or one inside a field not doubled?";

    fn read_as() -> ReadAs {
        ReadAs { format: Format::Csv, id_prefix: None, zone: None }
    }

    /// The line and the id of each row, or why it is none.
    fn told(text: &[u8]) -> Vec<(u64, String)> {
        let mut rows = Rows::read(text, read_as()).expect("a header");
        std::iter::from_fn(|| rows.next().expect("text"))
            .filter_map(|row| match row {
                Ok(row) => Some((row.line, row.record.id.to_string())),
                Err(NoRow::Bad(bad)) => Some((bad.line, bad.reason)),
                Err(NoRow::Blank) => None,
            })
            .collect()
    }

    fn of(lines: &[(u64, &str)]) -> Vec<(u64, String)> {
        lines.iter().map(|(line, said)| (*line, (*said).to_owned())).collect()
    }

    const HEADER: &str = "id,projectId,amount,at,more";

    #[test]
    fn a_row_is_on_the_line_on_which_an_editor_shows_its_start() {
        let row = |id: &str, more: &str| format!("{id},p,1,2026-10-10,{more}");
        for end in ["\n", "\r\n"] {
            let (several, last) = (format!("\"x{end}{end}\"\"y\""), row("d", ""));
            let rows = [
                HEADER,
                "",
                &row("a", ""),
                "",
                "",
                &row("b", &several),
                &row("c", "\"\""),
                "",
                &last,
            ];
            let wanted = of(&[(3, "a"), (6, "b"), (9, "c"), (11, "d")]);
            assert_eq!(told(rows.join(end).as_bytes()), wanted, "{end:?}");
            assert_eq!(
                told((end.to_owned() + &rows.join(end) + end + end).as_bytes()).first(),
                Some(&(4, "a".into()))
            );
        }
    }

    #[test]
    fn a_quote_that_is_not_closed_is_told_and_takes_no_other_row_with_it() {
        let rows = |second: &str, last: &str| {
            format!(
                "{HEADER}\na,p,1,2026-10-10,x\n{second}\nc,p,1,2026-10-10,y\n\
                 d,p,1,2026-10-10,{last}\n"
            )
        };
        let open = "a quote is opened and never closed";
        for (second, last, reason) in [
            // To the end of the file; up to another quote; one that is not doubled.
            ("b,p,1,2026-10-10,\"x", "z", open),
            ("b,p,1,2026-10-10,\"", "\"\"", open),
            ("b,p,1,2026-10-10,\"x", "\"z\"", BEHIND_A_QUOTE),
            ("b,p,1,2026-10-10,\"x\" y", "z", BEHIND_A_QUOTE),
            ("b,p,1,2026-10-10,\"x\"\r", "z", "it holds a bare CR: lines must end in LF or CRLF"),
        ] {
            let second = second.replace('\r', "\r,");
            let wanted = of(&[(2, "a"), (3, reason), (4, "c"), (5, "d")]);
            assert_eq!(told(rows(&second, last).as_bytes()), wanted, "{second} {last}");
        }
        // A quote inside a field that has none around it is a letter like any other.
        let wanted = of(&[(2, "a"), (3, "b"), (4, "c"), (5, "d")]);
        assert_eq!(told(rows("b,p,1,2026-10-10,5\" wide", "\"\"\"z\"\"\"").as_bytes()), wanted);
    }

    #[test]
    fn a_file_that_is_cut_short_in_its_last_row_says_so() {
        let whole = format!("{HEADER}\na,p,1,2026-10-10,x\nb,p,1,2026-10-10,\"y,\nz\"");
        assert_eq!(told(whole.as_bytes()), of(&[(2, "a"), (3, "b")]));
        for end in whole.rfind("b,").expect("a row") + 1..whole.len() {
            let rows = told(&whole.as_bytes()[..end]);
            let (line, said) = &rows[1];
            // All columns are there with the last comma: an empty last one cannot be told from one
            // that was cut off.
            let is_whole = whole[..end].ends_with("10,");
            assert_eq!((*line, said == "b"), (3, is_whole), "{} {said}", &whole[..end]);
        }
    }

    #[test]
    fn a_row_that_is_too_long_is_bad_and_no_other() {
        let long = "x".repeat(2 << 20);
        let plain = format!("b,p,1,2026-10-10,{long}");
        let quoted = format!("b,p,1,2026-10-10,\"{}\"", "x\r\n".repeat(400_000));
        for (row, lines, word) in [
            (&plain, 1, "the row is longer than 1 MiB"),
            (&quoted, 400_001, "is a quote not closed?"),
        ] {
            let rows = told(
                format!("{HEADER}\na,p,1,2026-10-10,x\n{row}\nc,p,1,2026-10-10,y\n").as_bytes(),
            );
            assert_eq!(rows.len(), lines + 2);
            assert_eq!((rows[1].0, rows[1].1.contains(word)), (3, true), "{}", rows[1].1);
            assert_eq!(
                rows[lines + 1],
                (u64::try_from(lines).expect("a line") + 3, "c".to_owned())
            );
        }
    }

    #[test]
    fn a_quote_on_every_line_costs_no_more_than_the_file_has_lines() {
        // Each line opens a quote that the next does not close, whether it is read by itself or as
        // what goes on behind the one before.
        let lines = 600_000;
        let file = format!("{HEADER}\n{}a,p,1,2026-10-10,x\n", "y\",\"z\n".repeat(lines));
        let rows = told(file.as_bytes());
        assert_eq!(rows.len(), lines + 1);
        let are_told = rows[..lines].iter().all(|(_, said)| said.contains("quote"));
        assert!(are_told && rows[lines].1 == "a");
    }
}
