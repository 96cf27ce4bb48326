//! What is to be asked of the store, and who is told what it answers.

use std::sync::Arc;

use paceline_core::{Amounts, Command, Configuration, Ledger, Millis, Name, SessionId, Target, TicketId};
use tokio::sync::oneshot;

use super::desk::Desk;
use super::plain::ForTicket;
use crate::permit::Settled;
use crate::store::State;
use crate::wire::{self, Ask, On};
use crate::{Error, Reply};

/// One command, and who is told of its outcome.
pub(super) struct Job {
    pub(super) what: What,
    pub(super) tell: Tell,
    /// Since when its caller waits for the outcome.
    pub(super) since: Millis,
}

/// A command, with names as numbers of the local ledger.
pub(super) enum What {
    Acquire(u64),
    Cancel(u64),
    Settle {
        permit: TicketId,
        usage: Option<Amounts>,
    },
    Amend {
        permit: TicketId,
        reserve: Amounts,
    },
    Transfer {
        permit: TicketId,
        to: paceline_core::SessionId,
        time_out: Millis,
    },
    /// A command that concerns no ticket.
    Order(Command),
    Record {
        slot: usize,
        lane: Option<Name>,
        used: Amounts,
    },
    Configure(Arc<Part>),
    Restore(u64),
    Spent {
        slot: usize,
        lane: Option<Name>,
        granted: Amounts,
    },
    Recovered,
    Explain {
        slot: usize,
        lane: Option<Name>,
        demand: Amounts,
    },
    View,
    Permits {
        from: TicketId,
        most: u64,
    },
    Close,
    /// Commands for tickets in sessions of their own.
    Touch {
        session: SessionId,
        time_out: Millis,
    },
    AcquireFor(Box<ForTicket>),
    CancelOf(TicketId),
    CloseOf(SessionId),
}

/// Resources of a configuration that share limits, with all that is said of them.
pub(super) struct Part {
    pub(super) configuration: Configuration,
    pub(super) revision: u64,
    pub(super) digests: Vec<(Name, String)>,
}

/// Who is told of an outcome.
pub(super) enum Tell {
    Nobody,
    Settled(oneshot::Sender<Result<Settled, Error>>),
    Done(oneshot::Sender<Result<(), Error>>),
    Raw(oneshot::Sender<Result<wire::Answer, Error>>),
    /// A ticket whose time-out passed, and which wants to know why it waited.
    TimedOut(u64),
    /// A ticket that leaves if the wait is expected to be too long.
    Expected(u64),
    /// A ticket that has waited for long.
    LongWait(u64),
}

/// What to say to somebody once the lock is open.
pub(super) enum Telling {
    Settled(oneshot::Sender<Result<Settled, Error>>, Result<Settled, Error>),
    Done(oneshot::Sender<Result<(), Error>>, Result<(), Error>),
    Raw(oneshot::Sender<Result<wire::Answer, Error>>, Result<wire::Answer, Error>),
}

impl Telling {
    /// Says it. Whoever has left does not hear it.
    pub(super) fn say(self) {
        match self {
            Self::Settled(to, told) => drop(to.send(told)),
            Self::Done(to, told) => drop(to.send(told)),
            Self::Raw(to, told) => drop(to.send(told)),
        }
    }
}

impl Tell {
    /// What to say where there is no outcome.
    pub(super) fn failed(self, error: Error) -> Option<Telling> {
        match self {
            Self::Settled(to) => Some(Telling::Settled(to, Err(error))),
            Self::Done(to) => Some(Telling::Done(to, Err(error))),
            Self::Raw(to) => Some(Telling::Raw(to, Err(error))),
            _ => None,
        }
    }

    /// Whether somebody waits for it from outside.
    pub(super) fn is_awaited(&self) -> bool {
        matches!(self, Self::Settled(_) | Self::Done(_) | Self::Raw(_))
    }
}

/// The answer that comes over a channel.
pub(super) fn reply<T: Send + Sync + 'static>(answer: oneshot::Receiver<Result<T, Error>>) -> Reply<T> {
    Reply::later(async move { answer.await.unwrap_or(Err(Error::Closed)) })
}

impl Part {
    /// Divides a configuration into its parts.
    pub(super) fn of(configuration: &Configuration, revision: u64) -> Vec<Arc<Self>> {
        let parts = wire::components(configuration).into_iter().map(|configuration| {
            let resources = configuration.resources.iter();
            let digests = resources
                .map(|resource| (Name::clone(&resource.name), wire::digest(resource, &configuration)))
                .collect();
            Arc::new(Self { configuration, revision, digests })
        });
        parts.collect()
    }

    /// Whether a part speaks of a resource of this one.
    pub(super) fn is_replaced_by(&self, other: &Self) -> bool {
        let Configuration { resources, removed, .. } = &other.configuration;
        let named = |name: &Name| resources.iter().any(|resource| resource.name == *name);
        let spoken = |name: &Name| named(name) || removed.contains(name);
        self.configuration.resources.iter().all(|resource| spoken(&resource.name))
            && self.configuration.removed.iter().all(spoken)
    }
}

impl Desk {
    /// Writes a command; false where it has become pointless.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, job: &Job, now: Millis) -> bool {
        let own = self.session.id;
        let of = |permit: TicketId| (Some(permit.session) != own).then_some(permit.session);
        match &job.what {
            What::Acquire(number) => return self.write_acquire(out, *number, now),
            What::Restore(number) => return self.write_restore(out, *number, now),
            What::Cancel(number) => put(out, &Ask::Cancel { session: None, number: *number }),
            What::Settle { permit, usage } => {
                let figures = usage.as_ref().map(|usage| self.figures(usage));
                let usage = figures.as_deref();
                put(out, &Ask::Settle { session: of(*permit), number: permit.number, usage });
            }
            What::Amend { permit, reserve } => {
                let amounts = &self.figures(reserve)[..];
                put(out, &Ask::Amend { session: of(*permit), number: permit.number, amounts });
            }
            What::Transfer { permit, to, time_out } => {
                let (session, number) = (of(*permit), permit.number);
                put(out, &Ask::Transfer { session, number, to: *to, time_out: Some(*time_out) });
            }
            What::Order(command) => return self.write_order(out, command, now),
            What::Record { slot, lane, used } => {
                let amounts = &self.figures(used)[..];
                put(out, &Ask::Record { resource: &self.name_of(*slot), lane: lane.as_deref(), amounts });
            }
            What::Spent { slot, lane, granted } => {
                let amounts = &self.figures(granted)[..];
                put(out, &Ask::Spent { resource: &self.name_of(*slot), lane: lane.as_deref(), amounts });
            }
            What::Explain { slot, lane, demand } => {
                let amounts = &self.figures(demand)[..];
                put(out, &Ask::Explain { resource: &self.name_of(*slot), lane: lane.as_deref(), amounts });
            }
            What::Configure(part) => {
                let Configuration { limits, resources, removed } = &part.configuration;
                let (revision, digests) = (Some(part.revision), &part.digests[..]);
                put(out, &Ask::Configure { limits, resources, removed, revision, digests });
            }
            What::Recovered => put(out, &Ask::Recovered),
            What::View => put(out, &Ask::View),
            What::Permits { from, most } => {
                let session = (from.session != SessionId::default()).then_some(from.session);
                put(out, &Ask::Permits { session, number: from.number, most: *most });
            }
            What::Close => put(out, &Ask::Close { session: None }),
            What::Touch { session, time_out } => {
                let (time_out, inbox) = (Some(*time_out), Some(&*self.channel));
                put(out, &Ask::Touch { session: *session, time_out, inbox });
            }
            What::AcquireFor(command) => self.write_acquire_for(out, command),
            What::CancelOf(ticket) => {
                put(out, &Ask::Cancel { session: Some(ticket.session), number: ticket.number });
            }
            What::CloseOf(session) => put(out, &Ask::Close { session: Some(*session) }),
        }
        true
    }

    fn write_acquire(&self, out: &mut Vec<u8>, number: u64, now: Millis) -> bool {
        let waiting = self.tickets.get(&number).zip(self.book.line.waiter(number));
        let Some((ticket, waiter)) = waiting.filter(|(ticket, _)| ticket.is_here()) else { return false };
        let within = match waiter.deadline {
            paceline_core::NEVER => paceline_core::NEVER,
            deadline => deadline.saturating_sub(now),
        };
        put(
            out,
            &Ask::Acquire {
                session: None,
                number,
                resource: &self.name_of(waiter.slot),
                lane: waiter.lane.as_deref(),
                amounts: &self.figures(&waiter.demand),
                within,
                head_start: ticket.head_start,
                wait: ticket.wait,
                why: true,
            },
        );
        true
    }

    fn write_acquire_for(&self, out: &mut Vec<u8>, command: &ForTicket) {
        let resource = command.slot.map_or_else(|| Name::from(""), |slot| self.name_of(slot));
        put(
            out,
            &Ask::Acquire {
                session: Some(command.ticket.session),
                number: command.ticket.number,
                resource: &resource,
                lane: command.lane.as_deref(),
                amounts: &self.figures(&command.demand),
                within: command.within,
                head_start: command.head_start,
                wait: command.wait,
                why: true,
            },
        );
    }

    fn write_restore(&self, out: &mut Vec<u8>, number: u64, now: Millis) -> bool {
        let Some(held) = self.permits.get(&number) else { return false };
        put(
            out,
            &Ask::Restore {
                number,
                resource: &self.name_of(held.slot),
                lane: held.lane.as_deref(),
                reserved: &self.figures(&held.reserved),
                extra: &self.figures(&held.extra),
                age: now.saturating_sub(held.since),
            },
        );
        true
    }

    fn write_order(&mut self, out: &mut Vec<u8>, command: &Command, now: Millis) -> bool {
        let State { slots, seats, ledger, .. } = &mut self.book;
        let resource = |id| slots.get(&id).and_then(|slot| seats.get(*slot)).map(|seat| &*seat.name);
        let limit = |ledger: &mut Ledger, id| {
            let limits = ledger.snapshot(now).limits;
            limits.into_iter().find(|limit| limit.id == id).map(|limit| limit.name)
        };
        match command {
            Command::Purge { resource: id, lane } => {
                let Some(resource) = resource(*id) else { return false };
                put(out, &Ask::Purge { resource, lane: lane.as_deref() });
            }
            Command::Record { resource: id, lane, usage } => {
                let Some(resource) = resource(*id) else { return false };
                let amounts = &figures(ledger, usage)[..];
                put(out, &Ask::Record { resource, lane: lane.as_deref(), amounts });
            }
            Command::Observe { limit: id, remaining, amount } => {
                let Some(limit) = limit(ledger, *id) else { return false };
                put(out, &Ask::Observe { limit: &limit, remaining: *remaining, amount: *amount });
            }
            Command::Pause { target, .. } | Command::Resume { target } => {
                let named;
                let on = match target {
                    Target::Resource(id) => resource(*id).map(On::Resource),
                    Target::Limit(id) => {
                        named = limit(ledger, *id);
                        named.as_deref().map(On::Limit)
                    }
                };
                let Some(on) = on else { return false };
                match command {
                    Command::Pause { lasting, refuse, .. } => {
                        put(out, &Ask::Pause { on, lasting: *lasting, refuse: *refuse });
                    }
                    _ => put(out, &Ask::Resume { on }),
                }
            }
            _ => return false,
        }
        true
    }

    /// Returns amounts with the names of their metrics.
    fn figures(&self, amounts: &Amounts) -> Vec<(&str, u64)> {
        figures(&self.book.ledger, amounts)
    }

    pub(super) fn name_of(&self, slot: usize) -> Name {
        self.book.name_of(slot)
    }
}

fn figures<'a>(ledger: &'a Ledger, amounts: &Amounts) -> Vec<(&'a str, u64)> {
    amounts.iter().map(|(metric, amount)| (ledger.metric_name(metric), amount)).collect()
}

fn put(out: &mut Vec<u8>, ask: &Ask<'_>) {
    wire::write_ask(out, ask);
}
