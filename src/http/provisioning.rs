//! The provisioning calls: what of each is so already, and what changes it where it is not.
//!
//! Agora resends a call whose answer it did not get in time. So each call is looked up first, and only changes
//! something where that says that there is something to change; its answer is what is looked up
//! afterwards, the same for the first call and for every repetition.

use crate::agora::provisioning::{self, NewCustomer};
use crate::agora::reply::{self, Refusal, Reply};
use crate::agora::request::{self, Body};
use crate::billing::event::Stamp;
use crate::billing::history::Said;
use crate::billing::id::{CustomerId, ProjectId};
use crate::billing::license::{License, NewLicense, Operation};
use crate::billing::period::date;
use crate::http::Failure;
use crate::http::route::{Provisioning, Route};
use crate::store::customer::{self, Announcement, Customer};
use crate::store::project::Project;
use crate::store::{self, ReadTx, WriteTx, license, plan, project};

/// What a provisioning call asks for.
pub(super) enum Asked {
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

impl Asked {
    /// Reads what a call asks for.
    pub(super) fn read(
        call: Provisioning,
        route: &Route<'_>,
        body: &Body,
    ) -> Result<Self, request::Error> {
        let customer_id = || provisioning::path_id(&route.customer_id()?, "customerId");
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
                Self::ProjectEnabled(customer_id()?, provisioning::project_id(body)?)
            }
            Provisioning::DeactivateCustomer => Self::CustomerInactive(customer_id()?),
            Provisioning::DeactivateProject => {
                let project_id = provisioning::path_id(&route.project_id()?, "projectId")?;
                Self::ProjectDisabled(customer_id()?, project_id)
            }
            Provisioning::ActivateLicense => {
                Self::LicenseIssued(provisioning::activation(body, customer_id()?)?)
            }
        })
    }

    /// The answer, where what is asked for is so already.
    pub(super) fn look(&self, tx: &ReadTx<'_>, stamp: &Stamp) -> Result<Option<Reply>, Failure> {
        Ok(match self {
            Self::CustomerActive(id, said) => {
                customer::stands(tx, id, said, stamp.at_s)?.then(reply::success)
            }
            Self::ProjectEnabled(customer_id, id) => {
                let customer = announced(tx, customer_id)?;
                let project = project::find(tx, id)?;
                let is_ours = |project: &Project| project.customer_id.as_ref() == Some(customer_id);
                if let Some(project) = project.as_ref().filter(|project| !is_ours(project)) {
                    check_adoption(tx, project)?;
                }
                let stands = project.filter(|project| {
                    is_ours(project)
                        && project.enabled_since_s.is_some()
                        && customer.deactivated_at_s.is_none()
                });
                stands.and_then(|project| project.app_keys).map(|keys| reply::project(&keys))
            }
            Self::CustomerInactive(id) => {
                let customer = announced(tx, id)?;
                let stands = customer.deactivated_at_s.is_some() && !project::any_enabled(tx, id)?;
                stands.then(reply::success)
            }
            Self::ProjectDisabled(customer_id, id) => {
                announced(tx, customer_id)?;
                let project = project::find(tx, id)?.ok_or(Refusal::NoProject)?;
                match &project.customer_id {
                    None => return Err(Refusal::NoProject.into()),
                    Some(owner) if owner != customer_id => {
                        return Err(Refusal::OtherCustomer.into());
                    }
                    Some(_) => project.enabled_since_s.is_none().then(reply::success),
                }
            }
            Self::LicenseIssued(new) => {
                customer::find(tx, &new.customer_id)?.ok_or(Refusal::NoCustomer)?;
                license::find_alike(tx, new, &stamp.actor)?.map(|license| {
                    point_out(&license, new);
                    reply::success()
                })
            }
        })
    }

    /// Makes it so, where it is not, and answers.
    pub(super) fn perform(&self, tx: &WriteTx<'_>, stamp: &Stamp) -> Result<Reply, Failure> {
        // Another call, or a shell, may have made it so since it was looked up.
        if let Some(reply) = self.look(tx, stamp)? {
            return Ok(reply);
        }
        self.change(tx, stamp)?;
        Ok(self.look(tx, stamp)?.expect("it has just been made so"))
    }

    fn change(&self, tx: &WriteTx<'_>, stamp: &Stamp) -> store::Result<()> {
        match self {
            Self::CustomerActive(id, said) => {
                let was_known = customer::find(tx, id)?.is_some();
                let is_first = customer::plans_of(tx, id)?.is_empty();
                let customer = customer::announce(tx, id, said, stamp)?;
                if let (true, [Said { from_s, value, .. }]) =
                    (is_first, &customer::plans_of(tx, id)?[..])
                {
                    let months = first_months(*from_s);
                    let (level, so_far) = first_words(was_known, "had no plan so far");
                    log::log!(level, "customer {id} {so_far}: {value} prices {months}");
                }
                if let Err(missing) =
                    plan::book(tx)?.applicable(customer.plan_id.as_ref(), stamp.at_s)
                {
                    log::warn!(
                        "customer {id} has the plan {missing}, which is not set up: its usage has no price"
                    );
                }
            }
            Self::ProjectEnabled(customer_id, id) => {
                let was_known = project::find(tx, id)?.is_some();
                let is_first = project::customers_of(tx, id)?.is_empty();
                project::create(tx, id, customer_id, stamp)?;
                if let (true, [Said { from_s, .. }]) =
                    (is_first, &project::customers_of(tx, id)?[..])
                {
                    let months = first_months(*from_s);
                    let (level, so_far) = first_words(was_known, "had no customer so far");
                    log::log!(level, "project {id} {so_far}: {customer_id} is billed for {months}");
                }
            }
            Self::CustomerInactive(id) => project::deactivate_all(tx, id, stamp)?,
            Self::ProjectDisabled(_, id) => {
                if let Some(project) = project::find(tx, id)? {
                    project::disable(tx, &project, stamp)?;
                }
            }
            Self::LicenseIssued(new) => {
                let issued = license::operate(tx, &Operation::Issue(new.clone()), None, stamp)?;
                let issued =
                    issued.expect("a window that is not empty, under a new id, is not refused");
                if let (true, Some(kind)) = (issued.unknown.grant, &new.kind) {
                    log::warn!(
                        "customer {} was sold a license of the type {kind}, which is not set up: it is unlimited",
                        new.customer_id
                    );
                }
            }
        }
        Ok(())
    }
}

/// The months of a customer or a project in which the first of its kind holds, in words.
fn first_months(from_s: i64) -> String {
    match from_s {
        0 => "all its months, past ones too".to_owned(),
        from_s => format!(
            "its months from {} on, since one before was billed already",
            date(from_s).strftime("%Y-%m")
        ),
    }
}

/// How loud the log is of a customer's first plan, or a project's first customer, and what it says of the time before:
/// where it was in the books, it may have usage that was billed otherwise.
fn first_words(was_known: bool, so_far: &str) -> (log::Level, &str) {
    if was_known { (log::Level::Warn, so_far) } else { (log::Level::Info, "is new") }
}

/// The customer, if anybody announced it.
fn announced(tx: &ReadTx<'_>, id: &CustomerId) -> Result<Customer, Failure> {
    let customer = customer::find(tx, id)?.filter(|customer| customer.announced_at_s.is_some());
    Ok(customer.ok_or(Refusal::NoCustomer)?)
}

/// Checks that a project of nobody, or of another customer, may become the one's who creates it: it was only recorded
/// so far, for a customer whom at most a record has named.
fn check_adoption(tx: &ReadTx<'_>, project: &Project) -> Result<(), Failure> {
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
