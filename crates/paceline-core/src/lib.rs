//! The decision of Paceline: a ledger of limits, a line of callers that wait for them, and nothing else.
//!
//! The crate has no clock, no randomness, no I/O and no dependencies. Time is an argument, commands and
//! outcomes are data, and the same commands at the same times always give the same answers.
//!
//! ```
//! use paceline_core::*;
//!
//! let mut ledger = Ledger::new();
//! let limit = LimitSpec::new("rpm", "requests", 2, Algorithm::TokenBucket { window: 60_000, burst: 2 })
//!     .member("openai/gpt-4o");
//! let outcome = ledger.apply(0, Command::configure(Configuration::new([limit], [ResourceSpec::new("openai/gpt-4o")])));
//! assert_eq!(outcome, Outcome::Done);
//!
//! let resource = ledger.resource("openai/gpt-4o").unwrap();
//! let session = SessionId(1);
//! ledger.apply(0, Command::Touch { session, time_out: None });
//! let ask = |number| {
//!     Command::Acquire(Acquire::new(TicketId { session, number }, resource, Amounts::of([(Metric::REQUESTS, 1)])))
//! };
//! assert_eq!(ledger.apply(0, ask(1)), Outcome::Granted);
//! assert_eq!(ledger.apply(0, ask(2)), Outcome::Granted);
//! assert_eq!(ledger.apply(0, ask(3)), Outcome::Queued { ahead: 0 });
//! assert_eq!(ledger.next_wakeup(), Some(30_000));
//!
//! ledger.tick(30_000);
//! assert_eq!(ledger.drain().next().unwrap().ticket.number, 3);
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod acquire;
mod command;
mod configure;
mod demand;
mod encode;
mod hold;
mod lane;
mod ledger;
mod limit;
mod line;
mod mark;
mod meter;
mod recovery;
mod served;
mod session;
mod slab;
mod snapshot;
mod sweep;
mod time;
mod view;

pub use command::{
    Acquire, Command, Configuration, Decision, LimitId, Outcome, Refusal, ResourceId, SessionId, Target,
    TicketId, Usage, Verdict,
};
pub use demand::{Amounts, MAX_AMOUNT, Metric};
pub use encode::DecodeError;
pub use lane::{LaneSpec, ResourceSpec};
pub use ledger::Ledger;
pub use limit::{Algorithm, Boundaries, Counting, Lanes, LimitSpec, Member, SpecError};
pub use mark::{Ahead, Mark, Outline};
pub use recovery::OnLost;
pub use served::SessionView;
pub use snapshot::{Binding, Explanation, LaneView, LimitView, PermitView, ResourceView, Snapshot};
pub use time::{MAX_TICKS, Millis, NEVER};

/// A name of the configuration or of a caller: cheap to clone, compared by content.
pub type Name = alloc::sync::Arc<str>;
