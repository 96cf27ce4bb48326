//! The options of a limiter that are words, and where its configuration comes from.

use std::path::PathBuf;

use paceline::config::Config;
use paceline::{Error, Mode, OnLostState, OnStoreFailure};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

pub(crate) const ON_STORE_FAILURE: [(&str, OnStoreFailure); 3] =
    [("refuse", OnStoreFailure::Refuse), ("allow", OnStoreFailure::Allow), ("local", OnStoreFailure::Local)];
pub(crate) const ON_LOST_STATE: [(&str, OnLostState); 3] =
    [("elapsed", OnLostState::Elapsed), ("empty", OnLostState::Empty), ("full", OnLostState::Full)];
pub(crate) const MODES: [(&str, Mode); 3] =
    [("enforce", Mode::Enforce), ("shadow", Mode::Shadow), ("off", Mode::Off)];

/// Returns what a word stands for.
pub(crate) fn choice<T: Copy>(option: &str, said: &str, choices: &[(&str, T)]) -> PyResult<T> {
    let found = choices.iter().find(|(name, _)| *name == said);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        PyValueError::new_err(format!("{option} is {said:?}; it can be {}", names.join(", ")))
    })
}

/// Reads a configuration: a file, or a text and what errors call it.
pub(crate) fn config(
    text: Option<(String, String)>,
    path: Option<&PathBuf>,
) -> Result<Option<Config>, Error> {
    Ok(match (text, path) {
        (Some((name, text)), _) => Some(Config::parse(&name, &text)?),
        (None, Some(path)) => Some(Config::load(path)?),
        (None, None) => None,
    })
}
