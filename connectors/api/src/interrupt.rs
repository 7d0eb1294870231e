//! Whether the work of this thread is still wanted, and how much memory it may take: what computes for long between two
//! yields asks here.
//!
//! Dropping a future ends it where it yields next. A value that is read, printed or computed in one step does not yield.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{ConnectorError, Result};

/// Steps, or bytes, between two questions.
const PACE: usize = 1 << 16;

thread_local! {
    /// The flag of the work that this thread is polling.
    static CURRENT: RefCell<Option<StopFlag>> = const { RefCell::new(None) };
    /// The bytes that one value may take.
    static ROOM: Cell<usize> = const { Cell::new(usize::MAX) };
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
        let _restored = RestoreFlag(CURRENT.with(|current| current.borrow_mut().replace(self.clone())));
        step()
    }
}

/// Puts the flag back that was there before, also where the step panics.
struct RestoreFlag(Option<StopFlag>);

impl Drop for RestoreFlag {
    fn drop(&mut self) {
        let before = self.0.take();
        CURRENT.with(|current| *current.borrow_mut() = before);
    }
}

/// Puts the bound back that was there before, also where the step panics.
struct RestoreRoom(usize);

impl Drop for RestoreRoom {
    fn drop(&mut self) {
        ROOM.set(self.0);
    }
}

/// Asks whether the work that this thread does is still wanted.
///
/// # Errors
/// `57014`, which nobody reads: whoever wanted the work has let go of it.
pub fn check() -> Result<()> {
    let stopped = CURRENT.with(|current| current.borrow().as_ref().is_some_and(StopFlag::is_stopped));
    if stopped { Err(ConnectorError::value("57014", "the query was stopped")) } else { Ok(()) }
}

/// Runs a step that may take so many bytes for what it makes.
pub fn within<T>(bytes: usize, step: impl FnOnce() -> T) -> T {
    let _restored = RestoreRoom(ROOM.replace(bytes));
    step()
}

/// Makes sure that there is room for what is about to be made, all of it together.
///
/// # Errors
/// `53200`.
pub fn reserve(bytes: usize) -> Result<()> {
    if bytes > ROOM.get() { Err(ConnectorError::value("53200", "out of memory")) } else { Ok(()) }
}

/// Asks [`check`] every now and then.
#[derive(Debug, Default)]
pub struct Pace {
    done: usize,
}

impl Pace {
    /// One more step, or so many bytes.
    ///
    /// # Errors
    /// `57014`.
    pub fn step(&mut self, cost: usize) -> Result<()> {
        self.done = self.done.saturating_add(cost);
        if self.done < PACE {
            return Ok(());
        }
        self.done = 0;
        check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_of_the_step_alone() {
        assert!(reserve(usize::MAX).is_ok());
        within(10, || {
            assert!(reserve(10).is_ok());
            assert!(reserve(11).is_err());
            within(20, || assert!(reserve(11).is_ok()));
            assert!(reserve(11).is_err());
        });
        assert!(reserve(11).is_ok());
    }

    #[test]
    fn a_pace_asks_after_so_many_steps() {
        let flag = StopFlag::default();
        flag.stop();
        flag.during(|| {
            let mut pace = Pace::default();
            assert!((1..PACE).all(|_| pace.step(1).is_ok()));
            assert!(pace.step(1).is_err());
            assert!(pace.step(PACE).is_err());
        });
        assert!(Pace::default().step(PACE).is_ok());
    }
}
