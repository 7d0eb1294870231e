//! `ORDER BY` behind `UNION`, `INTERSECT` and `EXCEPT`, which knows the result's columns alone.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, OrderByKind, Query, SelectItem, SetExpr, Value, Visit, Visitor};

use super::candidates::each_query;
use super::expressions::{item_expr, start_of};
use super::source::Source;
use super::{Statement, folded};
use crate::error::{SqlError, SqlResult};
use crate::federation::naming::name_of;

/// Refuses keys that are expressions: DataFusion would compute them.
///
/// # Errors
/// `0A000`, as PostgreSQL.
pub(in crate::federation) fn check_set_order(statement: Statement<'_>) -> SqlResult<()> {
    let mut wrong: Option<Expr> = None;
    each_query(statement.query, &mut |query| {
        let Some(OrderByKind::Expressions(keys)) = query.order_by.as_ref().map(|order| &order.kind) else { return };
        let Some(items) = operation(query) else { return };
        let key = keys.iter().map(|key| &key.expr).find(|key| is_expression(key, items));
        wrong = wrong.take().or_else(|| key.cloned());
    });
    let Some(key) = wrong else { return Ok(()) };
    let source = Source::of(statement.text, statement.query, statement.columns);
    Err(SqlError::unsupported("invalid UNION/INTERSECT/EXCEPT ORDER BY clause")
        .detail("Only result column names can be used, not expressions or functions.")
        .hint("Add the expression/function to every SELECT, or move the UNION into a FROM clause.")
        .at(start_of(&key, &source)))
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

/// Whether a key is none of the result's names, and names nothing else: that is said first.
fn is_expression(key: &Expr, items: &[SelectItem]) -> bool {
    match key {
        Expr::Nested(inner) => is_expression(inner, items),
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Subquery(_) => false,
        Expr::Value(value) => matches!(value.value, Value::Boolean(_)),
        key => names_only(key, items),
    }
}

fn names_only(key: &Expr, items: &[SelectItem]) -> bool {
    struct Names<'a>(&'a dyn Fn(&str) -> bool);
    impl Visitor for Names<'_> {
        type Break = ();

        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            ControlFlow::Break(())
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Identifier(name) if !(self.0)(&folded(name)) => ControlFlow::Break(()),
                Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    let shown = |name: &str| {
        items.iter().any(|item| match item {
            SelectItem::ExprWithAlias { alias, .. } => folded(alias) == name,
            item => item_expr(item).is_none_or(|expr| name_of(expr) == name),
        })
    };
    key.visit(&mut Names(&shown)).is_continue()
}
