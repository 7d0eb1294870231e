//! Native connector for SQLite: database files beneath the configured roots, read in place.

mod connection;
mod declared;
mod dialect;
mod moment;
mod options;
mod provider;
mod scan;
mod source;
mod statistics;
mod values;

use std::sync::Arc;

use atoll_connector_api::Connector;

/// The connector behind the wrapper `sqlite`.
pub fn connector() -> Arc<dyn Connector> {
    Arc::new(source::SqliteConnector)
}
