//! The table that stands for a `WITH` query in the plans that read it.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableType};
use datafusion::physical_plan::ExecutionPlan;
use tokio::sync::OnceCell;

use super::rows::SharedRows;
use super::scan::CteScanExec;
use super::share::internal;

/// The part of a query's memory that the rows of its `WITH` queries may take, all of them together: a quarter. Joins and
/// aggregations, which cannot go to the disk, need the rest.
const MEMORY_PARTS: usize = 4;

/// The memory that the `WITH` queries of a statement share.
#[derive(Debug, Default)]
pub(super) struct StatementMemory(Mutex<Option<MemoryReservation>>);

impl StatementMemory {
    /// Takes so many bytes until the statement ends; `false`: there is no room.
    pub(super) fn take(&self, pool: &Arc<dyn MemoryPool>, bytes: usize) -> bool {
        let most = match pool.memory_limit() {
            MemoryLimit::Finite(limit) => limit / MEMORY_PARTS,
            MemoryLimit::Infinite | MemoryLimit::Unknown => usize::MAX,
        };
        let mut reservation = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reservation =
            reservation.get_or_insert_with(|| MemoryConsumer::new("CteScan").with_can_spill(true).register(pool));
        reservation.size().saturating_add(bytes) <= most && reservation.try_grow(bytes).is_ok()
    }
}

/// What is computed: a plan of these columns of the `WITH` query.
struct Computed {
    plan: LogicalPlan,
    columns: Vec<usize>,
}

/// A `WITH` query as a table.
pub(super) struct CteTable {
    name: String,
    schema: SchemaRef,
    /// All of its columns, not optimized.
    analyzed: LogicalPlan,
    computed: OnceLock<Computed>,
    rows: OnceCell<Arc<SharedRows>>,
    memory: Arc<StatementMemory>,
}

impl fmt::Debug for CteTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CteTable").field("name", &self.name).finish_non_exhaustive()
    }
}

impl CteTable {
    pub(super) fn new(name: &str, analyzed: LogicalPlan, memory: Arc<StatementMemory>) -> Self {
        let schema = Arc::clone(analyzed.schema().inner());
        let (computed, rows) = (OnceLock::new(), OnceCell::new());
        Self { name: name.to_owned(), schema, analyzed, computed, rows, memory }
    }

    /// The number of its columns.
    pub(super) fn width(&self) -> usize {
        self.schema.fields().len()
    }

    /// The plan of some of its columns.
    ///
    /// # Errors
    /// Bugs only.
    pub(super) fn reading(&self, columns: &[usize]) -> Result<LogicalPlan> {
        if columns.len() == self.width() {
            return Ok(self.analyzed.clone());
        }
        let schema = self.analyzed.schema();
        let columns = columns.iter().map(|index| Expr::from(schema.qualified_field(*index)));
        LogicalPlanBuilder::from(self.analyzed.clone()).project(columns.collect::<Vec<_>>())?.build()
    }

    /// Says what is to be computed: once.
    pub(super) fn compute(&self, plan: LogicalPlan, columns: Vec<usize>) {
        let _ = self.computed.set(Computed { plan, columns });
    }

    async fn plan(&self, computed: &Computed, session: &dyn Session) -> Result<Arc<SharedRows>> {
        let state = session
            .as_any()
            .downcast_ref::<SessionState>()
            .ok_or_else(|| internal("a WITH query is planned without a session"))?;
        let input = state.query_planner().create_physical_plan(&computed.plan, state).await?;
        let schema = Arc::new(self.schema.project(&computed.columns)?);
        Ok(Arc::new(SharedRows::new(&self.name, schema, input, Arc::clone(&self.memory))))
    }
}

#[async_trait]
impl TableProvider for CteTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let computed = self.computed.get().ok_or_else(|| internal("a WITH query that nobody reads is read"))?;
        // The scans of one statement may be planned at the same time.
        let rows = self.rows.get_or_try_init(|| self.plan(computed, state)).await?;
        let wanted: Vec<usize> = projection.map_or_else(|| (0..self.width()).collect(), Clone::clone);
        let places = wanted.iter().map(|column| computed.columns.binary_search(column));
        let places = places.collect::<std::result::Result<Vec<_>, _>>();
        let places = places.map_err(|_| internal("a column of a WITH query is read that is not computed"))?;
        Ok(Arc::new(CteScanExec::new(Arc::clone(rows), places)?))
    }
}
