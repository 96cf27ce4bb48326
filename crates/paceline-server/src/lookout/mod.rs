//! One look at all ledgers for everybody who looks on: frames of what changed while somebody watches, and a sample a
//! second for the history.

mod frame;
mod held_up;
mod rates;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paceline::host::{Host, Tally};
use paceline::{AccountSnapshot, Event, Name};
use tokio::sync::{Notify, watch};

use crate::app::App;
use crate::clock::{self, Watch};
use crate::history::History;
pub(crate) use frame::{Frame, WatchBody};
use held_up::HeldUp;
pub(crate) use rates::Rates;

/// The most looks a second.
pub(crate) const FASTEST: f64 = 20.0;
/// How often what holds up those who wait is asked for, at most.
const EXPLAIN: Duration = Duration::from_millis(500);
/// After what time it is looked again where it could not be.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a look may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who watches, and what they are shown.
pub(crate) struct Lookout {
    host: Option<Arc<Host>>,
    /// How many watchers want so many thousandths of a look a second.
    wanted: Mutex<BTreeMap<u32, usize>>,
    joined: Notify,
    frames: watch::Sender<Arc<Frame>>,
    notes: Mutex<BTreeMap<Name, Notes>>,
    pub(crate) history: History,
}

/// What was heard of a resource.
#[derive(Debug, Clone, Default)]
struct Notes {
    /// What the server's own callers did, where no host counts for all.
    tally: Tally,
    /// When somebody was refused last, in milliseconds since the Unix epoch, and why.
    refused: Option<(u64, String)>,
    pause_reason: Option<String>,
}

/// Somebody who watches, for as long as this lives.
pub(crate) struct Watcher {
    app: Arc<App>,
    wanted: u32,
    pub(crate) frames: watch::Receiver<Arc<Frame>>,
}

impl Lookout {
    /// Looks on what these ledgers do; where they are elsewhere, on what the server hears of its own callers.
    pub(crate) fn new(host: Option<Arc<Host>>, history: History) -> Self {
        Self {
            host,
            wanted: Mutex::default(),
            joined: Notify::new(),
            frames: watch::Sender::new(Arc::default()),
            notes: Mutex::default(),
            history,
        }
    }

    /// Takes note of what happened.
    pub(crate) fn hear(&self, event: &Event) {
        match event {
            Event::Granted { resource, waited, .. } if self.host.is_none() => {
                let mut notes = self.notes();
                let tally = &mut notes.entry(Name::clone(resource)).or_default().tally;
                tally.granted += 1;
                tally.waits.note(u64::try_from(waited.as_millis()).unwrap_or(u64::MAX));
            }
            Event::Refused { resource, error } => {
                let mut notes = self.notes();
                notes.entry(Name::clone(resource)).or_default().refused =
                    Some((clock::unix_ms(), error.to_string()));
            }
            _ => {}
        }
    }

    /// Takes note that somebody was told no, and why.
    pub(crate) fn refused(&self, resource: &str, why: &str) {
        let mut notes = self.notes();
        let of = notes.entry(resource.into()).or_default();
        of.tally.refused += 1;
        of.refused = Some((clock::unix_ms(), why.to_owned()));
    }

    /// Takes note why a resource is paused.
    pub(crate) fn paused(&self, resource: &str, reason: Option<&str>) {
        self.notes().entry(resource.into()).or_default().pause_reason = reason.map(str::to_owned);
    }

    /// Lets somebody watch who wants so many looks a second.
    pub(crate) fn join(app: &Arc<App>, rate: f64) -> Watcher {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to 20,000")]
        let wanted = (rate * 1_000.0) as u32;
        let own = &app.lookout;
        let first = {
            let mut all = own.wanted();
            *all.entry(wanted).or_default() += 1;
            all.len() == 1 && all.values().sum::<usize>() == 1
        };
        let mut frames = own.frames.subscribe();
        if first {
            // What was shown to those who watched before is old.
            frames.mark_unchanged();
        } else {
            frames.mark_changed();
        }
        own.joined.notify_one();
        Watcher { app: Arc::clone(app), wanted, frames }
    }

    /// Returns after what time those who watch want another look; `None` where nobody does.
    fn interval(&self) -> Option<Duration> {
        let all = self.wanted();
        let (rate, _) = all.last_key_value()?;
        Some(Duration::from_secs_f64(1_000.0 / f64::from((*rate).max(1))))
    }

    fn tallies(&self, accounts: &[AccountSnapshot]) -> BTreeMap<Name, Tally> {
        match &self.host {
            Some(host) => accounts.iter().flat_map(|account| host.tallies(&account.name)).collect(),
            None => {
                self.notes().iter().map(|(name, notes)| (Name::clone(name), notes.tally.clone())).collect()
            }
        }
    }

    fn wanted(&self) -> MutexGuard<'_, BTreeMap<u32, usize>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notes(&self) -> MutexGuard<'_, BTreeMap<Name, Notes>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut all = self.app.lookout.wanted();
        if let Some(count) = all.get_mut(&self.wanted) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.wanted);
            }
        }
    }
}

/// Looks on until the task is ended.
pub(crate) async fn run(app: Arc<App>) {
    let (mut rates, mut held_up) = (Rates::default(), HeldUp::default());
    // The host has just begun to count.
    rates.take(clock::unix_ms().saturating_sub(1_000), BTreeMap::new());
    let started = Watch::start();
    let (mut known, mut sampled, mut explained, mut looked) = (None, 0, None, Duration::ZERO);
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause(&app, looked, started.elapsed())) => {}
            () = app.lookout.joined.notified() => {}
        }
        looked = started.elapsed();
        let watched = app.lookout.interval().is_some();
        let accounts = match look(&app, &mut known).await {
            Ok(accounts) => accounts,
            Err(trouble) => {
                app.lookout.frames.send_modify(|frame| *frame = Arc::new(frame.in_trouble(trouble)));
                tokio::time::sleep(AGAIN).await;
                continue;
            }
        };
        let now_ms = clock::unix_ms();
        if now_ms / 1_000 != sampled {
            sampled = now_ms / 1_000;
            rates.take(now_ms, app.lookout.tallies(&accounts));
            app.lookout.history.sample(now_ms, &accounts, &rates);
        }
        if watched {
            if explained.is_none_or(|last| looked >= last + EXPLAIN) {
                explained = Some(looked);
                held_up = HeldUp::of(&app, &accounts).await;
            }
            let next = app.lookout.frames.borrow().next(&app, &accounts, &rates, &held_up);
            app.lookout.frames.send_replace(Arc::new(next));
        }
    }
}

/// Returns how long it is to the next look: that of the next full second, or one that somebody who watches wants before.
fn pause(app: &App, looked: Duration, now: Duration) -> Duration {
    let second = Duration::from_millis(1_000 - clock::unix_ms() % 1_000);
    let wanted = app.lookout.interval().map(|interval| (looked + interval).saturating_sub(now));
    wanted.map_or(second, |wanted| wanted.min(second))
}

/// Looks at all ledgers, those that others configured included; on a store of others, at those of the server's limits.
/// `known` is the configuration that the ledgers here were last seen to have.
async fn look(app: &App, known: &mut Option<u64>) -> Result<Vec<AccountSnapshot>, String> {
    let generation = app.limiter.generation();
    if let Some(host) = app.lookout.host.as_ref().filter(|_| *known == Some(generation)) {
        let view = |name: Name| Some(AccountSnapshot { ledger: host.view(&name)?, name });
        return Ok(host.ledgers().into_iter().filter_map(view).collect());
    }
    // A ledger is begun, and told of new limits, by the first who asks it for something.
    let looked = asked(app).await?;
    *known = Some(generation);
    Ok(looked)
}

async fn asked(app: &App) -> Result<Vec<AccountSnapshot>, String> {
    match tokio::time::timeout(PATIENCE, app.limiter.snapshot().into_future()).await {
        Ok(Ok(accounts)) => Ok(accounts),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the store did not answer in time".to_owned()),
    }
}
