//! `AND` and `OR` that ask what may fail only of the rows that are not decided without it.
//!
//! SQL promises no order, but people write `x <> 0 AND 10 / x > 3`, and PostgreSQL answers it. DataFusion computes both
//! sides for every row, and makes such conditions of a boolean `CASE`, too. Of a conjunction the conditions that cannot
//! fail come first here, in their order: filters of a subquery and of the query around it are one conjunction by now.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::compute::{and_kleene, not, or_kleene};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::expressions::{BinaryExpr, CastExpr, Column, NegativeExpr, TryCastExpr, binary};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};

/// Functions that answer for every value.
const INFALLIBLE: &[&str] =
    &["pg_key", "pg_compare", "pg_typed", "pg_float", "lower", "upper", "btrim", "ltrim", "rtrim", "length"];

/// The rule. It comes before those that push filters down, which then see the conditions as they are asked.
#[derive(Debug)]
pub struct LazyConditions;

impl PhysicalOptimizerRule for LazyConditions {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(node).data()
    }

    fn name(&self) -> &'static str {
        "lazy_conditions"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn node(node: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    if let Some(filter) = node.downcast_ref::<FilterExec>() {
        let predicate = lazy(Arc::clone(filter.predicate()), &filter.input().schema())?;
        if predicate.transformed {
            let filter = FilterExecBuilder::from(filter).with_predicate(predicate.data).build()?;
            return Ok(Transformed::yes(Arc::new(filter)));
        }
    } else if let Some(projection) = node.downcast_ref::<ProjectionExec>() {
        let schema = projection.input().schema();
        let mut changed = false;
        let mut exprs = Vec::new();
        for ProjectionExpr { expr, alias } in projection.expr() {
            let expr = lazy(Arc::clone(expr), &schema)?;
            changed |= expr.transformed;
            exprs.push(ProjectionExpr { expr: expr.data, alias: alias.clone() });
        }
        if changed {
            return Ok(Transformed::yes(Arc::new(ProjectionExec::try_new(exprs, Arc::clone(projection.input()))?)));
        }
    } else if let Some(aggregate) = node.downcast_ref::<AggregateExec>() {
        let schema = aggregate.input().schema();
        let mut changed = false;
        let mut filters = Vec::new();
        for filter in aggregate.filter_expr() {
            let filter = filter.as_ref().map(|filter| lazy(Arc::clone(filter), &schema)).transpose()?;
            changed |= filter.as_ref().is_some_and(|filter| filter.transformed);
            filters.push(filter.map(|filter| filter.data));
        }
        if changed {
            let aggregate = AggregateExec::try_new(
                *aggregate.mode(),
                aggregate.group_expr().clone(),
                aggregate.aggr_expr().to_vec(),
                filters,
                Arc::clone(aggregate.input()),
                aggregate.input_schema(),
            )?;
            return Ok(Transformed::yes(Arc::new(aggregate)));
        }
    }
    if let Some(join) = node.downcast_ref::<HashJoinExec>()
        && let Some(filter) = lazy_filter(join.filter())?
    {
        return Ok(Transformed::yes(join.builder().with_filter(Some(filter)).build_exec()?));
    }
    if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>()
        && let Some(filter) = lazy_filter(join.filter())?
    {
        let join = NestedLoopJoinExecBuilder::from(join).with_filter(Some(filter)).build()?;
        return Ok(Transformed::yes(Arc::new(join)));
    }
    Ok(Transformed::no(node))
}

/// A join's condition, if it changes.
fn lazy_filter(filter: Option<&JoinFilter>) -> Result<Option<JoinFilter>> {
    let Some(filter) = filter else { return Ok(None) };
    let condition = lazy(Arc::clone(filter.expression()), filter.schema())?;
    let indices = || filter.column_indices().to_vec();
    let changed = condition.transformed;
    Ok(changed.then(|| JoinFilter::new(condition.data, indices(), Arc::clone(filter.schema()))))
}

/// An expression whose conditions are lazy where they may fail.
fn lazy(expr: Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Transformed<Arc<dyn PhysicalExpr>>> {
    expr.transform_down(|expr| {
        let Some(condition) = expr.downcast_ref::<BinaryExpr>() else { return Ok(Transformed::no(expr)) };
        let op = *condition.op();
        if !matches!(op, Operator::And | Operator::Or) || !may_fail(&expr) {
            return Ok(Transformed::no(expr));
        }
        let mut parts = Vec::new();
        split(&expr, op, &mut parts);
        let changed = parts.into_iter().map(|part| lazy(part, schema).data()).collect::<Result<Vec<_>>>()?;
        // What is on the right of an OR is asked of what the left leaves open; its parts are not moved.
        let (safe, risky): (Vec<_>, Vec<_>) = match op {
            Operator::And => changed.into_iter().partition(|part| !may_fail(part)),
            _ => (Vec::new(), changed),
        };
        let mut whole: Option<Arc<dyn PhysicalExpr>> = None;
        for part in safe {
            whole = Some(match whole {
                Some(whole) => binary(whole, op, part, schema)?,
                None => part,
            });
        }
        for part in risky {
            whole = Some(match whole {
                Some(whole) => Arc::new(LazyCondition { left: whole, op, right: part, alone: OnceLock::new() }),
                None => part,
            });
        }
        let whole = whole.ok_or_else(|| DataFusionError::Internal("a condition without parts".to_owned()))?;
        Ok(Transformed::new(whole, true, TreeNodeRecursion::Jump))
    })
}

fn split(expr: &Arc<dyn PhysicalExpr>, op: Operator, parts: &mut Vec<Arc<dyn PhysicalExpr>>) {
    match expr.downcast_ref::<BinaryExpr>() {
        Some(condition) if *condition.op() == op => {
            split(condition.left(), op, parts);
            split(condition.right(), op, parts);
        }
        _ => parts.push(Arc::clone(expr)),
    }
}

/// Whether there are values for which an expression is an error.
fn may_fail(expr: &Arc<dyn PhysicalExpr>) -> bool {
    expr.exists(|expr| {
        let function = expr.downcast_ref::<ScalarFunctionExpr>();
        let arithmetic = expr.downcast_ref::<BinaryExpr>().is_some_and(|expr| {
            matches!(
                expr.op(),
                Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo
            )
        });
        Ok(arithmetic
            || function.is_some_and(|function| !INFALLIBLE.contains(&function.name()))
            || expr.is::<CastExpr>()
            || expr.is::<TryCastExpr>()
            || expr.is::<NegativeExpr>())
    })
    .unwrap_or(true)
}

/// `left AND right`, `left OR right`, of which the right side is asked of rows that the left one leaves open.
#[derive(Debug)]
struct LazyCondition {
    left: Arc<dyn PhysicalExpr>,
    op: Operator,
    right: Arc<dyn PhysicalExpr>,
    /// The columns that the right side reads, and it over them alone: only these are copied.
    alone: OnceLock<(Vec<usize>, Arc<dyn PhysicalExpr>)>,
}

impl LazyCondition {
    fn alone(&self) -> Result<&(Vec<usize>, Arc<dyn PhysicalExpr>)> {
        if let Some(alone) = self.alone.get() {
            return Ok(alone);
        }
        let mut indices: Vec<usize> = collect_columns(&self.right).iter().map(Column::index).collect();
        indices.sort_unstable();
        indices.dedup();
        let right = Arc::clone(&self.right)
            .transform_up(|expr| {
                Ok(match expr.downcast_ref::<Column>() {
                    Some(column) => match indices.binary_search(&column.index()) {
                        Ok(index) => Transformed::yes(Arc::new(Column::new(column.name(), index)) as _),
                        Err(_) => Transformed::no(expr),
                    },
                    None => Transformed::no(expr),
                })
            })
            .data()?;
        Ok(self.alone.get_or_init(|| (indices, right)))
    }
}

impl PartialEq for LazyCondition {
    fn eq(&self, other: &Self) -> bool {
        self.op == other.op && self.left.as_ref() == other.left.as_ref() && self.right.as_ref() == other.right.as_ref()
    }
}

impl Eq for LazyCondition {}

impl Hash for LazyCondition {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.left.hash(state);
        self.op.hash(state);
        self.right.hash(state);
    }
}

impl fmt::Display for LazyCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}) {} ({})", self.left, self.op, self.right)
    }
}

impl PhysicalExpr for LazyCondition {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, input: &Schema) -> Result<bool> {
        Ok(self.left.nullable(input)? || self.right.nullable(input)?)
    }

    fn return_field(&self, input: &Schema) -> Result<FieldRef> {
        Ok(Arc::new(Field::new("condition", DataType::Boolean, self.nullable(input)?)))
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let rows = batch.num_rows();
        let left = self.left.evaluate(batch)?.into_array(rows)?;
        let left = left.as_boolean();
        let decided = match self.op {
            Operator::And => not(left)?,
            _ => left.clone(),
        };
        let open: BooleanArray = (0..rows).map(|row| Some(!(decided.is_valid(row) && decided.value(row)))).collect();
        if !open.has_true() {
            return Ok(ColumnarValue::Array(Arc::new(left.clone())));
        }
        let right = if open.has_false() {
            let (columns, right) = self.alone()?;
            right.evaluate_selection(&batch.project(columns)?, &open)?
        } else {
            self.right.evaluate(batch)?
        };
        let right = right.into_array(rows)?;
        let both = match self.op {
            Operator::And => and_kleene(left, right.as_boolean())?,
            _ => or_kleene(left, right.as_boolean())?,
        };
        Ok(ColumnarValue::Array(Arc::new(both)))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.left, &self.right]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let Ok([left, right]) = <[_; 2]>::try_from(children) else {
            return Err(DataFusionError::Internal("a condition has two sides".to_owned()));
        };
        Ok(Arc::new(Self { left, op: self.op, right, alone: OnceLock::new() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        self.left.fmt_sql(f)?;
        write!(f, ") {} (", self.op)?;
        self.right.fmt_sql(f)?;
        f.write_str(")")
    }
}
