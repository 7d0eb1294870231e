//! `LATERAL`: a join whose right side reads columns of its left side.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, JoinType};
use datafusion::error::Result;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{Expr, ExprFunctionExt, Join, LogicalPlan, LogicalPlanBuilder, lit};

use super::chain::{Chain, MATCHED, has_subquery, outer_references, peel};
use super::spread::{Outer, passing};
use super::{Parts, Rewriter, as_outer, join_grouped, numbered, unsupported, where_true};

impl Rewriter<'_> {
    /// Plans a lateral join as a join; another one stays.
    ///
    /// # Errors
    /// `0A000` where the right side cannot be taken apart.
    pub(super) fn lateral(&mut self, join: Join) -> Result<Transformed<LogicalPlan>> {
        // A right side that reads a query further out reads it below a plain join: nothing to do here.
        let reads_left = |column: &Column| join.left.schema().maybe_index_of_column(column).is_some();
        if !is_lateral(&join.right) || !outer_references(&join.right).iter().any(reads_left) {
            return Ok(Transformed::no(LogicalPlan::Join(join)));
        }
        if !matches!(join.join_type, JoinType::Inner | JoinType::Left) {
            return Err(unsupported());
        }
        let planned = match self.lateral_by_chain(&join)? {
            Some(plan) => Some(plan),
            None => self.lateral_by_spread(&join)?,
        };
        Ok(Transformed::yes(planned.ok_or_else(unsupported)?))
    }

    fn lateral_by_chain(&mut self, join: &Join) -> Result<Option<LogicalPlan>> {
        let Some(chain) = peel(&join.right)? else { return Ok(None) };
        let left = join.left.as_ref().clone();
        match chain.open_aggregate().map(Parts::of).transpose()? {
            Some(Some(parts)) if chain.limit.is_none() => aggregated(join, left, &chain, &parts, &self.next()),
            None => rows(join, left, &chain, &self.next()),
            Some(_) => Ok(None),
        }
    }

    fn lateral_by_spread(&mut self, join: &Join) -> Result<Option<LogicalPlan>> {
        let name = self.next();
        let outer = Outer::of(&name, join.left.as_ref().clone())?;
        let Some(spread) = self.spread(&join.right, &outer)? else { return Ok(None) };
        let mut matched = Expr::Column(spread.matched.clone());
        for condition in join_conditions(join) {
            if has_subquery(&condition) {
                return Ok(None);
            }
            matched = passing(matched, spread.over(condition)?);
        }
        if join.join_type == JoinType::Inner {
            let plan = LogicalPlanBuilder::from(spread.plan).filter(matched)?;
            return plan.project(named(join, spread.columns))?.build().map(Some);
        }
        let (plan, matched) = one_at_least(&name, spread.plan, matched)?;
        let columns = spread.columns.into_iter();
        let values = columns.map(|value| where_true(vec![matched.clone()], value, plan.schema()));
        let values = values.collect::<Result<_>>()?;
        LogicalPlanBuilder::from(plan).project(named(join, values))?.build().map(Some)
    }
}

/// Of the rows of each numbered row those that match, or one that is matched by nothing; and whether a row is matched.
pub(super) fn one_at_least(name: &str, plan: LogicalPlan, matched: Expr) -> Result<(LogicalPlan, Expr)> {
    let mut columns: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
    let (is_matched, place) = (format!("{name}_is_matched"), format!("{name}_place"));
    columns.push(matched.alias(&is_matched));
    let is_matched = Expr::Column(Column::new_unqualified(is_matched));
    let row = Expr::Column(Column::new_unqualified(format!("{name}_row")));
    let order = vec![is_matched.clone().sort(false, false)];
    let number = row_number().partition_by(vec![row]).order_by(order).build()?.alias(&place);
    let first = Expr::Column(Column::new_unqualified(place)).eq(lit(1_u64));
    let plan = LogicalPlanBuilder::from(plan)
        .project(columns)?
        .window(vec![number])?
        .filter(is_matched.clone().is_true().or(first))?
        .build()?;
    Ok((plan, is_matched))
}

/// The conditions of a join, without those that always hold.
pub(super) fn join_conditions(join: &Join) -> impl Iterator<Item = Expr> {
    let on = join.on.iter().map(|(left, right)| left.clone().eq(right.clone()));
    let filter = join.filter.iter().flat_map(|filter| split_conjunction(filter)).cloned();
    on.chain(filter).filter(|condition| *condition != lit(true))
}

fn is_lateral(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Subquery(_) => true,
        LogicalPlan::SubqueryAlias(alias) => is_lateral(&alias.input),
        LogicalPlan::Projection(projection) => is_lateral(&projection.input),
        _ => false,
    }
}

/// The join's own conditions over the right side's base and outer references to the left.
fn conditions(join: &Join, chain: &Chain) -> Result<Vec<Expr>> {
    join_conditions(join).map(|condition| chain.substitute(&as_outer(condition, join.left.schema())?)).collect()
}

/// The right side's columns under their own names.
fn named(join: &Join, values: Vec<Expr>) -> Vec<Expr> {
    let left = join.left.schema().columns().into_iter().map(Expr::Column);
    let right = join.right.schema().iter().zip(values);
    left.chain(right.map(|((qualifier, field), value)| value.alias_qualified(qualifier.cloned(), field.name())))
        .collect()
}

/// A right side of any number of rows.
fn rows(join: &Join, left: LogicalPlan, chain: &Chain, name: &str) -> Result<Option<LogicalPlan>> {
    let outer_join = join.join_type == JoinType::Left;
    let own = conditions(join, chain)?;
    // Of an outer row that no element matches one row must be left, not one for each element.
    let one_set = matches!(&chain.base, LogicalPlan::Unnest(unnest) if !has_sets(&unnest.input));
    let repeats = outer_join && chain.is_set() && !(one_set && own.is_empty() && chain.filters.is_empty());
    if repeats && chain.limit.is_some() {
        return Ok(None);
    }
    // The join's conditions choose among the rows that the limit keeps, of which an outer join needs one at least.
    if chain.limit.is_some_and(|(skip, fetch)| (outer_join && (skip > 0 || fetch == 0)) || !own.is_empty()) {
        return Ok(None);
    }
    let order: Vec<Expr> = chain.order.iter().map(|item| item.expr.clone()).collect();
    let (columns, ordered) = (chain.columns.len(), order.len());
    let exprs: Vec<Expr> = chain.columns.iter().cloned().chain(order).chain(chain.filters.clone()).chain(own).collect();
    let (side, exprs) = chain.attach(name, &exprs, left.schema())?;
    let (columns, rest) = exprs.split_at(columns);
    let (order, conditions) = rest.split_at(ordered);

    let left = numbered_if(chain.limit.is_some() || repeats, name, left)?;
    let Some(mut plan) = side.join(left, join.join_type, conditions)? else { return Ok(None) };
    let matched = Expr::Column(Column::new(Some(name), MATCHED));
    if repeats {
        plan = LogicalPlanBuilder::from(one_at_least(name, plan.build()?, matched.clone())?.0);
    }
    if let Some((skip, fetch)) = chain.limit {
        let order = chain.order.iter().zip(order).map(|(item, expr)| item.with_expr(expr.clone())).collect();
        let place = format!("{name}_place");
        let row = Expr::Column(Column::new_unqualified(format!("{name}_row")));
        let number = row_number().partition_by(vec![row]).order_by(order).build()?.alias(&place);
        plan = plan.window(vec![number])?;
        let place = Expr::Column(Column::new_unqualified(place));
        let first = u64::try_from(skip).unwrap_or(u64::MAX);
        let last = first.saturating_add(u64::try_from(fetch).unwrap_or(u64::MAX));
        plan = plan.filter(place.clone().gt(lit(first)).and(place.lt_eq(lit(last))))?;
    }
    let mut values = Vec::new();
    for column in columns {
        // Without a matching row even a constant is null.
        let conditions = if outer_join { vec![matched.clone()] } else { Vec::new() };
        values.push(where_true(conditions, column.clone(), plan.schema())?);
    }
    plan.project(named(join, values))?.build().map(Some)
}

fn has_sets(plan: &LogicalPlan) -> bool {
    plan.exists(|node| Ok(matches!(node, LogicalPlan::Unnest(_) | LogicalPlan::Filter(_)))).unwrap_or(true)
}

fn numbered_if(wanted: bool, name: &str, plan: LogicalPlan) -> Result<LogicalPlan> {
    if wanted { numbered(name, plan) } else { Ok(plan) }
}

/// A right side that is an aggregate without groups: one row for each of the left side's.
fn aggregated(join: &Join, left: LogicalPlan, chain: &Chain, parts: &Parts, name: &str) -> Result<Option<LogicalPlan>> {
    let count = chain.columns.len();
    let exprs: Vec<Expr> =
        chain.columns.iter().chain(&chain.filters).cloned().chain(conditions(join, chain)?).collect();
    let Some((grouped, mut values)) = join_grouped(name, parts, &exprs, left)? else { return Ok(None) };
    let conditions = values.split_off(count);
    let mut plan = LogicalPlanBuilder::from(grouped);
    if join.join_type == JoinType::Left {
        values = values
            .into_iter()
            .map(|value| where_true(conditions.clone(), value, plan.schema()))
            .collect::<Result<_>>()?;
    } else if let Some(condition) = conjunction(conditions) {
        plan = plan.filter(condition)?;
    }
    plan.project(named(join, values))?.build().map(Some)
}
