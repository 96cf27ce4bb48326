//! The server that is measured: one of our own, or another by its URL.

use paceline_testkit::RedisServer;
use redis::{Client, Commands, Connection, InfoDict, cmd};

use super::{Outcome, clock};

/// A server, and the prefix of all keys of this run.
pub(crate) struct Server {
    url: String,
    prefix: String,
    /// Ends with the benchmark.
    _own: Option<RedisServer>,
}

impl Server {
    /// Starts one, unless another is named.
    pub(crate) fn of(url: Option<String>) -> Outcome<Self> {
        let prefix = format!("paceline-bench-{}:", clock::unix_us());
        let own = url.is_none().then(RedisServer::start);
        let url = url.or_else(|| own.as_ref().map(RedisServer::url)).unwrap_or_default();
        Client::open(url.as_str())?.get_connection()?.set_ex::<_, _, ()>(
            format!("{prefix}began"),
            1,
            3_600,
        )?;
        Ok(Self { url, prefix, _own: own })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Returns a prefix for one benchmark.
    pub(crate) fn prefix(&self, name: &str) -> String {
        format!("{}{name}:", self.prefix)
    }

    /// Connects, to ask it about itself.
    pub(crate) fn connect(&self) -> Outcome<Connection> {
        Ok(Client::open(self.url.as_str())?.get_connection()?)
    }

    /// Returns what it says of itself under a name.
    pub(crate) fn info(&self, name: &str) -> Outcome<String> {
        let said: InfoDict = cmd("INFO").arg("everything").query(&mut self.connect()?)?;
        said.get(name).ok_or_else(|| format!("INFO says nothing of {name}").into())
    }

    /// Returns the processor time that it has used, in microseconds.
    pub(crate) fn cpu_us(&self) -> Outcome<f64> {
        let said: InfoDict = cmd("INFO").arg("cpu").query(&mut self.connect()?)?;
        let seconds = |name| said.get::<f64>(name).ok_or("INFO says nothing of its processor time");
        Ok((seconds("used_cpu_user")? + seconds("used_cpu_sys")?) * 1e6)
    }
}
