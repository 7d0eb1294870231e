//! Floats: Arrow tells `-0` from `0`, PostgreSQL does not.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float32Array, Float64Array};
use arrow::datatypes::{DataType, FieldRef, Float32Type, Float64Type};
use atoll_connector_api::types::{PgType, oids};
use datafusion::common::{ScalarValue, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// Whether a type is a float.
pub(super) fn is_float(data_type: &PgType) -> bool {
    data_type.user.is_none() && matches!(data_type.oid, oids::FLOAT4 | oids::FLOAT8)
}

/// `pg_float(x)`: `x` with one zero only.
pub(super) fn pg_float() -> ScalarUDF {
    ScalarUDF::from(OneZero { signature: Signature::any(1, Volatility::Immutable) })
}

/// An expression with one zero only.
pub(super) fn one_zero(expr: Expr) -> Expr {
    match &expr {
        Expr::ScalarFunction(call) if call.func.name() == NAME => expr,
        Expr::Literal(value, _) if zero_of(value) != Some(true) => expr,
        _ => pg_float().call(vec![expr]),
    }
}

/// Whether an expression, perhaps named, came from [`one_zero`].
pub(super) fn has_one_zero(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => has_one_zero(&alias.expr),
        Expr::ScalarFunction(call) => call.func.name() == NAME,
        _ => false,
    }
}

/// Whether a literal is a number that is zero; `None` for what is no number.
fn zero_of(value: &ScalarValue) -> Option<bool> {
    match value {
        ScalarValue::Float64(Some(value)) => Some(*value == 0.0),
        ScalarValue::Float32(Some(value)) => Some(*value == 0.0),
        ScalarValue::Int16(Some(value)) => Some(*value == 0),
        ScalarValue::Int32(Some(value)) => Some(*value == 0),
        ScalarValue::Int64(Some(value)) => Some(*value == 0),
        ScalarValue::Decimal128(Some(value), _, _) => Some(*value == 0),
        value => value.is_null().then_some(false),
    }
}

/// Both sides of a comparison of which one is a float. A column against a number that is not zero stays as it is, so that
/// connectors can send it; against zero the literal becomes the zero that Arrow's order puts on the right side.
pub(super) fn comparable(left: Expr, operator: Operator, right: Expr) -> Comparable {
    let literal_zero = |expr: &Expr| match expr {
        Expr::Literal(value, _) => zero_of(value),
        _ => None,
    };
    match (literal_zero(&left), literal_zero(&right)) {
        (Some(false), _) | (_, Some(false)) => Comparable::Plain(left, right),
        (None, Some(true)) => against_zero(left, operator, right),
        (Some(true), None) => match operator.swap() {
            Some(swapped) => against_zero(right, swapped, left),
            None => Comparable::Plain(one_zero(left), one_zero(right)),
        },
        _ => Comparable::Plain(one_zero(left), one_zero(right)),
    }
}

/// What a comparison of floats becomes.
pub(super) enum Comparable {
    /// Two sides under the operator that was.
    Plain(Expr, Expr),
    /// A whole predicate.
    Planned(Expr),
}

fn against_zero(column: Expr, operator: Operator, zero: Expr) -> Comparable {
    let minus = Expr::Literal(ScalarValue::Float64(Some(-0.0)), None);
    let plus = Expr::Literal(ScalarValue::Float64(Some(0.0)), None);
    let compare = |operator: Operator, literal: Expr| super::operators::binary(column.clone(), operator, literal);
    Comparable::Planned(match operator {
        Operator::Eq => compare(Operator::GtEq, minus).and(compare(Operator::LtEq, plus)),
        Operator::NotEq => compare(Operator::Lt, minus).or(compare(Operator::Gt, plus)),
        Operator::Lt | Operator::GtEq => compare(operator, minus),
        Operator::Gt | Operator::LtEq => compare(operator, plus),
        _ => return Comparable::Plain(one_zero(column), one_zero(zero)),
    })
}

const NAME: &str = "pg_float";

#[derive(Debug, PartialEq, Eq, Hash)]
struct OneZero {
    signature: Signature,
}

impl ScalarUDFImpl for OneZero {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [only] => Ok(only.clone()),
            _ => exec_err!("{NAME} takes one number"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        match args.arg_fields {
            [only] => Ok(Arc::clone(only)),
            _ => exec_err!("{NAME} takes one number"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.as_slice() {
            [ColumnarValue::Array(array)] => Ok(ColumnarValue::Array(with_one_zero(array))),
            [ColumnarValue::Scalar(scalar)] => {
                let array = with_one_zero(&scalar.to_array_of_size(1)?);
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?))
            }
            _ => exec_err!("{NAME} takes one number"),
        }
    }
}

fn with_one_zero(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        // Minus zero plus zero is zero, and every other number stays; NaNs become one.
        DataType::Float64 => {
            let values: Float64Array =
                array.as_primitive::<Float64Type>().unary(|x| if x.is_nan() { f64::NAN } else { x + 0.0 });
            Arc::new(values)
        }
        DataType::Float32 => {
            let values: Float32Array =
                array.as_primitive::<Float32Type>().unary(|x| if x.is_nan() { f32::NAN } else { x + 0.0 });
            Arc::new(values)
        }
        _ => Arc::clone(array),
    }
}
