//! Keeps DataFusion's physical filter push-down away from schemas with two columns of one name.
//!
//! DataFusion 55 moves a filter through a projection, and its top-N and join filters through most operators, by looking
//! its columns up by name: of `a.id` and `b.id`, which a join gives under one name, it takes the first; and where a column
//! has another name below an operator than above it, it takes whatever has the name above. Below a barrier the rules work
//! as always; no filter crosses it.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::JoinType;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::union::{InterleaveExec, UnionExec};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions, execution_plan,
};

/// The rules, those that push filters down with barriers around them.
pub fn guarded(
    rules: &[Arc<dyn PhysicalOptimizerRule + Send + Sync>],
) -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    rules
        .iter()
        .map(|rule| match rule.name().starts_with("FilterPushdown") {
            true => Arc::new(Guarded(Arc::clone(rule))) as Arc<dyn PhysicalOptimizerRule + Send + Sync>,
            false => Arc::clone(rule),
        })
        .collect()
}

#[derive(Debug)]
struct Guarded(Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for Guarded {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let fenced = plan.transform_up(|node| {
            if !repeats_a_name(&node.schema()) && !renames_a_column(&node) {
                return Ok(Transformed::no(node));
            }
            // Shared properties: a parent whose child's are new forgets the filters that it gives its scans.
            let properties = Arc::clone(node.properties());
            Ok(Transformed::yes(Arc::new(Barrier { input: node, properties }) as Arc<dyn ExecutionPlan>))
        })?;
        let planned = self.0.optimize(fenced.data, config)?;
        if !fenced.transformed {
            return Ok(planned);
        }
        planned
            .transform_up(|node| {
                Ok(match node.downcast_ref::<Barrier>() {
                    Some(barrier) => Transformed::yes(Arc::clone(&barrier.input)),
                    None => Transformed::no(node),
                })
            })
            .data()
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

fn repeats_a_name(schema: &SchemaRef) -> bool {
    let mut names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    names.sort_unstable();
    names.windows(2).any(|pair| pair.first() == pair.last())
}

/// Whether the operator gives a column a name that another column has below it.
fn renames_a_column(node: &Arc<dyn ExecutionPlan>) -> bool {
    let has = |schema: &SchemaRef, name: &str| schema.fields().iter().any(|field| field.name() == name);
    if node.is::<UnionExec>() || node.is::<InterleaveExec>() {
        let schema = node.schema();
        let names = |schema: &SchemaRef| schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
        return node.children().iter().any(|input| names(&input.schema()) != names(&schema));
    }
    if let Some(aggregate) = node.downcast_ref::<AggregateExec>() {
        let below = aggregate.input().schema();
        return aggregate.group_expr().expr().iter().any(|(key, name)| {
            has(&below, name) && key.downcast_ref::<Column>().is_none_or(|column| column.name() != name)
        });
    }
    // Filters of the side that a semi join keeps go to the keys of the other side, too.
    let Some(join) = node.downcast_ref::<HashJoinExec>() else { return false };
    let name = |key: &Arc<dyn PhysicalExpr>| key.downcast_ref::<Column>().map(|column| column.name().to_owned());
    join.on().iter().any(|(left, right)| {
        let (kept, other, below) = match join.join_type() {
            JoinType::LeftSemi => (name(left), name(right), join.right().schema()),
            JoinType::RightSemi => (name(right), name(left), join.left().schema()),
            _ => return false,
        };
        kept.is_some_and(|kept| has(&below, &kept) && other.as_deref() != Some(kept.as_str()))
    })
}

/// Passes rows and no filters.
#[derive(Debug, Clone)]
struct Barrier {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for Barrier {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl ExecutionPlan for Barrier {
    fn name(&self) -> &'static str {
        "NameBarrierExec"
    }

    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Ok([input]) = <[_; 1]>::try_from(children) else {
            return Err(DataFusionError::Internal("a barrier has one child".into()));
        };
        let properties = Arc::clone(input.properties());
        Ok(Arc::new(Self { input, properties }))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(execution_plan::ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use arrow::array::{Int32Array, RecordBatch};
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::catalog::memory::MemorySourceConfig;
    use datafusion::common::ScalarValue;
    use datafusion::logical_expr::Operator;
    use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal};
    use datafusion::physical_optimizer::filter_pushdown::FilterPushdown;
    use datafusion::physical_plan::filter::FilterExec;
    use datafusion::physical_plan::projection::ProjectionExec;
    use datafusion::physical_plan::{collect, displayable};

    use super::*;

    /// Rows of a plan `SELECT a AS id, b AS id … WHERE the first id = 2` over `(1, 2), (2, 1)` after one rule.
    async fn rows_after(rule: Arc<dyn PhysicalOptimizerRule + Send + Sync>) -> Vec<(i32, i32)> {
        let schema = Arc::new(Schema::new(vec![
            Field::new("a", DataType::Int32, false),
            Field::new("b", DataType::Int32, false),
        ]));
        let columns: Vec<arrow::array::ArrayRef> =
            vec![Arc::new(Int32Array::from(vec![1, 2])), Arc::new(Int32Array::from(vec![2, 1]))];
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
        let scan = MemorySourceConfig::try_new_exec(&[vec![batch]], schema, None).unwrap();
        let column = |name: &str, index| Arc::new(Column::new(name, index)) as Arc<dyn PhysicalExpr>;
        let named = vec![(column("a", 0), "id".to_owned()), (column("b", 1), "id".to_owned())];
        let number = |value| Arc::new(Literal::new(ScalarValue::Int32(Some(value))));
        // A filter below takes in those that come down.
        let all = Arc::new(BinaryExpr::new(column("a", 0), Operator::Gt, number(0)));
        let filtered = Arc::new(FilterExec::try_new(all, scan).unwrap());
        let projection = Arc::new(ProjectionExec::try_new(named, filtered).unwrap());
        let first_is_two = Arc::new(BinaryExpr::new(column("id", 0), Operator::Eq, number(2)));
        let plan: Arc<dyn ExecutionPlan> = Arc::new(FilterExec::try_new(first_is_two, projection).unwrap());
        let optimized = rule.optimize(plan, &ConfigOptions::new()).unwrap();
        let shown = displayable(optimized.as_ref()).indent(false).to_string();
        assert!(!shown.contains("NameBarrier"), "{shown}");
        let batches = collect(optimized, Arc::new(TaskContext::default())).await.unwrap();
        let value = |batch: &RecordBatch, column: usize, row| {
            batch.column(column).as_any().downcast_ref::<Int32Array>().unwrap().value(row)
        };
        batches
            .iter()
            .flat_map(|batch| (0..batch.num_rows()).map(move |row| (value(batch, 0, row), value(batch, 1, row))))
            .collect()
    }

    #[tokio::test]
    async fn a_filter_keeps_its_column_among_columns_of_one_name() {
        let rule: Arc<dyn PhysicalOptimizerRule + Send + Sync> = Arc::new(FilterPushdown::new());
        // Once DataFusion gets this right, the barrier can go.
        assert_eq!(rows_after(Arc::clone(&rule)).await, [(1, 2)]);
        let guarded = guarded(&[rule]).remove(0);
        assert_eq!(rows_after(guarded).await, [(2, 1)]);
    }
}
