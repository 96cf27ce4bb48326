//! Opens configurations: from a file, a text, or the file that the environment names.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::compile::Compiler;
use super::compiled::Compiled;
use super::error::{ConfigError, Fault};
use super::model::Config;
use super::node::{MAX_BYTES, Node};
use super::read;
use super::reader::Reader;
use super::source::Source;

/// The variable that names the configuration file.
pub const VARIABLE: &str = "PACELINE_CONFIG";

impl Config {
    /// Reads and checks a file.
    ///
    /// All that is wrong is said at once, as far as it does not follow from something else. At most 4 MiB are read.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        match read_bounded(path) {
            Ok(text) => Self::parse(&name, &text),
            Err(error) => Err(ConfigError::nowhere(Fault::Unreadable { file: name, kind: error.kind() })),
        }
    }

    /// Reads and checks a text; `name` is what errors call it.
    pub fn parse(name: &str, text: &str) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(name, text);
        let root = match Node::read(text) {
            Ok((root, duplicates)) => {
                for stop in duplicates {
                    reader.fault(stop.span, stop.fault);
                }
                root
            }
            Err(stop) => {
                reader.fault(stop.span, stop.fault);
                Node::null(stop.span)
            }
        };
        let mut config = read::config(&mut reader, &root);
        ConfigError::of(reader.into_problems())?;
        config.source = Some(Arc::new(Source::new(name, text, root)));
        config.check()?;
        Ok(config)
    }

    /// Returns the text that it was read from, if it was.
    pub fn text(&self) -> Option<&str> {
        self.source.as_ref().map(|source| source.text())
    }

    /// Reads and checks the file that `PACELINE_CONFIG` names.
    pub fn from_env() -> Result<Self, ConfigError> {
        match std::env::var_os(VARIABLE) {
            Some(path) if !path.is_empty() => Self::load(path),
            _ => Err(ConfigError::nowhere(Fault::NoFileNamed { variable: VARIABLE })),
        }
    }

    /// Checks what the configuration says, without compiling it for an instant.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.compile(0).map(drop)
    }

    /// Compiles the configuration at an instant, in milliseconds since the Unix epoch: boundaries of the calendar are
    /// listed from there for two years.
    pub fn compile(&self, now: u64) -> Result<Compiled, ConfigError> {
        Compiler::new(self, now).run()
    }
}

/// Reads one byte more than is allowed, so that what is too large is seen to be without being read.
fn read_bounded(path: &Path) -> io::Result<String> {
    let most = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_BYTES {
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
