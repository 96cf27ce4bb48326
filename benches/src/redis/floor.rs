//! The floors: what the same client does without us, and four buckets as one would write them by hand.

use redis::aio::MultiplexedConnection;
use redis::{Client, Script, cmd};

use super::Outcome;

/// Four token buckets in one hash, all or nothing, by the server's clock.
const FOUR_BUCKETS: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local kept = redis.call('HMGET', KEYS[1], 'a', 'b', 'c', 'd', 'at')
local passed = now - (tonumber(kept[5]) or now)
local burst, demand = tonumber(ARGV[1]), tonumber(ARGV[2])
local levels, goes = {}, 1
for i = 1, 4 do
  levels[i] = math.min(burst, (tonumber(kept[i]) or burst) + passed * burst / 60000)
  if levels[i] < demand then goes = 0 end
end
if goes == 1 then
  for i = 1, 4 do levels[i] = levels[i] - demand end
end
redis.call('HSET', KEYS[1], 'a', levels[1], 'b', levels[2], 'c', levels[3], 'd', levels[4], 'at', now)
return goes
";

/// A connection of the client library that paceline uses, of the same kind.
#[derive(Clone)]
pub(crate) struct Floor {
    connection: MultiplexedConnection,
    digest: String,
    key: String,
}

impl Floor {
    pub(crate) async fn connect(url: &str, prefix: &str) -> Outcome<Self> {
        let mut connection = Client::open(url)?.get_multiplexed_async_connection().await?;
        let _: String = cmd("SCRIPT").arg("LOAD").arg(FOUR_BUCKETS).query_async(&mut connection).await?;
        let digest = Script::new(FOUR_BUCKETS).get_hash().to_owned();
        Ok(Self { connection, digest, key: format!("{prefix}floor") })
    }

    pub(crate) async fn ping(&mut self) -> Outcome<()> {
        let _: String = cmd("PING").query_async(&mut self.connection).await?;
        Ok(())
    }

    /// Takes from four buckets.
    pub(crate) async fn four_buckets(&mut self) -> Outcome<()> {
        let mut command = cmd("EVALSHA");
        command.arg(&self.digest).arg(1).arg(&self.key).arg(1_000_000_000_000_u64).arg(10);
        let goes: i64 = command.query_async(&mut self.connection).await?;
        if goes == 1 { Ok(()) } else { Err("the floor ran dry".into()) }
    }
}
