//! What happens, as a stream that never slows a grant: a reader that falls behind loses the oldest and is told how many.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;
use paceline_core::Name;

use crate::fork::OfProcess;
use crate::park::block_on;
use crate::sync::{Wakers, lock};
use crate::{Error, NearLimit, PermitId};

/// Something that happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A caller waits.
    Queued {
        /// The permit that it will have.
        permit: PermitId,
        /// The resource.
        resource: Name,
        /// How many tickets of its lane are before it.
        ahead: u64,
    },
    /// A permit was granted.
    Granted {
        /// The permit.
        permit: PermitId,
        /// The resource.
        resource: Name,
        /// How long it took.
        waited: Duration,
    },
    /// A caller was refused.
    Refused {
        /// The resource.
        resource: Name,
        /// Why.
        error: Error,
    },
    /// A caller left the line.
    Cancelled {
        /// The permit that it would have had.
        permit: PermitId,
    },
    /// A permit has ended.
    Settled {
        /// The permit.
        permit: PermitId,
        /// What went back, by metric.
        returned: Vec<(Name, u64)>,
        /// What was charged beyond the reservation, by metric.
        charged: Vec<(Name, u64)>,
    },
    /// A permit outlived its lease and was ended.
    LeaseEnded {
        /// The permit.
        permit: PermitId,
    },
    /// Callers have waited for long.
    LongWait {
        /// The resource.
        resource: Name,
        /// How long the first of them has waited.
        waited: Duration,
        /// The limit that binds, if one does.
        limit: Option<Name>,
    },
    /// A limit is used beyond its `warn_at`; told by [`Limiter::near_limits`](crate::Limiter::near_limits).
    NearLimit(NearLimit),
    /// A limit that was near is so no longer.
    NoLongerNear {
        /// The limit.
        limit: Name,
    },
    /// A resource or a limit was paused.
    Paused {
        /// Its name.
        target: Name,
        /// For how long; `None` until resumed.
        lasting: Option<Duration>,
    },
    /// A pause was ended.
    Resumed {
        /// The resource or the limit.
        target: Name,
    },
    /// A configuration is in force.
    Configured,
    /// A configuration was refused; the one before stays in force.
    ConfigurationRefused {
        /// What is wrong with it.
        error: Error,
    },
    /// A shared store cannot be reached.
    StoreLost {
        /// The store, without secrets.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// A shared store that could not be reached answers.
    StoreBack {
        /// The store, without secrets.
        url: String,
    },
    /// A shared store lost the state of a ledger, which restarts from what is left and what its sessions report.
    StateLost {
        /// The ledger.
        ledger: Name,
    },
    /// A shared store took this process for dead: its permits have ended, and its callers are in line anew.
    SessionExpired {
        /// The ledger.
        ledger: Name,
    },
    /// Another process says something else of a resource, and that is in force.
    ConfigurationDiffers {
        /// The ledger.
        ledger: Name,
        /// The resource.
        resource: Name,
    },
    /// The reader was too slow: so many events are missing here.
    Lost(u64),
}

/// A subscription to what happens in a store: a [`Stream`], or an iterator for threads.
///
/// ```
/// # use paceline::{Demand, Event, Limiter, core::*};
/// # let limiter = Limiter::builder().private().limits([], [ResourceSpec::new("gpt")]).build()?;
/// let mut events = limiter.events();
/// limiter.resource("gpt")?.acquire(Demand::new()).wait()?.give_back();
/// assert!(matches!(events.try_next(), Some(Event::Granted { .. })));
/// assert!(matches!(events.try_next(), Some(Event::Settled { .. })));
/// assert!(events.try_next().is_none());
/// # Ok::<(), paceline::Error>(())
/// ```
#[must_use = "a subscription that is dropped ends"]
pub struct Events {
    hub: Arc<Hub>,
    room: Arc<Room>,
    mailbox: Arc<Mutex<Mailbox>>,
}

impl Events {
    /// Returns the next event if there is one. In a forked child an inherited subscription has ended.
    pub fn try_next(&mut self) -> Option<Event> {
        if self.is_inherited() {
            return None;
        }
        lock(&self.mailbox).take()
    }

    /// Whether it was opened by the parent of this process, whose threads may have been writing to it.
    fn is_inherited(&self) -> bool {
        !Arc::ptr_eq(&self.room, self.hub.room())
    }

    /// Returns an iterator that parks this thread until the next event, and ends with the limiter.
    pub fn blocking(self) -> impl Iterator<Item = Event> {
        let mut events = self;
        std::iter::from_fn(move || block_on(std::future::poll_fn(|context| events.poll_event(context))))
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        if self.is_inherited() {
            return Poll::Ready(None);
        }
        let waker = context.waker().clone();
        let mut mailbox = lock(&self.mailbox);
        if let Some(event) = mailbox.take() {
            return Poll::Ready(Some(event));
        }
        if mailbox.ended {
            return Poll::Ready(None);
        }
        let replaced = mailbox.reader.replace(waker);
        drop(mailbox);
        drop(replaced);
        Poll::Pending
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.poll_event(context)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        if self.is_inherited() {
            // A thread of the parent may have been in the midst of it.
            std::mem::forget(Arc::clone(&self.mailbox));
        } else {
            self.hub.leave(&self.mailbox);
        }
    }
}

/// Where events go. Without a reader, telling one costs the reading of a counter.
pub(crate) struct Hub {
    readers: AtomicUsize,
    rooms: OfProcess<Arc<Room>>,
}

/// The subscriptions of one process.
#[derive(Default)]
struct Room {
    mailboxes: Mutex<Vec<Weak<Mutex<Mailbox>>>>,
}

impl Default for Hub {
    fn default() -> Self {
        Self { readers: AtomicUsize::new(0), rooms: OfProcess::new(Arc::default()) }
    }
}

struct Mailbox {
    /// The limiter through which it was opened, and with which it ends.
    owner: u32,
    events: VecDeque<Event>,
    capacity: usize,
    lost: u64,
    reader: Option<Waker>,
    ended: bool,
}

impl Hub {
    /// Opens a subscription that keeps at most `capacity` events for its reader.
    pub(crate) fn subscribe(self: &Arc<Self>, owner: u32, capacity: usize) -> Events {
        let mailbox = Mailbox {
            owner,
            events: VecDeque::new(),
            capacity: capacity.max(1),
            lost: 0,
            reader: None,
            ended: false,
        };
        let mailbox = Arc::new(Mutex::new(mailbox));
        let room = Arc::clone(self.room());
        lock(&room.mailboxes).push(Arc::downgrade(&mailbox));
        self.readers.fetch_add(1, Ordering::Release);
        Events { hub: Arc::clone(self), room, mailbox }
    }

    /// Tells all readers, if there are any.
    pub(crate) fn tell(&self, wakers: &mut Wakers, event: impl FnOnce() -> Event) {
        if self.readers.load(Ordering::Acquire) == 0 {
            return;
        }
        let event = event();
        for mailbox in self.open() {
            wakers.call(lock(&mailbox).put(event.clone()));
        }
    }

    /// Ends a limiter's subscriptions once they are read to the end.
    pub(crate) fn end(&self, owner: u32) {
        let mut wakers = Wakers::default();
        for mailbox in self.open() {
            let mut mailbox = lock(&mailbox);
            if mailbox.owner == owner {
                mailbox.ended = true;
                wakers.call(mailbox.reader.take());
            }
        }
        wakers.release();
    }

    fn open(&self) -> Vec<Arc<Mutex<Mailbox>>> {
        lock(&self.room().mailboxes).iter().filter_map(Weak::upgrade).collect()
    }

    fn room(&self) -> &Arc<Room> {
        self.rooms.get(Arc::default)
    }

    fn leave(&self, mailbox: &Arc<Mutex<Mailbox>>) {
        self.readers.fetch_sub(1, Ordering::Release);
        lock(&self.room().mailboxes).retain(|other| !std::ptr::eq(other.as_ptr(), Arc::as_ptr(mailbox)));
    }
}

impl Mailbox {
    fn put(&mut self, event: Event) -> Option<Waker> {
        if self.events.len() == self.capacity {
            self.events.pop_front();
            self.lost += 1;
        }
        self.events.push_back(event);
        self.reader.take()
    }

    fn take(&mut self) -> Option<Event> {
        match std::mem::take(&mut self.lost) {
            0 => self.events.pop_front(),
            lost => Some(Event::Lost(lost)),
        }
    }
}
