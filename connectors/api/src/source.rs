//! The connector trait, and what travels through it.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::TableProvider;

use crate::paths::FilesRoots;
use crate::types::PgType;
use crate::{ConnectorError, OptionScope, OptionSpec, Options, Result};

/// A kind of source, compiled in and trusted. One value serves the whole process.
#[async_trait]
pub trait Connector: Debug + Send + Sync {
    /// The foreign data wrapper's name, for example `postgres`.
    fn wrapper(&self) -> &'static str;

    /// Every option it knows, in all scopes.
    fn options(&self) -> &'static [OptionSpec];

    /// Checks options beyond their single values, for example that two of them do not contradict. Called by DDL after
    /// [`crate::options::check_options`]; touches neither network nor files.
    ///
    /// # Errors
    /// Any of the option errors.
    fn check(&self, _scope: OptionScope, _options: &Options) -> Result<()> {
        Ok(())
    }

    /// Makes a source for one server and one user. Connects to nothing: the first use does. The server keeps the
    /// source for as long as neither the server's nor the mapping's options change, so pools belong into it.
    ///
    /// # Errors
    /// Option errors that only show when server and mapping are seen together.
    fn open(&self, server: ServerSpec) -> Result<Arc<dyn ForeignSource>>;
}

/// What a connector may touch on behalf of one user.
#[derive(Debug, Clone)]
pub struct ConnectorContext {
    /// The directories that local paths in options are opened beneath.
    pub files: FilesRoots,
    /// The user is a superuser: special network ranges (loopback, private, link-local) are open to them.
    pub superuser: bool,
    /// Ranges that users who are not superusers may reach although special: addresses in CIDR notation or host names.
    pub network_allow: Vec<String>,
}

/// A server and the options of the user's mapping, references (`env:`, `file:`) resolved.
#[derive(Debug, Clone)]
pub struct ServerSpec {
    /// The SQL name of the server, for messages.
    pub name: String,
    /// `CREATE SERVER … OPTIONS`.
    pub options: Options,
    /// `CREATE USER MAPPING … OPTIONS`, secrets in the clear. Empty where the user has no mapping.
    pub user_options: Options,
    /// What it may touch.
    pub context: ConnectorContext,
}

/// One foreign server as one user sees it. Cancel safety: dropping any future or stream ends the remote work too.
#[async_trait]
pub trait ForeignSource: Debug + Send + Sync {
    /// The remote's schemas, sorted. Costs at most one round trip after connecting.
    ///
    /// # Errors
    /// Connection and remote errors.
    async fn schemas(&self) -> Result<Vec<String>>;

    /// The tables and views of one remote schema, sorted by name; an unknown schema is empty.
    ///
    /// # Errors
    /// Connection and remote errors.
    async fn tables(&self, schema: &str) -> Result<Vec<TableSummary>>;

    /// Whether a name that [`Self::schemas`] does not list stands for one that it lists. No network.
    fn is_schema_alias(&self, _schema: &str) -> bool {
        false
    }

    /// The table options that name a live table, as `IMPORT FOREIGN SCHEMA` would write them. No network.
    fn live_options(&self, schema: &str, table: &str) -> Options;

    /// Reads a table's columns and keys from the source. `options` are those of a foreign table.
    ///
    /// # Errors
    /// [`ConnectorError::TableMissing`] where it does not exist; option, connection and remote errors.
    async fn describe(&self, options: &Options) -> Result<TableDefinition>;

    /// Reads a live table's columns and keys. Unlike [`Self::describe`], whose options a user may spell freely, it takes
    /// the names as [`Self::schemas`] and [`Self::tables`] give them.
    ///
    /// # Errors
    /// [`ConnectorError::SchemaMissing`] and [`ConnectorError::TableMissing`] where there is none of that name, and for
    /// nothing else; connection and remote errors.
    async fn describe_live(&self, schema: &str, table: &str) -> Result<TableDefinition> {
        self.describe(&self.live_options(schema, table)).await
    }

    /// Describes many tables of one schema, as IMPORT needs them, in few round trips. One that cannot be described must not
    /// hide the others.
    ///
    /// # Errors
    /// [`ConnectorError::SchemaMissing`]; connection and remote errors; a table's own where no other could be described.
    async fn import(&self, schema: &str, tables: &[String]) -> Result<Described>;

    /// Makes the provider that DataFusion scans. Its schema has exactly `table.columns`, in their order, each field
    /// made by [`PgType::field`]; what the source needs to know for planning (statistics, files) is fetched here, so that
    /// planning stays offline. Its scans deliver batches of that schema.
    ///
    /// # Errors
    /// All but those about one column: [`ConnectorError::ColumnChanged`] of a column that has vanished at the source comes
    /// where the column is read.
    async fn provider(&self, table: TableSpec) -> Result<Arc<dyn TableProvider>>;

    /// The same for a live table, whose columns are what [`Self::describe_live`] said some time ago: where the source has
    /// looked at it anew and a type is another one now, nobody declared the old one.
    ///
    /// # Errors
    /// [`ConnectorError::ColumnChanged`] for a changed type too; all those of [`Self::provider`].
    async fn live_provider(&self, table: TableSpec) -> Result<Arc<dyn TableProvider>> {
        self.provider(table).await
    }
}

/// Tables of one schema.
#[derive(Debug, Default)]
pub struct Described {
    /// By their names.
    pub tables: Vec<(String, TableDefinition)>,
    /// Those that cannot be described, and why.
    pub skipped: Vec<(String, ConnectorError)>,
}

impl Described {
    /// Of tables that could all be described.
    pub fn all(tables: Vec<(String, TableDefinition)>) -> Self {
        Self { tables, skipped: Vec::new() }
    }

    /// Sorts what was found of each table.
    ///
    /// # Errors
    /// Those that are no single table's fault, which `is_own` tells; a table's own where no other could be described.
    pub fn from_each(
        found: impl IntoIterator<Item = (String, Result<TableDefinition>)>,
        is_own: impl Fn(&ConnectorError) -> bool,
    ) -> Result<Self> {
        let mut described = Self::default();
        for (name, definition) in found {
            match definition {
                Ok(definition) => described.tables.push((name, definition)),
                Err(error) if is_own(&error) => described.skipped.push((name, error)),
                Err(error) => return Err(error),
            }
        }
        match described.skipped.first() {
            Some((_, error)) if described.tables.is_empty() => Err(error.clone()),
            _ => Ok(described),
        }
    }
}

/// What kind of relation a live table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    /// Holds rows.
    Table,
    /// A view, materialized or not.
    View,
}

/// A live table's name and kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSummary {
    /// As the source spells it.
    pub name: String,
    /// Table or view.
    pub kind: TableKind,
}

/// A column as the source declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnDefinition {
    /// As the source spells it.
    pub name: String,
    /// The PostgreSQL type under which it is seen.
    pub data_type: PgType,
    /// The source forbids NULL.
    pub not_null: bool,
    /// `column_name` and others, where needed.
    pub options: Options,
    /// The source's comment.
    pub comment: Option<String>,
}

impl ColumnDefinition {
    /// A nullable column without options.
    pub fn new(name: impl Into<String>, data_type: PgType) -> Self {
        Self { name: name.into(), data_type, not_null: false, options: Options::default(), comment: None }
    }
}

/// A table as the source declares it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableDefinition {
    /// In the source's order.
    pub columns: Vec<ColumnDefinition>,
    /// The source's comment.
    pub comment: Option<String>,
    /// Names of the primary key's columns, in key order; empty where there is none.
    pub primary_key: Vec<String>,
}

/// A foreign table to scan.
#[derive(Debug, Clone)]
pub struct TableSpec {
    /// The SQL name, for messages: `schema.table`, or `server.schema.table` for a live one.
    pub name: String,
    /// `CREATE FOREIGN TABLE … OPTIONS`, or [`ForeignSource::live_options`].
    pub options: Options,
    /// The columns as the foreign table declares them.
    pub columns: Vec<ColumnDefinition>,
}

impl TableSpec {
    /// The name of a column at the source: its `column_name` option, else its own name.
    pub fn remote_column<'a>(&'a self, column: &'a ColumnDefinition) -> &'a str {
        column.options.get("column_name").unwrap_or(&column.name)
    }

    /// The table's own name without its schema and quotes: what it is called at the source, unless an option says.
    pub fn own_name(&self) -> String {
        let name = self.name.as_str();
        match name.strip_suffix('"').and_then(|inner| inner.rsplit_once(".\"").or_else(|| inner.split_once('"'))) {
            Some((_, quoted)) => quoted.replace("\"\"", "\""),
            None => name.rsplit('.').next().unwrap_or(name).to_owned(),
        }
    }

    /// The Arrow schema of the declared columns, PostgreSQL types in the metadata.
    pub fn schema(&self) -> arrow::datatypes::SchemaRef {
        let fields: Vec<_> =
            self.columns.iter().map(|column| column.data_type.field(&column.name, !column.not_null)).collect();
        Arc::new(arrow::datatypes::Schema::new(fields))
    }
}

/// The error for a required option that is not given.
pub fn missing_option(option: &'static str, object: impl Into<String>) -> ConnectorError {
    ConnectorError::OptionMissing { option, object: object.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_table_name_out_of_a_dotted_one() {
        let own_name = |name: &str| {
            TableSpec { name: name.to_owned(), options: Options::default(), columns: Vec::new() }.own_name()
        };
        assert_eq!(own_name("public.orders"), "orders");
        assert_eq!(own_name("orders"), "orders");
        assert_eq!(own_name("shop.main.\"Order.Lines\""), "Order.Lines");
        assert_eq!(own_name("\"a\"\"b\""), "a\"b");
    }
}
