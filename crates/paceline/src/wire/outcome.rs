//! What a store answers to one command.

use paceline_core::{Binding, Explanation, Millis, Name, Refusal, SessionId, SpecError, TicketId};
use rmp::Marker;

use super::reader::{Number, Reader, WireError};

/// What a store answers to one command.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each field is the one of the core's outcome of the same name")]
pub enum Answer {
    /// The permit is there.
    Granted,
    /// The ticket waits.
    Queued { ahead: u64 },
    /// The answer is no, why, and what is short where that was asked for.
    Refused(Refusal, Option<Explained>),
    /// The permit has ended.
    Settled { returned: Vec<(Name, u64)>, charged: Vec<(Name, u64)> },
    /// The permit reserves something else.
    Amended { returned: Vec<(Name, u64)>, charged: Vec<(Name, u64)> },
    /// The ticket has left the line.
    Cancelled,
    /// Done.
    Done,
    /// The ticket or permit is over, or never was.
    Over,
    /// The session is dead, or never was.
    Expired,
    /// The configuration cannot be.
    Invalid(SpecError),
    /// Whether the configuration is in force, and of which resources another one is.
    Configured { applied: bool, differs: Vec<Name> },
    /// Whether a demand would go, and if not, why.
    Explained(Explained),
    /// There is no such resource.
    Unknown,
    /// All limits and resources.
    Viewed(View),
    /// Permits that are out, and whether there may be more.
    Permitted(Vec<PermitRow>, bool),
    /// How the ledger is.
    Told(Value),
    /// The ledger as text.
    Dumped(String),
}

/// An explanation, which is rare and large.
pub type Explained = Box<Explanation>;

/// All limits and resources of a ledger.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    /// The limits, by name.
    pub limits: Vec<LimitRow>,
    /// The resources, by name.
    pub resources: Vec<ResourceRow>,
}

/// A limit: [`LimitView`](paceline_core::LimitView) without its id.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the one of the core's view")]
pub struct LimitRow {
    pub name: Name,
    pub metric: Name,
    pub most: u64,
    pub amount: u64,
    pub window: Millis,
    pub used: u64,
    pub held: u64,
    pub left: i64,
    pub full_in: Millis,
    pub paused_for: Option<Millis>,
    pub shadow: bool,
    pub came_back: u64,
}

/// A resource: [`ResourceView`](paceline_core::ResourceView) without its id.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the one of the core's view")]
pub struct ResourceRow {
    pub name: Name,
    pub limits: Vec<Name>,
    pub waiting: u64,
    pub in_flight: u64,
    pub paused_for: Option<Millis>,
    pub lanes: Vec<LaneRow>,
}

/// A lane: [`LaneView`](paceline_core::LaneView) with its metrics by name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the one of the core's view")]
pub struct LaneRow {
    pub name: Option<Name>,
    pub waiting: u64,
    pub demand: Vec<(Name, u64)>,
    pub oldest: Option<Millis>,
    pub granted: u64,
}

/// A permit: [`PermitView`](paceline_core::PermitView) by names.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the one of the core's view")]
pub struct PermitRow {
    pub id: TicketId,
    pub owner: SessionId,
    pub resource: Name,
    pub lane: Option<Name>,
    pub age: Millis,
    pub reserved: Vec<(Name, u64)>,
}

/// Anything at all.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nil or false.
    None,
    /// True.
    True,
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// A text, or raw bytes.
    Bytes(Vec<u8>),
    /// A list.
    List(Vec<Value>),
    /// A table.
    Table(Vec<(Value, Value)>),
}

/// Reads any value.
pub fn read_value(bytes: &[u8]) -> Result<Value, WireError> {
    Reader::new(bytes).value(16)
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Bytes(text.into())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        if flag { Self::True } else { Self::None }
    }
}

impl From<Vec<Value>> for Value {
    fn from(list: Vec<Value>) -> Self {
        Self::List(list)
    }
}

impl Reader<'_> {
    pub(super) fn answer(&mut self) -> Result<Answer, WireError> {
        let alone = !matches!(self.peek()?, Marker::FixArray(_) | Marker::Array16 | Marker::Array32);
        let values = if alone { 1 } else { self.array()? };
        let word = self.text()?;
        match word {
            "granted" => Ok(Answer::Granted),
            "cancelled" => Ok(Answer::Cancelled),
            "done" => Ok(Answer::Done),
            "over" => Ok(Answer::Over),
            "expired" => Ok(Answer::Expired),
            "unknown" => Ok(Answer::Unknown),
            "queued" => Ok(Answer::Queued { ahead: self.uint()? }),
            "refused" => {
                let (refusal, read) = self.refusal()?;
                Ok(Answer::Refused(refusal, self.behind(values.saturating_sub(1 + read))?))
            }
            "settled" => {
                let (returned, charged) = self.difference(values)?;
                Ok(Answer::Settled { returned, charged })
            }
            "amended" => {
                let (returned, charged) = self.difference(values)?;
                Ok(Answer::Amended { returned, charged })
            }
            "invalid" => self.fault(values.saturating_sub(1)).map(Answer::Invalid),
            "configured" => Ok(Answer::Configured { applied: self.flag()?, differs: self.list(Self::name)? }),
            "explained" => self.explanation().map(Answer::Explained),
            "viewed" => {
                let (limits, resources) = (self.list(Self::limit_row)?, self.list(Self::resource_row)?);
                Ok(Answer::Viewed(View { limits, resources }))
            }
            "permitted" => {
                let rows = self.list(Self::permit_row)?;
                Ok(Answer::Permitted(rows, if values > 2 { self.flag()? } else { false }))
            }
            "told" => self.value(16).map(Answer::Told),
            "dumped" => Ok(Answer::Dumped(self.text()?.to_owned())),
            _ => Err(WireError::Expected("an outcome")),
        }
    }

    #[expect(clippy::type_complexity, reason = "two lists of amounts")]
    fn difference(&mut self, values: usize) -> Result<(Vec<(Name, u64)>, Vec<(Name, u64)>), WireError> {
        if values < 3 {
            return Ok((Vec::new(), Vec::new()));
        }
        Ok((self.figures()?, self.figures()?))
    }

    /// Reads what stands behind a refusal: an explanation, if anything.
    fn behind(&mut self, values: usize) -> Result<Option<Explained>, WireError> {
        let mut explained = None;
        for _ in 0..values {
            if self.none()? {
                continue;
            }
            match self.answer()? {
                Answer::Explained(told) => explained = Some(told),
                Answer::Unknown => {}
                _ => return Err(WireError::Expected("an explanation")),
            }
        }
        Ok(explained)
    }

    fn explanation(&mut self) -> Result<Explained, WireError> {
        let (goes, ready_in) = (self.flag()?, self.millis()?);
        let limits = self.list(Self::binding)?;
        let (ahead, head_waited) = (self.uint()?, self.millis_or_none()?);
        let paused_for = self.millis_or_none()?;
        let session = self.session_or_none()?;
        let number = if self.none()? { 0 } else { self.uint()? };
        let head = session.map(|session| TicketId { session, number });
        Ok(Box::new(Explanation { goes, ready_in, limits, ahead, head, head_waited, paused_for }))
    }

    /// Begins a row of so many values.
    fn row(&mut self, values: usize) -> Result<(), WireError> {
        if self.array()? == values { Ok(()) } else { Err(WireError::Expected("a row of another length")) }
    }

    fn binding(&mut self) -> Result<Binding, WireError> {
        self.row(6)?;
        Ok(Binding {
            limit: self.name()?,
            wanted: self.uint()?,
            left: self.int()?,
            set_aside: self.uint()?,
            most: self.uint()?,
            ready_in: self.millis()?,
        })
    }

    fn limit_row(&mut self) -> Result<LimitRow, WireError> {
        self.row(12)?;
        Ok(LimitRow {
            name: self.name()?,
            metric: self.name()?,
            most: self.uint()?,
            amount: self.uint()?,
            window: self.millis()?,
            used: self.uint()?,
            held: self.uint()?,
            left: self.int()?,
            full_in: self.millis()?,
            paused_for: self.millis_or_none()?,
            shadow: self.flag()?,
            came_back: self.uint()?,
        })
    }

    fn resource_row(&mut self) -> Result<ResourceRow, WireError> {
        self.row(6)?;
        Ok(ResourceRow {
            name: self.name()?,
            limits: self.list(Self::name)?,
            waiting: self.uint()?,
            in_flight: self.uint()?,
            paused_for: self.millis_or_none()?,
            lanes: self.list(Self::lane_row)?,
        })
    }

    fn lane_row(&mut self) -> Result<LaneRow, WireError> {
        self.row(5)?;
        Ok(LaneRow {
            name: self.name_or_none()?,
            waiting: self.uint()?,
            demand: self.figures()?,
            oldest: self.millis_or_none()?,
            granted: self.uint()?,
        })
    }

    fn permit_row(&mut self) -> Result<PermitRow, WireError> {
        self.row(7)?;
        Ok(PermitRow {
            id: TicketId { session: self.session()?, number: self.uint()? },
            owner: self.session()?,
            resource: self.name()?,
            lane: self.name_or_none()?,
            age: self.millis()?,
            reserved: self.figures()?,
        })
    }

    fn value(&mut self, depth: usize) -> Result<Value, WireError> {
        if depth == 0 {
            return Err(WireError::Expected("something simpler"));
        }
        Ok(match self.peek()? {
            Marker::Null | Marker::True | Marker::False => {
                if self.flag()? {
                    Value::True
                } else {
                    Value::None
                }
            }
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {
                Value::Bytes(self.bytes()?.to_vec())
            }
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => Value::Bytes(self.bytes()?.to_vec()),
            Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => {
                Value::List(self.list(|reader| reader.value(depth - 1))?)
            }
            Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => {
                let pairs = self.map()?;
                let pair = |_| Ok((self.value(depth - 1)?, self.value(depth - 1)?));
                Value::Table((0..pairs).map(pair).collect::<Result<_, WireError>>()?)
            }
            _ => match self.number()? {
                Number::Int(value) => Value::Int(value),
                Number::Float(value) => Value::Float(value),
            },
        })
    }
}
