//! JSON files: lines, sequences and arrays of objects.

use atoll_connector_api::ConnectorError;

use crate::support::*;

const ALL: &str = "SELECT * FROM t";

#[tokio::test]
async fn reads_lines_sequences_and_arrays() {
    let scratch = Scratch::new();
    let source = scratch.source("json");
    scratch.write("a.jsonl", "{\"id\": 1, \"name\": \"x\"}\n\n{\"name\": \"y\", \"id\": 2}\n");
    scratch.write("b.json", "[\n  {\"id\": 1,\n   \"name\": \"x\"},\n  {\"id\": 2, \"name\": \"y\"}\n]\n");
    scratch.write("c.json", "{\"id\":1,\"name\":\"x\"}{\"id\":2,\"name\":\"y\"}");
    scratch.write("d.ndjson.gz", gzip(b"{\"id\":1,\"name\":\"x\"}\n{\"id\":2,\"name\":\"y\",\"more\":[{}]}"));
    for name in ["a.jsonl", "b.json", "c.json", "d.ndjson.gz"] {
        let found = query(&source, &[("filename", name)], "name text, id int4", ALL).await.unwrap();
        assert_eq!(found, ["x|1", "y|2"], "{name}");
    }
    scratch.write("e.json", "[]");
    assert_eq!(query(&source, &[("filename", "e.json")], "a text", ALL).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn finds_names_and_types() {
    let scratch = Scratch::new();
    let source = scratch.source("json");
    scratch.write(
        "a.json",
        r#"{"i": 1, "f": 1.5, "b": true, "s": "2024-01-01", "o": {"k": [1, "two"]}, "a": [1], "n": null, "m": 1}
           {"i": 2, "m": "x", "late": 3, "big": 123456789012345678901234567890}"#,
    );
    let definition = source.describe(&options(&[("filename", "a.json")])).await.unwrap();
    let types: Vec<_> =
        definition.columns.iter().map(|column| format!("{} {}", column.name, column.data_type.sql_name())).collect();
    assert_eq!(
        types,
        [
            "i bigint",
            "f double precision",
            "b boolean",
            "s text",
            "o jsonb",
            "a jsonb",
            "n text",
            "m text",
            "late bigint",
            "big numeric"
        ]
    );
    let found = query(&source, &[("filename", "a.json")], "", ALL).await.unwrap();
    assert_eq!(
        found,
        ["1|1.5|t|2024-01-01|{\"k\": [1, \"two\"]}|[1]|∅|1|∅|∅", "2|∅|∅|∅|∅|∅|∅|x|3|123456789012345678901234567890"]
    );
}

#[tokio::test]
async fn reads_values_as_their_columns_want_them() {
    let scratch = Scratch::new();
    let source = scratch.source("json");
    scratch.write(
        "a.jsonl",
        r#"{"a": [1, null, 3], "t": ["x", "a \"q\"", null], "j": "text", "d": "2024-02-29", "s": {"x": 1}, "n": 1.10}"#,
    );
    let declared = "a int4[], t text[], j jsonb, d date, s text, n numeric";
    let found = query(&source, &[("filename", "a.jsonl")], declared, ALL).await.unwrap();
    assert_eq!(found, [r#"{1,NULL,3}|{x,"a \"q\"",NULL}|"text"|2024-02-29|{"x": 1}|1.10"#]);
}

#[tokio::test]
async fn tells_where_it_is_no_json() {
    let scratch = Scratch::new();
    let source = scratch.source("json");
    for (text, line) in [
        ("{\"a\": 1}\n{\"a\": }\n", "line 2"),
        ("{\"a\": 1}\nnull\n", "line 2"),
        ("{\"a\": 1}\n{\"a\": 2", "line 2"),
        ("[{\"a\": 1}\n {\"a\": 2}]", "line 2"),
        ("[{\"a\": 1},\n]", "line 2"),
        ("[{\"a\": 1}\n", "line 2"),
        ("[{\"a\": 1}]\nx", "line 2"),
        ("{\"a\": 1}\n{\"a\": \"x\ny\"}", "line 2"),
    ] {
        scratch.write("b.json", text);
        match query(&source, &[("filename", "b.json")], "a text", ALL).await.unwrap_err() {
            ConnectorError::Value { sqlstate, message, .. } => {
                assert_eq!(sqlstate, "22P02", "{text:?}");
                assert!(message.contains(line) && message.contains("b.json"), "{text:?}: {message}");
            }
            other => panic!("{text:?}: {other:?}"),
        }
    }
    scratch.write("b.json", "{\"a\": 1}\n{\"a\": \"x\"}\n");
    match query(&source, &[("filename", "b.json")], "a int8", ALL).await.unwrap_err() {
        ConnectorError::Value { sqlstate, message, .. } => {
            assert_eq!(sqlstate, "22P02");
            assert!(message.contains("line 2, column \"a\""), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn bounds_depth_and_length() {
    let scratch = Scratch::new();
    let source = scratch.source("json");
    scratch.write("deep.json", format!("{{\"a\": {}", "[".repeat(1 << 20)));
    let error = query(&source, &[("filename", "deep.json")], "a text", ALL).await.unwrap_err();
    assert!(matches!(&error, ConnectorError::Limit { message, .. } if message.contains("128")), "{error:?}");
    // Without an end, and one that ends between the bound and the window's next size.
    for (length, end) in [(140 << 20, ""), (80 << 20, "\"}")] {
        scratch.write("long.json", format!("{{\"a\": \"{}{end}", "x".repeat(length)));
        let error = query(&source, &[("filename", "long.json")], "a text", ALL).await.unwrap_err();
        assert!(matches!(&error, ConnectorError::Limit { message, .. } if message.contains("64 MB")), "{error:?}");
    }
    let wide: Vec<_> = (0..2000).map(|index| format!("\"k{index}\": 1")).collect();
    scratch.write("wide.json", format!("{{{}}}", wide.join(",")));
    let error = source.describe(&options(&[("filename", "wide.json")])).await.unwrap_err();
    assert!(matches!(&error, ConnectorError::Limit { message, .. } if message.contains("1600")), "{error:?}");
}
