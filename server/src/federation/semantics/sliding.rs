//! Aggregates over a window's moving frame that cannot take a value back: computed anew from the frame's values.

use std::collections::VecDeque;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use atoll_connector_api::types::PgType;
use atoll_connector_api::types::key::keys;
use datafusion::common::{ScalarValue, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::Accumulator;

use super::external;
use super::float_sums::{add_single, checked, one_nan};

/// `sum` and `avg` of floats. What was added is not taken back, because `1e20 + 1 - 1e20` is not 1.
#[derive(Debug)]
pub(super) struct Floats {
    average: bool,
    values: VecDeque<f64>,
}

impl Floats {
    pub(super) const fn new(average: bool) -> Self {
        Self { average, values: VecDeque::new() }
    }
}

impl Accumulator for Floats {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(values) = values.first() else { return Ok(()) };
        let wide = arrow::compute::cast(values, &DataType::Float64)?;
        self.values.extend(wide.as_primitive::<Float64Type>().iter().flatten());
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let leaving = values.first().map_or(0, |values| values.len() - values.null_count());
        self.values.drain(..leaving.min(self.values.len()));
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    #[expect(clippy::cast_precision_loss, reason = "a frame has fewer rows than a double has integers")]
    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.values.is_empty() {
            return Ok(ScalarValue::Float64(None));
        }
        let sum: f64 = self.values.iter().sum();
        let value = if self.average { sum / self.values.len() as f64 } else { sum };
        let special = self.values.iter().any(|value| !value.is_finite());
        Ok(ScalarValue::Float64(Some(checked(value, special)?)))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.capacity() * size_of::<f64>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        exec_err!("a moving frame has no partial state")
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        exec_err!("a moving frame has no partial state")
    }
}

/// `sum` of `real`, rounded at each step.
#[derive(Debug, Default)]
pub(super) struct Singles(VecDeque<f32>);

impl Accumulator for Singles {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(values) = values.first() else { return Ok(()) };
        let values = arrow::compute::cast(values, &DataType::Float32)?;
        self.0.extend(values.as_primitive::<Float32Type>().iter().flatten());
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let leaving = values.first().map_or(0, |values| values.len() - values.null_count());
        self.0.drain(..leaving.min(self.0.len()));
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut sum = None;
        for value in &self.0 {
            sum = Some(add_single(sum, *value)?);
        }
        Ok(ScalarValue::Float64(sum.map(|sum| one_nan(f64::from(sum)))))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.0.capacity() * size_of::<f32>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        exec_err!("a moving frame has no partial state")
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        exec_err!("a moving frame has no partial state")
    }
}

/// `min` and `max` of values that compare by key.
#[derive(Debug)]
pub(super) struct Extreme {
    data_type: PgType,
    maximum: bool,
    storage: DataType,
    values: VecDeque<(Vec<u8>, ScalarValue)>,
}

impl Extreme {
    pub(super) const fn new(data_type: PgType, maximum: bool, storage: DataType) -> Self {
        Self { data_type, maximum, storage, values: VecDeque::new() }
    }
}

impl Accumulator for Extreme {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(values) = values.first() else { return Ok(()) };
        let keys = keys(values.as_ref(), &self.data_type).map_err(external)?;
        let keys = keys.as_binary::<i32>();
        for row in (0..keys.len()).filter(|row| keys.is_valid(*row)) {
            self.values.push_back((keys.value(row).to_vec(), ScalarValue::try_from_array(values, row)?));
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let leaving = values.first().map_or(0, |values| values.len() - values.null_count());
        self.values.drain(..leaving.min(self.values.len()));
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let by_key = |one: &&(Vec<u8>, ScalarValue), other: &&(Vec<u8>, ScalarValue)| one.0.cmp(&other.0);
        let best = if self.maximum { self.values.iter().max_by(by_key) } else { self.values.iter().min_by(by_key) };
        best.map_or_else(|| ScalarValue::try_from(&self.storage), |(_, value)| Ok(value.clone()))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.iter().map(|(key, value)| key.len() + value.size()).sum::<usize>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        exec_err!("a moving frame has no partial state")
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        exec_err!("a moving frame has no partial state")
    }
}
