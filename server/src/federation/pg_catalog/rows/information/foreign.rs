//! SQL/MED's part of the information schema.

use super::super::super::context::{AnyRelation, PgCatalogContext};
use super::super::foreign::shows_options;
use super::super::roles::HIDDEN;
use super::super::{Cell, Rows};
use super::owns;
use crate::catalog::model::{
    ForeignDataWrapper, ForeignServer, ForeignTable, Object, PUBLIC_ROLE, Privilege, StoredOption, UserMapping,
};

/// Whether the current user owns the object or has its USAGE.
fn usable(context: &PgCatalogContext, object: &Object) -> bool {
    owns(context, object.header().owner) || context.has_privilege(context.current_user, object, Privilege::Usage, false)
}

fn shown_wrappers(context: &PgCatalogContext) -> impl Iterator<Item = &ForeignDataWrapper> {
    context.catalog.objects().filter_map(|object| match object.as_ref() {
        Object::Wrapper(wrapper) if usable(context, object) => Some(wrapper),
        _ => None,
    })
}

fn shown_servers(context: &PgCatalogContext) -> impl Iterator<Item = &ForeignServer> {
    context.catalog.objects().filter_map(|object| match object.as_ref() {
        Object::Server(server) if usable(context, object) => Some(server),
        _ => None,
    })
}

fn shown_tables(context: &PgCatalogContext) -> impl Iterator<Item = &ForeignTable> {
    context.catalog.objects().filter_map(|object| match object.as_ref() {
        Object::ForeignTable(table) => {
            let relation = AnyRelation::Table(table);
            context.may_see_relation(&relation).then_some(table)
        }
        _ => None,
    })
}

fn shown_mappings(context: &PgCatalogContext) -> impl Iterator<Item = &UserMapping> {
    context.catalog.objects().filter_map(|object| match object.as_ref() {
        Object::UserMapping(mapping) => {
            context.catalog.get(mapping.server).is_some_and(|server| usable(context, server)).then_some(mapping)
        }
        _ => None,
    })
}

fn option_cell<'a>(option: &'a StoredOption, column: &str) -> Cell<'a> {
    match column {
        "option_name" => option.name.as_str().into(),
        "option_value" => option.value.shown().unwrap_or(HIDDEN).into(),
        _ => Cell::Null,
    }
}

fn wrapper_cell<'a>(context: &'a PgCatalogContext, wrapper: &'a ForeignDataWrapper, column: &str) -> Cell<'a> {
    match column {
        "foreign_data_wrapper_catalog" => context.database.as_str().into(),
        "foreign_data_wrapper_name" => wrapper.header.name.as_str().into(),
        "authorization_identifier" => context.catalog.role_name(wrapper.header.owner).into(),
        "foreign_data_wrapper_language" => "c".into(),
        _ => Cell::Null,
    }
}

pub(super) fn wrappers(context: &PgCatalogContext, rows: &mut Rows) {
    for wrapper in shown_wrappers(context) {
        rows.push(|column| wrapper_cell(context, wrapper, column));
    }
}

pub(super) fn wrapper_options(context: &PgCatalogContext, rows: &mut Rows) {
    for wrapper in shown_wrappers(context) {
        for option in &wrapper.options {
            rows.push(|column| match option_cell(option, column) {
                Cell::Null => wrapper_cell(context, wrapper, column),
                cell => cell,
            });
        }
    }
}

fn server_cell<'a>(context: &'a PgCatalogContext, server: &'a ForeignServer, column: &str) -> Cell<'a> {
    match column {
        "foreign_server_catalog" | "foreign_data_wrapper_catalog" => context.database.as_str().into(),
        "foreign_server_name" => server.header.name.as_str().into(),
        "foreign_data_wrapper_name" => {
            context.catalog.wrapper_by_oid(server.wrapper).map(|wrapper| wrapper.header.name.as_str()).into()
        }
        "foreign_server_type" => server.server_type.as_deref().into(),
        "foreign_server_version" => server.version.as_deref().into(),
        "authorization_identifier" => context.catalog.role_name(server.header.owner).into(),
        _ => Cell::Null,
    }
}

pub(super) fn servers(context: &PgCatalogContext, rows: &mut Rows) {
    for server in shown_servers(context) {
        rows.push(|column| server_cell(context, server, column));
    }
}

pub(super) fn server_options(context: &PgCatalogContext, rows: &mut Rows) {
    for server in shown_servers(context) {
        for option in &server.options {
            rows.push(|column| match option_cell(option, column) {
                Cell::Null => server_cell(context, server, column),
                cell => cell,
            });
        }
    }
}

fn table_cell<'a>(context: &'a PgCatalogContext, table: &'a ForeignTable, column: &str) -> Cell<'a> {
    match column {
        "foreign_table_catalog" | "foreign_server_catalog" | "table_catalog" => context.database.as_str().into(),
        "foreign_table_schema" | "table_schema" => context.schema_name(table.schema).into(),
        "foreign_table_name" | "table_name" => table.header.name.as_str().into(),
        "foreign_server_name" => {
            context.catalog.server_by_oid(table.server).map(|server| server.header.name.as_str()).into()
        }
        _ => Cell::Null,
    }
}

pub(super) fn tables(context: &PgCatalogContext, rows: &mut Rows) {
    for table in shown_tables(context) {
        rows.push(|column| table_cell(context, table, column));
    }
}

pub(super) fn table_options(context: &PgCatalogContext, rows: &mut Rows) {
    for table in shown_tables(context) {
        for option in &table.options {
            rows.push(|column| match option_cell(option, column) {
                Cell::Null => table_cell(context, table, column),
                cell => cell,
            });
        }
    }
}

pub(super) fn column_options(context: &PgCatalogContext, rows: &mut Rows) {
    for table in shown_tables(context) {
        let relation = AnyRelation::Table(table);
        for described in table.columns.iter().filter(|column| context.may_see_column(&relation, column)) {
            for option in &described.options {
                rows.push(|column| match (column, option_cell(option, column)) {
                    ("column_name", _) => described.name.as_str().into(),
                    (_, Cell::Null) => table_cell(context, table, column),
                    (_, cell) => cell,
                });
            }
        }
    }
}

fn mapping_cell<'a>(context: &'a PgCatalogContext, mapping: &'a UserMapping, column: &str) -> Cell<'a> {
    match column {
        "authorization_identifier" if mapping.user == PUBLIC_ROLE => "PUBLIC".into(),
        "authorization_identifier" => context.catalog.role_name(mapping.user).into(),
        "foreign_server_catalog" => context.database.as_str().into(),
        "foreign_server_name" => {
            context.catalog.server_by_oid(mapping.server).map(|server| server.header.name.as_str()).into()
        }
        _ => Cell::Null,
    }
}

pub(super) fn mappings(context: &PgCatalogContext, rows: &mut Rows) {
    for mapping in shown_mappings(context) {
        rows.push(|column| mapping_cell(context, mapping, column));
    }
}

pub(super) fn mapping_options(context: &PgCatalogContext, rows: &mut Rows) {
    for mapping in shown_mappings(context) {
        let shown = shows_options(context, mapping);
        for option in &mapping.options {
            rows.push(|column| match (column, option_cell(option, column)) {
                ("option_value", _) if !shown => Cell::Null,
                (_, Cell::Null) => mapping_cell(context, mapping, column),
                (_, cell) => cell,
            });
        }
    }
}
