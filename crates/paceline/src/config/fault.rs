//! What is said to a person about each fault, and what to do about it.

use std::fmt;

use super::error::Fault;

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFileNamed { variable } => write!(f, "{variable} does not name a configuration file"),
            Self::Unreadable { file, kind } => write!(f, "cannot read {file}: {kind}"),
            Self::TooLarge { most } => write!(f, "larger than {most} bytes"),
            Self::TooDeep { most } => write!(f, "nested deeper than {most} levels"),
            Self::TooMany { most } => write!(f, "more than {most} values"),
            Self::Syntax { message } => write!(f, "not YAML: {message}"),
            Self::Unsupported { what } => write!(f, "{what} mean nothing in a configuration"),
            Self::UnknownKey { key, .. } => write!(f, "unknown key `{key}`"),
            Self::DuplicateKey { key, first_line } => {
                write!(f, "duplicate key `{key}`, which stands in line {first_line} already")
            }
            Self::Mismatch { expected, found } => write!(f, "expected {expected}, found {found}"),
            Self::OutOfRange { what, found, least, most } => {
                write!(f, "{what} is {found}, expected {least} to {most}")
            }
            Self::UnknownName { what, name, .. } => write!(f, "there is no {what} `{name}`"),
            Self::Missing { what } => write!(f, "{what} is not said"),
            Self::Contradiction { one, other, .. } => write!(f, "{one} contradicts {other}"),
            Self::BurstTooSmall { burst, .. } => write!(f, "a burst of {burst} is too small for its rate"),
            Self::Clash { one, of, other, other_of } => {
                write!(f, "`{one}` of {of} and `{other}` of {other_of} can mean the same name")
            }
            Self::OverReserved { limit, hundredths } => {
                write!(f, "reserves on {limit} add up to {}, and must leave something", percent(*hundredths))
            }
            Self::Unworkable { error } => write!(f, "no ledger can do this: {error}"),
            Self::Taken { what, name, by } => write!(f, "the {what} `{name}` is taken by {by}"),
        }
    }
}

impl Fault {
    /// Returns what to do about it, where there is something to say.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey { nearest: Some(nearest), .. }
            | Self::UnknownName { nearest: Some(nearest), .. } => Some(format!("did you mean `{nearest}`?")),
            Self::UnknownKey { expected, .. } => Some(format!("expected {expected}")),
            Self::UnknownName { known, .. } if !known.is_empty() => {
                Some(format!("expected {}", known.join(", ")))
            }
            Self::Contradiction { why, .. } if !why.is_empty() => Some(why.clone()),
            Self::BurstTooSmall { least, .. } => Some(format!("it takes at least {least}")),
            _ => None,
        }
    }
}

fn percent(hundredths: u32) -> String {
    match hundredths % 100 {
        0 => format!("{}%", hundredths / 100),
        fraction => format!("{}.{fraction:02}%", hundredths / 100),
    }
}
