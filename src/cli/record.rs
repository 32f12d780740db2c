//! `record` and `void`: one usage record into the books, or taken back.

use crate::billing::amount::Amount;
use crate::billing::event::Stamp;
use crate::billing::id::{CustomerId, ProjectId, RecordId, Words};
use crate::billing::period::{self, DAY_S};
use crate::billing::record::{MAX_AHEAD_S, NewRecord, Record, USUAL_DAYS, UsedAt, usual_dates};
use crate::billing::setting::UnknownProjects;
use crate::cli::command::Shell;
use crate::cli::database::shell_quoted;
use crate::cli::failure::{Exit, Failure};
use crate::cli::json::exact;
use crate::cli::license::uncovered_words;
use crate::cli::moment::{self, Moment, rfc3339};
use crate::cli::near::near;
use crate::cli::sentence::Sentence;
use crate::cli::start::first_months;
use crate::cli::statement::late_words;
use crate::store::project::Registration;
use crate::store::usage::{self, RecordOutcome, RecordRefusal, Slice, VoidOutcome};
use crate::store::{self, ReadTx, Store, WriteTx, customer, license, made_id, project, statement};
use serde::Serialize;
use std::fmt::Display;

/// Record usage of a project
///
/// It is on disk when the command ends with 0. Safe to repeat with the same --id: what is there
/// already is not counted again. A project that nobody announced is registered on the spot, unless
/// the setting `unknown-projects` is `refuse`.
#[derive(clap::Args)]
#[command(
    after_help = "Example: agora-vendor record 430892 1.5 --id call-7781 --at 2026-11-22T09:30:00Z"
)]
pub(super) struct RecordArgs {
    /// The project, by Agora's id
    project: ProjectId,

    /// How much was used, in the plan's unit: a plain decimal above zero
    #[arg(allow_hyphen_values = true)]
    amount: Amount,

    /// When it was used: a time, Unix seconds, or a day (meaning its noon; of today, before noon:
    /// now); now if omitted
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    at: Option<Moment>,

    /// The record's own id: the same id again is the same record. Without it one is made
    #[arg(long)]
    id: Option<RecordId>,

    /// Whose project it was at that time; where nobody has said yet, whose it is
    #[arg(long, value_name = "C")]
    customer: Option<CustomerId>,

    /// Words for the books
    #[arg(long, value_name = "TEXT")]
    note: Option<Words>,

    /// The project, or the customer, is meant although it is not in the books
    #[arg(long)]
    new: bool,
}

/// Take a usage record back
///
/// A reversing entry dated as the record is takes it out of every window that held it. Its id stays
/// spent: to correct a figure, void the record and record anew under another id.
#[derive(clap::Args)]
pub(super) struct VoidArgs {
    /// The record's id
    id: RecordId,

    /// Why, for the books
    #[arg(long, value_name = "TEXT")]
    reason: Words,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RecordedView<'a> {
    id: &'a str,
    project_id: &'a str,
    #[serde(serialize_with = "exact")]
    amount: &'a Amount,
    /// The part that licenses covered, where they did.
    #[serde(serialize_with = "exact", skip_serializing_if = "Amount::is_zero")]
    covered: &'a Amount,
    at: String,
    duplicate: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VoidedView<'a> {
    #[serde(flatten)]
    record: RecordedView<'a>,
    voided_at: Option<String>,
    reason: Option<&'a str>,
}

impl<'a> RecordedView<'a> {
    fn new(record: &'a Record, duplicate: bool) -> Self {
        Self {
            id: record.id.as_str(),
            project_id: record.project_id.as_str(),
            amount: &record.amount,
            covered: &record.covered,
            at: rfc3339(record.at_s),
            duplicate,
        }
    }
}

/// A record in words.
fn words(record: &Record) -> String {
    let covered = if record.covered.is_zero() {
        String::new()
    } else {
        format!(" ({} covered by licenses)", record.covered)
    };
    format!(
        "{}{covered} for project {} at {}, id {}",
        record.amount,
        record.project_id,
        rfc3339(record.at_s),
        record.id
    )
}

/// How a record was taken back, in words.
fn void_words(record: &Record) -> Option<String> {
    let void = record.void.as_ref()?;
    Some(format!("voided at {}: {}", rfc3339(void.at_s), void.reason))
}

pub(super) fn record(args: &RecordArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let new = NewRecord {
        id: args.id.clone().unwrap_or_else(made_id),
        project_id: args.project.clone(),
        amount: args.amount.clone(),
        at: args.at.map_or(UsedAt::Now, Moment::of_record),
        customer_id: args.customer.clone(),
        note: args.note.clone(),
    };
    let mut store = shell.open()?;
    let written = store.write(|tx| {
        let stamp = shell.stamp();
        let recorded = write(tx, &new, args.new, &stamp)?;
        let at_s = recorded.record().at_s;
        let disabled_at_s = project::disabled_before(tx, &new.project_id, at_s)?;
        let told = statement::told_already(tx, at_s)?;
        Ok::<_, Failure>((recorded, stamp.at_s, disabled_at_s, told))
    });
    let (recorded, now_s, disabled_at_s, told) =
        written.map_err(|failure| failure.if_uncertain(|| with_same_id(&new, args)))?;
    let (record, duplicate) = match &recorded {
        RecordOutcome::Written { record, registered } => {
            let uncovered = uncovered_before(&mut store, &new, registered.bound, shell);
            point_out_registered(record, registered, &new, &uncovered, shell);
            if let Some(disabled_at_s) = disabled_at_s {
                shell.note(&format!(
                    "project {} was disabled at {}: this usage is dated after that; it is \
                     reported and billed like any other",
                    record.project_id,
                    rfc3339(disabled_at_s)
                ));
            }
            for statement in &told {
                shell.note(&late_words(statement, "this record is late"));
            }
            if !usual_dates(now_s).contains(&record.at_s) {
                shell.point_out(unusual_words(record, now_s));
            }
            (record, false)
        }
        RecordOutcome::Already(record) => {
            if let Some(void) = void_words(record) {
                shell.note(&format!(
                    "the record {} was {void}; it counts nothing, and its id stays spent",
                    record.id
                ));
            }
            (record, true)
        }
    };
    let printed = shell.print(&RecordedView::new(record, duplicate), |out| {
        if duplicate {
            writeln!(out, "already recorded: {}", words(record))
        } else {
            writeln!(out, "recorded {}", words(record))
        }
    });
    // Handed over here, where the id is at hand that nobody has seen otherwise.
    let printed = printed.and_then(|()| shell.flush());
    printed.map_err(|failure| failure.with(&format!("the record's id is {}", record.id)))?;
    Ok(Exit::Done)
}

/// How much usage of its project a record leaves uncovered that has just brought it to a customer.
fn uncovered_before(
    store: &mut Store,
    new: &NewRecord,
    is_bound: bool,
    shell: &mut Shell<'_>,
) -> Amount {
    match &new.customer_id {
        Some(customer_id) if is_bound => {
            let now_s = shell.now_s;
            let read =
                store.read(|tx| license::uncovered_before(tx, &new.project_id, customer_id, now_s));
            shell.uncovered_or_note(read)
        }
        Some(_) | None => Amount::default(),
    }
}

/// How to repeat a record that may have been written: by its id, which nobody has seen if it was
/// made here.
fn with_same_id(new: &NewRecord, args: &RecordArgs) -> Sentence {
    let again = "run the same command again";
    match &args.id {
        Some(_) => format!("{again}: by its --id it counts once").into(),
        None => {
            let id = shell_quoted(new.id.as_str());
            format!("{again} with --id {id}: by this id it counts once").into()
        }
    }
}

/// Says what was registered for a record, and from when its customer is billed. `uncovered` is what
/// no license of the customer covers of the project's usage before.
fn point_out_registered(
    record: &Record,
    registered: &Registration,
    new: &NewRecord,
    uncovered: &Amount,
    shell: &mut Shell<'_>,
) {
    let id = &record.project_id;
    if registered.project {
        shell.note(&format!("project {id} was not known and is registered"));
    }
    let Some(customer_id) = &new.customer_id else {
        return;
    };
    if registered.customer {
        shell.note(&format!("customer {customer_id} was not known and is registered"));
    }
    let Some(from_s) = registered.billed_from_s else {
        return;
    };
    let months = first_months(from_s);
    if registered.bound {
        shell.note(&format!(
            "project {id} had no customer and is {customer_id}'s now: {customer_id} is billed for \
             {months}"
        ));
        if let Some(words) = uncovered_words(id, customer_id, uncovered) {
            shell.note(&words);
        }
    } else if from_s > 0 {
        shell.note(&format!("customer {customer_id} is billed for project {id}: {months}"));
    }
}

/// Writes a record; refuses one whose project or customer is more likely mistyped.
fn write(
    tx: &WriteTx<'_>,
    new: &NewRecord,
    is_meant: bool,
    stamp: &Stamp,
) -> Result<RecordOutcome, Failure> {
    let recorded = Slice::write(tx, stamp, |slice| {
        if is_meant {
            slice.set_unknown_projects(UnknownProjects::Register);
        }
        slice.record(new)
    })?;
    let is_unknown = match &recorded {
        Ok(RecordOutcome::Written { registered, .. }) => registered.project,
        Err(refusal) => *refusal == RecordRefusal::UnknownProject,
        Ok(RecordOutcome::Already(_)) => false,
    };
    if is_unknown && !is_meant {
        check_order(tx, new)?;
    }
    match recorded {
        Ok(recorded) => Ok(recorded),
        Err(refusal) => Err(refused(&refusal, new, &near_ids(tx, &refusal, new)?)),
    }
}

/// What is near the project or the customer of a record that is refused for not being in the books.
///
/// # Errors
/// When SQLite fails.
pub(super) fn near_ids(
    tx: &ReadTx<'_>,
    refusal: &RecordRefusal,
    new: &NewRecord,
) -> store::Result<String> {
    Ok(match (refusal, &new.customer_id) {
        (RecordRefusal::UnknownProject, _) => near(&new.project_id, project::ids(tx)?),
        (RecordRefusal::UnknownCustomer, Some(named)) => near(named, customer::ids(tx)?),
        _ => String::new(),
    })
}

/// Checks that a project that is not in the books and an amount are not the wrong way round.
fn check_order(tx: &ReadTx<'_>, new: &NewRecord) -> Result<(), Failure> {
    let (typed, amount) = (&new.project_id, new.amount.to_string());
    let is_project = match amount.parse::<ProjectId>() {
        Ok(id) => id != *typed && project::find(tx, &id)?.is_some(),
        Err(_) => false,
    };
    if is_project {
        let refusal = Failure::words(format!(
            "there is no project {typed}, and {amount} is one: the project stands before the \
             amount; --new says that project {typed} is meant"
        ));
        return Err(if typed.as_str().parse::<Amount>().is_ok() {
            refusal.hint(format!("record {amount} {typed}"), "is the right order")
        } else {
            refusal
        });
    }
    Ok(())
}

/// Says that a project or customer is not in the books where that is refused.
fn unknown(what: &str, id: &impl Display, near: &str) -> Failure {
    Failure::not_found(format!(
        "the {what} {id} is not in the books{near}, and the setting unknown-projects is refuse: \
         --new says that it is meant"
    ))
}

/// Points out a date that is likely a slip.
fn unusual_words(record: &Record, now_s: i64) -> Sentence {
    let back = (now_s - record.at_s) / DAY_S;
    let back = (back >= USUAL_DAYS).then(|| format!(", {back} days back"));
    let year = |second| i32::from(period::date(second).year());
    let is_near = (year(now_s) - 1..=year(now_s)).contains(&year(record.at_s));
    let year = (!is_near).then(|| format!(", in the year {}", year(record.at_s)));
    let sentence = format!(
        "the record is dated {}{}{}",
        rfc3339(record.at_s),
        back.unwrap_or_default(),
        year.unwrap_or_default(),
    );
    let void = format!("void {} --reason TEXT", shell_quoted(record.id.as_str()));
    Sentence::from(sentence).hint(void, "takes it back, if that is not meant")
}

/// Says why a record was not written; `near` is what [`near_ids`] gave.
pub(super) fn refused(refusal: &RecordRefusal, new: &NewRecord, near: &str) -> Failure {
    match refusal {
        RecordRefusal::NotPositive => {
            Failure::words(format!("the amount is {}: it must be above zero", new.amount))
        }
        RecordRefusal::Ahead { at_s } => Failure::failed(format!(
            "the record is dated {}, more than {} minutes ahead of this machine's clock: \
             usage that has not happened cannot be recorded",
            rfc3339(*at_s),
            MAX_AHEAD_S / 60
        )),
        RecordRefusal::OtherContent(stands) => Failure::conflict(format!(
            "the id {} stands for another record, {}{}{}: give new usage an id of its own",
            stands.id,
            words(stands),
            stands
                .customer_id
                .as_ref()
                .map_or(String::new(), |customer_id| format!(", customer {customer_id}")),
            void_words(stands).map_or(String::new(), |void| format!(", {void}")),
        )),
        RecordRefusal::OtherCustomer { owner, at_s } => {
            let told = new.customer_id.as_ref().map(ToString::to_string).unwrap_or_default();
            let (id, month) = (&new.project_id, moment::month(*at_s));
            Failure::conflict(format!(
                "in {month} the project {id} is customer {owner}'s, not {told}'s"
            ))
            .hint(format!("project show {id}"), "tells whose it is when")
            .hint(
                format!("project add {id} --customer {told} --from {month} --rewrite"),
                "moves it",
            )
        }
        RecordRefusal::UnknownProject => unknown("project", &new.project_id, near),
        RecordRefusal::UnknownCustomer => {
            let told = new.customer_id.as_ref().map(ToString::to_string).unwrap_or_default();
            unknown("customer", &told, near)
        }
    }
}

pub(super) fn void(args: &VoidArgs, shell: &mut Shell<'_>) -> Result<Exit, Failure> {
    let mut store = shell.open()?;
    let (voided, told) = store.write(|tx| {
        let voided = usage::void(tx, &args.id, &args.reason, &shell.stamp())?;
        let told = match &voided {
            Some(VoidOutcome::Done(record)) => statement::told_already(tx, record.at_s)?,
            Some(VoidOutcome::Already(_)) | None => Vec::new(),
        };
        Ok::<_, Failure>((voided, told))
    })?;
    for statement in &told {
        shell.note(&late_words(statement, "this void is late"));
    }
    let (record, duplicate) = match &voided {
        None => {
            let sentence = Sentence::from(format!("there is no record {}", args.id));
            return Err(Failure::not_found(sentence.hint("ledger list", "shows the records")));
        }
        Some(VoidOutcome::Done(record)) => (record, false),
        Some(VoidOutcome::Already(record)) => (record, true),
    };
    let void = record.void.as_ref();
    let shown = VoidedView {
        record: RecordedView::new(record, duplicate),
        voided_at: void.map(|void| rfc3339(void.at_s)),
        reason: void.map(|void| void.reason.as_str()),
    };
    shell.print(&shown, |out| {
        if duplicate {
            writeln!(
                out,
                "already voided: {}, {}",
                words(record),
                void_words(record).unwrap_or_default()
            )
        } else {
            writeln!(out, "voided {}", words(record))
        }
    })?;
    Ok(Exit::Done)
}
