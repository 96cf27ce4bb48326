//! YAML as a tree of values that know where they stand, read within bounds of size, depth and number.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Span as YamlSpan};

use super::error::Fault;

/// The most bytes that are read.
pub(crate) const MAX_BYTES: usize = 4 << 20;
/// The most levels of lists and mappings.
pub(crate) const MAX_DEPTH: usize = 16;
/// The most values, those that aliases repeat included.
pub(crate) const MAX_NODES: usize = 200_000;

/// Where something stands: line and column from 1, length in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) length: usize,
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    Scalar { text: String, plain: bool },
    List(Arc<[Node]>),
    Map(Arc<[Entry]>),
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) span: Span,
    pub(crate) node: Node,
}

/// What ended the reading, and where.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) fault: Fault,
    pub(crate) span: Span,
}

impl Node {
    /// Reads one document, and what was wrong with it but did not end the reading; an empty text is a null.
    pub(crate) fn read(text: &str) -> Result<(Self, Vec<Stop>), Stop> {
        if text.len() > MAX_BYTES {
            return Err(Stop { fault: Fault::TooLarge { most: MAX_BYTES }, span: Span::default() });
        }
        let mut options = granit_parser::Options::default();
        options.set_emit_comments(false);
        (options.flow_nesting_limit, options.block_nesting_limit) = (MAX_DEPTH, MAX_DEPTH);
        let mut builder = Builder::default();
        for event in Parser::new_from_str_with_options(text, options) {
            let (event, span) = event.map_err(|error| Stop::at(&error))?;
            builder.take(event, Span::of(&span))?;
        }
        let root = builder.root.unwrap_or(Self::null(Span { line: 1, column: 1, length: 1 }));
        Ok((root, builder.duplicates))
    }

    pub(crate) fn null(span: Span) -> Self {
        Self { span, value: Value::Scalar { text: String::new(), plain: true } }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null"))
    }

    /// Returns the entries of a list, or the one value that stands in its place.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(nodes) => nodes,
            _ if self.is_null() => &[],
            _ => std::slice::from_ref(self),
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    fn count(&self) -> usize {
        1 + match &self.value {
            Value::Scalar { .. } => 0,
            Value::List(nodes) => nodes.iter().map(Self::count).sum(),
            Value::Map(entries) => entries.iter().map(|entry| entry.node.count()).sum(),
        }
    }
}

impl Stop {
    fn at(error: &ScanError) -> Self {
        let fault = match error.kind() {
            ErrorKind::RecursionLimitExceeded => Fault::TooDeep { most: MAX_DEPTH },
            _ => Fault::Syntax { message: error.info() },
        };
        Self {
            fault,
            span: Span { line: error.marker().line(), column: error.marker().col() + 1, length: 1 },
        }
    }
}

impl Span {
    fn of(span: &YamlSpan) -> Self {
        let (start, end) = (span.start, span.end);
        let length = if end.line() == start.line() { end.col().saturating_sub(start.col()) } else { 1 };
        Self { line: start.line(), column: start.col() + 1, length: length.max(1) }
    }
}

/// The collections that are open, outermost first.
#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    root: Option<Node>,
    duplicates: Vec<Stop>,
}

struct Open {
    span: Span,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, lines: HashMap<String, usize>, key: Option<(String, Span)> },
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Stop> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                refuse_tag(tag.as_deref(), span)?;
                let plain = style == ScalarStyle::Plain;
                self.add(Node { span, value: Value::Scalar { text: text.into_owned(), plain } }, anchor, 1)
            }
            Event::SequenceStart(_, anchor, tag) => {
                refuse_tag(tag.as_deref(), span)?;
                self.push(Open { span, anchor, content: Content::List(Vec::new()) })
            }
            Event::MappingStart(_, anchor, tag) => {
                refuse_tag(tag.as_deref(), span)?;
                let content = Content::Map { entries: Vec::new(), lines: HashMap::new(), key: None };
                self.push(Open { span, anchor, content })
            }
            Event::SequenceEnd | Event::MappingEnd => self.pop(),
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some((node, count)) => {
                    let (node, count) = (Node { span, value: node.value.clone() }, *count);
                    self.add(node, 0, count)
                }
                None => {
                    Err(Stop { fault: Fault::Unsupported { what: "values that contain themselves" }, span })
                }
            },
            Event::DocumentStart(..) if self.root.is_some() => {
                Err(Stop { fault: Fault::Unsupported { what: "several documents" }, span })
            }
            _ => Ok(()),
        }
    }

    fn push(&mut self, open: Open) -> Result<(), Stop> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Stop { fault: Fault::TooDeep { most: MAX_DEPTH }, span: open.span });
        }
        self.open.push(open);
        Ok(())
    }

    fn pop(&mut self) -> Result<(), Stop> {
        let Some(Open { span, anchor, content }) = self.open.pop() else { return Ok(()) };
        let value = match content {
            Content::List(nodes) => Value::List(nodes.into()),
            Content::Map { entries, .. } => Value::Map(merged(entries)?.into()),
        };
        self.add(Node { span, value }, anchor, 1)
    }

    fn add(&mut self, node: Node, anchor: usize, count: usize) -> Result<(), Stop> {
        self.nodes += count;
        if self.nodes > MAX_NODES {
            return Err(Stop { fault: Fault::TooMany { most: MAX_NODES }, span: node.span });
        }
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), node.count()));
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open { content: Content::List(nodes), .. }) => nodes.push(node),
            Some(Open { content: Content::Map { entries, lines, key }, .. }) => {
                if let Some((key, span)) = key.take() {
                    entries.push(Entry { key, span, node });
                } else {
                    let new = new_key(node)?;
                    self.duplicates.extend(duplicate(&new, lines));
                    *key = Some(new);
                }
            }
        }
        Ok(())
    }
}

fn new_key(node: Node) -> Result<(String, Span), Stop> {
    match node.value {
        Value::Scalar { text, .. } => Ok((text, node.span)),
        _ => Err(Stop { fault: Fault::Unsupported { what: "keys that are not words" }, span: node.span }),
    }
}

fn duplicate((key, span): &(String, Span), lines: &mut HashMap<String, usize>) -> Option<Stop> {
    if let Some(first_line) = lines.get(key).copied() {
        return Some(Stop { fault: Fault::DuplicateKey { key: key.clone(), first_line }, span: *span });
    }
    lines.insert(key.clone(), span.line);
    None
}

/// Puts the entries of `<<` in; what the mapping itself says wins.
fn merged(mut entries: Vec<Entry>) -> Result<Vec<Entry>, Stop> {
    let Some(at) = entries.iter().position(|entry| entry.key == "<<") else { return Ok(entries) };
    let merge = entries.remove(at);
    let sources: Vec<Node> = match &merge.node.value {
        Value::List(nodes) => nodes.to_vec(),
        _ => vec![merge.node],
    };
    let mut said: HashSet<String> = entries.iter().map(|entry| entry.key.clone()).collect();
    for source in sources {
        let Value::Map(more) = &source.value else {
            let found = source.describe();
            return Err(Stop {
                fault: Fault::Mismatch { expected: "a mapping to take in".into(), found },
                span: source.span,
            });
        };
        for entry in more.iter() {
            if said.insert(entry.key.clone()) {
                entries.push(entry.clone());
            }
        }
    }
    Ok(entries)
}

fn refuse_tag(tag: Option<&granit_parser::Tag>, span: Span) -> Result<(), Stop> {
    match tag {
        Some(tag) if tag.core_suffix() != Some("str") => {
            Err(Stop { fault: Fault::Unsupported { what: "tags" }, span })
        }
        _ => Ok(()),
    }
}

impl Node {
    /// Says what it is, for an error.
    pub(crate) fn describe(&self) -> String {
        match &self.value {
            _ if self.is_null() => "nothing".to_owned(),
            Value::Scalar { text, plain: true } => super::source::struck_out(&shortened(text)),
            Value::Scalar { text, plain: false } => {
                format!("the text \"{}\"", super::source::struck_out(&shortened(text)))
            }
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
