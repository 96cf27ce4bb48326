//! A server in this process, on a port of the loopback and on a socket; and limiters on it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline::core::{Algorithm, LimitSpec, ResourceSpec};
use paceline::host::{Host, HostOptions};
use paceline::link::Link;
use paceline::remote::{Service, Terms, serve_stream};
use paceline::{Limiter, Resource};
use paceline_testkit::Certificates;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;

pub(crate) const GPT: &str = "gpt";

/// Serves until it is dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) socket: PathBuf,
    cuts: watch::Sender<u64>,
    state: Arc<State>,
    runtime: Option<Runtime>,
    _folder: tempfile::TempDir,
}

struct State {
    service: Arc<Service>,
    terms: Terms,
    /// How each connection ended.
    ended: Mutex<Vec<String>>,
    taken: AtomicU64,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::of(Host::new(HostOptions::default()), Terms::default())
    }

    pub(crate) fn of(link: Arc<dyn Link>, terms: Terms) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("paceline.sock");
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let state = Arc::new(State {
            service: Service::new(link, "a test"),
            terms,
            ended: Mutex::default(),
            taken: AtomicU64::new(0),
        });
        let (cuts, _) = watch::channel(0);
        let (tcp, unix) = runtime.block_on(async {
            (TcpListener::bind("127.0.0.1:0").await.unwrap(), UnixListener::bind(&socket).unwrap())
        });
        let port = tcp.local_addr().unwrap().port();
        let (kept, cut) = (Arc::clone(&state), cuts.clone());
        runtime.spawn(async move {
            loop {
                let (stream, _) = tcp.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                tokio::spawn(serve(Arc::clone(&kept), stream, cut.subscribe()));
            }
        });
        let (kept, cut) = (Arc::clone(&state), cuts.clone());
        runtime.spawn(async move {
            loop {
                let (stream, _) = unix.accept().await.unwrap();
                tokio::spawn(serve(Arc::clone(&kept), stream, cut.subscribe()));
            }
        });
        Self { port, socket, cuts, state, runtime: Some(runtime), _folder: folder }
    }

    /// Runs a client of a kind of its own.
    pub(crate) fn run(&self, client: impl Future<Output = ()>) {
        self.runtime.as_ref().unwrap().block_on(client);
    }

    /// A client of a kind of its own.
    pub(crate) async fn raw(&self) -> WebSocketStream<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let request = format!("ws://127.0.0.1:{}/v1/session", self.port);
        tokio_tungstenite::client_async(request, stream).await.unwrap().0
    }

    /// Ends all connections; new ones are taken up as before.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    pub(crate) fn connections(&self) -> u64 {
        self.state.taken.load(Ordering::SeqCst)
    }

    pub(crate) fn ended(&self) -> Vec<String> {
        self.state.ended.lock().unwrap().clone()
    }

    pub(crate) fn http(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn unix(&self) -> String {
        format!("unix:{}", self.socket.display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn serve(
    state: Arc<State>,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin,
    mut cut: watch::Receiver<u64>,
) {
    state.taken.fetch_add(1, Ordering::SeqCst);
    tokio::select! {
        ended = serve_stream(&state.service, stream, &state.terms) => {
            state.ended.lock().unwrap().push(ended.to_string());
        }
        _ = cut.changed() => {}
    }
}

/// So many calls at once, and a count of all of them that comes back in a year.
pub(crate) fn limits(slots: u64) -> Vec<LimitSpec> {
    let year = Algorithm::TokenBucket { window: 365 * 86_400_000, burst: 1_000_000 };
    vec![
        LimitSpec::new("slots", "concurrent_requests", slots, Algorithm::Concurrency).member(GPT),
        LimitSpec::new("total", "requests", 1_000_000, year).member(GPT),
    ]
}

pub(crate) fn open(url: &str, slots: u64) -> (Limiter, Resource) {
    let builder = Limiter::builder().store(url).store_timeout(Duration::from_secs(5));
    let limiter = builder.limits(limits(slots), [ResourceSpec::new(GPT)]).build().unwrap();
    let resource = limiter.resource(GPT).unwrap();
    (limiter, resource)
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A server that speaks TLS, on this port for as long as the runtime lives.
pub(crate) fn encrypted(files: &Certificates) -> (u16, Runtime) {
    let certificates = CertificateDer::pem_file_iter(&files.cert).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(certificates, key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    let service = Service::new(Host::new(HostOptions::default()), "a test");
    runtime.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, service) = (acceptor.clone(), Arc::clone(&service));
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve_stream(&service, stream, &Terms::default()).await;
                }
            });
        }
    });
    (port, runtime)
}
