//! Batches as the server half of the session protocol reads them. What comes here came over a network: everything is
//! checked and bounded before anything is applied.

use paceline_core::{
    Algorithm, Boundaries, Configuration, Counting, LaneSpec, Lanes, LimitSpec, Member, Millis, NEVER, Name,
    ResourceSpec, SessionId,
};

use super::ask::{Header, On};
use super::reader::{Reader, WireError};
use super::{BATCH_BYTES, COMMANDS, VERSION};

/// The longest name, channel or epoch, in bytes.
const NAME_BYTES: usize = 4_096;

/// Amounts by the names of their metrics.
pub type Wanted<'a> = Vec<(&'a str, u64)>;

/// A batch that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch<'a> {
    /// What stands at its head.
    pub header: Header<'a>,
    /// Its commands, at most [`COMMANDS`].
    pub commands: Vec<Asked<'a>>,
}

/// A command that was read: an [`Ask`](super::Ask) with what it owns. `None` as a session is the batch's own.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each is the one of `Ask` of the same name")]
pub enum Asked<'a> {
    Acquire {
        session: Option<SessionId>,
        number: u64,
        resource: &'a str,
        lane: Option<&'a str>,
        amounts: Wanted<'a>,
        within: Millis,
        head_start: Millis,
        wait: bool,
        why: bool,
    },
    Settle {
        session: Option<SessionId>,
        number: u64,
        usage: Option<Wanted<'a>>,
    },
    Cancel {
        session: Option<SessionId>,
        number: u64,
    },
    Amend {
        session: Option<SessionId>,
        number: u64,
        amounts: Wanted<'a>,
    },
    Record {
        resource: &'a str,
        lane: Option<&'a str>,
        amounts: Wanted<'a>,
    },
    Touch {
        session: SessionId,
        time_out: Option<Millis>,
        inbox: Option<&'a str>,
    },
    Close {
        session: Option<SessionId>,
    },
    Transfer {
        session: Option<SessionId>,
        number: u64,
        to: SessionId,
        time_out: Option<Millis>,
    },
    Observe {
        limit: &'a str,
        remaining: Option<u64>,
        amount: Option<u64>,
    },
    Pause {
        on: On<'a>,
        lasting: Option<Millis>,
        refuse: bool,
    },
    Resume {
        on: On<'a>,
    },
    Purge {
        resource: &'a str,
        lane: Option<&'a str>,
    },
    Configure {
        configuration: Box<Configuration>,
        revision: Option<u64>,
        digests: Vec<(Name, Name)>,
    },
    Restore {
        number: u64,
        resource: &'a str,
        lane: Option<&'a str>,
        reserved: Wanted<'a>,
        extra: Wanted<'a>,
        age: Millis,
    },
    Spent {
        resource: &'a str,
        lane: Option<&'a str>,
        amounts: Wanted<'a>,
    },
    Recovered,
    Explain {
        resource: &'a str,
        lane: Option<&'a str>,
        amounts: Wanted<'a>,
    },
    View,
    Permits {
        session: Option<SessionId>,
        number: u64,
        most: u64,
    },
    Status,
    Dump,
}

impl Asked<'_> {
    /// Returns whether it looks and changes nothing.
    pub fn is_look(&self) -> bool {
        matches!(self, Self::Explain { .. } | Self::View | Self::Permits { .. } | Self::Status | Self::Dump)
    }
}

/// Reads a batch.
///
/// # Errors
///
/// Says what stands where something else was expected. No bytes make it panic, and what it keeps is bounded by how many
/// they are.
pub fn read_batch(bytes: &[u8]) -> Result<Batch<'_>, WireError> {
    if bytes.len() > BATCH_BYTES {
        return Err(WireError::Expected("a smaller batch"));
    }
    let mut reader = Reader::new(bytes);
    let values = reader.array()?;
    if values < 15 {
        return Err(WireError::Expected("a batch"));
    }
    if reader.uint()? != VERSION {
        return Err(WireError::Expected("a batch of this version"));
    }
    let header = reader.header()?;
    let commands = reader.array()?;
    if commands > COMMANDS {
        return Err(WireError::Expected("at most 128 commands"));
    }
    let commands = (0..commands).map(|_| reader.asked()).collect::<Result<_, _>>()?;
    for _ in 15..values {
        reader.skip()?;
    }
    if !reader.is_empty() {
        return Err(WireError::Expected("the end"));
    }
    Ok(Batch { header, commands })
}

impl<'a> Reader<'a> {
    fn header(&mut self) -> Result<Header<'a>, WireError> {
        Ok(Header {
            session: self.session_or_none()?,
            n: self.uint()?,
            seen: self.uint()?,
            epoch: self.short()?,
            seq: self.uint()?,
            promised: self.uint()?,
            time_out: self.uint()?,
            inbox: self.short()?,
            sharded: self.flag()?,
            run_id: self.short()?,
            fresh: self.short()?,
            on_lost: self.short()?,
            now: if self.none()? { None } else { Some(self.uint()?) },
        })
    }

    /// A text of a bounded length.
    fn short(&mut self) -> Result<&'a str, WireError> {
        let text = self.text()?;
        if text.len() > NAME_BYTES { Err(WireError::Expected("a shorter name")) } else { Ok(text) }
    }

    fn short_or_none(&mut self) -> Result<Option<&'a str>, WireError> {
        if self.none()? { Ok(None) } else { self.short().map(Some) }
    }

    fn short_name(&mut self) -> Result<Name, WireError> {
        self.short().map(Name::from)
    }

    fn uint_or_none(&mut self) -> Result<Option<u64>, WireError> {
        if self.none()? { Ok(None) } else { self.uint().map(Some) }
    }

    fn wanted(&mut self) -> Result<Wanted<'a>, WireError> {
        let length = self.map()?;
        let mut wanted = Vec::with_capacity(length.min(8));
        for _ in 0..length {
            wanted.push((self.short()?, self.uint()?));
        }
        Ok(wanted)
    }

    fn on(&mut self) -> Result<On<'a>, WireError> {
        match self.text()? {
            "resource" => Ok(On::Resource(self.short()?)),
            "limit" => Ok(On::Limit(self.short()?)),
            _ => Err(WireError::Expected("a resource or a limit")),
        }
    }

    fn asked(&mut self) -> Result<Asked<'a>, WireError> {
        let values = self.array()?;
        let (command, read) = self.command(values)?;
        if read > values {
            return Err(WireError::Expected("a command of more values"));
        }
        for _ in read..values {
            self.skip()?;
        }
        Ok(command)
    }

    /// Reads a command of so many values, and returns it with how many it took.
    fn command(&mut self, values: usize) -> Result<(Asked<'a>, usize), WireError> {
        let command = match self.text()? {
            "acquire" => {
                let (session, number) = (self.session_or_none()?, self.uint()?);
                let (resource, lane, amounts) = (self.short()?, self.short_or_none()?, self.wanted()?);
                let (within, head_start) = (self.millis_or_none()?.unwrap_or(NEVER), self.uint()?);
                let (wait, why) = (self.flag()?, self.flag()?);
                (
                    Asked::Acquire {
                        session,
                        number,
                        resource,
                        lane,
                        amounts,
                        within,
                        head_start,
                        wait,
                        why,
                    },
                    10,
                )
            }
            "settle" => {
                let (session, number) = (self.session_or_none()?, self.uint()?);
                let usage = if self.none()? { None } else { Some(self.wanted()?) };
                (Asked::Settle { session, number, usage }, 4)
            }
            "cancel" => (Asked::Cancel { session: self.session_or_none()?, number: self.uint()? }, 3),
            "amend" => {
                let (session, number) = (self.session_or_none()?, self.uint()?);
                (Asked::Amend { session, number, amounts: self.wanted()? }, 4)
            }
            "touch" => {
                let (session, time_out) = (self.session()?, self.uint_or_none()?);
                let inbox = if values > 3 { self.short_or_none()? } else { None };
                (Asked::Touch { session, time_out, inbox }, values.clamp(3, 4))
            }
            "close" => (Asked::Close { session: self.session_or_none()? }, 2),
            "transfer" => {
                let (session, number) = (self.session_or_none()?, self.uint()?);
                let (to, time_out) = (self.session()?, self.uint_or_none()?);
                (Asked::Transfer { session, number, to, time_out }, 5)
            }
            other => return self.other(other),
        };
        Ok(command)
    }

    /// The commands that concern no ticket.
    fn other(&mut self, name: &str) -> Result<(Asked<'a>, usize), WireError> {
        Ok(match name {
            "record" | "spent" | "explain" => {
                let (resource, lane, amounts) = (self.short()?, self.short_or_none()?, self.wanted()?);
                let command = match name {
                    "record" => Asked::Record { resource, lane, amounts },
                    "spent" => Asked::Spent { resource, lane, amounts },
                    _ => Asked::Explain { resource, lane, amounts },
                };
                (command, 4)
            }
            "observe" => {
                let (limit, remaining) = (self.short()?, self.uint_or_none()?);
                (Asked::Observe { limit, remaining, amount: self.uint_or_none()? }, 4)
            }
            "pause" => {
                let (on, lasting) = (self.on()?, self.uint_or_none()?);
                (Asked::Pause { on, lasting, refuse: self.flag()? }, 5)
            }
            "resume" => (Asked::Resume { on: self.on()? }, 3),
            "purge" => (Asked::Purge { resource: self.short()?, lane: self.short_or_none()? }, 3),
            "configure" => (self.configure()?, 6),
            "restore" => {
                let (number, resource, lane) = (self.uint()?, self.short()?, self.short_or_none()?);
                let (reserved, extra, age) = (self.wanted()?, self.wanted()?, self.uint()?);
                (Asked::Restore { number, resource, lane, reserved, extra, age }, 7)
            }
            "recovered" => (Asked::Recovered, 1),
            "view" => (Asked::View, 1),
            "permits" => {
                let (session, number) = (self.session_or_none()?, self.uint()?);
                (Asked::Permits { session, number, most: self.uint()? }, 4)
            }
            "status" => (Asked::Status, 1),
            "dump" => (Asked::Dump, 1),
            _ => return Err(WireError::Expected("a command")),
        })
    }

    fn configure(&mut self) -> Result<Asked<'a>, WireError> {
        let limits = self.list(Self::limit_spec)?;
        let resources = self.list(Self::resource_spec)?;
        let removed = self.list(Self::short_name)?;
        let revision = self.uint_or_none()?;
        let mut digests = Vec::new();
        for _ in 0..self.map()? {
            digests.push((self.short_name()?, self.short_name()?));
        }
        let configuration = Box::new(Configuration { limits, resources, removed });
        Ok(Asked::Configure { configuration, revision, digests })
    }

    pub(super) fn limit_spec(&mut self) -> Result<LimitSpec, WireError> {
        let mut spec = LimitSpec::new("", "", 0, Algorithm::Concurrency);
        let (mut algorithm, mut instants) = ("", None);
        let (mut window, mut burst, mut slots, mut margin, mut period, mut phase) = (0, 0, 0, 0, 0, 0);
        for _ in 0..self.map()? {
            match self.text()? {
                "id" => spec.id = self.short_name()?,
                "metric" => spec.metric = self.short_name()?,
                "amount" => spec.amount = self.uint()?,
                "algorithm" => algorithm = self.text()?,
                "window" => window = self.uint()?,
                "burst" => burst = self.uint()?,
                "slots" => slots = u32::try_from(self.uint()?).unwrap_or(u32::MAX),
                "margin" => margin = self.uint()?,
                "period" => period = self.uint()?,
                "phase" => phase = self.uint()?,
                "instants" => instants = Some(self.list(Self::uint)?),
                "until_settled" if self.flag()? => spec.counting = Counting::UntilSettled,
                "until_settled" => {}
                "shadow" => spec.shadow = self.flag()?,
                "transit" => spec.transit = self.uint()?,
                "members" => spec.members = self.list(Self::member)?,
                _ => self.skip()?,
            }
        }
        spec.algorithm = match algorithm {
            "token_bucket" => Algorithm::TokenBucket { window, burst },
            "sliding_window" => Algorithm::SlidingWindow { window, slots },
            "fixed_window" => {
                let boundaries = instants.map_or(Boundaries::Every { period, phase }, Boundaries::At);
                Algorithm::FixedWindow { boundaries, margin }
            }
            "concurrency" => Algorithm::Concurrency,
            _ => return Err(WireError::Expected("an algorithm")),
        };
        if spec.id.is_empty() || spec.metric.is_empty() {
            return Err(WireError::Expected("a limit with a name and a metric"));
        }
        Ok(spec)
    }

    fn member(&mut self) -> Result<Member, WireError> {
        let values = self.array()?;
        if values < 3 {
            return Err(WireError::Expected("a member"));
        }
        let (resource, choice) = (self.short_name()?, self.text()?);
        let lanes = self.list(Self::short_name)?;
        let lanes = match choice {
            "all" => Lanes::All,
            "only" => Lanes::Only(lanes),
            "except" => Lanes::Except(lanes),
            _ => return Err(WireError::Expected("a choice of lanes")),
        };
        (3..values).try_for_each(|_| self.skip())?;
        Ok(Member { resource, lanes })
    }

    pub(super) fn resource_spec(&mut self) -> Result<ResourceSpec, WireError> {
        let mut spec = ResourceSpec::new("");
        for _ in 0..self.map()? {
            match self.text()? {
                "name" => spec.name = self.short_name()?,
                "line_max" => spec.line_max = u32::try_from(self.uint()?).unwrap_or(u32::MAX),
                "lanes" => spec.lanes = self.list(Self::lane_spec)?,
                _ => self.skip()?,
            }
        }
        if spec.name.is_empty() {
            return Err(WireError::Expected("a resource with a name"));
        }
        Ok(spec)
    }

    fn lane_spec(&mut self) -> Result<LaneSpec, WireError> {
        let values = self.array()?;
        if values < 4 {
            return Err(WireError::Expected("a lane"));
        }
        let name = self.short_name()?;
        let priority = i32::try_from(self.int()?).map_err(|_| WireError::Expected("a smaller priority"))?;
        let weight = u32::try_from(self.uint()?).unwrap_or(u32::MAX);
        let max_head_start = self.uint()?;
        (4..values).try_for_each(|_| self.skip())?;
        Ok(LaneSpec { name, priority, weight, max_head_start })
    }
}
