//! The filters that joins publish over a scan: taken in by the optimizer's last push-down, complete when it runs.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use datafusion::common::Result as DfResult;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::config::ConfigOptions;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{DynamicFilterPhysicalExpr, Literal};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation, PushedDown,
};

use crate::keys::column_of_key;

/// A scan waits this long for joins to know their keys. They do before they ask for its first row, except where an
/// operator between reads ahead; then the keys are worth the wait, and after it the scan runs without them.
const KEYS_WAIT_MAX: Duration = Duration::from_secs(60);

/// The filters of the joins above one scan.
#[derive(Debug, Clone, Default)]
pub struct JoinFilters {
    filters: Vec<JoinFilter>,
}

#[derive(Debug, Clone)]
struct JoinFilter {
    filter: Arc<dyn PhysicalExpr>,
    /// The columns that it is about.
    columns: Vec<String>,
    /// It will be complete whether or not this scan is read. The bounds of a top-N or a minimum are complete only after.
    awaited: bool,
}

impl JoinFilter {
    fn dynamic(&self) -> Option<&DynamicFilterPhysicalExpr> {
        self.filter.downcast_ref()
    }
}

impl JoinFilters {
    /// What a scan with these filters answers to `pushed`: `scan` gets them and the new ones with a key that `column_of`
    /// knows, if there is one. All of them still run above: what a scan makes of them may keep more rows.
    pub fn take_up(
        &self,
        phase: FilterPushdownPhase,
        pushed: &ChildPushdownResult,
        config: &ConfigOptions,
        column_of: impl Fn(&Arc<dyn PhysicalExpr>) -> Option<String>,
        scan: impl FnOnce(Self) -> Option<Arc<dyn ExecutionPlan>>,
    ) -> FilterPushdownPropagation<Arc<dyn ExecutionPlan>> {
        let kept = vec![PushedDown::No; pushed.parent_filters.len()];
        let answer = FilterPushdownPropagation::with_parent_pushdown_result(kept);
        match self.with_pushed(phase, pushed, config, column_of).and_then(scan) {
            Some(scan) => answer.with_updated_node(scan),
            None => answer,
        }
    }

    /// These and the ones among `pushed` with a key that `column_of` knows; `None` where there is none.
    fn with_pushed(
        &self,
        phase: FilterPushdownPhase,
        pushed: &ChildPushdownResult,
        config: &ConfigOptions,
        column_of: impl Fn(&Arc<dyn PhysicalExpr>) -> Option<String>,
    ) -> Option<Self> {
        if phase != FilterPushdownPhase::Post {
            return None;
        }
        let others = &config.optimizer;
        let awaited = !others.enable_topk_dynamic_filter_pushdown && !others.enable_aggregate_dynamic_filter_pushdown;
        let known = |filter: &Arc<dyn PhysicalExpr>| {
            let dynamic = filter.downcast_ref::<DynamicFilterPhysicalExpr>()?;
            let columns: Vec<_> = dynamic.children().into_iter().filter_map(&column_of).collect();
            (!columns.is_empty()).then(|| JoinFilter { filter: Arc::clone(filter), columns, awaited })
        };
        let more: Vec<_> = pushed.parent_filters.iter().filter_map(|parent| known(&parent.filter)).collect();
        (!more.is_empty()).then(|| Self { filters: self.filters.iter().cloned().chain(more).collect() })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }

    /// The columns that they are about.
    pub fn columns(&self) -> Vec<String> {
        self.filters.iter().flat_map(|one| one.columns.iter().cloned()).collect()
    }

    /// The filters.
    pub fn filters(&self) -> impl Iterator<Item = &Arc<dyn PhysicalExpr>> {
        self.filters.iter().map(|one| &one.filter)
    }

    /// What the complete ones say of rows of `schema`, where all they read is one column that joins compare as it is stored.
    /// Lists of several keys are compared field by field, which takes longer than the join. Bounds of floats are not asked:
    /// NaN and the sign of zero order differently in them.
    pub(crate) fn of_rows<'a>(&'a self, schema: &'a SchemaRef) -> impl Iterator<Item = Arc<dyn PhysicalExpr>> + 'a {
        let is_key = |key: &Arc<dyn PhysicalExpr>| {
            column_of_key(key, schema).is_some() && key.data_type(schema).is_ok_and(|key| !key.is_floating())
        };
        self.filters.iter().filter_map(move |one| {
            let dynamic =
                one.dynamic().filter(|dynamic| matches!(dynamic.children().as_slice(), [key] if is_key(key)))?;
            dynamic.current().ok().filter(|current| !current.is::<Literal>())
        })
    }

    /// One filter over one column.
    #[cfg(test)]
    pub(crate) fn of_filter(filter: Arc<dyn PhysicalExpr>, column: &str) -> Self {
        Self { filters: vec![JoinFilter { filter, columns: vec![column.to_owned()], awaited: true }] }
    }

    /// Shows them to `visit`: a join looks for its filter before it gathers its keys.
    ///
    /// # Errors
    /// The visitor's.
    pub fn visit(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        for one in &self.filters {
            if visit(&one.filter)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    /// Waits until the joins have read their other sides, or long enough. A filter that is not complete keeps every row.
    pub async fn complete(&self) {
        let awaited = self.filters.iter().filter(|one| one.awaited).filter_map(JoinFilter::dynamic);
        let complete = futures::future::join_all(awaited.map(|dynamic| dynamic.wait_complete()));
        let _ = tokio::time::timeout(KEYS_WAIT_MAX, complete).await;
    }
}
