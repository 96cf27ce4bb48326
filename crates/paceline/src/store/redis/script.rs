//! The ledger's twin, as a script of the server.

use std::sync::atomic::{AtomicBool, Ordering};

use ::redis::{Cmd, Script, cmd};

/// The ledger's five keys, in their order.
const KEYS: [&str; 5] = ["ledger", "sessions", "tickets", "line", "owners"];

/// What a server runs: a script, and the same as a library, if it is one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Program {
    pub(super) script: &'static str,
    pub(super) library: Option<&'static str>,
}

impl From<&'static str> for Program {
    fn from(script: &'static str) -> Self {
        Self { script, library: None }
    }
}

/// The script, and the digest by which a server knows it.
pub(super) struct Twin {
    source: &'static str,
    digest: String,
    library: Option<Library>,
}

/// The script as a library of functions, which servers from version 7 on keep ready.
struct Library {
    name: String,
    text: String,
    /// This server, or its user's rights, have no libraries.
    refused: AtomicBool,
}

impl Library {
    fn new(text: &str, digest: &str) -> Self {
        let name = format!("paceline_{}", digest.get(..16).unwrap_or(digest));
        let text = format!("#!lua name={name}\n{text}redis.register_function('{name}', answer)\n");
        Self { name, text, refused: AtomicBool::new(false) }
    }
}

impl Twin {
    pub(super) fn new(program: Program) -> Self {
        let source = program.script;
        let digest = Script::new(source).get_hash().to_owned();
        let library = program.library.map(|text| Library::new(text, &digest));
        Self { source, digest, library }
    }

    fn library(&self) -> Option<&Library> {
        self.library.as_ref().filter(|library| !library.refused.load(Ordering::Relaxed))
    }

    /// A call of the function that the server keeps, unless it keeps none.
    pub(super) fn function(&self, keys: &[String], batch: &[u8]) -> Option<Cmd> {
        Some(complete(cmd("FCALL"), &self.library()?.name, keys, batch))
    }

    /// Makes the server keep the library.
    pub(super) fn load(&self) -> Option<Cmd> {
        let mut load = cmd("FUNCTION");
        load.arg("LOAD").arg("REPLACE").arg(&self.library()?.text);
        Some(load)
    }

    /// Takes note that this server keeps no libraries.
    pub(super) fn without_library(&self) {
        if let Some(library) = &self.library {
            library.refused.store(true, Ordering::Relaxed);
        }
    }

    /// A call of the script that the server keeps.
    pub(super) fn call(&self, keys: &[String], batch: &[u8]) -> Cmd {
        complete(cmd("EVALSHA"), &self.digest, keys, batch)
    }

    /// A call that brings the script along, and makes the server keep it.
    pub(super) fn bring(&self, keys: &[String], batch: &[u8]) -> Cmd {
        complete(cmd("EVAL"), self.source, keys, batch)
    }
}

fn complete(mut command: Cmd, script: &str, keys: &[String], batch: &[u8]) -> Cmd {
    command.arg(script).arg(keys.len()).arg(keys).arg(batch);
    command
}

/// Returns the keys of a ledger: one hash tag, and so one slot.
pub(super) fn keys(prefix: &str, ledger: &str) -> Vec<String> {
    KEYS.iter().map(|key| format!("{prefix}{{{ledger}}}:{key}")).collect()
}

/// Returns the channel of an inbox, which has the ledger's hash tag.
pub(super) fn channel(prefix: &str, ledger: &str, inbox: &str) -> String {
    format!("{prefix}{{{ledger}}}:to:{inbox}")
}

/// Returns the ledger of a channel.
pub(super) fn ledger_of(channel: &str) -> Option<&str> {
    Some(channel.split_once('{')?.1.split_once('}')?.0)
}

/// Says what is wrong with a prefix or with the name of a ledger.
pub(super) fn fault_of_name(name: &str) -> Option<&'static str> {
    if name.contains(['{', '}']) {
        return Some("it has a brace, which marks the ledger in a key of redis");
    }
    if name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Some("it has a space or a control character");
    }
    (name.len() > 256).then_some("it is longer than 256 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_has_five_keys_in_one_slot() {
        let keys = keys("paceline:", "openai");
        assert_eq!(keys.first().map(String::as_str), Some("paceline:{openai}:ledger"));
        assert_eq!(keys.len(), 5);
        assert_eq!(ledger_of(&channel("p:", "openai", "00ff")), Some("openai"));
    }

    #[test]
    fn names_that_would_split_a_key_are_refused() {
        assert_eq!(fault_of_name("paceline:"), None);
        for name in ["a{b", "a}b", "a b", "a\nb", &"x".repeat(300)] {
            assert!(fault_of_name(name).is_some(), "{name}");
        }
    }
}
