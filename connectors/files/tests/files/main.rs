//! The connectors from outside: local files of all kinds, the hostile ones too, and a real S3 server.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

mod csv;
mod hostile;
mod json;
mod listing;
mod parquet;
mod s3;
