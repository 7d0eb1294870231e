//! The information schema: standard names over the same objects, each role seeing what it has privileges on.

mod columns;
mod foreign;
mod grants;

use super::super::context::{AnyRelation, PgCatalogContext, primary_key_name, primary_key_numbers};
use super::super::facts::facts;
use super::super::functions::view_definition;
use super::{Cell, Filler, Rows, yes_no};
use crate::catalog::Oid;
use crate::catalog::model::{BOOTSTRAP_SUPERUSER_OID, INFORMATION_SCHEMA_OID, Object, PG_CATALOG_OID, Privilege};

use super::super::context::PG_TOAST_OID;

/// What fills in a relation; `None`: it is always empty in Atoll.
pub(super) fn filler(name: &str) -> Option<Filler> {
    Some(match name {
        "information_schema_catalog_name" => catalog_name,
        "schemata" => schemata,
        "tables" => tables,
        "views" => views,
        "columns" => columns::columns,
        "view_table_usage" => view_table_usage,
        "view_column_usage" => view_column_usage,
        "table_constraints" => table_constraints,
        "key_column_usage" => key_column_usage,
        "constraint_column_usage" => constraint_column_usage,
        "character_sets" => character_sets,
        "collations" => collations,
        "enabled_roles" => grants::enabled_roles,
        "applicable_roles" => grants::applicable_roles,
        "administrable_role_authorizations" => grants::administrable_roles,
        "table_privileges" => grants::table_privileges,
        "role_table_grants" => grants::role_table_grants,
        "column_privileges" => grants::column_privileges,
        "role_column_grants" => grants::role_column_grants,
        "usage_privileges" => grants::usage_privileges,
        "role_usage_grants" => grants::role_usage_grants,
        "foreign_data_wrappers" => foreign::wrappers,
        "foreign_data_wrapper_options" => foreign::wrapper_options,
        "foreign_servers" => foreign::servers,
        "foreign_server_options" => foreign::server_options,
        "foreign_tables" => foreign::tables,
        "foreign_table_options" => foreign::table_options,
        "column_options" => foreign::column_options,
        "user_mappings" => foreign::mappings,
        "user_mapping_options" => foreign::mapping_options,
        _ => return None,
    })
}

fn catalog_name(context: &PgCatalogContext, rows: &mut Rows) {
    rows.push(|_| context.database.as_str().into());
}

/// Whether the current user has the privileges of an owner.
fn owns(context: &PgCatalogContext, owner: Oid) -> bool {
    context.has_role(context.current_user, owner)
}

fn schemata(context: &PgCatalogContext, rows: &mut Rows) {
    let system = [
        (PG_CATALOG_OID, "pg_catalog", BOOTSTRAP_SUPERUSER_OID, true),
        (PG_TOAST_OID, "pg_toast", BOOTSTRAP_SUPERUSER_OID, owns(context, BOOTSTRAP_SUPERUSER_OID)),
        (INFORMATION_SCHEMA_OID, "information_schema", BOOTSTRAP_SUPERUSER_OID, true),
    ];
    let ours = context.catalog.objects().filter_map(|object| match object.as_ref() {
        Object::Schema(schema) if !system.iter().any(|(_, name, _, _)| *name == schema.header.name) => {
            let may = |privilege| context.has_privilege(context.current_user, object, privilege, false);
            let shown = owns(context, schema.header.owner) || may(Privilege::Create) || may(Privilege::Usage);
            Some((schema.header.oid, schema.header.name.as_str(), schema.header.owner, shown))
        }
        _ => None,
    });
    for (_, name, owner, _) in system.into_iter().chain(ours).filter(|(_, _, _, shown)| *shown) {
        rows.push(|column| match column {
            "catalog_name" => context.database.as_str().into(),
            "schema_name" => name.into(),
            "schema_owner" => context.catalog.role_name(owner).into(),
            _ => Cell::Null,
        });
    }
}

/// All relations that the current user may see here: foreign tables and views, then the system catalogs.
fn visible_relations<'a>(context: &'a PgCatalogContext, rows: &Rows) -> Vec<AnyRelation<'a>> {
    let system = facts().relations.iter().map(AnyRelation::System);
    let all = context.user_relations().chain(system);
    all.filter(|relation| {
        !rows.skips_text("table_name", &relation.name())
            && !rows.skips_text("table_schema", context.schema_name(relation.namespace()).unwrap_or_default())
            && context.may_see_relation(relation)
    })
    .collect()
}

fn tables(context: &PgCatalogContext, rows: &mut Rows) {
    for relation in visible_relations(context, rows) {
        let kind = match relation {
            AnyRelation::Table(_) if context.foreign_as_tables => "BASE TABLE",
            AnyRelation::Table(_) | AnyRelation::PrimaryKey(_) => "FOREIGN",
            AnyRelation::View(_) => "VIEW",
            AnyRelation::System(system) if system.kind == "v" => "VIEW",
            AnyRelation::System(_) => "BASE TABLE",
        };
        rows.push(|column| match column {
            "table_type" => kind.into(),
            "is_insertable_into" | "is_typed" => yes_no(false),
            other => relation_cell(context, relation, other),
        });
    }
}

/// `table_catalog`, `table_schema`, `table_name`.
fn relation_cell<'a>(context: &'a PgCatalogContext, relation: AnyRelation<'a>, column: &str) -> Cell<'a> {
    match column {
        "table_catalog" => context.database.as_str().into(),
        "table_schema" => context.schema_name(relation.namespace()).into(),
        "table_name" => relation.name().into(),
        _ => Cell::Null,
    }
}

fn views(context: &PgCatalogContext, rows: &mut Rows) {
    for relation in visible_relations(context, rows) {
        let view = match relation {
            AnyRelation::View(view) => Some(view),
            AnyRelation::System(system) if system.kind == "v" => None,
            _ => continue,
        };
        rows.push(|column| match column {
            "view_definition" => {
                view.filter(|view| owns(context, view.header.owner)).map(|view| view_definition(context, view)).into()
            }
            "check_option" => "NONE".into(),
            "is_updatable"
            | "is_insertable_into"
            | "is_trigger_updatable"
            | "is_trigger_deletable"
            | "is_trigger_insertable_into" => yes_no(false),
            other => relation_cell(context, relation, other),
        });
    }
}

/// The relations that views read, to the views' and relations' owners.
fn view_table_usage(context: &PgCatalogContext, rows: &mut Rows) {
    for relation in context.user_relations() {
        let AnyRelation::View(view) = relation else { continue };
        let read = view.depends_on.iter().filter_map(|oid| context.relation(*oid));
        for target in read.filter(|target| target.header().is_some_and(|header| owns(context, header.owner))) {
            rows.push(|column| match column {
                "view_catalog" => context.database.as_str().into(),
                "view_schema" => context.schema_name(view.schema).into(),
                "view_name" => view.header.name.as_str().into(),
                other => relation_cell(context, target, other),
            });
        }
    }
}

fn view_column_usage(context: &PgCatalogContext, rows: &mut Rows) {
    for relation in context.user_relations() {
        let AnyRelation::View(view) = relation else { continue };
        for (oid, number) in &view.depends_on_columns {
            let Some(target) = context.relation(*oid) else { continue };
            let column = target.columns().iter().find(|column| column.number == *number);
            let (Some(column), true) = (column, target.header().is_some_and(|header| owns(context, header.owner)))
            else {
                continue;
            };
            rows.push(|name| match name {
                "view_catalog" => context.database.as_str().into(),
                "view_schema" => context.schema_name(view.schema).into(),
                "view_name" => view.header.name.as_str().into(),
                "column_name" => column.name.as_str().into(),
                other => relation_cell(context, target, other),
            });
        }
    }
}

/// The keys of tables that the current user may do more with than read, as in PostgreSQL; then `constraint_…` cells.
fn shown_keys(context: &PgCatalogContext) -> impl Iterator<Item = AnyRelation<'_>> {
    context.keyed_tables().map(AnyRelation::Table).filter(|relation| context.may_see_relation(relation))
}

fn constraint_cell<'a>(context: &'a PgCatalogContext, relation: AnyRelation<'a>, column: &str) -> Cell<'a> {
    match (column, relation) {
        ("constraint_catalog", _) => context.database.as_str().into(),
        ("constraint_schema", _) => context.schema_name(relation.namespace()).into(),
        ("constraint_name", AnyRelation::Table(table)) => primary_key_name(table).into(),
        _ => relation_cell(context, relation, column),
    }
}

fn table_constraints(context: &PgCatalogContext, rows: &mut Rows) {
    for relation in shown_keys(context) {
        rows.push(|column| match column {
            "constraint_type" => "PRIMARY KEY".into(),
            "is_deferrable" | "initially_deferred" => yes_no(false),
            "enforced" => yes_no(true),
            other => constraint_cell(context, relation, other),
        });
    }
}

fn key_column_usage(context: &PgCatalogContext, rows: &mut Rows) {
    for relation in shown_keys(context) {
        let AnyRelation::Table(table) = relation else { continue };
        for (position, name) in (1_i64..).zip(&table.primary_key) {
            rows.push(|column| match column {
                "column_name" => name.as_str().into(),
                "ordinal_position" => Cell::Int(position),
                other => constraint_cell(context, relation, other),
            });
        }
    }
}

fn constraint_column_usage(context: &PgCatalogContext, rows: &mut Rows) {
    for relation in shown_keys(context).filter(|r| r.header().is_some_and(|header| owns(context, header.owner))) {
        let AnyRelation::Table(table) = relation else { continue };
        let numbers = primary_key_numbers(table);
        for key in table.columns.iter().filter(|column| numbers.contains(&column.number)) {
            rows.push(|column| match column {
                "column_name" => key.name.as_str().into(),
                other => constraint_cell(context, relation, other),
            });
        }
    }
}

fn character_sets(context: &PgCatalogContext, rows: &mut Rows) {
    rows.push(|column| match column {
        "character_set_name" | "form_of_use" => "UTF8".into(),
        "character_repertoire" => "UCS".into(),
        "default_collate_catalog" => context.database.as_str().into(),
        "default_collate_schema" => "pg_catalog".into(),
        "default_collate_name" => "C.UTF-8".into(),
        _ => Cell::Null,
    });
}

fn collations(context: &PgCatalogContext, rows: &mut Rows) {
    for row in facts().rows("pg_collation") {
        rows.push(|column| match column {
            "collation_catalog" => context.database.as_str().into(),
            "collation_schema" => "pg_catalog".into(),
            "collation_name" => row.get(1).copied().into(),
            "pad_attribute" => "NO PAD".into(),
            _ => Cell::Null,
        });
    }
}
