//! Comparison of values whose storage does not compare as PostgreSQL does.
//!
//! `pg_key(value)` gives bytes in PostgreSQL's order: what equi-joins, sorting and grouping work on.
//! `pg_compare(operator, left, right)` compares whole values, so that a filter over a column stays readable to
//! connectors, which may send it to their source.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Datum};
use arrow::compute::kernels::cmp;
use arrow::datatypes::{DataType, Field, FieldRef};
use atoll_connector_api::types::{PgType, key, oids};
use datafusion::common::{ScalarValue, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::external;
use crate::error::SqlError;

/// The comparing function's name, which connectors' filters know.
pub(super) use atoll_connector_api::pushdown::COMPARE_FUNCTION as COMPARE;

/// The key function's name.
pub(super) const KEY: &str = "pg_key";

#[derive(Debug, PartialEq, Eq, Hash)]
struct PgKey {
    signature: Signature,
}

/// The key function.
pub(super) fn pg_key() -> ScalarUDF {
    ScalarUDF::from(PgKey { signature: Signature::variadic_any(Volatility::Immutable) })
}

/// The key of an expression of a type; `numeric` reads whatever number it is as one.
///
/// The key carries the type, which not every expression tells while it is computed; a column does.
pub(super) fn key_of(expr: Expr, data_type: &PgType, numeric: bool) -> Expr {
    let data_type = if numeric { PgType::new(oids::NUMERIC) } else { data_type.clone() };
    let told = matches!(expr, Expr::Column(_)) && !numeric;
    let mut args = vec![expr];
    if !told && let Ok(text) = serde_json::to_string(&data_type) {
        args.push(Expr::Literal(ScalarValue::Utf8(Some(text)), None));
    }
    pg_key().call(args)
}

impl ScalarUDFImpl for PgKey {
    fn name(&self) -> &str {
        KEY
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (Some(value), Some(field)) = (args.args.first(), args.arg_fields.first()) else {
            return exec_err!("pg_key takes a value");
        };
        let data_type = match args.args.get(1) {
            Some(ColumnarValue::Scalar(text)) => serde_json::from_str(text.try_as_str().flatten().unwrap_or_default())
                .map_err(|error| SqlError::internal(format!("a type could not be read: {error}")))?,
            _ => PgType::of_field(field),
        };
        match value {
            ColumnarValue::Array(array) => {
                key::keys(array.as_ref(), &data_type).map(ColumnarValue::Array).map_err(external)
            }
            ColumnarValue::Scalar(scalar) => {
                let keys = key::keys(scalar.to_array_of_size(1)?.as_ref(), &data_type).map_err(external)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&keys, 0)?))
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct PgCompare {
    signature: Signature,
}

/// The comparing function.
pub(super) fn pg_compare() -> ScalarUDF {
    ScalarUDF::from(PgCompare { signature: Signature::any(3, Volatility::Immutable) })
}

/// A comparison of two values of one family by their keys.
pub(super) fn comparison(left: Expr, operator: Operator, right: Expr) -> Expr {
    let name = Expr::Literal(ScalarValue::Utf8(Some(operator.to_string())), None);
    pg_compare().call(vec![name, left, right])
}

impl ScalarUDFImpl for PgCompare {
    fn name(&self) -> &str {
        COMPARE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(COMPARE, DataType::Boolean, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let ([ColumnarValue::Scalar(operator), left, right], [_, left_field, right_field]) =
            (args.args.as_slice(), args.arg_fields.as_slice())
        else {
            return exec_err!("pg_compare takes an operator and two values");
        };
        let types = (PgType::of_field(left_field), PgType::of_field(right_field));
        // Two numbers of different types meet as numeric.
        let numeric = types.0.oid == oids::NUMERIC || types.1.oid == oids::NUMERIC;
        let key_type = |data_type: PgType| if numeric { PgType::new(oids::NUMERIC) } else { data_type };
        let left = keys(left, &key_type(types.0))?;
        let right = keys(right, &key_type(types.1))?;
        let result = compare(operator.try_as_str().flatten().unwrap_or_default(), left.as_ref(), right.as_ref())?;
        if args.args.iter().skip(1).all(|arg| matches!(arg, ColumnarValue::Scalar(_))) {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(result))
    }
}

fn keys(value: &ColumnarValue, data_type: &PgType) -> Result<Box<dyn Datum>> {
    Ok(match value {
        ColumnarValue::Array(array) => Box::new(key::keys(array.as_ref(), data_type).map_err(external)?),
        ColumnarValue::Scalar(scalar) => {
            let array: ArrayRef = scalar.to_array_of_size(1)?;
            Box::new(arrow::array::Scalar::new(key::keys(array.as_ref(), data_type).map_err(external)?))
        }
    })
}

fn compare(operator: &str, left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef> {
    let result = match operator {
        "=" => cmp::eq(left, right),
        "!=" => cmp::neq(left, right),
        "<" => cmp::lt(left, right),
        "<=" => cmp::lt_eq(left, right),
        ">" => cmp::gt(left, right),
        ">=" => cmp::gt_eq(left, right),
        "IS DISTINCT FROM" => cmp::distinct(left, right),
        "IS NOT DISTINCT FROM" => cmp::not_distinct(left, right),
        other => return exec_err!("pg_compare does not know the operator {other}"),
    }?;
    Ok(Arc::new(result) as Arc<dyn Array>)
}
