//! One server of files as one user sees it: live tables, descriptions and providers.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::Schema;
use async_trait::async_trait;
use atoll_connector_api::{
    ColumnDefinition, ConnectorError, Described, ForeignSource, OptionSpec, Options, RemoteText, Result, ServerSpec,
    TableDefinition, TableKind, TableSpec, TableSummary,
};
use datafusion::catalog::TableProvider;

use crate::error::Owner;
use crate::hive;
use crate::listing::{FileEntry, Lister, Target, at_once};
use crate::location::{Location, Root};
use crate::names;
use crate::options::{Format, Header, TableOptions, TableSource};
use crate::parquet::footer::FooterCache;
use crate::parquet::table::{self as parquet_table, FileShape, ParquetTable};
use crate::provider::{ColumnSource, FilesTable, Reader};
use crate::store::Stores;
use crate::text::{self, FileColumn, TextTable};

/// The one schema that a server of files has.
const SCHEMA: &str = "main";
/// Another name of it, by which PostgreSQL's users look for tables first.
const SCHEMA_ALIAS: &str = "public";
/// Tables that an import describes at a time.
const IMPORTS_AT_ONCE: usize = 8;

/// Files of one format under one server.
#[derive(Debug)]
pub(crate) struct FilesSource {
    format: Format,
    server: String,
    /// Passes on what an object store says.
    texts: RemoteText,
    base: Option<Location>,
    stores: Stores,
    footers: FooterCache,
}

impl FilesSource {
    /// A source for one server and user. Nothing is opened yet.
    ///
    /// # Errors
    /// A location that is none.
    pub(crate) fn new(format: Format, specs: &[OptionSpec], spec: ServerSpec) -> Result<Self> {
        let base = spec
            .options
            .get("location")
            .map(Location::parse)
            .transpose()
            .map_err(|reason| ConnectorError::OptionValue { option: "location".into(), reason })?;
        Ok(Self {
            format,
            server: spec.name.clone(),
            texts: RemoteText::new(specs, &spec),
            base,
            stores: Stores::new(&spec),
            footers: FooterCache::default(),
        })
    }

    fn check_schema(&self, schema: &str) -> Result<()> {
        if is_schema(schema) {
            return Ok(());
        }
        Err(ConnectorError::SchemaMissing { server: self.server.clone(), schema: schema.to_owned() })
    }

    fn lister<'a>(&self, owner: &'a Owner) -> Lister<'a> {
        Lister { owner, format: self.format }
    }

    fn target(&self, location: &Location) -> Result<Target> {
        let (store, segments) = self.stores.open(location)?;
        // What the server's location holds is a name, whatever characters are in it. A local path loses its root here.
        let base = self.base.as_ref().map_or(0, |base| base.segments.len());
        let literal = base.saturating_sub(location.segments.len().saturating_sub(segments.len()));
        Ok(Target { store, segments, literal, directory: location.directory })
    }

    fn base_target(&self) -> Result<Option<Target>> {
        let Some(base) = &self.base else { return Ok(None) };
        let mut target = self.target(base)?;
        (target.literal, target.directory) = (target.segments.len(), true);
        Ok(Some(target))
    }

    async fn files(&self, owner: &Owner, options: &TableOptions) -> Result<Vec<FileEntry>> {
        let targets = match &options.source {
            TableSource::Paths(paths) => paths
                .iter()
                .map(|path| match &self.base {
                    Some(base) => self.target(&path.beneath(base)?),
                    None => self.target(path),
                })
                .collect::<Result<Vec<_>>>()?,
            TableSource::Live(name) => vec![self.live_target(owner, name).await?],
        };
        self.lister(owner).files(&targets).await
    }

    async fn live_target(&self, owner: &Owner, name: &str) -> Result<Target> {
        let missing = || ConnectorError::TableMissing { server: self.server.clone(), table: name.to_owned() };
        let mut target = self.base_target()?.ok_or_else(missing)?;
        let tables = self.lister(owner).live(&target).await?;
        let segment = tables.get(name).ok_or_else(missing)?;
        let file = segment.strip_suffix('/');
        target.directory = file.is_some();
        target.segments.push(file.unwrap_or(segment).to_owned());
        target.literal = target.segments.len();
        Ok(target)
    }

    /// Options of a table; a live table's files begin with a header, because its columns came from there.
    fn options(&self, options: &Options, object: &str) -> Result<TableOptions> {
        let mut parsed = TableOptions::parse(options, object)?;
        if matches!(parsed.source, TableSource::Live(_)) && parsed.csv.header == Header::Auto {
            parsed.csv.header = Header::Yes;
        }
        Ok(parsed)
    }

    async fn text_reader(
        &self,
        owner: Owner,
        spec: &TableSpec,
        options: TableOptions,
        files: &[FileEntry],
        declared: &[(&ColumnDefinition, &str)],
    ) -> Result<Reader> {
        let columns = declared.iter().map(|(column, remote)| {
            Ok(FileColumn {
                name: column.name.clone(),
                remote: (*remote).to_owned(),
                data_type: column.data_type.clone(),
                force_null: column.options.boolean("force_null", false)?,
                force_not_null: column.options.boolean("force_not_null", false)?,
            })
        });
        let table = Arc::new(TextTable {
            owner,
            name: spec.name.clone(),
            format: self.format,
            options,
            columns: columns.collect::<Result<_>>()?,
        });
        // The first file stands for all: its header is looked at before anything is planned, the others' when they are
        // read.
        if let Some(first) = files.first() {
            text::scan::check(&table, first).await?;
        }
        Ok(Reader::Text(table))
    }

    async fn parquet_reader(
        &self,
        owner: Owner,
        spec: &TableSpec,
        files: &Arc<Vec<FileEntry>>,
        declared: &[(&ColumnDefinition, &str)],
    ) -> Result<Reader> {
        let footers = parquet_table::read_footers(&self.footers, &owner, files).await?;
        let table = Arc::new(ParquetTable::new(owner, &spec.name, declared, Arc::clone(files), footers)?);
        let filter_columns = Arc::new(table.shapes.iter().map(FileShape::filter_columns).collect());
        Ok(Reader::Parquet { table, filter_columns })
    }
}

fn is_schema(schema: &str) -> bool {
    matches!(schema, SCHEMA | SCHEMA_ALIAS)
}

/// The keys of a table's partitions, the same for all files.
fn partition_keys(files: &[FileEntry]) -> Vec<&str> {
    files.first().map(|file| file.partitions.iter().map(|(key, _)| key.as_str()).collect()).unwrap_or_default()
}

fn partition_values(files: &[FileEntry], index: usize) -> impl ExactSizeIterator<Item = Option<&str>> {
    files.iter().map(move |file| file.partitions.get(index).and_then(|(_, value)| value.as_deref()))
}

/// The declared columns, divided into those that the files hold and those that directories name.
struct Divided<'a> {
    sources: Vec<ColumnSource>,
    in_files: Vec<(&'a ColumnDefinition, &'a str)>,
    partition_schema: Schema,
    partition_values: Vec<ArrayRef>,
}

fn divide<'a>(spec: &'a TableSpec, files: &[FileEntry], owner: &Owner) -> Result<Divided<'a>> {
    let keys = partition_keys(files);
    let mut divided = Divided {
        sources: Vec::new(),
        in_files: Vec::new(),
        partition_schema: Schema::empty(),
        partition_values: Vec::new(),
    };
    let mut fields = Vec::new();
    for column in &spec.columns {
        let remote = spec.remote_column(column);
        let key = keys.iter().position(|key| *key == remote);
        let Some(key) = key.or_else(|| keys.iter().position(|key| key.eq_ignore_ascii_case(remote))) else {
            divided.sources.push(ColumnSource::File(divided.in_files.len()));
            divided.in_files.push((column, remote));
            continue;
        };
        let values = hive::column(&column.data_type, partition_values(files, key)).map_err(|error| match error {
            ConnectorError::Value { sqlstate, message, .. } => ConnectorError::value(
                sqlstate,
                format!("{message} ({}, partition column \"{}\")", owner.object, column.name),
            ),
            other => other,
        })?;
        divided.sources.push(ColumnSource::Partition(fields.len()));
        fields.push(column.data_type.field(&column.name, true));
        divided.partition_values.push(values);
    }
    divided.partition_schema = Schema::new(fields);
    Ok(divided)
}

#[async_trait]
impl ForeignSource for FilesSource {
    async fn schemas(&self) -> Result<Vec<String>> {
        Ok(vec![SCHEMA.to_owned()])
    }

    async fn tables(&self, schema: &str) -> Result<Vec<TableSummary>> {
        let owner = Owner::server(&self.server, &self.texts);
        match self.base_target()? {
            Some(target)
                if is_schema(schema)
                    && !matches!(self.base, Some(Location { root: Root::Remote { .. }, .. }) if !target.store.lists) =>
            {
                let tables = self.lister(&owner).live(&target).await?;
                Ok(tables.into_keys().map(|name| TableSummary { name, kind: TableKind::Table }).collect())
            }
            _ => Ok(Vec::new()),
        }
    }

    fn is_schema_alias(&self, schema: &str) -> bool {
        schema == SCHEMA_ALIAS
    }

    fn live_options(&self, _schema: &str, table: &str) -> Options {
        let mut options = Options::default();
        options.set("table_name", table);
        options
    }

    async fn describe(&self, options: &Options) -> Result<TableDefinition> {
        let owner = Owner::server(&self.server, &self.texts);
        let options = self.options(options, "the foreign table")?;
        let files = self.files(&owner, &options).await?;
        let mut columns = match self.format {
            Format::Parquet => {
                let footers = parquet_table::read_footers(&self.footers, &owner, &files).await?;
                parquet_table::describe(&owner, &files, &footers)?
            }
            _ => text::describe::describe(&owner, self.format, &options, &files).await?,
        };
        // A partition's value is the same for all rows of a file: what the file itself says of it is passed over.
        let keys = partition_keys(&files);
        columns.retain(|column| !keys.contains(&column.name.as_str()));
        for (index, key) in keys.iter().enumerate() {
            columns.push(ColumnDefinition::new(*key, hive::infer_type(partition_values(&files, index))));
        }
        let names = names::shortened(columns.iter().map(|column| column.name.as_str()));
        for (column, name) in columns.iter_mut().zip(names).filter(|(column, name)| column.name != *name) {
            let whole = std::mem::replace(&mut column.name, name);
            if column.options.get("column_name").is_none() {
                column.options.set("column_name", &whole);
            }
        }
        Ok(TableDefinition { columns, ..TableDefinition::default() })
    }

    async fn describe_live(&self, schema: &str, table: &str) -> Result<TableDefinition> {
        self.check_schema(schema)?;
        self.describe(&self.live_options(schema, table)).await
    }

    async fn import(&self, schema: &str, tables: &[String]) -> Result<Described> {
        self.check_schema(schema)?;
        let described = tables
            .iter()
            .map(|table| async move { Ok((table.clone(), self.describe(&self.live_options(schema, table)).await)) });
        // What is wrong with a file; a store that does not answer is no file's fault.
        let is_own = |error: &ConnectorError| {
            matches!(
                error,
                ConnectorError::Format { .. }
                    | ConnectorError::Value { .. }
                    | ConnectorError::Limit { .. }
                    | ConnectorError::TypeUnsupported { .. }
                    | ConnectorError::Unsupported { .. }
            )
        };
        Described::from_each(at_once(IMPORTS_AT_ONCE, described.collect()).await?, is_own)
    }

    async fn provider(&self, table: TableSpec) -> Result<Arc<dyn TableProvider>> {
        let owner = Owner::table(&self.server, &table.name, &self.texts);
        let options = self.options(&table.options, &owner.object)?;
        let files = Arc::new(self.files(&owner, &options).await?);
        let divided = divide(&table, &files, &owner)?;
        let reader = match self.format {
            Format::Parquet => self.parquet_reader(owner, &table, &files, &divided.in_files).await?,
            _ => self.text_reader(owner, &table, options, &files, &divided.in_files).await?,
        };
        Ok(Arc::new(FilesTable {
            server: self.server.clone(),
            format: self.format,
            schema: table.schema(),
            files,
            sources: divided.sources,
            partition_schema: Arc::new(divided.partition_schema),
            partition_values: divided.partition_values,
            reader,
            spec: table,
        }))
    }
}
