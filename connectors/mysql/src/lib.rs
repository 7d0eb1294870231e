//! Native connector for MySQL and MariaDB.

mod connection;
mod dialect;
mod metadata;
mod options;
mod provider;
mod scan;
mod source;
mod values;

use std::sync::Arc;

use atoll_connector_api::Connector;

/// The connector behind the wrapper `mysql`.
pub fn connector() -> Arc<dyn Connector> {
    // mysql_async asks rustls for the process's default. Whoever installed one before chose the same or knew why not.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Arc::new(source::MysqlConnector)
}
