//! Under construction.

/// The connectors of files.
pub fn connectors() -> Vec<std::sync::Arc<dyn atoll_connector_api::Connector>> {
    Vec::new()
}
