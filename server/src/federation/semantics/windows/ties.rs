//! `FETCH FIRST n ROWS WITH TIES`: the rows whose rank is n or less, behind those that OFFSET skips.

use std::mem;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, LimitClause, NamedWindowDefinition, NamedWindowExpr, OrderByExpr, OrderByKind, Query, SelectItem,
    SetExpr, TableFactor, Value, WildcardAdditionalOptions, WindowSpec,
};

use crate::error::{SqlError, SqlResult};
use crate::federation::naming::{folded, name_of};
use crate::federation::semantics::rewrite::parsed;

/// The window's name.
const WINDOW: &str = "ties";

/// Wraps a query that ends so in one that keeps the rows by their rank.
///
/// # Errors
/// `42601` without ORDER BY; `0A000` for an order by what is no column of the result.
pub(super) fn rewrite(query: &mut Query) -> SqlResult<()> {
    let Some(fetch) = query.fetch.take() else { return Ok(()) };
    let order = match query.order_by.as_mut().map(|order| &mut order.kind) {
        Some(OrderByKind::Expressions(order)) if !order.is_empty() => order,
        _ => return Err(SqlError::syntax("WITH TIES cannot be specified without ORDER BY clause")),
    };
    let constant = |expr: Option<&Expr>, default: u64| match expr {
        None => Ok(default),
        Some(Expr::Value(value)) => match &value.value {
            Value::Number(digits, _) => digits.to_string().parse::<u64>().map_err(|_| unsupported_count()),
            _ => Err(unsupported_count()),
        },
        Some(_) => Err(unsupported_count()),
    };
    let skipped = match &query.limit_clause {
        None => 0,
        Some(LimitClause::LimitOffset { limit: None, offset: Some(offset), .. }) => constant(Some(&offset.value), 0)?,
        Some(LimitClause::LimitOffset { limit: None, offset: None, .. }) => 0,
        Some(_) => return Err(SqlError::syntax("multiple LIMIT clauses not allowed")),
    };
    let count = constant(fetch.quantity.as_ref(), 1)?;
    for item in order.iter_mut() {
        item.expr = output(&item.expr, &query.body)?;
    }
    // Of no rows none is the last, which others could tie with.
    let last = if count == 0 { 0 } else { skipped.saturating_add(count) };
    let text = format!(
        "SELECT row_number() OVER {WINDOW} > {skipped} AND rank() OVER {WINDOW} <= {last} FROM (SELECT 1) AS fetched"
    );
    let mut outer = parsed(&text)?;
    if let SetExpr::Select(select) = outer.body.as_mut() {
        let everything = SelectItem::Wildcard(WildcardAdditionalOptions::default());
        if let Some(SelectItem::UnnamedExpr(condition)) = mem::replace(&mut select.projection, vec![everything]).pop() {
            select.qualify = Some(condition);
        }
        select.named_window = vec![window(order.clone())];
        if let Some(TableFactor::Derived { subquery, .. }) = select.from.first_mut().map(|item| &mut item.relation) {
            mem::swap(&mut subquery.body, &mut query.body);
        }
    }
    query.body = outer.body;
    query.limit_clause = None;
    Ok(())
}

fn unsupported_count() -> SqlError {
    SqlError::unsupported("FETCH … WITH TIES of a number of rows that is no constant is not supported")
}

fn window(order_by: Vec<OrderByExpr>) -> NamedWindowDefinition {
    let spec = WindowSpec { window_name: None, partition_by: Vec::new(), order_by, window_frame: None };
    NamedWindowDefinition(Ident::new(WINDOW), NamedWindowExpr::WindowSpec(spec))
}

/// An item of ORDER BY as the name of the result's column that it is.
fn output(item: &Expr, body: &SetExpr) -> SqlResult<Expr> {
    let unsupported = || {
        SqlError::unsupported("FETCH … WITH TIES ordered by what is no column of the result is not supported")
            .hint("Select what the rows are ordered by, under a name of its own.")
    };
    let quoted = |name: &str| Expr::Identifier(Ident::with_quote('"', name));
    let items = match leftmost(body) {
        SetExpr::Select(select) => select.projection.as_slice(),
        _ => &[],
    };
    let named = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) => Some((name_of(expr), expr.clone())),
        SelectItem::ExprWithAlias { expr, alias } => Some((folded(alias), expr.clone())),
        _ => None,
    };
    if let Expr::Value(value) = item {
        let Value::Number(digits, _) = &value.value else { return Err(unsupported()) };
        let place = digits.to_string().parse::<usize>().ok().and_then(|place| place.checked_sub(1));
        let before = place.and_then(|place| items.get(..=place)).ok_or_else(unsupported)?;
        // A star before it has columns that nobody has counted yet.
        let names = before.iter().map(named).collect::<Option<Vec<_>>>().ok_or_else(unsupported)?;
        return names.last().map(|(name, _)| quoted(name)).ok_or_else(unsupported);
    }
    let names: Vec<(String, Expr)> = items.iter().filter_map(named).collect();
    if let Expr::Identifier(ident) = item {
        let own = folded(ident);
        let starred = items.iter().any(|item| named(item).is_none());
        let is_set_operation = !matches!(body, SetExpr::Select(_));
        if starred || is_set_operation || names.iter().any(|(name, _)| *name == own) {
            return Ok(quoted(&own));
        }
    }
    names.iter().find(|(_, expr)| expr == item).map(|(name, _)| quoted(name)).ok_or_else(unsupported)
}

fn leftmost(body: &SetExpr) -> &SetExpr {
    match body {
        SetExpr::SetOperation { left, .. } => leftmost(left),
        SetExpr::Query(query) => leftmost(&query.body),
        body => body,
    }
}
