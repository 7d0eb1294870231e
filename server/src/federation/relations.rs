//! Names of relations: what a query's `FROM` means under a search path.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{Ident, ObjectName, ObjectNamePart, Query, TableFactor, Visit, Visitor};

use super::pg_catalog;
use crate::catalog::{Catalog, Object};
use crate::error::{SqlError, SqlResult, SqlState};

/// Where names are looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameScope {
    /// The one database.
    pub database: String,
    /// The server whose live catalog the session is connected to (`\c server`), instead of the database.
    pub live: Option<String>,
    /// Schemas in order, `"$user"` replaced.
    pub search_path: Vec<String>,
}

/// What a relation's name means.
#[derive(Debug, Clone)]
pub enum Resolved {
    /// A foreign table or view of the database.
    Stored(Arc<Object>),
    /// A system table: schema and name.
    System(&'static str, String),
    /// Tables of a server's live catalog.
    Live {
        /// The server.
        server: String,
        /// Schema and table, to be tried in order.
        candidates: Vec<(String, String)>,
    },
}

/// `42P01`.
pub fn undefined(name: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist"))
}

impl NameScope {
    /// Resolves a relation's name of one, two or three parts.
    ///
    /// # Errors
    /// `42P01`, with a hint where the name looks like one of a server's.
    pub fn resolve(&self, catalog: &Catalog, parts: &[String]) -> SqlResult<Resolved> {
        match parts {
            [name] => self.unqualified(catalog, name),
            [schema, name] => self.qualified(catalog, schema, name),
            [database, schema, name] if *database == self.database => {
                NameScope { live: None, ..self.clone() }.qualified(catalog, schema, name)
            }
            [server, schema, name] if catalog.server(server).is_some() => {
                if let Some(system) = system_schema(schema) {
                    return Ok(Resolved::System(system, name.clone()));
                }
                Ok(Resolved::Live { server: server.clone(), candidates: vec![(schema.clone(), name.clone())] })
            }
            [server, ..] if parts.len() == 3 => {
                Err(undefined(&parts.join(".")).detail(format!("There is no database or foreign server \"{server}\".")))
            }
            _ => Err(SqlError::syntax(format!("improper qualified name (too many dotted names): {}", parts.join(".")))),
        }
    }

    fn unqualified(&self, catalog: &Catalog, name: &str) -> SqlResult<Resolved> {
        if pg_catalog::is_system_table(name) {
            return Ok(Resolved::System("pg_catalog", name.to_owned()));
        }
        if let Some(server) = &self.live {
            let candidates = self.search_path.iter().map(|schema| (schema.clone(), name.to_owned())).collect();
            return Ok(Resolved::Live { server: server.clone(), candidates });
        }
        self.search_path
            .iter()
            .filter_map(|schema| catalog.schema(schema))
            .find_map(|schema| catalog.relation(schema.header.oid, name))
            .map(|object| Resolved::Stored(Arc::clone(object)))
            .ok_or_else(|| undefined(name))
    }

    fn qualified(&self, catalog: &Catalog, schema: &str, name: &str) -> SqlResult<Resolved> {
        if let Some(system) = system_schema(schema) {
            return Ok(Resolved::System(system, name.to_owned()));
        }
        if let Some(server) = &self.live {
            let candidates = vec![(schema.to_owned(), name.to_owned())];
            return Ok(Resolved::Live { server: server.clone(), candidates });
        }
        let found = catalog.schema(schema).and_then(|schema| catalog.relation(schema.header.oid, name));
        found.map(|object| Resolved::Stored(Arc::clone(object))).ok_or_else(|| {
            let error = undefined(&format!("{schema}.{name}"));
            if catalog.schema(schema).is_none() && catalog.server(schema).is_some() {
                return error.hint(format!(
                    "\"{schema}\" is a foreign server: its tables have three-part names, server.schema.table."
                ));
            }
            error
        })
    }
}

fn system_schema(schema: &str) -> Option<&'static str> {
    match schema {
        "pg_catalog" => Some("pg_catalog"),
        "information_schema" => Some("information_schema"),
        _ => None,
    }
}

/// A name that a query uses as a relation: its parts, folded, and where it stands (line and column from 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelationName {
    /// Folded parts.
    pub parts: Vec<String>,
    /// Line and column of its first part, from 1; 0 where unknown.
    pub location: (u64, u64),
}

/// Every relation that a query names, CTEs' names too, once each.
pub fn relation_names(query: &Query) -> Vec<RelationName> {
    struct Collector(BTreeMap<Vec<String>, RelationName>);
    impl Visitor for Collector {
        type Break = ();

        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            if let TableFactor::Table { name, args: None, .. } = factor {
                let parts = folded_parts(name);
                let location = name.0.first().and_then(ObjectNamePart::as_ident).map_or((0, 0), location);
                self.0.entry(parts.clone()).or_insert(RelationName { parts, location });
            }
            ControlFlow::Continue(())
        }
    }
    let mut collector = Collector(BTreeMap::new());
    let _ = query.visit(&mut collector);
    collector.0.into_values().collect()
}

fn location(ident: &Ident) -> (u64, u64) {
    (ident.span.start.line, ident.span.start.column)
}

/// The parts of a name, folded as PostgreSQL folds.
pub fn folded_parts(name: &ObjectName) -> Vec<String> {
    name.0
        .iter()
        .filter_map(ObjectNamePart::as_ident)
        .map(|ident| if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() })
        .collect()
}

/// The names of a query's common table expressions, wherever they stand.
pub fn cte_names(query: &Query) -> Vec<String> {
    struct Collector(Vec<String>);
    impl Visitor for Collector {
        type Break = ();

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
                let ident = &cte.alias.name;
                let name = if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() };
                self.0.push(name);
            }
            ControlFlow::Continue(())
        }
    }
    let mut collector = Collector(Vec::new());
    let _ = query.visit(&mut collector);
    collector.0
}

/// The character position, from 1, of a line and column in a text; `None` where it has no such place.
pub fn position(text: &str, (line, column): (u64, u64)) -> Option<usize> {
    let line = usize::try_from(line).ok()?.checked_sub(1)?;
    let column = usize::try_from(column).ok()?;
    let before: usize = text.split_inclusive('\n').take(line).map(|line| line.chars().count()).sum();
    (column > 0).then_some(before + column)
}
