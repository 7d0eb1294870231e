//! Schemas, relations and their columns: `pg_namespace`, `pg_class`, `pg_attribute` and what hangs on them.

use super::super::context::{
    AnyRelation, PG_TOAST_OID, PgCatalogContext, constraint_oid, index_oid, primary_key_name, primary_key_numbers,
};
use super::super::facts::{ColumnFact, Relation, TypeFact, facts};
use super::foreign::option_texts;
use super::{Cell, Rows, oid_key, vector};
use crate::catalog::Oid;
use crate::catalog::model::{
    BOOTSTRAP_SUPERUSER_OID, Column, ForeignTable, INFORMATION_SCHEMA_OID, Object, PG_CATALOG_OID,
};

/// `btree`, and the table access method `heap`, in `pg_am`.
const BTREE_OID: Oid = 403;
const HEAP_OID: Oid = 2;
/// OIDs of the catalogs that name objects by (classoid, objoid).
pub(in super::super) const CLASS_CLASS: Oid = 1259;
pub(in super::super) const NAMESPACE_CLASS: Oid = 2615;
pub(in super::super) const WRAPPER_CLASS: Oid = 2328;
pub(in super::super) const SERVER_CLASS: Oid = 1417;
pub(in super::super) const DATABASE_CLASS: Oid = 1262;
pub(in super::super) const ROLE_CLASS: Oid = 1260;
const REWRITE_CLASS: Oid = 2618;
/// OIDs of views' `_RETURN` rules: the view's with these bits.
const RULE_OIDS: Oid = 0x4000_0000;

/// `pg_namespace`.
pub(super) fn namespaces(context: &PgCatalogContext, rows: &mut Rows) {
    let superuser = context.bootstrap_name();
    let public_usage = || vec![format!("{superuser}=UC/{superuser}"), format!("=U/{superuser}")];
    let system = [
        (PG_CATALOG_OID, "pg_catalog", Some(public_usage())),
        (PG_TOAST_OID, "pg_toast", None),
        (INFORMATION_SCHEMA_OID, "information_schema", Some(public_usage())),
    ];
    for (oid, name, acl) in &system {
        rows.push(|column| match column {
            "oid" => (*oid).into(),
            "nspname" => (*name).into(),
            "nspowner" => BOOTSTRAP_SUPERUSER_OID.into(),
            "nspacl" => acl.clone().into(),
            _ => Cell::Unset,
        });
    }
    for object in context.catalog.objects() {
        let Object::Schema(schema) = object.as_ref() else { continue };
        let header = &schema.header;
        if system.iter().any(|(oid, name, _)| *oid == header.oid || *name == header.name) {
            continue;
        }
        rows.push(|column| match column {
            "oid" => header.oid.into(),
            "nspname" => header.name.as_str().into(),
            "nspowner" => header.owner.into(),
            "nspacl" => context.acl_texts(header.acl.as_ref()).into(),
            _ => Cell::Unset,
        });
    }
}

/// `pg_class`.
pub(super) fn classes(context: &PgCatalogContext, rows: &mut Rows) {
    if let Some(oid) = oid_key(rows, "oid") {
        if let Some(relation) = context.relation(oid) {
            class(context, rows, relation);
        }
        return;
    }
    for relation in &facts().relations {
        class(context, rows, AnyRelation::System(relation));
    }
    for relation in context.user_relations() {
        class(context, rows, relation);
    }
    for table in context.keyed_tables() {
        class(context, rows, AnyRelation::PrimaryKey(table));
    }
}

fn class(context: &PgCatalogContext, rows: &mut Rows, relation: AnyRelation<'_>) {
    match relation {
        AnyRelation::System(system) => system_class(context, rows, system),
        AnyRelation::PrimaryKey(table) => key_class(rows, table),
        AnyRelation::Table(_) | AnyRelation::View(_) => user_class(context, rows, relation),
    }
}

fn system_class(context: &PgCatalogContext, rows: &mut Rows, relation: &'static Relation) {
    if rows.skips("relnamespace", relation.namespace()) || rows.skips_text("relname", relation.name) {
        return;
    }
    let superuser = context.bootstrap_name();
    rows.push(|column| match column {
        "oid" => relation.oid.into(),
        "relname" => relation.name.into(),
        "relnamespace" => relation.namespace().into(),
        "relowner" => BOOTSTRAP_SUPERUSER_OID.into(),
        "relam" => (if relation.kind == "r" { HEAP_OID } else { 0 }).into(),
        "relfilenode" => (if relation.kind == "r" { relation.oid } else { 0 }).into(),
        "reltuples" => Cell::Float(-1.0),
        "relkind" => relation.kind.into(),
        "relpersistence" => "p".into(),
        "relreplident" => "n".into(),
        "relnatts" => Cell::Int(i64::try_from(relation.columns.len()).unwrap_or_default()),
        "relhasrules" => (relation.kind == "v").into(),
        "relispopulated" => true.into(),
        "relacl" => vec![format!("{superuser}=arwdDxt/{superuser}"), format!("=r/{superuser}")].into(),
        "relfrozenxid" | "relminmxid" => Cell::Int(i64::from(relation.kind == "r")),
        _ => Cell::Unset,
    });
}

fn user_class(context: &PgCatalogContext, rows: &mut Rows, relation: AnyRelation<'_>) {
    let Some(header) = relation.header() else { return };
    if rows.skips("relnamespace", relation.namespace()) || rows.skips_text("relname", &header.name) {
        return;
    }
    let is_view = matches!(relation, AnyRelation::View(_));
    let options = match relation {
        AnyRelation::View(view) => view.shown_options(),
        _ => Vec::new(),
    };
    rows.push(|column| match column {
        "oid" => header.oid.into(),
        "relname" => header.name.as_str().into(),
        "relnamespace" => relation.namespace().into(),
        "relowner" => header.owner.into(),
        "reltuples" => Cell::Float(-1.0),
        "relkind" => (match (is_view, context.foreign_as_tables) {
            (true, _) => "v",
            (false, true) => "r",
            (false, false) => "f",
        })
        .into(),
        "relam" if !is_view && context.foreign_as_tables => HEAP_OID.into(),
        "relpersistence" => "p".into(),
        "relreplident" => "n".into(),
        "relnatts" => match relation {
            // Numbers of dropped columns count, as in PostgreSQL.
            AnyRelation::Table(table) => (table.next_number - 1).into(),
            _ => relation.columns().iter().map(|column| column.number).max().unwrap_or(0).into(),
        },
        "relhasrules" => is_view.into(),
        "relispopulated" => true.into(),
        "relacl" => context.acl_texts(header.acl.as_ref()).into(),
        "reloptions" => (!options.is_empty()).then(|| options.clone()).into(),
        _ => Cell::Unset,
    });
}

/// The index that stands for a declared primary key. The table itself says `relhasindex = false`, so that `\d` prints what
/// PostgreSQL prints for a foreign table, while drivers that ask `pg_index` for the key find it.
fn key_class(rows: &mut Rows, table: &ForeignTable) {
    let name = primary_key_name(table);
    if rows.skips("relnamespace", table.schema) || rows.skips_text("relname", &name) {
        return;
    }
    rows.push(|column| match column {
        "oid" => index_oid(table).into(),
        "relname" => name.clone().into(),
        "relnamespace" => table.schema.into(),
        "relowner" => table.header.owner.into(),
        "relam" => BTREE_OID.into(),
        "relkind" => "i".into(),
        "relpersistence" => "p".into(),
        "relreplident" => "n".into(),
        "relnatts" => Cell::Int(i64::try_from(table.primary_key.len()).unwrap_or_default()),
        "relispopulated" => true.into(),
        _ => Cell::Unset,
    });
}

/// `pg_attribute`.
pub(super) fn attributes(context: &PgCatalogContext, rows: &mut Rows) {
    if let Some(oid) = oid_key(rows, "attrelid") {
        if let Some(relation) = context.relation(oid) {
            attributes_of(context, rows, relation);
        }
        return;
    }
    for relation in &facts().relations {
        attributes_of(context, rows, AnyRelation::System(relation));
    }
    for relation in context.user_relations() {
        attributes_of(context, rows, relation);
    }
    for table in context.keyed_tables() {
        attributes_of(context, rows, AnyRelation::PrimaryKey(table));
    }
}

fn attributes_of(context: &PgCatalogContext, rows: &mut Rows, relation: AnyRelation<'_>) {
    match relation {
        AnyRelation::System(system) => {
            for (number, column) in (1_i64..).zip(&system.columns) {
                system_attribute(rows, system, number, column);
            }
        }
        AnyRelation::PrimaryKey(table) => {
            let key = |name: &String| table.columns.iter().find(|column| column.name == *name);
            for (number, column) in (1_i64..).zip(table.primary_key.iter().filter_map(key)) {
                attribute(context, rows, &Attribute { relation: index_oid(table), number, column, index: true });
            }
        }
        AnyRelation::Table(_) | AnyRelation::View(_) => {
            for column in relation.columns() {
                let number = i64::from(column.number);
                attribute(context, rows, &Attribute { relation: relation.oid(), number, column, index: false });
            }
        }
    }
}

/// What `pg_attribute` copies from `pg_type`.
fn type_cell(fact: Option<&TypeFact>, is_array: bool, column: &str) -> Cell<'static> {
    match (column, fact) {
        ("attlen", fact) => fact.map_or(-1, |fact| fact.length).into(),
        ("attbyval", fact) => fact.is_some_and(|fact| fact.by_value).into(),
        ("attalign", fact) => fact.map_or("i", |fact| fact.align).into(),
        ("attstorage", fact) => fact.map_or("x", |fact| fact.storage).into(),
        ("attcollation", fact) => fact.map_or(0, |fact| fact.collation).into(),
        ("attndims", _) => i32::from(is_array).into(),
        ("attstattarget", _) => (-1).into(),
        ("attcacheoff", _) => (-1).into(),
        ("attislocal", _) => true.into(),
        _ => Cell::Unset,
    }
}

fn system_attribute(rows: &mut Rows, relation: &'static Relation, number: i64, column: &'static ColumnFact) {
    if rows.skips("attnum", number) || rows.skips_text("attname", column.name) {
        return;
    }
    let fact = facts().type_by_oid(column.type_oid);
    let is_array = fact.is_some_and(|fact| fact.name.starts_with('_'));
    rows.push(|name| match name {
        "attrelid" => relation.oid.into(),
        "attname" => column.name.into(),
        "atttypid" => column.type_oid.into(),
        "attnum" => Cell::Int(number),
        "atttypmod" => (-1).into(),
        "attnotnull" => column.not_null.into(),
        // Text in the system catalogs is compared in "C".
        "attcollation" => fact.map_or(0, |fact| if fact.collation == 0 { 0 } else { 950 }).into(),
        other => type_cell(fact, is_array, other),
    });
}

struct Attribute<'a> {
    relation: Oid,
    number: i64,
    column: &'a Column,
    index: bool,
}

fn attribute(context: &PgCatalogContext, rows: &mut Rows, attribute: &Attribute<'_>) {
    let column = attribute.column;
    if rows.skips("attnum", attribute.number) || rows.skips_text("attname", &column.name) {
        return;
    }
    let fact = facts().type_by_oid(column.data_type.oid);
    let is_enum = !column.data_type.labels().is_empty() && !column.data_type.is_array();
    rows.push(|name| match name {
        "attrelid" => attribute.relation.into(),
        "attname" => column.name.as_str().into(),
        "atttypid" => column.data_type.oid.into(),
        "attnum" => Cell::Int(attribute.number),
        "atttypmod" => column.data_type.modifier.into(),
        "attnotnull" => (column.not_null && !attribute.index).into(),
        "attlen" if is_enum => 4.into(),
        "attbyval" if is_enum => true.into(),
        "attstorage" if is_enum => "p".into(),
        "attacl" if !attribute.index => context.acl_texts(column.acl.as_ref()).into(),
        "attfdwoptions" if !attribute.index => option_texts(&column.options).into(),
        other => type_cell(fact, column.data_type.is_array(), other),
    });
}

/// `pg_index`.
pub(super) fn indexes(context: &PgCatalogContext, rows: &mut Rows) {
    for table in context.keyed_tables() {
        if rows.skips("indrelid", table.header.oid) || rows.skips("indexrelid", index_oid(table)) {
            continue;
        }
        let numbers = primary_key_numbers(table);
        let count = i64::try_from(numbers.len()).unwrap_or_default();
        rows.push(|column| match column {
            "indexrelid" => index_oid(table).into(),
            "indrelid" => table.header.oid.into(),
            "indnatts" | "indnkeyatts" => Cell::Int(count),
            "indisunique" | "indisprimary" | "indimmediate" | "indisvalid" | "indisready" | "indislive" => true.into(),
            "indkey" => vector(&numbers).into(),
            "indcollation" | "indclass" | "indoption" => vector(numbers.iter().map(|_| 0)).into(),
            _ => Cell::Unset,
        });
    }
}

/// `pg_constraint`.
pub(super) fn constraints(context: &PgCatalogContext, rows: &mut Rows) {
    for table in context.keyed_tables() {
        if rows.skips("conrelid", table.header.oid) || rows.skips("oid", constraint_oid(table)) {
            continue;
        }
        rows.push(|column| match column {
            "oid" => constraint_oid(table).into(),
            "conname" => primary_key_name(table).into(),
            "connamespace" => table.schema.into(),
            "contype" => "p".into(),
            "convalidated" | "conislocal" | "connoinherit" => true.into(),
            "conrelid" => table.header.oid.into(),
            "conindid" => index_oid(table).into(),
            "confupdtype" | "confdeltype" | "confmatchtype" => " ".into(),
            "conkey" => Cell::Ints(primary_key_numbers(table).into_iter().map(i64::from).collect()),
            _ => Cell::Unset,
        });
    }
}

/// `pg_description`: comments on everything but databases and roles.
pub(super) fn descriptions(context: &PgCatalogContext, rows: &mut Rows) {
    let mut push = |class: Oid, oid: Oid, number: i16, comment: &str| {
        if rows.skips("classoid", class) || rows.skips("objoid", oid) || rows.skips("objsubid", number) {
            return;
        }
        rows.push(|column| match column {
            "objoid" => oid.into(),
            "classoid" => class.into(),
            "objsubid" => number.into(),
            "description" => comment.to_owned().into(),
            _ => Cell::Unset,
        });
    };
    for object in context.catalog.objects() {
        let class = match object.as_ref() {
            Object::Schema(_) => NAMESPACE_CLASS,
            Object::Wrapper(_) => WRAPPER_CLASS,
            Object::Server(_) => SERVER_CLASS,
            Object::ForeignTable(_) | Object::View(_) => CLASS_CLASS,
            Object::Role(_) | Object::Database(_) | Object::UserMapping(_) => continue,
        };
        let header = object.header();
        if let Some(comment) = &header.comment {
            push(class, header.oid, 0, comment);
        }
        for column in object.columns() {
            if let Some(comment) = &column.comment {
                push(class, header.oid, column.number, comment);
            }
        }
    }
}

/// `pg_rewrite`: each view's `_RETURN` rule.
pub(super) fn rewrites(context: &PgCatalogContext, rows: &mut Rows) {
    for relation in context.user_relations() {
        let AnyRelation::View(view) = relation else { continue };
        rows.push(|column| match column {
            "oid" => (RULE_OIDS | view.header.oid).into(),
            "rulename" => "_RETURN".into(),
            "ev_class" => view.header.oid.into(),
            "ev_type" => "1".into(),
            "ev_enabled" => "O".into(),
            "is_instead" => true.into(),
            _ => Cell::Unset,
        });
    }
}

/// `pg_depend`: what each object cannot be without, views through their rule as in PostgreSQL.
pub(super) fn dependencies(context: &PgCatalogContext, rows: &mut Rows) {
    let mut push = |from: (Oid, Oid, i16), to: (Oid, Oid, i16), kind: &'static str| {
        rows.push(|column| match column {
            "classid" => from.0.into(),
            "objid" => from.1.into(),
            "objsubid" => from.2.into(),
            "refclassid" => to.0.into(),
            "refobjid" => to.1.into(),
            "refobjsubid" => to.2.into(),
            "deptype" => kind.into(),
            _ => Cell::Unset,
        });
    };
    for object in context.catalog.objects() {
        let oid = object.header().oid;
        match object.as_ref() {
            Object::Server(server) => push((SERVER_CLASS, oid, 0), (WRAPPER_CLASS, server.wrapper, 0), "n"),
            Object::ForeignTable(table) => {
                push((CLASS_CLASS, oid, 0), (NAMESPACE_CLASS, table.schema, 0), "n");
                push((CLASS_CLASS, oid, 0), (SERVER_CLASS, table.server, 0), "n");
            }
            Object::View(view) => {
                let rule = RULE_OIDS | oid;
                push((CLASS_CLASS, oid, 0), (NAMESPACE_CLASS, view.schema, 0), "n");
                push((REWRITE_CLASS, rule, 0), (CLASS_CLASS, oid, 0), "i");
                for target in &view.depends_on {
                    let class = match context.catalog.get(*target).map(AsRef::as_ref) {
                        Some(Object::Server(_)) => SERVER_CLASS,
                        _ => CLASS_CLASS,
                    };
                    push((REWRITE_CLASS, rule, 0), (class, *target, 0), "n");
                }
                for (relation, number) in &view.depends_on_columns {
                    push((REWRITE_CLASS, rule, 0), (CLASS_CLASS, *relation, *number), "n");
                }
            }
            _ => {}
        }
    }
}
