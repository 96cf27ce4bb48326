//! A process that lets its user look into it: `paceline top` finds it by a socket that nobody else can open.
//!
//! One line publishes a limiter, [`Limiter::publish`]; the variable `PACELINE_PUBLISH` publishes all limiters of a
//! process that are not private. All that a process publishes under one name is seen together.
//!
//! A reader writes lines of JSON, and each is answered by one: `{"ask": "look"}` by `{"snapshot": …}` as
//! `GET /v1/snapshot` of a control plane has it, `{"ask": "pause", "resource": …, "seconds": …}` and `{"ask": "resume",
//! "resource": …}` by `{"done": true}` or `{"error": …}`; after `{"ask": "follow"}` a line `{"event": …, "data": …}`
//! comes for everything that happens. Without a reader it costs nothing.

mod say;
mod seat;
mod serve;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use seat::Seat;

use crate::Error;
use crate::limiter::Limiter;
use crate::store::remote::place;
use crate::sync::lock;

/// The variable with the name under which the limiters of a process are published.
pub const VARIABLE: &str = "PACELINE_PUBLISH";

/// A process that published itself, on this host by this user.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Published {
    /// The name under which it did.
    pub name: String,
    /// The number of the process.
    pub process: u32,
    /// Its socket.
    pub socket: PathBuf,
}

/// How the files of such sockets end.
const ENDING: &str = ".look";

/// Lists the processes of this user on this host that published themselves, by name. One that was killed is among them
/// until somebody finds that it does not answer, and calls [`Published::forget`].
pub fn published() -> Vec<Published> {
    let entries = std::fs::read_dir(place::folder()).into_iter().flatten().flatten();
    let mut found: Vec<Published> = entries.filter_map(|entry| Published::of(&entry.path())).collect();
    found.sort();
    found
}

impl Published {
    fn of(socket: &Path) -> Option<Self> {
        let name = socket.file_name()?.to_str()?.strip_suffix(ENDING)?;
        let (name, process) = name.rsplit_once('@')?;
        Some(Self { name: name.to_owned(), process: process.parse().ok()?, socket: socket.to_owned() })
    }

    /// Removes what a process left behind that no longer answers.
    pub fn forget(&self) {
        // Somebody else may have done so.
        let _ = std::fs::remove_file(&self.socket);
    }
}

impl Limiter {
    /// Lets this user look into the process with `paceline top`, under a name of letters, digits, `-`, `_` and `.`,
    /// until the limiter is closed or dropped.
    ///
    /// ```
    /// # use paceline::{Limiter, core::*};
    /// # let limiter = Limiter::builder().private().limits([], [ResourceSpec::new("gpt")]).build()?;
    /// limiter.publish("nightly")?;
    /// # Ok::<(), paceline::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Publish`] where the name cannot be one, or no socket can be made in the folder of the user.
    pub fn publish(&self, name: &str) -> Result<(), Error> {
        self.0.check_open()?;
        let refused = |reason: String| Error::Publish { name: name.to_owned(), reason };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > 48 || name.starts_with('.') || !name.chars().all(plain) {
            return Err(refused(
                "a name is made of letters, digits, '-', '_' and '.', and has at most 48 of them".to_owned(),
            ));
        }
        let seat = Seat::of(name).map_err(refused)?;
        seat.add(&self.0);
        *lock(&self.0.published) = Some(seat);
        Ok(())
    }

    /// Publishes it where the variable says so. That it cannot be done is logged, for the program works without.
    pub(crate) fn publish_by_variable(&self) {
        let Some(name) = std::env::var(VARIABLE).ok().filter(|name| !name.is_empty()) else { return };
        if let Err(error) = self.publish(&name) {
            log::warn!("{VARIABLE} is set, but: {error}");
        }
    }
}

/// What a limiter keeps of its publication.
pub(crate) type Publication = std::sync::Mutex<Option<Arc<Seat>>>;
