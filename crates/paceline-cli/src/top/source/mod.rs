//! Where samples come from: a control plane, a store on Redis, or a process that published itself.

mod plane;
mod published;
mod redis;

use super::log::News;
use super::sample::Sample;
use crate::failure::Failure;

/// A store to look at.
pub(crate) trait Source: Send {
    /// Returns what it is called, without secrets.
    fn place(&self) -> String;

    /// Looks once, and changes nothing.
    fn look(&mut self) -> Result<Sample, Failure>;

    /// Carries out what an operator wants.
    fn order(&mut self, order: &Order) -> Result<(), Failure>;

    /// Returns what tells events as they happen, where the store has such.
    fn follow(&self) -> Result<Option<Box<dyn Follow>>, Failure>;
}

/// A stream of events.
pub(crate) trait Follow: Send {
    /// Waits for the next event. After an error the next call connects anew, and goes on where it was if it can.
    fn next(&mut self) -> Result<News, Failure>;
}

/// What an operator wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    /// Let callers of a resource wait until it is resumed.
    Pause { resource: String },
    /// Let them go on.
    Resume { resource: String },
}

impl Order {
    /// Returns the resource that it is about.
    pub(crate) fn resource(&self) -> &str {
        match self {
            Self::Pause { resource } | Self::Resume { resource } => resource,
        }
    }
}

/// Opens the source that a URL names.
pub(crate) fn open(url: &str, prefix: &str) -> Result<Box<dyn Source>, Failure> {
    let scheme = url.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let own = |what: &str| {
        Failure::Input(format!(
            "{what}; set PACELINE_PUBLISH=NAME for that process, or call limiter.publish(\"NAME\") in it, and \
             `paceline top` alone finds it"
        ))
    };
    match scheme.as_str() {
        "memory" => Err(own("a store in memory is seen by its own process alone")),
        "local" => Err(own("a local store is looked at through one of the processes that share it")),
        "process" => {
            published::open(url.split_once(':').map_or("", |(_, name)| name.trim_start_matches('/')))
        }
        scheme if scheme.starts_with("redis") || scheme.starts_with("valkey") => redis::open(url, prefix),
        _ => match paceline::remote::Dial::to(url) {
            Some(dial) => plane::open(dial?),
            None => Err(Failure::Input(format!(
                "{} names nothing that can be looked at; its scheme can be http, https, unix, redis and those like \
                 it, or process",
                url.split('@').next_back().unwrap_or_default()
            ))),
        },
    }
}

/// Opens the one process that published itself.
pub(crate) fn only() -> Result<Box<dyn Source>, Failure> {
    published::only()
}
