//! Checks statements: each agrees with itself, and with the ledger.

use crate::billing::period::{LAST_SECOND, Period};
use crate::billing::statement::{ListingKind, Timeline, total};
use crate::store::check::report::{CheckReport, Difference, StatementProblem};
use crate::store::snapshot::ListingOrigin;
use crate::store::statement_draft::StatementDraft;
use crate::store::{ReadTx, Result, late, readable, statement};

pub(super) fn check(tx: &ReadTx<'_>, report: &mut CheckReport) -> Result<()> {
    const VALUES: &str = "
        select 'a value of statement ' || seq
        from statement
        where not is_amount(total)
          or last_s > :last_second
          or first_asked_at_s not between 0 and :last_second
          or last_asked_at_s > :last_second";
    report.add_values(tx, VALUES)?;
    check_documents(tx, report)?;
    check_contents(tx, report)
}

/// Names the statements of which something cannot be read.
fn check_documents(tx: &ReadTx<'_>, report: &mut CheckReport) -> Result<()> {
    let mut seqs = tx.sql().prepare("select seq from statement order by seq")?;
    for seq in seqs.query_map([], |row| row.get::<_, i64>(0))? {
        let seq = seq?;
        if readable(statement::entries(tx, seq))?.is_none() {
            report
                .differences
                .push(Difference::Value { place: format!("a value of what statement {seq} said") });
        }
    }
    Ok(())
}

/// Checks that each statement agrees with itself, and those that tell what is in some window with
/// the ledger.
fn check_contents(tx: &ReadTx<'_>, report: &mut CheckReport) -> Result<()> {
    let all_time = Period::new(0, LAST_SECOND).expect("all time is a window");
    let last_seq = statement::last_known_seq(tx)?;
    for kind in ListingKind::ALL {
        let statements = statement::readable_ones(tx, kind)?;
        for statement in &statements {
            let Some(entries) = readable(statement::entries(tx, statement.seq))? else {
                continue;
            };
            let in_order = entries.windows(2).all(|two| two[0].project_id < two[1].project_id);
            let total_size = usize::try_from(statement.total_size).unwrap_or(usize::MAX);
            let made_of = ListingOrigin { total_size, ..ListingOrigin::default() };
            let answer = StatementDraft::of(kind, statement.period, made_of, &entries)?;
            // What it was made from is a bill's alone.
            let is_bill = kind == ListingKind::Bill;
            let is_as_told = answer.digest() == statement.digest
                && entries.iter().all(|entry| entry.origin.is_some() == is_bill)
                && statement.adjusts == entries.iter().any(|one| !one.adjustments().is_empty())
                && answer.is_as_written(tx, statement.seq)?;
            let problems = [
                (total(&entries) != statement.total, StatementProblem::Total),
                (!in_order, StatementProblem::Order),
                (!is_as_told, StatementProblem::Digest),
                (statement.last_knew_seq > last_seq, StatementProblem::Knew),
            ];
            for (_, problem) in problems.into_iter().filter(|(is_wrong, _)| *is_wrong) {
                report.differences.push(Difference::Statement { seq: statement.seq, problem });
            }
        }
        let timeline = Timeline::new(statements);
        let deviations = late::readable_deviations(tx, &timeline, all_time)?;
        report.differences.extend(deviations.into_iter().map(Difference::Told));
    }
    Ok(())
}
