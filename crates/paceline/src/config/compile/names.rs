//! Names: that providers exist, that limits and resources are named once, that aliases do not clash.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{Compiler, Draft, Path, joined};
use crate::config::error::Fault;
use crate::config::glob::globs_meet;
use crate::config::model::{Account, Resource};
use crate::config::near::nearest;
use crate::config::read::ROOT_KEYS;
use crate::config::source::Step;
use crate::provider::Profile;

/// The most aliases of a configuration: each is compared with each.
const MAX_ALIASES: usize = 10_000;

/// The most lanes that a resource declares.
const MAX_LANES: usize = 1_000;

impl<'a> Compiler<'a> {
    pub(super) fn profile(&mut self, name: &str, path: &Path) -> Option<Arc<Profile>> {
        let found = self.find_profile(name);
        if found.is_none() {
            let known = self.profile_names();
            let nearest = nearest(name, known.iter().map(String::as_str));
            self.fault(path, Fault::UnknownName { what: "provider", name: name.to_owned(), nearest, known });
        }
        found
    }

    /// Returns the profile that an account says, or that its name says. A name that misspells one is refused; one that
    /// resembles none is a provider of which nothing is known.
    pub(super) fn provider_of_account(
        &mut self,
        name: &str,
        account: &Account,
        path: &Path,
    ) -> Option<Arc<Profile>> {
        if let Some(said) = &account.provider {
            return self.profile(said, &joined(path, Step::Key("provider".to_owned())));
        }
        if let Some(found) = self.find_profile(name) {
            return Some(found);
        }
        if let Some(key) = nearest(name, ROOT_KEYS) {
            let expected = "an account".to_owned();
            self.fault(path, Fault::UnknownKey { key: name.to_owned(), expected, nearest: Some(key) });
            return None;
        }
        let known = self.profile_names();
        let extends = |known: &&String| {
            name.strip_prefix(known.as_str()).is_some_and(|rest| rest.starts_with(['-', '_', '.', ' ']))
        };
        if let Some(provider) = known.iter().find(extends) {
            let what = format!("the provider of `{name}` (`provider: {provider}`?)");
            self.fault(path, Fault::Missing { what });
            return None;
        }
        if let Some(near) = nearest(name, known.iter().map(String::as_str)) {
            let nearest = Some(near);
            self.fault(path, Fault::UnknownName { what: "provider", name: name.to_owned(), nearest, known });
            return None;
        }
        self.find_profile("unknown")
    }

    fn find_profile(&self, name: &str) -> Option<Arc<Profile>> {
        let described = self.config.profiles.values().find(|profile| profile.is_called(name)).cloned();
        described.or_else(|| Profile::named(name))
    }

    fn profile_names(&self) -> Vec<String> {
        self.config.profiles.keys().cloned().chain(Profile::names().map(str::to_owned)).collect()
    }

    pub(super) fn check_names(&mut self, drafts: &[Draft<'a>]) {
        let mut resources: HashMap<&str, &str> = HashMap::new();
        for draft in drafts {
            self.check_limit_names(draft);
            for drafted in &draft.resources {
                let name = drafted.compiled.name.as_str();
                if let Some(first) = resources.insert(name, &draft.name) {
                    let by = format!("a resource of the ledger `{first}`");
                    self.fault(&self.path_of(name), Fault::Taken { what: "name", name: name.to_owned(), by });
                }
            }
        }
        self.check_aliases(drafts, &resources);
    }

    fn check_limit_names(&mut self, draft: &Draft<'a>) {
        let mut taken = HashSet::new();
        for planned in &draft.limits {
            if !taken.insert(planned.id.as_str()) {
                let by = "another limit; say another `id` if both are meant".to_owned();
                let (what, name) = ("limit", planned.id.clone());
                self.fault(&planned.path, Fault::Taken { what, name, by });
            }
        }
    }

    fn check_aliases(&mut self, drafts: &[Draft<'a>], resources: &HashMap<&str, &str>) {
        let drafted = drafts.iter().flat_map(|draft| &draft.resources);
        let all: Vec<(&str, &str)> = drafted
            .flat_map(|drafted| {
                drafted.compiled.aliases.iter().map(|alias| (alias.as_str(), drafted.compiled.name.as_str()))
            })
            .collect();
        if all.len() > MAX_ALIASES {
            return self.fault(&[], Fault::TooMany { most: MAX_ALIASES });
        }
        for (position, (alias, of)) in all.iter().enumerate() {
            if resources.contains_key(alias) {
                let clash = clash((alias, of), (alias, alias));
                self.fault(&self.alias_path(of), clash);
            }
            let earlier = all.iter().take(position);
            if let Some(other) =
                earlier.into_iter().find(|(other, _)| can_meet(alias, other) && globs_meet(alias, other))
            {
                self.fault(&self.alias_path(of), clash((alias, of), *other));
            }
        }
    }

    fn alias_path(&self, resource: &str) -> Path {
        joined(&self.path_of(resource), Step::Name("aliases".to_owned()))
    }

    /// Returns where a resource is said.
    fn path_of(&self, resource: &str) -> Path {
        if self.config.resources.contains_key(resource) {
            return vec![Step::Name("resources".to_owned()), Step::Name(resource.to_owned())];
        }
        let (account, model) = resource.split_once('/').unwrap_or((resource, ""));
        let models = self.config.accounts.get(account).map(|account| &account.models);
        let model = if models.is_some_and(|models| models.contains_key(resource)) { resource } else { model };
        vec![Step::Name(account.to_owned()), Step::Name(model.to_owned())]
    }

    /// Checks that the lanes of a resource can be, and that limits name no others.
    pub(super) fn check_lanes(&mut self, resource: &Resource, path: &Path) {
        if resource.lanes.len() > MAX_LANES {
            let here = joined(path, Step::Name("lanes".to_owned()));
            return self.fault(&here, Fault::TooMany { most: MAX_LANES });
        }
        for (position, lane) in resource.lanes.iter().enumerate() {
            let here = joined(&joined(path, Step::Name("lanes".to_owned())), Step::Name(lane.name.clone()));
            self.check_name(&lane.name, &here);
            if let Some(fault) = super::lanes::fault(lane) {
                self.fault(&here, fault);
            }
            if resource.lanes.iter().take(position).any(|earlier| earlier.name == lane.name) {
                let (name, by) = (lane.name.clone(), "another lane".to_owned());
                self.fault(&here, Fault::Taken { what: "lane", name, by });
            }
        }
        let of_limits = resource.limits.iter().flat_map(|limit| &limit.lanes);
        let of_shared = resource.shared.iter().flat_map(|draw| &draw.lanes);
        for name in of_limits.chain(of_shared) {
            if !resource.lanes.is_empty() && !resource.lanes.iter().any(|lane| lane.name == *name) {
                let known: Vec<String> = resource.lanes.iter().map(|lane| lane.name.clone()).collect();
                let nearest = nearest(name, known.iter().map(String::as_str));
                let here = joined(path, Step::Name("limits".to_owned()));
                self.fault(&here, Fault::UnknownName { what: "lane", name: name.clone(), nearest, known });
            }
        }
    }
}

fn clash((one, of): (&str, &str), (other, other_of): (&str, &str)) -> Fault {
    let [one, of, other, other_of] = [one, of, other, other_of].map(str::to_owned);
    Fault::Clash { one, of, other, other_of }
}

/// Two globs can only meet where what stands before their first wildcard agrees.
fn can_meet(one: &str, other: &str) -> bool {
    let beginning = |glob: &'_ str| glob.find(['*', '?']).unwrap_or(glob.len());
    let length = beginning(one).min(beginning(other));
    one.as_bytes().get(..length) == other.as_bytes().get(..length)
}
