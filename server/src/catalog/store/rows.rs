//! Objects as rows of the catalog database.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::model::{Catalog, Change, Object, Oid};
use super::StoreError;

/// What a transaction writes. Rows of touched objects are deleted first, so that names can be swapped.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) version: i64,
    pub(super) deleted: Vec<i64>,
    pub(super) rows: Vec<Row>,
    /// Set by the bootstrap only.
    pub(super) key_check: Option<String>,
}

#[derive(Debug)]
pub(super) struct Row {
    pub(super) oid: i64,
    pub(super) kind: String,
    pub(super) scope: i64,
    pub(super) name: String,
    pub(super) body: String,
}

impl Row {
    pub(super) fn of(object: &Object) -> Result<Self, StoreError> {
        let oid = i64::from(object.header().oid);
        let (kind, scope, name) = object.unique_key();
        let body = serde_json::to_string(object).map_err(|source| StoreError::Corrupt { oid, source })?;
        Ok(Self { oid, kind: kind.to_string(), scope: i64::from(scope), name, body })
    }
}

impl Write {
    pub(super) fn of(version: u64, changes: &[Change]) -> Result<Self, StoreError> {
        let version =
            i64::try_from(version).map_err(|_| StoreError::Damaged { problem: "its version is out of range" })?;
        let mut write = Self { version, deleted: Vec::new(), rows: Vec::new(), key_check: None };
        for change in changes {
            match change {
                Change::Put(object) => {
                    write.deleted.push(i64::from(object.header().oid));
                    write.rows.push(Row::of(object)?);
                }
                Change::Remove(oid) => write.deleted.push(i64::from(*oid)),
            }
        }
        Ok(write)
    }
}

/// What changed in the database since a version.
#[derive(Debug, Default)]
pub(super) struct Delta {
    pub(super) version: u64,
    /// Every stored object's OID; `None`: nothing changed.
    pub(super) oids: Option<BTreeSet<Oid>>,
    /// The objects written since.
    pub(super) changed: Vec<Arc<Object>>,
}

impl Delta {
    /// Adds one row: the OID, and the body where it was written since.
    pub(super) fn add(&mut self, oid: i64, body: Option<&str>) -> Result<(), StoreError> {
        let identity = Oid::try_from(oid).map_err(|_| StoreError::Damaged { problem: "an OID is out of range" })?;
        self.oids.get_or_insert_default().insert(identity);
        if let Some(body) = body {
            let corrupt = |source| StoreError::Corrupt { oid, source };
            // Through a Value: serde_json's arbitrary precision hands numbers to flattened structs as maps otherwise.
            let value: serde_json::Value = serde_json::from_str(body).map_err(corrupt)?;
            let object: Object = serde_json::from_value(value).map_err(corrupt)?;
            if object.header().oid != identity {
                return Err(StoreError::Damaged { problem: "a row holds another object" });
            }
            self.changed.push(Arc::new(object));
        }
        Ok(())
    }

    /// The snapshot after these changes.
    pub(super) fn applied_to(&self, known: &Catalog) -> Result<Catalog, StoreError> {
        let Some(oids) = &self.oids else { return Ok(known.clone()) };
        // System schemas are in every snapshot and in no row.
        let removed = known
            .objects()
            .map(|object| object.header().oid)
            .filter(|oid| !oids.contains(oid) && !super::bootstrap::is_synthetic(*oid))
            .map(Change::Remove);
        let changes: Vec<_> = removed.chain(self.changed.iter().cloned().map(Change::Put)).collect();
        let mut catalog = known.with(&changes);
        catalog.version = self.version;
        if !catalog.names_are_unique() {
            return Err(StoreError::Damaged { problem: "two objects have the same name" });
        }
        Ok(catalog)
    }
}
