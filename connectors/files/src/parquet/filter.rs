//! Filters in the terms of the files: what footers and page indexes can rule out. They are asked for fewer rows, never
//! for the right rows; the filter itself stays above the scan.

use arrow::datatypes::{DataType, TimeUnit};
use atoll_connector_api::types::{PgType, oids};
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::expr::{BinaryExpr, InList};
use datafusion::logical_expr::{Expr, Operator, lit};

use super::convert::Conversion;

/// Literals of one `IN` list beyond which statistics are not asked.
const IN_LIST_MAX: usize = 1000;
/// Nanoseconds in a microsecond.
const NANOSECONDS: i64 = 1000;

/// A declared column and what the files hold for it.
#[derive(Debug, Clone)]
pub(crate) struct FilterColumn {
    /// The declared name.
    pub(crate) name: String,
    pub(crate) data_type: PgType,
    /// The name and type in the files.
    pub(crate) file_name: String,
    pub(crate) file_type: DataType,
    pub(crate) conversion: Conversion,
}

/// A filter over the files' columns that keeps every row that `filter` keeps; `None` where nothing is known.
pub(crate) fn translate(filter: &Expr, columns: &[FilterColumn]) -> Option<Expr> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            match (translate(left, columns), translate(right, columns)) {
                (Some(left), Some(right)) => Some(left.and(right)),
                (one, other) => one.or(other),
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            Some(translate(left, columns)?.or(translate(right, columns)?))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (&**left, &**right) {
            (column, Expr::Literal(value, _)) => compare(column, *op, value, columns),
            (Expr::Literal(value, _), column) => compare(column, op.swap()?, value, columns),
            _ => None,
        },
        Expr::Between(between) if !between.negated => {
            let (Expr::Literal(low, _), Expr::Literal(high, _)) = (&*between.low, &*between.high) else { return None };
            let low = compare(&between.expr, Operator::GtEq, low, columns);
            let high = compare(&between.expr, Operator::LtEq, high, columns);
            match (low, high) {
                (Some(low), Some(high)) => Some(low.and(high)),
                (one, other) => one.or(other),
            }
        }
        Expr::InList(list) => in_list(list, columns),
        Expr::IsNull(inner) => find(inner, columns).map(|column| file_column(column).is_null()),
        Expr::IsNotNull(inner) => find(inner, columns).map(|column| file_column(column).is_not_null()),
        _ => None,
    }
}

fn in_list(list: &InList, columns: &[FilterColumn]) -> Option<Expr> {
    if list.negated || list.list.is_empty() || list.list.len() > IN_LIST_MAX {
        return None;
    }
    let parts = list.list.iter().map(|item| match item {
        Expr::Literal(value, _) => compare(&list.expr, Operator::Eq, value, columns),
        _ => None,
    });
    parts.collect::<Option<Vec<_>>>()?.into_iter().reduce(Expr::or)
}

fn find<'a>(expr: &Expr, columns: &'a [FilterColumn]) -> Option<&'a FilterColumn> {
    let Expr::Column(Column { name, .. }) = expr else { return None };
    columns.iter().find(|column| column.name == *name && column.conversion != Conversion::Null)
}

fn file_column(column: &FilterColumn) -> Expr {
    Expr::Column(Column::new_unqualified(&column.file_name))
}

fn compare(expr: &Expr, op: Operator, value: &ScalarValue, columns: &[FilterColumn]) -> Option<Expr> {
    let column = find(expr, columns)?;
    if value.is_null() || is_nan(value) || is_minus_infinity(value) || !ordered_alike(column, op) {
        return None;
    }
    if column.conversion == Conversion::Nanoseconds {
        return compare_nanoseconds(column, op, value);
    }
    let literal = value.cast_to(&column.file_type).ok()?;
    // A literal that the file's type cannot hold says nothing that its statistics could answer.
    if literal.is_null() || literal.cast_to(&value.data_type()).ok()? != *value {
        return None;
    }
    apply(column, op, literal)
}

/// Statistics leave NaN out: they cannot say that there is none.
fn is_nan(value: &ScalarValue) -> bool {
    match value {
        ScalarValue::Float64(Some(value)) => value.is_nan(),
        ScalarValue::Float32(Some(value)) => value.is_nan(),
        _ => false,
    }
}

/// Files have two forms of it: see `convert::WRITTEN_INFINITY_DAY`.
fn is_minus_infinity(value: &ScalarValue) -> bool {
    matches!(value, ScalarValue::Date32(Some(i32::MIN)) | ScalarValue::TimestampMicrosecond(Some(i64::MIN), _))
}

fn apply(column: &FilterColumn, op: Operator, literal: ScalarValue) -> Option<Expr> {
    let (left, right) = (file_column(column), lit(literal));
    Some(match op {
        Operator::Eq => left.eq(right),
        Operator::Lt => left.lt(right),
        Operator::LtEq => left.lt_eq(right),
        Operator::Gt => left.gt(right),
        Operator::GtEq => left.gt_eq(right),
        _ => return None,
    })
}

/// Whether the files' statistics order values as PostgreSQL does, as far as `op` needs it.
fn ordered_alike(column: &FilterColumn, op: Operator) -> bool {
    if !(column.conversion.keeps_values() || column.conversion == Conversion::Nanoseconds) {
        return false;
    }
    let upward = matches!(op, Operator::Gt | Operator::GtEq);
    match column.data_type.oid {
        oids::BOOL
        | oids::INT2
        | oids::INT4
        | oids::INT8
        | oids::NUMERIC
        | oids::DATE
        | oids::TIME
        | oids::TIMESTAMP
        | oids::TIMESTAMPTZ
        | oids::TEXT
        | oids::VARCHAR => matches!(op, Operator::Eq | Operator::Lt | Operator::LtEq) || upward,
        // Statistics leave NaN out, which is above every number.
        oids::FLOAT4 | oids::FLOAT8 => matches!(op, Operator::Eq | Operator::Lt | Operator::LtEq),
        oids::UUID | oids::BYTEA => op == Operator::Eq,
        _ => false,
    }
}

/// A column of nanoseconds holds a microsecond's thousand: the literal is widened to them.
fn compare_nanoseconds(column: &FilterColumn, op: Operator, value: &ScalarValue) -> Option<Expr> {
    let microseconds = match value {
        ScalarValue::TimestampMicrosecond(Some(value), _) | ScalarValue::Time64Microsecond(Some(value)) => *value,
        _ => return None,
    };
    let first = microseconds.checked_mul(NANOSECONDS)?;
    let last = first.checked_add(NANOSECONDS - 1)?;
    let literal = |value: i64| match &column.file_type {
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
            Some(ScalarValue::TimestampNanosecond(Some(value), zone.clone()))
        }
        DataType::Time64(TimeUnit::Nanosecond) => Some(ScalarValue::Time64Nanosecond(Some(value))),
        _ => None,
    };
    match op {
        Operator::Eq => {
            let from = apply(column, Operator::GtEq, literal(first)?)?;
            Some(from.and(apply(column, Operator::LtEq, literal(last)?)?))
        }
        Operator::Lt => apply(column, op, literal(first)?),
        Operator::LtEq => apply(column, op, literal(last)?),
        Operator::Gt => apply(column, op, literal(last)?),
        Operator::GtEq => apply(column, op, literal(first)?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::prelude::col;

    fn columns() -> Vec<FilterColumn> {
        let column = |name: &str, data_type, file_type, conversion| FilterColumn {
            name: name.to_owned(),
            data_type,
            file_name: format!("F_{name}"),
            file_type,
            conversion,
        };
        vec![
            column("i", PgType::new(oids::INT8), DataType::Int32, Conversion::Cast),
            column("f", PgType::new(oids::FLOAT8), DataType::Float64, Conversion::Identity),
            column(
                "t",
                PgType::new(oids::TIMESTAMP),
                DataType::Timestamp(TimeUnit::Nanosecond, None),
                Conversion::Nanoseconds,
            ),
            column("j", PgType::new(oids::JSONB), DataType::Utf8View, Conversion::Json),
        ]
    }

    fn shown(filter: &Expr) -> Option<String> {
        translate(filter, &columns()).map(|expr| expr.to_string())
    }

    #[test]
    fn speaks_of_the_files_columns_in_their_types() {
        assert_eq!(shown(&col("i").gt(lit(5_i64))).as_deref(), Some("F_i > Int32(5)"));
        assert_eq!(shown(&lit(5_i64).gt(col("i"))).as_deref(), Some("F_i < Int32(5)"));
        assert_eq!(shown(&col("i").eq(lit(5_000_000_000_i64))), None);
        assert_eq!(shown(&col("j").is_null()).as_deref(), Some("F_j IS NULL"));
        assert_eq!(shown(&col("j").eq(lit("x"))), None);
    }

    #[test]
    fn half_of_a_conjunction_is_enough_and_half_of_a_disjunction_is_not() {
        let known = col("i").eq(lit(1_i64));
        let unknown = col("j").eq(lit("x"));
        assert_eq!(shown(&known.clone().and(unknown.clone())).as_deref(), Some("F_i = Int32(1)"));
        assert_eq!(shown(&known.or(unknown)), None);
    }

    #[test]
    fn never_rules_out_nan() {
        assert_eq!(shown(&col("f").gt(lit(1.0_f64))), None);
        assert_eq!(shown(&col("f").eq(lit(f64::NAN))), None);
        assert_eq!(shown(&col("f").in_list(vec![lit(1.0_f64), lit(f64::NAN)], false)), None);
        assert_eq!(shown(&col("f").lt(lit(1.0_f64))).as_deref(), Some("F_f < Float64(1)"));
    }

    #[test]
    fn widens_a_microsecond_to_its_nanoseconds() {
        let at = |value| lit(ScalarValue::TimestampMicrosecond(Some(value), None));
        assert_eq!(shown(&col("t").gt(at(2))).as_deref(), Some("F_t > TimestampNanosecond(2999, None)"));
        assert_eq!(shown(&col("t").gt_eq(at(2))).as_deref(), Some("F_t >= TimestampNanosecond(2000, None)"));
        assert_eq!(shown(&col("t").lt_eq(at(-1))).as_deref(), Some("F_t <= TimestampNanosecond(-1, None)"));
        assert_eq!(shown(&col("t").lt(at(i64::MAX))), None);
    }
}
