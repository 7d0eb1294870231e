//! PostgreSQL's operators and functions over dates, times and intervals, and `to_char` with its kin.
//!
//! A function is first planned by its name; the analyzer then chooses the overload by the types of the arguments, as
//! PostgreSQL does, and casts the arguments to what it takes. Operators are resolved while they are planned.

mod aggregate;
mod arithmetic;
mod clock;
mod compare;
mod extract;
mod make;
mod moment;
mod overlaps;
mod overload;
pub(super) mod rewrite;
mod series;
#[cfg(test)]
mod tests;
mod timezone;
mod to_char;
mod truncate;
mod udf;
mod unit;
mod value;

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_connector_api::types::{PgType, oids};
use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Expr, ScalarUDF};

pub(super) use aggregate::IntervalSum;
pub(super) use arithmetic::{interval_between, plan as plan_operator};
pub(super) use compare::common as common_type;
pub(super) use series::{generate_series, series_texts};

use super::cast::cast_to;
use super::{Operand, Settings, operand};
use overload::Overload;
use udf::{Named, bind};

/// The functions of this module, by name.
pub(super) fn functions(settings: &Settings) -> Vec<ScalarUDF> {
    let mut named: BTreeMap<&'static str, Vec<&'static Overload>> = BTreeMap::new();
    let all = [
        extract::FUNCTIONS,
        truncate::FUNCTIONS,
        timezone::FUNCTIONS,
        make::FUNCTIONS,
        clock::FUNCTIONS,
        overlaps::FUNCTIONS,
    ];
    for overload in all.into_iter().flatten().chain(to_char::functions()) {
        named.entry(overload.name).or_default().push(overload);
    }
    named.into_iter().map(|(name, overloads)| ScalarUDF::from(Named::new(name, overloads, settings))).collect()
}

/// A call of one of these functions with its overload chosen; `None` for every other expression.
pub(super) fn plan_call(expr: &Expr, schema: &DFSchema) -> Result<Option<Expr>> {
    match expr {
        Expr::ScalarFunction(ScalarFunction { func, args }) => match func.inner().downcast_ref::<Named>() {
            Some(named) => named.planned(args.clone(), schema).map(Some),
            None => Ok(None),
        },
        Expr::Negative(inner) => match operand(inner, schema) {
            Some(own @ Operand::Typed(_)) if matches!(&own, Operand::Typed(own) if own.oid == oids::INTERVAL) => {
                bind(&Settings::default(), &arithmetic::NEGATION, vec![inner.as_ref().clone()], &[own]).map(Some)
            }
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

/// A call of a function that prints its arguments, with dates and times as PostgreSQL prints them; `None` where there is
/// nothing to do.
pub(super) fn plan_printing(settings: &Settings, expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    let Expr::ScalarFunction(ScalarFunction { func, args }) = expr else { return None };
    let temporal = |arg: &Expr| operand(arg, schema).is_some_and(|own| arithmetic::is_temporal(&own));
    if !matches!(func.name(), "concat" | "concat_ws" | "format") || !args.iter().any(temporal) {
        return None;
    }
    let text = PgType::new(oids::TEXT);
    let args = args.iter().map(|arg| if temporal(arg) { cast_to(settings, arg.clone(), &text) } else { arg.clone() });
    Some(Expr::ScalarFunction(ScalarFunction { func: Arc::clone(func), args: args.collect() }))
}
