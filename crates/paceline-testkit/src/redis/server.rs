//! One server, and what can happen to it.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::{Reply, Talk};
use crate::{Certificates, ports, signals, until};

/// What a server is started with.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Redis {
    arguments: Vec<String>,
    password: Option<String>,
    appends: bool,
    socket: bool,
    tls: bool,
    cluster: bool,
    config: Option<String>,
}

/// A server, killed when it is dropped.
#[derive(Debug)]
pub struct RedisServer {
    how: Redis,
    folder: TempDir,
    port: u16,
    tls: Option<(u16, Certificates)>,
    cluster_port: Option<u16>,
    child: Option<Child>,
}

impl Redis {
    /// Adds arguments of the command line.
    #[must_use]
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// Wants this password of the default user.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Writes every change to disk before it is answered, so that `kill` and `restart` keep it.
    #[must_use]
    pub fn append_only(mut self) -> Self {
        self.appends = true;
        self
    }

    /// Listens on a socket of the file system as well.
    #[must_use]
    pub fn unix_socket(mut self) -> Self {
        self.socket = true;
        self
    }

    /// Listens on a port with TLS as well.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    pub(super) fn cluster(mut self) -> Self {
        self.cluster = true;
        self
    }

    /// Is a sentinel with this configuration, which it writes to.
    pub(super) fn sentinel(mut self, config: String) -> Self {
        self.config = Some(config);
        self
    }

    /// Starts it, and waits until it answers.
    pub fn start(self) -> RedisServer {
        let folder =
            tempfile::Builder::new().prefix("paceline-redis-").tempdir().expect("a temporary folder");
        let tls = self.tls.then(|| (0, Certificates::make(folder.path())));
        let mut server = RedisServer { how: self, folder, port: 0, tls, cluster_port: None, child: None };
        for _ in 0..10 {
            server.choose_ports();
            if server.run() {
                return server;
            }
        }
        panic!("redis-server found no free port:\n{}", server.log());
    }
}

impl RedisServer {
    /// Starts a server that keeps nothing on disk.
    pub fn start() -> Self {
        Redis::default().start()
    }

    /// Returns its port, which is not encrypted.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns its URL, with the password.
    pub fn url(&self) -> String {
        let login = self.how.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default();
        format!("redis://{login}127.0.0.1:{}", self.port)
    }

    /// Returns the port with TLS, and the files of its certificates.
    pub fn tls(&self) -> (u16, &Certificates) {
        self.tls.as_ref().map(|(port, files)| (*port, files)).expect("it was started with tls()")
    }

    /// Returns the path of its socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// Returns what it wrote to its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Sends a command and returns the answer; panics where the server answers with an error.
    pub fn cli(&self, command: &[&str]) -> Reply {
        match self.ask(command) {
            Ok(Reply::Error(error)) => panic!("{command:?}: {error}"),
            Ok(reply) => reply,
            Err(error) => panic!("{command:?}: {error}\n{}", self.log()),
        }
    }

    /// Sends a command and returns the answer, be it an error.
    pub fn ask(&self, command: &[&str]) -> io::Result<Reply> {
        let mut talk = Talk::to(self.port)?;
        if let Some(password) = &self.how.password {
            talk.ask(&["AUTH", password])?;
        }
        talk.ask(command)
    }

    /// Kills it as `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("a child can be killed");
            child.wait().expect("a child can be waited for");
        }
    }

    /// Ends it in an orderly way: everything is saved, if anything ever is.
    pub fn shut_down(&mut self) {
        // The connection ends without an answer.
        let _ = self.ask(&["SHUTDOWN"]);
        if let Some(mut child) = self.child.take() {
            child.wait().expect("a child can be waited for");
        }
    }

    /// Starts it again on the same ports, with what it had on disk.
    pub fn start_again(&mut self) {
        self.kill();
        until("the server's port is free again", || self.run().then_some(()));
    }

    /// Kills it and starts it again.
    pub fn restart(&mut self) {
        self.start_again();
    }

    /// Stops it: its connections stay open, and nothing is answered.
    pub fn freeze(&self) {
        signals::freeze(self.child());
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        signals::thaw(self.child());
    }

    pub(super) fn cluster_port(&self) -> u16 {
        self.cluster_port.expect("it was started as a node of a cluster")
    }

    fn child(&self) -> &Child {
        self.child.as_ref().expect("the server is running")
    }

    fn choose_ports(&mut self) {
        self.port = ports::free();
        self.cluster_port = self.how.cluster.then(ports::free);
        if let Some((port, _)) = &mut self.tls {
            *port = ports::free();
        }
    }

    /// Starts the process and returns whether it answers; otherwise a port is taken.
    fn run(&mut self) -> bool {
        let log = fs::File::create(self.folder.path().join("log")).expect("the log can be written");
        let started = Command::new("redis-server")
            .args(self.command_line())
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stderr(log.try_clone().expect("a file can be shared"))
            .stdout(log)
            .spawn();
        let child = match started {
            Ok(child) => child,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                panic!("redis-server is not installed: apt-get install redis-server")
            }
            Err(error) => panic!("redis-server cannot be started: {error}"),
        };
        let id = child.id().to_string();
        self.child = Some(child);
        until("redis-server answers", || {
            if self.child.as_mut().is_some_and(|child| child.try_wait().is_ok_and(|end| end.is_some())) {
                let log = self.log();
                assert!(log.contains("in use"), "redis-server ended at once:\n{log}");
                return Some(false);
            }
            let said = self.ask(&["INFO", "server"]).ok()?;
            (said.field("process_id") == Some(&id) && self.is_loaded()).then_some(true)
        })
    }

    fn is_loaded(&self) -> bool {
        matches!(self.ask(&["PING"]), Ok(Reply::Text(answer)) if answer == "PONG")
    }

    fn command_line(&self) -> Vec<String> {
        let mut line: Vec<String> = Vec::new();
        let mut set = |name: &str, value: &str| line.extend([format!("--{name}"), value.to_owned()]);
        if self.how.config.is_none() {
            set("save", "");
            set("appendonly", if self.how.appends { "yes" } else { "no" });
            set("appendfsync", "always");
            set("enable-debug-command", "local");
            set("repl-diskless-sync-delay", "0");
        }
        set("port", &self.port.to_string());
        set("bind", "127.0.0.1");
        if let Some(password) = &self.how.password {
            set("requirepass", password);
        }
        if self.how.socket {
            set("unixsocket", &self.socket().display().to_string());
        }
        if let Some(port) = self.cluster_port {
            set("cluster-enabled", "yes");
            set("cluster-port", &port.to_string());
            set("cluster-node-timeout", "2000");
        }
        if let Some((port, files)) = &self.tls {
            set("tls-port", &port.to_string());
            set("tls-ca-cert-file", &files.ca.display().to_string());
            set("tls-cert-file", &files.cert.display().to_string());
            set("tls-key-file", &files.key.display().to_string());
            set("tls-auth-clients", "no");
        }
        line.extend(self.how.arguments.iter().cloned());
        if let Some(config) = &self.how.config {
            let path = self.folder.path().join("sentinel.conf");
            if !path.exists() {
                fs::write(&path, config).expect("the configuration can be written");
            }
            line.insert(0, path.display().to_string());
            line.push("--sentinel".to_owned());
        }
        line
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}
