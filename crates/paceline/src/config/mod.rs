//! Configuration: accounts, resources, limits and lanes, from a YAML file or from code.
//!
//! ```
//! use paceline::config::Config;
//!
//! let config = Config::parse(
//!     "limits.yaml",
//!     "
//! openai:
//!   gpt-4o: {requests_per_minute: 500, tokens_per_minute: 30_000}
//! ",
//! )?;
//! let compiled = config.compile(1_800_000_000_000)?;
//! assert_eq!(compiled.ledgers[0].configuration.limits[1].amount, 30_000);
//!
//! let error = Config::parse("limits.yaml", "openai:\n  gpt-4o: {request_per_minute: 500}\n").unwrap_err();
//! assert!(error.to_string().contains("did you mean `requests_per_minute`?"));
//! # Ok::<(), paceline::config::ConfigError>(())
//! ```

mod build;
mod check;
mod compile;
mod compiled;
mod error;
mod fault;
mod glob;
mod instant;
mod limit;
mod model;
mod near;
mod node;
mod open;
mod read;
mod read_resource;
mod reader;
mod schema;
mod short;
mod source;
mod units;

pub use check::{Sustained, Typical, check};
pub use compiled::{Compiled, CompiledLedger, CompiledResource, UnknownResource};
pub use error::{ConfigError, Fault, Location, Problem};
pub use glob::glob_matches;
pub use limit::{Calendar, Limit, Style, Window};
pub use model::{Account, Config, Draw, Lane, Own, Resource, Unknown};
pub use open::VARIABLE;
pub use schema::json_schema;
pub use units::Share;

pub(crate) use instant::zone;
pub(crate) use node::{Entry, Node, Value};
pub(crate) use reader::Reader;
pub(crate) use short::read as read_short;
pub(crate) use units::whole_number;
