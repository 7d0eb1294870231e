//! Calls over one window that turn out to be the same once their constants are computed, as `sum(2)` and `sum(1 + 1)`.
//!
//! DataFusion would take the common call out of the node that computes windows, and then has nowhere to compute it.

use std::sync::Arc;

use datafusion::common::Column;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Window};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// Computes equal calls once, and shows them under each name. Before [`COMMON`].
#[derive(Debug)]
pub(in crate::federation::semantics) struct UniteEqualWindows;

/// DataFusion's rule that takes out what is common.
pub(in crate::federation::semantics) const COMMON: &str = "common_sub_expression_eliminate";

impl OptimizerRule for UniteEqualWindows {
    fn name(&self) -> &str {
        "unite_equal_windows"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Window(window) = plan else { return Ok(Transformed::no(plan)) };
        let bare: Vec<Expr> = window.window_expr.iter().map(|expr| expr.clone().unalias()).collect();
        let mut kept: Vec<usize> = Vec::new();
        // Of each call the place of the one that computes it.
        let places: Vec<usize> = (0..bare.len())
            .map(|index| match kept.iter().position(|other| bare.get(*other) == bare.get(index)) {
                Some(place) => place,
                None => {
                    kept.push(index);
                    kept.len() - 1
                }
            })
            .collect();
        if kept.len() == bare.len() {
            return Ok(Transformed::no(LogicalPlan::Window(window)));
        }
        let calls = kept.iter().filter_map(|index| window.window_expr.get(*index).cloned()).collect();
        let united = Window::try_new(calls, Arc::clone(&window.input))?;
        let columns: Vec<Column> = united.schema.columns();
        let inputs = columns.len().saturating_sub(kept.len());
        let shown = window.schema.iter().enumerate().filter_map(|(index, (qualifier, field))| {
            let place = match index.checked_sub(inputs) {
                None => index,
                Some(call) => inputs + places.get(call)?,
            };
            let column = columns.get(place)?.clone();
            let same = column.relation.as_ref() == qualifier && column.name == *field.name();
            let column = Expr::Column(column);
            Some(if same { column } else { column.alias_qualified(qualifier.cloned(), field.name()) })
        });
        let shown: Vec<Expr> = shown.collect();
        let plan = LogicalPlanBuilder::from(LogicalPlan::Window(united)).project(shown)?.build()?;
        Ok(Transformed::yes(plan))
    }
}
