//! What was changed, by whom and when: events as they are shown.

use crate::billing::event::Event;
use crate::cli::moment::rfc3339;
use crate::cli::table::{Columns, or_dash};
use crate::cli::visible::ForPeople;
use serde::Serialize;

/// An event as it stands in JSON documents.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventView {
    at: String,
    by: String,
    change: String,
    project_id: Option<String>,
    customer_id: Option<String>,
    fields: Vec<String>,
    /// Of `planId` or `customerId`, where that is among the fields.
    from: Option<String>,
    to: Option<String>,
}

impl EventView {
    pub(super) fn new(event: &Event) -> Self {
        Self {
            at: rfc3339(event.stamp.at_s),
            by: event.stamp.actor.to_string(),
            change: event.change.to_string(),
            project_id: event.project_id.as_ref().map(ToString::to_string),
            customer_id: event.customer_id.as_ref().map(ToString::to_string),
            fields: event.fields.clone(),
            from: event.values.from.clone(),
            to: event.values.to.clone(),
        }
    }

    /// The fields that got other values, and the values as far as they are kept.
    fn fields_words(&self) -> String {
        let words = |field: &String| match (&self.to, field.as_str()) {
            (Some(to), "planId" | "customerId") => {
                format!("{field} {} → {to}", or_dash(self.from.as_ref()))
            }
            _ => field.clone(),
        };
        self.fields.iter().map(words).collect::<Vec<_>>().join(", ")
    }
}

/// Prints what was changed, by whom and when, a line each.
pub(super) fn print_events(out: &mut ForPeople<'_>, events: &[EventView]) -> std::io::Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let mut columns = Columns::new(&["at", "by", "change", "project", "customer", "fields"]);
    for event in events {
        columns.row([
            event.at.clone(),
            event.by.clone(),
            event.change.clone(),
            or_dash(event.project_id.as_ref()),
            or_dash(event.customer_id.as_ref()),
            event.fields_words(),
        ]);
    }
    columns.print(out)
}
