//! Subqueries that read the outer query in places from which [`super::chain`] cannot move it: below groups, windows,
//! limits, DISTINCT, set operations and outer joins.
//!
//! Their operators are applied to all outer rows at once. The outer rows are numbered, and each operator then works for
//! every row by itself: groups and windows get the row's number as a further key. An outer row that the subquery gives
//! nothing for must not get lost on the way, so each is there at least once; rows that are nobody's are marked as such,
//! and their values are NULL, so that nothing is computed of them that could fail.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, DFSchemaRef, JoinType, NullEquality, TableReference};
use datafusion::error::Result;
use datafusion::functions_aggregate::bool_and_or::bool_or_udaf;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    Aggregate, Distinct, DistinctOn, Expr, ExprFunctionExt, FetchType, Filter, Join, Limit, LogicalPlan,
    LogicalPlanBuilder, Operator, Projection, SkipType, SortExpr, Union, Values, Window, binary_expr, lit, not, when,
};

use super::chain::{Chain, MATCHED, has_subquery, outer_references, peel};
use super::lateral::one_at_least;
use super::{Rewriter, aggregate, numbered, only_matched, where_true};

/// Branches of a set operation that reads the outer query.
const BRANCHES_MAX: usize = 64;

/// The rows for which a subquery is asked.
pub(super) struct Outer {
    plan: LogicalPlan,
    /// The column that numbers the rows.
    row: Expr,
    /// For which rows the subquery has rows at all.
    guard: Option<Expr>,
}

/// A subquery's rows beside the outer rows that they belong to.
pub(super) struct Spread {
    /// The outer rows' columns first. Each outer row is there once or more.
    pub(super) plan: LogicalPlan,
    /// The subquery's columns.
    pub(super) columns: Vec<Expr>,
    /// The column that says whether a row is one of the subquery's: true, or else false or NULL.
    pub(super) matched: Column,
    order: Vec<SortExpr>,
    /// What the columns are called in the subquery.
    schema: DFSchemaRef,
}

impl Outer {
    /// Numbers the rows of a plan.
    pub(super) fn of(name: &str, plan: LogicalPlan) -> Result<Self> {
        let row = Expr::Column(Column::new_unqualified(format!("{name}_row")));
        Ok(Self { plan: numbered(name, plan)?, row, guard: None })
    }

    /// The outer columns, the number among them.
    pub(super) fn columns(&self) -> Vec<Expr> {
        self.plan.schema().columns().into_iter().map(Expr::Column).collect()
    }
}

impl Spread {
    fn is_matched(&self) -> Expr {
        Expr::Column(self.matched.clone())
    }

    /// An expression of the subquery over its columns as they are here, what it reads of the outer query included.
    pub(super) fn over(&self, expr: Expr) -> Result<Expr> {
        over(expr, self.plan.schema(), |column| self.columns.get(self.schema.maybe_index_of_column(column)?).cloned())
    }

    fn all_over(&self, exprs: &[Expr]) -> Result<Vec<Expr>> {
        exprs.iter().map(|expr| self.over(expr.clone().unalias_nested().data)).collect()
    }

    /// The same row numbers within one outer row, in an order.
    fn place(&self, name: &str, outer: &Outer, keys: Vec<Expr>, order: Vec<SortExpr>) -> Result<(LogicalPlan, Expr)> {
        let place = format!("{name}_place");
        let keys = [outer.row.clone(), self.is_matched()].into_iter().chain(keys).collect();
        let number = row_number().partition_by(keys).order_by(order).build()?.alias(&place);
        let plan = LogicalPlanBuilder::from(self.plan.clone()).window(vec![number])?.build()?;
        Ok((plan, Expr::Column(Column::new_unqualified(place))))
    }
}

/// Which values a step leaves to rows that are nobody's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nobody {
    /// Columns are NULL there already.
    HasNulls,
    /// More rows are nobody's than before.
    Grows,
}

/// One operator applied.
struct Step<'a> {
    outer: &'a Outer,
    plan: LogicalPlan,
    values: Vec<Expr>,
    order: Vec<SortExpr>,
    matched: Expr,
    schema: &'a DFSchemaRef,
    nobody: Nobody,
}

impl Rewriter<'_> {
    /// Applies a subquery to outer rows; `None` where it has an operator that cannot be.
    pub(super) fn spread(&mut self, subquery: &LogicalPlan, outer: &Outer) -> Result<Option<Spread>> {
        if let Some(chain) = peel(subquery)?
            && chain.limit.is_none()
            && chain.open_aggregate().is_none()
        {
            return self.leaf(&chain, subquery.schema(), outer);
        }
        match subquery {
            LogicalPlan::Projection(projection) => self.projected(projection, outer),
            LogicalPlan::SubqueryAlias(alias) => {
                let below = self.spread(&alias.input, outer)?;
                Ok(below.map(|below| Spread { schema: Arc::clone(&alias.schema), ..below }))
            }
            LogicalPlan::Subquery(lateral) => self.spread(&lateral.subquery, outer),
            LogicalPlan::Filter(filter) => self.filtered(filter, outer),
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => {
                if sort.expr.iter().any(|item| has_subquery(&item.expr)) {
                    return Ok(None);
                }
                let Some(below) = self.spread(&sort.input, outer)? else { return Ok(None) };
                let order = ordered(&below, &sort.expr)?;
                let step = Step { order, ..Step::above(&below, outer, &sort.input) };
                self.settle(step).map(Some)
            }
            LogicalPlan::Limit(limit) => self.limited(limit, outer),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let Some(below) = self.spread(input, outer)? else { return Ok(None) };
                let columns = below.columns.clone();
                self.grouped(&below, &columns, &[], input.schema(), outer).map(Some)
            }
            LogicalPlan::Distinct(Distinct::On(distinct)) => self.first_of_each(distinct, outer),
            LogicalPlan::Aggregate(aggregate) => self.aggregated(aggregate, outer),
            LogicalPlan::Window(window) => self.windowed(window, outer),
            LogicalPlan::Join(join) => self.joined(join, outer),
            LogicalPlan::Union(union) => self.united(union, outer),
            LogicalPlan::Values(values) => self.listed(values, outer),
            _ => Ok(None),
        }
    }

    /// What reads the outer query in nothing but conditions.
    fn leaf(&mut self, chain: &Chain, schema: &DFSchemaRef, outer: &Outer) -> Result<Option<Spread>> {
        let name = self.next();
        let order = chain.order.iter().map(|item| &item.expr);
        let exprs: Vec<Expr> = chain.columns.iter().chain(order).chain(&chain.filters).cloned().collect();
        let (side, mut exprs) = chain.attach(&name, &exprs, outer.plan.schema())?;
        let mut conditions = exprs.split_off(chain.columns.len() + chain.order.len());
        let order = exprs.split_off(chain.columns.len());
        conditions.extend(outer.guard.clone());
        let Some(plan) = side.join(outer.plan.clone(), JoinType::Left, &conditions)? else { return Ok(None) };
        let matched = Expr::Column(Column::new(Some(name), MATCHED));
        let order = chain.order.iter().zip(order).map(|(item, expr)| item.with_expr(expr)).collect();
        let nobody = if chain.is_set() { Nobody::Grows } else { Nobody::HasNulls };
        self.settle(Step { outer, plan: plan.build()?, values: exprs, order, matched, schema, nobody }).map(Some)
    }

    /// Names everything anew, so that nothing above is taken for something below.
    fn settle(&mut self, step: Step<'_>) -> Result<Spread> {
        let Step { outer, plan, values, order, matched, schema, nobody } = step;
        let name = self.next();
        let qualifier = || Some(TableReference::bare(name.clone()));
        let mut exprs = outer.columns();
        let keys = order.iter().map(|item| item.expr.clone());
        let value_count = values.len();
        for (index, value) in values.into_iter().chain(keys).enumerate() {
            let is_null = nobody == Nobody::HasNulls && matches!(value, Expr::Column(_));
            let value = if is_null { value } else { where_true(vec![matched.clone()], value, plan.schema())? };
            exprs.push(value.alias_qualified(qualifier(), format!("v{index}")));
        }
        exprs.push(matched.alias_qualified(qualifier(), MATCHED));
        let plan = LogicalPlanBuilder::from(plan).project(exprs)?.build()?;
        let named = |index: usize| Expr::Column(Column::new(qualifier(), format!("v{index}")));
        let columns = (0..value_count).map(named).collect();
        let order = order.iter().enumerate().map(|(index, item)| item.with_expr(named(value_count + index))).collect();
        let matched = Column::new(qualifier(), MATCHED);
        Ok(Spread { plan, columns, matched, order, schema: Arc::clone(schema) })
    }

    /// Takes subqueries out of expressions over a plan: they become columns of it.
    fn without_subqueries(&mut self, exprs: &[Expr], input: &mut LogicalPlan) -> Result<Vec<Expr>> {
        let within = std::mem::replace(&mut self.moving, true);
        let exprs = exprs
            .iter()
            .map(
                |expr| {
                    if has_subquery(expr) { Ok(self.expression(expr.clone(), input)?.data) } else { Ok(expr.clone()) }
                },
            )
            .collect();
        self.moving = within;
        exprs
    }

    fn projected(&mut self, projection: &Projection, outer: &Outer) -> Result<Option<Spread>> {
        let mut input = projection.input.as_ref().clone();
        let exprs = self.without_subqueries(&projection.expr, &mut input)?;
        let Some(below) = self.spread(&input, outer)? else { return Ok(None) };
        let values = below.all_over(&exprs)?;
        let step = Step { values, schema: &projection.schema, ..Step::above(&below, outer, &input) };
        self.settle(step).map(Some)
    }

    fn filtered(&mut self, filter: &Filter, outer: &Outer) -> Result<Option<Spread>> {
        let mut input = filter.input.as_ref().clone();
        let predicate = self.without_subqueries(std::slice::from_ref(&filter.predicate), &mut input)?;
        let Some(below) = self.spread(&input, outer)? else { return Ok(None) };
        let matched = below.all_over(&predicate)?.into_iter().fold(below.is_matched(), passing);
        let values = filter.input.schema().columns().into_iter().map(Expr::Column).collect::<Vec<_>>();
        let values = below.all_over(&values)?;
        let schema = filter.input.schema();
        let step = Step { values, schema, matched, nobody: Nobody::Grows, ..Step::above(&below, outer, &input) };
        self.settle(step).map(Some)
    }

    fn limited(&mut self, limit: &Limit, outer: &Outer) -> Result<Option<Spread>> {
        let (Ok(SkipType::Literal(skip)), Ok(FetchType::Literal(fetch))) =
            (limit.get_skip_type(), limit.get_fetch_type())
        else {
            return Ok(None);
        };
        let Some(below) = self.spread(&limit.input, outer)? else { return Ok(None) };
        let (plan, place) = below.place(&self.next(), outer, Vec::new(), below.order.clone())?;
        let first = u64::try_from(skip).unwrap_or(u64::MAX);
        let mut within = place.clone().gt(lit(first));
        if let Some(fetch) = fetch {
            within = within.and(place.lt_eq(lit(first.saturating_add(u64::try_from(fetch).unwrap_or(u64::MAX)))));
        }
        let matched = passing(below.is_matched(), within);
        let step = Step { plan, matched, nobody: Nobody::Grows, ..Step::above(&below, outer, &limit.input) };
        self.settle(step).map(Some)
    }

    fn first_of_each(&mut self, distinct: &DistinctOn, outer: &Outer) -> Result<Option<Spread>> {
        let Some(below) = self.spread(&distinct.input, outer)? else { return Ok(None) };
        let order = match &distinct.sort_expr {
            Some(order) => ordered(&below, order)?,
            None => below.order.clone(),
        };
        let (plan, place) = below.place(&self.next(), outer, below.all_over(&distinct.on_expr)?, order.clone())?;
        let matched = passing(below.is_matched(), place.eq(lit(1_u64)));
        let values = below.all_over(&distinct.select_expr)?;
        let schema = &distinct.schema;
        let step = Step { outer, plan, values, order, matched, schema, nobody: Nobody::Grows };
        self.settle(step).map(Some)
    }

    fn aggregated(&mut self, aggregate: &Aggregate, outer: &Outer) -> Result<Option<Spread>> {
        let exprs = aggregate.group_expr.iter().chain(&aggregate.aggr_expr);
        if exprs.clone().any(|expr| has_subquery(expr) || matches!(expr, Expr::GroupingSet(_))) {
            return Ok(None);
        }
        let Some(below) = self.spread(&aggregate.input, outer)? else { return Ok(None) };
        let keys = below.all_over(&aggregate.group_expr)?;
        let calls = below.all_over(&aggregate.aggr_expr)?;
        if !keys.is_empty() {
            return self.grouped(&below, &keys, &calls, &aggregate.schema, outer).map(Some);
        }
        let (aggregates, values) = self.calls(&below, &calls)?;
        let plan = LogicalPlanBuilder::from(below.plan.clone()).aggregate(outer.columns(), aggregates)?.build()?;
        let matched = outer.guard.clone().unwrap_or_else(|| lit(true));
        let schema = &aggregate.schema;
        let step = Step { outer, plan, values, order: Vec::new(), matched, schema, nobody: Nobody::Grows };
        self.settle(step).map(Some)
    }

    /// Aggregates of the subquery's rows, and the columns that they become.
    fn calls(&mut self, below: &Spread, calls: &[Expr]) -> Result<(Vec<Expr>, Vec<Expr>)> {
        let name = self.next();
        let names = (0..calls.len()).map(|index| format!("{name}_{index}"));
        let aggregates = calls
            .iter()
            .zip(names.clone())
            .map(|(call, name)| Ok(only_matched(call.clone(), &below.matched)?.alias(name)))
            .collect::<Result<_>>()?;
        Ok((aggregates, names.map(|name| Expr::Column(Column::new_unqualified(name))).collect()))
    }

    /// Groups within each outer row.
    fn grouped(
        &mut self,
        below: &Spread,
        keys: &[Expr],
        calls: &[Expr],
        schema: &DFSchemaRef,
        outer: &Outer,
    ) -> Result<Spread> {
        let name = self.next();
        let mut groups = outer.columns();
        groups.push(below.is_matched());
        let key_names = (0..keys.len()).map(|index| format!("{name}_key_{index}"));
        let projected = below.plan.schema().columns().into_iter().map(Expr::Column);
        let projected: Vec<Expr> =
            projected.chain(keys.iter().zip(key_names.clone()).map(|(key, name)| key.clone().alias(name))).collect();
        let values: Vec<Expr> = key_names.map(|name| Expr::Column(Column::new_unqualified(name))).collect();
        groups.extend(values.iter().cloned());
        let (aggregates, results) = self.calls(below, calls)?;
        let plan =
            LogicalPlanBuilder::from(below.plan.clone()).project(projected)?.aggregate(groups, aggregates)?.build()?;
        let values = values.into_iter().chain(results).collect();
        let matched = below.is_matched();
        self.settle(Step { outer, plan, values, order: Vec::new(), matched, schema, nobody: Nobody::Grows })
    }

    fn windowed(&mut self, window: &Window, outer: &Outer) -> Result<Option<Spread>> {
        if window.window_expr.iter().any(has_subquery) {
            return Ok(None);
        }
        let Some(below) = self.spread(&window.input, outer)? else { return Ok(None) };
        let name = self.next();
        let mut calls = Vec::new();
        let mut values = below.columns.clone();
        for (index, call) in below.all_over(&window.window_expr)?.into_iter().enumerate() {
            let call = call.transform_up(|expr| {
                Ok(match expr {
                    Expr::WindowFunction(mut call) => {
                        call.params.partition_by.extend([outer.row.clone(), below.is_matched()]);
                        Transformed::yes(Expr::WindowFunction(call))
                    }
                    expr => Transformed::no(expr),
                })
            })?;
            let result = format!("{name}_{index}");
            calls.push(call.data.alias(&result));
            values.push(Expr::Column(Column::new_unqualified(result)));
        }
        let plan = LogicalPlanBuilder::from(below.plan.clone()).window(calls)?.build()?;
        let step = Step {
            plan,
            values,
            schema: &window.schema,
            nobody: Nobody::Grows,
            ..Step::above(&below, outer, &window.input)
        };
        self.settle(step).map(Some)
    }

    fn joined(&mut self, join: &Join, outer: &Outer) -> Result<Option<Spread>> {
        let on = join.on.iter().map(|(left, right)| match join.null_equality {
            NullEquality::NullEqualsNothing => left.clone().eq(right.clone()),
            NullEquality::NullEqualsNull => binary_expr(left.clone(), Operator::IsNotDistinctFrom, right.clone()),
        });
        let filter = join.filter.iter().flat_map(|filter| split_conjunction(filter)).cloned();
        let conditions: Vec<Expr> = on.chain(filter).filter(|condition| *condition != lit(true)).collect();
        if conditions.iter().any(has_subquery) {
            return Ok(None);
        }
        let right_is_open = !outer_references(&join.right).is_empty();
        let left_is_open = !outer_references(&join.left).is_empty();
        match join.join_type {
            JoinType::Inner if right_is_open && !left_is_open => {
                self.beside(join, (&join.right, &join.left), conditions, outer)
            }
            JoinType::Right if !left_is_open => self.beside(join, (&join.right, &join.left), conditions, outer),
            JoinType::Inner | JoinType::Left | JoinType::LeftMark | JoinType::LeftSemi | JoinType::LeftAnti => {
                if right_is_open {
                    self.both(join, &conditions, outer)
                } else {
                    self.beside(join, (&join.left, &join.right), conditions, outer)
                }
            }
            _ => Ok(None),
        }
    }

    /// A join of which one side, the second, reads nothing of the outer query but in the join's conditions.
    fn beside(
        &mut self,
        join: &Join,
        (open, closed): (&LogicalPlan, &LogicalPlan),
        conditions: Vec<Expr>,
        outer: &Outer,
    ) -> Result<Option<Spread>> {
        let Some(below) = self.spread(open, outer)? else { return Ok(None) };
        let name = self.next();
        let qualified = |name: &str, column: String| Expr::Column(Column::new(Some(name), column));
        let count = closed.schema().fields().len();
        let beside: Vec<Expr> = (0..count).map(|index| qualified(&name, format!("c{index}"))).collect();
        let columns = closed.schema().columns().into_iter().enumerate();
        let columns = columns.map(|(index, column)| Expr::Column(column).alias(format!("c{index}")));
        let columns: Vec<Expr> = columns.chain([lit(true).alias(MATCHED)]).collect();
        let side = LogicalPlanBuilder::from(closed.clone()).project(columns)?.alias(&name)?.build()?;
        let mut on = vec![below.is_matched()];
        for condition in conditions {
            on.push(over(condition, below.plan.schema(), |column| {
                let open = below.schema.maybe_index_of_column(column).and_then(|index| below.columns.get(index));
                let closed = || beside.get(closed.schema().maybe_index_of_column(column)?);
                open.or_else(closed).cloned()
            })?);
        }
        let marks = matches!(join.join_type, JoinType::LeftMark | JoinType::LeftSemi | JoinType::LeftAnti);
        let kind = if marks { JoinType::LeftMark } else { JoinType::Left };
        let plan = LogicalPlanBuilder::from(below.plan.clone()).join_on(side, kind, on)?.build()?;
        let mark = plan.schema().columns().pop().map_or_else(|| lit(false), Expr::Column);
        let found = qualified(&name, MATCHED.to_owned());
        let step = Step { schema: &join.schema, nobody: Nobody::Grows, ..Step::above(&below, outer, open) };
        let both = |first: &[Expr], second: &[Expr]| [first, second].concat();
        let step = match join.join_type {
            JoinType::Inner if std::ptr::eq(open, join.right.as_ref()) => {
                Step { values: both(&beside, &below.columns), matched: below.is_matched().and(found), ..step }
            }
            JoinType::Inner => {
                Step { values: both(&below.columns, &beside), matched: below.is_matched().and(found), ..step }
            }
            JoinType::Right => Step { values: both(&beside, &below.columns), ..step },
            JoinType::LeftMark => Step { values: both(&below.columns, &[mark]), ..step },
            JoinType::LeftSemi => Step { matched: below.is_matched().and(mark), ..step },
            JoinType::LeftAnti => Step { matched: below.is_matched().and(not(mark)), ..step },
            _ => Step { values: both(&below.columns, &beside), ..step },
        };
        self.settle(Step { plan, ..step }).map(Some)
    }

    /// A join whose right side reads the outer query: it is applied to the rows of the left side.
    fn both(&mut self, join: &Join, conditions: &[Expr], outer: &Outer) -> Result<Option<Spread>> {
        let Some(first) = self.spread(&join.left, outer)? else { return Ok(None) };
        let name = self.next();
        let rows = Outer { guard: Some(first.is_matched()), ..Outer::of(&name, first.plan.clone())? };
        let Some(second) = self.spread(&join.right, &rows)? else { return Ok(None) };
        let mut found = second.is_matched();
        for condition in conditions {
            let condition = over(condition.clone(), second.plan.schema(), |column| {
                let left = first.schema.maybe_index_of_column(column).and_then(|index| first.columns.get(index));
                let right = || second.columns.get(second.schema.maybe_index_of_column(column)?);
                left.or_else(right).cloned()
            })?;
            found = passing(found, condition);
        }
        let step = Step { schema: &join.schema, nobody: Nobody::Grows, ..Step::above(&first, outer, &join.left) };
        let step = match join.join_type {
            JoinType::Inner => {
                let values = [first.columns, second.columns].concat();
                Step { plan: second.plan, values, matched: found, ..step }
            }
            JoinType::Left => {
                let (plan, found) = one_at_least(&name, second.plan, found)?;
                let right = second.columns.into_iter();
                let right = right.map(|value| where_true(vec![found.clone()], value, plan.schema()));
                let values = first.columns.iter().cloned().map(Ok).chain(right).collect::<Result<_>>()?;
                Step { plan, values, ..step }
            }
            kind => {
                let mark = format!("{name}_mark");
                let any = aggregate(bool_or_udaf(), found, Vec::new()).alias(&mark);
                let plan = LogicalPlanBuilder::from(second.plan).aggregate(rows.columns(), vec![any])?.build()?;
                let mark = Expr::Column(Column::new_unqualified(mark)).is_true();
                let is_matched = first.is_matched();
                match kind {
                    JoinType::LeftSemi => Step { plan, matched: is_matched.and(mark), ..step },
                    JoinType::LeftAnti => Step { plan, matched: is_matched.and(not(mark)), ..step },
                    _ => Step { plan, values: first.columns.into_iter().chain([mark]).collect(), ..step },
                }
            }
        };
        self.settle(step).map(Some)
    }

    /// Each outer row several times, with a number from 0 on beside it.
    fn repeated(&mut self, count: usize, outer: &Outer) -> Result<(LogicalPlan, Expr)> {
        let name = self.next();
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let tags = LogicalPlanBuilder::values((0..count).map(|tag| vec![lit(tag)]).collect())?
            .project(vec![Expr::Column(Column::new_unqualified("column1")).alias("tag")])?
            .alias(&name)?
            .build()?;
        let plan = LogicalPlanBuilder::from(outer.plan.clone()).cross_join(tags)?.build()?;
        Ok((plan, Expr::Column(Column::new(Some(name), "tag"))))
    }

    /// A list of rows made of the outer row.
    fn listed(&mut self, list: &Values, outer: &Outer) -> Result<Option<Spread>> {
        if list.values.len() > BRANCHES_MAX || list.values.iter().flatten().any(has_subquery) {
            return Ok(None);
        }
        let (plan, tag) = self.repeated(list.values.len(), outer)?;
        let mut rows = Vec::new();
        for (row, number) in list.values.iter().zip(0_i64..) {
            let cells = row.iter().map(|cell| over(cell.clone(), plan.schema(), |_| None)).collect::<Result<_>>()?;
            rows.push((tag.clone().eq(lit(number)), cells));
        }
        let Some(values) = columns_of(&rows, list.schema.fields().len(), plan.schema())? else { return Ok(None) };
        let matched = outer.guard.clone().unwrap_or_else(|| lit(true));
        let schema = &list.schema;
        let step = Step { outer, plan, values, order: Vec::new(), matched, schema, nobody: Nobody::Grows };
        self.settle(step).map(Some)
    }

    /// Each outer row once for each branch, whose rows it gets.
    fn united(&mut self, union: &Union, outer: &Outer) -> Result<Option<Spread>> {
        if union.inputs.len() > BRANCHES_MAX {
            return Ok(None);
        }
        let (mut plan, tag) = self.repeated(union.inputs.len(), outer)?;
        let mut matched = lit(false);
        let mut branches = Vec::new();
        for (input, number) in union.inputs.iter().zip(0_i64..) {
            let own = tag.clone().eq(lit(number));
            let guard = outer.guard.iter().cloned().fold(own.clone(), Expr::and);
            let rows = Outer { guard: Some(guard), ..Outer::of(&self.next(), plan)? };
            let Some(branch) = self.spread(input, &rows)? else { return Ok(None) };
            matched = matched.or(own.clone().and(branch.is_matched()));
            plan = branch.plan;
            branches.push((own, branch.columns));
        }
        let Some(values) = columns_of(&branches, union.schema.fields().len(), plan.schema())? else { return Ok(None) };
        let schema = &union.schema;
        let step = Step { outer, plan, values, order: Vec::new(), matched, schema, nobody: Nobody::Grows };
        self.settle(step).map(Some)
    }
}

/// The columns of several branches, each with the condition of its rows; `None` where a branch has fewer.
fn columns_of(branches: &[(Expr, Vec<Expr>)], count: usize, schema: &DFSchema) -> Result<Option<Vec<Expr>>> {
    let mut values = Vec::new();
    for index in 0..count {
        let mut value: Option<Expr> = None;
        for (own, columns) in branches.iter().rev() {
            let Some(column) = columns.get(index) else { return Ok(None) };
            value = Some(match value {
                None => column.clone(),
                Some(others) => chosen(own, column, others, schema)?,
            });
        }
        values.extend(value);
    }
    Ok(Some(values))
}

impl<'a> Step<'a> {
    /// A step that changes nothing.
    fn above(below: &Spread, outer: &'a Outer, input: &'a LogicalPlan) -> Self {
        Self {
            outer,
            plan: below.plan.clone(),
            values: below.columns.clone(),
            order: below.order.clone(),
            matched: below.is_matched(),
            schema: input.schema(),
            nobody: Nobody::HasNulls,
        }
    }
}

/// A condition of rows that are somebody's, which alone are asked.
pub(super) fn passing(matched: Expr, condition: Expr) -> Expr {
    match when(matched.clone(), condition.clone()).otherwise(lit(false)) {
        Ok(case) => case,
        Err(_) => matched.and(condition),
    }
}

/// A value where a condition is true, else another of the same type.
fn chosen(condition: &Expr, value: &Expr, other: Expr, schema: &DFSchema) -> Result<Expr> {
    let typed = where_true(vec![condition.clone()], value.clone(), schema)?;
    let case = when(condition.clone(), typed).otherwise(other)?;
    super::typed_as(case, value, schema)
}

fn ordered(below: &Spread, order: &[SortExpr]) -> Result<Vec<SortExpr>> {
    order.iter().map(|item| Ok(item.with_expr(below.over(item.expr.clone())?))).collect()
}

/// An expression with other expressions for its columns, and with the outer columns that `outer` has.
fn over(expr: Expr, outer: &DFSchema, column: impl Fn(&Column) -> Option<Expr>) -> Result<Expr> {
    let replaced = expr.transform_up(|expr| {
        Ok(match &expr {
            Expr::Column(name) => column(name).map_or_else(|| Transformed::no(expr), Transformed::yes),
            Expr::OuterReferenceColumn(_, name) if outer.maybe_index_of_column(name).is_some() => {
                Transformed::yes(Expr::Column(name.clone()))
            }
            _ => Transformed::no(expr),
        })
    })?;
    Ok(replaced.data)
}
