//! Clusters, and servers under sentinels.

use paceline_testkit::{RedisCluster, RedisSentinel, RedisServer, slot_of};

use super::{ECHO, LEDGER, SPUBLISH, call, call_until_answered, link, listen, told_at_once};
use crate::store::shared::link::Link;

/// A replica lets a script publish that writes nothing.
const WRITE_AND_PUBLISH: &str = "redis.call('SET', KEYS[2], ARGV[1]); \
                                 local to = string.gsub(KEYS[1], ':ledger$', ':to:0f'); \
                                 redis.call('PUBLISH', to, ARGV[1]); return 'published'";

fn run_id(server: &RedisServer) -> String {
    server.cli(&["INFO", "server"]).field("run_id").unwrap().to_owned()
}

#[tokio::test]
async fn a_cluster_is_used_by_its_url_and_found_by_that_of_any_node() {
    let cluster = RedisCluster::start();
    let owner = &cluster.nodes()[cluster.owner_of(slot_of("{openai}"))];
    for url in [cluster.url(), cluster.nodes()[0].url(), cluster.nodes()[1].url()] {
        let link = link(&url, SPUBLISH);
        let heard = listen(&link).await;
        assert!(link.sharded(), "{url}");
        assert_eq!(link.run_id(LEDGER), run_id(owner), "{url}");
        assert_eq!(call_until_answered(&link, "hint").await, "published");
        heard.hears("hint", async || {}).await;
    }
}

#[tokio::test]
async fn a_slot_that_moves_takes_its_pushes_along() {
    let cluster = RedisCluster::start();
    let slot = slot_of("{openai}");
    let (from, link) = (cluster.owner_of(slot), link(&cluster.url(), SPUBLISH));
    let heard = listen(&link).await;
    assert_eq!(call_until_answered(&link, "one").await, "published");
    let to = (from + 1) % 3;
    cluster.migrate(slot, to);
    assert_eq!(call_until_answered(&link, "two").await, "published");
    heard.hears("three", async || drop(call_until_answered(&link, "three").await)).await;
    assert_eq!(link.run_id(LEDGER), run_id(&cluster.nodes()[to]));
}

#[tokio::test]
async fn a_node_that_dies_and_comes_back_is_used_again() {
    let mut cluster = RedisCluster::start();
    let owner = cluster.owner_of(slot_of("{openai}"));
    let link = link(&cluster.url(), ECHO);
    assert_eq!(call_until_answered(&link, "one").await, "one");
    cluster.node_mut(owner).kill();
    assert!(call(&link, "two").await.is_err());
    cluster.node_mut(owner).start_again();
    assert_eq!(call_until_answered(&link, "three").await, "three");
    assert_eq!(call_until_answered(&link, "four").await, "four");
    assert_eq!(link.run_id(LEDGER), run_id(&cluster.nodes()[owner]));
}

#[tokio::test]
async fn the_primary_that_sentinels_name_is_followed() {
    let all = RedisSentinel::start(1);
    let link = link(&all.url(), WRITE_AND_PUBLISH);
    let heard = listen(&link).await;
    assert_eq!(call_until_answered(&link, "one").await, "published");
    let before = link.run_id(LEDGER);
    all.fail_over();
    heard.hears("two", async || drop(call_until_answered(&link, "two").await)).await;
    let server = all.servers().iter().find(|server| server.port() == all.primary_port()).unwrap();
    heard.hears("three", async || drop(call_until_answered(&link, "three").await)).await;
    assert_ne!(link.run_id(LEDGER), before);
    assert_eq!(link.run_id(LEDGER), run_id(server));
}

#[tokio::test]
async fn a_primary_that_is_killed_is_replaced() {
    let mut all = RedisSentinel::start(3);
    let link = link(&all.url(), "redis.call('SET', KEYS[1], 'x'); return 'ok'");
    assert_eq!(call_until_answered(&link, "one").await, "ok");
    let before = all.primary_port();
    all.primary_mut().kill();
    all.wait_for_another_primary(before);
    assert_eq!(call_until_answered(&link, "two").await, "ok");
}

#[tokio::test]
async fn a_sentinel_is_not_taken_for_a_server_nor_an_unknown_name_for_a_primary() {
    let all = RedisSentinel::start(1);
    let sentinel = all.url().replace("+sentinel", "").replace("/mymaster", "");
    let reason = told_at_once(&link(&sentinel, ECHO)).await;
    assert!(reason.contains("redis+sentinel://"), "{reason}");
    let reason = super::told_to_retry(&link(&all.url().replace("mymaster", "other"), ECHO)).await;
    assert!(reason.contains("knows a primary of this name"), "{reason}");
}
