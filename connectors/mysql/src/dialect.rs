//! Which filters MySQL answers as PostgreSQL would, column by column. DESIGN.md has the table.

use std::collections::HashMap;

use atoll_connector_api::pushdown::{Dialect, Fidelity, Pushed};
use atoll_connector_api::subplan::{Aggregate, AggregateCall, AggregateFunction, QueryDialect, Written};
use atoll_connector_api::types::{PgType, oids};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;

use crate::metadata::Class;

/// Days from 1970-01-01 to 0001-01-01 and to 9999-12-31: MySQL's range of dates.
const DATE_MIN: i32 = -719_162;
const DATE_MAX: i32 = 2_932_896;
const MICROS_A_SECOND: i64 = 1_000_000;
const MICROS_A_DAY: i64 = 86_400 * MICROS_A_SECOND;

/// What is known of a remote column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnFacts {
    pub(crate) class: Class,
    /// The type that the connector itself gives it; a foreign table may declare another.
    pub(crate) native: PgType,
}

/// MySQL's dialect for the columns of one table.
#[derive(Debug)]
pub(crate) struct MysqlDialect {
    /// By quoted remote name.
    columns: HashMap<String, ColumnFacts>,
}

impl MysqlDialect {
    pub(crate) fn new(columns: impl IntoIterator<Item = (String, ColumnFacts)>) -> Self {
        Self { columns: columns.into_iter().map(|(name, facts)| (identifier(&name), facts)).collect() }
    }

    /// How a column may be compared as `column_type`, if at all.
    fn manner(&self, column: &str, column_type: &PgType) -> Option<(Manner, Fidelity)> {
        let facts = self.columns.get(column)?;
        let (class, native) = (facts.class, *column_type == facts.native);
        let fidelity = |same: bool| if same { Fidelity::Identical } else { Fidelity::Superset };
        let numeric = column_type.numeric_bounds().is_some();
        Some(match column_type.oid {
            _ if column_type.user.is_some() => match class {
                Class::Enum if native => (Manner::Label, Fidelity::Superset),
                _ => return None,
            },
            oids::INT2 | oids::INT4 | oids::INT8 if class == Class::Integer => (Manner::Plain, fidelity(native)),
            oids::NUMERIC if numeric && native && matches!(class, Class::Integer | Class::Decimal) => {
                (Manner::Plain, Fidelity::Identical)
            }
            oids::FLOAT4 if class == Class::Float => (Manner::Plain, Fidelity::Identical),
            oids::FLOAT8 if matches!(class, Class::Double | Class::Float) => (Manner::Plain, fidelity(native)),
            // Zero dates satisfy comparisons there and are NULL here.
            oids::DATE if class == Class::Date => (Manner::Plain, Fidelity::Superset),
            oids::TIMESTAMP | oids::TIMESTAMPTZ if matches!(class, Class::DateTime | Class::Timestamp) => {
                (Manner::Plain, Fidelity::Superset)
            }
            oids::TEXT | oids::VARCHAR => {
                let charset = match class {
                    Class::Utf8mb4Text => Charset::Utf8mb4,
                    Class::Utf8Text => Charset::Utf8,
                    Class::OtherText => Charset::Other,
                    _ => return None,
                };
                (Manner::Text(charset), fidelity(native || column_type.oid == oids::TEXT))
            }
            oids::BYTEA if class == Class::Bytes => (Manner::Plain, Fidelity::Identical),
            oids::UUID if class == Class::Uuid => (Manner::Label, Fidelity::Identical),
            _ => return None,
        })
    }
}

/// How the values of a column compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// As their literals do.
    Plain,
    /// For equality alone: the order is another.
    Label,
    /// Under a collation, which may ignore case, accents and trailing spaces. Equal bytes are equal under every one of
    /// them, so that `column = literal` finds candidates by an index, and the bytes decide.
    Text(Charset),
}

/// The character set of a text column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Charset {
    Utf8mb4,
    /// A part of it: the stored bytes are UTF-8.
    Utf8,
    Other,
}

impl Dialect for MysqlDialect {
    fn identifier(&self, name: &str) -> String {
        identifier(name)
    }

    fn literal(&self, value: &ScalarValue, column_type: &PgType) -> Option<String> {
        match value {
            ScalarValue::Int16(Some(value)) => Some(value.to_string()),
            ScalarValue::Int32(Some(value)) => Some(value.to_string()),
            ScalarValue::Int64(Some(value)) => Some(value.to_string()),
            // A column of 32 bits is compared in 64, and so is its literal.
            ScalarValue::Float32(Some(value)) => float_literal(f64::from(*value)),
            ScalarValue::Float64(Some(value)) => float_literal(*value),
            ScalarValue::Decimal128(Some(value), _, scale) => decimal(&value.to_string(), *scale),
            ScalarValue::Decimal256(Some(value), _, scale) => decimal(&value.to_string(), *scale),
            ScalarValue::Date32(Some(days)) => date(*days).map(|date| format!("DATE'{date}'")),
            ScalarValue::TimestampMicrosecond(Some(micros), _) => timestamp_literal(*micros),
            ScalarValue::Binary(Some(bytes))
            | ScalarValue::LargeBinary(Some(bytes))
            | ScalarValue::BinaryView(Some(bytes)) => Some(hex_literal(bytes)),
            ScalarValue::FixedSizeBinary(16, Some(bytes)) if column_type.oid == oids::UUID => uuid_literal(bytes),
            text => match column_type.oid {
                oids::TEXT | oids::VARCHAR => Some(text_literal(text.try_as_str()??)),
                _ if !column_type.labels().is_empty() => Some(text_literal(text.try_as_str()??)),
                _ => None,
            },
        }
    }

    fn comparison(&self, column: &str, column_type: &PgType, operator: Operator, literal: &str) -> Option<Pushed> {
        let (manner, fidelity) = self.manner(column, column_type)?;
        let sign = sign(operator)?;
        let sql = match manner {
            Manner::Plain => format!("({column} {sign} {literal})"),
            Manner::Label if !has_collation(literal, Charset::Other) => return None,
            Manner::Label if operator == Operator::Eq => format!("({column} = {literal})"),
            Manner::Label if operator == Operator::NotEq && fidelity == Fidelity::Identical => {
                format!("({column} <> {literal})")
            }
            Manner::Label => return None,
            Manner::Text(charset) => {
                let bytes = format!("{} {sign} CAST({literal} AS BINARY)", bytes_of(column, charset));
                let indexed = operator == Operator::Eq && has_collation(literal, charset);
                if indexed { format!("({column} = {literal} AND {bytes})") } else { format!("({bytes})") }
            }
        };
        Some(Pushed { sql, fidelity })
    }

    fn in_list(&self, column: &str, column_type: &PgType, literals: &[String], negated: bool) -> Option<Pushed> {
        let (manner, fidelity) = self.manner(column, column_type)?;
        let word = if negated { "NOT IN" } else { "IN" };
        let list = literals.join(", ");
        let sql = match manner {
            Manner::Plain => format!("({column} {word} ({list}))"),
            Manner::Label if !literals.iter().all(|literal| has_collation(literal, Charset::Other)) => return None,
            Manner::Label if !negated || fidelity == Fidelity::Identical => format!("({column} {word} ({list}))"),
            Manner::Label => return None,
            Manner::Text(charset) => {
                let casts: Vec<_> = literals.iter().map(|literal| format!("CAST({literal} AS BINARY)")).collect();
                let bytes = format!("{} {word} ({})", bytes_of(column, charset), casts.join(", "));
                let indexed = !negated && literals.iter().all(|literal| has_collation(literal, charset));
                if indexed { format!("({column} IN ({list}) AND {bytes})") } else { format!("({bytes})") }
            }
        };
        Some(Pushed { sql, fidelity })
    }

    fn is_null(&self, column: &str, _column_type: &PgType, negated: bool) -> Option<Pushed> {
        let sql = format!("({column} IS {}NULL)", if negated { "NOT " } else { "" });
        match self.columns.get(column)?.class {
            // Zero dates and an enum's error value are NULL here; and MySQL says IS NULL of a zero date in a column that is
            // NOT NULL.
            Class::Date | Class::DateTime | Class::Timestamp | Class::Enum => {
                negated.then_some(Pushed { sql, fidelity: Fidelity::Superset })
            }
            _ => Some(Pushed { sql, fidelity: Fidelity::Identical }),
        }
    }

    fn like(&self, column: &str, column_type: &PgType, pattern: &str, negated: bool) -> Option<Pushed> {
        let (Manner::Text(charset), fidelity) = self.manner(column, column_type)? else { return None };
        // `_` is a character there only under a collation, and the bytes decide here.
        if pattern.contains(['_', '\\']) {
            return None;
        }
        let literal = text_literal(pattern);
        let word = if negated { "NOT LIKE" } else { "LIKE" };
        let bytes = format!("{} {word} CAST({literal} AS BINARY)", bytes_of(column, charset));
        // A prefix may be found by an index.
        let indexed = !negated && !pattern.starts_with('%') && has_collation(&literal, charset);
        let sql = if indexed { format!("({column} LIKE {literal} AND {bytes})") } else { format!("({bytes})") };
        Some(Pushed { sql, fidelity })
    }
}

impl MysqlDialect {
    /// A column of whole numbers, stored as such and seen as the type that the connector gives it.
    fn is_integer(&self, value: &Written<'_>) -> bool {
        let integer = matches!(value.data_type.oid, oids::INT2 | oids::INT4 | oids::INT8);
        let facts = self.columns.get(&value.sql);
        integer && facts.is_some_and(|facts| facts.class == Class::Integer && facts.native == *value.data_type)
    }

    /// No value of the column is read as NULL that is none at the remote.
    fn keeps_nulls(&self, value: &Written<'_>) -> bool {
        let native = self.columns.get(&value.sql).is_some_and(|facts| facts.native == *value.data_type);
        let tested = self.is_null(&value.sql, value.data_type, false);
        native && tested.is_some_and(|tested| tested.fidelity == Fidelity::Identical)
    }
}

impl QueryDialect for MysqlDialect {
    fn is_of_one_table(&self) -> bool {
        true
    }

    fn groups(&self, data_type: &PgType) -> bool {
        // Which columns are stored as integers, `relation` says.
        matches!(data_type.oid, oids::INT2 | oids::INT4 | oids::INT8) && data_type.user.is_none()
    }

    fn sort_key(&self, key: &Written<'_>, descending: bool, nulls_first: bool) -> Option<String> {
        if !self.is_integer(key) {
            return None;
        }
        let column = &key.sql;
        let direction = if descending { "DESC" } else { "ASC" };
        // NULL is less than everything there.
        if nulls_first != descending {
            return Some(format!("{column} {direction}"));
        }
        Some(format!("{column} IS NULL {}, {column} {direction}", if nulls_first { "DESC" } else { "ASC" }))
    }

    fn aggregate(&self, aggregate: &Aggregate, argument: Option<&Written<'_>>) -> Option<AggregateCall> {
        if aggregate.filter.is_some() || aggregate.distinct {
            return None;
        }
        let call =
            |function, argument: &str, cast| Some(AggregateCall { function, argument: argument.to_owned(), cast });
        let Some(argument) = argument else {
            return (aggregate.function == AggregateFunction::Count).then(|| call("COUNT", "*", None))?;
        };
        match aggregate.function {
            AggregateFunction::Count if self.keeps_nulls(argument) => call("COUNT", &argument.sql, None),
            _ if !self.is_integer(argument) => None,
            AggregateFunction::Min => call("MIN", &argument.sql, None),
            AggregateFunction::Max => call("MAX", &argument.sql, None),
            // A sum is a decimal there.
            AggregateFunction::Sum if argument.data_type.oid != oids::INT8 => {
                call("SUM", &argument.sql, Some("SIGNED"))
            }
            _ => None,
        }
    }
}

fn bytes_of(column: &str, charset: Charset) -> String {
    match charset {
        Charset::Utf8mb4 | Charset::Utf8 => format!("CAST({column} AS BINARY)"),
        Charset::Other => format!("CAST(CONVERT({column} USING utf8mb4) AS BINARY)"),
    }
}

/// Whether a text literal may be compared with a column under the column's collation. What the column's character set does
/// not have is an error there ("illegal mix of collations").
fn has_collation(literal: &str, charset: Charset) -> bool {
    charset == Charset::Utf8mb4 || (literal.is_ascii() && literal.starts_with('\''))
}

/// Quotes a name.
pub(crate) fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text literal that reads alike under every `sql_mode`: what a backslash means depends on it.
pub(crate) fn text_literal(text: &str) -> String {
    if text.contains(['\\', '\0']) {
        return format!("_utf8mb4 {}", hex_literal(text.as_bytes()));
    }
    format!("'{}'", text.replace('\'', "''"))
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

fn float_literal(value: f64) -> Option<String> {
    // With an exponent it is a double, without one a decimal.
    value.is_finite().then(|| format!("{value:e}"))
}

/// A decimal literal of an unscaled number.
fn decimal(unscaled: &str, scale: i8) -> Option<String> {
    let scale = usize::try_from(scale).ok()?;
    let (sign, digits) = unscaled.strip_prefix('-').map_or(("", unscaled), |digits| ("-", digits));
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    Some(if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

/// A date of MySQL's range from days since 1970-01-01.
fn date(days: i32) -> Option<String> {
    if !(DATE_MIN..=DATE_MAX).contains(&days) {
        return None;
    }
    // Days since 0000-03-01, where years of leap-day-last months begin; 146097 days are 400 years.
    let days = i64::from(days) + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months + 2) / 5 + 1;
    let month = if months < 10 { months + 3 } else { months - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Some(format!("{year:04}-{month:02}-{day:02}"))
}

fn timestamp_literal(micros: i64) -> Option<String> {
    let date = date(i32::try_from(micros.div_euclid(MICROS_A_DAY)).ok()?)?;
    let of_day = micros.rem_euclid(MICROS_A_DAY);
    let (seconds, fraction) = (of_day / MICROS_A_SECOND, of_day % MICROS_A_SECOND);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    Some(format!("TIMESTAMP'{date} {hour:02}:{minute:02}:{second:02}.{fraction:06}'"))
}

fn uuid_literal(bytes: &[u8]) -> Option<String> {
    let hex = hex(bytes);
    let part = |from: usize, to: usize| hex.get(from..to);
    Some(format!("'{}-{}-{}-{}-{}'", part(0, 8)?, part(8, 12)?, part(12, 16)?, part(16, 20)?, part(20, 32)?))
}

fn hex_literal(bytes: &[u8]) -> String {
    format!("x'{}'", hex(bytes))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads a quoted token as MySQL does, with and without NO_BACKSLASH_ESCAPES; `None` where it does not end at its end.
    fn read_back(sql: &str, quote: char, backslash: bool) -> Option<String> {
        let inner = sql.strip_prefix(quote)?;
        let mut text = String::new();
        let mut chars = inner.chars();
        while let Some(c) = chars.next() {
            if c == '\\' && backslash {
                text.push(chars.next()?);
            } else if c == quote {
                match chars.next() {
                    Some(next) if next == quote => text.push(quote),
                    Some(_) => return None,
                    None => return Some(text),
                }
            } else {
                text.push(c);
            }
        }
        None
    }

    #[test]
    fn whole_numbers_are_grouped_ordered_and_added_up() {
        let facts = |class, oid| ColumnFacts { class, native: PgType::new(oid) };
        let dialect = MysqlDialect::new([
            ("i".to_owned(), facts(Class::Integer, oids::INT4)),
            ("d".to_owned(), facts(Class::Date, oids::DATE)),
            ("t".to_owned(), facts(Class::Utf8mb4Text, oids::TEXT)),
        ]);
        let called = |function, name: &str, oid| {
            let data_type = PgType::new(oid);
            let argument = Written { sql: identifier(name), data_type: &data_type, collation: None };
            let aggregate =
                Aggregate { function, argument: None, distinct: false, filter: None, data_type: data_type.clone() };
            dialect.aggregate(&aggregate, Some(&argument)).map(|call| (call.function, call.cast))
        };
        assert_eq!(called(AggregateFunction::Sum, "i", oids::INT4), Some(("SUM", Some("SIGNED"))));
        assert_eq!(called(AggregateFunction::Max, "i", oids::INT4), Some(("MAX", None)));
        assert_eq!(called(AggregateFunction::Count, "t", oids::TEXT), Some(("COUNT", None)));
        // A zero date is NULL here; a collation has another least text; a column may be declared as another type.
        assert_eq!(called(AggregateFunction::Count, "d", oids::DATE), None);
        assert_eq!(called(AggregateFunction::Min, "t", oids::TEXT), None);
        assert_eq!(called(AggregateFunction::Sum, "i", oids::INT8), None);
        assert_eq!(called(AggregateFunction::Avg, "i", oids::INT4), None);
        let number = PgType::new(oids::INT4);
        let key = Written { sql: identifier("i"), data_type: &number, collation: None };
        assert_eq!(dialect.sort_key(&key, false, true).as_deref(), Some("`i` ASC"));
        assert_eq!(dialect.sort_key(&key, true, false).as_deref(), Some("`i` DESC"));
        assert_eq!(dialect.sort_key(&key, false, false).as_deref(), Some("`i` IS NULL ASC, `i` ASC"));
        assert_eq!(dialect.sort_key(&key, true, true).as_deref(), Some("`i` IS NULL DESC, `i` DESC"));
    }

    #[test]
    fn literals_have_their_exact_value() {
        assert_eq!(decimal("-5", 3).as_deref(), Some("-0.005"));
        assert_eq!(decimal("18446744073709551615", 0).as_deref(), Some("18446744073709551615"));
        assert_eq!(float_literal(0.1).as_deref(), Some("1e-1"));
        assert_eq!(float_literal(f64::NAN), None);
        assert_eq!(timestamp_literal(0).as_deref(), Some("TIMESTAMP'1970-01-01 00:00:00.000000'"));
        assert_eq!(timestamp_literal(-1).as_deref(), Some("TIMESTAMP'1969-12-31 23:59:59.999999'"));
        assert_eq!(date(DATE_MIN).as_deref(), Some("0001-01-01"));
        assert_eq!(date(DATE_MAX).as_deref(), Some("9999-12-31"));
        assert_eq!(date(DATE_MIN - 1), None);
        assert_eq!(date(19_782).as_deref(), Some("2024-02-29"));
        assert_eq!(uuid_literal(&[0xab; 16]).as_deref(), Some("'abababab-abab-abab-abab-abababababab'"));
    }

    #[test]
    fn text_is_compared_by_its_bytes() {
        let facts = ColumnFacts { class: Class::Utf8mb4Text, native: PgType::new(oids::TEXT) };
        let dialect = MysqlDialect::new([("a".to_owned(), facts)]);
        let text = PgType::new(oids::TEXT);
        let pushed = dialect.comparison("`a`", &text, Operator::Eq, "'x'").unwrap();
        assert_eq!(pushed.sql, "(`a` = 'x' AND CAST(`a` AS BINARY) = CAST('x' AS BINARY))");
        assert_eq!(pushed.fidelity, Fidelity::Identical);
        assert!(dialect.like("`a`", &text, "a_c", false).is_none());
    }

    proptest! {
        #[test]
        fn no_text_ends_its_literal(text in any::<String>()) {
            let sql = text_literal(&text);
            if let Some(hex) = sql.strip_prefix("_utf8mb4 x'") {
                prop_assert!(hex.trim_end_matches('\'').bytes().all(|byte| byte.is_ascii_hexdigit()));
            } else {
                for backslash in [false, true] {
                    prop_assert_eq!(read_back(&sql, '\'', backslash), Some(text.clone()));
                }
            }
        }

        #[test]
        fn no_name_ends_its_quotes(name in any::<String>()) {
            prop_assert_eq!(read_back(&identifier(&name), '`', false), Some(name));
        }
    }
}
