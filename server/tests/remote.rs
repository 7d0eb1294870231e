//! Work at real sources stops with its statement; the shared catalog's database is reached over TLS. Both need servers, which
//! `ATOLL_TEST_POSTGRES_URL` and `ATOLL_TEST_MYSQL_URL` name.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod raw;
mod support;

use std::time::{Duration, Instant};

use support::{PASSWORD, TestServer, code, simple_value};
use tokio_postgres::{Client, NoTls};

/// How soon the source must have stopped, on a machine that is busy.
const SOON: Duration = Duration::from_millis(1500);

/// User, password, host and port, database of a URL.
fn parts(url: &str) -> (String, String, String, String, String) {
    let (who, rest) = url.split_once("://").unwrap().1.rsplit_once('@').unwrap();
    let (user, password) = who.split_once(':').unwrap();
    let (address, database) = rest.split_once('/').unwrap();
    let (host, port) = address.split_once(':').unwrap();
    (user.into(), password.replace("%20", " "), host.into(), port.into(), database.into())
}

async fn admin(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Somebody who looks at a source's list of running statements.
enum Watcher {
    Postgres(Client, String),
    /// By its own client program, with these arguments.
    MariaDb(Vec<String>, String),
}

impl Watcher {
    /// How many of the slow statements run there.
    async fn count(&self) -> String {
        match self {
            Self::Postgres(client, query) => simple_value(client, query).await,
            Self::MariaDb(arguments, query) => mariadb(arguments, query).unwrap(),
        }
    }

    /// Waits until none runs; says how long that took.
    async fn until_none(&self) -> Duration {
        let started = Instant::now();
        while self.count().await != "0" && started.elapsed() < Duration::from_secs(15) {
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        started.elapsed()
    }

    async fn until_some(&self) {
        let started = Instant::now();
        while self.count().await == "0" {
            assert!(started.elapsed() < Duration::from_secs(15), "nothing slow runs at the source");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
}

/// What MariaDB's client program answers; `None`: it is not installed.
fn mariadb(arguments: &[String], query: &str) -> Option<String> {
    let output = std::process::Command::new("mariadb").args(arguments).args(["-N", "-B", "-e", query]).output().ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

/// Ends a slow statement in each way there is, and looks at the source each time.
async fn stops_everywhere(server: &TestServer, slow: &str, watcher: &Watcher) {
    // A cancel request.
    let client = server.connect().await;
    let token = client.cancel_token();
    let query = slow.to_owned();
    let asking = tokio::spawn(async move { (code(&client.simple_query(&query).await.unwrap_err()), client) });
    watcher.until_some().await;
    token.cancel_query(NoTls).await.unwrap();
    let (sqlstate, client) = asking.await.unwrap();
    assert_eq!(sqlstate, "57014");
    let took = watcher.until_none().await;
    assert!(took < SOON, "after a cancel request the source went on for {took:?}");
    // The statement's time is up.
    client.batch_execute("SET statement_timeout = '800ms'").await.unwrap();
    let started = Instant::now();
    assert_eq!(code(&client.simple_query(slow).await.unwrap_err()), "57014");
    assert!(started.elapsed() < Duration::from_millis(800) + SOON);
    let took = watcher.until_none().await;
    assert!(took < SOON, "after statement_timeout the source went on for {took:?}");
    // The client vanishes.
    let (client, connection) = server.raw().await;
    let connection = tokio::spawn(connection);
    let query = slow.to_owned();
    let asking = tokio::spawn(async move { client.simple_query(&query).await.map(|_| ()) });
    watcher.until_some().await;
    connection.abort();
    asking.abort();
    let took = watcher.until_none().await;
    assert!(took < SOON, "after its client had vanished the source went on for {took:?}");
    // The session is terminated.
    let client = server.connect().await;
    let pid = simple_value(&client, "SELECT pg_backend_pid()").await;
    let query = slow.to_owned();
    let asking = tokio::spawn(async move { code(&client.simple_query(&query).await.unwrap_err()) });
    watcher.until_some().await;
    let other = server.connect().await;
    assert_eq!(simple_value(&other, &format!("SELECT pg_terminate_backend({pid})")).await, "t");
    assert_eq!(asking.await.unwrap(), "57P01");
    let took = watcher.until_none().await;
    assert!(took < SOON, "after pg_terminate_backend the source went on for {took:?}");
}

#[tokio::test]
async fn postgresql_stops_with_the_statement() {
    let Ok(url) = std::env::var("ATOLL_TEST_POSTGRES_URL") else {
        return println!("SKIPPED postgresql_stops_with_the_statement: ATOLL_TEST_POSTGRES_URL is not set");
    };
    let (user, password, host, port, database) = parts(&url);
    let watcher = admin(&url).await;
    let view = format!("slow_{:08x}", rand::random::<u32>());
    watcher.batch_execute(&format!("CREATE VIEW {view} AS SELECT 1 AS a, pg_sleep(60)::text AS b")).await.unwrap();
    let server = TestServer::start(&[]).await;
    let client = server.connect().await;
    client
        .batch_execute(&format!(
            "CREATE SERVER pg FOREIGN DATA WRAPPER postgres OPTIONS (host '{host}', port '{port}', dbname '{database}'); \
             CREATE USER MAPPING FOR atoll SERVER pg OPTIONS (user '{user}', password '{password}')"
        ))
        .await
        .unwrap();
    let running = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%{view}%' AND pid <> pg_backend_pid()"
    );
    let watcher = Watcher::Postgres(watcher, running);
    stops_everywhere(&server, &format!("SELECT * FROM pg.public.{view}"), &watcher).await;
    admin(&url).await.batch_execute(&format!("DROP VIEW {view}")).await.unwrap();
}

#[tokio::test]
async fn mariadb_stops_with_the_statement() {
    let Ok(url) = std::env::var("ATOLL_TEST_MYSQL_URL") else {
        return println!("SKIPPED mariadb_stops_with_the_statement: ATOLL_TEST_MYSQL_URL is not set");
    };
    let (user, password, host, port, database) = parts(&url);
    let server = TestServer::start(&[]).await;
    let client = server.connect().await;
    client
        .batch_execute(&format!(
            "CREATE SERVER my FOREIGN DATA WRAPPER mysql OPTIONS (host '{host}', port '{port}', dbname '{database}'); \
             CREATE USER MAPPING FOR atoll SERVER my OPTIONS (username '{user}', password '{password}')"
        ))
        .await
        .unwrap();
    let arguments =
        [format!("-h{host}"), format!("-P{port}"), format!("-u{user}"), format!("-p{password}"), database.clone()];
    let view = format!("slow_{:08x}", rand::random::<u32>());
    if mariadb(&arguments, &format!("CREATE VIEW {view} AS SELECT 1 AS a, SLEEP(60) AS b")).is_none() {
        return println!("SKIPPED mariadb_stops_with_the_statement: the client program mariadb is not installed");
    }
    let running = format!(
        "SELECT count(*) FROM information_schema.processlist WHERE command IN ('Query', 'Execute') AND info LIKE '%{view}%' \
         AND id <> connection_id()"
    );
    let watcher = Watcher::MariaDb(arguments.to_vec(), running);
    stops_everywhere(&server, &format!("SELECT * FROM my.{database}.{view}"), &watcher).await;
    mariadb(&arguments, &format!("DROP VIEW {view}"));
}

/// A view over live tables shows the columns that it was made with, or says which one is gone.
#[tokio::test]
async fn a_view_over_live_tables_never_shows_other_columns() {
    let Ok(url) = std::env::var("ATOLL_TEST_POSTGRES_URL") else {
        return println!(
            "SKIPPED a_view_over_live_tables_never_shows_other_columns: ATOLL_TEST_POSTGRES_URL is not set"
        );
    };
    let (user, password, host, port, database) = parts(&url);
    let source = admin(&url).await;
    let schema = format!("live_{:08x}", rand::random::<u32>());
    source
        .batch_execute(&format!(
            "CREATE SCHEMA {schema}; SET search_path = {schema}; \
             CREATE TABLE m1 (id int, price text, cost text); INSERT INTO m1 VALUES (1, 'p1', 'c1'); \
             CREATE TABLE m2 (id int, price text, cost text); INSERT INTO m2 VALUES (2, 'p2', 'c2')"
        ))
        .await
        .unwrap();
    let server = TestServer::start(&[]).await;
    let client = server.connect().await;
    client
        .batch_execute(&format!(
            "CREATE SERVER pg FOREIGN DATA WRAPPER postgres OPTIONS (host '{host}', port '{port}', dbname '{database}'); \
             CREATE USER MAPPING FOR atoll SERVER pg OPTIONS (user '{user}', password '{password}'); \
             CREATE VIEW united AS SELECT * FROM pg.{schema}.m1 UNION ALL SELECT * FROM pg.{schema}.m2; \
             CREATE VIEW joined AS SELECT * FROM pg.{schema}.m1 a JOIN pg.{schema}.m2 b USING (id, price, cost); \
             CREATE VIEW ids AS SELECT id FROM (SELECT * FROM pg.{schema}.m1) q"
        ))
        .await
        .unwrap();
    source.batch_execute("ALTER TABLE m1 ADD secret text; ALTER TABLE m2 ADD secret text").await.unwrap();
    assert_eq!(
        simple_value(&client, "SELECT json_agg(u ORDER BY id)::text FROM united u").await,
        concat!(r#"[{"id":1,"price":"p1","cost":"c1"}, "#, "\n ", r#"{"id":2,"price":"p2","cost":"c2"}]"#)
    );
    assert_eq!(simple_value(&client, "SELECT count(*) FROM joined").await, "0");
    // As many columns as before, and of the same types: only the name tells.
    source.batch_execute("ALTER TABLE m1 DROP price; ALTER TABLE m2 DROP price").await.unwrap();
    for view in ["united", "joined"] {
        let error = client.simple_query(&format!("SELECT * FROM {view}")).await.unwrap_err();
        assert_eq!(code(&error), "HV005");
        let error = error.as_db_error().unwrap();
        assert!(error.message().contains("column \"price\""), "{error:?}");
        assert!(error.hint().unwrap().contains(view), "{error:?}");
    }
    // What a view does not depend on may go.
    assert_eq!(simple_value(&client, "SELECT id FROM ids").await, "1");
    source.batch_execute("ALTER TABLE m1 ALTER id TYPE bigint").await.unwrap();
    assert_eq!(code(&client.simple_query("SELECT * FROM ids").await.unwrap_err()), "HV005");
    source.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).await.unwrap();
}

/// Turns TLS on at the PostgreSQL server of the tests, with a certificate made here, and off again.
#[tokio::test]
async fn a_shared_catalog_is_reached_over_tls() {
    let Ok(url) = std::env::var("ATOLL_TEST_POSTGRES_URL") else {
        return println!("SKIPPED a_shared_catalog_is_reached_over_tls: ATOLL_TEST_POSTGRES_URL is not set");
    };
    let (user, _, _, port, _) = parts(&url);
    let password = url.split_once("://").unwrap().1.rsplit_once('@').unwrap().0.split_once(':').unwrap().1.to_owned();
    let admin = admin(&url).await;
    let name = format!("tls_{:08x}", rand::random::<u32>());
    admin.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let [ours, theirs] = ["ours.pem", "theirs.pem"].map(|file| directory.path().join(file).display().to_string());
    std::fs::write(&ours, made.cert.pem()).unwrap();
    std::fs::write(&theirs, other.cert.pem()).unwrap();
    let at = |host: &str, query: &str| format!("postgres://{user}:{password}@{host}:{port}/{name}{query}");

    // Without TLS there: what asks for it fails and says why.
    let error = refused(&at("localhost", "?sslmode=require")).await;
    assert!(error.contains("server does not support TLS"), "{error}");

    set_certificate(&admin, &made.cert.pem(), &made.signing_key.serialize_pem()).await;
    for (host, query) in [
        ("127.0.0.1", "?sslmode=require".to_owned()),
        ("127.0.0.1", String::new()),
        ("127.0.0.1", format!("?sslmode=verify-ca&sslrootcert={ours}")),
        ("127.0.0.1", format!("?sslmode=require&sslrootcert={ours}")),
        ("localhost", format!("?sslmode=verify-full&sslrootcert={ours}")),
    ] {
        let url = at(host, &query);
        let server = TestServer::start_with(
            tempfile::tempdir().unwrap(),
            &[],
            &[("ATOLL_CATALOG_URL", &url), ("ATOLL_MASTER_KEY", &"5a".repeat(32)), ("ATOLL_PASSWORD", PASSWORD)],
        )
        .await;
        let client = server.connect().await;
        client.batch_execute(&format!("CREATE SCHEMA s{:08x}", rand::random::<u32>())).await.unwrap();
        let encrypted = "SELECT bool_and(s.ssl)::text FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) \
                         WHERE a.application_name = 'atoll catalog'";
        assert_eq!(simple_value(&admin, encrypted).await, "true", "{query}");
    }
    for (host, query, told) in [
        ("127.0.0.1", format!("?sslmode=verify-full&sslrootcert={ours}"), "certificate"),
        ("localhost", format!("?sslmode=verify-full&sslrootcert={theirs}"), "certificate"),
        ("localhost", "?sslmode=verify-full".to_owned(), "certificate"),
        ("localhost", "?sslmode=verify-full&sslrootcert=/nowhere.pem".to_owned(), "No such file"),
    ] {
        let error = refused(&at(host, &query)).await;
        assert!(error.contains(told) && !error.contains(&password), "{query}: {error}");
    }
    admin.batch_execute("ALTER SYSTEM RESET ssl").await.unwrap();
    admin.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    admin.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
}

/// What a server says that cannot open its catalog.
async fn refused(url: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_atoll"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(directory.path().join("data"));
    command.env("ATOLL_CATALOG_URL", url).env("ATOLL_PASSWORD", "x");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn set_certificate(admin: &Client, certificate: &str, key: &str) {
    let data = simple_value(admin, "SHOW data_directory").await;
    for (file, pem) in [("server.crt", certificate), ("server.key", key)] {
        let copy = format!("COPY (SELECT unnest(string_to_array($pem${pem}$pem$, E'\\n'))) TO '{data}/{file}'");
        admin.batch_execute(&copy).await.unwrap();
    }
    // PostgreSQL refuses a key that others may read.
    let mode = format!("COPY (SELECT 1) TO PROGRAM 'chmod 600 {data}/server.key'");
    admin.batch_execute(&mode).await.unwrap();
    admin.batch_execute("ALTER SYSTEM SET ssl = on").await.unwrap();
    admin.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    let started = Instant::now();
    while simple_value(admin, "SHOW ssl").await != "on" {
        assert!(started.elapsed() < Duration::from_secs(10), "TLS was not turned on");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
