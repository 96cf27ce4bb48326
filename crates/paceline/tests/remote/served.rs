//! What callers see of a server that does as it should.

use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use paceline::host::{Host, HostOptions};
use paceline::remote::{PROTOCOL, Terms};
use paceline::wire::{Up, write_up};
use paceline::{Demand, Error, Event, GrantedVia, Limiter, Usage};
use paceline_testkit::{RedisServer, until};
use tokio_tungstenite::tungstenite::Message;

use crate::server::{GPT, Server, open, secs};

/// Two ways are two stores of this process, and one line at the server.
#[test]
fn who_waits_on_a_socket_is_granted_what_is_settled_over_tcp() {
    let server = Server::start();
    let (_one, here) = open(&server.http(), 1);
    let (other, there) = open(&server.unix(), 1);
    let permit = here.acquire(Demand::new()).wait().unwrap();
    assert_eq!(permit.granted_via(), GrantedVia::Ledger);
    let mut events = other.events().blocking();
    let asked = there.clone();
    let waits = std::thread::spawn(move || asked.acquire(Demand::new()).timeout(secs(20)).wait());
    events.find(|event| matches!(event, Event::Queued { .. })).unwrap();
    let seen = here.snapshot().wait().unwrap();
    assert_eq!((seen.resource.in_flight, seen.resource.waiting), (1, 1));
    permit.settle(Usage::new()).wait().unwrap();
    let granted = waits.join().unwrap().unwrap();
    // A heartbeat would have found it after 3 s; a push does at once.
    let settled = granted.granted_at().unwrap();
    granted.give_back().wait().unwrap();
    assert!(paceline::Clock::System.now_ms() - settled < 1_000);
    assert_eq!(server.connections(), 2, "one connection for each store");
}

#[test]
fn many_callers_share_one_connection() {
    let server = Server::start();
    let (_limiter, resource) = open(&server.http(), 64);
    let threads: Vec<_> = (0..16)
        .map(|_| {
            let resource = resource.clone();
            std::thread::spawn(move || {
                for _ in 0..50 {
                    resource.acquire(Demand::new()).wait().unwrap().settle(Usage::new()).wait().unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let seen = resource.snapshot().wait().unwrap();
    let total = seen.limits.iter().find(|limit| &*limit.name == "total").unwrap();
    assert!((1_000_000 - total.left - 800).abs() <= 1, "{total:?}");
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_server_before_redis_forwards_sessions_as_they_are() {
    let redis = RedisServer::start();
    let behind = Limiter::builder().store(redis.url()).key_prefix("own:");
    let server = Server::of(paceline::remote::link_to(&redis.url(), "own:").unwrap(), Terms::default());
    let behind =
        behind.limits(crate::server::limits(1), [paceline::core::ResourceSpec::new(GPT)]).build().unwrap();
    let (_front, front) = open(&server.http(), 1);
    let held = behind.resource(GPT).unwrap().acquire(Demand::new()).wait().unwrap();
    let busy = front.try_acquire(Demand::new()).wait();
    assert!(matches!(busy, Err(Error::Busy(_))), "{busy:?}");
    let waits = std::thread::spawn(move || front.acquire(Demand::new()).timeout(secs(20)).wait());
    let resource = behind.resource(GPT).unwrap();
    until("the ticket is in line", || {
        (resource.snapshot().wait().unwrap().resource.waiting == 1).then_some(())
    });
    let pushed = paceline::Clock::System.now_ms();
    held.settle(Usage::new()).wait().unwrap();
    let permit = waits.join().unwrap().unwrap();
    let took = paceline::Clock::System.now_ms() - pushed;
    assert!(took < 2_000, "{took} ms: a push on the channel of another prefix was not heard");
    permit.give_back().wait().unwrap();
}

#[test]
fn a_limiter_without_a_configuration_takes_the_servers() {
    let text = "openai:\n  gpt-4o: {requests_per_minute: 500, concurrent_requests: 2}\n";
    let terms = Terms { configuration: Some(text.to_owned()), ..Terms::default() };
    let server = Server::of(Host::new(HostOptions::default()), terms);
    let limiter = Limiter::builder().store(server.http()).build().unwrap();
    assert_eq!(limiter.resources().iter().map(ToString::to_string).collect::<Vec<_>>(), ["openai/gpt-4o"]);
    let resource = limiter.resource("openai/gpt-4o").unwrap();
    let held: Vec<_> = (0..2).map(|_| resource.acquire(Demand::new()).wait().unwrap()).collect();
    assert!(matches!(resource.try_acquire(Demand::new()).wait(), Err(Error::Busy(_))));
    drop(held);
}

#[test]
fn a_configuration_that_cannot_be_read_is_named_by_its_server() {
    let terms = Terms { configuration: Some("openai: [".to_owned()), ..Terms::default() };
    let server = Server::of(Host::new(HostOptions::default()), terms);
    let error = Limiter::builder().store(server.http()).build().unwrap_err();
    assert!(matches!(error, Error::Config(_)) && error.to_string().contains(&server.http()), "{error}");
}

#[test]
fn what_the_guard_refuses_is_said_with_its_reason() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    let guard = move |ledger: &str, batch: Option<&[u8]>| {
        kept.lock().unwrap().push((ledger.to_owned(), batch.is_some()));
        if batch.is_some() { Err("this key may not acquire gpt".to_owned()) } else { Ok(()) }
    };
    let terms = Terms { guard: Arc::new(guard), ..Terms::default() };
    let server = Server::of(Host::new(HostOptions::default()), terms);
    let (_limiter, resource) = open(&server.http(), 1);
    let error = resource.acquire(Demand::new()).timeout(secs(20)).wait().unwrap_err();
    assert!(
        matches!(&error, Error::StoreUnavailable { .. }) && error.to_string().contains("this key may not")
    );
    let asked = asked.lock().unwrap();
    assert!(asked.iter().any(|(_, batch)| *batch) && asked.iter().any(|(_, batch)| !*batch), "{asked:?}");
    assert!(asked.iter().all(|(ledger, _)| ledger == "default"));
}

/// What a connection listened to, a server that forwards to Redis does not listen to any longer.
#[test]
fn channels_of_redis_are_left_with_the_connection() {
    let redis = RedisServer::start();
    let server = Server::of(paceline::remote::link_to(&redis.url(), "own:").unwrap(), Terms::default());
    let subscribed = || format!("{:?}", redis.cli(&["PUBSUB", "CHANNELS"]));
    server.run(async {
        let mut socket = server.raw().await;
        for up in [
            Up::Hello { protocol: PROTOCOL, library: "1", name: "raw" },
            Up::Listen { id: 1, channel: "paceline:{openai}:to:00ff" },
        ] {
            socket.send(Message::binary(write_up(&up))).await.unwrap();
            socket.next().await.unwrap().unwrap();
        }
        assert!(subscribed().contains("own:{openai}:to:00ff"), "{}", subscribed());
    });
    until("nobody subscribes", || (!subscribed().contains("openai")).then_some(()));
}
