//! SQLite's values as PostgreSQL's: each has a storage class of its own, whatever its column declares.

use atoll_connector_api::types::{ColumnBuilder, PgType, oids};
use atoll_connector_api::{ConnectorError, Result};
use rusqlite::types::ValueRef;

use crate::declared::Affinity;

/// PostgreSQL's `invalid_text_representation`, `numeric_value_out_of_range`, `character_not_in_repertoire`,
/// `null_value_not_allowed`.
const INVALID: &str = "22P02";
const OUT_OF_RANGE: &str = "22003";
const BAD_ENCODING: &str = "22021";
const UNEXPECTED_NULL: &str = "22004";

/// Bytes in a UUID: RFC 9562.
const UUID_BYTES: usize = 16;

/// What a type takes, apart from its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    Integer,
    Float,
    Numeric,
    Bytes,
    Uuid,
    Temporal,
    Text,
}

impl Kind {
    fn of(data_type: &PgType) -> Self {
        if data_type.user.is_some() {
            return Self::Text;
        }
        match data_type.oid {
            oids::BOOL => Self::Bool,
            oids::INT2 | oids::INT4 | oids::INT8 => Self::Integer,
            oids::FLOAT4 | oids::FLOAT8 => Self::Float,
            oids::NUMERIC => Self::Numeric,
            oids::BYTEA => Self::Bytes,
            oids::UUID => Self::Uuid,
            oids::DATE | oids::TIME | oids::TIMETZ | oids::TIMESTAMP | oids::TIMESTAMPTZ | oids::INTERVAL => {
                Self::Temporal
            }
            _ => Self::Text,
        }
    }
}

/// Reads one column of a scan.
#[derive(Debug)]
pub(crate) struct ColumnReader {
    name: String,
    data_type: PgType,
    kind: Kind,
    affinity: Affinity,
    nullable: bool,
    builder: ColumnBuilder,
}

/// Whose column it is, for errors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) server: &'a str,
    pub(crate) table: &'a str,
}

impl ColumnReader {
    pub(crate) fn new(name: &str, data_type: PgType, affinity: Affinity, nullable: bool, capacity: usize) -> Self {
        let builder = ColumnBuilder::new(&data_type, capacity);
        Self { name: name.to_owned(), kind: Kind::of(&data_type), data_type, affinity, nullable, builder }
    }

    pub(crate) fn finish(&mut self) -> arrow::array::ArrayRef {
        self.builder.finish()
    }

    /// Appends a value; returns about how many bytes it takes.
    pub(crate) fn append(&mut self, place: Place<'_>, value: ValueRef<'_>) -> Result<usize> {
        let size = match value {
            ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => size_of::<i64>(),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len() + size_of::<u128>(),
        };
        let appended = match value {
            ValueRef::Null if !self.nullable => Err(UNEXPECTED_NULL),
            ValueRef::Null => {
                self.builder.append_null();
                Ok(())
            }
            ValueRef::Integer(value) => self.append_integer(value),
            ValueRef::Real(value) => self.append_real(value),
            ValueRef::Text(bytes) => self.append_text(bytes),
            ValueRef::Blob(bytes) => self.append_blob(bytes),
        };
        appended.map(|()| size).map_err(|sqlstate| self.misfit(place, value, sqlstate))
    }

    fn append_integer(&mut self, value: i64) -> Result<(), &'static str> {
        match self.kind {
            Kind::Integer => code(self.builder.append_i64(value)),
            Kind::Bool if value == 0 || value == 1 => code(self.builder.append_bool(value == 1)),
            Kind::Float => {
                let float = exact_float(value, self.data_type.oid == oids::FLOAT4).ok_or(OUT_OF_RANGE)?;
                code(self.builder.append_f64(float))
            }
            Kind::Numeric | Kind::Text => code(self.builder.append_i64(value)),
            // An instant stored as a number may be seconds, milliseconds or a Julian day: not ours to guess.
            Kind::Bool | Kind::Bytes | Kind::Uuid | Kind::Temporal => Err(INVALID),
        }
    }

    fn append_real(&mut self, value: f64) -> Result<(), &'static str> {
        match self.kind {
            Kind::Integer => code(self.builder.append_i64(exact_integer(value)?)),
            Kind::Float | Kind::Numeric | Kind::Text => code(self.builder.append_f64(value)),
            Kind::Bool | Kind::Bytes | Kind::Uuid | Kind::Temporal => Err(INVALID),
        }
    }

    fn append_text(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        let number = matches!(self.kind, Kind::Integer | Kind::Float | Kind::Numeric);
        // Where the column prefers numbers, SQLite itself found no number in this text.
        if self.kind == Kind::Bytes || (number && !matches!(self.affinity, Affinity::Text | Affinity::Blob)) {
            return Err(INVALID);
        }
        code(self.builder.append_text(utf8(bytes)?))
    }

    fn append_blob(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        match self.kind {
            Kind::Bytes => code(self.builder.append_bytes(bytes)),
            Kind::Uuid if bytes.len() == UUID_BYTES => code(self.builder.append_bytes(bytes)),
            Kind::Text => code(self.builder.append_text(utf8(bytes)?)),
            _ => Err(INVALID),
        }
    }

    fn misfit(&self, place: Place<'_>, value: ValueRef<'_>, sqlstate: &'static str) -> ConnectorError {
        let kind = match value {
            ValueRef::Null => "NULL",
            ValueRef::Integer(_) => "an integer",
            ValueRef::Real(_) => "a real number",
            ValueRef::Text(_) => "a text",
            ValueRef::Blob(_) => "a blob",
        };
        let type_name = self.data_type.sql_name();
        let problem = match (sqlstate, self.kind) {
            (OUT_OF_RANGE, _) => format!("{kind} that type {type_name} cannot hold exactly"),
            (BAD_ENCODING, _) => format!("{kind} that is not valid UTF-8 or contains a zero byte"),
            (UNEXPECTED_NULL, _) => "NULL, although it is declared NOT NULL".to_owned(),
            _ => format!("{kind} that is not a value of type {type_name}"),
        };
        let hint = match (sqlstate, self.kind) {
            (UNEXPECTED_NULL, _) => "Declare the column without NOT NULL in CREATE FOREIGN TABLE.".to_owned(),
            (BAD_ENCODING, _) if matches!(value, ValueRef::Blob(_)) => {
                format!("Declare it as bytea in CREATE FOREIGN TABLE: … ({} bytea).", self.name)
            }
            (BAD_ENCODING, _) => "Correct the value in the database.".to_owned(),
            _ => format!(
                "A column declared as text takes every value: CREATE FOREIGN TABLE … ({} text, …).",
                quote(&self.name)
            ),
        };
        ConnectorError::Remote {
            server: place.server.to_owned(),
            sqlstate: sqlstate.to_owned(),
            message: format!("column \"{}\" of foreign table \"{}\" holds {problem}", self.name, place.table),
            detail: None,
            hint: Some(hint),
            remote_sql: None,
        }
    }
}

/// A name as SQL needs it: quoted only where it must be.
fn quote(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// Keeps an input function's SQLSTATE; its message may hold the value.
fn code(result: Result<()>) -> Result<(), &'static str> {
    result.map_err(|error| match error {
        ConnectorError::Value { sqlstate, .. } => sqlstate,
        _ => INVALID,
    })
}

fn utf8(bytes: &[u8]) -> Result<&str, &'static str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(BAD_ENCODING),
    }
}

/// An integer as a float, where no bit is lost.
#[expect(clippy::cast_possible_truncation, reason = "whether bits were lost is what is asked")]
#[expect(clippy::cast_precision_loss, reason = "likewise")]
fn exact_float(value: i64, single: bool) -> Option<f64> {
    let float = if single { f64::from(value as f32) } else { value as f64 };
    // Through i128: 2^63 as i64 would saturate and seem equal to i64::MAX.
    (float as i128 == i128::from(value)).then_some(float)
}

/// A real number as an integer, where it is one.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked before")]
fn exact_integer(value: f64) -> Result<i64, &'static str> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if value.fract() != 0.0 {
        Err(INVALID)
    } else if (-LIMIT..LIMIT).contains(&value) {
        Ok(value as i64)
    } else {
        Err(OUT_OF_RANGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts_between_integers_and_floats_only_exactly() {
        assert_eq!(exact_float(1 << 53, false), Some(9_007_199_254_740_992.0));
        assert_eq!(exact_float((1 << 53) + 1, false), None);
        assert_eq!(exact_float(i64::MAX, false), None);
        assert_eq!(exact_float(i64::MIN, false), Some(-9_223_372_036_854_775_808.0));
        assert_eq!(exact_float((1 << 24) + 1, true), None);
        assert_eq!(exact_integer(3.0), Ok(3));
        assert_eq!(exact_integer(-9_223_372_036_854_775_808.0), Ok(i64::MIN));
        assert_eq!(exact_integer(9_223_372_036_854_775_808.0), Err(OUT_OF_RANGE));
        assert_eq!(exact_integer(2.5), Err(INVALID));
        assert_eq!(exact_integer(f64::INFINITY), Err(INVALID));
        assert_eq!(exact_integer(f64::NAN), Err(INVALID));
    }
}
