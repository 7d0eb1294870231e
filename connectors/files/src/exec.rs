//! The physical operator of a scan over files.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use atoll_connector_api::joined_rows::joined_rows;
use atoll_connector_api::joins::JoinFilters;
use atoll_connector_api::keys::column_of_key;
use atoll_connector_api::{ConnectorError, Result};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result as DfResult, Statistics};
use datafusion::config::ConfigOptions;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::filter_pushdown::{ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricValue, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, SendableRecordBatchStream,
};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};

use crate::error::Owner;
use crate::hive;
use crate::listing::FileEntry;
use crate::parquet::filter::FilterColumn;
use crate::parquet::joined;
use crate::parquet::scan::ParquetScan;
use crate::text::TextTable;
use crate::text::scan::{TextBatch, TextScan};

/// Filters shown by EXPLAIN; the rest is counted.
const FILTERS_SHOWN_MAX: usize = 16;

/// Where a wanted column's values come from.
#[derive(Debug, Clone)]
pub(crate) enum TextOutput {
    /// The column at this place among those that are read.
    File(usize),
    /// One value for each file of the table.
    Partition(ArrayRef),
}

/// A scan over text files.
#[derive(Debug)]
pub(crate) struct TextWork {
    pub(crate) table: Arc<TextTable>,
    pub(crate) files: Arc<Vec<FileEntry>>,
    /// For each partition, indices into the files.
    pub(crate) parts: Vec<Vec<usize>>,
    /// Columns to read, indices into the table's.
    pub(crate) wanted: Vec<usize>,
    pub(crate) outputs: Vec<TextOutput>,
    pub(crate) limit: Option<usize>,
}

/// What a scan does.
#[derive(Debug, Clone)]
pub(crate) enum Work {
    Text(Arc<TextWork>),
    /// With the columns of each shape of the files, as filters see them.
    Parquet(Arc<ParquetScan>, Arc<Vec<Vec<FilterColumn>>>),
}

/// What EXPLAIN shows.
#[derive(Debug, Clone)]
pub(crate) struct Description {
    pub(crate) server: String,
    pub(crate) table: String,
    pub(crate) format: &'static str,
    pub(crate) files: usize,
    pub(crate) files_in_all: usize,
    pub(crate) filters: Vec<String>,
    pub(crate) limit: Option<usize>,
}

/// Scans the files of one foreign table.
#[derive(Debug, Clone)]
pub(crate) struct FileScanExec {
    work: Work,
    description: Description,
    statistics: Arc<Statistics>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    joins: JoinFilters,
}

impl FileScanExec {
    /// A scan that yields batches of `schema`.
    pub(crate) fn new(work: Work, description: Description, statistics: Statistics, schema: SchemaRef) -> Self {
        let partitions = match &work {
            Work::Text(work) => work.parts.len(),
            Work::Parquet(scan, _) => scan.partitions(),
        };
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        let statistics = Arc::new(statistics);
        Self {
            work,
            description,
            statistics,
            properties,
            metrics: ExecutionPlanMetricsSet::new(),
            joins: JoinFilters::default(),
        }
    }

    fn open_parquet(
        &self,
        scan: &Arc<ParquetScan>,
        columns: &Arc<Vec<Vec<FilterColumn>>>,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> DfResult<BoxStream<'static, Result<RecordBatch>>> {
        let (scan, schema) = (Arc::clone(scan), self.schema());
        if self.joins.is_empty() {
            return scan.open(partition, &context, schema, Arc::default());
        }
        let (joins, columns) = (self.joins.clone(), Arc::clone(columns));
        let dropped = MetricBuilder::new(&self.metrics).counter("dynamic_filter_rows_dropped", partition);
        let failed = |error: DataFusionError| ConnectorError::Internal { message: format!("a join's filter: {error}") };
        let opened = async move {
            joins.complete().await;
            let more = joined::predicates(&joins, &schema, scan.table(), &columns).map_err(failed)?;
            match more {
                Some(more) => {
                    let batches = scan.open(partition, &context, Arc::clone(&schema), more.into()).map_err(failed)?;
                    Ok(joined_rows(&joins, batches, &schema, dropped))
                }
                None => Ok(stream::empty().boxed()),
            }
        };
        Ok(stream::once(opened).try_flatten().boxed())
    }

    fn open_text(&self, work: &Arc<TextWork>, partition: usize) -> BoxStream<'static, Result<RecordBatch>> {
        let (work, schema) = (Arc::clone(work), self.schema());
        let part = work.parts.get(partition).cloned().unwrap_or_default();
        let scan =
            TextScan::new(Arc::clone(&work.table), Arc::clone(&work.files), &part, work.wanted.clone(), work.limit);
        let bytes = MetricBuilder::new(&self.metrics).counter("bytes_scanned", partition);
        stream::try_unfold(scan, move |mut scan| {
            let (work, schema, bytes) = (Arc::clone(&work), Arc::clone(&schema), bytes.clone());
            async move {
                let Some(batch) = scan.next().await? else { return Ok(None) };
                bytes.add(usize::try_from(batch.bytes_in).unwrap_or(usize::MAX));
                let batch = assemble(&work, batch, &schema)?;
                Ok(Some((batch, scan)))
            }
        })
        .boxed()
    }
}

fn assemble(work: &TextWork, batch: TextBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let internal = |error: arrow::error::ArrowError| ConnectorError::Internal {
        message: format!("a batch is not of its schema: {error}"),
    };
    let mut columns = Vec::with_capacity(work.outputs.len());
    for output in &work.outputs {
        columns.push(match output {
            TextOutput::File(index) => Arc::clone(&batch.columns[*index]),
            TextOutput::Partition(values) => {
                let row = u32::try_from(batch.file).unwrap_or(u32::MAX);
                hive::repeat(values, row, batch.rows).map_err(internal)?
            }
        });
    }
    check_nulls(&work.table.owner, &work.files[batch.file].display(), schema, &columns)?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(internal)
}

/// A declared NOT NULL is what planning relies on: a file that breaks it gives no answer.
pub(crate) fn check_nulls(owner: &Owner, path: &str, schema: &SchemaRef, columns: &[ArrayRef]) -> Result<()> {
    let broken =
        schema.fields().iter().zip(columns).find(|(field, column)| !field.is_nullable() && column.null_count() > 0);
    match broken {
        None => Ok(()),
        Some((field, _)) => Err(ConnectorError::value(
            "23502",
            format!(
                "null value in column \"{}\" violates not-null constraint ({}, file \"{path}\")",
                field.name(),
                owner.object
            ),
        )),
    }
}

impl DisplayAs for FileScanExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.description;
        write!(f, "ForeignScanExec: server={}, table={}, format={}", shown.server, shown.table, shown.format)?;
        write!(f, ", files={}", shown.files)?;
        if shown.files != shown.files_in_all {
            write!(f, " of {}", shown.files_in_all)?;
        }
        let names: Vec<_> =
            self.properties.eq_properties.schema().fields().iter().map(|field| field.name().as_str()).collect();
        write!(f, ", projection=[{}]", names.join(", "))?;
        if !shown.filters.is_empty() {
            let filters: Vec<_> = shown.filters.iter().take(FILTERS_SHOWN_MAX).map(String::as_str).collect();
            write!(f, ", filters=[{}]", filters.join(", "))?;
        }
        if !self.joins.is_empty() {
            write!(f, ", dynamic filters=[{}]", self.joins.columns().join(", "))?;
        }
        match shown.limit {
            Some(limit) => write!(f, ", limit={limit}"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for FileScanExec {
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
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        self.joins.visit(f)
    }

    /// A filter keeps what its join learned the last time.
    fn reset_state(self: Arc<Self>) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self { joins: JoinFilters::default(), ..Self::clone(&self) }))
    }

    fn handle_child_pushdown_result(
        &self,
        phase: FilterPushdownPhase,
        pushed: ChildPushdownResult,
        config: &ConfigOptions,
    ) -> DfResult<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let schema = self.schema();
        let of_files = |name: &String| match &self.work {
            Work::Parquet(_, columns) => columns.iter().flatten().any(|column| column.name == *name),
            Work::Text(_) => false,
        };
        let column_of = |key: &Arc<dyn PhysicalExpr>| column_of_key(key, &schema).filter(of_files);
        Ok(self.joins.take_up(phase, &pushed, config, column_of, |joins| {
            // A limit counts rows of the files, not of the join.
            self.description.limit.is_none().then(|| Arc::new(Self { joins, ..self.clone() }) as _)
        }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let schema = self.schema();
        let batches = match &self.work {
            Work::Text(work) => self.open_text(work, partition),
            Work::Parquet(scan, columns) => self.open_parquet(scan, columns, partition, context)?,
        };
        let rows = MetricBuilder::new(&self.metrics).output_rows(partition);
        let first_row = MetricBuilder::new(&self.metrics).subset_time("time_to_first_row", partition);
        let started = Instant::now();
        let mut waiting = Some(first_row);
        let stream = batches.map_err(Into::into).inspect_ok(move |batch: &RecordBatch| {
            if let Some(time) = waiting.take() {
                time.add_elapsed(started);
            }
            rows.add(batch.num_rows());
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream.boxed())))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        let mut metrics = self.metrics.clone_inner();
        if let Work::Parquet(scan, _) = &self.work {
            // The rows are counted above already.
            for metric in scan.metrics().iter().filter(|metric| !matches!(metric.value(), MetricValue::OutputRows(_))) {
                metrics.push(Arc::clone(metric));
            }
        }
        Some(metrics)
    }

    fn partition_statistics(&self, partition: Option<usize>) -> DfResult<Arc<Statistics>> {
        // How the rows are spread over the partitions is not known.
        Ok(match partition {
            None => Arc::clone(&self.statistics),
            Some(_) => Arc::new(Statistics::new_unknown(&self.schema())),
        })
    }
}
