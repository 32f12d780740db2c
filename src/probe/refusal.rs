//! Requests that must be refused, and whether they are.

use crate::agora::outgoing::Wire;
use crate::agora::reply::StatusForm;
use crate::probe::check::{Demand, Grade, Worst};
use crate::probe::client::Absence;
use crate::probe::session::{Exchanged, Session};

/// A request that must be refused.
pub(super) struct Forbidden {
    /// What is wrong with it, and the request, for people.
    pub(super) sent: String,
    pub(super) wire: Wire,
}

/// What a refusal looks like: the HTTP statuses that it may have, and whose answer it is; `None`
/// where no call answers, and so no body is asked for.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) codes: &'static [u16],
    pub(super) form: Option<StatusForm>,
}

/// Sends requests that must be refused, all of them one check.
pub(super) async fn check(
    session: &mut Session,
    (demand, of): (&Demand, &str),
    forbidden: Vec<Forbidden>,
    shape: Shape,
) {
    let (mut worst, mut codes, mut absence) = (Worst::default(), Vec::new(), None);
    let first = forbidden.first().map_or("", |one| &one.sent);
    let all = match forbidden.len() {
        1 => first.to_owned(),
        count => format!("{first} and {} more", count - 1),
    };
    for Forbidden { sent, wire } in &forbidden {
        match session.send(sent, wire).await {
            Ok(answer) => {
                codes.push(answer.reaction.status.to_string());
                if let Some((result, got)) = fault(&answer, shape) {
                    worst.note(result, sent, got);
                }
            }
            // Nothing was given away.
            Err(Absence::Broken(got)) => worst.note(Grade::Warn, sent, got),
            Err(other) => {
                absence.get_or_insert(other);
            }
        }
    }
    match absence {
        Some(absence) if !worst.is_some() => session.skip(demand, of, &all, &absence),
        _ => {
            codes.dedup();
            let good = format!("refused: HTTP {}", codes.join(", "));
            session.add(worst.finding(demand, of, &all, &good));
        }
    }
}

/// What is wrong with the answer to a request that must be refused.
fn fault(answer: &Exchanged, shape: Shape) -> Option<(Grade, String)> {
    if answer.is_answered() {
        return Some((Grade::Fail, format!("it is answered: {}", answer.got())));
    }
    if shape.form.is_some() && answer.body.as_ref().is_some_and(|b| b.is_success() == Some(true)) {
        // Whoever reads the body alone takes it for an answer.
        return Some((Grade::Fail, format!("its status says success: {}", answer.got())));
    }
    if !shape.codes.contains(&answer.reaction.status) {
        return Some((Grade::Warn, format!("refused, by {}", answer.got())));
    }
    let form = shape.form?;
    let says_so = answer.body.as_ref().is_some_and(|body| {
        let status = body.top("status").is_some_and(|status| match form {
            StatusForm::Listing => status.number().is_some_and(|number| number != "0"),
            StatusForm::Word => status.text().is_some_and(|word| word != "success"),
        });
        status && body.top("statusReason").is_some_and(|reason| reason.text().is_some())
    });
    (!says_so).then(|| {
        let got = format!("refused without status and statusReason: {}", answer.got());
        (Grade::Warn, got)
    })
}
