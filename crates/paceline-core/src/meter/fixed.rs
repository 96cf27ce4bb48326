//! The fixed window: a ring of three periods, so that calls near a boundary can count on both of its sides.
//!
//! Boundaries are compared with the store's clock as it is told, since a calendar does not follow the ledger's own.
//! A store's clock that goes back keeps the period that was reached.

use super::terms::{Kind, Terms, periods, signed};
use super::{BOUND, Note};
use crate::limit::Boundaries;
use crate::time::{Millis, NEVER};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fixed {
    /// The start of the current period.
    pub(crate) start: i64,
    pub(crate) previous: i64,
    pub(crate) current: i64,
    pub(crate) next: i64,
}

impl Fixed {
    pub(crate) fn new(boundaries: &Boundaries, wall: Millis) -> Self {
        let start = periods::start(boundaries, signed(wall));
        Self { start, previous: 0, current: 0, next: 0 }
    }

    pub(crate) fn bring(&mut self, terms: &Terms, wall: Millis) -> i64 {
        let (boundaries, _) = calendar(terms);
        let start = periods::start(boundaries, signed(wall));
        if start <= self.start {
            return 0;
        }
        let before = self.current;
        let end = periods::end(boundaries, self.start);
        if end == Some(start) {
            (self.previous, self.current, self.next) = (self.current, self.next, 0);
        } else if end.and_then(|end| periods::end(boundaries, end)) == Some(start) {
            (self.previous, self.current, self.next) = (self.next, 0, 0);
        } else {
            (self.previous, self.current, self.next) = (0, 0, 0);
        }
        self.start = start;
        (before - self.current).max(0)
    }

    /// Goes on counting in the period that is current by other boundaries.
    pub(crate) fn adopt(&mut self, boundaries: &Boundaries, wall: Millis) {
        self.start = periods::start(boundaries, self.start.max(signed(wall)));
    }

    /// Returns what is counted in the fullest of the periods in which a grant at this instant would count.
    pub(crate) fn used(&self, terms: &Terms, wall: Millis) -> i64 {
        let (before, after) = self.near(terms, wall);
        let previous = if before { self.previous } else { 0 };
        let next = if after { self.next } else { 0 };
        self.current.max(previous).max(next)
    }

    /// Returns whether an instant of the current period is near its start, and near its end.
    fn near(&self, terms: &Terms, wall: Millis) -> (bool, bool) {
        let (boundaries, margin) = calendar(terms);
        let wall = signed(wall);
        let end = periods::end(boundaries, self.start);
        (wall < self.start + margin, margin > 0 && end.is_some_and(|end| wall >= end - margin))
    }

    pub(crate) fn charge(&mut self, terms: &Terms, wall: Millis, amount: i64) -> Note {
        let (before, after) = self.near(terms, wall);
        self.count(amount, before, true, after);
        Note { at: self.start, before, after }
    }

    /// Takes back from every period in which the grant counted and that is still kept.
    pub(crate) fn give_back(&mut self, terms: &Terms, note: Note, amount: i64) -> i64 {
        let (boundaries, _) = calendar(terms);
        let following = |start: Option<i64>| start.and_then(|start| periods::end(boundaries, start));
        let next = following(Some(note.at));
        if note.at == self.start {
            self.count(-amount, note.before, true, note.after);
        } else if next == Some(self.start) {
            self.count(-amount, true, note.after, false);
        } else if following(next) == Some(self.start) && note.after {
            self.count(-amount, true, false, false);
        } else {
            return 0;
        }
        amount
    }

    fn count(&mut self, amount: i64, previous: bool, current: bool, next: bool) {
        let add = |count: &mut i64, counts: bool| {
            if counts {
                *count = (*count + amount).clamp(0, BOUND);
            }
        };
        add(&mut self.previous, previous);
        add(&mut self.current, current);
        add(&mut self.next, next);
    }

    pub(crate) fn ready(&self, terms: &Terms, wall: Millis, need: i64) -> Millis {
        let (boundaries, margin) = calendar(terms);
        let now = signed(wall);
        let fits = |instant: i64| {
            let mut then = self.clone();
            let instant = u64::try_from(instant).unwrap_or(0);
            then.bring(terms, instant);
            terms.amount - then.used(terms, instant) >= need
        };
        let end = periods::end(boundaries, self.start);
        let second = end.and_then(|end| periods::end(boundaries, end));
        let instants = [
            Some(now),
            Some(self.start + margin),
            end,
            end.map(|end| end + margin),
            second,
            second.map(|second| second + margin),
        ];
        let first = instants.into_iter().flatten().find(|instant| *instant >= now && fits(*instant));
        first.map_or(NEVER, |instant| u64::try_from(instant - now).unwrap_or(0))
    }

    /// Returns after what time a grant made now no longer counts.
    pub(crate) fn full_by(&self, terms: &Terms, wall: Millis) -> Millis {
        let (boundaries, margin) = calendar(terms);
        let (_, after) = self.near(terms, wall);
        let mut end = periods::end(boundaries, self.start);
        if after {
            end = end.and_then(|end| periods::end(boundaries, end));
        }
        end.map_or(NEVER, |end| u64::try_from(end + margin - signed(wall)).unwrap_or(0))
    }
}

fn calendar(terms: &Terms) -> (&Boundaries, i64) {
    static NONE: Boundaries = Boundaries::At(alloc::vec::Vec::new());
    match &terms.kind {
        Kind::Fixed { boundaries, margin } => (boundaries, *margin),
        _ => (&NONE, 0),
    }
}
