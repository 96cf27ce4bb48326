//! A limit as operators and response headers see it.

use std::fmt;
use std::time::Duration;

use paceline_core::{Command, LimitId, LimitView, Name, Target};

use crate::Error;
use crate::clock::whole_ms;
use crate::events::Event;
use crate::names::nearest;
use crate::reply::Reply;
use crate::store::Account;

/// One limit of a ledger.
#[derive(Clone)]
pub struct Limit {
    account: Account,
    id: LimitId,
    name: Name,
}

/// How callers are held up.
///
/// ```
/// use std::time::Duration;
/// use paceline::Pause;
///
/// let cool_down = Pause::lasting(Duration::from_secs(20));
/// let out_of_credit = Pause::until_resumed().refusing();
/// # let _ = (cool_down, out_of_credit);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Pause {
    lasting: Option<Duration>,
    refuse: bool,
}

impl Pause {
    /// Returns a pause of this length.
    pub fn lasting(lasting: Duration) -> Self {
        Self { lasting: Some(lasting), refuse: false }
    }

    /// Returns a pause that lasts until it is ended.
    pub fn until_resumed() -> Self {
        Self { lasting: None, refuse: false }
    }

    /// Refuses callers, waiting ones included, rather than let them wait.
    pub fn refusing(self) -> Self {
        Self { refuse: true, ..self }
    }

    /// Returns how long it lasts, `None` until it is ended.
    pub fn length(&self) -> Option<Duration> {
        self.lasting
    }

    /// Returns whether callers are refused rather than left waiting.
    pub fn is_refusing(&self) -> bool {
        self.refuse
    }

    pub(crate) fn command(self, target: Target) -> Command {
        Command::Pause { target, lasting: self.lasting.map(whole_ms), refuse: self.refuse }
    }

    pub(crate) fn event(self, target: Name) -> Event {
        Event::Paused { target, lasting: self.lasting }
    }
}

impl Limit {
    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Lets all callers that draw on it wait, or refuses them.
    pub fn pause(&self, pause: Pause) -> Reply<()> {
        self.command(pause.command(Target::Limit(self.id)), || pause.event(self.name.clone()))
    }

    /// Ends a pause. A token bucket restarts empty.
    pub fn resume(&self) -> Reply<()> {
        let target = Target::Limit(self.id);
        self.command(Command::Resume { target }, || Event::Resumed { target: self.name.clone() })
    }

    /// Takes over what the provider reported: what is left, and what the amount is. It only lowers; a smaller amount
    /// holds for an hour, or until the provider says otherwise.
    pub fn observe(&self, remaining: Option<u64>, amount: Option<u64>) -> Reply<()> {
        let observe = Command::Observe { limit: self.id, remaining, amount };
        self.account.order(|_| Ok(observe), || None)
    }

    /// Returns it as it is; `None` once it is configured no longer.
    pub fn snapshot(&self) -> Reply<Option<LimitView>> {
        let name = Name::clone(&self.name);
        self.account
            .snapshot()
            .map(move |snapshot| snapshot.limits.into_iter().find(|limit| limit.name == name))
    }

    pub(crate) fn find(accounts: impl IntoIterator<Item = Account>, name: &str) -> Result<Self, Error> {
        let mut known = Vec::new();
        for account in accounts {
            if let Some(id) = account.look(|state, _| state.ledger.limit(name))? {
                return Ok(Self { account, id, name: name.into() });
            }
            let limits = account.look(|state, now| state.ledger.snapshot(now).limits)?;
            known.extend(limits.into_iter().map(|limit| limit.name));
        }
        let nearest = nearest(name, known.iter().map(|known| &**known));
        Err(Error::UnknownLimit { name: name.to_owned(), nearest })
    }

    fn command(&self, command: Command, event: impl FnOnce() -> Event) -> Reply<()> {
        self.account.order(|_| Ok(command), || Some(event()))
    }
}

impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Limit").field(&self.name).finish()
    }
}
