//! Arrays of every storage as Arrow lists, which is what `unnest` takes.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray, UInt64Array, new_null_array};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, FieldRef};
use atoll_connector_api::types::{PgType, elements};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, ScalarValue, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Unnest, Volatility,
};

use super::{choice, external};
use crate::error::{SqlError, SqlState};

/// The function's name.
pub(super) const LIST: &str = "pg_list";

/// The function.
pub(super) fn pg_list() -> ScalarUDF {
    ScalarUDF::from(List { signature: Signature::any(1, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct List {
    signature: Signature,
}

fn item(data_type: &PgType) -> Result<FieldRef> {
    let element = data_type.element().ok_or_else(|| {
        SqlError::new(
            SqlState::UNDEFINED_FUNCTION,
            format!("function unnest({}) does not exist", PgType { modifier: -1, ..data_type.clone() }.sql_name()),
        )
        .hint("No function matches the given name and argument types. You might need to add explicit type casts.")
    })?;
    Ok(Arc::new(Field::new_list_field(element.storage(), true)))
}

impl ScalarUDFImpl for List {
    fn name(&self) -> &str {
        LIST
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        exec_err!("{LIST} has a field, not a type")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [array] = args.arg_fields else { return exec_err!("{LIST} takes one array") };
        // The list says its type from outside: constants forget what their elements are tagged with.
        let data_type = PgType::of_field(array);
        Ok(Arc::new(data_type.tag(Field::new(array.name(), DataType::List(item(&data_type)?), true))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let ([value], [field]) = (args.args.as_slice(), args.arg_fields.as_slice()) else {
            return exec_err!("{LIST} takes one array");
        };
        let data_type = PgType::of_field(field);
        match value {
            ColumnarValue::Array(array) => Ok(ColumnarValue::Array(as_list(array, &data_type)?)),
            ColumnarValue::Scalar(scalar) => {
                let list = as_list(&scalar.to_array_of_size(1)?, &data_type)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&list, 0)?))
            }
        }
    }
}

fn as_list(array: &ArrayRef, data_type: &PgType) -> Result<ArrayRef> {
    let item = item(data_type)?;
    if array.data_type() == &DataType::Null {
        return Ok(new_null_array(&DataType::List(item), array.len()));
    }
    let (values, rows) = elements(array.as_ref(), data_type).map_err(external)?;
    let mut offsets: Vec<i32> = vec![0];
    let mut wanted: Vec<u64> = Vec::with_capacity(values.len());
    let mut valid = Vec::with_capacity(rows.len());
    for row in rows {
        valid.push(row.is_some());
        if let Some(range) = row {
            wanted.extend(range.map(|index| u64::try_from(index).unwrap_or(u64::MAX)));
        }
        offsets.push(i32::try_from(wanted.len()).map_err(|_| {
            SqlError::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, "an array has more elements than can be unnested")
        })?);
    }
    let values = arrow::compute::take(values.as_ref(), &UInt64Array::from(wanted), None)?;
    let nulls = NullBuffer::from(valid);
    let list = ListArray::try_new(item, OffsetBuffer::new(ScalarBuffer::from(offsets)), values, Some(nulls))?;
    Ok(Arc::new(list))
}

/// Says once more of what type the elements are, which `unnest` forgets.
pub(super) fn typed_elements(unnest: Unnest) -> Result<Transformed<LogicalPlan>> {
    let input = Arc::clone(unnest.input.schema());
    let mut types: Vec<(usize, PgType)> = Vec::new();
    for (index, (_, field)) in unnest.schema.iter().enumerate() {
        let Some(source) = unnest.dependency_indices.get(index).map(|index| input.field(*index)) else { continue };
        let (DataType::List(element), Some(tagged)) = (source.data_type(), PgType::of_field(source).element()) else {
            continue;
        };
        if element.data_type() == field.data_type() && PgType::of_field(field) != tagged {
            types.push((index, tagged));
        }
    }
    if types.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Unnest(unnest)));
    }
    let plan = LogicalPlan::Unnest(unnest);
    let mut shown = Vec::new();
    for (index, (qualifier, field)) in plan.schema().iter().enumerate() {
        let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
        shown.push(match types.iter().find(|(at, _)| *at == index) {
            Some((_, data_type)) => choice::typed(column, data_type)?.alias_qualified(qualifier.cloned(), field.name()),
            None => column,
        });
    }
    Ok(Transformed::yes(LogicalPlanBuilder::from(plan).project(shown)?.build()?))
}
