//! The physical operator of a scan that a remote database answers: a query per partition, and nothing that holds a
//! connection.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result as DfResult, Statistics};
use datafusion::config::ConfigOptions;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::expressions::DynamicFilterPhysicalExpr;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation, PushedDown,
};
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
use crate::keys::{KeyCondition, KeyFilters};
use crate::statement::{ScanId, ScanPlace, SourceId, StatementScans};

/// A scan waits this long for joins to know their keys. They do before they ask for its first row, except where an
/// operator between reads ahead; then the keys are worth the wait, and after it the scan runs without them.
const KEYS_WAIT_MAX: Duration = Duration::from_secs(60);

/// Runs SQL at a remote database and decodes what comes back.
#[async_trait]
pub trait SqlScan: fmt::Debug + Send + Sync {
    /// The server's SQL name, for EXPLAIN and errors.
    fn server(&self) -> &str;

    /// Runs `sql` for a part of a scan at `place` and streams batches of `schema`, whose columns are the query's in order. A query over no columns
    /// (`SELECT` of a constant) is described by an empty schema: its batches carry row counts only.
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
    learns: Vec<JoinKeys>,
    /// What the joins said, in one run of all partitions.
    learned: Arc<OnceCell<KeyCondition>>,
    /// Its statement, where nobody says which.
    alone: Arc<StatementScans>,
}

/// A join's filter over this scan.
#[derive(Debug, Clone)]
struct JoinKeys {
    filter: Arc<dyn PhysicalExpr>,
    /// The columns that it is about.
    columns: Vec<String>,
    /// It will be complete whether or not this scan is read. The bounds of a top-N or a minimum are complete only after.
    awaited: bool,
}

impl JoinKeys {
    fn dynamic(&self) -> Option<&DynamicFilterPhysicalExpr> {
        self.filter.downcast_ref()
    }
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
            learns: Vec::new(),
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

    /// Lets joins above send their keys, where every query has a place for them.
    #[must_use]
    pub fn with_keys(mut self, keys: KeyFilters) -> Self {
        self.keys = self.partitions.iter().all(|query| query.open).then_some(keys);
        self
    }

    /// A join's filter, if it says something that can be sent.
    fn join_keys(&self, filter: &Arc<dyn PhysicalExpr>, config: &ConfigOptions) -> Option<JoinKeys> {
        let keys = self.keys.as_ref()?;
        let dynamic = filter.downcast_ref::<DynamicFilterPhysicalExpr>()?;
        let schema = self.schema();
        let columns: Vec<_> = dynamic.children().into_iter().filter_map(|key| keys.column_of(key, &schema)).collect();
        let others = &config.optimizer;
        let awaited = !others.enable_topk_dynamic_filter_pushdown && !others.enable_aggregate_dynamic_filter_pushdown;
        (!columns.is_empty()).then(|| JoinKeys { filter: Arc::clone(filter), columns, awaited })
    }
}

/// What the joins say, as soon as all of them have read their other sides.
async fn learn(keys: Option<KeyFilters>, learns: Vec<JoinKeys>, schema: SchemaRef) -> KeyCondition {
    let Some(keys) = keys.filter(|_| !learns.is_empty()) else { return KeyCondition::default() };
    let complete = futures::future::join_all(
        learns.iter().filter(|one| one.awaited).filter_map(JoinKeys::dynamic).map(|dynamic| dynamic.wait_complete()),
    );
    // Late or not: a filter that is not complete keeps every row.
    let _ = tokio::time::timeout(KEYS_WAIT_MAX, complete).await;
    let mut all = KeyCondition::default();
    for one in learns.iter().map(|learns| keys.condition(&learns.filter, &schema)) {
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
        if !self.learns.is_empty() {
            let shown = match self.learned.get() {
                None => self.learns.iter().flat_map(|learns| learns.columns.iter().cloned()).collect(),
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

    /// A join looks here for its filter before it gathers its keys.
    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        for learns in &self.learns {
            if f(&learns.filter)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    /// Filters keep what a join learned the last time. It forgets them for the next, as in each round of a recursive query.
    fn reset_state(self: Arc<Self>) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self { learns: Vec::new(), learned: Arc::default(), ..Self::clone(&self) }))
    }

    fn handle_child_pushdown_result(
        &self,
        phase: FilterPushdownPhase,
        pushed: ChildPushdownResult,
        config: &ConfigOptions,
    ) -> DfResult<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        // The join still runs: what is sent may keep more rows.
        let answer =
            FilterPushdownPropagation::with_parent_pushdown_result(vec![PushedDown::No; pushed.parent_filters.len()]);
        if phase != FilterPushdownPhase::Post {
            return Ok(answer);
        }
        let more: Vec<_> =
            pushed.parent_filters.iter().filter_map(|parent| self.join_keys(&parent.filter, config)).collect();
        if more.is_empty() {
            return Ok(answer);
        }
        let learns = self.learns.iter().cloned().chain(more).collect();
        Ok(answer.with_updated_node(Arc::new(Self { learns, learned: Arc::default(), ..self.clone() })))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let schema = self.schema();
        let query = self.partitions[partition].clone();
        let statement = context.session_config().get_extension::<StatementScans>();
        let statement = statement.unwrap_or_else(|| Arc::clone(&self.alone));
        let place = ScanPlace { statement, scan: self.id };
        let (keys, learns, learned) = (self.keys.clone(), self.learns.clone(), Arc::clone(&self.learned));
        let sent = (!learns.is_empty() && partition == 0)
            .then(|| MetricBuilder::new(&self.metrics).counter("dynamic_filter_keys", partition));
        let scan = Arc::clone(&self.scan);
        let rows = MetricBuilder::new(&self.metrics).output_rows(partition);
        let bytes = MetricBuilder::new(&self.metrics).counter("bytes", partition);
        let first_row = MetricBuilder::new(&self.metrics).subset_time("time_to_first_row", partition);
        let started = Instant::now();
        let run_schema = Arc::clone(&schema);
        let mut waiting = Some(first_row);
        let opened = async move {
            let learned = learned.get_or_init(|| learn(keys, learns, Arc::clone(&run_schema))).await;
            if let Some(sent) = sent {
                sent.add(learned.values);
            }
            if learned.nothing {
                return Ok(futures::stream::empty().boxed());
            }
            scan.run(&query.sql_with(&learned.conditions), run_schema, &place).await
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
