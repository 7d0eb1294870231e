//! Stops what computes for long without yielding: a function over a batch, the frames of a window, a constant.
//!
//! Dropping a future ends it where it yields next. What runs between two yields asks here whether anybody still wants it.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use crate::error::{SqlError, SqlResult, SqlState};

thread_local! {
    /// The flag of the work that this thread is polling.
    static CURRENT: RefCell<Option<StopFlag>> = const { RefCell::new(None) };
}

/// Tells work to stop. Clones share the flag.
#[derive(Debug, Clone, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Tells it.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was told.
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Runs a step of the work under this flag.
    pub fn during<T>(&self, step: impl FnOnce() -> T) -> T {
        let _restored = Restore(CURRENT.with(|current| current.borrow_mut().replace(self.clone())));
        step()
    }
}

/// Puts the flag back that was there before, also where the step panics.
struct Restore(Option<StopFlag>);

impl Drop for Restore {
    fn drop(&mut self) {
        let before = self.0.take();
        CURRENT.with(|current| *current.borrow_mut() = before);
    }
}

/// Asks whether the work that this thread does is still wanted.
///
/// # Errors
/// `57014`, which nobody reads: whoever wanted the work has let go of it.
pub fn check() -> SqlResult<()> {
    let stopped = CURRENT.with(|current| current.borrow().as_ref().is_some_and(StopFlag::is_stopped));
    if stopped { Err(SqlError::new(SqlState::QUERY_CANCELED, "the query was stopped")) } else { Ok(()) }
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
