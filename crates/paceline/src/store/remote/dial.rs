//! Connections to a control plane for who asks it in plain HTTP: the same URLs, keys and certificates as stores have.

use std::fmt;

use super::connect::{self, Cryptography, Stream};
use super::url::{Address, KEY_VARIABLE, Place};
use crate::Error;
use crate::store::refused;

/// A control plane that a URL names, for whoever brings his own HTTP.
#[derive(Clone)]
pub struct Dial {
    address: Address,
    cryptography: Option<Cryptography>,
}

impl Dial {
    /// Reads a URL, with the key of `PACELINE_API_KEY` where it has none; `None` where it names no control plane.
    pub fn to(url: &str) -> Option<Result<Self, Error>> {
        let address = match Address::parse(url)? {
            Ok(address) => address.or_key(std::env::var(KEY_VARIABLE).ok()),
            Err(reason) => return Some(Err(refused(url, reason))),
        };
        if matches!(address.place, Place::Local(_)) {
            return None;
        }
        let made = connect::cryptography(&address).map_err(|reason| refused(url, reason));
        Some(made.map(|cryptography| Self { address, cryptography }))
    }

    /// Returns what the server is called in requests.
    pub fn host(&self) -> String {
        self.address.host()
    }

    /// Returns what comes before the paths of the API, without a slash at its end.
    pub fn prefix(&self) -> &str {
        &self.address.prefix
    }

    /// Returns the API key.
    pub fn key(&self) -> Option<&str> {
        self.address.key.as_ref().map(|key| key.0.as_str())
    }

    /// Connects, encrypted where the URL says so.
    ///
    /// # Errors
    /// [`Error::StoreUnavailable`] with what to look at.
    pub async fn open(&self) -> Result<Box<dyn Stream>, Error> {
        connect::open(&self.address, self.cryptography.as_ref()).await.map_err(|error| {
            Error::StoreUnavailable { url: self.address.to_string(), reason: error.reason().to_owned() }
        })
    }
}

/// Shows the URL, without its key.
impl fmt::Display for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dial").field(&self.address.to_string()).finish()
    }
}
