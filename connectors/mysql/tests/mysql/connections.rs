//! How sessions begin, end and are shared.

use std::time::{Duration, Instant};

use atoll_connector_api::ConnectorError;
use atoll_connector_api::paths::FilesRoots;
use atoll_connector_api::types::oids;
use futures::StreamExt;
use mysql_async::prelude::Queryable;

use crate::support::{Shop, context, query, rows, spec};

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
