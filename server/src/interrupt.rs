//! Stops what computes for long without yielding: a function over a batch, the frames of a window, a constant.
//!
//! Dropping a future ends it where it yields next. What runs between two yields asks here whether anybody still wants it.

use std::pin::Pin;
use std::task::{Context, Poll};

use atoll_connector_api::{ConnectorError, interrupt};

pub use atoll_connector_api::interrupt::{StopFlag, within};

use crate::error::{SqlError, SqlResult, SqlState};

fn stopped(_: ConnectorError) -> SqlError {
    SqlError::new(SqlState::QUERY_CANCELED, "the query was stopped")
}

/// Asks whether the work that this thread does is still wanted.
///
/// # Errors
/// `57014`, which nobody reads: whoever wanted the work has let go of it.
pub fn check() -> SqlResult<()> {
    interrupt::check().map_err(stopped)
}

/// What is asked for is more than the query may have.
pub fn out_of_memory(bytes: usize) -> SqlError {
    SqlError::new(SqlState::OUT_OF_MEMORY, "out of memory")
        .detail(format!("Failed on request of size {bytes}."))
        .hint("A larger atoll.query_memory may do.")
}

/// Makes sure that there is room for what is about to be made, all of it together.
///
/// # Errors
/// `53200`.
pub fn reserve(bytes: usize) -> SqlResult<()> {
    interrupt::reserve(bytes).map_err(|_| out_of_memory(bytes))
}

/// Asks [`check`] every now and then.
#[derive(Debug, Default)]
pub struct Pace(interrupt::Pace);

impl Pace {
    /// One more step, or so many bytes.
    ///
    /// # Errors
    /// `57014`.
    pub fn step(&mut self, cost: usize) -> SqlResult<()> {
        self.0.step(cost).map_err(stopped)
    }
}

/// A future that is polled under a flag.
pub struct Interruptible<T> {
    inner: Pin<Box<dyn Future<Output = T> + Send>>,
    flag: StopFlag,
}

impl<T> Interruptible<T> {
    /// Makes one.
    pub fn new(inner: impl Future<Output = T> + Send + 'static, flag: StopFlag) -> Self {
        Self { inner: Box::pin(inner), flag }
    }
}

impl<T> std::fmt::Debug for Interruptible<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Interruptible").field("flag", &self.flag).finish_non_exhaustive()
    }
}

impl<T> Future for Interruptible<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let this = self.get_mut();
        let flag = this.flag.clone();
        flag.during(|| this.inner.as_mut().poll(context))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_work_under_the_flag_stops() {
        let (outer, inner) = (StopFlag::default(), StopFlag::default());
        assert!(check().is_ok());
        outer.during(|| {
            inner.stop();
            assert!(check().is_ok());
            inner.during(|| assert!(check().is_err()));
            assert!(check().is_ok());
            outer.stop();
            assert!(check().is_err());
        });
        assert!(check().is_ok());
    }
}
