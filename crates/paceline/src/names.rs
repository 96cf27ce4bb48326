//! How the names that callers use find their resource.

use std::collections::BTreeMap;

use paceline_core::Name;

use crate::config::{UnknownResource, glob_matches};

/// The names of one limiter's resources.
pub(crate) struct Directory {
    exact: BTreeMap<Name, Place>,
    aliases: Vec<(String, Name)>,
    pub(crate) unknown: UnknownResource,
}

/// Where a resource is: its account, and its seat there.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) account: Name,
    pub(crate) slot: usize,
}

impl Directory {
    pub(crate) fn new(unknown: UnknownResource) -> Self {
        Self { exact: BTreeMap::new(), aliases: Vec::new(), unknown }
    }

    pub(crate) fn add(&mut self, name: Name, place: Place, aliases: &[String]) {
        self.aliases.extend(aliases.iter().map(|alias| (alias.clone(), Name::clone(&name))));
        self.exact.insert(name, place);
    }

    /// Returns the configured name and the place that a name means: the name itself, or the first alias that fits.
    pub(crate) fn find(&self, name: &str) -> Option<(Name, Place)> {
        if let Some((name, place)) = self.exact.get_key_value(name) {
            return Some((Name::clone(name), place.clone()));
        }
        let (_, meant) = self.aliases.iter().find(|(alias, _)| glob_matches(alias, name))?;
        self.exact.get(meant).map(|place| (Name::clone(meant), place.clone()))
    }

    pub(crate) fn nearest(&self, name: &str) -> Option<String> {
        let aliases =
            self.aliases.iter().map(|(alias, _)| alias.as_str()).filter(|alias| !alias.contains(['*', '?']));
        nearest(name, self.exact.keys().map(|name| &**name).chain(aliases))
    }

    /// Returns the names of all resources of an account.
    pub(crate) fn of_account<'a>(&'a self, account: &'a str) -> impl Iterator<Item = &'a Name> {
        self.exact.iter().filter(move |(_, place)| &*place.account == account).map(|(name, _)| name)
    }

    /// Returns the names of all resources, in order.
    pub(crate) fn names(&self) -> Vec<Name> {
        self.exact.keys().cloned().collect()
    }

    /// Returns the names of all accounts, each once.
    pub(crate) fn accounts(&self) -> Vec<Name> {
        let mut accounts: Vec<Name> = self.exact.values().map(|place| Name::clone(&place.account)).collect();
        accounts.sort();
        accounts.dedup();
        accounts
    }
}

/// Returns the nearest of some names, if one is near enough to be meant.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    const LONGEST: usize = 128;
    let lower = name.to_lowercase();
    if lower.len() > LONGEST {
        return None;
    }
    let near = |known: &str| strsim::damerau_levenshtein(&lower, &known.to_lowercase());
    // A name without its account is the commonest slip: `gpt-4o` for `openai/gpt-4o`.
    let tail = |known: &str| known.rsplit_once('/').map_or(usize::MAX, |(_, model)| near(model));
    let ranked = known.into_iter().map(|known| (near(known).min(tail(known)), known));
    let (distance, best) = ranked.min_by_key(|(distance, _)| *distance)?;
    (distance <= (lower.len() / 3).max(1)).then(|| best.to_owned())
}
