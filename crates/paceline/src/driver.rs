//! One thread a process for everything that happens by time alone. It starts with the first need and ends when
//! nothing is left to wait for.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use paceline_core::{Millis, NEVER};

use crate::clock::{Clock, system_now_ms};
use crate::fork::OfProcess;
use crate::sync::lock;

/// Something that has to be done at certain times.
pub(crate) trait Duty: Send + Sync {
    /// When it is due next.
    fn alarm(&self) -> &Alarm;
    /// Does what is due, and returns when it is due again.
    fn fall_due(&self, now: Millis) -> Option<Millis>;
}

/// The time for which a duty is on an agenda.
pub(crate) struct Alarm(AtomicU64);

/// A duty on an agenda.
pub(crate) struct Entry {
    pub(crate) due: Millis,
    duty: Weak<dyn Duty>,
}

/// Duties, the earliest first.
#[derive(Default)]
pub(crate) struct Agenda(BinaryHeap<Reverse<Entry>>);

impl Alarm {
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(NEVER))
    }

    /// Puts a duty on the clock's agenda if it is due earlier than it is on it already.
    pub(crate) fn set(&self, due: Millis, clock: &Clock, duty: impl FnOnce() -> Weak<dyn Duty>) {
        if due < self.0.load(Ordering::Acquire) && due < self.0.fetch_min(due, Ordering::AcqRel) {
            clock.arm(Entry { due, duty: duty() });
        }
    }

    /// Whether an entry is the one that counts; one that was put on for an earlier time has overtaken it otherwise.
    fn take(&self, due: Millis) -> bool {
        self.0.compare_exchange(due, NEVER, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

impl Agenda {
    pub(crate) fn push(&mut self, entry: Entry) {
        self.0.push(Reverse(entry));
    }

    pub(crate) fn next_due(&self) -> Option<Millis> {
        self.0.peek().map(|Reverse(entry)| entry.due)
    }

    pub(crate) fn pop_until(&mut self, now: Millis) -> Option<Entry> {
        if self.next_due()? > now {
            return None;
        }
        self.0.pop().map(|Reverse(entry)| entry)
    }

    pub(crate) fn into_entries(self) -> impl Iterator<Item = Entry> {
        self.0.into_iter().map(|Reverse(entry)| entry)
    }
}

/// Lets a duty do what is due, and puts it on the agenda for the next time.
pub(crate) fn run(entry: Entry, clock: &Clock) {
    let Some(duty) = entry.duty.upgrade() else { return };
    if !duty.alarm().take(entry.due) {
        return;
    }
    let now = clock.now_ms();
    let next = catch_unwind(AssertUnwindSafe(|| duty.fall_due(now))).unwrap_or_else(|_| {
        log::error!("a duty of the thread that keeps time panicked, and is tried again");
        Some(now + RETRY)
    });
    if let Some(due) = next {
        duty.alarm().set(due, clock, || entry.duty);
    }
}

/// Puts a duty on the agenda of the process's driver.
pub(crate) fn arm(entry: Entry) {
    let driver = Driver::of_process();
    let mut shared = lock(&driver.shared);
    let due = entry.due;
    shared.agenda.push(entry);
    match shared.sleeps_until {
        None => start(driver, &mut shared),
        Some(until) if due < until => driver.bell.notify_one(),
        Some(_) => {}
    }
}

/// How long an idle driver stays before it ends.
const PATIENCE: Duration = Duration::from_secs(5);

/// After how many milliseconds a duty that panicked is tried again.
const RETRY: Millis = 1_000;

#[derive(Default)]
struct Driver {
    shared: Mutex<Shared>,
    bell: Condvar,
}

impl Driver {
    /// A forked child has the agenda of its parent, but not the thread.
    fn of_process() -> &'static Self {
        static DRIVER: OnceLock<OfProcess<Driver>> = OnceLock::new();
        DRIVER.get_or_init(|| OfProcess::new(Self::default())).get(Self::default)
    }
}

#[derive(Default)]
struct Shared {
    agenda: Agenda,
    /// Until when the thread sleeps if nobody rings; `None` while there is no thread, 0 while it works.
    sleeps_until: Option<Millis>,
}

fn start(driver: &'static Driver, shared: &mut Shared) {
    match std::thread::Builder::new().name("paceline".into()).spawn(move || drive(driver)) {
        Ok(_) => shared.sleeps_until = Some(0),
        Err(error) => log::error!("no thread could be started to keep time, callers wait longer: {error}"),
    }
}

fn drive(driver: &'static Driver) {
    let mut shared = lock(&driver.shared);
    loop {
        if let Some(entry) = shared.agenda.pop_until(system_now_ms()) {
            drop(shared);
            run(entry, &Clock::System);
            shared = lock(&driver.shared);
            continue;
        }
        let next = shared.agenda.next_due();
        shared = sleep(driver, shared, next);
        if next.is_none() && shared.agenda.next_due().is_none() {
            shared.sleeps_until = None;
            return;
        }
        shared.sleeps_until = Some(0);
    }
}

fn sleep<'a>(
    driver: &Driver,
    mut shared: MutexGuard<'a, Shared>,
    next: Option<Millis>,
) -> MutexGuard<'a, Shared> {
    let for_long = next.map_or(PATIENCE, |due| Duration::from_millis(due.saturating_sub(system_now_ms())));
    shared.sleeps_until = Some(next.unwrap_or(NEVER));
    driver.bell.wait_timeout(shared, for_long).unwrap_or_else(PoisonError::into_inner).0
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.due.cmp(&other.due)
    }
}
