//! Functions that print definitions and sizes.

use super::super::context::{AnyRelation, PgCatalogContext, primary_key_name};
use super::super::names::quote_ident;

use super::udf::{Call, Definition, Returns, Value, lenient, strict};
use super::view_text::view_definition;
use crate::catalog::model::ForeignTable;
use crate::error::SqlResult;

/// The functions of this file.
pub(super) static FUNCTIONS: &[Definition] = &[
    strict("pg_get_viewdef", (1, 2), Returns::Text, view),
    strict("pg_get_expr", (2, 3), Returns::Text, |call| Ok(call.text(0).into())),
    strict("pg_get_indexdef", (1, 3), Returns::Text, index),
    strict("pg_get_constraintdef", (1, 2), Returns::Text, constraint),
    strict("pg_get_ruledef", (1, 2), Returns::Text, nothing),
    strict("pg_get_triggerdef", (1, 2), Returns::Text, nothing),
    strict("pg_get_functiondef", (1, 1), Returns::Text, nothing),
    strict("pg_get_function_arguments", (1, 1), Returns::Text, function_arguments),
    strict("pg_get_function_identity_arguments", (1, 1), Returns::Text, identity_arguments),
    strict("pg_get_function_result", (1, 1), Returns::Text, function_result),
    strict("pg_get_function_sqlbody", (1, 1), Returns::Text, nothing),
    strict("pg_get_function_arg_default", (2, 2), Returns::Text, nothing),
    strict("pg_get_partkeydef", (1, 1), Returns::Text, nothing),
    strict("pg_get_partition_constraintdef", (1, 1), Returns::Text, nothing),
    strict("pg_get_statisticsobjdef", (1, 1), Returns::Text, nothing),
    strict("pg_get_statisticsobjdef_columns", (1, 1), Returns::Text, nothing),
    strict("pg_get_statisticsobjdef_expressions", (1, 1), Returns::Texts, nothing),
    strict("pg_get_serial_sequence", (2, 2), Returns::Text, nothing),
    strict("pg_relation_size", (1, 2), Returns::Int8, size),
    strict("pg_total_relation_size", (1, 1), Returns::Int8, size),
    strict("pg_table_size", (1, 1), Returns::Int8, size),
    strict("pg_indexes_size", (1, 1), Returns::Int8, size),
    strict("pg_database_size", (1, 1), Returns::Int8, zero),
    strict("pg_tablespace_size", (1, 1), Returns::Int8, zero),
    strict("pg_size_pretty", (1, 1), Returns::Text, size_pretty),
    strict("pg_relation_filenode", (1, 1), Returns::Oid, nothing),
    strict("pg_relation_filepath", (1, 1), Returns::Text, nothing),
    strict("pg_relation_is_publishable", (1, 1), Returns::Bool, no),
    strict("pg_relation_is_updatable", (2, 2), Returns::Int4, zero),
    strict("pg_column_is_updatable", (3, 3), Returns::Bool, no),
    strict("pg_index_column_has_property", (3, 3), Returns::Bool, nothing),
    strict("pg_indexam_has_property", (2, 2), Returns::Bool, nothing),
    strict("pg_partition_root", (1, 1), Returns::Oid, nothing),
    strict("pg_is_other_temp_schema", (1, 1), Returns::Bool, no),
    strict("row_security_active", (1, 1), Returns::Bool, no),
    strict("pg_tablespace_location", (1, 1), Returns::Text, empty),
    // What the statistics collector counts: Atoll keeps no such counters.
    strict("pg_stat_get_numscans", (1, 1), Returns::Int8, zero),
    strict("pg_stat_get_live_tuples", (1, 1), Returns::Int8, zero),
    strict("pg_stat_get_dead_tuples", (1, 1), Returns::Int8, zero),
    strict("pg_stat_get_tuples_returned", (1, 1), Returns::Int8, zero),
    strict("pg_stat_get_tuples_fetched", (1, 1), Returns::Int8, zero),
    strict("pg_stat_get_last_analyze_time", (1, 1), Returns::Timestamp, nothing),
    strict("pg_stat_get_last_vacuum_time", (1, 1), Returns::Timestamp, nothing),
    lenient("pg_my_temp_schema", (0, 0), Returns::Oid, zero),
];

/// Atoll has no object of the kind that the function prints.
fn nothing(_call: &Call<'_>) -> SqlResult<Value> {
    Ok(Value::Null)
}

fn function_arguments(call: &Call<'_>) -> SqlResult<Value> {
    Ok(call.context.callable_by_oid(call.oid(0)).map_or("", |function| function.arguments).into())
}

/// The arguments without their defaults.
fn identity_arguments(call: &Call<'_>) -> SqlResult<Value> {
    let arguments = call.context.callable_by_oid(call.oid(0)).map_or("", |function| function.arguments);
    let bare = arguments.split(", ").map(|argument| argument.split(" DEFAULT ").next().unwrap_or(argument));
    Ok(bare.collect::<Vec<_>>().join(", ").into())
}

fn function_result(call: &Call<'_>) -> SqlResult<Value> {
    let Some(function) = call.context.callable_by_oid(call.oid(0)) else { return Ok(Value::Null) };
    let name = call.context.format_type(function.return_type, None);
    Ok(if function.returns_set { format!("SETOF {name}") } else { name }.into())
}

fn empty(_call: &Call<'_>) -> SqlResult<Value> {
    Ok("".into())
}

fn zero(_call: &Call<'_>) -> SqlResult<Value> {
    Ok(0_i64.into())
}

fn no(_call: &Call<'_>) -> SqlResult<Value> {
    Ok(false.into())
}

/// The index that stands for a declared primary key, as PostgreSQL would define it.
pub(in super::super) fn index_definition(context: &PgCatalogContext, table: &ForeignTable) -> String {
    format!(
        "CREATE UNIQUE INDEX {} ON {} USING btree ({})",
        quote_ident(&primary_key_name(table)),
        context.qualified(&AnyRelation::Table(table)),
        key_list(table)
    )
}

fn key_list(table: &ForeignTable) -> String {
    table.primary_key.iter().map(|name| quote_ident(name)).collect::<Vec<_>>().join(", ")
}

fn relation_of<'a>(call: &'a Call<'_>) -> SqlResult<Option<AnyRelation<'a>>> {
    let oid = match &call.arguments[0] {
        Value::Text(text) => call.context.regclass(text)?,
        _ => call.oid(0),
    };
    Ok(call.context.relation(oid))
}

fn view(call: &Call<'_>) -> SqlResult<Value> {
    Ok(match relation_of(call)? {
        Some(AnyRelation::View(view)) => view_definition(call.context, view).into(),
        // PostgreSQL has a query behind these; here they are built in.
        Some(AnyRelation::System(system)) if system.kind == "v" => "".into(),
        _ => Value::Null,
    })
}

fn index(call: &Call<'_>) -> SqlResult<Value> {
    let Some(AnyRelation::PrimaryKey(table)) = relation_of(call)? else { return Ok(Value::Null) };
    match call.number(1).filter(|number| call.len() == 3 && *number > 0) {
        Some(number) => {
            let column = usize::try_from(number - 1).ok().and_then(|index| table.primary_key.get(index));
            Ok(column.map(|name| quote_ident(name)).into())
        }
        None => Ok(index_definition(call.context, table).into()),
    }
}

fn constraint(call: &Call<'_>) -> SqlResult<Value> {
    Ok(match call.context.relation(call.oid(0)) {
        Some(AnyRelation::PrimaryKey(table)) => format!("PRIMARY KEY ({})", key_list(table)).into(),
        _ => Value::Null,
    })
}

/// Nothing is stored here: 0, and NULL where there is no such relation.
fn size(call: &Call<'_>) -> SqlResult<Value> {
    Ok(relation_of(call)?.map(|_| 0_i64).into())
}

/// Bytes with PostgreSQL's units: each is used from ten times its size on.
fn size_pretty(call: &Call<'_>) -> SqlResult<Value> {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    let Some(bytes) = call.number(0) else { return Ok(Value::Null) };
    let limit = 10 * 1024_i64;
    if bytes.saturating_abs() < limit {
        return Ok(format!("{bytes} bytes").into());
    }
    // One bit below the unit is kept for rounding half up, as in `pg_size_pretty` (utils/adt/dbsize.c).
    let mut halves = bytes >> 9;
    for (index, unit) in UNITS.iter().enumerate() {
        if halves.saturating_abs() < 2 * limit - 1 || index + 1 == UNITS.len() {
            let rounded = (halves + halves.signum()) / 2;
            return Ok(format!("{rounded} {unit}").into());
        }
        halves >>= 10;
    }
    Ok(Value::Null)
}
