//! The store of one process: ledgers under locks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use paceline_core::{Millis, Name};

use super::Account;
use crate::clock::Clock;
use crate::events::Hub;
use crate::fork::Guard;
use crate::mode::Mode;
use crate::sync::lock;
use crate::{Error, PermitId};

/// What is said of a store when it is opened.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) clock: Clock,
    pub(crate) lease: Millis,
    pub(crate) mode: Mode,
}

/// Ledgers that are used together.
pub(crate) struct Store {
    pub(crate) options: Options,
    pub(crate) hub: Arc<Hub>,
    guard: Guard,
    accounts: Mutex<BTreeMap<Name, Arc<Account>>>,
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
        Arc::new(Self { options, hub: Arc::default(), guard: Guard::new(), accounts: Mutex::default() })
    }

    /// Returns the account of this name, opened if it was not.
    pub(crate) fn account(&self, name: &str) -> Arc<Account> {
        let mut accounts = lock(&self.accounts);
        if let Some(account) = accounts.get(name) {
            return Arc::clone(account);
        }
        let name = Name::from(name);
        let account = Account::open(Arc::clone(&name), &self.options, Arc::clone(&self.hub));
        accounts.insert(name, Arc::clone(&account));
        account
    }

    /// Returns the account that granted a permit.
    pub(crate) fn account_of(&self, permit: &PermitId) -> Result<Arc<Account>, Error> {
        let account = lock(&self.accounts).get(&permit.ledger).map(Arc::clone);
        account.ok_or_else(|| Error::PermitOver(permit.clone()))
    }

    /// Returns all accounts, by name.
    pub(crate) fn accounts(&self) -> Vec<Arc<Account>> {
        lock(&self.accounts).values().map(Arc::clone).collect()
    }

    /// Refuses in a child of the process that opened the store.
    pub(crate) fn check_process(&self) -> Result<(), Error> {
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
