//! Subqueries in the conditions of a join.
//!
//! One that reads a single side is computed there, as a column of that side, which is right for every kind of join. One
//! that reads both sides is a condition over the joined rows; of an outer join's rows each must then be left once.

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinType};
use datafusion::error::Result;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, Join, LogicalPlan, LogicalPlanBuilder, lit};

use super::chain::{MATCHED, has_subquery, is_subquery, outer_references_in};
use super::lateral::{join_conditions, one_at_least};
use super::spread::passing;
use super::{Rewriter, numbered, unsupported, where_true};

/// Whether a condition of a join has a subquery.
pub(super) fn has_subqueries(join: &Join) -> bool {
    join.filter.as_ref().is_some_and(has_subquery)
        || join.on.iter().any(|(left, right)| has_subquery(left) || has_subquery(right))
}

/// The side of a join that an expression reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reads {
    Left,
    Right,
    Both,
}

impl Rewriter<'_> {
    /// Takes the subqueries out of a join's conditions.
    ///
    /// # Errors
    /// `0A000` where one cannot be taken apart, or reads both sides of a full join.
    pub(super) fn join_on(&mut self, join: Join) -> Result<Transformed<LogicalPlan>> {
        let (mut left, mut right) = (join.left.as_ref().clone(), join.right.as_ref().clone());
        let (mut plain, mut over_both) = (Vec::new(), Vec::new());
        for condition in join_conditions(&join) {
            let moved = condition.transform_down(|expr| {
                if !is_subquery(&expr) {
                    return Ok(Transformed::no(expr));
                }
                let moved = match reads(&expr, &join)? {
                    Reads::Left => self.column_of(expr, &mut left)?,
                    Reads::Right => self.column_of(expr, &mut right)?,
                    Reads::Both => expr,
                };
                Ok(Transformed::new(moved, true, TreeNodeRecursion::Jump))
            })?;
            if has_subquery(&moved.data) { over_both.push(moved.data) } else { plain.push(moved.data) }
        }
        if plain.is_empty() {
            plain.push(lit(true));
        }
        let plan = if over_both.is_empty() {
            LogicalPlanBuilder::from(left).join_on(right, join.join_type, plain)?.build()?
        } else {
            match join.join_type {
                JoinType::Inner => {
                    let mut plan = LogicalPlanBuilder::from(left).join_on(right, JoinType::Inner, plain)?.build()?;
                    let predicate =
                        over_both.into_iter().map(|condition| Ok(self.expression(condition, &mut plan)?.data));
                    let predicate = predicate.collect::<Result<Vec<_>>>()?;
                    let predicate = conjunction(predicate).unwrap_or_else(|| lit(true));
                    LogicalPlanBuilder::from(plan).filter(predicate)?.build()?
                }
                JoinType::Left => self.outer_join(left, right, plain, over_both)?,
                JoinType::Right => self.outer_join(right, left, plain, over_both)?,
                _ => return Err(unsupported()),
            }
        };
        let columns: Vec<Expr> = join.schema.columns().into_iter().map(Expr::Column).collect();
        Ok(Transformed::yes(LogicalPlanBuilder::from(plan).project(columns)?.build()?))
    }

    /// The value of a subquery as a column of the plan whose columns it reads.
    fn column_of(&mut self, expr: Expr, plan: &mut LogicalPlan) -> Result<Expr> {
        let value = self.expression(expr, plan)?.data;
        if !has_subquery(&value) {
            return Ok(value);
        }
        self.column(value, plan)
    }

    /// A left join with conditions that have subqueries which read both sides.
    fn outer_join(
        &mut self,
        kept: LogicalPlan,
        other: LogicalPlan,
        plain: Vec<Expr>,
        over_both: Vec<Expr>,
    ) -> Result<LogicalPlan> {
        let name = self.next();
        let (kept_columns, other_columns) = (kept.schema().columns(), other.schema().columns());
        let matched = Column::new_unqualified(format!("{name}_{MATCHED}"));
        let marked = other_columns.iter().cloned().map(Expr::Column).chain([lit(true).alias(&matched.name)]);
        let other = LogicalPlanBuilder::from(other).project(marked.collect::<Vec<_>>())?.build()?;
        let mut plan =
            LogicalPlanBuilder::from(numbered(&name, kept)?).join_on(other, JoinType::Left, plain)?.build()?;
        let mut matched = Expr::Column(matched).is_true();
        for condition in over_both {
            matched = passing(matched, self.expression(condition, &mut plan)?.data);
        }
        let (plan, matched) = one_at_least(&name, plan, matched)?;
        let mut columns: Vec<Expr> = kept_columns.into_iter().map(Expr::Column).collect();
        for column in other_columns {
            let (qualifier, name) = (column.relation.clone(), column.name.clone());
            let value = where_true(vec![matched.clone()], Expr::Column(column), plan.schema())?;
            columns.push(value.alias_qualified(qualifier, name));
        }
        LogicalPlanBuilder::from(plan).project(columns)?.build()
    }
}

fn reads(expr: &Expr, join: &Join) -> Result<Reads> {
    let mut columns: Vec<Column> = expr.column_refs().into_iter().cloned().collect();
    columns.extend(outer_references_in(expr)?);
    let of = |side: &LogicalPlan| columns.iter().any(|column| side.schema().maybe_index_of_column(column).is_some());
    Ok(match (of(&join.left), of(&join.right)) {
        (true, true) => Reads::Both,
        (false, true) => Reads::Right,
        (_, false) => Reads::Left,
    })
}
