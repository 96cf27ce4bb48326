//! From a refund to the grant in another process, against a message and its delivery.

use paceline::Demand;
use redis::Commands;

use super::report::{cost, real};
use super::server::Server;
use super::worker::Workers;
use super::{Effort, Outcome, clock, ours, runtime};

const TURNS_A_ROUND: usize = 20;

pub(crate) fn run(server: &Server, effort: &Effort) -> Outcome<()> {
    let prefix = server.prefix("wake");
    let resource = ours::resource(server.url(), &prefix, vec![ours::in_flight(1)])?;
    let mut worker = Workers::start(1, "wake", server.url(), &prefix)?;
    let mut connection = server.connect()?;
    let runtime = runtime()?;
    let came = |said: Vec<String>| -> Outcome<u64> { Ok(said.first().ok_or("no answer")?.parse()?) };
    let (mut mine, mut floors) = (Vec::new(), Vec::new());
    for _ in 0..effort.rounds * TURNS_A_ROUND {
        worker.ask("floor");
        let began = clock::unix_us();
        connection.publish::<_, _, ()>(format!("{prefix}floor"), "now")?;
        floors.push(real(came(worker.hear())?.saturating_sub(began)));
        let permit = runtime.block_on(async { resource.acquire(Demand::new()).await })?;
        worker.ask("ours");
        let began = clock::unix_us();
        drop(permit.give_back());
        mine.push(real(came(worker.hear())?.saturating_sub(began)));
    }
    cost("refund to grant in another process / `PUBLISH` to delivery", "µs", mine, floors, 0, "≤ 2");
    Ok(())
}
