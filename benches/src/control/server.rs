//! The servers, each a process of its own.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{Outcome, clock};

/// Limits that no benchmark reaches, and one call in flight at a time.
const LIMITS: &str = "\
resources:
  bench:
    requests_per_minute: 1000000000
    tokens_per_minute: 1000000000000
    requests_per_day: 1000000000
    concurrent_requests: 1000000
  one:
    concurrent_requests: 1
";

/// A process that is killed with this.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().unwrap_or_default();
        self.0.wait().map(drop).unwrap_or_default();
    }
}

/// Ours and the floor's.
pub(crate) struct Servers {
    _ours: Process,
    _floor: Process,
    /// Where they listen, as in `127.0.0.1:4000`.
    pub(crate) ours: String,
    pub(crate) floor: String,
}

impl Servers {
    pub(crate) fn start() -> Outcome<Self> {
        let (process, ours) = paceline()?;
        let mut floor = Command::new(std::env::current_exe()?).arg("floor").stdout(Stdio::piped()).spawn()?;
        let out = floor.stdout.take().ok_or("the floor says nothing")?;
        let mut address = String::new();
        BufReader::new(out).read_line(&mut address)?;
        Ok(Self { _ours: process, _floor: Process(floor), ours, floor: address.trim().to_owned() })
    }
}

/// Starts `paceline serve` in memory, and returns where it listens.
pub(crate) fn paceline() -> Outcome<(Process, String)> {
    let program = std::env::current_exe()?.with_file_name("paceline");
    if !program.exists() {
        return Err("build the server first: cargo build --release -p paceline-cli".into());
    }
    let limits = limits()?;
    let address = format!("127.0.0.1:{}", TcpListener::bind("127.0.0.1:0")?.local_addr()?.port());
    let mut command = Command::new(program);
    command.args([
        "serve",
        "--memory",
        "--requests-per-second",
        "4000000000",
        "--listen",
        &address,
        "--config",
    ]);
    let child = command.arg(limits).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let process = Process(child);
    for _ in 0..100 {
        if std::net::TcpStream::connect(&address).is_ok() {
            return Ok((process, address));
        }
        clock::pause(Duration::from_millis(50));
    }
    Err(format!("paceline serve does not listen on {address}").into())
}

fn limits() -> Outcome<PathBuf> {
    let path = std::env::temp_dir().join(format!("paceline-bench-{}.yaml", std::process::id()));
    std::fs::write(&path, LIMITS)?;
    Ok(path)
}
