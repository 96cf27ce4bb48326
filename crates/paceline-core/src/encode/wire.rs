//! Numbers, names and collections as bytes.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::DecodeError;
use crate::Name;
use crate::slab::Slab;

/// Something that goes to bytes and comes back the same.
pub(crate) trait Code: Sized {
    fn put(&self, out: &mut Vec<u8>);
    fn get(input: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

/// What has not been read yet.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        let (first, rest) = self.rest.split_first().ok_or(DecodeError::Damaged)?;
        self.rest = rest;
        Ok(*first)
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(DecodeError::Damaged)?;
        self.rest = rest;
        Ok(taken)
    }
}

/// Writes the fields of a struct one after the other, and reads them back; fields after `..` are left at their default.
macro_rules! code {
    ($type:ty { $($field:ident),* $(,)? } $($rest:expr)?) => {
        impl Code for $type {
            fn put(&self, out: &mut Vec<u8>) {
                $(self.$field.put(out);)*
            }
            fn get(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                $(let $field = Code::get(input)?;)*
                Ok(Self { $($field,)* ..$($rest)? })
            }
        }
    };
    ($type:ty = { $($field:ident),* $(,)? }) => {
        impl Code for $type {
            fn put(&self, out: &mut Vec<u8>) {
                $(self.$field.put(out);)*
            }
            fn get(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                $(let $field = Code::get(input)?;)*
                Ok(Self { $($field,)* })
            }
        }
    };
}
pub(crate) use code;

impl Code for u64 {
    fn put(&self, out: &mut Vec<u8>) {
        u128::from(*self).put(out);
    }

    fn get(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::try_from(u128::get(input)?).map_err(|_| DecodeError::Damaged)
    }
}

/// Seven bits a byte, the lowest first.
impl Code for u128 {
    fn put(&self, out: &mut Vec<u8>) {
        let mut rest = *self;
        while rest > 0x7f {
            out.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        out.push((rest & 0x7f) as u8);
    }

    fn get(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut value = 0;
        for shift in (0..Self::BITS).step_by(7) {
            let byte = input.byte()?;
            value |= Self::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::Damaged)
    }
}

impl Code for u32 {
    fn put(&self, out: &mut Vec<u8>) {
        u64::from(*self).put(out);
    }

    fn get(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::try_from(u64::get(input)?).map_err(|_| DecodeError::Damaged)
    }
}

/// Small numbers of either sign are short: 0, -1, 1, -2, …
impl Code for i64 {
    fn put(&self, out: &mut Vec<u8>) {
        ((self << 1) ^ (self >> 63)).cast_unsigned().put(out);
    }

    fn get(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let zigzag = u64::get(input)?;
        Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
    }
}

impl Code for i32 {
    fn put(&self, out: &mut Vec<u8>) {
        i64::from(*self).put(out);
    }

    fn get(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::try_from(i64::get(input)?).map_err(|_| DecodeError::Damaged)
    }
}

impl Code for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn get(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Damaged),
        }
    }
}

impl Code for Name {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u64).put(out);
        out.extend_from_slice(self.as_bytes());
    }

    fn get(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = usize::try_from(u64::get(input)?).map_err(|_| DecodeError::Damaged)?;
        let text = core::str::from_utf8(input.bytes(count)?).map_err(|_| DecodeError::Damaged)?;
        Ok(text.into())
    }
}

impl<T: Code> Code for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn get(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        bool::get(input)?.then(|| T::get(input)).transpose()
    }
}

impl<T: Code> Code for Box<T> {
    fn put(&self, out: &mut Vec<u8>) {
        T::put(self, out);
    }

    fn get(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        T::get(input).map(Self::new)
    }
}

impl<T: Code> Code for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u64).put(out);
        for value in self {
            value.put(out);
        }
    }

    fn get(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = u64::get(input)?;
        (0..count).map(|_| T::get(input)).collect()
    }
}

impl<T: Code> Code for VecDeque<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u64).put(out);
        for value in self {
            value.put(out);
        }
    }

    fn get(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Vec::get(input).map(Into::into)
    }
}

impl<T: Code> Code for Slab<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.entries.put(out);
        self.free.put(out);
    }

    fn get(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (entries, free) = Code::get(input)?;
        Ok(Self { entries, free })
    }
}

impl<A: Code, B: Code> Code for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn get(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok((A::get(input)?, B::get(input)?))
    }
}
