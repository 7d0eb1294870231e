//! What a source says of a table's size, for the planner: which side of a join is read first, and in which order.
//!
//! All of it is advice and may be old. Bounds of columns are left out on purpose: DataFusion draws conclusions from them
//! where a filter leaves one value, and a source's bounds are those of its last count.

use arrow::datatypes::{DataType, Schema};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use datafusion::logical_expr::expr::{BinaryExpr, ScalarFunction};
use datafusion::logical_expr::{Expr, Operator};

use crate::pushdown::COMPARE_FUNCTION;

/// Bytes of a value of a type without a width of its own, where nobody counted.
const VALUE_BYTES: usize = 24;
/// The share of rows that a filter of an unknown kind is taken to keep: DataFusion's own guess.
const FILTER_KEEPS: f64 = 0.2;

/// What is known of a table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TableEstimate {
    /// Rows.
    pub rows: Option<usize>,
    /// By the columns' places in the table; those that are missing are unknown.
    pub columns: Vec<ColumnEstimate>,
}

/// What is known of a column.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ColumnEstimate {
    /// Different values, NULL not among them.
    pub distinct: Option<f64>,
    /// The share of NULLs, from 0 to 1.
    pub nulls: Option<f64>,
    /// Average bytes of a value.
    pub bytes: Option<usize>,
}

/// Bytes of a value.
pub fn value_bytes(data_type: &DataType) -> usize {
    match data_type {
        DataType::Boolean => 1,
        DataType::FixedSizeBinary(bytes) => usize::try_from(*bytes).unwrap_or(VALUE_BYTES),
        other => other.primitive_width().unwrap_or(VALUE_BYTES),
    }
}

impl TableEstimate {
    /// The statistics of a scan: of the columns at `projection`, which `schema` describes, with `filters` applied at the
    /// source, whose columns `place` finds, and a limit.
    pub fn of_scan(
        &self,
        schema: &Schema,
        projection: &[usize],
        filters: &[Expr],
        place: impl Fn(&str) -> Option<usize>,
        limit: Option<usize>,
    ) -> Statistics {
        let Some(all) = self.rows else {
            let rows = limit.map_or(Precision::Absent, Precision::Inexact);
            return Statistics { num_rows: rows, ..Statistics::new_unknown(schema) };
        };
        let kept: f64 = filters.iter().map(|filter| self.kept(filter, all, &place)).product();
        let rows = share(all, kept);
        let rows = limit.map_or(rows, |limit| rows.min(limit));
        let mut bytes = 0_usize;
        let columns = projection.iter().zip(schema.fields()).map(|(place, field)| {
            let known = self.columns.get(*place).copied().unwrap_or_default();
            let column_bytes = known.bytes.unwrap_or_else(|| value_bytes(field.data_type())).saturating_mul(rows);
            bytes = bytes.saturating_add(column_bytes);
            ColumnStatistics {
                distinct_count: known.distinct.map_or(Precision::Absent, |d| Precision::Inexact(share(1, d).min(rows))),
                null_count: known.nulls.map_or(Precision::Absent, |nulls| Precision::Inexact(share(rows, nulls))),
                byte_size: Precision::Inexact(column_bytes),
                ..ColumnStatistics::new_unknown()
            }
        });
        let column_statistics = columns.collect();
        Statistics { num_rows: Precision::Inexact(rows), total_byte_size: Precision::Inexact(bytes), column_statistics }
    }

    /// The share of rows that a filter keeps.
    fn kept(&self, filter: &Expr, rows: usize, place: &impl Fn(&str) -> Option<usize>) -> f64 {
        let column = |expr: &Expr| match expr {
            Expr::Column(column) => self.columns.get(place(&column.name)?).copied(),
            _ => None,
        };
        let equal = |left: &Expr, right: &Expr| {
            let known = column(left).or_else(|| column(right))?;
            Some((1.0 - known.nulls.unwrap_or(0.0)) / known.distinct.filter(|distinct| *distinct >= 1.0)?)
        };
        let known = match filter {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                Some(self.kept(left, rows, place) * self.kept(right, rows, place))
            }
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
                Some(self.kept(left, rows, place) + self.kept(right, rows, place))
            }
            filter if let Some((left, right)) = equation(filter) => equal(left, right),
            Expr::InList(list) if !list.negated => {
                let count = u32::try_from(list.list.len()).unwrap_or(u32::MAX);
                equal(&list.expr, &list.expr).map(|one| one * f64::from(count))
            }
            Expr::IsNull(inner) => column(inner).and_then(|known| known.nulls),
            Expr::IsNotNull(inner) => column(inner).and_then(|known| known.nulls).map(|nulls| 1.0 - nulls),
            _ => None,
        };
        // Never none: an estimate of no rows would be believed more than it deserves.
        let one_row = 1.0 / as_float(rows.max(1));
        known.unwrap_or(FILTER_KEEPS).clamp(one_row, 1.0)
    }
}

/// The sides of `a = b`.
fn equation(filter: &Expr) -> Option<(&Expr, &Expr)> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => Some((left, right)),
        Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == COMPARE_FUNCTION => {
            match args.as_slice() {
                [Expr::Literal(ScalarValue::Utf8(Some(operator)), _), left, right] if operator == "=" => {
                    Some((left, right))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// The columns that a filter lets have one value, or one of a list of constants.
pub fn equated_columns(filter: &Expr) -> Vec<&str> {
    match (filter, equation(filter)) {
        (_, Some((Expr::Column(column), Expr::Literal(..)) | (Expr::Literal(..), Expr::Column(column)))) => {
            vec![&column.name]
        }
        (Expr::InList(list), _) if !list.negated && list.list.iter().all(|item| matches!(item, Expr::Literal(..))) => {
            match list.expr.as_ref() {
                Expr::Column(column) => vec![&column.name],
                _ => Vec::new(),
            }
        }
        (Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }), _) => {
            let mut columns = equated_columns(left);
            columns.extend(equated_columns(right));
            columns
        }
        // A short list is written so by the optimizer.
        (Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }), _) => {
            let others = equated_columns(right);
            equated_columns(left).into_iter().filter(|column| others.contains(column)).collect()
        }
        _ => Vec::new(),
    }
}

fn as_float(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

/// A share of a number, rounded up.
fn share(count: usize, part: f64) -> usize {
    let scaled = if u32::try_from(count).is_ok() {
        as_float(count) * part
    } else {
        // Beyond what a float counts exactly nobody needs the units.
        as_float(count >> 20) * 1_048_576.0 * part
    };
    // A float goes through text: `as` would cut silently what no table has.
    format!("{:.0}", scaled.ceil().max(0.0)).parse().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;
    use datafusion::prelude::{col, lit};

    use super::*;

    fn rows(filters: &[Expr], limit: Option<usize>) -> Statistics {
        let known = |distinct, nulls| ColumnEstimate { distinct: Some(distinct), nulls: Some(nulls), bytes: Some(10) };
        let table = TableEstimate { rows: Some(6_000_000), columns: vec![known(6_000_000.0, 0.0), known(50.0, 0.5)] };
        let schema = Schema::new(vec![Field::new("b", DataType::Utf8View, true)]);
        let place = |name: &str| ["a", "b"].iter().position(|known| *known == name);
        table.of_scan(&schema, &[1], filters, place, limit)
    }

    #[test]
    fn columns_with_one_value_are_found() {
        let names = |filter: Expr| equated_columns(&filter).join(" ");
        assert_eq!(names(col("a").eq(lit(1)).and(lit(2).eq(col("b")))), "a b");
        assert_eq!(names(col("a").in_list(vec![lit(1), lit(2)], false)), "a");
        assert_eq!(names(col("a").eq(lit(1)).or(col("a").eq(lit(2)))), "a");
        for other in [
            col("a").in_list(vec![lit(1)], true),
            col("a").eq(col("b")),
            col("a").gt(lit(1)),
            col("a").eq(lit(1)).or(col("b").eq(lit(1))),
        ] {
            assert_eq!(names(other), "");
        }
    }

    #[test]
    fn filters_keep_what_the_source_has_counted() {
        let count = |filters: &[Expr]| rows(filters, None).num_rows;
        assert_eq!(count(&[]), Precision::Inexact(6_000_000));
        assert_eq!(count(&[col("a").eq(lit(7))]), Precision::Inexact(1));
        assert_eq!(count(&[col("b").eq(lit("x"))]), Precision::Inexact(60_000));
        assert_eq!(count(&[col("b").is_null()]), Precision::Inexact(3_000_000));
        assert_eq!(count(&[col("a").in_list(vec![lit(1), lit(2)], false)]), Precision::Inexact(2));
        assert_eq!(count(&[col("a").gt(lit(1))]), Precision::Inexact(1_200_000));
        assert_eq!(count(&[col("nobody").eq(lit(1))]), Precision::Inexact(1_200_000));
        assert_eq!(rows(&[], Some(5)).num_rows, Precision::Inexact(5));
    }

    #[test]
    fn sizes_are_those_of_the_columns_that_are_read() {
        let statistics = rows(&[], None);
        assert_eq!(statistics.total_byte_size, Precision::Inexact(60_000_000));
        let column = statistics.column_statistics.first();
        assert_eq!(column.map(|column| column.distinct_count), Some(Precision::Inexact(50)));
        assert_eq!(column.map(|column| column.null_count), Some(Precision::Inexact(3_000_000)));
    }
}
