#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::io;

use datafusion::prelude::{SessionConfig, SessionContext};

use super::*;

/// What plain DataFusion says to a statement, as a client would see it.
const PINNED: &[(&str, &str, &str)] = &[
    ("select nosuch from t", "42703", "column \"nosuch\" does not exist"),
    ("select t.nosuch from t", "42703", "column t.nosuch does not exist"),
    ("select x.a from t", "42P01", "missing FROM-clause entry for table \"x\""),
    ("select t.a from t x", "42P01", "missing FROM-clause entry for table \"t\""),
    ("select x.* from t", "42P01", "missing FROM-clause entry for table \"x\""),
    ("select a from nosuch", "42P01", "relation \"nosuch\" does not exist"),
    ("select a from s.nosuch", "42P01", "relation \"s.nosuch\" does not exist"),
    ("select a from d.s.nosuch", "42P01", "relation \"d.s.nosuch\" does not exist"),
    ("select * from nosuch(1)", "42883", "function nosuch does not exist"),
    ("select a from t, u", "42702", "column reference \"a\" is ambiguous"),
    ("select * from t, t", "42712", "table name \"t\" specified more than once"),
    ("select * from t x join u x on true", "42712", "table name \"x\" specified more than once"),
    ("with x as (select 1), x as (select 2) select 1", "42712", "WITH query name \"x\" specified more than once"),
    ("select t.a + nosuch from t", "42703", "column \"nosuch\" does not exist"),
    ("select a from t order by nosuch", "42703", "column \"nosuch\" does not exist"),
    ("select * from t join u using (nosuch)", "42703", "column \"nosuch\" does not exist"),
    ("select sum(a) over w from t", "42704", "window \"w\" does not exist"),
    ("select a::nosuch from t", "42704", "type \"nosuch\" does not exist"),
    // Values.
    ("select 1/0", "22012", "division by zero"),
    ("select a % 0 from t", "22012", "division by zero"),
    ("select 1.0/0", "22012", "division by zero"),
    ("select 'abc'::int", "22P02", "invalid input syntax for type integer: \"abc\""),
    ("select s::bigint from t", "22P02", "invalid input syntax for type bigint: \"x\""),
    ("select s = 1 from t", "22P02", "invalid input syntax for type bigint: \"x\""),
    ("select 'abc'::float8", "22P02", "invalid input syntax for type double precision: \"abc\""),
    ("select s::boolean from t", "22P02", "invalid input syntax for type boolean: \"x\""),
    ("select s::numeric(10,2) from t", "22P02", "invalid input syntax for type numeric: \"x\""),
    ("select s::date from t", "22007", "invalid input syntax for type date: \"x\""),
    ("select s::time from t", "22007", "invalid input syntax for type time: \"x\""),
    ("select s::timestamp from t", "22007", "invalid input syntax for type timestamp: \"x\""),
    ("select interval 'abc'", "22007", "invalid input syntax for type interval: \"abc\""),
    ("select '2020-02-30'::date", "22008", "date/time field value out of range: \"2020-02-30\""),
    ("select timestamp '2020-13-01'", "22008", "date/time field value out of range: \"2020-13-01\""),
    ("select '9999999999'::int", "22003", "value \"9999999999\" is out of range for type integer"),
    ("select 3000000000::int", "22003", "integer out of range"),
    ("select a::smallint from big", "22003", "smallint out of range"),
    ("select 1.5e10::int", "22003", "integer out of range"),
    ("select 123456::decimal(4,2)", "22003", "numeric field overflow"),
    ("select abs(-9223372036854775808)", "22003", "bigint out of range"),
    ("select 99999999999999999999999999999999999999 * 10", "22003", "value overflows numeric format"),
    ("select date '2020-01-01' + interval '1000000 years'", "22008", "date out of range"),
    ("select sqrt(-1)", "2201F", "cannot take square root of a negative number"),
    ("select substr('abc', -1, -1)", "22011", "negative substring length not allowed"),
    ("select ntile(0) over () from t", "22014", "argument of ntile must be greater than zero"),
    ("select date_trunc('foo', now())", "22023", "timestamp units \"foo\" not recognized"),
    ("select extract(foo from d) from t", "22023", "timestamp units \"foo\" not recognized"),
    ("select decode('zz', 'hex')", "22023", "invalid hexadecimal digit: \"z\""),
    ("select encode('a', 'foo')", "22023", "unrecognized encoding: \"foo\""),
    ("select 1::decimal(100,2)", "22023", "NUMERIC precision 100 must be between 1 and 76"),
    ("select repeat('a', 1000000000000)", "54000", "requested length too large"),
    ("select s ~ '(' from t", "2201B", "invalid regular expression: parentheses () not balanced"),
    ("select regexp_replace('a', '(', 'b')", "2201B", "invalid regular expression: parentheses () not balanced"),
    ("select (select a from t)", "21000", "more than one row returned by a subquery used as an expression"),
    ("select $1", "42P02", "there is no parameter $1"),
    // Functions, operators, types.
    ("select foo(1)", "42883", "function foo does not exist"),
    ("select abs('x')", "42883", "function abs(text) does not exist"),
    ("select abs(1, 2)", "42883", "function abs(bigint, bigint) does not exist"),
    ("select sum()", "42883", "function sum() does not exist"),
    ("select sum(s) from t", "42883", "function sum(text) does not exist"),
    ("select sqrt(s) from t", "42883", "function sqrt(text) does not exist"),
    ("select a[1] from t", "42883", "function array_element(bigint, bigint) does not exist"),
    ("select s + i from t", "42883", "operator does not exist: text + bigint"),
    ("select d + d from t", "42883", "operator does not exist: date + date"),
    ("select now() + 1", "42883", "operator does not exist: timestamp without time zone + bigint"),
    ("select b > 1 from t", "42883", "operator does not exist: boolean > bigint"),
    ("select a || i from t", "42883", "operator does not exist: bigint || bigint"),
    ("select s like 1 from t", "42883", "operator does not exist: text ~~ bigint"),
    ("select s ~ 1 from t", "42883", "operator does not exist: text ~ bigint"),
    ("select -s from t", "42883", "operator does not exist: - text"),
    ("select s and true from t", "42804", "argument of AND must be type boolean, not type text"),
    ("select not s from t", "42804", "argument of NOT must be type boolean, not type text"),
    ("select * from t where a", "42804", "argument of WHERE must be type boolean, not type bigint"),
    ("select a from t limit 'x'", "42804", "argument of LIMIT must be type bigint, not type text"),
    ("select b::date from t", "42846", "cannot cast type boolean to date"),
    // Clauses.
    (
        "select a, count(*) from t",
        "42803",
        "column \"t.a\" must appear in the GROUP BY clause or be used in an aggregate function",
    ),
    (
        "select sum(a) from t having a > 1",
        "42803",
        "column \"t.a\" must appear in the GROUP BY clause or be used in an aggregate function",
    ),
    ("select sum(sum(a)) from t", "42803", "aggregate function calls cannot be nested"),
    ("select a from t where sum(a) > 1", "42803", "aggregate functions are not allowed in WHERE"),
    ("select a from t order by 3", "42P10", "ORDER BY position 3 is not in select list"),
    ("select a from t group by 3", "42P10", "GROUP BY position 3 is not in select list"),
    (
        "select distinct a from t order by i",
        "42P10",
        "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
    ),
    ("select * from (values (1, 2)) v(a, b, c)", "42P10", "table has 2 columns available but 3 columns specified"),
    ("select a from t limit -1", "2201W", "LIMIT must not be negative"),
    ("select a from t offset -1", "2201X", "OFFSET must not be negative"),
    ("select (select 1, 2)", "42601", "subquery must return only one column"),
    ("select 1 union select 1, 2", "42601", "each UNION query must have the same number of columns"),
    ("values (1), (1, 2)", "42601", "VALUES lists must all be the same length"),
    ("selec 1", "42601", "syntax error at or near \"selec\""),
    ("select 1 from", "42601", "syntax error at end of input"),
    ("select 1 1", "42601", "syntax error at or near \"1\""),
    ("select 'abc", "42601", "unterminated quoted string"),
    ("select \"abc", "42601", "unterminated quoted identifier"),
    ("select a collate \"C\" from t", "0A000", "collate is not supported"),
    ("select a from t fetch first 1 rows with ties", "0A000", "FETCH clause is not supported yet"),
    (
        "select sum(a) over (rows between unbounded following and current row) from t",
        "42P20",
        "frame start cannot be UNBOUNDED FOLLOWING",
    ),
];

async fn context() -> SessionContext {
    let mut config = SessionConfig::new().with_target_partitions(1);
    config.options_mut().sql_parser.parse_float_as_decimal = true;
    config.options_mut().sql_parser.dialect = "PostgreSQL".parse().unwrap();
    let context = SessionContext::new_with_config(config);
    for sql in [
        "create table t as select 1::bigint as a, 1::int as i, 'x' as s, date '2020-01-01' as d, true as b
         union all select 2, 2, 'x', date '2020-01-02', false",
        "create table u as select 1::bigint as id, 2::bigint as a",
        "create table big as select 9223372036854775807 as a",
    ] {
        context.sql(sql).await.unwrap().collect().await.unwrap();
    }
    context
}

async fn failure(context: &SessionContext, sql: &str) -> DataFusionError {
    let result = async { context.sql(sql).await?.collect().await }.await;
    result.expect_err(sql)
}

#[tokio::test]
async fn datafusion_speaks_as_postgresql_does() {
    let context = context().await;
    let mut wrong = Vec::new();
    for (sql, state, message) in PINNED {
        let error = failure(&context, sql).await;
        let seen = sql_error(&error);
        if (seen.sqlstate.as_str(), seen.message.as_str()) != (*state, *message) {
            wrong.push(format!("{sql}\n  wanted {state} {message}\n  got    {seen}\n  from   {error:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), PINNED.len(), wrong.join("\n"));
}

#[tokio::test]
async fn positions_and_hints_come_with_them() {
    let context = context().await;
    for (sql, position, hint) in [
        ("select nosuch from t", Some(8), None),
        ("select\n  nosuch from t", Some(10), None),
        ("select aa from t", Some(8), Some("Perhaps you meant to reference the column \"t.a\".")),
        ("select dd, 'dd' from t", Some(8), Some("Perhaps you meant to reference the column \"t.d\".")),
        ("select nosuch, nosuch from t", None, None),
        ("select a from nosuch", Some(15), None),
        ("select 1 1", Some(10), None),
        ("select é, a from t, u", None, None),
        (
            "select foo(1)",
            Some(8),
            Some("No function matches the given name and argument types. You might need to add explicit type casts."),
        ),
    ] {
        let seen = sql_error_with_sql(&failure(&context, sql).await, sql);
        if sql.contains('é') {
            assert!(matches!(seen.sqlstate, SqlState::UNDEFINED_COLUMN | SqlState::SYNTAX_ERROR), "{seen}");
            continue;
        }
        assert_eq!((seen.position, seen.hint.as_deref()), (position, hint), "{sql}: {seen}");
    }
}

#[tokio::test]
async fn an_unknown_function_shows_the_types_of_its_literals() {
    let context = context().await;
    for (sql, message) in [
        ("select foo(1, 'x')", "function foo(integer, unknown) does not exist"),
        ("select foo()", "function foo() does not exist"),
        ("select foo(a) from t", "function foo does not exist"),
    ] {
        assert_eq!(sql_error_with_sql(&failure(&context, sql).await, sql).message, message);
    }
}

#[test]
fn our_errors_are_found_through_every_wrapping() {
    let ours = || DataFusionError::from(SqlError::denied("no"));
    let wrapped = [
        ours(),
        ours().context("somewhere"),
        DataFusionError::Shared(Arc::new(ours())),
        DataFusionError::Collection(vec![ours(), DataFusionError::Internal("x".to_owned())]),
        DataFusionError::ArrowError(Box::new(ArrowError::ExternalError(Box::new(ours()))), None),
        DataFusionError::External(Box::new(Arc::new(ours()))),
        DataFusionError::IoError(io::Error::other(ours())),
        DataFusionError::ParquetError(Box::new(ParquetError::External(Box::new(ours())))),
        DataFusionError::External(Box::new(io::Error::other(SqlError::denied("no")))),
        DataFusionError::ObjectStore(Box::new(object_store::Error::NotFound {
            path: "p".to_owned(),
            source: "x".into(),
        })),
    ];
    for error in &wrapped[..wrapped.len() - 1] {
        assert_eq!(sql_error(error), SqlError::denied("no"), "{error:?}");
    }
    let missing = sql_error(&wrapped[wrapped.len() - 1]);
    assert_eq!((missing.sqlstate, missing.message.as_str()), (SqlState::UNDEFINED_FILE, "object \"p\" does not exist"));
}

#[test]
fn connectors_errors_keep_what_the_remote_said() {
    let remote = ConnectorError::Remote {
        server: "sales".to_owned(),
        sqlstate: "42501".to_owned(),
        message: "permission denied for table x".to_owned(),
        detail: Some("d".to_owned()),
        hint: Some("h".to_owned()),
        remote_sql: Some("SELECT 1".to_owned()),
    };
    let mut expected = SqlError::denied("permission denied for table x").detail("d").hint("h");
    expected.context = Some("server \"sales\", remote SQL command: SELECT 1".to_owned());
    assert_eq!(sql_error(&remote.into()), expected);
    for (code, expected) in [("57P01", "08006"), ("00000", "HV000"), ("", "HV000"), ("40001", "40001")] {
        assert_eq!(remote_state(code).as_str(), expected);
    }
    let cause: atoll_connector_api::error::Cause = Arc::new(io::Error::other("refused"));
    let connect = connector_error(&ConnectorError::Connect { server: "s".to_owned(), source: cause });
    assert_eq!((connect.sqlstate.as_str(), connect.detail.as_deref()), ("08001", Some("refused")));
    let option = connector_error(&ConnectorError::UnknownOption { option: "x".to_owned(), valid: vec!["a", "b"] });
    assert_eq!(
        (option.sqlstate, option.hint.as_deref()),
        (SqlState::FDW_INVALID_OPTION_NAME, Some("Valid options in this context are: a, b"))
    );
}

#[test]
fn overflow_names_the_type_that_overflowed() {
    for (text, message) in [
        ("Overflow happened on: 32767 + 1", "smallint out of range"),
        ("Overflow happened on: -2147483648 - 1", "integer out of range"),
        ("Overflow happened on: 9223372036854775807 + 1", "bigint out of range"),
        ("Overflow happened on: - -9223372036854775808", "bigint out of range"),
        ("Overflow happened", "bigint out of range"),
    ] {
        let error =
            sql_error(&DataFusionError::ArrowError(Box::new(ArrowError::ArithmeticOverflow(text.into())), None));
        assert_eq!((error.sqlstate, error.message.as_str()), (SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message));
    }
}

#[test]
fn only_bugs_are_internal_errors() {
    let bug = sql_error(&DataFusionError::Internal("Broken.\nThis issue was likely caused by x".to_owned()));
    assert_eq!((bug.sqlstate.as_str(), bug.message.as_str()), ("XX000", "internal error: broken"));
    let plan = sql_error(&DataFusionError::Plan("Something else is wrong".to_owned()));
    assert_eq!((plan.sqlstate.as_str(), plan.message.as_str()), ("42000", "something else is wrong"));
    let memory = sql_error(&DataFusionError::ResourcesExhausted("Failed to allocate".to_owned()));
    assert_eq!((memory.sqlstate.as_str(), memory.message.as_str()), ("53200", "out of memory"));
    let disk = sql_error(&DataFusionError::IoError(io::Error::other("broken")));
    assert_eq!(disk.sqlstate.as_str(), "58030");
}
