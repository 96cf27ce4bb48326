//! One thread a process for what goes to shared stores and comes from them. It starts with the first need and ends
//! when nothing is left to do.

use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::sync::lock;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

static IO: Mutex<Io> = Mutex::new(Io { pid: 0, tasks: None });

/// How many tasks are under way.
static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

/// How long an idle thread stays before it ends.
const PATIENCE: Duration = Duration::from_secs(10);

struct Io {
    pid: u32,
    tasks: Option<UnboundedSender<Task>>,
}

/// Lets the thread carry out a task.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    let mut io = lock(&IO);
    let pid = std::process::id();
    if io.pid != pid {
        // A forked child has no thread; to close the channel would wake that of its parent.
        std::mem::forget(io.tasks.take());
        UNDER_WAY.store(0, Ordering::Release);
        io.pid = pid;
    }
    let mut task: Task = Box::pin(task);
    if let Some(tasks) = &io.tasks {
        match tasks.send(task) {
            Ok(()) => return,
            Err(returned) => task = returned.0,
        }
    }
    let (tasks, inbox) = unbounded_channel();
    let started = std::thread::Builder::new().name("paceline-io".into()).spawn(|| run(inbox));
    if let Err(error) = started {
        log::error!("no thread could be started to reach the store: {error}");
        return;
    }
    // The receiver was just made.
    let _ = tasks.send(task);
    io.tasks = Some(tasks);
}

fn run(inbox: UnboundedReceiver<Task>) {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(serve(inbox)),
        Err(error) => log::error!("the thread that reaches the store cannot work: {error}"),
    }
}

async fn serve(mut inbox: UnboundedReceiver<Task>) {
    loop {
        match tokio::time::timeout(PATIENCE, inbox.recv()).await {
            Ok(Some(task)) => {
                UNDER_WAY.fetch_add(1, Ordering::AcqRel);
                tokio::spawn(async move {
                    let _counted = Counted;
                    task.await;
                });
            }
            Ok(None) => return,
            Err(_) => {
                let mut io = lock(&IO);
                if UNDER_WAY.load(Ordering::Acquire) == 0 && inbox.is_empty() {
                    io.tasks = None;
                    return;
                }
            }
        }
    }
}

/// Counts a task as done, also where it panicked.
struct Counted;

impl Drop for Counted {
    fn drop(&mut self) {
        UNDER_WAY.fetch_sub(1, Ordering::AcqRel);
    }
}
