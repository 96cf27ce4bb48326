//! Profiles: how a provider counts, reserves and settles. Pure data and pure functions.

mod builtin;
mod call;
mod formula;
mod profile;
mod read;
mod table;

pub use call::{Call, Charges, Usage};
pub use formula::{Formula, NotATerm, Quantity};
pub use profile::{Profile, Reserve, Return, Rule, SubWindow, Windows};
pub(crate) use read::read;
pub use table::{Seed, seeds, tiers};
