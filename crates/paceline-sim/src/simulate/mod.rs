//! Traffic in virtual time: a ledger decides about a day of calls in seconds, and the same seed gives the same bytes.

mod draw;

pub use draw::{Draw, real, whole};
