//! Traffic in virtual time: a ledger decides about a day of calls in seconds, and the same seed gives the same bytes.
//!
//! A [`Call`] is an arrival with what it reserves, what it uses in the end, and how long it lasts. [`run`] goes from
//! event to event: arrivals, ends, and the ledger's own wake-ups. It is told no clock and rolls no dice.
//!
//! ```
//! use paceline_core::*;
//! use paceline_sim::simulate::{Call, run};
//!
//! let limit = LimitSpec::new("rpm", "requests", 2, Algorithm::TokenBucket { window: 60_000, burst: 2 }).member("gpt");
//! let configuration = Configuration::new([limit], [ResourceSpec::new("gpt")]);
//! let calls = vec![Call { duration_ms: 1_000, ..Call::new(0, "gpt") }; 3];
//!
//! let report = run(configuration, 0, &calls)?;
//! assert_eq!(report.granted, 3);
//! assert_eq!(report.lanes[0].wait_max_ms, 30_000);
//! assert_eq!(report.makespan_ms, 31_000);
//! # Ok::<(), SpecError>(())
//! ```

mod draw;
mod engine;
mod report;
mod series;
mod traffic;

#[cfg(test)]
mod tests;

use paceline_core::{Configuration, Millis, Name, SpecError};

pub use draw::{Draw, real, whole};
pub use engine::Simulation;
pub use report::{LaneReport, LimitReport, Report, percentile};
pub use series::Series;
pub use traffic::{Planned, Traffic};

/// One call of the traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// When it is asked for, in milliseconds from the start.
    pub at_ms: Millis,
    /// The resource.
    pub resource: Name,
    /// The lane.
    pub lane: Option<Name>,
    /// What it reserves of each metric; one request and one concurrent request unless said otherwise.
    pub reserve: Vec<(Name, u64)>,
    /// What it uses in the end; metrics not named are used as reserved.
    pub used: Vec<(Name, u64)>,
    /// How long it lasts from its grant.
    pub duration_ms: Millis,
}

impl Call {
    /// Returns a call that reserves one request, and lasts no time.
    pub fn new(at_ms: Millis, resource: &str) -> Self {
        Self {
            at_ms,
            resource: resource.into(),
            lane: None,
            reserve: Vec::new(),
            used: Vec::new(),
            duration_ms: 0,
        }
    }
}

/// Runs calls through a fresh ledger to their end. `start` is the calendar's time at the beginning, in milliseconds since
/// the Unix epoch. Fails where the ledger refuses the configuration.
pub fn run(configuration: Configuration, start: Millis, calls: &[Call]) -> Result<Report, SpecError> {
    let mut simulation = Simulation::new(configuration, start, calls)?;
    simulation.run_to_end();
    Ok(simulation.report())
}
