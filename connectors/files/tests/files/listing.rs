//! Which files a table is made of: names, lists, patterns, directories, partitions and live tables.

use std::sync::Arc;

use atoll_connector_api::{ConnectorError, TableSpec};

use crate::support::*;

const ALL: &str = "SELECT * FROM t ORDER BY 1";

fn lake() -> Scratch {
    let scratch = Scratch::new();
    for (name, row) in [
        ("sales/a.csv", 1),
        ("sales/b.csv", 2),
        ("sales/deep/c.csv", 3),
        ("sales/deep/er/d.csv.gz", 4),
        ("sales/.hidden.csv", 8),
        ("sales/_SUCCESS", 9),
        ("sales/notes.txt", 9),
        ("we, the [people].csv", 5),
    ] {
        let text = format!("n\n{row}\n");
        if name.ends_with(".gz") { scratch.write(name, gzip(text.as_bytes())) } else { scratch.write(name, text) }
    }
    scratch
}

#[tokio::test]
async fn finds_names_lists_patterns_and_directories() {
    let scratch = lake();
    let source = scratch.source("csv");
    for (given, expected) in [
        ("sales/a.csv", &["1"][..]),
        ("sales/a.csv, sales/deep/c.csv", &["1", "3"]),
        (r#"["sales/a.csv", "we, the [[]people].csv"]"#, &["1", "5"]),
        (r#"{sales/a.csv,"sales/b.csv"}"#, &["1", "2"]),
        ("sales/*.csv", &["1", "2"]),
        ("sales/[b-z].csv", &["2"]),
        ("*/deep/*.csv", &["3"]),
        ("sales/**/*.csv", &["1", "2", "3"]),
        ("sales/**", &["1", "2", "3", "4"]),
        ("sales", &["1", "2"]),
        ("sales/", &["1", "2"]),
        ("./sales//a.csv", &["1"]),
        ("*/a.csv", &["1"]),
    ] {
        assert_eq!(query(&source, &[("filename", given)], "n int4", ALL).await.unwrap(), expected, "{given}");
    }
    let whole = scratch.path("sales/a.csv");
    assert_eq!(query(&source, &[("location", whole.to_str().unwrap())], "n int4", ALL).await.unwrap(), ["1"]);
}

#[tokio::test]
async fn says_what_is_missing() {
    let scratch = lake();
    let source = scratch.source("csv");
    for given in
        ["nothing.csv", "sales/*.parquet", "nowhere/*.csv", "nowhere/", "sales/a.csv,nothing.csv", "sales/a.csv/x"]
    {
        let error = query(&source, &[("filename", given)], "n int4", ALL).await.unwrap_err();
        assert!(
            matches!(&error, ConnectorError::File { missing: true, object, .. } if object == "foreign table \"public.t\""),
            "{given}: {error:?}"
        );
    }
    let error = query(&source, &[], "n int4", ALL).await.unwrap_err();
    assert!(matches!(error, ConnectorError::OptionMissing { option: "filename", .. }), "{error:?}");
}

#[tokio::test]
async fn keeps_tables_under_the_server_s_location() {
    let scratch = lake();
    let sales = scratch.path("sales");
    for location in [sales.to_str().unwrap(), "sales"] {
        let source = scratch.server("csv", &[("location", location)], &[]);
        assert_eq!(query(&source, &[("filename", "*.csv")], "n int4", ALL).await.unwrap(), ["1", "2"]);
        assert_eq!(query(&source, &[("filename", "deep")], "n int4", ALL).await.unwrap(), ["3"]);
    }
    let source = scratch.server("csv", &[("location", sales.to_str().unwrap())], &[]);
    let beside = scratch.path("we, the [people].csv");
    let error = query(&source, &[("filename", beside.to_str().unwrap())], "n int4", ALL).await.unwrap_err();
    assert!(matches!(error, ConnectorError::Denied { .. } | ConnectorError::File { .. }), "{error:?}");
    let inside = sales.join("a.csv");
    assert_eq!(query(&source, &[("filename", inside.to_str().unwrap())], "n int4", ALL).await.unwrap(), ["1"]);
}

#[tokio::test]
async fn lists_live_tables() {
    let scratch = lake();
    scratch.write("sales/year=2024/x.csv", "n\n7\n");
    scratch.write("sales/parts/year=2024/month=01/x.csv", "n\n6\n");
    scratch.write("sales/b.csv.gz", gzip(b"n\n22\n"));
    scratch.write("sales/other/x.parquet", "");
    let source = scratch.server("csv", &[("location", "sales")], &[]);
    assert_eq!(source.schemas().await.unwrap(), ["main"]);
    let names =
        |tables: Vec<atoll_connector_api::TableSummary>| tables.into_iter().map(|table| table.name).collect::<Vec<_>>();
    assert_eq!(names(source.tables("main").await.unwrap()), ["a", "b", "b.csv.gz", "deep", "parts"]);
    // PostgreSQL's users look there first; a third name is none.
    assert_eq!(names(source.tables("public").await.unwrap()), ["a", "b", "b.csv.gz", "deep", "parts"]);
    assert_eq!(names(source.tables("other").await.unwrap()), Vec::<String>::new());
    assert_eq!(names(scratch.source("csv").tables("main").await.unwrap()), Vec::<String>::new());
    for (name, expected) in [("a", "1"), ("b", "2"), ("b.csv.gz", "22"), ("deep", "3"), ("parts", "6|2024|1")] {
        let live = source.live_options("main", name);
        let definition = source.describe(&live).await.unwrap();
        let spec = TableSpec { name: format!("lake.main.{name}"), options: live, columns: definition.columns };
        assert_eq!(rows(&table_of(&source, spec).await.unwrap(), ALL).await.unwrap(), [expected], "{name}");
    }
    let imported = source.import("main", &["a".into(), "parts".into()]).await.unwrap().tables;
    assert_eq!(imported[1].1.columns.len(), 3);
    assert_eq!(source.import("public", &["a".into()]).await.unwrap().tables[0].1.columns.len(), 1);
    let error = source.import("other", &[]).await.unwrap_err();
    assert!(matches!(error, ConnectorError::SchemaMissing { .. }), "{error:?}");
    assert_eq!(source.describe_live("public", "a").await.unwrap().columns.len(), 1);
    let error = source.describe_live("other", "a").await.unwrap_err();
    assert!(matches!(error, ConnectorError::SchemaMissing { .. }), "{error:?}");
    let error = source.describe(&source.live_options("main", "nothing")).await.unwrap_err();
    assert!(matches!(error, ConnectorError::TableMissing { .. }), "{error:?}");
}

fn partitioned() -> Scratch {
    let scratch = Scratch::new();
    for (directory, row) in [
        ("year=2023/city=Graz", 1),
        ("year=2024/city=S%C3%A3o%20Paulo", 2),
        ("year=2024/city=__HIVE_DEFAULT_PARTITION__", 3),
        ("year=2024/city=Graz", 4),
    ] {
        scratch.write(&format!("p/{directory}/x.csv"), format!("n,year\n{row},0\n"));
    }
    scratch
}

#[tokio::test]
async fn reads_partition_columns_from_directories() {
    let scratch = partitioned();
    let source = scratch.source("csv");
    let found = query(&source, &[("location", "p")], "", ALL).await.unwrap();
    assert_eq!(found, ["1|2023|Graz", "2|2024|São Paulo", "3|2024|∅", "4|2024|Graz"]);
    let types: Vec<_> = source.describe(&options(&[("location", "p/**")])).await.unwrap().columns;
    let types: Vec<_> = types.iter().map(|column| column.data_type.sql_name()).collect();
    assert_eq!(types, ["bigint", "bigint", "text"]);
    let declared = query(
        &source,
        &[("location", "p/year=2024/*/*.csv")],
        "city text, year int4, n text",
        "SELECT * FROM t ORDER BY n",
    )
    .await;
    assert_eq!(declared.unwrap(), ["São Paulo|2024|2", "∅|2024|3", "Graz|2024|4"]);
    let error = query(&source, &[("location", "p")], "year date, n int4", ALL).await.unwrap_err();
    assert!(
        matches!(&error, ConnectorError::Value { message, .. } if message.contains("partition column \"year\"")),
        "{error:?}"
    );
}

#[tokio::test]
async fn opens_only_partitions_that_a_filter_keeps() {
    let scratch = partitioned();
    // A file of a partition that is not asked for may be broken.
    scratch.write("p/year=2023/city=Graz/x.csv", "n,year\n\"");
    scratch.write("p/year=2022/city=Graz/x.csv", "n,year\nbroken,1\n");
    let source = scratch.source("csv");
    let context = table(&source, &[("location", "p")], "n int4, year int8, city text").await.unwrap();
    for (filter, files, expected) in [
        ("year = 2024", "files=3 of 5", &["2", "3", "4"][..]),
        ("year > 2023 AND city = 'Graz'", "files=1 of 5", &["4"]),
        ("city IS NULL", "files=1 of 5", &["3"]),
        ("year = 2024 AND (city LIKE 'S%' OR city IS NULL) AND n < 3", "files=2 of 5", &["2"]),
        ("year IN (2024, 2030) AND upper(city) = 'GRAZ'", "files=1 of 5", &["4"]),
        ("year = 1999", "files=0 of 5", &[]),
    ] {
        let sql = format!("SELECT n FROM t WHERE {filter} ORDER BY n");
        let line = scan_line(&context, &sql).await;
        assert!(line.contains(files), "{filter}: {line}");
        assert_eq!(rows(&context, &sql).await.unwrap(), expected, "{filter}");
    }
    let error = rows(&context, "SELECT n FROM t WHERE year <= 2023").await.unwrap_err();
    assert!(matches!(error, ConnectorError::Value { .. }), "{error:?}");
    let counted = rows(&context, "SELECT year, count(*) FROM t WHERE year = 2024 GROUP BY year").await.unwrap();
    assert_eq!(counted, ["2024|3"]);
}

#[tokio::test]
async fn a_partition_filter_that_fails_fails_only_for_rows_that_get_there() {
    let scratch = Scratch::new();
    scratch.write("p/k=0/x.csv", "id\n1\n");
    scratch.write("p/k=1/x.csv", "id\n-1\n-2\n");
    scratch.write("p/k=9/x.csv", "id\n-3\n");
    let source = scratch.source("csv");
    let context = table(&source, &[("location", "p")], "id int4, k int4").await.unwrap();
    let sql = "SELECT id FROM t WHERE id < 0 AND 10 / k > 3 ORDER BY id";
    // The file whose value makes the filter fail is kept, the one that it rules out is not.
    let line = scan_line(&context, sql).await;
    assert!(line.contains("files=2 of 3"), "{line}");
    assert_eq!(rows(&context, sql).await.unwrap(), ["-2", "-1"]);
    let failed = context.sql("SELECT id FROM t WHERE 10 / k > 3").await.unwrap().collect().await;
    assert!(failed.is_err_and(|error| error.to_string().to_lowercase().contains("divide by zero")));
}

#[tokio::test]
async fn names_that_sql_would_cut_are_cut_and_kept_apart() {
    let scratch = Scratch::new();
    let long = "n".repeat(70);
    scratch.write(&format!("l/{long}1.csv"), format!("{long}a,{long}b\n1,2\n"));
    scratch.write(&format!("l/{long}2.csv"), "x\n3\n");
    let source = scratch.server("csv", &[("location", "l")], &[]);
    let tables: Vec<_> = source.tables("main").await.unwrap().into_iter().map(|table| table.name).collect();
    assert_eq!(tables, [format!("{}_1", "n".repeat(61)), "n".repeat(63)]);
    let definition = source.describe_live("main", &tables[1]).await.unwrap();
    let columns: Vec<_> = definition.columns.iter().map(|column| column.name.clone()).collect();
    assert_eq!(columns, ["n".repeat(63), format!("{}_1", "n".repeat(61))]);
    let options = source.live_options("main", &tables[1]);
    let spec = TableSpec { name: "lake.main.l".into(), options, columns: definition.columns };
    assert_eq!(rows(&table_of(&source, spec).await.unwrap(), ALL).await.unwrap(), ["1|2"]);
}

#[tokio::test]
async fn sees_a_file_that_was_rewritten_within_its_size_and_time() {
    let scratch = Scratch::new();
    let column = |value: i32| -> Vec<(&str, arrow::array::ArrayRef)> {
        vec![("n", Arc::new(arrow::array::Int32Array::from(vec![value])))]
    };
    let batch = |value| arrow::record_batch::RecordBatch::try_from_iter(column(value)).unwrap();
    scratch.parquet("a.parquet", &batch(1));
    let path = scratch.path("a.parquet");
    let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
    let source = scratch.source("parquet");
    assert_eq!(query(&source, &[("filename", "a.parquet")], "n int4", "SELECT min(n) FROM t").await.unwrap(), ["1"]);
    let size = std::fs::metadata(&path).unwrap().len();
    // The clock of the file system may be as coarse as ten milliseconds.
    std::thread::sleep(std::time::Duration::from_millis(50));
    scratch.parquet("a.parquet", &batch(2));
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    let after = std::fs::metadata(&path).unwrap();
    assert_eq!((after.len(), after.modified().unwrap()), (size, modified));
    assert_eq!(query(&source, &[("filename", "a.parquet")], "n int4", "SELECT min(n) FROM t").await.unwrap(), ["2"]);
}

#[tokio::test]
async fn refuses_directories_with_different_keys() {
    let scratch = partitioned();
    scratch.write("p/year=2024/country=AT/x.csv", "n\n1\n");
    let error = query(&scratch.source("csv"), &[("location", "p")], "n int4", ALL).await.unwrap_err();
    assert!(error.to_string().contains("country"), "{error}");
}

#[tokio::test]
async fn reads_many_files_in_parallel() {
    let scratch = Scratch::new();
    for file in 0..60 {
        let text: String = (0..100).map(|row| format!("{}\n", file * 100 + row)).collect();
        scratch.write(&format!("m/{file}.csv"), format!("n\n{text}"));
    }
    let source = scratch.source("csv");
    let context = Arc::new(table(&source, &[("location", "m")], "n int8").await.unwrap());
    let found = rows(&context, "SELECT count(*), sum(n), count(DISTINCT n) FROM t").await.unwrap();
    assert_eq!(found, [format!("6000|{}|6000", (0..6000).sum::<i64>())]);
}
