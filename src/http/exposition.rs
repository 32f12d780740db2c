//! The page `/metrics`, in the form that Prometheus reads. Nothing that a caller makes up is a
//! label, so that there is a bounded number of lines.
//!
//! Amounts are floats here, as all metrics are: they are for graphs, and no figure that counts is
//! read off them.

use crate::billing::amount::Amount;
use crate::billing::statement::ListingKind;
use crate::http::metrics::Metrics;
use crate::http::watch::Sight;
use crate::store::LockWaits;
use crate::store::durations::STEPS_MICROS;
use crate::store::survey::Survey;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, MetricEncoder, NoLabelSet, prometheus_text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The form of the page, as `Content-Type` names it.
pub(super) const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// All that the page says.
#[derive(Debug)]
pub(super) struct Exposition {
    pub metrics: Arc<Metrics>,
    pub waits: WaitsSeen,
    /// How many connections are open.
    pub connections: usize,
    /// How many lines the log has lost.
    pub lost_lines: u64,
    pub started_at_s: i64,
    /// The last second in which the certificate in use is good; `None` where there is none.
    pub certificate_ends_at_s: Option<i64>,
    pub sight: Arc<Sight>,
    pub now_s: i64,
}

/// How long the lock was waited for, as of a moment.
#[derive(Debug)]
pub(super) struct WaitsSeen {
    counts: [u64; STEPS_MICROS.len() + 1],
    sum: Duration,
    given_up: u64,
}

impl WaitsSeen {
    pub(super) fn of(waits: &LockWaits) -> Self {
        let (counts, sum) = (waits.had.counts(), waits.had.sum());
        Self { counts, sum, given_up: waits.given_up.load(Ordering::Relaxed) }
    }
}

impl Exposition {
    /// The page.
    pub(super) fn page(self) -> String {
        let mut registry = Registry::with_prefix("agora_vendor");
        registry.register_collector(Box::new(self));
        let mut page = String::new();
        prometheus_text::encode(&mut page, &registry).expect("memory takes everything");
        page
    }
}

impl Collector for Exposition {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = MetricsPage(encoder);
        self.of_server(&mut page)?;
        self.of_requests(&mut page)?;
        let sight = &self.sight;
        page.gauge(
            "books_read",
            "Whether the books could be read for the metrics below",
            u64::from(sight.survey.is_some()),
        )?;
        page.gauge(
            "books_read_seconds",
            "How long that took, at the last time; it is done anew after 10 seconds at most",
            sight.took.as_secs_f64(),
        )?;
        if let Some(free_bytes) = sight.free_bytes {
            page.gauge("free_bytes", "Room where the database lies", free_bytes)?;
        }
        match &sight.survey {
            Some(survey) => of_books(&mut page, survey, self.now_s),
            None => Ok(()),
        }
    }
}

impl Exposition {
    fn of_server(&self, page: &mut MetricsPage<'_>) -> fmt::Result {
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        page.family("build_info", "The version that runs; always 1", MetricType::Gauge)?
            .encode_family(&version)?
            .encode_gauge(&1_u64)?;
        page.gauge("start_time_seconds", "When the server started", self.started_at_s)?;
        page.gauge(
            "connections",
            "Connections that are open, the admin's aside",
            self.connections,
        )?;
        let help = "Lines of the log that there was no room for, or that could not be written";
        page.family("log_lines_lost", help, MetricType::Counter)?
            .encode_counter::<NoLabelSet, _, u64>(&self.lost_lines, None)?;
        if let Some(ends_at_s) = self.certificate_ends_at_s {
            page.gauge(
                "certificate_end_timestamp_seconds",
                "The last second of the TLS certificate in use",
                ends_at_s,
            )?;
        }
        Ok(())
    }

    fn of_requests(&self, page: &mut MetricsPage<'_>) -> fmt::Result {
        let help = "Requests that were answered, by route and status; route none is no call's";
        let mut requests = page.family("requests", help, MetricType::Counter)?;
        for (route, status, count) in self.metrics.requests() {
            let labels = [("route", route), ("status", status)];
            let mut request = requests.encode_family(&labels)?;
            request.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        let help = "How long answers took, from the whole request on";
        let mut took = page.family("request_duration_seconds", help, MetricType::Histogram)?;
        for (route, durations) in self.metrics.durations() {
            let labels = [("route", route)];
            histogram(&mut took.encode_family(&labels)?, &durations.counts(), durations.sum())?;
        }
        let help = "How long changes waited for the write lock, where they had it";
        let mut waits = page.family("lock_wait_seconds", help, MetricType::Histogram)?;
        histogram(&mut waits, &self.waits.counts, self.waits.sum)?;
        let help = "Changes for which the write lock was not to be had in time";
        let mut given_up = page.family("lock_timeouts", help, MetricType::Counter)?;
        given_up.encode_counter::<NoLabelSet, _, u64>(&self.waits.given_up, None)
    }
}

/// What the books say.
fn of_books(page: &mut MetricsPage<'_>, survey: &Survey, now_s: i64) -> fmt::Result {
    let recording = &survey.recording;
    page.gauge("database_bytes", "The length of the database's file", survey.database_bytes)?;
    page.gauge("log_bytes", "The length of its write-ahead log", survey.log_bytes)?;
    page.gauge("records", "Records that stand", recording.records)?;
    page.gauge("ledger_entries", "Entries of the ledger, voids among them", recording.entries)?;
    let last = recording.last_recorded_at_s;
    page.moment("last_record_timestamp_seconds", "When the last record was written", last)?;
    let used = recording.last_used_at_s;
    page.moment("last_usage_timestamp_seconds", "The last second with usage, up to now", used)?;
    of_asking(page, survey)?;
    let backup = survey.backup.as_ref().map(|backup| backup.at_s);
    page.moment("last_backup_timestamp_seconds", "When the newest backup was begun", backup)?;
    if let Some(at_s) = backup {
        page.gauge("backup_age_seconds", "The age of the newest backup", (now_s - at_s).max(0))?;
    }
    let ending = survey.licenses_ending.len();
    page.gauge("licenses_ending", "Licenses that end within 30 days", ending)?;
    page.gauge(
        "licenses_running_out",
        "Customers whose licenses are used up within 30 days at the pace of the last week",
        survey.licenses_running_out.len(),
    )?;
    page.gauge("plans_missing", "Plans that are named and not set up", survey.plans_missing.len())?;
    page.gauge(
        "license_types_missing",
        "Types of licenses that are named and not set up",
        survey.types_missing.len(),
    )?;
    let unpriced: usize = survey.unpriced.iter().map(|month| month.projects).sum();
    let help = "Projects with usage that has no price, of this month and the last one";
    page.gauge("unpriced_projects", help, unpriced)?;
    of_lateness(page, survey)?;
    page.gauge("live_keys", "Live key pairs that are accepted", survey.live_keys.len())
}

/// When Agora asked, and for what it never did.
fn of_asking(page: &mut MetricsPage<'_>, survey: &Survey) -> fmt::Result {
    let kinds = [("usage", ListingKind::Usage), ("bill", ListingKind::Bill)];
    let help = "Statements that are kept of what Agora was told";
    let mut statements = page.family("statements", help, MetricType::Gauge)?;
    for (name, kind) in kinds {
        let labels = [("kind", name)];
        let count = survey.asked(kind).statements;
        statements.encode_family(&labels)?.encode_gauge(&count)?;
    }
    let asked = kinds.map(|(name, kind)| (name, survey.asked(kind).last_asked_at_s));
    if asked.iter().any(|(_, at_s)| at_s.is_some()) {
        let help = "When Agora last asked for all of a statement";
        let mut last = page.family("last_asked_timestamp_seconds", help, MetricType::Gauge)?;
        for (name, at_s) in asked {
            if let Some(at_s) = at_s {
                last.encode_family(&[("kind", name)])?.encode_gauge(&at_s)?;
            }
        }
    }
    let help = "Days of usage, or months of bills, that are over and that Agora never asked for";
    let mut never = page.family("never_asked", help, MetricType::Gauge)?;
    for (name, kind) in kinds {
        let count = survey.asked(kind).never.len();
        never.encode_family(&[("kind", name)])?.encode_gauge(&count)?;
    }
    Ok(())
}

/// What was recorded too late for what Agora was told.
fn of_lateness(page: &mut MetricsPage<'_>, survey: &Survey) -> fmt::Result {
    let sum = |amounts: &mut dyn Iterator<Item = &Amount>| {
        let mut sum = Amount::default();
        amounts.for_each(|amount| sum += amount);
        float(&sum)
    };
    let usage = &survey.late_usage;
    page.gauge(
        "late_usage",
        "Usage of this month and the last one that no statement told, in whatever units",
        sum(&mut usage.iter().map(|month| &month.amount)),
    )?;
    let records: i64 = usage.iter().map(|month| month.records).sum();
    page.gauge("late_records", "Records of it, less voids", records)?;
    let money = &survey.late_money;
    page.gauge(
        "late_money_too_little",
        "What months that were billed cost and no bill told, in the currency of the bills",
        sum(&mut money.iter().map(|month| &month.too_little)),
    )?;
    page.gauge(
        "late_money_too_much",
        "What bills told too much",
        sum(&mut money.iter().map(|month| &month.too_much)),
    )
}

/// An amount for a graph.
fn float(amount: &Amount) -> f64 {
    amount.to_string().parse().unwrap_or(f64::NAN)
}

fn histogram(
    encoder: &mut MetricEncoder<'_>,
    counts: &[u64; STEPS_MICROS.len() + 1],
    sum: Duration,
) -> fmt::Result {
    let ends = STEPS_MICROS.iter().map(|step| Duration::from_micros(*step).as_secs_f64());
    let buckets: Vec<(f64, u64)> =
        ends.chain([f64::INFINITY]).zip(counts.iter().copied()).collect();
    let count = counts.iter().sum();
    encoder.encode_histogram::<NoLabelSet>(sum.as_secs_f64(), count, &buckets, None)
}

/// The page as it is written.
struct MetricsPage<'a>(DescriptorEncoder<'a>);

impl MetricsPage<'_> {
    /// The head of a metric, under which its lines are written.
    fn family<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
        kind: MetricType,
    ) -> Result<MetricEncoder<'s>, fmt::Error> {
        self.0.encode_descriptor(name, help, None, kind)
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl EncodeGaugeValue) -> fmt::Result {
        self.family(name, help, MetricType::Gauge)?.encode_gauge(&value)
    }

    /// A moment in Unix seconds, where there was one.
    fn moment(&mut self, name: &str, help: &str, at_s: Option<i64>) -> fmt::Result {
        match at_s {
            Some(at_s) => self.gauge(name, help, at_s),
            None => Ok(()),
        }
    }
}
