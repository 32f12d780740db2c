//! What the server counts of itself: requests and how long they took, by atomics alone, so that no
//! answer waits for it. What callers make up, such as a path, is no label.

use crate::http::route::{Call, Provisioning};
use crate::store::durations::Durations;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The statuses that there are; any other counts as `other`.
const STATUSES: [(u16, &str); 12] = [
    (200, "200"),
    (400, "400"),
    (401, "401"),
    (404, "404"),
    (405, "405"),
    (408, "408"),
    (409, "409"),
    (413, "413"),
    (414, "414"),
    (431, "431"),
    (500, "500"),
    (503, "503"),
];

/// The statuses that every route has a line of from the start: a rate sees no rise where a line
/// begins, and so the first failure would be seen by nobody.
const WATCHED: [&str; 4] = ["200", "401", "500", "503"];

/// The routes, by their places; what is no call's has none.
const ROUTES: [&str; 10] = [
    "none",
    "usage",
    "bill",
    "license",
    "healthz",
    "create_customer",
    "create_project",
    "deactivate_customer",
    "deactivate_project",
    "activate_license",
];

fn place(call: Option<Call>) -> usize {
    match call {
        None => 0,
        Some(Call::Usage) => 1,
        Some(Call::Bill) => 2,
        Some(Call::License) => 3,
        Some(Call::Health) => 4,
        Some(Call::Provisioning(Provisioning::CreateCustomer)) => 5,
        Some(Call::Provisioning(Provisioning::CreateProject)) => 6,
        Some(Call::Provisioning(Provisioning::DeactivateCustomer)) => 7,
        Some(Call::Provisioning(Provisioning::DeactivateProject)) => 8,
        Some(Call::Provisioning(Provisioning::ActivateLicense)) => 9,
    }
}

/// What is counted since the server started.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    routes: [RouteCounts; ROUTES.len()],
}

/// What is counted of a route.
#[derive(Debug, Default)]
struct RouteCounts {
    /// By the places of the statuses; others last.
    statuses: [AtomicU64; STATUSES.len() + 1],
    took: Durations,
}

impl Metrics {
    /// Counts a request that was answered.
    pub(super) fn count(&self, call: Option<Call>, status: u16, took: Duration) {
        self.refuse(call, status);
        self.routes[place(call)].took.count(took);
    }

    /// Counts a request that was refused before it was whole: when it arrived nobody can say.
    pub(super) fn refuse(&self, call: Option<Call>, status: u16) {
        let known = STATUSES.iter().position(|(known, _)| *known == status);
        let status = known.unwrap_or(STATUSES.len());
        self.routes[place(call)].statuses[status].fetch_add(1, Ordering::Relaxed);
    }

    /// How many requests of each route were told each status, but for those of which there were
    /// none and that nobody watches.
    pub(super) fn requests(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let names = STATUSES.iter().map(|(_, name)| *name).chain(["other"]);
        ROUTES.iter().zip(&self.routes).flat_map(move |(route, counts)| {
            let counted = names.clone().zip(&counts.statuses);
            let counted = counted.map(|(status, count)| (status, count.load(Ordering::Relaxed)));
            counted
                .filter(|(status, count)| *count > 0 || WATCHED.contains(status))
                .map(move |(status, count)| (*route, status, count))
        })
    }

    /// How long the answers of each route took.
    pub(super) fn durations(&self) -> impl Iterator<Item = (&'static str, &Durations)> {
        ROUTES.iter().zip(&self.routes).map(|(route, counts)| (*route, &counts.took))
    }
}
