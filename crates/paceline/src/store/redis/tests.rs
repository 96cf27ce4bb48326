//! The link on real servers.
