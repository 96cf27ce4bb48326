//! The parts of a ledger as bytes. What follows from other parts is left out.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::DecodeError;
use super::wire::{Code, Reader, code};
use crate::command::{Decision, Refusal, SessionId, TicketId, Verdict};
use crate::demand::{Amounts, Metric};
use crate::hold::{Entry, Hold};
use crate::lane::{Draw, Lane, LaneSpec, Place, Resource, ResourceSpec};
use crate::ledger::{Ledger, Sweep};
use crate::limit::{Algorithm, Boundaries, Counting, Lanes, Limit, LimitSpec, Member, Pause};
use crate::line::Ticket;
use crate::meter::{Bucket, Fixed, Meter, Note, Sliding};
use crate::session::{Session, Sessions};
use crate::time::Now;

code!(Ledger {
    now, started, generations, arrivals, virtual_time, metrics, limits, resources, lanes, tickets, holds, sessions,
    sweep, decisions, more,
} Self::default());
code!(Now = { clock, wall });
code!(TicketId = { session, number });
code!(Member = { resource, lanes });
code!(LimitSpec = { id, metric, amount, algorithm, counting, shadow, transit, members });
code!(Pause = { until, refuse });
code!(Bucket = { level, rest, at, fills });
code!(Sliding = { slots, total });
code!(Fixed = { start, previous, current, next });
code!(Note = { at, before, after });
code!(LaneSpec = { name, priority, weight, max_head_start });
code!(ResourceSpec = { name, line_max, lanes });
code!(Place = { rank, arrival });
code!(Draw = { limit, weighs });
code!(Ticket = { id, lane, named, draws, demand, place, since });
code!(Hold = { id, owner, resource, lane, since, reserved, extra, entries });
code!(Entry = { limit, generation, note });
code!(Decision = { ticket, verdict });

impl Code for SessionId {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn get(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        u128::get(input).map(Self)
    }
}

impl Code for Metric {
    fn put(&self, out: &mut Vec<u8>) {
        u32::from(self.0).put(out);
    }

    fn get(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        u16::try_from(u32::get(input)?).map(Self).map_err(|_| DecodeError::Damaged)
    }
}

impl Code for Amounts {
    fn put(&self, out: &mut Vec<u8>) {
        self.iter().collect::<Vec<_>>().put(out);
    }

    fn get(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Vec::get(input).map(Self::of)
    }
}

impl Code for Sweep {
    fn put(&self, out: &mut Vec<u8>) {
        self.until.put(out);
        let after = self.after.as_ref();
        after.map(|(resource, lane, place)| (resource.clone(), (lane.clone(), *place))).put(out);
    }

    fn get(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let until = Code::get(input)?;
        let after: Option<(_, (_, _))> = Code::get(input)?;
        Ok(Self { until, after: after.map(|(resource, (lane, place))| (resource, lane, place)) })
    }
}

impl Code for Limit {
    fn put(&self, out: &mut Vec<u8>) {
        self.spec.put(out);
        self.metric.put(out);
        self.generation.put(out);
        self.meter.put(out);
        self.held.put(out);
        self.pause.put(out);
        let [own, resource] = self.empty_at;
        (own, resource).put(out);
        self.observed.put(out);
        self.came_back.put(out);
    }

    fn get(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (spec, metric) = Code::get(input)?;
        let generation = Code::get(input)?;
        let limit = Self::new(spec, metric, generation, Now::default()).map_err(|_| DecodeError::Damaged)?;
        let (meter, held) = Code::get(input)?;
        let (pause, (own, resource)) = Code::get(input)?;
        let (observed, came_back) = Code::get(input)?;
        Ok(Self { meter, held, pause, empty_at: [own, resource], observed, came_back, ..limit })
    }
}

impl Code for Lane {
    fn put(&self, out: &mut Vec<u8>) {
        self.resource.put(out);
        self.name.put(out);
        self.virtual_time.put(out);
        self.granted.put(out);
    }

    fn get(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let nowhere = Resource::new(ResourceSpec::new(""));
        let (resource, name) = Code::get(input)?;
        let (virtual_time, granted) = Code::get(input)?;
        Ok(Self { virtual_time, granted, ..Self::new(resource, &nowhere, name, Vec::new()) })
    }
}

impl Code for Resource {
    fn put(&self, out: &mut Vec<u8>) {
        self.spec.put(out);
        self.gone.put(out);
        self.pause.put(out);
        self.purged.put(out);
        self.purged_lanes.put(out);
    }

    fn get(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (spec, gone) = Code::get(input)?;
        let (pause, (purged, purged_lanes)) = Code::get(input)?;
        Ok(Self { gone, pause, purged, purged_lanes, ..Self::new(spec) })
    }
}

impl Code for Sessions {
    fn put(&self, out: &mut Vec<u8>) {
        let all: Vec<_> = self.all.iter().collect();
        (all.len() as u64).put(out);
        for (id, session) in all {
            id.put(out);
            session.highest.put(out);
            session.time_out.put(out);
            session.expires.put(out);
            session.dead.put(out);
        }
        self.dead.put(out);
    }

    fn get(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut all = BTreeMap::new();
        for _ in 0..u64::get(input)? {
            let (id, highest) = Code::get(input)?;
            let (time_out, (expires, dead)) = Code::get(input)?;
            all.insert(id, Session { highest, time_out, expires, dead, ..Session::default() });
        }
        Ok(Self { all, dead: Code::get(input)?, ..Self::default() })
    }
}

/// Writes which of several it is, then what belongs to it.
macro_rules! code_enum {
    ($type:ty { $($number:literal => $variant:ident $( { $($field:ident),* } )? $( ( $($part:ident),* ) )? ),* $(,)? }) => {
        impl Code for $type {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $( { $($field),* } )? $( ( $($part),* ) )? => {
                        u32::put(&$number, out);
                        $($($field.put(out);)*)?
                        $($($part.put(out);)*)?
                    })*
                }
            }
            fn get(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                match u32::get(input)? {
                    $($number => {
                        $($(let $field = Code::get(input)?;)*)?
                        $($(let $part = Code::get(input)?;)*)?
                        Ok(Self::$variant $( { $($field),* } )? $( ( $($part),* ) )?)
                    })*
                    _ => Err(DecodeError::Damaged),
                }
            }
        }
    };
}

code_enum!(Meter { 0 => Bucket(meter), 1 => Sliding(meter), 2 => Fixed(meter) });
code_enum!(Counting { 0 => AtGrant, 1 => UntilSettled });
code_enum!(Boundaries { 0 => Every { period, phase }, 1 => At(instants) });
code_enum!(Lanes { 0 => All, 1 => Only(names), 2 => Except(names) });
code_enum!(Algorithm {
    0 => TokenBucket { window, burst },
    1 => SlidingWindow { window, slots },
    2 => FixedWindow { boundaries, margin },
    3 => Concurrency,
});
code_enum!(Verdict { 0 => Granted { waited }, 1 => Refused(refusal) });
code_enum!(Refusal {
    0 => Impossible { limit, wanted, most },
    1 => TooLate { limit, ready_in },
    2 => LineFull { waiting, most },
    3 => Busy { limit, ready_in },
    4 => Paused { ends_in },
    5 => UnknownLane { lane },
    6 => NoResource,
    7 => Purged,
});
