//! Batches that pass through a server on their way: what the server knows better than the client is put in.

use super::WireError;
use super::out::Out;
use super::reader::Reader;

/// What a server knows better than its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route<'a> {
    /// The channel on which pushes reach the server, empty for none.
    pub inbox: &'a str,
    /// Whether pushes are sharded.
    pub sharded: bool,
    /// The run id of what keeps the ledger.
    pub run_id: &'a str,
}

/// The parts of a batch around what a server puts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passing<'a> {
    head: &'a [u8],
    middle: &'a [u8],
    commands: &'a [u8],
    /// The epoch that the client knows, empty where it knows none.
    pub epoch: &'a str,
    /// The channel that the client listens to, empty for none.
    pub inbox: &'a str,
}

/// Looks at the head of a batch that passes.
pub fn read_passing(bytes: &[u8]) -> Result<Passing<'_>, WireError> {
    let mut reader = Reader::new(bytes);
    if reader.array()? != 15 {
        return Err(WireError::Expected("a batch of fifteen values"));
    }
    if reader.uint()? != super::VERSION {
        return Err(WireError::Expected("a batch of version 1"));
    }
    reader.session_or_none()?;
    reader.uint()?;
    reader.uint()?;
    let epoch = reader.text()?;
    reader.uint()?;
    reader.uint()?;
    reader.millis()?;
    let until = |reader: &Reader<'_>| bytes.len() - reader.left();
    let head = bytes.get(..until(&reader)).ok_or(WireError::Short)?;
    let inbox = reader.text()?;
    reader.flag()?;
    reader.text()?;
    let from = until(&reader);
    reader.text()?;
    reader.text()?;
    let middle = bytes.get(from..until(&reader)).ok_or(WireError::Short)?;
    // The store's clock is told by exams alone, and no client is one.
    reader.skip()?;
    let commands = bytes.get(until(&reader)..).ok_or(WireError::Short)?;
    Ok(Passing { head, middle, commands, epoch, inbox })
}

impl Passing<'_> {
    /// Returns the batch with what the server knows.
    pub fn by(&self, route: &Route<'_>) -> Vec<u8> {
        let Self { head, middle, commands, .. } = self;
        let own = 16 + route.inbox.len() + route.run_id.len();
        let mut bytes = Vec::with_capacity(head.len() + middle.len() + commands.len() + own);
        bytes.extend_from_slice(head);
        let mut out = Out(&mut bytes);
        out.text(route.inbox);
        out.flag(route.sharded);
        out.text(route.run_id);
        out.0.extend_from_slice(middle);
        out.none();
        out.0.extend_from_slice(commands);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use paceline_core::SessionId;
    use proptest::prelude::*;

    use super::*;
    use crate::wire::{Ask, Header, write_batch};

    fn header() -> Header<'static> {
        Header {
            session: Some(SessionId(7)),
            n: 3,
            epoch: "e",
            time_out: 10_000,
            inbox: "there",
            fresh: "00ff",
            on_lost: "elapsed",
            ..Header::default()
        }
    }

    #[test]
    fn a_batch_is_the_same_but_for_what_the_server_knows() {
        let asks = [Ask::View, Ask::Close { session: None }];
        let told = Header { run_id: "old", now: Some(5), ..header() };
        let batch = write_batch(&told, &asks);
        let passing = read_passing(&batch).unwrap();
        assert_eq!((passing.epoch, passing.inbox), ("e", "there"));
        let sent = passing.by(&Route { inbox: "here", sharded: true, run_id: "new" });
        let known = Header { inbox: "here", sharded: true, run_id: "new", ..header() };
        assert_eq!(sent, write_batch(&known, &asks));
    }

    #[test]
    fn what_is_no_batch_is_refused() {
        let mut batch = write_batch(&header(), &[Ask::View]);
        assert_eq!(read_passing(&batch[..batch.len() - 20]), Err(WireError::Short));
        batch[1] = 2;
        assert_eq!(read_passing(&batch), Err(WireError::Expected("a batch of version 1")));
        assert_eq!(read_passing(&[0x90]), Err(WireError::Expected("a batch of fifteen values")));
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_reader_fail_otherwise_than_by_its_error(
            bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0_usize..120, value: u8,
        ) {
            let _ = read_passing(&bytes);
            let mut near = write_batch(&header(), &[Ask::View]);
            let at = at.min(near.len() - 1);
            near[at] = value;
            let route = Route { inbox: "", sharded: false, run_id: "" };
            let _ = read_passing(&near).map(|passing| passing.by(&route));
            let _ = read_passing(&near[..at]);
        }
    }
}
