//! `kill -9` of a server with its state on disk, at random instants, with many permits out: nothing over, what must last
//! lasts, and everybody is served in the end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::Method;
use paceline::{Demand, Error, GrantedVia, Limiter, Usage};
use paceline_testkit::FaultProxy;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::kit::{Answer, Dice, Http, Serving, block_on, limit, limiter, now, number};
use crate::lasting::Lasting;
use crate::referee::{Grant, Log, never_over_bucket, never_over_slots};

/// Tokens of a minute.
const MINUTE: u64 = 300_000;
/// Calls at once.
const SLOTS: usize = 300;
/// Requests of a day, of a limit that is never used up, and of one that is.
const DAY: u64 = 200_000;
const SMALL: u64 = 400;
/// For so many lives of the server a daily limit is used: each of them costs it a hundredth.
const LIVES: u64 = 25;
/// Callers of each session, and over plain HTTP.
const CALLERS: u64 = 300;
const PLAIN: u64 = 150;
/// The longest that a call takes, in milliseconds.
const HOLD: u64 = 1_500;

/// What all callers share.
struct Crew {
    log: Mutex<Log>,
    /// How much of each daily limit may have been granted without anybody's knowing.
    unheard: Mutex<Vec<(String, u64)>>,
    life: AtomicU64,
    /// How often it was killed, while it started included.
    kills: AtomicU64,
    /// What each caller does, for when one is not served.
    doing: Mutex<BTreeMap<u64, String>>,
    stopped: AtomicBool,
}

/// What a caller asks for.
struct Wish {
    resource: String,
    metric: &'static str,
    amount: u64,
    waits: bool,
}

impl Crew {
    fn wish(&self, dice: &mut Dice) -> Wish {
        let era = self.life.load(Ordering::SeqCst) / LIVES;
        let (resource, metric, amount, waits) = match dice.below(10) {
            0..4 => ("minute".to_owned(), "tokens", 1 + dice.below(500), true),
            4..6 => ("slots".to_owned(), "concurrent_requests", 1, true),
            6..9 => (format!("day-{era}"), "requests", 1 + dice.below(3), true),
            _ => (format!("small-{era}"), "requests", 1, false),
        };
        Wish { resource, metric, amount, waits }
    }

    fn is_over(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    fn does(&self, caller: u64, what: &str) {
        self.doing.lock().unwrap().insert(caller, format!("{} {what}", now()));
    }

    fn log(&self) -> std::sync::MutexGuard<'_, Log> {
        self.log.lock().unwrap()
    }

    fn unheard_of(&self, resource: &str) -> u64 {
        let unheard = self.unheard.lock().unwrap();
        unheard.iter().filter(|(of, _)| of == resource).map(|(_, amount)| amount).sum()
    }
}

/// Calls by way of a session until told to stop.
async fn by_session(crew: Arc<Crew>, me: u64, limiter: Limiter, mut dice: Dice) {
    while !crew.is_over() {
        let wish = crew.wish(&mut dice);
        let resource = limiter.resource(&wish.resource).unwrap();
        crew.does(me, &format!("asks for {} of {}", wish.amount, wish.resource));
        let demand = match wish.metric {
            "requests" => Demand::new().requests(wish.amount),
            "tokens" => Demand::tokens(wish.amount),
            _ => Demand::new(),
        };
        let acquired =
            if wish.waits { resource.acquire(demand).await } else { resource.try_acquire(demand).await };
        let permit = match acquired {
            Ok(permit) => permit,
            Err(Error::Busy(_)) if !wish.waits => {
                dice.pause(100).await;
                continue;
            }
            Err(error) => panic!("{}: {error:?}", wish.resource),
        };
        assert_eq!(permit.granted_via(), GrantedVia::Ledger);
        let (told, at) = (now(), permit.granted_at().unwrap());
        let grant =
            Grant { amount: wish.amount, from: at, until: at, told, ending: None, back: 0, ended: None };
        let entry = crew.log().granted(&wish.resource, grant);
        dice.pause(HOLD).await;
        crew.log().entry(&entry).ending = Some(now());
        let back = if wish.metric == "tokens" { dice.below(wish.amount) } else { 0 };
        let usage = if back > 0 { Usage::tokens(wish.amount - back) } else { Usage::new() };
        crew.log().entry(&entry).back = back;
        crew.does(me, &format!("settles {} of {}", permit.id(), wish.resource));
        let settled = permit.settle(usage).await;
        crew.log().entry(&entry).ended = Some(now());
        settled.unwrap_or_else(|error| {
            panic!("{}: a session's permit is settled once: {error:?}", wish.resource)
        });
    }
}

/// Calls over plain HTTP until told to stop.
async fn by_http(crew: Arc<Crew>, me: u64, http: Http, mut dice: Dice) {
    while !crew.is_over() {
        let wish = crew.wish(&mut dice);
        let mut body = json!({"resource": wish.resource, "try": !wish.waits, "wait_seconds": dice.below(4)});
        if wish.metric != "concurrent_requests" {
            body[wish.metric] = json!(wish.amount);
        }
        let (asked, kills) = (now(), crew.kills.load(Ordering::SeqCst));
        crew.does(me, &format!("asks over HTTP for {body}"));
        let mut answer = http.post("/v1/acquire", &body).await;
        while let Ok(Answer { status: 202, body }) = &answer {
            crew.does(me, &format!("polls for {body}"));
            answer = http.get(body["poll"].as_str().unwrap()).await;
        }
        let Ok(answer) = answer else {
            crew.unheard.lock().unwrap().push((wish.resource, wish.amount));
            dice.pause(50).await;
            continue;
        };
        match (answer.status, answer.kind()) {
            (200, _) => {}
            (429, "busy") if !wish.waits => {
                dice.pause(100).await;
                continue;
            }
            (409, "permit-over") if kills != crew.kills.load(Ordering::SeqCst) => continue,
            _ => panic!("{}: {answer:?}", wish.resource),
        }
        let (permit, told) = (answer.said("permit").to_owned(), now());
        let grant =
            Grant { amount: wish.amount, from: asked, until: told, told, ending: None, back: 0, ended: None };
        let entry = crew.log().granted(&wish.resource, grant);
        dice.pause(HOLD).await;
        crew.log().entry(&entry).ending = Some(now());
        loop {
            crew.does(me, &format!("settles {permit} over HTTP"));
            let settled = http.post(&format!("/v1/permits/{permit}/settle"), &Value::Null).await;
            match settled.as_ref().map(|answer| (answer.status, answer.kind())) {
                Ok((200, _)) => break,
                // Nobody speaks for a plain caller after a restart; or this one's answer was lost.
                Ok((409, "permit-over")) if kills != crew.kills.load(Ordering::SeqCst) => break,
                Ok(_) => panic!("{}: {settled:?}", wish.resource),
                Err(_) => dice.pause(50).await,
            }
        }
        crew.log().entry(&entry).ended = Some(now());
    }
}

/// What the test saw of the server's lives.
#[derive(Default)]
struct Lives {
    /// When each process was started, from which on its bucket of a minute has earned anew.
    begun: Vec<u64>,
    out: Vec<usize>,
    /// How many kills there were when the daily limits of the present lives were made.
    made: u64,
}

/// Use of a long limit is neither forgotten nor more than a step a life above what was granted.
async fn long_limits_remember(crew: &Crew, http: &Http, life: u64, kills: u64) {
    for (name, amount) in [("day", DAY), ("small", SMALL)] {
        let name = format!("{name}-{}", life / LIVES);
        let granted = i64::try_from(crew.log().amount(&name)).unwrap();
        let shown = http.done(Method::GET, &format!("/v1/resources/{name}"), &Value::Null).await;
        let used = i64::try_from(amount).unwrap() - limit(&shown, "requests")["left"].as_i64().unwrap();
        let since = now() - crew.log().of(&name).first().map_or_else(now, |grant| grant.from);
        let earned = i64::try_from(since * amount / 86_400_000).unwrap() + 1;
        assert!(
            used + earned >= granted,
            "{name}: {granted} were granted, {used} are counted, {earned} came back"
        );
        let unheard = crew.unheard_of(&name) + (3 * CALLERS + PLAIN) * 3;
        let steps = kills * (amount / 100 + 2);
        let most = crew.log().amount(&name) + unheard + steps;
        assert!(used <= i64::try_from(most).unwrap(), "{name}: {used} are counted, {most} were used at most");
    }
}

/// Waits until each of these has had another permit.
async fn goes_on(crew: &Crew, http: &Http, names: &[String]) {
    let many = |name: &String| crew.log().of(name).len();
    let before: Vec<usize> = names.iter().map(many).collect();
    let began = now();
    while let Some((name, _)) = names.iter().zip(&before).find(|(name, before)| many(name) <= **before) {
        if now() - began > 30_000 {
            let shown = http.get(&format!("/v1/resources/{name}")).await;
            panic!("nobody is granted anything of {name}: {shown:?}");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Makes the daily limits of the next lives anew: each start cost the old ones a hundredth, used or not.
async fn make_long_limits(http: &Http, era: u64) {
    for (name, amount) in [("day", DAY), ("small", SMALL)] {
        let resource = format!("/v1/resources/{name}-{era}");
        http.done(Method::DELETE, &resource, &Value::Null).await;
        http.done(Method::PUT, &resource, &json!({"requests_per_day": amount})).await;
    }
}

/// Kills the server at a random instant, starts it again, and looks at what has to be there.
async fn a_life(
    crew: &Crew,
    server: &mut Serving,
    http: &Http,
    lasting: Lasting,
    dice: &mut Dice,
    lives: &mut Lives,
) -> Lasting {
    let life = crew.life.load(Ordering::SeqCst);
    if life % LIVES == LIVES - 1 {
        make_long_limits(http, life / LIVES + 1).await;
        lives.made = crew.kills.load(Ordering::SeqCst);
    }
    let changes = tokio::spawn(lasting.change(http.clone(), Dice::new(dice.below(1 << 40))));
    goes_on(crew, http, &["minute".to_owned(), format!("day-{}", life / LIVES)]).await;
    dice.pause(400).await;
    crew.life.fetch_add(1, Ordering::SeqCst);
    lives.out.push(crew.log().out());
    // Every fifth is killed again while it starts.
    for _ in 0..=u64::from(dice.below(5) == 0) {
        // Before the kill: what is refused from here on may be because of it.
        crew.kills.fetch_add(1, Ordering::SeqCst);
        server.kill();
        dice.pause(60).await;
        lives.begun.push(now());
        server.start();
        dice.pause(60).await;
    }
    server.ready();
    let mut lasting = changes.await.unwrap();
    let kills = crew.kills.load(Ordering::SeqCst);
    lasting.look(http, kills).await;
    long_limits_remember(crew, http, life + 1, kills - lives.made).await;
    lasting
}

/// Judges all grants.
fn judge(crew: &Crew, first: u64, lives: &Lives) {
    let log = crew.log();
    never_over_slots(log.of("slots"), SLOTS).unwrap();
    let mut had = vec![(first, MINUTE)];
    had.extend(lives.begun.iter().map(|begun| (*begun, 0)));
    never_over_bucket(log.of("minute"), (MINUTE, 60_000), &had).unwrap();
    for era in 0..=crew.life.load(Ordering::SeqCst) / LIVES {
        for (name, amount) in [("day", DAY), ("small", SMALL)] {
            never_over_bucket(log.of(&format!("{name}-{era}")), (amount, 86_400_000), &[(first, amount)])
                .unwrap();
        }
    }
}

async fn story(kills: u64, seed: u64) {
    let (mut server, mut dice) = (Serving::on_disk(), Dice::new(seed));
    let made =
        server.http().done(Method::POST, "/v1/keys", &json!({"name": "ops", "scopes": ["admin"]})).await;
    let key = made["secret"].as_str().unwrap();
    let http = server.http().with_key(key);
    let first = now();
    let bucket = json!({"metric": "tokens", "amount": MINUTE, "window": "1m", "algorithm": "token_bucket"});
    let mut limits = vec![
        ("minute".to_owned(), json!({"limits": [bucket]})),
        ("slots".to_owned(), json!({"concurrent_requests": SLOTS})),
    ];
    for era in 0..=kills / LIVES {
        limits.push((format!("day-{era}"), json!({"requests_per_day": DAY})));
        limits.push((format!("small-{era}"), json!({"requests_per_day": SMALL})));
    }
    for (name, body) in &limits {
        http.done(Method::PUT, &format!("/v1/resources/{name}"), body).await;
    }
    let mut lasting = Lasting::begin(&http).await;
    let crew = Arc::new(Crew {
        log: Mutex::default(),
        unheard: Mutex::default(),
        life: AtomicU64::new(0),
        kills: AtomicU64::new(0),
        doing: Mutex::default(),
        stopped: AtomicBool::new(false),
    });
    // Equal URLs are one session in a process: each of these is one of its own.
    let way = FaultProxy::to(server.port);
    let ways = [("127.0.0.1", server.port), ("localhost", server.port), ("127.0.0.1", way.port())];
    let limiters = ways.map(|(host, port)| format!("http://key:{key}@{host}:{port}"));
    let limiters = tokio::task::spawn_blocking(move || limiters.map(|url| limiter(&url))).await.unwrap();
    let mut callers: Vec<JoinHandle<()>> = Vec::new();
    for at in 0..CALLERS {
        let mut numbered = |call: &dyn Fn(Arc<Crew>, u64, Dice) -> JoinHandle<()>| {
            let number = callers.len() as u64;
            callers.push(call(Arc::clone(&crew), number, Dice::new(seed + number)));
        };
        for limiter in &limiters {
            numbered(&|crew, me, dice| tokio::spawn(by_session(crew, me, limiter.clone(), dice)));
        }
        if at < PLAIN {
            numbered(&|crew, me, dice| tokio::spawn(by_http(crew, me, http.clone(), dice)));
        }
    }
    let mut lives = Lives::default();
    for _ in 0..kills {
        lasting = a_life(&crew, &mut server, &http, lasting, &mut dice, &mut lives).await;
        assert!(callers.iter().all(|caller| !caller.is_finished()), "a caller gave up");
    }
    // Slots stay taken for ten seconds after a restart for those who have not spoken, and plain callers never do.
    goes_on(&crew, &http, &["minute".to_owned(), "slots".to_owned()]).await;
    crew.stopped.store(true, Ordering::SeqCst);
    for (at, caller) in callers.into_iter().enumerate() {
        if let Ok(ended) = tokio::time::timeout(Duration::from_secs(30), caller).await {
            ended.unwrap();
        } else {
            let shown = http.get("/v1/snapshot").await;
            let does = crew.doing.lock().unwrap().get(&(at as u64)).cloned();
            panic!("caller {at} is not served: at {} it does {does:?}; {shown:?}", now());
        }
    }
    nothing_is_out(&http).await;
    judge(&crew, first, &lives);
    lives.out.sort_unstable();
    let (count, most) = (crew.log().count(), lives.out.last().copied().unwrap_or(0));
    eprintln!(
        "{kills} kills ({} starts) in {} s: {count} grants, {} changes acknowledged, permits out at a kill: median {}, \
         most {most}",
        lives.begun.len(),
        (now() - first) / 1_000,
        lasting.done,
        lives.out.get(lives.out.len() / 2).copied().unwrap_or(0),
    );
    assert!(most > 200, "{most} permits were out at once");
}

/// Every slot comes back, and nobody waits.
async fn nothing_is_out(http: &Http) {
    let began = now();
    loop {
        let shown = http.done(Method::GET, "/v1/resources/slots", &Value::Null).await;
        let free = limit(&shown, "concurrent_requests")["left"] == json!(SLOTS);
        if free && shown["in_flight"] == 0 && shown["waiting"] == 0 {
            return;
        }
        assert!(now() - began < 40_000, "something leaked: {shown}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// `PACELINE_SERVE_KILLS` says how often, `PACELINE_SEED` at which instants.
#[test]
fn a_server_that_is_killed_at_random_instants_grants_nothing_twice_and_forgets_nothing() {
    let (kills, seed) = (number("PACELINE_SERVE_KILLS", 6), number("PACELINE_SEED", now()));
    eprintln!("PACELINE_SEED={seed}");
    block_on(story(kills, seed));
}
