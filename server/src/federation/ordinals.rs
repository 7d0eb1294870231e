//! Constants in `ORDER BY`, `GROUP BY` and `DISTINCT ON`: whole numbers are positions, others are mistakes.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, GroupByExpr, OrderByKind, Query, Select, SetExpr, Spanned, UnaryOperator, Value, Visit, Visitor,
};

use super::locate::Statement;
use super::relations::position;
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

struct Ordinals<'a>(&'a str);

impl Ordinals<'_> {
    fn check(&self, expr: &Expr, clause: &str) -> ControlFlow<SqlError> {
        let problem = match constant(expr) {
            None => return ControlFlow::Continue(()),
            Some((negative, Value::Number(digits, _))) => match digits.to_string().parse::<i32>() {
                Ok(_) if !negative => return ControlFlow::Continue(()),
                Ok(digits) => SqlError::new(
                    SqlState::INVALID_COLUMN_REFERENCE,
                    format!("{clause} position -{digits} is not in select list"),
                ),
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
