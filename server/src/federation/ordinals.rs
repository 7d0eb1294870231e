//! Constants in `ORDER BY`, `GROUP BY` and `DISTINCT ON`: whole numbers are positions, others are mistakes.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, FunctionArgumentClause, FunctionArguments, GroupByExpr, OrderByExpr, OrderByKind, OrderByOptions,
    Query, Select, SelectItem, SetExpr, Spanned, UnaryOperator, Value, Visit, VisitMut, Visitor, VisitorMut,
    WindowType,
};

use super::locate::Statement;
use super::relations::position;
use super::semantics;
use crate::error::{SqlError, SqlResult, SqlState};

/// Refuses what DataFusion would take for a constant key.
///
/// # Errors
/// `42601`, `42P10`.
pub(super) fn check_ordinals(statement: Statement<'_>) -> SqlResult<()> {
    match statement.query.visit(&mut Ordinals(statement.text)) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Takes positions out of parentheses, and puts the column in the place of a position in `DISTINCT ON`: DataFusion takes
/// both for constants.
pub(super) fn plain_positions(query: &mut Query) {
    let _ = query.visit(&mut Plain);
}

struct Plain;

impl VisitorMut for Plain {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Expr::Function(function) = expr else { return ControlFlow::Continue(()) };
        if let Some(WindowType::WindowSpec(window)) = &mut function.over {
            fields_as_keys(&mut window.order_by);
        }
        if let FunctionArguments::List(list) = &mut function.args {
            for clause in &mut list.clauses {
                if let FunctionArgumentClause::OrderBy(keys) = clause {
                    fields_as_keys(keys);
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let Some(OrderByKind::Expressions(keys)) = query.order_by.as_mut().map(|order| &mut order.kind) {
            keys.iter_mut().for_each(|key| unwrap(&mut key.expr));
            fields_as_keys(keys);
        }
        plain_body(&mut query.body);
        ControlFlow::Continue(())
    }
}

fn plain_body(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => {
            if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
                keys.iter_mut().for_each(unwrap);
                // A key that is a row groups as its fields do, which may then be selected.
                let fields = |key: Expr| match key {
                    Expr::Tuple(fields) if !fields.is_empty() => fields,
                    key => vec![key],
                };
                *keys = std::mem::take(keys).into_iter().flat_map(fields).collect();
                *keys = distinct_keys(std::mem::take(keys), &select.projection);
            }
            let Some(Distinct::On(keys)) = &mut select.distinct else { return };
            for key in keys {
                let Some(item) = position_of(key).and_then(|place| select.projection.get(place)) else { continue };
                match item {
                    SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => key.clone_from(expr),
                    _ => {}
                }
            }
        }
        SetExpr::SetOperation { left, right, .. } => {
            plain_body(left);
            plain_body(right);
        }
        _ => {}
    }
}

/// Keys of GROUP BY without those that say the same again: DataFusion, which adds the columns that a key of a derived table
/// decides, then takes one of them for an aggregate.
fn distinct_keys(keys: Vec<Expr>, items: &[SelectItem]) -> Vec<Expr> {
    // Sets of keys count as often as they are written.
    if keys.iter().any(|key| matches!(key, Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_) | Expr::Tuple(_))) {
        return keys;
    }
    let meant = |key: &Expr| match position_of(key).and_then(|place| items.get(place)) {
        Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => expr.clone(),
        _ => key.clone(),
    };
    let mut kept: Vec<(Expr, Expr)> = Vec::with_capacity(keys.len());
    for key in keys {
        let expr = meant(&key);
        match kept.iter_mut().find(|(_, other)| are_same(other, &expr)) {
            None => kept.push((key, expr)),
            // A name alone may be ambiguous, which is found later.
            Some(other) if matches!(expr, Expr::Identifier(_)) => *other = (key, expr),
            Some(_) => {}
        }
    }
    kept.into_iter().map(|(key, _)| key).collect()
}

/// Whether two expressions are written alike, but for the relation of a column.
fn are_same(left: &Expr, right: &Expr) -> bool {
    let names = |expr: &Expr| match expr {
        Expr::Identifier(name) => Some(vec![name.clone()]),
        Expr::CompoundIdentifier(names) => Some(names.clone()),
        _ => None,
    };
    match (names(left), names(right)) {
        (Some(left), Some(right)) => left.ends_with(&right) || right.ends_with(&left),
        _ => left == right,
    }
}

/// A row that orders is its fields in turn, of which NULL is the greatest; the row itself is never NULL.
fn fields_as_keys(keys: &mut Vec<OrderByExpr>) {
    if !keys.iter().any(|key| semantics::row_fields(&key.expr).is_some()) {
        return;
    }
    *keys = std::mem::take(keys)
        .into_iter()
        .flat_map(|key| match semantics::row_fields(&key.expr) {
            Some(fields) => {
                let options = OrderByOptions { nulls_first: None, ..key.options };
                let key = |expr| OrderByExpr { expr, options, with_fill: None };
                let mut keys: Vec<OrderByExpr> = fields.into_iter().map(key).collect();
                fields_as_keys(&mut keys);
                keys
            }
            None => vec![key],
        })
        .collect();
}

fn unwrap(key: &mut Expr) {
    if let (Expr::Nested(_), Some((false, Value::Number(digits, long)))) = (&*key, constant(key)) {
        *key = Expr::Value(Value::Number(digits.clone(), *long).with_empty_span());
    }
}

/// The index of the column that a position means.
fn position_of(key: &Expr) -> Option<usize> {
    match constant(key) {
        Some((false, Value::Number(digits, _))) => digits.to_string().parse::<usize>().ok()?.checked_sub(1),
        _ => None,
    }
}

struct Ordinals<'a>(&'a str);

impl Ordinals<'_> {
    fn check(&self, expr: &Expr, clause: &str) -> ControlFlow<SqlError> {
        let problem = match constant(expr) {
            None => return ControlFlow::Continue(()),
            Some((negative, Value::Number(digits, _))) => match digits.to_string().parse::<i32>() {
                Ok(1..) if !negative => return ControlFlow::Continue(()),
                Ok(digits) => {
                    let sign = if negative { "-" } else { "" };
                    let message = format!("{clause} position {sign}{digits} is not in select list");
                    SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message)
                }
                Err(_) => SqlError::syntax(format!("non-integer constant in {clause}")),
            },
            // A parameter is no constant here.
            Some((_, Value::Placeholder(_))) => return ControlFlow::Continue(()),
            Some(_) => SqlError::syntax(format!("non-integer constant in {clause}")),
        };
        let start = expr.span().start;
        ControlFlow::Break(problem.at(position(self.0, (start.line, start.column))))
    }

    fn select(&self, select: &Select) -> ControlFlow<SqlError> {
        if let Some(Distinct::On(keys)) = &select.distinct {
            keys.iter().try_for_each(|key| self.check(key, "DISTINCT ON"))?;
            let is_expr =
                |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
            let beyond = |key: &&Expr| position_of(key).is_some_and(|place| place >= select.projection.len());
            if select.projection.iter().all(is_expr)
                && let Some(key) = keys.iter().find(beyond)
            {
                let number = position_of(key).map_or(0, |place| place + 1);
                let message = format!("DISTINCT ON position {number} is not in select list");
                let start = key.span().start;
                let error = SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message);
                return ControlFlow::Break(error.at(position(self.0, (start.line, start.column))));
            }
        }
        match &select.group_by {
            GroupByExpr::Expressions(keys, _) => keys.iter().try_for_each(|key| self.group(key)),
            GroupByExpr::All(_) => ControlFlow::Continue(()),
        }
    }

    fn group(&self, key: &Expr) -> ControlFlow<SqlError> {
        match key {
            Expr::GroupingSets(sets) | Expr::Cube(sets) | Expr::Rollup(sets) => {
                sets.iter().flatten().try_for_each(|key| self.group(key))
            }
            Expr::Tuple(keys) => keys.iter().try_for_each(|key| self.group(key)),
            key => self.check(key, "GROUP BY"),
        }
    }
}

/// A constant as it is written, with the sign before it.
fn constant(expr: &Expr) -> Option<(bool, &Value)> {
    match expr {
        Expr::Nested(inner) => constant(inner),
        Expr::Value(value) => Some((false, &value.value)),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => {
            let (negative, number) = constant(expr)?;
            matches!(number, Value::Number(..)).then_some((!negative, number))
        }
        _ => None,
    }
}

impl Visitor for Ordinals<'_> {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<SqlError> {
        if let Some(OrderByKind::Expressions(keys)) = query.order_by.as_ref().map(|order| &order.kind) {
            keys.iter().try_for_each(|key| self.check(&key.expr, "ORDER BY"))?;
        }
        self.body(&query.body)
    }
}

impl Ordinals<'_> {
    fn body(&self, body: &SetExpr) -> ControlFlow<SqlError> {
        match body {
            SetExpr::Select(select) => self.select(select),
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left)?;
                self.body(right)
            }
            _ => ControlFlow::Continue(()),
        }
    }
}
