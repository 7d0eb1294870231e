//! One server as one user sees it: schemas, tables, definitions and providers.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::TableProvider;

use atoll_connector_api::source::missing_option;
use atoll_connector_api::{
    ColumnDefinition, ConnectorError, Described, ForeignSource, Options, Result, ServerSpec, TableDefinition,
    TableSpec, TableSummary,
};

use crate::connect::Remote;
use crate::known::{Known, KnownTables};
use crate::metadata::{
    MAJOR_VERSION_MIN, NAMES_PER_QUERY, RemoteColumn, RemoteTable, SCHEMAS_SQL, describe_sql, remote_tables,
    schema_exists_sql, table_summaries, tables_sql,
};
use crate::pool::Pool;
use crate::provider::{PostgresTable, RemoteTraits};
use crate::statistics::Counts;

/// Where a table is looked for that names no schema.
const SCHEMA_DEFAULT: &str = "public";

/// A PostgreSQL server and a user's mapping.
#[derive(Debug)]
pub(crate) struct PostgresSource {
    pool: Arc<Pool>,
    counts: Counts,
    known: KnownTables,
}

impl PostgresSource {
    /// A source. Connects to nothing.
    ///
    /// # Errors
    /// Option errors.
    pub(crate) fn new(spec: ServerSpec) -> Result<Self> {
        let pool = Pool::new(Remote::new(spec)?);
        Ok(Self { pool, counts: Counts::default(), known: KnownTables::default() })
    }

    /// Describes tables of one schema in one round trip; those that do not exist are left out.
    async fn remote_tables(&self, schema: &str, tables: &[&str]) -> Result<(Vec<RemoteTable>, RemoteTraits)> {
        let sql = describe_sql(schema, tables)?;
        let (lease, rows) = match self.pool.query(&sql).await {
            Err(ConnectorError::Remote { sqlstate, .. }) if sqlstate.starts_with("42") => {
                // A catalog without what the query asks for: most likely an old version.
                let (lease, _) = self.pool.query("SELECT 1").await?;
                return Err(self.unsupported_version(lease.session().major_version));
            }
            answer => answer?,
        };
        let session = lease.session();
        let traits = RemoteTraits { major_version: session.major_version, utf8: session.utf8 };
        Ok((remote_tables(self.pool.server(), rows, traits.major_version)?, traits))
    }

    fn unsupported_version(&self, major_version: u32) -> ConnectorError {
        ConnectorError::Unsupported {
            message: format!(
                "the catalogs of server \"{}\" (version {major_version}) cannot be read",
                self.pool.server()
            ),
            hint: Some(format!("PostgreSQL {MAJOR_VERSION_MIN} and later can be read.")),
        }
    }

    async fn remote_table(&self, schema: &str, table: &str) -> Result<(RemoteTable, RemoteTraits)> {
        let (tables, traits) = self.remote_tables(schema, &[table]).await?;
        let found = tables.into_iter().next();
        let found = found.ok_or_else(|| ConnectorError::TableMissing {
            server: self.pool.server().to_owned(),
            table: format!("{schema}.{table}"),
        })?;
        Ok((found, traits))
    }
}

impl PostgresSource {
    /// The same as it is now, by a description that may be older than that.
    async fn known_table(&self, schema: &str, table: &str) -> Result<Known> {
        let known = self.known.get(schema, table);
        // The mark comes before the description, so that it is never newer.
        let mark = match &known {
            Some(Known { mark: None, .. }) => None,
            _ => self.pool.mark(schema, table).await?,
        };
        if let Some(known) = known
            && known.mark.is_some()
            && known.mark == mark
        {
            return Ok(known);
        }
        let described = self.remote_table(schema, table).await;
        let (remote, traits) = described.inspect_err(|_| self.known.forget(schema, table))?;
        let known = Known::new(Arc::new(remote), traits, mark);
        self.known.put(schema, table, known.clone());
        Ok(known)
    }

    async fn table(&self, table: TableSpec) -> Result<PostgresTable> {
        let (schema, name) = remote_name(&table);
        let known = self.known_table(&schema, &name).await?;
        let counts = self.counts.of_table(&self.pool, &schema, &name).await?;
        let table = PostgresTable::new(Arc::clone(&self.pool), table, &schema, known)?;
        Ok(table.with_counts(&counts))
    }
}

#[async_trait]
impl ForeignSource for PostgresSource {
    async fn schemas(&self) -> Result<Vec<String>> {
        let (_, rows) = self.pool.query(SCHEMAS_SQL).await?;
        Ok(rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
    }

    async fn tables(&self, schema: &str) -> Result<Vec<TableSummary>> {
        let (_, rows) = self.pool.query(&tables_sql(schema)?).await?;
        Ok(table_summaries(rows))
    }

    fn live_options(&self, schema: &str, table: &str) -> Options {
        let mut options = Options::default();
        options.set("schema_name", schema);
        options.set("table_name", table);
        options
    }

    async fn describe(&self, options: &Options) -> Result<TableDefinition> {
        let table = options.get("table_name").ok_or_else(|| missing_option("table_name", "a foreign table"))?;
        let schema = options.get("schema_name").unwrap_or(SCHEMA_DEFAULT);
        Ok(definition(self.remote_table(schema, table).await?.0))
    }

    async fn import(&self, schema: &str, tables: &[String]) -> Result<Described> {
        let mut definitions = Vec::with_capacity(tables.len());
        for names in tables.chunks(NAMES_PER_QUERY) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let (found, _) = self.remote_tables(schema, &names).await?;
            definitions.extend(found.into_iter().map(|table| (table.name.clone(), definition(table))));
        }
        if definitions.is_empty() && self.pool.query(&schema_exists_sql(schema)?).await?.1.is_empty() {
            let (server, schema) = (self.pool.server().to_owned(), schema.to_owned());
            return Err(ConnectorError::SchemaMissing { server, schema });
        }
        Ok(Described::all(definitions))
    }

    async fn provider(&self, table: TableSpec) -> Result<Arc<dyn TableProvider>> {
        Ok(self.table(table).await?.into_provider())
    }

    async fn live_provider(&self, table: TableSpec) -> Result<Arc<dyn TableProvider>> {
        self.table(table).await?.into_live_provider()
    }
}

/// A foreign table's name at the remote: its options, else its own name, as `postgres_fdw` has it.
fn remote_name(table: &TableSpec) -> (String, String) {
    let mut parts = table.name.rsplit('.');
    let own_table = parts.next().unwrap_or_default();
    let own_schema = parts.next().unwrap_or(SCHEMA_DEFAULT);
    let option = |name, own: &str| table.options.get(name).unwrap_or(own).to_owned();
    (option("schema_name", own_schema), option("table_name", own_table))
}

/// What the server stores of a remote table. Columns that the user may not select are left out.
fn definition(table: RemoteTable) -> TableDefinition {
    let mut key: Vec<_> =
        table.columns.iter().filter_map(|column| Some((column.key_position?, column.name.clone()))).collect();
    key.sort_unstable();
    TableDefinition {
        comment: table.comment,
        primary_key: key.into_iter().map(|(_, name)| name).collect(),
        columns: table.columns.into_iter().filter(|column| column.readable).map(column_definition).collect(),
    }
}

fn column_definition(column: RemoteColumn) -> ColumnDefinition {
    let mut options = Options::default();
    // Always, as postgres_fdw's IMPORT writes it: a column renamed here keeps its name there.
    options.set("column_name", column.name.as_str());
    ColumnDefinition {
        name: column.name,
        data_type: column.data_type,
        not_null: column.not_null,
        options,
        comment: column.comment,
    }
}
