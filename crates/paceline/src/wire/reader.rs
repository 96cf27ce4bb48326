//! `MessagePack`, read: strict about what is there, lenient about how Lua writes it.

use std::fmt;

use paceline_core::{Millis, NEVER, Name, SessionId};
use rmp::Marker;

/// Why bytes are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireError {
    /// They end too early.
    Short,
    /// Something else stands where this was expected.
    Expected(&'static str),
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("the message ends too early"),
            Self::Expected(what) => write!(f, "the message has something else where {what} was expected"),
        }
    }
}

impl std::error::Error for WireError {}

/// What is left to read.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

/// A number as it is written.
pub(super) enum Number {
    Int(i64),
    Float(f64),
}

/// For how many values of a list room is made before they are read.
const AHEAD: usize = 256;

/// How deep values of values may go.
const DEPTH: usize = 32;

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn peek(&self) -> Result<Marker, WireError> {
        self.0.first().map(|byte| Marker::from_u8(*byte)).ok_or(WireError::Short)
    }

    fn marker(&mut self) -> Result<Marker, WireError> {
        self.take::<1>().map(|[byte]| Marker::from_u8(byte))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(WireError::Short)?;
        self.0 = rest;
        Ok(*head)
    }

    fn slice(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (head, rest) = self.0.split_at_checked(length).ok_or(WireError::Short)?;
        self.0 = rest;
        Ok(head)
    }

    /// Takes nil or false, if that is what stands here.
    pub(super) fn none(&mut self) -> Result<bool, WireError> {
        let none = matches!(self.peek()?, Marker::Null | Marker::False);
        if none {
            self.marker()?;
        }
        Ok(none)
    }

    pub(super) fn flag(&mut self) -> Result<bool, WireError> {
        match self.marker()? {
            Marker::True => Ok(true),
            Marker::False | Marker::Null => Ok(false),
            _ => Err(WireError::Expected("a yes or no")),
        }
    }

    pub(super) fn number(&mut self) -> Result<Number, WireError> {
        let int = |value: i64| Ok(Number::Int(value));
        match self.marker()? {
            Marker::FixPos(value) => int(i64::from(value)),
            Marker::FixNeg(value) => int(i64::from(value)),
            Marker::U8 => int(i64::from(u8::from_be_bytes(self.take()?))),
            Marker::U16 => int(i64::from(u16::from_be_bytes(self.take()?))),
            Marker::U32 => int(i64::from(u32::from_be_bytes(self.take()?))),
            Marker::U64 => int(i64::try_from(u64::from_be_bytes(self.take()?)).unwrap_or(i64::MAX)),
            Marker::I8 => int(i64::from(i8::from_be_bytes(self.take()?))),
            Marker::I16 => int(i64::from(i16::from_be_bytes(self.take()?))),
            Marker::I32 => int(i64::from(i32::from_be_bytes(self.take()?))),
            Marker::I64 => int(i64::from_be_bytes(self.take()?)),
            Marker::F32 => Ok(Number::Float(f64::from(f32::from_be_bytes(self.take()?)))),
            Marker::F64 => Ok(Number::Float(f64::from_be_bytes(self.take()?))),
            _ => Err(WireError::Expected("a number")),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "a cast saturates")]
    pub(super) fn int(&mut self) -> Result<i64, WireError> {
        Ok(match self.number()? {
            Number::Int(value) => value,
            Number::Float(value) => value as i64,
        })
    }

    /// A number of something; what is below zero is none of it.
    pub(super) fn uint(&mut self) -> Result<u64, WireError> {
        Ok(u64::try_from(self.int()?).unwrap_or(0))
    }

    /// A duration, without an end where it is infinite.
    pub(super) fn millis(&mut self) -> Result<Millis, WireError> {
        let mut ahead = *self;
        if let Number::Float(value) = ahead.number()?
            && value.is_infinite()
        {
            *self = ahead;
            return Ok(NEVER);
        }
        self.uint()
    }

    pub(super) fn millis_or_none(&mut self) -> Result<Option<Millis>, WireError> {
        if self.none()? { Ok(None) } else { self.millis().map(Some) }
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let length = match self.marker()? {
            Marker::FixStr(length) => usize::from(length),
            Marker::Str8 | Marker::Bin8 => usize::from(u8::from_be_bytes(self.take()?)),
            Marker::Str16 | Marker::Bin16 => usize::from(u16::from_be_bytes(self.take()?)),
            Marker::Str32 | Marker::Bin32 => size(u32::from_be_bytes(self.take()?)),
            _ => return Err(WireError::Expected("a text")),
        };
        self.slice(length)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| WireError::Expected("a text in UTF-8"))
    }

    pub(super) fn name(&mut self) -> Result<Name, WireError> {
        self.text().map(Name::from)
    }

    pub(super) fn name_or_none(&mut self) -> Result<Option<Name>, WireError> {
        if self.none()? { Ok(None) } else { self.name().map(Some) }
    }

    pub(super) fn session(&mut self) -> Result<SessionId, WireError> {
        let bytes = self.bytes()?.try_into().map_err(|_| WireError::Expected("a session"))?;
        Ok(SessionId(u128::from_be_bytes(bytes)))
    }

    pub(super) fn session_or_none(&mut self) -> Result<Option<SessionId>, WireError> {
        if self.none()? { Ok(None) } else { self.session().map(Some) }
    }

    /// Begins an array, and returns how many values follow.
    pub(super) fn array(&mut self) -> Result<usize, WireError> {
        match self.marker()? {
            Marker::FixArray(length) => Ok(usize::from(length)),
            Marker::Array16 => Ok(usize::from(u16::from_be_bytes(self.take()?))),
            Marker::Array32 => Ok(size(u32::from_be_bytes(self.take()?))),
            Marker::FixMap(0) => Ok(0),
            _ => Err(WireError::Expected("a list")),
        }
    }

    /// Begins a map, and returns how many pairs follow.
    pub(super) fn map(&mut self) -> Result<usize, WireError> {
        match self.marker()? {
            Marker::FixMap(length) => Ok(usize::from(length)),
            Marker::Map16 => Ok(usize::from(u16::from_be_bytes(self.take()?))),
            Marker::Map32 => Ok(size(u32::from_be_bytes(self.take()?))),
            Marker::FixArray(0) => Ok(0),
            _ => Err(WireError::Expected("a table")),
        }
    }

    /// Reads an array whose values are all read alike.
    pub(super) fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, WireError>,
    ) -> Result<Vec<T>, WireError> {
        let length = self.array()?;
        let mut list = Vec::with_capacity(length.min(self.0.len()).min(AHEAD));
        for _ in 0..length {
            list.push(read(self)?);
        }
        Ok(list)
    }

    pub(super) fn figures(&mut self) -> Result<Vec<(Name, u64)>, WireError> {
        let length = self.map()?;
        let mut figures = Vec::with_capacity(length.min(self.0.len()).min(AHEAD));
        for _ in 0..length {
            figures.push((self.name()?, self.uint()?));
        }
        Ok(figures)
    }

    /// Passes over one value.
    pub(super) fn skip(&mut self) -> Result<(), WireError> {
        self.skip_within(DEPTH)
    }

    fn skip_within(&mut self, depth: usize) -> Result<(), WireError> {
        if depth == 0 {
            return Err(WireError::Expected("something simpler"));
        }
        match self.peek()? {
            Marker::Null | Marker::True | Marker::False => self.marker().map(drop),
            Marker::FixStr(_)
            | Marker::Str8
            | Marker::Str16
            | Marker::Str32
            | Marker::Bin8
            | Marker::Bin16
            | Marker::Bin32 => self.bytes().map(drop),
            Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => {
                let length = self.array()?;
                (0..length).try_for_each(|_| self.skip_within(depth - 1))
            }
            Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => {
                let pairs = self.map()?;
                (0..pairs.saturating_mul(2)).try_for_each(|_| self.skip_within(depth - 1))
            }
            _ => self.number().map(drop),
        }
    }
}

fn size(length: u32) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}
