//! What one connection listens to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

use super::serve::Observer;
use crate::link::{Link, LinkError, PushSink};
use crate::sync::lock;
use crate::wire::{Down, read_push, write_down};

/// How many channels one connection listens to at most.
const MOST: usize = 4_096;

/// The channels of one connection. All of it ends with this, but for what another connection has taken over.
pub(super) struct Listening<'a> {
    link: &'a Arc<dyn Link>,
    channels: Mutex<BTreeMap<String, PushSink>>,
}

/// Who hears the pushes of a channel.
pub(super) struct Hearing {
    pub(super) ledger: String,
    /// What the client calls the channel.
    pub(super) named: String,
    pub(super) frames: Sender<Vec<u8>>,
    pub(super) observer: Option<Arc<dyn Observer>>,
}

impl<'a> Listening<'a> {
    pub(super) fn new(link: &'a Arc<dyn Link>) -> Self {
        Self { link, channels: Mutex::default() }
    }

    /// Brings the pushes of a link's channel to the client. A client that does not keep up is cut off by `cut`.
    pub(super) async fn begin(
        &self,
        channel: &str,
        to: Hearing,
        cut: impl Fn() + Send + Sync + 'static,
    ) -> Result<(), LinkError> {
        let sink: PushSink = Arc::new(move |payload: &[u8]| {
            let frame = write_down(&Down::Push { channel: &to.named, payload });
            if let Err(TrySendError::Full(_)) = to.frames.try_send(frame) {
                cut();
            }
            if let (Some(observer), Ok(push)) = (&to.observer, read_push(payload)) {
                observer.pushed(&to.ledger, &push);
            }
        });
        {
            let mut channels = lock(&self.channels);
            if channels.len() >= MOST && !channels.contains_key(channel) {
                return Err(LinkError::Fatal(format!("one connection listens to at most {MOST} channels")));
            }
            channels.insert(channel.to_owned(), Arc::clone(&sink));
        }
        self.link.listen(channel, sink).await
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        for (channel, sink) in std::mem::take(&mut *lock(&self.channels)) {
            self.link.unlisten(&channel, &sink);
        }
    }
}
