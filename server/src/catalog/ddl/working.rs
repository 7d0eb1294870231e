//! A transaction's own view of the catalog: a snapshot and the changes over it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::model::{Catalog, Change, Object, Oid};
use super::super::store::OidRange;
use crate::error::{SqlError, SqlResult, SqlState};

/// A snapshot and the changes that a transaction has made over it, one for each object. Cheap to clone: a savepoint is a
/// clone.
#[derive(Debug, Clone)]
pub struct Working {
    base: Arc<Catalog>,
    current: Arc<Catalog>,
    /// `None`: removed.
    changes: BTreeMap<Oid, Option<Arc<Object>>>,
    oids: OidRange,
}

impl Working {
    /// No changes over a snapshot.
    pub fn new(base: Arc<Catalog>) -> Self {
        Self { current: Arc::clone(&base), base, changes: BTreeMap::new(), oids: OidRange::default() }
    }

    /// The snapshot under the changes, for `Store::commit`.
    pub fn base(&self) -> &Arc<Catalog> {
        &self.base
    }

    /// The snapshot with the changes: what the transaction sees.
    pub fn current(&self) -> &Arc<Catalog> {
        &self.current
    }

    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The changes, for `Store::commit`: objects made and removed again are not among them.
    pub fn changes(&self) -> Vec<Change> {
        self.changes
            .iter()
            .filter_map(|(oid, object)| match object {
                Some(object) => Some(Change::Put(Arc::clone(object))),
                None => self.base.get(*oid).map(|_| Change::Remove(*oid)),
            })
            .collect()
    }

    /// How many objects can be made before [`Self::supply_oids`] is due.
    pub fn oids_left(&self) -> u32 {
        self.oids.left()
    }

    /// Hands over OIDs from `Store::allocate_oids`; those left over are given up.
    pub fn supply_oids(&mut self, oids: OidRange) {
        self.oids = oids;
    }

    /// Back to a savepoint. OIDs that were taken since stay taken.
    pub fn roll_back_to(&mut self, savepoint: &Self) {
        let oids = std::mem::take(&mut self.oids);
        *self = savepoint.clone();
        self.oids = oids;
    }

    /// Moves the changes over a newer snapshot, so that a transaction sees what others committed.
    ///
    /// # Errors
    /// `40001` where an object that was changed here was changed there too.
    pub fn rebase(&mut self, newer: &Arc<Catalog>) -> SqlResult<()> {
        let same = |oid: &Oid| match (self.base.get(*oid), newer.get(*oid)) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new) || old == new,
            (None, None) => true,
            _ => false,
        };
        let current = newer.with(&self.changes());
        if !self.changes.keys().all(same) || !current.names_are_unique() {
            let message = "could not serialize access due to concurrent update";
            return Err(SqlError::new(SqlState::SERIALIZATION_FAILURE, message));
        }
        self.current = Arc::new(current);
        self.base = Arc::clone(newer);
        Ok(())
    }

    pub(super) fn take_oid(&mut self) -> SqlResult<Oid> {
        self.oids.take().ok_or_else(|| SqlError::internal("no object identifiers were supplied"))
    }

    pub(super) fn put(&mut self, object: Object) {
        let object = Arc::new(object);
        self.changes.insert(object.header().oid, Some(Arc::clone(&object)));
        Arc::make_mut(&mut self.current).apply(&Change::Put(object));
    }

    pub(super) fn remove(&mut self, oid: Oid) {
        self.changes.insert(oid, None);
        Arc::make_mut(&mut self.current).apply(&Change::Remove(oid));
    }
}
