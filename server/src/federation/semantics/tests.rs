//! Statements through a plain DataFusion session with our rules.
#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that fails")]

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::Schema;
use atoll_connector_api::types::text::{OutputStyle, write_text};
use atoll_connector_api::types::{ColumnBuilder, PgType};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;

use super::{Settings, analyze, rewrite_casts, session_state};
use crate::wire::sqlstate::sql_error;

fn mood() -> PgType {
    PgType::user("mood", vec!["sad".into(), "ok".into(), "happy".into()], false)
}

fn column(data_type: &PgType, texts: &[&str]) -> ArrayRef {
    let mut builder = ColumnBuilder::new(data_type, texts.len());
    for text in texts {
        if *text == "\\N" { builder.append_null() } else { builder.append_text(text).unwrap() }
    }
    builder.finish()
}

fn context() -> SessionContext {
    let zone = OutputStyle { time_zone: chrono_tz::Europe::Berlin, ..OutputStyle::default() };
    let settings = Settings::new(zone).with_resolver(Arc::new(|name| (name == "mood").then(mood)));
    let mut config = SessionConfig::new().with_target_partitions(2);
    config.options_mut().sql_parser.dialect = datafusion::config::Dialect::PostgreSQL;
    config.options_mut().sql_parser.parse_float_as_decimal = true;
    config.options_mut().sql_parser.map_string_types_to_utf8view = true;
    let builder = SessionStateBuilder::new().with_default_features().with_config(config);
    let context = SessionContext::new_with_state(session_state(builder, &settings).unwrap());
    let columns: Vec<(&str, PgType, [&str; 3])> = vec![
        ("i", PgType::parse_name("int").unwrap(), ["1", "2", "\\N"]),
        ("s", PgType::parse_name("smallint").unwrap(), ["1", "32767", "\\N"]),
        ("b", PgType::parse_name("bigint").unwrap(), ["1", "9223372036854775807", "\\N"]),
        ("n", PgType::parse_name("numeric").unwrap(), ["10.50", "9", "10.5"]),
        ("d", PgType::parse_name("numeric(10,2)").unwrap(), ["10.50", "-9", "\\N"]),
        ("f", PgType::parse_name("float8").unwrap(), ["0.5", "-1", "\\N"]),
        ("t", PgType::parse_name("text").unwrap(), ["a", "b", "\\N"]),
        ("m", mood(), ["happy", "sad", "ok"]),
        (
            "u",
            PgType::parse_name("uuid").unwrap(),
            ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "\\N"],
        ),
        ("ts", PgType::parse_name("timestamptz").unwrap(), ["2024-01-01 00:00+00", "2024-07-01 00:00+00", "\\N"]),
        ("dt", PgType::parse_name("date").unwrap(), ["2024-01-01", "2024-07-01", "\\N"]),
        ("iv", PgType::parse_name("interval").unwrap(), ["1 mon", "30 days", "29 days"]),
        ("j", PgType::parse_name("json").unwrap(), ["{}", "[]", "1"]),
        ("jb", PgType::parse_name("jsonb").unwrap(), ["{}", "[]", "1"]),
        ("c", PgType::parse_name("char(5)").unwrap(), ["ab", "cd", "\\N"]),
        ("x", PgType::parse_name("inet").unwrap(), ["10.0.0.9", "10.0.0.10", "\\N"]),
    ];
    let fields: Vec<_> = columns.iter().map(|(name, data_type, _)| data_type.field(name, true)).collect();
    let arrays = columns.iter().map(|(_, data_type, texts)| column(data_type, texts)).collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
    context.register_batch("t", batch).unwrap();
    context
}

/// The rows of a query as text, columns between `|`; or the error's code and message.
async fn run(sql: &str) -> String {
    match try_run(sql).await {
        Ok(rows) => rows,
        Err(error) => {
            let error = sql_error(&error);
            format!("{} {}", error.sqlstate.as_str(), error.message)
        }
    }
}

async fn try_run(sql: &str) -> datafusion::error::Result<String> {
    let context = context();
    let state = context.state();
    let mut statement = state.sql_to_statement(sql, &datafusion::config::Dialect::PostgreSQL)?;
    if let Statement::Statement(inner) = &mut statement
        && let SqlStatement::Query(query) = inner.as_mut()
    {
        rewrite_casts(query)?;
    }
    let plan = analyze(&state, state.statement_to_plan(statement).await?)?;
    let batches = context.execute_logical_plan(plan).await?.collect().await?;
    let mut rows = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let mut cells = Vec::new();
            for (array, field) in batch.columns().iter().zip(batch.schema().fields()) {
                let mut text = String::new();
                if array.is_null(row) {
                    text.push_str("NULL");
                } else {
                    write_text(array.as_ref(), row, &PgType::of_field(field), &OutputStyle::default(), &mut text)?;
                }
                cells.push(text);
            }
            rows.push(cells.join("|"));
        }
    }
    Ok(rows.join(";"))
}

async fn check(cases: &[(&str, &str)]) {
    let mut differences = Vec::new();
    for (sql, expected) in cases {
        let ours = run(sql).await;
        if ours != *expected {
            differences.push(format!("{sql}\n  is {ours}\n  not {expected}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[tokio::test]
async fn casts_are_postgresqls() {
    check(&[
        ("SELECT '1.5'::numeric(5,1), 2.5::int, 3.5::float8::int, true::text", "1.5|3|4|true"),
        (
            "SELECT DATE '2024-02-29', TIMESTAMP '2024-02-29 10:00', INTERVAL '1 day 2 hours'",
            "2024-02-29|2024-02-29 10:00:00|1 day 02:00:00",
        ),
        ("SELECT '2024-07-01 12:00'::timestamptz", "2024-07-01 10:00:00+00"),
        ("SELECT 'abcdef'::varchar(3), 'ab'::char(4), '{\"b\":1, \"a\":2}'::jsonb", "abc|ab  |{\"a\": 2, \"b\": 1}"),
        ("SELECT 'x'::int", "22P02 invalid input syntax for type integer: \"x\""),
        ("SELECT 40000::smallint", "22003 smallint out of range"),
        ("SELECT 1::foo", "42704 type \"foo\" does not exist"),
        ("SELECT 1::date", "42846 cannot cast type integer to date"),
        ("SELECT 'glad'::mood", "22P02 invalid input value for enum mood: \"glad\""),
        ("SELECT '{1,2}'::int[], NULL::int", "{1,2}|NULL"),
        ("SELECT i::text FROM t ORDER BY i", "1;2;NULL"),
        ("SELECT CAST(n AS int) FROM t", "11;9;11"),
        ("SELECT INTERVAL '3' DAY, INTERVAL '1-2' YEAR TO MONTH", "3 days|1 year 2 mons"),
    ])
    .await;
}

#[tokio::test]
async fn untyped_literals_take_the_other_sides_type() {
    check(&[
        ("SELECT i FROM t WHERE u = 'A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11'", "1"),
        ("SELECT i FROM t WHERE 'b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11' <= u", "2"),
        ("SELECT i FROM t WHERE u = 'nonsense'", "22P02 invalid input syntax for type uuid: \"nonsense\""),
        ("SELECT i FROM t WHERE u IN ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'c0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11')", "1"),
        ("SELECT i FROM t WHERE m = 'happy'", "1"),
        ("SELECT i FROM t WHERE m = 'glad'", "22P02 invalid input value for enum mood: \"glad\""),
        ("SELECT i FROM t WHERE ts > '2024-03-01'", "2"),
        ("SELECT i FROM t WHERE ts = '2024-01-01 01:00'", "1"),
        ("SELECT i FROM t WHERE dt BETWEEN '2024-01-01' AND '2024-02-01'", "1"),
        ("SELECT i FROM t WHERE i = '2'", "2"),
        ("SELECT i FROM t WHERE i = 'x'", "22P02 invalid input syntax for type integer: \"x\""),
        ("SELECT i FROM t WHERE d > '10.4'", "1"),
        ("SELECT i FROM t WHERE c = 'ab   '", "1"),
        ("SELECT i FROM t WHERE i = t", "42883 operator does not exist: integer = text"),
        ("SELECT i FROM t WHERE j = '{}'", "42883 operator does not exist: json = json"),
        ("SELECT count(*) FROM t WHERE jb = '{ }'", "1"),
    ])
    .await;
}

#[tokio::test]
async fn values_compare_as_in_postgresql() {
    check(&[
        ("SELECT n FROM t ORDER BY n, i", "9;10.50;10.5"),
        ("SELECT n FROM t WHERE n > 9.5 ORDER BY n, i", "10.50;10.5"),
        ("SELECT n FROM t WHERE n = 10.5 ORDER BY i", "10.50;10.5"),
        ("SELECT n FROM t WHERE n = 9", "9"),
        ("SELECT n FROM t WHERE n IN (9, 11)", "9"),
        ("SELECT n FROM t WHERE n BETWEEN 8 AND 10", "9"),
        ("SELECT m FROM t ORDER BY m", "sad;ok;happy"),
        ("SELECT m FROM t WHERE m < 'happy' ORDER BY m DESC", "ok;sad"),
        ("SELECT iv FROM t WHERE iv = INTERVAL '30 days' ORDER BY i", "1 mon;30 days"),
        ("SELECT iv FROM t WHERE iv < INTERVAL '1 month'", "29 days"),
        ("SELECT x FROM t ORDER BY x", "10.0.0.9;10.0.0.10;NULL"),
        ("SELECT a.i FROM t a JOIN t b ON a.n = b.n WHERE b.i IS NULL ORDER BY a.i", "1;NULL"),
        ("SELECT i FROM t WHERE ts > dt ORDER BY i", "1;2"),
        ("SELECT i FROM t WHERE n > f ORDER BY i", "1;2"),
    ])
    .await;
}

#[tokio::test]
async fn arithmetic_is_checked_and_typed() {
    check(&[
        ("SELECT 7 / 2, -7 / 2, 7 % -3, 2147483647 - 1", "3|-3|1|2147483646"),
        ("SELECT 2147483647 + 1", "22003 integer out of range"),
        ("SELECT i + 2147483647 FROM t WHERE i = 1", "22003 integer out of range"),
        ("SELECT b + 1 FROM t WHERE i = 2", "22003 bigint out of range"),
        ("SELECT s + s FROM t WHERE i = 2", "22003 smallint out of range"),
        ("SELECT 1 / 0", "22012 division by zero"),
        ("SELECT 1.0 / 0", "22012 division by zero"),
        ("SELECT f / 0 FROM t", "22012 division by zero"),
        (
            "SELECT 1.0 / 3, 10 / 4.0, 2::numeric / 3",
            "0.33333333333333333333|2.5000000000000000|0.66666666666666666667",
        ),
        ("SELECT d * 2, d + 0.001, d / 3 FROM t WHERE i = 1", "21.00|10.501|3.5000000000000000"),
        ("SELECT n * n, n - 1 FROM t WHERE i = 1", "110.2500|9.50"),
        ("SELECT f * 2 + i FROM t WHERE i = 1", "2"),
        ("SELECT 0.1 + 0.2, 5 % 3.5", "0.3|1.5"),
        ("SELECT 'a' || 1 || true || d FROM t WHERE i = 1", "a1true10.50"),
    ])
    .await;
}

#[tokio::test]
async fn branches_have_one_type() {
    check(&[
        ("SELECT CASE WHEN i = 1 THEN n ELSE 0 END + 1 FROM t ORDER BY i", "11.50;1;1"),
        ("SELECT sum(CASE WHEN i = 1 THEN n ELSE 0 END) FROM t", "10.50"),
        ("SELECT CASE i WHEN 1 THEN u END FROM t ORDER BY i", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11;NULL;NULL"),
        ("SELECT CASE WHEN i = 1 THEN 'happy' ELSE m END FROM t ORDER BY i", "happy;sad;ok"),
        ("SELECT CASE WHEN true THEN 1 ELSE 1 / 0 END", "1"),
        ("SELECT CASE WHEN i = 1 THEN 1 ELSE t END FROM t", "42804 CASE types text and integer cannot be matched"),
        ("SELECT coalesce(n, 0), coalesce(NULL, i, 7), coalesce(u, 'c0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11') FROM t WHERE i IS NULL",
         "10.5|7|c0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("SELECT nullif(i, 1), nullif(n, 10.5) FROM t ORDER BY i", "NULL|NULL;2|9;NULL|NULL"),
    ])
    .await;
}

#[tokio::test]
async fn aggregates_have_postgresqls_types() {
    check(&[
        ("SELECT sum(i), sum(b), sum(n), sum(d), sum(f) FROM t", "3|9223372036854775808|30.00|1.50|-0.5"),
        (
            "SELECT avg(i), avg(n), avg(d), avg(f) FROM t",
            "1.5000000000000000|10.0000000000000000|0.75000000000000000000|-0.25",
        ),
        ("SELECT min(n), max(n), min(m), max(m), min(iv), max(x) FROM t", "9|10.5|sad|happy|29 days|10.0.0.10"),
        ("SELECT sum(i) FROM t WHERE false", "NULL"),
        ("SELECT sum(t) FROM t", "42883 function sum(text) does not exist"),
        ("SELECT min(u) FROM t", "42883 function min(uuid) does not exist"),
        ("SELECT n, count(*) FROM t GROUP BY n ORDER BY n", "9|1;10.50|2"),
        ("SELECT count(*) FROM (SELECT DISTINCT n FROM t) s", "2"),
        ("SELECT count(DISTINCT n), count(DISTINCT iv) FROM t", "2|2"),
        ("SELECT i, sum(n) FROM t GROUP BY i ORDER BY i", "1|10.50;2|9;NULL|10.5"),
        ("SELECT i, sum(b) OVER (ORDER BY i ROWS 1 PRECEDING) FROM t WHERE i < 2", "1|1"),
        ("SELECT n FROM t UNION SELECT 9 ORDER BY n", "9;10.50"),
        ("SELECT i FROM t UNION ALL SELECT u FROM t", "42804 UNION types integer and uuid cannot be matched"),
        ("WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT sum(n) FROM r", "6"),
        ("SELECT i FROM t WHERE i IN (SELECT i FROM t WHERE n > 10) ORDER BY i", "1"),
        ("SELECT i FROM t WHERE n = (SELECT max(n) FROM t) ORDER BY i", "1;NULL"),
        ("SELECT i, row_number() OVER (ORDER BY n, i) FROM t ORDER BY 2", "2|1;1|2;NULL|3"),
        ("SELECT i FROM t ORDER BY 1 LIMIT 1", "1"),
    ])
    .await;
}

#[tokio::test]
async fn any_and_all_take_arrays_of_every_form() {
    check(&[
        ("SELECT i FROM t WHERE i = ANY('{2,5}')", "2"),
        ("SELECT i FROM t WHERE i = ANY('{2,5}'::bigint[])", "2"),
        ("SELECT i FROM t WHERE i = ANY(ARRAY[1,5])", "1"),
        ("SELECT i FROM t WHERE n = ANY('{10.500}') ORDER BY i", "1;NULL"),
        ("SELECT i FROM t WHERE i <> ALL('{2,5}')", "1"),
        ("SELECT i FROM t WHERE u = ANY('{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}')", "1"),
        ("SELECT 1 = ANY('{NULL}'::int[]), 1 > ALL('{}'::int[])", "NULL|t"),
    ])
    .await;
}
