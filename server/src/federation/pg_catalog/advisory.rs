//! Advisory locks: between the sessions of this server, and no further.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::error::{SqlError, SqlResult, SqlState};

/// Locks held in the whole server, each counted once for each session that holds it.
const LOCKS_MAX: usize = 65_536;

/// What is locked: one number, or two, which are another space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LockKey {
    /// A `bigint`.
    One(i64),
    /// Two integers.
    Two(i32, i32),
}

/// How it is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockMode {
    /// Others may share it.
    pub shared: bool,
    /// It ends with the transaction.
    pub transaction: bool,
}

/// How often a session holds a lock.
#[derive(Debug, Default, Clone, Copy)]
struct Held {
    exclusive: u32,
    shared: u32,
    transaction_exclusive: u32,
    transaction_shared: u32,
}

impl Held {
    fn slot(&mut self, mode: LockMode) -> &mut u32 {
        match (mode.shared, mode.transaction) {
            (false, false) => &mut self.exclusive,
            (true, false) => &mut self.shared,
            (false, true) => &mut self.transaction_exclusive,
            (true, true) => &mut self.transaction_shared,
        }
    }

    fn is_exclusive(self) -> bool {
        self.exclusive > 0 || self.transaction_exclusive > 0
    }

    fn is_free(self) -> bool {
        !self.is_exclusive() && self.shared == 0 && self.transaction_shared == 0
    }
}

/// The locks of all sessions.
#[derive(Debug, Default)]
pub struct AdvisoryLocks {
    held: Mutex<HashMap<LockKey, HashMap<u64, Held>>>,
    released: Notify,
    sessions: std::sync::atomic::AtomicU64,
}

impl AdvisoryLocks {
    /// A session that holds nothing yet.
    pub fn session(self: &Arc<Self>) -> AdvisorySession {
        let number = self.sessions.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        AdvisorySession { locks: Arc::clone(self), number }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LockKey, HashMap<u64, Held>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One session's locks. Clones are the same session.
#[derive(Debug, Clone)]
pub struct AdvisorySession {
    locks: Arc<AdvisoryLocks>,
    number: u64,
}

impl AdvisorySession {
    /// Takes a lock if no other session is in the way.
    ///
    /// # Errors
    /// `53200`: there are too many.
    pub fn try_lock(&self, key: LockKey, mode: LockMode) -> SqlResult<bool> {
        let mut held = self.locks.lock();
        let others = held.get(&key).into_iter().flatten().filter(|(session, _)| **session != self.number);
        if others.into_iter().any(|(_, other)| !mode.shared || other.is_exclusive()) {
            return Ok(false);
        }
        let mine = held.get(&key).is_some_and(|sessions| sessions.contains_key(&self.number));
        if !mine && held.values().map(HashMap::len).sum::<usize>() >= LOCKS_MAX {
            return Err(SqlError::new(SqlState::OUT_OF_MEMORY, "too many advisory locks are held"));
        }
        let own = held.entry(key).or_default().entry(self.number).or_default();
        let slot = own.slot(mode);
        *slot = slot.saturating_add(1);
        Ok(true)
    }

    /// Takes a lock, waiting for those in the way. Sessions that wait for each other wait until one is cancelled.
    ///
    /// # Errors
    /// `53200`.
    pub async fn lock(&self, key: LockKey, mode: LockMode) -> SqlResult<()> {
        loop {
            let mut released = std::pin::pin!(self.locks.released.notified());
            // Registered before the attempt, so that a release between the two is not missed.
            released.as_mut().enable();
            if self.try_lock(key, mode)? {
                return Ok(());
            }
            released.await;
        }
    }

    /// Gives back a lock of the session, once; whether it was held.
    pub fn unlock(&self, key: LockKey, shared: bool) -> bool {
        self.change(|at, own| {
            let slot = own.slot(LockMode { shared, transaction: false });
            let found = at == key && *slot > 0;
            *slot -= u32::from(found);
            found
        })
    }

    /// Gives back all locks of the session but the transaction's.
    pub fn unlock_all(&self) {
        self.change(|_, own| {
            (own.exclusive, own.shared) = (0, 0);
            true
        });
    }

    /// Gives back the locks of the transaction, which ends.
    pub fn end_transaction(&self) {
        self.change(|_, own| {
            (own.transaction_exclusive, own.transaction_shared) = (0, 0);
            true
        });
    }

    fn change(&self, mut change: impl FnMut(LockKey, &mut Held) -> bool) -> bool {
        let mut held = self.locks.lock();
        let mut changed = false;
        held.retain(|key, sessions| {
            if let Some(own) = sessions.get_mut(&self.number) {
                changed |= change(*key, own);
                if own.is_free() {
                    sessions.remove(&self.number);
                }
            }
            !sessions.is_empty()
        });
        drop(held);
        if changed {
            self.locks.released.notify_waiters();
        }
        changed
    }
}

/// A session's locks as long as it lives.
#[derive(Debug)]
pub struct AdvisoryGuard(pub AdvisorySession);

impl Drop for AdvisoryGuard {
    fn drop(&mut self) {
        self.0.unlock_all();
        self.0.end_transaction();
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    const SESSION: LockMode = LockMode { shared: false, transaction: false };
    const SHARED: LockMode = LockMode { shared: true, transaction: false };

    #[test]
    fn locks_keep_other_sessions_out_until_they_are_given_back() {
        let locks = Arc::new(AdvisoryLocks::default());
        let (one, other) = (locks.session(), locks.session());
        let key = LockKey::One(7);
        assert!(one.try_lock(key, SESSION).unwrap() && one.try_lock(key, SESSION).unwrap());
        assert!(!other.try_lock(key, SESSION).unwrap() && !other.try_lock(key, SHARED).unwrap());
        assert!(other.try_lock(LockKey::Two(0, 7), SESSION).unwrap());
        assert!(one.unlock(key, false) && !other.try_lock(key, SHARED).unwrap());
        assert!(one.unlock(key, false) && !one.unlock(key, false));
        assert!(other.try_lock(key, SHARED).unwrap() && one.try_lock(key, SHARED).unwrap());
        assert!(!one.try_lock(key, SESSION).unwrap());
    }

    #[test]
    fn a_session_that_ends_gives_back_everything() {
        let locks = Arc::new(AdvisoryLocks::default());
        let (one, other) = (AdvisoryGuard(locks.session()), locks.session());
        let transaction = LockMode { shared: false, transaction: true };
        assert!(one.0.try_lock(LockKey::One(1), SESSION).unwrap());
        assert!(one.0.try_lock(LockKey::One(2), transaction).unwrap());
        one.0.end_transaction();
        assert!(
            other.try_lock(LockKey::One(2), SESSION).unwrap() && !other.try_lock(LockKey::One(1), SESSION).unwrap()
        );
        drop(one);
        assert!(other.try_lock(LockKey::One(1), SESSION).unwrap());
    }
}
