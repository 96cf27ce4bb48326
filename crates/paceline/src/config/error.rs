//! What is wrong with a configuration, and where.

use std::fmt;
use std::io;

use paceline_core::SpecError;

/// Everything that was found wrong with a configuration; never empty.
///
/// `Display` shows it as a compiler would: what is wrong, the file, line and column, the line itself with a mark
/// under the place, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What.
    pub fault: Fault,
    /// Where in the configuration, from the outermost key inwards.
    pub path: Vec<String>,
    /// Where in the text; `None` for a configuration made in code.
    pub location: Option<Location>,
}

/// A place in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The name of the file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// How many characters are meant.
    pub length: usize,
    /// The line itself, shortened where it is long; what looks like a credential is struck out.
    pub excerpt: String,
    /// How many characters the excerpt leaves out at its beginning.
    pub skipped: usize,
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The variable that should name the file is not set.
    NoFileNamed {
        /// The variable.
        variable: &'static str,
    },
    /// The file cannot be read.
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        kind: io::ErrorKind,
    },
    /// The file is larger than is read.
    TooLarge {
        /// The most bytes that are read.
        most: usize,
    },
    /// Lists and mappings lie deeper in each other than is read.
    TooDeep {
        /// The most that is read.
        most: usize,
    },
    /// There are more values than are read, those that aliases repeat included.
    TooMany {
        /// The most that are read.
        most: usize,
    },
    /// It is not YAML.
    Syntax {
        /// What the parser says.
        message: String,
    },
    /// Something that YAML has and a configuration has not.
    Unsupported {
        /// What.
        what: &'static str,
    },
    /// There is no such key here.
    UnknownKey {
        /// The key.
        key: String,
        /// What is expected here.
        expected: String,
        /// The nearest key that there is.
        nearest: Option<String>,
    },
    /// A key stands twice in one mapping.
    DuplicateKey {
        /// The key.
        key: String,
        /// The line where it stands first.
        first_line: usize,
    },
    /// A value is of another kind than is expected.
    Mismatch {
        /// What is expected.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A number is too small or too large.
    OutOfRange {
        /// What number it is.
        what: &'static str,
        /// The number.
        found: String,
        /// The smallest that is allowed.
        least: u64,
        /// The largest that is allowed.
        most: u64,
    },
    /// A word is none of those that are allowed, or a name means nothing.
    UnknownName {
        /// What kind of thing it should name.
        what: &'static str,
        /// The name.
        name: String,
        /// The nearest name that there is.
        nearest: Option<String>,
        /// All names that there are, where they are few.
        known: Vec<String>,
    },
    /// Something that is needed is not said.
    Missing {
        /// What is not said.
        what: String,
    },
    /// Two things that cannot both be.
    Contradiction {
        /// One.
        one: String,
        /// The other.
        other: String,
        /// Why not, or what to do.
        why: String,
    },
    /// A burst that cannot sustain the rate of its limit.
    BurstTooSmall {
        /// The burst.
        burst: u64,
        /// The smallest that can.
        least: u64,
    },
    /// Two names that can mean the same.
    Clash {
        /// One.
        one: String,
        /// Whose it is.
        of: String,
        /// The other.
        other: String,
        /// Whose that is.
        other_of: String,
    },
    /// Reserves on one limit that leave nothing.
    OverReserved {
        /// The limit.
        limit: String,
        /// What they add up to, in hundredths of a per cent.
        hundredths: u32,
    },
    /// Something that no ledger can do, and that nothing more particular was said of.
    Unworkable {
        /// What the ledger says.
        error: SpecError,
    },
    /// A name that is taken.
    Taken {
        /// What it names.
        what: &'static str,
        /// The name.
        name: String,
        /// By what it is taken.
        by: String,
    },
}

impl ConfigError {
    /// Returns what is wrong, in the order in which it was found.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    pub(crate) fn of(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self { problems }) }
    }

    pub(crate) fn nowhere(fault: Fault) -> Self {
        Self { problems: vec![Problem { fault, path: Vec::new(), location: None }] }
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, problem) in self.problems.iter().enumerate() {
            if position > 0 {
                f.write_str("\n\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.fault)?;
        match &self.location {
            Some(location) => write!(f, "\n{location}")?,
            None if self.path.is_empty() => {}
            None => write!(f, "\n  --> {}", self.path.join(" / "))?,
        }
        match (self.fault.hint(), &self.location) {
            (Some(hint), Some(_)) => write!(f, " {hint}"),
            (Some(hint), None) => write!(f, "\n  = {hint}"),
            (None, _) => Ok(()),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, length, excerpt, skipped } = self;
        let gutter = " ".repeat(line.to_string().len());
        let before = " ".repeat(column.saturating_sub(skipped + 1));
        let mark = "^".repeat((*length).max(1));
        write!(
            f,
            "{gutter}--> {file}:{line}:{column}\n{gutter} |\n{line} | {excerpt}\n{gutter} | {before}{mark}"
        )
    }
}
