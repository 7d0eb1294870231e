//! Aggregates where none may stand.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArgumentClause, FunctionArguments, GroupByExpr, JoinConstraint,
    LimitClause, Query, Select, SetExpr, Spanned, Visit, Visitor,
};

use super::expressions::arguments;
use super::source::of_ident;
use super::{Statement, folded, is_aggregate_call};
use crate::error::{SqlError, SqlState};
use crate::federation::relations::position;
use crate::statement::tree::constraint;

/// Refuses aggregates where DataFusion would take them for something else, in GROUP BY and in conditions of joins, and
/// those that are to be sorted by what DISTINCT drops.
///
/// # Errors
/// `42803`, `42P10`.
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

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<SqlError> {
        match expr {
            Expr::Function(call) => unsorted_distinct(call).map_or(ControlFlow::Continue(()), ControlFlow::Break),
            _ => ControlFlow::Continue(()),
        }
    }

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

/// `string_agg(DISTINCT a, ',' ORDER BY b)`: the rows that DISTINCT leaves have no `b`. Columns are looked at only.
fn unsorted_distinct(call: &Function) -> Option<SqlError> {
    let FunctionArguments::List(list) = &call.args else { return None };
    if list.duplicate_treatment != Some(DuplicateTreatment::Distinct) {
        return None;
    }
    let column = |expr: &Expr| match expr {
        Expr::Identifier(name) => Some(folded(name)),
        Expr::CompoundIdentifier(parts) => parts.last().map(folded),
        _ => None,
    };
    // A cast to the type that a column has is none.
    let bare = |mut expr: &'_ Expr| {
        while let Expr::Nested(inner) | Expr::Cast { expr: inner, .. } = expr {
            expr = inner;
        }
        column(expr)
    };
    let given: Vec<Option<String>> = arguments(call)?.into_iter().map(bare).collect();
    let keys = list.clauses.iter().filter_map(|clause| match clause {
        FunctionArgumentClause::OrderBy(keys) => Some(keys),
        _ => None,
    });
    let is_missing = |key: &&Expr| column(key).is_some_and(|key| !given.contains(&Some(key)));
    let missing = keys.flatten().map(|key| &key.expr).find(is_missing)?;
    let position = match missing {
        Expr::Identifier(name) => of_ident(name),
        Expr::CompoundIdentifier(parts) => parts.first().and_then(of_ident),
        _ => None,
    };
    let message = "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list";
    Some(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(position))
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
