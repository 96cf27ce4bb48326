//! `paceline apply`: puts a configuration into force on a shared store.

use std::path::PathBuf;

use paceline::{Event, Limiter};

use super::Done;
use crate::failure::Failure;
use crate::settings;

const EXAMPLES: &str = "\
Examples:
  paceline apply limits.yaml --store redis://localhost

It speaks for the resources that the file names, and removes none. Where a process that is alive says something else of
one, the higher `revision` of the two files is in force; among equal ones this, until that process is started anew.

Exits with 1 if something else is in force afterwards.";

/// Put a configuration into force on a shared store
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The configuration, `-` for the standard input; `PACELINE_CONFIG` names the default
    file: Option<PathBuf>,
    /// The store, as in redis://:PASSWORD@HOST:PORT or http://HOST:PORT; `PACELINE_STORE` keeps passwords off the command line
    #[arg(long, value_name = "URL", env = "PACELINE_STORE", hide_env_values = true)]
    store: String,
    /// What the names of all keys of a store on Redis begin with
    #[arg(long, value_name = "PREFIX", default_value = "paceline:")]
    prefix: String,
}

/// Applies and tells.
pub(crate) fn run(args: &Args) -> Result<Done, Failure> {
    if args.store.starts_with("memory:") {
        return Err(Failure::Input(
            "a store in memory ends with this process; name one that is shared, as in redis://localhost"
                .to_owned(),
        ));
    }
    let config = settings::config(args.file.as_deref())?;
    let builder = Limiter::builder().store(&args.store).key_prefix(&args.prefix).name("apply");
    let limiter = builder.build()?;
    let mut events = limiter.events();
    limiter.configure(&config)?;
    // What is looked at in a session is looked at after all that the session says.
    limiter.snapshot().wait()?;
    let (mut differs, mut refused) = (Vec::new(), Vec::new());
    while let Some(event) = events.try_next() {
        match event {
            Event::ConfigurationDiffers { resource, .. } => differs.push(resource.to_string()),
            Event::ConfigurationRefused { error } => refused.push(error.to_string()),
            _ => {}
        }
    }
    let names = limiter.resources();
    limiter.close();
    if let Some(error) = refused.first() {
        return Err(Failure::Input(format!("the store refuses the configuration: {error}")));
    }
    if !differs.is_empty() {
        differs.sort();
        differs.dedup();
        return Ok(Done {
            text: format!(
                "of {} something else is in force, by a higher revision: raise `revision` in this file\n",
                differs.join(", ")
            ),
            success: false,
        });
    }
    let names: Vec<&str> = names.iter().map(|name| &**name).collect();
    Ok(Done::well(format!("in force: {}\n", names.join(", "))))
}
