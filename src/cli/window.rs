//! `--day`, `--month`, `--from` and `--to`: a window of time, as several verbs take it.

use crate::billing::period::Period;
use crate::cli::failure::Failure;
use crate::cli::moment::{Day, Moment, Month, rfc3339};

/// A window of time; both ends are inside.
#[derive(clap::Args)]
pub(super) struct WindowArgs {
    /// From this time on, a day meaning its first second
    #[arg(long, value_name = "TIME", requires = "to", conflicts_with_all = ["day", "month"])]
    from: Option<Moment>,

    /// Up to and with this time, a day meaning its last second
    #[arg(long, value_name = "TIME", requires = "from", conflicts_with_all = ["day", "month"])]
    to: Option<Moment>,

    /// A whole day
    #[arg(long, conflicts_with = "month")]
    day: Option<Day>,

    /// A whole month
    #[arg(long)]
    pub(super) month: Option<Month>,
}

impl WindowArgs {
    /// The window, if one was given.
    pub(super) fn period(&self) -> Result<Option<Period>, Failure> {
        if let (Some(from), Some(to)) = (self.from, self.to) {
            let (first_s, last_s) = (from.first_s(), to.last_s());
            return Period::new(first_s, last_s).map(Some).ok_or_else(|| {
                Failure::words(format!(
                    "the window from {} to {} is empty: --from has to be before --to",
                    rfc3339(first_s),
                    rfc3339(last_s)
                ))
            });
        }
        Ok(self.day.map(Day::period).or_else(|| self.month.map(Month::period)))
    }
}
