//! Limiters on real servers, opened by their URLs.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

use paceline::core::{Algorithm, LimitSpec, ResourceSpec};
use paceline::{Demand, Limiter, Usage};
use paceline_testkit::{RedisCluster, RedisSentinel, RedisServer};

/// A limiter of three requests, which do not come back while a test runs.
fn limiter(url: &str) -> Limiter {
    let algorithm = Algorithm::TokenBucket { window: 3_600_000, burst: 3 };
    let limit = LimitSpec::new("rph", "requests", 3, algorithm).member("gpt");
    Limiter::builder().store(url).limits([limit], [ResourceSpec::new("gpt")]).build().unwrap()
}

/// Grants what there is through one URL, and finds nothing left through another.
fn shares(url: &str, other: &str) {
    let (one, other) = (limiter(url).resource("gpt").unwrap(), limiter(other).resource("gpt").unwrap());
    for resource in [&one, &other, &one] {
        let permit = resource.acquire(Demand::new()).wait().unwrap();
        permit.settle(Usage::new()).wait().unwrap();
    }
    for resource in [&one, &other] {
        assert!(resource.try_acquire(Demand::new()).wait().unwrap_err().is_busy());
    }
}

#[test]
fn a_server_is_shared() {
    let server = RedisServer::start();
    shares(&server.url(), &server.url().replace("127.0.0.1", "localhost"));
    assert_eq!(server.cli(&["KEYS", "paceline:{default}:*"]).array().len(), 5);
}

#[test]
fn a_cluster_is_shared() {
    let cluster = RedisCluster::start();
    shares(&cluster.url(), &cluster.nodes()[1].url());
}

#[test]
fn a_primary_under_sentinels_is_shared() {
    let all = RedisSentinel::start(1);
    shares(&all.url(), &all.servers()[0].url());
}
