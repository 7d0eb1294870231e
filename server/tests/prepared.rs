//! Statements that are prepared once and run often: what has changed between two runs counts.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use support::{TestServer, code, simple_value};
use tokio_postgres::{Client, NoTls, Statement};

/// The first column of the only row, as text.
async fn value(client: &Client, statement: &Statement) -> String {
    client.query_one(statement, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn functions_see_the_session_as_it_is() {
    let server = TestServer::start(&[]).await;
    let client = server.connect().await;
    let name = client.prepare("SELECT current_setting('application_name')").await.unwrap();
    let zone = client.prepare("SELECT (timestamptz '2026-07-01 12:00:00+00')::text").await.unwrap();
    let user = client.prepare("SELECT current_user::text").await.unwrap();
    let schema = client.prepare("SELECT current_schema()::text").await.unwrap();
    let now = client.prepare("SELECT now()::text, statement_timestamp()::text").await.unwrap();
    client.batch_execute("CREATE ROLE other; CREATE SCHEMA s").await.unwrap();
    for round in 0..3 {
        client.batch_execute(&format!("SET application_name = 'round {round}'")).await.unwrap();
        assert_eq!(value(&client, &name).await, format!("round {round}"));
        for (zone_name, shown) in [("Europe/Berlin", "2026-07-01 14:00:00+02"), ("UTC", "2026-07-01 12:00:00+00")] {
            client.batch_execute(&format!("SET timezone = '{zone_name}'")).await.unwrap();
            assert_eq!(value(&client, &zone).await, shown);
        }
        assert_eq!(value(&client, &user).await, "atoll");
        client.batch_execute("SET ROLE other").await.unwrap();
        assert_eq!(value(&client, &user).await, "other");
        client.batch_execute("RESET ROLE; SET search_path = s").await.unwrap();
        assert_eq!(value(&client, &schema).await, "s");
        client.batch_execute("SET search_path = public").await.unwrap();
        assert_eq!(value(&client, &schema).await, "public");
    }
    let first = client.query_one(&now, &[]).await.unwrap();
    let second = client.query_one(&now, &[]).await.unwrap();
    assert!(first.get::<_, String>(0) < second.get::<_, String>(0));
    client.batch_execute("BEGIN").await.unwrap();
    let first = client.query_one(&now, &[]).await.unwrap();
    let second = client.query_one(&now, &[]).await.unwrap();
    assert_eq!(first.get::<_, String>(0), second.get::<_, String>(0));
    assert!(first.get::<_, String>(1) < second.get::<_, String>(1));
    client.batch_execute("COMMIT").await.unwrap();
}

#[tokio::test]
async fn tables_are_as_their_source_has_them() {
    let Ok(url) = std::env::var("ATOLL_TEST_POSTGRES_URL") else {
        return println!("SKIPPED tables_are_as_their_source_has_them: ATOLL_TEST_POSTGRES_URL is not set");
    };
    let (source, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let schema = format!("kept_{:08x}", rand::random::<u32>());
    source
        .batch_execute(&format!(
            "CREATE SCHEMA {schema}; SET search_path = {schema}; \
             CREATE TABLE t (id int PRIMARY KEY, v int, w text); \
             INSERT INTO t SELECT g, g * 10, 'w' || g FROM generate_series(1, 100) g"
        ))
        .await
        .unwrap();
    let server = TestServer::start(&["--network-allow", "127.0.0.1"]).await;
    let client = server.connect().await;
    let options = support::postgres_options(&url);
    client
        .batch_execute(&format!(
            "CREATE SERVER pg FOREIGN DATA WRAPPER postgres OPTIONS ({}); \
             CREATE USER MAPPING FOR PUBLIC SERVER pg OPTIONS ({}); \
             IMPORT FOREIGN SCHEMA {schema} FROM SERVER pg INTO public; \
             CREATE VIEW seen AS SELECT v FROM t WHERE id < 3; \
             CREATE ROLE reader; GRANT SELECT ON t TO reader",
            options.server, options.mapping
        ))
        .await
        .unwrap();
    let by_id = client.prepare("SELECT v FROM t WHERE id = $1").await.unwrap();
    let all = client.prepare("SELECT count(*), sum(v) FROM t").await.unwrap();
    let view = client.prepare("SELECT sum(v) FROM seen").await.unwrap();
    let v = async |id: i32| client.query_one(&by_id, &[&id]).await.map(|row| row.get::<_, i32>(0));
    for id in [1, 7, 100, 1] {
        assert_eq!(v(id).await.unwrap(), id * 10);
    }
    assert!(client.query(&by_id, &[&1000]).await.unwrap().is_empty());
    assert!(client.query(&by_id, &[&None::<i32>]).await.unwrap().is_empty());
    let count = async || client.query_one(&all, &[]).await.unwrap().get::<_, i64>(0);
    assert_eq!((count().await, count().await), (100, 100));
    // Rows come and go.
    source.batch_execute("INSERT INTO t VALUES (101, 1010, 'x'); UPDATE t SET v = 11 WHERE id = 1").await.unwrap();
    assert_eq!((count().await, v(101).await.unwrap(), v(1).await.unwrap()), (101, 1010, 11));
    // Columns that are dropped and added under the same name, at another place.
    source
        .batch_execute("ALTER TABLE t ADD x text DEFAULT 'x'; ALTER TABLE t DROP v; ALTER TABLE t ADD v int DEFAULT 7")
        .await
        .unwrap();
    assert_eq!((v(1).await.unwrap(), v(50).await.unwrap()), (7, 7));
    // Another type, which binary values do not tell.
    source.batch_execute("ALTER TABLE t ALTER v TYPE float4").await.unwrap();
    assert_eq!(code(&v(1).await.unwrap_err()), "HV005");
    source.batch_execute("ALTER TABLE t ALTER v TYPE int").await.unwrap();
    assert_eq!(v(1).await.unwrap(), 7);
    source.batch_execute("ALTER TABLE t RENAME TO gone").await.unwrap();
    assert_eq!(code(&v(1).await.unwrap_err()), "HV00R");
    source.batch_execute("ALTER TABLE gone RENAME TO t").await.unwrap();
    assert_eq!(v(1).await.unwrap(), 7);
    // Definitions here.
    let sum = async || client.query_one(&view, &[]).await.map(|row| row.get::<_, Option<i64>>(0));
    assert_eq!((sum().await.unwrap(), sum().await.unwrap()), (Some(14), Some(14)));
    client.batch_execute("CREATE OR REPLACE VIEW seen AS SELECT v FROM t WHERE id < 4").await.unwrap();
    assert_eq!(sum().await.unwrap(), Some(21));
    client.batch_execute("BEGIN; CREATE OR REPLACE VIEW seen AS SELECT v FROM t WHERE id < 2").await.unwrap();
    assert_eq!(sum().await.unwrap(), Some(7));
    client.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(sum().await.unwrap(), Some(21));
    // Rights, of whoever runs it.
    client.batch_execute("SET ROLE reader").await.unwrap();
    assert_eq!(v(1).await.unwrap(), 7);
    assert_eq!(code(&sum().await.unwrap_err()), "42501");
    let administrator = server.connect().await;
    administrator.batch_execute("REVOKE SELECT ON t FROM reader").await.unwrap();
    assert_eq!(code(&v(1).await.unwrap_err()), "42501");
    client.batch_execute("RESET ROLE").await.unwrap();
    assert_eq!(v(1).await.unwrap(), 7);
    // Names.
    client.batch_execute("CREATE SCHEMA front; CREATE VIEW front.t AS SELECT 1 AS id, -1 AS v").await.unwrap();
    client.batch_execute("SET search_path = front, public").await.unwrap();
    assert_eq!(v(1).await.unwrap(), -1);
    client.batch_execute("RESET search_path").await.unwrap();
    assert_eq!(v(1).await.unwrap(), 7);
    // The same from PREPARE, whose plan is kept too.
    client.batch_execute("PREPARE p (int) AS SELECT v FROM t WHERE id = $1").await.unwrap();
    for id in 1..4 {
        assert_eq!(simple_value(&client, &format!("EXECUTE p({id})")).await, "7");
        source.batch_execute(&format!("UPDATE t SET v = 8 WHERE id = {id}")).await.unwrap();
        assert_eq!(simple_value(&client, &format!("EXECUTE p({id})")).await, "8");
    }
    source.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).await.unwrap();
}

/// More statements than plans are kept of, in turn.
#[tokio::test]
async fn many_statements_are_right_in_turn() {
    let server = TestServer::start(&[]).await;
    let client = server.connect().await;
    let mut statements = Vec::new();
    for number in 0..40 {
        statements.push(client.prepare(&format!("SELECT $1::int + {number}")).await.unwrap());
    }
    for round in 0..3 {
        for (number, statement) in (0..).zip(&statements) {
            let sum: i32 = client.query_one(statement, &[&round]).await.unwrap().get(0);
            assert_eq!(sum, round + number);
        }
    }
}
