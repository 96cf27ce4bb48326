//! Reads values off a tree and notes everything that is wrong on the way.

use paceline_core::Millis;

use super::error::{Fault, Problem};
use super::near::nearest;
use super::node::{Entry, Node, Span, Value};
use super::source::{self, Step};
use super::units::{self, Share};

/// More than this nobody reads.
pub(crate) const MAX_PROBLEMS: usize = 50;

/// A text, and what was found wrong with it.
pub(crate) struct Reader<'a> {
    name: &'a str,
    text: &'a str,
    path: Vec<String>,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(name: &'a str, text: &'a str) -> Self {
        Self { name, text, path: Vec::new(), problems: Vec::new() }
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    pub(crate) fn fault(&mut self, span: Span, fault: Fault) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(source::problem(self.name, self.text, span, self.path.clone(), fault));
        }
    }

    fn is_full(&self) -> bool {
        self.problems.len() >= MAX_PROBLEMS
    }

    /// Reads each entry of a mapping; nothing at all is an empty one.
    pub(crate) fn each(&mut self, node: &Node, expected: &str, mut read: impl FnMut(&mut Self, &Entry)) {
        match &node.value {
            Value::Map(entries) => {
                for entry in entries.iter() {
                    self.path.push(source::struck_out(&entry.key));
                    read(self, entry);
                    self.path.pop();
                }
            }
            _ if node.is_null() => {}
            _ => self.mismatch(node, expected),
        }
    }

    pub(crate) fn mismatch(&mut self, node: &Node, expected: &str) {
        self.fault(node.span, Fault::Mismatch { expected: expected.to_owned(), found: node.describe() });
    }

    pub(crate) fn text(&mut self, node: &Node, expected: &str) -> Option<String> {
        match &node.value {
            Value::Scalar { text, .. } if !text.is_empty() && !node.is_null() => Some(text.clone()),
            _ => {
                self.mismatch(node, expected);
                None
            }
        }
    }

    pub(crate) fn texts(&mut self, node: &Node, expected: &str) -> Vec<String> {
        node.items().iter().filter_map(|item| self.text(item, expected)).collect()
    }

    pub(crate) fn number(&mut self, node: &Node, what: &'static str, least: u64, most: u64) -> Option<u64> {
        let Value::Scalar { text, plain: true } = &node.value else {
            self.mismatch(node, &format!("{what}, a whole number from {least} to {most}"));
            return None;
        };
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
        let zeroes = text.len() > 1 && text.starts_with('0');
        match units::whole_number(text) {
            Some(number) if !zeroes && (least..=most).contains(&number) => Some(number),
            Some(_) | None if digits && !zeroes && text.split('_').all(|part| !part.is_empty()) => {
                let found = text.chars().take(40).collect();
                self.fault(node.span, Fault::OutOfRange { what, found, least, most });
                None
            }
            _ => {
                self.mismatch(node, &format!("{what}, a whole number from {least} to {most}"));
                None
            }
        }
    }

    pub(crate) fn signed(&mut self, node: &Node, what: &'static str) -> Option<i32> {
        let read = match &node.value {
            Value::Scalar { text, plain: true } => text.replace('_', "").parse().ok(),
            _ => None,
        };
        if read.is_none() {
            self.mismatch(node, &format!("{what}, a whole number from {} to {}", i32::MIN, i32::MAX));
        }
        read
    }

    pub(crate) fn boolean(&mut self, node: &Node) -> Option<bool> {
        let read = match &node.value {
            Value::Scalar { text, plain: true } => text.parse().ok(),
            _ => None,
        };
        if read.is_none() {
            self.mismatch(node, "true or false");
        }
        read
    }

    pub(crate) fn duration(&mut self, node: &Node) -> Option<Millis> {
        self.scalar(node, "a duration such as 250ms, 10s, 5m or 24h", units::duration)
    }

    pub(crate) fn share(&mut self, node: &Node) -> Option<Share> {
        self.scalar(node, "a share above 0% up to 100%, such as 30%", Share::read)
    }

    /// Reads a word that stands for a value.
    pub(crate) fn word<T: Copy>(
        &mut self,
        node: &Node,
        what: &'static str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let text = self.text(node, what)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let known: Vec<String> = words.iter().map(|(word, _)| (*word).to_owned()).collect();
            self.unknown_name(node.span, what, &text, known);
        }
        found
    }

    pub(crate) fn unknown_name(&mut self, span: Span, what: &'static str, name: &str, known: Vec<String>) {
        if !self.is_full() {
            let nearest = nearest(name, known.iter().map(String::as_str));
            let name = source::struck_out(name);
            self.fault(span, Fault::UnknownName { what, name, nearest, known });
        }
    }

    pub(crate) fn unknown_key<'k>(
        &mut self,
        entry: &Entry,
        expected: &str,
        known: impl IntoIterator<Item = &'k str>,
    ) {
        if !self.is_full() {
            let nearest = nearest(&entry.key, known);
            let key = source::struck_out(&entry.key);
            self.fault(entry.span, Fault::UnknownKey { key, expected: expected.to_owned(), nearest });
        }
    }

    fn scalar<T>(&mut self, node: &Node, expected: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let value = match &node.value {
            Value::Scalar { text, .. } => read(text),
            _ => None,
        };
        if value.is_none() {
            self.mismatch(node, expected);
        }
        value
    }
}

/// Returns the path as people read it.
pub(crate) fn path_text(path: &[Step]) -> Vec<String> {
    let text = |step: &Step| match step {
        Step::Key(name) | Step::Name(name) | Step::Limit(_, name) => name.clone(),
    };
    path.iter().map(text).collect()
}
