//! Arrays of every storage as Arrow lists, which is what `unnest` takes.
//!
//! `unnest` keeps of a list's elements their storage and forgets the tag that says their PostgreSQL type. So `pg_list` puts
//! each element into a structure of one field, whose tag is part of the storage, and `pg_item` takes it out again behind
//! `unnest`: operators over the elements know their types while they are planned.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray, StructArray, UInt64Array, new_null_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use atoll_connector_api::types::{PgType, elements, oids};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, ScalarValue, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Unnest, Volatility,
};

use super::{choice, external};
use crate::error::{SqlError, SqlState};

/// The function that makes a list of an array.
pub(super) const LIST: &str = "pg_list";
/// The function that takes an element out of the structure around it.
pub(super) const ITEM: &str = "pg_item";
/// The function that numbers the elements of the longest of several lists.
pub(super) const POSITIONS: &str = "pg_positions";
/// The name of the one field of the structure around an element.
const VALUE: &str = "value";

/// A list as it is, or one NULL in the place of no element.
pub(super) fn padded(list: Expr) -> Expr {
    ScalarUDF::from(Padded { signature: Signature::any(1, Volatility::Immutable) }).call(vec![list])
}

/// Whether one of several lists has elements.
pub(super) fn any_elements(lists: Vec<Expr>) -> Expr {
    ScalarUDF::from(AnyElements { signature: Signature::variadic_any(Volatility::Immutable) }).call(lists)
}

/// The functions.
pub(super) fn functions() -> [ScalarUDF; 3] {
    [
        ScalarUDF::from(List { signature: Signature::any(1, Volatility::Immutable) }),
        ScalarUDF::from(Item { signature: Signature::any(1, Volatility::Immutable) }),
        ScalarUDF::from(Positions { signature: Signature::variadic_any(Volatility::Immutable) }),
    ]
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
    Ok(wrapped(&element))
}

/// A list's elements of a type, each in a structure.
fn wrapped(element: &PgType) -> FieldRef {
    let fields = Fields::from(vec![element.field(VALUE, true)]);
    Arc::new(Field::new_list_field(DataType::Struct(fields), true))
}

/// Elements in structures that are never null themselves.
fn wrap(item: &Field, values: ArrayRef) -> Result<ArrayRef> {
    let DataType::Struct(fields) = item.data_type() else { return exec_err!("{LIST} makes structures") };
    Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), vec![Arc::clone(&values)], None, values.len())?))
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
        Ok(Arc::new(Field::new(LIST, DataType::List(item(&PgType::of_field(array))?), true)))
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
    let values = wrap(&item, arrow::compute::take(values.as_ref(), &UInt64Array::from(wanted), None)?)?;
    let nulls = NullBuffer::from(valid);
    let list = ListArray::try_new(item, OffsetBuffer::new(ScalarBuffer::from(offsets)), values, Some(nulls))?;
    Ok(Arc::new(list))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Item {
    signature: Signature,
}

impl ScalarUDFImpl for Item {
    fn name(&self) -> &str {
        ITEM
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        exec_err!("{ITEM} has a field, not a type")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [item] = args.arg_fields else { return exec_err!("{ITEM} takes one element") };
        match item.data_type() {
            DataType::Struct(fields) if fields.len() == 1 => Ok(Arc::clone(&fields[0])),
            other => exec_err!("{ITEM} takes an element of a list, not {other}"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = args.args.as_slice() else { return exec_err!("{ITEM} takes one element") };
        match value {
            ColumnarValue::Array(array) => Ok(ColumnarValue::Array(unwrapped(array)?)),
            ColumnarValue::Scalar(scalar) => {
                let value = unwrapped(&scalar.to_array_of_size(1)?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&value, 0)?))
            }
        }
    }
}

/// The elements within structures; of a shorter list some structures are missing.
fn unwrapped(array: &ArrayRef) -> Result<ArrayRef> {
    let Some(structures) = array.as_struct_opt() else { return exec_err!("{ITEM} takes structures") };
    let Some(values) = structures.columns().first() else { return exec_err!("{ITEM} takes structures of one field") };
    match structures.nulls() {
        Some(nulls) if nulls.null_count() > 0 => {
            let missing = BooleanArray::from(nulls.inner().iter().map(|valid| !valid).collect::<Vec<_>>());
            Ok(arrow::compute::nullif(values, &missing)?)
        }
        _ => Ok(Arc::clone(values)),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Positions {
    signature: Signature,
}

impl ScalarUDFImpl for Positions {
    fn name(&self) -> &str {
        POSITIONS
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(wrapped(&PgType::new(oids::INT8))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let lists = args.args.iter().map(|arg| arg.to_array(args.number_rows)).collect::<Result<Vec<_>>>()?;
        let mut offsets: Vec<i32> = vec![0];
        let mut numbers: Vec<i64> = Vec::new();
        for row in 0..args.number_rows {
            let mut longest = 0;
            for list in &lists {
                let Some(list) = list.as_list_opt::<i32>() else { return exec_err!("{POSITIONS} takes lists") };
                if list.is_valid(row) {
                    longest = longest.max(list.value_length(row));
                }
            }
            numbers.extend(1..=i64::from(longest));
            offsets.push(i32::try_from(numbers.len()).map_err(|_| {
                SqlError::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, "arrays have more elements than can be numbered")
            })?);
        }
        let item = wrapped(&PgType::new(oids::INT8));
        let values = wrap(&item, Arc::new(Int64Array::from(numbers)))?;
        let list = ListArray::try_new(item, OffsetBuffer::new(ScalarBuffer::from(offsets)), values, None)?;
        Ok(ColumnarValue::Array(Arc::new(list)))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Padded {
    signature: Signature,
}

impl ScalarUDFImpl for Padded {
    fn name(&self) -> &str {
        "pg_padded_list"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [list] => Ok(list.clone()),
            _ => exec_err!("{} takes one list", self.name()),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let lists = args.args.iter().map(|arg| arg.to_array(args.number_rows)).collect::<Result<Vec<_>>>()?;
        let list = lists.first().and_then(|list| list.as_list_opt::<i32>());
        let (Some(list), DataType::List(item)) = (list, args.return_field.data_type()) else {
            return exec_err!("{} takes one list", self.name());
        };
        let mut offsets: Vec<i32> = vec![0];
        let mut wanted: Vec<Option<u64>> = Vec::with_capacity(list.values().len());
        for row in 0..list.len() {
            let (first, length) = (list.value_offsets().get(row).copied().unwrap_or(0), list.value_length(row));
            if list.is_null(row) || length == 0 {
                wanted.push(None);
            } else {
                wanted.extend((first..first + length).map(|index| u64::try_from(index).ok()));
            }
            offsets.push(i32::try_from(wanted.len()).map_err(|_| {
                SqlError::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, "arrays have more elements than can be unnested")
            })?);
        }
        let values = arrow::compute::take(list.values().as_ref(), &UInt64Array::from(wanted), None)?;
        let list = ListArray::try_new(Arc::clone(item), OffsetBuffer::new(ScalarBuffer::from(offsets)), values, None)?;
        Ok(ColumnarValue::Array(Arc::new(list)))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct AnyElements {
    signature: Signature,
}

impl ScalarUDFImpl for AnyElements {
    fn name(&self) -> &str {
        "pg_any_elements"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut any = vec![false; args.number_rows];
        for arg in &args.args {
            let list = arg.to_array(args.number_rows)?;
            let Some(list) = list.as_list_opt::<i32>() else { return exec_err!("{} takes lists", self.name()) };
            for (row, any) in any.iter_mut().enumerate() {
                *any |= list.is_valid(row) && list.value_length(row) > 0;
            }
        }
        Ok(ColumnarValue::Array(Arc::new(BooleanArray::from(any))))
    }
}

/// Says once more of what type the elements of a plain list are, which `unnest` forgets.
pub(super) fn typed_elements(unnest: Unnest) -> Result<Transformed<LogicalPlan>> {
    let input = Arc::clone(unnest.input.schema());
    let mut types: Vec<(usize, PgType)> = Vec::new();
    for (index, (_, field)) in unnest.schema.iter().enumerate() {
        let Some(source) = unnest.dependency_indices.get(index).map(|index| input.field(*index)) else { continue };
        let (DataType::List(element), Some(tagged)) = (source.data_type(), PgType::of_field(source).element()) else {
            continue;
        };
        let plain = !matches!(element.data_type(), DataType::Struct(_));
        if plain && element.data_type() == field.data_type() && PgType::of_field(field) != tagged {
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
