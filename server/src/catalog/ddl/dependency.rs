//! What depends on what, in PostgreSQL's order, and its messages (`reportDependentObjects`).

use std::collections::{BTreeMap, BTreeSet};

use super::super::model::{Catalog, Object, Oid};
use super::Ddl;
use crate::error::{Notice, SqlError, SqlResult, SqlState};

/// `MAX_REPORTED_DEPS` in PostgreSQL's `dependency.c`.
const REPORTED_MAX: usize = 100;

/// An object that goes because another one goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dependent {
    pub(super) oid: Oid,
    /// What it depends on, as messages describe it.
    because: Cause,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Cause {
    Object(Oid),
    /// A column's description.
    Column(String),
}

/// Direct dependents by object: what cannot be without it and goes with CASCADE. Owners and grantees are another matter.
fn direct_dependents(catalog: &Catalog) -> BTreeMap<Oid, BTreeSet<Oid>> {
    let mut found: BTreeMap<Oid, BTreeSet<Oid>> = BTreeMap::new();
    let mut add = |on: Oid, dependent: Oid| {
        found.entry(on).or_default().insert(dependent);
    };
    for object in catalog.objects() {
        let oid = object.header().oid;
        match object.as_ref() {
            Object::Server(server) => add(server.wrapper, oid),
            Object::UserMapping(mapping) => add(mapping.server, oid),
            Object::ForeignTable(table) => {
                add(table.server, oid);
                add(table.schema, oid);
            }
            Object::View(view) => {
                add(view.schema, oid);
                view.depends_on.iter().for_each(|on| add(*on, oid));
            }
            Object::Role(_) | Object::Schema(_) | Object::Wrapper(_) | Object::Database(_) => {}
        }
    }
    found
}

struct Walk {
    dependents: BTreeMap<Oid, BTreeSet<Oid>>,
    seen: BTreeSet<Oid>,
    /// Deepest first, as PostgreSQL collects them.
    found: Vec<Dependent>,
}

impl Walk {
    fn visit(&mut self, oid: Oid) {
        // Newest first, so that the list, read from its end, is in the order of creation.
        let next: Vec<Oid> = self.dependents.get(&oid).into_iter().flatten().rev().copied().collect();
        for dependent in next {
            self.visit_dependent(dependent, Cause::Object(oid));
        }
    }

    fn visit_dependent(&mut self, oid: Oid, because: Cause) {
        if self.seen.insert(oid) {
            self.visit(oid);
            self.found.push(Dependent { oid, because });
        }
    }

    fn into_order(mut self, named: &[Oid]) -> Vec<Dependent> {
        self.found.reverse();
        self.found.retain(|dependent| !named.contains(&dependent.oid));
        self.found
    }
}

/// What goes when these objects go, without themselves: each after what it depends on.
pub(super) fn dependents(catalog: &Catalog, named: &[Oid]) -> Vec<Dependent> {
    let mut walk =
        Walk { dependents: direct_dependents(catalog), seen: named.iter().copied().collect(), found: Vec::new() };
    for oid in named {
        walk.visit(*oid);
    }
    walk.into_order(named)
}

/// The views that go when a column goes, and what depends on them.
pub(super) fn column_dependents(catalog: &Catalog, relation: Oid, number: i16, description: &str) -> Vec<Dependent> {
    let mut walk = Walk { dependents: direct_dependents(catalog), seen: BTreeSet::from([relation]), found: Vec::new() };
    for view in column_readers(catalog, relation, number).into_iter().rev() {
        walk.visit_dependent(view, Cause::Column(description.to_owned()));
    }
    walk.into_order(&[])
}

/// The views that read a column, by OID.
pub(super) fn column_readers(catalog: &Catalog, relation: Oid, number: i16) -> Vec<Oid> {
    let readers = catalog.objects().filter(|object| match object.as_ref() {
        Object::View(view) => view.depends_on_columns.contains(&(relation, number)),
        _ => false,
    });
    readers.map(|object| object.header().oid).collect()
}

impl Ddl<'_> {
    /// Removes objects with what depends on them, where CASCADE allows it. `what` describes the one object named.
    pub(super) fn remove_with_dependents(&mut self, named: &[Oid], what: Option<&str>, cascade: bool) -> SqlResult<()> {
        let found = dependents(self.catalog(), named);
        self.cascade_or_refuse(&found, what, cascade)?;
        self.forget_default_acls(named);
        for oid in found.iter().map(|dependent| dependent.oid).chain(named.iter().copied()) {
            self.working.remove(oid);
        }
        Ok(())
    }

    /// With CASCADE a notice, without it the error. Removes nothing.
    pub(super) fn cascade_or_refuse(
        &mut self,
        dependents: &[Dependent],
        what: Option<&str>,
        cascade: bool,
    ) -> SqlResult<()> {
        if dependents.is_empty() {
            return Ok(());
        }
        if !cascade {
            let lines = dependents.iter().map(|dependent| self.depends_line(dependent));
            let message = what.map_or_else(
                || "cannot drop desired object(s) because other objects depend on them".to_owned(),
                |what| format!("cannot drop {what} because other objects depend on it"),
            );
            return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
                .detail(report(lines))
                .hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        let notice = if let [dependent] = dependents {
            Notice::notice(format!("drop cascades to {}", self.describe_oid(dependent.oid)))
        } else {
            let mut notice = Notice::notice(format!("drop cascades to {} other objects", dependents.len()));
            let lines =
                dependents.iter().map(|dependent| format!("drop cascades to {}", self.describe_oid(dependent.oid)));
            notice.message.detail = Some(report(lines));
            notice
        };
        self.notices.push(notice);
        Ok(())
    }

    fn depends_line(&self, dependent: &Dependent) -> String {
        let on = match &dependent.because {
            Cause::Object(oid) => self.describe_oid(*oid),
            Cause::Column(description) => description.clone(),
        };
        format!("{} depends on {on}", self.describe_oid(dependent.oid))
    }

    pub(super) fn describe_oid(&self, oid: Oid) -> String {
        self.catalog().get(oid).map_or_else(|| format!("object {oid}"), |object| self.describe(object))
    }
}

/// Lines of a DETAIL, cut off where PostgreSQL cuts them off.
pub(super) fn report(lines: impl ExactSizeIterator<Item = String>) -> String {
    let rest = lines.len().saturating_sub(REPORTED_MAX);
    let mut text = lines.take(REPORTED_MAX).collect::<Vec<_>>().join("\n");
    if rest > 0 {
        let objects = if rest == 1 { "object" } else { "objects" };
        text.push_str(&format!("\nand {rest} other {objects}"));
    }
    text
}
