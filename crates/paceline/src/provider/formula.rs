//! Sums of what is known of a call: `input + 5 * output`, `max(input, max_output)`.

use std::fmt;
use std::str::FromStr;

/// Something that is known of a call, before or after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// One, for every call.
    Call,
    /// Tokens of the whole prompt.
    Input,
    /// The same, once for each answer that is asked for.
    InputEach,
    /// Those that were read from the cache.
    Cached,
    /// Those that were not.
    Uncached,
    /// Tokens of all answers: the most that there may be, or the expected ones, as the profile reserves.
    Output,
    /// The most tokens that the answers may have.
    MaxOutput,
    /// `output` times the model's burn-down rate.
    BurnedOutput,
}

impl Quantity {
    const NAMES: [(&'static str, Self); 8] = [
        ("call", Self::Call),
        ("input", Self::Input),
        ("input_each", Self::InputEach),
        ("cached", Self::Cached),
        ("uncached", Self::Uncached),
        ("output", Self::Output),
        ("max_output", Self::MaxOutput),
        ("burned_output", Self::BurnedOutput),
    ];

    /// Returns the names that a formula may use.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::NAMES.iter().map(|(name, _)| *name)
    }
}

/// A sum of weighted quantities, or of the largest of some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Formula {
    terms: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    times: u64,
    largest_of: Vec<Quantity>,
}

/// The part of a formula that is not a term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotATerm(pub String);

impl Formula {
    /// Returns the sum, `None` where a quantity in it is not known.
    ///
    /// ```
    /// use paceline::provider::{Formula, Quantity};
    ///
    /// let formula: Formula = "input + 5 * output".parse().unwrap();
    /// let known = |quantity| (quantity == Quantity::Input).then_some(7).or(Some(2));
    /// assert_eq!(formula.value(known), Some(17));
    /// ```
    pub fn value(&self, known: impl Fn(Quantity) -> Option<u64>) -> Option<u64> {
        self.terms.iter().try_fold(0u64, |sum, term| {
            let largest = term
                .largest_of
                .iter()
                .try_fold(0, |most, quantity| known(*quantity).map(|value| value.max(most)))?;
            Some(sum.saturating_add(largest.saturating_mul(term.times)))
        })
    }
}

impl FromStr for Formula {
    type Err = NotATerm;

    fn from_str(text: &str) -> Result<Self, NotATerm> {
        let terms =
            text.split('+').map(|term| read_term(term.trim()).ok_or_else(|| NotATerm(term.trim().into())));
        Ok(Self { terms: terms.collect::<Result<_, _>>()? })
    }
}

fn read_term(text: &str) -> Option<Term> {
    let (times, rest) = match text.split_once('*') {
        Some((times, rest)) => (crate::config::whole_number(times.trim())?, rest.trim()),
        None => (1, text),
    };
    let inner = rest.strip_prefix("max(").and_then(|rest| rest.strip_suffix(')'));
    let largest_of = match inner {
        Some(list) => list.split(',').map(|name| read_quantity(name.trim())).collect::<Option<_>>()?,
        None => vec![read_quantity(rest)?],
    };
    Some(Term { times, largest_of })
}

fn read_quantity(name: &str) -> Option<Quantity> {
    Quantity::NAMES.iter().find(|(known, _)| *known == name).map(|(_, quantity)| *quantity)
}

impl fmt::Display for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, term) in self.terms.iter().enumerate() {
            if position > 0 {
                f.write_str(" + ")?;
            }
            if term.times != 1 {
                write!(f, "{} * ", term.times)?;
            }
            match term.largest_of.as_slice() {
                [one] => write!(f, "{one}")?,
                several => {
                    let names: Vec<String> = several.iter().map(ToString::to_string).collect();
                    write!(f, "max({})", names.join(", "))?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(_, quantity)| quantity == self).map_or("", |(name, _)| *name);
        f.write_str(name)
    }
}
