//! The rows of a `WITH` query: computed by the first who reads them, kept for all others.
//!
//! They are computed as they are asked for, [`AHEAD`] pieces beyond the reader that is furthest, so that `LIMIT` ends a
//! query without end. A task of its own computes them: whoever reads may stop to, and the others go on. It ends with the
//! plan and its streams. What finds no room in memory goes to files, in pieces that are readable when they are whole.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatchOptions;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet, SpillMetrics};
use datafusion::physical_plan::spill::get_record_batch_memory_size;
use datafusion::physical_plan::{ExecutionPlan, SpillManager, execute_stream};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use tokio::sync::watch;

use super::share::internal;
use super::table::StatementMemory;
use crate::interrupt::{Interruptible, StopFlag};

/// Pieces that are computed before anybody asks for them.
const AHEAD: usize = 4;
/// Bytes of a file, from which on the next one is begun.
const FILE_BYTES: usize = 8 << 20;
/// What a batch takes beside its values.
const BATCH_BYTES: usize = 512;

/// Some of the rows.
#[derive(Clone)]
enum Piece {
    Memory(RecordBatch),
    File(Arc<dyn datafusion::execution::spill_file::SpillFile>),
}

/// How far the rows are computed.
#[derive(Clone, Default)]
struct Progress {
    pieces: usize,
    /// There are no more.
    end: Option<std::result::Result<(), Arc<DataFusionError>>>,
}

/// What has been computed.
struct Kept {
    schema: SchemaRef,
    pieces: Mutex<Vec<Piece>>,
    progress: watch::Sender<Progress>,
    /// Pieces that somebody wants to read.
    wanted: watch::Sender<usize>,
    files: SpillManager,
}

impl Kept {
    fn pieces(&self) -> MutexGuard<'_, Vec<Piece>> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, piece: Piece) {
        let pieces = {
            let mut pieces = self.pieces();
            pieces.push(piece);
            pieces.len()
        };
        self.progress.send_modify(|progress| progress.pieces = pieces);
    }

    /// The piece after so many, when it is there; `None` after the last one.
    async fn piece(&self, index: usize, progress: &mut watch::Receiver<Progress>) -> Result<Option<Piece>> {
        self.wanted.send_if_modified(|wanted| {
            let more = *wanted <= index;
            *wanted = (*wanted).max(index + 1);
            more
        });
        let reached = progress.wait_for(|progress| progress.pieces > index || progress.end.is_some()).await;
        let reached = reached.map_err(|_| internal("nobody computes a WITH query"))?.clone();
        if reached.pieces > index {
            return Ok(self.pieces().get(index).cloned());
        }
        match reached.end {
            Some(Err(error)) => Err(DataFusionError::Shared(error)),
            _ => Ok(None),
        }
    }
}

/// Tells the readers that there will be no more rows, also where the task that computes them panics.
struct End<'a> {
    kept: &'a Kept,
    end: Option<Result<()>>,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        let end = self.end.take().unwrap_or_else(|| Err(internal("a WITH query was ended by a failed assertion")));
        self.kept.progress.send_modify(|progress| progress.end = Some(end.map_err(Arc::new)));
    }
}

/// Rows that are being computed.
struct Filling {
    kept: Arc<Kept>,
    /// Ends with the last reader and the plan.
    _task: SpawnedTask<()>,
}

/// The rows of a `WITH` query in one statement.
pub struct SharedRows {
    name: String,
    schema: SchemaRef,
    input: Mutex<(Arc<dyn ExecutionPlan>, StopFlag)>,
    memory: Arc<StatementMemory>,
    metrics: ExecutionPlanMetricsSet,
    filling: Mutex<Option<Arc<Filling>>>,
}

impl fmt::Debug for SharedRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedRows").field("name", &self.name).finish_non_exhaustive()
    }
}

impl SharedRows {
    pub(super) fn new(
        name: &str,
        schema: SchemaRef,
        input: Arc<dyn ExecutionPlan>,
        memory: Arc<StatementMemory>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            schema,
            input: Mutex::new((input, StopFlag::default())),
            memory,
            metrics: ExecutionPlanMetricsSet::new(),
            filling: Mutex::new(None),
        }
    }

    /// The query's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What computes the rows.
    pub fn input(&self) -> Arc<dyn ExecutionPlan> {
        Arc::clone(&self.lock_input().0)
    }

    /// What went to files.
    pub fn metrics(&self) -> MetricsSet {
        self.metrics.clone_inner()
    }

    /// Puts operators into the plan that computes the rows, before it runs, and the whole of it under a flag.
    ///
    /// # Errors
    /// Those of `change`.
    pub fn watch<E>(
        &self,
        stop: &StopFlag,
        change: impl FnOnce(Arc<dyn ExecutionPlan>) -> std::result::Result<Arc<dyn ExecutionPlan>, E>,
    ) -> std::result::Result<(), E> {
        let changed = change(self.input())?;
        *self.lock_input() = (changed, stop.clone());
        Ok(())
    }

    fn lock_input(&self) -> MutexGuard<'_, (Arc<dyn ExecutionPlan>, StopFlag)> {
        self.input.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the rows from the first one on. Nothing is computed before the stream is asked.
    pub(super) fn read(self: Arc<Self>, context: Arc<TaskContext>) -> BoxStream<'static, Result<RecordBatch>> {
        futures::stream::once(async move {
            let filling = self.filling(&context);
            let progress = filling.kept.progress.subscribe();
            let reader = Reader { filling, progress, next: 0, file: None, _memory: Arc::clone(&self.memory) };
            Ok::<_, DataFusionError>(reader.stream())
        })
        .try_flatten()
        .boxed()
    }

    fn filling(&self, context: &Arc<TaskContext>) -> Arc<Filling> {
        let mut filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        let filling = filling.get_or_insert_with(|| {
            let metrics = SpillMetrics::new(&self.metrics, 0);
            let kept = Arc::new(Kept {
                schema: Arc::clone(&self.schema),
                pieces: Mutex::default(),
                progress: watch::Sender::default(),
                wanted: watch::Sender::default(),
                files: SpillManager::new(context.runtime_env(), metrics, Arc::clone(&self.schema))
                    .with_compression_type(context.session_config().spill_compression()),
            });
            let (input, stop) = self.lock_input().clone();
            let work = fill(input, Arc::clone(context), Arc::clone(&kept), Arc::clone(&self.memory));
            Arc::new(Filling { kept, _task: SpawnedTask::spawn(Interruptible::new(work, stop)) })
        });
        Arc::clone(filling)
    }
}

async fn fill(input: Arc<dyn ExecutionPlan>, context: Arc<TaskContext>, kept: Arc<Kept>, memory: Arc<StatementMemory>) {
    let mut end = End { kept: &kept, end: None };
    end.end = Some(compute(input, context, &kept, &memory).await);
}

async fn compute(
    input: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    kept: &Kept,
    memory: &StatementMemory,
) -> Result<()> {
    let pool = Arc::clone(context.memory_pool());
    let mut rows = execute_stream(input, context)?;
    let mut wanted = kept.wanted.subscribe();
    let mut pieces = 0;
    let mut file = None;
    // Rows stay in their order: after the first that went to a file, all do.
    let mut full = false;
    loop {
        let asked = wanted.wait_for(|wanted| wanted.saturating_add(AHEAD) > pieces).await;
        asked.map_err(|_| internal("nobody reads a WITH query"))?;
        let Some(batch) = rows.next().await else { break };
        let batch = batch?;
        if batch.num_rows() == 0 {
            continue;
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&kept.schema), batch.columns().to_vec(), &options)?;
        full = full || !memory.take(&pool, get_record_batch_memory_size(&batch).saturating_add(BATCH_BYTES));
        if !full {
            kept.add(Piece::Memory(batch));
            pieces += 1;
            continue;
        }
        let (writing, bytes) = match &mut file {
            Some(file) => file,
            None => file.insert((kept.files.create_in_progress_file("rows of a WITH query")?, 0)),
        };
        *bytes += writing.append_batch(&batch)?;
        if *bytes >= FILE_BYTES
            && let Some((mut writing, _)) = file.take()
            && let Some(whole) = writing.finish()?
        {
            kept.add(Piece::File(whole));
            pieces += 1;
        }
    }
    if let Some((mut writing, _)) = file.take()
        && let Some(whole) = writing.finish()?
    {
        kept.add(Piece::File(whole));
    }
    Ok(())
}

/// One reading.
struct Reader {
    filling: Arc<Filling>,
    progress: watch::Receiver<Progress>,
    next: usize,
    /// The piece that is being read.
    file: Option<SendableRecordBatchStream>,
    /// Is given back when the plan and the last reader are gone.
    _memory: Arc<StatementMemory>,
}

impl Reader {
    fn stream(self) -> impl futures::Stream<Item = Result<RecordBatch>> {
        futures::stream::try_unfold(self, |mut reader| async move {
            let batch = reader.batch().await?;
            Ok(batch.map(|batch| (batch, reader)))
        })
    }

    async fn batch(&mut self) -> Result<Option<RecordBatch>> {
        let kept = &self.filling.kept;
        loop {
            if let Some(file) = &mut self.file {
                match file.next().await {
                    Some(batch) => return batch.map(Some),
                    None => self.file = None,
                }
            }
            let Some(piece) = kept.piece(self.next, &mut self.progress).await? else { return Ok(None) };
            self.next += 1;
            match piece {
                Piece::Memory(batch) => return Ok(Some(batch)),
                Piece::File(file) => self.file = Some(kept.files.read_spill_as_stream(file, None)?),
            }
        }
    }
}
