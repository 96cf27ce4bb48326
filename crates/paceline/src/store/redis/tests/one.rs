//! One server: each way to it.

use paceline_testkit::{Redis, RedisServer};

use super::{ECHO, LEDGER, PREFIX, PUBLISH, TIMING, call, call_until_answered, link, listen, told_at_once};
use crate::store::redis::link::{Origin, RedisLink};
use crate::store::redis::make;
use crate::store::redis::script::Program;
use crate::store::redis::url::Address;
use crate::store::shared::link::Link;
use crate::wire::{self, LIBRARY, TWIN};

#[tokio::test]
async fn the_script_is_brought_along_when_the_server_does_not_keep_it() {
    let server = RedisServer::start();
    let link = link(&server.url(), ECHO);
    for _ in 0..2 {
        assert_eq!(call(&link, "a").await.unwrap(), "a");
        server.cli(&["SCRIPT", "FLUSH"]);
    }
    assert_eq!(link.run_id(LEDGER), server.cli(&["INFO", "server"]).field("run_id").unwrap());
    assert!(!link.sharded());
    assert_eq!(link.url(), server.url());
}

#[tokio::test]
async fn a_push_arrives_on_the_connection_that_calls() {
    let server = RedisServer::start();
    let link = link(&server.url(), PUBLISH);
    let heard = listen(&link).await;
    assert_eq!(call(&link, "hint").await.unwrap(), "published");
    heard.hears("hint", async || {}).await;
    let clients = server.cli(&["CLIENT", "LIST"]);
    assert_eq!(clients.text().lines().filter(|line| line.contains("resp=3")).count(), 1, "{clients}");
}

#[tokio::test]
async fn a_database_and_a_socket_are_used_when_they_are_named() {
    let server = Redis::default().unix_socket().start();
    let writes = "redis.call('SET', KEYS[1], ARGV[1]); return 'ok'";
    for url in [format!("{}/3", server.url()), format!("redis+unix://{}?db=4", server.socket().display())] {
        assert_eq!(call(&link(&url, writes), "x").await.unwrap(), "ok", "{url}");
    }
    let keyspace = server.cli(&["INFO", "keyspace"]);
    assert!(keyspace.field("db3").is_some() && keyspace.field("db4").is_some(), "{keyspace}");
    let reason = told_at_once(&link(&format!("{}/99", server.url()), ECHO)).await;
    assert!(reason.contains("no database of this number"), "{reason}");
}

#[tokio::test]
async fn passwords_and_users_let_in_or_are_told() {
    let server = Redis::default().password("ge:heim@").start();
    server.cli(&["ACL", "SETUSER", "bob", "on", ">bobs", "~paceline:*", "&paceline:*", "+@all"]);
    server.cli(&["ACL", "SETUSER", "eve", "on", ">eves", "~other:*", "+@all"]);
    server.cli(&["ACL", "SETUSER", "mute", "on", ">mutes", "~*", "&*", "+@all", "-info"]);
    let url = |login: &str| format!("redis://{login}127.0.0.1:{}", server.port());
    for login in [":ge%3Aheim%40@", "bob:bobs@", "mute:mutes@"] {
        assert_eq!(call(&link(&url(login), ECHO), "x").await.unwrap(), "x", "{login}");
    }
    for (login, part) in [("", "NOAUTH"), (":wrongest@", "WRONGPASS"), ("bob:wrongest@", "WRONGPASS")] {
        let reason = told_at_once(&link(&url(login), ECHO)).await;
        assert!(reason.contains(part) && !reason.contains("wrongest"), "{login}: {reason}");
    }
    let reason = told_at_once(&link(&url("eve:eves@"), ECHO)).await;
    assert!(reason.contains("NOPERM"), "{reason}");
}

#[tokio::test]
async fn tls_needs_an_authority_that_is_trusted() {
    let server = Redis::default().tls().start();
    let (port, files) = server.tls();
    let ca = files.ca.display();
    assert_eq!(call(&link(&format!("rediss://localhost:{port}?ca={ca}"), ECHO), "x").await.unwrap(), "x");
    let mutual = format!(
        "rediss://127.0.0.1:{port}?ca={ca}&cert={}&key={}",
        files.cert.display(),
        files.key.display()
    );
    assert_eq!(call(&link(&mutual, ECHO), "x").await.unwrap(), "x");
    let reason = told_at_once(&link(&format!("rediss://localhost:{port}"), ECHO)).await;
    assert!(reason.contains("not trusted"), "{reason}");
    let missing = Address::parse("rediss://localhost?ca=/nowhere").unwrap();
    assert!(make(Origin::Url(Box::new(missing)), PREFIX, TIMING).is_err());
}

#[tokio::test]
async fn a_client_of_the_program_is_used_without_showing_its_password() {
    let server = Redis::default().password("geheim").start();
    let client = ::redis::Client::open(server.url()).unwrap();
    let link = make(Origin::Client(Box::new(client.clone())), PREFIX, TIMING).unwrap();
    assert_eq!(link.url(), format!("redis://:***@127.0.0.1:{}/0", server.port()));
    let heard = super::Heard::default();
    link.listen(&link.channel(LEDGER, "0f"), heard.sink()).await.unwrap();
    server.cli(&["PUBLISH", &link.channel(LEDGER, "0f"), "hint"]);
    heard.hears("hint", async || {}).await;
    assert!(make(Origin::Client(Box::new(client)), "a{b", TIMING).is_err());
}

#[tokio::test]
async fn a_server_that_restarts_is_found_again_and_has_another_run_id() {
    let mut server = RedisServer::start();
    let link = link(&server.url(), PUBLISH);
    let heard = listen(&link).await;
    let before = link.run_id(LEDGER);
    server.restart();
    // Nobody calls: the link subscribes again by itself.
    let channel = link.channel(LEDGER, "0f");
    heard.hears("hint", async || drop(server.cli(&["PUBLISH", &channel, "hint"]))).await;
    assert_ne!(link.run_id(LEDGER), before);
    assert_eq!(call_until_answered(&link, "y").await, "published");
    heard.hears("y", async || {}).await;
}

#[test]
fn a_runtime_that_ended_leaves_no_connection_behind() {
    let server = RedisServer::start();
    let link = link(&server.url(), ECHO);
    for batch in ["x", "y"] {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        assert_eq!(runtime.block_on(call(&link, batch)).unwrap(), batch);
    }
}

#[tokio::test]
async fn a_library_is_loaded_where_it_can_be_and_the_script_used_where_not() {
    let server = RedisServer::start();
    server.cli(&["ACL", "SETUSER", "old", "on", ">olds", "~*", "&*", "+@all", "-function", "-fcall"]);
    let program = Program { script: TWIN, library: Some(LIBRARY) };
    let calls =
        |name: &str| server.cli(&["INFO", "commandstats"]).text().contains(&format!("cmdstat_{name}:calls"));
    let header = wire::Header { fresh: "00", on_lost: "elapsed", ..wire::Header::default() };
    let view = wire::write_batch(&header, &[wire::Ask::View]);
    let open = |url: &str| {
        RedisLink::new(Origin::Url(Box::new(Address::parse(url).unwrap())), PREFIX, TIMING, program).unwrap()
    };
    let old = open(&format!("redis://old:olds@127.0.0.1:{}", server.port()));
    let reply = old.call("m", view.clone()).await.unwrap();
    assert_eq!(wire::read_reply(&reply).unwrap().status, wire::Status::Ok);
    assert!(calls("eval") && !calls("function|load"));
    let new = open(&server.url());
    for _ in 0..2 {
        new.call("m", view.clone()).await.unwrap();
        server.cli(&["FUNCTION", "FLUSH"]);
    }
    new.call("m", view.clone()).await.unwrap();
    assert!(calls("fcall") && calls("function|load"));
}
