//! A redis-server for the time of a demo: on a free port of the loopback, behind a password of its own, nothing on disk.

use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::clock::Watch;
use crate::failure::Failure;

/// A redis-server, killed when it is dropped.
#[derive(Debug)]
pub(crate) struct PrivateRedis {
    child: Child,
    port: u16,
    password: String,
}

const ATTEMPTS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(10);
const MISSING: &str = "redis-server is not installed, so no private one can be started; install it (apt-get install \
                       redis-server, brew install redis), or name a running one: --store redis://HOST:PORT";

impl PrivateRedis {
    /// Starts it, and waits until it answers.
    pub(crate) fn start() -> Result<Self, Failure> {
        for _ in 0..ATTEMPTS {
            if let Some(server) = Self::attempt()? {
                return Ok(server);
            }
        }
        Err(Failure::Input(
            "no private redis-server could be started: it ends at once, or never answers".to_owned(),
        ))
    }

    /// Returns its URL.
    pub(crate) fn url(&self) -> String {
        format!("redis://:{}@127.0.0.1:{}", self.password, self.port)
    }

    /// Returns its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Starts it on a port that was free a moment ago; nothing where another program was quicker.
    fn attempt() -> Result<Option<Self>, Failure> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(Failure::io("a port of the loopback"))?;
        let port = listener.local_addr().map_err(Failure::io("a port of the loopback"))?.port();
        drop(listener);
        let random = || RandomState::new().hash_one(port);
        let password = format!("{:016x}{:016x}", random(), random());
        // Its configuration goes over its standard input: arguments can be seen by everybody.
        let started = Command::new("redis-server")
            .arg("-")
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut child = match started {
            Ok(child) => child,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Failure::Input(MISSING.to_owned()));
            }
            Err(error) => return Err(Failure::io("redis-server")(error)),
        };
        let configuration = format!(
            "port {port}\nbind 127.0.0.1\nrequirepass {password}\nsave \"\"\nappendonly no\ndaemonize no\n"
        );
        if let Some(mut input) = child.stdin.take() {
            // One that ended already is noticed below.
            let _ = input.write_all(configuration.as_bytes());
        }
        let mut server = Self { child, port, password };
        Ok(server.answers().then_some(server))
    }

    /// Waits until it answers to its password.
    fn answers(&mut self) -> bool {
        let since = Watch::start();
        while since.elapsed() < PATIENCE {
            if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return false;
            }
            if self.greet().is_ok_and(|answer| answer.starts_with("+OK")) {
                return true;
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        false
    }

    fn greet(&self) -> io::Result<String> {
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(format!("AUTH {}\r\n", self.password).as_bytes())?;
        let mut answer = [0; 64];
        let length = stream.read(&mut answer)?;
        Ok(String::from_utf8_lossy(answer.get(..length).unwrap_or_default()).into_owned())
    }
}

impl Drop for PrivateRedis {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
