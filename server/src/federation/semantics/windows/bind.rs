//! The plan's part: types of arguments and offsets, and the columns that a frame's bounds are read from.

use std::sync::Arc;

use arrow::datatypes::FieldRef;
use atoll_connector_api::types::{Arithmetic, PgType, oids, parse_scalar};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{
    AggregateFunction, AggregateFunctionParams, Sort, WindowFunction, WindowFunctionParams,
};
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{
    AggregateUDF, Expr, ExprSchemable, Operator, WindowFrame, WindowFrameBound, WindowFrameUnits,
    WindowFunctionDefinition, WindowUDF,
};

use super::frames::{Framed, Inner, Plan};
use super::rewrite::MOVING;
use super::spec::{Bound, Exclusion, Pick, Spec, Units};
use crate::error::{SqlError, SqlState};
use crate::federation::semantics::analyzer::order_by_keys;
use crate::federation::semantics::arithmetic::{self, narrow_literal};
use crate::federation::semantics::operators::{plan_comparison, take_type};
use crate::federation::semantics::{
    Operand, Settings, cast, choice, collect, compare, conditions, datetime, external, functions, operand, statistics,
    type_of, typed_literal,
};

/// Gives a call over a frame of ours its types and columns.
///
/// # Errors
/// `0A000` for offsets that the order's type has not, `42P10`, `42804`, `42883`.
pub(in crate::federation::semantics) fn bind(
    settings: &Settings,
    call: Box<WindowFunction>,
    schema: &DFSchema,
) -> Result<Transformed<Box<WindowFunction>>> {
    let WindowFunctionDefinition::WindowUDF(function) = &call.fun else { return Ok(Transformed::no(call)) };
    let own = match function.inner().downcast_ref::<Framed>() {
        Some(own) if own.plan.is_none() => own,
        Some(_) => return Ok(Transformed::no(call)),
        None => return native(call, schema),
    };
    let spec = own.spec.clone();
    let mut args = call.params.args.clone();
    let offsets = args.split_off(args.len().saturating_sub(spec.offsets()));
    let offsets = offsets.into_iter().map(|offset| cast::fold(settings, offset)).collect::<Result<Vec<_>>>()?;
    let filter = args.split_off(spec.arguments.min(args.len()));
    let (inner, args) = arguments(settings, &own.inner, args, schema)?;
    let fields = args.iter().map(|arg| Ok(arg.to_field(schema)?.1)).collect::<Result<Vec<FieldRef>>>()?;
    let returns = inner.returns(&fields)?;
    for filter in &filter {
        check_filter(filter, schema)?;
    }
    check_variables(&spec, &offsets)?;
    if let Some(params) = moving(&spec, &inner, &args, filter.first(), &offsets, &call.params, schema)
        && let Inner::Aggregate(function) = inner
    {
        let fun = WindowFunctionDefinition::AggregateUDF(function);
        return Ok(Transformed::yes(Box::new(WindowFunction { fun, params })));
    }
    let mut order = call.params.order_by.clone();
    order_by_keys(&mut order, schema, true)?;
    let descending = order.first().is_some_and(|first| !first.asc);
    let plan = Plan { arguments: args.len(), filter: !filter.is_empty(), peers: order.len(), descending, returns };
    let more = match (spec.units, call.params.order_by.first()) {
        (Units::Range, Some(order)) if spec.offsets() > 0 => by_values(settings, &spec, order, offsets, schema)?,
        _ => offsets.into_iter().map(|offset| count(settings, &spec, offset, schema)).collect::<Result<Vec<_>>>()?,
    };
    let args = args.into_iter().chain(filter).chain(order.into_iter().map(|item| item.expr)).chain(more).collect();
    let fun = WindowFunctionDefinition::WindowUDF(Arc::new(WindowUDF::from(own.bound(inner, plan))));
    let params = WindowFunctionParams { args, ..call.params };
    Ok(Transformed::yes(Box::new(WindowFunction { fun, params })))
}

/// A call that DataFusion runs.
fn native(mut call: Box<WindowFunction>, schema: &DFSchema) -> Result<Transformed<Box<WindowFunction>>> {
    if Pick::named(call.fun.name()).is_none() {
        return Ok(Transformed::no(call));
    }
    let Some(value) = call.params.args.first_mut() else { return Ok(Transformed::no(call)) };
    let bare = without_modifier(value.clone(), schema)?;
    let changed = bare != *value;
    *value = bare;
    Ok(if changed { Transformed::yes(call) } else { Transformed::no(call) })
}

/// The function with its arguments in the types that it takes.
fn arguments(settings: &Settings, inner: &Inner, args: Vec<Expr>, schema: &DFSchema) -> Result<(Inner, Vec<Expr>)> {
    match inner {
        Inner::Aggregate(function) => {
            let (function, args) = aggregate(settings, function, args, schema)?;
            Ok((Inner::Aggregate(function), args))
        }
        Inner::Pick(pick) => Ok((Inner::Pick(*pick), picked(settings, *pick, args, schema)?)),
    }
}

/// The arguments of a function that picks a value.
fn picked(settings: &Settings, pick: Pick, args: Vec<Expr>, schema: &DFSchema) -> Result<Vec<Expr>> {
    let (name, wanted) = match pick {
        Pick::First => ("first_value", 1..=1),
        Pick::Last => ("last_value", 1..=1),
        Pick::Nth => ("nth_value", 2..=2),
        Pick::Lag => ("lag", 1..=3),
        Pick::Lead => ("lead", 1..=3),
    };
    let args = args.into_iter().map(|arg| cast::fold(settings, narrow_literal(arg))).collect::<Result<Vec<_>>>()?;
    let operands: Vec<Operand> = args.iter().map(|arg| operand(arg, schema).unwrap_or(Operand::Unknown)).collect();
    let missing = || functions::undefined(name, &operands);
    if !wanted.contains(&args.len()) {
        return Err(missing().into());
    }
    // The value and what is there instead of it have one type.
    let bare =
        |own: &PgType| if own.oid == oids::BPCHAR { own.clone() } else { PgType { modifier: -1, ..own.clone() } };
    let value = match (operands.first(), operands.get(2)) {
        (Some(Operand::Typed(value)), Some(Operand::Typed(instead))) => {
            choice::unify(&bare(value), &bare(instead)).ok_or_else(missing)?
        }
        (Some(Operand::Typed(own)), _) | (_, Some(Operand::Typed(own))) => bare(own),
        _ => PgType::new(oids::TEXT),
    };
    let with_instead = args.len() > 2;
    let integer = PgType::new(oids::INT4);
    let mut bound = Vec::with_capacity(args.len());
    for (index, (arg, own)) in args.into_iter().zip(&operands).enumerate() {
        bound.push(match own {
            Operand::Unknown => take_type(settings, arg, if index == 1 { &integer } else { &value })?,
            Operand::Typed(own) if index == 1 && !matches!(own.oid, oids::INT2 | oids::INT4) => {
                return Err(missing().into());
            }
            Operand::Typed(own) if index != 1 && with_instead && (*own != value || own.oid == oids::NUMERIC) => {
                cast::fold(settings, cast::cast_to(settings, arg, &value))?
            }
            Operand::Typed(_) if index == 0 => without_modifier(arg, schema)?,
            Operand::Typed(_) => arg,
        });
    }
    Ok(bound)
}

/// A value of a function's result has no modifier; but the length of a `char(n)` is its padding.
fn without_modifier(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    match type_of(&expr, schema) {
        Some(own) if own.modifier != -1 && own.user.is_none() && own.oid != oids::BPCHAR => {
            choice::typed(expr, &PgType { modifier: -1, ..own })
        }
        _ => Ok(expr),
    }
}

fn aggregate(
    settings: &Settings,
    function: &Arc<AggregateUDF>,
    args: Vec<Expr>,
    schema: &DFSchema,
) -> Result<(Arc<AggregateUDF>, Vec<Expr>)> {
    let params =
        AggregateFunctionParams { args, distinct: false, filter: None, order_by: Vec::new(), null_treatment: None };
    let call = AggregateFunction { func: Arc::clone(function), params };
    let call = collect::bind(settings, call, schema)?.data;
    let AggregateFunction { func, params } = statistics::bind(settings, call, schema)?.data;
    let fields = params.args.iter().map(|arg| Ok(arg.to_field(schema)?.1)).collect::<Result<Vec<FieldRef>>>()?;
    let wanted = fields_with_udf(&fields, func.as_ref())?;
    let args = params
        .args
        .into_iter()
        .zip(fields.iter().zip(wanted))
        .map(
            |(arg, (own, wanted))| {
                if own.data_type() == wanted.data_type() { Ok(arg) } else { arg.cast_to(wanted.data_type(), schema) }
            },
        )
        .collect::<Result<Vec<_>>>()?;
    Ok((func, args))
}

fn check_filter(filter: &Expr, schema: &DFSchema) -> Result<()> {
    match type_of(filter, schema) {
        Some(own) if own.oid != oids::BOOL && !matches!(operand(filter, schema), Some(Operand::Unknown)) => {
            Err(conditions::mismatch("FILTER", own).into())
        }
        _ => Ok(()),
    }
}

const fn units_name(spec: &Spec) -> &'static str {
    match spec.units {
        Units::Rows => "ROWS",
        Units::Range => "RANGE",
        Units::Groups => "GROUPS",
    }
}

fn check_variables(spec: &Spec, offsets: &[Expr]) -> Result<()> {
    if offsets.iter().all(|offset| offset.column_refs().is_empty()) {
        return Ok(());
    }
    let message = format!("argument of {} must not contain variables", units_name(spec));
    Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message).into())
}

/// An aggregate over a range of integers by plain offsets is one that DataFusion moves itself, without holding a whole
/// partition.
fn moving(
    spec: &Spec,
    inner: &Inner,
    args: &[Expr],
    filter: Option<&Expr>,
    offsets: &[Expr],
    params: &WindowFunctionParams,
    schema: &DFSchema,
) -> Option<WindowFunctionParams> {
    let Inner::Aggregate(function) = inner else { return None };
    let [order] = params.order_by.as_slice() else { return None };
    let own = type_of(&order.expr, schema)?;
    let integer = own.user.is_none() && matches!(own.oid, oids::INT2 | oids::INT4 | oids::INT8);
    let plain = spec.units == Units::Range && spec.exclusion == Exclusion::NoOthers;
    if !integer || !plain || !MOVING.contains(&function.name()) {
        return None;
    }
    let storage = own.storage();
    let mut offsets = offsets.iter();
    let mut bound = |bound: Bound| -> Option<WindowFrameBound> {
        let mut offset = || match offsets.next()? {
            Expr::Literal(value @ (ScalarValue::Int16(_) | ScalarValue::Int32(_) | ScalarValue::Int64(_)), _) => {
                let value = value.cast_to(&storage).ok().filter(|value| !value.is_null())?;
                (value >= ScalarValue::new_zero(&storage).ok()?).then_some(value)
            }
            _ => None,
        };
        Some(match bound {
            Bound::UnboundedPreceding => WindowFrameBound::Preceding(ScalarValue::try_from(&storage).ok()?),
            Bound::Preceding => WindowFrameBound::Preceding(offset()?),
            Bound::CurrentRow => WindowFrameBound::CurrentRow,
            Bound::Following => WindowFrameBound::Following(offset()?),
            Bound::UnboundedFollowing => WindowFrameBound::Following(ScalarValue::try_from(&storage).ok()?),
        })
    };
    let (start, end) = (bound(spec.start)?, bound(spec.end)?);
    let is_empty = match (&start, &end) {
        (WindowFrameBound::Preceding(start), WindowFrameBound::Preceding(end)) => {
            !start.is_null() && !end.is_null() && start < end
        }
        (WindowFrameBound::Following(start), WindowFrameBound::Following(end)) => {
            !start.is_null() && !end.is_null() && start > end
        }
        _ => false,
    };
    // DataFusion refuses frames that end before they begin.
    if is_empty {
        return None;
    }
    Some(WindowFunctionParams {
        args: args.to_vec(),
        filter: filter.map(|filter| Box::new(filter.clone())),
        window_frame: WindowFrame::new_bounds(WindowFrameUnits::Range, start, end),
        ..params.clone()
    })
}

/// An offset of ROWS or GROUPS.
fn count(settings: &Settings, spec: &Spec, offset: Expr, schema: &DFSchema) -> Result<Expr> {
    let bigint = PgType::new(oids::INT8);
    match operand(&offset, schema) {
        None | Some(Operand::Unknown) => take_type(settings, offset, &bigint),
        Some(Operand::Typed(own)) if own.user.is_none() && own.oid == oids::INT8 => Ok(offset),
        Some(Operand::Typed(own)) if own.user.is_none() && is_number(&own) => {
            cast::fold(settings, cast::cast_to(settings, narrow_literal(offset), &bigint))
        }
        Some(Operand::Typed(own)) => {
            let shown = PgType { modifier: -1, ..own }.sql_name();
            let message = format!("argument of {} must be type bigint, not type {shown}", units_name(spec));
            Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message).into())
        }
    }
}

const fn is_number(data_type: &PgType) -> bool {
    is_integer(data_type) || matches!(data_type.oid, oids::NUMERIC | oids::FLOAT4 | oids::FLOAT8)
}

const fn is_integer(data_type: &PgType) -> bool {
    matches!(data_type.oid, oids::INT2 | oids::INT4 | oids::INT8)
}

/// The columns of a RANGE with offsets: the order's key, and for each offset the key of the bound and whether the offset
/// is invalid.
fn by_values(
    settings: &Settings,
    spec: &Spec,
    order: &Sort,
    offsets: Vec<Expr>,
    schema: &DFSchema,
) -> Result<Vec<Expr>> {
    let own = type_of(&order.expr, schema).unwrap_or(PgType::new(oids::TEXT));
    let unsupported = |offset: Option<&PgType>| -> SqlError {
        let name = |data_type: &PgType| {
            if data_type.user.is_none() && data_type.oid == oids::BPCHAR {
                return "character".to_owned();
            }
            PgType { modifier: -1, ..data_type.clone() }.sql_name()
        };
        let message = format!("RANGE with offset PRECEDING/FOLLOWING is not supported for column type {}", name(&own));
        match offset {
            None => SqlError::unsupported(message),
            Some(offset) => SqlError::unsupported(format!("{message} and offset type {}", name(offset)))
                .hint("Cast the offset value to an appropriate type."),
        }
    };
    if own.user.is_some() {
        return Err(unsupported(None).into());
    }
    // The types in which key and offset meet.
    let interval = PgType::new(oids::INTERVAL);
    let (key_type, offset_type) = match own.oid {
        oids::INT2 | oids::INT4 | oids::INT8 | oids::NUMERIC => {
            (PgType::new(oids::NUMERIC), PgType::new(oids::NUMERIC))
        }
        oids::FLOAT4 | oids::FLOAT8 => (PgType::new(oids::FLOAT8), PgType::new(oids::FLOAT8)),
        oids::DATE | oids::TIMESTAMP => (PgType::new(oids::TIMESTAMP), interval),
        oids::TIMESTAMPTZ => (PgType::new(oids::TIMESTAMPTZ), interval),
        oids::INTERVAL => (interval.clone(), interval),
        _ => return Err(unsupported(None).into()),
    };
    let takes = |offset: &PgType| {
        offset.user.is_none()
            && match own.oid {
                oids::INT2 | oids::INT4 | oids::INT8 => is_integer(offset),
                oids::NUMERIC => is_integer(offset) || offset.oid == oids::NUMERIC,
                oids::FLOAT4 | oids::FLOAT8 => is_number(offset),
                _ => offset.oid == oids::INTERVAL,
            }
    };
    // A numeric with digits fixed may hold what stands for NaN.
    let key = if own.oid == key_type.oid && own.oid != oids::NUMERIC {
        order.expr.clone()
    } else {
        cast::cast_to(settings, narrow_literal(order.expr.clone()), &key_type)
    };
    let mut columns = vec![compare::key_of(key.clone(), &key_type, false)];
    let mut offsets = offsets.into_iter();
    for bound in [spec.start, spec.end] {
        if !bound.is_offset() {
            continue;
        }
        let Some(offset) = offsets.next() else { break };
        let offset = match operand(&offset, schema) {
            None | Some(Operand::Unknown) => {
                let literal = if is_integer(&own) { PgType::new(own.oid) } else { offset_type.clone() };
                let typed = take_type(settings, offset, &literal)?;
                if literal == offset_type {
                    typed
                } else {
                    cast::fold(settings, cast::cast_to(settings, typed, &offset_type))?
                }
            }
            Some(Operand::Typed(given)) if !takes(&given) => return Err(unsupported(Some(&given)).into()),
            Some(Operand::Typed(given)) if given.oid == offset_type.oid && given.oid != oids::NUMERIC => offset,
            Some(Operand::Typed(_)) => {
                cast::fold(settings, cast::cast_to(settings, narrow_literal(offset), &offset_type))?
            }
        };
        let back = (bound == Bound::Preceding) == order.asc;
        let planned = if offset_type.oid == oids::INTERVAL {
            datetime::plan_operator(settings, &key, if back { "-" } else { "+" }, &offset, schema)?
        } else {
            let operation = if back { Arithmetic::Subtract } else { Arithmetic::Add };
            arithmetic::plan(settings, &key, operation, &offset, schema)?
        };
        let moved = planned.unwrap_or_else(|| {
            let operator = if back { Operator::Minus } else { Operator::Plus };
            datafusion::logical_expr::binary_expr(key.clone(), operator, offset.clone())
        });
        columns.push(compare::key_of(moved, &key_type, false));
        columns.push(invalid(settings, offset, &offset_type, schema)?);
    }
    Ok(columns)
}

/// Whether an offset is negative, or no number to go by.
fn invalid(settings: &Settings, offset: Expr, data_type: &PgType, schema: &DFSchema) -> Result<Expr> {
    let literal =
        |text: &str| -> Result<Expr> { Ok(typed_literal(parse_scalar(text, data_type).map_err(external)?, data_type)) };
    let not_negative = plan_comparison(settings, offset.clone(), Operator::GtEq, literal("0")?, schema)?;
    if data_type.oid == oids::INTERVAL {
        return Ok(Expr::Not(Box::new(not_negative)));
    }
    let finite = plan_comparison(settings, offset, Operator::Lt, literal("Infinity")?, schema)?;
    Ok(Expr::Not(Box::new(not_negative.and(finite))))
}
