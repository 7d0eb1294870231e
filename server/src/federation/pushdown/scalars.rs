//! Expressions of a plan as those of a source's query. Whether the source's dialect has them is its own affair.

use arrow::datatypes::DataType;
use atoll_connector_api::pushdown::{COMPARE_FUNCTION, IN_LIST_MAX, operator_named};
use atoll_connector_api::subplan::Scalar;
use atoll_connector_api::types::{Arithmetic, PgType, oids};
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::expr::{BinaryExpr, InList, Like};
use datafusion::logical_expr::{Cast, Expr, Operator};

/// Finds what a column stands for.
pub(super) type Resolve<'a> = dyn Fn(&Column) -> Option<Scalar> + 'a;

/// An expression, if all of it has a form there.
pub(super) fn scalar(expr: &Expr, resolve: &Resolve<'_>) -> Option<Scalar> {
    let boxed = |expr: &Expr| scalar(expr, resolve).map(Box::new);
    Some(match expr {
        Expr::Column(column) => resolve(column)?,
        Expr::Alias(alias) => scalar(&alias.expr, resolve)?,
        Expr::Literal(value, _) => Scalar::Literal(value.clone()),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            Scalar::And(vec![scalar(left, resolve)?, scalar(right, resolve)?])
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            Scalar::Or(vec![scalar(left, resolve)?, scalar(right, resolve)?])
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_comparison(*op) => {
            Scalar::Compare(*op, Box::new(operand(left, resolve)?), Box::new(operand(right, resolve)?))
        }
        Expr::ScalarFunction(call) if call.func.name() == COMPARE_FUNCTION => {
            let [operator, left, right] = call.args.as_slice() else { return None };
            let operator = operator_named(text_of(operator)?).filter(|operator| is_comparison(*operator))?;
            Scalar::Compare(operator, Box::new(operand(left, resolve)?), Box::new(operand(right, resolve)?))
        }
        Expr::ScalarFunction(call) if arithmetic(call.func.name()).is_some() => {
            let [left, right] = call.args.as_slice() else { return None };
            let (left, right) = (scalar(left, resolve)?, scalar(right, resolve)?);
            let types = [number(&left)?, number(&right)?];
            // Of integers the sum may be too great an integer: which rows are asked for it is then to be seen.
            if !types.contains(&oids::NUMERIC) {
                return None;
            }
            Scalar::Arithmetic(arithmetic(call.func.name())?, Box::new(left), Box::new(right))
        }
        Expr::Not(inner) => Scalar::Not(boxed(inner)?),
        Expr::IsNull(inner) => Scalar::IsNull(boxed(inner)?, false),
        Expr::IsNotNull(inner) => Scalar::IsNull(boxed(inner)?, true),
        Expr::Between(between) if !between.negated => Scalar::And(vec![
            Scalar::Compare(Operator::GtEq, boxed(&between.expr)?, boxed(&between.low)?),
            Scalar::Compare(Operator::LtEq, boxed(&between.expr)?, boxed(&between.high)?),
        ]),
        Expr::InList(InList { expr, list, negated }) if !list.is_empty() && list.len() <= IN_LIST_MAX => {
            let list = list.iter().map(literal_of).collect::<Option<Vec<_>>>()?;
            Scalar::InList(boxed(expr)?, list, *negated)
        }
        Expr::Like(Like { negated, expr, pattern, escape_char: None, case_insensitive: false }) => {
            Scalar::Like(boxed(expr)?, text_of(pattern)?.to_owned(), *negated)
        }
        _ => return None,
    })
}

/// The functions by which values join and sort whose storage does not compare as they do.
const KEY_FUNCTIONS: [&str; 2] = ["pg_key", "pg_float"];

/// The function that makes a key, and what it is the key of.
pub(super) fn key_argument(expr: &Expr) -> Option<(&str, &Expr)> {
    let Expr::ScalarFunction(call) = expr else { return None };
    let name = KEY_FUNCTIONS.contains(&call.func.name()).then(|| call.func.name())?;
    Some((name, call.args.first()?))
}

/// One side of a comparison, without the cast that gives both sides one type: it changes no value.
pub(super) fn operand(expr: &Expr, resolve: &Resolve<'_>) -> Option<Scalar> {
    let Expr::Cast(Cast { expr: inner, field }) = expr else { return scalar(expr, resolve) };
    let inner = scalar(inner, resolve)?;
    let data_type = inner.data_type().filter(|own| own.user.is_none())?;
    keeps_value(&data_type, field.data_type()).then_some(inner)
}

/// Whether every number of a type is one of a storage.
fn keeps_value(from: &PgType, to: &DataType) -> bool {
    let (digits, scale) = match (from.oid, from.numeric_bounds()) {
        (oids::INT2, _) => (5, 0),
        (oids::INT4, _) => (10, 0),
        (oids::INT8, _) => (19, 0),
        (oids::NUMERIC, Some((precision, scale))) => (i32::from(precision) - i32::from(scale), i32::from(scale)),
        _ => return false,
    };
    match to {
        DataType::Int32 => from.oid == oids::INT2,
        DataType::Int64 => from.oid != oids::NUMERIC && from.oid != oids::INT8,
        DataType::Decimal128(precision, to_scale) | DataType::Decimal256(precision, to_scale) => {
            let to_scale = i32::from(*to_scale);
            to_scale >= scale && i32::from(*precision) - to_scale >= digits
        }
        _ => false,
    }
}

/// The operation of one of our functions.
fn arithmetic(name: &str) -> Option<Arithmetic> {
    Some(match name {
        "pg_add" => Arithmetic::Add,
        "pg_subtract" => Arithmetic::Subtract,
        "pg_multiply" => Arithmetic::Multiply,
        _ => return None,
    })
}

/// The type of an integer or a `numeric`.
fn number(scalar: &Scalar) -> Option<u32> {
    let data_type = match scalar {
        Scalar::Literal(value) if value.is_null() => return None,
        Scalar::Literal(value) => PgType::of_arrow(&value.data_type()),
        other => other.data_type()?,
    };
    let is_number = matches!(data_type.oid, oids::INT2 | oids::INT4 | oids::INT8 | oids::NUMERIC);
    (data_type.user.is_none() && is_number).then_some(data_type.oid)
}

const fn is_comparison(operator: Operator) -> bool {
    matches!(operator, Operator::Eq | Operator::NotEq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq)
}

fn literal_of(expr: &Expr) -> Option<ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value.clone()),
        _ => None,
    }
}

fn text_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    }
}
