//! PostgreSQL's semantics inside DataFusion.

use std::sync::Arc;

use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::Query;

use crate::error::SqlResult;

/// Adds functions, planners and rules to a session's state.
pub fn register(builder: SessionStateBuilder) -> SessionStateBuilder {
    builder
}

/// Plans SQL types.
pub fn type_planner() -> Option<Arc<dyn TypePlanner>> {
    None
}

/// Turns casts into calls of ours.
///
/// # Errors
/// A type that does not exist.
pub fn rewrite_casts(_query: &mut Query) -> SqlResult<()> {
    Ok(())
}
