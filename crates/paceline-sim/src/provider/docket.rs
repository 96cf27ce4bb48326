//! Who has called, and the judge of each account and model.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::config::ProviderConfig;
use super::dice::Dice;
use super::fault::Fault;
use super::report::{LimitReport, Report};
use crate::judge::{Call, CallId, Counts, Judge, Limit, Refusal, Standing, Usage, Verdict};

/// All state that changes while the provider runs. Keys are kept as hashes, so that nothing can print them.
#[derive(Debug, Default)]
pub(super) struct Docket {
    accounts: HashMap<u64, usize>,
    rooms: Vec<Room>,
    room_of: HashMap<(usize, String), usize>,
    generation: u64,
    throws: u64,
    replies: u64,
    counts: Report,
}

#[derive(Debug)]
struct Room {
    account: usize,
    model: String,
    judge: Judge,
}

/// Names a running call: its room, its judge's name for it, and how many resets came before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    room: usize,
    id: CallId,
    generation: u64,
}

/// How a running call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Served,
    Failed,
    Abandoned,
}

/// The judge's answer to an arrival, with what the headers and the text need to know.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) account: usize,
    pub(super) standings: Vec<Standing>,
    pub(super) verdict: Result<Place, Refusal>,
}

impl Docket {
    pub(super) fn arrive(
        &mut self,
        now_us: u64,
        config: &ProviderConfig,
        key: &str,
        model: &str,
        call: &Call,
    ) -> Arrival {
        self.counts.requests += 1;
        let account = self.account(key);
        let room = self.room(config, account, model);
        let judge = &mut self.rooms[room].judge;
        let verdict = judge.arrive(now_us, call);
        let standings = judge.standings(now_us);
        let verdict = match verdict {
            Verdict::Admitted(id) => Ok(self.seat(room, id)),
            Verdict::Refused(refusal) => {
                self.note_refusal(&refusal);
                Err(refusal)
            }
        };
        Arrival { account, standings, verdict }
    }

    pub(super) fn produce(&mut self, now_us: u64, place: Place, output_tokens: u64) {
        if place.generation == self.generation {
            self.rooms[place.room].judge.produce(now_us, place.id, output_tokens);
        }
    }

    /// Ends a running call and returns what it cost; nothing if a reset has forgotten it.
    pub(super) fn finish(
        &mut self,
        now_us: u64,
        place: Place,
        usage: &Usage,
        ending: Ending,
    ) -> Option<Counts> {
        if place.generation != self.generation {
            return None;
        }
        self.counts.in_flight -= 1;
        match ending {
            Ending::Served => {
                self.counts.served += 1;
                self.counts.input_tokens_served += usage.input_tokens;
                self.counts.output_tokens_served += usage.output_tokens;
            }
            Ending::Failed => self.counts.failed += 1,
            Ending::Abandoned => self.counts.abandoned += 1,
        }
        self.rooms[place.room].judge.finish(now_us, place.id, usage)
    }

    pub(super) fn note_unauthorized(&mut self) {
        self.counts.unauthorized += 1;
    }

    pub(super) fn note_malformed(&mut self) {
        self.counts.malformed += 1;
    }

    pub(super) fn note_fault(&mut self, fault: Fault) {
        *self.counts.faults.entry(fault).or_default() += 1;
    }

    pub(super) fn note_refusal_text(&mut self, text: String) {
        self.counts.last_refusal = Some(text);
    }

    pub(super) fn report(&self) -> Report {
        let mut report = self.counts.clone();
        for room in &self.rooms {
            report.counted = report.counted.plus(&room.judge.tally().counted);
            report.limits.extend(room.judge.tally().limits.iter().map(|&tally| LimitReport {
                account: room.account,
                model: room.model.clone(),
                name: name(&tally.limit),
                tally,
            }));
        }
        report
    }

    /// Forgets all accounts and counts: every limit starts unused.
    pub(super) fn reset(&mut self) {
        *self = Self { generation: self.generation + 1, ..Self::default() };
    }

    /// Numbers the requests that the dice decide about.
    pub(super) fn next_throw(&mut self) -> u64 {
        self.throws += 1;
        self.throws
    }

    /// Numbers the replies.
    pub(super) fn next_reply(&mut self) -> u64 {
        self.replies += 1;
        self.replies
    }

    fn account(&mut self, key: &str) -> usize {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let next = self.accounts.len() + 1;
        *self.accounts.entry(hasher.finish()).or_insert(next)
    }

    fn room(&mut self, config: &ProviderConfig, account: usize, model: &str) -> usize {
        let next = self.rooms.len();
        let room = *self.room_of.entry((account, model.to_owned())).or_insert(next);
        if room == next {
            let seed = Dice::new(config.seed, (account, model)).next();
            let judge = Judge::new(config.rules, config.limits_of(model), seed);
            self.rooms.push(Room { account, model: model.to_owned(), judge });
        }
        room
    }

    fn seat(&mut self, room: usize, id: CallId) -> Place {
        self.counts.in_flight += 1;
        self.counts.peak_in_flight = self.counts.peak_in_flight.max(self.counts.in_flight);
        Place { room, id, generation: self.generation }
    }

    fn note_refusal(&mut self, refusal: &Refusal) {
        self.counts.refused += 1;
        for violation in &refusal.violations {
            *self.counts.refused_by.entry(name(&violation.limit)).or_default() += 1;
        }
    }
}

fn name(limit: &Limit) -> String {
    match limit.window_ms {
        0 => limit.metric.name().to_owned(),
        window_ms => format!("{}/{window_ms}ms", limit.metric.name()),
    }
}
