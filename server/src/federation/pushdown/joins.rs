//! Joins of two queries of one source.

use std::sync::Arc;

use atoll_connector_api::subplan::{From, Query, Scalar, predicate};
use datafusion::common::{Column, JoinType, NullEquality};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, Join, Operator};

use super::grow::{Grower, Grown};
use super::scalars::{key_argument, operand, scalar};

impl Grower {
    /// A join of two queries, if all of its conditions can go. Without an equality between the two it stays: the pairs of
    /// rows may be many more than the rows.
    pub(super) fn join(&mut self, join: &Join, left: &Grown, right: &Grown) -> Option<Grown> {
        let plain = join.null_equality == NullEquality::NullEqualsNothing && !join.null_aware;
        if !plain || join.on.is_empty() || !left.is_of_source_of(right) {
            return None;
        }
        let (mut left, mut right) = (self.open(left), self.open(right));
        // What is computed of a side that has no match is NULL, whatever the computation would make of NULLs.
        match join.join_type {
            JoinType::Left => right = self.columns(right),
            JoinType::Right => left = self.columns(left),
            _ => {}
        }
        let on = conditions(join, &left, &right)?;
        match join.join_type {
            JoinType::Inner => Some(inner(left, right, on)),
            JoinType::Left => Some(self.outer(left, right, on, false)),
            JoinType::Right => Some(self.outer(right, left, on, true)),
            JoinType::LeftSemi => Some(exists(left, right, on, false)),
            JoinType::LeftAnti => Some(exists(left, right, on, true)),
            JoinType::RightSemi => Some(exists(right, left, on, false)),
            JoinType::RightAnti => Some(exists(right, left, on, true)),
            JoinType::Full | JoinType::LeftMark | JoinType::RightMark => None,
        }
    }

    /// Every row of one side, with the matching rows of the other, if there are any. Conditions of the other side are
    /// conditions of a match; those of the kept side are asked after it, when they find what they would have found before.
    fn outer(&mut self, kept: Grown, other: Grown, mut on: Vec<Scalar>, swapped: bool) -> Grown {
        let Grown { query: kept_query, .. } = kept.clone();
        let Grown { query: other_query, relation: _, tables, rows, worthwhile: _ } = other;
        on.extend(other_query.filter);
        let outputs = if swapped {
            [other_query.outputs, kept_query.outputs.clone()].concat()
        } else {
            [kept_query.outputs.clone(), other_query.outputs].concat()
        };
        let from = From::Join { left: Box::new(kept_query.from), right: Box::new(other_query.from), outer: true, on };
        Grown {
            query: Query { filter: kept_query.filter, ..Query::over(from, outputs) },
            tables: kept.tables.into_iter().chain(tables).collect(),
            worthwhile: true,
            rows: larger(kept.rows, rows),
            relation: kept.relation,
        }
    }
}

fn inner(left: Grown, right: Grown, on: Vec<Scalar>) -> Grown {
    let outputs = [left.query.outputs, right.query.outputs].concat();
    let from = From::Join { left: Box::new(left.query.from), right: Box::new(right.query.from), outer: false, on };
    Grown {
        query: Query { filter: [left.query.filter, right.query.filter].concat(), ..Query::over(from, outputs) },
        relation: left.relation,
        tables: left.tables.into_iter().chain(right.tables).collect(),
        worthwhile: true,
        rows: larger(left.rows, right.rows),
    }
}

/// The rows of one side that have a match in the other, or none.
fn exists(mut kept: Grown, other: Grown, on: Vec<Scalar>, negated: bool) -> Grown {
    let filter = [other.query.filter, on].concat();
    let query = Query { filter, outputs: Vec::new(), ..other.query };
    kept.query.filter.push(Scalar::Exists(Box::new(query), negated));
    kept.tables.extend(other.tables);
    kept.worthwhile = true;
    kept
}

fn larger(left: Option<usize>, right: Option<usize>) -> Option<usize> {
    Some(left?.max(right?))
}

/// What two keys are made of. Values are equal where their keys are, which is what the keys are for.
fn unkeyed<'a>(left: &'a Expr, right: &'a Expr) -> (&'a Expr, &'a Expr) {
    match (key_argument(left), key_argument(right)) {
        (Some((one, inner)), Some((other, outer))) if one == other => (inner, outer),
        _ => (left, right),
    }
}

fn conditions(join: &Join, left: &Grown, right: &Grown) -> Option<Vec<Scalar>> {
    let schemas = (join.left.schema(), join.right.schema());
    let of_left = |column: &Column| left.resolve(schemas.0, column);
    let of_right = |column: &Column| right.resolve(schemas.1, column);
    // A name that both sides know is nobody's.
    let of_both = |column: &Column| match (of_left(column), of_right(column)) {
        (Some(found), None) | (None, Some(found)) => Some(found),
        _ => None,
    };
    let mut conditions = Vec::with_capacity(join.on.len());
    for (left, right) in &join.on {
        let (left, right) = unkeyed(left, right);
        let sides = (operand(left, &of_left)?, operand(right, &of_right)?);
        if !matches!(sides, (Scalar::Column(_), Scalar::Column(_))) {
            return None;
        }
        conditions.push(Scalar::Compare(Operator::Eq, Box::new(sides.0), Box::new(sides.1)));
    }
    let filters: Vec<&Expr> = join.filter.as_ref().map(split_conjunction).unwrap_or_default();
    for filter in filters {
        conditions.push(scalar(filter, &of_both)?);
    }
    let dialect = Arc::clone(&left.relation);
    conditions.iter().all(|condition| predicate(dialect.dialect(), condition)).then_some(conditions)
}
