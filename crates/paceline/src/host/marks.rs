//! What a ledger must not forget: marks that run ahead of its long limits, its configuration and pauses, its epoch.
//!
//! A step is told of once the marks that are kept cover what it resulted in. A mark is moved on when half of its step is
//! used, so that hardly anybody waits for it.

use std::collections::BTreeMap;

use paceline_core::{Ahead, Command, Ledger, LimitId, Mark, Millis, Name, OnLost};

use super::book::{Book, epoch_number};
use super::configure::InForce;
use super::file::{Image, Pairs};
use super::journal::Journal;
use crate::wire::{Sketch, read_key, read_sketch, write_key, write_sketch};

/// How often a mark is moved back at most that something given back left far ahead, in milliseconds.
const BACK_EVERY: Millis = 1_000;

/// What is kept of a ledger, and how far.
#[derive(Debug, Clone, Default)]
pub(super) struct Marks {
    limits: BTreeMap<LimitId, Kept>,
    /// Up to which number all must be kept before anything is told of.
    pub(super) must: u64,
    /// What is configured or paused has changed.
    pub(super) is_outline_new: bool,
    pub(super) is_epoch_new: bool,
}

impl Marks {
    /// Returns those of a ledger that has just begun: of it nothing is kept.
    pub(super) fn begun() -> Self {
        Self { is_epoch_new: true, ..Self::default() }
    }
}

/// The mark of one limit.
#[derive(Debug, Clone)]
struct Kept {
    name: Name,
    /// What is kept, or lower than that.
    safe: Option<Mark>,
    /// What is being kept: known to be by this number.
    pending: Option<(Mark, u64)>,
    at: Millis,
}

/// What moves of a mark.
enum Moves {
    No,
    On(Mark),
    Back(Mark),
}

impl Book {
    /// Sees to it that what the last step resulted in is kept, and returns up to which number the rest must be before it
    /// is told of.
    pub(super) fn keep(&mut self, name: &str, journal: &Journal) -> u64 {
        let mut marks = std::mem::take(&mut self.marks);
        let (mut pairs, mut moved) = (Pairs::new(), Vec::new());
        let (is_outline_new, is_epoch_new) = (marks.is_outline_new, marks.is_epoch_new);
        (marks.is_outline_new, marks.is_epoch_new) = (false, false);
        if is_epoch_new {
            let number = epoch_number(&self.epoch).to_string();
            pairs.push((write_key("epoch", name, ""), number.into_bytes()));
        }
        if is_outline_new {
            pairs.push((write_key("outline", name, ""), write_sketch(&self.sketch())));
            marks.limits = all_anew(&self.ledger);
        }
        let durable = journal.durable();
        for (limit, kept) in &mut marks.limits {
            match kept.moves(&mut self.ledger, *limit, durable) {
                Moves::No => {}
                Moves::On(mark) => {
                    pairs.push((write_key("mark", name, &kept.name), mark.encode()));
                    moved.push((*limit, mark));
                }
                Moves::Back(mark) => {
                    pairs.push((write_key("mark", name, &kept.name), mark.encode()));
                    kept.safe = Some(mark);
                }
            }
        }
        if !pairs.is_empty() {
            let number = journal.put(pairs);
            for (limit, mark) in moved {
                if let Some(kept) = marks.limits.get_mut(&limit) {
                    kept.pending = Some((mark, number));
                }
            }
            if is_outline_new || is_epoch_new {
                marks.must = number;
            }
        }
        for (limit, kept) in &mut marks.limits {
            if !kept.is_safe(&mut self.ledger, *limit)
                && let Some((_, number)) = &kept.pending
            {
                marks.must = marks.must.max(*number);
            }
        }
        self.marks = marks;
        self.marks.must
    }

    fn sketch(&self) -> Sketch {
        let outline = self.ledger.outline();
        let wall = self.ledger.wall();
        let until = |left: Option<Millis>| left.map(|left| wall.saturating_add(left));
        let pauses = outline
            .pauses
            .into_iter()
            .map(|(is_limit, name, left, refuse)| (is_limit, name, until(left), refuse));
        let in_force = self.in_force.iter().map(|(resource, in_force)| {
            let replaced = in_force.replaced.iter().cloned().collect();
            (Name::clone(resource), Name::clone(&in_force.digest), in_force.revision, replaced)
        });
        Sketch {
            configuration: outline.configuration,
            in_force: in_force.collect(),
            pauses: pauses.collect(),
        }
    }
}

impl Kept {
    /// Looks whether the mark has to move: on because it is nearly reached, or back because it is far ahead.
    fn moves(&mut self, ledger: &mut Ledger, limit: LimitId, durable: u64) -> Moves {
        if let Some((mark, _)) = self.pending.take_if(|(_, number)| *number <= durable) {
            self.safe = Some(mark);
        }
        let to = self.pending.as_mut().map(|(mark, _)| mark).or(self.safe.as_mut());
        let ahead = to.map_or(Ahead::Passed, |mark| ledger.ahead_of(limit, mark));
        let now = ledger.wall();
        let Some(mark) = (match ahead {
            Ahead::Passed | Ahead::Near => ledger.mark(limit),
            Ahead::Far if self.pending.is_none() && now.abs_diff(self.at) >= BACK_EVERY => ledger.mark(limit),
            Ahead::Far | Ahead::Well => None,
        }) else {
            return Moves::No;
        };
        self.at = now;
        if ahead == Ahead::Far { Moves::Back(mark) } else { Moves::On(mark) }
    }

    fn is_safe(&mut self, ledger: &mut Ledger, limit: LimitId) -> bool {
        self.safe.as_mut().is_some_and(|mark| ledger.ahead_of(limit, mark) != Ahead::Passed)
    }
}

fn all_anew(ledger: &Ledger) -> BTreeMap<LimitId, Kept> {
    let kept = |name: &Name| Kept { name: Name::clone(name), safe: None, pending: None, at: 0 };
    ledger.long_limits().map(|(limit, name)| (limit, kept(name))).collect()
}

/// Begins the ledgers again of which something was kept. Returns the name of the first thing that cannot be read where
/// there is one.
pub(super) fn begin_again(
    image: &Image,
    now: Millis,
    on_lost: OnLost,
    lasting: Millis,
    fresh: &str,
) -> Result<BTreeMap<Name, Book>, String> {
    let unreadable = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    let mut books: BTreeMap<Name, Book> = BTreeMap::new();
    let mut marks: Vec<(&str, &str, Mark)> = Vec::new();
    for (key, value) in image {
        let (kind, ledger, limit) = read_key(key).map_err(|_| unreadable(key))?;
        let book = books.entry(ledger.into()).or_insert_with(|| Book::again(now, fresh));
        match kind {
            "epoch" => {
                let number = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                book.begin_epoch_after(number.ok_or_else(|| unreadable(key))?, fresh);
            }
            "outline" => {
                let sketch = read_sketch(value).map_err(|_| unreadable(key))?;
                book.take_up(sketch, now);
            }
            "mark" => marks.push((ledger, limit, Mark::decode(value).map_err(|_| unreadable(key))?)),
            _ => return Err(unreadable(key)),
        }
    }
    for (name, book) in &mut books {
        let long: Vec<(LimitId, Name)> =
            book.ledger.long_limits().map(|(limit, name)| (limit, Name::clone(name))).collect();
        for (limit, of) in long {
            let mark = marks.iter().find(|(ledger, marked, _)| *ledger == &**name && *marked == &*of);
            book.ledger.restart_from(limit, mark.map(|(.., mark)| mark));
        }
        book.ledger.restart(on_lost, lasting);
    }
    Ok(books)
}

impl Book {
    /// Takes up what was configured and paused.
    fn take_up(&mut self, sketch: Sketch, now: Millis) {
        self.ledger.apply(now, Command::configure(sketch.configuration));
        self.configured();
        for (resource, digest, revision, replaced) in sketch.in_force {
            let replaced = replaced.into_iter().collect();
            self.in_force.insert(resource, InForce { digest, revision, replaced });
        }
        for (is_limit, name, until, refuse) in sketch.pauses {
            let lasting = until.map(|until| until.saturating_sub(now));
            if let Some(target) = self.ledger.target(is_limit, &name).filter(|_| lasting != Some(0)) {
                self.ledger.apply(now, Command::Pause { target, lasting, refuse });
            }
        }
    }
}
