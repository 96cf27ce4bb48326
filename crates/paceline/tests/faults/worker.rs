//! A worker process: asks, holds and settles as it is told, and says a line of all that happens to it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use paceline::{Demand, Error, Event, Limiter, Permit, Resource, Usage};
use paceline_testkit::{Talking, pause, worker};

use crate::plan::{GPT, Plan, now};

/// The test that workers run again.
pub(crate) const SERVES: &str = "worker::serves";

struct Desk {
    talk: Talking,
    resource: Resource,
    permits: Mutex<BTreeMap<String, Permit>>,
    asked: AtomicU64,
    stopped: AtomicBool,
}

/// What a thread under load does again and again.
#[derive(Clone, Copy)]
struct Load {
    hold: Duration,
    tokens: u64,
}

#[test]
fn serves() {
    let Some(talk) = worker() else { return };
    let limiter = Plan::read(&talk.role).open();
    let desk = Arc::new(Desk {
        talk,
        resource: limiter.resource(GPT).unwrap(),
        permits: Mutex::default(),
        asked: AtomicU64::new(0),
        stopped: AtomicBool::new(false),
    });
    listen(&desk, &limiter);
    desk.talk.say("ready");
    let mut threads = Vec::new();
    while let Some(line) = desk.talk.hear() {
        let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        let number = |at: usize| words.get(at).and_then(|word| word.parse().ok()).unwrap_or(0);
        match words[0].as_str() {
            "ask" => {
                let (desk, tag, lane) = (Arc::clone(&desk), words[1].clone(), words[2].clone());
                let (tokens, timeout) = (number(3), Duration::from_millis(number(4)));
                threads.push(thread::spawn(move || desk.ask_and_keep(&tag, &lane, tokens, timeout)));
            }
            "settle" | "back" => desk.end_kept(&words[1], words[0] == "back"),
            "load" => {
                let load = Load { hold: Duration::from_millis(number(2)), tokens: number(3) };
                threads.extend((0..number(1)).map(|at| {
                    let desk = Arc::clone(&desk);
                    thread::spawn(move || desk.work(at, load))
                }));
            }
            _ => break,
        }
    }
    desk.stopped.store(true, Ordering::SeqCst);
    for thread in threads {
        thread.join().unwrap();
    }
    desk.talk.say(&format!("stopped {}", desk.asked.load(Ordering::SeqCst)));
    // What is queued for the store goes out before the process ends.
    desk.talk.hear();
}

/// Says what happens, on a thread of its own.
fn listen(desk: &Arc<Desk>, limiter: &Limiter) {
    let (desk, events) = (Arc::clone(desk), limiter.events().blocking());
    thread::spawn(move || {
        for event in events {
            let said = match event {
                Event::Queued { permit, ahead, .. } => format!("queued {permit} {ahead}"),
                Event::StoreLost { reason, .. } => format!("lost {reason}"),
                Event::StoreBack { .. } => "back".to_owned(),
                Event::StateLost { .. } => "state_lost".to_owned(),
                Event::SessionExpired { .. } => "expired".to_owned(),
                Event::Lost(many) => format!("unheard {many}"),
                _ => continue,
            };
            desk.talk.say(&format!("event {} {said}", now()));
        }
    });
}

impl Desk {
    fn ask(&self, tag: &str, lane: &str, tokens: u64, timeout: Duration) -> Option<Permit> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        match self.resource.acquire(Demand::tokens(tokens)).lane(lane).timeout(timeout).wait() {
            Ok(permit) => {
                let (id, via) = (permit.id(), permit.granted_via());
                let (wall, waited) = (permit.granted_at().unwrap_or(0), permit.waited().as_millis());
                self.talk.say(&format!("grant {tag} {id} {lane} {wall} {waited} {tokens} {via:?} {}", now()));
                Some(permit)
            }
            Err(error) => {
                self.talk.say(&format!("refused {tag} {} {} {error}", kind(&error), now()));
                None
            }
        }
    }

    fn ask_and_keep(&self, tag: &str, lane: &str, tokens: u64, timeout: Duration) {
        if let Some(permit) = self.ask(tag, lane, tokens, timeout) {
            self.permits.lock().unwrap().insert(tag.to_owned(), permit);
        }
    }

    fn end_kept(&self, tag: &str, back: bool) {
        let permit =
            paceline_testkit::until("the permit is kept", || self.permits.lock().unwrap().remove(tag));
        self.end(tag, permit, back);
    }

    fn end(&self, tag: &str, permit: Permit, back: bool) {
        // Said before it is done: a worker that is killed may have done it.
        self.talk.say(&format!("ending {tag} {}", now()));
        let ended = if back { permit.give_back() } else { permit.settle(Usage::new()) };
        let how = match ended.wait() {
            Ok(_) if back => "back",
            Ok(_) => "settled",
            Err(Error::PermitOver(_)) => "over",
            Err(Error::StoreUnavailable { .. }) => "unavailable",
            Err(_) => "failed",
        };
        self.talk.say(&format!("ended {tag} {how} {}", now()));
    }

    fn work(&self, thread: u64, load: Load) {
        let lane = if thread.is_multiple_of(2) { "a" } else { "b" };
        let mut round = 0;
        while !self.stopped.load(Ordering::SeqCst) {
            let tag = format!("{thread}/{round}");
            if let Some(permit) = self.ask(&tag, lane, load.tokens, Duration::from_secs(15)) {
                pause(load.hold);
                // Every tenth call never left.
                self.end(&tag, permit, round % 10 == 9);
            }
            round += 1;
        }
    }
}

fn kind(error: &Error) -> &'static str {
    match error {
        Error::AcquireTimeout(_) => "timed_out",
        Error::TooLate(_) => "too_late",
        Error::Busy(_) => "busy",
        Error::StoreUnavailable { .. } => "unavailable",
        _ => "other",
    }
}
