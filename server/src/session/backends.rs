//! The connections there are, for `pg_stat_activity`, limits and `pg_cancel_backend`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::outcome::Canceller;
use crate::catalog::Oid;

/// Bytes of a query's text that `pg_stat_activity` keeps, as `track_activity_query_size` has it.
pub const QUERY_TEXT_MAX: usize = 1024;

/// One connection as others see it.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of pg_stat_activity")]
pub struct Backend {
    pub pid: i32,
    pub user: Oid,
    pub superuser: bool,
    pub database: String,
    pub application_name: String,
    pub peer: Option<SocketAddr>,
    pub started: SystemTime,
    pub transaction_started: Option<SystemTime>,
    pub query_started: Option<SystemTime>,
    pub state_changed: SystemTime,
    pub state: &'static str,
    pub query: String,
    pub tls: Option<super::TlsInfo>,
    pub canceller: Canceller,
}

/// All connections, by process id.
#[derive(Debug, Default, Clone)]
pub struct Backends(Arc<Mutex<BTreeMap<i32, Backend>>>);

impl Backends {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<i32, Backend>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a connection; it is removed when the returned guard drops.
    pub fn add(&self, backend: Backend) -> BackendGuard {
        let pid = backend.pid;
        self.lock().insert(pid, backend);
        BackendGuard { backends: self.clone(), pid }
    }

    /// A copy of all.
    pub fn list(&self) -> Vec<Backend> {
        self.lock().values().cloned().collect()
    }

    /// How many connections a role holds.
    pub fn count_of(&self, user: Oid) -> usize {
        self.lock().values().filter(|backend| backend.user == user).count()
    }

    /// One connection.
    pub fn get(&self, pid: i32) -> Option<Backend> {
        self.lock().get(&pid).cloned()
    }
}

/// A connection's entry.
#[derive(Debug)]
pub struct BackendGuard {
    backends: Backends,
    pid: i32,
}

impl BackendGuard {
    /// Changes the entry.
    pub fn update(&self, change: impl FnOnce(&mut Backend)) {
        if let Some(backend) = self.backends.lock().get_mut(&self.pid) {
            change(backend);
        }
    }

    /// The process id.
    pub fn pid(&self) -> i32 {
        self.pid
    }
}

impl Drop for BackendGuard {
    fn drop(&mut self) {
        self.backends.lock().remove(&self.pid);
    }
}

/// A query's text, cut at [`QUERY_TEXT_MAX`].
pub fn shown_query(text: &str) -> String {
    let mut end = text.len().min(QUERY_TEXT_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
