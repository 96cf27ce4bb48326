//! What a configuration comes to: one core configuration a ledger, and how names find their resource.

use std::sync::Arc;

use paceline_core::{Configuration, Name};

use super::units::Share;
use crate::provider::Profile;

/// A whole configuration, ready for its ledgers.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// One entry for each account and for each resource of one's own that names no ledger.
    pub ledgers: Vec<CompiledLedger>,
    /// What becomes of a resource that no configuration names.
    pub unknown: UnknownResource,
}

/// What one ledger is told.
#[derive(Debug, Clone)]
pub struct CompiledLedger {
    /// The account: a top-level key of the configuration.
    pub name: String,
    /// A higher revision wins over a lower one where processes share the ledger.
    pub revision: u64,
    /// The limits and resources.
    pub configuration: Configuration,
    /// How callers' names find their resource.
    pub resources: Vec<CompiledResource>,
    /// The limits that are told to be near, by name, and from which share on.
    pub warn_at: Vec<(Name, Share)>,
}

/// One resource of a ledger.
#[derive(Debug, Clone)]
pub struct CompiledResource {
    /// The full name, `account/model`; the bare name for a resource of one's own.
    pub name: String,
    /// Other names, globs allowed, each with the account in front (`openai/gpt-4o-2024-*`).
    pub aliases: Vec<String>,
    /// How its provider counts.
    pub profile: Arc<Profile>,
}

/// What becomes of a resource that no configuration names.
#[derive(Debug, Clone)]
pub enum UnknownResource {
    /// An error names the nearest known one.
    Refuse,
    /// It is granted at once, without a limit.
    Allow,
    /// Each gets these limits, a ledger of its own; `{name}` in limit ids and members stands for the resource.
    Default(CompiledLedger),
}
