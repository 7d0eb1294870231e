//! Cursors: DECLARE, FETCH, MOVE and CLOSE over a stream that is read once, forward.

use std::sync::Arc;
use std::time::SystemTime;

use arrow::record_batch::RecordBatch;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::Mutex;

use super::outcome::{ResultColumn, Rows, RowsTag};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::statement::ast::FetchDirection;

/// An open cursor. Rows are computed as they are fetched; nothing behind the position is kept.
#[derive(Clone)]
pub(super) struct Cursor {
    /// The result's columns.
    pub columns: Arc<[ResultColumn]>,
    /// It outlives its transaction.
    pub hold: bool,
    /// `BINARY`: FETCH of a simple query sends values in their binary form.
    pub binary: bool,
    /// Later ones have greater numbers; 0 is before all savepoints.
    pub number: u64,
    /// The statement that opened it.
    pub text: Arc<str>,
    /// When it was opened.
    pub made: SystemTime,
    state: Arc<Mutex<State>>,
}

impl std::fmt::Debug for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cursor").field("hold", &self.hold).finish_non_exhaustive()
    }
}

struct State {
    batches: BoxStream<'static, SqlResult<RecordBatch>>,
    rest: Option<RecordBatch>,
    /// Rows passed; the cursor stands on this one.
    position: i64,
    at_end: bool,
}

impl Cursor {
    /// A cursor before the first row of `rows`.
    pub(super) fn new(rows: Rows, text: &str) -> Self {
        let state = State { batches: rows.batches, rest: None, position: 0, at_end: false };
        let (text, made) = (Arc::from(text), SystemTime::now());
        let state = Arc::new(Mutex::new(state));
        Self { columns: rows.columns, hold: false, binary: false, number: 0, text, made, state }
    }

    /// The same, so many rows further than `rows` begins.
    #[must_use]
    pub(super) fn past(mut self, rows: i64) -> Self {
        if let Some(state) = Arc::get_mut(&mut self.state) {
            state.get_mut().position = rows;
        }
        self
    }

    /// Fetches: the rows come as they are computed.
    ///
    /// # Errors
    /// `55000` for every direction that would go back.
    pub(super) async fn fetch(&self, direction: FetchDirection) -> SqlResult<Rows> {
        let (skip, take) = self.plan(direction).await?;
        let state = Arc::clone(&self.state);
        let batches = futures::stream::try_unfold((state, skip, take), |(state, skip, take)| async move {
            if take == 0 && skip == 0 {
                return Ok(None);
            }
            let mut locked = state.lock().await;
            let skipped = locked.skip(skip).await?;
            if skipped < skip {
                return Ok(None);
            }
            let batch = if take == 0 { None } else { locked.next(take).await? };
            drop(locked);
            Ok(batch.map(|batch| {
                let taken = i64::try_from(batch.num_rows()).unwrap_or(i64::MAX);
                let left = if take == i64::MAX { take } else { take - taken };
                (batch, (state, 0, left))
            }))
        });
        let tag = if self.binary { RowsTag::FetchBinary } else { RowsTag::Fetch };
        Ok(Rows { columns: Arc::clone(&self.columns), batches: batches.boxed(), tag })
    }

    /// Moves, and says over how many rows.
    ///
    /// # Errors
    /// As [`Self::fetch`], and the query's own.
    pub(super) async fn advance(&self, direction: FetchDirection) -> SqlResult<i64> {
        let (skip, take) = self.plan(direction).await?;
        let mut state = self.state.lock().await;
        if state.skip(skip).await? < skip {
            return Ok(0);
        }
        state.skip(take).await
    }

    /// How many rows to pass over and how many to return.
    async fn plan(&self, direction: FetchDirection) -> SqlResult<(i64, i64)> {
        let state = self.state.lock().await;
        let ahead = |distance: i64| match distance {
            // The current row again: it is gone.
            ..=0 => Err(forward_only()),
            distance => Ok((distance - 1, 1)),
        };
        match direction {
            FetchDirection::Forward(count) if count >= 0 => Ok((0, count)),
            FetchDirection::Backward(count) if count <= 0 => Ok((0, count.saturating_neg())),
            FetchDirection::Forward(_) | FetchDirection::Backward(_) => Err(forward_only()),
            FetchDirection::First => ahead(1 - state.position),
            FetchDirection::Absolute(row) => ahead(row - state.position),
            FetchDirection::Relative(distance) => ahead(distance),
            FetchDirection::Last => Err(SqlError::unsupported("FETCH LAST is not supported")),
        }
    }
}

fn forward_only() -> SqlError {
    SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, "cursor can only scan forward")
        .hint("Cursors of Atoll keep no rows that were passed; declare a new one to read from the start.")
}

impl State {
    /// Up to `limit` rows of what is next; `None` at the end.
    async fn next(&mut self, limit: i64) -> SqlResult<Option<RecordBatch>> {
        loop {
            let batch = match self.rest.take() {
                Some(batch) => batch,
                None if self.at_end => return Ok(None),
                None => match self.batches.next().await {
                    Some(batch) => batch?,
                    None => {
                        self.at_end = true;
                        return Ok(None);
                    }
                },
            };
            let rows = batch.num_rows();
            if rows == 0 {
                continue;
            }
            let take = usize::try_from(limit).unwrap_or(usize::MAX).min(rows);
            if take < rows {
                self.rest = Some(batch.slice(take, rows - take));
            }
            self.position += i64::try_from(take).unwrap_or(i64::MAX);
            return Ok(Some(batch.slice(0, take)));
        }
    }

    /// Passes over up to `count` rows and says over how many.
    async fn skip(&mut self, count: i64) -> SqlResult<i64> {
        let mut skipped = 0;
        while skipped < count {
            let Some(batch) = self.next(count - skipped).await? else { break };
            skipped += i64::try_from(batch.num_rows()).unwrap_or(i64::MAX);
        }
        Ok(skipped)
    }
}
