//! Traffic as files say it: a call a line, as JSON or CSV.

use std::io::Read;
use std::path::Path;

use paceline::config::{Compiled, CompiledLedger, CompiledResource, glob_matches};
use paceline::core::{Metric, Name};
use paceline::provider::{Call as Asked, Charges, Usage};
use paceline_sim::simulate::{Call, whole};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// One call, as a line of a file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    /// When it is asked for, in seconds from the start.
    pub(crate) at_s: f64,
    /// The resource; the configuration's first where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resource: Option<String>,
    /// The lane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lane: Option<String>,
    /// Tokens of the prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) input_tokens: Option<u64>,
    /// The most output that is allowed, which is also what is expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_output_tokens: Option<u64>,
    /// The output there is in the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) output_tokens: Option<u64>,
    /// Tokens that are reserved, whatever the provider would make of the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tokens: Option<u64>,
    /// Tokens that are used in the end, whatever the provider would make of the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) used_tokens: Option<u64>,
    /// How long it lasts, in seconds.
    #[serde(default)]
    pub(crate) duration_s: f64,
}

/// Calls of one ledger.
#[derive(Debug)]
pub(crate) struct Share<'a> {
    /// The ledger.
    pub(crate) ledger: &'a CompiledLedger,
    /// Its calls.
    pub(crate) calls: Vec<Call>,
}

/// Reads a file of JSON lines, or of CSV where its name ends in `.csv`; `-` is the standard input, as JSON lines.
pub(crate) fn read(path: &Path) -> Result<Vec<Row>, Failure> {
    let name = path.display().to_string();
    let mut text = String::new();
    if path.as_os_str() == "-" {
        std::io::stdin().lock().read_to_string(&mut text).map_err(Failure::io("standard input"))?;
    } else {
        text = std::fs::read_to_string(path).map_err(Failure::io(name.clone()))?;
    }
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv")) {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
        let rows =
            reader.deserialize().map(|row| row.map_err(|error| Failure::Input(format!("{name}: {error}"))));
        return rows.collect();
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let row = |(number, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| Failure::Input(format!("{name}:{}: {error}", number + 1)))
    };
    lines.map(row).collect()
}

/// Divides calls among the ledgers of a configuration.
pub(crate) fn shares<'a>(compiled: &'a Compiled, rows: &[Row]) -> Result<Vec<Share<'a>>, Failure> {
    let mut shares: Vec<Share<'a>> =
        compiled.ledgers.iter().map(|ledger| Share { ledger, calls: Vec::new() }).collect();
    for (position, row) in rows.iter().enumerate() {
        let found = shares.iter_mut().find_map(|share| Some((find(share.ledger, row)?, share)));
        let Some((resource, share)) = found else {
            let name = row.resource.as_deref().unwrap_or("(none)");
            return Err(Failure::Input(format!("call {}: there is no resource {name}", position + 1)));
        };
        share.calls.push(call(row, resource));
    }
    Ok(shares)
}

/// Returns a call as the profile of its resource sees it.
pub(crate) fn call(row: &Row, resource: &CompiledResource) -> Call {
    let reserve = resource.profile.reserve(&asked(row));
    let used = resource.profile.settle(&usage(row));
    Call {
        lane: row.lane.as_deref().map(Name::from),
        reserve: named(&reserve),
        used: named(&used),
        duration_ms: whole(row.duration_s.max(0.0) * 1_000.0),
        ..Call::new(whole(row.at_s.max(0.0) * 1_000.0), &resource.name)
    }
}

fn find<'a>(ledger: &'a CompiledLedger, row: &Row) -> Option<&'a CompiledResource> {
    let Some(name) = row.resource.as_deref() else { return ledger.resources.first() };
    let exact = ledger.resources.iter().find(|resource| resource.name == name);
    let aliased =
        |resource: &&CompiledResource| resource.aliases.iter().any(|alias| glob_matches(alias, name));
    exact.or_else(|| ledger.resources.iter().find(aliased))
}

fn asked(row: &Row) -> Asked {
    let mut asked = Asked::new();
    asked.input_tokens = row.input_tokens;
    asked.max_output_tokens = row.max_output_tokens;
    asked.expected_output_tokens = row.max_output_tokens;
    match row.tokens {
        Some(tokens) => asked.amount("tokens", tokens),
        None => asked,
    }
}

fn usage(row: &Row) -> Usage {
    let mut usage = Usage::new();
    usage.input_tokens = row.input_tokens;
    usage.output_tokens = row.output_tokens;
    match row.used_tokens {
        Some(tokens) => usage.amount("tokens", tokens),
        None => usage,
    }
}

fn named(charges: &Charges) -> Vec<(Name, u64)> {
    let known = charges
        .known
        .iter()
        .filter_map(|(metric, amount)| Some((Name::from(*Metric::KNOWN.get(metric.index())?), amount)));
    known.chain(charges.named.iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use paceline::config::Config;

    use super::*;

    #[test]
    fn a_line_is_reserved_and_settled_as_its_profile_says() {
        let config = Config::parse("test", "openai: {gpt: {tokens_per_minute: 1000}}").unwrap();
        let compiled = config.compile(0).unwrap();
        let row: Row = serde_json::from_str(
            r#"{"at_s": 1.5, "input_tokens": 30, "max_output_tokens": 100, "output_tokens": 7, "duration_s": 2}"#,
        )
        .unwrap();
        let shares = shares(&compiled, &[row]).unwrap();
        let call = &shares[0].calls[0];
        assert_eq!((call.at_ms, call.duration_ms, &*call.resource), (1_500, 2_000, "openai/gpt"));
        assert!(call.reserve.contains(&("tokens".into(), 100)), "{:?}", call.reserve);
        assert!(!call.used.iter().any(|(metric, _)| &**metric == "tokens"), "{:?}", call.used);
    }
}
