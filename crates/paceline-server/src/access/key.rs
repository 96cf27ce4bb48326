//! A key as it is kept: its name, what it may do, and a digest of its secret.

use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::AtomicU32;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::clock;

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Ask for permits, end them, and record use.
    Acquire,
    /// Look.
    Read,
    /// Everything, the limits and the keys included.
    Admin,
}

/// A key without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyInfo {
    /// What the key is called.
    #[schema(example = "nightly-batch")]
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// The resources it may use, `*` and `?` allowed; all where it names none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["openai/*"]))]
    pub resources: Vec<String>,
    /// When it was made.
    pub created_at: String,
    /// When it ends, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// A key as it stands in its file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Kept {
    #[serde(flatten)]
    pub(crate) info: KeyInfo,
    /// The digest of its secret in hexadecimal digits. A secret of 256 random bits needs no slow digest.
    pub(crate) sha256: String,
}

/// A key in use.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) info: KeyInfo,
    pub(crate) digest: [u8; 32],
    pub(crate) ends_at: Option<u64>,
    /// What is left of its requests, and when that was, in milliseconds.
    pub(crate) left: Mutex<(f64, u64)>,
    /// How many of its requests wait.
    pub(crate) waiting: AtomicU32,
}

impl Key {
    pub(crate) fn new(info: KeyInfo, digest: [u8; 32], burst: f64) -> Self {
        let ends_at = info.expires_at.as_deref().and_then(clock::read);
        Self { info, digest, ends_at, left: Mutex::new((burst, 0)), waiting: AtomicU32::new(0) }
    }

    /// Returns whether it may do what this scope says.
    pub(crate) fn has(&self, scope: Scope) -> bool {
        self.info.scopes.iter().any(|own| *own == scope || *own == Scope::Admin)
    }

    /// Returns whether it is for this resource.
    pub(crate) fn is_for(&self, resource: &str) -> bool {
        let globs = &self.info.resources;
        globs.is_empty() || globs.iter().any(|glob| paceline::config::glob_matches(glob, resource))
    }
}

/// Returns the digest of a secret.
pub(crate) fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// Writes bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads a digest written in hexadecimal digits.
pub(crate) fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0_u8; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}

impl Scope {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Acquire => "acquire",
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Self::Acquire, Self::Read, Self::Admin];
        let found = known.into_iter().find(|scope| scope.name() == text);
        found.ok_or_else(|| format!("{text} is no scope; it can be acquire, read or admin"))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
