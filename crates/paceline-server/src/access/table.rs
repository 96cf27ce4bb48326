//! The keys in use: found by their secret, and read again when their file changes.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use subtle::ConstantTimeEq;

use super::file::{KeyFile, NewKey, add, remove};
use super::key::{Kept, Key, KeyInfo, Scope, digest, unhex};
use crate::clock::{self, Watch};
use crate::kind::Kind;
use crate::persist::{self, Stamp};
use crate::problem::Problem;

/// What bounds each key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// How many requests a second it may send.
    pub(crate) requests_per_second: u32,
    /// How many of its requests may wait at once.
    pub(crate) open_waits: u32,
}

/// The keys in use.
pub(crate) struct Access {
    file: Option<KeyFile>,
    seen: Mutex<Option<Stamp>>,
    table: RwLock<Table>,
    /// Who calls while no key was ever made.
    nobody: Arc<Key>,
    /// Whether callers without a key are served while no key was ever made.
    open: bool,
    pub(crate) bounds: Bounds,
    watch: Watch,
}

#[derive(Default)]
struct Table {
    /// Whether a key was ever made.
    made: bool,
    /// By the first bytes of their digests, which tell nothing of a secret that is random.
    keys: HashMap<[u8; 8], Arc<Key>>,
    /// Those that live in memory alone.
    kept: Vec<Kept>,
}

impl Access {
    /// Opens the keys. `open` serves callers without a key while no key was ever made.
    pub(crate) fn new(file: Option<KeyFile>, open: bool, bounds: Bounds) -> io::Result<Self> {
        let info = KeyInfo {
            name: "nobody".to_owned(),
            scopes: vec![Scope::Admin],
            resources: Vec::new(),
            created_at: String::new(),
            expires_at: None,
        };
        let nobody = Arc::new(Key::new(info, [0; 32], 0.0));
        let table = RwLock::default();
        let (seen, watch) = (Mutex::default(), Watch::start());
        let access = Self { file, seen, table, nobody, open, bounds, watch };
        access.reload()?;
        Ok(access)
    }

    /// Returns whether callers without a key are served.
    pub(crate) fn is_open(&self) -> bool {
        self.open && !self.table().made
    }

    /// Returns who has this secret.
    pub(crate) fn find(&self, secret: &str) -> Result<Arc<Key>, Problem> {
        let found = digest(secret);
        let table = self.table();
        let key = table.keys.get(&beginning(&found)).filter(|key| bool::from(key.digest.ct_eq(&found)));
        let key = key.ok_or_else(|| Problem::new(Kind::WrongKey, "there is no such key"))?;
        if key.ends_at.is_some_and(|ends_at| ends_at <= clock::unix_ms()) {
            return Err(Problem::new(Kind::WrongKey, format!("the key {} has expired", key.info.name)));
        }
        Ok(Arc::clone(key))
    }

    /// Returns who calls without a key, if such are served.
    pub(crate) fn nobody(&self) -> Result<Arc<Key>, Problem> {
        if self.is_open() {
            return Ok(Arc::clone(&self.nobody));
        }
        Err(Problem::new(Kind::NoKey, "send a key, as in `Authorization: Bearer pk_…`"))
    }

    /// Takes one request off what a key may send.
    pub(crate) fn admit(&self, key: &Key) -> Result<(), Problem> {
        let rate = f64::from(self.bounds.requests_per_second);
        let now = self.watch.elapsed_ms();
        let mut left = key.left.lock().unwrap_or_else(PoisonError::into_inner);
        #[expect(clippy::cast_precision_loss, reason = "the milliseconds of a server's life are few")]
        let since = now.saturating_sub(left.1) as f64 / 1_000.0;
        let level = (left.0 + since * rate).min(rate);
        if level < 1.0 {
            let wait = std::time::Duration::from_secs_f64((1.0 - level) / rate);
            let said = format!("the key {} may send {rate} requests a second", key.info.name);
            return Err(Problem::new(Kind::TooManyRequests, said).retry_after(wait));
        }
        *left = (level - 1.0, now);
        Ok(())
    }

    /// Returns all keys, by name.
    pub(crate) fn list(&self) -> Vec<KeyInfo> {
        let mut all: Vec<KeyInfo> = self.table().keys.values().map(|key| key.info.clone()).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Makes a key and returns it with its secret.
    pub(crate) fn create(&self, new: &NewKey) -> io::Result<(KeyInfo, String)> {
        let (kept, secret) = new.make()?;
        let info = kept.info.clone();
        self.change(|keys| add(keys, kept))?;
        Ok((info, secret))
    }

    /// Ends a key.
    pub(crate) fn revoke(&self, name: &str) -> io::Result<()> {
        self.change(|keys| remove(keys, name))
    }

    /// Reads the file again if it has changed.
    pub(crate) fn look(&self) {
        let Some(file) = &self.file else { return };
        if persist::stamp(file.path()) == *self.seen.lock().unwrap_or_else(PoisonError::into_inner) {
            return;
        }
        match self.reload() {
            Ok(()) => log::info!("{} changed and is in force", file.path().display()),
            Err(error) => log::error!("the keys that were in force stay: {error}"),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Kept>) -> io::Result<()>) -> io::Result<()> {
        if let Some(file) = &self.file {
            file.change(change)?;
            return self.reload();
        }
        let mut kept = self.table().kept.clone();
        change(&mut kept)?;
        self.install(kept, true);
        Ok(())
    }

    fn reload(&self) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        // Before it is read: a change in between is seen with the next look.
        let stamp = persist::stamp(file.path());
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = stamp;
        let kept = file.read()?;
        let made = kept.is_some();
        self.install(kept.unwrap_or_default(), made);
        Ok(())
    }

    fn install(&self, kept: Vec<Kept>, made: bool) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let burst = f64::from(self.bounds.requests_per_second);
        let mut keys = HashMap::with_capacity(kept.len());
        for one in &kept {
            let Some(digest) = unhex(&one.sha256) else {
                log::error!("the key {} has no digest that can be read, and is of no use", one.info.name);
                continue;
            };
            let at = beginning(&digest);
            let same = table.keys.get(&at).filter(|key| key.digest == digest && key.info == one.info);
            let key = same.map_or_else(|| Arc::new(Key::new(one.info.clone(), digest, burst)), Arc::clone);
            keys.insert(at, key);
        }
        *table = Table { made: made || table.made, keys, kept };
    }

    fn table(&self) -> std::sync::RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn beginning(digest: &[u8; 32]) -> [u8; 8] {
    let mut beginning = [0; 8];
    beginning.iter_mut().zip(digest).for_each(|(to, from)| *to = *from);
    beginning
}
