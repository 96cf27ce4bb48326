//! The sliding window: a ring of slots, each of which leaves as a whole.

use alloc::collections::VecDeque;

use super::terms::{Kind, Terms};
use super::{BOUND, Note};
use crate::time::{Millis, NEVER};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Sliding {
    /// The slots in which something was counted, by the tick at which they start, oldest first.
    pub(crate) slots: VecDeque<(i64, i64)>,
    /// The sum over all slots.
    pub(crate) total: i64,
}

impl Sliding {
    pub(crate) fn bring(&mut self, terms: &Terms, clock: Millis) -> i64 {
        let (_, leaves_after) = lengths(terms);
        let oldest = terms.ticks(clock) - leaves_after;
        let before = self.total;
        while let Some((start, count)) = self.slots.front()
            && *start <= oldest
        {
            self.total -= count;
            self.slots.pop_front();
        }
        before - self.total
    }

    pub(crate) fn charge(&mut self, terms: &Terms, clock: Millis, amount: i64) -> Note {
        let (slot, _) = lengths(terms);
        let tick = terms.ticks(clock);
        let start = tick - tick % slot;
        let amount = amount.min(BOUND - self.total);
        match self.slots.back_mut() {
            _ if amount == 0 => {}
            Some((last, count)) if *last == start => *count += amount,
            _ => self.slots.push_back((start, amount)),
        }
        self.total += amount;
        Note { at: start, ..Note::default() }
    }

    /// Takes the whole amount for spent, evenly over the window that ends now.
    pub(crate) fn spread(&mut self, terms: &Terms, clock: Millis) {
        let (slot, leaves_after) = lengths(terms);
        let (slots, tick) = (leaves_after / slot, terms.ticks(clock));
        let each = (terms.amount + slots - 1) / slots.max(1);
        (self.slots, self.total) = (VecDeque::new(), 0);
        for at in (0..slots).rev() {
            let start = tick - tick % slot - at * slot;
            let part = each.min(terms.amount - self.total);
            if start >= 0 && part > 0 {
                self.slots.push_back((start, part));
                self.total += part;
            }
        }
    }

    pub(crate) fn give_back(&mut self, note: Note, amount: i64) -> i64 {
        let Ok(at) = self.slots.binary_search_by_key(&note.at, |(start, _)| *start) else { return 0 };
        let Some((_, count)) = self.slots.get_mut(at) else { return 0 };
        let amount = amount.min(*count);
        *count -= amount;
        self.total -= amount;
        amount
    }

    pub(crate) fn ready(&self, terms: &Terms, clock: Millis, need: i64) -> Millis {
        let (_, leaves_after) = lengths(terms);
        let mut missing = need - (terms.amount - self.total);
        if missing <= 0 {
            return 0;
        }
        for (start, count) in &self.slots {
            missing -= count;
            if missing <= 0 {
                return terms.until(start + leaves_after, clock);
            }
        }
        NEVER
    }

    pub(crate) fn full_by(terms: &Terms, clock: Millis) -> Millis {
        let (slot, leaves_after) = lengths(terms);
        let tick = terms.ticks(clock);
        terms.until(tick - tick % slot + leaves_after, clock)
    }
}

fn lengths(terms: &Terms) -> (i64, i64) {
    match terms.kind {
        Kind::Sliding { slot, leaves_after } => (slot, leaves_after),
        _ => (1, 1),
    }
}
