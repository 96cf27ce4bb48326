//! Configuration: accounts, resources, limits and lanes, from a YAML file or from code.

mod build;
mod compiled;
mod error;
mod fault;
mod glob;
mod limit;
mod model;
mod node;
mod short;
mod source;
mod units;

pub use compiled::{Compiled, CompiledLedger, CompiledResource, UnknownResource};
pub use error::{ConfigError, Fault, Location, Problem};
pub use glob::glob_matches;
pub use limit::{Calendar, Limit, Style, Window};
pub use model::{Account, Config, Draw, Lane, Own, Resource, Unknown};
pub use units::Share;

pub(crate) use units::whole_number;

/// The variable that names the configuration file.
pub const VARIABLE: &str = "PACELINE_CONFIG";

impl Config {
    /// Reads a file.
    ///
    /// Everything that is wrong with it is said at once, as far as it does not follow from something else.
    pub fn load(path: impl AsRef<std::path::Path>) -> Result<Self, ConfigError> {
        let _ = path;
        todo!()
    }

    /// Reads a text; its name is what errors call it.
    pub fn parse(name: &str, text: &str) -> Result<Self, ConfigError> {
        let _ = (name, text);
        todo!()
    }

    /// Reads the file that `PACELINE_CONFIG` names.
    pub fn from_env() -> Result<Self, ConfigError> {
        todo!()
    }

    /// Compiles the configuration at an instant, in milliseconds since the Unix epoch: calendar boundaries are
    /// listed from there for two years.
    pub fn compile(&self, now: u64) -> Result<Compiled, ConfigError> {
        let _ = now;
        todo!()
    }
}
