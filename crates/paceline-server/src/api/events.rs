//! What happens, as server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName};
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use tokio::sync::watch;

use super::answers::Looking;
use crate::access::{Caller, Reads};
use crate::app::App;
use crate::extract::text;
use crate::feed::Item;
use crate::problem::Problem;

static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Follows what happens
///
/// Server-sent events with ids. A reader that comes back with `Last-Event-ID` goes on where it was, as far as that is
/// kept; an event `lost` says how many are missing.
#[utoipa::path(
    get, path = "/v1/events", tag = "resources",
    params(("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was seen")),
    responses((status = 200, description = "Events.", body = String, content_type = "text/event-stream"), Looking)
)]
pub(crate) async fn follow(
    State(app): State<Arc<App>>,
    Reads(caller): Reads,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    let known = text(&headers, &LAST_EVENT_ID, 100)?;
    let last = app.feed.last();
    let after = known.map_or_else(|| *last.borrow(), |id| app.feed.after(&id));
    let reader = Reader { app, caller, last, after, ready: VecDeque::new() };
    Ok(Sse::new(events(reader)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

struct Reader {
    app: Arc<App>,
    caller: Caller,
    last: watch::Receiver<u64>,
    after: u64,
    ready: VecDeque<Event>,
}

fn events(reader: Reader) -> impl Stream<Item = Result<Event, Infallible>> {
    futures_util::stream::unfold(reader, |mut reader| async move {
        loop {
            if let Some(event) = reader.ready.pop_front() {
                return Some((Ok(event), reader));
            }
            reader.last.borrow_and_update();
            if !reader.gather() {
                tokio::select! {
                    changed = reader.last.changed() => changed.ok()?,
                    () = reader.app.stops() => return None,
                }
            }
        }
    })
}

impl Reader {
    /// Takes what there is; returns whether there was anything.
    fn gather(&mut self) -> bool {
        let (items, lost) = self.app.feed.since(self.after);
        if lost > 0 {
            let id = self.app.feed.id(self.after + lost);
            let data = serde_json::json!({"events": lost}).to_string();
            self.ready.push_back(Event::default().event("lost").id(id).data(data));
            self.after += lost;
        }
        for item in &items {
            self.after = item.number;
            if self.shows(item) {
                let id = self.app.feed.id(item.number);
                self.ready.push_back(Event::default().event(item.name).id(id).data(&item.data));
            }
        }
        lost > 0 || !items.is_empty()
    }

    /// Returns whether the key may see it: what names no resource is for those who see all.
    fn shows(&self, item: &Item) -> bool {
        match &item.resource {
            Some(resource) => self.caller.sees(resource),
            None => !self.caller.is_bounded(),
        }
    }
}
