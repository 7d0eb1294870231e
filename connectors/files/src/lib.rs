//! Native connectors for files: Parquet, CSV and JSON, local ones beneath `--files-root` and remote ones on object stores.
//!
//! One [`Connector`] for each format; they differ in their table options and in how bytes become batches, and share
//! everything else: where files lie ([`location`]), how they are found ([`listing`]), Hive partitions ([`hive`]), the
//! scan's operator ([`exec`]).

mod connector;
mod error;
mod exec;
#[doc(hidden)]
pub mod fuzzing;
mod hive;
mod listing;
mod location;
mod names;
mod options;
mod parquet;
mod provider;
mod source;
mod store;
mod text;

use std::sync::Arc;

use atoll_connector_api::Connector;

/// The connectors of this crate: `parquet`, `csv` and `json`.
pub fn connectors() -> Vec<Arc<dyn Connector>> {
    connector::all()
}
