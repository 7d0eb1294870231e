//! Aggregates that collect values see the order of the subquery they read: `string_agg(x) FROM (SELECT … ORDER BY y)`.
//!
//! PostgreSQL promises little and everybody relies on it. The subquery's keys become the ORDER BY of calls that have none.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, TableReference};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{AggregateFunction, Sort as SortExpr};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, Filter, Limit, LogicalPlan, Projection, SubqueryAlias};

use super::collect;

/// The columns that carry keys upwards.
const KEY: &str = "\u{1}order";

/// Orders the aggregates of a plan.
///
/// # Errors
/// None of its own.
pub(super) fn order_aggregates(plan: LogicalPlan) -> Result<LogicalPlan> {
    Ok(plan.transform_up_with_subqueries(order)?.data)
}

fn order(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Aggregate(aggregate) = &plan else { return Ok(Transformed::no(plan)) };
    if !aggregate.aggr_expr.iter().any(takes_order) {
        return Ok(Transformed::no(plan));
    }
    let Some((input, keys)) = with_keys(&aggregate.input)? else { return Ok(Transformed::no(plan)) };
    let names = NamePreserver::new(&plan);
    let ordered = aggregate
        .aggr_expr
        .iter()
        .map(|expr| {
            let name = names.save(expr);
            let ordered = expr.clone().transform_down(|expr| {
                Ok(match expr {
                    Expr::AggregateFunction(mut call) if takes_order_itself(&call) => {
                        call.params.order_by.clone_from(&keys);
                        Transformed::yes(Expr::AggregateFunction(call))
                    }
                    expr => Transformed::no(expr),
                })
            })?;
            Ok(name.restore(ordered.data))
        })
        .collect::<Result<Vec<_>>>()?;
    let exprs = aggregate.group_expr.iter().cloned().chain(ordered).collect();
    Ok(Transformed::yes(plan.with_new_exprs(exprs, vec![input])?))
}

fn takes_order(expr: &Expr) -> bool {
    expr.exists(|expr| Ok(matches!(expr, Expr::AggregateFunction(call) if takes_order_itself(call)))).unwrap_or(false)
}

fn takes_order_itself(call: &AggregateFunction) -> bool {
    call.params.order_by.is_empty() && !call.params.distinct && collect::keeps_order(&call.func)
}

/// A plan whose rows are ordered, with the keys of its order as columns; `None` where it has no order.
fn with_keys(plan: &LogicalPlan) -> Result<Option<(LogicalPlan, Vec<SortExpr>)>> {
    match plan {
        LogicalPlan::Sort(sort) => Ok(Some((plan.clone(), sort.expr.clone()))),
        LogicalPlan::Filter(Filter { predicate, input, .. }) => {
            let Some((input, keys)) = with_keys(input)? else { return Ok(None) };
            Ok(Some((LogicalPlan::Filter(Filter::try_new(predicate.clone(), Arc::new(input))?), keys)))
        }
        LogicalPlan::Limit(limit) => {
            let Some((input, keys)) = with_keys(&limit.input)? else { return Ok(None) };
            Ok(Some((LogicalPlan::Limit(Limit { input: Arc::new(input), ..limit.clone() }), keys)))
        }
        LogicalPlan::Projection(projection) => {
            let Some((input, keys)) = with_keys(&projection.input)? else { return Ok(None) };
            let mut exprs = projection.expr.clone();
            let mut above = Vec::with_capacity(keys.len());
            for (index, key) in keys.into_iter().enumerate() {
                let name = format!("{KEY}{index}");
                exprs.push(key.expr.alias(&name));
                above.push(SortExpr { expr: Expr::Column(Column::new_unqualified(name)), ..key });
            }
            Ok(Some((LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input))?), above)))
        }
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, alias, .. }) => {
            let Some((input, keys)) = with_keys(input)? else { return Ok(None) };
            // The alias hides what is beneath it: its columns have its name.
            let (input, names) = as_columns(input, &keys)?;
            let above = keys
                .into_iter()
                .zip(names)
                .map(|(key, name)| SortExpr { expr: Expr::Column(Column::new(Some(alias.clone()), name)), ..key });
            let above = above.collect();
            let aliased = SubqueryAlias::try_new(Arc::new(input), TableReference::clone(alias))?;
            Ok(Some((LogicalPlan::SubqueryAlias(aliased), above)))
        }
        _ => Ok(None),
    }
}

/// A plan with its keys as columns that are called by their names alone.
fn as_columns(plan: LogicalPlan, keys: &[SortExpr]) -> Result<(LogicalPlan, Vec<String>)> {
    let names: Vec<String> = (0..keys.len()).map(|index| format!("{KEY}{index}")).collect();
    let mut exprs: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
    let same = |key: &SortExpr, name: &String| matches!(&key.expr, Expr::Column(column) if column.relation.is_none() && column.name == *name);
    if keys.iter().zip(&names).all(|(key, name)| same(key, name)) {
        return Ok((plan, names));
    }
    exprs.retain(
        |expr| !matches!(expr, Expr::Column(column) if column.relation.is_none() && names.contains(&column.name)),
    );
    exprs.extend(keys.iter().zip(&names).map(|(key, name)| key.expr.clone().alias(name)));
    Ok((LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?), names))
}
