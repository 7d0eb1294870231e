//! Queries over system tables: of the rewrites only those that do not ask how arrays are stored, which are lists there.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Query, TypedString, Value, VisitMut,
    VisitorMut,
};

use super::rewrite::{call, case_call, cast_call, counting_window, long_number, narrow, narrow_results, pg_cast};
use super::{catalog_array, datetime, rows};

/// Functions whose result has the type of their arguments: their constants are `integer` where they fit.
const TYPED_BY_ARGUMENTS: [&str; 10] =
    ["coalesce", "greatest", "least", "nullif", "sum", "min", "max", "avg", "array_agg", "pg_typeof"];

/// Functions that DataFusion answers with a count without a sign.
const COUNTS: [&str; 2] = ["cardinality", "array_position"];

/// Turns casts to scalar types, `CASE`, constants, and the syntax of dates and times into what has PostgreSQL's types.
/// Casts to the `reg…` types and to arrays are the catalog's own business, which comes before this.
pub fn rewrite_catalog(query: &mut Query) {
    let _ = query.visit(&mut Rewriter);
}

struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        narrow_results(&mut query.body);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        rows::escape(expr);
        datetime::rewrite::expression(expr);
        let replaced = match expr {
            Expr::Value(value) => match &value.value {
                Value::Number(digits, false) => long_number(&digits.to_string()),
                _ => None,
            },
            Expr::Cast { data_type, .. } | Expr::TypedString(TypedString { data_type, .. }) => {
                if matches!(data_type, DataType::Array(_)) { None } else { cast_call(expr) }
            }
            Expr::Case { .. } => case_call(expr),
            Expr::Function(function) => typed_function(function),
            _ => None,
        };
        if let Some(replaced) = replaced {
            *expr = replaced;
        }
        ControlFlow::Continue(())
    }
}

fn typed_function(function: &mut Function) -> Option<Expr> {
    let name = function.name.to_string().to_lowercase();
    let bare = name.strip_prefix("pg_catalog.").unwrap_or(&name);
    if TYPED_BY_ARGUMENTS.contains(&bare)
        && let FunctionArguments::List(list) = &mut function.args
    {
        for arg in &mut list.args {
            if let FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) = arg {
                narrow(arg);
            }
        }
    }
    if COUNTS.contains(&bare) {
        return Some(pg_cast(Expr::Function(function.clone()), "integer"));
    }
    counting_window(function)
}

/// An array of system tables as an array of a type, still a list.
pub fn array_cast(value: Expr, type_name: &str) -> Expr {
    let name = Expr::Value(Value::SingleQuotedString(type_name.to_owned()).with_empty_span());
    call(catalog_array::NAME, vec![value, name])
}
