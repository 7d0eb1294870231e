//! The operator that reads the rows of a `WITH` query.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::Statistics;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::EmissionType;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties, ReplaceChildrenOptions,
};
use futures::StreamExt;

use super::rows::SharedRows;

/// One reading of a `WITH` query. What is read is no child of it: each of several readings would be optimized, watched and
/// noted by itself.
#[derive(Debug)]
pub(super) struct CteScanExec {
    rows: Arc<SharedRows>,
    /// Of what is computed.
    columns: Vec<usize>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl CteScanExec {
    pub(super) fn new(rows: Arc<SharedRows>, columns: Vec<usize>) -> Result<Self> {
        let schema = Arc::new(rows.schema().project(&columns)?);
        let input = rows.input();
        let properties = PlanProperties::new(
            order(&input, &columns, &schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            input.properties().boundedness,
        );
        Ok(Self { rows, columns, properties: Arc::new(properties), metrics: ExecutionPlanMetricsSet::new() })
    }
}

/// The order of the rows, as far as its keys are read.
fn order(input: &Arc<dyn ExecutionPlan>, columns: &[usize], schema: &SchemaRef) -> EquivalenceProperties {
    let place = |expr: &Arc<dyn PhysicalExpr>| {
        let index = expr.downcast_ref::<Column>()?.index();
        columns.iter().position(|column| *column == index)
    };
    let keys = match input.output_ordering() {
        // Several partitions are read as they come.
        Some(keys) if input.output_partitioning().partition_count() == 1 => keys.iter().collect(),
        _ => Vec::new(),
    };
    let keys: Vec<PhysicalSortExpr> = keys
        .into_iter()
        .map_while(|key| {
            let place = place(&key.expr)?;
            let column = Column::new(schema.field(place).name(), place);
            Some(PhysicalSortExpr { expr: Arc::new(column), options: key.options })
        })
        .collect();
    EquivalenceProperties::new_with_orderings(Arc::clone(schema), (!keys.is_empty()).then_some(keys))
}

impl DisplayAs for CteScanExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CteScanExec: {}", self.rows.name())
    }
}

impl ExecutionPlan for CteScanExec {
    fn name(&self) -> &'static str {
        "CteScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    /// A recursive query that reads it again in each of its rounds reads the same rows.
    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() {
            return Ok(self);
        }
        Err(DataFusionError::Internal("CteScanExec has no children".to_owned()))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let options =
            ReplaceChildrenOptions::new(datafusion::physical_plan::execution_plan::ChildrenPropertiesMode::Recompute);
        self.replace_children(children, options)
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let columns = self.columns.clone();
        let batches = Arc::clone(&self.rows).read(context).map(move |batch| {
            let batch = batch?.project(&columns)?;
            Ok(batch.record_output(&metrics))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(&self, _inputs: &[Arc<Statistics>], _args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let input = self.rows.input();
        let all = StatisticsContext::new().compute(input.as_ref(), &StatisticsArgs::new())?;
        Ok(Arc::new(Arc::unwrap_or_clone(all).project(Some(&self.columns))))
    }
}

/// The `WITH` queries that a plan reads, those within others too, each once.
pub fn shared_rows(plan: &Arc<dyn ExecutionPlan>) -> Vec<Arc<SharedRows>> {
    let mut found = Vec::new();
    collect(plan, &mut found);
    found
}

fn collect(plan: &Arc<dyn ExecutionPlan>, found: &mut Vec<Arc<SharedRows>>) {
    if let Some(scan) = plan.downcast_ref::<CteScanExec>()
        && !found.iter().any(|known| Arc::ptr_eq(known, &scan.rows))
    {
        found.push(Arc::clone(&scan.rows));
        collect(&scan.rows.input(), found);
    }
    plan.children().into_iter().for_each(|child| collect(child, found));
}
