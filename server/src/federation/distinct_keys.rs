//! `SELECT DISTINCT … ORDER BY`: an expression that orders has to be in the select list.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, Distinct, Expr, OrderByKind, Query, SelectItem, SetExpr, Spanned, Value, VisitMut, VisitorMut,
};

use super::relations::position;
use crate::error::{SqlError, SqlResult, SqlState};

/// Puts positions in the place of the keys that are in the select list, and refuses those of which a row of the result may
/// have several values.
///
/// # Errors
/// `42P10`.
pub(super) fn distinct_positions(query: &mut Query, text: &str) -> SqlResult<()> {
    match VisitMut::visit(query, &mut Keys(text)) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Keys<'a>(&'a str);

impl VisitorMut for Keys<'_> {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        let SetExpr::Select(select) = query.body.as_ref() else { return ControlFlow::Continue(()) };
        let Some(OrderByKind::Expressions(keys)) = query.order_by.as_mut().map(|order| &mut order.kind) else {
            return ControlFlow::Continue(());
        };
        if !matches!(select.distinct, Some(Distinct::Distinct)) {
            return ControlFlow::Continue(());
        }
        let item = |item: &SelectItem| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(plain(expr)),
            _ => None,
        };
        let items: Vec<Option<String>> = select.projection.iter().map(item).collect();
        for key in keys.iter_mut().map(|key| &mut key.expr).filter(|key| is_computed(key)) {
            let wanted = plain(key);
            let Some(place) = items.iter().position(|item| item.as_ref() == Some(&wanted)) else {
                let start = key.span().start;
                let message = "for SELECT DISTINCT, ORDER BY expressions must appear in select list";
                let error = SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message);
                return ControlFlow::Break(error.at(position(self.0, (start.line, start.column))));
            };
            // Behind a star nobody knows the position.
            if items.iter().take(place).all(Option::is_some) {
                *key = Expr::Value(Value::Number((place + 1).to_string(), false).with_empty_span());
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
