//! Correlated subqueries that DataFusion does not decorrelate: by inequality, without an aggregate, in a SELECT list.
//!
//! The last of the analyzer's rules. A scalar subquery becomes a left join of the numbered outer rows with the
//! subquery's tables, grouped by the outer row; `EXISTS` and `IN` become mark joins with SQL's three values; `LATERAL`
//! becomes a join. Sets that are made of the outer row are unnested over it instead of joined. What correlates in a way that [`chain`] cannot take apart is refused.

mod chain;
mod lateral;
mod on;
mod single_value;
mod spread;

use std::sync::Arc;

use atoll_connector_api::types::PgType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, DFSchemaRef, JoinType, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::functions_aggregate::bool_and_or::bool_or_udaf;
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr::{
    AggregateFunction, AggregateFunctionParams, Exists, InSubquery, SetComparison, SetQuantifier,
};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Aggregate, AggregateUDF, BinaryExpr, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, Subquery, lit,
    not, when,
};
use datafusion::optimizer::AnalyzerRule;

pub(super) use self::chain::outer_references;
use self::chain::{Chain, Side, is_open_set, peel, peel_rows, reads_outer, resolve, without_limit_one};
use self::spread::Outer;
use super::operators::{needs_key, plan_comparison};
use super::{Settings, choice};
use crate::error::SqlError;

/// The rule.
#[derive(Debug)]
pub(super) struct CorrelatedSubqueries {
    settings: Settings,
}

impl CorrelatedSubqueries {
    pub(super) const fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl AnalyzerRule for CorrelatedSubqueries {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let mut rewriter = Rewriter { settings: &self.settings, count: 0, moving: false, as_columns: false };
        Ok(plan.transform_up_with_subqueries(|node| rewriter.node(node))?.data)
    }

    fn name(&self) -> &'static str {
        "correlated_subqueries"
    }
}

struct Rewriter<'a> {
    settings: &'a Settings,
    /// Subqueries joined so far: a part of the names of their columns.
    count: usize,
    /// Whether the plan at hand is part of a subquery that is being moved: nothing in it is left to DataFusion.
    moving: bool,
    /// Whether a scalar subquery must become a column: DataFusion takes it in projections and filters only.
    as_columns: bool,
}

impl Rewriter<'_> {
    fn node(&mut self, plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        if let LogicalPlan::Join(join) = plan {
            return if on::has_subqueries(&join) { self.join_on(join) } else { self.lateral(join) };
        }
        let filters = matches!(plan, LogicalPlan::Filter(_));
        let widens = matches!(plan, LogicalPlan::Filter(_) | LogicalPlan::Sort(_) | LogicalPlan::Window(_));
        if !widens && !matches!(plan, LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_)) {
            return Ok(Transformed::no(plan));
        }
        let Some(input) = plan.inputs().first().map(|input| (*input).clone()) else { return Ok(Transformed::no(plan)) };
        let input = match &plan {
            LogicalPlan::Sort(sort) => with_columns_read(input, sort.expr.iter().map(|item| &item.expr))?,
            _ => input,
        };
        let names = NamePreserver::new(&plan);
        let mut joined = input;
        let mut changed = false;
        let mut exprs = Vec::new();
        self.as_columns = !matches!(plan, LogicalPlan::Filter(_) | LogicalPlan::Projection(_));
        for expr in plan.expressions() {
            let name = names.save(&expr);
            let rewritten =
                if filters { self.predicate(expr, &mut joined)? } else { self.expression(expr, &mut joined)? };
            changed |= rewritten.transformed;
            exprs.push(name.restore(rewritten.data));
        }
        if !changed {
            return Ok(Transformed::no(plan));
        }
        let schema = Arc::clone(plan.schema());
        let rebuilt = plan.with_new_exprs(exprs, vec![joined])?;
        if !widens {
            return Ok(Transformed::yes(rebuilt));
        }
        let columns: Vec<Expr> = schema.columns().into_iter().map(Expr::Column).collect();
        Ok(Transformed::yes(LogicalPlanBuilder::from(rebuilt).project(columns)?.build()?))
    }

    /// `EXISTS` and `IN` that are a condition of their own stay: DataFusion makes semi and anti joins of them. What has no
    /// subquery comes first, as in PostgreSQL: else the rows of a whole cross product would be numbered and joined.
    fn predicate(&mut self, predicate: Expr, joined: &mut LogicalPlan) -> Result<Transformed<Expr>> {
        let (first, rest): (Vec<Expr>, Vec<Expr>) =
            split_conjunction_owned(predicate.clone()).into_iter().partition(comes_first);
        let before = joined.clone();
        if let Some(first) = conjunction(first) {
            *joined = LogicalPlanBuilder::from(before.clone()).filter(first)?.build()?;
        }
        let mut changed = false;
        let mut conditions = Vec::new();
        for condition in rest {
            if self.joins_natively(&condition) {
                conditions.push(condition);
                continue;
            }
            let rewritten = self.expression(condition, joined)?;
            changed |= rewritten.transformed;
            conditions.push(rewritten.data);
        }
        if !changed {
            *joined = before;
            return Ok(Transformed::no(predicate));
        }
        Ok(Transformed::yes(conjunction(conditions).unwrap_or_else(|| lit(true))))
    }

    fn joins_natively(&self, condition: &Expr) -> bool {
        let movable = |plan| matches!(peel_rows(plan), Ok(Some(_)));
        match condition {
            Expr::Not(inner) => self.joins_natively(inner) && matches!(inner.as_ref(), Expr::Exists(_)),
            // DataFusion does not see through an alias that the outer query is read beneath.
            Expr::Exists(Exists { subquery, .. }) => {
                !reads_outer_beneath_alias(&subquery.subquery) && movable(without_limit_one(&subquery.subquery).0)
            }
            Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
                // An anti join that knows of NULLs takes one pair of columns and nothing more.
                let joins = !negated
                    || (matches!(expr.as_ref(), Expr::Column(_)) && outer_references(&subquery.subquery).is_empty());
                let keyed = subquery.subquery.schema().fields().iter().any(|field| needs_key(&PgType::of_field(field)));
                let beneath_alias = reads_outer_beneath_alias(&subquery.subquery);
                joins
                    && movable(&subquery.subquery)
                    && !keyed
                    && !beneath_alias
                    && !expr.exists(|expr| Ok(matches!(expr, Expr::ScalarSubquery(_)))).unwrap_or(true)
            }
            _ => false,
        }
    }

    fn expression(&mut self, expr: Expr, joined: &mut LogicalPlan) -> Result<Transformed<Expr>> {
        expr.transform_up(|expr| {
            let replaced = match &expr {
                Expr::ScalarSubquery(subquery) => match self.scalar(subquery, joined)? {
                    Place::Native if self.as_columns => Some(self.column(expr.clone(), joined)?),
                    Place::Native => return Ok(Transformed::no(expr)),
                    Place::Joined(value) => Some(value),
                    Place::Unmovable => self.scalar_by_spread(subquery, joined)?,
                },
                Expr::Exists(Exists { subquery, negated }) => {
                    self.exists(subquery, joined)?.map(|found| if *negated { not(found) } else { found })
                }
                Expr::InSubquery(list) => self.is_in(list, joined)?,
                Expr::SetComparison(comparison) => self.compares(comparison, joined)?,
                _ => return Ok(Transformed::no(expr)),
            };
            replaced.map(Transformed::yes).ok_or_else(unsupported)
        })
    }

    /// A value as a column of a plan whose columns it reads.
    fn column(&mut self, value: Expr, plan: &mut LogicalPlan) -> Result<Expr> {
        let name = format!("{}_value", self.next());
        let mut columns: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
        columns.push(value.alias(&name));
        *plan = LogicalPlanBuilder::from(plan.clone()).project(columns)?.build()?;
        Ok(Expr::Column(Column::new_unqualified(name)))
    }

    fn next(&mut self) -> String {
        self.count += 1;
        format!("__subquery_{}", self.count)
    }

    /// The value of a correlated scalar subquery, a column of `joined` from now on.
    fn scalar(&mut self, subquery: &Subquery, joined: &mut LogicalPlan) -> Result<Place> {
        if outer_references(&subquery.subquery).is_empty() {
            return Ok(Place::Native);
        }
        let outer = Arc::clone(joined.schema());
        let (plan, one) = without_limit_one(&subquery.subquery);
        let Some(upper) = peel(plan)?.filter(|upper| upper.limit.is_none()) else { return Ok(Place::Unmovable) };
        // More columns than one are DataFusion's error.
        let [value] = upper.columns.as_slice() else { return Ok(Place::Native) };
        if upper.reads_one_row() && upper.filters.is_empty() {
            return Ok(Place::Joined(resolve(value, &outer)?));
        }
        let parts = if let Some(aggregate) = upper.open_aggregate() {
            let Some(parts) = Parts::of(aggregate)? else { return Ok(Place::Unmovable) };
            if !self.moving && is_native(&upper, aggregate, &parts.inner) {
                return Ok(Place::Native);
            }
            parts
        } else {
            let call = if one { first(value, &upper) } else { single(value) };
            let aggregate = Aggregate::try_new(Arc::new(upper.base.clone()), Vec::new(), vec![call.clone()])?;
            let value = Expr::Column(aggregate.schema.columns().remove(0));
            let parts = Parts { inner: upper, calls: vec![call], schema: aggregate.schema };
            return self.scalar_of(&parts, &value, &[], one, joined);
        };
        self.scalar_of(&parts, value, &upper.filters, true, joined)
    }

    /// Adds the value over an aggregate as a column to `joined`; null where HAVING is not true.
    fn scalar_of(
        &mut self,
        parts: &Parts,
        value: &Expr,
        having: &[Expr],
        may_hoist: bool,
        joined: &mut LogicalPlan,
    ) -> Result<Place> {
        let outer = Arc::clone(joined.schema());
        let (below, hoisted) = hoist(joined, may_hoist);
        let name = self.next();
        let exprs: Vec<Expr> = std::iter::once(value).chain(having).cloned().collect();
        let Some((grouped, mut exprs)) = join_grouped(&name, parts, &exprs, below)? else {
            return Ok(Place::Unmovable);
        };
        let value = exprs.remove(0);
        let value = where_true(exprs, value, grouped.schema())?;
        let result = format!("{name}_value");
        let mut columns: Vec<Expr> = outer.columns().into_iter().map(Expr::Column).collect();
        columns.push(value.alias(&result));
        *joined = lowered(LogicalPlanBuilder::from(grouped).project(columns)?.build()?, hoisted)?;
        Ok(Place::Joined(Expr::Column(Column::new_unqualified(result))))
    }

    fn exists(&mut self, subquery: &Subquery, joined: &mut LogicalPlan) -> Result<Option<Expr>> {
        let (plan, _) = without_limit_one(&subquery.subquery);
        if let Some(chain) = peel_rows(plan)?
            && let Some(mark) = self.mark(&chain, &[], joined)?
        {
            return Ok(Some(mark));
        }
        let marks = self.marks_by_spread(&subquery.subquery, joined, |_, _| Ok(vec![lit(true)]))?;
        Ok(marks.and_then(|marks| marks.into_iter().next()))
    }

    /// `x IN (SELECT y …)`: true where a row matches, null where one might, else false.
    fn is_in(&mut self, list: &InSubquery, joined: &mut LogicalPlan) -> Result<Option<Expr>> {
        let InSubquery { expr, subquery, negated } = list;
        let outer = Arc::clone(joined.schema());
        let x_is_null = expr.nullable(outer.as_ref())?.then(|| expr.as_ref().clone().is_null());
        let settings = self.settings;
        let marks = self.marks(&subquery.subquery, joined, |value, x_of, schema| {
            let equal = plan_comparison(settings, x_of(expr)?, Operator::Eq, value.clone(), schema)?;
            let unknown = value.nullable(schema)?.then(|| value.clone().is_null());
            Ok([Some(equal), unknown, x_is_null.as_ref().map(|_| lit(true))])
        })?;
        let Some([Some(found), unknown, any]) = marks else { return Ok(None) };
        let null = || Expr::Literal(ScalarValue::Boolean(None), None);
        let mut case = when(found, lit(true));
        if let Some(unknown) = unknown {
            case.when(unknown, null());
        }
        if let (Some(x_is_null), Some(any)) = (x_is_null, any) {
            case.when(x_is_null.and(any), null());
        }
        let result = case.otherwise(lit(false))?;
        Ok(Some(if *negated { not(result) } else { result }))
    }

    /// `x < ANY (SELECT y …)`, `x < ALL (SELECT y …)`.
    fn compares(&mut self, comparison: &SetComparison, joined: &mut LogicalPlan) -> Result<Option<Expr>> {
        let SetComparison { expr, subquery, op, quantifier } = comparison;
        let all = matches!(quantifier, SetQuantifier::All);
        let settings = self.settings;
        let marks = self.marks(&subquery.subquery, joined, |value, x_of, schema| {
            let compared = plan_comparison(settings, x_of(expr)?, *op, value.clone(), schema)?;
            let decides = if all { not(compared.clone()) } else { compared.clone() };
            Ok([Some(decides), Some(compared.is_null())])
        })?;
        let Some([Some(decided), Some(unknown)]) = marks else { return Ok(None) };
        let mut case = when(decided, lit(!all));
        let case = case.when(unknown, Expr::Literal(ScalarValue::Boolean(None), None)).otherwise(lit(all))?;
        Ok(Some(case))
    }

    /// Whether a row of a subquery of one column passes each of some conditions: columns of `joined` from now on. The
    /// conditions are over the subquery's value; the outer query's expressions are seen through the second argument.
    fn marks<const N: usize>(
        &mut self,
        subquery: &LogicalPlan,
        joined: &mut LogicalPlan,
        conditions: impl Fn(&Expr, &dyn Fn(&Expr) -> Result<Expr>, &DFSchema) -> Result<[Option<Expr>; N]>,
    ) -> Result<Option<[Option<Expr>; N]>> {
        let outer = Arc::clone(joined.schema());
        if let Some(chain) = peel_rows(subquery)? {
            let [value] = chain.columns.as_slice() else { return Ok(None) };
            let mut schema = outer.as_ref().clone();
            schema.merge(chain.base.schema());
            let before = joined.clone();
            let x_of = |expr: &Expr| as_outer(expr.clone(), &outer);
            let mut marks = std::array::from_fn(|_| None);
            let mut complete = true;
            for (mark, condition) in marks.iter_mut().zip(conditions(value, &x_of, &schema)?) {
                let Some(condition) = condition else { continue };
                let always = condition == lit(true);
                let more = if always { Vec::new() } else { vec![condition] };
                *mark = self.mark(&chain, &more, joined)?;
                complete &= mark.is_some();
            }
            if complete {
                return Ok(Some(marks));
            }
            *joined = before;
        }
        let mut wanted = [false; N];
        let marks = self.marks_by_spread(subquery, joined, |columns, schema| {
            let [value] = columns else { return Ok(Vec::new()) };
            let conditions = conditions(value, &|expr| Ok(expr.clone()), schema)?;
            for (wanted, condition) in wanted.iter_mut().zip(&conditions) {
                *wanted = condition.is_some();
            }
            Ok(conditions.into_iter().flatten().collect())
        })?;
        let Some(mut marks) = marks.map(Vec::into_iter) else { return Ok(None) };
        Ok(Some(wanted.map(|wanted| if wanted { marks.next() } else { None })))
    }

    /// The same for a subquery that only [`spread`] can move.
    fn marks_by_spread(
        &mut self,
        subquery: &LogicalPlan,
        joined: &mut LogicalPlan,
        conditions: impl FnOnce(&[Expr], &DFSchema) -> Result<Vec<Expr>>,
    ) -> Result<Option<Vec<Expr>>> {
        let name = self.next();
        let shown = joined.schema().columns().into_iter().map(Expr::Column);
        let outer = Outer::of(&name, joined.clone())?;
        let Some(spread) = self.spread(subquery, &outer)? else { return Ok(None) };
        let mut columns: Vec<Expr> = shown.collect();
        let mut aggregates = Vec::new();
        let mut marks = Vec::new();
        let matched = Expr::Column(spread.matched.clone());
        for (index, condition) in conditions(&spread.columns, spread.plan.schema())?.into_iter().enumerate() {
            let found = format!("{name}_found_{index}");
            let passes = spread::passing(matched.clone(), condition);
            aggregates.push(aggregate(bool_or_udaf(), passes, Vec::new()).alias(&found));
            let mark = format!("{name}_mark_{index}");
            columns.push(Expr::Column(Column::new_unqualified(found)).is_true().alias(&mark));
            marks.push(Expr::Column(Column::new_unqualified(mark)));
        }
        *joined =
            LogicalPlanBuilder::from(spread.plan).aggregate(outer.columns(), aggregates)?.project(columns)?.build()?;
        Ok(Some(marks))
    }

    /// The value of a scalar subquery that only [`spread`] can move.
    fn scalar_by_spread(&mut self, subquery: &Subquery, joined: &mut LogicalPlan) -> Result<Option<Expr>> {
        let name = self.next();
        let mut columns: Vec<Expr> = joined.schema().columns().into_iter().map(Expr::Column).collect();
        let outer = Outer::of(&name, joined.clone())?;
        let Some(spread) = self.spread(&subquery.subquery, &outer)? else { return Ok(None) };
        let [value] = spread.columns.as_slice() else { return Ok(None) };
        let result = format!("{name}_value");
        let value = only_matched(single(value), &spread.matched)?.alias(&result);
        let result = Expr::Column(Column::new_unqualified(result));
        columns.push(result.clone());
        *joined =
            LogicalPlanBuilder::from(spread.plan).aggregate(outer.columns(), vec![value])?.project(columns)?.build()?;
        Ok(Some(result))
    }

    /// Whether a row of a chain passes its filters and `more`: a column of `joined` from now on.
    fn mark(&mut self, chain: &Chain, more: &[Expr], joined: &mut LogicalPlan) -> Result<Option<Expr>> {
        let name = self.next();
        let conditions: Vec<Expr> = chain.filters.iter().chain(more).cloned().collect();
        let (side, conditions) = chain.attach(&name, &conditions, joined.schema())?;
        let (below, hoisted) = hoist(joined, true);
        let marked = match side {
            Side::Plan(side) if conditions.is_empty() => {
                let side = LogicalPlanBuilder::from(side).limit(0, Some(1))?.build()?;
                LogicalPlanBuilder::from(below).join_on(side, JoinType::LeftMark, vec![lit(true)])?.build()?
            }
            Side::Plan(side) => {
                LogicalPlanBuilder::from(below).join_on(side, JoinType::LeftMark, conditions)?.build()?
            }
            set => match mark_set(&name, set, &conditions, below)? {
                Some(marked) => marked,
                None => return Ok(None),
            },
        };
        // The mark has the same name in every join: a name of its own keeps the next one apart.
        let outer = marked.schema().columns();
        let Some((mark, others)) = outer.split_last() else { return Ok(None) };
        let result = format!("{name}_mark");
        let mut columns: Vec<Expr> = others.iter().cloned().map(Expr::Column).collect();
        columns.push(Expr::Column(mark.clone()).alias(&result));
        *joined = lowered(LogicalPlanBuilder::from(marked).project(columns)?.build()?, hoisted)?;
        Ok(Some(Expr::Column(Column::new_unqualified(result))))
    }
}

/// A projection with the columns below it that the subqueries of sort keys read, and that are not in the result.
fn with_columns_read<'a>(input: LogicalPlan, keys: impl Iterator<Item = &'a Expr>) -> Result<LogicalPlan> {
    let LogicalPlan::Projection(projection) = &input else { return Ok(input) };
    let mut missing: Vec<Expr> = Vec::new();
    for key in keys {
        for column in chain::outer_references_in(key)? {
            let below = projection.input.schema().maybe_index_of_column(&column).is_some();
            let expr = Expr::Column(column.clone());
            if below && projection.schema.maybe_index_of_column(&column).is_none() && !missing.contains(&expr) {
                missing.push(expr);
            }
        }
    }
    if missing.is_empty() {
        return Ok(input);
    }
    let exprs: Vec<Expr> = projection.expr.iter().cloned().chain(missing).collect();
    LogicalPlanBuilder::from(projection.input.as_ref().clone()).project(exprs)?.build()
}

/// A mark join with a set of each outer row: whether one of its elements passes.
fn mark_set(name: &str, set: Side, conditions: &[Expr], outer: LogicalPlan) -> Result<Option<LogicalPlan>> {
    let columns: Vec<Expr> = outer.schema().columns().into_iter().map(Expr::Column).collect();
    let numbered = numbered(name, outer)?;
    let groups: Vec<Expr> = numbered.schema().columns().into_iter().map(Expr::Column).collect();
    let Some(joined) = set.join(numbered, JoinType::Left, conditions)? else { return Ok(None) };
    let matched = Expr::Column(Column::new(Some(name), chain::MATCHED));
    let found = aggregate(bool_or_udaf(), matched, Vec::new()).alias(format!("{name}_found"));
    let mark = Expr::Column(Column::new_unqualified(format!("{name}_found"))).is_true().alias(format!("{name}_is"));
    let shown: Vec<Expr> = columns.into_iter().chain([mark]).collect();
    joined.aggregate(groups, vec![found])?.project(shown)?.build().map(Some)
}

fn reads_outer_beneath_alias(plan: &LogicalPlan) -> bool {
    plan.exists(|node| {
        let alias = matches!(node, LogicalPlan::SubqueryAlias(alias) if !outer_references(&alias.input).is_empty());
        Ok(alias || is_open_set(node))
    })
    .unwrap_or(true)
}

/// A condition that is asked before those with subqueries. One that reads a query further out stays with them: it is
/// moved as they are.
fn comes_first(condition: &Expr) -> bool {
    let has_subquery = condition.exists(|expr| {
        Ok(matches!(expr, Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_)))
    });
    !has_subquery.unwrap_or(true) && !condition.contains_outer()
}

/// A plan without its filter at the top, where that reads a query further out: above the join it can still be moved.
/// Not where a row that it drops could be an error.
fn hoist(plan: &LogicalPlan, may_hoist: bool) -> (LogicalPlan, Option<Expr>) {
    match plan {
        LogicalPlan::Filter(filter) if may_hoist && reads_outer(&filter.predicate, filter.input.schema()) => {
            (filter.input.as_ref().clone(), Some(filter.predicate.clone()))
        }
        plan => (plan.clone(), None),
    }
}

fn lowered(plan: LogicalPlan, hoisted: Option<Expr>) -> Result<LogicalPlan> {
    match hoisted {
        Some(predicate) => LogicalPlanBuilder::from(plan).filter(predicate)?.build(),
        None => Ok(plan),
    }
}

/// What becomes of a scalar subquery.
enum Place {
    /// It stays: DataFusion decorrelates it, or it is not correlated.
    Native,
    /// This takes its place.
    Joined(Expr),
    /// Nobody decorrelates it.
    Unmovable,
}

fn unsupported() -> DataFusionError {
    SqlError::unsupported("a subquery that reads the outer query in this way is not supported")
        .hint("Write it as a join, or move the outer query's columns into the subquery's own WHERE clause.")
        .into()
}

/// An aggregate without groups, taken apart.
struct Parts {
    inner: Chain,
    /// The aggregates, over the columns of the chain's base.
    calls: Vec<Expr>,
    /// What the aggregate's columns are called above it.
    schema: DFSchemaRef,
}

impl Parts {
    fn of(aggregate: &Aggregate) -> Result<Option<Self>> {
        let Some(inner) = peel_rows(&aggregate.input)? else { return Ok(None) };
        let calls = aggregate.aggr_expr.iter().map(|call| inner.substitute(call)).collect::<Result<Vec<_>>>()?;
        Ok(Some(Self { inner, calls, schema: Arc::clone(&aggregate.schema) }))
    }
}

/// Numbers outer rows, joins them with what a subquery reads and groups by the outer row; and expressions over the
/// aggregate's columns, over the result.
fn join_grouped(
    name: &str,
    parts: &Parts,
    above: &[Expr],
    outer: LogicalPlan,
) -> Result<Option<(LogicalPlan, Vec<Expr>)>> {
    let Parts { inner, calls, schema, .. } = parts;
    let outer_schema = Arc::clone(outer.schema());
    let exprs: Vec<Expr> = calls.iter().chain(&inner.filters).cloned().collect();
    let (side, exprs) = inner.attach(name, &exprs, &outer_schema)?;
    let (calls, conditions) = exprs.split_at(calls.len());
    let matched = Column::new(Some(name), chain::MATCHED);
    let numbered = numbered(name, outer)?;
    let groups: Vec<Expr> = numbered.schema().columns().into_iter().map(Expr::Column).collect();
    let mut aggregates = Vec::new();
    for (index, call) in calls.iter().enumerate() {
        aggregates.push(only_matched(call.clone(), &matched)?.alias(format!("{name}_{index}")));
    }
    let Some(joined) = side.join(numbered, JoinType::Left, conditions)? else { return Ok(None) };
    let grouped = joined.aggregate(groups, aggregates)?.build()?;
    let mut over = Vec::new();
    for expr in above {
        // What is above the aggregate reads its columns by their old names.
        let renamed = expr.clone().transform_up(|expr| {
            let index = match &expr {
                Expr::Column(column) => schema.index_of_column(column).ok(),
                _ => None,
            };
            Ok(index.map_or_else(
                || Transformed::no(expr),
                |index| Transformed::yes(Expr::Column(Column::new_unqualified(format!("{name}_{index}")))),
            ))
        })?;
        over.push(resolve(&renamed.data, &outer_schema)?);
    }
    Ok(Some((grouped, over)))
}

/// A plan with its rows numbered in a column after the others.
fn numbered(name: &str, plan: LogicalPlan) -> Result<LogicalPlan> {
    LogicalPlanBuilder::from(plan).window(vec![row_number().alias(format!("{name}_row"))])?.build()
}

/// A value, null where a condition is not true.
pub(super) fn where_true(conditions: Vec<Expr>, value: Expr, schema: &DFSchema) -> Result<Expr> {
    let Some(condition) = conjunction(conditions) else { return Ok(value) };
    let field = value.to_field(schema)?.1;
    let null = ScalarValue::try_from(field.data_type())?;
    let chosen = when(condition, value.clone()).otherwise(Expr::Literal(null, None))?;
    typed_as(chosen, &value, schema)
}

/// A `CASE` with the type of one of its values: it forgets the type's tag, by which keys are made of it.
fn typed_as(case: Expr, value: &Expr, schema: &DFSchema) -> Result<Expr> {
    let field = value.to_field(schema)?.1;
    let data_type = PgType::of_field(&field);
    if PgType::of_arrow(field.data_type()) == data_type { Ok(case) } else { choice::typed(case, &data_type) }
}

/// What DataFusion decorrelates well: an aggregate over equalities of inner and outer columns becomes a hash join.
fn is_native(upper: &Chain, aggregate: &Aggregate, inner: &Chain) -> bool {
    upper.filters.is_empty()
        && upper.is_plain()
        && !upper.columns.iter().chain(&aggregate.aggr_expr).any(Expr::contains_outer)
        && inner.is_plain()
        && !inner.is_set()
        && inner.filters.iter().all(|condition| match condition {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
                let pair = |one: &Expr, other: &Expr| {
                    matches!(one, Expr::Column(_)) && matches!(other, Expr::OuterReferenceColumn(..))
                };
                pair(left, right) || pair(right, left)
            }
            _ => false,
        })
}

/// The value of the first row in the order of a chain.
fn first(value: &Expr, chain: &Chain) -> Expr {
    aggregate(first_value_udaf(), value.clone(), chain.order.clone())
}

/// The value of the only row.
pub(super) fn single(value: &Expr) -> Expr {
    aggregate(single_value::single_value(), value.clone(), Vec::new())
}

fn aggregate(func: Arc<AggregateUDF>, value: Expr, order_by: Vec<datafusion::logical_expr::SortExpr>) -> Expr {
    let params =
        AggregateFunctionParams { args: vec![value], distinct: false, filter: None, order_by, null_treatment: None };
    Expr::AggregateFunction(AggregateFunction { func, params })
}

/// An aggregate over the matched rows of a left join only.
fn only_matched(call: Expr, matched: &Column) -> Result<Expr> {
    let rewritten = call.unalias().transform_up(|expr| {
        Ok(match expr {
            Expr::AggregateFunction(mut call) => {
                let matched = Expr::Column(matched.clone());
                call.params.filter = Some(Box::new(match call.params.filter.take() {
                    Some(filter) => matched.and(*filter),
                    None => matched,
                }));
                Transformed::yes(Expr::AggregateFunction(call))
            }
            expr => Transformed::no(expr),
        })
    })?;
    Ok(rewritten.data)
}

/// An expression of the outer query as the subquery sees it.
fn as_outer(expr: Expr, outer: &DFSchema) -> Result<Expr> {
    let seen = expr.transform_up(|expr| {
        Ok(match &expr {
            Expr::Column(column) => match outer.qualified_field_from_column(column) {
                Ok((_, field)) => Transformed::yes(Expr::OuterReferenceColumn(Arc::clone(field), column.clone())),
                Err(_) => Transformed::no(expr),
            },
            _ => Transformed::no(expr),
        })
    })?;
    Ok(seen.data)
}
