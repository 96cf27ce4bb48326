//! What a client and the store of a shared ledger say to each other: batches, replies and pushes, as `MessagePack`.

mod ask;
mod batch;
mod configuration;
#[cfg(feature = "remote")]
mod frames;
mod out;
mod outcome;
#[cfg(feature = "host")]
mod outline;
mod reader;
mod refusal;
mod reply;
#[cfg(feature = "remote")]
mod route;
#[cfg(feature = "host")]
mod say;
#[cfg(test)]
mod tests;
mod twin;

pub use ask::{Ask, Figures, Header, On, write_ask, write_batch, write_header};
pub use batch::{Asked, Batch, Wanted, read_batch};
pub use configuration::{components, digest};
#[cfg(feature = "remote")]
pub use frames::{Down, LARGEST, PROTOCOL, Up, read_down, read_up, write_down, write_up};
#[cfg(feature = "host")]
pub(crate) use out::Out;
pub use out::write_value;
pub use outcome::{Answer, Explained, LaneRow, LimitRow, PermitRow, ResourceRow, Value, View, read_value};
#[cfg(feature = "host")]
pub(crate) use outline::{Sketch, read_key, read_sketch, write_key, write_sketch};
pub use reader::WireError;
pub use reply::{Decided, Entry, Push, Reply, Status, read_push, read_reply};
#[cfg(feature = "remote")]
pub use route::{Passing, Route, read_passing};
#[cfg(feature = "host")]
pub(crate) use say::{Head, Written, write_push, write_reply};
pub use twin::{LIBRARY, TWIN};

/// The version of what is said here.
pub const VERSION: u64 = 1;

/// How many commands a batch holds at most.
pub const COMMANDS: usize = 128;

/// How many bytes a batch has at most: a configuration that lists its boundaries is the largest thing that is said.
pub const BATCH_BYTES: usize = 4 << 20;
