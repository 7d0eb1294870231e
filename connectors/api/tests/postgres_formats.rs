//! The text and binary formats against a real PostgreSQL: the same literals under every output setting, byte for byte.
//!
//! Needs `ATOLL_TEST_POSTGRES_URL`.
#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that fails")]

use std::error::Error;

use arrow::array::{Array, ArrayRef};
use atoll_connector_api::types::text::{DateStyle, IntervalStyle, OutputStyle, write_text};
use atoll_connector_api::types::{ColumnBuilder, PgType, binary};
use bytes::BytesMut;
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// Type names with literals of them that PostgreSQL accepts.
const LITERALS: &[(&str, &[&str])] = &[
    ("boolean", &["t", "f", " TRUE ", "yes", "n", "on", "of", "1", "0"]),
    ("smallint", &["0", "-32768", " 32767 ", "+5"]),
    ("integer", &["0", "-2147483648", "2147483647"]),
    ("bigint", &["0", "-9223372036854775808", "9223372036854775807"]),
    ("oid", &["0", "4294967295", "-1"]),
    (
        "real",
        &[
            "0",
            "-0",
            "1",
            "1.5",
            "3.4028235e38",
            "1e-45",
            "123456",
            "1234567",
            "0.0001",
            "0.00001",
            "NaN",
            "-Infinity",
            "inf",
            "8.5e9",
            "33554432",
            "3e10",
            "16777216",
            "16777217",
            "0.1",
            "1e6",
            "999999",
            "1e10",
        ],
    ),
    (
        "double precision",
        &[
            "0",
            "-0",
            "1",
            "-1.5",
            "1.7976931348623157e308",
            "5e-324",
            "123456789012345",
            "1234567890123456",
            "1e15",
            "1e14",
            "0.0001",
            "0.00001",
            "NaN",
            "-Infinity",
            "Infinity",
            "1e23",
            "9007199254740993",
            "0.1",
            "1e22",
            "123.456",
            "2.5e-7",
            "1e100",
            ".5",
            "5.",
            "9007199254740992",
            "144115188075855872",
            "1e21",
        ],
    ),
    (
        "numeric",
        &[
            "0",
            "0.00",
            "-0.0",
            "1",
            "10000",
            "100000000",
            "0.0001",
            "0.00001",
            "123456789.123456789",
            "-1e-20",
            "1e20",
            "NaN",
            "Infinity",
            "-inf",
            "1.50",
            "12345678901234567890123456789012345678901234567890.5",
            "  +7.10 ",
            "00012.300",
            "0.99999999999999999999999999999999999999999",
            "9999.9999",
            "1e-5",
            "5.e3",
        ],
    ),
    ("numeric(10,2)", &["0", "1.005", "-1.005", "99999999.99", "12345.6789", "NaN", "1e5", "-0.001", "0.5", "42"]),
    ("numeric(38,10)", &["1234567890123456789012345678.1234567890", "-0.0000000001", "1", "1000000"]),
    ("numeric(38,0)", &["99999999999999999999999999999999999999", "-99999999999999999999999999999999999999"]),
    ("numeric(20,18)", &["1.234567890123456789", "-99.999999999999999999"]),
    ("numeric(50,5)", &["123456789012345678901234567890123456789012345.12345", "-1.5", "NaN"]),
    ("numeric(5,-2)", &["12345", "1249.9", "1250", "-99"]),
    ("numeric(3,5)", &["0.00123", "-0.00999", "0.001234"]),
    ("text", &["", "abc", "äöü €", "with \"quotes\" and \\", "{a}", "NULL"]),
    ("character varying", &["", "abc  "]),
    ("character varying(5)", &["abc", "äöüßé", "abc       "]),
    ("character(5)", &["", "abc", "äöü", "abcde    "]),
    ("\"char\"", &["a", "", "x"]),
    ("name", &["abc", "a_name_that_is_longer_than_sixty_three_bytes_and_therefore_is_cut_off_somewhere"]),
    ("bytea", &["", "\\x", "\\x00ff10", "abc\\\\d\\001\\377", "plain text", "\\xDE AD"]),
    (
        "date",
        &[
            "2024-02-29",
            "1999-01-08",
            "January 8, 1999",
            "1/8/1999",
            "1999-Jan-08",
            "08-Jan-1999",
            "19990108",
            "990108",
            "1999.008",
            "J2451187",
            "0001-01-01",
            "0044-03-15 BC",
            "4713-01-01 BC",
            "4714-11-24 BC",
            "5874897-12-31",
            "infinity",
            "-infinity",
            "epoch",
            "20240229",
            "1-Feb-69",
            "1-Feb-70",
            "May 1 2000",
            "2000-02-29 10:00:00",
            "Fri Jan 08 1999",
        ],
    ),
    (
        "time without time zone",
        &[
            "00:00",
            "04:05:06.789",
            "04:05:06",
            "040506",
            "0405",
            "04:05 AM",
            "04:05 PM",
            "12:00 am",
            "12:30 pm",
            "23:59:59.999999",
            "24:00:00",
            "23:59:60",
            "allballs",
            "04:05:06.7891234",
            "2003-04-12 04:05:06",
        ],
    ),
    ("time(2) without time zone", &["04:05:06.789", "23:59:59.999"]),
    (
        "time with time zone",
        &[
            "04:05:06.789-8",
            "04:05:06-08:00",
            "04:05-08:00",
            "040506-08",
            "040506+0730",
            "040506+07:30:00",
            "04:05:06 PST",
            "12:00+15:59",
            "00:00 UTC",
            "2003-04-12 04:05:06 America/New_York",
            "24:00:00-08",
        ],
    ),
    (
        "timestamp without time zone",
        &[
            "1999-01-08 04:05:06",
            "1999-01-08 04:05:06.789",
            "January 8 04:05:06 1999",
            "0044-03-15 12:00:00 BC",
            "infinity",
            "-infinity",
            "epoch",
            "2024-02-29T23:59:59.9999999",
            "1999-01-08 04:05:06 -8:00",
            "4714-11-24 00:00:00 BC",
            "294246-12-31 23:59:59.999999",
            "20240229T040506",
            "20240229 040506.5",
            "1999-01-08 04:05 PM",
            "Mon Feb 10 17:32:01.5 1997",
            "1969-12-31 23:59:59.999999",
            "1900-01-01",
        ],
    ),
    ("timestamp(3) without time zone", &["1999-01-08 04:05:06.7895", "1969-12-31 23:59:59.9996"]),
    (
        "timestamp with time zone",
        &[
            "1999-01-08 04:05:06",
            "1999-01-08 04:05:06-8",
            "1999-01-08 04:05:06 PST",
            "1999-01-08 04:05:06.7+05:30",
            "2024-07-01 12:00:00 Europe/Berlin",
            "2024-03-31 02:30:00 Europe/Berlin",
            "2024-10-27 02:30:00 Europe/Berlin",
            "infinity",
            "-infinity",
            "epoch",
            "1800-01-01 00:00:00+00",
            "2500-07-01 00:00:00+00",
            "2099-12-31 23:30:00+00",
            "2100-06-30 00:00:00+00",
            "0044-03-15 12:00:00+00 BC",
            "294246-12-31 00:00:00+00",
            "2024-02-29T23:59:59Z",
            "20240229T040506+0100",
            "1999-01-08 04:05:06 utc",
            "4714-11-24 12:00:00+00 BC",
        ],
    ),
    (
        "interval",
        &[
            "0",
            "1 year 2 mons 3 days 04:05:06.789",
            "-1 year -2 mons +3 days -04:05:06",
            "1 day",
            "-1 day",
            "@ 1 minute ago",
            "1-2",
            "-1-2",
            "3 4:05:06",
            "P1Y2M3DT4H5M6S",
            "P0001-02-03T04:05:06",
            "PT0.5S",
            "P1W",
            "1.5 years",
            "1.5 months",
            "1.5 days",
            "1.5 weeks",
            "1 week",
            "10 decades",
            "1 century",
            "100 ms",
            "5 us",
            "-00:00:00.1",
            "1 mon -1 day",
            "1:02",
            "1 day -00:00:01",
            "500 hours",
            "1 microsecond",
            "2 h 3 m",
            "-1 mons",
            "1 day 2 hours ago",
            "00:00:01",
            "1 sec",
            "-1.5 sec",
            "178956970 years",
        ],
    ),
    ("interval second(2)", &["1.239 sec", "1 day 10"]),
    ("interval year to month", &["1-2", "3"]),
    ("interval day to minute", &["1 2:03:04"]),
    (
        "uuid",
        &[
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}",
            "a0eebc999c0b4ef8bb6d6bb9bd380a11",
        ],
    ),
    ("json", &["{\"a\": 1 , \"b\":[1,2]}", "null", " \"x\" ", "[1.50, 1e5, true]"]),
    (
        "jsonb",
        &[
            "{\"bb\":1,\"a\":2,\"a\":3, \"c\": {\"z\":[], \"y\":{}}}",
            "null",
            "\"\\u00e4\\n\\u0001\\/\"",
            "[1.50,1e5,1E-3,-0,true]",
            "\"\\ud83d\\ude00\"",
            "{}",
            "[]",
            "{\"\\\"\": \"\\\\\"}",
        ],
    ),
    (
        "inet",
        &[
            "192.168.0.1",
            "192.168.0.1/24",
            "::1",
            "fe80::1/64",
            "::ffff:1.2.3.4",
            "::1.2.3.4",
            "10.0.0.0/8",
            "2001:db8::",
            "2001:0:0:1:0:0:0:1",
            "1:2:3:4:5:6:7:8",
            "0:0:1::",
            "::",
        ],
    ),
    ("cidr", &["192.168.0.0/24", "10", "192.168", "172.16.1", "10.1.2.3/32", "2001:db8::/32", "::/0", "10.0.0.0"]),
    ("macaddr", &["08:00:2b:01:02:03", "08-00-2B-01-02-03", "08002b:010203", "0800.2b01.0203", "08002b010203"]),
    ("macaddr8", &["08:00:2b:01:02:03:04:05", "08002b0102030405", "08:00:2b:01:02:03"]),
    ("money", &["0", "1", "$1,234.56", "-1234567.89", "($5.50)", "0.005", "92233720368547758.07"]),
    ("bit(5)", &["10101", "00000"]),
    ("bit varying", &["", "1", "101010101", "x1F"]),
    ("bit varying(5)", &["101"]),
    ("point", &["(1,2)", "1.5,-2e10", "( NaN , Infinity )"]),
    ("lseg", &["[(1,2),(3,4)]", "1,2,3,4"]),
    ("box", &["(1,2),(3,4)", "3,4,1,2"]),
    ("path", &["[(1,2),(3,4)]", "((1,2),(3,4),(5,6))"]),
    ("polygon", &["((1,2),(3,4),(5,6))"]),
    ("line", &["{1,2,3}"]),
    ("circle", &["<(1,2),3>", "1,2,3"]),
    ("pg_lsn", &["0/0", "16/B374D848"]),
    ("tid", &["(0,1)", "(42,17)"]),
    ("xml", &["<a>b</a>"]),
    (
        "integer[]",
        &[
            "{}",
            "{1,2,3}",
            "{1,NULL,3}",
            "{{1,2},{3,4}}",
            "[2:4]={1,2,3}",
            "[0:1][-1:0]={{1,2},{3,4}}",
            "{{{1},{2}}}",
            " { 1 , 2 } ",
        ],
    ),
    (
        "text[]",
        &["{}", "{a,\"b c\",\"\",NULL,\"NULL\",\"a\\\"b\",\"a\\\\b\",\"{}\",\"a,b\"}", "{ a b , c }", "{{a},{b}}"],
    ),
    ("boolean[]", &["{t,f,NULL}"]),
    ("double precision[]", &["{1,1.5,NaN,1e300,-0}"]),
    ("numeric[]", &["{1.50,NaN,-0.001}"]),
    ("numeric(10,2)[]", &["{1.505,2}"]),
    ("bytea[]", &["{\"\\\\x00ff\",abc}"]),
    ("date[]", &["{2024-01-01,infinity,\"0044-03-15 BC\"}"]),
    ("timestamp without time zone[]", &["{\"2024-01-01 10:00:00.5\",infinity}"]),
    ("timestamp with time zone[]", &["{\"2024-01-01 10:00:00+02\",NULL}"]),
    ("interval[]", &["{\"1 day 02:03:04\",\"-1 mons\"}"]),
    ("uuid[]", &["{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"]),
    ("jsonb[]", &["{\"{\\\"a\\\": 1}\",\"[]\"}"]),
    ("character varying(3)[]", &["{abc,d}"]),
    ("character(3)[]", &["{abc,d}"]),
    ("inet[]", &["{10.0.0.1,10.0.0.0/8}"]),
    ("box[]", &["{(1,2),(3,4);(5,6),(7,8)}"]),
    ("money[]", &["{\"$1,234.00\",2}"]),
    ("int4range", &["[1,5]", "(1,5)", "empty", "(,5]", "[1,)", "[3,3)", "(,)", "[3,3]"]),
    ("int8range", &["[1,5]"]),
    ("numrange", &["[1.50,2)", "(1,2]", "[1,1]", "(1,1)", "[1.0,NaN]"]),
    ("daterange", &["[2024-01-01,2024-01-31]", "(,infinity)", "(2024-01-01,)"]),
    ("tsrange", &["[2024-01-01 10:00,2024-01-01 12:00)", "[,infinity]"]),
    ("tstzrange", &["[2024-01-01 10:00+02,2024-01-01 12:00+00)"]),
    ("int4range[]", &["{\"[1,5)\",empty}"]),
    ("int4multirange", &["{}", "{[1,3],[5,7)}", "{[5,7),[1,3],[3,4]}", "{[1,2),[2,3)}"]),
    ("nummultirange", &["{[1.5,2),[3,4]}", "{[1,2),[2,3)}", "{[1,2),(2,3)}"]),
    ("datemultirange", &["{[2024-01-01,2024-01-03]}"]),
    ("tstzmultirange", &["{[2024-01-01 10:00+02,2024-01-01 12:00+00)}"]),
    ("int2vector", &["1 2 3", ""]),
    ("oidvector", &["1 4294967295"]),
];

/// Texts that PostgreSQL refuses, by type.
const REFUSED: &[(&str, &[&str])] = &[
    ("boolean", &["maybe", "", "o", "tru e"]),
    ("smallint", &["99999", "abc", "", "1.5", "1 2"]),
    ("integer", &["2147483648", "abc", "1e5", "--1"]),
    ("bigint", &["9223372036854775808", "x"]),
    ("real", &["1e39", "1e-60", "abc", "1 2"]),
    ("double precision", &["1e309", "1e-400", "", "abc"]),
    ("numeric", &["abc", "", "1.2.3", "1e", "--1"]),
    ("numeric(5,2)", &["1000", "999.995", "Infinity"]),
    ("character varying(3)", &["abcd"]),
    ("character(3)", &["abcd"]),
    ("bytea", &["\\xg0", "\\x0", "a\\b"]),
    ("date", &["abc", "2024-02-30", "2023-13-01", "2024-00-10", "5874898-01-01", "10:00", "", "2024-01-01 foo"]),
    ("time without time zone", &["25:00", "abc", "12:60", "12", "24:00:01"]),
    ("timestamp without time zone", &["abc", "2024-02-30 10:00", "2024-01-01 25:00", "300000-01-01", "10:00"]),
    ("timestamp with time zone", &["2024-01-01 10:00 Nowhere/Land", "2024-01-01 10:00+17", "abc"]),
    ("interval", &["abc", "1 foo", "", "1 day 2 day foo", "1-13"]),
    ("uuid", &["abc", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
    ("json", &["{a:1}", "", "[1,]", "{\"a\" 1}", "tru", "[1] 2", "\"\\x\"", "01"]),
    ("jsonb", &["{a:1}", "[1", "\"\\u0000\""]),
    ("inet", &["1.2.3", "1.2.3.256", "abc", "::1/129", "1.2.3.4/33"]),
    ("cidr", &["192.168.0.1/24", "x"]),
    ("macaddr", &["08:00:2b:01:02", "zz"]),
    ("money", &["abc"]),
    ("bit(5)", &["101", "10102"]),
    ("bit varying(2)", &["101"]),
    ("integer[]", &["{1,2", "1,2", "{1,{2}}", "{{1,2},{3}}", "{a}", "{1,}", "[1:3]={1,2}"]),
    ("int4range", &["[5,1]", "[1,2", "1,2", "[a,2]"]),
    ("pg_lsn", &["x"]),
];

/// Whatever bytes PostgreSQL sent.
struct Raw(Vec<u8>);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

async fn connect(test: &str) -> Option<Client> {
    let Ok(url) = std::env::var("ATOLL_TEST_POSTGRES_URL") else {
        println!("SKIPPED {test}: ATOLL_TEST_POSTGRES_URL is not set");
        return None;
    };
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'; SET lc_monetary = 'C'").await.unwrap();
    Some(client)
}

/// Settings of PostgreSQL with our style for them.
fn styles() -> Vec<(&'static str, OutputStyle)> {
    let style = |date_style, day_first, interval_style, zone: &str, bytea_escape, extra_float_digits| OutputStyle {
        time_zone: zone.parse().unwrap(),
        date_style,
        day_first,
        interval_style,
        bytea_escape,
        extra_float_digits,
        now_usecs: None,
    };
    vec![
        (
            "SET DateStyle='ISO, MDY'; SET IntervalStyle=postgres; SET TimeZone='UTC'",
            style(DateStyle::Iso, false, IntervalStyle::Postgres, "UTC", false, 1),
        ),
        (
            "SET DateStyle='SQL, DMY'; SET IntervalStyle=postgres_verbose; SET TimeZone='Europe/Berlin'; SET bytea_output=escape",
            style(DateStyle::Sql, true, IntervalStyle::PostgresVerbose, "Europe/Berlin", true, 1),
        ),
        (
            "SET DateStyle='SQL, MDY'; SET IntervalStyle=sql_standard; SET TimeZone='America/Sao_Paulo'; SET bytea_output=hex",
            style(DateStyle::Sql, false, IntervalStyle::SqlStandard, "America/Sao_Paulo", false, 1),
        ),
        (
            "SET DateStyle='Postgres, DMY'; SET IntervalStyle=iso_8601; SET TimeZone='Asia/Kolkata'; SET extra_float_digits=0",
            style(DateStyle::Postgres, true, IntervalStyle::Iso8601, "Asia/Kolkata", false, 0),
        ),
        (
            "SET DateStyle='Postgres, MDY'; SET TimeZone='America/New_York'; SET extra_float_digits=-5",
            style(DateStyle::Postgres, false, IntervalStyle::Iso8601, "America/New_York", false, -5),
        ),
        (
            "SET DateStyle='German, DMY'; SET TimeZone='Australia/Lord_Howe'; SET extra_float_digits=3",
            style(DateStyle::German, true, IntervalStyle::Iso8601, "Australia/Lord_Howe", false, 3),
        ),
    ]
}

fn build(data_type: &PgType, values: &[impl AsRef<[u8]>], binary: bool, differences: &mut Vec<String>) -> ArrayRef {
    let mut builder = ColumnBuilder::new(data_type, values.len());
    for value in values {
        let value = value.as_ref();
        let result = if binary {
            builder.append_binary(value)
        } else {
            builder.append_text(std::str::from_utf8(value).unwrap())
        };
        if let Err(error) = result {
            differences.push(format!("{} {}: {error}", data_type.sql_name(), String::from_utf8_lossy(value)));
            builder.append_null();
        }
    }
    builder.finish()
}

fn texts(array: &ArrayRef, data_type: &PgType, style: &OutputStyle) -> Vec<String> {
    (0..array.len())
        .map(|row| {
            let mut text = String::new();
            if array.is_null(row) {
                return text;
            }
            write_text(array.as_ref(), row, data_type, style, &mut text).unwrap();
            text
        })
        .collect()
}

async fn printed(client: &Client) -> Vec<String> {
    let messages = client.simple_query("SELECT v FROM pg_temp.formats ORDER BY id").await.unwrap();
    messages
        .into_iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap().to_owned()),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn values_are_byte_for_byte_postgresqls() {
    let Some(client) = connect("values_are_byte_for_byte_postgresqls").await else { return };
    let styles = styles();
    let (default_settings, default_style) = styles.first().unwrap();
    let mut differences = Vec::new();
    for (name, literals) in LITERALS {
        let data_type = PgType::parse_name(name).unwrap_or_else(|| panic!("{name} is not known"));
        client.batch_execute(default_settings).await.unwrap();
        let create = format!("DROP TABLE IF EXISTS pg_temp.formats; CREATE TEMP TABLE formats (id serial, v {name})");
        client.batch_execute(&create).await.unwrap();
        for literal in *literals {
            let quoted = literal.replace('\'', "''");
            client.batch_execute(&format!("INSERT INTO formats (v) VALUES ('{quoted}')")).await.unwrap();
        }
        let raw: Vec<Vec<u8>> = client
            .query("SELECT v FROM pg_temp.formats ORDER BY id", &[])
            .await
            .unwrap()
            .iter()
            .map(|row| row.get::<_, Raw>(0).0)
            .collect();
        let plain = printed(&client).await;
        let from_literal = build(&data_type, literals, false, &mut differences);
        let from_binary = build(&data_type, &raw, true, &mut differences);
        let from_text = build(&data_type, &plain, false, &mut differences);
        assert_eq!(from_literal.data_type(), &data_type.storage(), "{name}");
        for (settings, style) in &styles {
            client.batch_execute(settings).await.unwrap();
            let expected = printed(&client).await;
            for (way, array) in [("literal", &from_literal), ("binary", &from_binary), ("text", &from_text)] {
                for ((ours, theirs), literal) in texts(array, &data_type, style).iter().zip(&expected).zip(*literals) {
                    if ours != theirs {
                        differences.push(format!("{name} '{literal}' by {way} under {settings}: {ours} / {theirs}"));
                    }
                }
            }
        }
        for (way, array) in [("literal", &from_literal), ("binary", &from_binary), ("text", &from_text)] {
            for ((row, theirs), literal) in raw.iter().enumerate().zip(*literals) {
                let mut ours = BytesMut::new();
                if array.is_null(row) {
                    continue;
                }
                if let Err(error) = binary::write_binary(array.as_ref(), row, &data_type, &mut ours) {
                    differences.push(format!("{name} '{literal}' by {way} in binary: {error}"));
                }
                if ours != theirs.as_slice() {
                    differences.push(format!("{name} '{literal}' by {way} in binary: {ours:?} / {theirs:?}"));
                }
            }
        }
        let _ = default_style;
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

#[tokio::test]
async fn refused_text_has_postgresqls_code_and_message() {
    let Some(client) = connect("refused_text_has_postgresqls_code_and_message").await else { return };
    let mut differences = Vec::new();
    for (name, literals) in REFUSED {
        let data_type = PgType::parse_name(name).unwrap();
        // An assignment, unlike a cast, refuses what is too long.
        let create = format!("DROP TABLE IF EXISTS pg_temp.refused; CREATE TEMP TABLE refused (v {name})");
        client.batch_execute(&create).await.unwrap();
        for literal in *literals {
            let quoted = literal.replace('\'', "''");
            let error = client.batch_execute(&format!("INSERT INTO refused VALUES ('{quoted}')")).await.unwrap_err();
            let error = error.as_db_error().unwrap();
            let theirs = format!("{} {}", error.code().code(), error.message());
            let ours = match ColumnBuilder::new(&data_type, 1).append_text(literal) {
                Ok(()) => "accepted".to_owned(),
                Err(atoll_connector_api::ConnectorError::Value { sqlstate, message, .. }) => {
                    format!("{sqlstate} {message}")
                }
                Err(error) => error.to_string(),
            };
            if ours != theirs {
                differences.push(format!("{name} '{literal}': {ours} / {theirs}"));
            }
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}
