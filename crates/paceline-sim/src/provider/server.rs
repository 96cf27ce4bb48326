//! Connections: accepted, kept alive, and reset where a fault wants it.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::exchange::ResetConnection;

const PAUSE_WITHOUT_SOCKETS: Duration = Duration::from_millis(10);

/// Serves connections until it is dropped; they end with it.
pub(super) async fn serve(listener: TcpListener, router: Router) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(converse(stream, router.clone()))),
                Err(_) => tokio::time::sleep(PAUSE_WITHOUT_SOCKETS).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// The future of one answer, boxed so that the connection can be polled in place.
type Answering = Pin<Box<dyn Future<Output = io::Result<Response>> + Send>>;

async fn converse(stream: TcpStream, router: Router) {
    let _ = stream.set_nodelay(true);
    let reset = Arc::new(AtomicBool::new(false));
    let service = resettable(router, reset.clone());
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let _ = poll_fn(|context| connection.poll_without_shutdown(context)).await;
    if reset.load(Ordering::Relaxed) {
        let _ = connection.into_parts().io.into_inner().set_zero_linger();
    }
}

/// Turns an answer that is marked into an error, for which no byte is sent.
fn resettable(
    router: Router,
    reset: Arc<AtomicBool>,
) -> impl Service<Request<Incoming>, Response = Response, Error = io::Error, Future = Answering> {
    let router = TowerToHyperService::new(router);
    service_fn(move |request: Request<Incoming>| {
        let (answering, reset) = (router.call(request.map(Body::new)), reset.clone());
        Box::pin(async move {
            let Ok(response) = answering.await;
            if response.extensions().get::<ResetConnection>().is_none() {
                return Ok(response);
            }
            reset.store(true, Ordering::Relaxed);
            Err(io::ErrorKind::ConnectionReset.into())
        }) as Answering
    })
}
