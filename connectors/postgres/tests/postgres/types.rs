//! Every type survives the trip: its values print as PostgreSQL prints them, and its name is PostgreSQL's.

use arrow::array::Array;
use arrow::record_batch::RecordBatch;

use atoll_connector_api::ConnectorError;
use atoll_connector_api::types::{PgType, oids};

use crate::support::{failure, printed, remote};

const TYPES: &str = "
    CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'very happy');
    CREATE TYPE address AS (street text, number int);
    CREATE TYPE floatrange AS RANGE (subtype = float8);
    CREATE DOMAIN positive AS numeric(8,3) CHECK (VALUE > 0);
    CREATE DOMAIN very_positive AS positive CHECK (VALUE > 1);
    CREATE DOMAIN moods AS mood;
    CREATE DOMAIN host AS inet;";

/// A type, and literals of it.
const VALUES: &[(&str, &[&str])] = &[
    ("bool", &["t", "f"]),
    ("int2", &["-32768", "32767", "0"]),
    ("int4", &["-2147483648", "2147483647"]),
    ("int8", &["-9223372036854775808", "9223372036854775807"]),
    ("oid", &["0", "4294967295"]),
    ("float4", &["0", "-0", "1e-45", "3.4028235e38", "0.1", "NaN", "Infinity", "-Infinity"]),
    ("float8", &["0", "-0", "5e-324", "1.7976931348623157e308", "0.1", "NaN", "Infinity", "-Infinity"]),
    (
        "numeric",
        &["0", "-0.00", "1e-300", "123456789012345678901234567890.0987654321", "NaN", "Infinity", "-Infinity", "1e400"],
    ),
    ("numeric(10,2)", &["99999999.99", "-99999999.99", "0", "NaN", "0.01"]),
    ("numeric(38,0)", &["99999999999999999999999999999999999999", "-1"]),
    (
        "numeric(76,30)",
        &["9999999999999999999999999999999999999999999999.999999999999999999999999999999", "NaN", "-0.5"],
    ),
    ("numeric(100,2)", &["12345678901234567890123456789012345678901234567890123456789012345678901234567890.12"]),
    ("numeric(3,-2)", &["12300"]),
    ("numeric(3,5)", &["0.00123"]),
    ("text", &["", "plain", "  spaces  ", "日本語 🦀", "quote ' back \\ slash", "tab\tline\nend"]),
    ("varchar(5)", &["", "abcde", "äöüß "]),
    ("varchar", &["x"]),
    ("char(5)", &["", "ab", "abcde"]),
    ("char", &["a"]),
    ("bpchar", &["no length"]),
    ("\"char\"", &["a", ""]),
    ("name", &["pg_catalog", ""]),
    ("bytea", &["\\x", "\\x00ff5c27"]),
    (
        "date",
        &[
            "4714-11-24 BC",
            "0001-12-31 BC",
            "0001-01-01",
            "1969-12-31",
            "2024-02-29",
            "5874897-12-31",
            "infinity",
            "-infinity",
        ],
    ),
    ("time", &["00:00:00", "23:59:59.999999", "24:00:00"]),
    ("time(3)", &["12:34:56.789"]),
    ("timetz", &["00:00:00+15:59", "23:59:59.999999-15:59:59", "12:00:00+05:30"]),
    (
        "timestamp",
        &[
            "4714-11-24 00:00:00 BC",
            "1969-12-31 23:59:59.999999",
            "294246-12-31 23:59:59.999999",
            "infinity",
            "-infinity",
            "0044-03-15 12:00:00 BC",
        ],
    ),
    (
        "timestamptz",
        &[
            "4714-11-24 00:00:00+00 BC",
            "2024-06-30 12:00:00.5+02",
            "294246-12-31 23:59:59.999999+00",
            "infinity",
            "-infinity",
        ],
    ),
    ("timestamptz(0)", &["2024-06-30 12:00:00.5+00"]),
    (
        "interval",
        &[
            "0",
            "1 year 2 mons -3 days 04:05:06.789",
            "-178000000 years",
            "178000000 years",
            "1 day -00:00:00.000001",
            "2562047:47:16.854775",
        ],
    ),
    ("uuid", &["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"]),
    ("json", &["{\"b\": 1,  \"a\": [null, 1.0]}", "null", "\"\\u00e9\""]),
    ("jsonb", &["{\"b\": 1,  \"a\": [null, 1.0]}", "null", "1e3"]),
    ("xml", &["<a>b</a>", "<?xml version=\"1.0\" encoding=\"UTF-8\"?><a/>"]),
    ("inet", &["10.0.0.1", "10.0.0.1/8", "::1", "2001:db8::/32"]),
    ("cidr", &["10.0.0.0/8", "::/0"]),
    ("macaddr", &["08:00:2b:01:02:03"]),
    ("macaddr8", &["08:00:2b:01:02:03:04:05"]),
    ("money", &["-92233720368547758.08", "12.34", "1234567.89"]),
    ("bit(3)", &["101"]),
    ("varbit(9)", &["", "101010101"]),
    ("point", &["(1.5,-2)"]),
    ("box", &["(3,4),(1,2)"]),
    ("tsvector", &["'a':1 'cat':2"]),
    ("pg_lsn", &["16/B374D848"]),
    ("int4range", &["empty", "[1,10)", "(,)", "[5,)"]),
    ("numrange", &["[1.50,2.5]"]),
    ("daterange", &["[2024-01-01,infinity)"]),
    ("tsrange", &["[\"2024-01-01 00:00:00\",\"2024-01-02 00:00:00\")"]),
    ("tstzrange", &["[\"2024-01-01 00:00:00+00\",)"]),
    ("int4multirange", &["{[1,2),[5,7)}", "{}"]),
    ("mood", &["sad", "it's ok", "very happy"]),
    ("moods", &["sad"]),
    ("address", &["(\"Main, St\",5)", "(,)"]),
    ("floatrange", &["[1.5,2.5)"]),
    ("positive", &["0.001", "99999.999"]),
    ("very_positive", &["2.5"]),
    ("host", &["10.1.1.1"]),
    ("int4[]", &["{}", "{1,NULL,3}", "{{1,2},{3,4}}", "[0:1]={5,6}", "{{{1},{2}}}"]),
    ("text[]", &["{}", "{a,NULL,\"NULL\",\"\",\"with \\\"quotes\\\" and \\\\\",\"x,y\",\"{}\"}"]),
    ("numeric(6,2)[]", &["{1.50,NaN,NULL}"]),
    ("bool[]", &["{t,f,NULL}"]),
    ("timestamptz[]", &["{\"2024-06-30 12:00:00+00\",infinity,NULL}"]),
    ("date[]", &["{2024-01-01,\"0044-03-15 BC\"}"]),
    ("uuid[]", &["{00000000-0000-0000-0000-000000000000}"]),
    ("jsonb[]", &["{\"{\\\"a\\\": 1}\"}"]),
    ("bytea[]", &["{\"\\\\x00ff\"}"]),
    ("inet[]", &["{10.0.0.1,::1/64}"]),
    ("interval[]", &["{\"1 day\",NULL}"]),
    ("char(3)[]", &["{ab,abc}"]),
    ("mood[]", &["{sad,\"it's ok\",NULL}", "{{sad},{sad}}"]),
    ("address[]", &["{\"(a,1)\",NULL}"]),
    ("int4range[]", &["{\"[1,5)\",empty}"]),
    ("positive[]", &["{0.500,NULL}"]),
    ("regclass", &["pg_class"]),
    ("int2vector", &["1 2 3"]),
    ("pg_snapshot", &["10:20:10,14"]),
];

async fn read(context: &datafusion::prelude::SessionContext, sql: &str) -> Vec<RecordBatch> {
    context.sql(sql).await.unwrap().collect().await.unwrap()
}

#[tokio::test]
async fn every_type_survives_the_round_trip() {
    let Some(remote) = remote("every_type_survives_the_round_trip").await else { return };
    remote.execute(TYPES).await;
    let source = remote.source(&[]);
    let columns: Vec<String> = VALUES.iter().enumerate().map(|(index, (name, _))| format!("c{index} {name}")).collect();
    remote.execute(&format!("CREATE TABLE every (id int, {})", columns.join(", "))).await;
    let longest = VALUES.iter().map(|(_, values)| values.len()).max().unwrap();
    for id in 0..=longest {
        let values: Vec<String> = VALUES
            .iter()
            .map(|(name, values)| match values.get(id) {
                Some(value) => format!("'{}'::{name}", value.replace('\'', "''")),
                None => "NULL".to_owned(),
            })
            .collect();
        remote.execute(&format!("INSERT INTO every VALUES ({id}, {})", values.join(", "))).await;
    }

    let table = remote.table(&source, "every").await;
    for (column, (name, _)) in table.columns.iter().skip(1).zip(VALUES) {
        let expected = remote
            .text(&format!(
                "SELECT format_type(coalesce(nullif(b.typbasetype, 0), nullif(t.typbasetype, 0), t.oid), \
                        CASE WHEN t.typbasetype = 0 THEN a.atttypmod WHEN b.typbasetype = 0 THEN t.typtypmod ELSE b.typtypmod END) \
                 FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type b ON b.oid = t.typbasetype \
                 WHERE attrelid = 'every'::regclass AND attname = '{}'",
                column.name
            ))
            .await;
        let expected = expected[0][0].clone().unwrap();
        let seen = column.data_type.sql_name().replace(&format!("{}.", remote.schema), "");
        // An array of a domain is an array of what the domain is made of, with its modifier on the elements.
        let expected = if expected == "positive[]" { "numeric(8,3)[]".to_owned() } else { expected };
        let without_modifier = |text: &str| {
            text.split_once('(').map_or(text.to_owned(), |(head, tail)| {
                format!("{head}{}", tail.split_once(')').map_or("", |(_, rest)| rest))
            })
        };
        assert!(
            seen == expected || without_modifier(&seen) == without_modifier(&expected),
            "{name}: {seen} instead of {expected}"
        );
        if !name.contains("interval") && !name.starts_with("numeric(3") {
            assert_eq!(seen, expected, "{name}");
        }
    }

    let expected = remote.text("SELECT * FROM every ORDER BY id").await;
    let context = remote.context(&source, "every").await;
    let batches = read(&context, "SELECT * FROM every ORDER BY id").await;
    let mut seen = Vec::new();
    for batch in &batches {
        for (index, column) in table.columns.iter().enumerate() {
            assert_eq!(PgType::of_field(batch.schema().field(index)), column.data_type);
            assert_eq!(batch.column(index).data_type(), &column.data_type.storage());
        }
        seen.extend(
            (0..batch.num_rows())
                .map(|row| (0..batch.num_columns()).map(|column| printed(batch, column, row)).collect::<Vec<_>>()),
        );
    }
    assert_eq!(seen.len(), longest + 1);
    for (seen, expected) in seen.iter().zip(&expected) {
        for (index, (seen, expected)) in seen.iter().zip(expected).enumerate().skip(1) {
            assert_eq!(seen, expected, "{}", VALUES[index - 1].0);
        }
    }
    remote.drop_schema().await;
}

#[tokio::test]
async fn what_does_not_fit_is_an_error_that_names_the_column() {
    let Some(remote) = remote("what_does_not_fit_is_an_error_that_names_the_column").await else { return };
    let source = remote.source(&[]);
    remote.execute("CREATE TABLE late (at timestamp); INSERT INTO late VALUES ('294276-12-31')").await;
    let context = remote.context(&source, "late").await;
    // Arrow's microseconds count from 1970, PostgreSQL's from 2000: the last thirty years do not fit.
    let error = failure(&context, "SELECT * FROM late").await;
    let ConnectorError::Value { sqlstate, message, .. } = error else { panic!("{error}") };
    assert_eq!(sqlstate, "22008");
    assert!(message.contains("column \"at\" of foreign table \"public.late\""), "{message}");
    remote.drop_schema().await;
}

#[tokio::test]
async fn a_widened_declaration_reads_the_text() {
    let Some(remote) = remote("a_widened_declaration_reads_the_text").await else { return };
    remote.execute("CREATE TABLE wide (a int, b bool, c inet, d char(4), e float4, f jsonb)").await;
    remote.execute("INSERT INTO wide VALUES (7, true, '10.0.0.1', 'ab', 0.1, '{\"a\":1}'), (NULL, NULL, NULL, NULL, NULL, NULL)").await;
    let source = remote.source(&[]);
    let mut table = remote.table(&source, "wide").await;
    let declared = [oids::INT8, oids::TEXT, oids::TEXT, oids::TEXT, oids::FLOAT8, oids::TEXT];
    for (column, oid) in table.columns.iter_mut().zip(declared) {
        column.data_type = PgType::new(oid);
    }
    let provider = source.provider(table).await.unwrap();
    let context = datafusion::prelude::SessionContext::new();
    context.register_table("wide", provider).unwrap();
    let batches = read(&context, "SELECT * FROM wide WHERE a = 7").await;
    let seen: Vec<_> = (0..6).map(|column| printed(&batches[0], column, 0).unwrap()).collect();
    assert_eq!(seen, ["7", "t", "10.0.0.1", "ab  ", "0.1", "{\"a\": 1}"]);
    remote.drop_schema().await;
}
