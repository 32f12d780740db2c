//! The provisioning calls: what of each is so already, and what changes it where it is not.
//!
//! Agora resends a call whose answer it did not get in time. So each call is looked up first, and
//! only changes something where that says that there is something to change; its answer is what is
//! looked up afterwards, the same for the first call and for every repetition.
//!
//! Calls may come in any order, and any of them may have been lost: a customer who is not in the
//! books is registered, and deactivating what is not there is done. A call that is signed with a
//! test pair is answered alike, by reading alone: nothing of it is kept.

use crate::agora::provisioning::{self, NewCustomer};
use crate::agora::reply::{self, Refusal, Reply};
use crate::agora::request::{self, Body};
use crate::billing::event::{Actor, Stamp};
use crate::billing::history::HistoryEntry;
use crate::billing::id::{CustomerId, ProjectId};
use crate::billing::key::{ApiSecret, Purpose};
use crate::billing::license::{License, NewLicense, Operation};
use crate::billing::period::{DAY_S, date};
use crate::http::answer::{Answer, Clock, Head, Outcome, Request};
use crate::http::books::Books;
use crate::http::error::Error;
use crate::http::journal::{self, Kind, ms};
use crate::http::route::{Ids, Provisioning, Route};
use crate::http::uncovered::{Adder, Uncovered};
use crate::http::verify::Verifier;
use crate::store::customer::{self, Announcement, Customer};
use crate::store::project::Project;
use crate::store::{self, ReadTx, WriteTx, key, license, plan, project};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The endpoint.
pub(super) struct Provisioner {
    books: Arc<Books>,
    verifier: Arc<Verifier>,
    absences: Arc<Absences>,
    adder: Arc<Adder>,
}

impl Provisioner {
    pub(super) fn new(books: Arc<Books>, verifier: Arc<Verifier>) -> Self {
        let adder = Arc::new(Adder::start(&books));
        Self { books, verifier, absences: Arc::default(), adder }
    }

    /// Answers a call: a live one by making what it asks for so, unless it is so already; one that
    /// is signed with a test pair by reading alone.
    pub(super) fn answer(
        &self,
        call: Provisioning,
        request: &Request<'_>,
        route: &Route<'_>,
        clock: Clock,
    ) -> Outcome {
        let (body, ids) = (Body::parse(request.body)?, route.ids());
        let (books, absences) = (Arc::clone(&self.books), Arc::clone(&self.absences));
        let adder = Arc::clone(&self.adder);

        self.verifier.body(Head::new(request, clock), body, move |verified, body| {
            let asked = WantedState::read(call, &ids?, body)?;
            let head = verified.head.clone();
            Ok(match verified.pair.purpose {
                Purpose::Live => {
                    Answer::read(move |until| make_so(asked, &head, books, absences, adder, until))
                }
                Purpose::Test => {
                    let secret = verified.pair.api_secret.clone();
                    Answer::read(move |until| {
                        let stamp = Stamp { at_s: head.now_s(), actor: Actor::Test };
                        let rehearsed = books.read(until, |tx| asked.rehearse(tx, &stamp, &secret));
                        rehearsed.map(Answer::Done)
                    })
                }
            })
        })
    }
}

/// Answers where what is asked for is so already, or else makes it so.
fn make_so(
    asked: WantedState,
    head: &Head,
    books: Arc<Books>,
    absences: Arc<Absences>,
    adder: Arc<Adder>,
    until: Instant,
) -> Outcome {
    let stamp = Stamp { at_s: head.now_s(), actor: Actor::Agora };
    if let Some(reply) = books.read(until, |tx| asked.look(tx, &stamp, &absences))? {
        return Ok(Answer::Done(reply));
    }
    let head = head.clone();
    Ok(Answer::write(move |lock_until| {
        let stamp = || Stamp { at_s: head.now_s(), actor: Actor::Agora };
        let done = books.write(lock_until, |tx| asked.perform(tx, &stamp(), &absences));
        let Performed { reply, changed, uncovered } = done?;
        if changed {
            asked.say_done(head.arrived.elapsed());
        }
        uncovered.into_iter().for_each(|uncovered| adder.add_up(uncovered));
        Ok(reply)
    }))
}

/// What came of a call that was to change something.
struct Performed {
    reply: Reply,
    /// Whether it was not so already.
    changed: bool,
    /// What may stay uncovered.
    uncovered: Option<Uncovered>,
}

/// What a provisioning call asks for.
enum WantedState {
    /// The account is announced, and active.
    CustomerActive(CustomerId, Announcement),
    /// The project is the customer's, enabled, and has keys.
    ProjectEnabled(CustomerId, ProjectId),
    /// The account is not active, nor any of its projects enabled.
    CustomerInactive(CustomerId),
    /// The project is not enabled.
    ProjectDisabled(CustomerId, ProjectId),
    /// The license is issued.
    LicenseIssued(NewLicense),
}

impl WantedState {
    /// Reads what a call asks for.
    fn read(call: Provisioning, ids: &Ids, body: &Body) -> Result<Self, request::Error> {
        Ok(match call {
            Provisioning::CreateCustomer => {
                let NewCustomer { customer_id, plan_id, name, email, phone } =
                    NewCustomer::read(body)?;
                Self::CustomerActive(
                    customer_id,
                    Announcement { plan_id: Some(plan_id), plan_from_s: None, name, email, phone },
                )
            }
            Provisioning::CreateProject => {
                Self::ProjectEnabled(ids.customer_id()?, provisioning::project_id(body)?)
            }
            Provisioning::DeactivateCustomer => Self::CustomerInactive(ids.customer_id()?),
            Provisioning::DeactivateProject => {
                let project_id = ids.project_id()?;
                Self::ProjectDisabled(ids.customer_id()?, project_id)
            }
            Provisioning::ActivateLicense => {
                Self::LicenseIssued(provisioning::activation(body, ids.customer_id()?)?)
            }
        })
    }

    /// The answer, where what is asked for is so already.
    fn look(
        &self,
        tx: &ReadTx<'_>,
        stamp: &Stamp,
        absences: &Absences,
    ) -> Result<Option<Reply>, Error> {
        Ok(match self {
            Self::CustomerActive(id, said) => {
                customer::stands(tx, id, said, stamp.at_s)?.then(reply::success)
            }
            Self::ProjectEnabled(customer_id, id) => {
                let customer = customer::find(tx, customer_id)?;
                let is_active =
                    customer.is_some_and(|customer| customer.deactivated_at_s.is_none());
                let project = project::find(tx, id)?;
                let is_ours = |project: &Project| project.customer_id.as_ref() == Some(customer_id);
                if let Some(project) = project.as_ref().filter(|project| !is_ours(project)) {
                    check_adoption(tx, project)?;
                }
                let stands = project.filter(|project| {
                    is_ours(project) && project.enabled_since_s.is_some() && is_active
                });
                stands.and_then(|project| project.app_keys).map(|keys| reply::project(&keys))
            }
            Self::CustomerInactive(id) => match customer::find(tx, id)? {
                Some(customer) => {
                    let stands =
                        customer.deactivated_at_s.is_some() && !project::any_enabled(tx, id)?;
                    stands.then(reply::success)
                }
                None => {
                    absences.point_out(format!("customer {id}"), stamp);
                    Some(reply::success())
                }
            },
            Self::ProjectDisabled(customer_id, id) => {
                let project = project::find(tx, id)?;
                let owner = project.as_ref().and_then(|project| project.customer_id.as_ref());
                match (&project, owner) {
                    (Some(_), Some(owner)) if owner != customer_id => {
                        return Err(Refusal::OtherCustomer.into());
                    }
                    (Some(project), Some(_)) => {
                        project.enabled_since_s.is_none().then(reply::success)
                    }
                    (None, _) | (_, None) => {
                        absences
                            .point_out(format!("project {id} of customer {customer_id}"), stamp);
                        Some(reply::success())
                    }
                }
            }
            Self::LicenseIssued(new) => {
                license::find_alike(tx, new, &stamp.actor)?.map(|license| {
                    point_out(&license, new);
                    reply::success()
                })
            }
        })
    }

    /// Makes it so, where it is not, and answers.
    fn perform(
        &self,
        tx: &WriteTx<'_>,
        stamp: &Stamp,
        absences: &Absences,
    ) -> Result<Performed, Error> {
        // Another call, or a shell, may have made it so since it was looked up.
        if let Some(reply) = self.look(tx, stamp, absences)? {
            return Ok(Performed { reply, changed: false, uncovered: None });
        }
        let uncovered = self.change(tx, stamp)?;
        let reply = self.look(tx, stamp, absences)?.expect("it has just been made so");
        Ok(Performed { reply, changed: true, uncovered })
    }

    /// Answers as if it had been made so, and changes nothing: for a call signed with the test pair
    /// of this secret. What a live call is refused, this one is refused too.
    fn rehearse(&self, tx: &ReadTx<'_>, stamp: &Stamp, secret: &ApiSecret) -> Result<Reply, Error> {
        if let Some(reply) = self.look(tx, stamp, &Absences::default())? {
            return Ok(reply);
        }
        let Self::ProjectEnabled(customer_id, id) = self else {
            return Ok(reply::success());
        };
        // One that had been created keeps its keys when it is created again.
        let stands = project::find(tx, id)?.and_then(|project| project.app_keys);
        let keys = stands.unwrap_or_else(|| key::derive_app_keys(secret, customer_id, id));
        Ok(reply::project(&keys))
    }

    /// Logs what a call has changed.
    fn say_done(&self, took: Duration) {
        let (took_micros, took) = (took.as_micros(), ms(took));
        journal::tell(Kind::Changed, || match self {
            Self::CustomerActive(id, said) => {
                let plan = said.plan_id.as_ref().map(ToString::to_string).unwrap_or_default();
                let customer = id.as_str();
                log::info!(
                    customer, plan, tookMicros = took_micros;
                    "Agora announced customer {customer}, with the plan {plan}, in {took}"
                );
            }
            Self::ProjectEnabled(customer, project) => {
                let (customer, project) = (customer.as_str(), project.as_str());
                log::info!(
                    customer, project, tookMicros = took_micros;
                    "Agora enabled project {project} of customer {customer}, in {took}"
                );
            }
            Self::CustomerInactive(id) => {
                let customer = id.as_str();
                log::info!(
                    customer, tookMicros = took_micros;
                    "Agora deactivated customer {customer}, with all projects, in {took}"
                );
            }
            Self::ProjectDisabled(customer, project) => {
                let (customer, project) = (customer.as_str(), project.as_str());
                log::info!(
                    customer, project, tookMicros = took_micros;
                    "Agora disabled project {project} of customer {customer}, in {took}"
                );
            }
            Self::LicenseIssued(new) => {
                let customer = new.customer_id.as_str();
                let kind = new.kind.as_ref().map(ToString::to_string).unwrap_or_default();
                let kind_words = new.kind.as_ref().map(|kind| format!(" of the type {kind}"));
                let kind_words = kind_words.unwrap_or_default();
                log::info!(
                    customer, kind, tookMicros = took_micros;
                    "Agora sold a license{kind_words} to customer {customer}, in {took}"
                );
            }
        });
    }

    /// Makes it so; returns what may stay uncovered.
    fn change(&self, tx: &WriteTx<'_>, stamp: &Stamp) -> store::Result<Option<Uncovered>> {
        match self {
            Self::CustomerActive(id, said) => announce(tx, id, said, stamp)?,
            Self::ProjectEnabled(customer_id, id) => {
                return create_project(tx, customer_id, id, stamp);
            }
            Self::CustomerInactive(id) => {
                project::deactivate_all(tx, id, stamp)?;
            }
            Self::ProjectDisabled(_, id) => {
                if let Some(project) = project::find(tx, id)? {
                    project::disable(tx, &project, stamp)?;
                }
            }
            Self::LicenseIssued(new) => return issue(tx, new, stamp),
        }
        Ok(None)
    }
}

/// Announces an account, and makes it active.
fn announce(
    tx: &WriteTx<'_>,
    id: &CustomerId,
    said: &Announcement,
    stamp: &Stamp,
) -> store::Result<()> {
    let was_known = customer::find(tx, id)?.is_some();
    let is_first = customer::plans_of(tx, id)?.is_empty();
    let customer = customer::announce(tx, id, said, stamp)?;
    if let (true, [HistoryEntry { from_s, value, .. }]) =
        (is_first, &customer::plans_of(tx, id)?[..])
    {
        let months = first_months(*from_s);
        let (level, so_far) = first_words(was_known, "had no plan so far");
        log::log!(level, "customer {id} {so_far}: {value} prices {months}");
    }
    if let Err(missing) = plan::book(tx)?.applicable(customer.plan_id.as_ref(), stamp.at_s) {
        log::warn!(
            "customer {id} has the plan {missing}, which is not set up: its usage has no price"
        );
    }
    Ok(())
}

/// Makes a project the customer's and enables it, with keys.
fn create_project(
    tx: &WriteTx<'_>,
    customer_id: &CustomerId,
    id: &ProjectId,
    stamp: &Stamp,
) -> store::Result<Option<Uncovered>> {
    let customer_before = customer::find(tx, customer_id)?;
    let before = project::find(tx, id)?;
    let is_first = project::customers_of(tx, id)?.is_empty();
    let owner = before.as_ref().and_then(|before| before.customer_id.clone());
    project::create(tx, id, customer_id, stamp)?;
    let customers = project::customers_of(tx, id)?;
    if let (true, [HistoryEntry { from_s, .. }]) = (is_first, &customers[..]) {
        let months = first_months(*from_s);
        let (level, so_far) = first_words(before.is_some(), "had no customer so far");
        log::log!(level, "project {id} {so_far}: {customer_id} is billed for {months}");
    } else if let (Some(owner), Some(last)) = (&owner, customers.last())
        && owner != customer_id
    {
        log::warn!(
            "Agora created project {id} for customer {customer_id}; a record had named customer \
             {owner}, who is billed for it until {}, and whose licenses cover it until then",
            date(last.from_s - 1)
        );
    }
    let done = format!("created project {id} for");
    point_out_customer(customer_before.as_ref(), customer_id, &done);
    let (id, owner_is_new) = (id.clone(), owner.as_ref() != Some(customer_id));
    let (customer_id, now_s) = (customer_id.clone(), stamp.at_s);
    Ok(owner_is_new.then_some(Uncovered::Project { id, customer_id, now_s }))
}

/// Issues a license that Agora has sold.
fn issue(tx: &WriteTx<'_>, new: &NewLicense, stamp: &Stamp) -> store::Result<Option<Uncovered>> {
    let before = customer::find(tx, &new.customer_id)?;
    point_out_customer(before.as_ref(), &new.customer_id, "sold a license to");
    let issued = license::operate(tx, &Operation::Issue(new.clone()), None, stamp)?;
    let issued = issued.expect("a window that is not empty, under a new id, is not refused");
    if let (true, Some(kind)) = (issued.unknown.grant, &new.kind) {
        log::warn!(
            "customer {} was sold a license of the type {kind}, which is not set up: \
             it is unlimited",
            new.customer_id
        );
    }
    let (customer_id, now_s) = (new.customer_id.clone(), stamp.at_s);
    Ok(issued.covers.map(|time| Uncovered::License { customer_id, time, now_s }))
}

/// The months of a customer or a project in which the first of its kind holds, in words.
fn first_months(from_s: i64) -> String {
    match from_s {
        0 => "all its months, past ones too".to_owned(),
        from_s => format!(
            "its months from {} on; bills of earlier months stay as they are",
            date(from_s).strftime("%Y-%m")
        ),
    }
}

/// How loud the log is of a customer's first plan, or a project's first customer, and what it says
/// of the time before: where it was in the books, it may have usage that was billed otherwise.
fn first_words(was_known: bool, so_far: &str) -> (log::Level, &str) {
    if was_known { (log::Level::Warn, so_far) } else { (log::Level::Info, "is new") }
}

/// What was to be deactivated and is not there, of one day: Agora is told that it is done, and the
/// log says it once for each.
#[derive(Default)]
struct Absences(Mutex<DayOfAbsences>);

#[derive(Default)]
struct DayOfAbsences {
    /// The day, counted from the first of 1970.
    day: i64,
    named: HashSet<String>,
}

impl Absences {
    /// How many are remembered, at about 200 bytes each.
    const MOST: usize = 4_000;

    fn point_out(&self, what: String, stamp: &Stamp) {
        // A test call is answered, and is no news of Agora.
        if stamp.actor != Actor::Agora {
            return;
        }
        let mut today = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let day = stamp.at_s.div_euclid(DAY_S);
        if today.day != day {
            *today = DayOfAbsences { day, named: HashSet::new() };
        }
        if today.named.len() >= Self::MOST || today.named.contains(&what) {
            return;
        }
        log::warn!(
            "Agora deactivated {what}, which is not in the books: it was told success, and \
             nothing was changed"
        );
        today.named.insert(what);
        if today.named.len() == Self::MOST {
            log::warn!("more of these are not logged until tomorrow (UTC)");
        }
    }
}

/// Logs where Agora has done something for a customer whose account nobody has announced.
fn point_out_customer(before: Option<&Customer>, id: &CustomerId, done: &str) {
    match before {
        None => log::warn!(
            "Agora {done} customer {id}, who was not in the books and is registered: no plan is \
             named"
        ),
        Some(customer) if customer.announced_at_s.is_none() => {
            log::warn!("Agora {done} customer {id}, whose account was never announced");
        }
        Some(_) => {}
    }
}

/// Checks that a project of nobody, or of another customer, may become the one's who creates it: it
/// was only recorded so far, for a customer whom at most a record has named.
fn check_adoption(tx: &ReadTx<'_>, project: &Project) -> Result<(), Error> {
    let was_created = project.enabled_since_s.is_some() || project.disabled_at_s.is_some();
    let owner = match &project.customer_id {
        Some(owner) => customer::find(tx, owner)?,
        None => None,
    };
    match owner {
        Some(owner) if was_created || owner.announced_at_s.is_some() => {
            Err(Refusal::OtherCustomer.into())
        }
        _ => Ok(()),
    }
}

/// Logs where the license that is there already is not quite what Agora has sold.
fn point_out(license: &License, sold: &NewLicense) {
    if license.revoked.is_some() {
        log::warn!(
            "Agora sold license {} of customer {} again, which is revoked",
            license.id,
            license.customer_id
        );
    }
    if let (Some(stands), Some(sold)) = (&license.platforms, &sold.platforms)
        && stands != sold
    {
        log::warn!("Agora sold license {} again for {sold}; it stays one for {stands}", license.id);
    }
}
