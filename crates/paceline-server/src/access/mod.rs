//! Who may do what: keys, their scopes, and what bounds each of them.

mod audit;
mod caller;
mod file;
mod key;
mod table;

pub use file::{KeyFile, NewKey};
pub use key::{KeyInfo, Scope};

pub(crate) use audit::Audit;
pub(crate) use caller::{Acquires, Administers, Caller, Reads, Waiting};
pub(crate) use table::{Access, Bounds};
