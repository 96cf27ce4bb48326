//! What a ledger keeps of a session beside the ledger itself: its last batch, and what it has to be told.

use std::collections::{BTreeMap, VecDeque};

use paceline_core::Name;

use crate::wire::Written;

#[derive(Debug, Clone, Default)]
pub(super) struct Seat {
    /// The number of its last batch, and what was answered.
    pub(super) last: u64,
    pub(super) kept: Vec<u8>,
    /// The channel for pushes, empty for none.
    pub(super) inbox: String,
    /// The epoch in which it spoke last.
    pub(super) epoch: Option<String>,
    /// The highest number of its outbox.
    pub(super) sent: u64,
    /// What it has not acknowledged, by ascending numbers.
    outbox: VecDeque<(u64, Vec<u8>)>,
    /// The content that its configurations gave each resource.
    pub(super) contents: BTreeMap<Name, Name>,
}

impl Seat {
    /// Adds an entry to the outbox, written for its number.
    pub(super) fn give(&mut self, write: impl FnOnce(u64) -> Vec<u8>) -> &[u8] {
        self.sent += 1;
        self.outbox.push_back((self.sent, write(self.sent)));
        self.outbox.back().map_or(&[], |(_, entry)| entry)
    }

    /// Forgets what was seen.
    pub(super) fn acknowledge(&mut self, seen: u64) {
        while self.outbox.front().is_some_and(|(k, _)| *k <= seen) {
            self.outbox.pop_front();
        }
    }

    /// Returns the entries above what was seen.
    pub(super) fn outbox(&self, seen: u64) -> Written {
        let mut written = Written::default();
        for (_, entry) in self.outbox.iter().filter(|(k, _)| *k > seen) {
            written.add(entry);
        }
        written
    }

    /// Begins anew after a loss: what it was not told of is gone.
    pub(super) fn begin_again(&mut self, epoch: &str) {
        (self.last, self.sent) = (0, 0);
        self.kept = Vec::new();
        self.outbox = VecDeque::new();
        self.epoch = Some(epoch.to_owned());
    }
}
