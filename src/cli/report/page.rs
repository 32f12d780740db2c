//! The page: what it says first, its sections, and the frame around them.

use crate::billing::amount::Amount;
use crate::billing::period;
use crate::cli::moment::{Month, rfc3339};
use crate::cli::report::bill::BillPart;
use crate::cli::report::file::{BEHIND_MONTH, START};
use crate::cli::report::grid::{counted, rooms};
use crate::cli::report::late::LatePart;
use crate::cli::report::license::LicensePart;
use crate::cli::report::month::ReportMonth;
use crate::cli::report::statement::StatementPart;
use crate::cli::report::usage::UsagePart;
use crate::store::{self, ReadTx};
use maud::{Markup, PreEscaped, html};

const STYLE: &str = include_str!("style.css");
/// Nothing on the page may run or be loaded, whatever gets onto it.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
/// The sections in their order, by id.
const SECTIONS: [(&str, &str); 5] = [
    ("usage", "Usage"),
    ("bill", "Bill"),
    ("statements", "Statements"),
    ("late", "Late usage"),
    ("licenses", "Licenses"),
];

/// A month as it stands on the page.
pub(super) struct ReportPage {
    month: ReportMonth,
    usage: UsagePart,
    bill: BillPart,
    statements: StatementPart,
    late: LatePart,
    licenses: LicensePart,
}

impl ReportPage {
    /// Reads all of it from one state of the books.
    pub(super) fn read(tx: &ReadTx<'_>, month: Month, now_s: i64) -> store::Result<Self> {
        let month = ReportMonth::read(tx, month, now_s)?;
        Ok(Self {
            usage: UsagePart::read(tx, &month)?,
            bill: BillPart::read(tx, &month)?,
            statements: StatementPart::read(tx, &month)?,
            late: LatePart::read(tx, &month)?,
            licenses: LicensePart::read(tx, &month)?,
            month,
        })
    }

    /// How many projects could not be priced.
    pub(super) fn unpriced(&self) -> usize {
        self.bill.unpriced()
    }

    /// The page as HTML.
    pub(super) fn text(&self) -> String {
        let title = format!("Usage and bill of {}", self.month.words());
        let style = format!("{STYLE}{}", rooms());
        let rest = html! {
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            meta name="robots" content="noindex";
            meta http-equiv="Content-Security-Policy" content=(POLICY);
            title { (title) }
            style { (PreEscaped(style)) }
        };
        let body = html! {
            body {
                a.skip href="#main" { "Skip to the figures" }
                header {
                    h1 { (title) }
                    p { (self.about()) }
                    nav aria-label="Sections" {
                        ul {
                            @for (id, name) in SECTIONS {
                                li { a href={ "#" (id) } { (name) } }
                            }
                        }
                    }
                }
                main #main tabindex="-1" {
                    (self.headlines())
                    (self.points())
                    (self.usage.section(&self.month))
                    (self.bill.section(&self.month))
                    (self.statements.section(&self.month))
                    (self.late.section(&self.bill, &self.month))
                    (self.licenses.section(&self.month))
                }
                footer {
                    p {
                        "Made by agora-vendor " (env!("CARGO_PKG_VERSION")) " at "
                        (rfc3339(self.month.now_s)) " from one state of its database. Figures are "
                        "exact: nothing is rounded. Days and months are those of UTC."
                    }
                }
            }
        };
        let (rest, body) = (rest.into_string(), body.into_string());
        let month = self.month.month;
        format!("{START}{month}{BEHIND_MONTH}{rest}</head>{body}</html>\n")
    }

    /// What the page is of, in a line.
    fn about(&self) -> String {
        let (from, to) = (self.month.first_s(), self.month.period.last_s());
        let over = if self.month.is_over() { "" } else { " The month is not over." };
        format!(
            "From {} to {}, as of {}.{over}",
            period::date(from),
            period::date(to),
            rfc3339(self.month.now_s)
        )
    }

    fn headlines(&self) -> Markup {
        let sum = self.usage.sum();
        let late = self.late.sum();
        let missing = self.statements.never_asked().len();
        let projects = self.usage.projects();
        let headline = |id: &str, name: &str, figure: String, unit: &str, words: String| {
            html! {
                div {
                    dt { a href={ "#" (id) } { (name) } }
                    dd {
                        strong { (figure) }
                        @if !unit.is_empty() { " " span.unit { (unit) } }
                        span.words { (words) }
                    }
                }
            }
        };
        let records = counted(sum.records, "record");
        let records = format!("{records} of {}", counted(projects, "project"));
        let days = format!("of {}", self.statements.days());
        let licenses = format!("by {}", counted(self.licenses.count(), "license"));
        let due: Amount = self.bill.due().values().sum();
        let late_words = match self.late.projects(&self.bill) {
            0 => "nothing waits to be told".to_owned(),
            _ => format!("{}; in money {due} is due", counted(late.records, "record")),
        };
        html! {
            section #headlines aria-label="In short" {
                dl {
                    (headline("bill", "Bill", self.bill.total().to_string(), "",
                        self.bill.told_words(&self.month)))
                    (headline("usage", "Usage", sum.amount.to_string(), self.usage.unit(), records))
                    (headline("licenses", "Covered", sum.covered.to_string(), self.usage.unit(),
                        licenses))
                    (headline("late", "Late", late.amount.to_string(), self.usage.unit(),
                        late_words))
                    (headline("statements", "Days told", self.statements.told().to_string(), "",
                        match missing {
                            0 => days,
                            missing => format!("{days}; {missing} never asked for"),
                        }))
                }
            }
        }
    }

    /// What somebody should look at.
    fn points(&self) -> Markup {
        let mut points: Vec<(&str, String)> = Vec::new();
        let count = self.unpriced();
        if count > 0 {
            let words = format!(
                "Without a price, and so left out of the bill: {}.",
                counted(count, "project")
            );
            points.push(("without-a-price", words));
        }
        let missing = self.statements.never_asked().len();
        if missing > 0 {
            points.push((
                "statements",
                format!("Agora never asked for {}.", counted(missing, "day")),
            ));
        }
        let late = self.late.projects(&self.bill);
        if late > 0 {
            points.push((
                "late",
                format!("Something of {} waits to be told.", counted(late, "project")),
            ));
        }
        html! {
            @if !points.is_empty() {
                section #points aria-labelledby="points-title" {
                    h2 #points-title { "To look at" }
                    ul {
                        @for (id, words) in points {
                            li { a href={ "#" (id) } { (words) } }
                        }
                    }
                }
            }
        }
    }
}
