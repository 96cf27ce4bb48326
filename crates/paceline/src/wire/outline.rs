//! What a host keeps of a ledger's configuration, as bytes.

use paceline_core::{Configuration, Millis, Name};

use super::out::Out;
use super::reader::{Reader, WireError};

/// What is in force for a resource: its name, content and revision, and content that was in force before.
pub(crate) type ForceRow = (Name, Name, u64, Vec<Name>);

/// A pause: whether it is a limit's, of which name, until when by the store's clock, and whether it refuses.
pub(crate) type PauseRow = (bool, Name, Option<Millis>, bool);

/// What is kept of a ledger.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Sketch {
    pub(crate) configuration: Configuration,
    pub(crate) in_force: Vec<ForceRow>,
    pub(crate) pauses: Vec<PauseRow>,
}

/// Returns a sketch as bytes.
pub(crate) fn write_sketch(sketch: &Sketch) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1_024);
    let mut out = Out(&mut bytes);
    out.array(4);
    out.array(sketch.configuration.limits.len());
    sketch.configuration.limits.iter().for_each(|limit| out.limit(limit));
    out.array(sketch.configuration.resources.len());
    sketch.configuration.resources.iter().for_each(|resource| out.resource(resource));
    out.array(sketch.in_force.len());
    for (resource, digest, revision, replaced) in &sketch.in_force {
        out.array(4);
        out.text(resource);
        out.text(digest);
        out.uint(*revision);
        out.names(replaced);
    }
    out.array(sketch.pauses.len());
    for (is_limit, name, until, refuse) in &sketch.pauses {
        out.array(4);
        out.flag(*is_limit);
        out.text(name);
        out.uint_or_none(*until);
        out.flag(*refuse);
    }
    bytes
}

/// Reads a sketch.
pub(crate) fn read_sketch(bytes: &[u8]) -> Result<Sketch, WireError> {
    let mut reader = Reader::new(bytes);
    reader.row_of(4)?;
    let (limits, resources) = (reader.list(Reader::limit_spec)?, reader.list(Reader::resource_spec)?);
    let in_force = reader.list(|reader| {
        reader.row_of(4)?;
        Ok((reader.name()?, reader.name()?, reader.uint()?, reader.list(Reader::name)?))
    })?;
    let pauses = reader.list(|reader| {
        reader.row_of(4)?;
        Ok((reader.flag()?, reader.name()?, reader.millis_or_none()?, reader.flag()?))
    })?;
    Ok(Sketch { configuration: Configuration { limits, resources, removed: Vec::new() }, in_force, pauses })
}

/// Returns the name of what is kept: of which kind, of which ledger, of which of its limits.
pub(crate) fn write_key(kind: &str, ledger: &str, limit: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + ledger.len() + limit.len());
    let mut out = Out(&mut bytes);
    for text in [kind, ledger, limit] {
        out.text(text);
    }
    bytes
}

/// Reads the name of what is kept.
pub(crate) fn read_key(bytes: &[u8]) -> Result<(&str, &str, &str), WireError> {
    let mut reader = Reader::new(bytes);
    Ok((reader.text()?, reader.text()?, reader.text()?))
}

impl Reader<'_> {
    fn row_of(&mut self, values: usize) -> Result<(), WireError> {
        if self.array()? == values { Ok(()) } else { Err(WireError::Expected("a row of another length")) }
    }
}
