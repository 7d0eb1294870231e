//! What is said when something is wrong, and what is never said.

use std::time::{Duration, Instant};

use atoll_connector_api::paths::FilesRoots;
use atoll_connector_api::types::oids;
use atoll_connector_api::{ConnectorContext, ConnectorError, ServerSpec};
use mysql_async::prelude::Queryable;

use crate::support::{Shop, connector_error, context, options, query, remote_error, rows, spec};

#[tokio::test]
async fn reports_refused_logins_and_unreachable_servers() {
    let Some(mut shop) =
        Shop::new("reports_refused_logins_and_unreachable_servers", &["CREATE TABLE t (id INT)"]).await
    else {
        return;
    };
    let user = format!("u{}", std::process::id());
    shop.run(&format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'right-canary'")).await;
    let login = |password: &'static str| shop.source_with(&[], &[("user", &user), ("password", password)]);
    let error = login("wrong-canary").schemas().await.unwrap_err();
    assert!(matches!(&error, ConnectorError::Login { .. }), "{error:?}");
    assert!(!format!("{error:?} {error}").contains("canary"));
    let source = login("right-canary");
    assert!(source.schemas().await.unwrap().is_empty());
    let grant = format!("GRANT SELECT ON `{}`.* TO '{user}'@'%'", shop.name);
    shop.run(&grant).await;
    // Also with a connection in the pool, and in the plan.
    let context = context(&source, "t", spec("t", &[("id", oids::INT4)])).await;
    let plan = context.sql("SELECT * FROM t").await.unwrap().create_physical_plan().await.unwrap();
    let debug = format!("{source:?} {:?} {plan:?}", context.table_provider("t").await.unwrap());
    assert!(debug.contains("ForeignScanExec") && !debug.contains("canary"), "{debug}");

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let error = shop.source_with(&[("port", &closed)], &[]).schemas().await.unwrap_err();
    assert!(matches!(error, ConnectorError::Connect { .. }), "{error:?}");
    let error = shop.source_with(&[("host", "no-such-host.invalid")], &[]).schemas().await.unwrap_err();
    assert!(matches!(error, ConnectorError::Connect { .. }), "{error:?}");
    // One that accepts and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port().to_string();
    let started = Instant::now();
    let error = shop.source_with(&[("host", "127.0.0.1"), ("port", &port), ("connect_timeout", "1")], &[]);
    let error = error.schemas().await.unwrap_err();
    assert!(matches!(error, ConnectorError::Connect { .. }), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(3));
    // Special addresses are for superusers.
    let mut spec = shop.spec(&[("host", "127.0.0.1")], &[]);
    spec.context.superuser = false;
    let error = atoll_connector_mysql::connector().open(spec).unwrap().schemas().await.unwrap_err();
    assert!(matches!(error, ConnectorError::Denied { .. }), "{error:?}");
    shop.run(&format!("DROP USER '{user}'@'%'")).await;
    shop.end().await;
}

#[tokio::test]
async fn keeps_the_remote_error_and_its_sqlstate() {
    let tables = [
        "CREATE TABLE t (id INT)",
        "INSERT INTO t VALUES (1)",
        "CREATE VIEW broken AS SELECT id, POINT(1, 2) AS p FROM t WHERE id > (SELECT 1 UNION ALL SELECT 2)",
    ];
    let Some(mut shop) = Shop::new("keeps_the_remote_error_and_its_sqlstate", &tables).await else { return };
    let context = shop.context("broken").await;
    let (sqlstate, message) = remote_error(&context, "SELECT id FROM broken").await;
    assert_eq!(sqlstate, "21000", "{message}");
    // A killed connection is lost; the next query takes another.
    shop.run("CREATE VIEW slow AS SELECT id, SLEEP(30) AS napping FROM t").await;
    let context = shop.context("slow").await;
    let running = tokio::spawn({
        let context = context.clone();
        async move { query(&context, "SELECT napping FROM slow").await }
    });
    let mut id = None;
    while id.is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
        id = shop
            .conn
            .query_first::<u64, _>(
                "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT `napping`%' AND COMMAND = 'Execute'",
            )
            .await
            .unwrap();
    }
    shop.run(&format!("KILL {}", id.unwrap())).await;
    let error = connector_error(&running.await.unwrap().unwrap_err());
    assert!(matches!(error, ConnectorError::ConnectionLost { .. }), "{error:?}");
    let shown = format!("{}", std::error::Error::source(&error).unwrap());
    assert!(!shown.contains("Input/output error: Input/output error"), "{shown}");
    assert_eq!(rows(&context, "SELECT count(*) FROM slow").await, ["1"]);
    shop.end().await;
}

/// A server that greets, reads one message and answers it with an error.
async fn refusing(code: u16, state: &str, message: &str) -> u16 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn packet(sequence: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap().to_le_bytes();
        [&length[..3], &[sequence], body].concat()
    }
    // Protocol 10, version, thread, salt; capabilities: protocol 4.1, secure connections, plugins.
    let mut greeting = b"\x0a8.0.30\0\x01\0\0\x0012345678\0".to_vec();
    greeting.extend(0x8200_u16.to_le_bytes());
    greeting.extend([45, 2, 0]);
    greeting.extend(0x0008_u16.to_le_bytes());
    greeting.extend([21, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    greeting.extend(b"123456789012\0mysql_native_password\0");
    let refusal = [&[0xff], &code.to_le_bytes()[..], b"#", state.as_bytes(), message.as_bytes()].concat();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut read = [0; 1024];
            let _ = stream.write_all(&packet(0, &greeting)).await;
            let _ = stream.read(&mut read).await;
            let _ = stream.write_all(&packet(2, &refusal)).await;
            let _ = stream.read(&mut read).await;
        }
    });
    port
}

/// A server that knows the mapping's password, as every server does that asks for it in the clear.
#[tokio::test]
async fn a_server_cannot_tell_the_mappings_password() {
    let secret = "K4n4r1/ +é";
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    for spelled in [secret, "K4n4r1%2F%20%2B%C3%A9", "SzRuNHIxLyArw6k=", &hex] {
        for (code, state) in [(1045, "28000"), (1040, "08004"), (1053, "08S01")] {
            let text = format!("bad \x1b[31m\"{spelled}\" {}", "z".repeat(100_000));
            let port = refusing(code, state, &text).await;
            let spec = ServerSpec {
                name: "shop".into(),
                options: options(&[
                    ("host", "127.0.0.1"),
                    ("port", &port.to_string()),
                    ("ssl_mode", "disabled"),
                    ("connect_timeout", "5"),
                ]),
                user_options: options(&[("user", "u"), ("password", secret)]),
                context: ConnectorContext { files: FilesRoots::default(), superuser: true, network_allow: Vec::new() },
            };
            let error = atoll_connector_mysql::connector().open(spec).unwrap().schemas().await.unwrap_err();
            let whole = format!("{error} {error:?}");
            assert!(!whole.contains(spelled) && !whole.contains(secret), "{code}: {whole}");
            let (ConnectorError::Login { message, .. } | ConnectorError::Remote { message, .. }) = &error else {
                panic!("{code}: {whole}")
            };
            assert!(message.starts_with("bad  [31m\"***\" zzz") && message.ends_with("z… (cut)"), "{message}");
            assert!(message.len() < 8300, "{}", message.len());
            assert_eq!(matches!(error, ConnectorError::Login { .. }), code == 1045, "{code}");
        }
    }
}
