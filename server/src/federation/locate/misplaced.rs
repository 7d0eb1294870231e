//! Aggregates where none may stand.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, JoinConstraint, LimitClause, Query, Select, SetExpr, Spanned, Visit, Visitor,
};

use super::{Statement, is_aggregate_call};
use crate::error::{SqlError, SqlState};
use crate::federation::relations::position;
use crate::statement::tree::constraint;

/// Refuses aggregates where DataFusion would take them for something else: in GROUP BY and in conditions of joins.
///
/// # Errors
/// `42803`.
pub(in crate::federation) fn check_aggregates(statement: Statement<'_>) -> Result<(), SqlError> {
    match statement.query.visit(&mut Misplaced(statement)) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Misplaced<'a>(Statement<'a>);

impl Misplaced<'_> {
    fn check(&self, expr: &Expr, place: &str) -> ControlFlow<SqlError> {
        let mut finder = OwnAggregate { is_aggregate: self.0.is_aggregate, queries: 0 };
        let ControlFlow::Break(start) = expr.visit(&mut finder) else { return ControlFlow::Continue(()) };
        let message = format!("aggregate functions are not allowed in {place}");
        ControlFlow::Break(SqlError::new(SqlState::GROUPING_ERROR, message).at(position(self.0.text, start)))
    }

    fn check_select(&self, select: &Select) -> ControlFlow<SqlError> {
        for join in select.from.iter().flat_map(|item| &item.joins) {
            if let Some(JoinConstraint::On(condition)) = constraint(&join.join_operator) {
                self.check(condition, "JOIN conditions")?;
            }
        }
        if let GroupByExpr::Expressions(expressions, _) = &select.group_by {
            for expr in expressions {
                self.check(expr, "GROUP BY")?;
            }
        }
        ControlFlow::Continue(())
    }
}

impl Visitor for Misplaced<'_> {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<SqlError> {
        if let SetExpr::Select(select) = query.body.as_ref() {
            self.check_select(select)?;
        }
        if let Some(LimitClause::LimitOffset { limit, offset, .. }) = &query.limit_clause {
            if let Some(offset) = offset {
                self.check(&offset.value, "OFFSET")?;
            }
            if let Some(limit) = limit {
                self.check(limit, "LIMIT")?;
            }
        }
        ControlFlow::Continue(())
    }
}

/// Finds an aggregate of an expression's own, none of a subquery's.
struct OwnAggregate<'a> {
    is_aggregate: &'a dyn Fn(&str) -> bool,
    queries: usize,
}

impl Visitor for OwnAggregate<'_> {
    type Break = (u64, u64);

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<(u64, u64)> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<(u64, u64)> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<(u64, u64)> {
        match expr {
            Expr::Function(call) if self.queries == 0 && is_aggregate_call(call, self.is_aggregate) => {
                let start = call.name.span().start;
                ControlFlow::Break((start.line, start.column))
            }
            _ => ControlFlow::Continue(()),
        }
    }
}
