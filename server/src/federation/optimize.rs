//! Optimizing one statement's plan with what its session keeps for all of them.

use std::sync::Arc;

use datafusion::common::alias::AliasGenerator;
use datafusion::common::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::OptimizerConfig;

use super::ctes;

/// Names for subqueries begin anew with each statement: EXPLAIN shows them.
struct Statement<'a> {
    state: &'a SessionState,
    aliases: Arc<AliasGenerator>,
}

impl OptimizerConfig for Statement<'_> {
    fn query_execution_start_time(&self) -> Option<chrono::DateTime<chrono::Utc>> {
        self.state.execution_props().query_execution_start_time
    }

    fn alias_generator(&self) -> &Arc<AliasGenerator> {
        &self.aliases
    }

    fn options(&self) -> Arc<ConfigOptions> {
        Arc::clone(self.state.config_options())
    }

    fn function_registry(&self) -> Option<&dyn FunctionRegistry> {
        Some(self.state)
    }
}

/// Analyzes and optimizes a plan.
///
/// # Errors
/// What the rules find.
pub fn optimize(state: &SessionState, plan: LogicalPlan) -> Result<LogicalPlan> {
    let analyze = |plan| state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {});
    let statement = Statement { state, aliases: Arc::default() };
    let optimize = |plan| state.optimizer().optimize(plan, &statement, |_, _| {});
    let (plan, ctes) = ctes::share(plan, &mut |plan| analyze(plan))?;
    let plan = optimize(analyze(plan)?)?;
    if !ctes.is_empty() {
        ctes.optimize(&plan, &mut |plan| optimize(plan))?;
    }
    Ok(plan)
}
