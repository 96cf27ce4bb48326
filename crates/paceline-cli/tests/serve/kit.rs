//! `paceline serve` as a process on a port of its own, killed and started again; and a client over HTTP.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use paceline::{Clock, Limiter};
use serde_json::Value;

/// A server process, and how to start it again. Killed when it is dropped.
pub(crate) struct Serving {
    pub(crate) port: u16,
    pub(crate) folder: Folder,
    arguments: Vec<String>,
    child: Option<Child>,
}

/// A folder of its own, gone when it is dropped.
pub(crate) struct Folder(PathBuf);

/// A client that keeps its connections, as one key's owner. Clones share them.
#[derive(Clone)]
pub(crate) struct Http {
    pool: Client<HttpConnector, Full<Bytes>>,
    port: u16,
    key: Option<String>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// Tells two folders of one process from each other.
static FOLDERS: AtomicU64 = AtomicU64::new(0);

impl Serving {
    /// Starts a server that keeps its state in a folder.
    pub(crate) fn on_disk() -> Self {
        let folder = Folder::new();
        let state = folder.path().join("state").display().to_string();
        let socket = folder.socket().display().to_string();
        Self::with(folder, &["--state", &state, "--socket", &socket])
    }

    /// Starts a server with these arguments.
    pub(crate) fn with(folder: Folder, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(ToString::to_string).collect();
        let mut serving = Self { port: paceline_testkit::free_port(), folder, arguments, child: None };
        serving.start();
        serving.ready();
        serving
    }

    /// Starts the process, and does not wait for it.
    pub(crate) fn start(&mut self) {
        let log = std::fs::File::options().append(true).create(true).open(self.log_path()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_paceline"));
        for name in ["CONFIG", "MODE", "STORE", "STATE", "SETTINGS", "KEYS", "LISTEN", "SOCKET", "API_KEY"] {
            command.env_remove(format!("PACELINE_{name}"));
        }
        command.args(["serve", "--listen", &format!("127.0.0.1:{}", self.port)]).args(&self.arguments);
        self.child = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    /// Waits until it answers.
    pub(crate) fn ready(&mut self) {
        let (port, mut ended) = (self.port, None);
        paceline_testkit::until(
            &format!("the server answers; its log: {}", self.log_path().display()),
            || {
                ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
                assert!(ended.is_none(), "it ended: {ended:?}\n{}", self.log());
                std::net::TcpStream::connect(("127.0.0.1", port)).ok()
            },
        );
    }

    /// Kills it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Sends it SIGTERM, and returns its exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        let mut child = self.child.take()?;
        let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        child.wait().unwrap().code()
    }

    /// Returns the number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Returns what it logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    pub(crate) fn http(&self) -> Http {
        Http::to(self.port)
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join(format!("log-{}", self.port))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let from = log.len().saturating_sub(4_000);
            eprintln!("the server's log ends so:\n{}", log.get(log.ceil_char_boundary(from)..).unwrap_or(""));
        }
    }
}

impl Folder {
    pub(crate) fn new() -> Self {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("paceline-serve-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("paceline.sock")
    }

    /// Writes a file and returns where it is.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap_or_default();
    }
}

impl Http {
    pub(crate) fn to(port: u16) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let pool = Client::builder(TokioExecutor::new()).build(connector);
        Self { pool, port, key: None }
    }

    pub(crate) fn with_key(&self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self.clone() }
    }

    /// Sends a request; the error is what went wrong on the way.
    pub(crate) async fn send(&self, method: Method, path: &str, body: &Value) -> Result<Answer, String> {
        self.exchange(method, path, body, None).await
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: &Value,
        idempotency: Option<&str>,
    ) -> Result<Answer, String> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://127.0.0.1:{}{path}", self.port))
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(key) = &self.key {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        if let Some(idempotency) = idempotency {
            request = request.header("Idempotency-Key", idempotency);
        }
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let request = request.body(Full::new(Bytes::from(text))).unwrap();
        let exchange = async {
            let response = self.pool.request(request).await.map_err(|error| with_causes(&error))?;
            let status = response.status().as_u16();
            let read = response.into_body().collect().await.map_err(|error| with_causes(&error))?;
            let bytes = read.to_bytes();
            Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or_default() })
        };
        let within = Duration::from_secs(75);
        tokio::time::timeout(within, exchange).await.unwrap_or_else(|_| Err("no answer came".to_owned()))
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Answer, String> {
        self.send(Method::GET, path, &Value::Null).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Answer, String> {
        self.send(Method::POST, path, body).await
    }

    /// Acquires under a key by which it can be asked again.
    pub(crate) async fn idempotent(&self, key: &str, body: &Value) -> Result<Answer, String> {
        self.exchange(Method::POST, "/v1/acquire", body, Some(key)).await
    }

    /// Sends a request that has to be answered with success.
    pub(crate) async fn done(&self, method: Method, path: &str, body: &Value) -> Value {
        let answer = self.send(method, path, body).await.unwrap();
        assert!((200..300).contains(&answer.status), "{path}: {answer:?}");
        answer.body
    }
}

impl Answer {
    /// Returns a field that is text; empty where there is none.
    pub(crate) fn said(&self, field: &str) -> &str {
        self.body[field].as_str().unwrap_or("")
    }

    /// Returns what kind of problem it is; empty where it is none.
    pub(crate) fn kind(&self) -> &str {
        self.said("type").strip_prefix("/problems/").unwrap_or("")
    }
}

/// Returns a limit of a resource as the server shows it.
pub(crate) fn limit<'a>(shown: &'a Value, metric: &str) -> &'a Value {
    let limits = shown["limits"].as_array().unwrap_or_else(|| panic!("no limits: {shown}"));
    limits.iter().find(|limit| limit["metric"] == metric).unwrap_or_else(|| panic!("no {metric}: {shown}"))
}

/// Opens a limiter on a store that stands, whose callers wait for it for longer than any fault lasts.
pub(crate) fn limiter(url: &str) -> Limiter {
    Limiter::builder().store(url).store_timeout(Duration::from_secs(30)).build().unwrap()
}

/// Runs a test on a runtime of its own.
pub(crate) fn block_on(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(test);
}

/// The time of this machine in milliseconds since the Unix epoch.
pub(crate) fn now() -> u64 {
    Clock::System.now_ms()
}

/// Numbers that look random, the same for the same seed.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Returns a number below this.
    pub(crate) fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % most
    }

    /// Lets a random time below this pass.
    pub(crate) async fn pause(&mut self, most_ms: u64) {
        tokio::time::sleep(Duration::from_millis(self.below(most_ms))).await;
    }
}

/// Reads a number of the environment.
pub(crate) fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

/// Returns the memory of a process, in kilobytes: as it is, and the most it ever was.
pub(crate) fn memory(process: u32) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let fields: HashMap<&str, &str> = status.lines().filter_map(|line| line.split_once(':')).collect();
    let kilobytes = |name: &str| {
        let value = fields.get(name).and_then(|value| value.split_whitespace().next());
        value.and_then(|value| value.parse().ok()).unwrap_or(0)
    };
    (kilobytes("VmRSS"), kilobytes("VmHWM"))
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let (mut said, mut next) = (error.to_string(), error.source());
    while let Some(cause) = next {
        let _ = write!(said, ": {cause}");
        next = cause.source();
    }
    said
}
