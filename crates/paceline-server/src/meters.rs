//! What is counted, and how Prometheus reads it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use paceline::core::{LimitView, ResourceView};
use paceline::{AccountSnapshot, NearLimit};

use crate::kind::Kind;

/// Everything that the server counts.
#[derive(Default)]
pub(crate) struct Meters {
    resources: RwLock<BTreeMap<String, Arc<ResourceMeters>>>,
    /// By route.
    requests: RwLock<BTreeMap<String, Vec<(Method, Classes)>>>,
    /// By ledger.
    moved: RwLock<BTreeMap<String, Vec<Movement>>>,
    pub(crate) settles: AtomicU64,
    pub(crate) store_errors: AtomicU64,
    pub(crate) provider_refusals: AtomicU64,
    pub(crate) reloads_refused: AtomicU64,
    pub(crate) connections: AtomicI64,
    pub(crate) connections_refused: AtomicU64,
    pub(crate) waiting: AtomicI64,
    near: RwLock<Vec<NearLimit>>,
}

/// Statuses by their first digit.
const CLASSES: usize = 6;
type Classes = [AtomicU64; CLASSES];

/// What counts it, the metric that was moved, and how much.
type Movement = (Moved, String, AtomicU64);

/// What is counted of one resource.
pub(crate) struct ResourceMeters {
    granted: AtomicU64,
    /// By kind of problem.
    refused: [AtomicU64; Kind::COUNT],
    /// Grants by how long they waited, and those that waited longer than all bounds.
    waits: [AtomicU64; WAITS.len() + 1],
    waited_us: AtomicU64,
}

/// The bounds of the histogram of waits, in milliseconds.
const WAITS: [u32; 14] =
    [1, 5, 10, 50, 100, 500, 1_000, 5_000, 10_000, 30_000, 60_000, 300_000, 900_000, 3_600_000];

/// What is shown, in this order: name, type, help. The documentation has the same table.
pub(crate) const METRICS: [(&str, &str, &str); 21] = [
    (
        "paceline_acquires_total",
        "counter",
        "Acquires by resource and outcome: granted, or the kind of problem.",
    ),
    ("paceline_wait_seconds", "histogram", "How long granted acquires waited."),
    ("paceline_line_depth", "gauge", "Tickets that wait, by resource and lane."),
    ("paceline_line_oldest_seconds", "gauge", "How long the first ticket of a lane has waited."),
    ("paceline_in_flight", "gauge", "Permits that are out, by resource."),
    ("paceline_paused", "gauge", "1 for resources and limits that are paused."),
    ("paceline_limit_capacity", "gauge", "The amount of a limit as it is in force."),
    ("paceline_limit_left", "gauge", "What is left of a limit; below zero is debt."),
    ("paceline_limit_used", "gauge", "What is used of a limit, and has not come back."),
    (
        "paceline_limit_reserved",
        "gauge",
        "What is held apart of a limit for permits that have not settled; a part of what is used.",
    ),
    ("paceline_limit_near", "gauge", "1 for limits that are used beyond their `warn_at`."),
    ("paceline_settles_total", "counter", "Permits that were settled or given back."),
    ("paceline_returned_units_total", "counter", "What settlements gave back, by ledger and metric."),
    (
        "paceline_overrun_units_total",
        "counter",
        "What settlements charged beyond reservations, by ledger and metric.",
    ),
    (
        "paceline_provider_refusals_total",
        "counter",
        "Refusals of providers that clients reported: pauses with an end that let callers wait.",
    ),
    ("paceline_store_errors_total", "counter", "Answers that failed because the store could not be reached."),
    (
        "paceline_configurations_refused_total",
        "counter",
        "Changes of the configuration file that were refused.",
    ),
    ("paceline_http_requests_total", "counter", "Requests by route, method and class of status."),
    ("paceline_http_connections", "gauge", "Open connections."),
    (
        "paceline_http_connections_refused_total",
        "counter",
        "Connections closed at once because too many were open.",
    ),
    ("paceline_http_waiting", "gauge", "Requests that wait for a grant."),
];

impl Meters {
    /// Returns the meters of a resource, which outlive its configuration.
    pub(crate) fn of_resource(&self, name: &str) -> Arc<ResourceMeters> {
        if let Some(meters) = self.resources.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Arc::clone(meters);
        }
        let mut resources = self.resources.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(resources.entry(name.to_owned()).or_default())
    }

    /// Counts an answer.
    pub(crate) fn answered(&self, route: &str, method: &Method, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).min(CLASSES - 1);
        let count = |methods: &Vec<(Method, Classes)>| {
            let counts = methods.iter().find(|(known, _)| known == method);
            counts
                .and_then(|(_, counts)| counts.get(class))
                .map(|count| count.fetch_add(1, Relaxed))
                .is_some()
        };
        // The routes are few, and known after the first request of each.
        let requests = self.requests.read().unwrap_or_else(PoisonError::into_inner);
        if requests.get(route).is_some_and(count) {
            return;
        }
        drop(requests);
        let mut requests = self.requests.write().unwrap_or_else(PoisonError::into_inner);
        let methods = requests.entry(route.to_owned()).or_default();
        if !count(methods) {
            methods.push((method.clone(), Classes::default()));
            count(methods);
        }
    }

    /// Counts what a settlement moved: units by ledger and metric.
    pub(crate) fn moved(&self, what: Moved, ledger: &str, metric: &str, amount: u64) {
        let add = |movements: &Vec<Movement>| {
            let sum = movements.iter().find(|(known, of, _)| *known == what && of == metric);
            sum.map(|(.., sum)| sum.fetch_add(amount, Relaxed)).is_some()
        };
        let moved = self.moved.read().unwrap_or_else(PoisonError::into_inner);
        if moved.get(ledger).is_some_and(add) {
            return;
        }
        drop(moved);
        let mut moved = self.moved.write().unwrap_or_else(PoisonError::into_inner);
        let movements = moved.entry(ledger.to_owned()).or_default();
        if !add(movements) {
            movements.push((what, metric.to_owned(), AtomicU64::new(amount)));
        }
    }

    /// Takes in which limits are nearly used up.
    pub(crate) fn near(&self, near: Vec<NearLimit>) {
        *self.near.write().unwrap_or_else(PoisonError::into_inner) = near;
    }

    /// Writes everything as Prometheus reads it.
    pub(crate) fn text(&self, accounts: &[AccountSnapshot]) -> String {
        let mut page = Page { text: String::with_capacity(16 << 10) };
        for (name, kind, help) in METRICS {
            let _ = writeln!(page.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            self.samples(name, accounts, &mut page);
        }
        page.text
    }

    fn samples(&self, name: &str, accounts: &[AccountSnapshot], page: &mut Page) {
        let resources = || accounts.iter().flat_map(|account| &account.ledger.resources);
        let limits = || {
            accounts
                .iter()
                .flat_map(|account| account.ledger.limits.iter().map(move |limit| (&*account.name, limit)))
        };
        let own = self.resources.read().unwrap_or_else(PoisonError::into_inner);
        let of_limit = |page: &mut Page, value: &dyn Fn(&LimitView) -> String| {
            for (ledger, limit) in limits() {
                let labels = [("ledger", ledger), ("limit", &*limit.name), ("metric", &*limit.metric)];
                page.sample(name, &labels, &value(limit));
            }
        };
        match name {
            "paceline_acquires_total" => {
                own.iter().for_each(|(resource, meters)| meters.outcomes(name, resource, page));
            }
            "paceline_wait_seconds" => {
                own.iter().for_each(|(resource, meters)| meters.histogram(name, resource, page));
            }
            "paceline_line_depth" | "paceline_line_oldest_seconds" => {
                resources().for_each(|resource| lanes(name, resource, page));
            }
            "paceline_in_flight" => resources().for_each(|resource| {
                page.sample(name, &[("resource", &*resource.name)], &resource.in_flight.to_string());
            }),
            "paceline_paused" => {
                for resource in resources() {
                    let paused = u8::from(resource.paused_for.is_some());
                    page.sample(
                        name,
                        &[("kind", "resource"), ("name", &*resource.name)],
                        &paused.to_string(),
                    );
                }
                for (_, limit) in limits() {
                    let paused = u8::from(limit.paused_for.is_some());
                    page.sample(name, &[("kind", "limit"), ("name", &*limit.name)], &paused.to_string());
                }
            }
            "paceline_limit_capacity" => of_limit(page, &|limit| limit.amount.to_string()),
            "paceline_limit_left" => of_limit(page, &|limit| limit.left.to_string()),
            "paceline_limit_reserved" => of_limit(page, &|limit| limit.held.to_string()),
            "paceline_limit_near" => {
                for near in self.near.read().unwrap_or_else(PoisonError::into_inner).iter() {
                    page.sample(name, &[("limit", &*near.limit), ("metric", &*near.metric)], "1");
                }
            }
            "paceline_limit_used" => of_limit(page, &|limit| limit.used.to_string()),
            _ => self.sums(name, page),
        }
    }

    fn sums(&self, name: &str, page: &mut Page) {
        let plain =
            |page: &mut Page, value: &dyn std::fmt::Display| page.sample(name, &[], &value.to_string());
        match name {
            "paceline_settles_total" => plain(page, &self.settles.load(Relaxed)),
            "paceline_provider_refusals_total" => plain(page, &self.provider_refusals.load(Relaxed)),
            "paceline_store_errors_total" => plain(page, &self.store_errors.load(Relaxed)),
            "paceline_configurations_refused_total" => plain(page, &self.reloads_refused.load(Relaxed)),
            "paceline_http_connections" => plain(page, &self.connections.load(Relaxed)),
            "paceline_http_connections_refused_total" => plain(page, &self.connections_refused.load(Relaxed)),
            "paceline_http_waiting" => plain(page, &self.waiting.load(Relaxed)),
            "paceline_http_requests_total" => self.requests(name, page),
            _ => {
                let moved = self.moved.read().unwrap_or_else(PoisonError::into_inner);
                for (ledger, movements) in moved.iter() {
                    for (_, metric, sum) in movements.iter().filter(|(what, ..)| what.metric() == name) {
                        let labels = [("ledger", ledger.as_str()), ("metric", metric.as_str())];
                        page.sample(name, &labels, &sum.load(Relaxed).to_string());
                    }
                }
            }
        }
    }

    fn requests(&self, name: &str, page: &mut Page) {
        let requests = self.requests.read().unwrap_or_else(PoisonError::into_inner);
        let rows = requests
            .iter()
            .flat_map(|(route, methods)| methods.iter().map(move |(method, counts)| (route, method, counts)));
        for (route, method, counts) in rows {
            for (class, count) in counts.iter().enumerate() {
                let (count, class) = (count.load(Relaxed), format!("{class}xx"));
                if count > 0 {
                    let labels = [("route", route.as_str()), ("method", method.as_str()), ("status", &class)];
                    page.sample(name, &labels, &count.to_string());
                }
            }
        }
    }
}

/// What a settlement moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moved {
    /// It went back.
    Returned,
    /// It was charged beyond the reservation.
    Charged,
}

impl Moved {
    fn metric(self) -> &'static str {
        match self {
            Self::Returned => "paceline_returned_units_total",
            Self::Charged => "paceline_overrun_units_total",
        }
    }
}

fn lanes(name: &str, resource: &ResourceView, page: &mut Page) {
    for lane in &resource.lanes {
        let labels = [("resource", &*resource.name), ("lane", lane.name.as_deref().unwrap_or_default())];
        let value = match name {
            "paceline_line_depth" => lane.waiting.to_string(),
            _ => seconds(Duration::from_millis(lane.oldest.unwrap_or(0))),
        };
        page.sample(name, &labels, &value);
    }
}

impl ResourceMeters {
    /// Counts a grant.
    pub(crate) fn granted(&self, waited: Duration) {
        self.granted.fetch_add(1, Relaxed);
        let ms = waited.as_millis();
        let at = WAITS.iter().position(|bound| ms <= u128::from(*bound)).unwrap_or(WAITS.len());
        if let Some(count) = self.waits.get(at) {
            count.fetch_add(1, Relaxed);
        }
        self.waited_us.fetch_add(u64::try_from(waited.as_micros()).unwrap_or(0), Relaxed);
    }

    /// Counts a refusal.
    pub(crate) fn refused(&self, kind: Kind) {
        if let Some(count) = self.refused.get(kind as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    fn outcomes(&self, name: &str, resource: &str, page: &mut Page) {
        page.sample(
            name,
            &[("resource", resource), ("outcome", "granted")],
            &self.granted.load(Relaxed).to_string(),
        );
        for (kind, count) in Kind::all().zip(&self.refused) {
            let count = count.load(Relaxed);
            if count > 0 {
                page.sample(name, &[("resource", resource), ("outcome", kind.name())], &count.to_string());
            }
        }
    }

    fn histogram(&self, name: &str, resource: &str, page: &mut Page) {
        let mut sum = 0;
        let bounds = WAITS.iter().map(|bound| seconds(Duration::from_millis(u64::from(*bound))));
        for (bound, count) in bounds.chain(["+Inf".to_owned()]).zip(&self.waits) {
            sum += count.load(Relaxed);
            page.sample(
                &format!("{name}_bucket"),
                &[("resource", resource), ("le", &bound)],
                &sum.to_string(),
            );
        }
        let waited = Duration::from_micros(self.waited_us.load(Relaxed));
        page.sample(&format!("{name}_sum"), &[("resource", resource)], &seconds(waited));
        page.sample(&format!("{name}_count"), &[("resource", resource)], &sum.to_string());
    }
}

impl Default for ResourceMeters {
    fn default() -> Self {
        Self {
            granted: AtomicU64::new(0),
            refused: std::array::from_fn(|_| AtomicU64::new(0)),
            waits: std::array::from_fn(|_| AtomicU64::new(0)),
            waited_us: AtomicU64::new(0),
        }
    }
}

struct Page {
    text: String,
}

impl Page {
    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: &str) {
        self.text.push_str(name);
        let mut open = '{';
        for (label, of) in labels {
            let of = of.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.text, "{open}{label}=\"{of}\"");
            open = ',';
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

fn seconds(duration: Duration) -> String {
    duration.as_secs_f64().to_string()
}
