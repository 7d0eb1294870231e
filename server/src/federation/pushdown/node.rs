//! A part of a plan that a source computes: in the logical plan, and on its way to the physical one.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use async_trait::async_trait;
use atoll_connector_api::subplan::{Query, RemoteRelation};
use datafusion::common::DFSchemaRef;
use datafusion::error::Result;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};

/// A query that a source answers, in the place of the plan that it was grown from.
#[derive(Debug, Clone)]
pub(super) struct RemoteQuery {
    /// Any table of the source.
    pub(super) relation: Arc<dyn RemoteRelation>,
    pub(super) query: Arc<Query>,
    /// The tables that it reads, for people.
    pub(super) tables: String,
    /// Of the plan that it replaces.
    pub(super) schema: DFSchemaRef,
    /// Estimated.
    pub(super) rows: Option<usize>,
}

impl PartialEq for RemoteQuery {
    fn eq(&self, other: &Self) -> bool {
        self.relation.source() == other.relation.source() && self.query == other.query && self.schema == other.schema
    }
}

impl Eq for RemoteQuery {}

impl Hash for RemoteQuery {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.tables.hash(state);
        self.schema.hash(state);
    }
}

impl PartialOrd for RemoteQuery {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for RemoteQuery {
    fn name(&self) -> &'static str {
        "RemoteQuery"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        Vec::new()
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteQuery: {}", self.tables)
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, _: Vec<LogicalPlan>) -> Result<Self> {
        Ok(self.clone())
    }
}

/// Makes scans of [`RemoteQuery`]s.
pub(super) struct RemoteQueryPlanner;

#[async_trait]
impl ExtensionPlanner for RemoteQueryPlanner {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical: &[&LogicalPlan],
        _physical: &[Arc<dyn ExecutionPlan>],
        _session: &dyn datafusion::catalog::Session,
        _context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(node) = node.as_any().downcast_ref::<RemoteQuery>() else { return Ok(None) };
        let schema = Arc::clone(node.schema.inner());
        Ok(Some(node.relation.scan_query(&node.query, &node.tables, schema, node.rows)?))
    }
}
