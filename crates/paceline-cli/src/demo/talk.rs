//! What a demo and its worker processes say to each other: a line of JSON each.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::job::Work;
use crate::referee::Provider;

/// The first line to a worker. The store's URL goes this way because arguments can be seen by everybody.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Setup {
    /// The URL of the store.
    pub(crate) store: String,
    /// What the names of its keys begin with.
    pub(crate) prefix: String,
    /// After what silence a process counts as dead, in milliseconds.
    pub(crate) session_timeout_ms: u64,
    /// Where the provider listens.
    pub(crate) provider_addr: SocketAddr,
    /// Whose rules it enforces, where that was said.
    pub(crate) provider: Option<Provider>,
    /// What errors call the configuration.
    pub(crate) config_name: String,
    /// The configuration.
    pub(crate) config: String,
    /// When it is compiled, so that all compile the same.
    pub(crate) compiled_at_ms: u64,
    /// The resource, where that was said.
    pub(crate) resource: Option<String>,
    /// By how much windows are shorter than in life.
    pub(crate) time_scale: f64,
}

/// Every further line to a worker: a call to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    /// Its place in the job.
    pub(crate) place: u64,
    input_tokens: u64,
    max_output_tokens: u64,
    output_tokens: u64,
    latency_us: u64,
}

/// A line of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum News {
    /// It reaches the store, and waits for calls.
    Ready,
    /// A call was let through.
    Granted(Granted),
    /// The provider refused a call with 429, and it is in line again.
    Refused {
        /// Its place in the job.
        place: u64,
    },
    /// A call was served.
    Served {
        /// Its place in the job.
        place: u64,
        /// Tokens that went back.
        returned: u64,
    },
    /// A ticket was granted after a later one of the same process.
    Overtaken,
    /// The worker cannot go on.
    Failed(String),
}

/// A grant, as its worker saw it. Times are in microseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Granted {
    /// The call's place in the job.
    pub(crate) place: u64,
    /// Before it was asked for.
    pub(crate) asked_us: u64,
    /// After it was known to be in line.
    pub(crate) in_line_us: u64,
    /// How long it waited by the ledger's clock.
    pub(crate) waited_us: u64,
}

impl Order {
    pub(crate) fn new(place: u64, work: &Work) -> Self {
        Self {
            place,
            input_tokens: work.input_tokens,
            max_output_tokens: work.max_output_tokens,
            output_tokens: work.output_tokens,
            latency_us: u64::try_from(work.latency.as_micros()).unwrap_or(u64::MAX),
        }
    }

    pub(crate) fn work(&self) -> Work {
        Work {
            input_tokens: self.input_tokens,
            max_output_tokens: self.max_output_tokens,
            output_tokens: self.output_tokens,
            latency: Duration::from_micros(self.latency_us),
        }
    }
}

/// Writes one line.
pub(crate) fn line(said: &impl Serialize) -> String {
    // Numbers, texts and lists of them: there is nothing that JSON cannot say.
    serde_json::to_string(said).unwrap_or_default() + "\n"
}
