//! Files on a real S3 server. `cargo xtask test` starts one and tells where in the environment.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array};
use arrow::record_batch::RecordBatch;
use atoll_connector_api::{ConnectorError, ForeignSource};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

use crate::support::*;

/// The bucket that the tests use: `cargo xtask test` makes a folder of this name.
const BUCKET: &str = "test";

struct Server {
    url: String,
    key: String,
    secret: String,
    store: AmazonS3,
}

fn server(test: &str) -> Option<Server> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let found = variable("ATOLL_TEST_S3_URL").zip(variable("ATOLL_TEST_S3_KEY")).zip(variable("ATOLL_TEST_S3_SECRET"));
    let Some(((url, key), secret)) = found else {
        println!("SKIPPED {test}: ATOLL_TEST_S3_URL, ATOLL_TEST_S3_KEY and ATOLL_TEST_S3_SECRET are not set");
        return None;
    };
    let store = AmazonS3Builder::new()
        .with_endpoint(&url)
        .with_allow_http(true)
        .with_region("us-east-1")
        .with_bucket_name(BUCKET)
        .with_access_key_id(&key)
        .with_secret_access_key(&secret)
        .build()
        .unwrap();
    Some(Server { url, key, secret, store })
}

impl Server {
    async fn put(&self, name: &str, bytes: impl Into<PutPayload>) {
        self.store.put(&Path::from(name), bytes.into()).await.unwrap();
    }

    /// A source for a superuser: the test server is on the loopback interface.
    fn source(&self, wrapper: &str, location: &str) -> Arc<dyn ForeignSource> {
        let user = [("access_key_id", self.key.as_str()), ("secret_access_key", self.secret.as_str())];
        self.source_as(wrapper, &[("location", location), ("endpoint", &self.url)], &user)
    }

    fn source_as(&self, wrapper: &str, server: &[(&str, &str)], user: &[(&str, &str)]) -> Arc<dyn ForeignSource> {
        let mut context = Scratch::new().context;
        context.superuser = true;
        open(wrapper, server, user, context)
    }

    fn keeps_secret(&self, error: &ConnectorError) {
        let mut shown = format!("{error:?} {error}");
        let mut cause: Option<&dyn std::error::Error> = Some(error);
        while let Some(error) = cause {
            shown += &error.to_string();
            cause = error.source();
        }
        assert!(!shown.contains(&self.secret), "the secret is in a message");
    }
}

fn ints(values: std::ops::Range<i32>) -> Vec<u8> {
    let columns: Vec<(&str, ArrayRef)> = vec![("n", Arc::new(Int32Array::from_iter_values(values)))];
    parquet_bytes(&RecordBatch::try_from_iter(columns).unwrap(), 1000)
}

#[tokio::test]
async fn reads_parquet_csv_and_json_on_s3() {
    let Some(server) = server("reads_parquet_csv_and_json_on_s3") else { return };
    server.put("read/p/year=2023/a.parquet", ints(0..10)).await;
    server.put("read/p/year=2024/b.parquet", ints(0..5000)).await;
    server.put("read/c/one.csv", "n,s\n1,x\n2,y\n").await;
    server.put("read/c/two.csv.gz", gzip(format!("n,s\n{}", "3,z\n".repeat(100_000)).as_bytes())).await;
    server.put("read/j/x.jsonl", "{\"n\": 1}\n{\"n\": 2}\n").await;
    let location = format!("s3://{BUCKET}/read");

    let source = server.source("parquet", &location);
    let context = table(&source, &[("filename", "p")], "").await.unwrap();
    let sql = "SELECT year, count(*), sum(n) FROM t WHERE year >= 2024 GROUP BY year";
    assert_eq!(rows(&context, sql).await.unwrap(), ["2024|5000|12497500"]);
    assert!(scan_line(&context, sql).await.contains("files=1 of 2"));
    assert_eq!(rows(&context, "SELECT count(n) FROM t WHERE n = 4999").await.unwrap(), ["1"]);

    let source = server.source("csv", &location);
    let sum = query(&source, &[("filename", "c/*")], "n int4, s text", "SELECT count(*), sum(n) FROM t").await;
    assert_eq!(sum.unwrap(), ["100002|300003"]);
    let listed = server.source("csv", &format!("{location}/c"));
    let names: Vec<_> = listed.tables("main").await.unwrap().into_iter().map(|table| table.name).collect();
    assert_eq!(names, ["one", "two"]);
    let live = listed.live_options("main", "two");
    assert_eq!(listed.describe(&live).await.unwrap().columns.len(), 2);

    let source = server.source("json", &location);
    assert_eq!(query(&source, &[("filename", "j/x.jsonl")], "", "SELECT sum(n) FROM t").await.unwrap(), ["3"]);
    let whole = format!("{location}/j/*.jsonl");
    assert_eq!(query(&source, &[("filename", &whole)], "", "SELECT sum(n) FROM t").await.unwrap(), ["3"]);
}

#[tokio::test]
async fn names_what_is_wrong_on_s3() {
    let Some(server) = server("names_what_is_wrong_on_s3") else { return };
    server.put("wrong/a.csv", "n\n1\n").await;
    let location = format!("s3://{BUCKET}/wrong");
    let given = [("filename", "a.csv")];
    let good = server.source("csv", &location);

    let error = query(&good, &[("filename", "nothing.csv")], "n int4", "SELECT 1").await.unwrap_err();
    assert!(
        matches!(&error, ConnectorError::File { missing: true, path, .. } if path.ends_with("wrong/nothing.csv")),
        "{error:?}"
    );

    let wrong = [("access_key_id", server.key.as_str()), ("secret_access_key", "wrong")];
    let options = [("location", location.as_str()), ("endpoint", server.url.as_str())];
    let refused = server.source_as("csv", &options, &wrong);
    let error = query(&refused, &given, "n int4", "SELECT 1").await.unwrap_err();
    assert!(matches!(&error, ConnectorError::Login { .. } | ConnectorError::Denied { .. }), "{error:?}");
    server.keeps_secret(&error);
    // A listing is refused as a file is.
    let error = refused.tables("main").await.unwrap_err();
    assert!(matches!(&error, ConnectorError::Login { .. } | ConnectorError::Denied { .. }), "{error:?}");
    server.keeps_secret(&error);

    let error = query(&server.source_as("csv", &options, &[]), &given, "n int4", "SELECT 1").await.unwrap_err();
    assert!(matches!(&error, ConnectorError::Login { .. } | ConnectorError::Denied { .. }), "{error:?}");

    let half = [("access_key_id", server.key.as_str())];
    let error = query(&server.source_as("csv", &options, &half), &given, "n int4", "SELECT 1").await.unwrap_err();
    assert!(matches!(error, ConnectorError::OptionMissing { option: "secret_access_key", .. }), "{error:?}");

    let no_bucket = server.source("csv", "s3://no-such-bucket/x");
    let error = query(&no_bucket, &given, "n int4", "SELECT 1").await.unwrap_err();
    assert!(matches!(&error, ConnectorError::File { missing: true, .. }), "{error:?}");

    let error = no_bucket.describe_live("main", "a").await.unwrap_err();
    assert!(
        matches!(&error, ConnectorError::File { missing: true, reason, .. } if reason == "NoSuchBucket"),
        "{error:?}"
    );

    // After all of that the server is as usable as before.
    assert_eq!(query(&good, &given, "n int4", "SELECT n FROM t").await.unwrap(), ["1"]);
}

#[tokio::test]
async fn notices_an_object_that_was_replaced() {
    let Some(server) = server("notices_an_object_that_was_replaced") else { return };
    server.put("replaced/a.parquet", ints(0..100)).await;
    let source = server.source("parquet", &format!("s3://{BUCKET}/replaced"));
    let context = table(&source, &[("filename", "a.parquet")], "n int4").await.unwrap();
    assert_eq!(rows(&context, "SELECT sum(n) FROM t").await.unwrap(), ["4950"]);
    server.put("replaced/a.parquet", ints(0..10)).await;
    let error = rows(&context, "SELECT sum(n) FROM t").await.unwrap_err();
    assert!(matches!(&error, ConnectorError::File { .. } | ConnectorError::Format { .. }), "{error:?}");
}

#[tokio::test]
async fn an_unreachable_endpoint_is_told_soon() {
    let server = Scratch::new();
    let mut context = server.context.clone();
    context.superuser = true;
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let endpoint = format!("http://127.0.0.1:{port}");
    let options = [("location", "s3://bucket/x"), ("endpoint", endpoint.as_str())];
    let user = [("access_key_id", "key"), ("secret_access_key", "canary-secret")];
    let source = open("csv", &options, &user, context.clone());
    let started = std::time::Instant::now();
    let error = query(&source, &[("filename", "a.csv")], "n int4", "SELECT 1").await.unwrap_err();
    assert!(matches!(&error, ConnectorError::Connect { server, .. } if server == "lake"), "{error:?}");
    assert!(!format!("{error:?}").contains("canary-secret"));
    assert!(started.elapsed() < std::time::Duration::from_secs(20), "{:?}", started.elapsed());
}

#[tokio::test]
async fn keeps_users_out_of_special_addresses() {
    let scratch = Scratch::new();
    let user = [("access_key_id", "key"), ("secret_access_key", "secret")];
    for endpoint in [
        "http://127.0.0.1:9",
        "http://localhost:9",
        "http://169.254.169.254",
        "http://[::1]:9",
        // Other ways to write an address, which the HTTP client takes for one.
        "http://127.1:9",
        "HTTP://127.1:9",
        "http://2130706433:9",
        "http://0x7f000001:9",
        "http://0x7f.1:9",
        "http://0177.0.0.1:9",
        "http://127.0.0.1.:9",
        "http://%31%32%37.1:9",
        "http://[::ffff:127.0.0.1]:9",
        "http://2852039166",
    ] {
        let options = [("location", "s3://bucket/x"), ("endpoint", endpoint)];
        let source = open("csv", &options, &user, scratch.context.clone());
        let error = query(&source, &[("filename", "a.csv")], "n int4", "SELECT 1").await.unwrap_err();
        assert!(
            matches!(&error, ConnectorError::Denied { hint: Some(hint), .. } if hint.contains("--network-allow")),
            "{endpoint}: {error:?}"
        );
    }
    for location in ["http://127.0.0.1:9/x", "http://127.1:9/x", "http://2130706433:9/x", "http://0x7f.1:9/x"] {
        let source = open("csv", &[("location", location)], &[], scratch.context.clone());
        let error = query(&source, &[("filename", "a.csv")], "n int4", "SELECT 1").await.unwrap_err();
        assert!(matches!(&error, ConnectorError::Denied { .. }), "{location}: {error:?}");
    }
    let source =
        open("csv", &[("location", "s3://bucket/x"), ("credentials", "ambient")], &[], scratch.context.clone());
    let error = query(&source, &[("filename", "a.csv")], "n int4", "SELECT 1").await.unwrap_err();
    assert!(matches!(&error, ConnectorError::Denied { message, .. } if message.contains("environment")), "{error:?}");
}

/// Answers every request on a port of its own with the same bytes, until the test ends.
fn answering(answer: &'static str) -> String {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    endpoint
}

#[tokio::test]
async fn shows_nothing_of_what_a_service_answers() {
    let scratch = Scratch::new();
    let mut context = scratch.context.clone();
    context.superuser = true;
    let refusal = "HTTP/1.1 500 Oops\r\ncontent-length: 12\r\nconnection: close\r\n\r\ncanary-value";
    let garbage = "HTTP/1.1 200 OK\r\ncontent-length: 12\r\nconnection: close\r\n\r\ncanary-value";
    let page = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 25\r\nconnection: close\r\n\r\n\
                <html>canary-value</html>";
    for (answer, expected) in [(refusal, "HTTP status 500"), (garbage, "not understood"), (page, "web page")] {
        let endpoint = answering(answer);
        let options = [("location", "s3://bucket/x"), ("endpoint", endpoint.as_str())];
        let source = open("csv", &options, &[], context.clone());
        let error = source.tables("main").await.unwrap_err();
        let mut shown = format!("{error} {error:?}");
        let mut cause = std::error::Error::source(&error);
        while let Some(found) = cause {
            shown += &format!(" {found}");
            cause = found.source();
        }
        assert!(shown.contains(expected), "{shown}");
        assert!(!shown.contains("canary"), "{shown}");
    }
}
