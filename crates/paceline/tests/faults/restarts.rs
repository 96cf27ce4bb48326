//! Servers that die and come back, with what they had or without.

use std::time::Duration;

use paceline_testkit::{Redis, RedisServer, pause};

use crate::crew::Crew;
use crate::plan::{Plan, measured, now};

#[test]
fn a_server_that_appends_loses_nothing_when_it_is_killed() {
    let mut server = Redis::default().append_only().start();
    let plan = Plan::slots(server.url(), 3).tokens(600, 1_000).counted();
    let mut crew = Crew::start(&plan, 3);
    crew.tell_all("load 3 3 2");
    crew.goes_on(10);
    for _ in 0..2 {
        server.kill();
        pause(Duration::from_millis(300));
        server.start_again();
        crew.goes_on(10);
    }
    let story = crew.finish();
    measured(
        "kill -9 of the server for 0.3 s, with AOF: the longest gap between grants",
        story.longest_gap(),
    );
    assert_eq!((story.events("expired"), story.events("state_lost")), (0, 0), "nothing was lost");
    assert!(story.events("lost") >= 3 && story.events("back") >= 3, "everybody was told");
}

/// Two workers hold all slots, another waits; then all state is lost. What is held stays held.
fn state_is_lost(server: &mut RedisServer, what: &str, lose: impl FnOnce(&mut RedisServer)) {
    let plan = Plan::slots(server.url(), 2).tokens(40, 4_000);
    let mut crew = Crew::start(&plan, 3);
    crew.granted(0, "one");
    crew.granted(1, "two");
    crew.queued(2, "three");
    lose(server);
    let lost = now();
    for at in 0..3 {
        crew.hear(at, " state_lost");
    }
    measured(&format!("{what}, until every worker is told"), now() - lost);
    // By now whatever was taken for workers that did not speak is free again.
    pause(Duration::from_millis(plan.session * 2));
    assert_eq!(crew.heard(2, "grant three"), 0, "both slots are still taken");
    assert_eq!(crew.end(0, "one"), "settled");
    crew.waits_for_grant(2, "three");
    assert_eq!(crew.end(1, "two"), "settled");
    assert_eq!(crew.end(2, "three"), "settled");
    crew.tell_all("load 3 3 2");
    crew.goes_on(3);
    crew.finish();
}

#[test]
fn a_server_that_comes_back_empty_is_told_what_is_held() {
    let mut server = RedisServer::start();
    state_is_lost(&mut server, "restart without persistence", RedisServer::restart);
}

#[test]
fn a_server_that_is_flushed_is_told_what_is_held() {
    let mut server = RedisServer::start();
    state_is_lost(&mut server, "FLUSHALL", |server| drop(server.cli(&["FLUSHALL"])));
}

/// The limits do not double: the judge knows of no second bucket.
fn state_is_lost_under_load(server: &mut RedisServer, what: &str, lose: impl Fn(&mut RedisServer)) {
    let plan = Plan::slots(server.url(), 3).tokens(200, 2_000);
    let mut crew = Crew::start(&plan, 3);
    crew.tell_all("load 3 3 2");
    crew.goes_on(10);
    for _ in 0..2 {
        lose(server);
        crew.goes_on(5);
    }
    let story = crew.finish();
    measured(&format!("{what} under load, the longest gap between grants"), story.longest_gap());
    assert!(story.events("state_lost") >= 6, "everybody was told, each time");
}

#[test]
fn limits_do_not_double_where_a_server_comes_back_empty() {
    let mut server = RedisServer::start();
    state_is_lost_under_load(&mut server, "restart without persistence", RedisServer::restart);
}

#[test]
fn limits_do_not_double_where_a_server_is_flushed() {
    let mut server = RedisServer::start();
    state_is_lost_under_load(&mut server, "FLUSHALL", |server| drop(server.cli(&["FLUSHALL"])));
}

/// Nothing tells a server that was emptied from one that is used for the first time, as long as nobody speaks who knew
/// it before: the bound of what that costs is one more filling of the limits.
#[test]
fn who_comes_first_to_an_emptied_server_finds_it_full_until_the_others_speak() {
    let server = RedisServer::start();
    let plan = Plan::slots(server.url(), 2);
    let mut crew = Crew::start(&plan, 1);
    crew.granted(0, "one");
    crew.granted(0, "two");
    crew.freeze(0);
    server.cli(&["FLUSHALL"]);
    let newcomer = crew.join(&plan.url);
    crew.granted(newcomer, "three");
    crew.thaw(0);
    crew.hear(0, " state_lost");
    crew.tell(newcomer, "ask four a 1 20000");
    pause(Duration::from_millis(plan.session * 2));
    assert_eq!(crew.heard(newcomer, "grant four"), 0, "three are under way where two may");
    assert_eq!(crew.end(0, "one"), "settled");
    pause(Duration::from_millis(200));
    assert_eq!(crew.heard(newcomer, "grant four"), 0, "two are under way");
    assert_eq!(crew.end(0, "two"), "settled");
    crew.waits_for_grant(newcomer, "four");
    assert_eq!(
        (crew.end(newcomer, "three"), crew.end(newcomer, "four")),
        ("settled".into(), "settled".into())
    );
}

/// The ticket was sent before the permit that is held by now was asked for.
#[test]
fn a_ticket_that_waits_longer_than_a_permit_is_held_goes_after_a_loss() {
    let server = RedisServer::start();
    let plan = Plan::slots(server.url(), 0).tokens(40, 2_000);
    let mut crew = Crew::start(&plan, 1);
    crew.tell(0, "ask first a 40 20000");
    crew.waits_for_grant(0, "first");
    crew.tell(0, "ask waits a 40 20000");
    crew.until("the ticket is in line", |crew| crew.heard(0, " queued ") > 0);
    // It wants no tokens, and so does not delay who waits for them.
    crew.tell(0, "ask later b 0 20000");
    crew.waits_for_grant(0, "later");
    server.cli(&["FLUSHALL"]);
    crew.hear(0, " state_lost");
    crew.waits_for_grant(0, "waits");
    for tag in ["first", "later", "waits"] {
        assert_eq!(crew.end(0, tag), "settled");
    }
    crew.finish();
}
