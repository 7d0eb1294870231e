//! Filters that go to the remote keep the rows that the same filters keep here, and that PostgreSQL keeps.

use std::sync::Arc;

use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;

use crate::support::{plan, remote, rows};

const TABLE: &str = "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy'); \
    CREATE TABLE f (id int, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, n numeric(10,2), b bool, \
      t text, v varchar(10), c char(4), d date, ts timestamp, tz timestamptz, tm time, u uuid, by bytea, m mood, o oid, j jsonb)";

/// Values of each column after `id`, cycled over the rows; the lengths are coprime enough to mix them.
const VALUES: &[&[&str]] = &[
    &["NULL", "-32768", "0", "5", "32767"],
    &["NULL", "-2147483648", "0", "5", "7", "2147483647", "42"],
    &["NULL", "-9223372036854775808", "0", "9223372036854775807"],
    &["NULL", "'NaN'", "'Infinity'", "'-Infinity'", "1.5", "0.1"],
    &["NULL", "'NaN'", "'Infinity'", "'-Infinity'", "1.5", "0.1", "-1e300"],
    &["NULL", "'NaN'", "99999999.99", "-99999999.99", "0", "1.50"],
    &["NULL", "true", "false"],
    &["NULL", "''", "'a'", "'a '", "'B'", "'ä'", "'z'", "'日本'", "'a''b'", "E'a\\\\b'", "'%'", "'ab\nc'"],
    &["NULL", "''", "'abc'", "'abd'", "'Abc'", "'é'"],
    &["NULL", "''", "'ab'", "'abcd'"],
    &["NULL", "'infinity'", "'-infinity'", "'2024-02-29'", "'0044-03-15 BC'", "'1969-12-31'"],
    &["NULL", "'infinity'", "'-infinity'", "'2024-02-29 12:00:00.000001'", "'0044-03-15 BC'", "'2024-02-29'"],
    &["NULL", "'infinity'", "'-infinity'", "'2024-02-29 12:00:00+00'", "'2024-02-29 12:00:00+02'"],
    &["NULL", "'00:00'", "'24:00'", "'12:34:56.789'"],
    &[
        "NULL",
        "'00000000-0000-0000-0000-000000000000'",
        "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
        "'12345678-1234-1234-1234-123456789abc'",
    ],
    &["NULL", "'\\x'", "'\\x00'", "'\\xff00'", "'\\x27'"],
    &["NULL", "'sad'", "'ok'", "'happy'"],
    &["NULL", "0", "4294967295", "16"],
    &["NULL", "'1'", "'{}'"],
];

/// A filter for DataFusion, and for PostgreSQL where that is written otherwise; whether it is to be seen at the remote.
const FILTERS: &[(&str, Option<&str>, bool)] = &[
    ("i2 = 5", None, true),
    ("i2 <> 5", None, true),
    ("i4 < 42", None, true),
    ("i4 >= 2147483647", None, true),
    ("i4 IN (0, 5, 7)", None, true),
    ("i4 NOT IN (0, 5, 7)", None, true),
    ("i4 BETWEEN 0 AND 42", None, true),
    ("i8 > -9223372036854775807", None, true),
    ("NOT (i4 = 5)", None, true),
    ("i4 = 5 OR i8 = 0", None, true),
    ("i4 = 5 AND (t = 'a' OR t IS NULL)", None, true),
    ("i4 IS NULL", None, true),
    ("i4 IS NOT NULL AND b", None, true),
    ("b", None, true),
    ("NOT b", None, true),
    ("b = false", None, true),
    ("f8 > 1.0", None, true),
    ("f8 >= 'NaN'::double precision", Some("f8 >= 'NaN'::float8"), true),
    ("f8 = 'NaN'::double precision", Some("f8 = 'NaN'::float8"), true),
    ("f8 < 'Infinity'::double precision", Some("f8 < 'Infinity'::float8"), true),
    ("f8 <> 1.5", None, true),
    ("f4 = '1.5'::real", None, true),
    ("n > '0'::decimal(10,2)", Some("n > 0"), true),
    ("n = '1.50'::decimal(10,2)", Some("n = 1.50"), true),
    ("n <= '99999999.99'::decimal(10,2)", Some("n <= 99999999.99"), true),
    ("t = 'a'", None, true),
    ("t = 'a '", None, true),
    ("t <> ''", None, true),
    ("t = 'a''b'", None, true),
    ("t = 'a\\b'", None, true),
    ("t < 'z'", Some("t COLLATE \"C\" < 'z'"), true),
    ("t >= 'ä'", Some("t COLLATE \"C\" >= 'ä'"), true),
    ("t IN ('a', 'B', '日本')", None, true),
    ("t LIKE 'a%'", None, true),
    ("t LIKE '_'", None, true),
    ("t NOT LIKE '%b%'", None, true),
    ("t LIKE '%\\%%'", None, false),
    ("v = 'abc'", None, true),
    ("v > 'abc'", Some("v COLLATE \"C\" > 'abc'"), true),
    ("d = '2024-02-29'::date", None, true),
    ("d < '1970-01-01'::date", None, true),
    ("ts >= '2024-02-29 12:00:00'::timestamp", None, true),
    ("ts < '2024-02-29 12:00:00.000001'::timestamp", None, true),
    ("tz = '2024-02-29T12:00:00Z'::timestamptz", None, true),
    ("tz > '2024-02-29T10:30:00Z'::timestamptz", None, true),
    ("by = X'00'", Some("by = '\\x00'"), true),
    ("by > X'00'", Some("by > '\\x00'"), true),
    ("m = 'ok'", None, true),
    ("m <> 'ok'", None, true),
    ("m IN ('ok', 'sad')", None, true),
    ("o > 16", None, true),
    ("u IS NULL", None, true),
    ("length(t) = 1", None, false),
    ("i4 / 2 = 2", None, false),
    ("i4 = 5 AND length(t) = 1", None, true),
];

#[tokio::test]
async fn pushed_filters_keep_the_rows_that_local_ones_keep() {
    let Some(remote) = remote("pushed_filters_keep_the_rows_that_local_ones_keep").await else { return };
    remote.execute(TABLE).await;
    let values: Vec<String> = (0..400)
        .map(|id: usize| {
            let cells: Vec<&str> =
                VALUES.iter().enumerate().map(|(at, list)| list[(id * (at + 1) + at) % list.len()]).collect();
            format!("({id}, {})", cells.join(", "))
        })
        .collect();
    remote.execute(&format!("INSERT INTO f VALUES {}", values.join(", "))).await;
    let source = remote.source(&[]);
    let context = remote.context(&source, "f").await;
    let local = SessionContext::new();
    let everything = context.sql("SELECT * FROM f").await.unwrap().collect().await.unwrap();
    let schema = everything[0].schema();
    local.register_table("f", Arc::new(MemTable::try_new(schema, vec![everything]).unwrap())).unwrap();

    for (filter, at_postgres, pushed) in FILTERS {
        let sql = format!("SELECT id FROM f WHERE {filter} ORDER BY id");
        let seen = rows(&context, &sql).await;
        assert_eq!(seen, rows(&local, &sql).await, "here: {filter}");
        let theirs =
            remote.text(&format!("SELECT id FROM f WHERE {} ORDER BY id", at_postgres.unwrap_or(filter))).await;
        let theirs: Vec<Vec<String>> = theirs.into_iter().map(|row| row.into_iter().flatten().collect()).collect();
        assert_eq!(seen, theirs, "at PostgreSQL: {filter}");
        let plan = plan(&context, &sql).await;
        assert_eq!(plan.contains(" WHERE "), *pushed, "{filter}\n{plan}");
    }
    remote.drop_schema().await;
}

#[tokio::test]
async fn a_filter_that_the_remote_would_answer_otherwise_stays_here() {
    let Some(remote) = remote("a_filter_that_the_remote_would_answer_otherwise_stays_here").await else { return };
    remote
        .execute(
            "CREATE COLLATION insensitive (provider = icu, locale = 'und-u-ks-level2', deterministic = false); \
             CREATE TYPE pair AS (a int, b int); \
             CREATE TABLE odd (t text COLLATE insensitive, p pair, c char(4)); \
             INSERT INTO odd VALUES ('A', '(,)', 'x'), ('a', NULL, NULL)",
        )
        .await;
    let source = remote.source(&[]);
    let context = remote.context(&source, "odd").await;
    for (filter, count) in [("t = 'a'", 1), ("p IS NULL", 1), ("p IS NOT NULL", 1)] {
        let sql = format!("SELECT t FROM odd WHERE {filter}");
        assert_eq!(rows(&context, &sql).await.len(), count, "{filter}");
        assert!(!plan(&context, &sql).await.contains(" WHERE "), "{filter}");
    }
    assert!(!plan(&context, "SELECT t FROM odd WHERE c = 'x'").await.contains(" WHERE "));
    remote.drop_schema().await;
}

#[tokio::test]
async fn projections_limits_and_counts_go_to_the_remote() {
    let Some(remote) = remote("projections_limits_and_counts_go_to_the_remote").await else { return };
    remote.execute("CREATE TABLE p AS SELECT g AS a, g % 7 AS b, g::text AS c FROM generate_series(1, 20000) g").await;
    let source = remote.source(&[]);
    let context = remote.context(&source, "p").await;
    let relation = format!("\"{}\".\"p\"", remote.schema);
    let says = |plan: &str, sql: &str| assert!(plan.contains(&format!("Remote SQL: {sql}")), "{sql}\n{plan}");
    let plan_of = async |sql: &str| plan(&context, sql).await;

    says(&plan_of("SELECT c, a FROM p").await, &format!("SELECT \"a\", \"c\" FROM {relation}"));
    says(&plan_of("SELECT a FROM p LIMIT 3").await, &format!("SELECT \"a\" FROM {relation} LIMIT 3"));
    says(
        &plan_of("SELECT a FROM p WHERE b = 1 LIMIT 3").await,
        &format!("SELECT \"a\" FROM {relation} WHERE (\"b\" = '1'::integer) LIMIT 3"),
    );
    let filtered_here = plan_of("SELECT a FROM p WHERE length(c) = 1 LIMIT 3").await;
    assert!(!filtered_here.split("Remote SQL").nth(1).unwrap().contains("LIMIT"), "{filtered_here}");
    says(&plan_of("SELECT count(*) FROM p WHERE b = 1").await, &format!("SELECT count(*) FROM {relation} WHERE"));

    assert_eq!(rows(&context, "SELECT count(*) FROM p").await, [["20000"]]);
    assert_eq!(rows(&context, "SELECT count(*) FROM p WHERE b = 1").await, [["2858"]]);
    assert_eq!(rows(&context, "SELECT count(*) FROM (SELECT 1 FROM p LIMIT 9000)").await, [["9000"]]);
    assert_eq!(rows(&context, "SELECT a FROM p WHERE length(c) = 1 LIMIT 3").await.len(), 3);
    assert_eq!(rows(&context, "SELECT count(*), sum(a), min(c) FROM p").await, [["20000", "200010000", "1"]]);
    assert_eq!(rows(&context, "SELECT x.a FROM p x JOIN p y ON x.a = y.a WHERE y.c = '77'").await, [["77"]]);
    remote.drop_schema().await;
}
