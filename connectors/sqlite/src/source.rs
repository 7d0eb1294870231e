//! The connector and its sources: one schema, `main`, with the tables and views of a database file.

use std::sync::Arc;

use async_trait::async_trait;
use atoll_connector_api::source::missing_option;
use atoll_connector_api::sql_table::SqlTable;
use atoll_connector_api::types::PgType;
use atoll_connector_api::{
    ColumnDefinition, Connector, ConnectorError, Described, ForeignSource, OptionScope, OptionSpec, Options, Result,
    ServerSpec, TableDefinition, TableKind, TableSpec, TableSummary,
};
use datafusion::catalog::TableProvider;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::connection::{Database, is_busy};
use crate::declared::{self, Affinity};
use crate::dialect::{ColumnFacts, SqliteDialect, identifier};
use crate::options;
use crate::provider;
use crate::scan::{SCANS_MAX, SqliteScan};
use crate::statistics;

/// The only schema: SQLite's name for the file that was opened.
const MAIN: &str = "main";

/// The connector behind the wrapper `sqlite`.
#[derive(Debug)]
pub(crate) struct SqliteConnector;

impl Connector for SqliteConnector {
    fn wrapper(&self) -> &'static str {
        "sqlite"
    }

    fn options(&self) -> &'static [OptionSpec] {
        options::OPTIONS
    }

    fn check(&self, scope: OptionScope, options: &Options) -> Result<()> {
        if scope == OptionScope::Server && options.get(options::DATABASE).is_none() {
            return Err(missing_option(options::DATABASE, "a server of wrapper \"sqlite\""));
        }
        Ok(())
    }

    fn open(&self, server: ServerSpec) -> Result<Arc<dyn ForeignSource>> {
        let path = server
            .options
            .get(options::DATABASE)
            .ok_or_else(|| missing_option(options::DATABASE, format!("server \"{}\"", server.name)))?;
        let database = Database::new(&server.name, path, server.context.files.clone());
        Ok(Arc::new(SqliteSource { database, permits: Arc::new(Semaphore::new(SCANS_MAX)) }))
    }
}

#[derive(Debug)]
struct SqliteSource {
    database: Database,
    permits: Arc<Semaphore>,
}

impl SqliteSource {
    fn check_schema(&self, schema: &str) -> Result<()> {
        if schema == MAIN {
            return Ok(());
        }
        let server = self.database.server().to_owned();
        Err(ConnectorError::SchemaMissing { server, schema: schema.to_owned() })
    }
}

impl SqliteSource {
    async fn table(&self, table: TableSpec) -> Result<SqlTable<SqliteScan, SqliteDialect>> {
        let remote = match table.options.get(options::TABLE) {
            Some(name) => name.to_owned(),
            None => table.own_name(),
        };
        let counted = move |database: &Database, connection: &Connection| {
            let shape = shape(database, connection, &remote)?;
            let rows = if shape.stored { statistics::rows(connection, &shape.name) } else { None };
            Ok(TableShape { rows, ..shape })
        };
        let shape = self.database.call(counted).await?;
        Ok(provider::table(table, &shape, self.database.clone(), Arc::clone(&self.permits)))
    }
}

#[async_trait]
impl ForeignSource for SqliteSource {
    async fn schemas(&self) -> Result<Vec<String>> {
        // Opening alone reads nothing: the schema says whether it is a database.
        self.database.call(|database, connection| list(database, connection).map(|_| vec![MAIN.to_owned()])).await
    }

    async fn tables(&self, schema: &str) -> Result<Vec<TableSummary>> {
        if schema != MAIN {
            return Ok(Vec::new());
        }
        self.database.call(list).await
    }

    fn live_options(&self, _schema: &str, table: &str) -> Options {
        Options::from_iter([(options::TABLE.to_owned(), table.to_owned())])
    }

    async fn describe(&self, options: &Options) -> Result<TableDefinition> {
        let table = options
            .get(options::TABLE)
            .ok_or_else(|| missing_option(options::TABLE, "a foreign table of wrapper \"sqlite\""))?
            .to_owned();
        self.database
            .call(move |database, connection| shape(database, connection, &table).map(TableShape::into_definition))
            .await
    }

    async fn describe_live(&self, schema: &str, table: &str) -> Result<TableDefinition> {
        self.check_schema(schema)?;
        let table = table.to_owned();
        let exact = move |database: &Database, connection: &Connection| {
            let found = shape(database, connection, &table)?;
            // A name in a catalog is one name; SQLite takes it in any case.
            if found.name != table {
                let (server, table) = (database.server().to_owned(), table.clone());
                return Err(ConnectorError::TableMissing { server, table });
            }
            Ok(found.into_definition())
        };
        self.database.call(exact).await
    }

    async fn import(&self, schema: &str, tables: &[String]) -> Result<Described> {
        self.check_schema(schema)?;
        let tables = tables.to_vec();
        self.database.call(move |database, connection| describe_all(database, connection, &tables)).await
    }

    async fn provider(&self, table: TableSpec) -> Result<Arc<dyn TableProvider>> {
        Ok(self.table(table).await?.into_provider())
    }

    async fn live_provider(&self, table: TableSpec) -> Result<Arc<dyn TableProvider>> {
        self.table(table).await?.into_live_provider()
    }
}

/// Tables and views, without SQLite's own and without those that a virtual table keeps its data in.
fn list(database: &Database, connection: &Connection) -> Result<Vec<TableSummary>> {
    let read = || {
        let mut statement = connection.prepare(
            "SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND type <> 'shadow' \
             AND substr(name, 1, 7) <> 'sqlite_' ORDER BY name COLLATE BINARY",
        )?;
        let tables = statement.query_map([], |row| {
            let kind = if row.get_ref(1)?.as_str()? == "view" { TableKind::View } else { TableKind::Table };
            Ok(TableSummary { name: row.get(0)?, kind })
        })?;
        tables.collect::<rusqlite::Result<Vec<_>>>()
    };
    read().map_err(|error| database.error(&error))
}

/// A column as `PRAGMA table_xinfo` shows it.
#[derive(Debug, Clone)]
pub(crate) struct RemoteColumn {
    name: String,
    pub(crate) affinity: Affinity,
    data_type: PgType,
    not_null: bool,
    /// Place in the primary key, from 1; 0 outside it.
    key: u32,
    /// It is the row id under another name.
    row_id: bool,
}

/// A remote table.
#[derive(Debug, Clone)]
pub(crate) struct TableShape {
    pub(crate) name: String,
    pub(crate) utf8: bool,
    /// Roughly, where a scan is planned.
    pub(crate) rows: Option<usize>,
    stored: bool,
    strict: bool,
    columns: Vec<RemoteColumn>,
}

impl TableShape {
    /// The column of a name. SQLite's names differ in more than the case of ASCII letters.
    pub(crate) fn column(&self, name: &str) -> Option<&RemoteColumn> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// Whether a column alone is the primary key.
    pub(crate) fn is_key(&self, name: &str) -> bool {
        let key: Vec<_> = self.columns.iter().filter(|column| column.key > 0).collect();
        matches!(key.as_slice(), [only] if only.name.eq_ignore_ascii_case(name))
    }

    pub(crate) fn facts(&self, column: &RemoteColumn) -> ColumnFacts {
        let (affinity, row_id) = (column.affinity, column.row_id);
        ColumnFacts { affinity, strict: self.strict, stored: self.stored, row_id }
    }

    fn into_definition(self) -> TableDefinition {
        let mut key: Vec<_> = self.columns.iter().filter(|column| column.key > 0).collect();
        key.sort_by_key(|column| column.key);
        let primary_key = key.into_iter().map(|column| column.name.clone()).collect();
        let columns = self
            .columns
            .into_iter()
            .map(|column| ColumnDefinition {
                not_null: column.not_null,
                ..ColumnDefinition::new(column.name, column.data_type)
            })
            .collect();
        TableDefinition { columns, comment: None, primary_key }
    }
}

/// Describes tables. A view over a table that is gone, or a virtual table of an unknown module, has no columns to show:
/// SQLite's own word on this table, and not that the file is locked.
fn describe_all(database: &Database, connection: &Connection, tables: &[String]) -> Result<Described> {
    let is_own = |error: &ConnectorError| matches!(error, ConnectorError::Remote { .. }) && !is_busy(error);
    let described =
        tables.iter().map(|table| (table.clone(), shape(database, connection, table).map(TableShape::into_definition)));
    Described::from_each(described, is_own)
}

/// Reads a table's columns.
pub(crate) fn shape(database: &Database, connection: &Connection, table: &str) -> Result<TableShape> {
    let found = read_shape(connection, table).map_err(|error| database.error(&error))?;
    found.ok_or_else(|| ConnectorError::TableMissing { server: database.server().to_owned(), table: table.to_owned() })
}

fn read_shape(connection: &Connection, table: &str) -> rusqlite::Result<Option<TableShape>> {
    let mut tables = connection.prepare(
        "SELECT name, type, strict, wr FROM pragma_table_list WHERE schema = 'main' AND name = ?1 COLLATE NOCASE \
         AND substr(name, 1, 7) <> 'sqlite_'",
    )?;
    let mut rows = tables.query([table])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let name: String = row.get(0)?;
    let stored = row.get_ref(1)?.as_str()? == "table";
    let (strict, without_rowid): (bool, bool) = (row.get(2)?, row.get(3)?);
    drop(rows);

    let utf8 = connection.query_row("SELECT encoding = 'UTF-8' FROM pragma_encoding", [], |row| row.get(0))?;
    let mut statement =
        connection.prepare("SELECT name, type, \"notnull\", pk FROM pragma_table_xinfo(?1) WHERE hidden <> 1")?;
    let columns = statement.query_map([&name], |row| {
        let declared: String = row.get(1)?;
        Ok((row.get::<_, String>(0)?, declared, row.get::<_, bool>(2)?, row.get::<_, u32>(3)?))
    })?;
    let columns = columns.collect::<rusqlite::Result<Vec<_>>>()?;
    let origins = if stored { Vec::new() } else { origins(connection, &name)? };
    // `INTEGER PRIMARY KEY DESC` is no alias, and has an index: sqlite.org/lang_createtable.html#rowid.
    let sql = "SELECT count(*) > 0 FROM pragma_index_list(?1) WHERE origin = 'pk'";
    let indexed_key: bool = connection.query_row(sql, [&name], |row| row.get(0))?;
    let single_key = columns.iter().filter(|column| column.3 > 0).count() == 1;
    let columns = columns
        .into_iter()
        .enumerate()
        .map(|(index, (name, declared, not_null, key))| {
            let declared = match origins.get(index) {
                // SQLite says BLOB of a view's column whose values have several types, too.
                Some(origin) if Affinity::of(&declared, false) == Affinity::Blob => {
                    origin.clone().filter(|origin| Affinity::of(origin, false) == Affinity::Blob).unwrap_or_default()
                }
                _ => declared,
            };
            // Of all primary keys of ordinary tables only the alias of the row id refuses NULL by itself.
            let is_alias = key > 0 && single_key && !without_rowid && !indexed_key;
            let row_id = stored && is_alias && declared.eq_ignore_ascii_case("integer");
            RemoteColumn {
                name,
                affinity: Affinity::of(&declared, strict),
                data_type: declared::pg_type(&declared),
                not_null: stored && (not_null || row_id),
                key,
                row_id,
            }
        })
        .collect();
    Ok(Some(TableShape { name, utf8, rows: None, stored, strict, columns }))
}

/// The declared types of the columns that a view's columns are taken from as they are; `None` for those it computes.
fn origins(connection: &Connection, view: &str) -> rusqlite::Result<Vec<Option<String>>> {
    let statement = connection.prepare(&format!("SELECT * FROM \"main\".{}", identifier(view)))?;
    Ok(statement.columns().iter().map(|column| column.decl_type().map(str::to_owned)).collect())
}
