//! What joins learn of their keys, in the terms of the files: row groups and pages without any of them are not read.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use atoll_connector_api::joins::JoinFilters;
use atoll_connector_api::keys::column_filters;
use datafusion::common::{DFSchema, Result as DfResult};
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};

use super::filter::{FilterColumn, translate};
use super::table::ParquetTable;

/// Keys that are looked for one by one in each row group and page; of more, the bounds are.
const KEYS_MAX: usize = 200;

/// What may be asked of files, if anything.
type Predicate = Option<Arc<dyn PhysicalExpr>>;

/// For each shape of the table's files, what may be asked of them; `None`: no row is wanted.
///
/// # Errors
/// None that the files' columns could meet.
pub(crate) fn predicates(
    joins: &JoinFilters,
    schema: &SchemaRef,
    table: &ParquetTable,
    columns: &[Vec<FilterColumn>],
) -> DfResult<Option<Vec<Predicate>>> {
    let mut wanted: Vec<Expr> = Vec::new();
    for filter in joins.filters() {
        let Some(filters) = column_filters(filter, schema) else { return Ok(None) };
        let short = |forms: Vec<(Expr, usize)>| forms.into_iter().find(|(_, values)| *values <= KEYS_MAX);
        wanted.extend(filters.into_iter().filter_map(|(_, forms)| short(forms)).map(|(expr, _)| expr));
    }
    let (props, context) = (ExecutionProps::new(), PhysicalPlanningContext::default());
    let of_shape = |(columns, shape): (&Vec<FilterColumn>, &super::table::FileShape)| {
        let asked = conjunction(wanted.iter().filter_map(|expr| translate(expr, columns)));
        let schema = DFSchema::try_from(shape.file_schema.as_ref().clone())?;
        asked.map(|asked| create_physical_expr(&asked, &schema, &props, &context)).transpose()
    };
    columns.iter().zip(&table.shapes).map(of_shape).collect::<DfResult<_>>().map(Some)
}
