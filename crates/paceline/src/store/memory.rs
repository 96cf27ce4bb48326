//! The store of one process: ledgers under locks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use paceline_core::{Millis, Name};

use super::{Account, Memory};
use crate::clock::Clock;
use crate::events::Hub;
use crate::fork::Guard;
use crate::mode::Mode;
use crate::outage::Sharing;
use crate::sync::lock;
use crate::{Error, PermitId};

/// What is said of a store when it is opened.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) clock: Clock,
    pub(crate) lease: Millis,
    pub(crate) mode: Mode,
    /// What concerns shared stores alone.
    #[cfg_attr(not(feature = "shared"), expect(dead_code, reason = "memory is not shared"))]
    pub(crate) sharing: Sharing,
}

/// Ledgers that are used together.
pub(crate) struct Store {
    pub(crate) options: Options,
    pub(crate) hub: Arc<Hub>,
    guard: Guard,
    #[cfg(feature = "shared")]
    link: Option<Arc<dyn super::shared::link::Link>>,
    accounts: Mutex<BTreeMap<Name, Account>>,
}

/// Opens the store of this name, `""` being the one that needs none.
pub(super) fn open(name: &str, options: Options) -> Result<Arc<Store>, Error> {
    static STORES: Mutex<BTreeMap<String, Arc<Store>>> = Mutex::new(BTreeMap::new());
    let name = normalised(name)?;
    let mut stores = lock(&STORES);
    if let Some(store) = stores.get(&name).filter(|store| store.guard.check_closely().is_ok()) {
        store.agrees(&name, &options)?;
        return Ok(Arc::clone(store));
    }
    let store = Store::new(options);
    stores.insert(name, Arc::clone(&store));
    Ok(store)
}

impl Store {
    pub(crate) fn new(options: Options) -> Arc<Self> {
        Arc::new(Self {
            options,
            hub: Arc::default(),
            guard: Guard::new(),
            #[cfg(feature = "shared")]
            link: None,
            accounts: Mutex::default(),
        })
    }

    /// A store whose ledgers are at the other end of a link.
    #[cfg(feature = "shared")]
    pub(crate) fn shared(options: Options, link: Arc<dyn super::shared::link::Link>) -> Arc<Self> {
        let (hub, guard) = (Arc::default(), Guard::new());
        Arc::new(Self { options, hub, guard, link: Some(link), accounts: Mutex::default() })
    }

    /// Returns the way to the ledgers, where they are elsewhere.
    #[cfg(feature = "shared")]
    pub(crate) fn link(&self) -> Option<&Arc<dyn super::shared::link::Link>> {
        self.link.as_ref()
    }

    /// Opens an account.
    fn open(&self, name: Name) -> Account {
        #[cfg(feature = "shared")]
        if let Some(link) = &self.link {
            let (link, hub) = (Arc::clone(link), Arc::clone(&self.hub));
            return Account::Shared(super::shared::Shared::open(name, &self.options, link, hub));
        }
        Account::Memory(Memory::open(name, &self.options, Arc::clone(&self.hub)))
    }

    /// Returns the account of this name, opened if it was not.
    pub(crate) fn account(&self, name: &str) -> Account {
        let mut accounts = lock(&self.accounts);
        if let Some(account) = accounts.get(name) {
            return account.clone();
        }
        let name = Name::from(name);
        let account = self.open(Name::clone(&name));
        accounts.insert(name, account.clone());
        account
    }

    /// Returns the account that granted a permit.
    pub(crate) fn account_of(&self, permit: &PermitId) -> Result<Account, Error> {
        let account = lock(&self.accounts).get(&permit.ledger).cloned();
        account.ok_or_else(|| Error::PermitOver(permit.clone()))
    }

    /// Returns all accounts, by name.
    pub(crate) fn accounts(&self) -> Vec<Account> {
        lock(&self.accounts).values().cloned().collect()
    }

    /// Refuses in a child of the process that opened the store.
    pub(crate) fn check_process(&self) -> Result<(), Error> {
        #[cfg(feature = "shared")]
        if self.link.is_some() {
            // A child of a process on a shared store begins anew there.
            return Ok(());
        }
        self.guard.check_closely()
    }

    fn agrees(&self, name: &str, options: &Options) -> Result<(), Error> {
        let differs = |option| Err(Error::StoreConflict { url: format!("memory://{name}"), option });
        if !self.options.clock.is(&options.clock) {
            return differs("clock");
        }
        if self.options.lease != options.lease {
            return differs("lease");
        }
        if self.options.mode != options.mode {
            return differs("mode");
        }
        Ok(())
    }
}

/// `memory://Main/` is `memory://main`, as a host is in any URL.
fn normalised(name: &str) -> Result<String, Error> {
    let name = name.trim_end_matches('/').to_ascii_lowercase();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.chars().all(plain) {
        return Ok(name);
    }
    Err(super::refused(&format!("memory://{name}"), "a name is made of letters, digits, '-', '_' and '.'"))
}
