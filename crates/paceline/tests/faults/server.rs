//! One server that stands still, forgets its scripts, or drops its clients.

use std::time::Duration;

use paceline_testkit::{RedisServer, pause};

use crate::crew::{Crew, Story};
use crate::plan::{Plan, measured};

/// Three workers under load, while something happens to the server.
fn under_load(server: &RedisServer, what: impl FnOnce(&mut Crew)) -> Story {
    let plan = Plan::slots(server.url(), 3).tokens(600, 1_000).counted();
    let mut crew = Crew::start(&plan, 3);
    crew.tell_all("load 3 3 2");
    crew.goes_on(10);
    what(&mut crew);
    crew.goes_on(20);
    let story = crew.finish();
    assert_eq!((story.events("expired"), story.events("state_lost")), (0, 0), "nothing was lost");
    assert_eq!(story.ended("over"), 0);
    story
}

#[test]
fn a_server_that_sleeps_costs_the_time_it_sleeps() {
    let server = RedisServer::start();
    let story = under_load(&server, |_| drop(server.ask(&["DEBUG", "SLEEP", "0.8"])));
    measured("DEBUG SLEEP 0.8, the longest gap between grants", story.longest_gap());
    assert!(story.longest_gap() >= 700, "{} ms", story.longest_gap());
}

#[test]
fn a_server_that_sleeps_for_longer_than_a_session_takes_nobody_for_dead() {
    let server = RedisServer::start();
    let story = under_load(&server, |_| drop(server.ask(&["DEBUG", "SLEEP", "2.5"])));
    measured("DEBUG SLEEP 2.5, the longest gap between grants", story.longest_gap());
    assert!(story.longest_gap() >= 2_400, "{} ms", story.longest_gap());
}

#[test]
fn a_server_that_forgets_its_scripts_is_told_them_again() {
    let server = RedisServer::start();
    let story = under_load(&server, |crew| {
        for _ in 0..20 {
            server.cli(&["SCRIPT", "FLUSH"]);
            pause(Duration::from_millis(20));
        }
        crew.goes_on(1);
    });
    measured("SCRIPT FLUSH, the longest gap between grants", story.longest_gap());
    assert_eq!(story.events("lost"), 0, "no caller and no reader of events sees it");
}

#[test]
fn a_server_that_drops_its_clients_is_connected_to_again() {
    let server = RedisServer::start();
    let story = under_load(&server, |_| {
        for kind in ["normal", "pubsub"].iter().cycle().take(10) {
            server.cli(&["CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"]);
            pause(Duration::from_millis(100));
        }
    });
    measured("CLIENT KILL, the longest gap between grants", story.longest_gap());
}
