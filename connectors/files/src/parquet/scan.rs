//! Scanning Parquet files by DataFusion's own source: row groups and pages that a filter rules out are not read.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::datatypes::FieldRef;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use atoll_connector_api::{ConnectorError, Result};
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::config::TableParquetOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    FileGroup, FileGroupPartitioner, FileScanConfig, FileScanConfigBuilder, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::TaskContext;
use datafusion::execution::object_store::{ObjectStoreRegistry, ObjectStoreUrl};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};
use url::Url;

use super::interval;
use super::reader::{Readers, Witness};
use super::table::{FileShape, ParquetColumn, ParquetTable};
use crate::error::{Owner, panic_text};
use crate::exec::check_nulls;
use crate::listing::FileEntry;

/// Where DataFusion believes the files to be; all reading goes through [`Readers`].
const STORE_URL: &str = "atoll-files://table";

/// Gives out an empty store: nothing of a server's shared stores is reached from here.
#[derive(Debug)]
struct NoStores(Arc<InMemory>);

impl ObjectStoreRegistry for NoStores {
    fn register_store(&self, _url: &Url, _store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn get_store(&self, _url: &Url) -> DfResult<Arc<dyn ObjectStore>> {
        Ok(Arc::clone(&self.0) as _)
    }
}

/// A column that a scan yields.
#[derive(Debug, Clone)]
enum Output {
    File(Box<ParquetColumn>),
    /// Already in its declared type.
    Partition,
}

/// What a scan shall read.
#[derive(Debug)]
pub(crate) struct ScanRequest {
    /// Files that may hold rows.
    pub(crate) files: Vec<usize>,
    /// Partition columns: fields, and for each file of the table its values.
    pub(crate) partition_fields: Vec<FieldRef>,
    pub(crate) partition_values: Vec<Vec<ScalarValue>>,
    /// Wanted columns: those of the files, then the partition columns.
    pub(crate) projection: Vec<usize>,
    pub(crate) limit: Option<usize>,
    /// For each shape of the table's files, what may be asked of them.
    pub(crate) predicates: Vec<Option<Arc<dyn PhysicalExpr>>>,
    pub(crate) target_partitions: usize,
}

/// A scan of some files of a table.
#[derive(Debug)]
pub(crate) struct ParquetScan {
    owner: Owner,
    /// One for each shape of the table's files.
    readings: Vec<Reading>,
    groups: Vec<FileGroup>,
    table: Arc<ParquetTable>,
}

/// How files of one shape are read.
#[derive(Debug)]
struct Reading {
    config: FileScanConfig,
    predicate: Option<Arc<dyn PhysicalExpr>>,
    outputs: Arc<[Output]>,
}

impl Reading {
    fn new(shape: &FileShape, request: &ScanRequest, predicate: Option<&Arc<dyn PhysicalExpr>>) -> DfResult<Self> {
        let table_schema = TableSchema::builder(Arc::clone(&shape.file_schema))
            .with_table_partition_cols(request.partition_fields.clone())
            .build();
        let mut source = ParquetSource::new(table_schema).with_table_parquet_options(parquet_options());
        if let Some(predicate) = predicate {
            source = source.with_predicate(Arc::clone(predicate));
        }
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::parse(STORE_URL)?, Arc::new(source))
            .with_projection_indices(Some(request.projection.clone()))?
            .with_limit(request.limit)
            .build();
        let output = |index: &usize| {
            shape.columns.get(*index).map_or(Output::Partition, |column| Output::File(Box::new(column.clone())))
        };
        Ok(Self { config, predicate: predicate.cloned(), outputs: request.projection.iter().map(output).collect() })
    }
}

impl ParquetScan {
    /// Divides the work into partitions: files, and parts of large ones.
    ///
    /// # Errors
    /// DataFusion's, where columns and projection disagree.
    pub(crate) fn new(table: &Arc<ParquetTable>, request: &ScanRequest) -> DfResult<Self> {
        let files: Vec<_> = request.files.iter().map(|index| partitioned_file(table, request, *index)).collect();
        let whole = if files.is_empty() {
            vec![FileGroup::default()]
        } else {
            FileGroup::new(files).split_files(request.target_partitions.max(1))
        };
        let groups = FileGroupPartitioner::new()
            .with_target_partitions(request.target_partitions.max(1))
            .repartition_file_groups(&whole)
            .unwrap_or(whole);
        let readings = table.shapes.iter().enumerate().map(|(index, shape)| {
            let predicate = request.predicates.get(index).and_then(Option::as_ref);
            Reading::new(shape, request, predicate)
        });
        let readings = readings.collect::<DfResult<_>>()?;
        Ok(Self { owner: table.owner.clone(), readings, groups, table: Arc::clone(table) })
    }

    /// The table that is scanned.
    pub(crate) fn table(&self) -> &ParquetTable {
        &self.table
    }

    /// The number of partitions.
    pub(crate) fn partitions(&self) -> usize {
        self.groups.len()
    }

    /// What the source counted: bytes, row groups and pages that were ruled out.
    pub(crate) fn metrics(&self) -> MetricsSet {
        let mut metrics = MetricsSet::new();
        for reading in &self.readings {
            reading.config.file_source().metrics().clone_inner().iter().for_each(|one| metrics.push(Arc::clone(one)));
        }
        metrics
    }

    /// Reads one partition as batches of `schema`, the declared columns that are wanted.
    ///
    /// `more` may be asked of the files too, for each shape. They are opened one after another, so that every error knows its file; their footers are in memory already.
    ///
    /// # Errors
    /// In the stream: reading errors, damaged pages, values that the declared types cannot hold.
    pub(crate) fn open(
        self: Arc<Self>,
        partition: usize,
        context: &TaskContext,
        schema: SchemaRef,
        more: Arc<[Option<Arc<dyn PhysicalExpr>>]>,
    ) -> DfResult<BoxStream<'static, Result<RecordBatch>>> {
        let Some(group) = self.groups.get(partition).cloned() else {
            return Err(ConnectorError::Internal { message: "a scan has no such partition".into() }.into());
        };
        let runtime = RuntimeEnv {
            object_store_registry: Arc::new(NoStores(Arc::default())),
            ..context.runtime_env().as_ref().clone()
        };
        let session = context.session_config().clone();
        let context = Arc::new(TaskContext::default().with_session_config(session).with_runtime(Arc::new(runtime)));
        let batches = stream::iter(group.into_inner()).flat_map(move |file| {
            let opened = self.open_file(file, &context, &schema, &more);
            opened.unwrap_or_else(|error| stream::once(std::future::ready(Err(error))).boxed())
        });
        // After an error nothing that the decoder says can be trusted.
        let mut failed = false;
        let batches = batches.take_while(move |item| {
            let go_on = !failed;
            failed |= item.is_err();
            std::future::ready(go_on)
        });
        Ok(batches.boxed())
    }

    fn open_file(
        &self,
        file: PartitionedFile,
        context: &Arc<TaskContext>,
        schema: &SchemaRef,
        more: &[Option<Arc<dyn PhysicalExpr>>],
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let index = file.object_meta.location.as_ref().parse::<usize>().ok();
        let path = index.and_then(|index| self.table.files.get(index)).map(FileEntry::display).unwrap_or_default();
        let witness: Arc<Witness> = Arc::default();
        let shape = index.and_then(|index| self.table.shape_of.get(index));
        let more = shape.and_then(|shape| more.get(*shape)).and_then(Option::as_ref);
        let Some(reading) = shape.and_then(|shape| self.readings.get(*shape)) else {
            return Err(ConnectorError::Internal { message: "a scan names a file that its table lacks".into() });
        };
        let inner = self
            .execute(reading, file, (&witness, more), context)
            .map_err(|error| self.owner.reading(&path, "Parquet", &error))?;
        let (owner, outputs, schema) = (self.owner.clone(), Arc::clone(&reading.outputs), Arc::clone(schema));
        // The decoder is known to panic on some broken pages: a hostile file must not end more than its own scan.
        let guarded = AssertUnwindSafe(inner).catch_unwind();
        let stream = guarded.map(move |item| match item {
            Ok(Ok(batch)) => {
                let work = AssertUnwindSafe(|| convert(&owner, &path, &outputs, &batch, &schema));
                std::panic::catch_unwind(work)
                    .unwrap_or_else(|payload| Err(owner.format(&path, "Parquet", panic_text(payload.as_ref()))))
            }
            Ok(Err(error)) => Err(witness.take().unwrap_or_else(|| owner.reading(&path, "Parquet", &error))),
            Err(payload) => Err(owner.format(&path, "Parquet", panic_text(payload.as_ref()))),
        });
        Ok(stream.boxed())
    }

    fn execute(
        &self,
        reading: &Reading,
        file: PartitionedFile,
        (witness, more): (&Arc<Witness>, Option<&Arc<dyn PhysicalExpr>>),
        context: &Arc<TaskContext>,
    ) -> DfResult<SendableRecordBatchStream> {
        let readers = Readers {
            owner: self.owner.clone(),
            files: Arc::clone(&self.table.files),
            footers: Arc::clone(&self.table.footers),
            witness: Arc::clone(witness),
        };
        let source = reading.config.file_source().as_ref() as &dyn std::any::Any;
        let Some(source) = source.downcast_ref::<ParquetSource>() else {
            return Err(ConnectorError::Internal { message: "the scan's source is not for Parquet".into() }.into());
        };
        let mut source = source.clone().with_parquet_file_reader_factory(Arc::new(readers));
        if let Some(more) = more {
            let both = reading.predicate.iter().chain([more]).map(Arc::clone);
            source = source.with_predicate(datafusion::physical_expr::conjunction(both));
        }
        let config = FileScanConfigBuilder::from(reading.config.clone())
            .with_source(Arc::new(source))
            .with_file_groups(vec![FileGroup::new(vec![file])])
            .build();
        DataSourceExec::from_data_source(config).execute(0, Arc::clone(context))
    }
}

fn parquet_options() -> TableParquetOptions {
    let mut options = TableParquetOptions::default();
    options.global.coerce_int96 = Some("us".into());
    // A bloom filter's length is the file's claim, and the room for it is made before it is read.
    options.global.bloom_filter_on_read = false;
    options.global.pushdown_filters = false;
    options.global.skip_metadata = true;
    options
}

fn partitioned_file(table: &ParquetTable, request: &ScanRequest, index: usize) -> PartitionedFile {
    let size = table.files[index].meta.size;
    // The number stands for the path: see `Readers`.
    let location = Path::from(index.to_string());
    let meta = ObjectMeta { location, size, ..table.files[index].meta.clone() };
    let values = request.partition_values.get(index).cloned().unwrap_or_default();
    PartitionedFile::new_from_meta(meta).with_partition_values(values)
}

fn convert(
    owner: &Owner,
    path: &str,
    outputs: &[Output],
    batch: &RecordBatch,
    schema: &SchemaRef,
) -> Result<RecordBatch> {
    let mut columns = Vec::with_capacity(outputs.len());
    for (output, column) in outputs.iter().zip(batch.columns()) {
        columns.push(match output {
            Output::Partition => Arc::clone(column),
            Output::File(column_of) => {
                let ParquetColumn { declared, seen, restored, conversion, name } = column_of.as_ref();
                let converted =
                    interval::restore(column, restored).and_then(|column| conversion.apply(&column, seen, declared));
                converted.map_err(|error| match error {
                    ConnectorError::Value { sqlstate, message, .. } => ConnectorError::value(
                        sqlstate,
                        format!("{message} ({}, file \"{path}\", column \"{name}\")", owner.object),
                    ),
                    other => other,
                })?
            }
        });
    }
    check_nulls(owner, path, schema, &columns)?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|error| ConnectorError::Internal { message: format!("a batch is not of its schema: {error}") })
}
