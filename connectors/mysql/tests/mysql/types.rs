//! Every type, as it arrives.

use atoll_connector_api::types::{PgType, oids};
use atoll_connector_api::{ConnectorError, TableSpec};

use crate::support::{Shop, connector_error, context, lines, query, remote_error, rows, spec};

#[tokio::test]
async fn reads_every_type() {
    let tables = [
        "CREATE TABLE t (id INT, a TINYINT, b TINYINT UNSIGNED, c SMALLINT, d SMALLINT UNSIGNED, e MEDIUMINT UNSIGNED, f INT, g INT UNSIGNED,
            h BIGINT, i BIGINT UNSIGNED, j DECIMAL(65,30), k DECIMAL(10,2) UNSIGNED, l FLOAT, m DOUBLE, n YEAR, o BIT(1), p BIT(64))",
        "INSERT INTO t VALUES (1, -128, 255, -32768, 65535, 16777215, -2147483648, 4294967295, -9223372036854775808,
            18446744073709551615, '12345678901234567890123456789012345.123456789012345678901234567891', 0.01, 1.5, 1.7976931348623157e308, 1901, b'1', ~0),
            (2, 127, 0, 32767, 0, 0, 2147483647, 0, 9223372036854775807, 0, -0.5, 99999999.99, -3.4028235e38, 5e-324, 2155, b'0', 5),
            (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
        "CREATE TABLE s (id INT, a CHAR(5), b VARCHAR(10), c TEXT, d VARCHAR(10) CHARACTER SET latin1, e BINARY(3), f VARBINARY(3), g BLOB,
            h ENUM('small','it''s'), i SET('x','y'), j JSON, k UUID, l INET6, m POINT)",
        "INSERT INTO s VALUES (1, 'ab  ', 'cd  ', 'grüße 🦀', 'é', 'a', x'00ff', '', 'it''s', 'x,y', '{\"a\": [1, null]}',
            '6f9619ff-8b86-d011-b42d-00c04fc964ff', '::1', POINT(1, 2)),
            (2, '', '', '', '', '', '', NULL, 'nothing', '', 'null', NULL, NULL, NULL)",
        "CREATE TABLE w (id INT, a DATE, b DATETIME, c DATETIME(6), d TIMESTAMP(6) NULL, e TIME, f TIME(6))",
        "INSERT INTO w VALUES (1, '1000-01-01', '1000-01-01 00:00:00', '9999-12-31 23:59:59.999999', '1970-01-01 00:00:01', '-838:59:59', '00:00:00.000001'),
            (2, '2024-02-29', '2024-02-29 12:30:00', '1969-12-31 23:59:59.5', '2038-01-19 03:14:07.999999', '838:59:59', '-00:00:00.5'),
            (3, '0000-00-00', '0000-00-00 00:00:00', '2024-00-15 01:02:03', '0000-00-00', '00:00:00', NULL),
            (4, '2023-02-31', NULL, NULL, NULL, NULL, NULL)",
    ];
    let Some(shop) = Shop::new("reads_every_type", &tables).await else { return };
    let context = shop.context("t").await;
    assert_eq!(
        rows(&context, "SELECT * FROM t ORDER BY id").await,
        [
            format!(
                "1|-128|255|-32768|65535|16777215|-2147483648|4294967295|-9223372036854775808|18446744073709551615|\
                 12345678901234567890123456789012345.123456789012345678901234567891|0.01|1.5|1.7976931348623157e308|1901|1|{}",
                "1".repeat(64)
            ),
            format!(
                "2|127|0|32767|0|0|2147483647|0|9223372036854775807|0|-0.500000000000000000000000000000|99999999.99|\
                 -3.4028235e38|5e-324|2155|0|{}101",
                "0".repeat(61)
            ),
            format!("3{}", "|NULL".repeat(16)),
        ]
    );
    let context = shop.context("s").await;
    assert_eq!(
        rows(&context, "SELECT * FROM s ORDER BY id").await,
        [
            "1|ab|cd  |grüße 🦀|é|610000|00ff||it's|x,y|{\"a\": [1, null]}|6f9619ff8b86d011b42d00c04fc964ff|::1|\
             000000000101000000000000000000f03f0000000000000040",
            "2|||||000000||NULL|NULL||null|NULL|NULL|NULL",
        ]
    );
    let schema = context.table("s").await.unwrap().schema().as_arrow().clone();
    let type_of = |name: &str| PgType::of_field(schema.field_with_name(name).unwrap());
    assert_eq!(type_of("h").labels(), ["small", "it's"]);
    assert_eq!(type_of("h").sql_name(), format!("{}_s_h", shop.name));
    assert_eq!((type_of("j").oid, type_of("k").oid, type_of("l").oid), (oids::JSON, oids::UUID, oids::INET));
    let context = shop.context("w").await;
    assert_eq!(
        rows(&context, "SELECT id, a, b, c, d FROM w ORDER BY id").await,
        [
            "1|1000-01-01|1000-01-01T00:00:00|9999-12-31T23:59:59.999999|1970-01-01T00:00:01Z",
            "2|2024-02-29|2024-02-29T12:30:00|1969-12-31T23:59:59.500|2038-01-19T03:14:07.999999Z",
            "3|NULL|NULL|NULL|NULL",
            "4|NULL|NULL|NULL|NULL",
        ]
    );
    let declared =
        shop.declared("w", &[("id", oids::INT4), ("e", oids::TEXT), ("f", oids::TEXT), ("b", oids::TEXT)]).await;
    assert_eq!(
        rows(&declared, "SELECT e, f FROM w ORDER BY id").await,
        ["-838:59:59|00:00:00.000001", "838:59:59|-00:00:00.500000", "00:00:00|NULL", "NULL|NULL"]
    );
    assert_eq!(rows(&declared, "SELECT b FROM w WHERE id = 2").await, ["2024-02-29 12:30:00"]);
    // As MySQL itself prints them: a date alone, and all digits that the type has.
    let texts = [("id", oids::INT4), ("a", oids::TEXT), ("c", oids::TEXT), ("d", oids::TEXT)];
    let declared = shop.declared("w", &texts).await;
    assert_eq!(
        rows(&declared, "SELECT a, c, d FROM w WHERE id <= 2 ORDER BY id").await,
        [
            "1000-01-01|9999-12-31 23:59:59.999999|1970-01-01 00:00:01.000000",
            "2024-02-29|1969-12-31 23:59:59.500000|2038-01-19 03:14:07.999999"
        ]
    );
    assert_eq!(rows(&declared, "SELECT id FROM w WHERE a = '2024-02-29'").await, ["2"]);
    let intervals = shop.context("w").await;
    let all = intervals.sql("SELECT e FROM w ORDER BY id").await.unwrap().collect().await.unwrap();
    assert_eq!(lines(&all)[0], "-838 hours -59 mins -59.000000000 secs");
    shop.end().await;
}

#[tokio::test]
async fn other_declared_types_are_read_or_refused() {
    let tables = [
        "CREATE TABLE t (id INT, flag TINYINT(1), bits BIT(1), wide BIGINT UNSIGNED, at TIME, moment DATETIME, label VARCHAR(10))",
        "INSERT INTO t VALUES (1, 1, b'1', 7, '23:59:59', '2024-01-01', '5'), (2, 2, b'0', 18446744073709551615, '24:00:01', '2024-01-01 10:00:00', 'x')",
    ];
    let Some(shop) = Shop::new("other_declared_types_are_read_or_refused", &tables).await else { return };
    let columns = [
        ("id", oids::INT2),
        ("flag", oids::BOOL),
        ("bits", oids::BOOL),
        ("wide", oids::INT8),
        ("at", oids::TIME),
        ("moment", oids::DATE),
        ("label", oids::INT4),
    ];
    let context = shop.declared("t", &columns).await;
    assert_eq!(rows(&context, "SELECT * FROM t WHERE id = 1").await, ["1|true|true|7|23:59:59|2024-01-01|5"]);
    assert_eq!(rows(&context, "SELECT id FROM t WHERE label = 5 AND id = 1").await, ["1"]);
    for (column, expected) in
        [("flag", "22P02"), ("wide", "22003"), ("at", "22008"), ("moment", "22P02"), ("label", "22P02")]
    {
        let (sqlstate, message) = remote_error(&context, &format!("SELECT {column} FROM t WHERE id = 2")).await;
        assert_eq!(sqlstate, expected, "{message}");
        assert!(message.contains(&format!("column \"{column}\" of foreign table \"public.t\"")), "{message}");
    }
    shop.end().await;
}

#[tokio::test]
async fn says_that_a_label_is_new() {
    let tables =
        ["CREATE TABLE t (id INT, e ENUM('a', 'b'), d DATETIME)", "INSERT INTO t VALUES (1, 'a', '2024-01-01 10:00')"];
    let Some(mut shop) = Shop::new("says_that_a_label_is_new", &tables).await else { return };
    let source = shop.source();
    let options = source.live_options(&shop.name, "t");
    let columns = source.describe(&options).await.unwrap().columns;
    let imported_columns = columns.clone();
    let imported = TableSpec { name: "public.t".into(), options, columns };
    let before = imported.columns[1].data_type.clone();
    shop.run("ALTER TABLE t MODIFY e ENUM('new', 'a', 'b')").await;
    shop.run("INSERT INTO t VALUES (2, 'new', NULL)").await;
    let context = context(&source, "t", imported).await;
    let error = connector_error(&query(&context, "SELECT e FROM t").await.unwrap_err());
    assert!(
        matches!(&error, ConnectorError::Remote { sqlstate, hint: Some(hint), .. } if sqlstate == "22P02" && hint.contains("import")),
        "{error:?}"
    );
    // A live table is what it is now: whoever remembers the old labels has to look again.
    let remembered = TableSpec { columns: imported_columns, ..spec("t", &[]) };
    let error = source.live_provider(remembered).await.unwrap_err();
    assert!(matches!(&error, ConnectorError::ColumnChanged { column, .. } if column == "e"), "{error:?}");
    // The type of the same name with other labels is another one: their values do not compare by their places.
    let options = source.live_options(&shop.name, "t");
    let after = source.describe(&options).await.unwrap().columns[1].data_type.clone();
    assert_eq!(before.sql_name(), after.sql_name());
    assert_ne!(before.oid, after.oid);
    let dated = shop.declared("t", &[("id", oids::INT4), ("d", oids::DATE)]).await;
    let error = connector_error(&query(&dated, "SELECT d FROM t").await.unwrap_err());
    assert!(
        matches!(&error, ConnectorError::Remote { hint: Some(hint), .. } if hint.contains("timestamp")),
        "{error:?}"
    );
    shop.end().await;
}
