//! Tables, views and options.

use atoll_connector_api::types::oids;
use atoll_connector_api::{ConnectorError, TableKind};

use crate::support::{Shop, connector_error, context, options, query, rows, spec};

#[tokio::test]
async fn lists_and_describes_tables_and_views() {
    let tables = [
        "CREATE TABLE t (id INT PRIMARY KEY, label VARCHAR(20) NOT NULL COMMENT 'shown', day DATE NOT NULL) COMMENT 'first'",
        "CREATE TABLE pairs (b INT, a INT, PRIMARY KEY (a, b))",
        "CREATE VIEW v AS SELECT id FROM t",
        "CREATE TABLE `odd ``name` (`x``y` INT)",
    ];
    let Some(shop) = Shop::new("lists_and_describes_tables_and_views", &tables).await else { return };
    let source = shop.source();
    assert_eq!(source.schemas().await.unwrap(), std::slice::from_ref(&shop.name));
    let mut unbounded = shop.spec(&[], &[]);
    unbounded.options = unbounded
        .options
        .iter()
        .filter(|(name, _)| *name != "dbname")
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let all = atoll_connector_mysql::connector().open(unbounded).unwrap().schemas().await.unwrap();
    assert!(all.contains(&shop.name) && !all.iter().any(|name| name == "mysql" || name == "information_schema"));
    let summaries = source.tables(&shop.name).await.unwrap();
    let kinds: Vec<_> = summaries.iter().map(|table| (table.name.as_str(), table.kind)).collect();
    assert_eq!(
        kinds,
        [("odd `name", TableKind::Table), ("pairs", TableKind::Table), ("t", TableKind::Table), ("v", TableKind::View)]
    );
    assert!(source.tables("🦀").await.unwrap().is_empty());
    assert!(source.tables("no such schema").await.unwrap().is_empty());

    let definition = source.describe(&options(&[("table_name", "t")])).await.unwrap();
    assert_eq!(definition.comment.as_deref(), Some("first"));
    assert_eq!(definition.primary_key, ["id"]);
    let columns: Vec<_> = definition
        .columns
        .iter()
        .map(|column| (column.name.as_str(), column.data_type.sql_name(), column.not_null, column.comment.as_deref()))
        .collect();
    assert_eq!(
        columns,
        [
            ("id", "integer".to_owned(), true, None),
            ("label", "character varying(20)".to_owned(), true, Some("shown")),
            // A zero date would be NULL.
            ("day", "date".to_owned(), false, None),
        ]
    );
    let imported = source.import(&shop.name, &["v".into(), "pairs".into()]).await.unwrap().tables;
    assert_eq!(imported[0].0, "v");
    assert_eq!(imported[1].1.primary_key, ["a", "b"]);
    assert!(matches!(source.import("nowhere", &[]).await, Err(ConnectorError::SchemaMissing { .. })));
    assert!(matches!(source.import(&shop.name, &["nowhere".into()]).await, Err(ConnectorError::TableMissing { .. })));
    let missing = source.describe(&options(&[("table_name", "nowhere")])).await.unwrap_err();
    assert!(matches!(missing, ConnectorError::TableMissing { .. }), "{missing:?}");
    let odd = shop.context("odd `name").await;
    assert!(rows(&odd, "SELECT * FROM \"odd `name\" WHERE \"x`y\" = 1").await.is_empty());
    shop.end().await;
}

#[tokio::test]
async fn says_which_column_is_gone() {
    let tables = ["CREATE TABLE t (id INT, label VARCHAR(10))", "INSERT INTO t VALUES (1, 'x')"];
    let Some(mut shop) = Shop::new("says_which_column_is_gone", &tables).await else { return };
    let source = shop.source();
    let before = context(&source, "t", spec("t", &[("id", oids::INT4), ("label", oids::TEXT)])).await;
    assert_eq!(rows(&before, "SELECT label FROM t WHERE label = 'x'").await, ["x"]);
    shop.run("ALTER TABLE t CHANGE label title VARCHAR(10)").await;
    let error = connector_error(&query(&before, "SELECT label FROM t").await.unwrap_err());
    assert!(matches!(&error, ConnectorError::ColumnChanged { column, .. } if column == "label"), "{error:?}");
    let columns = [("id", oids::INT4), ("label", oids::TEXT)];
    let error = source.live_provider(spec("t", &columns)).await.unwrap_err();
    assert!(matches!(&error, ConnectorError::ColumnChanged { column, .. } if column == "label"), "{error:?}");
    let after = context(&source, "t", spec("t", &columns)).await;
    for reading in ["SELECT label FROM t", "SELECT id FROM t WHERE label = 'x'"] {
        let error = connector_error(&query(&after, reading).await.unwrap_err());
        assert!(matches!(&error, ConnectorError::ColumnChanged { column, .. } if column == "label"), "{error:?}");
    }
    assert_eq!(rows(&after, "SELECT id FROM t WHERE id = 1 ORDER BY id LIMIT 1").await, ["1"]);
    assert_eq!(rows(&after, "SELECT count(*) FROM t").await, ["1"]);
    let mut renamed = spec("t", &[("label", oids::TEXT)]);
    renamed.columns[0].options = options(&[("column_name", "TITLE")]);
    let again = context(&source, "t", renamed).await;
    assert_eq!(rows(&again, "SELECT label FROM t WHERE label = 'x'").await, ["x"]);
    shop.run("DROP TABLE t").await;
    let error = connector_error(&query(&again, "SELECT label FROM t").await.unwrap_err());
    assert!(matches!(error, ConnectorError::TableMissing { .. }), "{error:?}");
    // The pool is usable afterwards.
    assert!(source.tables(&shop.name).await.unwrap().is_empty());
    shop.end().await;
}

#[tokio::test]
async fn checks_options_when_they_are_given() {
    use atoll_connector_api::options::check_options;
    use atoll_connector_api::{OptionScope, Options};

    let connector = atoll_connector_mysql::connector();
    let check = |scope, pairs: &[(&'static str, &'static str)]| {
        check_options(connector.options(), scope, pairs.iter().copied())
    };
    assert!(check(OptionScope::Server, &[("host", "h"), ("ssl_mode", "VERIFY_CA"), ("fetch_size", "10")]).is_ok());
    for (name, value) in [("ssl_mode", "sometimes"), ("port", "0"), ("max_connections", "1000"), ("host", "")] {
        let error = check(OptionScope::Server, &[(name, value)]).unwrap_err();
        assert!(matches!(&error, ConnectorError::OptionValue { option, .. } if option == name), "{error:?}");
    }
    for host in [" 127.0.0.1", "127.0.0.1 ", "a,b", "a b", "a\nb", "/tmp", "\0"] {
        let error = check(OptionScope::Server, &[("host", host)]).unwrap_err();
        assert!(
            matches!(&error, ConnectorError::OptionValue { option, .. } if option == "host"),
            "{host:?}: {error:?}"
        );
    }
    for host in ["db.example", "127.0.0.1", "::1", "[::1]"] {
        check(OptionScope::Server, &[("host", host)]).unwrap();
    }
    let error = check(OptionScope::Table, &[("tabel_name", "x")]).unwrap_err();
    assert!(matches!(&error, ConnectorError::UnknownOption { valid, .. } if valid == &["dbname", "table_name"]));
    let both = Options::from_iter([("user".to_owned(), "a".to_owned()), ("username".to_owned(), "b".to_owned())]);
    assert!(connector.check(OptionScope::UserMapping, &both).is_err());
}
