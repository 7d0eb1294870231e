//! The native connectors that are compiled in.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_connector_api::Connector;

/// Every native connector, by wrapper name.
#[derive(Debug, Clone)]
pub struct Registry(BTreeMap<&'static str, Arc<dyn Connector>>);

impl Default for Registry {
    fn default() -> Self {
        let mut connectors = vec![
            atoll_connector_postgres::connector(),
            atoll_connector_mysql::connector(),
            atoll_connector_sqlite::connector(),
        ];
        connectors.extend(atoll_connector_files::connectors());
        Self(connectors.into_iter().map(|connector| (connector.wrapper(), connector)).collect())
    }
}

impl Registry {
    /// A connector by the name of its wrapper or one of the aliases that PostgreSQL users know.
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Connector>> {
        self.0.get(connector_name(name))
    }

    /// The names of all, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }
}

/// The wrapper's own name for an alias.
pub fn connector_name(name: &str) -> &str {
    match name {
        "postgres_fdw" | "postgresql" => "postgres",
        "mysql_fdw" | "mariadb" => "mysql",
        "sqlite_fdw" => "sqlite",
        "file_fdw" => "csv",
        "ndjson" => "json",
        other => other,
    }
}
