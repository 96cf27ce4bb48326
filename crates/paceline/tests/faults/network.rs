//! A network that loses, delays and cuts, before and after the store has done what it was asked.

use std::time::Duration;

use paceline_testkit::{Fault, FaultProxy, RedisServer, pause};

use crate::crew::Crew;
use crate::plan::{Plan, measured, now};

/// Two workers behind networks of their own, which fail in this way again and again.
fn fails(what: &str, fault: Fault, lasting: u64) {
    let server = RedisServer::start();
    let ways = [FaultProxy::to(server.port()), FaultProxy::to(server.port())];
    let plan = Plan::slots(server.url(), 2).tokens(600, 1_000).counted();
    let mut crew = Crew::by(&plan, &ways.each_ref().map(FaultProxy::url));
    crew.tell_all("load 3 3 2");
    crew.goes_on(5);
    for round in 0..6 {
        let way = &ways[round % 2];
        way.set(fault);
        pause(Duration::from_millis(lasting));
        way.set(Fault::None);
        crew.goes_on(3);
    }
    let story = crew.finish();
    measured(&format!("{what} for {lasting} ms, the longest gap between grants"), story.longest_gap());
    assert_eq!((story.events("expired"), story.events("state_lost")), (0, 0), "nothing was lost");
    assert_eq!(story.ended("over"), 0, "every permit was settled once");
}

#[test]
fn requests_that_are_lost_change_nothing() {
    fails("dropped requests", Fault::DropRequests, 150);
}

#[test]
fn replies_that_are_lost_change_nothing() {
    fails("dropped replies", Fault::DropReplies, 150);
}

#[test]
fn replies_that_are_cut_change_nothing() {
    for most in [1, 7, 40] {
        fails(&format!("replies cut after {most} bytes"), Fault::CutReplyAfter(most), 50);
    }
}

#[test]
fn connections_that_are_reset_change_nothing() {
    fails("resets", Fault::Reset, 150);
}

#[test]
fn a_slow_network_only_costs_its_time() {
    fails("a delay of 100 ms each way", Fault::Delay(Duration::from_millis(100)), 500);
}

/// A settlement whose request, or whose reply, is lost: the slot is free once, and the caller is told so once.
#[test]
fn a_settlement_is_not_lost_and_not_done_twice() {
    let server = RedisServer::start();
    let way = FaultProxy::to(server.port());
    let plan = Plan::slots(server.url(), 1).counted();
    let mut crew = Crew::by(&plan, &[way.url(), server.url()]);
    let faults = [Fault::DropRequests, Fault::DropReplies, Fault::CutReplyAfter(9), Fault::Reset];
    for (at, fault) in faults.into_iter().enumerate() {
        let (tag, next) = (format!("held{at}"), format!("next{at}"));
        crew.granted(0, &tag);
        crew.queued(1, &next);
        way.set(fault);
        crew.tell(0, &format!("settle {tag}"));
        pause(Duration::from_millis(200));
        let applied = crew.heard(1, &format!("grant {next} "));
        match fault {
            Fault::DropRequests | Fault::Reset => assert_eq!(applied, 0, "{fault:?}: the store did not hear"),
            _ => assert_eq!(applied, 1, "{fault:?}: the store did hear"),
        }
        way.set(Fault::None);
        let healed = now();
        assert!(crew.hear(0, &format!("ended {tag} ")).contains(" settled "), "{fault:?}");
        measured(&format!("{fault:?}, from its end until the settlement is confirmed"), now() - healed);
        crew.waits_for_grant(1, &next);
        assert_eq!(crew.end(1, &next), "settled");
    }
    crew.finish();
}

/// A request for a permit whose reply is lost: one permit, and the caller has it.
#[test]
fn a_permit_is_not_granted_twice_where_its_reply_is_lost() {
    let server = RedisServer::start();
    let way = FaultProxy::to(server.port());
    let plan = Plan::slots(server.url(), 1).counted();
    let mut crew = Crew::by(&plan, &[way.url(), server.url()]);
    for (at, fault) in [Fault::DropReplies, Fault::CutReplyAfter(9)].into_iter().enumerate() {
        // The session is open, and alive.
        crew.granted(0, &format!("before{at}"));
        crew.end(0, &format!("before{at}"));
        way.set(fault);
        crew.tell(0, &format!("ask mine{at} a 1 20000"));
        pause(Duration::from_millis(200));
        crew.queued(1, &format!("other{at}"));
        way.set(Fault::None);
        crew.waits_for_grant(0, &format!("mine{at}"));
        assert_eq!(crew.heard(1, &format!("grant other{at} ")), 0, "the slot is taken");
        crew.end(0, &format!("mine{at}"));
        crew.waits_for_grant(1, &format!("other{at}"));
        crew.end(1, &format!("other{at}"));
    }
    crew.finish();
}
