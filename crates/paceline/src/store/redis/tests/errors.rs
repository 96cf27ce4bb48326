//! What servers say no with.

use std::time::Duration;

use paceline_testkit::{Redis, RedisServer, Talk, until};

use super::{ECHO, call, call_until_answered, link, told_at_once, told_to_retry};

#[tokio::test]
async fn what_passes_by_itself_is_tried_again() {
    let server = RedisServer::start();
    for (script, part) in [
        ("return redis.error_reply('LOADING Redis is loading the dataset in memory')", "LOADING"),
        ("return redis.error_reply('MASTERDOWN Link with MASTER is down')", "MASTERDOWN"),
        ("return redis.error_reply('CLUSTERDOWN Hash slot not served')", "CLUSTERDOWN"),
        ("return redis.error_reply('TRYAGAIN Multiple keys request during rehashing of slot')", "TRYAGAIN"),
        ("return redis.error_reply('MISCONF Errors writing to the AOF file')", "MISCONF"),
        ("return redis.error_reply('NOREPLICAS Not enough good replicas to write.')", "NOREPLICAS"),
    ] {
        let reason = told_to_retry(&link(&server.url(), script)).await;
        assert!(reason.contains(part), "{reason}");
    }
}

#[tokio::test]
async fn what_somebody_has_to_mend_is_told_at_once() {
    let server = RedisServer::start();
    server.cli(&["SET", "paceline:{openai}:ledger", "text"]);
    for (script, part) in [
        ("return redis.call('HGET', KEYS[1], 'x')", "WRONGTYPE"),
        ("return nothing.here", "script failed"),
        ("return 5", "answered a number"),
        ("this is no script", "script failed"),
    ] {
        let reason = told_at_once(&link(&server.url(), script)).await;
        assert!(reason.contains(part), "{reason}");
    }
}

#[tokio::test]
async fn a_replica_says_that_it_cannot_be_written_to() {
    let primary = RedisServer::start();
    let replica = Redis::default().with(&["--replicaof", "127.0.0.1", &primary.port().to_string()]).start();
    let link = link(&replica.url(), "redis.call('SET', KEYS[1], 'x'); return 'ok'");
    let reason = told_to_retry(&link).await;
    assert!(reason.contains("READONLY"), "{reason}");
    replica.cli(&["REPLICAOF", "NO", "ONE"]);
    assert_eq!(call_until_answered(&link, "x").await, "ok");
}

#[tokio::test]
async fn a_server_without_memory_says_so_until_it_has_some() {
    let server = RedisServer::start();
    let link = link(&server.url(), "redis.call('SET', KEYS[1], 'x'); return 'ok'");
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    let reason = told_to_retry(&link).await;
    assert!(reason.contains("OOM"), "{reason}");
    server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(call(&link, "x").await.unwrap(), "ok");
}

#[tokio::test]
async fn a_server_that_is_busy_with_another_script_says_so_until_that_is_killed() {
    let server = Redis::default().with(&["--busy-reply-threshold", "20"]).start();
    let link = link(&server.url(), ECHO);
    assert_eq!(call(&link, "x").await.unwrap(), "x");
    let port = server.port();
    let endless =
        std::thread::spawn(move || Talk::to(port).unwrap().ask(&["EVAL", "while true do end", "0"]));
    until("the server is busy", || {
        server.ask(&["PING"]).is_ok_and(|reply| reply.to_string().contains("BUSY")).then_some(())
    });
    let reason = told_to_retry(&link).await;
    assert!(reason.contains("BUSY"), "{reason}");
    server.cli(&["SCRIPT", "KILL"]);
    endless.join().unwrap().unwrap();
    assert_eq!(call_until_answered(&link, "y").await, "y");
}

#[tokio::test]
async fn a_server_that_is_full_or_absent_says_so() {
    let server = Redis::default().with(&["--maxclients", "1"]).start();
    let held = Talk::to(server.port()).and_then(|mut talk| talk.ask(&["PING"]).map(|_| talk)).unwrap();
    let link = link(&server.url(), ECHO);
    let reason = told_to_retry(&link).await;
    // The server writes why and hangs up, and what it wrote may be lost with the connection.
    assert!(reason.contains("maxclients") || reason.contains("lost"), "{reason}");
    drop(held);
    assert_eq!(call_until_answered(&link, "x").await, "x");
    let port = server.port();
    drop(server);
    let absent = super::link(&format!("redis://127.0.0.1:{port}"), ECHO);
    let reason = told_to_retry(&absent).await;
    assert!(reason.contains("refused"), "{reason}");
    let nobody = super::link("redis://no-such-host.invalid", ECHO);
    let reason = tokio::time::timeout(Duration::from_secs(5), told_to_retry(&nobody)).await.unwrap();
    assert!(!reason.is_empty());
}
