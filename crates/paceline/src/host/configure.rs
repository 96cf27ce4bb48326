//! Configurations of several processes: which of two that differ is in force, and who is told.

use std::collections::BTreeSet;

use paceline_core::{Algorithm, Boundaries, Command, Configuration, LimitSpec, Name, Outcome, SessionId};

use super::book::{Book, Told};
use crate::wire::Out;

/// What is in force for a resource.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct InForce {
    /// What tells its content apart.
    pub(super) digest: Name,
    pub(super) revision: u64,
    /// Content that was in force before.
    pub(super) replaced: BTreeSet<Name>,
}

impl Book {
    /// Takes over a configuration where it wins over what is in force, and writes the outcome.
    pub(super) fn configure(
        &mut self,
        configuration: &Configuration,
        revision: u64,
        digests: &[(Name, Name)],
        caller: Option<SessionId>,
        told: &mut Vec<Told>,
        out: &mut Out<'_>,
    ) {
        if let Some(seat) = caller.and_then(|caller| self.seats.get_mut(&caller)) {
            seat.contents.extend(digests.iter().cloned());
        }
        let (mut differs, mut wins) = (Vec::new(), true);
        for (resource, digest) in digests {
            match self.in_force.get(resource) {
                Some(in_force) if in_force.digest == *digest => {
                    if revision > in_force.revision
                        && let Some(in_force) = self.in_force.get_mut(resource)
                    {
                        in_force.revision = revision;
                        self.marks.is_outline_new = true;
                    }
                }
                Some(in_force) => {
                    wins = wins && self.wins(resource, in_force, digest, revision);
                    differs.push((resource, digest));
                }
                None => differs.push((resource, digest)),
            }
        }
        differs.sort_unstable();
        if differs.is_empty() && configuration.removed.is_empty() && !self.has_later_boundaries(configuration)
        {
            self.ledger.walk_on();
            return configured(out, true, &[]);
        }
        if !wins {
            let others = differs.iter().map(|(resource, _)| *resource);
            let others: Vec<&Name> =
                others.filter(|resource| self.in_force.contains_key(*resource)).collect();
            self.ledger.walk_on();
            return configured(out, false, &others);
        }
        let outcome = self.ledger.carry_out_next(Command::configure(configuration.clone()));
        if outcome != Outcome::Done {
            return out.outcome(&outcome, None, &self.ledger);
        }
        self.configured();
        for (resource, digest) in differs {
            let in_force = self.in_force.entry(Name::clone(resource)).or_default();
            if !in_force.digest.is_empty() {
                in_force.replaced.insert(Name::clone(&in_force.digest));
                in_force.replaced.remove(digest);
                told.push(Told::Differs(Name::clone(resource), Name::clone(digest)));
            }
            (in_force.digest, in_force.revision) = (Name::clone(digest), revision);
        }
        for resource in &configuration.removed {
            self.in_force.remove(resource);
        }
        configured(out, true, &[]);
    }

    /// The higher revision wins; among equals the one opened last, unless its content was replaced and a session with
    /// the winning content lives.
    fn wins(&self, resource: &Name, in_force: &InForce, digest: &Name, revision: u64) -> bool {
        if revision != in_force.revision {
            return revision > in_force.revision;
        }
        let has_it = |seat: &super::seat::Seat| seat.contents.get(resource) == Some(&in_force.digest);
        !in_force.replaced.contains(digest)
            || !self.seats.iter().any(|(id, seat)| has_it(seat) && self.ledger.session_is_timed(*id))
    }

    /// Whether listed boundaries reach further than those in force: a list is told anew every now and then.
    fn has_later_boundaries(&self, configuration: &Configuration) -> bool {
        configuration.limits.iter().any(|limit| {
            let said = self.ledger.limit_spec(&limit.id).and_then(last_boundary);
            said.zip(last_boundary(limit)).is_some_and(|(said, told)| said < told)
        })
    }
}

fn last_boundary(limit: &LimitSpec) -> Option<u64> {
    match &limit.algorithm {
        Algorithm::FixedWindow { boundaries: Boundaries::At(instants), .. } => instants.last().copied(),
        _ => None,
    }
}

fn configured(out: &mut Out<'_>, applied: bool, others: &[&Name]) {
    out.array(3);
    out.text("configured");
    out.flag(applied);
    out.array(others.len());
    for name in others {
        out.text(name);
    }
}
