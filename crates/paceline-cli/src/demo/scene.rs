//! The limits of a demo: what Paceline is told, and what the referee enforces.

use std::sync::Arc;

use paceline::config::{Compiled, CompiledLedger, Config};
use paceline::core::{Algorithm, Boundaries};
use paceline::provider::Profile;
use paceline_sim::judge::{Limit, Rules};
use paceline_sim::simulate::{real, whole};

use crate::failure::Failure;
use crate::referee::{self, Provider};
use crate::settings;
use crate::text::{grouped, lasting};

/// One resource, its limits and its provider, with all windows shortened alike.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    /// What Paceline is configured with.
    pub(crate) compiled: Compiled,
    /// The resource that workers acquire.
    pub(crate) resource: String,
    /// How Paceline thinks that the provider counts.
    pub(crate) profile: Arc<Profile>,
    /// Whom the referee plays.
    pub(crate) provider: Provider,
    /// How the referee counts.
    pub(crate) rules: Rules,
    /// What the referee enforces.
    pub(crate) limits: Vec<Limit>,
    /// By how much windows and calls are shorter than in life.
    pub(crate) time_scale: f64,
}

impl Scene {
    /// Sets a scene for a resource of a configuration, the first if none is named, as of an instant in milliseconds
    /// since the Unix epoch.
    pub(crate) fn new(
        config: &Config,
        resource: Option<&str>,
        provider: Option<Provider>,
        time_scale: f64,
        now_ms: u64,
    ) -> Result<Self, Failure> {
        let mut compiled = config.compile(now_ms)?;
        for ledger in &mut compiled.ledgers {
            shorten(ledger, time_scale);
        }
        let (ledger, resource) = settings::resource(&compiled, resource)?;
        let (profile, name) = (Arc::clone(&resource.profile), resource.name.clone());
        let provider = referee::provider(provider, resource).ok_or_else(|| {
            Failure::Input(format!(
                "nobody is known to enforce the limits of {name}: say who, with --provider"
            ))
        })?;
        let limits = referee::limits(ledger, &name, provider);
        if limits.is_empty() {
            return Err(Failure::Input(format!("{name} has no limit that a provider would enforce")));
        }
        let rules = provider.rules(&profile);
        Ok(Self { compiled, resource: name, profile, provider, rules, limits, time_scale })
    }

    /// Returns the model's name as the provider knows it.
    pub(crate) fn model(&self) -> &str {
        self.resource.split_once('/').map_or(&self.resource, |(_, model)| model)
    }

    /// Writes the referee's limits on one line.
    pub(crate) fn limits_line(&self) -> String {
        let limits: Vec<String> = self.limits.iter().map(limit_text).collect();
        limits.join(", ")
    }
}

/// Writes one of the referee's limits, as in `450,000 tokens / 1 min`.
pub(crate) fn limit_text(limit: &Limit) -> String {
    let amount = format!("{} {}", grouped(limit.amount), limit.metric.name());
    if limit.window_ms == 0 { amount } else { format!("{amount} / {}", lasting(limit.window_ms)) }
}

/// The length below which no window is shortened, in milliseconds: twice the transit of the profiles, which is the
/// machine's and does not shrink.
const SHORTEST_MS: u64 = 500;

/// Shortens every window; calendar boundaries stay where they are.
fn shorten(ledger: &mut CompiledLedger, scale: f64) {
    let shorter = |ms: u64| whole(real(ms) / scale).max(SHORTEST_MS.min(ms));
    for limit in &mut ledger.configuration.limits {
        match &mut limit.algorithm {
            Algorithm::TokenBucket { window, .. } => *window = shorter(*window),
            Algorithm::SlidingWindow { window, slots } => {
                *window = shorter(*window);
                *slots = u32::try_from(*window).map_or(*slots, |window| window.min(*slots)).max(1);
            }
            Algorithm::FixedWindow { boundaries: Boundaries::Every { period, phase }, margin } => {
                *period = shorter(*period);
                *phase = shorter(*phase) % *period;
                *margin = (*margin).min(*period / 4);
            }
            Algorithm::FixedWindow { boundaries: Boundaries::At(_), .. } | Algorithm::Concurrency => {}
        }
    }
}
