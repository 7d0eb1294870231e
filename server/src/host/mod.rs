//! Connectors: the registry of kinds, and the open sources, keyed by the user that was checked.

mod registry;
mod sources;

pub use registry::{Registry, connector_name};
pub use sources::{Host, HostConfig, LiveTable, REMOTE_METADATA_AGE};
