//! A primary, its replica, and sentinels that watch them.

use super::{Redis, RedisServer, Reply};
use crate::until;

/// A primary with a replica under sentinels, killed when they are dropped.
#[derive(Debug)]
pub struct RedisSentinel {
    servers: Vec<RedisServer>,
    sentinels: Vec<RedisServer>,
}

impl RedisSentinel {
    /// The name of the primary that the sentinels watch.
    pub const PRIMARY: &str = "mymaster";

    /// Starts all of it with this many sentinels, most of which have to agree, and waits until they know each other.
    pub fn start(sentinels: usize) -> Self {
        let primary = Redis::default().start();
        let port = primary.port().to_string();
        let replica = Redis::default().with(&["--replicaof", "127.0.0.1", &port]).start();
        let config = format!(
            "sentinel monitor {name} 127.0.0.1 {port} {quorum}\n\
             sentinel down-after-milliseconds {name} 500\n\
             sentinel failover-timeout {name} 3000\n",
            name = Self::PRIMARY,
            quorum = sentinels / 2 + 1,
        );
        until("the replica follows", || {
            let info = replica.ask(&["INFO", "replication"]).ok()?;
            (info.field("master_link_status") == Some("up")).then_some(())
        });
        let sentinels = (0..sentinels).map(|_| Redis::default().sentinel(config.clone()).start()).collect();
        let all = Self { servers: vec![primary, replica], sentinels };
        until("the sentinels know each other and the replica", || {
            all.sentinels.iter().all(|sentinel| all.knows_all(sentinel)).then_some(())
        });
        all
    }

    /// Returns the URL of the sentinels.
    pub fn url(&self) -> String {
        let ports: Vec<_> = self.sentinels.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("redis+sentinel://{}/{}", ports.join(","), Self::PRIMARY)
    }

    /// Returns the port of the server that the sentinels call the primary.
    pub fn primary_port(&self) -> u16 {
        let ask = |sentinel: &RedisServer| {
            let reply = sentinel.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self::PRIMARY]).ok()?;
            match &reply {
                Reply::Array(parts) => parts.get(1)?.text().parse().ok(),
                _ => None,
            }
        };
        self.sentinels.iter().find_map(ask).expect("a sentinel knows the primary")
    }

    /// Returns the server that the sentinels call the primary, to do something to it.
    pub fn primary_mut(&mut self) -> &mut RedisServer {
        let port = self.primary_port();
        self.servers.iter_mut().find(|server| server.port() == port).expect("the primary is one of ours")
    }

    /// Returns the servers: the first primary and the first replica.
    pub fn servers(&self) -> &[RedisServer] {
        &self.servers
    }

    /// Makes the sentinels call the replica the primary, and waits until it is, and until the one that was follows it.
    pub fn fail_over(&self) {
        let before = self.primary_port();
        until("the sentinels can fail over", || {
            let sentinel = self.sentinels.first()?;
            matches!(sentinel.ask(&["SENTINEL", "FAILOVER", Self::PRIMARY]), Ok(Reply::Text(_))).then_some(())
        });
        self.wait_for_another_primary(before);
        // Sentinels do this too, but take their time: until then the primary that was takes writes like before.
        let port = self.primary_port().to_string();
        for server in self.servers.iter().filter(|server| server.port() == before) {
            server.cli(&["REPLICAOF", "127.0.0.1", &port]);
        }
    }

    /// Waits until another server than this one is the primary, and takes writes.
    pub fn wait_for_another_primary(&self, before: u16) {
        until("another server is the primary", || {
            let port = Some(self.primary_port()).filter(|port| *port != before)?;
            let server = self.servers.iter().find(|server| server.port() == port)?;
            let info = server.ask(&["INFO", "replication"]).ok()?;
            (info.field("role") == Some("master")).then_some(())
        });
    }

    fn knows_all(&self, sentinel: &RedisServer) -> bool {
        let others = (self.sentinels.len() - 1).to_string();
        let Ok(Reply::Array(parts)) = sentinel.ask(&["SENTINEL", "MASTER", Self::PRIMARY]) else {
            return false;
        };
        let told = |name: &str, value: &str| {
            parts.chunks_exact(2).any(|pair| pair[0].text() == name && pair[1].text() == value)
        };
        told("num-slaves", "1") && told("num-other-sentinels", &others)
    }
}
