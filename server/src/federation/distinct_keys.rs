//! `SELECT DISTINCT … ORDER BY`: an expression that orders has to be in the select list; and `DISTINCT ON`, whose keys
//! order first, in whichever order they are written.

use std::ops::ControlFlow;

use atoll_connector_api::types::PgType;
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Distinct, Expr, Ident, ObjectName, OrderByExpr, OrderByKind, Query, SelectItem, SetExpr,
    Spanned, Value, VisitMut, VisitorMut,
};

use super::naming::folded;
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
        let SetExpr::Select(select) = query.body.as_mut() else { return ControlFlow::Continue(()) };
        let Some(OrderByKind::Expressions(keys)) = query.order_by.as_mut().map(|order| &mut order.kind) else {
            return ControlFlow::Continue(());
        };
        if let Some(Distinct::On(first)) = &mut select.distinct {
            order_first_keys(first, keys, &select.projection);
        }
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

/// Puts the keys of DISTINCT ON in the order in which ORDER BY names them, and in its words: DataFusion compares one with the
/// other, and PostgreSQL takes them for a set.
fn order_first_keys(first: &mut Vec<Expr>, keys: &mut [OrderByExpr], items: &[SelectItem]) {
    let mut wanted: Vec<(String, Expr)> = Vec::with_capacity(first.len());
    for expr in first.iter().map(|key| meant(key, items)) {
        let text = plain(&expr);
        if wanted.iter().all(|(known, _)| *known != text) {
            wanted.push((text, expr));
        }
    }
    let mut ordered: Vec<Expr> = Vec::with_capacity(wanted.len());
    for key in keys {
        let text = plain(&meant(&key.expr, items));
        if wanted.is_empty() {
            break;
        }
        match wanted.iter().position(|(known, _)| *known == text) {
            Some(index) => {
                let (_, expr) = wanted.remove(index);
                key.expr.clone_from(&expr);
                ordered.push(expr);
            }
            // The same key again; and anything else is refused later.
            None if ordered.iter().any(|expr| plain(expr) == text) => {}
            None => return,
        }
    }
    ordered.extend(wanted.into_iter().map(|(_, expr)| expr));
    *first = ordered;
}

/// What a key stands for: an item of the select list by its number, or by its name.
fn meant(key: &Expr, items: &[SelectItem]) -> Expr {
    let shown = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr.clone()),
        _ => None,
    };
    let item = match key {
        Expr::Nested(inner) => return meant(inner, items),
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => {
                let place = digits.to_string().parse::<usize>().ok().and_then(|place| place.checked_sub(1));
                // A star before it has columns that nobody has counted yet.
                place.and_then(|place| items.get(..=place)).and_then(|items| {
                    let shown: Option<Vec<Expr>> = items.iter().map(shown).collect();
                    shown?.pop()
                })
            }
            _ => None,
        },
        Expr::Identifier(name) => items.iter().find_map(|item| match item {
            SelectItem::ExprWithAlias { expr, alias } if folded(alias) == folded(name) => Some(expr.clone()),
            _ => None,
        }),
        _ => None,
    };
    item.unwrap_or_else(|| key.clone())
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
                Expr::Cast { kind, data_type, .. } => {
                    *kind = CastKind::Cast;
                    // `int` and `int4` are one type.
                    if let Some(own) = PgType::parse_name(&data_type.to_string()) {
                        *data_type = DataType::Custom(ObjectName::from(vec![Ident::new(own.sql_name())]), Vec::new());
                    }
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
