//! `sum` and `avg` of floats: DataFusion's, over double precision, with one NaN; `sum` of `real` by itself.
//!
//! The machine's own NaN, which infinities of both signs add up to, has its sign bit set, and sorts below every number.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};
use std::sync::Arc;

use crate::error::{SqlError, SqlState};

/// The NaN that equals the others.
pub(super) const fn one_nan(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value }
}

fn widened(values: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    values.iter().map(|array| Ok(cast(array, &DataType::Float64)?)).collect()
}

/// DataFusion's accumulator of one group.
#[derive(Debug)]
pub(super) struct FloatSum(pub(super) Box<dyn Accumulator>);

impl Accumulator for FloatSum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.update_batch(&widened(values)?)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(match self.0.evaluate()? {
            ScalarValue::Float64(Some(value)) => ScalarValue::Float64(Some(one_nan(value))),
            other => other,
        })
    }

    fn size(&self) -> usize {
        self.0.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge_batch(states)
    }
}

/// DataFusion's accumulator of many groups.
pub(super) struct FloatSums(pub(super) Box<dyn GroupsAccumulator>);

impl GroupsAccumulator for FloatSums {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    ) -> Result<()> {
        self.0.update_batch(&widened(values)?, group_indices, filter, total_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let sums = self.0.evaluate(emit_to)?;
        Ok(match sums.data_type() {
            DataType::Float64 => Arc::new(sums.as_primitive::<Float64Type>().unary::<_, Float64Type>(one_nan)),
            _ => sums,
        })
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.0.state(emit_to)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_groups: usize) -> Result<()> {
        self.0.merge_batch(values, group_indices, total_groups)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.0.convert_to_state(&widened(values)?, filter)
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}

/// What PostgreSQL says where a sum of finite numbers is none.
pub(super) fn overflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow")
}

/// Adds as PostgreSQL adds `real`.
///
/// # Errors
/// `22003`.
pub(super) fn add_single(sum: Option<f32>, value: f32) -> std::result::Result<f32, SqlError> {
    let Some(before) = sum else { return Ok(value) };
    let sum = before + value;
    if sum.is_infinite() && before.is_finite() && value.is_finite() { Err(overflow()) } else { Ok(sum) }
}

/// `sum` of `real`: each step is rounded, so that the result is that of the rows' order.
#[derive(Debug, Default)]
pub(super) struct SingleSum(Option<f32>);

impl Accumulator for SingleSum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(values) = values.first() else { return Ok(()) };
        for value in cast(values, &DataType::Float32)?.as_primitive::<Float32Type>().iter().flatten() {
            self.0 = Some(add_single(self.0, value)?);
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.0.map(|sum| one_nan(f64::from(sum)))))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Float32(self.0)])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }
}
