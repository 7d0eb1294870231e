//! Lateral subqueries without a table of their own: their expressions are computed over the row beside them.
//!
//! `FROM t, LATERAL (SELECT t.a + 1 AS b)` and `FROM t, unnest(t.arr)` are a projection, an unnesting and a filter over
//! `t`. What reads tables is left to DataFusion, which turns some forms into joins and refuses the others.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, JoinType, TableReference};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, Join, LogicalPlan, LogicalPlanBuilder, Projection, Subquery, SubqueryAlias, lit};

use super::lists;

/// Puts the parts of a lateral subquery over the other side of its join, where it has no table.
pub(super) fn stack(join: Join) -> Result<Transformed<LogicalPlan>> {
    let lateral = match join.right.as_ref() {
        LogicalPlan::Subquery(Subquery { subquery, .. }) => subquery.as_ref().clone(),
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, alias, .. }) => match input.as_ref() {
            LogicalPlan::Subquery(Subquery { subquery, .. }) => {
                LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(std::sync::Arc::clone(subquery), alias.clone())?)
            }
            _ => return Ok(Transformed::no(LogicalPlan::Join(join))),
        },
        _ => return Ok(Transformed::no(LogicalPlan::Join(join))),
    };
    if join.join_type != JoinType::Inner || !join.on.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    }
    let Some(plan) = stacked(&lateral, join.left.as_ref(), Rows::Matching)? else {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    };
    let plan = match join.filter {
        Some(filter) => LogicalPlanBuilder::from(plan).filter(filter)?.build()?,
        None => plan,
    };
    Ok(Transformed::yes(plan))
}

/// Which rows of the left side a stacked plan has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rows {
    /// Those for which the subquery has a row, for each of its rows.
    Matching,
    /// The others too, with [`HOLDS`] false. The left side has this column.
    All,
}

/// The column that says whether a row is one of the subquery's.
const HOLDS: &str = "\u{1}holds";

/// Whether a plan is sets made of the outer row alone: unnestings over no table.
pub(super) fn is_set(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::EmptyRelation(empty) => empty.produce_one_row,
        LogicalPlan::Projection(projection) => is_set(&projection.input),
        LogicalPlan::Filter(filter) => is_set(&filter.input),
        LogicalPlan::Unnest(unnest) => is_set(&unnest.input),
        LogicalPlan::SubqueryAlias(alias) => is_set(&alias.input),
        LogicalPlan::Subquery(lateral) => is_set(&lateral.subquery),
        _ => false,
    }
}

/// A set over each row of the left side, with the left side's columns and one that says whether the row is in the set: of
/// a row without a set one is left that is not. `None` where the set reads more than the left side.
pub(super) fn stack_all(set: &LogicalPlan, left: LogicalPlan) -> Result<Option<(LogicalPlan, Expr)>> {
    let columns = left.schema().columns().into_iter().map(Expr::Column);
    let columns: Vec<Expr> = columns.chain([lit(true).alias(HOLDS)]).collect();
    let left = LogicalPlanBuilder::from(left).project(columns)?.build()?;
    Ok(stacked(set, &left, Rows::All)?.map(|plan| (plan, holds())))
}

fn holds() -> Expr {
    Expr::Column(Column::new_unqualified(HOLDS))
}

/// A plan with [`HOLDS`] true only where a condition is, too.
fn holding(plan: LogicalPlan, condition: Expr, lists: &[Column]) -> Result<LogicalPlan> {
    let mut columns = Vec::with_capacity(plan.schema().fields().len());
    for (qualifier, field) in plan.schema().iter() {
        let column = Column::new(qualifier.cloned(), field.name());
        let is_list = lists.contains(&column) || lists.contains(&Column::new_unqualified(field.name()));
        let expr = Expr::Column(column);
        columns.push(if field.name() == HOLDS {
            holds().and(condition.clone()).alias(HOLDS)
        } else if is_list {
            lists::padded(expr).alias_qualified(qualifier.cloned(), field.name())
        } else {
            expr
        });
    }
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

/// The subquery's plan with the left side in the place of its one empty row; `None` where it has something else there.
fn stacked(plan: &LogicalPlan, left: &LogicalPlan, rows: Rows) -> Result<Option<LogicalPlan>> {
    let kept = || left.schema().columns().into_iter().map(Expr::Column);
    let next = match plan {
        LogicalPlan::EmptyRelation(empty) if empty.produce_one_row => return Ok(Some(left.clone())),
        LogicalPlan::Projection(projection) => {
            return projected(projection, left, rows, None);
        }
        LogicalPlan::Filter(filter) => {
            let Some(below) = stacked(&filter.input, left, rows)? else { return Ok(None) };
            let Some(predicate) = resolved(filter.predicate.clone(), left)? else { return Ok(None) };
            match rows {
                Rows::Matching => LogicalPlanBuilder::from(below).filter(predicate)?.build()?,
                Rows::All => holding(below, predicate.is_true(), &[])?,
            }
        }
        LogicalPlan::Unnest(unnest) => {
            let Some(below) = stacked(&unnest.input, left, rows)? else { return Ok(None) };
            let below = match rows {
                Rows::Matching => below,
                Rows::All => {
                    let lists = unnest.exec_columns.iter().cloned().map(Expr::Column).collect();
                    holding(below, lists::any_elements(lists), &unnest.exec_columns)?
                }
            };
            LogicalPlanBuilder::from(below)
                .unnest_columns_with_options(unnest.exec_columns.clone(), unnest.options.clone())?
                .build()?
        }
        LogicalPlan::Subquery(lateral) => return stacked(&lateral.subquery, left, rows),
        LogicalPlan::SubqueryAlias(alias) => {
            // Columns that the left side has, too, are never without their qualifier beside it.
            let input = match alias.input.as_ref() {
                LogicalPlan::Subquery(lateral) => lateral.subquery.as_ref(),
                input => input,
            };
            if let LogicalPlan::Projection(projection) = input {
                return projected(projection, left, rows, Some(&alias.alias));
            }
            let Some(below) = stacked(&alias.input, left, rows)? else { return Ok(None) };
            let renamed = alias.input.schema().iter().map(|(qualifier, field)| {
                Expr::Column(Column::new(qualifier.cloned(), field.name()))
                    .alias_qualified(Some(alias.alias.clone()), field.name())
            });
            LogicalPlanBuilder::from(below).project(kept().chain(renamed).collect::<Vec<_>>())?.build()?
        }
        _ => return Ok(None),
    };
    Ok(Some(next))
}

/// A projection over the left side's columns, under an alias.
fn projected(
    projection: &Projection,
    left: &LogicalPlan,
    rows: Rows,
    alias: Option<&TableReference>,
) -> Result<Option<LogicalPlan>> {
    let Some(below) = stacked(&projection.input, left, rows)? else { return Ok(None) };
    let mut exprs: Vec<Expr> = left.schema().columns().into_iter().map(Expr::Column).collect();
    for expr in &projection.expr {
        let (qualifier, name) = expr.qualified_name();
        let qualifier = alias.cloned().or(qualifier);
        let Some(resolved) = resolved(expr.clone(), left)? else { return Ok(None) };
        let same = resolved.qualified_name() == (qualifier.clone(), name.clone());
        exprs.push(if same { resolved } else { resolved.unalias().alias_qualified(qualifier, name) });
    }
    LogicalPlanBuilder::from(below).project(exprs)?.build().map(Some)
}

/// References to the outer row as columns; `None` where one is further out, or where a subquery has some.
fn resolved(expr: Expr, left: &LogicalPlan) -> Result<Option<Expr>> {
    let mut foreign = false;
    let resolved = expr.transform(|expr| {
        Ok(match expr {
            Expr::OuterReferenceColumn(field, column) => {
                if left.schema().has_column(&column) {
                    Transformed::yes(Expr::Column(column))
                } else {
                    foreign = true;
                    Transformed::no(Expr::OuterReferenceColumn(field, column))
                }
            }
            Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_) => {
                foreign = true;
                Transformed::no(expr)
            }
            expr => Transformed::no(expr),
        })
    })?;
    Ok((!foreign).then_some(resolved.data))
}
