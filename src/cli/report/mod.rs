//! `report`: a month on one page for people, as a file of HTML.
//!
//! `month` says what the page is about. `usage`, `bill`, `statement`, `late` and `license` are its
//! sections: each reads what it shows, and lays it out. `page` puts the page together, `grid` makes
//! tables, `chart` drawings, `file` the file.

mod bill;
mod chart;
mod file;
mod grid;
mod late;
mod license;
mod month;
mod page;
mod statement;
mod usage;

use crate::cli::command::Shell;
use crate::cli::failure::{Exit, Failure};
use crate::cli::moment::Month;
use crate::cli::named::NamedFile;
use crate::cli::sentence::Sentence;
use file::PageFile;
use page::ReportPage;
use serde_json::json;
use std::io;
use std::path::{Path, PathBuf};

/// Write a month's usage, bill, statements and licenses on one page of HTML
///
/// The page is one file without scripts. It loads nothing from elsewhere, and can be read in any
/// browser and on paper. Its figures are those of `totals`, `bill`, `statement` and `license`, all
/// of one state of the database. Contacts of customers are not on it, but for their names.
///
/// The file is readable by its owner alone. A report of the same month is replaced by the new one;
/// any other file is left as it is.
#[derive(clap::Args)]
#[command(after_help = "Example: agora-vendor report --month 2026-10 --out 2026-10.html")]
pub(super) struct Args {
    /// The month, e.g. 2026-10
    #[arg(long)]
    month: Month,

    /// The file to write; - is standard output
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Args {
    /// The file that root makes before it becomes the owner of the books. A page that stands there
    /// already is looked at first.
    pub(super) fn files(&self) -> Vec<NamedFile> {
        let is_new = self.out != Path::new("-") && self.out.symlink_metadata().is_err();
        is_new.then(|| NamedFile::New(self.out.clone())).into_iter().collect()
    }
}

pub(super) fn run(args: &Args, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let name = args.month.to_string();
    let to_file = (args.out != Path::new("-")).then(|| PageFile::find(&args.out, &name));
    let to_file = to_file.transpose()?;
    if to_file.is_none() && shell.wants_json() {
        return Err(Failure::words(
            "--out - prints the page itself, and --json tells which file was written: leave one \
             of them out",
        ));
    }
    let now_s = shell.now_s;
    let page = shell.open()?.read(|tx| ReportPage::read(tx, args.month, now_s))?;
    let text = page.text();
    match to_file {
        Some(file) => {
            file.write(text.as_bytes())?;
            let written = args.out.display().to_string();
            let document = json!({ "month": name, "file": written, "bytes": text.len() });
            shell.print(&document, |out| writeln!(out, "wrote {written}"))?;
        }
        None => match shell.out().write_all(text.as_bytes()) {
            // Nobody reads any more.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            written => written?,
        },
    }
    match page.unpriced() {
        0 => {}
        count => {
            let sentence = Sentence::from(format!("projects without a price: {count}"));
            shell.point_out(sentence.hint("plan set", "sets a plan up"));
        }
    }
    Ok(Exit::Done)
}
