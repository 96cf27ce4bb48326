//! The profiles that come with the crate.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use super::profile::Profile;
use super::read::read;
use crate::config::{Fault, Node, Reader};

const NAME: &str = "profiles.yaml";
const TEXT: &str = include_str!("../../data/profiles.yaml");

static PROFILES: LazyLock<Vec<Arc<Profile>>> = LazyLock::new(|| load(&mut Reader::new(NAME, TEXT)));

/// Returns the profiles of `data/profiles.yaml`.
pub(super) fn profiles() -> &'static [Arc<Profile>] {
    &PROFILES
}

fn load(reader: &mut Reader<'_>) -> Vec<Arc<Profile>> {
    let mut known = BTreeMap::new();
    let mut profiles = Vec::new();
    match Node::read(TEXT) {
        Ok((root, _)) => reader.each(&root, "a mapping of profiles", |reader, entry| {
            if let Some(profile) = read(reader, entry, &known) {
                known.insert(entry.key.clone(), profile.clone());
                profiles.push(profile);
            }
        }),
        Err(stop) => reader.fault(stop.span, Fault::Syntax { message: stop.fault.to_string() }),
    }
    profiles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_file_has_no_fault() {
        let mut reader = Reader::new(NAME, TEXT);
        let profiles = load(&mut reader);
        assert_eq!(reader.into_problems(), []);
        assert!(profiles.len() >= 10, "{}", profiles.len());
    }
}
