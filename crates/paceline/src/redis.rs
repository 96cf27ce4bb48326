//! Redis and Valkey, where workers on many hosts share their limits.
//!
//! The URL of a store says where it is:
//!
//! | URL | what it names |
//! |---|---|
//! | `redis://[user[:password]@]host[:port][/database]` | a server, or any node of a cluster, which is noticed |
//! | `redis+cluster://[user[:password]@]host[:port],…` | nodes of a cluster |
//! | `redis+sentinel://[user[:password]@]host[:port],…/primary[/database]` | the primary that sentinels name; `?sentinel_user=…&sentinel_pass=…` are theirs |
//! | `redis+unix:///path[?db=…&user=…&pass=…]` | a server of this host |
//!
//! With `rediss` in place of `redis` connections are encrypted, and `?ca=…` names the file of an authority to trust in
//! place of the system's, `?cert=…&key=…` those of a certificate of one's own. Special characters in passwords are
//! written as `%xx`. `valkey` and `valkeys` mean the same as `redis` and `rediss`. The server has to speak RESP3 (Redis
//! 6.2 or later, a cluster 7.0 or later, or any Valkey).

pub use ::redis::Client;

use crate::{Builder, Limiter};

/// Returns a builder whose store is reached as a client of the program says: its address, its login, its certificates.
/// The connection is a new one.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = paceline::redis::Client::open("redis://localhost/3")?;
/// let limiter = paceline::redis::from_client(client).key_prefix("staging:").build()?;
/// # Ok(())
/// # }
/// ```
pub fn from_client(client: Client) -> Builder {
    Limiter::builder().redis_client(client)
}
