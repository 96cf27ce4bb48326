//! The configuration as plain data: what a file says, and what code can say just as well.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::source::Source;
use super::units::Share;
use crate::provider::{Profile, Reserve};

use super::limit::Limit;

/// A whole configuration: accounts, resources of one's own, and what becomes of the rest.
///
/// ```
/// use paceline::config::{Account, Config, Limit, Resource};
///
/// let config = Config::new().account(
///     "openai",
///     Account::new().model(
///         "gpt-4o",
///         Resource::new()
///             .limit(Limit::per_minute("requests", 500))
///             .limit(Limit::per_minute("tokens", 30_000))
///             .alias("gpt-4o-2024-*"),
///     ),
/// );
/// let compiled = config.compile(0)?;
/// assert_eq!(compiled.ledgers[0].resources[0].name, "openai/gpt-4o");
/// # Ok::<(), paceline::config::ConfigError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The accounts by name, each a ledger. The name is also the provider's where that is not said.
    pub accounts: BTreeMap<String, Account>,
    /// Resources of one's own by name.
    pub resources: BTreeMap<String, Own>,
    /// Providers described by the user, by name; they go before the built-in ones.
    pub profiles: BTreeMap<String, Arc<Profile>>,
    /// What becomes of a resource that is not named here.
    pub unknown_resources: Unknown,
    /// How many may wait for one resource, where that resource does not say.
    pub max_waiting: Option<u64>,
    /// A higher one wins where processes share a ledger.
    pub revision: u64,
    pub(crate) source: Option<Arc<Source>>,
}

/// A key or an organisation at a provider, and the limits of its models.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Account {
    /// The profile's name, where it is not the account's.
    pub provider: Option<String>,
    /// How much of each limit is ours.
    pub usable: Share,
    /// The row of the shipped table from which limits are taken that are not said.
    pub tier: Option<String>,
    /// Limits that several resources of the account draw on, by the name that these use.
    pub shared: BTreeMap<String, Vec<Limit>>,
    /// The models by name.
    pub models: BTreeMap<String, Resource>,
    /// How many may wait for one resource of the account.
    pub max_waiting: Option<u64>,
    /// The revision of this account, where it is not the configuration's.
    pub revision: Option<u64>,
}

/// What callers acquire: limits of its own, shared limits, and lanes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resource {
    /// The limits that it alone draws on.
    pub limits: Vec<Limit>,
    /// The shared limits that it draws on.
    pub shared: Vec<Draw>,
    /// Other names; `*` stands for any characters, `?` for one.
    pub aliases: Vec<String>,
    /// The lanes. Where there are any, another one is refused.
    pub lanes: Vec<Lane>,
    /// How many may wait.
    pub max_waiting: Option<u64>,
    /// How much output a call reserves, where the profile is not to decide.
    pub reserve: Option<Reserve>,
    /// From which share on its own limits are told to be near, where they do not say.
    pub warn_at: Option<Share>,
    /// Has no limit on purpose.
    pub unlimited: bool,
}

/// A resource of one's own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Own {
    /// The resource.
    pub resource: Resource,
    /// The ledger, where it is not one of its own.
    pub ledger: Option<String>,
    /// The profile, where it is not the plain one.
    pub provider: Option<String>,
    /// How much of each limit is ours.
    pub usable: Share,
}

/// That a resource draws on the shared limits of a name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Draw {
    /// The name under the account's `shared`.
    pub name: String,
    /// The lanes that draw on it; empty for all.
    pub lanes: Vec<String>,
}

/// A class of traffic inside a resource.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lane {
    /// The name; one that ends in `*` stands for all that begin so.
    pub name: String,
    /// Higher goes first.
    pub priority: i32,
    /// The share among lanes of equal priority, 1 to 1,000; 1 where it is not said.
    pub weight: Option<u64>,
    /// The most that it may use of each limit.
    pub cap: Option<Share>,
    /// What lanes without a reserve leave to it of each limit.
    pub reserve: Option<Share>,
    /// The longest head start that a caller may ask for, in milliseconds.
    pub max_head_start: u64,
}

/// What becomes of a resource that no configuration names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Unknown {
    /// It is an error that names the nearest known one.
    #[default]
    Refuse,
    /// It is granted at once, without a limit.
    Allow,
    /// Each gets these limits, in a ledger of its own.
    Default(Box<Own>),
}

/// Two configurations are equal if they say the same, wherever they were read.
impl PartialEq for Config {
    fn eq(&self, other: &Self) -> bool {
        self.accounts == other.accounts
            && self.resources == other.resources
            && self.profiles == other.profiles
            && self.unknown_resources == other.unknown_resources
            && self.max_waiting == other.max_waiting
            && self.revision == other.revision
    }
}

impl Eq for Config {}

impl Config {
    /// Returns a configuration that names nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an account.
    #[must_use]
    pub fn account(mut self, name: &str, account: Account) -> Self {
        self.accounts.insert(name.to_owned(), account);
        self
    }

    /// Adds a resource of one's own.
    #[must_use]
    pub fn resource(mut self, name: &str, own: impl Into<Own>) -> Self {
        self.resources.insert(name.to_owned(), own.into());
        self
    }

    /// Describes a provider, under the profile's own name.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profiles.insert(profile.name.clone(), Arc::new(profile));
        self
    }

    /// Says what becomes of resources that are not named.
    #[must_use]
    pub fn unknown_resources(mut self, unknown: Unknown) -> Self {
        self.unknown_resources = unknown;
        self
    }

    /// Bounds the line of every resource that has no bound of its own.
    #[must_use]
    pub fn max_waiting(mut self, tickets: u64) -> Self {
        self.max_waiting = Some(tickets);
        self
    }

    /// Sets the revision.
    #[must_use]
    pub fn revision(mut self, revision: u64) -> Self {
        self.revision = revision;
        self
    }
}

impl Account {
    /// Returns an account without models.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the profile.
    #[must_use]
    pub fn provider(mut self, provider: &str) -> Self {
        self.provider = Some(provider.to_owned());
        self
    }

    /// Says how much of each limit is ours.
    #[must_use]
    pub fn usable(mut self, share: Share) -> Self {
        self.usable = share;
        self
    }

    /// Takes limits that are not said from a row of the shipped table.
    #[must_use]
    pub fn tier(mut self, tier: &str) -> Self {
        self.tier = Some(tier.to_owned());
        self
    }

    /// Adds a limit that several models draw on.
    #[must_use]
    pub fn shared(mut self, name: &str, limit: Limit) -> Self {
        self.shared.entry(name.to_owned()).or_default().push(limit);
        self
    }

    /// Adds a model.
    #[must_use]
    pub fn model(mut self, name: &str, resource: Resource) -> Self {
        self.models.insert(name.to_owned(), resource);
        self
    }
}
