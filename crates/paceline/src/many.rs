//! Asking for several permits, which come together or not at all.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use paceline_core::Name;

use crate::park::block_on;
use crate::{Acquire, Error, Permit};

/// A request for several permits, which come together or not at all.
///
/// All stand in line one behind the other. The permits are given out when the last is granted; until then the first
/// are held. Where one is refused, or the request is dropped, all the others go back in full.
#[must_use = "nothing is asked until it is awaited or waited for"]
pub struct AcquireMany {
    asked: Vec<Asked>,
}

enum Asked {
    Waiting(Acquire),
    Granted(Permit),
}

impl AcquireMany {
    pub(crate) fn new(asked: impl IntoIterator<Item = Acquire>) -> Self {
        Self { asked: asked.into_iter().map(Asked::Waiting).collect() }
    }

    /// Waits in this lane, all of them.
    pub fn lane(self, lane: impl Into<Name>) -> Self {
        let lane = lane.into();
        self.with(|acquire| acquire.lane(Name::clone(&lane)))
    }

    /// Bounds the wait for all of them.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.with(|acquire| acquire.timeout(timeout))
    }

    /// Waits on this thread, which parks.
    pub fn wait(self) -> Result<Vec<Permit>, Error> {
        block_on(self)
    }

    fn with(mut self, change: impl Fn(Acquire) -> Acquire) -> Self {
        let asked = std::mem::take(&mut self.asked).into_iter().map(|asked| match asked {
            Asked::Waiting(acquire) => Asked::Waiting(change(acquire)),
            granted @ Asked::Granted(_) => granted,
        });
        Self { asked: asked.collect() }
    }

    fn give_back(&mut self) {
        for asked in std::mem::take(&mut self.asked) {
            if let Asked::Granted(permit) = asked {
                permit.give_back();
            }
        }
    }
}

impl Future for AcquireMany {
    type Output = Result<Vec<Permit>, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut waiting = false;
        for asked in &mut self.asked {
            let Asked::Waiting(acquire) = asked else { continue };
            match Pin::new(acquire).poll(context) {
                Poll::Pending => waiting = true,
                Poll::Ready(Ok(permit)) => *asked = Asked::Granted(permit),
                Poll::Ready(Err(error)) => {
                    self.give_back();
                    return Poll::Ready(Err(error));
                }
            }
        }
        if waiting {
            return Poll::Pending;
        }
        let granted = std::mem::take(&mut self.asked).into_iter().filter_map(|asked| match asked {
            Asked::Granted(permit) => Some(permit),
            Asked::Waiting(_) => None,
        });
        Poll::Ready(Ok(granted.collect()))
    }
}

impl Drop for AcquireMany {
    fn drop(&mut self) {
        self.give_back();
    }
}
