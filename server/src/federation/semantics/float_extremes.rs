//! `min` and `max` of floats by groups: NaN is the greatest value, and infinities are values like others.
//!
//! DataFusion's accumulator of groups begins with the greatest finite number and takes every NaN that it meets.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};

/// The least or greatest float of each group. `real` is kept as double precision, which has every value of it.
#[derive(Debug)]
pub(super) struct FloatExtremes {
    maximum: bool,
    storage: DataType,
    best: Vec<Option<f64>>,
}

impl FloatExtremes {
    pub(super) fn new(maximum: bool, storage: DataType) -> Self {
        Self { maximum, storage, best: Vec::new() }
    }

    /// Of equal values PostgreSQL keeps the later one.
    fn better(&self, current: f64, value: f64) -> bool {
        let less = |left: f64, right: f64| (right.is_nan() && !left.is_nan()) || left < right;
        if self.maximum { !less(value, current) } else { !less(current, value) }
    }

    fn widened(values: &[ArrayRef]) -> Result<ArrayRef> {
        let [values] = values else { return exec_err!("an extreme takes one argument") };
        Ok(cast(values, &DataType::Float64)?)
    }
}

impl GroupsAccumulator for FloatExtremes {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        let values = Self::widened(values)?;
        self.best.resize(total_num_groups, None);
        for (row, (value, group)) in values.as_primitive::<Float64Type>().iter().zip(group_indices).enumerate() {
            let wanted = opt_filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            let Some(value) = value.filter(|_| wanted) else { continue };
            let current = self.best.get(*group).copied().flatten();
            if current.is_none_or(|current| self.better(current, value))
                && let Some(best) = self.best.get_mut(*group)
            {
                *best = Some(value);
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.update_batch(values, group_indices, None, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let best: Float64Array = emit_to.take_needed(&mut self.best).into_iter().collect();
        Ok(cast(&(Arc::new(best) as ArrayRef), &self.storage)?)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit_to)?])
    }

    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let [values] = values else { return exec_err!("an extreme takes one argument") };
        let Some(filter) = opt_filter else { return Ok(vec![Arc::clone(values)]) };
        let out = BooleanArray::from_iter(filter.iter().map(|wanted| Some(wanted != Some(true))));
        Ok(vec![arrow::compute::nullif(values, &out)?])
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.best.capacity() * size_of::<Option<f64>>()
    }
}
