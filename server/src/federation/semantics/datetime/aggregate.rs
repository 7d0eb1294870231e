//! `sum` and `avg` of intervals.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, IntervalMonthDayNano, IntervalUnit};
use atoll_connector_api::types::temporal::Interval;
use atoll_connector_api::types::{PgType, oids};
use datafusion::common::{ScalarValue, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::Accumulator;
use std::sync::Arc;

use super::arithmetic::{less, quotient, sum};
use super::moment::interval_range;
use super::value::{Reader, Value};

/// A sum of intervals, and how many they were.
#[derive(Debug)]
pub(in crate::federation::semantics) struct IntervalSum {
    /// What is added up: intervals, or times of day as such.
    data_type: PgType,
    average: bool,
    sum: Interval,
    count: i64,
}

impl IntervalSum {
    pub(in crate::federation::semantics) fn new(data_type: PgType, average: bool) -> Self {
        Self { data_type, average, sum: Interval::default(), count: 0 }
    }

    /// The columns of its state.
    pub(in crate::federation::semantics) fn state_fields() -> Vec<FieldRef> {
        vec![
            Arc::new(Field::new("sum", DataType::Interval(IntervalUnit::MonthDayNano), true)),
            Arc::new(Field::new("count", DataType::Int64, true)),
        ]
    }

    fn fold(
        &mut self,
        values: Option<&ArrayRef>,
        data_type: &PgType,
        step: fn(&Interval, &Interval) -> Result<Interval>,
        by: i64,
    ) -> Result<()> {
        let Some(values) = values else { return Ok(()) };
        let reader = Reader::new(Arc::clone(values), data_type)?;
        for row in (0..values.len()).filter(|row| values.is_valid(*row)) {
            let value = match reader.get(row)? {
                Value::Interval(value) => value,
                Value::Time(usecs) => Interval { usecs, ..Interval::default() },
                other => return exec_err!("{other:?} is no interval"),
            };
            self.sum = step(&self.sum, &value)?;
            self.count += by;
        }
        Ok(())
    }

    fn scalar(value: &Interval) -> Result<ScalarValue> {
        let nanoseconds = value.usecs.checked_mul(1000).ok_or_else(interval_range)?;
        let value = IntervalMonthDayNano::new(value.months, value.days, nanoseconds);
        Ok(ScalarValue::IntervalMonthDayNano(Some(value)))
    }
}

impl Accumulator for IntervalSum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let data_type = self.data_type.clone();
        self.fold(values.first(), &data_type, sum, 1)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let data_type = self.data_type.clone();
        self.fold(values.first(), &data_type, less, -1)
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    #[expect(clippy::cast_precision_loss, reason = "PostgreSQL divides by a double, too")]
    fn evaluate(&mut self) -> Result<ScalarValue> {
        match (self.count, self.average) {
            (0, _) => Ok(ScalarValue::IntervalMonthDayNano(None)),
            (_, false) => Self::scalar(&self.sum),
            (count, true) => Self::scalar(&quotient(&self.sum, count as f64)?),
        }
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![Self::scalar(&self.sum)?, ScalarValue::Int64(Some(self.count))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [sums, counts] = states else { return exec_err!("a sum's state has two columns") };
        let own = self.count;
        self.fold(Some(sums), &PgType::new(oids::INTERVAL), sum, 0)?;
        self.count = own + counts.as_primitive::<Int64Type>().iter().flatten().sum::<i64>();
        Ok(())
    }
}
