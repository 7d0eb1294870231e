//! Hypothetical-set aggregates: `rank(x) WITHIN GROUP (ORDER BY k)` is where `x` would stand among the values of `k`. What
//! stands before it is counted.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, SelectItem, SetExpr, Value, VisitMut, VisitorMut,
};

use super::rewrite::parsed;
use crate::error::{SqlError, SqlResult};

/// Puts counts in the place of a hypothetical-set aggregate.
///
/// # Errors
/// `0A000` for more than one key.
pub(super) fn expand(expr: &mut Expr) -> SqlResult<()> {
    let Expr::Function(function) = &*expr else { return Ok(()) };
    if function.within_group.is_empty() || function.over.is_some() {
        return Ok(());
    }
    let name = function.name.to_string().to_lowercase();
    let name = name.strip_prefix("pg_catalog.").unwrap_or(&name);
    if !matches!(name, "rank" | "dense_rank" | "percent_rank" | "cume_dist") {
        return Ok(());
    }
    let replaced = counted(name, function)?;
    *expr = replaced;
    Ok(())
}

fn counted(name: &str, function: &Function) -> SqlResult<Expr> {
    let ([key], Some(value)) = (function.within_group.as_slice(), only_argument(function)) else {
        let message = format!("{name} within a group of several keys is not supported");
        return Err(SqlError::unsupported(message));
    };
    let descending = key.options.asc == Some(false);
    let nulls_first = key.options.nulls_first.unwrap_or(descending);
    let sign = if descending { '>' } else { '<' };
    // $1: the key, $2: the value, $3: the aggregate's own filter.
    let null_before = if nulls_first { "$1 IS NULL AND $2 IS NOT NULL" } else { "$2 IS NULL AND $1 IS NOT NULL" };
    let before = format!("($1 {sign} $2 OR ({null_before}))");
    let text = match name {
        "rank" => format!("1 + count(*) FILTER (WHERE $3 AND {before})"),
        "dense_rank" if nulls_first => format!(
            "1 + count(DISTINCT $1) FILTER (WHERE $3 AND {before}) \
             + CASE WHEN count(*) FILTER (WHERE $3 AND {null_before}) > 0 THEN 1 ELSE 0 END"
        ),
        "dense_rank" => format!("1 + count(DISTINCT $1) FILTER (WHERE $3 AND {before})"),
        "percent_rank" => format!(
            "coalesce(CAST(count(*) FILTER (WHERE $3 AND {before}) AS double precision) \
             / nullif(count(*) FILTER (WHERE $3), 0), 0)"
        ),
        _ => format!(
            "CAST(1 + count(*) FILTER (WHERE $3 AND ({before} OR $1 IS NOT DISTINCT FROM $2)) AS double precision) \
             / (1 + count(*) FILTER (WHERE $3))"
        ),
    };
    let mut query = parsed(&format!("SELECT {text}"))?;
    let SetExpr::Select(select) = query.body.as_mut() else { return Err(SqlError::internal("a query of ours")) };
    let Some(SelectItem::UnnamedExpr(counted) | SelectItem::ExprWithAlias { expr: counted, .. }) =
        select.projection.first_mut()
    else {
        return Err(SqlError::internal("a query of ours"));
    };
    let filter = match &function.filter {
        Some(filter) => filter.as_ref().clone(),
        None => Expr::Value(Value::Boolean(true).with_empty_span()),
    };
    let nested = |expr: Expr| Expr::Nested(Box::new(expr));
    let parts = [nested(key.expr.clone()), nested(value), nested(filter)];
    let _ = VisitMut::visit(counted, &mut Fill(&parts));
    Ok(nested(counted.clone()))
}

fn only_argument(function: &Function) -> Option<Expr> {
    let FunctionArguments::List(list) = &function.args else { return None };
    match list.args.as_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(value))] => Some(value.clone()),
        _ => None,
    }
}

/// Puts the parts in the place of the parameters that number them.
struct Fill<'a>(&'a [Expr; 3]);

impl VisitorMut for Fill<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let number = match &*expr {
            Expr::Value(value) => match &value.value {
                Value::Placeholder(name) => name.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok()),
                _ => None,
            },
            _ => None,
        };
        if let Some(part) = number.and_then(|number| self.0.get(number.checked_sub(1)?)) {
            *expr = part.clone();
        }
        ControlFlow::Continue(())
    }
}
