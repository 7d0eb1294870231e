//! The connector against real database files, through DataFusion.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use atoll_connector_api::paths::FilesRoots;
use atoll_connector_api::statement::StatementScans;
use atoll_connector_api::subplan::FederatedTable;
use atoll_connector_api::types::{PgType, oids};
use atoll_connector_api::{
    ColumnDefinition, ConnectorContext, ConnectorError, ForeignSource, Options, ServerSpec, TableSpec,
};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::StreamExt;
use rusqlite::Connection;
use tempfile::TempDir;

/// A files root with one database, `shop.db`, and a writer's connection to it.
struct Shop {
    root: TempDir,
    writer: Connection,
}

impl Shop {
    fn new(sql: &str) -> Self {
        let root = TempDir::new().unwrap();
        let writer = Connection::open(root.path().join("shop.db")).unwrap();
        writer.execute_batch(sql).unwrap();
        Self { root, writer }
    }

    fn source(&self) -> Arc<dyn ForeignSource> {
        source(self.root.path(), "shop.db", &[])
    }

    /// The table as a live catalog shows it.
    async fn context(&self, table: &str) -> SessionContext {
        let source = self.source();
        let options = source.live_options("main", table);
        let columns = source.describe(&options).await.unwrap().columns;
        context(&source, table, TableSpec { name: format!("shop.main.{table}"), options, columns }).await
    }

    /// The table with columns of our own choice.
    async fn declared(&self, table: &str, columns: &[(&str, u32)]) -> SessionContext {
        let source = self.source();
        context(&source, table, spec(table, columns)).await
    }
}

fn spec(table: &str, columns: &[(&str, u32)]) -> TableSpec {
    TableSpec {
        name: format!("public.{table}"),
        options: options(&[("table", table)]),
        columns: columns.iter().map(|(name, oid)| ColumnDefinition::new(*name, PgType::new(*oid))).collect(),
    }
}

fn options(pairs: &[(&str, &str)]) -> Options {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn source(root: &Path, database: &str, refused: &[std::path::PathBuf]) -> Arc<dyn ForeignSource> {
    let files = FilesRoots::open(&[root.to_owned()], refused).unwrap();
    let server = ServerSpec {
        name: "shop".into(),
        options: options(&[("database", database)]),
        user_options: Options::default(),
        context: ConnectorContext { files, superuser: true, network_allow: Vec::new() },
    };
    atoll_connector_sqlite::connector().open(server).unwrap()
}

async fn context(source: &Arc<dyn ForeignSource>, table: &str, spec: TableSpec) -> SessionContext {
    let context = SessionContext::new();
    context.register_table(table, source.provider(spec).await.unwrap()).unwrap();
    context
}

async fn query(context: &SessionContext, sql: &str) -> Result<Vec<String>, DataFusionError> {
    let batches = context.sql(sql).await?.collect().await?;
    Ok(lines(&batches))
}

async fn rows(context: &SessionContext, sql: &str) -> Vec<String> {
    query(context, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn lines(batches: &[RecordBatch]) -> Vec<String> {
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

async fn remote_error(context: &SessionContext, sql: &str) -> (String, String, String) {
    let error = query(context, sql).await.unwrap_err();
    match connector_error(&error) {
        ConnectorError::Remote { sqlstate, message, hint, .. } => (sqlstate, message, hint.unwrap_or_default()),
        other => panic!("{other:?}"),
    }
}

fn connector_error(error: &DataFusionError) -> ConnectorError {
    match error.find_root() {
        DataFusionError::External(cause) => cause.downcast_ref::<ConnectorError>().unwrap().clone(),
        other => panic!("{other:?}"),
    }
}

async fn explain(context: &SessionContext, sql: &str) -> String {
    rows(context, &format!("EXPLAIN {sql}")).await.join("\n")
}

#[tokio::test]
async fn lists_and_describes_tables_and_views() {
    let shop = Shop::new(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, amount DECIMAL(10,2), placed DATE,
             doubled INTEGER GENERATED ALWAYS AS (id * 2) VIRTUAL, raw BLOB, anything, flag BOOLEAN);
         CREATE TABLE pairs (b INT, a TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID;
         CREATE VIEW big AS SELECT * FROM orders WHERE amount > 100;
         CREATE VIRTUAL TABLE notes USING fts5(body);",
    );
    let source = shop.source();
    assert_eq!(source.schemas().await.unwrap(), ["main"]);
    assert!(source.tables("other").await.unwrap().is_empty());
    let names: Vec<_> = source
        .tables("main")
        .await
        .unwrap()
        .into_iter()
        .map(|table| format!("{} {:?}", table.name, table.kind))
        .collect();
    assert_eq!(names, ["big View", "notes Table", "orders Table", "pairs Table"]);

    let definition = source.describe(&options(&[("table", "orders")])).await.unwrap();
    let columns: Vec<_> = definition
        .columns
        .iter()
        .map(|column| {
            format!("{} {}{}", column.name, column.data_type.sql_name(), if column.not_null { " not null" } else { "" })
        })
        .collect();
    assert_eq!(
        columns,
        [
            "id bigint not null",
            "customer text not null",
            "amount numeric(10,2)",
            "placed date",
            "doubled bigint",
            "raw bytea",
            "anything text",
            "flag boolean",
        ]
    );
    assert_eq!(definition.primary_key, ["id"]);
    let pairs = source.import("main", &["pairs".into()]).await.unwrap().tables;
    assert_eq!(pairs[0].1.primary_key, ["a", "b"]);
    assert!(matches!(source.import("x", &[]).await, Err(ConnectorError::SchemaMissing { .. })));
    let missing = source.describe(&options(&[("table", "nowhere")])).await.unwrap_err();
    assert!(matches!(missing, ConnectorError::TableMissing { table, .. } if table == "nowhere"));
}

#[tokio::test]
async fn reads_every_type() {
    let shop = Shop::new(
        "CREATE TABLE t (i INTEGER, r REAL, s TEXT, b BLOB, n NUMERIC, d DECIMAL(10,2), f BOOLEAN, day DATE,
             at DATETIME, tm TIME, u UUID, j JSON, x);
         INSERT INTO t VALUES (9223372036854775807, 1.5, 'grüße 🦀', x'00ff', 12345678901234, 12.5, 1, '2024-02-29',
             '2024-02-29 23:59:59.123456', '23:59:59.5', '6f9619ff-8b86-d011-b42d-00c04fc964ff', '{\"a\": 1}', 'any');
         INSERT INTO t VALUES (-9223372036854775808, -1e300, '', x'', 0.1, -0.01, 0, '0001-01-01',
             '1969-12-31T23:59:59', '00:00:00', x'000102030405060708090a0b0c0d0e0f', '[]', 7.25);
         INSERT INTO t DEFAULT VALUES;",
    );
    let context = shop.context("t").await;
    assert_eq!(
        rows(&context, "SELECT * FROM t").await,
        [
            "9223372036854775807|1.5|grüße 🦀|00ff|12345678901234|12.50|true|2024-02-29|2024-02-29T23:59:59.123456|\
             23:59:59.500|6f9619ff8b86d011b42d00c04fc964ff|{\"a\": 1}|any",
            "-9223372036854775808|-1e300|||0.1|-0.01|false|0001-01-01|1969-12-31T23:59:59|00:00:00|\
             000102030405060708090a0b0c0d0e0f|[]|7.25",
            "NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL",
        ]
    );
    assert_eq!(rows(&context, "SELECT count(*) FROM t").await, ["3"]);
    let schema = context.table("t").await.unwrap().schema().as_arrow().clone();
    assert_eq!(PgType::of_field(schema.field_with_name("u").unwrap()).oid, oids::UUID);
}

#[tokio::test]
async fn reports_values_that_do_not_fit_and_how_to_read_them() {
    let shop = Shop::new(
        "CREATE TABLE odd (id INTEGER PRIMARY KEY, qty INTEGER, price REAL, day DATE, name TEXT, flag BOOLEAN);
         INSERT INTO odd VALUES (1, 'many', 1.0, '2024-01-01', 'a', 1), (2, 2.5, 'cheap', 20240101, x'ff', 2),
             (3, 3, 2, 'some day', x'62', 'true'), (4, 4, 9007199254740993, '2024-01-02', 'd', 0);",
    );
    let context = shop.context("odd").await;
    let (sqlstate, message, hint) = remote_error(&context, "SELECT qty FROM odd WHERE id = 1").await;
    assert_eq!(sqlstate, "22P02");
    assert_eq!(
        message,
        "column \"qty\" of foreign table \"shop.main.odd\" holds a text that is not a value of type bigint"
    );
    assert!(!message.contains("many") && hint.contains("(qty text, …)"), "{hint}");
    let cases = [
        ("qty", 2, "22P02", "a real number"),
        ("price", 2, "22P02", "a text"),
        ("day", 2, "22P02", "an integer"),
        ("day", 3, "22007", "a text"),
        ("name", 2, "22021", "a blob"),
        ("flag", 2, "22P02", "an integer"),
    ];
    for (column, id, expected, kind) in cases {
        let (sqlstate, message, _) = remote_error(&context, &format!("SELECT {column} FROM odd WHERE id = {id}")).await;
        assert_eq!(sqlstate, expected, "{column} {id}: {message}");
        assert!(message.contains(&format!("holds {kind}")), "{message}");
    }
    // The rest of the table stays readable.
    assert_eq!(rows(&context, "SELECT name, flag FROM odd WHERE id = 3").await, ["b|true"]);
    assert_eq!(rows(&context, "SELECT id FROM odd WHERE id > 2 ORDER BY id").await, ["3", "4"]);

    let columns = [("qty", oids::TEXT), ("price", oids::TEXT), ("day", oids::TEXT), ("flag", oids::TEXT)];
    let context = shop.declared("odd", &columns).await;
    assert_eq!(
        rows(&context, "SELECT qty, price, day, flag FROM odd").await,
        ["many|1|2024-01-01|1", "2.5|cheap|20240101|2", "3|2|some day|true", "4|9.007199254740992e+15|2024-01-02|0"]
    );
    let context = shop.declared("odd", &[("id", oids::INT2), ("qty", oids::FLOAT8), ("price", oids::INT4)]).await;
    assert_eq!(rows(&context, "SELECT id, qty FROM odd WHERE id = 2").await, ["2|2.5"]);
    assert_eq!(remote_error(&context, "SELECT price FROM odd WHERE id = 4").await.0, "22003");
}

/// Rows whose filters SQLite answers are the rows that our own filters keep.
#[tokio::test]
async fn pushed_filters_answer_as_local_ones() {
    let shop = Shop::new(
        "CREATE TABLE loose (id INTEGER PRIMARY KEY, i INTEGER, r REAL, s TEXT, c TEXT COLLATE NOCASE, d DECIMAL(10,2),
             b BLOB);
         CREATE TABLE firm (id INTEGER PRIMARY KEY, i INTEGER, r REAL, s TEXT, c TEXT COLLATE NOCASE, b BLOB) STRICT;
         CREATE INDEX loose_s ON loose (s);",
    );
    let values = [
        "(1, 1, 0.1, 'a', 'Abc', 0.1, x'61')",
        "(2, -1, -0.5, 'A', 'abc', 0.125, x'')",
        "(3, 9223372036854775807, 1e15, 'a ', 'ABC', 19.99, x'ff')",
        "(4, 0, 0.30000000000000004, '', 'é', 0.30000000000000004, x'6100')",
        "(5, 3, 3, 'é', 'É', 3, NULL)",
        "(6, NULL, NULL, NULL, NULL, NULL, NULL)",
        "(7, 5, 2.5, 'it''s', 'x''y', -3.01, x'27')",
        "(8, 42, 1e-300, '42', '42', 42, x'3432')",
    ];
    shop.writer.execute_batch(&format!("INSERT INTO loose VALUES {}", values.join(", "))).unwrap();
    // Blobs where texts are expected: they read as texts.
    shop.writer.execute_batch("INSERT INTO loose (id, s, c) VALUES (9, x'61', x'616263')").unwrap();
    shop.writer.execute_batch("INSERT INTO firm SELECT id, i, r, s, c, b FROM loose WHERE id < 9").unwrap();
    let filters = [
        "i = 3",
        "i <> 3",
        "i < 5",
        "i >= 9223372036854775807",
        "i IN (1, 42, 5, -1)",
        "i NOT IN (1, 42, 5, -1)",
        "NOT (i = 3)",
        "i BETWEEN 0 AND 5",
        "i IS NULL",
        "i IS NOT NULL AND r IS NOT NULL",
        "r = 0.1",
        "r > 0.3",
        "r < 0.3",
        "r = 3",
        "r <> 2.5",
        "r <= -0.5",
        "s = 'a'",
        "s = 'A'",
        "s = 'a '",
        "s <> 'a'",
        "s < 'a'",
        "s <= 'a'",
        "s > 'a'",
        "s >= 'it''s'",
        "s IN ('a', 'é', '42', 'A', 'x')",
        "s NOT IN ('a', 'é', '42', 'A', 'x')",
        "NOT (s = 'a')",
        "s = 'a' OR i = 42",
        "s = 'a' OR i + 1 = 43",
        "s = 'a' AND i + 1 = 2",
        "c = 'abc'",
        "c <> 'abc'",
        "c < 'abc'",
        "c IN ('ABC', 'é')",
        "c LIKE 'a%'",
        "b = x'61'",
        "b < x'61'",
        "b > x'61'",
        "s LIKE '%a%'",
        "s = ''",
        "s = 'it''s'' OR 1=1 --'",
    ];
    let loose =
        ["d = 0.1", "d = 0.13", "d > 0.12", "d < 0.13", "d = 0.30", "d <= -3.01", "d >= 42", "d <> 3", "d = 19.99"];
    for (table, filters) in
        [("loose", filters.iter().chain(&loose).collect::<Vec<_>>()), ("firm", filters.iter().collect::<Vec<_>>())]
    {
        let remote = shop.context(table).await;
        let provider = remote.table_provider(table).await.unwrap();
        let all = remote.sql(&format!("SELECT * FROM {table}")).await.unwrap().collect().await.unwrap();
        let local = SessionContext::new();
        local.register_table(table, Arc::new(MemTable::try_new(provider.schema(), vec![all]).unwrap())).unwrap();
        let mut sent = 0;
        for filter in filters {
            for columns in ["id", "*", "count(*)"] {
                let order = if columns == "count(*)" { "" } else { " ORDER BY id" };
                let sql = format!("SELECT {columns} FROM {table} WHERE {filter}{order}");
                assert_eq!(rows(&remote, &sql).await, rows(&local, &sql).await, "{sql}");
            }
            let plan = explain(&remote, &format!("SELECT id FROM {table} WHERE {filter}")).await;
            sent += usize::from(plan.contains(" WHERE "));
        }
        assert!(sent > 20, "only {sent} filters of {table} were sent");
    }
}

#[tokio::test]
async fn sends_limits_only_under_no_filter_of_ours() {
    let shop =
        Shop::new("CREATE TABLE t (id INTEGER, s TEXT) STRICT; INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'a');");
    let context = shop.context("t").await;
    assert!(explain(&context, "SELECT id FROM t LIMIT 2").await.contains("FROM \"main\".\"t\" LIMIT 2"));
    let sql = "SELECT id FROM t WHERE s = 'a' LIMIT 1";
    assert!(explain(&context, sql).await.contains("WHERE (\"s\" COLLATE BINARY = 'a') LIMIT 1"));
    assert_eq!(rows(&context, sql).await, ["1"]);
    let sql = "SELECT id FROM t WHERE s = 'a' AND length(s) + id > 3 LIMIT 1";
    assert!(!explain(&context, sql).await.contains(") LIMIT"));
    assert_eq!(rows(&context, sql).await, ["3"]);
}

#[tokio::test]
async fn sends_no_expression_too_deep_for_sqlite() {
    let shop = Shop::new("CREATE TABLE t (id INTEGER, s TEXT); INSERT INTO t VALUES (7, 'v7'), (2000, 'x');");
    let context = shop.context("t").await;
    let texts: Vec<_> = (0..999).map(|n| format!("'v{n}'")).collect();
    assert_eq!(rows(&context, &format!("SELECT id FROM t WHERE s IN ({})", texts.join(","))).await, ["7"]);
    let numbers: Vec<_> = (0..999).map(|n| n.to_string()).collect();
    assert_eq!(rows(&context, &format!("SELECT id FROM t WHERE id IN ({})", numbers.join(","))).await, ["7"]);
    let chain: Vec<_> = (0..600).map(|n| format!("id = {n} AND s = 'v{n}'")).collect();
    let provider = context.table_provider("t").await.unwrap();
    let filter =
        context.state().create_logical_expr(&chain.join(" OR "), &provider.schema().try_into().unwrap()).unwrap();
    let support = provider.supports_filters_pushdown(&[&filter]).unwrap();
    assert_eq!(support, [datafusion::logical_expr::TableProviderFilterPushDown::Unsupported]);
}

#[tokio::test]
async fn says_which_column_is_gone() {
    let shop = Shop::new("CREATE TABLE t (id INTEGER, label TEXT); INSERT INTO t VALUES (1, 'x');");
    let source = shop.source();
    let context = context(&source, "t", spec("t", &[("id", oids::INT8), ("label", oids::TEXT)])).await;
    assert_eq!(rows(&context, "SELECT label FROM t").await, ["x"]);
    shop.writer.execute_batch("ALTER TABLE t RENAME COLUMN label TO title").unwrap();
    // Planned before, run after.
    let error = connector_error(&query(&context, "SELECT label FROM t").await.unwrap_err());
    assert!(matches!(&error, ConnectorError::ColumnChanged { column, .. } if column == "label"), "{error:?}");
    // Planned after.
    let columns = [("id", oids::INT8), ("label", oids::TEXT)];
    let error = source.live_provider(spec("t", &columns)).await.unwrap_err();
    assert!(matches!(&error, ConnectorError::ColumnChanged { column, .. } if column == "label"), "{error:?}");
    let after = self::context(&source, "t", spec("t", &columns)).await;
    for reading in ["SELECT label FROM t", "SELECT id FROM t WHERE label = 'x'"] {
        let error = connector_error(&query(&after, reading).await.unwrap_err());
        assert!(matches!(&error, ConnectorError::ColumnChanged { column, .. } if column == "label"), "{error:?}");
    }
    assert_eq!(rows(&after, "SELECT id FROM t WHERE id = 1 ORDER BY id LIMIT 1").await, ["1"]);
    assert_eq!(rows(&after, "SELECT count(*) FROM t").await, ["1"]);
    let mut renamed = spec("t", &[("label", oids::TEXT)]);
    renamed.columns[0].options = options(&[("column_name", "title")]);
    let provider = source.provider(renamed).await.unwrap();
    let again = SessionContext::new();
    again.register_table("t", provider).unwrap();
    assert_eq!(rows(&again, "SELECT label FROM t WHERE label = 'x'").await, ["x"]);
    shop.writer.execute_batch("DROP TABLE t").unwrap();
    let error = connector_error(&query(&again, "SELECT label FROM t").await.unwrap_err());
    assert!(matches!(error, ConnectorError::TableMissing { .. }), "{error:?}");
}

#[tokio::test]
async fn reports_files_that_are_missing_foreign_or_out_of_bounds() {
    let shop = Shop::new("CREATE TABLE t (id INTEGER);");
    let root = shop.root.path();
    let open = |name: &str| source(root, name, &[]);
    let error = open("nowhere.db").schemas().await.unwrap_err();
    assert!(matches!(error, ConnectorError::File { missing: true, .. }), "{error:?}");
    std::fs::write(root.join("text.db"), "this is certainly no database, but long enough to look at".repeat(40))
        .unwrap();
    let error = open("text.db").tables("main").await.unwrap_err();
    assert!(matches!(error, ConnectorError::Format { format: "SQLite", .. }), "{error:?}");
    let error = open("../shop.db").schemas().await.unwrap_err();
    assert!(matches!(error, ConnectorError::Denied { .. }), "{error:?}");
    let error = open("/etc/passwd").schemas().await.unwrap_err();
    assert!(matches!(&error, ConnectorError::Denied { hint: Some(hint), .. } if hint.contains("--files-root")));

    let outside = Shop::new("CREATE TABLE secret (id INTEGER);");
    std::os::unix::fs::symlink(outside.root.path().join("shop.db"), root.join("way-out.db")).unwrap();
    std::os::unix::fs::symlink(outside.root.path(), root.join("way")).unwrap();
    for name in ["way-out.db", "way/shop.db"] {
        let error = open(name).schemas().await.unwrap_err();
        assert!(matches!(error, ConnectorError::File { missing: false, .. }), "{error:?}");
    }
    // A link within the root serves, unless it leads into the data directory.
    std::fs::create_dir(root.join("data")).unwrap();
    Connection::open(root.join("data/catalog.db")).unwrap().execute_batch("CREATE TABLE secret (id)").unwrap();
    std::os::unix::fs::symlink("shop.db", root.join("same.db")).unwrap();
    std::os::unix::fs::symlink("data/catalog.db", root.join("inner.db")).unwrap();
    let refused = [root.join("data")];
    assert_eq!(source(root, "same.db", &refused).tables("main").await.unwrap().len(), 1);
    let error = source(root, "inner.db", &refused).tables("main").await.unwrap_err();
    assert!(matches!(error, ConnectorError::File { missing: false, .. }), "{error:?}");
    let error = source(root, "data/catalog.db", &refused).tables("main").await.unwrap_err();
    assert!(matches!(error, ConnectorError::Denied { .. }), "{error:?}");
    // The server is usable afterwards.
    assert_eq!(open("shop.db").tables("main").await.unwrap().len(), 1);
}

#[tokio::test]
async fn never_writes_and_never_loses_its_locks() {
    let shop = Shop::new("CREATE TABLE t (id INTEGER); INSERT INTO t VALUES (1);");
    let context = shop.context("t").await;
    let before = std::fs::read(shop.root.path().join("shop.db")).unwrap();
    // The writer holds its lock while we open and close the file again and again.
    shop.writer.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (2);").unwrap();
    for _ in 0..3 {
        assert_eq!(rows(&context, "SELECT id FROM t").await, ["1"]);
    }
    let other = Connection::open(shop.root.path().join("shop.db")).unwrap();
    other.busy_timeout(Duration::ZERO).unwrap();
    assert!(other.execute_batch("BEGIN IMMEDIATE").is_err(), "the writer's lock is gone");
    assert_eq!(std::fs::read(shop.root.path().join("shop.db")).unwrap(), before);
    shop.writer.execute_batch("COMMIT").unwrap();
    assert_eq!(rows(&context, "SELECT id FROM t ORDER BY id").await, ["1", "2"]);
}

#[tokio::test]
async fn reports_a_lock_that_stays() {
    let shop = Shop::new("CREATE TABLE t (id INTEGER);");
    let context = shop.context("t").await;
    shop.writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let (sqlstate, message, _) = remote_error(&context, "SELECT id FROM t").await;
    assert_eq!(sqlstate, "55P03", "{message}");
    shop.writer.execute_batch("ROLLBACK").unwrap();
    assert!(rows(&context, "SELECT id FROM t").await.is_empty());
}

#[tokio::test]
async fn reads_a_database_in_wal_mode_at_one_moment() {
    let shop = Shop::new("PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER);");
    shop.writer
        .execute_batch(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) INSERT INTO t SELECT i FROM n",
        )
        .unwrap();
    let context = shop.context("t").await;
    let mut stream = context.sql("SELECT id FROM t").await.unwrap().execute_stream().await.unwrap();
    let mut count = stream.next().await.unwrap().unwrap().num_rows();
    shop.writer.execute_batch("DELETE FROM t").unwrap();
    while let Some(batch) = stream.next().await {
        count += batch.unwrap().num_rows();
    }
    assert_eq!(count, 100_000);
    assert_eq!(rows(&context, "SELECT count(*) FROM t").await, ["0"]);
}

/// A view that computes for hours: dropping the stream ends it within a second.
#[tokio::test]
async fn scans_of_one_statement_see_one_moment() {
    for mode in ["delete", "wal"] {
        let shop = Shop::new(&format!(
            "PRAGMA journal_mode = {mode}; CREATE TABLE one (a INTEGER); \
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) INSERT INTO one SELECT i FROM n; \
             CREATE TABLE two AS SELECT * FROM one"
        ));
        let source = shop.source();
        let config = SessionConfig::new().with_target_partitions(1);
        let config = config.with_extension(Arc::new(StatementScans::default()));
        let context = SessionContext::new_with_config(config);
        for table in ["one", "two"] {
            let options = source.live_options("main", table);
            let columns = source.describe(&options).await.unwrap().columns;
            let spec = TableSpec { name: format!("shop.main.{table}"), options, columns };
            context.register_table(table, source.provider(spec).await.unwrap()).unwrap();
        }
        let sql = "SELECT a FROM one UNION ALL SELECT a + 0 FROM two";
        let plan = context.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
        let statement = context.task_ctx().session_config().get_extension::<StatementScans>().unwrap();
        statement.expect_plan(&plan);
        let mut count = 0;
        for (index, scan) in plan.children().into_iter().enumerate() {
            let mut stream = scan.execute(0, context.task_ctx()).unwrap();
            count += stream.next().await.unwrap().unwrap().num_rows();
            if index == 0 {
                shop.writer.busy_timeout(Duration::ZERO).unwrap();
                let written = shop.writer.execute_batch("DELETE FROM two; DELETE FROM one");
                // In this mode a writer waits for the readers, and may not come between.
                assert_eq!(written.is_ok(), mode == "wal", "{written:?}");
                let _ = shop.writer.execute_batch("ROLLBACK");
            }
            while let Some(batch) = stream.next().await {
                count += batch.unwrap().num_rows();
            }
        }
        assert_eq!(count, 200_000, "{mode}");
        drop((plan, context, statement));
        // The readers are gone.
        shop.writer.busy_timeout(Duration::from_secs(5)).unwrap();
        shop.writer.execute_batch("DELETE FROM one").unwrap();
    }
}

#[tokio::test]
async fn a_dropped_scan_ends_the_work() {
    let shop = Shop::new(
        "CREATE VIEW endless AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
             SELECT count(*) AS total FROM n WHERE i < 0;",
    );
    let context = shop.context("endless").await;
    let started = Instant::now();
    let waited = tokio::time::timeout(Duration::from_millis(300), query(&context, "SELECT total FROM endless")).await;
    assert!(waited.is_err());
    let mut threads = scan_threads();
    while threads > 0 && started.elapsed() < Duration::from_millis(1300) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        threads = scan_threads();
    }
    assert_eq!(threads, 0, "the thread still runs");
}

/// Scanning threads of this process that compute, rather than wait for a lock or for their reader.
fn scan_threads() -> usize {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("stat")).ok())
        .filter(|stat| stat.contains("(sqlite-scan) R"))
        .count()
}

#[tokio::test]
async fn a_live_table_goes_by_its_one_name() {
    let shop = Shop::new("CREATE TABLE Aff (id INTEGER);");
    let source = shop.source();
    assert_eq!(source.describe_live("main", "Aff").await.unwrap().columns.len(), 1);
    for (schema, table) in [("main", "aff"), ("main", "AFF"), ("main", "nothing")] {
        let error = source.describe_live(schema, table).await.unwrap_err();
        assert!(matches!(error, ConnectorError::TableMissing { .. }), "{schema}.{table}: {error:?}");
    }
    for schema in ["other", "MAIN", "temp", "public"] {
        let error = source.describe_live(schema, "Aff").await.unwrap_err();
        assert!(matches!(error, ConnectorError::SchemaMissing { .. }), "{schema}: {error:?}");
    }
    // What a user writes as an option is taken as SQLite takes it.
    assert_eq!(source.describe(&options(&[("table", "AFF")])).await.unwrap().columns.len(), 1);
}

#[tokio::test]
async fn only_an_alias_of_the_row_id_is_always_an_integer() {
    let shop = Shop::new(
        "CREATE TABLE alias (id INTEGER PRIMARY KEY); INSERT INTO alias VALUES (2), (10);
         CREATE TABLE other (id INTEGER PRIMARY KEY DESC); INSERT INTO other VALUES (2), ('x'), (NULL);",
    );
    let source = shop.source();
    let of = async |table: &str| {
        let definition = source.describe(&options(&[("table", table)])).await.unwrap();
        let spec = TableSpec { columns: definition.columns, ..spec(table, &[]) };
        let provider = source.provider(spec.clone()).await.unwrap();
        let provider: &dyn TableProvider = provider.as_ref();
        let plain = provider.downcast_ref::<FederatedTable>().unwrap().0.relation().columns[0].plain;
        (spec.columns[0].not_null, plain)
    };
    assert_eq!((of("alias").await, of("other").await), ((true, true), (false, false)));
}

#[tokio::test]
async fn one_broken_view_hides_no_other_table() {
    let shop = Shop::new(
        "CREATE TABLE good (id INTEGER); CREATE TABLE gone (id INTEGER); CREATE VIEW bad AS SELECT id FROM gone;
         DROP TABLE gone;",
    );
    let source = shop.source();
    let names: Vec<_> = source.tables("main").await.unwrap().into_iter().map(|table| table.name).collect();
    assert_eq!(names, ["bad", "good"]);
    let described = source.import("main", &names).await.unwrap();
    assert_eq!(described.tables.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["good"]);
    assert_eq!(described.skipped.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["bad"]);
    for error in [
        source.import("main", &["bad".into()]).await.unwrap_err(),
        source.describe_live("main", "bad").await.unwrap_err(),
    ] {
        assert!(matches!(&error, ConnectorError::Remote { message, .. } if message.contains("gone")), "{error:?}");
    }
}

#[tokio::test]
async fn reads_bytes_under_their_other_names() {
    let shop = Shop::new(
        "CREATE TABLE t (id INTEGER, a BINARY(16), b VARBINARY(20), c IMAGE, d JSONB);
         INSERT INTO t VALUES (1, x'00ff', x'ff', x'', '{\"b\": 1, \"a\":  2}'), (2, NULL, NULL, x'01', NULL);",
    );
    let context = shop.context("t").await;
    assert_eq!(
        rows(&context, "SELECT a, b, c, d FROM t ORDER BY id").await,
        ["00ff|ff||{\"a\": 2, \"b\": 1}", "NULL|NULL|01|NULL"]
    );
    assert_eq!(rows(&context, "SELECT id FROM t WHERE a = X'00ff'").await, ["1"]);
}

#[tokio::test]
async fn views_and_virtual_tables_are_read() {
    let shop = Shop::new(
        "CREATE TABLE a (name TEXT); CREATE TABLE b (number INTEGER);
         INSERT INTO a VALUES ('5'), ('x'); INSERT INTO b VALUES (5), (6);
         CREATE VIEW both AS SELECT name FROM a UNION ALL SELECT number FROM b;
         CREATE TABLE files (body BLOB); INSERT INTO files VALUES (x'00ff');
         CREATE VIEW mixed AS SELECT body, number + 1 AS next, number / 2.0 AS half, upper('x') AS big FROM files, b;
         CREATE VIRTUAL TABLE notes USING fts5(body); INSERT INTO notes VALUES ('hello world'), ('bye');",
    );
    let context = shop.context("both").await;
    assert_eq!(rows(&context, "SELECT name FROM both ORDER BY name").await, ["5", "5", "6", "x"]);
    assert_eq!(rows(&context, "SELECT count(*) FROM both WHERE name = '5'").await, ["2"]);
    let context = shop.context("mixed").await;
    assert_eq!(rows(&context, "SELECT * FROM mixed WHERE next > 6").await, ["00ff|7|3|X"]);
    let context = shop.context("notes").await;
    assert_eq!(rows(&context, "SELECT body FROM notes WHERE body = 'bye'").await, ["bye"]);
}

#[tokio::test]
async fn many_rows_stream_in_bounded_batches() {
    let shop = Shop::new(
        "CREATE TABLE t (id INTEGER, s TEXT);
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)
             INSERT INTO t SELECT i, 'row ' || i FROM n;
         CREATE TABLE wide (b BLOB); INSERT INTO wide SELECT zeroblob(1048576) FROM t LIMIT 20;",
    );
    let context = shop.context("t").await;
    let mut stream = context.sql("SELECT * FROM t").await.unwrap().execute_stream().await.unwrap();
    let mut count = 0;
    while let Some(batch) = stream.next().await {
        let batch = batch.unwrap();
        assert!(batch.num_rows() <= 8192);
        count += batch.num_rows();
    }
    assert_eq!(count, 50_000);
    let provider = shop.context("wide").await.table_provider("wide").await.unwrap();
    let state = SessionContext::new().state();
    let plan = provider.scan(&state, None, &[], None).await.unwrap();
    let mut stream = plan.execute(0, SessionContext::new().task_ctx()).unwrap();
    let first = stream.next().await.unwrap().unwrap();
    assert!(first.num_rows() <= 5, "{}", first.num_rows());
}
