//! What a session's statements are planned with and run in: made once, and again when a setting that counts has changed.

use std::sync::Arc;

use atoll_connector_api::statement::StatementScans;
use atoll_connector_api::types::text::OutputStyle;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{FunctionRegistry, SessionState, TaskContext};

use super::engine::Engine;
use super::settings::{Settings, time_zone};
use crate::federation::pg_catalog::{self, CurrentContext, PgCatalogContext};
use crate::federation::pushdown::Switches;
use crate::federation::semantics;

/// Sorts of one query that must find room for their merges, each in every partition, even where it has little memory.
const SORTS_MAX: usize = 16;

/// The settings that functions and plans depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PlanningOptions {
    /// Without the time.
    style: OutputStyle,
    time_zone: Option<String>,
    /// 0: as many as the engine has.
    partitions: usize,
    /// Bytes of one query.
    memory: usize,
    switches: Switches,
    dynamic_filters: bool,
    /// `atoll.pushdown`.
    pub(super) pushdown: bool,
}

impl PlanningOptions {
    pub(super) fn of(settings: &Settings) -> Self {
        let pushdown = settings.on("atoll.pushdown");
        Self {
            style: OutputStyle { now_usecs: None, ..settings.output_style() },
            time_zone: settings.get("timezone").and_then(time_zone).map(|(_, zone)| zone.name().to_owned()),
            partitions: settings.get("atoll.scan_partitions").and_then(|text| text.parse().ok()).unwrap_or(0),
            memory: settings.memory("atoll.query_memory").unwrap_or(usize::MAX),
            switches: Switches {
                joins: settings.on("atoll.pushdown_joins"),
                aggregates: settings.on("atoll.pushdown_aggregates"),
                decimal_sums: settings.on("atoll.decimal_sums"),
            },
            dynamic_filters: settings.on("atoll.dynamic_filters") && pushdown,
            pushdown,
        }
    }
}

/// A session's functions and options.
#[derive(Debug)]
pub(super) struct Planning {
    pub(super) options: PlanningOptions,
    pub(super) state: Arc<SessionState>,
    semantics: semantics::Settings,
    current: Arc<CurrentContext>,
}

impl Planning {
    /// What a session with these settings plans with.
    ///
    /// # Errors
    /// Bugs only.
    pub(super) fn new(
        engine: &Engine,
        settings: &Settings,
        context: Arc<PgCatalogContext>,
    ) -> datafusion::error::Result<Self> {
        let options = PlanningOptions::of(settings);
        let current = CurrentContext::new(context);
        let mut config = engine.template.config().clone();
        if options.partitions > 0 {
            config = config.with_target_partitions(options.partitions);
        }
        config.set_extension(Arc::new(options.switches));
        let known = config.options_mut();
        let partitions = known.execution.target_partitions.max(1);
        known.execution.sort_spill_reservation_bytes =
            known.execution.sort_spill_reservation_bytes.min(options.memory / (SORTS_MAX * partitions));
        known.execution.time_zone.clone_from(&options.time_zone);
        // The option that stands for all of them acts when it is set by name only.
        known.optimizer.enable_join_dynamic_filter_pushdown = options.dynamic_filters;
        let state = SessionStateBuilder::new_from_existing(engine.template.clone()).with_config(config);
        let types = Arc::clone(&current);
        let semantics_settings = semantics::Settings::new(settings.output_style())
            .with_clock(Arc::clone(settings.clock()))
            .with_memory(Some(options.memory.min(engine.config.memory_max)))
            .with_resolver(Arc::new(move |name| types.get().user_type_named(name)));
        let mut state = semantics::session_state(state, &semantics_settings)?;
        for function in pg_catalog::scalar_functions(&current) {
            state.register_udf(function)?;
        }
        state.mark_start_execution();
        Ok(Self { options, state: Arc::new(state), semantics: semantics_settings, current })
    }

    /// The same for the next statement, if its settings allow it.
    pub(super) fn serves(&self, settings: &Settings) -> bool {
        self.options == PlanningOptions::of(settings)
    }

    /// How the literals of the statement are read that is planned next; `None`: as values print now.
    pub(super) fn read_literals(&self, style: Option<OutputStyle>) {
        self.semantics.read_literals(style);
    }

    /// A statement begins.
    pub(super) fn begin(&self, context: Arc<PgCatalogContext>) {
        self.current.set(context);
    }
}

impl Engine {
    /// What one statement runs in: memory of its own, and none of the functions, which its plan has already.
    pub(super) fn task_context(&self, planning: &Planning) -> Arc<TaskContext> {
        let pool = self.memory.query(planning.options.memory);
        let environment = RuntimeEnv { memory_pool: pool, ..self.environment.clone() };
        let config = planning.state.config().clone().with_extension(Arc::new(StatementScans::default()));
        Arc::new(TaskContext::new(
            None,
            planning.state.session_id().to_owned(),
            config,
            std::collections::HashMap::new(),
            std::collections::HashMap::new(),
            std::collections::HashMap::new(),
            std::collections::HashMap::new(),
            Arc::new(environment),
        ))
    }
}
