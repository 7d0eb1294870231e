//! Runs plans on the CPU runtime and hands their batches over a short queue.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::record_batch::RecordBatch;
use atoll_connector_api::statement::StatementScans;
use datafusion::execution::{SessionState, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, Stream, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::admission::{Admission, needs_turn};
use super::outcome::{CancelReason, Canceller};
use super::stoppable::stoppable;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::federation::ctes::shared_rows;
use crate::federation::optimize::optimize;
use crate::interrupt::{Interruptible, StopFlag};
use crate::wire::sqlstate;

/// Batches that wait between the CPU runtime and a connection: one being sent, one ready.
const BATCHES_QUEUED_MAX: usize = 2;

/// What ends a statement early: cancel requests, shutdown, `statement_timeout`.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    canceller: Canceller,
}

impl Limits {
    /// The limits that a canceller sets.
    pub(super) fn new(canceller: Canceller) -> Self {
        Self { canceller }
    }

    /// Completes with the error that ends the statement.
    async fn reached(self) -> SqlError {
        cancel_error(self.canceller.cancelled().await)
    }

    /// Runs a future on the CPU runtime until it is done or a limit is reached; then it is dropped there.
    ///
    /// # Errors
    /// The future's own; `57014`, `57P01`; `XX000` where it panicked.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        cpu: &Handle,
        work: impl Future<Output = SqlResult<T>> + Send + 'static,
    ) -> SqlResult<T> {
        let stop = StopFlag::default();
        let mut task = AbortOnDrop { task: cpu.spawn(Interruptible::new(work, stop.clone())), stop };
        tokio::select! {
            done = &mut task.task => done.unwrap_or_else(|error| Err(task_error(&error))),
            error = self.clone().reached() => Err(error),
        }
    }
}

/// The error for a reason to stop.
pub(super) fn cancel_error(reason: CancelReason) -> SqlError {
    match reason {
        CancelReason::Client => SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request"),
        CancelReason::Timeout => {
            SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to statement timeout")
        }
        CancelReason::Shutdown => {
            SqlError::new(SqlState::ADMIN_SHUTDOWN, "terminating connection due to administrator command")
        }
    }
}

fn task_error(error: &tokio::task::JoinError) -> SqlError {
    // The panic's own text stays in the log: it may hold data.
    if error.is_panic() {
        tracing::error!("a query task panicked");
        SqlError::internal("internal error: the query was ended by a failed assertion")
    } else {
        cancel_error(CancelReason::Client)
    }
}

struct AbortOnDrop<T> {
    task: JoinHandle<T>,
    stop: StopFlag,
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.stop.stop();
        self.task.abort();
    }
}

/// Makes the physical plan.
///
/// # Errors
/// What optimizing and planning find.
pub(super) async fn physical_plan(state: &SessionState, plan: LogicalPlan) -> SqlResult<Arc<dyn ExecutionPlan>> {
    let optimized = optimize(state, plan).map_err(|error| {
        let error = sqlstate::sql_error(&error);
        // Every name was found when the statement was planned: what is missing now was lost on the way to a join.
        if error.sqlstate == SqlState::UNDEFINED_COLUMN {
            return SqlError::unsupported("this form of correlated subquery is not supported");
        }
        error
    })?;
    state.query_planner().create_physical_plan(&optimized, state).await.map_err(|error| sqlstate::sql_error(&error))
}

/// A plan that can be stopped while it computes, for [`stream`].
pub(super) struct Stoppable {
    /// The plan as it will run: where its metrics are.
    pub plan: Arc<dyn ExecutionPlan>,
    stop: StopFlag,
}

impl Stoppable {
    /// Makes one. It runs once.
    ///
    /// # Errors
    /// Bugs only.
    pub(super) fn new(plan: Arc<dyn ExecutionPlan>) -> SqlResult<Self> {
        Self::under(plan, StopFlag::default())
    }

    fn under(plan: Arc<dyn ExecutionPlan>, stop: StopFlag) -> SqlResult<Self> {
        let plan = stoppable(plan, &stop).map_err(|error| sqlstate::sql_error(&error))?;
        Ok(Self { plan, stop })
    }
}

/// The batches of a plan that runs on the CPU runtime; dropped, it ends the work, remote queries included.
pub(super) type Batches = BoxStream<'static, SqlResult<RecordBatch>>;

/// Where plans run, and until when.
pub(super) struct Run<'a> {
    pub cpu: &'a Handle,
    pub admission: &'a Arc<Admission>,
    pub context: Arc<TaskContext>,
    pub limits: Limits,
}

impl Run<'_> {
    /// Makes a plan and goes on to run it, in one task: a thread that waits for the plan before it asks for the rows costs
    /// a short query as much as its source. `None` where `make` has none.
    ///
    /// # Errors
    /// Those of `make`; `57014`, `57P01`; `XX000` where it panicked.
    pub(super) async fn start(
        self,
        make: impl Future<Output = SqlResult<Option<Arc<dyn ExecutionPlan>>>> + Send + 'static,
    ) -> SqlResult<Option<Batches>> {
        let (sender, receiver) = mpsc::channel(BATCHES_QUEUED_MAX);
        let (tell, told) = oneshot::channel();
        let (admission, context, stop) = (Arc::clone(self.admission), self.context, StopFlag::default());
        let flag = stop.clone();
        let work = async move {
            let made = match make.await {
                Ok(Some(plan)) => Stoppable::under(plan, flag).map(Some),
                Ok(None) => Ok(None),
                Err(error) => Err(error),
            };
            let (plan, made) = match made {
                Ok(plan) => (plan, Ok(())),
                Err(error) => (None, Err(error)),
            };
            if tell.send(made.map(|()| plan.is_some())).is_ok()
                && let Some(plan) = plan
            {
                run(plan.plan, context, &admission, &sender).await;
            }
        };
        let mut task = AbortOnDrop { task: self.cpu.spawn(Interruptible::new(work, stop.clone())), stop: stop.clone() };
        let made = tokio::select! {
            made = told => match made {
                Ok(made) => made?,
                // Nobody tells: the task panicked.
                Err(_) => return (&mut task.task).await.map_or_else(|error| Err(task_error(&error)), |()| Ok(None)),
            },
            error = self.limits.clone().reached() => return Err(error),
        };
        let reached = self.limits.reached().boxed();
        Ok(made.then(|| BatchStream { receiver, task: Some(task), reached, stop }.boxed()))
    }

    /// Runs a physical plan when its turn comes. The stream ends with an error when a limit is reached.
    pub(super) fn stream(self, plan: Stoppable) -> Batches {
        let Stoppable { plan, stop } = plan;
        let (sender, receiver) = mpsc::channel(BATCHES_QUEUED_MAX);
        let (admission, context) = (Arc::clone(self.admission), self.context);
        let work = async move { run(plan, context, &admission, &sender).await };
        let task = self.cpu.spawn(Interruptible::new(work, stop.clone()));
        BatchStream {
            receiver,
            task: Some(AbortOnDrop { task, stop: stop.clone() }),
            reached: self.limits.reached().boxed(),
            stop,
        }
        .boxed()
    }
}

/// Sends a plan's batches, and the error that ends them.
async fn run(
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    admission: &Admission,
    sender: &mpsc::Sender<SqlResult<RecordBatch>>,
) {
    let queue = needs_turn(&plan).then_some(admission);
    if let Err(error) = produce(plan, context, queue, sender).await {
        let _ = sender.send(Err(error)).await;
    }
}

/// Sends a plan's batches. While it waits for a client that does not read, somebody else may compute.
///
/// # Errors
/// The plan's own; those of the queue.
async fn produce(
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    queue: Option<&Admission>,
    sender: &mpsc::Sender<SqlResult<RecordBatch>>,
) -> SqlResult<()> {
    let mut turn = match queue {
        Some(queue) => Some(queue.enter().await?),
        None => None,
    };
    if let Some(scans) = context.session_config().get_extension::<StatementScans>() {
        scans.expect_plan(&plan);
        for rows in shared_rows(&plan) {
            scans.expect_plan(&rows.input());
        }
    }
    let mut batches = execute_stream(plan, context).map_err(|error| sqlstate::sql_error(&error))?;
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(|error| sqlstate::sql_error(&error))?;
        match sender.try_send(Ok(batch)) {
            Ok(()) => {}
            Err(TrySendError::Closed(_)) => return Ok(()),
            Err(TrySendError::Full(batch)) => {
                drop(turn.take());
                if sender.send(batch).await.is_err() {
                    return Ok(());
                }
                if let Some(queue) = queue {
                    turn = Some(queue.enter_again().await?);
                }
            }
        }
    }
    Ok(())
}

struct BatchStream {
    receiver: mpsc::Receiver<SqlResult<RecordBatch>>,
    task: Option<AbortOnDrop<()>>,
    reached: BoxFuture<'static, SqlError>,
    stop: StopFlag,
}

impl Drop for BatchStream {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

impl Stream for BatchStream {
    type Item = SqlResult<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(mut task) = self.task.take() else { return Poll::Ready(None) };
        // A limit ends even a client that never stops reading.
        if let Poll::Ready(error) = self.reached.poll_unpin(context) {
            self.stop.stop();
            self.receiver.close();
            return Poll::Ready(Some(Err(error)));
        }
        match self.receiver.poll_recv(context) {
            Poll::Ready(Some(Ok(batch))) => {
                self.task = Some(task);
                Poll::Ready(Some(Ok(batch)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error))),
            // The sender is gone: the task is done, or it panicked.
            Poll::Ready(None) => match task.task.poll_unpin(context) {
                Poll::Ready(Ok(())) => Poll::Ready(None),
                Poll::Ready(Err(error)) => Poll::Ready(Some(Err(task_error(&error)))),
                Poll::Pending => {
                    self.task = Some(task);
                    Poll::Pending
                }
            },
            Poll::Pending => {
                self.task = Some(task);
                Poll::Pending
            }
        }
    }
}
