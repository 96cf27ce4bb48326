//! Resources of one's own, and those that no configuration names.

use std::collections::HashMap;
use std::sync::Arc;

use paceline_core::{Lanes, Member};

use super::{Compiler, Draft, Drafted, Path, Planned, join, joined, limit_path};
use crate::config::compiled::UnknownResource;
use crate::config::error::Fault;
use crate::config::model::{Own, Resource, Unknown};
use crate::config::near::nearest;
use crate::config::source::Step;
use crate::config::units::Share;
use crate::provider::Profile;

/// What stands for the resource's name in the limits of unknown ones.
const ANY_NAME: &str = "{name}";

impl<'a> Compiler<'a> {
    pub(super) fn own(
        &mut self,
        name: &'a str,
        own: &'a Own,
        drafts: &mut Vec<Draft<'a>>,
        places: &mut HashMap<String, usize>,
    ) {
        let path = vec![Step::Name("resources".to_owned()), Step::Name(name.to_owned())];
        let ledger = own.ledger.as_deref().unwrap_or(name);
        self.check_name(name, &path);
        self.check_name(ledger, &path);
        if own.ledger.is_none() && places.contains_key(name) {
            let by = format!("a ledger; say `ledger: {name}` to join it");
            self.fault(&path, Fault::Taken { what: "name", name: name.to_owned(), by });
        }
        let place = *places.entry(ledger.to_owned()).or_insert_with(|| {
            drafts.push(self.empty(ledger));
            drafts.len() - 1
        });
        if let Some(draft) = drafts.get_mut(place) {
            self.own_into(name, own, draft, &path);
        }
    }

    pub(super) fn unknown(&mut self) -> UnknownResource {
        match &self.config.unknown_resources {
            Unknown::Refuse => UnknownResource::Refuse,
            Unknown::Allow => UnknownResource::Allow,
            Unknown::Default(own) => {
                let path = vec![Step::Name("unknown_resources".to_owned())];
                if own.ledger.is_some() || !own.resource.aliases.is_empty() {
                    let (one, other) = ("`ledger` or `aliases`".to_owned(), "`unknown_resources`".to_owned());
                    let why = "each unknown resource is a ledger of its own".to_owned();
                    self.fault(&path, Fault::Contradiction { one, other, why });
                }
                let mut draft = self.empty(ANY_NAME);
                self.own_into(ANY_NAME, own, &mut draft, &path);
                UnknownResource::Default(self.ledger(draft))
            }
        }
    }

    fn own_into(&mut self, name: &'a str, own: &'a Own, draft: &mut Draft<'a>, path: &Path) {
        let resource = &own.resource;
        let profile = self.provider_of_own(own, path).of_model(name, resource.reserve);
        let mut drafted = self.draft(name, resource, Arc::new(profile), path);
        drafted.compiled.aliases.clone_from(&resource.aliases);
        drafted.max_waiting = resource.max_waiting.or(self.config.max_waiting);
        private_limits(draft, &drafted, resource, own.usable, path);
        self.check_limited(resource, !resource.limits.is_empty() || !resource.shared.is_empty(), path, None);
        self.join_shared(draft, &drafted, resource, path);
        draft.resources.push(drafted);
    }

    /// Lets a resource of one's own draw on the shared limits of the account whose ledger it is in.
    fn join_shared(
        &mut self,
        draft: &mut Draft<'a>,
        drafted: &Drafted<'a>,
        resource: &Resource,
        path: &Path,
    ) {
        for draw in &resource.shared {
            let Some(range) = draft.shared.get(draw.name.as_str()).cloned() else {
                let known: Vec<String> = draft.shared.keys().map(|name| (*name).to_owned()).collect();
                let nearest = nearest(&draw.name, known.iter().map(String::as_str));
                let fault =
                    Fault::UnknownName { what: "shared limit", name: draw.name.clone(), nearest, known };
                self.fault(&joined(path, Step::Key("shared".to_owned())), fault);
                continue;
            };
            let lanes = if draw.lanes.is_empty() { Lanes::All } else { only(&draw.lanes) };
            let member = Member { resource: drafted.compiled.name.as_str().into(), lanes };
            for planned in draft.limits.get_mut(range).into_iter().flatten() {
                join(&mut planned.members, member.clone());
            }
        }
    }

    /// A resource has limits, or says that it has none.
    pub(super) fn check_limited(
        &mut self,
        resource: &Resource,
        limited: bool,
        path: &Path,
        tier: Option<&str>,
    ) {
        let fault = match (limited, resource.unlimited, tier) {
            (true, true, _) => Fault::Contradiction {
                one: "`unlimited: true`".to_owned(),
                other: "a limit".to_owned(),
                why: "say one of them".to_owned(),
            },
            (false, false, None) => Fault::Missing { what: "a limit, or `unlimited: true`,".to_owned() },
            (false, false, Some(tier)) => {
                Fault::Missing { what: format!("a limit, which tier `{tier}` does not have for this model,") }
            }
            _ => return,
        };
        self.fault(path, fault);
    }

    fn provider_of_own(&mut self, own: &Own, path: &Path) -> Arc<Profile> {
        match &own.provider {
            Some(name) => self
                .profile(name, &joined(path, Step::Key("provider".to_owned())))
                .unwrap_or_else(Profile::plain),
            None => Profile::plain(),
        }
    }
}

/// Plans the limits that a resource alone draws on.
pub(super) fn private_limits<'a>(
    draft: &mut Draft<'a>,
    drafted: &Drafted<'a>,
    resource: &'a Resource,
    usable: Share,
    path: &Path,
) {
    for (index, limit) in resource.limits.iter().enumerate() {
        let lanes = if limit.lanes.is_empty() { Lanes::All } else { only(&limit.lanes) };
        let name = &drafted.compiled.name;
        draft.limits.push(Planned {
            id: format!("{name}/{}", limit.name()),
            limit,
            warn_at: limit.warn_at.or(resource.warn_at),
            profile: drafted.compiled.profile.clone(),
            usable,
            members: vec![Member { resource: name.as_str().into(), lanes }],
            path: limit_path(path, index, limit),
        });
    }
}

fn only(lanes: &[String]) -> Lanes {
    Lanes::Only(lanes.iter().map(|lane| lane.as_str().into()).collect())
}
