//! What a session's functions answer from.

use std::sync::{Arc, Mutex, PoisonError};

use super::PgCatalogContext;

/// The context of a session's latest statement. Functions are made once for a session; an older cursor sees, as in
/// PostgreSQL, what the session is when it is read.
#[derive(Debug)]
pub struct CurrentContext(Mutex<Arc<PgCatalogContext>>);

impl CurrentContext {
    /// One that begins with `context`.
    pub fn new(context: Arc<PgCatalogContext>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(context)))
    }

    /// The context now.
    pub fn get(&self) -> Arc<PgCatalogContext> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A statement begins.
    pub fn set(&self, context: Arc<PgCatalogContext>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = context;
    }
}
