//! What a fake provider has seen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::fault::Fault;
use crate::judge::{Counts, LimitTally};

/// What a fake provider has seen since its start or its last reset. It names accounts by a number, never by key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Calls that came with a key and could be read.
    pub requests: u64,
    /// Calls answered in full.
    pub served: u64,
    /// Calls refused with 429.
    pub refused: u64,
    /// Calls refused with 429, by metric and window, for example `tokens/60000ms`. One refusal may count for several.
    pub refused_by: BTreeMap<String, u64>,
    /// Calls answered with an error, cut or reset by a fault.
    pub failed: u64,
    /// Calls whose client went away before the answer was complete.
    pub abandoned: u64,
    /// Calls without a key.
    pub unauthorized: u64,
    /// Calls that could not be read.
    pub malformed: u64,
    /// Faults that happened, by name.
    pub faults: BTreeMap<Fault, u64>,
    /// What was counted of each metric and not returned.
    pub counted: Counts,
    /// Tokens of the prompts of all calls that were answered in full.
    pub input_tokens_served: u64,
    /// Tokens of the answers of all calls that were answered in full.
    pub output_tokens_served: u64,
    /// Calls in flight at this moment.
    pub in_flight: u64,
    /// The most calls in flight at once, over all accounts and models.
    pub peak_in_flight: u64,
    /// The text of the last refusal.
    pub last_refusal: Option<String>,
    /// Every limit of every account and model that was used.
    pub limits: Vec<LimitReport>,
}

/// What happened to one limit of one account and model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitReport {
    /// The account's number, from 1 in order of appearance.
    pub account: usize,
    /// The model or deployment.
    pub model: String,
    /// The limit's metric and window, for example `tokens/60000ms`.
    pub name: String,
    /// The limit, its refusals and its peaks.
    #[serde(flatten)]
    pub tally: LimitTally,
}
