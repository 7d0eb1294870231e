//! CSV files: what COPY reads, and what it refuses.

use atoll_connector_api::{ConnectorError, TableSpec};

use crate::support::*;

const ALL: &str = "SELECT * FROM t";

fn value_error(result: Result<Vec<String>, ConnectorError>) -> (&'static str, String) {
    match result.unwrap_err() {
        ConnectorError::Value { sqlstate, message, .. } => (sqlstate, message),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn reads_columns_by_their_header() {
    let scratch = Scratch::new();
    scratch.write("a.csv", "id,name,extra\n1,Ada,x\n2,\"Grace \"\"Amazing\"\"\nHopper\",y\n3,,z\n4,\"\",w\n");
    let source = scratch.source("csv");
    let found = query(&source, &[("filename", "a.csv")], "name text, ID int4", ALL).await.unwrap();
    assert_eq!(found, ["Ada|1", "Grace \"Amazing\"\nHopper|2", "∅|3", "|4"]);
}

#[tokio::test]
async fn finds_names_and_types() {
    let scratch = Scratch::new();
    scratch.write(
        "a.csv",
        "id,price,big,ok,day,at,zip,note,none\n1,2.5,12345678901234567890,true,2024-02-29,2024-02-29 10:00:00.5,00123,a,\n2,3,1,false,2024-03-01,2024-03-01T00:00,99999,b,\n",
    );
    let source = scratch.source("csv");
    let definition = source.describe(&options(&[("filename", "a.csv")])).await.unwrap();
    let types: Vec<_> =
        definition.columns.iter().map(|column| format!("{} {}", column.name, column.data_type.sql_name())).collect();
    assert_eq!(
        types,
        [
            "id bigint",
            "price double precision",
            "big numeric",
            "ok boolean",
            "day date",
            "at timestamp without time zone",
            "zip text",
            "note text",
            "none text"
        ]
    );
    let found = query(&source, &[("filename", "a.csv")], "", ALL).await.unwrap();
    assert_eq!(found[0], "1|2.5|12345678901234567890|t|2024-02-29|2024-02-29 10:00:00.5|00123|a|∅");
}

#[tokio::test]
async fn tells_columns_of_one_name_apart() {
    let scratch = Scratch::new();
    scratch.write("a.csv", "a,b,a,,,a_1\n1,2,3,4,5,6\n");
    let source = scratch.source("csv");
    let definition = source.describe(&options(&[("filename", "a.csv")])).await.unwrap();
    let names: Vec<_> = definition.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "a_2", "column4", "column5", "a_1"]);
    assert_eq!(query(&source, &[("filename", "a.csv")], "", ALL).await.unwrap(), ["1|2|3|4|5|6"]);
    let declared = "column5 int4, a_2 int4, a int4";
    assert_eq!(query(&source, &[("filename", "a.csv")], declared, ALL).await.unwrap(), ["5|3|1"]);
    // Two columns that read one: the second would silently be the first.
    let mut spec =
        TableSpec { name: "t".into(), options: options(&[("filename", "a.csv")]), columns: columns("a int4, x int4") };
    spec.columns[1].options.set("column_name", "a");
    let error = table_of(&source, spec).await.err().unwrap();
    assert!(
        matches!(&error, ConnectorError::Unsupported { message, .. } if message.contains("two columns")),
        "{error:?}"
    );
}

#[tokio::test]
async fn reads_gzip_members_and_the_zeros_after_them() {
    let scratch = Scratch::new();
    let mut bytes = gzip(b"n\n1\n");
    bytes.extend(gzip(b"2\n"));
    bytes.extend([0; 1000]);
    scratch.write("padded.csv.gz", &bytes);
    bytes.extend(gzip(b"3\n"));
    scratch.write("after.csv.gz", &bytes);
    let mut cut = gzip(b"n\n1\n");
    cut.truncate(cut.len() - 3);
    scratch.write("cut.csv.gz", &cut);
    let source = scratch.source("csv");
    assert_eq!(query(&source, &[("filename", "padded.csv.gz")], "n int4", ALL).await.unwrap(), ["1", "2"]);
    for name in ["after.csv.gz", "cut.csv.gz"] {
        let error = query(&source, &[("filename", name)], "n int4", ALL).await.unwrap_err();
        assert!(matches!(error, ConnectorError::Format { format: "gzip", .. }), "{name}: {error:?}");
    }
}

#[tokio::test]
async fn knows_a_header_from_a_row() {
    let scratch = Scratch::new();
    scratch.write("plain.csv", "1,a\n2,b\n");
    scratch.write("headed.csv", "id,name\n1,a\n");
    let source = scratch.source("csv");
    let declared = "id int4, name text";
    assert_eq!(query(&source, &[("filename", "plain.csv")], declared, ALL).await.unwrap(), ["1|a", "2|b"]);
    assert_eq!(query(&source, &[("filename", "headed.csv")], declared, ALL).await.unwrap(), ["1|a"]);
    let without = [("filename", "plain.csv"), ("header", "false")];
    let described = source.describe(&options(&without)).await.unwrap();
    assert_eq!(described.columns[1].name, "column2");
    assert_eq!(query(&source, &without, "", ALL).await.unwrap(), ["1|a", "2|b"]);
    let forced = [("filename", "headed.csv"), ("header", "false")];
    assert_eq!(query(&source, &forced, "a text, b text", ALL).await.unwrap(), ["id|name", "1|a"]);
}

#[tokio::test]
async fn follows_its_options() {
    let scratch = Scratch::new();
    scratch.write("a.csv", "a;b\n'x;y';\\N\n'\\N';'it\\'s'\n");
    let source = scratch.source("csv");
    let given = [
        ("filename", "a.csv"),
        ("delimiter", ";"),
        ("quote", "'"),
        ("escape", "\\"),
        ("null", "\\N"),
        ("format", "csv"),
    ];
    assert_eq!(query(&source, &given, "a text, b text", ALL).await.unwrap(), ["x;y|∅", "\\N|it's"]);

    scratch.write("latin.csv", b"name\ncaf\xe9\n");
    let latin = [("filename", "latin.csv"), ("encoding", "LATIN1")];
    assert_eq!(query(&source, &latin, "", ALL).await.unwrap(), ["café"]);

    let utf16: Vec<u8> = "\u{feff}name\nÄ\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    scratch.write("utf16.csv", utf16);
    let utf16 = [("filename", "utf16.csv"), ("encoding", "utf-16le")];
    assert_eq!(query(&source, &utf16, "", ALL).await.unwrap(), ["Ä"]);

    scratch.write("bom.csv", "\u{feff}name\nx\n");
    assert_eq!(query(&source, &[("filename", "bom.csv")], "name text", ALL).await.unwrap(), ["x"]);

    scratch.write("tabs.tsv", "a\tb\n1\t2\n");
    assert_eq!(query(&source, &[("filename", "tabs.tsv")], "", ALL).await.unwrap(), ["1|2"]);

    let mut spec = TableSpec {
        name: "public.t".into(),
        options: options(&[("filename", "f.csv"), ("null", "-")]),
        columns: columns("a text, b text"),
    };
    scratch.write("f.csv", "a,b\n-,\"-\"\n");
    spec.columns[0].options.set("force_not_null", "true");
    spec.columns[1].options.set("force_null", "true");
    assert_eq!(rows(&table_of(&source, spec).await.unwrap(), ALL).await.unwrap(), ["-|∅"]);
}

#[tokio::test]
async fn reads_another_name_in_the_file() {
    let scratch = Scratch::new();
    scratch.write("a.csv", "Order Id,,x\n7,8,9\n");
    let source = scratch.source("csv");
    let mut spec =
        TableSpec { name: "public.t".into(), options: options(&[("filename", "a.csv")]), columns: columns("id int4") };
    spec.columns[0].options.set("column_name", "Order Id");
    assert_eq!(rows(&table_of(&source, spec).await.unwrap(), ALL).await.unwrap(), ["7"]);
    // A column without a name is reachable too.
    assert_eq!(query(&source, &[("filename", "a.csv")], "", "SELECT column2 FROM t").await.unwrap(), ["8"]);
}

#[tokio::test]
async fn tells_where_a_bad_value_stands() {
    let scratch = Scratch::new();
    scratch.write("a.csv", "id,n\n1,1\n2,\"x\ny\"\n3,abc\n");
    let source = scratch.source("csv");
    let (sqlstate, message) = value_error(query(&source, &[("filename", "a.csv")], "id int4, n int4", ALL).await);
    assert_eq!(sqlstate, "22P02");
    assert!(message.starts_with("invalid input syntax for type integer: \"x\ny\""), "{message}");
    assert!(message.contains("foreign table \"public.t\""), "{message}");
    assert!(message.contains("a.csv\", line 3, column \"n\""), "{message}");
    // A column that is not asked for is not converted.
    assert_eq!(query(&source, &[("filename", "a.csv")], "id int4, n int4", "SELECT id FROM t").await.unwrap().len(), 3);
    assert_eq!(
        query(&source, &[("filename", "a.csv")], "id int4, n int4", "SELECT count(*) FROM t").await.unwrap(),
        ["3"]
    );
}

#[tokio::test]
async fn refuses_ragged_rows() {
    let scratch = Scratch::new();
    let source = scratch.source("csv");
    for (text, problem, line) in [
        ("a,b\n1,2\n3\n", "missing data for column \"b\"", "line 3"),
        ("a,b\n1,2,3\n", "extra data after last expected column", "line 2"),
        ("a,b\n\"1\n\n\",2\n\n", "missing data for column \"b\"", "line 5"),
        ("a,b\n1,\"2\n", "unterminated CSV quoted field", "line 2"),
        ("a,b\n1,2\rx\n", "unquoted carriage return found in data", "line 2"),
    ] {
        scratch.write("r.csv", text);
        let (sqlstate, message) = value_error(query(&source, &[("filename", "r.csv")], "a text, b text", ALL).await);
        assert_eq!(sqlstate, "22P04", "{text:?}");
        assert!(
            message.contains(problem) && message.contains(line) && message.contains("r.csv"),
            "{text:?}: {message}"
        );
    }
    scratch.write("r.csv", "a,b\n1,2\n");
    assert_eq!(query(&source, &[("filename", "r.csv")], "a text, b text", ALL).await.unwrap(), ["1|2"]);
}

#[tokio::test]
async fn refuses_bytes_that_are_no_text() {
    let scratch = Scratch::new();
    let source = scratch.source("csv");
    for bytes in [&b"a\n\xff\n"[..], b"a\nx\0y\n", b"a\n\xe2\x82\n"] {
        scratch.write("b.csv", bytes);
        let (sqlstate, message) = value_error(query(&source, &[("filename", "b.csv")], "a text", ALL).await);
        assert_eq!(sqlstate, "22021");
        assert!(message.contains("line 2"), "{message}");
    }
}

#[tokio::test]
async fn never_shifts_columns_when_the_file_has_changed() {
    let scratch = Scratch::new();
    let source = scratch.source("csv");
    scratch.write("a.csv", "a,c\n1,3\n");
    let error = query(&source, &[("filename", "a.csv")], "a text, b text", ALL).await.unwrap_err();
    assert!(
        matches!(&error, ConnectorError::ColumnChanged { server, table, column, problem }
            if server == "lake" && table == "public.t" && column == "b" && problem.contains("a.csv")),
        "{error:?}"
    );
    // Within a list the first file may be well and a later one not.
    scratch.write("b1.csv", "a,b\n1,2\n");
    scratch.write("b2.csv", "b,a\n4,3\n");
    let good = query(&source, &[("filename", "b*.csv")], "a text, b text", "SELECT * FROM t ORDER BY a").await.unwrap();
    assert_eq!(good, ["1|2", "3|4"]);
    scratch.write("b3.csv", "b,x\n4,3\n");
    let error = query(&source, &[("filename", "b*.csv")], "a text, b text", ALL).await.unwrap_err();
    assert!(matches!(error, ConnectorError::ColumnChanged { problem, .. } if problem.contains("b3.csv")));
    let error = source.describe(&options(&[("filename", "b*.csv")])).await.unwrap_err();
    assert!(error.to_string().contains("b3.csv"), "{error}");
}

#[tokio::test]
async fn reads_compressed_files() {
    let scratch = Scratch::new();
    let source = scratch.source("csv");
    let text = format!("a,b\n{}", "1,two\n".repeat(50_000));
    let (head, tail) = text.as_bytes().split_at(1000);
    scratch.write("a.csv.gz", [gzip(head), gzip(tail)].concat());
    scratch.write("b.csv.zst", [zstd::encode_all(head, 3).unwrap(), zstd::encode_all(tail, 3).unwrap()].concat());
    scratch.write("c.dat", gzip(text.as_bytes()));
    scratch.write("empty.csv.gz", "");
    let count = "SELECT count(*), min(b) FROM t";
    for given in [
        vec![("filename", "a.csv.gz")],
        vec![("filename", "b.csv.zst")],
        vec![("filename", "c.dat"), ("compression", "gzip")],
        vec![("filename", "a.csv.gz,empty.csv.gz")],
    ] {
        assert_eq!(query(&source, &given, "a int8, b text", count).await.unwrap(), ["50000|two"], "{given:?}");
    }
    scratch.write("x.csv.bz2", "BZh9");
    let error = query(&source, &[("filename", "x.csv.bz2")], "a text", ALL).await.unwrap_err();
    assert!(matches!(error, ConnectorError::Unsupported { .. }), "{error:?}");
}

#[tokio::test]
async fn an_empty_file_has_no_rows_and_names_no_columns() {
    let scratch = Scratch::new();
    let source = scratch.source("csv");
    scratch.write("e.csv", "");
    assert_eq!(query(&source, &[("filename", "e.csv")], "a text", ALL).await.unwrap(), Vec::<String>::new());
    let error = source.describe(&options(&[("filename", "e.csv")])).await.unwrap_err();
    assert!(matches!(error, ConnectorError::Format { .. }), "{error:?}");
    scratch.write("h.csv", "a,b\n");
    assert_eq!(query(&source, &[("filename", "h.csv")], "", ALL).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_limit_reads_only_the_beginning() {
    let scratch = Scratch::new();
    let source = scratch.source("csv");
    scratch.write("big.csv", format!("a,b\n{}", "1,some text that takes room\n".repeat(400_000)));
    let context = table(&source, &[("filename", "big.csv")], "a int8, b text").await.unwrap();
    let plan = context.sql("SELECT * FROM t LIMIT 5").await.unwrap().create_physical_plan().await.unwrap();
    let batches = datafusion::physical_plan::collect(std::sync::Arc::clone(&plan), context.task_ctx()).await.unwrap();
    assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 5);
    let mut scan = &plan;
    while let Some(child) = scan.children().first().copied() {
        scan = child;
    }
    let read = scan.metrics().unwrap().sum_by_name("bytes_scanned").unwrap().as_usize();
    assert!(read <= 2 << 20, "{read} bytes for five rows");
    assert_eq!(
        scan_line(&context, "SELECT a FROM t LIMIT 5").await,
        "ForeignScanExec: server=lake, table=public.t, format=csv, files=1, projection=[a], limit=5"
    );
}
