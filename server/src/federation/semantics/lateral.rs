//! Lateral subqueries without a table of their own: their expressions are computed over the row beside them.
//!
//! `FROM t, LATERAL (SELECT t.a + 1 AS b)` and `FROM t, unnest(t.arr)` are a projection, an unnesting and a filter over
//! `t`. What reads tables is left to DataFusion, which turns some forms into joins and refuses the others.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, JoinType};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, Join, LogicalPlan, LogicalPlanBuilder, Subquery, SubqueryAlias};

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
    let Some(plan) = stacked(&lateral, join.left.as_ref())? else {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    };
    let plan = match join.filter {
        Some(filter) => LogicalPlanBuilder::from(plan).filter(filter)?.build()?,
        None => plan,
    };
    Ok(Transformed::yes(plan))
}

/// The subquery's plan with the left side in the place of its one empty row; `None` where it has something else there.
fn stacked(plan: &LogicalPlan, left: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    let kept = || left.schema().columns().into_iter().map(Expr::Column);
    let next = match plan {
        LogicalPlan::EmptyRelation(empty) if empty.produce_one_row => return Ok(Some(left.clone())),
        LogicalPlan::Projection(projection) => {
            let Some(below) = stacked(&projection.input, left)? else { return Ok(None) };
            let mut exprs: Vec<Expr> = kept().collect();
            for expr in &projection.expr {
                let name = expr.qualified_name();
                let Some(resolved) = resolved(expr.clone(), left)? else { return Ok(None) };
                let same = resolved.qualified_name() == name;
                exprs.push(if same { resolved } else { resolved.unalias().alias_qualified(name.0, name.1) });
            }
            LogicalPlanBuilder::from(below).project(exprs)?.build()?
        }
        LogicalPlan::Filter(filter) => {
            let Some(below) = stacked(&filter.input, left)? else { return Ok(None) };
            let Some(predicate) = resolved(filter.predicate.clone(), left)? else { return Ok(None) };
            LogicalPlanBuilder::from(below).filter(predicate)?.build()?
        }
        LogicalPlan::Unnest(unnest) => {
            let Some(below) = stacked(&unnest.input, left)? else { return Ok(None) };
            LogicalPlanBuilder::from(below)
                .unnest_columns_with_options(unnest.exec_columns.clone(), unnest.options.clone())?
                .build()?
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let Some(below) = stacked(&alias.input, left)? else { return Ok(None) };
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
