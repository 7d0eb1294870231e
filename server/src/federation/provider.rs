//! What SqlToRel asks for while it plans: relations resolved before, functions of the session's state.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use datafusion::catalog::TableFunctionArgs;
use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::common::{DFSchema, Result as DfResult, TableReference, plan_err};
use datafusion::config::ConfigOptions;
use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionState;
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::planner::{ContextProvider, ExprPlanner, RelationPlanner, TypePlanner};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{AggregateUDF, Expr, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;

use crate::error::SqlError;

/// A relation's key: the parts of its name as written, folded.
pub type RelationKey = Vec<String>;

/// Relations that a query names, resolved or refused; a refusal counts only if the name is no CTE's.
pub type ResolvedRelations = HashMap<RelationKey, Result<Arc<dyn TableSource>, SqlError>>;

/// The planner's view of one statement.
pub struct StatementContext<'a> {
    /// Functions, planners and options.
    pub state: &'a SessionState,
    /// Types.
    pub type_planner: Option<Arc<dyn TypePlanner>>,
    /// What the query names.
    pub relations: &'a ResolvedRelations,
}

impl std::fmt::Debug for StatementContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StatementContext").field("relations", &self.relations.keys()).finish_non_exhaustive()
    }
}

/// The key of a table reference.
pub fn relation_key(name: &TableReference) -> RelationKey {
    [name.catalog(), name.schema(), Some(name.table())].into_iter().flatten().map(str::to_owned).collect()
}

impl ContextProvider for StatementContext<'_> {
    fn get_table_source(&self, name: TableReference) -> DfResult<Arc<dyn TableSource>> {
        match self.relations.get(&relation_key(&name)) {
            Some(Ok(source)) => Ok(Arc::clone(source)),
            Some(Err(error)) => Err(error.clone().into()),
            None => Err(super::relations::undefined(&relation_key(&name).join(".")).into()),
        }
    }

    fn get_table_function_source(&self, name: &str, args: Vec<Expr>) -> DfResult<Arc<dyn TableSource>> {
        let Some(function) = self.state.table_functions().get(name).cloned() else {
            return plan_err!("Invalid function '{name}'");
        };
        let props: &ExecutionProps = self.state.execution_props();
        let context = SimplifyContext::builder()
            .with_config_options(Arc::clone(self.state.config_options()))
            .with_query_execution_start_time(props.query_execution_start_time)
            .build();
        let simplifier = ExprSimplifier::new(context);
        let schema = DFSchema::empty();
        let args = args
            .into_iter()
            .map(|arg| {
                super::semantics::resolve_calls(arg)
                    .and_then(|arg| simplifier.coerce(arg, &schema))
                    .and_then(|arg| simplifier.simplify(arg))
            })
            .collect::<DfResult<Vec<_>>>()?;
        Ok(provider_as_source(function.create_table_provider_with_args(TableFunctionArgs::new(&args, self.state))?))
    }

    fn create_cte_work_table(&self, name: &str, schema: SchemaRef) -> DfResult<Arc<dyn TableSource>> {
        Ok(provider_as_source(Arc::new(CteWorkTable::new(name, schema))))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        self.state.expr_planners()
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        self.state.relation_planners()
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        self.type_planner.clone()
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.state.scalar_functions().get(name).cloned()
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.state.higher_order_functions().get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.state.aggregate_functions().get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        let known = self.state.window_functions().get(name).cloned();
        known.or_else(|| super::semantics::framed_function(self.state, name))
    }

    fn get_variable_type(&self, _variable_names: &[String]) -> Option<DataType> {
        None
    }

    fn get_variable_field(&self, _variable_names: &[String]) -> Option<FieldRef> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.state.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        self.state.scalar_functions().keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        self.state.higher_order_functions().keys().cloned().collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.state.aggregate_functions().keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.state.window_functions().keys().cloned().collect()
    }
}
