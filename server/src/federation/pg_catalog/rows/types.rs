//! Types, functions, and catalogs that no DDL of Atoll changes.

use std::collections::HashSet;

use atoll_connector_api::types::oids;

use super::super::context::PgCatalogContext;
use super::super::facts::{ColumnFact, facts};
use super::super::functions::documented;
use super::super::names::unquoted;
use super::{Cell, Rows};
use crate::catalog::Oid;
use crate::catalog::model::{BOOTSTRAP_SUPERUSER_OID, PG_CATALOG_OID, PUBLIC_SCHEMA_OID};

/// OIDs of enums' labels: counted up from here.
const LABEL_OIDS: Oid = 0x2000_0000;
/// OIDs of functions that PostgreSQL has no fixed one for.
const FUNCTION_OIDS: Oid = 0x5000_0000;
/// `internal`, in `pg_language`.
const INTERNAL_LANGUAGE: Oid = 12;

/// A value from its `COPY` text, for a column of the given type.
fn copied(text: &'static str, column: &ColumnFact) -> Cell<'static> {
    if text == "\\N" {
        return Cell::Null;
    }
    match column.data_type.oid {
        oids::BOOL => Cell::Bool(text == "t"),
        oids::INT2 | oids::INT4 | oids::INT8 | oids::OID | oids::XID | oids::CID => {
            text.parse().map_or(Cell::Unset, Cell::Int)
        }
        oids::FLOAT4 | oids::FLOAT8 => text.parse().map_or(Cell::Unset, Cell::Float),
        _ => Cell::from(text),
    }
}

/// Catalogs whose rows are PostgreSQL's own.
pub(super) fn fixed(_context: &PgCatalogContext, rows: &mut Rows) {
    let relation = rows.relation;
    for row in facts().rows(relation.name) {
        rows.push(|name| match relation.columns.iter().position(|column| column.name == name) {
            Some(index) => row.get(index).map_or(Cell::Unset, |text| copied(text, &relation.columns[index])),
            None => Cell::Unset,
        });
    }
}

/// `pg_type`.
pub(super) fn types(context: &PgCatalogContext, rows: &mut Rows) {
    fixed(context, rows);
    for (oid, user) in context.user_types() {
        let data_type = atoll_connector_api::types::PgType::user(user.name.clone(), user.labels.clone(), user.array);
        let is_enum = !user.labels.is_empty() && !user.array;
        let other = |found: Option<atoll_connector_api::types::PgType>| found.map_or(0, |found| found.oid);
        let bare = unquoted(user.name.trim_end_matches("[]").rsplit('.').next().unwrap_or(&user.name));
        let io = if user.array {
            "array"
        } else if is_enum {
            "enum"
        } else {
            "text"
        };
        // The names of I/O functions are `array_in` and `textin`: PostgreSQL's own spelling.
        let gap = if user.array || is_enum { "_" } else { "" };
        rows.push(|column| match column {
            "oid" => (*oid).into(),
            "typname" => (if user.array { format!("_{bare}") } else { bare.clone() }).into(),
            "typnamespace" => PUBLIC_SCHEMA_OID.into(),
            "typowner" => BOOTSTRAP_SUPERUSER_OID.into(),
            "typlen" => (if is_enum { 4 } else { -1 }).into(),
            "typbyval" => is_enum.into(),
            "typtype" => (if is_enum { "e" } else { "b" }).into(),
            "typcategory" => (if user.array {
                "A"
            } else if is_enum {
                "E"
            } else {
                "U"
            })
            .into(),
            "typisdefined" => true.into(),
            "typdelim" => ",".into(),
            "typsubscript" => (if user.array { "array_subscript_handler" } else { "-" }).into(),
            "typelem" => other(data_type.element()).into(),
            "typarray" => other(data_type.array()).into(),
            "typinput" => format!("{io}{gap}in").into(),
            "typoutput" => format!("{io}{gap}out").into(),
            "typreceive" => format!("{io}{gap}recv").into(),
            "typsend" => format!("{io}{gap}send").into(),
            "typmodin" | "typmodout" | "typanalyze" => "-".into(),
            "typalign" => "i".into(),
            "typstorage" => (if is_enum { "p" } else { "x" }).into(),
            "typtypmod" => (-1).into(),
            _ => Cell::Unset,
        });
    }
}

/// `pg_enum`.
pub(super) fn enums(context: &PgCatalogContext, rows: &mut Rows) {
    let mut oid = LABEL_OIDS;
    for (type_oid, user) in context.user_types() {
        if user.array {
            continue;
        }
        for (order, label) in user.labels.iter().enumerate() {
            oid += 1;
            #[expect(clippy::cast_precision_loss, reason = "an enum has far fewer labels than 2^53")]
            let order = (order + 1) as f64;
            rows.push(|column| match column {
                "oid" => oid.into(),
                "enumtypid" => (*type_oid).into(),
                "enumsortorder" => Cell::Float(order),
                "enumlabel" => label.as_str().into(),
                _ => Cell::Unset,
            });
        }
    }
}

/// `pg_proc`: the functions that types name, those of PostgreSQL that can be called here, and the other ones of this module.
pub(super) fn procs(context: &PgCatalogContext, rows: &mut Rows) {
    for function in context.callable() {
        if rows.skips("oid", function.oid) || rows.skips_text("proname", function.name) {
            continue;
        }
        let arguments = function.argument_types.split_whitespace().count();
        rows.push(|column| match column {
            "oid" => function.oid.into(),
            "prorettype" => function.return_type.into(),
            "proretset" => function.returns_set.into(),
            "prorows" => Cell::Float(if function.returns_set { 1000.0 } else { 0.0 }),
            "provolatile" => function.volatility.into(),
            "proisstrict" => function.strict.into(),
            "provariadic" => function.variadic.into(),
            "pronargs" => i64::try_from(arguments).unwrap_or(i64::MAX).into(),
            "pronargdefaults" => function.defaults.into(),
            "proargtypes" => function.argument_types.into(),
            "proparallel" => function.parallel.into(),
            other => proc_cell(function.name, function.kind, other),
        });
    }
    let callable: HashSet<&str> = context.callable().map(|function| function.name).collect();
    let known =
        facts().procs().filter(|(oid, _)| context.callable_by_oid(*oid).is_none()).map(|(oid, name)| (oid, name, 0));
    let ours = documented().filter(|(name, _)| !callable.contains(name));
    let registered = (FUNCTION_OIDS..).zip(ours).map(|(oid, (name, returns))| (oid, name, returns));
    for (oid, name, return_type) in known.chain(registered) {
        if rows.skips("oid", oid) || rows.skips_text("proname", name) {
            continue;
        }
        rows.push(|column| match column {
            "oid" => oid.into(),
            "prorettype" => return_type.into(),
            "provolatile" | "proparallel" => "s".into(),
            other => proc_cell(name, 'f', other),
        });
    }
}

/// What every function has.
fn proc_cell(name: &'static str, kind: char, column: &str) -> Cell<'static> {
    match column {
        "proname" | "prosrc" => name.into(),
        "pronamespace" => PG_CATALOG_OID.into(),
        "proowner" => BOOTSTRAP_SUPERUSER_OID.into(),
        "prolang" => INTERNAL_LANGUAGE.into(),
        "procost" => Cell::Float(1.0),
        "prosupport" => "-".into(),
        "prokind" => kind.to_string().into(),
        _ => Cell::Unset,
    }
}
