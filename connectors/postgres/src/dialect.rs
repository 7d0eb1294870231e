//! What PostgreSQL evaluates as Atoll does, and how names and values are written for it.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;

use atoll_connector_api::pushdown::{Dialect, Fidelity, Pushed};
use atoll_connector_api::subplan::{Aggregate, AggregateCall, AggregateFunction, QueryDialect, Transfer, Written};
use atoll_connector_api::types::text::{OutputStyle, write_text};
use atoll_connector_api::types::{Arithmetic, Numeric, PgType, oids};

/// Julian days of PostgreSQL's first and last date, 4714-11-24 BC and 5874897-12-31, as days from 1970-01-01.
const DATE_FIRST: i32 = -2_440_588;
const DATE_LAST: i32 = 2_145_042_905;
/// PostgreSQL's first timestamp, 4714-11-24 00:00:00 BC, in microseconds from 1970-01-01.
const TIMESTAMP_FIRST: i64 = -210_866_803_200_000_000;
/// Microseconds of a day: `24:00:00` is PostgreSQL's last time.
const TIME_LAST: i64 = 86_400_000_000;

/// PostgreSQL as one server is set up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PostgresDialect {
    /// The remote database is encoded in UTF-8. In any other encoding `"C"` order is another order, and a literal with a
    /// character that the encoding lacks is an error.
    pub(crate) utf8: bool,
}

/// Quotes an identifier.
pub(crate) fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes text, whatever `standard_conforming_strings` is; `None` for a zero byte, which no PostgreSQL text holds.
pub(crate) fn quote_text(text: &str) -> Option<String> {
    if text.contains('\0') {
        return None;
    }
    let doubled = text.replace('\'', "''");
    Some(if text.contains('\\') { format!("E'{}'", doubled.replace('\\', "\\\\")) } else { format!("'{doubled}'") })
}

/// How values of a column compare at the remote and here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    /// All operators are the same on both sides.
    Ordered,
    /// Equality is the same; order is, in the "C" collation.
    Text,
    /// Equality is the same, order is not.
    Equality,
}

impl PostgresDialect {
    fn comparison_of(self, column_type: &PgType) -> Option<Comparison> {
        if let Some(user) = &column_type.user {
            return (!user.array && !user.labels.is_empty()).then_some(Comparison::Equality);
        }
        match column_type.oid {
            oids::BOOL
            | oids::INT2
            | oids::INT4
            | oids::INT8
            | oids::OID
            | oids::FLOAT4
            | oids::FLOAT8
            | oids::NUMERIC
            | oids::BYTEA
            | oids::DATE
            | oids::TIME
            | oids::TIMESTAMP
            | oids::TIMESTAMPTZ
            | oids::UUID => Some(Comparison::Ordered),
            oids::TEXT | oids::VARCHAR => Some(Comparison::Text),
            // char(n) ignores trailing blanks, name cuts literals, json has no equality.
            _ => None,
        }
    }

    fn can_send(self, text: &str) -> bool {
        self.utf8 || text.is_ascii()
    }
}

impl Dialect for PostgresDialect {
    fn identifier(&self, name: &str) -> String {
        quote_identifier(name)
    }

    fn literal(&self, value: &ScalarValue, column_type: &PgType) -> Option<String> {
        if value.is_null() {
            return None;
        }
        let comparison = self.comparison_of(column_type)?;
        if let Some(text) = value.try_as_str().flatten() {
            let quoted = quote_text(text).filter(|_| self.can_send(text))?;
            return match comparison {
                Comparison::Text => Some(format!("{quoted}::text")),
                // An unknown label is an error at the remote. The type is left to the remote to see, from the column.
                Comparison::Equality => column_type.labels().iter().any(|label| label == text).then_some(quoted),
                // Without a precision it is stored as text here. Older versions have no infinity.
                Comparison::Ordered if column_type.oid == oids::NUMERIC => {
                    let is_known = text == "NaN" || matches!(Numeric::parse(text), Ok(Numeric::Finite(_)));
                    is_known.then(|| format!("{quoted}::numeric"))
                }
                Comparison::Ordered => None,
            };
        }
        if !is_representable(value, column_type) {
            return None;
        }
        let array = value.to_array().ok()?;
        let mut text = String::new();
        write_text(array.as_ref(), 0, column_type, &OutputStyle::default(), &mut text).ok()?;
        Some(format!("{}::{}", quote_text(&text)?, cast_name(column_type)?))
    }

    fn comparison(&self, column: &str, column_type: &PgType, operator: Operator, literal: &str) -> Option<Pushed> {
        let word = operator_word(operator)?;
        let equality = matches!(operator, Operator::Eq | Operator::NotEq);
        match self.comparison_of(column_type)? {
            Comparison::Ordered => identical(format!("({column} {word} {literal})")),
            Comparison::Text | Comparison::Equality if equality => identical(format!("({column} {word} {literal})")),
            Comparison::Text if self.utf8 => identical(format!("({column} COLLATE \"C\" {word} {literal})")),
            Comparison::Text | Comparison::Equality => None,
        }
    }

    fn in_list(&self, column: &str, column_type: &PgType, literals: &[String], negated: bool) -> Option<Pushed> {
        self.comparison_of(column_type)?;
        let word = if negated { "NOT IN" } else { "IN" };
        identical(format!("({column} {word} ({}))", literals.join(", ")))
    }

    fn boolean_column(&self, column: &str) -> Option<Pushed> {
        identical(column.to_owned())
    }

    fn compares_numbers(&self) -> bool {
        true
    }

    fn like(&self, column: &str, column_type: &PgType, pattern: &str, negated: bool) -> Option<Pushed> {
        // A backslash escapes on both sides, but a trailing one is an error in PostgreSQL alone.
        if self.comparison_of(column_type)? != Comparison::Text || pattern.contains('\\') || !self.can_send(pattern) {
            return None;
        }
        let word = if negated { "NOT LIKE" } else { "LIKE" };
        identical(format!("({column} {word} {}::text)", quote_text(pattern)?))
    }
}

/// The same for columns whose names are SQL text already.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WrittenColumns(pub(crate) PostgresDialect);

impl Dialect for WrittenColumns {
    fn identifier(&self, name: &str) -> String {
        name.to_owned()
    }

    fn literal(&self, value: &ScalarValue, column_type: &PgType) -> Option<String> {
        self.0.literal(value, column_type)
    }

    fn comparison(&self, column: &str, column_type: &PgType, operator: Operator, literal: &str) -> Option<Pushed> {
        self.0.comparison(column, column_type, operator, literal)
    }

    fn in_list(&self, column: &str, column_type: &PgType, literals: &[String], negated: bool) -> Option<Pushed> {
        self.0.in_list(column, column_type, literals, negated)
    }
}

impl PostgresDialect {
    /// Whether of values that are equal one is as good as another: not so for floats, which have two zeros, and for numbers
    /// that may have any zeros at their ends.
    fn is_exact(self, data_type: &PgType) -> bool {
        let has_own_zeros = match data_type.oid {
            oids::FLOAT4 | oids::FLOAT8 => true,
            oids::NUMERIC => !data_type.storage().is_decimal(),
            _ => false,
        };
        self.comparison_of(data_type).is_some() && (data_type.user.is_some() || !has_own_zeros)
    }

    /// A value in an order that is the same here.
    fn ordered(self, value: &Written<'_>) -> Option<String> {
        match self.comparison_of(value.data_type)? {
            Comparison::Ordered => Some(value.sql.clone()),
            Comparison::Text => self.utf8.then(|| format!("{} COLLATE \"C\"", value.sql)),
            Comparison::Equality => None,
        }
    }
}

impl QueryDialect for PostgresDialect {
    fn groups(&self, data_type: &PgType) -> bool {
        self.is_exact(data_type)
    }

    fn order(&self, key: &Written<'_>) -> Option<String> {
        self.ordered(key)
    }

    fn compare(&self, left: &Written<'_>, operator: Operator, right: &Written<'_>) -> Option<String> {
        let word = operator_word(operator)?;
        // A type and another one are compared here, but for those of one family; labels of enums too, since the other enum may
        // be another type.
        if left.data_type.user.is_some() || right.data_type.user.is_some() || family(left) != family(right) {
            return None;
        }
        let equality = matches!(operator, Operator::Eq | Operator::NotEq);
        match self.comparison_of(left.data_type)? {
            Comparison::Ordered => Some(format!("({} {word} {})", left.sql, right.sql)),
            // Two collations have no common answer at the remote, and one that is named keeps it from its indexes.
            Comparison::Text if equality => {
                let known = left.collation.is_some() && left.collation == right.collation;
                known.then(|| format!("({} {word} {})", left.sql, right.sql))
            }
            Comparison::Text => {
                self.utf8.then(|| format!("({} COLLATE \"C\" {word} {} COLLATE \"C\")", left.sql, right.sql))
            }
            Comparison::Equality => None,
        }
    }

    fn aggregate(&self, aggregate: &Aggregate, argument: Option<&Written<'_>>) -> Option<AggregateCall> {
        let call =
            |function, argument: &str| Some(AggregateCall { function, argument: argument.to_owned(), cast: None });
        let Some(argument) = argument else {
            return (aggregate.function == AggregateFunction::Count && !aggregate.distinct)
                .then(|| call("count", "*"))?;
        };
        let data_type = argument.data_type;
        let oid = if data_type.user.is_some() { 0 } else { data_type.oid };
        let is_number = matches!(oid, oids::INT2 | oids::INT4 | oids::INT8 | oids::NUMERIC);
        let sql = argument.sql.as_str();
        match aggregate.function {
            AggregateFunction::Count => call("count", sql),
            // What is added up is exact; a sum of floats depends on the order of its rows.
            AggregateFunction::Sum if is_number && !aggregate.distinct => call("sum", sql),
            AggregateFunction::Avg if is_number && !aggregate.distinct => call("avg", sql),
            AggregateFunction::Min if has_extremes(oid) && self.is_exact(data_type) => {
                call("min", &self.ordered(argument)?)
            }
            AggregateFunction::Max if has_extremes(oid) && self.is_exact(data_type) => {
                call("max", &self.ordered(argument)?)
            }
            AggregateFunction::BoolAnd if oid == oids::BOOL => call("bool_and", sql),
            AggregateFunction::BoolOr if oid == oids::BOOL => call("bool_or", sql),
            _ => None,
        }
    }

    fn arithmetic(&self, left: &str, operation: Arithmetic, right: &str) -> Option<String> {
        // Their results have the digits that the operands have; a quotient's depend on the version.
        let word = match operation {
            Arithmetic::Add => "+",
            Arithmetic::Subtract => "-",
            Arithmetic::Multiply => "*",
            _ => return None,
        };
        Some(format!("({left} {word} {right})"))
    }

    fn transfer(&self, sql: &str, transfer: Transfer) -> Option<String> {
        Some(transferred(sql, transfer))
    }
}

/// What stands for the types that compare with one another by value.
fn family(value: &Written<'_>) -> u32 {
    match value.data_type.oid {
        oids::INT2 | oids::INT4 | oids::INT8 | oids::NUMERIC => oids::NUMERIC,
        oids::FLOAT4 | oids::FLOAT8 => oids::FLOAT8,
        oids::VARCHAR => oids::TEXT,
        oid => oid,
    }
}

/// The types that have `min` and `max` in every version.
const fn has_extremes(oid: u32) -> bool {
    matches!(
        oid,
        oids::INT2
            | oids::INT4
            | oids::INT8
            | oids::OID
            | oids::NUMERIC
            | oids::TEXT
            | oids::VARCHAR
            | oids::DATE
            | oids::TIME
            | oids::TIMESTAMP
            | oids::TIMESTAMPTZ
    )
}

/// A column as it is asked for.
pub(crate) fn transferred(sql: &str, transfer: Transfer) -> String {
    match transfer {
        Transfer::Native => sql.to_owned(),
        Transfer::Text => format!("{sql}::text"),
        Transfer::Function(function) => format!("textin({function}({sql}))"),
    }
}

fn operator_word(operator: Operator) -> Option<&'static str> {
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

/// Values that Arrow holds and PostgreSQL refuses to read are compared here.
fn is_representable(value: &ScalarValue, column_type: &PgType) -> bool {
    match value {
        ScalarValue::Int64(Some(number)) if column_type.oid == oids::OID => u32::try_from(*number).is_ok(),
        ScalarValue::Date32(Some(days)) => {
            (DATE_FIRST..=DATE_LAST).contains(days) || matches!(*days, i32::MIN | i32::MAX)
        }
        // The last timestamp in Arrow's range lies before PostgreSQL's.
        ScalarValue::TimestampMicrosecond(Some(micros), _) => *micros >= TIMESTAMP_FIRST || *micros == i64::MIN,
        ScalarValue::Time64Microsecond(Some(micros)) => (0..=TIME_LAST).contains(micros),
        _ => true,
    }
}

/// The type's name for a cast, without a modifier: a literal must not be rounded or cut.
fn cast_name(column_type: &PgType) -> Option<&'static str> {
    Some(match column_type.oid {
        oids::BOOL => "boolean",
        oids::INT2 => "smallint",
        oids::INT4 => "integer",
        oids::INT8 => "bigint",
        oids::OID => "oid",
        oids::FLOAT4 => "real",
        oids::FLOAT8 => "double precision",
        oids::NUMERIC => "numeric",
        oids::BYTEA => "bytea",
        oids::DATE => "date",
        oids::TIME => "time",
        oids::TIMESTAMP => "timestamp",
        oids::TIMESTAMPTZ => "timestamptz",
        oids::UUID => "uuid",
        _ => return None,
    })
}

/// A predicate that answers identically.
fn identical(sql: String) -> Option<Pushed> {
    Some(Pushed { sql, fidelity: Fidelity::Identical })
}

/// Whether a type's storage here is text.
pub(crate) fn is_text_storage(data_type: &PgType) -> bool {
    data_type.storage() == DataType::Utf8View
}

#[cfg(test)]
#[path = "subplan_tests.rs"]
mod subplan_tests;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DIALECT: PostgresDialect = PostgresDialect { utf8: true };

    /// Reads a literal as PostgreSQL's scanner does with `standard_conforming_strings` on; what follows it is returned.
    fn scan_literal(sql: &str) -> Option<(String, &str)> {
        let (escapes, body) = match sql.strip_prefix("E'") {
            Some(body) => (true, body),
            None => (false, sql.strip_prefix('\'')?),
        };
        let mut text = String::new();
        let mut characters = body.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '\'' if body[at + 1..].starts_with('\'') => {
                    characters.next();
                    text.push('\'');
                }
                '\'' => return Some((text, &body[at + 1..])),
                '\\' if escapes => text.push(characters.next()?.1),
                other => text.push(other),
            }
        }
        None
    }

    fn scan_identifier(sql: &str) -> Option<(String, &str)> {
        let body = sql.strip_prefix('"')?;
        let mut name = String::new();
        let mut characters = body.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' if body[at + 1..].starts_with('"') => {
                    characters.next();
                    name.push('"');
                }
                '"' => return Some((name, &body[at + 1..])),
                other => name.push(other),
            }
        }
        None
    }

    proptest! {
        #[test]
        fn no_text_leaves_its_quotes(text in "[^\\x00]{0,40}", hostile in "['\\\\;E\" -]{0,20}") {
            for text in [text, hostile] {
                let quoted = quote_text(&text).unwrap();
                prop_assert_eq!(scan_literal(&quoted), Some((text, "")));
            }
        }

        #[test]
        fn no_name_leaves_its_quotes(name in "[^\\x00]{1,40}", hostile in "[\"'\\\\; ]{1,20}") {
            for name in [name, hostile] {
                let quoted = quote_identifier(&name);
                prop_assert_eq!(scan_identifier(&quoted), Some((name, "")));
            }
        }
    }

    #[test]
    fn text_with_a_zero_byte_is_not_sent() {
        assert_eq!(quote_text("a\0b"), None);
        let value = ScalarValue::from("a\0b");
        assert_eq!(DIALECT.literal(&value, &PgType::new(oids::TEXT)), None);
    }

    #[test]
    fn text_orders_in_the_c_collation_and_only_in_utf8() {
        let text = PgType::new(oids::TEXT);
        let literal = DIALECT.literal(&ScalarValue::from("é"), &text).unwrap();
        assert_eq!(literal, "'é'::text");
        let less = DIALECT.comparison("\"c\"", &text, Operator::Lt, &literal).unwrap();
        assert_eq!(less.sql, "(\"c\" COLLATE \"C\" < 'é'::text)");
        let other = PostgresDialect { utf8: false };
        assert_eq!(other.literal(&ScalarValue::from("é"), &text), None);
        assert_eq!(other.comparison("\"c\"", &text, Operator::Lt, "'e'::text"), None);
        assert!(other.comparison("\"c\"", &text, Operator::Eq, "'e'::text").is_some());
    }

    #[test]
    fn what_differs_is_not_sent() {
        for oid in [oids::BPCHAR, oids::NAME, oids::JSON, oids::JSONB, oids::INET, oids::MONEY, oids::TEXT_ARRAY] {
            let data_type = PgType::new(oid);
            assert_eq!(DIALECT.literal(&ScalarValue::from("x"), &data_type), None, "{oid}");
            assert_eq!(DIALECT.like("\"c\"", &data_type, "x%", false), None, "{oid}");
        }
        let numeric = |text: &str| DIALECT.literal(&ScalarValue::from(text), &PgType::new(oids::NUMERIC));
        assert_eq!(numeric("-1.50").as_deref(), Some("'-1.50'::numeric"));
        assert_eq!(numeric("NaN").as_deref(), Some("'NaN'::numeric"));
        // Versions before 14 have none.
        assert_eq!((numeric("Infinity"), numeric("x'; --")), (None, None));
        assert_eq!(DIALECT.like("\"c\"", &PgType::new(oids::TEXT), "a\\%", false), None);
        let big = ScalarValue::Int64(Some(-1));
        assert_eq!(DIALECT.literal(&big, &PgType::new(oids::OID)), None);
        assert_eq!(DIALECT.literal(&ScalarValue::Date32(Some(DATE_LAST + 1)), &PgType::new(oids::DATE)), None);
    }

    #[test]
    fn enums_are_sent_by_known_labels_and_without_order() {
        let mood = PgType::user("mood", vec!["sad".into(), "it's".into()], false);
        assert_eq!(DIALECT.literal(&ScalarValue::from("it's"), &mood).unwrap(), "'it''s'");
        assert_eq!(DIALECT.literal(&ScalarValue::from("happy"), &mood), None);
        assert!(DIALECT.comparison("\"c\"", &mood, Operator::NotEq, "'sad'").is_some());
        assert_eq!(DIALECT.comparison("\"c\"", &mood, Operator::Lt, "'sad'"), None);
    }

    #[test]
    fn patterns_without_escapes_are_sent() {
        let pushed = DIALECT.like("\"c\"", &PgType::varchar(10), "it's_%", true).unwrap();
        assert_eq!(pushed.sql, "(\"c\" NOT LIKE 'it''s_%'::text)");
    }
}
