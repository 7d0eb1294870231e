use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::{FutureExt, StreamExt, TryStreamExt};
use std::sync::Arc;

use super::rows::SharedRows;
use super::scan::{CteScanExec, shared_rows};
use super::table::StatementMemory;

const BATCH_ROWS: i64 = 1000;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true), Field::new("twice", DataType::Int64, true)]))
}

/// Batches of rising numbers.
#[derive(Debug)]
struct Source {
    schema: SchemaRef,
    /// `None`: without end.
    batches: Option<usize>,
    end: End,
    made: Arc<AtomicUsize>,
    dropped: Arc<AtomicBool>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Plain,
    Error,
    Panic,
}

struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl PartitionStream for Source {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (schema, most, end, made) = (Arc::clone(&self.schema), self.batches, self.end, Arc::clone(&self.made));
        let dropped = Dropped(Arc::clone(&self.dropped));
        let batches = futures::stream::unfold((0, dropped), move |(index, dropped)| {
            let (schema, made) = (Arc::clone(&schema), Arc::clone(&made));
            async move {
                if most == Some(index) {
                    return match end {
                        End::Plain => None,
                        End::Error => {
                            Some((Err(DataFusionError::Execution("broken".to_owned())), (index + 1, dropped)))
                        }
                        End::Panic => panic!("of the test"),
                    };
                }
                tokio::task::yield_now().await;
                made.fetch_add(1, Ordering::SeqCst);
                let first = i64::try_from(index).unwrap() * BATCH_ROWS;
                let n: Int64Array = (first..first + BATCH_ROWS).collect();
                let twice: Int64Array = n.unary(|n| 2 * n);
                let batch = RecordBatch::try_new(schema, vec![Arc::new(n), Arc::new(twice)]).unwrap();
                Some((Ok(batch), (index + 1, dropped)))
            }
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches))
    }
}

struct Setting {
    rows: Arc<SharedRows>,
    context: Arc<TaskContext>,
    made: Arc<AtomicUsize>,
    dropped: Arc<AtomicBool>,
}

impl Setting {
    fn new(batches: Option<usize>, end: End, memory: usize) -> Self {
        let (made, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let source = Source { schema: schema(), batches, end, made: Arc::clone(&made), dropped: Arc::clone(&dropped) };
        let source = vec![Arc::new(source) as Arc<dyn PartitionStream>];
        let input = StreamingTableExec::try_new(schema(), source, None, [], batches.is_none(), None).unwrap();
        let rows = Arc::new(SharedRows::new("v", schema(), Arc::new(input), Arc::new(StatementMemory::default())));
        let pool = Arc::new(FairSpillPool::new(memory));
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc().unwrap();
        Self { rows, context: Arc::new(TaskContext::default().with_runtime(runtime)), made, dropped }
    }

    fn read(&self, columns: Vec<usize>) -> SendableRecordBatchStream {
        let scan = CteScanExec::new(Arc::clone(&self.rows), columns).unwrap();
        scan.execute(0, Arc::clone(&self.context)).unwrap()
    }
}

async fn column(mut stream: SendableRecordBatchStream) -> Result<Vec<i64>> {
    let mut values = Vec::new();
    while let Some(batch) = stream.try_next().await? {
        values.extend(batch.column(0).as_primitive::<Int64Type>().values());
    }
    Ok(values)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_readers_see_all_rows_in_order_and_they_are_computed_once() {
    let setting = Setting::new(Some(50), End::Plain, 1 << 30);
    let (first, second) = tokio::join!(column(setting.read(vec![0])), column(setting.read(vec![1])));
    let expected: Vec<i64> = (0..50 * BATCH_ROWS).collect();
    assert_eq!(first.unwrap(), expected);
    assert_eq!(second.unwrap(), expected.iter().map(|n| 2 * n).collect::<Vec<_>>());
    assert_eq!(column(setting.read(vec![0])).await.unwrap(), expected, "from the first row on, also later");
    assert_eq!(setting.made.load(Ordering::SeqCst), 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_no_room_in_memory_goes_to_files() {
    // A quarter of this holds a few batches; the files are several.
    let setting = Setting::new(Some(2000), End::Plain, 1 << 20);
    let (first, second) = tokio::join!(column(setting.read(vec![0])), column(setting.read(vec![0])));
    let expected: Vec<i64> = (0..2000 * BATCH_ROWS).collect();
    assert_eq!(first.unwrap(), expected);
    assert_eq!(second.unwrap(), expected);
    assert_eq!(setting.made.load(Ordering::SeqCst), 2000);
    let metrics = setting.rows.metrics();
    assert!(metrics.spilled_bytes().unwrap_or(0) > 20 << 20, "{metrics}");
    assert!(metrics.spill_count().unwrap_or(0) > 1, "{metrics}");
    assert!(setting.context.memory_pool().reserved() <= 1 << 18);
    let Setting { rows, context, .. } = setting;
    drop(rows);
    assert_eq!(context.memory_pool().reserved(), 0, "the memory is given back with the rows");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_computed_as_they_are_read() {
    let setting = Setting::new(None, End::Plain, 1 << 30);
    let mut idle = setting.read(vec![0]);
    // Asked once, and then left alone: whether a row is there already is the other thread's affair.
    let _ = idle.next().now_or_never();
    let mut reader = setting.read(vec![0]);
    for _ in 0..10 {
        reader.next().await.unwrap().unwrap();
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let made = setting.made.load(Ordering::SeqCst);
    assert!((10..=15).contains(&made), "{made} batches for ten");
    // Who leaves holds up nobody.
    drop(reader);
    for _ in 0..30 {
        idle.next().await.unwrap().unwrap();
    }
    drop(idle);
    assert!(!setting.dropped.load(Ordering::SeqCst));
    drop(setting.rows);
    for _ in 0..100 {
        if setting.dropped.load(Ordering::SeqCst) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("a query without end goes on without readers");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_asks_and_nothing_runs() {
    let setting = Setting::new(Some(1), End::Plain, 1 << 30);
    let stream = setting.read(vec![0]);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(setting.made.load(Ordering::SeqCst), 0);
    drop(stream);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_reaches_every_reader_after_the_rows_before_it() {
    for memory in [1 << 30, 4096] {
        let setting = Setting::new(Some(3), End::Error, memory);
        let readers = [setting.read(vec![0]), setting.read(vec![0]), setting.read(vec![1])];
        for reader in futures::future::join_all(readers.map(column)).await {
            assert!(reader.unwrap_err().to_string().contains("broken"));
        }
        assert!(column(setting.read(vec![0])).await.is_err(), "also one that comes later");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_is_an_error_of_every_reader() {
    let setting = Setting::new(Some(3), End::Panic, 1 << 30);
    let (first, second) = tokio::join!(column(setting.read(vec![0])), column(setting.read(vec![0])));
    assert!(first.is_err() && second.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_knows_its_queries_once_each() {
    let setting = Setting::new(Some(1), End::Plain, 1 << 30);
    let scan = || Arc::new(CteScanExec::new(Arc::clone(&setting.rows), vec![0]).unwrap()) as Arc<dyn ExecutionPlan>;
    let union = datafusion::physical_plan::union::UnionExec::try_new(vec![scan(), scan()]).unwrap();
    assert_eq!(shared_rows(&union).len(), 1);
}
