//! Rows that no join above a scan will match are dropped as soon as they are read.
//!
//! What a scan sends to its source of a join's filter is a part of it: short lists of keys, or their bounds. The rest is
//! asked of the rows here, before anything that lies between the scan and the join sees them: an aggregate, an exchange,
//! another join.

use std::sync::Arc;

use arrow::array::{Array, BooleanArray};
use arrow::compute::{BatchCoalescer, and, prep_null_mask_filter};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::cast::as_boolean_array;
use datafusion::common::{DataFusionError, Result as DfResult};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::metrics::Count;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};

use crate::joins::JoinFilters;
use crate::{ConnectorError, Result};

/// After so many rows no more than a part of them may be left, or the filters are asked no more: the join asks the same.
const TRIAL_ROWS: usize = 1 << 16;
/// The part: one row in so many.
const KEPT_MAX: usize = 4;
/// Rows of a batch that is put together of what is left; as many as a batch that is read has.
const BATCH_ROWS: usize = 8192;

/// The rows of a scan that its joins may match.
struct JoinedRows {
    filters: Vec<Arc<dyn PhysicalExpr>>,
    read: usize,
    kept: usize,
    batches: BatchCoalescer,
    dropped: Count,
}

/// The rows of `batches`, whose schema is `schema`, that the joins may match, in their order; how many are not is added to
/// `dropped`. The filters are taken as they are now: one that is not complete keeps every row.
///
/// # Errors
/// In the stream: those of `batches`, and [`ConnectorError::Internal`] for a filter that cannot be computed. Dropping the
/// stream stops the reading.
pub fn joined_rows(
    joins: &JoinFilters,
    batches: BoxStream<'static, Result<RecordBatch>>,
    schema: &SchemaRef,
    dropped: Count,
) -> BoxStream<'static, Result<RecordBatch>> {
    let filters: Vec<_> = joins.of_rows(schema).collect();
    if filters.is_empty() {
        return batches;
    }
    // Large batches go on as they are.
    let target = BatchCoalescer::new(Arc::clone(schema), BATCH_ROWS);
    let target = target.with_biggest_coalesce_batch_size(Some(BATCH_ROWS / 2));
    let rows = JoinedRows { filters, read: 0, kept: 0, batches: target, dropped };
    // The last rows are left when the source has ended, and it is asked again after them.
    let batches = batches.fuse().boxed();
    let step = |state: Option<(JoinedRows, BoxStream<'static, Result<RecordBatch>>)>| async move {
        let (mut rows, mut batches) = state?;
        loop {
            if let Some(batch) = rows.batches.next_completed_batch() {
                return Some((Ok(batch), Some((rows, batches))));
            }
            match batches.next().await {
                Some(Ok(batch)) => {
                    if let Err(error) = rows.push(batch) {
                        return Some((Err(internal(&error)), None));
                    }
                }
                Some(Err(error)) => return Some((Err(error), None)),
                None => {
                    if let Err(error) = rows.batches.finish_buffered_batch() {
                        return Some((Err(internal(&error.into())), None));
                    }
                    return rows.batches.next_completed_batch().map(|batch| (Ok(batch), Some((rows, batches))));
                }
            }
        }
    };
    // An exchange asks again after the end.
    stream::unfold(Some((rows, batches)), step).fuse().boxed()
}

fn internal(error: &DataFusionError) -> ConnectorError {
    ConnectorError::Internal { message: format!("a join's filter: {error}") }
}

impl JoinedRows {
    fn push(&mut self, batch: RecordBatch) -> DfResult<()> {
        let rows = batch.num_rows();
        let Some(wanted) = self.wanted(&batch)? else { return Ok(self.batches.push_batch(batch)?) };
        let kept = wanted.true_count();
        self.dropped.add(rows - kept);
        (self.read, self.kept) = (self.read.saturating_add(rows), self.kept.saturating_add(kept));
        if self.read >= TRIAL_ROWS && self.kept > self.read / KEPT_MAX {
            self.filters.clear();
        }
        match kept {
            0 => {}
            _ if kept == rows => self.batches.push_batch(batch)?,
            _ => self.batches.push_batch_with_filter(batch, &wanted)?,
        }
        Ok(())
    }

    /// Which rows all filters keep; `None` where no filter is left.
    fn wanted(&self, batch: &RecordBatch) -> DfResult<Option<BooleanArray>> {
        let mut wanted: Option<BooleanArray> = None;
        for filter in &self.filters {
            let kept = filter.evaluate(batch)?.into_array(batch.num_rows())?;
            let kept = as_boolean_array(&kept)?;
            let kept = if kept.null_count() > 0 { prep_null_mask_filter(kept) } else { kept.clone() };
            wanted = Some(match wanted {
                Some(others) => and(&others, &kept)?,
                None => kept,
            });
        }
        Ok(wanted)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::{DataType, Field, Int64Type, Schema};
    use datafusion::logical_expr::Operator;
    use datafusion::physical_expr::expressions::{BinaryExpr, DynamicFilterPhysicalExpr, col, lit};

    use super::*;

    fn batches(rows: i64, of: i64) -> (SchemaRef, Vec<Result<RecordBatch>>) {
        let schema = Arc::new(Schema::new(vec![Field::new("k", DataType::Int64, true)]));
        let batch = |from: i64| {
            let values = (from..(from + of).min(rows)).map(|value| (value % 7 != 0).then_some(value));
            Ok(RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(Int64Array::from_iter(values))]).unwrap())
        };
        let step = usize::try_from(of).unwrap();
        let all = (0..rows).step_by(step).map(batch).collect();
        (schema, all)
    }

    fn filter(schema: &SchemaRef, least: i64) -> JoinFilters {
        let key = col("k", schema).unwrap();
        let dynamic = DynamicFilterPhysicalExpr::new(vec![Arc::clone(&key)], lit(true));
        dynamic.update(Arc::new(BinaryExpr::new(key, Operator::GtEq, lit(least)))).unwrap();
        dynamic.mark_complete();
        JoinFilters::of_filter(Arc::new(dynamic), "k")
    }

    fn run(least: i64, rows: i64, of: i64) -> (Vec<i64>, Vec<usize>, usize) {
        let (schema, all) = batches(rows, of);
        let dropped = Count::new();
        let joins = filter(&schema, least);
        let stream = joined_rows(&joins, stream::iter(all).boxed(), &schema, dropped.clone());
        let found: Vec<_> = futures::executor::block_on(stream.collect());
        let found: Vec<RecordBatch> = found.into_iter().map(Result::unwrap).collect();
        let values =
            |batch: &RecordBatch| batch.column(0).as_primitive::<Int64Type>().iter().flatten().collect::<Vec<_>>();
        (found.iter().flat_map(values).collect(), found.iter().map(RecordBatch::num_rows).collect(), dropped.value())
    }

    #[test]
    fn keeps_what_the_filter_keeps_in_order_and_in_whole_batches() {
        let (values, sizes, dropped) = run(40_000, 50_000, 100);
        let expected: Vec<i64> = (40_000..50_000).filter(|value| value % 7 != 0).collect();
        assert_eq!(values, expected);
        assert_eq!(sizes, [8192, expected.len() - 8192]);
        assert_eq!(dropped, 50_000 - expected.len());
    }

    #[test]
    fn a_filter_that_drops_little_is_given_up() {
        let (values, _, dropped) = run(0, 200_000, 1000);
        assert_eq!(values.len(), (0..200_000).filter(|value| value % 7 != 0).count());
        // NULLs of the trial only.
        assert_eq!(dropped, (0..66_000).filter(|value| value % 7 == 0).count());
    }

    #[test]
    fn an_error_ends_the_rows() {
        let (schema, mut all) = batches(30_000, 1000);
        let error = ConnectorError::Internal { message: "broken".into() };
        all.insert(20, Err(error));
        let joins = filter(&schema, 10_000);
        let stream = joined_rows(&joins, stream::iter(all).boxed(), &schema, Count::new());
        let found: Vec<_> = futures::executor::block_on(stream.collect());
        assert_eq!(found.len(), 2);
        assert!(found.last().unwrap().is_err());
    }

    #[test]
    fn the_end_may_be_asked_for_twice() {
        let (schema, all) = batches(100, 10);
        let joins = filter(&schema, 50);
        let source = stream::unfold(all.into_iter(), |mut all| async move { Some((all.next()?, all)) });
        let mut stream = joined_rows(&joins, source.boxed(), &schema, Count::new());
        let next = |stream: &mut BoxStream<'static, _>| futures::executor::block_on(stream.next()).is_some();
        assert!(next(&mut stream));
        assert!(!next(&mut stream) && !next(&mut stream));
    }
}
