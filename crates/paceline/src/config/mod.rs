//! Configuration: accounts, resources, limits and lanes, from a YAML file or from code.

mod compiled;

pub use compiled::{Compiled, CompiledLedger, CompiledResource, UnknownResource};
