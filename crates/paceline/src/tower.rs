//! A layer for [`tower`](https://docs.rs/tower) services: each request waits for a permit, each response settles it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use crate::{Acquire, Demand, Error, Resource, Usage};

/// Puts a [`Paced`] service around another.
///
/// ```
/// use std::convert::Infallible;
/// use paceline::{Demand, Limiter, Usage, core::*, tower::PaceLayer};
/// use tower::{Service, ServiceBuilder, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let limiter = Limiter::builder().private().limits([], [ResourceSpec::new("gpt")]).build()?;
/// let layer = PaceLayer::new(
///     limiter.resource("gpt")?,
///     |prompt: &String| Demand::new().input_tokens(prompt.len() as u64 / 4).max_output_tokens(800),
///     |answer: &String| Some(Usage::new().output_tokens(answer.len() as u64 / 4)),
/// );
/// let mut service = ServiceBuilder::new()
///     .layer(layer)
///     .service(service_fn(async |prompt: String| Ok::<_, Infallible>(prompt.to_uppercase())));
/// assert_eq!(service.call("hello".to_owned()).await?, "HELLO");
/// # Ok(())
/// # }
/// ```
pub struct PaceLayer<D, U> {
    pacer: Arc<Pacer<D, U>>,
}

/// A service whose requests wait for a permit.
///
/// A request that is dropped in line leaves no trace. One that is dropped while the call runs, and one whose response tells
/// no usage, counts as having used what was reserved. A call that fails counts the same: the provider may have counted
/// it.
pub struct Paced<S, D, U> {
    inner: S,
    pacer: Arc<Pacer<D, U>>,
}

/// Why a paced call has no response.
#[derive(Debug)]
pub enum PacedError<E> {
    /// There was no permit.
    Refused(Error),
    /// The call failed.
    Failed(E),
}

struct Pacer<D, U> {
    resource: Resource,
    demand: D,
    usage: U,
}

impl<D, U> PaceLayer<D, U> {
    /// Returns a layer that acquires `demand(request)` of a resource, and settles `usage(response)`.
    pub fn new(resource: Resource, demand: D, usage: U) -> Self {
        Self { pacer: Arc::new(Pacer { resource, demand, usage }) }
    }
}

impl<S, D, U> Layer<S> for PaceLayer<D, U> {
    type Service = Paced<S, D, U>;

    fn layer(&self, inner: S) -> Self::Service {
        Paced { inner, pacer: Arc::clone(&self.pacer) }
    }
}

impl<S, D, U, R> Service<R> for Paced<S, D, U>
where
    S: Service<R> + Clone + Send + 'static,
    S::Response: Send,
    S::Future: Send,
    D: Fn(&R) -> Demand + Send + Sync + 'static,
    U: Fn(&S::Response) -> Option<Usage> + Send + Sync + 'static,
    R: Send + 'static,
{
    type Response = S::Response;
    type Error = PacedError<S::Error>;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, PacedError<S::Error>>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context).map_err(PacedError::Failed)
    }

    fn call(&mut self, request: R) -> Self::Future {
        // The service that said it was ready makes the call, a clone of it awaits the next.
        let next = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, next);
        let pacer = Arc::clone(&self.pacer);
        let acquire = pacer.resource.acquire((pacer.demand)(&request));
        Box::pin(pace(inner, pacer, acquire, request))
    }
}

async fn pace<S, D, U, R>(
    mut inner: S,
    pacer: Arc<Pacer<D, U>>,
    acquire: Acquire,
    request: R,
) -> Result<S::Response, PacedError<S::Error>>
where
    S: Service<R>,
    U: Fn(&S::Response) -> Option<Usage>,
{
    let permit = acquire.await.map_err(PacedError::Refused)?;
    let answered = inner.call(request).await;
    let usage = answered.as_ref().ok().and_then(&pacer.usage).unwrap_or_default();
    permit.settle(usage);
    answered.map_err(PacedError::Failed)
}

impl<D, U> Clone for PaceLayer<D, U> {
    fn clone(&self) -> Self {
        Self { pacer: Arc::clone(&self.pacer) }
    }
}

impl<S: Clone, D, U> Clone for Paced<S, D, U> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), pacer: Arc::clone(&self.pacer) }
    }
}

impl<D, U> fmt::Debug for PaceLayer<D, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaceLayer").field("resource", &self.pacer.resource).finish_non_exhaustive()
    }
}

impl<S: fmt::Debug, D, U> fmt::Debug for Paced<S, D, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.inner;
        f.debug_struct("Paced")
            .field("inner", inner)
            .field("resource", &self.pacer.resource)
            .finish_non_exhaustive()
    }
}

impl<E: fmt::Display> fmt::Display for PacedError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => write!(f, "no permit: {error}"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for PacedError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused(error) => Some(error),
            Self::Failed(error) => Some(error),
        }
    }
}
