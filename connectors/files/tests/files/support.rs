//! A source over files in a scratch directory, and queries of it through DataFusion.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use atoll_connector_api::paths::FilesRoots;
use atoll_connector_api::types::text::{OutputStyle, write_text};
use atoll_connector_api::types::{PgType, oids};
use atoll_connector_api::{
    ColumnDefinition, ConnectorContext, ConnectorError, ForeignSource, Options, ServerSpec, TableSpec,
};
use datafusion::error::DataFusionError;
use datafusion::physical_plan::displayable;
use datafusion::prelude::{SessionConfig, SessionContext};

/// A scratch directory: `files` is the root that may be read, `data` the refused data directory within it.
pub(crate) struct Scratch {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) context: ConnectorContext,
}

pub(crate) fn options(pairs: &[(&str, &str)]) -> Options {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

impl Scratch {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("files");
        let data = root.join("data");
        fs::create_dir_all(&data).unwrap();
        fs::write(data.join("secret.csv"), "a\n1\n").unwrap();
        fs::write(dir.path().join("outside.csv"), "a\n1\n").unwrap();
        let files = FilesRoots::open(&[root], &[data]).unwrap();
        Self { dir, context: ConnectorContext { files, superuser: false, network_allow: Vec::new() } }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join("files").join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn parquet(&self, name: &str, batch: &RecordBatch) {
        self.write(name, parquet_bytes(batch, 1 << 20));
    }

    /// A source of one wrapper without options.
    pub(crate) fn source(&self, wrapper: &str) -> Arc<dyn ForeignSource> {
        self.server(wrapper, &[], &[])
    }

    pub(crate) fn server(
        &self,
        wrapper: &str,
        server: &[(&str, &str)],
        user: &[(&str, &str)],
    ) -> Arc<dyn ForeignSource> {
        open(wrapper, server, user, self.context.clone())
    }
}

pub(crate) fn open(
    wrapper: &str,
    server: &[(&str, &str)],
    user: &[(&str, &str)],
    context: ConnectorContext,
) -> Arc<dyn ForeignSource> {
    let connector =
        atoll_connector_files::connectors().into_iter().find(|connector| connector.wrapper() == wrapper).unwrap();
    let spec = ServerSpec { name: "lake".into(), options: options(server), user_options: options(user), context };
    connector.open(spec).unwrap()
}

pub(crate) fn parquet_bytes(batch: &RecordBatch, rows_per_group: usize) -> Vec<u8> {
    use datafusion::parquet::arrow::ArrowWriter;
    use datafusion::parquet::file::properties::WriterProperties;
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(rows_per_group)).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

/// `name type` pairs between commas.
pub(crate) fn columns(text: &str) -> Vec<ColumnDefinition> {
    text.split(',')
        .map(|column| {
            let (name, data_type) = column.trim().split_once(' ').unwrap();
            let oid = match data_type {
                "bool" => oids::BOOL,
                "int2" => oids::INT2,
                "int4" => oids::INT4,
                "int8" => oids::INT8,
                "float4" => oids::FLOAT4,
                "float8" => oids::FLOAT8,
                "numeric" => oids::NUMERIC,
                "text" => oids::TEXT,
                "date" => oids::DATE,
                "timestamp" => oids::TIMESTAMP,
                "timestamptz" => oids::TIMESTAMPTZ,
                "bytea" => oids::BYTEA,
                "uuid" => oids::UUID,
                "json" => oids::JSON,
                "jsonb" => oids::JSONB,
                "int4[]" => oids::INT4_ARRAY,
                "text[]" => oids::TEXT_ARRAY,
                other => panic!("no such type in tests: {other}"),
            };
            ColumnDefinition::new(name, PgType::new(oid))
        })
        .collect()
}

/// A foreign table `t` of a source; no columns mean those that the source describes.
pub(crate) async fn table(
    source: &Arc<dyn ForeignSource>,
    table_options: &[(&str, &str)],
    declared: &str,
) -> Result<SessionContext, ConnectorError> {
    let table_options = options(table_options);
    let columns = if declared.is_empty() { source.describe(&table_options).await?.columns } else { columns(declared) };
    table_of(source, TableSpec { name: "public.t".into(), options: table_options, columns }).await
}

pub(crate) async fn table_of(
    source: &Arc<dyn ForeignSource>,
    spec: TableSpec,
) -> Result<SessionContext, ConnectorError> {
    let schema = spec.schema();
    let provider = source.provider(spec).await?;
    assert_eq!(provider.schema(), schema);
    let config = SessionConfig::new().with_target_partitions(3).with_information_schema(false);
    let context = SessionContext::new_with_config(config);
    context.register_table("t", provider).unwrap();
    Ok(context)
}

/// The rows of a query as PostgreSQL prints them, NULL as `∅`.
pub(crate) async fn rows(context: &SessionContext, sql: &str) -> Result<Vec<String>, ConnectorError> {
    let frame = context.sql(sql).await.map_err(own)?;
    let batches = frame.collect().await.map_err(own)?;
    Ok(batches.iter().flat_map(printed).collect())
}

pub(crate) fn printed(batch: &RecordBatch) -> Vec<String> {
    let schema = batch.schema();
    (0..batch.num_rows())
        .map(|row| {
            let values = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
                if column.is_null(row) || *column.data_type() == DataType::Null {
                    return "∅".to_owned();
                }
                let mut text = String::new();
                write_text(column.as_ref(), row, &PgType::of_field(field), &OutputStyle::default(), &mut text).unwrap();
                text
            });
            values.collect::<Vec<_>>().join("|")
        })
        .collect()
}

/// Describes or declares a table, and queries it.
pub(crate) async fn query(
    source: &Arc<dyn ForeignSource>,
    table_options: &[(&str, &str)],
    declared: &str,
    sql: &str,
) -> Result<Vec<String>, ConnectorError> {
    rows(&table(source, table_options, declared).await?, sql).await
}

/// The plan of a query, the scan's line.
pub(crate) async fn scan_line(context: &SessionContext, sql: &str) -> String {
    let plan = context.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
    let text = displayable(plan.as_ref()).indent(false).to_string();
    text.lines().find(|line| line.contains("ForeignScanExec")).unwrap_or(&text).trim().to_owned()
}

/// The connector's own error within DataFusion's.
pub(crate) fn own(error: DataFusionError) -> ConnectorError {
    let mut current: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(cause) = current {
        if let Some(found) = cause.downcast_ref::<ConnectorError>() {
            return found.clone();
        }
        current = match cause.downcast_ref::<DataFusionError>() {
            Some(DataFusionError::Shared(shared)) => Some(shared.as_ref()),
            _ => cause.source(),
        };
    }
    panic!("not an error of the connector: {error:?}");
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn fifo(path: &Path) {
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
}
