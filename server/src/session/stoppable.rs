//! Plans that stop soon after they are told to, however long one of their polls would compute.
//!
//! Dropping a stream ends its work at the next point where that yields, and DataFusion yields where batches are read. A
//! join, a sort or an aggregation may compute for minutes between two reads: a cross join of two tables in memory reads
//! nothing any more. So their outputs are watched, batch by batch, and the pairs of a nested loop join, which may yield no
//! batch for long, by its filter.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::{ArrayRef, BooleanArray};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::coop::make_cooperative;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{NestedLoopJoinExec, NestedLoopJoinExecBuilder};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions, execution_plan,
};
use futures::{Stream, StreamExt};

use crate::federation::ctes::shared_rows;
use crate::interrupt::{self, StopFlag};

/// How the watching operator is named where a plan is shown; [`without_watchers`] takes its lines out.
const WATCHER: &str = "StoppableExec";
/// Operators that may compute for long between two reads, or make many rows of one.
const WATCHED: [&str; 6] = ["Join", "Sort", "Aggregate", "Window", "Unnest", "RecursiveQuery"];

/// The plan, watched. Where nothing in it computes for long, the plan itself.
///
/// # Errors
/// None that a plan which DataFusion made could meet.
pub(super) fn stoppable(plan: Arc<dyn ExecutionPlan>, stop: &StopFlag) -> Result<Arc<dyn ExecutionPlan>> {
    for rows in shared_rows(&plan) {
        rows.watch(stop, |input| watched(input, stop))?;
    }
    watched(plan, stop)
}

fn watched(plan: Arc<dyn ExecutionPlan>, stop: &StopFlag) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        if !WATCHED.iter().any(|watched| node.name().contains(watched)) {
            return Ok(Transformed::no(node));
        }
        // The properties are shared, so that the operators above see their children unchanged: a sort whose child's
        // properties are new cuts the ties of its top-N filter to the scans.
        let properties = Arc::clone(node.properties());
        let input = match node.downcast_ref::<NestedLoopJoinExec>() {
            Some(join) => watch_pairs(join, stop)?,
            None => node,
        };
        Ok(
            Transformed::yes(
                Arc::new(StoppableExec { input, properties, stop: stop.clone() }) as Arc<dyn ExecutionPlan>
            ),
        )
    })
    .data()
}

fn watch_pairs(join: &NestedLoopJoinExec, stop: &StopFlag) -> Result<Arc<dyn ExecutionPlan>> {
    let watched = |filter: Option<Arc<dyn PhysicalExpr>>| Arc::new(WatchedFilter { filter, stop: stop.clone() });
    let filter = match join.filter() {
        Some(filter) => {
            let expression = watched(Some(Arc::clone(filter.expression())));
            JoinFilter::new(expression, filter.column_indices().to_vec(), Arc::clone(filter.schema()))
        }
        None => JoinFilter::new(watched(None), Vec::new(), Arc::new(Schema::empty())),
    };
    Ok(Arc::new(NestedLoopJoinExecBuilder::from(join).with_filter(Some(filter)).build()?))
}

/// A shown plan's lines without those of the watching operators.
pub(super) fn without_watchers(shown: &str) -> Vec<String> {
    let mut above: Vec<usize> = Vec::new();
    let mut lines = Vec::new();
    for line in shown.lines() {
        let text = line.trim_start_matches(' ');
        let indent = line.len() - text.len();
        above.retain(|watcher| *watcher < indent);
        if text.starts_with(WATCHER) {
            above.push(indent);
        } else {
            // Two spaces for each level.
            lines.push(line.get(2 * above.len()..).unwrap_or(text).to_owned());
        }
    }
    lines
}

/// The operator behind those that watch it.
pub(super) fn unwatched(mut plan: &Arc<dyn ExecutionPlan>) -> &Arc<dyn ExecutionPlan> {
    while let Some(watcher) = plan.downcast_ref::<StoppableExec>() {
        plan = &watcher.input;
    }
    plan
}

#[derive(Debug, Clone)]
struct StoppableExec {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
    stop: StopFlag,
}

impl DisplayAs for StoppableExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(WATCHER)
    }
}

impl ExecutionPlan for StoppableExec {
    fn name(&self) -> &str {
        WATCHER
    }

    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Ok([input]) = <[_; 1]>::try_from(children) else {
            return Err(DataFusionError::Internal(format!("{WATCHER} has one child")));
        };
        Ok(Arc::new(Self { input, ..Self::clone(&self) }))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(execution_plan::ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let inner = self.input.execute(partition, context)?;
        Ok(make_cooperative(Box::pin(StoppableStream { inner, stop: self.stop.clone() })))
    }
}

struct StoppableStream {
    inner: SendableRecordBatchStream,
    stop: StopFlag,
}

impl Stream for StoppableStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let stop = self.stop.clone();
        stop.during(|| match interrupt::check() {
            Ok(()) => self.inner.poll_next_unpin(context),
            Err(stopped) => Poll::Ready(Some(Err(stopped.into()))),
        })
    }
}

impl RecordBatchStream for StoppableStream {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }
}

/// A join's filter, or none, that looks at the flag each time it is asked.
#[derive(Debug, Clone)]
struct WatchedFilter {
    filter: Option<Arc<dyn PhysicalExpr>>,
    stop: StopFlag,
}

impl PartialEq for WatchedFilter {
    fn eq(&self, other: &Self) -> bool {
        self.filter == other.filter
    }
}

impl Eq for WatchedFilter {}

impl Hash for WatchedFilter {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.filter.hash(state);
    }
}

impl fmt::Display for WatchedFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.filter {
            Some(filter) => filter.fmt(f),
            None => f.write_str("true"),
        }
    }
}

impl PhysicalExpr for WatchedFilter {
    fn data_type(&self, _input: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, input: &Schema) -> Result<bool> {
        self.filter.as_ref().map_or(Ok(false), |filter| filter.nullable(input))
    }

    fn return_field(&self, input: &Schema) -> Result<FieldRef> {
        Ok(Arc::new(Field::new("filter", DataType::Boolean, self.nullable(input)?)))
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        self.stop.during(interrupt::check)?;
        match &self.filter {
            Some(filter) => filter.evaluate(batch),
            None => {
                let all: ArrayRef = Arc::new(BooleanArray::from(vec![true; batch.num_rows()]));
                Ok(ColumnarValue::Array(all))
            }
        }
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.filter.iter().collect()
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Self { filter: children.into_iter().next(), stop: self.stop.clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.filter {
            Some(filter) => filter.fmt_sql(f),
            None => f.write_str("true"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watchers_are_not_shown() {
        let shown = "A\n  StoppableExec\n    B\n      C\n    D\nE\n  StoppableExec\n    StoppableExec\n      F";
        assert_eq!(without_watchers(shown).join("\n"), "A\n  B\n    C\n  D\nE\n  F");
    }
}
