//! The physical operator of a scan that a remote database answers: a query per partition, and nothing that holds a
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
use datafusion::config::ConfigOptions;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::filter_pushdown::{ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, SendableRecordBatchStream,
};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use tokio::sync::OnceCell;

use crate::Result;
use crate::joined_rows::joined_rows;
use crate::joins::JoinFilters;
use crate::keys::{KeyCondition, KeyFilters};
use crate::statement::{ScanId, ScanPlace, SourceId, StatementScans};

/// Runs SQL at a remote database and decodes what comes back.
#[async_trait]
pub trait SqlScan: fmt::Debug + Send + Sync {
    /// The server's SQL name, for EXPLAIN and errors.
    fn server(&self) -> &str;

    /// Runs `sql` for a part of a scan at `place` and streams batches of `schema`, whose columns are the query's in order.
    /// A query over no columns (`SELECT` of a constant) is described by an empty schema: its batches carry row counts only.
    ///
    /// # Errors
    /// Connection and remote errors, here or in the stream.
    ///
    /// # Cancel safety
    /// Dropping the future or the stream cancels the remote query and gives back or closes its connection.
    async fn run(
        &self,
        sql: &str,
        schema: SchemaRef,
        place: &ScanPlace,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>>;

    /// The source, if its scans of one statement share something.
    fn source(&self) -> Option<SourceId> {
        None
    }
}

/// The SQL of a scan's partition, with a place for conditions that are known when it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteQuery {
    head: String,
    conditions: Vec<String>,
    tail: String,
    open: bool,
}

impl RemoteQuery {
    /// `head`, which ends before `WHERE`, with `conditions`, each complete in itself.
    pub fn new(head: impl Into<String>, conditions: Vec<String>) -> Self {
        Self { head: head.into(), conditions, tail: String::new(), open: true }
    }

    /// Ends with `tail`, which counts or limits the rows: from here on no condition may be added.
    #[must_use]
    pub fn closed(mut self, tail: &str) -> Self {
        self.tail.push_str(tail);
        self.open = false;
        self
    }

    /// The statement, with more conditions.
    fn sql_with(&self, more: &[String]) -> String {
        let mut sql = self.head.clone();
        for (index, condition) in self.conditions.iter().chain(more).enumerate() {
            sql.push_str(if index == 0 { " WHERE " } else { " AND " });
            sql.push_str(condition);
        }
        sql.push_str(&self.tail);
        sql
    }

    /// The statement.
    pub fn sql(&self) -> String {
        self.sql_with(&[])
    }
}

/// A whole statement: no condition may be added.
impl From<String> for RemoteQuery {
    fn from(head: String) -> Self {
        Self { head, conditions: Vec::new(), tail: String::new(), open: false }
    }
}

/// Scans a foreign server: one query for each partition.
#[derive(Debug, Clone)]
pub struct ForeignScanExec {
    id: ScanId,
    scan: Arc<dyn SqlScan>,
    table: String,
    partitions: Vec<RemoteQuery>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    statistics: Option<Statistics>,
    keys: Option<KeyFilters>,
    joins: JoinFilters,
    /// What the joins said, in one run of all partitions.
    learned: Arc<OnceCell<KeyCondition>>,
    /// Its statement, where nobody says which.
    alone: Arc<StatementScans>,
}

impl ForeignScanExec {
    /// A scan of `table` (its SQL name) that runs each of `partitions`, at least one, and yields batches of `schema`.
    pub fn new(
        scan: Arc<dyn SqlScan>,
        table: impl Into<String>,
        partitions: Vec<impl Into<RemoteQuery>>,
        schema: SchemaRef,
    ) -> Self {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(partitions.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        let (id, alone) = (ScanId::new(), StatementScans::default());
        if let Some(source) = scan.source() {
            alone.expect(source, id, partitions.len());
        }
        Self {
            id,
            alone: Arc::new(alone),
            scan,
            table: table.into(),
            partitions: partitions.into_iter().map(Into::into).collect(),
            properties,
            metrics: ExecutionPlanMetricsSet::new(),
            statistics: None,
            keys: None,
            joins: JoinFilters::default(),
            learned: Arc::default(),
        }
    }

    /// Notes the scan among those of its statement.
    pub(crate) fn expected_by(&self, statement: &StatementScans, runs: usize) {
        if let Some(source) = self.scan.source() {
            statement.expect(source, self.id, self.partitions.len().saturating_mul(runs));
        }
    }

    /// Adds what is known of the whole answer, all partitions together.
    #[must_use]
    pub fn with_statistics(mut self, statistics: Statistics) -> Self {
        self.statistics = Some(statistics);
        self
    }

    /// Adds an estimate of the rows of the whole answer, all partitions together.
    #[must_use]
    pub fn with_estimated_rows(self, rows: Option<usize>) -> Self {
        let rows = rows.map_or(Precision::Absent, Precision::Inexact);
        let statistics = Statistics { num_rows: rows, ..Statistics::new_unknown(&self.schema()) };
        self.with_statistics(statistics)
    }

    /// Lets joins above send their keys, where every query has a place for them.
    #[must_use]
    pub fn with_keys(mut self, keys: KeyFilters) -> Self {
        self.keys = self.partitions.iter().all(|query| query.open).then_some(keys);
        self
    }
}

/// What the joins say, as soon as all of them have read their other sides.
async fn learn(keys: Option<KeyFilters>, joins: JoinFilters, schema: SchemaRef) -> KeyCondition {
    let Some(keys) = keys.filter(|_| !joins.is_empty()) else { return KeyCondition::default() };
    joins.complete().await;
    let mut all = KeyCondition::default();
    for one in joins.filters().map(|filter| keys.condition(filter, &schema)) {
        all.nothing |= one.nothing;
        all.values += one.values;
        all.conditions.extend(one.conditions);
        all.shown.extend(one.shown);
    }
    all
}

impl DisplayAs for ForeignScanExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ForeignScanExec: server={}, table={}", self.scan.server(), self.table)?;
        if self.partitions.len() > 1 {
            write!(f, ", partitions={}", self.partitions.len())?;
        }
        if let Some(rows) = self.statistics.as_ref().and_then(|known| known.num_rows.get_value()) {
            write!(f, ", estimated rows={rows}")?;
        }
        if !self.joins.is_empty() {
            let shown = match self.learned.get() {
                None => self.joins.columns(),
                Some(KeyCondition { nothing: true, .. }) => vec!["no row can match".to_owned()],
                Some(learned) if learned.shown.is_empty() => vec!["none sent".to_owned()],
                Some(learned) => learned.shown.clone(),
            };
            write!(f, ", dynamic filters=[{}]", shown.join(", "))?;
        }
        write!(f, ", Remote SQL: {}", self.partitions.first().map(RemoteQuery::sql).unwrap_or_default())
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
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        self.joins.visit(f)
    }

    /// Filters keep what a join learned the last time. It forgets them for the next, as in each round of a recursive query.
    fn reset_state(self: Arc<Self>) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self { joins: JoinFilters::default(), learned: Arc::default(), ..Self::clone(&self) }))
    }

    fn handle_child_pushdown_result(
        &self,
        phase: FilterPushdownPhase,
        pushed: ChildPushdownResult,
        config: &ConfigOptions,
    ) -> DfResult<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let schema = self.schema();
        let column_of = |key: &Arc<dyn PhysicalExpr>| self.keys.as_ref()?.column_of(key, &schema);
        Ok(self.joins.take_up(phase, &pushed, config, column_of, |joins| {
            Some(Arc::new(Self { joins, learned: Arc::default(), ..self.clone() }))
        }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let schema = self.schema();
        let query = self.partitions[partition].clone();
        let statement = context.session_config().get_extension::<StatementScans>();
        let statement = statement.unwrap_or_else(|| Arc::clone(&self.alone));
        let place = ScanPlace { statement, scan: self.id };
        let (keys, joins, learned) = (self.keys.clone(), self.joins.clone(), Arc::clone(&self.learned));
        let dropped = (!joins.is_empty())
            .then(|| MetricBuilder::new(&self.metrics).counter("dynamic_filter_rows_dropped", partition));
        let sent = (!joins.is_empty() && partition == 0)
            .then(|| MetricBuilder::new(&self.metrics).counter("dynamic_filter_keys", partition));
        let scan = Arc::clone(&self.scan);
        let rows = MetricBuilder::new(&self.metrics).output_rows(partition);
        let bytes = MetricBuilder::new(&self.metrics).counter("bytes", partition);
        let first_row = MetricBuilder::new(&self.metrics).subset_time("time_to_first_row", partition);
        let started = Instant::now();
        let run_schema = Arc::clone(&schema);
        let mut waiting = Some(first_row);
        let opened = async move {
            let learned = learned.get_or_init(|| learn(keys, joins.clone(), Arc::clone(&run_schema))).await;
            if let Some(sent) = sent {
                sent.add(learned.values);
            }
            if learned.nothing {
                return Ok(futures::stream::empty().boxed());
            }
            let batches = scan.run(&query.sql_with(&learned.conditions), Arc::clone(&run_schema), &place).await?;
            Ok(match dropped {
                Some(dropped) => joined_rows(&joins, batches, &run_schema, dropped),
                None => batches,
            })
        };
        let stream =
            futures::stream::once(opened).try_flatten().map_err(Into::into).inspect_ok(move |batch: &RecordBatch| {
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
