//! Who calls, and what it asks of them: extractors, one a scope.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use sha2::{Digest, Sha256};

use super::key::{Key, Scope};
use crate::app::App;
use crate::kind::Kind;
use crate::problem::Problem;

/// Who calls.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    key: Arc<Key>,
}

/// A caller who may ask for permits.
pub(crate) struct Acquires(pub(crate) Caller);
/// A caller who may look.
pub(crate) struct Reads(pub(crate) Caller);
/// A caller who may do everything.
pub(crate) struct Administers(pub(crate) Caller);

/// A request of a key that waits, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Waiting(Arc<Key>);

impl Caller {
    fn of(parts: &Parts, app: &App, scope: Scope) -> Result<Self, Problem> {
        let key = match secret(&parts.headers)? {
            Some(secret) if !app.access.is_open() => {
                let key = app.access.find(secret)?;
                app.access.admit(&key)?;
                key
            }
            _ => {
                let nobody = app.access.nobody()?;
                at_home(&parts.headers)?;
                nobody
            }
        };
        let caller = Self { key };
        caller.must_have(scope)?;
        Ok(caller)
    }

    /// Refuses what the key has not the scope for.
    pub(crate) fn must_have(&self, scope: Scope) -> Result<(), Problem> {
        if self.key.has(scope) {
            return Ok(());
        }
        let (name, has) = (self.name(), self.key.info.scopes.iter().map(|scope| scope.name()));
        let has = has.collect::<Vec<_>>().join(", ");
        let said = format!("this needs the scope {scope}, and the key {name} has {has}");
        let allowed = if scope == Scope::Admin { vec!["admin"] } else { vec![scope.name(), "admin"] };
        let allowed = allowed.into_iter().map(str::to_owned).collect();
        Err(Problem::new(Kind::ScopeMissing, said).with(|more| more.allowed = Some(allowed)))
    }

    /// Returns what the key is called.
    pub(crate) fn name(&self) -> &str {
        &self.key.info.name
    }

    /// Refuses resources that the key is not for.
    pub(crate) fn may_use(&self, resource: &str) -> Result<(), Problem> {
        if self.key.is_for(resource) {
            return Ok(());
        }
        let said = format!("the key {} is not for {resource}", self.name());
        let allowed = self.key.info.resources.clone();
        Err(Problem::new(Kind::ResourceForbidden, said).with(|more| {
            more.resource = Some(resource.to_owned());
            more.allowed = Some(allowed);
        }))
    }

    /// Returns whether the key sees this resource.
    pub(crate) fn sees(&self, resource: &str) -> bool {
        self.key.is_for(resource)
    }

    /// Returns whether the key may do everything.
    pub(crate) fn administers(&self) -> bool {
        self.key.has(Scope::Admin)
    }

    /// Returns whether the key is for some resources alone.
    pub(crate) fn is_bounded(&self) -> bool {
        !self.key.info.resources.is_empty()
    }

    /// Returns the session of a request: the same for the same idempotency key of the same caller, and no other caller
    /// can tell it.
    pub(crate) fn session(&self, idempotency: Option<&str>) -> Result<u128, Problem> {
        let mut random = [0_u8; 16];
        match idempotency {
            None => getrandom::fill(&mut random).map_err(|error| {
                log::error!("the system gives no random numbers: {error}");
                Problem::new(Kind::Internal, "the system gives no random numbers")
            })?,
            Some(idempotency) => {
                let digest = Sha256::new().chain_update(self.key.digest).chain_update(idempotency).finalize();
                random.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
            }
        }
        Ok(u128::from_be_bytes(random).max(1))
    }

    /// Counts a request that waits.
    pub(crate) fn wait(&self, app: &App) -> Result<Waiting, Problem> {
        let most = app.access.bounds.open_waits;
        let before = self.key.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting(Arc::clone(&self.key));
        if before >= most {
            let said = format!("{before} requests of {} wait, and {most} may", self.name());
            return Err(Problem::new(Kind::TooManyWaits, said).retry_after(WAITS_RETRY));
        }
        Ok(waiting)
    }
}

const WAITS_RETRY: std::time::Duration = std::time::Duration::from_secs(1);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Returns the secret that a request brings.
fn secret(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let wrong = || Problem::new(Kind::NoKey, "the header Authorization has to be `Bearer pk_…`");
    let text = value.to_str().map_err(|_| wrong())?;
    let (scheme, secret) = text.split_once(' ').ok_or_else(wrong)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(wrong());
    }
    Ok(Some(secret.trim()))
}

/// Refuses what a foreign web page sends through a browser of this machine: where there are no keys, only the address
/// tells.
fn at_home(headers: &HeaderMap) -> Result<(), Problem> {
    let foreign = |name: HeaderName, value: &str| {
        let said = format!("the header {name} says {value}, which is no name of this machine");
        Problem::new(Kind::ForeignOrigin, said)
    };
    if let Some(host) = headers.get(HOST).map(|host| host.to_str().unwrap_or_default())
        && !is_loopback(host)
    {
        return Err(foreign(HOST, host));
    }
    if let Some(origin) = headers.get(ORIGIN).map(|origin| origin.to_str().unwrap_or_default()) {
        let host = origin.split_once("://").map_or(origin, |(_, host)| host);
        if !is_loopback(host) {
            return Err(foreign(ORIGIN, origin));
        }
    }
    Ok(())
}

/// Returns whether a host, with or without a port, is a name of the loopback.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let address = bare.parse::<std::net::IpAddr>();
    bare.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

macro_rules! extractor {
    ($name:ident, $scope:expr) => {
        impl FromRequestParts<Arc<App>> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
                Caller::of(parts, app, $scope).map(Self)
            }
        }
    };
}

extractor!(Acquires, Scope::Acquire);
extractor!(Reads, Scope::Read);
extractor!(Administers, Scope::Admin);

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn the_loopback_is_known_by_its_names() {
        for host in ["localhost", "localhost:7411", "127.0.0.1:1", "127.9.9.9", "[::1]:7411", "LOCALHOST"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "", "0.0.0.0", "[::2]"]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
