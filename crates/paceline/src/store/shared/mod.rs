//! Accounts of a shared store: the client half of the session protocol.

pub mod link;
