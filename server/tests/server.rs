//! The real server, over the wire: sessions, transactions, streaming, cancelling, shutting down.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use support::{TestServer, code, simple_value};
use tokio_postgres::SimpleQueryMessage;

/// A query that computes for minutes without I/O.
const ENDLESS: &str = "SELECT count(*) FROM generate_series(1, 1000000000000) AS a(n) WHERE n % 7 = 3";
/// How soon work must have stopped.
const SOON: Duration = Duration::from_secs(1);

/// Waits until no other session is active, and says how long that took; bounded by ten seconds.
async fn until_idle(client: &tokio_postgres::Client) -> Duration {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(10) {
        let active = simple_value(
            client,
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()",
        )
        .await;
        if active == "0" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    started.elapsed()
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_look_the_same() {
    let server = TestServer::start(&[]).await;
    for user in ["atoll", "nobody_of_that_name"] {
        let error = server.connect_as(user, "wrong", "atoll").await.unwrap_err();
        assert_eq!(code(&error), "28P01");
        assert_eq!(
            error.as_db_error().unwrap().message(),
            format!("password authentication failed for user \"{user}\"")
        );
    }
    server.connect().await;
}

#[tokio::test]
async fn settings_stay_in_their_session() {
    let server = TestServer::start(&[]).await;
    let (first, second) = (server.connect().await, server.connect().await);
    first.batch_execute("SET extra_float_digits = 2; SET my.own = 'x'").await.unwrap();
    assert_eq!(simple_value(&first, "SHOW extra_float_digits").await, "2");
    assert_eq!(simple_value(&second, "SHOW extra_float_digits").await, "1");
    assert_eq!(code(&second.batch_execute("SHOW my.own").await.unwrap_err()), "42704");
}

#[tokio::test]
async fn a_rolled_back_block_leaves_nothing() {
    let server = TestServer::start(&[]).await;
    let client = server.connect().await;
    let other = server.connect().await;
    client.batch_execute("BEGIN; CREATE SCHEMA gone; CREATE ROLE gone_too").await.unwrap();
    let count = "SELECT count(*) FROM pg_namespace WHERE nspname = 'gone'";
    assert_eq!(simple_value(&client, count).await, "1");
    assert_eq!(simple_value(&other, count).await, "0", "uncommitted DDL shows elsewhere");
    client.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(simple_value(&client, count).await, "0");
    assert_eq!(code(&client.batch_execute("BEGIN; SELECT nonsense").await.unwrap_err()), "42703");
    assert_eq!(code(&client.batch_execute("SELECT 1").await.unwrap_err()), "25P02");
    client.batch_execute("ROLLBACK; SELECT 1").await.unwrap();
}

#[tokio::test]
async fn a_cancel_request_stops_the_work_within_a_second() {
    let server = TestServer::start(&[]).await;
    let client = server.connect().await;
    let watcher = server.connect().await;
    let token = client.cancel_token();
    let running = tokio::spawn(async move {
        let error = client.simple_query(ENDLESS).await.unwrap_err();
        (code(&error), client)
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let asked = Instant::now();
    token.cancel_query(tokio_postgres::NoTls).await.unwrap();
    let (code, client) = running.await.unwrap();
    assert_eq!(code, "57014");
    assert!(asked.elapsed() < SOON, "took {:?}", asked.elapsed());
    assert!(until_idle(&watcher).await < SOON);
    assert_eq!(simple_value(&client, "SELECT 1").await, "1");
}

#[tokio::test]
async fn statement_timeout_stops_the_work_within_a_second() {
    let server = TestServer::start(&[]).await;
    let client = server.connect().await;
    client.batch_execute("SET statement_timeout = '300ms'").await.unwrap();
    let started = Instant::now();
    let error = client.simple_query(ENDLESS).await.unwrap_err();
    assert_eq!(code(&error), "57014");
    assert!(started.elapsed() < SOON + Duration::from_millis(300), "took {:?}", started.elapsed());
    assert_eq!(simple_value(&client, "SELECT 1").await, "1");
}

#[tokio::test]
async fn a_client_that_vanishes_ends_its_work() {
    let server = TestServer::start(&[]).await;
    let watcher = server.connect().await;
    let (client, connection) = server.raw().await;
    let connection = tokio::spawn(connection);
    let query = tokio::spawn(async move { client.simple_query(ENDLESS).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    connection.abort();
    query.abort();
    assert!(until_idle(&watcher).await < SOON);
}

#[tokio::test]
async fn a_busy_server_takes_new_connections() {
    let server = TestServer::start(&[]).await;
    let client = server.connect().await;
    let token = client.cancel_token();
    let running = tokio::spawn(async move { client.simple_query(ENDLESS).await.map(|_| ()) });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let started = Instant::now();
    let other = server.connect().await;
    assert_eq!(simple_value(&other, "SELECT 1").await, "1");
    assert!(started.elapsed() < SOON * 2, "took {:?}", started.elapsed());
    token.cancel_query(tokio_postgres::NoTls).await.unwrap();
    running.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn queries_beyond_the_bound_wait_and_those_beyond_the_queue_are_refused() {
    let server = TestServer::start(&["--max-running-queries", "1", "--max-waiting-queries", "1"]).await;
    let (client, watcher) = (server.connect().await, server.connect().await);
    let (patient, refused) = (server.connect().await, server.connect().await);
    let token = client.cancel_token();
    let running = tokio::spawn(async move { client.simple_query(ENDLESS).await.map(|_| ()) });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let small = "SELECT count(*) FROM generate_series(1, 10) AS g(n)";
    let waiting = tokio::spawn(async move { simple_value(&patient, small).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!waiting.is_finished());
    assert_eq!(code(&refused.simple_query(small).await.unwrap_err()), "53400");
    // What reads system tables only tells who runs what.
    assert_eq!(simple_value(&watcher, "SELECT count(*) FROM pg_stat_activity WHERE state = 'active'").await, "3");
    token.cancel_query(tokio_postgres::NoTls).await.unwrap();
    assert_eq!(code(&running.await.unwrap().unwrap_err()), "57014");
    assert_eq!(waiting.await.unwrap(), "10");
    assert_eq!(simple_value(&refused, small).await, "10");
}

#[tokio::test]
async fn a_reader_that_stops_reading_does_not_hold_its_turn() {
    let server = TestServer::start(&["--max-running-queries", "1"]).await;
    let (mut client, other) = (server.connect().await, server.connect().await);
    let transaction = client.transaction().await.unwrap();
    let rows = transaction.bind("SELECT n FROM generate_series(1, 10000000) AS g(n)", &[]).await.unwrap();
    let first: i32 = transaction.query_portal(&rows, 10).await.unwrap()[0].get(0);
    let answer = simple_value(&other, "SELECT count(*) FROM generate_series(1, 10) AS g(n)");
    assert_eq!(tokio::time::timeout(SOON * 10, answer).await.unwrap(), "10");
    assert_eq!(transaction.query_portal(&rows, 10).await.unwrap()[9].get::<_, i32>(0), first + 19);
}

/// Reads rows slowly: the server may hold a few batches, not the result.
#[tokio::test]
async fn a_slow_reader_holds_up_the_producer_and_not_memory() {
    let server = TestServer::start(&[]).await;
    let client = server.connect().await;
    let before = server.resident_mib();
    let started = Instant::now();
    // 50 million rows: buffered they would take gigabytes.
    let rows = client
        .query_raw(
            "SELECT n, n * 3 AS triple, 'a text of some length' AS words FROM generate_series(1, 50000000) AS a(n)",
            Vec::<i32>::new(),
        )
        .await
        .unwrap();
    let mut rows = std::pin::pin!(rows);
    rows.next().await.unwrap().unwrap();
    assert!(started.elapsed() < Duration::from_secs(3), "the first row took {:?}", started.elapsed());
    for _ in 0..20_000 {
        rows.next().await.unwrap().unwrap();
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let grown = server.resident_mib().saturating_sub(before);
    assert!(grown < 150, "the server grew by {grown} MiB while its client slept");
    assert!(server.resident_mib() < 300, "the server holds {} MiB", server.resident_mib());
}

#[tokio::test]
async fn both_protocols_give_the_same_rows() {
    let server = TestServer::start(&[]).await;
    let client = server.connect().await;
    let query = "SELECT n::int4, (SELECT max(m) FROM generate_series(1, 5) AS b(m) WHERE m <= n)::int4 AS top \
                 FROM generate_series(1, 7) AS a(n) ORDER BY 1";
    let simple: Vec<(String, String)> = client
        .simple_query(query)
        .await
        .unwrap()
        .into_iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((row.get(0)?.to_owned(), row.get(1)?.to_owned())),
            _ => None,
        })
        .collect();
    let extended: Vec<(String, String)> = client
        .query_raw(query, Vec::<i32>::new())
        .await
        .unwrap()
        .map_ok(|row| (row.get::<_, i32>(0).to_string(), row.get::<_, i32>(1).to_string()))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(simple, extended);
    assert_eq!(simple[6], ("7".to_owned(), "5".to_owned()));
}

#[tokio::test]
async fn a_second_server_on_the_same_directory_is_refused() {
    let server = TestServer::start(&[]).await;
    let output = server.second().await;
    assert!(!output.status.success());
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("is in use") || message.contains("another"), "{message}");
}

#[tokio::test]
async fn a_terminated_server_tells_its_clients() {
    let mut server = TestServer::start(&["--shutdown-grace", "300ms"]).await;
    let client = server.connect().await;
    let running = tokio::spawn(async move { client.simple_query(ENDLESS).await.unwrap_err() });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let status = server.terminate().await;
    assert!(status.success(), "{status}");
    assert_eq!(code(&running.await.unwrap()), "57P01");
}

/// `atoll serve 2>&1 | head -1`: what nobody reads is lost, and nothing else.
#[tokio::test]
async fn a_server_outlives_the_readers_of_its_output() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_atoll"))
        .args(["serve", "--listen", "127.0.0.1:0", "--log", "atoll=trace", "--data-dir"])
        .arg(directory.path().join("data"))
        .env("ATOLL_PASSWORD", support::PASSWORD)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    let address = lines.map_while(Result::ok).find_map(|line| {
        line.split("listening on ").nth(1).and_then(|text| text.trim().parse::<std::net::SocketAddr>().ok())
    });
    // The reader of the log is gone from here on.
    let port = address.unwrap().port();
    let connect = async |password: &str| {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(port).user("atoll").dbname("atoll").password(password);
        config.connect(tokio_postgres::NoTls).await
    };
    for _ in 0..3 {
        connect("wrong").await.err().unwrap();
        let (client, connection) = connect(support::PASSWORD).await.unwrap();
        tokio::spawn(connection);
        client.simple_query("SELECT nosuch").await.unwrap_err();
        assert_eq!(simple_value(&client, "SELECT 1").await, "1");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}
