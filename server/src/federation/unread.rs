//! Joins of which a partition may never be read.
//!
//! A join in the mode `CollectLeft` tells its keys when all of its partitions have asked for them. Above it, a partitioned
//! join whose own partition has no rows to join ends without asking: then the other partitions would wait for ever
//! (DataFusion 55 reports dropped partitions in the mode `Partitioned` only). Such a join tells no keys.

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, ReplaceChildrenOptions};

/// The plan with `fence` around the inputs through which such joins would tell their keys.
///
/// # Errors
/// None that a plan could meet.
pub(super) fn fenced(
    plan: Arc<dyn ExecutionPlan>,
    fence: &dyn Fn(Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan>,
) -> Result<Arc<dyn ExecutionPlan>> {
    if has_joins(&plan)? { below(plan, false, fence) } else { Ok(plan) }
}

fn has_joins(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    let mut joins = 0;
    plan.apply(|node| {
        joins += usize::from(node.is::<HashJoinExec>());
        Ok(if joins > 1 { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(joins > 1)
}

/// `unread`: a partition of the plan may be dropped before it is read while others are.
fn below(
    plan: Arc<dyn ExecutionPlan>,
    unread: bool,
    fence: &dyn Fn(Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let children: Vec<_> = plan.children().into_iter().cloned().collect();
    if children.is_empty() {
        return Ok(plan);
    }
    let mut changed = Vec::with_capacity(children.len());
    for (index, child) in children.iter().enumerate() {
        let made = below(Arc::clone(child), child_unread(&plan, index, unread), fence)?;
        changed.push(if unread && index == 1 && collects_for_many(&plan) { fence(made) } else { made });
    }
    if changed.iter().zip(&children).all(|(made, child)| Arc::ptr_eq(made, child)) {
        return Ok(plan);
    }
    plan.replace_children(changed, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
}

/// Whether it is a join that waits for several partitions.
fn collects_for_many(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.downcast_ref::<HashJoinExec>().is_some_and(|join| {
        *join.partition_mode() == PartitionMode::CollectLeft && join.right().output_partitioning().partition_count() > 1
    })
}

fn child_unread(plan: &Arc<dyn ExecutionPlan>, index: usize, unread: bool) -> bool {
    // These read all partitions of their input, or none.
    if plan.is::<RepartitionExec>() || plan.is::<CoalescePartitionsExec>() || plan.is::<SortPreservingMergeExec>() {
        return false;
    }
    match plan.downcast_ref::<HashJoinExec>().map(|join| (join.partition_mode(), index)) {
        Some((PartitionMode::CollectLeft, 0)) => false,
        Some((PartitionMode::CollectLeft, _)) | None => unread,
        Some((_, 0)) => unread,
        Some(_) => true,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::common::{JoinType, NullEquality};
    use datafusion::physical_expr::PhysicalExpr;
    use datafusion::physical_expr::expressions::Column;
    use datafusion::physical_plan::Partitioning;
    use datafusion::physical_plan::empty::EmptyExec;

    use super::*;

    fn rows(partitions: usize) -> Arc<dyn ExecutionPlan> {
        let schema = Arc::new(Schema::new(vec![Field::new("k", DataType::Int32, false)]));
        Arc::new(EmptyExec::new(schema).with_partitions(partitions))
    }

    fn key() -> Arc<dyn PhysicalExpr> {
        Arc::new(Column::new("k", 0))
    }

    fn joined(
        left: Arc<dyn ExecutionPlan>,
        right: Arc<dyn ExecutionPlan>,
        mode: PartitionMode,
    ) -> Arc<dyn ExecutionPlan> {
        let on = vec![(key(), key())];
        let (kind, nulls) = (JoinType::Inner, NullEquality::NullEqualsNothing);
        let join = HashJoinExec::try_new(left, right, on, None, &kind, Some(vec![1]), mode, nulls, false);
        Arc::new(join.unwrap())
    }

    fn spread(input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        Arc::new(RepartitionExec::try_new(input, Partitioning::Hash(vec![key()], 4)).unwrap())
    }

    fn fences(plan: Arc<dyn ExecutionPlan>) -> usize {
        let count = std::cell::Cell::new(0);
        let fence = |plan| {
            count.set(count.get() + 1);
            plan
        };
        fenced(plan, &fence).unwrap();
        count.get()
    }

    #[test]
    fn a_join_below_a_partition_that_may_be_skipped_is_fenced() {
        let collecting = || joined(rows(1), spread(rows(1)), PartitionMode::CollectLeft);
        assert_eq!(fences(joined(spread(rows(1)), collecting(), PartitionMode::Partitioned)), 1);
        // A repartitioning reads all of its input.
        assert_eq!(fences(joined(spread(rows(1)), spread(collecting()), PartitionMode::Partitioned)), 0);
        // The side that is read first always is.
        assert_eq!(fences(joined(collecting(), spread(rows(1)), PartitionMode::Partitioned)), 0);
        assert_eq!(fences(joined(rows(1), collecting(), PartitionMode::CollectLeft)), 0);
    }
}
