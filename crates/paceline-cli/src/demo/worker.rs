//! A worker process of the demo: it makes the calls that its standard input names, each with a permit of its own.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use paceline::config::Config;
use paceline::{Demand, Event, Limiter, Resource};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::client::{Answer, Client};
use super::paced::tokens_of;
use super::scene::Scene;
use super::talk::{Granted, News, Order, Setup, line};
use crate::clock;
use crate::commands::{Done, runtime};
use crate::failure::Failure;

/// When tickets were known to be in line, by their numbers.
type InLine = Arc<Mutex<BTreeMap<u64, u64>>>;

/// Works until the standard input ends.
pub(crate) fn run() -> Result<Done, Failure> {
    let mut first = String::new();
    std::io::stdin().lock().read_line(&mut first).map_err(Failure::io("standard input"))?;
    let setup: Setup = serde_json::from_str(&first).map_err(|_| {
        Failure::Input("this is a part of paceline demo, which tells it what to do".to_owned())
    })?;
    let worked = runtime()?.block_on(work(&setup));
    if let Err(failure) = worked {
        say(&News::Failed(failure.to_string()));
    }
    Ok(Done::well(String::new()))
}

async fn work(setup: &Setup) -> Result<(), Failure> {
    let config = Config::parse(&setup.config_name, &setup.config)?;
    let scene = Scene::new(
        &config,
        setup.resource.as_deref(),
        setup.provider,
        setup.time_scale,
        setup.compiled_at_ms,
    )?;
    let limiter = Limiter::builder()
        .store(&setup.store)
        .key_prefix(&setup.prefix)
        .session_timeout(Duration::from_millis(setup.session_timeout_ms))
        .compiled(scene.compiled.clone())
        .build()?;
    let resource = limiter.resource(&scene.resource)?;
    let in_line = watch_line(&limiter);
    // The first contact: who cannot reach the store says so before there is work.
    resource.snapshot().await?;
    say(&News::Ready);
    let client = Client::new(setup.provider_addr, &scene);
    let (orders, mut inbox) = unbounded_channel();
    std::thread::spawn(move || listen(&orders));
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            order = inbox.recv() => match order {
                Some(order) => {
                    running.spawn(call(resource.clone(), client.clone(), order, Arc::clone(&in_line)));
                }
                None => break,
            },
            Some(ended) = running.join_next() => ended.map_err(|error| Failure::Call(error.to_string()))??,
        }
    }
    limiter.close();
    Ok(())
}

/// Reads orders until there are no more: then the demo is over, or has died.
fn listen(orders: &UnboundedSender<Order>) {
    for text in std::io::stdin().lock().lines().map_while(Result::ok) {
        if serde_json::from_str(&text).is_ok_and(|order| orders.send(order).is_err()) {
            return;
        }
    }
}

/// Notes when tickets are known to be in line, and tells which were overtaken by later ones of this process.
fn watch_line(limiter: &Limiter) -> InLine {
    let in_line = InLine::default();
    let (events, noted) = (limiter.events(), Arc::clone(&in_line));
    std::thread::spawn(move || {
        let mut latest = 0;
        for event in events.blocking() {
            match event {
                Event::Queued { permit, .. } => {
                    lock(&noted).insert(permit.ticket().number, clock::unix_us());
                }
                Event::Granted { permit, .. } => {
                    let number = permit.ticket().number;
                    if number < latest {
                        say(&News::Overtaken);
                    }
                    latest = latest.max(number);
                }
                Event::Lost(lost) => {
                    say(&News::Failed(format!("{lost} events were lost, so nobody knows the order")));
                }
                _ => {}
            }
        }
    });
    in_line
}

async fn call(resource: Resource, client: Client, order: Order, in_line: InLine) -> Result<(), Failure> {
    let (place, work) = (order.place, order.work());
    let mut asked_us = clock::unix_us();
    let mut acquire = resource.acquire(Demand::from(work.asked()));
    loop {
        let permit = acquire.await?;
        let number = permit.id().ticket().number;
        let in_line_us = lock(&in_line).remove(&number).unwrap_or_else(clock::unix_us);
        let waited_us = u64::try_from(permit.waited().as_micros()).unwrap_or(u64::MAX);
        say(&News::Granted(Granted { place, asked_us, in_line_us, waited_us }));
        match client.call(&work).await? {
            Answer::Served(usage) => {
                let settled = permit.settle(usage);
                let returned = tokens_of(&settled.await?);
                say(&News::Served { place, returned });
                return Ok(());
            }
            Answer::Refused { .. } => {
                say(&News::Refused { place });
                asked_us = clock::unix_us();
                acquire = permit.retry();
            }
        }
    }
}

fn say(news: &News) {
    // Whoever does not listen any more has ended, and so do we with the end of our input.
    let _ = std::io::stdout().lock().write_all(line(news).as_bytes());
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
