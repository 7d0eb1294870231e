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

/// Whether there is a value that is no finite number.
fn has_special(values: &[ArrayRef]) -> bool {
    let mut floats = values.iter().filter_map(|array| array.as_primitive_opt::<Float64Type>());
    floats.any(|floats| floats.iter().flatten().any(|value| !value.is_finite()))
}

/// Checks that what is no finite number comes of what was none.
///
/// # Errors
/// `22003`.
pub(super) fn checked(value: f64, special: bool) -> std::result::Result<f64, SqlError> {
    if value.is_finite() || special { Ok(one_nan(value)) } else { Err(overflow()) }
}

/// DataFusion's accumulator of one group.
#[derive(Debug)]
pub(super) struct FloatSum {
    inner: Box<dyn Accumulator>,
    /// There was a value that is no finite number.
    special: bool,
}

impl FloatSum {
    pub(super) fn new(inner: Box<dyn Accumulator>) -> Self {
        Self { inner, special: false }
    }
}

impl Accumulator for FloatSum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = widened(values)?;
        self.special |= has_special(&values);
        self.inner.update_batch(&values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(match self.inner.evaluate()? {
            ScalarValue::Float64(Some(value)) => ScalarValue::Float64(Some(checked(value, self.special)?)),
            other => other,
        })
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.inner.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let state = self.inner.state()?;
        for value in &state {
            if let ScalarValue::Float64(Some(value)) = value {
                checked(*value, self.special)?;
            }
        }
        Ok(state)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.special |= has_special(states);
        self.inner.merge_batch(states)
    }
}

/// DataFusion's accumulator of many groups.
pub(super) struct FloatSums {
    inner: Box<dyn GroupsAccumulator>,
    /// Of each group whether there was a value that is no finite number.
    special: Vec<bool>,
}

impl FloatSums {
    pub(super) fn new(inner: Box<dyn GroupsAccumulator>) -> Self {
        Self { inner, special: Vec::new() }
    }

    fn note(&mut self, values: &[ArrayRef], group_indices: &[usize], total_groups: usize) {
        self.special.resize(total_groups.max(self.special.len()), false);
        for floats in values.iter().filter_map(|array| array.as_primitive_opt::<Float64Type>()) {
            for (value, group) in floats.iter().zip(group_indices) {
                if value.is_some_and(|value| !value.is_finite())
                    && let Some(special) = self.special.get_mut(*group)
                {
                    *special = true;
                }
            }
        }
    }

    /// The notes about the groups that leave.
    fn taken(&mut self, emit_to: EmitTo) -> Vec<bool> {
        match emit_to {
            EmitTo::All => std::mem::take(&mut self.special),
            EmitTo::First(count) => self.special.drain(..count.min(self.special.len())).collect(),
        }
    }
}

fn check_sums(sums: &ArrayRef, special: &[bool]) -> std::result::Result<(), SqlError> {
    let Some(sums) = sums.as_primitive_opt::<Float64Type>() else { return Ok(()) };
    for (sum, special) in sums.iter().zip(special) {
        checked(sum.unwrap_or(0.0), *special)?;
    }
    Ok(())
}

impl GroupsAccumulator for FloatSums {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    ) -> Result<()> {
        let values = widened(values)?;
        self.note(&values, group_indices, total_groups);
        self.inner.update_batch(&values, group_indices, filter, total_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let special = self.taken(emit_to);
        let sums = self.inner.evaluate(emit_to)?;
        check_sums(&sums, &special)?;
        Ok(match sums.data_type() {
            DataType::Float64 => Arc::new(sums.as_primitive::<Float64Type>().unary::<_, Float64Type>(one_nan)),
            _ => sums,
        })
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let special = self.taken(emit_to);
        let state = self.inner.state(emit_to)?;
        for column in &state {
            check_sums(column, &special)?;
        }
        Ok(state)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_groups: usize) -> Result<()> {
        self.note(values, group_indices, total_groups);
        self.inner.merge_batch(values, group_indices, total_groups)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.inner.convert_to_state(&widened(values)?, filter)
    }

    fn size(&self) -> usize {
        self.special.capacity() + self.inner.size()
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
