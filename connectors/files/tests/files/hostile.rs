//! Paths that lead elsewhere, and files that lie.

use std::os::unix::fs::symlink;
use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Int32Array, ListArray, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::Int32Type;
use arrow::record_batch::RecordBatch;
use atoll_connector_api::ConnectorError;
use proptest::prelude::*;

use crate::support::*;

const ALL: &str = "SELECT * FROM t";

#[tokio::test]
async fn never_leaves_the_root() {
    let scratch = Scratch::new();
    scratch.write("in.csv", "a\n1\n");
    let outside = scratch.dir.path().canonicalize().unwrap().join("outside.csv");
    symlink(&outside, scratch.path("link.csv")).unwrap();
    symlink("../../outside.csv", scratch.path("relative.csv")).unwrap();
    symlink(outside.parent().unwrap(), scratch.path("up")).unwrap();
    symlink("in.csv", scratch.path("inner.csv")).unwrap();
    symlink("nowhere.csv", scratch.path("dangling.csv")).unwrap();
    let source = scratch.source("csv");
    let outside = outside.to_str().unwrap();
    for given in ["link.csv", "relative.csv", "up/outside.csv", outside, "/etc/passwd", "/proc/self/environ"] {
        let error = query(&source, &[("filename", given)], "a text", ALL).await.unwrap_err();
        assert!(matches!(error, ConnectorError::Denied { .. }), "{given}: {error:?}");
    }
    for given in ["../outside.csv", "x/../../outside.csv"] {
        let error = query(&source, &[("filename", given)], "a text", ALL).await.unwrap_err();
        assert!(matches!(error, ConnectorError::OptionValue { .. }), "{given}: {error:?}");
    }
    assert_eq!(query(&source, &[("filename", "inner.csv")], "a text", ALL).await.unwrap(), ["1"]);
    // A pattern passes over what leads out, and what leads nowhere.
    assert_eq!(query(&source, &[("filename", "*.csv")], "a text", ALL).await.unwrap(), ["1", "1"]);
    assert_eq!(query(&source, &[("filename", "**/*.csv")], "a text", ALL).await.unwrap(), ["1", "1"]);
}

#[tokio::test]
async fn never_reads_the_data_directory() {
    let scratch = Scratch::new();
    scratch.write("in.csv", "a\n2\n");
    symlink("data", scratch.path("alias")).unwrap();
    symlink("data/secret.csv", scratch.path("alias.csv")).unwrap();
    let root = scratch.path("");
    let whole = scratch.path("data/secret.csv");
    let source = scratch.source("csv");
    let under_root = scratch.server("csv", &[("location", root.to_str().unwrap())], &[]);
    for (source, given) in [
        (&source, "data/secret.csv"),
        (&source, "data"),
        (&source, whole.to_str().unwrap()),
        (&source, "alias/secret.csv"),
        (&source, "alias.csv"),
        (&under_root, "data/secret.csv"),
        (&under_root, "data/*.csv"),
        (&under_root, "alias.csv"),
    ] {
        let error = query(source, &[("filename", given)], "a text", ALL).await.unwrap_err();
        assert!(matches!(error, ConnectorError::Denied { .. } | ConnectorError::File { .. }), "{given}: {error:?}");
    }
    for given in ["**/*.csv", "*.csv", "**"] {
        assert_eq!(query(&under_root, &[("filename", given)], "a text", ALL).await.unwrap(), ["2"], "{given}");
    }
    let error = query(&under_root, &[("filename", "*/secret.csv")], "a text", ALL).await.unwrap_err();
    assert!(matches!(error, ConnectorError::File { missing: true, .. }), "{error:?}");
    let live: Vec<_> = under_root.tables("main").await.unwrap().into_iter().map(|table| table.name).collect();
    assert_eq!(live, ["in"]);
}

#[tokio::test]
async fn says_that_no_root_is_configured() {
    let scratch = Scratch::new();
    let mut context = scratch.context.clone();
    context.files = atoll_connector_api::paths::FilesRoots::default();
    let source = open("csv", &[], &[], context);
    match query(&source, &[("filename", "in.csv")], "a text", ALL).await.unwrap_err() {
        ConnectorError::Denied { hint, .. } => assert!(hint.unwrap().contains("--files-root")),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn reads_regular_files_only() {
    let scratch = Scratch::new();
    fifo(&scratch.path("pipe.csv"));
    let source = scratch.source("csv");
    let reading = query(&source, &[("filename", "pipe.csv")], "a text", ALL);
    let error = tokio::time::timeout(std::time::Duration::from_secs(5), reading).await.unwrap().unwrap_err();
    assert!(matches!(&error, ConnectorError::File { reason, .. } if reason.contains("regular")), "{error:?}");
    scratch.write("in.csv", "a\n1\n");
    assert_eq!(query(&source, &[("filename", "*.csv")], "a text", ALL).await.unwrap(), ["1"]);
}

#[tokio::test]
async fn refuses_compressed_data_that_grow_without_end() {
    let scratch = Scratch::new();
    let source = scratch.source("csv");
    let megabyte = vec![b'x'; 1 << 20];
    let bomb = zstd::encode_all(std::io::Read::take(std::io::repeat(b'x'), 1 << 28), 3).unwrap();
    scratch.write("bomb.csv.zst", bomb);
    let error = query(&source, &[("filename", "bomb.csv.zst")], "a text", ALL).await.unwrap_err();
    assert!(matches!(error, ConnectorError::Limit { .. }), "{error:?}");
    let line = [vec![b'x'; 4095], vec![b'\n']].concat();
    let lines = zstd::encode_all(line.repeat(1 << 15).as_slice(), 3).unwrap();
    scratch.write("lines.csv.zst", lines);
    let error =
        query(&source, &[("filename", "lines.csv.zst"), ("header", "false")], "a text", "SELECT count(*) FROM t")
            .await
            .unwrap_err();
    assert!(matches!(&error, ConnectorError::Limit { message, .. } if message.contains("1000 times")), "{error:?}");
    // Without an end, and one that ends between the bound and the window's next size.
    for row in [megabyte.repeat(140), [megabyte.repeat(80), b"\n1\n".to_vec()].concat()] {
        scratch.write("row.csv", row);
        let error = query(&source, &[("filename", "row.csv")], "a text", ALL).await.unwrap_err();
        assert!(matches!(&error, ConnectorError::Limit { message, .. } if message.contains("64 MB")), "{error:?}");
    }
}

#[tokio::test]
async fn tells_broken_compression_from_broken_data() {
    let scratch = Scratch::new();
    let source = scratch.source("csv");
    let text = format!("a\n{}", (0..100_000).map(|row| format!("{row}\n")).collect::<String>());
    let whole = gzip(text.as_bytes());
    scratch.write("cut.csv.gz", &whole[..whole.len() / 2]);
    scratch.write("tail.csv.gz", &whole[..whole.len() - 4]);
    scratch.write("plain.csv.gz", &text);
    let whole = zstd::encode_all(text.as_bytes(), 3).unwrap();
    scratch.write("cut.csv.zst", &whole[..whole.len() / 2]);
    scratch.write("plain.csv.zst", &text);
    for name in ["cut.csv.gz", "tail.csv.gz", "plain.csv.gz", "cut.csv.zst", "plain.csv.zst"] {
        let error = query(&source, &[("filename", name)], "a text", "SELECT count(*) FROM t").await.unwrap_err();
        assert!(
            matches!(&error, ConnectorError::Format { path, format: "gzip" | "zstd", .. } if path.ends_with(name)),
            "{name}: {error:?}"
        );
    }
}

fn parquet_sample() -> Vec<u8> {
    let names: Vec<_> =
        (0..300).map(|row| if row % 7 == 0 { None } else { Some(format!("name {}", row % 40)) }).collect();
    let lists = (0..300).map(|row| (row % 5 != 0).then(|| vec![Some(row), None]));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("i", Arc::new(Int32Array::from_iter_values(0..300))),
        ("s", Arc::new(StringArray::from(names))),
        ("d", Arc::new(Decimal128Array::from_iter_values(0..300).with_precision_and_scale(10, 2).unwrap())),
        ("t", Arc::new(TimestampMicrosecondArray::from_iter_values(0..300))),
        ("l", Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists))),
    ];
    parquet_bytes(&RecordBatch::try_from_iter(columns).unwrap(), 100)
}

/// Describes and reads a file; anything but a panic or a hang is an answer.
fn survives(wrapper: &str, name: &str, bytes: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let scratch = Scratch::new();
        scratch.write(name, bytes);
        let source = scratch.source(wrapper);
        let given = [("filename", name)];
        let reading = query(&source, &given, "", "SELECT * FROM t");
        let answer = tokio::time::timeout(std::time::Duration::from_secs(30), reading).await.expect("a scan that ends");
        if let Err(error) = answer {
            assert!(!matches!(error, ConnectorError::Internal { .. }), "{error:?}");
            assert!(error.to_string().len() < 2000, "{error}");
        }
    });
}

fn mutate(mut bytes: Vec<u8>, changes: &[(prop::sample::Index, u8)], cut: Option<prop::sample::Index>) -> Vec<u8> {
    for (at, byte) in changes {
        let at = at.index(bytes.len());
        bytes[at] = *byte;
    }
    if let Some(cut) = cut {
        bytes.truncate(cut.index(bytes.len()));
    }
    bytes
}

/// Cases of each property; `PROPTEST_CASES` asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(96)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn survives_broken_parquet_files(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        survives("parquet", "x.parquet", &mutate(parquet_sample(), &changes, cut));
    }

    #[test]
    fn survives_broken_parquet_footers(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = parquet_sample();
        let length = u32::from_le_bytes(*bytes[..bytes.len() - 4].last_chunk::<4>().unwrap()) as usize;
        let start = bytes.len() - 8 - length;
        for (at, byte) in changes {
            bytes[start + at.index(length)] = byte;
        }
        survives("parquet", "x.parquet", &bytes);
    }

    #[test]
    fn survives_broken_text(
        text in "[a-c,\"\n\r{}:\\[\\]0-9\\\\ ]{0,60}",
        bytes in prop::collection::vec(any::<u8>(), 0..60),
        head in prop::bool::ANY,
    ) {
        for wrapper in ["csv", "json"] {
            let mut whole = if head { b"a,b\n{\"a\": 1}\n".to_vec() } else { Vec::new() };
            whole.extend_from_slice(text.as_bytes());
            survives(wrapper, &format!("x.{wrapper}"), &whole);
            whole.extend_from_slice(&bytes);
            survives(wrapper, &format!("x.{wrapper}"), &whole);
        }
    }

    #[test]
    fn survives_broken_compression(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let text: String = (0..200).map(|row| format!("{row},{}\n", row * row)).collect();
        survives("csv", "x.csv.gz", &mutate(gzip(text.as_bytes()), &changes, cut));
        survives("csv", "x.csv.zst", &mutate(zstd::encode_all(text.as_bytes(), 1).unwrap(), &changes, cut));
    }
}
