//! What footers say about a table's columns, in the declared types.

use std::panic::AssertUnwindSafe;

use arrow::datatypes::SchemaRef;
use atoll_connector_api::types::{PgType, oids};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;

use super::convert::{Conversion, WRITTEN_INFINITY_DAY, WRITTEN_INFINITY_MICROSECOND};
use super::footer::Footer;

/// A column's conversion and declared type.
pub(crate) type Target<'a> = (Conversion, &'a PgType);

/// Statistics of one file: those of `targets`, which are the fields of `file_schema`.
pub(crate) fn of_file(footer: &Footer, file_schema: &SchemaRef, targets: &[Target<'_>]) -> Statistics {
    let read = || DFParquetMetadata::statistics_from_parquet_metadata(&footer.metadata, file_schema);
    let rows = footer.metadata.row_groups().iter().map(|group| usize::try_from(group.num_rows()).unwrap_or(0)).sum();
    // Statistics are advice: where a broken file has none, the scan will tell what is wrong with it.
    let found = std::panic::catch_unwind(AssertUnwindSafe(read)).ok().and_then(std::result::Result::ok);
    let columns = found.map(|statistics| statistics.column_statistics).unwrap_or_default();
    let column_statistics = targets
        .iter()
        .enumerate()
        .map(|(index, (conversion, data_type))| {
            let Some(known) = Known::of_column(footer, file_schema.field(index).name()) else {
                return ColumnStatistics::new_unknown();
            };
            columns
                .get(index)
                .map_or_else(ColumnStatistics::new_unknown, |file| convert(file, &known, *conversion, data_type))
        })
        .collect();
    Statistics { num_rows: Precision::Exact(rows), total_byte_size: Precision::Absent, column_statistics }
}

/// What all row groups together know of a column. DataFusion's own sum passes over groups that know nothing, and counts
/// every row of a column that it does not find as NULL: as exact figures both would be wrong answers.
struct Known {
    null_count: Option<usize>,
    bounds: bool,
}

impl Known {
    /// `None` for nested columns, whose leaves say nothing of the whole.
    fn of_column(footer: &Footer, name: &str) -> Option<Self> {
        let leaves = footer.metadata.file_metadata().schema_descr().columns();
        let leaf = leaves.iter().position(|leaf| matches!(leaf.path().parts(), [only] if only == name))?;
        let mut known = Self { null_count: Some(0), bounds: true };
        for group in footer.metadata.row_groups() {
            let column = group.columns().get(leaf)?;
            let statistics = column.statistics();
            let nulls = statistics.and_then(|found| found.null_count_opt());
            known.null_count = known
                .null_count
                .zip(nulls.and_then(|nulls| usize::try_from(nulls).ok()))
                .map(|(sum, nulls)| sum + nulls);
            let only_nulls = nulls.is_some_and(|nulls| i64::try_from(nulls).is_ok_and(|n| n == column.num_values()));
            let bounded =
                statistics.is_some_and(|found| found.min_bytes_opt().is_some() && found.max_bytes_opt().is_some());
            known.bounds &= bounded || only_nulls;
        }
        Some(known)
    }
}

fn convert(file: &ColumnStatistics, known: &Known, conversion: Conversion, data_type: &PgType) -> ColumnStatistics {
    let mut column = ColumnStatistics::new_unknown();
    if conversion == Conversion::Null {
        return column;
    }
    column.null_count = known.null_count.map_or(Precision::Absent, Precision::Exact);
    if !conversion.keeps_values() || !known.bounds {
        return column;
    }
    let exact = matches!(
        data_type.oid,
        oids::INT2
            | oids::INT4
            | oids::INT8
            | oids::DATE
            | oids::TIMESTAMP
            | oids::TIMESTAMPTZ
            | oids::BOOL
            | oids::NUMERIC
    );
    let bound = |value: &Precision<ScalarValue>| {
        let converted = value.get_value().and_then(|scalar| scalar.cast_to(&data_type.storage()).ok());
        match (converted, value) {
            (Some(scalar), _) if scalar.is_null() || is_written_infinity(&scalar) => Precision::Absent,
            (Some(scalar), Precision::Exact(_)) if exact => Precision::Exact(scalar),
            // Text may be cut short, and NaN is left out of a float's bounds.
            (Some(scalar), _) => Precision::Inexact(scalar),
            (None, _) => Precision::Absent,
        }
    };
    (column.min_value, column.max_value) = (bound(&file.min_value), bound(&file.max_value));
    column
}

fn is_written_infinity(value: &ScalarValue) -> bool {
    match value {
        ScalarValue::Date32(Some(day)) => *day == WRITTEN_INFINITY_DAY,
        ScalarValue::TimestampMicrosecond(Some(at), _) => *at == WRITTEN_INFINITY_MICROSECOND,
        _ => false,
    }
}
