//! `MessagePack`, written.

use paceline_core::{Algorithm, Boundaries, Counting};
use paceline_core::{LaneSpec, Lanes, LimitSpec, Millis, NEVER, Name, ResourceSpec, SessionId};

use super::ask::Figures;
use super::outcome::Value;

/// Returns any value as bytes.
pub fn write_value(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    Out(&mut bytes).value(value);
    bytes
}

/// Bytes to which values are added. Writing to memory never fails.
pub(crate) struct Out<'a>(pub(super) &'a mut Vec<u8>);

impl Out<'_> {
    pub(crate) fn array(&mut self, length: usize) {
        let _ = rmp::encode::write_array_len(self.0, len(length));
    }

    pub(crate) fn map(&mut self, length: usize) {
        let _ = rmp::encode::write_map_len(self.0, len(length));
    }

    pub(crate) fn uint(&mut self, value: u64) {
        let _ = rmp::encode::write_uint(self.0, value);
    }

    pub(crate) fn int(&mut self, value: i64) {
        let _ = rmp::encode::write_sint(self.0, value);
    }

    pub(crate) fn flag(&mut self, value: bool) {
        let _ = rmp::encode::write_bool(self.0, value);
    }

    pub(crate) fn none(&mut self) {
        self.flag(false);
    }

    pub(crate) fn text(&mut self, text: &str) {
        let _ = rmp::encode::write_str(self.0, text);
    }

    pub(crate) fn text_or_none(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => self.none(),
        }
    }

    pub(crate) fn uint_or_none(&mut self, value: Option<u64>) {
        match value {
            Some(value) => self.uint(value),
            None => self.none(),
        }
    }

    /// A duration; one without an end is none.
    pub(super) fn millis(&mut self, value: Millis) {
        self.uint_or_none((value != NEVER).then_some(value));
    }

    pub(crate) fn session(&mut self, session: Option<SessionId>) {
        match session {
            Some(SessionId(id)) => {
                // As a string: the server's reader of `MessagePack` is older than raw bytes.
                let _ = rmp::encode::write_str_len(self.0, 16);
                self.0.extend_from_slice(&id.to_be_bytes());
            }
            None => self.none(),
        }
    }

    pub(super) fn figures(&mut self, figures: Figures<'_>) {
        self.map(figures.len());
        for (metric, amount) in figures {
            self.text(metric);
            self.uint(*amount);
        }
    }

    pub(crate) fn names(&mut self, names: &[Name]) {
        self.array(names.len());
        for name in names {
            self.text(name);
        }
    }

    pub(super) fn limit(&mut self, limit: &LimitSpec) {
        let (algorithm, own) = match &limit.algorithm {
            Algorithm::TokenBucket { .. } => ("token_bucket", 2),
            Algorithm::SlidingWindow { .. } => ("sliding_window", 2),
            Algorithm::FixedWindow { boundaries: Boundaries::Every { .. }, .. } => ("fixed_window", 3),
            Algorithm::FixedWindow { boundaries: Boundaries::At(_), .. } => ("fixed_window", 2),
            Algorithm::Concurrency => ("concurrency", 0),
        };
        self.map(8 + own);
        self.field("id", |out| out.text(&limit.id));
        self.field("metric", |out| out.text(&limit.metric));
        self.field("amount", |out| out.uint(limit.amount));
        self.field("algorithm", |out| out.text(algorithm));
        self.algorithm(&limit.algorithm);
        self.field("until_settled", |out| out.flag(limit.counting == Counting::UntilSettled));
        self.field("shadow", |out| out.flag(limit.shadow));
        self.field("transit", |out| out.uint(limit.transit));
        self.field("members", |out| {
            out.array(limit.members.len());
            for member in &limit.members {
                let (choice, lanes): (_, &[Name]) = match &member.lanes {
                    Lanes::All => ("all", &[]),
                    Lanes::Only(lanes) => ("only", lanes),
                    Lanes::Except(lanes) => ("except", lanes),
                };
                out.array(3);
                out.text(&member.resource);
                out.text(choice);
                out.names(lanes);
            }
        });
    }

    fn algorithm(&mut self, algorithm: &Algorithm) {
        match algorithm {
            Algorithm::TokenBucket { window, burst } => {
                self.field("window", |out| out.uint(*window));
                self.field("burst", |out| out.uint(*burst));
            }
            Algorithm::SlidingWindow { window, slots } => {
                self.field("window", |out| out.uint(*window));
                self.field("slots", |out| out.uint(u64::from(*slots)));
            }
            Algorithm::FixedWindow { boundaries, margin } => {
                self.field("margin", |out| out.uint(*margin));
                match boundaries {
                    Boundaries::Every { period, phase } => {
                        self.field("period", |out| out.uint(*period));
                        self.field("phase", |out| out.uint(*phase));
                    }
                    Boundaries::At(instants) => self.field("instants", |out| {
                        out.array(instants.len());
                        for instant in instants {
                            out.uint(*instant);
                        }
                    }),
                }
            }
            Algorithm::Concurrency => {}
        }
    }

    pub(super) fn resource(&mut self, resource: &ResourceSpec) {
        self.map(3);
        self.field("name", |out| out.text(&resource.name));
        self.field("line_max", |out| out.uint(u64::from(resource.line_max)));
        self.field("lanes", |out| {
            out.array(resource.lanes.len());
            for LaneSpec { name, priority, weight, max_head_start } in &resource.lanes {
                out.array(4);
                out.text(name);
                out.int(i64::from(*priority));
                out.uint(u64::from(*weight));
                out.uint(*max_head_start);
            }
        });
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::None => self.none(),
            Value::True => self.flag(true),
            Value::Int(value) => self.int(*value),
            Value::Float(value) => {
                let _ = rmp::encode::write_f64(self.0, *value);
            }
            Value::Bytes(bytes) => {
                let _ = rmp::encode::write_str_len(self.0, len(bytes.len()));
                self.0.extend_from_slice(bytes);
            }
            Value::List(list) => {
                self.array(list.len());
                for value in list {
                    self.value(value);
                }
            }
            Value::Table(pairs) => {
                self.map(pairs.len());
                for (key, value) in pairs {
                    self.value(key);
                    self.value(value);
                }
            }
        }
    }

    fn field(&mut self, name: &str, value: impl FnOnce(&mut Self)) {
        self.text(name);
        value(self);
    }
}

fn len(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
