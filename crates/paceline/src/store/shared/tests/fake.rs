//! A store in this process for tests: the session protocol over the core's ledger, and a link that fails to order.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use paceline_core::{
    Acquire, Amounts, Command, Configuration, LaneSpec, Ledger, Millis, NEVER, Outcome, ResourceSpec,
    SessionId, TicketId, Usage, Verdict,
};

use super::values::{bounded, field, int, items, limit, list, millis, raw, refused, session, text, uint};
use crate::link::{Doing, Link, LinkError, PushSink};
use crate::sync::lock;
use crate::wire::{Value, read_value, write_value};

/// What goes wrong with one call.
pub(crate) enum Fault {
    /// The store never hears of it.
    DropRequest,
    /// The store applies it, and nobody hears of that.
    DropReply,
    /// It is never answered.
    Hang,
    /// These bytes are answered, and nothing is applied.
    Canned(Vec<u8>),
    Fatal(&'static str),
}

#[derive(Default)]
pub(crate) struct Fake {
    server: Mutex<Server>,
    faults: Mutex<VecDeque<Fault>>,
    /// Whether no call gets through, and no push is heard.
    pub(crate) down: Mutex<bool>,
    pub(crate) deaf: Mutex<bool>,
    sinks: Mutex<BTreeMap<String, PushSink>>,
    /// All batches that arrived, as values.
    pub(crate) log: Mutex<Vec<Vec<Value>>>,
}

#[derive(Default)]
struct Server {
    ledger: Ledger,
    epoch: u64,
    seq: i64,
    restored: i64,
    sessions: BTreeMap<u128, Seat>,
}

#[derive(Default)]
struct Seat {
    n: i64,
    kept: Vec<u8>,
    channel: String,
    outbox: Vec<Value>,
    told: i64,
}

impl Server {
    fn amounts(&mut self, value: &Value) -> Amounts {
        let Value::Table(pairs) = value else { return Amounts::new() };
        let mut amounts = Amounts::new();
        for (name, amount) in pairs {
            amounts.set(self.ledger.metric(text(name)).unwrap(), uint(amount));
        }
        amounts
    }

    fn figures(&self, amounts: &Amounts) -> Value {
        let pair = |(metric, amount): (_, u64)| {
            (Value::from(self.ledger.metric_name(metric)), Value::Int(amount.cast_signed()))
        };
        Value::Table(amounts.iter().map(pair).collect())
    }

    fn batch(&mut self, batch: &[Value], now: Millis) -> Vec<u8> {
        let own = session(&batch[1], 0);
        let (n, seen, epoch, seq) = (int(&batch[2]), int(&batch[3]), text(&batch[4]), int(&batch[5]));
        if self.epoch == 0 {
            self.epoch = 1;
        }
        let known = self.sessions.get(&own).map(|seat| seat.n);
        if known == Some(n) && !epoch.is_empty() && epoch == self.epoch.to_string()
            || known == Some(n) && n == 1
        {
            return self.sessions[&own].kept.clone();
        }
        if !epoch.is_empty() && (epoch != self.epoch.to_string() || seq > self.seq) {
            return self.reply("lost", own, Vec::new(), seen, now);
        }
        match known {
            None if n != 1 => return self.reply("expired", own, Vec::new(), seen, now),
            Some(last) if n < last => return self.reply("stale", own, Vec::new(), seen, now),
            Some(last) if n > last + 1 => return self.reply("lost", own, Vec::new(), seen, now),
            _ => {}
        }
        let time_out = Some(uint(&batch[7]));
        self.ledger.apply(now, Command::Touch { session: SessionId(own), time_out });
        self.seq += 1;
        let outcomes = items(&batch[14]).iter().map(|command| self.carry_out(items(command), own, now));
        let outcomes: Vec<Value> = outcomes.collect();
        self.deliver();
        let seat = self.sessions.entry(own).or_default();
        (seat.n, seat.channel) = (n, text(&batch[8]).to_owned());
        seat.outbox.retain(|entry| int(&items(entry)[0]) > seen);
        let reply = self.reply("ok", own, outcomes, seen, now);
        if let Some(seat) = self.sessions.get_mut(&own) {
            seat.kept.clone_from(&reply);
        }
        reply
    }

    fn deliver(&mut self) {
        let decisions: Vec<_> = self.ledger.drain().collect();
        for decision in decisions {
            let seat = self.sessions.entry(decision.ticket.session.0).or_default();
            seat.told += 1;
            let number = Value::Int(decision.ticket.number.cast_signed());
            let mut entry = vec![Value::Int(seat.told)];
            match decision.verdict {
                Verdict::Granted { waited } => {
                    entry.extend([Value::from("granted"), number, millis(waited), Value::Int(0)]);
                }
                Verdict::Refused(refusal) => {
                    entry.extend([Value::from("refused"), number]);
                    entry.extend(refused(&refusal));
                }
            }
            seat.outbox.push(list(entry));
        }
    }

    fn reply(&mut self, status: &str, own: u128, outcomes: Vec<Value>, seen: i64, now: Millis) -> Vec<u8> {
        let due = self.ledger.next_wakeup().map_or(Value::None, millis);
        let outbox = self.sessions.get(&own).map(|seat| seat.outbox.clone()).unwrap_or_default();
        let above = outbox.into_iter().filter(|entry| int(&items(entry)[0]) > seen);
        write_value(&list([
            status.into(),
            Value::from(&*self.epoch.to_string()),
            self.seq.into(),
            Value::Int(0),
            Value::Int(now.cast_signed()),
            due,
            list(above),
            list(outcomes),
            Value::Int(1),
            Value::Int(self.restored),
        ]))
    }

    fn carry_out(&mut self, command: &[Value], own: u128, now: Millis) -> Value {
        let ticket = |at: usize| TicketId {
            session: SessionId(session(&command[at], own)),
            number: uint(&command[at + 1]),
        };
        let unknown = || list(["refused".into(), "no_resource".into()]);
        let outcome = match text(&command[0]) {
            "configure" => {
                let resource = |table: &Value| {
                    let lanes = items(field(table, "lanes")).iter();
                    let resource = ResourceSpec::new(text(field(table, "name")));
                    lanes.fold(resource, |resource, lane| resource.lane(LaneSpec::new(text(&items(lane)[0]))))
                };
                let limits = items(&command[1]).iter().map(limit);
                let resources = items(&command[2]).iter().map(resource);
                self.ledger.apply(now, Command::configure(Configuration::new(limits, resources)));
                return list(["configured".into(), Value::True, list([])]);
            }
            "acquire" => {
                let Some(resource) = self.ledger.resource(text(&command[3])) else { return unknown() };
                let demand = self.amounts(&command[5]);
                let mut acquire = Acquire::new(ticket(1), resource, demand.clone());
                acquire.within = bounded(&command[6]).unwrap_or(NEVER);
                acquire.wait = command[8] == Value::True;
                let outcome = self.ledger.apply(now, Command::Acquire(acquire));
                if let Outcome::Refused(refusal) = &outcome {
                    let told = self.explain(now, resource, &demand);
                    return list([Value::from("refused")].into_iter().chain(refused(refusal)).chain([told]));
                }
                outcome
            }
            "settle" => {
                let usage = match &command[3] {
                    Value::None => Usage::Nothing,
                    used => Usage::Of(self.amounts(used)),
                };
                self.ledger.apply(now, Command::Settle { permit: ticket(1), usage })
            }
            "amend" => {
                let reserve = self.amounts(&command[3]);
                self.ledger.apply(now, Command::Amend { permit: ticket(1), reserve })
            }
            "cancel" => self.ledger.apply(now, Command::Cancel { ticket: ticket(1) }),
            "transfer" => {
                let (to, time_out) = (SessionId(session(&command[3], 0)), bounded(&command[4]));
                self.ledger.apply(now, Command::Transfer { permit: ticket(1), to, time_out })
            }
            "record" | "spent" => {
                let Some(resource) = self.ledger.resource(text(&command[1])) else { return unknown() };
                let usage = self.amounts(&command[3]);
                self.ledger.apply(now, Command::Record { resource, lane: None, usage })
            }
            "restore" => {
                let Some(resource) = self.ledger.resource(text(&command[2])) else { return unknown() };
                let demand = self.amounts(&command[4]);
                let id = TicketId { session: SessionId(own), number: uint(&command[1]) };
                self.ledger.apply(now, Command::Acquire(Acquire::new(id, resource, demand)));
                Outcome::Done
            }
            "explain" => {
                let Some(resource) = self.ledger.resource(text(&command[1])) else { return "unknown".into() };
                let demand = self.amounts(&command[3]);
                return self.explain(now, resource, &demand);
            }
            "view" => return self.view(now),
            "permits" => return self.permits(ticket(1)),
            "close" => self.ledger.apply(now, Command::Close { session: SessionId(own) }),
            _ => Outcome::Done,
        };
        self.say(&outcome)
    }

    fn say(&self, outcome: &Outcome) -> Value {
        match outcome {
            Outcome::Granted => "granted".into(),
            Outcome::Queued { ahead } => list(["queued".into(), Value::Int(ahead.cast_signed())]),
            Outcome::Settled { returned, charged } => {
                list(["settled".into(), self.figures(returned), self.figures(charged)])
            }
            Outcome::Amended { returned, charged } => {
                list(["amended".into(), self.figures(returned), self.figures(charged)])
            }
            Outcome::Cancelled => "cancelled".into(),
            Outcome::Done => "done".into(),
            Outcome::Over => "over".into(),
            Outcome::Refused(refusal) => list([Value::from("refused")].into_iter().chain(refused(refusal))),
            _ => "expired".into(),
        }
    }

    fn explain(&mut self, now: Millis, resource: paceline_core::ResourceId, demand: &Amounts) -> Value {
        let Some(told) = self.ledger.explain(now, resource, None, demand) else { return "unknown".into() };
        let binding = |binding: &paceline_core::Binding| {
            list([
                Value::from(&*binding.limit),
                Value::Int(binding.wanted.cast_signed()),
                Value::Int(binding.left),
                Value::Int(binding.set_aside.cast_signed()),
                Value::Int(binding.most.cast_signed()),
                millis(binding.ready_in),
            ])
        };
        list([
            "explained".into(),
            told.goes.into(),
            millis(told.ready_in),
            list(told.limits.iter().map(binding)),
            Value::Int(told.ahead.cast_signed()),
            told.head_waited.map_or(Value::None, millis),
            told.paused_for.map_or(Value::None, millis),
            told.head.map_or(Value::None, |head| raw(head.session.0)),
            told.head.map_or(Value::None, |head| Value::Int(head.number.cast_signed())),
        ])
    }

    fn view(&mut self, now: Millis) -> Value {
        let snapshot = self.ledger.snapshot(now);
        let limit = |limit: &paceline_core::LimitView| {
            let int = |value: u64| Value::Int(value.cast_signed());
            list([
                Value::from(&*limit.name),
                Value::from(&*limit.metric),
                int(limit.most),
                int(limit.amount),
                int(limit.window),
                int(limit.used),
                int(limit.held),
                Value::Int(limit.left),
                millis(limit.full_in),
                limit.paused_for.map_or(Value::None, millis),
                limit.shadow.into(),
                int(limit.came_back),
            ])
        };
        let lane = |lane: &paceline_core::LaneView| {
            list([
                lane.name.as_deref().map_or(Value::None, Value::from),
                Value::Int(lane.waiting.cast_signed()),
                self.figures(&lane.demand),
                lane.oldest.map_or(Value::None, millis),
                Value::Int(lane.granted.cast_signed()),
            ])
        };
        let resource = |resource: &paceline_core::ResourceView| {
            list([
                Value::from(&*resource.name),
                list(resource.limits.iter().map(|name| Value::from(&**name))),
                Value::Int(resource.waiting.cast_signed()),
                Value::Int(resource.in_flight.cast_signed()),
                Value::None,
                list(resource.lanes.iter().map(lane)),
            ])
        };
        let limits = list(snapshot.limits.iter().map(limit));
        list(["viewed".into(), limits, list(snapshot.resources.iter().map(resource))])
    }

    fn permits(&mut self, from: TicketId) -> Value {
        let from = if from.number == 0 { TicketId::default() } else { from };
        let names: BTreeMap<_, _> =
            self.ledger.snapshot(0).resources.into_iter().map(|view| (view.id, view.name)).collect();
        let row = |permit: paceline_core::PermitView| {
            list([
                raw(permit.id.session.0),
                Value::Int(permit.id.number.cast_signed()),
                raw(permit.owner.0),
                Value::from(&*names[&permit.resource]),
                Value::None,
                millis(permit.age),
                self.figures(&permit.reserved),
            ])
        };
        list(["permitted".into(), list(self.ledger.permits_from(from).map(row))])
    }
}

impl Fake {
    pub(crate) fn fail(&self, fault: Fault) {
        lock(&self.faults).push_back(fault);
    }

    pub(crate) fn set_down(&self, down: bool) {
        *lock(&self.down) = down;
    }

    /// Forgets everything, as a server does that restarts without its data.
    pub(crate) fn lose(&self) {
        let mut server = lock(&self.server);
        let epoch = server.epoch + 1;
        *server = Server { epoch, restored: -1, ..Server::default() };
    }

    /// Tells every session once more that a ticket of this number was granted.
    pub(crate) fn grant_again(&self, number: u64) {
        let mut server = lock(&self.server);
        for seat in server.sessions.values_mut() {
            seat.told += 1;
            let number = Value::Int(number.cast_signed());
            let entry = [seat.told.into(), Value::from("granted"), number, millis(1), Value::Int(0)];
            seat.outbox.push(list(entry));
        }
    }

    /// Takes all sessions for dead.
    pub(crate) fn expire(&self, now: Millis) {
        let mut server = lock(&self.server);
        for session in std::mem::take(&mut server.sessions).into_keys() {
            server.ledger.apply(now, Command::Close { session: SessionId(session) });
        }
    }

    /// Returns the names of the commands of all batches so far.
    pub(crate) fn commands(&self) -> Vec<String> {
        let log = lock(&self.log);
        let commands = log.iter().flat_map(|batch| items(&batch[14]));
        commands.map(|command| text(&items(command)[0]).to_owned()).collect()
    }

    pub(crate) fn batches(&self) -> usize {
        lock(&self.log).len()
    }

    fn apply(&self, bytes: &[u8]) -> Vec<u8> {
        let batch = match read_value(bytes).unwrap() {
            Value::List(batch) => batch,
            other => panic!("{other:?}"),
        };
        let now = bounded(&batch[13]).unwrap_or_else(crate::clock::system_now_ms);
        lock(&self.log).push(batch.clone());
        let mut server = lock(&self.server);
        let reply = server.batch(&batch, now);
        let own = session(&batch[1], 0);
        let mut pushes = Vec::new();
        for (id, seat) in server.sessions.iter().filter(|(id, seat)| **id != own && !seat.outbox.is_empty()) {
            let epoch = Value::from(&*server.epoch.to_string());
            let push = list([raw(*id), epoch, list(seat.outbox.clone()), Value::None]);
            pushes.push((seat.channel.clone(), write_value(&push)));
        }
        drop(server);
        if !*lock(&self.deaf) {
            for (channel, push) in pushes {
                let sink = lock(&self.sinks).get(&channel).map(Arc::clone);
                sink.inspect(|sink| sink(&push));
            }
        }
        reply
    }
}

/// The end of the wire that a limiter holds.
pub(crate) struct Wire(pub(crate) Arc<Fake>);

impl Link for Wire {
    fn call<'a>(&'a self, _: &'a str, batch: Vec<u8>) -> Doing<'a, Vec<u8>> {
        Box::pin(async move {
            if *lock(&self.0.down) {
                return Err(LinkError::Retry("it is down".to_owned()));
            }
            let fault = lock(&self.0.faults).pop_front();
            match fault {
                None => Ok(self.0.apply(&batch)),
                Some(Fault::DropRequest) => Err(LinkError::Retry("the request was lost".to_owned())),
                Some(Fault::DropReply) => {
                    self.0.apply(&batch);
                    Err(LinkError::Retry("the reply was lost".to_owned()))
                }
                Some(Fault::Hang) => std::future::pending().await,
                Some(Fault::Canned(bytes)) => Ok(bytes),
                Some(Fault::Fatal(reason)) => Err(LinkError::Fatal(reason.to_owned())),
            }
        })
    }

    fn listen<'a>(&'a self, channel: &'a str, sink: PushSink) -> Doing<'a, ()> {
        Box::pin(async move {
            if *lock(&self.0.down) {
                return Err(LinkError::Retry("it is down".to_owned()));
            }
            lock(&self.0.sinks).insert(channel.to_owned(), sink);
            Ok(())
        })
    }

    fn channel(&self, ledger: &str, inbox: &str) -> String {
        format!("{{{ledger}}}:to:{inbox}")
    }

    fn sharded(&self) -> bool {
        false
    }

    fn run_id(&self, _: &str) -> String {
        "run".to_owned()
    }

    fn url(&self) -> &'static str {
        "fake://store"
    }
}
