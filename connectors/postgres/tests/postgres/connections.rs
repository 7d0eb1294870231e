//! Connections are bounded, used again, replaced when broken, and ended with their query.

use std::time::{Duration, Instant};

use futures::StreamExt;

use atoll_connector_api::ConnectorError;

use crate::support::{Remote, cause, remote, rows};

async fn connections(remote: &Remote, name: &str) -> usize {
    let rows = remote.text(&format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = '{name}'")).await;
    rows[0][0].as_ref().unwrap().parse().unwrap()
}

async fn until(limit: Duration, mut holds: impl AsyncFnMut() -> bool) -> bool {
    let started = Instant::now();
    while started.elapsed() < limit {
        if holds().await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_scan_ends_the_remote_query_within_a_second() {
    let Some(remote) = remote("a_dropped_scan_ends_the_remote_query_within_a_second").await else { return };
    remote
        .execute(
            "CREATE VIEW slow AS SELECT g AS id FROM generate_series(1, 1000000) g WHERE pg_sleep(0.01)::text = ''; \
             CREATE VIEW busy AS SELECT count(*) AS n FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b; \
             CREATE VIEW wide AS SELECT g AS id, repeat('x', 1000) AS filler FROM generate_series(1, 10000000) g",
        )
        .await;
    let source = remote.source(&[]);
    for table in ["slow", "busy", "wide"] {
        let context = remote.context(&source, table).await;
        let frame = context.sql(&format!("SELECT * FROM {table}")).await.unwrap();
        let mut stream = frame.execute_stream().await.unwrap();
        // The first poll starts the query; some rows may come.
        let _ = tokio::time::timeout(Duration::from_millis(400), stream.next()).await;
        assert!(until(Duration::from_secs(5), async || remote.running().await == 1).await, "{table} does not run");
        drop(stream);
        assert!(until(Duration::from_secs(1), async || remote.running().await == 0).await, "{table} still runs");
    }
    remote.drop_schema().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_come_slowly_are_not_held_back() {
    let Some(remote) = remote("rows_that_come_slowly_are_not_held_back").await else { return };
    remote
        .execute("CREATE VIEW drips AS SELECT g AS id, repeat('x', 9000) AS filler FROM generate_series(1, 60) g WHERE pg_sleep(0.05)::text = ''")
        .await;
    let source = remote.source(&[]);
    let context = remote.context(&source, "drips").await;
    let started = Instant::now();
    let mut stream = context.sql("SELECT * FROM drips").await.unwrap().execute_stream().await.unwrap();
    let first = stream.next().await.unwrap().unwrap();
    assert!(first.num_rows() < 60 && started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    drop(stream);
    remote.drop_schema().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_bounded_and_used_again() {
    let Some(remote) = remote("connections_are_bounded_and_used_again").await else { return };
    let name = format!("{}_bounded", remote.schema);
    remote.execute("CREATE VIEW short AS SELECT 1 AS a WHERE pg_sleep(0.3)::text = ''").await;
    let source = remote.source(&[("max_connections", "2"), ("application_name", &name)]);
    let context = remote.context(&source, "short").await;
    assert_eq!(connections(&remote, &name).await, 1);
    let scans = futures::future::join_all((0..8).map(|_| rows(&context, "SELECT * FROM short")));
    let mut most = 0;
    let count = async {
        loop {
            most = most.max(connections(&remote, &name).await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let started = Instant::now();
    tokio::select! {
        answers = scans => assert!(answers.iter().all(|answer| *answer == [["1"]])),
        () = count => {}
    }
    assert_eq!(most, 2);
    // Eight queries of 0.3 s, two at a time.
    assert!(started.elapsed() >= Duration::from_millis(1200), "{:?}", started.elapsed());
    drop((context, source));
    assert!(until(Duration::from_secs(2), async || connections(&remote, &name).await == 0).await);
    remote.drop_schema().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_that_broke_is_replaced() {
    let Some(remote) = remote("an_idle_connection_that_broke_is_replaced").await else { return };
    let name = format!("{}_idle", remote.schema);
    remote.execute("CREATE TABLE t AS SELECT 1 AS a").await;
    let source = remote.source(&[("application_name", &name)]);
    let context = remote.context(&source, "t").await;
    for _ in 0..5 {
        assert_eq!(rows(&context, "SELECT a FROM t").await, [["1"]]);
        remote
            .execute(&format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{name}'"
            ))
            .await;
    }
    assert_eq!(rows(&context, "SELECT a FROM t").await, [["1"]]);
    remote.drop_schema().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_lost_in_mid_scan_is_an_error_and_no_end() {
    let Some(remote) = remote("a_connection_lost_in_mid_scan_is_an_error_and_no_end").await else { return };
    let name = format!("{}_lost", remote.schema);
    remote.execute("CREATE TABLE t AS SELECT g AS a, repeat('x', 500) AS b FROM generate_series(1, 300000) g").await;
    let source = remote.source(&[("application_name", &name)]);
    let context = remote.context(&source, "t").await;
    let mut stream = context.sql("SELECT * FROM t").await.unwrap().execute_stream().await.unwrap();
    let mut seen = stream.next().await.unwrap().unwrap().num_rows();
    remote
        .execute(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{name}'"))
        .await;
    let error = loop {
        match stream.next().await {
            Some(Ok(batch)) => seen += batch.num_rows(),
            Some(Err(error)) => break cause(&error),
            None => panic!("the scan ended after {seen} rows"),
        }
    };
    assert!(matches!(error, ConnectorError::ConnectionLost { .. }), "{error}");
    assert!(seen < 300_000);
    drop(stream);
    assert_eq!(rows(&context, "SELECT count(*) FROM t").await, [["300000"]]);
    remote.drop_schema().await;
}

#[tokio::test]
async fn the_session_is_set_up_the_same_whatever_the_role_says() {
    let Some(remote) = remote("the_session_is_set_up_the_same_whatever_the_role_says").await else { return };
    let role = format!("{}_odd", remote.schema);
    remote
        .execute(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'pw'; GRANT USAGE ON SCHEMA {schema} TO {role}; \
             ALTER ROLE {role} SET TimeZone = 'Asia/Seoul'; ALTER ROLE {role} SET DateStyle = 'German'; \
             ALTER ROLE {role} SET IntervalStyle = 'iso_8601'; ALTER ROLE {role} SET extra_float_digits = -5; \
             ALTER ROLE {role} SET bytea_output = 'escape'; ALTER ROLE {role} SET standard_conforming_strings = off; \
             CREATE TABLE t AS SELECT '{{1.0000000001}}'::float8[] AS f, '{{2024-01-02 00:00:00+00}}'::timestamptz[] AS z, \
               '{{1 day}}'::interval[] AS i, E'a\\\\b' AS s; GRANT SELECT ON t TO {role}",
            schema = remote.schema
        ))
        .await;
    let mut spec = remote.spec(&[]);
    spec.user_options = crate::support::options(&[("user", &role), ("password", "pw")]);
    let source = atoll_connector_postgres::connector().open(spec).unwrap();
    let context = remote.context(&source, "t").await;
    assert_eq!(
        rows(&context, "SELECT f, z, i, s FROM t WHERE s = 'a\\b'").await,
        [["{1.0000000001}", "{\"2024-01-02 00:00:00+00\"}", "{\"1 day\"}", "a\\b"]]
    );
    remote.drop_schema().await;
    remote.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[tokio::test]
async fn a_socket_directory_is_a_host() {
    let Some(remote) = remote("a_socket_directory_is_a_host").await else { return };
    let directories = remote.text("SHOW unix_socket_directories").await[0][0].clone().unwrap_or_default();
    let directory = directories.split(',').next().unwrap_or_default().trim().to_owned();
    let path = std::path::Path::new(&directory).join(format!(".s.PGSQL.{}", remote.port));
    if !directory.starts_with('/') || std::os::unix::net::UnixStream::connect(path).is_err() {
        println!("SKIPPED a_socket_directory_is_a_host: the server has no socket here");
        return remote.drop_schema().await;
    }
    let source = remote.source(&[("host", &directory), ("sslmode", "require")]);
    assert!(source.schemas().await.unwrap().contains(&remote.schema));
    remote.drop_schema().await;
}
