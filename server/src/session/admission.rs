//! How many queries compute at once. The others wait, in the order in which they came.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::physical_plan::ExecutionPlan;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{SqlError, SqlResult, SqlState};

/// Operators that read nothing but what is in the plan: constants and system tables, whose rows planning made.
const READS_NOTHING: [&str; 3] = ["PlaceholderRowExec", "EmptyExec", "DataSourceExec"];

/// The queue before the CPU runtime.
#[derive(Debug)]
pub(super) struct Admission {
    slots: Arc<Semaphore>,
    running_max: usize,
    waiting: AtomicUsize,
    waiting_max: usize,
}

/// The right to compute, until it drops.
#[derive(Debug)]
pub(super) struct Turn {
    _slot: OwnedSemaphorePermit,
}

impl Admission {
    /// `running_max` queries compute, at least one, and `waiting_max` wait.
    pub(super) fn new(running_max: usize, waiting_max: usize) -> Arc<Self> {
        let running_max = running_max.clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Self {
            slots: Arc::new(Semaphore::new(running_max)),
            running_max,
            waiting: AtomicUsize::new(0),
            waiting_max,
        })
    }

    /// Waits for a new query's turn.
    ///
    /// # Errors
    /// `53400` where too many wait already.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the queue.
    pub(super) async fn enter(&self) -> SqlResult<Turn> {
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            return Ok(Turn { _slot: slot });
        }
        let _place = Place::take(&self.waiting, self.waiting_max).ok_or_else(|| {
            SqlError::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, "too many queries are waiting to run")
                .detail(format!("{} queries run and {} wait.", self.running_max, self.waiting_max))
                .hint("Try again later, or raise max_running_queries or max_waiting_queries.")
        })?;
        self.enter_again().await
    }

    /// Waits for the turn of a query that has run before: one that is under way is never refused.
    ///
    /// # Errors
    /// None but bugs: the queue is never closed.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the queue.
    pub(super) async fn enter_again(&self) -> SqlResult<Turn> {
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        slot.map(|slot| Turn { _slot: slot }).map_err(|_| SqlError::internal("the queue of queries is closed"))
    }
}

/// A place in the queue.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, max: usize) -> Option<Self> {
        let next = |count: usize| count.checked_add(1).filter(|count| *count <= max);
        waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok().map(|_| Self(waiting))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether a plan needs a turn. One over constants and system tables does not: whoever looks for what fills the server
/// must get an answer while it is full.
pub(super) fn needs_turn(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let inputs = plan.children();
    if inputs.is_empty() { !READS_NOTHING.contains(&plan.name()) } else { inputs.into_iter().any(needs_turn) }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn queries_wait_in_their_order_and_within_a_bound() {
        let admission = Admission::new(1, 2);
        let first = admission.enter().await.unwrap();
        let mut second = Box::pin(admission.enter());
        let mut third = Box::pin(admission.enter());
        assert!((&mut second).now_or_never().is_none());
        assert!((&mut third).now_or_never().is_none());
        let refused = admission.enter().await.unwrap_err();
        assert_eq!(refused.sqlstate, SqlState::CONFIGURATION_LIMIT_EXCEEDED);
        drop(first);
        assert!((&mut third).now_or_never().is_none(), "the second came first");
        let turn = second.await.unwrap();
        drop(third);
        // Whoever gives up leaves the queue.
        let mut fourth = Box::pin(admission.enter());
        assert!((&mut fourth).now_or_never().is_none());
        drop(turn);
        assert!(fourth.now_or_never().unwrap().is_ok());
    }
}
