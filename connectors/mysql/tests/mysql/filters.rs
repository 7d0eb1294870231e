//! Pushed filters and limits answer as ours do.

use std::sync::Arc;

use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;

use crate::support::{Shop, explain, rows};

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
