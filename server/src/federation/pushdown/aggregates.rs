//! Aggregates of a plan as those of a source's query.

use arrow::datatypes::{DataType, Field};
use atoll_connector_api::subplan::{Aggregate, AggregateFunction, Scalar, reading_type};
use atoll_connector_api::types::{PgType, oids};
use datafusion::logical_expr::expr::AggregateFunction as Call;
use datafusion::logical_expr::{Cast, Expr};

use super::scalars::{Resolve, scalar};

/// A call, if its result has the type that the source gives it.
pub(super) fn aggregate(expr: &Expr, result: &Field, resolve: &Resolve<'_>) -> Option<Scalar> {
    let Expr::AggregateFunction(Call { func, params }) = unaliased(expr) else { return None };
    if !params.order_by.is_empty() || params.null_treatment.is_some() {
        return None;
    }
    let function = match func.name() {
        "count" => AggregateFunction::Count,
        "sum" => AggregateFunction::Sum,
        "avg" => AggregateFunction::Avg,
        "min" => AggregateFunction::Min,
        "max" => AggregateFunction::Max,
        "bool_and" => AggregateFunction::BoolAnd,
        "bool_or" => AggregateFunction::BoolOr,
        _ => return None,
    };
    let [argument] = params.args.as_slice() else { return None };
    let argument = match argument {
        // count(*) counts a constant.
        Expr::Literal(value, _) if function == AggregateFunction::Count && !value.is_null() && !params.distinct => None,
        argument => Some(self::argument(function, argument, resolve)?),
    };
    let own = argument.as_ref().and_then(Scalar::data_type);
    if !has_result(function, own.as_ref(), result.data_type()) {
        return None;
    }
    let filter = match &params.filter {
        Some(filter) => Some(scalar(filter, resolve)?),
        None => None,
    };
    Some(Scalar::Aggregate(Box::new(Aggregate {
        function,
        argument,
        distinct: params.distinct,
        filter,
        data_type: reading_type(result)?,
    })))
}

/// The argument, without the cast by which integers are added up here as what their sum is.
fn argument(function: AggregateFunction, expr: &Expr, resolve: &Resolve<'_>) -> Option<Scalar> {
    let expr = match expr {
        Expr::Cast(Cast { expr, field }) if function == AggregateFunction::Sum && widens(field.data_type()) => expr,
        expr => expr,
    };
    match scalar(expr, resolve)? {
        argument @ (Scalar::Column(_) | Scalar::Arithmetic(..)) => Some(argument),
        _ => None,
    }
}

const fn widens(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Int64 | DataType::Decimal128(28, 0))
}

/// Whether the result here is stored as that of the source's function would be: a cast that was left away, of which the
/// function's result would be another type, shows here.
fn has_result(function: AggregateFunction, argument: Option<&PgType>, result: &DataType) -> bool {
    let builtin = argument.filter(|own| own.user.is_none()).map_or(0, |own| own.oid);
    match function {
        AggregateFunction::Count => *result == DataType::Int64,
        AggregateFunction::Sum => match builtin {
            oids::INT2 | oids::INT4 => *result == DataType::Int64,
            oids::INT8 => *result == DataType::Decimal128(38, 0),
            oids::NUMERIC => *result == DataType::Utf8View,
            _ => false,
        },
        AggregateFunction::Avg => *result == DataType::Utf8View,
        AggregateFunction::Min | AggregateFunction::Max => argument.is_some_and(|own| own.storage() == *result),
        AggregateFunction::BoolAnd | AggregateFunction::BoolOr => *result == DataType::Boolean,
    }
}

fn unaliased(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => unaliased(&alias.expr),
        expr => expr,
    }
}
