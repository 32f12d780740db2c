//! Checks of what may cost money: what Agora never asked for, what came too late, what has no
//! price, and licenses that end.

use crate::billing::asked::is_last;
use crate::billing::period::{self, Grain};
use crate::billing::setting::LatePolicy;
use crate::billing::statement::ListingKind;
use crate::cli::database::shell_quoted;
use crate::cli::doctor::finding::{Finding, Ours};
use crate::cli::doctor::words::{count, list, span};
use crate::cli::moment::{month, rfc3339, window};
use crate::cli::plan::price_command;
use crate::store::survey::{LateMoney, ListingAsked, SOON_DAYS, Survey};

fn number(number: usize) -> i128 {
    i128::try_from(number).unwrap_or(i128::MAX)
}

/// Plans that are named and not set up.
pub(super) fn plans(ours: &Ours<'_>, survey: &Survey) -> Finding {
    const NAME: &str = "plans";
    let missing = &survey.plans_missing;
    if let Some((first, _)) = missing.first() {
        let plan = |(id, customers): &(_, i64)| format!("{id} ({})", count(*customers, "customer"));
        let says = format!(
            "named for customers and not set up, so that what they use is free: {}",
            list(missing.iter().map(plan))
        );
        let set = format!(
            "plan set {} --name NAME --unit UNIT --price PRICE",
            shell_quoted(first.as_str())
        );
        return Finding::failed(NAME, says).ours(ours, &set);
    }
    match survey.has_plans {
        true => Finding::ok(NAME, "every plan that is named is set up"),
        false => Finding::warning(NAME, "no plan is set up, so no bill asks for money")
            .ours(ours, "plan set default --name NAME --unit UNIT --price PRICE"),
    }
}

/// Types of licenses that are not set up.
pub(super) fn license_types(ours: &Ours<'_>, survey: &Survey) -> Finding {
    const NAME: &str = "license-types";
    let missing = &survey.types_missing;
    let Some((first, _)) = missing.first() else {
        return Finding::ok(NAME, "every type of a license in force is set up");
    };
    let kind = |(kind, licenses): &(_, i64)| format!("{kind} ({})", count(*licenses, "license"));
    let says = format!(
        "sold and not set up, so that their licenses have no limit: {}",
        list(missing.iter().map(kind))
    );
    let set = format!("license type set {} --count COUNT", shell_quoted(first.as_str()));
    Finding::failed(NAME, says).ours(ours, &set)
}

/// Usage without a price.
pub(super) fn prices(ours: &Ours<'_>, survey: &Survey) -> Finding {
    const NAME: &str = "prices";
    let Some(first) = survey.unpriced.first() else {
        return Finding::ok(NAME, "all usage of this month and the last one has a price");
    };
    let months = survey.unpriced.iter().map(|unpriced| {
        format!(
            "{} of {} in {} (plan {} has no price then)",
            unpriced.amount,
            count(number(unpriced.projects), "project"),
            month(unpriced.month_s),
            list(unpriced.plans.iter().map(ToString::to_string))
        )
    });
    let says = format!("usage without a price, and so left out of bills: {}", list(months));
    let set = price_command(first.plans.first(), first.billed.then_some(first.month_s));
    // Who sets no plan up and is asked for no bill may have no prices on purpose.
    let bills = survey.has_plans || survey.bill.statements > 0;
    let finding = if bills { Finding::failed(NAME, says) } else { Finding::warning(NAME, says) };
    finding.ours(ours, &set)
}

/// When Agora last asked for usage, or for a bill, and what it never asked for.
pub(super) fn asked(ours: &Ours<'_>, survey: &Survey, kind: ListingKind, now_s: i64) -> Finding {
    let (name, grain, thing) = match kind {
        ListingKind::Usage => ("usage", Grain::Day, "day"),
        ListingKind::Bill => ("bills", Grain::Month, "month"),
    };
    let asked = survey.asked(kind);
    let named = |start_s: &i64| match kind {
        ListingKind::Usage => period::date(*start_s).to_string(),
        ListingKind::Bill => month(*start_s),
    };
    let last = asked.last_asked_at_s.zip(asked.last_window).map(|(last_s, last_window)| {
        let last = format!(
            "{} ago ({}), of {}",
            span(now_s - last_s),
            rfc3339(last_s),
            window(last_window)
        );
        (last_s, format!("{last}; {}", count(number(asked.statements), "statement")))
    });
    let Some((last_s, last)) = last.as_ref().filter(|_| asked.in_time) else {
        return unasked(ours, name, asked, last.map(|(_, last)| last), named);
    };
    let says = format!("Agora last asked {last}");
    let Some(newest_s) = asked.never.last() else {
        return Finding::ok(name, format!("{says}; no {thing} is missing"));
    };
    let missing = count(number(asked.never.len()), thing);
    // The newest first: those can still be asked for.
    let never = list(asked.never.iter().rev().map(named));
    let says = format!("{says}; it never asked for {missing} in whole: {never}");
    if is_last(grain, *newest_s, now_s) {
        let has_asked = *last_s >= grain.after(*newest_s);
        let since =
            if has_asked { "it asked since, and not for that" } else { "it stopped asking" };
        return Finding::failed(name, format!("{says}: {since}"))
            .remedy(format!("journalctl -u {} --since -3d --priority warning", ours.server()));
    }
    let reconcile = format!("totals --reconcile --month {}", month(*newest_s));
    Finding::warning(name, says).ours(ours, &reconcile)
}

/// Agora never asked in time, as it does. An operator may have tried what is longer ago.
fn unasked(
    ours: &Ours<'_>,
    name: &'static str,
    asked: &ListingAsked,
    tried: Option<String>,
    named: impl Fn(&i64) -> String,
) -> Finding {
    let mut says = match tried {
        None => format!("Agora has not asked for {name} yet"),
        Some(last) => {
            format!("Agora has not asked for {name} in time yet: the last request came {last}")
        }
    };
    if let Some(first) = asked.never.first().map(named) {
        says += &format!("; records were written from {first} on");
    }
    Finding::warning(name, says).ours(ours, "key list")
}

/// Whether anything is recorded.
pub(super) fn silence(ours: &Ours<'_>, survey: &Survey, now_s: i64) -> Finding {
    const NAME: &str = "silence";
    let last = survey.recording.last_recorded_at_s;
    let last_words = last.map_or_else(
        || "nothing was ever recorded".to_owned(),
        |at_s| {
            format!("the last record was written {} ago ({})", span(now_s - at_s), rfc3339(at_s))
        },
    );
    let Some(hours) = survey.settings.silence_hours() else {
        let says = format!(
            "{last_words}; after `setting set silence-hours HOURS` so long a silence fails"
        );
        return Finding::ok(NAME, says);
    };
    let is_silent = last.is_none_or(|at_s| now_s - at_s > i64::from(hours) * 3_600);
    if is_silent {
        let says = format!(
            "{last_words}, and silence-hours is {hours}: silence is not zero usage; look whether \
             your backend still records"
        );
        return Finding::failed(NAME, says).ours(ours, "totals --by day");
    }
    Finding::ok(NAME, format!("{last_words}, and silence-hours is {hours}"))
}

/// What came too late for what Agora was told.
pub(super) fn late(ours: &Ours<'_>, survey: &Survey) -> Finding {
    const NAME: &str = "late";
    let usage = survey.late_usage.iter().map(|late| {
        let projects = count(number(late.projects), "project");
        format!("usage of {projects} in {} ({})", month(late.month_s), late.amount)
    });
    let money = survey.late_money.iter().map(money_words);
    let waits: Vec<String> = usage.chain(money).collect();
    if waits.is_empty() {
        return Finding::ok(NAME, "nothing came too late for what Agora was told");
    }
    let waits = list(waits.into_iter());
    if let Some(month) = survey.late_money.iter().find(|month| month.unpriced > 0) {
        let says = format!("not told to Agora: {waits}; no bill tells usage without a price");
        let set = price_command(month.plans.first(), Some(month.month_s));
        return Finding::failed(NAME, says).ours(ours, &set);
    }
    let is_forfeit = survey.late_money.iter().any(|month| !month.too_little.is_zero());
    match survey.settings.late() {
        LatePolicy::Carry if survey.late_usage.is_empty() => {
            Finding::ok(NAME, format!("the next bill carries {waits}"))
        }
        LatePolicy::Carry => {
            Finding::warning(NAME, format!("not told to Agora: {waits}; bills carry the money"))
                .ours(ours, "statement late")
        }
        LatePolicy::Report if is_forfeit => {
            let says = format!(
                "not told to Agora: {waits}; `late` is report, so no later bill tells that money: \
                 it is forfeit once Agora has issued the month's invoice, on the first day of the \
                 next month"
            );
            Finding::warning(NAME, says).ours(ours, "setting set late carry")
        }
        LatePolicy::Report if !survey.late_money.is_empty() => {
            let says = format!(
                "not told to Agora: {waits}; `late` is report, so no later bill takes it off"
            );
            Finding::warning(NAME, says).ours(ours, "setting set late carry")
        }
        LatePolicy::Report => {
            let says = format!(
                "not told to Agora: {waits}; Agora can ask for a day again until it issues the \
                 month's invoice, on the first day of the next month"
            );
            Finding::warning(NAME, says).ours(ours, "statement late")
        }
    }
}

fn money_words(late: &LateMoney) -> String {
    let mut parts = Vec::new();
    if !late.too_little.is_zero() {
        parts.push(format!("{} too little", late.too_little));
    }
    if !late.too_much.is_zero() {
        parts.push(format!("{} too much", late.too_much));
    }
    if late.unpriced > 0 {
        parts.push(format!("{} without a price", count(number(late.unpriced), "project")));
    }
    format!("money of {} ({})", month(late.month_s), parts.join(", "))
}

/// Licenses that end soon.
pub(super) fn licenses(ours: &Ours<'_>, survey: &Survey) -> Finding {
    const NAME: &str = "licenses";
    let ending = survey.licenses_ending.iter().map(|license| {
        let day = &rfc3339(license.expires_at_s)[..10];
        format!("{} of {} on {day}", license.id, license.customer_id)
    });
    let running_out = survey.licenses_running_out.iter().map(|customer| {
        let days = count(customer.days, "day");
        format!("what {} has left ({}) in about {days}", customer.customer_id, customer.left)
    });
    let soon: Vec<String> = ending.chain(running_out).collect();
    if soon.is_empty() {
        let says = format!("no license ends or is used up within {SOON_DAYS} days");
        return Finding::ok(NAME, says);
    }
    let says = format!(
        "end or are used up within {SOON_DAYS} days, at the pace of the last week: {}",
        list(soon.into_iter())
    );
    Finding::warning(NAME, says).ours(ours, "license list")
}
