//! PostgreSQL's own readable views over its catalogs.

use super::super::context::{AnyRelation, PgCatalogContext, primary_key_name};
use super::super::facts::facts;
use super::super::functions::{index_definition, view_definition};
use super::{Cell, Rows};

/// `pg_views`. Definitions of the system views are left out: they are not views here.
pub(super) fn views(context: &PgCatalogContext, rows: &mut Rows) {
    let superuser = context.bootstrap_name();
    for relation in facts().relations.iter().filter(|relation| relation.kind == "v") {
        rows.push(|column| match column {
            "schemaname" => relation.schema.into(),
            "viewname" => relation.name.into(),
            "viewowner" => superuser.as_str().into(),
            _ => Cell::Unset,
        });
    }
    for relation in context.user_relations() {
        let AnyRelation::View(view) = relation else { continue };
        rows.push(|column| match column {
            "schemaname" => context.schema_name(view.schema).into(),
            "viewname" => view.header.name.as_str().into(),
            "viewowner" => context.catalog.role_name(view.header.owner).into(),
            "definition" => view_definition(context, view).into(),
            _ => Cell::Unset,
        });
    }
}

/// `pg_tables`: as in PostgreSQL without foreign tables, so only the system catalogs, unless they are shown as tables.
pub(super) fn tables(context: &PgCatalogContext, rows: &mut Rows) {
    let superuser = context.bootstrap_name();
    for relation in facts().relations.iter().filter(|relation| relation.kind == "r") {
        rows.push(|column| match column {
            "schemaname" => relation.schema.into(),
            "tablename" => relation.name.into(),
            "tableowner" => superuser.as_str().into(),
            "hasindexes" | "hasrules" | "hastriggers" | "rowsecurity" => false.into(),
            _ => Cell::Unset,
        });
    }
    for relation in context.user_relations().filter(|_| context.foreign_as_tables) {
        let AnyRelation::Table(table) = relation else { continue };
        rows.push(|column| match column {
            "schemaname" => context.schema_name(table.schema).into(),
            "tablename" => table.header.name.as_str().into(),
            "tableowner" => context.catalog.role_name(table.header.owner).into(),
            "hasindexes" | "hasrules" | "hastriggers" | "rowsecurity" => false.into(),
            _ => Cell::Unset,
        });
    }
}

/// `pg_indexes`: the keys that sources declared.
pub(super) fn indexes(context: &PgCatalogContext, rows: &mut Rows) {
    for table in context.keyed_tables() {
        rows.push(|column| match column {
            "schemaname" => context.schema_name(table.schema).into(),
            "tablename" => table.header.name.as_str().into(),
            "indexname" => primary_key_name(table).into(),
            "indexdef" => index_definition(context, table).into(),
            _ => Cell::Unset,
        });
    }
}
