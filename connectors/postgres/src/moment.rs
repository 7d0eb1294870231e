//! One moment for all scans of one statement at one server: the first part exports its snapshot, the others import it.
//!
//! A part that has ended leaves its connection, whose transaction still holds the snapshot, to a part that waits for one.
//! And no part takes a connection that another scan of the statement needs for its first: an operator that reads two
//! scans in turn gets both, as long as there are as many connections as scans. So a statement never waits for itself.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex, Notify};
use tokio_postgres::SimpleQueryMessage;

use atoll_connector_api::statement::ScanId;
use atoll_connector_api::{ConnectorError, Result};

use crate::pool::{Lease, Pool};

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// The moment that the scans of one statement see.
pub(crate) struct Moment {
    connections_max: usize,
    /// Held by the part that begins the moment.
    beginning: Mutex<()>,
    state: StdMutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    scans: HashMap<ScanId, Parts>,
    /// Connections of parts that have ended.
    free: Vec<Held>,
    /// Every open transaction exports the same snapshot under a name of its own: an exporter may end before others begin.
    snapshots: Vec<String>,
    /// The server exports no snapshots: each part sees a moment of its own.
    apart: bool,
}

#[derive(Debug, Default, Clone, Copy)]
struct Parts {
    /// Not yet begun.
    expected: usize,
    /// Waiting for a connection.
    waiting: usize,
    /// With a connection, or with the right to one.
    active: usize,
}

impl Parts {
    fn needs_its_first(self) -> bool {
        self.active == 0 && self.expected + self.waiting > 0
    }
}

/// A connection in a transaction that sees the moment.
struct Held {
    lease: Lease,
    snapshot: String,
}

/// What a part of a scan runs on. Dropped, its connection is cancelled and closed.
pub(crate) struct Seat {
    moment: Arc<Moment>,
    scan: ScanId,
    held: Option<Held>,
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Moment").field("connections_max", &self.connections_max).finish_non_exhaustive()
    }
}

impl Moment {
    /// A moment for scans with so many parts each, over a pool of so many connections.
    pub(crate) fn new(expected: &[(ScanId, usize)], connections_max: usize) -> Self {
        let parts = |expected: usize| Parts { expected, ..Parts::default() };
        let scans = expected.iter().map(|(scan, count)| (*scan, parts(*count))).collect();
        Self {
            connections_max,
            beginning: Mutex::default(),
            state: StdMutex::new(State { scans, ..State::default() }),
            changed: Notify::new(),
        }
    }

    /// A connection for one part; `None` where the server shares no snapshots.
    ///
    /// # Errors
    /// Those of [`Pool::run`].
    pub(crate) async fn seat(self: &Arc<Self>, pool: &Arc<Pool>, scan: ScanId) -> Result<Option<Seat>> {
        let waiting = Waiting::new(self, scan);
        let mut seat = self.granted(scan).await;
        let held = tokio::select! {
            biased;
            held = self.left() => Some(held),
            held = self.open(pool) => held?,
        };
        let Some(held) = held else { return Ok(None) };
        seat.held = Some(held);
        drop(waiting);
        Ok(Some(seat))
    }

    /// Waits until the part takes no connection that another scan needs.
    async fn granted(self: &Arc<Self>, scan: ScanId) -> Seat {
        loop {
            let changed = self.changed.notified();
            if self.lock().grant(scan, self.connections_max) {
                return Seat { moment: Arc::clone(self), scan, held: None };
            }
            changed.await;
        }
    }

    async fn left(&self) -> Held {
        loop {
            let changed = self.changed.notified();
            if let Some(held) = self.lock().free.pop() {
                return held;
            }
            changed.await;
        }
    }

    async fn open(&self, pool: &Arc<Pool>) -> Result<Option<Held>> {
        loop {
            if self.lock().apart {
                return Ok(None);
            }
            let known = self.lock().snapshots.last().cloned();
            if let Some(known) = known {
                match transaction(pool, Some(&known)).await {
                    // Its transaction has ended meanwhile: a scan was cut short.
                    Err(ConnectorError::Remote { sqlstate, .. }) if sqlstate == "22023" || sqlstate == "42704" => {
                        self.lock().snapshots.retain(|snapshot| *snapshot != known);
                        continue;
                    }
                    opened => return Ok(Some(self.opened(opened?))),
                }
            }
            let _beginning = self.beginning.lock().await;
            if !self.lock().snapshots.is_empty() {
                continue;
            }
            return match transaction(pool, None).await {
                Err(ConnectorError::Remote { sqlstate, .. }) if ["42", "0A"].contains(&class(&sqlstate)) => {
                    self.lock().apart = true;
                    Ok(None)
                }
                opened => Ok(Some(self.opened(opened?))),
            };
        }
    }

    fn opened(&self, held: Held) -> Held {
        self.lock().snapshots.push(held.snapshot.clone());
        held
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the transactions that nobody will want, and wakes those who wait.
    fn settle(&self) {
        let ended = self.lock().unwanted();
        ended.into_iter().for_each(|held| end_transaction(held.lease));
        self.changed.notify_waiters();
    }
}

impl Drop for Moment {
    fn drop(&mut self) {
        std::mem::take(&mut self.lock().free).into_iter().for_each(|held| end_transaction(held.lease));
    }
}

impl State {
    fn grant(&mut self, scan: ScanId, connections_max: usize) -> bool {
        let active: usize = self.scans.values().map(|parts| parts.active).sum();
        let needed = self.scans.iter().filter(|(other, parts)| **other != scan && parts.needs_its_first()).count();
        let parts = self.scans.entry(scan).or_default();
        let granted = parts.active == 0 || active + needed < connections_max;
        parts.active += usize::from(granted);
        granted
    }

    fn unwanted(&mut self) -> Vec<Held> {
        if self.scans.values().any(|parts| parts.expected + parts.waiting > 0) {
            return Vec::new();
        }
        let unwanted = std::mem::take(&mut self.free);
        self.snapshots.retain(|snapshot| unwanted.iter().all(|held| held.snapshot != *snapshot));
        unwanted
    }
}

/// Counts a part as one that waits.
struct Waiting {
    moment: Arc<Moment>,
    scan: ScanId,
}

impl Waiting {
    fn new(moment: &Arc<Moment>, scan: ScanId) -> Self {
        let mut state = moment.lock();
        let parts = state.scans.entry(scan).or_default();
        parts.expected = parts.expected.saturating_sub(1);
        parts.waiting += 1;
        drop(state);
        Self { moment: Arc::clone(moment), scan }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(parts) = self.moment.lock().scans.get_mut(&self.scan) {
            parts.waiting = parts.waiting.saturating_sub(1);
        }
        self.moment.settle();
    }
}

impl Seat {
    /// The connection.
    pub(crate) fn lease_mut(&mut self) -> Option<&mut Lease> {
        self.held.as_mut().map(|held| &mut held.lease)
    }

    /// Leaves the connection, on which nothing runs any more, to other parts.
    pub(crate) fn leave(mut self) {
        if let Some(held) = self.held.take() {
            self.moment.lock().free.push(held);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.moment.lock();
        if let Some(parts) = state.scans.get_mut(&self.scan) {
            parts.active = parts.active.saturating_sub(1);
        }
        if let Some(held) = &self.held {
            state.snapshots.retain(|snapshot| *snapshot != held.snapshot);
        }
        drop(state);
        self.moment.settle();
    }
}

fn class(sqlstate: &str) -> &str {
    sqlstate.get(..2).unwrap_or_default()
}

/// Opens a transaction, with a snapshot that another has exported or with its own, and exports it.
async fn transaction(pool: &Arc<Pool>, snapshot: Option<&str>) -> Result<Held> {
    let import = snapshot.map(|id| format!("SET TRANSACTION SNAPSHOT '{id}'; ")).unwrap_or_default();
    let sql = &format!("{BEGIN}; {import}SELECT pg_export_snapshot()");
    let (lease, messages) = pool
        .run(None, |session| async move {
            let answer = session.client.simple_query(sql).await;
            if answer.is_err() {
                // The connection is for others, the failed transaction is not.
                let _ = session.client.batch_execute("ROLLBACK").await;
            }
            answer
        })
        .await?;
    let snapshot = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.try_get(0).ok().flatten().map(str::to_owned),
        _ => None,
    });
    // It becomes part of a statement.
    let snapshot = snapshot.filter(|id| id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
    let snapshot = snapshot.ok_or_else(|| ConnectorError::Internal {
        message: format!("server \"{}\" exported no snapshot", pool.server()),
    })?;
    Ok(Held { lease, snapshot })
}

/// Commits, and gives the connection back to its pool.
fn end_transaction(mut lease: Lease) {
    let pool = Arc::clone(lease.pool());
    pool.spawn(async move {
        if lease.session().client.batch_execute("COMMIT").await.is_ok() {
            lease.mark_clean();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_takes_what_another_scan_needs() {
        let (one, two) = (ScanId::new(), ScanId::new());
        let moment = Moment::new(&[(one, 3), (two, 1)], 3);
        let mut state = moment.lock();
        // Two of three parts: the third connection is for the other scan.
        assert_eq!([(); 3].map(|()| state.grant(one, 3)), [true, true, false]);
        assert!(state.grant(two, 3));
        // The other scan has ended.
        state.scans.insert(two, Parts::default());
        assert!(state.grant(one, 3));
    }

    #[test]
    fn each_scan_gets_one_connection_whatever_the_bound() {
        let (one, two) = (ScanId::new(), ScanId::new());
        let moment = Moment::new(&[(one, 2), (two, 2)], 1);
        let mut state = moment.lock();
        assert_eq!([one, one, two, two].map(|scan| state.grant(scan, 1)), [true, false, true, false]);
    }
}
