//! The connector and its sources: the remote's databases are schemas.

use std::sync::Arc;

use async_trait::async_trait;
use atoll_connector_api::source::missing_option;
use atoll_connector_api::{
    ColumnDefinition, Connector, ConnectorError, Described, ForeignSource, OptionScope, OptionSpec, Options, Result,
    ServerSpec, TableDefinition, TableSpec, TableSummary,
};
use datafusion::catalog::TableProvider;
use futures::future::BoxFuture;
use mysql_async::Conn;

use crate::connection::Pool;
use crate::metadata::{self, RemoteTable};
use crate::options;
use crate::provider;

/// The connector behind the wrapper `mysql`.
#[derive(Debug)]
pub(crate) struct MysqlConnector;

impl Connector for MysqlConnector {
    fn wrapper(&self) -> &'static str {
        "mysql"
    }

    fn options(&self) -> &'static [OptionSpec] {
        options::OPTIONS
    }

    fn check(&self, scope: OptionScope, options: &Options) -> Result<()> {
        let both = options.get(options::USER).is_some() && options.get(options::USERNAME).is_some();
        if scope == OptionScope::UserMapping && both {
            return Err(ConnectorError::OptionValue {
                option: options::USERNAME.into(),
                reason: format!("\"{}\" is given, too", options::USER),
            });
        }
        Ok(())
    }

    fn open(&self, server: ServerSpec) -> Result<Arc<dyn ForeignSource>> {
        Ok(Arc::new(MysqlSource { pool: Pool::new(server)? }))
    }
}

#[derive(Debug)]
struct MysqlSource {
    pool: Arc<Pool>,
}

impl MysqlSource {
    /// Runs `work` on a connection, which goes back to the pool where the work came to its end. A pooled connection may be
    /// gone: then a new one is asked.
    async fn with<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'a> Fn(&'a Pool, &'a mut Conn) -> BoxFuture<'a, Result<T>> + Send + 'static,
    {
        let pool = Arc::clone(&self.pool);
        // A task of its own: what a hostile server does to the driver stays there.
        let task = tokio::spawn(async move {
            let mut lease = pool.lease().await?;
            loop {
                let result = work(&pool, lease.conn()?).await;
                match &result {
                    Err(ConnectorError::ConnectionLost { .. }) if lease.is_pooled() => {
                        drop(lease);
                        lease = pool.lease_new().await?;
                        continue;
                    }
                    Ok(_) | Err(ConnectorError::TableMissing { .. } | ConnectorError::SchemaMissing { .. }) => {
                        lease.give_back();
                    }
                    Err(_) => drop(lease),
                }
                return result;
            }
        });
        let _abort = AbortOnDrop(task.abort_handle());
        task.await.unwrap_or_else(|_panic| {
            // What a panic of the driver says is not for users.
            let (server, source) = (self.pool.server().to_owned(), std::io::Error::other("the answer broke off"));
            Err(ConnectorError::ConnectionLost { server, source: Arc::new(source) })
        })
    }

    /// The database and name of a foreign table's remote table.
    fn remote(&self, options: &Options, table: Option<&str>) -> Result<(String, String)> {
        let object = "a foreign table of wrapper \"mysql\"";
        let database = options
            .get(options::DBNAME)
            .or(self.pool.dbname())
            .ok_or_else(|| missing_option(options::DBNAME, object))?;
        let table =
            options.get(options::TABLE_NAME).or(table).ok_or_else(|| missing_option(options::TABLE_NAME, object))?;
        Ok((database.to_owned(), table.to_owned()))
    }
}

impl MysqlSource {
    /// A foreign table's remote table.
    async fn look(&self, table: &TableSpec) -> Result<((String, String), RemoteTable)> {
        let name = self.remote(&table.options, Some(&table.own_name()))?;
        let (database, remote) = name.clone();
        let remote = self
            .with(move |pool, conn| {
                let (database, remote) = (database.clone(), remote.clone());
                Box::pin(async move { metadata::table(pool, conn, &database, &remote).await })
            })
            .await?;
        Ok((name, remote))
    }
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[async_trait]
impl ForeignSource for MysqlSource {
    async fn schemas(&self) -> Result<Vec<String>> {
        self.with(|pool, conn| Box::pin(metadata::schemas(pool, conn))).await
    }

    async fn tables(&self, schema: &str) -> Result<Vec<TableSummary>> {
        let schema = schema.to_owned();
        self.with(move |pool, conn| {
            let schema = schema.clone();
            Box::pin(async move { metadata::tables(pool, conn, &schema).await })
        })
        .await
    }

    fn live_options(&self, schema: &str, table: &str) -> Options {
        Options::from_iter([
            (options::DBNAME.to_owned(), schema.to_owned()),
            (options::TABLE_NAME.to_owned(), table.to_owned()),
        ])
    }

    async fn describe(&self, options: &Options) -> Result<TableDefinition> {
        let (database, table) = self.remote(options, None)?;
        self.with(move |pool, conn| {
            let (database, table) = (database.clone(), table.clone());
            Box::pin(
                async move { metadata::table(pool, conn, &database, &table).await.map(RemoteTable::into_definition) },
            )
        })
        .await
    }

    async fn import(&self, schema: &str, tables: &[String]) -> Result<Described> {
        let (schema, tables) = (schema.to_owned(), tables.to_vec());
        self.with(move |pool, conn| {
            let (schema, tables) = (schema.clone(), tables.clone());
            Box::pin(async move {
                if !metadata::schemas(pool, conn).await?.contains(&schema) {
                    return Err(ConnectorError::SchemaMissing { server: pool.server().to_owned(), schema });
                }
                let found = metadata::describe(pool, conn, &schema, &tables).await?;
                if let Some(missing) = tables.iter().find(|table| !found.iter().any(|(name, _)| name == *table)) {
                    let table = format!("{schema}.{missing}");
                    return Err(ConnectorError::TableMissing { server: pool.server().to_owned(), table });
                }
                let tables = found.into_iter().map(|(name, table)| (name, table.into_definition()));
                Ok(Described::all(tables.collect()))
            })
        })
        .await
    }

    async fn provider(&self, table: TableSpec) -> Result<Arc<dyn TableProvider>> {
        let (name, remote) = self.look(&table).await?;
        Ok(provider::table(table, name, &remote, Arc::clone(&self.pool)).into_provider())
    }

    async fn live_provider(&self, table: TableSpec) -> Result<Arc<dyn TableProvider>> {
        let (name, remote) = self.look(&table).await?;
        let other = |column: &&ColumnDefinition| {
            remote.column(table.remote_column(column)).is_some_and(|found| found.data_type != column.data_type)
        };
        if let Some(column) = table.columns.iter().find(other) {
            return Err(ConnectorError::ColumnChanged {
                server: self.pool.server().to_owned(),
                table: table.name.clone(),
                column: column.name.clone(),
                problem: "has another type by now".into(),
            });
        }
        provider::table(table, name, &remote, Arc::clone(&self.pool)).into_live_provider()
    }
}
