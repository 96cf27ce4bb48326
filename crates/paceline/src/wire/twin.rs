//! The twin of the ledger: what a server of Redis or Valkey runs.

/// The script: it takes the five keys of a ledger and a batch, and returns a reply.
pub const TWIN: &str = concat!(
    include_str!("../store/redis/rows.lua"),
    include_str!("../store/redis/meters.lua"),
    include_str!("../store/redis/line.lua"),
    include_str!("../store/redis/commands.lua"),
    include_str!("../store/redis/configure.lua"),
    include_str!("../store/redis/views.lua"),
    include_str!("../store/redis/recovery.lua"),
    include_str!("../store/redis/shell.lua"),
);
