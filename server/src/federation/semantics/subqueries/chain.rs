//! The projections and filters of a subquery, taken off what it reads.

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, DFSchemaRef, JoinType, TableReference};
use datafusion::error::Result;
use datafusion::logical_expr::utils::{conjunction, merge_schema, split_conjunction};
use datafusion::logical_expr::{
    Aggregate, Distinct, EmptyRelation, Expr, FetchType, LogicalPlan, LogicalPlanBuilder, SkipType, SortExpr, lit, when,
};
use std::sync::Arc;

use crate::federation::semantics::lateral::{is_set, stack_all};

/// Column of a joined subquery that is true, and null where no row matched.
pub(super) const MATCHED: &str = "matched";

/// A plan whose columns and conditions are written over the columns of its base, outer references left as they are.
pub(super) struct Chain {
    /// Reads nothing of the outer query, unless it is an aggregate without groups or a set made of the outer row.
    pub(super) base: LogicalPlan,
    /// One expression for each column of the plan.
    pub(super) columns: Vec<Expr>,
    /// Conditions that read the outer query, or stand above an open aggregate.
    pub(super) filters: Vec<Expr>,
    pub(super) order: Vec<SortExpr>,
    /// Rows to skip and rows to keep, in that order.
    pub(super) limit: Option<(usize, usize)>,
    schema: DFSchemaRef,
    /// Whether no expression has been moved.
    plain: bool,
}

impl Chain {
    /// The aggregate without groups that is the base and that reads the outer query below it.
    pub(super) fn open_aggregate(&self) -> Option<&Aggregate> {
        match &self.base {
            LogicalPlan::Aggregate(aggregate) if !outer_references(&self.base).is_empty() => Some(aggregate),
            _ => None,
        }
    }

    /// Whether this is `SELECT expression` without FROM.
    pub(super) const fn reads_one_row(&self) -> bool {
        self.limit.is_none()
            && matches!(self.base, LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: true, .. }))
    }

    /// Whether every column is one of the base's, or computed at the top alone.
    pub(super) const fn is_plain(&self) -> bool {
        self.plain
    }

    /// An expression over the plan's columns, over the base's.
    pub(super) fn substitute(&self, expr: &Expr) -> Result<Expr> {
        let replaced = expr.clone().transform_up(|expr| {
            let Expr::Column(column) = &expr else { return Ok(Transformed::no(expr)) };
            let index = self.schema.index_of_column(column)?;
            Ok(match self.columns.get(index) {
                Some(replacement) if replacement != &expr => Transformed::yes(replacement.clone()),
                _ => Transformed::no(expr),
            })
        })?;
        Ok(replaced.data)
    }

    /// Whether the base is a set that is made of the outer row.
    pub(super) fn is_set(&self) -> bool {
        is_open_set(&self.base)
    }

    /// The base under a name of its own, with the columns that some expressions read and [`MATCHED`]; and the
    /// expressions over it and the outer query's columns.
    pub(super) fn attach(&self, name: &str, exprs: &[Expr], outer: &DFSchema) -> Result<(Side, Vec<Expr>)> {
        let base = self.base.schema();
        let mut used: Vec<Column> = Vec::new();
        let mut renamed = Vec::new();
        for expr in exprs {
            let expr = expr.clone().transform_up(|expr| {
                let Expr::Column(column) = &expr else { return Ok(Transformed::no(expr)) };
                let (qualifier, field) = base.qualified_field_from_column(column)?;
                let column = Column::new(qualifier.cloned(), field.name());
                let index = used.iter().position(|known| *known == column).unwrap_or_else(|| {
                    used.push(column);
                    used.len() - 1
                });
                Ok(Transformed::yes(Expr::Column(Column::new(Some(name), format!("c{index}")))))
            })?;
            renamed.push(resolve(&expr.data, outer)?);
        }
        if self.is_set() {
            return Ok((Side::Set { name: name.to_owned(), base: self.base.clone(), used }, renamed));
        }
        let mut columns: Vec<Expr> = used
            .into_iter()
            .enumerate()
            .map(|(index, column)| Expr::Column(column).alias(format!("c{index}")))
            .collect();
        columns.push(lit(true).alias(MATCHED));
        let side = LogicalPlanBuilder::from(self.base.clone()).project(columns)?.alias(name)?.build()?;
        Ok((Side::Plan(side), renamed))
    }
}

/// The base of a chain, ready to be joined with the outer query.
pub(super) enum Side {
    /// What reads nothing of the outer query.
    Plan(LogicalPlan),
    /// A set of each outer row, of which some columns are used.
    Set { name: String, base: LogicalPlan, used: Vec<Column> },
}

impl Side {
    /// An inner or left join. A left join with a set may have several rows of an outer row that are not matched; `None`
    /// where the set reads a query further out.
    pub(super) fn join(
        self,
        left: LogicalPlan,
        join_type: JoinType,
        conditions: &[Expr],
    ) -> Result<Option<LogicalPlanBuilder>> {
        let (name, base, used) = match self {
            Self::Plan(side) => {
                let conditions = if conditions.is_empty() { vec![lit(true)] } else { conditions.to_vec() };
                return LogicalPlanBuilder::from(left).join_on(side, join_type, conditions).map(Some);
            }
            Self::Set { name, base, used } => (name, base, used),
        };
        let qualifier = || Some(TableReference::bare(name.clone()));
        let outer: Vec<Expr> = left.schema().columns().into_iter().map(Expr::Column).collect();
        let Some((plan, holds)) = stack_all(&base, left)? else { return Ok(None) };
        let used = used.into_iter().enumerate();
        let set = used.map(|(index, column)| Expr::Column(column).alias_qualified(qualifier(), format!("c{index}")));
        let set: Vec<Expr> = set.chain([holds.alias_qualified(qualifier(), MATCHED)]).collect();
        let plan = LogicalPlanBuilder::from(plan).project(outer.iter().cloned().chain(set).collect::<Vec<_>>())?;
        let matched = Expr::Column(Column::new(qualifier(), MATCHED));
        let all = conditions.iter().cloned().fold(matched.clone(), Expr::and);
        if join_type == JoinType::Inner {
            return plan.filter(all).map(Some);
        }
        let columns = plan.schema().columns().into_iter().map(Expr::Column).filter(|column| *column != matched);
        let matched = when(all, lit(true)).end()?.alias_qualified(qualifier(), MATCHED);
        let columns: Vec<Expr> = columns.chain([matched]).collect();
        plan.project(columns).map(Some)
    }
}

/// Whether a plan is a set that is made of the outer row.
pub(super) fn is_open_set(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Unnest(_)) && is_set(plan) && !outer_references(plan).is_empty()
}

/// [`peel`] without a limit and without an aggregate that reads the outer query.
pub(super) fn peel_rows(plan: &LogicalPlan) -> Result<Option<Chain>> {
    Ok(peel(plan)?.filter(|chain| chain.limit.is_none() && chain.open_aggregate().is_none()))
}

/// Takes a plan apart; `None` where it reads the outer query in a place that cannot be moved.
pub(super) fn peel(plan: &LogicalPlan) -> Result<Option<Chain>> {
    if outer_references(plan).is_empty() {
        return Ok(Some(whole(plan)));
    }
    let schema = Arc::clone(plan.schema());
    match plan {
        LogicalPlan::Projection(projection) => {
            let Some(below) = peel(&projection.input)? else { return Ok(None) };
            if projection.expr.iter().any(|expr| expr.is_volatile() || has_subquery(expr)) {
                return Ok(None);
            }
            let columns: Vec<Expr> = projection
                .expr
                .iter()
                .map(|expr| below.substitute(&expr.clone().unalias_nested().data))
                .collect::<Result<_>>()?;
            Ok(Some(Chain { columns, schema, ..below }))
        }
        LogicalPlan::SubqueryAlias(alias) => {
            Ok(peel(&alias.input)?.map(|below| Chain { schema, plain: false, ..below }))
        }
        LogicalPlan::Filter(filter) => peel_filter(&filter.predicate, &filter.input),
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => {
            let Some(mut below) = peel(&sort.input)?.filter(|below| below.limit.is_none()) else { return Ok(None) };
            if sort.expr.iter().any(|item| has_subquery(&item.expr)) {
                return Ok(None);
            }
            below.order = sort
                .expr
                .iter()
                .map(|item| Ok(SortExpr { expr: below.substitute(&item.expr)?, ..item.clone() }))
                .collect::<Result<_>>()?;
            Ok(Some(below))
        }
        LogicalPlan::Join(join) if join.join_type == JoinType::Inner => {
            let children = [&join.left, &join.right];
            if children.iter().any(|child| !outer_references(child).is_empty()) {
                return Ok(None);
            }
            let mut filters = Vec::new();
            let mut inner = Vec::new();
            let on = join.on.iter().map(|(left, right)| left.clone().eq(right.clone()));
            let conditions = join.filter.iter().flat_map(|filter| split_conjunction(filter)).cloned();
            for condition in on.chain(conditions) {
                if has_subquery(&condition) {
                    return Ok(None);
                }
                if condition.contains_outer() { filters.push(condition) } else { inner.push(condition) }
            }
            let right = join.right.as_ref().clone();
            let base = LogicalPlanBuilder::from(join.left.as_ref().clone());
            let base =
                if inner.is_empty() { base.cross_join(right)? } else { base.join_on(right, JoinType::Inner, inner)? };
            Ok(Some(Chain { filters, ..whole(&base.build()?) }))
        }
        LogicalPlan::Limit(limit) => {
            let Some(below) = peel(&limit.input)?.filter(|below| below.limit.is_none()) else { return Ok(None) };
            let (Ok(SkipType::Literal(skip)), Ok(FetchType::Literal(fetch))) =
                (limit.get_skip_type(), limit.get_fetch_type())
            else {
                return Ok(None);
            };
            Ok(Some(Chain { limit: Some((skip, fetch.unwrap_or(usize::MAX))), ..below }))
        }
        LogicalPlan::Subquery(lateral) => peel(&lateral.subquery),
        LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => Ok(Some(whole(plan))),
        LogicalPlan::Unnest(_) if is_open_set(plan) => Ok(Some(Chain { plain: false, ..whole(plan) })),
        _ => Ok(None),
    }
}

fn peel_filter(predicate: &Expr, input: &Arc<LogicalPlan>) -> Result<Option<Chain>> {
    let (outer, inner): (Vec<&Expr>, Vec<&Expr>) =
        split_conjunction(predicate).into_iter().partition(|condition| reads_outer(condition, input.schema()));
    if outer.iter().any(|condition| condition.is_volatile() || has_subquery(condition)) {
        return Ok(None);
    }
    let Some(mut chain) = peel(input)?.filter(|chain| chain.limit.is_none()) else { return Ok(None) };
    if outer_references(input).is_empty() {
        if let Some(inner) = conjunction(inner.into_iter().cloned()) {
            chain.base = LogicalPlanBuilder::from(chain.base).filter(inner)?.build()?;
        }
    } else if inner.iter().any(|condition| condition.is_volatile() || has_subquery(condition)) {
        return Ok(None);
    } else {
        for condition in inner {
            let moved = chain.substitute(condition)?;
            if chain.open_aggregate().is_some() || chain.is_set() || moved.contains_outer() {
                chain.filters.push(moved);
            } else {
                chain.base = LogicalPlanBuilder::from(chain.base).filter(moved)?.build()?;
            }
        }
    }
    for condition in outer {
        let moved = chain.substitute(condition)?;
        chain.filters.push(moved);
    }
    Ok(Some(chain))
}

fn whole(plan: &LogicalPlan) -> Chain {
    Chain {
        columns: plan.schema().columns().into_iter().map(Expr::Column).collect(),
        schema: Arc::clone(plan.schema()),
        base: plan.clone(),
        filters: Vec::new(),
        order: Vec::new(),
        limit: None,
        plain: true,
    }
}

/// What is below `LIMIT 1`, and whether there was one; below `DISTINCT`, too, which one row does not need.
pub(super) fn without_limit_one(plan: &LogicalPlan) -> (&LogicalPlan, bool) {
    match plan {
        LogicalPlan::Limit(limit)
            if matches!(limit.get_skip_type(), Ok(SkipType::Literal(0)))
                && matches!(limit.get_fetch_type(), Ok(FetchType::Literal(Some(1)))) =>
        {
            (&limit.input, true)
        }
        LogicalPlan::Distinct(Distinct::All(input)) => (without_limit_one(input).0, false),
        plan => (plan, false),
    }
}

/// An expression with its outer references resolved to columns; those that belong to a query further out stay.
pub(super) fn resolve(expr: &Expr, outer: &DFSchema) -> Result<Expr> {
    let resolved = expr.clone().transform_up(|expr| {
        Ok(match &expr {
            Expr::OuterReferenceColumn(_, column) if outer.maybe_index_of_column(column).is_some() => {
                Transformed::yes(Expr::Column(column.clone()))
            }
            _ => Transformed::no(expr),
        })
    })?;
    Ok(resolved.data)
}

pub(super) fn has_subquery(expr: &Expr) -> bool {
    expr.exists(|expr| Ok(is_subquery(expr))).unwrap_or(true)
}

pub(super) const fn is_subquery(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_))
}

/// The columns of the query around an expression, and of those further out, that the expression's subqueries read.
pub(super) fn outer_references_in(expr: &Expr) -> Result<Vec<Column>> {
    let mut found = Vec::new();
    outer_references_of(expr, &DFSchema::empty(), &mut found)?;
    Ok(found)
}

/// The columns of outer queries that a plan reads, in its own subqueries too.
pub(in crate::federation::semantics) fn outer_references(plan: &LogicalPlan) -> Vec<Column> {
    let mut found = Vec::new();
    let visited = plan.apply(|node| {
        let schema = merge_schema(&node.inputs());
        node.apply_expressions(|expr| outer_references_of(expr, &schema, &mut found))?;
        Ok(TreeNodeRecursion::Continue)
    });
    debug_assert!(visited.is_ok(), "visiting does not fail");
    found
}

/// Those of an expression over columns of `schema`.
fn outer_references_of(expr: &Expr, schema: &DFSchema, found: &mut Vec<Column>) -> Result<TreeNodeRecursion> {
    expr.apply(|expr| {
        match expr {
            Expr::OuterReferenceColumn(_, column) => found.push(column.clone()),
            Expr::ScalarSubquery(subquery) => nested(&subquery.subquery, schema, found),
            Expr::Exists(exists) => nested(&exists.subquery.subquery, schema, found),
            Expr::InSubquery(list) => nested(&list.subquery.subquery, schema, found),
            Expr::SetComparison(comparison) => nested(&comparison.subquery.subquery, schema, found),
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })
}

/// Whether an expression over columns of `schema` reads an outer query, itself or in a subquery.
pub(super) fn reads_outer(expr: &Expr, schema: &DFSchema) -> bool {
    let mut found = Vec::new();
    outer_references_of(expr, schema, &mut found).is_err() || !found.is_empty()
}

fn nested(plan: &LogicalPlan, schema: &DFSchema, found: &mut Vec<Column>) {
    found.extend(outer_references(plan).into_iter().filter(|column| schema.index_of_column(column).is_err()));
}
