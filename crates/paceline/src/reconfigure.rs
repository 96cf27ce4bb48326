//! How a configuration comes into force: in all its ledgers, or in none.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use paceline_core::{Command, Ledger, LimitSpec, Member, Name, Outcome};

use crate::Error;
use crate::config::{Compiled, CompiledLedger};
use crate::events::Event;
use crate::limiter::Shared;
use crate::mode::Mode;
use crate::names::{Directory, Place};
use crate::sync::{Wakers, lock};

impl Shared {
    pub(crate) fn configure(&self, compiled: &Compiled) -> Result<(), Error> {
        self.store.check_process()?;
        compiled.ledgers.iter().try_for_each(rehearse)?;
        let mut directory = lock(&self.directory);
        let mut next = Directory::new(compiled.unknown.clone());
        self.near.restart();
        for told in &compiled.ledgers {
            let named: BTreeSet<&str> =
                told.resources.iter().map(|resource| resource.name.as_str()).collect();
            let removed = directory.of_account(&told.name).filter(|name| !named.contains(&***name));
            self.tell(told, removed.cloned().collect(), &mut next)?;
        }
        for account in directory.accounts() {
            if !compiled.ledgers.iter().any(|told| *told.name == *account) {
                let removed = directory.of_account(&account).cloned().collect();
                self.tell(&empty(&account), removed, &mut next)?;
            }
        }
        *directory = next;
        self.generation.fetch_add(1, Ordering::Release);
        drop(directory);
        let mut wakers = Wakers::default();
        self.store.hub.tell(&mut wakers, || Event::Configured);
        wakers.release();
        Ok(())
    }

    /// Gives a resource that no configuration names the limits that such resources get, in a ledger of its own.
    pub(crate) fn add_default(
        &self,
        directory: &mut Directory,
        template: &CompiledLedger,
        name: &str,
    ) -> Result<(), Error> {
        let told = filled_in(template, name);
        rehearse(&told)?;
        self.tell(&told, Vec::new(), directory)
    }

    fn tell(
        &self,
        told: &CompiledLedger,
        removed: Vec<Name>,
        directory: &mut Directory,
    ) -> Result<(), Error> {
        let mut configuration = told.configuration.clone();
        configuration.removed.extend(removed);
        if self.store.options.mode == Mode::Shadow {
            configuration.limits.iter_mut().for_each(|limit| limit.shadow = true);
        }
        self.near.watch(&told.warn_at);
        let account = self.store.account(&told.name);
        let slots = account.configure(configuration, told.revision, &told.resources)?;
        for (resource, slot) in told.resources.iter().zip(slots) {
            let place = Place { account: Name::clone(account.name()), slot };
            directory.add(resource.name.as_str().into(), place, &resource.aliases);
        }
        Ok(())
    }
}

/// Tries a configuration on a ledger of no consequence.
fn rehearse(told: &CompiledLedger) -> Result<(), Error> {
    match Ledger::new().apply(0, Command::configure(told.configuration.clone())) {
        Outcome::Invalid(error) => Err(Error::Spec(error)),
        _ => Ok(()),
    }
}

fn empty(account: &str) -> CompiledLedger {
    CompiledLedger {
        name: account.to_owned(),
        revision: 0,
        configuration: paceline_core::Configuration::default(),
        resources: Vec::new(),
        warn_at: Vec::new(),
    }
}

/// Puts a name where a template says `{name}`.
fn filled_in(template: &CompiledLedger, name: &str) -> CompiledLedger {
    let fill = |text: &str| text.replace("{name}", name);
    let fill_name = |text: &Name| -> Name { fill(text).into() };
    let mut told = template.clone();
    told.name = if template.name.contains("{name}") { fill(&template.name) } else { name.to_owned() };
    for LimitSpec { id, members, .. } in &mut told.configuration.limits {
        *id = fill_name(id);
        for Member { resource, .. } in members {
            *resource = fill_name(resource);
        }
    }
    for (limit, _) in &mut told.warn_at {
        *limit = fill_name(limit);
    }
    for resource in &mut told.configuration.resources {
        resource.name = fill_name(&resource.name);
    }
    for resource in &mut told.resources {
        resource.name = fill(&resource.name);
        resource.profile = Arc::clone(&resource.profile);
    }
    told
}
