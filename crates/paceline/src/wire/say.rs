//! Replies and pushes as the server half of the session protocol writes them.

use paceline_core::{
    Amounts, Explanation, Ledger, Millis, NEVER, Outcome, PermitView, Refusal, SessionId, Snapshot, SpecError,
};

use super::out::Out;

/// What a reply says beside its outbox and its outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head<'a> {
    pub(crate) status: &'static str,
    pub(crate) epoch: &'a str,
    pub(crate) seq: u64,
    pub(crate) kept_until: u64,
    pub(crate) wall: u64,
    pub(crate) due: Option<Millis>,
    pub(crate) alive: u64,
    pub(crate) restored: i64,
}

/// Values that are written already, one behind the other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Written {
    pub(crate) count: usize,
    pub(crate) bytes: Vec<u8>,
}

impl Written {
    /// Writes one more value.
    pub(crate) fn one(&mut self, write: impl FnOnce(&mut Out<'_>)) {
        self.count += 1;
        write(&mut Out(&mut self.bytes));
    }

    /// Adds a value that is written already.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.count += 1;
        self.bytes.extend_from_slice(bytes);
    }
}

/// Returns a reply as bytes. To an exam it says as well whose the entries of the outbox are.
pub(crate) fn write_reply(
    head: &Head<'_>,
    outbox: &Written,
    outcomes: &Written,
    whose: Option<&[SessionId]>,
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(96 + head.epoch.len() + outbox.bytes.len() + outcomes.bytes.len());
    let mut out = Out(&mut bytes);
    out.array(if whose.is_some() { 11 } else { 10 });
    out.text(head.status);
    out.text(head.epoch);
    out.uint(head.seq);
    out.uint(head.kept_until);
    out.uint(head.wall);
    out.span_or_none(head.due);
    out.written(outbox);
    out.written(outcomes);
    out.uint(head.alive);
    out.int(head.restored);
    if let Some(whose) = whose {
        out.array(whose.len());
        for session in whose {
            out.session(Some(*session));
        }
    }
    bytes
}

/// Returns the payload of a push as bytes.
pub(crate) fn write_push(session: SessionId, epoch: &str, entries: &Written, due: Option<Millis>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(32 + epoch.len() + entries.bytes.len());
    let mut out = Out(&mut bytes);
    out.array(4);
    out.session(Some(session));
    out.text(epoch);
    out.written(entries);
    out.span_or_none(due);
    bytes
}

impl<'a> Out<'a> {
    /// Adds to these bytes.
    pub(crate) fn to(bytes: &'a mut Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Out<'_> {
    fn written(&mut self, values: &Written) {
        self.array(values.count);
        self.0.extend_from_slice(&values.bytes);
    }

    /// A duration as a store says it: without an end it is infinite.
    pub(crate) fn span(&mut self, value: Millis) {
        if value == NEVER {
            let _ = rmp::encode::write_f64(self.0, f64::INFINITY);
        } else {
            self.uint(value);
        }
    }

    pub(crate) fn span_or_none(&mut self, value: Option<Millis>) {
        match value {
            Some(value) => self.span(value),
            None => self.none(),
        }
    }

    pub(crate) fn amounts(&mut self, amounts: &Amounts, ledger: &Ledger) {
        self.map(amounts.iter().count());
        for (metric, amount) in amounts.iter() {
            self.text(ledger.metric_name(metric));
            self.uint(amount);
        }
    }

    /// What a ticket that waited is told: its number in the outbox, what became of it, and the ticket's number.
    pub(crate) fn granted(&mut self, k: u64, number: u64, waited: Millis, wall: u64) {
        self.array(5);
        self.uint(k);
        self.text("granted");
        self.uint(number);
        self.span(waited);
        self.uint(wall);
    }

    pub(crate) fn refused(&mut self, k: u64, number: u64, refusal: &Refusal) {
        self.array(3 + values_of(refusal));
        self.uint(k);
        self.text("refused");
        self.uint(number);
        self.refusal_values(refusal);
    }

    pub(crate) fn differs(&mut self, k: u64, resource: &str) {
        self.array(3);
        self.uint(k);
        self.text("differs");
        self.text(resource);
    }

    /// The outcome of a command; behind a refusal what explains it, where that was asked for.
    pub(crate) fn outcome(&mut self, outcome: &Outcome, why: Option<&Explanation>, ledger: &Ledger) {
        match outcome {
            Outcome::Granted => self.text("granted"),
            Outcome::Queued { ahead } => {
                self.array(2);
                self.text("queued");
                self.uint(*ahead);
            }
            Outcome::Refused(refusal) => {
                self.array(1 + values_of(refusal) + usize::from(why.is_some()));
                self.text("refused");
                self.refusal_values(refusal);
                if let Some(why) = why {
                    self.explained(why);
                }
            }
            Outcome::Settled { returned, charged } => self.difference("settled", returned, charged, ledger),
            Outcome::Amended { returned, charged } => self.difference("amended", returned, charged, ledger),
            Outcome::Cancelled => self.text("cancelled"),
            Outcome::Done => self.text("done"),
            Outcome::Over => self.text("over"),
            Outcome::Expired => self.text("expired"),
            Outcome::Invalid(error) => self.fault_values(error),
        }
    }

    fn difference(&mut self, kind: &str, returned: &Amounts, charged: &Amounts, ledger: &Ledger) {
        if returned.is_empty() && charged.is_empty() {
            return self.text(kind);
        }
        self.array(3);
        self.text(kind);
        self.amounts(returned, ledger);
        self.amounts(charged, ledger);
    }

    fn refusal_values(&mut self, refusal: &Refusal) {
        match refusal {
            Refusal::Impossible { limit, wanted, most } => {
                self.text("impossible");
                self.text(limit);
                self.uint(*wanted);
                self.uint(*most);
            }
            Refusal::TooLate { limit, ready_in } => {
                self.text("too_late");
                self.text(limit);
                self.span(*ready_in);
            }
            Refusal::LineFull { waiting, most } => {
                self.text("line_full");
                self.uint(u64::from(*waiting));
                self.uint(u64::from(*most));
            }
            Refusal::Busy { limit, ready_in } => {
                self.text("busy");
                self.text_or_none(limit.as_deref());
                self.span(*ready_in);
            }
            Refusal::Paused { ends_in } => {
                self.text("paused");
                self.span(*ends_in);
            }
            Refusal::UnknownLane { lane } => {
                self.text("unknown_lane");
                self.text(lane);
            }
            Refusal::NoResource => self.text("no_resource"),
            Refusal::Purged => self.text("purged"),
        }
    }

    /// `invalid`, its kind, the limit or resource, the field or resource, the value, the bound.
    fn fault_values(&mut self, error: &SpecError) {
        let (kind, id, third, value, most) = match error {
            SpecError::Zero { id, field } => ("zero", id, *field, 0, 0),
            SpecError::TooLarge { id, field, value, most } => ("too_large", id, *field, *value, *most),
            SpecError::BurstTooSmall { id, burst, least } => ("burst_too_small", id, "", *burst, *least),
            SpecError::NotAscending { id } => ("not_ascending", id, "", 0, 0),
            SpecError::Duplicate { id } => ("duplicate", id, "", 0, 0),
            SpecError::UnknownResource { id, resource } => ("unknown_resource", id, &**resource, 0, 0),
            SpecError::Contradiction { id, field } => ("contradiction", id, *field, 0, 0),
        };
        self.array(6);
        self.text("invalid");
        self.text(kind);
        self.text(id);
        self.text(third);
        self.uint(value);
        self.uint(most);
    }

    pub(crate) fn explained(&mut self, told: &Explanation) {
        self.array(9);
        self.text("explained");
        self.flag(told.goes);
        self.span(told.ready_in);
        self.array(told.limits.len());
        for binding in &told.limits {
            self.array(6);
            self.text(&binding.limit);
            self.uint(binding.wanted);
            self.int(binding.left);
            self.uint(binding.set_aside);
            self.uint(binding.most);
            self.span(binding.ready_in);
        }
        self.uint(told.ahead);
        self.span_or_none(told.head_waited);
        self.span_or_none(told.paused_for);
        self.session(told.head.map(|head| head.session));
        self.uint_or_none(told.head.map(|head| head.number));
    }

    pub(crate) fn viewed(&mut self, snapshot: &Snapshot, ledger: &Ledger) {
        self.array(3);
        self.text("viewed");
        self.array(snapshot.limits.len());
        for limit in &snapshot.limits {
            self.array(12);
            self.text(&limit.name);
            self.text(&limit.metric);
            self.uint(limit.most);
            self.uint(limit.amount);
            self.span(limit.window);
            self.uint(limit.used);
            self.uint(limit.held);
            self.int(limit.left);
            self.span(limit.full_in);
            self.span_or_none(limit.paused_for);
            self.flag(limit.shadow);
            self.uint(limit.came_back);
        }
        self.array(snapshot.resources.len());
        for resource in &snapshot.resources {
            self.array(6);
            self.text(&resource.name);
            self.names(&resource.limits);
            self.uint(resource.waiting);
            self.uint(resource.in_flight);
            self.span_or_none(resource.paused_for);
            self.array(resource.lanes.len());
            for lane in &resource.lanes {
                self.array(5);
                self.text_or_none(lane.name.as_deref());
                self.uint(lane.waiting);
                self.amounts(&lane.demand, ledger);
                self.span_or_none(lane.oldest);
                self.uint(lane.granted);
            }
        }
    }

    pub(crate) fn permitted(&mut self, rows: &[PermitView], more: bool, ledger: &Ledger) {
        self.array(3);
        self.text("permitted");
        self.array(rows.len());
        for row in rows {
            self.array(7);
            self.session(Some(row.id.session));
            self.uint(row.id.number);
            self.session(Some(row.owner));
            self.text(ledger.name_of(row.resource));
            self.text_or_none(row.lane.as_deref());
            self.span(row.age);
            self.amounts(&row.reserved, ledger);
        }
        self.flag(more);
    }
}

/// How many values a refusal is said by.
fn values_of(refusal: &Refusal) -> usize {
    match refusal {
        Refusal::Impossible { .. } => 4,
        Refusal::TooLate { .. } | Refusal::LineFull { .. } | Refusal::Busy { .. } => 3,
        Refusal::Paused { .. } | Refusal::UnknownLane { .. } => 2,
        Refusal::NoResource | Refusal::Purged => 1,
    }
}
