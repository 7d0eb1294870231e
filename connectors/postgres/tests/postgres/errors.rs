//! What goes wrong is said clearly, and the source works afterwards.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use atoll_connector_api::types::{PgType, oids};
use atoll_connector_api::{ConnectorError, ServerSpec};
use atoll_connector_postgres::connector;

use crate::support::{failure, options, remote, rows};

async fn first_error(spec: ServerSpec) -> ConnectorError {
    connector().open(spec).unwrap().schemas().await.unwrap_err()
}

#[tokio::test]
async fn a_refused_password_is_the_remotes_answer() {
    let Some(remote) = remote("a_refused_password_is_the_remotes_answer").await else { return };
    let mut spec = remote.spec(&[]);
    spec.user_options.set("password", "canary-wrong");
    let error = first_error(spec).await;
    let ConnectorError::Login { server, message } = &error else { panic!("{error}") };
    assert_eq!(server, "remote");
    assert_eq!(message, &format!("password authentication failed for user \"{}\"", remote.user));
    assert!(!format!("{error:?}").contains("canary"));
    let mut spec = remote.spec(&[]);
    spec.user_options = options(&[("user", &remote.user)]);
    let error = first_error(spec).await;
    assert!(
        matches!(&error, ConnectorError::Login { message, .. } if message.contains("asks for a password")),
        "{error}"
    );
    remote.drop_schema().await;
}

#[tokio::test]
async fn an_unreachable_server_is_no_connection() {
    let Some(remote) = remote("an_unreachable_server_is_no_connection").await else { return };
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let error = first_error(remote.spec(&[("host", "127.0.0.1"), ("port", &port)])).await;
    assert!(matches!(error, ConnectorError::Connect { .. }), "{error}");
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("refused"), "{error:?}");
    // A server that never answers.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let started = std::time::Instant::now();
    let error = first_error(remote.spec(&[("host", "127.0.0.1"), ("port", &port), ("connect_timeout", "1")])).await;
    assert!(matches!(error, ConnectorError::Connect { .. }), "{error}");
    assert!(started.elapsed().as_secs() < 5);
    let error = first_error(remote.spec(&[("host", "no-such-host.invalid")])).await;
    assert!(matches!(error, ConnectorError::Connect { .. }), "{error}");
    let error = first_error(remote.spec(&[("dbname", "no such database")])).await;
    assert!(matches!(&error, ConnectorError::Remote { sqlstate, .. } if sqlstate == "3D000"), "{error}");
    remote.drop_schema().await;
}

#[tokio::test]
async fn remote_errors_keep_code_message_and_statement() {
    let Some(remote) = remote("remote_errors_keep_code_message_and_statement").await else { return };
    remote
        .execute(
            "CREATE SEQUENCE s; CREATE VIEW divides AS SELECT 1 / (g - 3) AS a FROM generate_series(1, 5) g; \
             CREATE VIEW writes AS SELECT nextval('s') AS a; CREATE TABLE fine AS SELECT 1 AS a",
        )
        .await;
    let source = remote.source(&[]);
    let context = remote.context(&source, "divides").await;
    let error = failure(&context, "SELECT * FROM divides").await;
    let ConnectorError::Remote { sqlstate, message, remote_sql, server, .. } = &error else { panic!("{error}") };
    assert_eq!((sqlstate.as_str(), message.as_str(), server.as_str()), ("22012", "division by zero", "remote"));
    assert!(remote_sql.as_ref().unwrap().starts_with("SELECT \"a\" FROM"));
    let context = remote.context(&source, "writes").await;
    let error = failure(&context, "SELECT * FROM writes").await;
    assert!(matches!(&error, ConnectorError::Remote { sqlstate, .. } if sqlstate == "25006"), "{error}");
    let context = remote.context(&source, "fine").await;
    assert_eq!(rows(&context, "SELECT * FROM fine").await, [["1"]]);
    remote.drop_schema().await;
}

#[tokio::test]
async fn a_missing_privilege_is_the_remotes_42501() {
    let Some(remote) = remote("a_missing_privilege_is_the_remotes_42501").await else { return };
    let role = format!("{}_nobody", remote.schema);
    remote
        .execute(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'pw'; GRANT USAGE ON SCHEMA {} TO {role}; CREATE TABLE t (a int)",
            remote.schema
        ))
        .await;
    let table = remote.table(&remote.source(&[]), "t").await;
    let mut spec = remote.spec(&[]);
    spec.user_options = options(&[("user", &role), ("password", "pw")]);
    let source = connector().open(spec).unwrap();
    let context = datafusion::prelude::SessionContext::new();
    context.register_table("t", source.provider(table).await.unwrap()).unwrap();
    let error = failure(&context, "SELECT * FROM t").await;
    assert!(
        matches!(&error, ConnectorError::Remote { sqlstate, message, .. }
            if sqlstate == "42501" && message == "permission denied for table t"),
        "{error}"
    );
    remote.drop_schema().await;
    remote.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[tokio::test]
async fn a_changed_table_is_named_with_its_column() {
    let Some(remote) = remote("a_changed_table_is_named_with_its_column").await else { return };
    remote
        .execute("CREATE TYPE mood AS ENUM ('a'); CREATE TABLE t (id int, was text, kind mood, price numeric(6,2))")
        .await;
    let source = remote.source(&[]);
    let table = remote.table(&source, "t").await;
    let problem = async || {
        let context = datafusion::prelude::SessionContext::new();
        context.register_table("t", source.provider(table.clone()).await.unwrap()).unwrap();
        // What does not read the column goes on.
        assert_eq!(rows(&context, "SELECT count(*), count(price) FROM t WHERE price IS NULL").await, [["0", "0"]]);
        let live = source.live_provider(table.clone()).await.unwrap_err();
        match failure(&context, "SELECT * FROM t").await {
            error @ ConnectorError::ColumnChanged { .. } => {
                assert_eq!(error.to_string(), live.to_string());
                error.to_string()
            }
            other => panic!("{other}"),
        }
    };
    remote.execute("ALTER TABLE t RENAME was TO became").await;
    assert_eq!(problem().await, "column \"was\" of foreign table \"public.t\" no longer exists on server \"remote\"");
    remote.execute("ALTER TABLE t RENAME became TO was; ALTER TABLE t ALTER id TYPE bigint").await;
    assert_eq!(
        problem().await,
        "column \"id\" of foreign table \"public.t\" has type bigint, not integer, on server \"remote\""
    );
    remote.execute("ALTER TABLE t ALTER id TYPE int; ALTER TYPE mood ADD VALUE 'b'").await;
    assert!(problem().await.contains("has other labels of type"));
    remote.execute("ALTER TABLE t DROP COLUMN kind; ALTER TABLE t ADD COLUMN kind text").await;
    assert!(problem().await.contains("has type text, not"));
    remote.execute("DROP TABLE t").await;
    let error = source.provider(table.clone()).await.unwrap_err();
    assert!(matches!(error, ConnectorError::TableMissing { .. }), "{error}");
    remote.drop_schema().await;
}

#[tokio::test]
async fn a_column_dropped_after_planning_is_the_remotes_error() {
    let Some(remote) = remote("a_column_dropped_after_planning_is_the_remotes_error").await else { return };
    remote.execute("CREATE TABLE t (a int, b int)").await;
    let source = remote.source(&[]);
    let context = remote.context(&source, "t").await;
    remote.execute("ALTER TABLE t DROP COLUMN b").await;
    let error = failure(&context, "SELECT * FROM t").await;
    assert!(matches!(&error, ConnectorError::Remote { sqlstate, .. } if sqlstate == "42703"), "{error}");
    remote.drop_schema().await;
}

#[tokio::test]
async fn null_under_a_declared_not_null_is_an_error() {
    let Some(remote) = remote("null_under_a_declared_not_null_is_an_error").await else { return };
    remote.execute("CREATE TABLE t (a int); INSERT INTO t VALUES (NULL)").await;
    let source = remote.source(&[]);
    let mut table = remote.table(&source, "t").await;
    table.columns[0].not_null = true;
    let context = datafusion::prelude::SessionContext::new();
    context.register_table("t", source.provider(table).await.unwrap()).unwrap();
    let error = failure(&context, "SELECT * FROM t").await;
    assert!(matches!(error, ConnectorError::Value { sqlstate: "23502", .. }), "{error}");
    remote.drop_schema().await;
}

#[tokio::test]
async fn special_addresses_are_closed_to_users() {
    let Some(remote) = remote("special_addresses_are_closed_to_users").await else { return };
    let mut spec = remote.spec(&[]);
    spec.context.superuser = false;
    let error = first_error(spec.clone()).await;
    assert!(matches!(error, ConnectorError::Denied { .. }), "{error}");
    spec.context.network_allow = vec![remote.host.clone()];
    assert!(!connector().open(spec.clone()).unwrap().schemas().await.unwrap().is_empty());
    // The name that is allowed does not open an address given beside it.
    spec.options.set("host", "db.example");
    spec.options.set("hostaddr", "127.0.0.1");
    spec.context.network_allow = vec!["db.example".into()];
    let error = first_error(spec).await;
    assert!(matches!(error, ConnectorError::Denied { .. }), "{error}");
    remote.drop_schema().await;
}

/// Answers every connection with `reply`, after its first message.
async fn serve(reply: Vec<u8>) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let reply = reply.clone();
            tokio::spawn(async move {
                let mut startup = [0; 1024];
                let _ = stream.read(&mut startup).await;
                let _ = stream.write_all(&reply).await;
                let _ = stream.read(&mut startup).await;
            });
        }
    });
    port
}

fn user_of(port: u16) -> ServerSpec {
    ServerSpec {
        name: "remote".into(),
        options: options(&[
            ("host", "127.0.0.1"),
            ("port", &port.to_string()),
            ("sslmode", "disable"),
            ("connect_timeout", "2"),
        ]),
        user_options: options(&[("user", "u"), ("password", "p")]),
        context: atoll_connector_api::ConnectorContext {
            files: atoll_connector_api::paths::FilesRoots::default(),
            superuser: false,
            network_allow: vec!["127.0.0.1".into()],
        },
    }
}

#[tokio::test]
async fn a_server_that_asks_for_no_password_is_refused_to_users() {
    // AuthenticationOk, BackendKeyData, ReadyForQuery: what a server with `trust` says.
    let trusting = b"R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\0\0\0\x01\0\0\0\x01Z\0\0\0\x05I".to_vec();
    let error = first_error(user_of(serve(trusting).await)).await;
    let ConnectorError::Remote { sqlstate, message, detail, .. } = &error else { panic!("{error}") };
    assert_eq!((sqlstate.as_str(), message.as_str()), ("2F003", "password is required"));
    assert!(detail.as_ref().unwrap().contains("does not request a password"));
}

#[tokio::test]
async fn a_server_that_speaks_nonsense_is_an_error_and_no_more() {
    let nonsense: [&[u8]; 6] =
        [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"R\0\0\0\x08", b"R\xff\xff\xff\xff", b"R\0\0\0\x04", &[0; 64]];
    for reply in nonsense {
        let mut spec = user_of(serve(reply.to_vec()).await);
        spec.context.superuser = true;
        spec.options.set("connect_timeout", "1");
        let error = first_error(spec).await;
        assert!(matches!(error, ConnectorError::Connect { .. }), "{reply:?}: {error:?}");
    }
}

/// An `ErrorResponse` of the fields that are shown.
fn error_response(code: &str, message: &str, detail: &str, hint: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for (kind, text) in [('S', "ERROR"), ('C', code), ('M', message), ('D', detail), ('H', hint)] {
        body.push(u8::try_from(kind).unwrap());
        body.extend(text.as_bytes());
        body.push(0);
    }
    body.push(0);
    framed(b'E', &body)
}

fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind], &length.to_be_bytes()[..], body].concat()
}

/// A server that knows the mapping's password, as every server does that asks for it in the clear.
#[tokio::test]
async fn a_server_cannot_tell_the_mappings_password() {
    let secret = "K4n4r1/ +é";
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    for spelled in [secret, "K4n4r1%2F%20%2B%C3%A9", "SzRuNHIxLyArw6k=", &hex] {
        let text = format!("bad \x1b[31m\"{spelled}\" for you");
        for code in ["28P01", "28000", "57P01", "XX000", spelled] {
            let mut spec = user_of(serve(error_response(code, &text, &text, &text)).await);
            spec.context.superuser = true;
            spec.user_options.set("password", secret);
            let error = first_error(spec).await;
            let whole = format!("{error} {error:?} {}", server_text(&error));
            assert!(!whole.contains(spelled) && !whole.contains(secret), "{code}: {whole}");
            assert!(whole.contains("***") && !whole.contains('\x1b') && !whole.contains("\\u{1b}"), "{code}: {whole}");
            match (code, &error) {
                ("28P01", ConnectorError::Login { message, .. }) => assert_eq!(message, "bad  [31m\"***\" for you"),
                ("28000" | "XX000", ConnectorError::Remote { sqlstate, .. }) => assert_eq!(sqlstate, code),
                ("57P01", ConnectorError::Connect { .. }) => {}
                (_, ConnectorError::Remote { sqlstate, .. }) if code == spelled => assert_eq!(sqlstate, "HV000"),
                _ => panic!("{code}: {error:?}"),
            }
        }
    }
}

/// An error and all of its causes.
fn server_text(error: &ConnectorError) -> String {
    let mut text = String::new();
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = next {
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}

#[tokio::test]
async fn a_servers_long_errors_are_cut() {
    // After the login, where messages may be long.
    let long = "é".repeat(10 << 20);
    let mut reply = b"R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\0\0\0\x01\0\0\0\x01Z\0\0\0\x05I".to_vec();
    reply.extend(error_response("22000", &long, &long, &long));
    let mut spec = user_of(serve(reply).await);
    spec.context.superuser = true;
    spec.options.set("connect_timeout", "20");
    let error = first_error(spec).await;
    let ConnectorError::Remote { sqlstate, message, detail, hint, .. } = &error else { panic!("{error:.200}") };
    assert_eq!(sqlstate, "22000");
    for text in [message, detail.as_ref().unwrap(), hint.as_ref().unwrap()] {
        assert!((8000..8300).contains(&text.len()) && text.ends_with("é… (cut)"), "{}", text.len());
    }
}

#[tokio::test]
async fn a_declared_type_that_cannot_hold_the_remotes_is_refused() {
    let Some(remote) = remote("a_declared_type_that_cannot_hold_the_remotes_is_refused").await else { return };
    remote.execute("CREATE TABLE t (a text)").await;
    let source = remote.source(&[]);
    let mut table = remote.table(&source, "t").await;
    table.columns[0].data_type = PgType::new(oids::INT4);
    let error = source.live_provider(table).await.unwrap_err();
    assert!(error.to_string().contains("has type text, not integer,"), "{error}");
    remote.drop_schema().await;
}
