//! What becomes of a session that the store has forgotten, and of a ledger that was lost.

use paceline_core::{Algorithm, Boundaries, Millis, NEVER, Name};

use super::account::About;
use super::desk::{After, Desk, Stage};
use super::job::{Job, Tell, What};
use crate::Error;
use crate::events::Event;
use crate::wire::Reply;

impl About {
    /// Everything of the session is gone: its permits are inert, and who waits is asked for again.
    pub(super) fn expired(&self, desk: &mut Desk, jobs: Vec<Job>, now: Millis, after: &mut After) {
        let ended = desk.permits.values().filter(|held| !held.local).count();
        log::warn!(
            "{}: store {} took this process for dead, {ended} permits of it have ended",
            self.name,
            self.link.url()
        );
        let ledger = Name::clone(&self.name);
        self.hub.tell(&mut after.wakers, || Event::SessionExpired { ledger });
        desk.permits.retain(|_, held| held.local);
        let own = desk.session.id;
        desk.session.id = None;
        let all = jobs.into_iter().chain(std::mem::take(&mut desk.queue));
        for job in all.collect::<Vec<_>>() {
            let of_session = match &job.what {
                What::Settle { permit, .. } | What::Amend { permit, .. } | What::Transfer { permit, .. } => {
                    (Some(permit.session) == own).then_some(*permit)
                }
                _ => None,
            };
            match of_session {
                Some(permit) => {
                    after.tellings.extend(job.tell.failed(Error::PermitOver(self.id_of(permit))));
                }
                None if !matches!(job.what, What::Cancel(_)) => desk.queue.push_back(job),
                None => {}
            }
        }
        desk.ask_again(now);
        self.back(desk, now, after);
    }

    /// The ledger lost its state: it is told what this session holds and was granted, under the same session.
    pub(super) fn lost(
        &self,
        desk: &mut Desk,
        jobs: Vec<Job>,
        reply: &Reply,
        now: Millis,
        after: &mut After,
    ) {
        let restored = reply.restored.and_then(|restored| u64::try_from(restored).ok());
        match restored {
            Some(seq) => log::warn!("{}: its state was lost, and restored up to step {seq}", &self.name),
            None => {
                log::warn!("{}: its state was lost, and restarts from what its sessions report", &self.name);
            }
        }
        let ledger = Name::clone(&self.name);
        self.hub.tell(&mut after.wakers, || Event::StateLost { ledger });
        let session = &mut desk.session;
        session.epoch.clone_from(&reply.epoch);
        desk.plains.forget_polls();
        let session = &mut desk.session;
        (session.seq, session.promised) = (reply.seq, reply.kept_until);
        (session.n, session.seen, session.acknowledged, session.wanted) = (0, 0, 0, false);
        let window = desk.longest_window();
        let spent = desk.spent.since(restored, now, window);
        desk.spent.begin_anew();
        let kept = jobs.into_iter().chain(std::mem::take(&mut desk.queue));
        let mut kept: Vec<Job> = kept.collect();
        let held = desk.permits.iter().filter(|(_, held)| !held.local).map(|(number, _)| *number);
        let restore = held.map(What::Restore);
        let spent = spent.into_iter().map(|((slot, lane), granted)| What::Spent { slot, lane, granted });
        let report = restore.chain(spent).chain([What::Recovered]);
        desk.queue.extend(report.map(|what| Job { what, tell: Tell::Nobody, since: NEVER }));
        desk.preface();
        // What a queued end refers to is restored first.
        kept.retain(|job| !matches!(job.what, What::Restore(_) | What::Spent { .. } | What::Recovered));
        desk.queue.extend(kept);
        desk.ask_again(now);
        self.back(desk, now, after);
    }
}

impl Desk {
    /// Asks for every ticket anew that waits, in the order of their numbers, behind what is queued already.
    fn ask_again(&mut self, now: Millis) {
        let prefaced = !self.queue.is_empty() && self.session.id.is_some();
        let mut configured = 0;
        self.queue.retain(|job| {
            let preface = matches!(job.what, What::Configure(_));
            configured += usize::from(preface);
            let again = preface && (!prefaced || configured > self.parts.len());
            !again && !matches!(job.what, What::Acquire(_))
        });
        let gone = |stage| matches!(stage, Stage::Gone | Stage::Leaves);
        let (mut over, mut waiting) = (Vec::new(), Vec::new());
        for (number, ticket) in &mut self.tickets {
            if gone(ticket.stage) {
                over.push((*number, ticket.stage));
                continue;
            }
            if ticket.stage == Stage::Waits {
                ticket.answer_by = now.saturating_add(ticket.outage.store_timeout);
                self.unanswered.insert((ticket.answer_by, *number));
            }
            ticket.stage = Stage::Here;
            waiting.push(*number);
        }
        for (number, stage) in over {
            if stage == Stage::Gone {
                self.forget(number);
            }
        }
        let jobs = waiting.into_iter().map(|number| Job {
            what: What::Acquire(number),
            tell: Tell::Nobody,
            since: now,
        });
        self.queue.extend(jobs);
    }

    /// Returns the longest time after which a limit has forgotten what was granted.
    fn longest_window(&self) -> Millis {
        let limits = self.parts.iter().flat_map(|part| &part.configuration.limits);
        let window = |algorithm: &Algorithm| match algorithm {
            Algorithm::TokenBucket { window, .. } | Algorithm::SlidingWindow { window, .. } => *window,
            Algorithm::FixedWindow { boundaries: Boundaries::Every { period, .. }, .. } => *period,
            Algorithm::FixedWindow { boundaries: Boundaries::At(instants), .. } => {
                let gaps = instants.iter().zip(instants.iter().skip(1)).map(|(one, next)| next - one);
                gaps.max().unwrap_or(0)
            }
            Algorithm::Concurrency => 0,
        };
        limits.map(|limit| window(&limit.algorithm)).max().unwrap_or(0)
    }
}
