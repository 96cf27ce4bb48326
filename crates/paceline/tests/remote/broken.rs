//! Connections that are lost at any instant.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use paceline::{Demand, Event, Usage};
use paceline_testkit::{Fault, FaultProxy, pause, until};

use crate::server::{Server, open, secs};

/// Works on a store with several threads while something happens to it; every call is counted once, and all comes back.
fn nothing_is_lost(url: &str, mut happens: impl FnMut(u64)) {
    const SLOTS: u64 = 3;
    let (limiter, resource) = open(url, SLOTS);
    let (stopped, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (under_way, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let events = limiter.events().blocking();
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (resource, stopped, done) = (resource.clone(), Arc::clone(&stopped), Arc::clone(&done));
            let (under_way, most) = (Arc::clone(&under_way), Arc::clone(&most));
            std::thread::spawn(move || {
                while !stopped.load(Ordering::SeqCst) {
                    let permit = resource.acquire(Demand::new()).timeout(secs(15)).wait().unwrap();
                    most.fetch_max(under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    pause(Duration::from_millis(1));
                    under_way.fetch_sub(1, Ordering::SeqCst);
                    permit.settle(Usage::new()).wait().unwrap();
                    done.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for round in 0..20 {
        let before = done.load(Ordering::SeqCst);
        pause(Duration::from_millis(round * 7 % 23));
        happens(round);
        until("calls go on", || (done.load(Ordering::SeqCst) > before + 5).then_some(()));
    }
    stopped.store(true, Ordering::SeqCst);
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(most.load(Ordering::SeqCst) <= SLOTS, "{most:?} calls were under way at once");
    let seen = until("all is back", || {
        let seen = resource.snapshot().wait().unwrap();
        (seen.resource.in_flight == 0 && seen.resource.waiting == 0).then_some(seen)
    });
    let total = seen.limits.iter().find(|limit| &*limit.name == "total").unwrap();
    let spent = i64::try_from(done.load(Ordering::SeqCst)).unwrap();
    // One comes back in half a minute.
    assert!((0..=1).contains(&(spent - (1_000_000 - total.left))), "{spent} calls were counted as {total:?}");
    limiter.close();
    let bad = events.filter(|event| matches!(event, Event::StateLost { .. } | Event::SessionExpired { .. }));
    assert_eq!(bad.count(), 0, "no session was lost with its connection");
}

#[test]
fn connections_that_the_server_ends_change_nothing() {
    let server = Server::start();
    nothing_is_lost(&server.http(), |_| server.cut());
    assert!(server.connections() > 15, "{} connections", server.connections());
}

#[test]
fn sockets_that_the_server_ends_change_nothing() {
    let server = Server::start();
    nothing_is_lost(&server.unix(), |_| server.cut());
    assert!(server.connections() > 15, "{} connections", server.connections());
}

#[test]
fn connections_that_are_cut_in_the_middle_of_a_frame_change_nothing() {
    let server = Server::start();
    let proxy = FaultProxy::to(server.port);
    nothing_is_lost(&format!("http://127.0.0.1:{}", proxy.port()), |round| {
        let fault = match round % 4 {
            0 => Fault::CutReplyAfter(1 + usize::try_from(round).unwrap() * 3),
            1 => Fault::DropReplies,
            2 => Fault::DropRequests,
            _ => Fault::Reset,
        };
        proxy.set(fault);
        pause(Duration::from_millis(30));
        proxy.set(Fault::None);
    });
}

#[test]
fn a_waiter_hears_of_its_grant_although_its_connection_was_lost_meanwhile() {
    let server = Server::start();
    let (_one, here) = open(&server.http(), 1);
    let (other, there) = open(&server.unix(), 1);
    let held = here.acquire(Demand::new()).wait().unwrap();
    let mut events = other.events().blocking();
    let waits = std::thread::spawn(move || there.acquire(Demand::new()).timeout(secs(20)).wait());
    events.find(|event| matches!(event, Event::Queued { .. })).unwrap();
    let before = server.connections();
    server.cut();
    until("both are connected again", || (server.connections() >= before + 2).then_some(()));
    held.settle(Usage::new()).wait().unwrap();
    let began = paceline::Clock::System.now_ms();
    let permit = waits.join().unwrap().unwrap();
    let took = paceline::Clock::System.now_ms() - began;
    // A heartbeat would find it within 3.3 s.
    assert!(took < 2_000, "{took} ms");
    permit.give_back().wait().unwrap();
}
