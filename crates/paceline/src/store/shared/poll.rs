//! Polls of tickets in sessions of their own: who waits here for which decision.

use std::sync::Arc;
use std::time::Duration;

use paceline_core::{Millis, Refusal, TicketId};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::account::Life;
use crate::clock::whole_ms;
use crate::wire::Answer;

/// What a poll is told.
pub(super) enum Told {
    Granted(Millis),
    Refused(Refusal),
    /// That it is over.
    Leave,
}

/// What came of waiting.
pub(super) enum Waited {
    Told(Told),
    /// The poll is over, and the ticket waits on.
    Waits,
    /// The poll was ended before its time.
    Left,
    /// The ledger lost its state, or another poll took over.
    Lost,
}

/// A poll of a ticket, which is over when it is dropped.
pub(super) struct Poll {
    life: Arc<Life>,
    ticket: TicketId,
    told: oneshot::Receiver<Told>,
    /// Whether the desk knows of it.
    known: bool,
}

impl Poll {
    /// Returns a poll, and what the desk tells it by.
    pub(super) fn new(life: &Arc<Life>, ticket: TicketId) -> (Self, oneshot::Sender<Told>) {
        let (tell, told) = oneshot::channel();
        (Self { life: Arc::clone(life), ticket, told, known: true }, tell)
    }

    /// Ends it where the desk is told of its end right away.
    pub(super) fn end(&mut self) {
        self.told.close();
        self.known = false;
    }

    /// Waits for the decision, and keeps the session alive meanwhile.
    pub(super) async fn wait(&mut self, most: Duration, patience: Duration) -> Waited {
        let end = Instant::now() + most;
        loop {
            let step = (Instant::now() + patience / 3).min(end);
            match timeout_at(step, &mut self.told).await {
                Ok(Ok(Told::Leave)) => return Waited::Left,
                Ok(Ok(told)) => return Waited::Told(told),
                Ok(Err(_)) => return Waited::Lost,
                Err(_) => {
                    let ticket = self.ticket;
                    self.life.with(|desk, now, after| desk.touch(ticket, whole_ms(patience), now, after));
                    if step == end {
                        return Waited::Waits;
                    }
                    // What was pushed to a connection that had broken.
                    if let Ok(Answer::Granted) = self.life.look_at(ticket).await {
                        let waited = self.life.with(|desk, now, _| desk.plains.waited(ticket.session, now));
                        return Waited::Told(Told::Granted(waited));
                    }
                }
            }
        }
    }
}

impl Drop for Poll {
    fn drop(&mut self) {
        if self.known {
            self.told.close();
            let session = self.ticket.session;
            self.life.with(|desk, _, _| desk.plains.leave(session));
        }
    }
}
