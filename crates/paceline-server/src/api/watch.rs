//! Everything as it changes, as server-sent events: one look for all who watch.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use serde::Deserialize;
use utoipa::IntoParams;

use super::answers::Looking;
use crate::access::{Caller, Reads};
use crate::app::App;
use crate::clock;
use crate::extract::Asked;
use crate::lookout::{FASTEST, Lookout, WatchBody, Watcher};
use crate::problem::Problem;

/// How many events a second are sent to those who do not say.
const USUAL: f64 = 2.0;
const SLOWEST: f64 = 0.1;
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// How it is watched.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct WatchQuery {
    /// The most events a second, from 0.1 to 20; 2 unless said otherwise.
    rate: Option<f64>,
}

/// Watches everything as it changes
///
/// Server-sent events: one `snapshot` of all resources that the key is for, then `changes` with those that changed, and
/// another `snapshot` when resources come or go. All who watch share one look at the ledgers.
#[utoipa::path(
    get, path = "/v1/watch", tag = "resources", params(WatchQuery),
    responses((status = 200, description = "Events.", body = WatchBody, content_type = "text/event-stream"), Looking)
)]
pub(crate) async fn watch(
    State(app): State<Arc<App>>,
    Reads(caller): Reads,
    Asked(query): Asked<WatchQuery>,
) -> Result<impl IntoResponse, Problem> {
    let rate = query.rate.unwrap_or(USUAL);
    if !(SLOWEST..=FASTEST).contains(&rate) {
        let said = format!("rate is {rate}; expected events a second from {SLOWEST} to {FASTEST}");
        return Err(Problem::field("rate", said));
    }
    let watcher = Lookout::join(&app, rate);
    let reader =
        Reader { app, caller, watcher, pause: Duration::from_secs_f64(1.0 / rate), sent: None, last: None };
    let events = Sse::new(events(reader)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    Ok(([("cache-control", "no-store")], events))
}

struct Reader {
    app: Arc<App>,
    caller: Caller,
    watcher: Watcher,
    pause: Duration,
    /// When the last event was sent.
    sent: Option<clock::Watch>,
    /// The frame that it told of.
    last: Option<u64>,
}

fn events(reader: Reader) -> impl Stream<Item = Result<Event, Infallible>> {
    futures_util::stream::unfold(reader, |mut reader| async move {
        loop {
            let app = Arc::clone(&reader.app);
            let pause =
                reader.sent.map_or(Duration::ZERO, |sent| reader.pause.saturating_sub(sent.elapsed()));
            tokio::select! {
                changed = async {
                    tokio::time::sleep(pause).await;
                    reader.watcher.frames.changed().await
                } => changed.ok()?,
                () = app.stops() => return None,
            }
            let frame = Arc::clone(&reader.watcher.frames.borrow_and_update());
            let told = frame.told(reader.last, &reader.caller);
            reader.last = Some(frame.number);
            if let Some((name, data)) = told {
                reader.sent = Some(clock::Watch::start());
                return Some((Ok(Event::default().event(name).data(data)), reader));
            }
        }
    })
}
