//! Syntax of dates and times that becomes calls of functions: `EXTRACT`, `AT TIME ZONE`, `OVERLAPS`, `CURRENT_DATE`.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    ObjectNamePart, Value,
};

use crate::federation::semantics::cast;
use crate::federation::semantics::rewrite::call;

/// Rewrites one expression, whose parts were rewritten before.
pub(in crate::federation::semantics) fn expression(expr: &mut Expr) {
    let new = match expr {
        Expr::Extract { field, expr: value, .. } => {
            // A quoted field keeps its quotes in the tree.
            let name = field.to_string();
            let name = name.trim_matches(['"', '\'']).to_owned();
            let name = Expr::Value(Value::SingleQuotedString(name).with_empty_span());
            call("extract", vec![name, take(value)])
        }
        Expr::AtTimeZone { timestamp, time_zone } => call("timezone", vec![take(time_zone), take(timestamp)]),
        Expr::BinaryOp { left, op: BinaryOperator::Overlaps, right } => match (left.as_mut(), right.as_mut()) {
            (Expr::Tuple(left), Expr::Tuple(right)) if left.len() == 2 && right.len() == 2 => {
                call("overlaps", left.drain(..).chain(right.drain(..)).collect())
            }
            _ => return,
        },
        Expr::Function(function) => {
            rewrite_function(function);
            match cast_in_disguise(function) {
                Some(cast) => cast,
                None => return,
            }
        }
        _ => return,
    };
    *expr = new;
}

fn take(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, Expr::Value(Value::Null.with_empty_span()))
}

fn rewrite_function(function: &mut Function) {
    let Some(name) = function.name.0.last().and_then(ObjectNamePart::as_ident).map(|name| name.value.to_lowercase())
    else {
        return;
    };
    match (name.as_str(), &mut function.args) {
        (
            "current_date" | "current_time" | "current_timestamp" | "localtime" | "localtimestamp",
            args @ FunctionArguments::None,
        ) => {
            *args = FunctionArguments::List(FunctionArgumentList {
                duplicate_treatment: None,
                args: Vec::new(),
                clauses: Vec::new(),
            });
        }
        ("make_interval", FunctionArguments::List(list)) => position_arguments(&mut list.args),
        _ => {}
    }
}

/// `date(x)`: a type's name as a function is a cast.
fn cast_in_disguise(function: &Function) -> Option<Expr> {
    const TYPES: [&str; 6] = ["date", "time", "timetz", "timestamp", "timestamptz", "interval"];
    let [ObjectNamePart::Identifier(name)] = function.name.0.as_slice() else { return None };
    let name = TYPES.iter().find(|known| name.value.eq_ignore_ascii_case(known))?;
    let FunctionArguments::List(list) = &function.args else { return None };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(value))] = list.args.as_slice() else { return None };
    let name = Expr::Value(Value::SingleQuotedString((*name).to_owned()).with_empty_span());
    Some(call(cast::NAME, vec![value.clone(), name]))
}

/// `make_interval(days => 10)`: the only one of PostgreSQL's functions here whose arguments have names that people use.
fn position_arguments(args: &mut Vec<FunctionArg>) {
    const NAMES: [&str; 7] = ["years", "months", "weeks", "days", "hours", "mins", "secs"];
    let name_of = |name: &Ident| {
        let name = name.value.to_lowercase();
        NAMES.iter().position(|known| *known == name)
    };
    let is_named = |arg: &FunctionArg| match arg {
        FunctionArg::Named { .. } => true,
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::BinaryOp { op, .. })) => *op == BinaryOperator::Assignment,
        _ => false,
    };
    if !args.iter().any(is_named) {
        return;
    }
    let zero = || {
        let zero = Expr::Value(Value::Number("0".into(), false).with_empty_span());
        FunctionArg::Unnamed(FunctionArgExpr::Expr(zero))
    };
    let mut placed: Vec<Option<FunctionArg>> = vec![None; NAMES.len()];
    for (index, arg) in args.iter().enumerate() {
        let (place, value) = match arg {
            // `days := 10` is parsed as an operator.
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::BinaryOp {
                left,
                op: BinaryOperator::Assignment,
                right,
            })) => {
                let name = if let Expr::Identifier(name) = left.as_ref() { name_of(name) } else { None };
                (name, FunctionArg::Unnamed(FunctionArgExpr::Expr(right.as_ref().clone())))
            }
            FunctionArg::Named { name, arg, .. } => (name_of(name), FunctionArg::Unnamed(arg.clone())),
            other => (Some(index), other.clone()),
        };
        // An unknown or repeated name is left as it is, and found when the call is planned.
        match place.and_then(|place| placed.get_mut(place)) {
            Some(slot @ None) => *slot = Some(value),
            _ => return,
        }
    }
    *args = placed.into_iter().map(|arg| arg.unwrap_or_else(zero)).collect();
}
