//! Profiles: how a provider counts, reserves, reports and refuses. Pure data and pure functions.

/// How one provider counts.
#[derive(Debug, Clone)]
pub struct Profile {
    /// The provider's name, as in configurations.
    pub name: String,
}
