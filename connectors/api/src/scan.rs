//! The physical operator of a scan that a remote database answers: SQL text per partition, and nothing that holds a
//! connection.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result as DfResult, Statistics};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, SendableRecordBatchStream,
};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

use crate::Result;

/// Runs SQL at a remote database and decodes what comes back.
#[async_trait]
pub trait SqlScan: fmt::Debug + Send + Sync {
    /// The server's SQL name, for EXPLAIN and errors.
    fn server(&self) -> &str;

    /// Runs `sql` and streams batches of `schema`, whose columns are the query's in order. A query over no columns
    /// (`SELECT` of a constant) is described by an empty schema: its batches carry row counts only.
    ///
    /// # Errors
    /// Connection and remote errors, here or in the stream.
    ///
    /// # Cancel safety
    /// Dropping the future or the stream cancels the remote query and gives back or closes its connection.
    async fn run(&self, sql: &str, schema: SchemaRef) -> Result<BoxStream<'static, Result<RecordBatch>>>;
}

/// Scans a foreign server: one SQL text for each partition.
#[derive(Debug)]
pub struct ForeignScanExec {
    scan: Arc<dyn SqlScan>,
    table: String,
    partitions: Vec<String>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    statistics: Option<Statistics>,
}

impl ForeignScanExec {
    /// A scan of `table` (its SQL name) that runs each of `partitions`, at least one, and yields batches of `schema`.
    pub fn new(scan: Arc<dyn SqlScan>, table: impl Into<String>, partitions: Vec<String>, schema: SchemaRef) -> Self {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(partitions.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        Self {
            scan,
            table: table.into(),
            partitions,
            properties,
            metrics: ExecutionPlanMetricsSet::new(),
            statistics: None,
        }
    }

    /// Adds what is known of the whole answer, all partitions together.
    #[must_use]
    pub fn with_statistics(mut self, statistics: Statistics) -> Self {
        self.statistics = Some(statistics);
        self
    }
}

impl DisplayAs for ForeignScanExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ForeignScanExec: server={}, table={}", self.scan.server(), self.table)?;
        if self.partitions.len() > 1 {
            write!(f, ", partitions={}", self.partitions.len())?;
        }
        write!(f, ", Remote SQL: {}", self.partitions.first().map_or("", String::as_str))
    }
}

impl ExecutionPlan for ForeignScanExec {
    fn name(&self) -> &'static str {
        "ForeignScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn with_new_children(self: Arc<Self>, _children: Vec<Arc<dyn ExecutionPlan>>) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, _context: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let schema = self.schema();
        let sql = self.partitions[partition].clone();
        let scan = Arc::clone(&self.scan);
        let rows = MetricBuilder::new(&self.metrics).output_rows(partition);
        let bytes = MetricBuilder::new(&self.metrics).counter("bytes", partition);
        let first_row = MetricBuilder::new(&self.metrics).subset_time("time_to_first_row", partition);
        let started = Instant::now();
        let run_schema = Arc::clone(&schema);
        let mut waiting = Some(first_row);
        let stream = futures::stream::once(async move { scan.run(&sql, run_schema).await })
            .try_flatten()
            .map_err(Into::into)
            .inspect_ok(move |batch: &RecordBatch| {
                if let Some(time) = waiting.take() {
                    time.add_elapsed(started);
                }
                rows.add(batch.num_rows());
                bytes.add(batch.get_array_memory_size());
            });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream.boxed())))
    }

    fn statistics_from_inputs(
        &self,
        _input_stats: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> DfResult<Arc<Statistics>> {
        let Some(statistics) = &self.statistics else {
            return Ok(Arc::new(Statistics::new_unknown(&self.schema())));
        };
        let mut statistics = statistics.clone();
        if args.partition().is_some() {
            // Partitions are cut to be of one size.
            let parts = self.partitions.len().max(1);
            statistics.num_rows = match statistics.num_rows {
                Precision::Exact(rows) | Precision::Inexact(rows) => Precision::Inexact(rows.div_ceil(parts)),
                Precision::Absent => Precision::Absent,
            };
            statistics.total_byte_size = Precision::Absent;
        }
        Ok(Arc::new(statistics))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
