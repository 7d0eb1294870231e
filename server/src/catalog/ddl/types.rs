//! Column types as DDL writes them.

use atoll_connector_api::types::{BuiltinType, PgType};
use datafusion::sql::sqlparser::ast::DataType;

use super::names::undefined;
use crate::error::{SqlError, SqlResult, SqlState};

/// Types that no column can have.
const PSEUDO_TYPES: [&str; 3] = ["record", "void", "unknown"];

/// The type of a column.
pub(super) fn column_type(column: &str, data_type: &DataType, position: usize) -> SqlResult<PgType> {
    let text = data_type.to_string().to_lowercase();
    let found = parse(&text).ok_or_else(|| {
        let name = text.split(['(', '[']).next().unwrap_or_default().trim();
        undefined(format!("type \"{}\" does not exist", name.trim_matches('"'))).at(position)
    })?;
    if BuiltinType::by_oid(found.oid).is_some_and(|builtin| PSEUDO_TYPES.contains(&builtin.name)) {
        let message = format!("column \"{column}\" has pseudo-type {}", found.sql_name());
        return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
    }
    Ok(found)
}

/// Interim: by the printed name. Replaced by the type table's own reading of sqlparser's types.
fn parse(text: &str) -> Option<PgType> {
    let (text, array) = match text.find('[') {
        Some(index) => (&text[..index], true),
        None => (text, false),
    };
    let (name, modifiers) = match text.split_once('(') {
        Some((name, rest)) => {
            let (modifiers, suffix) = rest.split_once(')')?;
            (format!("{}{suffix}", name.trim_end()), modifiers.to_owned())
        }
        None => (text.to_owned(), String::new()),
    };
    let numbers: Vec<i64> = modifiers
        .split(',')
        .filter(|part| !part.trim().is_empty())
        .map(|part| part.trim().parse().ok())
        .collect::<Option<_>>()?;
    let builtin = BuiltinType::by_name(name.trim().trim_matches('"'))?;
    let element = with_modifiers(builtin, &numbers)?;
    if array { element.array() } else { Some(element) }
}

fn with_modifiers(builtin: &BuiltinType, numbers: &[i64]) -> Option<PgType> {
    let first = numbers.first().and_then(|number| i32::try_from(*number).ok());
    Some(match (builtin.name, numbers) {
        ("bpchar", []) => PgType::with_modifier(builtin.oid, 5),
        (_, []) => PgType::new(builtin.oid),
        ("numeric", [precision]) => PgType::numeric(u16::try_from(*precision).ok()?, 0),
        ("numeric", [precision, scale]) => {
            PgType::numeric(u16::try_from(*precision).ok()?, i16::try_from(*scale).ok()?)
        }
        ("varchar" | "bpchar", [_]) => PgType::with_modifier(builtin.oid, first?.checked_add(4)?),
        ("float8", [bits]) if *bits <= 24 => PgType::new(atoll_connector_api::types::oids::FLOAT4),
        ("float8", [_]) => PgType::new(builtin.oid),
        (_, [_]) => PgType::with_modifier(builtin.oid, first?),
        _ => return None,
    })
}
