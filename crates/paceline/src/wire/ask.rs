//! Batches: a header, and commands by name.

use paceline_core::{LimitSpec, Millis, Name, ResourceSpec, SessionId};

use super::out::Out;
use super::{COMMANDS, VERSION};

/// Amounts by the names of their metrics.
pub type Figures<'a> = &'a [(&'a str, u64)];

/// What stands at the head of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header<'a> {
    /// The session; `None` for a batch of its own.
    pub session: Option<SessionId>,
    /// The number of the batch, from 1; 0 without a session.
    pub n: u64,
    /// The highest number of the outbox that was applied.
    pub seen: u64,
    /// The epoch of the last answer, empty where there was none.
    pub epoch: &'a str,
    /// The sequence of the last answer.
    pub seq: u64,
    /// Until when the ledger was promised to exist, in milliseconds of the store's clock.
    pub promised: u64,
    /// The session's time-out, in milliseconds.
    pub time_out: Millis,
    /// The full name of the channel for pushes, empty for none.
    pub inbox: &'a str,
    /// Whether pushes are sharded.
    pub sharded: bool,
    /// The run id of the server, empty where it is not known.
    pub run_id: &'a str,
    /// Hexadecimal digits that become the epoch where this batch begins one.
    pub fresh: &'a str,
    /// How limits restart whose state is lost: `elapsed`, `empty` or `full`.
    pub on_lost: &'a str,
    /// The store's clock in milliseconds where an exam tells it.
    pub now: Option<Millis>,
}

/// What is paused or resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On<'a> {
    /// All callers of a resource.
    Resource(&'a str),
    /// All callers that draw on a limit.
    Limit(&'a str),
}

/// A command. Where a session may be named, `None` is the batch's own.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(missing_docs, reason = "each field is the one of the core's command of the same name")]
pub enum Ask<'a> {
    /// Asks for a permit; with `why` a refusal explains itself.
    Acquire {
        session: Option<SessionId>,
        number: u64,
        resource: &'a str,
        lane: Option<&'a str>,
        amounts: Figures<'a>,
        within: Millis,
        head_start: Millis,
        wait: bool,
        why: bool,
    },
    /// Ends a permit; `None` used nothing.
    Settle { session: Option<SessionId>, number: u64, usage: Option<Figures<'a>> },
    /// Leaves the line, or gives a permit back in full.
    Cancel { session: Option<SessionId>, number: u64 },
    /// Lowers or raises what a permit reserves.
    Amend { session: Option<SessionId>, number: u64, amounts: Figures<'a> },
    /// Charges use that nobody asked for.
    Record { resource: &'a str, lane: Option<&'a str>, amounts: Figures<'a> },
    /// Opens a session, or gives it a fresh time-out; where an inbox is named, pushes for it go there.
    Touch { session: SessionId, time_out: Option<Millis>, inbox: Option<&'a str> },
    /// Ends a session.
    Close { session: Option<SessionId> },
    /// Hands a permit to another session.
    Transfer { session: Option<SessionId>, number: u64, to: SessionId, time_out: Option<Millis> },
    /// Takes over what a provider reported.
    Observe { limit: &'a str, remaining: Option<u64>, amount: Option<u64> },
    /// Lets callers wait, or refuses them.
    Pause { on: On<'a>, lasting: Option<Millis>, refuse: bool },
    /// Ends a pause.
    Resume { on: On<'a> },
    /// Refuses all that wait.
    Purge { resource: &'a str, lane: Option<&'a str> },
    /// Changes limits and resources; without a revision it is unconditional.
    Configure {
        limits: &'a [LimitSpec],
        resources: &'a [ResourceSpec],
        removed: &'a [Name],
        revision: Option<u64>,
        digests: &'a [(Name, String)],
    },
    /// Puts a permit back into a ledger that was lost.
    Restore {
        number: u64,
        resource: &'a str,
        lane: Option<&'a str>,
        reserved: Figures<'a>,
        extra: Figures<'a>,
        age: Millis,
    },
    /// Reports what was granted since the state that was restored.
    Spent { resource: &'a str, lane: Option<&'a str>, amounts: Figures<'a> },
    /// Ends the report of a session.
    Recovered,
    /// Asks whether a demand would go.
    Explain { resource: &'a str, lane: Option<&'a str>, amounts: Figures<'a> },
    /// Asks for all limits and resources.
    View,
    /// Asks for the permit of an id; for those of a session, where the number is 0; or for all after so many, where no
    /// session is named.
    Permits { session: Option<SessionId>, number: u64, most: u64 },
    /// Asks how the ledger is.
    Status,
    /// Asks for the ledger as canonical text.
    Dump,
}

/// Returns a batch as bytes. It holds at most [`COMMANDS`] commands, those beyond are left out.
pub fn write_batch(header: &Header<'_>, asks: &[Ask<'_>]) -> Vec<u8> {
    let asks = asks.get(..COMMANDS).unwrap_or(asks);
    let mut out = Vec::with_capacity(192 + 96 * asks.len());
    write_header(&mut out, header, asks.len());
    for ask in asks {
        write_ask(&mut out, ask);
    }
    out
}

/// Writes the beginning of a batch of so many commands, which follow.
pub fn write_header(out: &mut Vec<u8>, header: &Header<'_>, commands: usize) {
    let mut out = Out(out);
    out.array(15);
    out.uint(VERSION);
    out.session(header.session);
    out.uint(header.n);
    out.uint(header.seen);
    out.text(header.epoch);
    out.uint(header.seq);
    out.uint(header.promised);
    out.uint(header.time_out);
    out.text(header.inbox);
    out.flag(header.sharded);
    out.text(header.run_id);
    out.text(header.fresh);
    out.text(header.on_lost);
    out.uint_or_none(header.now);
    out.array(commands);
}

/// Writes one command.
pub fn write_ask(out: &mut Vec<u8>, ask: &Ask<'_>) {
    let mut out = Out(out);
    match *ask {
        Ask::Acquire { session, number, resource, lane, amounts, within, head_start, wait, why } => {
            out.command("acquire", 9, Some((session, number)));
            out.demand(resource, lane, amounts);
            out.millis(within);
            out.uint(head_start);
            out.flag(wait);
            out.flag(why);
        }
        Ask::Settle { session, number, usage } => {
            out.command("settle", 3, Some((session, number)));
            match usage {
                Some(figures) => out.figures(figures),
                None => out.none(),
            }
        }
        Ask::Cancel { session, number } => out.command("cancel", 2, Some((session, number))),
        Ask::Amend { session, number, amounts } => {
            out.command("amend", 3, Some((session, number)));
            out.figures(amounts);
        }
        Ask::Transfer { session, number, to, time_out } => {
            out.command("transfer", 4, Some((session, number)));
            out.session(Some(to));
            out.uint_or_none(time_out);
        }
        Ask::Touch { session, time_out, inbox } => {
            out.command("touch", 2 + usize::from(inbox.is_some()), None);
            out.session(Some(session));
            out.uint_or_none(time_out);
            if let Some(inbox) = inbox {
                out.text(inbox);
            }
        }
        Ask::Close { session } => {
            out.command("close", 1, None);
            out.session(session);
        }
        Ask::Restore { number, resource, lane, reserved, extra, age } => {
            out.command("restore", 6, None);
            out.uint(number);
            out.demand(resource, lane, reserved);
            out.figures(extra);
            out.uint(age);
        }
        ref other => out.other(other),
    }
}

impl Out<'_> {
    fn command(&mut self, name: &str, arguments: usize, ticket: Option<(Option<SessionId>, u64)>) {
        self.array(arguments + 1);
        self.text(name);
        if let Some((session, number)) = ticket {
            self.session(session);
            self.uint(number);
        }
    }

    fn demand(&mut self, resource: &str, lane: Option<&str>, figures: Figures<'_>) {
        self.text(resource);
        self.text_or_none(lane);
        self.figures(figures);
    }

    fn demanding(&mut self, name: &str, resource: &str, lane: Option<&str>, figures: Figures<'_>) {
        self.command(name, 3, None);
        self.demand(resource, lane, figures);
    }

    fn on(&mut self, on: On<'_>) {
        let (kind, name) = match on {
            On::Resource(name) => ("resource", name),
            On::Limit(name) => ("limit", name),
        };
        self.text(kind);
        self.text(name);
    }

    /// The commands that concern no ticket.
    fn other(&mut self, ask: &Ask<'_>) {
        match *ask {
            Ask::Record { resource, lane, amounts } => self.demanding("record", resource, lane, amounts),
            Ask::Spent { resource, lane, amounts } => self.demanding("spent", resource, lane, amounts),
            Ask::Explain { resource, lane, amounts } => self.demanding("explain", resource, lane, amounts),
            Ask::Observe { limit, remaining, amount } => {
                self.command("observe", 3, None);
                self.text(limit);
                self.uint_or_none(remaining);
                self.uint_or_none(amount);
            }
            Ask::Pause { on, lasting, refuse } => {
                self.command("pause", 4, None);
                self.on(on);
                self.uint_or_none(lasting);
                self.flag(refuse);
            }
            Ask::Resume { on } => {
                self.command("resume", 2, None);
                self.on(on);
            }
            Ask::Purge { resource, lane } => {
                self.command("purge", 2, None);
                self.text(resource);
                self.text_or_none(lane);
            }
            Ask::Configure { .. } => self.configure(ask),
            Ask::Permits { session, number, most } => {
                self.command("permits", 3, Some((session, number)));
                self.uint(most);
            }
            Ask::View => self.command("view", 0, None),
            Ask::Status => self.command("status", 0, None),
            Ask::Dump => self.command("dump", 0, None),
            // The only one left without arguments; the rest is written where it is told apart.
            _ => self.command("recovered", 0, None),
        }
    }

    fn configure(&mut self, ask: &Ask<'_>) {
        let Ask::Configure { limits, resources, removed, revision, digests } = *ask else { return };
        self.command("configure", 5, None);
        self.array(limits.len());
        for limit in limits {
            self.limit(limit);
        }
        self.array(resources.len());
        for resource in resources {
            self.resource(resource);
        }
        self.names(removed);
        self.uint_or_none(revision);
        self.map(digests.len());
        for (resource, digest) in digests {
            self.text(resource);
            self.text(digest);
        }
    }
}
