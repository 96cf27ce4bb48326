//! The file of keys, which the server and its command line change alike.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::key::{Kept, KeyInfo, Scope, digest, hex};
use crate::clock;
use crate::persist;

/// Where keys are kept: their names and digests, never their secrets.
#[derive(Debug, Clone)]
pub struct KeyFile {
    path: PathBuf,
}

/// A key that is to be.
#[derive(Debug, Clone, Default)]
pub struct NewKey {
    /// What it is called.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// The resources it is for, globs; all where none is named.
    pub resources: Vec<String>,
    /// For how many seconds, if not for ever.
    pub lasting_seconds: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Content {
    version: u32,
    keys: Vec<Kept>,
}

const VERSION: u32 = 1;
const MOST_KEYS: usize = 10_000;
const LONGEST_NAME: usize = 100;

impl KeyFile {
    /// Names the file, which need not be there yet.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Names the file of a state directory, which is made where it is not there.
    pub fn in_state(state: &Path) -> io::Result<Self> {
        persist::folder(state)?;
        Ok(Self::at(state.join("keys.json")))
    }

    /// Returns where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a key and returns its secret, which nobody can be told again.
    pub fn create(&self, new: &NewKey) -> io::Result<String> {
        let (kept, secret) = new.make()?;
        self.change(|keys| add(keys, kept))?;
        Ok(secret)
    }

    /// Returns the keys by name.
    pub fn list(&self) -> io::Result<Vec<KeyInfo>> {
        Ok(self.read()?.unwrap_or_default().into_iter().map(|kept| kept.info).collect())
    }

    /// Ends a key; an error of kind [`io::ErrorKind::NotFound`] where there is none of this name.
    pub fn revoke(&self, name: &str) -> io::Result<()> {
        self.change(|keys| remove(keys, name))
    }

    /// Returns what is kept; nothing where there is no file.
    pub(crate) fn read(&self) -> io::Result<Option<Vec<Kept>>> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed(&error)),
        };
        self.parse(&text).map(Some)
    }

    pub(crate) fn parse(&self, text: &[u8]) -> io::Result<Vec<Kept>> {
        let content: Content = serde_json::from_slice(text).map_err(|error| self.damaged(&error))?;
        if content.version != VERSION {
            let said = format!("it is of version {}, this knows {VERSION}", content.version);
            return Err(self.damaged(&said));
        }
        Ok(content.keys)
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Vec<Kept>) -> io::Result<()>) -> io::Result<()> {
        let _lock = persist::lock(&self.path).map_err(|error| self.failed(&error))?;
        let mut keys = self.read()?.unwrap_or_default();
        change(&mut keys)?;
        keys.sort_by(|a, b| a.info.name.cmp(&b.info.name));
        let text = serde_json::to_vec_pretty(&Content { version: VERSION, keys })?;
        persist::replace(&self.path, &text).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("{}: {error}", self.path.display()))
    }

    fn damaged(&self, why: &dyn std::fmt::Display) -> io::Error {
        let path = self.path.display();
        let said = format!("{path} is no file of keys: {why}; put it back from a copy, or move it away");
        io::Error::new(io::ErrorKind::InvalidData, said)
    }
}

/// Adds a key whose name is free.
pub(crate) fn add(keys: &mut Vec<Kept>, kept: Kept) -> io::Result<()> {
    if keys.iter().any(|other| other.info.name == kept.info.name) {
        let said = format!("there is a key {} already; revoke it, or choose another name", kept.info.name);
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, said));
    }
    if keys.len() >= MOST_KEYS {
        return Err(io::Error::other(format!("there are {MOST_KEYS} keys, and there may be no more")));
    }
    keys.push(kept);
    Ok(())
}

/// Removes a key by its name.
pub(crate) fn remove(keys: &mut Vec<Kept>, name: &str) -> io::Result<()> {
    let before = keys.len();
    keys.retain(|kept| kept.info.name != name);
    if keys.len() == before {
        let said = format!("there is no key {name}");
        return Err(io::Error::new(io::ErrorKind::NotFound, said));
    }
    Ok(())
}

impl NewKey {
    /// Makes the key and its secret.
    pub(crate) fn make(&self) -> io::Result<(Kept, String)> {
        self.check()?;
        let mut random = [0_u8; 32];
        getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
        let secret = format!("pk_{}", hex(&random));
        let now = clock::unix_ms();
        let ends = self.lasting_seconds.map(|seconds| now.saturating_add(seconds.saturating_mul(1_000)));
        let mut scopes = self.scopes.clone();
        scopes.sort_unstable();
        scopes.dedup();
        let info = KeyInfo {
            name: self.name.clone(),
            scopes,
            resources: self.resources.clone(),
            created_at: clock::written(now),
            expires_at: ends.map(clock::written),
        };
        Ok((Kept { info, sha256: hex(&digest(&secret)) }, secret))
    }

    fn check(&self) -> io::Result<()> {
        let wrong = |said: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, said.to_owned()));
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
        if self.name.is_empty() || self.name.len() > LONGEST_NAME || !self.name.chars().all(plain) {
            return wrong("the name of a key has 1 to 100 letters, digits and -_.@");
        }
        if self.scopes.is_empty() {
            return wrong("a key needs a scope: acquire, read or admin");
        }
        if self.resources.iter().any(|glob| glob.is_empty() || glob.len() > 300) || self.resources.len() > 100
        {
            return wrong("a key can name up to 100 resources, each of 1 to 300 characters");
        }
        match self.lasting_seconds {
            Some(seconds) if !(1..=3_200_000_000).contains(&seconds) => {
                wrong("a key lasts from a second to a hundred years")
            }
            _ => Ok(()),
        }
    }
}
