//! Fail-overs, and slots that move.

use std::time::Duration;

use paceline_testkit::{RedisCluster, RedisSentinel, pause, slot_of};

use crate::crew::Crew;
use crate::plan::{Plan, measured};

#[test]
fn a_replica_takes_over_where_the_primary_is_killed() {
    let mut all = RedisSentinel::start(1);
    let plan = Plan::slots(all.url(), 3).tokens(600, 1_000);
    let mut crew = Crew::start(&plan, 3);
    crew.tell_all("load 3 3 2");
    crew.goes_on(10);
    let before = all.primary_port();
    all.primary_mut().kill();
    all.wait_for_another_primary(before);
    crew.goes_on(10);
    let story = crew.finish();
    measured("sentinel fail-over, the longest gap between grants", story.longest_gap());
    assert!(story.events("lost") >= 3, "everybody was told");
}

#[test]
fn a_replica_takes_over_where_it_is_told_to() {
    let all = RedisSentinel::start(1);
    let plan = Plan::slots(all.url(), 3).tokens(600, 1_000);
    let mut crew = Crew::start(&plan, 2);
    crew.tell_all("load 3 3 2");
    crew.goes_on(10);
    all.fail_over();
    crew.goes_on(10);
    let story = crew.finish();
    measured("SENTINEL FAILOVER, the longest gap between grants", story.longest_gap());
}

#[test]
fn a_slot_moves_under_load() {
    let cluster = RedisCluster::start();
    let plan = Plan::slots(cluster.url(), 3).tokens(600, 1_000).counted();
    let mut crew = Crew::start(&plan, 3);
    crew.tell_all("load 3 3 2");
    crew.goes_on(10);
    let slot = slot_of("paceline:{default}:ledger");
    let home = cluster.owner_of(slot);
    for to in [(home + 1) % 3, (home + 2) % 3, home] {
        cluster.begin_migration(slot, to);
        pause(Duration::from_millis(100));
        cluster.finish_migration(slot, to);
        crew.goes_on(10);
    }
    let story = crew.finish();
    measured("slot migration, the longest gap between grants", story.longest_gap());
    assert_eq!((story.events("expired"), story.events("state_lost")), (0, 0), "nothing was lost");
}
