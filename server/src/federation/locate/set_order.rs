//! `ORDER BY` behind `UNION`, `INTERSECT` and `EXCEPT`, which knows the result's columns alone.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, OrderByKind, Query, SelectItem, SetExpr, Value};

use super::candidates::each_query;
use super::expressions::{item_expr, start_of};
use super::source::{Source, of_ident};
use super::{Statement, folded};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::federation::naming::name_of;
use crate::statement::tree::find_own;
use crate::wire::sqlstate::with_near_names;

/// Refuses keys that are expressions, which DataFusion would compute, and names that are none of the result's.
///
/// # Errors
/// `0A000`, `42703` and `42P01`, as PostgreSQL.
pub(in crate::federation) fn check_set_order(statement: Statement<'_>) -> SqlResult<()> {
    let mut wrong: Option<SqlError> = None;
    each_query(statement.query, &mut |query| {
        let Some(OrderByKind::Expressions(keys)) = query.order_by.as_ref().map(|order| &order.kind) else { return };
        let Some(items) = operation(query) else { return };
        let mut errors = keys.iter().map(|key| check_key(&key.expr, items, statement));
        wrong = wrong.take().or_else(|| errors.find_map(Result::err));
    });
    wrong.map_or(Ok(()), Err)
}

/// The items of the first SELECT of a query that is a set operation, in parentheses or not.
fn operation(query: &Query) -> Option<&[SelectItem]> {
    match query.body.as_ref() {
        SetExpr::SetOperation { left, .. } => first_items(left),
        SetExpr::Query(inner) if inner.order_by.is_none() && inner.limit_clause.is_none() && inner.with.is_none() => {
            operation(inner)
        }
        _ => None,
    }
}

fn first_items(body: &SetExpr) -> Option<&[SelectItem]> {
    match body {
        SetExpr::Select(select) => Some(&select.projection),
        SetExpr::SetOperation { left, .. } => first_items(left),
        SetExpr::Query(query) => first_items(&query.body),
        _ => None,
    }
}

/// Refuses a key that is more than one of the result's names. What its names are is said first.
fn check_key(key: &Expr, items: &[SelectItem], statement: Statement<'_>) -> SqlResult<()> {
    match key {
        Expr::Nested(inner) => return check_key(inner, items, statement),
        Expr::Subquery(_) => return Ok(()),
        Expr::Value(value) if !matches!(value.value, Value::Boolean(_)) => return Ok(()),
        _ => {}
    }
    find_own(key, |expr| match check_name(expr, items) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    })
    .map_or(Ok(()), Err)?;
    if matches!(key, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
        return Ok(());
    }
    // The text is read again for an error only.
    let source = Source::of(statement.text, statement.query, statement.columns);
    Err(SqlError::unsupported("invalid UNION/INTERSECT/EXCEPT ORDER BY clause")
        .detail("Only result column names can be used, not expressions or functions.")
        .hint("Add the expression/function to every SELECT, or move the UNION into a FROM clause.")
        .at(start_of(key, &source)))
}

/// Refuses a name that the result has not.
fn check_name(expr: &Expr, items: &[SelectItem]) -> SqlResult<()> {
    match expr {
        Expr::Identifier(ident) => {
            let name = folded(ident);
            let Some(shown) = items.iter().map(shown_name).collect::<Option<Vec<String>>>() else { return Ok(()) };
            if shown.contains(&name) {
                return Ok(());
            }
            let error = SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist"));
            // PostgreSQL's name of the first part.
            let named = shown.iter().map(|shown| ("*SELECT* 1", shown.as_str()));
            Err(with_near_names(error, &name, named).at(of_ident(ident)))
        }
        Expr::CompoundIdentifier(parts) => {
            let [.., table, _] = parts.as_slice() else { return Ok(()) };
            let message = format!("missing FROM-clause entry for table \"{}\"", folded(table));
            Err(SqlError::new(SqlState::UNDEFINED_TABLE, message).at(parts.first().and_then(of_ident)))
        }
        _ => Ok(()),
    }
}

/// The name of a result's column; `None` for a star.
fn shown_name(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
        item => item_expr(item).map(name_of),
    }
}
