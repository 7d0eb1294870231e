//! What errors say, and where in a statement they say that it is: as PostgreSQL does.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use support::TestServer;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::error::ErrorPosition;

const TABLE: &str = "(values (1::int4, 'a'::text), (2::int4, 'b'::text)) t(id, name)";

#[tokio::test]
async fn errors_say_where_their_cause_stands() {
    let server = TestServer::start(&[]).await;
    let client = server.connect().await;
    // The cause stands behind the mark.
    for (sql, state, message) in [
        ("select ^x.id from t", "42P01", "missing FROM-clause entry for table \"x\""),
        ("select id, ^name, count(*) from t group by id", "42803", "column \"t.name\" must appear"),
        ("select id, max(name) from t group by id having ^name = 'a'", "42803", "column \"t.name\" must appear"),
        ("select max(name), ^name from t where name > ''", "42803", "column \"t.name\" must appear"),
        ("select id from t where ^count(*) > 1", "42803", "aggregate functions are not allowed in WHERE"),
        ("select 1 from t group by ^max(id)", "42803", "aggregate functions are not allowed in GROUP BY"),
        ("select 1 from t join t u on ^max(t.id) = u.id", "42803", "aggregate functions are not allowed in JOIN"),
        ("select sum(^count(*)) from t", "42803", "aggregate function calls cannot be nested"),
        ("select id from t where id = ^'abc'", "22P02", "invalid input syntax for type integer: \"abc\""),
        ("select 'abc', ^'abc'::int", "22P02", "invalid input syntax for type integer: \"abc\""),
        ("select cast(^'x' as numeric)", "22P02", "invalid input syntax for type numeric: \"x\""),
        ("select date ^'nonesuch'", "22007", "invalid input syntax for type date: \"nonesuch\""),
        ("select ^'99999999999'::int", "22003", "value \"99999999999\" is out of range for type integer"),
        ("select ^nofunc(1)", "42883", "function nofunc(integer) does not exist"),
        ("select ^nofunc()", "42883", "function nofunc() does not exist"),
        (
            "select ^nofunc(id, name, 'a', 1.5, null) from t",
            "42883",
            "nofunc(integer, text, unknown, numeric, unknown)",
        ),
    ] {
        let (before, behind) = sql.split_once('^').unwrap();
        let with = format!("with t(id, name) as (select * from {TABLE}) ");
        let sql = format!("{with}{before}{behind}");
        let error = client.simple_query(&sql).await.unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), state, "{sql}: {error}");
        assert!(error.message().contains(message), "{sql}: {error}");
        let expected = ErrorPosition::Original(u32::try_from(with.len() + before.len() + 1).unwrap());
        assert_eq!(error.position(), Some(&expected), "{sql}");
    }
}

#[tokio::test]
async fn errors_have_the_fields_that_postgresql_sends() {
    let server = TestServer::start(&[]).await;
    let client = server.connect().await;
    let mut wrong = Vec::new();
    let records = include_str!("error_fields.tsv").lines().filter(|line| !line.starts_with('#'));
    for record in records {
        let expected: Vec<&str> = record.split('\t').collect();
        let error = match client.simple_query(expected[0]).await {
            Err(error) => error,
            Ok(_) => panic!("{} was accepted", expected[0]),
        };
        let error = error.as_db_error().unwrap();
        let position = match error.position() {
            Some(ErrorPosition::Original(position)) => position.to_string(),
            _ => String::new(),
        };
        let sent = [
            expected[0],
            error.code().code(),
            error.message(),
            error.detail().unwrap_or_default(),
            error.hint().unwrap_or_default(),
            &position,
            error.where_().unwrap_or_default(),
        ];
        if expected != sent {
            wrong.push(format!("{expected:?}\n  is {sent:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_value_that_the_data_hold_has_no_place_in_the_statement() {
    let server = TestServer::start(&[]).await;
    let client = server.connect().await;
    let sql = format!("select name::int from {TABLE} where name <> 'x'::text");
    let error = client.simple_query(&sql).await.unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!((error.code().code(), error.position()), ("22P02", None));
}

#[tokio::test]
async fn explain_prints_json_as_a_tree_and_no_times_without_timing() {
    let server = TestServer::start(&[]).await;
    let client = server.connect().await;
    let query = "select n, count(*) from generate_series(1, 9) as g(n) group by n order by n";
    let messages = client.simple_query(&format!("explain (analyze, format json) {query}")).await.unwrap();
    let text = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    let shown: serde_json::Value = serde_json::from_str(text.unwrap()).unwrap();
    let root = &shown[0]["Plan"];
    assert!(root["Node Type"].is_string() && root["Plans"][0]["Node Type"].is_string(), "{shown}");
    assert!(!shown.to_string().contains("StoppableExec"), "{shown}");
    assert!(shown[0]["Execution Time"].is_f64() && shown[0]["Planning Time"].is_f64(), "{shown}");
    let rows = client.query(&format!("explain (analyze, timing off, summary off) {query}"), &[]).await.unwrap();
    let text: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let text = text.join("\n");
    assert!(text.contains("output_rows=9") && !text.contains("elapsed") && !text.contains("Time"), "{text}");
}
