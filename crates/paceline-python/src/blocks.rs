//! Open blocks: the leases of their permits are renewed for as long as they are open.
//!
//! A thread looks every third of a lease; what it has seen before is renewed. It starts with the first block and ends
//! when none is open.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, Thread};
use std::time::Duration;

use crate::permit::Held;

/// Where an open block is noted.
pub(crate) struct Place(usize);

struct Open {
    held: Weak<Held>,
    seen: bool,
}

struct Blocks {
    open: Vec<Option<Open>>,
    free: Vec<usize>,
    /// The thread that renews, and how long it sleeps.
    keeper: Option<(Thread, Duration)>,
}

static BLOCKS: Mutex<Blocks> = Mutex::new(Blocks { open: Vec::new(), free: Vec::new(), keeper: None });

fn blocks() -> MutexGuard<'static, Blocks> {
    BLOCKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes that a permit's block is open.
pub(crate) fn open(held: &Arc<Held>) -> Place {
    let period = (held.seat.lease / 3).max(Duration::from_millis(1));
    let entry = Open { held: Arc::downgrade(held), seen: false };
    let mut blocks = blocks();
    let place = blocks.free.pop().unwrap_or_else(|| {
        blocks.open.push(None);
        blocks.open.len() - 1
    });
    if let Some(slot) = blocks.open.get_mut(place) {
        *slot = Some(entry);
    }
    match &mut blocks.keeper {
        Some((_, sleeps)) if *sleeps <= period => {}
        Some((thread, sleeps)) => {
            *sleeps = period;
            thread.unpark();
        }
        None => start(&mut blocks, period),
    }
    Place(place)
}

/// Notes that it was left.
pub(crate) fn close(place: Place) {
    let mut blocks = blocks();
    let left = blocks.open.get_mut(place.0).and_then(Option::take);
    if left.is_some() {
        blocks.free.push(place.0);
    }
}

fn start(blocks: &mut Blocks, period: Duration) {
    match thread::Builder::new().name("paceline-leases".into()).spawn(keep) {
        Ok(thread) => blocks.keeper = Some((thread.thread().clone(), period)),
        Err(error) => log::error!("no thread could be started to renew leases: {error}"),
    }
}

fn keep() {
    loop {
        let period = blocks().keeper.as_ref().map(|(_, period)| *period);
        let Some(period) = period else { return };
        thread::park_timeout(period);
        let Some(due) = look() else { return };
        for held in due {
            held.renew(held.seat.lease);
        }
    }
}

/// Returns the permits that were open a look ago; `None` where nothing is open.
fn look() -> Option<Vec<Arc<Held>>> {
    let mut blocks = blocks();
    if blocks.free.len() == blocks.open.len() {
        blocks.keeper = None;
        return None;
    }
    let seen = blocks.open.iter_mut().flatten().filter_map(|open| {
        let before = std::mem::replace(&mut open.seen, true);
        if before { open.held.upgrade() } else { None }
    });
    Some(seen.collect())
}

thread_local! {
    static FORKING: RefCell<Option<MutexGuard<'static, Blocks>>> = const { RefCell::new(None) };
}

/// Holds everything still while the process forks.
pub(crate) fn before_fork() {
    let still = blocks();
    FORKING.set(Some(still));
}

/// Goes on after a fork; a child has neither the thread nor the permits of its parent.
pub(crate) fn after_fork(child: bool) {
    if let Some(mut blocks) = FORKING.take()
        && child
    {
        blocks.open.iter_mut().for_each(|open| *open = None);
        blocks.free = (0..blocks.open.len()).collect();
        blocks.keeper = None;
    }
}
