//! What is said on a connection to a control plane or a host: frames that carry batches, replies and pushes.
//!
//! | way | frame |
//! |---|---|
//! | up | `["hello", protocol, version of the library, name of the process]`, first of all |
//! | up | `[id, "call", ledger, batch]` |
//! | up | `[id, "listen", channel]` |
//! | down | `["hello", protocol, run id, what the store is, configuration or nil]` |
//! | down | `["refused", protocol that is spoken, message]`, and the end |
//! | down | `[id, reply]` |
//! | down | `[id, "failed", lasting, reason]` |
//! | down | `["push", channel, payload]` |
//!
//! Ids are the client's; answers come in any order. What follows the values of a frame is passed over, and a frame from
//! above whose name is not known is too.

use super::WireError;
use super::out::Out;
use super::reader::Reader;

/// The version of what is said here.
pub const PROTOCOL: u64 = 1;

/// How many bytes a frame has at most.
pub const LARGEST: usize = 8 << 20;

/// How long a name or a reason is at most, in bytes; what is longer is cut by who writes and refused by who reads.
const LONGEST: usize = 4_096;

/// What a client says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Up<'a> {
    /// Who it is.
    Hello {
        /// The protocol that it speaks.
        protocol: u64,
        /// The version of its library.
        library: &'a str,
        /// What its process is called.
        name: &'a str,
    },
    /// A batch for a ledger.
    Call {
        /// What the answer is known by.
        id: u64,
        /// The ledger.
        ledger: &'a str,
        /// The batch.
        batch: &'a [u8],
    },
    /// It wants the pushes of a channel.
    Listen {
        /// What the answer is known by.
        id: u64,
        /// The channel.
        channel: &'a str,
    },
}

/// What a server says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Down<'a> {
    /// Who it is.
    Hello {
        /// The protocol that it speaks.
        protocol: u64,
        /// Another after each start of what keeps the ledgers.
        run_id: &'a str,
        /// What keeps the ledgers, without an address.
        store: &'a str,
        /// The configuration that clients without one take.
        configuration: Option<&'a str>,
    },
    /// It does not speak with this client.
    Refused {
        /// The protocol that it speaks.
        protocol: u64,
        /// Why.
        message: &'a str,
    },
    /// The answer to a call; empty to what is no call.
    Reply {
        /// What was answered.
        id: u64,
        /// The reply.
        reply: &'a [u8],
    },
    /// There is no answer.
    Failed {
        /// What was not answered.
        id: u64,
        /// Whether it stays so until somebody does something.
        lasting: bool,
        /// Why.
        reason: &'a str,
    },
    /// A push.
    Push {
        /// The channel.
        channel: &'a str,
        /// What was pushed.
        payload: &'a [u8],
    },
    /// Something that this version does not know.
    Other,
}

/// Returns a client's frame as bytes.
pub fn write_up(up: &Up<'_>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    let mut out = Out(&mut bytes);
    match *up {
        Up::Hello { protocol, library, name } => {
            out.array(4);
            out.text("hello");
            out.uint(protocol);
            out.text(cut(library));
            out.text(cut(name));
        }
        Up::Call { id, ledger, batch } => {
            out.0.reserve(ledger.len() + batch.len());
            out.array(4);
            out.uint(id);
            out.text("call");
            out.text(ledger);
            out.bytes(batch);
        }
        Up::Listen { id, channel } => {
            out.array(3);
            out.uint(id);
            out.text("listen");
            out.text(channel);
        }
    }
    bytes
}

/// Returns a server's frame as bytes.
pub fn write_down(down: &Down<'_>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    let mut out = Out(&mut bytes);
    match *down {
        Down::Hello { protocol, run_id, store, configuration } => {
            out.array(5);
            out.text("hello");
            out.uint(protocol);
            out.text(run_id);
            out.text(cut(store));
            out.text_or_none(configuration);
        }
        Down::Refused { protocol, message } => {
            out.array(3);
            out.text("refused");
            out.uint(protocol);
            out.text(cut(message));
        }
        Down::Reply { id, reply } => {
            out.0.reserve(reply.len());
            out.array(2);
            out.uint(id);
            out.bytes(reply);
        }
        Down::Failed { id, lasting, reason } => {
            out.array(4);
            out.uint(id);
            out.text("failed");
            out.flag(lasting);
            out.text(cut(reason));
        }
        Down::Push { channel, payload } => {
            out.0.reserve(payload.len());
            out.array(3);
            out.text("push");
            out.text(channel);
            out.bytes(payload);
        }
        Down::Other => {
            out.array(1);
            out.text("other");
        }
    }
    bytes
}

/// Reads a client's frame.
pub fn read_up(bytes: &[u8]) -> Result<Up<'_>, WireError> {
    let mut frame = Frame::begin(bytes)?;
    let up = if frame.begins_with_text()? {
        match frame.short()? {
            "hello" => Up::Hello { protocol: frame.uint()?, library: frame.short()?, name: frame.short()? },
            _ => return Err(WireError::Expected("a greeting or a number")),
        }
    } else {
        let id = frame.uint()?;
        match frame.short()? {
            "call" => Up::Call { id, ledger: frame.short()?, batch: frame.bytes()? },
            "listen" => Up::Listen { id, channel: frame.short()? },
            _ => return Err(WireError::Expected("call or listen")),
        }
    };
    frame.end()?;
    Ok(up)
}

/// Reads a server's frame.
pub fn read_down(bytes: &[u8]) -> Result<Down<'_>, WireError> {
    let mut frame = Frame::begin(bytes)?;
    let down = if frame.begins_with_text()? {
        match frame.short()? {
            "hello" => Down::Hello {
                protocol: frame.uint()?,
                run_id: frame.short()?,
                store: frame.short()?,
                configuration: frame.text_or_none()?,
            },
            "refused" => Down::Refused { protocol: frame.uint()?, message: frame.short()? },
            "push" => Down::Push { channel: frame.short()?, payload: frame.bytes()? },
            _ => Down::Other,
        }
    } else {
        let id = frame.uint()?;
        // What has two values is a reply, whatever its bytes are.
        if frame.left == 1 {
            Down::Reply { id, reply: frame.bytes()? }
        } else {
            match frame.short()? {
                "failed" => Down::Failed { id, lasting: frame.flag()?, reason: frame.short()? },
                _ => Down::Other,
            }
        }
    };
    frame.end()?;
    Ok(down)
}

/// A frame that is being read: an array, none of whose values is read that is not there.
struct Frame<'a> {
    reader: Reader<'a>,
    left: usize,
}

impl<'a> Frame<'a> {
    fn begin(bytes: &'a [u8]) -> Result<Self, WireError> {
        if bytes.len() > LARGEST {
            return Err(WireError::Expected("a smaller frame"));
        }
        let mut reader = Reader::new(bytes);
        let left = reader.array()?;
        Ok(Self { reader, left })
    }

    fn next(&mut self) -> Result<&mut Reader<'a>, WireError> {
        self.left = self.left.checked_sub(1).ok_or(WireError::Short)?;
        Ok(&mut self.reader)
    }

    fn begins_with_text(&self) -> Result<bool, WireError> {
        use rmp::Marker::{FixStr, Str8, Str16, Str32};
        Ok(matches!(self.reader.peek()?, FixStr(_) | Str8 | Str16 | Str32))
    }

    fn uint(&mut self) -> Result<u64, WireError> {
        self.next()?.uint()
    }

    fn flag(&mut self) -> Result<bool, WireError> {
        self.next()?.flag()
    }

    fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        self.next()?.bytes()
    }

    fn short(&mut self) -> Result<&'a str, WireError> {
        let text = self.next()?.text()?;
        if text.len() > LONGEST { Err(WireError::Expected("a shorter text")) } else { Ok(text) }
    }

    fn text_or_none(&mut self) -> Result<Option<&'a str>, WireError> {
        let reader = self.next()?;
        if reader.none()? { Ok(None) } else { reader.text().map(Some) }
    }

    fn end(mut self) -> Result<(), WireError> {
        for _ in 0..self.left {
            self.reader.skip()?;
        }
        if self.reader.is_empty() { Ok(()) } else { Err(WireError::Expected("the end")) }
    }
}

impl Out<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let _ = rmp::encode::write_bin_len(self.0, length);
        self.0.extend_from_slice(bytes);
    }
}

/// As much of a text as may be said.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(LONGEST)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn frames_are_read_as_they_are_written() {
        let long = "ä".repeat(70_000);
        for up in [
            Up::Hello { protocol: 1, library: "0.1.0", name: "nightly@host:1" },
            Up::Call { id: 0, ledger: "openai", batch: &[0xc1; 300] },
            Up::Call { id: u64::from(u32::MAX), ledger: "", batch: &[] },
            Up::Listen { id: 7, channel: "paceline:{openai}:to:00ff" },
        ] {
            assert_eq!(read_up(&write_up(&up)), Ok(up));
        }
        for down in [
            Down::Hello { protocol: 1, run_id: "ab", store: "memory", configuration: Some(&long) },
            Down::Hello { protocol: 9, run_id: "", store: "", configuration: None },
            Down::Refused { protocol: 2, message: "too old" },
            Down::Reply { id: 3, reply: b"failed" },
            Down::Failed { id: 4, lasting: true, reason: "no" },
            Down::Push { channel: "c", payload: &[1, 2, 3] },
        ] {
            assert_eq!(read_down(&write_down(&down)), Ok(down));
        }
    }

    #[test]
    fn what_a_later_version_adds_is_passed_over() {
        let mut bytes = write_up(&Up::Listen { id: 1, channel: "c" });
        bytes[0] += 1;
        bytes.extend_from_slice(&[0x92, 1, 0xc0]);
        assert_eq!(read_up(&bytes), Ok(Up::Listen { id: 1, channel: "c" }));
        assert_eq!(read_down(&write_down(&Down::Other)), Ok(Down::Other));
    }

    #[test]
    fn what_is_too_long_is_cut_by_who_writes_and_refused_by_who_reads() {
        let long = "é".repeat(LONGEST);
        let bytes = write_down(&Down::Failed { id: 1, lasting: false, reason: &long });
        let Ok(Down::Failed { reason, .. }) = read_down(&bytes) else { panic!() };
        assert!(long.starts_with(reason) && reason.len() <= LONGEST);
        let bytes = write_up(&Up::Call { id: 1, ledger: &long, batch: &[] });
        assert_eq!(read_up(&bytes), Err(WireError::Expected("a shorter text")));
        assert_eq!(read_up(&vec![0; LARGEST + 1]), Err(WireError::Expected("a smaller frame")));
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_reader_fail_otherwise_than_by_its_error(
            bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0_usize..60, value: u8,
        ) {
            let _ = (read_up(&bytes), read_down(&bytes));
            let mut near = write_up(&Up::Call { id: 9, ledger: "openai", batch: &bytes });
            let at = at.min(near.len() - 1);
            near[at] = value;
            let _ = (read_up(&near), read_down(&near), read_up(&near[..at]), read_down(&near[..at]));
        }
    }
}
