//! The script on a real server.

use paceline::wire::TWIN;
use paceline_testkit::RedisServer;
use redis::Connection;

use super::Server;

/// A ledger on a server.
pub struct Served {
    connection: Connection,
    digest: String,
    keys: Vec<String>,
}

impl Served {
    /// Opens the ledger of this name.
    pub fn on(server: &RedisServer, ledger: &str) -> Self {
        let client = redis::Client::open(server.url()).unwrap();
        let mut connection = client.get_connection().unwrap();
        let digest = redis::cmd("SCRIPT").arg("LOAD").arg(TWIN).query(&mut connection).unwrap();
        let keys =
            ["ledger", "sessions", "tickets", "line", "owners"].map(|key| format!("exam:{{{ledger}}}:{key}"));
        Self { connection, digest, keys: keys.to_vec() }
    }
}

impl Server for Served {
    fn eval(&mut self, batch: &[u8]) -> Vec<u8> {
        let mut call = redis::cmd("EVALSHA");
        call.arg(&self.digest).arg(self.keys.len()).arg(&self.keys).arg(batch);
        call.query(&mut self.connection).unwrap_or_else(|error| panic!("the script failed: {error}"))
    }
}
