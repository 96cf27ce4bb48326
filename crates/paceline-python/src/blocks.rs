//! Open blocks: the leases of their permits are renewed for as long as they are open.
//!
//! A thread looks every third of a lease; what it has seen before is renewed. It starts with the first block and ends
//! when none is open.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{self, Thread};
use std::time::Duration;

use crate::permit::Held;
use crate::process::OfProcess;

/// Where an open block is noted, and in which process.
pub(crate) struct Place {
    index: usize,
    life: u32,
}

struct Open {
    held: Weak<Held>,
    seen: bool,
}

struct Blocks {
    open: Vec<Option<Open>>,
    free: Vec<usize>,
    /// The thread that renews, and how long it sleeps.
    keeper: Option<(Thread, Duration)>,
    /// How many processes this one was forked from since the first.
    life: u32,
}

impl Blocks {
    const fn new(life: u32) -> Self {
        Self { open: Vec::new(), free: Vec::new(), keeper: None, life }
    }
}

static BLOCKS: OfProcess<Blocks> = OfProcess::new(Blocks::new(0));

/// Notes that a permit's block is open.
pub(crate) fn open(held: &Arc<Held>) -> Place {
    let period = (held.seat.lease / 3).max(Duration::from_millis(1));
    let entry = Open { held: Arc::downgrade(held), seen: false };
    let mut blocks = BLOCKS.lock();
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
    Place { index: place, life: blocks.life }
}

/// Notes that it was left.
pub(crate) fn close(place: Place) {
    let mut blocks = BLOCKS.lock();
    if blocks.life != place.life {
        return;
    }
    let left = blocks.open.get_mut(place.index).and_then(Option::take);
    if left.is_some() {
        blocks.free.push(place.index);
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
        let period = BLOCKS.lock().keeper.as_ref().map(|(_, period)| *period);
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
    let mut blocks = BLOCKS.lock();
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

/// Begins anew in a forked child, which has neither the thread nor the permits of its parent.
pub(crate) fn forked() {
    static LIVES: AtomicU32 = AtomicU32::new(1);
    BLOCKS.renew(Blocks::new(LIVES.fetch_add(1, Ordering::Relaxed)));
}
