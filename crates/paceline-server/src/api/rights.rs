//! What a session may do whose key is not an administrator's: the batches of its commands are read before they pass.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use paceline::config::Config;
use paceline::remote::Guard;
use paceline::wire::{Asked, digest, read_batch};

use crate::clock;

/// The longest pause that a provider's refusal is a reason for.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// Returns what lets pass what asks, settles and looks, and the limits that are in force here as they are.
pub(super) fn of_acquirer(key: &str, configuration: Option<&str>) -> Guard {
    let (key, known) = (key.to_owned(), digests(configuration));
    Arc::new(move |_, batch| {
        let Some(batch) = batch else { return Ok(()) };
        let batch = read_batch(batch).map_err(|error| error.to_string())?;
        match batch.commands.iter().find_map(|command| forbidden(command, &known)) {
            None => Ok(()),
            Some(what) => Err(format!("the key {key} has not the scope admin, and may not {what}")),
        }
    })
}

fn forbidden(command: &Asked<'_>, known: &BTreeSet<String>) -> Option<&'static str> {
    match command {
        Asked::Configure { configuration, .. } => {
            let same = |resource| known.contains(&digest(resource, configuration));
            let changes = !configuration.removed.is_empty() || !configuration.resources.iter().all(same);
            changes.then_some("change limits: name none, and the limiter takes those of the server")
        }
        Asked::Pause { lasting, refuse, .. } => {
            let lasting = lasting.map(Duration::from_millis);
            let refused_elsewhere = !refuse && lasting.is_some_and(|lasting| lasting <= LONGEST_PAUSE);
            (!refused_elsewhere).then_some("pause for longer than an hour, or refuse callers")
        }
        Asked::Resume { .. } => Some("end a pause"),
        Asked::Purge { .. } => Some("purge a line"),
        _ => None,
    }
}

/// What tells apart what the server's configuration says of its resources.
fn digests(configuration: Option<&str>) -> BTreeSet<String> {
    let read = configuration.and_then(|text| Config::parse("the server's configuration", text).ok());
    let compiled = read.and_then(|config| config.compile(clock::unix_ms()).ok());
    let ledgers = compiled.iter().flat_map(|compiled| &compiled.ledgers);
    let resources = ledgers.flat_map(|ledger| {
        let whole = &ledger.configuration;
        whole.resources.iter().map(move |resource| digest(resource, whole))
    });
    resources.collect()
}
