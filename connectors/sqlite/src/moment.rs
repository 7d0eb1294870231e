//! One moment for all scans of one statement at one database: their read transactions begin together.
//!
//! In a journal mode without WAL no writer commits while one of them is open. With WAL it may commit between the first
//! and the last beginning: then all of them begin again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use atoll_connector_api::statement::ScanId;
use atoll_connector_api::{ConnectorError, Result};
use rusqlite::Connection;

use crate::connection::{CancelFlag, Database};

/// How often transactions that a writer came between begin again.
const BEGINNINGS_MAX: usize = 50;
/// Scans whose transactions begin together; a statement with more of one database sees a moment with each.
pub(crate) const SCANS_TOGETHER_MAX: usize = 64;

/// The moment that the scans of one statement see.
#[derive(Debug)]
pub(crate) struct Moment {
    scans: Vec<ScanId>,
    /// Of scans that do not run; `None`: the moment has not begun.
    connections: Mutex<Option<HashMap<ScanId, Connection>>>,
}

impl Moment {
    pub(crate) fn new(expected: &[(ScanId, usize)]) -> Self {
        Self { scans: expected.iter().map(|(scan, _)| *scan).collect(), connections: Mutex::default() }
    }

    /// A scan's connection, which `cancel` ends. May block.
    ///
    /// # Errors
    /// Those of [`Database::open`]; `40001` where writers leave no moment.
    pub(crate) fn connection(&self, database: &Database, scan: ScanId, cancel: &CancelFlag) -> Result<Connection> {
        let mut connections = self.lock();
        if connections.is_none() {
            *connections = Some(database.retry_busy(cancel, || self.begin(database, cancel))?);
        }
        match connections.as_mut().and_then(|connections| connections.remove(&scan)) {
            Some(connection) => {
                Database::ended_by(&connection, cancel);
                Ok(connection)
            }
            // A scan that nobody expected, or that runs twice at once.
            None => database.open(cancel),
        }
    }

    /// Takes back the connection of a scan that has ended: it may run again.
    pub(crate) fn leave(&self, scan: ScanId, connection: Connection) {
        if let Some(connections) = self.lock().as_mut() {
            connections.entry(scan).or_insert(connection);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<HashMap<ScanId, Connection>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, database: &Database, cancel: &CancelFlag) -> Result<HashMap<ScanId, Connection>> {
        let failed = |error: rusqlite::Error| database.error(&error);
        let observer = database.open(cancel)?;
        let version = || observer.query_row("PRAGMA data_version", [], |row| row.get::<_, i64>(0)).map_err(failed);
        for _ in 0..BEGINNINGS_MAX {
            let before = version()?;
            let mut connections = HashMap::with_capacity(self.scans.len());
            for scan in &self.scans {
                let connection = database.open(cancel)?;
                // BEGIN alone does nothing before the first read.
                connection.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema").map_err(failed)?;
                connections.insert(*scan, connection);
            }
            if version()? == before {
                return Ok(connections);
            }
        }
        Err(ConnectorError::Remote {
            server: database.server().to_owned(),
            sqlstate: "40001".into(),
            message: format!("could not read the database of server \"{}\" at one moment", database.server()),
            detail: None,
            hint: Some("Other processes write all the time. Try again.".into()),
            remote_sql: None,
        })
    }
}
