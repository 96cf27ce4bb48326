//! What fuzzers reach of the file of a host.

use std::path::Path;

use paceline_core::OnLost;

use super::file;
use super::marks;

/// A name and what is kept under it.
type Pair = (Vec<u8>, Vec<u8>);

/// Reads the bytes of a file, and begins its ledgers again.
pub(crate) fn read(bytes: &[u8]) {
    if let Ok((_, image, ..)) = file::parse(Path::new("state"), bytes) {
        let fresh = "00112233445566778899aabbccddeeff";
        drop(marks::begin_again(&image, 1_800_000_000_000, OnLost::Elapsed, 10_000, fresh));
    }
}

/// Returns a file of these pairs.
pub(crate) fn written(pairs: &[Pair]) -> Vec<u8> {
    framed(&content(pairs))
}

/// Returns what a group of these pairs has in it.
pub(crate) fn content(pairs: &[Pair]) -> Vec<u8> {
    file::content(1, pairs.iter().map(|(name, value)| (name.as_slice(), value.as_slice())))
}

/// Returns a file of one group that has this in it.
pub(crate) fn framed(content: &[u8]) -> Vec<u8> {
    let mut bytes = file::front();
    bytes.extend(file::framed(content));
    bytes
}
