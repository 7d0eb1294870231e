//! Work stops within a second, whoever asks for it: CPU time of the server's process is the witness.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod raw;
mod support;

use std::time::{Duration, Instant};

use raw::{Raw, Target};
use support::{TestServer, code, simple_value};
use tokio_postgres::NoTls;

/// How soon work must have stopped.
const SOON: Duration = Duration::from_secs(1);
/// What the server may use of half a second when nothing runs, on a machine that is busy.
const IDLE_CPU: Duration = Duration::from_millis(150);

/// Queries that compute for hours between two reads of a batch.
const STUBBORN: &[(&str, &str)] = &[
    (
        "a nested loop join that finds nothing",
        "SELECT count(*) FROM generate_series(1, 300000) AS a(x) JOIN generate_series(1, 300000) AS b(y) \
         ON a.x * b.y % 1000003 = -1",
    ),
    (
        "a semi join without columns of its condition",
        "SELECT count(*) FROM generate_series(1, 300000) AS a(x) \
         WHERE EXISTS (SELECT 1 FROM generate_series(1, 300000) AS b(y) WHERE a.x * b.y % 1000003 = -1)",
    ),
    (
        "the frames of a window",
        "SELECT max(cardinality(a)) FROM (SELECT array_agg(x) OVER (ORDER BY x) AS a \
         FROM generate_series(1, 20000) AS g(x)) AS q",
    ),
    (
        "a cross join",
        "SELECT count(*), sum(x + y) FROM generate_series(1, 300000) AS a(x), generate_series(1, 3000000) AS b(y)",
    ),
    (
        "a hash join whose keys are all equal",
        "SELECT sum(a.x + b.y) FROM (SELECT x, x % 1 AS k FROM generate_series(1, 300000) AS g(x)) AS a \
         JOIN (SELECT y, y % 1 AS k FROM generate_series(1, 3000000) AS h(y)) AS b ON a.k = b.k",
    ),
    (
        "a recursion without end",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n % 7 FROM t) SELECT count(*) FROM t",
    ),
    (
        "one call of a regular expression's matches",
        "SELECT length(regexp_replace(repeat('ab', 20000000), 'a', 'cd', 'g'))",
    ),
    ("one call of md5", "SELECT md5(repeat('ab', 120000000)) || md5(repeat('ba', 120000000))"),
    ("one search for a large regular expression", "SELECT repeat('ab', 50000000) ~ '(a|b)[ab]{800}c'"),
    (
        "one match of a large regular expression",
        "SELECT substring(string_agg(md5(x::text), '') from '[0-7][0-9a-f]{500}g') FROM generate_series(1, 100000) AS g(x)",
    ),
    (
        "patterns of a column",
        "SELECT count(*) FROM (SELECT repeat('ab', 2000) || x AS t FROM generate_series(1, 8000) AS g(x)) AS v \
         JOIN (SELECT '%' || repeat('a%b', 90) || y AS p FROM generate_series(1, 8000) AS h(y)) AS w ON t LIKE p",
    ),
    (
        "one call that compares two lists of JSON",
        "SELECT (SELECT jsonb_agg(x) FROM generate_series(1, 30000) AS g(x)) \
         @> (SELECT jsonb_agg(x) FROM generate_series(1, 30000) AS g(x))",
    ),
    (
        "a join in EXPLAIN ANALYZE",
        "EXPLAIN ANALYZE SELECT count(*) FROM generate_series(1, 300000) AS a(x) JOIN generate_series(1, 300000) AS b(y) \
         ON a.x * b.y % 1000003 = -1",
    ),
];

/// Waits until the server computes no more; says how long that took.
async fn until_quiet(server: &TestServer, since: Instant) -> Duration {
    loop {
        let started = since.elapsed();
        if server.cpu_now().await < IDLE_CPU || started > Duration::from_secs(10) {
            return started;
        }
    }
}

/// Waits until the server computes: a machine with other work to do may not let it do so at once.
async fn until_busy(server: &TestServer) -> bool {
    for _ in 0..20 {
        if server.cpu_now().await > IDLE_CPU {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn what_computes_between_two_batches_stops_too() {
    let server = TestServer::start(&[]).await;
    for (what, query) in STUBBORN {
        let client = server.connect().await;
        let token = client.cancel_token();
        let running = tokio::spawn(async move { (client.simple_query(query).await.unwrap_err(), client) });
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert!(until_busy(&server).await, "{what} does not compute");
        let asked = Instant::now();
        token.cancel_query(NoTls).await.unwrap();
        let (error, client) = running.await.unwrap();
        assert_eq!(code(&error), "57014", "{what}");
        assert!(asked.elapsed() < SOON, "{what} was answered after {:?}", asked.elapsed());
        let quiet = until_quiet(&server, asked).await;
        assert!(quiet < SOON, "{what} went on for {quiet:?}");
        assert_eq!(simple_value(&client, "SELECT 1").await, "1");
    }
}

#[tokio::test]
async fn the_work_of_a_client_that_vanished_stops_too() {
    let server = TestServer::start(&[]).await;
    for (what, query) in STUBBORN {
        let (client, connection) = server.raw().await;
        let connection = tokio::spawn(connection);
        let running = tokio::spawn(async move { client.simple_query(query).await.map(|_| ()) });
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let vanished = Instant::now();
        connection.abort();
        running.abort();
        let quiet = until_quiet(&server, vanished).await;
        // Work is given a moment to leave things in order, then dropped.
        assert!(quiet < SOON + Duration::from_millis(300), "{what} went on for {quiet:?}");
    }
}

/// A result that no socket buffer takes.
const LONG: &str = "SELECT n, repeat('x', 1000) FROM generate_series(1, 100000000) AS g(n)";

/// Sends a query and reads nothing of its answer.
async fn asks_and_does_not_read(client: &mut Raw, query: &str) {
    client.send(b'Q', format!("{query}\0").as_bytes()).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
}

/// Waits until a session is not active; says how long that took.
async fn until_inactive(watcher: &tokio_postgres::Client, pid: i32) -> Duration {
    let started = Instant::now();
    let query = format!("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid = {pid}");
    while simple_value(watcher, &query).await != "0" && started.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    started.elapsed()
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_up_neither_cancel_nor_timeout() {
    let target = Target::start().await;
    let watcher = target.server.connect().await;
    let mut client = Raw::connect(&target).await;
    asks_and_does_not_read(&mut client, LONG).await;
    assert_eq!(
        simple_value(&watcher, &format!("SELECT state FROM pg_stat_activity WHERE pid = {}", client.pid)).await,
        "active"
    );
    target.cancel(client.pid, &client.key).await;
    assert!(until_inactive(&watcher, client.pid).await < SOON);
    let answers = raw::shape(&client.until_ready().await);
    assert!(answers.ends_with("E(57014) Z"), "{}", &answers[answers.len() - 40..]);

    client.send(b'Q', b"SET statement_timeout = '1s'\0").await;
    client.until_ready().await;
    let started = Instant::now();
    asks_and_does_not_read(&mut client, LONG).await;
    until_inactive(&watcher, client.pid).await;
    assert!(started.elapsed() > SOON && started.elapsed() < 2 * SOON, "{:?}", started.elapsed());
    let answers = raw::shape(&client.until_ready().await);
    assert!(answers.ends_with("E(57014) Z"), "{}", &answers[answers.len() - 40..]);

    // A portal that was read in part: its time is that of each Execute, not of the whole.
    client.parse("s", LONG).await;
    client.bind("p", "s").await;
    for _ in 0..3 {
        client.execute("p", 1).await;
        client.send(b'H', b"").await;
        while client.message().await.unwrap().0 != b's' {}
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    client.send(b'S', b"").await;
    assert_eq!(raw::shape(&client.until_ready().await), "Z");

    client.send(b'Q', b"SET statement_timeout = 0\0").await;
    client.until_ready().await;
    asks_and_does_not_read(&mut client, LONG).await;
    let terminated = Instant::now();
    assert_eq!(simple_value(&watcher, &format!("SELECT pg_terminate_backend({})", client.pid)).await, "t");
    assert!(until_inactive(&watcher, client.pid).await < SOON);
    // What was under way is read, then the reason, then the end.
    let mut last = (0, Vec::new());
    while let Some(message) = client.message().await {
        last = message;
    }
    assert_eq!((last.0, raw::field(&last.1, b'C')), (b'E', "57P01".to_owned()));
    assert!(terminated.elapsed() < 5 * SOON);
}

#[tokio::test]
async fn fetching_from_a_cursor_takes_no_longer_than_a_statement_may() {
    let server = TestServer::start(&[]).await;
    let client = server.connect().await;
    client.batch_execute("SET statement_timeout = '400ms'; BEGIN").await.unwrap();
    let endless = "SELECT count(*) FROM generate_series(1, 1000000000000) AS a(n) WHERE n % 7 = 3";
    client.batch_execute(&format!("DECLARE c CURSOR FOR {endless}")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    let started = Instant::now();
    assert_eq!(code(&client.batch_execute("FETCH c").await.unwrap_err()), "57014");
    assert!(started.elapsed() > Duration::from_millis(300) && started.elapsed() < SOON, "{:?}", started.elapsed());
}

#[tokio::test]
async fn idle_sessions_end_as_their_settings_say() {
    let target = Target::start().await;
    for (settings, sqlstate, message) in [
        ("SET idle_session_timeout = '300ms'", "57P05", "terminating connection due to idle-session timeout"),
        (
            "SET idle_session_timeout = '20s'; SET idle_in_transaction_session_timeout = '300ms'; BEGIN",
            "25P03",
            "terminating connection due to idle-in-transaction timeout",
        ),
    ] {
        let mut client = Raw::connect(&target).await;
        client.send(b'Q', format!("{settings}\0").as_bytes()).await;
        client.until_ready().await;
        let (tag, body) = tokio::time::timeout(Duration::from_secs(3), client.message()).await.unwrap().unwrap();
        assert_eq!((tag, raw::field(&body, b'S'), raw::field(&body, b'C')), (b'E', "FATAL".into(), sqlstate.into()));
        assert_eq!(raw::field(&body, b'M'), message);
        assert!(client.message().await.is_none());
    }
    // Outside a block the one for blocks does not count, nor while a statement runs.
    let mut client = Raw::connect(&target).await;
    client.send(b'Q', b"SET idle_in_transaction_session_timeout = '300ms'\0").await;
    client.until_ready().await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    client.send(b'Q', b"SELECT 1\0").await;
    assert_eq!(raw::shape(&client.until_ready().await), "T D C(SELECT 1) Z");
}

#[tokio::test]
async fn a_session_sees_itself_at_work() {
    let server = TestServer::start(&[]).await;
    let client = server.connect().await;
    let query = "SELECT state || ': ' || query FROM pg_stat_activity WHERE pid = pg_backend_pid()";
    let expected = format!("active: {query}");
    assert_eq!(simple_value(&client, query).await, expected);
    let row = client.query_one(query, &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), expected);
    client.batch_execute("BEGIN").await.unwrap();
    assert_eq!(simple_value(&client, query).await, expected);
    let other = server.connect().await;
    let idle = "SELECT string_agg(state, ',') FROM pg_stat_activity WHERE pid <> pg_backend_pid()";
    assert_eq!(simple_value(&other, idle).await, "idle in transaction");
}

/// Calls whose results, or what is made on the way, would be more than the query may have.
const GREEDY: &[(&str, &str)] = &[
    ("SELECT length(regexp_replace(repeat('a', 1000000), 'a', repeat('b', 10000), 'g'))", "53200"),
    ("SELECT length(regexp_replace(repeat('a', 100000), '(.*)', repeat('\\1', 10000)))", "53200"),
    ("SELECT length(repeat(repeat('x', 1000000), 1000))", "53200"),
    ("SELECT length(repeat('x', 2000000000))", "54000"),
    ("SELECT cardinality(string_to_array(repeat('a,', 10000000), ','))", "53200"),
    ("SELECT cardinality(regexp_split_to_array(repeat('a,', 10000000), repeat(',', 1)))", "53200"),
    ("SELECT cardinality(array_fill(1, ARRAY[100000000]))", "53200"),
    ("SELECT length((('[' || repeat('1,', 10000000)) || '1]')::jsonb::text)", "53200"),
    ("SELECT length(jsonb_build_object('a', repeat('x', 70000000))::text)", "53200"),
    ("SELECT length(lpad('x', 50000000, 'äöü'))", "53200"),
    ("SELECT length(format('%1$s%1$s%1$s%1$s', repeat('x', 20000000)))", "53200"),
    ("SELECT length(concat(repeat('x', 50000000), repeat('x', 50000000)))", "53200"),
    ("SELECT length(encode(decode(repeat('61', 10000000), 'hex'), 'escape') || 'x')", ""),
    ("SELECT cardinality(array_agg(repeat('x', 100000))) FROM generate_series(1, 10000)", "53200"),
    ("SELECT length(string_agg(repeat('x', 100000), ',')) FROM generate_series(1, 10000)", "53200"),
    ("SELECT repeat('a', 1000000) LIKE repeat('%a', 10000) || 'b'", ""),
    ("WITH RECURSIVE r AS (SELECT 'x' AS a UNION ALL SELECT a || a FROM r) SELECT max(length(a)) FROM r", "53200"),
];

#[tokio::test]
async fn one_call_takes_no_more_than_the_query_may_have() {
    let server = TestServer::start(&[]).await;
    let client = server.connect().await;
    client.batch_execute("SET atoll.query_memory = '64MB'").await.unwrap();
    for (query, expected) in GREEDY {
        let started = Instant::now();
        let found = match client.simple_query(query).await {
            Ok(_) => String::new(),
            Err(error) => code(&error),
        };
        assert_eq!(found, *expected, "{query}");
        assert!(started.elapsed() < Duration::from_secs(20), "{query} took {:?}", started.elapsed());
    }
    let pattern = "%a".repeat(10_000);
    let like = |pattern: &str| format!("SELECT repeat('a', 100000) LIKE '{pattern}'");
    assert_eq!(simple_value(&client, &like(&pattern)).await, "t");
    assert_eq!(simple_value(&client, &like(&format!("{pattern}b"))).await, "f");
}
