//! What the program waits for: keys, looks, events, signals, each from a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use crossterm::event::{self, Event, KeyEvent, KeyEventKind};
use tokio::signal::unix::{SignalKind, signal};

use super::log::News;
use super::sample::Sample;
use super::source::{Follow, Order, Source};
use crate::failure::Failure;

/// Something that came.
#[derive(Debug)]
pub(crate) enum Message {
    Key(KeyEvent),
    /// The window has another size.
    Resized,
    Looked(Result<Sample, String>),
    News(News),
    /// An order was carried out, or why not.
    Ordered(Order, Result<(), String>),
    /// The program is to end.
    End,
}

/// The threads that bring messages; they end when this is dropped.
pub(crate) struct Events {
    pub(crate) messages: Receiver<Message>,
    orders: Sender<Order>,
    stops: Arc<AtomicBool>,
}

/// How long a thread waits for a key before it looks whether it is still wanted.
const KEYS: Duration = Duration::from_millis(100);

/// After what time events that could not be followed are asked for again.
const AGAIN: Duration = Duration::from_secs(2);

impl Events {
    /// Starts to look at a source, and to listen to keys and signals.
    pub(crate) fn start(source: Box<dyn Source>, interval: Duration) -> Result<Self, Failure> {
        let (sender, messages) = channel();
        let (orders, inbox) = channel();
        let stops = Arc::new(AtomicBool::new(false));
        if let Some(follow) = source.follow()? {
            let (sender, stops) = (sender.clone(), Arc::clone(&stops));
            run("events", move || tell(follow, &sender, &stops))?;
        }
        let keys = (sender.clone(), Arc::clone(&stops));
        run("keys", move || press(&keys.0, &keys.1))?;
        let signals = sender.clone();
        run("signals", move || heed(&signals))?;
        run("looks", move || look(source, interval, &sender, &inbox))?;
        Ok(Self { messages, orders, stops })
    }

    /// Has an order carried out, and looks at once after that.
    pub(crate) fn order(&self, order: Order) {
        // Without the thread there are no looks either, which is told already.
        let _ = self.orders.send(order);
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.stops.store(true, Ordering::SeqCst);
    }
}

fn run(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let started = thread::Builder::new().name(format!("top-{name}")).spawn(work);
    started.map(drop).map_err(Failure::io("a thread"))
}

fn look(mut source: Box<dyn Source>, interval: Duration, sender: &Sender<Message>, inbox: &Receiver<Order>) {
    loop {
        let seen = source.look().map_err(|failure| failure.to_string());
        if sender.send(Message::Looked(seen)).is_err() {
            return;
        }
        match inbox.recv_timeout(interval) {
            Ok(order) => {
                let done = source.order(&order).map_err(|failure| failure.to_string());
                if sender.send(Message::Ordered(order, done)).is_err() {
                    return;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn tell(mut follow: Box<dyn Follow>, sender: &Sender<Message>, stops: &AtomicBool) {
    while !stops.load(Ordering::SeqCst) {
        match follow.next() {
            Ok(news) => {
                if sender.send(Message::News(news)).is_err() {
                    return;
                }
            }
            // That the store is away is told by the looks.
            Err(_) => thread::park_timeout(AGAIN),
        }
    }
}

fn press(sender: &Sender<Message>, stops: &AtomicBool) {
    while !stops.load(Ordering::SeqCst) {
        let pressed = match event::poll(KEYS) {
            Ok(false) => continue,
            Ok(true) => event::read(),
            Err(error) => Err(error),
        };
        let message = match pressed {
            Ok(Event::Key(key)) if key.kind != KeyEventKind::Release => Message::Key(key),
            Ok(Event::Resize(..)) => Message::Resized,
            Ok(_) => continue,
            // The terminal is gone.
            Err(_) => Message::End,
        };
        let ends = matches!(message, Message::End);
        if sender.send(message).is_err() || ends {
            return;
        }
    }
}

fn heed(sender: &Sender<Message>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
    runtime.block_on(async {
        let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal);
        let [Ok(mut terminate), Ok(mut interrupt), Ok(mut hang_up)] = kinds else { return };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hang_up.recv() => {}
        }
        let _ = sender.send(Message::End);
    });
}
