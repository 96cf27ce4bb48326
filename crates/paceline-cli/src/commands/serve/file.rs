//! The file of settings: a line `NAME: VALUE` for each flag.

use std::fs;
use std::path::Path;

use clap::{Args as _, Command, FromArgMatches as _};

use super::Options;
use crate::failure::Failure;

/// Returns the options with those of their file where flags and environment say nothing.
pub(super) fn filled(options: &Options) -> Result<Options, Failure> {
    let of_file = match &options.settings {
        Some(path) => read(path)?,
        None => Options::default(),
    };
    // What keeps state in two ways contradicts: the nearer one wins.
    let backed = options.memory || options.store.is_some() || options.state.is_some();
    let memory = options.memory || (of_file.memory && !backed);
    Ok(Options {
        listen: options.listen.or(of_file.listen),
        socket: options.socket.clone().or(of_file.socket),
        config: options.config.clone().or(of_file.config),
        state: options.state.clone().or(of_file.state),
        memory,
        store: options.store.clone().or(of_file.store.filter(|_| !memory)),
        prefix: options.prefix.clone().or(of_file.prefix),
        keys: options.keys.clone().or(of_file.keys),
        tls_cert: options.tls_cert.clone().or(of_file.tls_cert),
        tls_key: options.tls_key.clone().or(of_file.tls_key),
        connections: options.connections.or(of_file.connections),
        open_waits: options.open_waits.or(of_file.open_waits),
        requests_per_second: options.requests_per_second.or(of_file.requests_per_second),
        read_timeout: options.read_timeout.or(of_file.read_timeout),
        log_json: options.log_json || of_file.log_json,
        settings: None,
    })
}

/// Reads a file as if its lines were flags: it knows what the command line knows, and says the same of what is wrong.
fn read(path: &Path) -> Result<Options, Failure> {
    let text = fs::read_to_string(path).map_err(Failure::io(path.display().to_string()))?;
    let mut flags = vec!["settings".to_owned()];
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |why: &str| Failure::Input(format!("{}:{}: {why}", path.display(), at + 1));
        let (name, value) = line.split_once(':').ok_or_else(|| wrong("expected NAME: VALUE"))?;
        let (name, value) = (name.trim().replace('_', "-"), value.trim().trim_matches(['"', '\'']));
        match (name.as_str(), value) {
            ("settings", _) => return Err(wrong("a file of settings names no other")),
            ("memory" | "log-json", "true") => flags.push(format!("--{name}")),
            ("memory" | "log-json", "false") => {}
            ("memory" | "log-json", _) => return Err(wrong("expected true or false")),
            (_, "") => return Err(wrong("expected a value")),
            _ => flags.push(format!("--{name}={value}")),
        }
    }
    let command = Options::augment_args(Command::new("settings").disable_help_flag(true));
    let command = command.mut_args(|argument| argument.env(None::<&str>));
    let matches = command.try_get_matches_from(flags).and_then(|matches| Options::from_arg_matches(&matches));
    matches.map_err(|error| {
        let said = error.to_string();
        let first = said.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        Failure::Input(format!("{}: {first}", path.display()))
    })
}
