//! Whether changes made over an older snapshot may still be written.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::model::{Catalog, Change, Oid};
use super::CommitError;

/// Two transactions conflict where one touched what the other touched or refers to. That covers the same object changed
/// twice, and also what no row of its own would show: a table made on a server that was dropped meanwhile, a view made
/// over a table that was renamed meanwhile (the view's text holds the name), two roles made members of each other.
/// Parallel DDL on different objects of the same server, schema and owner does not conflict.
pub(super) fn check(base: &Catalog, newest: &Catalog, changes: &[Change]) -> Result<(), CommitError> {
    if newest.version == base.version {
        return Ok(());
    }
    let theirs = changed_between(base, newest);
    let ours: BTreeSet<Oid> = changes.iter().map(touched).collect();
    let our_references = references(base, changes);
    let mut their_references = theirs.iter().filter_map(|oid| newest.get(*oid)).flat_map(|object| object.references());
    if theirs.iter().any(|oid| ours.contains(oid) || our_references.contains(oid))
        || their_references.any(|oid| ours.contains(&oid))
    {
        return Err(CommitError::Conflict);
    }
    Ok(())
}

fn touched(change: &Change) -> Oid {
    match change {
        Change::Put(object) => object.header().oid,
        Change::Remove(oid) => *oid,
    }
}

/// What the changed objects refer to, before and after.
fn references(base: &Catalog, changes: &[Change]) -> BTreeSet<Oid> {
    let mut found = BTreeSet::new();
    for change in changes {
        if let Change::Put(object) = change {
            found.extend(object.references());
        }
        if let Some(object) = base.get(touched(change)) {
            found.extend(object.references());
        }
    }
    found
}

fn changed_between(base: &Catalog, newest: &Catalog) -> BTreeSet<Oid> {
    let changed = newest.objects().filter(|object| {
        // Snapshots share what did not change, so that comparing is cheap; a reloaded one shares nothing.
        !base.get(object.header().oid).is_some_and(|old| Arc::ptr_eq(old, object) || old == *object)
    });
    let removed = base.objects().filter(|object| newest.get(object.header().oid).is_none());
    changed.chain(removed).map(|object| object.header().oid).collect()
}
