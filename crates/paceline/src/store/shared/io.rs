//! One thread a process for what goes to shared stores and comes from them. It starts with the first need and ends
//! when nothing is left to do.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::fork::OfProcess;
use crate::sync::lock;
use crate::{Error, Reply};

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What callers and the thread of one process share.
#[derive(Default)]
struct Io {
    tasks: Mutex<Option<UnboundedSender<Task>>>,
    /// How many tasks are under way.
    under_way: AtomicUsize,
}

impl Io {
    /// A forked child has no thread, and may have inherited a lock that is taken for ever.
    fn of_process() -> &'static Self {
        static IO: OnceLock<OfProcess<Io>> = OnceLock::new();
        IO.get_or_init(|| OfProcess::new(Self::default())).get(Self::default)
    }
}

/// How long an idle thread stays before it ends.
const PATIENCE: Duration = Duration::from_secs(10);

/// Lets the thread carry out a task.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    let io = Io::of_process();
    let mut held = lock(&io.tasks);
    let mut task: Task = Box::pin(task);
    if let Some(tasks) = &*held {
        match tasks.send(task) {
            Ok(()) => return,
            Err(returned) => task = returned.0,
        }
    }
    let (tasks, inbox) = unbounded_channel();
    let started = std::thread::Builder::new().name("paceline-io".into()).spawn(move || run(io, inbox));
    if let Err(error) = started {
        log::error!("no thread could be started to reach the store: {error}");
        return;
    }
    // The receiver was just made.
    let _ = tasks.send(task);
    *held = Some(tasks);
}

/// Lets the thread carry out something whose outcome is waited for.
pub(crate) fn there<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Reply<T> {
    let (tell, answer) = oneshot::channel();
    spawn(async move {
        // Nobody may wait for it any more.
        let _ = tell.send(work.await);
    });
    Reply::later(async move { answer.await.unwrap_or(Err(Error::Closed)) })
}

fn run(io: &'static Io, inbox: UnboundedReceiver<Task>) {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(serve(io, inbox)),
        Err(error) => log::error!("the thread that reaches the store cannot work: {error}"),
    }
}

async fn serve(io: &'static Io, mut inbox: UnboundedReceiver<Task>) {
    loop {
        match tokio::time::timeout(PATIENCE, inbox.recv()).await {
            Ok(Some(task)) => {
                io.under_way.fetch_add(1, Ordering::AcqRel);
                tokio::spawn(async move {
                    let _counted = Counted(io);
                    task.await;
                });
            }
            Ok(None) => return,
            Err(_) => {
                let mut tasks = lock(&io.tasks);
                if io.under_way.load(Ordering::Acquire) == 0 && inbox.is_empty() {
                    *tasks = None;
                    return;
                }
            }
        }
    }
}

/// Counts a task as done, also where it panicked.
struct Counted(&'static Io);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}
