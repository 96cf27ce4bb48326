//! What a store answers to a command that is under way.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::Error;
use crate::park::block_on;

/// The answer of a store: to be awaited, waited for by a thread, or left alone. The command is under way either way.
pub struct Reply<T>(Answer<T>);

/// What a [`Reply`] becomes when it is awaited.
#[must_use = "futures do nothing unless polled"]
pub struct Answer<T>(Stage<T>);

enum Stage<T> {
    Here(Option<Result<T, Error>>),
    Later(Pin<Box<dyn Future<Output = Result<T, Error>> + Send + Sync>>),
}

impl<T> Reply<T> {
    /// Waits for the answer on this thread, which parks.
    pub fn wait(self) -> Result<T, Error> {
        match self.0.0 {
            Stage::Here(answer) => answer.unwrap_or(Err(Error::Closed)),
            Stage::Later(_) => block_on(self.0),
        }
    }

    /// An answer that takes a while.
    #[cfg(feature = "shared")]
    pub(crate) fn later(answer: impl Future<Output = Result<T, Error>> + Send + Sync + 'static) -> Self {
        Self(Answer(Stage::Later(Box::pin(answer))))
    }

    /// Changes the answer when it is there.
    pub(crate) fn map<U: 'static>(self, change: impl FnOnce(T) -> U + Send + Sync + 'static) -> Reply<U>
    where
        T: 'static,
    {
        match self.0.0 {
            Stage::Here(answer) => answer.unwrap_or(Err(Error::Closed)).map(change).into(),
            Stage::Later(answer) => {
                let changed = async move { answer.await.map(change) };
                Reply(Answer(Stage::Later(Box::pin(changed))))
            }
        }
    }

    /// Gathers several answers; the first that is an error is that of all.
    pub(crate) fn all(replies: Vec<Self>) -> Reply<Vec<T>>
    where
        T: Send + Sync + 'static,
    {
        if replies.iter().all(|reply| matches!(reply.0.0, Stage::Here(_))) {
            return replies.into_iter().map(Self::wait).collect::<Result<Vec<T>, Error>>().into();
        }
        let gathered = async move {
            let mut all = Vec::with_capacity(replies.len());
            for reply in replies {
                all.push(reply.0.await?);
            }
            Ok(all)
        };
        Reply(Answer(Stage::Later(Box::pin(gathered))))
    }
}

impl<T: 'static> Reply<Option<T>> {
    /// Makes an error of an answer that says nothing.
    pub(crate) fn require(self, error: impl FnOnce() -> Error + Send + Sync + 'static) -> Reply<T> {
        match self.0.0 {
            Stage::Here(answer) => {
                answer.unwrap_or(Err(Error::Closed)).and_then(|found| found.ok_or_else(error)).into()
            }
            Stage::Later(answer) => {
                let required = async move { answer.await?.ok_or_else(error) };
                Reply(Answer(Stage::Later(Box::pin(required))))
            }
        }
    }
}

impl<T> From<Result<T, Error>> for Reply<T> {
    fn from(answer: Result<T, Error>) -> Self {
        Self(Answer(Stage::Here(Some(answer))))
    }
}

impl<T> IntoFuture for Reply<T> {
    type Output = Result<T, Error>;
    type IntoFuture = Answer<T>;

    fn into_future(self) -> Answer<T> {
        self.0
    }
}

impl<T> Unpin for Answer<T> {}

impl<T> Future for Answer<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Stage::Here(answer) => Poll::Ready(answer.take().unwrap_or(Err(Error::Closed))),
            Stage::Later(answer) => answer.as_mut().poll(context),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reply").field(&self.0).finish()
    }
}

impl<T: fmt::Debug> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Stage::Here(answer) => f.debug_tuple("Answer").field(answer).finish(),
            Stage::Later(_) => f.write_str("Answer(..)"),
        }
    }
}
