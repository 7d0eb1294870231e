//! Which filters SQLite answers as PostgreSQL would, column by column. DESIGN.md says why so few are identical.

use std::collections::HashMap;

use atoll_connector_api::pushdown::{Dialect, Fidelity, Pushed};
use atoll_connector_api::subplan::{Aggregate, AggregateCall, AggregateFunction, QueryDialect, Written};
use atoll_connector_api::types::{PgType, oids};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;

use crate::declared::Affinity;

/// Digits that a float keeps of every decimal number (C's `DBL_DIG`).
const FLOAT_DIGITS: u16 = 15;
/// Powers of two that SQLite reads exactly from an integer literal.
const EXPONENT_MAX: i32 = 62;

/// What is known of a remote column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ColumnFacts {
    pub(crate) affinity: Affinity,
    /// Its table is STRICT: every value has the declared type.
    pub(crate) strict: bool,
    /// It is stored in a table, so that its affinity was applied: neither a view's nor a virtual table's column.
    pub(crate) stored: bool,
    /// It is the row id under another name, which is always an integer.
    pub(crate) row_id: bool,
}

/// SQLite's dialect for the columns of one table.
#[derive(Debug)]
pub(crate) struct SqliteDialect {
    /// By quoted remote name.
    columns: HashMap<String, ColumnFacts>,
    /// The database's encoding is UTF-8, so that BINARY order is the order of code points.
    utf8: bool,
}

impl SqliteDialect {
    pub(crate) fn new(columns: impl IntoIterator<Item = (String, ColumnFacts)>, utf8: bool) -> Self {
        let columns = columns.into_iter().map(|(name, facts)| (identifier(&name), facts)).collect();
        Self { columns, utf8 }
    }

    fn number(&self, facts: ColumnFacts, column_type: &PgType) -> bool {
        let exact_class = match column_type.oid {
            oids::INT2 | oids::INT4 | oids::INT8 | oids::FLOAT8 => true,
            oids::NUMERIC => decimal_scale(column_type).is_some(),
            _ => false,
        };
        exact_class && matches!(facts.affinity, Affinity::Integer | Affinity::Real | Affinity::Numeric)
    }

    fn text(&self, facts: ColumnFacts, column_type: &PgType) -> bool {
        matches!(column_type.oid, oids::TEXT | oids::VARCHAR)
            && facts.affinity == Affinity::Text
            && facts.stored
            && self.utf8
    }

    fn bytes(facts: ColumnFacts, column_type: &PgType) -> bool {
        column_type.oid == oids::BYTEA && facts.affinity == Affinity::Blob && facts.stored
    }
}

impl Dialect for SqliteDialect {
    fn identifier(&self, name: &str) -> String {
        identifier(name)
    }

    fn literal(&self, value: &ScalarValue, column_type: &PgType) -> Option<String> {
        match (value, column_type.oid) {
            (ScalarValue::Int16(Some(value)), oids::INT2) => Some(value.to_string()),
            (ScalarValue::Int32(Some(value)), oids::INT4) => Some(value.to_string()),
            (ScalarValue::Int64(Some(value)), oids::INT8) => Some(value.to_string()),
            (ScalarValue::Float64(Some(value)), oids::FLOAT8) => float_literal(*value),
            (ScalarValue::Decimal128(Some(value), _, _), oids::NUMERIC) => {
                Some(decimal(*value, decimal_scale(column_type)?))
            }
            (value, oids::TEXT | oids::VARCHAR) => text_literal(value.try_as_str()??),
            (
                ScalarValue::Binary(Some(bytes))
                | ScalarValue::LargeBinary(Some(bytes))
                | ScalarValue::BinaryView(Some(bytes)),
                oids::BYTEA,
            ) => Some(blob_literal(bytes)),
            _ => None,
        }
    }

    fn comparison(&self, column: &str, column_type: &PgType, operator: Operator, literal: &str) -> Option<Pushed> {
        let facts = *self.columns.get(column)?;
        let sign = sign(operator)?;
        let strict = |plain: bool| if facts.strict && plain { Fidelity::Identical } else { Fidelity::Superset };
        if self.number(facts, column_type) {
            if column_type.oid == oids::NUMERIC {
                return decimal_comparison(column, column_type, operator, literal);
            }
            let same = matches!(
                (column_type.oid, facts.affinity),
                (oids::INT8, Affinity::Integer) | (oids::FLOAT8, Affinity::Real)
            );
            return Some(Pushed { sql: format!("({column} {sign} {literal})"), fidelity: strict(same) });
        }
        if self.text(facts, column_type) {
            let plain = format!("{column} COLLATE BINARY {sign} {literal}");
            // A blob may be read as text here, and SQLite orders blobs after all texts.
            let sql = match operator {
                _ if facts.strict => format!("({plain})"),
                Operator::Eq => format!("({plain} OR {column} = CAST({literal} AS BLOB))"),
                Operator::Lt | Operator::LtEq => format!("({plain} OR {column} >= x'')"),
                _ => format!("({plain})"),
            };
            return Some(Pushed { sql, fidelity: strict(column_type.oid == oids::TEXT) });
        }
        if Self::bytes(facts, column_type) {
            return Some(Pushed { sql: format!("({column} {sign} {literal})"), fidelity: Fidelity::Superset });
        }
        None
    }

    fn in_list(&self, column: &str, column_type: &PgType, literals: &[String], negated: bool) -> Option<Pushed> {
        let facts = *self.columns.get(column)?;
        // SQLite bounds the depth of an expression (SQLITE_MAX_EXPR_DEPTH), so that no long list may become a chain.
        let (column_sql, list, same) = if self.number(facts, column_type) && column_type.oid != oids::NUMERIC {
            let same = matches!(
                (column_type.oid, facts.affinity),
                (oids::INT8, Affinity::Integer) | (oids::FLOAT8, Affinity::Real)
            );
            (column.to_owned(), literals.join(", "), same)
        } else if self.text(facts, column_type) {
            let blobs = literals.iter().map(|literal| format!("CAST({literal} AS BLOB)"));
            let all: Vec<_> =
                if facts.strict { literals.to_vec() } else { literals.iter().cloned().chain(blobs).collect() };
            (format!("{column} COLLATE BINARY"), all.join(", "), column_type.oid == oids::TEXT)
        } else if Self::bytes(facts, column_type) {
            (column.to_owned(), literals.join(", "), false)
        } else {
            return None;
        };
        let word = if negated { "NOT IN" } else { "IN" };
        let fidelity = if facts.strict && same { Fidelity::Identical } else { Fidelity::Superset };
        Some(Pushed { sql: format!("({column_sql} {word} ({list}))"), fidelity })
    }
}

impl SqliteDialect {
    /// A column whose every value is an integer.
    fn is_integer(&self, value: &Written<'_>) -> bool {
        let facts = self.columns.get(&value.sql);
        value.data_type.oid == oids::INT8 && facts.is_some_and(|facts| facts.holds_integers())
    }
}

impl ColumnFacts {
    /// Every value is an integer or NULL.
    pub(crate) fn holds_integers(self) -> bool {
        self.row_id || (self.strict && self.stored && self.affinity == Affinity::Integer)
    }
}

impl QueryDialect for SqliteDialect {
    fn is_of_one_table(&self) -> bool {
        true
    }

    fn groups(&self, data_type: &PgType) -> bool {
        // Which columns hold integers only, the relation says.
        data_type.oid == oids::INT8 && data_type.user.is_none()
    }

    fn order(&self, key: &Written<'_>) -> Option<String> {
        self.is_integer(key).then(|| key.sql.clone())
    }

    fn aggregate(&self, aggregate: &Aggregate, argument: Option<&Written<'_>>) -> Option<AggregateCall> {
        if aggregate.filter.is_some() || aggregate.distinct {
            return None;
        }
        let call =
            |function, argument: &str| Some(AggregateCall { function, argument: argument.to_owned(), cast: None });
        match (aggregate.function, argument) {
            (AggregateFunction::Count, None) => call("count", "*"),
            // A value that is no integer is an error where it is read, and it would be counted there.
            (_, Some(argument)) if !self.is_integer(argument) => None,
            (AggregateFunction::Count, Some(argument)) => call("count", &argument.sql),
            (AggregateFunction::Min, Some(argument)) => call("min", &argument.sql),
            (AggregateFunction::Max, Some(argument)) => call("max", &argument.sql),
            _ => None,
        }
    }
}

/// Quotes a name.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn sign(operator: Operator) -> Option<&'static str> {
    Some(match operator {
        Operator::Eq => "=",
        Operator::NotEq => "<>",
        Operator::Lt => "<",
        Operator::LtEq => "<=",
        Operator::Gt => ">",
        Operator::GtEq => ">=",
        _ => return None,
    })
}

/// Scale of a `numeric` whose every value a float tells from its neighbours.
fn decimal_scale(column_type: &PgType) -> Option<u32> {
    let (precision, scale) = column_type.numeric_bounds()?;
    (precision <= FLOAT_DIGITS).then(|| u32::try_from(scale).ok())?
}

fn decimal(value: i128, scale: u32) -> String {
    let digits = format!("{:0width$}", value.unsigned_abs(), width = scale as usize + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
    let point = if scale == 0 { "" } else { "." };
    format!("{}{whole}{point}{fraction}", if value < 0 { "-" } else { "" })
}

/// SQLite holds a decimal number as a float, which is rounded to the declared scale when it is read: whatever lies within
/// one unit of the last digit must come.
fn decimal_comparison(column: &str, column_type: &PgType, operator: Operator, literal: &str) -> Option<Pushed> {
    let unit = decimal(1, decimal_scale(column_type)?);
    let low = format!("{column} >= {literal} - {unit}");
    let high = format!("{column} <= {literal} + {unit}");
    let sql = match operator {
        Operator::Eq => format!("({low} AND {high})"),
        Operator::Lt | Operator::LtEq => format!("({high})"),
        Operator::Gt | Operator::GtEq => format!("({low})"),
        _ => return None,
    };
    Some(Pushed { sql, fidelity: Fidelity::Superset })
}

/// A float as a fraction of two integers that floats hold exactly, because SQLite may read decimal digits one bit off.
fn float_literal(value: f64) -> Option<String> {
    const INTEGERS_EXACT: f64 = 9_007_199_254_740_992.0;
    if !value.is_finite() {
        return None;
    }
    let (mut numerator, mut exponent) = (value, 0);
    while numerator.fract() != 0.0 {
        // Exact while no bit is lost at the bottom, which the bound on the exponent ensures.
        numerator *= 2.0;
        exponent += 1;
        if exponent > EXPONENT_MAX {
            return None;
        }
    }
    if numerator.abs() > INTEGERS_EXACT {
        return None;
    }
    if exponent == 0 {
        return Some(format!("{numerator:.1}"));
    }
    Some(format!("({numerator:.1} / {}.0)", 1_u64 << exponent))
}

fn text_literal(text: &str) -> Option<String> {
    // A zero byte would end the statement.
    (!text.contains('\0')).then(|| format!("'{}'", text.replace('\'', "''")))
}

fn blob_literal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut sql = String::with_capacity(bytes.len() * 2 + 3);
    sql.push_str("x'");
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(sql, "{byte:02x}");
    }
    sql.push('\'');
    sql
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn select<T: rusqlite::types::FromSql>(sql: &str) -> T {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        connection.query_row(&format!("SELECT {sql}"), [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn only_columns_that_hold_integers_are_ordered() {
        let facts = |strict| ColumnFacts { affinity: Affinity::Integer, strict, stored: true, row_id: false };
        let dialect =
            SqliteDialect::new([("strict".to_owned(), facts(true)), ("loose".to_owned(), facts(false))], true);
        let order = |name: &str, oid| {
            let data_type = PgType::new(oid);
            let key = Written { sql: identifier(name), data_type: &data_type, collation: None };
            dialect.sort_key(&key, true, false)
        };
        assert_eq!(order("strict", oids::INT8).as_deref(), Some("\"strict\" DESC NULLS LAST"));
        assert_eq!(order("loose", oids::INT8), None);
        assert_eq!(order("strict", oids::INT4), None);
    }

    #[test]
    fn widens_decimals_by_one_unit() {
        let pushed = decimal_comparison("\"a\"", &PgType::numeric(10, 2), Operator::Eq, "1.50").unwrap();
        assert_eq!(pushed.sql, "(\"a\" >= 1.50 - 0.01 AND \"a\" <= 1.50 + 0.01)");
        assert_eq!(decimal(-5, 3), "-0.005");
        assert_eq!(decimal(12_345, 0), "12345");
    }

    #[test]
    fn sends_no_float_that_sqlite_cannot_read_exactly() {
        assert_eq!(float_literal(f64::NAN), None);
        assert_eq!(float_literal(f64::INFINITY), None);
        assert_eq!(float_literal(1e300), None);
        assert_eq!(float_literal(1e-300), None);
        assert_eq!(float_literal(2.5).as_deref(), Some("(5.0 / 2.0)"));
        assert_eq!(float_literal(-3.0).as_deref(), Some("-3.0"));
    }

    proptest! {
        #[test]
        fn text_literals_read_back(text in "[^\\x00]*") {
            prop_assert_eq!(select::<String>(&text_literal(&text).unwrap()), text);
        }

        #[test]
        fn blob_literals_read_back(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(select::<Vec<u8>>(&blob_literal(&bytes)), bytes);
        }

        #[test]
        fn identifiers_name_the_column_and_nothing_else(name in "[^\\x00]+") {
            let connection = rusqlite::Connection::open_in_memory().unwrap();
            let sql = format!("SELECT {0} FROM (SELECT 7 AS {0})", identifier(&name));
            prop_assert_eq!(connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap(), 7);
        }

        #[test]
        fn float_literals_read_back_bit_by_bit(value in -1e9..1e9_f64) {
            if let Some(sql) = float_literal(value) {
                prop_assert_eq!(select::<f64>(&sql).to_bits(), value.to_bits());
            }
        }

        #[test]
        fn integer_literals_read_back(value in any::<i64>()) {
            prop_assert_eq!(select::<i64>(&value.to_string()), value);
        }
    }
}
