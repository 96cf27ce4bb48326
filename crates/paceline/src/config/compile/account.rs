//! Accounts: models, what they share, and what the shipped table adds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use paceline_core::{Lanes, Member};

use super::own::private_limits;
use super::{Compiler, Draft, Drafted, Path, Planned, join, joined, limit_path};
use crate::config::error::Fault;
use crate::config::glob_matches;
use crate::config::limit::Limit;
use crate::config::model::{Account, Draw, Resource};
use crate::config::near::nearest;
use crate::config::source::Step;
use crate::provider::{Profile, Seed, seeds, tiers};

/// An account that is being compiled.
struct Work<'a> {
    name: &'a str,
    account: &'a Account,
    profile: Arc<Profile>,
    path: Path,
    draft: Draft<'a>,
}

static NO_LIMITS: Resource = Resource::EMPTY;

impl<'a> Compiler<'a> {
    pub(super) fn account(&mut self, name: &'a str, account: &'a Account) -> Option<Draft<'a>> {
        let path = vec![Step::Name(name.to_owned())];
        self.check_name(name, &path);
        let profile = self.provider_of_account(name, account, &path)?;
        let rows = self.rows(account, &profile, &path);
        self.check_bound(account.max_waiting, &path);
        let revision = account.revision.unwrap_or(self.config.revision);
        let draft = Draft { revision, ..self.empty(name) };
        let mut work = Work { name, account, profile, path, draft };
        for (model, resource) in with_seeded(&account.models, rows) {
            self.model(&mut work, model, resource, rows);
        }
        self.shared(&mut work);
        pools(&mut work, rows);
        Some(work.draft)
    }

    fn rows(&mut self, account: &Account, profile: &Profile, path: &Path) -> &'static [Seed] {
        let Some(tier) = &account.tier else { return &[] };
        let found = seeds(&profile.name, tier);
        if found.is_none() {
            let known: Vec<String> = tiers(&profile.name).map(str::to_owned).collect();
            let nearest = nearest(tier, known.iter().map(String::as_str));
            let fault = Fault::UnknownName { what: "tier", name: tier.clone(), nearest, known };
            self.fault(&joined(path, Step::Key("tier".to_owned())), fault);
        }
        found.unwrap_or(&[])
    }

    fn model(&mut self, work: &mut Work<'a>, model: &'a str, resource: &'a Resource, rows: &'static [Seed]) {
        let name = full_name(work.name, model);
        let path = joined(&work.path, Step::Name(model.to_owned()));
        self.check_name(model, &path);
        let profile = Arc::new(work.profile.of_model(model, resource.reserve));
        let mut drafted = self.draft(&name, resource, profile, &path);
        drafted.compiled.aliases = resource.aliases.iter().map(|alias| full_name(work.name, alias)).collect();
        drafted.max_waiting = resource.max_waiting.or(work.account.max_waiting).or(self.config.max_waiting);
        let before = work.draft.limits.len();
        private_limits(&mut work.draft, &drafted, resource, work.account.usable, &path);
        seed(work, &drafted, resource, model, rows);
        let limited = work.draft.limits.len() > before
            || !resource.shared.is_empty()
            || rows.iter().any(|row| row.pool.iter().any(|glob| glob_matches(glob, model)));
        self.check_limited(resource, limited, &path, work.account.tier.as_deref());
        work.draft.resources.push(drafted);
    }

    fn shared(&mut self, work: &mut Work<'a>) {
        let Account { shared, models, .. } = work.account;
        let mut members: BTreeMap<&str, Vec<Member>> = BTreeMap::new();
        for (model, resource) in models {
            let path = joined(&work.path, Step::Name(model.clone()));
            for draw in &resource.shared {
                if shared.contains_key(&draw.name) {
                    let member = Member {
                        resource: full_name(work.name, model).as_str().into(),
                        lanes: lanes_of(draw),
                    };
                    join(members.entry(draw.name.as_str()).or_default(), member);
                } else {
                    self.no_such_shared(draw, shared.keys().map(String::as_str), &path);
                }
            }
        }
        let path = joined(&work.path, Step::Name("shared".to_owned()));
        for (name, limits) in shared {
            let members = members.remove(name.as_str()).unwrap_or_default();
            bundle(work, name, limits, &members, &joined(&path, Step::Name(name.clone())));
        }
    }

    fn no_such_shared<'k>(&mut self, draw: &Draw, known: impl Iterator<Item = &'k str>, path: &Path) {
        let known: Vec<String> = known.map(str::to_owned).collect();
        let nearest = nearest(&draw.name, known.iter().map(String::as_str));
        let fault = Fault::UnknownName { what: "shared limit", name: draw.name.clone(), nearest, known };
        self.fault(&joined(path, Step::Key("shared".to_owned())), fault);
    }
}

/// Plans the limits of a shared name.
fn bundle<'a>(work: &mut Work<'a>, name: &'a str, limits: &'a [Limit], members: &[Member], path: &Path) {
    let start = work.draft.limits.len();
    work.draft.shared.insert(name, start..start + limits.len());
    for (index, limit) in limits.iter().enumerate() {
        work.draft.limits.push(Planned {
            id: format!("{}/{name}/{}", work.name, limit.name()),
            limit,
            warn_at: limit.warn_at,
            profile: work.profile.clone(),
            usable: work.account.usable,
            members: members.to_vec(),
            path: limit_path(path, index, limit),
        });
    }
}

/// Returns the models that are named, and those that rows name without a glob.
fn with_seeded<'a>(
    models: &'a BTreeMap<String, Resource>,
    rows: &'static [Seed],
) -> impl Iterator<Item = (&'a str, &'a Resource)> {
    let rows = rows
        .iter()
        .flat_map(|row| if row.pool.is_empty() { std::slice::from_ref(&row.name) } else { &row.pool });
    let seeded: BTreeSet<&'static str> =
        rows.map(String::as_str).filter(|name| !name.contains('*') && !models.contains_key(*name)).collect();
    let named = models.iter().map(|(name, resource)| (name.as_str(), resource));
    named.chain(seeded.into_iter().map(|name| (name, &NO_LIMITS)))
}

/// Adds what a row says of the model and the configuration does not.
fn seed<'a>(
    work: &mut Work<'a>,
    drafted: &Drafted<'a>,
    resource: &'a Resource,
    model: &str,
    rows: &'static [Seed],
) {
    let own = rows.iter().filter(|row| row.pool.is_empty());
    let row = own
        .clone()
        .find(|row| row.name == model)
        .or_else(|| own.clone().find(|row| glob_matches(&row.name, model)));
    let Some(row) = row.filter(|_| !resource.unlimited) else { return };
    for limit in row.limits.iter().filter(|limit| !says(work.account, resource, limit)) {
        work.draft.limits.push(Planned {
            id: format!("{}/{}", drafted.compiled.name, limit.name()),
            limit,
            warn_at: resource.warn_at,
            profile: work.profile.clone(),
            usable: work.account.usable,
            members: vec![Member { resource: drafted.compiled.name.as_str().into(), lanes: Lanes::All }],
            path: joined(&work.path, Step::Key("tier".to_owned())),
        });
    }
}

/// Adds what rows say of several models together.
fn pools(work: &mut Work<'_>, rows: &'static [Seed]) {
    for row in rows.iter().filter(|row| !row.pool.is_empty()) {
        for limit in &row.limits {
            let members: Vec<Member> = work
                .draft
                .resources
                .iter()
                .filter(|drafted| draws(work, &drafted.compiled.name, row, limit))
                .map(|drafted| Member { resource: drafted.compiled.name.as_str().into(), lanes: Lanes::All })
                .collect();
            work.draft.limits.push(Planned {
                id: format!("{}/{}/{}", work.name, row.name, limit.name()),
                limit,
                warn_at: None,
                profile: work.profile.clone(),
                usable: work.account.usable,
                members,
                path: joined(&work.path, Step::Key("tier".to_owned())),
            });
        }
    }
}

fn draws(work: &Work<'_>, name: &str, row: &Seed, limit: &Limit) -> bool {
    let model = name.strip_prefix(work.name).and_then(|rest| rest.strip_prefix('/')).unwrap_or(name);
    let said = work
        .account
        .models
        .get(model)
        .is_some_and(|resource| resource.unlimited || says(work.account, resource, limit));
    !said && row.pool.iter().any(|glob| glob_matches(glob, model))
}

/// Returns whether a resource has a limit of this metric and window, its own or a shared one.
fn says(account: &Account, resource: &Resource, seed: &Limit) -> bool {
    let same = |limit: &&Limit| limit.metric == seed.metric && limit.window == seed.window;
    let shared = resource.shared.iter().filter_map(|draw| account.shared.get(&draw.name)).flatten();
    resource.limits.iter().chain(shared).find(same).is_some()
}

fn lanes_of(draw: &Draw) -> Lanes {
    if draw.lanes.is_empty() {
        Lanes::All
    } else {
        Lanes::Only(draw.lanes.iter().map(|lane| lane.as_str().into()).collect())
    }
}

/// Returns the name by which callers acquire a model; one that has the account in front keeps it.
fn full_name(account: &str, model: &str) -> String {
    match model.strip_prefix(account).and_then(|rest| rest.strip_prefix('/')) {
        Some(_) => model.to_owned(),
        None => format!("{account}/{model}"),
    }
}
