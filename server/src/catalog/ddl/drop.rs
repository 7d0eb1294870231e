//! DROP.

use super::super::model::{FIRST_USER_OID, Object, Oid};
use super::super::privilege;
use super::Ddl;
use super::names::{is_system_schema, undefined};
use super::wrapper::wrapper_alias;
use crate::error::{Notice, SqlError, SqlResult, SqlState};
use crate::statement::ast::{Drop, DropKind, QualifiedName};

impl Ddl<'_> {
    pub(super) fn drop_objects(&mut self, drop: &Drop) -> SqlResult<&'static str> {
        match drop.kind {
            DropKind::Role => return self.drop_roles(drop),
            DropKind::Extension => return self.drop_extensions(drop),
            _ => {}
        }
        let mut named: Vec<Oid> = Vec::with_capacity(drop.names.len());
        for name in &drop.names {
            match self.droppable(drop.kind, name) {
                Ok(oid) if named.contains(&oid) => {}
                Ok(oid) => named.push(oid),
                Err(error) if drop.if_exists && is_missing(&error) => {
                    self.notices.push(Notice::skipping(SqlState::SUCCESSFUL_COMPLETION, error.message));
                }
                Err(error) => return Err(error),
            }
        }
        let what = match named.as_slice() {
            [oid] => Some(self.describe_oid(*oid)),
            _ => None,
        };
        self.remove_with_dependents(&named, what.as_deref(), drop.cascade)?;
        Ok(tag(drop.kind))
    }

    /// The object, if it may be dropped.
    fn droppable(&self, kind: DropKind, name: &QualifiedName) -> SqlResult<Oid> {
        let oid = match kind {
            DropKind::Wrapper => self.wrapper(name.name())?.header.oid,
            DropKind::Server => self.server(name.name())?.header.oid,
            DropKind::Schema => self.schema(name.name())?.header.oid,
            DropKind::ForeignTable
            | DropKind::View
            | DropKind::Table
            | DropKind::Index
            | DropKind::Sequence
            | DropKind::MaterializedView => return self.droppable_relation(kind, name),
            DropKind::Role | DropKind::Extension => return Err(SqlError::internal("dropped elsewhere")),
        };
        self.check_owner(oid)?;
        let builtin = kind == DropKind::Wrapper && oid < FIRST_USER_OID;
        if builtin || is_system_schema(oid) {
            let what = self.describe_oid(oid);
            let message = format!("cannot drop {what} because it is required by the database system");
            return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message));
        }
        Ok(oid)
    }

    fn droppable_relation(&self, kind: DropKind, name: &QualifiedName) -> SqlResult<Oid> {
        let relation = self.find_relation(name)?.ok_or_else(|| match kind {
            _ if self.is_system_relation(name) => self.system_catalog(name),
            DropKind::Index => undefined(format!("index \"{}\" does not exist", name.name())),
            DropKind::Sequence => {
                SqlError::new(SqlState::UNDEFINED_TABLE, format!("sequence \"{}\" does not exist", name.name()))
            }
            DropKind::MaterializedView => {
                let message = format!("materialized view \"{}\" does not exist", name.name());
                SqlError::new(SqlState::UNDEFINED_TABLE, message)
            }
            DropKind::ForeignTable => undefined(format!("foreign table \"{}\" does not exist", name.name())),
            DropKind::View => {
                SqlError::new(SqlState::UNDEFINED_TABLE, format!("view \"{}\" does not exist", name.name()))
            }
            _ => SqlError::new(SqlState::UNDEFINED_TABLE, format!("table \"{}\" does not exist", name.name())),
        })?;
        let wrong = |what: &str, hint: &str| {
            let article = if what.starts_with('i') { "an" } else { "a" };
            let message = format!("\"{}\" is not {article} {what}", name.name());
            Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).hint(hint))
        };
        const TO_TABLE: &str = "Use DROP FOREIGN TABLE to remove a foreign table.";
        const TO_VIEW: &str = "Use DROP VIEW to remove a view.";
        match (kind, relation.as_ref()) {
            (DropKind::ForeignTable, Object::View(_)) => return wrong("foreign table", TO_VIEW),
            (DropKind::View, Object::ForeignTable(_)) => return wrong("view", TO_TABLE),
            (DropKind::Table, Object::ForeignTable(_)) => return wrong("table", TO_TABLE),
            (DropKind::Table, Object::View(_)) => return wrong("table", TO_VIEW),
            (DropKind::Index, Object::View(_)) => return wrong("index", TO_VIEW),
            (DropKind::Index, _) => return wrong("index", TO_TABLE),
            (DropKind::Sequence, Object::View(_)) => return wrong("sequence", TO_VIEW),
            (DropKind::Sequence, _) => return wrong("sequence", TO_TABLE),
            (DropKind::MaterializedView, Object::View(_)) => return wrong("materialized view", TO_VIEW),
            (DropKind::MaterializedView, _) => return wrong("materialized view", TO_TABLE),
            _ => {}
        }
        // The schema's owner may drop what is in it.
        let schema = relation.schema().and_then(|schema| self.catalog().get(schema));
        if !schema.is_some_and(|schema| privilege::owns(self.catalog(), self.user(), schema)) {
            self.check_owner(relation.header().oid)?;
        }
        Ok(relation.header().oid)
    }

    /// PostgreSQL's wrappers are built in and stay; what a script drops with one, it would not find gone.
    fn drop_extensions(&mut self, drop: &Drop) -> SqlResult<&'static str> {
        for name in &drop.names {
            let name = name.name();
            if wrapper_alias(name).is_some() || name == "plpgsql" {
                self.notice(format!("extension \"{name}\" is built in and stays"));
                continue;
            }
            let message = format!("extension \"{name}\" does not exist");
            if !drop.if_exists {
                return Err(undefined(message));
            }
            self.notices.push(Notice::skipping(SqlState::SUCCESSFUL_COMPLETION, message));
        }
        Ok(tag(DropKind::Extension))
    }
}

/// The errors that IF EXISTS turns into notices.
pub(super) fn is_missing(error: &SqlError) -> bool {
    [SqlState::UNDEFINED_OBJECT, SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME].contains(&error.sqlstate)
}

pub(super) fn tag(kind: DropKind) -> &'static str {
    match kind {
        DropKind::Wrapper => "DROP FOREIGN DATA WRAPPER",
        DropKind::Server => "DROP SERVER",
        DropKind::ForeignTable => "DROP FOREIGN TABLE",
        DropKind::View => "DROP VIEW",
        DropKind::Schema => "DROP SCHEMA",
        DropKind::Role => "DROP ROLE",
        DropKind::Table => "DROP TABLE",
        DropKind::Index => "DROP INDEX",
        DropKind::Sequence => "DROP SEQUENCE",
        DropKind::MaterializedView => "DROP MATERIALIZED VIEW",
        DropKind::Extension => "DROP EXTENSION",
    }
}
