//! PostgreSQL's system catalogs over the catalog snapshot: what psql, drivers and BI tools read about Atoll's objects.
//!
//! * [`PgCatalogContext`]: what one session sees: snapshot, roles, search path, settings.
//! * [`schema_provider`], [`information_schema_provider`]: every relation of PostgreSQL 15's `pg_catalog` and
//!   `information_schema`, built when it is scanned.
//! * [`register_functions`]: `format_type`, `pg_get_userbyid`, `has_table_privilege` and their kin.
//! * [`rewrite`]: makes queries over these relations plannable by DataFusion. Apply it only where
//!   [`mentions_system_catalog`] says so.
//!
//! Values of `oid` types are `Int64`, arrays are Arrow lists tagged with their PostgreSQL type, `int2vector` and `oidvector`
//! are text, and a `regproc` is the function's name.

mod access;
mod advisory;
mod context;
mod current;
mod facts;
mod functions;
mod names;
mod provider;
mod rewrite;
mod rows;
#[cfg(test)]
mod tests;

pub use advisory::{AdvisoryGuard, AdvisoryLocks, AdvisorySession, LockKey, LockMode};
pub use context::{BackendInfo, CursorInfo, FunctionNames, PgCatalogContext, PreparedInfo, SessionHooks, Setting};
pub use current::CurrentContext;
pub use facts::column_origin;
pub use functions::{argument_types, register_functions, scalar_functions};
pub(super) use names::{quote_ident, quote_literal};
pub use provider::{information_schema_provider, schema_provider};
pub use rewrite::{is_system_relation, is_system_table, mentions_system_catalog, output_name, rewrite};
