//! The limits in force: those of the configuration file, which the API may not change, and those that it manages.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use paceline::Limiter;
use paceline::config::{Config, ConfigError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::clock;
use crate::kind::Kind;
use crate::persist::{self, Stamp};
use crate::problem::Problem;

/// The limits in force, and where they come from.
pub(crate) struct Catalog {
    file: Option<PathBuf>,
    kept: Option<PathBuf>,
    /// Whether the API manages limits.
    manages: bool,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    config: Config,
    of_file: BTreeSet<String>,
    managed: Managed,
    seen: Option<Stamp>,
}

/// Resources of the API by name, each as it was put.
type Managed = BTreeMap<String, Map<String, Value>>;

#[derive(Serialize, Deserialize)]
struct Content {
    version: u32,
    resources: Managed,
}

const VERSION: u32 = 1;
const MOST_RESOURCES: usize = 10_000;
const LONGEST_NAME: usize = 300;

/// Why the limits cannot be put into force at the start.
#[derive(Debug)]
pub(crate) enum CatalogError {
    /// The configuration is wrong.
    Paceline(paceline::Error),
    /// What the API manages cannot be read.
    Io(io::Error),
}

/// Whose a resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Owner {
    /// The configuration file's: the API may not change it.
    File,
    /// The API's.
    Api,
    /// Another process's, which shares the store.
    Others,
}

impl Catalog {
    /// Reads file and state, and puts them into force.
    pub(crate) fn open(
        limiter: &Limiter,
        file: Option<PathBuf>,
        kept: Option<PathBuf>,
        manages: bool,
    ) -> Result<Self, CatalogError> {
        let catalog = Self { file, kept, manages, inner: Mutex::default() };
        let mut inner = catalog.inner();
        if let Some(file) = &catalog.file {
            inner.seen = persist::stamp(file);
            inner.take(Config::load(file).map_err(paceline::Error::from)?)?;
        }
        if let Some(kept) = catalog.kept.as_deref().filter(|_| manages) {
            inner.managed = read(kept)?;
        }
        limiter.configure(&inner.whole(&inner.managed).map_err(paceline::Error::from)?)?;
        drop(inner);
        Ok(catalog)
    }

    /// Returns the configuration in force as text, for clients that have none of their own: the file's, or else the API's.
    pub(crate) fn text(&self) -> Option<String> {
        let inner = self.inner();
        if self.file.is_some() {
            return inner.config.text().map(str::to_owned);
        }
        let mut whole = json!({});
        for (name, body) in &inner.managed {
            let account = name.split_once('/').filter(|(account, _)| is_account(&inner.config, account));
            let (outer, inner) = account.unwrap_or(("resources", name));
            whole[outer][inner] = Value::Object(body.clone());
        }
        (!inner.managed.is_empty()).then(|| whole.to_string())
    }

    /// Returns whose a resource is, and what was put where it is the API's.
    pub(crate) fn owner(&self, name: &str) -> (Owner, Option<Map<String, Value>>) {
        let inner = self.inner();
        match inner.managed.get(name) {
            _ if inner.of_file.contains(name) => (Owner::File, None),
            Some(body) => (Owner::Api, Some(body.clone())),
            None => (Owner::Others, None),
        }
    }

    /// Puts a resource with these limits into force; returns whether it is another.
    pub(crate) fn put(
        &self,
        limiter: &Limiter,
        name: &str,
        body: Map<String, Value>,
    ) -> Result<bool, Problem> {
        let mut inner = self.changeable(name)?;
        if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
            let said = format!("the name of a resource has 1 to {LONGEST_NAME} characters");
            return Err(Problem::field("name", said));
        }
        let mut managed = inner.managed.clone();
        let fresh = managed.insert(name.to_owned(), body).is_none();
        if managed.len() > MOST_RESOURCES {
            let said = format!("there are {MOST_RESOURCES} resources, and there may be no more");
            return Err(Problem::new(Kind::InvalidConfiguration, said));
        }
        self.commit(limiter, &mut inner, managed)?;
        Ok(fresh)
    }

    /// Changes a resource by a merge patch (RFC 7396).
    pub(crate) fn patch(
        &self,
        limiter: &Limiter,
        name: &str,
        patch: Map<String, Value>,
    ) -> Result<(), Problem> {
        let mut inner = self.changeable(name)?;
        let mut managed = inner.managed.clone();
        let body = managed.get_mut(name).ok_or_else(|| unknown(limiter, name))?;
        merge(body, patch, 0)?;
        self.commit(limiter, &mut inner, managed)
    }

    /// Removes a resource.
    pub(crate) fn delete(&self, limiter: &Limiter, name: &str) -> Result<(), Problem> {
        let mut inner = self.changeable(name)?;
        let mut managed = inner.managed.clone();
        managed.remove(name).ok_or_else(|| unknown(limiter, name))?;
        self.commit(limiter, &mut inner, managed)
    }

    /// Takes a changed file over; returns what is wrong with it where it is refused. `anyhow` looks though it seems the same.
    pub(crate) fn look(&self, limiter: &Limiter, anyhow: bool) -> Result<bool, paceline::Error> {
        let Some(file) = &self.file else { return Ok(false) };
        let stamp = persist::stamp(file);
        let mut inner = self.inner();
        // A file that is gone for a moment is being replaced.
        if stamp.is_none() || (stamp == inner.seen && !anyhow) {
            return Ok(false);
        }
        inner.seen = stamp;
        let mut next = Inner { managed: inner.managed.clone(), seen: stamp, ..Inner::default() };
        next.take(Config::load(file)?)?;
        limiter.configure(&next.whole(&next.managed)?)?;
        *inner = next;
        Ok(true)
    }

    /// Returns where the file is.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    fn changeable(&self, name: &str) -> Result<MutexGuard<'_, Inner>, Problem> {
        if !self.manages {
            let said = "this server stands on a store that other servers may share; change the limits in the file \
                        that --config names, on each of them";
            return Err(Problem::new(Kind::NotManagedHere, said));
        }
        let inner = self.inner();
        if inner.of_file.contains(name) {
            let file = self.file.as_deref().unwrap_or(Path::new("")).display();
            let said = format!("{name} stands in {file}; change it there");
            return Err(
                Problem::new(Kind::OwnedByFile, said).with(|more| more.resource = Some(name.to_owned()))
            );
        }
        Ok(inner)
    }

    /// Tries the limits, keeps them, and puts them into force: in this order, for what was acknowledged has to last.
    fn commit(&self, limiter: &Limiter, inner: &mut Inner, managed: Managed) -> Result<(), Problem> {
        let whole = inner.whole(&managed).map_err(paceline::Error::from)?;
        let compiled = whole.compile(clock::unix_ms()).map_err(paceline::Error::from)?;
        if let Some(kept) = &self.kept {
            let content = Content { version: VERSION, resources: managed };
            let text = serde_json::to_vec_pretty(&content).unwrap_or_default();
            persist::replace(kept, &text).map_err(|error| {
                log::error!("{} cannot be written: {error}", kept.display());
                Problem::new(Kind::StateNotWritten, format!("the limits cannot be kept: {error}"))
            })?;
            limiter.configure_compiled(&compiled)?;
            inner.managed = content.resources;
        } else {
            limiter.configure_compiled(&compiled)?;
            inner.managed = managed;
        }
        Ok(())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Takes the configuration of the file.
    fn take(&mut self, config: Config) -> Result<(), paceline::Error> {
        let compiled = config.compile(clock::unix_ms())?;
        let names = compiled.ledgers.iter().flat_map(|ledger| &ledger.resources);
        self.of_file = names.map(|resource| resource.name.clone()).collect();
        self.config = config;
        Ok(())
    }

    /// Returns the file's configuration with these resources added. What the file names is the file's.
    fn whole(&self, managed: &Managed) -> Result<Config, ConfigError> {
        let mut whole = self.config.clone();
        for (name, body) in managed {
            if self.of_file.contains(name) {
                log::warn!(
                    "{name} was put over the API, and stands in the file as well: the file's limits hold"
                );
                continue;
            }
            add(&mut whole, name, body)?;
        }
        Ok(whole)
    }
}

/// Adds a resource: a model of an account where its name begins with one, else one of its own.
fn add(config: &mut Config, name: &str, body: &Map<String, Value>) -> Result<(), ConfigError> {
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default();
    if let Some((account, model)) = name.split_once('/').filter(|(account, _)| is_account(config, account)) {
        let mut said = Map::new();
        if let Some(provider) = config.accounts.get(account).and_then(|account| account.provider.as_ref()) {
            said.insert("provider".to_owned(), json!(provider));
        }
        said.insert(model.to_owned(), Value::Object(body.clone()));
        let mut parsed = Config::parse(name, &pretty(&json!({account: said})))?;
        let resource = parsed.accounts.get_mut(account).and_then(|account| account.models.remove(model));
        let account = config.accounts.entry(account.to_owned()).or_default();
        account.models.extend(resource.map(|resource| (model.to_owned(), resource)));
        return Ok(());
    }
    let mut parsed = Config::parse(name, &pretty(&json!({"resources": {name: body}})))?;
    config.resources.extend(parsed.resources.remove(name).map(|own| (name.to_owned(), own)));
    Ok(())
}

/// Reads a resource as it is put, and makes of it what ledgers know.
#[cfg(feature = "fuzzing")]
pub(crate) fn try_resource(name: &str, body: &Map<String, Value>) {
    let mut config = Config::default();
    if add(&mut config, name, body).is_ok() {
        drop(config.compile(clock::unix_ms()));
    }
}

/// Returns whether a name is that of an account: one of the configuration, or one that is called as its provider.
fn is_account(config: &Config, name: &str) -> bool {
    let plain = json!({name: {"model": {"requests_per_minute": 1}}}).to_string();
    config.accounts.contains_key(name)
        || Config::parse("", &plain).is_ok_and(|parsed| parsed.accounts.contains_key(name))
}

/// Changes an object by a merge patch.
fn merge(body: &mut Map<String, Value>, patch: Map<String, Value>, depth: usize) -> Result<(), Problem> {
    if depth > 16 {
        return Err(Problem::new(Kind::Invalid, "the patch is nested deeper than limits are"));
    }
    for (key, value) in patch {
        match value {
            Value::Null => {
                body.remove(&key);
            }
            Value::Object(patch) => {
                let inner = body.entry(key).or_insert_with(|| json!({}));
                if !inner.is_object() {
                    *inner = json!({});
                }
                if let Value::Object(inner) = inner {
                    merge(inner, patch, depth + 1)?;
                }
            }
            plain => {
                body.insert(key, plain);
            }
        }
    }
    Ok(())
}

fn unknown(limiter: &Limiter, name: &str) -> Problem {
    match limiter.resource(name) {
        Err(error) => error.into(),
        // Another name stands for it, or another process configured it.
        Ok(_) => paceline::Error::UnknownResource { name: name.to_owned(), nearest: None }.into(),
    }
}

fn read(path: &Path) -> Result<Managed, CatalogError> {
    let damaged = |why: String| {
        let path = path.display();
        let said = format!("{path} cannot be read: {why}; put it back from a copy, or move it away");
        CatalogError::Io(io::Error::new(io::ErrorKind::InvalidData, said))
    };
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Managed::new()),
        Err(error) => return Err(damaged(error.to_string())),
    };
    let content: Content = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
    if content.version != VERSION {
        return Err(damaged(format!("it is of version {}, this server knows {VERSION}", content.version)));
    }
    Ok(content.resources)
}

impl From<paceline::Error> for CatalogError {
    fn from(error: paceline::Error) -> Self {
        Self::Paceline(error)
    }
}
