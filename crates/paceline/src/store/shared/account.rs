//! An account of a shared store, as callers use it.

use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::{Poll, Waker};

use paceline_core::{Amounts, Command, Configuration, Ledger, Millis, NEVER, Name, Outcome};
use tokio::sync::{Notify, oneshot};

use super::desk::{After, Desk, Stage, Ticket};
use super::job::{Part, Tell, What, reply};
use super::link::Link;
use super::task;
use crate::clock::Clock;
use crate::config::CompiledResource;
use crate::driver::Alarm;
use crate::events::{Event, Hub};
use crate::fork::Guard;
use crate::outage::Sharing;
use crate::permit::{GrantedVia, Settled};
use crate::store::lease::Leases;
use crate::store::line::End;
use crate::store::{Answer, Asking, Grant, Options, State};
use crate::sync::lock;
use crate::{Demand, Error, PermitId, Reply, Usage};

/// An account of a shared store.
pub(crate) struct Shared {
    pub(super) about: Arc<About>,
    first: Arc<Life>,
}

/// What every process knows of it.
pub(super) struct About {
    pub(super) name: Name,
    pub(super) clock: Clock,
    pub(super) lease: Millis,
    /// What its user calls this process.
    pub(super) name_of_process: Option<String>,
    pub(super) sharing: Sharing,
    pub(super) link: Arc<dyn Link>,
    pub(super) hub: Arc<Hub>,
    /// All configurations, so that a forked child gives resources the same seats.
    configured: Mutex<Vec<(Configuration, u64, Vec<CompiledResource>)>>,
}

/// The account in one process: a forked child has its own, and nothing of its parent's.
pub(super) struct Life {
    pub(super) about: Arc<About>,
    pub(super) desk: Mutex<Desk>,
    pub(super) bell: Notify,
    pub(super) alarm: Alarm,
    pub(super) this: Weak<Self>,
    pub(super) inbox: String,
    guard: Guard,
    next: OnceLock<Arc<Life>>,
}

impl Shared {
    pub(crate) fn open(name: Name, options: &Options, link: Arc<dyn Link>, hub: Arc<Hub>) -> Arc<Self> {
        let about = Arc::new(About {
            name,
            clock: options.clock.clone(),
            lease: options.lease,
            name_of_process: options.sharing.name.clone(),
            sharing: options.sharing.clone(),
            link,
            hub,
            configured: Mutex::default(),
        });
        Arc::new(Self { first: Life::new(&about), about })
    }

    pub(crate) fn name(&self) -> &Name {
        &self.about.name
    }

    pub(super) fn life(&self, now: Millis) -> &Arc<Life> {
        let mut life = &self.first;
        while life.guard.check(now).is_err() {
            life = life.next.get_or_init(|| Life::child(&self.about));
        }
        life
    }

    /// Works on the desk, then delivers what came of it.
    pub(super) fn step<T>(&self, work: impl FnOnce(&mut Desk, Millis, &mut After) -> T) -> T {
        let now = self.about.clock.now_ms();
        self.life(now).step(now, work)
    }

    pub(crate) fn ask(&self, asking: &Asking<'_>) -> Result<Answer, Error> {
        self.step(|desk, now, after| {
            let request = asking.request;
            let waiter = desk.book.waiter(asking, now)?;
            let number = desk.book.next_number();
            desk.book.line.join(number, waiter);
            let answer_by = now.saturating_add(asking.outage.store_timeout);
            desk.unanswered.insert((answer_by, number));
            let ticket = Ticket {
                stage: Stage::Here,
                head_start: request.head_start,
                wait: !request.at_once,
                most_expected: request.max_expected_wait,
                outage: asking.outage,
                answer_by,
                local: false,
                ahead: 0,
                told: None,
            };
            desk.tickets.insert(number, ticket);
            desk.push(What::Acquire(number), Tell::Nobody, now, after);
            if desk.down.as_ref().is_some_and(|down| down.fatal) {
                self.about.unreachable(desk, number, now, after);
            }
            Ok(Answer::Queued(number))
        })
    }

    pub(crate) fn answer(&self, number: u64, waker: Waker) -> Poll<Result<Grant, Error>> {
        self.step(|desk, _, after| {
            let taken = desk.book.line.take(number, waker, &mut after.wakers);
            let Some((_, end)) = taken else { return desk.pending(number) };
            Poll::Ready(match end {
                End::Granted { waited, at } => Ok(desk.grant(number, waited, at)),
                End::Failed(error) => Err(*error),
                _ => Err(Error::Closed),
            })
        })
    }

    /// Leaves the line without a trace; a grant that crossed is given back in full.
    pub(crate) fn abandon(&self, number: u64) {
        self.step(|desk, now, after| {
            if desk.book.line.leave(number, &mut after.wakers) {
                Self::leave(desk, number, now, after);
                let permit = self.about.id_of(desk.ticket_id(number));
                self.about.hub.tell(&mut after.wakers, || Event::Cancelled { permit });
            }
        });
    }

    /// Lets go of a ticket, or of the permit that it became and nobody took.
    fn leave(desk: &mut Desk, number: u64, now: Millis, after: &mut After) {
        if desk.tickets.contains_key(&number) {
            desk.leave_local(number, now);
            desk.let_go(number);
            if !desk.queue.is_empty() {
                desk.ring(after);
            }
            return;
        }
        let Some(held) = desk.permits.remove(&number) else { return };
        if held.local {
            desk.end_local(&held, None, now);
        } else {
            desk.push(What::Cancel(number), Tell::Nobody, now, after);
        }
    }

    pub(crate) fn close(&self, owner: u32) {
        self.step(|desk, now, after| {
            for number in desk.book.line.of_owner(owner) {
                Self::leave(desk, number, now, after);
                desk.book.line.decide(number, End::Closed, &mut after.wakers);
            }
            let idle = desk.permits.is_empty() && desk.book.line.is_empty();
            if idle && desk.session.id.is_some() && desk.session.n > 0 {
                desk.push(What::Close, Tell::Nobody, now, after);
            }
        });
    }

    pub(crate) fn permit_id(&self, number: u64) -> PermitId {
        self.about.id_of(self.step(|desk, _, _| desk.ticket_id(number)))
    }

    pub(crate) fn settle_own(&self, number: u64, slot: usize, usage: &Usage) -> Reply<Settled> {
        self.step(|desk, now, after| {
            let charge = desk.book.charge(slot, usage);
            let used = charge.as_ref().map_or_else(|_| Amounts::new(), Amounts::clone);
            let ended = self.end(desk, number, Some(used), now, after);
            match charge {
                Ok(_) => ended,
                Err(error) => Err(error).into(),
            }
        })
    }

    pub(crate) fn give_back_own(&self, number: u64) -> Reply<Settled> {
        self.step(|desk, now, after| self.end(desk, number, None, now, after))
    }

    /// Ends a permit of this process.
    pub(super) fn end(
        &self,
        desk: &mut Desk,
        number: u64,
        used: Option<Amounts>,
        now: Millis,
        after: &mut After,
    ) -> Reply<Settled> {
        let Some(held) = desk.permits.get_mut(&number).filter(|held| !held.ending) else {
            let permit = desk.ticket_id(number);
            return Err(Error::PermitOver(self.about.id_of(permit))).into();
        };
        if held.local {
            let Some(held) = desk.permits.remove(&number) else { return Err(Error::Closed).into() };
            return Ok(desk.end_local(&held, used.as_ref(), now)).into();
        }
        held.ending = true;
        let permit = held.permit;
        let (tell, answer) = oneshot::channel();
        desk.push(What::Settle { permit, usage: used }, Tell::Settled(tell), now, after);
        reply(answer)
    }

    /// Ends a permit that was dropped as spent, and says so once for each resource.
    pub(crate) fn forsake(&self, number: u64, slot: usize) {
        let warn = self.step(|desk, now, after| {
            if !desk.permits.contains_key(&number) {
                return None;
            }
            drop(self.end(desk, number, Some(Amounts::new()), now, after));
            let seat = desk.book.seats.get_mut(slot).filter(|seat| !seat.warned)?;
            seat.warned = true;
            Some(Name::clone(&seat.name))
        });
        if let Some(resource) = warn {
            log::warn!(
                "{resource}: a permit was dropped without being settled, and counts as having used all it reserved; \
                 settle it with what the call used, or give it back"
            );
        }
    }

    pub(crate) fn amend(&self, number: u64, slot: usize, demand: &Demand) -> Reply<Settled> {
        self.step(|desk, now, after| {
            let State { seats, ledger, .. } = &mut desk.book;
            let reserve =
                seats.get(slot).ok_or(Error::Closed).and_then(|seat| demand.amendment(seat, ledger));
            let reserve = match reserve {
                Ok(reserve) => reserve,
                Err(error) => return Err(error).into(),
            };
            let held = desk.permits.get(&number).filter(|held| !held.ending);
            let Some((permit, local)) = held.map(|held| (held.permit, held.local)) else {
                let permit = desk.ticket_id(number);
                return Err(Error::PermitOver(self.about.id_of(permit))).into();
            };
            if local {
                let amended = match desk.book.apply(now, Command::Amend { permit, reserve }) {
                    Outcome::Amended { returned, charged } => Ok(desk.book.settled(returned, charged)),
                    _ => Err(Error::PermitOver(self.about.id_of(permit))),
                };
                return amended.into();
            }
            let (tell, answer) = oneshot::channel();
            desk.push(What::Amend { permit, reserve }, Tell::Settled(tell), now, after);
            reply(answer)
        })
    }

    /// Puts a configuration into force, and returns where its resources sit, in their order.
    pub(crate) fn configure(
        &self,
        configuration: Configuration,
        revision: u64,
        resources: &[CompiledResource],
    ) -> Result<Vec<usize>, Error> {
        let slots = self.step(|desk, now, after| {
            let open = desk.session.id.is_some();
            let slots = desk.configure(&configuration, revision, resources, now)?;
            if open {
                for part in Part::of(&configuration, revision) {
                    desk.push(What::Configure(part), Tell::Nobody, now, after);
                }
            }
            Ok(slots)
        });
        if slots.is_ok() {
            lock(&self.about.configured).push((configuration, revision, resources.to_vec()));
        }
        slots
    }

    pub(crate) fn look<T>(&self, look: impl FnOnce(&mut State, Millis) -> T) -> T {
        self.step(|desk, now, _| look(&mut desk.book, now))
    }

    pub(crate) fn order(
        &self,
        command: impl FnOnce(&mut State) -> Result<Command, Error>,
        event: impl FnOnce() -> Option<Event>,
    ) -> Reply<()> {
        self.step(|desk, now, after| {
            let command = match command(&mut desk.book) {
                Ok(command) => command,
                Err(error) => return Err(error).into(),
            };
            let (tell, answer) = oneshot::channel();
            desk.push(What::Order(command), Tell::Done(tell), now, after);
            if let Some(event) = event() {
                self.about.hub.tell(&mut after.wakers, || event);
            }
            reply(answer)
        })
    }
}

impl Desk {
    /// The answer to a caller whose ticket is not decided.
    fn pending(&self, number: u64) -> Poll<Result<Grant, Error>> {
        let waits = self.book.line.waiter(number).is_some();
        if waits { Poll::Pending } else { Poll::Ready(Err(Error::Closed)) }
    }

    fn grant(&self, number: u64, waited: Millis, at: Option<Millis>) -> Grant {
        match self.permits.get(&number) {
            Some(held) if held.local => Grant { number, waited, via: GrantedVia::Local, at },
            Some(_) => Grant { number, waited, via: GrantedVia::Ledger, at },
            // What the store took back in the meantime is inert, what it never granted is allowed.
            None => Grant { number: 0, waited, via: GrantedVia::Allowed, at: None },
        }
    }

    fn configure(
        &mut self,
        configuration: &Configuration,
        revision: u64,
        resources: &[CompiledResource],
        now: Millis,
    ) -> Result<Vec<usize>, Error> {
        if let Outcome::Invalid(error) = self.book.apply(now, Command::configure(configuration.clone())) {
            return Err(Error::Spec(error));
        }
        let parts = Part::of(configuration, revision);
        self.parts.retain(|old| !parts.iter().any(|part| old.is_replaced_by(part)));
        // A session that opens later has nothing to remove.
        self.parts.extend(parts.into_iter().filter(|part| !part.configuration.resources.is_empty()));
        let lanes_of = |name: &str| {
            let spec = configuration.resources.iter().find(|spec| &*spec.name == name);
            spec.map(|spec| spec.lanes.clone()).unwrap_or_default()
        };
        resources.iter().map(|resource| self.book.seat(resource, lanes_of(&resource.name))).collect()
    }
}

impl Life {
    fn new(about: &Arc<About>) -> Arc<Self> {
        let now = about.clock.now_ms();
        let mut ledger = Ledger::new();
        let session = super::outage::LOCAL;
        ledger.apply(now, Command::Touch { session, time_out: None });
        let book = State::new(ledger, Leases::new(NEVER, now), now);
        let random = crate::store::here::random_session().0 >> 64;
        let random = u64::try_from(random).unwrap_or(u64::MAX);
        let inbox = super::label::inbox(random, about.name_of_process.as_deref());
        let channel = about.link.channel(&about.name, &inbox);
        Arc::new_cyclic(|this| Self {
            about: Arc::clone(about),
            desk: Mutex::new(Desk::new(book, channel, about.lease)),
            bell: Notify::new(),
            alarm: Alarm::new(),
            this: Weak::clone(this),
            inbox,
            guard: Guard::new(),
            next: OnceLock::new(),
        })
    }

    /// The account in a forked child.
    fn child(about: &Arc<About>) -> Arc<Self> {
        let life = Self::new(about);
        life.step(about.clock.now_ms(), |desk, now, _| {
            // Its numbers are those of no permit that it inherited.
            desk.book.skip_numbers(u64::from(std::process::id()) << 24);
            for (configuration, revision, resources) in &*lock(&about.configured) {
                // It was accepted before.
                let _ = desk.configure(configuration, *revision, resources, now);
            }
        });
        life
    }

    pub(super) fn step<T>(&self, now: Millis, work: impl FnOnce(&mut Desk, Millis, &mut After) -> T) -> T {
        let mut after = After::default();
        let (result, due) = {
            let mut desk = lock(&self.desk);
            let result = work(&mut desk, now, &mut after);
            (result, desk.next_due(self.about.sharing.session_timeout))
        };
        if let Some(due) = due {
            self.alarm.set(due, &self.about.clock, || self.this.clone());
        }
        if std::mem::take(&mut after.start)
            && let Some(life) = self.this.upgrade()
        {
            super::io::spawn(task::run(life));
        }
        if after.ring {
            self.bell.notify_one();
        }
        after.release();
        result
    }
}
