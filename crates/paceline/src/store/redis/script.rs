//! The ledger's twin, as a script of the server.

use ::redis::{Cmd, Script, cmd};

/// The ledger's five keys, in their order.
const KEYS: [&str; 5] = ["ledger", "sessions", "tickets", "line", "owners"];

/// The script, and the digest by which a server knows it.
pub(super) struct Twin {
    source: &'static str,
    digest: String,
}

impl Twin {
    pub(super) fn new(source: &'static str) -> Self {
        Self { source, digest: Script::new(source).get_hash().to_owned() }
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
