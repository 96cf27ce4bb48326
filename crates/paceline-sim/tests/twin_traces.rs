//! Every trace, told to the twin of the ledger in an embedded Lua.

mod exam;
mod traces;
mod twin;

use twin::Twin;
use twin::server::Embedded;

#[test]
fn every_trace_holds_on_the_twin() {
    traces::check(|| Twin::on(Embedded::new()));
}
