//! Callers under load, over sessions and over plain HTTP, who see to it that every call is counted once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hyper::Method;
use paceline::{Demand, Event, Limiter, Usage};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::kit::{Dice, Http, limit, limiter, now};
use crate::referee::{Grant, Log, never_over_bucket, never_over_slots};

/// What all of them call.
pub(crate) const GPT: &str = "gpt";
const SLOTS: usize = 6;
const MINUTE: u64 = 60_000;
const MONTH: u64 = 100_000;

/// The limits of a crew, as a configuration file.
pub(crate) fn limits() -> String {
    format!(
        "resources:\n  {GPT}:\n    limits:\n      - {{metric: tokens, amount: {MINUTE}, window: 1m, algorithm: token_bucket}}\n    \
         concurrent_requests: {SLOTS}\n    requests_per_month: {MONTH}\n  solo: {{concurrent_requests: 1}}\n"
    )
}

/// Callers, until they are told to stop.
pub(crate) struct Crew {
    shared: Arc<Shared>,
    callers: Vec<JoinHandle<()>>,
    limiters: Vec<Limiter>,
    /// Those who listen to what happens to sessions; each returns how many were lost.
    listeners: Vec<std::thread::JoinHandle<usize>>,
    began: u64,
}

#[derive(Default)]
struct Shared {
    log: Mutex<Log>,
    stopped: AtomicBool,
    asked: AtomicU64,
}

impl Shared {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap()
    }

    fn is_over(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

impl Crew {
    pub(crate) fn new() -> Self {
        Self {
            shared: Arc::default(),
            callers: Vec::new(),
            limiters: Vec::new(),
            listeners: Vec::new(),
            began: now(),
        }
    }

    /// Adds callers of one session, by this way.
    pub(crate) async fn session(&mut self, url: String, many: u64) {
        let limiter = open(url).await;
        let events = limiter.events().blocking();
        self.listeners.push(std::thread::spawn(move || {
            let lost =
                |event: &Event| matches!(event, Event::StateLost { .. } | Event::SessionExpired { .. });
            events.filter(lost).count()
        }));
        for at in 0..many {
            let caller = by_session(Arc::clone(&self.shared), limiter.clone(), Dice::new(at + 1));
            self.callers.push(tokio::spawn(caller));
        }
        self.limiters.push(limiter);
    }

    /// Adds callers over plain HTTP, who go by the next of these ports when one does not serve them.
    pub(crate) fn plain(&mut self, ports: &[u16], many: u64) {
        let ways: Vec<Http> = ports.iter().map(|port| Http::to(*port)).collect();
        for at in 0..many {
            let caller = by_http(Arc::clone(&self.shared), ways.clone(), Dice::new(100 + at));
            self.callers.push(tokio::spawn(caller));
        }
    }

    /// Waits until there were so many more grants.
    pub(crate) async fn goes_on(&self, by: usize) {
        let (before, began) = (self.shared.log().count(), now());
        while self.shared.log().count() < before + by {
            assert!(now() - began < 30_000, "nothing is granted any more");
            assert!(self.callers.iter().all(|caller| !caller.is_finished()), "a caller gave up");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Has all of them stop, and judges: nothing over, nothing lost, every call counted once. `http` leads to the store.
    pub(crate) async fn finish(self, http: &Http) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        for caller in self.callers {
            tokio::time::timeout(Duration::from_mins(1), caller).await.expect("everybody is served").unwrap();
        }
        let shown = nothing_is_out(http).await;
        let log = self.shared.log();
        never_over_slots(log.of(GPT), SLOTS).unwrap();
        never_over_bucket(log.of(GPT), (MINUTE, 60_000), &[(self.began, MINUTE)]).unwrap();
        let granted = i64::try_from(log.count()).unwrap();
        let used = i64::try_from(MONTH).unwrap() - limit(&shown, "requests")["left"].as_i64().unwrap();
        // One comes back in 27 s.
        let earned = i64::try_from((now() - self.began) / 25_000).unwrap() + 1;
        assert!((0..=earned).contains(&(granted - used)), "{granted} calls were counted as {used}");
        drop(log);
        for (limiter, listener) in self.limiters.iter().zip(self.listeners) {
            limiter.close();
            assert_eq!(listener.join().unwrap(), 0, "a session was lost");
        }
        eprintln!("{granted} calls in {} ms", now() - self.began);
    }
}

/// Opens a limiter away from the runtime's threads.
pub(crate) async fn open(url: String) -> Limiter {
    tokio::task::spawn_blocking(move || limiter(&url)).await.unwrap()
}

async fn by_session(shared: Arc<Shared>, limiter: Limiter, mut dice: Dice) {
    let resource = limiter.resource(GPT).unwrap();
    while !shared.is_over() {
        let amount = 1 + dice.below(40);
        let permit = resource.acquire(Demand::tokens(amount)).await.unwrap();
        let (told, at) = (now(), permit.granted_at().unwrap());
        // The tokens of a call that needed them all do not come back: each grant stands for what it reserved.
        let grant = Grant { amount, from: at, until: at, told, ending: None, back: 0, ended: None };
        let entry = shared.log().granted(GPT, grant);
        dice.pause(20).await;
        shared.log().entry(&entry).ending = Some(now());
        permit.settle(Usage::new()).await.unwrap_or_else(|error| panic!("settled once: {error}"));
        shared.log().entry(&entry).ended = Some(now());
    }
}

async fn by_http(shared: Arc<Shared>, ways: Vec<Http>, mut dice: Dice) {
    let mut way = 0;
    while !shared.is_over() {
        let (amount, asked) = (1 + dice.below(40), now());
        let number = shared.asked.fetch_add(1, Ordering::SeqCst);
        let body = json!({"resource": GPT, "tokens": amount, "wait_seconds": 5, "lease_seconds": 120});
        // By its key a request that was not answered finds its own ticket, whoever is asked.
        let key = format!("call-{number}");
        let permit = loop {
            match ways[way].idempotent(&key, &body).await {
                Ok(answer) if answer.status == 200 => break answer.said("permit").to_owned(),
                Ok(answer) if answer.status == 202 => {}
                Ok(answer) if answer.status == 503 => dice.pause(50).await,
                Ok(answer) => panic!("{answer:?}"),
                Err(_) => {
                    way = (way + 1) % ways.len();
                    dice.pause(20).await;
                }
            }
        };
        let told = now();
        let grant = Grant { amount, from: asked, until: told, told, ending: None, back: 0, ended: None };
        let entry = shared.log().granted(GPT, grant);
        dice.pause(20).await;
        shared.log().entry(&entry).ending = Some(now());
        let mut is_sure = true;
        loop {
            match ways[way].post(&format!("/v1/permits/{permit}/settle"), &Value::Null).await {
                Ok(answer) if answer.status == 200 => break,
                Ok(answer) if answer.kind() == "permit-over" && !is_sure => break,
                Ok(answer) if answer.status == 503 => dice.pause(50).await,
                Ok(answer) => panic!("{answer:?}"),
                Err(_) => way = (way + 1) % ways.len(),
            }
            is_sure = false;
        }
        shared.log().entry(&entry).ended = Some(now());
    }
}

/// Waits until every slot is back and nobody waits; returns what the server shows then.
async fn nothing_is_out(http: &Http) -> Value {
    let began = now();
    loop {
        let shown = http.done(Method::GET, &format!("/v1/resources/{GPT}"), &Value::Null).await;
        let free = limit(&shown, "concurrent_requests")["left"] == json!(SLOTS);
        if free && shown["in_flight"] == 0 && shown["waiting"] == 0 {
            return shown;
        }
        assert!(now() - began < 30_000, "something leaked: {shown}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
