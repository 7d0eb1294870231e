//! Keeps DataFusion's physical filter push-down away from schemas with two columns of one name.
//!
//! DataFusion 55 moves a filter through a projection, and its top-N and join filters through most operators, by looking
//! its columns up by name: of `a.id` and `b.id`, which a join gives under one name, it takes the first. Below a barrier
//! the rules work as always; no filter crosses it.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
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
            if !repeats_a_name(&node.schema()) {
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
