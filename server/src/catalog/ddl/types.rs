//! Column types and moments as DDL writes them.

use atoll_connector_api::ConnectorError;
use atoll_connector_api::types::text::OutputStyle;
use atoll_connector_api::types::{self, PgType, oids};
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::DataType;

use super::names::undefined;
use crate::error::{SqlError, SqlResult, SqlState};

/// Types that no column can have.
const PSEUDO_TYPES: [u32; 3] = [oids::RECORD, oids::VOID, oids::UNKNOWN];

/// The type of a column.
pub(super) fn column_type(column: &str, data_type: &DataType, position: usize) -> SqlResult<PgType> {
    let found = types::from_sql(data_type).ok_or_else(|| {
        let text = data_type.to_string();
        let name = text.split(['(', '[']).next().unwrap_or_default().trim();
        // Unquoted names fold as all names do.
        let name = name
            .strip_prefix('"')
            .and_then(|name| name.strip_suffix('"'))
            .map_or_else(|| name.to_lowercase(), |quoted| quoted.replace("\"\"", "\""));
        undefined(format!("type \"{name}\" does not exist")).at(position)
    })?;
    if PSEUDO_TYPES.contains(&found.oid) {
        let message = format!("column \"{column}\" has pseudo-type {}", found.sql_name());
        return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
    }
    Ok(found)
}

/// VALID UNTIL: microseconds since the Unix epoch; the infinities are the extreme values.
pub(super) fn moment(text: &str, style: &OutputStyle) -> SqlResult<i64> {
    match types::parse_scalar_with(text, &PgType::new(oids::TIMESTAMPTZ), style) {
        Ok(ScalarValue::TimestampMicrosecond(Some(moment), _)) => Ok(moment),
        Ok(_) => Err(SqlError::internal("a timestamp was read as another type")),
        Err(ConnectorError::Value { sqlstate, message, .. }) => {
            Err(SqlError::new(SqlState::parse(sqlstate).unwrap_or(SqlState::INVALID_DATETIME_FORMAT), message))
        }
        Err(error) => Err(SqlError::new(SqlState::INVALID_DATETIME_FORMAT, error.to_string())),
    }
}
