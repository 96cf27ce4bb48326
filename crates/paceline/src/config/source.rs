//! A text that was read, so that what is found wrong later can be shown where it stands.

use std::fmt;

use super::error::{Fault, Location, Problem};
use super::node::{Node, Span, Value};

/// The name of a text, the text, and its tree.
pub(crate) struct Source {
    name: String,
    text: String,
    root: Node,
}

/// One step from the outside in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// To the value of a key.
    Key(String),
    /// To the key itself.
    Name(String),
    /// To a limit of a bundle: the short ones first, then those of its list; with its name.
    Limit(usize, String),
}

impl Source {
    pub(crate) fn new(name: &str, text: &str, root: Node) -> Self {
        Self { name: name.to_owned(), text: text.to_owned(), root }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the location at the end of a path, or as far along it as the text goes.
    pub(crate) fn locate(&self, path: &[Step]) -> Location {
        let mut node = &self.root;
        let mut span = Span { line: 1, column: 1, length: 1 };
        for step in path {
            let Some((next, at)) = follow(node, step) else { break };
            (node, span) = (next, at);
        }
        location(&self.name, &self.text, span)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("name", &self.name).finish_non_exhaustive()
    }
}

fn follow<'a>(node: &'a Node, step: &Step) -> Option<(&'a Node, Span)> {
    match step {
        Step::Name(key) => node.get(key).map(|entry| (&entry.node, entry.span)),
        Step::Key(key) => node.get(key).map(|entry| match &entry.node.value {
            Value::Scalar { .. } if !entry.node.is_null() => (&entry.node, entry.node.span),
            _ => (&entry.node, entry.span),
        }),
        Step::Limit(index, _) => follow_limit(node, *index),
    }
}

fn follow_limit(node: &Node, index: usize) -> Option<(&Node, Span)> {
    let Value::Map(entries) = &node.value else { return None };
    let mut short = entries.iter().filter(|entry| super::short::is_limit(&entry.key));
    let count = short.clone().count();
    match index.checked_sub(count) {
        None => short.nth(index).map(|entry| (&entry.node, entry.span)),
        Some(rest) => match &node.get("limits")?.node.value {
            Value::List(nodes) => nodes
                .iter()
                .filter(|node| node.get("shared").is_none())
                .nth(rest)
                .map(|node| (node, node.span)),
            _ => None,
        },
    }
}

/// Returns the problem of a fault at a span of a text.
pub(crate) fn problem(name: &str, text: &str, span: Span, path: Vec<String>, fault: Fault) -> Problem {
    Problem { fault, path, location: Some(location(name, text, span)) }
}

const WIDTH: usize = 100;
const LEAD: usize = 40;

fn location(name: &str, text: &str, span: Span) -> Location {
    let line = text.lines().nth(span.line.saturating_sub(1)).unwrap_or("");
    let skipped = if span.column > WIDTH - 20 { span.column - LEAD } else { 0 };
    let excerpt: String = line
        .chars()
        .skip(skipped)
        .take(WIDTH)
        .map(|letter| if letter == '\t' { ' ' } else { letter })
        .collect();
    let shown = (skipped + excerpt.chars().count() + 1).saturating_sub(span.column).max(1);
    Location {
        file: name.to_owned(),
        line: span.line,
        column: span.column,
        length: span.length.clamp(1, shown),
        excerpt: struck_out(&excerpt),
        skipped,
    }
}

/// Strikes out words that look like credentials: those that begin as keys do, and long mixtures of letters and digits.
pub(crate) fn struck_out(text: &str) -> String {
    let is_word =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '+' | '/' | '=' | '.');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_word) {
        let (before, from) = rest.split_at(start);
        let (word, after) = from.split_at(from.find(|letter| !is_word(letter)).unwrap_or(from.len()));
        out.push_str(before);
        if is_credential(word) {
            out.extend(word.chars().map(|_| '*'));
        } else {
            out.push_str(word);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

const BEGINNINGS: [&str; 8] = ["sk-", "sk_", "gsk_", "xai-", "csk-", "AIza", "AKIA", "eyJ"];

fn is_credential(word: &str) -> bool {
    let has = |test: fn(&char) -> bool| word.chars().filter(test).count();
    let mixed = has(char::is_ascii_digit) >= 4
        && has(char::is_ascii_uppercase) >= 4
        && has(char::is_ascii_lowercase) >= 4;
    (word.len() >= 12 && BEGINNINGS.iter().any(|beginning| word.starts_with(beginning)))
        || (word.len() >= 24 && mixed)
}
