//! Stored wrappers, servers, user mappings, foreign tables, views and roles; immutable snapshots of them.

pub mod model;

pub use model::{Catalog, Change, Object, Oid};
