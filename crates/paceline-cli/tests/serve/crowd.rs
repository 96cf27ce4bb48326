//! Thousands who wait at once, by long polls and in sessions of their own: all are served, in bounded memory.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hyper::Method;
use paceline::core::SessionId;
use paceline::remote::{PATH, PROTOCOL};
use paceline::wire::{self, Answer, Ask, Decided, Down, Header, Reply, Status, Up};
use paceline_testkit::allow_open_files;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::kit::{Folder, Http, Serving, block_on, memory, now, number};

const GPT: &str = "gpt";
/// The time-out of a session, and how often it says that it lives.
const TIME_OUT_MS: u64 = 60_000;
const BEAT: Duration = Duration::from_secs(15);
/// How many knock at the door at once.
const DOOR: usize = 64;

/// What a server may take, in kilobytes: by itself, and for each who waits. About twice what was measured.
const ITSELF: u64 = 40_000;
const EACH_POLL: u64 = 60;
const EACH_SESSION: u64 = 120;

/// A session of its own on a connection of its own, as a process with an SDK has one.
struct Session {
    socket: WebSocketStream<TcpStream>,
    id: SessionId,
    calls: u64,
    n: u64,
    last: Option<Reply>,
}

impl Session {
    async fn open(port: u16, number: u64) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (socket, _) = client_async(format!("ws://127.0.0.1:{port}{PATH}"), stream).await.unwrap();
        let id = SessionId(u128::from(number) << 64 | 0xC);
        let mut session = Self { socket, id, calls: 0, n: 0, last: None };
        session.say(&Up::Hello { protocol: PROTOCOL, library: "0", name: "a crowd" }).await;
        session.frame().await;
        let channel = session.channel();
        session.say(&Up::Listen { id: 0, channel: &channel }).await;
        session.frame().await;
        session
    }

    fn channel(&self) -> String {
        format!("paceline:{{{GPT}}}:to:{:032x}", self.id.0)
    }

    async fn say(&mut self, up: &Up<'_>) {
        self.socket.send(Message::binary(wire::write_up(up))).await.unwrap();
    }

    async fn frame(&mut self) -> Vec<u8> {
        loop {
            match self.socket.next().await.unwrap().unwrap() {
                Message::Binary(frame) => return frame.into(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("not a frame: {other:?}"),
            }
        }
    }

    /// Sends the next batch, and returns the reply.
    async fn call(&mut self, asks: &[Ask<'_>]) -> Reply {
        (self.n, self.calls) = (self.n + 1, self.calls + 1);
        let (inbox, last) = (self.channel(), self.last.take());
        let header = Header {
            session: Some(self.id),
            n: self.n,
            seen: 0,
            epoch: last.as_ref().map_or("", |last| &last.epoch),
            seq: last.as_ref().map_or(0, |last| last.seq),
            promised: last.as_ref().map_or(0, |last| last.kept_until),
            time_out: TIME_OUT_MS,
            inbox: &inbox,
            fresh: "00112233445566778899aabbccddeeff",
            on_lost: "elapsed",
            ..Header::default()
        };
        let batch = wire::write_batch(&header, asks);
        self.say(&Up::Call { id: self.calls, ledger: GPT, batch: &batch }).await;
        loop {
            let frame = self.frame().await;
            match wire::read_down(&frame).unwrap() {
                Down::Reply { id, reply } if id == self.calls => {
                    let reply = wire::read_reply(reply).unwrap();
                    assert_eq!(reply.status, Status::Ok);
                    self.last = Some(reply.clone());
                    return reply;
                }
                // It is in the reply as well.
                Down::Push { .. } => {}
                other => panic!("not a reply: {other:?}"),
            }
        }
    }

    /// Waits until a reply tells of the grant, looking after each push and in between.
    async fn waits(&mut self) {
        let told = |reply: &Reply| {
            reply.outbox.iter().any(|entry| matches!(entry.decided, Decided::Granted { number: 1, .. }))
        };
        loop {
            // A push, or time to say that it lives.
            let _ = tokio::time::timeout(BEAT, self.frame()).await;
            if told(&self.call(&[]).await) {
                return;
            }
        }
    }
}

/// Joins the line, waits, and settles.
async fn by_session(port: u16, number: u64, door: Arc<Semaphore>) {
    let knock = door.acquire().await.unwrap();
    let mut session = Session::open(port, number).await;
    let ask = Ask::Acquire {
        session: None,
        number: 1,
        resource: GPT,
        lane: None,
        amounts: &[("requests", 1), ("concurrent_requests", 1)],
        within: u64::MAX,
        head_start: 0,
        wait: true,
        why: false,
    };
    let queued = session.call(&[ask]).await;
    assert!(matches!(queued.outcomes[..], [Answer::Queued { .. }]), "{queued:?}");
    drop(knock);
    session.waits().await;
    let settled = session.call(&[Ask::Settle { session: None, number: 1, usage: Some(&[]) }]).await;
    assert!(matches!(settled.outcomes[..], [Answer::Settled { .. }]), "{settled:?}");
}

/// Asks on a connection of its own, and polls until it is served.
async fn by_poll(http: Http, door: Arc<Semaphore>) {
    let knock = door.acquire().await.unwrap();
    let ask = json!({"resource": GPT, "wait_seconds": 0, "lease_seconds": 600});
    let mut answer = http.post("/v1/acquire", &ask).await.unwrap();
    drop(knock);
    while answer.status == 202 {
        let poll = format!("{}&wait_seconds=60", answer.said("poll"));
        answer = http.get(&poll).await.unwrap();
    }
    assert_eq!(answer.status, 200, "{answer:?}");
    let settle = format!("/v1/permits/{}/settle", answer.said("permit"));
    let settled = http.post(&settle, &Value::Null).await.unwrap();
    assert_eq!(settled.status, 200, "{settled:?}");
}

/// Waits until so many wait, and the server has taken up as many requests.
async fn parked(http: &Http, tickets: u64) {
    let began = now();
    loop {
        let shown = http.done(Method::GET, &format!("/v1/resources/{GPT}"), &Value::Null).await;
        if shown["waiting"] == json!(tickets) {
            return;
        }
        assert!(now() - began < 120_000, "{tickets} are to wait: {shown}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn crowd(polls: u64, sessions: u64) {
    allow_open_files(polls + sessions + 1_000);
    let folder = Folder::new();
    let state = folder.path().join("state").display().to_string();
    let bounds = ["--open-waits", "20000", "--requests-per-second", "100000"];
    let server = Serving::with(folder, &[&["--state", &state], &bounds[..]].concat());
    let (http, resource) = (server.http(), format!("/v1/resources/{GPT}"));
    http.done(Method::PUT, &resource, &json!({"concurrent_requests": 1})).await;
    let held = http.done(Method::POST, "/v1/acquire", &json!({"resource": GPT})).await;
    let (idle, began, door) = (memory(server.id()).0, now(), Arc::new(Semaphore::new(DOOR)));
    let mut crowd: Vec<JoinHandle<()>> = Vec::new();
    for at in 0..polls.max(sessions) {
        if at < polls {
            crowd.push(tokio::spawn(by_poll(http.clone(), Arc::clone(&door))));
        }
        if at < sessions {
            crowd.push(tokio::spawn(by_session(server.port, at + 1, Arc::clone(&door))));
        }
    }
    parked(&http, polls + sessions).await;
    let (waiting, joined) = (memory(server.id()).0, now());
    assert!(crowd.iter().all(|one| !one.is_finished()), "somebody did not wait");
    // There is room for all of them at once, and everybody is told.
    http.done(Method::PUT, &resource, &json!({"concurrent_requests": 100_000})).await;
    for one in crowd {
        tokio::time::timeout(Duration::from_secs(100), one).await.expect("everybody is served").unwrap();
    }
    let served = now();
    http.done(
        Method::POST,
        &format!("/v1/permits/{}/settle", held["permit"].as_str().unwrap()),
        &Value::Null,
    )
    .await;
    let shown = http.done(Method::GET, &resource, &Value::Null).await;
    assert_eq!((&shown["in_flight"], &shown["waiting"]), (&json!(0), &json!(0)), "{shown}");
    let (_, most) = memory(server.id());
    eprintln!(
        "{polls} polls and {sessions} sessions: waiting after {} ms, served within {} ms; memory in kB: {idle} before, \
         {waiting} with all of them waiting, {most} at most",
        joined - began,
        served - joined,
    );
    let bound = ITSELF + polls * EACH_POLL + sessions * EACH_SESSION;
    assert!(most <= bound, "{most} kB were used, {bound} kB may be");
}

/// `PACELINE_CROWD` says how many polls there are; there is a session for each five of them, unless
/// `PACELINE_CROWD_SESSIONS` says otherwise.
#[test]
fn thousands_wait_in_bounded_memory_and_all_are_served() {
    let polls = number("PACELINE_CROWD", 1_000);
    block_on(crowd(polls, number("PACELINE_CROWD_SESSIONS", polls / 5)));
}
