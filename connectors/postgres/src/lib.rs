//! The native connector for PostgreSQL: wrapper `postgres`.

mod connect;
mod copy;
mod dialect;
mod error;
mod frames;
mod known;
mod metadata;
mod moment;
mod options;
mod pool;
mod provider;
mod scan;
mod source;
mod statistics;
mod tap;
mod tls;

use std::sync::Arc;

use async_trait::async_trait;

use atoll_connector_api::{Connector, ForeignSource, OptionSpec, Result, ServerSpec};

/// The connector, for the server's registry.
pub fn connector() -> Arc<dyn Connector> {
    Arc::new(PostgresConnector)
}

#[derive(Debug)]
struct PostgresConnector;

#[async_trait]
impl Connector for PostgresConnector {
    fn wrapper(&self) -> &'static str {
        "postgres"
    }

    fn options(&self) -> &'static [OptionSpec] {
        options::OPTIONS
    }

    fn open(&self, server: ServerSpec) -> Result<Arc<dyn ForeignSource>> {
        Ok(Arc::new(source::PostgresSource::new(server)?))
    }
}
