//! What operators do to the ledgers of a store from outside: no session is opened for it.

use paceline_core::{Millis, NEVER, Name};

use crate::clock::whole_ms;
use crate::inspect::Store;
use crate::names::nearest;
use crate::store::shared::io::there;
use crate::wire::{Answer, Ask, On};
use crate::{Error, Pause, Reply};

/// What an operator's command is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// All callers of a resource.
    Resource(&'a str),
    /// All callers that draw on a limit.
    Limit(&'a str),
}

impl Store {
    /// Finds the ledger that has a resource or a limit.
    ///
    /// # Errors
    /// [`Error::UnknownResource`] and [`Error::UnknownLimit`], with the nearest name that there is.
    pub fn ledger_of(&self, target: Target<'_>) -> Result<Name, Error> {
        let mut known: Vec<Name> = Vec::new();
        for ledger in self.ledgers().wait()? {
            let Some(state) = self.look(&ledger).wait()? else { continue };
            let mut names: Vec<Name> = match target {
                Target::Resource(_) => state.resources.into_iter().map(|resource| resource.name).collect(),
                Target::Limit(_) => state.limits.into_iter().map(|limit| limit.name).collect(),
            };
            if names.iter().any(|name| **name == *target.name()) {
                return Ok(ledger);
            }
            known.append(&mut names);
        }
        let nearest = nearest(target.name(), known.iter().map(|name| &**name));
        let name = target.name().to_owned();
        Err(match target {
            Target::Resource(_) => Error::UnknownResource { name, nearest },
            Target::Limit(_) => Error::UnknownLimit { name, nearest },
        })
    }

    /// Lets all callers wait, or refuses them.
    pub fn pause(&self, ledger: &str, target: Target<'_>, pause: Pause) -> Reply<()> {
        let lasting = pause.length().map(whole_ms).filter(|lasting| *lasting != NEVER);
        self.carry_out(ledger, target, Some((lasting, pause.is_refusing())))
    }

    /// Ends a pause. Token buckets under it restart empty.
    pub fn resume(&self, ledger: &str, target: Target<'_>) -> Reply<()> {
        self.carry_out(ledger, target, None)
    }

    /// Refuses all that wait for a resource, or in one lane of it.
    pub fn purge(&self, ledger: &str, resource: &str, lane: Option<&str>) -> Reply<()> {
        let lane = lane.map(str::to_owned);
        let (store, ledger, resource) = (self.clone(), Name::from(ledger), resource.to_owned());
        there(async move {
            let purge = Ask::Purge { resource: &resource, lane: lane.as_deref() };
            let answers = store.ask(&ledger, &[purge]).await?;
            store.done(&answers)
        })
    }

    /// Pauses, or resumes where there is no pause.
    fn carry_out(
        &self,
        ledger: &str,
        target: Target<'_>,
        pause: Option<(Option<Millis>, bool)>,
    ) -> Reply<()> {
        let (store, ledger, name) = (self.clone(), Name::from(ledger), target.name().to_owned());
        let is_limit = matches!(target, Target::Limit(_));
        there(async move {
            let on = if is_limit { On::Limit(&name) } else { On::Resource(&name) };
            let ask = match pause {
                Some((lasting, refuse)) => Ask::Pause { on, lasting, refuse },
                None => Ask::Resume { on },
            };
            let answers = store.ask(&ledger, &[ask]).await?;
            store.done(&answers)
        })
    }

    fn done(&self, answers: &[Answer]) -> Result<(), Error> {
        match answers {
            [Answer::Done] => Ok(()),
            _ => Err(self.unavailable("the ledger no longer has what was named".to_owned())),
        }
    }
}

impl<'a> Target<'a> {
    fn name(self) -> &'a str {
        match self {
            Self::Resource(name) | Self::Limit(name) => name,
        }
    }
}
