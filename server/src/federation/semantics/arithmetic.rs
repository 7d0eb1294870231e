//! Arithmetic with PostgreSQL's result types, overflow and division errors.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array};
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, FieldRef, Float64Type, Int64Type};
pub(super) use atoll_connector_api::types::Arithmetic;
use atoll_connector_api::types::text::{OutputStyle, TextWriter};
use atoll_connector_api::types::{ColumnBuilder, Numeric, PgType, ShortNumeric, ShortNumerics, oids};
use datafusion::common::{DFSchema, ScalarValue, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

use super::float_sums::one_nan;
use super::operators::take_type;
use super::{Operand, Settings, external, operand};
use crate::error::{SqlError, SqlState};

const OPERATIONS: [(Arithmetic, &str); 5] = [
    (Arithmetic::Add, "pg_add"),
    (Arithmetic::Subtract, "pg_subtract"),
    (Arithmetic::Multiply, "pg_multiply"),
    (Arithmetic::Divide, "pg_divide"),
    (Arithmetic::Remainder, "pg_remainder"),
];

/// The functions behind the operators.
pub(super) fn functions(_settings: &Settings) -> Vec<ScalarUDF> {
    OPERATIONS.iter().map(|(operation, _)| function(*operation, None)).collect()
}

fn function(operation: Arithmetic, planned: Option<PgType>) -> ScalarUDF {
    ScalarUDF::from(Operation { operation, planned, signature: Signature::any(2, Volatility::Immutable) })
}

/// The type of an operand while operators are planned, from the bottom up. What an operation was just planned to return is
/// known: to ask the tree for it would, at each operator of a chain, go through all that are within.
pub(super) fn planned_operand(expr: &Expr, schema: &DFSchema) -> Option<Operand> {
    if let Expr::ScalarFunction(call) = expr
        && let Some(own) = call.func.inner().downcast_ref::<Operation>()
        && let Some(planned) = &own.planned
    {
        return Some(Operand::Typed(planned.clone()));
    }
    operand(expr, schema)
}

#[derive(Debug)]
struct Operation {
    operation: Arithmetic,
    /// The result's type as it was planned. Rules may change the arguments' types afterwards, and the result's with them.
    planned: Option<PgType>,
    signature: Signature,
}

/// What was planned is for planning alone.
impl PartialEq for Operation {
    fn eq(&self, other: &Self) -> bool {
        self.operation == other.operation
    }
}

impl Eq for Operation {}

impl std::hash::Hash for Operation {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.operation.hash(state);
    }
}

/// A number's rank: the result has the higher one of its operands.
fn rank(data_type: &PgType) -> Option<u8> {
    Some(match data_type.oid {
        oids::INT2 => 0,
        oids::INT4 => 1,
        oids::INT8 => 2,
        oids::NUMERIC => 3,
        oids::FLOAT4 => 4,
        oids::FLOAT8 => 5,
        _ => return None,
    })
}

/// The type of a result; `None` where an operand is no number.
fn result_type(left: &PgType, right: &PgType) -> Option<PgType> {
    let (a, b) = (rank(left)?, rank(right)?);
    let oid = match a.max(b) {
        0 => oids::INT2,
        1 => oids::INT4,
        2 => oids::INT8,
        3 => oids::NUMERIC,
        // real stays real only with real.
        4 if a == b => oids::FLOAT4,
        _ => oids::FLOAT8,
    };
    Some(PgType::new(oid))
}

/// Plans an operator over two numbers; `None` leaves it to DataFusion.
pub(super) fn plan(
    settings: &Settings,
    left: &Expr,
    operation: Arithmetic,
    right: &Expr,
    schema: &DFSchema,
) -> Result<Option<Expr>> {
    let (Some(left_type), Some(right_type)) = (planned_operand(left, schema), planned_operand(right, schema)) else {
        return Ok(None);
    };
    let (left, right, left_type, right_type) = match (left_type, right_type) {
        (Operand::Typed(known), Operand::Unknown) if rank(&known).is_some() => {
            (left.clone(), take_type(settings, right.clone(), &known)?, known.clone(), known)
        }
        (Operand::Unknown, Operand::Typed(known)) if rank(&known).is_some() => {
            (take_type(settings, left.clone(), &known)?, right.clone(), known.clone(), known)
        }
        (Operand::Typed(left_type), Operand::Typed(right_type)) => (left.clone(), right.clone(), left_type, right_type),
        _ => return Ok(None),
    };
    let Some(planned) = result_type(&left_type, &right_type) else { return Ok(None) };
    Ok(Some(function(operation, Some(planned)).call(vec![narrow_literal(left), narrow_literal(right)])))
}

/// An operation over constants with a point as the constant that it makes, as it would be written: what sources can be
/// asked, and what is stored as columns are.
pub(super) fn constant(expr: Expr) -> Expr {
    match short_constant(&expr) {
        Some((value, true)) if matches!(expr, Expr::ScalarFunction(_)) => literal(value).unwrap_or(expr),
        _ => expr,
    }
}

/// A constant, and whether it is a `numeric`.
fn short_constant(expr: &Expr) -> Option<(ShortNumeric, bool)> {
    let decimal = |value: i128, scale: i8| Some((ShortNumeric::new(value, u32::try_from(scale).ok()?)?, true));
    match expr {
        Expr::Literal(ScalarValue::Int32(Some(value)), None) => Some((ShortNumeric::new((*value).into(), 0)?, false)),
        Expr::Literal(ScalarValue::Int64(Some(value)), None) => Some((ShortNumeric::new((*value).into(), 0)?, false)),
        Expr::Literal(ScalarValue::Decimal128(Some(value), _, scale), None) => decimal(*value, *scale),
        Expr::ScalarFunction(call) => {
            let own = call.func.inner().downcast_ref::<Operation>()?;
            let [left, right] = call.args.as_slice() else { return None };
            let ((left, left_numeric), (right, right_numeric)) = (short_constant(left)?, short_constant(right)?);
            // Integers overflow, and divide otherwise.
            (left_numeric || right_numeric).then_some((left.compute(own.operation, right)?, true))
        }
        _ => None,
    }
}

fn literal(value: ShortNumeric) -> Option<Expr> {
    let digits = value.unscaled().unsigned_abs().to_string().len().max(usize::try_from(value.scale()).ok()?);
    let precision = u8::try_from(digits).ok().filter(|digits| *digits <= DECIMAL128_MAX_PRECISION)?;
    let scale = i8::try_from(value.scale()).ok()?;
    Some(Expr::Literal(ScalarValue::Decimal128(Some(value.unscaled()), precision, scale), None))
}

/// An integer literal in PostgreSQL's type for it.
pub(super) fn narrow_literal(expr: Expr) -> Expr {
    match expr {
        Expr::Literal(ScalarValue::Int64(Some(value)), None) => match i32::try_from(value) {
            Ok(value) => Expr::Literal(ScalarValue::Int32(Some(value)), None),
            Err(_) => Expr::Literal(ScalarValue::Int64(Some(value)), None),
        },
        expr => expr,
    }
}

impl ScalarUDFImpl for Operation {
    fn name(&self) -> &str {
        OPERATIONS.iter().find(|(operation, _)| *operation == self.operation).map_or("pg_arithmetic", |(_, name)| name)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        exec_err!("{} has a field, not a type", self.name())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [left, right] = args.arg_fields else { return exec_err!("{} takes two numbers", self.name()) };
        let (left, right) = (PgType::of_field(left), PgType::of_field(right));
        // An optimizer may put a bare NULL in the place of a number: it has forgotten the number's type.
        let null = |index: usize, own: &PgType| {
            let scalar = args.scalar_arguments.get(index).copied().flatten();
            rank(own).is_none() && scalar.is_some_and(ScalarValue::is_null)
        };
        let (left, right) = match (null(0, &left), null(1, &right)) {
            (true, true) => (PgType::new(oids::NUMERIC), PgType::new(oids::NUMERIC)),
            (true, false) => (right.clone(), right),
            (false, true) => (left.clone(), left),
            (false, false) => (left, right),
        };
        let Some(result) = result_type(&left, &right) else {
            return exec_err!("{} takes two numbers", self.name());
        };
        Ok(Arc::new(result.field(self.name(), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let ([left, right], [left_field, right_field]) = (args.args.as_slice(), args.arg_fields.as_slice()) else {
            return exec_err!("{} takes two numbers", self.name());
        };
        let result_type = PgType::of_field(&args.return_field);
        let is_null = |value: &ColumnarValue| matches!(value, ColumnarValue::Scalar(value) if value.is_null());
        if is_null(left) || is_null(right) {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from(args.return_field.data_type())?));
        }
        let scalar = matches!((left, right), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { args.number_rows };
        let (left, right) = (left.to_array(rows)?, right.to_array(rows)?);
        let result = match result_type.oid {
            oids::INT2 | oids::INT4 | oids::INT8 => self.integers(&left, &right, &result_type)?,
            oids::FLOAT4 | oids::FLOAT8 => self.floats(&left, &right, &result_type)?,
            _ => {
                let types = (PgType::of_field(left_field), PgType::of_field(right_field));
                self.numerics((&left, &types.0), (&right, &types.1), &result_type)?
            }
        };
        if scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(result))
    }
}

/// What an expression computes of two numbers, and these.
pub(super) fn operation_of(expr: &dyn PhysicalExpr) -> Option<(Arithmetic, &[Arc<dyn PhysicalExpr>; 2])> {
    let call = expr.downcast_ref::<ScalarFunctionExpr>()?;
    let own = call.fun().inner().downcast_ref::<Operation>()?;
    Some((own.operation, call.args().try_into().ok()?))
}

/// An operation over two arrays of exact numbers, as a `numeric`.
///
/// # Errors
/// `22003`, `22012`.
pub(super) fn numeric_operation(
    operation: Arithmetic,
    left: (&ArrayRef, &PgType),
    right: (&ArrayRef, &PgType),
) -> Result<ArrayRef> {
    let own = Operation { operation, planned: None, signature: Signature::any(2, Volatility::Immutable) };
    own.numerics(left, right, &PgType::new(oids::NUMERIC))
}

fn division_by_zero() -> SqlError {
    SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero")
}

impl Operation {
    fn integers(&self, left: &ArrayRef, right: &ArrayRef, result: &PgType) -> Result<ArrayRef> {
        let (left, right) = (widen(left)?, widen(right)?);
        let (minimum, maximum) = match result.oid {
            oids::INT2 => (i64::from(i16::MIN), i64::from(i16::MAX)),
            oids::INT4 => (i64::from(i32::MIN), i64::from(i32::MAX)),
            _ => (i64::MIN, i64::MAX),
        };
        let overflow =
            || SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{} out of range", result.sql_name()));
        let compute = |a: i64, b: i64| -> std::result::Result<i64, SqlError> {
            let value = match self.operation {
                Arithmetic::Add => a.checked_add(b),
                Arithmetic::Subtract => a.checked_sub(b),
                Arithmetic::Multiply => a.checked_mul(b),
                Arithmetic::Divide | Arithmetic::Remainder if b == 0 => return Err(division_by_zero()),
                Arithmetic::Divide => a.checked_div(b),
                // The least number modulo -1 overflows on the machine, not in PostgreSQL.
                Arithmetic::Remainder => Some(a.wrapping_rem(b)),
            };
            value.filter(|value| (minimum..=maximum).contains(value)).ok_or_else(overflow)
        };
        let mut values = Int64Array::builder(left.len());
        for (a, b) in left.iter().zip(right.iter()) {
            match (a, b) {
                (Some(a), Some(b)) => values.append_value(compute(a, b)?),
                _ => values.append_null(),
            }
        }
        Ok(arrow::compute::cast(&values.finish(), &result.storage())?)
    }

    fn floats(&self, left: &ArrayRef, right: &ArrayRef, result: &PgType) -> Result<ArrayRef> {
        let (left, right) = (to_float(left)?, to_float(right)?);
        let single = result.oid == oids::FLOAT4;
        let range =
            |what: &str| SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("value out of range: {what}"));
        let compute = |a: f64, b: f64| -> std::result::Result<f64, SqlError> {
            let value = match self.operation {
                Arithmetic::Add => a + b,
                Arithmetic::Subtract => a - b,
                Arithmetic::Multiply => a * b,
                Arithmetic::Divide | Arithmetic::Remainder if b == 0.0 && !a.is_nan() => {
                    return Err(division_by_zero());
                }
                Arithmetic::Divide => a / b,
                Arithmetic::Remainder => a % b,
            };
            let value = if single { f64::from(to_single(value)) } else { value };
            // The machine's own NaN has a sign, by which it would not equal others.
            let value = one_nan(value);
            if value.is_infinite() && a.is_finite() && b.is_finite() {
                return Err(range("overflow"));
            }
            let scales = matches!(self.operation, Arithmetic::Multiply | Arithmetic::Divide);
            if value == 0.0 && scales && a != 0.0 && b != 0.0 && b.is_finite() {
                return Err(range("underflow"));
            }
            Ok(value)
        };
        let mut values = Float64Array::builder(left.len());
        for (a, b) in left.iter().zip(right.iter()) {
            match (a, b) {
                (Some(a), Some(b)) => values.append_value(compute(a, b)?),
                _ => values.append_null(),
            }
        }
        Ok(arrow::compute::cast(&values.finish(), &result.storage())?)
    }

    fn numerics(
        &self,
        (left, left_type): (&ArrayRef, &PgType),
        (right, right_type): (&ArrayRef, &PgType),
        result: &PgType,
    ) -> Result<ArrayRef> {
        let style = OutputStyle::default();
        let left_writer = TextWriter::new(left.as_ref(), left_type, &style).map_err(external)?;
        let right_writer = TextWriter::new(right.as_ref(), right_type, &style).map_err(external)?;
        let mut builder = ColumnBuilder::new(result, left.len());
        let short = ShortNumerics::of(left.as_ref(), left_type).zip(ShortNumerics::of(right.as_ref(), right_type));
        let (mut a, mut b, mut printed) = (String::new(), String::new(), String::new());
        for row in 0..left.len() {
            if left.is_null(row) || right.is_null(row) {
                builder.append_null();
                continue;
            }
            let computed = short.and_then(|(left, right)| left.get(row)?.compute(self.operation, right.get(row)?));
            if let Some(value) = computed {
                builder.append_short_numeric(value).map_err(external)?;
                continue;
            }
            a.clear();
            b.clear();
            printed.clear();
            left_writer.write(row, &mut a).map_err(external)?;
            right_writer.write(row, &mut b).map_err(external)?;
            let (a, b) = (Numeric::parse(&a).map_err(external)?, Numeric::parse(&b).map_err(external)?);
            a.compute(self.operation, &b).map_err(external)?.write(&mut printed);
            builder.append_text(&printed).map_err(external)?;
        }
        Ok(builder.finish())
    }
}

fn widen(array: &ArrayRef) -> Result<Int64Array> {
    Ok(arrow::compute::cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}

fn to_float(array: &ArrayRef) -> Result<Float64Array> {
    let array = match array.data_type() {
        // A numeric of any size reads as the nearest float.
        DataType::Utf8View => arrow::compute::cast(array, &DataType::Utf8)?,
        _ => Arc::clone(array),
    };
    Ok(arrow::compute::cast(&array, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}

#[expect(clippy::cast_possible_truncation, reason = "rounding to the narrower type is meant")]
fn to_single(value: f64) -> f32 {
    value as f32
}
