//! The aggregate of a scalar subquery without an aggregate: its value, and an error at the second row.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{ScalarValue, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

use crate::error::{SqlError, SqlState};

/// The aggregate. Its type is its argument's, with all that the field says.
pub(super) fn single_value() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::from(SingleValue { signature: Signature::any(1, Volatility::Immutable) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SingleValue {
    signature: Signature,
}

impl AggregateUDFImpl for SingleValue {
    fn name(&self) -> &'static str {
        "single_value"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        arguments.first().cloned().map_or_else(|| exec_err!("single_value takes one argument"), Ok)
    }

    fn return_field(&self, arguments: &[FieldRef]) -> Result<FieldRef> {
        match arguments {
            [argument] => Ok(Arc::new(argument.as_ref().clone().with_nullable(true))),
            _ => exec_err!("single_value takes one argument"),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Single { value: ScalarValue::try_from(args.return_field.data_type())?, rows: 0 }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![
            Arc::new(Field::new("value", args.return_field.data_type().clone(), true)),
            Arc::new(Field::new("rows", DataType::Int64, false)),
        ])
    }
}

#[derive(Debug)]
struct Single {
    value: ScalarValue,
    rows: i64,
}

impl Single {
    fn count(&mut self, rows: i64) -> Result<()> {
        self.rows = self.rows.saturating_add(rows);
        if self.rows <= 1 {
            return Ok(());
        }
        let message = "more than one row returned by a subquery used as an expression";
        Err(SqlError::new(SqlState::CARDINALITY_VIOLATION, message).into())
    }
}

impl Accumulator for Single {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(values) = values.first().filter(|values| !values.is_empty()) else { return Ok(()) };
        self.count(i64::try_from(values.len()).unwrap_or(i64::MAX))?;
        self.value = ScalarValue::try_from_array(values, 0)?;
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.value.clone())
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.value.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.value.clone(), ScalarValue::Int64(Some(self.rows))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [values, rows] = states else { return exec_err!("the state of single_value has two columns") };
        let rows = rows.as_primitive::<Int64Type>();
        for (row, count) in rows.iter().enumerate() {
            let count = count.unwrap_or(0);
            self.count(count)?;
            if count == 1 {
                self.value = ScalarValue::try_from_array(values, row)?;
            }
        }
        Ok(())
    }
}
