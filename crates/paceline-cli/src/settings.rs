//! Where a command's configuration comes from: a file, the standard input, the environment, or the command line itself.

use std::fmt::Write as _;
use std::io::Read;
use std::path::Path;

use paceline::config::{Compiled, CompiledLedger, CompiledResource, Config};

use crate::clock;
use crate::failure::Failure;
use crate::referee::Provider;

/// The largest configuration that is read from the standard input, in bytes.
const MOST_BYTES: u64 = 4 << 20;

/// Reads the configuration of a path, of the standard input for `-`, or else of the file that `PACELINE_CONFIG` names.
pub(crate) fn config(path: Option<&Path>) -> Result<Config, Failure> {
    match path {
        Some(path) if path.as_os_str() == "-" => Ok(Config::parse("<stdin>", &stdin()?)?),
        Some(path) => Ok(Config::load(path)?),
        None => Ok(Config::from_env()?),
    }
}

/// Compiles a configuration for the present.
pub(crate) fn compiled(config: &Config) -> Result<Compiled, Failure> {
    Ok(config.compile(clock::unix_ms())?)
}

/// A configuration as text, which other processes can be handed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// What errors call it.
    pub(crate) name: String,
    /// The text.
    pub(crate) text: String,
}

impl Source {
    /// Reads a file, or the standard input for `-`.
    pub(crate) fn file(path: &Path) -> Result<Self, Failure> {
        if path.as_os_str() == "-" {
            return Ok(Self { name: "<stdin>".to_owned(), text: stdin()? });
        }
        // Says what is wrong with it, and that it is too large before it is read as a whole.
        Config::load(path)?;
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(Failure::io(name.clone()))?;
        Ok(Self { name, text })
    }

    /// Writes the configuration of one model of a provider with limits such as `tokens_per_minute=30_000`, or the
    /// provider's preset where there are none.
    pub(crate) fn of_provider(provider: Provider, limits: &[String]) -> Result<Self, Failure> {
        if limits.is_empty() {
            return Ok(Self { name: "preset".to_owned(), text: provider.preset().to_owned() });
        }
        let mut text = format!("{}:\n  model:\n", provider.name());
        for limit in limits {
            let (name, amount) = limit.split_once('=').ok_or_else(|| {
                Failure::Input(format!(
                    "--limit {limit}: expected METRIC_per_WINDOW=AMOUNT, as in tokens_per_minute=30_000"
                ))
            })?;
            let _ = writeln!(text, "    {name}: {amount}");
        }
        Ok(Self { name: "--limit".to_owned(), text })
    }

    /// Reads what it says.
    pub(crate) fn config(&self) -> Result<Config, Failure> {
        Ok(Config::parse(&self.name, &self.text)?)
    }
}

/// Returns the configuration of one model of a provider; see [`Source::of_provider`].
pub(crate) fn of_provider(provider: Provider, limits: &[String]) -> Result<Config, Failure> {
    Source::of_provider(provider, limits)?.config()
}

/// Finds a resource by its name, or the first there is.
pub(crate) fn resource<'a>(
    compiled: &'a Compiled,
    name: Option<&str>,
) -> Result<(&'a CompiledLedger, &'a CompiledResource), Failure> {
    let all =
        || compiled.ledgers.iter().flat_map(|ledger| ledger.resources.iter().map(move |it| (ledger, it)));
    let found = all().find(|(_, resource)| name.is_none_or(|name| resource.name == name));
    found.ok_or_else(|| {
        let known: Vec<&str> = all().map(|(_, resource)| resource.name.as_str()).collect();
        let known = known.join(", ");
        Failure::Input(match name {
            Some(name) => format!("there is no resource {name}; the configuration has {known}"),
            None => "the configuration names no resource".to_owned(),
        })
    })
}

fn stdin() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(MOST_BYTES + 1).read_to_string(&mut text);
    read.map_err(Failure::io("standard input"))?;
    Ok(text)
}
