//! The referee: a fake provider over HTTP, a seeded simulation, and the exam that every store must pass.

pub mod exam;
pub mod judge;
#[cfg(feature = "provider")]
pub mod provider;
pub mod simulate;
