//! Hands whole parts of a plan to the source that all their tables are of.
//!
//! It runs after DataFusion's optimizer, never among its rules, which would look into what it made. From the scans upwards
//! it grows for each source, which is a server as one user sees it, the largest query that the source's dialect writes, and
//! puts a [`node::RemoteQuery`] in the place of that part of the plan. What is above stays as it was.

mod aggregates;
mod grow;
mod joins;
mod node;
mod scalars;

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::error::Result;
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use datafusion::prelude::SessionConfig;

use super::semantics::decimals;
use super::view_barrier::BarrierPlanner;

/// What a session lets go to the sources, beyond what `atoll.pushdown` forbids, and lets be computed faster here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switches {
    /// `atoll.pushdown_joins`.
    pub joins: bool,
    /// `atoll.pushdown_aggregates`.
    pub aggregates: bool,
    /// `atoll.decimal_sums`.
    pub decimal_sums: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Self { joins: true, aggregates: true, decimal_sums: true }
    }
}

/// Makes physical plans of which sources compute what they can.
#[derive(Debug)]
pub struct PushDownPlanner;

#[async_trait]
impl QueryPlanner for PushDownPlanner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn datafusion::catalog::Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = push_down(plan.clone(), switches(session.config()))?;
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![
            Arc::new(node::RemoteQueryPlanner),
            Arc::new(BarrierPlanner),
        ]);
        let plan = planner.create_physical_plan(&plan, session).await?;
        if switches(session.config()).decimal_sums { decimals::fused(plan) } else { Ok(plan) }
    }
}

fn switches(config: &SessionConfig) -> Switches {
    config.get_extension::<Switches>().map_or_else(Switches::default, |switches| *switches)
}

/// The plan with all that sources can compute in their hands.
///
/// # Errors
/// Bugs only.
pub fn push_down(plan: LogicalPlan, switches: Switches) -> Result<LogicalPlan> {
    grow::Grower::new(switches).plan(plan)
}
