//! What all connections share: the catalog, the connectors, the CPU runtime, memory.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use atoll_connector_api::pushdown::IN_LIST_MAX;
use atoll_connector_api::types::text::OutputStyle;
use datafusion::config::ConfigOptions;
use datafusion::execution::SessionState;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::SessionConfig;
use tokio::runtime::Handle;

use super::admission::Admission;
use super::backends::Backends;
use super::memory::ServerMemory;
use crate::catalog::Catalog;
use crate::catalog::store::Store;
use crate::federation::lazy::LazyConditions;
use crate::federation::pg_catalog::{AdvisoryLocks, FunctionNames};
use crate::federation::pushdown::PushDownPlanner;
use crate::federation::{name_barrier, semantics};
use crate::host::Host;

/// Rows of a batch: DataFusion's default, which fits the second-level cache for a few columns.
const BATCH_ROWS: usize = 8192;
/// Bytes that spilled data of all queries may take on disk.
const SPILL_BYTES_MAX: u64 = 100 << 30;
/// Bytes of the rows of a join's side whose keys may become a list, in each partition.
const KEY_LIST_BYTES_MAX: usize = 4 << 20;
/// Threads of the CPU runtime on a small machine.
const CPU_THREADS_MIN: usize = 16;
/// Stack of the CPU runtime's threads: planning recurses with the depth of expressions.
pub const CPU_STACK_BYTES: usize = 16 << 20;

/// What an engine is made of.
#[derive(Debug)]
pub struct EngineConfig {
    /// The database's name.
    pub database: String,
    /// Where spilled data go.
    pub temp_dir: PathBuf,
    /// Threads for queries; 0: four for each core, at least 16.
    pub cpu_threads: usize,
    /// Bytes that all queries together may use.
    pub memory_max: usize,
    /// Queries that compute at once; 0: as many as there are threads.
    pub running_queries_max: usize,
    /// Queries that wait for their turn; the next is refused.
    pub waiting_queries_max: usize,
    /// Connections of one kind are counted against it by the wire; roles have limits of their own.
    pub max_connections: usize,
    /// Statements that PREPARE may keep in one session.
    pub prepared_statements_max: usize,
    /// Cursors open in one session.
    pub portals_max: usize,
}

/// What all connections share.
#[derive(Debug)]
pub struct Engine {
    /// The configuration it was made from.
    pub config: EngineConfig,
    /// Connectors and sources.
    pub host: Arc<Host>,
    /// All connections.
    pub backends: Backends,
    /// Advisory locks of all sessions.
    pub(super) advisory: Arc<AdvisoryLocks>,
    /// When the server started.
    pub started: SystemTime,
    /// Held while a statement whose commit met another's is applied again.
    pub(super) repeating: tokio::sync::Mutex<()>,
    store: Arc<Store>,
    cpu: Option<tokio::runtime::Runtime>,
    /// What every session's functions and options are added to.
    pub(super) template: SessionState,
    pub(super) memory: Arc<ServerMemory>,
    /// What queries run in, but for their memory. Spilled data of all queries are in one place: each makes a directory,
    /// and a bound of one query's spilled data is none.
    pub(super) environment: RuntimeEnv,
    admission: Arc<Admission>,
    /// What can be called, for `pg_proc`.
    functions: Arc<FunctionNames>,
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Queries still running are dropped with their tasks; waiting for them would hang the shutdown.
        if let Some(cpu) = self.cpu.take() {
            cpu.shutdown_background();
        }
    }
}

impl Engine {
    /// An engine over an open store.
    ///
    /// # Errors
    /// Threads or the spill directory cannot be had.
    pub fn new(config: EngineConfig, store: Arc<Store>, host: Arc<Host>) -> std::io::Result<Arc<Self>> {
        let threads = if config.cpu_threads > 0 { config.cpu_threads } else { default_cpu_threads() };
        let running = if config.running_queries_max > 0 { config.running_queries_max } else { threads };
        let cpu = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("atoll-cpu")
            .thread_stack_size(CPU_STACK_BYTES)
            .enable_all()
            .build()?;
        let template = SessionStateBuilder::new().with_default_features().with_config(base_config()).build();
        let mut rules = name_barrier::guarded(template.physical_optimizers());
        rules.insert(0, Arc::new(LazyConditions));
        let template = SessionStateBuilder::new_from_existing(template)
            .with_physical_optimizer_rules(rules)
            .with_query_planner(Arc::new(PushDownPlanner))
            .build();
        let functions = Arc::new(function_names(&template).map_err(std::io::Error::other)?);
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![config.temp_dir.clone()]))
            .with_max_temp_directory_size(SPILL_BYTES_MAX)
            .build()
            .map_err(std::io::Error::other)?;
        let mut environment = RuntimeEnvBuilder::new().build().map_err(std::io::Error::other)?;
        environment.disk_manager = Arc::new(disk);
        Ok(Arc::new(Self {
            environment,
            functions,
            memory: ServerMemory::new(config.memory_max),
            admission: Admission::new(running, config.waiting_queries_max),
            config,
            host,
            backends: Backends::default(),
            advisory: Arc::default(),
            started: SystemTime::now(),
            repeating: tokio::sync::Mutex::default(),
            store,
            cpu: Some(cpu),
            template,
        }))
    }

    /// The catalog as last committed.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.store.snapshot()
    }

    /// The functions that every session has.
    pub(super) fn functions(&self) -> &Arc<FunctionNames> {
        &self.functions
    }

    /// The catalog's store.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The runtime that queries run on, apart from the sockets'.
    pub fn cpu(&self) -> &Handle {
        self.cpu.as_ref().expect("the runtime is taken in Drop only").handle()
    }

    /// Whose turn it is to compute.
    pub(super) fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }
}

/// More threads than cores: an operator may compute for long before it yields, and planning the next connection's
/// `SELECT 1` must not wait for it. The kernel shares the cores out.
pub fn default_cpu_threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    (4 * cores).max(CPU_THREADS_MIN)
}

fn function_names(template: &SessionState) -> datafusion::error::Result<FunctionNames> {
    let settings = semantics::Settings::new(OutputStyle::default());
    let state = semantics::session_state(SessionStateBuilder::new_from_existing(template.clone()), &settings)?;
    Ok(FunctionNames {
        scalars: state.scalar_functions().keys().cloned().collect(),
        aggregates: state.aggregate_functions().keys().cloned().collect(),
        windows: state.window_functions().keys().cloned().collect(),
    })
}

fn base_config() -> SessionConfig {
    let mut options = ConfigOptions::new();
    options.sql_parser.dialect = datafusion::config::Dialect::PostgreSQL;
    options.sql_parser.parse_float_as_decimal = true;
    // What reads an ordered subquery sees its order in PostgreSQL: aggregates, numbered rows, a LIMIT around it.
    options.sql_parser.enable_subquery_sort_elimination = false;
    // The check compares what is said to be NULL at most: DataFusion says of IS TRUE that it never is, and its operator that it may be.
    options.execution.skip_physical_aggregate_schema_check = true;
    // Scans take what joins learn of their keys. The bounds of a top-N or a minimum come while its scans run: too late for a
    // remote that was asked already.
    options.optimizer.enable_topk_dynamic_filter_pushdown = false;
    options.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
    options.optimizer.hash_join_inlist_pushdown_max_distinct_values = IN_LIST_MAX;
    options.optimizer.hash_join_inlist_pushdown_max_size = KEY_LIST_BYTES_MAX;
    // File names and row counts of a plan's own statistics say nothing to a user of EXPLAIN.
    options.explain.physical_plan_only = true;
    SessionConfig::from(options).with_batch_size(BATCH_ROWS).with_information_schema(false)
}
