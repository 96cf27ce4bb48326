//! Tickets in sessions of their own: what is asked for them in the batches of this process, and who polls them here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use paceline_core::{Amounts, Millis, NEVER, Name, SessionId, TicketId};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::account::{Life, Shared};
use super::desk::{After, Desk};
use super::job::{Tell, What};
use super::poll::{Poll, Told, Waited};
use crate::clock::whole_ms;
use crate::events::Event;
use crate::permit::Settled;
use crate::plain::{Plain, PlainAsk, PlainEnd, is_plain};
use crate::store::Asking;
use crate::store::line::Waiter;
use crate::wire::{Answer, Decided, Push};
use crate::{Demand, Error, Reply, Shortage, Usage};

/// How many of them are remembered at least.
const KEPT: usize = 65_536;

/// What this process knows of such tickets.
#[derive(Default)]
pub(super) struct Plains {
    polls: BTreeMap<SessionId, oneshot::Sender<Told>>,
    /// What was asked, so that a settlement need not look it up: those asked of late, and those before them.
    young: BTreeMap<SessionId, Asked>,
    old: BTreeMap<SessionId, Asked>,
    /// When a batch must follow, because one of them is at the head of the line.
    pub(super) due: Option<Millis>,
}

/// What was asked for a ticket.
#[derive(Clone, Copy)]
struct Asked {
    slot: usize,
    since: Millis,
    /// Whether the grant was told.
    told: bool,
}

/// A command for such a ticket.
pub(super) struct ForTicket {
    pub(super) ticket: TicketId,
    pub(super) slot: Option<usize>,
    pub(super) lane: Option<Name>,
    pub(super) demand: Amounts,
    pub(super) within: Millis,
    pub(super) head_start: Millis,
    pub(super) wait: bool,
}

impl Plains {
    /// Whether somebody polls here.
    pub(super) fn is_polled(&self) -> bool {
        !self.polls.is_empty()
    }

    /// Everybody asks anew: the ledger forgot them.
    pub(super) fn forget_polls(&mut self) {
        self.polls.clear();
        self.due = None;
    }

    /// Removes a poll that is over.
    pub(super) fn leave(&mut self, session: SessionId) {
        if self.polls.get(&session).is_some_and(oneshot::Sender::is_closed) {
            self.polls.remove(&session);
        }
    }

    fn remember(&mut self, session: SessionId, slot: usize, since: Millis) {
        let asked = self.asked(session).unwrap_or(Asked { slot, since, told: false });
        if self.young.len() >= KEPT {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(session, asked);
    }

    fn asked(&self, session: SessionId) -> Option<Asked> {
        self.young.get(&session).or_else(|| self.old.get(&session)).copied()
    }

    /// Returns what was asked when the grant is told for the first time.
    fn first_told(&mut self, session: SessionId) -> Option<Asked> {
        let asked = self.young.get_mut(&session).or_else(|| self.old.get_mut(&session))?;
        (!std::mem::replace(&mut asked.told, true)).then_some(*asked)
    }

    /// How long ago it was asked for, where that was here.
    pub(super) fn waited(&self, session: SessionId, now: Millis) -> Millis {
        self.asked(session).map_or(0, |asked| now.saturating_sub(asked.since))
    }

    fn forget(&mut self, session: SessionId) {
        self.polls.remove(&session);
        if self.young.remove(&session).is_none() {
            self.old.remove(&session);
        }
    }
}

impl Desk {
    /// Takes over a push that is not for this process's own session. It may be for a ticket that is polled here.
    pub(super) fn push_of_ticket(&mut self, push: Push, now: Millis, after: &mut After) {
        if !is_plain(push.session) {
            return;
        }
        if let Some(due) = push.due.filter(|due| *due != NEVER) {
            let at = now.saturating_add(due);
            self.plains.due = Some(self.plains.due.map_or(at, |known| known.min(at)));
            if due == 0 {
                self.ring(after);
            }
        }
        for entry in push.outbox {
            let told = match entry.decided {
                Decided::Granted { waited, .. } => Told::Granted(waited),
                Decided::Refused { refusal, .. } => Told::Refused(refusal),
                _ => continue,
            };
            if let Some(poll) = self.plains.polls.remove(&push.session) {
                // Whoever has left polls again.
                drop(poll.send(told));
            }
        }
    }

    pub(super) fn touch(&mut self, ticket: TicketId, time_out: Millis, now: Millis, after: &mut After) {
        let what = What::Touch { session: ticket.session, time_out };
        self.push(what, Tell::Nobody, now, after);
    }

    fn end_session(&mut self, ticket: TicketId, now: Millis, after: &mut After) {
        self.plains.forget(ticket.session);
        self.push(What::CloseOf(ticket.session), Tell::Nobody, now, after);
    }
}

impl Shared {
    /// Asks for a ticket in its own session, and waits for the decision for as long as is asked.
    pub(crate) async fn plain(
        &self,
        asking: &Asking<'_>,
        ticket: TicketId,
        ask: &PlainAsk,
    ) -> Result<Plain, Error> {
        let life = self.here();
        let end = Instant::now() + ask.poll;
        loop {
            let (mut poll, tell) = Poll::new(&life, ticket);
            let (waiter, answer) = life.ask_for(asking, ticket, whole_ms(ask.lease), tell)?;
            let answer = answer.await.unwrap_or(Err(Error::Closed))?;
            let ahead = match answer {
                Answer::Granted => {
                    poll.end();
                    return Ok(life.granted(ticket, None, 0));
                }
                Answer::Queued { ahead } => ahead,
                Answer::Refused(refusal, told) => {
                    return Err(life.with(|desk, now, after| {
                        desk.end_session(ticket, now, after);
                        desk.book.refusal(now, &waiter, refusal, told.as_deref())
                    }));
                }
                _ => return Err(Error::PermitOver(self.about.id_of(ticket))),
            };
            life.queued(ticket, ahead, whole_ms(ask.patience));
            let expected = self.expected(&life, ticket, &waiter, asking.request.max_expected_wait).await?;
            let left = end.saturating_duration_since(Instant::now());
            let most = ask.timeout.map_or(left, |timeout| left.min(timeout));
            match poll.wait(most, ask.patience).await {
                Waited::Told(told) => return self.decided(&life, ticket, told, Some(&waiter), ask),
                // Asked anew, under the same id.
                Waited::Lost if Instant::now() < end => continue,
                Waited::Left => {
                    return Ok(Plain::Waiting { ticket: self.about.id_of(ticket), ahead, expected });
                }
                Waited::Waits | Waited::Lost => {}
            }
            if ask.timeout.is_some_and(|timeout| timeout <= left) {
                return self.timed_out(&life, ticket).await;
            }
            return Ok(Plain::Waiting { ticket: self.about.id_of(ticket), ahead, expected });
        }
    }

    /// Asks how a ticket stands that was asked for before, here or elsewhere.
    pub(crate) async fn plain_poll(&self, ticket: TicketId, ask: &PlainAsk) -> Result<Plain, Error> {
        let life = self.here();
        let (mut poll, tell) = Poll::new(&life, ticket);
        life.with(|desk, _, _| desk.plains.polls.insert(ticket.session, tell));
        let (mut stands, mut waited) = (life.look_at(ticket).await?, 0);
        if matches!(stands, Answer::Queued { .. }) {
            // Its pushes come here from the touch on. What was granted before that was pushed elsewhere.
            life.with(|desk, now, after| desk.touch(ticket, whole_ms(ask.patience), now, after));
            stands = life.look_at(ticket).await?;
            waited = life.with(|desk, now, _| desk.plains.waited(ticket.session, now));
        }
        let ahead = match stands {
            Answer::Granted => return Ok(life.granted(ticket, Some(whole_ms(ask.lease)), waited)),
            Answer::Queued { ahead } => ahead,
            _ => return Err(Error::PermitOver(self.about.id_of(ticket))),
        };
        let most = ask.timeout.map_or(ask.poll, |timeout| timeout.min(ask.poll));
        match poll.wait(most, ask.patience).await {
            Waited::Told(told) => self.decided(&life, ticket, told, None, ask),
            Waited::Waits if ask.timeout.is_some_and(|timeout| timeout <= ask.poll) => {
                self.timed_out(&life, ticket).await
            }
            // A loss is heard of at the next poll.
            Waited::Waits | Waited::Lost | Waited::Left => {
                Ok(Plain::Waiting { ticket: self.about.id_of(ticket), ahead, expected: None })
            }
        }
    }

    pub(crate) fn end_polls(&self) {
        self.here().end_polls();
    }

    pub(crate) async fn plain_end(&self, ticket: TicketId, end: PlainEnd) -> Result<Settled, Error> {
        let (life, own) = (self.here(), is_plain(ticket.session));
        if let PlainEnd::Settle(usage) = &end
            && let Some((used, settled)) = life.settle_and_close(ticket, usage)
        {
            return used.and(settled.await);
        }
        let asked = life.with(|desk, _, _| desk.plains.asked(ticket.session));
        let settled = match (end, asked) {
            (PlainEnd::GiveBack, _) => self.cancel(&life, ticket).await,
            (PlainEnd::Settle(usage), Some(asked)) => {
                let used = life.with(|desk, _, _| desk.book.charge(asked.slot, &usage));
                let settled = life.settle(ticket, Some(used.clone().unwrap_or_default())).await;
                used.and(settled)
            }
            (PlainEnd::Settle(usage), None) => self.settle(ticket, &usage).await,
        };
        if own && settled.is_ok() {
            life.with(|desk, now, after| desk.end_session(ticket, now, after));
        }
        settled
    }

    /// Gives a permit back, or a place in line up.
    async fn cancel(&self, life: &Arc<Life>, ticket: TicketId) -> Result<Settled, Error> {
        match life.raw(What::CancelOf(ticket)).await? {
            Answer::Settled { returned, charged } => {
                Ok(life.with(|desk, _, _| desk.settled(&returned, &charged)))
            }
            Answer::Cancelled => Ok(Settled::default()),
            _ => Err(Error::PermitOver(self.about.id_of(ticket))),
        }
    }

    pub(crate) async fn plain_renew(&self, ticket: TicketId, lease: Millis) -> Result<(), Error> {
        if !is_plain(ticket.session) {
            return self.renew(ticket, lease).await;
        }
        let life = self.here();
        match life.look_at(ticket).await? {
            Answer::Granted => {
                life.with(|desk, now, after| desk.touch(ticket, lease, now, after));
                Ok(())
            }
            _ => Err(Error::PermitOver(self.about.id_of(ticket))),
        }
    }

    pub(crate) async fn plain_amend(&self, ticket: TicketId, demand: &Demand) -> Result<Settled, Error> {
        let life = self.here();
        let over = || Error::PermitOver(self.about.id_of(ticket));
        let asked = life.with(|desk, _, _| desk.plains.asked(ticket.session));
        let slot = match asked {
            Some(asked) => Some(asked.slot),
            None => match life.raw(What::Permits { from: ticket, most: 1 }).await? {
                Answer::Permitted(rows, _) => rows.into_iter().find(|row| row.id == ticket).and_then(|row| {
                    life.with(|desk, _, _| desk.book.seats.iter().position(|seat| seat.name == row.resource))
                }),
                _ => None,
            },
        };
        let slot = slot.ok_or_else(over)?;
        let reserve = life.with(|desk, _, _| {
            let crate::store::State { seats, ledger, .. } = &mut desk.book;
            seats.get(slot).ok_or(Error::Closed).and_then(|seat| demand.amendment(seat, ledger))
        })?;
        life.amend(ticket, reserve).await
    }

    /// What a decision means to the caller.
    fn decided(
        &self,
        life: &Arc<Life>,
        ticket: TicketId,
        told: Told,
        waiter: Option<&Waiter>,
        ask: &PlainAsk,
    ) -> Result<Plain, Error> {
        match told {
            Told::Leave => Err(Error::PermitOver(self.about.id_of(ticket))),
            Told::Granted(waited) => Ok(life.granted(ticket, Some(whole_ms(ask.lease)), waited)),
            Told::Refused(refusal) => Err(life.with(|desk, now, after| {
                desk.end_session(ticket, now, after);
                match waiter {
                    Some(waiter) => desk.book.refusal(now, waiter, refusal, None),
                    None => Error::PermitOver(self.about.id_of(ticket)),
                }
            })),
        }
    }

    /// Leaves the line because its time is up, unless the grant was quicker.
    async fn timed_out(&self, life: &Arc<Life>, ticket: TicketId) -> Result<Plain, Error> {
        let asked = life.with(|desk, _, _| desk.plains.asked(ticket.session));
        drop(self.cancel(life, ticket).await);
        let shortage = life.with(|desk, now, after| {
            desk.end_session(ticket, now, after);
            let resource = asked
                .as_ref()
                .map_or_else(|| Name::clone(&self.about.name), |asked| desk.book.name_of(asked.slot));
            let waited = asked.map_or(0, |asked| now.saturating_sub(asked.since));
            Shortage {
                resource,
                limit: None,
                wanted: 0,
                left: 0,
                ahead: 0,
                head_waited: None,
                waited: Duration::from_millis(waited),
                retry_after: Duration::from_secs(1),
            }
        });
        Err(Error::AcquireTimeout(Box::new(shortage)))
    }

    /// Refuses a wait that is expected to be longer than its caller accepts.
    async fn expected(
        &self,
        life: &Arc<Life>,
        ticket: TicketId,
        waiter: &Waiter,
        most: Millis,
    ) -> Result<Option<Duration>, Error> {
        if most == NEVER {
            return Ok(None);
        }
        let place = (waiter.slot, waiter.lane.clone(), waiter.demand.clone());
        let explain = What::Explain { slot: place.0, lane: place.1.clone(), demand: place.2.clone() };
        let (explained, viewed) = (life.raw(explain), life.raw(What::View));
        let told = match explained.await? {
            Answer::Explained(told) => Some(told),
            _ => None,
        };
        let Answer::Viewed(view) = viewed.await? else { return Ok(None) };
        let expected = life.with(|desk, now, _| desk.expected_wait(view, &place, true, now));
        let Some(expected) = expected else { return Ok(None) };
        if expected <= most {
            return Ok(Some(Duration::from_millis(expected)));
        }
        drop(self.cancel(life, ticket).await);
        let shortage = life.with(|desk, now, after| {
            desk.end_session(ticket, now, after);
            let mut shortage = desk.book.short(now, waiter, told.as_deref(), None, None, NEVER);
            shortage.ahead = shortage.ahead.saturating_sub(1);
            shortage.retry_after = Duration::from_millis(expected - most);
            shortage
        });
        let (expected, most) = (Duration::from_millis(expected), Duration::from_millis(most));
        Err(Error::ExpectedWait { expected, most, shortage: Box::new(shortage) })
    }
}

/// Whether what was used could be read, and what the settlement moves.
type Settling = (Result<Settled, Error>, Reply<Settled>);

/// A ticket's waiter, and where the store's answer comes.
type AskedFor = (Waiter, oneshot::Receiver<Result<Answer, Error>>);

impl Life {
    /// Opens a ticket's session, and asks in it.
    fn ask_for(
        &self,
        asking: &Asking<'_>,
        ticket: TicketId,
        lease: Millis,
        poll: oneshot::Sender<Told>,
    ) -> Result<AskedFor, Error> {
        self.with(|desk, now, after| {
            let waiter = desk.book.waiter(asking, now)?;
            let request = asking.request;
            desk.plains.polls.insert(ticket.session, poll);
            desk.touch(ticket, lease, now, after);
            let command = ForTicket {
                ticket,
                slot: Some(waiter.slot),
                lane: waiter.lane.clone(),
                demand: waiter.demand.clone(),
                within: request.timeout,
                head_start: request.head_start,
                wait: !request.at_once,
            };
            desk.plains.remember(ticket.session, waiter.slot, now);
            let (tell, answer) = oneshot::channel();
            desk.push(What::AcquireFor(Box::new(command)), Tell::Raw(tell), now, after);
            Ok((waiter, answer))
        })
    }

    /// Settles a permit whose grant was told here, and closes its session with it; nothing where that was elsewhere.
    fn settle_and_close(&self, permit: TicketId, usage: &Usage) -> Option<Settling> {
        self.with(|desk, now, after| {
            let asked = desk.plains.asked(permit.session).filter(|asked| asked.told)?;
            let used = desk.book.charge(asked.slot, usage);
            let (tell, answer) = oneshot::channel();
            let usage = Some(used.clone().unwrap_or_default());
            desk.push(What::Settle { permit, usage }, Tell::Settled(tell), now, after);
            desk.end_session(permit, now, after);
            Some((used.map(|_| Settled::default()), super::job::reply(answer)))
        })
    }

    /// Tells everybody who polls here that the poll is over.
    pub(super) fn end_polls(&self) {
        self.with(|desk, _, _| {
            for (_, poll) in std::mem::take(&mut desk.plains.polls) {
                drop(poll.send(Told::Leave));
            }
        });
    }

    /// Asks for a ticket that is known already: nothing but how it stands.
    pub(super) async fn look_at(&self, ticket: TicketId) -> Result<Answer, Error> {
        let command = ForTicket {
            ticket,
            slot: None,
            lane: None,
            demand: Amounts::new(),
            within: NEVER,
            head_start: 0,
            wait: false,
        };
        self.raw(What::AcquireFor(Box::new(command))).await
    }

    fn amend(&self, permit: TicketId, reserve: Amounts) -> Reply<Settled> {
        let (tell, answer) = oneshot::channel();
        self.with(|desk, now, after| {
            desk.push(What::Amend { permit, reserve }, Tell::Settled(tell), now, after);
        });
        super::job::reply(answer)
    }

    fn granted(&self, ticket: TicketId, lease: Option<Millis>, waited: Millis) -> Plain {
        let about = &self.about;
        let permit = about.id_of(ticket);
        let waited = Duration::from_millis(waited);
        let news_of = self.with(|desk, now, after| {
            desk.plains.leave(ticket.session);
            if let Some(lease) = lease {
                desk.touch(ticket, lease, now, after);
            }
            let asked = desk.plains.first_told(ticket.session)?;
            let resource = desk.book.name_of(asked.slot);
            about.hub.tell(&mut after.wakers, || {
                let resource = Name::clone(&resource);
                Event::Granted { permit: permit.clone(), resource, waited }
            });
            Some(resource)
        });
        Plain::Granted { permit, waited, news_of }
    }

    fn queued(&self, ticket: TicketId, ahead: u64, patience: Millis) {
        let about = &self.about;
        self.with(|desk, now, after| {
            desk.touch(ticket, patience, now, after);
            let Some(asked) = desk.plains.asked(ticket.session) else { return };
            let (permit, resource) = (about.id_of(ticket), desk.book.name_of(asked.slot));
            about.hub.tell(&mut after.wakers, || Event::Queued { permit, resource, ahead });
        });
    }
}
