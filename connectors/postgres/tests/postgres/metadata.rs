//! Schemas, tables and definitions.

use atoll_connector_api::{ConnectorError, TableKind, TableSummary};

use crate::support::{options, remote};

#[tokio::test]
async fn schemas_and_tables_are_listed() {
    let Some(remote) = remote("schemas_and_tables_are_listed").await else { return };
    remote
        .execute(
            "CREATE TABLE \"Mixed Case\" (a int); CREATE VIEW v AS SELECT 1 AS a; CREATE MATERIALIZED VIEW m AS SELECT 1 AS a; \
             CREATE TABLE p (a int) PARTITION BY RANGE (a); CREATE SEQUENCE s; CREATE INDEX i ON p (a); CREATE TYPE c AS (a int)",
        )
        .await;
    let source = remote.source(&[]);
    let schemas = source.schemas().await.unwrap();
    assert!(schemas.contains(&remote.schema) && schemas.contains(&"public".to_owned()), "{schemas:?}");
    assert!(!schemas.iter().any(|name| name.starts_with("pg_") || name == "information_schema"), "{schemas:?}");
    let summary = |name: &str, kind| TableSummary { name: name.into(), kind };
    assert_eq!(
        source.tables(&remote.schema).await.unwrap(),
        [
            summary("Mixed Case", TableKind::Table),
            summary("m", TableKind::View),
            summary("p", TableKind::Table),
            summary("v", TableKind::View),
        ]
    );
    assert_eq!(source.tables("no such schema").await.unwrap(), []);
    assert_eq!(source.tables("it's").await.unwrap(), []);
    remote.drop_schema().await;
}

#[tokio::test]
async fn only_what_the_user_may_select_is_listed() {
    let Some(remote) = remote("only_what_the_user_may_select_is_listed").await else { return };
    let role = format!("{}_reader", remote.schema);
    remote
        .execute(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'pw'; GRANT USAGE ON SCHEMA {schema} TO {role}; \
             CREATE TABLE open (a int, b int); GRANT SELECT ON open TO {role}; \
             CREATE TABLE half (a int, b int); GRANT SELECT (b) ON half TO {role}; CREATE TABLE closed (a int)",
            schema = remote.schema
        ))
        .await;
    let mut spec = remote.spec(&[]);
    spec.user_options = options(&[("user", &role), ("password", "pw")]);
    let source = atoll_connector_postgres::connector().open(spec).unwrap();
    let names: Vec<_> = source.tables(&remote.schema).await.unwrap().into_iter().map(|table| table.name).collect();
    assert_eq!(names, ["half", "open"]);
    let half = source.describe(&source.live_options(&remote.schema, "half")).await.unwrap();
    assert_eq!(half.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["b"]);
    remote.drop_schema().await;
    remote.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[tokio::test]
async fn a_table_is_described_with_keys_and_comments() {
    let Some(remote) = remote("a_table_is_described_with_keys_and_comments").await else { return };
    remote
        .execute(
            "CREATE TYPE mood AS ENUM ('low', 'high'); \
             CREATE TABLE t (gone int, a int NOT NULL, \"B b\" text, c mood, d varchar(7)[], PRIMARY KEY (c, a) INCLUDE (d)); \
             ALTER TABLE t DROP COLUMN gone; COMMENT ON TABLE t IS 'all of it'; COMMENT ON COLUMN t.a IS 'it''s a'; \
             CREATE TABLE empty ()",
        )
        .await;
    let source = remote.source(&[]);
    let table = source.describe(&source.live_options(&remote.schema, "t")).await.unwrap();
    assert_eq!(table.comment.as_deref(), Some("all of it"));
    assert_eq!(table.primary_key, ["c", "a"]);
    let seen: Vec<_> = table
        .columns
        .iter()
        .map(|column| (column.name.as_str(), column.data_type.sql_name(), column.not_null, column.comment.as_deref()))
        .collect();
    let mood = format!("{}.mood", remote.schema);
    assert_eq!(
        seen,
        [
            ("a", "integer".into(), true, Some("it's a")),
            ("B b", "text".into(), false, None),
            ("c", mood, true, None),
            ("d", "character varying(7)[]".into(), false, None),
        ]
    );
    assert_eq!(table.columns[2].data_type.labels(), ["low", "high"]);
    assert_eq!(table.columns[1].options.get("column_name"), Some("B b"));

    let names = ["t".to_owned(), "empty".to_owned(), "missing".to_owned()];
    let imported = source.import(&remote.schema, &names).await.unwrap().tables;
    assert_eq!(imported.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["empty", "t"]);
    assert_eq!(imported[1].1, table);
    assert!(imported[0].1.columns.is_empty());
    let error = source.import("nowhere", &names).await.unwrap_err();
    assert!(matches!(error, ConnectorError::SchemaMissing { .. }), "{error}");
    let error = source.describe(&source.live_options(&remote.schema, "missing")).await.unwrap_err();
    assert!(matches!(error, ConnectorError::TableMissing { .. }), "{error}");
    remote.drop_schema().await;
}

#[tokio::test]
async fn a_table_without_options_is_found_by_its_own_name() {
    let Some(remote) = remote("a_table_without_options_is_found_by_its_own_name").await else { return };
    remote.execute("CREATE TABLE plain (a int); INSERT INTO plain VALUES (5)").await;
    let source = remote.source(&[]);
    let mut table = remote.table(&source, "plain").await;
    table.options = options(&[]);
    table.name = format!("{}.plain", remote.schema);
    let context = datafusion::prelude::SessionContext::new();
    context.register_table("plain", source.provider(table).await.unwrap()).unwrap();
    assert_eq!(crate::support::rows(&context, "SELECT a FROM plain").await, [["5"]]);
    remote.drop_schema().await;
}

#[tokio::test]
async fn the_row_estimate_is_the_remotes() {
    let Some(remote) = remote("the_row_estimate_is_the_remotes").await else { return };
    remote
        .execute("CREATE TABLE counted AS SELECT g FROM generate_series(1, 5000) g; CREATE TABLE uncounted (a int)")
        .await;
    remote.execute("ANALYZE counted").await;
    let source = remote.source(&[]);
    let counted = source.provider(remote.table(&source, "counted").await).await.unwrap();
    let rows = counted.statistics().unwrap().num_rows;
    assert_eq!(rows, datafusion::common::stats::Precision::Inexact(5000));
    let uncounted = source.provider(remote.table(&source, "uncounted").await).await.unwrap();
    assert!(uncounted.statistics().is_none());
    remote.drop_schema().await;
}

#[tokio::test]
async fn a_table_that_is_known_is_looked_at_all_the_same() {
    let Some(remote) = remote("a_table_that_is_known_is_looked_at_all_the_same").await else { return };
    remote.execute("CREATE TABLE t (a int4, b text); INSERT INTO t VALUES (1, 'x')").await;
    let source = remote.source(&[]);
    let table = remote.table(&source, "t").await;
    for _ in 0..3 {
        let context = datafusion::prelude::SessionContext::new();
        context.register_table("t", source.provider(table.clone()).await.unwrap()).unwrap();
        assert_eq!(crate::support::rows(&context, "SELECT a, b FROM t").await, [["1", "x"]]);
    }
    // Four bytes are four bytes: only the type tells.
    for (change, column) in [
        ("ALTER TABLE t ALTER a TYPE date USING '2000-01-01'", "a"),
        ("ALTER TABLE t DROP a; ALTER TABLE t ADD a float4", "a"),
        ("DROP TABLE t; CREATE TABLE t (a int4, b varchar(3), c mood)", "a"),
        ("ALTER TABLE t RENAME b TO d", "b"),
        ("DROP TABLE t", "t"),
    ] {
        remote.execute("CREATE TYPE mood AS ENUM ('low')").await;
        remote.execute(change).await;
        match (column, source.live_provider(table.clone()).await) {
            ("t", Err(error)) => assert!(matches!(error, ConnectorError::TableMissing { .. }), "{error}"),
            ("a", Ok(_)) => assert!(change.contains("int4"), "{change}"),
            (_, Err(error)) => {
                let ConnectorError::ColumnChanged { column: named, .. } = &error else { panic!("{error}") };
                assert_eq!(named, column, "{change}");
            }
            (_, Ok(_)) => panic!("{change} was not seen"),
        }
        if column != "t" {
            remote.execute("DROP TABLE t; CREATE TABLE t (a int4, b text)").await;
            assert!(source.live_provider(table.clone()).await.is_ok());
        }
        remote.execute("DROP TYPE mood CASCADE").await;
    }
    remote.drop_schema().await;
}
