//! The connector against a real server, through DataFusion. `ATOLL_TEST_MYSQL_URL` names it:
//! `mysql://user:password@host:port/`, a user who may create databases and users.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use atoll_connector_api::paths::FilesRoots;
use atoll_connector_api::types::{PgType, oids};
use atoll_connector_api::{
    ColumnDefinition, ConnectorContext, ConnectorError, ForeignSource, Options, ServerSpec, TableKind, TableSpec,
};
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};

static DATABASES: AtomicU32 = AtomicU32::new(0);

/// A database of one test, dropped at its end, and a connection to change it by.
struct Shop {
    name: String,
    conn: Conn,
    opts: Opts,
}

impl Shop {
    /// `None`, and a line that says so, where no server is named.
    async fn new(test: &str, sql: &[&str]) -> Option<Self> {
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

    async fn run(&mut self, sql: &str) {
        self.conn.query_drop(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    fn spec(&self, server: &[(&str, &str)], user: &[(&str, &str)]) -> ServerSpec {
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

    fn source(&self) -> Arc<dyn ForeignSource> {
        self.source_with(&[], &[])
    }

    fn source_with(&self, server: &[(&str, &str)], user: &[(&str, &str)]) -> Arc<dyn ForeignSource> {
        atoll_connector_mysql::connector().open(self.spec(server, user)).unwrap()
    }

    /// The table as a live catalog shows it.
    async fn context(&self, table: &str) -> SessionContext {
        let source = self.source();
        let options = source.live_options(&self.name, table);
        let columns = source.describe(&options).await.unwrap().columns;
        context(&source, table, TableSpec { name: format!("shop.x.{table}"), options, columns }).await
    }

    /// The table with columns of our own choice.
    async fn declared(&self, table: &str, columns: &[(&str, u32)]) -> SessionContext {
        context(&self.source(), table, spec(table, columns)).await
    }

    /// Statements that run for the user of the test's database on behalf of the connector.
    async fn running(&mut self, text: &str) -> usize {
        let sql = format!(
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%{text}%' AND ID <> CONNECTION_ID()"
        );
        self.conn.query_first::<usize, _>(sql).await.unwrap().unwrap()
    }

    async fn end(mut self) {
        let drop = format!("DROP DATABASE `{}`", self.name);
        self.run(&drop).await;
        self.conn.disconnect().await.unwrap();
    }
}

fn spec(table: &str, columns: &[(&str, u32)]) -> TableSpec {
    TableSpec {
        name: format!("public.{table}"),
        options: options(&[("table_name", table)]),
        columns: columns.iter().map(|(name, oid)| ColumnDefinition::new(*name, PgType::new(*oid))).collect(),
    }
}

fn options(pairs: &[(&str, &str)]) -> Options {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

async fn context(source: &Arc<dyn ForeignSource>, table: &str, spec: TableSpec) -> SessionContext {
    let context = SessionContext::new();
    context.register_table(table, source.provider(spec).await.unwrap()).unwrap();
    context
}

async fn query(context: &SessionContext, sql: &str) -> Result<Vec<String>, DataFusionError> {
    Ok(lines(&context.sql(sql).await?.collect().await?))
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

fn connector_error(error: &DataFusionError) -> ConnectorError {
    match error.find_root() {
        DataFusionError::External(cause) => cause.downcast_ref::<ConnectorError>().unwrap().clone(),
        other => panic!("{other:?}"),
    }
}

async fn remote_error(context: &SessionContext, sql: &str) -> (String, String) {
    match connector_error(&query(context, sql).await.unwrap_err()) {
        ConnectorError::Remote { sqlstate, message, .. } => (sqlstate, message),
        other => panic!("{other:?}"),
    }
}

async fn explain(context: &SessionContext, sql: &str) -> String {
    rows(context, &format!("EXPLAIN {sql}")).await.join("\n")
}

#[tokio::test]
async fn lists_and_describes_tables_and_views() {
    let tables = [
        "CREATE TABLE t (id INT PRIMARY KEY, label VARCHAR(20) NOT NULL COMMENT 'shown', day DATE NOT NULL) COMMENT 'first'",
        "CREATE TABLE pairs (b INT, a INT, PRIMARY KEY (a, b))",
        "CREATE VIEW v AS SELECT id FROM t",
        "CREATE TABLE `odd ``name` (`x``y` INT)",
    ];
    let Some(shop) = Shop::new("lists_and_describes_tables_and_views", &tables).await else { return };
    let source = shop.source();
    assert_eq!(source.schemas().await.unwrap(), std::slice::from_ref(&shop.name));
    let mut unbounded = shop.spec(&[], &[]);
    unbounded.options = unbounded
        .options
        .iter()
        .filter(|(name, _)| *name != "dbname")
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let all = atoll_connector_mysql::connector().open(unbounded).unwrap().schemas().await.unwrap();
    assert!(all.contains(&shop.name) && !all.iter().any(|name| name == "mysql" || name == "information_schema"));
    let summaries = source.tables(&shop.name).await.unwrap();
    let kinds: Vec<_> = summaries.iter().map(|table| (table.name.as_str(), table.kind)).collect();
    assert_eq!(
        kinds,
        [("odd `name", TableKind::Table), ("pairs", TableKind::Table), ("t", TableKind::Table), ("v", TableKind::View)]
    );
    assert!(source.tables("🦀").await.unwrap().is_empty());
    assert!(source.tables("no such schema").await.unwrap().is_empty());

    let definition = source.describe(&options(&[("table_name", "t")])).await.unwrap();
    assert_eq!(definition.comment.as_deref(), Some("first"));
    assert_eq!(definition.primary_key, ["id"]);
    let columns: Vec<_> = definition
        .columns
        .iter()
        .map(|column| (column.name.as_str(), column.data_type.sql_name(), column.not_null, column.comment.as_deref()))
        .collect();
    assert_eq!(
        columns,
        [
            ("id", "integer".to_owned(), true, None),
            ("label", "character varying(20)".to_owned(), true, Some("shown")),
            // A zero date would be NULL.
            ("day", "date".to_owned(), false, None),
        ]
    );
    let imported = source.import(&shop.name, &["v".into(), "pairs".into()]).await.unwrap();
    assert_eq!(imported[0].0, "v");
    assert_eq!(imported[1].1.primary_key, ["a", "b"]);
    assert!(matches!(source.import("nowhere", &[]).await, Err(ConnectorError::SchemaMissing { .. })));
    assert!(matches!(source.import(&shop.name, &["nowhere".into()]).await, Err(ConnectorError::TableMissing { .. })));
    let missing = source.describe(&options(&[("table_name", "nowhere")])).await.unwrap_err();
    assert!(matches!(missing, ConnectorError::TableMissing { .. }), "{missing:?}");
    let odd = shop.context("odd `name").await;
    assert!(rows(&odd, "SELECT * FROM \"odd `name\" WHERE \"x`y\" = 1").await.is_empty());
    shop.end().await;
}

#[tokio::test]
async fn reads_every_type() {
    let tables = [
        "CREATE TABLE t (id INT, a TINYINT, b TINYINT UNSIGNED, c SMALLINT, d SMALLINT UNSIGNED, e MEDIUMINT UNSIGNED, f INT, g INT UNSIGNED,
            h BIGINT, i BIGINT UNSIGNED, j DECIMAL(65,30), k DECIMAL(10,2) UNSIGNED, l FLOAT, m DOUBLE, n YEAR, o BIT(1), p BIT(64))",
        "INSERT INTO t VALUES (1, -128, 255, -32768, 65535, 16777215, -2147483648, 4294967295, -9223372036854775808,
            18446744073709551615, '12345678901234567890123456789012345.123456789012345678901234567891', 0.01, 1.5, 1.7976931348623157e308, 1901, b'1', ~0),
            (2, 127, 0, 32767, 0, 0, 2147483647, 0, 9223372036854775807, 0, -0.5, 99999999.99, -3.4028235e38, 5e-324, 2155, b'0', 5),
            (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
        "CREATE TABLE s (id INT, a CHAR(5), b VARCHAR(10), c TEXT, d VARCHAR(10) CHARACTER SET latin1, e BINARY(3), f VARBINARY(3), g BLOB,
            h ENUM('small','it''s'), i SET('x','y'), j JSON, k UUID, l INET6, m POINT)",
        "INSERT INTO s VALUES (1, 'ab  ', 'cd  ', 'grüße 🦀', 'é', 'a', x'00ff', '', 'it''s', 'x,y', '{\"a\": [1, null]}',
            '6f9619ff-8b86-d011-b42d-00c04fc964ff', '::1', POINT(1, 2)),
            (2, '', '', '', '', '', '', NULL, 'nothing', '', 'null', NULL, NULL, NULL)",
        "CREATE TABLE w (id INT, a DATE, b DATETIME, c DATETIME(6), d TIMESTAMP(6) NULL, e TIME, f TIME(6))",
        "INSERT INTO w VALUES (1, '1000-01-01', '1000-01-01 00:00:00', '9999-12-31 23:59:59.999999', '1970-01-01 00:00:01', '-838:59:59', '00:00:00.000001'),
            (2, '2024-02-29', '2024-02-29 12:30:00', '1969-12-31 23:59:59.5', '2038-01-19 03:14:07.999999', '838:59:59', '-00:00:00.5'),
            (3, '0000-00-00', '0000-00-00 00:00:00', '2024-00-15 01:02:03', '0000-00-00', '00:00:00', NULL),
            (4, '2023-02-31', NULL, NULL, NULL, NULL, NULL)",
    ];
    let Some(shop) = Shop::new("reads_every_type", &tables).await else { return };
    let context = shop.context("t").await;
    assert_eq!(
        rows(&context, "SELECT * FROM t ORDER BY id").await,
        [
            format!(
                "1|-128|255|-32768|65535|16777215|-2147483648|4294967295|-9223372036854775808|18446744073709551615|\
                 12345678901234567890123456789012345.123456789012345678901234567891|0.01|1.5|1.7976931348623157e308|1901|1|{}",
                "1".repeat(64)
            ),
            format!(
                "2|127|0|32767|0|0|2147483647|0|9223372036854775807|0|-0.500000000000000000000000000000|99999999.99|\
                 -3.4028235e38|5e-324|2155|0|{}101",
                "0".repeat(61)
            ),
            format!("3{}", "|NULL".repeat(16)),
        ]
    );
    let context = shop.context("s").await;
    assert_eq!(
        rows(&context, "SELECT * FROM s ORDER BY id").await,
        [
            "1|ab|cd  |grüße 🦀|é|610000|00ff||it's|x,y|{\"a\": [1, null]}|6f9619ff8b86d011b42d00c04fc964ff|::1|\
             000000000101000000000000000000f03f0000000000000040",
            "2|||||000000||NULL|NULL||null|NULL|NULL|NULL",
        ]
    );
    let schema = context.table("s").await.unwrap().schema().as_arrow().clone();
    let type_of = |name: &str| PgType::of_field(schema.field_with_name(name).unwrap());
    assert_eq!(type_of("h").labels(), ["small", "it's"]);
    assert_eq!(type_of("h").sql_name(), format!("{}_s_h", shop.name));
    assert_eq!((type_of("j").oid, type_of("k").oid, type_of("l").oid), (oids::JSON, oids::UUID, oids::INET));
    let context = shop.context("w").await;
    assert_eq!(
        rows(&context, "SELECT id, a, b, c, d FROM w ORDER BY id").await,
        [
            "1|1000-01-01|1000-01-01T00:00:00|9999-12-31T23:59:59.999999|1970-01-01T00:00:01Z",
            "2|2024-02-29|2024-02-29T12:30:00|1969-12-31T23:59:59.500|2038-01-19T03:14:07.999999Z",
            "3|NULL|NULL|NULL|NULL",
            "4|NULL|NULL|NULL|NULL",
        ]
    );
    let declared =
        shop.declared("w", &[("id", oids::INT4), ("e", oids::TEXT), ("f", oids::TEXT), ("b", oids::TEXT)]).await;
    assert_eq!(
        rows(&declared, "SELECT e, f FROM w ORDER BY id").await,
        ["-838:59:59|00:00:00.000001", "838:59:59|-00:00:00.500000", "00:00:00|NULL", "NULL|NULL"]
    );
    assert_eq!(rows(&declared, "SELECT b FROM w WHERE id = 2").await, ["2024-02-29 12:30:00"]);
    // As MySQL itself prints them: a date alone, and all digits that the type has.
    let texts = [("id", oids::INT4), ("a", oids::TEXT), ("c", oids::TEXT), ("d", oids::TEXT)];
    let declared = shop.declared("w", &texts).await;
    assert_eq!(
        rows(&declared, "SELECT a, c, d FROM w WHERE id <= 2 ORDER BY id").await,
        [
            "1000-01-01|9999-12-31 23:59:59.999999|1970-01-01 00:00:01.000000",
            "2024-02-29|1969-12-31 23:59:59.500000|2038-01-19 03:14:07.999999"
        ]
    );
    assert_eq!(rows(&declared, "SELECT id FROM w WHERE a = '2024-02-29'").await, ["2"]);
    let intervals = shop.context("w").await;
    let all = intervals.sql("SELECT e FROM w ORDER BY id").await.unwrap().collect().await.unwrap();
    assert_eq!(lines(&all)[0], "-838 hours -59 mins -59.000000000 secs");
    shop.end().await;
}

#[tokio::test]
async fn other_declared_types_are_read_or_refused() {
    let tables = [
        "CREATE TABLE t (id INT, flag TINYINT(1), bits BIT(1), wide BIGINT UNSIGNED, at TIME, moment DATETIME, label VARCHAR(10))",
        "INSERT INTO t VALUES (1, 1, b'1', 7, '23:59:59', '2024-01-01', '5'), (2, 2, b'0', 18446744073709551615, '24:00:01', '2024-01-01 10:00:00', 'x')",
    ];
    let Some(shop) = Shop::new("other_declared_types_are_read_or_refused", &tables).await else { return };
    let columns = [
        ("id", oids::INT2),
        ("flag", oids::BOOL),
        ("bits", oids::BOOL),
        ("wide", oids::INT8),
        ("at", oids::TIME),
        ("moment", oids::DATE),
        ("label", oids::INT4),
    ];
    let context = shop.declared("t", &columns).await;
    assert_eq!(rows(&context, "SELECT * FROM t WHERE id = 1").await, ["1|true|true|7|23:59:59|2024-01-01|5"]);
    assert_eq!(rows(&context, "SELECT id FROM t WHERE label = 5 AND id = 1").await, ["1"]);
    for (column, expected) in
        [("flag", "22P02"), ("wide", "22003"), ("at", "22008"), ("moment", "22P02"), ("label", "22P02")]
    {
        let (sqlstate, message) = remote_error(&context, &format!("SELECT {column} FROM t WHERE id = 2")).await;
        assert_eq!(sqlstate, expected, "{message}");
        assert!(message.contains(&format!("column \"{column}\" of foreign table \"public.t\"")), "{message}");
    }
    shop.end().await;
}

/// Rows whose filters MySQL answers are the rows that our own filters keep.
#[tokio::test]
async fn pushed_filters_answer_as_local_ones() {
    let tables = [
        "CREATE TABLE t (id INT, i INT, u BIGINT UNSIGNED, n DECIMAL(10,2), r DOUBLE, f FLOAT, s VARCHAR(20),
            l VARCHAR(20) CHARACTER SET latin1, c CHAR(5), x VARCHAR(20) COLLATE utf8mb4_bin, b VARBINARY(10), d DATE, p DATETIME(6),
            z TIMESTAMP NULL, e ENUM('b','a'), y YEAR, g UUID,
            m VARCHAR(20) CHARACTER SET utf8mb3, k VARCHAR(20) CHARACTER SET ascii, j VARCHAR(20) CHARACTER SET ucs2, KEY (s))",
        "INSERT INTO t (id, i, u, n, r, f, s, l, c, x, b, d, p, z, e, y, g) VALUES
            (1, 1, 1, 0.10, 0.1, 0.1, 'abc', 'abc', 'abc', 'abc', 'abc', '2024-01-01', '2024-01-01 00:00:00.5', '2024-01-01 10:00:00', 'a', 2024, '00000000-0000-0000-0000-000000000001'),
            (2, -1, 18446744073709551615, -3.01, -0.5, -0.5, 'ABC', 'ABC', 'ABC', 'ABC', 'ABC', '0000-00-00', '0000-00-00 00:00:00', NULL, 'b', 1999, NULL),
            (3, 2147483647, 9223372036854775808, 99999999.99, 1e300, 1e38, 'abc ', 'abc ', 'abc ', 'abc ', 'abc ', '2023-12-31', '2023-12-31 23:59:59.999999', '1970-01-01 00:00:01', 'nothing', 2000, 'ffffffff-ffff-ffff-ffff-ffffffffffff'),
            (4, 0, 0, 0, 0, 0, '', '', '', '', '', '9999-12-31', '9999-12-31 23:59:59.999999', '2038-01-19 03:14:07', 'a', 1901, '00000001-0000-0000-0000-000000000000'),
            (5, 5, 5, 5, 5, 5, 'é', 'é', 'é', 'é', 'é', '1000-01-01', '1000-01-01', NULL, NULL, 2155, NULL),
            (6, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
            (7, 7, 7, 7, 7, 7, 'it''s \\\\ '' \"q\" 🦀', 'e', 'ábc', 'a%b', x'00ff', '2024-01-02', '2024-01-02', NULL, 'a', 2024, NULL)",
    ];
    let tables = [&tables[..], &["UPDATE t SET m = l, k = l, j = l"]].concat();
    let Some(shop) = Shop::new("pushed_filters_answer_as_local_ones", &tables).await else { return };
    let remote = shop.context("t").await;
    let provider = remote.table_provider("t").await.unwrap();
    let all = remote.sql("SELECT * FROM t").await.unwrap().collect().await.unwrap();
    let local = SessionContext::new();
    local.register_table("t", Arc::new(MemTable::try_new(provider.schema(), vec![all]).unwrap())).unwrap();
    let mut filters: Vec<String> = [
        "i = 5",
        "i <> 5",
        "i < 0",
        "i >= 2147483647",
        "i IN (1, 5, 7)",
        "i NOT IN (1, 5, 7)",
        "NOT (i = 5)",
        "i IS NULL",
        "i BETWEEN 0 AND 5",
        "u = 18446744073709551615",
        "u > 9223372036854775807",
        "u < 1",
        "n = 0.1",
        "n > 0.09",
        "n <> 5",
        "n <= -3.01",
        "r = 0.1",
        "r < 0.1",
        "r >= 1e300",
        "f = cast(0.1 as float)",
        "f > cast(0.1 as float)",
        "f < cast(0.1 as float)",
        "b = x'616263'",
        "b < x'6162'",
        "b > x'61'",
        "b <> x'00ff'",
        "d = date '2024-01-01'",
        "d < date '2024-01-01'",
        "d >= date '2024-01-01'",
        "d <> date '2024-01-01'",
        "d IS NULL",
        "d IS NOT NULL",
        "NOT (d < date '2024-01-01')",
        "d IN (date '2024-01-01', date '2024-01-02')",
        "p = timestamp '2024-01-01 00:00:00.5'",
        "p < timestamp '2024-01-01 00:00:00.5'",
        "p > timestamp '2023-12-31 23:59:59.999998'",
        "p IS NULL",
        "z > timestamp '1970-01-01 00:00:00' AT TIME ZONE 'UTC'",
        "z < timestamp '2200-01-01 00:00:00' AT TIME ZONE 'UTC'",
        "z <> timestamp '2038-01-19 03:14:07' AT TIME ZONE 'UTC'",
        "z IS NULL",
        "e = 'a'",
        "e <> 'a'",
        "e IN ('a', 'b')",
        "e IS NULL",
        "e IS NOT NULL",
        "y = 2024",
        "y > 1999",
        "y IN (1, 24, 2024)",
        "i = 5 OR s = 'abc'",
        "i = 1 AND length(s) = 3",
        "NOT (s = 'abc' AND i = 1)",
        "i = 5 OR length(s) = 4",
    ]
    .map(str::to_owned)
    .to_vec();
    for column in ["s", "l", "c", "x", "m", "k", "j"] {
        for literal in ["abc", "ABC", "abc ", "", "é", "e", "a%b", "it''s \\ '' \"q\" 🦀", "x'' OR 1=1 -- ", "ÉÉ", "\\"]
        {
            let operators: &[&str] =
                if "mkj".contains(column) { &["=", "<"] } else { &["=", "<>", "<", "<=", ">", ">="] };
            for operator in operators {
                filters.push(format!("{column} {operator} '{literal}'"));
            }
        }
        filters.push(format!("{column} IN ('abc', 'é', 'zzz')"));
        filters.push(format!("{column} NOT IN ('abc', 'é', 'zzz')"));
        filters.push(format!("NOT ({column} = 'abc')"));
        for pattern in ["ab%", "%c", "%B%", "a_c", "abc", "%🦀%", "%", "a\\%b", "é%", "AB%"] {
            filters.push(format!("{column} LIKE '{pattern}'"));
            filters.push(format!("{column} NOT LIKE '{pattern}'"));
        }
    }
    let mut sent = 0;
    for filter in &filters {
        let sql = format!("SELECT id FROM t WHERE {filter} ORDER BY id");
        assert_eq!(rows(&remote, &sql).await, rows(&local, &sql).await, "{sql}");
        let plan = explain(&remote, &format!("SELECT id FROM t WHERE {filter}")).await;
        sent += usize::from(plan.contains(" WHERE "));
    }
    for filter in ["s = 'abc'", "d IS NOT NULL", "i > 0", "s LIKE '%b%' LIMIT 1"] {
        let sql = format!("SELECT count(*) FROM t WHERE {filter}");
        assert_eq!(rows(&remote, &sql).await, rows(&local, &sql).await, "{sql}");
    }
    assert!(sent * 10 > filters.len() * 8, "only {sent} of {} filters were sent", filters.len());
    shop.end().await;
}

#[tokio::test]
async fn sends_limits_only_under_no_filter_of_ours() {
    let tables = [
        "CREATE TABLE t (id INT, d DATE)",
        "INSERT INTO t VALUES (1, '0000-00-00'), (2, '2024-01-01'), (3, '2024-01-01')",
    ];
    let Some(shop) = Shop::new("sends_limits_only_under_no_filter_of_ours", &tables).await else { return };
    let context = shop.context("t").await;
    assert!(explain(&context, "SELECT id FROM t LIMIT 2").await.contains("`t` LIMIT 2"));
    assert!(explain(&context, "SELECT id FROM t WHERE id = 2 LIMIT 2").await.contains("(`id` = 2) LIMIT 2"));
    let sql = "SELECT id FROM t WHERE d < date '2025-01-01' LIMIT 1";
    assert!(!explain(&context, sql).await.contains(") LIMIT"));
    assert_eq!(rows(&context, sql).await, ["2"]);
    shop.end().await;
}

#[tokio::test]
async fn says_which_column_is_gone() {
    let tables = ["CREATE TABLE t (id INT, label VARCHAR(10))", "INSERT INTO t VALUES (1, 'x')"];
    let Some(mut shop) = Shop::new("says_which_column_is_gone", &tables).await else { return };
    let source = shop.source();
    let before = context(&source, "t", spec("t", &[("id", oids::INT4), ("label", oids::TEXT)])).await;
    assert_eq!(rows(&before, "SELECT label FROM t WHERE label = 'x'").await, ["x"]);
    shop.run("ALTER TABLE t CHANGE label title VARCHAR(10)").await;
    let error = connector_error(&query(&before, "SELECT label FROM t").await.unwrap_err());
    assert!(matches!(&error, ConnectorError::ColumnChanged { column, .. } if column == "label"), "{error:?}");
    let error = source.provider(spec("t", &[("label", oids::TEXT)])).await.unwrap_err();
    assert!(matches!(&error, ConnectorError::ColumnChanged { column, .. } if column == "label"), "{error:?}");
    let mut renamed = spec("t", &[("label", oids::TEXT)]);
    renamed.columns[0].options = options(&[("column_name", "TITLE")]);
    let again = context(&source, "t", renamed).await;
    assert_eq!(rows(&again, "SELECT label FROM t WHERE label = 'x'").await, ["x"]);
    shop.run("DROP TABLE t").await;
    let error = connector_error(&query(&again, "SELECT label FROM t").await.unwrap_err());
    assert!(matches!(error, ConnectorError::TableMissing { .. }), "{error:?}");
    // The pool is usable afterwards.
    assert!(source.tables(&shop.name).await.unwrap().is_empty());
    shop.end().await;
}

#[tokio::test]
async fn reports_refused_logins_and_unreachable_servers() {
    let Some(mut shop) =
        Shop::new("reports_refused_logins_and_unreachable_servers", &["CREATE TABLE t (id INT)"]).await
    else {
        return;
    };
    let user = format!("u{}", std::process::id());
    shop.run(&format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'right-canary'")).await;
    let login = |password: &'static str| shop.source_with(&[], &[("user", &user), ("password", password)]);
    let error = login("wrong-canary").schemas().await.unwrap_err();
    assert!(matches!(&error, ConnectorError::Login { .. }), "{error:?}");
    assert!(!format!("{error:?} {error}").contains("canary"));
    let source = login("right-canary");
    assert!(source.schemas().await.unwrap().is_empty());
    let grant = format!("GRANT SELECT ON `{}`.* TO '{user}'@'%'", shop.name);
    shop.run(&grant).await;
    // Also with a connection in the pool, and in the plan.
    let context = context(&source, "t", spec("t", &[("id", oids::INT4)])).await;
    let plan = context.sql("SELECT * FROM t").await.unwrap().create_physical_plan().await.unwrap();
    let debug = format!("{source:?} {:?} {plan:?}", context.table_provider("t").await.unwrap());
    assert!(debug.contains("ForeignScanExec") && !debug.contains("canary"), "{debug}");

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let error = shop.source_with(&[("port", &closed)], &[]).schemas().await.unwrap_err();
    assert!(matches!(error, ConnectorError::Connect { .. }), "{error:?}");
    let error = shop.source_with(&[("host", "no-such-host.invalid")], &[]).schemas().await.unwrap_err();
    assert!(matches!(error, ConnectorError::Connect { .. }), "{error:?}");
    // One that accepts and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port().to_string();
    let started = Instant::now();
    let error = shop.source_with(&[("host", "127.0.0.1"), ("port", &port), ("connect_timeout", "1")], &[]);
    let error = error.schemas().await.unwrap_err();
    assert!(matches!(error, ConnectorError::Connect { .. }), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(3));
    // Special addresses are for superusers.
    let mut spec = shop.spec(&[("host", "127.0.0.1")], &[]);
    spec.context.superuser = false;
    let error = atoll_connector_mysql::connector().open(spec).unwrap().schemas().await.unwrap_err();
    assert!(matches!(error, ConnectorError::Denied { .. }), "{error:?}");
    shop.run(&format!("DROP USER '{user}'@'%'")).await;
    shop.end().await;
}

/// Dropping a query kills what the server computes for it.
#[tokio::test]
async fn a_dropped_scan_ends_the_remote_query() {
    let tables = [
        "CREATE TABLE t (id INT)",
        "INSERT INTO t VALUES (1)",
        "CREATE VIEW slow AS SELECT id, SLEEP(60) AS napping FROM t",
    ];
    let Some(mut shop) = Shop::new("a_dropped_scan_ends_the_remote_query", &tables).await else { return };
    let context = shop.context("slow").await;
    let waited = tokio::time::timeout(Duration::from_millis(700), query(&context, "SELECT napping FROM slow")).await;
    assert!(waited.is_err());
    let started = Instant::now();
    while shop.running("napping").await > 0 {
        assert!(started.elapsed() < Duration::from_secs(1), "the query still runs");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // And one that is being read.
    shop.run("CREATE TABLE many (id INT, filler CHAR(200))").await;
    shop.run("INSERT INTO many SELECT seq, REPEAT('x', 200) FROM seq_1_to_300000").await;
    let context = shop.context("many").await;
    let mut stream = context.sql("SELECT filler FROM many").await.unwrap().execute_stream().await.unwrap();
    assert!(stream.next().await.unwrap().unwrap().num_rows() > 0);
    assert!(shop.running("SELECT `filler`").await > 0);
    drop(stream);
    let started = Instant::now();
    while shop.running("SELECT `filler`").await > 0 {
        assert!(started.elapsed() < Duration::from_secs(1), "the query still runs");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(rows(&context, "SELECT count(*) FROM many").await, ["300000"]);
    shop.end().await;
}

#[tokio::test]
async fn keeps_the_remote_error_and_its_sqlstate() {
    let tables = [
        "CREATE TABLE t (id INT)",
        "INSERT INTO t VALUES (1)",
        "CREATE VIEW broken AS SELECT id, POINT(1, 2) AS p FROM t WHERE id > (SELECT 1 UNION ALL SELECT 2)",
    ];
    let Some(mut shop) = Shop::new("keeps_the_remote_error_and_its_sqlstate", &tables).await else { return };
    let context = shop.context("broken").await;
    let (sqlstate, message) = remote_error(&context, "SELECT id FROM broken").await;
    assert_eq!(sqlstate, "21000", "{message}");
    // A killed connection is lost; the next query takes another.
    shop.run("CREATE VIEW slow AS SELECT id, SLEEP(30) AS napping FROM t").await;
    let context = shop.context("slow").await;
    let running = tokio::spawn({
        let context = context.clone();
        async move { query(&context, "SELECT napping FROM slow").await }
    });
    let mut id = None;
    while id.is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
        id = shop
            .conn
            .query_first::<u64, _>(
                "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT `napping`%' AND COMMAND = 'Execute'",
            )
            .await
            .unwrap();
    }
    shop.run(&format!("KILL {}", id.unwrap())).await;
    let error = connector_error(&running.await.unwrap().unwrap_err());
    assert!(matches!(error, ConnectorError::ConnectionLost { .. }), "{error:?}");
    let shown = format!("{}", std::error::Error::source(&error).unwrap());
    assert!(!shown.contains("Input/output error: Input/output error"), "{shown}");
    assert_eq!(rows(&context, "SELECT count(*) FROM slow").await, ["1"]);
    shop.end().await;
}

#[tokio::test]
async fn a_connection_that_was_ended_in_the_pool_costs_no_query() {
    let tables = ["CREATE TABLE t (id INT)", "INSERT INTO t VALUES (1)"];
    let Some(mut shop) = Shop::new("a_connection_that_was_ended_in_the_pool_costs_no_query", &tables).await else {
        return;
    };
    let user = format!("k{}", std::process::id());
    shop.run(&format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'x'")).await;
    let grant = format!("GRANT SELECT ON `{}`.* TO '{user}'@'%'", shop.name);
    shop.run(&grant).await;
    let source = shop.source_with(&[], &[("user", &user), ("password", "x")]);
    let context = context(&source, "t", spec("t", &[("id", oids::INT4)])).await;
    for round in 0..4 {
        assert_eq!(rows(&context, "SELECT id FROM t").await, ["1"]);
        shop.run(&format!("KILL USER '{user}'")).await;
        // Scans and questions about tables alike, at once and a moment later.
        if round % 2 == 1 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        if round < 2 {
            assert_eq!(source.tables(&shop.name).await.unwrap().len(), 1);
        }
    }
    assert_eq!(rows(&context, "SELECT id FROM t").await, ["1"]);
    shop.run(&format!("DROP USER '{user}'@'%'")).await;
    shop.end().await;
}

#[tokio::test]
async fn says_that_a_label_is_new() {
    let tables =
        ["CREATE TABLE t (id INT, e ENUM('a', 'b'), d DATETIME)", "INSERT INTO t VALUES (1, 'a', '2024-01-01 10:00')"];
    let Some(mut shop) = Shop::new("says_that_a_label_is_new", &tables).await else { return };
    let source = shop.source();
    let options = source.live_options(&shop.name, "t");
    let columns = source.describe(&options).await.unwrap().columns;
    let imported_columns = columns.clone();
    let imported = TableSpec { name: "public.t".into(), options, columns };
    let before = imported.columns[1].data_type.clone();
    shop.run("ALTER TABLE t MODIFY e ENUM('new', 'a', 'b')").await;
    shop.run("INSERT INTO t VALUES (2, 'new', NULL)").await;
    let context = context(&source, "t", imported).await;
    let error = connector_error(&query(&context, "SELECT e FROM t").await.unwrap_err());
    assert!(
        matches!(&error, ConnectorError::Remote { sqlstate, hint: Some(hint), .. } if sqlstate == "22P02" && hint.contains("import")),
        "{error:?}"
    );
    // A live table is what it is now: whoever remembers the old labels has to look again.
    let remembered = TableSpec { columns: imported_columns, ..spec("t", &[]) };
    let error = source.live_provider(remembered).await.unwrap_err();
    assert!(matches!(&error, ConnectorError::ColumnChanged { column, .. } if column == "e"), "{error:?}");
    // The type of the same name with other labels is another one: their values do not compare by their places.
    let options = source.live_options(&shop.name, "t");
    let after = source.describe(&options).await.unwrap().columns[1].data_type.clone();
    assert_eq!(before.sql_name(), after.sql_name());
    assert_ne!(before.oid, after.oid);
    let dated = shop.declared("t", &[("id", oids::INT4), ("d", oids::DATE)]).await;
    let error = connector_error(&query(&dated, "SELECT d FROM t").await.unwrap_err());
    assert!(
        matches!(&error, ConnectorError::Remote { hint: Some(hint), .. } if hint.contains("timestamp")),
        "{error:?}"
    );
    shop.end().await;
}

/// MariaDB's `ed25519`, where the plugin is installed, and `pam`, whose dialog the driver does not know.
#[tokio::test]
async fn logs_in_by_ed25519() {
    let Some(mut shop) = Shop::new("logs_in_by_ed25519", &["CREATE TABLE t (id INT)"]).await else { return };
    if shop.conn.query_drop("INSTALL SONAME 'auth_ed25519'").await.is_err() {
        println!("SKIPPED logs_in_by_ed25519: the server has no plugin auth_ed25519");
        return;
    }
    let user = format!("e{}", std::process::id());
    shop.run(&format!("CREATE USER '{user}'@'%' IDENTIFIED VIA ed25519 USING PASSWORD('right')")).await;
    let grant = format!("GRANT SELECT ON `{}`.* TO '{user}'@'%'", shop.name);
    shop.run(&grant).await;
    let login = |password: &'static str| shop.source_with(&[], &[("user", &user), ("password", password)]);
    assert_eq!(login("right").tables(&shop.name).await.unwrap().len(), 1);
    let error = login("wrong").schemas().await.unwrap_err();
    assert!(matches!(error, ConnectorError::Login { .. }), "{error:?}");
    shop.run(&format!("DROP USER '{user}'@'%'")).await;
    shop.end().await;
}

#[tokio::test]
async fn sessions_read_only_in_utc_and_see_new_rows() {
    let tables = ["CREATE TABLE t (id INT)"];
    let Some(mut shop) = Shop::new("sessions_read_only_in_utc_and_see_new_rows", &tables).await else { return };
    // A view may not hold variables, but a function may.
    shop.run("CREATE FUNCTION settings() RETURNS TEXT NOT DETERMINISTIC READS SQL DATA RETURN CONCAT(@@session.time_zone, ' ', @@session.autocommit, ' ', @@session.tx_read_only)").await;
    shop.run("CREATE VIEW setup AS SELECT settings() AS settings").await;
    let context = shop.context("setup").await;
    assert_eq!(rows(&context, "SELECT settings FROM setup").await, ["+00:00 ON ON"]);
    let context = shop.context("t").await;
    assert_eq!(rows(&context, "SELECT count(*) FROM t").await, ["0"]);
    shop.run("INSERT INTO t VALUES (1)").await;
    assert_eq!(rows(&context, "SELECT count(*) FROM t").await, ["1"]);
    shop.end().await;
}

#[tokio::test]
async fn connections_are_bounded_and_used_again() {
    let tables = ["CREATE TABLE t (id INT)", "INSERT INTO t VALUES (1), (2)"];
    let Some(mut shop) = Shop::new("connections_are_bounded_and_used_again", &tables).await else { return };
    let user = format!("b{}", std::process::id());
    shop.run(&format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'x'")).await;
    let grant = format!("GRANT SELECT ON `{}`.* TO '{user}'@'%'", shop.name);
    shop.run(&grant).await;
    let source = shop.source_with(&[("max_connections", "2")], &[("user", &user), ("password", "x")]);
    let context = context(&source, "t", spec("t", &[("id", oids::INT4)])).await;
    let queries =
        (0..12).map(|_| rows(&context, "SELECT id FROM t UNION ALL SELECT id FROM t UNION ALL SELECT id FROM t"));
    for rows in futures::future::join_all(queries).await {
        assert_eq!(rows.len(), 6);
    }
    let count = format!("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = '{user}'");
    let open = shop.conn.query_first::<usize, _>(count.clone()).await.unwrap().unwrap();
    assert!((1..=2).contains(&open), "{open} connections");
    drop((context, source));
    let started = Instant::now();
    while shop.conn.query_first::<usize, _>(count.clone()).await.unwrap() != Some(0) {
        assert!(started.elapsed() < Duration::from_secs(2), "connections outlive their source");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    shop.run(&format!("DROP USER '{user}'@'%'")).await;
    shop.end().await;
}

/// `ATOLL_TEST_MYSQL_CA` is the certificate of the authority that signed the server's, which names `localhost`.
#[tokio::test]
async fn checks_certificates_as_far_as_ssl_mode_says() {
    let Some(shop) = Shop::new("checks_certificates_as_far_as_ssl_mode_says", &["CREATE TABLE t (id INT)"]).await
    else {
        return;
    };
    let Ok(authority) = std::env::var("ATOLL_TEST_MYSQL_CA") else {
        println!("SKIPPED checks_certificates_as_far_as_ssl_mode_says: ATOLL_TEST_MYSQL_CA is not set");
        return shop.end().await;
    };
    let root = tempfile::TempDir::new().unwrap();
    std::fs::copy(authority, root.path().join("ca.pem")).unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(root.path().join("other.pem"), other.cert.pem()).unwrap();
    let files = FilesRoots::open(&[root.path().to_owned()], &[]).unwrap();
    let connect = async |mode: &str, ca: Option<&str>, host: &str| {
        let mut spec = shop.spec(&[("ssl_mode", mode), ("host", host)], &[]);
        spec.context.files = files.clone();
        ca.into_iter().for_each(|ca| spec.options.set("ssl_ca", ca));
        atoll_connector_mysql::connector().open(spec).unwrap().schemas().await
    };
    for mode in ["disabled", "preferred", "required"] {
        connect(mode, None, "127.0.0.1").await.unwrap();
    }
    connect("verify_ca", Some("ca.pem"), "localhost").await.unwrap();
    connect("verify_identity", Some("ca.pem"), "localhost").await.unwrap();
    for (mode, ca, host) in [
        ("verify_ca", Some("other.pem"), "localhost"),
        ("verify_ca", None, "localhost"),
        // Stricter than MySQL's own: DESIGN.md says why.
        ("verify_ca", Some("ca.pem"), "127.0.0.1"),
        ("verify_identity", Some("other.pem"), "localhost"),
        ("verify_identity", Some("ca.pem"), "127.0.0.1"),
    ] {
        let error = connect(mode, ca, host).await.unwrap_err();
        assert!(matches!(error, ConnectorError::Connect { .. }), "{mode} {ca:?} {host}: {error:?}");
    }
    let error = connect("verify_ca", Some("missing.pem"), "localhost").await.unwrap_err();
    assert!(matches!(error, ConnectorError::File { missing: true, .. }), "{error:?}");
    let error = connect("verify_ca", Some("/etc/ssl/cert.pem"), "localhost").await.unwrap_err();
    assert!(matches!(error, ConnectorError::Denied { .. }), "{error:?}");
    shop.end().await;
}

/// A server that greets, reads one message and answers it with an error.
async fn refusing(code: u16, state: &str, message: &str) -> u16 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn packet(sequence: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap().to_le_bytes();
        [&length[..3], &[sequence], body].concat()
    }
    // Protocol 10, version, thread, salt; capabilities: protocol 4.1, secure connections, plugins.
    let mut greeting = b"\x0a8.0.30\0\x01\0\0\x0012345678\0".to_vec();
    greeting.extend(0x8200_u16.to_le_bytes());
    greeting.extend([45, 2, 0]);
    greeting.extend(0x0008_u16.to_le_bytes());
    greeting.extend([21, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    greeting.extend(b"123456789012\0mysql_native_password\0");
    let refusal = [&[0xff], &code.to_le_bytes()[..], b"#", state.as_bytes(), message.as_bytes()].concat();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut read = [0; 1024];
            let _ = stream.write_all(&packet(0, &greeting)).await;
            let _ = stream.read(&mut read).await;
            let _ = stream.write_all(&packet(2, &refusal)).await;
            let _ = stream.read(&mut read).await;
        }
    });
    port
}

/// A server that knows the mapping's password, as every server does that asks for it in the clear.
#[tokio::test]
async fn a_server_cannot_tell_the_mappings_password() {
    let secret = "K4n4r1/ +é";
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    for spelled in [secret, "K4n4r1%2F%20%2B%C3%A9", "SzRuNHIxLyArw6k=", &hex] {
        for (code, state) in [(1045, "28000"), (1040, "08004"), (1053, "08S01")] {
            let text = format!("bad \x1b[31m\"{spelled}\" {}", "z".repeat(100_000));
            let port = refusing(code, state, &text).await;
            let spec = ServerSpec {
                name: "shop".into(),
                options: options(&[
                    ("host", "127.0.0.1"),
                    ("port", &port.to_string()),
                    ("ssl_mode", "disabled"),
                    ("connect_timeout", "5"),
                ]),
                user_options: options(&[("user", "u"), ("password", secret)]),
                context: ConnectorContext { files: FilesRoots::default(), superuser: true, network_allow: Vec::new() },
            };
            let error = atoll_connector_mysql::connector().open(spec).unwrap().schemas().await.unwrap_err();
            let whole = format!("{error} {error:?}");
            assert!(!whole.contains(spelled) && !whole.contains(secret), "{code}: {whole}");
            let (ConnectorError::Login { message, .. } | ConnectorError::Remote { message, .. }) = &error else {
                panic!("{code}: {whole}")
            };
            assert!(message.starts_with("bad  [31m\"***\" zzz") && message.ends_with("z… (cut)"), "{message}");
            assert!(message.len() < 8300, "{}", message.len());
            assert_eq!(matches!(error, ConnectorError::Login { .. }), code == 1045, "{code}");
        }
    }
}

#[tokio::test]
async fn checks_options_when_they_are_given() {
    use atoll_connector_api::options::check_options;
    use atoll_connector_api::{OptionScope, Options};

    let connector = atoll_connector_mysql::connector();
    let check = |scope, pairs: &[(&'static str, &'static str)]| {
        check_options(connector.options(), scope, pairs.iter().copied())
    };
    assert!(check(OptionScope::Server, &[("host", "h"), ("ssl_mode", "VERIFY_CA"), ("fetch_size", "10")]).is_ok());
    for (name, value) in [("ssl_mode", "sometimes"), ("port", "0"), ("max_connections", "1000"), ("host", "")] {
        let error = check(OptionScope::Server, &[(name, value)]).unwrap_err();
        assert!(matches!(&error, ConnectorError::OptionValue { option, .. } if option == name), "{error:?}");
    }
    for host in [" 127.0.0.1", "127.0.0.1 ", "a,b", "a b", "a\nb", "/tmp", "\0"] {
        let error = check(OptionScope::Server, &[("host", host)]).unwrap_err();
        assert!(
            matches!(&error, ConnectorError::OptionValue { option, .. } if option == "host"),
            "{host:?}: {error:?}"
        );
    }
    for host in ["db.example", "127.0.0.1", "::1", "[::1]"] {
        check(OptionScope::Server, &[("host", host)]).unwrap();
    }
    let error = check(OptionScope::Table, &[("tabel_name", "x")]).unwrap_err();
    assert!(matches!(&error, ConnectorError::UnknownOption { valid, .. } if valid == &["dbname", "table_name"]));
    let both = Options::from_iter([("user".to_owned(), "a".to_owned()), ("username".to_owned(), "b".to_owned())]);
    assert!(connector.check(OptionScope::UserMapping, &both).is_err());
}
