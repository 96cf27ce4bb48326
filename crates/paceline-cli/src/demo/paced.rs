//! Workers that ask Paceline before they call.

use std::sync::Arc;

use paceline::{Demand, Event, Events, Limiter, Resource, Settled};
use tokio::task::JoinSet;

use super::board::{Board, Grant};
use super::client::{Answer, Client};
use super::scene::Scene;
use crate::failure::Failure;

/// Goes through a board with so many workers; returns how many tickets were overtaken in their lane.
pub(crate) async fn work(
    scene: &Scene,
    board: &Arc<Board>,
    client: &Client,
    workers: usize,
    published: Option<&str>,
) -> Result<u64, Failure> {
    let builder = Limiter::builder().private().compiled(scene.compiled.clone());
    let builder = published.into_iter().fold(builder, paceline::Builder::publish);
    let limiter = builder.build()?;
    let resource = limiter.resource(&scene.resource)?;
    let order = tokio::task::spawn_blocking({
        let events = limiter.events();
        move || overtaken(events)
    });
    let worked = all(&resource, board, client, workers).await;
    limiter.close();
    let overtaken = order.await.map_err(|error| Failure::Call(error.to_string()))?;
    worked.and(overtaken)
}

async fn all(
    resource: &Resource,
    board: &Arc<Board>,
    client: &Client,
    workers: usize,
) -> Result<(), Failure> {
    let mut running = JoinSet::new();
    for _ in 0..workers {
        running.spawn(worker(resource.clone(), Arc::clone(board), client.clone()));
    }
    while let Some(ended) = running.join_next().await {
        ended.map_err(|error| Failure::Call(error.to_string()))??;
    }
    Ok(())
}

async fn worker(resource: Resource, board: Arc<Board>, client: Client) -> Result<(), Failure> {
    while let Some((asked, work)) = board.take() {
        let mut refusals = 0;
        let mut acquire = resource.acquire(Demand::from(work.asked()));
        loop {
            let permit = acquire.await?;
            let at = board.elapsed();
            board.leaves();
            match client.call(&work).await? {
                Answer::Served(usage) => {
                    board.is_back();
                    board.grant(Grant { asked, at, waited: permit.waited(), refusals });
                    board.gives_back(tokens_of(&permit.settle(usage).await?));
                    break;
                }
                Answer::Refused { .. } => {
                    refusals += 1;
                    board.is_refused();
                    acquire = permit.retry();
                }
            }
        }
    }
    Ok(())
}

/// Returns how many tokens went back; where several limits count them, what the most generous one got.
pub(crate) fn tokens_of(settled: &Settled) -> u64 {
    let returned = settled.all_returned();
    let tokens = returned.iter().filter(|(metric, _)| metric.ends_with("tokens"));
    tokens.map(|(_, amount)| *amount).max().unwrap_or(0)
}

/// Counts the tickets that were granted after one that had asked later, until the limiter is closed.
fn overtaken(events: Events) -> Result<u64, Failure> {
    let (mut latest, mut count) = (0, 0);
    for event in events.blocking() {
        match event {
            Event::Granted { permit, .. } => {
                let number = permit.ticket().number;
                count += u64::from(number < latest);
                latest = latest.max(number);
            }
            Event::Lost(lost) => {
                return Err(Failure::Call(format!("{lost} events were lost, so nobody knows the order")));
            }
            _ => {}
        }
    }
    Ok(count)
}
