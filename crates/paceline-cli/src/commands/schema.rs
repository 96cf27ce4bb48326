//! `paceline schema`: what a configuration can say, for editors.

use super::Done;
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  paceline schema > paceline.schema.json
  and as the first line of limits.yaml:
  # yaml-language-server: $schema=paceline.schema.json";

/// Print the JSON Schema of configurations, for editors
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

/// Writes the schema.
pub(crate) fn run() -> Result<Done, Failure> {
    let schema = paceline::config::json_schema();
    let text = serde_json::to_string_pretty(&schema).map_err(|error| Failure::Input(error.to_string()))?;
    Ok(Done::well(text + "\n"))
}
