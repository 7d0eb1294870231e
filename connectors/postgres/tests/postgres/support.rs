//! A server to test against, schemas that vanish, and shorthand.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use atoll_connector_api::paths::FilesRoots;
use atoll_connector_api::types::PgType;
use atoll_connector_api::types::text::{OutputStyle, write_text};
use atoll_connector_api::{ConnectorContext, ConnectorError, ForeignSource, Options, ServerSpec, TableSpec};
use atoll_connector_postgres::connector;

static SCHEMAS: AtomicUsize = AtomicUsize::new(0);

/// A schema of its own at the server, and a superuser's connection.
pub(crate) struct Remote {
    pub(crate) admin: Client,
    pub(crate) schema: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) database: String,
    pub(crate) user: String,
    pub(crate) password: String,
}

/// The server, or `None` after saying that the test is skipped.
pub(crate) async fn remote(test: &str) -> Option<Remote> {
    let Ok(url) = std::env::var("ATOLL_TEST_POSTGRES_URL") else {
        println!("SKIPPED {test}: ATOLL_TEST_POSTGRES_URL is not set");
        return None;
    };
    let config: Config = url.parse().unwrap();
    let (admin, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    let host = match config.get_hosts().first().unwrap() {
        tokio_postgres::config::Host::Tcp(name) => name.clone(),
        tokio_postgres::config::Host::Unix(path) => path.to_str().unwrap().to_owned(),
    };
    let schema = format!("atoll_test_{}_{}", std::process::id(), SCHEMAS.fetch_add(1, Ordering::Relaxed));
    admin
        .batch_execute(&format!(
            "SET TimeZone = 'UTC'; DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}; SET search_path = {schema}"
        ))
        .await
        .unwrap();
    Some(Remote {
        admin,
        schema,
        host,
        port: config.get_ports().first().copied().unwrap_or(5432),
        database: config.get_dbname().unwrap_or("postgres").to_owned(),
        user: config.get_user().unwrap().to_owned(),
        password: String::from_utf8(config.get_password().unwrap().to_vec()).unwrap(),
    })
}

pub(crate) fn options(pairs: &[(&str, &str)]) -> Options {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

impl Remote {
    pub(crate) async fn execute(&self, sql: &str) {
        self.admin.batch_execute(sql).await.unwrap();
    }

    /// Rows as PostgreSQL prints them.
    pub(crate) async fn text(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let messages = self.admin.simple_query(sql).await.unwrap();
        messages
            .into_iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => {
                    Some((0..row.len()).map(|index| row.get(index).map(str::to_owned)).collect())
                }
                _ => None,
            })
            .collect()
    }

    pub(crate) async fn drop_schema(&self) {
        self.execute(&format!("DROP SCHEMA {} CASCADE", self.schema)).await;
    }

    pub(crate) fn spec(&self, server: &[(&str, &str)]) -> ServerSpec {
        let port = self.port.to_string();
        let mut all = options(&[("host", &self.host), ("port", &port), ("dbname", &self.database)]);
        for (name, value) in server {
            all.set(*name, *value);
        }
        ServerSpec {
            name: "remote".into(),
            options: all,
            user_options: options(&[("user", &self.user), ("password", &self.password)]),
            context: ConnectorContext { files: FilesRoots::default(), superuser: true, network_allow: Vec::new() },
        }
    }

    pub(crate) fn source(&self, server: &[(&str, &str)]) -> Arc<dyn ForeignSource> {
        connector().open(self.spec(server)).unwrap()
    }

    /// A foreign table as IMPORT would define it.
    pub(crate) async fn table(&self, source: &Arc<dyn ForeignSource>, table: &str) -> TableSpec {
        let options = source.live_options(&self.schema, table);
        let columns = source.describe(&options).await.unwrap().columns;
        TableSpec { name: format!("public.{table}"), options, columns }
    }

    /// A DataFusion session in which `table` is the foreign table.
    pub(crate) async fn context(&self, source: &Arc<dyn ForeignSource>, table: &str) -> SessionContext {
        let provider = source.provider(self.table(source, table).await).await.unwrap();
        let context = SessionContext::new();
        context.register_table(table, provider).unwrap();
        context
    }

    /// Statements of Atoll's that the server runs for this test's schema right now.
    pub(crate) async fn running(&self) -> usize {
        let rows = self
            .text(&format!(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'atoll' AND state <> 'idle' \
                 AND query LIKE '%{}%'",
                self.schema
            ))
            .await;
        rows[0][0].as_ref().unwrap().parse().unwrap()
    }
}

/// A value as PostgreSQL would print it.
pub(crate) fn printed(batch: &RecordBatch, column: usize, row: usize) -> Option<String> {
    let array = batch.column(column);
    if array.is_null(row) {
        return None;
    }
    let mut out = String::new();
    let data_type = PgType::of_field(batch.schema().field(column));
    write_text(array.as_ref(), row, &data_type, &OutputStyle::default(), &mut out).unwrap();
    Some(out)
}

/// The rows of a query, as text.
pub(crate) async fn rows(context: &SessionContext, sql: &str) -> Vec<Vec<String>> {
    let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
    let options = FormatOptions::default().with_null("NULL");
    let mut rows = Vec::new();
    for batch in &batches {
        let columns: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        rows.extend((0..batch.num_rows()).map(|row| columns.iter().map(|c| c.value(row).to_string()).collect()));
    }
    rows
}

pub(crate) async fn plan(context: &SessionContext, sql: &str) -> String {
    rows(context, &format!("EXPLAIN {sql}")).await.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

/// The connector's error behind a query's.
pub(crate) fn cause(error: &DataFusionError) -> ConnectorError {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(found) = error.downcast_ref::<ConnectorError>() {
            return found.clone();
        }
        source = match error.downcast_ref::<DataFusionError>() {
            Some(DataFusionError::External(inner)) => Some(inner.as_ref()),
            Some(DataFusionError::Context(_, inner)) => Some(inner.as_ref()),
            Some(DataFusionError::Shared(inner)) => Some(inner.as_ref()),
            _ => error.source(),
        };
    }
    panic!("no connector's error in {error}");
}

pub(crate) async fn failure(context: &SessionContext, sql: &str) -> ConnectorError {
    match context.sql(sql).await.unwrap().collect().await {
        Ok(_) => panic!("{sql} succeeded"),
        Err(error) => cause(&error),
    }
}
