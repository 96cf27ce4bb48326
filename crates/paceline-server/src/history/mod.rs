//! What was: a point a second for a quarter of an hour, one every ten seconds for three hours, one every five minutes for a
//! week, of each resource that was ever used, in rings of bounded size.

mod file;
mod ring;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use paceline::AccountSnapshot;
use paceline::core::{LimitView, ResourceView};

use crate::clock::Watch;
use crate::lookout::Rates;
use crate::persist;
use ring::Ring;
pub(crate) use ring::{OF_LIMIT, OF_RESOURCE};

/// The steps of the rings in seconds, and how many points each keeps.
pub(crate) const STEPS: [(u32, usize); 3] = [(1, 900), (10, 1_080), (300, 2_016)];
/// How many resources have a history: at most 431 KB each with four limits, of points of 108 bytes.
const MOST_RESOURCES: usize = 128;
/// How many limits of a resource have one.
const MOST_LIMITS: usize = 8;
/// How often it is written to the disk, in milliseconds.
const WRITE_MS: u64 = 300_000;

/// The history of all resources.
pub(crate) struct History {
    path: Option<PathBuf>,
    all: Mutex<BTreeMap<String, Series>>,
}

/// The history of one resource.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    /// The names and metrics of its limits, in the order of their columns.
    pub(crate) limits: Vec<(String, String)>,
    /// What `reserved` and `used` count.
    pub(crate) estimated: Option<String>,
    pub(crate) rings: Vec<Ring>,
}

impl History {
    /// Reads what was kept; what is damaged or of another version is set aside, with a warning.
    pub(crate) fn open(path: Option<PathBuf>) -> Self {
        let all = path.as_deref().map_or_else(BTreeMap::new, |path| match file::read(path) {
            Ok(all) => all,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => {
                let aside = path.with_extension("set-aside");
                let moved = std::fs::rename(path, &aside);
                let moved = moved.map_or_else(
                    |error| format!("and cannot be moved: {error}"),
                    |()| format!("and is now {}", aside.display()),
                );
                log::warn!(
                    "the history {} cannot be read ({error}), {moved}; it begins anew",
                    path.display()
                );
                BTreeMap::new()
            }
        });
        Self { path, all: Mutex::new(all) }
    }

    /// Takes a sample of everything, at this time in milliseconds since the Unix epoch.
    pub(crate) fn sample(&self, at_ms: u64, accounts: &[AccountSnapshot], rates: &Rates) {
        let Ok(at) = u32::try_from(at_ms / 1_000) else { return };
        let mut all = self.all();
        for account in accounts {
            for resource in &account.ledger.resources {
                let limits: Vec<&LimitView> = account
                    .ledger
                    .limits
                    .iter()
                    .filter(|limit| resource.limits.contains(&limit.name))
                    .take(MOST_LIMITS)
                    .collect();
                if !all.contains_key(&*resource.name) {
                    if all.len() >= MOST_RESOURCES || is_idle(resource, &limits) {
                        continue;
                    }
                    all.insert(resource.name.to_string(), Series::new());
                }
                if let Some(series) = all.get_mut(&*resource.name) {
                    series.add(at, resource, &limits, rates);
                }
            }
        }
    }

    /// Returns the history of a resource, and the ring whose points are at least `step` seconds apart and reach back to
    /// `since`; the last ring where none does.
    pub(crate) fn of<T>(
        &self,
        resource: &str,
        step: Option<u32>,
        reach: u32,
        read: impl FnOnce(&Series, &Ring) -> T,
    ) -> Option<T> {
        let all = self.all();
        let series = all.get(resource)?;
        let fits = |ring: &&Ring| match step {
            Some(step) => ring.step() >= step,
            None => ring.reach() >= reach,
        };
        let ring = series.rings.iter().find(fits).or(series.rings.last())?;
        Some(read(series, ring))
    }

    /// Returns whether a resource has a history.
    pub(crate) fn knows(&self, resource: &str) -> bool {
        self.all().contains_key(resource)
    }

    /// Writes it to the disk, if it is kept there.
    pub(crate) fn write(&self) {
        let Some(path) = &self.path else { return };
        let bytes = file::written(&self.all());
        if let Err(error) = persist::replace(path, &bytes) {
            log::warn!(
                "the history {} cannot be written: {error}; the last points are in memory alone",
                path.display()
            );
        }
    }

    /// Writes it to the disk from time to time, until the task is ended.
    pub(crate) async fn keep(&self) {
        loop {
            let waited = Watch::start();
            while waited.elapsed_ms() < WRITE_MS {
                tokio::time::sleep(std::time::Duration::from_millis(
                    WRITE_MS.saturating_sub(waited.elapsed_ms()),
                ))
                .await;
            }
            tokio::task::block_in_place(|| self.write());
        }
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Series>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether there is nothing to tell yet.
fn is_idle(resource: &ResourceView, limits: &[&LimitView]) -> bool {
    resource.waiting == 0 && resource.in_flight == 0 && limits.iter().all(|limit| limit.used == 0)
}

impl Series {
    fn new() -> Self {
        let rings = STEPS.iter().map(|(step, most)| Ring::new(*step, *most, 0)).collect();
        Self { limits: Vec::new(), estimated: None, rings }
    }

    fn add(&mut self, at: u32, resource: &ResourceView, limits: &[&LimitView], rates: &Rates) {
        self.fit(limits);
        let pace = rates.of_second(&resource.name);
        if let Some(settled) = &pace.settled
            && self.estimated.as_deref() != Some(&*settled.metric)
        {
            self.estimated = Some(settled.metric.to_string());
        }
        let seconds = |ms: Option<u64>| ms.map_or(f32::NAN, |ms| single(ms) / 1_000.0);
        let oldest = resource.lanes.iter().filter_map(|lane| lane.oldest).max();
        let settled = pace
            .settled
            .as_ref()
            .map_or((f64::NAN, f64::NAN), |of| (of.reserved_per_second, of.used_per_second));
        let mut row = vec![
            single(resource.waiting),
            seconds(oldest.or(Some(0))),
            single(resource.in_flight),
            narrow(pace.grants_per_second),
            narrow(pace.refusals_per_second),
            seconds(pace.p50),
            seconds(pace.p95),
            seconds(pace.longest),
            narrow(settled.0),
            narrow(settled.1),
        ];
        for limit in limits {
            #[expect(clippy::cast_precision_loss, reason = "charts need no more")]
            row.extend([single(limit.used), single(limit.held), limit.left as f32, single(limit.amount)]);
        }
        for ring in &mut self.rings {
            ring.add(at, &row);
        }
    }

    /// Has a column for each of these limits; those that were there before keep theirs.
    fn fit(&mut self, limits: &[&LimitView]) {
        let same = self.limits.len() == limits.len()
            && self
                .limits
                .iter()
                .zip(limits)
                .all(|((name, metric), limit)| *name == *limit.name && *metric == *limit.metric);
        if same {
            return;
        }
        let before = std::mem::take(&mut self.limits);
        self.limits = limits.iter().map(|limit| (limit.name.to_string(), limit.metric.to_string())).collect();
        let from: Vec<Option<usize>> =
            self.limits.iter().map(|own| before.iter().position(|other| other == own)).collect();
        for ring in &mut self.rings {
            ring.refit(&from);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "charts need no more")]
fn single(amount: u64) -> f32 {
    amount as f32
}

#[expect(clippy::cast_possible_truncation, reason = "charts need no more")]
fn narrow(amount: f64) -> f32 {
    amount as f32
}
