//! What PostgreSQL's `checkWellFormedRecursion` (parse_cte.c) refuses of `WITH RECURSIVE`. DataFusion would say that the
//! query is no relation, or go on without end.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Cte, Expr, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, OrderByKind, Query, Select, SetExpr,
    SetOperator, SetQuantifier, TableFactor, TableWithJoins, Visit, Visitor, With,
};

use super::expressions::start_of;
use super::source::{Source, of_ident};
use super::{Statement, folded, is_aggregate_call};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::statement::tree::{constraint, find_own};

/// Refuses queries that refer to themselves in another way than the second part of a UNION may.
///
/// # Errors
/// `42P19`, `0A000`.
pub(in crate::federation) fn check_recursion(statement: Statement<'_>) -> SqlResult<()> {
    match statement.query.visit(&mut Checked(statement)) {
        ControlFlow::Break(error) => Err(*error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Checked<'a>(Statement<'a>);

impl Visitor for Checked<'_> {
    type Break = Box<SqlError>;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Box<SqlError>> {
        let Some(with) = query.with.as_ref().filter(|with| with.recursive) else { return ControlFlow::Continue(()) };
        let checked = check_order(with).and_then(|()| {
            with.cte_tables.iter().filter(|cte| refers(&cte.query, &folded(&cte.alias.name))).try_for_each(|cte| {
                let own = Own { name: folded(&cte.alias.name), statement: self.0 };
                own.check(cte)
            })
        });
        match checked {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(Box::new(error)),
        }
    }
}

/// Whether a relation is called by a name alone.
fn is_named(relation: &ObjectName, name: &str) -> bool {
    matches!(relation.0.as_slice(), [ObjectNamePart::Identifier(ident)] if folded(ident) == name)
}

/// Whether a query of its own hides the name in it.
fn hides(query: &Query, name: &str) -> bool {
    query.with.iter().flat_map(|with| &with.cte_tables).any(|cte| folded(&cte.alias.name) == name)
}

/// Calls `found` with the references to a name in a part of a query, until it breaks.
fn references<T>(part: &impl Visit, name: &str, found: impl FnMut(&ObjectName) -> ControlFlow<T>) -> Option<T> {
    struct References<'a, F> {
        name: &'a str,
        hidden: usize,
        found: F,
    }
    impl<T, F: FnMut(&ObjectName) -> ControlFlow<T>> Visitor for References<'_, F> {
        type Break = T;

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<T> {
            self.hidden += usize::from(hides(query, self.name));
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, query: &Query) -> ControlFlow<T> {
            self.hidden -= usize::from(hides(query, self.name));
            ControlFlow::Continue(())
        }

        fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<T> {
            if self.hidden == 0 && is_named(relation, self.name) {
                return (self.found)(relation);
            }
            ControlFlow::Continue(())
        }
    }
    part.visit(&mut References { name, hidden: 0, found }).break_value()
}

fn refers(part: &impl Visit, name: &str) -> bool {
    references(part, name, |_| ControlFlow::Break(())).is_some()
}

/// Refuses queries of one WITH that refer to each other in a circle.
fn check_order(with: &With) -> SqlResult<()> {
    let names: Vec<String> = with.cte_tables.iter().map(|cte| folded(&cte.alias.name)).collect();
    let mut open: Vec<(&Cte, &String, BTreeSet<&String>)> = with
        .cte_tables
        .iter()
        .zip(&names)
        .map(|(cte, own)| {
            let others = names.iter().filter(|name| *name != own && refers(&cte.query, name)).collect();
            (cte, own, others)
        })
        .collect();
    while let Some((first, ..)) = open.first() {
        let Some(ready) = open.iter().position(|(.., others)| others.is_empty()) else {
            let message = "mutual recursion between WITH items is not implemented";
            return Err(SqlError::unsupported(message).at(of_ident(&first.alias.name)));
        };
        let (_, name, _) = open.remove(ready);
        open.iter_mut().for_each(|(.., others)| {
            others.remove(name);
        });
    }
    Ok(())
}

/// Where a reference stands.
#[derive(Clone, Copy)]
enum Place {
    Allowed,
    NonRecursiveTerm,
    Subquery,
    OuterJoin,
    Intersect,
    Except,
}

impl Place {
    const fn refusal(self) -> Option<&'static str> {
        Some(match self {
            Self::Allowed => return None,
            Self::NonRecursiveTerm => "its non-recursive term",
            Self::Subquery => "a subquery",
            Self::OuterJoin => "an outer join",
            Self::Intersect => "INTERSECT",
            Self::Except => "EXCEPT",
        })
    }
}

/// A query that refers to itself.
struct Own<'a> {
    name: String,
    statement: Statement<'a>,
}

impl Own<'_> {
    fn invalid(&self, what: &str, reference: &ObjectName) -> SqlError {
        let message = format!("recursive reference to query \"{}\" must not appear {what}", self.name);
        let position = reference.0.first().and_then(ObjectNamePart::as_ident).and_then(of_ident);
        SqlError::new(SqlState::INVALID_RECURSION, message).at(position)
    }

    fn check(&self, cte: &Cte) -> SqlResult<()> {
        let SetExpr::SetOperation { op: SetOperator::Union, left, right, .. } = cte.query.body.as_ref() else {
            let message = format!(
                "recursive query \"{}\" does not have the form non-recursive-term UNION [ALL] recursive-term",
                self.name
            );
            return Err(SqlError::new(SqlState::INVALID_RECURSION, message).at(of_ident(&cte.alias.name)));
        };
        let mut count = 0;
        self.body(left, Place::NonRecursiveTerm, &mut count)?;
        self.body(right, Place::Allowed, &mut count)?;
        self.decoration(&cte.query)
    }

    /// What applies to the union as a whole, of which nobody knows the end.
    fn decoration(&self, query: &Query) -> SqlResult<()> {
        use datafusion::sql::sqlparser::ast::LimitClause;
        let source = Source::of(self.statement.text, self.statement.query, self.statement.columns);
        let refuse = |clause: &str, expr: Option<&Expr>| {
            let position = expr.and_then(|expr| start_of(expr, &source));
            Err(SqlError::unsupported(format!("{clause} in a recursive query is not implemented")).at(position))
        };
        if let Some(order) = &query.order_by {
            let first = match &order.kind {
                OrderByKind::Expressions(keys) => keys.first().map(|key| &key.expr),
                OrderByKind::All(_) => None,
            };
            return refuse("ORDER BY", first);
        }
        if let Some(LimitClause::LimitOffset { limit, offset, .. }) = &query.limit_clause {
            if let Some(offset) = offset {
                return refuse("OFFSET", Some(&offset.value));
            }
            return refuse("LIMIT", limit.as_ref());
        }
        if let Some(fetch) = &query.fetch {
            return refuse("LIMIT", fetch.quantity.as_ref());
        }
        if query.locks.is_empty() { Ok(()) } else { refuse("FOR UPDATE/SHARE", None) }
    }

    fn query(&self, query: &Query, place: Place, count: &mut usize) -> SqlResult<()> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.query(&cte.query, place, count)?;
        }
        if hides(query, &self.name) {
            return Ok(());
        }
        self.body(&query.body, place, count)?;
        self.expressions(&query.order_by, count)?;
        self.expressions(&query.limit_clause, count)
    }

    fn body(&self, body: &SetExpr, place: Place, count: &mut usize) -> SqlResult<()> {
        match body {
            SetExpr::Select(select) => self.select(select, place, count),
            SetExpr::Query(query) => self.query(query, place, count),
            SetExpr::SetOperation { op, set_quantifier, left, right } => {
                let is_all = matches!(set_quantifier, SetQuantifier::All);
                let (one, other) = match op {
                    SetOperator::Intersect if is_all => (Place::Intersect, Place::Intersect),
                    SetOperator::Except | SetOperator::Minus if is_all => (Place::Except, Place::Except),
                    SetOperator::Except | SetOperator::Minus => (place, Place::Except),
                    _ => (place, place),
                };
                self.body(left, one, count)?;
                self.body(right, other, count)
            }
            body => self.expressions(body, count),
        }
    }

    fn select(&self, select: &Select, place: Place, count: &mut usize) -> SqlResult<()> {
        let before = *count;
        for from in &select.from {
            self.joined(from, place, count)?;
        }
        self.expressions(&select.projection, count)?;
        self.expressions(&select.selection, count)?;
        self.expressions(&select.group_by, count)?;
        self.expressions(&select.having, count)?;
        let reads_itself = *count > before
            && select.from.iter().any(|from| factors(from).iter().any(|factor| self.is_reference(factor)));
        if !reads_itself {
            return Ok(());
        }
        let look = |expr: &Expr| match expr {
            Expr::Function(call) if is_aggregate_call(call, self.statement.is_aggregate) => {
                ControlFlow::Break(call.name.0.first().and_then(ObjectNamePart::as_ident).and_then(of_ident))
            }
            _ => ControlFlow::Continue(()),
        };
        match find_own(&select.projection, look).or_else(|| find_own(&select.having, look)) {
            None => Ok(()),
            Some(position) => {
                let message = "aggregate functions are not allowed in a recursive query's recursive term";
                Err(SqlError::new(SqlState::INVALID_RECURSION, message).at(position))
            }
        }
    }

    fn is_reference(&self, factor: &TableFactor) -> bool {
        matches!(factor, TableFactor::Table { name, args: None, .. } if is_named(name, &self.name))
    }

    fn joined(&self, from: &TableWithJoins, place: Place, count: &mut usize) -> SqlResult<()> {
        // The joins are nested to the left: each one is around all that stands before it.
        let fills_left = |join: &JoinOperator| {
            matches!(join, JoinOperator::Right(_) | JoinOperator::RightOuter(_) | JoinOperator::FullOuter(_))
        };
        let fills_right = |join: &JoinOperator| {
            matches!(join, JoinOperator::Left(_) | JoinOperator::LeftOuter(_) | JoinOperator::FullOuter(_))
        };
        let of = |is_outer: bool| if is_outer { Place::OuterJoin } else { place };
        self.factor(&from.relation, of(from.joins.iter().any(|join| fills_left(&join.join_operator))), count)?;
        for (index, join) in from.joins.iter().enumerate() {
            let later = from.joins.iter().skip(index + 1).any(|join| fills_left(&join.join_operator));
            self.factor(&join.relation, of(later || fills_right(&join.join_operator)), count)?;
            if let Some(JoinConstraint::On(on)) = constraint(&join.join_operator) {
                self.expressions(on, count)?;
            }
        }
        Ok(())
    }

    fn factor(&self, factor: &TableFactor, place: Place, count: &mut usize) -> SqlResult<()> {
        match factor {
            TableFactor::Table { name, .. } if self.is_reference(factor) => self.reference(name, place, count),
            TableFactor::Derived { subquery, .. } => self.query(subquery, place, count),
            TableFactor::NestedJoin { table_with_joins, .. } => self.joined(table_with_joins, place, count),
            factor => self.expressions(factor, count),
        }
    }

    fn reference(&self, name: &ObjectName, place: Place, count: &mut usize) -> SqlResult<()> {
        if let Some(where_) = place.refusal() {
            return Err(self.invalid(&format!("within {where_}"), name));
        }
        *count += 1;
        if *count > 1 { Err(self.invalid("more than once", name)) } else { Ok(()) }
    }

    /// The subqueries of expressions.
    fn expressions(&self, part: &impl Visit, count: &mut usize) -> SqlResult<()> {
        let refused = references(part, &self.name, |name| match self.reference(name, Place::Subquery, count) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(Box::new(error)),
        });
        refused.map_or(Ok(()), |error| Err(*error))
    }
}

fn factors(from: &TableWithJoins) -> Vec<&TableFactor> {
    std::iter::once(&from.relation)
        .chain(from.joins.iter().map(|join| &join.relation))
        .flat_map(|factor| match factor {
            TableFactor::NestedJoin { table_with_joins, .. } => factors(table_with_joins),
            factor => vec![factor],
        })
        .collect()
}
