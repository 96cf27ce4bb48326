//! The limiter: names, configuration, and everything that goes across accounts.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline_core::{Name, Snapshot};

use crate::acquire::Request;
use crate::builder::Builder;
use crate::clock::Clock;
use crate::config::{Compiled, Config, UnknownResource};
use crate::events::Events;
use crate::mode::Mode;
use crate::names::Directory;
use crate::near::Near;
use crate::outage::Outage;
use crate::permit::{GrantedVia, Settled};
use crate::reply::Reply;
use crate::resource::{Counter, Handle, Resource};
use crate::store::{Account, Asking, PermitInfo, Store};
use crate::sync::lock;
use crate::watch::Watch;
use crate::{Error, Limit, PermitId, Usage};

/// Keeps callers inside the limits of a configuration. Cheap to clone; all clones are one limiter.
///
/// ```
/// # use paceline::{Demand, Limiter, Usage, core::*};
/// let limit = LimitSpec::new("rpm", "requests", 500, Algorithm::TokenBucket { window: 60_000, burst: 500 });
/// let limiter = Limiter::builder()
///     .private()
///     .limits([limit.member("openai/gpt-4o")], [ResourceSpec::new("openai/gpt-4o")])
///     .build()?;
///
/// let resource = limiter.resource("openai/gpt-4o")?;
/// let permit = resource.acquire(Demand::tokens(800)).wait()?;
/// permit.settle(Usage::tokens(640));
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Clone)]
pub struct Limiter(pub(crate) Arc<Shared>);

/// One account at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSnapshot {
    /// The account.
    pub name: Name,
    /// Its limits and resources.
    pub ledger: Snapshot,
}

/// What clones of a limiter share.
pub(crate) struct Shared {
    pub(crate) id: u32,
    pub(crate) store: Arc<Store>,
    pub(crate) outage: Outage,
    pub(crate) directory: Mutex<Directory>,
    pub(crate) generation: AtomicU64,
    closed: AtomicBool,
    pub(crate) near: Near,
    watches: Mutex<Vec<Arc<Watch>>>,
    #[cfg(all(unix, feature = "host", feature = "remote"))]
    pub(crate) published: crate::publish::Publication,
}

/// How many events a subscription keeps for a slow reader.
const EVENTS_KEPT: usize = 1_024;

impl Limiter {
    /// Returns a builder.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Returns a limiter of this configuration, on the store of this process.
    pub fn from_config(config: Config) -> Result<Self, Error> {
        Self::builder().config(config).build()
    }

    /// Returns a limiter of the file that `PACELINE_CONFIG` names, which it then watches, on the store that
    /// `PACELINE_STORE` names, if it does.
    pub fn from_env() -> Result<Self, Error> {
        let mut builder = Self::builder().config(Config::from_env()?);
        if let Ok(url) = std::env::var("PACELINE_STORE") {
            builder = builder.store(url);
        }
        let limiter = builder.build()?;
        if let Some(path) = std::env::var_os(crate::config::VARIABLE) {
            limiter.watch_file(PathBuf::from(path));
        }
        Ok(limiter)
    }

    /// Finds a resource by its name or an alias. The handle is worth keeping: names are looked up once.
    pub fn resource(&self, name: &str) -> Result<Resource, Error> {
        self.0.check_open()?;
        let found = lock(&self.0.directory).find(name);
        match (self.0.store.options.mode, found) {
            (Mode::Off, found) => {
                let name = found.map_or_else(|| name.into(), |(name, _)| name);
                Ok(self.0.handle(name, Counter::Nowhere(GrantedVia::Off)))
            }
            (_, Some((name, place))) => {
                let account = self.0.store.account(&place.account);
                Ok(self.0.handle(name, Counter::Account { account, slot: place.slot }))
            }
            (_, None) => self.unknown_resource(name),
        }
    }

    /// Returns the configured resource that a name or an alias stands for, `None` where it stands for none.
    pub fn configured(&self, name: &str) -> Option<Name> {
        lock(&self.0.directory).find(name).map(|(name, _)| name)
    }

    /// Returns the names of all configured resources, in order.
    pub fn resources(&self) -> Vec<Name> {
        lock(&self.0.directory).names()
    }

    /// Returns how many configurations have come into force: what a name stood for may have changed with each.
    pub fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// Returns whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.0.check_open().is_err()
    }

    /// Finds a limit by its name.
    pub fn limit(&self, name: &str) -> Result<Limit, Error> {
        Limit::find(self.0.own_accounts(), name)
    }

    /// Puts another configuration into force, live: waiting callers keep their places, permits what they reserved.
    /// What the configuration before named and this one does not is removed.
    pub fn configure(&self, config: &Config) -> Result<(), Error> {
        let compiled = config.compile(self.0.store.options.clock.now_ms())?;
        self.configure_compiled(&compiled)
    }

    /// Puts another compiled configuration into force.
    pub fn configure_compiled(&self, compiled: &Compiled) -> Result<(), Error> {
        self.0.configure(compiled)
    }

    /// Configures itself anew whenever this file changes. An edit that cannot be read leaves the configuration before
    /// in force, with a warning and an event.
    pub fn watch_file(&self, path: impl Into<PathBuf>) {
        let watch = Watch::start(path.into(), Arc::downgrade(&self.0), &self.0.store.options.clock);
        lock(&self.0.watches).push(watch);
    }

    /// Settles a permit by its id, from anywhere. What the provider reported is read by the profile of its resource.
    pub fn settle(&self, permit: &PermitId, usage: impl Into<Usage>) -> Reply<Settled> {
        let usage = usage.into();
        self.with_account_of(permit, |account| account.settle(permit.ticket, &usage))
    }

    /// Gives a permit back by its id.
    pub fn give_back(&self, permit: &PermitId) -> Reply<Settled> {
        self.with_account_of(permit, |account| account.give_back(permit.ticket))
    }

    /// Lets a permit live for this long from now on.
    pub fn renew(&self, permit: &PermitId, lease: Duration) -> Reply<()> {
        let account = self.0.store.account_of(permit);
        account.map_or_else(|error| Err(error).into(), |account| account.renew(permit.ticket, lease))
    }

    /// Returns all accounts as they are, by name.
    pub fn snapshot(&self) -> Reply<Vec<AccountSnapshot>> {
        let view = |account: Account| {
            let name = Name::clone(account.name());
            account.snapshot().map(|ledger| AccountSnapshot { name, ledger })
        };
        Reply::all(self.0.own_accounts().into_iter().map(view).collect())
    }

    /// Returns all permits that are out.
    pub fn permits(&self) -> Reply<Vec<PermitInfo>> {
        let permits = self.0.own_accounts().into_iter().map(|account| account.permits());
        Reply::all(permits.collect()).map(|permits| permits.into_iter().flatten().collect())
    }

    /// Subscribes to what happens from now on in the store.
    pub fn events(&self) -> Events {
        self.0.store.hub.subscribe(self.0.id, EVENTS_KEPT)
    }

    /// Returns the clock of the store.
    pub fn clock(&self) -> &Clock {
        &self.0.store.options.clock
    }

    /// Returns how much the limits say.
    pub fn mode(&self) -> Mode {
        self.0.store.options.mode
    }

    /// Refuses everybody who waits through this limiter, and everybody who asks from now on. Permits are kept until
    /// they are settled.
    pub fn close(&self) {
        if self.0.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        lock(&self.0.watches).clear();
        #[cfg(all(unix, feature = "host", feature = "remote"))]
        lock(&self.0.published).take();
        for account in self.0.store.accounts() {
            // In a forked child nobody waits.
            account.close(self.0.id).unwrap_or_default();
        }
        self.0.store.hub.end(self.0.id);
    }

    #[cfg(feature = "shared")]
    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    /// Returns how long a call waits for a store that cannot be reached.
    #[cfg(feature = "shared")]
    pub(crate) fn store_timeout(&self) -> Duration {
        Duration::from_millis(self.0.outage.store_timeout)
    }

    /// Returns whether both see the same ledgers.
    #[cfg(all(unix, feature = "host", feature = "remote"))]
    pub(crate) fn shares_store(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0.store, &other.0.store)
    }

    /// Returns whether its configuration names this account.
    #[cfg(all(unix, feature = "host", feature = "remote"))]
    pub(crate) fn has_account(&self, name: &str) -> bool {
        lock(&self.0.directory).accounts().iter().any(|account| **account == *name)
    }

    pub(crate) fn over(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    fn unknown_resource(&self, name: &str) -> Result<Resource, Error> {
        let mut directory = lock(&self.0.directory);
        match directory.unknown.clone() {
            UnknownResource::Refuse => {
                let nearest = directory.nearest(name);
                Err(Error::UnknownResource { name: name.to_owned(), nearest })
            }
            UnknownResource::Allow => Ok(self.0.handle(name.into(), Counter::Nowhere(GrantedVia::Unlimited))),
            UnknownResource::Default(template) => {
                self.0.add_default(&mut directory, &template, name)?;
                let (name, place) = directory.find(name).ok_or(Error::Closed)?;
                let account = self.0.store.account(&place.account);
                Ok(self.0.handle(name, Counter::Account { account, slot: place.slot }))
            }
        }
    }

    fn with_account_of(
        &self,
        permit: &PermitId,
        how: impl FnOnce(&Account) -> Reply<Settled>,
    ) -> Reply<Settled> {
        if permit.is_nowhere() {
            return Ok(Settled::default()).into();
        }
        self.0.store.account_of(permit).map_or_else(|error| Err(error).into(), |account| how(&account))
    }
}

impl Shared {
    pub(crate) fn new(store: Arc<Store>, outage: Outage) -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        Self {
            id: LAST.fetch_add(1, Ordering::Relaxed) + 1,
            store,
            outage,
            directory: Mutex::new(Directory::new(UnknownResource::Refuse)),
            generation: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            near: Near::default(),
            watches: Mutex::default(),
            #[cfg(all(unix, feature = "host", feature = "remote"))]
            published: crate::publish::Publication::default(),
        }
    }

    pub(crate) fn check_open(&self) -> Result<(), Error> {
        if self.closed.load(Ordering::Acquire) { Err(Error::Closed) } else { Ok(()) }
    }

    pub(crate) fn asking<'a>(&self, slot: usize, request: &'a Request) -> Asking<'a> {
        Asking { owner: self.id, slot, request, outage: self.outage }
    }

    fn handle(self: &Arc<Self>, name: Name, counter: Counter) -> Resource {
        Resource::new(Handle { name, limiter: Arc::clone(self), counter })
    }

    /// Returns the accounts that this limiter's configuration names, by name.
    fn own_accounts(&self) -> Vec<Account> {
        let names = lock(&self.directory).accounts();
        names.iter().map(|name| self.store.account(name)).collect()
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").field("resources", &self.resources()).finish_non_exhaustive()
    }
}
