//! What a store answers to a command that is under way.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::Error;
use crate::park::block_on;

/// The answer of a store: to be awaited, waited for by a thread, or left alone. The command is under way either way.
#[derive(Debug)]
pub struct Reply<T>(Result<T, Error>);

/// What a [`Reply`] becomes when it is awaited.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Answer<T>(Option<Result<T, Error>>);

impl<T> Reply<T> {
    /// Waits for the answer on this thread, which parks.
    pub fn wait(self) -> Result<T, Error> {
        block_on(self.into_future())
    }
}

impl<T> From<Result<T, Error>> for Reply<T> {
    fn from(answer: Result<T, Error>) -> Self {
        Self(answer)
    }
}

impl<T> IntoFuture for Reply<T> {
    type Output = Result<T, Error>;
    type IntoFuture = Answer<T>;

    fn into_future(self) -> Answer<T> {
        Answer(Some(self.0))
    }
}

impl<T> Unpin for Answer<T> {}

impl<T> Future for Answer<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(self.0.take().unwrap_or(Err(Error::Closed)))
    }
}
