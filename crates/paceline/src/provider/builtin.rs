//! The profiles that come with the crate.

use std::sync::{Arc, LazyLock};

use super::profile::Profile;

static PROFILES: LazyLock<Vec<Arc<Profile>>> = LazyLock::new(Vec::new);

/// Returns the profiles of `data/profiles.yaml`.
pub(super) fn profiles() -> &'static [Arc<Profile>] {
    &PROFILES
}
