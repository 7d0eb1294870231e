//! Stored wrappers, servers, user mappings, foreign tables, views and roles; immutable snapshots of them.

pub mod ddl;
pub mod model;
pub mod privilege;
pub mod scram;
pub mod secret;
pub mod store;

pub use model::{Catalog, Change, Object, Oid};
pub use secret::SecretKey;
pub use store::{Store, StoreConfig};
