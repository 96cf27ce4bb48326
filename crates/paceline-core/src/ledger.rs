//! The ledger.
use crate::*;
use alloc::string::String;
use alloc::vec::Vec;
/// The state of one account: limits, the line, permits and sessions, changed by commands alone.
#[derive(Debug, Clone, Default)]
pub struct Ledger {}
impl Ledger {
    /// Returns an empty ledger.
    pub fn new() -> Self {
        Self::default()
    }
    /// Applies one command: a step of its own. `now`: the store's clock, milliseconds since the Unix epoch.
    pub fn apply(&mut self, now: Millis, command: Command) -> Outcome {
        let _ = (now, command);
        unimplemented!()
    }
    /// Applies a batch as one step, an outcome a command.
    pub fn batch(&mut self, now: Millis, commands: impl IntoIterator<Item = Command>) -> Vec<Outcome> {
        let _ = now;
        let _ = commands.into_iter();
        unimplemented!()
    }
    /// A step without a command: does what is due.
    pub fn tick(&mut self, now: Millis) {
        let _ = now;
    }
    /// After how many milliseconds from the last step something changes without a command; `None`: never.
    pub fn next_wakeup(&mut self) -> Option<Millis> {
        None
    }
    /// Takes the decisions on waiting tickets since the last call, oldest first.
    pub fn drain(&mut self) -> impl Iterator<Item = Decision> + '_ {
        core::iter::empty()
    }
    /// The resource of this name.
    pub fn resource(&self, name: &str) -> Option<ResourceId> {
        let _ = name;
        None
    }
    /// The limit of this name.
    pub fn limit(&self, name: &str) -> Option<LimitId> {
        let _ = name;
        None
    }
    /// The metric of this name, made known if it was not. `None` above 1,000 metrics.
    pub fn metric(&mut self, name: &str) -> Option<Metric> {
        let _ = name;
        None
    }
    /// The name of a metric of this ledger.
    pub fn metric_name(&self, metric: Metric) -> &str {
        let _ = metric;
        ""
    }
    /// The whole state as canonical text, a line an entity, sorted.
    pub fn dump(&mut self) -> String {
        String::new()
    }
    /// Views for people, brought up to `now`.
    pub fn snapshot(&mut self, now: Millis) -> Snapshot {
        let _ = now;
        Snapshot::default()
    }
    /// Says whether this demand would go now, and if not, why; changes nothing.
    pub fn explain(
        &mut self,
        now: Millis,
        resource: ResourceId,
        lane: Option<&str>,
        demand: &Amounts,
    ) -> Option<Explanation> {
        let _ = (now, resource, lane, demand);
        None
    }
    /// The permits that are out, by id (so by session, then by number).
    pub fn permits(&self) -> impl Iterator<Item = PermitView> + '_ {
        core::iter::empty()
    }
    /// The ledger as bytes, with a version.
    pub fn encode(&self) -> Vec<u8> {
        Vec::new()
    }
}
