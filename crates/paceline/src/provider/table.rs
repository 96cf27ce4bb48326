//! The shipped table of default limits: seeds, by provider, tier and model.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use paceline_core::MAX_AMOUNT;

use crate::config::{Entry, Fault, Limit, Node, Reader, read_short};

const NAME: &str = "provider-limits.yaml";
const TEXT: &str = include_str!("../../data/provider-limits.yaml");

static TABLE: LazyLock<Table> = LazyLock::new(|| load(&mut Reader::new(NAME, TEXT)));

type Table = BTreeMap<String, BTreeMap<String, Vec<Seed>>>;

/// One row of the table: what a provider published of one model, or of several together, for one tier.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seed {
    /// The model, globs allowed; or the name of the pool.
    pub name: String,
    /// The models that draw on these limits together, globs allowed; empty where the row is of one model.
    pub pool: Vec<String>,
    /// The limits.
    pub limits: Vec<Limit>,
    /// Where the numbers were read.
    pub source: String,
    /// When that was read or dated: a year, a month or a day.
    pub as_of: String,
}

/// Returns the names of the tiers of a provider that the table knows.
///
/// ```
/// assert!(paceline::provider::tiers("openai").any(|tier| tier == "build"));
/// ```
pub fn tiers(provider: &str) -> impl Iterator<Item = &'static str> {
    TABLE.get(provider).into_iter().flat_map(|tiers| tiers.keys().map(String::as_str))
}

/// Returns the rows of a tier, `None` where the table does not know it.
///
/// ```
/// let rows = paceline::provider::seeds("anthropic", "start").unwrap();
/// assert!(rows.iter().all(|row| !row.source.is_empty() && !row.as_of.is_empty()));
/// ```
pub fn seeds(provider: &str, tier: &str) -> Option<&'static [Seed]> {
    TABLE.get(provider)?.get(tier).map(Vec::as_slice)
}

fn load(reader: &mut Reader<'_>) -> Table {
    let mut table = Table::new();
    match Node::read(TEXT) {
        Ok((root, _)) => reader.each(&root, "a mapping of providers", |reader, provider| {
            let tiers = table.entry(provider.key.clone()).or_default();
            reader.each(&provider.node, "a mapping of tiers", |reader, tier| {
                let rows = tiers.entry(tier.key.clone()).or_default();
                reader.each(&tier.node, "a mapping of models", |reader, row| rows.push(seed(reader, row)));
            });
        }),
        Err(stop) => reader.fault(stop.span, Fault::Syntax { message: stop.fault.to_string() }),
    }
    table
}

fn seed(reader: &mut Reader<'_>, row: &Entry) -> Seed {
    let name = row.key.strip_prefix("pool:").unwrap_or(&row.key).to_owned();
    let mut seed = Seed { name, ..Seed::default() };
    reader.each(&row.node, "a row of limits", |reader, entry| match entry.key.as_str() {
        "source" => seed.source = reader.text(&entry.node, "a source").unwrap_or_default(),
        "as_of" => seed.as_of = reader.text(&entry.node, "a date").unwrap_or_default(),
        "models" => seed.pool = reader.texts(&entry.node, "a model"),
        key => match read_short(key) {
            Some((metric, window)) => {
                let amount = reader.number(&entry.node, "the amount", 1, MAX_AMOUNT).unwrap_or(1);
                seed.limits.push(Limit::new(metric, amount, window));
            }
            None => reader.unknown_key(entry, "a limit, models, source or as_of", []),
        },
    });
    seed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_file_has_no_fault() {
        let mut reader = Reader::new(NAME, TEXT);
        load(&mut reader);
        assert_eq!(reader.into_problems(), []);
    }
}
