//! The memory of all queries together: each has a bound of its own, and their sum has one, too.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};

/// Bytes that all queries of a server may use.
#[derive(Debug)]
pub(super) struct ServerMemory {
    used: AtomicUsize,
    max: usize,
}

impl ServerMemory {
    /// `max` bytes, none of them used.
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), max })
    }

    /// A pool of at most `bytes` for one query.
    pub(super) fn query(self: &Arc<Self>, bytes: usize) -> Arc<dyn MemoryPool> {
        Arc::new(QueryPool { own: FairSpillPool::new(bytes.min(self.max)), server: Arc::clone(self) })
    }

    fn take(&self, bytes: usize) -> Result<()> {
        let taken = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(bytes).filter(|used| *used <= self.max)
        });
        taken.map(|_| ()).map_err(|used| {
            DataFusionError::ResourcesExhausted(format!(
                "Failed to allocate {bytes} bytes: all queries together use {used} of {} bytes (memory_max)",
                self.max
            ))
        })
    }

    fn give(&self, bytes: usize) {
        let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| Some(used.saturating_sub(bytes)));
    }
}

#[derive(Debug)]
struct QueryPool {
    own: FairSpillPool,
    server: Arc<ServerMemory>,
}

impl fmt::Display for QueryPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.own.fmt(f)
    }
}

impl MemoryPool for QueryPool {
    fn name(&self) -> &str {
        "query"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.own.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.own.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.server.used.fetch_add(additional, Ordering::Relaxed);
        self.own.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.own.shrink(reservation, shrink);
        self.server.give(shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.server.take(additional)?;
        self.own.try_grow(reservation, additional).inspect_err(|_| self.server.give(additional))
    }

    fn reserved(&self) -> usize {
        self.own.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.own.memory_limit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_share_the_servers_memory() {
        let server = ServerMemory::new(100);
        let (one, other) = (server.query(80), server.query(80));
        let consumer = |pool: &Arc<dyn MemoryPool>| MemoryConsumer::new("test").register(pool);
        let (first, second) = (consumer(&one), consumer(&other));
        assert!(first.try_grow(70).is_ok());
        assert!(first.try_grow(20).is_err(), "more than the query may have");
        assert!(second.try_grow(40).is_err(), "more than there is");
        assert!(second.try_grow(30).is_ok());
        drop(first);
        assert!(second.try_grow(40).is_ok(), "what the first gave back");
        drop(second);
        assert_eq!(server.used.load(Ordering::Relaxed), 0);
    }
}
