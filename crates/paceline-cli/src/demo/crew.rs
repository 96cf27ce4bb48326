//! Worker processes of a demo: this program, started anew, each with a share of the workers. What a process that was
//! killed had not finished is handed out again.

use std::collections::{BTreeMap, VecDeque};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::board::{Board, Grant};
use super::job::Job;
use super::order;
use super::talk::{Granted, News, Order, Setup, line};
use crate::failure::Failure;

/// How many processes there are, and what becomes of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plan {
    /// How many processes there are.
    pub(crate) processes: usize,
    /// How many workers they have in all.
    pub(crate) workers: usize,
    /// Whether one of them is killed when half of the calls are served.
    pub(crate) kill_one: bool,
}

/// Processes that are ready to work.
#[derive(Debug)]
pub(crate) struct Crew {
    members: Vec<Member>,
    inbox: UnboundedReceiver<(usize, Heard)>,
    kill_one: bool,
}

/// What came of the processes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    /// Calls that were let through after one that had asked later.
    pub(crate) overtaken: usize,
    /// Calls that a killed process had not finished.
    pub(crate) handed_back: usize,
    /// Each of the processes.
    pub(crate) members: Vec<MemberReport>,
}

/// What came of one process.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemberReport {
    /// How many calls it had served.
    pub(crate) served: usize,
    /// How many of its calls came back with 429.
    pub(crate) refused: usize,
    /// How long those calls that it had served had waited.
    pub(crate) waits: Vec<Duration>,
    /// Whether it was killed.
    pub(crate) killed: bool,
}

#[derive(Debug)]
struct Member {
    child: Child,
    input: Option<ChildStdin>,
    /// How many calls it works on at once.
    workers: usize,
    /// The calls it works on, and when they were let through.
    open: BTreeMap<u64, Open>,
    report: MemberReport,
}

#[derive(Debug, Clone, Copy, Default)]
struct Open {
    refusals: u32,
    granted: Option<(Granted, Duration)>,
}

/// What is heard of a process.
#[derive(Debug)]
enum Heard {
    News(News),
    End,
}

/// How long a process may take to begin or to end.
const PATIENCE: Duration = Duration::from_secs(20);

impl Crew {
    /// Starts the processes, and waits until each of them reaches the store.
    pub(crate) async fn start(setup: &Setup, plan: Plan) -> Result<Self, Failure> {
        let (sender, inbox) = unbounded_channel();
        let mut members = Vec::new();
        for index in 0..plan.processes {
            let mut workers = plan.workers / plan.processes;
            workers += usize::from(index < plan.workers % plan.processes);
            members.push(Member::start(index, workers, setup, &sender).await?);
        }
        let mut crew = Self { members, inbox, kill_one: plan.kill_one };
        for _ in 0..plan.processes {
            match crew.hear().await? {
                (_, Heard::News(News::Ready)) => {}
                (_, Heard::News(News::Failed(reason))) => return Err(Failure::Call(reason)),
                _ => return Err(Failure::Call("a worker process ended at once".to_owned())),
            }
        }
        Ok(crew)
    }

    /// Lets them go through a board; returns what came of it, and how long it took.
    pub(crate) async fn work(mut self, board: &Arc<Board>, job: &Job) -> Result<(Report, Duration), Failure> {
        let mut work =
            Working { board, job, served: 0, handed_back: VecDeque::new(), grants: Vec::new(), overtaken: 0 };
        let mut handed_back = 0;
        for member in &mut self.members {
            work.fill(member).await?;
        }
        while work.served < job.calls.len() {
            let (index, heard) = self.hear().await?;
            let Some(member) = self.members.get_mut(index) else { continue };
            match heard {
                Heard::News(news) => work.take_over(member, news)?,
                Heard::End if member.report.killed => {
                    handed_back += work.hand_back(member);
                    for member in &mut self.members {
                        work.fill(member).await?;
                    }
                    continue;
                }
                Heard::End => return Err(Failure::Call("a worker process ended by itself".to_owned())),
            }
            if self.kill_one && work.served * 2 >= job.calls.len() {
                self.kill_one = false;
                member.report.killed = true;
                member.child.start_kill().map_err(Failure::io("a worker process"))?;
            } else {
                work.fill(member).await?;
            }
        }
        let makespan = board.elapsed();
        let overtaken = work.overtaken.max(order::overtaken(&work.grants));
        Ok((Report { overtaken, handed_back, members: self.dismiss().await }, makespan))
    }

    async fn hear(&mut self) -> Result<(usize, Heard), Failure> {
        self.inbox.recv().await.ok_or_else(|| Failure::Call("all worker processes have ended".to_owned()))
    }

    /// Lets all of them end.
    async fn dismiss(mut self) -> Vec<MemberReport> {
        for member in &mut self.members {
            member.input = None;
        }
        let mut reports = Vec::new();
        for mut member in self.members {
            // Who does not end in time is killed when it is dropped.
            let _ = tokio::time::timeout(PATIENCE, member.child.wait()).await;
            reports.push(member.report);
        }
        reports
    }
}

/// The job while it is worked on.
struct Working<'a> {
    board: &'a Arc<Board>,
    job: &'a Job,
    served: usize,
    handed_back: VecDeque<u64>,
    grants: Vec<Granted>,
    /// How many tickets their own processes saw overtaken.
    overtaken: usize,
}

impl Working<'_> {
    /// Gives a process as many calls as it has workers that are free.
    async fn fill(&mut self, member: &mut Member) -> Result<(), Failure> {
        while member.open.len() < member.workers && !member.report.killed {
            let next = self.handed_back.pop_front();
            let Some(place) = next.or_else(|| self.board.take().map(|(place, _)| place)) else { break };
            let Some(work) = usize::try_from(place).ok().and_then(|at| self.job.calls.get(at)) else { break };
            member.open.insert(place, Open::default());
            member.tell(&line(&Order::new(place, work))).await?;
        }
        Ok(())
    }

    fn take_over(&mut self, member: &mut Member, news: News) -> Result<(), Failure> {
        match news {
            News::Ready => {}
            News::Overtaken => self.overtaken += 1,
            News::Failed(reason) => return Err(Failure::Call(reason)),
            News::Granted(granted) => {
                self.grants.push(granted);
                self.board.leaves();
                member.open.entry(granted.place).or_default().granted = Some((granted, self.board.elapsed()));
            }
            News::Refused { place } => {
                self.board.is_refused();
                member.report.refused += 1;
                let open = member.open.entry(place).or_default();
                *open = Open { refusals: open.refusals + 1, granted: None };
            }
            News::Served { place, returned } => {
                self.served += 1;
                member.report.served += 1;
                self.board.is_back();
                self.board.gives_back(returned);
                let open = member.open.remove(&place).unwrap_or_default();
                if let Some((granted, at)) = open.granted {
                    let waited = Duration::from_micros(granted.waited_us);
                    member.report.waits.push(waited);
                    self.board.grant(Grant { asked: place, at, waited, refusals: open.refusals });
                }
            }
        }
        Ok(())
    }

    /// Takes back what a dead process had not finished; returns how many calls that are.
    fn hand_back(&mut self, member: &mut Member) -> usize {
        let open = std::mem::take(&mut member.open);
        for (place, open) in &open {
            if open.granted.is_some() {
                self.board.is_lost();
            }
            self.handed_back.push_back(*place);
        }
        open.len()
    }
}

impl Member {
    async fn start(
        index: usize,
        workers: usize,
        setup: &Setup,
        sender: &UnboundedSender<(usize, Heard)>,
    ) -> Result<Self, Failure> {
        let failed = || Failure::io("a worker process");
        let program = crate::program().map_err(failed())?;
        let mut child = Command::new(program.0)
            .args(program.1)
            .arg("demo-worker")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed())?;
        if let Some(output) = child.stdout.take() {
            tokio::spawn(listen(index, output, sender.clone()));
        }
        let input = child.stdin.take();
        let mut member =
            Self { child, input, workers, open: BTreeMap::new(), report: MemberReport::default() };
        member.tell(&line(setup)).await?;
        Ok(member)
    }

    async fn tell(&mut self, text: &str) -> Result<(), Failure> {
        let Some(input) = &mut self.input else { return Ok(()) };
        let told = match input.write_all(text.as_bytes()).await {
            Ok(()) => input.flush().await,
            Err(error) => Err(error),
        };
        told.map_err(Failure::io("a worker process"))
    }
}

async fn listen(index: usize, output: ChildStdout, sender: UnboundedSender<(usize, Heard)>) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(text)) = lines.next_line().await {
        let Ok(news) = serde_json::from_str(&text) else { continue };
        if sender.send((index, Heard::News(news))).is_err() {
            return;
        }
    }
    // Nobody may listen any more.
    let _ = sender.send((index, Heard::End));
}
