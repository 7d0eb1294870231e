//! Databases of a test's own, and what the tests ask of the connector.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use atoll_connector_api::paths::FilesRoots;
use atoll_connector_api::types::PgType;
use atoll_connector_api::{
    ColumnDefinition, ConnectorContext, ConnectorError, ForeignSource, Options, ServerSpec, TableSpec,
};
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};

static DATABASES: AtomicU32 = AtomicU32::new(0);

/// A database of one test, dropped at its end, and a connection to change it by.
pub(crate) struct Shop {
    pub(crate) name: String,
    pub(crate) conn: Conn,
    pub(crate) opts: Opts,
}

impl Shop {
    /// `None`, and a line that says so, where no server is named.
    pub(crate) async fn new(test: &str, sql: &[&str]) -> Option<Self> {
        let Ok(url) = std::env::var("ATOLL_TEST_MYSQL_URL") else {
            println!("SKIPPED {test}: ATOLL_TEST_MYSQL_URL is not set");
            return None;
        };
        // The connector chooses the process's cryptography.
        let _ = atoll_connector_mysql::connector();
        let opts = Opts::from_url(&url).unwrap();
        let opts: Opts = OptsBuilder::from_opts(opts).db_name(None::<String>).prefer_socket(false).into();
        let mut conn = Conn::new(opts.clone()).await.unwrap();
        let name = format!("atoll_{}_{}", std::process::id(), DATABASES.fetch_add(1, Ordering::Relaxed));
        for statement in [
            format!("CREATE DATABASE `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"),
            format!("USE `{name}`"),
            "SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'".to_owned(),
        ] {
            conn.query_drop(statement).await.unwrap();
        }
        let mut shop = Self { name, conn, opts };
        for statement in sql {
            shop.run(statement).await;
        }
        Some(shop)
    }

    pub(crate) async fn run(&mut self, sql: &str) {
        self.conn.query_drop(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    pub(crate) fn spec(&self, server: &[(&str, &str)], user: &[(&str, &str)]) -> ServerSpec {
        let mut spec = ServerSpec {
            name: "shop".into(),
            options: options(&[("dbname", &self.name), ("host", self.opts.ip_or_hostname())]),
            user_options: options(&[
                ("user", self.opts.user().unwrap_or("root")),
                ("password", self.opts.pass().unwrap_or("")),
            ]),
            context: ConnectorContext { files: FilesRoots::default(), superuser: true, network_allow: Vec::new() },
        };
        spec.options.set("port", self.opts.tcp_port().to_string());
        server.iter().for_each(|(name, value)| spec.options.set(*name, *value));
        user.iter().for_each(|(name, value)| spec.user_options.set(*name, *value));
        spec
    }

    pub(crate) fn source(&self) -> Arc<dyn ForeignSource> {
        self.source_with(&[], &[])
    }

    pub(crate) fn source_with(&self, server: &[(&str, &str)], user: &[(&str, &str)]) -> Arc<dyn ForeignSource> {
        atoll_connector_mysql::connector().open(self.spec(server, user)).unwrap()
    }

    /// The table as a live catalog shows it.
    pub(crate) async fn context(&self, table: &str) -> SessionContext {
        let source = self.source();
        let options = source.live_options(&self.name, table);
        let columns = source.describe(&options).await.unwrap().columns;
        context(&source, table, TableSpec { name: format!("shop.x.{table}"), options, columns }).await
    }

    /// The table with columns of our own choice.
    pub(crate) async fn declared(&self, table: &str, columns: &[(&str, u32)]) -> SessionContext {
        context(&self.source(), table, spec(table, columns)).await
    }

    /// Statements that run for the user of the test's database on behalf of the connector.
    pub(crate) async fn running(&mut self, text: &str) -> usize {
        let sql = format!(
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%{text}%' AND ID <> CONNECTION_ID()"
        );
        self.conn.query_first::<usize, _>(sql).await.unwrap().unwrap()
    }

    pub(crate) async fn end(mut self) {
        let drop = format!("DROP DATABASE `{}`", self.name);
        self.run(&drop).await;
        self.conn.disconnect().await.unwrap();
    }
}

pub(crate) fn spec(table: &str, columns: &[(&str, u32)]) -> TableSpec {
    TableSpec {
        name: format!("public.{table}"),
        options: options(&[("table_name", table)]),
        columns: columns.iter().map(|(name, oid)| ColumnDefinition::new(*name, PgType::new(*oid))).collect(),
    }
}

pub(crate) fn options(pairs: &[(&str, &str)]) -> Options {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub(crate) async fn context(source: &Arc<dyn ForeignSource>, table: &str, spec: TableSpec) -> SessionContext {
    let context = SessionContext::new();
    context.register_table(table, source.provider(spec).await.unwrap()).unwrap();
    context
}

pub(crate) async fn query(context: &SessionContext, sql: &str) -> Result<Vec<String>, DataFusionError> {
    Ok(lines(&context.sql(sql).await?.collect().await?))
}

pub(crate) async fn rows(context: &SessionContext, sql: &str) -> Vec<String> {
    query(context, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

pub(crate) fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let format = FormatOptions::new().with_null("NULL");
    let mut lines = Vec::new();
    for batch in batches {
        let columns: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &format).unwrap()).collect();
        for row in 0..batch.num_rows() {
            lines.push(columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|"));
        }
    }
    lines
}

pub(crate) fn connector_error(error: &DataFusionError) -> ConnectorError {
    match error.find_root() {
        DataFusionError::External(cause) => cause.downcast_ref::<ConnectorError>().unwrap().clone(),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn remote_error(context: &SessionContext, sql: &str) -> (String, String) {
    match connector_error(&query(context, sql).await.unwrap_err()) {
        ConnectorError::Remote { sqlstate, message, .. } => (sqlstate, message),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn explain(context: &SessionContext, sql: &str) -> String {
    rows(context, &format!("EXPLAIN {sql}")).await.join("\n")
}
