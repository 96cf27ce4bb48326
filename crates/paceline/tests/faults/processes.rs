//! Workers that die, and workers that come back from the dead.

use std::time::Duration;

use paceline_testkit::{RedisServer, pause};

use crate::crew::Crew;
use crate::plan::{Plan, measured, now};

/// The longest that a dead worker's places are taken: a session, a heartbeat, and half a second for a busy machine.
fn longest(plan: &Plan) -> u64 {
    plan.session + plan.session / 3 + 500
}

pub(crate) fn a_holder_is_killed(url: &str) {
    let mut crew = Crew::start(&Plan::slots(url, 1), 2);
    crew.granted(0, "held");
    crew.queued(1, "next");
    let killed = crew.kill(0);
    let free = crew.waits_for_grant(1, "next").wall.saturating_sub(killed);
    measured("kill -9 of a holder, until its slot is granted", free);
    assert!(free <= longest(&crew.plan), "{free} ms");
    assert!(free >= crew.plan.session / 2, "{free} ms: it may still have been alive");
    crew.end(1, "next");
    crew.finish();
}

pub(crate) fn the_first_in_line_is_killed(url: &str) {
    let mut crew = Crew::start(&Plan::slots(url, 1), 3);
    crew.granted(0, "held");
    crew.queued(1, "first");
    crew.queued(2, "second");
    let killed = crew.kill(1);
    assert_eq!(crew.end(0, "held"), "settled");
    let free = crew.waits_for_grant(2, "second").wall.saturating_sub(killed);
    measured("kill -9 of the first in line, until the second goes", free);
    assert!(free <= longest(&crew.plan), "{free} ms");
    crew.end(2, "second");
    crew.finish();
}

pub(crate) fn a_worker_comes_back_from_the_dead(url: &str) {
    let mut crew = Crew::start(&Plan::slots(url, 1), 2);
    crew.granted(0, "held");
    crew.queued(0, "mine");
    crew.queued(1, "other");
    let frozen = crew.freeze(0);
    let freed = crew.waits_for_grant(1, "other").wall - frozen;
    measured("SIGSTOP of a holder, until its slot is granted", freed);
    pause(Duration::from_millis(crew.plan.session));
    crew.thaw(0);
    let thawed = now();
    crew.hear(0, " expired");
    measured("SIGCONT, until the worker is told", now() - thawed);
    assert_eq!(crew.end(0, "held"), "over", "its permits are inert");
    assert_eq!(crew.heard(0, "grant mine"), 0, "the other one still holds the slot");
    assert_eq!(crew.end(1, "other"), "settled");
    crew.waits_for_grant(0, "mine");
    assert_eq!(crew.end(0, "mine"), "settled");
    let story = crew.finish();
    assert_eq!(story.events("expired"), 1);
}

pub(crate) fn some_die_and_some_freeze(url: &str) {
    let plan = Plan::slots(url, 4).tokens(400, 1_000);
    let mut crew = Crew::start(&plan, 4);
    crew.tell_all("load 4 5 3");
    crew.goes_on(5);
    crew.kill(0);
    let frozen = crew.freeze(1);
    pause(Duration::from_millis(2 * plan.session));
    crew.thaw(1);
    crew.goes_on(10);
    let joined = crew.join(&plan.url);
    crew.tell(joined, "load 2 5 3");
    crew.goes_on(5);
    let story = crew.finish();
    measured("one worker killed, one stopped: the longest gap between grants", story.longest_gap());
    assert!(story.events.iter().any(|(at, when, event)| *at == 1 && event == "expired" && *when >= frozen));
}

#[test]
fn what_a_killed_worker_held_is_free_after_a_session() {
    a_holder_is_killed(&RedisServer::start().url());
}

#[test]
fn the_next_goes_where_the_first_in_line_is_killed() {
    the_first_in_line_is_killed(&RedisServer::start().url());
}

#[test]
fn a_worker_that_comes_back_from_the_dead_is_told_and_works_on() {
    a_worker_comes_back_from_the_dead(&RedisServer::start().url());
}

#[test]
fn workers_die_and_freeze_under_load() {
    some_die_and_some_freeze(&RedisServer::start().url());
}
