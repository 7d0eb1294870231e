//! What partial sums of numbers hand on: short ones as integers, since there may be a million groups.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Int64Array, StringArray, UInt8Array};
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Field, FieldRef, Int64Type, UInt8Type};
use atoll_connector_api::types::ShortNumeric;
use datafusion::common::exec_err;
use datafusion::error::Result;

/// The storage of short sums without their scales, each of which is its own.
pub(super) const SHORT: DataType = DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0);

/// The columns of a state: a sum is in the first or in the second, or NULL in both.
pub(super) fn fields() -> Vec<FieldRef> {
    let field = |name, storage| Arc::new(Field::new(name, storage, true));
    vec![
        field("sum", DataType::Utf8),
        field("short", SHORT),
        field("scale", DataType::UInt8),
        field("count", DataType::Int64),
    ]
}

/// The sum of some numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SumState<'a> {
    /// As it is printed.
    Long(&'a str),
    Short(ShortNumeric),
}

/// The states of several sums.
pub(super) struct SumStates<'a> {
    long: &'a StringArray,
    short: &'a Decimal128Array,
    scales: &'a UInt8Array,
    counts: &'a Int64Array,
}

impl<'a> SumStates<'a> {
    /// The columns of [`fields`].
    ///
    /// # Errors
    /// Bugs only.
    pub(super) fn of(columns: &'a [ArrayRef]) -> Result<Self> {
        let [long, short, scales, counts] = columns else { return exec_err!("a sum's state has four columns") };
        Ok(Self {
            long: long.as_string(),
            short: short.as_primitive::<Decimal128Type>(),
            scales: scales.as_primitive::<UInt8Type>(),
            counts: counts.as_primitive::<Int64Type>(),
        })
    }

    /// One of them; `None`: of no numbers.
    pub(super) fn get(&self, row: usize) -> Option<SumState<'a>> {
        if self.short.is_valid(row) {
            return ShortNumeric::new(self.short.value(row), self.scales.value(row).into()).map(SumState::Short);
        }
        self.long.is_valid(row).then(|| SumState::Long(self.long.value(row)))
    }

    /// How many numbers it is the sum of.
    pub(super) fn count(&self, row: usize) -> i64 {
        if self.counts.is_valid(row) { self.counts.value(row) } else { 0 }
    }

    /// How many states there are.
    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }
}
