//! Sessions of SDKs: many callers in one process, and from a refund to the grant of another client.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use paceline::{Demand, Event, Limiter, Resource, Usage};
use tokio_tungstenite::tungstenite::Message;

use super::server::Servers;
use super::tell::{real, row};
use super::{Effort, Outcome, clock};

const CALLERS: usize = 64;

fn resource(address: &str, name: &str) -> Outcome<(Limiter, Resource)> {
    let limiter = Limiter::builder().store(format!("http://{address}")).build()?;
    let resource = limiter.resource(name)?;
    Ok((limiter, resource))
}

/// Pairs a second by 64 callers, against half of the floor's requests.
pub(crate) fn pairs(servers: &Servers, effort: &Effort) -> Outcome<()> {
    let time = Duration::from_millis(effort.round_ms);
    let (_limiter, resource) = resource(&servers.ours, "bench")?;
    let (mut ours, mut floors) = (Vec::new(), Vec::new());
    for _ in 0..effort.rounds {
        floors.push(super::http::floor(servers, time)? / 2.0);
        ours.push(busy(&resource, time)?);
    }
    row(
        "acquire + settle pairs a second through a session, 64 callers / half the floor's requests",
        "/s",
        ours,
        floors,
        "≥ 2",
    );
    Ok(())
}

fn busy(resource: &Resource, time: Duration) -> Outcome<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (began, end) = (clock::now(), clock::now() + time);
        let caller = |_| {
            let resource = resource.clone();
            tokio::spawn(async move {
                let mut done = 0;
                while clock::now() < end {
                    let demand = Demand::new().input_tokens(1_200).max_output_tokens(800);
                    let permit = resource.acquire(demand).await?;
                    permit.settle(Usage::new().input_tokens(1_180).output_tokens(212));
                    done += 1;
                }
                Outcome::Ok(done)
            })
        };
        let tasks: Vec<_> = (0..CALLERS).map(caller).collect();
        let mut all = 0;
        for task in tasks {
            all += task.await??;
        }
        Ok(real(all) / began.elapsed().as_secs_f64())
    })
}

/// From a permit given back over HTTP's session to the grant of another client, against one round trip of a WebSocket.
pub(crate) fn wake(servers: &Servers, effort: &Effort) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Equal URLs would be one client.
    let (_one, here) = resource(&servers.ours, "one")?;
    let (other, there) = resource(&servers.ours.replace("127.0.0.1", "localhost"), "one")?;
    let (ours, floors) = runtime.block_on(async {
        let (mut echo, _) = tokio_tungstenite::connect_async(format!("ws://{}/echo", servers.floor)).await?;
        let (mut ours, mut floors) = (Vec::new(), Vec::new());
        for _ in 0..effort.rounds * 20 {
            let began = clock::now();
            echo.send(Message::Binary(vec![0; 64].into())).await?;
            echo.next().await.ok_or("the echo ended")??;
            floors.push(began.elapsed().as_secs_f64() * 1e6);

            let held = here.acquire(Demand::new()).await?;
            let mut events = other.events();
            let waits = there.clone();
            let waits = tokio::spawn(async move {
                let permit = waits.acquire(Demand::new()).await;
                (clock::now(), permit)
            });
            while let Some(event) = events.next().await {
                if matches!(event, Event::Queued { .. }) {
                    break;
                }
            }
            let began = clock::now();
            drop(held.give_back());
            let (came, permit) = waits.await?;
            ours.push(came.saturating_duration_since(began).as_secs_f64() * 1e6);
            permit?.give_back().await?;
        }
        Outcome::Ok((ours, floors))
    })?;
    row("refund to the next grant, another client / one WebSocket round trip", "µs", ours, floors, "≤ 2");
    Ok(())
}
