//! Parquet's INTERVAL: twelve bytes, three little-endian numbers of months, days and milliseconds. The `parquet` crate
//! reads two of the three, so the mark is taken off the schema that it sees and the bytes are made intervals here.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeBinaryArray, FixedSizeListArray, GenericListArray, IntervalMonthDayNanoArray,
    MapArray, OffsetSizeTrait, StructArray,
};
use arrow::datatypes::{DataType, Field, FieldRef, IntervalMonthDayNano, IntervalUnit};
use atoll_connector_api::{ConnectorError, Result};
use datafusion::parquet::basic::ConvertedType;
use datafusion::parquet::errors::Result as ParquetResult;
use datafusion::parquet::schema::types::{SchemaDescriptor, Type, TypePtr};

/// Bytes of a value (Parquet format, "INTERVAL").
const INTERVAL_BYTES: i32 = 12;
const NANOSECONDS_A_MILLISECOND: i64 = 1_000_000;

/// The schema without the mark, or `None` where nothing is marked.
///
/// # Errors
/// The `parquet` crate's, for a schema that it would not have read either.
pub(super) fn without_mark(schema: &SchemaDescriptor) -> ParquetResult<Option<Arc<SchemaDescriptor>>> {
    if schema.columns().iter().all(|leaf| leaf.converted_type() != ConvertedType::INTERVAL) {
        return Ok(None);
    }
    Ok(Some(Arc::new(SchemaDescriptor::new(unmarked(&schema.root_schema_ptr())?))))
}

fn unmarked(node: &TypePtr) -> ParquetResult<TypePtr> {
    let info = node.get_basic_info();
    let id = info.has_id().then(|| info.id());
    if node.is_group() {
        let mut group = Type::group_type_builder(info.name())
            .with_converted_type(info.converted_type())
            .with_logical_type(info.logical_type_ref().cloned())
            .with_fields(node.get_fields().iter().map(unmarked).collect::<ParquetResult<_>>()?)
            .with_id(id);
        if info.has_repetition() {
            group = group.with_repetition(info.repetition());
        }
        return group.build().map(Arc::new);
    }
    if info.converted_type() != ConvertedType::INTERVAL {
        return Ok(Arc::clone(node));
    }
    let leaf = Type::primitive_type_builder(info.name(), node.get_physical_type())
        .with_repetition(info.repetition())
        .with_length(INTERVAL_BYTES)
        .with_id(id);
    leaf.build().map(Arc::new)
}

/// The type of a column with its marked leaves as intervals. `marks` yields for each leaf, in the order of the schema,
/// whether it was marked.
pub(super) fn marked_type(data_type: &DataType, marks: &mut impl Iterator<Item = bool>) -> DataType {
    let mut inner = |field: &FieldRef| -> FieldRef {
        let marked = marked_type(field.data_type(), &mut *marks);
        if marked == *field.data_type() {
            Arc::clone(field)
        } else {
            Arc::new(Field::new(field.name(), marked, field.is_nullable()))
        }
    };
    match data_type {
        DataType::List(field) => DataType::List(inner(field)),
        DataType::LargeList(field) => DataType::LargeList(inner(field)),
        DataType::FixedSizeList(field, size) => DataType::FixedSizeList(inner(field), *size),
        DataType::Map(field, sorted) => DataType::Map(inner(field), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        leaf => {
            let marked = marks.next().unwrap_or(false);
            let interval = marked && *leaf == DataType::FixedSizeBinary(INTERVAL_BYTES);
            if interval { DataType::Interval(IntervalUnit::MonthDayNano) } else { leaf.clone() }
        }
    }
}

/// Makes the bytes of a column intervals where its type says so.
///
/// # Errors
/// An array that is not of the type.
pub(super) fn restore(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    if array.data_type() == data_type {
        return Ok(Arc::clone(array));
    }
    let restored: ArrayRef = match (array.data_type(), data_type) {
        (DataType::FixedSizeBinary(INTERVAL_BYTES), DataType::Interval(IntervalUnit::MonthDayNano)) => {
            Arc::new(intervals(array.as_fixed_size_binary()))
        }
        (DataType::List(_), DataType::List(field)) => Arc::new(list::<i32>(array, field)?),
        (DataType::LargeList(_), DataType::LargeList(field)) => Arc::new(list::<i64>(array, field)?),
        (DataType::FixedSizeList(_, _), DataType::FixedSizeList(field, size)) => {
            let found = array.as_fixed_size_list();
            let values = restore(found.values(), field.data_type())?;
            Arc::new(
                FixedSizeListArray::try_new(Arc::clone(field), *size, values, found.nulls().cloned())
                    .map_err(|error| broken(&error))?,
            )
        }
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let found = array.as_struct();
            let columns = found.columns().iter().zip(fields).map(|(column, field)| restore(column, field.data_type()));
            let columns = columns.collect::<Result<_>>()?;
            Arc::new(
                StructArray::try_new(fields.clone(), columns, found.nulls().cloned())
                    .map_err(|error| broken(&error))?,
            )
        }
        (DataType::Map(_, _), DataType::Map(field, sorted)) => {
            let found = array.as_map();
            let entries: ArrayRef = Arc::new(found.entries().clone());
            let entries = restore(&entries, field.data_type())?.as_struct().clone();
            let (offsets, nulls) = (found.offsets().clone(), found.nulls().cloned());
            Arc::new(
                MapArray::try_new(Arc::clone(field), offsets, entries, nulls, *sorted)
                    .map_err(|error| broken(&error))?,
            )
        }
        (found, wanted) => {
            return Err(ConnectorError::Internal { message: format!("{found} was read in place of {wanted}") });
        }
    };
    Ok(restored)
}

fn list<O: OffsetSizeTrait>(array: &ArrayRef, field: &FieldRef) -> Result<GenericListArray<O>> {
    let found = array.as_list::<O>();
    let values = restore(found.values(), field.data_type())?;
    GenericListArray::try_new(Arc::clone(field), found.offsets().clone(), values, found.nulls().cloned())
        .map_err(|error| broken(&error))
}

fn broken(error: &arrow::error::ArrowError) -> ConnectorError {
    ConnectorError::Internal { message: format!("intervals cannot be restored: {error}") }
}

fn intervals(bytes: &FixedSizeBinaryArray) -> IntervalMonthDayNanoArray {
    let part = |value: &[u8], at: usize| {
        let bytes = value.get(at..at + 4).and_then(|part| part.first_chunk::<4>().copied());
        u32::from_le_bytes(bytes.unwrap_or_default())
    };
    // The numbers are unsigned in the format; writers of negative intervals store two's complement in months and days.
    let value = |value: &[u8]| {
        IntervalMonthDayNano::new(
            part(value, 0).cast_signed(),
            part(value, 4).cast_signed(),
            i64::from(part(value, 8)) * NANOSECONDS_A_MILLISECOND,
        )
    };
    bytes.iter().map(|found| found.map(value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_all_three_numbers() {
        let mut bytes = [0_u8; 12];
        bytes[0] = 1;
        bytes[4..8].copy_from_slice(&(-2_i32).to_le_bytes());
        bytes[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        let found = FixedSizeBinaryArray::try_from_sparse_iter_with_size([Some(bytes), None].into_iter(), 12);
        let found = intervals(&found.unwrap_or_else(|error| unreachable!("{error}")));
        assert_eq!(found.value(0), IntervalMonthDayNano::new(1, -2, 4_294_967_295_000_000));
        assert!(found.is_null(1));
    }
}
