//! Correlated subqueries that DataFusion does not decorrelate: by inequality, without an aggregate, in a SELECT list.
//!
//! The last of the analyzer's rules. A scalar subquery becomes a left join of the numbered outer rows with the
//! subquery's tables, grouped by the outer row; `EXISTS` and `IN` become mark joins with SQL's three values. What
//! correlates in a way that [`chain`] cannot take apart stays as it is, and DataFusion refuses it.

mod chain;
mod single_value;

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, DFSchemaRef, JoinType, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams, Exists, InSubquery};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Aggregate, AggregateUDF, BinaryExpr, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, Subquery,
    lit, when,
};
use datafusion::optimizer::AnalyzerRule;

use self::chain::{Chain, peel, resolve, without_limit_one};
use super::Settings;
use super::operators::{needs_key, plan_comparison};

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
        let mut rewriter = Rewriter { settings: &self.settings, count: 0 };
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
}

impl Rewriter<'_> {
    fn node(&mut self, plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        let filters = matches!(plan, LogicalPlan::Filter(_));
        let widens = matches!(plan, LogicalPlan::Filter(_) | LogicalPlan::Sort(_) | LogicalPlan::Window(_));
        if !widens && !matches!(plan, LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_)) {
            return Ok(Transformed::no(plan));
        }
        let Some(input) = plan.inputs().first().map(|input| (*input).clone()) else { return Ok(Transformed::no(plan)) };
        let names = NamePreserver::new(&plan);
        let mut joined = input;
        let mut changed = false;
        let mut exprs = Vec::new();
        for expr in plan.expressions() {
            let name = names.save(&expr);
            let rewritten = if filters {
                self.predicate(expr, &mut joined)?
            } else {
                self.expression(expr, &mut joined)?
            };
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

    /// `EXISTS` and `IN` that are a condition of their own stay: DataFusion makes semi and anti joins of them.
    fn predicate(&mut self, predicate: Expr, joined: &mut LogicalPlan) -> Result<Transformed<Expr>> {
        let mut changed = false;
        let mut conditions = Vec::new();
        for condition in split_conjunction_owned(predicate) {
            if self.joins_natively(&condition) {
                conditions.push(condition);
                continue;
            }
            let rewritten = self.expression(condition, joined)?;
            changed |= rewritten.transformed;
            conditions.push(rewritten.data);
        }
        let predicate = conjunction(conditions).unwrap_or_else(|| lit(true));
        Ok(if changed { Transformed::yes(predicate) } else { Transformed::no(predicate) })
    }

    fn joins_natively(&self, condition: &Expr) -> bool {
        match condition {
            Expr::Not(inner) => matches!(inner.as_ref(), Expr::Exists(_)),
            Expr::Exists(_) => true,
            Expr::InSubquery(InSubquery { expr, subquery, .. }) => {
                let keyed = |field: &arrow::datatypes::Field| {
                    needs_key(&atoll_connector_api::types::PgType::of_field(field))
                };
                !subquery.subquery.schema().fields().iter().any(|field| keyed(field))
                    && !expr.exists(|expr| Ok(matches!(expr, Expr::ScalarSubquery(_)))).unwrap_or(true)
            }
            _ => false,
        }
    }

    fn expression(&mut self, expr: Expr, joined: &mut LogicalPlan) -> Result<Transformed<Expr>> {
        expr.transform_up(|expr| {
            let replaced = match &expr {
                Expr::ScalarSubquery(subquery) => self.scalar(subquery, joined)?,
                Expr::Exists(Exists { subquery, negated }) => self.exists(subquery, joined)?.map(|found| {
                    if *negated { Expr::Not(Box::new(found)) } else { found }
                }),
                Expr::InSubquery(list) => self.is_in(list, joined)?,
                _ => None,
            };
            Ok(replaced.map_or_else(|| Transformed::no(expr), Transformed::yes))
        })
    }

    fn next(&mut self) -> String {
        self.count += 1;
        format!("__subquery_{}", self.count)
    }

    /// The value of a correlated scalar subquery, a column of `joined` from now on.
    fn scalar(&mut self, subquery: &Subquery, joined: &mut LogicalPlan) -> Result<Option<Expr>> {
        if subquery.outer_ref_columns.is_empty() {
            return Ok(None);
        }
        let outer = Arc::clone(joined.schema());
        let (plan, one) = without_limit_one(&subquery.subquery);
        let Some(upper) = peel(plan)? else { return Ok(None) };
        let [value] = upper.columns.as_slice() else { return Ok(None) };
        if upper.reads_one_row() {
            return Ok(resolve(value, &outer)?.filter(|_| upper.filters.is_empty()));
        }
        let parts = if let Some(aggregate) = upper.open_aggregate() {
            let Some(inner) = peel(&aggregate.input)? else { return Ok(None) };
            if inner.open_aggregate().is_some() || is_native(&upper, aggregate, &inner) {
                return Ok(None);
            }
            let calls = aggregate.aggr_expr.iter().map(|call| inner.substitute(call)).collect::<Result<Vec<_>>>()?;
            Parts { inner, calls, schema: Arc::clone(&aggregate.schema), value: value.clone(), having: upper.filters }
        } else {
            let call = if one { first(value, &upper) } else { single(value) };
            let aggregate = Aggregate::try_new(Arc::new(upper.base.clone()), Vec::new(), vec![call.clone()])?;
            let value = Expr::Column(aggregate.schema.columns().remove(0));
            Parts { inner: upper, calls: vec![call], schema: aggregate.schema, value, having: Vec::new() }
        };
        self.join_grouped(parts, &outer, joined)
    }

    /// Joins outer rows with what the subquery reads, and groups by the outer row.
    fn join_grouped(&mut self, parts: Parts, outer: &DFSchema, joined: &mut LogicalPlan) -> Result<Option<Expr>> {
        let Parts { inner, calls, schema, value, having } = parts;
        let name = self.next();
        let mut exprs = calls;
        let condition_at = exprs.len();
        exprs.extend(inner.filters.iter().cloned());
        let Some((side, exprs)) = inner.attach(&name, &exprs, outer)? else { return Ok(None) };
        let (calls, conditions) = exprs.split_at(condition_at);
        let matched = Column::new(Some(name.clone()), chain::MATCHED);

        let row = format!("{name}_row");
        let numbered = LogicalPlanBuilder::from(joined.clone()).window(vec![row_number().alias(&row)])?.build()?;
        let groups: Vec<Expr> = numbered.schema().columns().into_iter().map(Expr::Column).collect();
        let conditions = if conditions.is_empty() { vec![lit(true)] } else { conditions.to_vec() };
        let mut aggregates = Vec::new();
        for (index, call) in calls.iter().enumerate() {
            aggregates.push(only_matched(call.clone(), &matched)?.alias(format!("{name}_{index}")));
        }
        let grouped = LogicalPlanBuilder::from(numbered)
            .join_on(side, JoinType::Left, conditions)?
            .aggregate(groups, aggregates)?
            .build()?;

        // What is above the aggregate reads its columns by their old names.
        let above = |expr: &Expr| -> Result<Option<Expr>> {
            let renamed = expr.clone().transform_up(|expr| {
                Ok(match &expr {
                    Expr::Column(column) => match schema.index_of_column(column) {
                        Ok(index) => {
                            Transformed::yes(Expr::Column(Column::new_unqualified(format!("{name}_{index}"))))
                        }
                        Err(_) => Transformed::no(expr),
                    },
                    _ => Transformed::no(expr),
                })
            })?;
            resolve(&renamed.data, outer)
        };
        let Some(mut value) = above(&value)? else { return Ok(None) };
        for condition in &having {
            let Some(condition) = above(condition)? else { return Ok(None) };
            let data_type = value.get_type(grouped.schema())?;
            value = when(condition, value).otherwise(Expr::Literal(ScalarValue::try_from(&data_type)?, None))?;
        }
        let result = format!("{name}_value");
        let mut columns: Vec<Expr> = outer.columns().into_iter().map(Expr::Column).collect();
        columns.push(value.alias(&result));
        *joined = LogicalPlanBuilder::from(grouped).project(columns)?.build()?;
        Ok(Some(Expr::Column(Column::new_unqualified(result))))
    }

    fn exists(&mut self, subquery: &Subquery, joined: &mut LogicalPlan) -> Result<Option<Expr>> {
        let (plan, _) = without_limit_one(&subquery.subquery);
        let Some(chain) = peel(plan)?.filter(|chain| chain.open_aggregate().is_none()) else { return Ok(None) };
        self.mark(&chain, &[], joined)
    }

    /// `x IN (SELECT y …)`: true where a row matches, null where one might, else false.
    fn is_in(&mut self, list: &InSubquery, joined: &mut LogicalPlan) -> Result<Option<Expr>> {
        let InSubquery { expr, subquery, negated } = list;
        let Some(chain) = peel(&subquery.subquery)?.filter(|chain| chain.open_aggregate().is_none()) else {
            return Ok(None);
        };
        let [value] = chain.columns.as_slice() else { return Ok(None) };
        let outer = Arc::clone(joined.schema());
        let mut schema = outer.as_ref().clone();
        schema.merge(chain.base.schema());
        let (x_nullable, y_nullable) = (expr.nullable(outer.as_ref())?, value.nullable(&schema)?);
        let x = as_outer(expr.as_ref().clone(), &outer)?;
        let equal = plan_comparison(self.settings, x, Operator::Eq, value.clone(), &schema)?;
        let unknown = value.clone().is_null();

        let Some(found) = self.mark(&chain, &[equal], joined)? else { return Ok(None) };
        let mut case = when(found, lit(true));
        if y_nullable {
            let Some(null) = self.mark(&chain, &[unknown], joined)? else { return Ok(None) };
            case.when(null, Expr::Literal(ScalarValue::Boolean(None), None));
        }
        if x_nullable {
            let Some(any) = self.mark(&chain, &[], joined)? else { return Ok(None) };
            case.when(expr.as_ref().clone().is_null().and(any), Expr::Literal(ScalarValue::Boolean(None), None));
        }
        let result = case.otherwise(lit(false))?;
        Ok(Some(if *negated { Expr::Not(Box::new(result)) } else { result }))
    }

    /// Whether a row of a chain passes its filters and `more`: a column of `joined` from now on.
    fn mark(&mut self, chain: &Chain, more: &[Expr], joined: &mut LogicalPlan) -> Result<Option<Expr>> {
        let name = self.next();
        let conditions: Vec<Expr> = chain.filters.iter().chain(more).cloned().collect();
        let Some((side, conditions)) = chain.attach(&name, &conditions, joined.schema())? else { return Ok(None) };
        let (side, conditions) = if conditions.is_empty() {
            (LogicalPlanBuilder::from(side).limit(0, Some(1))?.build()?, vec![lit(true)])
        } else {
            (side, conditions)
        };
        *joined = LogicalPlanBuilder::from(joined.clone()).join_on(side, JoinType::LeftMark, conditions)?.build()?;
        // The mark has the same name in every join: a name of its own keeps the next one apart.
        let outer = joined.schema().columns();
        let Some((mark, others)) = outer.split_last() else { return Ok(None) };
        let result = format!("{name}_mark");
        let mut columns: Vec<Expr> = others.iter().cloned().map(Expr::Column).collect();
        columns.push(Expr::Column(mark.clone()).alias(&result));
        *joined = LogicalPlanBuilder::from(joined.clone()).project(columns)?.build()?;
        Ok(Some(Expr::Column(Column::new_unqualified(result))))
    }
}

/// A scalar subquery taken apart.
struct Parts {
    inner: Chain,
    /// The aggregates, over the columns of the chain's base.
    calls: Vec<Expr>,
    /// What the aggregate's columns are called above it.
    schema: DFSchemaRef,
    /// The result, over the aggregate's columns.
    value: Expr,
    /// `HAVING`: where it is not true there is no row, and the value is null.
    having: Vec<Expr>,
}

/// What DataFusion decorrelates well: an aggregate over equalities of inner and outer columns becomes a hash join.
fn is_native(upper: &Chain, aggregate: &Aggregate, inner: &Chain) -> bool {
    upper.filters.is_empty()
        && upper.is_plain()
        && !upper.columns.iter().chain(&aggregate.aggr_expr).any(Expr::contains_outer)
        && inner.is_plain()
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
fn single(value: &Expr) -> Expr {
    aggregate(single_value::single_value(), value.clone(), Vec::new())
}

fn aggregate(func: Arc<AggregateUDF>, value: Expr, order_by: Vec<datafusion::logical_expr::SortExpr>) -> Expr {
    let params = AggregateFunctionParams { args: vec![value], distinct: false, filter: None, order_by, null_treatment: None };
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
