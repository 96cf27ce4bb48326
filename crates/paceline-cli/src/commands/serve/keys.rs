//! `paceline serve keys`: created, listed and revoked, while a server runs or none.

use std::path::PathBuf;

use paceline_server::{KeyFile, KeyInfo, NewKey, Scope};

use super::super::Done;
use crate::failure::Failure;
use crate::text::{Align, Table};

const EXAMPLES: &str = "\
Examples:
  paceline serve keys create ops --scope admin
  paceline serve keys create batch --scope acquire --resource 'openai/*' --days 90
  paceline serve keys list
  paceline serve keys revoke batch

A server that runs takes the change over within a second. From the first key on, every request needs one.";

#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum Keys {
    /// Make a key and print its secret, this once
    Create {
        /// What it is called: letters, digits and -_.@
        name: String,
        /// What it may do: acquire, read or admin; several times for several
        #[arg(long = "scope", value_name = "SCOPE", default_values = ["acquire", "read"])]
        scopes: Vec<Scope>,
        /// A resource that it is for, * and ? allowed; several times for several, all if not said
        #[arg(long = "resource", value_name = "GLOB")]
        resources: Vec<String>,
        /// For how many days; for ever if not said
        #[arg(long, value_name = "DAYS")]
        days: Option<u32>,
        #[command(flatten)]
        place: Place,
    },
    /// Show the keys there are
    List {
        /// Print one line of JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// End a key
    Revoke {
        /// What it is called
        name: String,
        #[command(flatten)]
        place: Place,
    },
}

/// Where the keys are kept.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    /// The state directory of the server; that of this user if not said
    #[arg(long, value_name = "DIRECTORY", env = "PACELINE_STATE")]
    state: Option<PathBuf>,
    /// The file of keys; keys.json of the state directory if not said
    #[arg(long, value_name = "FILE", env = "PACELINE_KEYS")]
    keys: Option<PathBuf>,
}

impl Place {
    fn file(&self) -> Result<KeyFile, Failure> {
        if let Some(keys) = &self.keys {
            return Ok(KeyFile::at(keys));
        }
        let state = super::state(self.state.as_ref())?;
        KeyFile::in_state(&state).map_err(Failure::io(state.display().to_string()))
    }
}

/// Does what is asked.
pub(super) fn run(keys: &Keys) -> Result<Done, Failure> {
    match keys {
        Keys::Create { name, scopes, resources, days, place } => {
            let file = place.file()?;
            let lasting_seconds = days.map(|days| u64::from(days) * 86_400);
            let new = NewKey {
                name: name.clone(),
                scopes: scopes.clone(),
                resources: resources.clone(),
                lasting_seconds,
            };
            let secret = file.create(&new).map_err(|error| Failure::Input(error.to_string()))?;
            // The secret alone goes to the output, so that it can be piped to where it is kept.
            anstream::eprintln!("{name} is in {}; its secret is shown this once:", file.path().display());
            Ok(Done::well(secret + "\n"))
        }
        Keys::List { json, place } => {
            let all = place.file()?.list().map_err(|error| Failure::Input(error.to_string()))?;
            if *json {
                return Done::json(&all, true);
            }
            Ok(Done::well(table(&all)))
        }
        Keys::Revoke { name, place } => {
            let file = place.file()?;
            file.revoke(name).map_err(|error| Failure::Input(error.to_string()))?;
            Ok(Done::well(format!("{name} is revoked\n")))
        }
    }
}

fn table(all: &[KeyInfo]) -> String {
    if all.is_empty() {
        return "there is no key\n".to_owned();
    }
    let names = ["name", "scopes", "resources", "created", "ends"];
    let mut table = Table::new(&names.map(|name| (name, Align::Left)));
    for key in all {
        let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.name()).collect();
        let day = |at: &str| at.get(..10).unwrap_or(at).to_owned();
        table.row([
            key.name.clone(),
            scopes.join(", "),
            if key.resources.is_empty() { "all".to_owned() } else { key.resources.join(", ") },
            day(&key.created_at),
            key.expires_at.as_deref().map_or_else(|| "never".to_owned(), day),
        ]);
    }
    table.within(100, 0)
}
