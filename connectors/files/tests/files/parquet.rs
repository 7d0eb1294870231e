//! Parquet files: types, changed files, filters and statistics.

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields, Float64Type, Int32Type, Schema};
use arrow::record_batch::RecordBatch;
use atoll_connector_api::types::{PgType, oids};
use atoll_connector_api::{ConnectorError, TableSpec};

use crate::support::*;

const ALL: &str = "SELECT * FROM t";

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

fn ints(name: &str, values: std::ops::Range<i32>) -> RecordBatch {
    batch(vec![(name, Arc::new(Int32Array::from_iter_values(values)))])
}

#[tokio::test]
async fn sees_arrow_s_types_as_postgresql_s() {
    let fields = Fields::from(vec![Field::new("x", DataType::Int32, true), Field::new("y", DataType::Utf8, true)]);
    let nested = StructArray::new(
        fields,
        vec![Arc::new(Int32Array::from(vec![Some(1), None])), Arc::new(StringArray::from(vec!["a \"b\"", "c"]))],
        None,
    );
    let item = Arc::new(Field::new("item", nested.data_type().clone(), true));
    let objects = ListArray::new(item, OffsetBuffer::from_lengths([2, 0]), Arc::new(nested.clone()), None);
    let mut map = MapBuilder::new(None, StringBuilder::new(), Float64Builder::new());
    map.keys().append_value("k");
    map.values().append_value(1.5);
    map.append(true).unwrap();
    map.append(false).unwrap();
    let columns: Vec<(&str, ArrayRef, &str, &str)> = vec![
        ("i8", Arc::new(Int8Array::from(vec![Some(-128), None])), "smallint", "-128"),
        ("u8", Arc::new(UInt8Array::from(vec![Some(255), None])), "smallint", "255"),
        ("u16", Arc::new(UInt16Array::from(vec![Some(65535), None])), "integer", "65535"),
        ("u32", Arc::new(UInt32Array::from(vec![Some(u32::MAX), None])), "bigint", "4294967295"),
        ("u64", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None])), "numeric(20,0)", "18446744073709551615"),
        ("f4", Arc::new(Float32Array::from(vec![Some(0.1), None])), "real", "0.1"),
        ("f8", Arc::new(Float64Array::from(vec![Some(f64::NAN), None])), "double precision", "NaN"),
        ("b", Arc::new(BooleanArray::from(vec![Some(true), None])), "boolean", "t"),
        ("s", Arc::new(LargeStringArray::from(vec![Some("é"), None])), "text", "é"),
        ("y", Arc::new(BinaryArray::from(vec![Some(&b"\x00\xff"[..]), None])), "bytea", "\\x00ff"),
        (
            "dec",
            Arc::new(Decimal128Array::from(vec![Some(-12345), None]).with_precision_and_scale(10, 3).unwrap()),
            "numeric(10,3)",
            "-12.345",
        ),
        ("d", Arc::new(Date32Array::from(vec![Some(19782), None])), "date", "2024-02-29"),
        (
            "ns",
            Arc::new(TimestampNanosecondArray::from(vec![Some(-1), None])),
            "timestamp without time zone",
            "1969-12-31 23:59:59.999999",
        ),
        (
            "tz",
            Arc::new(TimestampMillisecondArray::from(vec![Some(1500), None]).with_timezone("+09:00")),
            "timestamp with time zone",
            "1970-01-01 00:00:01.5+00",
        ),
        (
            "t",
            Arc::new(Time64NanosecondArray::from(vec![Some(1_500_000_000), None])),
            "time without time zone",
            "00:00:01.5",
        ),
        (
            "l",
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None])),
            "integer[]",
            "{1,NULL}",
        ),
        (
            "lf",
            Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>([Some(vec![Some(0.5)]), None])),
            "double precision[]",
            "{0.5}",
        ),
        ("o", Arc::new(nested), "jsonb", "{\"x\": 1, \"y\": \"a \\\"b\\\"\"}"),
        ("lo", Arc::new(objects), "jsonb", "[{\"x\": 1, \"y\": \"a \\\"b\\\"\"}, {\"x\": null, \"y\": \"c\"}]"),
        ("m", Arc::new(map.finish()), "jsonb", "{\"k\": 1.5}"),
        ("dict", Arc::new(DictionaryArray::<Int32Type>::from_iter([Some("v"), None])), "text", "v"),
        ("iv", Arc::new(DurationMicrosecondArray::from(vec![Some(90_000_000), None])), "interval", "00:01:30"),
    ];
    let scratch = Scratch::new();
    scratch
        .parquet("a.parquet", &batch(columns.iter().map(|(name, array, _, _)| (*name, Arc::clone(array))).collect()));
    let source = scratch.source("parquet");
    let definition = source.describe(&options(&[("filename", "a.parquet")])).await.unwrap();
    let found = query(&source, &[("filename", "a.parquet")], "", ALL).await.unwrap();
    let values: Vec<_> = found[0].split('|').collect();
    for (index, (name, _, data_type, value)) in columns.iter().enumerate() {
        assert_eq!(definition.columns[index].data_type.sql_name(), *data_type, "{name}");
        assert_eq!(values[index], *value, "{name}");
    }
    assert_eq!(found[1], ["∅"; 17].join("|") + "|{\"x\": null, \"y\": \"c\"}|[]|∅|∅|∅");
}

#[tokio::test]
async fn knows_parquet_s_own_types() {
    use datafusion::parquet::data_type::{
        ByteArray, ByteArrayType, FixedLenByteArray, FixedLenByteArrayType, Int96, Int96Type,
    };
    use datafusion::parquet::file::writer::SerializedFileWriter;
    use datafusion::parquet::schema::parser::parse_message_type;
    let schema = "message m { required fixed_len_byte_array(16) u (UUID); required binary j (JSON); required int96 t; \
                  required binary raw; }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Default::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut uuid = group.next_column().unwrap().unwrap();
    let value = FixedLenByteArray::from(ByteArray::from((1..=16).collect::<Vec<u8>>()));
    uuid.typed::<FixedLenByteArrayType>().write_batch(&[value], None, None).unwrap();
    uuid.close().unwrap();
    let mut json = group.next_column().unwrap().unwrap();
    json.typed::<ByteArrayType>().write_batch(&[ByteArray::from("{\"a\":  1}")], None, None).unwrap();
    json.close().unwrap();
    let mut at = group.next_column().unwrap().unwrap();
    // Julian day 2816788 is 3000-01-01, far beyond what nanoseconds reach.
    let mut moment = Int96::new();
    moment.set_data(0, 0, 2_816_788);
    at.typed::<Int96Type>().write_batch(&[moment], None, None).unwrap();
    at.close().unwrap();
    let mut raw = group.next_column().unwrap().unwrap();
    raw.typed::<ByteArrayType>().write_batch(&[ByteArray::from("text")], None, None).unwrap();
    raw.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    let scratch = Scratch::new();
    scratch.write("a.parquet", bytes);
    let source = scratch.source("parquet");
    let definition = source.describe(&options(&[("filename", "a.parquet")])).await.unwrap();
    let types: Vec<_> = definition.columns.iter().map(|column| column.data_type.sql_name()).collect();
    assert_eq!(types, ["uuid", "json", "timestamp without time zone", "bytea"]);
    assert!(definition.columns.iter().all(|column| column.not_null));
    let found = query(&source, &[("filename", "a.parquet")], "", ALL).await.unwrap();
    assert_eq!(found, ["01020304-0506-0708-090a-0b0c0d0e0f10|{\"a\":  1}|3000-01-01 00:00:00|\\x74657874"]);
    let found = query(&source, &[("filename", "a.parquet")], "j jsonb, raw text", ALL).await.unwrap();
    assert_eq!(found, ["{\"a\": 1}|text"]);
}

#[tokio::test]
async fn reads_declared_types_that_lose_nothing() {
    let scratch = Scratch::new();
    scratch.parquet(
        "a.parquet",
        &batch(vec![
            ("i", Arc::new(Int32Array::from(vec![Some(7), None]))),
            ("big", Arc::new(Int64Array::from(vec![Some(1 << 40), Some(1)]))),
            ("d", Arc::new(Date32Array::from(vec![Some(0), None]))),
            ("s", Arc::new(StringArray::from(vec![Some("{\"a\":1}"), None]))),
            ("f", Arc::new(Float64Array::from(vec![Some(1.5), None]))),
        ]),
    );
    let source = scratch.source("parquet");
    let declared = "I int8, big numeric, d timestamp, s jsonb";
    let found = query(&source, &[("filename", "a.parquet")], declared, ALL).await.unwrap();
    assert_eq!(found, ["7|1099511627776|1970-01-01 00:00:00|{\"a\": 1}", "∅|1|∅|∅"]);
    let found = query(&source, &[("filename", "a.parquet")], "i text, d text, f text", ALL).await.unwrap();
    assert_eq!(found, ["7|1970-01-01|1.5", "∅|∅|∅"]);
    let error = query(&source, &[("filename", "a.parquet")], "big int4", ALL).await.unwrap_err();
    assert!(
        matches!(&error, ConnectorError::Value { sqlstate: "22003", message, .. }
            if message.starts_with("integer out of range") && message.contains("a.parquet") && message.contains("\"big\"")),
        "{error:?}"
    );
    for (column, declared) in
        [("f", "f int4"), ("s", "s int4"), ("s", "s date"), ("i", "i date"), ("d", "d timestamptz"), ("f", "f float4")]
    {
        let error = query(&source, &[("filename", "a.parquet")], declared, ALL).await.unwrap_err();
        assert!(
            matches!(&error, ConnectorError::ColumnChanged { column: named, problem, .. }
                if named == column && problem.contains("a.parquet")),
            "{declared}: {error:?}"
        );
    }
    let mut spec = TableSpec {
        name: "public.t".into(),
        options: options(&[("filename", "a.parquet")]),
        columns: columns("s text"),
    };
    spec.columns[0].data_type = PgType::varchar(3);
    let error = rows(&table_of(&source, spec.clone()).await.unwrap(), ALL).await.unwrap_err();
    assert!(matches!(&error, ConnectorError::Value { sqlstate: "22001", .. }), "{error:?}");
    spec.columns[0].data_type = PgType::new(oids::TEXT);
    spec.columns[0].not_null = true;
    let error = rows(&table_of(&source, spec).await.unwrap(), ALL).await.unwrap_err();
    assert!(matches!(&error, ConnectorError::Value { sqlstate: "23502", .. }), "{error:?}");
}

#[tokio::test]
async fn refuses_files_that_differ() {
    let scratch = Scratch::new();
    let source = scratch.source("parquet");
    scratch.parquet("d/a.parquet", &ints("n", 0..3));
    scratch.parquet("d/b.parquet", &batch(vec![("n", Arc::new(Int64Array::from(vec![3])))]));
    let error = source.describe(&options(&[("filename", "d")])).await.unwrap_err();
    assert!(error.to_string().contains("b.parquet") && error.to_string().contains("\"n\" is bigint"), "{error}");
    scratch.parquet("d/b.parquet", &ints("m", 0..3));
    let error = query(&source, &[("filename", "d")], "n int8", ALL).await.unwrap_err();
    assert!(
        matches!(&error, ConnectorError::ColumnChanged { column, problem, .. } if column == "n" && problem.contains("b.parquet")),
        "{error:?}"
    );
    // The order of columns does not matter, nor what else a file has.
    let two = |a: i32, b: &str| -> Vec<(&'static str, ArrayRef)> {
        vec![("n", Arc::new(Int32Array::from(vec![a]))), ("s", Arc::new(StringArray::from(vec![b])))]
    };
    let mut turned = two(2, "y");
    turned.reverse();
    turned.push(("extra", Arc::new(Int32Array::from(vec![1]))));
    scratch.parquet("e/a.parquet", &batch(two(1, "x")));
    scratch.parquet("e/b.parquet", &batch(turned));
    let found = query(&source, &[("filename", "e")], "s text, n int4", "SELECT * FROM t ORDER BY n").await.unwrap();
    assert_eq!(found, ["x|1", "y|2"]);
}

#[tokio::test]
async fn tells_what_is_no_parquet_file() {
    let scratch = Scratch::new();
    let source = scratch.source("parquet");
    let good = parquet_bytes(&ints("n", 0..1000), 1 << 20);
    let mut footer = good.clone();
    let end = footer.len();
    footer[end - 8..end - 4].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut garbage = good.clone();
    let length = u32::from_le_bytes(good[end - 8..end - 4].try_into().unwrap()) as usize;
    garbage[end - 8 - length..end - 8].fill(0xff);
    let mut page = good.clone();
    page[4..40].fill(0xff);
    for (name, bytes) in [
        ("text.parquet", b"just some text, longer than a trailer\n".to_vec()),
        ("short.parquet", b"PAR1".to_vec()),
        ("cut.parquet", good[..good.len() / 2].to_vec()),
        ("length.parquet", footer),
        ("garbage.parquet", garbage),
        ("page.parquet", page),
        ("empty.parquet", Vec::new()),
    ] {
        scratch.write(name, bytes);
        let error = query(&source, &[("filename", name)], "n int4", ALL).await.unwrap_err();
        assert!(
            matches!(&error, ConnectorError::Format { path, format: "Parquet", object, .. }
                if path.ends_with(name) && object.contains("public.t")),
            "{name}: {error:?}"
        );
    }
    scratch.write("good.parquet", good);
    assert_eq!(
        query(&source, &[("filename", "good.parquet")], "n int4", "SELECT count(n) FROM t").await.unwrap(),
        ["1000"]
    );
}

#[tokio::test]
async fn skips_row_groups_that_a_filter_rules_out() {
    let scratch = Scratch::new();
    let names: Vec<_> = (0..10_000).map(|row| format!("n{row:05}")).collect();
    let whole = batch(vec![
        ("i", Arc::new(Int32Array::from_iter_values(0..10_000)) as ArrayRef),
        ("s", Arc::new(StringArray::from(names))),
        ("ns", Arc::new(TimestampNanosecondArray::from_iter_values((0..10_000).map(|row| row * 1000 + 1)))),
    ]);
    scratch.write("a.parquet", parquet_bytes(&whole, 1000));
    let source = scratch.source("parquet");
    let context = table(&source, &[("filename", "a.parquet")], "i int8, s text, ns timestamp").await.unwrap();
    for (filter, expected) in [
        ("i = 4321", "1"),
        ("i BETWEEN 100 AND 110", "11"),
        ("s = 'n04321'", "1"),
        ("ns = timestamp '1970-01-01 00:00:00.004321'", "1"),
        ("i IN (1, 9999, 20000)", "2"),
        ("i < 10 OR s > 'n09995'", "14"),
    ] {
        let sql = format!("SELECT count(*) FROM t WHERE {filter}");
        let plan = context.sql(&sql).await.unwrap().create_physical_plan().await.unwrap();
        let batches = datafusion::physical_plan::collect(Arc::clone(&plan), context.task_ctx()).await.unwrap();
        assert_eq!(printed(&batches[0]), [expected], "{filter}");
        let line = scan_line(&context, &sql).await;
        assert!(line.contains("filters=["), "{filter}: {line}");
        let mut scan = &plan;
        while let Some(child) = scan.children().first().copied() {
            scan = child;
        }
        let read = scan.metrics().unwrap().output_rows().unwrap();
        assert!(read <= 3000, "{filter}: {read} rows read");
    }
}

#[tokio::test]
async fn drops_rows_and_row_groups_that_no_join_matches() {
    const ROWS: i64 = 100_000;
    let scratch = Scratch::new();
    // Keys of the first column lie in one group each, those of the second all over the file.
    let whole = batch(vec![
        ("i", Arc::new(Int64Array::from_iter_values(0..ROWS)) as ArrayRef),
        ("k", Arc::new(Int64Array::from_iter((0..ROWS).map(|row| (row % 11 != 0).then_some(row * 7919 % ROWS))))),
    ]);
    scratch.write("a.parquet", parquet_bytes(&whole, 10_000));
    let source = scratch.source("parquet");
    let context = table(&source, &[("filename", "a.parquet")], "i int8, k int8").await.unwrap();
    for setting in ["topk", "aggregate"] {
        let off = format!("SET datafusion.optimizer.enable_{setting}_dynamic_filter_pushdown = false");
        context.sql(&off).await.unwrap().collect().await.unwrap();
    }
    let joined = |key: &str, keys: &str| {
        format!("SELECT count(*), sum(t.i), sum(t.k) FROM (SELECT {keys} AS key) AS b JOIN t ON t.{key} = b.key")
    };
    for (sql, read_max, dropped_min) in [
        // A list, a table of keys that is too long for one, and keys that rule out groups.
        (joined("k", "unnest([5, 77777, 500000])"), 2, 90_000),
        (joined("k", "unnest(range(0, 100000, 20))"), 5_000, 90_000),
        (joined("i", "unnest([55001, 55002])"), 2, 9_000),
        // Most rows match, so that they are not looked at for long.
        (joined("k", "unnest(range(0, 90000))"), ROWS, 0),
    ] {
        let plan = context.sql(&sql).await.unwrap().create_physical_plan().await.unwrap();
        let batches = datafusion::physical_plan::collect(Arc::clone(&plan), context.task_ctx()).await.unwrap();
        let mut scans = vec![plan];
        while let Some(next) = scans.pop_if(|plan| plan.name() != "ForeignScanExec") {
            scans.extend(next.children().into_iter().cloned());
        }
        let metrics = scans.last().unwrap().metrics().unwrap();
        let read = i64::try_from(metrics.output_rows().unwrap()).unwrap();
        let dropped = metrics.sum_by_name("dynamic_filter_rows_dropped").unwrap().as_usize();
        assert!(read <= read_max && dropped >= dropped_min, "{sql}: {read} read, {dropped} dropped");
        let answer: Vec<_> = batches.iter().flat_map(printed).collect();
        let plain = table(&source, &[("filename", "a.parquet")], "i int8, k int8").await.unwrap();
        let off = "SET datafusion.optimizer.enable_join_dynamic_filter_pushdown = false";
        plain.sql(off).await.unwrap().collect().await.unwrap();
        assert_eq!(answer, rows(&plain, &sql).await.unwrap(), "{sql}");
    }
}

#[tokio::test]
async fn knows_counts_and_bounds_from_the_footers() {
    let scratch = Scratch::new();
    scratch.parquet("p/k=1/a.parquet", &ints("n", 0..100));
    scratch.parquet("p/k=2/b.parquet", &ints("n", 100..250));
    let source = scratch.source("parquet");
    let context = table(&source, &[("filename", "p")], "").await.unwrap();
    let plan =
        context.sql("SELECT count(*), min(n), max(n) FROM t").await.unwrap().create_physical_plan().await.unwrap();
    let text = datafusion::physical_plan::displayable(plan.as_ref()).indent(false).to_string();
    assert!(!text.contains("ForeignScanExec"), "answered by statistics: {text}");
    assert_eq!(rows(&context, "SELECT count(*), min(n), max(n) FROM t").await.unwrap(), ["250|0|249"]);
    assert_eq!(rows(&context, "SELECT count(*), max(n) FROM t WHERE k = 1").await.unwrap(), ["100|99"]);
    assert_eq!(rows(&context, "SELECT k, count(*) FROM t GROUP BY k ORDER BY k").await.unwrap(), ["1|100", "2|150"]);
    let line = scan_line(&context, "SELECT n FROM t WHERE k = 2 AND n > 200").await;
    assert!(
        line.starts_with("ForeignScanExec: server=lake, table=public.t, format=parquet, files=1 of 2, projection=[n"),
        "{line}"
    );
    assert_eq!(rows(&context, "SELECT sum(n) FROM t WHERE k = 2 AND n > 247").await.unwrap(), ["497"]);
}

#[tokio::test]
async fn counts_what_footers_do_not() {
    use datafusion::parquet::arrow::ArrowWriter;
    use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
    let scratch = Scratch::new();
    let source = scratch.source("parquet");
    let whole = batch(vec![
        ("n", Arc::new(Int32Array::from(vec![Some(5), None, Some(7)])) as ArrayRef),
        ("l", Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)]), None, Some(vec![])]))),
    ]);
    scratch.parquet("with.parquet", &whole);
    let properties = WriterProperties::builder().set_statistics_enabled(EnabledStatistics::None).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, whole.schema(), Some(properties)).unwrap();
    writer.write(&whole).unwrap();
    writer.close().unwrap();
    scratch.write("without.parquet", bytes);
    for name in ["with.parquet", "without.parquet", "with*.parquet"] {
        let files = if name.contains('*') { 2 } else { 1 };
        let sql = "SELECT count(*), count(n), count(l), min(n), max(n) FROM t";
        let expected = format!("{}|{}|{}|5|7", 3 * files, 2 * files, 2 * files);
        assert_eq!(query(&source, &[("filename", name)], "", sql).await.unwrap(), [expected], "{name}");
    }
}

#[tokio::test]
async fn notices_a_file_that_was_replaced() {
    let scratch = Scratch::new();
    scratch.parquet("a.parquet", &ints("n", 0..100));
    let source = scratch.source("parquet");
    let context = table(&source, &[("filename", "a.parquet")], "n int4").await.unwrap();
    assert_eq!(rows(&context, "SELECT sum(n) FROM t").await.unwrap(), ["4950"]);
    scratch.parquet("a.parquet", &ints("n", 0..10));
    let error = rows(&context, "SELECT sum(n) FROM t").await.unwrap_err();
    assert!(matches!(&error, ConnectorError::File { reason, .. } if reason.contains("changed")), "{error:?}");
    std::fs::remove_file(scratch.path("a.parquet")).unwrap();
    let error = rows(&context, "SELECT sum(n) FROM t").await.unwrap_err();
    assert!(matches!(&error, ConnectorError::File { missing: true, .. }), "{error:?}");
    scratch.parquet("a.parquet", &ints("n", 0..10));
    assert_eq!(query(&source, &[("filename", "a.parquet")], "n int4", "SELECT sum(n) FROM t").await.unwrap(), ["45"]);
}

#[tokio::test]
async fn refuses_timestamps_before_postgresql_s_first() {
    let scratch = Scratch::new();
    scratch.parquet("a.parquet", &batch(vec![("d", Arc::new(Date32Array::from(vec![-3_000_000])))]));
    let error = query(&scratch.source("parquet"), &[("filename", "a.parquet")], "d date", ALL).await.unwrap_err();
    assert!(matches!(&error, ConnectorError::Value { sqlstate: "22008", .. }), "{error:?}");
    let far = batch(vec![("t", Arc::new(TimestampSecondArray::from(vec![i64::MAX])))]);
    scratch.parquet("b.parquet", &far);
    let error = query(&scratch.source("parquet"), &[("filename", "b.parquet")], "", ALL).await;
    // Parquet has no seconds: the writer multiplied, and what it wrapped to is what counts.
    assert!(error.is_ok() || matches!(&error, Err(ConnectorError::Value { sqlstate: "22008", .. })), "{error:?}");
}

#[tokio::test]
async fn reads_a_file_without_columns_or_rows() {
    let scratch = Scratch::new();
    let source = scratch.source("parquet");
    scratch.parquet("none.parquet", &ints("n", 0..0));
    assert_eq!(
        query(&source, &[("filename", "none.parquet")], "", "SELECT count(*), max(n) FROM t").await.unwrap(),
        ["0|∅"]
    );
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int32, false)]));
    let strict = RecordBatch::try_new(schema, vec![Arc::new(Int32Array::from(vec![1]))]).unwrap();
    scratch.parquet("strict.parquet", &strict);
    let definition = source.describe(&options(&[("filename", "strict.parquet")])).await.unwrap();
    assert!(definition.columns[0].not_null);
    assert_eq!(query(&source, &[("filename", "strict.parquet")], "", ALL).await.unwrap(), ["1"]);
}

#[tokio::test]
async fn reads_files_whose_types_drifted() {
    let scratch = Scratch::new();
    let source = scratch.source("parquet");
    let one = |array: ArrayRef| batch(vec![("n", array)]);
    scratch.parquet("d/a.parquet", &one(Arc::new(Int32Array::from_iter_values(0..3))));
    scratch.parquet("d/b.parquet", &one(Arc::new(Int64Array::from(vec![3, 1 << 40]))));
    scratch.parquet("d/c.parquet", &batch(vec![("N", Arc::new(Int16Array::from(vec![7])))]));
    scratch.parquet("d/e.parquet", &one(Arc::new(NullArray::new(1))));
    let given = [("filename", "d")];
    for declared in ["n int8", "n numeric", "n text"] {
        let found = query(&source, &given, declared, "SELECT count(*), count(n) FROM t").await.unwrap();
        assert_eq!(found, ["7|6"], "{declared}");
    }
    let context = table(&source, &given, "n int8").await.unwrap();
    assert_eq!(
        rows(&context, "SELECT min(n), max(n), sum(n) FROM t").await.unwrap(),
        ["0|1099511627776|1099511627789"]
    );
    // A literal beyond the narrower type is no reason to lose rows, or to fail.
    assert_eq!(rows(&context, "SELECT n FROM t WHERE n > 5 ORDER BY n").await.unwrap(), ["7", "1099511627776"]);
    assert_eq!(rows(&context, "SELECT n FROM t WHERE n = 1099511627776").await.unwrap(), ["1099511627776"]);
    assert_eq!(rows(&context, "SELECT count(*) FROM t WHERE n IS NULL").await.unwrap(), ["1"]);

    // The same to PostgreSQL, in other clothes: nothing needs to be declared.
    let moments = |array: ArrayRef, text: ArrayRef| batch(vec![("at", array), ("s", text)]);
    let dictionary = DictionaryArray::<Int32Type>::from_iter([Some("x"), None]);
    scratch
        .parquet("m/a.parquet", &moments(Arc::new(TimestampMicrosecondArray::from(vec![1, 2])), Arc::new(dictionary)));
    scratch.parquet(
        "m/b.parquet",
        &moments(Arc::new(TimestampMillisecondArray::from(vec![1])), Arc::new(StringArray::from(vec!["y"]))),
    );
    scratch.parquet("m/c.parquet", &moments(Arc::new(NullArray::new(1)), Arc::new(NullArray::new(1))));
    let found = query(&source, &[("filename", "m")], "", "SELECT * FROM t ORDER BY at").await.unwrap();
    let expected = ["1970-01-01 00:00:00.000001|x", "1970-01-01 00:00:00.000002|∅", "1970-01-01 00:00:00.001|y", "∅|∅"];
    assert_eq!(found, expected);
    let sql = "SELECT s FROM t WHERE at >= timestamp '1970-01-01 00:00:00.000002' ORDER BY at";
    assert_eq!(query(&source, &[("filename", "m")], "", sql).await.unwrap(), ["∅", "y"]);
}

/// Written by DuckDB 2: three rows of an interval, a list and a struct of intervals, infinities, and uuids.
const DUCKDB: &[u8] = include_bytes!("../fixtures/duckdb.parquet");

#[tokio::test]
async fn reads_what_duckdb_writes() {
    let scratch = Scratch::new();
    scratch.write("a.parquet", DUCKDB);
    let source = scratch.source("parquet");
    let definition = source.describe(&options(&[("filename", "a.parquet")])).await.unwrap();
    let types: Vec<_> = definition.columns.iter().map(|column| column.data_type.sql_name()).collect();
    assert_eq!(
        types,
        ["integer", "interval", "interval[]", "jsonb", "timestamp without time zone", "date", "uuid", "uuid[]"]
    );
    let context = table(&source, &[("filename", "a.parquet")], "").await.unwrap();
    let id = "01020304-0506-0708-090a-0b0c0d0e0f10";
    let expected = [
        format!(
            "1|1 mon 2 days 00:00:03|{{\"1 year 2 mons\",NULL}}|{{\"i\": \"1 day\"}}|-infinity|-infinity|{id}|{{{id}}}"
        ),
        "2|∅|∅|∅|infinity|infinity|∅|{}".to_owned(),
        "3|00:00:00|{}|{\"i\": null}|2024-01-01 00:00:00|2024-01-01|∅|∅".to_owned(),
    ];
    assert_eq!(rows(&context, "SELECT * FROM t ORDER BY k").await.unwrap(), expected);
    for (sql, expected) in [
        ("SELECT min(ts), max(ts), min(d), max(d) FROM t", "-infinity|infinity|-infinity|infinity"),
        ("SELECT count(*) FROM t WHERE iv IS NULL", "1"),
    ] {
        assert_eq!(rows(&context, sql).await.unwrap(), [expected], "{sql}");
    }
    // The smallest timestamp is `-infinity`, which the file holds in another form.
    let least =
        datafusion::logical_expr::lit(datafusion::common::ScalarValue::TimestampMicrosecond(Some(i64::MIN), None));
    let frame = context.table("t").await.unwrap();
    let found = frame.filter(datafusion::prelude::col("ts").lt_eq(least)).unwrap().collect().await.unwrap();
    assert_eq!(found.iter().map(|batch| batch.num_rows()).sum::<usize>(), 1);
}

#[tokio::test]
async fn refuses_values_that_postgresql_s_types_do_not_have() {
    let scratch = Scratch::new();
    let source = scratch.source("parquet");
    let list = |texts: &[&str]| -> ArrayRef {
        let mut builder = ListBuilder::new(StringBuilder::new());
        texts.iter().for_each(|text| builder.values().append_value(text));
        builder.append(true);
        Arc::new(builder.finish())
    };
    let cases: Vec<(ArrayRef, &str, &str)> = vec![
        (Arc::new(Time64MicrosecondArray::from(vec![-1])), "22008", "time"),
        (Arc::new(Time64MicrosecondArray::from(vec![86_400_000_001])), "22008", "time"),
        (Arc::new(Time64NanosecondArray::from(vec![-1])), "22008", "time"),
        (Arc::new(Time32MillisecondArray::from(vec![90_000_000])), "22008", "time"),
        (Arc::new(StringArray::from(vec!["a\0b"])), "22021", "0x00"),
        (Arc::new(BinaryArray::from(vec![Some(&b"a\0b"[..])])), "22021", "0x00"),
        (Arc::new(DictionaryArray::<Int32Type>::from_iter([Some("a\0b")])), "22021", "0x00"),
        (list(&["fine", "a\0b"]), "22021", "0x00"),
        (Arc::new(TimestampMicrosecondArray::from(vec![i64::MIN + 2])), "22008", "timestamp"),
        (Arc::new(Date32Array::from(vec![-2_440_589])), "22008", "date"),
    ];
    for (index, (array, code, text)) in cases.into_iter().enumerate() {
        let name = format!("{index}.parquet");
        let binary = array.data_type().is_binary();
        scratch.parquet(&name, &batch(vec![("v", array)]));
        for declared in ["", "v text"].into_iter().skip(usize::from(binary)) {
            let error = query(&source, &[("filename", &name)], declared, ALL).await.unwrap_err();
            assert!(
                matches!(&error, ConnectorError::Value { sqlstate, message, .. } if *sqlstate == code && message.contains(text)),
                "{name} {declared}: {error:?}"
            );
        }
    }
    scratch
        .parquet("ends.parquet", &batch(vec![("v", Arc::new(Time64MicrosecondArray::from(vec![0, 86_400_000_000])))]));
    assert_eq!(query(&source, &[("filename", "ends.parquet")], "", ALL).await.unwrap(), ["00:00:00", "24:00:00"]);
}

/// Written by pyarrow with `write_page_checksum`: a hundred whole numbers, uncompressed.
const CHECKSUM: &[u8] = include_bytes!("../fixtures/checksum.parquet");

#[tokio::test]
async fn checks_the_checksums_of_pages() {
    let scratch = Scratch::new();
    let source = scratch.source("parquet");
    scratch.write("good.parquet", CHECKSUM);
    let sum = "SELECT sum(n) FROM t";
    assert_eq!(query(&source, &[("filename", "good.parquet")], "n int8", sum).await.unwrap(), ["4950"]);
    let mut bytes = CHECKSUM.to_vec();
    // The number 41 stands there in full, and becomes 40.
    let at = bytes.windows(8).position(|window| window == 41_i64.to_le_bytes()).unwrap();
    bytes[at] ^= 1;
    scratch.write("bad.parquet", bytes);
    let error = query(&source, &[("filename", "bad.parquet")], "n int8", sum).await.unwrap_err();
    assert!(matches!(&error, ConnectorError::Format { reason, .. } if reason.contains("checksum")), "{error:?}");
}
