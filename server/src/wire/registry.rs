//! Who is connected: slots, cancel keys.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ring::rand::{SecureRandom, SystemRandom};

use super::scram::same;
use crate::session::{CancelReason, Canceller};

/// Sessions by process id.
#[derive(Default)]
pub(super) struct Registry {
    sessions: Mutex<HashMap<i32, Entry>>,
    next_pid: AtomicI32,
    slots: AtomicUsize,
}

struct Entry {
    key: Vec<u8>,
    canceller: Canceller,
}

impl Registry {
    /// Takes a slot, unless all `slots_max` are taken.
    pub(super) fn take_slot(self: &Arc<Self>, slots_max: usize) -> Option<Slot> {
        let taken = |slots: usize| (slots < slots_max).then_some(slots + 1);
        self.slots.fetch_update(Ordering::AcqRel, Ordering::Acquire, taken).ok()?;
        Some(Slot(Arc::clone(self)))
    }

    /// How many slots are taken.
    pub(super) fn slots_taken(&self) -> usize {
        self.slots.load(Ordering::Acquire)
    }

    /// A process id that no session has, with a random key of so many bytes; `None`: there is no randomness.
    pub(super) fn new_identity(&self, key_bytes: usize) -> Option<(i32, Vec<u8>)> {
        let mut key = vec![0; key_bytes];
        SystemRandom::new().fill(&mut key).ok()?;
        let sessions = self.lock();
        loop {
            // PostgreSQL's are process ids: positive.
            let pid = self.next_pid.fetch_add(1, Ordering::Relaxed).rem_euclid(i32::MAX) + 1;
            if !sessions.contains_key(&pid) {
                return Some((pid, key));
            }
        }
    }

    /// Makes a session known to cancel requests until the guard is dropped.
    pub(super) fn register(self: &Arc<Self>, pid: i32, key: Vec<u8>, canceller: Canceller) -> Registered {
        self.lock().insert(pid, Entry { key, canceller });
        Registered { registry: Arc::clone(self), pid }
    }

    /// Cancels a session's statement for whoever knows its key.
    pub(super) fn cancel(&self, pid: i32, key: &[u8]) -> bool {
        let canceller = match self.lock().get(&pid) {
            Some(entry) if same(&entry.key, key) => entry.canceller.clone(),
            _ => return false,
        };
        canceller.cancel(CancelReason::Client);
        true
    }

    /// Ends every session.
    pub(super) fn shut_down(&self) {
        let cancellers: Vec<Canceller> = self.lock().values().map(|entry| entry.canceller.clone()).collect();
        cancellers.iter().for_each(|canceller| canceller.cancel(CancelReason::Shutdown));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<i32, Entry>> {
        // Nothing that can panic runs under the lock; a poisoned map is still whole.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the connections that are allowed; dropping it gives it back.
pub(super) struct Slot(Arc<Registry>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.slots.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A session that cancel requests find; dropping it hides it.
pub(super) struct Registered {
    registry: Arc<Registry>,
    pid: i32,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.registry.lock().remove(&self.pid);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_key_cancels() {
        let registry = Arc::new(Registry::default());
        let canceller = Canceller::default();
        let (pid, key) = registry.new_identity(32).unwrap();
        let guard = registry.register(pid, key.clone(), canceller.clone());
        for wrong in [&[][..], &[0; 32][..], &key[..31], &[key.as_slice(), &[0]].concat()] {
            assert!(!registry.cancel(pid, wrong));
        }
        assert!(!registry.cancel(pid + 1, &key));
        assert_eq!(canceller.reason(), None);
        assert!(registry.cancel(pid, &key));
        assert_eq!(canceller.reason(), Some(CancelReason::Client));
        drop(guard);
        assert!(!registry.cancel(pid, &key));
    }

    #[test]
    fn slots_come_back() {
        let registry = Arc::new(Registry::default());
        let first = registry.take_slot(2).unwrap();
        let _second = registry.take_slot(2).unwrap();
        assert!(registry.take_slot(2).is_none());
        drop(first);
        assert!(registry.take_slot(2).is_some());
        assert_eq!(registry.slots_taken(), 1);
    }

    #[test]
    fn identities_wrap_around_and_differ() {
        let registry = Arc::new(Registry { next_pid: AtomicI32::new(i32::MAX - 1), ..Registry::default() });
        let pids: Vec<i32> = (0..4).map(|_| registry.new_identity(4).unwrap().0).collect();
        assert!(pids.iter().all(|pid| *pid > 0), "{pids:?}");
        assert_ne!(registry.new_identity(4).unwrap().1, registry.new_identity(4).unwrap().1);
    }
}
