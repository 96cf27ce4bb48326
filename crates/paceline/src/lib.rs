//! Paceline keeps many workers that share an LLM API key inside the provider's limits.

pub mod config;
pub mod provider;

pub use paceline_core as core;
