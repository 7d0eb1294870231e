//! `SELECT DISTINCT … ORDER BY`: an expression that orders has to be in the select list.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, Distinct, Expr, OrderByKind, Query, SelectItem, SetExpr, Spanned, Value, Visit, VisitMut, Visitor,
    VisitorMut,
};

use super::locate::Statement;
use super::relations::position;
use crate::error::{SqlError, SqlResult, SqlState};

/// Refuses keys of which a row of the result may have several values.
///
/// # Errors
/// `42P10`.
pub(super) fn check_distinct_keys(statement: Statement<'_>) -> SqlResult<()> {
    match statement.query.visit(&mut Keys(statement.text)) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Keys<'a>(&'a str);

impl Visitor for Keys<'_> {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<SqlError> {
        let SetExpr::Select(select) = query.body.as_ref() else { return ControlFlow::Continue(()) };
        let Some(OrderByKind::Expressions(keys)) = query.order_by.as_ref().map(|order| &order.kind) else {
            return ControlFlow::Continue(());
        };
        if !matches!(select.distinct, Some(Distinct::Distinct)) {
            return ControlFlow::Continue(());
        }
        let items: Vec<String> = select
            .projection
            .iter()
            .filter_map(|item| match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(plain(expr)),
                _ => None,
            })
            .collect();
        for key in keys.iter().map(|key| &key.expr).filter(|key| is_computed(key)) {
            if !items.contains(&plain(key)) {
                let start = key.span().start;
                let message = "for SELECT DISTINCT, ORDER BY expressions must appear in select list";
                let error = SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message);
                return ControlFlow::Break(error.at(position(self.0, (start.line, start.column))));
            }
        }
        ControlFlow::Continue(())
    }
}

/// Columns, positions and parameters are another's business.
fn is_computed(key: &Expr) -> bool {
    match key {
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => is_computed(inner),
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => false,
        Expr::Value(value) => !matches!(value.value, Value::Number(..) | Value::Placeholder(_)),
        _ => true,
    }
}

/// An expression's text without what two ways to write it may differ in: qualifiers, parentheses, casts, case.
fn plain(expr: &Expr) -> String {
    struct Plain;
    impl VisitorMut for Plain {
        type Break = ();

        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            let simpler = match expr {
                Expr::CompoundIdentifier(parts) => parts.pop().map(Expr::Identifier),
                Expr::Nested(inner) => Some(inner.as_ref().clone()),
                Expr::Cast { kind, .. } => {
                    *kind = CastKind::Cast;
                    None
                }
                _ => None,
            };
            if let Some(simpler) = simpler {
                *expr = simpler;
            }
            ControlFlow::Continue(())
        }
    }
    let mut expr = expr.clone();
    let _ = VisitMut::visit(&mut expr, &mut Plain);
    expr.to_string().to_lowercase()
}
