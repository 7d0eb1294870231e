//! Options of the wrapper `sqlite`.

use atoll_connector_api::{OptionScope, OptionSpec};

/// The file, on the server.
pub(crate) const DATABASE: &str = "database";
/// The remote table, on a foreign table.
pub(crate) const TABLE: &str = "table";
/// The remote column, on a column.
pub(crate) const COLUMN_NAME: &str = "column_name";

/// Every option, in all scopes. The ignored ones are those of scripts written for `sqlite_fdw`: they concern its writing,
/// its caches and its choice of plans.
pub(crate) static OPTIONS: &[OptionSpec] = &[
    OptionSpec::checked(DATABASE, OptionScope::Server, check_not_empty),
    OptionSpec::ignored("updatable", OptionScope::Server),
    OptionSpec::ignored("truncatable", OptionScope::Server),
    OptionSpec::ignored("keep_connections", OptionScope::Server),
    OptionSpec::ignored("batch_size", OptionScope::Server),
    OptionSpec::checked(TABLE, OptionScope::Table, check_not_empty),
    OptionSpec::ignored("updatable", OptionScope::Table),
    OptionSpec::ignored("truncatable", OptionScope::Table),
    OptionSpec::ignored("batch_size", OptionScope::Table),
    OptionSpec::checked(COLUMN_NAME, OptionScope::Column, check_not_empty),
    OptionSpec::ignored("key", OptionScope::Column),
];

fn check_not_empty(value: &str) -> Result<(), String> {
    if value.is_empty() {
        return Err("may not be empty".into());
    }
    if value.contains('\0') {
        return Err("may not contain a zero byte".into());
    }
    Ok(())
}
