//! What a client and the store of a shared ledger say to each other: batches, replies and pushes, as `MessagePack`.

mod ask;
mod configuration;
mod out;
mod outcome;
mod reader;
mod refusal;
mod reply;
#[cfg(test)]
mod tests;
mod twin;

pub use ask::{Ask, Figures, Header, On, write_ask, write_batch, write_header};
pub use configuration::{components, digest};
pub use out::write_value;
pub use outcome::{Answer, Explained, LaneRow, LimitRow, PermitRow, ResourceRow, Value, View, read_value};
pub use reader::WireError;
pub use reply::{Decided, Entry, Push, Reply, Status, read_push, read_reply};
pub use twin::{LIBRARY, TWIN};

/// The version of what is said here.
pub const VERSION: u64 = 1;

/// How many commands a batch holds at most.
pub const COMMANDS: usize = 128;
